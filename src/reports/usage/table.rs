//! A page as CSV.

use std::borrow::Cow;

use super::{UsageReport, UsageSums, Value};
use crate::reports::records::{Cell, Format, TableWriter};

const SUMS: [&str; 16] = [
    "requests",
    "ok",
    "failed",
    "refused",
    "cancelled",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "estimated_tokens",
    "cost_usd",
    "unpriced_requests",
    "latency_p50_ms",
    "latency_p95_ms",
];

impl UsageReport {
    /// The rows of the page, with a line of names first: nothing in them is a formula to a spreadsheet.
    pub fn csv(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let names = self.group.iter().map(|by| by.as_str()).chain(SUMS).collect();
        let mut table = TableWriter::new(&mut out, Format::Csv, names);
        let rows = self.rows.iter().try_for_each(|row| {
            let group = self.group.iter().map(|by| row.group.get(by.as_str()).map_or(Cell::Empty, cell));
            table.row(&group.chain(cells(&row.sums)).collect::<Vec<_>>())
        });
        rows.and_then(|()| table.finish()).expect("memory takes what is written");
        out
    }
}

fn cell(value: &Value) -> Cell<'_> {
    match value {
        Value::NotToldApart => Cell::Empty,
        Value::Number(number) => Cell::number(*number),
        Value::Text(text) => Cell::Text(Cow::Borrowed(text)),
    }
}

/// In the order of [`SUMS`].
fn cells<'r>(sums: &UsageSums) -> [Cell<'r>; 16] {
    let maybe = |count: Option<i64>| count.map_or(Cell::Empty, Cell::number);
    let millis = |latency: Option<u64>| latency.map_or(Cell::Empty, Cell::number);
    [
        Cell::number(sums.requests),
        Cell::number(sums.ok),
        Cell::number(sums.failed),
        maybe(sums.refused),
        maybe(sums.cancelled),
        Cell::number(sums.prompt_tokens),
        Cell::number(sums.completion_tokens),
        Cell::number(sums.total_tokens),
        maybe(sums.cached_tokens),
        maybe(sums.cache_write_tokens),
        maybe(sums.reasoning_tokens),
        maybe(sums.estimated_tokens),
        sums.cost_usd.map_or(Cell::Empty, |cost| Cell::Decimal(cost.to_string())),
        maybe(sums.unpriced_requests),
        millis(sums.latency_p50_ms),
        millis(sums.latency_p95_ms),
    ]
}
