//! Three days of virtual time, two hundred callers who never tire, and a day of twenty-five hours among the three: no true
//! window ever holds more than its cap, and what is allowed can be used.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use tallybot::ledger::Durability;
use tallybot::limits::{Caps, LimitKind, Rule, Scope};
use tallybot::metering::{Call, Metering, Outcome, Permit, Refused};
use tallybot::usage::{
    Clock, Day, ErrorKind, Failure, Money, OutputCap, Status, Timestamp, TokenCounts, UsageSource, Zone,
};
use tempfile::TempDir;

use crate::in_process::{VirtualClock, setup};

const CALLERS: usize = 200;
const BEGIN: &str = "2026-10-31T15:00:00-07:00";
fn zone() -> Zone {
    Zone::named("America/Los_Angeles").expect("a zone")
}
const THREE_DAYS_SECS: u64 = 3 * 86_400;
const SECOND: u64 = 1_000_000;
const PICOS: u64 = 1_000_000_000_000;

/// One call that was admitted.
struct Made {
    admitted: u64,
    /// When it was settled, and what it used; `None` for one that nobody ended.
    settled: Option<(u64, u64, Money)>,
}

/// What happens next to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Asks,
    Ends,
}

/// What is to be simulated.
struct Plan {
    caps: Vec<(LimitKind, u64)>,
    prompt: u64,
    output: u64,
    /// The longest call, in milliseconds.
    longest_ms: u64,
    /// One in so many calls is abandoned; 0 for none.
    abandoned: u64,
}

struct Run {
    clock: Arc<VirtualClock>,
    metering: Metering,
    plan: Plan,
    chance: u64,
    calls: Vec<Made>,
    running: BTreeMap<usize, (Permit, usize)>,
    _folder: TempDir,
}

impl Run {
    fn new(plan: Plan) -> Run {
        let (folder, clock) = (TempDir::new().expect("a temporary folder"), VirtualClock::at(BEGIN));
        let rule = Rule::new(Scope::provider("cloud"), Caps::of(plan.caps.iter().copied()), zone());
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let setup = setup(vec![rule], Durability::Kill, &shared);
        let (metering, _) = Metering::start(folder.path(), setup).expect("the folder opens");
        Run { clock, metering, plan, chance: 7, calls: Vec::new(), running: BTreeMap::new(), _folder: folder }
    }

    /// A number below `bound`, the same in each run.
    fn below(&mut self, bound: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % bound.max(1)
    }

    fn micros(&self) -> u64 {
        self.clock.now().tick.0 - 1_000 * SECOND
    }

    /// Everybody asks, waits for the answer or for the next safe call, and asks again, for three days.
    async fn through_three_days(&mut self) {
        let mut queue = BinaryHeap::new();
        for caller in 0..CALLERS {
            queue.push(Reverse((self.below(60 * SECOND), caller, Next::Asks)));
        }
        let mut ticked = 0;
        while let Some(Reverse((at, caller, next))) = queue.pop() {
            if at >= THREE_DAYS_SECS * SECOND {
                break;
            }
            self.clock.advance(Duration::from_micros(at.saturating_sub(self.micros())));
            if self.micros() > ticked + 600 * SECOND {
                ticked = self.micros();
                self.metering.tick(self.clock.now());
            }
            let (after, next) = match next {
                Next::Asks => self.asks(caller).await,
                Next::Ends => self.ends(caller).await,
            };
            queue.push(Reverse((self.micros() + after, caller, next)));
        }
        for caller in 0..CALLERS {
            self.ends(caller).await;
        }
    }

