//! The journal: one file open for appending, one mutex, and a thread that syncs.
//!
//! Lines are sealed, written and then folded in one step under the mutex, so the statistics are exactly the fold of what
//! is in the files. Records that are accepted at the same time wait in the queue for one of them to write all with one
//! call. Who needs durability waits for the sync that covers its line; a sync never waits to fill.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use uuid::Uuid;

use super::control::Control;
use super::files::DataFolder;
use super::given::{GivenIds, QUEUED};
use super::open_call::OpenCall;
use super::queue::{Queue, line_of};
use super::replay::{Sequence, scan_file};
use super::sealed::Sealer;
use super::slots::SlotNumber;
use super::snapshot::Snapshot;
use super::state::{Rest, State};
use super::users::Users;
use super::waiting::Waiting;
use super::{Acts, LedgerError, Opened, Options, RecordId, quarantine, recovery, syncer};
use crate::config::Durability;
use crate::stats::Picture;
use crate::usage::{Day, Given, Timestamp, UsageRecord, write_record};

thread_local! {
    /// Room for the line of a record that this thread is about to queue.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that may be written and not yet synced; an append beyond waits for the sync.
pub(super) const MAX_UNSYNCED: usize = 64 << 20;

/// An accepted record's place in the order of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Appended(u64);

/// Whether the ledger takes records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `None` when all is well; else what the system said.
    pub trouble: Option<String>,
    /// Records that wait for the disk.
    pub queued: usize,
}

/// The journal of a folder.
pub(super) struct Journal {
    pub(super) shared: Arc<Shared>,
    sealer: Sealer,
    syncer: Mutex<Option<JoinHandle<()>>>,
    /// Held while a snapshot is written.
    snapshots: Mutex<()>,
}

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Held while a record with an id of somebody else's is checked and accepted; taken before `state`, never after it.
    given: Mutex<GivenIds>,
    /// Taken after `state`, if both are.
    queue: Mutex<Queue>,
    /// Something is to be synced, retried, or the journal closes.
    pub(super) work: Condvar,
    /// A sync ended.
    pub(super) synced: Condvar,
    pub(super) waiting: Waiting,
    /// Held by who writes what waits and syncs it, for everybody; taken before `state`.
    pub(super) lead: Mutex<()>,
    /// Whether there is trouble, for those who ask often.
    troubled: AtomicBool,
    pub(super) durability: Durability,
    syncing: Syncing,
}

/// Who syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syncing {
    /// A thread of its own, as soon as there is something to sync.
    InThread,
    /// Whoever waits, and tests that decide each step themselves.
    ByHand,
}

