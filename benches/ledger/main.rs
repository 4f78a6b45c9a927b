//! How fast calls are recorded, beside what a disk can do, beside SQLite and beside the way of a token log.
//!
//! `cargo bench --bench ledger [-- ROUNDS [SECONDS]] [WORD…]` (5 rounds, 2 seconds a sample, unless said). Every round
//! takes one sample of everything, or of what has one of the WORDs in its name (`=WORD` for its whole name); a ratio is
//! taken round by round. The files lie in `target/tmp`: on a real disk, if that does.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures time and prints it")]

mod history;
#[path = "../measure/mod.rs"]
mod measure;
mod rivals;
mod sqlite;
mod table;
mod writers;

use std::cell::LazyCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use history::History;
use measure::Calls;
use table::Table;
use tallybot::ledger::{Durability, KnownNames, Ledger, Options};
use tallybot::usage::{RecordId, Timestamp};
use writers::Sample;

/// As the program has it.
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ROUNDS: usize = 5;
const SECONDS: f64 = 2.0;

/// Records of the process whose memory is looked at.
const MEMORY_RECORDS: usize = 1_000_000;

const BARE_SYNC: &str = "append + fdatasync, 1 writer";
const BARE_WRITE: &str = "write(2), no sync, 1 writer";
const SQLITE: &str = "SQLite, batched, 64 threads";
const SQLITE_TASKS: &str = "SQLite, batched, 64 tasks";
const PYTHON: &str = "token log in Python, 2 days";
const PYTHON_90: &str = "token log in Python, 90 days";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if words.first().is_some_and(|word| word == "memory") {
        return memory_of_recording(MEMORY_RECORDS);
    }
    let (numbers, names): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| word.parse::<f64>().is_ok());
    let number = |at: usize| numbers.get(at).and_then(|word| word.parse::<f64>().ok());
    let rounds = number(0).map_or(ROUNDS, |rounds| rounds as usize).max(1);
    let time = Duration::from_secs_f64(number(1).unwrap_or(SECONDS));
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mut samplers = samplers(&place, time);
    let is_meant = |name: &str, word: &str| word.strip_prefix('=').map_or(name.contains(word), |whole| name == whole);
    samplers.retain(|(name, _)| names.is_empty() || names.iter().any(|word| is_meant(name, word)));
    let mut table: Table = samplers.iter().map(|(name, _)| (name.clone(), Vec::new())).collect();
    for _ in 0..rounds {
        for ((name, sampler), (_, samples)) in samplers.iter().zip(&mut table) {
            settle(&place);
            match sampler() {
                Some(sample) => samples.push(sample),
                None => println!("NOT MEASURED: {name}"),
            }
        }
    }
    table::print(&table);
    if names.is_empty() {
        let memory = Command::new(std::env::current_exe().expect("this program")).arg("memory").status();
        assert!(memory.is_ok_and(|status| status.success()), "the process that records for its memory failed");
    }
}

/// A kind of sample and how it is taken; `None` when this machine cannot.
type Sampler<'a> = (String, Box<dyn Fn() -> Option<Sample> + 'a>);

