//! The server as clients see it: real sockets, a scripted program behind them, short timers.

mod access;
mod limits;
mod routes;
mod shutdown;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use super::*;
use crate::reports::NoSuchEpoch;
use crate::service::import::ImportLine;
use crate::service::items::UsageItem;
use crate::service::keys::{AddedKey, KeyAsk, KeyError, KeyList, KeyRow};
use crate::settings::KeyRefusal;
use crate::templates::Lang;
use crate::usage::{Clock, Now, Tick, Timestamp};

/// How the scripted program behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mood {
    #[default]
    Good,
    Unavailable,
    Internal,
    Panicking,
    /// Waits in `stats` until released.
    Held,
    /// Takes the first item and no more.
    FullAfterOne,
    /// Writes all and gets none confirmed.
    Silent,
    /// Answers `stats` with a text of 64 MiB.
    Huge,
}

#[derive(Default)]
struct Script {
    mood: Mood,
    entered: Notify,
    release: Notify,
    asked: Mutex<Vec<String>>,
    noted: Mutex<Vec<UsageItem>>,
}

impl Script {
    async fn outcome(&self, what: String) -> Result<(), ApiError> {
        self.asked.lock().expect("no test panics inside").push(what);
        match self.mood {
            Mood::Unavailable => {
                Err(ApiError::Unavailable { reason: "the disk is full".to_owned(), retry_after_secs: 7 })
            }
            Mood::Internal => Err(ApiError::Internal("SECRET detail".into())),
            Mood::Panicking => panic!("SECRET panic"),
            Mood::Held => {
                self.entered.notify_one();
                self.release.notified().await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Api for Script {
    async fn stats(&self, query: StatsQuery) -> Result<StatsBody, ApiError> {
        self.outcome(format!("{query:?}")).await?;
        if query.epoch > 1 {
            return Err(ApiError::NoSuchEpoch(NoSuchEpoch { number: query.epoch, count: 2 }));
        }
        Ok(match (self.mood, query.format) {
            (Mood::Huge, _) => StatsBody::Text("x".repeat(64 << 20)),
            (_, StatsFormat::Json) => StatsBody::Json(br#"{"bot":"raymundo"}"#.to_vec()),
            (_, StatsFormat::Text) => StatsBody::Text(format!("stats in {}", query.lang.map_or("?", Lang::code))),
        })
    }

    async fn usage(&self, request: UsageRequest) -> Result<UsageBody, ApiError> {
        self.outcome(format!("{request:?}")).await?;
        let next = (request.query.limit == 1).then(|| "behind".to_owned());
        Ok(match request.format {
            UsageFormat::Json => UsageBody { bytes: br#"{"rows":[]}"#.to_vec(), next },
            UsageFormat::Csv => UsageBody { bytes: b"requests\n".to_vec(), next },
        })
    }

    async fn reset(&self, query: ResetQuery) -> Result<ResetAnswer, ApiError> {
        self.outcome(format!("{query:?}")).await?;
        let counting_since = "2026-02-05T06:01:47.000000-06:00".to_owned();
        Ok(ResetAnswer::Tallybot(ResetBody { message: "counting anew".to_owned(), counting_since, undone: None }))
    }

    async fn undo_reset(&self, query: ResetQuery) -> Result<Option<ResetAnswer>, ApiError> {
        self.outcome(format!("undo {query:?}")).await?;
        let nothing = query.lang.is_some();
        let body = ResetBody { message: "as before".into(), counting_since: "then".into(), undone: Some("now".into()) };
        Ok((!nothing).then_some(ResetAnswer::Tallybot(body)))
    }

    async fn note(&self, items: Vec<UsageItem>) -> Result<Vec<Result<Noted, ItemError>>, ApiError> {
        self.outcome(format!("note {}", items.len())).await?;
        let mut noted = self.noted.lock().expect("no test panics inside");
        let verdicts = items.into_iter().map(|item| match item.model.as_str() {
            "duplicate" => Ok(Noted::Duplicate),
            _ if self.mood == Mood::Silent => Err(ItemError::Unconfirmed),
            _ if self.mood == Mood::FullAfterOne && !noted.is_empty() => Err(ItemError::Unavailable),
            _ => {
                noted.push(item);
                Ok(Noted::Accepted(None))
            }
        });
        Ok(verdicts.collect())
    }

    async fn import(&self, lines: Vec<ImportLine>) -> Result<Vec<Result<Noted, ItemError>>, ApiError> {
        self.outcome(format!("import {}", lines.len())).await?;
        Ok(lines.into_iter().map(|_| Ok(Noted::Accepted(None))).collect())
    }

    async fn add_key(&self, ask: KeyAsk) -> Result<AddedKey, ApiError> {
        self.outcome(format!("add key {}", ask.name)).await?;
        match ask.name.as_str() {
            "taken" => Err(refused(KeyRefusal::Taken("taken".to_owned()))),
            _ => Ok(AddedKey { key: "tb-whole".into(), row: key_row(&ask.name) }),
        }
    }

    async fn keys(&self) -> Result<KeyList, ApiError> {
        self.outcome("keys".to_owned()).await?;
        Ok(KeyList { keys: vec![key_row("web")] })
    }

    async fn revoke_key(&self, name: String) -> Result<KeyRow, ApiError> {
        self.outcome(format!("revoke key {name}")).await?;
        match name.as_str() {
            "web" => Ok(key_row("web")),
            _ => Err(refused(KeyRefusal::NoSuch { name, there: vec!["web".to_owned()] })),
        }
    }

    async fn ready(&self) -> Readiness {
        let ready = self.mood == Mood::Good;
        let journal = if ready { Check::ok() } else { Check::failing("the disk is full") };
        let providers = vec![
            ProviderCheck { name: "ollama".to_owned(), check: Check::ok() },
            ProviderCheck { name: "cloud".to_owned(), check: Check::failing("connect") },
        ];
        Readiness { ready, journal, providers }
    }

    async fn health(&self) -> Health {
        Health { alive: self.mood == Mood::Good }
    }
}

fn refused(refusal: KeyRefusal) -> ApiError {
    ApiError::Key(KeyError::NotChanged(refusal.into()))
}

fn key_row(name: &str) -> KeyRow {
    let row = serde_json::json!({
        "name": name, "suffix": "wxyz", "user": null, "team": null, "feature": null, "providers": [], "models": [],
        "budgets": {}, "added": "2026-11-22T03:16:41.984461+00:00", "revoked": null,
    });
    serde_json::from_value(row).expect("a row")
}

/// Local hosts and pages only; with tokens, `reader` may read and `admin` may all.
struct ScriptedGuard {
    tokens: bool,
}

impl Guard for ScriptedGuard {
    fn check(&self, head: &RequestHead<'_>, need: Role, _now: Now) -> Result<(), Denied> {
        let denied = |status, code| {
            let retry_after_secs = (status == StatusCode::TOO_MANY_REQUESTS).then_some(30);
            Err(Denied { status, code, message: "no".to_owned(), retry_after_secs })
        };
        let name = head.host.and_then(|host| host.split(':').next());
        if !matches!(name, Some("127.0.0.1" | "localhost")) {
            return denied(StatusCode::MISDIRECTED_REQUEST, "foreign_host");
        }
        if head.origin.is_some_and(|origin| !origin.starts_with("http://127.0.0.1"))
            || head.sec_fetch_site == Some("cross-site")
        {
            return denied(StatusCode::FORBIDDEN, "foreign_origin");
        }
        let has = match head.authorization {
            Some("Bearer admin") => Role::Admin,
            Some("Bearer reader") => Role::Read,
            Some("Bearer guess") => return denied(StatusCode::TOO_MANY_REQUESTS, "too_many_tries"),
            _ => Role::Public,
        };
        if self.tokens && has < need {
            return denied(StatusCode::UNAUTHORIZED, "token_missing");
        }
        Ok(())
    }
}

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Now {
        Now { at: Timestamp::parse("2026-02-05T06:01:47.000000-06:00").expect("own form"), tick: Tick(0) }
    }
}

/// A running server, its script, and the way to stop it.
struct Server {
    address: SocketAddr,
    script: Arc<Script>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinSet<Drained>,
}

fn short_limits() -> Limits {
    Limits {
        head: Duration::from_secs(5),
        body_silence: Duration::from_millis(30),
        linger: Duration::from_millis(200),
        grace: Duration::from_secs(5),
        ..Limits::default()
    }
}

impl Server {
    async fn start(mood: Mood) -> Server {
        Server::start_with(mood, short_limits(), false).await
    }

    async fn start_with(mood: Mood, limits: Limits, tokens: bool) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let script = Arc::new(Script { mood, ..Script::default() });
        let ids = AtomicU32::new(1);
        let next_id = move || format!("id-{}", ids.fetch_add(1, Ordering::Relaxed));
        let rest = Rest::new(Arc::clone(&script), ScriptedGuard { tokens }, Arc::new(FixedClock), next_id);
        let (stop, stopped) = oneshot::channel();
        let mut running = JoinSet::new();
        let stopped = async move { drop(stopped.await) };
        running.spawn(async move { run(listener, rest, limits, &Workers::here(), stopped).await });
        Server { address, script, stop: Some(stop), running }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the server listens")
    }

    /// Sends one request on a connection of its own; `head` is the request line and headers beside `Host`.
    async fn ask(&self, head: &str, body: &[u8]) -> Answer {
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let mut request = format!("{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for header in headers.lines() {
            request.push_str(&format!("{}\r\n", header.trim()));
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        Answer::of(&self.raw(&bytes).await)
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask(&format!("GET {target}"), b"").await
    }

    async fn post_json(&self, target: &str, body: &str) -> Answer {
        self.ask(&format!("POST {target}\nContent-Type: application/json"), body.as_bytes()).await
    }

    /// Sends bytes on a connection of its own and reads until the server closes it.
    async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.expect("the server reads on");
        read_to_end(&mut stream).await
    }

    /// Stops the server and waits for its end.
    async fn finish(mut self) -> Drained {
        drop(self.stop.take());
        self.running.join_next().await.expect("one task").expect("no panic")
    }
}

/// Everything until the peer closes or resets.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
    // A reset after the answer is an end like any other.
    drop(read.expect("the server closes in time"));
    String::from_utf8(bytes).expect("answers are UTF-8")
}

/// A parsed answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: String,
    body: String,
}

impl Answer {
    fn of(text: &str) -> Answer {
        let (headers, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = headers.get(9..12).and_then(|status| status.parse().ok()).expect("a status line");
        Answer { status, headers: headers.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_else(|| panic!("no code: {self:?}")).to_owned()
    }
}
