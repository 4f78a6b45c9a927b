//! Who speaks, where, and the text that must never be printed by accident.

use std::fmt;
use std::ops::Deref;

use serde::Serialize;

/// One chat: a channel and the chat's identity in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChatKey {
    /// The channel, one of [`usage::names::CHAT_CHANNELS`](crate::usage::names::CHAT_CHANNELS).
    pub channel: &'static str,
    /// The chat's identity in that channel; with topics or threads, including those.
    pub id: String,
}

/// A person as the channel knows them. The channel has already decided that they may speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The identity in the channel.
    pub id: String,
    /// May use the commands marked for admins.
    pub admin: bool,
}

/// What a person or a model wrote. Its `Debug` shows only the length, so that it cannot reach a log or a panic.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PrivateText(String);

impl PrivateText {
    /// The text, as a `String`.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Deref for PrivateText {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for PrivateText {
    fn from(text: String) -> Self {
        PrivateText(text)
    }
}

impl From<&str> for PrivateText {
    fn from(text: &str) -> Self {
        PrivateText(text.to_owned())
    }
}

impl fmt::Debug for PrivateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateText({} bytes)", self.0.len())
    }
}
