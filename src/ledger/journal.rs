//! The journal: one file open for appending, one mutex, one write per line, and a thread that syncs.
//!
//! A line is sealed, written and folded in one step under the mutex, so the statistics are exactly the fold of what
//! is in the files. Who needs durability waits for the sync that covers its line; a sync never waits to fill.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::admission::{Admission, KnownNames};
use super::control::Control;
use super::files::{self, FileName};
use super::given::GivenIds;
use super::quarantine;
use super::recovery::{self, Loaded};
use super::replay::Position;
use super::slots::{OpenCall, SlotNumber};
use super::snapshot::Snapshot;
use super::{Acts, Follower, LedgerError, Opened, Options, RecordId, syncer};
use crate::config::Durability;
use crate::stats::{Picture, Stats};
use crate::usage::{Day, Timestamp, UsageRecord, seal_line, write_record};

/// Records that the disk does not take wait here, up to this many.
const MAX_QUEUED: usize = 65_536;

/// Bytes that may be written and not yet synced; an append beyond waits for the sync.
pub(super) const MAX_UNSYNCED: usize = 64 << 20;

/// Room that the disk must have before it is trusted with lines again.
const PROBE_BYTES: u64 = 64 << 10;

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
    shared: Arc<Shared>,
    syncer: Mutex<Option<JoinHandle<()>>>,
    /// Held while a snapshot is written.
    snapshots: Mutex<()>,
}

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Something is to be synced, retried, or the journal closes.
    pub(super) work: Condvar,
    /// A sync ended.
    pub(super) synced: Condvar,
    pub(super) durability: Durability,
}

/// Everything the mutex guards.
///
/// Records are counted as they are accepted; those counts are what is waited for. They are written in the same order:
/// while the queue is not empty, nothing goes past it.
pub(super) struct State {
    folder: PathBuf,
    pub(super) file: Option<OpenFile>,
    /// The last file written to, open or not; a new one never sorts before it.
    newest_file: Option<FileName>,
    next_seq: u64,
    last: Option<Position>,
    stats: Stats,
    follower: Box<dyn Follower>,
    admission: Admission,
    given: GivenIds,
    control: Control,
    accepted: u64,
    pub(super) written: u64,
    pub(super) synced: u64,
    /// Sealed lines written since the last sync began, and those that the running sync covers.
    pub(super) unsynced: Vec<u8>,
    pub(super) syncing: Vec<u8>,
    /// Files that were closed with lines not yet synced.
    pub(super) closing: Vec<Arc<File>>,
    /// Somebody waits for a sync in kill mode.
    pub(super) sync_now: bool,
    waiters: VecDeque<(u64, oneshot::Sender<()>)>,
    pub(super) queue: VecDeque<(UsageRecord<'static>, Timestamp)>,
    /// The file left last is not trusted.
    distrusted: bool,
    /// A sync failed: the lines since the last good one are to be written again.
    pub(super) suspect: bool,
    pub(super) trouble: Option<String>,
    pub(super) closed: bool,
    #[cfg(test)]
    pub(super) fail_next_sync: bool,
    since_snapshot: u64,
    /// When the last record arrived.
    arrival: Timestamp,
}

/// Why a file is left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// Its day is over.
    Full,
    /// It failed: the next file is another part of the same day, so that replay compares the two.
    Distrusted,
}

/// The file that takes lines.
pub(super) struct OpenFile {
    name: FileName,
    pub(super) file: Arc<File>,
    length: u64,
}

