//! The conversation as a pure function: `step(event) -> effects`. Reads no clock, does no I/O, calls no model.

use super::budgets::BudgetAsk;
use super::buttons::{AlertAct, Keyboard, Press};
use super::commands::{BotNames, Input, Place, parse};
use super::history::Bounds;
use super::message::{AnswerOutcome, Message, ModelLine, Problem, ReceiptView};
use super::model_choice::{ModelChoice, ModelList};
use super::origin::{MessageRef, Origin};
use super::people::{ChatKey, Person, Photo, PrivateText};
use super::reply::Reply;
use super::session::{Job, JobId, Session, Sessions};
use crate::reports::View;
use crate::stats::Period;
use crate::templates::Lang;
use crate::usage::{ErrorKind, Now, Timestamp};

/// Models listed in one message at most.
const MAX_MODEL_LINES: usize = 50;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A person opened the chat: greet them.
    Opened {
        /// Where.
        chat: ChatKey,
        /// Who.
        person: Person,
    },
    /// A person wrote, or sent photos.
    Message {
        /// Where.
        chat: ChatKey,
        /// Who.
        person: Person,
        /// What they wrote, or wrote below the photos.
        text: PrivateText,
        /// What they sent with it.
        photos: Vec<Photo>,
        /// The message.
        origin: Origin,
    },
    /// A person changed what they wrote before.
    Edited {
        /// Where.
        chat: ChatKey,
        /// Who.
        person: Person,
        /// What stands there now.
        text: PrivateText,
        /// The message that was changed.
        origin: Origin,
    },
    /// A person pressed a button.
    Pressed {
        /// Where.
        chat: ChatKey,
        /// Who.
        person: Person,
        /// What it means.
        press: Press,
        /// The message that the button is below, and the press itself.
        origin: Origin,
    },
    /// A person pressed Ctrl-C.
    Interrupt {
        /// Where.
        chat: ChatKey,
        /// Who.
        person: Person,
    },
    /// A person left (Ctrl-D).
    Closed {
        /// Where.
        chat: ChatKey,
        /// Who.
        person: Person,
    },
    /// A generation ended; its record is written.
    Answered {
        /// Where.
        chat: ChatKey,
        /// Which.
        job: JobId,
        /// How.
        outcome: Box<AnswerOutcome>,
    },
    /// The models asked for with [`Effect::ListModels`].
    Models {
        /// Where.
        chat: ChatKey,
        /// What the person wanted; `None` when only the list.
        wanted: Option<PrivateText>,
        /// What there is.
        list: ModelList,
    },
    /// The books were reset, or could not be.
    StatsReset {
        /// Where.
        chat: ChatKey,
        /// Counting since, or why not.
        result: Result<Timestamp, ErrorKind>,
        /// The message that asked for it, to be replaced.
        replace: Option<MessageRef>,
    },
    /// What an alert's button asked for was done, or was not.
    ActedOnAlert {
        /// Where.
        chat: ChatKey,
        /// What was done, or why nothing was.
        result: Box<Result<Message, Box<Message>>>,
        /// The alert, to be replaced by what was done.
        replace: Option<MessageRef>,
    },
    /// A reset was taken back, or there was none, or it could not be.
    ResetUndone {
        /// Where.
        chat: ChatKey,
        /// Counting since, or why not.
        result: Result<Option<Timestamp>, ErrorKind>,
    },
}

impl Event {
    /// A person wrote, in a channel that keeps no account of it.
    pub fn said(chat: ChatKey, person: Person, text: impl Into<PrivateText>) -> Event {
        Event::Message { chat, person, text: text.into(), photos: Vec::new(), origin: Origin::default() }
    }

    /// Where it came from; nowhere, for what the bot itself brought about.
    pub fn origin(&self) -> Origin {
        match self {
            Event::Message { origin, .. } | Event::Edited { origin, .. } | Event::Pressed { origin, .. } => {
                origin.clone()
            }
            _ => Origin::default(),
        }
    }

