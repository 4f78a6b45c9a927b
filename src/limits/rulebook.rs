//! All that decides what the gate counts: the rules, and what they leave open.

use std::collections::BTreeSet;

use chrono_tz::Tz;

use super::kind::Measure;
use super::rule::{Facet, Pick, Rule};

/// The rules, and what must be known beside them. Counts are a pure function of it and of the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rulebook {
    /// The rules, in the order in which they are shown.
    pub rules: Vec<Rule>,
    /// The owner's zone: the calendar of budgets that are made while the program runs.
    pub zone: Tz,
    /// People who are no guests, by the texts of their subject ids. Whoever a rule names is none either.
    pub people: BTreeSet<Box<str>>,
    /// What calls without a price are taken to cost.
    pub unpriced: Unpriced,
}

/// What calls of models without a price are charged to budgets, in micro-dollars per million tokens, which is the same
/// as pico-dollars per token. Never the cost of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpriced {
    /// Input.
    pub prompt_micro_usd_per_mtok: u64,
    /// Output.
    pub completion_micro_usd_per_mtok: u64,
}

impl Default for Unpriced {
    /// $10 and $30 per million tokens, dearer than most: a budget is to end early rather than late.
    fn default() -> Unpriced {
        Unpriced { prompt_micro_usd_per_mtok: 10_000_000, completion_micro_usd_per_mtok: 30_000_000 }
    }
}

impl Unpriced {
    /// What tokens are charged, in pico-dollars; saturated.
    pub fn pico_usd(&self, prompt: u64, completion: u64) -> u64 {
        let input = prompt.saturating_mul(self.prompt_micro_usd_per_mtok);
        input.saturating_add(completion.saturating_mul(self.completion_micro_usd_per_mtok))
    }
}

impl Default for Rulebook {
    fn default() -> Rulebook {
        Rulebook { rules: Vec::new(), zone: Tz::UTC, people: BTreeSet::new(), unpriced: Unpriced::default() }
    }
}

/// Rules whose owner lives by UTC and named nobody beside them.
impl From<Vec<Rule>> for Rulebook {
    fn from(rules: Vec<Rule>) -> Rulebook {
        Rulebook { rules, ..Rulebook::default() }
    }
}

impl Rulebook {
    /// Everybody who is no guest.
    pub(super) fn named(&self) -> BTreeSet<Box<str>> {
        let picks = self.rules.iter().flat_map(|rule| rule.scope.picks());
        let by_rules = picks.filter_map(|(facet, pick)| match pick {
            Pick::Only(value) if facet == Facet::User => Some(value.clone()),
            _ => None,
        });
        self.people.iter().cloned().chain(by_rules).collect()
    }

    /// What a rule counts, as a text: that of the rule, with all else its counts hang on.
    pub(super) fn fingerprint(&self, rule: &Rule) -> String {
        let mut text = rule.fingerprint();
        if rule.caps.said_kinds().any(|kind| kind.measure() == Measure::Money) {
            let Unpriced { prompt_micro_usd_per_mtok, completion_micro_usd_per_mtok } = self.unpriced;
            text.push_str(&format!(";{prompt_micro_usd_per_mtok}/{completion_micro_usd_per_mtok}"));
        }
        if rule.scope.has_guests() {
            let named: Vec<Box<str>> = self.named().into_iter().collect();
            text.push_str(&format!(";{:08x}", crc32c::crc32c(named.join(" ").as_bytes())));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Caps, LimitKind, Scope};

    #[test]
    fn counts_of_money_hang_on_the_estimate_and_those_of_guests_on_who_is_named() {
        let of = |facet: Facet, value: &str, kind| {
            Rule::new(Scope::everything().with(facet, Pick::of(facet, value)), Caps::of([(kind, 1)]), Tz::UTC)
        };
        let dearer = Rulebook {
            unpriced: Unpriced { prompt_micro_usd_per_mtok: 1, ..Unpriced::default() },
            people: ["ann".into()].into(),
            ..Rulebook::default()
        };
        let same = |rule: &Rule| Rulebook::default().fingerprint(rule) == dearer.fingerprint(rule);
        assert!(same(&of(Facet::User, "*", LimitKind::TokensPerDay)));
        assert!(!same(&of(Facet::User, "*", LimitKind::UsdPerDay)));
        assert!(!same(&of(Facet::User, "guests", LimitKind::TokensPerDay)));
        assert!(same(&of(Facet::Team, "guests", LimitKind::TokensPerDay)), "a team may have that name");
    }

    #[test]
    fn tokens_without_a_price_are_charged_the_estimate_and_saturate() {
        assert_eq!(Unpriced::default().pico_usd(1_000_000, 1_000_000), 40 * 1_000_000_000_000);
        assert_eq!(Unpriced::default().pico_usd(u64::MAX, 1), u64::MAX);
    }
}
