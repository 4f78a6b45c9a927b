//! How long `GET /stats` takes beside 64 answers that stream, and without them.
//!
//! `cargo bench --bench serving [-- RECORDS]`. The service as `app` joins it, on books of RECORDS records (a million
//! unless said) of the last 30 days; a scripted provider sends a piece of each answer every 5 to 10 ms; one client asks
//! `GET /stats` on one connection, the next question as soon as the last is answered. All of it shares this machine.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures time and prints it")]

mod measure;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use measure::upstream::Upstream;
use measure::{Spread, write_books};
use tallybot::app::{ChatDoor, Desk, DoorParts, RestDesk, SystemClock, random};
use tallybot::config::Config;
use tallybot::conversation::driver::{Assistant, DeltaSink, Outgoing};
use tallybot::conversation::{Answering, CancelToken, ChatKey, Job, JobId, ModelChoice, Origin, Person, Role, Turn};
use tallybot::http::{Denied, Guard, Limits, RequestHead, Rest, Role as Right, Workers};
use tallybot::ledger::{Durability, KnownNames, People};
use tallybot::limits::Rulebook;
use tallybot::metering::{Metering, Patience, Setup};
use tallybot::models::{Kind, Provider, ProviderSpec, RetryPolicy, Transport};
use tallybot::templates::{Lang, Templates};
use tallybot::usage::prices::PriceBook;
use tallybot::usage::{Clock, Now, Zone};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

const GENERATIONS: u64 = 64;
const ROUNDS: usize = 5;
const ASKS: usize = 2_000;

/// How long the answers stream before anything is asked.
const WARM_UP: Duration = Duration::from_secs(1);

const DAY_MICROS: i64 = 86_400_000_000;

fn main() {
    let records = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let home = tempfile::tempdir().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(Zone::UTC));
    write_books(home.path(), records, clock.now().at.plus_micros(-30 * DAY_MICROS), 30 * DAY_MICROS / records as i64);
    // As the program itself builds it.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(compare(home.path(), clock));
}

/// Quiet and busy rounds by turns.
async fn compare(data: &Path, clock: Arc<dyn Clock>) {
    let upstream = Upstream::start();
    let service = Service::start(data, &upstream.url(), clock).await;
    let (mut quiet, mut busy) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        quiet.push(Round::of(&service, &upstream).await);
        let crowd = Crowd::start(&service);
        tokio::time::sleep(WARM_UP).await;
        busy.push(Round::of(&service, &upstream).await);
        crowd.stop().await;
    }
    println!("{} bytes each answer of /stats, {ROUNDS} rounds of {ASKS}", quiet[0].bytes);
    Round::tell("without generations", &quiet);
    Round::tell("beside 64 generations", &busy);
    println!("answers recorded: {}", service.answered.load(Relaxed));
    service.stop().await;
}

/// The service in this process, with its HTTP door open.
struct Service {
    answering: Arc<Answering>,
    address: SocketAddr,
    answered: Arc<AtomicU64>,
    parts: JoinSet<()>,
}

impl Service {
    async fn start(data: &Path, provider: &str, clock: Arc<dyn Clock>) -> Service {
        let (metering, _) = Metering::start(data, setup(&clock)).expect("the folder opens");
        let spec = ProviderSpec::new("cloud", Kind::OpenAi, provider, "gpt-4o-mini");
        let answering = Arc::new(Answering {
            metering: metering.clone(),
            providers: vec![Provider::new(spec, Transport::new())].into(),
            people: Arc::new(People::open(data, [7; 32]).expect("a writable folder")),
            clock: Arc::clone(&clock),
            zone: Zone::UTC,
            random,
            retries: RetryPolicy::default(),
            patience: Patience::default(),
            max_output_tokens: Some(1024),
        });
        let tasks = TaskTracker::new();
        let parts = DoorParts {
            people: Arc::clone(&answering.people),
            metering: metering.clone(),
            clock: Arc::clone(&clock),
            random,
            tasks: tasks.clone(),
        };
        let desk = Desk {
            bot: "raymundo".to_owned(),
            language: Lang::En,
            pressing: Default::default(),
            deliveries: None,
            compat: Default::default(),
            zone: Zone::UTC,
            started_at: clock.now().at,
            metering: metering.clone(),
            providers: Arc::clone(&answering.providers),
            provider_infos: Vec::new(),
            people: Arc::clone(&answering.people),
            rules: Vec::new().into(),
            door: Arc::new(ChatDoor::new(&Config::default(), parts).0),
            folder: data.to_owned(),
            templates: Arc::new(Templates::load(None).expect("the built-in templates")),
            clock: Arc::clone(&clock),
            tasks,
        };
        let ids = || uuid::Uuid::from_bytes(random()).to_string();
        let rest = Rest::new(Arc::new(RestDesk(Arc::new(desk))), Open, Arc::clone(&clock), ids);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let mut parts = JoinSet::new();
        parts.spawn(async move {
            tallybot::http::run(listener, rest, Limits::default(), &Workers::here(), std::future::pending()).await;
        });
        parts.spawn(chores(metering, clock));
        Service { answering, address, answered: Arc::default(), parts }
    }

    async fn stop(mut self) {
        self.parts.shutdown().await;
    }
}

/// What `app` does each second; the snapshot far more often than there.
async fn chores(metering: Metering, clock: Arc<dyn Clock>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    for second in 1_u64.. {
        seconds.tick().await;
        metering.tick(clock.now());
        if second.is_multiple_of(5) {
            let (metering, now) = (metering.clone(), clock.now());
            tokio::task::spawn_blocking(move || metering.snapshot(now)).await.expect("no panic").expect("written");
        }
    }
}

