//! Telegram: what its rules make of an answer, a pace, a button and an update.

pub mod format;
pub mod split;
