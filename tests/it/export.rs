//! The records themselves, out of the built program: the old viewer on our folder, exports that are safe to open,
//! `recent` that follows.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::running::{Ended, Home};

const DEMO: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n";

/// Longer than anything takes on a loaded machine; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// A token log's example, as items of `POST /v1/usage`.
const EXAMPLE: &str = r#"[
    {"api_type":"gemini","model":"gemini-2.5-flash","prompt_tokens":150,"completion_tokens":320,"feature":"=HYPERLINK(1)"},
    {"api_type":"gemini","model":"gemini-2.5-flash","prompt_tokens":200,"completion_tokens":450},
    {"api_type":"gemini","model":"gemini-2.5-flash","prompt_tokens":100,"completion_tokens":0,
     "success":false,"error_message":"429 Quota excedida"},
    {"api_type":"gemini","model":"gemini-2.5-flash-lite","prompt_tokens":250,"completion_tokens":500}]"#;

/// A home whose books hold the example.
fn with_example(config: &str) -> Home {
    let home = Home::new(config);
    let serving = home.serve();
    let answer = serving.post("/v1/usage", "", EXAMPLE);
    assert_eq!(answer.json()["accepted"], 4, "{}", answer.text());
    serving.stop();
    home
}

fn done(home: &Home, arguments: &[&str]) -> String {
    let ended = home.run(arguments, "");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{arguments:?}: {ended:?}");
    ended.out
}

fn refused(home: &Home, arguments: &[&str], said: &str) {
    let ended: Ended = home.run(arguments, "");
    assert!(matches!(ended.code(), Some(1 | 2)), "{arguments:?}: {ended:?}");
    assert!(ended.err.contains(said), "{arguments:?}: {ended:?}");
}

/// The rows of a CSV, each by the names of its columns.
fn rows(csv: &str) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_reader(csv.as_bytes()).deserialize().map(|row| row.expect("CSV")).collect()
}

/// What a token log's viewer does: reads every day's file line by line, takes the ten fields of each, adds up.
fn as_the_old_viewer_does(folder: &Path) -> BTreeMap<String, BTreeMap<String, [u64; 6]>> {
    let mut sums: BTreeMap<String, BTreeMap<String, [u64; 6]>> = BTreeMap::new();
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
        .filter(|name| name.starts_with("tokens_") && name.ends_with(".jsonl"))
        .collect();
    names.sort();
    for name in names {
        for line in std::fs::read_to_string(folder.join(name)).expect("text").lines() {
            let log: Value = serde_json::from_str(line).expect("a line is JSON");
            let count = |field: &str| log[field].as_u64().unwrap_or_else(|| panic!("{field} in {line}"));
            let text = |field: &str| log[field].as_str().unwrap_or_else(|| panic!("{field} in {line}")).to_owned();
            assert!(text("timestamp").len() >= 26 && log["metadata"].is_object(), "{line}");
            assert!(log["api_key_suffix"].is_null() || log["api_key_suffix"].is_string(), "{line}");
            let success = log["success"].as_bool().expect("yes or no");
            assert_eq!(success, log["error_message"].is_null(), "{line}");
            let sum = sums.entry(text("api_type")).or_default().entry(text("model")).or_default();
            let of_this = [
                count("prompt_tokens"),
                count("completion_tokens"),
                count("total_tokens"),
                1,
                u64::from(success),
                u64::from(!success),
            ];
            sum.iter_mut().zip(of_this).for_each(|(sum, count)| *sum += count);
        }
    }
    sums
}

#[test]
fn the_old_viewer_reads_our_folder_and_finds_the_file_it_knows() {
    let home = with_example(&format!("data_dir = \"logs/tokens\"\n{DEMO}"));
    home.run(&["chat"], "hello\nand again\n");
    done(&home, &["reset", "--yes"]);
    let folder = home.path("run/logs/tokens");
    let text = std::fs::read_to_string(folder.join("token_stats.json")).expect("it is there");
    let stats: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_str(&text).expect("JSON");
    let fields = [
        "total_prompt_tokens",
        "total_completion_tokens",
        "total_tokens",
        "total_requests",
        "successful_requests",
        "failed_requests",
    ];
    let of_file = |row: &Value| fields.map(|field| row[field].as_u64().expect(field));
    let told: BTreeMap<String, BTreeMap<String, [u64; 6]>> = stats
        .iter()
        .map(|(api, models)| (api.clone(), models.iter().map(|(model, row)| (model.clone(), of_file(row))).collect()))
        .collect();
    assert_eq!(told, as_the_old_viewer_does(&folder));
    assert_eq!(told["gemini"]["gemini-2.5-flash"], [450, 770, 1220, 3, 2, 1]);
    assert_eq!(told["gemini"]["gemini-2.5-flash-lite"], [250, 500, 750, 1, 1, 0]);
    assert_eq!(told["demo"]["demo"][3], 2, "what the chat used is there too");
    let updated = stats["demo"]["demo"]["last_updated"].as_str().expect("a time").to_owned();
    let lines = home.written().into_iter().filter(|(path, _)| crate::running::is_journal(path));
    assert!(lines.map(|(_, bytes)| bytes).any(|lines| String::from_utf8_lossy(&lines).contains(&updated)));
}

