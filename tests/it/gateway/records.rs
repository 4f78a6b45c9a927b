//! What stands in the books of each call: exactly one record of each attempt, with everything that is known of it.

use serde_json::json;
use tallybot::models::Kind;
use tallybot::usage::{ErrorKind, Status, UsageRecord, UsageSource};

use super::kit::{Gate, Opening, post, spec, with};
use super::wire::{CHAT_UNASKED, STREAMS, Specimen, WHOLE};
use crate::providers::{Reply, ScriptedProvider, openai};

/// A server that answers each specimen's path with the specimen.
async fn every_api(specimens: &'static [Specimen]) -> ScriptedProvider {
    ScriptedProvider::start(move |hit| {
        let specimen = specimens.iter().find(|it| it.path == hit.path && it.request.as_bytes() == hit.body);
        let specimen = specimen.unwrap_or_else(|| panic!("{} is none of these", hit.path));
        Reply::stream(specimen.content_type, specimen.answer.as_bytes().chunks(64)).header("x-request-id", "req_7")
    })
    .await
}

fn failed(record: &UsageRecord<'_>) -> (Status, Option<(ErrorKind, Option<u16>)>) {
    (record.status, record.failure.map(|failure| (failure.kind, failure.http_status)))
}

async fn each_is_recorded(specimens: &'static [Specimen]) {
    let server = every_api(specimens).await;
    let gate = Gate::to(&server);
    for specimen in specimens {
        let headers = [
            ("x-user", "ana@example.com"),
            ("x-team", "sales"),
            ("x-feature", "digest"),
            ("x-agent", "crawler"),
            ("x-session", "s-1"),
        ];
        let answered = gate.ask(with(post(specimen.provider(), specimen.path, specimen.request), &headers)).await;
        assert_eq!((answered.status, answered.cut), (200, false), "{}", specimen.name);
    }
    let records = gate.records();
    assert_eq!(records.len(), specimens.len());
    for (specimen, record) in specimens.iter().zip(&records) {
        assert_recorded(&gate, specimen, record);
    }
    gate.verify();
}

fn assert_recorded(gate: &Gate, specimen: &Specimen, record: &UsageRecord<'_>) {
    let told = format!("{}: {record:?}", specimen.name);
    assert_eq!(failed(record), (Status::Ok, None), "{told}");
    assert_eq!((record.tokens.prompt, record.tokens.completion), specimen.tokens, "{told}");
    assert_eq!(record.usage_source, UsageSource::Reported, "{told}");
    assert_eq!((&*record.provider, &*record.api_type), (specimen.provider(), specimen.kind.as_str()), "{told}");
    let (asked, served) = specimen.models;
    assert_eq!(&*record.model, served, "{told}");
    assert_eq!(record.requested_model.as_deref(), (asked != served).then_some(asked), "{told}");
    assert_eq!(record.operation.as_deref(), Some(specimen.operation), "{told}");
    let embeds = specimen.operation.starts_with("embed");
    assert_eq!(&*record.request_type, if embeds { "other" } else { "chat" }, "{told}");
    assert_eq!((&*record.channel, record.attempt, record.call), ("gateway", 1, None), "{told}");
    assert_eq!(record.user, Some(gate.people.subject("api", "ana@example.com")), "{told}");
    assert!(record.session.is_some() && record.session != record.user, "{told}");
    let named = [&record.team, &record.feature, &record.agent, &record.key].map(|name| name.as_deref());
    assert_eq!(named, [Some("sales"), Some("digest"), Some("crawler"), None], "{told}");
    assert_eq!(record.api_key_suffix.as_ref().map(|suffix| suffix.as_str()), Some("CRET"), "{told}");
    assert!(record.metadata.as_json().contains("req_7"), "{told}");
    assert_eq!(record.local, specimen.kind == Kind::Ollama, "{told}");
    assert!(record.latency_ms.is_some(), "{told}");
    if specimen.operation == "messages" {
        assert_eq!(record.output_cap.and_then(|cap| cap.asked), Some(99), "{told}");
    }
}

#[tokio::test]
async fn each_whole_answer_has_one_record_with_everything_that_is_known() {
    each_is_recorded(&WHOLE).await;
}

#[tokio::test]
async fn each_stream_has_one_record_with_everything_that_is_known() {
    each_is_recorded(&STREAMS).await;
}

