//! Lines out of a stream of bytes that may be cut anywhere: the framing of NDJSON, and the lower half of SSE's.

/// The largest line or frame that is held, in bytes. A stream with a larger one is not read any further.
pub const MAX_FRAME_BYTES: usize = 8 << 20;

/// A line or frame above [`MAX_FRAME_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame is larger than {MAX_FRAME_BYTES} bytes")]
pub struct FrameTooLarge;

/// Splits at `\n`, drops one `\r` before it and a byte order mark at the very start. Lines may be empty.
#[derive(Default)]
pub struct Lines {
    held: Vec<u8>,
    begun: bool,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Lines {
    /// Gives `each` every line that `bytes` completes. Lines that lie whole in `bytes` are not copied.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), FrameTooLarge> {
        while let Some(at) = bytes.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = (&bytes[..at], &bytes[at + 1..]);
            if self.held.is_empty() {
                each(trimmed(&mut self.begun, line));
            } else {
                self.hold(line)?;
                each(trimmed(&mut self.begun, &self.held));
                self.held.clear();
            }
            bytes = rest;
        }
        self.hold(bytes)
    }

    /// The last line, when the stream ended without `\n`.
    pub fn finish(&mut self, each: impl FnOnce(&[u8])) {
        if !self.held.is_empty() {
            each(trimmed(&mut self.begun, &self.held));
            self.held.clear();
        }
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), FrameTooLarge> {
        if self.held.len() + bytes.len() > MAX_FRAME_BYTES {
            return Err(FrameTooLarge);
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }
}

fn trimmed<'a>(begun: &mut bool, line: &'a [u8]) -> &'a [u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if std::mem::replace(begun, true) { line } else { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for piece in pieces {
            lines.push(piece, |line| seen.push(String::from_utf8_lossy(line).into_owned())).expect("small");
        }
        lines.finish(|line| seen.push(format!("{}…", String::from_utf8_lossy(line))));
        seen
    }

    #[test]
    fn lines_are_the_same_wherever_the_bytes_are_cut() {
        let stream = "\u{feff}uno\r\n\ndós\nfin".as_bytes();
        let whole = lines_of(&[stream]);
        assert_eq!(whole, ["uno", "", "dós", "fin…"]);
        for cut in 0..=stream.len() {
            assert_eq!(lines_of(&[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
        }
        assert_eq!(lines_of(&stream.chunks(1).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; MAX_FRAME_BYTES / 2 + 1];
        assert_eq!(lines.push(&piece, |_| ()), Ok(()));
        assert_eq!(lines.push(&piece, |_| ()), Err(FrameTooLarge));
    }
}
