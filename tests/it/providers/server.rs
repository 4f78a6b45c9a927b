//! The server behind every scripted provider: accepts, reads one request after the other, plays the reply.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{Reply, Step};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Hit {
    /// 1 for the first request this server got.
    pub number: usize,
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub arrived: Instant,
}

impl Hit {
    /// The first header of this (lower case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is not.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A server on a port of its own. Stops when dropped.
pub struct ScriptedProvider {
    address: SocketAddr,
    seen: Arc<Seen>,
    /// Dropped, it stops accepting and drops every connection.
    _accepting: JoinSet<()>,
}

struct Seen {
    hits: Mutex<Vec<Hit>>,
    served: Mutex<HashSet<usize>>,
    released: watch::Sender<bool>,
    connections: watch::Sender<usize>,
    clients_gone: watch::Sender<usize>,
}

type Script = dyn Fn(&Hit) -> Reply + Send + Sync;

impl ScriptedProvider {
    /// A server that answers each request as `script` says.
    pub async fn start(script: impl Fn(&Hit) -> Reply + Send + Sync + 'static) -> ScriptedProvider {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let seen = Arc::new(Seen {
            hits: Mutex::default(),
            served: Mutex::default(),
            released: watch::Sender::new(false),
            connections: watch::Sender::new(0),
            clients_gone: watch::Sender::new(0),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::new(script), Arc::clone(&seen)));
        ScriptedProvider { address, seen, _accepting: accepting }
    }

    /// A server that gives every request the same answer.
    pub async fn always(reply: Reply) -> ScriptedProvider {
        ScriptedProvider::start(move |_| reply.clone()).await
    }

    /// A server that gives the first request the first answer, and so on; the last for all that follow.
    pub async fn in_turn(replies: impl Into<Vec<Reply>>) -> ScriptedProvider {
        let replies = replies.into();
        ScriptedProvider::start(move |hit| replies[(hit.number - 1).min(replies.len() - 1)].clone()).await
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, in the order of their arrival.
    pub fn hits(&self) -> Vec<Hit> {
        self.seen.hits.lock().expect("no test panics while holding it").clone()
    }

    /// The numbers of the requests whose answers were written to their last byte.
    pub fn served(&self) -> HashSet<usize> {
        self.seen.served.lock().expect("no test panics while holding it").clone()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        *self.seen.connections.borrow()
    }

    /// Lets go of every answer that is held, and of those to come.
    pub fn release(&self) {
        self.seen.released.send_replace(true);
    }

    /// Waits until `n` clients have closed their connection while an answer to them was under way.
    pub async fn clients_gone(&self, n: usize) {
        let mut gone = self.seen.clients_gone.subscribe();
        let waited = timeout(Duration::from_secs(5), gone.wait_for(|&gone| gone >= n)).await;
        waited.expect("the client should have closed its connection").expect("the server is there");
    }
}

async fn accept(listener: TcpListener, script: Arc<Script>, seen: Arc<Seen>) {
    let mut serving = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        seen.connections.send_modify(|connections| *connections += 1);
        let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
        serving.spawn(async move {
            let _ended = serve(stream, &*script, &seen).await;
        });
    }
}

async fn serve(mut stream: TcpStream, script: &Script, seen: &Seen) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    while let Some(mut hit) = read_request(&mut stream, &mut received).await? {
        {
            let mut hits = seen.hits.lock().expect("no test panics while holding it");
            hit.number = hits.len() + 1;
            hits.push(hit.clone());
        }
        let played = play(&mut stream, script(&hit), seen).await;
        if let Ok(true) = played {
            seen.served.lock().expect("no test panics while holding it").insert(hit.number);
        }
        if !matches!(played, Ok(true)) {
            if played.is_err() {
                seen.clients_gone.send_modify(|gone| *gone += 1);
            }
            return Ok(());
        }
        if hit.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            return Ok(());
        }
    }
    Ok(())
}

/// Plays a reply; `false` when it ended the connection, an error when the client did.
async fn play(stream: &mut TcpStream, reply: Reply, seen: &Seen) -> io::Result<bool> {
    for step in reply.steps {
        match step {
            Step::Write(bytes) => stream.write_all(&bytes).await?,
            Step::Wait(wait) => unless_client_leaves(stream, sleep(wait)).await?,
            Step::Hold => {
                let mut released = seen.released.subscribe();
                unless_client_leaves(stream, async { drop(released.wait_for(|&released| released).await) }).await?;
            }
            Step::Close => return Ok(false),
            Step::Reset => {
                stream.set_zero_linger()?;
                return Ok(false);
            }
        }
    }
    Ok(true)
}

async fn unless_client_leaves(stream: &mut TcpStream, wait: impl Future<Output = ()>) -> io::Result<()> {
    tokio::select! {
        () = wait => Ok(()),
        // Our clients do not pipeline: whatever can be read now is the end.
        _ = stream.read_u8() => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// Reads a head and, by its `content-length` or its chunks, a body. `None` at the end of the connection.
async fn read_request(stream: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<Option<Hit>> {
    loop {
        if let Some((hit, length)) = parse_request(received) {
            received.drain(..length);
            return Ok(Some(hit));
        }
        if stream.read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the server notes when a request came, on the runtime's own clock")]
fn parse_request(received: &[u8]) -> Option<(Hit, usize)> {
    let head_len = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&received[..head_len]);
    let mut lines = head.lines();
    let mut request_line = lines.next()?.split(' ');
    let (method, path) = (request_line.next()?.to_owned(), request_line.next()?.to_owned());
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: Vec<_> = lines.filter_map(header).collect();
    let content_length = headers.iter().find(|(name, _)| name == "content-length");
    let body_len: usize = content_length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let (body, body_len) = match is_chunked {
        true => unchunked(&received[head_len..])?,
        false => (received.get(head_len..head_len + body_len)?.to_vec(), body_len),
    };
    Some((Hit { number: 0, method, path, headers, body, arrived: Instant::now() }, head_len + body_len))
}

/// A chunked body, and how many bytes it took; `None` until it is all there.
pub fn unchunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = bytes[at..].windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line]).ok()?, 16).ok()?;
        let data = at + line + 2;
        body.extend_from_slice(bytes.get(data..data + size)?);
        at = data + size + 2;
        if bytes.len() < at {
            return None;
        }
        if size == 0 {
            return Some((body, at));
        }
    }
}
