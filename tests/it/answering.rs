//! Every way a chat attempt can end, and the one record it leaves: status, failure, tokens and how they are known,
//! links between attempts, times, price.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tallybot::conversation::driver::{Assistant, Outgoing};
use tallybot::conversation::{AnswerOutcome, Answering, CancelReason, CancelToken, Problem};
use tallybot::metering::Patience;
use tallybot::models::{Kind, Timeouts};
use tallybot::usage::{
    Clock, ErrorKind, Failure, Now, Status, UsageRecord, UsageSource, Zone, estimate_prompt_tokens, estimate_tokens,
};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::in_process::{Bench, VirtualClock, job, real_clock, sink};
use crate::providers::{Reply, ScriptedProvider, Step, ollama, openai};

const PIECES: [&str; 3] = ["Quite well, ", "thank you ", "for asking."];
const SHORT: Duration = Duration::from_millis(100);

fn polite(kind: Kind) -> Reply {
    match kind {
        Kind::Ollama => ollama::chat(&PIECES, 26, 3),
        _ => openai::chat(&PIECES, 26, 3),
    }
}

/// What is estimated for the question of [`Bench::job`].
fn prompt_estimate(bench: &Bench) -> u64 {
    estimate_prompt_tokens(bench.job().turns.iter().map(|turn| &*turn.text))
}

fn ended(record: &UsageRecord<'_>) -> (Status, Option<Failure>, UsageSource) {
    (record.status, record.failure, record.usage_source)
}

fn tokens(record: &UsageRecord<'_>) -> (u64, u64) {
    (record.tokens.prompt, record.tokens.completion)
}

/// What was sent is estimated; of what came, `pieces`.
fn assert_estimated(bench: &Bench, record: &UsageRecord<'_>, pieces: &[&str]) {
    assert_eq!(record.usage_source, UsageSource::Estimated);
    // By the model's own vocabulary, where that is built in: `How are you today?`, its frame, and the answer's.
    let exact = (cfg!(feature = "tiktoken") && bench.kind == Kind::OpenAi).then_some(5 + 4 + 3);
    let prompt = record.tokens.prompt;
    assert!(prompt == prompt_estimate(bench) || Some(prompt) == exact, "{prompt}");
    let least = estimate_tokens(&pieces.concat()).min(pieces.len() as u64);
    assert!(record.tokens.completion >= least, "{} of at least {least}", record.tokens.completion);
    assert!(record.tokens.completion <= 64, "{}", record.tokens.completion);
}

fn problem(outcome: &AnswerOutcome) -> Option<ErrorKind> {
    match &outcome.result {
        Err(Problem::Failed { kind, .. }) => Some(*kind),
        _ => None,
    }
}

async fn failing(kind: Kind, reply: Reply) -> (Bench, ScriptedProvider, AnswerOutcome) {
    let server = ScriptedProvider::always(reply).await;
    let bench = Bench::new(kind, &server);
    let outcome = bench.ask().await;
    (bench, server, outcome)
}

#[tokio::test]
async fn a_local_answer_is_reported_timed_and_free() {
    let clock = VirtualClock::at("2026-11-22T12:00:00Z");
    let hands = Arc::clone(&clock);
    let server = ScriptedProvider::start(move |_| {
        hands.advance(Duration::from_millis(250));
        polite(Kind::Ollama)
    })
    .await;
    let bench = Bench::with(Kind::Ollama, &server.url(), Timeouts::default(), Vec::new(), clock);
    let outcome = bench.ask().await;
    assert_eq!((&*outcome.text, outcome.result), (PIECES.concat().as_str(), Ok(())));
    let record = bench.the_record();
    assert_eq!(ended(&record), (Status::Ok, None, UsageSource::Reported));
    assert_eq!(tokens(&record), (26, 3));
    assert_eq!((record.latency_ms, record.first_token_ms), (Some(250), Some(250)));
    assert_eq!(record.timestamp.to_string(), "2026-11-22T12:00:00.000000+00:00");
    assert!(record.local);
    assert_eq!(record.cost.map(|cost| cost.to_string()).as_deref(), Some("0"));
    assert_eq!(record.price_id.as_deref(), Some("local"));
    assert_eq!((record.attempt, record.call, &record.requested_model), (1, None, &None));
    assert_eq!((record.request_type.as_str(), record.channel.as_str()), ("chat", "terminal"));
    assert!(record.user.is_some() && record.session.is_some());
    assert_eq!(record.output_cap.and_then(|cap| cap.granted), Some(256));
}

