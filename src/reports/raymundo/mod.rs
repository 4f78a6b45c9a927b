//! The forms of raymundo, an older bot whose `metrics.json` and `/stats` others read: its Spanish keys, its times.
//!
//! Programs and people read these words where that bot stood, so they are Spanish whatever the configured language is.

mod metrics;
mod screen;
mod stats;

use std::collections::BTreeMap;

use serde::Serializer;

use crate::usage::{Timestamp, Zone};

pub use metrics::{MADE_BY, Metrics};
pub use screen::text;
pub use stats::{Reset, Stats, Terms};

/// The request types it knows, by our names and by its own, in its order.
pub const TYPES: [(&str, &str); 7] = [
    ("chat", "chat"),
    ("presentation", "presentacion"),
    ("document", "documento"),
    ("spreadsheet", "hoja_calculo"),
    ("web_scraping", "web_scraping"),
    ("correction", "correccion"),
    ("vision", "vision"),
];

/// What all other types are called together, where there are any.
pub const OTHER_TYPES: &str = "otros";

/// Requests by its names of types: the seven in their order, zero or not, then the rest together if there is one.
pub fn requests_by_type(by_type: &BTreeMap<String, u64>) -> Vec<(&'static str, u64)> {
    let of = |name: &str| by_type.get(name).copied().unwrap_or(0);
    let mut counts: Vec<(&'static str, u64)> = TYPES.iter().map(|(ours, its)| (*its, of(ours))).collect();
    let known: u64 = counts.iter().map(|(_, count)| count).sum();
    let others = by_type.values().sum::<u64>().saturating_sub(known);
    if others > 0 {
        counts.push((OTHER_TYPES, others));
    }
    counts
}

/// A time as it writes them: local, in whole seconds, without an offset.
pub fn time(at: Timestamp, zone: Zone) -> String {
    at.shown_in(zone).to_chrono().format("%Y-%m-%dT%H:%M:%S").to_string()
}

/// An object with its keys in the order of the list.
fn as_object<S: Serializer>(counts: &[(&'static str, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().copied())
}
