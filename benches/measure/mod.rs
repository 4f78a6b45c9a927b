//! What the benches share: books as a busy bot leaves them, and how a handful of measurements is said.

#![allow(dead_code, reason = "every bench uses a part of it")]

pub mod upstream;

use std::fmt::Display;
use std::path::Path;

use tallybot::ledger::{Durability, KnownNames, Ledger, Options};
use tallybot::usage::{Money, RecordId, SubjectId, Timestamp, UsageRecord};

/// Writes records as a busy family bot and a few scripts leave them, one every `every_micros` from `start` on.
pub fn write_books(folder: &Path, records: usize, start: Timestamp, every_micros: i64) {
    let options = Options { durability: Durability::Kill, known: KnownNames::none(), follower: Box::new(()) };
    let (ledger, _) = Ledger::open(folder, options, RecordId::new(start, [1; 10]).0, start).expect("a new folder");
    let calls = Calls::new(start, every_micros);
    for record in (0..records).map(|n| calls.record(n)) {
        ledger.append(&record, record.timestamp).expect("appended");
    }
    drop(ledger);
}

/// The calls of a busy family bot and a few scripts: two providers, three models, four features, fifty people.
pub struct Calls {
    start: Timestamp,
    every_micros: i64,
    people: Vec<SubjectId>,
}

impl Calls {
    /// A call every `every_micros` from `start` on.
    pub fn new(start: Timestamp, every_micros: i64) -> Calls {
        let people = (0..50).map(|n| SubjectId::of(b"bench", "telegram", &n.to_string())).collect();
        Calls { start, every_micros, people }
    }

    /// The record of the nth call.
    pub fn record(&self, n: usize) -> UsageRecord<'static> {
        let (models, features) = (["llama3.2", "gpt-4o", "gemini-2.5-flash"], ["faq", "summary", "triage", "letters"]);
        let at = self.start.plus_micros(n as i64 * self.every_micros);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        let mut record =
            UsageRecord::new(RecordId::new(at, random), at, ["ollama", "cloud"][n % 2].into(), models[n % 3].into());
        record.channel = "telegram".into();
        (record.user, record.session) = (Some(self.people[n % 50]), Some(self.people[n % 50]));
        (record.tokens.prompt, record.tokens.completion) = (100 + (n as u64 * 7) % 900, (n as u64 * 13) % 500);
        record.latency_ms = Some(200 + (n as u64 * 31) % 5_000);
        record.first_token_ms = Some(90 + (n as u64 * 17) % 400);
        record.cost = Some(Money::of_tokens(record.tokens.total(), 2_500_000));
        record.price_id = Some("openai/gpt-4o@2026-08-21".into());
        record.feature = Some(features[n % 4].into());
        record
    }
}

/// What the head of an HTTP message says of its body.
pub fn content_length(head: &str) -> Option<usize> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, length) = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    length.trim().parse().ok()
}

/// The median of some measurements, with the least and the most.
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Spread {
    /// Of at least one measurement.
    pub fn of(measured: &[f64]) -> Spread {
        let mut sorted = measured.to_vec();
        sorted.sort_by(f64::total_cmp);
        Spread { min: sorted[0], median: sorted[sorted.len() / 2], max: sorted[sorted.len() - 1] }
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} (min {:.2}, max {:.2})", self.median, self.min, self.max)
    }
}
