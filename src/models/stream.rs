//! An answer as it arrives: bytes from the transport, through a provider's reader, out as events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::endpoint::ChatReader;
use super::provider::Memory;
use super::transport::{Answer, AnswerBody};
use super::{CallError, ChatEvent, Decoder, Ending, Observed, Retry};
use crate::usage::ErrorKind;
use crate::usage::names::Name;

/// The most of an answer that is read, in bytes after decoding.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// How long the end of the body may lag behind the end of the answer before the connection is given up.
const MAX_LAG_OF_END: Duration = Duration::from_millis(100);

/// The answer of a model, streamed. Dropping it closes the connection to the provider at once.
pub struct ChatStream {
    pending: VecDeque<ChatEvent>,
    source: Source,
    /// What stopped it, until told.
    failed: Option<CallError>,
    ending: Ending,
    observed: Observed,
}

enum Source {
    Http(Box<Reading>),
    /// All events are pending.
    Ended,
}

/// A body and what reads it.
struct Reading {
    body: AnswerBody,
    decoder: Decoder,
    decoded_bytes: usize,
    reader: ChatReader,
    asked_model: String,
    memory: Arc<Memory>,
}

impl ChatStream {
    /// A stream over an answer whose head said that it succeeded.
    pub(super) fn over(answer: Answer, reader: ChatReader, asked_model: String, memory: Arc<Memory>) -> ChatStream {
        let observed = Observed::from_headers(&answer.headers);
        let ending = Ending {
            finish: Default::default(),
            usage: Default::default(),
            served_model: None,
            service_tier: service_tier(&answer.headers),
            provider_request_id: request_id(&answer.headers),
            http_status: answer.status,
            pieces: 0,
            complete: false,
        };
        let reading =
            Reading { body: answer.body, decoder: Decoder::default(), decoded_bytes: 0, reader, asked_model, memory };
        let source = Source::Http(Box::new(reading));
        ChatStream { pending: VecDeque::new(), source, failed: None, ending, observed }
    }

    /// A stream of an answer that is there already.
    pub(super) fn ready(events: Vec<ChatEvent>, ending: Ending) -> ChatStream {
        let observed = Observed::default();
        ChatStream { pending: events.into(), source: Source::Ended, failed: None, ending, observed }
    }

    /// The next piece of the answer; `None` after the last piece or after an error.
    ///
    /// An error comes after all the pieces that arrived before it and carries the counts reported so far; it is never
    /// to be retried, because the answer has begun. May be dropped and called again without losing anything.
    pub async fn next(&mut self) -> Option<Result<ChatEvent, CallError>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(Ok(event));
            }
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            let Source::Http(reading) = &mut self.source else { return None };
            let mut events = Vec::new();
            let step = reading.step(&mut events).await;
            self.pending.extend(events);
            self.learn();
            match step {
                Step::More => {}
                Step::End => self.source = Source::Ended,
                Step::Failed(kind) => {
                    self.source = Source::Ended;
                    self.failed = Some(CallError {
                        observed: self.observed,
                        usage: self.ending.usage,
                        provider_request_id: self.ending.provider_request_id.clone(),
                        ..CallError::of(kind, Retry::No)
                    });
                }
            }
        }
    }

    /// How it ended, or before its end (when it is cancelled, or failed) what is known so far.
    pub fn ending(&self) -> Ending {
        self.ending.clone()
    }

    /// What the provider's headers said about its limits.
    pub fn observed(&self) -> Observed {
        self.observed
    }

    fn learn(&mut self) {
        let Source::Http(reading) = &self.source else { return };
        let learned = reading.reader.learned();
        self.ending.finish = learned.finish.unwrap_or_default();
        self.ending.usage = learned.usage;
        self.ending.pieces = learned.pieces;
        self.ending.complete = learned.complete;
        self.ending.served_model.clone_from(&learned.served_model);
        if learned.service_tier.is_some() {
            self.ending.service_tier.clone_from(&learned.service_tier);
        }
        if self.ending.provider_request_id.is_none() {
            self.ending.provider_request_id = learned.request_id.as_deref().and_then(as_id);
        }
        if learned.remote {
            reading.memory.remember_remote(&reading.asked_model);
            reading.memory.remember_remote(learned.served_model.as_deref().unwrap_or_default());
        }
    }
}

enum Step {
    More,
    End,
    Failed(ErrorKind),
}

impl Reading {
    /// Reads once. Cancelled, it has read nothing.
    async fn step(&mut self, events: &mut Vec<ChatEvent>) -> Step {
        let read = match self.body.next().await {
            Some(Ok(bytes)) => self.take(&bytes, events).map(|()| Step::More),
            Some(Err(kind)) => {
                let _cause_is_known = self.reader.finish(events);
                Err(kind)
            }
            None => self.finish(events).map(|()| Step::End),
        };
        // A break, or a wait, after the last word of an answer is a fault of its framing only.
        let complete = self.reader.learned().complete;
        read.unwrap_or_else(|kind| if complete { Step::End } else { Step::Failed(kind) })
    }

    fn finish(&mut self, events: &mut Vec<ChatEvent>) -> Result<(), ErrorKind> {
        let intact = self.decoder.finish().map_err(|_| ErrorKind::BadResponse);
        self.reader.finish(events).and(intact)
    }

    fn take(&mut self, bytes: &[u8], events: &mut Vec<ChatEvent>) -> Result<(), ErrorKind> {
        let mut decoded = Vec::new();
        let room = MAX_ANSWER_BYTES - self.decoded_bytes;
        let intact = self.decoder.push(bytes, &mut decoded, room).map_err(|_| ErrorKind::BadResponse);
        self.decoded_bytes = (self.decoded_bytes + decoded.len()).min(MAX_ANSWER_BYTES);
        let was_terminal = self.reader.learned().terminal;
        let read = self.reader.push(&decoded, events);
        if self.reader.learned().terminal && !was_terminal {
            self.body.expect_end_within(MAX_LAG_OF_END);
        }
        read.and(intact)
    }
}

/// No id of a request is longer.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The provider's id of this request, under the names in use.
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    static NAMES: [HeaderName; 2] = [HeaderName::from_static("x-request-id"), HeaderName::from_static("request-id")];
    let named = |name: &HeaderName| headers.get(name)?.to_str().ok();
    NAMES.iter().find_map(named).and_then(as_id)
}

/// The tier that serves, where a header and not the answer names it (Google's guide "Priority inference").
pub fn service_tier(headers: &HeaderMap) -> Option<Name<'static>> {
    let tier = headers.get("x-gemini-service-tier")?.to_str().ok()?;
    (!tier.is_empty()).then(|| Name::clean(tier))
}

/// Only what has the form of an id is one: the record keeps it, and a server could put any text there.
fn as_id(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    let is_id = (1..=MAX_REQUEST_ID_BYTES).contains(&text.len()) && text.trim().bytes().all(plain);
    is_id.then(|| text.trim().to_owned()).filter(|id| !id.is_empty())
}
