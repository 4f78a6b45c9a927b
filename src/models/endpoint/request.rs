//! What a request asks for, and the two changes that may be made to it: spliced in by offset, never written anew.

use serde::Deserialize;

use super::Endpoint;
use crate::models::Kind;
use crate::models::json::{self, Field};
use crate::usage::estimate_tokens;

/// What the request of a metered endpoint asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The model, from the body or (Gemini) the path; `None` when it is not said.
    pub model: Option<String>,
    /// Whether the answer is to come in pieces.
    pub stream: bool,
    /// The most tokens that may be generated, all choices together; `None` when no limit is set.
    pub output_cap: Option<u64>,
    /// Our estimate of the prompt, not calibrated, pictures included.
    pub prompt_tokens: u64,
    /// The part of it that is system text; `None` where there is none.
    pub system_tokens: Option<u64>,
    /// Whether pictures are sent.
    pub has_pictures: bool,
    /// Whether the answer will tell its usage as the request stands: it asks for it, or this API needs no asking.
    pub usage_asked: bool,
}

/// A request that cannot be metered as it stands: servers could read it otherwise than we do. Holds nothing of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRequest {
    /// It is not one JSON object.
    #[error("the body must be one JSON object, for example {{\"model\":\"…\",…}}")]
    NotAnObject,
    /// A key that decides what is done or paid stands twice.
    #[error("`{key}` stands twice in the body; servers disagree on which counts: send it once")]
    Twice {
        /// The key.
        key: &'static str,
    },
    /// Such a key has a value of another type.
    #[error("`{key}` must be {expected}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What it must be, with an example.
        expected: &'static str,
    },
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    model: Field<'a>,
    #[serde(borrow, default)]
    stream: Field<'a>,
    #[serde(borrow, default)]
    stream_options: Field<'a>,
    #[serde(borrow, default)]
    messages: Field<'a>,
    #[serde(borrow, default)]
    max_tokens: Field<'a>,
}

#[derive(Default, Deserialize)]
struct StreamOptions<'a> {
    #[serde(borrow, default)]
    include_usage: Field<'a>,
}

/// Reads what the request at `path` asks for.
///
/// # Errors
/// When the body is not one JSON object, or servers could read it in more than one way.
pub fn read_request(
    endpoint: Endpoint,
    _kind: Kind,
    path: &str,
    _query: Option<&str>,
    body: &[u8],
) -> Result<Asked, MalformedRequest> {
    let read: Body<'_> = serde_json::from_slice(body).map_err(|_| MalformedRequest::NotAnObject)?;
    let stream = json::is_true(read.stream);
    let options: StreamOptions<'_> = json::object(read.stream_options).unwrap_or_default();
    Ok(Asked {
        model: if endpoint.names_model_in_path() { super::path::model_of(path) } else { json::text(read.model) },
        stream,
        output_cap: json::count(read.max_tokens),
        prompt_tokens: read.messages.map_or(0, |raw| estimate_tokens(raw.get())),
        usage_asked: !(endpoint.must_be_asked() && stream) || json::is_true(options.include_usage),
        ..Asked::default()
    })
}

/// The body with `stream_options.include_usage` true; `None` when nothing is to change.
pub fn with_usage_asked(endpoint: Endpoint, body: &[u8]) -> Option<Vec<u8>> {
    let read: Body<'_> = serde_json::from_slice(body).ok()?;
    if !endpoint.must_be_asked() || !json::is_true(read.stream) {
        return None;
    }
    let open = body.iter().position(|&byte| byte == b'{')? + 1;
    match read.stream_options {
        Some(_) => None,
        None => Some([&body[..open], b"\"stream_options\":{\"include_usage\":true},", &body[open..]].concat()),
    }
}

/// The body with another model; `None` when it names none.
pub fn with_model(body: &[u8], model: &str) -> Option<Vec<u8>> {
    let read: Body<'_> = serde_json::from_slice(body).ok()?;
    let old = read.model?.get();
    let at = old.as_ptr() as usize - body.as_ptr() as usize;
    let new = serde_json::to_vec(model).ok()?;
    Some([&body[..at], &new, &body[at + old.len()..]].concat())
}
