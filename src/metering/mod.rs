//! THE ONE DOOR: every model call is opened here before it is made and leaves exactly one record.
//!
//! [`Metering::open`] reserves at the gate, notes the call in its slot and gives a [`Permit`]; the permit's end,
//! whatever it is, becomes the record. Records of calls made elsewhere come in by [`Metering::note`]. Knows no wire
//! format and no person's text.

#[cfg(test)]
mod budget_laws;
mod call;
mod changing;
mod checking;
#[cfg(test)]
mod crash_laws;
mod estimate;
mod follower;
mod keys;
#[cfg(test)]
mod laws;
mod layer;
mod line;
mod meter;
mod opening;
mod outcome;
mod permit;
mod pricing;
mod refusals;
mod refused;
mod rules;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;

use smol_str::SmolStr;

use crate::ledger::{
    Acts, Damage, Durability, Folder, Health, KnownNames, Ledger, LedgerError, Missing, OpenCall, Options, Reading,
    Undone, Users,
};
use crate::limits::{Facet, Gate, Held, Learned, Left, Observed, Refusal, Rulebook, Window};
use crate::models;
use crate::settings::Keys;
use crate::stats::{Picture, Recent};
use crate::usage::prices::PriceBook;
use crate::usage::{
    Calibration, Clock, ErrorKind, Factors, Failure, Now, Opening, OutputCap, RecordId, Status, SubjectId, Timestamp,
    TokenCounts, UsageRecord, UsageSource,
};

pub use call::{Call, Outcome, Receipt, Refused};
pub use checking::{repair, verify};
pub use keys::KeyNotChanged;
pub use layer::{Metered, MeteredBody, MeteringLayer};
pub use line::{Patience, Place};
pub use meter::{End, Meter};
pub use permit::Permit;
pub use pricing::Pricing;
pub use rules::{known_names_of, rules_of, vendors_of};

use follower::{GateFollower, LastFailure, Recently};
use line::Line;
use refusals::Refusals;

/// Output tokens reserved for a call that sets no cap of its own; topped up while it streams.
pub const DEFAULT_OUTPUT_RESERVE: u64 = 1024;

/// Output caps are not lowered below this many tokens to fit into a limit.
const SHORT_ANSWER: u64 = 256;

/// Records from outside that are taken in one go, before other tasks get their turn.
const NOTES_AT_ONCE: usize = 256;

/// How long they may take to become durable before their sender is told to come again.
const NOTE_PATIENCE: Duration = Duration::from_secs(10);

/// How to open the books of a folder.
pub struct Setup {
    /// When a record counts as acknowledged.
    pub durability: Durability,
    /// The names that always have a row of their own.
    pub known: KnownNames,
    /// The limits.
    pub rules: Rulebook,
    /// The names of the configured providers.
    pub providers: Vec<String>,
    /// The prices.
    pub prices: PriceBook,
    /// By whose prices a provider bills, for those where that is known.
    pub vendors: HashMap<String, String>,
    /// The only clock.
    pub clock: Arc<dyn Clock>,
    /// The only source of chance: sixteen random bytes.
    pub random: fn() -> [u8; 16],
}

/// What opening the books found.
#[derive(Debug)]
pub struct Found {
    /// Records replayed behind the snapshot.
    pub replayed: u64,
    /// Damage that was put into quarantine.
    pub damage: Vec<Damage>,
    /// Lines that were counted once and are in no file any more.
    pub missing: Option<Missing>,
    /// Calls that were open when the last process died; each has its `interrupted` record now.
    pub interrupted: usize,
}

/// Whether a record from outside was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is in the books now.
    Accepted,
    /// Its given id is there already.
    Duplicate,
}

/// What a folder holds, for those who only look.
pub struct Seen {
    /// The statistics and the acts.
    pub reading: Reading,
    /// The windows of all limits.
    pub windows: Vec<Window>,
}

