//! How fast a folder is read: replay with every checksum, beside reading the same lines with typed serde_json alone.
//!
//! `cargo bench --bench replay [-- RECORDS]`. Prints lines per second and the ratio of the two, interleaved.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures time and prints it")]

use std::path::Path;
use std::time::Instant;

use tallybot::ledger::{Durability, Folder, KnownNames, Ledger, Options};
use tallybot::usage::{Money, RecordId, SubjectId, Timestamp, UsageRecord};

const ROUNDS: usize = 5;

fn main() {
    let records = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = Timestamp::parse("2026-11-22T08:00:00.000000-06:00").expect("a time");
    write(folder.path(), records, start);
    let end = start.plus_micros(3_600_000_000);
    let text = std::fs::read(folder.path().join("tokens_2026-11-22.jsonl")).expect("the journal is there");
    println!("{records} records, {} bytes each", text.len() / records);
    let (mut replays, mut parses) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let reading = Folder::new(folder.path()).read(&mut (), end).expect("the folder can be read");
        assert_eq!(reading.replayed, records as u64);
        replays.push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        let tokens: u64 = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(prompt_of).sum();
        assert!(tokens > 0);
        parses.push(began.elapsed().as_secs_f64());
    }
    report("replay (crc, fold)", records, &mut replays);
    report("typed serde_json  ", records, &mut parses);
    println!("replay takes {:.2} x the time of typed serde_json (medians)", replays[ROUNDS / 2] / parses[ROUNDS / 2]);
}

fn prompt_of(line: &[u8]) -> u64 {
    let text = std::str::from_utf8(line).expect("our own line");
    serde_json::from_str::<UsageRecord<'_>>(text).expect("our own line").tokens.prompt
}

fn report(what: &str, records: usize, secs: &mut [f64]) {
    secs.sort_by(f64::total_cmp);
    let rate = |secs: f64| records as f64 / secs / 1e6;
    println!(
        "{what}: {:.2} M lines/s (min {:.2}, max {:.2})",
        rate(secs[ROUNDS / 2]),
        rate(secs[ROUNDS - 1]),
        rate(secs[0])
    );
}

/// Records as a busy family bot and a few scripts leave them.
fn write(folder: &Path, records: usize, start: Timestamp) {
    let options =
        Options { durability: Durability::Kill, known: KnownNames::none(), follower: Box::new(()), listen: None };
    let (ledger, _) = Ledger::open(folder, options, RecordId::new(start, [1; 10]).0, start).expect("a new folder");
    let (models, features) = (["llama3.2", "gpt-4o", "gemini-2.5-flash"], ["faq", "summary", "triage", "letters"]);
    let people: Vec<SubjectId> = (0..50).map(|n| SubjectId::of(b"bench", "telegram", &n.to_string())).collect();
    for n in 0..records {
        let at = start.plus_micros(n as i64 * 2_000);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        let mut record =
            UsageRecord::new(RecordId::new(at, random), at, ["ollama", "cloud"][n % 2].into(), models[n % 3].into());
        record.channel = "telegram".into();
        (record.user, record.session) = (Some(people[n % 50]), Some(people[n % 50]));
        (record.tokens.prompt, record.tokens.completion) = (100 + (n as u64 * 7) % 900, (n as u64 * 13) % 500);
        record.latency_ms = Some(200 + (n as u64 * 31) % 5_000);
        record.first_token_ms = Some(90 + (n as u64 * 17) % 400);
        record.cost = Some(Money::of_tokens(record.tokens.total(), 2_500_000));
        record.price_id = Some("openai/gpt-4o@2026-08-21".into());
        record.feature = Some(features[n % 4].into());
        ledger.append(&record, at).expect("appended");
    }
    drop(ledger);
}
