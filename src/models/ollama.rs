//! Ollama's native chat API: the request body, the list of models. Pure.

use serde::{Deserialize, Serialize};

use super::image::{Encoded, Image};
use super::json::{self, Field};
use super::{ChatRequest, ModelInfo, Role};
use crate::usage::ErrorKind;

/// Where chats go, below the provider's URL.
pub const CHAT_PATH: &str = "/api/chat";
/// Where the models are listed.
pub const TAGS_PATH: &str = "/api/tags";
/// The cheapest question there is.
pub const VERSION_PATH: &str = "/api/version";

/// The JSON body of a streamed chat.
pub fn chat_body(request: &ChatRequest) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        messages: Vec<Message<'a>>,
        stream: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        options: Option<Options>,
    }
    #[derive(Serialize)]
    struct Message<'a> {
        role: Role,
        content: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        images: Vec<Encoded<'a>>,
    }
    #[derive(Serialize)]
    struct Options {
        num_predict: u64,
    }
    let body = Body {
        model: &request.model,
        messages: request
            .messages
            .iter()
            .map(|message| Message {
                role: message.role,
                content: &message.content,
                images: message.images().iter().map(Image::base64).collect(),
            })
            .collect(),
        stream: true,
        options: request.max_output_tokens.map(|num_predict| Options { num_predict }),
    };
    serde_json::to_vec(&body).expect("strings and numbers can be written")
}

/// Whether a model's name says that Ollama hands it on to its cloud.
pub fn is_cloud_name(model: &str) -> bool {
    model.ends_with(":cloud") || model.ends_with("-cloud")
}

/// Reads the answer of [`TAGS_PATH`].
pub fn read_models(body: &[u8]) -> Result<Vec<ModelInfo>, ErrorKind> {
    #[derive(Deserialize)]
    struct Tags<'a> {
        #[serde(borrow)]
        models: Vec<Tag<'a>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, bound(deserialize = "'de: 'a"))]
    struct Tag<'a> {
        name: Field<'a>,
        model: Field<'a>,
        size: Field<'a>,
        details: Field<'a>,
        capabilities: Field<'a>,
        remote_model: Field<'a>,
        remote_host: Field<'a>,
    }
    #[derive(Default, Deserialize)]
    struct Details<'a> {
        #[serde(borrow, default)]
        context_length: Field<'a>,
    }
    let tags: Tags<'_> = serde_json::from_slice(body).map_err(|_| ErrorKind::BadResponse)?;
    let info = |tag: Tag<'_>| {
        let name = json::name(tag.name).or_else(|| json::name(tag.model))?;
        let remote = json::name(tag.remote_model).is_some() || json::name(tag.remote_host).is_some();
        let capabilities: Option<Vec<String>> = json::list(tag.capabilities);
        Some(ModelInfo {
            local: !remote && !is_cloud_name(&name),
            size_bytes: json::count(tag.size).filter(|&size| size > 0),
            context_tokens: json::count(json::object::<Details<'_>>(tag.details).unwrap_or_default().context_length),
            chats: capabilities.is_none_or(|list| list.is_empty() || list.iter().any(|word| word == "completion")),
            name,
        })
    };
    Ok(tags.models.into_iter().filter_map(info).collect())
}
