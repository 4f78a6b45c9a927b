//! Who a subject is, for display: `people.json` maps subject ids back to identities, `subject.key` makes them.
//!
//! Erasing a person is deleting that row, also while a process runs: the file goes before what is in memory. The hashes
//! that stay in the journal then name nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
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

/// So often a save begins anew because somebody changed the file meanwhile.
const SAVE_TRIES: usize = 3;

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
    /// Held while the file is read or written; locked before the rows.
    file: Mutex<FileState>,
}

struct Rows {
    people: BTreeMap<SubjectId, Person>,
    /// Those that are not in the file yet.
    unsaved: BTreeSet<SubjectId>,
}

/// What is known of the file.
struct FileState {
    /// As it was when the rows were last those in it.
    seen: Option<Stamp>,
    /// Why it was not read or written, as the log was told.
    told: Option<String>,
}

/// What changes with a file: its inode, length and time of change in seconds and nanoseconds; `None` where it is not there.
type Stamp = Option<(u64, u64, i64, i64)>;

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
        // Its time first: what changes while it is read is read again.
        let seen = Some(stamp(&data)?);
        let text = data.read_if_there(PEOPLE_FILE).map_err(data.failed("read", PEOPLE_FILE))?;
        let people = if text.is_empty() { BTreeMap::new() } else { parse(&text, &data.path_of(PEOPLE_FILE))? };
        let rows = Mutex::new(Rows { people, unsaved: BTreeSet::new() });
        Ok(People { data, pepper: Pepper::new(&key), rows, file: Mutex::new(FileState { seen, told: None }) })
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
            rows.unsaved.insert(subject);
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

    /// The channel of the only one who is known by this identity; `None` when nobody is, or several.
    pub fn only_channel_of(&self, identity: &str) -> Option<String> {
        let rows = self.rows();
        let mut channels =
            rows.people.values().filter(|person| person.identity == identity).map(|person| &person.channel);
        channels.next().filter(|_| channels.next().is_none()).cloned()
    }

    /// Takes over what somebody changed in the file, then writes the rows, if any is new. Who was in the file and is no
    /// longer is forgotten. Until then a kill costs a name its display, never a record its subject.
    ///
    /// # Errors
    /// When the file cannot be written, or was changed into something that cannot be read, which is left as it is; the
    /// next call tries again.
    pub fn save(&self) -> Result<(), LedgerError> {
        self.save_to(&mut self.file())
    }

    /// [`People::save`], whose failure is told in the log, once, until it can be done or fails otherwise. It costs new
    /// names their display.
    pub fn save_or_tell(&self) {
        let mut file = self.file();
        let failed = self.save_to(&mut file).err().map(|error| match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        });
        if file.told != failed
            && let Some(error) = &failed
        {
            tracing::warn!(error, "people.json is left as it is; a new person will show as a hash after a restart");
        }
        file.told = failed;
    }

    fn save_to(&self, file: &mut FileState) -> Result<(), LedgerError> {
        for _ in 0..SAVE_TRIES {
            let now = stamp(&self.data)?;
            if file.seen != Some(now) {
                self.take_over(now)?;
                file.seen = Some(now);
            }
            if self.write_unsaved(file).map_err(self.data.failed("write", PEOPLE_FILE))? {
                return Ok(());
            }
        }
        Err(self.data.failed("write", PEOPLE_FILE)(io::Error::other("somebody changes it all the time")))
    }

    /// Writes the rows if any is new and the file is still the one that was seen; gives whether nothing is left to do.
    fn write_unsaved(&self, file: &mut FileState) -> io::Result<bool> {
        let (text, saving) = {
            let mut rows = self.rows();
            if rows.unsaved.is_empty() {
                return Ok(true);
            }
            let text = serde_json::to_vec_pretty(&rows.people).expect("plain data can be written");
            (text, std::mem::take(&mut rows.unsaved))
        };
        let is_as_seen = || stamp(&self.data).is_ok_and(|now| file.seen == Some(now));
        let written = self.data.replace_if(PEOPLE_FILE, &text, is_as_seen);
        match written {
            Ok(true) => file.seen = self.stamp_of(&text),
            _ => self.rows().unsaved.extend(saving),
        }
        written
    }

    /// The stamp of the file if this is what is in it: somebody may have changed it as soon as it was there.
    fn stamp_of(&self, text: &[u8]) -> Option<Stamp> {
        let stamp = stamp(&self.data).ok()?;
        let content = self.data.read(PEOPLE_FILE).ok()?;
        (content == text).then_some(stamp)
    }

    /// Makes the rows those of the file, and those that were never in it.
    fn take_over(&self, now: Stamp) -> Result<(), LedgerError> {
        // An empty one is just being written by somebody, and no table: with nobody in it a file is `{}`, or not there.
        let mut people = match now {
            None => BTreeMap::new(),
            Some(_) => {
                let text = self.data.read(PEOPLE_FILE).map_err(self.data.failed("read", PEOPLE_FILE))?;
                parse(&text, &self.data.path_of(PEOPLE_FILE))?
            }
        };
        let mut rows = self.rows();
        let Rows { people: known, unsaved } = &mut *rows;
        people.extend(unsaved.iter().filter_map(|subject| Some((*subject, known.remove(subject)?))));
        *known = people;
        Ok(())
    }

    fn file(&self) -> MutexGuard<'_, FileState> {
        self.file.lock().expect("nobody panics while holding it")
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().expect("nobody panics while holding it")
    }
}

