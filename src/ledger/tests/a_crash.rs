//! Rows A of the table of faults: files that are cut, torn and changed.

use super::*;

#[test]
fn a4_a_journal_cut_at_every_byte_keeps_every_whole_line_and_goes_on() {
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
fn a8_damage_in_the_middle_takes_one_record_and_is_named() {
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
fn a9_a_line_there_twice_counts_once() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open(folder.path());
    ledger.append(&plain(1, at(1)), at(0)).expect("appended");
    drop(ledger);
    let path = only_journal(folder.path());
    let line = fs::read(&path).expect("readable");
    fs::write(&path, [&line[..], &line[..]].concat()).expect("writable");
    assert_eq!(open(folder.path()).1.replayed, 1);
}
