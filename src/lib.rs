//! tallybot: every model call becomes exactly one immutable usage record, and everything shown is a pure fold over
//! records.

pub mod access;
pub mod config;
pub mod ledger;
pub mod limits;
pub mod metering;
pub mod stats;
pub mod channels;
pub mod conversation;
pub mod http;
pub mod usage;
