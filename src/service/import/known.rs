//! What of an import is in the books already: read once from their files, whoever holds them.

use std::collections::HashSet;

use super::balance::Calls;
use crate::ledger::{Folder, LedgerError, digest_of};
use crate::usage::{Given, Opening, Origin, RecordId, Timestamp, UsageRecord};

/// What is in the books.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Which calls.
    pub(super) ids: Ids,
    /// The calls by source and model.
    pub(super) calls: Calls,
    /// The opening balances that were told to these books.
    pub(super) openings: Vec<Opening>,
    /// The acts that are here, our own ones and copies of others'.
    pub(super) origins: HashSet<Origin>,
    /// The resets that hold, in order.
    pub(super) resets: Vec<Timestamp>,
}

/// Which calls are there, or were met. Some 40 bytes of memory for each.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    given: HashSet<u128>,
    records: HashSet<RecordId>,
}

/// What to look for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Calls of these sources, and of those whose name begins with one of these and a space.
    pub(super) sources: HashSet<String>,
    /// Whether the ids of all records matter: other books are imported.
    pub(super) records: bool,
}

impl Wanted {
    fn has(&self, source: &str) -> bool {
        self.sources.contains(source.split(' ').next().unwrap_or_default())
    }
}

impl Known {
    /// Reads the books of a folder.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn read(folder: &Folder, wanted: &Wanted) -> Result<Known, LedgerError> {
        let mut known = Known::default();
        folder.for_each_record(|record| {
            if let Some(given) = record.source.as_ref().filter(|given| wanted.has(&given.name)) {
                known.ids.given.insert(digest_of(given));
                known.calls.add(&given.name, record);
            }
            if wanted.records {
                known.ids.records.insert(record.id);
            }
        })?;
        let Some(acts) = folder.acts()? else { return Ok(known) };
        for (origin, opening) in acts.openings_by_origin() {
            known.origins.insert(origin);
            known.openings.extend(opening.origin.is_none().then(|| opening.clone()));
        }
        known.resets = acts.resets;
        Ok(known)
    }
}

impl Ids {
    /// Whether a call of this given id is new; from now on it is not.
    pub(super) fn is_new(&mut self, given: &Given<'_>) -> bool {
        self.given.insert(digest_of(given))
    }

    /// Whether a record of other books is new: neither it, nor the call that it tells of, is there. From now on it is
    /// not.
    pub(super) fn is_new_record(&mut self, record: &UsageRecord<'_>, wanted: &Wanted) -> bool {
        let told = record.source.as_ref().filter(|given| wanted.has(&given.name));
        let new =
            !self.records.contains(&record.id) && !told.is_some_and(|given| self.given.contains(&digest_of(given)));
        if new {
            self.records.insert(record.id);
            self.given.extend(told.map(digest_of));
        }
        new
    }
}
