//! Limits on the one path: sixty-four callers against fifteen a minute, days in the provider's own zone, restarts.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tallybot::conversation::driver::Assistant;
use tallybot::conversation::{AnswerOutcome, CancelToken, LimitView, Problem};
use tallybot::limits::{Caps, LimitKind, Rule, Scope};
use tallybot::models::{Kind, Timeouts};
use tallybot::stats::Period;
use tallybot::usage::{Clock, ErrorKind, Failure, Status, Timestamp, UsageRecord, UsageSource, Zone};
use tempfile::TempDir;

use crate::in_process::{Bench, VirtualClock, job, real_clock, sink};
use crate::providers::{ScriptedProvider, ollama, openai};
use crate::test_app::{TestApp, chat, data_of, records_of};

const CALLERS: usize = 64;
const PER_MINUTE: usize = 15;

fn provider_rule(caps: Caps, zone: Zone) -> Rule {
    Rule::new(Scope::provider("cloud"), caps, zone)
}

fn fifteen_a_minute() -> Vec<Rule> {
    let caps = Caps::of([(LimitKind::RequestsPerMinute, PER_MINUTE as u64)]);
    vec![provider_rule(caps, Zone::UTC)]
}

fn a_day(requests: u64, zone: Zone) -> Vec<Rule> {
    vec![provider_rule(Caps::of([(LimitKind::RequestsPerDay, requests)]), zone)]
}

async fn polite_cloud() -> ScriptedProvider {
    ScriptedProvider::always(openai::chat(&["Yes."], 20, 2)).await
}

/// So many people ask at once.
async fn ask_at_once(bench: &Bench, callers: usize) -> Vec<AnswerOutcome> {
    let ask = async |caller: usize| {
        let job = job(bench.kind, &format!("session-{caller}"), "?");
        bench.answering.ask(job, sink().0, CancelToken::new()).await
    };
    join_all((0..callers).map(ask)).await
}

/// The refusals among some outcomes; every other one was answered.
fn refusals(outcomes: &[AnswerOutcome]) -> Vec<&LimitView> {
    let refusals = outcomes.iter().filter_map(|outcome| match &outcome.result {
        Ok(()) => None,
        Err(Problem::Refused(limit)) => Some(limit),
        Err(other) => panic!("neither answered nor refused: {other:?}"),
    });
    refusals.collect()
}

