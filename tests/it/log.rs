//! `tallybot log`: `log_tokens` of a token log, from a shell, alone on a folder and beside a running tallybot.

use std::io::Write;

use crate::running::{Ended, Home, free_port};

const DEMO: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n";

/// A token log's example: four calls, one of them failed.
const EXAMPLE: [&[&str]; 4] = [
    &["--prompt-tokens", "150", "--completion-tokens", "320", "--model", "gemini-2.5-flash"],
    &["--prompt-tokens", "200", "--completion-tokens", "450", "--model", "gemini-2.5-flash"],
    &["--prompt-tokens", "100", "--completion-tokens", "0", "--model", "gemini-2.5-flash", "--error", "429 Quota"],
    &["--prompt-tokens", "250", "--completion-tokens", "500", "--model", "gemini-2.5-flash-lite"],
];

fn log(home: &Home, arguments: &[&str]) -> Ended {
    home.run(&[&["log", "--api", "gemini"], arguments].concat(), "")
}

fn stats(home: &Home) -> serde_json::Value {
    let ended = home.run(&["stats", "--json"], "");
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// The numbers that a token log's summary shows for its example.
fn assert_the_example(stats: &serde_json::Value) {
    let tokens = &stats["tokens"];
    assert_eq!((&tokens["prompt"], &tokens["completion"], &tokens["total"]), (&700.into(), &1270.into(), &1970.into()));
    let requests = &stats["requests"];
    assert_eq!((&requests["total"], &requests["ok"], &requests["failed"]), (&4.into(), &3.into(), &1.into()));
    let rows = stats["models"].as_array().expect("rows").iter();
    let mut rows: Vec<_> = rows
        .map(|row| {
            let number = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("{name}: {row}"));
            let model = row["model"].as_str().expect("a name");
            assert_eq!(row["api_type"], "gemini");
            (model, number("prompt_tokens"), number("completion_tokens"), number("requests"), number("failed"))
        })
        .collect();
    rows.sort_unstable();
    assert_eq!(rows, [("gemini-2.5-flash", 450, 770, 3, 1), ("gemini-2.5-flash-lite", 250, 500, 1, 0)]);
}

#[test]
fn the_documents_example_gives_the_documents_numbers() {
    let home = Home::new(DEMO);
    for call in EXAMPLE {
        let ended = log(&home, call);
        assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
        assert!(ended.out.starts_with(&format!("recorded {} + {} tokens of gemini/", call[1], call[3])), "{ended:?}");
        assert!(ended.out.contains(", $0.0"), "what it cost, exactly: {ended:?}");
    }
    assert_the_example(&stats(&home));
    assert!(home.records().iter().all(|record| record["channel"] == "shell"));
}

#[test]
fn a_running_tallybot_takes_the_calls_and_counts_them_at_once() {
    let home = Home::new(DEMO);
    let serving = home.serve();
    for call in EXAMPLE {
        let ended = log(&home, call);
        assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
        assert!(ended.out.contains(&format!(", through http://127.0.0.1:{}\n", serving.port())), "{ended:?}");
        assert!(ended.out.contains(", $0.0"), "what it cost, exactly: {ended:?}");
    }
    assert_the_example(&serving.ask("GET /stats", "").json());
    assert!(home.records().iter().all(|record| record["channel"] == "shell"));
    assert_eq!(serving.stop().code(), Some(0));
    assert_the_example(&stats(&home));
}

#[test]
fn a_service_with_tokens_is_asked_with_the_admins() {
    let token = "an-admin-token-of-more-than-32-characters";
    let home = Home::new(DEMO).with_env("TALLYBOT_ADMIN_TOKEN", token);
    let home = home.with_env("TALLYBOT_READ_TOKEN", "a-read-token-of-more-than-32-characters!");
    let serving = home.serve();
    assert_eq!(log(&home, EXAMPLE[0]).code(), Some(0));
    drop(home.records());
    let wrong = home.with_env("TALLYBOT_ADMIN_TOKEN", "another-token-of-more-than-32-characters");
    let ended = log(&wrong, EXAMPLE[0]);
    assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains("cannot write through http://127.0.0.1:") && ended.err.contains("401"), "{ended:?}");
    drop(serving);
}

