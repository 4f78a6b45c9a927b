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
    /// Opening balances told anew with another mean latency.
    pub openings_retimed: u64,
    /// What of the new calls and the opening balances is from before a reset, and so not in what is shown now.
    pub before_resets: Vec<OfEpoch>,
    /// New calls whose time is still to come: they are counted as of now.
    pub to_come_lines: u64,
    /// Which; the first hundred thousand.
    pub to_come: Vec<BadLine>,
    /// Totals that were lower than the same source told before. Nothing was changed for them.
    pub fallen_totals: Vec<String>,
    /// Lines that could not be read.
    pub bad_lines: u64,
    /// Which, and why; the first hundred thousand.
    pub bad: Vec<BadLine>,
}

/// What came of one epoch that is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OfEpoch {
    /// Which, as `tallybot stats --epoch` counts them: 1 is the one before the last reset.
    pub epoch: usize,
    /// New calls.
    pub calls: u64,
    /// Opening balances.
    pub openings: u64,
}

/// A line that could not be read, or not be taken as it is.
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
    pub(super) fn add_to_come(&mut self, file: &std::path::Path, line: u64) {
        self.to_come_lines += 1;
        if self.to_come.len() < MAX_LISTED {
            let reason = "the time of this call is in the future; it is counted as of now".to_owned();
            self.to_come.push(BadLine { file: file.display().to_string(), line, reason });
        }
    }

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
        let unusual = [
            ("taken back", self.openings_taken_back),
            ("other latency", self.openings_retimed),
            ("in the future", self.to_come_lines),
            ("not readable", self.bad_lines),
        ];
        rows.extend(unusual.into_iter().filter(|(_, count)| *count > 0));
        let rows = rows.into_iter().map(|(name, count)| format!("{name:<18}{count:>12}\n"));
        let end = match (&self.through, self.dry_run) {
            (_, true) => "nothing was written: this was a dry run\n".to_owned(),
            (Some(through), _) => format!("written through {through}\n"),
            (None, _) => String::new(),
        };
        rows.chain(self.before_resets.iter().map(OfEpoch::text)).chain([end]).collect()
    }
}

impl OfEpoch {
    /// A sentence for people.
    fn text(&self) -> String {
        let of = |count: u64, name: &str| match count {
            0 => None,
            1 => Some(format!("1 {name}")),
            _ => Some(format!("{count} {name}s")),
        };
        let what = [of(self.calls, "call"), of(self.openings, "opening balance")];
        let what: Vec<String> = what.into_iter().flatten().collect();
        format!("from before a reset: {}; `tallybot stats --epoch {}` shows them\n", what.join(", "), self.epoch)
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
