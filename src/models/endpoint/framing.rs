//! The form of an answer, told by its first byte: server-sent events, or JSON values one behind the other.
//!
//! Nothing of an answer is held: what stands in an event goes on to the scanner as it comes.

use super::answers::Said;
use super::scan::{Found, Scanner};

/// Takes what the frames hold, and is told of their ends.
pub(super) trait Framed: Found<Said> {
    /// The answer is no stream of events.
    fn is_values(&mut self);
    /// A frame ended.
    fn frame(&mut self, frame: Frame);
}

/// A frame that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// An event with JSON, or with nothing.
    Event,
    /// An event by the name of `error`, whatever it holds.
    Error,
    /// OpenAI's last event.
    Done,
    /// An event or a line that is not JSON.
    Bad,
}

/// Takes the bytes of an answer apart.
#[derive(Default)]
pub(super) enum Form {
    /// Only white space and byte order marks so far.
    #[default]
    Unknown,
    Events(Events),
    /// One JSON value, or one on each line, or a list of them.
    Values,
}

/// Where the reading of events stands.
#[derive(Default)]
pub(super) struct Events {
    line: Line,
    /// The beginning of the line's name, or of the value of `event:`.
    word: Vec<u8>,
    /// The beginning of the event's data.
    head: Vec<u8>,
    is_error: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Name,
    Data,
    Event,
    Other,
}

const DONE: &[u8] = b"[DONE]";
/// More than any word that is looked for.
const MAX_WORD_BYTES: usize = 16;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Form {
    /// Takes the next bytes; what they hold goes by way of the scanner to `found`.
    pub(super) fn push(&mut self, bytes: &[u8], scanner: &mut Scanner<Said>, found: &mut impl Framed) {
        let bytes = if let Form::Unknown = self { self.begin(bytes, found) } else { bytes };
        match self {
            Form::Unknown => {}
            Form::Events(events) => events.push(bytes, scanner, found),
            Form::Values => values(bytes, scanner, found),
        }
    }

    /// Takes the end of the body: an event that is whole but for its empty line counts. Says whether it was cut off.
    pub(super) fn finish(&mut self, scanner: &mut Scanner<Said>, found: &mut impl Framed) -> bool {
        if let Form::Events(events) = self {
            if !scanner.is_midway() && !events.head.is_empty() {
                events.dispatch(scanner, found);
            }
        } else if scanner.is_broken() {
            found.frame(Frame::Bad);
        }
        scanner.is_inside()
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        let Form::Events(events) = self else { return 0 };
        events.word.capacity() + events.head.capacity()
    }

    /// Drops what may stand before the first byte that tells the form.
    fn begin<'a>(&mut self, bytes: &'a [u8], found: &mut impl Framed) -> &'a [u8] {
        let is_before = |byte: &u8| byte.is_ascii_whitespace() || BYTE_ORDER_MARK.contains(byte);
        let from = bytes.iter().position(|byte| !is_before(byte)).unwrap_or(bytes.len());
        match bytes.get(from) {
            None => {}
            Some(b'{' | b'[') => {
                found.is_values();
                *self = Form::Values;
            }
            Some(_) => *self = Form::Events(Events::default()),
        }
        &bytes[from..]
    }
}

/// What is not JSON is left behind at the end of its line.
fn values(bytes: &[u8], scanner: &mut Scanner<Said>, found: &mut impl Framed) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (line, behind) = rest.split_at(end);
        rest = behind;
        scanner.push(line, found);
        if scanner.is_broken() && line.ends_with(b"\n") {
            scanner.clear();
            found.frame(Frame::Bad);
        }
    }
}

impl Events {
    fn push(&mut self, bytes: &[u8], scanner: &mut Scanner<Said>, found: &mut impl Framed) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.piece(&rest[..end], scanner, found);
            self.line_ended(scanner, found);
            rest = &rest[end + 1..];
        }
        self.piece(rest, scanner, found);
    }

    /// A piece of a line.
    fn piece(&mut self, piece: &[u8], scanner: &mut Scanner<Said>, found: &mut impl Framed) {
        match self.line {
            Line::Data => self.data(piece, scanner, found),
            Line::Event => hold(&mut self.word, piece),
            Line::Other => {}
            Line::Name => {
                let colon = memchr::memchr(b':', piece);
                hold(&mut self.word, &piece[..colon.unwrap_or(piece.len())]);
                let Some(colon) = colon else { return };
                self.line = match self.word.as_slice() {
                    b"data" => Line::Data,
                    b"event" => Line::Event,
                    _ => Line::Other,
                };
                self.word.clear();
                self.piece(&piece[colon + 1..], scanner, found);
            }
        }
    }

    fn data(&mut self, piece: &[u8], scanner: &mut Scanner<Said>, found: &mut impl Framed) {
        if self.head.len() <= DONE.len() {
            let begun = if self.head.is_empty() { piece.trim_ascii_start() } else { piece };
            hold(&mut self.head, begun);
        }
        scanner.push(piece, found);
    }

    fn line_ended(&mut self, scanner: &mut Scanner<Said>, found: &mut impl Framed) {
        match self.line {
            Line::Data => scanner.push(b"\n", found),
            Line::Event => self.is_error = self.word.trim_ascii() == b"error",
            Line::Name if self.word.trim_ascii().is_empty() => self.dispatch(scanner, found),
            Line::Name | Line::Other => {}
        }
        self.line = Line::Name;
        self.word.clear();
    }

    /// Ends the event.
    fn dispatch(&mut self, scanner: &mut Scanner<Said>, found: &mut impl Framed) {
        let head = self.head.trim_ascii();
        let frame = if head == DONE {
            Frame::Done
        } else if self.is_error && !head.is_empty() {
            Frame::Error
        } else if scanner.is_midway() {
            Frame::Bad
        } else {
            Frame::Event
        };
        found.frame(frame);
        scanner.clear();
        self.head.clear();
        self.is_error = false;
    }
}

fn hold(word: &mut Vec<u8>, piece: &[u8]) {
    let room = (MAX_WORD_BYTES + 1).saturating_sub(word.len());
    word.extend_from_slice(&piece[..piece.len().min(room)]);
}
