//! `tallybot import`: every form there is, once and again, grown, damaged, alone and beside a running tallybot.

use std::path::PathBuf;

use serde_json::Value;

use crate::running::{Ended, Home};

use tallybot::usage::{Given, Opening, RecordId, Timestamp, UsageRecord, seal_line, write_record};

pub const DEMO: &str = "timezone = \"America/Mexico_City\"\n[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\n\
                    kind = \"demo\"\n";

pub const LOG: &str = include_str!("fixtures/token-log/tokens_2025-02-05.jsonl");
pub const TOKEN_STATS: &str = include_str!("fixtures/token-log/token_stats.json");
const REPORT: &str = include_str!("fixtures/session-report/report.json");
pub const METRICS: &str = include_str!("fixtures/raymundo/metrics.json");

pub fn import(home: &Home, paths: &[&PathBuf]) -> (Ended, Value) {
    let paths = paths.iter().map(|path| path.to_str().expect("text"));
    let arguments: Vec<&str> = ["import", "--json"].into_iter().chain(paths).collect();
    let ended = home.run(&arguments, "");
    let summary = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    (ended, summary)
}

pub fn stats(home: &Home) -> Value {
    let ended = home.run(&["stats", "--json"], "");
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// Input, output, all requests, those that failed.
pub fn sums(stats: &Value) -> [u64; 4] {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value} in {stats}"));
    let (tokens, requests) = (&stats["tokens"], &stats["requests"]);
    [&tokens["prompt"], &tokens["completion"], &requests["total"], &requests["failed"]].map(number)
}

pub fn counts(summary: &Value) -> [u64; 4] {
    ["calls", "new", "already_there", "bad_lines"].map(|name| summary[name].as_u64().expect(name))
}

/// What a token log's example comes to.
pub const EXAMPLE: [u64; 4] = [700, 1270, 4, 1];

#[test]
fn a_token_log_comes_over_once_whatever_is_done_again() {
    let home = Home::new(DEMO);
    let log = home.input("tokens_2025-02-05.jsonl", LOG);
    let (ended, summary) = import(&home, &[&log]);
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""));
    assert_eq!(counts(&summary), [4, 4, 0, 0]);
    assert_eq!(sums(&stats(&home)), EXAMPLE);
    let records = home.records();
    assert!(records.iter().all(|record| record["channel"] == "import" && record["source"]["name"] == "token-log"));
    assert_eq!(records[0]["timestamp"], "2025-02-05T12:01:47.127728-06:00", "the owner's clock");
    assert_eq!(
        (&records[0]["api_key_suffix"], &records[3]["error_message"]),
        (&"c123".into(), &"rate_limited 429".into())
    );
    assert_eq!(counts(&import(&home, &[&log]).1), [4, 0, 4, 0]);
    // The same log elsewhere, grown by a new call and one that equals an earlier one.
    let first = LOG.lines().next().expect("four lines");
    let grown = home.input("a-copy.jsonl", &format!("{LOG}{first}\n{}\n", first.replace("12:01:47", "12:01:49")));
    assert_eq!(counts(&import(&home, &[&grown, &log]).1), [10, 2, 8, 0]);
    assert_eq!(sums(&stats(&home)), [1000, 1910, 6, 1]);
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let home = Home::new(DEMO);
    let log = home.input("tokens_2025-02-05.jsonl", LOG);
    let log = log.to_str().expect("text");
    let ended = home.run(&["import", "--dry-run", log], "");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""));
    assert!(ended.out.contains("new                          4") && ended.out.contains("dry run"), "{}", ended.out);
    assert!(!home.data().exists());
}

