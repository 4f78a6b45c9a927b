//! The counts of one rule for one subject: what is used, what is reserved, and whether one more call fits.

use super::calendar::Dates;
use super::count::{Amounts, Counts, matters, unsigned};
use super::kind::{Kinds, LimitKind, Measure};
use super::minute::{BUCKETS, Minute};
use super::refusal::NextSafe;
use super::table::Compiled;
use super::terms::Term;
use crate::usage::{Day, Now};

/// Counts under one key of one rule. Only what the rule speaks of is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// The rule's number.
    pub(super) rule: u32,
    /// The values of the rule's `*`.
    pub(super) key: Box<str>,
    /// Reservations that may still come back to this entry.
    open: u32,
    /// The kinds of which a rule that names the value speaks: it decides, here is only counted.
    pub(super) lifted: Kinds,
    /// The terms of this value alone, where something was done to them.
    pub(super) own: Option<Box<[Term]>>,
    /// The last minute; there once something happened, where the rule speaks of minutes.
    sliding: Option<Box<Sliding>>,
    /// The windows of the calendar.
    pub(super) counts: Counts,
}

/// What happened in the last minute.
#[derive(Clone, Debug, Default)]
struct Sliding {
    /// Requests, by admission.
    requests: Minute,
    /// Tokens, by settlement.
    tokens: Minute,
    /// Tokens of all open reservations, whatever their age.
    reserved: u64,
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
    pub(super) stopped: bool,
    pub(super) held: bool,
    pub(super) next: NextSafe,
}

impl Obstacle {
    /// The one that is in the way for longer; calls in flight may be gone before anything else.
    fn or_longer(self, other: Obstacle) -> Obstacle {
        match (self.held, other.held) {
            (true, false) => other,
            (false, true) => self,
            _ if other.next.is_later_than(self.next) => other,
            _ => self,
        }
    }
}

pub(super) fn second_of(now: Now) -> i64 {
    now.tick.second() as i64
}

impl Entry {
    pub(super) fn new(rule: u32, key: Box<str>) -> Entry {
        Entry { rule, key, ..Entry::default() }
    }

    /// The terms that hold for it.
    pub(super) fn terms<'a>(&'a self, rule: &'a Compiled) -> impl Iterator<Item = &'a Term> {
        let terms = self.own.as_deref().unwrap_or(&rule.terms.list);
        terms.iter().filter(|term| !self.lifted.contain(term.kind))
    }

    /// How full the window of a kind is that begins on `first`, or the last minute.
    pub(super) fn standing(&self, kind: LimitKind, first: Day, now_second: i64) -> Standing {
        if kind.is_calendar() {
            let count = self.counts.get(kind, first);
            return count
                .map_or(Standing::default(), |count| Standing { used: count.used(), reserved: count.reserved });
        }
        let of = |sliding: &Sliding| match kind.measure() {
            Measure::Requests => Standing { used: sliding.requests.used(now_second), reserved: 0 },
            _ => Standing { used: sliding.tokens.used(now_second), reserved: sliding.reserved },
        };
        self.sliding.as_deref().map_or(Standing::default(), of)
    }

    /// What keeps a call away longest; `None` when it fits under all caps.
    pub(super) fn obstacle(&self, rule: &Compiled, asked: &Amounts, dates: Dates, now: Now) -> Option<Obstacle> {
        let obstacles = self.terms(rule).filter_map(|term| self.obstacle_of(term, rule, asked, dates, now));
        obstacles.reduce(Obstacle::or_longer)
    }

    fn obstacle_of(&self, term: &Term, rule: &Compiled, asked: &Amounts, dates: Dates, now: Now) -> Option<Obstacle> {
        let first = rule.terms.window(term.kind, dates)?;
        let measure = term.kind.measure();
        let asked = unsigned(asked.of(measure));
        // What costs nothing fits into every budget of money but one of nothing; of all else a call needs one at least.
        let is_free = || measure == Measure::Money && asked == 0 && term.max(first) != Some(0);
        let fits = self.fits(term, first, asked.max(1), second_of(now)) || is_free() && !term.is_stopped(first);
        (!fits).then(|| self.blocked(term, rule, asked.max(1), first, dates, now))
    }

