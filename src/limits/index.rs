//! Finds the rules that mean a call without looking at the others: (facet, value) to rules.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::rule::{Facet, Pick, Rule, Subject};

/// Rules by one value each of them demands; rules that demand none stand apart.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_value: [HashMap<Box<str>, Vec<u32>, RandomState>; Facet::ALL.len()],
    by_none: Vec<u32>,
}

impl Index {
    /// Files each rule under the rarest of the values it demands.
    pub(super) fn new(rules: &[Rule]) -> Index {
        let mut demand: HashMap<(Facet, &str), usize, RandomState> = HashMap::default();
        for value in rules.iter().flat_map(demanded) {
            *demand.entry(value).or_default() += 1;
        }
        let mut index = Index::default();
        for (id, rule) in rules.iter().enumerate() {
            let ids = match demanded(rule).min_by_key(|value| demand[value]) {
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

fn demanded(rule: &Rule) -> impl Iterator<Item = (Facet, &str)> {
    rule.scope.picks().filter_map(|(facet, pick)| match pick {
        Pick::Only(value) => Some((facet, &**value)),
        Pick::Each => None,
    })
}
