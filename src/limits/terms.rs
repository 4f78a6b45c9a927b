//! What a rule counts, and how much of it is allowed now: what the configuration says and what was done since.

use super::calendar::Dates;
use super::kind::{Cap, Kinds, LimitKind, Span};
use crate::settings::BudgetActs;
use crate::usage::Day;

/// One kind of a rule, or of one value under its `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) kind: LimitKind,
    /// The cap; where nothing is said it is only counted.
    pub(super) said: Option<Cap>,
    /// The window it was raised in, and by how much.
    raised: Option<(Day, u64)>,
    /// Whether it keeps nobody away.
    pub(super) paused: bool,
    /// The window in which nothing more goes.
    stopped: Option<Day>,
}

impl Term {
    pub(super) fn new(kind: LimitKind, said: Option<Cap>) -> Term {
        Term { kind, said, raised: None, paused: false, stopped: None }
    }

    /// The same after what was done to it. What is not set stays; raises are those of the last word.
    pub(super) fn after(self, acts: &BudgetActs) -> Term {
        let set = acts.set.map(|amount| amount.map_or(Cap::Unlimited, Cap::At));
        Term {
            kind: self.kind,
            said: set.or(self.said),
            raised: acts.raised.or(self.raised),
            paused: acts.paused || self.paused,
            stopped: acts.stopped.or(self.stopped),
        }
    }

    /// What a window was raised by.
    pub(super) fn raised_by(&self, first: Day) -> u64 {
        self.raised.filter(|(window, _)| *window == first).map_or(0, |(_, by)| by)
    }

    /// The cap in a window; `None` where there is none.
    pub(super) fn max(&self, first: Day) -> Option<u64> {
        self.usual_max().map(|max| max.saturating_add(self.raised_by(first)))
    }

    /// The cap of windows that nobody raised.
    pub(super) fn usual_max(&self) -> Option<u64> {
        match self.said? {
            Cap::At(max) => Some(max),
            Cap::Unlimited => None,
        }
    }

    /// Whether nothing more goes in a window.
    pub(super) fn is_stopped(&self, first: Day) -> bool {
        self.stopped == Some(first)
    }
}

/// The terms of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// From which day on a prepaid kind counts.
    pub(super) since: Option<Day>,
    pub(super) list: Vec<Term>,
}

impl Terms {
    /// The window of a kind that a call admitted on these dates counts in; none before a prepaid one begins.
    pub(super) fn window(&self, kind: LimitKind, dates: Dates) -> Option<Day> {
        let is_before = kind.span() == Span::Prepaid && self.since.is_some_and(|since| dates.day < since);
        (!is_before).then(|| dates.first(kind.span(), self.since))
    }

    /// The kinds that are counted.
    pub(super) fn kinds(&self) -> impl Iterator<Item = LimitKind> {
        self.list.iter().map(|term| term.kind)
    }

    /// The kinds of which something is said.
    pub(super) fn said(&self) -> Kinds {
        Kinds::of(self.list.iter().filter(|term| term.said.is_some()).map(|term| term.kind))
    }

    /// Whether a kind is counted.
    pub(super) fn count(&self, kind: LimitKind) -> bool {
        self.kinds().any(|counted| counted == kind)
    }
}
