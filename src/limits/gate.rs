//! The gate itself: reserve, settle, give back, expire; and the same counts from finished records.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use serde_json::Value;

use super::acts::Acts;
use super::count::{Amounts, PAST_DAYS, longest_days};
use super::entry::{Entry, second_of};
use super::kind::Span;
use super::observed::{Learned, Observations, Observed, label_of};
use super::refusal::Refusal;
use super::rule::{AtLimit, Facet, Label, Subject};
use super::rulebook::Rulebook;
use super::table::{Booked, Booking, Compiled, ENTRIES_MAX, Table};
use super::{Compared, Window, saved, windows};
use crate::settings::{BudgetActs, BudgetKey};
use crate::usage::prices::UnknownPrice;
use crate::usage::{Kind, Money, Now, RecordId, Status, Tick, Timestamp, UsageRecord};

/// A reservation that has given no sign of life for this long is abandoned: its tokens come back.
pub const RESERVATION_MAX_AGE_SECS: u64 = 3_600;

/// What a call is expected to use at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Input.
    pub prompt: u64,
    /// Output: the cap that goes upstream, or what such calls usually need.
    pub output: u64,
    /// What both cost at most, in pico-dollars; saturated.
    pub pico_usd: u64,
}

impl Estimate {
    /// Tokens in all.
    pub fn total(&self) -> u64 {
        self.prompt.saturating_add(self.output)
    }

    /// What a call is asking for with it.
    fn asked(&self) -> Amounts {
        Amounts { requests: 1, ..amounts(self.total(), self.pico_usd) }
    }
}

fn amounts(tokens: u64, pico_usd: u64) -> Amounts {
    Amounts { requests: 0, tokens: tokens.into(), pico_usd: pico_usd.into() }
}

/// What a call really used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Input and output tokens.
    pub tokens: u64,
    /// What they cost, in pico-dollars; where the price is not known, what the owner estimates.
    pub pico_usd: u64,
}

impl Used {
    /// Tokens that cost nothing.
    pub fn of_tokens(tokens: u64) -> Used {
        Used { tokens, pico_usd: 0 }
    }
}

/// Whether calls that end so have reached a provider: refused and cached ones have not, and count in no limit.
pub fn reaches_a_provider(status: Status) -> bool {
    !matches!(status, Status::Refused | Status::Cached)
}

/// All limits with all their counts. One per process, behind one lock.
#[derive(Debug)]
pub struct Gate {
    pub(super) table: Table,
    pub(super) open: HashMap<RecordId, Reservation, RandomState>,
    observations: Observations,
}

/// A call that was admitted and is not settled yet.
#[derive(Debug)]
pub(super) struct Reservation {
    asked: Amounts,
    /// Whose it is, and where it is booked.
    pub(super) booked: Arc<Booked>,
    /// When it was admitted.
    admitted_micros: i64,
    second: i64,
    /// When it was made or last topped up.
    touched: Tick,
    /// Abandoned: what it reserved has been given back, its request stays booked.
    lapsed: bool,
}

impl Gate {
    /// An empty gate over rules; `providers` are the configured ones, of which headers may be noted.
    pub fn new(rules: impl Into<Rulebook>, providers: impl IntoIterator<Item = impl AsRef<str>>) -> Gate {
        Gate {
            table: Table::new(rules.into(), Acts::default(), ENTRIES_MAX),
            open: HashMap::default(),
            observations: Observations::of(providers),
        }
    }

