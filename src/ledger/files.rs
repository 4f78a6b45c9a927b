//! The few ways in which the ledger touches files: private from the first byte, durable where it matters.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::usage::Day;

/// The name of a journal file: the day it was begun, and its part (1 unless a failure forced a new file).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileName {
    pub(super) day: Day,
    pub(super) part: u32,
}

impl FileName {
    /// Reads `tokens_YYYY-MM-DD.jsonl` or `tokens_YYYY-MM-DD.N.jsonl`.
    pub(super) fn parse(name: &str) -> Option<FileName> {
        let rest = name.strip_prefix("tokens_")?.strip_suffix(".jsonl")?;
        let (day, part) = match rest.split_once('.') {
            None => (rest, 1),
            Some((day, part)) => (day, part.parse().ok().filter(|part| *part > 1)?),
        };
        Some(FileName { day: Day::parse(day)?, part })
    }

    /// The next part of the same day, for when this one can no longer be trusted.
    pub(super) fn next_part(self) -> FileName {
        FileName { part: self.part + 1, ..self }
    }

    pub(super) fn in_folder(self, folder: &Path) -> PathBuf {
        folder.join(self.to_string())
    }
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.part {
            1 => write!(f, "tokens_{}.jsonl", self.day),
            part => write!(f, "tokens_{}.{part}.jsonl", self.day),
        }
    }
}

/// Every journal file of a folder, in the order in which they were written.
pub(super) fn journal_files(folder: &Path) -> io::Result<Vec<FileName>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        if let Some(name) = entry?.file_name().to_str().and_then(FileName::parse) {
            files.push(name);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Makes the folder and its parents, closed to others; an existing one is closed to others if it was made for us alone.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Options for a private file that must not be a link.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    options
}

/// Makes a new file and makes its name durable.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    let file = private().read(true).write(true).create_new(true).open(path)?;
    file.sync_all()?;
    sync_folder_of(path)?;
    Ok(file)
}

/// Opens a file for reading and writing, making it if it is not there.
pub(super) fn open_or_create(path: &Path) -> io::Result<File> {
    match private().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create_new(path),
        opened => opened,
    }
}

/// Replaces a file's content in one step: temporary file, sync, rename, sync of the folder.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = private().write(true).create(true).truncate(true).open(&temporary)?;
    io::Write::write_all(&mut file, content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_folder_of(path)
}

pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// The whole content of a file; empty if it is not there.
pub(super) fn read_if_there(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_sort_by_day_and_part() {
        for name in ["tokens_2026-11-22.jsonl", "tokens_2026-11-22.2.jsonl"] {
            assert_eq!(FileName::parse(name).map(|parsed| parsed.to_string()).as_deref(), Some(name));
        }
        for name in
            ["tokens_2026-11-22.1.jsonl", "tokens_x.jsonl", "tokens_2026-11-22.jsonl.quarantine", "control.jsonl"]
        {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
        assert!(FileName::parse("tokens_2026-11-22.2.jsonl") < FileName::parse("tokens_2026-11-23.jsonl"));
    }
}
