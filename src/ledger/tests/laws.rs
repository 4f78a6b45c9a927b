//! Laws 1 to 3 where nothing goes wrong: what is appended is there once, and the statistics are the fold of the files.

use super::*;

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