    /// The chat it happened in.
    pub fn chat(&self) -> &ChatKey {
        match self {
            Event::Opened { chat, .. }
            | Event::Message { chat, .. }
            | Event::Edited { chat, .. }
            | Event::Pressed { chat, .. }
            | Event::Interrupt { chat, .. }
            | Event::Closed { chat, .. }
            | Event::Answered { chat, .. }
            | Event::Models { chat, .. }
            | Event::StatsReset { chat, .. }
            | Event::ActedOnAlert { chat, .. }
            | Event::ResetUndone { chat, .. } => chat,
        }
    }
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Say something.
    Say {
        /// Where.
        chat: ChatKey,
        /// In which language.
        lang: Lang,
        /// What.
        message: Message,
        /// The buttons below it.
        keyboard: Keyboard,
        /// The message that it takes the place of.
        replace: Option<MessageRef>,
    },
    /// Tell who pressed a button, and nobody else, that it was seen.
    Acknowledge {
        /// Where.
        chat: ChatKey,
        /// In which language.
        lang: Lang,
        /// What they are told; `None` when what they see is enough.
        message: Option<Message>,
    },
    /// Call a model, and tell the outcome with [`Event::Answered`].
    Ask {
        /// The call.
        job: Job,
    },
    /// End the answer the chat is being shown.
    End {
        /// Where.
        chat: ChatKey,
        /// In which language.
        lang: Lang,
        /// Which answer.
        job: JobId,
        /// What it used.
        footer: Option<Message>,
        /// What went wrong.
        note: Option<Message>,
        /// Whether it is an answer, whole; else the note says why not.
        answered: bool,
    },
    /// Stop a generation; its [`Event::Answered`] still comes.
    Cancel {
        /// Which.
        job: JobId,
    },
    /// Show the books.
    ShowStats {
        /// Where.
        chat: ChatKey,
        /// To whom.
        person: Person,
        /// In which language.
        lang: Lang,
        /// Of which time.
        period: Period,
        /// Which part.
        view: View,
        /// The buttons below them.
        keyboard: Keyboard,
        /// The message that they take the place of.
        replace: Option<MessageRef>,
    },
    /// Do what changes or shows more than the conversation, and say what came of it.
    Manage {
        /// Where.
        chat: ChatKey,
        /// Who asks, and may.
        person: Person,
        /// In which language.
        lang: Lang,
        /// What.
        request: Request,
    },
    /// Remember the language of a chat.
    KeepLang {
        /// Which chat.
        chat: ChatKey,
        /// The language.
        lang: Lang,
    },
    /// Find the models, and tell them with [`Event::Models`].
    ListModels {
        /// Where.
        chat: ChatKey,
        /// To be handed back.
        wanted: Option<PrivateText>,
    },
    /// Start counting from zero, and tell with [`Event::StatsReset`].
    ResetStats {
        /// Where.
        chat: ChatKey,
        /// The admin who confirmed it.
        person: Person,
        /// To be handed back.
        replace: Option<MessageRef>,
    },
    /// Do what an admin asks for by a button below an alert, and tell with [`Event::ActedOnAlert`].
    ActOnAlert {
        /// Where.
        chat: ChatKey,
        /// The admin.
        person: Person,
        /// The alert's id.
        id: String,
        /// What.
        act: AlertAct,
        /// To be handed back.
        replace: Option<MessageRef>,
    },
    /// Take the last reset back, as an admin asks, and tell with [`Event::ResetUndone`].
    UndoReset {
        /// Where.
        chat: ChatKey,
    },
    /// End the conversation: the person leaves.
    Leave,
}

/// What a command asks of the rest of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Let somebody speak (a person's or a group's id), or make a link that does; only admins get here.
    Allow(Option<PrivateText>),
    /// Let somebody speak no more, or list who may; only admins get here.
    Deny(Option<PrivateText>),
    /// Become the first admin, with the code that was shown at the start.
    Claim(Option<PrivateText>),
    /// Disk, ledger, providers, the last error; only admins get here.
    Health,
    /// Show budgets; change one, or look at those of others, where only admins get.
    Budget(BudgetAsk),
    /// What an answer cost, and the budgets it was charged to.
    Cost {
        /// What it used.
        receipt: Box<ReceiptView>,
        /// The question was asked in reply to it.
        replied: bool,
    },
}

impl Effect {
    /// Say something new, without buttons.
    pub(super) fn say(chat: ChatKey, lang: Lang, message: Message) -> Effect {
        Effect::Say { chat, lang, message, keyboard: Vec::new(), replace: None }
    }
}

