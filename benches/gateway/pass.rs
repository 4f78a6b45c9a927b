//! "pass": the least that axum and reqwest do to hand a call on and its answer back, without accounting.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::{Router, http::StatusCode};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::TaskTracker;

/// The largest question, in bytes.
const QUESTION_MAX: usize = 1 << 20;

/// Where calls go on to.
#[derive(Clone)]
struct Upstream {
    client: reqwest::Client,
    origin: String,
}

/// Prints its address and hands calls on to `upstream` (host and port) until it is to end.
pub fn run(upstream: &str) {
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().expect("a client");
    let upstream = Upstream { client, origin: format!("http://{upstream}") };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut end = signal(SignalKind::terminate()).expect("a signal can be heard");
        tokio::select! {
            () = serve(Router::new().fallback(hand_on).with_state(upstream)) => {}
            _ = end.recv() => {}
        }
    });
}

async fn serve(router: Router) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("a bound listener"));
    let connections = TaskTracker::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a TCP stream");
        let http = hyper::server::conn::http1::Builder::new();
        connections.spawn(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone())));
    }
}

async fn hand_on(State(upstream): State<Upstream>, request: Request) -> Result<Response, StatusCode> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("{}{path}", upstream.origin);
    for of_this_hop in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        head.headers.remove(of_this_hop);
    }
    let body = to_bytes(body, QUESTION_MAX).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let call = upstream.client.request(head.method, url).headers(head.headers).body(body);
    let answer = call.send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let mut answer = http::Response::<reqwest::Body>::from(answer).map(Body::new);
    answer.headers_mut().remove(CONNECTION);
    answer.headers_mut().remove(TRANSFER_ENCODING);
    Ok(answer)
}
