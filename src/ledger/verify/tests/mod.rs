//! Laws of verifying and repairing: a clean folder agrees with itself whatever was done to it, each kind of damage is
//! named with its place and weight, and no whole line is ever changed.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::ledger::tests::{DAY, at, options, plain, quick_folder};
use crate::ledger::{Durability, Follower, Ledger, OpenCall};
use crate::usage::arbitrary::record;
use crate::usage::{Given, Kind, Opening, RecordId, UsageRecord, seal_line, unseal_line};

mod compressing;

fn open(folder: &Path, lineage: u128, now: Timestamp) -> Ledger {
    Ledger::open(folder, options(Durability::Kill), Uuid::from_u128(lineage), now).expect("opens").0
}

fn check(folder: &Path) -> Verification {
    let nobody = |_: Timestamp| -> Box<dyn Follower> { Box::new(()) };
    verify(folder, at(40 * DAY), &nobody, &mut |_| {}).expect("readable")
}

fn mend(folder: &Path) -> Repaired {
    repair(folder, options(Durability::Kill), at(40 * DAY)).expect("repaired")
}

/// Three days of three records each, a snapshot behind the fourth and one at the end.
fn written() -> TempDir {
    let folder = quick_folder();
    let ledger = open(folder.path(), 1, at(0));
    for n in 1..=9u8 {
        let now = at(i64::from((n - 1) / 3) * DAY + i64::from(n));
        ledger.append(&plain(n, now), now).expect("appended");
        if n == 4 {
            ledger.snapshot(now).expect("written");
        }
    }
    ledger.sync().expect("synced");
    ledger.inner.journal.seal().expect("sealed");
    ledger.close(at(2 * DAY + 20)).expect("closed");
    folder
}

fn file(folder: &Path, day: i64) -> PathBuf {
    folder.join(format!("tokens_{}.jsonl", at(day * DAY).day()))
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut content = fs::read(path).expect("readable");
    change(&mut content);
    fs::write(path, content).expect("writable");
}

