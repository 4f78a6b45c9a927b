//! The same of the gateway: prompts, answers, credentials and names go through it at every door, the provider repeats all
//! of it in every way, and afterwards everything is searched. What passes to the client that asked is not ours to change;
//! everything else is.

use std::io::Write;
use std::net::TcpStream;

use serde_json::{Value, json};

use super::{ADMIN, CASES, ENV_KEY, Kept, READ, Traces, gossip};
use crate::providers::ScriptedProvider;
use crate::running::{Answer, Home, Running, until};

const NAMES: &str = "names are kept on purpose, cleaned and cut: by them usage is told apart";

/// What may be found where.
const KEPT: [Kept; 11] = [
    ("name", "data/tokens_", NAMES),
    ("name", "data/metrics.json", NAMES),
    ("name", "data/token_stats.json", NAMES),
    ("name", "data/open.slots", NAMES),
    ("nameteam", "data/control.jsonl", "the team of a key is kept with it"),
    ("name", "http GET", NAMES),
    ("name", "export", NAMES),
    ("namemodel", "data/token_debug.log", "an alert, which is for the owner, says which model has no price"),
    ("provider", "refusal", "whoever names a provider that is not there is told which name that was"),
    ("useridentity", "data/people.json", "the one place that knows who a subject is"),
    ("useridentity", "http GET /v1/keys", "an admin is told whose a key is"),
];

/// What a client shows where keys stand, and everything else that it may say in its head.
const HEADERS: &str = "Authorization: Bearer sk-canaryclientbearer-0123456789\nx-api-key: sk-canaryclientkey-0123456789\n\
    x-goog-api-key: canaryclientgoogle-0123456789\napi-key: canaryclientazure-0123456789\nCookie: canaryclientcookie=1\n\
    x-user: canaryuseridentity\nx-session: canarysession\nx-feature: canarynamefeature\nx-agent: canarynameagent\n\
    x-operation: canarynameoperation\nx-team: canarynameteam\nx-request-type: canarynametype\n\
    User-Agent: canaryagent\nReferer: http://canaryreferer\ntraceparent: canarytrace\nx-canaryheader: canaryvalue\n\
    OpenAI-Organization: canaryorganization\nContent-Type: application/json";

/// The paths of all APIs, and a provider without a key of its own.
const PATHS: [&str; 8] = [
    "cloud/v1/chat/completions",
    "cloud/v1/responses",
    "cloud/v1/embeddings",
    "claude/v1/messages",
    "google/v1beta/models/canarynamemodel:generateContent",
    "google/v1beta/models/canarynamemodel:streamGenerateContent?alt=sse&canaryquery=canaryquery",
    "ollama/api/chat",
    "bare/v1/chat/completions",
];

fn config(url: &str) -> String {
    let provider = |name: &str, kind: &str, key: &str| {
        format!("[[providers]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"{url}\"\nmodel = \"m\"\n{key}\n")
    };
    let key = "api_key_env = \"CLOUD_KEY\"";
    let providers = [
        provider("cloud", "openai", key),
        provider("claude", "anthropic", key),
        provider("google", "gemini", key),
        provider("ollama", "ollama", ""),
        provider("bare", "openai", ""),
    ];
    format!("[http]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"trace\"\n{}", providers.concat())
}

/// A body that every API reads something in.
fn body(case: &str) -> Value {
    let text = format!("{case} canaryprompt in a question");
    json!({"model": "canarynamemodel", "messages": [{"role": "system", "content": "canarysystemprompt"},
        {"role": "user", "content": text}], "input": text, "max_tokens": 9, "stream": case != "casejson",
        "contents": [{"role": "user", "parts": [{"text": text}]}], "canaryfield": "canaryvalue",
        "user": "canaryuser", "tools": [{"name": "canarytool"}]})
}

/// Calls that reach the provider, and come back in every way.
fn drive_calls(service: &Running, headers: &str) {
    for path in PATHS {
        for case in CASES {
            service.ask(&format!("POST /gateway/{path}\n{headers}"), &body(case).to_string());
        }
    }
    for head in ["GET /gateway/cloud/v1/models/canarypath?canaryquery=1", "DELETE /gateway/cloud/v1/files/canarypath"] {
        service.ask(&format!("{head}\n{headers}"), "");
    }
    service.ask(&format!("POST /gateway/cloud/v1/files\n{headers}"), "canaryfilecontent");
    let counting = "POST /gateway/google/v1beta/models/m:countTokens?key=canaryquerykey";
    service.ask(&format!("{counting}\n{headers}"), "canarycount");
}

