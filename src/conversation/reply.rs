//! What the bot does when a person speaks: questions, commands, interrupts. Pure.

use super::commands::{self, Command, Input, Place, Switch, Who};
use super::message::{HelpLine, Message};
use super::people::{ChatKey, Person, PrivateText};
use super::session::{Job, JobId, PendingReset, Running, Session};
use super::step::{Effect, Settings};
use crate::templates::Lang;
use crate::usage::Now;

/// How long a reset waits for its code word.
pub(super) const RESET_VALID_SECS: u64 = 60;

/// One person's turn in one chat.
pub(super) struct Reply<'a> {
    pub(super) settings: &'a Settings,
    pub(super) session: &'a mut Session,
    pub(super) last_job: &'a mut u64,
    pub(super) chat: &'a ChatKey,
    pub(super) person: &'a Person,
    pub(super) now: Now,
}

impl Reply<'_> {
    pub(super) fn welcome(self) -> Vec<Effect> {
        let bot = self.settings.names.name.clone();
        let message = Message::Welcome { bot, admin: self.person.admin, choice: self.session.choice.clone() };
        self.say(message)
    }

    pub(super) fn input(self, input: Input) -> Vec<Effect> {
        self.session.leaving = false;
        match input {
            Input::Nothing => Vec::new(),
            Input::Unknown { word, suggestion } => {
                self.say(Message::UnknownCommand { word, suggestion, misused: None })
            }
            Input::Misused { word, command } => {
                self.say(Message::UnknownCommand { word, suggestion: None, misused: Some(command) })
            }
            Input::Text(question) => self.ask(question),
            Input::Command(command) => self.command(command),
        }
    }

    /// The first interrupt stops the answer being written, or says how to leave; the second leaves.
    pub(super) fn interrupt(self) -> Vec<Effect> {
        if self.settings.place != Place::Console {
            return self.cancel();
        }
        if std::mem::replace(&mut self.session.leaving, true) {
            return self.leave();
        }
        match &self.session.running {
            Some(running) if !running.cancelled => self.cancel(),
            _ => self.say(Message::InterruptedHint),
        }
    }

    pub(super) fn leave(self) -> Vec<Effect> {
        let cancel = self.session.running.as_ref().map(|running| Effect::Cancel { job: running.job });
        cancel.into_iter().chain(self.say(Message::Goodbye)).chain([Effect::Leave]).collect()
    }

    fn command(self, command: Command) -> Vec<Effect> {
        let (chat, person) = (self.chat.clone(), self.person.clone());
        match command {
            Command::Stats { period, view } => {
                vec![Effect::ShowStats { chat, person, lang: self.session.lang, period, view }]
            }
            Command::ResetStats { confirmed } => self.reset(confirmed),
            Command::UndoReset => self.undo_reset(),
            Command::Usage(switch) => self.usage(switch),
            Command::Cost => {
                let last = self.session.last_receipt.clone();
                self.say(Message::Cost { last })
            }
            Command::Model(wanted) => vec![Effect::ListModels { chat, wanted }],
            Command::New => self.start_afresh(),
            Command::Retry => self.retry(),
            Command::Cancel => self.cancel(),
            Command::Lang(wanted) => self.lang(wanted),
            Command::Help => self.help(),
            Command::Id => {
                self.say(Message::Id { id: person.id, chat: chat.id, channel: chat.channel, admin: person.admin })
            }
            Command::Start => self.welcome(),
            Command::Quit => self.leave(),
        }
    }

    fn ask(self, question: PrivateText) -> Vec<Effect> {
        if self.session.running.is_some() {
            return self.say(Message::Busy);
        }
        let bounds = &self.settings.bounds;
        let Some(turns) = self.session.history.prompt(self.settings.system.as_ref(), &question, bounds) else {
            let system_tokens = self.settings.system.as_ref().map_or(0, |text| (bounds.estimate)(text));
            let max_tokens = bounds.tokens.saturating_sub(system_tokens);
            let tokens = (bounds.estimate)(&question);
            return self.say(Message::TooLong { tokens, max_tokens });
        };
        *self.last_job += 1;
        let id = JobId(*self.last_job);
        self.session.last_question = Some(question.clone());
        self.session.running = Some(Running { job: id, question, cancelled: false, forget: false });
        let job = Job {
            id,
            chat: self.chat.clone(),
            person: self.person.clone(),
            session: self.session.identity.clone(),
            choice: self.session.choice.clone(),
            turns,
            lang: self.session.lang,
        };
        vec![Effect::Ask { job }]
    }

    fn retry(self) -> Vec<Effect> {
        if self.session.running.is_some() {
            return self.say(Message::Busy);
        }
        match self.session.last_question.clone() {
            Some(question) => {
                self.session.history.take_back(&question);
                self.ask(question)
            }
            None => self.say(Message::RetryNothing),
        }
    }

    /// Nothing is said when there is something to stop: the end of the answer says it.
    fn cancel(self) -> Vec<Effect> {
        match &mut self.session.running {
            Some(running) => {
                running.cancelled = true;
                vec![Effect::Cancel { job: running.job }]
            }
            None => self.say(Message::NothingToCancel),
        }
    }

    fn start_afresh(self) -> Vec<Effect> {
        let cancel = self.session.running.as_ref().map(|running| Effect::Cancel { job: running.job });
        self.session.start_afresh(self.chat, self.now);
        cancel.into_iter().chain(self.say(Message::NewConversation)).collect()
    }

    fn reset(self, confirmed: bool) -> Vec<Effect> {
        if !self.person.admin {
            let id = self.person.id.clone();
            return self.say(Message::ResetDenied { id });
        }
        let asked_for = self.session.pending_reset.take().is_some_and(|pending| {
            let age_ms = self.now.tick.millis_since(pending.asked);
            pending.person == self.person.id && age_ms <= RESET_VALID_SECS * 1000
        });
        if confirmed && asked_for {
            return vec![Effect::ResetStats { chat: self.chat.clone(), person: self.person.clone() }];
        }
        self.session.pending_reset = Some(PendingReset { person: self.person.id.clone(), asked: self.now.tick });
        let code = commands::confirm_word(self.session.lang);
        let command = format!("/reset_stats {code}");
        self.say(Message::ResetConfirm { command, code, valid_seconds: RESET_VALID_SECS })
    }

    /// Not asked twice: it only shows more.
    fn undo_reset(self) -> Vec<Effect> {
        if !self.person.admin {
            let id = self.person.id.clone();
            return self.say(Message::ResetDenied { id });
        }
        vec![Effect::UndoReset { chat: self.chat.clone() }]
    }

    fn usage(self, switch: Option<Switch>) -> Vec<Effect> {
        self.session.footer = match switch {
            Some(Switch::On) => true,
            Some(Switch::Off) => false,
            None => !self.session.footer,
        };
        let message = if self.session.footer { Message::UsageOn } else { Message::UsageOff };
        self.say(message)
    }

    fn lang(self, wanted: Option<PrivateText>) -> Vec<Effect> {
        if let Some(lang) = wanted.as_ref().and_then(|word| Lang::parse(word)) {
            self.session.lang = lang;
            return self.say(Message::LangSwitched { lang });
        }
        let lang = self.session.lang;
        self.say(Message::LangUnknown { wanted, lang, languages: Lang::ALL })
    }

    fn help(self) -> Vec<Effect> {
        let rows = commands::offered(self.settings.place)
            .filter(|spec| spec.listed && (spec.who == Who::Everyone || self.person.admin))
            .map(|spec| HelpLine { name: spec.name, admin: spec.who == Who::Admin });
        let message = Message::Help { bot: self.settings.names.name.clone(), commands: rows.collect() };
        self.say(message)
    }

    fn say(self, message: Message) -> Vec<Effect> {
        vec![Effect::Say { chat: self.chat.clone(), lang: self.session.lang, message }]
    }
}
