//! Laws 1 to 3 for the ledger: what was acknowledged is there once, whatever is cut, killed or restarted, and the
//! statistics are the fold of the files.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::stats::{Period, Saved, Stats};
use crate::usage::arbitrary::{BASE_MICROS, record};
use crate::usage::{Given, RecordId, UsageRecord};

fn at(secs: i64) -> Timestamp {
    Timestamp::new(BASE_MICROS + secs * 1_000_000, 0)
}

fn options(durability: Durability) -> Options {
    Options { durability, known: KnownNames::none(), follower: Box::new(()) }
}

fn open(folder: &Path) -> (Ledger, Opened) {
    Ledger::open(folder, options(Durability::Kill), Uuid::from_u128(1), at(0)).expect("the folder opens")
}

fn plain(n: u8, at: Timestamp) -> UsageRecord<'static> {
    let mut record = UsageRecord::new(RecordId::new(at, [n; 10]), at, "ollama".into(), "llama3.2".into());
    record.tokens.prompt = u64::from(n);
    record
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

fn append_all(ledger: &Ledger, records: &[UsageRecord<'static>]) {
    for record in records {
        ledger.append(record, at(0)).expect("appended");
    }
}

/// A folder in memory where the system has one: laws that open hundreds of ledgers are about bytes, not about disks.
fn quick_folder() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a temporary folder")
}

fn only_journal(folder: &Path) -> std::path::PathBuf {
    let files = DataFolder::real(folder).journal_files().expect("readable");
    assert_eq!(files.len(), 1);
    folder.join(files[0].to_string())
}

#[test]
fn a_journal_cut_at_every_byte_keeps_every_whole_line_and_goes_on() {
    let source = quick_folder();
    let records: Vec<_> = (1..=4).map(|n| plain(n, at(i64::from(n)))).collect();
    let (ledger, _) = open(source.path());
    append_all(&ledger, &records);
    drop(ledger);
    let whole = fs::read(only_journal(source.path())).expect("readable");
    let control = fs::read(source.path().join("control.jsonl")).expect("readable");
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    for cut in 0..=whole.len() {
        let folder = quick_folder();
        fs::write(folder.path().join("control.jsonl"), &control).expect("writable");
        fs::write(folder.path().join("tokens_2026-11-22.jsonl"), &whole[..cut]).expect("writable");
        // A line that lacks only its newline is whole.
        let kept = ends.iter().filter(|end| cut >= **end).count();
        let (ledger, opened) = open(folder.path());
        assert_eq!(opened.replayed, kept as u64, "cut at {cut}");
        let torn = cut > 0 && !ends.contains(&cut) && whole[cut - 1] != b'\n';
        assert_eq!(opened.damage.len(), usize::from(torn), "cut at {cut}");
        assert!(opened.damage.iter().all(|damage| damage.kind == DamageKind::Torn));
        assert_eq!(shown(&ledger), fold(&records[..kept]));
        ledger.append(&plain(9, at(9)), at(0)).expect("appending goes on");
        drop(ledger);
        let (ledger, opened) = open(folder.path());
        assert!(opened.damage.is_empty(), "mended for good at {cut}: {:?}", opened.damage);
        assert_eq!(shown(&ledger), fold(records[..kept].iter().chain([&plain(9, at(9))])));
        let quarantine = folder.path().join("tokens_2026-11-22.jsonl.quarantine");
        assert_eq!(quarantine.exists(), torn, "cut at {cut}");
    }
}

#[test]
fn damage_in_the_middle_takes_one_record_and_is_named() {
    let folder = TempDir::new().expect("a temporary folder");
    let records: Vec<_> = (1..=3).map(|n| plain(n, at(i64::from(n)))).collect();
    let (ledger, _) = open(folder.path());
    append_all(&ledger, &records);
    drop(ledger);
    let path = only_journal(folder.path());
    let mut content = fs::read(&path).expect("readable");
    let second = content.iter().position(|byte| *byte == b'\n').expect("three lines") + 40;
    content[second] ^= 4;
    fs::write(&path, &content).expect("writable");
    for _ in 0..2 {
        let (ledger, opened) = open(folder.path());
        assert_eq!((opened.replayed, opened.damage.len()), (2, 1));
        assert_eq!(opened.damage[0].kind, DamageKind::Corrupt);
        assert_eq!(shown(&ledger), fold([&records[0], &records[2]]));
    }
    let kept = fs::read_to_string(path.with_extension("jsonl.quarantine")).expect("quarantined");
    assert_eq!(kept.lines().count(), 1, "once, however often it is seen");
}

