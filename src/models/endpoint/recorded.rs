//! Scripted answers of every API, and what the reader must learn of them: however they are cut, framed and damaged.

use proptest::prelude::*;
use proptest::sample::Index;

use super::wire::{self, Scripted};
use super::*;
use crate::models::{Finish, Learned};
use crate::usage::{ErrorKind, UsageSource, estimate_tokens};

#[derive(Debug, PartialEq)]
struct Read {
    learned: Learned,
    failed: Option<ErrorKind>,
    output_tokens: u64,
}

fn kind_of(path: &str) -> Kind {
    match path {
        _ if path.starts_with("/api/") => Kind::Ollama,
        _ if path.contains("models/") => Kind::Gemini,
        "/v1/messages" => Kind::Anthropic,
        _ => Kind::OpenAi,
    }
}

fn endpoint_of(path: &str) -> Endpoint {
    Endpoint::of(kind_of(path), &http::Method::POST, path)
}

fn read(path: &str, pieces: &[&[u8]]) -> Read {
    let mut reader = UsageReader::new(endpoint_of(path), "m");
    for piece in pieces {
        reader.push(piece);
    }
    reader.finish();
    Read { learned: reader.learned().clone(), failed: reader.failed(), output_tokens: reader.output_tokens() }
}

/// Reads an answer in every division there is, and holds them to be the same.
fn read_every_way(path: &str, body: &[u8]) -> Read {
    let whole = read(path, &[body]);
    for cut in 0..=body.len() {
        let (head, tail) = body.split_at(cut);
        assert_eq!(read(path, &[head, tail]), whole, "cut at byte {cut}");
    }
    assert_eq!(read(path, &body.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    whole
}

fn check(scripted: &Scripted, read: &Read) {
    let name = scripted.name;
    let usage = read.learned.usage;
    assert_eq!((usage.prompt, usage.completion), scripted.tokens, "{name}");
    assert_eq!((usage.cached, usage.cache_write, usage.reasoning), scripted.slices, "{name}");
    assert_eq!(read.learned.served_model.as_deref(), scripted.model, "{name}");
    assert_eq!(read.learned.complete, scripted.complete, "{name}");
    assert_eq!(read.failed, scripted.error.then_some(ErrorKind::StreamError), "{name}");
}

/// The same events with comments, and with a byte order mark.
fn dressed(body: &str) -> Vec<String> {
    let mut all = vec![format!("\u{feff}\n{body}")];
    if body.starts_with("data") || body.starts_with("event") {
        let commented = body.replace("\n\n", "\n\n: ping\n\nid: 3\nretry: 10\n\n");
        all.push(commented.replace("data: ", "data:"));
        all.push(commented);
    }
    all
}

#[test]
fn every_answer_is_read_however_it_is_cut_and_dressed() {
    for scripted in wire::ALL {
        let whole = read_every_way(scripted.path, scripted.body.as_bytes());
        check(scripted, &whole);
        let crlf = scripted.body.replace('\n', "\r\n");
        assert_eq!(read_every_way(scripted.path, crlf.as_bytes()), whole, "{} with CRLF", scripted.name);
        for body in dressed(scripted.body) {
            for size in [1, 7, body.len()] {
                let pieces: Vec<_> = body.as_bytes().chunks(size).collect();
                assert_eq!(read(scripted.path, &pieces), whole, "{} dressed: {body}", scripted.name);
            }
        }
    }
}

#[test]
fn an_answer_cut_off_anywhere_is_no_defect_and_never_wrong() {
    for scripted in wire::ALL {
        let begun = scripted.body.find('{').expect("JSON") + 1;
        for end in begun..scripted.body.len() {
            let cut = read(scripted.path, &[&scripted.body.as_bytes()[..end]]);
            assert_ne!(cut.failed, Some(ErrorKind::BadResponse), "{} cut at {end}", scripted.name);
            let (_, source) = cut.learned.usage.counts(|| (1, 1));
            if source == UsageSource::Reported && cut.learned.complete {
                let usage = cut.learned.usage;
                assert_eq!((usage.prompt, usage.completion), scripted.tokens, "{} cut at {end}", scripted.name);
            }
        }
    }
}

#[test]
fn why_the_model_stopped_is_told_in_one_way() {
    let finish = |path: &str, body: &str| read(path, &[body.as_bytes()]).learned.finish;
    let chat = |word: &str| {
        finish("/chat/completions", &format!(r#"{{"choices":[{{"finish_reason":"{word}","message":{{}}}}]}}"#))
    };
    assert_eq!((chat("stop"), chat("length")), (Some(Finish::Stop), Some(Finish::Length)));
    assert_eq!((chat("tool_calls"), chat("content_filter")), (Some(Finish::ToolCalls), Some(Finish::ContentFilter)));
    let called = r#"{"status":"completed","output":[{"type":"function_call","name":"f","arguments":"{}"}]}"#;
    assert_eq!(finish("/v1/responses", called), Some(Finish::ToolCalls));
    let ollama =
        r#"{"message":{"content":"","tool_calls":[{"function":{"name":"f"}}]},"done":true,"done_reason":"stop"}"#;
    assert_eq!(finish("/api/chat", ollama), Some(Finish::ToolCalls));
    let second = r#"{"choices":[{"index":0,"finish_reason":"length"},{"finish_reason":"stop","index":1}]}"#;
    assert_eq!(finish("/chat/completions", second), Some(Finish::Length));
}

#[test]
fn output_seen_is_estimated_over_all_choices_thinking_and_tools_once() {
    let text = "The quick brown fox jumps over the lazy dog.";
    let tokens = estimate_tokens(text);
    let estimate = |path: &str, body: String| read(path, &[body.as_bytes()]).output_tokens;
    let delta = |delta: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{{delta}}}}}]}}\n\n");
    assert_eq!(estimate("/chat/completions", delta(&format!(r#""content":"{text}""#))), tokens);
    assert_eq!(
        estimate("/chat/completions", delta(&format!(r#""content":[{{"type":"text","text":"{text}"}}]"#))),
        tokens
    );
    let thinking = delta(&format!(r#""reasoning_content":"{text}","reasoning":"{text}""#));
    assert_eq!(estimate("/chat/completions", thinking), tokens);
    let arguments = delta(&format!(r#""tool_calls":[{{"index":0,"function":{{"arguments":"{text}"}}}}]"#));
    assert_eq!(estimate("/chat/completions", arguments), tokens);
    let two = format!(r#"{{"choices":[{{"index":0,"text":"{text}"}},{{"index":1,"text":" {text}"}}]}}"#);
    assert_eq!(estimate("/v1/completions", two), estimate_tokens(&format!("{text} {text}")));
    let again = format!(
        "data: {{\"type\":\"response.output_text.delta\",\"delta\":\"{text}\"}}\n\n\
         data: {{\"type\":\"response.output_text.done\",\"text\":\"{text}\"}}\n\n\
         data: {{\"type\":\"response.audio.delta\",\"delta\":\"QUJDREVGRw==\"}}\n\n\
         data: {{\"type\":\"response.output_item.done\",\"item\":{{\"content\":[{{\"text\":\"{text}\"}}]}}}}\n\n"
    );
    assert_eq!(estimate("/v1/responses", again), tokens);
    let vectors = r#"{"data":[{"embedding":"AAAAAAAA"}],"usage":{"prompt_tokens":3}}"#;
    assert_eq!(estimate("/v1/embeddings", vectors.to_owned()), 0);
    let picture = r#"{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}}]}"#;
    assert_eq!(estimate("/v1beta/models/m:generateContent", picture.to_owned()), 0);
    let tool =
        r#"{"content":[{"type":"tool_use","name":"find","input":{"where":["Berlin","Paris"],"how":{"deep":1}}}]}"#;
    assert!((4..20).contains(&estimate("/v1/messages", tool.to_owned())));
}

#[test]
fn the_extra_chunk_is_known_when_it_ends_and_not_longer() {
    let mut reader = UsageReader::new(Endpoint::ChatCompletions, "m");
    let mut was: Vec<bool> = Vec::new();
    for frame in wire::CHAT.body.split_inclusive("\n\n").chain([": ping\n\n"]) {
        let (head, tail) = frame.split_at(frame.len() - 1);
        reader.push(head.as_bytes());
        reader.push(tail.as_bytes());
        was.push(reader.was_only_usage());
    }
    assert_eq!(was, [false, false, false, true, false, false]);
    let only = |frame: &str| {
        let mut reader = UsageReader::new(Endpoint::ChatCompletions, "m");
        reader.push(frame.as_bytes());
        reader.was_only_usage()
    };
    assert!(only("data: {\"usage\":{\"prompt_tokens\":1},\"choices\":[ ]}\r\n\r\n"));
    assert!(!only("data: {\"choices\":[],\"usage\":null}\n\n"), "Azure's first chunk");
    assert!(!only("data: {\"choices\":[],\"prompt_filter_results\":[{\"index\":0}]}\n\n"));
    assert!(!only("data: {\"choices\":[{\"index\":0,\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\n"));
    assert!(!only("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n"), "the event has not ended");
}

#[test]
fn what_is_not_the_api_is_a_bad_response() {
    for body in [
        "",
        "\n \n",
        "<html>Bad gateway</html>",
        "busy",
        ": only a comment\n\n",
        "{}",
        "[]",
        "[1,2]",
        "nul",
        "{\"a\":1}x",
        "data: <html>\n\n",
        "data: {\"choices\":[}\n\n",
        "data: [1]\n\n",
        "data: cut",
        "{\"ok\":true}\n",
    ] {
        for path in ["/v1/chat/completions", "/v1/embeddings", "/v1/messages", "/api/chat", "/v1/responses"] {
            assert_eq!(read_every_way(path, body.as_bytes()).failed, Some(ErrorKind::BadResponse), "{path}: {body}");
        }
    }
}

#[test]
fn a_bad_frame_hides_neither_usage_nor_itself() {
    let frames: Vec<&str> = wire::CHAT.body.split_inclusive("\n\n").collect();
    let bad_then_whole = [frames[0], "data: {\"choices\":[{\"delta\":<\n\n", frames[2], frames[3], frames[4]].concat();
    check(&wire::CHAT, &read_every_way(wire::CHAT.path, bad_then_whole.as_bytes()));
    let bad_then_cut = [frames[0], "data: {\"choices\":[{\"delta\":<\n\n"].concat();
    assert_eq!(read_every_way(wire::CHAT.path, bad_then_cut.as_bytes()).failed, Some(ErrorKind::BadResponse));
    let line = "{\"message\":{\"content\":\"a\"}}\nnot json\n{\"message\":{},\"done\":true,\"eval_count\":3,\"prompt_eval_count\":4}\n";
    let read = read_every_way("/api/chat", line.as_bytes());
    assert_eq!((read.learned.usage.prompt, read.learned.usage.completion, read.failed), (Some(4), Some(3), None));
}

#[test]
fn nothing_counts_behind_the_end() {
    let body = [
        wire::CHAT.body,
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n\
        data: {\"error\":{\"message\":\"m\"}}\n\ndata: after\n\n",
    ]
    .concat();
    check(&wire::CHAT, &read_every_way(wire::CHAT.path, body.as_bytes()));
}

/// Vectors of 20 MB, the usage behind them; what the reader holds stays as small as it was.
#[test]
fn usage_behind_megabytes_of_vectors_is_read_without_holding_them() {
    let mut reader = UsageReader::new(Endpoint::Embeddings, "m");
    reader.push(b"{\"object\":\"list\",\"data\":[");
    let vector = format!("{{\"embedding\":[{}0.5],\"index\":0}},", "-0.0123456789,".repeat(1500));
    let held = std::mem::size_of_val(&reader);
    let mut bytes = 0;
    while bytes < 20 << 20 {
        reader.push(vector.as_bytes());
        bytes += vector.len();
        assert!(reader.held_bytes() < 1024, "{} bytes held beside {held}", reader.held_bytes());
    }
    reader.push(b"{}],\"model\":\"e\",\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}");
    reader.finish();
    let usage = reader.learned().usage;
    assert_eq!((usage.prompt, usage.completion, reader.failed()), (Some(8), Some(0), None));
}

#[test]
fn a_hostile_answer_costs_no_memory() {
    let deep = "[".repeat(100_000);
    for open in [deep.as_str(), "{\"choices\":", "{\"error\":{\"a\":", "data: {\"model\":\""] {
        let mut reader = UsageReader::new(Endpoint::ChatCompletions, "m");
        reader.push(open.as_bytes());
        for _ in 0..100 {
            reader.push("x[{\"".repeat(1000).as_bytes());
        }
        assert!(reader.held_bytes() < 64 << 10, "{} bytes", reader.held_bytes());
        reader.finish();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn noise_is_read_the_same_however_it_is_cut(which: Index, noise: Vec<u8>, cut: Index) {
        let path = which.get(wire::ALL).path;
        let (head, tail) = noise.split_at(cut.index(noise.len() + 1));
        prop_assert_eq!(read(path, &[&noise]), read(path, &[head, tail]));
    }

    #[test]
    fn damaged_answers_are_read_the_same_however_they_are_cut(
        which: Index, at: Index, damage: Vec<u8>, size in 1..40usize,
    ) {
        let Scripted { path, body, .. } = which.get(wire::ALL);
        let mut body = body.as_bytes().to_vec();
        let from = at.index(body.len());
        let to = (from + damage.len() / 2).min(body.len());
        body.splice(from..to, damage.iter().copied());
        let whole = read(path, &[&body]);
        prop_assert_eq!(&whole, &read(path, &body.chunks(size).collect::<Vec<_>>()));
        prop_assert!(whole.learned.usage.counts(|| (0, 0)).0.is_consistent());
    }

    /// Texts come out as another reader of JSON has them.
    #[test]
    fn texts_are_weighed_as_they_read(text in "\\PC{0,60}|[\\u{0}-\\u{ff}\\u{1f600}-\\u{1f64f}]{0,40}", escape: bool) {
        let mut json = serde_json::to_string(&text).expect("a text");
        if escape {
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
            json = format!("\"{}\"", units.collect::<String>());
        }
        let body = format!("{{\"choices\":[{{\"text\":{json}}}]}}");
        let whole = read("/v1/completions", &[body.as_bytes()]);
        prop_assert_eq!(whole.output_tokens, estimate_tokens(&text));
        prop_assert_eq!(whole, read("/v1/completions", &body.as_bytes().chunks(1).collect::<Vec<_>>()));
    }
}