fn count_of(records: &[UsageRecord<'_>], status: Status) -> u64 {
    records.iter().filter(|record| record.status == status).map(|record| record.count).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixty_four_at_once_exactly_fifteen_reach_the_provider() {
    let server = polite_cloud().await;
    let bench = Bench::with(Kind::OpenAi, &server.url(), Timeouts::default(), fifteen_a_minute(), real_clock());
    let bench = Arc::new(bench);
    let began = bench.clock.now().at;
    let mut asking = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let bench = Arc::clone(&bench);
        let job = job(Kind::OpenAi, &format!("session-{caller}"), "?");
        asking.spawn(async move { bench.answering.ask(job, sink().0, CancelToken::new()).await });
    }
    let outcomes = asking.join_all().await;

    assert_eq!(server.hits().len(), PER_MINUTE);
    let refused = refusals(&outcomes);
    assert_eq!(refused.len(), CALLERS - PER_MINUTE);
    for limit in refused {
        assert_eq!((limit.limit.as_str(), limit.used, limit.max), ("requests_per_minute", 15, 15));
        let until = limit.resets_at.expect("a minute passes");
        let (least, most) = (began.plus_micros(59_000_000), bench.clock.now().at.plus_micros(61_000_000));
        assert!(least < until && until <= most, "{until} is not a minute after {began}");
        assert!(!limit.never_fits);
    }

    let metering = &bench.answering.metering;
    metering.close(bench.clock.now()).expect("the books close");
    let records = bench.records();
    assert_eq!(count_of(&records, Status::Ok), PER_MINUTE as u64);
    assert_eq!(count_of(&records, Status::Refused), (CALLERS - PER_MINUTE) as u64);
    for record in records.iter().filter(|record| record.status == Status::Refused) {
        assert_eq!(record.failure, Some(Failure::of(ErrorKind::Limit)));
        assert_eq!((record.tokens.total(), record.usage_source), (0, UsageSource::None));
    }
    let picture = metering.picture();
    let today = bench.clock.now().at.day();
    let shown = |status: Status| picture.select(Period::All, today).total(|key| key.status == status).records;
    assert_eq!((shown(Status::Ok), shown(Status::Refused)), (15, 49));
    let windows = metering.windows(bench.clock.now());
    assert_eq!((windows[0].used, windows[0].max, windows[0].provider()), (15, 15, Some("cloud")));
}

#[tokio::test]
async fn over_minutes_no_sixty_seconds_hold_more_than_fifteen() {
    let clock = VirtualClock::at("2026-11-22T12:00:00Z");
    let arrivals: Arc<Mutex<Vec<u64>>> = Arc::default();
    let (hands, noted) = (Arc::clone(&clock), Arc::clone(&arrivals));
    let server = ScriptedProvider::start(move |_| {
        noted.lock().expect("nobody panics while holding it").push(hands.now().tick.0);
        openai::chat(&["Yes."], 20, 2)
    })
    .await;
    let virtual_clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let bench = Bench::with(Kind::OpenAi, &server.url(), Timeouts::default(), fifteen_a_minute(), virtual_clock);
    let (mut asked, mut refused, mut chance) = (0, 0, 7u64);
    let minutes = 4;
    let end = clock.now().tick.0 + minutes * 60_000_000;
    while clock.now().tick.0 < end {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let callers = (chance >> 60) as usize % 6;
        let outcomes = ask_at_once(&bench, callers).await;
        asked += callers;
        refused += refusals(&outcomes).len();
        clock.advance(Duration::from_millis(200 + (chance >> 33) % 3000));
    }
    let arrivals = arrivals.lock().expect("nobody panics while holding it").clone();
    assert_eq!(arrivals.len() + refused, asked);
    for (first, sixteenth) in arrivals.iter().zip(&arrivals[PER_MINUTE..]) {
        assert!(sixteenth - first >= 60_000_000, "sixteen within {} µs", sixteenth - first);
    }
    assert!(arrivals.len() >= (minutes as usize - 1) * PER_MINUTE, "what is allowed can be used: {}", arrivals.len());
    bench.answering.metering.close(clock.now()).expect("the books close");
    assert_eq!(count_of(&bench.records(), Status::Refused), refused as u64);
}

#[tokio::test]
async fn the_next_safe_call_is_safe_then_and_not_a_millisecond_before() {
    let clock = VirtualClock::at("2026-11-22T12:00:00.250Z");
    let server = polite_cloud().await;
    let virtual_clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let bench = Bench::with(Kind::OpenAi, &server.url(), Timeouts::default(), fifteen_a_minute(), virtual_clock);
    let outcomes = ask_at_once(&bench, PER_MINUTE + 1).await;
    let until = refusals(&outcomes)[0].resets_at.expect("a minute passes");
    clock.go_to(until.plus_micros(-1000));
    assert_eq!(refusals(&ask_at_once(&bench, 1).await).len(), 1);
    clock.go_to(until);
    assert_eq!(refusals(&ask_at_once(&bench, 1).await).len(), 0);
}

#[tokio::test]
async fn a_day_begins_in_the_providers_zone() {
    let clock = VirtualClock::at("2026-11-21T23:59:50Z");
    let server = polite_cloud().await;
    let virtual_clock: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let rules = a_day(3, Zone::named("America/Mexico_City").expect("a zone"));
    let bench = Bench::with(Kind::OpenAi, &server.url(), Timeouts::default(), rules, virtual_clock);
    let midnight = Timestamp::parse("2026-11-22T06:00:00Z").expect("a time");
    let outcomes = ask_at_once(&bench, 4).await;
    assert_eq!(refusals(&outcomes).iter().map(|limit| limit.resets_at).collect::<Vec<_>>(), [Some(midnight)]);
    // The owner's own midnight (UTC) changes nothing.
    clock.advance(Duration::from_secs(60));
    let outcomes = ask_at_once(&bench, 1).await;
    assert_eq!((refusals(&outcomes)[0].limit.as_str(), refusals(&outcomes)[0].used), ("requests_per_day", 3));
    clock.go_to(midnight.plus_micros(-1));
    assert_eq!(refusals(&ask_at_once(&bench, 1).await).len(), 1);
    clock.go_to(midnight);
    assert_eq!(refusals(&ask_at_once(&bench, 4).await).len(), 1, "a new day, three new calls");
    assert_eq!(server.hits().len(), 6);
    let window = &bench.answering.metering.windows(clock.now())[0];
    let next = Timestamp::parse("2026-11-23T06:00:00Z").expect("a time");
    assert_eq!((window.used, window.max, window.resets_at), (3, 3, Some(next)));
}

/// A zone in which it is about noon, so that no day ends while a test runs.
fn zone_at_noon() -> String {
    let hour = i32::from(real_clock().now().at.hour());
    match 12 - hour {
        // The signs of these zones are those of POSIX.
        east if east > 0 => format!("Etc/GMT-{east}"),
        west => format!("Etc/GMT+{}", -west),
    }
}

fn limit<'a>(stats: &'a Value, name: &str) -> &'a Value {
    let limits = stats["limits"].as_array().expect("a list");
    limits.iter().find(|limit| limit["limit"] == name).unwrap_or_else(|| panic!("no {name} in {limits:?}"))
}

