//! The books as commands see them: a folder, or the REST of the tallybot that holds it.

mod books;
pub mod items;
mod log;
mod remote;

pub use books::{Books, Here, Place, There};
pub use log::Logged;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use chrono_tz::Tz;
use secrecy::SecretString;

use crate::config::{self, Config, ProviderKind};
use crate::ledger::{Durability, KnownNames, People, holder_of};
use crate::metering::{self, Metering, Setup, rules_of, vendors_of};
use crate::reports::stats::{ProviderInfo, ServiceStatus};
use crate::reports::{Facts, StatsReport};
use crate::stats::Period;
use crate::usage::prices::PriceBook;
use crate::usage::{Clock, SubjectId, Timestamp};

/// Reads the report of a period from a folder, whether or not a tallybot holds it.
///
/// # Errors
/// When a file cannot be read.
pub fn report(
    config: &Config,
    folder: &Path,
    zone: Tz,
    period: Period,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<StatsReport> {
    let key = People::key_of(folder)?.unwrap_or_default();
    let subject = |channel: &str, identity: &str| SubjectId::of(&key, channel, identity);
    let names = config.providers.iter().map(|provider| provider.name.clone()).collect();
    let seen = metering::look(folder, rules_of(config, zone, subject), names, clock)?;
    let holder = seen.reading.holder.as_ref();
    let facts = Facts {
        bot: &config.bot_name,
        version: env!("CARGO_PKG_VERSION"),
        status: if holder.is_some() { ServiceStatus::Ok } else { ServiceStatus::Stopped },
        started_at: holder.map(|holder| holder.started_at),
        counting_since: seen.reading.acts.as_ref().map(|acts| acts.counting_since()),
        picture: &seen.reading.picture,
        windows: &seen.windows,
        learned: &[],
        providers: config.providers.iter().map(describe).collect(),
        timezone: zone.name(),
        now: clock.now().at,
    };
    Ok(StatsReport::of(&facts, period))
}

/// As a running tallybot says it: Ollama's models are local or not one by one.
fn describe(provider: &config::Provider) -> ProviderInfo {
    let local = match provider.kind {
        ProviderKind::Ollama => None,
        ProviderKind::OpenAi => Some(provider.local == Some(true)),
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

/// Whether anything was ever recorded in a folder.
pub fn has_books(folder: &Path) -> bool {
    crate::ledger::Folder::new(folder).has_books()
}

/// Begins counting anew: through the tallybot that holds the folder, else in the folder itself, where calls that a crash
/// left open are settled by `prices`.
///
/// # Errors
/// When nobody can be reached who may write, or the act cannot be written.
pub async fn reset(
    config: &Config,
    folder: &Path,
    prices: PriceBook,
    clock: Arc<dyn Clock>,
    random: fn() -> [u8; 16],
) -> anyhow::Result<Timestamp> {
    if !has_books(folder) {
        bail!("there are no books in `{}`, so there is nothing to reset", folder.display());
    }
    if let Some(holder) = holder_of(folder) {
        let Some(listen) = holder.listen else {
            bail!(
                "process {} holds `{}` and does not listen for HTTP; use /reset_stats in its chat",
                holder.pid,
                folder.display()
            );
        };
        let token: Option<&SecretString> = config.http.admin_token.as_ref();
        return remote::reset(&listen, token)
            .await
            .with_context(|| format!("process {} holds the folder; cannot reset through http://{listen}", holder.pid));
    }
    let now = clock.now();
    let setup = Setup {
        durability: Durability::Power,
        known: KnownNames::none(),
        rules: Vec::new(),
        providers: Vec::new(),
        vendors: vendors_of(config, &prices),
        prices,
        clock,
        random,
    };
    let (metering, _) = Metering::start(folder, setup)?;
    let begin = metering.reset()?;
    metering.close(now)?;
    Ok(begin)
}
