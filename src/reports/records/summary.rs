//! The summary of a token log: a row for each API and model.

use std::io::{self, Write};

use super::table::{Cell, Format, TableWriter};
use crate::reports::stats::success_rate;
use crate::stats::ModelTable;

const NAMES: [&str; 9] = ["api", "model", "in", "out", "total", "requests", "ok", "failed", "rate"];

/// Writes a table of models. Sums are signed because corrections are; what is shown of them never is.
///
/// # Errors
/// When it cannot be written.
pub fn write_summary(table: &ModelTable, format: Format, out: impl Write) -> io::Result<()> {
    let mut writer = TableWriter::new(out, format, NAMES.to_vec());
    for (api, model, totals) in table.rows() {
        let (prompt, completion) = (totals.prompt.max(0), totals.completion.max(0));
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        let (ok, failed) = (count(totals.ok), count(totals.failed));
        writer.row(&[
            Cell::text(api),
            Cell::text(model),
            Cell::Number(prompt),
            Cell::Number(completion),
            Cell::Number(prompt + completion),
            Cell::number(count(totals.requests)),
            Cell::number(ok),
            Cell::number(failed),
            success_rate(ok, failed).map_or(Cell::Empty, Cell::Share),
        ])?;
    }
    writer.finish()
}
