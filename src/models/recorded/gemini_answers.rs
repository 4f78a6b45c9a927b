//! Gemini's answers: whole ones in a row, as events or as one list. What is zero is left out.

use super::*;

fn gemini(stream: impl AsRef<[u8]>) -> Read {
    read_every_way(Kind::Gemini, stream)
}

/// An answer with these parts; `rest` stands behind its candidates.
fn chunk(parts: &str, finish: &str, rest: &str) -> String {
    let finish = if finish.is_empty() { String::new() } else { format!(r#","finishReason":"{finish}""#) };
    format!(
        r#"{{"candidates":[{{"content":{{"role":"model","parts":[{parts}]}}{finish},"index":0}}]{rest},"modelVersion":"gemini-2.5-flash","responseId":"r1-_x"}}"#
    )
}

fn says(text: &str, usage: &str) -> String {
    chunk(&format!(r#"{{"text":"{text}"}}"#), "", &uses(usage))
}

fn uses(usage: &str) -> String {
    format!(r#","usageMetadata":{usage}"#)
}

fn events(chunks: &[String]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect()
}

fn list(chunks: &[String]) -> String {
    format!("[{}]\n", chunks.join("\n,\r\n"))
}

const BEGUN: &str = r#"{"promptTokenCount":20,"totalTokenCount":20}"#;
const USED: &str = r#"{"promptTokenCount":20,"candidatesTokenCount":198,"thoughtsTokenCount":405,"totalTokenCount":623,"promptTokensDetails":[{"modality":"TEXT","tokenCount":20}]}"#;

fn good() -> Vec<String> {
    vec![
        says("Hé", BEGUN),
        chunk(r#"{"text":"hm {\"}","thought":true}"#, "", ""),
        chunk(r#"{"text":"llo ☕"}"#, "STOP", &uses(USED)),
    ]
}

/// Good streams of both forms.
pub(super) fn specimens() -> [String; 2] {
    [events(&good()), list(&good())]
}

fn finished(usage: &str) -> Read {
    gemini(events(&[says("Hi", BEGUN), chunk("", "STOP", &uses(usage))]))
}

fn assert_good(read: &Read) {
    assert_eq!((read.text.as_str(), read.thinking.as_str()), ("Héllo ☕", "hm {\"}"));
    assert_eq!((tokens(read), read.failed, source(read)), ((Some(20), Some(603)), None, UsageSource::Reported));
    assert_eq!((read.learned.usage.reasoning, read.learned.pieces), (Some(405), 3));
    assert_eq!((read.learned.finish, read.learned.complete), (Some(Finish::Stop), true));
    assert_eq!(read.learned.served_model.as_deref(), Some("gemini-2.5-flash"));
    assert_eq!(read.learned.request_id.as_deref(), Some("r1-_x"));
}

#[test]
fn gemini_streams_events_or_one_list() {
    let [events, list] = specimens();
    for stream in [&events, &list, &events.replace('\n', "\r\n"), &format!("\u{feff}: hi\n\n{events}: bye\n\n")] {
        assert_good(&gemini(stream));
    }
    assert_good(&gemini(format!("\u{feff} \n{list} \n")));
    assert_good(&gemini(format!("{}]", list.trim_end().trim_end_matches(']'))));
}

#[test]
fn gemini_cut_anywhere_keeps_what_came() {
    for stream in specimens() {
        let first_json = stream.find('{').expect("an answer") + 1;
        for end in first_json..stream.len() {
            let read = read(Kind::Gemini, &[&stream.as_bytes()[..end]]);
            assert_eq!(read.failed, None, "cut at {end}");
            assert!("Héllo ☕".starts_with(&read.text));
        }
    }
    let begun = gemini(events(&good()[..2]));
    assert_eq!(
        (tokens(&begun), begun.learned.complete),
        ((Some(20), None), false),
        "text came: its tokens are no zero"
    );
    assert_eq!(source(&begun), UsageSource::Partial);
}

#[test]
fn geminis_last_count_of_each_wins_and_nothing_is_summed() {
    let counted = |candidates: u64| {
        format!(r#"{{"promptTokenCount":9,"candidatesTokenCount":{candidates},"totalTokenCount":{}}}"#, 9 + candidates)
    };
    let every = [says("a", &counted(1)), says("b", &counted(2)), chunk("", "STOP", &uses(&counted(3)))];
    assert_eq!(tokens(&gemini(events(&every))), (Some(9), Some(3)));
    let mut omitted = every.to_vec();
    omitted.push(chunk("", "STOP", &uses(r#"{"promptTokenCount":9}"#)));
    assert_eq!(tokens(&gemini(list(&omitted))), (Some(9), Some(3)), "what is left out takes nothing back");
}

#[test]
fn geminis_tools_are_prompt_and_its_total_is_a_check() {
    let tools = r#"{"promptTokenCount":20,"toolUsePromptTokenCount":300,"cachedContentTokenCount":8,"candidatesTokenCount":10,"thoughtsTokenCount":5,"totalTokenCount":335}"#;
    let (counts, _) = finished(tools).learned.usage.counts(|| (0, 0));
    assert_eq!((counts.prompt, counts.cached, counts.completion, counts.reasoning), (320, 8, 15, 5));
    let total = |usage: &str| tokens(&finished(usage)).1;
    assert_eq!(total(r#"{"promptTokenCount":20,"candidatesTokenCount":10,"totalTokenCount":75}"#), Some(55), "hidden");
    assert_eq!(total(r#"{"promptTokenCount":20,"candidatesTokenCount":10,"totalTokenCount":25}"#), Some(10));
    assert_eq!(total(r#"{"promptTokenCount":20,"toolUsePromptTokenCount":5,"totalTokenCount":75}"#), Some(50));
    assert_eq!(total(r#"{"promptTokenCount":20,"thoughtsTokenCount":7}"#), Some(7), "thought-only");
}

#[test]
fn e2_geminis_usage_may_be_absent_null_or_hostile() {
    for usage in ["null", "{}", "7", r#"{"promptTokenCount":-1,"candidatesTokenCount":"2","totalTokenCount":1e999}"#] {
        let read = gemini(events(&[says("Hi", "null"), chunk("", "STOP", &uses(usage))]));
        assert_eq!(
            (tokens(&read), read.failed, source(&read)),
            ((None, None), None, UsageSource::Estimated),
            "{usage}"
        );
    }
}

#[test]
fn geminis_blocked_prompts_are_paid_and_have_no_answer() {
    let blocked = |usage: &str| {
        let feedback = r#""promptFeedback":{"blockReason":"SAFETY","safetyRatings":[]}"#;
        gemini(format!(r#"data: {{{feedback},"usageMetadata":{usage},"modelVersion":"m"}}"#) + "\n\n")
    };
    let said = blocked(r#"{"promptTokenCount":12,"totalTokenCount":12}"#);
    assert_eq!((tokens(&said), said.failed), ((Some(12), Some(0)), None));
    assert_eq!((said.learned.finish, said.learned.complete), (Some(Finish::ContentFilter), true));
    assert_eq!(tokens(&blocked(r#"{"promptTokenCount":12}"#)), (Some(12), None), "only the total says zero");
}

#[test]
fn gemini_stops_for_reasons_and_calls_functions() {
    for (reason, finish) in [
        ("STOP", Finish::Stop),
        ("MAX_TOKENS", Finish::Length),
        ("SAFETY", Finish::ContentFilter),
        ("RECITATION", Finish::ContentFilter),
        ("LANGUAGE", Finish::ContentFilter),
        ("BLOCKLIST", Finish::ContentFilter),
        ("PROHIBITED_CONTENT", Finish::ContentFilter),
        ("SPII", Finish::ContentFilter),
        ("IMAGE_SAFETY", Finish::ContentFilter),
        ("MALFORMED_FUNCTION_CALL", Finish::Other),
        ("OTHER", Finish::Other),
    ] {
        let read = gemini(events(&[chunk("", reason, "")]));
        assert_eq!((read.learned.finish, read.learned.complete), (Some(finish), true), "{reason}");
    }
    let call = chunk(r#"{"functionCall":{"name":"f","args":{"a":1}}}"#, "STOP", "");
    let called = gemini(events(&[call]));
    assert_eq!((called.learned.finish, called.learned.pieces), (Some(Finish::ToolCalls), 2));
    let second = r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"no"}]},"finishReason":"STOP"}]}"#;
    let read = gemini(second);
    assert_eq!((read.text.as_str(), read.learned.pieces, read.learned.complete), ("", 1, false));
    assert_eq!(gemini(r#"{"candidates":[{"finishReason":"SAFETY"}]}"#).learned.finish, Some(Finish::ContentFilter));
}

#[test]
fn geminis_errors_within_a_stream_keep_what_came_before() {
    let error = r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#.to_owned();
    for form in [events, list] {
        let read = gemini(form(&[says("Hi", BEGUN), error.clone(), says("no", BEGUN)]));
        assert_eq!((read.text.as_str(), read.failed), ("Hi", Some(ErrorKind::StreamError)));
        assert_eq!((tokens(&read), source(&read)), ((Some(20), None), UsageSource::Partial));
    }
    assert_eq!(gemini(&error).failed, Some(ErrorKind::StreamError));
}

#[test]
fn geminis_whole_answers_are_read_where_a_stream_was_asked_for() {
    let body = chunk(r#"{"text":"Hello"}"#, "STOP", &uses(USED));
    let read = gemini(&body);
    assert_eq!((read.text.as_str(), tokens(&read), read.learned.complete), ("Hello", (Some(20), Some(603)), true));
    let cut = gemini(&body[..body.len() / 2]);
    assert_eq!((cut.failed, cut.learned.complete), (None, false));
}

#[test]
fn what_is_not_gemini_is_a_bad_response() {
    for body in ["", "\n", "<html>", "busy", ": only a comment\n\n", "{}", "[]", "[1]", "[{}]", "{\"a\":{}}"] {
        assert_eq!(gemini(body).failed, Some(ErrorKind::BadResponse), "{body}");
    }
    for after in ["x", "{}", "]"] {
        let read = gemini(chunk(r#"{"text":"Hi"}"#, "STOP", "") + after);
        assert_eq!((read.text.as_str(), read.failed), ("Hi", None), "behind the end nothing is the answer's: {after}");
    }
    let crossed = gemini(format!("[{}", chunk(r#"{"text":"Hi"}"#, "", "")) + "{]}");
    assert_eq!((crossed.text.as_str(), crossed.failed), ("Hi", Some(ErrorKind::BadResponse)));
}

#[test]
fn gemini_lists_its_models() {
    let body = br#"{"models":[
        {"name":"models/gemini-2.5-flash","inputTokenLimit":1048576,"supportedGenerationMethods":["generateContent","countTokens"]},
        {"name":"models/gemini-embedding-001","inputTokenLimit":0,"supportedGenerationMethods":["embedContent"]},
        {"name":"tunedModels/mine"},{"displayName":"nameless"}],"nextPageToken":"x"}"#;
    let models = gemini::read_models(body, false).expect("a list");
    let seen: Vec<_> =
        models.iter().map(|model| (model.name.as_str(), model.context_tokens, model.chats, model.local)).collect();
    assert_eq!(
        seen,
        [
            ("gemini-2.5-flash", Some(1_048_576), true, false),
            ("gemini-embedding-001", None, false, false),
            ("tunedModels/mine", None, true, false)
        ]
    );
    assert_eq!(gemini::read_models(b"<html>", false), Err(ErrorKind::BadResponse));
}

#[test]
fn geminis_models_stand_in_the_path_and_cannot_leave_it() {
    let end = ":streamGenerateContent?alt=sse";
    for (model, path) in [
        ("gemini-2.5-flash", "models/gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "models/gemini-2.5-flash"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("../files?key=a#b", "models/..%2Ffiles%3Fkey%3Da%23b"),
        ("ñ é", "models/%C3%B1%20%C3%A9"),
    ] {
        assert_eq!(gemini::chat_path(model), format!("/v1beta/{path}{end}"));
    }
}

#[test]
fn geminis_requests_hold_the_instructions_beside_the_conversation() {
    let request = |messages, max_output_tokens| ChatRequest {
        model: "gemini-2.5-flash".to_owned(),
        messages,
        max_output_tokens,
        lang: Lang::En,
    };
    let text = |request: &ChatRequest| String::from_utf8(gemini::chat_body(request)).expect("JSON is UTF-8");
    let messages = vec![
        ChatMessage::new(Role::System, "Be kind."),
        ChatMessage::new(Role::User, "hi"),
        ChatMessage::new(Role::Assistant, "Hello"),
        ChatMessage::new(Role::User, " "),
        ChatMessage::new(Role::User, "?"),
    ];
    let expected = r#"{"systemInstruction":{"parts":[{"text":"Be kind."}]},"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"Hello"}]},{"role":"user","parts":[{"text":"?"}]}],"generationConfig":{"maxOutputTokens":50}}"#;
    assert_eq!(text(&request(messages, Some(50))), expected);
    let image = Image::new(&b"\x89PNG\r\n\x1a\n"[..]).expect("a picture");
    let pictured = |words: &str| {
        let message = ChatMessage::new(Role::User, words).with_images(vec![image.clone()]).expect("one");
        text(&request(vec![message], None))
    };
    let picture = r#"{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}"#;
    let body = |parts: &str| format!(r#"{{"contents":[{{"role":"user","parts":[{parts}]}}]}}"#);
    assert_eq!(pictured(""), body(picture));
    assert_eq!(pictured("What?"), body(&format!(r#"{picture},{{"text":"What?"}}"#)));
}
