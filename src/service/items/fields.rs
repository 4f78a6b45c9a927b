//! The fields of a usage item by name, each read as what it may be, with a mistake for what it may not.
//!
//! A mistake names the field, what came, what was expected, and an example. Of what came it repeats numbers and times
//! alone, and no other text: that may be anything.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Datelike, NaiveDateTime};
use serde_json::value::RawValue;

use super::{Identity, ItemTime};
use crate::usage::decimal;
use crate::usage::names::Name;
use crate::usage::{MAX_METADATA_BYTES, Metadata, Money, Timestamp};

/// The most tokens one item may have of a kind.
pub const MAX_TOKENS: u64 = 1_000_000_000_000;

/// The most one item may cost, in dollars.
pub const MAX_COST_USD: u64 = 1_000_000_000;

/// The longest wait one item may tell of, in milliseconds: a year.
pub const MAX_MILLIS: u64 = 31_536_000_000;

/// The longest identity of a person or conversation, in bytes.
pub const MAX_IDENTITY_BYTES: usize = 256;

/// The field a name stands for: the names of a token log and of the record, then those of other trackers.
fn field_of(name: &str) -> Option<&'static str> {
    const FIELDS: [&str; 32] = [
        "timestamp",
        "api_type",
        "model",
        "api_key_suffix",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "success",
        "error_message",
        "metadata",
        "id",
        "source",
        "provider",
        "status",
        "request_type",
        "channel",
        "user",
        "session",
        "latency_ms",
        "first_token_ms",
        "cost_usd",
        "cached_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "reasoning_tokens",
        "usage_source",
        "local",
        "feature",
        "agent",
        "operation",
        "team",
        "service_tier",
    ];
    let alias = match name {
        "input_tokens" | "inputTokens" => "prompt_tokens",
        "output_tokens" | "outputTokens" => "completion_tokens",
        "agent_name" => "agent",
        "request_id" | "requestId" => "id",
        "user_id" | "userId" => "user",
        "session_id" | "sessionId" => "session",
        "cost" => "cost_usd",
        _ => return FIELDS.into_iter().find(|field| *field == name),
    };
    Some(alias)
}

/// Everything that is wrong with an item, in one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemMistakes(Vec<String>);

impl ItemMistakes {
    /// More mistakes of one item than this are not listed.
    const MAX: usize = 5;

    pub(super) fn of(mistake: impl Into<String>) -> ItemMistakes {
        ItemMistakes(vec![mistake.into()])
    }
}

impl fmt::Display for ItemMistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0[..self.0.len().min(ItemMistakes::MAX)].join("; "))
    }
}

impl std::error::Error for ItemMistakes {}

/// What a field that is none of an item's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Something went wrong where the item was written for us.
    Mistake,
    /// Somebody else's.
    PassedOver,
}

