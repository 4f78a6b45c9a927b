//! What the journal's mutex guards: the open file, the numbers and the fold.
//!
//! Records are counted as they are accepted; those counts are what is waited for. They are written in the same order:
//! while the [`queue`](super::queue) is not empty, nothing goes past it.

use std::io;
use std::sync::Arc;

use super::admission::{Admission, KnownNames};
use super::control::Control;
use super::disk::{Access, DiskFile};
use super::files::{DataFolder, FileName};
use super::journal::MAX_UNSYNCED;
use super::live::LiveUsers;
use super::queue::{Batch, line_of};
use super::recovery::Loaded;
use super::replay::Position;
use super::{Follower, LedgerError};
use crate::config::Durability;
use crate::stats::{Row, Stats};
use crate::usage::{Day, Sealed, Timestamp, UsageRecord, seal_line, unseal_line};

/// Room that the disk must have before it is trusted with lines again.
const PROBE_BYTES: u64 = 64 << 10;

/// Bytes of lines that were synced last which are kept, to be written again with those whose sync fails.
const KEPT_SYNCED: usize = 256 << 10;

/// The most that is written with one call: what a disk that was full has been asked for fits.
const MAX_RUN: usize = PROBE_BYTES as usize;

/// More than a seal adds to a line.
const SEAL_ROOM: usize = 64;

/// Everything the mutex guards.
pub(super) struct State {
    pub(super) data: DataFolder,
    pub(super) file: Option<OpenFile>,
    /// The last file written to, open or not; a new one never sorts before it.
    pub(super) newest_file: Option<FileName>,
    pub(super) next_seq: u64,
    pub(super) last: Option<Position>,
    pub(super) stats: Stats,
    pub(super) follower: Box<dyn Follower>,
    pub(super) admission: Admission,
    pub(super) users: LiveUsers,
    pub(super) control: Control,
    pub(super) written: u64,
    pub(super) synced: u64,
    /// Sealed lines written since the last sync began, and those that the running sync covers.
    pub(super) unsynced: Vec<u8>,
    pub(super) syncing: Vec<u8>,
    /// Those of the last good syncs: a disk may report with one sync what it lost of those before.
    pub(super) just_synced: Vec<u8>,
    /// Files that were closed with lines not yet synced.
    pub(super) closing: Vec<Arc<dyn DiskFile>>,
    /// Somebody waits for a sync in kill mode.
    pub(super) sync_now: bool,
    /// Whether the sync thread waits, and nobody has woken it yet.
    pub(super) rest: Rest,
    /// Room for what is taken out of the queue, empty between.
    pub(super) queued: Batch,
    /// Room for the rows of lines that go out with one call, empty between.
    rows: Vec<Row>,
    /// The file left last is not trusted.
    pub(super) distrusted: bool,
    /// A sync failed: the lines since the last good one are to be written again.
    pub(super) suspect: bool,
    pub(super) trouble: Option<String>,
    pub(super) closed: bool,
    #[cfg(test)]
    pub(super) fail_next_sync: bool,
    pub(super) since_snapshot: u64,
    /// When the last record arrived.
    pub(super) arrival: Timestamp,
}

/// What the sync thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing: it is at work, or was woken.
    Awake,
    /// Anything to do.
    UntilWork,
    /// What cannot wait for the next round, which comes by itself.
    UntilRound,
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
#[derive(Clone)]
pub(super) struct OpenFile {
    name: FileName,
    pub(super) file: Arc<dyn DiskFile>,
    length: u64,
}

impl OpenFile {
    /// An error if somebody took the file away, put another in its place, shortened it or wrote into it: what is
    /// written to it from then on could be lost.
    fn check_untouched(&self, data: &DataFolder) -> io::Result<()> {
        if self.file.is_at(&data.path_of(self.name))? && self.file.length()? == self.length {
            return Ok(());
        }
        Err(io::Error::other(format!("somebody else moved, removed or changed `{}`", self.name)))
    }
}

