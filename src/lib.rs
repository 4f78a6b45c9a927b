//! tallybot: every model call becomes exactly one immutable usage record, and everything shown is a pure fold over
//! records.

pub mod channels;
pub mod http;
pub mod conversation;
pub mod metering;
pub mod reports;
pub mod ledger;
pub mod models;
pub mod limits;
pub mod access;
pub mod stats;
pub mod config;
pub mod usage;
pub mod templates;
