//! The model provider behind everything measured: hyper, on one thread.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;
use tokio_util::task::TaskTracker;

use super::answers::{self, Ask, PIECES};

/// Between two pieces of a stream that is paced, and of one that is to stay open.
const PACE: Duration = Duration::from_millis(5);
const PACE_HELD: Duration = Duration::from_millis(250);

/// Prints its address and answers until it is killed.
pub fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(serve());
}

async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("a bound listener"));
    let connections = TaskTracker::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a TCP stream");
        let http = hyper::server::conn::http1::Builder::new();
        connections.spawn(http.serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

async fn answer(request: Request<Incoming>) -> hyper::Result<Response<BoxBody<Bytes, Infallible>>> {
    let question = request.into_body().collect().await?.to_bytes();
    let Some(ask) = Ask::of(&question) else {
        let mut unknown = Response::new(Full::from("not a question of this bench").boxed());
        *unknown.status_mut() = hyper::StatusCode::BAD_REQUEST;
        return Ok(unknown);
    };
    let (kind, body) = match ask {
        Ask::Json => ("application/json", Full::new(ask.answer()).boxed()),
        Ask::Burst => ("text/event-stream", burst()),
        Ask::Paced => ("text/event-stream", paced(PACE)),
        Ask::Held => ("text/event-stream", paced(PACE_HELD)),
    };
    Ok(Response::builder().header("content-type", kind).body(body).expect("a plain header"))
}

fn burst() -> BoxBody<Bytes, Infallible> {
    let frames = (0..PIECES).map(|_| answers::piece(0)).chain([answers::end()]);
    StreamBody::new(stream::iter(frames.map(|bytes| Ok(Frame::data(bytes))))).boxed()
}

fn paced(pace: Duration) -> BoxBody<Bytes, Infallible> {
    let mut ticks = tokio::time::interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let frames = stream::unfold((ticks, 0), async |(mut ticks, sent)| {
        ticks.tick().await;
        let bytes = match sent {
            0..PIECES => answers::piece(answers::moment()),
            PIECES => answers::end(),
            _ => return None,
        };
        Some((Ok(Frame::data(bytes)), (ticks, sent + 1)))
    });
    StreamBody::new(frames).boxed()
}
