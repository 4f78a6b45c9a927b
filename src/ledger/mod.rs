//! THE MEMORY: the folder of files in which every usage record is kept, and the fold that is kept beside them.
//!
//! The truth is `tokens_YYYY-MM-DD.jsonl` (usage lines) and `control.jsonl` (the owner's acts); everything else can be
//! deleted and is made again. Knows no provider, no limit and no channel.

mod acts;
mod admission;
mod archive;
mod archived;
mod control;
mod disk;
mod error;
mod files;
mod folder;
#[cfg(test)]
mod fuzz;
mod given;
mod journal;
mod live;
mod lock;
mod open_call;
mod people;
mod prices;
mod quarantine;
mod queue;
mod recovery;
mod replay;
mod sealed;
#[cfg(test)]
mod simulated;
mod slots;
mod snapshot;
mod state;
mod syncer;
mod tail;
#[cfg(test)]
mod tests;
mod token_stats;
mod users;
mod verify;
mod waiting;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use uuid::Uuid;

use crate::settings::Setting;
use crate::stats::Picture;
use crate::usage::{Day, Opening, RecordId, Timestamp, UsageRecord};

pub use crate::config::Durability;
pub use acts::Undone;
pub use admission::KnownNames;
pub use archive::{Archived, archive};
pub use control::{Act, Acts};
pub use error::LedgerError;
pub use folder::{Folder, Reading};
pub use given::digest_of;
pub use journal::{Appended, Health};
pub use lock::{Holder, holder_of};
pub use open_call::OpenCall;
pub use people::People;
pub use prices::TakenFile;
pub use replay::{Damage, DamageKind};
pub use slots::{SLOTS, SlotNumber};
pub use tail::Tail;
pub use users::{TopUsers, Users, UsersBy};
pub use verify::{Check, Checked, Finding, Level, Progress, Repaired, Verification, repair, verify};

use files::DataFolder;
use journal::{Journal, Syncing};
use lock::FolderLock;
use slots::Slots;
use token_stats::TokenStats;

/// Something that folds the same records for its own purpose (the gate), kept exactly in step with the journal.
///
/// Called under the journal's lock, in the order of the lines; must be quick and must not call back.
pub trait Follower: Send {
    /// What the owner did so far, before anything else is asked.
    fn begin(&mut self, acts: &Acts) {
        let _ = acts;
    }
    /// A record was appended, or is replayed at start.
    fn apply(&mut self, record: &UsageRecord<'_>);
    /// The follower's state, for the snapshot.
    fn save(&self) -> serde_json::Value;
    /// Takes back a saved state. `false` if it cannot: then records are replayed from [`Follower::horizon`].
    fn restore(&mut self, saved: &serde_json::Value) -> bool;
    /// The admission time before which records no longer matter to it.
    fn horizon(&self) -> Timestamp;
    /// Holds a saved state against this one, which was fed the same records.
    fn compare(&self, saved: &serde_json::Value) -> FollowerCheck {
        let _ = saved;
        FollowerCheck::default()
    }
}

/// What comparing a follower's states found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowerCheck {
    /// Parts (rules) that were compared.
    pub compared: usize,
    /// Parts of which the saved state does not hold everything.
    pub left_out: usize,
    /// A sentence for each difference.
    pub differences: Vec<String>,
}

/// A follower that keeps nothing.
impl Follower for () {
    fn apply(&mut self, _: &UsageRecord<'_>) {}
    fn save(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    fn restore(&mut self, _: &serde_json::Value) -> bool {
        true
    }
    fn horizon(&self) -> Timestamp {
        Timestamp::new(i64::MAX, 0)
    }
}

/// How to open a ledger.
pub struct Options {
    /// When an append counts as done.
    pub durability: Durability,
    /// The names that always have a row of their own.
    pub known: KnownNames,
    /// What folds along.
    pub follower: Box<dyn Follower>,
}

/// What opening found.
#[derive(Debug, Default)]
pub struct Opened {
    /// Records replayed behind the snapshot.
    pub replayed: u64,
    /// Whether a snapshot was used.
    pub from_snapshot: bool,
    /// Damage that was put into quarantine.
    pub damage: Vec<Damage>,
    /// Lines that were counted once and are in no file any more.
    pub missing: Option<Missing>,
    /// Calls that were open when the last process died. Each wants an `interrupted` record, then [`Ledger::close_call_after`].
    pub interrupted: Vec<(SlotNumber, OpenCall)>,
}

/// The end of a journal that was there when a snapshot was taken: cut, deleted, or replaced by an older copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The file that the last of the lines stood in.
    pub file: String,
    /// How many lines there were at least, behind the last one that is there.
    pub lines: u64,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Missing { file, lines } = self;
        write!(
            f,
            "at least {lines} line(s) of the journal that were counted are gone: `{file}` was deleted, cut, or replaced by an \
             older copy; what is told does not hold them. If you have the newer file, stop tallybot now and put it back"
        )
    }
}

