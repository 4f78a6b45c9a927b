//! A price list of others: shown first, taken when somebody says so, taken back as a whole.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::ledger::TakenFile;
use crate::usage::Timestamp;
use crate::usage::prices::{
    Change, ChangeKind, Comparison, Feed, FeedFormat, MAX_FEED_BYTES, Origin, PriceBook, PriceImport, Refused,
    TakenPrices, read_feed,
};

/// What to import, and how.
#[derive(Clone, Debug, Default)]
pub struct ImportRequest {
    /// The list.
    pub file: PathBuf,
    /// Whose form it has; by its shape if nobody says.
    pub format: Option<FeedFormat>,
    /// Take it, and not only show what would be taken.
    pub take: bool,
    /// Only these models, as `MODEL` or `VENDOR/MODEL`; empty for all.
    pub only: Vec<String>,
    /// Only the models of this vendor.
    pub vendor: Option<String>,
}

/// One model of the list, and what becomes of it.
#[derive(Clone, Debug, Serialize)]
pub struct Proposed {
    /// What it would change.
    #[serde(flatten)]
    pub change: Change,
    /// Whether the owner's `[[prices]]` go before it.
    pub yours_wins: bool,
    /// Whether it is taken with `--take`.
    pub to_take: bool,
}

/// What was found in a list, and done with it.
#[derive(Clone, Debug, Serialize)]
pub struct ImportSummary {
    /// The file's name.
    pub file: String,
    /// Whose form it has.
    pub format: &'static str,
    /// The SHA-256 of its content.
    pub sha256: String,
    /// Whether it was taken.
    pub taken: bool,
    /// What it says, those to be looked at first.
    pub models: Vec<Proposed>,
    /// What could not be read, and why.
    pub refused: Vec<Refused>,
    /// Entries that price nothing.
    pub passed_over: usize,
}

/// An import that was taken back.
#[derive(Clone, Debug, Serialize)]
pub struct Undone {
    /// The import.
    pub undone: Option<PriceImport>,
    /// How many rows are taken from others now.
    pub rows: usize,
}

/// Reads a list of others.
///
/// # Errors
/// When it cannot be read, is too large, or is no such list.
pub fn read_list(file: &Path, format: Option<FeedFormat>) -> anyhow::Result<(Feed, String)> {
    let shown = file.display();
    let doing = || format!("cannot read `{shown}`");
    let opened = File::open(file).with_context(doing)?;
    let mut content = Vec::new();
    opened.take(MAX_FEED_BYTES + 1).read_to_end(&mut content).with_context(doing)?;
    if content.len() as u64 > MAX_FEED_BYTES {
        bail!("`{shown}` has more than {MAX_FEED_BYTES} bytes; a list of prices has a few million");
    }
    let text = std::str::from_utf8(&content).with_context(|| format!("`{shown}` is not UTF-8"))?;
    let feed = read_feed(text, format).with_context(|| format!("`{shown}` is no list of prices"))?;
    Ok((feed, data_encoding::HEXLOWER.encode(&Sha256::digest(&content))))
}

