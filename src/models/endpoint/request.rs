//! What a request asks for.

use super::Endpoint;
use super::keys::{Heeded, Key};
use super::path::{deployment_of, model_of, percent_decoded};
use super::prompt;
use crate::models::Kind;
use crate::usage::Vocabulary;

/// What the request of a metered endpoint asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The model, from the body or the path (of Gemini, and Azure's deployments, whatever the body says); `None` when it
    /// is not said.
    pub model: Option<String>,
    /// Other models that the provider may ask instead, and one that the body names beside the path.
    pub other_models: Vec<String>,
    /// The tier it is to be served in, as it is named; `None` when it is not said.
    pub service_tier: Option<String>,
    /// Whether the answer is to come in pieces.
    pub stream: bool,
    /// The most tokens that may be generated, all choices together; `None` when no limit is set.
    pub output_cap: Option<u64>,
    /// How many answers are to be made.
    pub answers: u64,
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
    #[error(
        "the body is not a JSON object; expected one in UTF-8, for example {{\"model\":\"gpt-4o-mini\",\"messages\":[]}}"
    )]
    NotAnObject,
    /// A parameter of the query takes the usage out of the answer.
    #[error("the query's `{name}` hides what the answer used; expected {expected}")]
    HidesUsage {
        /// The parameter.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// Its lists and objects are nested too deep.
    #[error("the body is nested deeper than {} levels; no API needs as many", super::scan::MAX_DEPTH)]
    TooDeep,
    /// A key that decides what is done or paid stands twice.
    #[error("`{key}` stands twice in the body, and servers disagree on which counts; expected it once")]
    Twice {
        /// The key.
        key: &'static str,
    },
    /// Such a key stands there in another case, which some servers take for it and some do not.
    #[error("a key in the body differs from `{key}` only in upper and lower case; expected `{key}`")]
    OtherCase {
        /// The key.
        key: &'static str,
    },
    /// Such a key has a value of another type.
    #[error("`{key}` in the body is not {expected}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What it must be, with an example.
        expected: &'static str,
    },
}

/// Reads what the request asks for. `path` names the model of Gemini's, whose query decides on the form of the answer.
///
/// # Errors
/// When the body is not one JSON object, or servers could read it in more than one way; when the answer would be in a
/// form that cannot be read.
pub fn read_request(
    endpoint: Endpoint,
    kind: Kind,
    path: &str,
    query: Option<&str>,
    body: &[u8],
) -> Result<Asked, MalformedRequest> {
    if endpoint.names_model_in_path() {
        shows_usage(query.unwrap_or_default())?;
    }
    let (mut keys, prompt) = prompt::read(endpoint, body)?;
    let mut other_models = keys.take_other_models();
    let model = if endpoint.names_model_in_path() {
        model_of(path)
    } else if let Some(deployed) = deployment_of(path) {
        other_models.extend(keys.take_model());
        Some(deployed)
    } else {
        keys.take_model()
    };
    let stream = match endpoint {
        Endpoint::StreamGenerateContent => true,
        Endpoint::OllamaChat | Endpoint::OllamaGenerate => keys.flag(Key::Stream).unwrap_or(true),
        _ if endpoint.embeds() || endpoint.names_model_in_path() => false,
        _ => keys.flag(Key::Stream) == Some(true),
    };
    let heeded = Heeded::by(endpoint, kind);
    let prompts = if heeded.each_prompt { prompt.prompts() } else { 1 };
    let vocabulary = Vocabulary::of(model.as_deref().unwrap_or_default());
    Ok(Asked {
        service_tier: keys.take_tier(&heeded),
        stream,
        output_cap: keys.output_cap(&heeded).map(|cap| cap.saturating_mul(prompts)),
        answers: keys.answers(&heeded).saturating_mul(prompts),
        prompt_tokens: prompt.tokens(kind, vocabulary),
        system_tokens: prompt.system_tokens(vocabulary),
        has_pictures: prompt.has_pictures(),
        usage_asked: !(endpoint.must_be_asked() && stream) || keys.flag(Key::IncludeUsage) == Some(true),
        model,
        other_models,
    })
}

/// Google's APIs answer in other forms than JSON, and in parts, when the query says so.
fn shows_usage(query: &str) -> Result<(), MalformedRequest> {
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (name, value) = (percent_decoded(name).to_ascii_lowercase(), percent_decoded(value).to_ascii_lowercase());
        match name.trim_start_matches('$') {
            "alt" if !matches!(value.as_str(), "" | "sse" | "json") => {
                return Err(MalformedRequest::HidesUsage { name: "alt", expected: "`alt=sse`, `alt=json` or none" });
            }
            "fields" => return Err(MalformedRequest::HidesUsage { name: "fields", expected: "none" }),
            _ => {}
        }
    }
    Ok(())
}