fn assert_the_day_is_counted(home: &Path, config: &str, used: u64) -> Value {
    let app = TestApp::start(home, config);
    let stats = app.get("/stats").json();
    let day = limit(&stats, "requests_per_day");
    assert_eq!(
        (day["provider"].as_str(), day["used"].as_u64(), day["max"].as_u64()),
        (Some("local"), Some(used), Some(150))
    );
    assert_eq!(day["percent"].as_f64(), Some(2.0));
    assert_eq!(day["reserved"].as_u64(), Some(0));
    let resets_at = Timestamp::parse(day["resets_at"].as_str().expect("a day ends")).expect("a time");
    let wait = resets_at.unix_micros() - real_clock().now().at.unix_micros();
    assert!((10 * 3_600_000_000..14 * 3_600_000_000).contains(&wait), "it is about noon: {wait} µs to midnight");
    assert!(app.stop().success());
    stats
}

#[tokio::test(flavor = "multi_thread")]
async fn j4_the_binary_shows_its_windows_and_counts_a_day_on_after_every_start() {
    let server = ScriptedProvider::start(ollama::polite(&["llama3.2"], ollama::chat(&["Yes."], 20, 2))).await;
    let home = TempDir::new().expect("a temporary folder");
    let config = format!(
        "timezone = \"UTC\"\n[[providers]]\nname = \"local\"\nkind = \"ollama\"\nurl = \"{}\"\nmodel = \"llama3.2\"\n\
         limits = {{ requests_per_minute = 15, requests_per_day = 150, tokens_per_day = 10000, day_timezone = \"{}\" }}\n",
        server.url(),
        zone_at_noon()
    );
    let said = chat(home.path(), &config, "one\ntwo\nthree\n");
    assert_eq!(said.matches("Yes.").count(), 3, "{said}");
    let data = data_of(home.path());
    assert_eq!(count_of(&records_of(&data, false), Status::Ok), 3);

    let stats = assert_the_day_is_counted(home.path(), &config, 3);
    let tokens = limit(&stats, "tokens_per_day");
    assert_eq!((tokens["used"].as_u64(), tokens["percent"].as_f64()), (Some(66), Some(0.7)));
    assert_eq!(limit(&stats, "requests_per_minute")["max"].as_u64(), Some(15));

    std::fs::remove_file(data.join("metrics.json")).expect("the end of a run leaves a snapshot");
    assert!(!data.join("metrics.previous.json").exists(), "nothing changed since");
    let again = assert_the_day_is_counted(home.path(), &config, 3);
    assert_eq!(stats["requests"], again["requests"]);
    assert_eq!(limit(&again, "tokens_per_day")["used"], tokens["used"]);
}
