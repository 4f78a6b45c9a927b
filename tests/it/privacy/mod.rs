//! Laws 7 and 8 on the built program: marked secrets go in at every door there is, and then everything is searched.
//!
//! A mark is `canary` and its topic in one word. Whatever the program wrote, printed or answered is searched for
//! `canary` in any case, plain, in hex and in base 64; a topic may be found only where the table [`KEPT`] says so.

mod gateway;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use data_encoding::{BASE64, HEXLOWER};
use serde_json::json;
use tallybot::usage::{Given, KeySuffix, RecordId, Timestamp, UsageRecord, seal_line, write_record};

use crate::providers::{Hit, Reply, ScriptedProvider, openai};
use crate::running::{Answer, Ended, Home, Running, is_journal, walk};

const READ: &str = "canaryreadtoken-0123456789-0123456789-0123";
const ADMIN: &str = "canaryadmintoken-0123456789-0123456789-012";
const ENV_KEY: &str = "sk-canaryenvkey-0123456789-0123456789-WXYZ";
const FILE_KEY: &str = "sk-canaryfilekey-0123456789-0123456789-QRST";
const SHORT_KEY: &str = "canaryshort-EFGH";
const SYSTEM: &str = "canarysystemprompt: be brief";
const ANSWER: &str = "canaryanswer and nothing more";

