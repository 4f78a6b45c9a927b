//! The words of an answer, for a chat: what is said, and what is thought aloud.

use super::answers::Said;
use crate::models::ChatEvent;

/// Collects the words of one answer. An object's are given once it is whole: only then it is known whose they are.
#[derive(Default)]
pub(super) struct Words {
    /// The text being read.
    text: String,
    /// What the object being read says so far, and where its choice and its part begin there.
    said: Vec<ChatEvent>,
    choice: usize,
    part: usize,
    is_thought: bool,
    /// What whole objects said, until it is taken.
    whole: Vec<ChatEvent>,
}

impl Words {
    /// Takes a piece of a text.
    pub(super) fn piece(&mut self, what: Said, piece: &str) {
        if what != Said::Aside {
            self.text.push_str(piece);
        }
    }

    /// The text ended.
    pub(super) fn text_ended(&mut self, what: Said) {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() {
            self.said.push(if what == Said::Text { ChatEvent::Text(text) } else { ChatEvent::Thinking(text) });
        }
    }

    /// A choice begins.
    pub(super) fn choice(&mut self) {
        self.choice = self.said.len();
    }

    /// A choice ended; only the first is the answer.
    pub(super) fn choice_ended(&mut self, is_first: bool) {
        if !is_first {
            self.said.truncate(self.choice);
        }
    }

    /// A part begins.
    pub(super) fn part(&mut self) {
        (self.part, self.is_thought) = (self.said.len(), false);
    }

    /// The part being read is a thought.
    pub(super) fn is_thought(&mut self) {
        self.is_thought = true;
    }

    /// A part ended.
    pub(super) fn part_ended(&mut self) {
        if std::mem::take(&mut self.is_thought) {
            for event in &mut self.said[self.part..] {
                if let ChatEvent::Text(text) = event {
                    *event = ChatEvent::Thinking(std::mem::take(text));
                }
            }
        }
    }

    /// The object ended, and belongs to the answer.
    pub(super) fn object_ended(&mut self) {
        self.whole.append(&mut self.said);
        self.drop_object();
    }

    /// What was read of an object is none of the answer.
    pub(super) fn drop_object(&mut self) {
        self.text.clear();
        self.said.clear();
        (self.choice, self.part, self.is_thought) = (0, 0, false);
    }

    /// Gives what whole objects said since it was last asked.
    pub(super) fn take(&mut self, events: &mut Vec<ChatEvent>) {
        events.append(&mut self.whole);
    }
}
