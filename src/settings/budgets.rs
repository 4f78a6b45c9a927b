//! What was done to budgets while the program ran. Plain names and numbers: what they mean is the limits' to say.

use serde::{Deserialize, Serialize};

use crate::usage::Day;

/// Budgets that can be changed at most.
pub const MAX_BUDGETS: usize = 10_000;

/// Which budget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BudgetKey {
    /// Whom it is for: facets and values as in a label (`team:sales`), a space between them; `everything` for all.
    /// People by their subject ids.
    pub subject: String,
    /// What it counts, over what time: the name of a limit kind, such as `usd_per_day`.
    pub limit: String,
}

/// What was done to it. Amounts are requests, tokens or pico-dollars; a window is told by its first day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum BudgetChange {
    /// Its cap was set.
    Set {
        /// To this much; 0 refuses everything.
        amount: u64,
        /// A prepaid one counts from this day on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Day>,
    },
    /// It was made unlimited, whatever the default is.
    Unlimited,
    /// All that was done to it is taken back: the configuration holds again, if it has one.
    Remove,
    /// It was raised for one window.
    Raise {
        /// The window.
        window: Day,
        /// By this much, beside what it was raised by before. In an act `by` is who did it.
        #[serde(rename = "more")]
        by: u64,
    },
    /// It is counted, and keeps nobody away.
    Pause,
    /// It holds again.
    Resume,
    /// Nothing more until the window ends.
    Stop {
        /// The window.
        window: Day,
    },
    /// It may be used again.
    Unstop,
    /// No more alerts about it until the window ends.
    Mute {
        /// The window.
        window: Day,
    },
}

/// What was done to one budget, folded: the last word counts, raises of one window add up until
/// the cap is another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BudgetActs {
    /// What was set: an amount, or `Some(None)` for unlimited; `None` when the configuration holds.
    pub set: Option<Option<u64>>,
    /// From which day on it counts, where it is prepaid and was set.
    pub since: Option<Day>,
    /// The window it was last raised in, and by how much in all.
    pub raised: Option<(Day, u64)>,
    /// Whether it keeps nobody away now.
    pub paused: bool,
    /// The window in which nothing more goes.
    pub stopped: Option<Day>,
    /// The window of which nobody wants to hear.
    pub muted: Option<Day>,
}

impl BudgetActs {
    pub(super) fn apply(&mut self, change: &BudgetChange) {
        match change {
            BudgetChange::Set { amount, since } => self.begin_anew(Some(Some(*amount)), *since),
            BudgetChange::Unlimited => self.begin_anew(Some(None), None),
            BudgetChange::Remove => *self = BudgetActs::default(),
            BudgetChange::Raise { window, by } => {
                let before = self.raised.filter(|(of, _)| of == window).map_or(0, |(_, by)| by);
                self.raised = Some((*window, before.saturating_add(*by)));
            }
            BudgetChange::Pause => self.paused = true,
            BudgetChange::Resume => self.paused = false,
            BudgetChange::Stop { window } => self.stopped = Some(*window),
            BudgetChange::Unstop => self.stopped = None,
            BudgetChange::Mute { window } => self.muted = Some(*window),
        }
    }

    /// Another cap: a raise was of the one before.
    fn begin_anew(&mut self, set: Option<Option<u64>>, since: Option<Day>) {
        (self.set, self.since, self.raised) = (set, since, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_and_raises_of_one_window_add_up_until_the_cap_is_another() {
        let mut acts = BudgetActs::default();
        let raise = |day, by| BudgetChange::Raise { window: Day(day), by };
        for change in [BudgetChange::Set { amount: 5, since: None }, raise(1, 2), raise(1, 3), BudgetChange::Pause] {
            acts.apply(&change);
        }
        assert_eq!((acts.set, acts.raised, acts.paused), (Some(Some(5)), Some((Day(1), 5)), true));
        acts.apply(&raise(2, 7));
        acts.apply(&BudgetChange::Unlimited);
        assert_eq!((acts.set, acts.raised), (Some(None), None), "what was raised is no more");
        assert!(acts.paused, "whether it keeps anybody away is another matter");
        acts.apply(&BudgetChange::Stop { window: Day(2) });
        acts.apply(&BudgetChange::Mute { window: Day(2) });
        acts.apply(&BudgetChange::Remove);
        assert_eq!(acts, BudgetActs::default(), "the configuration holds, and nothing else");
    }
}
