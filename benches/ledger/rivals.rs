//! What a ledger is measured against: the bare disk, and the way of a token log in Python.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use tallybot::usage::{seal_line, write_record};

use super::calls;
use super::writers::{self, Sample};

/// Whether a line is synced before it counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    Each,
    Never,
}

/// Appends lines made beforehand, one write(2) each, by one writer.
pub fn append(place: &Path, time: Duration, sync: Sync) -> Sample {
    let lines: Vec<Vec<u8>> = (0..1024).map(line).collect();
    let folder = tempfile::tempdir_in(place).expect("a temporary folder");
    let file = Mutex::new(File::create_new(folder.path().join("bare.jsonl")).expect("a new file"));
    writers::threads(1, time, 0, |n| {
        let mut file = file.lock().expect("one writer");
        file.write_all(&lines[n % lines.len()]).expect("written");
        if sync == Sync::Each {
            file.sync_data().expect("synced");
        }
    })
}

/// The line of the nth call, as it stands in the journal.
pub fn line(n: usize) -> Vec<u8> {
    let mut line = Vec::new();
    write_record(&calls().record(n), &mut line);
    seal_line(&mut line, 0, n as u64 + 1);
    line
}

/// A token log's way: a line appended, then the file of statistics read, changed and written, for every record.
/// `None` when there is no `python3` here.
pub fn python(place: &Path, time: Duration, days: usize) -> Option<Sample> {
    let folder = tempfile::tempdir_in(place).expect("a temporary folder");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/ledger/token_log.py");
    let [time, days] = [time.as_secs_f64().to_string(), days.to_string()];
    let output = Command::new("python3").arg(script).arg(folder.path()).args([time, days]).output().ok()?;
    let numbers = String::from_utf8(output.stdout).expect("text");
    let numbers: Vec<f64> = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [rate, p50_us, p99_us] = numbers.try_into().expect("three numbers");
    Some(Sample { rate, p50_us, p99_us })
}
