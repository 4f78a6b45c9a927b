//! Opening balances in the fold: totals of calls that are not here, beside the sums of those that are.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::usage::names::{GIVEN_PRICE, Name, OTHER};
use crate::usage::{Dimension, ErrorKind, Opening, Status, UsageSource};

use super::{Cube, Key, Names, Sums, Symbol};

/// The channel of an opening's rows.
const CHANNEL: &str = "import";

/// What of some sums came as opening balances. All of it is also in the sums themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Openings {
    /// Requests.
    pub requests: i64,
    /// Input and output tokens.
    pub tokens: i128,
    /// Requests whose latencies are in the sum of latencies and, only a mean being known, in no histogram.
    pub timed: i64,
}

impl AddAssign for Openings {
    fn add_assign(&mut self, other: Openings) {
        self.requests = self.requests.saturating_add(other.requests);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.timed = self.timed.saturating_add(other.timed);
    }
}

impl Cube {
    /// Adds an opening balance: one row for what was answered, one for what failed.
    pub(super) fn add_opening(&mut self, opening: &Opening, names: &mut Names) {
        let counted = |dimension, name: &'_ Name<'static>| {
            if opening.other.contains(&dimension) { OTHER.into() } else { name.clone() }
        };
        let [provider, api_type] =
            [&opening.provider, &opening.api_type].map(|name| counted(Dimension::Provider, name));
        let (model, request_type) =
            (counted(Dimension::Model, &opening.model), counted(Dimension::RequestType, &opening.request_type));
        let key = |names: &mut Names, status| Key {
            hour: opening.at.hour(),
            status,
            usage_source: UsageSource::Reported,
            local: opening.local,
            provider: names.intern(&provider),
            api_type: names.intern(&api_type),
            model: names.intern(&model),
            request_type: names.intern(&request_type),
            feature: Symbol::ABSENT,
            agent: Symbol::ABSENT,
            operation: Symbol::ABSENT,
            team: Symbol::ABSENT,
            channel: names.intern(CHANNEL),
            key: Symbol::ABSENT,
            price: opening.cost_usd.map_or(Symbol::ABSENT, |_| names.intern(GIVEN_PRICE)),
        };
        // The source does not say whose the tokens were: they stand with the calls that were answered, if there are any.
        let only_failed = opening.ok == 0 && opening.failed != 0;
        let usage = key(names, if only_failed { Status::Error } else { Status::Ok });
        self.row(usage).add_opening_usage(opening, if only_failed { opening.failed } else { opening.ok });
        for (status, count) in [(Status::Ok, opening.ok), (Status::Error, opening.failed)] {
            if count != 0 {
                let key = key(names, status);
                self.row(key).add_opening_requests(status, count, opening);
            }
        }
        self.set_last_at(Some(opening.at));
    }
}

impl Sums {
    fn add_opening_usage(&mut self, opening: &Opening, of_requests: i64) {
        let (prompt, completion) = (i128::from(opening.prompt), i128::from(opening.completion));
        self.prompt += prompt;
        self.completion += completion;
        self.openings.tokens += prompt + completion;
        match opening.cost_usd {
            Some(cost) => self.cost += cost,
            None if opening.local => {} // free, whatever was used
            None if prompt + completion != 0 => self.unpriced = self.unpriced.saturating_add(of_requests),
            // What was answered used tokens, which the source tells elsewhere or not at all.
            None => self.unpriced = self.unpriced.saturating_add(opening.ok),
        }
    }

    fn add_opening_requests(&mut self, status: Status, count: i64, opening: &Opening) {
        self.records = self.records.saturating_add(count);
        self.openings.requests = self.openings.requests.saturating_add(count);
        if status.is_failed() {
            self.add_error(ErrorKind::Other, count);
        }
        self.last_at = self.last_at.max(Some(opening.at));
        if let Some(millis) = opening.mean_latency_ms {
            self.latency_sum_ms = self.latency_sum_ms.saturating_add(i128::from(millis) * i128::from(count));
            self.openings.timed = self.openings.timed.saturating_add(count);
        }
    }
}
