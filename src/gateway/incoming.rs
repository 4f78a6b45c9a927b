//! A request as it comes in: what is metered is read whole, because its model and its size decide; the rest flows by.

use std::error::Error;
use std::pin::pin;

use bytes::Bytes;
use http_body_util::BodyExt;

use super::frames::Joined;
use super::{Asking, Inner};
use crate::access::{NoRoom, Room};
use crate::models::Provider;
use crate::models::endpoint::{self, Asked, Class, Fault};
use crate::models::transport::{Coming, RequestBody};
use crate::usage::Now;

/// A request, ready to be sent on.
pub(super) struct Incoming<'a> {
    /// What it asks for; nothing is known of what is not metered.
    pub(super) asked: Asked,
    pub(super) body: IncomingBody,
    /// When as much of it was read as had to be.
    pub(super) read: Now,
    /// The memory of the body.
    pub(super) room: Option<Room<'a>>,
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
            let asked = Asked { model: endpoint::deployment_of(asking.target.path), ..Asked::default() };
            return Ok(Incoming { asked, body, read: self.parts.clock.now(), room: None });
        }
        if asking.head.headers.get(http::header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            let message = "the body is compressed, and a metered one is read here; send it plain";
            return Err(Fault::new(Class::BadRequest, message));
        }
        let mut room = self.rooms.one();
        let bytes = read_whole(body, self.settings.max_body_bytes, &mut room).await?;
        let read = self.parts.clock.now();
        let (kind, target) = (provider.kind(), &asking.target);
        let asked = endpoint::read_request(asking.endpoint, kind, target.path, target.query, &bytes)
            .map_err(|malformed| Fault::new(Class::BadRequest, malformed.to_string()))?;
        Ok(Incoming { asked, body: IncomingBody::Whole(bytes), read, room: Some(room) })
    }
}

/// Reads a body to its end. What comes in one piece, as most do, is not copied.
async fn read_whole<B>(body: B, max_bytes: usize, room: &mut Room<'_>) -> Result<Bytes, Fault>
where
    B: hyper::body::Body<Data = Bytes>,
{
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(too_large(max_bytes));
    }
    let mut body = pin!(body);
    let mut all = Joined::default();
    while let Some(frame) = body.frame().await {
        let cut = |_| Fault::new(Class::SlowBody, "the body did not come whole and in time").closing();
        let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
        if all.len() + data.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        room.hold(all.len() + data.len()).await.map_err(busy)?;
        all.push(data);
    }
    Ok(all.into_bytes())
}

fn busy(full: NoRoom) -> Fault {
    Fault::new(Class::Busy, full.to_string()).retry_after(1).closing()
}

fn too_large(max_bytes: usize) -> Fault {
    let message = format!("the body is larger than {max_bytes} bytes; see `[gateway] max_body_mib`");
    Fault::new(Class::TooLarge, message).closing()
}
