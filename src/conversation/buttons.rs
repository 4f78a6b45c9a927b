//! Buttons below what the bot says, as data: what each one means when it is pressed.

use super::people::Person;
use super::session::JobId;
use crate::alerts::{AlertView, Happened};
use crate::reports::View;
use crate::stats::Period;

/// Rows of buttons, top to bottom; empty for none.
pub type Keyboard<B = Key> = Vec<Vec<B>>;

/// One button; how its name is written is the language's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What stands on it, as the name of a word.
    pub name: &'static str,
    /// It stands for what is shown already.
    pub chosen: bool,
    /// What pressing it means.
    pub press: Press,
}

/// One button as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// What stands on it, in the language of the chat.
    pub label: String,
    /// What pressing it means.
    pub press: Press,
}

/// What a press means. A channel writes it into the button and reads it back, after any time and any restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Press {
    /// Show the books in place of what the message shows.
    Stats {
        /// Of which time.
        period: Period,
        /// Which part.
        view: View,
        /// The id of who asked for the screen: nobody else may press, but admins.
        asker: String,
    },
    /// Ask whether to count from zero, in place of what the message shows.
    AskReset,
    /// Count from zero, as was asked on this screen before.
    ConfirmReset,
    /// Rather not.
    CancelReset,
    /// Do something about the budget that an alert is about.
    Alert {
        /// The alert's id.
        id: String,
        /// What.
        act: AlertAct,
    },
    /// Stop this answer.
    Stop(JobId),
    /// A button of another version, or of nobody's making.
    Unknown,
}

/// What can be done about the budget that an alert is about, by a button below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertAct {
    /// Raise its cap for this window, by [`AlertAct::RAISE_PERCENT`].
    Raise,
    /// Let nothing more through until the window ends.
    Stop,
    /// Tell no more of it until the window ends.
    Mute,
}

impl AlertAct {
    /// All of them, in the order of their buttons.
    pub const ALL: [AlertAct; 3] = [AlertAct::Raise, AlertAct::Stop, AlertAct::Mute];

    /// By so much of its cap a budget is raised.
    pub const RAISE_PERCENT: u64 = 20;

    /// Its name in templates.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertAct::Raise => "raise",
            AlertAct::Stop => "stop",
            AlertAct::Mute => "mute",
        }
    }

    fn button(self) -> &'static str {
        match self {
            AlertAct::Raise => "alert_raise",
            AlertAct::Stop => "alert_stop",
            AlertAct::Mute => "alert_mute",
        }
    }
}

impl Key {
    pub(super) fn new(name: &'static str, press: Press) -> Key {
        Key { name, chosen: false, press }
    }
}

/// The buttons below the books: the periods, the views, and what else this person may do.
pub(super) fn below_stats(person: &Person, period: Period, view: View) -> Keyboard {
    let to = |period, view| Press::Stats { period, view, asker: person.id.clone() };
    let periods = Period::ALL.into_iter().map(|other| Key {
        name: other.as_str(),
        chosen: other == period,
        press: to(other, view),
    });
    let views = View::ALL.into_iter().filter(|other| *other != View::Overview && person.may_see(*other));
    let views = views.map(|other| {
        // Pressed again, a view leads back to the overview.
        let next = if other == view { View::Overview } else { other };
        Key { name: other.as_str(), chosen: other == view, press: to(period, next) }
    });
    let mut last = vec![Key::new("refresh", to(period, view))];
    if person.admin && person.group.is_none() {
        last.push(Key::new("reset", Press::AskReset));
    }
    vec![periods.collect(), views.collect(), last]
}

/// The buttons that answer whether to count from zero.
pub(super) fn below_reset() -> Keyboard {
    vec![vec![Key::new("confirm", Press::ConfirmReset), Key::new("cancel", Press::CancelReset)]]
}

/// The buttons below an alert: what can be done about a window that is at a level; for all else none.
pub fn below_alert(alert: &AlertView) -> Keyboard {
    if !matches!(alert.happened, Happened::Level { .. }) {
        return Vec::new();
    }
    let key = |act: AlertAct| Key::new(act.button(), Press::Alert { id: alert.id.clone(), act });
    vec![AlertAct::ALL.map(key).into()]
}
