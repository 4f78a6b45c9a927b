//! The records of a folder one by one, whether or not a tallybot holds it: chosen, walked through, added up, followed.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, bail};

use crate::ledger::{DamageKind, Folder, LedgerError, People, Tail};
use crate::reports::records::{Facet, RecordFilter};
use crate::stats::{ModelTable, Period};
use crate::usage::{Day, Status, SubjectId, Timestamp, UsageRecord};

/// Which records somebody asks for, in their words.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// What `stats` counts in this period.
    pub period: Option<Period>,
    /// The epoch, counted back from the current one; with a period the current one if none is named.
    pub epoch: Option<usize>,
    /// The first billing day.
    pub from: Option<Day>,
    /// The last billing day.
    pub to: Option<Day>,
    /// Names, each with the values that fit.
    pub names: Vec<(Facet, Vec<String>)>,
    /// How calls ended; empty for any.
    pub statuses: Vec<Status>,
    /// Whose they were, as an id or as `CHANNEL:IDENTITY`; empty for anybody.
    pub users: Vec<String>,
}

/// What is asked for, as a filter over the records of a folder.
///
/// # Errors
/// When it makes no sense, or the folder's acts or key cannot be read.
pub fn filter(folder: &Path, asked: Asked, today: Day) -> anyhow::Result<RecordFilter> {
    let mut filter =
        RecordFilter { from: asked.from, to: asked.to, statuses: asked.statuses, ..RecordFilter::default() };
    if asked.period.is_some() || asked.epoch.is_some() {
        (filter.since, filter.until) = epoch(folder, asked.epoch.unwrap_or(0))?;
    }
    if let Some(first) = asked.period.and_then(|period| period.first_day(today)) {
        (filter.from, filter.to) = (Some(first), Some(today));
    }
    if !asked.users.is_empty() {
        let key = People::key_of(folder)?.unwrap_or_default();
        filter.users = asked.users.iter().map(|user| subject(&key, user)).collect::<anyhow::Result<_>>()?;
    }
    filter.names = asked.names.into_iter().filter(|(_, values)| !values.is_empty()).collect();
    Ok(filter)
}

/// The resets that an epoch, counted back from the current one, begins and ends with, if it does with any.
fn epoch(folder: &Path, back: usize) -> anyhow::Result<(Option<Timestamp>, Option<Timestamp>)> {
    let resets = Folder::new(folder).acts()?.map(|acts| acts.resets).unwrap_or_default();
    let Some(first) = resets.len().checked_sub(back) else {
        bail!("there is no epoch {back}; tallybot stats --epochs lists them");
    };
    Ok((first.checked_sub(1).map(|at| resets[at]), resets.get(first).copied()))
}

fn subject(key: &[u8], user: &str) -> anyhow::Result<SubjectId> {
    let identity = user.split_once(':').map(|(channel, identity)| SubjectId::of(key, channel, identity));
    identity.or_else(|| SubjectId::parse(user)).with_context(|| {
        format!("`{user}` is no user; expected the id in a record, or a channel and an identity such as `telegram:111`")
    })
}

/// Hands on every record of a folder that is wanted, in the order in which they were written, until `on_record` breaks.
/// Gives how many damaged pieces there are that are no record.
///
/// # Errors
/// When a file cannot be read.
pub fn for_each(
    folder: &Path,
    filter: &RecordFilter,
    mut on_record: impl FnMut(&UsageRecord<'_>) -> ControlFlow<()>,
) -> Result<usize, LedgerError> {
    let damage = Folder::new(folder).walk(filter.first_day(), |record| {
        if filter.wants(record) { on_record(record) } else { ControlFlow::Continue(()) }
    })?;
    // The end of a file that is being written is not damage.
    Ok(damage.iter().filter(|damage| damage.kind == DamageKind::Corrupt).count())
}

/// The totals by API and model of the records that are wanted. Of all records it is what `token_stats.json` says, with
/// the opening balances, which have no records of their own.
///
/// # Errors
/// When a file cannot be read.
pub fn summary(folder: &Path, filter: &RecordFilter, now: Timestamp) -> Result<ModelTable, LedgerError> {
    if filter.wants_all() {
        let reading = Folder::new(folder).read(&mut (), now)?;
        return Ok(ModelTable::of(&reading.picture.all_time()));
    }
    let mut table = ModelTable::default();
    for_each(folder, filter, |record| {
        table.add(record);
        ControlFlow::Continue(())
    })?;
    Ok(table)
}

/// The end of a folder's records, from where one can look back and go on.
pub struct Recent {
    tail: Tail,
    filter: RecordFilter,
}

impl Recent {
    /// The end as it is now, for those records that are wanted.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of(folder: &Path, filter: RecordFilter) -> Result<Recent, LedgerError> {
        Ok(Recent { tail: Folder::new(folder).tail()?, filter })
    }

    /// The newest of the wanted records, newest last.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn newest(&self, count: usize) -> Result<Vec<UsageRecord<'static>>, LedgerError> {
        self.tail.newest(count, self.filter.first_day(), |record| self.filter.wants(record))
    }

    /// Hands on those that came since.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn advance(&mut self, mut on_record: impl FnMut(&UsageRecord<'_>)) -> Result<(), LedgerError> {
        let filter = &self.filter;
        self.tail.advance(|record| {
            if filter.wants(record) {
                on_record(record);
            }
        })
    }
}
