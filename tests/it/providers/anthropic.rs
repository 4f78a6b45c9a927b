//! The replies of a polite server of Anthropic's Messages.

use serde_json::{Value, json};

use super::{Hit, Reply};

const MODEL: &str = "claude-haiku-4-5-20251001";

fn event(data: Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().expect("every event has a type"))
}

/// The events of a streamed chat with this usage at its beginning and at its end.
pub fn chat_events(pieces: &[&str], first: Value, last: Value) -> Vec<String> {
    let message = json!({"id": "msg_01", "type": "message", "role": "assistant", "model": MODEL, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": first});
    let block = json!({"type": "text", "text": ""});
    let start = [
        event(json!({"type": "message_start", "message": message})),
        event(json!({"type": "content_block_start", "index": 0, "content_block": block})),
        event(json!({"type": "ping"})),
    ];
    let delta = |text: &&str| json!({"type": "text_delta", "text": text});
    let says = |text| event(json!({"type": "content_block_delta", "index": 0, "delta": delta(text)}));
    let stop = json!({"stop_reason": "end_turn", "stop_sequence": null});
    let mut events = vec![start.concat()];
    events.extend(pieces.iter().map(says));
    events.push(event(json!({"type": "content_block_stop", "index": 0})));
    events.push(event(json!({"type": "message_delta", "delta": stop, "usage": last})));
    events.push(event(json!({"type": "message_stop"})));
    events
}

/// A streamed chat with this usage.
pub fn chat_using(pieces: &[&str], first: Value, last: Value) -> Reply {
    Reply::stream("text/event-stream; charset=utf-8", chat_events(pieces, first, last)).header("request-id", "req_1")
}

/// A streamed chat.
pub fn chat(pieces: &[&str], prompt_tokens: u64, completion_tokens: u64) -> Reply {
    let first = json!({"input_tokens": prompt_tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "output_tokens": 1, "service_tier": "standard"});
    chat_using(pieces, first, json!({"output_tokens": completion_tokens}))
}

/// An error before any answer.
pub fn error(status: u16, kind: &str, message: &str) -> Reply {
    let error = json!({"type": kind, "message": message, "details": null});
    Reply::json(status, json!({"type": "error", "error": error, "request_id": "req_1"}).to_string())
        .header("request-id", "req_1")
}

/// A server that lists these models, and plays `chat` for every chat.
pub fn polite(models: &[&str], chat: Reply) -> impl Fn(&Hit) -> Reply + Send + Sync + 'static {
    let models: Vec<_> = models.iter().map(|id| json!({"type": "model", "id": id})).collect();
    move |hit| match (hit.method.as_str(), hit.path.as_str()) {
        _ if hit.header("anthropic-version") != Some("2023-06-01") => {
            error(400, "invalid_request_error", "anthropic-version: header is required")
        }
        ("POST", "/v1/messages") if !hit.json()["max_tokens"].is_u64() => {
            error(400, "invalid_request_error", "max_tokens: Field required")
        }
        ("POST", "/v1/messages") => chat.clone(),
        ("GET", "/v1/models?limit=1000") => Reply::json(200, json!({"data": models, "has_more": false}).to_string()),
        _ => error(404, "not_found_error", "Not found"),
    }
}