#[test]
fn a_total_beside_its_calls_adds_the_difference_and_calls_that_come_later_take_it_back() {
    let home = Home::new(DEMO);
    let totals = home.input("token_stats.json", TOKEN_STATS);
    let (ended, summary) = import(&home, &[&totals]);
    assert_eq!((ended.code(), counts(&summary), &summary["totals"]), (Some(0), [0; 4], &2.into()));
    assert_eq!((&summary["openings_added"], sums(&stats(&home))), (&2.into(), EXAMPLE));
    assert_eq!(import(&home, &[&totals]).1["openings_added"], 0);
    assert_eq!(sums(&stats(&home)), EXAMPLE, "again adds nothing");
    let lines: Vec<&str> = LOG.lines().collect();
    let part = home.input("tokens_2025-02-05.jsonl", &format!("{}\n{}\n", lines[0], lines[3]));
    let (_, summary) = import(&home, &[&part]);
    assert_eq!((counts(&summary), &summary["openings_taken_back"]), ([2, 2, 0, 0], &1.into()));
    assert_eq!(sums(&stats(&home)), EXAMPLE, "its own calls were in the total");
    let whole = home.input("tokens_2025-02-05.jsonl", LOG);
    import(&home, &[&whole, &totals]);
    assert_eq!(sums(&stats(&home)), EXAMPLE);
    assert_eq!(home.records().len(), 4);
    // Beside each other from the start, and in one folder.
    let other = Home::new(DEMO);
    let folder = home.path("inputs");
    let (_, summary) = import(&other, &[&folder]);
    assert_eq!((&summary["files"], &summary["openings_added"]), (&2.into(), &0.into()));
    assert_eq!(sums(&stats(&other)), EXAMPLE);
}

#[test]
fn a_total_that_is_lower_than_before_is_told_and_takes_nothing_away() {
    let home = Home::new(DEMO);
    import(&home, &[&home.input("token_stats.json", TOKEN_STATS)]);
    let lower = home.input("token_stats.json", &TOKEN_STATS.replace("450", "150"));
    let (ended, summary) = import(&home, &[&lower]);
    assert_eq!(
        (ended.code(), &summary["fallen_totals"]),
        (Some(1), &serde_json::json!(["token-log of gemini/gemini-2.5-flash"]))
    );
    assert!(ended.err.contains("--source"), "{ended:?}");
    assert_eq!(sums(&stats(&home)), EXAMPLE);
    let named = home.run(&["import", "--source", "other-machine", lower.to_str().expect("text")], "");
    assert_eq!(named.code(), Some(0), "{named:?}");
    assert_eq!(sums(&stats(&home)), [1100, 2540, 8, 2], "another program's totals stand beside");
}

#[test]
fn a_session_report_keeps_its_costs_and_its_totals() {
    let home = Home::new(DEMO);
    let report = home.input("session.json", REPORT);
    let (ended, summary) = import(&home, &[&report]);
    assert_eq!((ended.code(), counts(&summary)), (Some(0), [1, 1, 0, 0]));
    let after = stats(&home);
    assert_eq!(sums(&after), [22_000, 10_000, 7, 0]);
    assert_eq!(after["cost"]["usd"], "0.124", "to the last digit, as its source says");
    let record = &home.records()[0];
    assert_eq!((&record["cost_usd"], &record["price_id"]), (&"0.032".into(), &"given".into()));
    assert_eq!((&record["agent"], &record["operation"]), (&"need_analysis".into(), &"analyze_needs".into()));
    import(&home, &[&report]);
    assert_eq!(stats(&home)["cost"]["usd"], "0.124");
}

#[test]
fn raymundos_metrics_become_opening_balances() {
    let home = Home::new(DEMO);
    let metrics = home.input("metrics.json", METRICS);
    let (ended, _) = import(&home, &[&metrics]);
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""));
    let after = stats(&home);
    let [prompt, completion, requests, failed] = sums(&after);
    assert_eq!((prompt + completion, requests, failed), (173_680, 247, 3));
    assert_eq!((&after["requests"]["by_type"]["document"], &after["tokens"]["local"]), (&25.into(), &45_230.into()));
    assert_eq!(after["latency_ms"]["mean"], 2450);
    import(&home, &[&metrics]);
    assert_eq!(sums(&stats(&home)), [prompt, completion, requests, failed]);
    // It went on counting, then was started anew: a start is a source of its own.
    import(&home, &[&home.input("metrics.json", &METRICS.replace("247", "250"))]);
    assert_eq!(sums(&stats(&home))[2], 250);
    import(&home, &[&home.input("metrics.json", &METRICS.replace("2024-01-13", "2024-02-13"))]);
    assert_eq!(sums(&stats(&home))[2], 497);
    let named = home.run(&["import", "--format", "raymundo", metrics.to_str().expect("text")], "");
    assert_eq!(named.code(), Some(0), "by the name that `export` has for it: {named:?}");
}

