//! Records that are accepted and not yet written, in their order: those of a moment, which are written with one call, and
//! those that the disk refuses. Apart from the journal's lock, so that whoever accepts one keeps nobody from writing.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::LedgerError;
use crate::usage::{Timestamp, UsageRecord, write_record};

/// Records wait here up to this many, beside those that are being written.
pub(super) const MAX_QUEUED: usize = 65_536;

/// Records and bytes of lines for which room is kept in what was written.
const KEPT_RECORDS: usize = 1024;
const KEPT_BYTES: usize = 1 << 20;

/// What waits, and how many were accepted so far.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Batch,
    accepted: u64,
    closed: bool,
}

/// Records in their order, and their lines, each behind that of the one before.
#[derive(Default)]
pub(super) struct Batch {
    records: VecDeque<Queued>,
    lines: Vec<u8>,
    /// Where the line of the first record begins.
    begin: usize,
}

/// A record that waits.
pub(super) struct Queued {
    pub(super) record: Box<UsageRecord<'static>>,
    /// When it arrived.
    pub(super) now: Timestamp,
    /// How long its line is; 0 if that is made only when it is written.
    length: usize,
}

/// A record as JSON, with room for its seal.
pub(super) fn line_of(record: &UsageRecord<'_>) -> Vec<u8> {
    let mut line = Vec::with_capacity(960);
    write_record(record, &mut line);
    line
}

impl Queue {
    /// Accepts a record at the end, with its line unless it may have to wait for long; gives its number among all.
    pub(super) fn push(
        &mut self,
        record: Box<UsageRecord<'static>>,
        line: &[u8],
        now: Timestamp,
    ) -> Result<u64, LedgerError> {
        if self.closed {
            return Err(LedgerError::Closed);
        }
        if self.len() >= MAX_QUEUED {
            return Err(LedgerError::QueueFull);
        }
        self.waiting.lines.extend_from_slice(line);
        self.waiting.records.push_back(Queued { record, now, length: line.len() });
        Ok(self.count())
    }

    /// Counts a record that was accepted and written at once, behind everything that waited.
    pub(super) fn count(&mut self) -> u64 {
        self.accepted += 1;
        self.accepted
    }

    /// How many were accepted.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What waits, to be written while nothing is accepted.
    pub(super) fn waiting(&mut self) -> &mut Batch {
        &mut self.waiting
    }

    /// Moves everything that waits into an empty batch, to be written; its room is used from now on.
    pub(super) fn take_into(&mut self, empty: &mut Batch) {
        std::mem::swap(&mut self.waiting, empty);
    }

    /// Puts back what was taken and could not be written, before what came since.
    pub(super) fn put_back(&mut self, rest: &mut Batch) {
        rest.forget_lines();
        self.waiting.forget_lines();
        rest.records.append(&mut self.waiting.records);
        std::mem::swap(&mut self.waiting, rest);
    }

    /// Accepts nothing from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn first(&self) -> Option<&Queued> {
        self.records.front()
    }

    /// The records.
    pub(super) fn records(&self) -> impl Iterator<Item = &Queued> {
        self.records.iter()
    }

    /// The records, each with its line.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&Queued, Cow<'_, [u8]>)> {
        self.records.iter().scan(self.begin, |begin, queued| {
            let line = &self.lines[*begin..*begin + queued.length];
            *begin += queued.length;
            Some((queued, if line.is_empty() { line_of(&queued.record).into() } else { line.into() }))
        })
    }

    /// Lets go of the first records, which are written.
    pub(super) fn pass(&mut self, written: usize) {
        self.begin += self.records.drain(..written).map(|queued| queued.length).sum::<usize>();
        if self.is_empty() {
            self.forget_lines();
        }
    }

    /// Gives back room that few batches need.
    pub(super) fn shrink(&mut self) {
        self.records.shrink_to(KEPT_RECORDS);
        self.lines.shrink_to(KEPT_BYTES);
    }

    fn forget_lines(&mut self) {
        self.records.iter_mut().for_each(|queued| queued.length = 0);
        self.lines.clear();
        self.begin = 0;
    }
}