/// What is refused or breaks before it reaches anybody: its answers are our own words.
fn drive_refusals(service: &Running, headers: &str, traces: &mut Traces) {
    let mut refused = |answer: Answer| {
        assert!(answer.status() >= 400, "{answer:?}");
        traces.add("refusal", answer.bytes);
    };
    let chat = format!("POST /gateway/cloud/v1/chat/completions\n{headers}");
    let twice = r#"{"model":"canarynamemodel","model":"canarynamemodel","messages":"canaryprompt"}"#;
    for text in ["canarynotjson", "{\"canarybroken", "[\"canarylist\"]", "{\"model\":{\"canarytype\":1}}", twice, ""] {
        refused(service.ask(&chat, text));
    }
    let prompt = body("caseok").to_string();
    refused(service.ask(&format!("{chat}\nContent-Encoding: canaryencoding"), &prompt));
    refused(service.ask(&format!("POST /gateway/canaryprovider/v1/chat/completions\n{headers}"), &prompt));
    for path in ["cloud/v1/../canarypath", "cloud/canarypath%2fx", "cloud//canarypath"] {
        refused(service.ask(&format!("POST /gateway/{path}?canaryquery=1\n{headers}"), &prompt));
    }
    refused(service.ask(&format!("TRACE /gateway/cloud/canarypath\n{headers}"), ""));
    refused(service.ask(&format!("{chat}\nHost: canaryhost.example"), &prompt));
    refused(service.ask(&format!("{chat}\nOrigin: http://canaryorigin.example"), &prompt));
    refused(service.ask(&format!("{chat}\nx-forwarded-for: canaryforwarded"), &prompt));
    for key in ["tb-canaryunknownkey0123456789012345", "canaryforeignkey-0123456789"] {
        let headers = headers
            .replace("Authorization: Bearer sk-canaryclientbearer-0123456789", &format!("Authorization: Bearer {key}"));
        let proxied = format!("POST /gateway/cloud/v1/chat/completions?key={key}\n{headers}\nx-real-ip: canaryaddress");
        refused(service.ask(&proxied, &prompt));
    }
    let announced = "POST /gateway/cloud/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\
                     Connection: close\r\n\r\ncanaryhuge";
    refused(service.raw(announced.as_bytes()));
}

/// Clients that leave: within their head, within their body, and before the answer.
fn drive_leaving(service: &Running) {
    let head = "POST /gateway/cloud/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx-canary: canaryhead";
    let prompt = body("caseok").to_string();
    let announced = format!("{head}\r\nContent-Length: {}\r\n\r\n", prompt.len());
    for sent in [head.to_owned(), format!("{announced}{{\"canarycut"), format!("{announced}{prompt}")] {
        let mut stream = TcpStream::connect(("127.0.0.1", service.port())).expect("it listens");
        stream.write_all(sent.as_bytes()).expect("connected");
    }
}

/// What others are told afterwards.
fn others_look(service: &Running, home: &Home, traces: &mut Traces) {
    for (path, token) in [
        ("/stats", READ),
        ("/stats?format=text", READ),
        ("/ready", READ),
        ("/health", READ),
        ("/v1/usage", ADMIN),
        ("/v1/keys", ADMIN),
        ("/openapi.json", READ),
    ] {
        let answer = service.ask(&format!("GET {path}\nAuthorization: Bearer {token}"), "");
        assert_eq!(answer.status(), 200, "{path}: {answer:?}");
        traces.add(&format!("http GET {path}"), answer.bytes);
    }
    let ended = home.run(&["export"], "");
    traces.ended("export", &ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_passes_the_gateway_stays_but_names_and_counts() {
    let provider = ScriptedProvider::start(gossip).await;
    let home = Home::new(&config(&provider.url()))
        .with_env("TALLYBOT_READ_TOKEN", READ)
        .with_env("TALLYBOT_ADMIN_TOKEN", ADMIN)
        .with_env("CLOUD_KEY", ENV_KEY)
        .with_env("RUST_LOG", "trace")
        .with_env("RUST_BACKTRACE", "full");
    let mut traces = Traces::default();
    let service = home.serve();
    drive_calls(&service, HEADERS);
    drive_refusals(&service, HEADERS, &mut traces);
    drive_leaving(&service);
    let made = service.post("/v1/keys", ADMIN, r#"{"name":"web","user":"canaryuseridentity","team":"canarynameteam"}"#);
    let key = made.json()["key"].as_str().expect("it is told once").to_owned();
    let with_key = HEADERS.replace("sk-canaryclientbearer-0123456789", &key);
    drive_calls(&service, &with_key);
    drive_refusals(&service, HEADERS, &mut traces);
    let calls = 2 * PATHS.len() * CASES.len();
    assert!(provider.hits().len() >= calls, "{} of {calls} calls reached the provider", provider.hits().len());
    assert!(until(|| home.records_if_whole().is_some_and(|records| records >= calls)), "each call has its record");
    let log = home.data().join("token_debug.log");
    let told = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("has no known price"));
    assert!(until(told), "the owner is told");
    others_look(&service, &home, &mut traces);
    traces.ended("serve", &service.stop());
    traces.files_of(&home);
    traces.assert_hold_only(&KEPT);
    assert!(!traces.find(key.trim_start_matches("tb-")), "a key of ours is told once, to whoever made it");
    for hit in provider.hits() {
        let holds = |text: &str| hit.headers.iter().any(|(_, value)| value.contains(text)) || hit.path.contains(text);
        assert!(!holds(&key) && !holds("canaryclientcookie"), "what is for us alone went on: {hit:?}");
        assert!(!holds(ENV_KEY) || !holds("canaryclient"), "credentials beside the provider's own: {hit:?}");
    }
}
