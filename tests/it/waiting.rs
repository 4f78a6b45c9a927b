//! Waiting in line at a limit: who goes when, who is told what, and that nobody is forgotten. On virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tallybot::conversation::driver::Assistant;
use tallybot::conversation::{AnswerOutcome, Answering, CancelReason, CancelToken, Problem};
use tallybot::ledger::Durability;
use tallybot::limits::{AtLimit, Caps, Facet, LimitKind, Pick, Rule, Scope};
use tallybot::metering::{Call, Metering, Outcome, Patience, Permit, Refused};
use tallybot::models::{Kind, Provider, ProviderSpec, Transport};
use tallybot::stats::Period;
use tallybot::usage::{
    Clock, Day, ErrorKind, Failure, Now, Status, SubjectId, Tick, Timestamp, TokenCounts, UsageRecord, UsageSource,
    Zone,
};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::in_process::{self, setup};
use crate::test_app::records_of;

/// A clock that goes with the runtime's own, which stands still while anybody works.
pub struct RuntimeClock {
    began: Timestamp,
    since: Instant,
}

impl RuntimeClock {
    #[expect(clippy::disallowed_methods, reason = "the runtime's time is the virtual time of these tests")]
    pub fn at(began: &str) -> Arc<dyn Clock> {
        Arc::new(RuntimeClock { began: Timestamp::parse(began).expect("a time"), since: Instant::now() })
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Now {
        let since = self.since.elapsed().as_micros() as u64;
        Now { at: self.began.plus_micros(since as i64), tick: Tick(1_000_000_000 + since) }
    }
}

/// Books with limits, and a clock.
struct Door {
    home: TempDir,
    clock: Arc<dyn Clock>,
    metering: Metering,
    patience: Patience,
    /// Who was admitted, and after how many seconds.
    went: Mutex<Vec<(String, u64)>>,
    began: Now,
}

fn per_minute(requests: u64) -> Vec<Rule> {
    let caps = Caps::of([(LimitKind::RequestsPerMinute, requests)]);
    vec![Rule::new(Scope::provider("cloud"), caps, Zone::UTC)]
}

fn tokens_per_minute(tokens: u64) -> Vec<Rule> {
    let caps = Caps::of([(LimitKind::TokensPerMinute, tokens)]);
    vec![Rule::new(Scope::provider("cloud"), caps, Zone::UTC)]
}

const WAITS: Patience =
    Patience { by_default: true, most: 1_000, most_each: 1_000, longest: Duration::from_secs(100_000) };

impl Door {
    fn with(rules: Vec<Rule>, patience: Patience) -> Arc<Door> {
        let home = TempDir::new().expect("a temporary folder");
        let clock = RuntimeClock::at("2026-11-22T12:00:00Z");
        let (metering, _) = Metering::start(home.path(), setup(rules, Durability::Kill, &clock)).expect("new books");
        let began = clock.now();
        Arc::new(Door { home, clock, metering, patience, went: Mutex::default(), began })
    }

    fn call(who: u8, prompt_tokens: u64) -> Call {
        let user = Some(SubjectId::from_bytes([who; 12]));
        Call { user, prompt_tokens, ..Call::new("cloud", "openai", "gpt-4o-mini", "terminal") }
    }

    async fn open(&self, who: u8, prompt_tokens: u64) -> Result<Permit, Refused> {
        self.open_call(Door::call(who, prompt_tokens)).await
    }

    async fn open_call(&self, mut call: Call) -> Result<Permit, Refused> {
        let never = std::future::pending();
        self.metering.open_in_line(&mut call, self.clock.now(), &self.patience, |_| {}, never).await
    }

    /// Asks, and notes when it was let in; the call ends at once.
    async fn ask(self: Arc<Self>, who: u8, name: String, prompt_tokens: u64) -> Result<(), Refused> {
        let permit = self.open(who, prompt_tokens).await?;
        self.went.lock().expect("nobody panics").push((name, self.seconds()));
        permit.finish(answered(prompt_tokens), self.clock.now()).await;
        Ok(())
    }

    fn seconds(&self) -> u64 {
        self.clock.now().tick.millis_since(self.began.tick) / 1000
    }

