//! What people are told of budgets, as data for templates. Amounts are requests, tokens or pico-dollars, as the name of
//! the limit says; templates show the latter as dollars.

use serde::Serialize;

use super::order::BudgetMistake;
use crate::conversation::people::PrivateText;
use crate::limits::LimitKind;
use crate::reports::NearlyFull;
use crate::usage::Timestamp;

/// The budgets somebody may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetsView {
    /// An admin asks, in a chat of their own.
    pub admin: bool,
    /// Others read along: nothing has numbers.
    pub group: bool,
    /// With numbers, the fullest first.
    pub budgets: Vec<BudgetLine>,
    /// How many more there are.
    pub more: usize,
    /// Those of others or of everybody, without numbers: nearly used up or used up.
    pub limits: Vec<NearlyFull>,
    /// Now.
    pub now: Timestamp,
}

/// One budget and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetLine {
    /// Whose: a label such as `team:sales`; people by what is known of them.
    pub subject: String,
    /// `user` or `team` when it is that of who asks, or of the group.
    pub own: Option<&'static str>,
    /// What it counts, over what time.
    pub limit: LimitKind,
    /// Used and settled.
    pub used: u64,
    /// Held by calls under way.
    pub reserved: u64,
    /// How much there is; `None` for no end.
    pub max: Option<u64>,
    /// What is left of it, the reserve taken off.
    pub left: Option<u64>,
    /// How much of it is used, in thousandths.
    pub permille: u64,
    /// When it is all there again; `None` where nothing comes back.
    pub resets_at: Option<Timestamp>,
    /// How long until then.
    pub resets_in_seconds: Option<u64>,
    /// By how much it is raised in this window.
    pub raised_by: u64,
    /// It is counted, and keeps nobody away.
    pub paused: bool,
    /// Nothing more until the window ends.
    pub stopped: bool,
    /// No alerts until the window ends.
    pub muted: bool,
    /// It holds for each value apart, and shows no use of its own.
    pub each: bool,
}

/// What was done to a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetChangedView {
    /// `set`, `unlimited`, `raised`, `paused`, `resumed`, `stopped`, `muted` or `removed`.
    pub deed: &'static str,
    /// Whose.
    pub subject: String,
    /// What it counts, over what time.
    pub limit: LimitKind,
    /// How much there was; `None` for no end.
    pub before: Option<u64>,
    /// How much there is now; likewise.
    pub after: Option<u64>,
    /// What is used now; `None` where each value has a count of its own.
    pub used: Option<u64>,
    /// As much is used as there is, or more.
    pub full: bool,
    /// When the window ends.
    pub resets_at: Option<Timestamp>,
    /// How long until then.
    pub resets_in_seconds: Option<u64>,
    /// What the admin should know of the name.
    pub remark: Option<BudgetRemark>,
    /// Now.
    pub now: Timestamp,
}

/// What is odd about the value of a budget, though it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetRemark {
    /// Nobody has used this name yet.
    NotSeen,
    /// This person has not spoken yet.
    NotSpoken,
}

/// Why nothing was changed, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetMistakeView {
    /// What is wrong: a [`Misread`](super::Misread), or `unknown`, `person`, `which`, `no_budget`, `no_cap`, `nothing`.
    pub problem: &'static str,
    /// The word it is about; empty when one is missing.
    pub word: PrivateText,
    /// What may have been meant.
    pub suggestion: Option<String>,
    /// What was typed, as far as it goes, before each of the choices.
    pub typed: Option<String>,
    /// The budgets that may have been meant.
    pub choices: Vec<LimitKind>,
}

impl BudgetMistakeView {
    /// A problem with a word.
    pub fn new(problem: &'static str, word: PrivateText) -> BudgetMistakeView {
        BudgetMistakeView { problem, word, suggestion: None, typed: None, choices: Vec::new() }
    }
}

impl From<BudgetMistake> for BudgetMistakeView {
    fn from(mistake: BudgetMistake) -> BudgetMistakeView {
        BudgetMistakeView::new(mistake.misread.as_str(), mistake.word)
    }
}
