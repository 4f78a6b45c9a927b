//! The load: clients on one thread that ask again as soon as they are answered, each on a connection that it keeps.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use super::answers::{self, Ask};
use super::process::{self, TICKS_PER_SEC};
use super::sample::{Order, Sample};

/// Asked before anything is counted.
const WARM_UP: Duration = Duration::from_millis(300);

/// After a failure, so that a target that refuses everything is not stormed.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// How often memory is looked at while streams are open.
const LOOK: Duration = Duration::from_millis(50);

type Failure = Box<dyn std::error::Error>;

/// Carries an order out and prints its sample.
pub fn run(order: &str) {
    let order: Order = serde_json::from_str(order).expect("an order of this bench");
    process::pin(std::process::id(), if order.alone { process::OF_THE_REST } else { process::ALL });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let sample = LocalSet::new().block_on(&runtime, async {
        let clients = Rc::new(Clients::new(order));
        if clients.order.ask == Ask::Held { clients.hold().await } else { clients.repeat().await }
    });
    println!("{}", serde_json::to_string(&sample).expect("plain data"));
}

/// What all clients know and find.
struct Clients {
    order: Order,
    request: Request<Full<Bytes>>,
    expected: Bytes,
    found: RefCell<Found>,
}

#[derive(Default)]
struct Found {
    /// Whether answers count: not before the warm-up is over.
    counts: bool,
    ended: bool,
    /// Nanoseconds.
    whole: Vec<u64>,
    first: Vec<u64>,
    ages: Vec<u64>,
    /// Streams that have begun and not ended.
    open: usize,
    failures: usize,
    reason: Option<String>,
    altered: usize,
}

impl Clients {
    fn new(order: Order) -> Clients {
        let question = order.ask.question();
        let mut request = Request::post(&order.path).header("host", order.address.to_string());
        request = request.header("content-type", "application/json").header("content-length", question.len());
        for (name, value) in &order.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(question)).expect("headers that can be sent");
        Clients { expected: order.ask.answer(), order, request, found: RefCell::default() }
    }

    /// Asks again and again for the time ordered.
    async fn repeat(self: &Rc<Self>) -> Sample {
        let mut clients = JoinSet::new();
        for _ in 0..self.order.connections {
            let client = Rc::clone(self);
            clients.spawn_local(async move { client.converse().await });
        }
        tokio::time::sleep(WARM_UP).await;
        self.found.borrow_mut().counts = true;
        let before = Usage::now(&self.order);
        tokio::time::sleep(Duration::from_secs_f64(self.order.seconds)).await;
        let usage = Usage::now(&self.order).since(&before);
        let mut found = self.found.take();
        found.sample(&usage)
    }

    /// Opens all streams at once, looks at the target's memory until they end.
    async fn hold(self: &Rc<Self>) -> Sample {
        let mut streams = JoinSet::new();
        for _ in 0..self.order.connections {
            let client = Rc::clone(self);
            streams.spawn_local(async move { client.converse().await });
        }
        self.found.borrow_mut().ended = true;
        let (mut most, mut open) = (0.0, 0);
        while !streams.is_empty() {
            tokio::time::sleep(LOOK).await;
            while streams.try_join_next().is_some() {}
            open = open.max(self.found.borrow().open);
            most = f64::max(most, process::memory_mib(self.order.target));
        }
        let found = self.found.take();
        Sample { memory_mib: most, open, failures: found.failures, reason: found.reason, ..Sample::default() }
    }

    /// One client, until the time is over.
    async fn converse(&self) {
        let mut sender = None;
        loop {
            if let Err(failure) = self.ask(&mut sender).await {
                self.failed(&failure);
                sender = None;
                tokio::time::sleep(AFTER_FAILURE).await;
            }
            if self.found.borrow().ended {
                return;
            }
        }
    }

    /// Asks once and reads the whole answer.
    async fn ask(&self, kept: &mut Option<SendRequest<Full<Bytes>>>) -> Result<(), Failure> {
        let is_open = match kept {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        let sender = match kept {
            Some(sender) if is_open => sender,
            _ => kept.insert(self.connect().await?),
        };
        let (asked, mut first) = (Instant::now(), None);
        let answer = sender.send_request(self.request.clone()).await?;
        if answer.status() != 200 {
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        let mut body = answer.into_body();
        let mut whole = Vec::with_capacity(self.expected.len());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if first.is_none() {
                first = Some(asked.elapsed());
                self.found.borrow_mut().open += 1;
            }
            self.read(&mut whole, &data);
        }
        self.answered(asked.elapsed(), first.unwrap_or_default(), &whole)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let stream = TcpStream::connect(self.order.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection);
        Ok(sender)
    }

    /// Adds what has come to the answer, and notes how old its pieces are.
    fn read(&self, whole: &mut Vec<u8>, data: &[u8]) {
        let at = whole.len();
        whole.extend_from_slice(data);
        if matches!(self.order.ask, Ask::Paced | Ask::Held) {
            let (now, found) = (answers::moment(), &mut *self.found.borrow_mut());
            let counts = found.counts;
            answers::take_moments(&mut whole[at..], |made| {
                if counts {
                    found.ages.push(now.saturating_sub(made));
                }
            });
        }
    }

    fn failed(&self, failure: &Failure) {
        let found = &mut *self.found.borrow_mut();
        found.failures += 1;
        found.reason.get_or_insert_with(|| failure.to_string());
    }

    fn answered(&self, took: Duration, first: Duration, whole: &[u8]) -> Result<(), Failure> {
        let found = &mut *self.found.borrow_mut();
        found.open = found.open.saturating_sub(1);
        let ends = if self.order.ask == Ask::Json { "}" } else { "data: [DONE]" };
        if !whole.trim_ascii_end().ends_with(ends.as_bytes()) {
            return Err(format!("an answer of {} bytes without its end", whole.len()).into());
        }
        if whole != self.expected {
            found.altered += 1;
        }
        if found.counts {
            found.whole.push(took.as_nanos() as u64);
            found.first.push(first.as_nanos() as u64);
        }
        Ok(())
    }
}

