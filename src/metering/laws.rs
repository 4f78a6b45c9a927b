//! Law 1 at the door: whatever becomes of a permit, it is one record, in the books and at the gate.

use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::*;
use crate::ledger::Follower as _;
use crate::limits::{Caps, LimitKind, Rule, Scope};
use crate::stats::Period;
use crate::usage::{Day, Estimated, Given, Tick, TokenCounts, Zone};

const START: i64 = 1_795_305_600_000_000;

/// A clock that moves a millisecond with every look.
#[derive(Default)]
pub(super) struct Moving(AtomicU64);

impl Clock for Moving {
    fn now(&self) -> Now {
        let millis = self.0.fetch_add(1, Ordering::Relaxed);
        Now { at: Timestamp::new(START + millis as i64 * 1000, 0), tick: Tick(millis * 1000) }
    }
}

fn chance() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    bytes
}

pub(super) fn rule(requests_per_day: u64) -> Rule {
    let caps = Caps::of([(LimitKind::RequestsPerDay, requests_per_day)]);
    Rule::new(Scope::everything(), caps, Zone::UTC)
}

pub(super) fn start(folder: &Path, durability: Durability, clock: &Arc<dyn Clock>) -> (Metering, Found) {
    start_with(folder, durability, clock, vec![rule(1_000_000)])
}

pub(super) fn start_with(
    folder: &Path,
    durability: Durability,
    clock: &Arc<dyn Clock>,
    rules: Vec<Rule>,
) -> (Metering, Found) {
    let setup = Setup {
        durability,
        known: KnownNames::none(),
        rules: rules.into(),
        providers: vec!["cloud".into()],
        prices: PriceBook::bundled(),
        vendors: HashMap::new(),
        clock: Arc::clone(clock),
        random: chance,
    };
    Metering::start(folder, setup).expect("the folder opens")
}

pub(super) fn call() -> Call {
    Call { prompt_tokens: 10, ..Call::new("cloud", "openai", "gpt-4o", "terminal") }
}

pub(super) fn answered() -> Outcome {
    Outcome {
        status: Status::Ok,
        failure: None,
        tokens: TokenCounts { prompt: 5, completion: 7, ..TokenCounts::default() },
        usage_source: UsageSource::Reported,
        ..Outcome::failed(Status::Ok, Failure::of(ErrorKind::Other))
    }
}

/// The folder as a process that is killed now leaves it.
pub(super) fn killed(folder: &Path) -> TempDir {
    let left = TempDir::new().expect("a temporary folder");
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("it has a name");
        if path.is_file() {
            std::fs::copy(&path, left.path().join(name)).expect("copied");
        }
    }
    left
}

fn by_status(metering: &Metering) -> Vec<(Status, i64)> {
    let picture = metering.picture();
    let selection = picture.select(Period::All, Day::default());
    selection.group_by(|key| key.status).into_iter().map(|(status, sums)| (status, sums.records)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_end_of_a_permit_is_one_record() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Power, &clock);
    let open = || async { metering.open(call(), clock.now()).await.expect("admitted") };
    assert!(open().await.finish(answered(), clock.now()).await.acknowledged);
    drop(open().await);
    drop(open().await.finish(answered(), clock.now())); // never polled
    let permit = open().await;
    let panicked = tokio::task::JoinSet::from_iter([async move {
        let _permit = permit;
        panic!("in the middle of an answer");
    }]);
    assert_eq!(panicked.join_all_results().await, 1);
    let permit = open().await;
    let mut aborted = tokio::task::JoinSet::new();
    aborted.spawn(async move {
        let _permit = permit;
        std::future::pending::<()>().await;
    });
    tokio::task::yield_now().await;
    aborted.shutdown().await;
    // Dropped while it waits for the disk.
    let finishing = open().await.finish(answered(), clock.now());
    let _ = tokio::time::timeout(std::time::Duration::ZERO, finishing).await;
    let expected = [(Status::Ok, 2), (Status::Error, 1), (Status::Cancelled, 3)];
    let mut found = by_status(&metering);
    found.sort_by_key(|(status, _)| *status as u8);
    let mut expected = expected.to_vec();
    expected.sort_by_key(|(status, _)| *status as u8);
    assert_eq!(found, expected);
    assert_eq!(metering.windows(clock.now())[0].used, 6);
    metering.close(clock.now()).expect("closed");
    drop(metering);
    let (metering, found_again) = start(folder.path(), Durability::Power, &clock);
    assert_eq!((found_again.interrupted, by_status(&metering).iter().map(|(_, n)| n).sum::<i64>()), (0, 6));
    assert_eq!(metering.windows(clock.now())[0].used, 6);
}