#[test]
fn a_service_that_is_stopping_is_to_be_asked_again() {
    let home = Home::new(DEMO);
    assert_eq!(log(&home, EXAMPLE[0]).code(), Some(0));
    let held = std::fs::OpenOptions::new().write(true).open(home.data().join("tallybot.lock")).expect("it is there");
    held.lock().expect("nobody holds it");
    held.set_len(0).expect("written");
    let listen = format!("127.0.0.1:{}", free_port());
    let holder = serde_json::json!({ "pid": 7, "started_at": "2026-11-22T12:00:00Z", "listen": listen }).to_string();
    (&held).write_all(holder.as_bytes()).expect("written");
    let ended = log(&home, EXAMPLE[0]);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.err.contains("process 7 holds") && ended.err.contains("try again in a moment"), "{ended:?}");
}

#[test]
fn every_field_reaches_the_record_and_nothing_private_does() {
    let home = Home::new(DEMO);
    let arguments = [
        "--model",
        "gemini-2.5-flash",
        "--prompt-tokens",
        "100",
        "--completion-tokens",
        "7",
        "--cached-tokens",
        "3",
        "--reasoning-tokens",
        "2",
        "--api-key-suffix",
        "AIzaSy-SECRET-abc1",
        "--error",
        "SECRET prompt was refused: 503",
        "--metadata",
        "article_id=123",
        "--metadata",
        "category=tech",
        "--metadata",
        "deep={\"a\":[1]}",
        "--metadata",
        "e=",
        "--provider",
        "google",
        "--type",
        "document",
        "--feature",
        "f",
        "--agent",
        "a",
        "--operation",
        "o",
        "--team",
        "t",
        "--user",
        "SECRET-person",
        "--session",
        "SECRET-talk",
        "--first-token-ms",
        "9",
        "--cost-usd",
        "0.000000000001",
        "--timestamp",
        "2026-02-05T12:01:47.127728",
        "--id",
        "r-1",
        "--source",
        "mine",
        "--service-tier",
        "flex",
    ];
    let ended = log(&home, &[&arguments[..], &["--json"]].concat());
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let said: serde_json::Value = serde_json::from_str(&ended.out).expect("JSON");
    let records = home.records();
    let record = &records[0];
    assert_eq!((&said["id"], &said["new"], &said["through"]), (&record["id"], &true.into(), &serde_json::Value::Null));
    for (field, expected) in [
        ("api_key_suffix", "abc1"),
        ("error_message", "overloaded 503"),
        ("status", "error"),
        ("provider", "google"),
        ("request_type", "document"),
        ("feature", "f"),
        ("agent", "a"),
        ("operation", "o"),
        ("team", "t"),
        ("cost_usd", "0.000000000001"),
        ("price_id", "given"),
        ("timestamp", "2026-02-05T12:01:47.127728+00:00"),
        ("service_tier", "flex"),
        ("channel", "shell"),
    ] {
        assert_eq!(record[field], expected, "{field}");
    }
    let metadata = serde_json::json!({ "article_id": 123, "category": "tech", "deep": { "a": [1] }, "e": "" });
    assert_eq!(record["metadata"], metadata);
    assert_eq!(record["latency_ms"], serde_json::Value::Null, "what nobody said is not known");
    assert_eq!(record["source"], serde_json::json!({ "name": "mine", "id": "r-1" }));
    let of_books = home.written().into_iter().filter(|(path, _)| !path.ends_with("people.json"));
    for (path, bytes) in of_books {
        assert!(!String::from_utf8_lossy(&bytes).contains("SECRET"), "{}", path.display());
    }
    let again = log(&home, &arguments);
    assert_eq!(again.code(), Some(0));
    assert!(again.out.starts_with("already there"), "{again:?}");
    assert_eq!(home.records().len(), 1);
}