#[test]
fn a_line_there_twice_counts_once() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open(folder.path());
    ledger.append(&plain(1, at(1)), at(0)).expect("appended");
    drop(ledger);
    let path = only_journal(folder.path());
    let line = fs::read(&path).expect("readable");
    fs::write(&path, [&line[..], &line[..]].concat()).expect("writable");
    assert_eq!(open(folder.path()).1.replayed, 1);
}

#[test]
fn lines_written_again_after_a_failed_sync_count_once() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open(folder.path());
    let records: Vec<_> = (1..=3).map(|n| plain(n, at(i64::from(n)))).collect();
    ledger.append(&records[0], at(0)).expect("appended");
    ledger.append(&records[1], at(0)).expect("appended");
    ledger.inner.journal.fail_next_sync_for_test();
    ledger.append(&records[2], at(0)).expect("appended");
    assert_eq!(shown(&ledger), fold(&records));
    drop(ledger);
    let files = DataFolder::real(folder.path()).journal_files().expect("readable");
    assert_eq!(files.len(), 2, "a new part: {files:?}");
    let (ledger, opened) = open(folder.path());
    assert_eq!(opened.replayed, 3);
    assert_eq!(shown(&ledger), fold(&records));
}

#[test]
fn a_given_id_is_taken_once_also_after_a_restart() {
    let folder = TempDir::new().expect("a temporary folder");
    let mut record = plain(1, at(1));
    record.source = Some(Given { name: "script".into(), id: "17".into() });
    let (ledger, _) = open(folder.path());
    ledger.append(&record, at(0)).expect("the first");
    assert!(matches!(ledger.append(&record, at(0)), Err(LedgerError::Duplicate)));
    drop(ledger);
    let (ledger, _) = open(folder.path());
    assert!(matches!(ledger.append(&record, at(0)), Err(LedgerError::Duplicate)));
    record.source = Some(Given { name: "another".into(), id: "17".into() });
    ledger.append(&record, at(0)).expect("another source numbers for itself");
    assert!(ledger.append(&record, at(40 * 86_400)).is_ok(), "after 35 days an id may come again");
}

#[test]
fn a_reset_is_an_act_that_survives_and_late_records_belong_before_it() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open(folder.path());
    ledger.append(&plain(1, at(1)), at(1)).expect("appended");
    ledger.snapshot(at(1)).expect("written");
    let begin = ledger.reset(at(5)).expect("reset");
    ledger.append(&plain(2, at(4)), at(6)).expect("a late one");
    ledger.append(&plain(3, at(6)), at(6)).expect("a new one");
    let check = |ledger: &Ledger| {
        let picture = ledger.picture();
        assert_eq!(picture.select(Period::All, at(6).day()).total(|_| true).prompt, 3);
        assert_eq!(picture.all_time().total(|_| true).prompt, 6);
        assert_eq!(ledger.acts().counting_since(), begin);
    };
    check(&ledger);
    drop(ledger);
    check(&open(folder.path()).0);
}

#[test]
fn a_file_is_never_written_again_once_a_later_day_began() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open(folder.path());
    ledger.append(&plain(1, at(1)), at(0)).expect("appended");
    ledger.append(&plain(2, at(86_401)), at(86_401)).expect("the next day");
    ledger.append(&plain(3, at(2)), at(3)).expect("late, with a clock that went back");
    drop(ledger);
    let files = DataFolder::real(folder.path()).journal_files().expect("readable");
    let lines: Vec<_> = files
        .iter()
        .map(|file| fs::read_to_string(folder.path().join(file.to_string())).expect("readable").lines().count())
        .collect();
    assert_eq!(lines, [1, 2]);
    let (ledger, _) = Ledger::open(folder.path(), options(Durability::Kill), Uuid::nil(), at(86_402)).expect("opens");
    let picture = ledger.picture();
    assert_eq!(picture.select(Period::Today, at(0).day()).total(|_| true).records, 2, "billed on its own day");
}

