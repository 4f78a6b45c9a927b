//! A body of items taken apart: one object, an array, or one object per line. No item is looked into here.

use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::UsageItem;
use super::fields::ItemMistakes;
use super::item;

/// The most items one body may have.
pub const MAX_ITEMS: usize = 10_000;

/// The largest single item, in bytes of JSON.
pub const MAX_ITEM_BYTES: usize = 32 * 1024;

/// What a body says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// `application/json`: an object, an array, or objects on lines of their own.
    Json,
    /// `application/x-ndjson`: one object per line.
    Lines,
}

impl BodyForm {
    /// The form of a content type; `None` when it is not one of JSON.
    pub fn of_content_type(content_type: &str) -> Option<BodyForm> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Some(BodyForm::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(BodyForm::Lines),
            _ => None,
        }
    }
}

/// Why a body as a whole cannot be taken. The texts say where and never what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Nothing in it.
    #[error("the body is empty; expected an object, an array of objects, or one object per line")]
    Empty,
    /// Not text.
    #[error("the body is not UTF-8 from byte {0} on")]
    NotText(usize),
    /// Not JSON.
    #[error("the body is not JSON from line {line}, column {column} on; expected an object or an array of objects")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1; 0 at a line's beginning.
        column: usize,
    },
    /// Neither object nor array.
    #[error("the body is neither an object nor an array; expected an object, an array of objects, or lines of objects")]
    NotItems,
    /// More than [`MAX_ITEMS`].
    #[error("the body has more than {MAX_ITEMS} items; expected at most that many, split them over several requests")]
    TooMany,
}

/// Reads every item of a body: the good ones, and for the others what is wrong with them.
///
/// # Errors
/// When the body as a whole makes no sense.
pub fn parse(body: &[u8], form: BodyForm) -> Result<Vec<Result<UsageItem, ItemMistakes>>, BodyError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|error| BodyError::NotText(error.valid_up_to()))?;
    let text = text.trim();
    match text.as_bytes().first() {
        None => Err(BodyError::Empty),
        Some(b'[') => array(text),
        Some(b'{') => objects(text, form),
        Some(_) if form == BodyForm::Lines => lines(text),
        Some(_) => Err(BodyError::NotItems),
    }
}

fn array(text: &str) -> Result<Vec<Result<UsageItem, ItemMistakes>>, BodyError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let items = reader.deserialize_seq(AtMost).and_then(|items| reader.end().map(|()| items));
    let items = items.map_err(|error| not_json(&error))?;
    if items.len() > MAX_ITEMS {
        return Err(BodyError::TooMany);
    }
    Ok(items.into_iter().map(|item| one(item.get())).collect())
}

/// An object is one item, unless more follow it on lines of their own.
fn objects(text: &str, form: BodyForm) -> Result<Vec<Result<UsageItem, ItemMistakes>>, BodyError> {
    let error = match serde_json::from_str::<&RawValue>(text) {
        Ok(item) => return Ok(vec![one(item.get())]),
        Err(error) => error,
    };
    let all_objects = || text.lines().map(str::trim_start).all(|line| line.is_empty() || line.starts_with('{'));
    if form == BodyForm::Lines || (text.contains('\n') && all_objects()) {
        return lines(text);
    }
    Err(not_json(&error))
}

fn lines(text: &str) -> Result<Vec<Result<UsageItem, ItemMistakes>>, BodyError> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines().nth(MAX_ITEMS).is_some() {
        return Err(BodyError::TooMany);
    }
    Ok(lines().map(one).collect())
}

fn one(text: &str) -> Result<UsageItem, ItemMistakes> {
    if text.len() > MAX_ITEM_BYTES {
        return Err(ItemMistakes::of(format!("the item has {} bytes; expected at most {MAX_ITEM_BYTES}", text.len())));
    }
    item::read(text)
}

fn not_json(error: &serde_json::Error) -> BodyError {
    BodyError::NotJson { line: error.line(), column: error.column() }
}

/// Collects the raw elements of an array, at most one more than [`MAX_ITEMS`], and passes over the rest.
struct AtMost;

impl<'de> Visitor<'de> for AtMost {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() <= MAX_ITEMS {
            match elements.next_element()? {
                Some(item) => items.push(item),
                None => return Ok(items),
            }
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(body: &str, form: BodyForm) -> Result<Vec<bool>, BodyError> {
        parse(body.as_bytes(), form).map(|items| items.iter().map(Result::is_ok).collect())
    }

    #[test]
    fn object_array_and_lines_are_told_apart() {
        use BodyForm::{Json, Lines};
        let good = r#"{"prompt_tokens":1,"completion_tokens":2}"#;
        for (body, form, expected) in [
            (good.to_owned(), Json, vec![true]),
            (format!("\u{feff} {good} \n"), Json, vec![true]),
            (good.replace(',', ",\n"), Json, vec![true]),
            (format!("[{good}, 5, {good}]"), Json, vec![true, false, true]),
            (format!("[{good}]"), Lines, vec![true]),
            ("[]".to_owned(), Json, vec![]),
            (format!("{good}\r\n\r\n{good}"), Json, vec![true, true]),
            (format!("{good}\n{{\"broken\n{good}"), Lines, vec![true, false, true]),
            (format!("oops\n{good}"), Lines, vec![false, true]),
        ] {
            assert_eq!(shape(&body, form), Ok(expected), "{body}");
        }
    }

    #[test]
    fn what_is_no_body_of_items_is_refused_as_a_whole() {
        use BodyForm::Json;
        assert_eq!(shape("  \n", Json), Err(BodyError::Empty));
        assert_eq!(shape("true", Json), Err(BodyError::NotItems));
        assert_eq!(shape("[{}", Json), Err(BodyError::NotJson { line: 1, column: 3 }));
        assert!(matches!(shape("[{}] x", Json), Err(BodyError::NotJson { .. })));
        assert!(matches!(shape("{\"a\":\n 1", Json), Err(BodyError::NotJson { line: 2, .. })));
        assert_eq!(parse(b"{\"\xff\":1}", Json), Err(BodyError::NotText(2)));
    }

    #[test]
    fn ten_thousand_items_are_the_most() {
        let many = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(shape(&many(MAX_ITEMS), BodyForm::Json).map(|items| items.len()), Ok(MAX_ITEMS));
        assert_eq!(shape(&many(MAX_ITEMS + 1), BodyForm::Json), Err(BodyError::TooMany));
        assert_eq!(shape(&"{}\n".repeat(MAX_ITEMS + 1), BodyForm::Lines), Err(BodyError::TooMany));
    }

    #[test]
    fn depth_is_survived_everywhere() {
        let deep = "[".repeat(100_000);
        assert!(shape(&deep, BodyForm::Json).is_err());
        let closed = format!("{deep}{}", "]".repeat(100_000));
        assert_eq!(shape(&closed, BodyForm::Json), Ok(vec![false]));
        let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(shape(&objects, BodyForm::Json), Ok(vec![false]), "too large an item");
        let metadata = format!(r#"{{"metadata":{}1{}}}"#, "{\"a\":".repeat(1000), "}".repeat(1000));
        assert_eq!(shape(&metadata, BodyForm::Json), Ok(vec![false]), "too deep");
    }
}
