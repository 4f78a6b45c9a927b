//! Request bodies under time and size limits.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use crate::access::{NoRoom, Room};

/// The body of a request as handlers get it.
pub type RequestBody = TimedBody<Incoming>;

/// A body that ends with an error when its sender is silent for too long, or takes too long: for all of it, and where it
/// is large for each MiB, so that a steady upload of any size comes through and a trickle does not.
pub struct TimedBody<B> {
    inner: B,
    idle: Duration,
    total: Duration,
    silence: Option<Pin<Box<Sleep>>>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// What has come since the deadline was set.
    lap: usize,
}

/// What has to come within the time of a body, in bytes, for it to have as much time again.
const LAP_BYTES: usize = 1 << 20;

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyCut {
    /// Nothing came for too long.
    #[error("no more of the body came in time")]
    Silent,
    /// It came too slowly as a whole.
    #[error("the body took too long")]
    Slow,
    /// It is larger than what is taken here.
    #[error("the body is larger than {max_bytes} bytes")]
    TooLarge {
        /// The largest body taken.
        max_bytes: usize,
    },
    /// Others held the memory for bodies for too long.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The connection broke, or what came is not a body.
    #[error("the body broke off")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

impl<B> TimedBody<B> {
    /// Watches `inner`: at most `idle` between two frames, at most `total` for each MiB and what is less.
    pub fn new(inner: B, idle: Duration, total: Duration) -> TimedBody<B> {
        TimedBody { inner, idle, total, silence: None, deadline: None, lap: 0 }
    }

    /// Notes what came: after a lap the time begins anew.
    fn came(&mut self, bytes: usize) {
        self.silence = None;
        self.lap += bytes;
        if self.lap >= LAP_BYTES {
            (self.lap, self.deadline) = (0, None);
        }
    }
}

impl<B> HttpBody for TimedBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = BodyCut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                this.came(data.map_or(0, Bytes::len));
                let broken = |error: B::Error| BodyCut::Broken(error.into());
                Poll::Ready(frame.map(|frame| frame.map_err(broken)))
            }
            Poll::Pending => {
                let (idle, total) = (this.idle, this.total);
                let deadline = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(total)));
                if deadline.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Some(Err(BodyCut::Slow)));
                }
                let silence = this.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
                silence.as_mut().poll(cx).map(|()| Some(Err(BodyCut::Silent)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads a whole body of at most `max_bytes`. One that says beforehand that it is larger is not read at all.
///
/// # Errors
/// When it is too large, too slow, or breaks off.
pub async fn read_body<B>(body: B, max_bytes: usize) -> Result<Bytes, BodyCut>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    read(body, max_bytes, None).await
}

/// The same for a body that may be large: it takes of the room of all bodies as it comes, and holds it until `room` is
/// dropped.
///
/// # Errors
/// As [`read_body`], and when others hold too much.
pub async fn read_body_into<B>(body: B, max_bytes: usize, room: &mut Room<'_>) -> Result<Bytes, BodyCut>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    read(body, max_bytes, Some(room)).await
}

async fn read<B>(mut body: B, max_bytes: usize, mut room: Option<&mut Room<'_>>) -> Result<Bytes, BodyCut>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max_bytes {
        return Err(BodyCut::TooLarge { max_bytes });
    }
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| cut_of(error.into()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > max_bytes {
            return Err(BodyCut::TooLarge { max_bytes });
        }
        if let Some(room) = &mut room {
            room.hold(bytes.len() + data.len()).await?;
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// The cut inside an error that a boxed body wrapped.
fn cut_of(error: Box<dyn Error + Send + Sync>) -> BodyCut {
    let error = match error.downcast::<BodyCut>() {
        Ok(cut) => return *cut,
        Err(error) => error,
    };
    let mut level: Option<&(dyn Error + 'static)> = Some(&*error);
    while let Some(current) = level {
        match current.downcast_ref::<BodyCut>() {
            Some(BodyCut::Silent) => return BodyCut::Silent,
            Some(BodyCut::Slow) => return BodyCut::Slow,
            _ => level = current.source(),
        }
    }
    BodyCut::Broken(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http_body_util::Full;

    #[tokio::test]
    async fn silence_and_slowness_are_told_apart_even_through_a_box() {
        let (short, long) = (Duration::from_millis(5), Duration::from_secs(60));
        let silent =
            || http_body_util::StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, BodyCut>>());
        let read = read_body(Body::new(TimedBody::new(silent(), short, long)), 10).await;
        assert!(matches!(read, Err(BodyCut::Silent)), "{read:?}");
        let read = read_body(Body::new(TimedBody::new(silent(), long, short)), 10).await;
        assert!(matches!(read, Err(BodyCut::Slow)), "{read:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn each_lap_of_a_large_body_has_its_own_time() {
        let second = Duration::from_secs(1);
        let pieces = |bytes: usize| {
            let piece = move |n: u64| async move {
                tokio::time::sleep(Duration::from_secs(n.min(1))).await;
                Ok::<_, BodyCut>(Frame::data(Bytes::from(vec![b'x'; bytes])))
            };
            http_body_util::StreamBody::new(Box::pin(futures_util::StreamExt::then(
                futures_util::stream::iter(0..100),
                piece,
            )))
        };
        let read = read_body(TimedBody::new(pieces(LAP_BYTES / 4), 2 * second, 5 * second), usize::MAX).await;
        assert_eq!(read.expect("a MiB in four seconds").len(), 25 * LAP_BYTES);
        let read = read_body(TimedBody::new(pieces(LAP_BYTES / 8), 2 * second, 5 * second), usize::MAX).await;
        assert!(matches!(read, Err(BodyCut::Slow)), "a MiB in eight seconds");
    }

    #[tokio::test]
    async fn size_is_held_announced_or_not() {
        let full = || Full::new(Bytes::from_static(b"0123456789"));
        assert_eq!(read_body(full(), 10).await.expect("fits"), "0123456789");
        assert!(matches!(read_body(full(), 9).await, Err(BodyCut::TooLarge { max_bytes: 9 })));
        let unannounced = futures_util::stream::repeat(Bytes::from_static(b"0123456789"));
        let unannounced = futures_util::StreamExt::map(unannounced, |data| Ok::<_, BodyCut>(Frame::data(data)));
        let read = read_body(http_body_util::StreamBody::new(unannounced), 1 << 20).await;
        assert!(matches!(read, Err(BodyCut::TooLarge { .. })));
    }
}
