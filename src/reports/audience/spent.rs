//! What somebody used, with how well that is known: rows of people say neither which of their tokens are estimates nor
//! which of their requests have no price, so that is taken from everybody's calls of the same model.

use std::collections::HashMap;

use serde::Serialize;

use crate::reports::fill::{count, tokens_of};
use crate::stats::{Selection, Sums, UserSums};
use crate::usage::Money;

/// How well the numbers of each model are known.
pub(super) struct Certainty<'a> {
    models: HashMap<&'a str, OfModel>,
}

#[derive(Clone, Copy, Default)]
struct OfModel {
    /// Some tokens of it are estimates.
    estimated: bool,
    /// So many requests of it have no known price.
    unpriced: i64,
}

/// The sums of a person, or of a person's calls of one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Spent {
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) prompt: u64,
    pub(super) completion: u64,
    pub(super) tokens: u64,
    /// Some of the tokens may be estimates.
    pub(super) estimated: bool,
    /// `None` when no price is known.
    pub(super) cost_usd: Option<Money>,
    /// It is computed from estimates, or a price may be missing in it.
    pub(super) cost_estimated: bool,
    /// Requests without a price, where they can be told.
    pub(super) unpriced_requests: u64,
}

impl<'a> Certainty<'a> {
    pub(super) fn of(selection: &Selection<'a>) -> Certainty<'a> {
        let mut models: HashMap<&str, OfModel> = HashMap::new();
        for (key, sums) in selection.rows() {
            let is_estimate = key.usage_source.has_estimates();
            let model = models.entry(selection.text(key.model)).or_default();
            model.estimated |= is_estimate && sums.tokens() != 0;
            model.unpriced += sums.unpriced;
        }
        Certainty { models }
    }

    /// What the rows of one person add up to, each with its model.
    pub(super) fn spent<'r>(&self, rows: impl IntoIterator<Item = (&'r str, &'r UserSums)>) -> Spent {
        let mut by_model: HashMap<&str, UserSums> = HashMap::new();
        for (model, sums) in rows {
            by_model.entry(model).or_default().merge(sums);
        }
        let mut all = UserSums::default();
        let mut spent = Spent::default();
        for (model, sums) in &by_model {
            let known = self.models.get(model).copied().unwrap_or_default();
            all.merge(sums);
            let is_unpriced = known.unpriced > 0 && sums.may_be_unpriced();
            spent.estimated |= known.estimated && sums.tokens() != 0;
            if is_unpriced {
                spent.unpriced_requests += count(sums.records.min(known.unpriced));
            } else {
                // What is free stays free, however it was counted.
                spent.cost_estimated |= sums.cost != Money::default() && (known.estimated || known.unpriced > 0);
            }
        }
        let cost = all.cost.max(Money::default());
        Spent {
            requests: count(all.records),
            failed: count(all.failed),
            prompt: tokens_of(all.prompt),
            completion: tokens_of(all.completion),
            tokens: tokens_of(all.tokens()),
            cost_usd: (cost != Money::default() || spent.unpriced_requests == 0).then_some(cost),
            ..spent
        }
    }
}

/// Whether some tokens of a total are estimates.
pub(super) fn has_estimates(estimated: &Sums) -> bool {
    estimated.tokens() != 0
}
