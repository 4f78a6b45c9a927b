//! The only HTTP client to providers: connections, time limits, sizes. Knows nothing of any API.
//!
//! Errors are classes: what hyper has to say may hold a URL, and a URL may hold a key.

use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Uri, response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::connection::{Arriving, Connection, Connections, Origin};
use super::{Decoder, Retry, Timeouts};
use crate::usage::ErrorKind;

/// The most of an error's body that is read, in bytes.
pub const MAX_ERROR_BYTES: usize = 64 << 10;
/// The largest list of models that is read, in bytes.
pub const MAX_LIST_BYTES: usize = 8 << 20;

const USER_AGENT: &str = concat!("tallybot/", env!("CARGO_PKG_VERSION"));

/// What is sent: bytes that are all there, or what somebody is still sending.
pub struct RequestBody {
    body: Either<Full<Bytes>, Coming>,
    /// When the last piece went on, of what somebody is still sending.
    went_on: Option<Arc<Mutex<Instant>>>,
}

/// What somebody is still sending.
pub type Coming = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// Whoever was sending broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body broke off")]
pub struct BrokenOff;

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> RequestBody {
        RequestBody { body: Either::Left(Full::new(bytes)), went_on: None }
    }
}

impl From<Coming> for RequestBody {
    fn from(coming: Coming) -> RequestBody {
        RequestBody { body: Either::Right(coming), went_on: Some(Arc::new(Mutex::new(this_moment()))) }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = self.get_mut();
        let next = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(went_on) = &this.went_on {
            *went_on.lock().unwrap_or_else(PoisonError::into_inner) = this_moment();
        }
        Poll::Ready(next.map(|frame| frame.map_err(|_| BrokenOff)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// As timers have it: they follow the clock of the runtime.
fn this_moment() -> Instant {
    sleep(Duration::ZERO).deadline()
}

/// The way to providers. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Transport {
    connections: Arc<Connections>,
}

impl Transport {
    /// A transport without connections yet, for `http` and `https` with the web's usual roots of trust.
    pub fn new() -> Transport {
        Transport { connections: Arc::new(Connections::new()) }
    }

    /// To be called once a second: connections that have rested for long are closed.
    pub(super) fn second_passed(&self) {
        self.connections.second_passed();
    }

    /// Sends a request of our own, as [`Transport::pass`] one of somebody else.
    pub(super) async fn send(&self, mut request: Request<Bytes>, timeouts: &Timeouts) -> Result<Answer, NoAnswer> {
        let headers = request.headers_mut();
        headers.insert(http::header::USER_AGENT, http::HeaderValue::from_static(USER_AGENT));
        headers.insert(http::header::ACCEPT_ENCODING, http::HeaderValue::from_static("identity"));
        self.pass(request.map(RequestBody::from), timeouts).await
    }

    /// Sends a request as it is and waits for the head of the answer. Dropping the future closes the connection.
    pub(super) async fn pass(
        &self,
        mut request: Request<RequestBody>,
        timeouts: &Timeouts,
    ) -> Result<Answer, NoAnswer> {
        let mut patience = Patience::begins(timeouts);
        let origin = self.connections.origin_of(&mut request).ok_or(NoAnswer::Connect)?;
        let went_on = request.body().went_on.clone();
        loop {
            let rested = origin.rested();
            let has_rested = rested.is_some();
            let mut connection = match rested {
                Some(connection) => connection,
                None => {
                    patience.bears_silence_of(timeouts.connect);
                    self.connect(&origin, &mut patience).await?
                }
            };
            patience.bears_silence_of(timeouts.first_byte);
            let sent = {
                let mut sending = pin!(connection.send(request));
                loop {
                    tokio::select! {
                        biased;
                        sent = &mut sending => break sent,
                        over = patience.ends() => match over {
                            // Nobody answers what is still being asked.
                            Over::Silence if patience.has_been_silent_only_since(&went_on, timeouts.first_byte) => {}
                            Over::Silence => return Err(NoAnswer::FirstByteTimeout),
                            Over::Total => return Err(NoAnswer::TotalTimeout),
                        },
                    }
                }
            };
            match sent {
                Ok(response) => {
                    let (head, incoming) = response.into_parts();
                    let arriving = Arriving::new(incoming, connection, origin);
                    return Ok(Answer::new(head, arriving, patience, timeouts.between_chunks));
                }
                // It was closed while it rested, and nothing was sent.
                Err(mut error) => match error.take_message().filter(|_| has_rested) {
                    Some(unsent) => request = unsent,
                    None => return Err(NoAnswer::from(error.into_error())),
                },
            }
        }
    }

    async fn connect(&self, origin: &Origin, patience: &mut Patience) -> Result<Connection, NoAnswer> {
        tokio::select! {
            biased;
            connected = self.connections.connect(origin) => connected.ok_or(NoAnswer::Connect),
            over = patience.ends() => Err(match over {
                Over::Silence => NoAnswer::ConnectTimeout,
                Over::Total => NoAnswer::TotalTimeout,
            }),
        }
    }
}

/// How long a call may be silent, and how long it may take: two moments and one timer, which is set to the earlier of
/// them only when somebody waits, and where it rings too early set again.
struct Patience {
    silence: Instant,
    total: Instant,
    timer: Pin<Box<Sleep>>,
}

/// What was over.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    Silence,
    Total,
}

/// Timers ring by the millisecond: what is over so soon behind another is over at once.
const RESOLUTION: Duration = Duration::from_millis(1);

impl Patience {
    /// From now on: the first silence is until there is a connection.
    fn begins(timeouts: &Timeouts) -> Patience {
        let timer = Box::pin(sleep(timeouts.total));
        let total = timer.deadline();
        let mut patience = Patience { silence: total, total, timer };
        patience.bears_silence_of(timeouts.connect);
        patience
    }

    /// From now on it may be silent for so long.
    fn bears_silence_of(&mut self, limit: Duration) {
        self.silence = sleep(limit).deadline();
    }

    /// Whether the silence began later than was known, and is not over: with the last piece of what was sent.
    fn has_been_silent_only_since(&mut self, went_on: &Option<Arc<Mutex<Instant>>>, limit: Duration) -> bool {
        let Some(went_on) = went_on else { return false };
        let since = *went_on.lock().unwrap_or_else(PoisonError::into_inner);
        self.silence = self.silence.max(since + limit);
        self.silence > this_moment()
    }

    /// From now on all may take so long.
    fn ends_within(&mut self, limit: Duration) {
        self.total = sleep(limit).deadline();
    }

    async fn ends(&mut self) -> Over {
        poll_fn(|cx| self.poll_end(cx)).await
    }

    /// Ready when either is over; when both are, it is the silence.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        loop {
            let next = self.silence.min(self.total);
            if self.timer.deadline() > next {
                self.timer.as_mut().reset(next);
            }
            ready!(self.timer.as_mut().poll(cx));
            let rang = self.timer.deadline() + RESOLUTION;
            if self.silence <= rang {
                return Poll::Ready(Over::Silence);
            }
            if self.total <= rang {
                return Poll::Ready(Over::Total);
            }
            self.timer.as_mut().reset(next);
        }
    }
}

