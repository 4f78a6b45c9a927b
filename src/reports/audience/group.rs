//! A group's screen: the totals of its team, without names, models and cost.

use std::cmp::Reverse;

use serde::Serialize;

use super::levels::{NearlyFull, nearly_full};
use super::spent::has_estimates;
use super::{Heading, Look};
use crate::reports::fill::{count, tokens_of};
use crate::reports::{Facts, View};
use crate::stats::{Key, Symbol};

#[derive(Debug, Serialize)]
pub(super) struct GroupScreen<'a> {
    #[serde(flatten)]
    heading: Heading<'a>,
    view: View,
    requests: u64,
    prompt: u64,
    completion: u64,
    estimated: bool,
    types: Vec<TypeCount<'a>>,
    limits: Vec<NearlyFull>,
}

#[derive(Debug, Serialize)]
struct TypeCount<'a> {
    name: &'a str,
    count: u64,
}

impl<'a> GroupScreen<'a> {
    pub(super) fn of(look: &Look, facts: &Facts<'a>, team: &str) -> GroupScreen<'a> {
        let selection = facts.picture.select(look.period, facts.now.day());
        // A team without a name would be everybody who has none.
        let team = facts.picture.names().find(team).filter(|team| *team != Symbol::ABSENT);
        let is_own = |key: &Key| Some(key.team) == team;
        let total = selection.total(is_own);
        let types = selection.group_by(|key| is_own(key).then(|| selection.text(key.request_type)));
        let types =
            types.into_iter().filter_map(|(name, sums)| Some(TypeCount { name: name?, count: count(sums.records) }));
        let mut types: Vec<TypeCount<'_>> = types.filter(|of| of.count > 0).collect();
        types.sort_by_key(|of| Reverse(of.count));
        GroupScreen {
            heading: Heading::of(look, facts),
            view: look.view,
            requests: count(total.records),
            prompt: tokens_of(total.prompt),
            completion: tokens_of(total.completion),
            estimated: has_estimates(&selection.total(|key| is_own(key) && key.usage_source.has_estimates())),
            types,
            limits: nearly_full(facts.windows, &look.audience, facts.now),
        }
    }
}
