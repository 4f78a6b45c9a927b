//! One import: read everything and compare it with the books, then write what is new.
//!
//! Everything is read twice, so that no call is kept in memory, only the digest of its id: first to count, then to write.
//! What is read once and gone, such as a pipe, is refused. What a total loses to its calls is taken back before these are
//! written: broken off in between, the same import done again ends where it would have ended.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::mpsc;

use super::balance::{Balance, Calls, Standing, balance};
use super::files::{Files, Format, ImportFile};
use super::found::{Found, Sums, Total};
use super::known::{Ids, Known, Wanted};
use super::summary::{OfEpoch, Summary};
use super::take::{Taker, Taking};
use super::turn::Turn;
use crate::ledger::Folder;
use crate::service::books::Place;
use crate::service::items::admitted_at;
use crate::usage::{Opening, Timestamp, Zone};

/// Calls that are written together.
const BATCH: usize = 2_000;

/// What to import, and how.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Files, and folders of files.
    pub paths: Vec<PathBuf>,
    /// Whose calls these are, where the files do not say.
    pub source: Option<String>,
    /// What the files are, if it is not to be guessed.
    pub format: Option<Format>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// Told how many bytes of how many are done, now and then.
pub type OnProgress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Takes over what stands in some files. Where somebody else is importing into the same books it waits for its turn,
/// and `on_wait` is told so.
///
/// # Errors
/// When a file cannot be read or the books cannot be written. What was written stays; the same import done again goes on
/// from there.
pub async fn import(
    place: Place<'_>,
    request: &Request,
    on_progress: OnProgress,
    on_wait: impl FnOnce(),
) -> anyhow::Result<Summary> {
    let folder = Folder::new(place.folder);
    let ours = folder.acts()?;
    let found = Files::find(&request.paths, request.format, request.source.as_deref(), ours.as_ref())?;
    let (zone, now) = (place.zone, place.clock.now().at);
    let _turn = if request.dry_run { None } else { Some(Turn::take(place.folder, on_wait).await) };
    let taker = if request.dry_run { None } else { Some(Taker::open(place).await?) };
    let mut progress = Progress::new(&found.files, if request.dry_run { 1 } else { 2 }, on_progress);
    let wanted = wanted(&found.files);
    let known = Known::read(&folder, &wanted).context("cannot read the books")?;
    let (mut summary, mut count) = Count::of(&found, &known, &wanted, (now, zone), &mut progress)?;
    let Known { ids, calls, openings, .. } = known;
    let standing = Standing { openings: &openings, calls: &calls, arriving: &count.arriving };
    let mut balance = balance(&count.totals, &standing, now, zone);
    summary.dry_run = request.dry_run;
    summary.describe(&balance, &mut count);
    balance.add.extend(count.copies);
    let Some(taker) = taker else { return Ok(summary) };
    let written = write(&taker, found.files, ids, wanted, &balance, progress).await;
    summary.through = taker.through();
    let taking = taker.close().and(written)?;
    (summary.new, summary.already_there) = (taking.new, summary.calls.saturating_sub(taking.new));
    Ok(summary)
}

fn wanted(files: &[ImportFile]) -> Wanted {
    let first_word = |name: &str| name.split(' ').next().unwrap_or_default().to_owned();
    let usual = Format::ALL.into_iter().map(|format| format.usual_source().to_owned());
    Wanted {
        sources: files.iter().map(|file| first_word(&file.source)).chain(usual).collect(),
        records: files.iter().any(|file| file.format == Format::Tallybot),
    }
}

/// What the first reading gives, beside the summary.
struct Count {
    now: Timestamp,
    zone: Zone,
    /// The resets of our books.
    resets: Vec<Timestamp>,
    totals: Vec<Total>,
    arriving: Calls,
    /// Opening balances of other books that are not here yet.
    copies: Vec<Opening>,
    /// What comes of epochs that are over, by how many resets they are back.
    older: BTreeMap<usize, OfEpoch>,
}

impl Count {
    /// Reads everything once and counts; remembers nothing of a call but that it was there.
    fn of(
        found: &Files,
        known: &Known,
        wanted: &Wanted,
        (now, zone): (Timestamp, Zone),
        progress: &mut Progress,
    ) -> anyhow::Result<(Summary, Count)> {
        let mut summary = Summary { files: found.files.len() as u64, ..Summary::default() };
        let (totals, copies) = (Vec::new(), Vec::new());
        let (arriving, older, resets) = (Calls::default(), BTreeMap::new(), known.resets.clone());
        let mut count = Count { now, zone, resets, totals, arriving, copies, older };
        for (path, reason) in &found.bad {
            summary.add_bad(path, 0, reason.clone());
        }
        let (mut seen, mut origins) = (known.ids.clone(), known.origins.clone());
        for file in &found.files {
            let on_bytes = |bytes| progress.add(bytes);
            file.read(on_bytes, |found| match found {
                Found::Bad { line, reason } => summary.add_bad(&file.path, line, reason),
                Found::Total(total) => count.totals.push(*total),
                Found::Item { line, .. } | Found::Record { line, .. } => {
                    summary.calls += 1;
                    if is_new(&found, &mut seen, wanted) {
                        summary.new += 1;
                        if count.arrives(&found) > now {
                            summary.add_to_come(&file.path, line);
                        }
                    }
                }
            })?;
        }
        let is_new = |opening: &&Opening| opening.origin.is_some_and(|origin| origins.insert(origin));
        count.copies.extend(found.openings.iter().filter(is_new).cloned());
        summary.totals = (count.totals.len() + found.openings.len()) as u64;
        summary.already_there = summary.calls - summary.new;
        Ok((summary, count))
    }