impl State {
    pub(super) fn new(
        data: DataFolder,
        loaded: Loaded,
        length: u64,
        control: Control,
        follower: Box<dyn Follower>,
        known: &KnownNames,
        now: Timestamp,
    ) -> Result<State, LedgerError> {
        let file = match loaded.newest_file.filter(|name| name.day >= now.day()) {
            Some(name) => match data.open(name, Access::Append) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None, // compressed: lines go to its next part
                opened => Some(OpenFile { name, file: opened.map_err(data.failed("open", name))?, length }),
            },
            None => None,
        };
        Ok(State {
            data,
            file,
            newest_file: loaded.newest_file,
            next_seq: loaded.sequence.next(),
            last: loaded.last,
            stats: loaded.stats,
            follower,
            admission: Admission::new(known.clone()),
            users: LiveUsers::default(),
            control,
            written: 0,
            synced: 0,
            unsynced: Vec::new(),
            syncing: Vec::new(),
            just_synced: Vec::new(),
            closing: Vec::new(),
            sync_now: false,
            rest: Rest::Awake,
            queued: Batch::default(),
            rows: Vec::new(),
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

    /// An error if the open file is no longer what was written to it.
    pub(super) fn check_untouched(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |open| open.check_untouched(&self.data))
    }

    /// Whether another line may be written before the next sync, or nothing will come of waiting for it.
    pub(super) fn has_room(&self) -> bool {
        self.unsynced.len() <= MAX_UNSYNCED || self.closed || self.trouble.is_some()
    }

    /// How many of the accepted records are as durable as configured.
    pub(super) fn done(&self, durability: Durability) -> u64 {
        match durability {
            Durability::Power => self.synced,
            Durability::Kill => self.written,
        }
    }

    /// Writes what waits and folds it in, from the front on and with as few calls as it can. What the disk does not take
    /// is left.
    pub(super) fn append_queued(&mut self, batch: &mut Batch) -> Result<(), LedgerError> {
        while let Some(first) = batch.first() {
            let written = match self.stats.row_of(&first.record) {
                Some(row) => self.append_run(row, first.now, batch)?,
                None => self.append_first(batch)?,
            };
            batch.pass(written);
        }
        Ok(())
    }

    /// Writes the first alone, whose row is not there; gives how many that is.
    fn append_first(&mut self, batch: &Batch) -> Result<usize, LedgerError> {
        let Some((first, line)) = batch.lines().next() else { return Ok(0) };
        self.append(&first.record, &line, first.now).map(|()| 1)
    }

    /// Writes with one call those at the front that go into one file and whose rows are there; `row` is that of the
    /// first, which arrived at `now`. They are folded in after that, in their order. Gives how many there were.
    fn append_run(&mut self, row: Row, now: Timestamp, batch: &Batch) -> Result<usize, LedgerError> {
        self.arrival = now;
        self.choose_file(now.day())?;
        let mut rows = std::mem::take(&mut self.rows);
        let from = self.unsynced.len();
        let sealed = self.seal_run(&mut rows, row, batch).expect("the first always fits");
        let written = self.write_sealed(from, sealed);
        let count = rows.len();
        if written.is_ok() {
            self.next_seq += count as u64;
            for (row, queued) in rows.iter().zip(batch.records()) {
                self.arrival = queued.now;
                self.stats.apply_to(*row, &queued.record);
                self.follow(&queued.record);
                self.written += 1;
            }
        }
        rows.clear();
        self.rows = rows;
        written.map(|()| count)
    }

    /// Puts the lines of a run together behind the unsynced ones, each sealed with its number; gives the last seal.
    fn seal_run(&mut self, rows: &mut Vec<Row>, row: Row, batch: &Batch) -> Option<Sealed> {
        let day = self.file.as_ref().map_or(self.arrival.day(), |open| open.name.day);
        let end = self.unsynced.len() + MAX_RUN;
        let mut next = Some(row);
        let mut sealed = None;
        for (seq, (queued, line)) in (self.next_seq..).zip(batch.lines()) {
            let row = next.take().or_else(|| self.stats.row_of(&queued.record));
            let Some(row) = row.filter(|_| queued.now.day() <= day) else { break };
            let start = self.unsynced.len();
            if !rows.is_empty() && start + line.len() + SEAL_ROOM > end {
                break;
            }
            self.unsynced.extend_from_slice(&line);
            sealed = Some(seal_line(&mut self.unsynced, start, seq));
            rows.push(row);
        }
        sealed
    }

    /// Writes one record and folds it in. `line` is its JSON.
    pub(super) fn append(&mut self, record: &UsageRecord<'_>, line: &[u8], now: Timestamp) -> Result<(), LedgerError> {
        if let Some(row) = self.stats.row_of(record) {
            // Its names have been admitted already.
            self.write(line, now)?;
            self.stats.apply_to(row, record);
            self.follow(record);
        } else {
            let others = self.admission.others(record, self.stats.current(), &self.control.acts().settings);
            let changed = (!others.is_empty()).then(|| UsageRecord { other: others, ..record.clone() });
            match &changed {
                Some(changed) => self.write(&line_of(changed), now)?,
                None => self.write(line, now)?,
            }
            let record = changed.as_ref().unwrap_or(record);
            self.stats.apply(record);
            self.admission.note_rows(self.stats.current(), record.timestamp.day());
            self.follow(record);
        }
        self.written += 1;
        Ok(())
    }

    /// What else keeps step with the journal.
    fn follow(&mut self, record: &UsageRecord<'_>) {
        self.follower.apply(record);
        if let Some(open) = &self.file {
            self.users.apply(open.name.day, record, self.stats.current());
        }
        self.since_snapshot += 1;
    }

    /// Seals a line and writes it with one call. On error nothing of it stays, or the file is left for good.
    fn write(&mut self, line: &[u8], now: Timestamp) -> Result<(), LedgerError> {
        self.arrival = now;
        self.choose_file(now.day())?;
        let from = self.unsynced.len();
        self.unsynced.extend_from_slice(line);
        let sealed = seal_line(&mut self.unsynced, from, self.next_seq);
        self.write_sealed(from, sealed)?;
        self.next_seq += 1;
        Ok(())
    }

    /// Writes the lines that were put behind the unsynced ones, from `from` on; `sealed` is the last one's seal. Where the
    /// disk does not take them they are taken away again.
    fn write_sealed(&mut self, from: usize, sealed: Sealed) -> Result<(), LedgerError> {
        let open = self.file.as_mut().expect("a file was just chosen");
        let lines = &self.unsynced[from..];
        if let Err(error) = open.file.append(lines) {
            let failed = self.data.failed("append to", open.name);
            self.trouble = Some(error.to_string());
            self.unsynced.truncate(from);
            if open.file.set_len(open.length).is_err() {
                self.leave_file(Leaving::Distrusted);
            }
            return Err(failed(error));
        }
        open.length += lines.len() as u64;
        // A line written again is of a lower number; where the highest one stands is where a snapshot may begin.
        let position = Position { file: open.name, offset: open.length, sealed };
        if position.is_above(self.last) || self.last.is_some_and(|last| last.sealed == sealed) {
            self.last = Some(position);
        }
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
        let file = self.data.create_new(name, Access::Append).map_err(|error| {
            self.trouble = Some(error.to_string());
            if self.is_empty_leftover(name) {
                (self.newest_file, self.distrusted) = (Some(name), true);
            }
            self.data.failed("create", name)(error)
        })?;
        self.leave_file(Leaving::Full);
        self.distrusted = false;
        self.newest_file = Some(name);
        self.file = Some(OpenFile { name, file, length: 0 });
        Ok(())
    }

    /// Whether there is an empty file of that name, which a try before could not take away again: the next part is
    /// begun then.
    fn is_empty_leftover(&self, name: FileName) -> bool {
        self.data.open(name, Access::Append).and_then(|file| file.length()).is_ok_and(|length| length == 0)
    }

    /// Ends writing to the open file; the next line begins another.
    fn leave_file(&mut self, leaving: Leaving) {
        if let Some(open) = self.file.take() {
            self.closing.push(open.file);
        }
        self.distrusted |= leaving == Leaving::Distrusted;
    }

    /// Keeps the lines whose sync ended well for a while: a disk may tell some syncs late what it lost.
    pub(super) fn note_synced(&mut self) {
        let room = (2 * self.syncing.len()).max(KEPT_SYNCED);
        if self.syncing.len() >= KEPT_SYNCED {
            std::mem::swap(&mut self.syncing, &mut self.just_synced);
            self.syncing.clear();
        } else {
            self.just_synced.append(&mut self.syncing);
            if self.just_synced.len() > 2 * KEPT_SYNCED {
                let from = self.just_synced.len() - KEPT_SYNCED;
                let line = memchr::memchr(b'\n', &self.just_synced[from..]).map_or(from, |at| from + at + 1);
                self.just_synced.drain(..line);
                self.just_synced.shrink_to(2 * KEPT_SYNCED);
            }
        }
        self.syncing.shrink_to(room);
    }

    /// Writes the lines again whose sync failed, as they are, into the next part of the file: nobody knows what of the
    /// old one is on the disk. Those of the good syncs before go first, since the failure may have been theirs. Replay
    /// knows a line that it has seen by its number.
    pub(super) fn write_again(&mut self) -> Result<(), LedgerError> {
        let mut lines = std::mem::take(&mut self.just_synced);
        lines.append(&mut self.syncing);
        lines.append(&mut self.unsynced);
        self.leave_file(Leaving::Distrusted);
        self.closing.clear();
        let day = self.newest_file.map_or(self.arrival.day(), |newest| newest.day);
        let written = self.choose_file(day).and_then(|()| {
            lines.split_inclusive(|byte| *byte == b'\n').try_for_each(|line| {
                let sealed = unseal_line(&line[..line.len() - 1]).expect("only sealed lines are kept for another try");
                let from = self.unsynced.len();
                self.unsynced.extend_from_slice(line);
                self.write_sealed(from, sealed)
            })
        });
        if written.is_err() {
            // All of them are kept for the next try, into one more part. One that took nothing is not left behind: a
            // full disk would soon be full of them.
            if let Some(empty) = self.file.as_ref().filter(|open| open.length == 0) {
                let _there = self.data.remove(empty.name);
            }
            self.leave_file(Leaving::Distrusted);
            self.closing.clear();
            self.unsynced = lines;
        }
        written
    }

    /// Whether the disk has room for lines again.
    pub(super) fn probe(&mut self) -> Result<(), LedgerError> {
        self.choose_file(self.arrival.day())?;
        let open = self.file.as_ref().expect("a file was just chosen");
        open.file.reserve(open.length, PROBE_BYTES).map_err(|error| {
            self.trouble = Some(error.to_string());
            self.data.failed("append to", open.name)(error)
        })
    }
}
