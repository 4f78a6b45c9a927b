//! The accept loop: connections in, tasks that are all awaited, a bounded goodbye. Knows no route.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::future::Either;
use http::Request;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

use super::body::RequestBody;
use super::connection::serve_connection;
use super::workers::Workers;

/// What every handler answers with.
pub type Response = http::Response<Body>;

/// Answers requests. Cloned once per connection.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request of `peer`. Dropped when the client hangs up.
    fn handle(&self, request: Request<RequestBody>, peer: SocketAddr) -> impl Future<Output = Response> + Send;
}

/// One handler for the paths under a prefix, another for all others: so the gateway's hyper service stands beside the
/// routes without passing through them.
#[derive(Clone)]
pub struct Prefixed<I, O> {
    /// The prefix, with its last slash: `/gateway/`.
    pub prefix: &'static str,
    /// Answers what is under the prefix.
    pub inside: I,
    /// Answers the rest.
    pub outside: O,
}

impl<I: Handler, O: Handler> Handler for Prefixed<I, O> {
    // No `async fn`, which would hold the request twice.
    fn handle(&self, request: Request<RequestBody>, peer: SocketAddr) -> impl Future<Output = Response> + Send {
        if request.uri().path().starts_with(self.prefix) {
            Either::Left(self.inside.handle(request, peer))
        } else {
            Either::Right(self.outside.handle(request, peer))
        }
    }
}

/// The bounds of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; more wait in the system's queue.
    pub connections: usize,
    /// From the accept, or the end of the last answer, to the end of the next request's head. Also how long an idle
    /// connection is kept.
    pub head: Duration,
    /// The longest silence within a request body.
    pub body_silence: Duration,
    /// From the first to the last byte of a request body.
    pub body_total: Duration,
    /// How long a client may take nothing of an answer that waits for it.
    pub write_silence: Duration,
    /// After an answer that ends the connection: how long to read on, so that a client that is still sending gets to
    /// see the answer.
    pub linger: Duration,
    /// After the signal to stop: how long requests in flight may take.
    pub grace: Duration,
    /// The largest head of a request.
    pub head_bytes: usize,
    /// The most headers of a request.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1024,
            head: Duration::from_secs(10),
            body_silence: Duration::from_secs(10),
            body_total: Duration::from_secs(60),
            write_silence: Duration::from_secs(30),
            linger: Duration::from_secs(1),
            grace: Duration::from_secs(10),
            head_bytes: 16 * 1024,
            headers: 100,
        }
    }
}

/// How the server came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still busy when the grace was over, and were cut.
    pub cut: usize,
}

/// Serves `listener` by `workers` until `shutdown` resolves: then accepts nothing more, lets requests in flight end within
/// [`Limits::grace`], and cuts the rest.
pub async fn run<H: Handler>(
    listener: TcpListener,
    handler: H,
    limits: Limits,
    workers: &Workers,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let slots = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    let mut accept_wait = AcceptWait::default();
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
            (accept(&listener).await, slot)
        };
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => tell_panic(&ended),
            (accepted, slot) = next => match accepted {
                Ok((stream, peer)) => {
                    accept_wait = AcceptWait::default();
                    let (handler, stopping) = (handler.clone(), stopping.clone());
                    workers.serve(&mut connections, stream, move |stream| async move {
                        serve_connection(stream, peer, handler, limits, stopping).await;
                        drop(slot);
                    });
                }
                Err(error) => tokio::select! {
                    () = &mut shutdown => break,
                    () = accept_wait.after(&error) => {}
                },
            },
        }
    }
    drop(listener);
    // Nobody listens when there is no connection left: nothing to stop then.
    let _ = stop.send(true);
    drain(connections, limits.grace).await
}

/// A panic has ended one connection and no other; its text stays where it is.
fn tell_panic(ended: &Result<(), JoinError>) {
    if ended.as_ref().is_err_and(JoinError::is_panic) {
        tracing::error!("a connection ended in a panic");
    }
}

/// Waits for all connections, at most for `grace`, and cuts those that are left.
async fn drain(mut connections: JoinSet<()>, grace: Duration) -> Drained {
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            tell_panic(&ended);
        }
    };
    if tokio::time::timeout(grace, all_ended).await.is_ok() {
        return Drained { cut: 0 };
    }
    let cut = connections.len();
    tracing::warn!(cut, "cut {cut} connections that did not end in time");
    connections.shutdown().await;
    Drained { cut }
}

/// Accepts one connection that sends small pieces at once: without this a streamed answer waits some 40 ms for the
/// client's delayed acknowledgement.
async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream.into_std()?, peer))
}

/// How long to wait after a failed accept: without it, a process out of descriptors would spin.
#[derive(Debug, Default)]
struct AcceptWait {
    failures: u32,
}

impl AcceptWait {
    const LONGEST: Duration = Duration::from_secs(1);

    async fn after(&mut self, error: &io::Error) {
        if let Some(wait) = self.next(error) {
            tokio::time::sleep(wait).await;
        }
    }

    /// The wait after `error`; none when only that one connection failed.
    fn next(&mut self, error: &io::Error) -> Option<Duration> {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput, NotConnected};
        let kind = error.kind();
        if matches!(kind, ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput | NotConnected) {
            return None;
        }
        if self.failures == 0 {
            tracing::warn!(%error, "cannot accept connections; trying again");
        }
        let wait = Duration::from_millis(10 << self.failures.min(7)).min(AcceptWait::LONGEST);
        self.failures = self.failures.saturating_add(1);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_accepted_socket_sends_small_pieces_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (client, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), accept(&listener));
        client.expect("connected");
        assert!(accepted.expect("accepted").0.nodelay().expect("an option of the socket"));
    }

    #[test]
    fn c6_running_out_of_descriptors_backs_off_and_one_bad_connection_does_not() {
        let mut wait = AcceptWait::default();
        let emfile = io::Error::from_raw_os_error(24);
        let waits: Vec<u128> = (0..10).filter_map(|_| wait.next(&emfile)).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000]);
        assert_eq!(wait.next(&io::ErrorKind::ConnectionAborted.into()), None);
    }
}
