//! The replies of a polite server of Gemini's generateContent.

use serde_json::{Value, json};

use super::{Hit, Reply};

const MODEL: &str = "gemini-2.5-flash";

fn chunk(text: &str, finish: Option<&str>, usage: &Value) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": [{"text": text}]}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL, "responseId": "resp_1"})
}

/// The answers that a streamed chat is made of, the last one with this usage.
pub fn chat_chunks(pieces: &[&str], usage: &Value) -> Vec<Value> {
    let prompt = &usage["promptTokenCount"];
    let early = json!({"promptTokenCount": prompt, "totalTokenCount": prompt});
    let says = pieces.iter().map(|piece| chunk(piece, None, &early));
    says.chain([chunk("", Some("STOP"), usage)]).collect()
}

/// A streamed chat with this usage, as events.
pub fn chat_using(pieces: &[&str], usage: &Value) -> Reply {
    let frames = chat_chunks(pieces, usage).into_iter().map(|chunk| format!("data: {chunk}\r\n\r\n"));
    Reply::stream("text/event-stream", frames)
}

/// A streamed chat.
pub fn chat(pieces: &[&str], prompt_tokens: u64, completion_tokens: u64) -> Reply {
    let total = prompt_tokens + completion_tokens;
    let usage = json!({"promptTokenCount": prompt_tokens, "candidatesTokenCount": completion_tokens,
        "totalTokenCount": total, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt_tokens}]});
    chat_using(pieces, &usage)
}

/// An error before any answer.
pub fn error(status: u16, name: &str, message: &str, details: Value) -> Reply {
    let error = json!({"code": status, "message": message, "status": name, "details": details});
    Reply::json(status, json!({"error": error}).to_string())
}

/// A server that lists these models, and plays `chat` for every chat with one of them.
pub fn polite(models: &[&str], chat: Reply) -> impl Fn(&Hit) -> Reply + Send + Sync + 'static {
    let stream = "streamGenerateContent?alt=sse";
    let paths: Vec<_> = models.iter().map(|name| format!("/v1beta/models/{name}:{stream}")).collect();
    let methods = ["generateContent", "countTokens"];
    let entry = |name: &&str| json!({"name": format!("models/{name}"), "inputTokenLimit": 1_048_576, "supportedGenerationMethods": methods});
    let models: Vec<_> = models.iter().map(entry).collect();
    move |hit| match (hit.method.as_str(), hit.path.as_str()) {
        ("POST", path) if paths.iter().any(|known| known == path) => chat.clone(),
        ("GET", "/v1beta/models?pageSize=1000") => Reply::json(200, json!({"models": models}).to_string()),
        _ => error(404, "NOT_FOUND", "not found", json!([])),
    }
}
