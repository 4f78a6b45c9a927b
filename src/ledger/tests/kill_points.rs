//! Rows A2, A11 and B5: a process is killed before and after each thing it does to its files.

use std::collections::HashSet;
use std::sync::Arc;

use super::*;
use crate::ledger::disk::RealDisk;
use crate::ledger::simulated::history::{check_fold, check_lines, lines_of, records};
use crate::ledger::simulated::killing::{self, Death, Said};

/// A folder as a killed process leaves it: a snapshot, lines behind it, an open call and half a line at the end.
fn prepared() -> TempDir {
    let folder = quick_folder();
    let (ledger, _) = killing::open(Arc::new(RealDisk), folder.path(), true).expect("opens");
    for n in 1..6 {
        ledger.append(&killing::record(n), at(1)).expect("appended");
        if n == 3 {
            ledger.snapshot(at(2)).expect("written");
        }
    }
    ledger.open_call(&OpenCall::sample(killing::record(6).id, at(4))).expect("a free slot");
    drop(ledger);
    let path = only_journal(folder.path());
    let mut content = fs::read(&path).expect("readable");
    content.extend_from_within(..100);
    fs::write(&path, content).expect("writable");
    folder
}

fn copy_of(folder: &TempDir) -> TempDir {
    let copy = quick_folder();
    for entry in fs::read_dir(folder.path()).expect("readable") {
        let entry = entry.expect("readable");
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
    }
    copy
}

/// What is in the folder after the death, against what was said before it.
fn check(folder: &Path, said: &Said, death: Death) {
    let why = || format!("{death:?}, died {}", said.last_words);
    let (ledger, opened) = killing::open(Arc::new(RealDisk), folder, death.power).expect("opens again");
    let lines = lines_of(&DataFolder::real(folder));
    let before = (1..6).map(|n| killing::record(n).id);
    let must: HashSet<RecordId> = before.clone().chain(said.acknowledged.iter().copied()).collect();
    let others = killing::numbers().chain([6]).map(|n| killing::record(n).id);
    let may: HashSet<RecordId> = before.chain(others).collect();
    check_lines(&lines, &must, &may).unwrap_or_else(|problem| panic!("{}: {problem}", why()));
    let stored = records(&lines);
    let acts = ledger.acts();
    let fold = check_fold(&stored, &acts, &ledger.picture(), at(100));
    fold.unwrap_or_else(|problem| panic!("{}: {problem}", why()));
    assert!(said.resets.iter().all(|begin| acts.resets.contains(begin)), "{}", why());
    // A call that was made is recorded or interrupted, and never both.
    let interrupted: Vec<RecordId> = opened.interrupted.iter().map(|(_, call)| call.id).collect();
    for call in said.called.iter().chain([&killing::record(6).id]) {
        let is_stored = stored.iter().any(|record| record.id == *call);
        assert!(is_stored != interrupted.contains(call), "{}: {call}", why());
    }
}

/// Kills a process at each point until one comes to its end; gives what each was killed in the middle of.
fn kill_everywhere(of: &TempDir, opens_only: bool, after: bool, check: impl Fn(&Path, &Said, Death)) -> Vec<String> {
    let mut points = Vec::new();
    for at in 1.. {
        let folder = copy_of(of);
        let death = Death { at, after, power: at % 2 == 0, opens_only };
        let said = killing::run(folder.path(), death);
        check(folder.path(), &said, death);
        if said.ended {
            return points;
        }
        points.push(said.last_words);
    }
    unreachable!("the work has an end")
}

#[test]
fn a2_b5_kill_before_and_after_every_append_sync_rename_roll_and_truncate() {
    let folder = prepared();
    std::thread::scope(|scope| {
        for after in [false, true] {
            let folder = &folder;
            scope.spawn(move || {
                let points = kill_everywhere(folder, false, after, check);
                for name in ["append", "write", "sync", "create", "rename", "link", "remove", "truncate", "sync_folder"]
                {
                    assert!(points.iter().any(|point| point.ends_with(name)), "{name} among {points:?}");
                }
            });
        }
    });
}

#[test]
fn a11_after_a_crash_during_recovery_the_next_start_finds_the_same() {
    type Harm = fn(&mut Vec<u8>);
    let harm: [(&str, Harm); 4] = [
        ("a torn line", |_| {}),
        ("zeros at the end", |content| content.resize(content.len() + 700, 0)),
        ("a hole", |content| content[500..1012].fill(0)),
        ("a flipped bit", |content| content[40] ^= 1),
    ];
    for (name, harm) in harm {
        let folder = prepared();
        let path = only_journal(folder.path());
        let mut content = fs::read(&path).expect("readable");
        harm(&mut content);
        fs::write(&path, content).expect("writable");
        let found = |folder: &Path| {
            let (ledger, opened) = killing::open(Arc::new(RealDisk), folder, true).expect("opens");
            let quarantine = fs::read_to_string(path_aside(folder)).expect("damage was kept");
            let interrupted: Vec<RecordId> = opened.interrupted.iter().map(|(_, call)| call.id).collect();
            let mut aside: Vec<String> = quarantine.lines().map(str::to_owned).collect();
            aside.dedup();
            (rolled(&ledger.picture().saved()), interrupted, aside)
        };
        let expected = found(copy_of(&folder).path());
        for after in [false, true] {
            kill_everywhere(&folder, true, after, |folder, said, death| {
                assert!(found(folder) == expected, "{name}: {death:?}, died {}", said.last_words);
            });
        }
    }
}

fn path_aside(folder: &Path) -> PathBuf {
    folder.join(format!("tokens_{}.jsonl.quarantine", at(0).day()))
}
