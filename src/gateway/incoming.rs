//! A request as it comes in: what is metered is read whole, because its model and its size decide; the rest flows by.

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::SemaphorePermit;

use super::frames::Joined;
use super::{Asking, Inner};
use crate::models::Provider;
use crate::models::endpoint::{self, Asked, Class, Fault};
use crate::models::transport::{Coming, RequestBody};
use crate::usage::Now;

/// How long a body waits for room among the others before its sender is asked to come again.
const ROOM_WAIT: Duration = Duration::from_secs(5);

/// A request, ready to be sent on.
pub(super) struct Incoming<'a> {
    /// What it asks for; nothing is known of what is not metered.
    pub(super) asked: Asked,
    pub(super) body: IncomingBody,
    /// When as much of it was read as had to be.
    pub(super) read: Now,
    /// The memory of the body.
    pub(super) room: Option<SemaphorePermit<'a>>,
}

/// A body that can be sent again, or one that flows by once.
pub(super) enum IncomingBody {
    Whole(Bytes),
    Flowing(Option<Coming>),
}

impl IncomingBody {
    /// The body for one attempt; `None` when it is gone.
    pub(super) fn for_sending(&mut self) -> Option<RequestBody> {
        match self {
            IncomingBody::Whole(bytes) => Some(bytes.clone().into()),
            IncomingBody::Flowing(body) => body.take().map(RequestBody::from),
        }
    }

    pub(super) fn whole(&self) -> Option<&Bytes> {
        match self {
            IncomingBody::Whole(bytes) => Some(bytes),
            IncomingBody::Flowing(_) => None,
        }
    }
}

impl Inner {
    /// Reads a request as far as it must be known.
    pub(super) async fn read<B>(&self, asking: &Asking<'_>, provider: &Provider, body: B) -> Result<Incoming<'_>, Fault>
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        if !asking.endpoint.is_metered() {
            let body = IncomingBody::Flowing(Some(body.map_err(Into::into).boxed_unsync()));
            return Ok(Incoming { asked: Asked::default(), body, read: self.parts.clock.now(), room: None });
        }
        if asking.head.headers.get(http::header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            let message = "the body is compressed, and a metered one is read here; send it plain";
            return Err(Fault::new(Class::BadRequest, message));
        }
        let mut room = self.room_for(&body.size_hint()).await?;
        let bytes = read_whole(body, self.settings.max_body_bytes).await?;
        let read = self.parts.clock.now();
        // What it did not need is for others.
        let room = room.split(kib(bytes.len() as u64).min(room.num_permits())).unwrap_or(room);
        let (kind, target) = (provider.kind(), &asking.target);
        let asked = endpoint::read_request(asking.endpoint, kind, target.path, target.query, &bytes)
            .map_err(|malformed| Fault::new(Class::BadRequest, malformed.to_string()))?;
        Ok(Incoming { asked, body: IncomingBody::Whole(bytes), read, room: Some(room) })
    }

    /// Waits until there is memory for a body: as much as it announces, or for the largest.
    async fn room_for(&self, announced: &hyper::body::SizeHint) -> Result<SemaphorePermit<'_>, Fault> {
        let largest = self.settings.max_body_bytes as u64;
        if announced.lower() > largest {
            return Err(too_large(self.settings.max_body_bytes));
        }
        let bytes = announced.upper().unwrap_or(largest).min(self.settings.bodies_bytes as u64);
        let kib = u32::try_from(kib(bytes.min(largest))).unwrap_or(u32::MAX);
        if let Ok(room) = self.body_kib.try_acquire_many(kib) {
            return Ok(room);
        }
        match tokio::time::timeout(ROOM_WAIT, self.body_kib.acquire_many(kib)).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(Fault::new(Class::Busy, "too many large bodies at a time").retry_after(1).closing()),
        }
    }
}

/// Reads a body to its end. What comes in one piece, as most do, is not copied.
async fn read_whole<B>(body: B, max_bytes: usize) -> Result<Bytes, Fault>
where
    B: hyper::body::Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let mut all = Joined::default();
    while let Some(frame) = body.frame().await {
        let cut = |_| Fault::new(Class::SlowBody, "the body did not come whole and in time").closing();
        let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
        if all.len() + data.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        all.push(data);
    }
    Ok(all.into_bytes())
}

fn kib(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(1024)).unwrap_or(usize::MAX)
}

fn too_large(max_bytes: usize) -> Fault {
    let message = format!("the body is larger than {max_bytes} bytes; see `[gateway] max_body_mib`");
    Fault::new(Class::TooLarge, message).closing()
}
