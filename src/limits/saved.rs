//! The settled counts as a JSON value and back, so that a start need not read days of records.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::calendar::Dates;
use super::count::matters;
use super::entry::{Entry, second_of};
use super::gate::tick_micros_at;
use super::kind::{LimitKind, Span};
use super::minute::Minute;
use super::table::{Booking, Compiled, Table};
use crate::usage::{Day, Now};

/// Most entries that are saved. A rule with more than there is room for is left out whole, and said to be: part of its
/// counts would be worth nothing.
pub const SAVED_ENTRIES_MAX: usize = 4_096;

/// The form written and read. The first knew days alone; whoever finds it applies the records again.
const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Saved {
    v: u32,
    /// By fingerprint.
    rules: BTreeMap<String, SavedRule>,
}

#[derive(Default, Serialize, Deserialize)]
struct SavedRule {
    /// False when the rule was left out.
    complete: bool,
    /// By key.
    entries: BTreeMap<String, SavedEntry>,
}

/// Counts of one entry. Minutes are (wall time in microseconds, amount): seconds of one process mean nothing to the
/// next.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct SavedEntry {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    requests: Vec<(i64, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<(i64, u64)>,
    /// Of each kind: (first day of the window, booked, taken back).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    windows: BTreeMap<String, Vec<(Day, u64, u64)>>,
}

/// Saves what is settled: all counts but those of calls in flight, given by their bookings and admission seconds.
pub(super) fn save(table: &Table, in_flight: impl Iterator<Item = (Booking, i64)>, now: Now) -> Value {
    let mut unsettled: HashMap<u32, Vec<(Dates, i64)>> = HashMap::new();
    for (booking, second) in in_flight {
        unsettled.entry(booking.entry).or_default().push((booking.dates, second));
    }
    let mut smallest_first: Vec<&Compiled> = table.rules.iter().collect();
    smallest_first.sort_by_key(|compiled| compiled.entries.len());
    let mut room = SAVED_ENTRIES_MAX;
    let mut rules = BTreeMap::new();
    for compiled in smallest_first {
        let complete = compiled.entries.len() <= room && !compiled.is_learning;
        let mut entries = BTreeMap::new();
        if complete {
            room -= compiled.entries.len();
            let today = compiled.dates(now.at.unix_micros());
            for (key, number) in &compiled.entries {
                let mut entry = Cow::Borrowed(table.entry(*number));
                for (dates, second) in unsettled.get(number).into_iter().flatten() {
                    entry.to_mut().take_request_back(compiled, *dates, *second);
                }
                let saved = SavedEntry::of(&entry, today, now);
                if saved != SavedEntry::default() {
                    entries.insert(key.to_string(), saved);
                }
            }
        }
        rules.insert(compiled.fingerprint.clone(), SavedRule { complete, entries });
    }
    serde_json::to_value(Saved { v: VERSION, rules }).expect("counts and names can be written as JSON")
}

/// Fills an empty table; false and untouched when a rule's counts are missing or incomplete.
pub(super) fn restore(table: &mut Table, saved: &Value, now: Now) -> bool {
    let Ok(saved) = Saved::deserialize(saved) else {
        return false;
    };
    let names: Vec<String> = table.rules.iter().map(|compiled| compiled.fingerprint.clone()).collect();
    let is_whole = |name: &String| saved.rules.get(name).is_some_and(|rule| rule.complete);
    if saved.v != VERSION || !names.iter().all(is_whole) {
        return false;
    }
    for (rule, name) in (0u32..).zip(&names) {
        for (key, entry) in &saved.rules[name].entries {
            entry.fill(table.entry_of(rule, key).0, now);
        }
    }
    true
}

/// What a saved state says of the windows that both still remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Rules whose counts were compared.
    pub rules: usize,
    /// Rules that the saved state does not hold whole: they are new, or have too many entries.
    pub left_out: usize,
    /// A sentence for each count that differs.
    pub differences: Vec<String>,
}

/// Days whose windows no gate lets go of: today and the day before.
const DAYS_COMPARED: i32 = 1;

