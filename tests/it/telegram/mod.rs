//! A Telegram for one test: a server that answers the built program as the Bot API does, as strict as the real one, and
//! the people who write to it.
//!
//! ```text
//! test ── Chat (says, press, sees) ──►  World  ◄── methods, delivery ── FakeApi ◄── HTTP ── tallybot
//!      ── FakeApi (fault, calls) ───►
//! ```
//!
//! ```ignore
//! let api = FakeApi::start().await;
//! let ana = api.private(&Person::new(111, "Ana").speaking("es"));
//! let bot = Home::new(&format!("[telegram]\napi_url = \"{}\"\nusers = [111]\n", api.url()))
//!     .with_env("TELOXIDE_TOKEN", FakeApi::TOKEN);
//! let bot = bot.serve();
//! api.fault(Fault::on("editMessageText", Effect::retry_after(2)).to(ana.id()).after(1));
//! let asked = ana.says("hola");
//! let answer = ana.sees_after(asked.message, "Hola").await;
//! assert!(spacings(&api.shown_in(ana.id())).iter().all(|wait| *wait >= Duration::from_millis(1_400)));
//! ana.says("/stats");
//! let screen = ana.sees("solicitudes").await;
//! assert_eq!(ana.toast(&ana.press("7 d")).await, "");
//! ```
//!
//! Start with `fake_api` (the server, and what a test can ask and break) and `chat` (what people do and see). Telegram's
//! rules are in `methods`, `markup`, `media`, `commands`, `html`, `rates` and `delivery`; `refusal` has its words.
//! The fake outlives the program: start that as often as you like against one fake.
//!
//! What the built program does with it is in `talking`, `arriving` and `alerting`, from `bot`.
//! Tests that use it are `#[tokio::test(flavor = "multi_thread")]`, so that they may also block on a process.

#![allow(dead_code, unused_imports, reason = "every test uses a part of it")]

#[cfg(feature = "telegram")]
mod alerting;
#[cfg(feature = "telegram")]
mod arriving;
#[cfg(feature = "telegram")]
mod bot;
#[cfg(feature = "telegram")]
mod budgets;
#[cfg(feature = "telegram")]
mod budgets_at_work;
mod call;
mod chat;
mod commands;
mod delivery;
#[cfg(feature = "telegram")]
mod fairness;
mod fake_api;
mod html;
mod judge;
#[cfg(feature = "telegram")]
mod killed;
#[cfg(feature = "telegram")]
mod killing;
#[cfg(feature = "telegram")]
mod line;
mod markup;
mod media;
mod methods;
mod queue;
mod rates;
mod refusal;
mod script;
mod self_tests;
#[cfg(feature = "telegram")]
mod talking;
mod world;

pub use call::{Answer, Call, spacings};
pub use chat::{Chat, Sent};
pub use fake_api::FakeApi;
pub use refusal::Refusal;
pub use script::{Effect, Fault};
pub use world::{BOT_ID, BOT_NAME, Message, Person};
