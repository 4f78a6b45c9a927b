//! A tower layer: a Rust service wraps its client or its route, and the model calls that pass are recorded.

use std::any::Any;
use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::ACCEPT_ENCODING;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Frame, SizeHint};
use hyper_util::client::legacy;
use tower::{Layer, Service};

use super::{Call, End, Meter, Metering, Receipt};
use crate::models::endpoint::{self, Class, Endpoint, Fault};
use crate::models::{Kind, readable_encoding};
use crate::usage::names::{Name, UNKNOWN};
use crate::usage::{ErrorKind, KeySuffix};

/// The largest request that is read, in bytes.
const MAX_REQUEST_BYTES: usize = 32 << 20;

type Recording = Pin<Box<dyn Future<Output = Receipt> + Send>>;
type BoxError = Box<dyn Error + Send + Sync>;

/// Records the model calls that pass through a service, under the limits of the books.
///
/// Wraps anything that takes `http::Request<B>` and whose body can be made of bytes (`Full<Bytes>`, `axum::body::Body`):
/// a client on its way to a provider, or a route that answers like one. Paths that no API meters pass untouched and
/// unrecorded. The bytes of requests and answers are never changed: a stream of OpenAI's API tells its usage only to who
/// asks with `stream_options`, and is estimated otherwise. Only `Accept-Encoding` is narrowed, to gzip or nothing: of an
/// answer in another encoding no usage can be read. A call that a limit refuses is not made; the service answers
/// 429 for it, in the words of the API. The end of an answer waits until its record is acknowledged, at most two seconds.
///
/// When the service fails before there is an answer, nobody knows what the provider did: the call is recorded with its
/// prompt, estimated. Only where the error is that of hyper's client, alone or in a box, and says that there was no
/// connection, nothing was sent and nothing is counted.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::{BodyExt, Full};
/// use tallybot::metering::{Metering, MeteringLayer};
/// use tallybot::models::Kind;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # async fn example(metering: Metering) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// // Any client will do; this one answers by itself.
/// let client = service_fn(|_request: http::Request<Full<Bytes>>| async {
///     let answer = r#"{"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#;
///     Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::from(answer))))
/// });
/// let layer = MeteringLayer::new(metering, "cloud", Kind::OpenAi).feature("digest");
/// let client = ServiceBuilder::new().layer(layer).service(client);
///
/// let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}"#;
/// let request = http::Request::post("https://api.openai.com/v1/chat/completions").body(Full::from(body))?;
/// let answer = client.oneshot(request).await?.into_body().collect().await?;
/// # let _ = answer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MeteringLayer {
    told: Arc<Told>,
}

/// What is known of all calls of a layer.
#[derive(Clone)]
struct Told {
    metering: Metering,
    kind: Kind,
    call: Call,
}

impl MeteringLayer {
    /// A layer for calls to one provider, named as in the configuration, that speaks this API.
    pub fn new(metering: Metering, provider: &str, kind: Kind) -> MeteringLayer {
        let call = Call::new(provider, kind.as_str(), UNKNOWN, "api");
        MeteringLayer { told: Arc::new(Told { metering, kind, call }) }
    }

    /// Says what the calls are for.
    #[must_use]
    pub fn feature(self, feature: &str) -> MeteringLayer {
        self.with(|call| call.feature = Some(Name::clean(feature)))
    }

    /// Says whose budget the calls count in.
    #[must_use]
    pub fn team(self, team: &str) -> MeteringLayer {
        self.with(|call| call.team = Some(Name::clean(team)))
    }

    /// Says that the models run on the owner's machines and cost nothing.
    #[must_use]
    pub fn local(self) -> MeteringLayer {
        self.with(|call| call.local = true)
    }

    /// Says which key is used, of which the last four characters are kept.
    #[must_use]
    pub fn api_key(self, key: &str) -> MeteringLayer {
        self.with(|call| call.api_key_suffix = KeySuffix::of_key(key))
    }

    fn with(mut self, change: impl FnOnce(&mut Call)) -> MeteringLayer {
        change(&mut Arc::make_mut(&mut self.told).call);
        self
    }
}

