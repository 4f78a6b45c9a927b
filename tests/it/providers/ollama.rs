//! The replies of a polite Ollama.

use serde_json::json;

use super::{Hit, Reply};

const CREATED: &str = "2026-11-22T10:00:00.100Z";

/// The lines of a streamed chat: one per piece, and the last with the counts.
pub fn chat_lines(pieces: &[&str], prompt_tokens: u64, completion_tokens: u64) -> Vec<String> {
    let line = |content: &str| {
        json!({"model": "llama3.2", "created_at": CREATED, "message": {"role": "assistant", "content": content},
            "done": false})
    };
    let end = json!({"model": "llama3.2", "created_at": CREATED, "message": {"role": "assistant", "content": ""},
        "done": true, "done_reason": "stop", "total_duration": 812345678, "load_duration": 12345678,
        "prompt_eval_count": prompt_tokens, "prompt_eval_duration": 130079000,
        "eval_count": completion_tokens, "eval_duration": 60000000});
    pieces.iter().map(|piece| line(piece)).chain([end]).map(|line| format!("{line}\n")).collect()
}

/// A streamed chat.
pub fn chat(pieces: &[&str], prompt_tokens: u64, completion_tokens: u64) -> Reply {
    Reply::stream("application/x-ndjson", chat_lines(pieces, prompt_tokens, completion_tokens))
}

/// An error before any answer.
pub fn error(status: u16, text: &str) -> Reply {
    Reply::json(status, json!({"error": text}).to_string())
}

/// A server that has these models, and plays `chat` for every chat.
pub fn polite(models: &[&str], chat: Reply) -> impl Fn(&Hit) -> Reply + Send + Sync + 'static {
    let models: Vec<_> = models
        .iter()
        .map(|name| {
            json!({"name": name, "model": name, "modified_at": CREATED, "size": 2019393189u64,
            "digest": "a80c4f17", "details": {"format": "gguf", "family": "llama", "families": ["llama"],
            "parameter_size": "3.2B", "quantization_level": "Q4_K_M"}})
        })
        .collect();
    move |hit| match (hit.method.as_str(), hit.path.as_str()) {
        ("POST", "/api/chat") => chat.clone(),
        ("GET", "/api/tags") => Reply::json(200, json!({"models": models}).to_string()),
        ("GET", "/api/version") => Reply::json(200, r#"{"version":"0.33.3"}"#),
        ("GET", "/") => Reply::whole(200, "text/plain", "Ollama is running"),
        _ => Reply::whole(404, "text/plain", "404 page not found"),
    }
}