/// Reads a folder's books without opening them for writing.
///
/// # Errors
/// As [`Folder::read`].
pub fn look(
    folder: &Path,
    rules: impl Into<Rulebook>,
    providers: Vec<String>,
    clock: &Arc<dyn Clock>,
) -> Result<Seen, LedgerError> {
    let now = clock.now();
    let (gate, mut follower) = GateFollower::new(rules.into(), providers, Arc::clone(clock));
    let reading = Folder::new(folder).read(&mut follower, now.at)?;
    let keys = reading.acts.as_ref().map(|acts| acts.settings.keys());
    let is_gone = |name: &str| keys.as_ref().is_some_and(|keys| keys.is_revoked(name));
    let windows = gate.lock().expect("nothing under the gate's lock panics").windows_without(&is_gone, now);
    Ok(Seen { reading, windows })
}

/// The door. Cheap to clone.
#[derive(Clone)]
pub struct Metering {
    inner: Arc<Inner>,
}

struct Inner {
    ledger: Ledger,
    gate: Arc<Mutex<Gate>>,
    calibration: Arc<Mutex<Calibration>>,
    /// Locked before the gate, never while it is.
    line: Mutex<Line>,
    last_failure: LastFailure,
    recent: Recently,
    refusals: Mutex<Refusals>,
    pricing: Pricing,
    /// Budgets change one after another.
    changing: Mutex<()>,
    /// Those of the acts, to be had without waiting for whoever writes.
    keys: RwLock<Arc<Keys>>,
    /// Keys change one after another.
    changing_keys: Mutex<()>,
    clock: Arc<dyn Clock>,
    random: fn() -> [u8; 16],
}

