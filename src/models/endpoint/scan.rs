//! JSON read as it comes, cut anywhere, in memory that does not grow: tells only of the values on wanted paths.
//!
//! What is not wanted is skipped, not looked at; what lies whole in the bytes at hand is borrowed from them, and only what
//! they cut off is held.

use super::steps::Paths;
use super::text::{Pieces, plain};

/// Levels that are followed, and the most a request may have.
pub(super) const MAX_DEPTH: usize = 127;
/// Levels that there is room for from the beginning.
const USUAL_DEPTH: usize = 8;
/// Keys and scalars beyond are none of ours.
pub(super) const MAX_WORD_BYTES: usize = 64;

/// How a value begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Object,
    List,
    Text,
    /// A number, or `true`, `false`, `null`.
    Scalar,
}

/// Takes what is found on wanted paths. Offsets count from the first byte pushed.
pub(super) trait Found<W> {
    /// A value begins at this offset. `exact`: its keys are spelled as wanted, and not in another case.
    fn begins(&mut self, what: W, shape: Shape, at: usize, exact: bool);
    /// The next piece of a text, unescaped.
    fn text(&mut self, what: W, piece: &str);
    /// A scalar, as it stands.
    fn scalar(&mut self, what: W, raw: &str);
    /// The value ended before this offset.
    fn ends(&mut self, what: W, at: usize);
    /// The outermost object ended; of a list of objects each one.
    fn document(&mut self);
}

/// Where a value stands.
struct Place<W: 'static> {
    /// `None` on no wanted path.
    step: Option<Paths<W>>,
    /// Whether all keys so far are spelled as wanted, and not in another case.
    exact: bool,
}

impl<W> Clone for Place<W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Place<W> {}

/// An object or list that is open, and on a wanted path.
struct Level<W: 'static> {
    step: Paths<W>,
    exact: bool,
    is_list: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Between,
    Key,
    Text,
    Scalar,
    /// In so many levels of what nobody wants.
    Skip(usize),
    SkipText(usize),
    /// Not JSON. Nothing is read until it is cleared.
    Broken,
}

/// Reads one JSON value after another.
pub(super) struct Scanner<W: 'static> {
    paths: Paths<W>,
    /// Whether keys are taken in any case, and what is not JSON is minded.
    of_request: bool,
    levels: Vec<Level<W>>,
    next: Next,
    mode: Mode,
    /// Where the value to come, or being read, stands.
    place: Place<W>,
    /// The beginning of a key or a scalar that was cut off.
    word: Vec<u8>,
    pieces: Pieces,
    /// Bytes before those being read.
    before: usize,
    deepest: usize,
    /// Values that ended, of those that stand in no other.
    values: usize,
    /// Whether anything was passed over that may not be JSON.
    doubtful: bool,
}

/// The bytes being read, and as much of them as is text from the first on.
#[derive(Clone, Copy)]
struct Input<'a> {
    bytes: &'a [u8],
    text: &'a str,
}

impl<'a> Input<'a> {
    fn of(bytes: &'a [u8]) -> Input<'a> {
        let text = std::str::from_utf8(bytes).or_else(|error| std::str::from_utf8(&bytes[..error.valid_up_to()]));
        Input { bytes, text: text.unwrap_or_default() }
    }
}

impl<W: Copy> Scanner<W> {
    /// A scanner for these paths, keys in exactly this case.
    pub(super) fn new(paths: Paths<W>) -> Scanner<W> {
        Scanner {
            paths,
            of_request: false,
            levels: Vec::with_capacity(USUAL_DEPTH),
            next: Next::Value,
            mode: Mode::Between,
            place: Place { step: Some(paths), exact: true },
            word: Vec::new(),
            pieces: Pieces::default(),
            before: 0,
            deepest: 0,
            values: 0,
            doubtful: false,
        }
    }

    /// A scanner of what servers are to read: it takes keys in any case, as some of them do, and minds what is not JSON.
    pub(super) fn of_request(paths: Paths<W>) -> Scanner<W> {
        Scanner { of_request: true, ..Scanner::new(paths) }
    }

    /// Whether it is within a value, or behind something that is not JSON.
    pub(super) fn is_midway(&self) -> bool {
        self.mode != Mode::Between || !self.levels.is_empty()
    }

    /// Whether it is within an object or a list.
    pub(super) fn is_inside(&self) -> bool {
        !self.levels.is_empty() && !self.is_broken()
    }

    /// Whether what came is not JSON.
    pub(super) fn is_broken(&self) -> bool {
        self.mode == Mode::Broken
    }

