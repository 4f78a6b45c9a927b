//! Who speaks, where, and the texts and photos that must never be printed by accident.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::Serialize;

use crate::reports::View;
use crate::templates::Lang;

/// One chat: a channel and the chat's identity in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChatKey {
    /// The channel, one of [`usage::names::CHAT_CHANNELS`](crate::usage::names::CHAT_CHANNELS).
    pub channel: &'static str,
    /// The chat's identity in that channel; with topics or threads, including those.
    pub id: String,
}

impl ChatKey {
    /// The chat on standard input and output: there is but one.
    pub fn of_the_terminal() -> ChatKey {
        ChatKey { channel: "terminal", id: "terminal".to_owned() }
    }
}

/// A person as the channel knows them. The channel has already decided that they may speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The identity in the channel.
    pub id: String,
    /// May use the commands marked for admins.
    pub admin: bool,
    /// The language the channel believes they read here; `None` when it does not know.
    pub lang: Option<Lang>,
    /// The group they speak in; `None` in a chat of their own.
    pub group: Option<Group>,
}

/// A chat of several people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The team whose usage its calls are.
    pub team: String,
}

impl Person {
    /// A person in a chat of their own, of whom no more is known.
    pub fn new(id: impl Into<String>, admin: bool) -> Person {
        Person { id: id.into(), admin, lang: None, group: None }
    }

    /// Whether they may look at this part of the books here: in a group everybody reads along.
    pub fn may_see(&self, view: View) -> bool {
        match view {
            View::Overview | View::Types => true,
            View::Models | View::Limits => self.admin || self.group.is_none(),
            View::Users => self.admin && self.group.is_none(),
        }
    }
}

/// A photo that a person sent. Its `Debug` shows only the size, as that of [`PrivateText`] only the length.
#[derive(Clone, PartialEq, Eq)]
pub struct Photo(Arc<[u8]>);

impl Photo {
    /// The file, as it was sent.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.0
    }
}

impl From<Vec<u8>> for Photo {
    fn from(bytes: Vec<u8>) -> Self {
        Photo(bytes.into())
    }
}

impl fmt::Debug for Photo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Photo({} bytes)", self.0.len())
    }
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
