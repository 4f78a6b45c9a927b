//! The books as commands see them: a folder, or the REST of the tallybot that holds it.

mod acts;
mod books;
mod checking;
pub mod import;
pub mod items;
pub mod keys;
mod log;
pub mod prices;
pub mod records;
mod remote;

pub use books::{Books, Here, Place, There, open_people};
pub use log::Logged;

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;

use crate::config::{self, Config, ProviderKind};
use crate::ledger::{Missing, People};
use crate::metering::{self, rules_of};
use crate::reports::stats::{ProviderInfo, ServiceStatus};
use crate::reports::{self, EpochUse, Facts, StatsReport};
use crate::stats::Period;
use crate::usage::{Clock, SubjectId, Zone};

pub use checking::{archive, must_be_free, repair, verify};

/// A report, and what it lacks.
pub struct Read {
    /// What the files give.
    pub report: StatsReport,
    /// Lines that were counted once and are in no file any more.
    pub missing: Option<Missing>,
}

/// Reads the report of a period in an epoch from a folder, whether or not a tallybot holds it.
///
/// # Errors
/// When a file cannot be read, or there are not so many epochs.
pub fn report(
    config: &Config,
    folder: &Path,
    zone: Zone,
    (period, epoch): (Period, usize),
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Read> {
    let key = People::key_of(folder)?.unwrap_or_default();
    let subject = |channel: &str, identity: &str| SubjectId::of(&key, channel, identity);
    let names = config.providers.iter().map(|provider| provider.name.clone()).collect();
    let seen = metering::look(folder, rules_of(config, zone, subject), names, clock)?;
    let holder = seen.reading.holder.as_ref();
    let facts = Facts {
        bot: &config.bot_name,
        version: env!("CARGO_PKG_VERSION"),
        status: match holder {
            None => ServiceStatus::Stopped,
            Some(holder) if holder.troubled => ServiceStatus::Degraded,
            Some(_) => ServiceStatus::Ok,
        },
        started_at: holder.map(|holder| holder.started_at),
        begun: seen.reading.acts.as_ref().map(|acts| acts.begun),
        picture: &seen.reading.picture,
        windows: &seen.windows,
        learned: &[],
        providers: config.providers.iter().map(describe).collect(),
        timezone: zone,
        now: clock.now().at,
    };
    let report = StatsReport::of_epoch(&facts, period, epoch);
    let report = report.map_err(|none| anyhow!("{none}; `tallybot stats --epochs` lists them"))?;
    Ok(Read { report, missing: seen.reading.missing })
}

/// Reads the epochs of a folder, the current one first.
///
/// # Errors
/// When a file cannot be read.
pub fn epochs(folder: &Path, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<EpochUse>> {
    let reading = metering::look(folder, Vec::new(), Vec::new(), clock)?.reading;
    Ok(reports::epochs(&reading.picture, reading.acts.map(|acts| acts.begun)))
}

/// As a running tallybot says it: Ollama's models are local or not one by one.
fn describe(provider: &config::Provider) -> ProviderInfo {
    let local = match provider.kind {
        ProviderKind::Ollama => None,
        ProviderKind::OpenAi | ProviderKind::Anthropic | ProviderKind::Gemini => Some(provider.local == Some(true)),
        ProviderKind::Demo => Some(true),
    };
    ProviderInfo {
        name: provider.name.clone(),
        kind: provider.kind.as_str().to_owned(),
        plan: provider.plan.clone(),
        local,
        demo: provider.kind == ProviderKind::Demo,
    }
}

/// Takes from others the rights they have to a folder, if it is there.
///
/// # Errors
/// Why they can still look into it.
pub fn close_to_others(folder: &Path) -> Result<(), String> {
    crate::ledger::Folder::new(folder).close_to_others()
}

/// Refuses a folder whose books have lost their acts, or belong to another program.
///
/// # Errors
/// Then, with what to do.
pub fn refuse_orphans(folder: &Path) -> Result<(), crate::ledger::LedgerError> {
    crate::ledger::Folder::new(folder).acts().map(|_| ())
}

/// Whether anything was ever recorded in a folder.
pub fn has_books(folder: &Path) -> bool {
    crate::ledger::Folder::new(folder).has_books()
}
