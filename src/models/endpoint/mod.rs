//! The APIs of providers: what their paths do, what requests ask that pass through, what answers say and used. Pure.
//!
//! Nothing here changes a byte of what it reads, but for the two splices of [`with_usage_asked`] and [`with_model`].

mod answer;
mod answers;
mod fault;
mod framing;
mod keys;
mod path;
mod prompt;
mod reader;
#[cfg(test)]
mod recorded;
mod reported;
mod request;
#[cfg(test)]
mod requests;
mod scan;
mod steps;
mod text;
#[cfg(test)]
#[path = "../../../tests/it/wire.rs"]
mod wire;
mod words;

pub use fault::{Class, Fault, LONG_WAIT_SECS};
pub use keys::{with_model, with_usage_asked};
pub use path::{deployment_of, path_with_model};
pub use reader::{ChatReader, UsageReader};
pub use request::{Asked, MalformedRequest, read_request};

use super::Kind;

/// What a path of a provider's API does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// OpenAI's `/chat/completions`.
    ChatCompletions,
    /// OpenAI's `/completions`.
    Completions,
    /// OpenAI's `/responses`.
    Responses,
    /// OpenAI's `/responses/input_tokens`.
    ResponsesInputTokens,
    /// OpenAI's `/embeddings`.
    Embeddings,
    /// Anthropic's `/messages`.
    Messages,
    /// Anthropic's `/messages/count_tokens`.
    MessagesCountTokens,
    /// Gemini's `models/…:generateContent`.
    GenerateContent,
    /// Gemini's `models/…:streamGenerateContent`.
    StreamGenerateContent,
    /// Gemini's `models/…:embedContent` and `:batchEmbedContents`.
    EmbedContent,
    /// Gemini's `interactions`.
    Interactions,
    /// Gemini's `models/…:countTokens`.
    CountTokens,
    /// Ollama's `/api/chat`.
    OllamaChat,
    /// Ollama's `/api/generate`.
    OllamaGenerate,
    /// Ollama's `/api/embed`, and the older `/api/embeddings`.
    OllamaEmbed,
    /// Everything else: lists of models, files, what is not known. Passed through, not metered.
    Other,
}

/// The form an API's errors take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `{"error":{"message","type","param","code"}}`
    OpenAi,
    /// `{"type":"error","error":{"type","message"}}`
    Anthropic,
    /// `{"error":{"code","message","status"}}`
    Gemini,
    /// `{"error":"text"}`
    Ollama,
}

/// What kind of text or bytes follow, without its parameters; empty where the head does not say.
pub fn media_type(headers: &http::HeaderMap) -> &str {
    let value = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value[..value.bytes().position(|byte| byte == b';').unwrap_or(value.len())].trim_ascii()
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Endpoint; 16] = [
        Endpoint::ChatCompletions,
        Endpoint::Completions,
        Endpoint::Responses,
        Endpoint::ResponsesInputTokens,
        Endpoint::Embeddings,
        Endpoint::Messages,
        Endpoint::MessagesCountTokens,
        Endpoint::GenerateContent,
        Endpoint::StreamGenerateContent,
        Endpoint::EmbedContent,
        Endpoint::Interactions,
        Endpoint::CountTokens,
        Endpoint::OllamaChat,
        Endpoint::OllamaGenerate,
        Endpoint::OllamaEmbed,
        Endpoint::Other,
    ];

    /// What `path` does: what stands behind `/gateway/{provider}`, without the query, as it came.
    ///
    /// Only its end counts, because the provider's URL may hold any part of its beginning (`/v1`, `/v1beta/openai`,
    /// `/api`, …). It is read as the most lenient server would: percent-decoded, without empty and `.` parts, whatever
    /// the case. So no spelling of a metered path goes unmetered; at worst a path that the server does not know is taken
    /// for one it does, and its error answer is recorded.
    pub fn of(kind: Kind, method: &http::Method, path: &str) -> Endpoint {
        let is_post = method.as_str().eq_ignore_ascii_case("POST");
        if is_post && kind != Kind::Demo { path::endpoint_of(kind, path) } else { Endpoint::Other }
    }

    /// Its name in records, where the client names no operation of its own.
    pub fn operation(self) -> &'static str {
        match self {
            Endpoint::ChatCompletions => "chat.completions",
            Endpoint::Completions => "completions",
            Endpoint::Responses => "responses",
            Endpoint::ResponsesInputTokens => "responses.input_tokens",
            Endpoint::Embeddings => "embeddings",
            Endpoint::Messages => "messages",
            Endpoint::MessagesCountTokens => "messages.count_tokens",
            Endpoint::GenerateContent => "generate_content",
            Endpoint::StreamGenerateContent => "stream_generate_content",
            Endpoint::EmbedContent => "embed_content",
            Endpoint::Interactions => "interactions",
            Endpoint::CountTokens => "count_tokens",
            Endpoint::OllamaChat => "chat",
            Endpoint::OllamaGenerate => "generate",
            Endpoint::OllamaEmbed => "embed",
            Endpoint::Other => "other",
        }
    }

    /// Whether its answers use tokens that somebody pays for.
    pub fn is_metered(self) -> bool {
        !self.counts() && self != Endpoint::Other
    }

    /// The form its errors take; of [`Endpoint::Other`] the provider's own.
    pub fn dialect(self, kind: Kind) -> Dialect {
        match self {
            Endpoint::ChatCompletions
            | Endpoint::Completions
            | Endpoint::Responses
            | Endpoint::ResponsesInputTokens
            | Endpoint::Embeddings => Dialect::OpenAi,
            Endpoint::Messages | Endpoint::MessagesCountTokens => Dialect::Anthropic,
            Endpoint::GenerateContent
            | Endpoint::StreamGenerateContent
            | Endpoint::EmbedContent
            | Endpoint::Interactions
            | Endpoint::CountTokens => Dialect::Gemini,
            Endpoint::OllamaChat | Endpoint::OllamaGenerate | Endpoint::OllamaEmbed => Dialect::Ollama,
            Endpoint::Other => match kind {
                Kind::Ollama => Dialect::Ollama,
                Kind::Anthropic => Dialect::Anthropic,
                Kind::Gemini => Dialect::Gemini,
                Kind::OpenAi | Kind::Demo => Dialect::OpenAi,
            },
        }
    }

    /// Whether no API takes money for it: counting, and what only looks or deletes.
    pub fn is_free(self, method: &http::Method) -> bool {
        let looks = matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "DELETE");
        self.counts() || self == Endpoint::Other && looks
    }

    /// Whether it only counts the tokens that a call would have.
    fn counts(self) -> bool {
        matches!(self, Endpoint::ResponsesInputTokens | Endpoint::MessagesCountTokens | Endpoint::CountTokens)
    }

    /// Whether its answers are generated: they have output tokens.
    pub fn generates(self) -> bool {
        self.is_metered() && !self.embeds()
    }

    /// Whether its answers are vectors: they have no output tokens.
    fn embeds(self) -> bool {
        matches!(self, Endpoint::Embeddings | Endpoint::EmbedContent | Endpoint::OllamaEmbed)
    }

    /// Whether a stream of it tells usage only when asked to.
    fn must_be_asked(self) -> bool {
        matches!(self, Endpoint::ChatCompletions | Endpoint::Completions)
    }
}