#[test]
fn what_is_not_said_is_unknown_and_what_is_wrong_is_told_before_anything_is_made() {
    let home = Home::new(DEMO);
    let large = format!("k={}", "x".repeat(5000));
    for (arguments, expected) in [
        (&["log"][..], "--prompt-tokens"),
        (&["log", "--prompt-tokens", "-1"], "-1"),
        (&["log", "--prompt-tokens", "1", "--cached-tokens", "2"], "the slices are larger than their totals"),
        (&["log", "--prompt-tokens", "1", "--metadata", "novalue"], "expected KEY=VALUE"),
        (&["log", "--prompt-tokens", "1", "--metadata", &large], "4096 bytes"),
        (&["log", "--prompt-tokens", "1", "--timestamp", "yesterday"], "`timestamp` is a text that is not valid here"),
        (&["log", "--prompt-tokens", "1", "--cost-usd=-1"], "`cost_usd`"),
        (&["log", "--prompt-tokens", "1", "--source", "mine"], "--id"),
        (&["log", "--prompt-tokens", "1", "--status", "ok", "--error", "timeout"], "expected one of the two"),
        (
            &["log", "--prompt-tokens", "1", "--latency-ms", "5", "--first-token-ms", "6"],
            "`first_token_ms` is more than",
        ),
        (&["log", "--status", "cached", "--error", "xxxx"], "`error_message` says that the call failed"),
    ] {
        let ended = home.run(arguments, "");
        assert_eq!((ended.code(), ended.out.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(expected) && !ended.err.contains("xxxx"), "{arguments:?}: {ended:?}");
        assert!(["tallybot: ", "error: "].iter().any(|name| ended.err.starts_with(name)), "{arguments:?}: {ended:?}");
    }
    assert!(!home.data().exists(), "nothing was begun");
    let ended = home.run(&["log", "--prompt-tokens", "5"], "");
    assert_eq!(ended.out, "recorded 5 + 0 tokens of unknown/unknown, cost unknown\n");
    let records = home.records();
    let record = &records[0];
    assert_eq!((&record["usage_source"], &record["cost_usd"]), (&"partial".into(), &serde_json::Value::Null));
}

#[test]
fn many_at_once_wait_for_each_other() {
    let home = Home::new(DEMO);
    let running: Vec<_> = (0..8).map(|_| home.start(&[&["log"], EXAMPLE[0]].concat())).collect();
    for one in running {
        let ended = one.wait();
        assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    }
    assert_eq!(home.records().len(), 8);
}

#[test]
fn what_a_running_tallybot_recorded_is_said_as_whole_as_without_it() {
    let home = Home::new(DEMO);
    let said = || {
        let ended = log(&home, &[EXAMPLE[0], &["--json"]].concat());
        assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
        serde_json::from_str::<serde_json::Value>(&ended.out).expect("JSON")
    };
    let alone = said();
    let serving = home.serve();
    let through = said();
    for name in ["cost_usd", "price_id", "total_tokens", "status"] {
        assert_eq!((&alone[name], alone[name].is_null()), (&through[name], false), "{name}");
    }
    let records = home.records();
    for (said, record) in [alone, through].iter().zip(&records) {
        assert_eq!((&said["id"], &said["timestamp"]), (&record["id"], &record["timestamp"]));
    }
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn a_time_to_come_is_recorded_as_now_and_said_to_be() {
    let home = Home::new(DEMO);
    let arguments = ["--prompt-tokens", "1", "--timestamp", "2099-02-05T12:00:00Z"];
    let serving = home.serve();
    let through = log(&home, &arguments);
    assert_eq!(serving.stop().code(), Some(0));
    for ended in [through, log(&home, &arguments)] {
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let expected = "tallybot: the time of the call, 2099-02-05T12:00:00.000000+00:00, is in the future; it was \
                        recorded as of now\n";
        assert_eq!(ended.err, expected);
    }
    assert!(home.records().iter().all(|record| !record["timestamp"].as_str().expect("a text").starts_with("2099")));
    assert_eq!(log(&home, &["--prompt-tokens", "1", "--timestamp", "2025-02-05T12:00:00Z"]).err, "");
}