    /// Whether so much more fits under a cap.
    fn fits(&self, term: &Term, first: Day, more: u64, now_second: i64) -> bool {
        let used = || self.standing(term.kind, first, now_second).total();
        let fits = |max: u64| term.paused || used().saturating_add(more) <= max;
        !term.is_stopped(first) && term.max(first).is_none_or(fits)
    }

    /// The cap that is in the way of so much more, and until when.
    #[cold]
    fn blocked(&self, term: &Term, rule: &Compiled, more: u64, first: Day, dates: Dates, now: Now) -> Obstacle {
        let (kind, max, stopped) = (term.kind, term.max(first), term.is_stopped(first));
        let standing = self.standing(kind, first, second_of(now));
        let used = standing.total();
        let would_fit = |max: u64| standing.used.saturating_add(more) <= max;
        let held = kind.is_calendar() && !stopped && max.is_some_and(would_fit);
        let excess = max.map_or(0, |max| used.saturating_add(more).saturating_sub(max));
        let at_end = || match dates.end_micros(kind.span(), rule.rule.day_zone) {
            Some(end) => NextSafe::after_micros(now.at, end - now.at.unix_micros()),
            None => NextSafe::Never,
        };
        let next = match term.usual_max() {
            Some(usual) if more > usual => NextSafe::Never,
            _ if stopped || kind.is_calendar() => at_end(),
            _ => self.after_the_minute(kind, excess, now),
        };
        Obstacle { kind, used, max: max.unwrap_or(used), stopped, held, next }
    }

    /// When `excess` has left the sliding minute: the end of as many buckets as it takes.
    fn after_the_minute(&self, kind: LimitKind, excess: u64, now: Now) -> NextSafe {
        let now_second = second_of(now);
        let free_second = self.minute(kind).and_then(|minute| minute.second_without(excess, now_second));
        let free_second = free_second.unwrap_or(now_second + BUCKETS);
        NextSafe::after_micros(now.at, free_second * 1_000_000 - now.tick.0 as i64)
    }

    /// The last minute of a kind, if anything happened in it.
    pub(super) fn minute(&self, kind: LimitKind) -> Option<&Minute> {
        let sliding = self.sliding.as_deref()?;
        Some(if kind.measure() == Measure::Requests { &sliding.requests } else { &sliding.tokens })
    }

    fn sliding_mut(&mut self) -> &mut Sliding {
        self.sliding.get_or_insert_default()
    }

    /// Books an admitted call: its request in `second`, the rest as reserved.
    pub(super) fn admit(&mut self, rule: &Compiled, asked: &Amounts, dates: Dates, second: i64, now_second: i64) {
        self.open += 1;
        for kind in rule.terms.kinds() {
            match kind.measure() {
                Measure::Requests => self.add(kind, asked.requests, rule.terms.window(kind, dates), second, now_second),
                measure => self.hold(kind, asked.of(measure), rule.terms.window(kind, dates), now_second),
            }
        }
    }

    /// Reserves tokens and money for an admitted call.
    pub(super) fn reserve(&mut self, rule: &Compiled, asked: &Amounts, dates: Dates, now_second: i64) {
        for kind in rule.terms.kinds().filter(|kind| kind.measure() != Measure::Requests) {
            self.hold(kind, asked.of(kind.measure()), rule.terms.window(kind, dates), now_second);
        }
    }

    /// Reserves an amount of one kind, in the window that begins on `first`.
    fn hold(&mut self, kind: LimitKind, amount: i128, first: Option<Day>, now_second: i64) {
        let amount = unsigned(amount);
        let reserved = match first {
            _ if amount == 0 => return,
            _ if !kind.is_calendar() => &mut self.sliding_mut().reserved,
            Some(first) => &mut self.counts.at(kind, first, now_second).reserved,
            None => return,
        };
        *reserved = reserved.saturating_add(amount);
    }

    /// Gives back what was reserved.
    pub(super) fn unreserve(&mut self, rule: &Compiled, asked: &Amounts, dates: Dates) {
        for kind in rule.terms.kinds().filter(|kind| kind.measure() != Measure::Requests) {
            let amount = unsigned(asked.of(kind.measure()));
            let reserved = if amount == 0 {
                None
            } else if !kind.is_calendar() {
                self.sliding.as_mut().map(|sliding| &mut sliding.reserved)
            } else {
                let count = rule.terms.window(kind, dates).and_then(|first| self.counts.get_mut(kind, first));
                count.map(|count| &mut count.reserved)
            };
            if let Some(reserved) = reserved {
                *reserved = reserved.saturating_sub(amount);
            }
        }
    }

