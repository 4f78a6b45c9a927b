//! What goes out: one lane per chat, in order and bounded. A chat that is slow or flooded holds no other up, and never
//! the driver.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::answers::{Answer, Ending, Want};
use super::api::Show;
use super::failure::Failure;
use super::receipt::Receipt;
use super::saying::{self, Saying};
use super::spot::Spot;
use super::tools::{Noting, Tools};
use crate::conversation::driver::Outgoing;
use crate::conversation::{JobId, Origin, PrivateText};

/// Messages that wait in one lane at most. What comes then is not said.
const MAX_WAITING: usize = 100;

/// How often a lane looks for more of an answer.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// All lanes with something in them.
pub(super) struct Lanes {
    tools: Arc<Tools>,
    lanes: Mutex<HashMap<i64, Arc<Lane>>>,
}

/// One chat's.
#[derive(Default)]
struct Lane {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Item>,
    /// Answers in the order in which they began.
    answers: Vec<Incoming>,
}

/// What an answer has got since the lane last looked.
struct Incoming {
    job: JobId,
    begins: Option<Box<Answer>>,
    /// Its place in line.
    waits: Option<PrivateText>,
    text: String,
    end: Option<Ending>,
}

/// A whole message on its way.
pub(super) enum Item {
    Say(Saying),
    /// Ask whether the answer that grew in this message is whole, and say something if it is not.
    Settle {
        placed: i32,
        saying: Saying,
    },
}

/// What a lane does next.
enum Turn {
    Item(Item),
    Answer(usize, Want),
    Wait(Duration),
    Rest,
}

impl Lanes {
    pub(super) fn new(tools: Arc<Tools>) -> Lanes {
        Lanes { tools, lanes: Mutex::default() }
    }

    /// Takes in what the driver says. Never waits.
    pub(super) fn push(self: &Arc<Self>, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Text { chat, text, keyboard, replace, origin, .. } => {
                let Some(spot) = Spot::of(&chat) else { return };
                self.say(Item::Say(Saying { spot, text, keyboard, replace, origin, as_reply: false }));
            }
            Outgoing::Acknowledge { text, origin, .. } => self.acknowledge(text, origin),
            Outgoing::AnswerStart { chat, job, origin, stop } => {
                let Some(spot) = Spot::of(&chat) else { return };
                let begins = Some(Box::new(Answer::new(job, spot, origin, stop)));
                self.with_lane(spot, |waiting| waiting.answers.push(Incoming { begins, ..Incoming::of(job) }));
            }
            Outgoing::AnswerWaits { chat, job, text } => {
                let Some(spot) = Spot::of(&chat) else { return };
                self.with_lane(spot, |waiting| waiting.answer(job).waits = Some(text));
            }
            Outgoing::Delta { chat, job, text } => {
                let Some(spot) = Spot::of(&chat) else { return };
                // Wakes nobody: the lane looks by itself, and less often than pieces come.
                if let Some(lane) = self.lanes().get(&spot.chat) {
                    lane.waiting().answer(job).text.push_str(&text);
                }
            }
            Outgoing::AnswerEnd { chat, job, footer, note, .. } => {
                let Some(spot) = Spot::of(&chat) else { return };
                self.with_lane(spot, |waiting| waiting.answer(job).end = Some(Ending { footer, note }));
            }
            Outgoing::Ready { .. } | Outgoing::Leave => {}
        }
    }

    /// Says something of the channel's own.
    pub(super) fn say(self: &Arc<Self>, item: Item) {
        let spot = match &item {
            Item::Say(saying) | Item::Settle { saying, .. } => saying.spot,
        };
        let mut dropped = false;
        self.with_lane(spot, |waiting| match waiting.items.len() < MAX_WAITING {
            true => waiting.items.push_back(item),
            false => dropped = true,
        });
        if dropped {
            tracing::warn!("too much waits to be said in one Telegram chat; a message was dropped");
        }
    }

    /// Answers a press, beside the lanes: it is not counted, and it goes stale.
    pub(super) fn acknowledge(&self, text: Option<PrivateText>, origin: Origin) {
        let Some(press) = origin.press.clone() else { return };
        let tools = Arc::clone(&self.tools);
        self.tools.spawn(async move {
            // Nothing is lost with it but a toast.
            let _stale = tools.api.acknowledge(&press, text.as_deref()).await;
            drop(origin);
        });
    }

    fn with_lane(self: &Arc<Self>, spot: Spot, change: impl FnOnce(&mut Waiting)) {
        let mut lanes = self.lanes();
        let mut is_new = false;
        let lane = lanes.entry(spot.chat).or_insert_with(|| {
            is_new = true;
            Arc::default()
        });
        change(&mut lane.waiting());
        lane.wake.notify_one();
        if is_new {
            self.tools.spawn(run(Arc::clone(self), spot.chat, Arc::clone(lane)));
        }
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<i64, Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a lane with nothing in it; `false` if something came meanwhile.
    fn forget(&self, chat: i64, lane: &Lane) -> bool {
        let mut lanes = self.lanes();
        let is_empty = lane.waiting().is_empty();
        if is_empty {
            lanes.remove(&chat);
        }
        is_empty
    }
}

