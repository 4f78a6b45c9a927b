//! Reads usage from a copy of an answer, cut anywhere.

use super::Endpoint;
use super::answer::Answer;
use super::answers;
use super::answers::Said;
use super::framing::Form;
use super::scan::Scanner;
use crate::models::chat::ReadResult;
use crate::models::{ChatEvent, Kind, Learned};
use crate::usage::ErrorKind;

/// Reads usage from a copy of an answer that passes through, in bytes cut anywhere. Never fails the answer, and holds
/// next to nothing of it, however long it is.
pub struct UsageReader {
    form: Form,
    scanner: Scanner<Said>,
    answer: Answer,
}

impl UsageReader {
    /// A reader of one answer. Its first bytes tell whether it is a stream of events, of lines, a list or one object.
    pub fn new(endpoint: Endpoint, model_asked: &str) -> UsageReader {
        UsageReader {
            form: Form::default(),
            scanner: Scanner::new(answers::paths(endpoint)),
            answer: Answer::of(endpoint, model_asked),
        }
    }

    /// Takes the next bytes, decoded.
    pub fn push(&mut self, bytes: &[u8]) {
        self.form.push(bytes, &mut self.scanner, &mut self.answer);
    }

    /// Takes the end of the body. What the end cut off is dropped; whether the answer is whole says
    /// [`Learned::complete`].
    pub fn finish(&mut self) {
        let is_cut = self.form.finish(&mut self.scanner, &mut self.answer);
        self.answer.end(is_cut);
    }

    /// What is known so far. Counts are the last reported; vectors have no output, which counts as reported with the
    /// input.
    pub fn learned(&self) -> &Learned {
        self.answer.learned()
    }

    /// How the answer failed within itself: [`ErrorKind::StreamError`] when it told an error, and at its end
    /// [`ErrorKind::BadResponse`] when it was nothing that this API answers.
    pub fn failed(&self) -> Option<ErrorKind> {
        self.answer.failed()
    }

    /// Our estimate of the output seen so far, not calibrated: text, thinking and calls of tools, of all choices.
    pub fn output_tokens(&self) -> u64 {
        self.answer.output_tokens()
    }

    /// Whether the event completed last was the extra one that only tells usage (`choices: []` and `usage`).
    pub fn was_only_usage(&self) -> bool {
        self.answer.was_only_usage()
    }

    /// Bytes on the heap that grow with what comes.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.scanner.held_bytes() + self.answer.held_bytes() + self.form.held_bytes()
    }
}

/// Reads the answer of a chat, as a [`UsageReader`] does, and gives its words. Goes no further than its first failure.
pub struct ChatReader(UsageReader);

impl ChatReader {
    /// A reader of an answer that a provider of this kind gives to a chat; the demo model's is not read.
    pub fn of(kind: Kind, model_asked: &str) -> Option<ChatReader> {
        let endpoint = match kind {
            Kind::Ollama => Endpoint::OllamaChat,
            Kind::OpenAi => Endpoint::ChatCompletions,
            Kind::Anthropic => Endpoint::Messages,
            Kind::Gemini => Endpoint::StreamGenerateContent,
            Kind::Demo => return None,
        };
        let reader = UsageReader::new(endpoint, model_asked);
        Some(ChatReader(UsageReader { answer: reader.answer.with_words(), ..reader }))
    }

    /// Takes the next bytes; appends what they say to `events`. After an error it says the same error for ever.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> ReadResult {
        self.0.push(bytes);
        self.result(events)
    }

    /// Takes the end of the body. What the end cut off is dropped; whether the answer is whole says
    /// [`Learned::complete`].
    pub fn finish(&mut self, events: &mut Vec<ChatEvent>) -> ReadResult {
        self.0.finish();
        self.result(events)
    }

    /// What is known so far.
    pub fn learned(&self) -> &Learned {
        self.0.learned()
    }

    fn result(&mut self, events: &mut Vec<ChatEvent>) -> ReadResult {
        self.0.answer.take_words(events);
        self.0.answer.failed_midway().map_or(Ok(()), Err)
    }
}
