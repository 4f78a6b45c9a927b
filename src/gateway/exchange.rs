//! One attempt with a client waiting for it: sent, awaited, and then itself the body of the client's answer.
//!
//! Bytes go on as they come, and a copy is metered. What ends the answer is held back until the record of the call is
//! acknowledged. Dropped before that, it hands the rest to the drains: the client is gone, and the call still counts.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use hyper::body::{Body, Frame};

use super::drains::Drains;
use super::frames::{Frames, Joined};
use super::upstream::{Recording, Sending, Upstream};
use crate::metering::{End, Meter, Metering, Receipt};
use crate::models::transport::NoAnswer;
use crate::usage::ErrorKind;

/// Answers up to this size are held whole, so that their head can say what they cost.
pub(super) const MAX_WHOLE_BYTES: usize = 1 << 20;

/// The provider broke off within its answer; so do we.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's answer broke off")]
pub struct Cut;

/// How the bytes of a body go on.
#[derive(Debug)]
pub(super) enum Passage {
    /// As they come; what ends the answer waits.
    AsTheyCome,
    /// Frame by frame, without the one that tells of usage the client did not ask for.
    WithoutUsage(Frames),
    /// One piece behind: what ends the answer is only known at its end.
    OneBehind,
}

enum State {
    Flowing,
    /// The call has its record, which is not acknowledged yet.
    Recording(Recording),
    /// The record is acknowledged, or as good as that gets.
    Ending,
    /// The provider broke off.
    Broken,
}

/// A client's call on its way. See the module's words.
pub struct Exchange {
    upstream: Upstream,
    drains: Drains,
    passage: Passage,
    state: State,
    /// May go on at once.
    out: Bytes,
    /// Waits for the record.
    held: BytesMut,
    broken: bool,
    metering: Metering,
}

impl Exchange {
    /// An attempt that is being sent. It is in a box from here on: whoever waits for it holds a word.
    pub(super) fn new(meter: Meter, sending: Sending, drains: Drains, metering: Metering) -> Box<Exchange> {
        Box::new(Exchange {
            metering,
            upstream: Upstream::new(meter, sending),
            drains,
            passage: Passage::AsTheyCome,
            state: State::Flowing,
            out: Bytes::new(),
            held: BytesMut::new(),
            broken: false,
        })
    }

    /// Waits for the head of the answer.
    pub(super) async fn head(&mut self) -> Result<(StatusCode, HeaderMap), NoAnswer> {
        self.upstream.head().await
    }

    /// The meter, until the call is recorded.
    pub(super) fn meter(&self) -> Option<&Meter> {
        self.upstream.meter()
    }

    /// Whether it is known that the body is empty, or has come.
    pub(super) fn has_come_whole(&self) -> bool {
        self.upstream.has_come_whole()
    }

    /// Reads the whole body, if it is not larger than [`MAX_WHOLE_BYTES`]; `None` when it is: what was read goes on first.
    ///
    /// # Errors
    /// When it broke off.
    pub(super) async fn whole(&mut self) -> Result<Option<Bytes>, ErrorKind> {
        if self.upstream.length().is_some_and(|length| length > MAX_WHOLE_BYTES as u64) {
            return Ok(None);
        }
        let mut all = Joined::default();
        while let Some(next) = poll_fn(|cx| self.upstream.poll_bytes(cx)).await {
            let bytes = next?;
            self.upstream.saw(&bytes);
            all.push(bytes);
            if all.len() > MAX_WHOLE_BYTES {
                self.held = all.into_bytes().into();
                return Ok(None);
            }
        }
        Ok(Some(all.into_bytes()))
    }

    /// Records the end of the attempt; `None` when it was recorded before.
    pub(super) async fn record(&mut self, end: End) -> Option<Receipt> {
        Some(self.upstream.record(end)?.await)
    }

    /// From now on the body of an answer.
    pub(super) fn passing(mut self: Box<Self>, passage: Passage) -> Box<Exchange> {
        self.passage = passage;
        self
    }

    /// Whether something of the body is left out.
    pub(super) fn strips(&self) -> bool {
        matches!(self.passage, Passage::WithoutUsage(_))
    }