impl Metering {
    /// Opens the books of a folder and settles what a crash left open.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn start(folder: &Path, setup: Setup) -> Result<(Metering, Found), LedgerError> {
        let now = setup.clock.now();
        let (gate, follower) = GateFollower::new(setup.rules, setup.providers, Arc::clone(&setup.clock));
        let (last_failure, calibration, recent) = (follower.last_failure(), follower.calibration(), follower.recent());
        let options = Options { durability: setup.durability, known: setup.known, follower: Box::new(follower) };
        let lineage = RecordId::new(now.at, ten(setup.random)).0;
        let (ledger, opened) = Ledger::open(folder, options, lineage, now.at)?;
        let keys = RwLock::new(ledger.acts().settings.keys());
        let inner = Inner {
            ledger,
            gate,
            calibration,
            line: Mutex::default(),
            last_failure,
            recent,
            refusals: Mutex::default(),
            pricing: Pricing::new(setup.prices, setup.vendors),
            changing: Mutex::default(),
            keys,
            changing_keys: Mutex::default(),
            clock: setup.clock,
            random: setup.random,
        };
        let metering = Metering { inner: Arc::new(inner) };
        for (slot, call) in &opened.interrupted {
            let appended = metering.inner.ledger.append_or_queue(&metering.interrupted(call, now.at), now.at)?;
            metering.inner.ledger.close_call_after(*slot, appended);
        }
        if !opened.interrupted.is_empty() {
            metering.inner.ledger.sync()?;
        }
        let found = Found {
            replayed: opened.replayed,
            damage: opened.damage,
            missing: opened.missing,
            interrupted: opened.interrupted.len(),
        };
        Ok((metering, found))
    }

    /// Takes the records of calls made elsewhere, each with its own verdict, and waits until they are durable. What has
    /// no cost gets one by the price book.
    ///
    /// Where the disk does not confirm them in time each is [`LedgerError::Unconfirmed`], and may be counted: only a given
    /// id makes it safe to send such a record again. Not to be dropped half-way: run it in a task of its own.
    pub async fn note(&self, mut records: Vec<UsageRecord<'static>>) -> Vec<Result<Noted, LedgerError>> {
        records.iter_mut().for_each(|record| self.price(record));
        self.take_over(records).await
    }

    /// [`Metering::note`] for records that are complete: they are kept as they are, a cost that is not known included.
    /// Only a time that is to come is now: what counting begins anew with must not hide what follows.
    pub async fn take_over(&self, records: Vec<UsageRecord<'static>>) -> Vec<Result<Noted, LedgerError>> {
        let (mut noted, mut last) = (Vec::with_capacity(records.len()), None);
        for (n, mut record) in records.into_iter().enumerate() {
            if n % NOTES_AT_ONCE == NOTES_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let now = self.inner.clock.now().at;
            record.timestamp = not_to_come(record.timestamp, now);
            noted.push(match self.inner.ledger.append(&record, now) {
                Ok(appended) => {
                    last = Some(appended);
                    Ok(Noted::Accepted)
                }
                Err(LedgerError::Duplicate) => {
                    // The first of that id may still be on its way to the disk, and is not acknowledged before.
                    last = Some(self.inner.ledger.newest());
                    Ok(Noted::Duplicate)
                }
                Err(error) => Err(error),
            });
        }
        let Some(last) = last else { return noted };
        match tokio::time::timeout(NOTE_PATIENCE, self.inner.ledger.durable(last)).await {
            Ok(Ok(())) => noted,
            _ => noted.into_iter().map(|noted| noted.and(Err(LedgerError::Unconfirmed))).collect(),
        }
    }

    /// A new id for a record admitted at a moment.
    pub fn new_id(&self, at: Timestamp) -> RecordId {
        RecordId::new(at, ten(self.inner.random))
    }

    /// An unchanging view of all statistics.
    pub fn picture(&self) -> Arc<Picture> {
        self.inner.ledger.picture()
    }

    /// An unchanging view of who used what.
    pub fn users(&self) -> Users {
        self.inner.ledger.users()
    }

    /// The owner's acts.
    pub fn acts(&self) -> Acts {
        self.inner.ledger.acts()
    }

    /// Begins counting anew. Returns since when.
    ///
    /// # Errors
    /// When the act cannot be written.
    pub fn reset(&self) -> Result<Timestamp, LedgerError> {
        self.inner.ledger.reset(self.inner.clock.now().at)
    }

    /// Takes the last reset that holds back; `None` when there is none.
    ///
    /// # Errors
    /// When the act cannot be written.
    pub fn undo_reset(&self) -> Result<Option<Undone>, LedgerError> {
        self.inner.ledger.undo_reset(self.inner.clock.now().at)
    }

    /// Takes over totals that were counted elsewhere, as they are, but for a time that is to come, which is now; they
    /// count in no limit.
    ///
    /// # Errors
    /// As [`Ledger::add_openings`].
    pub fn add_openings(&self, openings: &[Opening]) -> Result<(), LedgerError> {
        let now = self.inner.clock.now().at;
        let counted = |opening: &Opening| Opening { at: not_to_come(opening.at, now), ..opening.clone() };
        self.inner.ledger.add_openings(&openings.iter().map(counted).collect::<Vec<_>>(), now)
    }

    /// Notes for other commands where this process listens for HTTP.
    ///
    /// # Errors
    /// As [`Ledger::announce`].
    pub fn announce(&self, listen: &str) -> Result<(), LedgerError> {
        self.inner.ledger.announce(listen)
    }

    /// Whether the ledger takes records.
    pub fn health(&self) -> Health {
        self.inner.ledger.health()
    }

    /// When the newest call that failed was admitted, and how it failed; `None` when none did since the start, or in
    /// what was replayed at it.
    pub fn last_failure(&self) -> Option<(Timestamp, Failure)> {
        *self.inner.last_failure.lock().expect("nobody panics while holding it")
    }

    /// What estimates for a model are multiplied by, as its providers have counted so far.
    fn factors(&self, model: &str) -> Factors {
        self.inner.calibration.lock().expect("nothing under the calibration's lock panics").factors(model)
    }

    /// What an open call is held against; `None` when it is not open.
    pub fn held(&self, id: RecordId) -> Option<Held> {
        self.gate().held(id)
    }

    /// What is left now for calls like this one, in the tightest window of each kind. Sooner found with what the call was
    /// `held` against.
    pub fn left(&self, call: &Call, held: Option<&Held>, now: Now) -> Left {
        let mut gate = self.gate();
        let left = held.and_then(|held| gate.left_of(held, now));
        left.unwrap_or_else(|| gate.left(&call.subject(&user_text(call)), now))
    }

    fn now(&self) -> Now {
        self.inner.clock.now()
    }

    /// Looks at what the records of the last minutes say. Records wait meanwhile.
    pub fn recent<T>(&self, look: impl FnOnce(&mut Recent) -> T) -> T {
        look(&mut self.inner.recent.lock().expect("nobody panics while holding it"))
    }

    /// The windows of all limits now, but for those of keys that were revoked: nothing counts in them any more.
    pub fn windows(&self, now: Now) -> Vec<Window> {
        let keys = self.keys();
        self.gate().windows_without(&|name| keys.is_revoked(name), now)
    }

    /// The windows of all limits now, as they concern one user or one team, say.
    pub fn windows_about(&self, facet: Facet, value: &str, now: Now) -> Vec<Window> {
        self.gate().windows_about(facet, value, now)
    }

    /// What providers say of their own limits.
    pub fn learned(&self) -> Vec<(String, Learned)> {
        self.gate().learned().map(|(provider, learned)| (provider.to_owned(), *learned)).collect()
    }

    /// Notes what an answer's headers said of the provider's limits.
    pub fn heard(&self, provider: &str, model: &str, observed: models::Observed, now: Now) {
        let millis = |duration: Option<Duration>| duration.and_then(|d| u64::try_from(d.as_millis()).ok());
        let plain = Observed {
            model: Some(model),
            requests_limit: observed.requests.limit,
            requests_remaining: observed.requests.remaining,
            requests_reset_ms: millis(observed.requests.resets_in),
            tokens_limit: observed.tokens.limit,
            tokens_remaining: observed.tokens.remaining,
            tokens_reset_ms: millis(observed.tokens.resets_in),
            retry_after_ms: millis(observed.retry_after),
        };
        self.observe(provider, plain, now);
    }

    /// Notes what a provider said of its own limits.
    pub fn observe(&self, provider: &str, observed: Observed, now: Now) {
        self.gate().observe(provider, observed, now);
    }

    /// Writes the records that were accepted and are not written yet, for a task that may not be polled for a while.
    pub fn write_accepted(&self) {
        self.inner.ledger.write_staged();
    }

    /// The once-a-second chores: abandoned reservations come back, refusals of past seconds are written, a deleted lock
    /// file is made anew.
    pub fn tick(&self, now: Now) {
        match self.inner.ledger.keep_lock() {
            Ok(false) => {}
            Ok(true) => {
                tracing::warn!("somebody deleted the lock file; it is there again, and the books stayed locked")
            }
            Err(error) => tracing::warn!(error = %error, "other commands will not find this process"),
        }
        self.inner.ledger.wake_durable();
        self.gate().expire(now);
        self.serve_line(now);
        let due = self.inner.refusals.lock().expect("nobody panics while holding it").due(now);
        self.write_refusals(due, now);
    }

    /// Writes the refusals that are counted and not yet written, so that whoever looks now sees them all.
    pub fn write_counted_refusals(&self, now: Now) {
        let counts = self.inner.refusals.lock().expect("nobody panics while holding it").counts();
        self.write_refusals(counts, now);
    }

    /// Writes the snapshot if anything changed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn snapshot(&self, now: Now) -> Result<(), LedgerError> {
        self.inner.ledger.snapshot(now.at)
    }

    /// Brings the files beside the journal up to date: see [`Ledger::update_side_files`].
    pub fn update_side_files(&self) {
        self.inner.ledger.update_side_files();
    }

    /// Records appended since the last snapshot.
    pub fn since_snapshot(&self) -> u64 {
        self.inner.ledger.since_snapshot()
    }

    /// Writes what is pending, syncs and closes the books.
    ///
    /// # Errors
    /// When something could not be written.
    pub fn close(&self, now: Now) -> Result<(), LedgerError> {
        self.write_counted_refusals(now);
        self.inner.ledger.close(now.at)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.inner.gate.lock().expect("nothing under the gate's lock panics")
    }

    /// Reserves a call at the gate. Where its output cap alone is too much for what a token limit has left, the cap is
    /// lowered to that, as long as an answer is still worth having.
    fn reserve(&self, id: RecordId, call: &mut Call, now: Now) -> Result<(), Refusal> {
        let user = user_text(call);
        loop {
            let estimate = self.estimate(call, now.at);
            let reserved = self.gate().reserve(id, &call.subject(&user), estimate, now);
            let refusal = match reserved {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal,
            };
            if call.fixed_cap {
                return Err(refusal);
            }
            let room = refusal.max.saturating_sub(refusal.used).saturating_sub(call.prompt_tokens);
            match &mut call.output_cap {
                // A stopped budget has room, and lets nothing go all the same.
                Some(OutputCap { granted: Some(granted), .. })
                    if refusal.limit.counts_tokens() && room < *granted && *granted > SHORT_ANSWER =>
                {
                    *granted = room.max(SHORT_ANSWER);
                }
                _ => return Err(refusal),
            }
        }
    }

    /// From now on calls are priced by this book; what was recorded stays as it is.
    pub fn use_prices(&self, prices: PriceBook) {
        self.inner.pricing.replace(prices);
    }

    /// Gives a record its cost, unless its source gave one.
    pub fn price(&self, record: &mut UsageRecord<'_>) {
        self.inner.pricing.price(record);
    }

    /// The record of a call that a crash left open: what was sent may have been billed.
    fn interrupted(&self, call: &OpenCall, now: Timestamp) -> UsageRecord<'static> {
        // With a clock that was ahead: a file holds no day that is to come.
        let admitted = not_to_come(call.admitted, now);
        let mut record = UsageRecord::new(call.id, admitted, call.provider.clone(), call.model.clone());
        record.api_type = call.api_type.clone();
        record.status = Status::Interrupted;
        record.failure = Some(Failure::of(ErrorKind::Crash));
        record.tokens.prompt = call.prompt_tokens;
        record.tokens.completion = call.output_tokens;
        // Of what has no tokens to count nothing is known, as where it ended.
        let counts_nothing = record.tokens == TokenCounts::default();
        record.usage_source = if counts_nothing { UsageSource::None } else { UsageSource::Estimated };
        record.request_type = call.request_type.clone();
        record.channel = call.channel.clone();
        (record.user, record.session) = (call.user, call.session);
        (record.call, record.attempt, record.local) = (call.call, call.attempt, call.local);
        record.feature = call.feature.clone();
        record.agent = call.agent.clone();
        record.operation = call.operation.clone();
        record.team = call.team.clone();
        record.key = call.key.clone();
        record.api_key_suffix = call.api_key_suffix.clone();
        if call.free {
            call::cost_nothing(&mut record);
        }
        self.price(&mut record);
        record
    }

    /// Counts a refusal; says whether it has a line of its own, under this id.
    fn record_refusal(&self, id: RecordId, call: &Call, reason: String, kind: ErrorKind, now: Now) -> bool {
        let mut record = call.record(id, now.at);
        record.status = Status::Refused;
        record.failure = Some(Failure::of(kind));
        record.usage_source = UsageSource::None;
        record.latency_ms = Some(0);
        self.price(&mut record);
        let first = self.inner.refusals.lock().expect("nobody panics while holding it").first(reason, record, now);
        let mut has_line = false;
        for record in first {
            match record.id == id {
                true => has_line = self.write_refusal(&record, now),
                false => self.write_refusals([record], now),
            }
        }
        has_line
    }

    /// Writes counts of refusals, each under an id of its own.
    fn write_refusals(&self, counts: impl IntoIterator<Item = UsageRecord<'static>>, now: Now) {
        for mut record in counts {
            record.id = self.new_id(record.timestamp);
            self.write_refusal(&record, now);
        }
    }

    fn write_refusal(&self, record: &UsageRecord<'static>, now: Now) -> bool {
        let written = self.inner.ledger.append_or_queue(record, now.at);
        written.inspect_err(|error| tracing::error!(error = %error, "a refusal could not be recorded")).is_ok()
    }
}

fn user_text(call: &Call) -> Option<SmolStr> {
    call.user.map(SubjectId::to_text)
}

/// A time from outside: one that is to come is now, on the same clock.
fn not_to_come(at: Timestamp, now: Timestamp) -> Timestamp {
    at.min(now.with_offset(at.offset_secs()))
}

fn ten(random: fn() -> [u8; 16]) -> [u8; 10] {
    let mut ten = [0; 10];
    ten.copy_from_slice(&random()[..10]);
    ten
}