#[test]
fn token_stats_follow_a_running_tallybot_within_moments() {
    let home = Home::new(DEMO);
    let serving = home.serve();
    serving.post("/v1/usage", "", EXAMPLE);
    let path = home.data().join("token_stats.json");
    let total = || {
        let stats: Value = serde_json::from_slice(&std::fs::read(&path).ok()?).expect("whole at every moment");
        stats["gemini"]["gemini-2.5-flash"]["total_tokens"].as_u64()
    };
    let came = (0..2_000).any(|_| {
        std::thread::sleep(PATIENCE / 2_000);
        total() == Some(1220)
    });
    assert!(came, "{:?}", std::fs::read_to_string(&path));
    drop(serving);
}

#[test]
fn an_export_is_whole_typed_and_safe_to_open() {
    let home = with_example(DEMO);
    let csv = done(&home, &["export"]);
    assert_eq!(rows(&csv).len(), 4);
    assert!(csv.contains("\"'=HYPERLINK(1)\""), "no formula: {csv}");
    let total: u64 = rows(&csv).iter().map(|row| row["total_tokens"].parse::<u64>().expect("a number")).sum();
    assert_eq!(total, 1970);
    let failed = done(&home, &["export", "--status", "error", "--columns", "model,error_message,prompt_tokens"]);
    assert_eq!(
        failed,
        "\"model\",\"error_message\",\"prompt_tokens\"\n\"gemini-2.5-flash\",\"rate_limited 429\",100\n"
    );
    for (filters, expected) in [
        (&["--model", "gemini-2.5-flash-lite"][..], 1),
        (&["--model", "gemini-2.5-flash-lite", "--model", "gemini-2.5-flash"], 4),
        (&["--feature", "unknown"], 3),
        (&["--period", "today"], 4),
        (&["--to", "2020-01-01"], 0),
        (&["--from", "2020-01-01", "--to", "9999-12-31", "--api", "gemini"], 4),
        (&["--user", "telegram:111"], 0),
        (&["--channel", "api", "--type", "nothing"], 0),
    ] {
        let lines = done(&home, &[&["export", "--format", "jsonl"], filters].concat());
        assert_eq!(lines.lines().count(), expected, "{filters:?}: {lines}");
    }
    let array: Vec<Value> = serde_json::from_str(&done(&home, &["export", "--format", "json"])).expect("an array");
    let mut recorded = home.records();
    for record in &mut recorded {
        let record = record.as_object_mut().expect("an object");
        record.retain(|field, _| field != "seq" && field != "crc");
    }
    assert_eq!(array, recorded, "the records as they stand in the books");
    done(&home, &["reset", "--yes"]);
    assert_eq!(rows(&done(&home, &["export", "--period", "all"])).len(), 0, "what stats counts now");
    assert_eq!(rows(&done(&home, &["export"])).len(), 4, "what was ever recorded");
    assert_eq!(rows(&done(&home, &["export", "--epoch", "1", "--period", "today"])).len(), 4, "before the reset");
    refused(&home, &["export", "--epoch", "2"], "there is no epoch 2");
    refused(&home, &["export", "--columns", "model,tokens"], "there is no column `tokens`; there are timestamp, ");
    refused(&home, &["export", "--from", "yesterday"], "expected a day such as");
    refused(&home, &["export", "--user", "me"], "`telegram:111`");
}

