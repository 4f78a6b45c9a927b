//! Usage by group, as programs want it: which sums of which calls, row by row and page by page.
//!
//! Rows sum to the totals, and those are the numbers of `/stats` for the same days. Pure: whoever has the fold asks.

mod by;
mod page;
mod people;
mod report;
mod sums;
mod table;
#[cfg(test)]
mod tests;

pub use by::{By, Value};
pub use page::{Cursor, Measure, Order};
pub use report::{Unanswerable, UsageReport, UsageRow};
pub use sums::UsageSums;

use crate::stats::{Period, RESIDENT_DAYS};
use crate::usage::Day;

/// The most dimensions one answer tells apart.
pub const MAX_GROUP: usize = 3;

/// The most rows of one page.
pub const MAX_LIMIT: usize = 1000;

/// The rows of a page when nothing is said.
pub const DEFAULT_LIMIT: usize = 100;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageQuery {
    /// Of which days.
    pub days: Days,
    /// Of which epoch, counted back from the current one, 0.
    pub epoch: usize,
    /// What rows tell apart, in the order in which they say it; nothing for one row of everything.
    pub group: Vec<By>,
    /// Only calls that fit all of these; of several values for one thing, any.
    pub filters: Vec<(By, Vec<String>)>,
    /// Which rows come first.
    pub order: Order,
    /// How many rows at most.
    pub limit: usize,
    /// Behind which row the page begins.
    pub after: Option<Cursor>,
}

impl Default for UsageQuery {
    fn default() -> UsageQuery {
        UsageQuery {
            days: Days::default(),
            epoch: 0,
            group: Vec::new(),
            filters: Vec::new(),
            order: Order::default(),
            limit: DEFAULT_LIMIT,
            after: None,
        }
    }
}

impl UsageQuery {
    /// Whether the table of users answers it.
    pub fn is_of_people(&self) -> bool {
        self.group.contains(&By::User) || self.filters.iter().any(|(by, _)| *by == By::User)
    }

    /// Whether a call with these values is wanted.
    fn wants(&self, value: impl Fn(By) -> Value) -> bool {
        let fits = |(by, wanted): &(By, Vec<String>)| match value(*by) {
            Value::Text(text) => wanted.contains(&text),
            Value::Number(_) | Value::NotToldApart => false,
        };
        self.filters.iter().all(fits)
    }

    /// What makes a cursor one of these questions: all but how many rows a page has.
    fn print(&self) -> u32 {
        let UsageQuery { days, epoch, group, filters, order, .. } = self;
        crc32c::crc32c(format!("{days:?} {epoch} {group:?} {filters:?} {order:?}").as_bytes())
    }
}

/// Days of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Days {
    /// As `/stats` has them.
    Period(Period),
    /// Calendar days, both included; without one the days are open to that side, at the end up to today.
    Span(Option<Day>, Option<Day>),
}

impl Default for Days {
    fn default() -> Days {
        Days::Period(Period::All)
    }
}

impl Days {
    /// The first and the last of them; without a first one all before belong to them, without a last one all behind.
    pub fn ends(self, today: Day) -> (Option<Day>, Option<Day>) {
        match self {
            Days::Period(period) => (period.first_day(today), period.first_day(today).map(|_| today)),
            Days::Span(from, to) => (from, Some(to.unwrap_or_else(|| from.map_or(today, |from| from.max(today))))),
        }
    }

    /// Those that stand alone in a question and can no longer be told apart, with the names they go by.
    pub fn not_told_apart(self, today: Day) -> Vec<(&'static str, Day)> {
        let Days::Span(from, to) = self else { return Vec::new() };
        let named = [from.map(|from| ("from", from)), to.map(|to| ("to", to))];
        named.into_iter().flatten().filter(|(_, day)| *day < first_told_apart(today)).collect()
    }
}

/// The first day whose use stands alone; that of the days before is one sum.
pub fn first_told_apart(today: Day) -> Day {
    today.plus(1 - RESIDENT_DAYS)
}