fn stamp(data: &DataFolder) -> Result<Stamp, LedgerError> {
    match fs::metadata(data.path_of(PEOPLE_FILE)) {
        Ok(file) => Ok(Some((file.ino(), file.len(), file.ctime(), file.ctime_nsec()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(data.failed("read", PEOPLE_FILE)(error)),
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

/// What stands in the file is not repeated: the log may be told of it.
fn parse(text: &[u8], path: &Path) -> Result<BTreeMap<SubjectId, Person>, LedgerError> {
    serde_json::from_slice(text).map_err(|error| LedgerError::NotOurs {
        path: path.to_owned(),
        line: error.line() as u64,
        problem: format!(
            "not valid at column {}; expected rows such as `\"ojsmu7miaeaavkna7fta\":{{\"channel\":\"telegram\",\
             \"identity\":\"4711\"}}`; correct the file, or move it away to forget the names",
            error.column()
        ),
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

    /// What `people.json` says now.
    fn rows_of(folder: &Path) -> serde_json::Value {
        serde_json::from_slice(&fs::read(folder.join(PEOPLE_FILE)).expect("it is there")).expect("JSON")
    }

    /// Deletes a row as an editor does.
    fn erase(folder: &Path, subject: SubjectId) {
        let mut rows = rows_of(folder);
        rows.as_object_mut().expect("an object").remove(&subject.to_string()).expect("it has a row");
        fs::write(folder.join(PEOPLE_FILE), rows.to_string()).expect("writable");
    }

    #[test]
    fn a_row_that_is_deleted_while_a_process_runs_is_not_written_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let people = People::open(folder.path(), [1; 32]).expect("new");
        let [ana, bea] = ["ana", "bea"].map(|who| people.subject("api", who));
        people.save().expect("written");
        let cleo = people.subject("api", "cleo");
        erase(folder.path(), ana);
        people.save().expect("written");
        let known = || [ana, bea, cleo].map(|subject| people.identity(&subject).is_some());
        assert_eq!(known(), [false, true, true]);
        let rows = rows_of(folder.path());
        let is_there = |subject: SubjectId| rows.get(subject.to_string()).is_some();
        assert_eq!([ana, bea, cleo].map(is_there), [false, true, true]);

        erase(folder.path(), bea);
        people.save().expect("nothing is to be written");
        assert_eq!(known(), [false, false, true], "forgotten, though nobody new came");
        fs::remove_file(folder.path().join(PEOPLE_FILE)).expect("it is there");
        people.save().expect("nothing is to be written");
        assert_eq!((known(), folder.path().join(PEOPLE_FILE).exists()), ([false; 3], false));
        people.subject("api", "ana");
        people.save().expect("written");
        assert_eq!(known(), [true, false, false], "who asks again is somebody new");
    }

    #[test]
    fn a_row_that_is_deleted_in_the_middle_of_a_save_is_not_missed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let people = People::open(folder.path(), [1; 32]).expect("new");
        let ana = people.subject("api", "ana");
        people.save().expect("written");
        let written = fs::read(folder.path().join(PEOPLE_FILE)).expect("readable");
        let bea = people.subject("api", "bea");
        erase(folder.path(), ana); // after it was looked at, before it is replaced
        assert!(!people.write_unsaved(&mut people.file()).expect("writable"), "it is to begin anew");
        assert_eq!(rows_of(folder.path()), serde_json::json!({}), "and nothing was written");
        assert_eq!(people.stamp_of(&written), None, "after it was replaced, before it is looked at");
        people.save().expect("written");
        assert_eq!([ana, bea].map(|subject| people.identity(&subject).is_some()), [false, true]);
        let names: Vec<_> = rows_of(folder.path()).as_object().expect("rows").keys().cloned().collect();
        assert_eq!(names, [bea.to_string()]);
    }

    #[test]
    fn a_file_that_cannot_be_read_while_a_process_runs_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let people = People::open(folder.path(), [1; 32]).expect("new");
        let ana = people.subject("api", "ana");
        people.save().expect("written");
        let file = folder.path().join(PEOPLE_FILE);
        let whole = fs::read(&file).expect("readable");
        let bea = people.subject("api", "bea");
        // An editor that has not written all of it yet, or somebody's mistake.
        let text = whole.iter().rposition(|byte| *byte == b'{').expect("a row");
        let canary = [&whole[..text], b"\"canary\"}"].concat();
        for damaged in [b"".as_slice(), &whole[..whole.len() / 2], b"[]", &canary] {
            fs::write(&file, damaged).expect("writable");
            let error = people.save().expect_err("it cannot be read").to_string();
            assert!(error.contains("people.json") && error.contains("correct the file"), "{error}");
            assert!(!error.contains("canary"), "{error}");
            people.save_or_tell();
            assert_eq!(fs::read(&file).expect("readable"), damaged);
            assert!(people.identity(&ana).is_some() && people.identity(&bea).is_some());
        }
        fs::write(&file, &whole).expect("writable");
        people.save().expect("written");
        assert_eq!(rows_of(folder.path()).as_object().map(serde_json::Map::len), Some(2));
    }

    #[test]
    fn a_damaged_key_is_no_reason_to_make_strangers_of_everybody() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(KEY_FILE), [1; 31]).expect("writable");
        let error = People::open(folder.path(), [2; 32]).map(|_| ()).expect_err("31 bytes").to_string();
        assert!(error.contains("31 bytes"), "{error}");
    }
}
