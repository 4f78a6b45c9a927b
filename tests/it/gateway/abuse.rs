//! Row F of the table of faults: callers that send too much, too slowly, too often, and what nobody should send.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request};
use tallybot::gateway::{DrainLimits, Gateway};
use tallybot::http::{Drained, Handler, Limits, RequestBody, Response, Workers, run};
use tallybot::limits::{Caps, Facet, LimitKind, Pick, Rule, Scope};
use tallybot::usage::{Clock, Dimension, ErrorKind, Status, UsageSource, Zone};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::kit::{Gate, Opening, post, with};
use super::wire::{CHAT, CHAT_UNASKED, SSE, WHOLE};
use crate::in_process::VirtualClock;
use crate::providers::{Reply, ScriptedProvider, gzip, openai};
use crate::running::{Answer, Home, Running, until};

async fn polite() -> ScriptedProvider {
    ScriptedProvider::always(Reply::json(200, openai::chat_json("Hey", 9, 2))).await
}

const NAMES: usize = 1_200;

#[tokio::test]
async fn f1_a_flood_of_names_through_the_gateway_keeps_the_rows_bounded_and_every_name() {
    let server = polite().await;
    let gate = Gate::to(&server);
    for n in 0..NAMES {
        let body = format!("{{\"model\":\"model-{n}\",\"messages\":[]}}");
        let (feature, user, long) = (format!("feature-{n}"), format!("user-{n}"), "x".repeat(10_000));
        let headers = [("x-feature", feature.as_str()), ("x-user", &user), ("x-team", &long)];
        assert_eq!(gate.ask(with(post("cloud", "/v1/chat/completions", body), &headers)).await.status, 200);
    }
    let records = gate.records();
    let features: HashSet<_> = records.iter().filter_map(|record| record.feature.as_deref()).collect();
    assert_eq!((records.len(), features.len()), (NAMES, NAMES), "each record keeps its name");
    let others = records.iter().filter(|record| record.other.contains(&Dimension::Feature)).count();
    assert_eq!(NAMES - others, 1_024, "beyond these they count together");
    assert!(records.iter().all(|record| record.team.as_deref().is_some_and(|team| team.len() < 300)));
    gate.verify();
}

/// The built program with room for bodies of one MiB.
fn small_home(url: &str) -> Home {
    Home::new(&format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[gateway]\nmax_body_mib = 1\n[[providers]]\nname = \"cloud\"\n\
         kind = \"openai\"\nmodel = \"gpt-4o-mini\"\nurl = \"{url}\"\n"
    ))
}

const CALL: &str = "POST /gateway/cloud/v1/chat/completions";

/// The most memory that a process had, in MiB.
fn peak_mib(service: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says it");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") / 1024
}

fn chunked_without_end(service: &Running, mib: usize) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", service.port())).expect("it listens");
    let head = format!("{CALL} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nTransfer-Encoding: chunked\r\n\r\n", service.port());
    stream.write_all(head.as_bytes()).expect("it reads");
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let _refused_on_the_way = (0..mib * 16).try_for_each(|_| stream.write_all(&chunk));
    let mut bytes = Vec::new();
    let _closed = stream.read_to_end(&mut bytes);
    Answer { bytes }
}

#[tokio::test(flavor = "multi_thread")]
async fn f2_bodies_that_are_too_large_too_deep_or_bombs_are_refused_and_memory_stays_flat() {
    let server = polite().await;
    let home = small_home(&server.url());
    let service = home.serve();
    assert_eq!(service.ask(CALL, WHOLE[0].request).status(), 200);
    let before = peak_mib(&service);
    let announced =
        format!("{CALL} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 1073741824\r\n\r\n", service.port());
    assert_eq!(service.raw(announced.as_bytes()).status(), 413);
    assert_eq!(chunked_without_end(&service, 20).status(), 413);
    let packed = gzip(vec![b' '; 64 << 20]);
    let head = format!(
        "{CALL} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        service.port(),
        packed.len()
    );
    assert_eq!(service.raw(&[head.as_bytes(), &packed].concat()).status(), 400);
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{{\"model\":\"m\",\"messages\":{}1{}}}", open.repeat(100_000), close.repeat(100_000));
        assert_eq!(service.ask(CALL, &deep).status(), 400, "{open}");
    }
    assert_eq!(server.hits().len(), 1);
    let after = peak_mib(&service);
    assert!(after < before + 24, "{before} MiB before, {after} MiB at the peak");
    assert_eq!(service.ask(CALL, WHOLE[0].request).status(), 200);
    assert_eq!(service.stop().code(), Some(0));
    assert_eq!(home.records().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn f2_answers_that_are_bombs_or_too_deep_pass_by_and_memory_stays_flat() {
    let bomb = gzip(vec![b'x'; 128 << 20]);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let frame = format!("data: {{\"x\":\"{}\"}}\n\n", "y".repeat(20 << 20));
    let replies = [
        Reply::whole(200, "text/event-stream", &bomb).header("content-encoding", "gzip"),
        Reply::json(200, &deep),
        Reply::stream(SSE, frame.as_bytes().chunks(1 << 20)),
    ];
    let server = ScriptedProvider::in_turn(replies).await;
    let home = small_home(&server.url());
    let service = home.serve();
    let before = peak_mib(&service);
    let asked = CHAT_UNASKED.replace("\"stream\"", "\"stream_options\":{\"include_usage\":true},\"stream\"");
    let packed = service.ask(&format!("{CALL}\nAccept-Encoding: gzip"), &asked);
    assert!(packed.bytes.ends_with(&bomb), "{} bytes", packed.bytes.len());
    assert!(service.ask(CALL, WHOLE[0].request).body() == deep);
    assert!(service.ask(CALL, CHAT_UNASKED).bytes.len() > frame.len());
    let after = peak_mib(&service);
    assert!(after < before + 48, "{before} MiB before, {after} MiB at the peak");
    assert_eq!(service.stop().code(), Some(0));
    let records = home.records();
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record["status"] == "error"), "{records:?}");
}