/// How often a task lets others go first while somebody else is at the journal, before it waits for that in its thread.
const PATIENCE: u32 = 64;

/// The open ledger of a folder. Cheap to clone; the last handle to go closes it.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

/// Dropped in this order: the journal syncs and ends before the lock goes.
struct Inner {
    journal: Journal,
    slots: Slots,
    /// Slots of calls whose record was accepted and is perhaps not durable yet.
    settled: Mutex<Vec<(Appended, SlotNumber)>>,
    /// Whether there are any, for all those who find none.
    has_settled: AtomicBool,
    token_stats: TokenStats,
    lock: Option<FolderLock>,
}

impl Ledger {
    /// Opens (and first makes, if need be) the ledger in `folder`, recovering whatever a crash left behind.
    ///
    /// `lineage` becomes its identity if it has none yet.
    ///
    /// # Errors
    /// When the folder is in use, cannot be read or written, or holds files of a newer version.
    pub fn open(
        folder: &Path,
        options: Options,
        lineage: Uuid,
        now: Timestamp,
    ) -> Result<(Ledger, Opened), LedgerError> {
        let data = DataFolder::real(folder);
        data.make()?;
        let holder = Holder { pid: std::process::id(), started_at: now, listen: None, troubled: false };
        let lock = FolderLock::take(folder, &holder)?;
        let opened = Ledger::open_locked(data, Some(lock), Syncing::InThread, options, lineage, now)?;
        if let Some(lock) = &opened.0.inner.lock {
            lock.hold_control();
        }
        Ok(opened)
    }

    /// Opens a folder on any disk, which nobody else uses.
    fn open_locked(
        data: DataFolder,
        lock: Option<FolderLock>,
        syncing: Syncing,
        options: Options,
        lineage: Uuid,
        now: Timestamp,
    ) -> Result<(Ledger, Opened), LedgerError> {
        let token_stats = TokenStats::new(data.clone());
        let (slots, mut open_calls) = Slots::open(&data)?;
        let (journal, mut opened, finished) = Journal::open(data, syncing, options, &open_calls, lineage, now)?;
        for (slot, _) in open_calls.extract_if(.., |(_, call)| finished.contains(&call.id)) {
            slots.free(slot);
        }
        opened.interrupted = open_calls;
        let (settled, has_settled) = (Mutex::default(), AtomicBool::new(false));
        Ok((Ledger { inner: Arc::new(Inner { journal, slots, settled, has_settled, token_stats, lock }) }, opened))
    }

    /// Notes for other commands where this process listens for HTTP.
    ///
    /// # Errors
    /// When it cannot be written; they then cannot go through this process.
    pub fn announce(&self, listen: &str) -> Result<(), LedgerError> {
        self.inner.lock.as_ref().map_or(Ok(()), |lock| lock.announce(listen))
    }

    /// Makes the lock file anew if somebody deleted it; the books stay locked all the while. Gives whether it
    /// was gone. Other commands learn from it whether the books can be written.
    ///
    /// # Errors
    /// When it cannot be written; other commands then do not find this process.
    pub fn keep_lock(&self) -> Result<bool, LedgerError> {
        self.inner.lock.as_ref().map_or(Ok(false), |lock| lock.keep(self.health().trouble.is_some()))
    }

    /// Notes that a call is about to be made; durable against a kill before this returns.
    ///
    /// # Errors
    /// [`LedgerError::TooManyOpenCalls`] when all slots are taken; otherwise when the slot cannot be written.
    pub fn open_call(&self, call: &OpenCall) -> Result<SlotNumber, LedgerError> {
        self.free_settled();
        self.inner.slots.take(call)
    }

    /// Brings the note of an open call up to date. That it could not be written costs an estimate, after a crash.
    pub fn update_call(&self, slot: SlotNumber, call: &OpenCall) {
        self.inner.slots.update(slot, call);
    }

    /// Frees a slot as soon as the call's record, accepted just now, is durable: until then a crash would leave nothing
    /// of the call but its slot.
    pub fn close_call_after(&self, slot: SlotNumber, appended: Appended) {
        if appended <= self.inner.journal.done() {
            return self.inner.slots.free(slot);
        }
        let mut settled = self.settled();
        settled.push((appended, slot));
        self.inner.has_settled.store(true, Ordering::Release);
        drop(settled);
        self.free_settled();
    }

