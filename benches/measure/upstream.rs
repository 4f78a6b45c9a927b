//! A model provider that streams: OpenAI's chat completions, a piece every few milliseconds, on a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Pieces of an answer.
const PIECES: u64 = 200;

/// The provider. Runs as long as the process does.
pub struct Upstream {
    address: SocketAddr,
    sent: Arc<AtomicU64>,
}

impl Upstream {
    /// Starts it on a free port.
    pub fn start() -> Upstream {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a TCP listener");
        let upstream = Upstream { address: listener.local_addr().expect("a bound listener"), sent: Arc::default() };
        let sent = Arc::clone(&upstream.sent);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(listener, sent));
        });
        upstream
    }

    /// Its `url` for the configuration of a provider.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The pieces sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }
}

async fn serve(listener: std::net::TcpListener, sent: Arc<AtomicU64>) {
    let listener = TcpListener::from_std(listener).expect("inside a runtime");
    let mut connections = JoinSet::new();
    for number in 0_u64.. {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a TCP stream");
        // 5 to 10 ms between two pieces.
        connections.spawn(converse(stream, Duration::from_millis(5 + number % 6), Arc::clone(&sent)));
    }
}

/// Answers one request after the other until the client hangs up.
async fn converse(mut stream: TcpStream, pace: Duration, sent: Arc<AtomicU64>) -> Option<()> {
    loop {
        read_request(&mut stream).await?;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..PIECES {
            ticks.tick().await;
            let choices = r#"[{"index":0,"delta":{"content":" and so"},"finish_reason":null}]"#;
            write_chunk(&mut stream, &frame(choices, "null")).await?;
            sent.fetch_add(1, Relaxed);
        }
        write_chunk(&mut stream, &frame(r#"[{"index":0,"delta":{},"finish_reason":"stop"}]"#, "null")).await?;
        let usage = format!(r#"{{"prompt_tokens":12,"completion_tokens":{PIECES},"total_tokens":{}}}"#, PIECES + 12);
        write_chunk(&mut stream, &format!("{}data: [DONE]\n\n", frame("[]", &usage))).await?;
        stream.write_all(b"0\r\n\r\n").await.ok()?;
    }
}

fn frame(choices: &str, usage: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-A1\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-mini-2024-07-18\",\
         \"choices\":{choices},\"usage\":{usage}}}\n\n"
    )
}

async fn write_chunk(stream: &mut TcpStream, text: &str) -> Option<()> {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await.ok()
}

/// Reads a request with its body; `None` when there is none any more.
async fn read_request(stream: &mut TcpStream) -> Option<()> {
    let mut request = Vec::new();
    loop {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        let Some(head) = request.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let body = super::content_length(std::str::from_utf8(&request[..head]).ok()?).unwrap_or(0);
        if request.len() >= head + 4 + body {
            return Some(());
        }
    }
}
