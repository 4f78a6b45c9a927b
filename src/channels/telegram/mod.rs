//! Telegram: what its rules make of an answer, a pace, a button and an update.

pub mod buttons;
pub mod format;
pub mod frames;
pub mod inbox;
pub mod pace;
pub mod split;
