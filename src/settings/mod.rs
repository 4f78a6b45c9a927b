//! What the owner, an admin or a person set while the program ran: each a setting, kept as an act, and their fold. The
//! configuration gives the start.
//!
//! Pure: no I/O and no clock. Identities are subject ids, which name nobody.

mod alerts;
mod budgets;
mod keys;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::templates::Lang;
use crate::usage::{Dimension, SubjectId, Timestamp};

pub use alerts::{AlertState, Alerts, MAX_ALERTS};
pub use budgets::{BudgetActs, BudgetChange, BudgetKey, MAX_BUDGETS};
pub use keys::{GatewayKey, KeyRefusal, Keys, MAX_KEYS};

/// Chats whose language is remembered at most; beyond, a chat's language lasts until the restart.
pub const MAX_LANGUAGES: usize = 100_000;

/// Something that was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "setting", rename_all = "snake_case")]
pub enum Setting {
    /// What a person, or everybody in a group, may do in chats.
    Access {
        /// Of the person or the group, in their channel.
        subject: SubjectId,
        /// What they may do from now on.
        access: Access,
    },
    /// The language of a chat.
    Language {
        /// Of the chat, in its channel.
        chat: SubjectId,
        /// The language.
        language: Lang,
    },
    /// A budget was changed.
    Budget {
        /// Which one.
        #[serde(flatten)]
        of: BudgetKey,
        /// How.
        #[serde(flatten)]
        change: BudgetChange,
        /// Who did it; nobody where it came from the shell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<SubjectId>,
    },
    /// An alert goes out, or has been delivered.
    Alert {
        /// The alert: the same for ever, so that one told twice is known.
        id: String,
        /// How far it is.
        state: AlertState,
    },
    /// A key for programs was added.
    KeyAdded {
        /// Everything about it but itself.
        #[serde(flatten)]
        key: Box<GatewayKey>,
    },
    /// A key for programs holds no more.
    KeyRevoked {
        /// Its name.
        name: String,
        /// Since when.
        revoked: Timestamp,
    },
    /// Something a newer version sets; kept, and without meaning here.
    #[serde(other)]
    Unknown,
}

/// What somebody may do in chats, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Nothing, as if never heard of.
    None,
    /// Speak.
    User,
    /// Also see and change everything.
    Admin,
}

/// All that was set, folded: the last word counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    access: BTreeMap<SubjectId, Access>,
    languages: BTreeMap<SubjectId, Lang>,
    budgets: BTreeMap<BudgetKey, BudgetActs>,
    alerts: Alerts,
    /// Handed out as they are.
    keys: Arc<Keys>,
}

impl Settings {
    /// Folds the next setting in.
    pub fn apply(&mut self, setting: &Setting) {
        match setting {
            Setting::Access { subject, access: Access::None } => drop(self.access.remove(subject)),
            Setting::Access { subject, access } => drop(self.access.insert(*subject, *access)),
            Setting::Language { chat, language } => {
                if self.languages.len() < MAX_LANGUAGES || self.languages.contains_key(chat) {
                    self.languages.insert(*chat, *language);
                }
            }
            Setting::Budget { of, change, .. } => {
                if self.has_room_for(of) {
                    self.budgets.entry(of.clone()).or_default().apply(change);
                }
            }
            Setting::Alert { id, state } => self.alerts.apply(id, *state),
            Setting::KeyAdded { key } => Arc::make_mut(&mut self.keys).add(key),
            Setting::KeyRevoked { name, revoked } => Arc::make_mut(&mut self.keys).revoke(name, *revoked),
            Setting::Unknown => {}
        }
    }

    /// What somebody may do, as far as it was set.
    pub fn access_of(&self, subject: &SubjectId) -> Access {
        self.access.get(subject).copied().unwrap_or(Access::None)
    }

    /// Everybody who was let in, in the order of their ids.
    pub fn admitted(&self) -> impl Iterator<Item = (&SubjectId, Access)> {
        self.access.iter().map(|(subject, access)| (subject, *access))
    }

