//! The providers: one file per API, pure (request body, stream reader, token counts), and one transport for all.
//!
//! `ollama`, `openai`, `anthropic`, `gemini` and `demo` are what chats speak; what passes through the gateway is read by
//! [`endpoint`], from a copy. All of them take bytes split anywhere and never touch the network: `transport` is the only
//! HTTP client to providers. Of a chat nothing leaves this module except as [`ChatEvent`]; failures are a class and an
//! HTTP status.

pub mod anthropic;
mod chat;
mod connection;
pub mod demo;
mod encoding;
pub mod endpoint;
mod exact;
mod failure;
mod form;
pub mod gemini;
mod image;
mod json;
pub mod ndjson;
pub mod ollama;
pub mod openai;
mod passing;
mod provider;
mod ratelimit;
#[cfg(test)]
mod recorded;
mod reported;
mod retry;
pub mod sse;
mod stream;
pub mod transport;

pub use chat::{ChatEvent, ChatMessage, ChatRequest, Ending, Finish, Learned, Role};
pub use encoding::{Decoder, is_unreadable, readable_encoding};
pub use exact::{ExactCounts, exact_counts};
pub use failure::{CallError, Retry};
pub use image::{Image, ImageError, MAX_IMAGE_BYTES, MAX_IMAGES, MediaType};
pub use passing::PassedOn;
pub use provider::{CREDENTIALS, Kind, ModelInfo, Provider, ProviderSpec, Timeouts};
pub use ratelimit::{Observed, Window};
pub use reported::ReportedUsage;
pub use retry::RetryPolicy;
pub use stream::{ChatStream, request_id, service_tier};
pub use transport::Transport;
