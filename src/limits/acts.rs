//! What was done to budgets while the program ran, and which rules it holds for. The terms of every rule and of every
//! value under its `*` are a pure function of the configuration and of these acts.

use std::collections::BTreeMap;

use super::kind::{Cap, Caps, LimitKind, Span};
use super::rule::{Rule, Scope};
use super::table::{Compiled, Table};
use super::terms::Term;
use crate::settings::{BudgetActs, BudgetKey};

/// The acts by whom they are for: a text such as `team:sales`, `user:*` or `everything`.
#[derive(Clone, Debug, Default)]
pub(super) struct Acts(BTreeMap<String, Done>);

/// What was done to the budgets of one subject.
#[derive(Clone, Debug)]
struct Done {
    scope: Scope,
    kinds: Vec<(LimitKind, BudgetActs)>,
}

/// One budget, and what was done to it.
pub(super) type Budget<'a> = (&'a Scope, LimitKind, &'a BudgetActs);

/// Whom a key is for and what it counts; `None` where it means nothing here.
pub(super) fn read(of: &BudgetKey) -> Option<(Scope, LimitKind)> {
    Some((Scope::parse(&of.subject)?, LimitKind::parse(&of.limit)?))
}

impl Acts {
    pub(super) fn of<'a>(budgets: impl IntoIterator<Item = (&'a BudgetKey, &'a BudgetActs)>) -> Acts {
        let mut acts = Acts::default();
        for (of, done) in budgets {
            if let Some((scope, kind)) = read(of) {
                acts.insert(scope, kind, done.clone());
            }
        }
        acts
    }

    /// Takes the place of what was known of a budget.
    pub(super) fn insert(&mut self, scope: Scope, kind: LimitKind, acts: BudgetActs) {
        let done = self.0.entry(scope.to_string()).or_insert_with(|| Done { scope, kinds: Vec::new() });
        done.kinds.retain(|(of, _)| *of != kind);
        done.kinds.push((kind, acts));
    }

    pub(super) fn budgets(&self) -> impl Iterator<Item = Budget<'_>> {
        self.0.values().flat_map(|done| done.kinds.iter().map(|(kind, acts)| (&done.scope, *kind, acts)))
    }

    fn find(&self, subject: &str, kind: LimitKind) -> Option<&BudgetActs> {
        self.0.get(subject)?.kinds.iter().find(|(of, _)| *of == kind).map(|(_, acts)| acts)
    }
}

impl Table {
    /// The rule that a budget needs of its own: one was set, and no rule of the configuration counts it (or counts it
    /// from another day on).
    pub(super) fn own_rule(&self, (scope, kind, acts): Budget<'_>) -> Option<Rule> {
        acts.set?;
        let since = acts.since.filter(|_| kind.span() == Span::Prepaid);
        let counts = |compiled: &&Compiled| {
            !compiled.by_act
                && compiled.terms.count(kind)
                && since.is_none_or(|since| compiled.rule.since == Some(since))
                && (compiled.rule.scope == *scope || scope.key_under(&compiled.rule.scope).is_some())
        };
        if self.rules.iter().any(|compiled| counts(&compiled)) {
            return None;
        }
        let counted = Caps::default().with(kind, Some(Cap::Unlimited));
        Some(Rule { since, budget: true, ..Rule::new(scope.clone(), counted, self.book.zone) })
    }

    /// The terms of a rule as they are after all that was done.
    pub(super) fn terms_of(&self, rule: usize) -> Vec<Term> {
        let compiled = &self.rules[rule];
        let subject = compiled.rule.scope.to_string();
        let term = |kind: LimitKind| {
            let said = compiled.rule.caps.said(kind).filter(|_| !compiled.by_act);
            let term = Term::new(kind, said);
            let acts = self.acts.find(&subject, kind).filter(|_| self.is_in_force(compiled, &subject, kind));
            acts.map_or(term, |acts| term.after(acts))
        };
        compiled.terms.list.iter().map(|of| term(of.kind)).collect()
    }

    /// Whether a rule is the one that acts about its subject mean: the one they made, else one of the configuration.
    fn is_in_force(&self, compiled: &Compiled, subject: &str, kind: LimitKind) -> bool {
        let made = self.acts.find(subject, kind).and_then(|acts| self.own_rule((&compiled.rule.scope, kind, acts)));
        match made {
            Some(made) => compiled.by_act && made.since == compiled.rule.since,
            None => !compiled.by_act,
        }
    }

    /// The terms of one value under a `*`, if something was done to them.
    pub(super) fn own_terms(&self, rule: u32, key: &str) -> Option<Box<[Term]>> {
        let compiled = &self.rules[rule as usize];
        if self.acts.0.is_empty() || !compiled.shape.has_each() {
            return None;
        }
        let done = self.acts.0.get(&compiled.rule.scope.label(key).to_string())?;
        let subject = compiled.rule.scope.to_string();
        let mut terms = compiled.terms.list.clone();
        for (kind, acts) in &done.kinds {
            if let Some(term) = terms.iter_mut().find(|term| term.kind == *kind)
                && self.own_rule((&done.scope, *kind, acts)).is_none()
                && self.is_in_force(compiled, &subject, *kind)
            {
                *term = term.after(acts);
            }
        }
        Some(terms.into())
    }
}
