//! What is changed of a request and of an answer, and what only looks as if it should be.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tallybot::models::Kind;
use tallybot::usage::{ErrorKind, Status, UsageSource};

use super::kit::{Gate, Opening, UPSTREAM_KEY, post, spec, with};
use super::wire::{CHAT, CHAT_UNASKED, SSE, STREAMS, WHOLE};
use crate::providers::{Reply, ScriptedProvider};

const PATH: &str = "/v1/chat/completions";

#[tokio::test]
async fn usage_is_asked_for_beside_whatever_else_the_options_hold() {
    let server = ScriptedProvider::always(Reply::stream(SSE, CHAT)).await;
    let gate = Gate::to(&server);
    let asks = [
        (r#"{"stream":true,"model":"m","messages":[]}"#, json!({"include_usage": true})),
        (r#"{"stream":true,"model":"m","stream_options":{},"messages":[]}"#, json!({"include_usage": true})),
        (r#"{"stream":true,"model":"m","stream_options":null,"messages":[]}"#, json!({"include_usage": true})),
        (
            r#"{"stream":true,"model":"m","stream_options":{"include_usage":false},"messages":[]}"#,
            json!({"include_usage": true}),
        ),
        (
            r#"{"stream":true,"model":"m","stream_options":{ "include_obfuscation" : false },"messages":[]}"#,
            json!({"include_usage": true, "include_obfuscation": false}),
        ),
        (
            "\n{ \"stream\" : true , \"model\":\"m\",\"messages\":[{\"content\":\"\\\"stream_options\\\":{}\"}]}\n",
            json!({"include_usage": true}),
        ),
    ];
    for (request, options) in &asks {
        let answered = gate.ask(post("cloud", PATH, *request)).await;
        assert_eq!(answered.text(), [CHAT[0], CHAT[2]].concat(), "{request}");
        let mut sent = server.hits().pop().expect("it was asked").json();
        let mut asked: Value = serde_json::from_str(request).expect("JSON");
        assert_eq!(sent["stream_options"], *options, "{request}");
        for body in [&mut sent, &mut asked] {
            body.as_object_mut().expect("an object").remove("stream_options");
        }
        assert_eq!(sent, asked, "{request}");
    }
    let records = gate.records();
    assert!(records.iter().all(|it| (it.tokens.prompt, it.usage_source) == (9, UsageSource::Reported)), "{records:?}");
    for request in [STREAMS[0].request, WHOLE[0].request] {
        gate.ask(post("cloud", PATH, request)).await;
        assert_eq!(server.hits().pop().expect("it was asked").body, request.as_bytes(), "nothing is to be changed");
    }
}

#[tokio::test]
async fn chunks_without_choices_stay_unless_they_only_tell_usage() {
    let filtered = "data: {\"model\":\"m\",\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n";
    let nulled = "data: {\"model\":\"m\",\"choices\":[],\"usage\":null}\n\n";
    let told = "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n";
    for [first, last] in [[filtered, CHAT[1]], [nulled, CHAT[1]], [told, ""]] {
        let sent = [first, CHAT[0], last, CHAT[2]];
        let server = ScriptedProvider::always(Reply::stream(SSE, sent.iter().filter(|it| !it.is_empty()))).await;
        let gate = Gate::to(&server);
        let answered = gate.ask(post("cloud", PATH, CHAT_UNASKED)).await;
        assert_eq!(answered.text(), [first, CHAT[0], CHAT[2]].concat());
        assert_eq!(gate.the_record().tokens.prompt, 9, "{first}");
    }
}

#[tokio::test]
async fn a_stream_without_its_last_word_and_one_with_more_behind_it_come_whole() {
    let cases =
        [[CHAT[0], CHAT[1], ""], [CHAT[0], CHAT[1], "data: [DONE]\n\n: bye\n\n"], [CHAT[0], CHAT[1], "data: [DONE]"]];
    for [before, usage, after] in cases {
        let pieces = [before, usage, after].into_iter().filter(|piece| !piece.is_empty());
        let server = ScriptedProvider::always(Reply::stream(SSE, pieces)).await;
        let gate = Gate::to(&server);
        let answered = gate.ask(post("cloud", PATH, CHAT_UNASKED)).await;
        assert_eq!((answered.text(), answered.cut), ([before, after].concat().as_str(), false));
        let record = gate.the_record();
        assert_eq!((record.status, record.usage_source), (Status::Ok, UsageSource::Reported), "{after}: {record:?}");
        assert_eq!((record.tokens.prompt, record.tokens.completion), (9, 2));
    }
}

#[tokio::test]
async fn a_whole_answer_to_a_stream_and_a_stream_to_a_whole_question_are_read_as_what_they_are() {
    let server = ScriptedProvider::in_turn([Reply::json(200, WHOLE[0].answer), Reply::stream(SSE, CHAT)]).await;
    let gate = Gate::to(&server);
    let whole = gate.ask(post("cloud", PATH, CHAT_UNASKED)).await;
    assert_eq!((whole.text(), whole.header("x-tallybot-tokens")), (WHOLE[0].answer, "2306"));
    assert_eq!(gate.ask_for(&WHOLE[0]).await.text(), CHAT.concat());
    let tokens: Vec<_> = gate.records().iter().map(|record| record.tokens.total()).collect();
    assert_eq!(tokens, [2306, 11]);
}

#[tokio::test]
async fn a_fallback_of_gemini_is_asked_by_another_path_and_with_its_own_key() {
    let broken =
        ScriptedProvider::always(Reply::json(503, "{\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\"}}")).await;
    let spare = ScriptedProvider::always(Reply::json(200, WHOLE[5].answer)).await;
    let mut opening = Opening::to(&broken.url());
    let other = spec("spare", Kind::Gemini, &format!("{}/v1beta", spare.url()), "gemini 3/x");
    opening.providers.push(other);
    opening.settings.fallbacks = [("google".to_owned(), "spare".to_owned())].into();
    let gate = opening.open();
    let path = format!("{}?key=client-key&a=1", WHOLE[5].path);
    let answered = gate.ask(post("google", &path, WHOLE[5].request)).await;
    assert_eq!((answered.status, answered.text()), (200, WHOLE[5].answer));
    let hit = spare.hits().remove(0);
    assert_eq!(hit.path, "/v1beta/models/gemini%203%2Fx:generateContent?a=1");
    assert_eq!((hit.header("x-goog-api-key"), &*hit.body), (Some(UPSTREAM_KEY), WHOLE[5].request.as_bytes()));
    let records = gate.records();
    assert_eq!(
        (records.len(), records[1].call, records[1].requested_model.as_deref()),
        (2, Some(records[0].id), Some("gemini 3/x"))
    );
}

#[tokio::test]
async fn a_fallback_is_never_of_another_kind_and_each_is_asked_once() {
    let broken = ScriptedProvider::always(Reply::json(503, "{\"error\":{\"message\":\"m\"}}")).await;
    let mut opening = Opening::to(&broken.url());
    opening.providers.push(spec("spare", Kind::OpenAi, &broken.url(), "m"));
    let to = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    opening.settings.fallbacks = [to("cloud", "spare"), to("spare", "cloud"), to("claude", "cloud")].into();
    let gate = opening.open();
    assert_eq!(gate.ask_for(&WHOLE[0]).await.status, 503);
    assert_eq!(broken.hits().len(), 2, "round in a circle they go once");
    assert_eq!(gate.ask_for(&WHOLE[4]).await.status, 503);
    assert_eq!((broken.hits().len(), gate.records().len()), (3, 3));
}

#[tokio::test]
async fn headers_that_are_the_connections_are_not_passed_on_in_either_direction() {
    let reply = Reply::json(200, WHOLE[0].answer).header("connection", "keep-alive, x-hop").header("x-hop", "1");
    let reply =
        reply.header("keep-alive", "timeout=5").header("access-control-allow-origin", "*").header("x-kept", "1");
    let reply = reply.header("x-tallybot-cost-usd", "0").header("x-tallybot-tokens-left", "7");
    let server = ScriptedProvider::always(reply).await;
    let gate = Gate::to(&server);
    let headers = [
        ("connection", "close, x-mine"),
        ("x-mine", "1"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("proxy-authorization", "Basic x"),
        ("cookie", "a=b"),
        ("expect", "100-continue"),
        ("anthropic-beta", "kept"),
    ];
    let answered = gate.ask(with(post("cloud", PATH, WHOLE[0].request), &headers)).await;
    let hit = server.hits().remove(0);
    let seen: Vec<&str> = headers.iter().map(|(name, _)| *name).filter(|name| hit.header(name).is_some()).collect();
    assert_eq!(seen, ["anthropic-beta"]);
    for name in ["connection", "x-hop", "keep-alive", "access-control-allow-origin"] {
        assert!(!answered.headers.contains_key(name), "{name}: {answered:?}");
    }
    assert_eq!(answered.header("x-kept"), "1");
    let words_of_ours = (answered.header("x-tallybot-cost-usd"), answered.header("x-tallybot-tokens-left"));
    assert_eq!(words_of_ours, ("0.0003369", ""), "the provider's own would be taken for ours");
}

#[tokio::test]
async fn a_websocket_is_refused_and_nothing_is_asked_or_recorded() {
    let server = ScriptedProvider::always(Reply::json(200, "{}")).await;
    let gate = Gate::to(&server);
    let mut asking = with(post("cloud", "/v1/responses", ""), &[("connection", "Upgrade"), ("upgrade", "WebSocket")]);
    *asking.method_mut() = http::Method::GET;
    let answered = gate.ask(asking).await;
    assert!(answered.status == 426 && answered.text().contains("over HTTP"), "{answered:?}");
    assert_eq!(answered.header("upgrade"), "HTTP/1.1");
    assert_eq!((server.hits().len(), gate.records().len()), (0, 0));
}

/// A body that breaks off: its sender is gone.
struct Breaking(Option<Bytes>);

impl hyper::body::Body for Breaking {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        let next = self.0.take().map(|bytes| Ok(hyper::body::Frame::data(bytes)));
        std::task::Poll::Ready(Some(next.unwrap_or_else(|| Err(std::io::ErrorKind::ConnectionReset.into()))))
    }
}

#[tokio::test]
async fn a_request_that_breaks_off_reaches_nobody_or_is_recorded_as_left() {
    let server = ScriptedProvider::always(Reply::json(200, "{}")).await;
    let gate = Gate::to(&server);
    let peer = "127.0.0.1:1".parse().expect("an address");
    let request = |path: &str| {
        let request = Request::post(format!("/gateway/cloud{path}"));
        request.body(Breaking(Some(Bytes::from_static(b"{\"model\":")))).expect("a request")
    };
    let metered = super::kit::rest(gate.gateway.answer(request(PATH), peer).await).await;
    assert_eq!((metered.status, metered.header("connection")), (408, "close"), "{metered:?}");
    assert_eq!((server.hits().len(), gate.records().len()), (0, 0));
    let flowing = super::kit::rest(gate.gateway.answer(request("/v1/files"), peer).await).await;
    assert_eq!((flowing.status, flowing.header("connection")), (408, "close"), "{flowing:?}");
    let record = gate.the_record();
    assert_eq!((record.status, record.tokens.total(), record.usage_source), (Status::Cancelled, 0, UsageSource::None));
    assert_eq!(record.failure.map(|failure| failure.kind), Some(ErrorKind::ClientGone), "no fault of the provider's");
}