impl Journal {
    /// Opens the journal of a locked folder; gives also the open calls whose record is there.
    pub(super) fn open(
        folder: &Path,
        options: Options,
        open_calls: &[(SlotNumber, OpenCall)],
        lineage: Uuid,
        now: Timestamp,
    ) -> Result<(Journal, Opened, std::collections::HashSet<RecordId>), LedgerError> {
        let control = Control::open(folder, lineage, now)?;
        let mut follower = options.follower;
        let mut loaded = recovery::load(folder, control.acts(), &mut *follower, open_calls, now)?;
        let length = quarantine::mend(folder, &mut loaded)?;
        let opened = Opened {
            replayed: loaded.replayed,
            from_snapshot: loaded.from_snapshot,
            damage: std::mem::take(&mut loaded.damage),
            interrupted: Vec::new(),
        };
        let finished = std::mem::take(&mut loaded.finished);
        let state = State::new(folder, loaded, length, control, follower, &options.known, now)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            synced: Condvar::new(),
            durability: options.durability,
        });
        let syncer =
            syncer::start(Arc::clone(&shared)).map_err(LedgerError::io("start the sync thread for", folder))?;
        Ok((Journal { shared, syncer: Mutex::new(Some(syncer)), snapshots: Mutex::default() }, opened, finished))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    pub(super) fn append(&self, record: &UsageRecord<'_>, now: Timestamp) -> Result<Appended, LedgerError> {
        let mut line = Vec::with_capacity(640);
        write_record(record, &mut line);
        let mut state = self.shared.state_with_room();
        if state.closed {
            return Err(LedgerError::Closed);
        }
        if let Some(reason) = state.refusal() {
            return Err(LedgerError::NotWritable { reason });
        }
        let written = state.append(record, line, now);
        if state.trouble.is_some() {
            // Nobody may queue anything for a while: the thread that tries the disk again must know by itself.
            self.shared.work.notify_one();
            self.shared.synced.notify_all();
        }
        written?;
        state.accepted += 1;
        self.shared.wake_syncer(&state);
        Ok(Appended(state.accepted))
    }

    pub(super) fn append_or_queue(&self, record: &UsageRecord<'_>, now: Timestamp) -> Result<Appended, LedgerError> {
        match self.append(record, now) {
            Err(LedgerError::NotWritable { .. } | LedgerError::Io { .. }) => {}
            other => return other,
        }
        let mut state = self.state();
        if state.closed || state.queue.len() >= MAX_QUEUED {
            return Err(if state.closed { LedgerError::Closed } else { LedgerError::QueueFull });
        }
        state.queue.push_back((record.clone().into_owned(), now));
        state.accepted += 1;
        self.shared.work.notify_one();
        Ok(Appended(state.accepted))
    }

    /// What to wait on for durability; `None` when it is there already.
    pub(super) fn waiter(&self, appended: Appended) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        if state.done(self.shared.durability) >= appended.0 {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        if !state.closed {
            state.waiters.push_back((appended.0, sender));
        }
        Some(receiver)
    }

    /// The newest of the accepted records that are as durable as configured.
    pub(super) fn done(&self) -> Appended {
        Appended(self.state().done(self.shared.durability))
    }

    /// Waits until everything written so far is synced.
    pub(super) fn sync(&self) -> Result<(), LedgerError> {
        let written = self.state().written;
        self.shared.wait_synced(written)
    }

    /// The newest accepted record.
    pub(super) fn newest(&self) -> Appended {
        Appended(self.state().accepted)
    }

    pub(super) fn picture(&self) -> Arc<Picture> {
        self.state().stats.picture()
    }

    pub(super) fn acts(&self) -> Acts {
        self.state().control.acts().clone()
    }

    pub(super) fn since_snapshot(&self) -> u64 {
        self.state().since_snapshot
    }

    pub(super) fn health(&self) -> Health {
        let state = self.state();
        Health { trouble: state.trouble.clone(), queued: state.queue.len() }
    }

    pub(super) fn reset(&self, now: Timestamp) -> Result<Timestamp, LedgerError> {
        let mut state = self.state();
        // The act is written first: what was not written did not happen.
        let begin = state.stats.clone().reset(now);
        state.control.reset(begin, now)?;
        state.stats.reset(begin);
        state.since_snapshot += 1;
        Ok(begin)
    }

    pub(super) fn snapshot(&self, now: Timestamp) -> Result<(), LedgerError> {
        let _one_at_a_time = self.snapshots.lock().expect("nobody panics while holding it");
        let (snapshot, folder, written, covered) = {
            let mut state = self.state();
            state.stats.roll(now);
            state.given.roll(now.day());
            let Some(position) = state.last.filter(|_| state.since_snapshot > 0) else { return Ok(()) };
            let (picture, lineage) = (state.stats.picture(), state.control.acts().lineage);
            let (follower, folder) = (state.follower.save(), state.folder.clone());
            let (written, covered) = (state.written, state.since_snapshot);
            drop(state);
            (Snapshot::of(lineage, now, position, &picture, follower), folder, written, covered)
        };
        self.shared.wait_synced(written)?;
        snapshot.write(&folder)?;
        self.state().since_snapshot -= covered;
        Ok(())
    }

    /// Makes the next sync report a failure, as a dying disk does.
    #[cfg(test)]
    pub(super) fn fail_next_sync_for_test(&self) {
        self.state().fail_next_sync = true;
    }

    pub(super) fn close(&self) -> Result<(), LedgerError> {
        {
            let mut state = self.state();
            state.closed = true;
            self.shared.work.notify_all();
        }
        if let Some(thread) = self.syncer.lock().expect("nobody panics while holding it").take() {
            // The thread has nothing that panics; were it to, the sync state below tells.
            let _ = thread.join();
        }
        let state = self.state();
        match &state.trouble {
            Some(reason) if state.synced < state.accepted => Err(LedgerError::NotWritable { reason: reason.clone() }),
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

    /// The state, once there is room for another unsynced line.
    fn state_with_room(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        while state.unsynced.len() > MAX_UNSYNCED && !state.closed && state.trouble.is_none() {
            state = self.synced.wait(state).expect("nothing under the journal's lock panics");
        }
        state
    }

    /// Wakes the sync thread if the line just written is something it would not find by itself.
    fn wake_syncer(&self, state: &State) {
        let is_first = state.written == state.synced + 1;
        if self.durability == Durability::Power || is_first || state.unsynced.len() > MAX_UNSYNCED / 16 {
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
            state = self.synced.wait(state).expect("nothing under the journal's lock panics");
        }
        Ok(())
    }
}

impl State {
    fn new(
        folder: &Path,
        loaded: Loaded,
        length: u64,
        control: Control,
        follower: Box<dyn Follower>,
        known: &KnownNames,
        now: Timestamp,
    ) -> Result<State, LedgerError> {
        let file = match loaded.newest_file.filter(|name| name.day >= now.day()) {
            Some(name) => {
                let path = name.in_folder(folder);
                let file = files::open_or_create(&path).map_err(LedgerError::io("open", &path))?;
                Some(OpenFile { name, file: Arc::new(file), length })
            }
            None => None,
        };
        let admission = Admission::of_day(known.clone(), &loaded.stats.picture(), now.day());
        Ok(State {
            folder: folder.to_owned(),
            file,
            newest_file: loaded.newest_file,
            next_seq: loaded.sequence.next(),
            last: loaded.last,
            stats: loaded.stats,
            follower,
            admission,
            given: GivenIds::default(),
            control,
            accepted: 0,
            written: 0,
            synced: 0,
            unsynced: Vec::new(),
            syncing: Vec::new(),
            closing: Vec::new(),
            sync_now: false,
            waiters: VecDeque::new(),
            queue: VecDeque::new(),
            distrusted: false,
            suspect: false,
            trouble: None,
            closed: false,
            #[cfg(test)]
            fail_next_sync: false,
            since_snapshot: loaded.replayed,
            arrival: now,
        })
    }

    /// Why nothing may be appended now: the disk refuses, or records wait that come first.
    fn refusal(&self) -> Option<String> {
        let waiting = || (!self.queue.is_empty()).then(|| "earlier records wait for the disk".to_owned());
        self.trouble.clone().or_else(waiting)
    }

    /// How many of the accepted records are as durable as configured.
    fn done(&self, durability: Durability) -> u64 {
        match durability {
            Durability::Power => self.synced,
            Durability::Kill => self.written,
        }
    }

    /// Writes one record and folds it in. `line` is its JSON.
    fn append(&mut self, record: &UsageRecord<'_>, mut line: Vec<u8>, now: Timestamp) -> Result<(), LedgerError> {
        if let Some(given) = &record.source
            && self.given.contains(given, &self.folder, now.day())?
        {
            return Err(LedgerError::Duplicate);
        }
        let picture = self.stats.picture();
        let others = self.admission.others(record, &picture);
        drop(picture);
        if others.is_empty() {
            self.write(&mut line, now)?;
            self.fold(record, now);
        } else {
            let record = UsageRecord { other: others, ..record.clone() };
            line.clear();
            write_record(&record, &mut line);
            self.write(&mut line, now)?;
            self.fold(&record, now);
        }
        self.written += 1;
        Ok(())
    }

    fn fold(&mut self, record: &UsageRecord<'_>, now: Timestamp) {
        self.stats.apply(record);
        self.follower.apply(record);
        self.admission.note_rows(&self.stats.picture());
        if let Some(given) = &record.source {
            self.given.note(given, now.day());
        }
        self.since_snapshot += 1;
    }

    /// Seals a line and writes it with one call. On error nothing of it stays, or the file is left for good.
    fn write(&mut self, line: &mut Vec<u8>, now: Timestamp) -> Result<(), LedgerError> {
        self.arrival = now;
        self.choose_file(now.day())?;
        self.write_into_chosen(line)
    }

    fn write_into_chosen(&mut self, line: &mut Vec<u8>) -> Result<(), LedgerError> {
        let sealed = seal_line(line, 0, self.next_seq);
        let open = self.file.as_mut().expect("a file was just chosen");
        if let Err(error) = open.file.write_all_at(line, open.length) {
            let path = open.name.in_folder(&self.folder);
            self.trouble = Some(error.to_string());
            if open.file.set_len(open.length).is_err() {
                self.leave_file(Leaving::Distrusted);
            }
            return Err(LedgerError::io("append to", &path)(error));
        }
        open.length += line.len() as u64;
        self.last = Some(Position { file: open.name, offset: open.length, sealed });
        self.unsynced.extend_from_slice(line);
        self.next_seq += 1;
        Ok(())
    }

    /// Makes the open file the one that lines arriving that day belong in.
    fn choose_file(&mut self, day: Day) -> Result<(), LedgerError> {
        if self.file.as_ref().is_some_and(|open| open.name.day >= day) {
            return Ok(());
        }
        let name = match self.newest_file {
            Some(newest) if newest.day >= day || self.distrusted => newest.next_part(),
            _ => FileName { day, part: 1 },
        };
        let path = name.in_folder(&self.folder);
        let file = files::create_new(&path).map_err(|error| {
            self.trouble = Some(error.to_string());
            LedgerError::io("create", &path)(error)
        })?;
        self.leave_file(Leaving::Full);
        self.distrusted = false;
        self.newest_file = Some(name);
        self.file = Some(OpenFile { name, file: Arc::new(file), length: 0 });
        Ok(())
    }

    /// Ends writing to the open file; the next line begins another.
    fn leave_file(&mut self, leaving: Leaving) {
        if let Some(open) = self.file.take() {
            self.closing.push(open.file);
        }
        self.distrusted |= leaving == Leaving::Distrusted;
    }

    /// Writes the lines again whose sync failed, into the next part of the file: nobody knows what of the old one is on
    /// the disk. Replay knows lines of an earlier part by their id.
    pub(super) fn write_again(&mut self) -> Result<(), LedgerError> {
        let mut lines = std::mem::take(&mut self.syncing);
        lines.append(&mut self.unsynced);
        self.leave_file(Leaving::Distrusted);
        self.closing.clear();
        let day = self.newest_file.map_or(self.arrival.day(), |newest| newest.day);
        let written = self.choose_file(day).and_then(|()| {
            let mut bodies = lines.split_inclusive(|byte| *byte == b'\n').map(unsealed);
            bodies.try_for_each(|mut body| self.write_into_chosen(&mut body))
        });
        if written.is_err() {
            // All of them are kept for the next try, into one more part.
            self.leave_file(Leaving::Distrusted);
            self.closing.clear();
            self.unsynced = lines;
        }
        written
    }

    /// Writes the records that wait in the queue, as far as the disk takes them.
    pub(super) fn drain_queue(&mut self) -> Result<(), LedgerError> {
        while let Some((record, now)) = self.queue.front().cloned() {
            let mut line = Vec::with_capacity(640);
            write_record(&record, &mut line);
            match self.append(&record, line, now) {
                Ok(()) => {}
                Err(LedgerError::Duplicate) => self.written += 1, // it is there, which is all that was asked
                Err(error) => return Err(error),
            }
            self.queue.pop_front();
        }
        self.trouble = None;
        Ok(())
    }

    /// Whether the disk has room for lines again.
    pub(super) fn probe(&mut self) -> Result<(), LedgerError> {
        self.choose_file(self.arrival.day())?;
        let open = self.file.as_ref().expect("a file was just chosen");
        let reserved = rustix::fs::fallocate(&open.file, FallocateFlags::KEEP_SIZE, open.length, PROBE_BYTES);
        match reserved {
            Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
            Err(error) => {
                self.trouble = Some(error.to_string());
                Err(LedgerError::io("append to", &open.name.in_folder(&self.folder))(error.into()))
            }
        }
    }

    /// Wakes those whose record is now durable.
    pub(super) fn wake(&mut self, durability: Durability) {
        let done = self.done(durability);
        while self.waiters.front().is_some_and(|(accepted, _)| *accepted <= done) {
            if let Some((_, waiter)) = self.waiters.pop_front() {
                let _ = waiter.send(()); // whoever stopped waiting does not mind
            }
        }
    }

    /// Lets go of those who wait for what will not come.
    pub(super) fn abandon_waiters(&mut self) {
        self.waiters.clear();
    }
}

/// A sealed line's JSON without its seal and newline.
fn unsealed(line: &[u8]) -> Vec<u8> {
    let seal = memchr::memmem::rfind(line, b",\"seq\":").expect("only sealed lines are kept for another try");
    let mut body = line[..seal].to_vec();
    body.push(b'}');
    body
}
