//! Laws 1 to 3 when something goes wrong at the wrong moment: a disk that refuses, a sync that fails, a clock that was
//! wrong, a process that is killed.

use super::*;

#[test]
fn a_disk_that_refused_is_tried_again_though_nobody_queues_anything() {
    for durability in [Durability::Kill, Durability::Power] {
        let folder = TempDir::new().expect("a temporary folder");
        let (ledger, _) = open_as(folder.path(), durability, at(0));
        let blocked = block_day(folder.path(), DAY);
        assert!(ledger.append(&plain(1, at(DAY)), at(DAY)).is_err());
        assert!(ledger.health().trouble.is_some());
        fs::remove_dir(blocked).expect("removed");
        assert!(wait_until(|| ledger.health().trouble.is_none()), "the ledger resumes by itself");
        ledger.append(&plain(1, at(DAY)), at(DAY)).expect("appended");
    }
}

#[test]
fn lines_of_two_days_written_again_after_a_failed_sync_count_once() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(0));
    ledger.inner.journal.fail_next_sync_for_test();
    ledger.append(&plain(1, at(1)), at(1)).expect("appended");
    ledger.append(&plain(2, at(DAY)), at(DAY)).expect("appended");
    drop(ledger);
    let files = DataFolder::real(folder.path()).journal_files().expect("readable");
    assert_eq!(files.len(), 3, "{files:?}");
    let (ledger, opened) = open_as(folder.path(), Durability::Kill, at(DAY));
    assert_eq!(opened.replayed, 2);
    assert_eq!(ledger.picture().all_time().total(|_| true).prompt, 3);
}

#[test]
fn a_reset_by_a_clock_that_went_back_still_begins_after_the_one_before() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(0));
    let first = ledger.reset(at(100)).expect("reset");
    let second = ledger.reset(at(50)).expect("reset");
    assert!(second > first, "{second} is not after {first}");
    ledger.append(&plain(1, at(70)), at(70)).expect("appended");
    let shown = |ledger: &Ledger| ledger.picture().select(Period::All, at(70).day()).total(|_| true).records;
    let live = shown(&ledger);
    drop(ledger);
    assert_eq!(shown(&open_as(folder.path(), Durability::Kill, at(70)).0), live);
}

#[test]
fn a_clock_that_was_wrong_for_a_while_takes_no_day_away() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(0));
    ledger.append(&plain(1, at(1)), at(1)).expect("appended");
    ledger.close(at(400 * DAY)).expect("closed");
    drop(ledger);
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(2));
    assert_eq!(ledger.picture().select(Period::Today, at(2).day()).total(|_| true).records, 1);
}

#[test]
fn a_given_id_that_is_there_already_is_as_durable_as_the_first() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open_as(folder.path(), Durability::Power, at(0));
    let mut record = plain(1, at(1));
    record.source = Some(Given { name: "script".into(), id: "17".into() });
    ledger.append(&record, at(1)).expect("appended");
    assert!(matches!(ledger.append(&record, at(1)), Err(LedgerError::Duplicate)));
    ledger.durable_blocking(ledger.newest()).expect("durable");
    assert_eq!(ledger.inner.journal.done(), ledger.newest());
}

#[test]
fn a_look_at_the_lock_does_not_keep_a_service_from_starting() {
    let folder = TempDir::new().expect("a temporary folder");
    drop(open_as(folder.path(), Durability::Kill, at(0)));
    let done = std::sync::atomic::AtomicBool::new(false);
    let failed = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = holder_of(folder.path());
                }
            });
        }
        let failed = (0..200).filter(|_| {
            let holder = Holder { pid: 1, started_at: at(0), listen: None, troubled: false };
            lock::FolderLock::take(folder.path(), &holder).is_err()
        });
        let failed = failed.count();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        failed
    });
    assert_eq!(failed, 0);
}

#[test]
fn a_call_whose_record_only_waits_for_the_disk_keeps_its_slot() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(0));
    let record = plain(1, at(1));
    let call = OpenCall::sample(record.id, at(1));
    let slot = ledger.open_call(&call).expect("a free slot");
    let blocked = block_day(folder.path(), DAY);
    let appended = ledger.append_or_queue(&record, at(DAY)).expect("queued");
    ledger.close_call_after(slot, appended);
    let open_calls = || {
        ledger.inner.slots.erase();
        slots::look(&DataFolder::real(folder.path())).expect("readable").len()
    };
    assert_eq!(open_calls(), 1, "nothing else is left of it after a kill");
    fs::remove_dir(blocked).expect("removed");
    ledger.durable_blocking(appended).expect("written at last");
    ledger.free_settled();
    assert_eq!(open_calls(), 0);
}

