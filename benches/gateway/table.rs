//! What is printed: each measure of each target with its spread, and what is asked of tallybot.

use super::measure::Spread;
use super::sample::{Measure, OPEN, Sample};
use super::targets::{DIRECT, KILL, LITELLM, PASS, PORTKEY, POWER, Target};
use Beside::{Itself, Less, Times};

/// What a column shows: its head, a number of a measure's samples, what it is set beside, and its decimal places.
type Column = (&'static str, Measure, fn(&Sample) -> f64, Beside, usize);

/// Whether a number stands for itself, or beside that of another target in the same round.
#[derive(Clone, Copy)]
enum Beside {
    Itself,
    Less(&'static str),
    Times(&'static str),
}

const JSON: &[Column] = &[
    ("1: p50 µs", Measure::Json1, |s| s.p50_us, Itself, 0),
    ("p99 µs", Measure::Json1, |s| s.p99_us, Itself, 0),
    ("added p50 µs", Measure::Json1, |s| s.p50_us, Less(DIRECT), 0),
    ("32: answers/s", Measure::Json32, |s| s.rate, Itself, 0),
    ("× pass", Measure::Json32, |s| s.rate, Times(PASS), 3),
    ("p50 ms", Measure::Json32, |s| s.p50_us / 1e3, Itself, 2),
    ("p99 ms", Measure::Json32, |s| s.p99_us / 1e3, Itself, 1),
    ("CPU µs each", Measure::Json32, |s| s.cpu_us, Itself, 1),
];

const STREAMS: &[Column] = &[
    ("1: first p50 µs", Measure::Stream1, |s| s.first_p50_us, Itself, 0),
    ("whole p50 µs", Measure::Stream1, |s| s.p50_us, Itself, 0),
    ("p99 µs", Measure::Stream1, |s| s.p99_us, Itself, 0),
    ("32: streams/s", Measure::Stream32, |s| s.rate, Itself, 0),
    ("× pass", Measure::Stream32, |s| s.rate, Times(PASS), 3),
    ("CPU µs each", Measure::Stream32, |s| s.cpu_us, Itself, 1),
];

const PACED: &[Column] = &[
    ("first p50 ms", Measure::Paced, |s| s.first_p50_us / 1e3, Itself, 1),
    ("age p50 µs", Measure::Paced, |s| s.age_p50_us, Itself, 0),
    ("× pass", Measure::Paced, |s| s.age_p50_us, Times(PASS), 2),
    ("age p99 µs", Measure::Paced, |s| s.age_p99_us, Itself, 0),
    ("streams/s", Measure::Paced, |s| s.rate, Itself, 0),
];

const MEMORY: &[Column] = &[
    ("after 32: MiB", Measure::Json32, |s| s.memory_mib, Itself, 1),
    ("1,000 streams: MiB", Measure::Memory, |s| s.memory_mib, Itself, 1),
    ("open at once", Measure::Memory, |s| s.open as f64, Itself, 0),
];

/// What is asked of tallybot: what it is, of which measure, of which target, what number, beside what, and its bound.
type Asked = (&'static str, Measure, &'static str, fn(&Sample) -> f64, Beside, Bound);

enum Bound {
    Least(f64),
    Most(f64),
}

const ASKED: &[Asked] = &[
    ("kill / pass: answers/s at 32", Measure::Json32, KILL, |s| s.rate, Times(PASS), Bound::Least(1.0)),
    ("power / pass: answers/s at 32", Measure::Json32, POWER, |s| s.rate, Times(PASS), Bound::Least(0.85)),
    ("kill / Portkey: answers/s at 32", Measure::Json32, KILL, |s| s.rate, Times(PORTKEY), Bound::Least(28.0)),
    ("kill / LiteLLM: answers/s at 32", Measure::Json32, KILL, |s| s.rate, Times(LITELLM), Bound::Least(200.0)),
    ("kill / pass: age of a piece, p50", Measure::Paced, KILL, |s| s.age_p50_us, Times(PASS), Bound::Most(1.2)),
    ("kill: age of a piece, p99 µs", Measure::Paced, KILL, |s| s.age_p99_us, Itself, Bound::Most(1_000.0)),
    ("kill: a stream at once, p99 µs", Measure::Stream1, KILL, |s| s.p99_us, Itself, Bound::Most(10_000.0)),
    ("kill: MiB with 1,000 streams", Measure::Memory, KILL, |s| s.memory_mib, Itself, Bound::Most(60.0)),
];

/// The most that one connection may have added, beside what pass adds; and MiB held idle.
const ADDED: Bound = Bound::Most(1.3);
const IDLE: Bound = Bound::Most(16.0);

/// All samples, in the order they were taken.
pub struct Results<'a> {
    targets: &'a [Target],
    samples: Vec<(Measure, &'static str, Sample)>,
}

impl<'a> Results<'a> {
    pub fn new(targets: &'a [Target]) -> Results<'a> {
        Results { targets, samples: Vec::new() }
    }

    pub fn add(&mut self, measure: Measure, target: &Target, sample: Sample) {
        self.samples.push((measure, target.name, sample));
    }

    /// Prints everything, as Markdown.
    pub fn print(&self) {
        self.print_table("JSON answers, connections", JSON);
        self.print_table("streams at once, connections", STREAMS);
        self.print_table("streams, a piece every 5 ms", PACED);
        self.print_table("memory", MEMORY);
        let idle = self.targets.iter().map(|target| format!("{} {:.1}", target.name, target.idle_mib));
        println!("\nMiB held idle: {}", idle.collect::<Vec<_>>().join(", "));
        self.print_asked();
        self.print_failures();
        self.print_noise();
    }

    fn print_table(&self, what: &str, columns: &[Column]) {
        if !columns.iter().any(|&(_, measure, ..)| self.samples.iter().any(|(taken, ..)| *taken == measure)) {
            return;
        }
        let heads: Vec<&str> = columns.iter().map(|&(head, ..)| head).collect();
        println!("\n| {what} | {} |\n|--|{}", heads.join(" | "), "--:|".repeat(heads.len()));
        for target in self.targets {
            let cell = |&(_, measure, pick, beside, places): &Column| {
                short(&self.numbers(measure, target.name, pick, beside), places)
            };
            println!("| {} | {} |", target.name, columns.iter().map(cell).collect::<Vec<_>>().join(" | "));
        }
    }

    fn print_asked(&self) {
        println!("\n| | × or as said | asked | |\n|--|--:|--:|--|");
        for (what, measure, target, pick, beside, bound) in ASKED {
            print_bound(what, &self.numbers(*measure, target, *pick, *beside), bound);
        }
        let added = |target| self.numbers(Measure::Json1, target, |s| s.p50_us, Less(DIRECT));
        let ratios: Vec<f64> = added(KILL).iter().zip(added(PASS)).map(|(ours, passed)| ours / passed).collect();
        print_bound("kill / pass: added p50 at 1", &ratios, &ADDED);
        let idle: Vec<f64> = self.targets.iter().filter(|t| t.name == KILL).map(|t| t.idle_mib).collect();
        print_bound("kill: MiB idle", &idle, &IDLE);
    }

    /// A number of every round.
    fn numbers(&self, measure: Measure, target: &str, pick: fn(&Sample) -> f64, beside: Beside) -> Vec<f64> {
        let of = |target| self.of(measure, target).map(pick);
        match beside {
            Itself => of(target).collect(),
            Less(other) => of(target).zip(of(other)).map(|(own, other)| own - other).collect(),
            Times(other) => of(target).zip(of(other)).map(|(own, other)| own / other).collect(),
        }
    }

    fn of(&self, measure: Measure, target: &str) -> impl Iterator<Item = &Sample> {
        let is_of = move |taken: &Measure, name: &str| *taken == measure && name == target;
        self.samples.iter().filter(move |(taken, name, _)| is_of(taken, name)).map(|(.., sample)| sample)
    }

    fn print_failures(&self) {
        println!();
        for (measure, target, sample) in &self.samples {
            if sample.failures > 0 {
                let reason = sample.reason.as_deref().unwrap_or_default();
                println!("FAILED: {target}, {}: {} answers; one: {reason}", measure.name(), sample.failures);
            }
            if sample.open != OPEN && *measure == Measure::Memory {
                println!("{target}: only {} streams were open at the same time", sample.open);
            }
        }
        for target in self.targets {
            let altered: usize =
                self.samples.iter().filter(|(_, name, _)| *name == target.name).map(|(.., s)| s.altered).sum();
            if altered > 0 {
                println!("{}: {altered} answers came in other bytes than the model's", target.name);
            }
        }
    }

    /// What else happened on this machine.
    fn print_noise(&self) {
        let timed = || self.samples.iter().filter(|(measure, ..)| *measure != Measure::Memory);
        let others: Vec<f64> = timed().map(|(.., sample)| sample.others_percent).collect();
        let stolen: Vec<f64> = timed().map(|(.., sample)| sample.stolen_percent).collect();
        println!(
            "\nOf the processors, % in each sample: other programs {}; stolen {}",
            short(&others, 1),
            short(&stolen, 1)
        );
    }
}

fn print_bound(what: &str, numbers: &[f64], bound: &Bound) {
    if numbers.is_empty() {
        return;
    }
    let median = Spread::of(numbers).median;
    let (asked, is_kept) = match bound {
        Bound::Least(least) => (format!("≥ {least}"), median >= *least),
        Bound::Most(most) => (format!("≤ {most}"), median <= *most),
    };
    println!("| {what} | {} | {asked} | {} |", short(numbers, 2), if is_kept { "kept" } else { "**missed**" });
}

/// The median with the least and the most, `–` of nothing.
fn short(numbers: &[f64], places: usize) -> String {
    if numbers.is_empty() {
        return "–".to_owned();
    }
    let Spread { min, median, max } = Spread::of(numbers);
    format!("{median:.places$} ({min:.places$}–{max:.places$})")
}
