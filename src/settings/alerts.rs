//! Which alerts went out: written before, confirmed after, so that each is told once, or after a crash twice under the
//! same id.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// Alerts that are remembered; older ones are of windows that are long over.
pub const MAX_ALERTS: usize = 10_000;

/// How far an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It is about to be told, and perhaps was.
    Firing,
    /// It was told.
    Fired,
}

/// The alerts of the last time, folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alerts {
    states: BTreeMap<String, AlertState>,
    order: VecDeque<String>,
}

impl Alerts {
    pub(super) fn apply(&mut self, id: &str, state: AlertState) {
        if let Some(known) = self.states.get_mut(id) {
            *known = state;
            return;
        }
        if self.order.len() == MAX_ALERTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.states.remove(&oldest);
        }
        self.order.push_back(id.to_owned());
        self.states.insert(id.to_owned(), state);
    }

    pub(super) fn state(&self, id: &str) -> Option<AlertState> {
        self.states.get(id).copied()
    }

    pub(super) fn firing(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str).filter(|id| self.state(id) == Some(AlertState::Firing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_the_last_word_counts() {
        let mut alerts = Alerts::default();
        for n in 0..=MAX_ALERTS {
            alerts.apply(&n.to_string(), AlertState::Firing);
        }
        alerts.apply("7", AlertState::Fired);
        assert_eq!((alerts.state("0"), alerts.state("7")), (None, Some(AlertState::Fired)));
        assert_eq!(alerts.firing().count(), MAX_ALERTS - 1);
    }
}
