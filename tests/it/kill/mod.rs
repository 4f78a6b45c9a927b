//! Laws 1 to 3 under kill -9 at random moments, with eight callers of `POST /v1/usage` and eight chats at work.
//!
//! Each round kills a process ([`child`]: the same desk, door, assistant and HTTP server as `app` joins) and lets the
//! built binary start on what is left. The provider lives in the parent, which therefore knows what reached it.
//! For 500 rounds: `TALLYBOT_KILL_ROUNDS=500 cargo test --locked --test it kill::a1 -- --nocapture`
//! A failure prints its seed; `TALLYBOT_KILL_SEED` sets it.

mod child;
mod gateway;
mod witness;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tallybot::app::random;
use tallybot::usage::Status;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::in_process::{open_slots, real_clock};
use crate::providers::{Hit, Reply, ScriptedProvider, Step, ollama, openai};
use crate::test_app::{TestApp, data_of, records_of, request};
use child::{Running, Task};
use witness::{Witness, assert_books, assert_stats_are_the_fold};

const DEFAULT_ROUNDS: u64 = 12;
/// A folder sees this many rounds; then a new one begins, so that replays stay short.
const ROUNDS_PER_FOLDER: u64 = 10;
const USAGE_CALLERS: u64 = 8;

pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("`{name}` is a whole number")))
}

/// Chance that can be had again.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[test]
fn a1_kill_minus_nine_at_random_moments_loses_nothing_and_counts_nothing_twice() {
    let seed = number("TALLYBOT_KILL_SEED", u64::from_le_bytes(random()[..8].try_into().expect("eight bytes")));
    let rounds = number("TALLYBOT_KILL_ROUNDS", DEFAULT_ROUNDS);
    println!("seed: TALLYBOT_KILL_SEED={seed}");
    let mut chance = Chance(seed);
    let mut totals = Totals::default();
    for first in (0..rounds).step_by(usize::try_from(ROUNDS_PER_FOLDER).expect("small")) {
        let power = (first / ROUNDS_PER_FOLDER).is_multiple_of(2);
        let mut folder = FolderUnderFire::new(power);
        for round in first..rounds.min(first + ROUNDS_PER_FOLDER) {
            folder.round(round, &mut chance, &mut totals);
        }
    }
    println!("{rounds} rounds: {totals:?}");
    assert!(totals.acknowledged_items > 0 && totals.acknowledged_chats > 0, "the callers were at work");
}

#[derive(Debug, Default)]
struct Totals {
    acknowledged_items: usize,
    acknowledged_chats: usize,
    duplicates_answered: usize,
    interrupted: usize,
    kills: usize,
    from_a_snapshot: usize,
    unacknowledged_items_found: usize,
    unacknowledged_items_lost: usize,
    records: usize,
}

/// A home folder, its provider, and all that its callers were told.
struct FolderUnderFire {
    /// Drives the provider.
    _runtime: Runtime,
    home: TempDir,
    provider: ScriptedProvider,
    power: bool,
    witness: Witness,
}

impl FolderUnderFire {
    fn new(power: bool) -> FolderUnderFire {
        let runtime = Runtime::new().expect("a runtime");
        let provider = runtime.block_on(ScriptedProvider::start(answer));
        let home = TempDir::new().expect("a temporary folder");
        FolderUnderFire { _runtime: runtime, home, provider, power, witness: Witness::default() }
    }

    fn task(&self, round: u64) -> Task {
        Task {
            data: data_of(self.home.path()),
            provider: self.provider.url(),
            power: self.power,
            first_call: (round + 1) * 1_000_000,
        }
    }

