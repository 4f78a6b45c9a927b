//! How calls end: the last word waits for its record, and a client that leaves leaves one record all the same.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tallybot::gateway::DrainLimits;
use tallybot::ledger::Durability;
use tallybot::models::Timeouts;
use tallybot::usage::{ErrorKind, Status, UsageRecord, UsageSource};

use super::kit::{Gate, Opening, leave_after, post, rest};
use super::wire::{CHAT, CHAT_UNASKED, SSE, STREAMS, Specimen, WHOLE};
use crate::providers::{Reply, ScriptedProvider, Step};

/// A server that sends a stream piece by piece and waits before the `n`th step, the head being step 0.
async fn holding(specimen: &Specimen, pieces: &[&str], n: usize) -> ScriptedProvider {
    ScriptedProvider::always(Reply::stream(specimen.content_type, pieces).hold_before(n)).await
}

fn chat() -> Request<Full<Bytes>> {
    post("cloud", "/v1/chat/completions", CHAT_UNASKED)
}

/// A stream in pieces: what comes before its last word, and that.
fn divided(specimen: &Specimen) -> [&'static str; 2] {
    let last = match specimen.name {
        "chat" | "completions" | "ollama v1" => "data: [DONE]",
        "responses" => "event: response.completed",
        "messages" => "event: message_stop",
        "gemini events" => "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"!\"}]}",
        "gemini list" => ",\n{",
        _ => "{\"model\":\"gemma3:4b\",\"message\":{\"role\":\"assistant\",\"content\":\"\"}",
    };
    let at = specimen.answer.find(last).or_else(|| specimen.answer.find("{\"model\":\"gemma3:4b\",\"response\":\"\""));
    specimen.answer.split_at(at.expect("it has a last word")).into()
}

fn left(record: &UsageRecord<'_>) -> (Status, Option<ErrorKind>, UsageSource) {
    (record.status, record.failure.map(|failure| failure.kind), record.usage_source)
}

const CANCELLED: (Status, Option<ErrorKind>, UsageSource) =
    (Status::Cancelled, Some(ErrorKind::ClientGone), UsageSource::Reported);
const CUT: (Status, Option<ErrorKind>, UsageSource) =
    (Status::Cancelled, Some(ErrorKind::ClientGone), UsageSource::Estimated);

const STOPPED: (Status, Option<ErrorKind>, UsageSource) =
    (Status::Cancelled, Some(ErrorKind::Shutdown), UsageSource::Estimated);

/// Lets everybody work until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1_000_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("never: {what}");
}

