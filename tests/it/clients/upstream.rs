//! One polite server for all four APIs, with numbers of its own for every answer.
//!
//! The answer to its `n`th request used `100 + n` tokens of input and `n` of output. It tells usage where the API does, and
//! only when asked where the API must be asked.

use serde_json::{Value, json};

use crate::providers::{Hit, Reply, openai};

/// What the answers of this server say.
const TEXT: [&str; 2] = ["Hello", " there"];

/// What the answer to a hit used.
pub fn used(hit: &Hit) -> (u64, u64) {
    let n = hit.number as u64;
    (100 + n, n)
}

/// The answer to a hit.
pub fn answer(hit: &Hit) -> Reply {
    let path = hit.path.split('?').next().unwrap_or_default();
    let last = path.rsplit(['/', ':']).next().unwrap_or_default();
    let of_gemini = hit.header("x-goog-api-key").is_some();
    match (hit.method.as_str(), last) {
        ("GET", "models") => models(hit, of_gemini),
        ("GET", "tags") => Reply::json(200, json!({"models": [{"model": "tiny", "name": "tiny"}]}).to_string()),
        _ if asks_for_nothing_known(hit) => missing(path, of_gemini),
        ("POST", "completions") if path.ends_with("/chat/completions") => chat_completions(hit),
        ("POST", "completions") => completions(hit),
        ("POST", "responses") => responses(hit),
        ("POST", "embeddings") => embeddings(hit),
        ("POST", "messages") => messages(hit),
        ("POST", "count_tokens") => Reply::json(200, json!({"input_tokens": 14}).to_string()),
        ("POST", "generateContent") => Reply::json(200, content(hit, &TEXT.concat(), true).to_string()),
        ("POST", "streamGenerateContent") => content_stream(hit),
        ("POST", "batchEmbedContents") => Reply::json(
            200,
            json!({"embeddings": [{"values": [0.5, 0.25]}], "usageMetadata": {"promptTokenCount": used(hit).0}})
                .to_string(),
        ),
        ("POST", "chat") => ollama(hit, |text, tools| ("message", message(text, tools))),
        ("POST", "generate") => ollama(hit, |text, _| ("response", json!(text))),
        ("POST", "embed") => {
            let vectors = json!({"model": "tiny", "embeddings": [[0.5, 0.25]], "prompt_eval_count": used(hit).0});
            Reply::json(200, vectors.to_string())
        }
        _ => Reply::json(404, json!({"error": "no such path"}).to_string()),
    }
}

fn models(hit: &Hit, of_gemini: bool) -> Reply {
    let list = if of_gemini {
        json!({"models": [{"name": "models/tiny"}]})
    } else if hit.header("anthropic-version").is_some() {
        let model =
            json!({"type": "model", "id": "tiny", "display_name": "Tiny", "created_at": "2026-01-01T00:00:00Z"});
        json!({"data": [model], "has_more": false, "first_id": "tiny", "last_id": "tiny"})
    } else {
        json!({"object": "list", "data": [{"id": "tiny", "object": "model", "created": 1, "owned_by": "us"}]})
    };
    Reply::json(200, list.to_string())
}

fn asks_for_nothing_known(hit: &Hit) -> bool {
    hit.json()["model"] == "missing" || hit.path.contains("/missing:")
}

fn missing(path: &str, of_gemini: bool) -> Reply {
    let text = "model `missing` not found";
    let error = match path {
        _ if of_gemini => json!({"error": {"code": 404, "message": text, "status": "NOT_FOUND"}}),
        path if path.ends_with("/messages") => {
            json!({"type": "error", "error": {"type": "not_found_error", "message": text}, "request_id": "req_1"})
        }
        path if path.starts_with("/api/") => json!({"error": text}),
        _ => {
            json!({"error": {"message": text, "type": "invalid_request_error", "param": null, "code": "model_not_found"}})
        }
    };
    Reply::json(404, error.to_string())
}

fn wants_tools(hit: &Hit) -> bool {
    hit.json()["tools"].as_array().is_some_and(|tools| !tools.is_empty())
}

fn streams(hit: &Hit) -> bool {
    hit.json()["stream"] == true
}

fn sse(events: impl IntoIterator<Item = Value>, named: bool, end: &str) -> Reply {
    let frame = |data: Value| match data["type"].as_str() {
        Some(name) if named => format!("event: {name}\ndata: {data}\n\n"),
        _ => format!("data: {data}\n\n"),
    };
    let frames: Vec<String> = events.into_iter().map(frame).chain((!end.is_empty()).then(|| end.to_owned())).collect();
    Reply::stream("text/event-stream", frames)
}

fn chat_completions(hit: &Hit) -> Reply {
    let (prompt, completion) = used(hit);
    let function = json!({"name": "weather", "arguments": "{\"city\":\"Lima\"}"});
    if !streams(hit) {
        let plain = openai::chat_json(&TEXT.concat(), prompt, completion);
        let mut whole: Value = serde_json::from_str(&plain).expect("JSON");
        if wants_tools(hit) {
            whole["choices"][0]["message"]["tool_calls"] =
                json!([{"id": "c1", "type": "function", "function": function}]);
            whole["choices"][0]["finish_reason"] = json!("tool_calls");
        }
        return Reply::json(200, whole.to_string());
    }
    let mut frames = openai::chat_frames(&TEXT, prompt, completion);
    if hit.json()["stream_options"]["include_usage"] != true {
        frames.remove(frames.len() - 2);
    }
    Reply::stream("text/event-stream", frames)
}