/// What every session starts from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The bot's names.
    pub names: BotNames,
    /// What the model is told before everything.
    pub system: Option<PrivateText>,
    /// The model to begin with.
    pub choice: ModelChoice,
    /// The line under each answer is on.
    pub footer: bool,
    /// The language to begin with.
    pub lang: Lang,
    /// Where the conversation is held.
    pub place: Place,
    /// How much is remembered and sent.
    pub bounds: Bounds,
}

/// All chats of one channel.
#[derive(Debug)]
pub struct Conversation {
    settings: Settings,
    sessions: Sessions,
    last_job: u64,
}

impl Conversation {
    /// A conversation nobody has said anything in.
    pub fn new(settings: Settings) -> Conversation {
        let sessions = Sessions::new(settings.bounds.sessions);
        Conversation { settings, sessions, last_job: 0 }
    }

    /// Takes in what happened and says what to do. The only way anything changes here.
    pub fn step(&mut self, event: Event, now: Now) -> Vec<Effect> {
        match event {
            Event::Opened { chat, person } => {
                self.reply(&chat, &person, Origin::default(), now, |reply| reply.welcome())
            }
            Event::Message { chat, person, text, photos, origin } => {
                let input = match photos.is_empty() {
                    true => parse(&text, &self.settings.names, self.settings.place, person.group.is_none()),
                    false => Input::Text(text),
                };
                if input == Input::Nothing {
                    return Vec::new();
                }
                self.reply(&chat, &person, origin, now, |reply| reply.input(input, photos))
            }
            Event::Edited { chat, person, text, origin } => {
                let input = parse(&text, &self.settings.names, self.settings.place, person.group.is_none());
                let Input::Text(text) = input else { return Vec::new() };
                self.reply(&chat, &person, origin, now, |reply| reply.edited(text))
            }
            Event::Pressed { chat, person, press, origin } => {
                self.reply(&chat, &person, origin, now, |reply| reply.pressed(press))
            }
            Event::Interrupt { chat, person } => {
                self.reply(&chat, &person, Origin::default(), now, |reply| reply.interrupt())
            }
            Event::Closed { chat, person } => self.reply(&chat, &person, Origin::default(), now, |reply| reply.leave()),
            Event::Answered { chat, job, outcome } => self.answered(chat, job, *outcome, now),
            Event::Models { chat, wanted, list } => vec![self.models(chat, wanted, list)],
            Event::StatsReset { chat, result, replace } => {
                let message = match result {
                    Ok(counting_since) => Message::ResetDone { counting_since },
                    Err(kind) => Message::failed(kind),
                };
                let lang = self.lang_of(&chat);
                vec![Effect::Say { chat, lang, message, keyboard: Vec::new(), replace }]
            }
            Event::ActedOnAlert { chat, result, replace } => {
                let lang = self.lang_of(&chat);
                let (done, toast) = match *result {
                    Ok(message) => (Some(message), None),
                    Err(why) => (None, Some(*why)),
                };
                let seen = Effect::Acknowledge { chat: chat.clone(), lang, message: toast };
                let say = |message| Effect::Say { chat, lang, message, keyboard: Vec::new(), replace };
                std::iter::once(seen).chain(done.map(say)).collect()
            }
            Event::ResetUndone { chat, result } => {
                let message = match result {
                    Ok(Some(counting_since)) => Message::ResetUndone { counting_since },
                    Ok(None) => Message::ResetNothingToUndo,
                    Err(kind) => Message::failed(kind),
                };
                vec![self.say(chat, message)]
            }
        }
    }

