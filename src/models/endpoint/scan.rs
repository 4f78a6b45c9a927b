//! JSON read as it comes, cut anywhere, in memory that does not grow: tells only of the values on wanted paths.
//!
//! A path names the keys from the outermost object inwards; lists do not count as a step, so `choices.text` is the text
//! of every choice, and a list of objects around everything changes nothing. A last step `**` wants the value however it
//! is built, with all keys and texts within. What is not wanted is skipped, not looked at.

use super::text::Pieces;

/// The wanted paths, at most 64, and what is wanted there.
pub(super) type Paths<W> = &'static [(&'static [&'static str], W)];

/// The last step that stands for everything below.
const ANYTHING: &str = "**";
/// Levels that are followed, and the most a request may have.
pub(super) const MAX_DEPTH: usize = 127;
/// Keys and scalars beyond are none of ours.
const MAX_WORD_BYTES: usize = 64;

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

/// The paths that a place may still be on, a bit for each, and how many steps of them are behind.
#[derive(Clone, Copy)]
struct Place {
    alive: u64,
    steps: usize,
    exact: bool,
}

impl Place {
    /// The paths it may be on, by their places in the table.
    fn bits(self) -> impl Iterator<Item = usize> {
        let mut bits = self.alive;
        std::iter::from_fn(move || {
            let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
            bits &= bits - 1;
            Some(bit)
        })
    }
}

/// An object or list that is open.
struct Level<W> {
    place: Place,
    is_list: bool,
    what: Option<W>,
    /// Its keys are text as well.
    deep: Option<W>,
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
    /// Where the value to come stands, and what is wanted of the one being read.
    place: Place,
    what: Option<W>,
    word: Vec<u8>,
    pieces: Pieces,
    /// Bytes before those being read.
    before: usize,
    deepest: usize,
}

impl<W: Copy> Scanner<W> {
    /// A scanner for these paths, keys in exactly this case.
    pub(super) fn new(paths: Paths<W>) -> Scanner<W> {
        debug_assert!(paths.len() <= 64, "a bit for each path");
        Scanner {
            paths,
            any_case: false,
            levels: Vec::new(),
            next: Next::Value,
            mode: Mode::Between,
            place: Place { alive: u64::MAX, steps: 0, exact: true },
            what: None,
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
        self.expect(Next::Value);
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], found: &mut impl Found<W>) {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += match self.mode {
                Mode::Between => self.between(rest, self.before + at, found),
                Mode::Key => self.key(rest, found),
                Mode::Text => self.text(rest, self.before + at, found),
                Mode::Scalar => self.scalar(rest, self.before + at, found),
                Mode::Skip(depth) => self.skip(rest, depth),
                Mode::SkipText(depth) => self.skip_text(rest, depth),
                Mode::Broken => rest.len(),
            };
        }
        self.before += bytes.len();
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.levels.capacity() * size_of::<Level<W>>() + self.word.capacity()
    }

    fn expect(&mut self, next: Next) {
        self.next = next;
        if let (Next::Value | Next::ValueOrEnd, Some(level)) = (next, self.levels.last()) {
            self.place = level.place;
        } else if self.levels.is_empty() {
            self.place = Place { alive: u64::MAX, steps: 0, exact: true };
        }
    }

    fn between(&mut self, rest: &[u8], at: usize, found: &mut impl Found<W>) -> usize {
        let byte = rest[0];
        match (byte, self.next) {
            (b' ' | b'\t' | b'\n' | b'\r', _) => {}
            (b'"', Next::Key | Next::KeyOrEnd) => {
                self.word.clear();
                self.mode = Mode::Key;
            }
            (b':', Next::Colon) => self.next = Next::Value,
            (b',', Next::CommaOrEnd) => {
                let in_list = self.levels.last().is_some_and(|level| level.is_list);
                self.expect(if in_list { Next::Value } else { Next::Key });
            }
            (b'}', Next::KeyOrEnd | Next::CommaOrEnd) => self.close(false, at, found),
            (b']', Next::ValueOrEnd | Next::CommaOrEnd) => self.close(true, at, found),
            (_, Next::Value | Next::ValueOrEnd) => return self.value(byte, at, found),
            _ => self.mode = Mode::Broken,
        }
        1
    }

    /// Begins a value; a scalar's first byte is not yet taken.
    fn value(&mut self, byte: u8, at: usize, found: &mut impl Found<W>) -> usize {
        let shape = match byte {
            b'{' => Shape::Object,
            b'[' => Shape::List,
            b'"' => Shape::Text,
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => Shape::Scalar,
            _ => {
                self.mode = Mode::Broken;
                return 1;
            }
        };
        self.what = self.wanted_at(self.place);
        if let Some(what) = self.what {
            found.begins(what, shape, at, self.place.exact);
        }
        match shape {
            Shape::Object | Shape::List => self.open(shape == Shape::List),
            Shape::Text => self.mode = Mode::Text,
            Shape::Scalar => {
                self.word.clear();
                self.mode = Mode::Scalar;
                return 0;
            }
        }
        1
    }

    fn open(&mut self, is_list: bool) {
        self.deepest = self.deepest.max(self.levels.len() + 1);
        if self.place.alive == 0 || self.levels.len() >= MAX_DEPTH {
            self.mode = Mode::Skip(1);
            return;
        }
        let deep = self.what.filter(|_| self.is_deep(self.place));
        self.levels.push(Level { place: self.place, is_list, what: self.what, deep });
        self.expect(if is_list { Next::ValueOrEnd } else { Next::KeyOrEnd });
    }

    fn close(&mut self, is_list: bool, at: usize, found: &mut impl Found<W>) {
        match self.levels.pop() {
            Some(level) if level.is_list == is_list => {
                if let Some(what) = level.what {
                    found.ends(what, at + 1);
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
        self.expect(if self.levels.is_empty() { Next::Value } else { Next::CommaOrEnd });
    }

    fn key(&mut self, rest: &[u8], found: &mut impl Found<W>) -> usize {
        let deep = self.levels.last().and_then(|level| level.deep);
        let word = &mut self.word;
        let (taken, ended) = self.pieces.take(rest, |piece| {
            let room = (MAX_WORD_BYTES + 1).saturating_sub(word.len());
            word.extend_from_slice(&piece.as_bytes()[..piece.len().min(room)]);
            if let Some(what) = deep {
                found.text(what, piece);
            }
        });
        if ended {
            self.mode = Mode::Between;
            self.next = Next::Colon;
            if let Some(place) = self.levels.last().map(|level| level.place) {
                self.place = self.step(place);
            }
        }
        taken
    }

    fn text(&mut self, rest: &[u8], at: usize, found: &mut impl Found<W>) -> usize {
        let (taken, ended) = match self.what {
            Some(what) => self.pieces.take(rest, |piece| found.text(what, piece)),
            None => self.pieces.pass(rest),
        };
        if ended {
            if let Some(what) = self.what {
                found.ends(what, at + taken);
            }
            self.value_ended();
        }
        taken
    }

    fn scalar(&mut self, rest: &[u8], at: usize, found: &mut impl Found<W>) -> usize {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let taken = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let room = (MAX_WORD_BYTES + 1).saturating_sub(self.word.len());
        self.word.extend_from_slice(&rest[..taken.min(room)]);
        if taken < rest.len() {
            if let Some(what) = self.what {
                if let Some(raw) = std::str::from_utf8(&self.word).ok().filter(|raw| raw.len() <= MAX_WORD_BYTES) {
                    found.scalar(what, raw);
                }
                found.ends(what, at + taken);
            }
            self.value_ended();
        }
        taken
    }

    fn skip(&mut self, rest: &[u8], depth: usize) -> usize {
        let is_mark = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
        let Some(mark) = rest.iter().position(is_mark) else { return rest.len() };
        match rest[mark] {
            b'"' => self.mode = Mode::SkipText(depth),
            b'{' | b'[' => {
                self.deepest = self.deepest.max(self.levels.len() + depth + 1);
                self.mode = Mode::Skip(depth + 1);
            }
            _ if depth > 1 => self.mode = Mode::Skip(depth - 1),
            _ => self.value_ended(),
        }
        mark + 1
    }

    fn skip_text(&mut self, rest: &[u8], depth: usize) -> usize {
        let (taken, ended) = self.pieces.pass(rest);
        if ended {
            self.mode = Mode::Skip(depth);
        }
        taken
    }

    /// The first path that ends at this place.
    fn wanted_at(&self, place: Place) -> Option<W> {
        let ends = |&(path, _): &&(&[&str], W)| {
            path.len() == place.steps || path.len() <= place.steps + 1 && path.last() == Some(&ANYTHING)
        };
        self.alive(place).find(ends).map(|&(_, what)| what)
    }

    fn is_deep(&self, place: Place) -> bool {
        self.alive(place).any(|(path, _)| path.len() <= place.steps + 1 && path.last() == Some(&ANYTHING))
    }

    fn alive(&self, place: Place) -> impl Iterator<Item = &'static (&'static [&'static str], W)> + use<W> {
        let paths = self.paths;
        place.bits().map_while(move |bit| paths.get(bit))
    }

    /// Where the value of the key just read stands.
    fn step(&self, from: Place) -> Place {
        let mut to = Place { alive: 0, steps: from.steps + 1, exact: from.exact };
        let mut is_exact = false;
        for (bit, (path, _)) in from.bits().map_while(|bit| Some((bit, self.paths.get(bit)?))) {
            let Some(step) = path.get(from.steps).or(path.last()) else { continue };
            let deep = *step == ANYTHING;
            let exact = deep || path.len() > from.steps && step.as_bytes() == self.word;
            if exact || self.any_case && path.len() > from.steps && same_in_any_case(step, &self.word) {
                to.alive |= 1 << bit;
                is_exact |= exact;
            }
        }
        to.exact &= is_exact;
        to
    }
}

/// Whether a server that does not look at the case takes `key` for `wanted`: Go folds two letters beyond ASCII as well.
fn same_in_any_case(wanted: &str, key: &[u8]) -> bool {
    let Ok(key) = std::str::from_utf8(key) else { return false };
    let folded = key.chars().map(|letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => letter.to_ascii_lowercase(),
    });
    folded.eq(wanted.chars().map(|letter| letter.to_ascii_lowercase()))
}