    /// What was done to budgets, in the order of their keys.
    pub fn budgets(&self) -> impl Iterator<Item = (&BudgetKey, &BudgetActs)> {
        self.budgets.iter()
    }

    /// Whether something can be done to a budget: to so many others it was not yet, or to this one it was.
    pub fn has_room_for(&self, of: &BudgetKey) -> bool {
        self.budgets.len() < MAX_BUDGETS || self.budgets.contains_key(of)
    }

    /// What was done to a budget.
    pub fn budget(&self, of: &BudgetKey) -> Option<&BudgetActs> {
        self.budgets.get(of)
    }

    /// Whether a key or a budget is about calls of this name.
    pub fn names(&self, dimension: Dimension, name: &str) -> bool {
        let first = BudgetKey { subject: format!("{dimension}:{name}"), limit: String::new() };
        let mut budgets = self.budgets.range(&first..);
        self.keys.names(dimension, name) || budgets.next().is_some_and(|(of, _)| of.subject == first.subject)
    }

    /// How far an alert is; `None` when nobody heard of it, or too long ago.
    pub fn alert(&self, id: &str) -> Option<AlertState> {
        self.alerts.state(id)
    }

    /// Alerts that went out and were not confirmed, the oldest first.
    pub fn firing(&self) -> impl Iterator<Item = &str> {
        self.alerts.firing()
    }

    /// The keys for programs.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys)
    }

    /// The language that was chosen in a chat.
    pub fn language_of(&self, chat: &SubjectId) -> Option<Lang> {
        self.languages.get(chat).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_a_budget_is_read_back_as_it_was_written() {
        let of = BudgetKey { subject: "team:sales".into(), limit: "usd_per_day".into() };
        let window = crate::usage::Day(20_000);
        let changes = [
            BudgetChange::Set { amount: 5, since: Some(window) },
            BudgetChange::Unlimited,
            BudgetChange::Remove,
            BudgetChange::Raise { window, by: 7 },
            BudgetChange::Pause,
            BudgetChange::Resume,
            BudgetChange::Stop { window },
            BudgetChange::Unstop,
            BudgetChange::Mute { window },
        ];
        for by in [None, Some(SubjectId::of(b"key", "telegram", "111"))] {
            for change in &changes {
                let setting = Setting::Budget { of: of.clone(), change: change.clone(), by };
                let line = serde_json::to_string(&setting).expect("plain data");
                assert_eq!(serde_json::from_str::<Setting>(&line).expect("what was written"), setting, "{line}");
            }
        }
    }

    #[test]
    fn the_last_word_counts_and_what_is_not_known_is_passed_over() {
        let (ana, chat) = (SubjectId::of(b"key", "telegram", "111"), SubjectId::of(b"key", "telegram", "-5"));
        let mut settings = Settings::default();
        let lines = [
            format!(r#"{{"setting":"access","subject":"{ana}","access":"admin"}}"#),
            format!(r#"{{"setting":"language","chat":"{chat}","language":"fr"}}"#),
            r#"{"setting":"colour","of":"the sky"}"#.to_owned(),
        ];
        for line in &lines {
            let setting: Setting = serde_json::from_str(line).expect("a setting");
            settings.apply(&setting);
        }
        assert_eq!((settings.access_of(&ana), settings.access_of(&chat)), (Access::Admin, Access::None));
        assert_eq!(settings.language_of(&chat), Some(Lang::Fr));
        settings.apply(&Setting::Access { subject: ana, access: Access::None });
        assert_eq!((settings.access_of(&ana), settings.admitted().count()), (Access::None, 0));
    }

    #[test]
    fn beyond_so_many_budgets_only_those_that_were_changed_before_are_changed() {
        let mut settings = Settings::default();
        let of = |n: usize| BudgetKey { subject: format!("team:t{n}"), limit: "usd_per_day".to_owned() };
        for n in 0..MAX_BUDGETS {
            assert!(settings.has_room_for(&of(n)));
            settings.apply(&Setting::Budget { of: of(n), change: BudgetChange::Pause, by: None });
        }
        assert!(settings.has_room_for(&of(7)) && !settings.has_room_for(&of(MAX_BUDGETS)));
    }
}