#[tokio::test(start_paused = true)]
async fn the_last_word_waits_two_seconds_for_a_disk_that_does_not_confirm() {
    for specimen in &STREAMS {
        let [before, last] = divided(specimen);
        let server = holding(specimen, &[before, last], 2).await;
        let hour = Timeouts::all(Duration::from_secs(3_600));
        let gate = Opening { durability: Durability::Power, ..Opening::to(&server.url()).timeouts(hour) }.open();
        let response = gate.begin(post(specimen.provider(), specimen.path, specimen.request)).await;
        let mut body = response.into_body();
        let mut seen = Vec::new();
        while seen.len() < before.len() {
            let frame = body.frame().await.expect("there is more").expect("it is whole");
            seen.extend_from_slice(&frame.into_data().expect("no trailers"));
        }
        assert_eq!(String::from_utf8_lossy(&seen), before, "{}", specimen.name);
        let stuck = gate.lose_the_disk();
        server.release();
        let early = tokio::time::timeout(Duration::from_millis(1_900), body.frame()).await;
        assert!(early.is_err(), "{}: the last word came before its record: {early:?}", specimen.name);
        let frame = tokio::time::timeout(Duration::from_millis(200), body.frame()).await.expect("it waits no longer");
        let frame = frame.expect("the last word").expect("it is whole").into_data().expect("no trailers");
        assert_eq!(String::from_utf8_lossy(&frame), last, "{}", specimen.name);
        assert!(body.frame().await.is_none());
        drop(stuck);
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_waits_two_seconds_for_a_disk_that_does_not_confirm() {
    let specimen = &WHOLE[0];
    let reply = Reply::json(200, specimen.answer).hold_before(0);
    let server = ScriptedProvider::always(reply).await;
    let hour = Timeouts::all(Duration::from_secs(3_600));
    let gate = Opening { durability: Durability::Power, ..Opening::to(&server.url()).timeouts(hour) }.open();
    let mut asking = Box::pin(gate.ask_for(specimen));
    let arrived = until("the call arrives", || !server.hits().is_empty());
    tokio::select! { _ = &mut asking => panic!("nobody answered"), () = arrived => {} }
    let stuck = gate.lose_the_disk();
    server.release();
    assert!(tokio::time::timeout(Duration::from_millis(1_900), &mut asking).await.is_err(), "before its record");
    let answered = tokio::time::timeout(Duration::from_millis(200), asking).await.expect("it waits no longer");
    assert_eq!((answered.status, answered.text()), (200, specimen.answer));
    drop(stuck);
}

#[tokio::test]
async fn the_last_word_of_each_stream_comes_only_with_its_record() {
    for specimen in &STREAMS {
        let [before, last] = divided(specimen);
        let server = ScriptedProvider::always(Reply::stream(specimen.content_type, [before, last])).await;
        let gate = Gate::to(&server);
        let response = gate.begin(post(specimen.provider(), specimen.path, specimen.request)).await;
        let mut body = response.into_body();
        let mut seen = String::new();
        while let Some(frame) = body.frame().await {
            let data = frame.expect("it is whole").into_data().expect("no trailers");
            seen += std::str::from_utf8(&data).expect("text");
            if seen.len() > before.len() {
                let records = crate::test_app::records_of(gate.home.path(), true);
                assert_eq!(records.len(), 1, "{}: `{last}` came before its record", specimen.name);
            }
        }
        assert_eq!(seen, specimen.answer);
    }
}

/// A client that leaves at one moment of an answer in three pieces; gives the record and whether the provider's
/// connection was closed by us.
async fn leaving(specimen: Specimen, drains: DrainLimits, hold: usize, release: bool) -> UsageRecord<'static> {
    let pieces = [CHAT[0], CHAT[1], CHAT[2]];
    let pieces: Vec<&str> = if specimen.content_type == SSE { pieces.into() } else { divided(&specimen).into() };
    let server = holding(&specimen, &pieces, hold).await;
    let mut opening = Opening::to(&server.url());
    opening.settings.drains = drains;
    let gate = opening.open();
    let mut asking = Box::pin(gate.begin(post(specimen.provider(), specimen.path, specimen.request)));
    if hold == 0 {
        let arrived = until("the call arrives", || !server.hits().is_empty());
        tokio::select! { _ = &mut asking => panic!("nobody answered"), () = arrived => {} }
        drop(asking);
    } else {
        let visible = pieces[..hold - 1].iter().filter(|piece| **piece != CHAT[1]).map(|piece| piece.len()).sum();
        let response = asking.await;
        leave_after(response, visible).await;
    }
    if release {
        server.release();
    } else {
        server.clients_gone(1).await;
    }
    gate.drained().await;
    let record = gate.the_record();
    gate.verify();
    record
}

const UNASKED: Specimen = Specimen { request: CHAT_UNASKED, ..STREAMS[0] };

#[tokio::test]
async fn g1_a_client_that_leaves_a_billed_answer_anywhere_is_cancelled_with_what_the_provider_reports() {
    for hold in 0..=3 {
        let record = leaving(UNASKED, DrainLimits::default(), hold, true).await;
        assert_eq!(left(&record), CANCELLED, "held before step {hold}: {record:?}");
        assert_eq!((record.tokens.prompt, record.tokens.completion), (9, 2), "held before step {hold}");
    }
}

#[tokio::test]
async fn g1_a_client_that_leaves_a_local_answer_frees_the_machine_at_once() {
    let ollama = STREAMS[6];
    for hold in 0..=2 {
        let record = leaving(ollama, DrainLimits::default(), hold, false).await;
        assert_eq!(left(&record), CUT, "held before step {hold}: {record:?}");
        assert!(record.local && record.tokens.prompt > 0, "{record:?}");
        assert_eq!(record.tokens.completion > 0, hold == 2, "{record:?}");
    }
}

#[tokio::test]
async fn g1_what_is_read_on_for_clients_that_left_is_bounded_in_number_time_and_size() {
    let usual = DrainLimits::default();
    let bounds = [
        ("number", DrainLimits { count: 0, ..usual }, 2),
        ("no time", DrainLimits { time: Duration::ZERO, ..usual }, 2),
        ("time", DrainLimits { time: Duration::from_millis(20), ..usual }, 2),
        ("time before the head", DrainLimits { time: Duration::from_millis(20), ..usual }, 0),
    ];
    for (name, drains, hold) in bounds {
        let record = leaving(UNASKED, drains, hold, false).await;
        assert_eq!(left(&record), CUT, "{name}: {record:?}");
        assert_eq!(record.tokens.completion > 0, hold == 2, "{name}: {record:?}");
    }
    let server = holding(&UNASKED, &[CHAT[0], &format!(": {}\n\n", "x".repeat(4_096)), CHAT[1], CHAT[2]], 2).await;
    let mut opening = Opening::to(&server.url());
    opening.settings.drains = DrainLimits { bytes: 1_024, ..usual };
    let gate = opening.open();
    leave_after(gate.begin(chat()).await, CHAT[0].len()).await;
    server.release();
    gate.drained().await;
    assert_eq!(left(&gate.the_record()), CUT);
}

#[tokio::test]
async fn at_the_end_of_the_program_nothing_is_read_on() {
    let server = holding(&UNASKED, &CHAT, 2).await;
    let gate = Gate::to(&server);
    leave_after(gate.begin(chat()).await, CHAT[0].len()).await;
    gate.gateway.stop();
    gate.drained().await;
    server.clients_gone(1).await;
    assert_eq!(left(&gate.the_record()), STOPPED);
    let late = ScriptedProvider::always(Reply::stream(SSE, CHAT).hold_before(2)).await;
    let gate = Gate::to(&late);
    gate.gateway.stop();
    leave_after(gate.begin(chat()).await, CHAT[0].len()).await;
    assert_eq!(left(&gate.the_record()), STOPPED, "what is left after that is cut at once");
}

#[tokio::test]
async fn a_client_that_has_read_the_last_word_has_not_left() {
    let reply = Reply {
        steps: vec![
            Step::Write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_vec()),
            Step::Write(CHAT.concat().into_bytes()),
            Step::Hold,
            Step::Close,
        ],
    };
    let server = ScriptedProvider::always(reply).await;
    let gate = Gate::to(&server);
    let answered = rest(gate.begin(chat()).await).await;
    assert_eq!((answered.text(), answered.cut), ([CHAT[0], CHAT[2]].concat().as_str(), false));
    let record = gate.the_record();
    assert_eq!(left(&record), (Status::Ok, None, UsageSource::Reported));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_a_known_length_that_has_no_last_word_is_not_taken_for_left() {
    let whole = Reply::whole(200, SSE, [CHAT[0], CHAT[1]].concat());
    let server = ScriptedProvider::always(whole).await;
    let provider =
        format!("[[providers]]\nname = \"cloud\"\nkind = \"openai\"\nmodel = \"m\"\nurl = \"{}\"\n", server.url());
    let home = crate::running::Home::new(&format!("[http]\nlisten = \"127.0.0.1:0\"\n{provider}"));
    let service = home.serve();
    let answer = service.ask("POST /gateway/cloud/v1/chat/completions", STREAMS[0].request);
    assert_eq!(answer.body(), [CHAT[0], CHAT[1]].concat());
    assert_eq!(service.stop().code(), Some(0));
    let records = home.records();
    assert!(records.len() == 1 && records[0]["status"] == "ok" && records[0]["prompt_tokens"] == 9, "{records:?}");
}
