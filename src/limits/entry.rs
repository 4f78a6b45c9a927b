//! The counts of one rule for one subject: what is used, what is reserved, and whether one more call fits.

use super::day::DaySpan;
use super::kind::{Caps, LimitKind};
use super::minute::{BUCKETS, Minute};
use super::refusal::NextSafe;
use crate::usage::{Day, Now};

/// Days before the current one that are still counted, for clocks that go back and records that come late.
pub(super) const PAST_DAYS: i32 = 2;

/// Most days an entry remembers; one more than it needs, for a clock that jumped ahead and came back.
const DAYS_MAX: usize = PAST_DAYS as usize + 2;

/// A day's counts are kept for this long of monotonic time after they last changed, whatever the wall clock says.
const DAY_KEPT_SECS: i64 = 49 * 3600;

/// Counts under one key of one rule. Only what the rule caps is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// The rule's number.
    pub(super) rule: u32,
    /// The values of the rule's `*`.
    pub(super) key: Box<str>,
    /// Reservations that may still come back to this entry.
    open: u32,
    /// Tokens of all open reservations, whatever their age.
    reserved: u64,
    /// Requests of the last minute, by admission.
    pub(super) requests: Minute,
    /// Tokens of the last minute, by settlement.
    pub(super) tokens: Minute,
    /// Days of the rule's zone, in no order.
    pub(super) days: Vec<DayCount>,
}

/// Counts of the calls admitted on one day. Signed, so that a correction may arrive before what it corrects.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DayCount {
    pub(super) day: Day,
    pub(super) requests: i64,
    pub(super) tokens: i64,
    reserved: u64,
    /// The monotonic second of the last change.
    touched: i64,
}

/// How full one window is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) used: u64,
    pub(super) reserved: u64,
}

impl Standing {
    /// Used and reserved together; saturates.
    pub(super) fn total(self) -> u64 {
        self.used.saturating_add(self.reserved)
    }
}

/// A cap in the way of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Obstacle {
    pub(super) kind: LimitKind,
    pub(super) used: u64,
    pub(super) max: u64,
    pub(super) next: NextSafe,
}

