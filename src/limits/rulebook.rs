//! All that decides what the gate counts: the rules, and what they leave open.

use std::collections::BTreeSet;

use super::kind::Measure;
use super::rule::{Facet, Pick, Rule};
use crate::usage::Zone;
use crate::usage::prices::UnknownPrice;

/// The rules, and what must be known beside them. Counts are a pure function of it and of the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rulebook {
    /// The rules, in the order in which they are shown.
    pub rules: Vec<Rule>,
    /// The owner's zone: the calendar of budgets that are made while the program runs.
    pub zone: Zone,
    /// People who are no guests, by the texts of their subject ids. Whoever a rule names is none either.
    pub people: BTreeSet<Box<str>>,
    /// What calls without a price are taken to cost.
    pub unpriced: UnknownPrice,
}

impl Default for Rulebook {
    fn default() -> Rulebook {
        Rulebook { rules: Vec::new(), zone: Zone::UTC, people: BTreeSet::new(), unpriced: UnknownPrice::default() }
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
            let UnknownPrice { input, output } = self.unpriced;
            text.push_str(&format!(";{}/{}", input.micro_usd_per_mtok(), output.micro_usd_per_mtok()));
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
            Rule::new(Scope::everything().with(facet, Pick::of(facet, value)), Caps::of([(kind, 1)]), Zone::UTC)
        };
        let dearer = Rulebook {
            unpriced: UnknownPrice { input: UnknownPrice::default().output, ..UnknownPrice::default() },
            people: ["ann".into()].into(),
            ..Rulebook::default()
        };
        let same = |rule: &Rule| Rulebook::default().fingerprint(rule) == dearer.fingerprint(rule);
        assert!(same(&of(Facet::User, "*", LimitKind::TokensPerDay)));
        assert!(!same(&of(Facet::User, "*", LimitKind::UsdPerDay)));
        assert!(!same(&of(Facet::User, "guests", LimitKind::TokensPerDay)));
        assert!(same(&of(Facet::Team, "guests", LimitKind::TokensPerDay)), "a team may have that name");
    }
}