/// A topic, the place where it may be found, and why.
type Kept = (&'static str, &'static str, &'static str);

/// What may be found where. Everything else may be found nowhere.
const KEPT: [Kept; 4] = [
    ("answer", "chat stdout", "the person asked for it"),
    ("typed", "chat stdout", "a command that is not understood is named back to whoever typed it"),
    ("metadata", "data/tokens_", "a caller's own data, kept on purpose: it is the caller's to choose what is in it"),
    ("useridentity", "data/people.json", "the one place that knows who a subject is"),
];

/// Something that left the process, and what it is.
struct Trace {
    place: String,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Traces(Vec<Trace>);

impl Traces {
    fn add(&mut self, place: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push(Trace { place: place.to_owned(), bytes: bytes.into() });
    }

    fn ended(&mut self, what: &str, ended: &Ended) {
        self.add(&format!("{what} stdout"), ended.out.as_bytes());
        self.add(&format!("{what} stderr"), ended.err.as_bytes());
    }

    fn files_of(&mut self, home: &Home) {
        for (path, bytes) in home.written() {
            let name = path.strip_prefix(home.path("run")).expect("below it").display().to_string();
            self.add(&name, name.as_bytes());
            self.add(&name, bytes);
        }
    }

    /// Every mark in every trace, as topic and place, where it may not be.
    fn leaks(&self, kept: &[Kept]) -> BTreeSet<(String, String)> {
        let may = |topic: &str, place: &str| {
            kept.iter().any(|(kept, at, _)| topic.starts_with(kept) && place.starts_with(at))
        };
        let found = self.0.iter().flat_map(|trace| topics(&trace.bytes).map(|topic| (topic, trace.place.clone())));
        found.filter(|(topic, place)| !may(topic, place)).collect()
    }

    /// Holds what was found against what may be: nothing else, and all of that.
    fn assert_hold_only(&self, kept: &[Kept]) {
        assert_eq!(self.leaks(kept), BTreeSet::new());
        for (topic, place, why) in kept {
            assert!(self.hold(topic, place), "{topic} should be in {place}: {why}");
        }
    }

    /// Whether a text is anywhere, whatever its case.
    fn find(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.0.iter().any(|trace| positions(&trace.bytes.to_ascii_lowercase(), text.as_bytes()).next().is_some())
    }

    fn hold(&self, topic: &str, place: &str) -> bool {
        let mut traces = self.0.iter().filter(|trace| trace.place.starts_with(place));
        traces.any(|trace| topics(&trace.bytes).any(|found| found.starts_with(topic)))
    }
}

/// The topics of all marks in some bytes: the letters after `canary`, or in what way it is hidden.
fn topics(bytes: &[u8]) -> impl Iterator<Item = String> {
    let lower = bytes.to_ascii_lowercase();
    let plain = positions(&lower, b"canary").map(|at| {
        let letters = lower[at + 6..].iter().take_while(|byte| byte.is_ascii_alphabetic());
        letters.map(|byte| char::from(*byte)).collect::<String>()
    });
    let mut found: Vec<String> = plain.collect();
    if positions(&lower, HEXLOWER.encode(b"canary").as_bytes()).next().is_some() {
        found.push("(in hex)".to_owned());
    }
    // Base 64 of a text depends on where it begins within three bytes; the first and last digits on its neighbours.
    for skip in 0..3 {
        let encoded = BASE64.encode(&[&b"xxx"[..skip], b"canary"].concat());
        let digits = encoded.trim_end_matches('=').as_bytes();
        let certain = &digits[if skip == 0 { 0 } else { skip + 1 }..digits.len() - usize::from(skip != 0)];
        if positions(bytes, certain).next().is_some() {
            found.push("(in base 64)".to_owned());
        }
    }
    found.into_iter()
}

fn positions<'a>(bytes: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    bytes.windows(word.len()).enumerate().filter(move |(_, window)| *window == word).map(|(at, _)| at)
}

/// A provider that repeats in every way what it was told.
fn gossip(hit: &Hit) -> Reply {
    let told = format!("{} {}", hit.header("authorization").unwrap_or_default(), String::from_utf8_lossy(&hit.body));
    let asked = hit.json()["messages"].as_array().and_then(|all| all.last().cloned()).unwrap_or_default();
    let asked = asked["content"].as_str().unwrap_or_default().to_owned();
    let html = format!("<html><body><h1>Error</h1><pre>{told} canaryproviderhtml</pre></body></html>");
    let frames = openai::chat_frames(&[ANSWER], 12, 7);
    let in_stream = format!("data: {}\n\n", json!({"error": {"message": told, "type": "server_error", "code": told}}));
    let case = asked.split_whitespace().next().unwrap_or_default();
    let reply = match case {
        "case400" => openai::error_about(400, &told, &told, Some(&told)),
        "case401" => openai::error(401, "invalid_api_key", &told),
        "case410" => openai::error(410, "gone", &told),
        "case429" => openai::error(429, "rate_limit_exceeded", &told),
        "case500" => Reply::whole(500, "text/html", html),
        "casehtml" => Reply::whole(200, "text/html", html),
        "casejson" => Reply::json(200, json!({"choices": told, "told": told}).to_string()),
        "casestream" => Reply::stream("text/event-stream", [frames[0].clone(), in_stream]),
        "casegarbage" => Reply::stream("text/event-stream", [format!("data: {told}\n\n")]),
        "caseredirect" => {
            Reply::whole(302, "text/plain", &told).header("location", "http://127.0.0.1:1/canarylocation")
        }
        "casereset" => Reply::reset(),
        "casecut" => Reply::stream("text/event-stream", &frames).cut_at(400),
        _ => Reply::stream("text/event-stream", &frames),
    };
    let hostile_id = format!("{} canaryrequestid <script>", told.replace(['\n', '\r'], " "));
    let reply = reply.header("x-request-id", &hostile_id).header("x-should-retry", "false");
    let reply = reply.header("x-canaryheader", "canaryheadervalue").header("server", "canaryserver");
    reply.header("x-ratelimit-limit-requests", "canaryratelimit").header("set-cookie", "canarycookie=1")
}

const CASES: [&str; 13] = [
    "caseok",
    "case400",
    "case401",
    "case410",
    "case429",
    "case500",
    "casehtml",
    "casejson",
    "casestream",
    "casegarbage",
    "caseredirect",
    "casereset",
    "casecut",
];

fn config(url: &str, key: &str) -> String {
    format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"trace\"\n\
         [chat]\nsystem_prompt = \"{SYSTEM}\"\nusage_footer = true\nmax_message_bytes = 400\n\
         [[providers]]\nname = \"cloud\"\nkind = \"openai\"\nurl = \"{url}\"\nmodel = \"gpt-4o\"\n{key}\n\
         limits = {{ requests_per_day = 40 }}\n"
    )
}

