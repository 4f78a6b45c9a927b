//! Server-sent events out of a stream of bytes that may be cut anywhere.
//!
//! Accepts LF and CRLF, comments, several `data:` lines in a frame, and fields it does not know. A frame ends at an
//! empty line; what the end of the stream cuts off is given as unterminated, for the reader to judge.

use super::ndjson::{FrameTooLarge, Lines, MAX_FRAME_BYTES};

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The `event:` field; empty when there was none.
    pub event: &'a str,
    /// The `data:` lines, joined with `\n`.
    pub data: &'a [u8],
}

/// Collects lines into frames.
#[derive(Default)]
pub struct Frames {
    lines: Lines,
    pending: Pending,
}

#[derive(Default)]
struct Pending {
    event: String,
    data: Vec<u8>,
    has_data: bool,
    too_large: bool,
}

impl Frames {
    /// Gives `each` every frame that `bytes` completes. Frames without data are skipped.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Frame<'_>)) -> Result<(), FrameTooLarge> {
        let pending = &mut self.pending;
        self.lines.push(bytes, |line| {
            if line.is_empty() {
                pending.dispatch(&mut each);
            } else {
                pending.field(line);
            }
        })?;
        if pending.too_large { Err(FrameTooLarge) } else { Ok(()) }
    }

    /// The frame the stream ended in, if it had data: it may be whole or cut.
    pub fn finish(&mut self, each: impl FnMut(Frame<'_>)) {
        let pending = &mut self.pending;
        self.lines.finish(|line| pending.field(line));
        pending.dispatch(each);
    }
}

impl Pending {
    fn field(&mut self, line: &[u8]) {
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" if self.data.len() + value.len() >= MAX_FRAME_BYTES => self.too_large = true,
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
    }

    fn dispatch(&mut self, mut each: impl FnMut(Frame<'_>)) {
        if self.has_data {
            each(Frame { event: &self.event, data: &self.data });
        }
        self.event.clear();
        self.data.clear();
        self.has_data = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames_of(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut frames = Frames::default();
        let mut seen = Vec::new();
        let mut note = |frame: Frame<'_>| {
            seen.push((frame.event.to_owned(), String::from_utf8_lossy(frame.data).into_owned()));
        };
        for piece in pieces {
            frames.push(piece, &mut note).expect("small");
        }
        frames.finish(note);
        seen
    }

    const STREAM: &str = "\u{feff}: keep-alive\n\ndata: {\"a\":1}\n\n: ping\r\ndata:one\r\ndata: two\r\nid: 7\r\nretry\r\n\r\n\
                          event: message_stop\ndata:  ñ\n\nevent: lonely\n\ndata\n\ndata: cut";

    #[test]
    fn frames_are_the_same_wherever_the_bytes_are_cut() {
        let whole = frames_of(&[STREAM.as_bytes()]);
        let pair = |event: &str, data: &str| (event.to_owned(), data.to_owned());
        let expected =
            [pair("", "{\"a\":1}"), pair("", "one\ntwo"), pair("message_stop", " ñ"), pair("", ""), pair("", "cut")];
        assert_eq!(whole, expected);
        for cut in 0..=STREAM.len() {
            let (head, tail) = STREAM.as_bytes().split_at(cut);
            assert_eq!(frames_of(&[head, tail]), whole, "cut at {cut}");
        }
        assert_eq!(frames_of(&STREAM.as_bytes().chunks(1).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn a_frame_of_endless_data_lines_is_refused() {
        let mut frames = Frames::default();
        let line = format!("data: {}\n", "x".repeat(MAX_FRAME_BYTES / 3));
        let results: Vec<_> = (0..4).map(|_| frames.push(line.as_bytes(), |_| ())).collect();
        assert_eq!(results.last(), Some(&Err(FrameTooLarge)));
    }
}