impl Default for Transport {
    fn default() -> Transport {
        Transport::new()
    }
}

/// Why there was no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// No connection could be made: nothing was sent.
    Connect,
    /// No connection in time: nothing was sent.
    ConnectTimeout,
    /// The connection broke before the head of an answer came.
    Broken,
    /// The body of the request broke off: whoever sent it is gone.
    Unsent,
    /// What came was not HTTP.
    NotHttp,
    /// Nothing came in time after the connection stood.
    FirstByteTimeout,
    /// The call took too long as a whole.
    TotalTimeout,
}

impl NoAnswer {
    /// The class for the record.
    pub fn kind(self) -> ErrorKind {
        match self {
            NoAnswer::Connect => ErrorKind::Connect,
            NoAnswer::ConnectTimeout => ErrorKind::ConnectTimeout,
            NoAnswer::Broken => ErrorKind::StreamCut,
            NoAnswer::Unsent => ErrorKind::ClientGone,
            NoAnswer::NotHttp => ErrorKind::BadResponse,
            NoAnswer::FirstByteTimeout => ErrorKind::FirstByteTimeout,
            NoAnswer::TotalTimeout => ErrorKind::TotalTimeout,
        }
    }

    /// A provider that is slow may still be at work, and be paid for it: only what broke early is tried again.
    pub fn retry(self) -> Retry {
        match self {
            NoAnswer::Connect | NoAnswer::ConnectTimeout | NoAnswer::Broken => Retry::After(None),
            NoAnswer::Unsent | NoAnswer::NotHttp | NoAnswer::FirstByteTimeout | NoAnswer::TotalTimeout => Retry::No,
        }
    }
}

impl From<hyper::Error> for NoAnswer {
    fn from(error: hyper::Error) -> NoAnswer {
        match error {
            error if error.is_parse() => NoAnswer::NotHttp,
            error if error.is_user() => NoAnswer::Unsent,
            _ => NoAnswer::Broken,
        }
    }
}

