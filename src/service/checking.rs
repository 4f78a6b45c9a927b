//! The books of a folder checked, repaired and compressed.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::{has_books, refuse_orphans};
use crate::config::Config;
use crate::ledger::{self, Archived, People, Progress, Repaired, Verification, holder_of};
use crate::limits::Rulebook;
use crate::metering::{self, rules_of};
use crate::usage::{Clock, Day, SubjectId, Zone};

/// Checks the books of a folder, whether or not a tallybot holds it.
///
/// # Errors
/// When there are none, or a file cannot be read at all.
pub fn verify(
    config: &Config,
    folder: &Path,
    zone: Zone,
    clock: &Arc<dyn Clock>,
    on_progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Verification> {
    must_have_books(folder)?;
    Ok(metering::verify(folder, &rules(config, folder, zone)?, clock.now().at, on_progress)?)
}

/// Puts what is damaged into quarantine and makes again what is made from the journal; no whole line is touched.
///
/// # Errors
/// When a tallybot holds the folder, or it cannot be repaired.
pub fn repair(config: &Config, folder: &Path, zone: Zone, clock: &Arc<dyn Clock>) -> anyhow::Result<Repaired> {
    must_be_free(folder, "repair")?;
    metering::repair(folder, &rules(config, folder, zone)?, clock).context("cannot repair")
}

/// Compresses the journal files begun before a day, or with `dry_run` says which would be.
///
/// # Errors
/// When a tallybot holds the folder, or a file cannot be read or written.
pub fn archive(
    folder: &Path,
    before: Day,
    dry_run: bool,
    clock: &Arc<dyn Clock>,
    on_file: impl FnMut(&Archived),
) -> anyhow::Result<()> {
    must_be_free(folder, "compress")?;
    ledger::archive(folder, before, dry_run, clock.now().at, on_file).context("cannot compress")
}

/// An error if a tallybot holds the folder. `doing`: what is wanted of it.
///
/// # Errors
/// Then, and when there are no books.
pub fn must_be_free(folder: &Path, doing: &str) -> anyhow::Result<()> {
    must_have_books(folder)?;
    let Some(holder) = holder_of(folder) else { return Ok(()) };
    bail!(
        "cannot {doing}: process {} holds `{}` and reads and writes its files; stop it first",
        holder.pid,
        folder.display()
    )
}

fn must_have_books(folder: &Path) -> anyhow::Result<()> {
    if !has_books(folder) {
        refuse_orphans(folder)?;
        bail!("there are no books in `{}`; another folder is named with --data-dir or `data_dir`", folder.display());
    }
    Ok(())
}

fn rules(config: &Config, folder: &Path, zone: Zone) -> anyhow::Result<Rulebook> {
    let key = People::key_of(folder)?.unwrap_or_default();
    Ok(rules_of(config, zone, |channel, identity| SubjectId::of(&key, channel, identity)))
}
