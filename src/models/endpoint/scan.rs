//! JSON read as it comes, cut anywhere, in memory that does not grow: tells only of the values on wanted paths.
//!
//! A path names the keys from the outermost object inwards; lists do not count as a step, so `choices.text` is the text
//! of every choice, and a list of objects around everything changes nothing. What is not wanted is skipped, not looked
//! at; what lies whole in the bytes at hand is borrowed from them, and only what they cut off is held.

use super::text::Pieces;

/// The wanted paths: the step before the first.
pub(super) type Paths<W> = &'static Step<W>;

/// A step of wanted paths, and those behind it.
pub(super) struct Step<W: 'static> {
    key: &'static str,
    /// What is wanted of the value here.
    what: Option<W>,
    below: &'static [Step<W>],
    /// Whether it is wanted however it is built, with all keys and texts within.
    is_whole: bool,
}

/// The step before the first.
pub(super) const fn root<W: Copy>(below: &'static [Step<W>]) -> Step<W> {
    group("", below)
}

/// A value that is not wanted itself, but these within it.
pub(super) const fn group<W: Copy>(key: &'static str, below: &'static [Step<W>]) -> Step<W> {
    Step { key, what: None, below, is_whole: false }
}

/// A wanted value.
pub(super) const fn leaf<W: Copy>(key: &'static str, what: W) -> Step<W> {
    node(key, what, &[])
}

/// A wanted value, and those wanted within it.
pub(super) const fn node<W: Copy>(key: &'static str, what: W, below: &'static [Step<W>]) -> Step<W> {
    Step { key, what: Some(what), below, is_whole: false }
}

/// A value that is wanted however it is built, with all keys and texts within.
pub(super) const fn whole<W: Copy>(key: &'static str, what: W) -> Step<W> {
    Step { key, what: Some(what), below: &[], is_whole: true }
}

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
    any_case: bool,
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
}

impl<W: Copy> Scanner<W> {
    /// A scanner for these paths, keys in exactly this case.
    pub(super) fn new(paths: Paths<W>) -> Scanner<W> {
        Scanner {
            paths,
            any_case: false,
            levels: Vec::with_capacity(USUAL_DEPTH),
            next: Next::Value,
            mode: Mode::Between,
            place: Place { step: Some(paths), exact: true },
            word: Vec::new(),
            pieces: Pieces::default(),
            before: 0,
            deepest: 0,
        }
    }

