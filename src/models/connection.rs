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
use tokio::runtime::{self, Handle};
use tokio::task::coop::unconstrained;
use tower::Service;

use super::transport::RequestBody;

/// How many seconds an unused connection is kept.
const MAX_REST: u64 = 60;
/// How many unused ones are kept for a host.
const MAX_RESTING: usize = 32;

type Wire = MaybeHttpsStream<TokioIo<TcpStream>>;

/// How to get connections, and where they lead.
pub(super) struct Connections {
    connector: HttpsConnector<HttpConnector>,
    /// Those of the providers: a few.
    origins: Mutex<Vec<Arc<Origin>>>,
}

/// Where connections lead, with those that rest.
pub(super) struct Origin {
    scheme: Scheme,
    authority: Authority,
    /// Its name in a request; the usual port is not said.
    host: HeaderValue,
    resting: Mutex<Resting>,
}

#[derive(Default)]
struct Resting {
    /// How many seconds have passed.
    second: u64,
    /// With the second in which each began to rest; the last to come is the first to go. Each is used where it was made:
    /// elsewhere its runtime would have to wake another for all that comes.
    by_runtime: HashMap<runtime::Id, Vec<(u64, Connection)>>,
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
        Connections { connector, origins: Mutex::default() }
    }

    /// Where a request goes, which then names only its path and its host. `None` when it names none.
    pub(super) fn origin_of<B>(&self, request: &mut Request<B>) -> Option<Arc<Origin>> {
        let uri = std::mem::take(request.uri_mut()).into_parts();
        let origin = self.origin(uri.scheme?, uri.authority?)?;
        *request.uri_mut() = Uri::from(uri.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/")));
        request.headers_mut().entry(header::HOST).or_insert_with(|| origin.host.clone());
        Some(origin)
    }

    fn origin(&self, scheme: Scheme, authority: Authority) -> Option<Arc<Origin>> {
        let mut origins = self.origins();
        if let Some(known) = origins.iter().find(|known| known.authority == authority && known.scheme == scheme) {
            return Some(Arc::clone(known));
        }
        let host = host(&scheme, &authority)?;
        let new = Arc::new(Origin { scheme, authority, host, resting: Mutex::default() });
        origins.push(Arc::clone(&new));
        Some(new)
    }

    /// A new one; `None` when none can be made.
    pub(super) async fn connect(&self, origin: &Origin) -> Option<Connection> {
        let wire = self.connector.clone().call(origin.uri()?).await.ok()?;
        let (sender, driver) = http1::handshake(wire).await.ok()?;
        Some(Connection { sender, driver: Some(Box::pin(driver)), runtime: Handle::current().id() })
    }

    /// Closes those that have rested for too long, or were closed while they did; to be called once a second.
    pub(super) fn second_passed(&self) {
        self.origins().iter().for_each(|origin| origin.second_passed());
    }

    fn origins(&self) -> MutexGuard<'_, Vec<Arc<Origin>>> {
        self.origins.lock().expect("nobody panics while holding it")
    }
}

fn host(scheme: &Scheme, authority: &Authority) -> Option<HeaderValue> {
    let usual = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    let name = match authority.port_u16() {
        Some(port) if port != usual => format!("{}:{port}", authority.host()),
        _ => authority.host().to_owned(),
    };
    HeaderValue::try_from(name).ok()
}

impl Origin {
    /// A connection that rests and still stands.
    pub(super) fn rested(&self) -> Option<Connection> {
        let here = Handle::current().id();
        loop {
            let (_, mut connection) = self.resting().by_runtime.get_mut(&here)?.pop()?;
            if connection.is_ready() {
                return Some(connection);
            }
        }
    }

    /// Lets one rest behind an answer that has come whole; it is closed if it cannot be used again.
    fn rest(&self, mut connection: Connection) {
        if !connection.is_ready() {
            return;
        }
        let mut all = self.resting();
        if all.by_runtime.values().map(Vec::len).sum::<usize>() < MAX_RESTING {
            let second = all.second;
            all.by_runtime.entry(connection.runtime).or_default().push((second, connection));
        }
    }

    fn second_passed(&self) {
        let mut all = self.resting();
        all.second += 1;
        let since = all.second.saturating_sub(MAX_REST);
        all.by_runtime.retain(|_, resting| {
            resting.retain_mut(|(second, connection)| *second >= since && connection.is_ready());
            !resting.is_empty()
        });
    }

