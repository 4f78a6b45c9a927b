//! The way out to a channel, which may be slow or gone. Nothing here ever waits for it but [`Outbox::send_one`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::seat::Seat;
use crate::conversation::buttons::{Button, Keyboard};
use crate::conversation::message::Message;
use crate::conversation::origin::{MessageRef, Origin};
use crate::conversation::people::{ChatKey, PrivateText};
use crate::conversation::session::JobId;

/// What the channel is to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A whole message.
    Text {
        /// Where.
        chat: ChatKey,
        /// What.
        text: PrivateText,
        /// The buttons below it.
        keyboard: Keyboard<Button>,
        /// The message that it takes the place of.
        replace: Option<MessageRef>,
        /// Whether it says why a question was not asked.
        refuses: bool,
        /// What it answers.
        origin: Origin,
    },
    /// A press of a button was seen.
    Acknowledge {
        /// Where.
        chat: ChatKey,
        /// What to tell who pressed, and nobody else.
        text: Option<PrivateText>,
        /// The press.
        origin: Origin,
    },
    /// An answer is about to be written.
    AnswerStart {
        /// Where.
        chat: ChatKey,
        /// Which answer.
        job: JobId,
        /// What it answers.
        origin: Origin,
        /// What stops it.
        stop: Button,
    },
    /// An answer waits in line. Takes the place of what was said of its place before; its first piece takes this one's.
    AnswerWaits {
        /// Where.
        chat: ChatKey,
        /// Which answer.
        job: JobId,
        /// Its place and when it may go.
        text: PrivateText,
    },
    /// The next piece of an answer.
    Delta {
        /// Where.
        chat: ChatKey,
        /// Of which answer.
        job: JobId,
        /// What.
        text: PrivateText,
    },
    /// An answer is complete, and its record durable.
    AnswerEnd {
        /// Where.
        chat: ChatKey,
        /// Which answer.
        job: JobId,
        /// What it used.
        footer: Option<PrivateText>,
        /// What went wrong, or is to be said of it.
        note: Option<PrivateText>,
        /// Whether it is an answer, whole; else the note says why not.
        answered: bool,
        /// What it answers.
        origin: Origin,
    },
    /// Nothing is under way in this chat: all that was asked is answered. May come more than once.
    Ready {
        /// Where.
        chat: ChatKey,
    },
    /// The person leaves: end the channel.
    Leave,
}

/// When this much waits for the channel, no more events are taken in.
const BACKLOG: usize = 64;

/// A channel's queue, with a backlog for when it is full. The backlog grows only by what is already under way.
pub(super) struct Outbox {
    outgoing: mpsc::Sender<Outgoing>,
    backlog: VecDeque<Outgoing>,
    /// Something is in the backlog, and pieces of answers wait: what they are pieces of may be there.
    is_behind: Arc<AtomicBool>,
}

impl Outbox {
    pub(super) fn new(outgoing: mpsc::Sender<Outgoing>) -> Outbox {
        Outbox { outgoing, backlog: VecDeque::new(), is_behind: Arc::default() }
    }

    pub(super) fn push(&mut self, outgoing: Outgoing) {
        if !self.outgoing.is_closed() {
            self.backlog.push_back(outgoing);
        }
        while let Some(permit) = (!self.backlog.is_empty()).then(|| self.outgoing.try_reserve().ok()).flatten() {
            permit.send(self.backlog.pop_front().expect("seen not to be empty"));
        }
        self.note_behind();
    }

    fn note_behind(&self) {
        self.is_behind.store(!self.backlog.is_empty(), Ordering::Release);
    }

    pub(super) fn has_room(&self) -> bool {
        self.backlog.len() < BACKLOG
    }

    pub(super) fn is_empty(&self) -> bool {
        self.backlog.is_empty()
    }

    /// Waits until the channel takes one more. Nothing is lost if this is dropped while it waits.
    pub(super) async fn send_one(&mut self) {
        match self.outgoing.reserve().await {
            Ok(permit) => {
                if let Some(next) = self.backlog.pop_front() {
                    permit.send(next);
                }
            }
            Err(_gone) => self.backlog.clear(),
        }
        self.note_behind();
    }

    pub(super) async fn send_all(&mut self) {
        while !self.is_empty() {
            self.send_one().await;
        }
    }

    pub(super) fn sink(&self, chat: ChatKey, job: JobId) -> DeltaSink {
        DeltaSink { is_behind: Arc::clone(&self.is_behind), ..DeltaSink::new(chat, job, self.outgoing.clone()) }
    }
}