#[test]
fn a_call_that_was_open_is_reported_once_unless_its_record_is_there() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open(folder.path());
    let call = |n: u8| OpenCall::sample(RecordId::new(at(1), [n; 10]), at(1));
    for (n, snapshot) in [(1, false), (2, true)] {
        ledger.open_call(&call(n)).expect("a free slot");
        ledger.append(&plain(n, at(1)), at(1)).expect("its record");
        if snapshot {
            ledger.snapshot(at(2)).expect("written");
        }
    }
    ledger.open_call(&call(3)).expect("a free slot");
    drop(ledger); // as a kill leaves it: no slot was freed
    let (ledger, opened) = open(folder.path());
    assert!(opened.from_snapshot);
    assert_eq!(opened.interrupted.iter().map(|(_, call)| call.id).collect::<Vec<_>>(), [call(3).id]);
    let appended = ledger.append(&plain(3, at(1)), at(2)).expect("its record");
    ledger.close_call_after(opened.interrupted[0].0, appended);
    drop(ledger);
    assert!(open(folder.path()).1.interrupted.is_empty());
}

#[test]
fn one_folder_has_one_writer_and_readers_do_not_disturb_it() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open(folder.path());
    ledger.append(&plain(1, at(1)), at(0)).expect("appended");
    let refused = Ledger::open(folder.path(), options(Durability::Kill), Uuid::nil(), at(0)).map(|_| ());
    let message = refused.expect_err("in use").to_string();
    assert!(message.contains(&std::process::id().to_string()), "{message}");
    let reading = Folder::new(folder.path()).read(&mut (), at(2)).expect("readable");
    assert_eq!(rolled(&reading.picture.saved()), shown(&ledger));
    assert_eq!(reading.holder.map(|holder| holder.pid), Some(std::process::id()));
    drop(ledger);
    assert_eq!(holder_of(folder.path()), None);
}

#[test]
fn everything_in_the_folder_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let parent = TempDir::new().expect("a temporary folder");
    let folder = parent.path().join("data");
    let (ledger, _) = open(&folder);
    let people = People::open(&folder, [1; 32]).expect("made");
    people.subject("terminal", "me");
    people.save().expect("written");
    ledger.append(&plain(1, at(1)), at(0)).expect("appended");
    ledger.close(at(1)).expect("closed");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in fs::read_dir(&folder).expect("readable") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn in_power_mode_a_record_is_waited_for_and_then_there() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) =
        Ledger::open(folder.path(), options(Durability::Power), Uuid::nil(), at(0)).expect("the folder opens");
    std::thread::scope(|scope| {
        for writer in 0..8u8 {
            let ledger = &ledger;
            scope.spawn(move || {
                for n in 0..20u8 {
                    let appended = ledger.append(&plain(writer * 20 + n, at(1)), at(0)).expect("appended");
                    ledger.durable_blocking(appended).expect("durable");
                }
            });
        }
    });
    drop(ledger);
    assert_eq!(open(folder.path()).1.replayed, 160);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn snapshot_and_tail_are_the_same_as_replay_from_zero(
        records in prop::collection::vec(record(), 1..25), cut in 0usize..25, reset in any::<bool>()
    ) {
        let folder = quick_folder();
        let (ledger, _) = open(folder.path());
        for (n, record) in records.iter().enumerate() {
            if n == cut {
                ledger.snapshot(at(0)).expect("written");
                if reset {
                    ledger.reset(at(1)).expect("reset");
                }
            }
            match ledger.append(record, at(0)) {
                Ok(_) | Err(LedgerError::Duplicate) => {}
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
        let live = shown(&ledger);
        drop(ledger);
        prop_assert_eq!(&shown(&open(folder.path()).0), &live);
        let _ = fs::remove_file(folder.path().join("metrics.json"));
        let (ledger, opened) = open(folder.path());
        prop_assert!(!opened.from_snapshot);
        prop_assert_eq!(&shown(&ledger), &live);
    }
}
