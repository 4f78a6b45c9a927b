//! Gemini's generateContent: the request body, the list of models. Pure.

use serde::{Deserialize, Serialize};

use super::image::Encoded;
use super::json::{self, Field};
use super::{ChatMessage, ChatRequest, ModelInfo, Role};
use crate::usage::ErrorKind;

/// Where the models are listed; without a page size it lists fifty.
pub const MODELS_PATH: &str = "/v1beta/models?pageSize=1000";

/// Where chats with `model` go. A name with its collection (`models/gemini-2.5-flash`, `tunedModels/mine`) is taken as
/// it is; whatever cannot stand in a path is written in percent.
pub fn chat_path(model: &str) -> String {
    let collections = ["models/", "tunedModels/"];
    let (collection, name) = collections
        .iter()
        .find_map(|collection| Some((*collection, model.strip_prefix(collection)?)))
        .unwrap_or(("models/", model));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let written = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let name: String = name.bytes().map(written).collect();
    format!("/v1beta/{collection}{name}:streamGenerateContent?alt=sse")
}

/// The JSON body of a chat.
pub fn chat_body(request: &ChatRequest) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        system_instruction: Option<Instruction<'a>>,
        contents: Vec<Content<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        generation_config: Option<GenerationConfig>,
    }
    #[derive(Serialize)]
    struct Instruction<'a> {
        parts: [Text<'a>; 1],
    }
    #[derive(Serialize)]
    struct Text<'a> {
        text: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct GenerationConfig {
        max_output_tokens: u64,
    }
    let system = request.system_prompt();
    let body = Body {
        system_instruction: system.as_deref().map(|text| Instruction { parts: [Text { text }] }),
        contents: request.said().map(Content::of).collect(),
        generation_config: request.max_output_tokens.map(|max_output_tokens| GenerationConfig { max_output_tokens }),
    };
    serde_json::to_vec(&body).expect("strings and numbers can be written")
}

#[derive(Serialize)]
struct Content<'a> {
    role: &'static str,
    parts: Vec<WrittenPart<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum WrittenPart<'a> {
    Text(&'a str),
    InlineData(Blob<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blob<'a> {
    mime_type: &'static str,
    data: Encoded<'a>,
}

impl<'a> Content<'a> {
    /// Pictures come first, as Google advises.
    fn of(message: &'a ChatMessage) -> Content<'a> {
        let images = message.images().iter();
        let images = images.map(|image| Blob { mime_type: image.media_type().as_str(), data: image.base64() });
        let text = (!message.is_blank()).then_some(WrittenPart::Text(&message.content));
        let role = if message.role == Role::Assistant { "model" } else { "user" };
        Content { role, parts: images.map(WrittenPart::InlineData).chain(text).collect() }
    }
}

/// Reads the answer of [`MODELS_PATH`].
pub fn read_models(body: &[u8], local: bool) -> Result<Vec<ModelInfo>, ErrorKind> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        models: Vec<Entry<'a>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
    struct Entry<'a> {
        name: Field<'a>,
        input_token_limit: Field<'a>,
        supported_generation_methods: Field<'a>,
    }
    let list: List<'_> = serde_json::from_slice(body).map_err(|_| ErrorKind::BadResponse)?;
    let info = |entry: Entry<'_>| {
        let name = json::name(entry.name)?;
        let methods: Option<Vec<String>> = json::list(entry.supported_generation_methods);
        Some(ModelInfo {
            name: name.strip_prefix("models/").unwrap_or(&name).to_owned(),
            local,
            size_bytes: None,
            context_tokens: json::count(entry.input_token_limit).filter(|&tokens| tokens > 0),
            chats: methods.is_none_or(|methods| methods.iter().any(|method| method == "generateContent")),
        })
    };
    Ok(list.models.into_iter().filter_map(info).collect())
}