#[tokio::test]
async fn the_head_of_a_whole_answer_says_what_it_cost() {
    let server = every_api(&WHOLE).await;
    let gate = Gate::to(&server);
    let answered = gate.ask_for(&WHOLE[0]).await;
    let record = gate.the_record();
    // 86 at $0.15, 1920 from the cache at $0.075, 300 at $0.60 per million.
    assert_eq!(record.cost.map(|cost| cost.to_string()).as_deref(), Some("0.0003369"));
    assert_eq!(answered.header("x-tallybot-cost-usd"), "0.0003369");
    assert_eq!(answered.header("x-tallybot-tokens"), "2306");
    assert_eq!(answered.header("x-tallybot-usage"), "reported");
    assert_eq!(answered.header("x-tallybot-id"), record.id.to_string());
    assert!(answered.header("x-tallybot-overhead-us").parse::<u64>().is_ok(), "{answered:?}");
    let stream = with(post("cloud", "/v1/chat/completions", CHAT_UNASKED), &[]);
    let server = ScriptedProvider::always(openai::chat(&["Hey"], 9, 2)).await;
    let answered = Gate::to(&server).ask(stream).await;
    assert_eq!((answered.header("x-tallybot-cost-usd"), answered.header("x-tallybot-tokens")), ("", ""));
    assert_ne!(answered.header("x-tallybot-id"), "");
}

#[tokio::test]
async fn headers_for_us_describe_the_call_and_stay_here() {
    let server = ScriptedProvider::always(openai::chat(&["Hey"], 9, 2)).await;
    let gate = Gate::to(&server);
    let headers = [("x-operation", "summarise"), ("x-request-type", "report"), ("x-user", "ana"), ("x-session", "s")];
    gate.ask(with(post("cloud", "/v1/chat/completions", CHAT_UNASKED), &headers)).await;
    let record = gate.the_record();
    assert_eq!((record.operation.as_deref(), &*record.request_type), (Some("summarise"), "report"));
    let hit = server.hits().remove(0);
    assert!(headers.iter().all(|(name, _)| hit.header(name).is_none()), "{hit:?}");
}

#[tokio::test]
async fn pictures_make_a_call_one_of_vision() {
    let server = ScriptedProvider::always(Reply::json(200, openai::chat_json("A cat.", 900, 3))).await;
    let gate = Gate::to(&server);
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": [picture]}]});
    gate.ask(post("cloud", "/v1/chat/completions", body.to_string())).await;
    assert_eq!(&*gate.the_record().request_type, "vision");
}