impl Lane {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Incoming {
    fn of(job: JobId) -> Incoming {
        Incoming { job, begins: None, waits: None, text: String::new(), end: None }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.answers.is_empty()
    }

    fn answer(&mut self, job: JobId) -> &mut Incoming {
        let at = self.answers.iter().position(|answer| answer.job == job).unwrap_or_else(|| {
            self.answers.push(Incoming::of(job));
            self.answers.len() - 1
        });
        &mut self.answers[at]
    }
}

/// Takes a lane away that ends otherwise than by having nothing in it, so that the next message begins another.
struct Leave<'a> {
    lanes: &'a Lanes,
    chat: i64,
    lane: &'a Arc<Lane>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut lanes = self.lanes.lanes();
        if lanes.get(&self.chat).is_some_and(|lane| Arc::ptr_eq(lane, self.lane)) {
            lanes.remove(&self.chat);
        }
    }
}

async fn run(lanes: Arc<Lanes>, chat: i64, lane: Arc<Lane>) {
    let tools = Arc::clone(&lanes.tools);
    let _one_that_broke_makes_room = Leave { lanes: &lanes, chat, lane: &lane };
    let mut answers: Vec<Answer> = Vec::new();
    loop {
        match next(&tools, &lane, &mut answers) {
            Turn::Item(Item::Say(saying)) => saying::say(&tools, saying).await,
            Turn::Item(Item::Settle { placed, saying }) => settle(&tools, placed, saying).await,
            Turn::Answer(at, Want::Finish) => answers.remove(at).finish(&tools).await,
            Turn::Answer(at, Want::Grow) => answers[at].grow(&tools).await,
            Turn::Answer(at, Want::Typing) => answers[at].typing(&tools).await,
            Turn::Answer(at, Want::Interrupt) => answers[at].interrupt(&tools).await,
            Turn::Wait(wait) => tokio::select! {
                () = lane.wake.notified() => {}
                () = sleep(wait) => {}
            },
            Turn::Rest if lanes.forget(chat, &lane) => return,
            Turn::Rest => {}
        }
    }
}

/// Whole answers first, then messages, then answers as they grow.
fn next(tools: &Tools, lane: &Lane, answers: &mut Vec<Answer>) -> Turn {
    let now = tools.now();
    let mut waiting = lane.waiting();
    for incoming in waiting.answers.drain(..) {
        if let Some(answer) = incoming.begins {
            answers.push(*answer);
        }
        let Some(answer) = answers.iter_mut().find(|answer| answer.job == incoming.job) else { continue };
        if let Some(place) = incoming.waits {
            answer.waits(place, now);
        }
        if !incoming.text.is_empty() {
            answer.push(&incoming.text, now);
        }
        if let Some(ending) = incoming.end {
            answer.end(ending);
        }
    }
    if let Some(at) = answers.iter().position(|answer| answer.is_unread(tools)) {
        return Turn::Answer(at, Want::Interrupt);
    }
    let wants = answers.iter().enumerate().filter_map(|(at, answer)| Some((at, answer.next(tools.streaming)?)));
    let wants: Vec<_> = wants.collect();
    let due = |want: Want| wants.iter().find(|(_, (wanted, at))| *wanted == want && *at <= now).map(|(at, _)| *at);
    if let Some(at) = due(Want::Finish) {
        return Turn::Answer(at, Want::Finish);
    }
    if let Some(item) = waiting.items.pop_front() {
        return Turn::Item(item);
    }
    for want in [Want::Grow, Want::Typing] {
        if let Some(at) = due(want) {
            return Turn::Answer(at, want);
        }
    }
    if answers.is_empty() {
        return Turn::Rest;
    }
    let due = wants.iter().map(|(_, (_, at))| Duration::from_micros(at.0.saturating_sub(now.0))).min();
    Turn::Wait(due.unwrap_or(LOOK_EVERY).clamp(Duration::from_millis(1), LOOK_EVERY))
}

/// A message that still has its button was not finished. Whether it had is asked by taking it away, so that it can be
/// asked once: after a crash in between there is an apology in any case.
async fn settle(tools: &Tools, placed: i32, saying: Saying) {
    let spot = saying.spot;
    let receipt = Receipt::of(&saying.origin);
    let noting = receipt.map_or(Noting::Nothing, Noting::Reopening);
    match tools.insist_noting(spot, Show::TakeButtons { message: placed }, noting).await {
        Err(Failure::NotModified) => drop(saying),
        _ => saying::say(tools, saying).await,
    }
}
