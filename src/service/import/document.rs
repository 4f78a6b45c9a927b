//! What the JSON documents of other trackers have in common: numbers exactly as written, and where something stands.

use serde_json::value::RawValue;

use super::found::Found;
use crate::service::items::{MAX_COST_USD, MAX_TOKENS};
use crate::usage::{Money, decimal};

/// A document that is being read: its text, and what was wrong in the part that is looked at.
pub(super) struct Document<'a> {
    text: &'a str,
    mistakes: Vec<String>,
}

impl<'a> Document<'a> {
    /// Reads a whole document as `T`.
    ///
    /// # Errors
    /// What to say of it when it is not one.
    pub(super) fn open<T: serde::Deserialize<'a>>(content: &'a [u8], what: &str) -> Result<(Document<'a>, T), Found> {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let text = std::str::from_utf8(content).map_err(|error| Found::Bad {
            line: line_of(content, error.valid_up_to()),
            reason: "the file is not UTF-8 here".to_owned(),
        })?;
        let read = serde_json::from_str(text).map_err(|error| Found::Bad {
            line: error.line().max(1) as u64,
            reason: format!("the file is not {what} from column {} on", error.column()),
        })?;
        Ok((Document { text, mistakes: Vec::new() }, read))
    }

    /// The line a part of the document begins in.
    pub(super) fn line(&self, part: &RawValue) -> u64 {
        let at = (part.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        line_of(self.text.as_bytes(), at)
    }

    /// A count of calls or tokens; zero where it is missing.
    pub(super) fn count(&mut self, name: &str, value: Option<&RawValue>) -> i64 {
        let expected = format!("a whole number from 0 to {MAX_TOKENS}");
        let read = |text: &str| decimal::whole(text).filter(|count| *count <= MAX_TOKENS);
        let count = self.number(name, value, &expected, read).unwrap_or(0);
        i64::try_from(count).expect("bounded far below")
    }

    /// Dollars.
    pub(super) fn dollars(&mut self, name: &str, value: Option<&RawValue>) -> Option<Money> {
        let most = Money::from_pico_usd(i128::from(MAX_COST_USD) * 1_000_000_000_000);
        let read = |text: &str| decimal::dollars(text).filter(|cost| *cost <= most);
        self.number(name, value, &format!("dollars from 0 to {MAX_COST_USD}"), read)
    }

    /// Seconds, as milliseconds.
    pub(super) fn seconds(&mut self, name: &str, value: Option<&RawValue>) -> Option<u64> {
        let read = |text: &str| decimal::thousandths(text).filter(|millis| *millis <= 31_536_000_000);
        self.number(name, value, "a number of seconds", read)
    }

    fn number<T>(
        &mut self,
        name: &str,
        value: Option<&RawValue>,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = value.filter(|value| value.get() != "null")?;
        let number = read(value.get());
        if number.is_none() {
            self.mistakes.push(format!("`{name}` is something else; expected {expected}"));
        }
        number
    }

    /// Notes what is wrong in the part that is looked at.
    pub(super) fn wrong(&mut self, mistake: &str) {
        self.mistakes.push(mistake.to_owned());
    }

    /// Ends a part that begins in `line`: whether nothing was wrong in it, else what.
    pub(super) fn finish(&mut self, line: u64) -> Result<(), Found> {
        if self.mistakes.is_empty() {
            return Ok(());
        }
        self.mistakes.truncate(5);
        Err(Found::Bad { line, reason: std::mem::take(&mut self.mistakes).join("; ") })
    }
}

fn line_of(text: &[u8], at: usize) -> u64 {
    1 + memchr::memchr_iter(b'\n', &text[..at.min(text.len())]).count() as u64
}
