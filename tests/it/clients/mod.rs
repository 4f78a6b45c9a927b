//! The official clients of OpenAI, Anthropic, Google and Ollama, in Python and JavaScript, through the built gateway.
//!
//! Runs where `TALLYBOT_CLIENTS_PYTHON` names a Python that has the packages, and `TALLYBOT_CLIENTS_NODE` a folder whose
//! `node_modules` have them, as `.ci/run` sees to it.

mod examples; // the programs of `examples/` that are not Rust
mod upstream;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::providers::{Hit, ScriptedProvider};
use crate::running::Home;

const PROVIDER_KEY: &str = "key-of-the-provider";

/// Four providers that are one server, and a key that may make one call a month to each.
fn config(url: &str) -> String {
    let provider = |name: &str, url: String| {
        format!(
            "[[providers]]\nname = \"{name}\"\nkind = \"{name}\"\nurl = \"{url}\"\nmodel = \"tiny\"\nlocal = false\napi_key_env = \"PROVIDER_KEY\"\n"
        )
    };
    let providers = [
        provider("openai", format!("{url}/v1")),
        provider("anthropic", url.to_owned()),
        provider("gemini", format!("{url}/v1beta")),
        provider("ollama", url.to_owned()),
    ];
    let poor = "[[budgets]]\nfor = { key = \"poor\", provider = \"*\" }\nper = \"month\"\nrequests = 1\n";
    format!("timezone = \"UTC\"\n{}{poor}[http]\nlisten = \"127.0.0.1:0\"\n", providers.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_clients_work_unchanged() {
    let Some(python) = std::env::var_os("TALLYBOT_CLIENTS_PYTHON") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients/clients.py");
    through_the_gateway(&python, &script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_clients_work_unchanged() {
    let Some(folder) = std::env::var_os("TALLYBOT_CLIENTS_NODE") else { return };
    // Packages are found beside the script that imports them.
    let script = Path::new(&folder).join("clients.mjs");
    std::fs::write(&script, include_str!("clients.mjs")).expect("written");
    through_the_gateway("node".as_ref(), &script).await;
}

/// Runs a script of calls, and compares what the clients were told, what the upstream says, and what was recorded.
async fn through_the_gateway(program: &OsStr, script: &Path) {
    let upstream = ScriptedProvider::start(upstream::answer).await;
    let home = Home::new(&config(&upstream.url())).with_env("PROVIDER_KEY", PROVIDER_KEY);
    let key = |name: &str| home.run(&["keys", "add", "--quiet", name], "").out.trim().to_owned();
    let (key, poor) = (key("team"), key("poor"));
    let serving = home.serve();
    let gateway = format!("http://127.0.0.1:{}/gateway", serving.port());
    let mut command = Command::new(program);
    command.arg(script).args([&gateway, &key, &poor]).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it runs");
    let (said, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.trim_end().ends_with("done"), "{said}{err}");
    assert_eq!(serving.stop().code(), Some(0));

    let told: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let (records, hits) = (home.records(), upstream.hits());
    let calls: Vec<Value> = records.iter().map(|record| json!([record["provider"], record["operation"]])).collect();
    let expected: Vec<Value> = told.iter().map(|told| json!([told[0], told[1]])).collect();
    assert_eq!(calls, expected, "one record per call, in order");
    let mut hits = hits.iter();
    for (told, record) in told.iter().zip(&records) {
        check(told, record, &mut hits);
    }
    assert_eq!(hits.next().map(|hit| &hit.path), None, "everything that arrived was asked for");
    for hit in upstream.hits() {
        assert!(hit.headers.iter().all(|(_, value)| !value.contains("tb-")), "no key of ours leaves: {hit:?}");
        assert!(hit.headers.iter().any(|(_, value)| value.ends_with(PROVIDER_KEY)), "the provider's does: {hit:?}");
    }
}

/// Holds a record against what the client was told and what the upstream used.
fn check<'a>(told: &Value, record: &Value, hits: &mut impl Iterator<Item = &'a Hit>) {
    let tokens = [record["prompt_tokens"].as_u64(), record["completion_tokens"].as_u64()];
    if let Some(failed) = told[4].as_str() {
        assert_eq!((record["status"].as_str(), tokens), (Some(failed), [Some(0); 2]), "{record}");
        if failed == "error" {
            assert!(hits.next().is_some_and(|hit| hit.path.contains("missing") || hit.json()["model"] == "missing"));
        } else {
            assert_eq!(record["error_message"], "budget", "{record}");
        }
        return;
    }
    assert_eq!(record["status"], "ok", "{record}");
    let hit = hits.next().expect("the upstream was asked");
    let operation = told[1].as_str().expect("an operation");
    if matches!(operation, "other" | "messages.count_tokens") {
        assert_eq!((record["usage_source"].as_str(), tokens), (Some("none"), [Some(0); 2]), "{record}");
        return;
    }
    let (prompt, completion) = upstream::used(hit);
    let completion = if operation.starts_with("embed") { 0 } else { completion };
    assert_eq!((record.get("usage_source"), tokens), (None, [Some(prompt), Some(completion)]), "as reported: {record}");
    for (told, recorded) in [(&told[2], prompt), (&told[3], completion)] {
        assert!(told.is_null() || *told == recorded, "the client was told of {told}: {record}");
    }
    let has_picture = String::from_utf8_lossy(&hit.body).contains("iVBORw0KGgo");
    assert_eq!(record["request_type"] == "vision", has_picture, "{record}");
}
