//! The gateway killed with -9 at random moments while many clients call through it and some of them leave: each request
//! that reached the provider has exactly one record, and what a client or the provider saw whole stands in it exactly.
//!
//! For 10,000 calls with each durability: `TALLYBOT_GATEWAY_CALLS=10000 cargo test --locked --test it kill::gateway -- --nocapture`
//! A failure prints its seed; `TALLYBOT_KILL_SEED` sets it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use tallybot::app::random;
use tallybot::ledger::People;
use tallybot::usage::{Status, SubjectId, UsageRecord, UsageSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Chance, Open, call_of, number, quarantined_kinds};
use crate::in_process::open_slots;
use crate::providers::{Hit, Reply, ScriptedProvider, Step, anthropic, openai};
use crate::running::{Home, Running, until};
use crate::test_app::records_of;

const DEFAULT_CALLS: u64 = 300;
const CLIENTS: u64 = 16;

/// The process that calls go to: how often it was killed before, and its port. No port: it is dead or not there yet.
type Door = (u64, Option<u16>);

/// How a call ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saw {
    /// The whole answer.
    Whole,
    /// It left: before the whole request was sent, before an answer, or within it.
    Left,
    /// The connection broke, as it does when the process is killed.
    Broken,
}

/// A call that a client began.
struct Begun {
    call: u64,
    /// The process that got it.
    life: u64,
    saw: Saw,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_random_moments_the_gateway_has_one_record_for_each_request_the_provider_served() {
    let seed = number("TALLYBOT_KILL_SEED", u64::from_le_bytes(random()[..8].try_into().expect("eight bytes")));
    let calls = number("TALLYBOT_GATEWAY_CALLS", DEFAULT_CALLS);
    println!("seed: TALLYBOT_KILL_SEED={seed}");
    for durability in ["kill", "power"] {
        println!("{}", under_fire(durability, calls, &mut Chance(seed)).await);
    }
}

/// Kills and starts the gateway again until all calls are made; then holds its books against what others saw, and tells
/// what there was.
async fn under_fire(durability: &str, calls: u64, chance: &mut Chance) -> String {
    let provider = ScriptedProvider::start(answer).await;
    let home = home(durability, &provider.url());
    let (numbers, door) = (Arc::new(watch::Sender::new(0)), watch::Sender::new((0, None)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(Chance(chance.below(u64::MAX)), calls, Arc::clone(&numbers), door.subscribe()));
    }
    let (mut life, mut most_open, mut open) = (0, 0, HashSet::new());
    let app = loop {
        let app = tokio::task::block_in_place(|| home.serve());
        door.send_replace((life, Some(app.port())));
        let enough = *numbers.borrow() + 50 + chance.below(100);
        numbers.subscribe().wait_for(|begun| *begun >= enough.min(calls)).await.expect("it is there");
        if enough >= calls {
            break app;
        }
        tokio::time::sleep(Duration::from_micros(chance.below(40_000))).await; // the moment of death is what is drawn
        door.send_replace((life, None));
        app.signal("KILL");
        tokio::task::block_in_place(|| app.wait());
        let left = Open::of(&home.data()).unfinished;
        most_open = most_open.max(left.len());
        open.extend(left);
        tokio::task::block_in_place(|| kill_a_start(&home, chance));
        life += 1;
    };
    let begun: Vec<Begun> = clients.join_all().await.into_iter().flatten().collect();
    let records = tokio::task::block_in_place(|| close(&home, app));
    let (hits, served) = (provider.hits(), provider.served());
    let hits: Vec<Hit> = hits.into_iter().filter(|hit| hit.method == "POST").collect();
    let served = hits.iter().filter(|hit| served.contains(&hit.number)).count();
    let seen = Seen { begun, hits, served, kills: life };
    let of_status = |status| records.iter().filter(move |record| record.status == status);
    let interrupted: HashSet<Uuid> = of_status(Status::Interrupted).map(|record| record.id.0).collect();
    assert_eq!(interrupted, open, "each call that a kill left open, and no other");
    let people = People::open(&home.data(), [0; 32]).expect("it is there");
    seen.check(&records, &people).unwrap_or_else(|wrong| panic!("{wrong}"));
    for (what, spoilt) in seen.spoilt(&records, &people) {
        assert!(seen.check(&spoilt, &people).is_err(), "{what}, and nobody notices");
    }
    format!(
        "{durability}: {calls} calls, {life} kills, {} reached the provider, {} served to the last byte; {} records: {} ok, \
         {} cancelled, {} interrupted (at most {most_open} calls in flight at a kill); 0 lost, 0 twice",
        seen.hits.len(),
        seen.served,
        records.len(),
        of_status(Status::Ok).count(),
        of_status(Status::Cancelled).count(),
        interrupted.len(),
    )
}

fn home(durability: &str, url: &str) -> Home {
    let provider = |name: &str, kind: &str, model: &str| {
        format!(
            "[[providers]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"{url}\"\nmodel = \"{model}\"\napi_key_env = \"KEY\"\n"
        )
    };
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[ledger]\ndurability = \"{durability}\"\n[gateway]\ndrains = 10000\n{}{}",
        provider("cloud", "openai", "gpt-4o-mini"),
        provider("claude", "anthropic", "claude-haiku-4-5")
    );
    Home::new(&config).with_env("KEY", "sk-0123456789-0123456789")
}

