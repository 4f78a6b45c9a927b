//! Row G of the table of faults: what providers do wrong, and what is in the books all the same.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;
use tallybot::limits::{Caps, LimitKind, Rule, Scope};
use tallybot::models::Timeouts;
use tallybot::usage::{Clock, ErrorKind, Status, UsageRecord, UsageSource, Zone};

use super::kit::{Gate, Opening, post, rest, with};
use super::wire::{CHAT, CHAT_UNASKED, JSON, NDJSON, SSE, STREAMS, WHOLE};
use crate::in_process::VirtualClock;
use crate::providers::{Reply, ScriptedProvider, gzip, openai};

const SHORT: Duration = Duration::from_millis(100);

fn ended(record: &UsageRecord<'_>) -> (Status, Option<ErrorKind>, UsageSource) {
    (record.status, record.failure.map(|failure| failure.kind), record.usage_source)
}

fn tokens(record: &UsageRecord<'_>) -> (u64, u64) {
    (record.tokens.prompt, record.tokens.completion)
}

async fn recorded(reply: Reply, path: &str, request: &str) -> UsageRecord<'static> {
    let server = ScriptedProvider::always(reply).await;
    let gate = Gate::to(&server);
    let provider = if path.starts_with("/api") { "ollama" } else { "cloud" };
    gate.ask(post(provider, path, request.to_owned())).await;
    gate.the_record()
}

async fn recorded_chat(reply: Reply) -> UsageRecord<'static> {
    recorded(reply, "/v1/chat/completions", STREAMS[0].request).await
}

#[tokio::test]
async fn g2_a_provider_that_hangs_is_given_up_in_time_and_holds_nothing() {
    let (first, second) = CHAT[0].split_at(CHAT[0].find("\n\n").expect("two frames") + 2);
    let stream = Reply::stream(SSE, [first, second, CHAT[1], CHAT[2]]);
    let cases = [
        (stream.clone().hold_before(0), 504, ErrorKind::FirstByteTimeout),
        (stream.clone().hold_before(2), 200, ErrorKind::IdleTimeout),
        (Reply::json(200, WHOLE[0].answer).hold_before(0), 504, ErrorKind::FirstByteTimeout),
    ];
    for (reply, status, kind) in cases {
        let server = ScriptedProvider::always(reply).await;
        let timeouts = Timeouts { first_byte: SHORT, between_chunks: SHORT, ..Timeouts::default() };
        let everything = Rule::new(Scope::everything(), Caps::of([(LimitKind::TokensPerDay, 1_000_000)]), Zone::UTC);
        let gate = Opening { rules: vec![everything], ..Opening::to(&server.url()).timeouts(timeouts) }.open();
        let answered = gate.ask(post("cloud", "/v1/chat/completions", CHAT_UNASKED)).await;
        assert_eq!((answered.status, answered.cut), (status, status == 200), "{kind:?}: {answered:?}");
        server.clients_gone(1).await;
        let record = gate.the_record();
        assert_eq!(ended(&record), (Status::Timeout, Some(kind), UsageSource::Estimated));
        assert!(record.tokens.prompt > 0, "what was sent may have been billed: {record:?}");
        assert_eq!(record.tokens.completion > 0, status == 200);
        let windows = gate.metering.windows(gate.clock.now());
        let used = record.tokens.total();
        assert_eq!((windows[0].used, windows[0].reserved), (used, 0), "the hold is released");
    }
}

