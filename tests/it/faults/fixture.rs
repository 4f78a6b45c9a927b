//! Row J5: a folder written by version 0.1, kept for ever, and files of a version to come.
//!
//! The kept folder and what is expected of it are written anew by
//! `TALLYBOT_WRITE_FIXTURE=1 cargo test --test it faults::fixture`, once per release, into a folder of that version.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tallybot::ledger::{Durability, KnownNames, Ledger, OpenCall, Options, People};
use tallybot::usage::{
    Dimension, ErrorKind, Failure, Given, KeySuffix, Kind, Money, Opening, OutputCap, RecordId, Status, Timestamp,
    UsageRecord, UsageSource, seal_line,
};
use uuid::Uuid;

use super::{DEMO, stats_of};
use crate::running::Home;

const DAY: i64 = 86_400;

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/data-v0.1")
}

/// Seconds from 2026-11-20T12:00:00, in a zone of its own offset.
fn at(secs: i64) -> Timestamp {
    Timestamp::new(1_795_176_000_000_000 + secs * 1_000_000, -6 * 3600)
}

fn open(data: &Path, now: Timestamp) -> Ledger {
    let options = Options { durability: Durability::Power, known: KnownNames::none(), follower: Box::new(()) };
    Ledger::open(data, options, Uuid::from_u128(0x7a11), now).expect("the folder opens").0
}

fn plain(n: u8, secs: i64) -> UsageRecord<'static> {
    let mut record = UsageRecord::new(RecordId::new(at(secs), [n; 10]), at(secs), "cloud".into(), "gpt-4o-mini".into());
    record.api_type = "openai".into();
    (record.tokens.prompt, record.tokens.completion) = (100 + u64::from(n), 10 + u64::from(n));
    record.latency_ms = Some(250 + u64::from(n));
    record
}

/// Every kind of line that a journal may hold.
fn every_kind(people: &People) -> Vec<(UsageRecord<'static>, i64)> {
    let mut records: Vec<UsageRecord<'static>> = Vec::new();
    for (n, status) in (1u8..).zip(Status::ALL) {
        let mut record = plain(n, i64::from(n));
        record.status = status;
        record.failure = (!status.is_ok()).then(|| Failure::http(ErrorKind::ServerError, 500));
        records.push(record);
    }
    for (n, source) in (20u8..).zip(UsageSource::ALL) {
        let mut record = plain(n, i64::from(n));
        record.usage_source = source;
        records.push(record);
    }
    let mut full = plain(30, 30);
    full.api_key_suffix = KeySuffix::of_text("wxyz");
    (full.tokens.cached, full.tokens.cache_write, full.tokens.cache_write_1h, full.tokens.reasoning) = (40, 5, 6, 7);
    (full.cost, full.price_id) = (Some(Money::parse_usd("0.012345678901").expect("money")), Some("given".into()));
    (full.user, full.session) = (Some(people.subject("terminal", "somebody")), Some(people.hash("terminal", "talk")));
    (full.feature, full.agent, full.operation) = (Some("search".into()), Some("planner".into()), Some("rank".into()));
    (full.team, full.key, full.service_tier) = (Some("sales".into()), Some("gate-1".into()), Some("flex".into()));
    (full.requested_model, full.prompt_print) = (Some("gpt-4o".into()), Some("p1".into()));
    (full.first_token_ms, full.system_tokens, full.economy) = (Some(80), Some(20), true);
    full.output_cap = Some(OutputCap { asked: Some(4096), granted: Some(1024) });
    full.source = Some(Given { name: "script".into(), id: "17".into() });
    let mut retry = plain(31, 31);
    (retry.call, retry.attempt) = (Some(full.id), 2);
    let mut other = plain(32, 32);
    other.other = vec![Dimension::Model, Dimension::Feature];
    let mut counted = plain(33, 33);
    (counted.status, counted.count, counted.tokens) = (Status::Refused, 12, Default::default());
    let mut local = plain(34, 34);
    (local.local, local.provider, local.model) = (true, "ollama".into(), "llama3.2".into());
    (local.cost, local.price_id) = (Some(Money::ZERO), Some("local".into()));
    let mut void = plain(1, 35);
    (void.id, void.kind) = (RecordId::new(at(35), [35; 10]), Kind::Void { of: records[0].id });
    records.extend([full, retry, other, counted, local, void]);
    records.into_iter().map(|record| (record, 40)).collect()
}

