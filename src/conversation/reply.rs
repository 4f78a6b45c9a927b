//! What the bot does when a person speaks: questions, commands, interrupts. Pure.

use super::budgets::BudgetAsk;
use super::buttons::{self, AlertAct, Press};
use super::commands::{self, Command, Input, Place, Switch, Who};
use super::message::{HelpLine, Message};
use super::origin::Origin;
use super::people::{ChatKey, Person, Photo, PrivateText};
use super::session::{Job, JobId, PendingReset, Question, Running, Session};
use super::step::{Effect, Request, Settings};
use super::words;
use crate::reports::View;
use crate::stats::Period;
use crate::templates::{Lang, fold};
use crate::usage::Now;

/// How long a reset waits for its code word.
pub(super) const RESET_VALID_SECS: u64 = 60;

/// Questions that wait in one chat at most, while another is being answered.
pub(super) const MAX_WAITING: usize = 3;

/// One person's turn in one chat.
pub(super) struct Reply<'a> {
    pub(super) settings: &'a Settings,
    pub(super) session: &'a mut Session,
    pub(super) last_job: &'a mut u64,
    pub(super) chat: &'a ChatKey,
    pub(super) person: &'a Person,
    pub(super) origin: Origin,
    pub(super) now: Now,
}

impl Reply<'_> {
    pub(super) fn welcome(self) -> Vec<Effect> {
        let bot = self.settings.names.name.clone();
        let message = Message::Welcome { bot, admin: self.person.admin, choice: self.session.choice.clone() };
        self.say(message)
    }

    pub(super) fn input(self, input: Input, photos: Vec<Photo>) -> Vec<Effect> {
        self.session.leaving = false;
        match input {
            Input::Nothing => Vec::new(),
            Input::Unknown { word, suggestion } => {
                self.say(Message::UnknownCommand { word, suggestion, misused: None })
            }
            Input::Misused { word, command } => {
                self.say(Message::UnknownCommand { word, suggestion: None, misused: Some(command) })
            }
            Input::Text(text) => {
                match words::agrees(&fold(&text)).filter(|_| photos.is_empty() && self.is_reset_pending()) {
                    Some(true) => self.reset(words::confirms(&fold(&text))),
                    Some(false) => self.keep_counting(),
                    None => self.question(text, photos),
                }
            }
            Input::Command(command) => self.command(command),
        }
    }

    fn question(self, text: PrivateText, photos: Vec<Photo>) -> Vec<Effect> {
        let about_photos = text.trim().is_empty() && !photos.is_empty();
        let text = if about_photos { words::what_is_seen(self.session.lang).into() } else { text };
        let (person, origin) = (self.person.clone(), self.origin.clone());
        self.ask(Question { person, text, photos, origin })
    }

    /// A question that waits is changed; one that is or was answered last is asked again as it stands now.
    pub(super) fn edited(self, text: PrivateText) -> Vec<Effect> {
        let message = &self.origin.message;
        if let Some(waiting) = self.session.waiting.iter_mut().find(|waiting| waiting.origin.message == *message) {
            waiting.text = text;
            return Vec::new();
        }
        if message.is_none() || self.session.last_message != *message {
            return Vec::new(); // long answered, or never a question
        }
        let question = Question { person: self.person.clone(), text, photos: Vec::new(), origin: self.origin.clone() };
        match &mut self.session.running {
            Some(running) => {
                (running.cancelled, running.forget) = (true, true);
                let job = running.job;
                self.session.waiting.push_front(question);
                vec![Effect::Cancel { job }]
            }
            None => {
                if let Some(last) = self.session.last_question.take() {
                    self.session.history.take_back(&last);
                }
                self.ask(question)
            }
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
            Command::Stats { view, .. } if !person.may_see(view) => self.say(Message::AdminOnly),
            Command::Stats { period, view } => self.stats(period, view),
            Command::ResetStats { confirmed } => self.reset(confirmed),
            Command::UndoReset => self.undo_reset(),
            // What others spend is nobody's business in a group.
            Command::Usage(_) | Command::Cost | Command::Claim(_) if person.group.is_some() => {
                self.say(Message::PrivateOnly)
            }
            Command::Usage(switch) => self.usage(switch),
            Command::Cost => self.cost(),
            Command::Budget(ask) => self.budget(ask),
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
            Command::Claim(code) => self.manage(Request::Claim(code)),
            Command::Allow(_) | Command::Deny(_) | Command::Health if !person.admin => self.say(Message::AdminOnly),
            Command::Allow(who) => self.manage(Request::Allow(who)),
            Command::Deny(who) => self.manage(Request::Deny(who)),
            Command::Health => self.manage(Request::Health),
        }
    }

    /// What the answer it replies to cost, or else the last one, and what is left of the budgets it was charged to.
    fn cost(self) -> Vec<Effect> {
        let replied = self.origin.about.is_some();
        match self.session.receipt(self.origin.about.as_ref()) {
            Some(receipt) => self.manage(Request::Cost { receipt: Box::new(receipt), replied }),
            None if replied => self.say(Message::CostForgotten),
            None => self.say(Message::Cost(None)),
        }
    }

    /// Everybody sees what is theirs; an admin changes it, where nobody reads along.
    fn budget(self, ask: BudgetAsk) -> Vec<Effect> {
        match ask {
            BudgetAsk::Show(None) => self.manage(Request::Budget(ask)),
            _ if !self.person.admin => self.say(Message::AdminOnly),
            _ if self.person.group.is_some() => self.say(Message::PrivateOnly),
            BudgetAsk::Misread(mistake) => self.say(Message::BudgetMistake(mistake.into())),
            ask => self.manage(Request::Budget(ask)),
        }
    }

    fn manage(self, request: Request) -> Vec<Effect> {
        let (chat, person) = (self.chat.clone(), self.person.clone());
        vec![Effect::Manage { chat, person, lang: self.session.lang, request }]
    }

    fn stats(self, period: Period, view: View) -> Vec<Effect> {
        let keyboard = match self.settings.place {
            Place::Chat => buttons::below_stats(self.person, period, view),
            Place::Console => Vec::new(),
        };
        let (chat, person, lang) = (self.chat.clone(), self.person.clone(), self.session.lang);
        let replace = self.origin.press.as_ref().and(self.origin.message.clone());
        vec![Effect::ShowStats { chat, person, lang, period, view, keyboard, replace }]
    }

    /// Asks the model, now or when the answer under way has ended.
    pub(super) fn ask(self, question: Question) -> Vec<Effect> {
        if self.session.running.is_some() {
            return self.wait_in_line(question);
        }
        let bounds = &self.settings.bounds;
        let Question { person, text, photos, origin } = question;
        let Some(turns) = self.session.history.prompt(self.settings.system.as_ref(), &text, bounds) else {
            let system_tokens = self.settings.system.as_ref().map_or(0, |text| (bounds.estimate)(text));
            let max_tokens = bounds.tokens.saturating_sub(system_tokens);
            let tokens = (bounds.estimate)(&text);
            return self.say(Message::TooLong { tokens, max_tokens });
        };
        *self.last_job += 1;
        let id = JobId(*self.last_job);
        self.session.last_question = photos.is_empty().then(|| text.clone());
        self.session.last_message = origin.message.clone();
        let (asker, message, in_group) = (person.id.clone(), origin.message.clone(), person.group.is_some());
        let (lang, cancelled, forget) = (self.session.lang, false, false);
        self.session.running =
            Some(Running { job: id, question: text, asker, lang, message, in_group, cancelled, forget });
        let job = Job {
            id,
            chat: self.chat.clone(),
            person,
            session: self.session.identity.clone(),
            choice: self.session.choice.clone(),
            turns,
            photos,
            lang: self.session.lang,
            origin,
        };
        vec![Effect::Ask { job }]
    }

    /// In a messenger a few questions wait; whoever asks more is told once.
    fn wait_in_line(self, question: Question) -> Vec<Effect> {
        if self.settings.place == Place::Console {
            return self.say(Message::Busy);
        }
        let waiting = self.session.waiting.len();
        if waiting < MAX_WAITING {
            self.session.waiting.push_back(question);
            return self.say(Message::Queued { position: waiting as u64 + 1 });
        }
        match std::mem::replace(&mut self.session.told_full, true) {
            true => Vec::new(),
            false => self.say(Message::QueueFull { waiting: waiting as u64 }),
        }
    }

    /// Every press is judged anew: the screen may be old, and whoever presses need not be who asked for it.
    pub(super) fn pressed(mut self, press: Press) -> Vec<Effect> {
        let seen = self.acknowledge(None);
        let effects = match press {
            Press::Stats { asker, .. } if asker != self.person.id && !self.person.admin => {
                return vec![self.acknowledge(Some(Message::PressForeign))];
            }
            Press::Stats { view, .. } if !self.person.may_see(view) => {
                return vec![self.acknowledge(Some(Message::AdminOnly))];
            }
            Press::Stats { period, view, .. } => self.stats(period, view),
            Press::Stop(job) => return self.stop(job),
            Press::AskReset | Press::ConfirmReset | Press::CancelReset if !self.person.admin => {
                return vec![self.acknowledge(Some(Message::AdminOnly))];
            }
            Press::AskReset => self.ask_reset(),
            Press::ConfirmReset if !self.is_reset_asked() => {
                return vec![self.acknowledge(Some(Message::PressOld))];
            }
            Press::ConfirmReset => {
                let replace = self.origin.message.clone();
                vec![Effect::ResetStats { chat: self.chat.clone(), person: self.person.clone(), replace }]
            }
            Press::CancelReset => {
                self.session.pending_reset = None;
                self.stats(Period::All, View::Overview)
            }
            Press::Alert { .. } if !self.person.admin => return vec![self.acknowledge(Some(Message::AdminOnly))],
            Press::Alert { .. } if self.person.group.is_some() => {
                return vec![self.acknowledge(Some(Message::PrivateOnly))];
            }
            Press::Alert { id, act } => return self.act_on_alert(id, act),
            Press::Unknown => return vec![self.acknowledge(Some(Message::PressOld))],
        };
        std::iter::once(seen).chain(effects).collect()
    }

    fn acknowledge(&self, message: Option<Message>) -> Effect {
        Effect::Acknowledge { chat: self.chat.clone(), lang: self.session.lang, message }
    }

    fn act_on_alert(self, id: String, act: AlertAct) -> Vec<Effect> {
        let (chat, person, replace) = (self.chat.clone(), self.person.clone(), self.origin.message.clone());
        vec![Effect::ActOnAlert { chat, person, id, act, replace }]
    }

    fn stop(self, job: JobId) -> Vec<Effect> {
        match &mut self.session.running {
            Some(running) if running.job == job && !may_stop(self.person, running) => {
                vec![self.acknowledge(Some(Message::PressForeign))]
            }
            Some(running) if running.job == job => {
                running.cancelled = true;
                vec![self.acknowledge(Some(Message::Stopped)), Effect::Cancel { job }]
            }
            _ => vec![self.acknowledge(Some(Message::PressOld))],
        }
    }

    fn retry(self) -> Vec<Effect> {
        if self.session.running.is_some() {
            return self.say(Message::Busy);
        }
        match self.session.last_question.clone() {
            Some(question) => {
                self.session.history.take_back(&question);
                let (person, origin) = (self.person.clone(), self.origin.clone());
                self.ask(Question { person, text: question, photos: Vec::new(), origin })
            }
            None => self.say(Message::RetryNothing),
        }
    }

    /// Nothing is said when there is something to stop: the end of the answer says it.
    fn cancel(mut self) -> Vec<Effect> {
        let waited = self.forget_waiting();
        let was_asked = self.is_reset_pending();
        match &mut self.session.running {
            Some(running) if may_stop(self.person, running) => {
                running.cancelled = true;
                vec![Effect::Cancel { job: running.job }]
            }
            _ if was_asked => self.keep_counting(),
            _ if waited => self.say(Message::Cancelled),
            _ => self.say(Message::NothingToCancel),
        }
    }

    /// Forgets the questions that wait: in a group their own, for an admin all. Whether there were any.
    fn forget_waiting(&mut self) -> bool {
        let before = self.session.waiting.len();
        let all = self.person.admin || self.person.group.is_none();
        self.session.waiting.retain(|question| !all && question.person.id != self.person.id);
        self.session.waiting.len() < before
    }

    fn start_afresh(mut self) -> Vec<Effect> {
        let running = self.session.running.as_ref().filter(|running| may_stop(self.person, running));
        let cancel = running.map(|running| Effect::Cancel { job: running.job });
        self.forget_waiting();
        self.session.start_afresh(self.chat, self.now);
        cancel.into_iter().chain(self.say(Message::NewConversation)).collect()
    }

    fn reset(mut self, confirmed: bool) -> Vec<Effect> {
        if !self.person.admin {
            let id = self.person.id.clone();
            return self.say(Message::ResetDenied { id });
        }
        let asked_for = self.is_reset_asked();
        if confirmed && asked_for {
            return vec![Effect::ResetStats { chat: self.chat.clone(), person: self.person.clone(), replace: None }];
        }
        self.ask_reset()
    }

    /// Whether this person was asked a moment ago whether to count from zero; asked once, answered once.
    fn is_reset_asked(&mut self) -> bool {
        let is_asked = self.is_reset_pending();
        self.session.pending_reset = None;
        is_asked
    }

    fn is_reset_pending(&self) -> bool {
        self.session.pending_reset.as_ref().is_some_and(|pending| {
            let age_ms = self.now.tick.millis_since(pending.asked);
            pending.person == self.person.id && age_ms <= RESET_VALID_SECS * 1000
        })
    }

    fn keep_counting(self) -> Vec<Effect> {
        self.session.pending_reset = None;
        self.say(Message::ResetKept)
    }

    fn ask_reset(self) -> Vec<Effect> {
        self.session.pending_reset = Some(PendingReset { person: self.person.id.clone(), asked: self.now.tick });
        let (chat, lang) = (self.chat.clone(), self.session.lang);
        let code = commands::confirm_word(lang);
        let command = format!("/reset_stats {code}");
        let message = Message::ResetConfirm { command, code, valid_seconds: RESET_VALID_SECS };
        let keyboard = match self.settings.place {
            Place::Chat => buttons::below_reset(),
            Place::Console => Vec::new(),
        };
        let replace = self.origin.press.as_ref().and(self.origin.message.clone());
        vec![Effect::Say { chat, lang, message, keyboard, replace }]
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
            (self.session.lang, self.session.is_lang_chosen) = (lang, true);
            let keep = Effect::KeepLang { chat: self.chat.clone(), lang };
            return std::iter::once(keep).chain(self.say(Message::LangSwitched { lang })).collect();
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
        vec![Effect::say(self.chat.clone(), self.session.lang, message)]
    }
}

/// An answer is stopped by who asked, or an admin; in a chat of one's own nobody else is there.
fn may_stop(person: &Person, running: &Running) -> bool {
    person.admin || !running.in_group || running.asker == person.id
}
