//! tallybot: every model call becomes exactly one immutable usage record, and everything shown is a pure fold over
//! records.
//!
//! ```text
//!    people                  programs                  a shell
//! terminal, Telegram        HTTP, gateway    tallybot stats, log, reset
//!       |                       |                         |
//!   conversation                |                      service
//!       |                       |                         |
//!       +------------------> metering <-------------------+      the one door
//!                               |   reserve, call, record, answer
//!                  models <-----+-----> limits                   the gate: used and reserved
//!  ollama openai anthropic      |
//!     gemini demo               |
//!                               |   UsageRecord, immutable
//!                               v
//!                             ledger ---> data/tokens_YYYY-MM-DD.jsonl    the truth
//!                               |    ---> data/control.jsonl              the owner's acts
//!                               |    ---> data/metrics.json               a cached fold
//!                               v
//!                             stats                              pure folds
//!                               |
//!                     reports, templates ---> chat text, REST, shell
//! ```
//!
//! The modules, in an order to read them in:
//!
//! - [`usage`]: the facts: what one model call used, when, for whom and at what price.
//! - [`templates`]: every sentence a person reads, a folder per language, checked before anybody sees it.
//! - [`stats`]: the answers: records in, numbers out, in any order and partition.
//! - [`config`]: what the owner configured, as plain data, with every mistake reported in one run.
//! - [`settings`]: what was set while the program ran, and its fold.
//! - [`ledger`]: the memory: the files, and what a crash leaves of them.
//! - [`models`]: the providers: one pure file for each API, one transport for all.
//! - [`limits`]: the gate: what may be called now, and if not, when.
//! - [`access`]: who may come in, by token, host or number.
//! - [`metering`]: the one door: a call is opened, finished, and recorded whatever happens between.
//! - [`reports`]: the numbers of one picture of the books, as JSON and as text.
//! - [`alerts`]: what somebody should hear of without asking.
//! - [`conversation`]: what is said to the bot and what it answers, as events and effects.
//! - [`service`]: the books as shell commands see them: a folder, or the tallybot that holds it.
//! - [`channels`]: where people write.
//! - [`http`]: where programs ask.
//! - [`gateway`]: what other programs ask of providers, passed on and metered.
//! - [`deliveries`]: alerts on their way to places of the owner's.
//! - [`app`]: builds everything, owns the clock, joins the parts and drains them at the end.
//! - [`cli`]: arguments, and one function per command.

pub mod usage;

pub mod templates;

pub mod stats;

pub mod config;

pub mod settings;

pub mod ledger;

pub mod models;

pub mod limits;

pub mod access;

pub mod metering;

pub mod reports;

pub mod alerts;

pub mod conversation;

pub mod service;

pub mod channels;

pub mod http;

pub mod gateway;

pub mod deliveries;

pub mod app;

pub mod cli;
