//! A place in Telegram: a chat, or a topic of one, and how it stands in a [`ChatKey`].

use crate::conversation::{ChatKey, MessageRef};

/// The name of this channel.
pub const CHANNEL: &str = "telegram";

/// A chat, or one topic of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Spot {
    pub(super) chat: i64,
    pub(super) thread: Option<i32>,
}

impl Spot {
    /// `CHAT` or `CHAT/THREAD`.
    pub(super) fn key(self) -> ChatKey {
        let id = match self.thread {
            Some(thread) => format!("{}/{thread}", self.chat),
            None => self.chat.to_string(),
        };
        ChatKey { channel: CHANNEL, id }
    }

    /// `None` for a key of another channel.
    pub(super) fn of(key: &ChatKey) -> Option<Spot> {
        let (chat, thread) = match key.id.split_once('/') {
            Some((chat, thread)) => (chat, Some(thread.parse().ok()?)),
            None => (key.id.as_str(), None),
        };
        Some(Spot { chat: chat.parse().ok().filter(|_| key.channel == CHANNEL)?, thread })
    }

    /// Groups have ids below zero.
    pub(super) fn is_private(self) -> bool {
        self.chat > 0
    }
}

/// A message of a chat, by its number there.
pub(super) fn message_ref(id: i32) -> MessageRef {
    MessageRef(id.to_string().into())
}

/// The number of a message.
pub(super) fn message_id(message: &MessageRef) -> Option<i32> {
    message.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_its_key_and_back() {
        for spot in [
            Spot { chat: 111, thread: None },
            Spot { chat: -1_001_234_567_890, thread: None },
            Spot { chat: -1_001_234_567_890, thread: Some(7) },
        ] {
            assert_eq!(Spot::of(&spot.key()), Some(spot));
        }
        assert_eq!(Spot { chat: -100, thread: Some(7) }.key().id, "-100/7");
        for (channel, id) in [("terminal", "1"), (CHANNEL, "terminal"), (CHANNEL, "1/x"), (CHANNEL, "")] {
            assert_eq!(Spot::of(&ChatKey { channel, id: id.into() }), None);
        }
    }
}
