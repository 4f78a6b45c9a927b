//! How the channel follows an update from its arrival to its answer, so that a crash at any point loses none and asks no
//! model twice.
//!
//! An update is *received* before Telegram is told so; *started* before a model is asked; *placed* when the message that
//! its answer grows in is there; *sending* just before a whole reply is sent; *done* when all was shown, or cannot be.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::account::Account;
use crate::conversation::{Origin, Ticket};

/// One thing of a person: an update, or those of one album.
pub(super) struct Receipt {
    account: Arc<Account>,
    updates: Vec<u32>,
    /// All of it was shown, or cannot be.
    settled: AtomicBool,
    /// To be taken up at the next start.
    kept: AtomicBool,
}

impl Receipt {
    pub(super) fn new(account: &Arc<Account>, updates: Vec<u32>) -> Receipt {
        Receipt { account: Arc::clone(account), updates, settled: AtomicBool::new(false), kept: AtomicBool::new(false) }
    }

    /// The receipt behind an origin of this channel.
    pub(super) fn of(origin: &Origin) -> Option<&Receipt> {
        let ticket: &dyn Any = &**origin.ticket.as_ref()?;
        ticket.downcast_ref()
    }

    /// The message that the answer grows in is there.
    pub(super) fn placed(&self, message: i32) {
        self.account.placed(&self.updates, message);
    }

    /// Notes that a whole reply goes out, when it is called.
    pub(super) fn leaving(&self) -> Box<dyn FnOnce() + Send + Sync> {
        let (account, updates) = (Arc::clone(&self.account), self.updates.clone());
        Box::new(move || account.sending(&updates))
    }

    /// Notes that what is placed may be no answer, when it is called.
    pub(super) fn reopening(&self) -> Box<dyn FnOnce() + Send + Sync> {
        let (account, updates) = (Arc::clone(&self.account), self.updates.clone());
        Box::new(move || account.reopened(&updates))
    }

    /// What was sent or placed is no answer: after a crash from here on there is an apology.
    pub(super) fn reopened(&self) {
        self.account.reopened(&self.updates);
    }

    /// All was shown, or cannot be.
    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }

    /// It could not be shown now: an apology follows at the next start.
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
        self.reopened();
    }
}

impl Ticket for Receipt {
    fn asking(&self) {
        self.account.started(&self.updates);
    }
}

impl Drop for Receipt {
    /// What is dropped while the program ends was not answered, unless it was.
    fn drop(&mut self) {
        let is_open = *self.kept.get_mut() || self.account.is_closing();
        if *self.settled.get_mut() || !is_open {
            self.account.done(&self.updates);
        } else {
            // Only a process that is killed leaves what it was sending: it all but certainly came there.
            self.account.reopened(&self.updates);
        }
    }
}