impl<S> Layer<S> for MeteringLayer {
    type Service = Metered<S>;

    fn layer(&self, inner: S) -> Metered<S> {
        Metered { inner, told: Arc::clone(&self.told) }
    }
}

/// A service whose model calls are recorded; see [`MeteringLayer`].
#[derive(Clone)]
pub struct Metered<S> {
    inner: S,
    told: Arc<Told>,
}

impl<S, B, R> Service<Request<B>> for Metered<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body<Data = Bytes, Error: Into<BoxError>> + From<Bytes> + Send + 'static,
    R: Body<Data = Bytes> + Send + Unpin,
{
    type Response = Response<MeteredBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready is used, and a clone is left for the next call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let told = Arc::clone(&self.told);
        let endpoint = Endpoint::of(told.kind, request.method(), request.uri().path());
        Box::pin(async move {
            if !endpoint.is_metered() {
                return Ok(inner.call(request).await?.map(MeteredBody::untouched));
            }
            let (request, meter) = match told.admit(endpoint, request).await {
                Ok(admitted) => admitted,
                Err(fault) => return Ok(fault.into_response(endpoint.dialect(told.kind)).map(MeteredBody::refused)),
            };
            metered(inner.call(request).await, meter).await
        })
    }
}

/// The answer with its meter, or the record of a call that brought none.
async fn metered<R: Body, E: 'static>(
    answer: Result<Response<R>, E>,
    mut meter: Meter,
) -> Result<Response<MeteredBody<R>>, E> {
    match answer {
        Ok(answer) => {
            meter.saw_head(answer.status().as_u16(), answer.headers());
            if answer.body().is_end_stream() {
                // Nobody asks for a body that is empty.
                meter.finish(End::Body).await;
                return Ok(answer.map(MeteredBody::untouched));
            }
            Ok(answer.map(|body| MeteredBody::metered(body, meter)))
        }
        Err(error) => {
            let kind = if made_no_connection(&error) { ErrorKind::Connect } else { ErrorKind::StreamCut };
            meter.finish(End::Failed(kind)).await;
            Err(error)
        }
    }
}

