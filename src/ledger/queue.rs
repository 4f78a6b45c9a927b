//! Records that are accepted and not yet written, in their order: those of a moment, which are written with one call, and
//! those that the disk refuses. Apart from the journal's lock, so that whoever accepts one keeps nobody from writing.

use std::collections::VecDeque;

use super::LedgerError;
use crate::usage::{Timestamp, UsageRecord, write_record};

/// Records wait here up to this many, beside those that are being written.
pub(super) const MAX_QUEUED: usize = 65_536;

/// What waits, and how many were accepted so far.
#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Queued>,
    accepted: u64,
    closed: bool,
}

/// A record that waits.
pub(super) struct Queued {
    pub(super) record: Box<UsageRecord<'static>>,
    /// When it arrived.
    pub(super) now: Timestamp,
    /// Its JSON, made by whoever accepted it.
    line: Option<Vec<u8>>,
}

impl Queued {
    pub(super) fn new(record: Box<UsageRecord<'static>>, now: Timestamp) -> Queued {
        let line = Some(line_of(&record));
        Queued { record, now, line }
    }

    /// One that may have to wait for long, whose JSON is made only when it is written.
    pub(super) fn resting(record: Box<UsageRecord<'static>>, now: Timestamp) -> Queued {
        Queued { record, now, line: None }
    }

    /// Its JSON, which is not kept.
    pub(super) fn take_line(&mut self) -> Vec<u8> {
        self.line.take().unwrap_or_else(|| line_of(&self.record))
    }
}

/// A record as JSON, with room for its seal.
pub(super) fn line_of(record: &UsageRecord<'_>) -> Vec<u8> {
    let mut line = Vec::with_capacity(960);
    write_record(record, &mut line);
    line
}

impl Queue {
    /// Accepts a record at the end; gives its number among all.
    pub(super) fn push(&mut self, queued: Queued) -> Result<u64, LedgerError> {
        if self.closed {
            return Err(LedgerError::Closed);
        }
        if self.waiting.len() >= MAX_QUEUED {
            return Err(LedgerError::QueueFull);
        }
        self.waiting.push_back(queued);
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
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What waits, to be written while nothing is accepted.
    pub(super) fn waiting(&mut self) -> &mut VecDeque<Queued> {
        &mut self.waiting
    }

    /// Moves everything that waits into an empty queue, to be written; its room is used from now on.
    pub(super) fn take_into(&mut self, empty: &mut VecDeque<Queued>) {
        std::mem::swap(&mut self.waiting, empty);
    }

    /// Puts back what was taken and could not be written, before what came since.
    pub(super) fn put_back(&mut self, rest: &mut VecDeque<Queued>) {
        rest.append(&mut self.waiting);
        self.waiting.extend(rest.drain(..).map(|queued| Queued { line: None, ..queued }));
    }

    /// Accepts nothing from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }
}
