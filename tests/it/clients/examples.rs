//! Every program of `examples/` that is not Rust does what it says, against the built program.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{config, upstream};
use crate::providers::ScriptedProvider;
use crate::running::{Home, Running, free_port};

/// An answer as OpenAI's client gives it, tracked in a session.
const SESSION: &str = r#"
from types import SimpleNamespace as Answer
from token_tracker import TokenTracker, get_global_tracker, get_tracker
assert get_global_tracker() is get_global_tracker() and get_tracker() is get_tracker()
tracker = TokenTracker(output_dir="reports")
usage = Answer(input_tokens=5000, output_tokens=3000, output_tokens_details=Answer(reasoning_tokens=1000))
tracker.track_response(Answer(usage=usage), "need_analysis", "analyze_needs", "gpt-4o")
tracker.track_response(Answer(usage=Answer(prompt_tokens=10, completion_tokens=5)), agent_name="workshop", model="nobody-knows")
claude = Answer(input_tokens=1, cache_read_input_tokens=20, cache_creation_input_tokens=None, output_tokens=3)
tracker.track_response(Answer(usage=claude, model="claude-haiku-4-5"), "workshop", "plan")
gemini = Answer(prompt_token_count=7, candidates_token_count=2, thoughts_token_count=4, cached_content_token_count=None)
tracker.track_response(Answer(usage_metadata=gemini), "workshop", "plan", "gemini-2.5-flash")
tracker.track_response(Answer(), "workshop")
tracker.print_summary()
print(tracker.save_report())
"#;

const LOG: &str = r#"
from token_tracker import log_tokens, get_tracker, print_summary
log_tokens(150, 320)
log_tokens(prompt_tokens=200, completion_tokens=450, api_type="gemini", model="gemini-2.5-flash", api_key_suffix="AIza-secret-abcd",
    success=True, metadata={"article_id": 123})
