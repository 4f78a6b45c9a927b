//! Slow, large, many, silent: every bound of the server, and that good clients do not feel it.

use super::*;

fn request(server: &Server, head: &str) -> String {
    format!("{head} HTTP/1.1\r\nHost: {}\r\n", server.address)
}

/// Both ends of every connection are in this process, and some systems start with 1,024 descriptors.
fn allow_many_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum.or(limit.current);
    setrlimit(Resource::Nofile, limit).expect("the soft limit may rise to the hard one");
}

#[tokio::test]
async fn slow_heads_and_idle_connections_are_cut() {
    let limits = Limits { head: Duration::from_millis(40), ..short_limits() };
    let server = Server::start_with(Mood::Good, limits, false).await;
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /health HT").await.expect("connected");
    let mut idle = server.connect().await;
    idle.write_all(format!("{}\r\n", request(&server, "GET /health")).as_bytes()).await.expect("connected");
    assert_eq!(read_to_end(&mut silent).await, "");
    assert_eq!(read_to_end(&mut slow).await, "");
    assert_eq!(Answer::of(&read_to_end(&mut idle).await).status, 200, "answered, kept, and cut when idle");
}

#[tokio::test]
async fn slow_bodies_are_cut_with_an_answer() {
    let limits = Limits { body_total: Duration::from_millis(120), ..short_limits() };
    let server = Server::start_with(Mood::Good, limits, false).await;
    let head = format!(
        "{}Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n[",
        request(&server, "POST /v1/usage")
    );
    let mut silent = server.connect().await;
    silent.write_all(head.as_bytes()).await.expect("connected");
    let answer = Answer::of(&read_to_end(&mut silent).await);
    assert_eq!((answer.status, answer.code().as_str()), (408, "body_timeout"));
    assert_eq!(answer.header("connection"), Some("close"));

    let mut dribbling = server.connect().await;
    dribbling.write_all(head.as_bytes()).await.expect("connected");
    let (mut answers, mut bytes) = dribbling.split();
    let dribble = async {
        while bytes.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let mut answer = [0; 12];
    tokio::select! {
        read = answers.read_exact(&mut answer) => { read.expect("an answer"); }
        () = dribble => panic!("cut without an answer"),
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn large_bodies_that_are_only_announced_keep_nobody_out() {
    let limits = Limits { body_silence: Duration::from_secs(60), ..short_limits() };
    let server = Server::start_with(Mood::Good, limits, false).await;
    let mut announced = Vec::new();
    for _ in 0..8 {
        let mut connection = server.connect().await;
        let length = format!("Content-Type: application/json\r\nContent-Length: {MAX_USAGE_BODY_BYTES}\r\n\r\n[");
        connection.write_all(format!("{}{length}", request(&server, "POST /v1/usage")).as_bytes()).await.expect("sent");
        announced.push(connection);
    }
    assert_eq!(server.post_json("/v1/usage", "[]").await.status, 200);
    drop(announced);
}

#[tokio::test]
async fn large_bodies_are_refused_announced_or_not() {
    let server = Server::start(Mood::Good).await;
    let body = "x".repeat(MAX_USAGE_BODY_BYTES + 1);
    let answer = server.post_json("/v1/usage", &body).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
    let chunk = format!("800\r\n{}\r\n0\r\n\r\n", "x".repeat(0x800));
    let chunked = format!(
        "{}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}",
        request(&server, "POST /metrics/reset")
    );
    assert_eq!(Answer::of(&server.raw(chunked.as_bytes()).await).status, 413);
    let waiting = format!(
        "{}Content-Type: application/json\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n",
        request(&server, "POST /v1/usage")
    );
    assert_eq!(Answer::of(&server.raw(waiting.as_bytes()).await).status, 413, "and no 100 before it");
}

#[tokio::test]
async fn large_heads_are_refused() {
    let server = Server::start(Mood::Good).await;
    let large = format!("{}X: {}\r\n\r\n", request(&server, "GET /health"), "x".repeat(20_000));
    assert!(server.raw(large.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many = format!("{}{}\r\n", request(&server, "GET /health"), "X: y\r\n".repeat(200));
    assert!(server.raw(many.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let target = format!("{}\r\n", request(&server, &format!("GET /{}", "x".repeat(70_000))));
    assert!(server.raw(target.as_bytes()).await.starts_with("HTTP/1.1 4"));
    assert!(server.raw(b"\x16\x03\x01\x02\x00 TLS?\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    assert_eq!(server.get("/health").await.status, 200);
}

#[tokio::test]
async fn connections_are_kept_and_pipelined_requests_answered_in_order() {
    let server = Server::start(Mood::Good).await;
    let first = format!("{}\r\n", request(&server, "GET /health"));
    let second = format!("{}\r\n", request(&server, "GET /stats"));
    let last = format!("{}Connection: close\r\n\r\n", request(&server, "GET /nowhere"));
    let answers = server.raw(format!("{first}{second}{last}").as_bytes()).await;
    let positions = [r#"{"status":"ok"}"#, r#"{"bot":"raymundo"}"#, "unknown_route"].map(|body| answers.find(body));
    assert!(positions.iter().all(Option::is_some) && positions.is_sorted(), "{answers}");
}

#[tokio::test]
async fn five_hundred_dribbling_sockets_do_not_keep_a_good_client_waiting() {
    allow_many_descriptors();
    let limits = Limits { head: Duration::from_secs(60), ..short_limits() };
    let server = Server::start_with(Mood::Good, limits, false).await;
    let mut dribbling = Vec::new();
    for _ in 0..500 {
        let mut socket = server.connect().await;
        socket.write_all(b"GET /stats HTTP/1.1\r\nX: ").await.expect("connected");
        dribbling.push(socket);
    }
    for round in 0..20 {
        for socket in dribbling.iter_mut().skip(round).step_by(20) {
            socket.write_all(b"x").await.expect("not cut yet");
        }
        let answer = tokio::time::timeout(Duration::from_secs(2), server.get("/stats")).await;
        assert_eq!(answer.expect("answered at once").status, 200);
    }
}

#[tokio::test]
async fn over_the_cap_connections_wait_and_are_served_when_one_ends() {
    let limits = Limits { connections: 1, head: Duration::from_millis(50), ..short_limits() };
    let server = Server::start_with(Mood::Good, limits, false).await;
    let _idle = server.connect().await;
    assert_eq!(server.get("/health").await.status, 200, "as soon as the idle one is cut");
}

#[tokio::test]
async fn a_client_that_takes_nothing_loses_its_place() {
    let write_silence = Duration::from_millis(50);
    let limits = Limits { connections: 1, write_silence, ..short_limits() };
    let server = Server::start_with(Mood::Huge, limits, false).await;
    let mut greedy = server.connect().await;
    greedy.write_all(format!("{}\r\n", request(&server, "GET /stats")).as_bytes()).await.expect("connected");
    assert_eq!(server.get("/nowhere").await.status, 404);
}

#[derive(Clone)]
struct Streaming;

impl Handler for Streaming {
    async fn handle(&self, _request: http::Request<RequestBody>, _peer: SocketAddr) -> Response {
        let chunks = futures_util::stream::unfold(0, |count| async move {
            tokio::task::yield_now().await;
            (count < 20).then_some((Ok::<_, std::convert::Infallible>("chunk"), count + 1))
        });
        http::Response::new(axum::body::Body::from_stream(chunks))
    }
}

async fn streaming_server() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let ids = || "id".to_owned();
    let rest = Rest::new(Arc::new(Script::default()), ScriptedGuard { tokens: false }, Arc::new(FixedClock), ids);
    let handler = Prefixed { prefix: "/gateway/", inside: Streaming, outside: rest };
    let mut running = JoinSet::new();
    running.spawn(async { run(listener, handler, short_limits(), &Workers::here(), std::future::pending()).await });
    Server { address, script: Arc::default(), stop: None, running }
}

#[tokio::test]
async fn a_prefix_goes_to_a_handler_of_its_own() {
    let server = streaming_server().await;
    let streamed = server.ask("PUT /gateway/openai/v1/anything?x=y", b"").await;
    assert_eq!((streamed.status, streamed.body.matches("chunk").count()), (200, 20));
    assert_eq!(server.get("/health").await.status, 200);
    assert_eq!(server.get("/gateway").await.status, 404);
}

#[tokio::test]
async fn a_stream_of_small_pieces_does_not_wait_for_acknowledgements() {
    // On a connection that has been in use, the client's system acknowledges late. Without TCP_NODELAY each of the
    // later streams takes 40 ms and more; a busy machine may slow down some, hardly all.
    let server = streaming_server().await;
    let mut connection = server.connect().await;
    let head = format!("{}\r\n", request(&server, "GET /gateway/x"));
    let mut fast = Vec::new();
    for _ in 0..20 {
        connection.write_all(head.as_bytes()).await.expect("kept");
        let mut streamed = Vec::new();
        let all = async {
            while !streamed.ends_with(b"0\r\n\r\n") {
                connection.read_buf(&mut streamed).await.expect("kept");
            }
        };
        let mut all = std::pin::pin!(all);
        fast.push(tokio::time::timeout(Duration::from_millis(30), &mut all).await.is_ok());
        if fast.last() == Some(&false) {
            all.await;
        }
    }
    assert!(fast[10..].contains(&true), "the streams stalled: {fast:?}");
}
