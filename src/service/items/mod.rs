//! Usage that others measured, as plain items: bodies of `POST /v1/usage`, `tallybot log`, imported lines. Keeps
//! nobody's error texts.
//!
//! The names are a token log's, plus the record's own; a few names of other trackers are taken as well (see
//! `fields`).

mod body;
mod build;
mod fields;
mod item;
mod record;
#[cfg(test)]
mod tests;
mod write;

pub use body::{BodyError, BodyForm, MAX_ITEM_BYTES, MAX_ITEMS, parse};
pub use fields::{ItemMistakes, MAX_COST_USD, MAX_IDENTITY_BYTES, MAX_MILLIS, MAX_TOKENS, is_exact};
pub use item::DEFAULT_SOURCE;
pub use item::{read as read_item, read_foreign};
pub use record::{PEOPLE_OF, admitted_at};

use std::fmt;

use chrono::NaiveDateTime;

use crate::usage::names::Name;
use crate::usage::{Failure, Given, KeySuffix, Metadata, Money, Status, Timestamp, TokenCounts, UsageSource};

/// One finished model call as a caller tells it, checked field by field.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageItem {
    /// When it was; `None` means now.
    pub at: Option<ItemTime>,
    /// The API spoken; `unknown` when not said.
    pub api_type: Name<'static>,
    /// The model; `unknown` when not said.
    pub model: Name<'static>,
    /// Last characters of the upstream key.
    pub api_key_suffix: Option<KeySuffix>,
    /// What was used; zero where not said, which `usage_source` tells apart.
    pub tokens: TokenCounts,
    /// How `tokens` is known: as given, else `reported` with both counts, `partial` with one, `none` without.
    pub usage_source: UsageSource,
    /// How it ended.
    pub status: Status,
    /// Why it failed, reduced to a class and an HTTP status; `None` when it is ok.
    pub failure: Option<Failure>,
    /// The caller's own data.
    pub metadata: Metadata<'static>,
    /// The provider's name; `None` when not said.
    pub provider: Option<Name<'static>>,
    /// What it was for; `None` when not said.
    pub request_type: Option<Name<'static>>,
    /// The way it was told: `api` or `shell`; `None` is `api`.
    pub channel: Option<Name<'static>>,
    /// Who asked, in the caller's words: becomes a subject id before it is kept.
    pub user: Option<Identity>,
    /// Which conversation, likewise.
    pub session: Option<Identity>,
    /// From the call to the end of the answer, in milliseconds.
    pub latency_ms: Option<u64>,
    /// From the call to the first piece of the answer, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// What it cost, if the caller knows; `None` leaves it to the price book.
    pub cost: Option<Money>,
    /// Whether the model ran on the owner's machine, if the caller knows.
    pub local: Option<bool>,
    /// The caller's id, which makes sending it twice harmless.
    pub given: Option<Given<'static>>,
    /// Which feature asked.
    pub feature: Option<Name<'static>>,
    /// Which agent asked.
    pub agent: Option<Name<'static>>,
    /// Which operation of the agent.
    pub operation: Option<Name<'static>>,
    /// Whose budget.
    pub team: Option<Name<'static>>,
    /// The tier served.
    pub service_tier: Option<Name<'static>>,
}

/// When an item says it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemTime {
    /// An instant, with the offset it was written with.
    Instant(Timestamp),
    /// A wall clock without an offset: the owner's zone is meant.
    Wall(NaiveDateTime),
}

/// A person or conversation in a caller's words. Never shown, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity(String);

impl Identity {
    /// The text, to make a subject id of.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}