    /// The deepest nesting seen.
    pub(super) fn deepest(&self) -> usize {
        self.deepest
    }

    /// Whether what came is one JSON value for certain, of a request without control characters. What this does not say of
    /// may be one as well: what nobody wants is passed over unread.
    pub(super) fn is_one_value(&self) -> bool {
        self.values == 1 && !self.is_midway() && !self.doubtful && !self.pieces.are_doubtful()
    }

    /// Begins anew, as if nothing had come.
    pub(super) fn clear(&mut self) {
        self.levels.clear();
        self.pieces = Pieces::default();
        self.mode = Mode::Between;
        self.expect_value();
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], found: &mut impl Found<W>) {
        self.read(Input::of(bytes), found);
    }

    /// Takes the next bytes, which are known to be text.
    pub(super) fn push_text(&mut self, text: &str, found: &mut impl Found<W>) {
        self.read(Input { bytes: text.as_bytes(), text }, found);
    }

    fn read(&mut self, input: Input<'_>, found: &mut impl Found<W>) {
        let (bytes, mut at) = (input.bytes, 0);
        while at < bytes.len() {
            at = match self.mode {
                Mode::Between => self.between(input, at, found),
                Mode::Key => self.key(bytes, at, found),
                Mode::Text => self.text(bytes, at, found),
                Mode::Scalar => self.scalar(bytes, at, found),
                Mode::Skip(depth) => self.skip(bytes, at, depth),
                Mode::SkipText(depth) => self.skip_text(bytes, at, depth),
                Mode::Broken => bytes.len(),
            };
        }
        self.before += bytes.len();
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.levels.capacity() * size_of::<Level<W>>() + self.word.capacity()
    }

    /// A value is to come, within what is open.
    fn expect_value(&mut self) {
        self.next = Next::Value;
        self.place = match self.levels.last() {
            Some(level) => Place { step: Some(level.step), exact: level.exact },
            None => Place { step: Some(self.paths), exact: true },
        };
    }

    /// Reads on to the end. Each of these takes bytes from an offset on, and gives the offset behind what it took: that is
    /// the end, unless what it took is whole.
    fn between(&mut self, input: Input<'_>, from: usize, found: &mut impl Found<W>) -> usize {
        let mut at = from;
        while let Some(&byte) = input.bytes.get(at) {
            at = match (self.next, byte) {
                (Next::Key | Next::KeyOrEnd, b'"') => self.members(input, at + 1, found),
                (Next::CommaOrEnd, b',') => self.comma(at),
                (Next::KeyOrEnd | Next::CommaOrEnd, b'}') => self.close(input.bytes, at, found),
                (Next::ValueOrEnd | Next::CommaOrEnd, b']') => self.close(input.bytes, at, found),
                (Next::Colon, b':') => {
                    self.next = Next::Value;
                    at + 1
                }
                (_, b' ' | b'\t' | b'\n' | b'\r') => at + 1,
                (Next::Value | Next::ValueOrEnd, _) => self.value(input, at, found),
                _ => self.give_up(input.bytes),
            };
        }
        at
    }

    /// Takes a key with its value, and those that follow, as far as nothing stands between them but what must.
    fn members(&mut self, input: Input<'_>, from: usize, found: &mut impl Found<W>) -> usize {
        let mut at = from;
        loop {
            at = self.begin_key(input.bytes, at, found);
            if self.next != Next::Value || input.bytes.get(at).is_none_or(u8::is_ascii_whitespace) {
                return at;
            }
            at = self.value(input, at, found);
            if self.next != Next::CommaOrEnd || !input.bytes[at..].starts_with(b",\"") {
                return at;
            }
            at += 2;
        }
    }

    fn comma(&mut self, at: usize) -> usize {
        match self.levels.last().is_some_and(|level| level.is_list) {
            true => self.expect_value(),
            false => self.next = Next::Key,
        }
        at + 1
    }

    fn give_up(&mut self, bytes: &[u8]) -> usize {
        self.mode = Mode::Broken;
        bytes.len()
    }

    /// Begins a value, and takes it as far as it is a text or a scalar.
    // Inlined where members are read, which is nearly always: a third of a value's cost.
    #[inline(always)]
    fn value(&mut self, input: Input<'_>, at: usize, found: &mut impl Found<W>) -> usize {
        let shape = match input.bytes[at] {
            b'{' => Shape::Object,
            b'[' => Shape::List,
            b'"' => Shape::Text,
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => Shape::Scalar,
            _ => return self.give_up(input.bytes),
        };
        if let Some(what) = self.wanted() {
            found.begins(what, shape, self.before + at, self.place.exact);
        }
        match shape {
            Shape::Object | Shape::List => self.open(input.bytes, at, shape == Shape::List),
            Shape::Text => self.begin_text(input, at + 1, found),
            Shape::Scalar => self.begin_scalar(input, at, found),
        }
    }

