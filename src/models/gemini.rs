//! Gemini's generateContent: the request body, the reader of its stream, its list of models. Pure.
//!
//! A stream is made of whole answers, as events or as one JSON list. Each count of tokens is cumulative and the last of
//! it holds; what is zero is left out. Thinking is beside the answer's count, cached input inside the prompt's.

use serde::{Deserialize, Serialize};

use super::form::{self, Known, Piece, Pieces};
use super::image::Encoded;
use super::json::{self, Field};
use super::{ChatEvent, ChatMessage, ChatRequest, Finish, ModelInfo, ReportedUsage, Role};
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

/// Reads a streamed or whole answer, in bytes cut anywhere.
pub type Reader = form::Reader<State>;

/// What the pieces of an answer said.
#[derive(Default)]
pub struct State {
    known: Known,
    usage: Usage,
    calls_functions: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Chunk<'a> {
    candidates: Field<'a>,
    prompt_feedback: Field<'a>,
    usage_metadata: Field<'a>,
    model_version: Field<'a>,
    response_id: Field<'a>,
    error: Field<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Candidate<'a> {
    index: Field<'a>,
    content: Field<'a>,
    finish_reason: Field<'a>,
}

#[derive(Default, Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    parts: Field<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct SaidPart<'a> {
    text: Field<'a>,
    thought: Field<'a>,
    function_call: Field<'a>,
}

impl Pieces for State {
    fn piece(&mut self, piece: Piece<'_>, events: &mut Vec<ChatEvent>) {
        match piece {
            Piece::Event(frame) if frame.data.trim_ascii().is_empty() => {}
            Piece::Event(frame) if frame.event == "error" => self.known.fail(ErrorKind::StreamError),
            Piece::Event(frame) => self.chunk(frame.data, events),
            Piece::Whole(object) | Piece::Listed(object) => self.chunk(object, events),
            Piece::Cut => self.known.recognised = true,
            Piece::Broken => self.known.fail(ErrorKind::BadResponse),
        }
    }

    fn known(&self) -> &Known {
        &self.known
    }

    fn known_mut(&mut self) -> &mut Known {
        &mut self.known
    }
}

impl State {
    fn chunk(&mut self, data: &[u8], events: &mut Vec<ChatEvent>) {
        let data = data.trim_ascii();
        let Some(chunk) = json::whole_object::<Chunk<'_>>(data) else {
            return self.known.fail(ErrorKind::BadResponse);
        };
        if chunk.error.is_some() {
            return self.known.fail(ErrorKind::StreamError);
        }
        self.known.recognised |=
            chunk.candidates.is_some() || chunk.usage_metadata.is_some() || chunk.prompt_feedback.is_some();
        for candidate in json::objects::<Candidate<'_>>(chunk.candidates).unwrap_or_default() {
            self.candidate(&candidate, events);
        }
        self.is_blocked(chunk.prompt_feedback);
        let learned = &mut self.known.learned;
        learned.served_model = json::label(chunk.model_version).or(learned.served_model.take());
        learned.request_id = json::name(chunk.response_id).or(learned.request_id.take());
        self.uses(chunk.usage_metadata);
    }

    /// Only the first candidate is an answer; others are paid for but not shown.
    fn candidate(&mut self, candidate: &Candidate<'_>, events: &mut Vec<ChatEvent>) {
        let first = json::count(candidate.index).unwrap_or(0) == 0;
        let said: Said<'_> = json::object(candidate.content).unwrap_or_default();
        for part in json::objects::<SaidPart<'_>>(said.parts).unwrap_or_default() {
            let text = json::name(part.text);
            let calls = part.function_call.is_some();
            self.known.learned.pieces += u64::from(text.is_some()) + u64::from(calls);
            self.calls_functions |= calls && first;
            let is_thought = json::is_true(part.thought);
            let event = text.map(|text| if is_thought { ChatEvent::Thinking(text) } else { ChatEvent::Text(text) });
            events.extend(event.filter(|_| first));
        }
        if let Some(reason) = json::name(candidate.finish_reason).filter(|_| first) {
            self.stops(&reason);
        }
    }

    fn stops(&mut self, reason: &str) {
        self.known.learned.complete = true;
        self.known.learned.finish = Some(match reason {
            "STOP" if self.calls_functions => Finish::ToolCalls,
            "STOP" => Finish::Stop,
            "MAX_TOKENS" => Finish::Length,
            "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "IMAGE_SAFETY" => {
                Finish::ContentFilter
            }
            _ => Finish::Other,
        });
    }

    /// A prompt that is blocked has no answer.
    fn is_blocked(&mut self, feedback: Field<'_>) {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Feedback<'a> {
            #[serde(borrow, default)]
            block_reason: Field<'a>,
        }
        let feedback: Feedback<'_> = json::object(feedback).unwrap_or_default();
        if json::name(feedback.block_reason).is_some() {
            self.known.learned.complete = true;
            self.known.learned.finish = Some(Finish::ContentFilter);
        }
    }

    fn uses(&mut self, usage: Field<'_>) {
        let Some(usage) = json::object::<WireUsage<'_>>(usage) else { return };
        let learned = &mut self.known.learned;
        learned.service_tier = json::label(usage.service_tier).or(learned.service_tier.take());
        self.usage.replace_with(&usage);
        learned.usage = self.usage.reported(learned.pieces > 0);
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct WireUsage<'a> {
    prompt_token_count: Field<'a>,
    tool_use_prompt_token_count: Field<'a>,
    cached_content_token_count: Field<'a>,
    candidates_token_count: Field<'a>,
    thoughts_token_count: Field<'a>,
    total_token_count: Field<'a>,
    service_tier: Field<'a>,
}

/// The last of each count.
#[derive(Clone, Copy, Default)]
struct Usage {
    prompt: Option<u64>,
    tool_prompt: Option<u64>,
    cached: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
    total: Option<u64>,
}

impl Usage {
    fn replace_with(&mut self, later: &WireUsage<'_>) {
        let replace = |count: &mut Option<u64>, field| *count = json::count(field).or(*count);
        replace(&mut self.prompt, later.prompt_token_count);
        replace(&mut self.tool_prompt, later.tool_use_prompt_token_count);
        replace(&mut self.cached, later.cached_content_token_count);
        replace(&mut self.candidates, later.candidates_token_count);
        replace(&mut self.thoughts, later.thoughts_token_count);
        replace(&mut self.total, later.total_token_count);
    }

    /// In the terms of the books. The total shows output that no other count names; that there was none it says only
    /// where nothing `was_said`, since older models count their output at the end alone.
    fn reported(self, was_said: bool) -> ReportedUsage {
        let tool_prompt = self.tool_prompt.unwrap_or(0);
        let output = [self.candidates, self.thoughts].into_iter().flatten().reduce(u64::saturating_add);
        let usage = ReportedUsage {
            prompt: self.prompt.map(|prompt| prompt.saturating_add(tool_prompt)),
            completion: output,
            cached: self.cached,
            reasoning: self.thoughts,
            ..ReportedUsage::default()
        };
        let with_total = usage.with_total(self.total);
        let is_unsaid = was_said && output.is_none() && with_total.completion == Some(0);
        if is_unsaid { usage } else { with_total }
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