#[tokio::test]
async fn g3_a_provider_that_asks_to_wait_is_left_alone_for_that_long_and_no_longer() {
    for (wait, is_held) in [(Some("7"), true), (Some("1000000000"), true), (None, false), (Some("soon"), false)] {
        let mut busy = openai::error(429, "rate_limit_exceeded", "slow down");
        if let Some(wait) = wait {
            busy = busy.header("retry-after", wait);
        }
        let server = ScriptedProvider::in_turn([busy, Reply::json(200, WHOLE[0].answer)]).await;
        let virtual_clock = VirtualClock::at("2026-11-22T12:00:00Z");
        let clock: Arc<dyn Clock> = Arc::clone(&virtual_clock) as Arc<dyn Clock>;
        let gate = Opening { clock, ..Opening::to(&server.url()) }.open();
        let first = gate.ask_for(&WHOLE[0]).await;
        assert_eq!((first.status, first.header("retry-after")), (429, wait.unwrap_or("")), "as it came");
        assert!(first.text().contains("slow down"), "{first:?}");
        let second = gate.ask_for(&WHOLE[0]).await;
        assert_eq!(second.status, if is_held { 429 } else { 200 }, "{wait:?}: {second:?}");
        if is_held {
            let left: u64 = second.header("retry-after").parse().expect("says when");
            assert!((1..=86_400).contains(&left), "bounded: {left}");
            assert_eq!(second.header("x-should-retry"), if left > 60 { "false" } else { "" });
            assert_eq!(server.hits().len(), 1, "{wait:?}");
            virtual_clock.advance(Duration::from_secs(left));
            assert_eq!(gate.ask_for(&WHOLE[0]).await.status, 200, "{wait:?}");
        }
        let records = gate.records();
        let failed = ended(&records[0]);
        assert_eq!(failed, (Status::Error, Some(ErrorKind::RateLimited), UsageSource::None), "{wait:?}");
    }
}

#[tokio::test]
async fn g3_a_date_to_wait_until_is_passed_on_as_it_came() {
    let date = "Sun, 22 Nov 2099 12:00:00 GMT";
    let busy = openai::error(429, "rate_limit_exceeded", "slow down").header("retry-after", date);
    let server = ScriptedProvider::always(busy).await;
    let gate = Gate::to(&server);
    let answered = gate.ask_for(&WHOLE[0]).await;
    assert_eq!((answered.status, answered.header("retry-after")), (429, date));
    assert_eq!(gate.the_record().attempt, 1);
}

