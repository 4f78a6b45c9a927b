//! Anthropic and Gemini: what they are sent, what is made of their answers and errors, and the records of the built program.

use std::time::Duration;

use http::HeaderMap;
use secrecy::SecretString;
use serde_json::{Value, json};
use tallybot::models::{
    CallError, ChatMessage, ChatRequest, ChatStream, Finish, Image, Kind, Provider, ProviderSpec, Retry, Role,
    Timeouts, Transport,
};
use tallybot::templates::Lang;
use tallybot::usage::{ErrorKind, Failure};

use crate::providers::{Hit, Reply, ScriptedProvider, anthropic, gemini};
use crate::running::Home;

const KEY: &str = "sk-test-0123456789abcdefghij-SECRET";
const CLAUDE: &str = "claude-haiku-4-5";
const FLASH: &str = "gemini-2.5-flash";

fn provider(kind: Kind, url: &str) -> Provider {
    let timeouts = Timeouts::all(Duration::from_secs(10));
    let api_key = Some(SecretString::from(KEY));
    Provider::new(ProviderSpec { timeouts, api_key, ..ProviderSpec::new("p", kind, url, "m") }, Transport::new())
}

fn request(model: &str) -> ChatRequest {
    let picture = Image::new(&b"\x89PNG\r\n\x1a\n"[..]).expect("a picture");
    let messages = vec![
        ChatMessage::new(Role::System, "be brief"),
        ChatMessage::new(Role::User, "hi"),
        ChatMessage::new(Role::Assistant, "Hello"),
        ChatMessage::new(Role::User, "what is this?").with_images(vec![picture]).expect("one"),
    ];
    ChatRequest { model: model.to_owned(), messages, max_output_tokens: None, lang: Lang::En }
}

async fn drained(mut stream: ChatStream) -> ChatStream {
    while let Some(event) = stream.next().await {
        event.expect("a polite answer");
    }
    stream
}

async fn refusal(kind: Kind, reply: Reply) -> CallError {
    let server = ScriptedProvider::always(reply).await;
    let error = provider(kind, &server.url()).chat(request("m")).await.err().expect("no answer begins");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("SECRET") && !shown.contains("127.0.0.1"), "{shown}");
    error
}

fn credentials(hit: &Hit) -> Vec<(&str, &str)> {
    let names = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
    names.into_iter().filter_map(|name| Some((name, hit.header(name)?))).collect()
}

#[tokio::test]
async fn an_anthropic_chat_is_sent_and_read() {
    let server = ScriptedProvider::start(anthropic::polite(&[CLAUDE], anthropic::chat(&["A ", "cat."], 26, 3))).await;
    for url in [server.url(), format!("{}/v1", server.url()), format!("{}/v1/", server.url())] {
        let stream = provider(Kind::Anthropic, &url).chat(request(CLAUDE)).await.expect("an answer begins");
        let ending = drained(stream).await.ending();
        assert_eq!((ending.usage.prompt, ending.usage.completion), (Some(26), Some(3)));
        assert_eq!((ending.finish, ending.complete), (Finish::Stop, true));
        assert_eq!(ending.served_model.as_deref(), Some("claude-haiku-4-5-20251001"));
        assert_eq!(ending.service_tier.as_deref(), Some("standard"));
        assert_eq!(ending.provider_request_id.as_deref(), Some("req_1"));
    }
    let hit = &server.hits()[0];
    assert_eq!((hit.method.as_str(), hit.path.as_str()), ("POST", "/v1/messages"));
    assert_eq!(credentials(hit), [("x-api-key", KEY)]);
    assert_eq!(hit.header("anthropic-version"), Some("2023-06-01"));
    let source = json!({"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="});
    let blocks = json!([{"type": "image", "source": source}, {"type": "text", "text": "what is this?"}]);
    let messages = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": blocks}]);
    let expected =
        json!({"model": CLAUDE, "max_tokens": 4096, "system": "be brief", "messages": messages, "stream": true});
    assert_eq!(hit.json(), expected);
}

#[tokio::test]
async fn a_gemini_chat_is_sent_and_read() {
    let server = ScriptedProvider::start(gemini::polite(&[FLASH], gemini::chat(&["A ", "cat."], 26, 3))).await;
    for (url, model) in [
        (server.url(), FLASH),
        (format!("{}/v1beta", server.url()), FLASH),
        (format!("{}/v1beta/", server.url()), "models/gemini-2.5-flash"),
    ] {
        let stream = provider(Kind::Gemini, &url).chat(request(model)).await.expect("an answer begins");
        let ending = drained(stream).await.ending();
        assert_eq!((ending.usage.prompt, ending.usage.completion), (Some(26), Some(3)));
        assert_eq!((ending.finish, ending.complete), (Finish::Stop, true));
        assert_eq!(ending.served_model.as_deref(), Some(FLASH));
        assert_eq!((ending.service_tier.as_deref(), ending.provider_request_id.as_deref()), (None, Some("resp_1")));
    }
    let hit = &server.hits()[0];
    assert_eq!(credentials(hit), [("x-goog-api-key", KEY)]);
    assert!(!hit.path.contains("key="), "{}", hit.path);
    let data = json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}});
    let contents = json!([{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "Hello"}]},
        {"role": "user", "parts": [data, {"text": "what is this?"}]}]);
    assert_eq!(hit.json(), json!({"systemInstruction": {"parts": [{"text": "be brief"}]}, "contents": contents}));
}

