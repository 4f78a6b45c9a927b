//! The section `[chat]`: how long a conversation is remembered and how much it may use.

use super::reader::{Section, Whole};

/// `[chat]`: conversations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// At most this many messages of a conversation are sent to the model.
    pub history_messages: u64,
    /// At most this many (estimated) tokens of a conversation are sent to the model.
    pub history_tokens: u64,
    /// The longest answer that is asked for, in tokens.
    pub max_output_tokens: u64,
    /// What the model is told before each conversation; empty for nothing.
    pub system_prompt: String,
    /// Whether an answer ends with what it used, until a person says `/usage on` or `off`.
    pub usage_footer: bool,
    /// Longer messages are refused before they cost anything.
    pub max_message_bytes: u64,
    /// At most this many answers are generated at the same time.
    pub concurrent_generations: u64,
    /// At most this many questions wait in line at a limit; with 0 they are refused.
    pub waiting_max: u64,
    /// At most this many of them are one person's.
    pub waiting_max_each: u64,
    /// The longest wait in line; who would have to wait longer is refused at once.
    pub waiting_max_seconds: u64,
}

impl Default for Chat {
    fn default() -> Chat {
        Chat {
            history_messages: 40,
            history_tokens: 8_000,
            max_output_tokens: 4_096,
            system_prompt: String::new(),
            usage_footer: false,
            max_message_bytes: 32 * 1024,
            concurrent_generations: 64,
            waiting_max: 100,
            waiting_max_each: 5,
            waiting_max_seconds: 120,
        }
    }
}

impl Chat {
    pub(super) fn read(section: &mut Section<'_>) -> Chat {
        let default = Chat::default();
        let mut whole = |key, min, max, unit, default| {
            section.whole(key, Whole { min, max, unit, example: default }).unwrap_or(default)
        };
        let history_messages = whole("history_messages", 1, 1_000, "messages", default.history_messages);
        let history_tokens = whole("history_tokens", 100, 2_000_000, "tokens", default.history_tokens);
        let max_output_tokens = whole("max_output_tokens", 1, 1_000_000, "tokens", default.max_output_tokens);
        let max_message_bytes = whole("max_message_bytes", 100, 1 << 20, "bytes", default.max_message_bytes);
        let concurrent_generations =
            whole("concurrent_generations", 1, 4_096, "answers", default.concurrent_generations);
        let waiting_max = whole("waiting_max", 0, 4_096, "questions", default.waiting_max);
        let waiting_max_each = whole("waiting_max_each", 1, 4_096, "questions", default.waiting_max_each);
        let waiting_max_seconds = whole("waiting_max_seconds", 1, 3_600, "seconds", default.waiting_max_seconds);
        Chat {
            history_messages,
            history_tokens,
            max_output_tokens,
            system_prompt: system_prompt(section).unwrap_or_default(),
            usage_footer: section.flag("usage_footer").unwrap_or(default.usage_footer),
            max_message_bytes,
            concurrent_generations,
            waiting_max,
            waiting_max_each,
            waiting_max_seconds,
        }
    }
}

fn system_prompt(section: &mut Section<'_>) -> Option<String> {
    let expected = "a text of at most 32768 bytes";
    section.parsed("system_prompt", expected, "\"You are a helpful assistant.\"", |text| {
        let printable = text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t' || c == '\r');
        (printable && text.len() <= 32 * 1024).then(|| text.to_owned())
    })
}
