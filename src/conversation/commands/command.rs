//! The commands as data.

use crate::conversation::budgets::BudgetAsk;
use crate::conversation::people::PrivateText;
use crate::reports::View;
use crate::stats::Period;

/// A command, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Show the books.
    Stats {
        /// Of which time; everything since the last reset when not said.
        period: Period,
        /// Which part of them.
        view: View,
    },
    /// Start counting from zero.
    ResetStats {
        /// The code word was given.
        confirmed: bool,
    },
    /// Take the last reset back.
    UndoReset,
    /// The line under each answer; changes to the other state when not said.
    Usage(Option<Switch>),
    /// What an answer cost: the one it replies to, else the last.
    Cost,
    /// What is left of budgets, or a change of one.
    Budget(BudgetAsk),
    /// List the models, or choose one by number, name or `provider/model`.
    Model(Option<PrivateText>),
    /// Forget what was said.
    New,
    /// Ask the last question again.
    Retry,
    /// Stop the answer being written.
    Cancel,
    /// Choose a language, or list them.
    Lang(Option<PrivateText>),
    /// What there is.
    Help,
    /// Who am I.
    Id,
    /// A first greeting.
    Start,
    /// Leave the terminal.
    Quit,
    /// Let a person or a group speak, or make a link that lets somebody.
    Allow(Option<PrivateText>),
    /// Let a person or a group speak no more, or list who may.
    Deny(Option<PrivateText>),
    /// Become the first admin.
    Claim(Option<PrivateText>),
    /// How the bot itself is.
    Health,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}
