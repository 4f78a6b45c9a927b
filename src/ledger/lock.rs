//! One writer to a folder: a lock held for life, with a note of who holds it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LedgerError;
use super::disk::private;
use crate::usage::Timestamp;

const LOCK_FILE: &str = "tallybot.lock";

/// How often, and how far apart, a lock is tried before its holder is believed.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// Who holds a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Since when.
    pub started_at: Timestamp,
    /// Where it listens for HTTP, if it does.
    pub listen: Option<String>,
}

/// The lock on a folder; released when dropped, or by the system when the process dies.
#[derive(Debug)]
pub(super) struct FolderLock {
    file: File,
    path: PathBuf,
    holder: Holder,
}

impl FolderLock {
    pub(super) fn take(folder: &Path, holder: &Holder) -> Result<FolderLock, LedgerError> {
        let path = folder.join(LOCK_FILE);
        let file = private().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(LedgerError::io("open", &path))?;
        if !locked_soon(&file) {
            return Err(LedgerError::InUse { folder: folder.to_owned(), holder: describe(&path) });
        }
        // After an unlink and a new file, two processes could each hold "the" lock: ours must be the one by that name.
        let same = std::fs::metadata(&path).and_then(|by_name| Ok(by_name.ino() == file.metadata()?.ino()));
        if !same.map_err(LedgerError::io("check", &path))? {
            return Err(LedgerError::InUse { folder: folder.to_owned(), holder: "a process that just started".into() });
        }
        write_holder(&file, holder).map_err(LedgerError::io("write", &path))?;
        Ok(FolderLock { file, path, holder: holder.clone() })
    }

    /// Notes where the holder listens, once it does.
    pub(super) fn announce(&self, listen: &str) -> Result<(), LedgerError> {
        let holder = Holder { listen: Some(listen.to_owned()), ..self.holder.clone() };
        write_holder(&self.file, &holder).map_err(LedgerError::io("write", &self.path))
    }
}

/// Takes the lock, or learns that somebody keeps it: a command that only looks holds it for a moment.
fn locked_soon(file: &File) -> bool {
    (0..TRIES).any(|tried| {
        if tried > 0 {
            std::thread::sleep(BETWEEN_TRIES);
        }
        file.try_lock().is_ok()
    })
}

fn write_holder(file: &File, holder: &Holder) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(holder).expect("plain data can be written");
    text.push(b'\n');
    file.write_all_at(&text, 0)?;
    file.set_len(text.len() as u64)
}

/// Who holds the folder now; `None` if nobody does.
pub fn holder_of(folder: &Path) -> Option<Holder> {
    let path: PathBuf = folder.join(LOCK_FILE);
    let mut file = File::open(&path).ok()?;
    // Shared, so that two commands that only look do not take each other for a holder.
    if file.try_lock_shared().is_ok() {
        return None;
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn describe(path: &Path) -> String {
    let holder = std::fs::read(path).ok().and_then(|text| serde_json::from_slice::<Holder>(&text).ok());
    match holder {
        Some(holder) => format!("another tallybot (process {}, since {})", holder.pid, holder.started_at),
        None => "another process".into(),
    }
}
