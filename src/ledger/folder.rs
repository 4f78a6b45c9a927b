//! A folder as a reading command sees it: no lock is taken, nothing is mended, nothing is written.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::files::{self, DataFolder};
use super::live::LiveView;
use super::replay::{Damage, Sequence, scan_file};
use super::tail::Tail;
use super::{Acts, Follower, Holder, LedgerError, Missing, Users, control, holder_of, recovery, sealed};
use crate::stats::{Names, Picture, UserTable, counted_model};
use crate::usage::{Day, Timestamp, UsageRecord};

/// A data folder, for reading.
pub struct Folder {
    data: DataFolder,
}

/// What a folder holds at one moment.
pub struct Reading {
    /// The statistics.
    pub picture: Arc<Picture>,
    /// The owner's acts; `None` where nothing was ever recorded.
    pub acts: Option<Acts>,
    /// Who is writing to it now.
    pub holder: Option<Holder>,
    /// Bytes that are not a line. The end of a file that is being written now may be among them.
    pub damage: Vec<Damage>,
    /// Records read behind the snapshot.
    pub replayed: u64,
    /// Lines that were counted once and are in no file any more.
    pub missing: Option<Missing>,
}

impl Folder {
    /// The folder at a path; it need not exist.
    pub fn new(path: &Path) -> Folder {
        Folder { data: DataFolder::real(path) }
    }

    /// Takes from others the rights they have to it, if it is there.
    ///
    /// # Errors
    /// Why they can still look into it.
    pub fn close_to_others(&self) -> Result<(), String> {
        files::close_to_others(self.data.path())
    }

    /// Whether there are books in it.
    pub fn has_books(&self) -> bool {
        control::is_there(&self.data)
    }

    /// The owner's acts; `None` where nothing was ever recorded.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or was written by a newer version.
    pub fn acts(&self) -> Result<Option<Acts>, LedgerError> {
        control::read_acts(&self.data)
    }