    /// Takes in what was done to budgets before. To be called before anything is counted.
    ///
    /// # Panics
    /// When calls are open.
    pub fn begin<'a>(&mut self, budgets: impl IntoIterator<Item = (&'a BudgetKey, &'a BudgetActs)>) {
        assert!(self.open.is_empty(), "a gate is begun before its first call");
        let book = std::mem::take(&mut self.table.book);
        self.table = Table::new(book, Acts::of(budgets), ENTRIES_MAX);
    }

    /// Admits a call in every limit that means it, or in none: its request counts from now, the rest is reserved.
    ///
    /// The id is that of the record the call will become. Reserving an open id again changes nothing.
    pub fn reserve(
        &mut self,
        id: RecordId,
        subject: &Subject<'_>,
        estimate: Estimate,
        now: Now,
    ) -> Result<(), Refusal> {
        if self.open.contains_key(&id) {
            return Ok(());
        }
        let asked = estimate.asked();
        let admitted_micros = now.at.unix_micros();
        let booked = self.table.booked(subject, admitted_micros);
        let bookings = &booked.bookings;
        let own = self.refusal(bookings, &asked, now);
        let learned = self.observations.refusal(subject.provider, subject.model, &asked, now);
        let learned = learned.map(|refusal| Refusal { at_limit: self.at_limit_of_provider(bookings), ..refusal });
        if let Some(refusal) = own.into_iter().chain(learned).reduce(Refusal::or_longer) {
            return Err(refusal);
        }
        self.observations.admitted(subject.provider, &asked);
        let second = second_of(now);
        for booking in bookings {
            let (entry, rule) = self.table.with_rule(booking.entry);
            entry.admit(rule, &asked, booking.dates, second, second);
        }
        let open = Reservation { asked, booked, admitted_micros, second, touched: now.tick, lapsed: false };
        self.open.insert(id, open);
        Ok(())
    }

    /// Whose counts a call of this subject is held against, and whose own word.
    pub fn labels(&mut self, subject: &Subject<'_>, now: Now) -> Vec<Label> {
        let booked = self.table.booked(subject, now.at.unix_micros());
        let words = [None, Some(subject.model)].map(|model| label_of(subject.provider, model));
        let label = |booking: &Booking| {
            let (entry, compiled) = self.table.with_rule(booking.entry);
            compiled.rule.scope.label(&entry.key)
        };
        booked.bookings.iter().map(label).chain(words).collect()
    }

    /// Reserves more for an open call that has grown beyond its estimate: tokens, and what they cost. They are there, so
    /// they are held whether they fit or not, and other calls find that much less. Nothing when the call is not open.
    pub fn top_up(&mut self, id: RecordId, extra: Estimate, now: Now) {
        let Some(reservation) = self.open.get_mut(&id).filter(|reservation| !reservation.lapsed) else { return };
        reservation.touched = now.tick;
        let second = second_of(now);
        let extra = Amounts { requests: 0, ..extra.asked() };
        reservation.asked.tokens += extra.tokens;
        reservation.asked.pico_usd += extra.pico_usd;
        for booking in &reservation.booked.bookings {
            let (entry, rule) = self.table.with_rule(booking.entry);
            entry.reserve(rule, &extra, booking.dates, second);
        }
    }

    /// Ends an open call: its reserve is given back, what it used is booked, in the windows of its admission and in this
    /// minute. False when no such call is open. A call that was sent is settled even when it used nothing.
    pub fn settle(&mut self, id: RecordId, used: Used, now: Now) -> bool {
        let Some(open) = self.open.remove(&id) else { return false };
        self.settle_open(&open, &amounts(used.tokens, used.pico_usd), now);
        true
    }

    fn settle_open(&mut self, open: &Reservation, used: &Amounts, now: Now) {
        let second = second_of(now);
        for booking in &open.booked.bookings {
            let (entry, rule) = self.table.with_rule(booking.entry);
            open.release(entry, rule, booking);
            entry.settle(rule, used, booking.dates, second);
        }
    }

    /// Ends an open call that never reached the provider: its request is given back too. False when no such call is
    /// open. Its record, if there is one, must be a refused one, or the books would count what the gate does not.
    pub fn cancel(&mut self, id: RecordId) -> bool {
        let Some(open) = self.open.remove(&id) else { return false };
        self.cancel_open(&open);
        true
    }

    fn cancel_open(&mut self, open: &Reservation) {
        for booking in &open.booked.bookings {
            let (entry, rule) = self.table.with_rule(booking.entry);
            open.release(entry, rule, booking);
            entry.take_request_back(rule, booking.dates, open.second);
        }
    }

    /// Gives back what calls abandoned for [`RESERVATION_MAX_AGE_SECS`] reserved and returns their ids; drops idle
    /// entries. Call it about once a second: it does a bounded piece of work.
    ///
    /// The request of an abandoned call stays booked. A record that still comes within as long again settles it; one
    /// that comes later is booked as a call of its own.
    pub fn expire(&mut self, now: Now) -> Vec<RecordId> {
        const MAX_AGE_MS: u64 = RESERVATION_MAX_AGE_SECS * 1000;
        let mut abandoned = Vec::new();
        let table = &mut self.table;
        self.open.retain(|id, reservation| {
            let age_ms = now.tick.millis_since(reservation.touched);
            if !reservation.lapsed && age_ms >= MAX_AGE_MS {
                for booking in &reservation.booked.bookings {
                    let (entry, rule) = table.with_rule(booking.entry);
                    entry.unreserve(rule, &reservation.asked, booking.dates);
                }
                reservation.lapsed = true;
                abandoned.push(*id);
            }
            let is_forgotten = reservation.lapsed && age_ms >= 2 * MAX_AGE_MS;
            if is_forgotten {
                reservation.booked.bookings.iter().for_each(|booking| table.with_rule(booking.entry).0.close());
            }
            !is_forgotten
        });
        table.sweep(second_of(now));
        abandoned.sort_unstable();
        abandoned
    }

    /// Folds a finished record: settles the open call it belongs to, or else books it by its own times, as at a start.
    ///
    /// A time that is to come, of a clock that was set back since, counts in its own windows, and as now in the last
    /// minute. A void is taken from its windows only: what a minute let through stays let
    /// through.
    pub fn apply(&mut self, record: &UsageRecord<'_>, now: Now) {
        let counts = reaches_a_provider(record.status);
        match self.open.remove(&record.id) {
            Some(open) if counts => self.settle_open(&open, &used_of(record, &self.table.unpriced), now),
            Some(open) => self.cancel_open(&open),
            None if counts && !self.table.rules.is_empty() && record.timestamp >= self.horizon(now) => {
                self.book(record, now);
            }
            None => {}
        }
    }

    /// Books a record that was not admitted here.
    fn book(&mut self, record: &UsageRecord<'_>, now: Now) {
        let (now_second, now_micros) = (second_of(now), now.at.unix_micros());
        let told_micros = record.timestamp.unix_micros();
        let admitted = told_micros.min(now_micros);
        let latency_micros = i64::try_from(record.latency_ms.unwrap_or(0)).unwrap_or(i64::MAX).saturating_mul(1000);
        let settled = admitted.saturating_add(latency_micros).min(now_micros);
        let second_at = |micros: i64| tick_micros_at(micros, now).div_euclid(1_000_000);
        let user = record.user.filter(|_| self.table.picks_users).map(|user| user.to_string());
        let subject = subject_of(record, user.as_deref());
        let used = Amounts { requests: record.count.into(), ..used_of(record, &self.table.unpriced) };
        for Booking { entry, dates } in &self.table.booked(&subject, told_micros).bookings {
            let today = self.table.dates_of(*entry, now_micros);
            let (entry, rule) = self.table.with_rule(*entry);
            match record.kind {
                Kind::Usage => {
                    entry.add_to_minutes(rule, &used, second_at(admitted), second_at(settled), now_second);
                    entry.correct(rule, &used, *dates, today, now_second);
                }
                Kind::Void { .. } => entry.correct(rule, &used.negated(), *dates, today, now_second),
            }
        }
    }

    /// The admission time before which records count in no window any more, whatever the zone.
    pub fn horizon(&self, now: Now) -> Timestamp {
        const DAY_MICROS: i64 = 86_400_000_000;
        let begun = self.table.prepaid_since.map_or(i64::MAX, |day| (i64::from(day.0) - 2).saturating_mul(DAY_MICROS));
        let spans = Span::Month.min(self.table.longest_span.unwrap_or(Span::Day));
        let days = longest_days(spans).unwrap_or(PAST_DAYS) + 2;
        Timestamp::new(begun.min(now.at.unix_micros() - i64::from(days) * DAY_MICROS), 0)
    }

    /// Whether any limit speaks of money.
    pub fn counts_money(&self) -> bool {
        self.table.counts_money
    }

    /// How full each window is now: rules in their order, of a `*` the fullest few.
    pub fn windows(&self, now: Now) -> Vec<Window> {
        windows::of(&self.table, &|_| false, None, now)
    }

    /// The same without those of the keys that are gone.
    pub fn windows_without(&self, is_gone: &dyn Fn(&str) -> bool, now: Now) -> Vec<Window> {
        windows::of(&self.table, is_gone, None, now)
    }

    /// The same for one user or one team, say: of a `*` over such, only the entry with that value.
    pub fn windows_about(&self, facet: Facet, value: &str, now: Now) -> Vec<Window> {
        windows::of(&self.table, &|_| false, Some((facet, value)), now)
    }

    /// The settled part, which is the fold of the records applied so far: what calls in flight have booked or reserved
    /// is not in it. Equal counts give equal values, while they fit into [`SAVED_ENTRIES_MAX`](super::SAVED_ENTRIES_MAX)
    /// entries.
    pub fn save(&self, now: Now) -> Value {
        let in_flight = self
            .open
            .values()
            .flat_map(|reservation| reservation.booked.bookings.iter().map(|booking| (*booking, reservation.second)));
        saved::save(&self.table, in_flight, now)
    }

    /// Takes the counts of an earlier process, by wall time. False, and the gate stays empty, when `saved` does not
    /// hold every count of every rule (or cannot be read): then the records have to be applied again.
    ///
    /// # Panics
    /// When calls are open: a gate is restored before its first call.
    pub fn restore(&mut self, saved: &Value, now: Now) -> bool {
        assert!(self.open.is_empty(), "a gate is restored before its first call");
        self.table.clear();
        saved::restore(&mut self.table, saved, now)
    }

    /// Holds a saved state against the counts here, which are those of the same records.
    pub fn compare(&self, saved: &Value, now: Now) -> Compared {
        saved::compare(&self.table, saved, now)
    }

    /// Notes the rate-limit headers of a provider's answer: where they leave less room than our limits, they hold.
    /// Providers that are not configured are ignored.
    pub fn observe(&mut self, provider: &str, observed: Observed<'_>, now: Now) {
        self.observations.observe(provider, observed, now.at);
    }

    /// What providers have last said of their limits, by name.
    pub fn learned(&self) -> impl Iterator<Item = (&str, &Learned)> {
        self.observations.learned()
    }

    /// Calls admitted and not settled yet, abandoned ones included.
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// The limit that keeps a call away longest.
    fn refusal(&mut self, bookings: &[Booking], asked: &Amounts, now: Now) -> Option<Refusal> {
        let refusals = bookings.iter().filter_map(|booking| {
            let (entry, rule) = self.table.with_rule(booking.entry);
            let obstacle = entry.obstacle(rule, asked, booking.dates, now)?;
            Some(Refusal {
                limit: obstacle.kind,
                label: rule.rule.scope.label(&entry.key),
                used: obstacle.used,
                max: obstacle.max,
                budget: rule.rule.budget,
                at_limit: rule.rule.at_limit.clone(),
                learned: false,
                stopped: obstacle.stopped,
                held: obstacle.held,
                next: obstacle.next,
            })
        });
        refusals.reduce(Refusal::or_longer)
    }

    /// What the rules about the provider of a call say is to happen at their caps: the same where it itself says no.
    fn at_limit_of_provider(&self, bookings: &[Booking]) -> Option<AtLimit> {
        let rule_of = |booking: &Booking| &self.table.rules[self.table.entry(booking.entry).rule as usize].rule;
        let mut rules = bookings.iter().map(rule_of);
        rules.find_map(|rule| rule.at_limit.clone().filter(|_| rule.scope.speaks_of(Facet::Provider)))
    }

    #[cfg(test)]
    pub(super) fn with_entries_max(mut self, entries_max: usize) -> Gate {
        self.table = Table::new(self.table.book, self.table.acts, entries_max);
        self
    }

    #[cfg(test)]
    pub(super) fn entry_count(&self) -> usize {
        self.table.entries().count()
    }
}