/// The head of an answer, with its body still to come.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers, as they came.
    pub headers: HeaderMap,
    /// What follows.
    pub body: AnswerBody,
}

/// The body of an answer. Dropping it before its end closes the connection.
pub struct AnswerBody {
    arriving: Arriving,
    /// For silence before its first byte, and from then on since its last.
    patience: Patience,
    begun: bool,
    between_chunks: Duration,
}

impl Answer {
    fn new(head: response::Parts, arriving: Arriving, patience: Patience, between_chunks: Duration) -> Answer {
        let body = AnswerBody { arriving, patience, begun: false, between_chunks };
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }
}

impl AnswerBody {
    /// The next bytes, as they came over the wire; `None` at the end. Dropped and called again it loses nothing, and
    /// its time limits go on.
    pub async fn next(&mut self) -> Option<Result<Bytes, ErrorKind>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`AnswerBody::next`] for those who poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ErrorKind>>> {
        loop {
            match self.arriving.poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(ErrorKind::StreamCut))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => {
                        self.begun = true;
                        self.patience.bears_silence_of(self.between_chunks);
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    _ => {} // an empty frame, or trailers
                },
                Poll::Pending => return self.poll_patience(cx).map(|kind| Some(Err(kind))),
            }
        }
    }

    /// Whether it is known that nothing follows.
    pub fn is_end(&self) -> bool {
        self.arriving.is_end()
    }

    /// How many bytes are to come, where the answer's head said it.
    pub fn length(&self) -> Option<u64> {
        self.arriving.length()
    }

    /// Ready when it has been silent, or has gone on, for too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<ErrorKind> {
        self.patience.poll_end(cx).map(|over| match over {
            Over::Silence if self.begun => ErrorKind::IdleTimeout,
            Over::Silence => ErrorKind::FirstByteTimeout,
            Over::Total => ErrorKind::TotalTimeout,
        })
    }

    /// Gives the body this long to end; whatever still comes does not make it longer.
    pub fn expect_end_within(&mut self, limit: Duration) {
        self.patience.ends_within(limit);
    }

    /// The decoded body up to `max_bytes`; what is beyond, or comes after damage, is not read.
    pub(super) async fn read(mut self, max_bytes: usize) -> (Vec<u8>, Result<(), ErrorKind>) {
        let mut decoder = Decoder::default();
        let mut body = Vec::new();
        while let Some(bytes) = self.next().await {
            let pushed =
                bytes.and_then(|bytes| decoder.push(&bytes, &mut body, max_bytes).map_err(|_| ErrorKind::BadResponse));
            if let Err(kind) = pushed {
                return (body, Err(kind));
            }
        }
        (body, decoder.finish().map_err(|_| ErrorKind::BadResponse))
    }
}

/// A provider's URL, ready to have paths put behind it.
#[derive(Clone)]
pub(super) struct BaseUrl {
    uri: Uri,
}

impl BaseUrl {
    /// `None` when it is not an `http` or `https` URL with a host.
    pub(super) fn parse(url: &str) -> Option<BaseUrl> {
        let uri: Uri = url.trim().parse().ok()?;
        let known_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        (known_scheme && uri.host().is_some_and(|host| !host.is_empty())).then_some(BaseUrl { uri })
    }

    pub(super) fn host(&self) -> &str {
        self.uri.host().unwrap_or_default()
    }

    /// Whether the URL names nothing but a host.
    pub(super) fn has_no_path(&self) -> bool {
        self.uri.path().trim_matches('/').is_empty()
    }

    /// Whether the URL ends in a version of an API.
    pub(super) fn ends_in_version(&self) -> bool {
        is_version(self.uri.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default())
    }

    /// The URL with `path` behind it; a version that it begins with, or has behind `upload`, takes the place of the one
    /// that the URL ends in.
    pub(super) fn join_in_its_version(&self, path: &str) -> Uri {
        let mut segments = path.trim_start_matches('/').split('/').skip_while(|segment| *segment == UPLOAD);
        let first = segments.next().unwrap_or_default();
        let base = self.uri.path().trim_end_matches('/');
        let mut parts = self.uri.clone().into_parts();
        match base.rsplit_once('/') {
            Some((above, version)) if is_version(first) && is_version(version) => {
                parts.path_and_query = format!("{above}/").parse().ok();
                Uri::from_parts(parts).map_or_else(|_| self.join(path), |uri| BaseUrl { uri }.join(path))
            }
            _ => self.join(path),
        }
    }