/// The gateway behind the real server.
#[derive(Clone)]
struct Door(Gateway);

impl Handler for Door {
    async fn handle(&self, request: Request<RequestBody>, peer: SocketAddr) -> Response {
        self.0.answer(request, peer).await.map(axum::body::Body::new)
    }
}

/// Serves a gateway under these limits until what is returned beside the port is dropped.
async fn serve(gateway: Gateway, limits: Limits) -> (u16, JoinSet<Drained>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let port = listener.local_addr().expect("bound").port();
    let mut serving = JoinSet::new();
    serving.spawn(async move { run(listener, Door(gateway), limits, &Workers::here(), std::future::pending()).await });
    (port, serving)
}

const IMPATIENT: Duration = Duration::from_millis(150);

fn impatient() -> Limits {
    Limits {
        head: IMPATIENT,
        body_silence: IMPATIENT,
        write_silence: IMPATIENT,
        grace: IMPATIENT,
        linger: IMPATIENT,
        ..Limits::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_slow_heads_and_bodies_are_cut_while_others_are_answered_and_leave_no_record() {
    let server = polite().await;
    let gate = Gate::to(&server);
    let (port, _serving) = serve(gate.gateway.clone(), impatient()).await;
    let line = format!("{CALL} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    let mut slow = Vec::new();
    for n in 0..100 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let begun = if n % 2 == 0 { line.clone() } else { format!("{line}Content-Length: 50\r\n\r\n{{\"model\"") };
        stream.write_all(begun.as_bytes()).expect("it reads");
        slow.push(stream);
    }
    let good = WHOLE[0].request;
    let request = format!("{line}Content-Length: {}\r\nConnection: close\r\n\r\n{good}", good.len());
    for _ in 0..20 {
        let answer = crate::running::exchange(port, request.as_bytes()).expect("it is answered");
        assert_eq!(answer.status(), 200);
    }
    for (n, mut stream) in slow.into_iter().enumerate() {
        let mut bytes = Vec::new();
        let _cut = stream.read_to_end(&mut bytes);
        assert!(n % 2 == 0 || Answer { bytes: bytes.clone() }.status() == 408, "{}", String::from_utf8_lossy(&bytes));
    }
    assert_eq!((server.hits().len(), gate.records().len()), (20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_a_client_that_does_not_read_is_cut_and_its_call_is_recorded_once() {
    let filler = format!(": {}\n\n", "x".repeat(1 << 20));
    let pieces: Vec<&str> = std::iter::repeat_n(filler.as_str(), 24).chain(CHAT).collect();
    let server = ScriptedProvider::always(Reply::stream(SSE, &pieces)).await;
    let mut opening = Opening::to(&server.url());
    opening.settings.drains = DrainLimits { bytes: 64 << 20, ..DrainLimits::default() };
    let gate = opening.open();
    let (port, _serving) = serve(gate.gateway.clone(), impatient()).await;
    let mut lazy = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let length = CHAT_UNASKED.len();
    let request =
        format!("{CALL} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {length}\r\n\r\n{CHAT_UNASKED}");
    lazy.write_all(request.as_bytes()).expect("it reads");
    let is_recorded = || crate::test_app::records_of(gate.home.path(), true).len() == 1;
    assert!(until(is_recorded), "the call ends although nobody reads");
    gate.drained().await;
    let record = gate.the_record();
    assert_eq!((record.status, record.usage_source), (Status::Cancelled, UsageSource::Reported), "{record:?}");
    assert_eq!(record.failure.map(|failure| failure.kind), Some(ErrorKind::ClientGone));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f4_five_thousand_callers_at_once_are_held_to_their_limits_exactly() {
    const PEOPLE: usize = 250;
    let server = polite().await;
    let clock: Arc<dyn Clock> = VirtualClock::at("2026-11-22T12:00:00Z");
    let each = Scope::everything().with(Facet::User, Pick::parse("*"));
    let rules = vec![Rule::new(each, Caps::of([(LimitKind::RequestsPerMinute, 1)]), Zone::UTC)];
    let gate = Arc::new(Opening { rules, clock, ..Opening::to(&server.url()) }.open());
    let mut asking = JoinSet::new();
    for n in 0..5_000 {
        // Half of the calls are those of one person.
        let user = if n % 2 == 0 { 0 } else { 1 + n / 2 % (PEOPLE - 1) };
        let gate = Arc::clone(&gate);
        asking.spawn(async move {
            let request = post("cloud", WHOLE[0].path, WHOLE[0].request);
            gate.ask(with(request, &[("x-user", &format!("user-{user}"))])).await.status
        });
    }
    let statuses = asking.join_all().await;
    let of = |status: u16| statuses.iter().filter(|it| **it == status).count();
    assert_eq!((of(200), of(429), server.hits().len()), (PEOPLE, 5_000 - PEOPLE, PEOPLE));
    gate.metering.write_counted_refusals(gate.clock.now());
    let records = gate.records();
    let answered = records.iter().filter(|record| record.status == Status::Ok);
    let people: HashSet<_> = answered.map(|record| record.user).collect();
    assert_eq!(people.len(), PEOPLE, "each of them once");
    let refused: u64 = records.iter().filter(|it| it.status == Status::Refused).map(|it| it.count).sum();
    assert_eq!(refused, 5_000 - PEOPLE as u64);
}

/// What somebody may put anywhere.
const HOSTILE: [&str; 12] = [
    "../../../../etc/passwd",
    "a\"b\\c",
    "{{7*7}}${7*7}",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "'; DROP TABLE tokens; --",
    "%00%0d%0aSet-Cookie: x=1",
    "\u{202e}gnp.exe",
    "\u{feff}\u{200b}",
    "null",
    "日本語 ☕ é",
    "a\tb",
];

#[tokio::test]
async fn f5_hostile_texts_in_every_field_are_names_and_nothing_else() {
    let server = polite().await;
    let gate = Gate::to(&server);
    let long = "€".repeat(5_000);
    let fields = ["x-user", "x-team", "x-feature", "x-agent", "x-operation", "x-session", "x-request-type"];
    let mut asked = 0;
    for text in HOSTILE.into_iter().chain([long.as_str()]) {
        let body = serde_json::json!({"model": text, "messages": [{"role": text, "content": text}]});
        let mut request = post("cloud", "/v1/chat/completions", body.to_string());
        // Who somebody is, is kept to the letter or not at all: names are cleaned and cut.
        let is_identity = text.len() <= 256 && !text.contains(char::is_control);
        for field in fields.into_iter().filter(|field| is_identity || !["x-user", "x-session"].contains(field)) {
            request.headers_mut().insert(field, HeaderValue::from_bytes(text.as_bytes()).expect("a header"));
        }
        request.headers_mut().insert("x-other", HeaderValue::from_bytes(b"\xff\xfe").expect("a header"));
        let answered = gate.ask(request).await;
        assert_eq!(answered.status, 200, "{text}: {answered:?}");
        asked += 1;
    }
    for (n, byte) in (0x80..=0xffu8).enumerate() {
        let mut request = post("cloud", "/v1/chat/completions", "{\"model\":\"m\",\"messages\":[]}");
        let name = fields[n % fields.len()];
        request.headers_mut().insert(name, HeaderValue::from_bytes(&[b'a', byte]).expect("a header"));
        assert_eq!(gate.ask(request).await.status, 400, "{byte:x}: no text, so no name to count under");
    }
    let records = gate.records();
    assert_eq!(records.len(), asked);
    for record in &records {
        let names = [record.team.as_ref(), record.feature.as_ref(), record.agent.as_ref(), record.operation.as_ref()];
        for name in names.into_iter().flatten().chain([&record.model, &record.request_type]) {
            assert!(!name.chars().any(char::is_control) && name.len() <= 300, "{name:?}");
        }
    }
    gate.verify();
}

#[tokio::test]
async fn f5_hostile_paths_reach_nobody_or_only_their_provider() {
    let server = polite().await;
    let gate = Gate::to(&server);
    for path in [
        "/v1/%00",
        "/v1/%ff%fe",
        "/v1/;a=b/models",
        "/v1/models/%7B%7D:generateContent",
        "/v1/~a/b'c",
        "/:80/x",
        "/@evil/x",
    ] {
        let answered = gate.ask(post("cloud", path, "{}")).await;
        assert!(answered.status < 500, "{path}: {answered:?}");
    }
    for provider in ["%2e%2e", "cloud%2f..", "CLOUD", "cloud@evil", "..", "evil:80"] {
        let answered = gate.ask(post(provider, "/v1/models", "{}")).await;
        assert!((400..500).contains(&answered.status), "{provider}: {answered:?}");
    }
    for hit in server.hits() {
        assert!(server.url().ends_with(hit.header("host").expect("a host")), "{hit:?}");
    }
}