    fn reply(
        &mut self,
        chat: &ChatKey,
        person: &Person,
        origin: Origin,
        now: Now,
        answer: impl FnOnce(Reply<'_>) -> Vec<Effect>,
    ) -> Vec<Effect> {
        let Conversation { settings, sessions, last_job } = self;
        let lang = person.lang.unwrap_or(settings.lang);
        let make = || Session::new(chat, settings.choice.clone(), settings.footer, lang, now);
        match sessions.open(chat, make) {
            Some(session) => {
                session.last_seen = now.tick;
                if let Some(lang) = person.lang.filter(|_| !session.is_lang_chosen) {
                    session.lang = lang;
                }
                answer(Reply { settings, session, last_job, chat, person, origin, now })
            }
            None => vec![Effect::say(chat.clone(), lang, Message::Busy)],
        }
    }

    /// Ends an answer, and begins the one that waits for it.
    fn answered(&mut self, chat: ChatKey, job: JobId, outcome: AnswerOutcome, now: Now) -> Vec<Effect> {
        let mut effects = vec![self.end(chat.clone(), job, outcome)];
        let next = |sessions: &mut Sessions| {
            let session = sessions.get_mut(&chat).filter(|session| session.running.is_none())?;
            session.told_full = false;
            session.waiting.pop_front()
        };
        // One that does not fit is told so, and begins nothing.
        while let Some(question) = next(&mut self.sessions) {
            let person = question.person.clone();
            let origin = question.origin.clone();
            effects.extend(self.reply(&chat, &person, origin, now, |reply| reply.ask(question)));
        }
        effects
    }

    /// Ends an answer. What came of an unfinished one is remembered, because the person has seen it and may refer to
    /// it; an answer of which nothing came leaves no trace but the question for `/retry`.
    fn end(&mut self, chat: ChatKey, job: JobId, outcome: AnswerOutcome) -> Effect {
        let AnswerOutcome { text, receipt, instead, result } = outcome;
        let session = self.sessions.get_mut(&chat);
        let lang = session.as_ref().map_or(self.settings.lang, |session| session.lang);
        let Some(session) = session else {
            return Effect::End { chat, lang, job, footer: None, note: None, answered: result.is_ok() };
        };
        let choice = receipt.as_ref().map(|receipt| receipt.choice.clone());
        let running = session.running.as_ref();
        let in_group = running.is_some_and(|running| running.in_group);
        let lang = running.filter(|running| running.job == job).map_or(lang, |running| running.lang);
        let footer = receipt.clone().filter(|_| session.footer && !in_group).map(Message::UsageFooter);
        if let Some(running) = session.running.take_if(|running| running.job == job)
            && !running.forget
        {
            if !text.trim().is_empty() {
                session.history.push(running.question, text, &self.settings.bounds);
            }
            if let Some(receipt) = receipt {
                session.note_receipt(running.message, receipt);
            }
        }
        let answered_instead = |instead| choice.clone().map(|choice| Message::AnsweredInstead { choice, instead });
        let answered = result.is_ok();
        let told = instead.filter(|_| answered).and_then(answered_instead);
        let problem = result.err().map(|problem| match problem {
            Problem::Cancelled | Problem::Failed { kind: ErrorKind::CancelledByUser, .. } => Message::Cancelled,
            Problem::CutOff => Message::CutOff,
            Problem::Refused(limit) => Message::RefusedLimit(limit),
            Problem::NoVision(choice) => Message::NoVision(choice),
            Problem::Failed { kind, http_status, retry_in_seconds } => {
                let choice = choice.clone().or_else(|| Some(session.choice.clone()));
                Message::Error { kind, http_status, retry_in_seconds, choice }
            }
        });
        Effect::End { chat, lang, job, footer, note: problem.or(told), answered }
    }

    fn models(&mut self, chat: ChatKey, wanted: Option<PrivateText>, mut list: ModelList) -> Effect {
        let Some(session) = self.sessions.get_mut(&chat) else {
            return self.say(chat, Message::Busy);
        };
        let message = match wanted {
            Some(wanted) => match list.find(&wanted, &session.shown, &session.choice) {
                Ok(choice) => {
                    session.choice = choice.clone();
                    Message::ModelSwitched(choice)
                }
                Err(suggestion) => Message::ModelUnknown { wanted, suggestion },
            },
            None => {
                let more = list.offers.len().saturating_sub(MAX_MODEL_LINES);
                list.offers.truncate(MAX_MODEL_LINES);
                session.shown = list.offers;
                let rows = session.shown.iter().enumerate().map(|(n, offer)| ModelLine {
                    number: n + 1,
                    choice: offer.clone(),
                    current: *offer == session.choice,
                });
                Message::ModelList {
                    current: session.choice.clone(),
                    models: rows.collect(),
                    more,
                    silent: list.silent.into_iter().map(|silent| silent.provider).collect(),
                }
            }
        };
        self.say(chat, message)
    }

    fn say(&mut self, chat: ChatKey, message: Message) -> Effect {
        let lang = self.lang_of(&chat);
        Effect::say(chat, lang, message)
    }

    /// The language a chat is answered in.
    pub fn lang_of(&mut self, chat: &ChatKey) -> Lang {
        self.sessions.get_mut(chat).map_or(self.settings.lang, |session| session.lang)
    }

    #[cfg(test)]
    pub(super) fn session_count(&self) -> usize {
        self.sessions.len()
    }
}
