//! The inbox on disk: which updates Telegram gave us and how far each has come, as ids without any text. So an update is
//! answered or apologised for once, also after a crash, and none leads to a second call of a model.

mod record;
mod state;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::usage::Timestamp;
use record::{HEADER, Record};
use state::State;

/// The name of the file in the data folder.
pub const FILE_NAME: &str = "telegram.inbox";

/// No more updates wait than this.
pub const MAX_PENDING: usize = 10_000;

/// The file is written anew after so many lines, or twice as many as it would have then.
const COMPACT_AFTER: usize = 10_000;

/// A file of ours is never longer.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// An update that asks for an answer, by ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `update_id`.
    pub update: u64,
    /// The chat.
    pub chat: i64,
    /// The topic in it.
    pub thread: Option<i64>,
    /// The message that asks; zero where there is none.
    pub message: i64,
    /// What the person's own Telegram speaks.
    pub language: Language,
}

/// A language code such as `es` or `pt-br`, as Telegram gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language([u8; 8]);

impl Language {
    /// The code of this text, up to eight letters, digits and hyphens; none if there are others.
    pub fn new(code: &str) -> Language {
        let mut bytes = [0; 8];
        let cut = &code.as_bytes()[..code.len().min(8)];
        if cut.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-') {
            bytes[..cut.len()].copy_from_slice(cut);
        }
        if bytes[0] == 0 { Language(*b"-\0\0\0\0\0\0\0") } else { Language(bytes) }
    }

    /// The code; `-` if there is none.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(self.0.len());
        std::str::from_utf8(&self.0[..end]).unwrap_or("-")
    }
}

/// How far an update has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It is here, and no model was called for it.
    Received,
    /// A model was called for it, or was about to be.
    Started,
    /// The answer is growing in this message.
    Placed(i64),
    /// A whole answer is on its way to Telegram: whether it came there is not known.
    Sending,
}

/// An update that is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Which.
    pub entry: Entry,
    /// How far it has come.
    pub stage: Stage,
}

/// Why the inbox could not do something.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// Too many updates wait: confirm nothing to Telegram and come again.
    #[error("{MAX_PENDING} updates wait for an answer: no more are taken in until some are done")]
    Full,
    /// A file operation failed.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The inbox. One process has it open: the one that holds the data folder.
#[derive(Debug)]
pub struct Inbox {
    path: PathBuf,
    file: File,
    state: State,
    /// Lines added since the file was written anew.
    added: usize,
    /// Something failed half-way: the file is written anew before anything is added to it.
    is_suspect: bool,
}

impl Inbox {
    /// Opens the inbox, or begins one, and gives the updates that are not done, by their ids. A file that is damaged is
    /// kept aside under another name; what can be read of it is taken over.
    ///
    /// # Errors
    /// If the file or its folder cannot be read or written.
    pub fn open(path: &Path, now: Timestamp) -> Result<(Inbox, Vec<Pending>), InboxError> {
        let mut state = State::default();
        let content = read(path).map_err(failed("read", path))?;
        let is_damaged = content.as_deref().is_some_and(|content| !replay(content, &mut state));
        if is_damaged {
            let aside = keep_aside(path, now).map_err(failed("keep aside", path))?;
            let (file, kept) = (path.display(), aside.display());
            tracing::warn!(
                %file, %kept, pending = state.pending().len(),
                "`{file}` is damaged and is begun anew with what can be read of it; the old one is kept as `{kept}`"
            );
        }
        state.forget(seconds(now));
        let file = replace(path, &state).map_err(failed("write", path))?;
        let inbox = Inbox { path: path.to_owned(), file, state, added: 0, is_suspect: false };
        let pending = inbox.state.pending().collect();
        Ok((inbox, pending))
    }

    /// Takes in updates and gives those that are new, once each. They are on the disk when this returns, so they can be
    /// confirmed to Telegram.
    ///
    /// # Errors
    /// If too many wait, or the file cannot be written: then none of them is taken in.
    pub fn received(&mut self, entries: &[Entry]) -> Result<Vec<Entry>, InboxError> {
        let mut new: Vec<Entry> = Vec::new();
        for entry in entries {
            if !self.state.knows(entry.update) && new.iter().all(|other| other.update != entry.update) {
                new.push(*entry);
            }
        }
        if self.state.pending().len() + new.len() > MAX_PENDING {
            return Err(InboxError::Full);
        }
        let records: Vec<Record> = new.iter().map(|entry| Record::Received(*entry)).collect();
        self.add(&records, true)?;
        Ok(new)
    }

