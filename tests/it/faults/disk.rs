//! Rows A3 and A7 on real files, C1 to C5, C7 to C9: what a real disk does, and what people do to the files of a running service.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tallybot::ledger::{Durability, KnownNames, Ledger, Options};
use tallybot::usage::{RecordId, Timestamp, UsageRecord};
use uuid::Uuid;

use super::real::{Mount, Unchangeable, checked, fill, text, tool, tracer};
use super::{AtEnd, Confirmed, DEMO, eventually, post_item, stats_of};
use crate::providers::{ScriptedProvider, ollama};
use crate::running::{Home, Running};

fn journals(home: &Home) -> Vec<PathBuf> {
    crate::test_app::journal_files(&home.data())
}

/// A home whose service has run once, so that its journal is there.
fn home_with_a_journal(confirmed: &mut Confirmed) -> Home {
    let home = Home::new(DEMO);
    let service = home.serve();
    confirmed.must(&service);
    assert_eq!(service.stop().code(), Some(0));
    home
}

/// What is on a real disk at a moment under load, while the process stands still: all that a power cut would leave of it.
#[test]
fn a3_a_real_disk_copied_at_any_moment_holds_everything_that_was_confirmed() {
    let home = Home::new(DEMO);
    let image = home.path("image");
    fs::File::create(&image).and_then(|file| file.set_len(24 << 20)).expect("a sparse file");
    if checked("a3", tool("mkfs.ext4", &["-q", "-F", text(&image)])).is_none() {
        return;
    }
    let Some(_mount) = checked("a3", Mount::image(&home.data(), &image)) else { return };
    let (service, done, confirmed) = (home.serve(), AtomicBool::new(false), Mutex::new(Confirmed::default()));
    std::thread::scope(|scope| {
        let _at_end = AtEnd(&done);
        scope.spawn(|| {
            for n in 0.. {
                let id = format!("p{n}");
                let answer = post_item(&service, &json!({ "id": id, "model": "m", "prompt_tokens": 1 }));
                assert_eq!(answer.status(), 200, "{answer:?}");
                confirmed.lock().expect("not poisoned").ids.insert(id);
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for moment in 1..=4 {
            let count = || confirmed.lock().expect("not poisoned").ids.len();
            eventually("some are confirmed", || count() >= moment * 25);
            service.signal("STOP");
            let stands_still = || {
                let tasks = fs::read_dir(format!("/proc/{}/task", service.pid())).expect("it runs");
                let stat = |task: fs::DirEntry| fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                tasks.flatten().all(|task| stat(task).contains(") T "))
            };
            eventually("all its threads stand still", stands_still);
            let ids = confirmed.lock().expect("not poisoned").ids.clone();
            let copy = Home::new(DEMO);
            let copied = tool("cp", &[text(&image), text(&copy.path("image"))]);
            service.signal("CONT");
            copied.expect("copied");
            let _mount = Mount::image(&copy.data(), &copy.path("image")).expect("as the first");
            let restarted = copy.serve();
            assert_eq!(restarted.stop().code(), Some(0));
            // The one that was asked for when it stood still may be there.
            let asked = ids.len() as u64 + 1;
            Confirmed { ids, asked }.check(&copy);
        }
    });
}

/// `EFBIG` behind a short write, and the signal that comes with it, after nothing, some bytes or half of a line.
#[test]
fn a7_a_write_that_comes_short_leaves_no_half_line_and_what_was_confirmed_stays() {
    let (home, mut confirmed) = (Home::new(DEMO), Confirmed::default());
    let service = home.serve();
    let pid = service.pid().to_string();
    let limited = |bytes: &str| tool("prlimit", &["--pid", &pid, &format!("--fsize={bytes}:")]);
    for room in [0, 1, 7, 100, 200] {
        confirmed.must(&service);
        let journal = journals(&home).pop().expect("a file");
        let before = fs::read(&journal).expect("readable");
        if checked("a7", limited(&(before.len() + room).to_string())).is_none() {
            return;
        }
        let refused = confirmed.post(&service);
        assert_eq!((refused.status(), refused.code().as_str()), (503, "unavailable"), "{room} bytes: {refused:?}");
        assert_eq!(service.ask("GET /ready", "").status(), 503, "{room} bytes");
        limited("unlimited").expect("as before");
        eventually("ready again", || service.ask("GET /ready", "").status() == 200);
        let after = fs::read(&journal).expect("readable");
        assert!(after.starts_with(&before), "{room} bytes: nothing that was there is touched");
    }
    confirmed.must(&service);
    service.signal("KILL");
    drop(service.wait());
    assert_eq!(confirmed.check(&home), confirmed.ids.len() as u64, "no half record and no ghost of a refused one");
    assert_eq!(home.records().len(), confirmed.ids.len(), "every line is whole");
    assert!(!home.written().iter().any(|(path, _)| text(path).ends_with(".quarantine")), "and nothing was put aside");
}

/// A limit that the process begins with: no file may be as large as the slots of open calls.
#[test]
fn a7_a_limit_on_file_sizes_from_the_start_is_told_and_kills_no_command() {
    for arguments in
        [&["serve"][..], &["chat"], &["log", "--model", "m", "--prompt-tokens", "1"], &["keys", "add", "x"]]
    {
        let home = Home::new(DEMO);
        if checked("a7", tool("prlimit", &["--fsize=20480:", "true"])).is_none() {
            return;
        }
        let ended = home.start_under(&["prlimit", "--fsize=20480:"], arguments).wait();
        assert_eq!(ended.code(), Some(1), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains("open.slots") && ended.err.contains("File too large"), "{arguments:?}: {ended:?}");
    }
}

fn traced(home: &Home, row: &str, files: &[&Path], inject: &str) -> Option<Running> {
    let runner = checked(row, tracer(files, inject))?;
    Some(home.serve_under(&runner.iter().map(String::as_str).collect::<Vec<_>>()))
}

#[test]
fn c1_a_full_disk_stops_admission_clearly_and_everything_resumes_by_itself_when_there_is_room() {
    let home = Home::new(DEMO);
    let Some(_mount) = checked("c1", Mount::tmpfs(&home.data(), "1m")) else { return };
    let (service, mut confirmed) = (home.serve(), Confirmed::default());
    confirmed.must(&service);
    let filler = home.data().join("filler");
    fill(&filler);
    eventually("a full disk refuses", || confirmed.post(&service).status() != 200);
    let refused = confirmed.post(&service);
    assert_eq!((refused.status(), refused.code().as_str()), (503, "unavailable"), "{refused:?}");
    assert!(refused.text().contains("No space left"), "says why: {refused:?}");
    assert!(refused.header("retry-after").is_some(), "and when to come again: {refused:?}");
    let ready = service.ask("GET /ready", "");
    assert_eq!((ready.status(), ready.json()["journal"]["ok"].as_bool()), (503, Some(false)), "{ready:?}");
    assert_eq!(service.ask("GET /health", "").status(), 200);
    assert_eq!(service.ask("GET /stats", "").json()["status"], "degraded");
    let says = |light: &str| home.run(&["stats"], "").out.contains(light);
    eventually("a command beside it says so too", || says("Working, with problems"));
    fs::remove_file(&filler).expect("removed");
    eventually("ready again", || service.ask("GET /ready", "").status() == 200);
    eventually("and that it is over", || says("Working ·"));
    confirmed.must(&service);
    assert_eq!(service.stop().code(), Some(0));
    assert_eq!(confirmed.check(&home), confirmed.ids.len() as u64, "no half record and no ghost of a refused one");
}

/// A disk so small that the slots of open calls have no room of their own from the start.
#[tokio::test(flavor = "multi_thread")]
async fn c1_a_disk_without_room_for_the_note_of_a_call_is_told_as_one_without_room_for_its_record() {
    let provider = ScriptedProvider::start(ollama::polite(&["m"], ollama::chat(&["hi"], 5, 1))).await;
    let provided =
        format!("[[providers]]\nname = \"o\"\nkind = \"ollama\"\nurl = \"{}\"\nmodel = \"m\"\n", provider.url());
    let home = Home::new(&format!("[http]\nlisten = \"127.0.0.1:0\"\n{provided}"));
    let Some(_mount) = checked("c1", Mount::tmpfs(&home.data(), "1m")) else { return };
    let service = home.serve();
    let filler = home.data().join("filler");
    fill(&filler);
    let call =
        || service.ask("POST /gateway/o/api/chat\nContent-Type: application/json", r#"{"model":"m","messages":[]}"#);
    let refused = call();
    assert!(refused.status() == 503 && provider.hits().iter().all(|hit| hit.path != "/api/chat"), "{refused:?}");
    let ready = service.ask("GET /ready", "");
    assert_eq!((ready.status(), ready.json()["journal"]["ok"].as_bool()), (503, Some(false)), "{ready:?}");
    assert!(ready.text().contains("No space left"), "{ready:?}");
    assert_eq!(service.ask("GET /stats", "").json()["status"], "degraded");
    let log = || fs::read_to_string(home.data().join("token_debug.log")).unwrap_or_default();
    eventually("an alert", || log().contains("the books cannot be written: No space left"));
    fs::remove_file(&filler).expect("removed");
    eventually("ready again, though nobody calls", || service.ask("GET /ready", "").status() == 200);
    assert_eq!(call().status(), 200);
    assert_eq!(service.stop().code(), Some(0));
}

/// Through the library, where the record of a call that is being answered ends.
#[test]
fn c1_the_record_of_an_answer_in_flight_waits_for_room_and_counts_once() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let data = home.path().join("data");
    let Some(_mount) = checked("c1", Mount::tmpfs(&data, "1m")) else { return };
    let at = |secs: i64| Timestamp::new(1_795_305_600_000_000 + secs * 1_000_000, 0);
    let open = || {
        let options = Options { durability: Durability::Power, known: KnownNames::none(), follower: Box::new(()) };
        Ledger::open(&data, options, Uuid::from_u128(1), at(0)).expect("the folder opens").0
    };
    let record = |n: u8| UsageRecord::new(RecordId::new(at(1), [n; 10]), at(1), "p".into(), "m".into());
    let ledger = open();
    ledger.append(&record(1), at(1)).expect("appended");
    let filler = data.join("filler");
    fill(&filler);
    let full = (2..200).find(|n| ledger.append(&record(*n), at(1)).is_err()).expect("the disk is full");
    let waiting = ledger.append_or_queue(&record(250), at(1)).expect("it waits");
    assert_eq!(ledger.health().queued, 1);
    assert!(ledger.health().trouble.is_some());
    fs::remove_file(&filler).expect("removed");
    ledger.durable_blocking(waiting).expect("written at last");
    assert_eq!(ledger.health().trouble, None);
    drop(ledger);
    // Those before the refusal, and the one that waited; of the refused one nothing.
    assert_eq!(open().picture().all_time().total(|_| true).records, i64::from(full));
}

#[test]
fn c2_a_sync_that_fails_once_confirms_nothing_until_the_lines_are_safe_elsewhere() {
    let mut confirmed = Confirmed::default();
    let home = home_with_a_journal(&mut confirmed);
    let first = journals(&home).remove(0);
    let Some(service) = traced(&home, "c2", &[&first], "fdatasync:error=EIO:when=1") else { return };
    confirmed.must(&service);
    let files = journals(&home);
    assert_eq!(files.len(), 2, "the lines went to a new file: {files:?}");
    assert!(fs::read_to_string(&files[1]).expect("readable").contains("\"r2\""), "with what was confirmed");
    confirmed.must(&service);
    service.signal("KILL");
    drop(service.wait());
    assert_eq!(confirmed.check(&home), 3);
}

/// Nothing of the page cache survives what this does: the file system is mounted anew.
#[test]
fn c2_a_disk_that_loses_what_it_had_taken_loses_nothing_that_was_confirmed() {
    let home = Home::new(DEMO);
    let small = home.path("small");
    let Some(small_mount) = checked("c2", Mount::tmpfs(&small, "12m")) else { return };
    let image = small.join("image");
    let made = fs::File::create(&image).and_then(|file| file.set_len(200 << 20));
    made.expect("a sparse file");
    let format = ["-q", "-F", "-N", "256", "-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard", text(&image)];
    if checked("c2", tool("mkfs.ext4", &format)).is_none() {
        return;
    }
    let Some(mount) = checked("c2", Mount::image(&home.data(), &image)) else { return };
    let (service, mut confirmed) = (home.serve(), Confirmed::default());
    confirmed.must(&service);
    let filler = small.join("filler");
    fill(&filler);
    // The file system believes it has room; the disk below it has none.
    let padding = "x".repeat(4000);
    let many: Vec<_> = (0..100).map(|n| json!({ "id": format!("m{n}"), "metadata": { "text": padding } })).collect();
    let answer = std::thread::scope(|scope| {
        let posting = scope.spawn(|| post_item(&service, &json!(many)));
        eventually("the sync fails", || service.ask("GET /ready", "").status() == 503);
        fs::remove_file(&filler).expect("removed");
        posting.join().expect("answered")
    });
    eventually("ready again", || service.ask("GET /ready", "").status() == 200);
    if answer.status() == 200 {
        // The disk may have filled up in the middle of them.
        let body = answer.json();
        let rejected = body["rejected"].as_array().expect("a list").iter().map(|item| item["index"].as_u64());
        let rejected: Vec<Option<u64>> = rejected.collect();
        let accepted = (0..100).filter(|n| !rejected.contains(&Some(*n)));
        confirmed.asked += 100;
        confirmed.ids.extend(accepted.map(|n| format!("m{n}")));
    }
    confirmed.must(&service);
    service.signal("KILL");
    drop(service.wait());
    drop(mount);
    let _again = Mount::image(&home.data(), &image).expect("mounted a moment ago");
    let restarted = home.serve();
    confirmed.must(&restarted);
    assert_eq!(restarted.stop().code(), Some(0));
    let total = stats_of(&home)["requests"]["total"].as_u64().expect("a number");
    let expected = confirmed.ids.len() as u64;
    assert!(total >= expected && total <= 103, "{total}, {expected} were confirmed: {answer:?}");
    drop(_again);
    drop(small_mount);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long others waited is what is measured")]
fn c3_while_a_sync_stalls_others_are_answered_and_nothing_is_confirmed_early() {
    let mut confirmed = Confirmed::default();
    let home = home_with_a_journal(&mut confirmed);
    let first = journals(&home).remove(0);
    let Some(service) = traced(&home, "c3", &[&first], "fdatasync:delay_enter=1500000:when=1") else { return };
    let stalled = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let (service, stalled) = (&service, &stalled);
        let posting = scope.spawn(move || {
            let begun = Instant::now();
            confirmed.must(service);
            stalled.store(false, Ordering::SeqCst);
            (confirmed, begun.elapsed())
        });
        let mut answered = 0;
        while stalled.load(Ordering::SeqCst) {
            for path in ["/stats", "/health"] {
                let begun = Instant::now();
                assert_eq!(service.ask(&format!("GET {path}"), "").status(), 200);
                assert!(begun.elapsed() < Duration::from_secs(1), "{path} waited for the disk");
            }
            answered += 1;
        }
        let (confirmed, took) = posting.join().expect("answered");
        assert!(took >= Duration::from_millis(1400), "confirmed after {took:?}, before its sync had ended");
        assert!(answered > 3, "{answered} rounds of questions in the meantime");
        assert_eq!(confirmed.ids.len(), 2);
    });
    service.signal("KILL");
    drop(service.wait());
    assert_eq!(stats_of(&home)["requests"]["total"], 2);
}

#[test]
fn c4_a_journal_that_cannot_be_read_is_named_with_the_place_and_nothing_is_begun() {
    let home = home_with_a_journal(&mut Confirmed::default());
    for name in ["metrics.json", "metrics.previous.json"] {
        drop(fs::remove_file(home.data().join(name)));
    }
    let first = journals(&home).remove(0);
    let before = fs::read(&first).expect("readable");
    let Some(runner) = checked("c4", tracer(&[&first], "pread64:error=EIO:when=1+")) else { return };
    let runner: Vec<&str> = runner.iter().map(String::as_str).collect();
    let ended = home.start_under(&runner, &["serve"]).wait();
    assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(
        ended.err.contains("cannot read") && ended.err.contains(text(&first)[4..].rsplit('/').next().unwrap_or(""))
    );
    assert!(ended.err.contains("at byte 0"), "{ended:?}");
    assert_eq!(fs::read(&first).expect("readable"), before, "it was not mended");
    assert_eq!(stats_of(&home)["requests"]["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_a_folder_that_cannot_be_written_stops_the_start_before_any_provider_is_asked() {
    let provider = ScriptedProvider::start(ollama::polite(&["llama3.2"], ollama::chat(&["hi"], 5, 1))).await;
    let provided =
        format!("[[providers]]\nname = \"o\"\nkind = \"ollama\"\nurl = \"{}\"\nmodel = \"m\"\n", provider.url());
    let home = Home::new(&format!("[http]\nlisten = \"127.0.0.1:0\"\n{provided}"));
    let Some(_mount) = checked("c5", Mount::tmpfs(&home.data(), "1m")) else { return };
    if checked("c5", tool("mount", &["-o", "remount,ro", text(&home.data())])).is_none() {
        return;
    }
    for command in ["serve", "chat"] {
        let ended = home.run(&[command], "hello\n");
        assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.err.contains("data") && ended.err.contains("Read-only"), "{ended:?}");
    }
    assert_eq!(provider.hits().len(), 0);
}

#[test]
fn c5_files_that_become_unchangeable_while_it_runs_are_as_a_full_disk() {
    let mut confirmed = Confirmed::default();
    let home = home_with_a_journal(&mut confirmed);
    let service = home.serve();
    confirmed.must(&service);
    let Some(file) = checked("c5", Unchangeable::make(&journals(&home)[0])) else { return };
    let folder = Unchangeable::make(&home.data()).expect("as the file");
    let refused = confirmed.post(&service);
    assert_eq!(refused.status(), 503, "{refused:?}");
    assert_eq!(service.ask("GET /ready", "").status(), 503);
    drop((file, folder));
    eventually("ready again", || service.ask("GET /ready", "").status() == 200);
    confirmed.must(&service);
    assert_eq!(service.stop().code(), Some(0));
    assert_eq!(confirmed.check(&home), confirmed.ids.len() as u64);
}

/// What `logrotate` does to a file by each of its styles, and what people do.
#[test]
fn c7_a_journal_that_is_rotated_away_is_noticed_before_the_next_confirmation_and_a_new_file_begun() {
    let styles: [fn(&Path); 4] = [
        |path| fs::rename(path, path.with_extension("jsonl.1")).expect("moved"),
        |path| {
            fs::rename(path, path.with_extension("jsonl.1")).expect("moved");
            drop(fs::File::create(path).expect("made anew"));
        },
        |path| {
            fs::copy(path, path.with_extension("jsonl.1")).expect("copied");
            fs::OpenOptions::new().write(true).open(path).expect("there").set_len(0).expect("truncated");
        },
        |path| fs::remove_file(path).expect("removed"),
    ];
    for (n, rotate) in styles.into_iter().enumerate() {
        let (home, mut confirmed) = (Home::new(DEMO), Confirmed::default());
        let service = home.serve();
        confirmed.must(&service);
        rotate(&journals(&home)[0]);
        confirmed.must(&service);
        confirmed.must(&service);
        assert!(journals(&home).iter().any(|file| text(file).ends_with(".2.jsonl")), "style {n}: a new file");
        service.signal("KILL");
        drop(service.wait());
        // The lines of the last sync before it are still known; older ones went away with their file.
        assert_eq!(confirmed.check(&home), 3, "style {n}");
    }
}

/// In kill mode a confirmation does not wait for the disk, so a journal taken away is noticed within the second after
/// which lines are synced; what was confirmed in between is written again.
#[test]
fn c7_with_durability_kill_a_rotated_journal_is_noticed_within_its_second() {
    let home = Home::new(&format!("{DEMO}[ledger]\ndurability = \"kill\"\n"));
    let (service, mut confirmed) = (home.serve(), Confirmed::default());
    confirmed.must(&service);
    fs::rename(&journals(&home)[0], home.data().join("away")).expect("moved");
    confirmed.must(&service);
    eventually("a new file", || journals(&home).last().is_some_and(|file| text(file).ends_with(".2.jsonl")));
    eventually("the lines are there", || home.records().iter().any(|record| record["source"]["id"] == "r2"));
    service.signal("KILL");
    drop(service.wait());
    confirmed.check(&home);
}

#[test]
fn c8_the_lock_of_a_process_that_was_killed_stops_nobody() {
    let (home, mut confirmed) = (Home::new(DEMO), Confirmed::default());
    for _ in 0..3 {
        let service = home.serve();
        confirmed.must(&service);
        service.signal("KILL");
        drop(service.wait());
        assert!(home.data().join("tallybot.lock").exists());
    }
    assert_eq!(confirmed.check(&home), 3);
}

#[test]
fn c8_a_lock_file_that_somebody_deletes_lets_no_second_process_in_and_comes_back() {
    let (home, mut confirmed) = (Home::new(DEMO), Confirmed::default());
    let service = home.serve();
    confirmed.must(&service);
    let lock = home.data().join("tallybot.lock");
    let holder = fs::read_to_string(&lock).expect("readable");
    fs::remove_file(&lock).expect("removed");
    for command in ["serve", "chat"] {
        let second = home.run(&[command], "hello\n");
        assert_eq!((second.code(), second.out.as_str()), (Some(1), ""), "{second:?}");
        assert!(second.err.contains("in use by"), "{second:?}");
    }
    eventually("the lock file is there again", || fs::read_to_string(&lock).is_ok_and(|text| text == holder));
    let second = home.run(&["serve"], "");
    assert!(second.err.contains(&format!("process {}", service.pid())), "{second:?}");
    confirmed.must(&service);
    assert_eq!(service.stop().code(), Some(0));
    assert_eq!(confirmed.check(&home), 2);
}

#[test]
fn c9_a_copy_made_while_it_runs_opens_as_what_there_was_at_that_moment() {
    let (home, copy) = (Home::new(DEMO), Home::new(DEMO));
    let service = home.serve();
    let done = AtomicBool::new(false);
    let confirmed = std::thread::scope(|scope| {
        let (service, done) = (&service, &done);
        let at_end = AtEnd(done);
        let posting = scope.spawn(move || {
            let mut confirmed = Confirmed::default();
            while !done.load(Ordering::Relaxed) {
                confirmed.must(service);
            }
            confirmed
        });
        eventually("some records", || home.records_if_whole().is_some_and(|records| records >= 20));
        let copied = tool("cp", &["-r", text(&home.data()), text(&copy.data())]);
        drop(at_end);
        copied.expect("copied");
        posting.join().expect("posted")
    });
    assert_eq!(service.stop().code(), Some(0));
    // As a copy is that is cut anywhere: a torn tail.
    let last = journals(&copy).pop().expect("a file");
    fs::OpenOptions::new()
        .append(true)
        .open(&last)
        .and_then(|mut file| file.write_all(b"{\"v\":1,\"id"))
        .expect("torn");
    let restored = copy.serve();
    let stats = restored.ask("GET /stats", "").json();
    assert_eq!(restored.stop().code(), Some(0));
    let records = copy.records();
    assert!(records.len() >= 20 && records.len() as u64 <= confirmed.asked);
    let seqs: Vec<u64> = records.iter().map(|record| record["seq"].as_u64().expect("a number")).collect();
    assert!(seqs.iter().copied().eq(1..=records.len() as u64), "a prefix: {seqs:?}");
    assert_eq!(stats["requests"]["total"], json!(records.len()));
    confirmed.check(&home);
}