trait JoinAll {
    async fn join_all_results(self) -> usize;
}

impl<T: 'static> JoinAll for tokio::task::JoinSet<T> {
    async fn join_all_results(mut self) -> usize {
        let mut panics = 0;
        while let Some(joined) = self.join_next().await {
            panics += usize::from(joined.is_err_and(|error| error.is_panic()));
        }
        panics
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_and_the_journal_never_wait_for_each_other() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let (metering, clock) = (metering.clone(), Arc::clone(&clock));
        tasks.spawn(async move {
            for round in 0..200 {
                let mut permit = metering.open(call(), clock.now()).await.expect("admitted");
                permit.saw_output(5000);
                permit.finish(answered(), clock.now()).await;
                match (task + round) % 5 {
                    0 => metering.snapshot(clock.now()).expect("written"),
                    1 => drop(metering.windows(clock.now())),
                    2 => metering.tick(clock.now()),
                    _ => {}
                }
            }
        });
    }
    let all = tokio::time::timeout(std::time::Duration::from_secs(60), tasks.join_all()).await;
    assert!(all.is_ok(), "nobody waits for ever");
    assert_eq!(metering.windows(clock.now())[0].used, 1600);
    assert_eq!(by_status(&metering), [(Status::Ok, 1600)]);
}

#[tokio::test]
async fn a_call_left_open_by_a_crash_is_recorded_once_at_the_next_start() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    std::mem::forget(metering.open(call(), clock.now()).await.expect("admitted"));
    let copy = killed(folder.path());
    for interrupted in [1, 0] {
        let (metering, found) = start(copy.path(), Durability::Kill, &clock);
        assert_eq!(found.interrupted, interrupted);
        assert_eq!(by_status(&metering), [(Status::Interrupted, 1)]);
        assert_eq!(metering.windows(clock.now())[0].used, 1);
        metering.close(clock.now()).expect("closed");
    }
}

#[tokio::test]
async fn d2_a_call_left_open_under_a_clock_that_was_ahead_is_of_the_day_it_is_found_on() {
    let folder = TempDir::new().expect("a temporary folder");
    let ahead: Arc<dyn Clock> = Arc::new(Moving(AtomicU64::new(5 * 86_400_000)));
    let (metering, _) = start(folder.path(), Durability::Kill, &ahead);
    std::mem::forget(metering.open(call(), ahead.now()).await.expect("admitted"));
    let copy = killed(folder.path());
    let right: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, found) = start(copy.path(), Durability::Kill, &right);
    assert_eq!(found.interrupted, 1);
    let today = right.now().at.day();
    assert_eq!(metering.picture().select(Period::Today, today).total(|_| true).records, 1);
    metering.reset().expect("reset");
    metering.open(call(), right.now()).await.expect("admitted").finish(answered(), right.now()).await;
    assert_eq!(
        metering.picture().select(Period::All, today).total(|_| true).records,
        1,
        "what follows a reset is shown"
    );
}

#[tokio::test]
async fn what_is_noted_twice_is_there_once() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Power, &clock);
    let at = clock.now().at;
    let mut record = UsageRecord::new(metering.new_id(at), at, "cloud".into(), "gpt-4o".into());
    record.source = Some(Given { name: "script".into(), id: "17".into() });
    let noted = metering.note(vec![record.clone(), record.clone()]).await;
    assert!(matches!(noted[..], [Ok(Noted::Accepted), Ok(Noted::Duplicate)]));
    assert!(matches!(metering.note(vec![record]).await[..], [Ok(Noted::Duplicate)]));
    assert_eq!(by_status(&metering).iter().map(|(_, n)| n).sum::<i64>(), 1);
}

#[tokio::test]
async fn c2_what_the_disk_does_not_confirm_in_time_is_not_told_to_be_unwritten() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (books, away) = (folder.path().join("books"), folder.path().join("away"));
    let (metering, _) = start(&books, Durability::Power, &clock);
    let record = || {
        let at = clock.now().at;
        UsageRecord::new(metering.new_id(at), at, "cloud".into(), "gpt-4o".into())
    };
    assert!(matches!(metering.note(vec![record()]).await[..], [Ok(Noted::Accepted)]));
    // The open file goes on taking lines, and its sync finds that they would be lost.
    std::fs::rename(&books, &away).expect("moved");
    tokio::time::pause();
    assert!(matches!(metering.note(vec![record()]).await[..], [Err(LedgerError::Unconfirmed)]));
    assert_eq!(by_status(&metering), [(Status::Ok, 2)], "and it counts");
    std::fs::rename(&away, &books).expect("moved back");
    metering.close(clock.now()).expect("closed");
    drop(metering);
    assert_eq!(by_status(&start(&books, Durability::Power, &clock).0), [(Status::Ok, 2)], "for good");
}

