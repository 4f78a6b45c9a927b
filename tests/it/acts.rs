//! What the owner does to the books, by the built program: in the folder, and through the service that holds it.

use std::path::Path;

use serde_json::Value;
use tallybot::ledger::{Durability, KnownNames, Ledger, Options};
use tallybot::usage::{Opening, Timestamp};

use crate::running::{Ended, Home};

const ADMIN: &str = "admin-0123456789-0123456789-0123456789";
const DEMO: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n";

fn json(ended: &Ended) -> Value {
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    serde_json::from_str(&ended.out).expect("JSON")
}

/// Requests of an epoch, its number, and of how many.
fn epoch(home: &Home, number: &str) -> (u64, u64, u64) {
    let stats = json(&home.run(&["stats", "--json", "--epoch", number], ""));
    let whole = |value: &Value| value.as_u64().expect("a whole number");
    (whole(&stats["requests"]["total"]), whole(&stats["epoch"]["number"]), whole(&stats["epoch"]["count"]))
}

fn refused(ended: &Ended, expected: &str) {
    assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.contains(expected), "`{expected}` in {ended:?}");
}

#[test]
fn a_reset_in_the_folder_is_looked_behind_and_taken_back() {
    let home = Home::new(DEMO);
    refused(&home.run(&["reset", "--undo", "--yes"], ""), "no reset to take back");
    home.run(&["chat"], "hello\n");
    refused(&home.run(&["reset", "--undo", "--yes"], ""), "there is no reset to take back");
    assert_eq!(home.run(&["reset", "--yes"], "").code(), Some(0));
    home.run(&["chat"], "one\ntwo\n");
    assert_eq!((epoch(&home, "0"), epoch(&home, "1")), ((2, 0, 2), (1, 1, 2)));
    refused(&home.run(&["stats", "--epoch", "2"], ""), "there is no epoch 2: there are 2, from 0");
    assert!(home.run(&["stats", "--epoch", "1"], "").out.contains("Epoch 1, before a reset"));
    assert!(!home.run(&["stats"], "").out.contains("Epoch"));
    let listed = json(&home.run(&["stats", "--epochs", "--json"], ""));
    let row = |at: usize| (listed[at]["number"].as_u64(), listed[at]["requests"].as_u64());
    assert_eq!((row(0), row(1)), ((Some(0), Some(2)), (Some(1), Some(1))));
    assert_eq!((&listed[0]["begin"], &listed[0]["end"]), (&listed[1]["end"], &Value::Null));
    assert_eq!(home.run(&["stats", "--epochs"], "").out.lines().count(), 3, "a head and two rows");
    refused(&home.run(&["reset", "--undo"], ""), "say --yes");
    let undone = home.run(&["reset", "--undo", "--yes"], "");
    let begin = listed[0]["begin"].as_str().expect("a time");
    assert!(undone.out.starts_with(&format!("the reset of {begin} is taken back; counting since ")), "{undone:?}");
    assert_eq!(epoch(&home, "0"), (3, 0, 1));
    refused(&home.run(&["reset", "--undo", "--yes"], ""), "there is no reset to take back");
}

#[test]
fn a_reset_that_fails_speaks_of_a_chat_only_where_one_holds_the_folder() {
    let home = Home::new(DEMO);
    home.run(&["chat"], "hello\n");
    std::fs::write(home.data().join("control.jsonl"), "{\"v\":99}\n").expect("written");
    let ended = home.run(&["reset", "--yes"], "");
    refused(&ended, "control.jsonl");
    assert!(!ended.err.contains("/reset_stats"), "{ended:?}");
}

