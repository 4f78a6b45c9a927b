//! tallybot: every model call becomes exactly one immutable usage record, and everything shown is a pure fold over
//! records.

pub mod ledger;
pub mod stats;
pub mod limits;
pub mod access;
pub mod config;
pub mod usage;