/// A home in which calls were recorded and totals taken over.
pub fn other_machine() -> Home {
    let home = Home::new(DEMO);
    for (model, cost) in [("llama3.2", "0"), ("nobody-knows", "0.5"), ("unpriced", "")] {
        let cost = format!("--cost-usd={cost}");
        let mut arguments =
            vec!["log", "--prompt-tokens", "10", "--completion-tokens", "5", "--model", model, "--user", "ana"];
        arguments.extend(Some(cost.as_str()).filter(|cost| cost.len() > 11));
        assert_eq!(home.run(&arguments, "").code(), Some(0));
    }
    import(&home, &[&home.input("token_stats.json", TOKEN_STATS)]);
    home
}

#[test]
fn another_tallybots_books_come_over_as_they_are() {
    let (there, home) = (other_machine(), Home::new(DEMO));
    let data = there.data();
    let (ended, summary) = import(&home, &[&data]);
    assert_eq!((ended.code(), counts(&summary), &summary["openings_added"]), (Some(0), [3, 3, 0, 0], &2.into()));
    let bare = |mut record: Value| {
        let fields = record.as_object_mut().expect("an object");
        ["seq", "crc", "source"].iter().for_each(|name| drop(fields.remove(*name)));
        record
    };
    let ours: Vec<Value> = home.records().into_iter().map(bare).collect();
    assert_eq!(ours, there.records().into_iter().map(bare).collect::<Vec<_>>(), "ids, costs, unknown prices, people");
    assert_eq!(sums(&stats(&home)), sums(&stats(&there)));
    assert_eq!(stats(&home)["cost"], stats(&there)["cost"]);
    let (_, again) = import(&home, &[&data]);
    assert_eq!((counts(&again), &again["openings_added"]), ([3, 0, 3, 0], &0.into()));
    // It goes on there, and a total's calls arrive: what is taken back there is taken back here.
    assert_eq!(there.run(&["log", "--prompt-tokens", "1"], "").code(), Some(0));
    import(&there, &[&there.input("tokens_2025-02-05.jsonl", LOG)]);
    let (_, grown) = import(&home, &[&data]);
    assert_eq!(counts(&grown), [8, 5, 3, 0]);
    assert_eq!(sums(&stats(&home)), sums(&stats(&there)));
    let (_, own) = import(&home, &[&home.data()]);
    assert_eq!((counts(&own)[1], &own["openings_added"]), (0, &0.into()), "its own books are no news");
}

#[test]
fn equal_ids_of_two_tallybots_are_two_calls() {
    let (there, home) = (Home::new(DEMO), Home::new(DEMO));
    for (of, tokens) in [(&there, "10"), (&home, "7")] {
        let ended = of.run(&["log", "--prompt-tokens", tokens, "--id", "r-1"], "");
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert_eq!(of.records()[0]["source"], serde_json::json!({"name": "api", "id": "r-1"}));
    }
    assert_eq!(counts(&import(&home, &[&there.data()]).1), [1, 1, 0, 0]);
    assert_eq!(counts(&import(&home, &[&there.data()]).1), [1, 0, 1, 0]);
    assert_eq!(sums(&stats(&home)), [17, 0, 2, 0]);
}

#[test]
fn damaged_lines_are_told_by_number_and_hinder_no_other() {
    let home = Home::new(DEMO);
    let mut text = LOG.as_bytes().to_vec();
    text.extend_from_slice(b"{\"model\":\"\xff\xfe\"}\n");
    text.extend_from_slice(&b"x".repeat(10 * 1024 * 1024));
    text.extend_from_slice(b"\n{\"timestamp\":\"2025-02-05T12:01:47\",\"prompt_tokens\":-1}\nSECRET\n");
    for _ in 0..30 {
        text.extend_from_slice(b"{\"prompt_tokens\":1,\"completion_tokens\":1}\n");
    }
    text.extend_from_slice(&LOG.as_bytes()[..100]);
    let path = home.path("inputs/tokens_2025-02-05.jsonl");
    std::fs::write(&path, text).expect("written");
    let (ended, summary) = import(&home, &[&path]);
    assert_eq!((ended.code(), counts(&summary)), (Some(1), [4, 4, 0, 35]));
    let lines: Vec<u64> =
        summary["bad"].as_array().expect("a list").iter().filter_map(|bad| bad["line"].as_u64()).collect();
    assert_eq!(lines, (5..40).collect::<Vec<_>>());
    assert_eq!(ended.err.lines().count(), 21, "twenty, and how many more");
    assert!(
        ended.err.contains("tokens_2025-02-05.jsonl:7: `prompt_tokens`") && !ended.err.contains("SECRET"),
        "{}",
        ended.err
    );
    assert_eq!(sums(&stats(&home)), EXAMPLE);
    let there = other_machine();
    let journal = there.written().into_iter().find(|(path, _)| crate::running::is_journal(path)).expect("a journal");
    std::fs::write(&journal.0, String::from_utf8_lossy(&journal.1).replacen(":10,", ":90,", 1)).expect("written");
    let (ended, summary) = import(&home, &[&there.data()]);
    assert_eq!((ended.code(), counts(&summary)), (Some(1), [2, 2, 0, 1]), "{ended:?}");
    assert!(ended.err.contains(":1: the checksum does not match"), "{}", ended.err);
}