fn write_fixture(data: &Path) {
    // Its own folder alone, so that nothing of an older one stays.
    drop(fs::remove_dir_all(data));
    fs::create_dir_all(data).expect("a new folder");
    let people = People::open(data, [7; 32]).expect("a new folder");
    let ledger = open(data, at(0));
    for (record, now) in every_kind(&people) {
        ledger.append(&record, at(now)).expect("appended");
    }
    let opening = Opening {
        request_type: "unknown".into(),
        ok: 3,
        failed: 1,
        prompt: 700,
        completion: 1270,
        mean_latency_ms: Some(900),
        ..Opening::new("token_stats.json", at(-30 * DAY), "gemini", "gemini-2.5-flash")
    };
    ledger.add_openings(&[opening], at(50)).expect("written");
    ledger.reset(at(60)).expect("written");
    ledger.append(&plain(40, 70), at(70)).expect("appended");
    ledger.reset(at(80)).expect("written");
    ledger.undo_reset(at(90)).expect("written");
    ledger.close(at(100)).expect("closed");
    drop(ledger);
    // A day later: damage in the file of the day before, lines behind the snapshot, and a call that never ended.
    let first = crate::test_app::journal_files(data).remove(0);
    let mut content = fs::read(&first).expect("readable");
    content.extend_from_slice(b"not a line\n");
    fs::write(&first, content).expect("writable");
    let ledger = open(data, at(DAY));
    ledger.append(&plain(41, DAY), at(DAY)).expect("appended");
    ledger.open_call(&open_call()).expect("a free slot");
    ledger.sync().expect("synced");
    ledger.seal().expect("sealed");
    drop(ledger);
    people.save().expect("written");
    // Megabytes of free slots need not be kept: a shorter file is read as one whose rest is free.
    let slots = fs::File::options().write(true).open(data.join("open.slots")).expect("it is there");
    slots.set_len(4096).expect("cut");
    for passing in ["tallybot.lock", "subject.key.lock", "metrics.previous.json"] {
        drop(fs::remove_file(data.join(passing)));
    }
}

fn open_call() -> OpenCall {
    OpenCall {
        id: RecordId::new(at(DAY + 1), [50; 10]),
        admitted: at(DAY + 1),
        attempt: 1,
        call: None,
        local: false,
        free: false,
        prompt_tokens: 9,
        output_tokens: 4,
        user: None,
        session: None,
        provider: "cloud".into(),
        api_type: "openai".into(),
        model: "gpt-4o-mini".into(),
        request_type: "chat".into(),
        channel: "terminal".into(),
        feature: Some("search".into()),
        agent: Some("planner".into()),
        operation: Some("rank".into()),
        team: None,
        key: Some("mobile-backend-staging".into()),
        api_key_suffix: KeySuffix::of_text("wxyz"),
    }
}

/// A home whose books are a copy of the kept folder.
fn home_of_the_kept() -> Home {
    let home = Home::new(DEMO);
    for folder in ["", "derived"] {
        fs::create_dir(home.data().join(folder)).expect("a new folder");
        for entry in fs::read_dir(kept().join(folder)).expect("the kept folder is there") {
            let entry = entry.expect("an entry");
            if entry.path().is_file() {
                fs::copy(entry.path(), home.data().join(folder).join(entry.file_name())).expect("copied");
            }
        }
    }
    home
}

/// The parts of the statistics that no later moment changes.
fn lasting(mut stats: Value) -> Value {
    let fields = stats.as_object_mut().expect("an object");
    for passing in ["version", "status", "uptime_seconds", "started_at", "generated_at", "conversations", "limits"] {
        fields.remove(passing);
    }
    stats
}

fn instant(value: &Value) -> Option<i64> {
    Timestamp::parse(value.as_str()?).ok().map(Timestamp::unix_micros)
}

