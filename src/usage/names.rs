//! The closed vocabularies of a record's text fields, and the rule for names that come from outside.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;

/// The request type of calls about pictures.
pub const VISION: &str = "vision";

/// Request types every installation knows; an owner may add more.
pub const REQUEST_TYPES: [&str; 9] =
    ["chat", "presentation", "document", "spreadsheet", "web_scraping", "correction", VISION, "internal", "other"];

/// Channels a record can come through. Anything else is written by a newer version.
pub const CHANNELS: [&str; 7] = ["terminal", "telegram", "whatsapp", "gateway", "api", "shell", "import"];

/// The channels in which a person writes messages.
pub const CHAT_CHANNELS: [&str; 3] = ["terminal", "telegram", "whatsapp"];

/// The identity of whoever sits at the terminal.
pub const OWNER: &str = "owner";

/// What a name is called when a cap on names was reached.
pub const OTHER: &str = "other";

/// What a missing name is called.
pub const UNKNOWN: &str = "unknown";

/// The price of what its source gave a cost.
pub const GIVEN_PRICE: &str = "given";

/// The price of what nobody takes money for, such as a list of models.
pub const FREE_PRICE: &str = "free";

/// The longest name that is kept, in bytes. Longer ones are cut at a character.
pub const MAX_NAME_BYTES: usize = 128;

/// What can be the name of a gateway key, in words.
pub const KEY_NAME: &str = "1 to 64 letters, digits, `.`, `_` or `-`, a letter or digit first";

/// Whether a text can be the name of a gateway key.
pub fn is_key_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&text.len()) && text.chars().all(fits) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// A name in a record: a model, a provider, a feature, … Borrowed while replaying, owned when made here. To clone one
/// costs no allocation: a call hands its names to its slot, its record and its rows.
#[derive(Clone)]
pub struct Name<'a>(Text<'a>);

#[derive(Clone)]
enum Text<'a> {
    Borrowed(&'a str),
    Owned(SmolStr),
}

impl<'a> Name<'a> {
    /// A name from outside: control characters removed, trimmed, cut to [`MAX_NAME_BYTES`]; empty becomes `unknown`.
    pub fn clean(text: &str) -> Name<'static> {
        let is_plain = |byte: &u8| matches!(byte, b'!'..=b'~');
        if (1..=MAX_NAME_BYTES).contains(&text.len()) && text.as_bytes().iter().all(is_plain) {
            return Name(Text::Owned(text.into())); // as most are
        }
        let mut printable = Cow::Borrowed(text);
        if text.contains(char::is_control) {
            printable.to_mut().retain(|c| !c.is_control());
        }
        let name = printable.trim();
        // Cutting may leave a space at the end: what is clean stays as it is when it is cleaned again.
        let name = name[..name.floor_char_boundary(MAX_NAME_BYTES)].trim_end();
        if name.is_empty() { Name::from(UNKNOWN) } else { Name(Text::Owned(name.into())) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Borrowed(text) => text,
            Text::Owned(text) => text,
        }
    }

    /// The same name, independent of what it was read from.
    pub fn into_owned(self) -> Name<'static> {
        match self.0 {
            Text::Borrowed(text) => Name(Text::Owned(text.into())),
            Text::Owned(text) => Name(Text::Owned(text)),
        }
    }
}

impl Deref for Name<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Name").field(&self.as_str()).finish()
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Name<'_> {}

impl PartialOrd for Name<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Name<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        Name(Text::Borrowed(text))
    }
}

impl From<String> for Name<'_> {
    fn from(text: String) -> Self {
        Name(Text::Owned(text.into()))
    }
}

impl PartialEq<str> for Name<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Text::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Text::Owned(text.into())))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_cleaned() {
        assert_eq!(Name::clean(" gpt\u{1b}[31m-4o\n"), "gpt[31m-4o");
        assert_eq!(Name::clean("  "), UNKNOWN);
        assert_eq!(Name::clean(&"ñ".repeat(100)).len(), MAX_NAME_BYTES);
        for text in [&format!("{} x", "y".repeat(127)), "\u{1} x \u{1}", "a\u{1}b"] {
            let once = Name::clean(text);
            assert_eq!(Name::clean(&once), once, "{text:?}");
        }
    }
}
