//! Prices at work in the built program: worked costs in the books, the price book looked at and checked, lists of others
//! taken and taken back, recorded calls priced again.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::providers::{Reply, ScriptedProvider, openai};
use crate::running::{Ended, Home, until};

const LITELLM: &str = include_str!("fixtures/prices/litellm.json");
const GENAI: &str = include_str!("fixtures/prices/genai.json");

const DEMO: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n";

fn run(home: &Home, command: &str) -> Ended {
    home.run(&command.split_whitespace().collect::<Vec<_>>(), "")
}

#[track_caller]
fn done(home: &Home, command: &str) -> String {
    let ended = run(home, command);
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{command}: {ended:?}");
    ended.out
}

fn json(home: &Home, command: &str) -> Value {
    let ended = run(home, command);
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{command}: {error}: {ended:?}"))
}

/// A list of others as a file, by its path.
fn list(home: &Home, name: &str, text: &str) -> String {
    home.input(name, text).to_str().expect("text").to_owned()
}

/// The cost and the price of the newest record.
fn newest(home: &Home) -> (String, String) {
    let records = home.records();
    let newest = records.last().expect("a record");
    let text = |field: &str| newest[field].as_str().unwrap_or("null").to_owned();
    (text("cost_usd"), text("price_id"))
}

/// Calls of which somebody worked out the cost, as `log` takes them.
const WORKED: [(&str, &str); 11] = [
    ("--model gpt-4o --prompt-tokens 1000 --completion-tokens 500", "0.0075"),
    ("--model claude-3-haiku --prompt-tokens 1000 --completion-tokens 500", "0.000875"),
    ("--model gpt-5.6-luna --prompt-tokens 18014 --cache-write-tokens 18011 --completion-tokens 10", "0.00451535"),
    ("--model claude-haiku-5-5 --prompt-tokens 4425 --cache-write-tokens 4401 --completion-tokens 2501", "0.001803025"),
    ("--model claude-haiku-5-5 --prompt-tokens 100001 --cached-tokens 100000 --completion-tokens 10", "0.0050255"),
    ("--model gemini-2.5-flash --prompt-tokens 20 --completion-tokens 603 --reasoning-tokens 405", "0.0015135"),
    ("--model gpt-6.2-sol --prompt-tokens 272000 --completion-tokens 0", "0.544"),
    ("--model gpt-6.2-sol --prompt-tokens 272001 --completion-tokens 0", "1.088004"),
    ("--model deepseek-flash --prompt-tokens 1000000 --completion-tokens 0 --timestamp 2026-11-16T03:59:00Z", "0.3"),
    ("--model deepseek-flash --prompt-tokens 1000000 --completion-tokens 0 --timestamp 2026-11-16T04:00:00Z", "0.15"),
    ("--model gpt-6-luna --prompt-tokens 1000 --completion-tokens 500", "0.00035"),
];

#[test]
fn worked_costs_are_in_the_books_to_the_last_digit() {
    let home = Home::new(DEMO);
    for (call, cost) in WORKED {
        done(&home, &format!("log --api worked {call}"));
        assert_eq!(newest(&home).0, cost, "{call}");
    }
    let serving = home.serve();
    let body = r#"{"api_type": "worked", "model": "gpt-5.6-luna", "prompt_tokens": 18014, "cache_write_tokens": 18011, "completion_tokens": 10}"#;
    assert_eq!(serving.post("/v1/usage", "", body).status(), 200);
    assert_eq!(newest(&home).0, "0.00451535");
    assert_eq!(serving.stop().code(), Some(0));
    // 11 calls and one over HTTP, added by hand.
    let stats = json(&home, "stats --json");
    assert_eq!(stats["cost"]["usd"], "2.108101725", "{stats}");
}

#[test]
fn a_person_sees_what_models_cost_within_80_columns() {
    let home = Home::new(DEMO);
    let table = done(&home, "prices list");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(table.lines().count() > 60, "{table}");
    let haiku = done(&home, "prices list --vendor anthropic --model haiku-5");
    assert!(haiku.contains("claude-haiku-5-5") && haiku.contains(">100k") && !haiku.contains("opus"), "{haiku}");
    assert!(!done(&home, "prices list").contains("claude-opus-4-1"), "a retired model is not shown");
    assert!(done(&home, "prices list --all --model claude-opus-4-1").contains("claude-opus-4-1"));
    let rows = json(&home, "prices list --vendor openai --model gpt-4o* --json");
    assert!(rows.as_array().expect("a list").iter().any(|row| row["price_id"] == "openai/gpt-4o@2026-08-21"), "{rows}");
    let nothing = run(&home, "prices list --vendor nobody");
    assert_eq!(nothing.code(), Some(1), "{nothing:?}");
    assert!(!home.data().exists(), "looking makes nothing");
}