/// Compares a list with the prices of a folder, and takes it if that is asked for. `book` is the whole price book, the
/// owner's rows included.
///
/// # Errors
/// When the list or the folder's prices cannot be read, a model that is named is not in the list, or it cannot be written.
pub fn import(
    folder: &Path,
    book: &PriceBook,
    request: &ImportRequest,
    now: Timestamp,
) -> anyhow::Result<ImportSummary> {
    let (feed, sha256) = read_list(&request.file, request.format)?;
    let file = request.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut summary = ImportSummary {
        file: file.clone(),
        format: feed.format.as_str(),
        sha256: sha256.clone(),
        taken: false,
        models: Vec::new(),
        refused: feed.refused.iter().filter(|refused| request.wants_refused(&refused.name)).cloned().collect(),
        passed_over: feed.passed_over,
    };
    let compared = |taken: &TakenPrices| request.compared(&feed, taken, book, now);
    if !request.take {
        summary.models = compared(&TakenFile::of(folder).read()?)?;
        return Ok(summary);
    }
    // Compared again under the lock: with what is then there.
    TakenFile::of(folder)
        .change(|taken| -> anyhow::Result<TakenPrices> {
            summary.models = compared(&taken)?;
            let chosen: Vec<&Change> =
                summary.models.iter().filter(|model| model.to_take).map(|model| &model.change).collect();
            if chosen.is_empty() {
                bail!(NothingToTake);
            }
            let import = PriceImport { at: now, format: summary.format.to_owned(), file, sha256, taken: chosen.len() };
            taken.with(&chosen, import).map_err(|problem| anyhow::anyhow!("the rows do not go together: {problem}"))
        })
        .map(|_| summary.taken = true)
        .or_else(|error| if error.is::<NothingToTake>() { Ok(()) } else { Err(error) })?;
    Ok(summary)
}

/// No row would change.
#[derive(Debug, thiserror::Error)]
#[error("there is nothing to take")]
struct NothingToTake;

/// Takes the last import back; `None` when there is none that could be.
///
/// # Errors
/// When the prices cannot be read or written.
pub fn undo(folder: &Path) -> anyhow::Result<Option<Undone>> {
    let Some((now, mut before)) = TakenFile::of(folder).undo()? else { return Ok(None) };
    Ok(Some(Undone { undone: before.imports.pop(), rows: now.rows.len() }))
}

impl ImportRequest {
    /// The models that are asked for, beside what is there; what is to be looked at stands first.
    fn compared(
        &self,
        feed: &Feed,
        taken: &TakenPrices,
        book: &PriceBook,
        now: Timestamp,
    ) -> anyhow::Result<Vec<Proposed>> {
        let others = PriceBook::bundled().with_taken(taken.rows.clone());
        let others = others.map_err(|problems| anyhow::anyhow!("the prices taken do not fit: {}", problems[0]))?;
        let comparison = Comparison::new(&others, now);
        let mut models: Vec<Proposed> = Vec::new();
        for offer in &feed.offers {
            let change = comparison.of(offer.clone());
            let named = self.only.iter().any(|name| is_named(name, &change.vendor, &change.model));
            let of_vendor = self.vendor.as_ref().is_none_or(|vendor| *vendor == change.vendor);
            if !of_vendor || (!self.only.is_empty() && !named) {
                continue;
            }
            let yours = book.rows_of(Some(&change.vendor), &change.model);
            models.push(Proposed {
                yours_wins: yours.iter().any(|entry| entry.origin == Origin::Owner),
                to_take: change.kind != ChangeKind::Same && (named || change.look_at.is_empty()),
                change,
            });
        }
        for name in &self.only {
            let is_refused = || feed.refused.iter().any(|refused| is_refused_as(name, &refused.name));
            if !models.iter().any(|model| is_named(name, &model.change.vendor, &model.change.model)) && !is_refused() {
                bail!(
                    "the list has no `{name}`; expected the name of a model in it, such as `gpt-4o` or `openai/gpt-4o`"
                );
            }
        }
        models.sort_by_key(|model| (model.change.look_at.is_empty(), model.change.kind != ChangeKind::Changed));
        Ok(models)
    }

    fn wants_refused(&self, name: &str) -> bool {
        let of_vendor = self.vendor.as_ref().is_none_or(|vendor| name.starts_with(vendor.as_str()));
        of_vendor && (self.only.is_empty() || self.only.iter().any(|only| is_refused_as(only, name)))
    }
}

fn is_named(name: &str, vendor: &str, model: &str) -> bool {
    name == model || name.strip_prefix(vendor).and_then(|rest| rest.strip_prefix('/')) == Some(model)
}

fn is_refused_as(name: &str, refused: &str) -> bool {
    refused == name || refused.split_once('/').is_some_and(|(_, model)| model == name)
}
