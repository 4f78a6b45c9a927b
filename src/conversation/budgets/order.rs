//! What a person wants of the budgets, as data.

use super::amount::{AmountProblem, Number};
use crate::conversation::people::PrivateText;
use crate::limits::{Facet, LimitKind, Measure, Span};

/// What was typed after `/budget`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetAsk {
    /// Show them: all that concern who asks, or those of somebody or something.
    Show(Option<BudgetOf>),
    /// Change one.
    Change(BudgetOrder),
    /// It was not understood.
    Misread(BudgetMistake),
}

/// Whose budget: facets and what was typed as their values, in the order of the facets; none for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetOf(pub Vec<(Facet, PrivateText)>);

/// A change of one budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetOrder {
    /// Whose.
    pub of: BudgetOf,
    /// What is to be done.
    pub deed: Deed,
    /// What it counts, where that was said.
    pub measure: Option<Measure>,
    /// Over what time, where that was said.
    pub span: Option<Span>,
}

/// What is to be done to a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Set its cap.
    Set {
        /// What it counts, over what time.
        limit: LimitKind,
        /// Requests, tokens or pico-dollars; 0 refuses everything.
        amount: u64,
    },
    /// Lift it, whatever the default is.
    Unlimited,
    /// Raise it for the window that runs.
    Raise(By),
    /// Count, and keep nobody away.
    Pause,
    /// Take a pause or a stop back.
    GoOn,
    /// Nothing more until the window ends.
    Stop,
    /// No more alerts until the window ends.
    Mute,
    /// Take back what was set: the configuration holds again.
    Remove,
}

/// By how much to raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// By so many percent of the cap.
    Percent(u32),
    /// By so much of what the budget counts.
    Amount(Number),
}

/// Why it was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetMistake {
    /// What is wrong.
    pub misread: Misread,
    /// The word that it is about; empty when one is missing.
    pub word: PrivateText,
}

/// What can be wrong with what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misread {
    /// A word that means nothing here.
    Word,
    /// Nobody said whose budget.
    Whose,
    /// Nobody said how much.
    HowMuch,
    /// A number without a unit.
    OfWhat,
    /// Nobody said over what time.
    HowLong,
    /// No money per minute.
    NoMoneyPerMinute,
    /// The amount is none.
    Amount(AmountProblem),
}

impl Misread {
    /// The name the template knows it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Misread::Word => "word",
            Misread::Whose => "whose",
            Misread::HowMuch => "how_much",
            Misread::OfWhat => "of_what",
            Misread::HowLong => "how_long",
            Misread::NoMoneyPerMinute => "no_money_per_minute",
            Misread::Amount(AmountProblem::TwoWays) => "two_ways",
            Misread::Amount(AmountProblem::NotWhole) => "not_whole",
            Misread::Amount(AmountProblem::TooMuch) => "too_much",
        }
    }
}
