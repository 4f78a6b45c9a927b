//! `Provider` against scripted servers: what it sends, what it makes of every answer, and what a fault becomes.

use std::time::Duration;

use secrecy::SecretString;
use tallybot::models::openai::Dialect;
use tallybot::models::{
    CallError, ChatEvent, ChatMessage, ChatRequest, ChatStream, Ending, Finish, Kind, Provider, ProviderSpec, Retry,
    RetryPolicy, Role, Timeouts, Transport,
};
use tallybot::usage::{ErrorKind, Failure};

use crate::providers::{Reply, ScriptedProvider, Step, anthropic, gemini, gzip, ollama, openai};

const KEY: &str = "sk-test-0123456789abcdefghij-SECRET";
const PROMPT: &str = "MARKED-PROMPT";
/// Long enough for a loaded machine to send what it has, short enough to wait for.
const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(10);

fn spec(kind: Kind, url: &str) -> ProviderSpec {
    let timeouts = Timeouts::all(LONG);
    ProviderSpec { timeouts, api_key: Some(SecretString::from(KEY)), ..ProviderSpec::new("test", kind, url, "m") }
}

fn provider(kind: Kind, server: &ScriptedProvider) -> Provider {
    Provider::new(spec(kind, &server.url()), Transport::new())
}

fn impatient(kind: Kind, server: &ScriptedProvider, change: impl FnOnce(&mut Timeouts)) -> Provider {
    let mut spec = spec(kind, &server.url());
    change(&mut spec.timeouts);
    Provider::new(spec, Transport::new())
}

fn request() -> ChatRequest {
    let messages = vec![ChatMessage::new(Role::User, PROMPT)];
    ChatRequest { model: "m".to_owned(), messages, max_output_tokens: Some(64), lang: tallybot::templates::Lang::En }
}

/// Reads a stream to its end: its text, how it ended, and the error if there was one.
async fn drain(mut stream: ChatStream) -> (String, Ending, Option<CallError>) {
    let mut text = String::new();
    let mut failed = None;
    let half_the_limit = LONG / 2;
    while let Some(event) = tokio::time::timeout(half_the_limit, stream.next()).await.expect("a limit was to end this")
    {
        match event {
            Ok(ChatEvent::Text(piece)) => text.push_str(&piece),
            Ok(ChatEvent::Thinking(_)) => {}
            Err(error) => failed = Some(error),
        }
    }
    assert!(stream.next().await.is_none(), "a stream that ended stays ended");
    (text, stream.ending(), failed)
}

async fn chat(provider: &Provider) -> (String, Ending, Option<CallError>) {
    drain(provider.chat(request()).await.expect("an answer begins")).await
}

async fn refusal(provider: &Provider) -> CallError {
    let error = provider.chat(request()).await.err().expect("no answer begins");
    let shown = format!("{error} {error:?} {provider:?}");
    assert!(!shown.contains("SECRET") && !shown.contains(PROMPT) && !shown.contains("127.0.0.1"), "{shown}");
    error
}

fn polite_chat(kind: Kind) -> Reply {
    match kind {
        Kind::Ollama => ollama::chat(PIECES, 26, 3),
        Kind::Anthropic => anthropic::chat(PIECES, 26, 3),
        Kind::Gemini => gemini::chat(PIECES, 26, 3),
        Kind::OpenAi | Kind::Demo => openai::chat(PIECES, 26, 3),
    }
}

const PIECES: &[&str] = &["Hé", "llo", " ☕"];
/// The APIs that are spoken over HTTP.
const SPOKEN: [Kind; 4] = [Kind::Ollama, Kind::OpenAi, Kind::Anthropic, Kind::Gemini];

fn assert_whole_answer(answer: (String, Ending, Option<CallError>)) {
    let (text, ending, failed) = answer;
    assert_eq!((text.as_str(), failed), ("Héllo ☕", None));
    assert_eq!((ending.usage.prompt, ending.usage.completion), (Some(26), Some(3)));
    assert_eq!((ending.finish, ending.complete, ending.http_status), (Finish::Stop, true, 200));
}