    async fn asks(&mut self, caller: usize) -> (u64, Next) {
        let output_cap = Some(OutputCap { asked: Some(self.plan.output), granted: Some(self.plan.output) });
        let call =
            Call { prompt_tokens: self.plan.prompt, output_cap, ..Call::new("cloud", "openai", "gpt-4o", "api") };
        match self.metering.open(call, self.clock.now()).await {
            Ok(permit) => {
                self.calls.push(Made { admitted: self.micros(), settled: None });
                if self.plan.abandoned > 0 && self.below(self.plan.abandoned) == 0 {
                    std::mem::forget(permit); // as a task that hangs for ever
                    return (self.below(600 * SECOND), Next::Asks);
                }
                self.running.insert(caller, (permit, self.calls.len() - 1));
                (1 + self.below(self.plan.longest_ms * 1000), Next::Ends)
            }
            Err(Refused::Limit(refusal)) => {
                let until = refusal.wait_ms().expect("each fits once there is room") * 1000;
                (until + self.below(600 * SECOND), Next::Asks)
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// Its output is as long as it may be.
    async fn ends(&mut self, caller: usize) -> (u64, Next) {
        let Some((permit, number)) = self.running.remove(&caller) else { return (0, Next::Asks) };
        let completion = permit.call().output_cap.and_then(|cap| cap.granted).expect("a cap was granted");
        let tokens = TokenCounts { prompt: self.plan.prompt, completion, ..TokenCounts::default() };
        let outcome = Outcome {
            failure: None,
            tokens,
            usage_source: UsageSource::Reported,
            ..Outcome::failed(Status::Ok, Failure::of(ErrorKind::Other))
        };
        let receipt = permit.finish(outcome, self.clock.now()).await;
        let cost = receipt.cost.expect("the model has a price");
        self.calls[number].settled = Some((self.micros(), tokens.total(), cost));
        (0, Next::Asks)
    }

    /// What each call used, as (when it counts, how much).
    fn uses(&self, kind: LimitKind) -> Vec<(u64, u64)> {
        let of = |call: &Made| match kind {
            LimitKind::RequestsPerMinute | LimitKind::RequestsPerDay => Some((call.admitted, 1)),
            LimitKind::TokensPerMinute => call.settled.map(|(at, tokens, _)| (at, tokens)),
            LimitKind::TokensPerDay => call.settled.map(|(_, tokens, _)| (call.admitted, tokens)),
            LimitKind::UsdPerDay => call
                .settled
                .map(|(_, _, cost)| (call.admitted, u64::try_from(cost.pico_usd()).expect("not below nothing"))),
            other => panic!("{other} is not in the plan"),
        };
        let mut uses: Vec<(u64, u64)> = self.calls.iter().filter_map(of).collect();
        uses.sort_unstable();
        uses
    }

    /// The fullest true window, and for days what each whole one held.
    fn windows(&self, kind: LimitKind) -> Vec<u64> {
        let uses = self.uses(kind);
        if !kind.is_calendar() {
            return fullest_minute(&uses);
        }
        let begin = Timestamp::parse(BEGIN).expect("a time").unix_micros();
        let mut days: BTreeMap<Day, u64> = BTreeMap::new();
        for (at, amount) in uses {
            *days.entry(Timestamp::in_zone(begin + at as i64, zone()).day()).or_default() += amount;
        }
        assert_eq!(days.len(), 4, "the afternoon, two whole days, and the morning");
        days.into_values().collect()
    }
}

/// The most that any sixty seconds held.
fn fullest_minute(uses: &[(u64, u64)]) -> Vec<u64> {
    let (mut first, mut held, mut most) = (0, 0, 0);
    for (at, amount) in uses {
        held += amount;
        while uses[first].0 + 60 * SECOND <= *at {
            held -= uses[first].1;
            first += 1;
        }
        most = most.max(held);
    }
    vec![most]
}

/// Runs a plan and gives it with what its windows held, none of them above its cap.
async fn ran(plan: Plan) -> (Run, BTreeMap<LimitKind, Vec<u64>>) {
    let mut run = Run::new(plan);
    run.through_three_days().await;
    let held = run.plan.caps.iter().map(|(kind, cap)| {
        let windows = run.windows(*kind);
        assert!(windows.iter().all(|held| held <= cap), "{kind}: {windows:?} against {cap}");
        (*kind, windows)
    });
    let held = held.collect();
    (run, held)
}

fn plan(kind: LimitKind, cap: u64) -> Plan {
    Plan { caps: vec![(kind, cap)], prompt: 1_000, output: 500, longest_ms: 20_000, abandoned: 0 }
}

/// At least 95 % of each window's cap was used.
#[track_caller]
fn well_used(windows: &[u64], cap: u64) {
    assert!(windows.iter().all(|held| held * 100 >= cap * 95), "{windows:?} of {cap}");
}

#[tokio::test]
async fn fifteen_requests_a_minute() {
    let (run, held) = ran(plan(LimitKind::RequestsPerMinute, 15)).await;
    assert_eq!(held[&LimitKind::RequestsPerMinute], [15], "exactly the cap");
    let possible = THREE_DAYS_SECS / 61 * 15;
    assert!(run.calls.len() as u64 * 100 >= possible * 95, "{} of {possible}", run.calls.len());
}

#[tokio::test]
async fn a_hundred_and_fifty_requests_a_day() {
    let (_, held) = ran(plan(LimitKind::RequestsPerDay, 150)).await;
    assert_eq!(held[&LimitKind::RequestsPerDay], [150; 4], "exactly the cap, also in a day of 25 hours");
}

#[tokio::test]
async fn a_hundred_and_fifty_thousand_tokens_a_minute() {
    let (_, held) = ran(Plan { prompt: 6_000, output: 1_500, ..plan(LimitKind::TokensPerMinute, 150_000) }).await;
    well_used(&held[&LimitKind::TokensPerMinute], 150_000);
}

#[tokio::test]
async fn a_budget_of_tokens() {
    let (_, held) = ran(plan(LimitKind::TokensPerDay, 1_000_000)).await;
    well_used(&held[&LimitKind::TokensPerDay], 1_000_000);
}

#[tokio::test]
async fn a_budget_of_dollars() {
    let (_, held) = ran(plan(LimitKind::UsdPerDay, 5 * PICOS)).await;
    well_used(&held[&LimitKind::UsdPerDay], 5 * PICOS);
}

#[tokio::test]
async fn all_of_them_at_once_and_some_calls_abandoned() {
    let caps = vec![
        (LimitKind::RequestsPerMinute, 15),
        (LimitKind::RequestsPerDay, 1_500),
        (LimitKind::TokensPerMinute, 20_000),
        (LimitKind::TokensPerDay, 2_000_000),
        (LimitKind::UsdPerDay, 9 * PICOS),
    ];
    let plan = Plan { caps, abandoned: 100, ..plan(LimitKind::RequestsPerDay, 0) };
    let (run, _) = ran(plan).await;
    let abandoned = run.calls.iter().filter(|call| call.settled.is_none()).count();
    assert!(abandoned > 10, "{abandoned} were abandoned");
    // What they held comes back, and what is shown as used is what was used.
    run.clock.advance(Duration::from_secs(3_601));
    run.metering.tick(run.clock.now());
    let windows = run.metering.windows(run.clock.now());
    assert!(windows.iter().all(|window| window.reserved == 0), "{windows:?}");
    let last = |kind: LimitKind| *run.windows(kind).last().expect("four days");
    for window in windows.iter().filter(|window| window.limit.is_calendar()) {
        assert_eq!(window.used, last(window.limit), "{}", window.limit);
    }
}
