//! Reading values out of JSON strings without copying the text first: lines are replayed by the million.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserializer, de};

/// Reads a JSON string and makes a value of it; `expected` says what such a text looks like.
pub(super) fn parsed<'de, D, T>(
    deserializer: D,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    struct Visitor<T, F> {
        expected: &'static str,
        parse: F,
        made: PhantomData<T>,
    }
    impl<T, F: FnOnce(&str) -> Option<T>> de::Visitor<'_> for Visitor<T, F> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expected)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            (self.parse)(text).ok_or_else(|| E::custom(format_args!("expected {}", self.expected)))
        }
    }
    deserializer.deserialize_str(Visitor { expected, parse, made: PhantomData })
}
