//! What is left for somebody: the least room in any window that means them.

use std::sync::Arc;

use super::Gate;
use super::calendar::Dates;
use super::entry::{Entry, second_of};
use super::kind::Measure;
use super::rule::Subject;
use super::table::{Booked, Booking, Compiled};
use crate::usage::{Now, RecordId};

/// The least that is left in any window of a subject; `None` where nothing limits it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Calls.
    pub requests: Option<u64>,
    /// Tokens.
    pub tokens: Option<u64>,
    /// Money, in pico-dollars.
    pub pico_usd: Option<u64>,
}

impl Left {
    fn narrow(&mut self, measure: Measure, room: u64) {
        let least = match measure {
            Measure::Requests => &mut self.requests,
            Measure::Tokens => &mut self.tokens,
            Measure::Money => &mut self.pico_usd,
        };
        *least = Some(least.map_or(room, |least| least.min(room)));
    }
}

/// What an open call is held against, for who asks what is left when it is settled.
#[derive(Clone, Debug)]
pub struct Held {
    booked: Arc<Booked>,
    changes: u64,
}

impl Gate {
    /// What is left now for calls of a subject, open calls taken off.
    pub fn left(&mut self, subject: &Subject<'_>, now: Now) -> Left {
        let booked = self.table.booked(subject, now.at.unix_micros());
        self.left_in(&booked, now)
    }

    /// What an open call is held against; `None` when no such call is open.
    pub fn held(&self, id: RecordId) -> Option<Held> {
        let booked = Arc::clone(&self.open.get(&id)?.booked);
        Some(Held { booked, changes: self.table.changes })
    }

    /// The same as [`Gate::left`] of the call's subject, without looking for what means it; `None` when that may have
    /// changed.
    pub fn left_of(&mut self, held: &Held, now: Now) -> Option<Left> {
        (held.changes == self.table.changes).then(|| self.left_in(&held.booked, now))
    }

    fn left_in(&mut self, booked: &Booked, now: Now) -> Left {
        let now_micros = now.at.unix_micros();
        let is_same_day = booked.days.contains(&now_micros);
        let mut left = Left::default();
        for Booking { entry, dates } in &booked.bookings {
            let dates = if is_same_day { *dates } else { self.table.dates_of(*entry, now_micros) };
            let (entry, rule) = self.table.with_rule(*entry);
            entry.narrow(rule, dates, second_of(now), &mut left);
        }
        left
    }
}

impl Entry {
    fn narrow(&self, rule: &Compiled, dates: Dates, now_second: i64, left: &mut Left) {
        for term in self.terms(rule) {
            let Some(first) = rule.terms.window(term.kind, dates) else { continue };
            let max = if term.is_stopped(first) { Some(0) } else { term.max(first).filter(|_| !term.paused) };
            let used = || self.standing(term.kind, first, now_second).total();
            if let Some(max) = max {
                left.narrow(term.kind.measure(), max.saturating_sub(used()));
            }
        }
    }
}
