//! Alerts in chats: to every admin of a messenger, each in the language of their chat, and to whoever sits at the
//! terminal.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{mpsc, oneshot, watch};

use super::configured::Place;
use crate::alerts::{Notice, Outlet, Told};
use crate::app::{App, Desk, Doors};
use crate::conversation::driver::{Outgoing, Renderer};
use crate::conversation::{Button, CancelToken, ChatKey, Message, Origin, TemplateRenderer, Ticket, below_alert};
use crate::templates::Surface;
use crate::usage::SubjectId;

/// Where a channel says how it is spoken to, once it is there. Dropped, it never will be.
#[cfg(feature = "telegram")]
pub(in crate::app) type Chats = watch::Sender<Option<mpsc::WeakSender<Outgoing>>>;

/// Where such a channel is waited for.
type KnownChats = watch::Receiver<Option<mpsc::WeakSender<Outgoing>>>;

impl App {
    /// Everywhere that alerts are told beside the log.
    pub(in crate::app) fn outlets(&self, doors: Doors, chats: KnownChats, stop: &CancelToken) -> Vec<Arc<dyn Outlet>> {
        let mut outlets: Vec<Arc<dyn Outlet>> = Vec::new();
        let has_telegram = self.config.telegram.as_ref().is_some_and(|telegram| telegram.token.is_some());
        if doors.messengers && has_telegram && self.config.alerts.chats && cfg!(feature = "telegram") {
            let renderer = TemplateRenderer::new(Arc::clone(&self.desk.templates)).on(Surface::Telegram);
            outlets.push(Arc::new(AdminChats { desk: Arc::clone(&self.desk), renderer, chats, stop: stop.clone() }));
        }
        if doors.terminal && std::io::stderr().is_terminal() {
            outlets.push(Arc::new(AtTheTerminal { desk: Arc::clone(&self.desk) }));
        }
        outlets.extend(self.deliveries.names().map(|name| -> Arc<dyn Outlet> {
            Arc::new(Place {
                name,
                deliveries: self.deliveries.clone(),
                templates: Arc::clone(&self.desk.templates),
                lang: self.config.alerts.language.unwrap_or(self.config.language),
            })
        }));
        outlets
    }
}

/// The admins of Telegram.
struct AdminChats {
    desk: Arc<Desk>,
    renderer: TemplateRenderer,
    chats: KnownChats,
    /// Whether the program ends.
    stop: CancelToken,
}

impl Outlet for AdminChats {
    fn name(&self) -> &'static str {
        "telegram"
    }

    fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Told> {
        Box::pin(async {
            let admins = self.desk.door.admins("telegram");
            if admins.is_empty() {
                return Told::Done;
            }
            let messages = || admins.into_iter().map(|admin| self.message(admin, notice)).collect();
            say(self.chats.clone(), messages, &self.stop).await
        })
    }
}

/// Says messages through the channel once it is there, and waits until each was shown or cannot be.
///
/// What the channel lets go unshown is told again at the next start only where that is because the program ends: a
/// channel that is broken would otherwise have every alert told again everywhere, at each start.
async fn say(
    mut chats: KnownChats,
    messages: impl FnOnce() -> Vec<(Outgoing, oneshot::Receiver<()>)>,
    stop: &CancelToken,
) -> Told {
    let unsaid = |why: &str| match stop.reason() {
        Some(_) => Told::Stopped,
        None => Told::GivenUp(why.to_owned()),
    };
    let channel = match chats.wait_for(Option::is_some).await {
        Ok(known) => known.as_ref().and_then(mpsc::WeakSender::upgrade),
        Err(_never) => None,
    };
    let Some(channel) = channel else { return unsaid("Telegram is off") };
    let mut shown = Vec::new();
    for (message, said) in messages() {
        if channel.send(message).await.is_err() {
            return unsaid("Telegram is off");
        }
        shown.push(said);
    }
    drop(channel);
    match join_all(shown).await.iter().all(Result::is_ok) {
        true => Told::Done,
        false => unsaid("too much waits for Telegram, or it went off"),
    }
}

