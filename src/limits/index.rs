//! Finds the rules that mean a call without looking at the others: (facet, value) to rules.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::rule::{Facet, Pick, Scope, Subject};

/// Rules by one value each of them demands; rules that demand none stand apart.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_value: [HashMap<Box<str>, Vec<u32>, RandomState>; Facet::ALL.len()],
    by_none: Vec<u32>,
}

impl Index {
    /// Files each rule under the rarest of the values it demands.
    pub(super) fn new<'a>(scopes: impl Iterator<Item = &'a Scope> + Clone) -> Index {
        let mut demand: HashMap<(Facet, &str), usize, RandomState> = HashMap::default();
        for value in scopes.clone().flat_map(demanded) {
            *demand.entry(value).or_default() += 1;
        }
        let mut index = Index::default();
        for (id, scope) in scopes.enumerate() {
            let ids = match demanded(scope).min_by_key(|value| demand[value]) {
                Some((facet, value)) => index.by_value[facet as usize].entry(value.into()).or_default(),
                None => &mut index.by_none,
            };
            ids.push(id as u32);
        }
        index
    }

    /// Rules that may mean the call; every rule that does is among them, each once.
    pub(super) fn candidates<'a>(&'a self, subject: &'a Subject<'_>) -> impl Iterator<Item = u32> + 'a {
        let by_value = Facet::ALL.into_iter().filter_map(|facet| {
            let rules = &self.by_value[facet as usize];
            if rules.is_empty() { None } else { rules.get(subject.get(facet)?) }
        });
        self.by_none.iter().chain(by_value.flatten()).copied()
    }
}

fn demanded(scope: &Scope) -> impl Iterator<Item = (Facet, &str)> {
    scope.picks().filter_map(|(facet, pick)| match pick {
        Pick::Only(value) => Some((facet, &**value)),
        Pick::Each | Pick::Guests => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::{Caps, Rule};
    use crate::usage::Zone;

    proptest! {
        #[test]
        fn the_index_finds_the_rules_that_a_look_at_each_of_them_finds(
            scopes in prop::collection::vec(prop::collection::vec((0usize..7, 0u8..4), 0..4), 0..40),
            call in prop::collection::vec(0u8..4, 7),
        ) {
            let value = |n: u8| ["*", "a", "b", "c"][n as usize];
            let rule = |picks: &Vec<(usize, u8)>| {
                let scope = picks.iter().fold(Scope::everything(), |scope, (facet, n)| {
                    scope.with(Facet::ALL[*facet], Pick::parse(value(*n)))
                });
                Rule::new(scope, Caps::default(), Zone::UTC)
            };
            let rules: Vec<Rule> = scopes.iter().map(rule).collect();
            let given = |n: usize| (call[n] > 0).then(|| value(call[n]));
            let subject = Subject {
                provider: value(call[0]),
                model: value(call[1]),
                user: given(2),
                team: given(3),
                feature: given(4),
                key: given(5),
                channel: value(call[6]),
            };
            let matches = |id: &u32| rules[*id as usize].scope.matches(&subject, false);
            let mut found: Vec<u32> = Index::new(rules.iter().map(|rule| &rule.scope)).candidates(&subject).filter(matches).collect();
            found.sort_unstable();
            let expected: Vec<u32> = (0..rules.len() as u32).filter(matches).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