    /// Takes the next bytes of the body.
    fn flow(&mut self, bytes: Bytes) {
        match &mut self.passage {
            Passage::AsTheyCome => {
                self.upstream.saw(&bytes);
                self.go_on_or_hold(bytes);
            }
            Passage::OneBehind => {
                self.upstream.saw(&bytes);
                self.out = std::mem::take(&mut self.held).freeze();
                self.held.extend_from_slice(&bytes);
            }
            Passage::WithoutUsage(frames) => {
                frames.push(bytes);
                self.pass_frames();
            }
        }
    }

    /// Lets whole frames go on, but for the one that is only ours.
    fn pass_frames(&mut self) {
        let mut on = Joined::default();
        while let Passage::WithoutUsage(frames) = &mut self.passage
            && let Some(frame) = frames.next()
        {
            self.upstream.saw(&frame);
            let is_ours = self.upstream.meter().is_some_and(|meter| meter.reader().was_only_usage());
            if is_ours {
                continue;
            }
            if self.ends() { self.held.extend_from_slice(&frame) } else { on.push(frame) }
        }
        self.out = on.into_bytes();
        self.record_if_over();
    }

    fn go_on_or_hold(&mut self, bytes: Bytes) {
        // Where the length was announced nobody asks for what follows the last byte: it is held as well.
        if !self.ends() && !self.upstream.has_come_whole() {
            self.out = bytes;
            return;
        }
        if !self.is_over() {
            // An API without a last word may say more: only its newest piece is held.
            self.out = self.held.split().freeze();
        }
        self.held.extend_from_slice(&bytes);
        self.record_if_over();
    }

    /// Whether the end of the answer has come by, as far as its API tells.
    fn ends(&self) -> bool {
        self.upstream.meter().is_none_or(Meter::sees_end)
    }

    /// Whether the last word of the answer has come by.
    fn is_over(&self) -> bool {
        self.upstream.meter().is_some_and(|meter| meter.reader().learned().terminal)
    }

    /// Records the call once nothing that counts can follow.
    fn record_if_over(&mut self) {
        if self.is_over() {
            self.end(End::Body);
        }
    }

    /// Meters what is left of a frame that was cut off.
    fn take_rest(&mut self) {
        if let Passage::WithoutUsage(frames) = &mut self.passage {
            let rest = frames.rest();
            self.upstream.saw(&rest);
            self.held.extend_from_slice(&rest);
        }
    }

    fn end(&mut self, end: End) {
        self.take_rest();
        self.broken = matches!(end, End::Failed(_));
        self.state = match self.upstream.record(end) {
            Some(recording) => State::Recording(recording),
            None => State::Ending,
        };
    }

    /// Moves a record on its way to the disk along.
    fn poll_recording(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Recording(recording) = &mut self.state {
            let _receipt = ready!(recording.as_mut().poll(cx));
            self.state = if self.broken { State::Broken } else { State::Ending };
        }
        Poll::Ready(())
    }

    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(), Cut>>> {
        match &mut self.state {
            State::Recording(_) => ready!(self.poll_recording(cx)),
            State::Flowing => match ready!(self.upstream.poll_bytes(cx)) {
                Some(Ok(bytes)) => self.flow(bytes),
                Some(Err(kind)) => self.end(End::Failed(kind)),
                None => self.end(End::Body),
            },
            State::Ending | State::Broken if !self.held.is_empty() => self.out = self.held.split().freeze(),
            State::Broken => return Poll::Ready(Some(Err(Cut))),
            State::Ending => match ready!(self.upstream.poll_bytes(cx)) {
                Some(Ok(bytes)) => self.out = bytes,
                // What counts has come; that its framing breaks off is nothing to tell.
                Some(Err(_)) | None => return Poll::Ready(None),
            },
        }
        Poll::Ready(Some(Ok(())))
    }
}

impl Body for Exchange {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        loop {
            if !this.out.is_empty() {
                // Nobody may ask for more for a while. A record is accepted by the first look at it, and written here; by
                // another it would wait for its turn, and who is not asked for more would not take that.
                if this.poll_recording(cx).is_pending() {
                    this.metering.write_accepted();
                }
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.out)))));
            }
            match ready!(this.poll_state(cx)) {
                Some(Ok(())) => {}
                Some(Err(cut)) => return Poll::Ready(Some(Err(cut))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.take_rest();
        if let Some(call) = self.upstream.take() {
            self.drains.take_over(call);
        }
    }
}
