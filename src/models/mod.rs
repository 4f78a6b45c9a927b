//! The providers: one file per API with what chats ask of it, one reader for the answers of all, and one transport.
//!
//! `ollama`, `openai`, `anthropic`, `gemini` and `demo` write requests; [`endpoint`] reads answers, a chat's and what passes
//! through the gateway alike, in bytes split anywhere. None of them touches the network: `transport` is the only HTTP
//! client to providers. Of a chat nothing leaves this module except as [`ChatEvent`]; failures are a class and an HTTP
//! status.

pub mod anthropic;
mod chat;
mod connection;
pub mod demo;
mod encoding;
pub mod endpoint;
mod exact;
mod failure;
pub mod gemini;
mod image;
mod json;
pub mod ollama;
pub mod openai;
mod passing;
mod provider;
mod ratelimit;
#[cfg(test)]
mod recorded;
mod reported;
mod retry;
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