    /// Says that a reservation will not come back any more.
    pub(super) fn close(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Books tokens and money that were settled just now for a call that was admitted on these dates.
    pub(super) fn settle(&mut self, rule: &Compiled, used: &Amounts, dates: Dates, now_second: i64) {
        for kind in rule.terms.kinds().filter(|kind| kind.measure() != Measure::Requests) {
            let amount = used.of(kind.measure());
            self.add(kind, amount, rule.terms.window(kind, dates), now_second, now_second);
        }
    }

    /// Adds to what one kind has counted in the window that begins on `first`, or in a second of the last minute.
    fn add(&mut self, kind: LimitKind, amount: i128, first: Option<Day>, second: i64, now_second: i64) {
        if !kind.is_calendar() {
            self.add_to_minute(kind, second, unsigned(amount), now_second);
        } else if amount != 0
            && let Some(first) = first
        {
            self.counts.at(kind, first, now_second).add(amount);
        }
    }

    /// Adds to the last minute a call that was admitted in one second and settled in another.
    pub(super) fn add_to_minutes(
        &mut self,
        rule: &Compiled,
        used: &Amounts,
        admitted: i64,
        settled: i64,
        now_second: i64,
    ) {
        for kind in rule.terms.kinds().filter(|kind| !kind.is_calendar()) {
            let second = if kind.measure() == Measure::Requests { admitted } else { settled };
            self.add_to_minute(kind, second, unsigned(used.of(kind.measure())), now_second);
        }
    }

    /// Adds to the windows of the calendar, or takes from them, as far as they still matter on `today`.
    pub(super) fn correct(&mut self, rule: &Compiled, by: &Amounts, dates: Dates, today: Dates, now_second: i64) {
        for kind in rule.terms.kinds().filter(|kind| kind.is_calendar()) {
            let amount = by.of(kind.measure());
            if amount != 0
                && let Some(first) = rule.terms.window(kind, dates)
                && matters(kind.span(), first, today)
            {
                self.counts.at(kind, first, now_second).add(amount);
            }
        }
    }

    /// Takes back the request of a call that was admitted in `second` and never sent.
    pub(super) fn take_request_back(&mut self, rule: &Compiled, dates: Dates, second: i64) {
        if let Some(sliding) = &mut self.sliding {
            sliding.requests.remove(second, 1);
        }
        for term in rule.terms.list.iter().filter(|term| term.kind.measure() == Measure::Requests) {
            if let Some(first) = rule.terms.window(term.kind, dates)
                && let Some(count) = self.counts.get_mut(term.kind, first)
            {
                count.booked = count.booked.saturating_sub(1);
            }
        }
    }

    /// Adds to the last minute what happened in one of its seconds.
    pub(super) fn add_to_minute(&mut self, kind: LimitKind, second: i64, amount: u64, now_second: i64) {
        if amount == 0 || second + BUCKETS <= now_second {
            return;
        }
        let sliding = self.sliding_mut();
        let minute = if kind.measure() == Measure::Requests { &mut sliding.requests } else { &mut sliding.tokens };
        minute.add(second, amount, now_second);
    }

    /// Takes over what another entry has counted of the same rule.
    pub(super) fn absorb(&mut self, other: &Entry, now_second: i64) {
        for kind in [LimitKind::RequestsPerMinute, LimitKind::TokensPerMinute] {
            for (second, amount) in other.minute(kind).into_iter().flat_map(|minute| minute.counting(now_second)) {
                self.add_to_minute(kind, second, amount, now_second);
            }
        }
        for count in other.counts.iter() {
            let own = self.counts.at(count.kind, count.first, now_second);
            own.add(i128::from(count.booked));
            own.add(-i128::from(count.taken));
        }
    }

    /// Forgets what no longer counts; true when nothing is left.
    pub(super) fn forget(&mut self, now_second: i64) -> bool {
        if let Some(sliding) = &mut self.sliding {
            sliding.requests.advance(now_second);
            sliding.tokens.advance(now_second);
            if sliding.requests.is_empty() && sliding.tokens.is_empty() && sliding.reserved == 0 {
                self.sliding = None;
            }
        }
        self.counts.forget(now_second);
        self.open == 0 && self.sliding.is_none() && self.counts.is_empty()
    }
}