impl Found {
    fn sample(&mut self, usage: &Usage) -> Sample {
        let calls = self.whole.len() as f64;
        let processors = TICKS_PER_SEC * usage.seconds * process::processors_here() as f64;
        Sample {
            rate: calls / usage.seconds,
            p50_us: percentile(&mut self.whole, 50),
            p99_us: percentile(&mut self.whole, 99),
            first_p50_us: percentile(&mut self.first, 50),
            age_p50_us: percentile(&mut self.ages, 50),
            age_p99_us: percentile(&mut self.ages, 99),
            cpu_us: usage.target as f64 / TICKS_PER_SEC * 1e6 / calls.max(1.0),
            memory_mib: usage.memory_mib,
            open: 0,
            others_percent: usage.busy.saturating_sub(usage.ours) as f64 / processors * 100.0,
            stolen_percent: usage.stolen as f64 / processors * 100.0,
            failures: self.failures,
            reason: self.reason.take(),
            altered: self.altered,
        }
    }
}

/// In microseconds; 0 of nothing.
fn percentile(nanos: &mut [u64], percent: usize) -> f64 {
    let rank = (nanos.len() * percent / 100).min(nanos.len().saturating_sub(1));
    if nanos.is_empty() { 0.0 } else { *nanos.select_nth_unstable(rank).1 as f64 / 1e3 }
}

/// Ticks spent up to a moment, or between two.
struct Usage {
    at: Instant,
    seconds: f64,
    target: u64,
    /// By the target, the model and the load together.
    ours: u64,
    /// By everything on this machine.
    busy: u64,
    stolen: u64,
    memory_mib: f64,
}

impl Usage {
    fn now(order: &Order) -> Usage {
        let target = process::ticks(order.target);
        let mock = if order.mock == order.target { 0 } else { process::ticks(order.mock) };
        let (busy, stolen) = process::busy_ticks();
        Usage {
            at: Instant::now(),
            seconds: 0.0,
            target,
            ours: target + mock + process::ticks(std::process::id()),
            busy,
            stolen,
            memory_mib: process::memory_mib(order.target),
        }
    }

    fn since(self, before: &Usage) -> Usage {
        Usage {
            seconds: (self.at - before.at).as_secs_f64(),
            target: self.target - before.target,
            ours: self.ours - before.ours,
            busy: self.busy - before.busy,
            stolen: self.stolen - before.stolen,
            ..self
        }
    }
}
