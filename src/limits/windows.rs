//! How full the windows are, for whoever shows them. Counts only; percentages and words are the viewer's.

use super::day::{DaySpan, ZoneDays};
use super::entry::{Entry, Standing, second_of};
use super::kind::LimitKind;
use super::minute::BUCKETS;
use super::rule::{Facet, Label};
use super::table::{Compiled, Table};
use crate::usage::{Day, Now, Timestamp};

/// Of a rule that counts each of something apart, so many of the fullest are shown per kind.
pub const FULLEST_SHOWN: usize = 5;

/// One window of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Whose it is.
    pub label: Label,
    /// What it counts.
    pub limit: LimitKind,
    /// Booked: requests admitted, tokens settled.
    pub used: u64,
    /// Tokens held by calls in flight.
    pub reserved: u64,
    /// The cap, raises of this window included.
    pub max: u64,
    /// What it was raised by for this window.
    pub raised_by: u64,
    /// Whether it is counted and keeps nobody away now.
    pub paused: bool,
    /// Whether nothing more goes until it ends.
    pub stopped: bool,
    /// Its first day, in the zone of its rule; today, where it slides; day 0, where it has no beginning.
    pub first_day: Day,
    /// The window's end, or when the oldest of what a minute holds leaves it (now, when it is empty); `None` where
    /// nothing ever comes back.
    pub resets_at: Option<Timestamp>,
}

impl Window {
    /// The provider, where the rule is for one.
    pub fn provider(&self) -> Option<&str> {
        self.label.get(Facet::Provider)
    }
}

/// The fullest entries of one window, fullest first.
type Fullest<'a> = Vec<(Standing, &'a Entry)>;

/// Every window of the rules without `*`, and the fullest few of those with one that hold anything.
///
/// Asked about one value of a facet, entries of its other values are passed over: how full somebody's own limit is does
/// not hang on how full those of others are.
///
/// One pass over the entries in the order they lie in memory: with many people it runs under a lock others wait for.
pub(super) fn of(table: &Table, about: Option<(Facet, &str)>, now: Now) -> Vec<Window> {
    let day_at = |days: &ZoneDays| DaySpan::at(days.zone(), now.at.unix_micros());
    let days: Vec<DaySpan> = table.zones.iter().map(day_at).collect();
    let mut fullest: Vec<[Fullest<'_>; LimitKind::ALL.len()]> = Vec::new();
    fullest.resize_with(table.rules.len(), Default::default);
    for (_, entry) in table.entries() {
        let compiled = &table.rules[entry.rule as usize];
        if about
            .is_some_and(|(facet, value)| compiled.rule.scope.value(&entry.key, facet).is_some_and(|of| of != value))
        {
            continue;
        }
        for (limit, _) in compiled.rule.caps.set() {
            let standing = entry.standing(limit, days[compiled.zone].day, second_of(now));
            if standing != Standing::default() {
                insert_fullest(&mut fullest[entry.rule as usize][limit as usize], standing, entry);
            }
        }
    }
    let rules = table.rules.iter().zip(fullest);
    rules.flat_map(|(compiled, fullest)| windows_of_rule(compiled, fullest, days[compiled.zone], now)).collect()
}

fn windows_of_rule(
    compiled: &Compiled,
    mut fullest: [Fullest<'_>; LimitKind::ALL.len()],
    span: DaySpan,
    now: Now,
) -> Vec<Window> {
    let rule = &compiled.rule;
    let unused = Entry::default();
    let mut windows = Vec::new();
    for (limit, max) in rule.caps.set() {
        let mut standings = std::mem::take(&mut fullest[limit as usize]);
        if standings.is_empty() && !rule.scope.has_each() {
            standings.push((Standing::default(), &unused));
        }
        windows.extend(standings.into_iter().map(|(standing, entry)| Window {
            label: rule.scope.label(&entry.key),
            limit,
            used: standing.used,
            reserved: standing.reserved,
            max,
            raised_by: 0,
            paused: false,
            stopped: false,
            first_day: span.day,
            resets_at: Some(resets_at(limit, entry, span, now)),
        }));
    }
    windows
}

/// Keeps the list sorted, fullest first, and short.
fn insert_fullest<'a>(standings: &mut Fullest<'a>, standing: Standing, entry: &'a Entry) {
    let fuller = |other: &(Standing, &Entry)| {
        let (total, other_total) = (standing.total(), other.0.total());
        other_total > total || (other_total == total && other.1.key < entry.key)
    };
    let at = standings.partition_point(fuller);
    if at < FULLEST_SHOWN {
        standings.insert(at, (standing, entry));
        standings.truncate(FULLEST_SHOWN);
    }
}

fn resets_at(limit: LimitKind, entry: &Entry, span: DaySpan, now: Now) -> Timestamp {
    if limit.is_calendar() {
        return now.at.plus_micros(span.end_micros - now.at.unix_micros());
    }
    let minute = if limit.counts_tokens() { &entry.tokens } else { &entry.requests };
    let oldest = minute.counting(second_of(now)).next();
    oldest.map_or(now.at, |(second, _)| now.at.plus_micros((second + BUCKETS) * 1_000_000 - now.tick.0 as i64))
}
