//! How full the windows are, for whoever shows them. Counts only; percentages and words are the viewer's.

use std::cmp::Ordering;

use super::calendar::Dates;
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
    /// Whether it is one of those of a rule that counts each of something apart.
    pub each: bool,
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

/// The fullest entries of one window with their caps, fullest first.
type Fullest<'a> = Vec<Filled<'a>>;

/// How full an entry is, and of how much.
#[derive(Clone, Copy)]
struct Filled<'a> {
    standing: Standing,
    max: u64,
    entry: &'a Entry,
}

/// The fullest of each kind of a rule.
type OfRule<'a> = [Fullest<'a>; LimitKind::ALL.len()];

/// Every window of the rules without `*`, and the fullest few of those with one that hold anything.
///
/// Asked about one value of a facet, entries of its other values are passed over: how full somebody's own limit is does
/// not hang on how full those of others are. Where a rule that names a value speaks, the `*` it stands in for does not.
///
/// Of the keys for which `is_gone` holds there is none: nothing counts there any more.
///
/// One pass over the entries in the order they lie in memory: with many people it runs under a lock others wait for.
pub(super) fn of(table: &Table, is_gone: &dyn Fn(&str) -> bool, about: Option<(Facet, &str)>, now: Now) -> Vec<Window> {
    let is_gone = |compiled: &Compiled, key: &str| compiled.rule.scope.value(key, Facet::Key).is_some_and(is_gone);
    let dates: Vec<Dates> = table.rules.iter().map(|compiled| compiled.dates(now.at.unix_micros())).collect();
    let mut fullest: Vec<OfRule<'_>> = Vec::new();
    fullest.resize_with(table.rules.len(), Default::default);
    for (_, entry) in table.entries() {
        let (compiled, dates) = (&table.rules[entry.rule as usize], dates[entry.rule as usize]);
        let is_of_others = |(facet, value)| is_of_others(table, compiled, &entry.key, facet, value);
        if about.is_some_and(is_of_others) || is_gone(compiled, &entry.key) {
            continue;
        }
        for term in entry.terms(compiled) {
            let first = dates.first(term.kind.span(), compiled.terms.since);
            let Some(max) = term.max(first) else { continue };
            let standing = entry.standing(term.kind, first, second_of(now));
            if standing != Standing::default() {
                let filled = Filled { standing, max, entry };
                insert_fullest(&mut fullest[entry.rule as usize][term.kind as usize], filled);
            }
        }
    }
    let rules = (0u32..).zip(&table.rules).zip(fullest).zip(dates);
    rules
        .filter(|(((_, compiled), _), _)| compiled.shape.has_each() || !is_gone(compiled, ""))
        .filter(|(((_, compiled), _), _)| {
            about.is_none_or(|(facet, value)| {
                compiled.shape.has_each() || !is_of_others(table, compiled, "", facet, value)
            })
        })
        .flat_map(|(((rule, compiled), fullest), dates)| windows_of_rule(table, (rule, compiled), fullest, dates, now))
        .collect()
}

/// Whether the counts under a key are of another value of a facet.
fn is_of_others(table: &Table, compiled: &Compiled, key: &str, facet: Facet, value: &str) -> bool {
    let scope = &compiled.rule.scope;
    if facet == Facet::User && scope.has_guests() {
        return !table.is_nobody(value);
    }
    scope.value(key, facet).is_some_and(|of| of != value)
}

fn windows_of_rule(
    table: &Table,
    (rule, compiled): (u32, &Compiled),
    mut fullest: OfRule<'_>,
    dates: Dates,
    now: Now,
) -> Vec<Window> {
    let mut unused = Entry::new(rule, "".into());
    unused.lifted = table.terms_under(rule, "").1;
    let mut windows = Vec::new();
    for kind in compiled.terms.kinds() {
        let mut standings = std::mem::take(&mut fullest[kind as usize]);
        if standings.is_empty() && !compiled.shape.has_each() {
            standings.push(Filled { standing: Standing::default(), max: 0, entry: &unused });
        }
        windows.extend(standings.into_iter().filter_map(|of| window(compiled, kind, of, dates, now)));
    }
    windows
}

