//! Who a subject is, for display: `people.json` maps subject ids back to identities, `subject.key` makes them.
//!
//! Erasing a person is deleting that row: the hashes that stay in the journal then name nobody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::{LedgerError, files};
use crate::usage::SubjectId;

const PEOPLE_FILE: &str = "people.json";
const KEY_FILE: &str = "subject.key";

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
    path: PathBuf,
    key: [u8; 32],
    rows: Mutex<BTreeMap<SubjectId, Person>>,
}

impl People {
    /// Opens the map of a folder, making the folder, and its key from `random`, if they are not there.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn open(folder: &Path, random: [u8; 32]) -> Result<People, LedgerError> {
        files::make_folder(folder).map_err(LedgerError::io("create", folder))?;
        let (path, key_path) = (folder.join(PEOPLE_FILE), folder.join(KEY_FILE));
        let key = files::read_if_there(&key_path).map_err(LedgerError::io("read", &key_path))?;
        let key = match key.try_into() {
            Ok(key) => key,
            Err(_) => {
                files::replace(&key_path, &random).map_err(LedgerError::io("write", &key_path))?;
                random
            }
        };
        let text = files::read_if_there(&path).map_err(LedgerError::io("read", &path))?;
        let rows = if text.is_empty() { BTreeMap::new() } else { parse(&text, &path)? };
        Ok(People { path, key, rows: Mutex::new(rows) })
    }

    /// The key of a folder's subject ids, for reading commands: nothing is made where there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn key_of(folder: &Path) -> Result<Option<[u8; 32]>, LedgerError> {
        let path = folder.join(KEY_FILE);
        Ok(files::read_if_there(&path).map_err(LedgerError::io("read", &path))?.try_into().ok())
    }

    /// The subject of an identity on a channel, without remembering who it is.
    pub fn hash(&self, channel: &str, identity: &str) -> SubjectId {
        SubjectId::of(&self.key, channel, identity)
    }

    /// The subject of an identity on a channel, remembered for display.
    ///
    /// That the row could not be written is no reason to refuse anybody: the subject is right without it.
    pub fn subject(&self, channel: &str, identity: &str) -> SubjectId {
        let subject = self.hash(channel, identity);
        let mut rows = self.rows.lock().expect("nobody panics while holding it");
        if !rows.contains_key(&subject) && rows.len() < MAX_PEOPLE {
            rows.insert(subject, Person { channel: channel.to_owned(), identity: identity.to_owned() });
            let text = serde_json::to_vec_pretty(&*rows).expect("plain data can be written");
            if let Err(error) = files::replace(&self.path, &text) {
                tracing::warn!(error = %error, "people.json cannot be written; a new person will show as a hash");
            }
        }
        subject
    }

    /// The identity behind a subject, if its row is still there.
    pub fn identity(&self, subject: &SubjectId) -> Option<String> {
        let rows = self.rows.lock().expect("nobody panics while holding it");
        rows.get(subject).map(|person| person.identity.clone())
    }
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
        let subject = People::open(folder.path(), [1; 32]).expect("new").subject("telegram", "111");
        let people = People::open(folder.path(), [2; 32]).expect("the same key, whatever the chance");
        assert_eq!(people.subject("telegram", "111"), subject);
        assert_eq!(people.identity(&subject).as_deref(), Some("111"));
        std::fs::remove_file(folder.path().join(PEOPLE_FILE)).expect("it is there");
        let people = People::open(folder.path(), [3; 32]).expect("no rows");
        assert_eq!(people.identity(&subject), None);
        assert_eq!(people.subject("telegram", "111"), subject, "the same person stays one subject");
    }
}