/// Whether an error says that nothing was sent: hyper's client does, also boxed or wrapped into another error.
fn made_no_connection<E: 'static>(error: &E) -> bool {
    let error: &dyn Any = error;
    let boxed = error.downcast_ref::<BoxError>().map(|error| &**error as &(dyn Error + 'static));
    let first = boxed.or_else(|| error.downcast_ref::<legacy::Error>().map(|error| error as &(dyn Error + 'static)));
    let mut all = std::iter::successors(first, |&error| error.source());
    all.any(|error| error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect))
}

impl Told {
    /// Reads a request and opens its call; gives the same request back.
    async fn admit<B>(&self, endpoint: Endpoint, request: Request<B>) -> Result<(Request<B>, Meter), Fault>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + From<Bytes> + Send + 'static,
    {
        let (mut head, body) = request.into_parts();
        if head.headers.contains_key(ACCEPT_ENCODING) {
            let encoding = readable_encoding(&head.headers);
            head.headers.insert(ACCEPT_ENCODING, encoding);
        }
        let body = match Limited::new(body, MAX_REQUEST_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(Fault::new(Class::TooLarge, format!("the body is larger than {MAX_REQUEST_BYTES} bytes")));
            }
            Err(_) => return Err(Fault::new(Class::SlowBody, "the body broke off")),
        };
        let asked = endpoint::read_request(endpoint, self.kind, head.uri.path(), head.uri.query(), &body)
            .map_err(|malformed| Fault::new(Class::BadRequest, malformed.to_string()))?;
        let call = self.call.clone().asking(endpoint, &asked);
        let permit = self.metering.open(call, self.metering.now()).await.map_err(|refused| Fault::from(&refused))?;
        Ok((Request::from_parts(head, B::from(body)), Meter::new(permit, endpoint)))
    }
}

/// The body of an answer that is metered as it passes.
pub struct MeteredBody<R: Body> {
    inner: Option<R>,
    /// An answer of our own.
    own: Option<Full<Bytes>>,
    meter: Option<Meter>,
    recording: Option<Recording>,
    /// Waits for the record.
    held: BytesMut,
    /// What stands behind that: trailers, or the break.
    behind: Option<Result<Frame<Bytes>, R::Error>>,
}

/// Nothing in it but the body that passes is ever pinned.
impl<R: Body + Unpin> Unpin for MeteredBody<R> {}

impl<R: Body> MeteredBody<R> {
    fn of(inner: Option<R>, own: Option<Full<Bytes>>, meter: Option<Meter>) -> MeteredBody<R> {
        MeteredBody { inner, own, meter, recording: None, held: BytesMut::new(), behind: None }
    }

    fn untouched(body: R) -> MeteredBody<R> {
        MeteredBody::of(Some(body), None, None)
    }

    fn metered(body: R, meter: Meter) -> MeteredBody<R> {
        MeteredBody::of(Some(body), None, Some(meter))
    }

    fn refused(body: Full<Bytes>) -> MeteredBody<R> {
        MeteredBody::of(None, Some(body), None)
    }

    fn record(&mut self, end: End) {
        self.recording = self.meter.take().map(|meter| Box::pin(meter.finish(end)) as Recording);
    }

    /// Meters bytes; gives those back that may go on. What ends the answer is held, also where nothing follows it: nobody
    /// may ask for that. An API without a last word may say more, so only its newest piece is held.
    fn pass(&mut self, bytes: Bytes, came_whole: bool) -> Bytes {
        let Some(meter) = &mut self.meter else { return bytes };
        meter.saw(&bytes);
        let (ends, is_last) = (meter.sees_end(), came_whole || meter.reader().learned().terminal);
        if !ends && !is_last && self.held.is_empty() {
            return bytes;
        }
        let before = if is_last { Bytes::new() } else { self.held.split().freeze() };
        self.held.extend_from_slice(&bytes);
        if is_last {
            self.record(End::Body);
        }
        before
    }
}

impl<R: Body<Data = Bytes> + Unpin> Body for MeteredBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let this = self.get_mut();
        if let Some(own) = &mut this.own {
            return Pin::new(own).poll_frame(cx).map_err(|never: Infallible| match never {});
        }
        loop {
            if let Some(recording) = &mut this.recording {
                ready!(recording.as_mut().poll(cx));
                this.recording = None;
            }
            if this.meter.is_none() && !this.held.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(this.held.split().freeze()))));
            }
            if let Some(behind) = this.behind.take() {
                return Poll::Ready(Some(behind));
            }
            let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
            match ready!(Pin::new(&mut *inner).poll_frame(cx)) {
                None => {
                    this.inner = None;
                    this.record(End::Body);
                }
                Some(Err(error)) => {
                    this.inner = None;
                    if let Some(meter) = this.meter.take() {
                        // What broke is told at once; its record is written, and nobody waits for it.
                        let _acknowledged_later = meter.finish_now(End::Failed(ErrorKind::StreamCut));
                    }
                    this.behind = Some(Err(error));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Err(trailers) => {
                        this.behind = Some(Ok(trailers));
                        this.record(End::Body);
                    }
                    Ok(bytes) => {
                        let came_whole = inner.is_end_stream();
                        let on = this.pass(bytes, came_whole);
                        if !on.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(on))));
                        }
                    }
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let has_ended = match &self.own {
            Some(own) => own.is_end_stream(),
            None => self.inner.as_ref().is_none_or(Body::is_end_stream),
        };
        has_ended && self.meter.is_none() && self.recording.is_none() && self.held.is_empty() && self.behind.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if let Some(own) = &self.own {
            return own.size_hint();
        }
        let (held, rest) = (self.held.len() as u64, self.inner.as_ref().map(Body::size_hint));
        let rest = rest.unwrap_or_else(|| SizeHint::with_exact(0));
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + held);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}

impl<R: Body> Drop for MeteredBody<R> {
    fn drop(&mut self) {
        if let Some(meter) = self.meter.take() {
            let _acknowledged_later = meter.finish_now(End::Left(ErrorKind::ClientGone));
        }
    }
}
