//! What was used of calendar windows: one count for each kind and window, kept as long as it can matter.

use std::cmp::Reverse;

use super::calendar::Dates;
use super::kind::{LimitKind, Measure, Span};
use crate::usage::Day;

/// Days before the current one whose windows are still counted, for clocks that go back and records that come late.
pub(super) const PAST_DAYS: i32 = 2;

/// Days to come whose windows are counted already at least: records of a clock that was set back since.
const DAYS_AHEAD: i32 = 2;

/// What a call counts for; below zero where it is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amounts {
    pub(super) requests: i128,
    pub(super) tokens: i128,
    pub(super) pico_usd: i128,
}

impl Amounts {
    pub(super) fn of(&self, measure: Measure) -> i128 {
        match measure {
            Measure::Requests => self.requests,
            Measure::Tokens => self.tokens,
            Measure::Money => self.pico_usd,
        }
    }

    /// The same, taken back.
    pub(super) fn negated(self) -> Amounts {
        Amounts { requests: -self.requests, tokens: -self.tokens, pico_usd: self.pico_usd.saturating_neg() }
    }
}

/// What is not below zero, saturated.
pub(super) fn unsigned(amount: i128) -> u64 {
    u64::try_from(amount.max(0)).unwrap_or(u64::MAX)
}

/// The count of one kind in one window.
///
/// What was taken back is kept apart: so a correction may come before what it corrects, and the sums are the same in
/// whatever order records come, even where they saturate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    pub(super) kind: LimitKind,
    /// The window.
    pub(super) first: Day,
    /// The monotonic second of the last change.
    touched: i32,
    pub(super) booked: u64,
    pub(super) taken: u64,
    pub(super) reserved: u64,
}

impl Count {
    pub(super) fn used(&self) -> u64 {
        self.booked.saturating_sub(self.taken)
    }

    pub(super) fn add(&mut self, amount: i128) {
        let (booked, taken) = (unsigned(amount), unsigned(amount.saturating_neg()));
        self.booked = self.booked.saturating_add(booked);
        self.taken = self.taken.saturating_add(taken);
    }
}

/// Counts of the kinds that a rule speaks of, in no order.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(Vec<Count>);

impl Counts {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Count> {
        self.0.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, kind: LimitKind, first: Day) -> Option<&Count> {
        self.0.iter().find(|count| count.kind == kind && count.first == first)
    }

    pub(super) fn get_mut(&mut self, kind: LimitKind, first: Day) -> Option<&mut Count> {
        self.0.iter_mut().find(|count| count.kind == kind && count.first == first)
    }

    /// The count of a window. A new one may push out the one of its kind that has been left alone longest, of several
    /// the last to come, and holds nothing open.
    pub(super) fn at(&mut self, kind: LimitKind, first: Day, now_second: i64) -> &mut Count {
        let found = self.0.iter().position(|count| count.kind == kind && count.first == first);
        let at = found.unwrap_or_else(|| {
            let same = |count: &Count| count.kind == kind;
            if self.0.iter().filter(|count| same(count)).count() >= windows_max(kind.span()) {
                let idle = self.0.iter().enumerate().filter(|(_, count)| same(count) && count.reserved == 0);
                if let Some((oldest, _)) = idle.min_by_key(|(_, count)| (count.touched, Reverse(count.first))) {
                    self.0.swap_remove(oldest);
                }
            }
            self.0.push(Count { kind, first, touched: 0, booked: 0, taken: 0, reserved: 0 });
            self.0.len() - 1
        });
        let count = &mut self.0[at];
        count.touched = i32::try_from(now_second).unwrap_or(i32::MAX);
        count
    }

    /// Lets go of what cannot matter any more, whatever the wall clock says.
    pub(super) fn forget(&mut self, now_second: i64) {
        self.0.retain(|count| {
            let is_kept = |secs: i64| i64::from(count.touched) + secs > now_second;
            count.reserved > 0
                || (count.booked > 0 || count.taken > 0) && kept_secs(count.kind.span()).is_none_or(is_kept)
        });
    }
}

/// Whether a window may still be looked at today, or be counted in.
pub(super) fn matters(span: Span, first: Day, today: Dates) -> bool {
    let is_new = first >= today.first(span, None);
    is_new || span == Span::Prepaid || first >= Dates::of(today.day.plus(-PAST_DAYS)).first(span, None)
}

/// The most days that a window which still matters may have begun ago; `None` where it matters for ever.
pub(super) fn longest_days(span: Span) -> Option<i32> {
    match span {
        Span::Minute | Span::Day => Some(PAST_DAYS),
        Span::Week => Some(6 + PAST_DAYS),
        Span::Month => Some(30 + PAST_DAYS),
        Span::Prepaid => None,
    }
}

/// Most windows of a kind that an entry remembers: those that matter, and some to come, for a clock that was ahead.
fn windows_max(span: Span) -> usize {
    match span {
        Span::Minute | Span::Prepaid => 1,
        Span::Day => (PAST_DAYS + DAYS_AHEAD) as usize + 2,
        Span::Week | Span::Month => 4,
    }
}

/// How long of monotonic time a count is kept after it last changed: from the first moment of its window until it no
/// longer matters, and an hour.
fn kept_secs(span: Span) -> Option<i64> {
    Some((i64::from(longest_days(span)?) + 1) * 86_400 + 7_200)
}
