//! Rows B of the table of faults: the snapshot.

use super::*;

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

#[test]
fn a_line_that_lacked_its_newline_is_where_the_snapshot_says() {
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
