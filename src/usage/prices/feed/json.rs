//! JSON read piece by piece, its numbers as they are written.

use serde_json::value::RawValue;

use crate::usage::json::Pairs;

/// A piece of a document.
pub(super) type Raw<'a> = &'a RawValue;

/// An object with its keys in their order.
pub(super) struct Object<'a>(Pairs<Raw<'a>>);

impl<'a> Object<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(raw: Raw<'a>) -> Result<Object<'a>, String> {
        serde_json::from_str(raw.get()).map(Object).map_err(|_| format!("`{}` is not an object", shown(raw.get())))
    }

    /// Reads an object of which no key stands twice.
    ///
    /// # Errors
    /// When it is none, or one does.
    pub(super) fn strict(raw: Raw<'a>) -> Result<Object<'a>, String> {
        let object = Object::read(raw)?;
        match object.0.repeated().map(shown) {
            Some(key) => Err(format!("`{key}` stands twice")),
            None => Ok(object),
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, Raw<'a>)> {
        self.0.0.iter().map(|(key, value)| (key.as_str(), *value))
    }

    /// The value of a key; none where it is `null`.
    pub(super) fn get(&self, key: &str) -> Option<Raw<'a>> {
        self.entries().find(|(name, value)| *name == key && value.get() != "null").map(|(_, value)| value)
    }

    /// The text of a key, if it is one.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        text(self.get(key)?)
    }
}

/// The pieces of a list, if it is one.
pub(super) fn list(raw: Raw<'_>) -> Option<Vec<Raw<'_>>> {
    serde_json::from_str(raw.get()).ok().filter(|_| raw.get().starts_with('['))
}

/// A text, if it is one.
pub(super) fn text(raw: Raw<'_>) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// A piece for a sentence: short and printable.
pub(super) fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().count() > 60 {
        out.push('…');
    }
    out
}
