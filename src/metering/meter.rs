//! A permit and a reader of its answer: whatever passes by, and however it ends, becomes one record.

use std::future::Future;

use http::HeaderMap;

use super::{Outcome, Permit, Receipt};
use crate::models::endpoint::{Endpoint, UsageReader, media_type};
use crate::models::{CallError, Decoder, Ending, Observed, Retry, is_unreadable, request_id, service_tier};
use crate::usage::names::Name;
use crate::usage::{ErrorKind, Estimated, Failure, Now, Status, UsageSource};

/// The most of an error's body that is kept until its class is known, in bytes.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// The most that one piece of a compressed answer is unpacked to, in bytes.
const MAX_UNPACKED_BYTES: usize = 16 << 20;

/// Meters one attempt whose answer somebody else reads. Dropped unfinished, the call records itself as cancelled.
pub struct Meter {
    permit: Permit,
    endpoint: Endpoint,
    reader: Box<UsageReader>,
    decoder: Decoder,
    unpacked: Vec<u8>,
    head: Option<Head>,
    error_body: Vec<u8>,
    damaged: bool,
    /// The bytes of an answer in an encoding that cannot be undone, as far as it has come.
    unreadable: Option<u64>,
    ended: bool,
    /// Whether what the provider says of its limits holds for all who ask it.
    hears: bool,
}

/// What the head of the answer said.
struct Head {
    status: u16,
    /// Whether it comes in pieces as it is made.
    streams: bool,
    observed: Observed,
    request_id: Option<String>,
    service_tier: Option<Name<'static>>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The provider ended its answer.
    Body,
    /// The provider failed: before its answer or within it.
    Failed(ErrorKind),
    /// Whoever asked went away, or was sent away, for this reason.
    Left(ErrorKind),
}

impl Meter {
    /// A meter of the call that a permit was given for.
    pub fn new(permit: Permit, endpoint: Endpoint) -> Meter {
        let reader = Box::new(UsageReader::new(endpoint, &permit.call().model));
        Meter {
            permit,
            endpoint,
            reader,
            decoder: Decoder::default(),
            unpacked: Vec::new(),
            head: None,
            error_body: Vec::new(),
            damaged: false,
            unreadable: None,
            ended: false,
            hears: true,
        }
    }

    /// The meter of a call with a key of the client's own: what the provider says of limits then concerns nobody else.
    #[must_use]
    pub fn of_a_foreign_key(mut self) -> Meter {
        self.hears = false;
        self
    }

    /// Whether its answer tells what it used.
    pub fn tells_usage(&self) -> bool {
        self.endpoint.is_metered()
    }

    /// Whether the model runs on the owner's machine, as far as is known by now.
    pub fn is_local(&self) -> bool {
        self.permit.call().local && !self.reader.learned().remote
    }

    /// Takes the head of the answer.
    pub fn saw_head(&mut self, status: u16, headers: &HeaderMap) {
        // Of an error the time of the answer is told as well: waits may be measured from it.
        let observed = match status >= 400 || Observed::is_told_in(headers) {
            true => Observed::from_headers(headers),
            false => Observed::default(),
        };
        // What an error says of waiting may stand in its body as well.
        if status < 400 {
            self.hear(observed);
        }
        let is_json = media_type(headers).eq_ignore_ascii_case("application/json");
        let streams = self.endpoint == Endpoint::StreamGenerateContent || !is_json;
        let (request_id, service_tier) = (request_id(headers), service_tier(headers));
        self.head = Some(Head { status, streams, observed, request_id, service_tier });
        if self.endpoint.is_metered() && !self.is_error() && is_unreadable(headers) {
            let provider = self.permit.call().provider.as_str();
            tracing::warn!(provider, "an answer in an encoding that nobody asked for is recorded as an estimate");
            self.unreadable = Some(0);
        }
    }

    fn hear(&self, observed: Observed) {
        if self.hears && observed != Observed::default() {
            let (call, metering) = (self.permit.call(), self.permit.metering());
            metering.heard(&call.provider, &call.model, observed, metering.now());
        }
    }

    /// Takes the next bytes of the answer, as they came over the wire.
    pub fn saw(&mut self, bytes: &[u8]) {
        if self.is_error() {
            return self.keep_of_error(bytes);
        }
        if !self.endpoint.is_metered() || self.damaged {
            return;
        }
        let before = self.output_tokens();
        match (&mut self.unreadable, self.decoder.plain(bytes)) {
            (Some(seen), _) => *seen += bytes.len() as u64,
            (None, Some(plain)) => self.reader.push(plain),
            (None, None) => self.unpack(bytes),
        }
        let seen = self.output_tokens();
        if seen == before {
            return;
        }
        match self.head.as_ref().is_some_and(|head| head.streams) {
            true => self.permit.saw_output(seen),
            false => self.permit.saw_whole(seen),
        }
    }

    /// Takes the end of the body.
    pub fn saw_end(&mut self) {
        if !self.ended && !self.is_error() && self.endpoint.is_metered() && self.unreadable.is_none() {
            // What ends the compression may come behind the last word of the answer.
            self.damaged |= self.decoder.finish().is_err() && !self.reader.learned().terminal;
            self.reader.finish();
        }
        self.ended = true;
    }

    /// Whether the end of the answer has come by: what follows, if anything, says only what it used.
    pub fn sees_end(&self) -> bool {
        let learned = self.reader.learned();
        let has_no_last_word = self.endpoint == Endpoint::StreamGenerateContent;
        learned.terminal || has_no_last_word && learned.complete
    }