#[tokio::test]
async fn an_ollama_chat_is_sent_and_read() {
    let server = ScriptedProvider::start(ollama::polite(&["llama3.2"], polite_chat(Kind::Ollama))).await;
    let provider = provider(Kind::Ollama, &server);
    let (text, ending, failed) = chat(&provider).await;
    assert_eq!(ending.served_model.as_deref(), Some("llama3.2"));
    assert_whole_answer((text, ending, failed));
    let hit = &server.hits()[0];
    assert_eq!((hit.method.as_str(), hit.path.as_str()), ("POST", "/api/chat"));
    assert_eq!(hit.header("accept-encoding"), Some("identity"));
    assert_eq!(hit.header("content-type"), Some("application/json"));
    assert_eq!(hit.header("user-agent"), Some(concat!("tallybot/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(hit.json()["options"]["num_predict"], 64);
    assert_eq!(hit.json()["messages"][0]["content"], PROMPT);
}

#[tokio::test]
async fn an_openai_chat_is_sent_and_read() {
    let server = ScriptedProvider::start(openai::polite(&["gpt-4o"], polite_chat(Kind::OpenAi))).await;
    for url in [server.url(), format!("{}/v1", server.url()), format!("{}/v1/", server.url())] {
        let provider = Provider::new(spec(Kind::OpenAi, &url), Transport::new());
        let (text, ending, failed) = chat(&provider).await;
        assert_eq!(ending.served_model.as_deref(), Some("gpt-4o-mini-2024-07-18"));
        assert_eq!(ending.provider_request_id.as_deref(), Some("req_1"));
        assert_whole_answer((text, ending, failed));
    }
    let hit = &server.hits()[0];
    assert_eq!((hit.method.as_str(), hit.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(hit.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(hit.json()["stream_options"]["include_usage"], true);
    assert_eq!(hit.json()["max_tokens"], 64);
}

#[tokio::test]
async fn connections_are_used_again() {
    for kind in SPOKEN {
        let server = ScriptedProvider::always(polite_chat(kind)).await;
        let provider = provider(kind, &server);
        for _ in 0..3 {
            assert_whole_answer(chat(&provider).await);
        }
        assert_eq!((server.hits().len(), server.connections()), (3, 1), "{kind:?}");
    }
}

#[tokio::test]
async fn bytes_may_come_one_by_one() {
    for kind in SPOKEN {
        let server = ScriptedProvider::always(polite_chat(kind).byte_by_byte()).await;
        assert_whole_answer(chat(&provider(kind, &server)).await);
    }
}

#[tokio::test]
async fn a_slow_drip_is_patience_as_long_as_each_pause_is_short() {
    let server =
        ScriptedProvider::always(ollama::chat(&["Hé", "llo", " ☕"], 26, 3).dripped(Duration::from_micros(50))).await;
    let provider = impatient(Kind::Ollama, &server, |timeouts| timeouts.between_chunks = Duration::from_millis(500));
    assert_whole_answer(chat(&provider).await);
}

#[tokio::test]
async fn gzip_is_undone_whatever_the_header_says() {
    for (kind, body) in [
        (Kind::Ollama, ollama::chat_lines(PIECES, 26, 3).concat()),
        (Kind::OpenAi, openai::chat_frames(PIECES, 26, 3).concat()),
    ] {
        let packed = Reply::stream("text/event-stream", gzip(&body).chunks(7));
        let lying = Reply::stream("text/event-stream", [&body]).header("content-encoding", "gzip");
        for reply in [packed.clone().header("content-encoding", "gzip"), packed, lying] {
            let server = ScriptedProvider::always(reply).await;
            assert_whole_answer(chat(&provider(kind, &server)).await);
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_not_streamed_is_read_too() {
    let server = ScriptedProvider::always(Reply::json(200, openai::chat_json("Héllo ☕", 26, 3))).await;
    assert_whole_answer(chat(&provider(Kind::OpenAi, &server)).await);
    let lines = ollama::chat_lines(&["Héllo ☕"], 26, 3);
    let server = ScriptedProvider::always(Reply::json(200, lines.concat().trim_end())).await;
    assert_whole_answer(chat(&provider(Kind::Ollama, &server)).await);
}

#[tokio::test]
async fn every_error_status_has_its_class_and_advice() {
    let cases = [
        (400, "invalid_request_error", ErrorKind::BadRequest, Retry::No),
        (400, "context_length_exceeded", ErrorKind::ContextTooLong, Retry::No),
        (401, "invalid_api_key", ErrorKind::Unauthorized, Retry::No),
        (403, "", ErrorKind::Forbidden, Retry::No),
        (404, "model_not_found", ErrorKind::NotFound, Retry::No),
        (408, "", ErrorKind::ServerError, Retry::After(None)),
        (409, "", ErrorKind::BadRequest, Retry::After(None)),
        (410, "github_models_retirement_brownout", ErrorKind::Gone, Retry::No),
        (429, "rate_limit_exceeded", ErrorKind::RateLimited, Retry::After(None)),
        (429, "insufficient_quota", ErrorKind::QuotaExhausted, Retry::No),
        (500, "server_error", ErrorKind::ServerError, Retry::After(None)),
        (502, "", ErrorKind::ServerError, Retry::After(None)),
        (503, "", ErrorKind::Overloaded, Retry::After(None)),
    ];
    for (status, code, kind, retry) in cases {
        let message = format!("SECRET {PROMPT}");
        let server = ScriptedProvider::always(openai::error(status, code, &message).header("x-request-id", "r9")).await;
        let error = refusal(&provider(Kind::OpenAi, &server)).await;
        assert_eq!((error.failure, error.retry), (Failure::http(kind, status), retry), "{status} {code}");
        assert_eq!(error.provider_request_id.as_deref(), Some("r9"));
        assert!(error.usage.is_empty());
        assert_eq!(server.hits().len(), 1, "a provider never retries by itself");
    }
    for (status, kind) in [(400, ErrorKind::BadRequest), (404, ErrorKind::NotFound), (503, ErrorKind::Overloaded)] {
        let server = ScriptedProvider::always(ollama::error(status, "model 'm' not found")).await;
        assert_eq!(refusal(&provider(Kind::Ollama, &server)).await.failure, Failure::http(kind, status));
    }
}

#[tokio::test]
async fn a_wait_the_server_asks_for_is_passed_on() {
    let limited = openai::error(429, "rate_limit_exceeded", "slow down");
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let cases = [
        (limited.clone().header("retry-after", "2"), Retry::After(Some(Duration::from_secs(2)))),
        (limited.clone().header("retry-after-ms", "1500"), Retry::After(Some(Duration::from_millis(1500)))),
        (
            limited.clone().header("date", date).header("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT"),
            Retry::After(Some(Duration::from_secs(3))),
        ),
        (limited.clone().header("retry-after", "1000000000"), Retry::After(Some(Duration::from_secs(1_000_000_000)))),
        (limited.clone().header("x-should-retry", "false"), Retry::No),
        (openai::error(400, "", "").header("x-should-retry", "true"), Retry::After(None)),
    ];
    for (reply, retry) in cases {
        let server = ScriptedProvider::always(reply).await;
        assert_eq!(refusal(&provider(Kind::OpenAi, &server)).await.retry, retry);
    }
    let limits = limited.header("x-ratelimit-limit-requests", "15").header("x-ratelimit-remaining-requests", "0");
    let server = ScriptedProvider::always(limits).await;
    let observed = refusal(&provider(Kind::OpenAi, &server)).await.observed;
    assert_eq!((observed.requests.limit, observed.requests.remaining), (Some(15), Some(0)));
}

#[tokio::test]
async fn limits_are_seen_on_good_answers_as_well() {
    let reply = polite_chat(Kind::OpenAi).header("x-ratelimit-remaining-tokens", "149984");
    let server = ScriptedProvider::always(reply).await;
    let stream = provider(Kind::OpenAi, &server).chat(request()).await.expect("an answer begins");
    assert_eq!(stream.observed().tokens.remaining, Some(149_984));
}

#[tokio::test]
async fn retries_are_the_callers_and_end() {
    let broken = openai::error(500, "server_error", "");
    let server = ScriptedProvider::in_turn([broken.clone(), Reply::reset(), polite_chat(Kind::OpenAi)]).await;
    let provider = provider(Kind::OpenAi, &server);
    let policy = RetryPolicy { first_backoff: Duration::from_millis(1), ..RetryPolicy::default() };
    let mut failures = Vec::new();
    for attempt in 1.. {
        match provider.chat(request()).await {
            Ok(stream) => {
                assert_whole_answer(drain(stream).await);
                break;
            }
            Err(error) => {
                failures.push(error.failure);
                tokio::time::sleep(policy.next_delay(attempt, &error, 128).expect("another attempt")).await;
            }
        }
    }
    assert_eq!(failures, [Failure::http(ErrorKind::ServerError, 500), Failure::of(ErrorKind::StreamCut)]);
    assert_eq!(server.hits().len(), 3);
}

#[tokio::test]
async fn a_field_the_server_does_not_know_is_left_out_from_then_on() {
    let server = ScriptedProvider::start(|hit| {
        let body = hit.json();
        if body.get("stream_options").is_some() {
            openai::error_about(400, "", "Unknown field", Some("stream_options"))
        } else if body.get("max_tokens").is_some() {
            let message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
            openai::error_about(400, "unsupported_parameter", message, Some("max_tokens"))
        } else {
            polite_chat(Kind::OpenAi)
        }
    })
    .await;
    let provider = provider(Kind::OpenAi, &server);
    let usual = provider.dialect();
    let adjusted = adjusted(&provider, usual).await;
    let adjusted = self::adjusted(&provider, adjusted).await;
    assert_eq!(provider.dialect(), usual, "what an error says is not believed of other requests");
    assert_whole_answer(drain(provider.chat_in(adjusted, request()).await.expect("an answer begins")).await);
    assert_whole_answer(chat(&provider).await);
    let hits = server.hits();
    assert_eq!((hits.len(), hits[3].json()["max_completion_tokens"].as_u64()), (4, Some(64)));
}

#[tokio::test]
async fn a_server_that_rejects_both_names_is_not_asked_for_ever() {
    let server = ScriptedProvider::start(|hit| {
        let field = if hit.json().get("max_tokens").is_some() { "max_tokens" } else { "max_completion_tokens" };
        openai::error_about(400, "unsupported_parameter", "Unsupported parameter", Some(field))
    })
    .await;
    let provider = provider(Kind::OpenAi, &server);
    let adjusted = adjusted(&provider, provider.dialect()).await;
    let error = provider.chat_in(adjusted, request()).await.err().expect("no answer begins");
    assert_eq!(error.retry, Retry::No);
}

/// How a server that rejects a field wants to be asked.
async fn adjusted(provider: &Provider, dialect: Dialect) -> Dialect {
    let error = provider.chat_in(dialect, request()).await.err().expect("no answer begins");
    assert_eq!(error.failure.http_status, Some(400));
    let Retry::Adjusted(adjusted) = error.retry else { panic!("{error:?}") };
    adjusted
}

#[tokio::test]
async fn each_timeout_has_its_own_name() {
    for kind in SPOKEN {
        let silent = ScriptedProvider::always(Reply::silence()).await;
        let error = refusal(&impatient(kind, &silent, |timeouts| timeouts.first_byte = SHORT)).await;
        assert_eq!((error.failure, error.retry), (Failure::of(ErrorKind::FirstByteTimeout), Retry::No));
        let error = refusal(&impatient(kind, &silent, |timeouts| timeouts.total = SHORT)).await;
        assert_eq!((error.failure, error.retry), (Failure::of(ErrorKind::TotalTimeout), Retry::No));

        let head_only = ScriptedProvider::always(polite_chat(kind).hold_before(1)).await;
        let (_, _, failed) = chat(&impatient(kind, &head_only, |timeouts| timeouts.first_byte = SHORT)).await;
        assert_eq!(failed.expect("it fails").failure.kind, ErrorKind::FirstByteTimeout);

        let stalled = ScriptedProvider::always(polite_chat(kind).hold_before(3)).await;
        let (text, ending, failed) = chat(&impatient(kind, &stalled, |timeouts| timeouts.between_chunks = SHORT)).await;
        assert!("Héllo ☕".starts_with(&text) && !text.is_empty() && !ending.complete);
        let failed = failed.expect("it fails");
        assert_eq!((failed.failure.kind, failed.retry), (ErrorKind::IdleTimeout, Retry::No));
        let (_, _, failed) = chat(&impatient(kind, &stalled, |timeouts| timeouts.total = SHORT)).await;
        assert_eq!(failed.expect("it fails").failure.kind, ErrorKind::TotalTimeout);
    }
}

#[tokio::test]
async fn a_caller_that_looks_up_often_does_not_stop_the_clock() {
    let stalled = ScriptedProvider::always(polite_chat(Kind::Ollama).hold_before(2)).await;
    let provider = impatient(Kind::Ollama, &stalled, |timeouts| timeouts.between_chunks = SHORT);
    let mut stream = provider.chat(request()).await.expect("an answer begins");
    assert!(matches!(stream.next().await, Some(Ok(_))));
    let tick = Duration::from_millis(5);
    let failed = async {
        loop {
            if let Ok(event) = tokio::time::timeout(tick, stream.next()).await {
                break event;
            }
        }
    };
    let failed = tokio::time::timeout(LONG / 2, failed).await.expect("the time limit goes on");
    assert_eq!(failed.expect("an error").expect_err("an error").failure.kind, ErrorKind::IdleTimeout);
}

#[tokio::test]
async fn no_connection_is_told_from_no_connection_in_time() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let url = format!("http://{}", gone.local_addr().expect("bound"));
    drop(gone);
    let error = refusal(&Provider::new(spec(Kind::Ollama, &url), Transport::new())).await;
    assert_eq!((error.failure, error.retry), (Failure::of(ErrorKind::Connect), Retry::After(None)));

    // A server that takes the connection but never says a word of TLS.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("https://{}", mute.local_addr().expect("bound"));
    let mut mute_spec = spec(Kind::OpenAi, &url);
    mute_spec.timeouts.connect = SHORT;
    let error = refusal(&Provider::new(mute_spec, Transport::new())).await;
    assert_eq!((error.failure, error.retry), (Failure::of(ErrorKind::ConnectTimeout), Retry::After(None)));

    let nowhere = Provider::new(spec(Kind::OpenAi, "not a url"), Transport::new());
    assert_eq!(refusal(&nowhere).await.failure, Failure::of(ErrorKind::Connect));
}

#[tokio::test]
async fn a_stream_cut_anywhere_keeps_its_text_and_never_panics() {
    for kind in SPOKEN {
        let reply = polite_chat(kind);
        let head_len = Reply { steps: reply.steps[..1].to_vec() }.bytes().len();
        for end in (0..reply.bytes().len()).step_by(5) {
            let cut = if end % 2 == 0 { reply.clone().cut_at(end) } else { reply.clone().reset_at(end) };
            let server = ScriptedProvider::always(cut).await;
            match provider(kind, &server).chat(request()).await {
                Err(error) => {
                    assert!(end <= head_len, "cut at {end}");
                    assert!(matches!(error.failure.kind, ErrorKind::StreamCut | ErrorKind::BadResponse));
                }
                Ok(stream) => {
                    let (text, ending, failed) = drain(stream).await;
                    assert!("Héllo ☕".starts_with(&text), "cut at {end}");
                    assert_eq!(failed.is_none(), ending.complete, "cut at {end}");
                    let kind = failed.map(|failed| (failed.failure.kind, failed.retry));
                    assert!(matches!(kind, None | Some((ErrorKind::StreamCut | ErrorKind::BadResponse, Retry::No))));
                }
            }
        }
    }
}

#[tokio::test]
async fn an_orderly_end_without_the_last_line_is_incomplete_but_no_error() {
    let mut lines = ollama::chat_lines(&["ha", "ha"], 26, 2);
    lines.pop();
    let server = ScriptedProvider::always(Reply::stream("application/x-ndjson", lines)).await;
    let (text, ending, failed) = chat(&provider(Kind::Ollama, &server)).await;
    assert_eq!((text.as_str(), failed, ending.complete, ending.pieces), ("haha", None, false, 2));
    assert!(ending.usage.is_empty());
}

#[tokio::test]
async fn an_error_in_the_middle_comes_after_the_text_with_the_counts_so_far() {
    let usage = r#"data: {"choices":[{"delta":{"content":"Hi"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
    let frames = [usage, "\n\n", "data: {\"error\":{\"message\":\"SECRET\"}}\n\n"];
    let server = ScriptedProvider::always(Reply::stream("text/event-stream", frames)).await;
    let (text, _, failed) = chat(&provider(Kind::OpenAi, &server)).await;
    let failed = failed.expect("it fails");
    assert_eq!((text.as_str(), failed.failure), ("Hi", Failure::of(ErrorKind::StreamError)));
    assert_eq!((failed.usage.prompt, failed.usage.completion, failed.retry), (Some(9), Some(1), Retry::No));
}

#[tokio::test]
async fn what_is_not_this_api_is_a_bad_response() {
    for kind in SPOKEN {
        for reply in [
            Reply::whole(200, "text/html", "<html>SECRET</html>"),
            Reply::whole(200, "application/json", ""),
            Reply::whole(200, "application/json", &gzip("{}")[..9]),
            Reply::whole(200, "application/json", b"\x1f\x8b not gzip at all"),
        ] {
            let server = ScriptedProvider::always(reply).await;
            let (text, _, failed) = chat(&provider(kind, &server)).await;
            assert_eq!((text.as_str(), failed.map(|failed| failed.failure.kind)), ("", Some(ErrorKind::BadResponse)));
        }
        let server = ScriptedProvider::always(Reply::raw("SSH-2.0-OpenSSH\r\n\r\n")).await;
        let error = refusal(&provider(kind, &server)).await;
        assert_eq!((error.failure.kind, error.retry), (ErrorKind::BadResponse, Retry::No));
    }
}

#[tokio::test]
async fn a_server_that_lies_about_its_length_is_cut_or_incomplete() {
    let body = ollama::chat_lines(&["Hé", "llo"], 26, 2).concat();
    let claims = |length: usize| Reply::raw(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"));
    let server = ScriptedProvider::always(claims(body.len() + 10)).await;
    let (_, ending, failed) = chat(&provider(Kind::Ollama, &server)).await;
    assert!(ending.complete && failed.is_none(), "the whole answer came");
    let server = ScriptedProvider::always(claims(body.len() - 10)).await;
    let (text, ending, failed) = chat(&provider(Kind::Ollama, &server)).await;
    assert_eq!((text.as_str(), ending.complete, failed), ("Héllo", false, None));
}

#[tokio::test]
async fn a_large_error_page_is_not_read_to_its_end() {
    let endless = Reply {
        steps: vec![
            Step::Write(b"HTTP/1.1 500 X\r\ncontent-length: 99999999\r\n\r\n".to_vec()),
            Step::Write(vec![b'x'; 128 << 10]),
            Step::Hold,
        ],
    };
    let server = ScriptedProvider::always(endless).await;
    assert_eq!(refusal(&provider(Kind::OpenAi, &server)).await.failure, Failure::http(ErrorKind::ServerError, 500));
    server.clients_gone(1).await;
}

#[tokio::test]
async fn letting_go_closes_the_connection_at_once() {
    for kind in SPOKEN {
        let server = ScriptedProvider::always(polite_chat(kind).hold_before(2)).await;
        let stream = provider(kind, &server).chat(request()).await.expect("an answer begins");
        drop(stream);
        server.clients_gone(1).await;

        let silent = ScriptedProvider::always(Reply::silence()).await;
        let provider = provider(kind, &silent);
        let waited = tokio::time::timeout(SHORT, provider.chat(request())).await;
        assert!(waited.is_err(), "it was still waiting");
        silent.clients_gone(1).await;
    }
}

#[tokio::test]
async fn pieces_come_as_they_are_written() {
    let server = ScriptedProvider::always(polite_chat(Kind::Ollama).hold_before(2)).await;
    let mut stream = provider(Kind::Ollama, &server).chat(request()).await.expect("an answer begins");
    assert_eq!(stream.next().await, Some(Ok(ChatEvent::Text("Hé".to_owned()))));
    let early = stream.ending();
    assert_eq!((early.complete, early.pieces, early.usage.is_empty()), (false, 1, true));
    server.release();
    let (text, ending, failed) = drain(stream).await;
    assert_eq!((text.as_str(), ending.complete, failed), ("llo ☕", true, None));
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_server_that_keeps_the_line_open() {
    let mut reply = polite_chat(Kind::OpenAi);
    reply.steps.pop();
    reply.steps.push(Step::Hold);
    let server = ScriptedProvider::always(reply).await;
    assert_whole_answer(chat(&provider(Kind::OpenAi, &server)).await);
    server.clients_gone(1).await;
}

#[tokio::test]
async fn models_are_listed_and_servers_probed() {
    let server = ScriptedProvider::start(ollama::polite(&["llama3.2", "gpt-oss:120b-cloud"], Reply::silence())).await;
    let provider = provider(Kind::Ollama, &server);
    provider.probe().await.expect("it is there");
    let models = provider.list_models().await.expect("a list");
    let seen: Vec<_> = models.iter().map(|model| (model.name.as_str(), model.local)).collect();
    assert_eq!(seen, [("llama3.2", true), ("gpt-oss:120b-cloud", false)]);

    let server = ScriptedProvider::start(openai::polite(&["gpt-4o"], Reply::silence())).await;
    let provider = self::provider(Kind::OpenAi, &server);
    provider.probe().await.expect("it is there");
    assert_eq!(provider.list_models().await.expect("a list")[0].name, "gpt-4o");

    let locked = ScriptedProvider::always(openai::error(401, "invalid_api_key", "SECRET")).await;
    let provider = self::provider(Kind::OpenAi, &locked);
    assert_eq!(provider.probe().await.expect_err("locked").failure.kind, ErrorKind::Unauthorized);
    assert_eq!(provider.list_models().await.expect_err("locked").failure.kind, ErrorKind::Unauthorized);
    let without_list = ScriptedProvider::always(openai::error(404, "", "")).await;
    self::provider(Kind::OpenAi, &without_list).probe().await.expect("it is there");
    let wrong = ScriptedProvider::always(Reply::whole(200, "text/html", "<html>")).await;
    let error = self::provider(Kind::Ollama, &wrong).list_models().await.expect_err("no list");
    assert_eq!(error.failure.kind, ErrorKind::BadResponse);
}

#[tokio::test]
async fn local_is_decided_per_model() {
    let remote = r#"{"model":"big","remote_model":"big:600b","remote_host":"https://ollama.com:443","message":{"content":"x"},"done":true,"eval_count":1}"#;
    let server = ScriptedProvider::always(Reply::stream("application/x-ndjson", [remote])).await;
    let ollama = provider(Kind::Ollama, &server);
    assert!(ollama.is_local("big") && ollama.is_local("llama3.2") && !ollama.is_local("glm:cloud"));
    chat(&ollama).await;
    assert!(!ollama.is_local("big") && ollama.is_local("llama3.2"));

    let at = |kind, url: &str, local| Provider::new(ProviderSpec { local, ..spec(kind, url) }, Transport::new());
    assert!(!at(Kind::OpenAi, "http://127.0.0.1:8000/v1", None).is_local("m"));
    assert!(at(Kind::OpenAi, "http://127.0.0.1:8000/v1", Some(true)).is_local("m"));
    assert!(!at(Kind::Ollama, "https://ollama.com", None).is_local("m"));
    assert!(at(Kind::Demo, "", None).is_local("demo"));
}

#[tokio::test]
async fn the_demo_model_needs_no_server() {
    let demo = Provider::new(ProviderSpec::new("demo", Kind::Demo, "", "demo"), Transport::new());
    demo.probe().await.expect("always there");
    let (text, ending, failed) = drain(demo.chat(request()).await.expect("always answers")).await;
    assert!(!text.is_empty() && ending.complete && failed.is_none());
    assert_eq!(ending.usage.prompt, Some((PROMPT.len() as u64).div_ceil(4)));
    assert_eq!(demo.list_models().await.expect("one")[0].name, "demo");
}

#[tokio::test]
async fn a_key_shows_four_characters_and_a_broken_one_is_not_sent() {
    let server = ScriptedProvider::always(polite_chat(Kind::OpenAi)).await;
    let spec = spec(Kind::OpenAi, &server.url());
    let suffix = Provider::new(spec.clone(), Transport::new()).key_suffix().expect("a long key");
    assert_eq!(suffix.as_str(), "CRET");
    assert!(!format!("{spec:?}").contains("SECRET"));
    let broken = ProviderSpec { api_key: Some(SecretString::from("sk-\n-SECRET")), ..spec };
    let error = refusal(&Provider::new(broken, Transport::new())).await;
    assert_eq!((error.failure, server.hits().len()), (Failure::of(ErrorKind::Unauthorized), 0));
}

/// Calls run in tasks of their own.
#[tokio::test]
async fn a_call_can_move_between_threads() {
    fn movable<T: Send>(value: T) -> T {
        value
    }
    let demo = Provider::new(ProviderSpec::new("demo", Kind::Demo, "", "demo"), Transport::new());
    let mut stream = movable(movable(demo.chat(request())).await.expect("always answers"));
    assert!(movable(stream.next()).await.is_some());
}