    /// What is of an epoch that is over.
    fn of_older(&mut self, at: Timestamp) -> Option<&mut OfEpoch> {
        let epoch = self.resets.len() - self.resets.partition_point(|reset| *reset <= at.min(self.now));
        (epoch > 0).then(|| self.older.entry(epoch).or_insert(OfEpoch { epoch, ..OfEpoch::default() }))
    }

    /// Counts a new call; gives when it says it was.
    fn arrives(&mut self, found: &Found) -> Timestamp {
        let at = match found {
            Found::Item { item, .. } => {
                let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
                let ok = i64::from(item.status.is_ok());
                let sums = Sums {
                    ok,
                    failed: 1 - ok,
                    prompt: count(item.tokens.prompt),
                    completion: count(item.tokens.completion),
                    cost: item.cost,
                };
                let source = item.given.as_ref().map_or("", |given| given.name.as_str());
                self.arriving.add_sums(source, (&item.api_type, &item.model), sums);
                item.at.map_or(self.now, |at| admitted_at(at, self.zone))
            }
            Found::Record { record, .. } => {
                if let Some(given) = &record.source {
                    self.arriving.add(&given.name, record);
                }
                record.timestamp
            }
            Found::Total(_) | Found::Bad { .. } => self.now,
        };
        if let Some(older) = self.of_older(at) {
            older.calls += 1;
        }
        at
    }
}

/// Whether a call is neither in the books nor earlier in the files.
fn is_new(found: &Found, seen: &mut Ids, wanted: &Wanted) -> bool {
    match found {
        Found::Item { item, .. } => item.given.as_ref().is_none_or(|given| seen.is_new(given)),
        Found::Record { record, .. } => seen.is_new_record(record, wanted),
        Found::Total(_) | Found::Bad { .. } => false,
    }
}

/// Writes the difference: what is taken back, the calls, what is added.
async fn write(
    taker: &Taker,
    files: Vec<ImportFile>,
    mut seen: Ids,
    wanted: Wanted,
    balance: &Balance,
    mut progress: Progress,
) -> anyhow::Result<Taking> {
    taker.openings(&balance.take_back).await?;
    let (batches, mut arriving) = mpsc::channel::<Vec<Found>>(2);
    let reading = tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        for file in &files {
            let on_bytes = |bytes| progress.add(bytes);
            file.read(on_bytes, |found| {
                if is_new(&found, &mut seen, &wanted) {
                    batch.push(found);
                }
                if batch.len() == BATCH {
                    // Nobody takes them any more when writing failed, which is then told.
                    let _gone = batches.blocking_send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)));
                }
            })?;
            if batches.is_closed() {
                return Ok(());
            }
        }
        let _gone = batches.blocking_send(batch);
        Ok(())
    });
    let mut taking = Taking::default();
    let written = async {
        while let Some(batch) = arriving.recv().await {
            taker.calls(batch, &mut taking).await?;
        }
        taker.openings(&balance.add).await?;
        taker.openings(&balance.retimed).await
    };
    let written = written.await;
    drop(arriving);
    reading.await.context("reading the files met a bug of tallybot's own")??;
    written.map(|()| taking)
}

impl Summary {
    fn describe(&mut self, balance: &Balance, count: &mut Count) {
        let takes_back = |opening: &&Opening| opening.requests() < 0 || opening.prompt < 0 || opening.completion < 0;
        let copied_back = count.copies.iter().filter(takes_back).count();
        self.openings_added = (balance.add.len() + count.copies.len() - copied_back) as u64;
        self.openings_taken_back = (balance.take_back.len() + copied_back) as u64;
        self.openings_retimed = balance.retimed.len() as u64 / 2;
        self.fallen_totals.clone_from(&balance.fallen);
        let times: Vec<Timestamp> = balance.add.iter().chain(&count.copies).map(|opening| opening.at).collect();
        for at in times {
            if let Some(older) = count.of_older(at) {
                older.openings += 1;
            }
        }
        self.before_resets = count.older.values().copied().collect();
    }
}

/// How far the reading is.
struct Progress {
    done: u64,
    of: u64,
    on: OnProgress,
}

impl Progress {
    fn new(files: &[ImportFile], times: u64, on: OnProgress) -> Progress {
        Progress { done: 0, of: times * files.iter().map(|file| file.bytes).sum::<u64>(), on }
    }

    fn add(&mut self, bytes: u64) {
        self.done += bytes;
        (self.on)(self.done, self.of);
    }
}