/// Holds a saved state against the counts of a table. Minutes are not compared: they are over, and a replayed call
/// settles when it ended, not when its record was written.
pub(super) fn compare(table: &Table, saved: &Value, now: Now) -> Compared {
    let mut compared = Compared { left_out: table.rules.len(), ..Compared::default() };
    let Some(saved) = Saved::deserialize(saved).ok().filter(|saved| saved.v == VERSION) else { return compared };
    let own = Saved::deserialize(save(table, std::iter::empty(), now)).expect("it was just written");
    for compiled in &table.rules {
        let (Some(saved), Some(own)) = (saved.rules.get(&compiled.fingerprint), own.rules.get(&compiled.fingerprint))
        else {
            continue;
        };
        if !saved.complete || !own.complete {
            continue;
        }
        compared.rules += 1;
        let since = Dates::of(compiled.dates(now.at.unix_micros()).day.plus(-DAYS_COMPARED));
        let keys: BTreeSet<&String> = saved.entries.keys().chain(own.entries.keys()).collect();
        for key in keys {
            let [saved, own] = [saved, own].map(|rule| rule.entries.get(key).map(|entry| entry.used_since(since)));
            let (saved, own) = (saved.unwrap_or_default(), own.unwrap_or_default());
            let either: BTreeSet<_> = saved.keys().chain(own.keys()).collect();
            let differing = either.into_iter().filter(|window| saved.get(window) != own.get(window));
            compared.differences.extend(differing.map(|(kind, first)| {
                let of = |counts: &BTreeMap<_, u64>| counts.get(&(*kind, *first)).copied().unwrap_or_default();
                let label = compiled.rule.scope.label(key);
                format!("{label}, {kind} from {first} on: {}, the records give {}", of(&saved), of(&own))
            }));
        }
    }
    compared.left_out -= compared.rules;
    compared
}

impl SavedEntry {
    fn of(entry: &Entry, today: Dates, now: Now) -> SavedEntry {
        let mut windows: BTreeMap<String, Vec<(Day, u64, u64)>> = BTreeMap::new();
        for count in entry.counts.iter() {
            if (count.booked > 0 || count.taken > 0) && matters(count.kind.span(), count.first, today) {
                let of_kind = windows.entry(count.kind.as_str().to_owned()).or_default();
                of_kind.push((count.first, count.booked, count.taken));
            }
        }
        windows.values_mut().for_each(|counts| counts.sort_unstable());
        let minute = |kind| entry.minute(kind).map_or_else(Vec::new, |minute| by_wall(minute, now));
        let (requests, tokens) = (minute(LimitKind::RequestsPerMinute), minute(LimitKind::TokensPerMinute));
        SavedEntry { requests, tokens, windows }
    }

    fn fill(&self, entry: &mut Entry, now: Now) {
        let now_second = second_of(now);
        let second_at = |wall: i64| tick_micros_at(wall, now).div_euclid(1_000_000);
        let minutes = [(LimitKind::RequestsPerMinute, &self.requests), (LimitKind::TokensPerMinute, &self.tokens)];
        for (kind, buckets) in minutes {
            for (wall, amount) in buckets {
                entry.add_to_minute(kind, second_at(*wall), *amount, now_second);
            }
        }
        for (kind, first, booked, taken) in self.counts() {
            let count = entry.counts.at(kind, first, now_second);
            (count.booked, count.taken) = (booked, taken);
        }
    }

    fn counts(&self) -> impl Iterator<Item = (LimitKind, Day, u64, u64)> {
        self.windows
            .iter()
            .filter_map(|(kind, counts)| Some((LimitKind::parse(kind)?, counts)))
            .flat_map(|(kind, counts)| counts.iter().map(move |(first, booked, taken)| (kind, *first, *booked, *taken)))
    }

    /// What is used of the windows that hold a day or come after it.
    fn used_since(&self, dates: Dates) -> BTreeMap<(LimitKind, Day), u64> {
        let counts = self
            .counts()
            .filter(|(kind, first, ..)| kind.span() == Span::Prepaid || *first >= dates.first(kind.span(), None));
        counts.map(|(kind, first, booked, taken)| ((kind, first), booked.saturating_sub(taken))).collect()
    }
}

/// The buckets that count, each at the wall time of its last microsecond: never earlier than what it holds.
fn by_wall(minute: &Minute, now: Now) -> Vec<(i64, u64)> {
    let wall = |second: i64| now.at.unix_micros() + ((second + 1) * 1_000_000 - 1 - now.tick.0 as i64);
    minute.counting(second_of(now)).map(|(second, amount)| (wall(second), amount)).collect()
}
