//! All rules and all their entries: finds or makes the entries a call belongs to, and drops idle ones.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::day::{DaySpan, ZoneDays};
use super::entry::Entry;
use super::index::Index;
use super::rule::{Facet, Rule, Subject};
use crate::usage::Day;
use crate::usage::names::OTHER;

/// Most entries there are at once. Beyond them, new values of a rule's `*` share one entry called `other`, so that
/// more names can never mean more calls.
pub const ENTRIES_MAX: usize = 262_144;

/// Entries looked at by one [`Table::sweep`]: a bound on its time under the lock.
const SWEPT_AT_ONCE: usize = 1_024;

/// Rules and their entries.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) rules: Vec<Compiled>,
    pub(super) zones: Vec<ZoneDays>,
    /// Whether any rule speaks of users: if none does, nobody's id needs to be written out.
    pub(super) picks_users: bool,
    index: Index,
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    next_swept: usize,
    entries_max: usize,
    /// Room to write keys in.
    key: String,
}

/// A rule, where its zone is, and its entries by key.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) rule: Rule,
    pub(super) zone: usize,
    pub(super) entries: HashMap<Box<str>, u32, RandomState>,
}

/// An entry a call belongs to, and the day on which it was admitted there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booking {
    pub(super) entry: u32,
    pub(super) span: DaySpan,
}

impl Table {
    pub(super) fn new(rules: Vec<Rule>, entries_max: usize) -> Table {
        let index = Index::new(&rules);
        let picks_users = rules.iter().flat_map(|rule| rule.scope.picks()).any(|(facet, _)| facet == Facet::User);
        let mut zones: Vec<ZoneDays> = Vec::new();
        let mut compile = |rule: Rule| {
            let known = zones.iter().position(|days| days.zone() == rule.day_zone);
            let zone = known.unwrap_or_else(|| {
                zones.push(ZoneDays::new(rule.day_zone));
                zones.len() - 1
            });
            Compiled { rule, zone, entries: HashMap::default() }
        };
        let rules = rules.into_iter().map(&mut compile).collect();
        Table {
            rules,
            zones,
            picks_users,
            index,
            slots: Vec::new(),
            free: Vec::new(),
            next_swept: 0,
            entries_max,
            key: String::new(),
        }
    }

    /// The entries of every rule that means a call admitted at `unix_micros`.
    pub(super) fn bookings(&mut self, subject: &Subject<'_>, unix_micros: i64) -> Vec<Booking> {
        let mut bookings = Vec::new();
        let Table { rules, zones, index, slots, free, key, entries_max, .. } = self;
        for id in index.candidates(subject) {
            let compiled = &mut rules[id as usize];
            if !compiled.rule.scope.matches(subject, false) {
                continue;
            }
            let span = zones[compiled.zone].at(unix_micros);
            compiled.rule.scope.write_key(subject, key);
            let is_full = slots.len() - free.len() >= *entries_max && compiled.rule.scope.has_each();
            let entry = find_or_make(compiled, id, key, is_full, slots, free);
            bookings.push(Booking { entry, span });
        }
        bookings
    }

    /// The entry of a rule under a key.
    pub(super) fn entry_of(&mut self, rule: u32, key: &str) -> &mut Entry {
        let Table { rules, slots, free, .. } = self;
        let entry = find_or_make(&mut rules[rule as usize], rule, key, false, slots, free);
        self.entry_mut(entry)
    }

    /// An entry with the rule it belongs to.
    pub(super) fn with_rule(&mut self, entry: u32) -> (&mut Entry, &Rule) {
        let found = self.slots[entry as usize].as_mut().expect("an entry that is booked in is not dropped");
        let rule = &self.rules[found.rule as usize].rule;
        (found, rule)
    }

    /// The day that an instant belongs to in the zone of an entry's rule.
    pub(super) fn day_of(&mut self, entry: u32, unix_micros: i64) -> Day {
        let zone = self.rules[self.entry(entry).rule as usize].zone;
        self.zones[zone].at(unix_micros).day
    }

    pub(super) fn entry(&self, entry: u32) -> &Entry {
        self.slots[entry as usize].as_ref().expect("an entry a rule knows is not dropped")
    }

    fn entry_mut(&mut self, entry: u32) -> &mut Entry {
        self.slots[entry as usize].as_mut().expect("an entry a rule knows is not dropped")
    }

    /// Every entry with its number.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.slots.iter().enumerate().filter_map(|(number, slot)| Some((number as u32, slot.as_ref()?)))
    }

    /// Drops every entry.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
        self.rules.iter_mut().for_each(|compiled| compiled.entries.clear());
    }

    /// Forgets old counts of the next entries in turn, and drops those that are empty.
    pub(super) fn sweep(&mut self, now_second: i64) {
        for _ in 0..SWEPT_AT_ONCE.min(self.slots.len()) {
            self.next_swept = (self.next_swept + 1) % self.slots.len();
            let slot = &mut self.slots[self.next_swept];
            if let Some(entry) = slot.take_if(|entry| entry.forget(now_second)) {
                self.rules[entry.rule as usize].entries.remove(&entry.key);
                self.free.push(self.next_swept as u32);
            }
        }
    }
}

fn find_or_make(
    compiled: &mut Compiled,
    rule: u32,
    key: &str,
    is_full: bool,
    slots: &mut Vec<Option<Entry>>,
    free: &mut Vec<u32>,
) -> u32 {
    if let Some(entry) = compiled.entries.get(key) {
        return *entry;
    }
    if is_full && key != OTHER {
        return find_or_make(compiled, rule, OTHER, false, slots, free);
    }
    let entry = Some(Entry::new(rule, key.into()));
    let number = match free.pop() {
        Some(number) => {
            slots[number as usize] = entry;
            number
        }
        None => {
            slots.push(entry);
            slots.len() as u32 - 1
        }
    };
    compiled.entries.insert(key.into(), number);
    number
}