fn completions(hit: &Hit) -> Reply {
    let (prompt, completion) = used(hit);
    let usage = json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion});
    let choices = json!([{"index": 0, "text": TEXT.concat(), "finish_reason": "stop", "logprobs": null}]);
    let whole = json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "tiny", "choices": choices, "usage": usage});
    Reply::json(200, whole.to_string())
}

fn embeddings(hit: &Hit) -> Reply {
    let prompt = used(hit).0;
    // The Python client asks for base64: two floats of 32 bits.
    let vector = if hit.json()["encoding_format"] == "base64" { json!("AAAAPwAAgD4=") } else { json!([0.5, 0.25]) };
    let data = json!([{"object": "embedding", "index": 0, "embedding": vector}]);
    let usage = json!({"prompt_tokens": prompt, "total_tokens": prompt});
    Reply::json(200, json!({"object": "list", "data": data, "model": "tiny", "usage": usage}).to_string())
}

fn responses(hit: &Hit) -> Reply {
    let (input, output) = used(hit);
    let text = json!({"type": "output_text", "text": TEXT.concat(), "annotations": []});
    let message =
        json!({"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [text]});
    let usage = json!({"input_tokens": input, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + output});
    let response = |status: &str, output: Value, usage: Value| {
        json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": null,
            "incomplete_details": null, "model": "tiny", "output": output, "usage": usage, "tools": [],
            "parallel_tool_calls": true, "tool_choice": "auto", "metadata": {}})
    };
    let whole = response("completed", json!([message]), usage);
    if !streams(hit) {
        return Reply::json(200, whole.to_string());
    }
    let begun = response("in_progress", json!([]), Value::Null);
    let in_item = |kind: &str| json!({"type": kind, "output_index": 0, "item_id": "msg_1", "content_index": 0});
    let mut empty = message.clone();
    (empty["content"], empty["status"]) = (json!([]), json!("in_progress"));
    let mut added = in_item("response.content_part.added");
    added["part"] = json!({"type": "output_text", "text": "", "annotations": []});
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": empty}),
        added,
    ];
    events.extend(TEXT.map(|text| {
        let mut delta = in_item("response.output_text.delta");
        delta["delta"] = json!(text);
        delta
    }));
    events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": message}));
    events.push(json!({"type": "response.completed", "response": whole}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    sse(events, true, "")
}

fn messages(hit: &Hit) -> Reply {
    let (input, output) = used(hit);
    // Anthropic counts what it read from its cache beside the rest of the input.
    let usage = json!({"input_tokens": input - 40, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 0, "output_tokens": output});
    let mut content = vec![json!({"type": "text", "text": TEXT.concat()})];
    if wants_tools(hit) {
        content.push(json!({"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Lima"}}));
    }
    let stop = if wants_tools(hit) { "tool_use" } else { "end_turn" };
    let message = |content: Value, stop: Value, usage: &Value| {
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "tiny", "content": content,
            "stop_reason": stop, "stop_sequence": null, "usage": usage})
    };
    if !streams(hit) {
        return Reply::json(200, message(json!(content), json!(stop), &usage).to_string());
    }
    let mut first = usage.clone();
    first["output_tokens"] = json!(1);
    let mut events = vec![
        json!({"type": "message_start", "message": message(json!([]), Value::Null, &first)}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
    ];
    events.extend(
        TEXT.map(
            |text| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
        ),
    );
    events.push(json!({"type": "content_block_stop", "index": 0}));
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": output}}));
    events.push(json!({"type": "message_stop"}));
    sse(events, true, "")
}

/// One answer of Gemini's; only the last one of a stream is `whole` and tells what was generated.
fn content(hit: &Hit, text: &str, whole: bool) -> Value {
    let (prompt, completion) = used(hit);
    let mut parts = vec![json!({"text": text})];
    if wants_tools(hit) && whole {
        parts.push(json!({"functionCall": {"name": "weather", "args": {"city": "Lima"}}}));
    }
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    let mut usage = json!({"promptTokenCount": prompt, "totalTokenCount": prompt});
    if whole {
        candidate["finishReason"] = json!("STOP");
        usage = json!({"promptTokenCount": prompt, "candidatesTokenCount": completion, "totalTokenCount": prompt + completion});
    }
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "tiny", "responseId": "r1"})
}

fn content_stream(hit: &Hit) -> Reply {
    let [first, last] = TEXT;
    sse([content(hit, first, false), content(hit, last, true)], false, "")
}

fn message(text: &str, tools: bool) -> Value {
    let mut message = json!({"role": "assistant", "content": text});
    if tools {
        message["tool_calls"] = json!([{"function": {"name": "weather", "arguments": {"city": "Lima"}}}]);
    }
    message
}

/// Ollama's lines, or the one object of an answer that is not streamed.
fn ollama(hit: &Hit, says: impl Fn(&str, bool) -> (&'static str, Value)) -> Reply {
    let (prompt, completion) = used(hit);
    let line = |text: &str, done: bool| {
        let (key, said) = says(text, wants_tools(hit));
        let mut line = json!({"model": "tiny", "created_at": "2026-11-22T10:00:00.1Z", "done": done});
        line[key] = said;
        if done {
            line["done_reason"] = json!("stop");
            (line["prompt_eval_count"], line["eval_count"]) = (json!(prompt), json!(completion));
        }
        line
    };
    if hit.json()["stream"] == false {
        return Reply::json(200, line(&TEXT.concat(), true).to_string());
    }
    let lines = [line(TEXT[0], false), line(TEXT[1], false), line("", true)];
    Reply::stream("application/x-ndjson", lines.map(|line| format!("{line}\n")))
}
