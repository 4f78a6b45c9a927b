//! Records, one after another, as somebody asked for them.

use std::io::{self, Write};

use super::columns::{COLUMNS, Column};
use super::table::{Cell, Format, TableWriter};
use crate::usage::{UsageRecord, write_record};

/// Writes records as they come; memory does not grow with their number.
pub struct RecordWriter<W: Write> {
    table: TableWriter<W>,
    /// `None` for records as they stand in the books.
    columns: Option<Vec<&'static Column>>,
}

impl<W: Write> RecordWriter<W> {
    /// With these columns. Without any: every column in CSV, and whole records in JSON. Writes nothing yet.
    pub fn new(out: W, format: Format, columns: Option<Vec<&'static Column>>) -> RecordWriter<W> {
        let columns = match format {
            Format::Csv => Some(columns.unwrap_or_else(|| COLUMNS.iter().collect())),
            Format::Jsonl | Format::Json => columns,
        };
        let names = columns.iter().flatten().map(|column| column.name).collect();
        RecordWriter { table: TableWriter::new(out, format, names), columns }
    }

    /// Writes one record.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, record: &UsageRecord<'_>) -> io::Result<()> {
        match &self.columns {
            Some(columns) => {
                let cells: Vec<Cell<'_>> = columns.iter().map(|column| (column.of)(record)).collect();
                self.table.row(&cells)
            }
            None => {
                let mut object = Vec::with_capacity(640);
                write_record(record, &mut object);
                self.table.object(&object)
            }
        }
    }

    /// Writes the end and flushes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> io::Result<()> {
        self.table.finish()
    }
}
