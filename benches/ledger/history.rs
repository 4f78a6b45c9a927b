//! A folder with records in it already, brought back to what it was after each sample.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::writers::Sample;
use super::{measure, start};

/// A folder of books with so many records.
pub struct History {
    folder: TempDir,
    records: usize,
    journal: (PathBuf, u64),
    /// Every other file, as it was.
    rest: Vec<(PathBuf, Vec<u8>)>,
}

impl History {
    pub fn write(place: &Path, records: usize) -> History {
        let folder = tempfile::tempdir_in(place).expect("a temporary folder");
        measure::write_books(folder.path(), records, start(), 10);
        drop(super::open(folder.path(), tallybot::ledger::Durability::Kill).close(start()));
        let journal = folder.path().join("tokens_2026-11-22.jsonl");
        let length = fs::metadata(&journal).expect("the journal is there").len();
        let others = files(folder.path()).into_iter().filter(|path| *path != journal);
        let rest = others.map(|path| (path.clone(), fs::read(&path).expect("readable"))).collect();
        History { folder, records, journal: (journal, length), rest }
    }

    /// A sample taken in the folder by a function of it and of how many calls it already holds.
    pub fn continued(&self, sample: impl Fn(&Path, usize) -> Sample) -> Sample {
        let sample = sample(self.folder.path(), self.records);
        let (journal, length) = &self.journal;
        let file = OpenOptions::new().write(true).open(journal).expect("the journal is there");
        file.set_len(*length).expect("cut back");
        for path in files(self.folder.path()).iter().filter(|path| *path != journal) {
            fs::remove_file(path).expect("removed");
        }
        for (path, content) in &self.rest {
            fs::write(path, content).expect("written");
        }
        sample
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("readable").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.is_file()).collect()
}
