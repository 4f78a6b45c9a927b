//! From files to the fold: snapshot, then the tail of the journal (of closed days their sealed sums), then whatever else must be looked up in it.
//!
//! Reads only. What a writer then mends in the files is in `quarantine`.

use std::collections::HashSet;

use super::files::{DataFolder, FileName};
use super::open_call::OpenCall;
use super::replay::{Damage, Position, Scan, Sequence, scan_file};
use super::slots::{self, SlotNumber};
use super::snapshot::{self, Search, Snapshot};
use super::{Acts, Follower, LedgerError, Missing, RecordId, sealed};
use crate::stats::Stats;
use crate::usage::{Day, Timestamp};

/// A folder's fold, and where its journal ends.
pub(super) struct Loaded {
    pub(super) stats: Stats,
    pub(super) sequence: Sequence,
    /// The line of the highest number. Behind it there may be lines of lower ones, written again after a failed sync.
    pub(super) last: Option<Position>,
    /// The newest journal file.
    pub(super) newest_file: Option<FileName>,
    /// Where its last valid line ends.
    pub(super) newest_end: u64,
    pub(super) damage: Vec<Damage>,
    pub(super) missing: Option<Missing>,
    /// The newest file ends in a valid line without its newline.
    pub(super) wants_newline: bool,
    /// The files that were replayed, each with where its replay began.
    pub(super) tail: Vec<(FileName, u64)>,
    pub(super) replayed: u64,
    pub(super) from_snapshot: bool,
    /// Those of the open calls whose record is there.
    pub(super) finished: HashSet<RecordId>,
}

/// Loads a folder's fold; the follower is brought to the same line.
pub(super) fn load(
    data: &DataFolder,
    acts: &Acts,
    follower: &mut dyn Follower,
    open_calls: &[(SlotNumber, OpenCall)],
    now: Timestamp,
) -> Result<Loaded, LedgerError> {
    let files = data.journal_files()?;
    follower.begin(acts);
    let start = Start::find(data, acts, now);
    let follower_is_restored = match &start.snapshot {
        Some(found) => follower.restore(&found.follower),
        None => true,
    };
    let horizon = follower.horizon();
    let newest_in_snapshot = start.snapshot.as_ref().and_then(|_| start.stats.current().newest());
    let looking_for = slots::ids(open_calls);
    let mut loaded = Loaded {
        stats: start.stats,
        sequence: Sequence::starting_after(start.position.map_or(0, |position| position.sealed.seq)),
        last: start.position,
        newest_file: files.last().copied(),
        newest_end: 0,
        damage: Vec::new(),
        missing: None,
        wants_newline: false,
        tail: Vec::new(),
        replayed: 0,
        from_snapshot: start.snapshot.is_some(),
        finished: HashSet::new(),
    };
    // Of records before that day nobody wants more than their sums.
    let admitted = open_calls.iter().map(|(_, call)| call.admitted.day());
    let wanted_since = admitted.fold(horizon.day(), Day::min).plus(-1);
    let tail = files.iter().filter(|file| start.position.is_none_or(|position| **file >= position.file));
    for file in tail {
        let is_whole = start.position.is_none_or(|position| position.file != *file);
        // Lines that a part has once more count there only if they were lost before: where a file before it had to be
        // read, its fold says nothing of that.
        let stands_alone = file.part == 1 || loaded.tail.is_empty();
        let may_be_sealed = is_whole && stands_alone && file.day < wanted_since && Some(file) != files.last();
        if may_be_sealed && loaded.take_sealed(data, acts, *file) {
            continue;
        }
        let offset = start.position.filter(|position| position.file == *file).map_or(0, |position| position.offset);
        let Loaded { stats, sequence, finished, .. } = &mut loaded;
        let scan = scan_file(data, *file, offset, sequence, |record, _| {
            stats.apply(record);
            if follower_is_restored && record.timestamp >= horizon {
                follower.apply(record);
            }
            if looking_for.contains(&record.id) {
                finished.insert(record.id);
            }
        })?;
        loaded.newest_end = scan.last.map_or(offset, |last| last.offset);
        loaded.note(scan);
        loaded.tail.push((*file, offset));
        loaded.stats.roll(now);
    }
    if !follower_is_restored {
        feed_follower(data, &files, follower, horizon)?;
    }
    if let (Some(snapshot), Some(newest)) = (&start.snapshot, newest_in_snapshot) {
        loaded.look_before(data, &files, snapshot.at, newest, open_calls)?;
    }
    loaded.stats.roll(now);
    loaded.missing = start.not_in_journal.and_then(|counted| loaded.missing_up_to(counted));
    Ok(loaded)
}

/// Where loading begins.
struct Start {
    stats: Stats,
    position: Option<Position>,
    snapshot: Option<Snapshot>,
    not_in_journal: Option<Position>,
}

