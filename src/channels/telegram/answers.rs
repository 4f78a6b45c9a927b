//! One answer while it is written: a message that grows, further ones when it is long, and its final form.

use std::time::Duration;

use super::api::{Show, Words};
use super::failure::Failure;
use super::format::{self, Formatted};
use super::frames::{Frame, Frames};
use super::pace::{ChatKind, Class};
use super::presses;
use super::receipt::Receipt;
use super::saying::{self, reply_to};
use super::split::{MAX_LENGTH, Parts};
use super::spot::{Spot, message_id};
use super::tools::Tools;
use super::{Streaming, html};
use crate::conversation::{Button, Event, JobId, Origin, Person, PrivateText};
use crate::usage::Tick;

/// `typing…` is shown for five seconds.
const TYPING_EVERY: Duration = Duration::from_millis(4_500);

/// One answer on its way.
pub(super) struct Answer {
    pub(super) job: JobId,
    spot: Spot,
    origin: Origin,
    stop: Button,
    parts: Parts,
    length: usize,
    /// Its place in line, shown until something of it has come.
    place: Option<PrivateText>,
    /// How often that changed: each time is news, as each character is.
    places: usize,
    frames: Frames,
    typed: Option<Tick>,
    /// The message that grows.
    message: Option<i32>,
    /// How many messages before it are whole.
    whole: usize,
    end: Option<Ending>,
    /// It was told that nobody reads it.
    interrupted: bool,
}

/// What stands below an answer.
#[derive(Default)]
pub(super) struct Ending {
    pub(super) footer: Option<PrivateText>,
    pub(super) note: Option<PrivateText>,
}

/// What an answer wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Typing,
    Grow,
    Finish,
    Interrupt,
}

impl Answer {
    pub(super) fn new(job: JobId, spot: Spot, origin: Origin, stop: Button) -> Answer {
        let kind = if spot.is_private() { ChatKind::Private } else { ChatKind::Group };
        Answer {
            job,
            spot,
            origin,
            stop,
            parts: Parts::new(),
            length: 0,
            place: None,
            places: 0,
            frames: Frames::new(kind),
            typed: None,
            message: None,
            whole: 0,
            end: None,
            interrupted: false,
        }
    }

    /// More of it has come.
    pub(super) fn push(&mut self, more: &str, now: Tick) {
        self.length += more.chars().count();
        self.parts.push(more);
        self.frames.push(self.length + self.places, now);
    }

    /// It waits in line, at another place than before.
    pub(super) fn waits(&mut self, place: PrivateText, now: Tick) {
        self.place = Some(place);
        self.places += 1;
        self.frames.push(self.length + self.places, now);
    }

    /// It is whole.
    pub(super) fn end(&mut self, ending: Ending) {
        self.frames.finish();
        self.end.get_or_insert(ending);
    }

    /// Whether nobody reads it, and nobody was told yet.
    pub(super) fn is_unread(&self, tools: &Tools) -> bool {
        !self.interrupted && self.end.is_none() && tools.is_closed(self.spot)
    }

    /// Stops it, as if the person had: they blocked the bot, or it was thrown out.
    pub(super) async fn interrupt(&mut self, tools: &Tools) {
        self.interrupted = true;
        // Nobody who asked, but whoever stops what others asked in a group has to be one who may.
        let event = Event::Interrupt { chat: self.spot.key(), person: Person::new(String::new(), true) };
        // A driver that is gone has ended all answers.
        let _gone = tools.events.send(event).await;
    }

    /// What is to be done next, and when.
    pub(super) fn next(&self, streaming: Streaming) -> Option<(Want, Tick)> {
        if self.end.is_some() {
            let at = self.frames.next_due().map_or(Tick::default(), |(_, at)| at);
            // Without a message that grew there is no frame to keep a distance to.
            return Some((Want::Finish, if self.message.is_some() { at } else { Tick::default() }));
        }
        let typing = self.typed.map_or(Tick::default(), |typed| typed.plus(TYPING_EVERY));
        let typing = (self.message.is_none()).then_some((Want::Typing, typing));
        let growing = match self.frames.next_due() {
            Some((Frame::Growing, at)) if streaming != Streaming::Off => Some((Want::Grow, at)),
            _ => None,
        };
        growing.into_iter().chain(typing).min_by_key(|(_, at)| *at)
    }

