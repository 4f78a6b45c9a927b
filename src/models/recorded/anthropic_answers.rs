//! Anthropic's answers. Counts in a stream are cumulative, and three of them make the prompt.

use super::*;

fn anthropic(stream: impl AsRef<[u8]>) -> Read {
    read_every_way(Kind::Anthropic, stream)
}

fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

fn start(usage: &str) -> String {
    let message = format!(
        r#"{{"id":"msg_01","type":"message","role":"assistant","model":"claude-haiku-4-5-20251001","content":[],"stop_reason":null,"stop_sequence":null,"usage":{usage}}}"#
    );
    event("message_start", &format!(r#"{{"type":"message_start","message":{message}}}"#))
}

fn block(content: &str) -> String {
    let data = format!(r#"{{"type":"content_block_start","index":0,"content_block":{content}}}"#);
    event("content_block_start", &data)
}

fn delta(delta: &str) -> String {
    event("content_block_delta", &format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#))
}

fn says(text: &str) -> String {
    delta(&format!(r#"{{"type":"text_delta","text":"{text}"}}"#))
}

fn end(reason: &str, usage: &str) -> String {
    let delta = format!(r#"{{"stop_reason":{reason},"stop_sequence":null}}"#);
    event("message_delta", &format!(r#"{{"type":"message_delta","delta":{delta},"usage":{usage}}}"#))
}

const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
const BLOCK_STOP: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const TEXT: &str = r#"{"type":"text","text":""}"#;
const FRESH: &str =
    r#"{"input_tokens":25,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":4}"#;

/// A good stream.
pub(super) fn specimen() -> String {
    let stop = end(r#""end_turn""#, r#"{"output_tokens":15}"#);
    [&start(FRESH), &block(TEXT), PING, &says("Hé"), &says("llo ☕"), BLOCK_STOP, &stop, STOP].concat()
}

fn with_usage(first: &str, last: &str) -> Read {
    anthropic([&start(first), &says("Hi"), &end(r#""end_turn""#, last), STOP].concat())
}

#[test]
fn anthropic_streams_text_and_ends_with_usage() {
    let odd = "event: brand_new\ndata: {\"type\":\"brand_new\",\"index\":[0]}\n\n: comment\n\nid: 7\n\n";
    for stream in [specimen(), specimen().replace('\n', "\r\n"), format!("\u{feff}{odd}{}{odd}", specimen())] {
        let read = anthropic(stream);
        assert_eq!((read.text.as_str(), tokens(&read), read.failed), ("Héllo ☕", (Some(25), Some(15)), None));
        assert_eq!((read.learned.finish, read.learned.pieces), (Some(Finish::Stop), 2));
        assert!(read.learned.complete && read.learned.terminal);
        assert_eq!(read.learned.served_model.as_deref(), Some("claude-haiku-4-5-20251001"));
        assert_eq!(source(&read), UsageSource::Reported);
    }
}

#[test]
fn anthropic_cut_anywhere_keeps_what_came_and_knows_no_output() {
    let stream = specimen();
    let first_json = stream.find('{').expect("an event") + 1;
    let counted = stream.find("\"output_tokens\":15").expect("the count");
    let stopped = counted + stream[counted..].find("\n\n").expect("its end") + 1;
    for end in first_json..stream.len() {
        let read = read(Kind::Anthropic, &[&stream.as_bytes()[..end]]);
        assert_eq!(read.failed, None, "cut at {end}");
        assert!("Héllo ☕".starts_with(&read.text));
        if end < counted {
            assert_eq!(
                (read.learned.usage.completion, read.learned.complete),
                (None, false),
                "a placeholder is no count"
            );
        } else if end > stopped {
            assert_eq!(tokens(&read), (Some(25), Some(15)));
        }
    }
    let begun = anthropic([start(FRESH), says("Hi")].concat());
    assert_eq!((tokens(&begun), source(&begun)), ((Some(25), None), UsageSource::Partial));
}

#[test]
fn anthropics_prompt_is_the_sum_of_three() {
    let first = r#"{"input_tokens":24,"cache_creation_input_tokens":4401,"cache_read_input_tokens":1000,"cache_creation":{"ephemeral_5m_input_tokens":4000,"ephemeral_1h_input_tokens":401},"output_tokens":1,"service_tier":"standard"}"#;
    let last = r#"{"output_tokens":2501,"output_tokens_details":{"thinking_tokens":2000}}"#;
    let read = with_usage(first, last);
    let (counts, how) = read.learned.usage.counts(|| (0, 0));
    assert_eq!((counts.prompt, counts.completion, how), (5425, 2501, UsageSource::Reported));
    assert_eq!((counts.cached, counts.cache_write, counts.cache_write_1h), (1000, 4000, 401));
    assert_eq!((counts.fresh(), counts.reasoning), (24, 2000));
    assert_eq!(read.learned.service_tier.as_deref(), Some("standard"));
}

#[test]
fn anthropics_cache_writes_without_a_division_are_short_and_without_a_total_their_sum() {
    let written = |usage: &str| {
        let usage = with_usage(usage, r#"{"output_tokens":2}"#).learned.usage;
        (usage.prompt, usage.cache_write, usage.cache_write_1h)
    };
    let usage = |rest: &str| format!(r#"{{"input_tokens":10,{rest}"output_tokens":1}}"#);
    assert_eq!(written(&usage(r#""cache_creation_input_tokens":7,"#)), (Some(17), Some(7), None));
    let both = r#""cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4},"#;
    assert_eq!(written(&usage(both)), (Some(17), Some(3), Some(4)));
    let long = r#""cache_creation_input_tokens":4,"cache_creation":{"ephemeral_1h_input_tokens":4},"#;
    assert_eq!(written(&usage(long)), (Some(14), Some(0), Some(4)));
    let too_long = r#""cache_creation_input_tokens":4,"cache_creation":{"ephemeral_1h_input_tokens":9},"#;
    assert_eq!(written(&usage(too_long)), (Some(14), Some(0), Some(4)));
    let nulls = r#""cache_creation_input_tokens":null,"cache_read_input_tokens":null,"cache_creation":null,"#;
    assert_eq!(written(&usage(nulls)), (Some(10), None, None));
}

#[test]
fn anthropics_last_count_of_each_wins_and_null_is_none() {
    // Tools of the server raise the input while it answers.
    let first =
        r#"{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":50,"output_tokens":1}"#;
    let raised = r#"{"input_tokens":300,"cache_creation_input_tokens":null,"cache_read_input_tokens":0,"output_tokens":40,"server_tool_use":{"web_search_requests":1}}"#;
    let usage = with_usage(first, raised).learned.usage;
    assert_eq!((usage.prompt, usage.cached, usage.cache_write), (Some(450), Some(50), Some(100)));
    let twice = [start(FRESH), end("null", r#"{"output_tokens":10}"#), says("Hi")].concat();
    let unfinished = anthropic(&twice);
    assert_eq!((tokens(&unfinished), unfinished.learned.complete), ((Some(25), Some(10)), false));
    let finished = anthropic(twice + &end(r#""max_tokens""#, r#"{"output_tokens":15}"#) + STOP);
    assert_eq!((tokens(&finished), finished.learned.finish), ((Some(25), Some(15)), Some(Finish::Length)));
}

#[test]
fn anthropics_fast_mode_is_a_tier_whatever_tier_is_named_beside_it() {
    let tier = |first: &str, last: &str| with_usage(first, last).learned.service_tier;
    let fast = r#"{"input_tokens":1,"output_tokens":1,"speed":"fast","service_tier":"standard"}"#;
    let last = r#"{"output_tokens":2,"service_tier":"standard"}"#;
    assert_eq!(tier(fast, last).as_deref(), Some("fast"));
    assert_eq!(tier(&fast.replace("fast", "standard"), last).as_deref(), Some("standard"));
}

#[test]
fn e2_anthropics_usage_may_be_absent_null_zero_or_hostile() {
    for usage in ["null", "{}", "7", "[]", r#"{"input_tokens":null}"#, r#"{"input_tokens":"9","output_tokens":-1}"#] {
        let read = with_usage(usage, r#"{"output_tokens":1.5}"#);
        assert_eq!(
            (tokens(&read), read.failed, source(&read)),
            ((None, None), None, UsageSource::Estimated),
            "{usage}"
        );
    }
    let zero = with_usage(r#"{"input_tokens":0,"output_tokens":0}"#, r#"{"output_tokens":0}"#);
    assert_eq!((tokens(&zero), source(&zero)), ((Some(0), Some(0)), UsageSource::Reported));
    let no_input = with_usage(r#"{"cache_read_input_tokens":9}"#, r#"{"output_tokens":3}"#);
    assert_eq!((tokens(&no_input), source(&no_input)), ((None, Some(3)), UsageSource::Partial));
    let too_much = r#"{"input_tokens":1099511627776,"cache_read_input_tokens":1099511627777,"output_tokens":1}"#;
    assert_eq!(with_usage(too_much, "{}").learned.usage.prompt, Some(1 << 40));
}

#[test]
fn anthropic_thinks_calls_tools_and_stops_for_reasons() {
    let thoughts = [
        &block(r#"{"type":"thinking","thinking":"","signature":""}"#),
        &delta(r#"{"type":"thinking_delta","thinking":"hmm"}"#),
        &delta(r#"{"type":"signature_delta","signature":"c2ln"}"#),
        BLOCK_STOP,
    ];
    let tools = [
        block(r#"{"type":"tool_use","id":"toolu_1","name":"look","input":{}}"#),
        delta(r#"{"type":"input_json_delta","partial_json":""}"#),
        delta(r#"{"type":"input_json_delta","partial_json":"{\"at\":1}"}"#),
    ];
    let stop = end(r#""tool_use""#, r#"{"output_tokens":30}"#);
    let read = anthropic([start(FRESH), thoughts.concat(), says("Hi"), tools.concat(), stop, STOP.to_owned()].concat());
    assert_eq!((read.thinking.as_str(), read.text.as_str(), read.learned.pieces), ("hmm", "Hi", 4));
    assert_eq!(read.learned.finish, Some(Finish::ToolCalls));
    for (reason, finish) in [
        ("end_turn", Finish::Stop),
        ("stop_sequence", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("refusal", Finish::ContentFilter),
        ("pause_turn", Finish::Other),
        ("something_new", Finish::Other),
    ] {
        let read = anthropic([start(FRESH), end(&format!("\"{reason}\""), "null")].concat());
        assert_eq!((read.learned.finish, read.learned.complete), (Some(finish), true), "{reason}");
    }
}

#[test]
fn anthropics_errors_within_a_stream_keep_what_came_before() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded","details":null},"request_id":"req_1"}"#;
    for error in [event("error", overloaded), format!("data: {overloaded}\n\n"), event("error", "\"text\"")] {
        let read = anthropic([start(FRESH), says("Hi"), error, says("no")].concat());
        assert_eq!((read.text.as_str(), read.failed), ("Hi", Some(ErrorKind::StreamError)));
        assert_eq!((tokens(&read), source(&read)), ((Some(25), None), UsageSource::Partial));
    }
    assert_eq!(anthropic(overloaded).failed, Some(ErrorKind::StreamError));
}

#[test]
fn anthropics_whole_answers_are_read_where_a_stream_was_asked_for() {
    let body = r#" {"id":"msg_01","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[{"type":"thinking","thinking":"hmm","signature":"x"},{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,
 "usage":{"input_tokens":24,"cache_creation_input_tokens":4401,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":4401},"output_tokens":2501,"service_tier":"standard"}}
"#;
    let read = anthropic(body);
    assert_eq!((read.thinking.as_str(), read.text.as_str()), ("hmm", "Hello"));
    assert_eq!((tokens(&read), read.learned.usage.cache_write_1h), ((Some(4425), Some(2501)), Some(4401)));
    assert!(read.learned.complete);
    let cut = anthropic(&body[..body.len() / 2]);
    assert_eq!((cut.failed, cut.learned.complete), (None, false));
}

#[test]
fn what_is_not_anthropic_is_a_bad_response() {
    for body in ["", "\n", "<html>", "busy", ": only a comment\n\n", "{}", "[]"] {
        assert_eq!(anthropic(body).failed, Some(ErrorKind::BadResponse), "{body}");
    }
    let later = anthropic([&start(FRESH), &says("Hi"), "data: {not json\n\n", &says("no")].concat());
    assert_eq!((later.text.as_str(), later.failed), ("Hi", Some(ErrorKind::BadResponse)));
}

#[test]
fn anthropic_lists_its_models() {
    let body = br#"{"data":[{"type":"model","id":"claude-haiku-4-5","display_name":"Claude Haiku 4.5","max_input_tokens":200000},{"type":"model"},{"id":"claude-x"}],"has_more":false}"#;
    let models = anthropic::read_models(body, false).expect("a list");
    let seen: Vec<_> =
        models.iter().map(|model| (model.name.as_str(), model.local, model.context_tokens, model.chats)).collect();
    assert_eq!(seen, [("claude-haiku-4-5", false, Some(200_000), true), ("claude-x", false, None, true)]);
    assert_eq!(anthropic::read_models(b"<html>", false), Err(ErrorKind::BadResponse));
}

#[test]
fn anthropics_requests_hold_the_instructions_beside_the_conversation() {
    let request = |messages, max_output_tokens| ChatRequest {
        model: "claude-haiku-4-5".to_owned(),
        messages,
        max_output_tokens,
        lang: Lang::En,
    };
    let text = |request: &ChatRequest| String::from_utf8(anthropic::chat_body(request)).expect("JSON is UTF-8");
    let messages = vec![
        ChatMessage::new(Role::System, "Be kind."),
        ChatMessage::new(Role::User, "hi"),
        ChatMessage::new(Role::System, "Be brief."),
        ChatMessage::new(Role::Assistant, "Hello"),
        ChatMessage::new(Role::User, " "),
        ChatMessage::new(Role::User, "\"?\""),
    ];
    let expected = r#"{"model":"claude-haiku-4-5","max_tokens":50,"system":"Be kind.\n\nBe brief.","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"\"?\""}],"stream":true}"#;
    assert_eq!(text(&request(messages, Some(50))), expected);
    let image = || Image::new(&b"\x89PNG\r\n\x1a\n"[..]).expect("a picture");
    let pictured = |words: &str| {
        let message = ChatMessage::new(Role::User, words).with_images(vec![image()]).expect("one");
        text(&request(vec![message], None))
    };
    let picture = r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}"#;
    let body = |blocks: &str| {
        format!(
            r#"{{"model":"claude-haiku-4-5","max_tokens":4096,"messages":[{{"role":"user","content":[{blocks}]}}],"stream":true}}"#
        )
    };
    assert_eq!(pictured(""), body(picture));
    assert_eq!(pictured("What?"), body(&format!(r#"{picture},{{"type":"text","text":"What?"}}"#)));
}
