//! Who a subject is, for display: `people.json` maps subject ids back to identities, `subject.key` makes them.
//!
//! Erasing a person is deleting that row: the hashes that stay in the journal then name nobody.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use super::LedgerError;
use super::disk::private;
use super::files::DataFolder;
use crate::usage::{Pepper, SubjectId};

const PEOPLE_FILE: &str = "people.json";
const KEY_FILE: &str = "subject.key";
/// Locked while the key is made.
const KEY_LOCK: &str = "subject.key.lock";

/// Rows kept at most; beyond, new people stay hashes.
const MAX_PEOPLE: usize = 100_000;

/// An identity behind a subject id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Person {
    channel: String,
    identity: String,
}

/// The map from subject ids to people.
pub struct People {
    data: DataFolder,
    pepper: Pepper,
    rows: Mutex<Rows>,
}

struct Rows {
    people: BTreeMap<SubjectId, Person>,
    /// Some are not in the file yet.
    changed: bool,
}

impl People {
    /// Opens the map of a folder, making the folder, and its key from `random`, if they are not there.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn open(folder: &Path, random: [u8; 32]) -> Result<People, LedgerError> {
        let data = DataFolder::real(folder);
        data.make()?;
        let key = match People::key_of(folder)? {
            Some(key) => key,
            None => make_key(&data, random)?,
        };
        let text = data.read_if_there(PEOPLE_FILE).map_err(data.failed("read", PEOPLE_FILE))?;
        let rows = if text.is_empty() { BTreeMap::new() } else { parse(&text, &data.path_of(PEOPLE_FILE))? };
        Ok(People { data, pepper: Pepper::new(&key), rows: Mutex::new(Rows { people: rows, changed: false }) })
    }

    /// The key of a folder's subject ids, for reading commands: nothing is made where there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn key_of(folder: &Path) -> Result<Option<[u8; 32]>, LedgerError> {
        let data = DataFolder::real(folder);
        let key = data.read_if_there(KEY_FILE).map_err(data.failed("read", KEY_FILE))?;
        if key.is_empty() { Ok(None) } else { key_in(key, &data.path_of(KEY_FILE)).map(Some) }
    }

    /// The subject of an identity on a channel, without remembering who it is.
    pub fn hash(&self, channel: &str, identity: &str) -> SubjectId {
        self.pepper.subject(channel, identity)
    }

    /// The subject of an identity on a channel, remembered for display with the next [`People::save`].
    pub fn subject(&self, channel: &str, identity: &str) -> SubjectId {
        let subject = self.hash(channel, identity);
        self.remember(subject, channel, identity);
        subject
    }

    /// Remembers who a subject is, as [`People::hash`] gave it, for display with the next [`People::save`].
    pub fn remember(&self, subject: SubjectId, channel: &str, identity: &str) {
        let mut rows = self.rows();
        if !rows.people.contains_key(&subject) && rows.people.len() < MAX_PEOPLE {
            rows.people.insert(subject, Person { channel: channel.to_owned(), identity: identity.to_owned() });
            rows.changed = true;
        }
    }

    /// The identity behind a subject, if its row is still there.
    pub fn identity(&self, subject: &SubjectId) -> Option<String> {
        self.who(subject).map(|(_, identity)| identity)
    }

    /// The channel and the identity behind a subject, if its row is still there.
    pub fn who(&self, subject: &SubjectId) -> Option<(String, String)> {
        self.rows().people.get(subject).map(|person| (person.channel.clone(), person.identity.clone()))
    }

    /// Writes the rows, if any is new. Until then a kill costs a name its display, never a record its subject.
    ///
    /// # Errors
    /// When the file cannot be written; the next call tries again.
    pub fn save(&self) -> Result<(), LedgerError> {
        let text = {
            let mut rows = self.rows();
            if !std::mem::take(&mut rows.changed) {
                return Ok(());
            }
            serde_json::to_vec_pretty(&rows.people).expect("plain data can be written")
        };
        self.data.replace(PEOPLE_FILE, &text).map_err(|error| {
            self.rows().changed = true;
            self.data.failed("write", PEOPLE_FILE)(error)
        })
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().expect("nobody panics while holding it")
    }
}

/// Makes the key, unless another process that begins the same folder does so just now.
fn make_key(data: &DataFolder, random: [u8; 32]) -> Result<[u8; 32], LedgerError> {
    // A lock of its own: whoever holds the ledger keeps the folder's for life.
    let path = data.path_of(KEY_LOCK);
    let lock = private().write(true).create(true).truncate(false).open(&path);
    let lock = lock.map_err(LedgerError::io("open", &path))?;
    lock.lock().map_err(LedgerError::io("lock", &path))?;
    if let Some(key) = People::key_of(data.path())? {
        return Ok(key);
    }
    data.replace(KEY_FILE, &random).map_err(data.failed("write", KEY_FILE))?;
    Ok(random)
}

/// A key that is there is never replaced: every subject would become somebody else.
fn key_in(content: Vec<u8>, path: &Path) -> Result<[u8; 32], LedgerError> {
    content.try_into().map_err(|content: Vec<u8>| LedgerError::NotOurs {
        path: path.to_owned(),
        line: 1,
        problem: format!(
            "it has {} bytes instead of 32; restore it from a copy, or people become strangers",
            content.len()
        ),
    })
}

fn parse(text: &[u8], path: &Path) -> Result<BTreeMap<SubjectId, Person>, LedgerError> {
    serde_json::from_slice(text).map_err(|error| LedgerError::NotOurs {
        path: path.to_owned(),
        line: error.line() as u64,
        problem: format!("{error}; correct the file, or move it away to forget the names"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_the_same_after_a_restart_and_forgotten_when_the_row_is_gone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let people = People::open(folder.path(), [1; 32]).expect("new");
        let subject = people.subject("telegram", "111");
        people.save().expect("written");
        let people = People::open(folder.path(), [2; 32]).expect("the same key, whatever the chance");
        assert_eq!(people.subject("telegram", "111"), subject);
        assert_eq!(people.identity(&subject).as_deref(), Some("111"));
        std::fs::remove_file(folder.path().join(PEOPLE_FILE)).expect("it is there");
        let people = People::open(folder.path(), [3; 32]).expect("no rows");
        assert_eq!(people.identity(&subject), None);
        assert_eq!(people.subject("telegram", "111"), subject, "the same person stays one subject");
    }

    #[test]
    fn a_damaged_key_is_no_reason_to_make_strangers_of_everybody() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(KEY_FILE), [1; 31]).expect("writable");
        let error = People::open(folder.path(), [2; 32]).map(|_| ()).expect_err("31 bytes").to_string();
        assert!(error.contains("31 bytes"), "{error}");
    }
}
