//! The inbox as the channel uses it: from many tasks, and over a restart.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::inbox::{Entry, Inbox, InboxError, Pending, Stage};
use crate::conversation::CancelToken;
use crate::usage::Clock;

/// The account of all updates.
pub(super) struct Account {
    inbox: Mutex<Inbox>,
    /// Taken in by another process, and nothing done about them: Telegram may bring them again.
    former: Mutex<BTreeMap<u64, Entry>>,
    /// Once it says so, what is dropped was not answered.
    stop: CancelToken,
    clock: Arc<dyn Clock>,
}

impl Account {
    /// Opens it; gives what another process began and did not end.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn open(
        path: &Path,
        clock: Arc<dyn Clock>,
        stop: CancelToken,
    ) -> Result<(Account, Vec<Pending>), InboxError> {
        let (mut inbox, mut pending) = Inbox::open(path, clock.now().at)?;
        // It left for Telegram just when the process ended: all but certainly it came there.
        for sent in pending.extract_if(.., |pending| pending.stage == Stage::Sending) {
            inbox.done(sent.entry.update, clock.now().at)?;
        }
        let (former, begun): (Vec<Pending>, Vec<Pending>) =
            pending.into_iter().partition(|pending| pending.stage == Stage::Received);
        let former = former.into_iter().map(|pending| (pending.entry.update, pending.entry)).collect();
        let former = Mutex::new(former);
        Ok((Account { inbox: Mutex::new(inbox), former, stop, clock }, begun))
    }

    /// Takes updates in, durably; gives those that are to be handled. Blocks.
    pub(super) fn take(&self, entries: &[Entry]) -> Result<Vec<u64>, InboxError> {
        let mut new: Vec<u64> = self.inbox().received(entries)?.iter().map(|entry| entry.update).collect();
        let mut former = self.former.lock().unwrap_or_else(PoisonError::into_inner);
        new.extend(entries.iter().filter_map(|entry| former.remove(&entry.update)).map(|entry| entry.update));
        Ok(new)
    }

    /// What another process took in and Telegram does not bring again.
    pub(super) fn take_former(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.former.lock().unwrap_or_else(PoisonError::into_inner)).into_values().collect()
    }

    pub(super) fn started(&self, updates: &[u32]) {
        self.note(updates, |inbox, update| inbox.started(update));
    }

    pub(super) fn placed(&self, updates: &[u32], message: i32) {
        self.note(updates, |inbox, update| inbox.placed(update, i64::from(message)));
    }

    pub(super) fn sending(&self, updates: &[u32]) {
        self.note(updates, |inbox, update| inbox.sending(update));
    }

    pub(super) fn reopened(&self, updates: &[u32]) {
        self.note(updates, |inbox, update| inbox.reopened(update));
    }

    pub(super) fn done(&self, updates: &[u32]) {
        let at = self.clock.now().at;
        self.note(updates, |inbox, update| inbox.done(update, at));
    }

    pub(super) fn is_closing(&self) -> bool {
        self.stop.reason().is_some()
    }

    /// A note that cannot be written is no reason not to answer: at worst there is an apology too many after a crash.
    fn note(&self, updates: &[u32], note: impl Fn(&mut Inbox, u64) -> Result<(), InboxError>) {
        let mut inbox = self.inbox();
        for update in updates {
            if let Err(error) = note(&mut inbox, u64::from(*update)) {
                tracing::error!(%error, "the Telegram inbox cannot be written");
            }
        }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
