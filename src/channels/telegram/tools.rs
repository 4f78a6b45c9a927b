//! What every lane works with: the API, the pace, the account of updates, and tasks that are all awaited.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Streaming;
use super::account::Account;
use super::api::{Api, Leaving, Show};
use super::failure::Failure;
use super::pace::{ChatKind, Class, Pace, Turn};
use super::receipt::Receipt;
use super::spot::Spot;
use crate::conversation::Event;
use crate::usage::{Clock, Tick};

/// Waits between two tries of a call that may go through later: 1 s, doubled up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Tries of one call: with the waits between them more than half an hour.
const MAX_TRIES: u32 = 70;

/// Tries of a message after which it is not known whether it was sent: better shown twice than not, but not ever again.
const MAX_CUTS: u32 = 2;

/// Answers whose questions are remembered.
const MAX_ANSWERS: usize = 20_000;

/// Chats that do not take messages, remembered at most; more are found out anew.
const MAX_CLOSED: usize = 10_000;

/// What is noted when a call goes out.
#[derive(Clone, Copy)]
pub(super) enum Noting<'a> {
    Nothing,
    /// A whole answer is on its way.
    Sending(&'a Receipt),
    /// Whether the answer was whole is being asked, which can be asked once.
    Reopening(&'a Receipt),
}

/// Shared by all lanes.
pub(super) struct Tools {
    pub(super) api: Api,
    pub(super) account: Arc<Account>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) streaming: Streaming,
    /// Tells buttons of this process from those of another.
    pub(super) nonce: u32,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) shared: Mutex<Shared>,
    pub(super) tasks: Mutex<JoinSet<()>>,
}

/// What lanes learn from each other.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) pace: Pace,
    /// Where groups went.
    moved: HashMap<i64, i64>,
    /// Chats that do not take messages.
    closed: HashSet<i64>,
    /// Topics that do not, of forums that do.
    closed_topics: HashSet<Spot>,
    /// The newest answers: chat, message, and the message that asked.
    answers: VecDeque<(i64, i32, i32)>,
    /// The server knows no drafts.
    pub(super) no_drafts: bool,
}

