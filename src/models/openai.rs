//! OpenAI's chat completions, as OpenAI and the many compatible servers speak it: body, reader, list of models. Pure.
//!
//! Takes the last usage object seen, wherever it stands, and a plain JSON answer where a stream was asked for.

use serde::{Deserialize, Serialize};

use super::chat::ReadResult;
use super::image::Encoded;
use super::json::{self, Field};
use super::ndjson::MAX_FRAME_BYTES;
use super::sse::{Frame, Frames};
use super::{ChatEvent, ChatMessage, ChatRequest, Finish, Learned, ModelInfo, ReportedUsage, Role};
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
#[derive(Default)]
pub struct Reader {
    form: Form,
    state: State,
}

/// The form of the answer, told by its first significant byte.
enum Form {
    /// Not told yet: what may still become a byte order mark, or nothing.
    Unknown(Vec<u8>),
    Events(Frames),
    /// One JSON object: some servers do not stream.
    Whole(Vec<u8>),
}

impl Default for Form {
    fn default() -> Form {
        Form::Unknown(Vec::new())
    }
}

#[derive(Default)]
struct State {
    learned: Learned,
    /// Whether any frame was one of this API's.
    recognised: bool,
    failed: Option<ErrorKind>,
}

const DONE: &[u8] = b"[DONE]";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Reader {
    /// Takes the next bytes; appends what they say to `events`. After an error it says the same error for ever.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> ReadResult {
        let state = &mut self.state;
        match &mut self.form {
            Form::Unknown(held) => {
                held.extend_from_slice(bytes);
                if let Some(form) = Form::told_by(held) {
                    let begun = std::mem::take(held);
                    self.form = form;
                    return self.push(&begun, events);
                }
            }
            Form::Events(frames) => {
                if frames.push(bytes, |frame| state.frame(frame, events)).is_err() {
                    state.fail(ErrorKind::BadResponse);
                }
            }
            Form::Whole(held) if held.len() + bytes.len() > MAX_FRAME_BYTES => state.fail(ErrorKind::BadResponse),
            Form::Whole(held) => held.extend_from_slice(bytes),
        }
        state.result()
    }

    /// Takes the end of the body. A frame that the end cut off is dropped; whether the answer is whole says
    /// [`Learned::complete`].
    pub fn finish(&mut self, events: &mut Vec<ChatEvent>) -> ReadResult {
        let state = &mut self.state;
        match &mut self.form {
            Form::Unknown(_) => {}
            Form::Events(frames) => frames.finish(|frame| {
                if is_cut(frame.data) {
                    state.recognised = true;
                } else {
                    state.frame(frame, events);
                }
            }),
            Form::Whole(held) => state.whole(&std::mem::take(held), events),
        }
        if !state.recognised {
            state.fail(ErrorKind::BadResponse);
        }
        state.result()
    }

    /// What is known so far.
    pub fn learned(&self) -> &Learned {
        &self.state.learned
    }
}

impl Form {
    /// Drops byte order marks and white space from the front of `held`; tells the form once something else is there.
    fn told_by(held: &mut Vec<u8>) -> Option<Form> {
        let mut rest = held.trim_ascii_start();
        while let Some(after_mark) = rest.strip_prefix(BYTE_ORDER_MARK) {
            rest = after_mark.trim_ascii_start();
        }
        held.drain(..held.len() - rest.len());
        match held.first()? {
            _ if held.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(held) => None,
            b'{' | b'[' => Some(Form::Whole(Vec::new())),
            _ => Some(Form::Events(Frames::default())),
        }
    }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    model: Field<'a>,
    #[serde(borrow, default)]
    service_tier: Field<'a>,
    #[serde(borrow, default)]
    choices: Field<'a>,
    #[serde(borrow, default)]
    usage: Field<'a>,
    #[serde(borrow, default)]
    error: Field<'a>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    index: Field<'a>,
    #[serde(borrow, default)]
    delta: Field<'a>,
    #[serde(borrow, default)]
    message: Field<'a>,
    #[serde(borrow, default)]
    finish_reason: Field<'a>,
}

#[derive(Default, Deserialize)]
struct Words<'a> {
    #[serde(borrow, default)]
    content: Field<'a>,
    #[serde(borrow, default)]
    refusal: Field<'a>,
    #[serde(borrow, default)]
    reasoning_content: Field<'a>,
    #[serde(borrow, default)]
    reasoning: Field<'a>,
    #[serde(borrow, default)]
    tool_calls: Field<'a>,
    #[serde(borrow, default)]
    function_call: Field<'a>,
}

/// Whether this is the beginning of a frame and not the whole of one.
fn is_cut(data: &[u8]) -> bool {
    let data = data.trim_ascii();
    let cut_json = || serde_json::from_slice::<serde::de::IgnoredAny>(data).is_err_and(|error| error.is_eof());
    match data.first() {
        Some(b'{') => cut_json(),
        Some(b'[') => data.len() < DONE.len() && DONE.starts_with(data),
        _ => false,
    }
}

impl State {
    fn fail(&mut self, kind: ErrorKind) {
        self.failed.get_or_insert(kind);
    }

