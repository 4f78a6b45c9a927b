//! Why a call may not be made now, and when it may.

use super::kind::{LimitKind, Span};
use super::rule::{AtLimit, Label};
use crate::usage::Timestamp;

/// A call that does not fit. Nothing was booked.
///
/// Where several limits say no, this is the one that says it longest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{limit}` of `{label}` has no room: {used} of {max} used or reserved")]
pub struct Refusal {
    /// Which limit.
    pub limit: LimitKind,
    /// Whose.
    pub label: Label,
    /// Used and reserved in its window: requests, tokens or pico-dollars.
    pub used: u64,
    /// The cap, likewise.
    pub max: u64,
    /// Whether it is a budget's, not a rate limit's.
    pub budget: bool,
    /// What the rule says is to happen; `None` leaves it to who asks.
    pub at_limit: Option<AtLimit>,
    /// Whether it is the provider's own word, not a limit of ours.
    pub learned: bool,
    /// Whether somebody stopped the budget until its window ends.
    pub stopped: bool,
    /// Whether only what is reserved for calls in flight is in the way, of days, weeks, months or something prepaid: it
    /// may fit as soon as they end, long before `next`, for most use less than they reserve.
    pub held: bool,
    /// When the same call would fit into every limit, if nobody else calls before; where something else is in the way,
    /// of what only calls in flight hold nothing is said.
    pub next: NextSafe,
}

/// When the next call is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextSafe {
    /// At this moment, and not a millisecond before.
    ///
    /// Where calls in flight hold the room, they are taken to end now, having used all they reserved.
    At {
        /// The moment.
        at: Timestamp,
        /// Milliseconds until then, rounded up.
        wait_ms: u64,
    },
    /// Never: the call is larger than the cap, or the cap is 0.
    Never,
}

impl NextSafe {
    pub(super) fn after_micros(now: Timestamp, micros: i64) -> NextSafe {
        let micros = micros.max(0);
        NextSafe::At { at: now.plus_micros(micros), wait_ms: (micros as u64).div_ceil(1000) }
    }

    /// Whether this comes later than another.
    pub(super) fn is_later_than(self, other: NextSafe) -> bool {
        match (self, other) {
            (NextSafe::At { at: a, .. }, NextSafe::At { at: b, .. }) => a > b,
            (NextSafe::Never, NextSafe::At { .. }) => true,
            (_, NextSafe::Never) => false,
        }
    }
}

impl Refusal {
    /// The one that says no for longer; calls in flight may be gone before anything else.
    pub(super) fn or_longer(self, other: Refusal) -> Refusal {
        match (self.held, other.held) {
            (true, false) => other,
            (false, true) => self,
            _ if other.next.is_later_than(self.next) => other,
            _ => self,
        }
    }

    /// Whether what is left of something prepaid is too little: that does not come back by itself, and yet the call need
    /// not be too large for all of it.
    pub fn is_of_a_prepaid_rest(&self) -> bool {
        self.limit.span() == Span::Prepaid && self.used > 0
    }

    /// The moment of the next safe call; `None` when there is none.
    pub fn until(&self) -> Option<Timestamp> {
        match self.next {
            NextSafe::At { at, .. } => Some(at),
            NextSafe::Never => None,
        }
    }

    /// Milliseconds until the next safe call; `None` when there is none.
    pub fn wait_ms(&self) -> Option<u64> {
        match self.next {
            NextSafe::At { wait_ms, .. } => Some(wait_ms),
            NextSafe::Never => None,
        }
    }
}
