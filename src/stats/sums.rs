//! What a row adds up: signed, exact, mergeable.

use crate::usage::{ErrorKind, Kind, Money, Status, Timestamp, TokenCounts, UsageRecord};

use super::{Histogram, Openings};

/// The fixed borders of the cost histogram, $0.0001 to $1 (inclusive above); a sixth bucket takes the rest.
const COST_BORDERS_PICO: [i128; 5] = [100_000_000, 1_000_000_000, 10_000_000_000, 100_000_000_000, 1_000_000_000_000];

/// The sums of some records. Tokens and money are exact for any number of them; counts stay at the end of 64 bits rather
/// than begin anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Records (attempts).
    pub records: i64,
    /// People's messages that led to a call.
    pub messages: i64,
    /// Input tokens.
    pub prompt: i128,
    /// Output tokens.
    pub completion: i128,
    /// Input tokens read from a provider's cache.
    pub cached: i128,
    /// Input tokens written to a provider's cache, of either life.
    pub cache_write: i128,
    /// Output tokens that were reasoning.
    pub reasoning: i128,
    /// Exact cost of the records whose price is known.
    pub cost: Money,
    /// Records whose cost nobody knows ([`UsageRecord::is_unpriced`]).
    pub unpriced: i64,
    /// Sum of the latencies that are known, in milliseconds.
    pub latency_sum_ms: i128,
    /// Latencies.
    pub latency: Histogram,
    /// Times to the first token.
    pub first_token: Histogram,
    /// Records by cost: one bucket up to each of $0.0001, $0.001, $0.01, $0.1 and $1, then the rest. Unpriced records are in none.
    pub cost_buckets: [i64; 6],
    /// Failures by class, sorted, no zeros.
    pub errors: Vec<(ErrorKind, i64)>,
    /// The newest admission.
    pub last_at: Option<Timestamp>,
    /// What of all this came as opening balances.
    pub openings: Openings,
}

impl Sums {
    /// Adds one record (takes it back if it is a void).
    pub fn add(&mut self, record: &UsageRecord<'_>) {
        let sign: i64 = if matches!(record.kind, Kind::Void { .. }) { -1 } else { 1 };
        let count = sign.saturating_mul(i64::try_from(record.count).unwrap_or(i64::MAX));
        self.records = self.records.saturating_add(count);
        if record.is_message() {
            self.messages = self.messages.saturating_add(count);
        }
        self.add_tokens(&record.tokens, i128::from(sign));
        match record.cost {
            Some(cost) => {
                self.cost += if sign < 0 { -cost } else { cost };
                let bucket = &mut self.cost_buckets[cost_bucket(cost)];
                *bucket = bucket.saturating_add(count);
            }
            None if record.is_unpriced() => self.unpriced = self.unpriced.saturating_add(count),
            None => {}
        }
        if let Some(millis) = record.latency_ms {
            self.latency_sum_ms = self.latency_sum_ms.saturating_add(i128::from(millis) * i128::from(count));
            self.latency.add(millis, count);
        }
        if let Some(millis) = record.first_token_ms {
            self.first_token.add(millis, count);
        }
        self.last_at = self.last_at.max(Some(record.timestamp));
        if record.status.is_failed() {
            let kind = record.failure.map_or(ErrorKind::Other, |failure| failure.kind);
            let is_plain_timeout = kind == ErrorKind::Other && record.status == Status::Timeout;
            self.add_error(if is_plain_timeout { ErrorKind::TotalTimeout } else { kind }, count);
        }
    }

    fn add_tokens(&mut self, tokens: &TokenCounts, sign: i128) {
        self.prompt += sign * i128::from(tokens.prompt);
        self.completion += sign * i128::from(tokens.completion);
        self.cached += sign * i128::from(tokens.cached);
        self.cache_write += sign * (i128::from(tokens.cache_write) + i128::from(tokens.cache_write_1h));
        self.reasoning += sign * i128::from(tokens.reasoning);
    }

    pub(super) fn add_error(&mut self, kind: ErrorKind, count: i64) {
        match self.errors.binary_search_by_key(&kind, |(kind, _)| *kind) {
            Ok(at) => {
                self.errors[at].1 = self.errors[at].1.saturating_add(count);
                if self.errors[at].1 == 0 {
                    self.errors.remove(at);
                }
            }
            Err(at) if count != 0 => self.errors.insert(at, (kind, count)),
            Err(_) => {}
        }
    }

    /// Adds other sums.
    pub fn merge(&mut self, other: &Sums) {
        self.records = self.records.saturating_add(other.records);
        self.messages = self.messages.saturating_add(other.messages);
        self.prompt += other.prompt;
        self.completion += other.completion;
        self.cached += other.cached;
        self.cache_write += other.cache_write;
        self.reasoning += other.reasoning;
        self.cost += other.cost;
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
        self.latency_sum_ms = self.latency_sum_ms.saturating_add(other.latency_sum_ms);
        self.latency.merge(&other.latency);
        self.first_token.merge(&other.first_token);
        self.last_at = self.last_at.max(other.last_at);
        for (own, other) in self.cost_buckets.iter_mut().zip(other.cost_buckets) {
            *own = own.saturating_add(other);
        }
        for (kind, count) in &other.errors {
            self.add_error(*kind, *count);
        }
        self.openings += other.openings;
    }

    /// Input and output tokens.
    pub fn tokens(&self) -> i128 {
        self.prompt + self.completion
    }

    /// The mean of the known latencies, in whole milliseconds, rounded half up.
    pub fn mean_latency_ms(&self) -> Option<u64> {
        let count = i128::from(self.latency.count()) + i128::from(self.openings.timed);
        (count > 0).then(|| u64::try_from(self.latency_sum_ms.saturating_add(count / 2) / count).unwrap_or_default())
    }
}

fn cost_bucket(cost: Money) -> usize {
    COST_BORDERS_PICO.iter().position(|border| cost.pico_usd() <= *border).unwrap_or(COST_BORDERS_PICO.len())
}
