//! A folder as a reading command sees it: no lock is taken, nothing is mended, nothing is written.

use std::path::Path;
use std::sync::Arc;

use super::files::DataFolder;
use super::replay::Damage;
use super::{Acts, Follower, Holder, LedgerError, control, holder_of, recovery};
use crate::stats::Picture;
use crate::usage::Timestamp;

/// A data folder, for reading.
pub struct Folder {
    data: DataFolder,
}

/// What a folder holds at one moment.
pub struct Reading {
    /// The statistics.
    pub picture: Arc<Picture>,
    /// The owner's acts; `None` where nothing was ever recorded.
    pub acts: Option<Acts>,
    /// Who is writing to it now.
    pub holder: Option<Holder>,
    /// Bytes that are not a line. The end of a file that is being written now may be among them.
    pub damage: Vec<Damage>,
    /// Records read behind the snapshot.
    pub replayed: u64,
}

impl Folder {
    /// The folder at a path; it need not exist.
    pub fn new(path: &Path) -> Folder {
        Folder { data: DataFolder::real(path) }
    }

    /// Whether there are books in it.
    pub fn has_books(&self) -> bool {
        control::is_there(&self.data)
    }

    /// Reads it; the follower is brought to the same line.
    ///
    /// # Errors
    /// When a file cannot be read or was written by a newer version.
    pub fn read(&self, follower: &mut dyn Follower, now: Timestamp) -> Result<Reading, LedgerError> {
        let holder = holder_of(self.data.path());
        let Some(acts) = control::read_acts(&self.data)? else {
            return Ok(Reading { picture: Arc::default(), acts: None, holder, damage: Vec::new(), replayed: 0 });
        };
        let loaded = recovery::load(&self.data, &acts, follower, &[], now)?;
        Ok(Reading {
            picture: loaded.stats.picture(),
            acts: Some(acts),
            holder,
            damage: loaded.damage,
            replayed: loaded.replayed,
        })
    }
}
