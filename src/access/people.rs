//! Who may talk to the bot in a chat: numeric ids, nobody by default.

use std::collections::BTreeSet;

/// The people of one chat channel. Names are not looked at: they can be changed by their holders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    users: BTreeSet<i64>,
    admins: BTreeSet<i64>,
}

impl People {
    /// The people with these ids. An admin may also chat.
    pub fn new(users: &[i64], admins: &[i64]) -> People {
        People { users: users.iter().copied().collect(), admins: admins.iter().copied().collect() }
    }

    /// Whether the bot answers this person.
    pub fn may_chat(&self, id: i64) -> bool {
        self.users.contains(&id) || self.may_administer(id)
    }

    /// Whether this person may reset and configure.
    pub fn may_administer(&self, id: i64) -> bool {
        self.admins.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_nobody_and_only_admins_administer() {
        assert!(!People::default().may_chat(0));
        let people = People::new(&[111], &[222]);
        assert_eq!([111, 222, 333].map(|id| people.may_chat(id)), [true, true, false]);
        assert_eq!([111, 222, 333].map(|id| people.may_administer(id)), [false, true, false]);
    }
}