#[tokio::test]
async fn refusals_are_all_counted_at_the_latest_at_the_end() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    *metering.gate() = Gate::new(vec![rule(1)], Vec::<String>::new());
    for n in 0..50 {
        let opened = metering.open(call(), clock.now()).await;
        assert_eq!(opened.is_ok(), n == 0);
        std::mem::forget(opened);
    }
    metering.close(clock.now()).expect("closed");
    assert_eq!(by_status(&metering), [(Status::Refused, 49)]);
}

#[tokio::test]
async fn a_call_is_linked_only_to_a_refusal_that_has_a_line() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    *metering.gate() = Gate::new(vec![rule(0)], Vec::<String>::new());
    let mut links = Vec::new();
    for _ in 0..3 {
        let mut call = call();
        let patience = Patience::default();
        let opened = metering.open_in_line(&mut call, clock.now(), &patience, |_| {}, std::future::pending()).await;
        assert!(matches!(opened, Err(Refused::Limit(_))));
        links.push((call.call, call.attempt));
    }
    metering.close(clock.now()).expect("closed");
    let ids: Vec<RecordId> = links.iter().filter_map(|(id, _)| *id).collect();
    let files = std::fs::read_dir(folder.path()).expect("readable").map(|file| file.expect("a file").path());
    let journal = files.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let lines: String = journal.map(|path| std::fs::read_to_string(path).expect("text")).collect();
    assert_eq!((ids.len(), &links[1..]), (1, &[(None, 1), (None, 1)][..]), "{links:?}");
    assert!(lines.contains(&ids[0].to_string()), "{lines}");
}

#[tokio::test]
async fn e5_an_answer_whose_use_is_unknown_is_not_free_and_a_failure_without_use_is() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    let end = async |status| {
        let permit = metering.open(call(), clock.now()).await.expect("admitted");
        let outcome = Outcome { failure: None, ..Outcome::failed(status, Failure::of(ErrorKind::Other)) };
        permit.finish(outcome, clock.now()).await.cost
    };
    assert_eq!(end(Status::Ok).await, None);
    assert_eq!(end(Status::Error).await, Some(crate::usage::Money::ZERO));
}

#[tokio::test]
async fn an_output_cap_is_lowered_to_what_a_token_limit_has_left_before_a_call_is_refused() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    let caps = Caps::of([(LimitKind::TokensPerDay, 3_000)]);
    let rule = Rule::new(Scope::everything(), caps, Zone::UTC);
    *metering.gate() = Gate::new(vec![rule], Vec::<String>::new());
    let ask = async |prompt_tokens| {
        let output_cap = Some(OutputCap { asked: Some(4_096), granted: Some(4_096) });
        let permit = metering.open(Call { prompt_tokens, output_cap, ..call() }, clock.now()).await?;
        let granted = permit.call().output_cap.and_then(|cap| cap.granted);
        let tokens = TokenCounts { prompt: prompt_tokens, completion: 900, ..TokenCounts::default() };
        let failure = Failure::of(ErrorKind::Other);
        let outcome = Outcome {
            tokens,
            failure: None,
            usage_source: UsageSource::Reported,
            ..Outcome::failed(Status::Ok, failure)
        };
        permit.finish(outcome, clock.now()).await;
        Ok::<_, Refused>(granted)
    };
    assert_eq!(ask(100).await, Ok(Some(2_900)));
    assert_eq!(ask(100).await, Ok(Some(1_900)));
    assert_eq!(ask(100).await, Ok(Some(900)));
    let Err(Refused::Limit(refusal)) = ask(100).await else { panic!("nothing is left") };
    assert!(refusal.until().is_some(), "tomorrow there is room for a short answer");
    let Err(Refused::Limit(refusal)) = ask(2_900).await else { panic!("the prompt alone is too much") };
    assert!(refusal.until().is_none());
}

/// A call whose prompt was estimated at 1,000 and reported as 1,500; its output at 800 and 400.
async fn counted_otherwise(metering: &Metering, clock: &Arc<dyn Clock>) {
    let mut permit = metering.open(Call { prompt_tokens: 1_000, ..call() }, clock.now()).await.expect("admitted");
    permit.saw_output(800);
    let tokens = TokenCounts { prompt: 1_500, completion: 400, ..TokenCounts::default() };
    permit.finish(Outcome { tokens, ..answered() }, clock.now()).await;
}

