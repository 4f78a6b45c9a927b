//! The REST door of the built program: who may come in, what is taken, and that the numbers are the same everywhere.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use serde_json::{Value, json};

use crate::running::{Home, Running, exchange, free_port};

const READ: &str = "read-0123456789-0123456789-0123456789";
const ADMIN: &str = "admin-0123456789-0123456789-0123456789";
const DEMO: &str = "[[providers]]\nname = \"demo\"\nkind = \"demo\"\n";

fn at(listen: &str, rest: &str) -> String {
    format!("timezone = \"America/Sao_Paulo\"\n[http]\nlisten = \"{listen}\"\n{rest}")
}

fn open_home() -> Home {
    Home::new(&at("127.0.0.1:0", DEMO))
}

fn guarded_home() -> Home {
    open_home().with_env("TALLYBOT_READ_TOKEN", READ).with_env("TALLYBOT_ADMIN_TOKEN", ADMIN)
}

fn get(service: &Running, target: &str, token: &str) -> u16 {
    service.ask(&format!("GET {target}\nAuthorization: Bearer {token}"), "").status()
}

/// The document's own sample, as it stands there.
const SAMPLE: &str = r#"{
  "timestamp": "2025-02-05T12:01:47.127728",
  "api_type": "gemini",
  "model": "gemini-2.5-flash",
  "api_key_suffix": "abc123",
  "prompt_tokens": 150,
  "completion_tokens": 320,
  "total_tokens": 470,
  "success": true,
  "error_message": null,
  "metadata": {}
}"#;

#[test]
fn a_public_address_without_tokens_is_refused_before_anything_is_begun() {
    let home = Home::new(&at("0.0.0.0:0", DEMO));
    let ended = home.run(&["serve"], "");
    assert_eq!((ended.code(), ended.out.as_str()), (Some(2), ""));
    for words in ["http.listen", "others can reach", "TALLYBOT_READ_TOKEN", "TALLYBOT_ADMIN_TOKEN", "127.0.0.1:5000"] {
        assert!(ended.err.contains(words), "{words}: {}", ended.err);
    }
    assert!(!home.data().exists());
    let half = Home::new(&at("0.0.0.0:0", DEMO)).with_env("TALLYBOT_READ_TOKEN", READ);
    let ended = half.run(&["serve"], "");
    assert!(ended.code() == Some(2) && ended.err.contains("admin_token_env"), "{ended:?}");
    let short = Home::new(&at("127.0.0.1:0", DEMO)).with_env("TALLYBOT_ADMIN_TOKEN", "short");
    assert_eq!(short.run(&["serve"], "").code(), Some(2), "a token that can be guessed is none");
}

#[test]
fn the_usual_address_is_loopback() {
    let home = Home::new("");
    let mut running = home.start(&["serve"]);
    // The port may be taken on this machine: either sentence names the address that was meant.
    let line = running.line_with("127.0.0.1:5000");
    assert!(line.contains("http://127.0.0.1:5000") || line.contains("`127.0.0.1:5000`"), "{line}");
}

#[test]
fn each_token_opens_its_doors_and_guessing_is_slowed() {
    let home = guarded_home();
    let service = home.serve();
    for (target, none, read, admin) in
        [("/stats", 401, 200, 200), ("/ready", 401, 200, 200), ("/health", 200, 200, 200), ("/nowhere", 404, 404, 404)]
    {
        let found = (
            service.ask(&format!("GET {target}"), "").status(),
            get(&service, target, READ),
            get(&service, target, ADMIN),
        );
        assert_eq!(found, (none, read, admin), "{target}");
    }
    for (path, body) in [("/metrics/reset", ""), ("/v1/usage", SAMPLE)] {
        let status = |token: &str| service.post(path, token, body).status();
        assert_eq!((status(READ), status(ADMIN)), (403, 200), "{path}");
    }
    let unknown = service.ask(&format!("GET /stats\nAuthorization: Bearer {READ}x"), "");
    assert_eq!((unknown.status(), unknown.header("www-authenticate").as_deref()), (401, Some("Bearer")));
    let statuses: Vec<u16> = (0..12).map(|n| get(&service, "/stats", &format!("guess-{n}"))).collect();
    assert_eq!((statuses[0], statuses[11]), (401, 429), "{statuses:?}");
    let slowed = service.ask(&format!("GET /stats\nAuthorization: Bearer {READ}x"), "");
    let wait: u64 = slowed.header("retry-after").and_then(|secs| secs.parse().ok()).expect("says when");
    assert!(slowed.status() == 429 && (1..=60).contains(&wait), "{slowed:?}");
    assert_eq!(service.ask("GET /health", "").status(), 200, "liveness is not slowed");
    assert_eq!(get(&service, "/stats", READ), 200, "who has a right token does not wait for who guesses beside it");
}