#[test]
fn a_running_tallybot_takes_it_all_and_shows_it_at_once() {
    let token = "an-admin-token-of-more-than-32-characters";
    let (there, home) = (other_machine(), Home::new(DEMO).with_env("TALLYBOT_ADMIN_TOKEN", token));
    let serving = home.serve();
    let folder = home.path("inputs/logs");
    std::fs::create_dir(&folder).expect("a new folder");
    for (name, text) in [
        ("tokens_2025-02-05.jsonl", LOG),
        ("token_stats.json", TOKEN_STATS),
        ("report.json", REPORT),
        ("metrics.json", METRICS),
        ("package.json", "{\"name\":\"something else\"}"),
    ] {
        home.input(&format!("logs/{name}"), text);
    }
    let (ended, summary) = import(&home, &[&folder, &there.data()]);
    assert_eq!((ended.code(), counts(&summary)), (Some(0), [8, 8, 0, 0]), "{ended:?}");
    assert_eq!(summary["through"], format!("http://127.0.0.1:{}", serving.port()));
    let shown = serving.ask("GET /stats", "").json();
    let expected =
        [EXAMPLE[0] + 22_000 + 128_450 + 730, EXAMPLE[1] + 10_000 + 45_230 + 1285, 4 + 7 + 247 + 7, 1 + 3 + 1];
    assert_eq!(sums(&shown), expected);
    let (_, again) = import(&home, &[&folder, &there.data()]);
    assert_eq!((counts(&again), &again["openings_added"]), ([8, 0, 8, 0], &0.into()));
    assert_eq!(sums(&serving.ask("GET /stats", "").json()), expected);
    let answer = serving.post("/v1/import", token, "{\"v\":1}\n{\"opening\":{}}");
    assert_eq!((answer.status(), answer.code()), (400, "all_rejected".to_owned()));
    assert_eq!(serving.post("/v1/import", "wrong", "{}").status(), 401);
    assert_eq!(serving.stop().code(), Some(0));
    assert_eq!(sums(&stats(&home)), expected);
}