/// Everything a person can type, marked.
fn typed() -> String {
    let mut lines: String = CASES.iter().map(|case| format!("{case} canaryprompt in a question\n")).collect();
    lines += &format!("canarylongprompt {}\n", "x".repeat(500));
    for command in [
        "/canarytypedcommand now",
        "/stats canarytypedargument",
        "/model canarytypedmodel",
        "/lang canarytypedlang",
        "/usage canarytypedon",
        "/reset_stats canarytypedreset",
        "canaryconfirm",
        "/id",
        "/model",
        "/stats",
        "/stats limits",
        "/help",
    ] {
        lines += command;
        lines += "\n";
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_private_leaves_memory() {
    let provider = ScriptedProvider::start(gossip).await;
    let home = Home::new("")
        .with_env("TALLYBOT_READ_TOKEN", READ)
        .with_env("TALLYBOT_ADMIN_TOKEN", ADMIN)
        .with_env("CLOUD_KEY", ENV_KEY)
        .with_env("SHORT_KEY", SHORT_KEY)
        .with_env("RUST_LOG", "trace")
        .with_env("RUST_BACKTRACE", "full");
    let key_file = home.input("cloud.key", FILE_KEY).display().to_string();
    let keys = [
        ("chat", "api_key_env = \"CLOUD_KEY\"".to_owned()),
        ("chat with a key file", format!("api_key_file = \"{key_file}\"")),
        ("chat with a short key", "api_key_env = \"SHORT_KEY\"".to_owned()),
    ];
    let mut traces = Traces::default();
    for (what, key) in &keys {
        home.configure(&config(&provider.url(), key));
        let ended = home.run(&["chat"], &typed());
        assert_eq!(ended.code(), Some(1), "some of it cannot be answered: {what}: {ended:?}");
        // `chat` is where answers may be shown; nothing else.
        traces.add("chat stdout", ended.out.as_bytes());
        traces.add(&format!("{what} stderr"), ended.err.as_bytes());
    }
    assert!(provider.hits().len() > 2 * CASES.len(), "every case was asked");
    assert!(provider.hits().iter().any(|hit| String::from_utf8_lossy(&hit.body).contains("canarysystemprompt")));
    let service = home.serve();
    drive_http(&service, &mut traces);
    watch_process(&service, &mut traces);
    traces.ended("second serve", &home.run(&["serve"], ""));
    traces.ended("stats", &home.run(&["stats"], ""));
    traces.ended("reset", &home.run(&["reset", "--yes"], ""));
    traces.ended("serve", &service.stop());
    tear(&home);
    let mended = home.serve();
    traces.add("mended", mended.ask(&format!("GET /stats\nAuthorization: Bearer {READ}"), "").bytes);
    traces.ended("mended", &mended.stop());
    traces.ended("stats --json", &home.run(&["stats", "--json"], ""));
    drive_config(&home, &mut traces);
    traces.files_of(&home);

    traces.assert_hold_only(&KEPT);
    assert_suffixes(&home);
    assert_closed_to_others(&home);
}

/// Marks in every part of a request, at every door.
fn drive_http(service: &Running, traces: &mut Traces) {
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let mut keep = |what: &str, answer: Answer| traces.add(&format!("http {what}"), answer.bytes);
    for token in [READ, ADMIN, "canarywrongguess-0123456789", "canarywrong"] {
        for line in ["GET /stats", "GET /stats?format=text", "GET /ready", "GET /health", "POST /metrics/reset"] {
            keep(line, service.ask(&format!("{line}\n{}", bearer(token)), ""));
        }
    }
    let admin = bearer(ADMIN);
    for head in [
        format!("GET /stats?token=canaryquerytoken-0123456789\n{admin}"),
        format!("GET /stats?canaryqueryname0123456789=1&period=canaryqueryvalue0123\n{admin}"),
        format!("GET /stats?lang=canary%71uery0123456789&format=canaryformat0123456\n{admin}"),
        format!("POST /v1/usage?canaryqueryname0123456789\n{admin}"),
        format!("GET /canarypath\n{admin}"),
        format!("CANARYMETHOD /stats\n{admin}"),
        format!("CANARYMETHOD /canarypath\n{admin}"),
        format!("GET /stats\nHost: canaryhost.example\n{admin}"),
        format!("GET /stats\nOrigin: http://canaryorigin.example\n{admin}"),
        format!("GET /stats\nReferer: http://canaryreferer\nCookie: canarycookie=1\nUser-Agent: canaryagent\n{admin}"),
        format!("GET /stats\nx-request-id: canaryrequestid\ntraceparent: canarytrace\n{admin}"),
        format!("GET /stats?format=text\nAccept-Language: canarylanguage\n{admin}"),
        "GET /stats\nAuthorization: Basic canarybasic".to_owned(),
        "GET /stats\nAuthorization: canaryscheme".to_owned(),
        format!("GET /stats\n{admin}\n{admin}"),
        format!("POST /v1/usage\nContent-Type: text/canarytype\n{admin}"),
    ] {
        keep(head.split(['?', '\n']).next().unwrap_or_default(), service.ask(&head, ""));
    }
    for raw in [
        "canarygarbage\r\n\r\n",
        "GET /stats HTTP/1.1\r\ncanary bad header\r\n\r\n",
        "GET canary target HTTP/9\r\n\r\n",
    ] {
        keep("garbage", service.raw(raw.as_bytes()));
    }
    let huge = format!("canaryhuge0{}", "y".repeat(5_000));
    for body in [
        json!({"model": "m", "prompt_tokens": 5, "success": false, "error_message": "500 canaryerrormessage told me"}),
        json!({"model": "m", "prompt_tokens": 5, "success": false, "error_message": "canaryerrormessage"}),
        json!({"model": "m", "prompt_tokens": 5, "user": "canaryuseridentity", "session": "canarysessionidentity"}),
        json!({"model": "m", "prompt_tokens": 5, "metadata": {"note": "canarymetadata"}}),
        json!({"model": "m", "prompt_tokens": 5, "api_key_suffix": "sk-canarywholekey-0123456789-MNOP"}),
        json!({"model": "m", "prompt": "canarypromptfield", "messages": [{"content": "canarymessages"}]}),
        json!({"model": "m", "canary_unknown_0123": "canaryunknownvalue"}),
        json!({huge.clone(): "canaryunknownvalue"}),
        json!({"model": ["canarywrongtype"], "prompt_tokens": "canarywrongtype", "latency_ms": "canarywrongtype"}),
        json!({"model": {"canarywrongtype": 1}, "success": "canarywrongtype", "metadata": "canarywrongtype"}),
        json!({"status": "canarystatus", "usage_source": "canarysource", "timestamp": "canarytime", "cost_usd": "canarycost"}),
        json!({"model": "m", "user": huge, "session": format!("canary\u{7}control")}),
        json!("canarytext"),
        json!(["canarylist", {"model": "m", "completion_tokens": "canarytokens"}]),
    ] {
        keep("POST /v1/usage", service.post("/v1/usage", ADMIN, &body.to_string()));
        keep("POST /v1/usage", service.post("/v1/usage", READ, &body.to_string()));
    }
    for body in [
        json!({"name": "canary key"}),
        json!({"name": ["canarywrongtype"], "user": "canaryuser"}),
        json!({"name": "x", "user": "canary\u{7}control", "team": "canary\u{7}control"}),
        json!({"name": "x", "canary_unknown_0123": "canaryunknownvalue"}),
        json!({"name": "x", "providers": ["canaryprovider"], "models": ["canary*model"]}),
        json!({"name": "x", "budgets": {"canarylimit": 1, "usd_per_day": "canaryamount"}}),
        json!("canarytext"),
    ] {
        keep("POST /v1/keys", service.post("/v1/keys", ADMIN, &body.to_string()));
        keep("POST /v1/keys", service.post("/v1/keys", READ, &body.to_string()));
    }
    for body in
        ["{\"canarybroken", "canarynotjson", "{\"model\":\"canarycut\",\"prompt_tokens\":1", "[{},canaryinlist]"]
    {
        keep("POST /v1/usage", service.post("/v1/usage", ADMIN, body));
        keep("POST /metrics/reset", service.post("/metrics/reset", ADMIN, body));
        keep("POST /v1/keys", service.post("/v1/keys", ADMIN, body));
        let lines = format!("POST /v1/usage\nContent-Type: application/x-ndjson\n{admin}");
        keep("NDJSON", service.ask(&lines, body));
    }
    let chunked = format!(
        "POST /v1/usage HTTP/1.1\r\nHost: localhost\r\n{admin}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\ncanarychunk\r\n"
    );
    keep("chunked", service.raw(chunked.as_bytes()));
    // The last line of the journal, which will be torn.
    keep("POST /v1/usage", service.post("/v1/usage", ADMIN, r#"{"model":"m","prompt_tokens":1,"id":"last"}"#));
}

/// What others on the machine can see of the process; its environment is what its owner gave it.
fn watch_process(service: &Running, traces: &mut Traces) {
    let proc = |name: &str| std::fs::read(format!("/proc/{}/{name}", service.pid())).unwrap_or_default();
    for name in ["cmdline", "comm", "status"] {
        traces.add(name, proc(name));
    }
    let limits = String::from_utf8_lossy(&proc("limits")).into_owned();
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    assert_eq!(core.map(|line| line.split_whitespace().skip(4).take(2).collect::<Vec<_>>()), Some(vec!["0", "0"]));
}

/// Cuts the newest line of the journal in two.
fn tear(home: &Home) {
    let mut journals: Vec<_> = home.written().into_iter().filter(|(path, _)| is_journal(path)).collect();
    journals.sort();
    let (path, mut bytes) = journals.pop().expect("there is a journal");
    bytes.truncate(bytes.len() - 30);
    std::fs::write(&path, &bytes).expect("ours");
}

/// Keys where names belong, and every other place where somebody may put one by mistake.
fn drive_config(home: &Home, traces: &mut Traces) {
    let key = "sk-canaryconfigkey-0123456789-0123456789";
    let provider = "[[providers]]\nname = \"a\"\nkind = \"openai\"\nmodel = \"m\"\n";
    for text in [
        format!("{provider}api_key_env = \"{key}\"\n"),
        format!("{provider}api_key = \"{key}\"\n"),
        format!("{provider}api_key_file = \"{key}\"\n"),
        format!("{provider}url = \"https://user:{key}@example.com/v1\"\n"),
        format!("{provider}url = \"https://example.com/v1?key={key}\"\n"),
        format!("{provider}api_key_env = {key}\n"),
        format!("{provider}api_key = \"{key}\n"),
        format!("[http]\nread_token_env = \"{key}\"\nadmin_token = \"{key}\"\n"),
        format!("[telegram]\ntoken_env = \"{key}\"\n"),
        format!("language = \"{key}\"\ntimezone = \"{key}\"\n[log]\nlevel = \"{key}\"\n[bot]\nname = \"{key}\"\n"),
        format!("\"{key}\" = 1\n[\"{key}\"]\nx = 1\n"),
        format!("{key}\n"),
        format!("[[providers]]\nname = \"{key}\"\nkind = \"{key}\"\nmodel = \"m\"\n"),
        format!("{provider}api_key_env = \"TALLYBOT_EMPTY_KEY\"\n"),
    ] {
        home.configure(&text);
        for command in ["check-config", "stats", "serve"] {
            let ended = home.run(&[command], "");
            // What reads the books alone needs no key of a provider.
            let is_fine = command == "stats" && text.contains("TALLYBOT_EMPTY_KEY");
            assert_eq!(ended.code(), Some(if is_fine { 0 } else { 2 }), "{command}: {text}{ended:?}");
            traces.ended(&format!("{command} with {}", text.replace("canary", "…")), &ended);
        }
    }
}

/// Four characters of a key, and of a key under twenty none.
fn assert_suffixes(home: &Home) {
    let records = home.records();
    let suffixes: BTreeSet<Option<&str>> = records.iter().map(|record| record["api_key_suffix"].as_str()).collect();
    assert_eq!(suffixes, BTreeSet::from([None, Some("WXYZ"), Some("QRST"), Some("MNOP")]));
    let errors: BTreeSet<&str> = records.iter().filter_map(|record| record["error_message"].as_str()).collect();
    for expected in ["unauthorized 401", "gone 410", "rate_limited 429", "server_error 500"] {
        assert!(errors.contains(expected), "{expected}: {errors:?}");
    }
    assert!(errors.iter().all(|error| error.len() < 32), "{errors:?}");
}

/// Files 0600 and folders 0700, although the umask would have allowed everybody everything.
fn assert_closed_to_others(home: &Home) {
    let mut names = BTreeSet::new();
    walk(&home.data(), &mut |path| {
        let about = std::fs::symlink_metadata(path).expect("there");
        let expected = if about.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(about.permissions().mode() & 0o7777, expected, "{}", path.display());
        names.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    });
    for name in [
        "control.jsonl",
        "metrics.json",
        "open.slots",
        "people.json",
        "subject.key",
        "tallybot.lock",
        "token_debug.log",
    ] {
        assert!(names.contains(name), "{name}: {names:?}");
    }
    assert!(names.iter().any(|name| name.ends_with(".quarantine")), "the torn line is kept aside: {names:?}");
}

/// A record as another tallybot writes it, and in it a whole key where its end belongs.
fn line_with_a_whole_key(random: u8) -> String {
    let at = Timestamp::parse("2026-02-05T06:01:47.127728-06:00").expect("a time");
    let mut record = UsageRecord::new(RecordId::new(at, [random; 10]), at, "openai".into(), "gpt-4o".into());
    record.api_key_suffix = KeySuffix::of_text("abcd");
    record.source = Some(Given { name: "elsewhere".into(), id: format!("r-{random}").into() });
    let mut line = Vec::new();
    write_record(&record, &mut line);
    let line = String::from_utf8(line).expect("JSON");
    assert!(line.contains("\"abcd\""), "{line}");
    line.replace("\"abcd\"", "\"sk-canarywholekey-0123456789-MNOP\"")
}

#[test]
fn no_door_for_the_records_of_others_lets_a_whole_key_in() {
    let home = Home::new("[http]\nlisten = \"127.0.0.1:0\"\n").with_env("TALLYBOT_ADMIN_TOKEN", ADMIN);
    let mut traces = Traces::default();
    let service = home.serve();
    let answer = service.post("/v1/import", ADMIN, &line_with_a_whole_key(1));
    assert_eq!(answer.json()["accepted"], 1, "{}", answer.text());
    traces.add("http POST /v1/import", answer.bytes);
    traces.ended("serve", &service.stop());
    let mut sealed = line_with_a_whole_key(2).into_bytes();
    seal_line(&mut sealed, 0, 1);
    let theirs = home.input("tokens_2026-02-05.jsonl", &String::from_utf8(sealed).expect("JSON"));
    let ended = home.run(&["import", "--json", theirs.to_str().expect("text")], "");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    traces.ended("import", &ended);
    for arguments in [&["stats", "--json"][..], &["recent", "--json"], &["export"]] {
        traces.ended(arguments[0], &home.run(arguments, ""));
    }
    traces.files_of(&home);
    assert_eq!(traces.leaks(&[]), BTreeSet::new());
    let records = home.records();
    assert_eq!(records.iter().map(|record| &record["api_key_suffix"]).collect::<Vec<_>>(), ["MNOP", "MNOP"]);
}

#[test]
fn the_search_finds_what_is_hidden() {
    let found = |bytes: &[u8]| topics(bytes).collect::<Vec<_>>();
    assert_eq!(found(b"a CanaryTopic9 b"), ["topic"]);
    assert_eq!(found(HEXLOWER.encode(b"..canarytopic").as_bytes()), ["(in hex)"]);
    for text in ["canarytopic", ".canarytopic", "..canarytopic", "...canarytopic."] {
        assert_eq!(found(BASE64.encode(text.as_bytes()).as_bytes()), ["(in base 64)"], "{text}");
    }
    assert_eq!(found(b"nothing of the kind, however long it may be"), Vec::<String>::new());
}