impl Reservation {
    fn release(&self, entry: &mut Entry, rule: &Compiled, booking: &Booking) {
        entry.close();
        if !self.lapsed {
            entry.unreserve(rule, &self.asked, booking.dates);
        }
    }

    /// Books the call in a rule that was made after it was admitted, if that means it.
    pub(super) fn book_in(&mut self, table: &mut Table, rule: u32, now: Now) {
        let subject = Subject::of_text(&self.booked.subject);
        let Some(booking) = table.booking_in(rule, &subject, self.admitted_micros) else { return };
        let (entry, rule) = table.with_rule(booking.entry);
        let now_second = second_of(now);
        entry.admit(rule, &self.asked, booking.dates, self.second, now_second);
        if self.lapsed {
            entry.unreserve(rule, &self.asked, booking.dates);
        }
        let booked = Arc::make_mut(&mut self.booked);
        booked.bookings.push(booking);
        booked.days = table.days_around(self.admitted_micros);
    }
}

/// The monotonic time, in microseconds, at which the wall clock showed `unix_micros`: negative before the clock began.
/// A time in the future is now.
pub(super) fn tick_micros_at(unix_micros: i64, now: Now) -> i64 {
    let age_micros = (now.at.unix_micros() - unix_micros).max(0);
    now.tick.0 as i64 - age_micros
}

/// The subject a record's call was admitted as: by the model that was asked for.
fn subject_of<'a>(record: &'a UsageRecord<'_>, user: Option<&'a str>) -> Subject<'a> {
    Subject {
        provider: &record.provider,
        model: record.requested_model.as_ref().unwrap_or(&record.model),
        user,
        team: record.team.as_deref(),
        feature: record.feature.as_deref(),
        key: record.key.as_deref(),
        channel: &record.channel,
    }
}

/// What a record says was used, requests apart: the cost it has, or what the owner estimates where nobody knows it.
fn used_of(record: &UsageRecord<'_>, unpriced: &UnknownPrice) -> Amounts {
    let tokens = record.tokens;
    let charge = || if record.local { Money::ZERO } else { unpriced.charge(tokens.prompt, tokens.completion) };
    Amounts { requests: 0, tokens: tokens.total().into(), pico_usd: record.cost.unwrap_or_else(charge).pico_usd() }
}