    /// The end of its journal as it is now.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn tail(&self) -> Result<Tail, LedgerError> {
        Tail::at_end(self.data.clone())
    }

    /// Reads it; the follower is brought to the same line.
    ///
    /// # Errors
    /// When a file cannot be read or was written by a newer version.
    pub fn read(&self, follower: &mut dyn Follower, now: Timestamp) -> Result<Reading, LedgerError> {
        let holder = holder_of(self.data.path());
        let Some(acts) = control::read_acts(&self.data)? else {
            let (picture, damage) = (Arc::default(), Vec::new());
            return Ok(Reading { picture, acts: None, holder, damage, replayed: 0, missing: None });
        };
        let loaded = recovery::load(&self.data, &acts, follower, &[], now)?;
        Ok(Reading {
            picture: loaded.stats.picture(),
            acts: Some(acts),
            holder,
            damage: loaded.damage,
            replayed: loaded.replayed,
            missing: loaded.missing,
        })
    }

    /// Who used what: sealed days from their folds, the others read through; `picture` says which resets hold.
    ///
    /// # Errors
    /// When a file cannot be read or was written by a newer version.
    pub fn users(&self, picture: &Picture) -> Result<Users, LedgerError> {
        let mut folds = Vec::new();
        let (mut table, mut names, mut sequence) = (UserTable::default(), Names::default(), Sequence::default());
        let acts = control::read_acts(&self.data)?;
        let files = if acts.is_some() { self.data.journal_files()? } else { Vec::new() };
        for file in &files {
            let fold = acts.as_ref().and_then(|acts| sealed::load_for(&self.data, acts, *file).ok());
            // The newest file may still be written to, whatever a fold says.
            if let Some(fold) = fold.filter(|_| Some(file) != files.last()) {
                folds.push(Arc::new(fold));
                continue;
            }
            let written_before = recovery::ids_before(&self.data, &files, *file)?;
            scan_file(&self.data, *file, 0, &mut sequence, |record, _| {
                if written_before.contains(&record.id) {
                    return;
                }
                names.intern(counted_model(record));
                table.apply(record, picture.epoch_of(record.timestamp), &names);
            })?;
        }
        let (live, names) = (vec![table.rows()], Arc::new(names));
        let view = LiveView { live, names, folds: Arc::new(folds), complete: true };
        Ok(Users::new(view, Arc::new(picture.clone())))
    }

    /// Reads every record once, in the order of the files and their lines. Lines that a failed sync made the ledger
    /// write again come once; a record and the one that takes it back come both.
    ///
    /// Memory stays the same however many there are. Nothing is locked: records that are appended meanwhile may come.
    ///
    /// # Errors
    /// When a file cannot be read or was written by a newer version.
    pub fn for_each_record(&self, mut on_record: impl FnMut(&UsageRecord<'_>)) -> Result<(), LedgerError> {
        self.walk(None, |record| {
            on_record(record);
            ControlFlow::Continue(())
        })
        .map(|_| ())
    }

    /// [`Folder::for_each_record`] without the files that end before a billing day, until `on_record` breaks. Records of
    /// earlier days that stand in the other files come all the same. Gives the bytes that are no line.
    ///
    /// # Errors
    /// As [`Folder::for_each_record`].
    pub fn walk(
        &self,
        since: Option<Day>,
        mut on_record: impl FnMut(&UsageRecord<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Damage>, LedgerError> {
        if !self.data.path().exists() {
            return Ok(Vec::new());
        }
        let files = self.data.journal_files()?;
        // A file holds what arrived on its day, and a day earlier or later where the zone was changed.
        let first = since.map(|day| day.plus(-1));
        let (mut sequence, mut damage, mut flow) = (Sequence::starting_after(0), Vec::new(), ControlFlow::Continue(()));
        for file in files.iter().filter(|file| first.is_none_or(|first| file.day >= first)) {
            let scan = scan_file(&self.data, *file, 0, &mut sequence, |record, _| {
                if flow.is_continue() {
                    flow = on_record(record);
                }
            })?;
            damage.extend(scan.damage);
            if flow.is_break() {
                break;
            }
        }
        Ok(damage)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::ledger::Durability;
    use crate::ledger::tests::{DAY, at, open_as, plain};

    #[test]
    fn walking_gives_every_record_once_and_in_order() {
        let folder = TempDir::new().expect("a temporary folder");
        let (ledger, _) = open_as(folder.path(), Durability::Kill, at(0));
        let append = |n: u8, admitted: i64, now: i64| {
            ledger.append(&plain(n, at(admitted)), at(now)).expect("appended");
        };
        append(1, 1, 1);
        ledger.inner.journal.fail_next_sync_for_test();
        append(2, 2, 2);
        while ledger.sync().is_err() {
            std::thread::yield_now();
        }
        append(3, DAY, DAY);
        append(4, 3, 3 * DAY);
        ledger.close(at(3 * DAY)).expect("closed");
        drop(ledger);
        assert_eq!(
            DataFolder::real(folder.path()).journal_files().expect("readable").len(),
            4,
            "some were written again"
        );
        let walk = |since: Option<i64>| {
            let mut seen = Vec::new();
            let damage = Folder::new(folder.path()).walk(since.map(|secs| at(secs).day()), |record| {
                seen.push(record.tokens.prompt);
                ControlFlow::Continue(())
            });
            assert_eq!(damage.expect("readable"), []);
            seen
        };
        assert_eq!(walk(None), [1, 2, 3, 4]);
        assert_eq!(walk(Some(3 * DAY)), [4], "a late record is in a later file");
        assert_eq!(walk(Some(30 * DAY)), [0; 0], "files that end before are not read");
        let mut seen = 0;
        Folder::new(folder.path()).for_each_record(|_| seen += 1).expect("readable");
        Folder::new(&folder.path().join("nowhere")).for_each_record(|_| seen += 1).expect("nothing to read");
        assert_eq!(seen, 4);
    }
}