fn setup(clock: &Arc<dyn Clock>) -> Setup {
    Setup {
        durability: Durability::Power,
        known: KnownNames::none(),
        rules: Rulebook::default(),
        providers: vec!["cloud".to_owned()],
        prices: PriceBook::bundled(),
        vendors: HashMap::from([("cloud".to_owned(), "openai".to_owned())]),
        clock: Arc::clone(clock),
        random,
    }
}

/// Lets everybody in: who may ask is not what is measured here.
struct Open;

impl Guard for Open {
    fn check(&self, _: &RequestHead<'_>, _: Right, _: Now) -> Result<(), Denied> {
        Ok(())
    }
}

/// People who each ask again as soon as they are answered.
struct Crowd {
    ends: Arc<AtomicBool>,
    people: JoinSet<()>,
}

impl Crowd {
    fn start(service: &Service) -> Crowd {
        let (ends, mut people) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for person in 0..GENERATIONS {
            let (answering, answered) = (Arc::clone(&service.answering), Arc::clone(&service.answered));
            people.spawn(asks(answering, person, Arc::clone(&ends), answered));
        }
        Crowd { ends, people }
    }

    /// Lets every answer under way end.
    async fn stop(mut self) {
        self.ends.store(true, Relaxed);
        while let Some(ended) = self.people.join_next().await {
            ended.expect("nothing in here panics");
        }
    }
}

async fn asks(answering: Arc<Answering>, person: u64, ends: Arc<AtomicBool>, answered: Arc<AtomicU64>) {
    let chat = ChatKey { channel: "telegram", id: person.to_string() };
    while !ends.load(Relaxed) {
        let (outgoing, mut shown) = tokio::sync::mpsc::channel::<Outgoing>(64);
        let sink = DeltaSink::new(chat.clone(), JobId(person), outgoing);
        let channel = async { while shown.recv().await.is_some() {} };
        let (outcome, ()) = tokio::join!(answering.ask(job(&chat, person), sink, CancelToken::new()), channel);
        assert!(outcome.result.is_ok(), "the provider is a polite one");
        answered.fetch_add(1, Relaxed);
    }
}

fn job(chat: &ChatKey, person: u64) -> Job {
    Job {
        id: JobId(person),
        chat: chat.clone(),
        person: Person::new(person.to_string(), false),
        session: person.to_string(),
        choice: ModelChoice {
            provider: "cloud".to_owned(),
            model: "gpt-4o-mini".to_owned(),
            local: false,
            demo: false,
        },
        turns: vec![Turn { role: Role::User, text: "How are you today?".to_owned().into() }],
        photos: Vec::new(),
        lang: Lang::En,
        origin: Origin::default(),
    }
}

/// What some thousand questions in a row took.
struct Round {
    /// Milliseconds, sorted.
    millis: Vec<f64>,
    asks_per_sec: f64,
    /// Pieces of answers the provider sent meanwhile.
    pieces_per_sec: f64,
    bytes: usize,
}

impl Round {
    async fn of(service: &Service, upstream: &Upstream) -> Round {
        let (address, sent_before, began) = (service.address, upstream.sent(), Instant::now());
        let client = tokio::task::spawn_blocking(move || Client::connect(address).ask_many());
        let (mut millis, bytes) = client.await.expect("no panic");
        let secs = began.elapsed().as_secs_f64();
        millis.sort_by(f64::total_cmp);
        let pieces = upstream.sent() - sent_before;
        Round { millis, asks_per_sec: ASKS as f64 / secs, pieces_per_sec: pieces as f64 / secs, bytes }
    }

    fn tell(what: &str, rounds: &[Round]) {
        let spread = |of: &dyn Fn(&Round) -> f64| Spread::of(&rounds.iter().map(of).collect::<Vec<_>>());
        println!("{what}:");
        println!("  p50 {} ms", spread(&|round| round.millis[ASKS / 2]));
        println!("  p99 {} ms", spread(&|round| round.millis[ASKS * 99 / 100]));
        println!("  max {} ms", spread(&|round| round.millis[ASKS - 1]));
        println!("  {} questions/s", spread(&|round| round.asks_per_sec));
        println!("  {} pieces/s", spread(&|round| round.pieces_per_sec));
    }
}

/// A client of `GET /stats` that keeps its connection, on a thread of its own.
struct Client {
    stream: TcpStream,
    question: String,
    answer: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("the door is open");
        stream.set_nodelay(true).expect("a TCP stream");
        let question = format!("GET /stats HTTP/1.1\r\nhost: {address}\r\n\r\n");
        Client { stream, question, answer: Vec::new() }
    }

    /// Each question's milliseconds, and the length of the last answer.
    fn ask_many(mut self) -> (Vec<f64>, usize) {
        let mut bytes = 0;
        let mut ask = |_| {
            let began = Instant::now();
            bytes = self.ask();
            began.elapsed().as_secs_f64() * 1e3
        };
        let millis = (0..ASKS).map(&mut ask).collect();
        (millis, bytes)
    }

    /// Asks, reads the whole answer, gives the length of its body.
    fn ask(&mut self) -> usize {
        self.stream.write_all(self.question.as_bytes()).expect("the service reads");
        self.answer.clear();
        let mut piece = [0; 16 * 1024];
        loop {
            let read = self.stream.read(&mut piece).expect("the service answers");
            assert!(read > 0, "the service hung up");
            self.answer.extend_from_slice(&piece[..read]);
            let Some(head) = self.answer.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&self.answer[..head]).expect("ASCII");
            assert!(text.starts_with("HTTP/1.1 200"), "{text}");
            let body = measure::content_length(text).expect("the service says it");
            if self.answer.len() == head + 4 + body {
                return body;
            }
        }
    }
}
