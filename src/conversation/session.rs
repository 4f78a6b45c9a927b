//! What the bot remembers of one chat, in memory only, and the bounded set of these.

use std::collections::{HashMap, VecDeque};

use super::history::{History, Turn};
use super::message::ReceiptView;
use super::model_choice::ModelChoice;
use super::origin::{MessageRef, Origin};
use super::people::{ChatKey, Person, Photo, PrivateText};
use crate::templates::Lang;
use crate::usage::{Now, Tick};

/// Answers of one chat whose receipts are kept.
const MAX_RECEIPTS: usize = 200;

/// Tells one generation from another, within one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// One call to be made to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Where it was asked.
    pub chat: ChatKey,
    /// Who asked.
    pub person: Person,
    /// The identity of the session, from which its subject id is made. Changes with each new conversation.
    pub session: String,
    /// Who is to answer.
    pub choice: ModelChoice,
    /// The turns, the question last.
    pub turns: Vec<Turn>,
    /// The photos that the question is about.
    pub photos: Vec<Photo>,
    /// The language of the chat.
    pub lang: Lang,
    /// Where it was asked.
    pub origin: Origin,
}

/// What a person asks the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub person: Person,
    /// The words.
    pub text: PrivateText,
    /// What they are about.
    pub photos: Vec<Photo>,
    /// Where it was asked.
    pub origin: Origin,
}

/// The state of one chat.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) identity: String,
    pub(super) history: History,
    pub(super) choice: ModelChoice,
    /// The list a person was last shown: a number means a row of it.
    pub(super) shown: Vec<ModelChoice>,
    pub(super) footer: bool,
    pub(super) lang: Lang,
    /// Somebody chose the language for the chat; else it is that of whoever speaks.
    pub(super) is_lang_chosen: bool,
    pub(super) running: Option<Running>,
    /// Questions that came while an answer was being written.
    pub(super) waiting: VecDeque<Question>,
    /// Somebody was told that no more can wait, and nothing ended since.
    pub(super) told_full: bool,
    /// The question asked last, for `/retry`; not one about photos, which are not kept.
    pub(super) last_question: Option<PrivateText>,
    /// The message of the question asked last, which may be edited.
    pub(super) last_message: Option<MessageRef>,
    pub(super) last_receipt: Option<ReceiptView>,
    /// What the latest answers used, by the messages that asked for them.
    pub(super) receipts: VecDeque<(MessageRef, ReceiptView)>,
    pub(super) pending_reset: Option<PendingReset>,
    /// An interrupt came and no message since: the next one leaves.
    pub(super) leaving: bool,
    pub(super) last_seen: Tick,
}

/// The generation under way.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) job: JobId,
    pub(super) question: PrivateText,
    /// The id of who asked.
    pub(super) asker: String,
    /// The language it is answered in.
    pub(super) lang: Lang,
    /// The message that asked.
    pub(super) message: Option<MessageRef>,
    /// Others read the answer too.
    pub(super) in_group: bool,
    pub(super) cancelled: bool,
    /// A new conversation began meanwhile: the answer is not to be remembered.
    pub(super) forget: bool,
}

/// A reset that waits for its code word.
#[derive(Clone, Debug)]
pub(super) struct PendingReset {
    pub(super) person: String,
    pub(super) asked: Tick,
}

impl Session {
    pub(super) fn new(chat: &ChatKey, choice: ModelChoice, footer: bool, lang: Lang, now: Now) -> Session {
        Session {
            identity: session_identity(chat, now),
            history: History::default(),
            choice,
            shown: Vec::new(),
            footer,
            lang,
            is_lang_chosen: false,
            running: None,
            waiting: VecDeque::new(),
            told_full: false,
            last_question: None,
            last_message: None,
            last_receipt: None,
            receipts: VecDeque::new(),
            pending_reset: None,
            leaving: false,
            last_seen: now.tick,
        }
    }

    /// Remembers what an answer used.
    pub(super) fn note_receipt(&mut self, asked: Option<MessageRef>, receipt: ReceiptView) {
        if let Some(asked) = asked {
            self.receipts.truncate(MAX_RECEIPTS - 1);
            self.receipts.push_front((asked, receipt.clone()));
        }
        self.last_receipt = Some(receipt);
    }

    /// What the answer used that `about` asked for, if it is remembered; the last one when nothing is asked for.
    pub(super) fn receipt(&self, about: Option<&MessageRef>) -> Option<ReceiptView> {
        let Some(about) = about else { return self.last_receipt.clone() };
        self.receipts.iter().find(|(asked, _)| asked == about).map(|(_, receipt)| receipt.clone())
    }

    /// Forgets what was said; keeps what was chosen.
    pub(super) fn start_afresh(&mut self, chat: &ChatKey, now: Now) {
        self.identity = session_identity(chat, now);
        self.history.clear();
        self.last_question = None;
        self.last_receipt = None;
        if let Some(running) = &mut self.running {
            running.forget = true;
        }
    }
}

/// Unique over restarts: a conversation that is not remembered is not the same one.
fn session_identity(chat: &ChatKey, now: Now) -> String {
    format!("{}:{}", chat.id, now.at.unix_micros())
}

/// The sessions of all chats, at most so many.
#[derive(Debug)]
pub(super) struct Sessions {
    by_chat: HashMap<ChatKey, Session>,
    max: usize,
}

impl Sessions {
    pub(super) fn new(max: usize) -> Sessions {
        Sessions { by_chat: HashMap::new(), max: max.max(1) }
    }

    pub(super) fn get_mut(&mut self, chat: &ChatKey) -> Option<&mut Session> {
        self.by_chat.get_mut(chat)
    }

    /// The chat's session, made if need be in place of the one longest idle; `None` when all others are being answered.
    pub(super) fn open(&mut self, chat: &ChatKey, make: impl FnOnce() -> Session) -> Option<&mut Session> {
        if !self.by_chat.contains_key(chat) && self.by_chat.len() >= self.max {
            let idle = self.by_chat.iter().filter(|(_, session)| session.running.is_none());
            let longest = idle.min_by_key(|(_, session)| session.last_seen).map(|(key, _)| key.clone())?;
            self.by_chat.remove(&longest);
        }
        Some(self.by_chat.entry(chat.clone()).or_insert_with(make))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_chat.len()
    }
}