/// The window of a kind, if it has a cap.
fn window(
    compiled: &Compiled,
    kind: LimitKind,
    Filled { standing, entry, .. }: Filled<'_>,
    dates: Dates,
    now: Now,
) -> Option<Window> {
    let term = entry.terms(compiled).find(|term| term.kind == kind)?;
    let first = dates.first(kind.span(), compiled.terms.since);
    Some(Window {
        label: compiled.rule.scope.label(&entry.key),
        each: compiled.shape.has_each(),
        limit: kind,
        used: standing.used,
        reserved: standing.reserved,
        max: term.max(first)?,
        raised_by: term.raised_by(first),
        paused: term.paused,
        stopped: term.is_stopped(first),
        first_day: first,
        resets_at: resets_at(kind, compiled, entry, dates, now),
    })
}

impl Filled<'_> {
    /// By the share of the cap, then by amount, then by key, the smaller first. A cap of nothing comes last: it keeps
    /// somebody away and never fills.
    fn fullness(&self, other: &Filled<'_>) -> Ordering {
        let share = |of: &Filled<'_>| match (u128::from(of.standing.total()), u128::from(of.max)) {
            (_, 0) => (0, 1),
            share => share,
        };
        let ((total, max), (other_total, other_max)) = (share(self), share(other));
        let by_share = (total * other_max).cmp(&(other_total * max));
        let by_amount = || self.standing.total().cmp(&other.standing.total());
        by_share.then_with(by_amount).then_with(|| other.entry.key.cmp(&self.entry.key))
    }
}

/// Keeps the list sorted, fullest first, and short.
fn insert_fullest<'a>(standings: &mut Fullest<'a>, filled: Filled<'a>) {
    let at = standings.partition_point(|other| other.fullness(&filled).is_gt());
    if at < FULLEST_SHOWN {
        standings.insert(at, filled);
        standings.truncate(FULLEST_SHOWN);
    }
}

fn resets_at(kind: LimitKind, compiled: &Compiled, entry: &Entry, dates: Dates, now: Now) -> Option<Timestamp> {
    if kind.is_calendar() {
        let end = dates.end_micros(kind.span(), compiled.rule.day_zone)?;
        return Some(now.at.plus_micros(end - now.at.unix_micros()));
    }
    let oldest = entry.minute(kind).and_then(|minute| minute.counting(second_of(now)).next());
    let leaves = |(second, _)| now.at.plus_micros((second + BUCKETS) * 1_000_000 - now.tick.0 as i64);
    Some(oldest.map_or(now.at, leaves))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_are_those_with_the_largest_share_of_their_own_caps() {
        let largest = u64::MAX;
        let people = [
            ("half", largest / 2, largest),
            ("most", 999, 1_000),
            ("full", 5, 5),
            ("nothing", 900, 0),
            ("over", 11, 10),
            ("also full", 5, 5),
            ("full of more", 7, 7),
        ];
        let entries: Vec<Entry> = people.iter().map(|(key, ..)| Entry::new(0, (*key).into())).collect();
        let filled = people.iter().zip(&entries).map(|((_, used, max), entry)| Filled {
            standing: Standing { used: used - 1, reserved: 1 },
            max: *max,
            entry,
        });
        let mut few = Fullest::new();
        filled.clone().for_each(|filled| insert_fullest(&mut few, filled));
        let keys = |filled: &Fullest<'_>| filled.iter().map(|of| of.entry.key.to_string()).collect::<Vec<_>>();
        let expected = ["over", "full of more", "also full", "full", "most"];
        assert_eq!(keys(&few), expected);
        let mut few = Fullest::new();
        filled.rev().for_each(|filled| insert_fullest(&mut few, filled));
        assert_eq!(keys(&few), expected, "in whatever order they lie");
    }
}
