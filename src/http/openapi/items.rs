//! What is sent to the books: items of usage, and lines of an import.

use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::parts::schema;
use crate::service::items::{MAX_COST_USD, MAX_MILLIS, MAX_TOKENS};
use crate::usage::names::MAX_NAME_BYTES;
use crate::usage::{Status, UsageSource};

/// One call. Every field may be missing, or null.
pub(super) fn usage_item() -> RefOr<Schema> {
    let mut properties = Map::new();
    let mut add = |names: &[&str], value: Value| {
        properties.extend(names.iter().map(|name| ((*name).to_owned(), value.clone())));
    };
    let counts = ["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "cache_write_tokens"];
    let more =
        ["cache_write_1h_tokens", "reasoning_tokens", "input_tokens", "inputTokens", "output_tokens", "outputTokens"];
    let count = json!({"type": ["integer", "null"], "minimum": 0, "maximum": MAX_TOKENS});
    add(&counts, count.clone());
    add(&more, count);
    let names =
        ["api_type", "model", "provider", "request_type", "feature", "agent", "agent_name", "operation", "team"];
    add(&names, json!({"type": ["string", "null"]}));
    add(&["service_tier", "api_key_suffix", "error_message"], json!({"type": ["string", "null"]}));
    let ids = ["id", "request_id", "requestId", "source"];
    // A whole number is taken as its text.
    add(
        &ids,
        json!({"type": ["string", "integer", "null"], "minimum": 0, "minLength": 1, "maxLength": MAX_NAME_BYTES}),
    );
    let identities = ["user", "user_id", "userId", "session", "session_id", "sessionId"];
    add(&identities, json!({"type": ["string", "integer", "null"], "minimum": 0, "minLength": 1, "maxLength": 256}));
    add(&["latency_ms", "first_token_ms"], json!({"type": ["number", "null"], "minimum": 0, "maximum": MAX_MILLIS}));
    add(&["cost_usd", "cost"], json!({"type": ["number", "string", "null"], "minimum": 0, "maximum": MAX_COST_USD}));
    add(&["success", "local"], json!({"type": ["boolean", "null"]}));
    add(&["status"], one_of(&Status::ALL.map(Status::as_str)));
    add(&["usage_source"], one_of(&UsageSource::ALL.map(UsageSource::as_str)));
    add(&["channel"], one_of(&["api", "shell"]));
    let time = "RFC 3339; without an offset the owner's zone is meant";
    add(&["timestamp"], json!({"type": ["string", "null"], "description": time}));
    add(&["metadata"], json!({"type": ["object", "null"], "description": "the caller's own data, at most 4096 bytes"}));
    schema(json!({
        "type": "object",
        "description": "a finished model call; fields that contradict each other make it one that is not taken",
        "properties": properties,
        "additionalProperties": false,
        "examples": [{"id": "req-1", "provider": "openai", "model": "gpt-4o", "prompt_tokens": 150, "completion_tokens": 320}],
    }))
}

fn one_of(names: &[&str]) -> Value {
    let all: Vec<Value> = names.iter().map(|name| Value::from(*name)).chain([Value::Null]).collect();
    json!({"type": ["string", "null"], "enum": all})
}

/// A record with its `source`, or an opening balance.
pub(super) fn import_line() -> RefOr<Schema> {
    schema(json!({
        "type": "object",
        "description": "a record as in docs/files.md without `seq` and `crc` and with a `source`, or an opening balance",
        "properties": {
            "opening": {"type": "object"},
            "source": {"type": "object", "required": ["name", "id"], "properties": {"name": {"type": "string"}, "id": {"type": "string"}}},
        },
    }))
}