    /// A model is about to be called for an update. On its way to the kernel when this returns: a killed process does
    /// not forget it.
    ///
    /// # Errors
    /// If the file cannot be written: then do not call.
    pub fn started(&mut self, update: u64) -> Result<(), InboxError> {
        self.add(&[Record::Started(update)], false)
    }

    /// The answer to an update stands in this message.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn placed(&mut self, update: u64, message: i64) -> Result<(), InboxError> {
        self.add(&[Record::Placed(update, message)], false)
    }

    /// A whole answer to an update is about to be sent.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn sending(&mut self, update: u64) -> Result<(), InboxError> {
        self.add(&[Record::Sending(update)], false)
    }

    /// What was sent or placed for an update is no answer to it: it counts as started again.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn reopened(&mut self, update: u64) -> Result<(), InboxError> {
        self.add(&[Record::Reopened(update)], false)
    }

    /// An update is answered, or needs no answer. Its id is remembered for a day and ten thousand others, so that it is
    /// not answered again.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn done(&mut self, update: u64, now: Timestamp) -> Result<(), InboxError> {
        self.add(&[Record::Done(update, seconds(now))], false)
    }

    /// How many updates are not done.
    #[cfg(test)]
    fn pending(&self) -> usize {
        self.state.pending().len()
    }

    /// Writes what is news with one call, then believes it.
    fn add(&mut self, records: &[Record], durably: bool) -> Result<(), InboxError> {
        let news: Vec<Record> = records.iter().copied().filter(|record| self.state.is_news(*record)).collect();
        if news.is_empty() {
            return Ok(());
        }
        if self.is_suspect || self.added >= COMPACT_AFTER.max(2 * self.state.size()) {
            self.compact()?;
        }
        let mut lines = String::new();
        news.iter().for_each(|record| record.write(&mut lines));
        // What fails half-way may be in the file or not; the next file says what holds.
        self.is_suspect = true;
        self.file.write_all(lines.as_bytes()).map_err(failed("append to", &self.path))?;
        if durably {
            self.file.sync_data().map_err(failed("sync", &self.path))?;
        }
        self.is_suspect = false;
        self.added += news.len();
        news.into_iter().for_each(|record| self.state.apply(record));
        Ok(())
    }

    fn compact(&mut self) -> Result<(), InboxError> {
        self.file = replace(&self.path, &self.state).map_err(failed("write", &self.path))?;
        (self.added, self.is_suspect) = (0, false);
        Ok(())
    }
}

fn seconds(now: Timestamp) -> i64 {
    now.unix_micros().div_euclid(1_000_000)
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> InboxError + use<> {
    let path = path.to_owned();
    move |source| InboxError::Io { doing, path, source }
}

/// Options for a private file that must not be a link.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// The content of the file, if it is there.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match private().read(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Adds up what a file says. `false` if it is damaged: whatever is no record, unless it is what a crash leaves at the
/// end.
fn replay(content: &[u8], state: &mut State) -> bool {
    let mut lines = content.split(|b| *b == b'\n');
    let header = lines.next().unwrap_or_default();
    if header != HEADER.as_bytes() {
        // Nothing of the file was ever there but a part of its first line.
        return HEADER.as_bytes().starts_with(content);
    }
    let (mut is_whole, mut was_bad) = (content.len() as u64 <= MAX_FILE_BYTES, false);
    // A line without its end was never acknowledged.
    lines.next_back();
    for line in lines {
        match Record::read(line) {
            Some(record) => {
                is_whole &= !was_bad;
                state.apply(record);
            }
            None => was_bad = true,
        }
    }
    is_whole
}

/// Gives a damaged file another name. The first one goes only when a new file takes it.
fn keep_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let base = format!("{}.damaged-{}", path.display(), seconds(now));
    let names = std::iter::once(base.clone()).chain((2..100).map(|number| format!("{base}-{number}")));
    let aside = names.map(PathBuf::from).find(|name| !name.exists()).unwrap_or_else(|| PathBuf::from(base));
    // Some file systems have no second names.
    fs::hard_link(path, &aside).or_else(|_| fs::rename(path, &aside))?;
    fs::set_permissions(&aside, Permissions::from_mode(0o600))?;
    Ok(aside)
}

/// Writes the file anew, in one step as far as anybody can see: temporary file, sync, rename, sync of the folder.
fn replace(path: &Path, state: &State) -> io::Result<File> {
    let temporary = PathBuf::from(format!("{}.tmp", path.display()));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private().append(true).create_new(true).open(&temporary)?;
    file.write_all(state.whole().as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(file)
}
