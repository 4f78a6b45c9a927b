//! Who may speak in the chats of one channel: numeric ids, nobody by default. The configuration gives the start, what
//! was set in a chat is added to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::settings::Access;
use crate::usage::SubjectId;

/// Characters of a group's subject id in the name of its team.
const TEAM_CHARS: usize = 8;

/// The people and groups that the configuration lets into one channel. Names are not looked at: their holders can
/// change them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guests {
    users: BTreeSet<i64>,
    admins: BTreeSet<i64>,
    /// With the team that a group's usage belongs to, if the owner named one.
    groups: BTreeMap<i64, Option<String>>,
}

/// The id of a person (above zero) or of a group (below); `None` for what is neither.
pub fn chat_id(text: &str) -> Option<i64> {
    text.trim().parse().ok().filter(|id| *id != 0)
}

impl Guests {
    /// The people with these ids, and the groups with theirs and their teams. An admin may also speak.
    pub fn new(users: &[i64], admins: &[i64], groups: impl IntoIterator<Item = (i64, Option<String>)>) -> Guests {
        Guests {
            users: users.iter().copied().collect(),
            admins: admins.iter().copied().collect(),
            groups: groups.into_iter().collect(),
        }
    }

    /// What a person or a group may do by the configuration, which no chat changes.
    pub fn configured(&self, id: i64) -> Access {
        if self.admins.contains(&id) {
            Access::Admin
        } else if self.users.contains(&id) || self.groups.contains_key(&id) {
            Access::User
        } else {
            Access::None
        }
    }

    /// What a person or a group may do, when `set` is what was set of them. Nobody is an admin by being a group.
    pub fn access(&self, id: i64, set: Access) -> Access {
        let most = if id > 0 { Access::Admin } else { Access::User };
        self.configured(id).max(set).min(most)
    }

    /// Whether the configuration names an admin.
    pub fn has_admin(&self) -> bool {
        !self.admins.is_empty()
    }

    /// Everybody whom the configuration lets in, admins first, then the other people, then groups.
    pub fn ids(&self) -> impl Iterator<Item = i64> {
        let users = self.users.iter().filter(|id| !self.admins.contains(id));
        self.admins.iter().chain(users).chain(self.groups.keys()).copied()
    }

    /// The team whose usage a group's is: the configured one, else `group-` and the first letters of its subject id,
    /// which say nothing of the group and stay the same as long as the group's id does.
    pub fn team(&self, group: i64, subject: &SubjectId) -> String {
        match self.groups.get(&group) {
            Some(Some(team)) => team.clone(),
            _ => format!("group-{:.TEAM_CHARS$}", subject.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guests() -> Guests {
        Guests::new(&[111, 222], &[222], [(-100, Some("editors".to_owned())), (-200, None)])
    }

    #[test]
    fn empty_is_nobody_and_only_admins_administer() {
        for id in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(Guests::default().access(id, Access::None), Access::None);
        }
        let roles = [111, 222, 333, -100, -300].map(|id| guests().access(id, Access::None));
        assert_eq!(roles, [Access::User, Access::Admin, Access::None, Access::User, Access::None]);
        assert_eq!(guests().ids().collect::<Vec<_>>(), [222, 111, -200, -100]);
        assert!(guests().has_admin() && !Guests::new(&[1], &[], []).has_admin());
    }

    #[test]
    fn what_was_set_adds_to_the_configuration_and_takes_nothing_from_it() {
        let cases = [
            (111, Access::Admin, Access::Admin),
            (222, Access::User, Access::Admin),
            (222, Access::None, Access::Admin),
            (333, Access::User, Access::User),
            (333, Access::Admin, Access::Admin),
            (-300, Access::User, Access::User),
            (-300, Access::Admin, Access::User),
        ];
        for (id, set, expected) in cases {
            assert_eq!(guests().access(id, set), expected, "{id} {set:?}");
        }
    }

    #[test]
    fn a_team_is_the_owners_word_or_says_nothing_of_the_group() {
        let subject = |id: i64| SubjectId::of(b"key", "telegram", &id.to_string());
        assert_eq!(guests().team(-100, &subject(-100)), "editors");
        let team = guests().team(-200, &subject(-200));
        assert_eq!((team.len(), team.contains("200")), ("group-".len() + TEAM_CHARS, false), "{team}");
        assert_eq!(team, guests().team(-200, &subject(-200)));
        assert_ne!(team, guests().team(-300, &subject(-300)));
    }

    #[test]
    fn an_id_is_a_whole_number_and_not_zero() {
        assert_eq!(
            [" 111 ", "-100123", "9007199254740993"].map(chat_id),
            [111, -100_123, 9_007_199_254_740_993].map(Some)
        );
        for text in ["", "0", "@ana", "12.5", "1 2", "99999999999999999999"] {
            assert_eq!(chat_id(text), None, "{text}");
        }
    }
}
