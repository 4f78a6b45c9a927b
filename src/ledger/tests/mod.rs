//! Laws 1 to 3 for the ledger: what was acknowledged is there once, whatever is cut, killed or restarted, and the
//! statistics are the fold of the files. Files are named after the rows of the table of faults.

mod a_crash;
mod acts;
mod b_snapshot;
mod d_time;
mod faults;
mod kill_points;
mod laws;
mod sealed_folds;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::stats::{Period, Saved, Stats};
use crate::usage::arbitrary::{BASE_MICROS, record};
use crate::usage::{Given, RecordId, UsageRecord};

pub(super) const DAY: i64 = 86_400;

pub(super) fn at(secs: i64) -> Timestamp {
    Timestamp::new(BASE_MICROS + secs * 1_000_000, 0)
}

pub(super) fn options(durability: Durability) -> Options {
    Options { durability, known: KnownNames::none(), follower: Box::new(()) }
}

fn open(folder: &Path) -> (Ledger, Opened) {
    open_as(folder, Durability::Kill, at(0))
}

pub(super) fn open_as(folder: &Path, durability: Durability, now: Timestamp) -> (Ledger, Opened) {
    for _ in 0..100 {
        match Ledger::open(folder, options(durability), Uuid::from_u128(1), now) {
            // Another test that starts a process holds every lock of this one until that process is another program.
            Err(LedgerError::InUse { .. }) => std::thread::sleep(Duration::from_millis(20)),
            opened => return opened.expect("the folder opens"),
        }
    }
    panic!("`{}` is in use", folder.display());
}

pub(super) fn plain(n: u8, at: Timestamp) -> UsageRecord<'static> {
    let mut record = UsageRecord::new(RecordId::new(at, [n; 10]), at, "ollama".into(), "llama3.2".into());
    record.tokens.prompt = u64::from(n);
    record
}

fn append_all(ledger: &Ledger, records: &[UsageRecord<'static>]) {
    for record in records {
        ledger.append(record, at(0)).expect("appended");
    }
}

fn shown(ledger: &Ledger) -> Saved {
    rolled(&ledger.picture().saved())
}

/// As it is after the day's roll, which a live ledger and a replayed one pass at different times.
fn rolled(saved: &Saved) -> Saved {
    let mut stats = saved.restored();
    stats.roll(at(0));
    stats.picture().saved().canonical()
}

fn fold<'a>(records: impl IntoIterator<Item = &'a UsageRecord<'static>>) -> Saved {
    let mut stats = Stats::default();
    records.into_iter().for_each(|record| stats.apply(record));
    rolled(&stats.picture().saved())
}

/// A folder in memory where the system has one: laws that open hundreds of ledgers are about bytes, not about disks.
pub(super) fn quick_folder() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a temporary folder")
}

fn only_journal(folder: &Path) -> PathBuf {
    let files = DataFolder::real(folder).journal_files().expect("readable");
    assert_eq!(files.len(), 1);
    folder.join(files[0].to_string())
}

/// Makes the disk refuse a day's file, for as long as the returned folder is there.
fn block_day(folder: &Path, secs: i64) -> PathBuf {
    let path = folder.join(format!("tokens_{}.jsonl", at(secs).day()));
    fs::create_dir(&path).expect("a folder in the place of the file");
    path
}

fn wait_until(condition: impl Fn() -> bool) -> bool {
    (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        condition()
    })
}