#[test]
fn a_reset_over_http_is_looked_behind_and_taken_back_by_whoever_asks_the_service() {
    let home = Home::new(DEMO).with_env("TALLYBOT_ADMIN_TOKEN", ADMIN);
    let service = home.serve();
    let item = r#"{"model":"m","prompt_tokens":1,"completion_tokens":1}"#;
    let requests = |target: &str| service.ask(&format!("GET {target}"), "").json()["requests"]["total"].as_u64();
    service.post("/v1/usage", ADMIN, item);
    for (undo, by_shell) in [("/metrics/reset?undo=true&lang=es", false), ("", true)] {
        let reset = service.post("/metrics/reset", ADMIN, "").json();
        service.post("/v1/usage", ADMIN, item);
        let (now, before) = (requests("/stats"), requests("/stats?epoch=1&period=today"));
        assert_eq!(now, Some(1));
        let wrong = service.ask("GET /stats?epoch=2", "");
        assert_eq!((wrong.status(), wrong.json()["error"]["allowed"].clone()), (400, serde_json::json!(["0", "1"])));
        if by_shell {
            let ended = home.run(&["reset", "--undo", "--yes"], "");
            assert!(ended.out.contains(reset["counting_since"].as_str().expect("a time")), "{ended:?}");
        } else {
            assert_eq!(service.post(undo, "", "").status(), 401, "not without the token");
            let undone = service.post(undo, ADMIN, "").json();
            assert_eq!(undone["undone"], reset["counting_since"]);
            assert!(undone["message"].as_str().expect("a sentence").contains("reinicio"), "{undone}");
        }
        assert_eq!(requests("/stats"), before.map(|before| before + 1));
    }
    let nothing = service.post("/metrics/reset?undo=true", ADMIN, "");
    assert_eq!((nothing.status(), nothing.code().as_str()), (409, "nothing_to_undo"));
    refused(&home.run(&["reset", "--undo", "--yes"], ""), "there is no reset to take back");
    assert_eq!(service.stop().code(), Some(0));
    assert_eq!(home.records().len(), 3, "no record was touched");
}

fn take_over(data: &Path, at: Timestamp) {
    let options = Options { durability: Durability::Power, known: KnownNames::none(), follower: Box::new(()) };
    let (ledger, _) = Ledger::open(data, options, uuid::Uuid::from_u128(1), at).expect("the folder opens");
    let mut opening = Opening::new("metrics.json", at, "gemini", "gemini-2.5-flash");
    (opening.ok, opening.failed, opening.prompt, opening.completion) = (240, 3, 96_300, 32_150);
    (opening.cost_usd, opening.mean_latency_ms) = (tallybot::usage::Money::parse_usd("0.41").ok(), Some(2450));
    ledger.add_openings(&[opening], at).expect("written");
    ledger.close(at).expect("closed");
}

#[test]
fn opening_balances_are_counted_and_said_to_be_imported() {
    let home = Home::new(DEMO);
    take_over(&home.data(), Timestamp::parse("2026-02-05T06:01:47-06:00").expect("a time"));
    home.run(&["chat"], "hello\n");
    let stats = json(&home.run(&["stats", "--json"], ""));
    assert_eq!(stats["imported"], serde_json::json!({"requests": 243, "tokens": 128_450}));
    assert_eq!((&stats["requests"]["total"], &stats["requests"]["failed"]), (&244.into(), &3.into()));
    let latency = &stats["latency_ms"];
    assert!(latency["mean"].as_u64() > Some(2400) && latency["p99"].as_u64() < Some(2400), "{latency}");
    assert_eq!(stats["cost"]["usd"], "0.41");
    let models = stats["models"].as_array().expect("rows");
    let imported = |model: &Value| model["imported"]["requests"].as_u64().expect("a number");
    assert_eq!(models.iter().map(imported).collect::<Vec<_>>(), [243, 0], "{models:?}");
    let consolidated = std::fs::read(home.data().join("token_stats.json")).expect("it is there");
    let consolidated: Value = serde_json::from_slice(&consolidated).expect("JSON");
    let flash = &consolidated["gemini"]["gemini-2.5-flash"];
    assert_eq!((&flash["total_requests"], &flash["total_tokens"]), (&243.into(), &128_450.into()), "{consolidated}");
    for (view, words) in [("overview", "Imported totals: 243 requests"), ("models", "of these imported: 243 requests")]
    {
        let screen = home.run(&["stats", "--view", view], "").out;
        assert_eq!(screen.matches(words).count(), 1, "{screen}");
    }
}