    /// What is wanted of the value being read.
    fn wanted(&self) -> Option<W> {
        self.place.step?.what
    }

    fn open(&mut self, bytes: &[u8], at: usize, is_list: bool) -> usize {
        self.deepest = self.deepest.max(self.levels.len() + 1);
        match self.place {
            Place { step: Some(step), exact } if self.levels.len() < MAX_DEPTH => {
                self.levels.push(Level { step, exact, is_list });
                self.next = if is_list { Next::ValueOrEnd } else { Next::KeyOrEnd };
                at + 1
            }
            _ => self.skip(bytes, at + 1, 1),
        }
    }

    fn close(&mut self, bytes: &[u8], at: usize, found: &mut impl Found<W>) -> usize {
        let is_list = bytes[at] == b']';
        let Some(level) = self.levels.pop().filter(|level| level.is_list == is_list) else {
            return self.give_up(bytes);
        };
        if let Some(what) = level.step.what {
            found.ends(what, self.before + at + 1);
        }
        let is_outermost = self.levels.len() <= 1 && self.levels.iter().all(|level| level.is_list);
        if !is_list && is_outermost {
            found.document();
        }
        self.value_ended();
        at + 1
    }

    fn value_ended(&mut self) {
        self.mode = Mode::Between;
        self.next = Next::CommaOrEnd;
        if self.levels.is_empty() {
            self.values += 1;
            self.expect_value();
        }
    }

    /// Begins a key; takes it, with its colon, when it lies whole and plain in the bytes.
    fn begin_key(&mut self, bytes: &[u8], at: usize, found: &mut impl Found<W>) -> usize {
        let Some(&Level { step, exact, .. }) = self.levels.last() else { return bytes.len() };
        let rest = &bytes[at..];
        let (place, len) = if let Some(step) = step.begun_by(rest) {
            (Place { step: Some(step), exact }, step.key.len())
        } else if let Some(key) = plain(rest).filter(|_| !step.is_whole) {
            (self.step_in_other_case(step, key), key.len())
        } else {
            self.word.clear();
            return self.key(bytes, at, found);
        };
        self.place = place;
        if rest.get(len + 1) == Some(&b':') {
            self.next = Next::Value;
            return at + len + 2;
        }
        self.next = Next::Colon;
        at + len + 1
    }

    fn key(&mut self, bytes: &[u8], at: usize, found: &mut impl Found<W>) -> usize {
        let Some(&Level { step, exact, .. }) = self.levels.last() else { return bytes.len() };
        let text_of = step.what.filter(|_| step.is_whole);
        let word = &mut self.word;
        let (taken, ended) = self.pieces.take(&bytes[at..], |piece| {
            let room = (MAX_WORD_BYTES + 1).saturating_sub(word.len());
            word.extend_from_slice(&piece.as_bytes()[..piece.len().min(room)]);
            if let Some(what) = text_of {
                found.text(what, piece);
            }
        });
        self.mode = Mode::Key;
        if ended {
            self.place = match if step.is_whole { Some(step) } else { step.by(&self.word) } {
                Some(step) => Place { step: Some(step), exact },
                None => self.step_in_other_case(step, &self.word),
            };
            (self.mode, self.next) = (Mode::Between, Next::Colon);
        }
        at + taken
    }

    /// Begins a text; takes it when it lies whole and plain in the bytes.
    fn begin_text(&mut self, input: Input<'_>, at: usize, found: &mut impl Found<W>) -> usize {
        let Some(len) = plain(&input.bytes[at..]).map(<[u8]>::len) else { return self.text(input.bytes, at, found) };
        if let Some(what) = self.wanted() {
            let Some(text) = input.text.get(at..at + len) else { return self.text(input.bytes, at, found) };
            if !text.is_empty() {
                found.text(what, text);
            }
            found.ends(what, self.before + at + len + 1);
        }
        self.value_ended();
        at + len + 1
    }

    fn text(&mut self, bytes: &[u8], at: usize, found: &mut impl Found<W>) -> usize {
        let (taken, ended) = match self.wanted() {
            Some(what) => self.pieces.take(&bytes[at..], |piece| found.text(what, piece)),
            None => self.pieces.pass(&bytes[at..]),
        };
        self.mode = Mode::Text;
        if ended {
            if let Some(what) = self.wanted() {
                found.ends(what, self.before + at + taken);
            }
            self.value_ended();
        }
        at + taken
    }