pub(super) fn second_of(now: Now) -> i64 {
    now.tick.second() as i64
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

impl Entry {
    pub(super) fn new(rule: u32, key: Box<str>) -> Entry {
        Entry { rule, key, ..Entry::default() }
    }

    /// How full the window of a kind is, on `day` or at `now_second`.
    pub(super) fn standing(&self, kind: LimitKind, day: Day, now_second: i64) -> Standing {
        let count = || self.days.iter().find(|count| count.day == day).copied().unwrap_or_default();
        let (used, reserved) = match kind {
            LimitKind::RequestsPerMinute => (self.requests.used(now_second), 0),
            LimitKind::TokensPerMinute => (self.tokens.used(now_second), self.reserved),
            LimitKind::RequestsPerDay => (count().requests.max(0) as u64, 0),
            LimitKind::TokensPerDay => (count().tokens.max(0) as u64, count().reserved),
            _ => (0, 0),
        };
        Standing { used, reserved }
    }

    /// The cap that keeps a call of `tokens` away longest; `None` when it fits under all of them.
    pub(super) fn obstacle(&self, caps: &Caps, tokens: u64, span: DaySpan, now: Now) -> Option<Obstacle> {
        let obstacles = caps.set().filter_map(|(kind, max)| {
            let asked = if kind.counts_tokens() { tokens.max(1) } else { 1 };
            let standing = self.standing(kind, span.day, second_of(now));
            let used = standing.total();
            let excess = used.saturating_add(asked).saturating_sub(max);
            let next = match excess {
                0 => return None,
                _ if asked > max => NextSafe::Never,
                _ if kind.is_calendar() => NextSafe::after_micros(now.at, span.end_micros - now.at.unix_micros()),
                _ => self.after_the_minute(kind, excess, now),
            };
            Some(Obstacle { kind, used, max, next })
        });
        obstacles.reduce(|worst, other| if other.next.is_later_than(worst.next) { other } else { worst })
    }

    /// When `excess` has left the sliding minute: the end of as many buckets as it takes.
    fn after_the_minute(&self, kind: LimitKind, excess: u64, now: Now) -> NextSafe {
        let minute = if kind.counts_tokens() { &self.tokens } else { &self.requests };
        let now_second = second_of(now);
        let free_second = minute.second_without(excess, now_second).unwrap_or(now_second + BUCKETS);
        NextSafe::after_micros(now.at, free_second * 1_000_000 - now.tick.0 as i64)
    }

    /// Books an admitted call: its request now, its tokens as reserved.
    pub(super) fn admit(&mut self, caps: &Caps, tokens: u64, day: Day, now_second: i64) {
        self.open += 1;
        self.book_requests(caps, 1, day, now_second, now_second);
        self.reserve(caps, tokens, day, now_second);
    }

    /// Reserves tokens for an admitted call.
    pub(super) fn reserve(&mut self, caps: &Caps, tokens: u64, day: Day, now_second: i64) {
        self.reserved = self.reserved.saturating_add(tokens);
        if caps.get(LimitKind::TokensPerDay).is_some() {
            let count = self.count_mut(day, now_second);
            count.reserved = count.reserved.saturating_add(tokens);
        }
    }

    /// Gives reserved tokens back.
    pub(super) fn unreserve(&mut self, tokens: u64, day: Day) {
        self.reserved = self.reserved.saturating_sub(tokens);
        if let Some(count) = self.days.iter_mut().find(|count| count.day == day) {
            count.reserved = count.reserved.saturating_sub(tokens);
        }
    }

    /// Says that a reservation will not come back any more.
    pub(super) fn close(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Books requests that were admitted in `second`.
    pub(super) fn book_requests(&mut self, caps: &Caps, requests: u64, day: Day, second: i64, now_second: i64) {
        if caps.get(LimitKind::RequestsPerMinute).is_some() {
            self.requests.add(second, requests, now_second);
        }
        self.correct_day(caps, signed(requests), 0, day, now_second);
    }

    /// Books tokens that were settled in `second` for a call that was admitted on `day`.
    pub(super) fn book_tokens(&mut self, caps: &Caps, tokens: u64, day: Day, second: i64, now_second: i64) {
        if caps.get(LimitKind::TokensPerMinute).is_some() {
            self.tokens.add(second, tokens, now_second);
        }
        self.correct_day(caps, 0, signed(tokens), day, now_second);
    }

    /// Takes back the request of a call that was admitted in `second` and never sent.
    pub(super) fn take_request_back(&mut self, caps: &Caps, day: Day, second: i64) {
        self.requests.remove(second, 1);
        if caps.get(LimitKind::RequestsPerDay).is_some()
            && let Some(count) = self.days.iter_mut().find(|count| count.day == day)
        {
            count.requests = count.requests.saturating_sub(1);
        }
    }

    /// Adds to a day, or takes from it.
    pub(super) fn correct_day(&mut self, caps: &Caps, requests: i64, tokens: i64, day: Day, now_second: i64) {
        let requests = if caps.get(LimitKind::RequestsPerDay).is_some() { requests } else { 0 };
        let tokens = if caps.get(LimitKind::TokensPerDay).is_some() { tokens } else { 0 };
        if requests != 0 || tokens != 0 {
            let count = self.count_mut(day, now_second);
            count.requests = count.requests.saturating_add(requests);
            count.tokens = count.tokens.saturating_add(tokens);
        }
    }

    /// The counts of a day. A new day may push out the one that has been left alone longest and holds nothing open.
    fn count_mut(&mut self, day: Day, now_second: i64) -> &mut DayCount {
        let found = self.days.iter().position(|count| count.day == day);
        let at = found.unwrap_or_else(|| {
            if self.days.len() >= DAYS_MAX {
                let idle = self.days.iter().enumerate().filter(|(_, count)| count.reserved == 0);
                if let Some((oldest, _)) = idle.min_by_key(|(_, count)| (count.touched, count.day)) {
                    self.days.swap_remove(oldest);
                }
            }
            self.days.push(DayCount { day, ..DayCount::default() });
            self.days.len() - 1
        });
        let count = &mut self.days[at];
        count.touched = now_second;
        count
    }

    /// Forgets what no longer counts; true when nothing is left.
    pub(super) fn forget(&mut self, now_second: i64) -> bool {
        self.requests.advance(now_second);
        self.tokens.advance(now_second);
        self.days.retain(|count| {
            let counts = count.requests != 0 || count.tokens != 0;
            count.reserved > 0 || (counts && count.touched + DAY_KEPT_SECS > now_second)
        });
        self.open == 0 && self.days.is_empty() && self.requests.is_empty() && self.tokens.is_empty()
    }
}
