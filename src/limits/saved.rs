//! The settled counts as a JSON value and back, so that a start need not read days of records.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::day::DaySpan;
use super::entry::{Entry, PAST_DAYS, second_of};
use super::gate::tick_micros_at;
use super::kind::Caps;
use super::minute::Minute;
use super::table::{Compiled, Table};
use crate::usage::{Day, Now};

/// Most entries that are saved. A rule with more than there is room for is left out whole, and said to be: part of its
/// counts would be worth nothing.
pub const SAVED_ENTRIES_MAX: usize = 4_096;

const VERSION: u32 = 1;

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
    /// (day, requests, tokens).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    days: Vec<(Day, i64, i64)>,
}

/// Saves what is settled: all counts but those of calls in flight, given as (entry, admission day, admission second).
pub(super) fn save(table: &Table, in_flight: impl Iterator<Item = (u32, Day, i64)>, now: Now) -> Value {
    let mut unsettled: HashMap<u32, Vec<(Day, i64)>> = HashMap::new();
    for (entry, day, second) in in_flight {
        unsettled.entry(entry).or_default().push((day, second));
    }
    let mut smallest_first: Vec<&Compiled> = table.rules.iter().collect();
    smallest_first.sort_by_key(|compiled| compiled.entries.len());
    let mut room = SAVED_ENTRIES_MAX;
    let mut rules = BTreeMap::new();
    for compiled in smallest_first {
        let complete = compiled.entries.len() <= room;
        let mut entries = BTreeMap::new();
        if complete {
            room -= compiled.entries.len();
            let today = DaySpan::at(compiled.rule.day_zone, now.at.unix_micros()).day;
            for (key, number) in &compiled.entries {
                let mut entry = Cow::Borrowed(table.entry(*number));
                for (day, second) in unsettled.get(number).into_iter().flatten() {
                    entry.to_mut().take_request_back(&compiled.rule.caps, *day, *second);
                }
                let saved = SavedEntry::of(&entry, today, now);
                if saved != SavedEntry::default() {
                    entries.insert(key.to_string(), saved);
                }
            }
        }
        rules.insert(compiled.rule.fingerprint(), SavedRule { complete, entries });
    }
    serde_json::to_value(Saved { v: VERSION, rules }).expect("counts and names can be written as JSON")
}

/// Fills an empty table; false and untouched when a rule's counts are missing or incomplete.
pub(super) fn restore(table: &mut Table, saved: &Value, now: Now) -> bool {
    let Ok(saved) = Saved::deserialize(saved) else {
        return false;
    };
    let names: Vec<String> = table.rules.iter().map(|compiled| compiled.rule.fingerprint()).collect();
    let is_whole = |name: &String| saved.rules.get(name).is_some_and(|rule| rule.complete);
    if saved.v != VERSION || !names.iter().all(is_whole) {
        return false;
    }
    for (rule, name) in names.iter().enumerate() {
        let caps = table.rules[rule].rule.caps;
        for (key, entry) in &saved.rules[name].entries {
            entry.fill(table.entry_of(rule as u32, key), &caps, now);
        }
    }
    true
}

/// What a saved state says of the days that both still remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Rules whose counts were compared.
    pub rules: usize,
    /// Rules that the saved state does not hold whole: they are new, or have too many entries.
    pub left_out: usize,
    /// A sentence for each count that differs.
    pub differences: Vec<String>,
}

/// Days whose counts no gate lets go of: today and the day before.
const DAYS_COMPARED: i32 = 1;

/// Holds a saved state against the counts of a table. Minutes are not compared: they are over, and a replayed call
/// settles when it ended, not when its record was written.
pub(super) fn compare(table: &Table, saved: &Value, now: Now) -> Compared {
    let mut compared = Compared { left_out: table.rules.len(), ..Compared::default() };
    let Ok(saved) = Saved::deserialize(saved) else { return compared };
    let own = Saved::deserialize(save(table, std::iter::empty(), now)).expect("it was just written");
    for compiled in &table.rules {
        let name = compiled.rule.fingerprint();
        let (Some(saved), Some(own)) = (saved.rules.get(&name), own.rules.get(&name)) else { continue };
        if !saved.complete || !own.complete {
            continue;
        }
        compared.rules += 1;
        let since = DaySpan::at(compiled.rule.day_zone, now.at.unix_micros()).day.plus(-DAYS_COMPARED);
        let keys: BTreeSet<&String> = saved.entries.keys().chain(own.entries.keys()).collect();
        for key in keys {
            let days = |rule: &SavedRule| -> BTreeMap<Day, (i64, i64)> {
                let days = rule.entries.get(key).into_iter().flat_map(|entry| &entry.days);
                days.filter(|(day, ..)| *day >= since)
                    .map(|(day, requests, tokens)| (*day, (*requests, *tokens)))
                    .collect()
            };
            let (saved, own) = (days(saved), days(own));
            let either: BTreeSet<&Day> = saved.keys().chain(own.keys()).collect();
            let differing = either.into_iter().filter(|day| saved.get(day) != own.get(day));
            compared.differences.extend(differing.map(|day| {
                let [saved, own] = [&saved, &own].map(|days| days.get(day).copied().unwrap_or_default());
                format!(
                    "{} on {day}: {} requests and {} tokens, the records give {} and {}",
                    compiled.rule.scope.label(key),
                    saved.0,
                    saved.1,
                    own.0,
                    own.1
                )
            }));
        }
    }
    compared.left_out -= compared.rules;
    compared
}

impl SavedEntry {
    fn of(entry: &Entry, today: Day, now: Now) -> SavedEntry {
        let counts = entry
            .days
            .iter()
            .filter(|count| count.day >= today.plus(-PAST_DAYS) && (count.requests != 0 || count.tokens != 0));
        let mut days: Vec<(Day, i64, i64)> = counts.map(|count| (count.day, count.requests, count.tokens)).collect();
        days.sort_unstable();
        SavedEntry { requests: by_wall(&entry.requests, now), tokens: by_wall(&entry.tokens, now), days }
    }

    fn fill(&self, entry: &mut Entry, caps: &Caps, now: Now) {
        let now_second = second_of(now);
        let second_at = |wall: i64| tick_micros_at(wall, now).div_euclid(1_000_000);
        for (wall, amount) in &self.requests {
            entry.requests.add(second_at(*wall), *amount, now_second);
        }
        for (wall, amount) in &self.tokens {
            entry.tokens.add(second_at(*wall), *amount, now_second);
        }
        for (day, requests, tokens) in &self.days {
            entry.correct_day(caps, *requests, *tokens, *day, now_second);
        }
    }
}

/// The buckets that count, each at the wall time of its last microsecond: never earlier than what it holds.
fn by_wall(minute: &Minute, now: Now) -> Vec<(i64, u64)> {
    let wall = |second: i64| now.at.unix_micros() + ((second + 1) * 1_000_000 - 1 - now.tick.0 as i64);
    minute.counting(second_of(now)).map(|(second, amount)| (wall(second), amount)).collect()
}
