//! How fast a folder is read: replay with every checksum, beside reading the same lines with typed serde_json alone.
//!
//! `cargo bench --bench replay [-- RECORDS]`. Prints lines per second of both, interleaved with the parts that replay
//! is made of, and the ratio of the two.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures time and prints it")]

mod measure;

use std::time::Instant;

use measure::{Spread, write_books};
use tallybot::ledger::Folder;
use tallybot::stats::Stats;
use tallybot::usage::{Timestamp, UsageRecord, unseal_line};

const ROUNDS: usize = 5;

fn main() {
    let records = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = Timestamp::parse("2026-11-22T08:00:00.000000-06:00").expect("a time");
    write_books(folder.path(), records, start, 2_000);
    let end = start.plus_micros(3_600_000_000);
    let text = std::fs::read(folder.path().join("tokens_2026-11-22.jsonl")).expect("the journal is there");
    println!("{records} records, {} bytes each", text.len() / records);
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let [mut replays, mut parses, mut checks, mut folds] = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        replays.push(secs_of(|| {
            let reading = Folder::new(folder.path()).read(&mut (), end).expect("the folder can be read");
            assert_eq!(reading.replayed, records as u64);
        }));
        parses.push(secs_of(|| assert!(lines.iter().map(|line| record_of(line).tokens.prompt).sum::<u64>() > 0)));
        checks.push(secs_of(|| assert!(lines.iter().all(|line| unseal_line(line).is_ok()))));
        folds.push(secs_of(|| {
            let mut stats = Stats::default();
            lines.iter().for_each(|line| stats.apply(&record_of(line)));
        }));
    }
    let rates = |secs: &[f64]| Spread::of(&secs.iter().map(|secs| records as f64 / secs / 1e6).collect::<Vec<_>>());
    println!("replay (crc, fold):             {} M lines/s", rates(&replays));
    println!("typed serde_json:               {} M lines/s", rates(&parses));
    println!("typed serde_json, and the fold: {} M lines/s", rates(&folds));
    println!("the checksums alone:            {} M lines/s", rates(&checks));
    let ratios: Vec<f64> = replays.iter().zip(&parses).map(|(replay, parse)| replay / parse).collect();
    println!("replay takes {} x the time of typed serde_json", Spread::of(&ratios));
}

fn secs_of(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

fn record_of(line: &[u8]) -> UsageRecord<'_> {
    let text = std::str::from_utf8(line).expect("our own line");
    serde_json::from_str(text).expect("our own line")
}