impl Journal {
    /// Opens the journal of a locked folder; gives also the open calls whose record is there.
    pub(super) fn open(
        data: DataFolder,
        syncing: Syncing,
        options: Options,
        open_calls: &[(SlotNumber, OpenCall)],
        lineage: Uuid,
        now: Timestamp,
    ) -> Result<(Journal, Opened, std::collections::HashSet<RecordId>), LedgerError> {
        let control = Control::open(&data, lineage, now)?;
        quarantine::take_away_empty(&data)?;
        let mut follower = options.follower;
        let mut loaded = recovery::load(&data, control.acts(), &mut *follower, open_calls, now)?;
        let length = quarantine::mend(&data, &mut loaded)?;
        let opened = Opened {
            replayed: loaded.replayed,
            from_snapshot: loaded.from_snapshot,
            damage: std::mem::take(&mut loaded.damage),
            missing: loaded.missing.take(),
            interrupted: Vec::new(),
        };
        let finished = std::mem::take(&mut loaded.finished);
        let newest = loaded.newest_file.map(|file| (file, length));
        let state = State::new(data, loaded, length, control, follower, &options.known, now)?;
        let path = state.data.path().to_owned();
        let shared = Arc::new(Shared {
            given: Mutex::new(GivenIds::new(&state.data)),
            state: Mutex::new(state),
            work: Condvar::new(),
            synced: Condvar::new(),
            queue: Mutex::default(),
            waiting: Waiting::default(),
            lead: Mutex::default(),
            troubled: AtomicBool::new(false),
            durability: options.durability,
            syncing,
        });
        let syncer = match syncing {
            Syncing::InThread => syncer::start(Arc::clone(&shared)).map(Some),
            Syncing::ByHand => Ok(None),
        };
        let syncer = Mutex::new(syncer.map_err(LedgerError::io("start the sync thread for", &path))?);
        let sealer = Sealer::start(Arc::clone(&shared), newest, syncing == Syncing::InThread)
            .map_err(LedgerError::io("start the sealing thread for", &path))?;
        Ok((Journal { shared, sealer, syncer, snapshots: Mutex::default() }, opened, finished))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    pub(super) fn append(&self, record: &UsageRecord<'_>, now: Timestamp) -> Result<Appended, LedgerError> {
        self.accept(record.source.as_ref(), now, || self.append_now(record, now))
    }

    pub(super) fn append_or_queue(&self, record: &UsageRecord<'_>, now: Timestamp) -> Result<Appended, LedgerError> {
        self.accept(record.source.as_ref(), now, || match self.append_now(record, now) {
            Err(LedgerError::NotWritable { .. } | LedgerError::Io { .. }) => {
                let queued = self.push(Box::new(record.clone().into_owned()), now);
                // The disk may be well again by now.
                self.flush();
                self.shared.work.notify_one();
                queued
            }
            other => other,
        })
    }

    /// Accepts a record that [`Journal::flush`] is to write.
    pub(super) fn stage(&self, record: Box<UsageRecord<'static>>, now: Timestamp) -> Result<Appended, LedgerError> {
        let given = record.source.clone();
        self.accept(given.as_ref(), now, || self.push(record, now))
    }

    fn push(&self, record: Box<UsageRecord<'static>>, now: Timestamp) -> Result<Appended, LedgerError> {
        LINE.with_borrow_mut(|line| {
            line.clear();
            let may_wait_for_long = self.shared.troubled.load(Ordering::Acquire);
            if !may_wait_for_long {
                write_record(&record, line);
            }
            self.shared.queue().push(record, line, now).map(Appended)
        })
    }

    /// Writes what waits, unless the disk is known to refuse.
    pub(super) fn flush(&self) {
        self.flush_in(self.shared.state_with_room());
    }

    /// [`Journal::flush`], unless somebody else is at the journal. Gives whether it was done.
    pub(super) fn try_flush(&self) -> bool {
        let Ok(state) = self.shared.state.try_lock() else { return false };
        if state.has_room() {
            self.flush_in(state);
        } else {
            drop(state);
            self.flush();
        }
        true
    }

    fn flush_in(&self, mut state: MutexGuard<'_, State>) {
        if state.trouble.is_none() {
            // What it fails with is in `trouble`, for everybody to see.
            let _ = self.shared.write_queue(&mut state);
            self.shared.after_write(&mut state);
        }
        drop(state);
        self.shared.waiting.wake();
    }

    /// Whether a record that was accepted is in the files, at least.
    pub(super) fn is_written(&self, appended: Appended) -> bool {
        self.shared.waiting.written() >= appended.0
    }

    /// Waits in this thread until a record is as durable as configured. Whoever finds nobody at it writes and syncs for
    /// all; what is accepted meanwhile is left to the sync thread.
    pub(super) fn wait(&self, appended: Appended) -> Result<(), LedgerError> {
        if self.shared.durability == Durability::Kill && !self.is_written(appended) {
            self.flush();
        }
        let is_done = || self.done() >= appended || self.shared.troubled.load(Ordering::Acquire);
        while !is_done()
            && let Ok(leading) = self.shared.lead.try_lock()
        {
            drop((syncer::step(&self.shared, self.state()), leading));
            self.shared.pass_on();
        }
        if self.shared.troubled.load(Ordering::Acquire) {
            // What failed here is tried again by the thread whose work that is.
            self.shared.work.notify_one();
        }
        self.shared.waiting.wait_blocking(appended.0).map_err(|_| LedgerError::Closed)
    }

    /// Accepts a record unless the id that somebody else gave it is there already.
    fn accept(
        &self,
        given: Option<&Given<'_>>,
        now: Timestamp,
        accept: impl FnOnce() -> Result<Appended, LedgerError>,
    ) -> Result<Appended, LedgerError> {
        let Some(given) = given else { return accept() };
        let mut ids = self.shared.given();
        if ids.contains(given, now.day(), || self.state().users.folds())? {
            return Err(LedgerError::Duplicate);
        }
        let appended = accept()?;
        let state = self.state();
        let is_written = self.is_written(appended);
        ids.note(given, state.newest_file.filter(|_| is_written).map_or(QUEUED, |file| file.day));
        Ok(appended)
    }

    /// Writes a record and folds it in, behind everything that waits.
    fn append_now(&self, record: &UsageRecord<'_>, now: Timestamp) -> Result<Appended, LedgerError> {
        let line = line_of(record);
        let mut state = self.shared.state_with_room();
        if state.closed {
            return Err(LedgerError::Closed);
        }
        let mut queue = self.shared.queue();
        if let Some(reason) = state.trouble.clone() {
            return Err(LedgerError::NotWritable { reason });
        }
        let written = state.append_queued(queue.waiting()).and_then(|()| state.append(record, &line, now));
        let written = written.map(|()| Appended(queue.count()));
        drop(queue);
        self.shared.after_write(&mut state);
        written
    }

    /// Wakes those whose record is durable.
    pub(super) fn wake(&self) {
        self.shared.waiting.wake();
    }

    /// Waits in a task until a record is as durable as configured.
    pub(super) async fn durable(&self, appended: Appended) -> Result<(), LedgerError> {
        self.shared.waiting.wait(appended.0).await.map_err(|_| LedgerError::Closed)
    }

    /// The newest of the accepted records that are as durable as configured.
    pub(super) fn done(&self) -> Appended {
        Appended(self.shared.waiting.done())
    }

    /// Waits until everything written so far is synced.
    pub(super) fn sync(&self) -> Result<(), LedgerError> {
        self.flush();
        let written = self.state().written;
        self.shared.wait_synced(written)
    }

    /// The newest accepted record.
    pub(super) fn newest(&self) -> Appended {
        Appended(self.shared.queue().accepted())
    }

    /// Reads what is written at the moment at which `begin` is called.
    pub(super) fn read_so_far<T>(
        &self,
        begin: impl FnOnce() -> (Day, T),
        mut on_record: impl FnMut(&mut T, &UsageRecord<'_>),
    ) -> (T, Result<(), LedgerError>) {
        let (since, mut into, data, next_seq) = {
            let state = self.state();
            let (since, into) = begin();
            (since, into, state.data.clone(), state.next_seq)
        };
        let mut read = || {
            let mut sequence = Sequence::starting_after(0);
            // As everywhere: a file holds what arrived on its day, and a day earlier or later where the zone was changed.
            for file in data.journal_files()?.iter().filter(|file| file.day >= since.plus(-1)) {
                scan_file(&data, *file, 0, &mut sequence, |record, seq| {
                    if seq < next_seq {
                        on_record(&mut into, record);
                    }
                })?;
            }
            Ok(())
        };
        let read = read();
        (into, read)
    }

    pub(super) fn picture(&self) -> Arc<Picture> {
        self.state().stats.picture()
    }

    /// Who used what, live and sealed.
    pub(super) fn users(&self) -> Users {
        let state = self.state();
        let picture = state.stats.picture();
        Users::new(state.users.view(&picture), picture)
    }

    /// Seals the files whose day is over before this returns.
    pub(super) fn seal(&self) -> Result<(), LedgerError> {
        self.sealer.seal_now()
    }

    pub(super) fn acts(&self) -> Acts {
        self.state().control.acts().clone()
    }

    pub(super) fn since_snapshot(&self) -> u64 {
        self.state().since_snapshot
    }

    pub(super) fn health(&self) -> Health {
        let state = self.state();
        Health { trouble: state.trouble.clone(), queued: self.shared.queue().len() }
    }

    /// [`Health::trouble`], without a lock where there is none.
    pub(super) fn trouble(&self) -> Option<String> {
        self.shared.troubled.load(Ordering::Acquire).then(|| self.state().trouble.clone()).flatten()
    }

    /// Writes a snapshot, if anything changed.
    pub(super) fn snapshot(&self, now: Timestamp, before_it_is_published: impl FnOnce()) -> Result<(), LedgerError> {
        self.shared.given().roll(now.day());
        self.sealer.look();
        let _one_at_a_time = self.snapshots.lock().expect("nobody panics while holding it");
        let (snapshot, data, written, covered) = {
            let mut state = self.state();
            state.stats.roll(now);
            let Some(position) = state.last.filter(|_| state.since_snapshot > 0) else { return Ok(()) };
            let acts = state.control.acts();
            let (picture, lineage, act_seq) = (state.stats.picture(), acts.lineage, acts.seq);
            let (follower, data) = (state.follower.save(), state.data.clone());
            let (written, covered) = (state.written, state.since_snapshot);
            drop(state);
            (Snapshot::of(lineage, act_seq, now, position, &picture, follower), data, written, covered)
        };
        self.shared.wait_synced(written)?;
        before_it_is_published();
        snapshot.write(&data)?;
        self.state().since_snapshot -= covered;
        Ok(())
    }

    /// Tells fewer users apart from now on.
    #[cfg(test)]
    pub(super) fn cap_users_for_test(&self, users: usize, rows: usize) {
        self.state().users.cap_for_test(users, rows);
    }

    /// Makes the next sync report a failure, as a dying disk does.
    #[cfg(test)]
    pub(super) fn fail_next_sync_for_test(&self) {
        self.state().fail_next_sync = true;
    }

    /// One round of the sync thread's work.
    #[cfg(test)]
    pub(super) fn step_for_test(&self) {
        let _leading = self.shared.lead();
        drop(syncer::step(&self.shared, self.state()));
    }

    /// The newest record that is written, and the newest that is synced.
    #[cfg(test)]
    pub(super) fn progress_for_test(&self) -> (Appended, Appended) {
        let state = self.state();
        (Appended(state.written), Appended(state.synced))
    }

    pub(super) fn close(&self) -> Result<(), LedgerError> {
        self.sealer.stop();
        {
            let mut state = self.state();
            state.closed = true;
            self.shared.queue().close();
            self.shared.work.notify_all();
        }
        match self.syncer.lock().expect("nobody panics while holding it").take() {
            // The thread has nothing that panics; were it to, the sync state below tells.
            Some(thread) => drop(thread.join()),
            None if self.shared.syncing == Syncing::ByHand => drop(syncer::finish(&self.shared, self.state())),
            None => {}
        }
        let state = self.state();
        match &state.trouble {
            Some(reason) if state.synced < self.shared.queue().accepted() => {
                Err(LedgerError::NotWritable { reason: reason.clone() })
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing under the journal's lock panics")
    }

    pub(super) fn lead(&self) -> MutexGuard<'_, ()> {
        self.lead.lock().expect("nobody panics while holding it")
    }

    pub(super) fn given(&self) -> MutexGuard<'_, GivenIds> {
        self.given.lock().expect("nobody panics while holding it")
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nobody panics while holding it")
    }

    /// Writes what waits. What the disk does not take goes on waiting, before what was accepted meanwhile.
    pub(super) fn write_queue(&self, state: &mut State) -> Result<(), LedgerError> {
        let mut queued = std::mem::take(&mut state.queued);
        self.queue().take_into(&mut queued);
        let written = state.append_queued(&mut queued);
        if !queued.is_empty() {
            self.queue().put_back(&mut queued);
        }
        queued.shrink();
        state.queued = queued;
        written
    }

    /// Says what was written, and whether the disk refuses.
    pub(super) fn note_progress(&self, state: &State) {
        self.troubled.store(state.trouble.is_some(), Ordering::Release);
        self.waiting.reached(state.written, state.done(self.durability));
    }

    /// Says what was written, and has the sync thread see to it.
    fn after_write(&self, state: &mut State) {
        self.note_progress(state);
        if state.trouble.is_some() {
            // Nobody may queue anything for a while: the thread that tries the disk again must know by itself.
            self.work.notify_one();
            self.synced.notify_all();
        } else if state.written > state.synced {
            self.wake_syncer(state);
        }
    }

    /// The state, once there is room for another unsynced line.
    fn state_with_room(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        while !state.has_room() {
            state = self.wait_for_sync(state);
        }
        state
    }

    /// Waits until a sync ended.
    fn wait_for_sync<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        match self.syncing {
            Syncing::InThread => self.synced.wait(state).expect("nothing under the journal's lock panics"),
            Syncing::ByHand => syncer::step(self, state),
        }
    }

    /// Leaves to the sync thread what was accepted while somebody else led.
    fn pass_on(&self) {
        if !self.queue().is_empty() {
            self.wake_syncer(&mut self.state());
        }
    }

    /// Wakes the sync thread, if it rests and what was written is something it would not find by itself.
    fn wake_syncer(&self, state: &mut State) {
        let is_due = match state.rest {
            Rest::Awake => false,
            Rest::UntilWork => true,
            Rest::UntilRound => self.durability == Durability::Power || state.unsynced.len() > MAX_UNSYNCED / 16,
        };
        if is_due {
            state.rest = Rest::Awake;
            self.work.notify_one();
        }
    }

    /// Waits until everything up to a written record is synced, in either mode.
    fn wait_synced(&self, written: u64) -> Result<(), LedgerError> {
        let mut state = self.state();
        while state.synced < written {
            if let Some(reason) = &state.trouble {
                return Err(LedgerError::NotWritable { reason: reason.clone() });
            }
            if state.closed {
                return Err(LedgerError::Closed);
            }
            state.sync_now = true;
            self.work.notify_one();
            state = self.wait_for_sync(state);
        }
        Ok(())
    }
}