/// The fields of an item by name, and the mistakes found so far. `null` is the same as absent.
pub(super) struct Fields<'a> {
    values: HashMap<&'static str, &'a str>,
    pub(super) unknown: Unknown,
    pub(super) mistakes: Vec<String>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(pairs: Vec<(String, &'a RawValue)>, unknown: Unknown) -> Fields<'a> {
        let mut fields = Fields { values: HashMap::with_capacity(pairs.len()), unknown, mistakes: Vec::new() };
        for (name, value) in pairs {
            match field_of(&name) {
                None if unknown == Unknown::PassedOver => {}
                None => fields.mistakes.push(format!(
                    "{} is not a field of a usage item; expected the documented names, and own data inside `metadata`",
                    showable(&name)
                )),
                Some(_) if value.get() == "null" => {}
                Some(field) => {
                    if fields.values.insert(field, value.get()).is_some() {
                        fields.mistakes.push(format!("`{field}` is there twice; expected it once"));
                    }
                }
            }
        }
        fields
    }

    /// Whether nothing was wrong.
    pub(super) fn finish(self) -> Result<(), ItemMistakes> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(ItemMistakes(self.mistakes)) }
    }

    fn wrong(&mut self, field: &str, value: &str, expected: &str, example: &str) {
        let came = what_came(value);
        self.mistakes.push(format!("`{field}` is {came}; expected {expected}, for example `{example}`"));
    }

    /// The text of a field, unquoted.
    pub(super) fn text(&mut self, field: &'static str, expected: &str, example: &str) -> Option<String> {
        let value = *self.values.get(field)?;
        let text = serde_json::from_str(value).ok();
        if text.is_none() {
            self.wrong(field, value, expected, example);
        }
        text
    }

    pub(super) fn name(&mut self, field: &'static str) -> Option<Name<'static>> {
        let text = self.text(field, "a text", "chat")?;
        (!text.trim().is_empty()).then(|| Name::clean(&text))
    }

    /// A text, or a whole number as text, that is kept to the letter.
    pub(super) fn exact(&mut self, field: &'static str, max_bytes: usize, example: &str) -> Option<String> {
        let value = *self.values.get(field)?;
        let text = match value.as_bytes().first() {
            Some(b'0'..=b'9') => decimal::whole(value).map(|_| value.to_owned()),
            _ => serde_json::from_str::<String>(value).ok(),
        };
        let text = text.filter(|text| is_exact(text, max_bytes));
        if text.is_none() {
            let expected = format!("a text of 1 to {max_bytes} bytes without control characters");
            self.wrong(field, value, &expected, example);
        }
        text
    }

    pub(super) fn identity(&mut self, field: &'static str) -> Option<Identity> {
        self.exact(field, MAX_IDENTITY_BYTES, "4711").map(Identity)
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Option<bool> {
        let value = *self.values.get(field)?;
        match value {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.wrong(field, value, "`true` or `false`", "true");
                None
            }
        }
    }

    pub(super) fn count(&mut self, field: &'static str) -> Option<u64> {
        let expected = format!("a whole number from 0 to {MAX_TOKENS}");
        self.number(field, |literal| decimal::whole(literal).filter(|count| *count <= MAX_TOKENS), &expected, "150")
    }

    pub(super) fn millis(&mut self, field: &'static str) -> Option<u64> {
        let expected = format!("a number of milliseconds from 0 to {MAX_MILLIS}");
        self.number(field, |literal| decimal::whole_part(literal).filter(|wait| *wait <= MAX_MILLIS), &expected, "2450")
    }

    /// A number of dollars, or a decimal in quotes; in quotes, nothing is rounded.
    pub(super) fn cost(&mut self, field: &'static str) -> Option<Money> {
        let read = |literal: &str| {
            let money = match literal.strip_prefix('"') {
                Some(quoted) => Money::parse_usd(quoted.strip_suffix('"')?).ok()?,
                None => decimal::dollars(literal)?,
            };
            let most = i128::from(MAX_COST_USD) * 1_000_000_000_000;
            (0..=most).contains(&money.pico_usd()).then_some(money)
        };
        let expected = format!("dollars from 0 to {MAX_COST_USD} with at most 12 decimals");
        self.number(field, read, &expected, "0.0125")
    }

    fn number<T>(
        &mut self,
        field: &'static str,
        read: impl Fn(&str) -> Option<T>,
        expected: &str,
        example: &str,
    ) -> Option<T> {
        let value = *self.values.get(field)?;
        let number = read(value);
        if number.is_none() {
            self.wrong(field, value, expected, example);
        }
        number
    }

    pub(super) fn one_of<T: Copy>(&mut self, field: &'static str, all: &[T], name: fn(T) -> &'static str) -> Option<T> {
        let value = *self.values.get(field)?;
        let text = serde_json::from_str::<String>(value).ok();
        let found = all.iter().copied().find(|one| Some(name(*one)) == text.as_deref());
        if found.is_none() {
            let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
            self.wrong(field, value, &format!("one of `{}`", names.join("`, `")), name(all[0]));
        }
        found
    }

    pub(super) fn time(&mut self, field: &'static str) -> Option<ItemTime> {
        let value = *self.values.get(field)?;
        let time = serde_json::from_str::<String>(value).ok().and_then(|text| time_of(text.trim()));
        if time.is_none() {
            let expected = "a time of the years 2000 to 2999, with an offset or on the owner's clock";
            self.wrong(field, value, expected, "2026-02-05T12:01:47.127728-06:00");
        }
        time
    }

    pub(super) fn metadata(&mut self, field: &'static str) -> Metadata<'static> {
        let Some(value) = self.values.get(field).copied() else { return Metadata::default() };
        let metadata = serde_json::from_str(value).ok().and_then(|object| Metadata::from_object(&object));
        if metadata.is_none() {
            let expected = format!("an object of at most {MAX_METADATA_BYTES} bytes and 100 levels");
            self.wrong(field, value, &expected, "{\"article_id\":123}");
        }
        metadata.unwrap_or_default()
    }
}

/// An instant in RFC 3339, or a wall clock without an offset as Python's `isoformat()` writes it.
fn time_of(text: &str) -> Option<ItemTime> {
    let plausible = |year: i32| (2000..3000).contains(&year);
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        let stamp = Timestamp::new(time.timestamp_micros(), time.offset().local_minus_utc());
        return plausible(time.year()).then_some(ItemTime::Instant(stamp));
    }
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let wall = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    plausible(wall.year()).then_some(ItemTime::Wall(wall))
}

/// Whether a text can be kept to the letter: it is not blank, has at most so many bytes and no control character.
pub fn is_exact(text: &str, max_bytes: usize) -> bool {
    !text.trim().is_empty() && text.len() <= max_bytes && !text.chars().any(char::is_control)
}

/// What came instead: a number or a time as it stands, in quotes or not, and of anything else its kind.
fn what_came(value: &str) -> String {
    const MAX_BYTES: usize = 40;
    let is_plain = |byte: u8| byte.is_ascii_digit() || b"+-.:, TZe".contains(&byte);
    let inner = value.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(value);
    if inner.len() <= MAX_BYTES && inner.bytes().all(is_plain) && inner.bytes().any(|byte| byte.is_ascii_digit()) {
        format!("`{value}`, which is not valid")
    } else {
        kind_of(value).to_owned()
    }
}

/// What a JSON value is, in words that give nothing of it away.
pub(super) fn kind_of(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "a text that is not valid here",
        Some(b'{') => "an object that is not valid here",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number that is not valid here",
    }
}

/// A name from outside, if it looks like one; else only that it is one.
fn showable(name: &str) -> String {
    let plain = name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if plain && !name.is_empty() { format!("`{name}`") } else { "a name".to_owned() }
}
