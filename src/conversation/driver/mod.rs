//! Runs the effects of a [`Conversation`]: the only part of it that is asynchronous.
//!
//! One driver per channel; they share an [`Assistant`], the [`Books`] and the number of generations at once. Each
//! generation runs in a task of the driver's own, so neither a slow channel nor one that went away loses a record.

mod outbox;
mod seams;
mod seat;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

pub use outbox::{DeltaSink, Outgoing};
pub use seams::{Assistant, Books, Door, ManageRequest, Renderer, Role, StatsRequest};

use super::buttons::{Button, Key, Keyboard, Press};
use super::cancel::{CancelReason, CancelToken};
use super::message::{AnswerOutcome, Message};
use super::origin::{MessageRef, Origin};
use super::people::{ChatKey, PrivateText};
use super::session::{Job, JobId};
use super::step::{Conversation, Effect, Event};
use crate::templates::Lang;
use crate::usage::{Clock, ErrorKind};
use outbox::Outbox;
use seat::Seat;

/// How long things may take to end.
#[derive(Clone, Copy, Debug)]
pub struct Grace {
    /// At shutdown: how long running answers may finish by themselves.
    pub finish: Duration,
    /// After a cancel: how long a generation may take to write its record before it is dropped (which records it too),
    /// and how long a channel may take to accept what is left to say.
    pub cancel: Duration,
}

impl Default for Grace {
    fn default() -> Self {
        Grace { finish: Duration::from_secs(5), cancel: Duration::from_secs(3) }
    }
}

/// What drivers run effects with. Cheap to clone.
#[derive(Debug)]
pub struct Parts<A, B, R> {
    /// Calls models.
    pub assistant: Arc<A>,
    /// Shows and resets the books.
    pub books: Arc<B>,
    /// Turns messages into text.
    pub renderer: Arc<R>,
    /// Generations at once, over all channels.
    pub slots: Arc<Semaphore>,
    /// Patience.
    pub grace: Grace,
}

impl<A, B, R> Clone for Parts<A, B, R> {
    fn clone(&self) -> Self {
        Parts {
            assistant: Arc::clone(&self.assistant),
            books: Arc::clone(&self.books),
            renderer: Arc::clone(&self.renderer),
            slots: Arc::clone(&self.slots),
            grace: self.grace,
        }
    }
}

/// Runs one channel's conversation.
pub struct Driver<A, B, R> {
    conversation: Conversation,
    parts: Parts<A, B, R>,
    clock: Arc<dyn Clock>,
    tasks: JoinSet<Done>,
    owners: HashMap<Id, Owner>,
    jobs: HashMap<JobId, Running>,
    outbox: Outbox,
    /// No more events are taken in, so no chat is told that it may go on.
    stopping: bool,
}

/// What a task leaves behind.
enum Done {
    Event(Event),
    Text(String),
    Stats { text: String, keyboard: Keyboard, replace: Option<MessageRef> },
    Nothing,
}

/// Whose task it is, known even when it panicked.
struct Owner {
    chat: ChatKey,
    lang: Lang,
    job: Option<JobId>,
    origin: Origin,
}

struct Running {
    cancel: CancelToken,
    sink: DeltaSink,
    origin: Origin,
}

impl<A: Assistant, B: Books, R: Renderer> Driver<A, B, R> {
    /// A driver that speaks to its channel through `outgoing`.
    pub fn new(
        conversation: Conversation,
        parts: Parts<A, B, R>,
        clock: Arc<dyn Clock>,
        outgoing: mpsc::Sender<Outgoing>,
    ) -> Self {
        Driver {
            conversation,
            parts,
            clock,
            tasks: JoinSet::new(),
            owners: HashMap::new(),
            jobs: HashMap::new(),
            outbox: Outbox::new(outgoing),
            stopping: false,
        }
    }