#[test]
fn a_model_is_shown_with_the_row_that_wins_and_why() {
    let home = Home::new(DEMO);
    let shown = done(&home, "prices show gpt-4o");
    for text in
        ["$0.0075 for 1000 tokens in and 500 out", "by openai/gpt-4o@2026-08-21", "source C", "checked 2026-08-21"]
    {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let dated = done(&home, "prices show gpt-4o-2024-08-06 --tier flex");
    assert!(
        dated.contains("$0.00375") && dated.contains("goes by `gpt-4o`") && dated.contains("times 0.50"),
        "{dated}"
    );
    let large = done(&home, "prices show claude-haiku-5-5 --tokens 100001,10,100000");
    assert!(large.contains("$0.0050255") && large.contains("more than 100000 tokens (100001)"), "{large}");
    let argon = |at: &str| json(&home, &format!("prices show gemini-4-argon --at {at} --tokens 1000000,0 --json"));
    assert_eq!((&argon("2026-11-30")["cost_usd"], &argon("2026-12-01")["cost_usd"]), (&"2".into(), &"4".into()));
    let unknown = run(&home, "prices show gpt-9");
    assert_eq!(unknown.code(), Some(1));
    assert!(unknown.out.contains("not known") && unknown.out.contains("$0.025 for this one at most"), "{unknown:?}");
    let shared = run(&home, "prices show llama-3.3-70b-versatile");
    assert!(shared.out.contains("say who bills with --vendor"), "{shared:?}");
    assert_eq!(run(&home, "prices show gpt-4o --tier turbo").code(), Some(2));
    assert_eq!(run(&home, "prices show gpt-4o --tokens 10,1,20").code(), Some(2));
}

#[test]
fn every_model_is_priced_local_or_unknown_and_one_learns_what_to_do() {
    let provider = |name: &str, model: &str, more: &str| {
        format!(
            "[[providers]]\nname = \"{name}\"\nkind = \"openai\"\nurl = \"http://127.0.0.1:9/v1\"\nmodel = \"{model}\"\nlocal = false\n{more}\n"
        )
    };
    let known = DEMO.to_owned() + &provider("cloud", "gpt-4o", "price_vendor = \"openai\"");
    let home = Home::new(&known);
    let whole = run(&home, "prices check");
    assert_eq!((whole.code(), whole.err.as_str()), (Some(0), ""), "{whole:?}");
    assert!(whole.out.contains("every model has a price or runs on your own machine"), "{whole:?}");
    home.configure(&(known + &provider("fast", "llama-3.3-70b-versatile", "") + &provider("odd", "made-up-1", "")));
    done(&home, "log --api elsewhere --model made-up-2 --prompt-tokens 10 --completion-tokens 1");
    let ended = run(&home, "prices check");
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.out.lines().all(|line| line.starts_with("  ") || line.chars().count() <= 80), "{}", ended.out);
    assert!(ended.out.contains("price_vendor = \"groq\" at the provider `fast`"), "{}", ended.out);
    let checked = json(&home, "prices check --json");
    let states: Vec<(&str, &str, i64)> = checked["models"]
        .as_array()
        .expect("models")
        .iter()
        .map(|model| {
            let text = |field: &str| model[field].as_str().expect(field);
            (text("model"), text("state"), model["calls_without_cost"].as_i64().expect("a count"))
        })
        .collect();
    let expected = [
        ("gpt-4o", "priced", 0),
        ("demo", "local", 0),
        ("llama-3.3-70b-versatile", "unknown", 0),
        ("made-up-1", "unknown", 0),
        ("made-up-2", "unknown", 1),
    ];
    assert_eq!(states, expected, "{checked}");
}

