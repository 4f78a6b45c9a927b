//! Where two folds differ that should be the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::usage::names::UNKNOWN;
use crate::usage::{Day, Money, Status, UsageSource};

use super::picture::Epoch;
use super::{Cube, Key, Names, Picture, Sums, Symbol};

/// Rows that are told one by one.
const MAX_NAMED: usize = 10;

/// What one fold has beyond another, in all and by row. All zero when they agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Records.
    pub records: i64,
    /// Input tokens.
    pub prompt_tokens: i128,
    /// Output tokens.
    pub completion_tokens: i128,
    /// Cost, where the price is known.
    pub cost_usd: Money,
    /// Rows, and counts of people, that differ: not zero as soon as anything does.
    pub differences: u64,
    /// The first of them.
    pub named: Vec<String>,
}

impl Drift {
    /// What `found` has beyond `expected`. Who is in a conversation just now is not compared.
    pub fn between(expected: &Picture, found: &Picture) -> Drift {
        let mut drift = Drift::default();
        if expected.resets != found.resets {
            drift.note(|| format!("resets: {} and not {}", found.resets.len(), expected.resets.len()));
        }
        let none = Epoch::default();
        for epoch in 0..expected.epochs.len().max(found.epochs.len()) {
            let of = |picture: &'_ Picture| {
                picture.epochs.get(epoch).map_or_else(|| none.clone(), |epoch| (**epoch).clone())
            };
            let (own, other) = (of(expected), of(found));
            let names = (expected.names(), found.names());
            drift.compare(epoch, None, (&own.retired, &other.retired), names);
            let days: BTreeSet<&Day> = own.days.keys().chain(other.days.keys()).collect();
            for day in days {
                let (a, b) =
                    (own.days.get(day).cloned().unwrap_or_default(), other.days.get(day).cloned().unwrap_or_default());
                drift.compare(epoch, Some(*day), (&a, &b), names);
            }
        }
        drift
    }

    /// Whether nothing differs.
    pub fn is_zero(&self) -> bool {
        self.differences == 0
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        self.differences += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(what());
        }
    }

    fn compare(&mut self, epoch: usize, day: Option<Day>, cubes: (&Cube, &Cube), names: (&Names, &Names)) {
        let when = || {
            let day = day.map_or_else(|| "older days".to_owned(), |day| day.to_string());
            if epoch == 0 { day } else { format!("{day} after reset {epoch}") }
        };
        let mut rows: BTreeMap<RowName<'_>, (Sums, Sums)> = BTreeMap::new();
        for (key, sums) in cubes.0.rows() {
            rows.entry(RowName::of(key, names.0)).or_default().0.merge(sums);
        }
        for (key, sums) in cubes.1.rows() {
            rows.entry(RowName::of(key, names.1)).or_default().1.merge(sums);
        }
        for (name, (expected, found)) in &rows {
            let differing = differing(expected, found);
            if differing.is_empty() {
                continue;
            }
            self.records += found.records - expected.records;
            self.prompt_tokens += found.prompt - expected.prompt;
            self.completion_tokens += found.completion - expected.completion;
            self.cost_usd += found.cost + -expected.cost;
            self.note(|| format!("{}, {name}: {}", when(), differing.join(", ")));
        }
        if cubes.0.users() != cubes.1.users() {
            let (expected, found) = (cubes.0.users().estimate(), cubes.1.users().estimate());
            self.note(|| format!("{}: different users ~{found}, the records give ~{expected}", when()));
        }
    }
}

/// Each measure that differs, in words.
fn differing(expected: &Sums, found: &Sums) -> Vec<String> {
    let counts = [
        ("records", expected.records.into(), found.records.into()),
        ("messages", expected.messages.into(), found.messages.into()),
        ("input tokens", expected.prompt, found.prompt),
        ("output tokens", expected.completion, found.completion),
        ("cached tokens", expected.cached, found.cached),
        ("cache-write tokens", expected.cache_write, found.cache_write),
        ("reasoning tokens", expected.reasoning, found.reasoning),
        ("records without a price", expected.unpriced.into(), found.unpriced.into()),
        ("milliseconds of latency", expected.latency_sum_ms, found.latency_sum_ms),
    ];
    let counts = counts.into_iter().filter(|(_, expected, found): &(_, i128, i128)| expected != found);
    let mut words: Vec<String> =
        counts.map(|(name, expected, found)| format!("{name} {found}, the records give {expected}")).collect();
    if expected.cost != found.cost {
        words.push(format!("cost {} USD, the records give {} USD", found.cost, expected.cost));
    }
    if expected.openings != found.openings {
        let [found, expected] = [found.openings, expected.openings]
            .map(|of| format!("{} requests, {} of them timed, and {} tokens", of.requests, of.timed, of.tokens));
        words.push(format!("opening balances of {found}, the acts give {expected}"));
    }
    let borders = (expected.cost_buckets, &expected.errors) != (found.cost_buckets, &found.errors)
        || expected.latency != found.latency
        || expected.first_token != found.first_token;
    if borders && words.is_empty() {
        words.push("histograms or classes of errors".to_owned());
    }
    words
}

/// What tells rows apart, whatever numbers their names have.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RowName<'a> {
    hour: u8,
    names: [&'a str; 11],
    status: Status,
    usage_source: UsageSource,
    local: bool,
}

impl<'a> RowName<'a> {
    fn of(key: &Key, names: &'a Names) -> RowName<'a> {
        let symbols: [Symbol; 11] = [
            key.provider,
            key.model,
            key.request_type,
            key.api_type,
            key.feature,
            key.agent,
            key.operation,
            key.team,
            key.channel,
            key.key,
            key.price,
        ];
        RowName {
            hour: key.hour,
            names: symbols.map(|symbol| names.text(symbol).unwrap_or_default()),
            status: key.status,
            usage_source: key.usage_source,
            local: key.local,
        }
    }
}

impl std::fmt::Display for RowName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.hour != Key::NO_HOUR {
            write!(f, "{:02}h ", self.hour)?;
        }
        let [provider, model, request_type, ..] = self.names.map(|name| if name.is_empty() { UNKNOWN } else { name });
        write!(f, "{provider} {model} {request_type} {}", self.status.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::Stats;
    use crate::usage::arbitrary::record;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_same_records_in_any_order_do_not_drift_and_one_more_does(
            records in proptest::collection::vec(record(), 1..12)
        ) {
            let (mut there, mut back) = (Stats::default(), Stats::default());
            records.iter().for_each(|record| there.apply(record));
            records.iter().rev().for_each(|record| back.apply(record));
            let drift = Drift::between(&there.picture(), &back.picture());
            prop_assert!(drift.is_zero(), "{drift:?}");
            back.apply(&records[0]);
            let drift = Drift::between(&there.picture(), &back.picture());
            prop_assert!(!drift.is_zero());
            prop_assert_eq!(drift.named.len() as u64, drift.differences.min(10));
        }
    }
}
