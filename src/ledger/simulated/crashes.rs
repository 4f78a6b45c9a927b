//! Many seeds: each a short life of a ledger with power cuts, kills and a disk that misbehaves.
//!
//! For 10,000 seeds: `TALLYBOT_CRASH_SEEDS=10000 cargo test --locked --lib simulated::crashes -- --nocapture`.
//! A failure prints its seed and the fewest steps that still fail; `TALLYBOT_CRASH_SEED` runs one seed alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::disk::{Sabotage, SimDisk};
use super::model::{self, Counts};
use super::steps::{self, Step};

const DEFAULT_SEEDS: u64 = 300;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("`{name}` is a whole number, not `{text}`")))
}

fn outcome(seed: u64, steps: &[Step]) -> Result<Counts, String> {
    catch_unwind(AssertUnwindSafe(|| model::run(seed, steps))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("a panic: {}", text.unwrap_or("of another kind")))
    })
}

/// The fewest steps that still fail: each is left out if the failure stays.
fn shortened(seed: u64, mut steps: Vec<Step>) -> Vec<Step> {
    for size in [8, 4, 2, 1, 1] {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + size).min(steps.len()));
            if outcome(seed, &fewer).is_err() { steps = fewer } else { at += size }
        }
    }
    steps
}

fn report(seed: u64) -> String {
    let steps = shortened(seed, steps::of_seed(seed));
    let problem = outcome(seed, &steps).expect_err("it failed before");
    let lines: Vec<String> =
        steps.iter().enumerate().map(|(n, step)| format!("  {n}: {:?} ({})", step.happens, step.chance)).collect();
    format!("seed {seed}: {problem}\n{}", lines.join("\n"))
}

#[test]
fn a3_whatever_a_power_cut_leaves_nothing_acknowledged_is_lost_and_nothing_counts_twice() {
    if let Some(seed) = number("TALLYBOT_CRASH_SEED") {
        println!("seed {seed}: {:?}", outcome(seed, &steps::of_seed(seed)).map_err(|_| report(seed)));
        return;
    }
    let seeds = number("TALLYBOT_CRASH_SEEDS").unwrap_or(DEFAULT_SEEDS);
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let (totals, failures) = (Mutex::new(Counts::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    match outcome(seed, &steps::of_seed(seed)) {
                        Ok(counts) => totals.lock().expect("whole").add(counts),
                        Err(_) => {
                            failed.store(true, Ordering::Relaxed);
                            failures.lock().expect("whole").push(report(seed));
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("whole");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    let counts = totals.into_inner().expect("whole");
    println!(
        "{seeds} seeds: {} steps, {} disk requests, {} power cuts, {} kills, {} calls interrupted, \
         {} records acknowledged: 0 lost, 0 duplicated, drift 0",
        counts.steps, counts.requests, counts.power_cuts, counts.kills, counts.interrupted, counts.acknowledged
    );
}

#[test]
fn a_ledger_that_leaves_something_out_is_caught_within_a_thousand_seeds() {
    use Sabotage::{LinesTwice, NoCut, NoFolderSync, NoSync, SyncErrorsIgnored};
    for sabotage in [NoSync, NoFolderSync, NoCut, SyncErrorsIgnored, LinesTwice] {
        let caught = |seed: &u64| {
            let disk = SimDisk::new(*seed).sabotaged(sabotage);
            catch_unwind(AssertUnwindSafe(|| model::run_on(disk, *seed, &steps::of_seed(*seed))))
                .is_ok_and(|run| run.is_err())
        };
        let first = (0..1000).find(caught);
        println!("{sabotage:?}: caught by seed {first:?}");
        assert!(first.is_some(), "{sabotage:?} was not seen");
    }
}
