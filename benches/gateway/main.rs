//! What a call through the gateway costs with accounting on, beside a direct call, a bare pass-through and two peers.
//!
//! `cargo bench --bench gateway [-- ROUNDS [SECONDS]] [WORD…]` (3 rounds, 2 seconds a sample, unless said; with WORDs
//! only the targets and measures named). Everything measured, the model and the load are processes of their own on this
//! machine; every round takes one sample of each measure from each target, and a ratio is taken round by round.
//! `TALLYBOT` may name another build of the program.
//! The peers run when `PORTKEY` and `LITELLM` hold the commands that start them: see docs/benchmarks.md.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures time and prints it")]

mod answers;
mod load;
#[path = "../measure/mod.rs"]
mod measure;
mod mock;
mod pass;
mod process;
mod sample;
mod table;
mod targets;

use std::path::Path;
use std::time::{Duration, Instant};

use sample::{Measure, Order, Sample};
use table::Results;
use targets::Target;

const ROUNDS: usize = 3;
const SECONDS: f64 = 2.0;

/// How long everything rests before its memory is looked at.
const REST: Duration = Duration::from_secs(5);

/// How long a sample waits for processors that other programs use, and from which share of them on.
const QUIET_WITHIN: Duration = Duration::from_secs(1);
const BUSY: f64 = 0.1;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["mock"] => mock::run(),
        ["pass", upstream] => pass::run(upstream),
        ["load", order] => load::run(order),
        _ => compare(&words),
    }
}

/// Starts everything, takes the samples round by round and prints the tables.
fn compare(words: &[&str]) {
    let mut numbers = words.iter().filter_map(|word| word.parse::<f64>().ok());
    let rounds = numbers.next().map_or(ROUNDS, |rounds| rounds as usize).max(1);
    let seconds = numbers.next().unwrap_or(SECONDS);
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    let mock = targets::mock();
    let mut targets: Vec<Target> = targets::start(&mock, home.path(), |name| is_meant(name, words, &targets::NAMES));
    let measures = Measure::ALL.map(Measure::name);
    let measures = Measure::ALL.into_iter().filter(|measure| is_meant(measure.name(), words, &measures));
    std::thread::sleep(REST);
    for target in &mut targets {
        target.idle_mib = process::memory_mib(target.id());
    }
    let mut results = Results::new(&targets);
    let measures: Vec<Measure> = measures.collect();
    for round in 0..rounds {
        for &measure in &measures {
            for target in targets.iter().filter(|target| measure.fits(target)) {
                settle(home.path());
                let order = Order::new(measure, target, mock.id(), seconds);
                results.add(measure, target, take(&order, target));
            }
        }
        println!("round {} of {rounds} is over", round + 1);
    }
    results.print();
}

/// Whether something is among the words, or none of its sort is.
fn is_meant(name: &str, words: &[&str], sort: &[&str]) -> bool {
    words.contains(&name) || !words.iter().any(|word| sort.contains(word))
}

/// Takes one sample by a process that does nothing else.
fn take(order: &Order, target: &Target) -> Sample {
    process::pin(target.id(), if order.alone { process::ITS_OWN } else { process::ALL });
    process::pin(order.mock, if order.alone { process::OF_THE_REST } else { process::ALL });
    let said = targets::this_program(&["load", &serde_json::to_string(order).expect("plain data")])
        .output()
        .expect("this program starts");
    assert!(said.status.success(), "the load failed: {}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).expect("the load prints its sample")
}

/// Lets the disk come to rest, and waits a while for other programs to leave the processors alone.
fn settle(place: &Path) {
    let folder = std::fs::File::open(place).expect("the folder for temporary files");
    rustix::fs::syncfs(folder).expect("synced");
    let began = Instant::now();
    while process::busy_share(Duration::from_millis(100)) > BUSY && began.elapsed() < QUIET_WITHIN {}
}