/// Whether everything that was expected is there; a newer version may say more.
fn holds(expected: &Value, found: &Value, path: &str) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (name, value) in expected {
                holds(value, found.get(name).unwrap_or(&Value::Null), &format!("{path}.{name}"));
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (n, (expected, found)) in expected.iter().zip(found).enumerate() {
                holds(expected, found, &format!("{path}[{n}]"));
            }
        }
        // A moment may be told in another zone.
        _ if instant(expected).is_some() => assert_eq!(instant(expected), instant(found), "{path}"),
        _ => assert_eq!(expected, found, "{path}"),
    }
}

#[test]
fn j5_the_folder_of_version_0_1_is_read_with_the_same_numbers_and_goes_on() {
    let expected_file = kept().with_extension("1.expected.json");
    if std::env::var_os("TALLYBOT_WRITE_FIXTURE").is_some() {
        write_fixture(&kept());
        let stats = lasting(stats_of(&home_of_the_kept()));
        fs::write(&expected_file, serde_json::to_string_pretty(&stats).expect("plain data") + "\n").expect("writable");
    }
    let expected: Value = serde_json::from_slice(&fs::read(&expected_file).expect("it is kept too")).expect("JSON");
    let home = home_of_the_kept();
    holds(&expected, &lasting(stats_of(&home)), "from the snapshot");
    for snapshot in ["metrics.json", "metrics.previous.json"] {
        drop(fs::remove_file(home.data().join(snapshot)));
    }
    holds(&expected, &lasting(stats_of(&home)), "by replay");
    let service = home.serve();
    let stats = service.ask("GET /stats", "").json();
    assert_eq!(service.stop().code(), Some(0));
    let total = |stats: &Value| stats["requests"]["total"].as_u64().expect("a number");
    assert_eq!(total(&stats), total(&expected) + 1, "the call that was open is an interrupted one now");
    assert_eq!(total(&stats_of(&home)), total(&stats));
}

#[test]
fn j5_lines_and_acts_of_a_version_to_come_are_refused_with_an_instruction_and_nothing_is_changed() {
    let newer = |text: &str, seq: u64| {
        let mut line = text.as_bytes().to_vec();
        seal_line(&mut line, 0, seq);
        line
    };
    for (file, line) in [
        ("tokens_2026-11-21.jsonl", newer("{\"v\":2,\"id\":\"from the future\"}", 1_000)),
        ("control.jsonl", newer("{\"v\":2,\"at\":\"2026-11-22T00:00:00.000000+00:00\",\"act\":\"x\"}", 1_000)),
    ] {
        let home = home_of_the_kept();
        let path = home.data().join(file);
        let mut content = fs::read(&path).expect("it is in the kept folder");
        content.extend_from_slice(&line);
        fs::write(&path, &content).expect("writable");
        for command in [&["serve"][..], &["chat"], &["stats", "--json"]] {
            let ended = home.run(command, "hello\n");
            assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""), "{file} {command:?}: {ended:?}");
            assert!(ended.err.contains(file) && ended.err.contains("newer tallybot"), "{file}: {ended:?}");
        }
        assert_eq!(fs::read(&path).expect("readable"), content, "{file} is as it was");
        let quarantine = home.data().join(format!("{file}.quarantine"));
        assert!(!quarantine.exists(), "it is no damage");
    }
}

#[test]
fn e4_counts_beyond_two_to_the_53_are_exact_in_json() {
    let home = Home::new(DEMO);
    let ledger = open(&home.data(), at(0));
    let mut record = plain(1, 0);
    (record.tokens.prompt, record.tokens.completion) = ((1 << 53) + 1, (1 << 60) + 1);
    ledger.append(&record, at(0)).expect("appended");
    ledger.close(at(1)).expect("closed");
    drop(ledger);
    let text = home.run(&["stats", "--json"], "").out;
    for exact in [(1u64 << 53) + 1, (1 << 60) + 1, (1 << 53) + (1 << 60) + 2] {
        assert!(text.contains(&format!(" {exact},")), "{exact}: {text}");
    }
    let tokens = &serde_json::from_str::<Value>(&text).expect("JSON")["tokens"];
    assert_eq!(tokens["prompt"], json!((1u64 << 53) + 1));
}
