//! The price book of an owner: the bundled rows, what was taken from others' lists, and in front the owner's `[[prices]]`.

use std::path::Path;

use anyhow::anyhow;

use crate::config::{self, Config};
use crate::ledger::TakenFile;
use crate::metering::Metering;
use crate::usage::prices::{PriceBook, PriceListError};

/// The price book of a configuration and a data folder.
///
/// # Errors
/// When a row of `[[prices]]` does not fit, or the folder's `prices.json` cannot be read.
pub fn prices_of(config: &Config, folder: &Path) -> anyhow::Result<PriceBook> {
    let mut book = PriceBook::bundled().with_unknown(config.unknown_price);
    let taken = TakenFile::of(folder).read()?.rows;
    if !taken.is_empty() {
        book =
            book.with_taken(taken).map_err(|problems| anyhow!("the prices taken do not fit: {}", listed(&problems)))?;
    }
    with_rows(&book, &config.prices)
}

/// A book with rows as `[[prices]]` has them in front.
///
/// # Errors
/// When a row does not fit.
pub fn with_rows(book: &PriceBook, rows: &[config::PriceRow]) -> anyhow::Result<PriceBook> {
    if rows.is_empty() {
        return Ok(book.clone());
    }
    let rows: Result<Vec<_>, _> = rows.iter().map(config::PriceRow::for_book).collect();
    let rows = rows.map_err(|problem| anyhow!("a row of [[prices]] does not fit: {problem}"))?;
    book.with_overrides(rows).map_err(|problems| anyhow!("the rows of [[prices]] do not fit: {}", listed(&problems)))
}

fn listed(problems: &[PriceListError]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Looks whether the prices taken have changed while tallybot runs, and then prices by the new ones.
#[derive(Clone)]
pub(super) struct Watch {
    file: TakenFile,
    seen: Option<(u64, u64, i64, i64)>,
}

impl Watch {
    /// Begins with what was read at the start.
    pub(super) fn new(folder: &Path) -> Watch {
        let file = TakenFile::of(folder);
        Watch { seen: file.stamp(), file }
    }

    /// Reads the file if it is another one. One that cannot be read is said once, and the prices stay as they are.
    pub(super) fn look(&mut self, config: &Config, folder: &Path, metering: &Metering) {
        let stamp = self.file.stamp();
        if stamp == self.seen {
            return;
        }
        self.seen = stamp;
        match prices_of(config, folder) {
            Ok(prices) => {
                metering.use_prices(prices);
                tracing::info!("calls are priced by the prices that were just imported");
            }
            Err(error) => tracing::error!(error = %format_args!("{error:#}"), "the prices stay as they were"),
        }
    }
}
