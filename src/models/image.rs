//! Pictures that go to a model: told by their first bytes, bounded, shared, and never shown.
//!
//! A picture lives in memory only. `Debug` of anything that holds one says its kind and size.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64;
use serde::{Serialize, Serializer};

/// Pictures of one message.
pub const MAX_IMAGES: usize = 4;

/// The largest picture.
pub const MAX_IMAGE_BYTES: usize = 10 * 1024 * 1024;

/// What a picture is encoded as. A GIF is read by OpenAI's models when it does not move, and by few others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    WebP,
    /// GIF.
    Gif,
}

impl MediaType {
    /// Its name in headers and data URIs.
    pub fn as_str(self) -> &'static str {
        match self {
            MediaType::Jpeg => "image/jpeg",
            MediaType::Png => "image/png",
            MediaType::WebP => "image/webp",
            MediaType::Gif => "image/gif",
        }
    }

    /// By the first bytes of a file; what a sender says of it is not asked.
    pub fn of(bytes: &[u8]) -> Option<MediaType> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(MediaType::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(MediaType::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(MediaType::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(MediaType::Gif),
            _ => None,
        }
    }
}

/// Why pictures are not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Nothing a vision model reads.
    #[error("the file is no picture a model can read; expected JPEG, PNG, WebP or GIF")]
    UnknownType,
    /// Too large.
    #[error("the picture has {bytes} bytes; expected at most 10485760")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Too many for one message.
    #[error("the message has {count} pictures; expected at most 4")]
    TooMany {
        /// How many.
        count: usize,
    },
}

/// One picture. A clone shares its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    media_type: MediaType,
    bytes: Arc<[u8]>,
}

impl Image {
    /// A picture from a file's bytes.
    ///
    /// # Errors
    /// When it is too large, or none that models read.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Result<Image, ImageError> {
        let bytes = bytes.into();
        if bytes.len() > MAX_IMAGE_BYTES {
            return Err(ImageError::TooLarge { bytes: bytes.len() });
        }
        let media_type = MediaType::of(&bytes).ok_or(ImageError::UnknownType)?;
        Ok(Image { media_type, bytes })
    }

    /// What it is encoded as.
    pub fn media_type(&self) -> MediaType {
        self.media_type
    }

    /// In JSON as Ollama takes it: base64 alone.
    pub(super) fn base64(&self) -> Encoded<'_> {
        Encoded { prefix: None, bytes: &self.bytes }
    }

    /// In JSON as OpenAI's API takes it: `data:image/png;base64,…`.
    pub(super) fn data_uri(&self) -> Encoded<'_> {
        Encoded { prefix: Some(self.media_type), bytes: &self.bytes }
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({}, {} bytes)", self.media_type.as_str(), self.bytes.len())
    }
}

/// A picture as a text in JSON, written piece by piece: there is no second copy of it before the body.
pub(super) struct Encoded<'a> {
    prefix: Option<MediaType>,
    bytes: &'a [u8],
}

impl Serialize for Encoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(media_type) = self.prefix {
            write!(f, "data:{};base64,", media_type.as_str())?;
        }
        write!(f, "{}", BASE64.encode_display(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nSECRET";

    #[test]
    fn a_picture_is_told_by_its_first_bytes_and_bounded() {
        for (bytes, expected) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], "image/jpeg"),
            (PNG, "image/png"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
            (b"GIF89a\x01\0", "image/gif"),
            (b"GIF87a", "image/gif"),
        ] {
            assert_eq!(Image::new(bytes).map(|image| image.media_type().as_str()), Ok(expected));
        }
        for bytes in [&b""[..], b"\xff\xd8", b"%PDF-1.7", b"<svg/>", b"RIFF\x10\0\0\0WAVEfmt ", b"GIF88a", b"BM"] {
            assert_eq!(Image::new(bytes), Err(ImageError::UnknownType));
        }
        let mut large = PNG.to_vec();
        large.resize(MAX_IMAGE_BYTES, 0);
        assert!(Image::new(large.as_slice()).is_ok());
        large.push(0);
        let error = Image::new(large).expect_err("one byte too many");
        assert_eq!(error.to_string(), format!("the picture has 10485761 bytes; expected at most {MAX_IMAGE_BYTES}"));
        let error = ImageError::TooMany { count: 5 }.to_string();
        assert_eq!(error, format!("the message has 5 pictures; expected at most {MAX_IMAGES}"));
    }

    #[test]
    fn debug_shows_kind_and_size_alone() {
        assert_eq!(format!("{:?}", Image::new(PNG).expect("a picture")), "Image(image/png, 14 bytes)");
    }
}