#[tokio::test]
async fn a_paid_answer_names_who_served_it_and_what_it_cost() {
    let (bench, server, _) = failing(Kind::OpenAi, polite(Kind::OpenAi)).await;
    let record = bench.the_record();
    assert_eq!(ended(&record), (Status::Ok, None, UsageSource::Reported));
    assert_eq!(record.model.as_str(), "gpt-4o-mini-2024-07-18");
    assert_eq!(record.requested_model.as_deref(), Some("gpt-4o-mini"));
    // 26 at $0.15 and 3 at $0.60 per million.
    assert_eq!(record.cost.map(|cost| cost.to_string()).as_deref(), Some("0.0000057"));
    assert!(!record.local);
    assert!(record.metadata.as_json().contains("req_1"));
    assert_eq!(server.hits().len(), 1);
}

#[tokio::test]
async fn counts_that_do_not_come_are_estimated_and_say_so() {
    let without_counts = ollama::chat_lines(&PIECES, 0, 0).into_iter().map(|line| {
        line.replace("\"prompt_eval_count\":0,", "")
            .replace(",\"prompt_eval_count\":0", "")
            .replace("\"eval_count\":0,", "")
    });
    let (bench, ..) = failing(Kind::Ollama, Reply::stream("application/x-ndjson", without_counts)).await;
    let record = bench.the_record();
    assert_eq!(ended(&record), (Status::Ok, None, UsageSource::Estimated));
    assert_estimated(&bench, &record, &PIECES);

    let frames = openai::chat_frames(&PIECES, 26, 3).into_iter().filter(|frame| !frame.contains("prompt_tokens"));
    let (bench, ..) = failing(Kind::OpenAi, Reply::stream("text/event-stream", frames)).await;
    let record = bench.the_record();
    assert_eq!(ended(&record), (Status::Ok, None, UsageSource::Estimated));
    assert_estimated(&bench, &record, &PIECES);
    assert!(record.cost.is_some_and(|cost| cost.to_string() != "0"), "an estimate is paid for as well");
}

#[tokio::test]
async fn half_of_the_counts_is_partial() {
    let lines = ollama::chat_lines(&PIECES, 26, 9)
        .into_iter()
        .map(|line| line.replace("\"prompt_eval_count\":26,", "").replace(",\"prompt_eval_count\":26", ""));
    let (bench, ..) = failing(Kind::Ollama, Reply::stream("application/x-ndjson", lines)).await;
    let record = bench.the_record();
    assert_eq!(ended(&record), (Status::Ok, None, UsageSource::Partial));
    assert_eq!(tokens(&record), (prompt_estimate(&bench), 9));
}