fn samplers(place: &Path, time: Duration) -> Vec<Sampler<'_>> {
    let mut samplers: Vec<Sampler<'_>> = vec![
        (BARE_SYNC.to_owned(), Box::new(move || Some(rivals::append(place, time, rivals::Sync::Each)))),
        (BARE_WRITE.to_owned(), Box::new(move || Some(rivals::append(place, time, rivals::Sync::Never)))),
        (SQLITE.to_owned(), Box::new(move || Some(sqlite::by_threads(place, time, 64)))),
        (SQLITE_TASKS.to_owned(), Box::new(move || Some(sqlite::by_tasks(place, time, 64)))),
        (PYTHON.to_owned(), Box::new(move || rivals::python(place, time, 2))),
        (PYTHON_90.to_owned(), Box::new(move || rivals::python(place, time, 90))),
    ];
    for (mode, durability) in [("power", Durability::Power), ("kill", Durability::Kill)] {
        for writers in [1, 8, 64, 512] {
            let name = format!("{mode}, {writers} thread{}", if writers == 1 { "" } else { "s" });
            samplers.push((name, Box::new(move || Some(in_new_folder(place, durability, writers, time)))));
        }
        for writers in [64, 512] {
            let tasks = move || Some(tasks_in_new_folder(place, durability, writers, time));
            samplers.push((format!("{mode}, {writers} tasks"), Box::new(tasks)));
        }
    }
    for records in [100_000, 1_000_000] {
        let history = Rc::new(LazyCell::new(move || History::write(place, records)));
        for (mode, threads, durability) in
            [("power", "64 threads", Durability::Power), ("kill", "1 thread", Durability::Kill)]
        {
            let writers = if threads == "1 thread" { 1 } else { 64 };
            let history = Rc::clone(&history);
            let sampler =
                move || Some(history.continued(|folder, from| record(folder, durability, writers, time, from)));
            samplers.push((format!("{mode}, {threads}, after {records}"), Box::new(sampler)));
        }
    }
    samplers
}

/// Lets the disk come to rest: what one sample left unwritten is no matter of the next.
fn settle(place: &Path) {
    let folder = std::fs::File::open(place).expect("the folder for temporary files");
    rustix::fs::syncfs(folder).expect("synced");
    std::thread::sleep(Duration::from_millis(100));
}

fn in_new_folder(place: &Path, durability: Durability, writers: usize, time: Duration) -> Sample {
    let folder = tempfile::tempdir_in(place).expect("a temporary folder");
    record(folder.path(), durability, writers, time, 0)
}

/// Records by so many threads at once, from the nth call on.
fn record(folder: &Path, durability: Durability, writers: usize, time: Duration, from: usize) -> Sample {
    let (calls, ledger) = (calls(), open(folder, durability));
    writers::threads(writers, time, from, |n| {
        let record = calls.record(n);
        let at = record.timestamp;
        let appended = ledger.stage(Box::new(record), at).expect("accepted");
        ledger.durable_blocking(appended).expect("durable");
    })
}

fn tasks_in_new_folder(place: &Path, durability: Durability, writers: usize, time: Duration) -> Sample {
    let folder = tempfile::tempdir_in(place).expect("a temporary folder");
    let (calls, ledger) = (std::sync::Arc::new(calls()), open(folder.path(), durability));
    writers::tasks(writers, time, move |n| {
        let (calls, ledger) = (std::sync::Arc::clone(&calls), ledger.clone());
        async move {
            let record = calls.record(n);
            let at = record.timestamp;
            let appended = ledger.stage(Box::new(record), at).expect("accepted");
            ledger.durable(appended).await.expect("durable");
        }
    })
}

/// Everybody records the same calls: a hundred thousand a second, of one morning.
fn calls() -> Calls {
    Calls::new(start(), 10)
}

fn start() -> Timestamp {
    Timestamp::parse("2026-11-22T08:00:00.000000-06:00").expect("a time")
}

fn open(folder: &Path, durability: Durability) -> Ledger {
    let options = Options { durability, known: KnownNames::none(), follower: Box::new(()) };
    Ledger::open(folder, options, RecordId::new(start(), [1; 10]).0, start()).expect("the folder opens").0
}

/// Records in this process, of its own, and prints what a record takes on the disk and the most that was in memory.
fn memory_of_recording(records: usize) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    measure::write_books(folder.path(), records, start(), 10);
    let bytes = std::fs::metadata(folder.path().join("tokens_2026-11-22.jsonl")).expect("the journal is there").len();
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux system");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the peak of memory");
    println!("{records} records, {} bytes each; the most in memory: {}", bytes / records as u64, peak.trim());
}