#[tokio::test]
async fn g5_what_is_not_the_api_passes_by_and_is_told_as_such_and_kept_nowhere() {
    const MARK: &str = "MARKED-ANSWER-0123456789";
    let html = format!("<html><body>{MARK}</body></html>");
    let broken = format!("{{\"choices\":[{{\"message\":{{\"content\":\"{MARK}\"");
    let cases = [
        (Reply::whole(200, "text/html", &html), &html, Some(ErrorKind::BadResponse)),
        (Reply::json(200, &html), &html, Some(ErrorKind::BadResponse)),
        (Reply::json(200, &broken), &broken, Some(ErrorKind::StreamCut)),
        (Reply::whole(200, "text/plain", WHOLE[0].answer), &WHOLE[0].answer.to_owned(), None),
        (Reply::json(500, &html), &html, Some(ErrorKind::ServerError)),
    ];
    for (reply, body, kind) in cases {
        let server = ScriptedProvider::always(reply).await;
        let gate = Gate::to(&server);
        let answered = gate.ask_for(&WHOLE[0]).await;
        assert!(!answered.cut && answered.text() == body, "{answered:?}");
        let record = gate.the_record();
        assert_eq!(record.failure.map(|failure| failure.kind), kind, "{body}: {record:?}");
        for file in std::fs::read_dir(gate.home.path()).expect("readable") {
            let path = file.expect("an entry").path();
            let bytes = if path.is_file() { std::fs::read(&path).expect("readable") } else { Vec::new() };
            assert!(!bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes()), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn g6_a_connection_that_ends_at_any_byte_leaves_one_record_and_a_prefix() {
    let reply = Reply::stream(SSE, CHAT);
    let length = reply.bytes().len();
    let cuts = reply.clone();
    let server = ScriptedProvider::start(move |hit| {
        let at = hit.header("x-cut").and_then(|at| at.parse().ok()).expect("it is passed on");
        if hit.number % 2 == 0 { cuts.clone().reset_at(at) } else { cuts.clone().cut_at(at) }
    })
    .await;
    let gate = Gate::to(&server);
    for at in 0..length {
        let request = with(post("cloud", "/v1/chat/completions", STREAMS[0].request), &[("x-cut", &at.to_string())]);
        let answered = gate.ask(request).await;
        assert!(matches!(answered.status, 200 | 502), "cut at {at}: {answered:?}");
        assert!(answered.status == 502 || CHAT.concat().as_bytes().starts_with(&answered.body), "cut at {at}");
    }
    let records = gate.records();
    assert_eq!(records.len(), length);
    let seen = |at: usize| records[at].usage_source;
    for (at, record) in records.iter().enumerate() {
        let is_told = seen(at) == UsageSource::Reported;
        assert!(!is_told || tokens(record) == (9, 2), "cut at {at}: {record:?}");
        assert!(record.status == Status::Error || record.failure.is_none(), "cut at {at}: {record:?}");
    }
    gate.verify();
}

#[tokio::test]
async fn g7_usage_that_is_missing_is_estimated_and_says_so() {
    let chat = recorded_chat(Reply::stream(SSE, [CHAT[0], CHAT[2]])).await;
    let without = "{\"model\":\"m\",\"message\":{\"content\":\"Hello there\"},\"done\":false}\n{\"model\":\"m\",\"done\":true,\"done_reason\":\"stop\"}\n";
    let local = recorded(Reply::stream(NDJSON, [without]), "/api/chat", STREAMS[6].request).await;
    for record in [&chat, &local] {
        assert_eq!(ended(record), (Status::Ok, None, UsageSource::Estimated), "{record:?}");
        assert!(record.tokens.prompt > 0 && record.tokens.completion > 0, "{record:?}");
    }
    let answer = json!({"id": "c", "model": "gpt-4o-mini", "usage": null,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "stop"}]});
    let server = ScriptedProvider::always(Reply::json(200, answer.to_string())).await;
    let gate = Gate::to(&server);
    let answered = gate.ask_for(&WHOLE[0]).await;
    assert_eq!(answered.header("x-tallybot-usage"), "estimated");
    let record = gate.the_record();
    assert_eq!(answered.header("x-tallybot-tokens"), record.tokens.total().to_string());
    assert!(ended(&record) == (Status::Ok, None, UsageSource::Estimated) && record.tokens.completion > 0, "{record:?}");
}

#[tokio::test]
async fn g8_usage_that_comes_again_and_again_counts_as_it_came_last() {
    let chunk = |completion: u64, finish: &str| {
        format!(
            "data: {{\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"x\"}},\"finish_reason\":{finish}}}],\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":{completion},\"total_tokens\":{}}}}}\n\n",
            9 + completion
        )
    };
    let frames =
        [chunk(1, "null"), chunk(2, "null"), chunk(3, "\"stop\""), CHAT[1].replace(":2,", ":3,"), CHAT[2].to_owned()];
    let record = recorded_chat(Reply::stream(SSE, &frames)).await;
    assert_eq!((ended(&record), tokens(&record)), ((Status::Ok, None, UsageSource::Reported), (9, 3)));
    let deltas = crate::providers::anthropic::chat_events(
        &["a", "b"],
        json!({"input_tokens": 25, "output_tokens": 1}),
        json!({"output_tokens": 7}),
    );
    let twice: Vec<String> =
        deltas.iter().flat_map(|it| vec![it.clone(); if it.contains("message_delta") { 2 } else { 1 }]).collect();
    let server = ScriptedProvider::always(Reply::stream(SSE, &twice)).await;
    let gate = Gate::to(&server);
    let answered = gate.ask_for(&STREAMS[3]).await;
    assert_eq!(answered.text(), twice.concat());
    assert_eq!(tokens(&gate.the_record()), (25, 7));
}

#[tokio::test]
async fn g9_counts_that_contradict_each_other_keep_their_parts() {
    let answer = |usage: serde_json::Value| {
        json!({"model": "gpt-4o-mini", "usage": usage,
            "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]})
        .to_string()
    };
    let odd = [
        (json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 5_000}), (9, 4_991)),
        (json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 1}), (9, 2)),
        (json!({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 100}}), (9, 2)),
        (
            json!({"prompt_tokens": 9, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 70}}),
            (9, 2),
        ),
    ];
    for (usage, expected) in odd {
        let record = recorded(Reply::json(200, answer(usage.clone())), "/v1/chat/completions", WHOLE[0].request).await;
        assert_eq!(tokens(&record), expected, "{usage}: {record:?}");
        let of_prompt = record.tokens.cached <= record.tokens.prompt;
        assert!(of_prompt && record.tokens.reasoning <= record.tokens.completion, "{usage}: {record:?}");
        assert_eq!(record.status, Status::Ok, "{usage}");
    }
}

