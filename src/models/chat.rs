//! What is asked of a model and what comes back, the same for every provider.
//!
//! `Debug` of anything that holds a person's or a model's words shows only how long they are.

use crate::templates::Lang;
use std::fmt;

use super::ReportedUsage;
use super::image::{Image, ImageError, MAX_IMAGES};
use crate::usage::ErrorKind;
use crate::usage::names::Name;

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The owner's instructions.
    System,
    /// The person.
    User,
    /// The model, earlier.
    Assistant,
}

/// One message of a conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct ChatMessage {
    /// Who wrote it.
    pub role: Role,
    /// What was written.
    pub content: String,
    /// The pictures that came with it; at most [`MAX_IMAGES`].
    images: Vec<Image>,
}

impl ChatMessage {
    /// A message by `role`.
    pub fn new(role: Role, content: impl Into<String>) -> ChatMessage {
        ChatMessage { role, content: content.into(), images: Vec::new() }
    }

    /// The message with these pictures.
    ///
    /// # Errors
    /// When they are too many.
    pub fn with_images(self, images: Vec<Image>) -> Result<ChatMessage, ImageError> {
        if images.len() > MAX_IMAGES {
            return Err(ImageError::TooMany { count: images.len() });
        }
        Ok(ChatMessage { images, ..self })
    }

    /// The pictures that came with it.
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// Whether it has no words. Anthropic and Google refuse a text without any.
    pub(super) fn is_blank(&self) -> bool {
        self.content.trim().is_empty()
    }
}

impl fmt::Debug for ChatMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.role, self.content.len())?;
        if self.images.is_empty() { Ok(()) } else { write!(f, "{:?}", self.images) }
    }
}

/// A chat to be continued by a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatRequest {
    /// The model, in the provider's own spelling.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<ChatMessage>,
    /// The most tokens the answer may have; `None` leaves it to the provider.
    pub max_output_tokens: Option<u64>,
    /// The person's language. Only the demo model needs to be told.
    pub lang: Lang,
}

impl ChatRequest {
    /// The owner's instructions in one text, for APIs that want them beside the conversation.
    pub(super) fn system_prompt(&self) -> Option<String> {
        let system = self.messages.iter().filter(|message| message.role == Role::System && !message.is_blank());
        let texts: Vec<_> = system.map(|message| message.content.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }

    /// What was said beside them, for the same APIs: messages with nothing in them are left out.
    pub(super) fn said(&self) -> impl Iterator<Item = &ChatMessage> {
        let says = |message: &&ChatMessage| !message.is_blank() || !message.images.is_empty();
        self.messages.iter().filter(|message| message.role != Role::System).filter(says)
    }
}

/// A piece of the answer.
#[derive(Clone, PartialEq, Eq)]
pub enum ChatEvent {
    /// Text for the person. Refusals come as text too.
    Text(String),
    /// The model thinking aloud; not part of the answer.
    Thinking(String),
}

impl fmt::Debug for ChatEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChatEvent::Text(text) => write!(f, "Text({} bytes)", text.len()),
            ChatEvent::Thinking(text) => write!(f, "Thinking({} bytes)", text.len()),
        }
    }
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// It was done.
    Stop,
    /// The output limit was reached.
    Length,
    /// It wants tools to be called.
    ToolCalls,
    /// A filter of the provider's cut it off.
    ContentFilter,
    /// Anything else, and not saying why.
    #[default]
    Other,
}

/// What a reader has learned from a stream so far. Pure data: a reader is a fold of bytes into this and [`ChatEvent`]s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// The counts reported so far; the latest of each.
    pub usage: ReportedUsage,
    /// Why the model stopped, once it said so.
    pub finish: Option<Finish>,
    /// The model that serves, as the provider names it.
    pub served_model: Option<Name<'static>>,
    /// The tier that serves, as the provider names it.
    pub service_tier: Option<Name<'static>>,
    /// The provider's own id of this request, where the answer's body holds it; it may be any text.
    pub request_id: Option<String>,
    /// Pieces of output seen: text, thinking, parts of tool calls. A lower bound of the completion tokens.
    pub pieces: u64,
    /// Whether the provider said that somebody else's machine does the work (an Ollama cloud model).
    pub remote: bool,
    /// Whether the answer reached its end.
    pub complete: bool,
    /// Whether the protocol's last frame has come: nothing but the end of the body should follow.
    pub terminal: bool,
}

/// How an answer ended, and what it used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why the model stopped.
    pub finish: Finish,
    /// The counts the provider reported.
    pub usage: ReportedUsage,
    /// The model that served, where the provider names it.
    pub served_model: Option<Name<'static>>,
    /// The tier that served, where the provider names it.
    pub service_tier: Option<Name<'static>>,
    /// The provider's own id of this request.
    pub provider_request_id: Option<String>,
    /// The HTTP status; 200 for the demo model.
    pub http_status: u16,
    /// Pieces of output seen: text, thinking, parts of tool calls. A lower bound of the completion tokens.
    pub pieces: u64,
    /// Whether the answer reached its end. `false` when the stream just stopped, and before the end.
    pub complete: bool,
}

/// What a reader says when it cannot go on: [`ErrorKind::BadResponse`] or [`ErrorKind::StreamError`].
pub(super) type ReadResult = Result<(), ErrorKind>;
