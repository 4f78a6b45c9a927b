//! All rules and all their entries: finds or makes the entries a call belongs to, and drops idle ones.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::acts::Acts;
use super::calendar::{Calendar, Dates};
use super::entry::Entry;
use super::index::Index;
use super::kind::{Kinds, Measure, Span};
use super::rule::{Facet, Rule, Scope, Shape, Subject};
use super::rulebook::Rulebook;
use super::terms::{Term, Terms};
use crate::usage::names::OTHER;
use crate::usage::prices::UnknownPrice;
use crate::usage::{Day, Lately};

/// Most entries there are at once. Beyond them, new values of a rule's `*` share one entry called `other`, so that
/// more names can never mean more calls.
pub const ENTRIES_MAX: usize = 524_288;

/// Entries looked at by one [`Table::sweep`]: a bound on its time under the lock.
const SWEPT_AT_ONCE: usize = 1_024;

/// Rules and their entries.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) rules: Vec<Compiled>,
    calendars: Vec<Calendar>,
    /// What calls without a price are charged.
    pub(super) unpriced: UnknownPrice,
    /// The rules as they were given.
    pub(super) book: Rulebook,
    /// Everybody who is no guest.
    named: BTreeSet<Box<str>>,
    /// What was done to budgets.
    pub(super) acts: Acts,
    /// Whether any rule speaks of users: if none does, nobody's id needs to be written out.
    pub(super) picks_users: bool,
    has_guests: bool,
    pub(super) counts_money: bool,
    /// The longest of all spans that are counted.
    pub(super) longest_span: Option<Span>,
    /// The first day that anything prepaid counts.
    pub(super) prepaid_since: Option<Day>,
    index: Index,
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    next_swept: usize,
    entries_max: usize,
    /// How often calls may have come to belong to other entries: rules were added, or entries dropped or filled.
    pub(super) changes: u64,
    /// Where the calls of the subjects seen last are booked.
    lately: Arc<Lately<Arc<Booked>>>,
    /// Room to write subjects in, and keys, and to gather rules in.
    text: String,
    key: String,
    found: Vec<u32>,
}

/// Subjects of which it is remembered at most where their calls are booked.
const SUBJECTS_MAX: usize = 512;

/// A rule with its terms, where its calendar is, and its entries by key.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) rule: Rule,
    pub(super) fingerprint: String,
    pub(super) terms: Terms,
    pub(super) shape: Shape,
    /// Whether it was made while the program ran: it goes before one of the configuration for the same.
    pub(super) by_act: bool,
    /// What was used before it was made is still being counted.
    pub(super) is_learning: bool,
    calendar: usize,
    pub(super) entries: HashMap<Box<str>, u32, RandomState>,
}

impl Compiled {
    /// The windows of its entries at an instant.
    pub(super) fn dates(&self, unix_micros: i64) -> Dates {
        Dates::at(self.rule.day_zone, unix_micros)
    }

    /// Whether it takes the place of another for calls that both mean.
    fn goes_before(&self, other: &Compiled) -> bool {
        self.shape.is_narrower_than(other.shape)
            || self.by_act && !other.by_act && self.shape == other.shape && self.rule.scope == other.rule.scope
    }
}

/// An entry a call belongs to, and the windows in which it was admitted there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booking {
    pub(super) entry: u32,
    pub(super) dates: Dates,
}

/// Where the calls of a subject are booked, as long as nothing changes.
#[derive(Clone, Debug)]
pub(super) struct Booked {
    /// By [`Subject::write_text`].
    pub(super) subject: Box<str>,
    /// The entry of every rule that means them.
    pub(super) bookings: Vec<Booking>,
    /// The time in which the dates of all of them are these, in microseconds since 1970.
    pub(super) days: Range<i64>,
    /// [`Table::changes`] when they were found.
    changes: u64,
}

impl Table {
    pub(super) fn new(book: Rulebook, acts: Acts, entries_max: usize) -> Table {
        let mut table = Table {
            rules: Vec::new(),
            calendars: Vec::new(),
            unpriced: book.unpriced,
            named: book.named(),
            picks_users: false,
            has_guests: false,
            counts_money: false,
            longest_span: None,
            prepaid_since: None,
            index: Index::default(),
            slots: Vec::new(),
            free: Vec::new(),
            next_swept: 0,
            entries_max,
            changes: 0,
            lately: Arc::new(Lately::new(SUBJECTS_MAX)),
            text: String::new(),
            key: String::new(),
            found: Vec::new(),
            acts,
            book,
        };
        table.book.rules.clone().into_iter().for_each(|rule| table.push(rule, false));
        let made: Vec<Rule> = table.acts.budgets().filter_map(|budget| table.own_rule(budget)).collect();
        made.into_iter().for_each(|rule| table.push(rule, true));
        table.index();
        table.refresh(None);
        table
    }

