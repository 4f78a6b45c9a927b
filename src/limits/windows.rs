//! How full the windows are, for whoever shows them. Counts only; percentages and words are the viewer's.

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

/// The fullest of each kind of a rule.
type OfRule<'a> = [Fullest<'a>; LimitKind::ALL.len()];

/// Every window of the rules without `*`, and the fullest few of those with one that hold anything.
///
/// Asked about one value of a facet, entries of its other values are passed over: how full somebody's own limit is does
/// not hang on how full those of others are. Where a rule that names a value speaks, the `*` it stands in for does not.
///
/// One pass over the entries in the order they lie in memory: with many people it runs under a lock others wait for.
pub(super) fn of(table: &Table, about: Option<(Facet, &str)>, now: Now) -> Vec<Window> {
    let dates: Vec<Dates> = table.rules.iter().map(|compiled| compiled.dates(now.at.unix_micros())).collect();
    let mut fullest: Vec<OfRule<'_>> = Vec::new();
    fullest.resize_with(table.rules.len(), Default::default);
    for (_, entry) in table.entries() {
        let (compiled, dates) = (&table.rules[entry.rule as usize], dates[entry.rule as usize]);
        if about.is_some_and(|(facet, value)| is_of_others(table, compiled, &entry.key, facet, value)) {
            continue;
        }
        for term in entry.terms(compiled).filter(|term| term.usual_max().is_some()) {
            let first = dates.first(term.kind.span(), compiled.terms.since);
            let standing = entry.standing(term.kind, first, second_of(now));
            if standing != Standing::default() {
                insert_fullest(&mut fullest[entry.rule as usize][term.kind as usize], standing, entry);
            }
        }
    }
    let rules = (0u32..).zip(&table.rules).zip(fullest).zip(dates);
    rules
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
    for kind in compiled.terms.list.iter().map(|term| term.kind) {
        let mut standings = std::mem::take(&mut fullest[kind as usize]);
        if standings.is_empty() && !compiled.shape.has_each() {
            standings.push((Standing::default(), &unused));
        }
        windows.extend(standings.into_iter().filter_map(|of| window(compiled, kind, of, dates, now)));
    }
    windows
}

/// The window of a kind, if it has a cap.
fn window(
    compiled: &Compiled,
    kind: LimitKind,
    (standing, entry): (Standing, &Entry),
    dates: Dates,
    now: Now,
) -> Option<Window> {
    let term = entry.terms(compiled).find(|term| term.kind == kind)?;
    let first = dates.first(kind.span(), compiled.terms.since);
    Some(Window {
        label: compiled.rule.scope.label(&entry.key),
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

fn resets_at(kind: LimitKind, compiled: &Compiled, entry: &Entry, dates: Dates, now: Now) -> Option<Timestamp> {
    if kind.is_calendar() {
        let end = dates.end_micros(kind.span(), compiled.rule.day_zone)?;
        return Some(now.at.plus_micros(end - now.at.unix_micros()));
    }
    let oldest = entry.minute(kind).and_then(|minute| minute.counting(second_of(now)).next());
    let leaves = |(second, _)| now.at.plus_micros((second + BUCKETS) * 1_000_000 - now.tick.0 as i64);
    Some(oldest.map_or(now.at, leaves))
}
