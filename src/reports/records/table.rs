//! Rows of cells as CSV or JSON. A spreadsheet never takes a text for a formula, and no number loses a digit.

use std::borrow::Cow;
use std::io::{self, Write};

/// How records and tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated, with a line of names first.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// One JSON array of objects.
    Json,
}

/// What stands in one column of one row.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::reports) enum Cell<'r> {
    /// Nothing was said.
    Empty,
    /// A text, whoever wrote it.
    Text(Cow<'r, str>),
    /// A whole number.
    Number(i128),
    /// An exact decimal, written digit by digit: a number in CSV, a text in JSON, where numbers are not exact.
    Decimal(String),
    /// A share from 0 to 1.
    Share(f64),
    /// Yes or no.
    Flag(bool),
    /// JSON as it is.
    Json(&'r str),
}

impl<'r> Cell<'r> {
    pub(in crate::reports) fn text(text: &'r str) -> Cell<'r> {
        Cell::Text(Cow::Borrowed(text))
    }

    pub(in crate::reports) fn number(value: impl Into<i128>) -> Cell<'r> {
        Cell::Number(value.into())
    }

    /// The cell in CSV: text in quotes, numbers without, so that both stay what they are; nothing where nothing was said.
    fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Cell::Empty => Ok(()),
            Cell::Text(text) => write_quoted(&harmless(text), out),
            Cell::Json(text) => write_quoted(&harmless(text), out),
            Cell::Number(value) => write!(out, "{value}"),
            Cell::Decimal(text) => out.write_all(text.as_bytes()),
            Cell::Share(share) => write!(out, "{share}"),
            Cell::Flag(flag) => write!(out, "\"{flag}\""),
        }
    }

    fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Cell::Empty => out.write_all(b"null"),
            Cell::Text(text) => Ok(serde_json::to_writer(out, text)?),
            Cell::Decimal(text) => Ok(serde_json::to_writer(out, text)?),
            Cell::Json(text) => out.write_all(text.as_bytes()),
            Cell::Number(value) => write!(out, "{value}"),
            Cell::Share(share) => Ok(serde_json::to_writer(out, share)?),
            Cell::Flag(flag) => write!(out, "{flag}"),
        }
    }
}

fn write_quoted(text: &str, out: &mut impl Write) -> io::Result<()> {
    write!(out, "\"{}\"", text.replace('"', "\"\""))
}

/// A text that no spreadsheet computes: before one that begins as a formula does, stands a `'`.
fn harmless(text: &str) -> Cow<'_, str> {
    match text.as_bytes().first() {
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | b'\n' | 0) => Cow::Owned(format!("'{text}")),
        _ => Cow::Borrowed(text),
    }
}

/// Writes rows one by one; holds none of them.
pub(in crate::reports) struct TableWriter<W: Write> {
    sink: Sink<W>,
    names: Vec<&'static str>,
}

enum Sink<W: Write> {
    Csv { out: W, begun: bool },
    Jsonl(W),
    Json { out: W, begun: bool },
}

impl<W: Write> TableWriter<W> {
    /// A table with columns of these names. Nothing of it is written before its first row or its end: what fails before
    /// leaves no beginning of one.
    pub(in crate::reports) fn new(out: W, format: Format, names: Vec<&'static str>) -> TableWriter<W> {
        let sink = match format {
            Format::Csv => Sink::Csv { out, begun: false },
            Format::Jsonl => Sink::Jsonl(out),
            Format::Json => Sink::Json { out, begun: false },
        };
        TableWriter { sink, names }
    }

    /// Writes a row with a cell for each name.
    pub(in crate::reports) fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        if let Sink::Csv { out, begun } = &mut self.sink {
            begin_csv(out, begun, &self.names)?;
            return write_csv_row(cells, out);
        }
        let mut object = Vec::with_capacity(1024);
        for (at, (name, cell)) in self.names.iter().zip(cells).enumerate() {
            write!(object, "{}\"{name}\":", if at == 0 { '{' } else { ',' })?;
            cell.write_json(&mut object)?;
        }
        object.push(b'}');
        self.object(&object)
    }

    /// Writes a row that is JSON already.
    pub(in crate::reports) fn object(&mut self, object: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Csv { .. } => Err(io::Error::other("an object is no row of CSV")),
            Sink::Jsonl(out) => {
                out.write_all(object)?;
                out.write_all(b"\n")
            }
            Sink::Json { out, begun } => {
                out.write_all(if std::mem::replace(begun, true) { b",\n" } else { b"[\n" })?;
                out.write_all(object)
            }
        }
    }

    /// Ends the table. What it was written to is flushed.
    pub(in crate::reports) fn finish(self) -> io::Result<()> {
        match self.sink {
            Sink::Csv { mut out, mut begun } => {
                begin_csv(&mut out, &mut begun, &self.names)?;
                out.flush()
            }
            Sink::Jsonl(mut out) => out.flush(),
            Sink::Json { mut out, begun } => {
                out.write_all(if begun { b"\n]\n" } else { b"[]\n" })?;
                out.flush()
            }
        }
    }
}

/// Writes the line of names, once.
fn begin_csv(out: &mut impl Write, begun: &mut bool, names: &[&str]) -> io::Result<()> {
    if std::mem::replace(begun, true) {
        return Ok(());
    }
    let cells: Vec<Cell<'_>> = names.iter().map(|name| Cell::text(name)).collect();
    write_csv_row(&cells, out)
}

fn write_csv_row(cells: &[Cell<'_>], out: &mut impl Write) -> io::Result<()> {
    if let [Cell::Empty] = cells {
        return out.write_all(b"\"\"\n"); // a line of nothing would be no row
    }
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        cell.write_csv(out)?;
    }
    out.write_all(b"\n")
}