    fn push(&mut self, rule: Rule, by_act: bool) {
        self.changes += 1;
        let known = self.calendars.iter().position(|calendar| calendar.zone == rule.day_zone);
        let calendar = known.unwrap_or_else(|| {
            self.calendars.push(Calendar::new(rule.day_zone));
            self.calendars.len() - 1
        });
        let terms = rule.caps.said_kinds().map(|kind| Term::new(kind, None)).collect();
        self.rules.push(Compiled {
            fingerprint: self.book.fingerprint(&rule),
            terms: Terms { since: rule.since, list: terms },
            shape: Shape::of(&rule.scope),
            by_act,
            is_learning: false,
            calendar,
            entries: HashMap::default(),
            rule,
        });
    }

    fn index(&mut self) {
        self.index = Index::new(self.rules.iter().map(|compiled| &compiled.rule.scope));
        let mut facets = self.rules.iter().flat_map(|compiled| compiled.rule.scope.picks());
        self.picks_users = facets.any(|(facet, _)| facet == Facet::User);
        let mut terms = self.rules.iter().flat_map(|compiled| &compiled.terms.list);
        self.counts_money = terms.any(|term| term.kind.measure() == Measure::Money);
        let longest = |compiled: &Compiled| compiled.terms.list.iter().map(|term| term.kind.span()).max();
        self.longest_span = self.rules.iter().filter_map(longest).max();
        let prepaid = self.rules.iter().filter(|compiled| longest(compiled) == Some(Span::Prepaid));
        self.prepaid_since = prepaid.map(|compiled| compiled.rule.since.unwrap_or_default()).min();
        self.has_guests = self.rules.iter().any(|compiled| compiled.rule.scope.has_guests());
    }

    /// Adds a rule that only counts from now on; gives its number.
    pub(super) fn add_learning(&mut self, rule: Rule) -> u32 {
        self.push(rule, true);
        self.rules.last_mut().expect("it was just added").is_learning = true;
        self.index();
        self.rules.len() as u32 - 1
    }

    /// Says anew what holds for a scope, or for all: after something was done to a budget.
    pub(super) fn refresh(&mut self, scope: Option<&Scope>) {
        let shape = scope.map(Shape::of);
        for rule in 0..self.rules.len() {
            if shape.is_none_or(|shape| shape.has_facets_of(self.rules[rule].shape)) {
                self.rules[rule].terms.list = self.terms_of(rule);
            }
        }
        for rule in 0..self.rules.len() {
            if shape.is_some_and(|shape| !shape.has_facets_of(self.rules[rule].shape)) {
                continue;
            }
            let entries = &self.rules[rule].entries;
            let touched: Vec<u32> = match scope.filter(|scope| !Shape::of(scope).has_each()) {
                None => entries.values().copied().collect(),
                Some(named) => {
                    let key = named.key_under(&self.rules[rule].rule.scope);
                    key.and_then(|key| entries.get(key.as_str()).copied()).into_iter().collect()
                }
            };
            for entry in touched {
                let (own, lifted) = self.terms_under(rule as u32, &self.entry(entry).key);
                let (entry, _) = self.with_rule(entry);
                (entry.own, entry.lifted) = (own, lifted);
            }
        }
    }

    /// Whether the caller is one of those whom nobody named.
    fn is_guest(&self, subject: &Subject<'_>) -> bool {
        self.has_guests && subject.user.is_some_and(|user| self.is_nobody(user))
    }

    /// Whether nobody named this person.
    pub(super) fn is_nobody(&self, user: &str) -> bool {
        !self.named.contains(user)
    }

    /// Where a call of a subject is booked that is admitted at `unix_micros`: in an entry of every rule that means it.
    pub(super) fn booked(&mut self, subject: &Subject<'_>, unix_micros: i64) -> Arc<Booked> {
        let mut text = std::mem::take(&mut self.text);
        subject.write_text(&mut text);
        let changes = self.changes;
        let is_same = |known: &Arc<Booked>| {
            known.changes == changes && known.days.contains(&unix_micros) && *known.subject == *text
        };
        let lately = Arc::clone(&self.lately);
        let booked = lately.find(&*text, is_same, || {
            let bookings = self.bookings(subject, unix_micros);
            Arc::new(Booked { subject: (&*text).into(), bookings, days: self.days_around(unix_micros), changes })
        });
        self.text = text;
        booked
    }

    fn bookings(&mut self, subject: &Subject<'_>, unix_micros: i64) -> Vec<Booking> {
        let is_guest = self.is_guest(subject);
        let mut bookings = Vec::with_capacity(8);
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        self.index.candidates(subject).for_each(|rule| found.push(rule));
        bookings.extend(found.iter().filter_map(|rule| self.booking(*rule, subject, is_guest, unix_micros)));
        self.found = found;
        bookings
    }

    /// The time around an instant in which no rule's day begins or ends.
    pub(super) fn days_around(&mut self, unix_micros: i64) -> Range<i64> {
        self.calendars.iter_mut().fold(i64::MIN..i64::MAX, |days, calendar| {
            let (day, _) = calendar.day(unix_micros);
            days.start.max(day.start_micros)..days.end.min(day.end_micros)
        })
    }

    /// The entry of one rule, if it means the call.
    pub(super) fn booking_in(&mut self, rule: u32, subject: &Subject<'_>, unix_micros: i64) -> Option<Booking> {
        let is_guest = self.is_guest(subject);
        self.booking(rule, subject, is_guest, unix_micros)
    }

