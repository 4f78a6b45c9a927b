//! Ids given by others: unique per source for 35 days of arrival.
//!
//! Of the sealed days a Bloom filter is in memory (10 bits an id) and the ids on the disk, sorted; of the days not yet
//! sealed the ids themselves, as digests of 128 bits. A million ids a day take some 80 MiB so. Nothing is loaded until
//! the first such id arrives.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::LedgerError;
use super::files::DataFolder;
use super::replay::for_each_line_of;
use super::sealed::{Bloom, Fold};
use crate::usage::{Day, Given, UsageRecord};

/// For how many days of arrival a given id is remembered.
pub(super) const DAYS: i32 = 35;

/// The given ids of the last days.
pub(super) struct GivenIds {
    data: DataFolder,
    known: Option<Known>,
}

/// Ids by the day of the journal file they stand in.
#[derive(Default)]
struct Known {
    sealed: Vec<(Arc<Fold>, Bloom)>,
    open: BTreeMap<Day, HashSet<u128>>,
}

/// The day of ids whose record waits for the disk: nobody knows yet in which file it will stand.
pub(super) const QUEUED: Day = Day(i32::MAX);

impl GivenIds {
    pub(super) fn new(data: &DataFolder) -> GivenIds {
        GivenIds { data: data.clone(), known: None }
    }

    /// Whether the id arrived within the last days. `folds` are those of the sealed days, for the first time.
    pub(super) fn contains(
        &mut self,
        given: &Given<'_>,
        today: Day,
        folds: impl FnOnce() -> Arc<Vec<Arc<Fold>>>,
    ) -> Result<bool, LedgerError> {
        let known = match &mut self.known {
            Some(known) => known,
            none => none.insert(Known::load(&self.data, today, &folds())?),
        };
        let (digest, first) = (digest_of(given), today.plus(1 - DAYS));
        if known.open.range(first..).any(|(_, ids)| ids.contains(&digest)) {
            return Ok(true);
        }
        for (fold, bloom) in &known.sealed {
            let is_there = bloom.may_contain(digest) && fold.file().day >= first;
            if is_there && fold.has_given(digest).map_err(self.data.failed("read", fold.name()))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes an id that was just appended to a file of that day, or queued.
    pub(super) fn note(&mut self, given: &Given<'_>, day: Day) {
        if let Some(known) = &mut self.known {
            known.open.entry(day).or_default().insert(digest_of(given));
        }
    }

    /// Takes the folds of all files of a day in the place of its ids.
    pub(super) fn seal(&mut self, day: Day, folds: &[Arc<Fold>]) {
        let Some(known) = &mut self.known else { return };
        let with_bloom = folds.iter().map(|fold| Ok((Arc::clone(fold), fold.bloom()?)));
        // What cannot be read stays in memory.
        if let Ok(sealed) = with_bloom.collect::<std::io::Result<Vec<_>>>() {
            known.sealed.retain(|(fold, _)| fold.file().day != day);
            known.sealed.extend(sealed);
            known.open.remove(&day);
        }
    }

    /// Forgets what is too old.
    pub(super) fn roll(&mut self, today: Day) {
        if let Some(known) = &mut self.known {
            known.open.retain(|day, _| *day > today.plus(-DAYS));
            known.sealed.retain(|(fold, _)| fold.file().day > today.plus(-DAYS));
        }
    }
}

impl Known {
    fn load(data: &DataFolder, today: Day, folds: &[Arc<Fold>]) -> Result<Known, LedgerError> {
        let mut known = Known::default();
        for fold in folds.iter().filter(|fold| fold.file().day > today.plus(-DAYS)) {
            // A damaged filter is no reason to forget: then the journal itself is read.
            if let Ok(bloom) = fold.bloom() {
                known.sealed.push((Arc::clone(fold), bloom));
            }
        }
        for file in data.journal_files()?.into_iter().filter(|file| file.day > today.plus(-DAYS)) {
            if known.sealed.iter().any(|(fold, _)| fold.file() == file) {
                continue;
            }
            let ids = known.open.entry(file.day).or_default();
            for_each_line_of(data, file, |line| ids.extend(given_in(line.bytes)))?;
        }
        Ok(known)
    }
}

/// The digest of a line's given id, if it has one.
fn given_in(line: &[u8]) -> Option<u128> {
    memchr::memmem::find(line, b"\"source\":{")?;
    let record: UsageRecord<'_> = serde_json::from_slice(line).ok()?;
    record.source.as_ref().map(digest_of)
}

/// What an id is known by: 128 bits of a SHA-256.
pub fn digest_of(given: &Given<'_>) -> u128 {
    let mut hasher = Sha256::new();
    hasher.update((given.name.len() as u64).to_le_bytes());
    hasher.update(given.name.as_bytes());
    hasher.update(given.id.as_bytes());
    let digest = hasher.finalize();
    u128::from_le_bytes(digest[..16].try_into().expect("a SHA-256 digest has 32 bytes"))
}
