//! What an import did, for people and for programs.

use serde::Serialize;

/// Bad lines that are listed; more are only counted.
const MAX_LISTED: usize = 100_000;

/// What an import did; with `dry_run`, what it would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The tallybot that wrote it, when it was another one.
    pub through: Option<String>,
    /// Files that were read.
    pub files: u64,
    /// Calls in them.
    pub calls: u64,
    /// Calls that were new.
    pub new: u64,
    /// Calls that were there already.
    pub already_there: u64,
    /// Totals in the files.
    pub totals: u64,
    /// Opening balances that were added, for what totals have beyond their calls.
    pub openings_added: u64,
    /// Opening balances that were taken back, because their calls are here now.
    pub openings_taken_back: u64,
    /// Totals that were lower than the same source told before. Nothing was changed for them.
    pub fallen_totals: Vec<String>,
    /// Lines that could not be read.
    pub bad_lines: u64,
    /// Which, and why; the first hundred thousand.
    pub bad: Vec<BadLine>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadLine {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 where it is not about a line.
    pub line: u64,
    /// What is wrong with it; none of its values.
    pub reason: String,
}

impl Summary {
    pub(super) fn add_bad(&mut self, file: &std::path::Path, line: u64, reason: String) {
        self.bad_lines += 1;
        if self.bad.len() < MAX_LISTED {
            self.bad.push(BadLine { file: file.display().to_string(), line, reason });
        }
    }

    /// Whether everything could be taken.
    pub fn is_whole(&self) -> bool {
        self.bad_lines == 0 && self.fallen_totals.is_empty()
    }

    /// A table for people.
    pub fn text(&self) -> String {
        let mut rows = vec![
            ("files", self.files),
            ("calls", self.calls),
            ("new", self.new),
            ("already there", self.already_there),
            ("totals", self.totals),
            ("opening balances", self.openings_added),
        ];
        let unusual = [("taken back", self.openings_taken_back), ("not readable", self.bad_lines)];
        rows.extend(unusual.into_iter().filter(|(_, count)| *count > 0));
        let rows = rows.into_iter().map(|(name, count)| format!("{name:<18}{count:>12}\n"));
        let end = match (&self.through, self.dry_run) {
            (_, true) => "nothing was written: this was a dry run\n".to_owned(),
            (Some(through), _) => format!("written through {through}\n"),
            (None, _) => String::new(),
        };
        rows.chain([end]).collect()
    }
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.reason),
            line => write!(f, "{}:{line}: {}", self.file, self.reason),
        }
    }
}