#[test]
fn a_summary_is_the_old_one_and_raymundos_file_has_its_keys() {
    let home = with_example(DEMO);
    let expected = "\"api\",\"model\",\"in\",\"out\",\"total\",\"requests\",\"ok\",\"failed\",\"rate\"\n\
                    \"gemini\",\"gemini-2.5-flash\",450,770,1220,3,2,1,0.666667\n\
                    \"gemini\",\"gemini-2.5-flash-lite\",250,500,750,1,1,0,1\n";
    assert_eq!(done(&home, &["export", "--summary"]), expected);
    assert_eq!(done(&home, &["export", "--summary", "--api", "gemini"]), expected, "from the records, the same");
    let metrics: Value = serde_json::from_str(&done(&home, &["export", "--format", "raymundo"])).expect("JSON");
    assert_eq!(
        (&metrics["total_requests"], &metrics["total_tokens_gpt4o"], &metrics["total_tokens_ollama"]),
        (&4.into(), &1970.into(), &0.into())
    );
    assert_eq!(metrics["inicio"].as_str().map(str::len), Some("2024-01-13T09:00:00".len()));
    refused(&home, &["export", "--format", "raymundo", "--api", "gemini"], "only --period and --epoch");
    refused(&home, &["export", "--format", "raymundo", "--summary"], "a form of its own");
}

#[test]
fn a_file_is_there_whole_or_not_at_all_and_only_its_owner_reads_it() {
    let home = with_example(DEMO);
    let path = home.path("run/calls.csv");
    assert_eq!(done(&home, &["export", "-o", "calls.csv"]), "");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    let whole = std::fs::read_to_string(&path).expect("text");
    assert_eq!(whole, done(&home, &["export"]));
    refused(&home, &["export", "-o", "calls.csv", "--status", "error"], "--force");
    assert_eq!(std::fs::read_to_string(&path).expect("text"), whole, "left alone");
    done(&home, &["export", "-o", "calls.csv", "--status", "error", "--force"]);
    assert_eq!(rows(&std::fs::read_to_string(&path).expect("text")).len(), 1);
    refused(&home, &["export", "-o", "/dev/null", "--force"], "no regular file");
    refused(&home, &["export", "-o", "nowhere/calls.csv"], "cannot write `nowhere/calls.csv`");
    let left: Vec<_> =
        home.written().into_iter().filter(|(path, _)| path.to_string_lossy().contains(".tallybot-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_cannot_be_read_leaves_no_beginning_of_a_table() {
    let home = with_example(DEMO);
    std::fs::create_dir(home.data().join("tokens_2020-01-01.jsonl")).expect("made");
    for format in ["csv", "jsonl", "json"] {
        let ended = home.run(&["export", "--format", format], "");
        assert_eq!((ended.code(), &*ended.out), (Some(1), ""), "{ended:?}");
        assert!(ended.err.contains("tokens_2020-01-01.jsonl"), "{ended:?}");
    }
    assert!(done(&home, &["export", "--status", "timeout", "--from", "2025-01-01"]).starts_with("\"timestamp\""));
    let control = home.data().join("control.jsonl");
    std::fs::remove_file(&control).expect("removed");
    std::os::unix::fs::symlink("control.jsonl", &control).expect("made");
    for arguments in [&["stats"][..], &["export"], &["recent"], &["reset", "--yes"], &["import", "data"]] {
        let ended = home.run(arguments, "");
        assert!(ended.code() == Some(1) && !ended.err.contains("no books"), "what cannot be read is there: {ended:?}");
    }
}

#[test]
fn looking_at_nothing_makes_nothing_and_nobody_reading_on_is_no_error() {
    let home = Home::new(DEMO);
    for arguments in [&["export"][..], &["export", "--summary"], &["recent"], &["recent", "--json"]] {
        let ended = home.run(arguments, "");
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert!(ended.err.contains("there are no books in `data` yet"), "{arguments:?}: {ended:?}");
    }
    assert_eq!(home.written(), [], "nothing was written anywhere");
    let home = with_example(DEMO);
    std::fs::rename(home.data().join("control.jsonl"), home.path("kept")).expect("moved");
    for (arguments, code) in [(&["export"][..], 0), (&["recent"], 0), (&["stats"], 1), (&["verify"], 1)] {
        let ended = home.run(arguments, "");
        assert_eq!((ended.code(), ended.err.matches("restore `control.jsonl`").count()), (Some(code), 1), "{ended:?}");
        assert!(!ended.err.contains("there are no books") && ended.out.is_empty() == (code == 1), "{ended:?}");
    }
    std::fs::rename(home.path("kept"), home.data().join("control.jsonl")).expect("moved back");
    for arguments in [&["export"][..], &["export", "--format", "json"], &["recent"], &["recent", "--follow"]] {
        let ended = home.run_unheard(arguments, "");
        assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn b3_stats_say_that_a_journal_is_gone() {
    let home = Home::new("");
    assert_eq!(home.run(&["log", "--prompt-tokens", "5"], "").code(), Some(0));
    assert_eq!(home.run(&["stats"], "").err, "");
    let journals = std::fs::read_dir(home.data()).expect("a folder").map(|entry| entry.expect("an entry").path());
    for journal in journals.filter(|path| path.to_string_lossy().contains("tokens_")) {
        std::fs::remove_file(journal).expect("removed");
    }
    let ended = home.run(&["stats"], "");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.err.contains("at least 1 line(s) of the journal that were counted are gone"), "{ended:?}");
}

#[test]
fn recent_shows_the_newest_last_on_eighty_columns() {
    let home = with_example(DEMO);
    let table = done(&home, &["recent", "-n", "2"]);
    for count in ["0", "100001", "18446744073709551615", "many"] {
        let ended = home.run(&["recent", "-n", count], "");
        assert_eq!(ended.code(), Some(2), "{ended:?}");
        assert!(ended.err.contains("expected a whole number from 1 to 100000"), "{ended:?}");
    }
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].starts_with("time ") && lines[1].contains("error") && lines[2].contains("lite"), "{table}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{table}");
    let json = done(&home, &["recent", "--json", "-n", "9", "--status", "ok"]);
    let tokens: Vec<u64> = json
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["prompt_tokens"].as_u64().expect("a number"))
        .collect();
    assert_eq!(tokens, [150, 200, 250]);
}

