//! What the owner configured: plain data, one struct per concern, every mistake reported in one run.
//!
//! No I/O, no clock, no environment: the text, the variables and the secret files come in as arguments.
//! A file that is not there reads as an empty one, and an empty one is [`Config::default`].

mod alerts;
mod budgets;
mod chat;
mod check;
mod compat;
mod gateway;
mod http;
mod limits;
mod mistakes;
mod prices;
mod providers;
mod reader;
mod secrets;
mod store;
mod telegram;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::templates::Lang;
use crate::usage::Zone;
use crate::usage::prices::UnknownPrice;

pub use alerts::{
    AlertMail, AlertPost, AlertSecurity, AlertSeverity, AlertThreshold, AlertWebhook, Alerts, LargePrompts,
};
pub use budgets::{Budget, Per};
pub use chat::Chat;
pub use check::{Checked, check, check_without_secrets};
pub use compat::Compat;
pub use gateway::Gateway;
pub use http::Http;
pub use limits::{Allowance, AtLimit, Limit, LimitFor, Rates};
pub use mistakes::{Finding, Mistakes};
pub use prices::PriceRow;
pub use providers::{Provider, ProviderKind, Timeouts};
pub use secrets::{Env, MIN_TOKEN_CHARS, SecretFile, SecretFiles};
pub use store::{Durability, Ledger, Log, LogLevel};
pub use telegram::{Telegram, TelegramGroup, TelegramStreaming};

/// Everything an owner can say in `tallybot.toml`, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The language of what people read, until they choose their own.
    pub language: Lang,
    /// The zone of days and budgets; `None` is the system's, which the caller knows.
    pub timezone: Option<Zone>,
    /// The folder of the books, as written: relative to where the program runs.
    pub data_dir: PathBuf,
    /// The bot's name, also the name of its command (`/raymundo stats`).
    pub bot_name: String,
    /// The REST door.
    pub http: Http,
    /// Calls of other programs, passed on.
    pub gateway: Gateway,
    /// How the books are kept.
    pub ledger: Ledger,
    /// What is logged.
    pub log: Log,
    /// Conversations.
    pub chat: Chat,
    /// Model providers; the first is the default. Empty: a local Ollama if it answers, else the demo model.
    pub providers: Vec<Provider>,
    /// The owner's own limits.
    pub limits: Vec<Limit>,
    /// The owner's budgets.
    pub budgets: Vec<Budget>,
    /// What is told without being asked, and where.
    pub alerts: Alerts,
    /// Telegram; `None` when there is no such section.
    pub telegram: Option<Telegram>,
    /// The owner's folder of templates, which go before the built-in ones.
    pub templates_dir: Option<PathBuf>,
    /// The owner's own prices, which go before the built-in ones.
    pub prices: Vec<PriceRow>,
    /// What calls of models without a price are taken to cost at most, where money is held back for them.
    pub unknown_price: UnknownPrice,
    /// The forms of older programs.
    pub compat: Compat,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            language: Lang::En,
            timezone: None,
            data_dir: PathBuf::from("data"),
            bot_name: "raymundo".to_owned(),
            http: Http::default(),
            gateway: Gateway::default(),
            ledger: Ledger::default(),
            log: Log::default(),
            chat: Chat::default(),
            providers: Vec::new(),
            limits: Vec::new(),
            budgets: Vec::new(),
            alerts: Alerts::default(),
            telegram: None,
            templates_dir: None,
            prices: Vec::new(),
            unknown_price: UnknownPrice::default(),
            compat: Compat::default(),
        }
    }
}
