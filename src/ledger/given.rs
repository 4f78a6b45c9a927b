//! Ids given by others: unique per source for 35 days of arrival.
//!
//! Held as 128-bit digests, read from the journal's lines when the first such id arrives.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::LedgerError;
use super::files::DataFolder;
use super::replay::for_each_line_of;
use crate::usage::{Day, Given, UsageRecord};

/// For how many days of arrival a given id is remembered.
const DAYS: i32 = 35;

/// The given ids of the last days.
#[derive(Default)]
pub(super) struct GivenIds {
    /// Digest of (source, id), with the day of its arrival; `None` until first needed.
    seen: Option<HashMap<u128, Day>>,
}

impl GivenIds {
    /// Whether the id arrived within the last days.
    pub(super) fn contains(&mut self, given: &Given<'_>, data: &DataFolder, today: Day) -> Result<bool, LedgerError> {
        let seen = match &mut self.seen {
            Some(seen) => seen,
            none => none.insert(load(data, today)?),
        };
        Ok(seen.get(&digest(given)).is_some_and(|day| *day > today.plus(-DAYS)))
    }

    /// Notes an id that was just appended.
    pub(super) fn note(&mut self, given: &Given<'_>, today: Day) {
        if let Some(seen) = &mut self.seen {
            seen.insert(digest(given), today);
        }
    }

    /// Forgets what is too old.
    pub(super) fn roll(&mut self, today: Day) {
        if let Some(seen) = &mut self.seen {
            seen.retain(|_, day| *day > today.plus(-DAYS));
        }
    }
}

fn digest(given: &Given<'_>) -> u128 {
    let mut hasher = Sha256::new();
    hasher.update((given.name.len() as u64).to_le_bytes());
    hasher.update(given.name.as_bytes());
    hasher.update(given.id.as_bytes());
    let digest = hasher.finalize();
    u128::from_le_bytes(digest[..16].try_into().expect("a SHA-256 digest has 32 bytes"))
}

fn load(data: &DataFolder, today: Day) -> Result<HashMap<u128, Day>, LedgerError> {
    let mut seen = HashMap::new();
    let marker = memchr::memmem::Finder::new(b"\"source\":{");
    for file in data.journal_files()?.into_iter().filter(|file| file.day > today.plus(-DAYS)) {
        for_each_line_of(data, file, 0, |line| {
            if marker.find(line.bytes).is_some()
                && let Ok(record) = serde_json::from_slice::<UsageRecord<'_>>(line.bytes)
                && let Some(given) = &record.source
            {
                seen.insert(digest(given), file.day);
            }
        })?;
    }
    Ok(seen)
}
