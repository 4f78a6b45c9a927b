//! Records and tables of them as text: which are wanted, in which columns, as CSV, JSON or lines on a screen.
//!
//! Pure: whoever walks the books hands the records in.

mod columns;
mod filter;
mod lines;
mod summary;
mod table;
#[cfg(test)]
mod tests;
mod writer;

pub use columns::{COLUMNS, Column, columns_named};
pub use filter::{Facet, RecordFilter};
pub use lines::RecordLines;
pub use summary::write_summary;
pub use table::Format;
pub(super) use table::{Cell, TableWriter};
pub use writer::RecordWriter;
