//! What can go wrong with the ledger.

use std::io;
use std::path::{Path, PathBuf};

/// Why the ledger could not do something. Says what was being done and to which file.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file operation failed.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was being done: `create`, `append to`, …
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another tallybot holds the folder.
    #[error("the data folder `{}` is in use by {holder}; stop it first, or choose another folder with --data-dir", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// A file was written by a newer version, or is not what its name says.
    #[error("`{}` line {line}: {problem}", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The disk does not take what is written.
    #[error("the ledger cannot be written: {reason}")]
    NotWritable {
        /// What the system said.
        reason: String,
    },
    /// The queue for records that the disk does not take is full.
    #[error("the ledger cannot be written and its queue is full")]
    QueueFull,
    /// A record with the same given id is there already.
    #[error("a record with this id is there already")]
    Duplicate,
    /// Every slot for open calls is taken.
    #[error("too many calls at once: {} are open", super::SLOTS)]
    TooManyOpenCalls,
    /// What was written did not become durable in time; nobody takes it back.
    #[error("the disk has not confirmed it in time, and it may be counted already")]
    Unconfirmed,
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
}

impl LedgerError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError + use<> {
        let path = path.to_owned();
        move |source| LedgerError::Io { doing, path, source }
    }
}