fn lines(path: &Path) -> Vec<Vec<u8>> {
    let content = fs::read(path).expect("readable");
    content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn edit_lines(path: &Path, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut lines = lines(path);
    change(&mut lines);
    fs::write(path, lines.concat()).expect("writable");
}

/// Seals a line again whose text was changed by somebody who knows how.
fn sealed_again(line: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(line.to_vec()).expect("text");
    assert!(text.contains(from), "{from} in {text}");
    let text = text.replacen(from, to, 1);
    let (body, seal) = text.rsplit_once(",\"seq\":").expect("sealed");
    let seq = seal.split(',').next().expect("a number").parse().expect("a number");
    let mut line = format!("{body}}}").into_bytes();
    seal_line(&mut line, 0, seq);
    line
}

/// Every level and check that was found, worst first.
fn found(verification: &Verification) -> Vec<(Level, Check)> {
    let mut found: Vec<_> = verification.findings.iter().map(|finding| (finding.level, finding.check)).collect();
    found.dedup();
    found
}

#[track_caller]
fn expect(folder: &Path, expected: &[(Level, Check)]) -> Verification {
    let verification = check(folder);
    assert_eq!(found(&verification), expected, "{:#?}", verification.findings);
    verification
}

/// Every whole line of every file.
fn whole_lines(folder: &Path) -> Vec<Vec<u8>> {
    let data = DataFolder::real(folder);
    let files = data.journal_files().expect("readable");
    let all = files.iter().flat_map(|file| lines(&folder.join(file.to_string())));
    all.map(|line| line.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(line))
        .filter(|line| unseal_line(line).is_ok())
        .collect()
}

/// Whether it is done at one of many tries, between which others work.
fn in_time(done: impl Fn() -> bool) -> bool {
    (0..1_000_000).any(|_| {
        std::thread::yield_now();
        done()
    })
}

#[test]
fn a_clean_folder_agrees() {
    let folder = written();
    let verification = expect(folder.path(), &[]);
    assert_eq!((verification.records, verification.files, verification.compressed), (9, 3, 0));
    assert!(verification.drift.as_ref().is_some_and(|drift| drift.is_zero()));
    assert!(
        verification
            .checks
            .iter()
            .filter(|checked| checked.check != Check::Limits)
            .all(|checked| { checked.made == !matches!(checked.check, Check::GivenIds | Check::Voids) })
    );
    let size: u64 = (0..3).map(|day| fs::metadata(file(folder.path(), day)).expect("there").len()).sum();
    assert_eq!(verification.bytes, size);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_was_recorded_taken_back_reset_and_restarted_has_no_drift(
        steps in prop::collection::vec((record(), 0u8..12, 0i64..3 * DAY), 1..40),
    ) {
        let folder = quick_folder();
        let mut ledger = open(folder.path(), 1, at(0));
        let (mut now, mut last) = (at(0), None::<UsageRecord<'static>>);
        for (mut record, what, pause) in steps {
            record.kind = Kind::Usage;
            now = now.plus_micros(1_000);
            if what < 3 {
                // Lines are synced within a second, so no more than one night lies between them and a failed sync.
                ledger.sync().expect("synced");
                now = now.plus_micros(pause * 1_000_000);
            }
            match what {
                0 => ledger.snapshot(now).expect("written"),
                1 => drop(ledger.reset(now).expect("reset")),
                2 => drop(ledger.undo_reset(now).expect("undone")),
                3 => {
                    ledger.close(now).expect("closed");
                    drop(ledger);
                    ledger = open(folder.path(), 1, now);
                }
                4 => {
                    drop(ledger);
                    ledger = open(folder.path(), 1, now);
                }
                5 => {
                    ledger.inner.journal.fail_next_sync_for_test();
                    // What fails may be the sync of the second that is just over, before this is appended.
                    prop_assert!(in_time(|| ledger.append(&record, now).is_ok()), "it is never taken again");
                    prop_assert!(in_time(|| ledger.sync().is_ok()), "it is never on disk");
                    last = Some(record);
                }
                6 => {
                    if let Some(taken) = last.take() {
                        let id = RecordId::new(now, [what; 10]);
                        let void = UsageRecord { id, kind: Kind::Void { of: taken.id }, source: None, ..taken };
                        ledger.append(&void, now).expect("appended");
                    }
                }
                7 => {
                    let opening = Opening { ok: 5, prompt: 70, ..Opening::new("elsewhere", record.timestamp, "p", "m") };
                    ledger.add_openings(&[opening], now).expect("added");
                }
                _ => {
                    ledger.append(&record, now).expect("appended");
                    last = Some(record);
                }
            }
        }
        let before = check(folder.path());
        prop_assert!(before.worst() < Some(Level::Warning), "while it is held: {:#?}", before.findings);
        ledger.close(now).expect("closed");
        drop(ledger);
        let after = check(folder.path());
        prop_assert!(after.worst() < Some(Level::Warning), "{:#?}", after.findings);
        prop_assert!(after.drift.as_ref().is_none_or(|drift| drift.is_zero()));
    }
}

#[test]
fn a_flipped_bit_is_named_with_its_place() {
    let folder = written();
    let path = file(folder.path(), 1);
    let first = lines(&path)[0].len();
    edit(&path, |content| content[first + 40] ^= 1);
    let expected = [
        (Level::Error, Check::Lines),
        (Level::Error, Check::Snapshot),
        (Level::Error, Check::TokenStats),
        (Level::Warning, Check::Numbers),
        (Level::Warning, Check::Folds),
    ];
    let verification = expect(folder.path(), &expected);
    let finding = &verification.findings[0];
    assert_eq!(finding.file.as_deref(), Some("tokens_2026-11-23.jsonl"));
    assert_eq!((finding.line, finding.offset), (Some(2), Some(first as u64)));
    assert_eq!(verification.drift.as_ref().map(|drift| (drift.records, drift.prompt_tokens)), Some((1, 5)));
    mend(folder.path());
    let verification = expect(folder.path(), &[(Level::Warning, Check::Lines), (Level::Warning, Check::Numbers)]);
    assert!(verification.drift.as_ref().is_some_and(|drift| drift.is_zero()));
    assert!(!verification.wants_repair(), "what is in quarantine is done with");
}

#[test]
fn a_line_that_was_taken_out_put_in_twice_or_moved_is_named() {
    let folder = written();
    edit_lines(&file(folder.path(), 2), |lines| drop(lines.remove(1)));
    let expected =
        [(Level::Error, Check::Numbers), (Level::Error, Check::Snapshot), (Level::Warning, Check::TokenStats)];
    let verification = expect(folder.path(), &expected);
    assert!(verification.findings[0].what.contains("number 8 missing"), "{:?}", verification.findings[0]);

    let folder = written();
    edit_lines(&file(folder.path(), 2), |lines| lines.insert(1, lines[0].clone()));
    let verification = check(folder.path());
    assert!(
        verification.findings.iter().any(|finding| {
            (finding.level, finding.check, finding.line) == (Level::Warning, Check::Numbers, Some(2))
        })
    );
    assert_eq!(verification.records, 9, "it counts once");

    let folder = written();
    let (first, second) = (file(folder.path(), 0), file(folder.path(), 1));
    let aside = folder.path().join("aside");
    fs::rename(&first, &aside)
        .and_then(|()| fs::rename(&second, &first))
        .and_then(|()| fs::rename(&aside, &second))
        .expect("renamed");
    let verification = check(folder.path());
    assert!(found(&verification).contains(&(Level::Error, Check::Numbers)), "{:#?}", verification.findings);
    assert_eq!(verification.records, 9, "every record counts all the same");
}

#[test]
fn a_file_that_is_gone_leaves_a_gap_and_one_of_another_ledger_does_not_count() {
    let folder = written();
    fs::remove_file(file(folder.path(), 0)).expect("removed");
    let verification = check(folder.path());
    assert!(verification.findings[0].what.contains("numbers 1 to 3 missing"), "{:#?}", verification.findings);

    let (folder, other) = (written(), quick_folder());
    let ledger = open(other.path(), 2, at(0));
    for n in 20..24 {
        ledger.append(&plain(n, at(DAY)), at(DAY)).expect("appended");
    }
    ledger.close(at(DAY)).expect("closed");
    let mixed = folder.path().join("tokens_2026-11-23.2.jsonl");
    fs::copy(file(other.path(), 1), mixed).expect("copied");
    let verification = check(folder.path());
    let wrong = verification.findings.iter().filter(|finding| finding.what.contains("another line has its number"));
    assert_eq!(wrong.count(), 4, "{:#?}", verification.findings);
}

#[test]
fn ids_that_come_twice_are_counted_twice_and_named() {
    let folder = quick_folder();
    let ledger = open(folder.path(), 1, at(0));
    let given = |n: u8, secs: i64| {
        let mut record = plain(n, at(secs));
        record.source = Some(Given { name: "s".into(), id: "i".into() });
        record
    };
    ledger.append(&plain(1, at(1)), at(1)).expect("appended");
    ledger.append(&plain(1, at(1)), at(2)).expect("the ledger trusts its own ids");
    ledger.append(&given(3, 3), at(3)).expect("appended");
    ledger.append(&given(4, 36 * DAY), at(36 * DAY)).expect("long enough after");
    ledger.close(at(36 * DAY)).expect("closed");
    drop(ledger);
    let verification = expect(folder.path(), &[(Level::Error, Check::Ids)]);
    assert_eq!(verification.findings[0].line, Some(2));
    // Somebody who can seal lines gives the first id to a record that came five days after.
    edit_lines(&file(folder.path(), 36), |lines| lines[0] = sealed_again(&lines[0], "\"id\":\"i\"", "\"id\":\"j\""));
    let ledger = open(folder.path(), 1, at(37 * DAY));
    ledger.append(&given(5, 37 * DAY), at(37 * DAY)).expect("appended");
    ledger.close(at(37 * DAY)).expect("closed");
    drop(ledger);
    edit_lines(&file(folder.path(), 36), |lines| lines[0] = sealed_again(&lines[0], "\"id\":\"j\"", "\"id\":\"i\""));
    assert!(found(&check(folder.path())).contains(&(Level::Error, Check::GivenIds)));
}

#[test]
fn a_void_names_a_record_that_is_there_once() {
    let folder = quick_folder();
    let ledger = open(folder.path(), 1, at(0));
    let void =
        |n: u8, of: u8| UsageRecord { kind: Kind::Void { of: plain(of, at(1)).id }, ..plain(n, at(i64::from(n))) };
    ledger.append(&plain(1, at(1)), at(1)).expect("appended");
    ledger.append(&void(2, 1), at(2)).expect("appended");
    ledger.sync().expect("synced");
    assert!(check(folder.path()).worst() < Some(Level::Warning));
    ledger.append(&void(3, 1), at(3)).expect("appended");
    ledger.append(&void(4, 77), at(4)).expect("appended");
    ledger.close(at(5)).expect("closed");
    let verification = expect(folder.path(), &[(Level::Error, Check::Voids)]);
    let told: Vec<&str> = verification.findings.iter().map(|finding| finding.what.as_str()).collect();
    assert!(told[0].contains("subtracted twice") && told[1].contains("which is not there"), "{told:?}");
}

#[test]
fn b1_a_damaged_snapshot_loses_nothing() {
    for damage in [&b""[..], b"{", b"not a snapshot"] {
        let folder = written();
        fs::write(folder.path().join("metrics.json"), damage).expect("writable");
        let verification = expect(folder.path(), &[(Level::Warning, Check::Snapshot)]);
        assert!(verification.wants_repair());
        mend(folder.path());
        expect(folder.path(), &[]);
    }
    let folder = written();
    fs::remove_file(folder.path().join("metrics.json")).expect("removed");
    expect(folder.path(), &[]);
}

#[test]
fn numbers_changed_in_a_snapshot_are_drift_and_named() {
    for (name, check) in [("metrics.json", Check::Snapshot), ("metrics.previous.json", Check::PreviousSnapshot)] {
        let folder = written();
        edit_lines(&folder.path().join(name), |lines| {
            lines[0] = sealed_again(&lines[0], "\"records\":3", "\"records\":4");
        });
        let verification = expect(folder.path(), &[(Level::Error, check)]);
        assert!(verification.findings[0].what.contains("records 4, the records give 3"), "{verification:#?}");
        let drift = verification.drift.as_ref().expect("the newest is compared");
        assert_eq!(drift.records, i64::from(check == Check::Snapshot));
        mend(folder.path());
        expect(folder.path(), &[]);
    }
}

#[test]
fn a_fold_that_does_not_fit_is_named_and_made_again() {
    let folder = written();
    let fold = first_fold(folder.path());
    let whole = fs::read(&fold).expect("sealed");
    for place in [0, whole.len() / 2, whole.len() - 1] {
        edit(&fold, |content| content[place] ^= 1);
        let verification = expect(folder.path(), &[(Level::Warning, Check::Folds)]);
        assert!(verification.wants_repair());
        mend(folder.path());
        expect(folder.path(), &[]);
    }
    fs::remove_dir_all(folder.path().join("derived")).expect("deletable");
    expect(folder.path(), &[]);
}

fn first_fold(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder.join("derived")).expect("sealed");
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    names.sort();
    names.remove(0)
}

#[test]
fn b3_a_journal_that_was_cut_behind_its_snapshot_is_named() {
    let folder = written();
    edit_lines(&file(folder.path(), 2), |lines| drop(lines.pop()));
    let verification = expect(folder.path(), &[(Level::Error, Check::Snapshot), (Level::Warning, Check::TokenStats)]);
    assert!(verification.findings[0].what.contains("the journal was cut"), "{verification:#?}");
    assert!(verification.drift.is_none());
    assert_eq!(mend(folder.path()).put_aside, ["metrics.json.before-repair", "metrics.previous.json.before-repair"]);
    assert_eq!(expect(folder.path(), &[]).records, 8);
}

#[test]
fn b4_a_snapshot_of_another_ledger_is_named() {
    let (folder, other) = (written(), quick_folder());
    let ledger = open(other.path(), 2, at(0));
    ledger.append(&plain(1, at(0)), at(0)).expect("appended");
    ledger.close(at(0)).expect("closed");
    fs::copy(other.path().join("metrics.json"), folder.path().join("metrics.json")).expect("copied");
    let verification = expect(folder.path(), &[(Level::Error, Check::Snapshot)]);
    assert!(verification.findings[0].what.contains("another ledger"));
    mend(folder.path());
    expect(folder.path(), &[]);
}

#[test]
fn b7_a_newer_version_is_left_alone() {
    let folder = written();
    edit_lines(&folder.path().join("metrics.json"), |lines| lines[0] = sealed_again(&lines[0], "\"v\":1", "\"v\":2"));
    let verification = expect(folder.path(), &[(Level::Warning, Check::Snapshot)]);
    assert!(verification.findings[0].what.contains("newer"));
    let before = fs::read(folder.path().join("metrics.json")).expect("readable");
    assert!(repair(folder.path(), options(Durability::Kill), at(40 * DAY)).is_err());
    assert_eq!(fs::read(folder.path().join("metrics.json")).expect("readable"), before);
    let folder = written();
    edit_lines(&file(folder.path(), 2), |lines| lines[2] = sealed_again(&lines[2], "\"v\":1", "\"v\":2"));
    assert!(found(&check(folder.path())).contains(&(Level::Error, Check::Lines)));
    let journal = fs::read(file(folder.path(), 2)).expect("readable");
    assert!(repair(folder.path(), options(Durability::Kill), at(40 * DAY)).is_err());
    assert_eq!(fs::read(file(folder.path(), 2)).expect("readable"), journal);
}

#[test]
fn acts_are_checked_one_by_one() {
    let folder = written();
    let ledger = open(folder.path(), 1, at(3 * DAY));
    for n in 0..3 {
        ledger.reset(at(3 * DAY + n)).expect("reset");
    }
    ledger.close(at(3 * DAY + 9)).expect("closed");
    drop(ledger);
    expect(folder.path(), &[]);
    let control = folder.path().join("control.jsonl");
    let whole = fs::read(&control).expect("readable");
    edit_lines(&control, |lines| drop(lines.remove(2)));
    assert!(found(&check(folder.path())).contains(&(Level::Error, Check::Acts)));
    fs::write(&control, &whole).expect("writable");
    edit(&control, |content| content[whole.len() - 60] ^= 1);
    let verification = check(folder.path());
    assert!(found(&verification).contains(&(Level::Error, Check::Acts)));
    assert!(verification.drift.is_none(), "without acts nothing can be compared");
    assert!(
        repair(folder.path(), options(Durability::Kill), at(40 * DAY)).is_err(),
        "acts are few and each one matters"
    );
    fs::write(&control, &whole[..whole.len() - 3]).expect("writable");
    assert!(found(&check(folder.path())).contains(&(Level::Info, Check::Acts)));
}

#[test]
fn open_calls_are_told_of_as_what_they_are() {
    let folder = written();
    let ledger = open(folder.path(), 1, at(3 * DAY));
    let call = OpenCall::sample(RecordId::new(at(3 * DAY), [9; 10]), at(3 * DAY));
    ledger.open_call(&call).expect("a slot");
    assert!(found(&check(folder.path())).contains(&(Level::Info, Check::OpenCalls)), "it is held");
    drop(ledger);
    expect(folder.path(), &[(Level::Warning, Check::OpenCalls)]);
    assert_eq!(mend(folder.path()).open_calls, 1);
    expect(folder.path(), &[(Level::Warning, Check::OpenCalls)]);
}

#[test]
fn token_stats_behind_is_a_warning_and_ahead_an_error() {
    for (from, to, level) in [("9,", "7,", Level::Warning), ("9,", "12,", Level::Error), ("{", "[", Level::Warning)] {
        let folder = written();
        let path = folder.path().join("token_stats.json");
        let text = fs::read_to_string(&path).expect("readable");
        let from = if from == "{" { from.to_owned() } else { format!("\"total_requests\": {from}") };
        let to = if to == "[" { to.to_owned() } else { format!("\"total_requests\": {to}") };
        fs::write(&path, text.replacen(&from, &to, 1)).expect("writable");
        expect(folder.path(), &[(level, Check::TokenStats)]);
        mend(folder.path());
    }
}

#[test]
fn a_torn_end_is_no_loss_and_repair_seals_it() {
    let folder = written();
    let path = file(folder.path(), 2);
    edit(&path, |content| content.extend_from_slice(b"{\"v\":1,\"id\":"));
    let verification = expect(folder.path(), &[(Level::Warning, Check::Lines)]);
    assert!(verification.wants_repair());
    assert_eq!(mend(folder.path()).quarantined, (1, 12));
    assert_eq!(expect(folder.path(), &[]).records, 9);
}

#[test]
fn a_repair_while_somebody_holds_the_folder_is_refused() {
    let folder = written();
    let ledger = open(folder.path(), 1, at(3 * DAY));
    let error = repair(folder.path(), options(Durability::Kill), at(3 * DAY)).expect_err("it is held").to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop(ledger);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Bits flipped, stretches zeroed, cut out, doubled, garbage put in: every line that was whole then is there, byte
    /// for byte and in its order, after the repair, and the books agree.
    #[test]
    fn a_repair_touches_no_whole_line(
        damage in prop::collection::vec((0i64..3, 0u8..6, any::<prop::sample::Index>(), 1usize..700, any::<u8>()), 1..6)
    ) {
        let folder = written();
        for (day, kind, place, length, byte) in damage {
            edit(&file(folder.path(), day), |content| {
                if content.is_empty() {
                    return;
                }
                let start = place.index(content.len());
                let end = (start + length).min(content.len());
                match kind {
                    0 => content[start] ^= byte | 1,
                    1 => content[start..end].fill(0),
                    2 => drop(content.drain(start..end)),
                    3 => content.truncate(start),
                    4 => drop(content.splice(start..start, vec![byte; length])),
                    _ => {
                        let copy = content[start..end].to_vec();
                        content.splice(start..start, copy);
                    }
                }
            });
        }
        let before = whole_lines(folder.path());
        let _ = check(folder.path());
        prop_assert_eq!(&whole_lines(folder.path()), &before, "looking changes nothing");
        let _ = mend(folder.path());
        prop_assert_eq!(&whole_lines(folder.path()), &before);
        let after = check(folder.path());
        prop_assert!(!after.wants_repair(), "{:#?}", after.findings);
        prop_assert!(after.drift.as_ref().is_none_or(|drift| drift.is_zero()));
    }
}