/// A server that runs a file of its own calls the model by that file's path.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_answers_under_a_name_without_a_price_costs_what_the_one_asked_for_does() {
    let answer = openai::chat_json("Hey", 1_000, 500).replace("gpt-4o-mini-2024-07-18", "/models/x.gguf");
    assert!(answer.contains("/models/x.gguf"), "{answer}");
    let server = ScriptedProvider::always(Reply::json(200, answer)).await;
    let provider = format!(
        "[[providers]]\nname = \"small\"\nkind = \"openai\"\nurl = \"{}/v1\"\nmodel = \"smollm2\"\nlocal = false\n",
        server.url()
    );
    let row = |model: &str, input: &str| {
        format!("[[prices]]\nmodel = \"{model}\"\ninput = \"{input}\"\noutput = \"{input}\"\n")
    };
    let home = Home::new(&format!("{DEMO}{provider}{}", row("smollm2", "2")));
    let service = home.serve();
    let head = "POST /gateway/small/v1/chat/completions\nContent-Type: application/json";
    let asked = service.ask(head, r#"{"model":"smollm2","messages":[]}"#);
    assert_eq!(asked.status(), 200, "{asked:?}");
    assert_eq!(service.stop().code(), Some(0));
    let (cost, price) = newest(&home);
    assert_eq!((cost.as_str(), price.split('#').next()), ("0.003", Some("own/smollm2")));
    let record = home.records().pop().expect("a record");
    assert_eq!((&record["model"], &record["requested_model"]), (&"/models/x.gguf".into(), &"smollm2".into()));
    assert!(done(&home, "verify").contains("everything agrees"));
    let checked = run(&home, "prices check");
    assert_eq!(checked.code(), Some(0), "its calls have a cost: {checked:?}");
    let what_if = |rows: &str| {
        let file = list(&home, "other.toml", rows);
        json(&home, &format!("what-if --prices {file} --json"))["total"]["what_if"].clone()
    };
    assert_eq!(what_if(&row("smollm2", "4")), "0.006");
    assert_eq!(what_if(&(row("smollm2", "4") + &row("/models/x.gguf", "6"))), "0.009", "the one that answered first");
}

