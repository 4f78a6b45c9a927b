//! OpenAI's chat completions, as OpenAI and the many compatible servers speak it: request body, list of models. Pure.

use serde::{Deserialize, Serialize};

use super::image::Encoded;
use super::json::{self, Field};
use super::{ChatMessage, ChatRequest, ModelInfo, Role};
use crate::usage::ErrorKind;

/// Where chats go, below a URL that ends in `/v1` or the like.
pub const CHAT_PATH: &str = "/chat/completions";
/// Where the models are listed.
pub const MODELS_PATH: &str = "/models";

/// What differs between servers in how a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The name of the output limit.
    pub limit: LimitField,
    /// Whether usage is asked for with `stream_options`.
    pub stream_options: bool,
}

/// The two names of the output limit: compatible servers know the old one, OpenAI's reasoning models only the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitField {
    /// `max_tokens`
    MaxTokens,
    /// `max_completion_tokens`
    MaxCompletionTokens,
}

impl LimitField {
    /// The other one.
    pub(super) fn other(self) -> LimitField {
        match self {
            LimitField::MaxTokens => LimitField::MaxCompletionTokens,
            LimitField::MaxCompletionTokens => LimitField::MaxTokens,
        }
    }

    /// The name in the request.
    pub fn as_str(self) -> &'static str {
        match self {
            LimitField::MaxTokens => "max_tokens",
            LimitField::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// The JSON body of a streamed chat.
pub fn chat_body(request: &ChatRequest, dialect: Dialect) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        messages: Vec<Message<'a>>,
        stream: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        stream_options: Option<StreamOptions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_tokens: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_completion_tokens: Option<u64>,
    }
    #[derive(Serialize)]
    struct Message<'a> {
        role: Role,
        content: Content<'a>,
    }
    #[derive(Serialize)]
    struct StreamOptions {
        include_usage: bool,
    }
    let limit = |field: LimitField| request.max_output_tokens.filter(|_| dialect.limit == field);
    let body = Body {
        model: &request.model,
        messages: request
            .messages
            .iter()
            .map(|message| Message { role: message.role, content: Content::of(message) })
            .collect(),
        stream: true,
        stream_options: dialect.stream_options.then_some(StreamOptions { include_usage: true }),
        max_tokens: limit(LimitField::MaxTokens),
        max_completion_tokens: limit(LimitField::MaxCompletionTokens),
    };
    serde_json::to_vec(&body).expect("strings and numbers can be written")
}

/// The content of a message: the text itself, which every server reads, or parts where there are pictures.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Parts(Vec<Part<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl<'a> },
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: Encoded<'a>,
}

impl<'a> Content<'a> {
    fn of(message: &'a ChatMessage) -> Content<'a> {
        if message.images().is_empty() {
            return Content::Text(&message.content);
        }
        let text = (!message.content.is_empty()).then_some(Part::Text { text: &message.content });
        let images =
            message.images().iter().map(|image| Part::ImageUrl { image_url: ImageUrl { url: image.data_uri() } });
        Content::Parts(text.into_iter().chain(images).collect())
    }
}

/// Reads the answer of [`MODELS_PATH`]. The API does not say where a model runs: `local` is the owner's word.
pub fn read_models(body: &[u8], local: bool) -> Result<Vec<ModelInfo>, ErrorKind> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        data: Vec<Entry<'a>>,
    }
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow, default)]
        id: Field<'a>,
    }
    let list: List<'_> = serde_json::from_slice(body).map_err(|_| ErrorKind::BadResponse)?;
    let info = |name| ModelInfo { name, local, size_bytes: None, context_tokens: None, chats: true };
    Ok(list.data.into_iter().filter_map(|entry| json::name(entry.id)).map(info).collect())
}
