//! What is printed: every kind of sample with its spread, and the ratios that are asked for.

use super::measure::Spread;
use super::writers::Sample;
use super::{BARE_SYNC, BARE_WRITE, PYTHON, PYTHON_90, SQLITE, SQLITE_TASKS};

/// Kinds of samples by name, each with those of all rounds.
pub type Table = Vec<(String, Vec<Sample>)>;

/// What is compared, and the least that is asked for.
const RATIOS: [(&str, &str, f64); 12] = [
    ("power, 1 thread", BARE_SYNC, 0.85),
    ("power, 64 tasks", BARE_SYNC, 22.0),
    ("power, 64 tasks", SQLITE_TASKS, 0.85),
    ("power, 64 tasks", PYTHON, 45.0),
    ("power, 64 tasks", PYTHON_90, 800.0),
    ("power, 64 threads", BARE_SYNC, 22.0),
    ("power, 64 threads", SQLITE, 0.85),
    ("power, 64 threads", PYTHON, 45.0),
    ("power, 64 threads", PYTHON_90, 800.0),
    ("kill, 64 tasks", BARE_WRITE, KILL_SHARE),
    ("power, 64 threads, after 1000000", "power, 64 threads", 0.9),
    ("kill, 1 thread, after 1000000", "kill, 1 thread", 0.9),
];

/// Records per second that kill mode is to reach with some number of writers, and their share of the 1,477,000 that one
/// writer of bare lines made on the machine of which that was asked.
const KILL_RATE: u32 = 800_000;
const KILL_SHARE: f64 = 0.54;

/// The same for the slowest hundredth of acknowledgements.
const P99_RATIOS: [(&str, &str); 2] = [("power, 64 threads", SQLITE), ("power, 64 tasks", SQLITE_TASKS)];

/// Prints the table and its ratios, as Markdown.
pub fn print(table: &Table) {
    println!("| median (least–most) | records/s | p50 µs | p99 µs |\n|--|--:|--:|--:|");
    for (name, samples) in table.iter().filter(|(_, samples)| !samples.is_empty()) {
        let of = |of: fn(&Sample) -> f64, places| short(&spread(samples, of), places);
        println!("| {name} | {} | {} | {} |", of(|s| s.rate, 0), of(|s| s.p50_us, 1), of(|s| s.p99_us, 1));
    }
    println!("\n| | beside | × | asked |\n|--|--|--:|--:|");
    for (left, right, least) in RATIOS {
        print_ratio(table, (left, right), |left, right| left.rate / right.rate, "rate", least);
    }
    for (left, right) in P99_RATIOS {
        print_ratio(table, (left, right), |left, right| right.p99_us / left.p99_us, "1 / p99", 1.0);
    }
    let kill = table.iter().filter(|(name, samples)| name.starts_with("kill") && !samples.is_empty());
    let rates = kill.map(|(name, samples)| (name, spread(samples, |sample| sample.rate)));
    if let Some((name, best)) = rates.max_by(|(_, left), (_, right)| left.median.total_cmp(&right.median)) {
        println!("\nThe best of kill mode, {name}: {} records/s; asked {KILL_RATE}.", short(&best, 0));
    }
}

/// A ratio of two kinds of samples, taken round by round.
fn print_ratio(
    table: &Table,
    (left, right): (&str, &str),
    ratio: impl Fn(&Sample, &Sample) -> f64,
    what: &str,
    asked: f64,
) {
    let named = |wanted: &str| table.iter().find(|(name, _)| name == wanted).map_or(&[][..], |(_, samples)| samples);
    let ratios: Vec<f64> = named(left).iter().zip(named(right)).map(|(left, right)| ratio(left, right)).collect();
    if !ratios.is_empty() {
        println!("| {what}: {left} | {right} | {} | {asked} |", short(&Spread::of(&ratios), 2));
    }
}

fn spread(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> Spread {
    Spread::of(&samples.iter().map(of).collect::<Vec<_>>())
}

fn short(spread: &Spread, places: usize) -> String {
    format!("{:.places$} ({:.places$}–{:.places$})", spread.median, spread.min, spread.max)
}