    fn round(&mut self, round: u64, chance: &mut Chance, totals: &mut Totals) {
        let data = data_of(self.home.path());
        let mut running = Running::start(&self.task(round));
        let gone = AtomicBool::new(false);
        if let Some(address) = running.ready() {
            let callers: Vec<_> = (0..USAGE_CALLERS).map(|_| Mutex::new(Chance(chance.below(u64::MAX)))).collect();
            let wait = Duration::from_millis(20 + chance.below(200));
            let (witness, gone) = (&self.witness, &gone);
            std::thread::scope(|scope| {
                for (caller, chance) in callers.iter().enumerate() {
                    let name = format!("{round}-{caller}");
                    scope.spawn(move || {
                        let mut chance = chance.lock().expect("its only user");
                        send_usage(address, &name, witness, gone, &mut chance);
                    });
                }
                std::thread::sleep(wait); // the moment of death is what is drawn
                running.kill();
                gone.store(true, Ordering::SeqCst);
            });
        }
        totals.kills += 1;
        self.witness.chats_done(running.done());
        let was_open = Open::of(&data);
        // Starting is a moment to be killed at as well.
        for _ in 0..chance.below(3) {
            let mut starting = Running::start(&Task { first_call: 0, ..self.task(round) });
            std::thread::sleep(Duration::from_millis(chance.below(40)));
            starting.kill();
            totals.kills += 1;
        }
        self.check(round, &was_open, totals);
    }

    /// The next start, and what it finds.
    fn check(&mut self, round: u64, was_open: &Open, totals: &mut Totals) {
        let data = data_of(self.home.path());
        let config = format!(
            "timezone = \"UTC\"\n[[providers]]\nname = \"ollama\"\nkind = \"ollama\"\nurl = \"{}\"\nmodel = \"llama3.2\"\n",
            self.provider.url()
        );
        let app = TestApp::start(self.home.path(), &config);
        assert!(open_slots(&data).is_empty(), "no call is open after a start");
        let records = records_of(&data, false);
        let reached: Vec<u64> = self.provider.hits().iter().filter_map(call_of).collect();
        let known = self.witness.known();
        assert_books(&records, &data, &known, &reached);
        was_open.assert_settled(&records);
        totals.from_a_snapshot += usize::from(assert_stats_are_the_fold(&app, &data, &real_clock()));
        if round % 5 == 4 {
            assert_eq!(app.post("/metrics/reset", "").status, 200);
        }
        let in_books: HashSet<&str> = known.tags_in(&records);
        totals.records += records.len() - std::mem::replace(&mut self.witness.seen, records.len());
        totals.interrupted += was_open.unfinished.len();
        let unacknowledged = known.sent.difference(&known.acknowledged);
        let (found, lost): (Vec<_>, Vec<_>) = unacknowledged.partition(|tag| in_books.contains(tag.as_str()));
        let (items, chats, duplicates) = self.witness.counts_since_last();
        totals.acknowledged_items += items;
        totals.acknowledged_chats += chats;
        totals.duplicates_answered += duplicates;
        if round % ROUNDS_PER_FOLDER == ROUNDS_PER_FOLDER - 1 {
            totals.unacknowledged_items_found += found.len();
            totals.unacknowledged_items_lost += lost.len();
        }
    }
}

impl Drop for FolderUnderFire {
    #[expect(clippy::print_stdout, reason = "shown with the failure it belongs to")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = std::env::temp_dir().join(format!("tallybot-kill-{}", std::process::id()));
            let copied = witness::copy(&data_of(self.home.path()), &kept, |_| true);
            println!("the folder is kept in {kept:?} ({copied} files)");
        }
    }
}

/// The calls that stand in the slots and not in the journal, right after a kill.
struct Open {
    unfinished: HashSet<Uuid>,
    records: usize,
}

impl Open {
    fn of(data: &Path) -> Open {
        Open { unfinished: open_slots(data).into_iter().collect(), records: records_of(data, true).len() }
    }