#[tokio::test]
async fn another_version_in_geminis_url_stays_and_its_tier_is_in_a_header() {
    let tiered = gemini::chat(&["A"], 26, 3).header("x-gemini-service-tier", "priority");
    let server = ScriptedProvider::always(tiered).await;
    let stream = provider(Kind::Gemini, &format!("{}/v1", server.url())).chat(request(FLASH)).await;
    let ending = drained(stream.expect("an answer begins")).await.ending();
    assert_eq!(ending.service_tier.as_deref(), Some("priority"));
    assert_eq!(server.hits()[0].path, "/v1/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    let odd = provider(Kind::Gemini, &format!("{}?region=eu", server.url()));
    drained(odd.chat(request("../ñ?key=x")).await.expect("an answer begins")).await;
    let path = "/v1beta/models/..%2F%C3%B1%3Fkey%3Dx:streamGenerateContent?alt=sse&region=eu";
    assert_eq!(server.hits()[1].path, path);
}

#[tokio::test]
async fn geminis_stream_may_be_one_list() {
    let usage = json!({"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11});
    let chunks = gemini::chat_chunks(&["A ", "cat."], &usage);
    let list = Value::Array(chunks).to_string();
    let server = ScriptedProvider::always(Reply::stream("application/json", list.as_bytes().chunks(7))).await;
    let stream = provider(Kind::Gemini, &server.url()).chat(request(FLASH)).await.expect("an answer begins");
    let ending = drained(stream).await.ending();
    assert_eq!((ending.usage.prompt, ending.usage.completion, ending.complete), (Some(9), Some(2), true));
}

#[tokio::test]
async fn their_models_are_listed_and_they_are_probed() {
    let server = ScriptedProvider::start(anthropic::polite(&[CLAUDE, "claude-x"], Reply::silence())).await;
    let claude = provider(Kind::Anthropic, &server.url());
    claude.probe().await.expect("it is there");
    let models = claude.list_models().await.expect("a list");
    assert_eq!(models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), [CLAUDE, "claude-x"]);
    assert!(models.iter().all(|model| model.chats && !model.local));
    let server = ScriptedProvider::start(gemini::polite(&[FLASH], Reply::silence())).await;
    let flash = provider(Kind::Gemini, &format!("{}/v1beta", server.url()));
    flash.probe().await.expect("it is there");
    let models = flash.list_models().await.expect("a list");
    assert_eq!((models[0].name.as_str(), models[0].context_tokens), (FLASH, Some(1_048_576)));
    assert!(!flash.is_local(FLASH) && !claude.is_local(CLAUDE));

    let reason = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
    let bad_key = gemini::error(400, "INVALID_ARGUMENT", "API key not valid. SECRET", reason);
    let locked = ScriptedProvider::always(bad_key).await;
    let error = provider(Kind::Gemini, &locked.url()).probe().await.expect_err("locked");
    assert_eq!(error.failure, Failure::http(ErrorKind::Unauthorized, 400));
}

#[tokio::test]
async fn their_errors_say_what_may_be_done() {
    let limited = anthropic::error(429, "rate_limit_error", "SECRET")
        .header("retry-after", "7")
        .header("date", "Sun, 22 Nov 2026 14:00:00 GMT")
        .header("anthropic-ratelimit-requests-limit", "50")
        .header("anthropic-ratelimit-requests-remaining", "0")
        .header("anthropic-ratelimit-requests-reset", "2026-11-22T14:00:09Z");
    let error = refusal(Kind::Anthropic, limited).await;
    assert_eq!(error.failure, Failure::http(ErrorKind::RateLimited, 429));
    assert_eq!(error.retry, Retry::After(Some(Duration::from_secs(7))));
    assert_eq!(error.observed.requests.resets_in, Some(Duration::from_secs(9)));
    assert_eq!(error.provider_request_id.as_deref(), Some("req_1"));
    let overloaded = refusal(Kind::Anthropic, anthropic::error(529, "overloaded_error", "Overloaded")).await;
    assert_eq!((overloaded.failure.kind, overloaded.retry), (ErrorKind::Overloaded, Retry::After(None)));

    let wait = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"});
    let violations = json!([{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]);
    let minute = gemini::error(429, "RESOURCE_EXHAUSTED", "SECRET", json!([wait]));
    let error = refusal(Kind::Gemini, minute).await;
    assert_eq!(
        (error.failure.kind, error.retry),
        (ErrorKind::RateLimited, Retry::After(Some(Duration::from_secs(37))))
    );
    let day = gemini::error(429, "RESOURCE_EXHAUSTED", "SECRET", json!([{"violations": violations}, wait]));
    assert_eq!(refusal(Kind::Gemini, day).await.retry, Retry::No);
}

#[test]
fn a_provider_puts_its_own_key_in_the_place_of_every_other() {
    let names = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
    let foreign = || {
        let pairs = names.map(|name| (http::HeaderName::from_static(name), http::HeaderValue::from_static("theirs")));
        let mut headers: HeaderMap = pairs.into_iter().collect();
        headers.append("x-api-key", http::HeaderValue::from_static("theirs too"));
        headers.insert("anthropic-version", http::HeaderValue::from_static("2024-01-01"));
        headers
    };
    for (kind, name, value) in [
        (Kind::Anthropic, "x-api-key", KEY.to_owned()),
        (Kind::Gemini, "x-goog-api-key", KEY.to_owned()),
        (Kind::OpenAi, "authorization", format!("Bearer {KEY}")),
        (Kind::Ollama, "authorization", format!("Bearer {KEY}")),
    ] {
        let mut headers = foreign();
        assert!(provider(kind, "http://127.0.0.1:1").authorize(&mut headers));
        assert_eq!(headers.len(), 2, "{kind:?}: {headers:?}");
        assert_eq!(headers[name], value.as_str());
        assert!(headers[name].is_sensitive() && headers["anthropic-version"] == "2024-01-01");
        let keyless = ProviderSpec::new("p", kind, "http://127.0.0.1:1", "m");
        let unfit = ProviderSpec { api_key: Some(SecretString::from("a\nb")), ..keyless.clone() };
        for spec in [keyless, unfit] {
            let mut headers = foreign();
            assert!(!Provider::new(spec, Transport::new()).authorize(&mut headers));
            assert_eq!(headers.len(), 1, "nobody else's key goes on: {headers:?}");
        }
    }
}

/// One question to the built program; the record it leaves.
async fn asked(kind: &str, model: &str, server: &ScriptedProvider) -> Value {
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"cloud\"\nkind = \"{kind}\"\nurl = \"{}\"\nmodel = \"{model}\"\n\
         api_key_env = \"KEY\"\nlocal = false\n",
        server.url()
    );
    let home = Home::new(&config).with_env("KEY", KEY);
    let (home, ended) = tokio::task::spawn_blocking(move || {
        let ended = home.run(&["chat"], "what is this?\n");
        (home, ended)
    })
    .await
    .expect("it ends");
    assert!(ended.out.contains("A cat."), "{ended:?}");
    let mut records = home.records();
    assert_eq!(records.len(), 1, "{records:?}");
    records.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_answers_through_the_built_program_and_is_priced() {
    let first = json!({"input_tokens": 24, "cache_creation_input_tokens": 5000, "cache_read_input_tokens": 1000,
        "cache_creation": {"ephemeral_5m_input_tokens": 4000, "ephemeral_1h_input_tokens": 1000},
        "output_tokens": 1, "service_tier": "standard"});
    let last = json!({"output_tokens": 200, "output_tokens_details": {"thinking_tokens": 150}});
    let chat = anthropic::chat_using(&["A ", "cat."], first, last);
    let server = ScriptedProvider::start(anthropic::polite(&[CLAUDE], chat)).await;
    let record = asked("anthropic", CLAUDE, &server).await;
    let counts = ["prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens"];
    assert_eq!(counts.map(|name| record[name].as_u64()), [Some(6024), Some(200), Some(1000), Some(4000)]);
    assert_eq!(
        (record["cache_write_1h_tokens"].as_u64(), record["reasoning_tokens"].as_u64()),
        (Some(1000), Some(150))
    );
    assert_eq!((record["api_type"].as_str(), record.get("usage_source")), (Some("anthropic"), None));
    let price_id = record["price_id"].as_str().expect("a price");
    assert!(price_id.contains("anthropic") && price_id.contains(CLAUDE), "{price_id}");
    // 24 × $1 + 1000 × $0.10 + 4000 × $1.25 + 1000 × $2 + 200 × $5, each per million.
    assert_eq!(record["cost_usd"].as_str(), Some("0.008124"), "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gemini_answers_through_the_built_program_and_is_priced() {
    let usage = json!({"promptTokenCount": 2000, "cachedContentTokenCount": 1000, "toolUsePromptTokenCount": 100,
        "candidatesTokenCount": 50, "thoughtsTokenCount": 150, "totalTokenCount": 2300});
    let server = ScriptedProvider::start(gemini::polite(&[FLASH], gemini::chat_using(&["A ", "cat."], &usage))).await;
    let record = asked("gemini", FLASH, &server).await;
    let counts = ["prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"];
    assert_eq!(counts.map(|name| record[name].as_u64()), [Some(2100), Some(200), Some(1000), Some(150)]);
    assert_eq!((record["api_type"].as_str(), record.get("usage_source")), (Some("gemini"), None));
    let price_id = record["price_id"].as_str().expect("a price");
    assert!(price_id.contains("google") && price_id.contains(FLASH), "{price_id}");
    // 1100 × $0.30 + 1000 × $0.03 + 200 × $2.50, each per million.
    assert_eq!(record["cost_usd"].as_str(), Some("0.00086"), "{record}");
}
