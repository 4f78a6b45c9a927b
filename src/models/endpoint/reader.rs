//! Reads usage from a copy of an answer.

use super::Endpoint;
use crate::models::{ChatEvent, Learned, openai};
use crate::usage::{ErrorKind, TokenEstimator};

/// Reads usage from a copy of an answer that passes through, in bytes cut anywhere. Never fails the answer.
pub struct UsageReader {
    reader: openai::Reader,
    events: Vec<ChatEvent>,
    output: TokenEstimator,
    failed: Option<ErrorKind>,
}

impl UsageReader {
    /// A reader of one answer. Its first bytes tell whether it is a stream of events, of lines, a list or one object.
    pub fn new(_endpoint: Endpoint, model_asked: &str) -> UsageReader {
        UsageReader {
            reader: openai::Reader::default(),
            events: Vec::new(),
            output: TokenEstimator::for_model(model_asked),
            failed: None,
        }
    }

    /// Takes the next bytes, decoded.
    pub fn push(&mut self, bytes: &[u8]) {
        self.failed = self.reader.push(bytes, &mut self.events).err();
        for event in self.events.drain(..) {
            let (ChatEvent::Text(text) | ChatEvent::Thinking(text)) = event;
            self.output.push(&text);
        }
    }

    /// Takes the end of the body.
    pub fn finish(&mut self) {
        self.failed = self.reader.finish(&mut self.events).err();
    }

    /// What is known so far.
    pub fn learned(&self) -> &Learned {
        self.reader.learned()
    }

    /// How the answer failed within itself: an error told behind a status of 200, or nothing that this API answers.
    pub fn failed(&self) -> Option<ErrorKind> {
        self.failed
    }

    /// Our estimate of the output seen so far, not calibrated: text, thinking, arguments of tools.
    pub fn output_tokens(&self) -> u64 {
        self.output.tokens()
    }

    /// Whether the event completed last was the extra one that only tells usage (`choices: []` and `usage`).
    pub fn was_only_usage(&self) -> bool {
        false
    }
}
