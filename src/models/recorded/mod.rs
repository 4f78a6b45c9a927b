//! Recorded answers of servers, good and bad, and what must come out of them: whole, cut in two at every byte, and byte
//! by byte. Every example was composed for this test.

use proptest::prelude::*;
use proptest::sample::Index;

use super::endpoint::ChatReader;
use super::*;
use crate::templates::Lang;
use crate::usage::{ErrorKind, UsageSource};

mod anthropic_answers;
mod gemini_answers;

/// What a reader made of a stream: its text, its thinking, what it learned, and how it failed.
#[derive(Clone, Debug, PartialEq)]
struct Read {
    text: String,
    thinking: String,
    events: Vec<ChatEvent>,
    learned: Learned,
    failed: Option<ErrorKind>,
}

fn read(kind: Kind, pieces: &[&[u8]]) -> Read {
    let mut reader = ChatReader::of(kind, "m").expect("an API that is read");
    let mut events = Vec::new();
    let mut failed = None;
    for piece in pieces {
        failed = failed.or(reader.push(piece, &mut events).err());
    }
    let result = reader.finish(&mut events);
    let learned = reader.learned().clone();
    let (mut text, mut thinking) = (String::new(), String::new());
    for event in &events {
        match event {
            ChatEvent::Text(piece) => text.push_str(piece),
            ChatEvent::Thinking(piece) => thinking.push_str(piece),
        }
    }
    Read { text, thinking, events, learned, failed: failed.or(result.err()) }
}