/// Takes the pieces of an answer as they come, and never makes the one who brings them wait: what the channel has no
/// room for is handed over together with the next piece.
#[derive(Clone)]
pub struct DeltaSink {
    chat: ChatKey,
    job: JobId,
    outgoing: mpsc::Sender<Outgoing>,
    waiting: Arc<Mutex<String>>,
    /// The answer's place among those that are written at once, where they are counted.
    seat: Option<Seat>,
    /// The language of the chat.
    say: Option<Arc<Say>>,
    in_line: Arc<AtomicBool>,
    /// What was said before waits for the channel: nothing overtakes it.
    is_behind: Arc<AtomicBool>,
}

/// Turns a message into text.
type Say = dyn Fn(&Message) -> String + Send + Sync;

impl DeltaSink {
    /// The most that waits for a channel. An answer is far shorter; what goes beyond is not shown as it streams.
    pub const MAX_WAITING_BYTES: usize = 1 << 20;

    /// The sink of one answer, on its way to a channel.
    pub fn new(chat: ChatKey, job: JobId, outgoing: mpsc::Sender<Outgoing>) -> DeltaSink {
        let (waiting, in_line, is_behind) = Default::default();
        DeltaSink { chat, job, outgoing, waiting, seat: None, say: None, in_line, is_behind }
    }

    /// The same for an answer that has a seat, in words.
    pub(super) fn seated(self, seat: Seat, say: impl Fn(&Message) -> String + Send + Sync + 'static) -> DeltaSink {
        DeltaSink { seat: Some(seat), say: Some(Arc::new(say)), ..self }
    }

    /// The answer waits in line, and leaves its seat to others. What the channel has no room for is not shown.
    pub fn waits(&self, message: &Message) {
        self.in_line.store(true, Ordering::Relaxed);
        if let Some(seat) = &self.seat {
            seat.leave();
        }
        if let (Some(say), Some(permit)) = (&self.say, self.room()) {
            permit.send(Outgoing::AnswerWaits { chat: self.chat.clone(), job: self.job, text: say(message).into() });
        }
    }

    /// The answer's turn has come: it takes a seat again. `false` when there are no seats any more.
    pub async fn goes_on(&self) -> bool {
        self.in_line.store(false, Ordering::Relaxed);
        match &self.seat {
            Some(seat) => seat.take().await,
            None => true,
        }
    }

    pub(super) fn is_in_line(&self) -> bool {
        self.in_line.load(Ordering::Relaxed)
    }

    /// Hands over a piece.
    pub fn push(&self, piece: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() + piece.len() <= Self::MAX_WAITING_BYTES && !self.outgoing.is_closed() {
            waiting.push_str(piece);
        }
        if waiting.is_empty() {
            return;
        }
        if let Some(permit) = self.room() {
            let text = std::mem::take(&mut *waiting).into();
            permit.send(Outgoing::Delta { chat: self.chat.clone(), job: self.job, text });
        }
    }

    fn room(&self) -> Option<mpsc::Permit<'_, Outgoing>> {
        let is_next = !self.is_behind.load(Ordering::Acquire);
        is_next.then(|| self.outgoing.try_reserve().ok()).flatten()
    }

    pub(super) fn take_rest(&self) -> String {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::buttons::Press;

    #[tokio::test]
    async fn no_piece_of_an_answer_comes_before_its_beginning() {
        let (send, mut outgoing) = mpsc::channel(1);
        let mut outbox = Outbox::new(send);
        let (chat, job) = (ChatKey { channel: "terminal", id: "1".into() }, JobId(1));
        outbox.push(Outgoing::Ready { chat: chat.clone() });
        let stop = Button { label: "stop".into(), press: Press::Stop(job) };
        outbox.push(Outgoing::AnswerStart { chat: chat.clone(), job, origin: Origin::default(), stop });
        let sink = outbox.sink(chat, job);
        assert!(matches!(outgoing.recv().await, Some(Outgoing::Ready { .. })));
        sink.push("one ");
        sink.waits(&Message::Stopped);
        assert!(outgoing.try_recv().is_err(), "its beginning is still to come");
        outbox.send_one().await;
        assert!(matches!(outgoing.recv().await, Some(Outgoing::AnswerStart { .. })));
        sink.push("two");
        let piece = outgoing.recv().await;
        assert!(matches!(piece, Some(Outgoing::Delta { text, .. }) if &*text == "one two"));
    }
}