    fn booking(&mut self, rule: u32, subject: &Subject<'_>, is_guest: bool, unix_micros: i64) -> Option<Booking> {
        let compiled = &self.rules[rule as usize];
        if !compiled.rule.scope.matches(subject, is_guest) {
            return None;
        }
        let dates = self.calendars[compiled.calendar].at(unix_micros);
        compiled.rule.scope.write_key(subject, &mut self.key);
        let entry = match compiled.entries.get(self.key.as_str()) {
            Some(entry) => *entry,
            None => {
                let is_full = self.slots.len() - self.free.len() >= self.entries_max && compiled.shape.has_each();
                let key: Box<str> = if is_full { OTHER.into() } else { self.key.as_str().into() };
                self.find_or_make(rule, &key)
            }
        };
        Some(Booking { entry, dates })
    }

    /// The entry of a rule under a key, be there room for it or not.
    pub(super) fn entry_of(&mut self, rule: u32, key: &str) -> (&mut Entry, &Compiled) {
        self.changes += 1;
        let entry = self.find_or_make(rule, key);
        self.with_rule(entry)
    }

    fn find_or_make(&mut self, rule: u32, key: &str) -> u32 {
        if let Some(entry) = self.rules[rule as usize].entries.get(key) {
            return *entry;
        }
        let (own, lifted) = self.terms_under(rule, key);
        let mut entry = Entry::new(rule, key.into());
        (entry.own, entry.lifted) = (own, lifted);
        let entry = Some(entry);
        let number = match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = entry;
                number
            }
            None => {
                self.slots.push(entry);
                self.slots.len() as u32 - 1
            }
        };
        self.rules[rule as usize].entries.insert(key.into(), number);
        number
    }

    /// The terms of one value alone, if something was done to them, and the kinds that a rule naming it speaks of.
    pub(super) fn terms_under(&self, rule: u32, key: &str) -> (Option<Box<[Term]>>, Kinds) {
        let compiled = &self.rules[rule as usize];
        let scope = &compiled.rule.scope;
        let subject = scope.subject_under(key);
        let others = self.index.candidates(&subject).map(|other| &self.rules[other as usize]).filter(|other| {
            other.goes_before(compiled) && other.rule.scope.matches(&subject, scope.has_guests()) && !other.is_learning
        });
        (self.own_terms(rule, key), others.fold(Kinds::default(), |kinds, other| kinds.and(other.terms.said())))
    }

    /// An entry with the rule it belongs to.
    pub(super) fn with_rule(&mut self, entry: u32) -> (&mut Entry, &Compiled) {
        let found = self.slots[entry as usize].as_mut().expect("an entry that is booked in is not dropped");
        let rule = &self.rules[found.rule as usize];
        (found, rule)
    }

    /// The windows of an instant in the zone of an entry's rule.
    pub(super) fn dates_of(&mut self, entry: u32, unix_micros: i64) -> Dates {
        let calendar = self.rules[self.entry(entry).rule as usize].calendar;
        self.calendars[calendar].at(unix_micros)
    }

    pub(super) fn entry(&self, entry: u32) -> &Entry {
        self.slots[entry as usize].as_ref().expect("an entry a rule knows is not dropped")
    }

    /// Every entry with its number.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.slots.iter().enumerate().filter_map(|(number, slot)| Some((number as u32, slot.as_ref()?)))
    }

    /// Drops every entry.
    pub(super) fn clear(&mut self) {
        self.changes += 1;
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
                self.changes += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::limits::{Caps, Pick};
    use crate::usage::{Zone, zone};

    #[test]
    fn where_a_subject_is_booked_is_what_a_look_at_every_rule_finds() {
        let caps = Caps::of([(crate::limits::LimitKind::TokensPerDay, 9)]);
        let rule =
            |facet, pick: &str, zone| Rule::new(Scope::everything().with(facet, Pick::of(facet, pick)), caps, zone);
        let rules = vec![
            rule(Facet::User, "*", Zone::UTC),
            rule(Facet::User, "guests", zone("Pacific/Chatham")),
            rule(Facet::Model, "m1", zone("America/St_Johns")),
        ];
        let mut table = Table::new(rules.into(), Acts::default(), 4);
        for step in 0..4_000_i64 {
            let (user, model) = (format!("u{}", step * 7 % 9), format!("m{}", step % 2));
            match step % 97 {
                17 => table.sweep(step * 1_000_000),
                41 => drop(table.entry_of(0, &user)),
                73 if step < 1_000 => drop(table.add_learning(rule(Facet::User, &user, zone("Asia/Kathmandu")))),
                _ => {}
            }
            let subject = Subject { user: Some(&user), model: &model, ..Subject::default() };
            let micros = 1_795_305_600_000_000 + step / 20 * 1_000_000_000;
            let known = table.booked(&subject, micros);
            let parts = |bookings: &[Booking]| bookings.iter().map(|of| (of.entry, of.dates)).collect::<Vec<_>>();
            assert_eq!(parts(&known.bookings), parts(&table.bookings(&subject, micros)), "{step}");
        }
    }
}