    /// The URL with `path` behind it, which may have a query. When the URL ends in the segment that `path` begins with (`/v1`, `/api`), that
    /// segment is not repeated. A query of the URL's is kept.
    pub(super) fn join(&self, path: &str) -> Uri {
        let base = self.uri.path().trim_end_matches('/');
        let path = path.trim_start_matches('/');
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let versioned = matches!(first, "api" | "v1" | "v1beta");
        let doubled = versioned && base.rsplit('/').next() == Some(first);
        let path = if doubled { rest } else { path };
        let mut text = String::with_capacity(self.uri.path().len() + path.len() + 2);
        text.extend([base, "/", path]);
        if let Some(query) = self.uri.query() {
            text.extend([if path.contains('?') { "&" } else { "?" }, query]);
        }
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = PathAndQuery::from_maybe_shared(Bytes::from(text)).ok();
        Uri::from_parts(parts).expect("a valid URL with a path of valid characters is valid")
    }
}

/// Where Google's files go, before the version.
const UPLOAD: &str = "upload";

/// Whether a segment of a path names a version of an API: `v1`, `v1beta`.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silence_counts_from_the_last_word_and_a_call_from_its_beginning() {
        let (secs, moment) = (Duration::from_secs, || sleep(Duration::ZERO).deadline());
        let timeouts = Timeouts { connect: secs(5), total: secs(60), ..Timeouts::all(secs(30)) };
        let began = moment();
        let mut patience = Patience::begins(&timeouts);
        assert_eq!((patience.ends().await, moment() - began), (Over::Silence, secs(5)));
        for _word in 0..3 {
            patience.bears_silence_of(secs(10));
            assert!(tokio::time::timeout(secs(9), patience.ends()).await.is_err());
        }
        assert_eq!((patience.ends().await, moment() - began), (Over::Silence, secs(5 + 2 * 9 + 10)));
        patience.bears_silence_of(secs(600));
        assert_eq!((patience.ends().await, moment() - began), (Over::Total, secs(60)));
        let mut patience = Patience::begins(&Timeouts::all(secs(7)));
        assert_eq!(patience.ends().await, Over::Silence, "of two that are over at once");
        patience.bears_silence_of(secs(60));
        patience.ends_within(secs(1));
        let before = moment();
        assert_eq!((patience.ends().await, moment() - before), (Over::Total, secs(1)));
    }

    #[test]
    fn a_doubled_segment_is_dropped_and_nothing_else() {
        let join = |url: &str, path: &str| BaseUrl::parse(url).expect("a URL").join(path).to_string();
        assert_eq!(join("http://h:1", "/api/chat"), "http://h:1/api/chat");
        assert_eq!(join("https://ollama.com/api/", "/api/chat"), "https://ollama.com/api/chat");
        assert_eq!(join("https://h/v1", "/v1/models"), "https://h/v1/models");
        assert_eq!(join("https://h/v1/", "/chat/completions"), "https://h/v1/chat/completions");
        assert_eq!(join("https://h/x/v1", "v1/models"), "https://h/x/v1/models");
        assert_eq!(join("https://h/v1beta/openai", "/models"), "https://h/v1beta/openai/models");
        assert_eq!(join("https://h/v1?api-version=2", "/models"), "https://h/v1/models?api-version=2");
        assert_eq!(join("https://h/models", "/models"), "https://h/models/models");
    }

    #[test]
    fn a_version_that_a_path_names_takes_the_place_of_the_urls() {
        let join = |url: &str, path: &str| BaseUrl::parse(url).expect("a URL").join_in_its_version(path).to_string();
        assert_eq!(join("https://h/v1beta", "/v1/models/m:embedContent"), "https://h/v1/models/m:embedContent");
        assert_eq!(join("https://h/x/v1beta/", "/v1alpha/models"), "https://h/x/v1alpha/models");
        assert_eq!(join("https://h/v1beta", "/models"), "https://h/v1beta/models");
        assert_eq!(join("https://h/v1beta", "/upload/v1beta/files"), "https://h/upload/v1beta/files");
        assert_eq!(join("https://h/v1beta", "/upload"), "https://h/v1beta/upload");
        assert_eq!(join("https://h/proxy", "/v1/models"), "https://h/proxy/v1/models");
        assert_eq!(join("https://h", "/v1/models"), "https://h/v1/models");
    }

    #[test]
    fn only_web_urls_are_taken() {
        for url in ["", "h:1", "ftp://h/", "/v1", "http://", "not a url"] {
            assert!(BaseUrl::parse(url).is_none(), "{url}");
        }
    }
}
