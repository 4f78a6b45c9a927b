//! `tallybot verify` and `tallybot archive` as somebody types them: the table, the JSON, the exit codes, what a repair
//! leaves, and the same totals whatever form old days have.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::running::{Ended, Home};

/// The demo model with limits, so that there is something to compare.
const DEMO: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n\
                    limits = { requests_per_day = 100, tokens_per_day = 100000 }\n";

/// Books of a few answers, closed.
fn home() -> Home {
    let home = Home::new(DEMO);
    let ended = home.run(&["chat"], "hello\nwhat is new\nanother one\n");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    home
}

fn journal(home: &Home) -> PathBuf {
    let mut names: Vec<PathBuf> = fs::read_dir(home.data())
        .expect("a data folder")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.to_string_lossy().ends_with(".jsonl") && path.to_string_lossy().contains("tokens_"))
        .collect();
    names.sort();
    names.remove(0)
}

fn flip_in_the_second_line(home: &Home) {
    let path = journal(home);
    let mut content = fs::read(&path).expect("readable");
    let end = content.iter().position(|byte| *byte == b'\n').expect("lines");
    content[end + 60] ^= 1;
    fs::write(path, content).expect("writable");
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).expect("JSON")
}

#[test]
fn clean_books_agree_in_words_and_in_json() {
    let home = home();
    let before = home.written();
    let ended = home.run(&["verify"], "");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.out.ends_with("3 records in 1 file: everything agrees, drift 0\n"), "{}", ended.out);
    for line in [
        "✓ lines                3 lines",
        "✓ line numbers         1 to 3",
        "✓ snapshot",
        "✓ limits               1 limit",
    ] {
        assert!(ended.out.contains(line), "{line}: {}", ended.out);
    }
    let ended = home.run(&["verify", "--json"], "");
    let report = json(&ended);
    assert_eq!((ended.code(), &report["records"], &report["drift"]["records"]), (Some(0), &3.into(), &0.into()));
    assert_eq!((&report["repaired"], &report["findings"]), (&Value::Null, &Value::Array(Vec::new())));
    assert!(home.run(&["verify", "--repair"], "").out.starts_with("There was nothing to repair.\n"));
    let kept = |files: &[(PathBuf, Vec<u8>)]| -> Vec<(PathBuf, Vec<u8>)> {
        files.iter().filter(|(path, _)| !path.ends_with("tallybot.lock")).cloned().collect()
    };
    assert_eq!(kept(&home.written()), kept(&before), "looking changes nothing");
}

#[test]
fn damage_is_told_with_its_place_and_repaired_without_touching_a_whole_line() {
    let home = home();
    let whole: Vec<String> = fs::read_to_string(journal(&home)).expect("text").lines().map(str::to_owned).collect();
    flip_in_the_second_line(&home);
    let damaged = fs::read(journal(&home)).expect("readable");
    let ended = home.run(&["verify"], "");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(1), ""), "{ended:?}");
    let name = journal(&home).file_name().expect("a name").to_string_lossy().into_owned();
    for text in [
        format!("error: {name} line 2 (byte {}): {} damaged byte(s)", whole[0].len() + 1, whole[1].len() + 1),
        "✗ lines".to_owned(),
        "✗ snapshot".to_owned(),
        "✗ limits".to_owned(),
        "tallybot verify --repair".to_owned(),
        "the snapshot has +1 records".to_owned(),
    ] {
        assert!(ended.out.contains(&text), "{text}: {}", ended.out);
    }
    let report = json(&home.run(&["verify", "--json"], ""));
    assert_eq!((&report["findings"][0]["level"], &report["findings"][0]["line"]), (&"error".into(), &2.into()));
    let ended = home.run(&["verify", "--repair"], "");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.out.contains("In quarantine now: 1 damaged piece(s)"), "{}", ended.out);
    assert!(ended.out.ends_with("2 records in 1 file: the numbers agree, 2 warnings, drift 0\n"), "{}", ended.out);
    assert_eq!(fs::read(journal(&home)).expect("readable"), damaged, "nothing of the journal was touched");
    let stats = json(&home.run(&["stats", "--json"], ""));
    assert_eq!(stats["requests"]["total"], 2);
}

#[test]
fn what_cannot_be_checked_says_why_and_is_no_success() {
    let home = Home::new(DEMO);
    for arguments in [&["verify"][..], &["verify", "--json"], &["verify", "--repair"]] {
        let ended = home.run(arguments, "");
        assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.err.contains("there are no books in `data`"), "{}", ended.err);
    }
    assert!(!home.data().exists());
    let ended = home.run(&["archive", "--before", "yesterday"], "");
    assert_eq!(ended.code(), Some(2));
    assert!(ended.err.contains("expected a day such as 2026-11-01"), "{}", ended.err);
}

#[test]
fn beside_a_running_tallybot_it_looks_and_changes_nothing() {
    let home = home();
    let running = home.serve();
    let ended = home.run(&["verify"], "");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.out.starts_with(&format!("Process {} is writing to `data`", running.pid())), "{}", ended.out);
    for arguments in [&["verify", "--repair"][..], &["archive", "--before", "2030-01-01"]] {
        let ended = home.run(arguments, "");
        assert_eq!(ended.out, "", "{arguments:?}");
        assert!(ended.err.contains(&format!("process {} holds `data`", running.pid())), "{}", ended.err);
        assert_ne!(ended.code(), Some(0));
    }
    running.stop();
}

#[test]
fn compressed_days_give_the_same_totals() {
    let home = home();
    // The day of these books is long over: their file gets an old name, and nothing else knows it.
    let old = home.data().join("tokens_2020-02-29.jsonl");
    fs::rename(journal(&home), &old).expect("renamed");
    for name in ["metrics.json", "metrics.previous.json"] {
        let _ = fs::remove_file(home.data().join(name));
    }
    assert_eq!(home.run(&["chat"], "one of today\n").code(), Some(0));
    let totals = |home: &Home| {
        let stats = json(&home.run(&["stats", "--json"], ""));
        (stats["requests"].clone(), stats["tokens"].clone())
    };
    let before = (totals(&home), json(&home.run(&["verify", "--json"], ""))["records"].clone());
    assert_eq!(before.1, 4);
    let ended = home.run(&["archive", "--before", "2026-01-01", "--dry-run"], "");
    assert!(ended.out.contains("1 file, ") && ended.out.contains("would be compressed"), "{ended:?}");
    assert!(old.exists());
    let ended = home.run(&["archive", "--before", "2026-01-01"], "");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(
        ended.out.contains("tokens_2020-02-29.jsonl: ") && ended.out.contains("1 file compressed: "),
        "{}",
        ended.out
    );
    assert!(!old.exists() && home.data().join("tokens_2020-02-29.jsonl.gz").exists());
    for snapshots in [true, false] {
        if !snapshots {
            for name in ["metrics.json", "metrics.previous.json"] {
                let _ = fs::remove_file(home.data().join(name));
            }
        }
        let report = json(&home.run(&["verify", "--json"], ""));
        assert_eq!((totals(&home), report["records"].clone()), before, "with snapshots: {snapshots}");
        assert_eq!(report["compressed"], 1);
    }
    assert_eq!(home.run(&["archive", "--before", "2026-01-01"], "").out, "nothing to compress before 2026-01-01\n");
}