#[test]
fn a_list_is_shown_then_taken_as_far_as_it_is_clear_and_taken_back() {
    let home = Home::new(DEMO);
    let file = list(&home, "model_prices.json", LITELLM);
    let shown = done(&home, &format!("prices import {file}"));
    for text in [
        "9 new, 3 changed, 1 the same, 16 refused, 2 passed over",
        "input 2.50 -> 2.00 (-20.0%)",
        "! output is cheaper than input",
        "example-steps: our rows have no place for `tiered_pricing`",
        "nothing was changed; --take takes 6",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(!home.data().exists(), "showing makes nothing");
    done(&home, "log --api x --model gpt-5.4 --prompt-tokens 1000 --completion-tokens 0");
    assert_eq!(newest(&home), ("0.0025".to_owned(), "openai/gpt-5.4@2026-08-21".to_owned()));
    assert!(done(&home, &format!("prices import {file} --take")).contains("6 taken"));
    let kept = home.data().join("prices.json");
    assert_eq!(std::fs::metadata(&kept).expect("there").permissions().mode() & 0o777, 0o600);
    let content: Value = serde_json::from_slice(&std::fs::read(&kept).expect("ours")).expect("JSON");
    assert_eq!((&content["v"], &content["imports"][0]["file"]), (&1.into(), &"model_prices.json".into()));
    assert_eq!(content["imports"][0]["sha256"].as_str().map(str::len), Some(64));
    done(&home, "log --api x --model gpt-5.4 --prompt-tokens 1000 --completion-tokens 0");
    assert_eq!(newest(&home).0, "0.002");
    assert!(newest(&home).1.starts_with("taken/openai/gpt-5.4#"));
    assert_eq!(home.records()[0]["cost_usd"], "0.0025", "what was recorded stays");
    let again = done(&home, &format!("prices import {file} --take"));
    assert!(again.contains("0 new, ") || again.contains("nothing was taken"), "{again}");
    let named = done(&home, &format!("prices import {file} --take --only gpt-5.2,example/example-gift"));
    assert!(named.contains("2 taken"), "{named}");
    assert!(done(&home, "prices show gpt-5.2").contains("a list you took"));
    assert!(done(&home, "prices import --undo").contains("the import of model_prices.json (models: 2) is taken back"));
    assert!(done(&home, "prices show gpt-5.2").contains("comes with tallybot"));
    assert!(done(&home, "prices show gpt-5.4").contains("a list you took"));
    let nothing = run(&home, "prices import --undo");
    assert_eq!(
        (nothing.code(), kept.exists()),
        (Some(0), false),
        "the first import is the last that is left: {nothing:?}"
    );
    assert_eq!(run(&home, "prices import --undo").code(), Some(1));
    done(&home, "verify");
}

#[test]
fn the_other_list_and_what_is_asked_for_of_it() {
    let home = Home::new(&(DEMO.to_owned() + "[[prices]]\nmodel = \"gpt-5.4-mini\"\ninput = \"1\"\noutput = \"2\"\n"));
    let file = list(&home, "data.json", GENAI);
    let summary = json(&home, &format!("prices import {file} --vendor openai --json"));
    assert_eq!((summary["format"].as_str(), summary["taken"].as_bool()), (Some("genai-prices"), Some(false)));
    let models = summary["models"].as_array().expect("models");
    assert!(models.iter().all(|model| model["vendor"] == "openai") && models.len() == 2, "{summary}");
    let mini = models.iter().find(|model| model["model"] == "gpt-5.4-mini").expect("it is in the list");
    assert_eq!((&mini["yours_wins"], &mini["prices"][0]["permille"]), (&true.into(), &1000.into()));
    let refused = done(&home, &format!("prices import {file} --only example-regex"));
    assert!(refused.contains("cannot say `regex`"), "{refused}");
    for (arguments, code, told) in [
        (format!("prices import {file} --only gpt-9"), 1, "the list has no `gpt-9`"),
        (format!("prices import {file} --format litellm"), 1, "is no list of prices"),
        (format!("prices import {file} --format toml"), 2, "expected litellm or genai-prices"),
        ("prices import nowhere.json".to_owned(), 2, "there is no file `nowhere.json`"),
        ("prices import".to_owned(), 2, "FILE"),
        (format!("prices import {}", list(&home, "text.txt", "prices")), 1, "it is not JSON"),
    ] {
        let ended = run(&home, &arguments);
        assert!(ended.code() == Some(code) && ended.err.contains(told), "{arguments}: {ended:?}");
    }
    assert!(!home.data().exists());
}

#[test]
fn a_running_tallybot_prices_by_an_import_within_seconds() {
    let home = Home::new(DEMO);
    let serving = home.serve();
    let body = r#"{"api_type": "x", "model": "example-large", "prompt_tokens": 1000000, "completion_tokens": 0}"#;
    let record = || {
        assert_eq!(serving.post("/v1/usage", "", body).status(), 200);
        newest(&home).0
    };
    assert_eq!(record(), "null", "nobody knows it");
    let file = list(&home, "list.json", LITELLM);
    done(&home, &format!("prices import {file} --take --only example-large"));
    assert!(until(|| record() == "4"), "it never did");
    done(&home, "prices import --undo");
    assert!(until(|| record() == "null"), "it goes by what was taken back");
    assert_eq!(serving.stop().code(), Some(0));
    done(&home, "verify");
}

#[test]
fn prices_that_cannot_be_read_stop_everything_that_prices_and_are_named() {
    let home = Home::new(DEMO);
    std::fs::create_dir_all(home.data()).expect("a new folder");
    for (content, problem) in [
        ("", "EOF"),
        ("{\"v\": 1, \"imports\": [], \"rows\"", "EOF"),
        ("{\"v\": 9, \"imports\": [], \"rows\": []}", "its version is 9"),
        ("{\"v\": 1, \"imports\": [], \"rows\": [{\"model\": \"m\", \"input\": 1.5}]}", "in quotes"),
    ] {
        std::fs::write(home.data().join("prices.json"), content).expect("written");
        for command in ["serve", "log --prompt-tokens 1", "prices list", "prices import --undo"] {
            let ended = run(&home, command);
            assert_eq!(ended.code(), Some(1), "{command}: {ended:?}");
            assert!(
                ended.err.contains("data/prices.json` line ") && ended.err.contains(problem),
                "{command}: {ended:?}"
            );
        }
        assert_eq!(
            std::fs::read_to_string(home.data().join("prices.json")).expect("there"),
            content,
            "it is left alone"
        );
    }
    assert!(home.records().is_empty());
}

#[test]
fn recorded_calls_are_priced_again_beside_what_they_cost() {
    let home = Home::new(DEMO);
    let log = |call: &str| done(&home, &format!("log --api openai {call}"));
    log("--model gpt-4o --prompt-tokens 1000 --completion-tokens 500 --team sales --timestamp 2026-11-02T10:00:00Z");
    log("--model gpt-4o --prompt-tokens 1000 --completion-tokens 500 --team labs --timestamp 2026-11-03T10:00:00Z");
    log("--model gpt-4o --prompt-tokens 1000 --completion-tokens 0 --cost-usd 0.01 --timestamp 2026-11-03T11:00:00Z");
    log("--model o3 --prompt-tokens 1000 --completion-tokens 0");
    log("--model example-large --prompt-tokens 1000 --completion-tokens 0");
    log("--model llama3.2 --prompt-tokens 1000 --completion-tokens 0 --local");
    let before = home.written();
    let rows = "[[prices]]\nmodel = \"gpt-4o\"\ninput = \"5\"\noutput = \"15\"\n[[prices]]\nmodel = \"example-large\"\ninput = \"1\"\noutput = \"1\"\n";
    let file = list(&home, "dearer.toml", rows);
    let found = json(&home, &format!("what-if --prices {file} --json"));
    let row =
        &found["rows"].as_array().expect("rows").iter().find(|row| row["name"] == "gpt-4o").expect("gpt-4o").clone();
    let field = |row: &Value, name: &str| row[name].as_str().map_or(row[name].to_string(), str::to_owned);
    let fields = ["compared", "given", "cost", "what_if", "difference", "permille"].map(|name| field(row, name));
    assert_eq!(fields, ["3", "1", "0.025", "0.03", "0.005", "200"], "{found}");
    let total = &found["total"];
    let fields = ["compared", "local", "without_cost", "without_cost_what_if", "not_priced", "not_priced_cost"];
    assert_eq!(fields.map(|name| field(total, name)), ["3", "1", "1", "0.001", "1", "0.002"], "{found}");
    for group in ["model", "provider", "feature", "team", "day"] {
        let grouped = json(&home, &format!("what-if --prices {file} --group {group} --json"));
        assert_eq!(&grouped["total"], total, "{group}");
    }
    let text = done(&home, &format!("what-if --prices {file} --group team"));
    assert!(text.lines().skip(1).all(|line| line.chars().count() <= 80), "{text}");
    for told in [
        "sales",
        "labs",
        "$0.030000",
        "+20.0%",
        "of the compared, 1 call with a cost that the source gave",
        "of unknown use; known cost: $0.002000",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let day = json(&home, &format!("what-if --prices {file} --from 2026-11-02 --to 2026-11-02 --json"));
    assert_eq!((&day["total"]["compared"], &day["total"]["difference"]), (&1.into(), &"0.005".into()));
    let provider = "[[providers]]\nname = \"cloud\"\nkind = \"openai\"\nmodel = \"m\"\napi_key_env = \"SET_NOWHERE\"\n";
    let whole = list(&home, "whole.toml", &format!("{rows}{provider}"));
    assert_eq!(json(&home, &format!("what-if --prices {whole} --json")), found, "a whole configuration does as well");
    let by_list = json(&home, &format!("what-if --prices {} --json", list(&home, "list.json", LITELLM)));
    assert_eq!(
        (&by_list["total"]["without_cost_what_if"], &by_list["total"]["compared"]),
        (&"0.002".into(), &3.into())
    );
    let sorted = |mut files: Vec<(std::path::PathBuf, Vec<u8>)>| {
        files.sort();
        files
    };
    assert!(sorted(home.written()) == sorted(before), "nothing is written");
    for (arguments, told) in [
        ("what-if".to_owned(), "--prices"),
        ("what-if --prices nowhere.toml".to_owned(), "there is no file"),
        (format!("what-if --prices {file} --group moon"), "expected one of model, provider, feature, team, day"),
        (format!("what-if --prices {file} --from 2026-11-03 --to 2026-11-02"), "the first day before the last"),
        (format!("what-if --prices {}", list(&home, "none.toml", "language = \"en\"\n")), "has no [[prices]]"),
        (
            format!("what-if --prices {}", list(&home, "bad.toml", "[[prices]]\nmodel = \"m\"\n")),
            "`prices[0].input` is missing",
        ),
    ] {
        let ended = run(&home, &arguments);
        assert!(ended.code() == Some(2) && ended.err.contains(told), "{arguments}: {ended:?}");
    }
}

#[test]
fn an_owners_rows_for_a_tier_and_a_size_price_what_they_say() {
    let row = |more: &str| format!("[[prices]]\nmodel = \"mine\"\ninput = \"1\"\noutput = \"2\"\n{more}");
    let rows = row("")
        + &row("above = 1000\n").replace("\"1\"", "\"3\"")
        + &row("tier = \"batch\"\n").replace("\"1\"", "\"0.5\"");
    let home = Home::new(&(DEMO.to_owned() + &rows + "[unknown_price]\ninput = \"1\"\noutput = \"1\"\n"));
    for (call, cost) in [
        ("--prompt-tokens 1000", "0.001"),
        ("--prompt-tokens 1001", "0.003003"),
        ("--prompt-tokens 1000 --service-tier batch", "0.0005"),
    ] {
        done(&home, &format!("log --model mine --completion-tokens 0 {call}"));
        assert_eq!(newest(&home).0, cost, "{call}");
    }
    assert!(run(&home, "prices show gpt-9").out.contains("$0.0015 for this one at most"));
}
