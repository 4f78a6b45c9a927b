//! One connection: HTTP/1.1 under the server's limits, from its first byte to its goodbye.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Sleep;

use super::body::TimedBody;
use super::server::{Handler, Limits};

/// Serves one connection until it ends, by itself or because of `stopping`.
pub(super) async fn serve_connection<H: Handler>(
    stream: TcpStream,
    peer: SocketAddr,
    handler: H,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let request = request.map(|body| TimedBody::new(body, limits.body_silence, limits.body_total));
        let handler = &handler;
        // In a box of its own: hyper keeps the room of this future until the connection ends, long after the answer began.
        Box::pin(async move { Ok::<_, Infallible>(handler.handle(request, peer).await) })
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(limits.head_bytes)
        .max_buf_size((2 * limits.head_bytes).max(SMALLEST_BUFFER));
    if limits.headers != HYPERS_HEADERS {
        http.max_headers(limits.headers);
    }
    let connection = http.serve_connection(PatientStream::new(stream, &limits), service);
    let mut connection = std::pin::pin!(connection);
    // Also when the sender is gone: then the server is.
    let stop = async { drop(stopping.wait_for(|stopping| *stopping).await) };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// hyper refuses to work with less.
const SMALLEST_BUFFER: usize = 16 * 1024;

/// The most headers that hyper reads of itself: it has room for as many, and of any number that it is told it makes anew
/// for each request.
const HYPERS_HEADERS: usize = 100;

/// The most that is read on and thrown away after the last answer of a connection.
const MAX_LINGER_BYTES: usize = 64 * 1024 * 1024;

/// A stream that gives up on a client that takes nothing, and says goodbye in a way that lets the client read the
/// last answer: closing a socket with unread input resets it, and the answer would be lost.
struct PatientStream {
    io: TokioIo<TcpStream>,
    write_silence: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    linger: Duration,
    lingering: Option<Pin<Box<Sleep>>>,
    linger_bytes: usize,
}

impl PatientStream {
    fn new(stream: TcpStream, limits: &Limits) -> PatientStream {
        PatientStream {
            io: TokioIo::new(stream),
            write_silence: limits.write_silence,
            stalled: None,
            linger: limits.linger,
            lingering: None,
            linger_bytes: 0,
        }
    }

    /// Passes on what a write said, and turns a wait that lasts too long into an error.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let silence = self.write_silence;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads on until the client has closed too, within bounds of time and size.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger;
        let end = self.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(linger)));
        if end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut scratch = [0; 8192];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(self.io.inner_mut()).poll_read(cx, &mut buffer));
            let count = buffer.filled().len();
            self.linger_bytes += count;
            if read.is_err() || count == 0 || self.linger_bytes > MAX_LINGER_BYTES {
                return Poll::Ready(());
            }
        }
    }
}

impl Read for PatientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for PatientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        }
        self.poll_linger(cx).map(Ok)
    }
}
