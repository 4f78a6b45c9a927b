//! The paths to the values that are wanted of a JSON text.
//!
//! A path names the keys from the outermost object inwards; lists do not count as a step, so `choices.text` is the text
//! of every choice, and a list of objects around everything changes nothing.

/// The wanted paths: the step before the first.
pub(super) type Paths<W> = &'static Step<W>;

/// A step of wanted paths, and those behind it.
pub(super) struct Step<W: 'static> {
    pub(super) key: &'static str,
    /// What is wanted of the value here.
    pub(super) what: Option<W>,
    pub(super) below: &'static [Step<W>],
    /// Whether it is wanted however it is built, with all keys and texts within.
    pub(super) is_whole: bool,
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

impl<W> Step<W> {
    /// The step below whose key, as it is spelled, these bytes begin with, and with the closing quote.
    pub(super) fn begun_by(&self, bytes: &[u8]) -> Option<&'static Step<W>> {
        self.below.iter().find(|step| {
            let key = step.key.as_bytes();
            bytes.first() == key.first() && bytes.starts_with(key) && bytes.get(key.len()) == Some(&b'"')
        })
    }

    /// The step below that a key leads to, as it is spelled.
    pub(super) fn by(&self, key: &[u8]) -> Option<&'static Step<W>> {
        self.below.iter().find(|step| step.key.as_bytes() == key)
    }

    /// The step below that some server takes a key for which is spelled otherwise.
    pub(super) fn in_other_case(&self, key: &[u8]) -> Option<&'static Step<W>> {
        let mut below = self.below.iter();
        match key.is_ascii() {
            true => below.find(|step| step.key.as_bytes().eq_ignore_ascii_case(key)),
            false => below.find(|step| folds_to(key, step.key)),
        }
    }
}

/// Whether a server that does not look at the case takes `key` for `wanted`: Go folds two letters beyond ASCII as well.
fn folds_to(key: &[u8], wanted: &str) -> bool {
    let Ok(key) = std::str::from_utf8(key) else { return false };
    let folded = key.chars().map(|letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => letter.to_ascii_lowercase(),
    });
    folded.eq(wanted.chars().map(|letter| letter.to_ascii_lowercase()))
}
