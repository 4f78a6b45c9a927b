//! What requests of every API ask, what is refused, and that a splice changes exactly what it says.

use std::fmt::Write;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

use super::*;
use crate::usage::{TOKENS_PER_MESSAGE, TokenEstimator, estimate_tokens};

fn asked(path: &str, body: &str) -> Result<Asked, MalformedRequest> {
    let kind = if path.starts_with("/api/") { Kind::Ollama } else { Kind::OpenAi };
    let endpoint = Endpoint::of(kind, &http::Method::POST, path);
    read_request(endpoint, kind, path, None, body.as_bytes())
}

fn read(path: &str, body: &str) -> Asked {
    asked(path, body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

const CHAT: &str = "/v1/chat/completions";
const TEXT: &str = "The quick brown fox jumps over the lazy dog.";

#[test]
fn a_chat_says_its_model_its_form_and_its_limit() {
    let body = format!(
        r#"{{"model":"gpt-4o","stream":true,"stream_options":{{"include_usage":true}},"max_tokens":100,"max_completion_tokens":300,"n":2,
        "messages":[{{"content":"{TEXT}","role":"system"}},{{"role":"user","content":[{{"type":"text","text":"{TEXT}"}},
        {{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]}}]}}"#,
        "A".repeat(10_000)
    );
    let tokens = estimate_tokens(TEXT);
    let expected = Asked {
        model: Some("gpt-4o".to_owned()),
        other_models: Vec::new(),
        service_tier: None,
        stream: true,
        output_cap: Some(600),
        answers: 2,
        prompt_tokens: 2 * (tokens + TOKENS_PER_MESSAGE) + Kind::OpenAi.image_tokens(),
        system_tokens: Some(tokens),
        has_pictures: true,
        usage_asked: true,
    };
    assert_eq!(read(CHAT, &body), expected);
}

#[test]
fn each_api_has_its_own_defaults() {
    let stream = |path: &str, body: &str| read(path, body).stream;
    assert!(stream("/api/chat", "{}") && stream("/api/generate", r#"{"stream":null}"#));
    assert!(!stream("/api/chat", r#"{"stream":false}"#) && !stream("/api/embed", "{}") && !stream(CHAT, "{}"));
    assert!(stream("/v1beta/models/m:streamGenerateContent", "{}"));
    assert!(!stream("/v1beta/models/m:generateContent", r#"{"stream":true}"#));
    assert!(stream("/v1/messages", r#"{"stream":true}"#));
    let usage_asked = |path: &str, body: &str| read(path, body).usage_asked;
    assert!(!usage_asked(CHAT, r#"{"stream":true}"#) && !usage_asked("/v1/completions", r#"{"stream":true}"#));
    assert!(usage_asked(CHAT, "{}") && usage_asked("/v1/responses", r#"{"stream":true}"#));
    let model = |path: &str, body: &str| read(path, body).model;
    assert_eq!(model("/v1beta/models/gemini-3:generateContent", r#"{"model":"x"}"#).as_deref(), Some("gemini-3"));
    assert_eq!((model(CHAT, "{}"), model(CHAT, r#"{"model":null}"#)), (None, None));
    assert_eq!(model(CHAT, r#"{"mod\u0065l":"gpt\u002d4o \ud83d\ude00"}"#).as_deref(), Some("gpt-4o 😀"));
}

#[test]
fn the_limit_is_the_highest_times_the_answers() {
    let cap = |path: &str, body: &str| read(path, body).output_cap;
    assert_eq!(cap(CHAT, "{}"), None);
    assert_eq!(cap(CHAT, r#"{"max_tokens":null}"#), None);
    assert_eq!(cap(CHAT, r#"{"max_tokens":10.0,"n":0}"#), Some(10));
    assert_eq!(cap("/v1/completions", r#"{"max_tokens":10,"n":2,"best_of":5}"#), Some(50));
    for (prompt, prompts) in [("\"a\"", 1), ("[\"a\",\"b\",\"\"]", 3), ("[1,2]", 1), ("[[1,2],[3]]", 2), ("[]", 1)] {
        let asked = read("/v1/completions", &format!(r#"{{"prompt":{prompt},"max_tokens":10,"n":2}}"#));
        assert_eq!((asked.output_cap, asked.answers), (Some(20 * prompts), 2 * prompts), "{prompt}");
    }
    assert_eq!(cap("/v1/responses", r#"{"max_output_tokens":16}"#), Some(16));
    assert_eq!(cap("/api/chat", r#"{"options":{"num_predict":7,"n":3}}"#), Some(7));
    assert_eq!(cap("/api/chat", r#"{"options":{"num_predict":-1}}"#), None);
    let gemini = "/v1beta/models/m:generateContent";
    assert_eq!(cap(gemini, r#"{"generationConfig":{"maxOutputTokens":9,"candidateCount":2}}"#), Some(18));
    assert_eq!(cap(gemini, r#"{"generation_config":{"max_output_tokens":9}}"#), Some(9));
    assert_eq!(cap(CHAT, r#"{"max_tokens":1099511627776,"n":1099511627776}"#), Some(u64::MAX));
    assert_eq!(cap(CHAT, r#"{"max_tokens":99999999999999999999}"#), None);
    assert_eq!(cap("/api/chat", r#"{"options":{"num_predict":0}}"#), None);
    assert_eq!(read(CHAT, r#"{"n":7}"#).answers, 7);
    assert_eq!(read("/v1/responses", r#"{"n":7}"#).answers, 1);
}

#[test]
fn a_limit_that_an_api_passes_over_limits_nothing() {
    let cap = |path: &str, body: &str| read(path, body).output_cap;
    let all = r#"{"max_tokens":1,"max_completion_tokens":2,"max_output_tokens":3,"options":{"num_predict":4},
        "generationConfig":{"maxOutputTokens":5},"generation_config":{"max_output_tokens":5}}"#;
    let (api, gemini) = ("/v1/chat/completions", "/v1beta/models/m:generateContent");
    let caps = [api, "/v1/completions", "/v1/responses", "/v1/messages", "/api/chat", "/api/generate", gemini];
    assert_eq!(caps.map(|path| cap(path, all)), [2, 1, 3, 1, 4, 4, 5].map(Some));
    assert_eq!(cap("/v1beta/interactions", all), Some(5));
    assert_eq!(cap("/v1/embeddings", all), None);
    let of_ollama = |path, body: &str| {
        let endpoint = Endpoint::of(Kind::Ollama, &http::Method::POST, path);
        let asked = read_request(endpoint, Kind::Ollama, path, None, body.as_bytes()).expect("a request");
        (asked.output_cap, asked.answers)
    };
    assert_eq!(of_ollama(api, r#"{"max_completion_tokens":1,"n":3}"#), (None, 1));
    assert_eq!(of_ollama(api, r#"{"max_completion_tokens":9,"max_tokens":1,"n":3}"#), (Some(1), 1));
}

#[test]
fn the_tier_is_the_one_that_the_api_heeds() {
    let tier = |path: &str, body: &str| read(path, body).service_tier;
    let both = r#"{"speed":"fast","service_tier":"priority"}"#;
    let asked = [CHAT, "/v1/responses", "/v1/messages"].map(|path| tier(path, both));
    assert_eq!(asked.each_ref().map(Option::as_deref), [Some("priority"), Some("priority"), Some("fast")]);
    let gemini = tier("/v1beta/models/m:generateContent", r#"{"serviceTier":"flex"}"#);
    assert_eq!(gemini.as_deref(), Some("flex"));
    for body in ["{}", r#"{"service_tier":null}"#, r#"{"service_tier":["priority"]}"#, r#"{"speed":1.5}"#] {
        assert_eq!(tier(CHAT, body), None, "{body}");
        assert_eq!(tier("/v1/messages", body), None, "{body}");
    }
}

#[test]
fn azures_path_names_the_model_whatever_the_body_says() {
    let asked = |body: &str| {
        let asked = read("/openai/deployments/big/chat/completions", body);
        (asked.model, asked.other_models)
    };
    let big = || Some("big".to_owned());
    assert_eq!(asked("{}"), (big(), vec![]));
    assert_eq!(asked(r#"{"model":"gpt-4o"}"#), (big(), vec!["gpt-4o".to_owned()]));
}

#[test]
fn the_prompt_is_weighed_where_each_api_has_it() {
    let tokens = estimate_tokens(TEXT);
    let weigh = |path: &str, body: &str| read(path, &body.replace("TEXT", TEXT)).prompt_tokens;
    assert_eq!(weigh("/v1/completions", r#"{"prompt":"TEXT"}"#), tokens);
    assert_eq!(weigh("/v1/completions", r#"{"prompt":[1,2,3,[4,5]]}"#), 5);
    assert_eq!(weigh("/v1/embeddings", r#"{"input":[[1,2],[3]]}"#), 3);
    assert_eq!(weigh("/v1/embeddings", r#"{"input":"TEXT","user":"TEXT"}"#), tokens);
    assert_eq!(weigh("/api/embed", r#"{"input":["TEXT"]}"#), tokens);
    assert_eq!(weigh("/api/generate", r#"{"prompt":"TEXT","context":[1,2,3]}"#), tokens);
    assert_eq!(weigh("/v1/responses", r#"{"input":"TEXT"}"#), tokens);
    let interactions = "/v1beta/interactions";
    assert_eq!(weigh(interactions, r#"{"input":"TEXT"}"#), tokens);
    assert_eq!(weigh(interactions, r#"{"input":[{"type":"text","text":"TEXT"}]}"#), tokens + TOKENS_PER_MESSAGE);
    let steps = r#"{"input":[{"type":"user_input","content":[{"type":"text","text":"TEXT"}]}]}"#;
    assert_eq!(weigh(interactions, steps), tokens + TOKENS_PER_MESSAGE);
    assert_eq!(weigh("/v1/responses", r#"{"input":[{"role":"user","content":"TEXT"}]}"#), tokens + TOKENS_PER_MESSAGE);
    assert_eq!(weigh("/v1/responses", r#"{"instructions":"TEXT","input":""}"#), tokens + TOKENS_PER_MESSAGE);
    let gemini = "/v1beta/models/m:generateContent";
    assert_eq!(
        weigh(gemini, r#"{"contents":[{"role":"user","parts":[{"text":"TEXT"}]}]}"#),
        tokens + TOKENS_PER_MESSAGE
    );
    assert_eq!(weigh(gemini, r#"{"contents":{"parts":{"text":"TEXT"}}}"#), tokens + TOKENS_PER_MESSAGE);
    assert_eq!(
        weigh("/v1beta/models/m:batchEmbedContents", r#"{"requests":[{"content":{"parts":[{"text":"TEXT"}]}}]}"#),
        tokens
    );
    let claude = r#"{"system":[{"type":"text","text":"TEXT","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"TEXT"}]}]}]}"#;
    assert_eq!(weigh("/v1/messages", claude), 2 * (tokens + TOKENS_PER_MESSAGE));
    let tools =
        weigh(CHAT, r#"{"messages":[],"tools":[{"type":"function","function":{"name":"f","description":"TEXT"}}]}"#);
    assert!((tokens..tokens + 12).contains(&tools), "{tools}");
}

#[test]
fn a_model_that_stands_behind_its_messages_weighs_them_as_one_before_them() {
    let messages =
        format!(r#""messages":[{{"role":"system","content":"{TEXT}"}},{{"role":"user","content":"{TEXT}"}}]"#);
    for model in ["gpt-4o", "claude-opus-4-8"] {
        let before = read(CHAT, &format!(r#"{{"model":"{model}",{messages}}}"#));
        assert_eq!(read(CHAT, &format!(r#"{{{messages},"model":"{model}"}}"#)), before);
        let mut text = TokenEstimator::for_model(model);
        text.push(TEXT);
        let message = text.tokens() + TOKENS_PER_MESSAGE;
        assert_eq!((before.prompt_tokens, before.system_tokens), (2 * message, Some(text.tokens())), "{model}");
    }
}

#[test]
fn pictures_are_counted_and_base64_is_never_weighed() {
    let data = "iVBORw0KGgo".repeat(2000);
    let bodies = [
        (CHAT, r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,DATA"}}]}]}"#),
        (
            "/v1/responses",
            r#"{"input":[{"content":[{"type":"input_image","image_url":"data:image/png;base64,DATA"}]}]}"#,
        ),
        (
            "/v1/messages",
            r#"{"messages":[{"content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"DATA"}}]}]}"#,
        ),
        (
            "/v1/messages",
            r#"{"messages":[{"content":[{"type":"tool_result","content":[{"type":"image","source":{"data":"DATA"}}]}]}]}"#,
        ),
        (
            "/v1beta/models/m:generateContent",
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"DATA"}}]}]}"#,
        ),
        (
            "/v1beta/models/m:generateContent",
            r#"{"contents":[{"parts":[{"inline_data":{"mime_type":"image/png","data":"DATA"}}]}]}"#,
        ),
        ("/api/chat", r#"{"messages":[{"content":"","images":["DATA"]}]}"#),
    ];
    for (path, body) in bodies {
        let asked = read(path, &body.replace("DATA", &data));
        let kind = if path == "/api/chat" { Kind::Ollama } else { Kind::OpenAi };
        assert_eq!(
            (asked.has_pictures, asked.prompt_tokens),
            (true, TOKENS_PER_MESSAGE + kind.image_tokens()),
            "{body}"
        );
    }
    let sound = r#"{"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"DATA","format":"wav"}}]}]}"#;
    let asked = read(CHAT, &sound.replace("DATA", &data));
    assert_eq!((asked.has_pictures, asked.prompt_tokens), (false, TOKENS_PER_MESSAGE + Kind::OpenAi.image_tokens()));
}

#[test]
fn what_servers_could_read_otherwise_is_refused() {
    use MalformedRequest::*;
    let refused = |body: &str| asked(CHAT, body).expect_err(body);
    for body in [
        "",
        "null",
        "[]",
        "7",
        "\"{}\"",
        "{\"model\":\"m\"",
        "{} {}",
        "{,}",
        "[{\"model\":\"m\"}]",
        "\u{feff}{}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"model\":\"m\"}}",
        "{\"model\":\"m\",}",
        "{\"model\":\"m\n\"}",
        "{\"model\":\"\\q\"}",
        "{\"model\":\"\\u00g0\"}",
        "{\"mo\\del\":\"m\"}",
        "{\"a\":\"\\q\"}",
        "{\"a\":[1,]}",
        "{\"n\":1.}",
        "{\"n\":.5}",
        "{\"n\":-}",
        "{\"n\":1e}",
        "{\"n\":True}",
    ] {
        assert_eq!(refused(body), NotAnObject, "{body}");
    }
    assert_eq!(refused(r#"{"model":"a","model":"b"}"#), Twice { key: "model" });
    assert_eq!(refused(r#"{"model":"a","mod\u0065l":"b"}"#), Twice { key: "model" });
    assert_eq!(refused(r#"{"stream":false,"stream":true}"#), Twice { key: "stream" });
    assert_eq!(refused(r#"{"options":{"num_predict":1},"options":{}}"#), Twice { key: "options" });
    assert_eq!(
        refused(r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#),
        Twice { key: "stream_options.include_usage" }
    );
    for key in ["Model", "MODEL"] {
        assert_eq!(refused(&format!("{{\"{key}\":\"a\"}}")), OtherCase { key: "model" });
    }
    assert_eq!(refused("{\"\u{17f}tream\":true}"), OtherCase { key: "stream" });
    assert_eq!(refused(r#"{"options":{"Num_Predict":1}}"#), OtherCase { key: "options.num_predict" });
    for (body, name) in [
        (r#"{"model":["a"]}"#, "model"),
        (r#"{"model":{}}"#, "model"),
        (r#"{"stream":"true"}"#, "stream"),
        (r#"{"stream":1}"#, "stream"),
        (r#"{"stream_options":[]}"#, "stream_options"),
        (r#"{"stream_options":[{"include_usage":true}]}"#, "stream_options"),
        (r#"{"max_tokens":"10"}"#, "max_tokens"),
        (r#"{"max_tokens":1e3}"#, "max_tokens"),
        (r#"{"n":1.5}"#, "n"),
    ] {
        assert!(matches!(refused(body), WrongType { key, .. } if key == name), "{body}");
    }
    let error = refused(r#"{"stream":"secret"}"#).to_string();
    assert_eq!(error, "`stream` in the body is not true or false");
}

#[test]
fn a_query_that_hides_the_usage_is_refused() {
    let path = "/v1beta/models/m:streamGenerateContent";
    let asked = |query| read_request(Endpoint::StreamGenerateContent, Kind::Gemini, path, Some(query), b"{}");
    for query in ["", "alt=sse", "key=k&alt=SSE", "$alt=json", "prettyPrint=false"] {
        assert!(asked(query).is_ok(), "{query}");
    }
    for query in ["alt=proto", "alt=sse&%24alt=proto", "al%74=media", "fields=candidates", "key=k&$fields=*"] {
        assert!(matches!(asked(query), Err(MalformedRequest::HidesUsage { .. })), "{query}");
    }
    let chat = read_request(Endpoint::ChatCompletions, Kind::OpenAi, CHAT, Some("fields=x"), b"{}");
    assert!(chat.is_ok(), "only Google's APIs know these");
}

#[test]
fn bombs_are_refused_and_overflow_nothing() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"messages\":", "}"), ("[{\"content\":", "}]")] {
        let inner = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        for key in ["x", "messages", "tools", "model"] {
            let body = format!("{{\"{key}\":{inner}}}");
            assert_eq!(asked(CHAT, &body), Err(MalformedRequest::TooDeep), "{open} in {key}");
            assert_eq!(with_usage_asked(Endpoint::ChatCompletions, body.as_bytes()), None);
        }
    }
    let long = format!("{{\"{}\":1,\"model\":\"{}\"}}", "k".repeat(1 << 20), "m".repeat(1 << 20));
    assert_eq!(read(CHAT, &long).model.map(|model| model.len()), Some(1 << 20));
}

#[test]
fn usage_is_asked_for_by_the_smallest_splice() {
    let with = |body: &str| {
        let spliced = with_usage_asked(Endpoint::ChatCompletions, body.as_bytes());
        spliced.map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
    };
    let flag = r#""include_usage":true"#;
    for (before, after) in [
        (r#"{"stream":true}"#, format!(r#"{{"stream_options":{{{flag}}},"stream":true}}"#)),
        (" { \"stream\" : true } ", format!(" {{\"stream_options\":{{{flag}}}, \"stream\" : true }} ")),
        (r#"{"stream":true,"stream_options":null}"#, format!(r#"{{"stream":true,"stream_options":{{{flag}}}}}"#)),
        (r#"{"stream_options":{},"stream":true}"#, format!(r#"{{"stream_options":{{{flag}}},"stream":true}}"#)),
        (r#"{"stream_options": { } ,"stream":true}"#, format!(r#"{{"stream_options": {{{flag} }} ,"stream":true}}"#)),
        (
            r#"{"stream":true,"stream_options":{"include_obfuscation":false}}"#,
            format!(r#"{{"stream":true,"stream_options":{{{flag},"include_obfuscation":false}}}}"#),
        ),
        (
            r#"{"stream":true,"stream\u005foptions":{"x":[{}],"include_usage": false }}"#,
            r#"{"stream":true,"stream\u005foptions":{"x":[{}],"include_usage": true }}"#.to_owned(),
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":null}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#.to_owned(),
        ),
    ] {
        assert_eq!(with(before), Some(after), "{before}");
    }
    for body in [
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream":false}"#,
        "{}",
        "{",
        r#"{"stream":true,"stream":true}"#,
    ] {
        assert_eq!(with(body), None, "{body}");
    }
    for endpoint in Endpoint::ALL {
        let needs = matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
        assert_eq!(with_usage_asked(endpoint, br#"{"stream":true}"#).is_some(), needs, "{endpoint:?}");
    }
}

/// Any JSON without floats, which are not read back as they were.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"\\\\]{0,5}x", inner, 0..4)
                .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Writes JSON with white space, and every `every`-th letter of a text as an escape.
fn written(value: &Value, space: &str, every: usize) -> String {
    let text = |text: &str| {
        let mut json = String::from("\"");
        for (index, letter) in text.chars().enumerate() {
            if index % every == every - 1 || letter < ' ' || matches!(letter, '"' | '\\') {
                let units = letter.encode_utf16(&mut [0; 2]).iter().fold(String::new(), |mut all, unit| {
                    write!(all, "\\u{unit:04X}").expect("memory");
                    all
                });
                json.push_str(&units);
            } else {
                json.push(letter);
            }
        }
        json + "\""
    };
    let list = |parts: Vec<String>| parts.join(&format!("{space},{space}"));
    match value {
        Value::String(string) => text(string),
        Value::Array(values) => {
            format!("[{space}{}{space}]", list(values.iter().map(|v| written(v, space, every)).collect()))
        }
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                format!("{}{space}:{space}{}", text(key), written(value, space, every))
            };
            format!("{{{space}{}{space}}}", list(map.iter().map(entry).collect()))
        }
        scalar => scalar.to_string(),
    }
}

/// The bytes that both begin and end with.
fn is_one_splice(before: &[u8], after: &[u8], most: usize) -> bool {
    let same = |pair: &(&u8, &u8)| pair.0 == pair.1;
    let head = before.iter().zip(after).take_while(same).count();
    let tail = before.iter().rev().zip(after.iter().rev()).take_while(same).count();
    before.len().max(after.len()).saturating_sub(head + tail) <= most
}

proptest! {
    #[test]
    fn asking_for_usage_changes_exactly_that(
        mut rest in prop::collection::btree_map("[a-zé]{0,6}y", any_value(), 0..4),
        options in prop_oneof![
            Just(None),
            Just(Some(Value::Null)),
            prop::collection::btree_map("[a-z]{0,4}z", any_value(), 0..3).prop_map(|map| Some(json!(map))),
        ],
        flag in prop_oneof![Just(None), Just(Some(Value::Null)), Just(Some(json!(false)))],
        space in "[ \n\t]{0,2}",
        every in 1..9usize,
    ) {
        rest.insert("stream".to_owned(), json!(true));
        if let Some(mut options) = options {
            if let (Value::Object(map), Some(flag)) = (&mut options, flag) {
                map.insert("include_usage".to_owned(), flag);
            }
            rest.insert("stream_options".to_owned(), options);
        }
        let value = json!(rest);
        let body = written(&value, &space, every);
        prop_assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON"), value.clone());
        let spliced = with_usage_asked(Endpoint::ChatCompletions, body.as_bytes()).expect("something to change");
        let mut expected = value;
        if !expected["stream_options"].is_object() {
            expected["stream_options"] = json!({});
        }
        expected["stream_options"]["include_usage"] = json!(true);
        prop_assert_eq!(serde_json::from_slice::<Value>(&spliced).expect("JSON"), expected);
        prop_assert!(is_one_splice(body.as_bytes(), &spliced, 40));
        prop_assert_eq!(with_usage_asked(Endpoint::ChatCompletions, &spliced), None);
    }

    #[test]
    fn another_model_changes_exactly_that(
        mut rest in prop::collection::btree_map("[a-z]{0,6}y", any_value(), 0..4),
        old in "\\PC{0,12}", new in "\\PC{0,12}", space in "[ \n\t]{0,2}", every in 1..9usize,
    ) {
        rest.insert("model".to_owned(), json!(old));
        let mut value = json!(rest);
        let body = written(&value, &space, every);
        prop_assert_eq!(asked(CHAT, &body).expect("a request").model, Some(old));
        let spliced = with_model(body.as_bytes(), &new).expect("a model");
        value["model"] = json!(new);
        prop_assert_eq!(serde_json::from_slice::<Value>(&spliced).expect("JSON"), value);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text in "[{}\\[\\]\",:a\\\\ntrue0-9 ]{0,60}") {
        for endpoint in Endpoint::ALL {
            for body in [bytes.as_slice(), text.as_bytes()] {
                let read = read_request(endpoint, Kind::OpenAi, "/v1/models/m:generateContent", None, body);
                let is_object = serde_json::from_slice::<Map<String, Value>>(body).is_ok();
                prop_assert!(is_object || read.is_err());
                with_usage_asked(endpoint, body);
                with_model(body, "m");
            }
        }
    }

    /// What is read once is refused exactly when another reader of JSON refuses it.
    #[test]
    fn damaged_bodies_are_refused_when_they_are_not_json(
        at: Index, gone in 0..3usize, new in "[{}\\[\\]\",:a\\\\ntrue0-9. +\\-\u{1}\t\u{e9}]{0,3}", space in "[ \n]?", every in 1..9usize,
    ) {
        let value = json!({
            "model": "m", "temperature": 0.25, "stop": ["a", -1, null], "n": 1, "metadata": {"a": {"b": []}}, "stream": true,
            "messages": [{"role": "user", "content": "a \"b\" \\ é\n", "name": "\t"}, {"content": [{"type": "text", "text": "b"}]}],
            "tools": [{"function": {"name": "f", "parameters": {"x": [0, 10, {"y": false}]}}}],
        });
        let mut body = written(&value, &space, every);
        let from = body.floor_char_boundary(at.index(body.len() + 1));
        let to = body.ceil_char_boundary((from + gone).min(body.len()));
        body.replace_range(from..to, &new);
        let is_object = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok() && body.trim_ascii_start().starts_with('{');
        prop_assert_eq!(asked(CHAT, &body) != Err(MalformedRequest::NotAnObject), is_object, "{}", body);
    }
}
