//! The process that is killed: the books, eight chats and the HTTP door, joined as `app` joins them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tallybot::app::{ChatDoor, Desk, DoorParts, RestDesk, random};
use tallybot::config::Config;
use tallybot::conversation::driver::Assistant;
use tallybot::conversation::{Answering, CancelToken};
use tallybot::http::{Denied, Guard, Limits, RequestHead, Rest, Role, Workers};
use tallybot::ledger::Durability;
use tallybot::metering::Metering;
use tallybot::models::{Kind, Timeouts};
use tallybot::templates::{Lang, Templates};
use tallybot::usage::{Now, Zone};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::in_process::{answering, job, provider, real_clock, setup, sink};

/// The environment variable that makes the hidden test the process to be killed.
pub(super) const TASK: &str = "TALLYBOT_KILL_CHILD";

const CHATS: u64 = 8;
/// Far more often than `app`, so that some die while they are written.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(15);

/// What the process is to do.
#[derive(Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) data: PathBuf,
    pub(super) provider: String,
    /// Durability `power`, else `kill`.
    pub(super) power: bool,
    /// The number of the first call; 0 for no calls.
    pub(super) first_call: u64,
}

/// The process as the parent holds it. Killed when dropped.
pub(super) struct Running {
    process: Child,
    says: BufReader<std::process::ChildStderr>,
}

impl Running {
    pub(super) fn start(task: &Task) -> Running {
        let mut process = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "kill::child_process", "--nocapture", "--test-threads=1"])
            .env(TASK, serde_json::to_string(task).expect("plain data"))
            .stdin(Stdio::piped()) // its end tells the child that the parent is gone
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test starts");
        let says = BufReader::new(process.stderr.take().expect("it was piped"));
        Running { process, says }
    }

    /// Waits until it serves; gives where.
    pub(super) fn ready(&mut self) -> Option<SocketAddr> {
        let mut line = String::new();
        self.says.read_line(&mut line).expect("text");
        let address = line.strip_prefix("ready ").and_then(|at| at.trim().parse().ok());
        assert!(address.is_some(), "the child said {line:?}, and then {:?}", self.rest());
        address
    }

    pub(super) fn kill(&mut self) {
        self.process.kill().expect("our own child");
        self.process.wait().expect("our own child");
    }

    /// The calls it acknowledged; a line without its end was none. Anything else it said is a failure of its own.
    pub(super) fn done(&mut self) -> Vec<u64> {
        let rest = self.rest();
        let whole = rest.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let call = |line: &str| line.strip_prefix("done ").and_then(|call| call.parse().ok());
        whole.lines().map(|line| call(line).unwrap_or_else(|| panic!("the child said: {whole}"))).collect()
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.says.read_to_string(&mut rest).expect("text");
        rest
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is usually dead already.
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}

/// Lets everybody in: who may ask is not what is tested here.
struct Open;

impl Guard for Open {
    fn check(&self, _: &RequestHead<'_>, _: Role, _: Now) -> Result<(), Denied> {
        Ok(())
    }
}

/// Runs until it is killed.
pub(super) fn run(task: &Task) {
    std::thread::spawn(|| {
        // Reading ends when the parent does.
        let _end = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::abort();
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("a runtime").block_on(serve(task));
}

async fn serve(task: &Task) {
    let clock = real_clock();
    let durability = if task.power { Durability::Power } else { Durability::Kill };
    let (metering, _) = Metering::start(&task.data, setup(Vec::new(), durability, &clock)).expect("the folder opens");
    let providers = [Kind::Ollama, Kind::OpenAi].map(|kind| provider(kind, &task.provider, Timeouts::default()));
    let answering = Arc::new(answering(&task.data, metering.clone(), providers.into(), &clock));
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
        folder: task.data.clone(),
        templates: Arc::new(Templates::load(None).expect("the built-in templates")),
        clock: Arc::clone(&clock),
        tasks,
    };
    let ids = || uuid::Uuid::from_bytes(random()).to_string();
    let rest = Rest::new(Arc::new(RestDesk(Arc::new(desk))), Open, Arc::clone(&clock), ids);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    say(&format!("ready {}", listener.local_addr().expect("a bound listener")));
    let mut parts = JoinSet::new();
    parts.spawn(async move {
        let workers = Workers::start().expect("threads");
        tallybot::http::run(listener, rest, Limits::default(), &workers, std::future::pending()).await;
    });
    parts.spawn(async move {
        loop {
            tokio::time::sleep(SNAPSHOT_EVERY).await;
            metering.tick(clock.now());
            let (metering, now) = (metering.clone(), clock.now());
            tokio::task::spawn_blocking(move || metering.snapshot(now)).await.expect("no panic").expect("written");
        }
    });
    if task.first_call > 0 {
        let first = task.first_call;
        (0..CHATS).for_each(|chat| drop(parts.spawn(chats(Arc::clone(&answering), first + chat * 100_000))));
    }
    while let Some(ended) = parts.join_next().await {
        ended.expect("nothing in here panics");
    }
}

/// One person who asks and asks; each answer that ended is acknowledged.
async fn chats(answering: Arc<Answering>, first: u64) {
    for call in first.. {
        let kind = if call.is_multiple_of(2) { Kind::Ollama } else { Kind::OpenAi };
        let name = format!("call-{call}");
        let outcome = answering.ask(job(kind, &name, &name), sink().0, CancelToken::new()).await;
        if outcome.result.is_ok() {
            assert_eq!(outcome.receipt.and_then(|receipt| receipt.prompt_tokens), Some(call));
            say(&format!("done {call}"));
        }
    }
}

/// One line in one write.
fn say(line: &str) {
    std::io::stderr().lock().write_all(format!("{line}\n").as_bytes()).expect("the parent reads");
}
