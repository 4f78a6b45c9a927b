//! `prices.json`: the prices that the owner took from others' lists. Replaced as a whole; the one before is kept, so that an
//! import can be taken back.

use std::path::Path;

use super::LedgerError;
use super::disk::private;
use super::files::DataFolder;
use crate::usage::prices::TakenPrices;

const PRICES: &str = "prices.json";
const PREVIOUS: &str = "prices.previous.json";
/// Locked while the file is changed.
const LOCK: &str = "prices.lock";

/// The file of a folder.
#[derive(Clone)]
pub struct TakenFile {
    data: DataFolder,
}

impl TakenFile {
    /// The file of a folder; neither need exist.
    pub fn of(folder: &Path) -> TakenFile {
        TakenFile { data: DataFolder::real(folder) }
    }

    /// What was taken; nothing where there is no file.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or was written by a newer version.
    pub fn read(&self) -> Result<TakenPrices, LedgerError> {
        self.read_named(PRICES)
    }

    fn read_named(&self, name: &str) -> Result<TakenPrices, LedgerError> {
        let text = self.data.read_if_there(name).map_err(self.data.failed("read", name))?;
        if text.is_empty() && !self.data.path_of(name).exists() {
            return Ok(TakenPrices::default());
        }
        TakenPrices::read(&text).map_err(|(line, problem)| LedgerError::NotOurs {
            path: self.data.path_of(name),
            line,
            problem: format!("{problem}; restore the file from a copy, or move it away to go without the prices in it"),
        })
    }

    /// What tells one content of the file from another without reading it; `None` where there is no file.
    pub fn stamp(&self) -> Option<(u64, u64, i64, i64)> {
        use std::os::unix::fs::MetadataExt;
        let file = std::fs::metadata(self.data.path_of(PRICES)).ok()?;
        Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
    }

    /// Changes what is taken. Waits for another process that does so.
    ///
    /// # Errors
    /// What `change` says, and when a file cannot be read or written; then nothing is changed.
    pub fn change<E: From<LedgerError>>(
        &self,
        change: impl FnOnce(TakenPrices) -> Result<TakenPrices, E>,
    ) -> Result<TakenPrices, E> {
        self.data.make()?;
        let _lock = self.lock()?;
        let changed = change(self.read()?)?;
        if self.stamp().is_some() {
            self.data.keep_as(PRICES, PREVIOUS).map_err(self.data.failed("keep", PREVIOUS))?;
        } else {
            self.data.remove_if_there(PREVIOUS).map_err(self.data.failed("remove", PREVIOUS))?;
        }
        self.data.replace(PRICES, &changed.to_json()).map_err(self.data.failed("write", PRICES))?;
        Ok(changed)
    }

    /// Takes the last import back. Gives what is taken now and what was before; `None` where there is nothing to take
    /// back, or only what was imported before the last.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn undo(&self) -> Result<Option<(TakenPrices, TakenPrices)>, LedgerError> {
        if self.stamp().is_none() {
            return Ok(None);
        }
        let _lock = self.lock()?;
        let (now, before) = (self.read()?, self.read_named(PREVIOUS)?);
        if self.data.path_of(PREVIOUS).exists() {
            self.data.rename(PREVIOUS, PRICES).map_err(self.data.failed("write", PRICES))?;
        } else if now.imports.len() <= 1 {
            self.data.remove(PRICES).map_err(self.data.failed("remove", PRICES))?;
        } else {
            return Ok(None);
        }
        Ok(Some((before, now)))
    }

    fn lock(&self) -> Result<std::fs::File, LedgerError> {
        let path = self.data.path_of(LOCK);
        let lock = private().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(LedgerError::io("open", &path))?;
        lock.lock().map_err(LedgerError::io("lock", &path))?;
        Ok(lock)
    }
}