log_tokens(0, 0, model="gemini-2.5-flash", success=False, error_message="429 Quota excedida by sk-secret for 'my prompt'")
"#;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Past the harness, which hides what a test that passes has printed.
fn not_checked(what: &str) {
    let _ = writeln!(std::io::stderr(), "NOT CHECKED: {what}");
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Python with the trackers, in a home's folder.
fn python(home: &Home, script: &str, port: u16) -> Output {
    let mut command = Command::new("python3");
    command.args(["-c", script]).current_dir(home.path("run")).env("PYTHONPATH", examples().join("python"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONIOENCODING", "utf-8");
    command.env_remove("TALLYBOT_ADMIN_TOKEN").env_remove("TALLYBOT_UNSENT");
    let output = command.env("TALLYBOT_URL", format!("http://127.0.0.1:{port}")).output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn the_python_log_is_delivered_and_waits_while_nobody_takes_it() {
    if !has("python3") {
        return not_checked("examples/python/token_tracker.py: no python3");
    }
    let home = Home::new("[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n");
    let nobody =
        python(&home, &format!("{LOG}assert get_tracker().get_summary() == {{}}\nprint_summary()"), free_port());
    assert!(said(&nobody).contains("não responde"), "{nobody:?}");
    let (path, kept) = home.written().into_iter().find(|(path, _)| path.ends_with("unsent.jsonl")).expect("kept");
    let kept = String::from_utf8(kept).expect("text");
    assert_eq!(kept.lines().count(), 3, "{kept}");
    assert!(!kept.contains("secret") && !kept.contains("prompt'") && kept.contains("\"abcd\""), "{kept}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).expect("there").permissions());
    assert_eq!(mode & 0o777, 0o600);

    let serving = home.serve();
    let script = format!("{LOG}\nimport json; print_summary(); print(json.dumps(get_tracker().get_summary()))");
    let output = said(&python(&home, &script, serving.port()));
    assert!(!path.exists() && home.written().iter().all(|(path, _)| !path.to_string_lossy().contains("unsent")));
    for line in ["(Prompts): 700", "(Respostas): 1,540", "Total de Tokens: 2,240", "Requisições: 6", "Falhadas: 2"] {
        assert!(output.contains(line), "{line}: {output}");
    }
    let summary: Value = serde_json::from_str(output.lines().last().expect("a line")).expect("JSON");
    let mut flash = summary["gemini"]["gemini-2.5-flash"].clone();
    assert!(flash.as_object_mut().expect("an object").remove("last_updated").is_some());
    let expected = json!({"total_prompt_tokens": 400, "total_completion_tokens": 900, "total_tokens": 1300,
        "total_requests": 4, "successful_requests": 2, "failed_requests": 2});
    assert_eq!(flash, expected, "{summary}");
    assert_eq!(serving.stop().code(), Some(0));
    let records = home.records();
    let flash = records.iter().find(|record| record["metadata"]["article_id"] == 123).expect("recorded");
    assert_eq!((&flash["api_key_suffix"], &flash["prompt_tokens"]), (&json!("abcd"), &json!(200)));
    assert_eq!(
        records.iter().filter(|record| record["error_message"].as_str().is_some_and(|e| e.contains("429"))).count(),
        2
    );
}

#[test]
fn what_the_python_trackers_wrote_counts_once_delivered_or_imported() {
    if !has("python3") {
        return not_checked("examples/python/token_tracker.py: no python3");
    }
    let home = Home::new("[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n");
    let import = |folder: &str| {
        let folder = home.path("run").join(folder);
        let ended = home.run(&["import", folder.to_str().expect("a path")], "");
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        home.records().len()
    };
    // What waits to be delivered is imported, and delivered later.
    python(&home, LOG, free_port());
    assert_eq!(import("logs/tokens"), 3);
    let serving = home.serve();
    python(&home, "from token_tracker import log_tokens; log_tokens(1, 1)", serving.port());
    assert_eq!(home.records().len(), 4);
    // A report is imported whose calls were delivered, and one whose calls are delivered later.
    python(&home, SESSION, serving.port());
    assert_eq!(import("reports"), 9);
    python(&home, SESSION, free_port());
    assert_eq!(import("reports"), 14);
    python(&home, "from token_tracker import log_tokens; log_tokens(1, 1)", serving.port());
    assert_eq!(home.records().len(), 15);
    let all = serving.ask("GET /stats", "").json();
    assert_eq!((&all["requests"]["total"], &all["tokens"]["total"]), (&json!(15), &json!(1120 + 2 + 2 * 8052 + 2)));
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn the_python_session_has_the_sums_and_the_costs_of_the_books() {
    if !has("python3") {
        return not_checked("examples/python/token_tracker.py: no python3");
    }
    let home = Home::new("[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n");
    let serving = home.serve();
    let output = said(&python(&home, SESSION, serving.port()));
    assert_eq!(serving.stop().code(), Some(0));
    let path = home.path("run").join(output.lines().last().expect("a path"));
    let report: Value = serde_json::from_slice(&std::fs::read(path).expect("saved")).expect("JSON");
    for (key, value) in
        [("total_calls", 5), ("total_input_tokens", 5038), ("total_output_tokens", 3014), ("total_tokens", 8052)]
    {
        assert_eq!(report[key], value, "{key}: {report}");
    }
    assert_eq!(report["calls_by_agent"]["workshop"]["calls"], 4);
    assert_eq!(report["calls_by_agent"]["need_analysis"]["total_tokens"], 8000);
    let first = &report["calls_detail"][0];
    let (fields, records) = (first.as_object().expect("an object").keys().map(String::as_str), home.records());
    let expected =
        ["agent_name", "cost_usd", "input_tokens", "model", "operation", "output_tokens", "timestamp", "total_tokens"];
    let (fields, own) = (fields.collect::<BTreeSet<_>>(), BTreeSet::from(["api_type", "id", "source"]));
    assert_eq!(&fields - &own, expected.into());
    assert_eq!(&fields & &own, own, "what a call has beside the fields of a token tracker");
    let cost = records[0]["cost_usd"].as_str().and_then(|cost| cost.parse().ok());
    assert_eq!((first["cost_usd"].as_f64(), report["calls_detail"][1]["cost_usd"].as_f64()), (cost, None), "{report}");
    assert!(cost > Some(0.0) && output.contains("sans prix connu") && output.contains("need_analysis"), "{output}");
    let facts = |n: usize| {
        let record = &records[n];
        json!([
            record["api_type"],
            record["agent"],
            record["operation"],
            record["prompt_tokens"],
            record["completion_tokens"]
        ])
    };
    assert_eq!(facts(0), json!(["openai", "need_analysis", "analyze_needs", 5000, 3000]));
    assert_eq!(facts(2), json!(["anthropic", "workshop", "plan", 21, 3]));
    assert_eq!(facts(3), json!(["gemini", "workshop", "plan", 7, 6]));
    assert_eq!((&records[0]["reasoning_tokens"], &records[4]["usage_source"]), (&json!(1000), &json!("none")));
}

/// The service before a scripted upstream, and a key for it.
async fn gateway() -> (Home, Running, ScriptedProvider, String) {
    let upstream = ScriptedProvider::start(upstream::answer).await;
    let home = Home::new(&config(&upstream.url())).with_env("PROVIDER_KEY", super::PROVIDER_KEY);
    let key = home.run(&["keys", "add", "--quiet", "examples"], "").out.trim().to_owned();
    let serving = home.serve();
    (home, serving, upstream, key)
}

async fn run_example(program: &OsStr, arguments: &[&Path], serving: &Running, key: &str) -> String {
    let gateway = format!("http://127.0.0.1:{}/gateway/openai", serving.port());
    let mut command = Command::new(program);
    command.args(arguments).env("OPENAI_BASE_URL", format!("{gateway}/v1")).env("OPENAI_API_KEY", key);
    command.env("GATEWAY", gateway).env("KEY", key).env("MODEL", "tiny");
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    said(&output)
}

/// What the three programs that chat do: list the models, one answer, one stream.
fn check_chat(home: &Home, output: &str) {
    assert_eq!(output.matches("Hello").count(), 2, "{output}");
    let records = home.records();
    let chats: Vec<&Value> = records.iter().filter(|record| record["operation"] == "chat.completions").collect();
    assert_eq!((records.len(), chats.len()), (3, 2), "{records:?}");
    let told = format!("{}", chats[0]["total_tokens"]);
    assert!(output.contains(&told), "{told}: {output}");
    assert_eq!((&chats[0]["feature"], &chats[0]["key"]), (&json!("examples"), &json!("examples")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_chat_runs() {
    let Some(python) = std::env::var_os("TALLYBOT_CLIENTS_PYTHON") else { return };
    let (home, serving, _upstream, key) = gateway().await;
    let output = run_example(&python, &[&examples().join("python/chat.py")], &serving, &key).await;
    assert_eq!(serving.stop().code(), Some(0));
    check_chat(&home, &output);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_script_runs() {
    if !has("curl") {
        return not_checked("examples/curl.sh: no curl");
    }
    let (home, serving, _upstream, key) = gateway().await;
    let output = run_example("sh".as_ref(), &[&examples().join("curl.sh")], &serving, &key).await;
    assert_eq!(serving.stop().code(), Some(0));
    check_chat(&home, &output);
    assert!(output.contains("x-tallybot-tokens: "), "{output}");
}

#[test]
fn a_typescript_example_runs_in_a_folder_of_any_kind_of_modules() {
    // At the top level only modules of the newer kind may await, and a fresh folder is of the older one.
    let text = std::fs::read_to_string(examples().join("typescript/chat.ts")).expect("it is there");
    let at_top = |line: &&str| !line.starts_with([' ', '/']) && line.contains("await ");
    assert_eq!(text.lines().find(at_top), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_examples_compile_and_run() {
    let Some(folder) = std::env::var_os("TALLYBOT_CLIENTS_NODE").map(PathBuf::from) else { return };
    let into = folder.join("compiled");
    let mut tsc = Command::new(folder.join("node_modules/.bin/tsc"));
    let options = "--strict --target es2022 --module nodenext --skipLibCheck --types node";
    tsc.current_dir(&folder).args(options.split(' ')).arg("--outDir").arg(&into);
    for name in ["chat.ts", "express.ts"] {
        let copy = folder.join(name); // packages are found beside the file that imports them
        std::fs::copy(examples().join("typescript").join(name), &copy).expect("written");
        tsc.arg(copy);
    }
    let compiled = tsc.output().expect("tsc runs");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));

    let (home, serving, _upstream, key) = gateway().await;
    let output = run_example("node".as_ref(), &[&into.join("chat.js")], &serving, &key).await;
    let middleware = r#"
        const { track, trackTokens } = await import(process.argv[1]);
        const req = { id: "req-1", body: { model: "gpt-4o" }, headers: { "x-feature": "search" }, user: { id: "ana" } };
        const answer = { usage: { input_tokens: 7, output_tokens: 2 } };
        const res = { json: (body) => body };
        trackTokens(req, res, () => {});
        console.log(res.json(answer) === answer);
        const usage = { requestId: "req-2", timestamp: new Date(), model: "gpt-4o", inputTokens: 1, outputTokens: 1 };
        console.log(await track(usage), await track(usage));
        process.env.TALLYBOT_URL = "http://127.0.0.1:1";
        console.log(await track(usage));
    "#;
    let mut node = Command::new("node");
    node.args(["--input-type=module", "-e", middleware]).arg(into.join("express.js"));
    node.env("TALLYBOT_URL", format!("http://127.0.0.1:{}", serving.port())).env_remove("TALLYBOT_ADMIN_TOKEN");
    let tracked = said(&tokio::task::spawn_blocking(move || node.output()).await.expect("it ends").expect("it runs"));
    assert_eq!(tracked, "true\ntrue true\nfalse\n");
    assert_eq!(serving.stop().code(), Some(0));
    let records = home.records();
    let reported: Vec<&Value> = records.iter().filter(|record| record["channel"] == "api").collect();
    assert_eq!(reported.len(), 2, "each once: {reported:?}");
    assert!(
        reported
            .iter()
            .any(|record| record["feature"] == "search" && record["total_tokens"] == 9 && record["user"].is_string())
    );
    let records: Vec<Value> = records.into_iter().filter(|record| record["channel"] == "gateway").collect();
    assert_eq!((records.len(), output.matches("Hello").count()), (3, 2), "{output}");
}
