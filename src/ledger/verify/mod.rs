//! `tallybot verify`: reads everything there is, from the first line on, and says whether it agrees with itself. Takes
//! no lock, changes nothing.
//!
//! Memory does not grow with the journal: the fold, a Bloom filter, and what looked wrong.

mod acts;
mod derived;
mod exact;
mod finding;
mod journal;
mod numbers;
mod repair;
mod repeats;
#[cfg(test)]
mod tests;
mod walk;

use std::path::Path;

pub use finding::{Check, Checked, Finding, Level, Verification};
pub use repair::{Repaired, repair};

use super::archived;
use super::disk::Access;
use super::files::{DataFolder, FileName};
use super::{Acts, Follower, LedgerError, holder_of};
use crate::stats::Stats;
use crate::usage::Timestamp;

use acts::OpenCalls;
use derived::TokenStatsText;
use finding::Findings;
use journal::Journal;

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub done: u64,
    /// Bytes to read, about.
    pub total: u64,
}

/// Checks a folder. `follower_at` makes a follower as it is when it has seen nothing at a moment; it is fed what the one
/// of the snapshot was fed.
///
/// # Errors
/// When a file cannot be read at all.
pub fn verify(
    folder: &Path,
    now: Timestamp,
    follower_at: &dyn Fn(Timestamp) -> Box<dyn Follower>,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Verification, LedgerError> {
    let data = DataFolder::real(folder);
    let holder = holder_of(folder);
    let held = holder.is_some();
    let mut findings = Findings::default();
    // What is made from the journal is read before it: whatever it covers is in the journal and the acts then.
    let (texts, token_stats) = (derived::snapshot_texts(&data)?, TokenStatsText::read(&data)?);
    let acts = acts::check_acts(&data, &mut findings)?;
    let waiting = derived::snapshots(texts, acts.as_ref(), now, &mut findings);
    let open_calls = OpenCalls::read(&data)?;
    let files = data.journal_files()?;
    let size = Size::of(&data, &files)?;
    let stats = acts.as_ref().map_or_else(Stats::default, Acts::stats);
    let mut journal = Journal::new(&data, &files, held, acts.as_ref(), stats, waiting, open_calls, size.text);
    journal.walk(now, follower_at, &mut findings, on_progress)?;
    journal.check_repeats(&mut findings)?;
    journal.check_derived(&token_stats, &mut findings);
    let (records, bytes, drift) = journal.into_totals();
    let (checks, findings) = findings.finish();
    Ok(Verification {
        records,
        files: files.len(),
        compressed: size.compressed,
        bytes,
        holder,
        checks,
        findings,
        drift,
    })
}

/// How much there is to read.
struct Size {
    /// Bytes of text, about.
    text: u64,
    compressed: usize,
}

impl Size {
    fn of(data: &DataFolder, files: &[FileName]) -> Result<Size, LedgerError> {
        let mut size = Size { text: 0, compressed: 0 };
        for name in files {
            size.text += if archived::is_compressed(data, *name) {
                size.compressed += 1;
                archived::text_length(data, *name).map_err(data.failed("read", name.archive()))?
            } else {
                let length = data.open(name, Access::Read).and_then(|file| file.length());
                length.map_err(data.failed("read", name))?
            };
        }
        Ok(size)
    }
}
