//! Cutting an event stream at the ends of its frames, byte for byte.

use bytes::{Bytes, BytesMut};
use memchr::memchr_iter;

/// A frame that grows beyond this is let go as it is.
const MAX_FRAME_BYTES: usize = 1 << 20;

/// Takes bytes and gives them back frame by frame. What it gives is, put together, what it was given; only a frame that
/// was cut is put together anew.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pending: Bytes,
    /// No frame ends before this offset.
    searched: usize,
}

impl Frames {
    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.pending.is_empty() {
            self.pending = bytes;
            return;
        }
        let cut = std::mem::take(&mut self.pending).try_into_mut();
        let mut pending = cut.unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        pending.extend_from_slice(&bytes);
        self.pending = pending.freeze();
    }

    /// The next whole frame, with the empty line that ends it.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let length = match frame_end(&self.pending, self.searched) {
            Some(end) => end,
            None if self.pending.len() > MAX_FRAME_BYTES => self.pending.len(),
            None => {
                // An empty line may be cut anywhere: its bytes are looked at again.
                self.searched = self.pending.len().saturating_sub(3);
                return None;
            }
        };
        self.searched = 0;
        Some(self.pending.split_to(length))
    }

    /// What is left when nothing follows.
    pub(super) fn rest(&mut self) -> Bytes {
        self.searched = 0;
        std::mem::take(&mut self.pending)
    }
}

/// Bytes that belong together; one piece alone is not copied.
#[derive(Default)]
pub(super) struct Joined {
    first: Bytes,
    all: BytesMut,
}

impl Joined {
    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.first.is_empty() {
            self.first = bytes;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    pub(super) fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

/// Where the frame ends that begins the bytes: behind its first empty line.
fn frame_end(bytes: &[u8], from: usize) -> Option<usize> {
    let line_ends = memchr_iter(b'\n', &bytes[from..]).map(|at| from + at);
    line_ends.map(|at| &bytes[at + 1..]).find_map(|rest| {
        let length = match rest {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return None,
        };
        Some(bytes.len() - rest.len() + length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> (Vec<Bytes>, Bytes) {
        let mut frames = Frames::default();
        let mut seen = Vec::new();
        for piece in pieces {
            frames.push(Bytes::copy_from_slice(piece));
            seen.extend(std::iter::from_fn(|| frames.next()));
        }
        (seen, frames.rest())
    }

    #[test]
    fn frames_are_the_same_wherever_the_bytes_are_cut() {
        let stream = b": ping\n\ndata: a\r\ndata: b\r\n\r\ndata: [DONE]\n\ndata: rest";
        let (whole, rest) = cut(&[stream]);
        assert_eq!(whole, [&b": ping\n\n"[..], b"data: a\r\ndata: b\r\n\r\n", b"data: [DONE]\n\n"]);
        assert_eq!(rest, "data: rest");
        for at in 0..=stream.len() {
            assert_eq!(cut(&[&stream[..at], &stream[at..]]), (whole.clone(), rest.clone()), "cut at {at}");
        }
        assert_eq!(cut(&stream.chunks(1).collect::<Vec<_>>()), (whole, rest));
    }

    #[test]
    fn what_never_ends_is_let_go() {
        let mut frames = Frames::default();
        frames.push(vec![b'x'; MAX_FRAME_BYTES + 1].into());
        assert_eq!(frames.next().map(|frame| frame.len()), Some(MAX_FRAME_BYTES + 1));
        assert!(frames.rest().is_empty());
    }
}