    /// Takes in events until the channel drops its sender or `stop` says so, then ends what runs.
    ///
    /// When it returns, every task has ended and every call made has its record.
    pub async fn run(mut self, mut events: mpsc::Receiver<Event>, stop: CancelToken) {
        let reason = loop {
            tokio::select! {
                reason = stop.cancelled() => break reason,
                event = events.recv(), if self.outbox.has_room() => match event {
                    Some(event) => self.take(event),
                    None => break CancelReason::Gone,
                },
                Some(done) = self.tasks.join_next_with_id() => self.finished(done),
                () = self.outbox.send_one(), if !self.outbox.is_empty() => {}
            }
        };
        drop(events);
        self.drain(reason).await;
    }

    /// Ends what runs: at a shutdown it may finish, else it is cancelled at once; what does not end is dropped.
    async fn drain(mut self, reason: CancelReason) {
        let grace = self.parts.grace;
        self.stopping = true;
        // Who waits in line at a limit has nothing to finish.
        self.jobs.values().filter(|job| job.sink.is_in_line()).for_each(|job| job.cancel.cancel(reason));
        if reason == CancelReason::Shutdown {
            let _finished_or_not = timeout(grace.finish, self.finish_tasks()).await;
        }
        self.jobs.values().for_each(|running| running.cancel.cancel(reason));
        if timeout(grace.cancel, self.finish_tasks()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "generations did not end in time and were dropped");
            self.tasks.abort_all();
            let _dropped_or_stuck = timeout(grace.cancel, self.finish_tasks()).await;
        }
        let _delivered_or_not = timeout(grace.cancel, self.outbox.send_all()).await;
    }

    async fn finish_tasks(&mut self) {
        loop {
            tokio::select! {
                done = self.tasks.join_next_with_id() => match done {
                    Some(done) => self.finished(done),
                    None => return,
                },
                () = self.outbox.send_one(), if !self.outbox.is_empty() => {}
            }
        }
    }

    fn take(&mut self, event: Event) {
        let origin = event.origin();
        self.take_from(event, &origin);
    }

    fn take_from(&mut self, event: Event, origin: &Origin) {
        let chat = event.chat().clone();
        let now = self.clock.now();
        for effect in self.conversation.step(event, now) {
            self.perform(effect, origin);
        }
        self.settled(chat);
    }

    fn finished(&mut self, done: Result<(Id, Done), JoinError>) {
        let (id, done) = match done {
            Ok((id, done)) => (id, Some(done)),
            Err(error) => (error.id(), None),
        };
        let owner = self.owners.remove(&id).expect("every task is noted when it is spawned");
        match done {
            Some(Done::Event(event)) => self.take_from(event, &owner.origin),
            Some(Done::Text(text)) => self.say_text(owner, text),
            Some(Done::Stats { text, keyboard, replace }) => {
                let (chat, origin) = (owner.chat, owner.origin);
                let keyboard = self.labelled(owner.lang, keyboard);
                let (text, refuses) = (text.into(), false);
                self.outbox.push(Outgoing::Text { chat: chat.clone(), text, keyboard, replace, refuses, origin });
                self.settled(chat);
            }
            Some(Done::Nothing) => self.settled(owner.chat),
            None => self.broken(owner),
        }
    }

    /// A task panicked, or was dropped because it did not end.
    fn broken(&mut self, owner: Owner) {
        let kind = match owner.job.and_then(|job| self.jobs.get(&job)?.cancel.reason()) {
            Some(reason) => reason.kind(),
            None if self.stopping => ErrorKind::Shutdown,
            None => ErrorKind::Panic,
        };
        match owner.job {
            Some(job) => {
                let outcome = Box::new(AnswerOutcome::failed(kind));
                self.take_from(Event::Answered { chat: owner.chat, job, outcome }, &owner.origin);
            }
            None => {
                let message = Message::failed(kind);
                let text = self.parts.renderer.render(owner.lang, &message);
                self.say_text(owner, text);
            }
        }
    }

    fn say_text(&mut self, owner: Owner, text: String) {
        let Owner { chat, origin, .. } = owner;
        let text = text.into();
        let (keyboard, replace, refuses) = (Vec::new(), None, false);
        self.outbox.push(Outgoing::Text { chat: chat.clone(), text, keyboard, replace, refuses, origin });
        self.settled(chat);
    }

    fn labelled(&self, lang: Lang, keyboard: Keyboard) -> Keyboard<Button> {
        let label = |key: Key| Button { label: self.parts.renderer.label(lang, &key), press: key.press };
        keyboard.into_iter().map(|row| row.into_iter().map(label).collect()).collect()
    }

    /// Tells the chat when nothing is under way in it any more.
    fn settled(&mut self, chat: ChatKey) {
        if !self.stopping && !self.owners.values().any(|owner| owner.chat == chat) {
            self.outbox.push(Outgoing::Ready { chat });
        }
    }

    fn perform(&mut self, effect: Effect, origin: &Origin) {
        match effect {
            Effect::Say { chat, lang, message, keyboard, replace } => {
                let text = self.parts.renderer.render(lang, &message).into();
                let (keyboard, refuses) =
                    (self.labelled(lang, keyboard), matches!(message, Message::TooLong { .. } | Message::Busy));
                self.outbox.push(Outgoing::Text { chat, text, keyboard, replace, refuses, origin: origin.clone() });
            }
            Effect::Acknowledge { chat, lang, message } => {
                let text = message.map(|message| self.parts.renderer.render_plain(lang, &message).into());
                self.outbox.push(Outgoing::Acknowledge { chat, text, origin: origin.clone() });
            }
            // What waited in line is not begun any more: whoever keeps account of it sees that it was not answered.
            Effect::Ask { .. } if self.stopping => {}
            Effect::Ask { job } => self.ask(job),
            Effect::Cancel { job } => {
                if let Some(running) = self.jobs.get(&job) {
                    running.cancel.cancel(CancelReason::Person);
                }
            }
            Effect::End { chat, lang, job, footer, note, answered } => {
                let render = |message: Message| PrivateText::from(self.parts.renderer.render(lang, &message));
                let (footer, note) = (footer.map(render), note.map(render));
                self.end(chat, job, |chat, origin| Outgoing::AnswerEnd { chat, job, footer, note, answered, origin });
            }
            Effect::ShowStats { chat, person, lang, period, view, keyboard, replace } => {
                let (parts, chat_of) = (self.parts.clone(), chat.clone());
                let request = StatsRequest { chat, person, period, view, lang, surface: parts.renderer.surface() };
                self.spawn(chat_of, lang, origin, async move {
                    Done::Stats { text: parts.books.stats_text(request).await, keyboard, replace }
                });
            }
            Effect::Manage { chat, person, lang, request } => {
                let (parts, chat_of) = (self.parts.clone(), chat.clone());
                let request = ManageRequest { chat, person, request };
                self.spawn(chat_of, lang, origin, async move {
                    Done::Text(parts.renderer.render(lang, &parts.books.manage(request).await))
                });
            }
            Effect::KeepLang { chat, lang } => {
                let (books, chat_of) = (Arc::clone(&self.parts.books), chat.clone());
                self.spawn(chat_of, lang, origin, async move {
                    books.keep_lang(chat, lang).await;
                    Done::Nothing
                });
            }
            Effect::ListModels { chat, wanted } => {
                let (books, lang) = (Arc::clone(&self.parts.books), self.conversation.lang_of(&chat));
                self.spawn(chat.clone(), lang, origin, async move {
                    Done::Event(Event::Models { chat, wanted, list: books.models().await })
                });
            }
            Effect::ResetStats { chat, person, replace } => {
                let (books, lang) = (Arc::clone(&self.parts.books), self.conversation.lang_of(&chat));
                self.spawn(chat.clone(), lang, origin, async move {
                    Done::Event(Event::StatsReset { chat, result: books.reset(person).await, replace })
                });
            }
            Effect::ActOnAlert { chat, person, id, act, replace } => {
                let (books, lang) = (Arc::clone(&self.parts.books), self.conversation.lang_of(&chat));
                self.spawn(chat.clone(), lang, origin, async move {
                    let result = Box::new(books.act_on_alert(chat.clone(), person, id, act).await);
                    Done::Event(Event::ActedOnAlert { chat, result, replace })
                });
            }
            Effect::UndoReset { chat } => {
                let (books, lang) = (Arc::clone(&self.parts.books), self.conversation.lang_of(&chat));
                self.spawn(chat.clone(), lang, origin, async move {
                    Done::Event(Event::ResetUndone { chat, result: books.undo_reset().await })
                });
            }
            Effect::Leave => self.outbox.push(Outgoing::Leave),
        }
    }

    fn ask(&mut self, job: Job) {
        let (id, chat, lang, origin) = (job.id, job.chat.clone(), job.lang, job.origin.clone());
        let cancel = CancelToken::new();
        let (seat, renderer) = (Seat::among(Arc::clone(&self.parts.slots)), Arc::clone(&self.parts.renderer));
        let sink = self.outbox.sink(chat.clone(), id);
        let sink = sink.seated(seat.clone(), move |message| renderer.render(lang, message));
        self.jobs.insert(id, Running { cancel: cancel.clone(), sink: sink.clone(), origin: origin.clone() });
        let label = self.parts.renderer.label(lang, &Key::new("stop", Press::Stop(id)));
        let stop = Button { label, press: Press::Stop(id) };
        self.outbox.push(Outgoing::AnswerStart { chat: chat.clone(), job: id, origin: origin.clone(), stop });
        let parts = self.parts.clone();
        self.spawn_owned(Owner { chat: chat.clone(), lang, job: Some(id), origin }, async move {
            let outcome = generate(parts, job, sink, &seat, cancel).await;
            seat.leave();
            Done::Event(Event::Answered { chat, job: id, outcome: Box::new(outcome) })
        });
    }

    fn end(&mut self, chat: ChatKey, job: JobId, end: impl FnOnce(ChatKey, Origin) -> Outgoing) {
        let (rest, origin) = match self.jobs.remove(&job) {
            Some(running) => (running.sink.take_rest(), running.origin),
            None => Default::default(),
        };
        if !rest.is_empty() {
            self.outbox.push(Outgoing::Delta { chat: chat.clone(), job, text: rest.into() });
        }
        self.outbox.push(end(chat, origin));
    }

    fn spawn(&mut self, chat: ChatKey, lang: Lang, from: &Origin, task: impl Future<Output = Done> + Send + 'static) {
        self.spawn_owned(Owner { chat, lang, job: None, origin: from.clone() }, task);
    }

    fn spawn_owned(&mut self, owner: Owner, task: impl Future<Output = Done> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.owners.insert(handle.id(), owner);
    }
}

/// Waits for a seat, calls the model, and insists that it ends when it is cancelled.
async fn generate<A: Assistant, B, R>(
    parts: Parts<A, B, R>,
    job: Job,
    sink: DeltaSink,
    seat: &Seat,
    cancel: CancelToken,
) -> AnswerOutcome {
    tokio::select! {
        biased;
        reason = cancel.cancelled() => return AnswerOutcome::failed(reason.kind()),
        seated = seat.take() => if !seated {
            return AnswerOutcome::failed(ErrorKind::Shutdown);
        },
    }
    let out_of_patience = async {
        let reason = cancel.cancelled().await;
        sleep(parts.grace.cancel).await;
        reason
    };
    job.origin.asking();
    tokio::select! {
        biased;
        outcome = parts.assistant.ask(job, sink, cancel.clone()) => outcome,
        reason = out_of_patience => AnswerOutcome::failed(reason.kind()),
    }
}

#[cfg(test)]
mod tests;