#[tokio::test]
async fn estimates_are_calibrated_at_the_door_and_stay_so_after_a_restart() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    let sized = async |metering: &Metering, request_type: &'static str| {
        let call = Call { prompt_tokens: 1_000, request_type: request_type.into(), ..call() };
        let permit = metering.open(call, clock.now()).await.expect("admitted");
        (permit.call().prompt_tokens, permit.calibrated_output(1_000))
    };
    for expected in [(1_000, 1_000), (1_000, 1_000), (1_500, 1_000)] {
        assert_eq!(sized(&metering, "chat").await, expected);
        counted_otherwise(&metering, &clock).await;
    }
    assert_eq!(sized(&metering, "chat").await, (1_500, 500), "the raw estimates were folded, not 1,500 for 1,500");
    assert_eq!(sized(&metering, "vision").await, (1_000, 500));
    metering.close(clock.now()).expect("closed");
    drop(metering);
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    assert_eq!(sized(&metering, "chat").await, (1_500, 500));
    metering.close(clock.now()).expect("closed");
    drop(metering);
    std::fs::remove_file(folder.path().join("metrics.json")).expect("the snapshot");
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    assert_eq!(sized(&metering, "chat").await, (1_500, 500), "recent days are replayed");
    let checked =
        checking::verify(folder.path(), &vec![rule(1_000_000)].into(), clock.now().at, &mut |_| {}).expect("readable");
    assert!(checked.findings.is_empty(), "{:?}", checked.findings);
}

#[tokio::test]
async fn what_is_reserved_and_what_nobody_reported_are_calibrated() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    for _ in 0..3 {
        counted_otherwise(&metering, &clock).await;
    }
    let mut permit = metering.open(Call { prompt_tokens: 200, ..call() }, clock.now()).await.expect("admitted");
    permit.saw_output(100);
    let before = metering.picture().select(Period::All, Day::default()).total(|_| true);
    drop(permit);
    let sums = metering.picture().select(Period::All, Day::default()).total(|_| true);
    assert_eq!((sums.prompt - before.prompt, sums.completion - before.completion), (300, 50));
    let caps = Caps::of([(LimitKind::TokensPerDay, 2_000)]);
    let rule = Rule::new(Scope::everything(), caps, Zone::UTC);
    *metering.gate() = Gate::new(vec![rule], Vec::<String>::new());
    let fits = async |prompt_tokens| {
        let cap = Some(OutputCap { asked: None, granted: Some(200) });
        metering.open(Call { prompt_tokens, output_cap: cap, ..call() }, clock.now()).await.is_ok()
    };
    assert!(!fits(1_201).await, "1,802 and 200 are more than 2,000");
    assert!(fits(1_200).await);
}

#[test]
fn a_state_from_before_calibration_is_restored_and_a_spoilt_one_is_not() {
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let follower = || GateFollower::new(vec![rule(10)].into(), Vec::new(), Arc::clone(&clock)).1;
    let at = clock.now().at;
    let mut record = UsageRecord::new(RecordId::new(at, [1; 10]), at, "cloud".into(), "m".into());
    record.tokens = TokenCounts { prompt: 6_000, ..TokenCounts::default() };
    let mut old = follower();
    old.apply(&record);
    let before_calibration = old.save();
    assert!(before_calibration.get("calibration").is_none());
    record.estimated = Some(Estimated { prompt: 3_000, output: 0 });
    let mut new = follower();
    new.apply(&record);
    let saved = new.save();
    let restored = |saved: &serde_json::Value| {
        let mut follower = follower();
        let is_restored = follower.restore(saved);
        let factors = follower.calibration().lock().expect("a lock").factors("m");
        (is_restored, factors.prompt(1_000))
    };
    assert_eq!(restored(&before_calibration), (true, 1_000));
    assert_eq!(restored(&saved), (true, 2_000));
    assert_eq!(new.compare(&saved).differences, Vec::<String>::new());
    assert_eq!(new.compare(&before_calibration).differences, Vec::<String>::new());
    let mut other = saved.clone();
    other["calibration"]["m"][at.day().to_string()]["prompt"] = serde_json::json!([3_000, 9_000]);
    assert_eq!(new.compare(&other).differences.len(), 1);
    other["calibration"] = serde_json::json!([]);
    assert_eq!(restored(&other), (false, 1_000));
}