    fn result(&self) -> ReadResult {
        self.failed.map_or(Ok(()), Err)
    }

    fn frame(&mut self, frame: Frame<'_>, events: &mut Vec<ChatEvent>) {
        let data = frame.data.trim_ascii();
        if self.failed.is_some() || self.learned.terminal || data.is_empty() {
            return;
        }
        if data == DONE {
            self.recognised = true;
            self.learned.terminal = true;
            self.learned.complete = true;
        } else if frame.event == "error" {
            self.fail(ErrorKind::StreamError);
        } else {
            self.chunk(data, events);
        }
    }

    /// A whole answer is one chunk with `message` in the place of `delta`; errors may come in a list.
    fn whole(&mut self, body: &[u8], events: &mut Vec<ChatEvent>) {
        let body = body.trim_ascii();
        match body {
            _ if is_cut(body) => self.recognised = true,
            _ if body.starts_with(b"[") => match serde_json::from_slice::<Vec<Chunk<'_>>>(body) {
                Ok(list) if list.iter().any(|chunk| chunk.error.is_some()) => self.fail(ErrorKind::StreamError),
                _ => self.fail(ErrorKind::BadResponse),
            },
            _ => {
                self.chunk(body, events);
                self.learned.complete = self.recognised && self.failed.is_none();
            }
        }
    }

    fn chunk(&mut self, data: &[u8], events: &mut Vec<ChatEvent>) {
        let chunk = if data.starts_with(b"{") { serde_json::from_slice::<Chunk<'_>>(data).ok() } else { None };
        let Some(chunk) = chunk else {
            return self.fail(ErrorKind::BadResponse);
        };
        let learned = &mut self.learned;
        if let Some(usage) = usage(chunk.usage) {
            learned.usage.replace_with(usage);
        }
        if let Some(model) = json::label(chunk.model) {
            learned.served_model = Some(model);
        }
        if let Some(tier) = json::label(chunk.service_tier) {
            learned.service_tier = Some(tier);
        }
        self.recognised |= chunk.choices.is_some() || chunk.usage.is_some();
        for choice in json::object::<Vec<Choice<'_>>>(chunk.choices).unwrap_or_default() {
            self.choice(&choice, events);
        }
        if chunk.error.is_some() && !self.learned.complete {
            self.fail(ErrorKind::StreamError);
        }
    }

    /// Only the first choice is an answer; others (`n` above 1) are paid for but not shown.
    fn choice(&mut self, choice: &Choice<'_>, events: &mut Vec<ChatEvent>) {
        let first = json::count(choice.index).unwrap_or(0) == 0;
        for words in [choice.delta, choice.message].into_iter().filter_map(json::object::<Words<'_>>) {
            let thoughts = json::name(words.reasoning_content).or_else(|| json::name(words.reasoning));
            let texts = content(words.content).into_iter().chain(json::name(words.refusal));
            for event in thoughts.map(ChatEvent::Thinking).into_iter().chain(texts.map(ChatEvent::Text)) {
                self.learned.pieces += 1;
                if first {
                    events.push(event);
                }
            }
            if json::is_filled_list(words.tool_calls) || words.function_call.is_some() {
                self.learned.pieces += 1;
            }
        }
        if let Some(reason) = json::name(choice.finish_reason).filter(|_| first) {
            self.learned.complete = true;
            self.learned.finish = Some(match reason.as_str() {
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
            let parts: Vec<Part<'_>> = json::object(field).unwrap_or_default();
            parts.into_iter().filter_map(|part| json::name(part.text)).collect()
        }
    }
}

/// Reads a `usage` object; `None` where there is none.
pub(super) fn usage(field: Field<'_>) -> Option<ReportedUsage> {
    #[derive(Deserialize)]
    struct Usage<'a> {
        #[serde(borrow, default)]
        prompt_tokens: Field<'a>,
        #[serde(borrow, default)]
        completion_tokens: Field<'a>,
        #[serde(borrow, default)]
        total_tokens: Field<'a>,
        #[serde(borrow, default)]
        prompt_tokens_details: Field<'a>,
        #[serde(borrow, default)]
        completion_tokens_details: Field<'a>,
    }
    #[derive(Default, Deserialize)]
    struct Details<'a> {
        #[serde(borrow, default)]
        cached_tokens: Field<'a>,
        #[serde(borrow, default)]
        cache_write_tokens: Field<'a>,
        #[serde(borrow, default)]
        reasoning_tokens: Field<'a>,
    }
    let usage: Usage<'_> = json::object(field)?;
    let prompt: Details<'_> = json::object(usage.prompt_tokens_details).unwrap_or_default();
    let completion: Details<'_> = json::object(usage.completion_tokens_details).unwrap_or_default();
    let reported = ReportedUsage {
        prompt: json::count(usage.prompt_tokens),
        completion: json::count(usage.completion_tokens),
        cached: json::count(prompt.cached_tokens),
        cache_write: json::count(prompt.cache_write_tokens),
        reasoning: json::count(completion.reasoning_tokens),
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
