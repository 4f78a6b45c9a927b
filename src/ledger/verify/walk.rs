//! One walk through the whole journal: what counts and what does not, exactly as a start decides it.

use crate::ledger::LedgerError;
use crate::ledger::files::{DataFolder, FileName};
use crate::ledger::replay::{Invalid, LineAt, Sequence, read_lines};
use crate::usage::{Sealed, UsageRecord};

/// A whole line.
pub(super) struct Line<'a> {
    pub(super) record: UsageRecord<'a>,
    pub(super) sealed: Sealed,
    /// It is folded: its number was not there before.
    pub(super) counts: bool,
}

/// A line's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: FileName,
    pub(super) line: u64,
    pub(super) offset: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` line {}", self.file, self.line)
    }
}

/// Goes through the files in their order.
pub(super) struct Walk<'a> {
    data: &'a DataFolder,
    pub(super) sequence: Sequence,
}

impl<'a> Walk<'a> {
    pub(super) fn new(data: &'a DataFolder) -> Walk<'a> {
        Walk { data, sequence: Sequence::starting_after(0) }
    }

    /// Reads one file. Gives the place from which a damaged compressed file cannot be read further.
    pub(super) fn file(
        &mut self,
        name: FileName,
        mut on_line: impl FnMut(&LineAt<'_>, Result<Line<'_>, Invalid>),
    ) -> Result<Option<u64>, LedgerError> {
        read_lines(self.data, name, |at, read| {
            let line = read.map(|(sealed, record)| {
                let counts = self.sequence.is_new(sealed.seq);
                Line { record, sealed, counts }
            });
            on_line(at, line);
        })
    }
}