    fn resting(&self) -> MutexGuard<'_, Resting> {
        self.resting.lock().expect("nobody panics while holding it")
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
    /// Where it was made.
    runtime: runtime::Id,
}

impl Connection {
    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        // Nothing wakes for it but the connection: it must not be put off.
        let mut answer = pin!(unconstrained(self.sender.try_send_request(request)));
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

/// The body of an answer, with the connection by which it comes. Dropped before its end, it closes the connection. Where
/// an answer began before its request was sent to the end, the rest of that moves while somebody asks for the answer.
pub(super) struct Arriving {
    incoming: Incoming,
    connection: Option<Connection>,
    home: Arc<Origin>,
}

impl Arriving {
    /// What comes by a connection, which then rests at home.
    pub(super) fn new(incoming: Incoming, connection: Connection, home: Arc<Origin>) -> Arriving {
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
            self.home.rest(connection);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_util::task::TaskTracker;

    use super::super::transport::Transport;
    use super::super::{Timeouts, transport::NoAnswer};
    use super::*;

    /// Answers every request on a connection with the next of some texts, then closes it; counts the connections.
    async fn server(answers: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, tasks) = (Arc::clone(&connections), TaskTracker::new());
        tasks.clone().spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tasks.spawn(async move {
                    for answer in answers {
                        let mut request = [0; 1024];
                        if !matches!(stream.read(&mut request).await, Ok(1..)) {
                            return;
                        }
                        stream.write_all(answer.as_bytes()).await.expect("written");
                    }
                });
            }
        });
        (url, connections)
    }

    async fn ask(transport: &Transport, url: &str) -> Result<Vec<u8>, NoAnswer> {
        let request = Request::post(url).body(RequestBody::from(Bytes::from_static(b"x"))).expect("a request");
        let answer = transport.pass(request, &Timeouts::default()).await?;
        let (body, read) = answer.body.read(1024).await;
        read.expect("a whole body");
        Ok(body)
    }

    const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";
    const LAST: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

    #[tokio::test]
    async fn a_connection_serves_one_call_after_another() {
        let (url, connections) = server(&[SHORT, CHUNKED, EMPTY, SHORT, SHORT]).await;
        let transport = Transport::new();
        for expected in [&b"ok"[..], b"ok", b"", b"ok"] {
            assert_eq!(ask(&transport, &url).await.expect("an answer"), expected);
        }
        assert_eq!(connections.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn one_that_was_closed_while_it_rested_is_not_used() {
        for answers in [&[SHORT][..], &[LAST, SHORT], &[CHUNKED, LAST]] {
            let (url, connections) = server(Vec::leak(answers.to_vec())).await;
            let transport = Transport::new();
            for call in 1..=6 {
                assert_eq!(ask(&transport, &url).await.expect("an answer"), b"ok", "call {call}");
            }
            assert!(connections.load(Ordering::Relaxed) >= 3);
        }
    }

    #[tokio::test]
    async fn one_that_rests_for_a_minute_is_closed() {
        let (url, connections) = server(&[SHORT, SHORT, SHORT]).await;
        let transport = Transport::new();
        for (seconds, expected) in [(0, 1), (MAX_REST, 1), (MAX_REST + 1, 2)] {
            (0..seconds).for_each(|_| transport.second_passed());
            assert_eq!(ask(&transport, &url).await.expect("an answer"), b"ok");
            assert_eq!(connections.load(Ordering::Relaxed), expected, "after {seconds} s");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_left_closes_its_connection_and_calls_at_once_have_their_own() {
        let (url, connections) = server(&[SHORT, SHORT, SHORT]).await;
        let transport = Transport::new();
        let request = || Request::get(&url).body(RequestBody::from(Bytes::new())).expect("a request");
        let timeouts = Timeouts::default();
        let (first, second) = tokio::join!(transport.pass(request(), &timeouts), transport.pass(request(), &timeouts));
        drop((first.expect("an answer").body.next().await, second));
        assert_eq!(connections.load(Ordering::Relaxed), 2);
        assert_eq!(ask(&transport, &url).await.expect("an answer"), b"ok");
        assert!(connections.load(Ordering::Relaxed) <= 3);
    }
}