    /// Begins a scalar; takes it when its end is in the bytes.
    fn begin_scalar(&mut self, input: Input<'_>, at: usize, found: &mut impl Found<W>) -> usize {
        let len = input.bytes[at..].iter().position(|&byte| !IN_SCALARS[usize::from(byte)]);
        let Some(raw) = len.and_then(|len| input.text.get(at..at + len)) else {
            self.word.clear();
            return self.scalar(input.bytes, at, found);
        };
        self.scalar_ended(raw, at + raw.len(), found);
        at + raw.len()
    }

    fn scalar(&mut self, bytes: &[u8], at: usize, found: &mut impl Found<W>) -> usize {
        let rest = &bytes[at..];
        let end = rest.iter().position(|&byte| !IN_SCALARS[usize::from(byte)]);
        let taken = end.unwrap_or(rest.len());
        let room = (MAX_WORD_BYTES + 1).saturating_sub(self.word.len());
        self.word.extend_from_slice(&rest[..taken.min(room)]);
        self.mode = Mode::Scalar;
        if end.is_some() {
            let word = std::mem::take(&mut self.word);
            self.scalar_ended(std::str::from_utf8(&word).unwrap_or_default(), at + taken, found);
            self.word = word;
        }
        at + taken
    }

    fn scalar_ended(&mut self, raw: &str, end: usize, found: &mut impl Found<W>) {
        self.doubtful |= self.of_request && !is_json_scalar(raw.as_bytes());
        if let Some(what) = self.wanted() {
            if raw.len() <= MAX_WORD_BYTES {
                found.scalar(what, raw);
            }
            found.ends(what, self.before + end);
        }
        self.value_ended();
    }

    fn skip(&mut self, bytes: &[u8], from: usize, mut depth: usize) -> usize {
        self.doubtful = true;
        let mut at = from;
        while let Some(mark) = mark_in(&bytes[at..]) {
            at += mark + 1;
            match bytes[at - 1] {
                b'"' => {
                    let (taken, ended) = self.pieces.pass(&bytes[at..]);
                    at += taken;
                    if !ended {
                        self.mode = Mode::SkipText(depth);
                        return at;
                    }
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.deepest = self.deepest.max(self.levels.len() + depth);
                }
                _ if depth > 1 => depth -= 1,
                _ => {
                    self.value_ended();
                    return at;
                }
            }
        }
        self.mode = Mode::Skip(depth);
        bytes.len()
    }

    fn skip_text(&mut self, bytes: &[u8], at: usize, depth: usize) -> usize {
        let (taken, ended) = self.pieces.pass(&bytes[at..]);
        if ended {
            self.mode = Mode::Skip(depth);
        }
        at + taken
    }

    /// Where the value of a key stands that is not spelled as any that is wanted.
    fn step_in_other_case(&self, before: Paths<W>, key: &[u8]) -> Place<W> {
        let step = if self.of_request { before.in_other_case(key) } else { None };
        Place { step, exact: false }
    }
}

/// What a scalar may be made of.
const IN_SCALARS: [bool; 256] = {
    let mut is_in = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        is_in[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        byte += 1;
    }
    is_in
};

/// Where the next quote, brace or bracket is; blocks without any are passed at once.
fn mark_in(bytes: &[u8]) -> Option<usize> {
    // In ASCII a brace and a bracket differ in one bit.
    let is_mark = |byte: u8| (byte == b'"') | (byte | 0x20 == b'{') | (byte | 0x20 == b'}');
    let (blocks, _) = bytes.as_chunks::<32>();
    let is_free = |block: &&[u8; 32]| !block.iter().fold(false, |any, &byte| any | is_mark(byte));
    let free = blocks.iter().take_while(is_free).count() * 32;
    Some(free + bytes[free..].iter().position(|&byte| is_mark(byte))?)
}

/// Whether this is a scalar of JSON for certain: long ones, and numbers with an exponent, may be as well.
fn is_json_scalar(raw: &[u8]) -> bool {
    let are_digits = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let mut parts = raw.strip_prefix(b"-").unwrap_or(raw).splitn(2, |&byte| byte == b'.');
    let whole = parts.next().unwrap_or_default();
    let is_number = are_digits(whole) && (whole.len() == 1 || whole[0] != b'0') && parts.next().is_none_or(are_digits);
    raw.len() <= MAX_WORD_BYTES && is_number || matches!(raw, b"true" | b"false" | b"null")
}