/// Now and then the next start is killed as well.
fn kill_a_start(home: &Home, chance: &mut Chance) {
    if chance.below(3) == 0 {
        let starting = home.start(&["serve"]);
        std::thread::sleep(Duration::from_micros(chance.below(60_000))); // as above
        starting.signal("KILL");
        starting.wait();
    }
}

/// Waits until nothing is open any more, ends the program, and lets it check its books.
fn close(home: &Home, app: Running) -> Vec<UsageRecord<'static>> {
    assert!(until(|| open_slots(&home.data()).is_empty()), "calls that stay open: {:?}", open_slots(&home.data()));
    assert_eq!(app.stop().code(), Some(0));
    let verified = home.run(&["verify"], "");
    assert_eq!(verified.code(), Some(0), "{verified:?}");
    assert!(quarantined_kinds(&home.data()).iter().all(|kind| kind == "torn"), "only a torn end may be put aside");
    records_of(&home.data(), false)
}

/// The provider's answer to a call: its number is the prompt's tokens, and its id names it and the request.
fn answer(hit: &Hit) -> Reply {
    let Some(call) = call_of(hit) else { return Reply::json(200, r#"{"data":[]}"#) };
    let (streams, output) = (hit.json()["stream"] == true, output_of(call));
    let pieces = ["some", " words", " come"];
    let mut reply = match (hit.path.ends_with("/messages"), streams) {
        (true, true) => anthropic::chat(&pieces, call, output),
        (true, false) => Reply::json(200, message(call, output)),
        (false, true) => Reply::stream("text/event-stream", openai::chat_frames(&pieces, call, output)),
        (false, false) => Reply::json(200, openai::chat_json("some words come", call, output)),
    };
    if streams {
        reply.steps.insert(3, Step::Wait(Duration::from_millis(call % 23)));
    }
    reply.header("x-request-id", &id_of(hit)).after(Duration::from_millis(call % 7))
}

fn message(call: u64, output: u64) -> String {
    json!({"id": "msg_01", "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": "some words come"}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": call, "output_tokens": output}})
    .to_string()
}

fn output_of(call: u64) -> u64 {
    call % 50 + 1
}

fn id_of(hit: &Hit) -> String {
    format!("call-{}.hit-{}", call_of(hit).unwrap_or(0), hit.number)
}

/// Makes one call after the other until all are made.
async fn client(
    mut chance: Chance,
    calls: u64,
    numbers: Arc<watch::Sender<u64>>,
    mut door: watch::Receiver<Door>,
) -> Vec<Begun> {
    let mut begun = Vec::new();
    loop {
        let open = *door.wait_for(|(_, port)| port.is_some()).await.expect("it is there while calls are made");
        let (life, Some(port)) = open else { continue };
        // Nobody was there, or nobody any more: the next one will be.
        let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let mut call = 0;
        numbers.send_modify(|number| {
            *number += 1;
            call = *number;
        });
        if call > calls {
            return begun;
        }
        let saw = one_call(stream, call, &mut chance).await;
        begun.push(Begun { call, life, saw });
    }
}

/// One call on a connection of its own. One in three clients leaves at some moment.
async fn one_call(mut stream: TcpStream, call: u64, chance: &mut Chance) -> Saw {
    let request = request(call, chance.below(3) != 0, chance.below(2) == 0);
    let leaving = chance.below(9);
    if leaving == 0 {
        let sent = usize::try_from(chance.below(request.len() as u64)).expect("small");
        drop(stream.write_all(&request[..sent]).await);
        return Saw::Left;
    }
    if stream.write_all(&request).await.is_err() {
        return Saw::Broken;
    }
    if leaving == 1 {
        tokio::time::sleep(Duration::from_micros(chance.below(12_000))).await; // when it leaves is drawn
        return Saw::Left;
    }
    let stays_for = if leaving == 2 { chance.below(1_200) } else { u64::MAX };
    let mut received = Vec::new();
    let read = (&mut stream).take(stays_for).read_to_end(&mut received).await;
    if is_whole(&received) {
        return Saw::Whole;
    }
    if read.is_ok() && received.len() as u64 == stays_for { Saw::Left } else { Saw::Broken }
}

/// A request to one of two APIs; its session names the call, and so does its record, however it ends.
fn request(call: u64, streams: bool, is_openai: bool) -> Vec<u8> {
    let path = if is_openai { "cloud/v1/chat/completions" } else { "claude/v1/messages" };
    let mut body = json!({"model": "gpt-4o-mini", "max_tokens": 64, "stream": streams,
        "messages": [{"role": "user", "content": format!("call-{call}")}]});
    if !is_openai {
        body["model"] = "claude-haiku-4-5".into();
    }
    let body = body.to_string();
    format!(
        "POST /gateway/{path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n\
         anthropic-version: 2023-06-01\r\nx-session: call-{call}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Whether these are all bytes of an answer. Any answer but a good one fails the test.
fn is_whole(received: &[u8]) -> bool {
    let text = String::from_utf8_lossy(received);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    assert!(head.starts_with("HTTP/1.1 200"), "{text}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => body.len() == length,
        None => body.ends_with("0\r\n\r\n"),
    }
}

/// All that others than the gateway know.
struct Seen {
    begun: Vec<Begun>,
    hits: Vec<Hit>,
    /// How many of the hits were answered to the last byte.
    served: usize,
    kills: u64,
}

impl Seen {
    /// Holds the records against what was seen; says what is wrong.
    fn check(&self, records: &[UsageRecord<'static>], people: &People) -> anyhow::Result<()> {
        let session = |call: u64| people.hash("api", &format!("call-{call}"));
        let mut of_call: HashMap<SubjectId, &UsageRecord<'_>> = HashMap::new();
        for record in records {
            let other = of_call.insert(record.session.context("every call has a session")?, record);
            ensure!(other.is_none(), "two records of one call: {other:?} {record:?}");
        }
        let mut hit_of: HashMap<u64, &Hit> = HashMap::new();
        for hit in &self.hits {
            let call = call_of(hit).context("every request is a call's")?;
            ensure!(hit_of.insert(call, hit).is_none(), "call {call} was sent twice");
        }
        for begun in &self.begun {
            let record = of_call.remove(&session(begun.call));
            self.check_call(begun, record, hit_of.remove(&begun.call))?;
        }
        ensure!(of_call.is_empty() && hit_of.is_empty(), "of calls that nobody made: {of_call:?} {hit_of:?}");
        Ok(())
    }

    /// The record of one call, held against its client and its provider.
    fn check_call(&self, begun: &Begun, record: Option<&UsageRecord<'_>>, hit: Option<&Hit>) -> anyhow::Result<()> {
        let Begun { call, life, saw } = begun;
        let was_killed = *life < self.kills;
        ensure!(*saw != Saw::Broken || was_killed, "call {call} broke off and nobody was killed: {record:?}");
        let Some(record) = record else {
            ensure!(
                hit.is_none() && *saw != Saw::Whole,
                "call {call} ({saw:?}) reached the provider and has no record"
            );
            return Ok(());
        };
        if record.status == Status::Interrupted {
            ensure!(was_killed && *saw != Saw::Whole, "call {call} ({saw:?}) was not interrupted: {record:?}");
            return Ok(());
        }
        let hit = hit.with_context(|| format!("call {call} never reached the provider: {record:?}"))?;
        let may_be_cancelled = *saw != Saw::Whole && record.status == Status::Cancelled;
        ensure!(record.status == Status::Ok || may_be_cancelled, "call {call} ({saw:?}): {record:?}");
        let metadata: serde_json::Value = serde_json::from_str(record.metadata.as_json())?;
        let counts = (record.tokens.prompt, record.tokens.completion, record.usage_source);
        let is_exact = counts == (*call, output_of(*call), UsageSource::Reported);
        ensure!(is_exact && metadata["request_id"] == id_of(hit), "not what the provider said: {record:?}");
        Ok(())
    }

    /// The records with one wrong thing each, in that of a call whose client saw all of its answer.
    fn spoilt(
        &self,
        records: &[UsageRecord<'static>],
        people: &People,
    ) -> [(&'static str, Vec<UsageRecord<'static>>); 5] {
        let whole = self.begun.iter().filter(|begun| begun.saw == Saw::Whole);
        let whole: HashSet<SubjectId> =
            whole.map(|begun| people.hash("api", &format!("call-{}", begun.call))).collect();
        let last = records.iter().rposition(|record| record.session.is_some_and(|session| whole.contains(&session)));
        let last = last.expect("some calls went well");
        let spoil = |what: &dyn Fn(&mut Vec<UsageRecord<'static>>)| {
            let mut records = records.to_vec();
            what(&mut records);
            records
        };
        [
            ("a record is missing", spoil(&|records| drop(records.remove(last)))),
            ("a record is there twice", spoil(&|records| records.push(records[last].clone()))),
            ("a count is wrong", spoil(&|records| records[last].tokens.completion += 1)),
            ("a count is a guess", spoil(&|records| records[last].usage_source = UsageSource::Estimated)),
            ("a call that ended is interrupted", spoil(&|records| records[last].status = Status::Interrupted)),
        ]
    }
}