/// A record of one input token as another tallybot writes it, changed.
fn their_line(random: u8, change: impl FnOnce(&mut UsageRecord<'static>)) -> String {
    let at = Timestamp::parse("2026-02-05T06:01:47.127728-06:00").expect("a time");
    let mut record = UsageRecord::new(RecordId::new(at, [random; 10]), at, "ollama".into(), "llama3.2".into());
    record.tokens.prompt = 1;
    record.source = Some(Given { name: "elsewhere".into(), id: format!("r-{random}").into() });
    change(&mut record);
    let mut line = Vec::new();
    write_record(&record, &mut line);
    String::from_utf8(line).expect("JSON") + "\n"
}

/// The same as a line of its journal.
fn sealed(line: &str, seq: u64) -> String {
    let mut line = line.trim_end().as_bytes().to_vec();
    seal_line(&mut line, 0, seq);
    String::from_utf8(line).expect("JSON")
}

#[test]
fn what_is_told_of_times_to_come_hides_nothing_that_is_counted_after_a_reset() {
    let token = "an-admin-token-of-more-than-32-characters";
    let home = Home::new(DEMO).with_env("TALLYBOT_ADMIN_TOKEN", token);
    let to_come = Timestamp::parse("2099-12-31T23:00:00.000000-05:00").expect("a time");
    let mut opening = Opening::new("elsewhere", to_come, "ollama", "llama3.2");
    opening.ok = 3;
    let opening = serde_json::json!({ "opening": opening }).to_string();
    let file = home.input("tokens_2099-12-31.jsonl", &sealed(&their_line(2, |record| record.timestamp = to_come), 1));
    assert_eq!(counts(&import(&home, &[&file]).1), [1, 1, 0, 0]);
    let serving = home.serve();
    let lines = their_line(1, |record| record.timestamp = to_come) + &opening;
    assert_eq!(serving.post("/v1/import", token, &lines).json()["accepted"], 2);
    let record = &home.records()[0];
    let time = record["timestamp"].as_str().expect("a text");
    assert!(!time.starts_with("2099") && time.ends_with("-05:00"), "{time}");
    assert_eq!(sums(&serving.ask("GET /stats", "").json())[2], 5);
    assert_eq!(serving.post("/metrics/reset", token, "").status(), 200);
    let since = serving.ask("GET /stats", "").json()["counting_since"].as_str().expect("a text").to_owned();
    assert!(!since.starts_with("2099"), "{since}");
    assert_eq!(serving.post("/v1/usage", token, r#"{"model":"m","prompt_tokens":7}"#).status(), 200);
    assert_eq!(sums(&serving.ask("GET /stats", "").json()), [7, 0, 1, 0]);
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn what_can_be_read_only_once_is_refused_and_not_taken_for_empty() {
    let home = Home::new(DEMO);
    for arguments in [&["import", "/dev/stdin"][..], &["import", "--format", "token-log", "/dev/stdin"]] {
        let ended = home.run(arguments, LOG);
        assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains("`/dev/stdin`") && ended.err.contains("write it to a file first"), "{ended:?}");
    }
    assert!(!home.data().exists(), "nothing was begun");
}

#[test]
fn what_cannot_be_looked_at_in_a_folder_is_told() {
    let home = Home::new(DEMO);
    home.input("tokens_2025-02-05.jsonl", LOG);
    let folder = home.path("inputs");
    std::os::unix::fs::symlink("nowhere", folder.join("tokens_2025-02-06.jsonl")).expect("a link");
    let (ended, summary) = import(&home, &[&folder]);
    assert_eq!((ended.code(), counts(&summary)), (Some(1), [4, 4, 0, 1]), "{ended:?}");
    assert!(ended.err.contains("a file in it cannot be looked at"), "{ended:?}");
}

#[test]
fn what_a_tallybot_made_from_its_books_is_not_taken_for_another_programs() {
    let home = Home::new(DEMO);
    import(&home, &[&home.input("tokens_2025-02-05.jsonl", LOG)]);
    let (before, out) = (sums(&stats(&home)), home.path("inputs/exported"));
    std::fs::create_dir_all(&out).expect("a new folder");
    std::fs::copy(home.data().join("token_stats.json"), out.join("ours.json")).expect("copied");
    for (format, name) in [("raymundo", "metrics.json"), ("jsonl", "all.jsonl")] {
        let file = out.join(name);
        let ended = home.run(&["export", "--format", format, "-o", file.to_str().expect("text")], "");
        assert_eq!(ended.code(), Some(0), "{ended:?}");
    }
    for name in ["ours.json", "metrics.json", "all.jsonl", ""] {
        let ended = home.run(&["import", out.join(name).to_str().expect("text")], "");
        let expected = if name.is_empty() { "nothing to import in" } else { "was made by a tallybot from its books" };
        assert_eq!(ended.code(), Some(1), "{name}: {ended:?}");
        assert!(ended.err.contains(expected), "{name}: {ended:?}");
    }
    assert_eq!(sums(&stats(&home)), before);
}

#[test]
fn what_is_nothing_to_import_is_said_before_anything_is_made() {
    let home = Home::new(DEMO);
    let other = home.input("package.json", "{\"name\":\"something else\"}");
    let empty = home.path("run/tmp");
    for (arguments, code, expected) in [
        (vec!["import"], 2, "PATH"),
        (vec!["import", "nowhere"], 2, "there is no `nowhere`"),
        (vec!["import", "--format", "csv", "x"], 2, "expected token-log"),
        (vec!["import", "--source", "two words", "x"], 2, "expected 1 to 64 letters"),
        (vec!["import", other.to_str().expect("text")], 1, "cannot tell what"),
        (vec!["import", empty.to_str().expect("text")], 1, "nothing to import in"),
    ] {
        let ended = home.run(&arguments, "");
        assert_eq!((ended.code(), ended.out.as_str()), (Some(code), ""), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(expected), "{arguments:?}: {ended:?}");
    }
    assert!(!home.data().exists(), "nothing was begun");
}