    pub(super) async fn typing(&mut self, tools: &Tools) {
        self.typed = Some(tools.now());
        // Nothing is lost with it.
        let _shown_or_not = tools.attempt(self.spot, Show::Typing).await;
    }

    /// Shows what has come. What fails is a frame less.
    pub(super) async fn grow(&mut self, tools: &Tools) {
        let now = tools.now();
        if let Err(due) = tools.take_turn(self.spot, Class::Frame) {
            self.frames.flooded(Duration::from_micros(due.0.saturating_sub(now.0)), now);
            return;
        }
        let failed = match self.show(tools).await {
            Ok(()) | Err(Failure::NotModified) => None,
            Err(failure) => Some(failure),
        };
        match failed {
            Some(Failure::Flood(wait)) => self.frames.flooded(wait, tools.now()),
            Some(Failure::Gone) => self.message = None,
            _ => {}
        }
        self.frames.sent(now);
    }

    async fn show(&mut self, tools: &Tools) -> Result<(), Failure> {
        let in_drafts = tools.streaming == Streaming::Drafts && self.spot.is_private() && !tools.shared().no_drafts;
        let rolls = self.message.is_some() && self.parts.complete().len() > self.whole;
        let part = self.whole + usize::from(rolls);
        let (plain, goes_on) = match self.parts.complete().get(part).cloned().or_else(|| self.parts.growing()) {
            Some(part) => (format::plain(&part), " …"),
            None => match &self.place {
                Some(place) if self.length == 0 => (html::of(place).plain, ""),
                _ => return Ok(()), // nothing of the next message can be seen yet
            },
        };
        if in_drafts {
            return self.draft(tools, &plain).await;
        }
        let shown = format!("{}{goes_on}", &*plain);
        let words = Words { text: &shown, html: false };
        let stop = presses::markup(&vec![vec![self.stop.clone()]], tools.nonce);
        if let Some(message) = self.message.filter(|_| !rolls) {
            return tools.attempt(self.spot, Show::Edit { message, words, keyboard: stop.as_ref() }).await.map(drop);
        }
        let reply_to = reply_to(self.spot, &self.origin).filter(|_| self.whole == 0 && !rolls);
        let send = Show::Send { words, keyboard: stop.as_ref(), reply_to };
        let message = tools.attempt(self.spot, send).await?.ok_or(Failure::Broken)?;
        match self.grows_in(tools, message) {
            Some(before) => {
                let whole = format::format(&self.parts.complete()[self.whole]);
                self.whole += 1;
                saying::edit(tools, self.spot, before, &whole, None, None).await
            }
            None => Ok(()),
        }
    }

    async fn draft(&self, tools: &Tools, plain: &str) -> Result<(), Failure> {
        // Zero would be no draft; jobs count from one.
        let draft = Show::Draft { id: self.job.0, text: plain };
        let result = tools.attempt(self.spot, draft).await.map(drop);
        if let Err(Failure::NoMethod | Failure::Other { code: 400, .. }) = result {
            tools.shared().no_drafts = true;
            tracing::warn!("the Bot API server knows no drafts; answers are streamed by edits");
        }
        result
    }

