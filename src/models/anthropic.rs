//! Anthropic's Messages API: the request body, what its counts mean, the list of models. Pure.
//!
//! Its input total leaves cache reads and writes out, so the prompt is the sum of three. Counts in a stream are
//! cumulative: each replaces the one before it, and the output count that comes first is a placeholder.

use serde::{Deserialize, Serialize};

use super::image::Encoded;
use super::json::{self, Field};
use super::{ChatMessage, ChatRequest, ModelInfo, ReportedUsage, Role};
use crate::usage::ErrorKind;

/// Where chats go.
pub const MESSAGES_PATH: &str = "/v1/messages";
/// Where the models are listed; without a limit it lists twenty.
pub const MODELS_PATH: &str = "/v1/models?limit=1000";
/// The version of the API that is spoken, for the header `anthropic-version`.
pub const VERSION: &str = "2023-06-01";

/// The output limit where none is set, since the API wants one: what the model with the shortest answers (Claude 3
/// Haiku, by Anthropic's table of models) still takes.
pub const DEFAULT_MAX_TOKENS: u64 = 4096;

/// What an iteration of a message is called that sums up what was said before: it is billed beside the message's counts.
pub(super) const COMPACTION: &str = "compaction";

/// The speed that is a tier of its own: dearer, and not named as one.
pub(super) const FAST: &str = "fast";

/// The JSON body of a streamed chat.
pub fn chat_body(request: &ChatRequest) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        max_tokens: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        system: Option<String>,
        messages: Vec<Message<'a>>,
        stream: bool,
    }
    #[derive(Serialize)]
    struct Message<'a> {
        role: Role,
        content: Content<'a>,
    }
    let body = Body {
        model: &request.model,
        max_tokens: request.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
        system: request.system_prompt(),
        messages: request.said().map(|message| Message { role: message.role, content: Content::of(message) }).collect(),
        stream: true,
    };
    serde_json::to_vec(&body).expect("strings and numbers can be written")
}

/// The content of a message: the text itself, or blocks where there are pictures.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a str),
    Blocks(Vec<Block<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'a str },
    Image { source: Source<'a> },
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "base64")]
struct Source<'a> {
    media_type: &'static str,
    data: Encoded<'a>,
}

impl<'a> Content<'a> {
    /// Pictures come first, as Anthropic advises.
    fn of(message: &'a ChatMessage) -> Content<'a> {
        if message.images().is_empty() {
            return Content::Text(&message.content);
        }
        let text = (!message.is_blank()).then_some(Block::Text { text: &message.content });
        let images = message.images().iter().map(|image| Block::Image {
            source: Source { media_type: image.media_type().as_str(), data: image.base64() },
        });
        Content::Blocks(images.chain(text).collect())
    }
}

/// The counts as Anthropic divides them: the three inputs are beside each other.
#[derive(Clone, Copy, Default)]
pub(super) struct Usage {
    pub(super) input: Option<u64>,
    pub(super) cache_read: Option<u64>,
    pub(super) cache_write: Option<u64>,
    /// The parts of `cache_write` that are kept for five minutes and for an hour.
    pub(super) write_5m: Option<u64>,
    pub(super) write_1h: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) thinking: Option<u64>,
    /// What summing up took, beside all of these.
    pub(super) compacted: Option<ReportedUsage>,
}

impl Usage {
    /// Takes over a later report: what it says takes the place of what was said before. Some say zero of an input that
    /// they told before, which takes nothing back, but where an input that was guessed has turned out to be in the cache.
    pub(super) fn replace_with(&mut self, later: Usage) {
        let replace = |count: &mut Option<u64>, later: Option<u64>| *count = later.or(*count);
        let raise = |count: &mut Option<u64>, later: Option<u64>| {
            *count = later.filter(|later| *later > 0).or(*count).or(later)
        };
        let before = self.beside();
        raise(&mut self.cache_read, later.cache_read);
        raise(&mut self.cache_write, later.cache_write);
        raise(&mut self.write_5m, later.write_5m);
        raise(&mut self.write_1h, later.write_1h);
        if self.beside() > before {
            replace(&mut self.input, later.input)
        } else {
            raise(&mut self.input, later.input)
        }
        replace(&mut self.output, later.output);
        replace(&mut self.thinking, later.thinking);
        self.compacted = later.compacted.or(self.compacted);
    }

    /// What all rounds that summed up took together; nothing where there were none.
    pub(super) fn compacted(all: impl Iterator<Item = Usage>) -> ReportedUsage {
        let nothing = ReportedUsage { prompt: Some(0), completion: Some(0), ..ReportedUsage::default() };
        all.map(Usage::reported).fold(nothing, ReportedUsage::plus)
    }

    /// What was written to the cache. The total goes before its division, which may be missing.
    fn written(&self) -> Option<u64> {
        let divided = || Some(self.write_5m?.saturating_add(self.write_1h.unwrap_or(0))).or(self.write_1h);
        self.cache_write.or_else(divided)
    }

    /// The input beside what is neither read from the cache nor written to it.
    fn beside(&self) -> u64 {
        self.cache_read.unwrap_or(0).saturating_add(self.written().unwrap_or(0))
    }

    /// In the terms of the books.
    pub(super) fn reported(self) -> ReportedUsage {
        let written = self.written();
        let long = self.write_1h.map(|long| long.min(written.unwrap_or(0)));
        let own = ReportedUsage {
            prompt: self.input.map(|input| input.saturating_add(self.beside())),
            completion: self.output,
            cached: self.cache_read,
            cache_write: written.map(|written| written - long.unwrap_or(0)),
            cache_write_1h: long,
            reasoning: self.thinking,
        };
        self.compacted.map_or(own, |compacted| own.plus(compacted))
    }
}

/// Reads the answer of [`MODELS_PATH`].
pub fn read_models(body: &[u8], local: bool) -> Result<Vec<ModelInfo>, ErrorKind> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        data: Vec<Entry<'a>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default, bound(deserialize = "'de: 'a"))]
    struct Entry<'a> {
        id: Field<'a>,
        max_input_tokens: Field<'a>,
    }
    let list: List<'_> = serde_json::from_slice(body).map_err(|_| ErrorKind::BadResponse)?;
    let info = |entry: Entry<'_>| {
        let context_tokens = json::count(entry.max_input_tokens).filter(|&tokens| tokens > 0);
        Some(ModelInfo { name: json::name(entry.id)?, local, size_bytes: None, context_tokens, chats: true })
    };
    Ok(list.data.into_iter().filter_map(info).collect())
}