/// `tallybot recent --follow` and its lines as they come. Killed when dropped.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(home: &Home) -> Following {
        // Whoever runs these tests may ignore Ctrl-C, as shells have it for what they start in the background.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", env!("CARGO_BIN_EXE_tallybot")]);
        command.args(["recent", "--follow", "--json", "-n", "1"]).current_dir(home.path("run")).env("TZ", "UTC");
        command.arg("--config").arg(home.path("inputs/tallybot.toml"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (said, lines) = channel();
        // Ends, and closes the pipe, once nobody listens.
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
        Following { child, lines }
    }

    fn next(&self) -> u64 {
        let line = self.lines.recv_timeout(PATIENCE).expect("a new record is shown");
        serde_json::from_str::<Value>(&line).expect("JSON")["prompt_tokens"].as_u64().expect("a number")
    }

    fn end(&mut self) -> ExitStatus {
        let ended = (0..2_000).find_map(|_| {
            std::thread::sleep(PATIENCE / 2_000);
            self.child.try_wait().expect("our child")
        });
        ended.expect("it ends")
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

#[test]
fn recent_follows_a_running_tallybot_until_ctrl_c_or_a_closed_pipe() {
    let home = with_example(DEMO);
    let mut following = Following::start(&home);
    assert_eq!(following.next(), 250, "the newest there is");
    let serving = home.serve();
    for tokens in [7, 8, 9] {
        let body = format!(r#"{{"model":"m","prompt_tokens":{tokens},"completion_tokens":1}}"#);
        assert_eq!(serving.post("/v1/usage", "", &body).status(), 200);
        assert_eq!(following.next(), tokens);
    }
    kill_process(Pid::from_child(&following.child), Signal::INT).expect("our own child");
    assert_eq!(following.end().signal(), Some(2), "as Ctrl-C ends any program");
    let mut abandoned = Following::start(&home);
    assert_eq!(abandoned.next(), 9);
    // The thread that reads ends at the next line: two of them, so that it finds nobody listening.
    abandoned.lines = channel().1;
    assert_eq!(serving.post("/v1/usage", "", EXAMPLE).status(), 200);
    assert_eq!(abandoned.end().code(), Some(0));
}

#[test]
fn what_nobody_said_is_nothing_in_csv_and_text_is_in_quotes() {
    let home = Home::new(DEMO);
    home.run(&["log", "--prompt-tokens", "5", "--model", "7", "--user", "u"], "");
    let columns = ["export", "--columns", "model,prompt_tokens,latency_ms,cost_usd,feature,success"];
    assert!(done(&home, &columns).ends_with("\n\"7\",5,,,,\"true\"\n"), "{}", done(&home, &columns));
    assert_eq!(done(&home, &["export", "--columns", "latency_ms"]), "\"latency_ms\"\n\"\"\n", "a row all the same");
    assert_eq!(rows(&done(&home, &["export"]))[0]["first_token_ms"], "");
}