#[tokio::test]
async fn an_answer_as_long_as_one_may_be_is_told_and_booked_as_answered() {
    let frames = openai::chat_frames(&PIECES, 26, 3)
        .into_iter()
        .map(|frame| frame.replace(r#""finish_reason":"stop""#, r#""finish_reason":"length""#));
    let (bench, _, outcome) = failing(Kind::OpenAi, Reply::stream("text/event-stream", frames)).await;
    assert_eq!((&*outcome.text, outcome.result), (PIECES.concat().as_str(), Err(Problem::CutOff)));
    assert_eq!(ended(&bench.the_record()), (Status::Ok, None, UsageSource::Reported));
}

#[tokio::test]
async fn an_answer_that_is_cut_is_an_error_with_what_came() {
    for kind in [Kind::Ollama, Kind::OpenAi] {
        let mut reply = polite(kind);
        reply.steps.truncate(3); // the head and two pieces
        reply.steps.push(Step::Close);
        let (bench, server, outcome) = failing(kind, reply).await;
        assert_eq!(problem(&outcome), Some(ErrorKind::StreamCut));
        assert!(outcome.text.starts_with(PIECES[0]), "{} characters", outcome.text.len());
        let record = bench.the_record();
        assert_eq!((record.status, record.failure), (Status::Error, Some(Failure::of(ErrorKind::StreamCut))));
        assert_estimated(&bench, &record, &PIECES[..1]);
        assert_eq!(server.hits().len(), 1, "what was answered in part is not asked again");
    }
}

#[tokio::test]
async fn an_error_within_an_answer_is_a_class_without_its_text() {
    let mut lines = ollama::chat_lines(&PIECES[..1], 0, 0);
    lines[1] = "{\"error\":\"MARKED-TEXT of the provider\"}\n".to_owned();
    let (bench, server, outcome) = failing(Kind::Ollama, Reply::stream("application/x-ndjson", lines)).await;
    assert_eq!(problem(&outcome), Some(ErrorKind::StreamError));
    let record = bench.the_record();
    assert_eq!(
        (record.status, record.failure.map(|failure| failure.kind)),
        (Status::Error, Some(ErrorKind::StreamError))
    );
    assert_estimated(&bench, &record, &PIECES[..1]);
    assert!(!format!("{record:?} {outcome:?}").contains("MARKED"));
    assert_eq!(server.hits().len(), 1);
}

#[tokio::test]
async fn two_attempts_are_two_records_of_one_call() {
    let limited = openai::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "0");
    let server = ScriptedProvider::in_turn([limited, polite(Kind::OpenAi)]).await;
    let bench = Bench::new(Kind::OpenAi, &server);
    assert_eq!(bench.ask().await.result, Ok(()));
    let records = bench.records();
    assert_eq!((records.len(), server.hits().len()), (2, 2));
    let (first, second) = (&records[0], &records[1]);
    let limited = Some(Failure::http(ErrorKind::RateLimited, 429));
    assert_eq!(ended(first), (Status::Error, limited, UsageSource::None));
    assert_eq!((tokens(first), first.attempt, first.call), ((0, 0), 1, None));
    assert_eq!(first.cost.map(|cost| cost.to_string()).as_deref(), Some("0"), "an error answer is not billed");
    assert_eq!(ended(second), (Status::Ok, None, UsageSource::Reported));
    assert_eq!((second.attempt, second.call), (2, Some(first.id)));
    assert_eq!((first.is_message(), second.is_message()), (true, false), "one message, however often it is tried");
}

#[tokio::test]
async fn what_is_retired_is_told_once_and_not_tried_again() {
    let (bench, server, outcome) = failing(Kind::OpenAi, openai::error(410, "gone", "retired")).await;
    assert_eq!(problem(&outcome), Some(ErrorKind::Gone));
    let record = bench.the_record();
    assert_eq!(record.failure.map(|failure| failure.to_string()).as_deref(), Some("gone 410"));
    assert_eq!((record.status, server.hits().len()), (Status::Error, 1));
}

#[tokio::test]
async fn nobody_listens() {
    let url = ScriptedProvider::always(Reply::default()).await.url(); // gone at the end of this statement
    let bench = Bench::with(Kind::Ollama, &url, Timeouts::default(), Vec::new(), real_clock());
    assert_eq!(problem(&bench.ask().await), Some(ErrorKind::Connect));
    let records = bench.records();
    for (n, record) in (1..).zip(&records) {
        assert_eq!(ended(record), (Status::Error, Some(Failure::of(ErrorKind::Connect)), UsageSource::None));
        assert_eq!((tokens(record), record.attempt), ((0, 0), n));
        assert_eq!(record.call, (n > 1).then(|| records[0].id));
    }
    assert!((1..=3).contains(&records.len()), "{}", records.len());
}

#[tokio::test]
async fn silence_before_the_first_byte_may_have_cost_the_prompt() {
    let server = ScriptedProvider::always(Reply::silence()).await;
    let timeouts = Timeouts { first_byte: SHORT, ..Timeouts::default() };
    let bench = Bench::with(Kind::Ollama, &server.url(), timeouts, Vec::new(), real_clock());
    assert_eq!(problem(&bench.ask().await), Some(ErrorKind::FirstByteTimeout));
    let record = bench.the_record();
    assert_eq!((record.status, record.failure), (Status::Timeout, Some(Failure::of(ErrorKind::FirstByteTimeout))));
    assert_eq!((tokens(&record), record.usage_source), ((prompt_estimate(&bench), 0), UsageSource::Estimated));
    assert_eq!(record.first_token_ms, None);
    assert!(record.latency_ms >= Some(100), "{:?}", record.latency_ms);
    server.clients_gone(1).await;
}

#[tokio::test]
async fn silence_within_an_answer_keeps_what_came() {
    let server = ScriptedProvider::always(polite(Kind::OpenAi).hold_before(3)).await;
    let timeouts = Timeouts { between_chunks: SHORT, ..Timeouts::default() };
    let bench = Bench::with(Kind::OpenAi, &server.url(), timeouts, Vec::new(), real_clock());
    let outcome = bench.ask().await;
    assert_eq!((problem(&outcome), &*outcome.text), (Some(ErrorKind::IdleTimeout), PIECES[0]));
    let record = bench.the_record();
    assert_eq!((record.status, record.failure), (Status::Timeout, Some(Failure::of(ErrorKind::IdleTimeout))));
    assert_estimated(&bench, &record, &PIECES[..1]);
    server.clients_gone(1).await;
}

#[tokio::test]
async fn a_call_cancelled_before_its_first_byte_is_recorded() {
    let arrived = Arc::new(Notify::new());
    let seen = Arc::clone(&arrived);
    let server = ScriptedProvider::start(move |_| {
        seen.notify_one();
        Reply::silence()
    })
    .await;
    let bench = Bench::new(Kind::Ollama, &server);
    let cancel = CancelToken::new();
    let asked = bench.answering.ask(bench.job(), sink().0, cancel.clone());
    let (outcome, ()) = tokio::join!(asked, async {
        arrived.notified().await;
        cancel.cancel(CancelReason::Person);
    });
    assert_eq!(outcome.result, Err(Problem::Cancelled));
    let record = bench.the_record();
    let cancelled = Some(Failure::of(ErrorKind::CancelledByUser));
    assert_eq!(ended(&record), (Status::Cancelled, cancelled, UsageSource::Estimated));
    assert_eq!(tokens(&record), (prompt_estimate(&bench), 0));
    server.clients_gone(1).await;
}

#[tokio::test]
async fn a_call_cancelled_within_its_answer_keeps_what_came_and_hangs_up() {
    for (reason, kind) in [
        (CancelReason::Person, ErrorKind::CancelledByUser),
        (CancelReason::Gone, ErrorKind::ClientGone),
        (CancelReason::Shutdown, ErrorKind::Shutdown),
    ] {
        let server = ScriptedProvider::always(polite(Kind::Ollama).hold_before(2)).await;
        let bench = Bench::new(Kind::Ollama, &server);
        let (cancel, (sink, mut shown)) = (CancelToken::new(), sink());
        let asked = bench.answering.ask(bench.job(), sink, cancel.clone());
        let (outcome, ()) = tokio::join!(asked, async {
            assert!(matches!(shown.recv().await, Some(Outgoing::Delta { .. })));
            cancel.cancel(reason);
        });
        assert!(outcome.result.is_err());
        assert_eq!(&*outcome.text, PIECES[0]);
        let record = bench.the_record();
        assert_eq!((record.status, record.failure), (Status::Cancelled, Some(Failure::of(kind))));
        assert_estimated(&bench, &record, &PIECES[..1]);
        server.clients_gone(1).await;
    }
}

#[tokio::test]
async fn a_task_dropped_within_its_answer_is_recorded_all_the_same() {
    let server = ScriptedProvider::always(polite(Kind::Ollama).hold_before(2)).await;
    let bench = Bench::new(Kind::Ollama, &server);
    let (sink, mut shown) = sink();
    let asked = bench.answering.ask(bench.job(), sink, CancelToken::new());
    tokio::select! {
        outcome = asked => panic!("the answer is held: {:?}", outcome.result),
        piece = shown.recv() => assert!(matches!(piece, Some(Outgoing::Delta { .. }))),
    }
    let record = bench.the_record();
    assert_eq!((record.status, record.failure), (Status::Cancelled, Some(Failure::of(ErrorKind::ClientGone))));
    assert_eq!(record.tokens.prompt, prompt_estimate(&bench));
    assert_eq!(record.usage_source, UsageSource::Estimated);
    server.clients_gone(1).await;
}

#[tokio::test]
async fn a_wait_that_only_the_text_of_an_error_names_is_told_and_known_to_the_limits() {
    let clock = VirtualClock::at("2026-11-22T12:00:00Z");
    let limited = openai::error(429, "rate_limit_exceeded", "Limit 30000, used 29000. Please try again in 1m26.4s.");
    let server = ScriptedProvider::always(limited).await;
    let bench = Bench::with(Kind::OpenAi, &server.url(), Timeouts::default(), Vec::new(), clock);
    let outcome = bench.ask().await;
    let (kind, http_status, retry_in_seconds) = (ErrorKind::RateLimited, Some(429), Some(86));
    assert_eq!(outcome.result, Err(Problem::Failed { kind, http_status, retry_in_seconds }));
    assert_eq!(server.hits().len(), 1, "longer than anybody waits for a retry");
    let learned = bench.answering.metering.learned();
    let until = learned[0].1.retry_at.map(|at| at.to_string());
    assert_eq!((learned.len(), until.as_deref()), (1, Some("2026-11-22T12:01:26.400000+00:00")));
}

/// A clock with a bug in it, from a reading on.
struct Broken {
    readings: AtomicU64,
    good: u64,
}

impl Clock for Broken {
    fn now(&self) -> Now {
        assert!(self.readings.fetch_add(1, Ordering::SeqCst) < self.good, "a bug of ours");
        real_clock().now()
    }
}

#[tokio::test]
async fn j3_a_panic_of_ours_is_recorded() {
    let server = ScriptedProvider::always(polite(Kind::Ollama)).await;
    let bench = Bench::new(Kind::Ollama, &server);
    // The first reading admits, the second notes the head; the third is that of the first piece.
    let clock = Arc::new(Broken { readings: AtomicU64::new(0), good: 2 });
    let answering = Answering {
        metering: bench.answering.metering.clone(),
        providers: Arc::clone(&bench.answering.providers),
        people: Arc::clone(&bench.answering.people),
        clock,
        zone: Zone::UTC,
        random: bench.answering.random,
        retries: bench.answering.retries,
        patience: Patience::default(),
        max_output_tokens: None,
    };
    let mut tasks = JoinSet::new();
    let job = bench.job();
    tasks.spawn(async move { answering.ask(job, sink().0, CancelToken::new()).await });
    assert!(tasks.join_next().await.expect("it was spawned").is_err_and(|error| error.is_panic()));
    let record = bench.the_record();
    let panicked = Some(Failure::of(ErrorKind::Panic));
    assert_eq!(ended(&record), (Status::Error, panicked, UsageSource::Estimated));
    assert_eq!(record.tokens.prompt, prompt_estimate(&bench));
}

#[tokio::test]
async fn a_model_that_ran_elsewhere_is_not_local_from_then_on() {
    let lines = ollama::chat_lines(&PIECES, 26, 3).into_iter().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        line["remote_model"] = json!("big:600b");
        line["remote_host"] = json!("https://ollama.com:443");
        format!("{line}\n")
    });
    let server = ScriptedProvider::always(Reply::stream("application/x-ndjson", lines)).await;
    let bench = Bench::new(Kind::Ollama, &server);
    let outcome = bench.ask().await;
    assert_eq!(outcome.receipt.map(|receipt| receipt.choice.local), Some(false));
    let record = bench.the_record();
    assert_eq!((record.status, record.local, tokens(&record)), (Status::Ok, false, (26, 3)));
    assert_ne!(record.price_id.as_deref(), Some("local"), "what runs elsewhere is not free by being called Ollama");
    bench.ask().await;
    assert!(bench.records().iter().all(|record| !record.local));
}

#[tokio::test]
async fn a_provider_nobody_configured_is_not_called_and_leaves_no_record() {
    let server = ScriptedProvider::always(polite(Kind::Ollama)).await;
    let bench = Bench::new(Kind::Ollama, &server);
    let outcome = bench.answering.ask(job(Kind::OpenAi, "session", "?"), sink().0, CancelToken::new()).await;
    assert_eq!(problem(&outcome), Some(ErrorKind::NotFound));
    assert_eq!((bench.records().len(), server.hits().len()), (0, 0));
}