    fn order(&self) -> Vec<String> {
        self.went.lock().expect("nobody panics").iter().map(|(name, _)| name.clone()).collect()
    }

    fn times(&self) -> Vec<u64> {
        self.went.lock().expect("nobody panics").iter().map(|(_, second)| *second).collect()
    }

    fn records(&self) -> Vec<UsageRecord<'static>> {
        self.metering.close(self.clock.now()).expect("the books close");
        records_of(self.home.path(), false)
    }
}

fn answered(prompt: u64) -> Outcome {
    Outcome {
        failure: None,
        tokens: TokenCounts { prompt, completion: 0, ..TokenCounts::default() },
        usage_source: UsageSource::Reported,
        ..Outcome::failed(Status::Ok, Failure::of(ErrorKind::Other))
    }
}

fn limit_of(refused: Result<(), Refused>) -> tallybot::limits::Refusal {
    match refused {
        Err(Refused::Limit(refusal)) => *refusal,
        other => panic!("not refused by a limit: {other:?}"),
    }
}

/// Lets everybody who can go on do so, at the same moment.
async fn settled() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_what_calls_in_flight_hold_of_a_day_goes_when_they_end() {
    for (used, goes) in [(100, true), (2_000, false)] {
        let caps = Caps::of([(LimitKind::TokensPerDay, 4_000)]);
        let rules = vec![Rule::new(Scope::provider("cloud"), caps, Zone::UTC)];
        let door = Door::with(rules, Patience { by_default: true, ..Patience::default() });
        let first = door.open(1, 1_500).await.expect("there is room");
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&door).ask(2, "b".to_owned(), 1_500));
        sleep(Duration::from_secs(30)).await;
        assert!(door.order().is_empty(), "it waits");
        first.finish(answered(used), door.clock.now()).await;
        let ended = tasks.join_next().await.expect("it waited").expect("no panic");
        assert_eq!((ended.is_ok(), door.times()), (goes, if goes { vec![30] } else { vec![] }), "{used}: {ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_came_first_go_first_and_exactly_when_there_is_room() {
    let door = Door::with(per_minute(2), WAITS);
    let mut asking = JoinSet::new();
    for n in 0..7 {
        asking.spawn(Arc::clone(&door).ask(n, format!("p{n}"), 1));
        settled().await;
    }
    for result in asking.join_all().await {
        result.expect("everybody is answered");
    }
    assert_eq!(door.order(), ["p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
    assert_eq!(door.times(), [0, 0, 61, 61, 122, 122, 183]);
    assert!(door.records().iter().all(|record| record.status == Status::Ok), "nobody who waited was refused");
}

#[tokio::test(start_paused = true)]
async fn one_with_fifty_calls_keeps_nobody_waiting() {
    let door = Door::with(per_minute(5), WAITS);
    let mut asking = JoinSet::new();
    for n in 0..50 {
        asking.spawn(Arc::clone(&door).ask(0, format!("busy{n}"), 1));
    }
    settled().await;
    for who in 1..5 {
        asking.spawn(Arc::clone(&door).ask(who, format!("p{who}"), 1));
        settled().await;
    }
    asking.join_all().await;
    let order = door.order();
    assert_eq!(order[..5], ["busy0", "busy1", "busy2", "busy3", "busy4"], "nobody else was there");
    assert_eq!(order[5..10], ["busy5", "p1", "p2", "p3", "p4"], "one of each, in the order in which they came");
    assert_eq!(order.len(), 54);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_slip_past_and_a_small_call_does_not_overtake_a_large_one() {
    let door = Door::with(tokens_per_minute(10_000), WAITS);
    let first = door.open(0, 6_000).await.expect("there is room");
    let mut asking = JoinSet::new();
    asking.spawn(Arc::clone(&door).ask(1, "large".into(), 7_000));
    settled().await;
    asking.spawn(Arc::clone(&door).ask(2, "small".into(), 10));
    settled().await;
    assert!(door.order().is_empty(), "there is room for the small one, but the large one came first");
    let hasty = Call { channel: "rest".into(), ..Door::call(3, 10) };
    let refused = door.metering.open(hasty, door.clock.now()).await.map(drop);
    assert!(limit_of(refused).until().is_some(), "who does not wait is told when it is safe");
    first.finish(Outcome::failed(Status::Error, Failure::of(ErrorKind::ServerError)), door.clock.now()).await;
    asking.join_all().await;
    assert_eq!(door.order(), ["large", "small"], "what the first gave back is room for both");
    assert_eq!(door.times(), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_limit_holds_nobody_up() {
    let caps = |requests| Caps::of([(LimitKind::RequestsPerMinute, requests)]);
    let each = Scope::everything().with(Facet::User, Pick::Each);
    let door = Door::with(vec![per_minute(4).remove(0), Rule::new(each, caps(1), Zone::UTC)], WAITS);
    let mut asking = JoinSet::new();
    for (who, name) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (3, "c1"), (3, "c2")] {
        asking.spawn(Arc::clone(&door).ask(who, name.into(), 1));
        settled().await;
    }
    asking.join_all().await;
    assert_eq!(door.order(), ["a1", "b1", "c1", "a2", "c2", "a3"]);
    assert_eq!(door.times(), [0, 0, 0, 61, 61, 122]);
}

#[tokio::test(start_paused = true)]
async fn the_line_is_bounded_in_number_for_all_and_for_each() {
    let door = Door::with(per_minute(1), Patience { most: 4, most_each: 2, ..WAITS });
    let mut asking = JoinSet::new();
    for (who, name) in [(9, "first"), (1, "a1"), (1, "a2")] {
        asking.spawn(Arc::clone(&door).ask(who, name.into(), 1));
        settled().await;
    }
    let refusal = limit_of(Arc::clone(&door).ask(1, "a3".into(), 1).await);
    assert_eq!(refusal.limit, LimitKind::RequestsPerMinute);
    asking.spawn(Arc::clone(&door).ask(2, "b1".into(), 1));
    asking.spawn(Arc::clone(&door).ask(3, "c1".into(), 1));
    settled().await;
    limit_of(Arc::clone(&door).ask(4, "d1".into(), 1).await);
    asking.join_all().await;
    assert_eq!(door.order(), ["first", "a1", "b1", "c1", "a2"]);
}

#[tokio::test(start_paused = true)]
async fn one_key_fills_a_line_for_five_persons_whoever_it_says_they_are() {
    let door = Door::with(per_minute(1), Patience { most: 100, most_each: 2, ..WAITS });
    let of_key = |who, key: &'static str| Call { key: Some(key.into()), ..Door::call(who, 1) };
    drop(door.open(0, 1).await.expect("nobody is here"));
    let mut waiting = JoinSet::new();
    for who in 0..12 {
        let (door, call) = (Arc::clone(&door), of_key(who, "web"));
        waiting.spawn(async move { door.open_call(call).await.is_ok() });
        settled().await;
    }
    assert_eq!((waiting.try_join_next().map(|ended| ended.expect("no panic")), waiting.len()), (Some(false), 11));
    assert_eq!((waiting.try_join_next().map(|ended| ended.expect("no panic")), waiting.len()), (Some(false), 10));
    waiting.spawn({
        let (door, call) = (Arc::clone(&door), of_key(0, "shop"));
        async move { door.open_call(call).await.is_ok() }
    });
    settled().await;
    assert!(waiting.try_join_next().is_none(), "another key has room");
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_bounded_and_a_longer_one_is_not_begun() {
    let door = Door::with(per_minute(1), Patience { longest: Duration::from_secs(90), ..WAITS });
    let mut asking = JoinSet::new();
    for n in 0..3 {
        asking.spawn(Arc::clone(&door).ask(n, format!("p{n}"), 1));
        settled().await;
    }
    let results = asking.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
    assert_eq!((door.times(), door.seconds()), (vec![0, 61], 90), "the third gave up in time");
    let daily = vec![Rule::new(Scope::everything(), Caps::of([(LimitKind::RequestsPerDay, 1)]), Zone::UTC)];
    let door = Door::with(daily, Patience { longest: Duration::from_secs(90), ..WAITS });
    Arc::clone(&door).ask(1, "a".into(), 1).await.expect("there is room");
    let refusal = limit_of(Arc::clone(&door).ask(1, "b".into(), 1).await);
    assert_eq!(door.seconds(), 0, "midnight is hours away");
    assert_eq!(refusal.until().map(|at| at.to_string()).as_deref(), Some("2026-11-23T00:00:00.000000+00:00"));
    let never = Door::with(tokens_per_minute(100), WAITS);
    assert_eq!(limit_of(Arc::clone(&never).ask(1, "a".into(), 5_000).await).until(), None);
    assert_eq!(never.records().len(), 1, "each refusal is one record");
}

#[tokio::test(start_paused = true)]
async fn the_rule_says_who_waits_and_else_the_caller() {
    for (at_limit, by_default, waits) in [
        (None, true, true),
        (None, false, false),
        (Some(AtLimit::Wait), false, true),
        (Some(AtLimit::Refuse), true, false),
        (Some(AtLimit::Fallback(None)), true, false),
    ] {
        let rules = vec![Rule { at_limit: at_limit.clone(), ..per_minute(1).remove(0) }];
        let door = Door::with(rules, Patience { by_default, ..WAITS });
        Arc::clone(&door).ask(1, "a".into(), 1).await.expect("there is room");
        let second = Arc::clone(&door).ask(1, "b".into(), 1).await;
        assert_eq!(second.is_ok(), waits, "{at_limit:?} {by_default}");
        assert_eq!(door.seconds(), if waits { 61 } else { 0 });
    }
}

/// Who, its position, of how many, and the second of the next safe call.
type Told = (u8, usize, usize, u64);

#[tokio::test(start_paused = true)]
async fn everybody_is_told_their_place_and_time_when_it_changes() {
    let door = Door::with(per_minute(1), WAITS);
    Arc::clone(&door).ask(0, "first".into(), 1).await.expect("there is room");
    let told: Arc<Mutex<Vec<Told>>> = Arc::default();
    let mut asking = JoinSet::new();
    for who in 1..4 {
        let (door, told) = (Arc::clone(&door), Arc::clone(&told));
        asking.spawn(async move {
            let note = |place: &tallybot::metering::Place| {
                let until = place.refusal.until().expect("a minute passes");
                let until = (until.unix_micros() - door.began.at.unix_micros()) as u64 / 1_000_000;
                told.lock().expect("nobody panics").push((who, place.position, place.of, until));
            };
            let (mut call, never) = (Door::call(who, 1), std::future::pending());
            let permit = door.metering.open_in_line(&mut call, door.clock.now(), &door.patience, note, never).await;
            permit.expect("it goes at last").finish(answered(1), door.clock.now()).await;
        });
        settled().await;
    }
    asking.join_all().await;
    let told = told.lock().expect("nobody panics").clone();
    let of = |who: u8| told.iter().filter(|told| told.0 == who).map(|told| (told.1, told.3)).collect::<Vec<_>>();
    assert_eq!(of(1), [(1, 61), (1, 61), (1, 61)], "how many stand behind is told too");
    assert_eq!(of(2), [(2, 61), (2, 61), (1, 122), (1, 122)][..of(2).len()]);
    assert_eq!(of(3).first(), Some(&(3, 61)));
    assert_eq!(of(3).last(), Some(&(1, 183)));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_out_of_the_line_and_on_record_and_nothing_is_booked() {
    let door = Door::with(per_minute(1), WAITS);
    Arc::clone(&door).ask(0, "first".into(), 1).await.expect("there is room");
    let mut asking = JoinSet::new();
    let dropped = asking.spawn(Arc::clone(&door).ask(1, "dropped".into(), 1));
    settled().await;
    let stopped = {
        let door = Arc::clone(&door);
        async move {
            let left = async {
                sleep(Duration::from_secs(5)).await;
                ErrorKind::CancelledByUser
            };
            let mut call = Door::call(2, 1);
            door.metering.open_in_line(&mut call, door.clock.now(), &door.patience, |_| {}, left).await.map(drop)
        }
    };
    asking.spawn(stopped);
    settled().await;
    asking.spawn(Arc::clone(&door).ask(3, "last".into(), 1));
    settled().await;
    dropped.abort();
    let mut ends = Vec::new();
    while let Some(end) = asking.join_next().await {
        ends.push(end);
    }
    assert!(ends[0].as_ref().is_err_and(tokio::task::JoinError::is_cancelled));
    assert!(matches!(ends[1], Ok(Err(Refused::Left(ErrorKind::CancelledByUser)))));
    assert_eq!((door.order(), door.times()), (vec!["first".to_owned(), "last".to_owned()], vec![0, 61]));
    let records = door.records();
    let ended: Vec<_> = records.iter().map(|r| (r.status, r.failure.map(|failure| failure.kind))).collect();
    let expected = [
        (Status::Ok, None),
        (Status::Refused, Some(ErrorKind::ClientGone)),
        (Status::Refused, Some(ErrorKind::CancelledByUser)),
        (Status::Ok, None),
    ];
    assert_eq!(ended, expected);
    assert_eq!(door.metering.windows(door.clock.now())[0].used, 1, "of this minute");
}

#[tokio::test(start_paused = true)]
async fn what_was_reserved_and_abandoned_lets_the_next_go() {
    let door = Door::with(tokens_per_minute(10_000), Patience { longest: Duration::from_secs(7_200), ..WAITS });
    std::mem::forget(door.open(0, 8_000).await.expect("there is room"));
    let mut asking = JoinSet::new();
    asking.spawn(Arc::clone(&door).ask(1, "next".into(), 8_000));
    while door.order().is_empty() && door.seconds() < 7_000 {
        sleep(Duration::from_secs(1)).await;
        door.metering.tick(door.clock.now());
    }
    assert_eq!(door.times(), [3_600]);
}

/// Many at once, on threads of their own: whoever ends lets the next one in, and nobody is left standing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_end_of_a_call_is_missed() {
    let door = Door::with(tokens_per_minute(1_000_000), WAITS);
    let mut asking = JoinSet::new();
    for n in 0..400_u64 {
        let door = Arc::clone(&door);
        asking.spawn(async move {
            let permit = door.open((n % 7) as u8, 200_000 + n % 3 * 100_000).await.expect("it goes at last");
            tokio::task::yield_now().await;
            // Nothing was used: all that was reserved is room for others at once.
            permit.finish(answered(0), door.clock.now()).await;
        });
    }
    let all = tokio::time::timeout(Duration::from_secs(60), asking.join_all()).await;
    assert_eq!(all.expect("nobody is left standing").len(), 400);
}

/// An assistant over two providers: `cloud`, whose limits are the rules, and `home`, the demo model.
struct Chat {
    home: TempDir,
    clock: Arc<dyn Clock>,
    answering: Arc<Answering>,
}

impl Chat {
    fn with(rules: Vec<Rule>, cloud: Kind) -> Chat {
        let home = TempDir::new().expect("a temporary folder");
        let clock = RuntimeClock::at("2026-11-22T12:00:00Z");
        let (metering, _) = Metering::start(home.path(), setup(rules, Durability::Kill, &clock)).expect("new books");
        let provider = |name: &str, kind, model: &str| {
            let spec = ProviderSpec {
                local: Some(kind == Kind::Demo),
                ..ProviderSpec::new(name, kind, "http://127.0.0.1:1", model)
            };
            Provider::new(spec, Transport::new())
        };
        let providers = vec![provider("cloud", cloud, "gpt-4o-mini"), provider("home", Kind::Demo, "demo")];
        let answering = in_process::answering(home.path(), metering, providers, &clock);
        let answering = Arc::new(Answering { patience: Patience { by_default: true, ..WAITS }, ..answering });
        Chat { home, clock, answering }
    }

    async fn ask(&self, provider: &str, cancel: CancelToken) -> AnswerOutcome {
        let mut job = in_process::job(Kind::OpenAi, "session", "How are you?");
        job.choice.provider = provider.to_owned();
        self.answering.ask(job, in_process::sink().0, cancel).await
    }

    fn records(&self) -> Vec<UsageRecord<'static>> {
        self.answering.metering.close(self.clock.now()).expect("the books close");
        records_of(self.home.path(), false)
    }
}

/// No call at all to `scope`, for the next day.
fn nothing(scope: Scope, at_limit: AtLimit) -> Rule {
    let caps = Caps::of([(LimitKind::RequestsPerDay, 0)]);
    Rule { at_limit: Some(at_limit), ..Rule::new(scope, caps, Zone::UTC) }
}

fn refused(outcome: &AnswerOutcome) -> Option<String> {
    match &outcome.result {
        Err(Problem::Refused(limit)) => limit.scope.clone(),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_waited_is_answered_and_recorded_from_the_moment_it_went() {
    let chat = Chat::with(per_minute(1), Kind::Demo);
    for _ in 0..2 {
        assert_eq!(chat.ask("cloud", CancelToken::new()).await.result, Ok(()));
    }
    let records = chat.records();
    let times: Vec<_> = records.iter().map(|record| record.timestamp.to_string()[11..19].to_owned()).collect();
    assert_eq!(times, ["12:00:00", "12:01:01"]);
    assert!(records.iter().all(|record| record.latency_ms == Some(0) && record.attempt == 1), "{records:?}");
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_is_told_so_and_the_next_one_goes() {
    let chat = Chat::with(per_minute(1), Kind::Demo);
    chat.ask("cloud", CancelToken::new()).await;
    let cancel = CancelToken::new();
    let (stopped, next, ()) =
        tokio::join!(chat.ask("cloud", cancel.clone()), chat.ask("cloud", CancelToken::new()), async {
            sleep(Duration::from_secs(9)).await;
            cancel.cancel(CancelReason::Person);
        });
    let cancelled = Problem::Failed { kind: ErrorKind::CancelledByUser, http_status: None, retry_in_seconds: None };
    assert_eq!((stopped.result, next.result), (Err(cancelled), Ok(())));
    let ended: Vec<_> = chat.records().iter().map(|record| record.status).collect();
    assert_eq!(ended, [Status::Ok, Status::Refused, Status::Ok]);
}

#[tokio::test(start_paused = true)]
async fn at_a_limit_of_the_cloud_the_model_at_home_answers_and_says_so() {
    for name in [None, Some("home".into())] {
        let chat = Chat::with(vec![nothing(Scope::provider("cloud"), AtLimit::Fallback(name))], Kind::OpenAi);
        let outcome = chat.ask("cloud", CancelToken::new()).await;
        assert_eq!(outcome.result, Ok(()));
        assert_eq!(
            outcome.receipt.map(|receipt| (receipt.choice.provider, receipt.choice.local)),
            Some(("home".into(), true))
        );
        assert_eq!(outcome.instead.and_then(|instead| instead.limited).as_deref(), Some("cloud"));
        let records = chat.records();
        let told: Vec<_> = records.iter().map(|r| (r.provider.to_string(), r.status, r.attempt, r.call)).collect();
        let first = records[0].id;
        assert_eq!(
            told,
            [("cloud".to_owned(), Status::Refused, 1, None), ("home".to_owned(), Status::Ok, 1, Some(first)),]
        );
        let picture = chat.answering.metering.picture();
        assert_eq!(picture.select(Period::All, Day::default()).total(|_| true).messages, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn where_home_says_no_as_well_the_first_refusal_is_told_and_nobody_goes_in_circles() {
    let rules = vec![
        nothing(Scope::provider("cloud"), AtLimit::Fallback(None)),
        nothing(Scope::provider("home"), AtLimit::Fallback(Some("cloud".into()))),
    ];
    let chat = Chat::with(rules, Kind::OpenAi);
    let outcome = chat.ask("cloud", CancelToken::new()).await;
    assert_eq!(refused(&outcome).as_deref(), Some("provider:cloud"));
    let tried: Vec<_> = chat.records().iter().map(|record| (record.provider.to_string(), record.attempt)).collect();
    assert_eq!(tried, [("cloud".to_owned(), 1), ("home".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn from_home_nothing_goes_to_the_cloud_by_itself() {
    for at_limit in [AtLimit::Fallback(None), AtLimit::Fallback(Some("nowhere".into())), AtLimit::Refuse] {
        let chat = Chat::with(vec![nothing(Scope::provider("home"), at_limit)], Kind::OpenAi);
        let outcome = chat.ask("home", CancelToken::new()).await;
        assert_eq!(refused(&outcome).as_deref(), Some("provider:home"));
        assert_eq!((chat.records().len(), outcome.instead), (1, None));
    }
}