impl AdminChats {
    /// The alert as one admin reads it, and what tells that they can.
    fn message(&self, admin: i64, notice: &Notice) -> (Outgoing, oneshot::Receiver<()>) {
        let chat = ChatKey { channel: "telegram", id: admin.to_string() };
        let lang = self.desk.lang_of(&chat);
        let view = notice.view(|person| identity(&self.desk, person));
        let label =
            |key: &crate::conversation::Key| Button { label: self.renderer.label(lang, key), press: key.press.clone() };
        let keyboard = below_alert(&view).iter().map(|row| row.iter().map(label).collect()).collect();
        let text = self.renderer.render(lang, &Message::Alert(Box::new(view))).into();
        let (said, shown) = oneshot::channel();
        let ticket: Arc<dyn Ticket> = Arc::new(Shown(Mutex::new(Some(said))));
        let origin = Origin { ticket: Some(ticket), ..Origin::default() };
        (Outgoing::Text { chat, text, keyboard, replace: None, refuses: false, origin }, shown)
    }
}

/// The id that a person has in their channel, if they are still known, as it is typed.
fn identity(desk: &Desk, person: &str) -> Option<String> {
    desk.known_as(&SubjectId::parse(person)?)
}

/// Tells that a message was shown, or cannot be.
struct Shown(Mutex<Option<oneshot::Sender<()>>>);

impl Ticket for Shown {
    fn asking(&self) {}

    fn said(&self) {
        let said = self.0.lock().ok().and_then(|mut said| said.take());
        // Nobody waits any more: the program ends.
        let _gone = said.map(|said| said.send(()));
    }
}

/// Whoever sits at the terminal: a line beside the conversation.
struct AtTheTerminal {
    desk: Arc<Desk>,
}

impl Outlet for AtTheTerminal {
    fn name(&self) -> &'static str {
        "terminal"
    }

    fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Told> {
        let lang = self.desk.lang_of(&ChatKey::of_the_terminal());
        let view = notice.view(|person| identity(&self.desk, person));
        let text = self.desk.templates.render(lang, "alert", view);
        // Where a line is being typed, it goes on below.
        let _gone = writeln!(std::io::stderr(), "\n{}", text.trim());
        Box::pin(std::future::ready(Told::Done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::CancelReason;

    fn message() -> (Outgoing, oneshot::Receiver<()>) {
        let (said, shown) = oneshot::channel();
        let origin = Origin { ticket: Some(Arc::new(Shown(Mutex::new(Some(said))))), ..Origin::default() };
        let chat = ChatKey { channel: "telegram", id: "111".to_owned() };
        let (text, keyboard) = ("an alert".into(), Vec::new());
        (Outgoing::Text { chat, text, keyboard, replace: None, refuses: false, origin }, shown)
    }

    /// What comes of saying a message through a channel that does this with it.
    async fn said(then: impl FnOnce(Outgoing), stop: &CancelToken) -> Told {
        let (to_channel, mut outgoing) = mpsc::channel(1);
        let (_known, chats) = watch::channel(Some(to_channel.downgrade()));
        let channel = async { outgoing.recv().await.map(then) };
        let (told, _) = tokio::join!(say(chats, || vec![message()], stop), channel);
        told
    }

    #[tokio::test]
    async fn what_a_channel_does_not_show_is_given_up_unless_the_program_ends() {
        let (running, ending) = (CancelToken::default(), CancelToken::default());
        ending.cancel(CancelReason::Shutdown);
        let shows = |outgoing| match outgoing {
            Outgoing::Text { origin, .. } => origin.ticket.expect("it has one").said(),
            _ => panic!("an alert is a text"),
        };
        assert_eq!(said(shows, &running).await, Told::Done);
        for (stop, is_given_up) in [(&running, true), (&ending, false)] {
            let is_as_expected = |told| match told {
                Told::GivenUp(_) => is_given_up,
                other => other == Told::Stopped && !is_given_up,
            };
            assert!(is_as_expected(said(drop, stop).await), "dropped by a full lane");
            let (to_channel, outgoing) = mpsc::channel(1);
            let (known, chats) = watch::channel(Some(to_channel.downgrade()));
            drop(outgoing);
            assert!(is_as_expected(say(chats.clone(), || vec![message()], stop).await), "nobody listens");
            drop(to_channel);
            assert!(is_as_expected(say(chats.clone(), || vec![message()], stop).await), "its driver has ended");
            known.send_replace(None);
            drop(known);
            assert!(is_as_expected(say(chats, || vec![message()], stop).await), "it never came");
        }
    }
}