#[tokio::test]
async fn g10_ids_of_the_provider_that_are_empty_or_repeated_lose_no_record() {
    for id in ["", "req_1", "../../etc", "a b c"] {
        let reply = Reply::json(200, WHOLE[0].answer).header("x-request-id", id);
        let server = ScriptedProvider::always(reply).await;
        let gate = Gate::to(&server);
        for _ in 0..3 {
            assert_eq!(gate.ask_for(&WHOLE[0]).await.header("x-request-id"), id);
        }
        assert_eq!(gate.records().len(), 3, "{id}");
        gate.verify();
    }
}

#[tokio::test]
async fn g11_an_error_within_an_answer_is_an_error_with_the_tokens_so_far() {
    let error = |index: usize| match STREAMS[index].name {
        "responses" => {
            "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\"},\"usage\":null}}\n\n"
        }
        "messages" => {
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
        }
        "ollama chat" | "ollama generate" => "{\"error\":\"an error was encountered\"}\n",
        _ => "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":500,\"status\":\"INTERNAL\"}}\n\n",
    };
    for (index, specimen) in STREAMS.iter().enumerate().filter(|(_, specimen)| specimen.content_type != JSON) {
        let at = specimen.answer.find("Hey").or_else(|| specimen.answer.find('é')).expect("it says something");
        let end = match specimen.content_type {
            NDJSON => at + specimen.answer[at..].find('\n').expect("a line") + 1,
            _ => at + specimen.answer[at..].find("\n\n").expect("a frame") + 2,
        };
        // What comes behind the end of an answer is no error of it.
        let begun = specimen.answer[..end].replace("\"stop\"", "null");
        let sent = [&*begun, error(index)].concat();
        let server = ScriptedProvider::always(Reply::stream(specimen.content_type, [&sent])).await;
        let gate = Gate::to(&server);
        let answered = gate.ask_for(specimen).await;
        assert_eq!(answered.text(), sent, "{}", specimen.name);
        let record = gate.the_record();
        let (status, kind, source) = ended(&record);
        assert_eq!((status, kind), (Status::Error, Some(ErrorKind::StreamError)), "{}: {record:?}", specimen.name);
        assert_ne!(source, UsageSource::None, "{}", specimen.name);
        assert!(record.tokens.prompt > 0 && record.tokens.completion > 0, "{}: {record:?}", specimen.name);
    }
}

#[tokio::test]
async fn g12_a_provider_that_ignores_the_cap_is_booked_in_full_and_the_next_call_refused() {
    let server = ScriptedProvider::always(Reply::json(200, openai::chat_json("Hey", 9, 5_000))).await;
    let clock: Arc<dyn Clock> = VirtualClock::at("2026-11-22T12:00:00Z");
    let rule = Rule::new(Scope::everything(), Caps::of([(LimitKind::TokensPerMinute, 1_000)]), Zone::UTC);
    let gate = Opening { rules: vec![rule], clock, ..Opening::to(&server.url()) }.open();
    let request = r#"{"model":"gpt-4o-mini","max_tokens":10,"messages":[]}"#;
    let ask = || gate.ask(post("cloud", "/v1/chat/completions", request));
    assert_eq!(ask().await.status, 200);
    let record = gate.the_record();
    assert_eq!((tokens(&record), record.output_cap.and_then(|cap| cap.asked)), ((9, 5_000), Some(10)));
    assert_eq!(ask().await.status, 429);
    assert_eq!(server.hits().len(), 1);
}