    /// What has come, by our raw estimate: at most one token in each byte that could not be read.
    fn output_tokens(&self) -> u64 {
        self.unreadable.unwrap_or_else(|| self.reader.output_tokens())
    }

    fn unpack(&mut self, bytes: &[u8]) {
        self.unpacked.clear();
        self.damaged = self.decoder.push(bytes, &mut self.unpacked, MAX_UNPACKED_BYTES).is_err();
        self.reader.push(&self.unpacked);
    }

    /// What an error says may be compressed as any other answer is.
    fn keep_of_error(&mut self, bytes: &[u8]) {
        if self.damaged || self.error_body.len() >= MAX_ERROR_BYTES {
            return;
        }
        match self.decoder.plain(bytes) {
            Some(plain) => self.error_body.extend_from_slice(&plain[..plain.len().min(MAX_ERROR_BYTES)]),
            None => self.damaged = self.decoder.push(bytes, &mut self.error_body, MAX_ERROR_BYTES).is_err(),
        }
        self.error_body.truncate(MAX_ERROR_BYTES);
    }

    /// Whether the answer is one of failure.
    pub fn is_error(&self) -> bool {
        let fine = if self.endpoint.is_metered() { 300 } else { 400 };
        self.head.as_ref().is_some_and(|head| head.status >= fine)
    }

    /// The failure that the answer tells of, if it is one.
    pub fn error(&self) -> Option<CallError> {
        let head = self.head.as_ref().filter(|_| self.is_error())?;
        let error = CallError::from_answer(head.status, head.observed, &self.error_body);
        Some(CallError { provider_request_id: head.request_id.clone(), ..error })
    }

    /// The start of an error's body, unpacked, as far as it is kept.
    pub fn error_body(&self) -> &[u8] {
        &self.error_body
    }

    /// What is known of the answer so far.
    pub fn reader(&self) -> &UsageReader {
        &self.reader
    }

    /// Records the end, and waits at most two seconds until the record is durable. The record is accepted when this
    /// is first polled, and written by the next poll or when this is dropped.
    pub fn finish(mut self, end: End) -> impl Future<Output = Receipt> + Send + use<> {
        let (outcome, now) = self.end(end);
        self.permit.finish(outcome, now)
    }

    /// [`Meter::finish`] without waiting: the record is written when this returns. Needs no runtime.
    pub fn finish_now(mut self, end: End) -> Receipt {
        let (outcome, now) = self.end(end);
        self.permit.finish_now(outcome, now)
    }

    /// What an end amounts to, and its moment.
    fn end(&mut self, end: End) -> (Outcome, Now) {
        if end == End::Body {
            self.saw_end();
        }
        (self.outcome(end), self.permit.metering().now())
    }

    fn outcome(&self, end: End) -> Outcome {
        let output = match self.unreadable {
            Some(seen) => self.permit.call().output_cap.and_then(|cap| cap.granted).map_or(seen, |cap| cap.min(seen)),
            None => self.permit.calibrated_output(self.reader.output_tokens()),
        };
        let guess = Estimated { prompt: self.permit.call().prompt_tokens, output };
        let Some(head) = &self.head else {
            if !self.endpoint.is_metered() {
                return unmetered(end, None);
            }
            return match end {
                End::Left(kind) => Outcome::cut_short(kind, None, guess),
                End::Failed(kind) => Outcome::unanswered(&CallError::of(kind, Retry::No), guess),
                End::Body => Outcome::unanswered(&CallError::of(ErrorKind::StreamCut, Retry::No), guess),
            };
        };
        if let Some(error) = self.error() {
            self.hear(error.observed);
            return Outcome::unanswered(&error, guess);
        }
        if !self.endpoint.is_metered() {
            return unmetered(end, head.request_id.as_deref());
        }
        let ending = self.ending();
        let failed = self.reader.failed().or(self.damaged.then_some(ErrorKind::BadResponse));
        let mut outcome = match (end, failed) {
            (End::Left(kind), _) => Outcome::cut_short(kind, Some(ending), guess),
            (_, Some(kind)) => Outcome::broken(ending, Failure::of(kind), guess),
            // A break after the last word of an answer is a fault of its framing only.
            (End::Failed(kind), None) if !ending.complete => Outcome::broken(ending, Failure::of(kind), guess),
            _ => Outcome::whole(ending, guess),
        };
        outcome.local = self.reader.learned().remote.then_some(false);
        outcome
    }

    fn ending(&self) -> Ending {
        let learned = self.reader.learned();
        let head = self.head.as_ref();
        Ending {
            finish: learned.finish.unwrap_or_default(),
            usage: learned.usage,
            served_model: learned.served_model.clone(),
            service_tier: learned.service_tier.clone().or_else(|| head?.service_tier.clone()),
            provider_request_id: head.and_then(|head| head.request_id.clone()),
            http_status: head.map_or(0, |head| head.status),
            pieces: learned.pieces,
            complete: learned.complete || self.unreadable.is_some() && self.ended,
        }
    }
}

/// What is recorded of a call whose answer carries no usage.
fn unmetered(end: End, request_id: Option<&str>) -> Outcome {
    let mut outcome = match end {
        End::Body => Outcome { failure: None, ..Outcome::failed(Status::Ok, Failure::of(ErrorKind::StreamCut)) },
        End::Failed(kind) => Outcome::unanswered(&CallError::of(kind, Retry::No), Estimated::default()),
        End::Left(kind) => Outcome::failed(Status::Cancelled, Failure::of(kind)),
    };
    outcome.usage_source = UsageSource::None;
    outcome.metadata = super::outcome::metadata(request_id);
    outcome
}
