//! Where people write: each channel decodes what comes in into events of the conversation and shows what goes out.

#[cfg(feature = "telegram")]
pub mod telegram;
pub mod terminal;
