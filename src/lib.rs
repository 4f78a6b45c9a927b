//! tallybot: every model call becomes exactly one immutable usage record, and everything shown is a pure fold over
//! records.

pub mod access;
pub mod app;
pub mod channels;
pub mod cli;
pub mod config;
pub mod conversation;
pub mod http;
pub mod ledger;
pub mod limits;
pub mod metering;
pub mod models;
pub mod reports;
pub mod service;
pub mod stats;
pub mod templates;
pub mod usage;
