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
    let folder = quick_folder();
    for cut in 0..=whole.len() {
        empty_but_for_slots(folder.path());
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

/// Takes everything out of a folder but the slots, whose megabytes are as good the next time.
fn empty_but_for_slots(folder: &Path) {
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => fs::remove_dir_all(path).expect("removed"),
            false if path.ends_with("open.slots") => {}
            false => fs::remove_file(path).expect("removed"),
        }
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

/// A journal of three lines, changed, and what a start then finds.
fn found_after(change: impl FnOnce(&mut Vec<u8>)) -> (TempDir, Ledger, Opened) {
    let folder = quick_folder();
    let (ledger, _) = open(folder.path());
    append_all(&ledger, &(1..=3).map(|n| plain(n, at(i64::from(n)))).collect::<Vec<_>>());
    drop(ledger);
    let path = only_journal(folder.path());
    let mut content = fs::read(&path).expect("readable");
    change(&mut content);
    fs::write(&path, content).expect("writable");
    let (ledger, opened) = open(folder.path());
    (folder, ledger, opened)
}

fn prompts(ledger: &Ledger) -> i128 {
    ledger.picture().all_time().total(|_| true).prompt
}

#[test]
fn a5_zeros_or_garbage_at_the_end_are_put_aside_and_take_nothing_with_them() {
    for tail in [vec![0; 1], vec![0; 4096], b"{\"v\":1,\"id\":".repeat(40), vec![0xff; 70_000]] {
        let (folder, ledger, opened) = found_after(|content| content.extend_from_slice(&tail));
        assert_eq!((opened.replayed, prompts(&ledger)), (3, 6));
        assert!(opened.damage.iter().all(|damage| damage.kind == DamageKind::Torn));
        assert_eq!(opened.damage.iter().map(|damage| damage.bytes).sum::<u64>(), tail.len() as u64);
        ledger.append(&plain(9, at(9)), at(0)).expect("appending goes on");
        drop(ledger);
        assert!(open(folder.path()).1.damage.is_empty(), "mended for good");
    }
}

#[test]
fn a6_a_hole_before_a_valid_line_takes_only_the_lines_that_it_touches() {
    let (_folder, ledger, opened) = found_after(|content| {
        let second = content.iter().position(|byte| *byte == b'\n').expect("three lines") + 1;
        content[second + 10..second + 200].fill(0);
    });
    assert_eq!((opened.replayed, opened.damage.len(), prompts(&ledger)), (2, 1, 4));
}

#[test]
fn a8_whichever_bit_of_a_line_flips_no_other_line_is_lost() {
    let source = quick_folder();
    let (ledger, _) = open(source.path());
    append_all(&ledger, &(1..=3).map(|n| plain(n, at(i64::from(n)))).collect::<Vec<_>>());
    drop(ledger);
    let whole = fs::read(only_journal(source.path())).expect("readable");
    let ends: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    let data = DataFolder::real(source.path());
    for bit in (ends[0] + 1) * 8..ends[1] * 8 {
        let mut content = whole.clone();
        content[bit / 8] ^= 1 << (bit % 8);
        fs::write(only_journal(source.path()), content).expect("writable");
        let acts = control::read_acts(&data).expect("readable").expect("there are acts");
        let loaded = recovery::load(&data, &acts, &mut (), &[], at(0)).expect("readable");
        let prompt = loaded.stats.picture().all_time().total(|_| true).prompt;
        // A newline in the middle makes two damaged pieces of the line.
        assert_eq!((loaded.replayed, prompt), (2, 4), "bit {bit}");
        assert!((1..=2).contains(&loaded.damage.len()), "bit {bit}: {:?}", loaded.damage);
    }
}

#[test]
fn a10_what_an_editor_leaves_is_read_and_what_it_breaks_is_named_in_bounded_memory() {
    let crlf = |content: &mut Vec<u8>| {
        let text = String::from_utf8(content.clone()).expect("text").replace('\n', "\r\n");
        *content = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    };
    let (_folder, ledger, opened) = found_after(crlf);
    assert_eq!((opened.replayed, opened.damage.len(), prompts(&ledger)), (3, 0, 6));
    // Two lines that were joined are one damaged line, and so is one that is no text.
    let (_folder, ledger, opened) = found_after(|content| {
        let first = content.iter().position(|byte| *byte == b'\n').expect("three lines");
        content.remove(first);
    });
    assert_eq!((opened.replayed, opened.damage.len(), prompts(&ledger)), (1, 1, 3));
    let (_folder, _ledger, opened) = found_after(|content| content[30] = 0xff);
    assert_eq!((opened.replayed, opened.damage[0].offset), (2, 0));
}

#[test]
fn a10_a_line_of_a_gigabyte_is_read_in_pieces() {
    let folder = quick_folder();
    let (ledger, _) = open(folder.path());
    append_all(&ledger, &[plain(1, at(1))]);
    drop(ledger);
    let path = only_journal(folder.path());
    let line = fs::read(&path).expect("readable");
    let file = fs::OpenOptions::new().append(true).open(&path).expect("opened");
    file.set_len(1 << 30).expect("a sparse file");
    std::io::Write::write_all(&mut &file, &[b"\n", &line[..]].concat()).expect("written");
    // For reading only: nothing is copied aside.
    let reading = Folder::new(folder.path()).read(&mut (), at(1)).expect("readable");
    assert_eq!(reading.picture.all_time().total(|_| true).records, 1, "the line behind it is known by its number");
    assert_eq!(reading.damage.first().map(|damage| damage.offset), Some(line.len() as u64));
    assert_eq!(reading.damage.iter().map(|damage| damage.bytes).sum::<u64>(), (1 << 30) + 1 - line.len() as u64);
}