impl Start {
    fn find(data: &DataFolder, acts: &Acts, now: Timestamp) -> Start {
        let Search { found, not_in_journal } = snapshot::find(data, acts.lineage, now);
        if let Some(snapshot) = found
            && let Some(stats) = fold_of(&snapshot, acts)
        {
            return Start { stats, position: snapshot.position(), snapshot: Some(snapshot), not_in_journal };
        }
        Start { stats: acts.stats(), position: None, snapshot: None, not_in_journal }
    }
}

/// The fold of a snapshot, brought to all acts there are; `None` when that cannot be done without the records.
pub(super) fn fold_of(snapshot: &Snapshot, acts: &Acts) -> Option<Stats> {
    let mut stats = snapshot.stats.restored();
    if snapshot.act_seq > acts.seq || !stats.set_resets(&acts.resets) {
        return None;
    }
    acts.openings_after(snapshot.act_seq).iter().for_each(|opening| stats.apply_opening(opening));
    Some(stats)
}

impl Loaded {
    /// Takes a closed file's sums from its fold instead of its lines. `false`, and nothing is taken, if it has none that
    /// fits, or if something in the file is damaged and must be shown.
    fn take_sealed(&mut self, data: &DataFolder, acts: &Acts, file: FileName) -> bool {
        let Ok(fold) = sealed::load_for(data, acts, file) else { return false };
        let Some(end) = fold.end_of_clean_file() else { return false };
        let Ok(mut stats) = fold.stats() else { return false };
        if !stats.set_resets(&acts.resets) {
            return false;
        }
        self.stats.merge(&stats);
        self.sequence = end.sequence;
        self.last = end.last.filter(|line| line.is_above(self.last)).or(self.last);
        self.replayed += end.records;
        true
    }

    /// What a snapshot counted behind the last line that is there. None is taken before its lines are synced.
    fn missing_up_to(&self, counted: Position) -> Option<Missing> {
        let there = self.last.map_or(0, |last| last.sealed.seq);
        let lines = counted.sealed.seq.checked_sub(there).filter(|lines| *lines > 0)?;
        Some(Missing { file: counted.file.to_string(), lines })
    }

    fn note(&mut self, scan: Scan) {
        self.replayed += scan.records;
        self.wants_newline = scan.wants_newline;
        self.last = scan.highest.filter(|line| line.is_above(self.last)).or(self.last);
        self.damage.extend(scan.damage);
    }

    /// Looks for the records of open calls that are not admitted after all that the snapshot holds: theirs may stand
    /// before it.
    fn look_before(
        &mut self,
        data: &DataFolder,
        files: &[FileName],
        snapshot_at: Timestamp,
        newest_in_snapshot: Timestamp,
        open_calls: &[(SlotNumber, OpenCall)],
    ) -> Result<(), LedgerError> {
        let missing = open_calls.iter().map(|(_, call)| call).filter(|call| !self.finished.contains(&call.id));
        let older: Vec<&OpenCall> = missing.filter(|call| call.admitted <= newest_in_snapshot).collect();
        let Some(first_day) = older.iter().map(|call| call.admitted.day()).min() else { return Ok(()) };
        // With a clock that went back, a record may be in a file of a day before its own.
        let went_back = older.iter().any(|call| call.admitted > snapshot_at);
        let wanted: HashSet<RecordId> = older.iter().map(|call| call.id).collect();
        for file in files.iter().filter(|file| file.day >= first_day || went_back) {
            scan_file(data, *file, 0, &mut Sequence::default(), |record, _| {
                if wanted.contains(&record.id) {
                    self.finished.insert(record.id);
                }
            })?;
        }
        Ok(())
    }
}

/// Replays for the follower alone, when its saved state did not fit.
fn feed_follower(
    data: &DataFolder,
    files: &[FileName],
    follower: &mut dyn Follower,
    horizon: Timestamp,
) -> Result<(), LedgerError> {
    let mut sequence = Sequence::default();
    for file in files.iter().filter(|file| file.day >= horizon.day().plus(-1)) {
        scan_file(data, *file, 0, &mut sequence, |record, _| {
            if record.timestamp >= horizon {
                follower.apply(record);
            }
        })?;
    }
    Ok(())
}

/// The ids in the files before one that had to be begun because those failed: the parts before it, and the day before
/// those, whose last lines may have been waiting for the same sync. For those who begin to read there: whoever has read
/// what is before knows its lines by their numbers.
pub(super) fn ids_before(
    data: &DataFolder,
    files: &[FileName],
    file: FileName,
) -> Result<HashSet<RecordId>, LedgerError> {
    let mut ids = HashSet::new();
    if file.part == 1 {
        return Ok(ids);
    }
    let day_before = files.iter().map(|before| before.day).filter(|day| *day < file.day).max();
    for before in files.iter().filter(|before| **before < file && Some(before.day) >= day_before) {
        scan_file(data, *before, 0, &mut Sequence::default(), |record, _| {
            ids.insert(record.id);
        })?;
    }
    Ok(ids)
}
