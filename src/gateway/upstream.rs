//! Our side of a call to a provider: the meter, and the answer as far as it has come.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::metering::{End, Meter, Receipt};
use crate::models::transport::{Answer, AnswerBody, NoAnswer};
use crate::usage::ErrorKind;

/// How long the end of a body may lag behind the end of its answer.
const MAX_LAG_OF_END: Duration = Duration::from_millis(100);

/// The head of an answer on its way.
pub(super) type Sending = Pin<Box<dyn Future<Output = Result<Answer, NoAnswer>> + Send>>;

/// A record on its way to the disk.
pub(super) type Recording = Pin<Box<dyn Future<Output = Receipt> + Send>>;

/// One attempt at a provider. Dropped, it closes the connection, and the call records itself as cancelled.
pub(super) struct Upstream {
    /// There until the call is recorded.
    meter: Option<Meter>,
    answer: Progress,
}

enum Progress {
    /// Its head has not come.
    Sending(Sending),
    /// Its body is coming.
    Body(Box<AnswerBody>),
    /// Nothing follows.
    Over,
}

impl Upstream {
    pub(super) fn new(meter: Meter, sending: Sending) -> Upstream {
        Upstream { meter: Some(meter), answer: Progress::Sending(sending) }
    }

    /// The meter, until the call is recorded.
    pub(super) fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
    }

    /// Leaves nothing behind; what there was is given back, if it is still to be recorded.
    pub(super) fn take(&mut self) -> Option<Upstream> {
        let meter = Some(self.meter.take()?);
        Some(Upstream { meter, answer: std::mem::replace(&mut self.answer, Progress::Over) })
    }

    /// Waits for the head of the answer; the body stays here.
    pub(super) async fn head(&mut self) -> Result<(StatusCode, HeaderMap), NoAnswer> {
        poll_fn(|cx| self.poll_head(cx)).await
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(StatusCode, HeaderMap), NoAnswer>> {
        let Progress::Sending(sending) = &mut self.answer else {
            return Poll::Ready(Err(NoAnswer::Broken)); // it was taken before
        };
        let answer = match ready!(sending.as_mut().poll(cx)) {
            Ok(answer) => answer,
            Err(no_answer) => {
                self.answer = Progress::Over;
                return Poll::Ready(Err(no_answer));
            }
        };
        if let Some(meter) = &mut self.meter {
            meter.saw_head(answer.status, &answer.headers);
        }
        self.answer = Progress::Body(Box::new(answer.body));
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
        Poll::Ready(Ok((status, answer.headers)))
    }

    /// The next bytes of the body; `None` at its end. Metering them is up to the caller.
    pub(super) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ErrorKind>>> {
        let Progress::Body(body) = &mut self.answer else { return Poll::Ready(None) };
        let next = ready!(body.poll_next(cx));
        if !matches!(next, Some(Ok(_))) {
            self.answer = Progress::Over;
        }
        Poll::Ready(next)
    }

    /// Meters bytes of the body.
    pub(super) fn saw(&mut self, bytes: &[u8]) {
        if let Some(meter) = &mut self.meter {
            meter.saw(bytes);
        }
    }

    /// How many bytes are to come, where that is known.
    pub(super) fn length(&self) -> Option<u64> {
        match &self.answer {
            Progress::Body(body) => body.length(),
            Progress::Sending(_) | Progress::Over => None,
        }
    }

    /// Whether it is known that no byte follows, before the body says so itself.
    pub(super) fn has_come_whole(&self) -> bool {
        matches!(&self.answer, Progress::Body(body) if body.is_end())
    }

    /// Reads and meters up to the end of the answer, or through so many bytes. Says how the provider failed, if it did.
    pub(super) async fn read_on(&mut self, max_bytes: usize) -> Option<ErrorKind> {
        if let Progress::Sending(_) = self.answer
            && let Err(no_answer) = self.head().await
        {
            return Some(no_answer.kind());
        }
        let mut left = max_bytes;
        while let Some(next) = poll_fn(|cx| self.poll_bytes(cx)).await {
            match next {
                Err(kind) => return Some(kind),
                Ok(bytes) => {
                    self.saw(&bytes);
                    left = left.checked_sub(bytes.len())?;
                }
            }
        }
        if let Some(meter) = &mut self.meter {
            meter.saw_end();
        }
        None
    }

    /// Records the end; see [`Meter::finish`]. What may still come of the body is read, and no longer metered. `None` when
    /// it was recorded before.
    pub(super) fn record(&mut self, end: End) -> Option<Recording> {
        let end = match end {
            // No failure of the provider's: the client's own body broke off.
            End::Failed(ErrorKind::ClientGone) => End::Left(ErrorKind::ClientGone),
            end => end,
        };
        if let Progress::Body(body) = &mut self.answer {
            body.expect_end_within(MAX_LAG_OF_END);
        }
        Some(Box::pin(self.meter.take()?.finish(end)))
    }

    /// Records the end at once, wherever this is dropped, and closes the connection.
    pub(super) fn cut(mut self, end: End) {
        if let Some(meter) = self.meter.take() {
            meter.finish_now(end);
        }
    }
}
