//! Budgets that change while calls are made: terms change in place, and a new rule first learns what was used before it.

use super::acts::read;
use super::entry::second_of;
use super::gate::Gate;
use super::rule::Rule;
use super::rulebook::Rulebook;
use crate::settings::{BudgetActs, BudgetKey};
use crate::usage::{Day, Now, UsageRecord};

/// What a new rule has to learn: it counts from the moment it was begun, and the records before that are folded here.
#[derive(Debug)]
pub struct Learning {
    rule: u32,
    /// A gate over that rule alone.
    before: Gate,
}

impl Learning {
    /// The day before which no record matters to it.
    pub fn since(&self, now: Now) -> Day {
        self.before.horizon(now).day()
    }

    /// Folds a record that was in the books when the rule was begun.
    pub fn apply(&mut self, record: &UsageRecord<'_>, now: Now) {
        self.before.apply(record, now);
    }
}

impl Gate {
    /// Takes in what was done to a budget: `acts` is all of it. What it means is in force when this returns, unless it
    /// gives a rule: then nothing has changed, and that rule has to be learnt first, by [`Gate::learn`] and
    /// [`Gate::learnt`].
    pub fn change(&mut self, of: &BudgetKey, acts: &BudgetActs) -> Option<Rule> {
        let (scope, kind) = read(of)?;
        let own = self.table.own_rule((&scope, kind, acts));
        let is_there = |rule: &Rule| {
            let same = |known: &Rule| (&known.scope, known.caps, known.since) == (&rule.scope, rule.caps, rule.since);
            self.table.rules.iter().any(|known| known.by_act && !known.is_learning && same(&known.rule))
        };
        if let Some(rule) = own.filter(|rule| !is_there(rule)) {
            return Some(rule);
        }
        self.table.acts.insert(scope.clone(), kind, acts.clone());
        self.table.refresh(Some(&scope));
        None
    }

    /// Begins a rule: from now on it counts, open calls included, and keeps nobody away. What is in the books at this
    /// moment, and nothing else, is to be folded into what this gives.
    pub fn learn(&mut self, rule: Rule, now: Now) -> Learning {
        let Rulebook { zone, people, unpriced, .. } = self.table.book.clone();
        let number = self.table.add_learning(rule.clone());
        for open in self.open.values_mut() {
            open.book_in(&mut self.table, number, now);
        }
        let people = people.into_iter().chain(self.table.book.named()).collect();
        let book = Rulebook { rules: vec![rule], zone, people, unpriced };
        Learning { rule: number, before: Gate::new(book, std::iter::empty::<&str>()) }
    }

    /// Ends what [`Gate::learn`] began: the rule knows all that counts in its windows.
    pub fn learnt(&mut self, learning: Learning, now: Now) {
        let now_second = second_of(now);
        for (_, before) in learning.before.table.entries() {
            let (entry, _) = self.table.entry_of(learning.rule, &before.key);
            entry.absorb(before, now_second);
        }
        self.table.rules[learning.rule as usize].is_learning = false;
    }
}
