//! What an imported file may hold: calls, totals, and what could not be read.

use chrono::NaiveDateTime;
use sha2::{Digest, Sha256};

use crate::service::items::{DEFAULT_SOURCE, ItemTime, UsageItem};
use crate::usage::names::{MAX_NAME_BYTES, Name};
use crate::usage::{Given, Money, Timestamp, UsageRecord};

/// One thing in a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A call as others tell it. Its given id is set: it says which call of which source this is, for ever.
    Item {
        /// The line it begins in, from 1.
        line: u64,
        /// The call.
        item: Box<UsageItem>,
    },
    /// A call from another tallybot's books, as it stands there.
    Record {
        /// The line, from 1.
        line: u64,
        /// The call.
        record: Box<UsageRecord<'static>>,
    },
    /// A total of calls.
    Total(Box<Total>),
    /// Something that should be one of these, and is not.
    Bad {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it; none of its values.
        reason: String,
    },
}

/// A total as its source tells it: of all calls of that source to a model, or of all its calls where the name of the
/// source has a second word (see `of_run`).
#[derive(Clone, Debug, PartialEq)]
pub struct Total {
    /// Whose total it is.
    pub source: String,
    /// When it was, `None` if nobody says.
    pub at: Option<ItemTime>,
    /// The API spoken.
    pub api_type: String,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// What the calls were for.
    pub request_type: String,
    /// Whether the model ran on the owner's machine.
    pub local: bool,
    /// The numbers.
    pub sums: Sums,
    /// How long the calls took on average, in milliseconds.
    pub mean_latency_ms: Option<u64>,
    /// The line it begins in, from 1.
    pub line: u64,
}

/// What is added up. Signed, because a correction takes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Calls that were answered.
    pub ok: i64,
    /// Calls that failed.
    pub failed: i64,
    /// Input tokens.
    pub prompt: i64,
    /// Output tokens.
    pub completion: i64,
    /// Cost; `None` when the source does not say.
    pub cost: Option<Money>,
}

impl Sums {
    /// Applies `f` to each pair of numbers.
    pub fn with(self, other: Sums, f: impl Fn(i128, i128) -> i128) -> Sums {
        let count = |a: i64, b: i64| {
            let result = f(i128::from(a), i128::from(b));
            i64::try_from(result).unwrap_or(if result < 0 { i64::MIN } else { i64::MAX })
        };
        let cost = |money: Option<Money>| money.unwrap_or_default().pico_usd();
        Sums {
            ok: count(self.ok, other.ok),
            failed: count(self.failed, other.failed),
            prompt: count(self.prompt, other.prompt),
            completion: count(self.completion, other.completion),
            cost: (self.cost.is_some() || other.cost.is_some())
                .then(|| Money::from_pico_usd(f(cost(self.cost), cost(other.cost)))),
        }
    }

    /// Both together.
    pub fn plus(self, other: Sums) -> Sums {
        self.with(other, i128::saturating_add)
    }

    /// The first without the second.
    pub fn minus(self, other: Sums) -> Sums {
        self.with(other, i128::saturating_sub)
    }

    /// Whether nothing was added up.
    pub fn is_zero(self) -> bool {
        [self.ok, self.failed, self.prompt, self.completion] == [0; 4] && self.cost.unwrap_or_default() == Money::ZERO
    }

    /// Whether no call and no token was added up.
    pub fn counts_nothing(self) -> bool {
        Sums { cost: None, ..self }.is_zero()
    }

    /// What one record adds to a total of its source.
    pub fn of_record(record: &UsageRecord<'_>) -> Sums {
        let sign = if matches!(record.kind, crate::usage::Kind::Void { .. }) { -1 } else { 1 };
        let count = |count: u64| sign * i64::try_from(count).unwrap_or(i64::MAX);
        let ended = |is: bool| if is { count(record.count) } else { 0 };
        Sums {
            ok: ended(record.status.is_ok()),
            failed: ended(!record.status.is_ok()),
            prompt: count(record.tokens.prompt),
            completion: count(record.tokens.completion),
            cost: record.cost.map(|cost| if sign < 0 { -cost } else { cost }),
        }
    }
}

/// The name of one run, or one start, of a source: its totals are those of all its calls, and beside those of other
/// runs.
pub(super) fn of_run(base: &str, run: &str) -> String {
    Name::clean(&format!("{base} {}", run.replace(char::is_whitespace, "T"))).to_string()
}

/// A wall clock as it stands in a file, if it is one.
pub(super) fn wall(text: Option<&str>) -> Option<ItemTime> {
    let text = text?.trim();
    if let Ok(at) = Timestamp::parse(text) {
        return Some(ItemTime::Instant(at));
    }
    let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(ItemTime::Wall)
}

/// Ids for calls that have none: a digest of what stands in the file, and which one it is among those that are equal.
#[derive(Default)]
pub(super) struct ContentIds {
    seen: std::collections::HashMap<u128, u32>,
}

impl ContentIds {
    /// The id of the next call that is told in these bytes.
    pub(super) fn next(&mut self, content: &[u8]) -> String {
        let digest = Sha256::digest(content);
        let digest = u128::from_be_bytes(digest[..16].try_into().expect("a SHA-256 digest has 32 bytes"));
        let ordinal = self.seen.entry(digest).or_insert(0);
        *ordinal += 1;
        format!("{digest:032x}.{ordinal}")
    }
}

/// Whose calls those of `examples/python/token_tracker.py` are. It delivers them itself, sooner or later, so they keep its
/// name and their ids in each of its files.
pub(super) const TRACKER: &str = "token_tracker";

/// An item with the id it has for ever: its own, with its own source in front if that is not the usual one, else one of
/// its content.
pub(super) fn identified(mut item: UsageItem, source: &str, content: &[u8], ids: &mut ContentIds) -> UsageItem {
    item.channel = Some(Name::from("import"));
    if item.given.as_ref().is_some_and(|given| given.name == *TRACKER) {
        return item;
    }
    let own = item.given.take().map(|given| match given.name.as_str() {
        DEFAULT_SOURCE => given.id.to_string(),
        other => format!("{other}/{}", given.id),
    });
    let id = own.filter(|id| id.len() <= MAX_NAME_BYTES).unwrap_or_else(|| ids.next(content));
    item.given = Some(Given { name: Name::clean(source), id: Name::from(id) });
    item
}
