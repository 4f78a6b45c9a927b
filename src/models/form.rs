//! The form of an answer, told by its first significant byte: server-sent events, or JSON, one object or a list of them
//! that arrives in pieces (Gemini's stream without `alt=sse`). Takes bytes cut anywhere.

use serde::de::IgnoredAny;

use super::chat::{ChatEvent, Learned, ReadResult};
use super::ndjson::MAX_FRAME_BYTES;
use super::sse::{Frame, Frames};
use crate::usage::ErrorKind;

/// The data of the last event of an OpenAI stream: no object, and no list either.
pub(super) const DONE: &[u8] = b"[DONE]";

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A piece of an answer.
pub(super) enum Piece<'a> {
    /// An event with data.
    Event(Frame<'a>),
    /// An object that is the whole answer.
    Whole(&'a [u8]),
    /// An object of a list.
    Listed(&'a [u8]),
    /// What the end of the body cut off; it began as it should.
    Cut,
    /// Nothing that can be read, nor can what follows it.
    Broken,
}

/// What the pieces of an API's answers say.
pub(super) trait Pieces {
    /// Takes a piece, unless the answer is over; appends what it says to `events`.
    fn take(&mut self, piece: Piece<'_>, events: &mut Vec<ChatEvent>) {
        if !self.known().is_over() {
            self.piece(piece, events);
        }
    }

    /// Takes a piece of an answer that goes on.
    fn piece(&mut self, piece: Piece<'_>, events: &mut Vec<ChatEvent>);

    /// What is known so far.
    fn known(&self) -> &Known;

    /// The same, to be ended.
    fn known_mut(&mut self) -> &mut Known;
}

/// Reads a streamed or whole answer, in bytes cut anywhere.
#[derive(Default)]
pub struct Reader<P> {
    form: Form,
    pieces: P,
}

#[expect(private_bounds, reason = "an API of its own is nobody else's to write")]
impl<P: Pieces> Reader<P> {
    /// Takes the next bytes; appends what they say to `events`. After an error it says the same error for ever.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> ReadResult {
        self.form.push(bytes, |piece| self.pieces.take(piece, events));
        self.pieces.known().result()
    }

    /// Takes the end of the body. A frame that the end cut off is dropped; whether the answer is whole says
    /// [`Learned::complete`].
    pub fn finish(&mut self, events: &mut Vec<ChatEvent>) -> ReadResult {
        self.form.finish(|piece| self.pieces.take(piece, events));
        self.pieces.known_mut().finished()
    }

    /// What is known so far.
    pub fn learned(&self) -> &Learned {
        &self.pieces.known().learned
    }
}

/// Divides an answer into its pieces.
pub(super) enum Form {
    /// Not told yet: what may still become a byte order mark, or nothing.
    Unknown(Vec<u8>),
    Events(Frames),
    Json(Objects),
}

impl Default for Form {
    fn default() -> Form {
        Form::Unknown(Vec::new())
    }
}

impl Form {
    /// Gives `each` the pieces that `bytes` completes.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Piece<'_>)) {
        if let Form::Unknown(held) = self {
            held.extend_from_slice(bytes);
            let Some(form) = Form::told_by(held) else { return };
            let begun = std::mem::take(held);
            *self = form;
            return self.go_on(&begun, &mut each);
        }
        self.go_on(bytes, &mut each);
    }

    fn go_on(&mut self, bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        match self {
            Form::Unknown(_) => {}
            Form::Events(frames) => {
                if frames.push(bytes, |frame| each(Piece::Event(frame))).is_err() {
                    each(Piece::Broken);
                }
            }
            Form::Json(objects) => objects.push(bytes, each),
        }
    }

    /// Gives `each` what the end of the body leaves.
    pub(super) fn finish(&mut self, mut each: impl FnMut(Piece<'_>)) {
        match self {
            Form::Unknown(_) => {}
            Form::Events(frames) => {
                frames.finish(|frame| each(if is_cut(frame.data) { Piece::Cut } else { Piece::Event(frame) }));
            }
            Form::Json(objects) => objects.finish(each),
        }
    }

    /// Drops byte order marks and white space from the front of `held`; tells the form once something else is there.
    fn told_by(held: &mut Vec<u8>) -> Option<Form> {
        let mut rest = held.trim_ascii_start();
        while let Some(after_mark) = rest.strip_prefix(BYTE_ORDER_MARK) {
            rest = after_mark.trim_ascii_start();
        }
        held.drain(..held.len() - rest.len());
        match held.first()? {
            _ if held.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(held) => None,
            b'{' | b'[' => Some(Form::Json(Objects::default())),
            _ => Some(Form::Events(Frames::default())),
        }
    }
}

/// Whether this is the beginning of an event's data, or of an object, and not the whole of it.
fn is_cut(data: &[u8]) -> bool {
    let data = data.trim_ascii();
    match data.first() {
        Some(b'{') => serde_json::from_slice::<IgnoredAny>(data).is_err_and(|error| error.is_eof()),
        Some(b'[') => data.len() < DONE.len() && DONE.starts_with(data),
        _ => false,
    }
}

/// Finds the objects of JSON: one, or those of a list.
#[derive(Default)]
pub(super) struct Objects {
    /// The object that is open, as far as earlier bytes hold it.
    held: Vec<u8>,
    /// How many brackets of it are open.
    depth: usize,
    in_string: bool,
    escaped: bool,
    in_list: bool,
    place: Place,
}

/// Where the bytes outside of objects stand.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    InList,
    End,
    Broken,
}

impl Objects {
    fn push(&mut self, bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        let mut from = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if self.place == Place::Broken {
                return;
            }
            if self.depth == 0 {
                self.between(byte, each);
                from = at;
            } else if self.closes_with(byte) {
                self.close(&bytes[from..=at], each);
            }
        }
        if self.depth > 0 {
            self.hold(&bytes[from..], each);
        }
    }

    /// A byte outside of any object.
    fn between(&mut self, byte: u8, each: &mut impl FnMut(Piece<'_>)) {
        match (self.place, byte) {
            (_, b' ' | b'\t' | b'\r' | b'\n') | (Place::InList, b',') => {}
            (Place::Start | Place::InList, b'{') => self.depth = 1,
            (Place::Start, b'[') => (self.in_list, self.place) = (true, Place::InList),
            (Place::InList, b']') => self.place = Place::End,
            _ => self.fail(each),
        }
    }

    /// Whether `byte` is the last of the open object.
    fn closes_with(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        self.depth == 0
    }

    fn close(&mut self, rest: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        let mut held = std::mem::take(&mut self.held);
        if held.len() + rest.len() > MAX_FRAME_BYTES {
            return self.fail(each);
        }
        let object = if held.is_empty() {
            rest
        } else {
            held.extend_from_slice(rest);
            &held
        };
        if self.in_list {
            each(Piece::Listed(object));
        } else {
            self.place = Place::End;
            each(Piece::Whole(object));
        }
    }

    fn hold(&mut self, bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        if self.held.len() + bytes.len() > MAX_FRAME_BYTES {
            return self.fail(each);
        }
        self.held.extend_from_slice(bytes);
    }

    fn fail(&mut self, each: &mut impl FnMut(Piece<'_>)) {
        *self = Objects { place: Place::Broken, ..Objects::default() };
        each(Piece::Broken);
    }

    fn finish(&mut self, mut each: impl FnMut(Piece<'_>)) {
        if self.depth > 0 {
            each(if is_cut(&self.held) { Piece::Cut } else { Piece::Broken });
        }
    }
}

/// What a reader knows of an answer, whatever its API.
#[derive(Default)]
pub(super) struct Known {
    pub(super) learned: Learned,
    /// Whether any part was one of the API's.
    pub(super) recognised: bool,
    failed: Option<ErrorKind>,
}

impl Known {
    /// From now on the answer has failed. The first failure stays.
    pub(super) fn fail(&mut self, kind: ErrorKind) {
        self.failed.get_or_insert(kind);
    }

    /// Whether nothing more is to be read: it failed, or its last frame was there.
    pub(super) fn is_over(&self) -> bool {
        self.failed.is_some() || self.learned.terminal
    }

    /// Whether it has failed.
    pub(super) fn result(&self) -> ReadResult {
        self.failed.map_or(Ok(()), Err)
    }

    /// The end of the body: what had no part of the API's in it is no answer.
    pub(super) fn finished(&mut self) -> ReadResult {
        if !self.recognised {
            self.fail(ErrorKind::BadResponse);
        }
        self.result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out of these pieces of an answer, each by its first letter, and the length of objects.
    fn seen(pieces: &[&[u8]]) -> Vec<(char, usize)> {
        let mut form = Form::default();
        let mut seen = Vec::new();
        let mut note = |piece: Piece<'_>| {
            seen.push(match piece {
                Piece::Event(frame) => ('e', frame.data.len()),
                Piece::Whole(object) => ('w', object.len()),
                Piece::Listed(object) => ('l', object.len()),
                Piece::Cut => ('c', 0),
                Piece::Broken => ('b', 0),
            });
        };
        for piece in pieces {
            form.push(piece, &mut note);
        }
        form.finish(&mut note);
        seen
    }

    #[test]
    fn the_first_significant_byte_tells_the_form() {
        for (answer, expected) in [
            ("data: {}\n\n", &[('e', 2)][..]),
            (" \u{feff}\n{\"a\":[{}]} \n", &[('w', 10)]),
            ("[{\"}\\\"\":1},\n{}]", &[('l', 9), ('l', 2)]),
            ("{\"a\":", &[('c', 0)]),
            ("[{},{\"a\":", &[('l', 2), ('c', 0)]),
            ("[{},7,{}]", &[('l', 2), ('b', 0)]),
            ("{}{}", &[('w', 2), ('b', 0)]),
            ("{\"a\" 1", &[('b', 0)]),
            ("", &[]),
        ] {
            assert_eq!(seen(&[answer.as_bytes()]), expected, "{answer}");
            assert_eq!(seen(&answer.as_bytes().chunks(1).collect::<Vec<_>>()), expected, "{answer}");
        }
    }

    #[test]
    fn an_object_without_end_is_refused_once() {
        let long = [b"[{\"a\":\"".as_slice(), &vec![b'x'; MAX_FRAME_BYTES], b"\"},{}]"].concat();
        assert_eq!(seen(&[&long]), [('b', 0)]);
        assert_eq!(seen(&long.chunks(1 << 20).collect::<Vec<_>>()), [('b', 0)]);
    }
}