#[test]
fn foreign_names_and_pages_are_refused_on_loopback_too() {
    let home = open_home();
    let service = home.serve();
    for headers in [
        "Host: evil.example",
        "Host: 127.0.0.1.evil.example",
        "Host: localhost\nOrigin: http://evil.example",
        "Host: localhost\nOrigin: null",
        "Host: localhost\nSec-Fetch-Site: cross-site",
    ] {
        for line in ["GET /stats", "GET /health", "GET /nowhere", "POST /metrics/reset"] {
            let answer = service.ask(&format!("{line}\n{headers}"), "");
            assert_eq!((answer.status(), answer.code().as_str()), (403, "host_or_origin"), "{line} {headers}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    let port = service.port();
    for own in [format!("Host: localhost:{port}\nOrigin: http://localhost:{port}"), "Host: [::1]".to_owned()] {
        assert_eq!(service.ask(&format!("GET /stats\n{own}"), "").status(), 200, "{own}");
    }
    assert!(home.records().is_empty());
}

#[test]
fn methods_paths_and_parameters_are_answered_as_documented() {
    let home = open_home();
    let service = home.serve();
    for (head, status, code) in [
        ("GET /nowhere", 404, "unknown_route"),
        ("GET /stats/", 404, "unknown_route"),
        ("DELETE /stats", 405, "wrong_method"),
        ("TRACE /stats", 405, "wrong_method"),
        ("OPTIONS /v1/usage", 405, "wrong_method"),
        ("GET /metrics/reset", 405, "wrong_method"),
        ("GET /stats?period=week", 400, "bad_query"),
        ("GET /stats?zone=UTC", 400, "bad_query"),
        ("GET /stats?lang=en&lang=pt", 400, "bad_query"),
        ("GET /health?x=1", 400, "bad_query"),
    ] {
        let answer = service.ask(head, "");
        assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{head}: {answer:?}");
        assert!(answer.json()["error"]["allowed"].is_array() || code == "bad_query", "{head}: {answer:?}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{head}");
        assert!(answer.header("x-request-id").is_some() && answer.header("cache-control").is_some(), "{head}");
    }
    let head = service.ask("HEAD /health", "");
    assert_eq!((head.status(), head.body().as_str()), (200, ""));
    assert_eq!(head.header("content-length"), service.ask("GET /health", "").header("content-length"));
    let form = service.ask("POST /v1/usage\nContent-Type: text/plain", SAMPLE);
    assert_eq!((form.status(), form.code().as_str()), (415, "wrong_content_type"));
    assert_eq!(service.post("/metrics/reset", "", r#"{"all":true}"#).code(), "unexpected_body");
    assert_eq!(service.raw(b"nonsense\r\n\r\n").status(), 400);
    assert!(home.records().is_empty());
}

/// Usage in every form; what is accepted is worth 470 + 30 + 3 + 7 + 1 tokens.
fn post_usage(service: &Running) {
    let noted = |answer: crate::running::Answer| {
        let body = answer.json();
        let indices: Vec<u64> =
            body["rejected"].as_array().into_iter().flatten().filter_map(|item| item["index"].as_u64()).collect();
        (answer.status(), body["accepted"].as_u64(), body["duplicates"].as_u64(), indices)
    };
    assert_eq!(noted(service.post("/v1/usage", ADMIN, SAMPLE)), (200, Some(1), Some(0), vec![]));
    let array = json!([
        {"api_type": "openai", "model": "gpt-4o", "prompt_tokens": 10, "completion_tokens": 20, "source": "s", "id": "1"},
        {"model": 7},
        {"api_type": "openai", "model": "gpt-4o", "prompt_tokens": 10, "completion_tokens": 20, "source": "s", "id": "1"},
        {"api_type": "openai", "model": "gpt-4o", "prompt_tokens": 2, "completion_tokens": 1, "source": "s", "id": "2",
         "user": "ana", "latency_ms": 1200, "feature": "search"},
        "nothing",
    ]);
    let answer = service.post("/v1/usage", ADMIN, &array.to_string());
    assert_eq!(noted(answer), (200, Some(2), Some(1), vec![1, 4]));
    let lines = concat!(
        r#"{"api_type":"gemini","model":"flash","prompt_tokens":0,"completion_tokens":0,"success":false,"error_message":"429 Quota excedida"}"#,
        "\n",
        r#"{"api_type":"ollama","model":"llama3.2","local":true,"prompt_tokens":3,"completion_tokens":4,"request_type":"vision"}"#,
        "\n\n",
        r#"{"api_type":"ollama","model":"llama3.2","local":true,"prompt_tokens":1,"completion_tokens":0}"#,
    );
    let head = format!("POST /v1/usage\nContent-Type: application/x-ndjson\nAuthorization: Bearer {ADMIN}");
    assert_eq!(noted(service.ask(&head, lines)), (200, Some(3), Some(0), vec![]));
    let again = json!({"api_type": "openai", "model": "gpt-4o", "prompt_tokens": 2, "source": "s", "id": "2"});
    assert_eq!(noted(service.post("/v1/usage", ADMIN, &again.to_string())), (200, Some(0), Some(1), vec![]));
    assert_eq!(service.post("/v1/usage", ADMIN, r#"{"prompt_tokens":-1}"#).code(), "all_rejected");
    assert_eq!(service.post("/v1/usage", ADMIN, "{").status(), 400);
}

/// A report without what differs between a running and a stopped program.
fn numbers(mut report: Value) -> Value {
    for name in ["status", "uptime_seconds", "started_at", "generated_at"] {
        assert!(report.as_object_mut().expect("an object").remove(name).is_some(), "{name}");
    }
    report
}

fn shell_numbers(home: &Home, period: &str) -> Value {
    let ended = home.run(&["stats", "--json", "--period", period], "");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""));
    numbers(serde_json::from_str(&ended.out).expect("JSON"))
}

/// Compares field by field, so that a difference is named.
fn assert_same(path: &str, left: &Value, right: &Value) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let names: HashSet<&String> = a.keys().chain(b.keys()).collect();
            names.into_iter().for_each(|name| assert_same(&format!("{path}.{name}"), &left[name], &right[name]));
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            (0..a.len()).for_each(|n| assert_same(&format!("{path}[{n}]"), &left[n], &right[n]));
        }
        _ => assert_eq!(left, right, "{path}"),
    }
}

#[test]
fn usage_from_outside_shows_the_same_numbers_at_every_door() {
    let home = guarded_home();
    let service = home.serve();
    post_usage(&service);
    let stats = |query: &str| {
        let answer = service.ask(&format!("GET /stats{query}\nAuthorization: Bearer {READ}"), "");
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer
    };
    let today = stats("?period=today").json();
    assert_eq!(today["requests"]["total"], 5);
    assert_eq!((&today["requests"]["ok"], &today["requests"]["failed"]), (&json!(4), &json!(1)));
    assert_eq!((&today["tokens"]["total"], &today["tokens"]["local"]), (&json!(41), &json!(8)));
    assert_eq!(today["errors"]["by_kind"], json!({"rate_limited": 1}));
    assert_eq!(today["requests"]["by_type"]["vision"], 1);
    assert_eq!(today["timezone"], "America/Sao_Paulo");
    let records = home.records();
    assert_eq!(records.len(), 6, "the sample of an older day as well");
    assert_eq!(records[0]["timestamp"], "2025-02-05T12:01:47.127728-03:00", "a wall clock is the owner's");
    assert_eq!((&records[0]["api_key_suffix"], &records[0]["total_tokens"]), (&json!("c123"), &json!(470)));
    for period in ["all", "today", "7d", "30d"] {
        let http = numbers(stats(&format!("?period={period}")).json());
        assert_same(period, &http, &shell_numbers(&home, period));
    }
    let screen = stats("?period=today&format=text&lang=pt");
    assert_eq!(screen.header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
    let typed = home.run(&["stats", "--period", "today", "--lang", "pt"], "");
    // The line of the state tells of the uptime; the last, of when it was asked.
    let comparable = |text: &str| text.lines().filter(|line| !line.starts_with('●')).collect::<Vec<_>>().join("\n");
    assert_eq!(comparable(&screen.body()), comparable(&typed.out));
    assert!(screen.body().contains("\n5 requisições"), "{screen:?}");
    let running = numbers(stats("").json());
    assert_eq!(service.stop().code(), Some(0));
    assert_same("stopped", &running, &shell_numbers(&home, "all"));
    let again = home.serve();
    let restarted = again.ask(&format!("GET /stats\nAuthorization: Bearer {READ}"), "").json();
    assert_same("restarted", &running, &numbers(restarted));
}

#[test]
fn a_reset_is_one_post_and_the_shell_goes_through_whoever_holds_the_folder() {
    let port = free_port();
    let home = Home::new(&at(&format!("127.0.0.1:{port}"), DEMO)).with_env("TALLYBOT_ADMIN_TOKEN", ADMIN);
    let service = home.serve();
    let item = r#"{"model":"m","prompt_tokens":1,"completion_tokens":1}"#;
    let total = || service.ask("GET /stats", "").json()["requests"]["total"].as_u64();
    service.post("/v1/usage", ADMIN, item);
    assert_eq!(total(), Some(1));
    let answer = service.post("/metrics/reset", ADMIN, "");
    assert_eq!(answer.status(), 200, "{answer:?}");
    let since = answer.json()["counting_since"].as_str().expect("a time").to_owned();
    assert!(!answer.json()["message"].as_str().unwrap_or_default().is_empty());
    assert_eq!((total(), service.ask("GET /stats", "").json()["counting_since"].as_str()), (Some(0), Some(&*since)));
    service.post("/v1/usage", ADMIN, item);
    assert_eq!(total(), Some(1));
    let ended = home.run(&["reset", "--yes"], "");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let told = ended.out.trim().strip_prefix("counting since ").expect("says since when");
    assert_eq!(service.ask("GET /stats", "").json()["counting_since"].as_str(), Some(told));
    assert_eq!(total(), Some(0));
    service.post("/v1/usage", ADMIN, item);
    assert_eq!(service.stop().code(), Some(0));
    assert_eq!(shell_numbers(&home, "all")["requests"]["total"], 1);
    assert_eq!(home.run(&["reset", "--yes"], "").code(), Some(0));
    assert_eq!(shell_numbers(&home, "all")["requests"]["total"], 0);
    assert_eq!(home.records().len(), 3, "a reset deletes nothing");
}

#[test]
fn the_shell_finds_a_service_whatever_it_listens_on() {
    for listen in ["127.0.0.1:0", "0.0.0.0:0"] {
        let home = Home::new(&at(listen, DEMO));
        let home = home.with_env("TALLYBOT_READ_TOKEN", READ).with_env("TALLYBOT_ADMIN_TOKEN", ADMIN);
        let service = home.serve();
        let ended = home.run(&["reset", "--yes"], "");
        assert_eq!(ended.code(), Some(0), "{listen}: {ended:?}");
        let stats = service.ask(&format!("GET /stats\nAuthorization: Bearer {READ}"), "").json();
        assert_eq!(ended.out.trim().strip_prefix("counting since "), stats["counting_since"].as_str());
    }
}

#[test]
fn a_folder_held_by_a_chat_does_not_send_the_shell_to_somebody_elses_door() {
    let other = open_home();
    let service = other.serve();
    service.post("/v1/usage", "", SAMPLE);
    // The chat's configuration names the address of another service; a chat does not listen.
    let home = Home::new(&at(&format!("127.0.0.1:{}", service.port()), DEMO));
    let chat = home.start(&["chat"]);
    home.wait_for("control.jsonl");
    let ended = home.run(&["reset", "--yes"], "");
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.err.contains(&format!("process {}", chat.pid())) && ended.err.contains("/reset_stats"), "{ended:?}");
    assert_eq!(service.ask("GET /stats", "").json()["requests"]["total"], 1, "the other's books are as they were");
    assert_eq!(chat.wait().code(), Some(0));
}

#[test]
fn c8_a_second_service_on_the_same_folder_is_refused_by_name() {
    let home = open_home();
    let service = home.serve();
    for command in ["serve", "chat"] {
        let second = home.run(&[command], "hello\n");
        assert_eq!((second.code(), second.out.as_str()), (Some(1), ""));
        assert!(second.err.contains(&format!("process {}", service.pid())), "{second:?}");
    }
    assert_eq!(service.post("/v1/usage", "", SAMPLE).status(), 200, "the first goes on");
    assert_eq!(service.stop().code(), Some(0));
}

#[test]
fn j1_a_stop_under_load_ends_well_and_loses_nothing_that_was_acknowledged() {
    const CLIENTS: usize = 8;
    let home = open_home();
    let service = home.serve();
    let port = service.port();
    let (acknowledged, count, stop) = (Mutex::new(HashSet::new()), AtomicUsize::new(0), AtomicBool::new(false));
    let (enough, is_enough) = channel();
    let ended = std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (acknowledged, count, stop, enough) = (&acknowledged, &count, &stop, enough.clone());
            scope.spawn(move || {
                for n in 0.. {
                    let id = format!("{client}-{n}");
                    let body = json!({"model": "m", "prompt_tokens": 1, "completion_tokens": 1, "id": id}).to_string();
                    let request = format!(
                        "POST /v1/usage HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    match exchange(port, request.as_bytes()) {
                        Ok(answer) if answer.status() == 200 => {
                            acknowledged.lock().expect("free").insert(id);
                            if count.fetch_add(1, Ordering::Relaxed) + 1 == 200 {
                                enough.send(()).expect("waited for");
                            }
                        }
                        _ if stop.load(Ordering::Relaxed) => return,
                        _ => {}
                    }
                }
            });
        }
        is_enough.recv().expect("clients run");
        stop.store(true, Ordering::Relaxed);
        service.stop()
    });
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let mut written = HashSet::new();
    for record in home.records() {
        let id = record["source"]["id"].as_str().expect("given").to_owned();
        assert!(written.insert(id), "written twice: {record}");
    }
    let acknowledged = acknowledged.into_inner().expect("free");
    assert!(acknowledged.len() >= 200);
    assert_eq!(acknowledged.difference(&written).collect::<Vec<_>>(), Vec::<&String>::new(), "lost");
    assert_eq!(shell_numbers(&home, "all")["requests"]["total"], json!(written.len()));
}

