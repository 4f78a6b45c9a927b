//! OpenAI's chat completions, as OpenAI and the many compatible servers speak it: body, reader, list of models. Pure.
//!
//! Takes the last usage object seen, wherever it stands, and a plain JSON answer where a stream was asked for.

use serde::{Deserialize, Serialize};

use super::form::{self, DONE, Known, Piece, Pieces};
use super::image::Encoded;
use super::json::{self, Field};
use super::sse::Frame;
use super::{ChatEvent, ChatMessage, ChatRequest, Finish, ModelInfo, ReportedUsage, Role};
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

/// Reads a streamed or whole answer, in bytes cut anywhere.
pub type Reader = form::Reader<State>;

/// What the pieces of an answer said.
#[derive(Default)]
pub struct State {
    known: Known,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Chunk<'a> {
    model: Field<'a>,
    service_tier: Field<'a>,
    choices: Field<'a>,
    usage: Field<'a>,
    error: Field<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Choice<'a> {
    index: Field<'a>,
    delta: Field<'a>,
    message: Field<'a>,
    finish_reason: Field<'a>,
    /// Moonshot's, where it is not asked for.
    usage: Field<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Words<'a> {
    content: Field<'a>,
    refusal: Field<'a>,
    reasoning_content: Field<'a>,
    reasoning: Field<'a>,
    tool_calls: Field<'a>,
    function_call: Field<'a>,
}

impl Pieces for State {
    fn piece(&mut self, piece: Piece<'_>, events: &mut Vec<ChatEvent>) {
        match piece {
            Piece::Event(frame) => self.frame(frame, events),
            Piece::Whole(object) => {
                self.chunk(object, events);
                self.known.learned.complete = self.known.recognised && self.known.result().is_ok();
            }
            Piece::Listed(object) => self.error_in_list(object),
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
    fn frame(&mut self, frame: Frame<'_>, events: &mut Vec<ChatEvent>) {
        let data = frame.data.trim_ascii();
        if data == DONE {
            self.known.recognised = true;
            self.known.learned.terminal = true;
            self.known.learned.complete = true;
        } else if frame.event == "error" && !data.is_empty() {
            self.known.fail(ErrorKind::StreamError);
        } else if !data.is_empty() {
            self.chunk(data, events);
        }
    }

    /// Some servers put an error into a list; nothing else comes in one.
    fn error_in_list(&mut self, object: &[u8]) {
        let is_error = serde_json::from_slice::<Chunk<'_>>(object).is_ok_and(|chunk| chunk.error.is_some());
        self.known.fail(if is_error { ErrorKind::StreamError } else { ErrorKind::BadResponse });
    }

    fn chunk(&mut self, data: &[u8], events: &mut Vec<ChatEvent>) {
        let Some(chunk) = json::whole_object::<Chunk<'_>>(data) else {
            return self.known.fail(ErrorKind::BadResponse);
        };
        let choices = json::objects::<Choice<'_>>(chunk.choices).unwrap_or_default();
        let learned = &mut self.known.learned;
        for usage in choices.iter().map(|choice| choice.usage).chain([chunk.usage]).filter_map(usage) {
            learned.usage.replace_with(usage);
        }
        if let Some(model) = json::label(chunk.model) {
            learned.served_model = Some(model);
        }
        if let Some(tier) = json::label(chunk.service_tier) {
            learned.service_tier = Some(tier);
        }
        self.known.recognised |= chunk.choices.is_some() || chunk.usage.is_some();
        for choice in &choices {
            self.choice(choice, events);
        }
        if chunk.error.is_some() && !self.known.learned.complete {
            self.known.fail(ErrorKind::StreamError);
        }
    }

    /// Only the first choice is an answer; others (`n` above 1) are paid for but not shown.
    fn choice(&mut self, choice: &Choice<'_>, events: &mut Vec<ChatEvent>) {
        let first = json::count(choice.index).unwrap_or(0) == 0;
        for words in [choice.delta, choice.message].into_iter().filter_map(json::object::<Words<'_>>) {
            let thoughts = json::name(words.reasoning_content).or_else(|| json::name(words.reasoning));
            let texts = content(words.content).into_iter().chain(json::name(words.refusal));
            for event in thoughts.map(ChatEvent::Thinking).into_iter().chain(texts.map(ChatEvent::Text)) {
                self.known.learned.pieces += 1;
                if first {
                    events.push(event);
                }
            }
            if json::is_filled_list(words.tool_calls) || words.function_call.is_some() {
                self.known.learned.pieces += 1;
            }
        }
        if let Some(reason) = json::name(choice.finish_reason).filter(|_| first) {
            self.known.learned.complete = true;
            self.known.learned.finish = Some(match reason.as_str() {
                "stop" => Finish::Stop,
                "length" => Finish::Length,
                "tool_calls" | "function_call" => Finish::ToolCalls,
                "content_filter" => Finish::ContentFilter,
                _ => Finish::Other,
            });
        }
    }
}

/// Text, or the texts of a list of parts.
fn content(field: Field<'_>) -> Vec<String> {
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow, default)]
        text: Field<'a>,
    }
    match json::text(field) {
        Some(text) => Some(text).filter(|text| !text.is_empty()).into_iter().collect(),
        None => {
            let parts: Vec<Part<'_>> = json::objects(field).unwrap_or_default();
            parts.into_iter().filter_map(|part| json::name(part.text)).collect()
        }
    }
}

/// Reads a `usage` object; `None` where there is none.
pub(super) fn usage(field: Field<'_>) -> Option<ReportedUsage> {
    #[derive(Default, Deserialize)]
    #[serde(default, bound(deserialize = "'de: 'a"))]
    struct Usage<'a> {
        prompt_tokens: Field<'a>,
        completion_tokens: Field<'a>,
        total_tokens: Field<'a>,
        /// Where Moonshot and DeepSeek tell of it.
        cached_tokens: Field<'a>,
        prompt_cache_hit_tokens: Field<'a>,
        prompt_tokens_details: Field<'a>,
        completion_tokens_details: Field<'a>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, bound(deserialize = "'de: 'a"))]
    struct Details<'a> {
        cached_tokens: Field<'a>,
        cache_write_tokens: Field<'a>,
        reasoning_tokens: Field<'a>,
    }
    let usage: Usage<'_> = json::object(field)?;
    let prompt: Details<'_> = json::object(usage.prompt_tokens_details).unwrap_or_default();
    let completion: Details<'_> = json::object(usage.completion_tokens_details).unwrap_or_default();
    let cached = [prompt.cached_tokens, usage.cached_tokens, usage.prompt_cache_hit_tokens];
    let reported = ReportedUsage {
        prompt: json::count(usage.prompt_tokens),
        completion: json::count(usage.completion_tokens),
        cached: cached.into_iter().filter_map(json::count).max(),
        cache_write: json::count(prompt.cache_write_tokens),
        reasoning: json::count(completion.reasoning_tokens),
        ..ReportedUsage::default()
    };
    Some(reported.with_total(json::count(usage.total_tokens)))
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