    /// A scanner that takes keys in any case, as some servers do.
    pub(super) fn in_any_case(paths: Paths<W>) -> Scanner<W> {
        Scanner { any_case: true, ..Scanner::new(paths) }
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

    /// Begins anew, as if nothing had come.
    pub(super) fn clear(&mut self) {
        self.levels.clear();
        self.pieces = Pieces::default();
        self.mode = Mode::Between;
        self.expect_value();
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], found: &mut impl Found<W>) {
        let mut at = 0;
        while at < bytes.len() {
            at = match self.mode {
                Mode::Between => self.between(bytes, at, found),
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

    /// Reads on up to what is cut off, or to what nobody wants. Each of these takes bytes from an offset on, and gives
    /// the offset behind what it took.
    fn between(&mut self, bytes: &[u8], from: usize, found: &mut impl Found<W>) -> usize {
        let mut at = from;
        while matches!(self.mode, Mode::Between)
            && let Some(&byte) = bytes.get(at)
        {
            at += 1;
            match (byte, self.next) {
                (b' ' | b'\t' | b'\n' | b'\r', _) => {}
                (b'"', Next::Key | Next::KeyOrEnd) => {
                    self.word.clear();
                    at = self.key(bytes, at, found);
                }
                (b':', Next::Colon) => self.next = Next::Value,
                (b',', Next::CommaOrEnd) => match self.levels.last().is_some_and(|level| level.is_list) {
                    true => self.expect_value(),
                    false => self.next = Next::Key,
                },
                (b'}', Next::KeyOrEnd | Next::CommaOrEnd) => self.close(false, at, found),
                (b']', Next::ValueOrEnd | Next::CommaOrEnd) => self.close(true, at, found),
                (_, Next::Value | Next::ValueOrEnd) => at = self.value(bytes, at - 1, found),
                _ => self.mode = Mode::Broken,
            }
        }
        at
    }

    /// Begins a value, and takes it as far as it is a text or a scalar.
    fn value(&mut self, bytes: &[u8], at: usize, found: &mut impl Found<W>) -> usize {
        let shape = match bytes[at] {
            b'{' => Shape::Object,
            b'[' => Shape::List,
            b'"' => Shape::Text,
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => Shape::Scalar,
            _ => {
                self.mode = Mode::Broken;
                return at + 1;
            }
        };
        if let Some(what) = self.wanted() {
            found.begins(what, shape, self.before + at, self.place.exact);
        }
        match shape {
            Shape::Object | Shape::List => {
                self.open(shape == Shape::List);
                at + 1
            }
            Shape::Text => self.text(bytes, at + 1, found),
            Shape::Scalar => {
                self.word.clear();
                self.scalar(bytes, at, found)
            }
        }
    }

    /// What is wanted of the value being read.
    fn wanted(&self) -> Option<W> {
        self.place.step?.what
    }

    fn open(&mut self, is_list: bool) {
        self.deepest = self.deepest.max(self.levels.len() + 1);
        match self.place {
            Place { step: Some(step), exact } if self.levels.len() < MAX_DEPTH => {
                self.levels.push(Level { step, exact, is_list });
                self.next = if is_list { Next::ValueOrEnd } else { Next::KeyOrEnd };
            }
            _ => self.mode = Mode::Skip(1),
        }
    }

    /// Ends what is open; its last byte was the one before this offset.
    fn close(&mut self, is_list: bool, end: usize, found: &mut impl Found<W>) {
        match self.levels.pop() {
            Some(level) if level.is_list == is_list => {
                if let Some(what) = level.step.what {
                    found.ends(what, self.before + end);
                }
                let is_outermost = self.levels.len() <= 1 && self.levels.iter().all(|level| level.is_list);
                if !is_list && is_outermost {
                    found.document();
                }
                self.value_ended();
            }
            _ => self.mode = Mode::Broken,
        }
    }

    fn value_ended(&mut self) {
        self.mode = Mode::Between;
        match self.levels.is_empty() {
            true => self.expect_value(),
            false => self.next = Next::CommaOrEnd,
        }
    }

    fn key(&mut self, bytes: &[u8], at: usize, found: &mut impl Found<W>) -> usize {
        let Some(level) = self.levels.last() else { return bytes.len() };
        let (rest, from) = (&bytes[at..], Place { step: Some(level.step), exact: level.exact });
        let text_of = level.step.what.filter(|_| level.step.is_whole);
        if self.word.is_empty()
            && text_of.is_none()
            && let Some(key) = self.pieces.plain(rest)
        {
            self.place = self.step(from, key);
            let has_colon = rest.get(key.len() + 1) == Some(&b':');
            (self.mode, self.next) = (Mode::Between, if has_colon { Next::Value } else { Next::Colon });
            return at + key.len() + 1 + usize::from(has_colon);
        }
        let word = &mut self.word;
        let (taken, ended) = self.pieces.take(rest, |piece| {
            let room = (MAX_WORD_BYTES + 1).saturating_sub(word.len());
            word.extend_from_slice(&piece.as_bytes()[..piece.len().min(room)]);
            if let Some(what) = text_of {
                found.text(what, piece);
            }
        });
        self.mode = Mode::Key;
        if ended {
            self.place = self.step(from, &self.word);
            (self.mode, self.next) = (Mode::Between, Next::Colon);
        }
        at + taken
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

    fn scalar(&mut self, bytes: &[u8], at: usize, found: &mut impl Found<W>) -> usize {
        let rest = &bytes[at..];
        let end = rest.iter().position(|&byte| !IN_SCALARS[usize::from(byte)]);
        let taken = end.unwrap_or(rest.len());
        if end.is_none() || !self.word.is_empty() {
            let room = (MAX_WORD_BYTES + 1).saturating_sub(self.word.len());
            self.word.extend_from_slice(&rest[..taken.min(room)]);
        }
        self.mode = Mode::Scalar;
        if end.is_some() {
            if let Some(what) = self.wanted() {
                let raw = if self.word.is_empty() { &rest[..taken] } else { &self.word };
                if let Some(raw) = std::str::from_utf8(raw).ok().filter(|raw| raw.len() <= MAX_WORD_BYTES) {
                    found.scalar(what, raw);
                }
                found.ends(what, self.before + at + taken);
            }
            self.value_ended();
        }
        at + taken
    }

    fn skip(&mut self, bytes: &[u8], from: usize, mut depth: usize) -> usize {
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

    /// Where the value of a key stands.
    fn step(&self, from: Place<W>, key: &[u8]) -> Place<W> {
        let Some(before) = from.step.filter(|step| !step.is_whole) else { return from };
        if let Some(step) = before.below.iter().find(|step| step.key.as_bytes() == key) {
            return Place { step: Some(step), exact: from.exact };
        }
        let in_any_case = || before.below.iter().find(|step| same_in_any_case(step.key, key));
        Place { step: self.any_case.then(in_any_case).flatten(), exact: false }
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

/// Whether a server that does not look at the case takes `key` for `wanted`: Go folds two letters beyond ASCII as well.
fn same_in_any_case(wanted: &str, key: &[u8]) -> bool {
    if wanted.len() == key.len() && wanted.as_bytes().eq_ignore_ascii_case(key) {
        return true;
    }
    if key.is_ascii() {
        return false;
    }
    let Ok(key) = std::str::from_utf8(key) else { return false };
    let folded = key.chars().map(|letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => letter.to_ascii_lowercase(),
    });
    folded.eq(wanted.chars().map(|letter| letter.to_ascii_lowercase()))
}