#[test]
fn readiness_names_who_cannot_be_reached_and_liveness_does_not_care() {
    let port = free_port();
    let silent = format!(
        "[[providers]]\nname = \"attic\"\nkind = \"ollama\"\nurl = \"http://127.0.0.1:{port}\"\nmodel = \"m\"\n"
    );
    let home = Home::new(&at("127.0.0.1:0", &silent));
    let service = home.serve();
    let ready = service.ask("GET /ready", "");
    assert_eq!((ready.status(), &ready.json()["ready"]), (503, &json!(false)));
    assert_eq!(ready.json()["journal"], json!({"ok": true}));
    let provider = &ready.json()["providers"][0];
    assert_eq!((&provider["name"], &provider["ok"]), (&json!("attic"), &json!(false)), "{ready:?}");
    assert!(provider["detail"].is_string() && !ready.text().contains(&port.to_string()), "{ready:?}");
    assert_eq!(service.ask("GET /health", "").status(), 200);
    assert_eq!(service.stop().code(), Some(0));
}

#[test]
fn the_documents_samples_are_accepted_as_they_are() {
    let home = open_home();
    let service = home.serve();
    let failed =
        r#"{"prompt_tokens": 0, "completion_tokens": 0, "success": false, "error_message": "429 Quota excedida"}"#;
    let with_metadata = r#"{"prompt_tokens": 150, "completion_tokens": 320,
        "metadata": {"article_id": 123, "processing_time_ms": 2450, "category": "tech"}}"#;
    for item in [SAMPLE, failed, with_metadata, r#"{"prompt_tokens": 150, "completion_tokens": 320}"#] {
        let answer = service.post("/v1/usage", "", item);
        assert_eq!((answer.status(), &answer.json()["accepted"]), (200, &json!(1)), "{item}: {answer:?}");
    }
    let records = home.records();
    assert_eq!(records[1]["error_message"], "rate_limited 429");
    assert_eq!(records[2]["metadata"], json!({"article_id": 123, "processing_time_ms": 2450, "category": "tech"}));
}