/// Reads a stream in every division the tests know, and holds them to be the same.
fn read_every_way(kind: Kind, stream: impl AsRef<[u8]>) -> Read {
    let stream = stream.as_ref();
    let whole = read(kind, &[stream]);
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(read(kind, &[head, tail]), whole, "cut at byte {cut}");
    }
    assert_eq!(read(kind, &stream.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    whole
}

fn ollama(stream: impl AsRef<[u8]>) -> Read {
    read_every_way(Kind::Ollama, stream)
}

fn openai(stream: impl AsRef<[u8]>) -> Read {
    read_every_way(Kind::OpenAi, stream)
}

fn tokens(read: &Read) -> (Option<u64>, Option<u64>) {
    (read.learned.usage.prompt, read.learned.usage.completion)
}

fn source(read: &Read) -> UsageSource {
    read.learned.usage.counts(|| (1, 1)).1
}

// ---- Ollama ----

const HEL: &str = r#"{"model":"gemma3:4b","created_at":"2026-11-22T10:00:00.100Z","message":{"role":"assistant","content":"Hél"},"done":false}"#;
const LO: &str =
    r#"{"model":"gemma3:4b","message":{"role":"assistant","content":"lo ☕"},"done":false,"unknown":{"a":[1,{}]}}"#;
const DONE: &str = r#"{"model":"gemma3:4b","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":812345678,"prompt_eval_count":26,"eval_count":2}"#;

#[test]
fn ollama_streams_text_and_ends_with_counts() {
    let read = ollama(format!("{HEL}\n{LO}\n{DONE}\n"));
    assert_eq!((read.text.as_str(), tokens(&read), read.failed), ("Héllo ☕", (Some(26), Some(2)), None));
    assert_eq!((read.learned.finish, read.learned.complete, read.learned.pieces), (Some(Finish::Stop), true, 2));
    assert_eq!((read.learned.served_model.as_deref(), source(&read)), (Some("gemma3:4b"), UsageSource::Reported));
}

#[test]
fn ollama_lines_may_end_in_crlf_or_not_at_all() {
    let read = ollama(format!("\u{feff}{HEL}\r\n\r\n{LO}\r\n{DONE}"));
    assert_eq!((read.text.as_str(), tokens(&read), read.failed), ("Héllo ☕", (Some(26), Some(2)), None));
}

#[test]
fn ollama_without_done_is_incomplete_and_estimated() {
    // The repetition guard ends a generation like this, with status 200.
    let read = ollama(format!("{HEL}\n{LO}\n"));
    assert_eq!((read.text.as_str(), read.failed, read.learned.complete), ("Héllo ☕", None, false));
    assert_eq!(source(&read), UsageSource::Estimated);
    let whole_body = ollama(r#"{"model":"m","message":{"role":"assistant","content":"ha ha"},"done":false}"#);
    assert_eq!((whole_body.text.as_str(), whole_body.learned.complete), ("ha ha", false));
}

#[test]
fn ollama_cut_anywhere_keeps_what_came() {
    let stream = format!("{HEL}\n{LO}\n{DONE}\n");
    for end in 1..stream.len() - 1 {
        let read = read(Kind::Ollama, &[&stream.as_bytes()[..end]]);
        assert_eq!(read.failed, None, "cut at {end}");
        assert!("Héllo ☕".starts_with(&read.text));
        assert!(!read.learned.complete || end > stream.len() - 2);
    }
}

#[test]
fn e2_ollama_counts_may_be_missing_each_by_itself() {
    let no_prompt = ollama(format!("{HEL}\n{}\n", r#"{"done":true,"done_reason":"stop","eval_count":2}"#));
    assert_eq!((tokens(&no_prompt), source(&no_prompt)), ((None, Some(2)), UsageSource::Partial));
    let no_completion = ollama(format!("{HEL}\n{}\n", r#"{"done":true,"prompt_eval_count":9}"#));
    assert_eq!((tokens(&no_completion), source(&no_completion)), ((Some(9), None), UsageSource::Partial));
    let nothing_said = ollama(r#"{"message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":9}"#);
    assert_eq!(tokens(&nothing_said), (Some(9), Some(0)), "a zero is left out, and nothing was generated");
    let hostile = ollama(r#"{"message":{"content":"x"},"done":true,"prompt_eval_count":-4,"eval_count":"2"}"#);
    assert_eq!((tokens(&hostile), hostile.failed), ((None, None), None));
}

#[test]
fn ollama_cached_tokens_are_a_slice_of_the_prompt() {
    let read = ollama(
        r#"{"message":{"content":"x"},"done":true,"prompt_eval_count":26,"prompt_eval_cached_count":20,"eval_count":1}"#,
    );
    let (counts, _) = read.learned.usage.counts(|| (0, 0));
    assert_eq!((counts.prompt, counts.cached, counts.fresh()), (26, 20, 6));
}

#[test]
fn ollama_two_ends_are_one_and_the_last_counts() {
    let second = r#"{"done":true,"done_reason":"length","prompt_eval_count":26,"eval_count":7}"#;
    let read = ollama(format!("{HEL}\n{DONE}\n{second}\n"));
    assert_eq!((tokens(&read), read.learned.finish), ((Some(26), Some(7)), Some(Finish::Length)));
}

#[test]
fn ollama_ends_with_a_reason_and_no_done_too() {
    let read = ollama(format!("{HEL}\n{}\n", r#"{"done_reason":"stop","prompt_eval_count":3,"eval_count":1}"#));
    assert_eq!((read.learned.complete, tokens(&read)), (true, (Some(3), Some(1))));
    let empty_reason = ollama(format!("{HEL}\n{}\n", r#"{"done":false,"done_reason":""}"#));
    assert!(!empty_reason.learned.complete);
}

#[test]
fn ollama_errors_within_a_stream_keep_what_came_before() {
    let read = ollama(format!("{HEL}\n{}\n{LO}\n", r#"{"error":"llama runner process has terminated"}"#));
    assert_eq!((read.text.as_str(), read.failed), ("Hél", Some(ErrorKind::StreamError)));
}

#[test]
fn ollama_thinks_calls_tools_and_loads() {
    let thinking = r#"{"message":{"role":"assistant","content":"","thinking":"hmm"},"done":false}"#;
    let tools =
        r#"{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"done":false}"#;
    let read = ollama(format!("{thinking}\n{HEL}\n{tools}\n{DONE}\n"));
    assert_eq!((read.thinking.as_str(), read.text.as_str(), read.learned.pieces), ("hmm", "Hél", 4));
    assert_eq!(read.learned.finish, Some(Finish::ToolCalls));
    for reason in ["load", "unload"] {
        let read =
            ollama(format!(r#"{{"model":"m","message":{{"content":""}},"done":true,"done_reason":"{reason}"}}"#));
        assert_eq!((tokens(&read), source(&read)), ((Some(0), Some(0)), UsageSource::Reported));
    }
}

#[test]
fn ollama_generate_answers_are_read_as_well() {
    let stream = "{\"response\":\"Hi\",\"done\":false}\n{\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\
                  \"context\":[1,2,3],\"prompt_eval_count\":5,\"eval_count\":1}\n";
    let read = ollama(stream);
    assert_eq!((read.text.as_str(), tokens(&read)), ("Hi", (Some(5), Some(1))));
}

#[test]
fn ollama_says_when_its_cloud_answers() {
    let line = r#"{"model":"big","remote_model":"big:600b","remote_host":"https://ollama.com:443","message":{"content":"x"},"done":true}"#;
    assert!(ollama(line).learned.remote);
    assert!(!ollama(DONE).learned.remote);
    assert!(ollama::is_cloud_name("gpt-oss:120b-cloud") && ollama::is_cloud_name("glm:cloud"));
    assert!(!ollama::is_cloud_name("cloudy:7b"));
}

#[test]
fn what_is_not_ollama_is_a_bad_response() {
    for body in ["", " \n", "<html>Bad gateway</html>", "Ollama is running", "[]", "{}", "{\"ok\":true}\n", "nul"] {
        assert_eq!(ollama(body).failed, Some(ErrorKind::BadResponse), "{body}");
    }
    let later = ollama(format!("{HEL}\n<html>\n{LO}\n"));
    assert_eq!((later.text.as_str(), later.failed), ("Hél", Some(ErrorKind::BadResponse)));
    let bad_text = ollama(b"{\"message\":{\"content\":\"\xff\"},\"done\":false}\n");
    assert_eq!((bad_text.text.as_str(), bad_text.failed), ("\u{fffd}", None), "what is no text is marked in it");
}

#[test]
fn ollama_lists_its_models() {
    let body = br#"{"models":[
        {"name":"llama3.2:latest","size":2019393189,"details":{"context_length":131072},"capabilities":["completion","tools"]},
        {"model":"nomic:latest","size":0,"capabilities":["embedding"]},
        {"name":"glm:cloud"},{"name":"far","remote_host":"https://ollama.com"},{"size":1}]}"#;
    let models = ollama::read_models(body).expect("a list");
    let seen: Vec<_> = models.iter().map(|model| (model.name.as_str(), model.local, model.chats)).collect();
    assert_eq!(
        seen,
        [
            ("llama3.2:latest", true, true),
            ("nomic:latest", true, false),
            ("glm:cloud", false, true),
            ("far", false, true)
        ]
    );
    assert_eq!((models[0].size_bytes, models[0].context_tokens), (Some(2_019_393_189), Some(131_072)));
    assert_eq!(ollama::read_models(b"<html>"), Err(ErrorKind::BadResponse));
}

// ---- OpenAI ----

/// A chunk of a stream with one choice.
fn chunk(delta: &str, finish: &str, rest: &str) -> String {
    format!(
        r#"data: {{"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1795341600,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]{rest},"obfuscation":"x9"}}"#
    ) + "\n\n"
}

fn says(text: &str) -> String {
    chunk(&format!(r#"{{"content":"{text}"}}"#), "null", r#","usage":null"#)
}

fn stops() -> String {
    chunk("{}", r#""stop""#, r#","usage":null"#)
}

fn uses(prompt: u64, completion: u64) -> String {
    format!(
        "data: {{\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"choices\":[],\"usage\":{{\"prompt_tokens\":{prompt},\
         \"completion_tokens\":{completion},\"total_tokens\":{}}}}}\n\n",
        prompt + completion
    )
}

const END: &str = "data: [DONE]\n\n";

#[test]
fn openai_streams_text_and_ends_with_usage() {
    let role = chunk(r#"{"role":"assistant","content":""}"#, "null", r#","usage":null"#);
    let stream = [role, says("Hé"), says("llo ☕"), stops(), uses(9, 2), END.to_owned()].concat();
    for stream in [stream.clone(), stream.replace('\n', "\r\n"), format!("\u{feff}: hi\n\n{stream}")] {
        let read = openai(stream);
        assert_eq!((read.text.as_str(), tokens(&read), read.failed), ("Héllo ☕", (Some(9), Some(2)), None));
        assert_eq!((read.learned.finish, read.learned.complete, read.learned.pieces), (Some(Finish::Stop), true, 2));
        assert_eq!(read.learned.served_model.as_deref(), Some("gpt-4o-mini-2024-07-18"));
        assert_eq!(read.learned.service_tier.as_deref(), Some("default"));
    }
}

#[test]
fn openai_comments_and_odd_frames_change_nothing() {
    let stream = [
        ": keep-alive\n\n",
        &says("Hi"),
        ":\r\n\r\n",
        "event: message\nid: 3\nretry: 10\n\n",
        "data:\n\n",
        &stops(),
        &uses(9, 1),
        "data:[DONE]\n\n",
        "data: after the end\n\n",
    ]
    .concat();
    let read = openai(stream);
    assert_eq!((read.text.as_str(), tokens(&read), read.failed), ("Hi", (Some(9), Some(1)), None));
}

#[test]
fn openai_usage_on_every_chunk_is_not_summed() {
    let with = |text: &str, finish: &str, completion: u64| {
        let usage = format!(
            r#","usage":{{"prompt_tokens":9,"completion_tokens":{completion},"total_tokens":{}}}"#,
            9 + completion
        );
        chunk(&format!(r#"{{"content":"{text}"}}"#), finish, &usage)
    };
    let stream = [with("a", "null", 1), with("b", "null", 2), with("", r#""length""#, 3)].concat();
    let read = openai(&stream);
    assert_eq!(
        (tokens(&read), read.learned.finish, read.learned.complete),
        ((Some(9), Some(3)), Some(Finish::Length), true)
    );
    assert_eq!(tokens(&openai(stream + END)), (Some(9), Some(3)));
}

#[test]
fn e2_openai_usage_may_be_absent_null_zero_or_hostile() {
    for rest in [
        "",
        r#","usage":null"#,
        r#","usage":{}"#,
        r#","usage":7"#,
        r#","usage":{"prompt_tokens":null}"#,
        r#","usage":{"prompt_tokens":-1,"completion_tokens":2.5,"total_tokens":9223372036854775808}"#,
        r#","usage":{"prompt_tokens":"9","completion_tokens":1e999}"#,
    ] {
        let read = openai([says("Hi"), chunk("{}", r#""stop""#, rest), END.to_owned()].concat());
        assert_eq!((tokens(&read), read.failed, source(&read)), ((None, None), None, UsageSource::Estimated), "{rest}");
    }
    let floats = r#","usage":{"prompt_tokens":50.0,"completion_tokens":10.00}"#;
    let read = openai([says("Hi"), chunk("{}", r#""stop""#, floats), END.to_owned()].concat());
    assert_eq!((tokens(&read), source(&read)), ((Some(50), Some(10)), UsageSource::Reported));
    let zero = openai([says("Hi"), uses(0, 0), END.to_owned()].concat());
    assert_eq!((tokens(&zero), source(&zero)), ((Some(0), Some(0)), UsageSource::Reported));
}

#[test]
fn openai_details_are_slices_and_a_larger_total_is_hidden_thinking() {
    let details = r#"data: {"choices":[],"usage":{"prompt_tokens":18014,"completion_tokens":300,"total_tokens":18314,"prompt_tokens_details":{"cached_tokens":1920,"cache_write_tokens":64,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":250}}}"#;
    let usage = openai([&says("x"), details, "\n\n", END].concat()).learned.usage;
    assert_eq!((usage.cached, usage.cache_write, usage.reasoning), (Some(1920), Some(64), Some(250)));
    let null_details =
        r#"data: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":3,"prompt_tokens_details":null}}"#;
    assert_eq!(openai([null_details, "\n\n"].concat()).learned.usage.cached, None);
    let hidden = r#"data: {"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":198,"total_tokens":623}}"#;
    assert_eq!(openai([hidden, "\n\n", END].concat()).learned.usage.completion, Some(603));
}

#[test]
fn openai_without_the_last_frame_is_complete_by_its_finish() {
    let finished = openai([says("Hi"), stops(), uses(9, 1)].concat());
    assert_eq!((finished.learned.complete, tokens(&finished)), (true, (Some(9), Some(1))));
    let unfinished = openai([says("Hi"), chunk("{}", "null", "")].concat());
    assert_eq!(
        (unfinished.learned.complete, unfinished.failed, source(&unfinished)),
        (false, None, UsageSource::Estimated)
    );
    let no_blank_line = openai([&says("Hi"), &stops(), "data: [DONE]"].concat());
    assert!(no_blank_line.learned.complete);
}

#[test]
fn openai_cut_anywhere_keeps_what_came() {
    let stream = [says("Hé"), says("llo"), stops(), uses(9, 2), END.to_owned()].concat();
    let first_json = stream.find('{').expect("a chunk") + 1;
    for end in first_json..stream.len() {
        let read = read(Kind::OpenAi, &[&stream.as_bytes()[..end]]);
        assert_eq!(read.failed, None, "cut at {end}");
        assert!("Héllo".starts_with(&read.text));
    }
}

#[test]
fn openai_errors_within_a_stream_keep_what_came_before() {
    let error = "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":null}}\n\n";
    let read = openai([&says("Hi"), error, &says("no")].concat());
    assert_eq!((read.text.as_str(), read.failed), ("Hi", Some(ErrorKind::StreamError)));
    assert_eq!(openai(r#"{"error":{"message":"m","code":429}}"#).failed, Some(ErrorKind::StreamError));
    assert_eq!(
        openai(r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}]"#).failed,
        Some(ErrorKind::StreamError)
    );
    assert_eq!(openai("event: error\ndata: \"overloaded\"\n\n").failed, Some(ErrorKind::StreamError));
    let harmless = openai([&chunk(r#"{"content":"Hi"}"#, r#""stop""#, r#","error":null"#), END].concat());
    assert_eq!((harmless.text.as_str(), harmless.failed), ("Hi", None));
}

#[test]
fn openai_nulls_tools_refusals_and_thinking() {
    let stream = [
        chunk(r#"{"role":"assistant","content":null}"#, "null", ""),
        chunk(r#"{"reasoning_content":"hmm"}"#, "null", ""),
        chunk(r#"{"reasoning_content":"so","reasoning":"so","content":null,"refusal":null}"#, "null", ""),
        chunk(r#"{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":""}}]}"#, "null", ""),
        chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]}"#, "null", ""),
        chunk(r#"{"refusal":"I would rather not."}"#, "null", ""),
        chunk(r#"{"content":[{"type":"text","text":" parts"},{"type":"image"}]}"#, "null", ""),
        chunk("{}", r#""tool_calls""#, ""),
    ];
    let read = openai(stream.concat());
    assert_eq!((read.thinking.as_str(), read.text.as_str()), ("hmmso", "I would rather not. parts"));
    assert_eq!((read.learned.pieces, read.learned.finish, read.failed), (6, Some(Finish::ToolCalls), None));
    let filtered = openai(chunk("{}", r#""content_filter""#, ""));
    assert_eq!(filtered.learned.finish, Some(Finish::ContentFilter));
    let second_choice =
        openai("data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"},\"finish_reason\":\"stop\"}]}\n\n");
    assert_eq!((second_choice.text.as_str(), second_choice.learned.complete), ("", false));
}

#[test]
fn openai_whole_answers_are_read_where_a_stream_was_asked_for() {
    let body = r#"  {"id":"chatcmpl-A1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"finish_reason":"stop"}],
 "usage":{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306}}
"#;
    let read = openai(body);
    assert_eq!((read.text.as_str(), tokens(&read)), ("Hello", (Some(2006), Some(300))));
    assert!(read.learned.complete);
    let cut = openai(&body[..body.len() / 2]);
    assert_eq!((cut.failed, cut.learned.complete), (None, false));
}

#[test]
fn what_is_not_openai_is_a_bad_response() {
    for body in [
        "",
        "\n \n",
        "<html>Bad gateway</html>",
        "busy",
        ": only a comment\n\n",
        "{}",
        "[]",
        "{\"a\":1}x",
        "data: <html>\n\n",
        "data: {\"choices\":[}\n\n",
        "data: [1]\n\n",
        "data: cut",
    ] {
        assert_eq!(openai(body).failed, Some(ErrorKind::BadResponse), "{body}");
    }
    let bad_text = openai(b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}\n\n");
    assert_eq!((bad_text.text.as_str(), bad_text.failed), ("\u{fffd}", None));
}

#[test]
fn openai_lists_its_models() {
    let models = openai::read_models(br#"{"object":"list","data":[{"id":"gpt-4o"},{"object":"model"}]}"#, true);
    let names: Vec<_> = models.expect("a list").into_iter().map(|model| (model.name, model.local)).collect();
    assert_eq!(names, [("gpt-4o".to_owned(), true)]);
}

// ---- Anything ----

/// Good streams to damage.
fn specimens() -> [(Kind, Vec<u8>); 5] {
    let frames = [says("Hé"), ": ping\n\n".to_owned(), stops(), uses(9, 2), END.to_owned()].concat();
    let [events, list] = gemini_answers::specimens();
    [
        (Kind::Ollama, format!("{HEL}\n{LO}\n{DONE}\n").into_bytes()),
        (Kind::OpenAi, frames.into_bytes()),
        (Kind::Anthropic, anthropic_answers::specimen().into_bytes()),
        (Kind::Gemini, events.into_bytes()),
        (Kind::Gemini, list.into_bytes()),
    ]
}

/// The APIs that are read.
const READ: [Kind; 4] = [Kind::Ollama, Kind::OpenAi, Kind::Anthropic, Kind::Gemini];

proptest! {
    #[test]
    fn noise_is_read_the_same_however_it_is_cut(noise: Vec<u8>, cut: Index) {
        for kind in READ {
            let (head, tail) = noise.split_at(cut.index(noise.len() + 1));
            prop_assert_eq!(read(kind, &[&noise]), read(kind, &[head, tail]));
        }
    }

    #[test]
    fn damaged_streams_are_read_the_same_however_they_are_cut(at: Index, damage: Vec<u8>, size in 1..40usize) {
        for (kind, mut stream) in specimens() {
            let from = at.index(stream.len());
            let to = (from + damage.len() / 2).min(stream.len());
            stream.splice(from..to, damage.iter().copied());
            let whole = read(kind, &[&stream]);
            prop_assert_eq!(&whole, &read(kind, &stream.chunks(size).collect::<Vec<_>>()));
            prop_assert!(whole.learned.usage.counts(|| (0, 0)).0.is_consistent());
        }
    }
}

// ---- Requests ----

#[test]
fn requests_are_written_as_the_apis_want_them() {
    let messages = vec![ChatMessage::new(Role::System, "Be kind."), ChatMessage::new(Role::User, "hi")];
    let request = ChatRequest { model: "m".to_owned(), messages, max_output_tokens: Some(50), lang: Lang::En };
    let text = |body: Vec<u8>| String::from_utf8(body).expect("JSON is UTF-8");
    let words = r#""messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"hi"}],"stream":true"#;
    let expected = format!(r#"{{"model":"m",{words},"options":{{"num_predict":50}}}}"#);
    assert_eq!(text(ollama::chat_body(&request)), expected);
    let usual = openai::Dialect { limit: openai::LimitField::MaxTokens, stream_options: true };
    let expected = format!(r#"{{"model":"m",{words},"stream_options":{{"include_usage":true}},"max_tokens":50}}"#);
    assert_eq!(text(openai::chat_body(&request, usual)), expected);
    let other = openai::Dialect { limit: openai::LimitField::MaxCompletionTokens, stream_options: false };
    let expected = format!(r#"{{"model":"m",{words},"max_completion_tokens":50}}"#);
    assert_eq!(text(openai::chat_body(&request, other)), expected);
}

#[test]
fn debug_shows_nobodys_words() {
    let message = ChatMessage::new(Role::User, "my secret");
    let request =
        ChatRequest { model: "m".to_owned(), messages: vec![message.clone()], max_output_tokens: None, lang: Lang::En };
    for text in [format!("{message:?}"), format!("{request:?}"), format!("{:?}", ChatEvent::Text("my secret".into()))] {
        assert!(!text.contains("secret"), "{text}");
    }
}
