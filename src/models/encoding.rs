//! The encodings of answers: what is asked for, and undoing gzip, which some servers send unasked. Pure and bounded.

use std::io::Write;

use flate2::write::MultiGzDecoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue};

/// The encoding to ask for, of those that a client takes: gzip, or none. In any other the usage could not be read.
pub fn readable_encoding(headers: &HeaderMap) -> HeaderValue {
    let takes_gzip = headers.get_all(ACCEPT_ENCODING).iter().any(|value| value.to_str().is_ok_and(names_gzip));
    HeaderValue::from_static(if takes_gzip { "gzip" } else { "identity" })
}

/// Whether an `Accept-Encoding` lets gzip in.
fn names_gzip(value: &str) -> bool {
    value.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = |q: &str| q.strip_prefix("q=").is_some_and(|q| q.trim_end_matches(['0', '.']).is_empty());
        is_gzip && !parts.any(refused)
    })
}

/// Whether an answer says that it is in an encoding that cannot be undone here.
pub fn is_unreadable(headers: &HeaderMap) -> bool {
    let readable = ["gzip", "x-gzip", "identity", ""];
    let is_readable = |value: &HeaderValue| {
        value.to_str().is_ok_and(|coding| readable.iter().any(|name| coding.trim().eq_ignore_ascii_case(name)))
    };
    !headers.get_all(CONTENT_ENCODING).iter().all(is_readable)
}

/// Decodes a body whose encoding is told by its first bytes, not by its header: servers lie both ways, and neither JSON
/// nor an event stream can begin like gzip.
#[derive(Default)]
pub struct Decoder {
    state: State,
}

#[derive(Default)]
enum State {
    /// Fewer than two bytes have come.
    #[default]
    Empty,
    /// The first byte could be gzip's.
    OneByte,
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

/// The body is damaged gzip, or unpacks to more than was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the compressed body cannot be read")]
pub struct Undecodable;

const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Compressed bytes given to the decoder at a time: deflate makes at most about 1000 bytes of one.
const STEP_BYTES: usize = 1024;

impl Decoder {
    /// `bytes` themselves where nothing is to be undone, which is known from the second byte of a body on; else they must
    /// be pushed.
    pub fn plain<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        if let (State::Empty, Some(first)) = (&self.state, bytes.first())
            && *first != MAGIC[0]
        {
            self.state = State::Plain;
        }
        matches!(self.state, State::Plain).then_some(bytes)
    }

    /// Appends what `bytes` unpack to; never lets `out` grow beyond `max_bytes` by more than one step's worth.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>, max_bytes: usize) -> Result<(), Undecodable> {
        let mut bytes = bytes;
        if let State::Empty = self.state {
            let Some(&first) = bytes.first() else { return Ok(()) };
            if first == MAGIC[0] {
                self.state = State::OneByte;
                bytes = &bytes[1..];
            } else {
                self.state = State::Plain;
            }
        }
        if let State::OneByte = self.state {
            let Some(&second) = bytes.first() else { return Ok(()) };
            if second == MAGIC[1] {
                let mut decoder = MultiGzDecoder::new(Vec::new());
                decoder.write_all(&MAGIC[..1]).map_err(|_| Undecodable)?;
                self.state = State::Gzip(Box::new(decoder));
            } else {
                out.push(MAGIC[0]);
                self.state = State::Plain;
            }
        }
        match &mut self.state {
            State::Gzip(decoder) => unpack(decoder, bytes, out, max_bytes),
            _ if out.len() + bytes.len() > max_bytes => Err(Undecodable),
            _ => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// At the end of the body: whether compressed data were whole and their checksum is right.
    pub fn finish(&mut self) -> Result<(), Undecodable> {
        match &mut self.state {
            State::Gzip(decoder) => decoder.try_finish().map_err(|_| Undecodable),
            State::Empty | State::OneByte | State::Plain => Ok(()),
        }
    }
}

fn unpack(
    decoder: &mut MultiGzDecoder<Vec<u8>>,
    bytes: &[u8],
    out: &mut Vec<u8>,
    max_bytes: usize,
) -> Result<(), Undecodable> {
    for step in bytes.chunks(STEP_BYTES) {
        decoder.write_all(step).and_then(|()| decoder.flush()).map_err(|_| Undecodable)?;
        out.append(decoder.get_mut());
        if out.len() > max_bytes {
            return Err(Undecodable);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    fn decoded(pieces: &[&[u8]], max_bytes: usize) -> Result<Vec<u8>, Undecodable> {
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        for piece in pieces {
            decoder.push(piece, &mut out, max_bytes)?;
        }
        decoder.finish()?;
        Ok(out)
    }

    #[test]
    fn gzip_is_undone_wherever_it_is_cut() {
        let text = b"data: {\"a\":1}\n\ndata: [DONE]\n\n".repeat(20);
        let body = packed(&text);
        for cut in 0..=body.len() {
            assert_eq!(decoded(&[&body[..cut], &body[cut..]], 1 << 20), Ok(text.clone()), "cut at {cut}");
        }
        assert_eq!(decoded(&body.chunks(1).collect::<Vec<_>>(), 1 << 20), Ok(text));
    }

    #[test]
    fn plain_text_passes_whatever_the_header_said() {
        assert_eq!(decoded(&[b"data", b": x"], 100), Ok(b"data: x".to_vec()));
        assert_eq!(decoded(&[b"\x1f", b"x"], 100), Ok(b"\x1fx".to_vec()));
    }

    #[test]
    fn a_bomb_is_stopped_and_damage_is_an_error() {
        let bomb = packed(&vec![0; 64 << 20]);
        assert_eq!(decoded(&[&bomb], 1 << 20), Err(Undecodable));
        let mut damaged = packed(b"a text that is long enough to be damaged in the middle of it");
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0xff;
        damaged[middle + 1] ^= 0xff;
        assert_eq!(decoded(&[&damaged], 1 << 20), Err(Undecodable));
        let cut = packed(b"cut");
        assert_eq!(decoded(&[&cut[..cut.len() - 3]], 1 << 20), Err(Undecodable));
    }
}