    /// Shows all of it in its final form. The message that grew is last: while it has its button, the answer is not
    /// whole.
    pub(super) async fn finish(mut self, tools: &Tools) {
        let parts = std::mem::take(&mut self.parts).finish();
        let mut messages: Vec<Formatted> =
            parts[self.whole.min(parts.len())..].iter().map(|part| format::format(part)).collect();
        add_below(&mut messages, self.end.take().unwrap_or_default());
        let shows_a_place = self.length == 0 && self.place.is_some();
        if messages.is_empty() && (self.message.is_none() || shows_a_place) {
            messages.push(html::of("…"));
        }
        // Whether a message changed can be asked after a crash, whether one was sent cannot: what a model wrote grows,
        // however short it is.
        let grows = tools.streaming == Streaming::Edits && self.message.is_none() && self.length > 0;
        let placed = if grows { self.place(tools).await } else { Ok(()) };
        let receipt = Receipt::of(&self.origin);
        let shown = match placed {
            Ok(()) => self.show_all(tools, &messages, receipt).await,
            Err(failure) => Err(failure),
        };
        match (shown, receipt) {
            (Ok(()) | Err(Failure::NotModified), Some(receipt)) => receipt.settle(),
            (Err(failure), receipt) => saying::give_up(tools, self.spot, receipt, &failure),
            _ => {}
        }
    }

    /// Sends a message for the answer to grow in, with its button.
    async fn place(&mut self, tools: &Tools) -> Result<(), Failure> {
        let stop = presses::markup(&vec![vec![self.stop.clone()]], tools.nonce);
        let words = Words { text: "…", html: false };
        let reply_to = reply_to(self.spot, &self.origin).filter(|_| self.whole == 0);
        let send = Show::Send { words, keyboard: stop.as_ref(), reply_to };
        let message = tools.insist(self.spot, send, None).await?.ok_or(Failure::Broken)?;
        self.grows_in(tools, message);
        Ok(())
    }

    /// Notes the message that it grows in from now on; gives the one before.
    fn grows_in(&mut self, tools: &Tools, message: i32) -> Option<i32> {
        if let Some(receipt) = Receipt::of(&self.origin) {
            receipt.placed(message);
        }
        self.shown_in(tools, message);
        self.message.replace(message)
    }

    /// Notes that this message holds some of it, for whoever replies to it.
    fn shown_in(&self, tools: &Tools, message: i32) {
        tools.answered(self.spot, message, self.origin.message.as_ref().and_then(message_id));
    }

    /// Sends some of it in its final form.
    async fn send(
        &self,
        tools: &Tools,
        message: &Formatted,
        reply_to: Option<i32>,
        answers: Option<&Receipt>,
    ) -> Result<(), Failure> {
        let sent = saying::send(tools, self.spot, message, None, reply_to, answers).await?;
        self.shown_in(tools, sent);
        Ok(())
    }

    async fn show_all(&self, tools: &Tools, messages: &[Formatted], receipt: Option<&Receipt>) -> Result<(), Failure> {
        let Some(grown) = self.message else {
            let mut reply_to = reply_to(self.spot, &self.origin).filter(|_| self.whole == 0);
            for (index, message) in messages.iter().enumerate() {
                let answers = receipt.filter(|_| index + 1 == messages.len());
                self.send(tools, message, reply_to.take(), answers).await?;
            }
            return Ok(());
        };
        for message in messages.iter().skip(1) {
            self.send(tools, message, None, None).await?;
        }
        match messages.first() {
            Some(first) => match saying::edit(tools, self.spot, grown, first, None, None).await {
                Err(Failure::Gone) => self.send(tools, first, None, receipt).await,
                other => other,
            },
            None => tools.insist(self.spot, Show::TakeButtons { message: grown }, None).await.map(drop),
        }
    }
}

/// Puts what went wrong and what it used below the last message, or into one of its own.
fn add_below(messages: &mut Vec<Formatted>, ending: Ending) {
    let below: Vec<String> = [ending.note, ending.footer].into_iter().flatten().map(PrivateText::into_string).collect();
    if below.is_empty() {
        return;
    }
    let below = html::of(&below.join("\n"));
    match messages.last_mut() {
        Some(last) if last.length() + below.length() + 2 <= MAX_LENGTH => {
            let join = |above: &str, below: &str| PrivateText::from(format!("{above}\n\n{below}"));
            *last = Formatted { html: join(&last.html, &below.html), plain: join(&last.plain, &below.plain) };
        }
        _ => messages.push(below),
    }
}