    /// Each became exactly one interrupted record, and nothing else was added.
    fn assert_settled(&self, records: &[tallybot::usage::UsageRecord<'static>]) {
        let mut added: HashMap<Uuid, Vec<Status>> = HashMap::new();
        for record in &records[self.records..] {
            added.entry(record.id.0).or_default().push(record.status);
        }
        assert!(added.values().all(|statuses| statuses[..] == [Status::Interrupted]), "{added:?}");
        assert_eq!(added.into_keys().collect::<HashSet<_>>(), self.unfinished, "open calls and interrupted records");
    }
}

/// The number of the call in a request: what was asked.
fn call_of(hit: &Hit) -> Option<u64> {
    hit.json()["messages"].as_array()?.last()?["content"].as_str()?.strip_prefix("call-")?.parse().ok()
}

/// The provider's answer to a call: its number as the prompt's tokens, and some time in between.
fn answer(hit: &Hit) -> Reply {
    let Some(call) = call_of(hit) else { return Reply::json(200, r#"{"models":[],"data":[]}"#) };
    let mut reply = match hit.path.ends_with("/api/chat") {
        true => ollama::chat(&["some", " words", " come"], call, call % 50),
        false => openai::chat(&["some", " words", " come"], call, call % 50),
    };
    reply.steps.insert(2, Step::Wait(Duration::from_millis(call % 23)));
    reply.after(Duration::from_millis(call % 7))
}

/// One caller of `POST /v1/usage`, until nobody answers. What it sent with ids of its own and was not acknowledged it
/// sends again, first thing in the next round.
fn send_usage(address: std::net::SocketAddr, name: &str, witness: &Witness, gone: &AtomicBool, chance: &mut Chance) {
    for n in 0u64.. {
        let again = witness.take_batch_to_repeat(chance.below(16) == 0);
        let tags = again.unwrap_or_else(|| {
            let kind = if n.is_multiple_of(2) { "given" } else { "plain" };
            (0..=chance.below(3)).map(|item| format!("{kind}-{name}-{n}-{item}")).collect()
        });
        witness.sending(&tags);
        let items: Vec<Value> = tags.iter().map(|tag| item(tag)).collect();
        match request(address, "POST", "/v1/usage", &Value::from(items).to_string()) {
            Ok(answer) => {
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
                let verdict = answer.json();
                assert_eq!(verdict["rejected"], json!([]));
                witness.acknowledged(tags, verdict["accepted"].as_u64(), verdict["duplicates"].as_u64());
            }
            Err(_) => {
                witness.unanswered(tags);
                // Only a killed process may leave a caller without an answer.
                while !gone.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                return;
            }
        }
    }
}

fn item(tag: &str) -> Value {
    let tokens = tag.len() as u64;
    let mut item = json!({
        "api_type": "openai", "provider": "cloud", "model": "gpt-4o-mini", "prompt_tokens": tokens * 10,
        "completion_tokens": tokens, "total_tokens": tokens * 11, "success": true, "metadata": {"tag": tag},
    });
    if tag.starts_with("given") {
        item["source"] = "torture".into();
        item["id"] = tag.into();
    }
    item
}

#[test]
fn child_process() {
    // Does nothing in an ordinary run: it is the process that is killed.
    if let Ok(task) = std::env::var(child::TASK) {
        child::run(&serde_json::from_str(&task).expect("a task"));
    }
}

/// Copies of folders are made of what is the truth alone.
fn is_truth(name: &str) -> bool {
    (name.starts_with("tokens_") && name.ends_with(".jsonl")) || name == "control.jsonl"
}

/// The bytes put aside by recoveries; after kills these can only be torn ends.
fn quarantined_kinds(data: &Path) -> Vec<String> {
    let entries = fs::read_dir(data).expect("a readable folder").map(|entry| entry.expect("readable").path());
    let aside = entries.filter(|path| path.to_string_lossy().ends_with(".quarantine"));
    let lines = aside.flat_map(|path| {
        let text = fs::read_to_string(path).expect("readable");
        text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>()
    });
    lines.map(|line| line["kind"].as_str().expect("a kind").to_owned()).collect()
}
