//! Telegram: updates in, answers out. Decides nothing about the conversation: it reads what people do, shows what they
//! are told, and keeps account so that each update is answered or apologised for once.
//!
//! ```text
//! polling, webhook ─► intake (account, door) ─► events ─► driver
//!                                                           │
//! Bot API ◄─ api ◄─ answers, saying ◄─ lanes ◄─ outgoing ◄──┘
//! ```

mod account;
mod answers;
mod api;
mod buttons;
mod failure;
mod format;
mod frames;
mod guests;
mod html;
mod inbox;
mod incoming;
mod intake;
mod lanes;
mod menu;
mod pace;
mod polling;
mod presses;
mod receipt;
mod saying;
mod split;
mod spot;
mod tools;
mod webhook;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

pub use api::{Api, Me};
pub use failure::Failure;
pub use inbox::{FILE_NAME, InboxError};
pub use menu::Menu;
pub use polling::introduce;
pub use spot::CHANNEL;
pub use webhook::{Hook, Hooked, MAX_BODY_BYTES, SECRET_HEADER, Verdict, hook};

use crate::conversation::driver::{Door, Outgoing, Renderer};
use crate::conversation::{BotNames, CancelToken, Event};
use crate::templates::Lang;
use crate::usage::Clock;
use account::Account;
use intake::Intake;
use lanes::Lanes;
use tools::Tools;

/// At the end: how long what is left to say may take.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How an answer is shown while it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    /// By editing its message.
    Edits,
    /// As a draft where the server knows them, in private chats; else by edits.
    Drafts,
    /// Not at all: whole, when it is.
    Off,
}

/// How updates come in.
pub enum Source {
    /// They are asked for.
    Polling,
    /// They are posted to us.
    Webhook(Hooked),
}

/// Telegram's end of a conversation.
pub struct Telegram<D, R> {
    /// The Bot API.
    pub api: Api,
    /// The bot's account.
    pub me: Me,
    /// The names it answers to.
    pub names: BotNames,
    /// Who may speak.
    pub door: Arc<D>,
    /// The words for what the channel itself has to say.
    pub renderer: Arc<R>,
    /// The language of whoever has not shown another.
    pub language: Lang,
    /// How answers are shown.
    pub streaming: Streaming,
    /// The commands in each language, that of whoever has not shown another first.
    pub menus: Vec<Menu>,
    /// Admins who see theirs too.
    pub admins: Vec<i64>,
    /// How updates come in.
    pub source: Source,
    /// The file that the account of updates is kept in.
    pub inbox: PathBuf,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Tells the buttons of this process from those of others.
    pub nonce: u32,
    /// To the driver.
    pub events: mpsc::Sender<Event>,
    /// From the driver.
    pub outgoing: mpsc::Receiver<Outgoing>,
}

impl<D: Door, R: Renderer> Telegram<D, R> {
    /// Runs until the driver has ended, and everything it said was sent or could not be in time.
    ///
    /// # Errors
    /// When the account of updates cannot be opened: without it nothing is taken in.
    pub async fn run(self, stop: CancelToken) -> Result<(), InboxError> {
        let Telegram { api, me, names, door, renderer, language, streaming, source, inbox, clock, nonce, .. } = self;
        let (events, mut outgoing, menus, admins) = (self.events, self.outgoing, self.menus, self.admins);
        let (account, begun) = Account::open(&inbox, Arc::clone(&clock), stop.clone())?;
        let account = Arc::new(account);
        let tools = Arc::new(Tools {
            api,
            account: Arc::clone(&account),
            clock,
            streaming,
            nonce,
            events,
            shared: Mutex::default(),
            tasks: Mutex::default(),
        });
        let lanes = Arc::new(Lanes::new(Arc::clone(&tools)));
        let intake = Arc::new(Intake::new((&tools, &lanes), (me, names), (door, renderer), language));
        intake.settle(begun);
        let publishing = Arc::clone(&tools);
        let ending = stop.clone();
        tools.spawn(async move {
            tokio::select! {
                () = menu::publish(&publishing.api, &menus, &admins) => {}
                _ = ending.cancelled() => {}
            }
        });
        let taking = async {
            match source {
                Source::Polling => polling::run(&intake, &stop).await,
                Source::Webhook(hooked) => webhook::run(&intake, hooked, &stop).await,
            }
        };
        let showing = async {
            while let Some(outgoing) = outgoing.recv().await {
                lanes.push(outgoing);
            }
        };
        tokio::join!(taking, showing);
        tools.finish_tasks(LAST_WORDS).await;
        Ok(())
    }
}
