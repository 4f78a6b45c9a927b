//! `tallybot verify --repair`: what is damaged goes into quarantine, what is made from the journal is made again. No
//! whole line is ever touched.

use std::io;
use std::path::Path;

use crate::ledger::control::CONTROL_FILE;
use crate::ledger::files::DataFolder;
use crate::ledger::journal::Syncing;
use crate::ledger::lock::FolderLock;
use crate::ledger::replay::for_each_line_of;
use crate::ledger::snapshot::{self, PREVIOUS, SNAPSHOT};
use crate::ledger::token_stats::TOKEN_STATS;
use crate::ledger::{Damage, Holder, Ledger, LedgerError, Options, archived, control, sealed};
use crate::usage::Timestamp;
use serde::Serialize;

/// What a repair did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Repaired {
    /// Pieces of damage that are in quarantine now, and how many bytes.
    pub quarantined: (usize, u64),
    /// The new names of the snapshots there were, in case their numbers are wanted.
    pub put_aside: Vec<String>,
    /// Records read, from the first line on.
    pub records: u64,
    /// Calls that are open still; the next start records them as interrupted.
    pub open_calls: usize,
}

/// Repairs a folder that nobody holds.
///
/// # Errors
/// [`LedgerError::InUse`] while a tallybot holds it; when the owner's acts are damaged or something was written by a
/// newer version, for then nothing is touched; when the disk does not take what is written.
pub fn repair(folder: &Path, options: Options, now: Timestamp) -> Result<Repaired, LedgerError> {
    let data = DataFolder::real(folder);
    let holder = Holder { pid: std::process::id(), started_at: now, listen: None, troubled: false };
    let lock = FolderLock::take(folder, &holder)?;
    let lineage = control::read_acts(&data)?.map(|acts| acts.lineage).ok_or_else(|| LedgerError::NotOurs {
        path: data.path_of(CONTROL_FILE),
        line: 1,
        problem: "it does not say which ledger this is; restore it from a copy".to_owned(),
    })?;
    refuse_unreadable(&data)?;
    for name in [SNAPSHOT, PREVIOUS] {
        let text = data.read_if_there(name).map_err(data.failed("read", name))?;
        if snapshot::is_newer(&text) {
            let problem = "written by a newer tallybot; repair with that one".to_owned();
            return Err(LedgerError::NotOurs { path: data.path_of(name), line: 1, problem });
        }
    }
    let mut repaired = Repaired::default();
    for name in [SNAPSHOT, PREVIOUS] {
        let aside = format!("{name}.before-repair");
        match data.rename(name, &aside) {
            Ok(()) => repaired.put_aside.push(aside),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(data.failed("put aside", name)(error)),
        }
    }
    match data.remove(TOKEN_STATS) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(data.failed("remove", TOKEN_STATS)(error)),
        _ => {}
    }
    sealed::remove_all(&data)?;
    // Without snapshots and folds a start reads everything, puts all damage into quarantine and makes the rest again.
    let (ledger, opened) = Ledger::open_locked(data, Some(lock), Syncing::InThread, options, lineage, now)?;
    repaired.records = opened.replayed;
    repaired.quarantined = (opened.damage.len(), opened.damage.iter().map(bytes).sum());
    repaired.open_calls = opened.interrupted.len();
    ledger.inner.journal.seal()?;
    ledger.close(now)?;
    Ok(repaired)
}

/// An error if a compressed file cannot be read to its end: what would be made again without its records would look as
/// if they had never been.
fn refuse_unreadable(data: &DataFolder) -> Result<(), LedgerError> {
    for name in data.journal_files()?.into_iter().filter(|name| archived::is_compressed(data, *name)) {
        let mut lines = 0;
        if let Some(offset) = for_each_line_of(data, name, |line| lines = line.number)? {
            let problem = format!(
                "cannot be decompressed behind byte {offset} of its text; restore it from a copy, or move it away to go \
                 on without its records, then repair again"
            );
            return Err(LedgerError::NotOurs { path: data.path_of(name.archive()), line: lines, problem });
        }
    }
    Ok(())
}

fn bytes(damage: &Damage) -> u64 {
    damage.bytes
}
