//! Connections to providers. Whoever uses one also drives it, so that a call, its connection and its answer are one task
//! and nothing has to be handed over between two; in between it rests, and nobody drives it.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tower::Service;

use super::transport::RequestBody;

/// How long an unused connection is kept.
const MAX_REST: Duration = Duration::from_secs(60);
/// How many unused ones are kept for a host.
const MAX_RESTING: usize = 32;

type Wire = MaybeHttpsStream<TokioIo<TcpStream>>;

/// How to get connections, and those that rest.
pub(super) struct Connections {
    connector: HttpsConnector<HttpConnector>,
    resting: Mutex<HashMap<Origin, Vec<Connection>>>,
}

/// Where a connection leads.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    scheme: Scheme,
    authority: Authority,
}

impl Connections {
    /// None yet; for `http` and `https` with the web's usual roots of trust.
    pub(super) fn new() -> Connections {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(60)));
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().wrap_connector(http);
        Connections { connector, resting: Mutex::default() }
    }

    /// One that rests and still stands.
    pub(super) fn rested(&self, origin: &Origin) -> Option<Connection> {
        loop {
            let mut connection = self.resting().get_mut(origin)?.pop()?;
            if connection.used + MAX_REST > now() && connection.is_ready() {
                return Some(connection);
            }
        }
    }

    /// A new one; `None` when none can be made.
    pub(super) async fn connect(&self, origin: &Origin) -> Option<Connection> {
        let wire = self.connector.clone().call(origin.uri()?).await.ok()?;
        let (sender, driver) = http1::handshake(wire).await.ok()?;
        Some(Connection { sender, driver: Some(Box::pin(driver)), used: now() })
    }

    /// Lets one rest behind an answer that has come whole; it is closed if it cannot be used again. Those that have rested
    /// for too long go.
    fn rest(&self, origin: &Origin, mut connection: Connection) {
        if !connection.is_ready() {
            return;
        }
        let mut all = self.resting();
        let resting = match all.get_mut(origin) {
            Some(resting) => resting,
            None => all.entry(origin.clone()).or_default(),
        };
        resting.retain(|other| other.used + MAX_REST > connection.used);
        if resting.len() < MAX_RESTING {
            resting.push(connection);
        }
    }

    fn resting(&self) -> MutexGuard<'_, HashMap<Origin, Vec<Connection>>> {
        self.resting.lock().expect("nobody panics while holding it")
    }
}

impl Origin {
    /// Where a request goes, which then names only its path and its host. `None` when it names none.
    pub(super) fn take_from<B>(request: &mut Request<B>) -> Option<Origin> {
        let uri = std::mem::take(request.uri_mut()).into_parts();
        let origin = Origin { scheme: uri.scheme?, authority: uri.authority? };
        let path = uri.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(path);
        let host = origin.host()?;
        request.headers_mut().entry(header::HOST).or_insert(host);
        Some(origin)
    }

    /// Its name in a request; the usual port is not said.
    fn host(&self) -> Option<HeaderValue> {
        let usual = if self.scheme == Scheme::HTTPS { 443 } else { 80 };
        let name = match self.authority.port_u16() {
            Some(port) if port != usual => format!("{}:{port}", self.authority.host()),
            _ => self.authority.host().to_owned(),
        };
        HeaderValue::try_from(name).ok()
    }

    fn uri(&self) -> Option<Uri> {
        Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query("/").build().ok()
    }
}

/// A connection in the hands of one call. Dropped, it is closed.
pub(super) struct Connection {
    sender: SendRequest<RequestBody>,
    /// What moves bytes; `None` once it is over.
    driver: Option<Pin<Box<http1::Connection<Wire, RequestBody>>>>,
    /// When it last took a request.
    used: Instant,
}

impl Connection {
    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        self.used = now();
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        poll_fn(|cx| {
            drive(driver, cx);
            answer.as_mut().poll(&mut asleep())
        })
        .await
    }

    /// Whether it can take a request: the last one is over in both directions, and it still stands.
    fn is_ready(&mut self) -> bool {
        drive(&mut self.driver, &mut asleep());
        self.driver.is_some() && self.sender.is_ready()
    }
}

/// Moves bytes until nothing moves; whoever polls is woken when something does. What is over is dropped: who waits for it
/// hears so.
fn drive(driver: &mut Option<Pin<Box<http1::Connection<Wire, RequestBody>>>>, cx: &mut Context<'_>) {
    if let Some(moving) = driver
        && moving.as_mut().poll(cx).is_ready()
    {
        *driver = None;
    }
}

/// For what only the connection moves, which wakes whoever polls by itself.
fn asleep() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// The body of an answer, with the connection by which it comes. Dropped before its end, it closes the connection.
pub(super) struct Arriving {
    incoming: Incoming,
    connection: Option<Connection>,
    home: (Origin, Arc<Connections>),
}

impl Arriving {
    /// What comes by a connection, which then rests at home.
    pub(super) fn new(incoming: Incoming, connection: Connection, home: (Origin, Arc<Connections>)) -> Arriving {
        Arriving { incoming, connection: Some(connection), home }
    }

    /// The next frame; `None` at the end.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut next = Pin::new(&mut self.incoming).poll_frame(&mut asleep());
        if next.is_pending()
            && let Some(connection) = &mut self.connection
        {
            drive(&mut connection.driver, cx);
            next = Pin::new(&mut self.incoming).poll_frame(&mut asleep());
        }
        if matches!(next, Poll::Ready(None)) {
            self.rest();
        }
        next
    }

    /// Whether it is known that nothing follows.
    pub(super) fn is_end(&self) -> bool {
        self.incoming.is_end_stream()
    }

    /// How many bytes are to come, where the answer's head said it.
    pub(super) fn length(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    fn rest(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.home.1.rest(&self.home.0, connection);
        }
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if self.is_end() {
            self.rest();
        }
    }
}

fn now() -> Instant {
    sleep(Duration::ZERO).deadline()
}
