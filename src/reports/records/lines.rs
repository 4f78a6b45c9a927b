//! Records as the lines of a table on a screen of 80 columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::templates::numbers::{self, NBSP, Precision};
use crate::templates::{Lang, clean};
use crate::usage::{Kind, UsageRecord, UsageSource};

/// The widest line.
const WIDTH: usize = 80;

/// What a line says, in this order.
const TITLES: [&str; 8] = ["time", "api/model", "in", "out", "status", "cost", "latency", "type"];
const MODEL: usize = 1;
const STATUS: usize = 4;
const TYPE: usize = 7;

/// How wide each column is at least.
const LEAST: [usize; 8] = [14, 14, 6, 6, 6, 7, 7, 6];

/// Which columns give way, and down to what, until a line fits. Numbers are never cut.
const CUTS: [(usize, usize); 6] = [(TYPE, 9), (MODEL, 18), (TYPE, 7), (MODEL, 14), (TYPE, 6), (STATUS, 6)];

/// Whether a column holds numbers, which end at the same place.
const ENDS_ALIGNED: [bool; 8] = [false, false, true, true, false, true, true, false];

/// The layout of a table of records.
pub struct RecordLines {
    widths: [usize; 8],
}

impl RecordLines {
    /// The layout in which these records fit. Others may follow in it.
    pub fn fitting<'a>(records: impl IntoIterator<Item = &'a UsageRecord<'a>>) -> RecordLines {
        let mut widths = LEAST;
        for record in records {
            for (width, cell) in widths.iter_mut().zip(cells(record)) {
                *width = (*width).max(cell.width());
            }
        }
        for (column, least) in CUTS {
            let too_wide = (widths.iter().sum::<usize>() + widths.len() - 1).saturating_sub(WIDTH);
            widths[column] -= too_wide.min(widths[column].saturating_sub(least));
        }
        RecordLines { widths }
    }

    /// The line of titles.
    pub fn titles(&self) -> String {
        self.laid_out(TITLES.map(str::to_owned))
    }

    /// A record's line.
    pub fn line(&self, record: &UsageRecord<'_>) -> String {
        self.laid_out(cells(record))
    }

    fn laid_out(&self, cells: [String; 8]) -> String {
        let mut line = String::with_capacity(WIDTH + 20);
        for (at, cell) in cells.into_iter().enumerate() {
            let cell = match at {
                // The end of a model's name says as much as its beginning.
                MODEL => clipped(&cell, self.widths[at], self.widths[at] / 3),
                STATUS | TYPE => clipped(&cell, self.widths[at], 0),
                _ => cell,
            };
            let padding = " ".repeat(self.widths[at].saturating_sub(cell.width()));
            let (before, after) = if ENDS_ALIGNED[at] { (padding.as_str(), "") } else { ("", padding.as_str()) };
            let gap = if at == 0 { "" } else { " " };
            line.extend([gap, before, &cell, after]);
        }
        line.truncate(line.trim_end().len());
        line
    }
}

fn cells(record: &UsageRecord<'_>) -> [String; 8] {
    let time = record.timestamp.to_chrono().format("%m-%d %H:%M:%S").to_string();
    let model = clean(&format!("{}/{}", record.api_type, record.model));
    let latency = record.latency_ms.map_or_else(|| "-".to_owned(), |millis| numbers::latency(Lang::En, millis));
    let count = |tokens: u64| match record.usage_source {
        UsageSource::Reported => digits(tokens),
        UsageSource::Partial | UsageSource::Estimated => format!("~{}", digits(tokens)),
        UsageSource::None => "-".to_owned(),
    };
    let (prompt, completion) = (count(record.tokens.prompt), count(record.tokens.completion));
    let latency = latency.replace(NBSP, " ");
    [time, model, prompt, completion, status(record), cost(record), latency, clean(&record.request_type)]
}

/// A number with all its digits, unless there are more than any column has room for.
fn digits(value: u64) -> String {
    if value < 10_000_000_000 { value.to_string() } else { format!("{:.2e}", value as f64) }
}

fn status(record: &UsageRecord<'_>) -> String {
    let status = if matches!(record.kind, Kind::Void { .. }) { "void" } else { record.status.as_str() };
    if record.count > 1 { format!("{status}×{}", record.count) } else { status.to_owned() }
}

/// An unknown cost is said to be unknown; where nothing was used there is none.
fn cost(record: &UsageRecord<'_>) -> String {
    let Some(cost) = record.cost else {
        return if record.is_unpriced() { "unknown" } else { "-" }.to_owned();
    };
    let is_estimate = record.usage_source.has_estimates();
    let mark = if is_estimate && cost.pico_usd() != 0 { "~" } else { "" };
    let shown = numbers::money(Lang::En, &cost.to_string(), Precision::Fine).unwrap_or_else(|| cost.to_string());
    format!("{mark}{}", shown.replace(NBSP, ""))
}

/// A text cut to a width, with so much of its end kept.
fn clipped(text: &str, width: usize, tail: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let head = leading(text.chars(), width.saturating_sub(tail + 1));
    let tail = leading(text.chars().rev(), tail);
    format!("{head}…{}", tail.chars().rev().collect::<String>())
}

/// As many characters as fit into a width.
fn leading(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= width
        })
        .collect()
}