    fn settled(&self) -> MutexGuard<'_, Vec<(Appended, SlotNumber)>> {
        self.inner.settled.lock().expect("nobody panics while holding it")
    }

    fn free_settled(&self) {
        if !self.inner.has_settled.load(Ordering::Acquire) {
            return;
        }
        let done = self.inner.journal.done();
        let mut settled = self.settled();
        let ready: Vec<_> = settled.extract_if(.., |(appended, _)| *appended <= done).collect();
        self.inner.has_settled.store(!settled.is_empty(), Ordering::Release);
        drop(settled);
        for (_, slot) in ready {
            self.inner.slots.free(slot);
        }
    }

    /// Waits, without a runtime, until everything written so far is on the disk, and frees the slots of calls that are
    /// thereby settled.
    ///
    /// # Errors
    /// When the disk does not take it; the records wait, and so do the slots.
    pub fn sync(&self) -> Result<(), LedgerError> {
        self.inner.journal.sync()?;
        self.free_settled();
        Ok(())
    }

    /// The newest accepted record: who waits for it waits for everything so far.
    pub fn newest(&self) -> Appended {
        self.inner.journal.newest()
    }

    /// Appends a record and folds it in, in one step. Wait on the result for durability.
    ///
    /// # Errors
    /// [`LedgerError::Duplicate`] when its given id is there already; [`LedgerError::NotWritable`] when the disk does
    /// not take it (nothing was written then).
    pub fn append(&self, record: &UsageRecord<'_>, now: Timestamp) -> Result<Appended, LedgerError> {
        self.inner.journal.append(record, now)
    }

    /// Appends the record of a call that was really made: if the disk does not take it now, it waits in a bounded
    /// queue and is written as soon as the disk does.
    ///
    /// # Errors
    /// [`LedgerError::QueueFull`] when the queue has no room either.
    pub fn append_or_queue(&self, record: &UsageRecord<'_>, now: Timestamp) -> Result<Appended, LedgerError> {
        self.inner.journal.append_or_queue(record, now)
    }

    /// [`Ledger::append_or_queue`] for tasks, of which many end a call at the same time: the record is accepted, and
    /// written with all others that are by then, as soon as [`Ledger::written`] or [`Ledger::durable`] is polled a few times,
    /// or else with the next one.
    ///
    /// # Errors
    /// As [`Ledger::append_or_queue`].
    pub fn stage(&self, record: Box<UsageRecord<'static>>, now: Timestamp) -> Result<Appended, LedgerError> {
        self.inner.journal.stage(record, now)
    }

    /// Has a staged record written and folded in, unless the disk refuses. That is done also when this is dropped.
    pub async fn written(&self, appended: Appended) {
        let writing = Writing { journal: &self.inner.journal, appended };
        for _ in 0..PATIENCE {
            if writing.is_over() {
                return;
            }
            // Whoever is about to stage another goes first: one write takes them all. So does whoever is writing: this
            // thread has better to do than to wait for that.
            tokio::task::yield_now().await;
            if !writing.is_over() && self.inner.journal.try_flush() {
                return;
            }
        }
    }

    /// Writes what was staged and folds it in, unless the disk refuses; in this thread, which waits for whoever writes.
    pub fn write_staged(&self) {
        self.inner.journal.flush();
    }

    /// Wakes those whose record is durable and who were to be woken by somebody who was not polled; to be called once a
    /// second.
    pub fn wake_durable(&self) {
        self.inner.journal.wake();
    }

    /// Waits until an append is durable, as configured. On a runtime of one thread those who wait wake each other: poll it
    /// to its end or drop it, or others wait for [`Ledger::wake_durable`].
    ///
    /// # Errors
    /// [`LedgerError::Closed`] when the ledger closed first.
    pub async fn durable(&self, appended: Appended) -> Result<(), LedgerError> {
        self.written(appended).await;
        self.inner.journal.durable(appended).await?;
        self.free_settled();
        Ok(())
    }

    /// [`Ledger::durable`] for threads.
    ///
    /// # Errors
    /// As [`Ledger::durable`].
    pub fn durable_blocking(&self, appended: Appended) -> Result<(), LedgerError> {
        self.inner.journal.wait(appended)
    }

    /// An unchanging view of all statistics.
    pub fn picture(&self) -> Arc<Picture> {
        self.inner.journal.picture()
    }

    /// An unchanging view of who used what.
    pub fn users(&self) -> Users {
        self.inner.journal.users()
    }

    /// Seals the files whose day is over before this returns; otherwise that is done in the background.
    ///
    /// # Errors
    /// When a file cannot be read or its fold not be written; it is tried again.
    pub fn seal(&self) -> Result<(), LedgerError> {
        self.inner.journal.seal()
    }

    /// The owner's acts so far.
    pub fn acts(&self) -> Acts {
        self.inner.journal.acts()
    }

    /// Begins counting anew: an act, not a deletion. Returns when the new epoch begins.
    ///
    /// # Errors
    /// When the act cannot be written durably.
    pub fn reset(&self, now: Timestamp) -> Result<Timestamp, LedgerError> {
        self.inner.journal.reset(now)
    }

    /// Takes the last reset that holds back: what it hid is shown again. `None` when no reset holds.
    ///
    /// # Errors
    /// When the act cannot be written durably.
    pub fn undo_reset(&self, now: Timestamp) -> Result<Option<Undone>, LedgerError> {
        self.inner.journal.undo_reset(now)
    }

    /// Takes over totals that were counted elsewhere: acts, durable before they count. They touch no limit.
    ///
    /// # Errors
    /// When an act cannot be written durably. Of many, a thousand at a time are written: [`Acts::openings`] says which
    /// are there.
    pub fn add_openings(&self, openings: &[Opening], now: Timestamp) -> Result<(), LedgerError> {
        self.inner.journal.add_openings(openings, now)
    }

    /// Sets something, durably: [`Acts::settings`] is the fold of all that was set.
    ///
    /// # Errors
    /// When the acts cannot be written durably; then nothing is set.
    pub fn set(&self, settings: &[Setting], now: Timestamp) -> Result<(), LedgerError> {
        self.inner.journal.set(settings, now)
    }

    /// Reads the records that are in the journal at one moment, those of files before a day left out. At that moment
    /// `begin` is called, under the journal's lock: whatever follows the journal has seen these records and no others. It
    /// says from which day on, and what to read them into, which comes back also when not all could be read.
    pub fn read_so_far<T>(
        &self,
        begin: impl FnOnce() -> (Day, T),
        on_record: impl FnMut(&mut T, &UsageRecord<'_>),
    ) -> (T, Result<(), LedgerError>) {
        self.inner.journal.read_so_far(begin, on_record)
    }

    /// What the system said, if the disk does not take records. Costs nothing where it does.
    pub fn trouble(&self) -> Option<String> {
        self.inner.journal.trouble()
    }

    /// Whether the disk takes records and the notes of calls, and how long the queue is.
    pub fn health(&self) -> Health {
        let health = self.inner.journal.health();
        Health { trouble: health.trouble.or_else(|| self.inner.slots.trouble()), ..health }
    }

    /// Writes the snapshot `metrics.json` if anything changed since the last one, and lets go of old detail.
    ///
    /// # Errors
    /// When it cannot be written; nothing is lost then but time at the next start.
    pub fn snapshot(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.free_settled();
        self.inner.slots.erase();
        self.inner.slots.sync()?;
        // Calls may have ended since: a start must not look for their records before the snapshot.
        self.inner.journal.snapshot(now, || self.inner.slots.erase())
    }

    /// Records appended since the last snapshot.
    pub fn since_snapshot(&self) -> u64 {
        self.inner.journal.since_snapshot()
    }

    /// Brings the files beside the journal up to date, if anything changed since the last time: `token_stats.json`, the
    /// totals by API and model for programs that know that form, and the slots of calls that have ended. That it cannot
    /// be written is logged once and has no other effect.
    pub fn update_side_files(&self) {
        self.inner.slots.erase();
        self.inner.token_stats.write(&self.picture());
    }

    /// Syncs everything, writes `token_stats.json` and the snapshot and ends the background thread.
    ///
    /// # Errors
    /// When the last sync failed. That the snapshot cannot be written costs time at the next start, and is only logged.
    pub fn close(&self, now: Timestamp) -> Result<(), LedgerError> {
        let closed = self.inner.journal.close();
        self.update_side_files();
        closed?;
        if let Err(error) = self.snapshot(now) {
            tracing::warn!(error = %error, "the snapshot could not be written; the next start reads the journal instead");
        }
        Ok(())
    }
}

/// A staged record that is written by the time this is dropped.
struct Writing<'a> {
    journal: &'a Journal,
    appended: Appended,
}

impl Writing<'_> {
    fn is_over(&self) -> bool {
        self.journal.is_written(self.appended)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.is_over() {
            self.journal.flush();
        }
    }
}