#[tokio::test]
async fn what_is_not_metered_leaves_a_record_without_tokens() {
    let server = ScriptedProvider::always(Reply::json(200, "{\"data\":[]}")).await;
    let gate = Gate::to(&server);
    let mut request = post("cloud", "/v1/models", "");
    *request.method_mut() = http::Method::GET;
    gate.ask(request).await;
    gate.ask(post("claude", "/v1/messages/count_tokens", r#"{"model":"m"}"#)).await;
    gate.ask(post("cloud", "/v1/responses/input_tokens", r#"{"model":"m","input":"x"}"#)).await;
    let records = gate.records();
    let seen: Vec<_> = records.iter().map(|it| (failed(it), it.tokens.total(), it.usage_source)).collect();
    assert_eq!(seen, [((Status::Ok, None), 0, UsageSource::None); 3]);
    let operations: Vec<_> = records.iter().filter_map(|record| record.operation.as_deref()).collect();
    assert_eq!(operations, ["other", "messages.count_tokens", "responses.input_tokens"]);
    assert!(records.iter().all(|record| record.cost.is_some_and(|cost| cost.to_string() == "0")), "{records:?}");
}

#[tokio::test]
async fn each_failure_has_its_class_its_status_and_no_tokens() {
    use ErrorKind as E;
    let expected = [
        (400, E::BadRequest),
        (401, E::Unauthorized),
        (403, E::Forbidden),
        (404, E::NotFound),
        (410, E::Gone),
        (429, E::RateLimited),
        (500, E::ServerError),
        (503, E::Overloaded),
        (529, E::Overloaded),
    ];
    let server = ScriptedProvider::start(|hit| {
        let status = hit.header("x-status").and_then(|status| status.parse().ok()).expect("it is passed on");
        Reply::json(status, r#"{"error":{"message":"m","type":"t","code":null}}"#)
    })
    .await;
    let gate = Gate::to(&server);
    for (status, _) in expected {
        let text = status.to_string();
        let body = format!("{{\"model\":\"m-{status}\",\"messages\":[]}}");
        let answered = gate.ask(with(post("cloud", "/v1/chat/completions", body), &[("x-status", &text)])).await;
        assert_eq!(answered.status, status);
    }
    for (record, (status, kind)) in gate.records().iter().zip(expected) {
        assert_eq!(failed(record), (Status::Error, Some((kind, Some(status)))));
        assert_eq!((record.tokens.total(), record.usage_source), (0, UsageSource::None), "{status}");
    }
    assert_eq!(gate.records().len(), expected.len());
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_told_in_each_apis_words_and_recorded() {
    let url = format!("http://127.0.0.1:{}", crate::running::free_port());
    let gate = Opening::to(&url).open();
    for specimen in [&WHOLE[0], &WHOLE[4], &WHOLE[5], &WHOLE[6]] {
        let answered = gate.ask_for(specimen).await;
        assert_eq!(answered.status, 502, "{answered:?}");
        let body = answered.json();
        let message = ["/error/message", "/error"].iter().find_map(|at| body.pointer(at)?.as_str());
        assert!(message.is_some_and(|text| text.contains(specimen.provider())), "{body}");
        assert!(!answered.text().contains("127.0.0.1"), "{body}");
        assert_ne!(answered.header("x-tallybot-id"), "");
    }
    for record in gate.records() {
        assert_eq!(failed(&record), (Status::Error, Some((ErrorKind::Connect, None))));
        assert_eq!(record.usage_source, UsageSource::None, "nothing was sent");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_metered_is_refused_and_reaches_nobody() {
    let server = ScriptedProvider::always(Reply::json(200, openai::chat_json("Hey", 9, 2))).await;
    let gate = Gate::to(&server);
    let twice = r#"{"model":"cheap","model":"dear","messages":[]}"#;
    let bodies: [&[u8]; 6] = [b"", b"[]", b"{\"model\":", b"\xff\xfe{}", twice.as_bytes(), b"{\"model\":7}"];
    for body in bodies {
        let answered = gate.ask(post("cloud", "/v1/chat/completions", body.to_vec())).await;
        assert_eq!(answered.status, 400, "{:?}: {answered:?}", String::from_utf8_lossy(body));
        assert_eq!(answered.json()["error"]["type"], "invalid_request_error");
        assert_eq!(answered.header("x-should-retry"), "false");
    }
    for path in
        ["/v1/../v1/chat/completions", "/v1//chat/completions", "/v1/%2e%2e/chat/completions", "/v1/chat%2fcompletions"]
    {
        assert_eq!(gate.ask(post("cloud", path, CHAT_UNASKED)).await.status, 400, "{path}");
    }
    let packed = with(
        post("cloud", "/v1/chat/completions", crate::providers::gzip(CHAT_UNASKED)),
        &[("content-encoding", "gzip")],
    );
    assert_eq!(gate.ask(packed).await.status, 400);
    assert_eq!(gate.ask(post("nobody", "/v1/chat/completions", CHAT_UNASKED)).await.status, 404);
    assert_eq!(gate.ask(post("cloud", "/v1/chat/completions", vec![b' '; 5 << 20])).await.status, 413);
    assert_eq!((server.hits().len(), gate.records().len()), (0, 0));
}

#[tokio::test]
async fn a_provider_without_a_key_gets_the_clients_own_and_never_ours() {
    let server = ScriptedProvider::always(Reply::json(200, openai::chat_json("Hey", 9, 2))).await;
    let mut opening = Opening::to(&server.url());
    opening.providers = vec![spec("cloud", Kind::OpenAi, &server.url(), "gpt-4o-mini")];
    opening.providers[0].api_key = None;
    let gate = opening.open();
    let asked = with(
        post("cloud", "/v1/chat/completions", r#"{"model":"gpt-4o-mini","messages":[]}"#),
        &[("authorization", "Bearer sk-client-1")],
    );
    assert_eq!(gate.ask(asked).await.status, 200);
    assert_eq!(server.hits()[0].header("authorization"), Some("Bearer sk-client-1"));
}
