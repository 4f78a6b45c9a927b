//! The data folder: its files by name, private from the first byte, durable where it matters.

use std::fmt::Display;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LedgerError;
use super::disk::{Access, Disk, DiskFile, Reader, RealDisk};
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

    /// The name of its compressed form.
    pub(super) fn archive(self) -> String {
        format!("{self}.gz")
    }

    /// The next part of the same day, for when this one can no longer be trusted.
    pub(super) fn next_part(self) -> FileName {
        FileName { part: self.part + 1, ..self }
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

/// What the names of everything begin with that tallybot makes in its folder.
const OWN_NAMES: [&str; 13] = [
    "tokens_",
    "control.jsonl",
    "open.slots",
    "metrics.",
    "token_stats.json",
    "token_debug.log",
    "tallybot.lock",
    "people.json",
    "prices.",
    "subject.key",
    "derived",
    ".tallybot",
    "lost+found",
];

/// Takes from others the rights they have to a folder of this machine, if it is there. One with files of somebody else in
/// it is left as it is: whoever chose it by mistake shall not lose more than privacy.
///
/// # Errors
/// Why others can still look into it.
pub(super) fn close_to_others(folder: &Path) -> Result<(), String> {
    let mode = || fs::metadata(folder).map(|metadata| metadata.permissions().mode());
    let is_open = |mode: u32| mode & 0o077 != 0;
    let Ok(before) = mode() else { return Ok(()) };
    if !is_open(before) {
        return Ok(());
    }
    let names = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let is_foreign = |name: &str| !OWN_NAMES.iter().any(|own| name.starts_with(own));
    let foreign = names
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .find(|name| is_foreign(name));
    if let Some(foreign) = foreign {
        return Err(format!("`{foreign}` in it is not tallybot's, so its rights were left as they are"));
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(|error| error.to_string())?;
    if mode().is_ok_and(is_open) {
        return Err("its file system keeps no rights".to_owned());
    }
    Ok(())
}

/// A data folder on a disk. Its files go by their names within it.
#[derive(Clone)]
pub(super) struct DataFolder {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl DataFolder {
    /// A folder of this machine; it need not exist.
    pub(super) fn real(path: &Path) -> DataFolder {
        DataFolder::on(Arc::new(RealDisk), path)
    }

    /// A folder on any disk.
    pub(super) fn on(disk: Arc<dyn Disk>, path: &Path) -> DataFolder {
        DataFolder { disk, path: path.to_owned() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file, for the system and for messages.
    pub(super) fn path_of(&self, name: impl Display) -> PathBuf {
        self.path.join(name.to_string())
    }

    /// The error of something that failed on a file.
    pub(super) fn failed<N: Display>(
        &self,
        doing: &'static str,
        name: N,
    ) -> impl FnOnce(io::Error) -> LedgerError + use<N> {
        LedgerError::io(doing, &self.path_of(name))
    }

    /// Makes the folder and its parents, closed to others; one that is there is closed.
    pub(super) fn make(&self) -> Result<(), LedgerError> {
        self.disk.make_folder(&self.path).map_err(LedgerError::io("create", &self.path))?;
        if let Err(reason) = close_to_others(&self.path) {
            tracing::warn!(reason, "others can look into the data folder");
        }
        Ok(())
    }

    /// Makes a folder within, likewise.
    pub(super) fn make_within(&self, name: &str) -> io::Result<()> {
        self.disk.make_folder(&self.path_of(name))
    }

    /// Makes the names in it durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.disk.sync_folder(&self.path)
    }

    /// Every journal file, compressed ones too, in the order in which they were written.
    pub(super) fn journal_files(&self) -> Result<Vec<FileName>, LedgerError> {
        let names = self.disk.list(&self.path).map_err(LedgerError::io("list", &self.path))?;
        let plain = |name: &String| FileName::parse(name.strip_suffix(".gz").unwrap_or(name));
        let mut files: Vec<FileName> = names.iter().filter_map(plain).collect();
        files.sort_unstable();
        files.dedup(); // both forms are there after a crash between the two steps of compressing
        Ok(files)
    }

    /// The names of the files in a folder within; none if that is not there.
    pub(super) fn names_in(&self, folder: &str) -> io::Result<Vec<String>> {
        match self.disk.list(&self.path_of(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    pub(super) fn open(&self, name: impl Display, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(&self.path_of(name), access)
    }

    /// A file's content from an offset on.
    pub(super) fn reader(&self, name: impl Display, offset: u64) -> io::Result<Reader> {
        Ok(Reader::new(self.open(name, Access::Read)?, offset))
    }

    /// Makes a new file and makes its name durable. One whose name did not become durable is taken away again, so that
    /// the next try makes another: of this one nobody knows what a sync would still do.
    pub(super) fn create_new(&self, name: impl Display, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path_of(name);
        let file = self.disk.create_new(&path, access)?;
        if let Err(error) = file.sync().and_then(|()| self.sync_parent(&path)) {
            // Whoever finds it in the way sees that it is empty.
            let _ = self.disk.remove(&path);
            return Err(error);
        }
        Ok(file)
    }

    /// Opens a file for changing it, making it if it is not there.
    pub(super) fn open_or_create(&self, name: impl Display) -> io::Result<Arc<dyn DiskFile>> {
        match self.open(&name, Access::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create_new(name, Access::Write),
            opened => opened,
        }
    }

    /// Gives a whole and synced file its final name, durably, in place of what had it.
    pub(super) fn rename(&self, from: impl Display, to: impl Display) -> io::Result<()> {
        let to = self.path_of(to);
        self.disk.rename(&self.path_of(from), &to)?;
        self.sync_parent(&to)
    }

    /// Replaces a file's content in one step: temporary file, sync, rename, sync of the folder.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.replace_if(name, content, || true).map(|_| ())
    }

    /// Replaces a file's content, if that is still wanted at the last moment before; gives whether it was.
    pub(super) fn replace_if(&self, name: &str, content: &[u8], wanted: impl FnOnce() -> bool) -> io::Result<bool> {
        let temporary = format!("{name}.tmp");
        self.end(&temporary, self.replace_by(&temporary, name, content, wanted))
    }

    /// Ends the writing of a file under a temporary name. Where it failed that is taken away: on a full disk its room may be
    /// what the journal waits for.
    pub(super) fn end<T, E>(&self, temporary: &str, written: Result<T, E>) -> Result<T, E> {
        written.inspect_err(|_| {
            let _what_stays_goes_before_the_next_try = self.remove_if_there(temporary);
        })
    }

    fn replace_by(
        &self,
        temporary: &str,
        name: &str,
        content: &[u8],
        wanted: impl FnOnce() -> bool,
    ) -> io::Result<bool> {
        let (path, temporary) = (self.path_of(name), self.path_of(temporary));
        self.remove_path_if_there(&temporary)?;
        let file = self.disk.create_new(&temporary, Access::Write)?;
        file.write_all_at(content, 0)?;
        file.sync()?;
        if !wanted() {
            self.disk.remove(&temporary)?;
            return Ok(false);
        }
        self.disk.rename(&temporary, &path)?;
        self.sync_parent(&path).map(|()| true)
    }

    /// Keeps a file under a second name, in place of what had that; at no moment does the first name go.
    pub(super) fn keep_as(&self, name: &str, second: &str) -> io::Result<()> {
        let second = self.path_of(second);
        self.remove_path_if_there(&second)?;
        self.disk.link(&self.path_of(name), &second)
    }

    /// Takes a file away.
    pub(super) fn remove(&self, name: impl Display) -> io::Result<()> {
        let path = self.path_of(name);
        self.disk.remove(&path)?;
        self.sync_parent(&path)
    }

    /// The whole content of a file.
    pub(super) fn read(&self, name: impl Display) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        io::Read::read_to_end(&mut self.reader(name, 0)?, &mut content)?;
        Ok(content)
    }

    /// The whole content of a file; empty if it is not there.
    pub(super) fn read_if_there(&self, name: impl Display) -> io::Result<Vec<u8>> {
        match self.read(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        }
    }

    /// Takes a file away that may not be there.
    pub(super) fn remove_if_there(&self, name: impl Display) -> io::Result<()> {
        self.remove_path_if_there(&self.path_of(name))
    }

    fn remove_path_if_there(&self, path: &Path) -> io::Result<()> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync_parent(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        self.disk.sync_folder(parent.unwrap_or(Path::new(".")))
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
        assert_eq!(
            FileName::parse("tokens_2026-11-22.2.jsonl").map(FileName::archive).as_deref(),
            Some("tokens_2026-11-22.2.jsonl.gz")
        );
        for name in
            ["tokens_2026-11-22.1.jsonl", "tokens_x.jsonl", "tokens_2026-11-22.jsonl.quarantine", "control.jsonl"]
        {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
        assert!(FileName::parse("tokens_2026-11-22.2.jsonl") < FileName::parse("tokens_2026-11-23.jsonl"));
    }
}
