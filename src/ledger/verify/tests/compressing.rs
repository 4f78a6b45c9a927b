//! Laws of compressing: the same numbers before and after, and a damaged archive is named.

use super::*;
use crate::ledger::archive;
use crate::usage::Day;

fn compress(folder: &Path, before: i64) -> Vec<crate::ledger::Archived> {
    let mut done = Vec::new();
    archive(folder, at(before * DAY).day(), false, at(40 * DAY), |file| done.push(file.clone())).expect("compressed");
    done
}

#[test]
fn compressed_days_count_as_before_and_the_newest_are_left() {
    let folder = written();
    let raw = fs::read(file(folder.path(), 0)).expect("readable");
    let done = compress(folder.path(), 30);
    let left: Vec<bool> = done.iter().map(|file| file.left.is_some()).collect();
    assert_eq!(left, [false, true, true], "the newest, and those a snapshot stands in");
    assert_eq!(done[0].bytes, raw.len() as u64);
    assert!(!file(folder.path(), 0).exists());
    let verification = expect(folder.path(), &[]);
    assert_eq!((verification.records, verification.compressed), (9, 1));
    assert_eq!(verification.bytes, check(written().path()).bytes, "offsets are those of the text");
    // Both forms, as after a crash between the two steps: it counts once, and the next time finishes.
    fs::write(file(folder.path(), 0), &raw).expect("writable");
    assert_eq!(expect(folder.path(), &[]).records, 9);
    compress(folder.path(), 30);
    assert!(!file(folder.path(), 0).exists());
    // A start without snapshots reads it, and so does a repair.
    assert_eq!(mend(folder.path()).records, 9);
    expect(folder.path(), &[]);
}

#[test]
fn c1_what_cannot_be_compressed_to_the_end_leaves_nothing_in_the_way() {
    let folder = written();
    let archive = file(folder.path(), 0).with_extension("jsonl.gz");
    fs::create_dir(&archive).expect("something in its place");
    let compressed = crate::ledger::archive(folder.path(), at(DAY).day(), false, at(40 * DAY), |_| ());
    compressed.expect_err("its name is taken");
    assert!(file(folder.path(), 0).exists() && !folder.path().join(archive.with_extension("gz.tmp")).exists());
    fs::remove_dir(&archive).expect("it was left alone");
    compress(folder.path(), 1);
    assert_eq!(expect(folder.path(), &[]).records, 9);
}

#[test]
fn what_is_damaged_is_not_compressed_until_it_is_in_quarantine() {
    let folder = written();
    edit(&file(folder.path(), 0), |content| content[30] ^= 1);
    let done = compress(folder.path(), 1);
    assert!(done[0].left.as_ref().is_some_and(|reason| reason.contains("--repair")), "{done:?}");
    mend(folder.path());
    assert_eq!(compress(folder.path(), 1)[0].left, None);
    expect(folder.path(), &[(Level::Warning, Check::Lines), (Level::Warning, Check::Numbers)]);
}

#[test]
fn a_damaged_archive_is_named_and_never_a_panic() {
    let whole = written();
    compress(whole.path(), 1);
    let name = file(whole.path(), 0).with_extension("jsonl.gz");
    let archive = fs::read(&name).expect("compressed");
    for place in 0..archive.len() {
        edit(&name, |content| *content = archive.clone());
        edit(&name, |content| content[place] ^= 0x10);
        let verification = check(whole.path());
        assert!(verification.records >= 6, "the other days count");
        // Some bytes of the header say nothing; a wrong checksum at the end takes no line with it.
        assert!(verification.records == 9 || verification.worst() == Some(Level::Error), "byte {place}");
        let cut = &archive[..place];
        fs::write(&name, cut).expect("writable");
        assert!(found(&check(whole.path())).contains(&(Level::Error, Check::Lines)), "cut at {place}");
    }
    let error =
        repair(whole.path(), options(Durability::Kill), at(40 * DAY)).expect_err("it would lose records").to_string();
    assert!(error.contains(".jsonl.gz") && error.contains("byte"), "{error}");
    let ledger = open(whole.path(), 1, at(3 * DAY));
    ledger.append(&plain(50, at(3 * DAY)), at(3 * DAY)).expect("a start does without it");
}

#[test]
fn nothing_is_compressed_beside_a_tallybot_that_runs() {
    let folder = written();
    let ledger = open(folder.path(), 1, at(3 * DAY));
    let error = archive(folder.path(), Day::parse("2026-12-01").expect("a day"), false, at(0), |_| {});
    assert!(error.is_err_and(|error| matches!(error, LedgerError::InUse { .. })));
    drop(ledger);
}
