//! A table as lines of equal columns, for a block of code.

use pulldown_cmark::Alignment;
use unicode_width::UnicodeWidthStr;

/// Wider ones break on every screen: their columns are not aligned.
const MAX_WIDTH: usize = 60;

/// A table while it is read, row by row; the first row is its head.
pub(super) struct Table {
    alignments: Vec<Alignment>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(alignments: Vec<Alignment>) -> Table {
        Table { alignments, rows: Vec::new() }
    }

    pub(super) fn begin_row(&mut self) {
        self.rows.push(Vec::new());
    }

    pub(super) fn begin_cell(&mut self) {
        if let Some(row) = self.rows.last_mut() {
            row.push(String::new());
        }
    }

    /// Adds to the cell that was begun last.
    pub(super) fn push(&mut self, text: &str) {
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.last_mut()) {
            cell.extend(text.chars().map(|c| if c == '\n' { ' ' } else { c }));
        }
    }

    /// Its lines. The last column is not filled up.
    pub(super) fn lines(&self) -> String {
        let columns = self.alignments.len();
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.as_str().width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width_of).collect();
        let total = widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1);
        if total > MAX_WIDTH {
            let lines: Vec<String> = self.rows.iter().map(|row| row.join(" | ")).collect();
            return lines.join("\n");
        }
        let mut lines: Vec<String> = self.rows.iter().map(|row| self.line(row, &widths)).collect();
        lines.insert(lines.len().min(1), "─".repeat(total));
        lines.join("\n")
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let missing = widths.get(column).map_or(0, |width| width.saturating_sub(cell.as_str().width()));
            let before = match self.alignments.get(column) {
                Some(Alignment::Right) => missing,
                Some(Alignment::Center) => missing / 2,
                _ => 0,
            };
            if column > 0 {
                line.push_str("  ");
            }
            line.push_str(&" ".repeat(before));
            line.push_str(cell);
            line.push_str(&" ".repeat(missing - before));
        }
        line.truncate(line.trim_end().len());
        line
    }
}
