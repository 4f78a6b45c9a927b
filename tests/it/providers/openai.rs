//! The replies of a polite server of OpenAI's chat completions.

use serde_json::{Value, json};

use super::{Hit, Reply};

const MODEL: &str = "gpt-4o-mini-2024-07-18";

/// The frames of a streamed chat: role, pieces, finish, usage, `[DONE]`.
pub fn chat_frames(pieces: &[&str], prompt_tokens: u64, completion_tokens: u64) -> Vec<String> {
    let usage = usage(prompt_tokens, completion_tokens);
    let choice = |delta: Value, finish: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        json!({"id": "chatcmpl-A1", "object": "chat.completion.chunk", "model": MODEL, "choices": choices, "usage": null})
    };
    let mut chunks = vec![choice(json!({"role": "assistant", "content": ""}), Value::Null)];
    chunks.extend(pieces.iter().map(|piece| choice(json!({"content": piece}), Value::Null)));
    chunks.push(choice(json!({}), json!("stop")));
    chunks.push(
        json!({"id": "chatcmpl-A1", "object": "chat.completion.chunk", "model": MODEL, "choices": [], "usage": usage}),
    );
    let frames = chunks.into_iter().map(|chunk| format!("data: {chunk}\n\n"));
    frames.chain(["data: [DONE]\n\n".to_owned()]).collect()
}

/// A streamed chat.
pub fn chat(pieces: &[&str], prompt_tokens: u64, completion_tokens: u64) -> Reply {
    Reply::stream("text/event-stream", chat_frames(pieces, prompt_tokens, completion_tokens))
        .header("x-request-id", "req_1")
}

/// The JSON of a chat that is not streamed.
pub fn chat_json(text: &str, prompt_tokens: u64, completion_tokens: u64) -> String {
    let message = json!({"role": "assistant", "content": text, "refusal": null});
    let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
    let usage = usage(prompt_tokens, completion_tokens);
    json!({"id": "chatcmpl-A1", "object": "chat.completion", "model": MODEL, "choices": choices, "usage": usage})
        .to_string()
}

fn usage(prompt_tokens: u64, completion_tokens: u64) -> Value {
    let total_tokens = prompt_tokens + completion_tokens;
    json!({"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total_tokens})
}

/// An error before any answer.
pub fn error(status: u16, code: &str, message: &str) -> Reply {
    error_about(status, code, message, None)
}

/// An error that names a field of the request.
pub fn error_about(status: u16, code: &str, message: &str, param: Option<&str>) -> Reply {
    let error = json!({"message": message, "type": "invalid_request_error", "param": param, "code": code});
    Reply::json(status, json!({"error": error}).to_string())
}

/// A server that lists these models, and plays `chat` for every chat.
pub fn polite(models: &[&str], chat: Reply) -> impl Fn(&Hit) -> Reply + Send + Sync + 'static {
    let models: Vec<_> = models.iter().map(|id| json!({"id": id, "object": "model"})).collect();
    move |hit| match (hit.method.as_str(), hit.path.as_str()) {
        ("POST", "/v1/chat/completions") => chat.clone(),
        ("GET", "/v1/models") => Reply::json(200, json!({"object": "list", "data": models}).to_string()),
        _ => error(404, "not_found", "unknown url"),
    }
}
