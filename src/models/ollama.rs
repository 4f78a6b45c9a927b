//! Ollama's native chat API: the request body, the reader of its NDJSON, its list of models. Pure.
//!
//! Reads the generate API's lines (`response` instead of `message`) as well. All counts of Ollama are left out when zero.

use serde::{Deserialize, Serialize};

use super::chat::ReadResult;
use super::form::Known;
use super::image::{Encoded, Image};
use super::json::{self, Field};
use super::ndjson::Lines;
use super::{ChatEvent, ChatRequest, Finish, Learned, ModelInfo, ReportedUsage, Role};
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

/// Reads a streamed or whole answer, in bytes cut anywhere.
#[derive(Default)]
pub struct Reader {
    lines: Lines,
    state: State,
}

#[derive(Default)]
struct State {
    known: Known,
    tool_calls: bool,
}

impl Reader {
    /// Takes the next bytes; appends what they say to `events`. After an error it says the same error for ever.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> ReadResult {
        let state = &mut self.state;
        if self.lines.push(bytes, |line| state.line(line, events)).is_err() {
            state.known.fail(ErrorKind::BadResponse);
        }
        state.known.result()
    }

    /// Takes the end of the body. A line that the end cut off is dropped; whether the answer is whole says
    /// [`Learned::complete`].
    pub fn finish(&mut self, events: &mut Vec<ChatEvent>) -> ReadResult {
        let state = &mut self.state;
        self.lines.finish(|line| match serde_json::from_slice::<Line<'_>>(line) {
            Err(error) if error.is_eof() && line.starts_with(b"{") => state.known.recognised = true,
            _ => state.line(line, events),
        });
        state.known.finished()
    }

    /// What is known so far.
    pub fn learned(&self) -> &Learned {
        &self.state.known.learned
    }
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Line<'a> {
    model: Field<'a>,
    message: Field<'a>,
    response: Field<'a>,
    thinking: Field<'a>,
    error: Field<'a>,
    done: Field<'a>,
    done_reason: Field<'a>,
    prompt_eval_count: Field<'a>,
    prompt_eval_cached_count: Field<'a>,
    eval_count: Field<'a>,
    remote_model: Field<'a>,
    remote_host: Field<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Message<'a> {
    content: Field<'a>,
    thinking: Field<'a>,
    tool_calls: Field<'a>,
}

impl State {
    fn line(&mut self, line: &[u8], events: &mut Vec<ChatEvent>) {
        if self.known.result().is_err() || line.trim_ascii().is_empty() {
            return;
        }
        let Some(line) = json::whole_object::<Line<'_>>(line) else {
            return self.known.fail(ErrorKind::BadResponse);
        };
        if line.error.is_some() && !self.known.learned.complete {
            return self.known.fail(ErrorKind::StreamError);
        }
        self.known.recognised |= line.message.is_some() || line.response.is_some() || line.done.is_some();
        self.words(&line, events);
        if let Some(model) = json::label(line.model) {
            self.known.learned.served_model = Some(model);
        }
        self.known.learned.remote |= json::name(line.remote_model).is_some() || json::name(line.remote_host).is_some();
        let reason = json::name(line.done_reason);
        let done = json::is_true(line.done);
        if done || reason.is_some() {
            self.end(&line, reason.as_deref());
            self.known.learned.terminal |= done;
        }
    }

    fn words(&mut self, line: &Line<'_>, events: &mut Vec<ChatEvent>) {
        let message = json::object::<Message<'_>>(line.message).unwrap_or_default();
        for thought in [message.thinking, line.thinking].into_iter().filter_map(json::name) {
            self.known.learned.pieces += 1;
            events.push(ChatEvent::Thinking(thought));
        }
        for text in [message.content, line.response].into_iter().filter_map(json::name) {
            self.known.learned.pieces += 1;
            events.push(ChatEvent::Text(text));
        }
        if json::is_filled_list(message.tool_calls) {
            self.known.learned.pieces += 1;
            self.tool_calls = true;
        }
    }

    /// Some builds end with a reason but without `done:true`; a second end replaces the counts of the first.
    fn end(&mut self, line: &Line<'_>, reason: Option<&str>) {
        let learned = &mut self.known.learned;
        let mut usage = ReportedUsage {
            prompt: json::count(line.prompt_eval_count),
            completion: json::count(line.eval_count),
            cached: json::count(line.prompt_eval_cached_count),
            ..ReportedUsage::default()
        };
        let did_nothing = matches!(reason, Some("load" | "unload"));
        if line.eval_count.is_none() && learned.pieces == 0 && learned.usage.completion.is_none() {
            usage.completion = Some(0); // left out because it is zero: nothing was generated
        }
        if did_nothing && line.prompt_eval_count.is_none() {
            usage.prompt = Some(0); // only loading or unloading: no prompt was read
        }
        learned.usage.replace_with(usage);
        learned.complete = true;
        learned.finish = match reason {
            Some("length") => Some(Finish::Length),
            _ if self.tool_calls => Some(Finish::ToolCalls),
            Some("stop") => Some(Finish::Stop),
            Some(_) => Some(Finish::Other),
            None => learned.finish.or(Some(Finish::Other)),
        };
    }
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
