//! What the conversation needs from the rest of the program, as traits. Implemented where everything is put together.

use std::future::Future;

use super::outbox::DeltaSink;
use crate::conversation::buttons::{AlertAct, Key};
use crate::conversation::cancel::CancelToken;
use crate::conversation::message::{AnswerOutcome, Message};
use crate::conversation::model_choice::ModelList;
use crate::conversation::people::{ChatKey, Group, Person};
use crate::conversation::session::Job;
use crate::conversation::step::Request;
use crate::reports::View;
use crate::stats::Period;
use crate::templates::{Lang, Surface};
use crate::usage::{ErrorKind, Timestamp};

/// Calls models, and records each call.
pub trait Assistant: Send + Sync + 'static {
    /// Answers `job`, handing each piece to `sink` as it comes.
    ///
    /// Returns only when the call's record is durable. Ends soon after `cancel` says so, with what came until then. May
    /// be dropped at any await, and then still records.
    fn ask(&self, job: Job, sink: DeltaSink, cancel: CancelToken) -> impl Future<Output = AnswerOutcome> + Send;
}

/// A person's wish to see the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsRequest {
    /// Where they are to be shown.
    pub chat: ChatKey,
    /// To whom: not everybody sees everything.
    pub person: Person,
    /// Of which time.
    pub period: Period,
    /// Which part.
    pub view: View,
    /// In which language.
    pub lang: Lang,
    /// In what form.
    pub surface: Surface,
}

/// What a person asks of the program beyond the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManageRequest {
    /// Where.
    pub chat: ChatKey,
    /// Who; the conversation has seen that they may.
    pub person: Person,
    /// What.
    pub request: Request,
}

/// Shows and resets the books, and knows the models.
pub trait Books: Send + Sync + 'static {
    /// The books as text.
    fn stats_text(&self, request: StatsRequest) -> impl Future<Output = String> + Send;

    /// Starts counting from zero; gives the moment.
    ///
    /// # Errors
    /// The class of what went wrong; the details are logged.
    fn reset(&self, person: Person) -> impl Future<Output = Result<Timestamp, ErrorKind>> + Send;

    /// Takes the last reset back; gives since when is counted now, `None` when there was no reset.
    ///
    /// # Errors
    /// As [`Books::reset`].
    fn undo_reset(&self) -> impl Future<Output = Result<Option<Timestamp>, ErrorKind>> + Send;

    /// Does what is asked and says what came of it.
    fn manage(&self, request: ManageRequest) -> impl Future<Output = Message> + Send;

    /// Does what an admin asks for by a button below an alert, once; gives what to say of it.
    ///
    /// # Errors
    /// Why nothing was done, to be told to whoever pressed. Who sends no alerts has none of their buttons.
    fn act_on_alert(
        &self,
        chat: ChatKey,
        by: Person,
        id: String,
        act: AlertAct,
    ) -> impl Future<Output = Result<Message, Box<Message>>> + Send {
        let _ = (chat, by, id, act);
        std::future::ready(Err(Box::new(Message::PressOld)))
    }

    /// Remembers the language of a chat. That it cannot be written is logged.
    fn keep_lang(&self, chat: ChatKey, lang: Lang) -> impl Future<Output = ()> + Send;

    /// The models of all providers. Waits for none of them for long.
    fn models(&self) -> impl Future<Output = ModelList> + Send;
}

/// Knows who may speak in a chat.
pub trait Door: Send + Sync + 'static {
    /// What a person may do, by their identity in a channel; `None` for a stranger.
    fn role_of(&self, channel: &'static str, identity: &str) -> Option<Role>;

    /// The group of an identity in a channel; `None` when the bot is not to speak there.
    fn group(&self, channel: &'static str, identity: &str) -> Option<Group>;

    /// A group has another identity from now on: it is let in under that one too, if it was before. Without a memory
    /// there is nothing to do.
    fn moved(&self, channel: &'static str, from: &str, to: &str) -> impl Future<Output = ()> + Send {
        let _ = (channel, from, to);
        std::future::ready(())
    }

    /// The language that was chosen in a chat.
    fn lang_of(&self, chat: &ChatKey) -> Option<Lang>;

    /// Lets in who shows a code: the one that makes the first admin, or one that an admin gave away. Gives what to tell
    /// them.
    fn redeem(&self, channel: &'static str, identity: &str, code: &str) -> impl Future<Output = Message> + Send;
}

/// What a person may do in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Speak.
    User,
    /// Also see and change everything.
    Admin,
}

/// Turns messages into text.
pub trait Renderer: Send + Sync + 'static {
    /// The message in a language. Its template was tried at start, so this cannot fail.
    fn render(&self, lang: Lang, message: &Message) -> String;

    /// The message for a place that takes no markup, such as the answer to a press.
    fn render_plain(&self, lang: Lang, message: &Message) -> String;

    /// What stands on a button.
    fn label(&self, lang: Lang, key: &Key) -> String;

    /// The form of the texts.
    fn surface(&self) -> Surface;
}