#[tokio::test]
async fn a_tier_that_gemini_names_in_a_header_or_beside_the_counts_is_the_one_that_is_booked() {
    let whole = WHOLE.iter().find(|it| it.operation == "generate_content").expect("a whole answer of Gemini's");
    let named = whole.answer.replacen("\"usageMetadata\":{", "\"usageMetadata\":{\"serviceTier\":\"flex\",", 1);
    assert_ne!(named, whole.answer);
    let header = ("x-gemini-service-tier", "batch");
    for (reply, tier) in [
        (Reply::json(200, whole.answer).header(header.0, header.1), Some("batch")),
        (Reply::json(200, &named).header(header.0, header.1), Some("flex")),
        (Reply::json(200, &named), Some("flex")),
        (Reply::json(200, whole.answer), None),
    ] {
        let server = ScriptedProvider::always(reply).await;
        let gate = Gate::to(&server);
        gate.ask_for(whole).await;
        assert_eq!(gate.the_record().service_tier.as_deref(), tier);
    }
}

#[tokio::test]
async fn an_error_that_comes_compressed_is_told_apart_like_any_other() {
    let spent = r#"{"error":{"message":"pay","type":"t","param":null,"code":"insufficient_quota"}}"#;
    for reply in [Reply::json(429, spent), Reply::json(429, gzip(spent)).header("content-encoding", "gzip")] {
        let server = ScriptedProvider::always(reply).await;
        let gate = Gate::to(&server);
        gate.ask(with(post("cloud", WHOLE[0].path, WHOLE[0].request), &[("accept-encoding", "gzip")])).await;
        let record = gate.the_record();
        assert_eq!(record.failure.map(|failure| failure.kind), Some(ErrorKind::QuotaExhausted), "{record:?}");
    }
}

#[tokio::test]
async fn a_message_that_ran_in_anthropics_fast_mode_is_booked_at_its_price() {
    let usage = r#"{"input_tokens":1000,"output_tokens":100,"service_tier":"standard","speed":"SPEED"}"#;
    let message = r#"{"type":"message","model":"claude-opus-5-5","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":USAGE}"#;
    let start = message.replace("end_turn", "").replace(r#""stop_reason":"""#, r#""stop_reason":null"#);
    let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":100,"service_tier":"standard"}}"#;
    let stream = format!(
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{start}}}\n\nevent: message_delta\ndata: {delta}\n\nevent: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
    );
    for (body, content_type) in [(message, JSON), (stream.as_str(), SSE)] {
        for (speed, tier, cost) in [("fast", "fast", "0.012"), ("standard", "standard", "0.006")] {
            let body = body.replace("USAGE", &usage.replace("SPEED", speed));
            let server = ScriptedProvider::always(Reply::whole(200, content_type, body)).await;
            let gate = Gate::to(&server);
            let request = r#"{"model":"claude-opus-5-5","max_tokens":99,"speed":"fast","messages":[]}"#;
            gate.ask(post("claude", "/v1/messages", request)).await;
            let record = gate.the_record();
            assert_eq!(record.service_tier.as_deref(), Some(tier), "{record:?}");
            assert_eq!(record.cost.map(|cost| cost.to_string()).as_deref(), Some(cost), "{record:?}");
        }
    }
}

#[tokio::test]
async fn g2_a_provider_waits_for_no_answer_while_it_is_still_being_asked() {
    let server = ScriptedProvider::always(Reply::json(200, "{\"id\":\"file-1\"}")).await;
    let timeouts = Timeouts { first_byte: 3 * SHORT, ..Timeouts::default() };
    let gate = Opening::to(&server.url()).timeouts(timeouts).open();
    let pieces = stream::iter(0..8).then(async |number| {
        tokio::time::sleep(SHORT).await;
        Ok::<_, std::io::Error>(Frame::data(Bytes::from(format!("{number}"))))
    });
    let request = http::Request::post("/gateway/cloud/v1/files").body(StreamBody::new(pieces)).expect("a request");
    let peer = "127.0.0.1:40000".parse().expect("an address");
    let answered = rest(gate.gateway.answer(request, peer).await).await;
    assert_eq!((answered.status, answered.cut), (200, false), "{answered:?}");
    assert_eq!(server.hits().remove(0).body, b"01234567");
}
