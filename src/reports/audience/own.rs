//! A person's own screen: what they asked, used and paid; of everybody's limits only whether they are nearly full.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::levels::{NearlyFull, nearly_full};
use super::spent::{Certainty, Spent};
use super::{Heading, Look, PeopleUse, Rows};
use crate::reports::{Facts, View};
use crate::stats::UserSums;

/// Models named on the screen.
const MODELS_SHOWN: usize = 7;

#[derive(Debug, Serialize)]
pub(super) struct OwnScreen<'a> {
    #[serde(flatten)]
    heading: Heading<'a>,
    view: View,
    #[serde(flatten)]
    spent: Spent,
    models: Vec<OwnModel<'a>>,
    more_models: usize,
    reading: bool,
    limits: Vec<NearlyFull>,
    now: crate::usage::Timestamp,
}

#[derive(Debug, Serialize)]
struct OwnModel<'a> {
    name: &'a str,
    #[serde(flatten)]
    spent: Spent,
}

impl<'a> OwnScreen<'a> {
    pub(super) fn of(look: &Look, facts: &Facts<'a>, people: &'a PeopleUse) -> OwnScreen<'a> {
        let selection = facts.picture.select(look.period, facts.now.day());
        let certainty = Certainty::of(&selection);
        let own = people.people.first().map(|(_, rows)| rows);
        let rows = own.into_iter().flatten().map(|((_, model), sums)| (model.as_str(), sums));
        let (models, more_models) = models(own, &certainty);
        OwnScreen {
            heading: Heading::of(look, facts),
            view: look.view,
            spent: certainty.spent(rows),
            models,
            more_models,
            reading: people.incomplete,
            limits: nearly_full(facts.windows, &look.audience, facts.now),
            now: facts.now,
        }
    }
}

/// The person's models, those with most tokens first, and how many more there are.
fn models<'a>(own: Option<&'a Rows>, certainty: &Certainty<'_>) -> (Vec<OwnModel<'a>>, usize) {
    let mut by_model: BTreeMap<&str, UserSums> = BTreeMap::new();
    for ((_, model), sums) in own.into_iter().flatten() {
        by_model.entry(model).or_default().merge(sums);
    }
    let used = by_model.iter().filter(|(_, sums)| sums.records != 0 || sums.tokens() != 0);
    let mut models: Vec<OwnModel<'_>> =
        used.map(|(name, sums)| OwnModel { name, spent: certainty.spent([(*name, sums)]) }).collect();
    models.sort_by_key(|model| Reverse((model.spent.tokens, model.spent.requests)));
    let more = models.len().saturating_sub(MODELS_SHOWN);
    models.truncate(MODELS_SHOWN);
    (models, more)
}