impl Tools {
    pub(super) fn now(&self) -> Tick {
        self.clock.now().tick
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a task that is awaited at the end.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Waits for all tasks; those that do not end in time are dropped.
    pub(super) async fn finish_tasks(&self, grace: Duration) {
        let take = || std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let mut tasks = take();
        let all = async {
            while !tasks.is_empty() {
                while tasks.join_next().await.is_some() {}
                tasks = take();
            }
        };
        if timeout(grace, all).await.is_err() {
            tracing::warn!("some messages could not be sent to Telegram in time");
        }
        tasks.shutdown().await;
    }

    /// Makes a call until it went through or cannot, at the pace of its chat.
    ///
    /// That it is on its way is noted when it goes out, and not while it waits; and taken back when Telegram certainly
    /// did nothing.
    pub(super) async fn insist(
        &self,
        spot: Spot,
        show: Show<'_>,
        answers: Option<&Receipt>,
    ) -> Result<Option<i32>, Failure> {
        self.insist_noting(spot, show, answers.map_or(Noting::Nothing, Noting::Sending)).await
    }

    /// [`insist`](Tools::insist), with something noted when the call goes out.
    pub(super) async fn insist_noting(
        &self,
        spot: Spot,
        show: Show<'_>,
        noting: Noting<'_>,
    ) -> Result<Option<i32>, Failure> {
        let (mut tries, mut cuts) = (0, 0);
        loop {
            self.wait_for_turn(spot).await;
            let leaving = match noting {
                Noting::Nothing => None,
                Noting::Sending(receipt) => Some(receipt.leaving()),
                Noting::Reopening(receipt) => Some(receipt.reopening()),
            };
            let made = self.attempt_noted(spot, show, leaving).await;
            if let (Noting::Sending(receipt), Err(failure)) = (noting, &made)
                && failure.is_certain()
            {
                receipt.reopened();
            }
            match made {
                Err(Failure::Flood(_) | Failure::Migrated(_)) => {}
                Err(failure) if failure.passes() && tries < MAX_TRIES && cuts < MAX_CUTS => {
                    sleep(backoff(tries)).await;
                    tries += 1;
                    cuts += u32::from(failure == Failure::Cut && matches!(show, Show::Send { .. }));
                }
                other => return other,
            }
        }
    }

    /// Makes a call once, and learns from how it fails.
    pub(super) async fn attempt(&self, spot: Spot, show: Show<'_>) -> Result<Option<i32>, Failure> {
        self.attempt_noted(spot, show, None).await
    }

    async fn attempt_noted(&self, spot: Spot, show: Show<'_>, leaving: Leaving) -> Result<Option<i32>, Failure> {
        if self.is_closed(spot) {
            return Err(Failure::Blocked);
        }
        let to = self.where_now(spot);
        let result = self.api.show(to, show, leaving).await;
        match &result {
            Err(Failure::Flood(wait)) => {
                let now = self.now();
                self.shared().pace.flooded(Some(to.chat), *wait, now);
                tracing::warn!(secs = wait.as_secs(), "Telegram wants a pause in one chat");
            }
            Err(Failure::Migrated(chat)) => self.moved(to.chat, *chat),
            Err(Failure::Blocked) => self.close(spot.chat),
            Err(Failure::TopicClosed) => self.close_topic(spot),
            _ => {}
        }
        result
    }

    /// Waits until a message may be sent, and takes the turn.
    async fn wait_for_turn(&self, spot: Spot) {
        while let Err(due) = self.take_turn(spot, Class::Final) {
            let wait = Duration::from_micros(due.0.saturating_sub(self.now().0));
            sleep(wait.max(Duration::from_millis(1))).await;
        }
    }

    /// Takes the turn for a message, or says when to ask again.
    pub(super) fn take_turn(&self, spot: Spot, class: Class) -> Result<(), Tick> {
        let chat = self.where_now(spot).chat;
        let (kind, now) = (ChatKind::of(chat), self.now());
        let mut shared = self.shared();
        match shared.pace.ready(chat, kind, class, now) {
            Turn::Ready => {
                shared.pace.took(chat, kind, class, now);
                Ok(())
            }
            Turn::NotBefore(due) => Err(due),
        }
    }

    /// A group has another id from now on.
    pub(super) fn moved(&self, from: i64, to: i64) {
        let mut shared = self.shared();
        if shared.moved.len() < MAX_CLOSED && shared.moved.insert(from, to) != Some(to) {
            tracing::warn!("a Telegram group has a new id; what was for the old one goes there");
        }
    }

    fn where_now(&self, spot: Spot) -> Spot {
        Spot { chat: self.shared().moved.get(&spot.chat).copied().unwrap_or(spot.chat), ..spot }
    }

    /// A message holds the answer to another.
    pub(super) fn answered(&self, spot: Spot, message: i32, question: Option<i32>) {
        let Some(question) = question else { return };
        let answers = &mut self.shared().answers;
        answers.truncate(MAX_ANSWERS - 1);
        answers.push_front((spot.chat, message, question));
    }

    /// The message that asked for the answer in this one; this one itself, if it is no answer that is remembered.
    pub(super) fn question_of(&self, spot: Spot, message: i32) -> i32 {
        let shared = self.shared();
        let found = shared.answers.iter().find(|(chat, answer, _)| (*chat, *answer) == (spot.chat, message));
        found.map_or(message, |(_, _, question)| *question)
    }

    /// The chat takes no messages.
    pub(super) fn close(&self, chat: i64) {
        let mut shared = self.shared();
        if shared.closed.len() < MAX_CLOSED {
            shared.closed.insert(chat);
        }
    }

    fn close_topic(&self, spot: Spot) {
        let mut shared = self.shared();
        if shared.closed_topics.len() < MAX_CLOSED {
            shared.closed_topics.insert(spot);
        }
    }

    /// Somebody spoke there.
    pub(super) fn open(&self, spot: Spot) {
        let mut shared = self.shared();
        shared.closed.remove(&spot.chat);
        shared.closed_topics.remove(&spot);
    }

    pub(super) fn is_closed(&self, spot: Spot) -> bool {
        let shared = self.shared();
        shared.closed.contains(&spot.chat) || shared.closed_topics.contains(&spot)
    }
}

/// How long to wait before a try: 1 s at first.
pub(super) fn backoff(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.min(5)).min(LONGEST_WAIT)
}
