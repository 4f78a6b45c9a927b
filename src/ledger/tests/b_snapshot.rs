//! Rows B of the table of faults: the snapshot.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn b2_snapshot_and_tail_are_the_same_as_replay_from_zero(
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

#[test]
fn b2_a_line_that_lacked_its_newline_is_where_the_snapshot_says() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(0));
    ledger.append(&plain(1, at(1)), at(1)).expect("appended");
    drop(ledger);
    let path = folder.path().join(DataFolder::real(folder.path()).journal_files().expect("readable")[0].to_string());
    let whole = fs::read(&path).expect("readable");
    fs::write(&path, &whole[..whole.len() - 1]).expect("writable");
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(1));
    ledger.close(at(2)).expect("closed");
    drop(ledger);
    assert!(open_as(folder.path(), Durability::Kill, at(3)).1.from_snapshot);
}

#[test]
fn two_snapshots_at_once_do_not_disturb_each_other() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(0));
    for round in 0..20u8 {
        ledger.append(&plain(round, at(1)), at(1)).expect("appended");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| ledger.snapshot(at(2)).expect("written"));
            }
        });
        assert_eq!(ledger.since_snapshot(), 0);
    }
    drop(ledger);
    assert!(open_as(folder.path(), Durability::Kill, at(3)).1.from_snapshot);
}

/// A folder with two snapshots, 2 and 4 records in, and 5 records.
fn with_snapshots() -> TempDir {
    let folder = quick_folder();
    let (ledger, _) = open(folder.path());
    for n in 1..=5 {
        ledger.append(&plain(n, at(i64::from(n))), at(0)).expect("appended");
        if n % 2 == 0 {
            ledger.snapshot(at(1)).expect("written");
        }
    }
    drop(ledger);
    folder
}

/// Whether a snapshot was used, and how many records were replayed behind it; the totals are always the same.
fn started(folder: &Path) -> (bool, u64) {
    let (ledger, opened) = open(folder);
    assert_eq!(ledger.picture().all_time().total(|_| true).prompt, 15);
    (opened.from_snapshot, opened.replayed)
}

#[test]
fn b1_a_snapshot_that_is_missing_empty_cut_or_flipped_costs_time_and_no_number() {
    let folder = with_snapshots();
    assert_eq!(started(folder.path()), (true, 1));
    let newest = folder.path().join("metrics.json");
    let whole = fs::read(&newest).expect("readable");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [Vec::new(), whole[..whole.len() / 2].to_vec(), flipped] {
        fs::write(&newest, damaged).expect("writable");
        assert_eq!(started(folder.path()), (true, 3), "the previous one");
    }
    fs::remove_file(&newest).expect("removed");
    assert_eq!(started(folder.path()), (true, 3));
    fs::remove_file(folder.path().join("metrics.previous.json")).expect("removed");
    assert_eq!(started(folder.path()), (false, 5));
}

#[test]
fn b2_a_snapshot_older_than_the_journal_is_followed_by_the_tail() {
    let folder = with_snapshots();
    fs::rename(folder.path().join("metrics.previous.json"), folder.path().join("metrics.json")).expect("renamed");
    assert_eq!(started(folder.path()), (true, 3));
}

#[test]
fn b3_a_snapshot_newer_than_a_journal_that_was_cut_is_not_believed() {
    let folder = with_snapshots();
    let path = only_journal(folder.path());
    let content = fs::read_to_string(&path).expect("readable");
    let kept: String = content.lines().take(1).map(|line| format!("{line}\n")).collect();
    fs::write(&path, kept).expect("writable");
    let (ledger, opened) = open(folder.path());
    assert_eq!((opened.from_snapshot, opened.replayed), (false, 1));
    let missing = opened.missing.expect("told");
    assert_eq!((missing.file, missing.lines), (path.file_name().expect("a name").to_string_lossy().into_owned(), 3));
    assert_eq!(ledger.picture().all_time().total(|_| true).prompt, 1, "neither twice nor what is no longer there");
}

#[test]
fn b3_a_journal_that_is_gone_is_told_and_one_that_is_whole_is_not() {
    let folder = with_snapshots();
    assert_eq!(open(folder.path()).1.missing, None);
    fs::remove_file(only_journal(folder.path())).expect("removed");
    assert_eq!(open(folder.path()).1.missing.expect("told").lines, 4, "the fifth came after the snapshot");
}

#[test]
fn b4_the_snapshot_of_another_ledger_is_refused() {
    let (folder, other) = (with_snapshots(), quick_folder());
    let (ledger, _) = Ledger::open(other.path(), options(Durability::Kill), Uuid::from_u128(2), at(0)).expect("opens");
    append_all(&ledger, &[plain(1, at(1))]);
    ledger.close(at(1)).expect("closed");
    fs::copy(folder.path().join("metrics.json"), other.path().join("metrics.json")).expect("copied");
    drop(ledger);
    let (ledger, opened) = open(other.path());
    assert_eq!((opened.from_snapshot, opened.replayed), (false, 1));
    assert_eq!(ledger.picture().all_time().total(|_| true).prompt, 1);
}

#[test]
fn b6_a_snapshot_that_cannot_be_written_is_said_and_the_ledger_goes_on() {
    let folder = quick_folder();
    let (ledger, _) = open(folder.path());
    append_all(&ledger, &[plain(1, at(1))]);
    let in_the_way = folder.path().join("metrics.json.tmp");
    fs::create_dir(&in_the_way).expect("made");
    let error = ledger.snapshot(at(1)).expect_err("it cannot be written").to_string();
    assert!(error.contains("metrics.json"), "{error}");
    append_all(&ledger, &[plain(2, at(2))]);
    assert_eq!((ledger.since_snapshot(), ledger.health().trouble), (2, None));
    fs::remove_dir(&in_the_way).expect("removed");
    ledger.snapshot(at(3)).expect("written");
    drop(ledger);
    assert_eq!(open(folder.path()).1.replayed, 0);
}

#[test]
fn b7_the_snapshot_of_a_newer_version_is_kept_and_not_believed() {
    let folder = with_snapshots();
    let newest = folder.path().join("metrics.json");
    let mut newer = b"{\"v\":2,\"something\":\"new\"}".to_vec();
    crate::usage::seal_line(&mut newer, 0, 5);
    fs::write(&newest, &newer).expect("writable");
    let (ledger, opened) = open(folder.path());
    assert_eq!((opened.from_snapshot, opened.replayed), (true, 3), "the previous one, which is ours");
    ledger.close(at(2)).expect("closed");
    drop(ledger);
    assert_eq!(fs::read(folder.path().join("metrics.newer.json")).expect("kept"), newer);
    assert_eq!(started(folder.path()), (true, 0));
}
