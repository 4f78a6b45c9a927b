//! One writer to a folder: two locks held for life, with a note of who holds them.
//!
//! The file `tallybot.lock` says who the holder is and how to reach it. The control file is locked as well: a lock file
//! can be deleted by a person while it is held, and whoever then made a new one would write beside the holder.

use std::fs::{File, TryLockError};
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LedgerError;
use super::control::CONTROL_FILE;
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
    /// Whether it cannot write the books.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub troubled: bool,
}

/// The lock on a folder; released when dropped, or by the system when the process dies.
#[derive(Debug)]
pub(super) struct FolderLock {
    held: Mutex<Held>,
    path: PathBuf,
}

/// The lock file, and what it says.
#[derive(Debug)]
struct Held {
    file: File,
    holder: Holder,
    /// The control file, locked, which nobody deletes and keeps the books; `None` while there is none.
    control: Option<File>,
}

impl FolderLock {
    pub(super) fn take(folder: &Path, holder: &Holder) -> Result<FolderLock, LedgerError> {
        let path = folder.join(LOCK_FILE);
        let in_use = |holder: String| LedgerError::InUse { folder: folder.to_owned(), holder };
        let file = private().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(LedgerError::io("open", &path))?;
        if !locked_soon(&file) {
            return Err(in_use(describe(&path)));
        }
        // After an unlink and a new file, two processes could each hold "the" lock: ours must be the one by that name.
        if !is_at(&file, &path).map_err(LedgerError::io("check", &path))? {
            return Err(in_use("a process that just started".into()));
        }
        let control = match lock_control(folder) {
            Err(TryLockError::WouldBlock) => {
                return Err(in_use(format!("another process, whose `{LOCK_FILE}` somebody deleted")));
            }
            // None is there yet, or the file system has no locks: then the first one must do.
            Err(TryLockError::Error(_)) => None,
            Ok(control) => Some(control),
        };
        write_holder(&file, holder).map_err(LedgerError::io("write", &path))?;
        let held = Mutex::new(Held { file, holder: holder.clone(), control });
        Ok(FolderLock { held, path })
    }

    /// Locks the control file that was just made.
    pub(super) fn hold_control(&self) {
        let mut held = self.held();
        if held.control.is_none() {
            held.control = self.path.parent().and_then(|folder| lock_control(folder).ok());
        }
    }

    /// Notes where the holder listens, once it does.
    pub(super) fn announce(&self, listen: &str) -> Result<(), LedgerError> {
        let mut held = self.held();
        held.holder.listen = Some(listen.to_owned());
        write_holder(&held.file, &held.holder).map_err(LedgerError::io("write", &self.path))
    }

    /// Makes the lock file anew if somebody deleted or replaced it: without it other commands do not find the holder.
    /// Gives whether it was gone. Notes in it whether the books cannot be written.
    pub(super) fn keep(&self, troubled: bool) -> Result<bool, LedgerError> {
        let mut held = self.held();
        if is_at(&held.file, &self.path).unwrap_or(false) {
            held.note_trouble(troubled);
            return Ok(false);
        }
        let file = private().write(true).create(true).truncate(false).open(&self.path);
        let file = file.map_err(LedgerError::io("make anew", &self.path))?;
        // Whoever is just trying the new file finds the control file locked and goes; then it is ours at the next look.
        if locked_soon(&file) {
            write_holder(&file, &held.holder).map_err(LedgerError::io("write", &self.path))?;
            held.file = file;
        }
        Ok(true)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nobody panics while holding it")
    }
}

impl Held {
    /// Where this note cannot be written either, the next call tries again.
    fn note_trouble(&mut self, troubled: bool) {
        let holder = Holder { troubled, ..self.holder.clone() };
        if holder != self.holder && write_holder(&self.file, &holder).is_ok() {
            self.holder = holder;
        }
    }
}

fn lock_control(folder: &Path) -> Result<File, TryLockError> {
    let file = File::open(folder.join(CONTROL_FILE)).map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

/// Whether a file is still the one of that name.
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    let (own, named) = (file.metadata()?, std::fs::metadata(path)?);
    Ok(named.ino() == own.ino() && named.dev() == own.dev())
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