#[test]
fn who_reads_while_others_write_sees_only_whole_records() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(0));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..3000 {
                let now = at(if round < 1500 { 1 } else { DAY });
                ledger.append(&plain(1, now), now).expect("appended");
                if round % 500 == 250 {
                    ledger.snapshot(now).expect("written");
                }
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let mut seen = 0;
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            let reading = Folder::new(folder.path()).read(&mut (), at(DAY)).expect("readable");
            let records = reading.picture.all_time().total(|_| true).records;
            assert!(records >= seen, "{records} after {seen}");
            assert!(reading.damage.iter().all(|damage| damage.kind == DamageKind::Torn), "{:?}", reading.damage);
            seen = records;
        }
    });
}

#[test]
fn c7_a_journal_that_somebody_removes_moves_empties_or_writes_to_is_noticed_before_the_next_acknowledgement() {
    let meddle: [fn(&Path); 4] = [
        |path| fs::remove_file(path).expect("removed"),
        |path| fs::rename(path, path.with_extension("old")).expect("renamed"),
        |path| drop(fs::File::create(path).expect("emptied")),
        |path| {
            let mut file = fs::OpenOptions::new().append(true).open(path).expect("opened");
            std::io::Write::write_all(&mut file, b"not ours\n").expect("written");
        },
    ];
    for (n, meddle) in meddle.into_iter().enumerate() {
        let folder = TempDir::new().expect("a temporary folder");
        let (ledger, _) = open_as(folder.path(), Durability::Power, at(0));
        let appended = ledger.append(&plain(1, at(1)), at(1)).expect("appended");
        ledger.durable_blocking(appended).expect("durable");
        let names = || DataFolder::real(folder.path()).journal_files().expect("readable");
        meddle(&folder.path().join(names()[0].to_string()));
        let appended = ledger.append_or_queue(&plain(2, at(2)), at(2)).expect("accepted");
        ledger.durable_blocking(appended).expect("durable");
        assert_eq!(names().last().map(|name| name.part), Some(2), "{n}: a new file");
        drop(ledger);
        let (ledger, _) = open_as(folder.path(), Durability::Power, at(3));
        let kept = ledger.picture().all_time().total(|_| true).prompt;
        assert_eq!(kept, 3, "{n}: what was acknowledged after it is there, and the lines synced last before it");
    }
}

#[test]
fn what_another_program_recorded_is_refused_and_left_as_it_is() {
    for name in ["tokens_2025-02-05.jsonl", "token_stats.json", "metrics.json"] {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join(name);
        fs::write(&path, "{\"not\":\"ours\"}").expect("writable");
        let options = Options { durability: Durability::Kill, known: KnownNames::none(), follower: Box::new(()) };
        let refused = Ledger::open(folder.path(), options, Uuid::nil(), at(0)).map(|_| ()).expect_err("not ours");
        assert!(refused.to_string().contains("tallybot import"), "{refused}");
        assert!(Folder::new(folder.path()).read(&mut (), at(0)).is_err(), "{name} is not passed over as no books");
        assert_eq!(fs::read(&path).expect("readable"), b"{\"not\":\"ours\"}");
    }
}

#[test]
fn books_whose_acts_are_gone_are_not_begun_anew() {
    for lost in [None, Some(vec![0; 512])] {
        let folder = TempDir::new().expect("a temporary folder");
        let (ledger, _) = open(folder.path());
        ledger.append(&plain(1, at(1)), at(1)).expect("appended");
        ledger.close(at(2)).expect("closed");
        drop(ledger);
        let control = folder.path().join("control.jsonl");
        match lost {
            None => fs::remove_file(&control).expect("removed"),
            Some(zeros) => fs::write(&control, zeros).expect("writable"),
        }
        let options = Options { durability: Durability::Kill, known: KnownNames::none(), follower: Box::new(()) };
        let refused = Ledger::open(folder.path(), options, Uuid::from_u128(9), at(3)).map(|_| ()).expect_err("lost");
        assert!(refused.to_string().contains("restore `control.jsonl`"), "{refused}");
    }
}
