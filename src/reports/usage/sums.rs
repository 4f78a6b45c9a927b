//! What the calls of one group add up to: exact while it is added, plain numbers once it is shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::stats::{Histogram, Key, Sums, UserSums};
use crate::usage::{Money, Status};

/// The sums of a group. Signed: what a correction takes back may stand in another group than the correction.
///
/// What is not known of each user is `None` in rows of users, and in their totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageSums {
    /// Records, that is attempts.
    pub requests: i64,
    /// Answered.
    pub ok: i64,
    /// Failed, timed out, or interrupted by a crash.
    pub failed: i64,
    /// Not sent, because a limit said no.
    pub refused: Option<i64>,
    /// Given up by a person or a client.
    pub cancelled: Option<i64>,
    /// All input.
    pub prompt_tokens: i64,
    /// All output.
    pub completion_tokens: i64,
    /// Both.
    pub total_tokens: i64,
    /// The slice of the input read from providers' caches.
    pub cached_tokens: Option<i64>,
    /// The slice of the input written to providers' caches.
    pub cache_write_tokens: Option<i64>,
    /// The slice of the output that was reasoning.
    pub reasoning_tokens: Option<i64>,
    /// The tokens of calls whose counts are, all or in part, estimates.
    pub estimated_tokens: Option<i64>,
    /// Exact dollars of the calls whose cost is known; `None` when that is none of them.
    pub cost_usd: Option<Money>,
    /// Calls whose cost is not known, for want of a price or of counts.
    pub unpriced_requests: Option<i64>,
    /// Half of the answers took no longer, in milliseconds.
    pub latency_p50_ms: Option<u64>,
    /// 95 of 100 answers took no longer, in milliseconds.
    pub latency_p95_ms: Option<u64>,
}

/// What is known of a group beside what is known of each user.
#[derive(Clone, Debug, Default)]
struct Detail {
    refused: i64,
    cancelled: i64,
    cached: i128,
    cache_write: i128,
    reasoning: i128,
    estimated: i128,
    unpriced: i64,
    latency: Histogram,
}

/// Sums that are being added up.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    known: UserSums,
    detail: Option<Detail>,
    /// What of it cost nothing may have a cost that nobody knows.
    doubtful: bool,
}

impl Tally {
    /// Nothing yet, of which everything is known.
    pub(super) fn detailed() -> Tally {
        Tally { detail: Some(Detail::default()), ..Tally::default() }
    }

    /// Adds a row of the fold.
    pub(super) fn add(&mut self, key: &Key, sums: &Sums) {
        let counted_if = |holds: bool| if holds { sums.records } else { 0 };
        self.known.merge(&UserSums {
            records: sums.records,
            ok: counted_if(key.status.is_ok()),
            failed: counted_if(key.status.is_failed()),
            prompt: sums.prompt,
            completion: sums.completion,
            cost: sums.cost,
            last_at: None,
        });
        let detail = self.detail.get_or_insert_default();
        detail.refused += counted_if(key.status == Status::Refused);
        detail.cancelled += counted_if(key.status == Status::Cancelled);
        detail.cached += sums.cached;
        detail.cache_write += sums.cache_write;
        detail.reasoning += sums.reasoning;
        detail.estimated += if key.usage_source.has_estimates() { sums.tokens() } else { 0 };
        detail.unpriced += sums.unpriced;
        // A refusal takes no time and says nothing about speed.
        if key.status != Status::Refused {
            detail.latency.merge(&sums.latency);
        }
    }

    /// Adds what a user used of a model. Where `has_unpriced` calls of it cost something unknown, a cost of nothing may
    /// be one of those.
    pub(super) fn add_known(&mut self, sums: &UserSums, has_unpriced: bool) {
        self.known.merge(sums);
        self.doubtful |= has_unpriced && sums.may_be_unpriced();
    }

    /// Adds what others used.
    pub(super) fn merge_known(&mut self, other: &Tally) {
        self.known.merge(&other.known);
        self.doubtful |= other.doubtful;
    }

    /// What is known of each user.
    pub(super) fn known(&self) -> UserSums {
        self.known
    }

    /// The calls that cost something unknown.
    pub(super) fn unpriced(&self) -> i64 {
        self.detail.as_ref().map_or(0, |detail| detail.unpriced)
    }

    /// As it is shown.
    pub(super) fn shown(&self) -> UsageSums {
        let Tally { known, detail, doubtful } = self;
        let of = |sum: fn(&Detail) -> i128| detail.as_ref().map(|detail| whole(sum(detail)));
        let is_priced = match detail {
            Some(detail) => known.records > detail.unpriced || detail.unpriced == 0,
            None => !doubtful,
        };
        UsageSums {
            requests: known.records,
            ok: known.ok,
            failed: known.failed,
            refused: detail.as_ref().map(|detail| detail.refused),
            cancelled: detail.as_ref().map(|detail| detail.cancelled),
            prompt_tokens: whole(known.prompt),
            completion_tokens: whole(known.completion),
            total_tokens: whole(known.tokens()),
            cached_tokens: of(|detail| detail.cached),
            cache_write_tokens: of(|detail| detail.cache_write),
            reasoning_tokens: of(|detail| detail.reasoning),
            estimated_tokens: of(|detail| detail.estimated),
            cost_usd: (is_priced || known.cost != Money::ZERO).then_some(known.cost),
            unpriced_requests: detail.as_ref().map(|detail| detail.unpriced),
            latency_p50_ms: detail.as_ref().and_then(|detail| detail.latency.percentile(50)),
            latency_p95_ms: detail.as_ref().and_then(|detail| detail.latency.percentile(95)),
        }
    }
}

impl UsageSums {
    /// Whether nothing is left of the group: everything in it was taken back.
    pub(super) fn is_nothing(&self) -> bool {
        let cost_usd = self.cost_usd.filter(|cost| *cost != Money::ZERO);
        let counts = [self.refused, self.cancelled, self.cached_tokens, self.cache_write_tokens];
        let more = [self.reasoning_tokens, self.estimated_tokens, self.unpriced_requests];
        let plain = [self.requests, self.ok, self.failed, self.prompt_tokens, self.completion_tokens];
        let are_zero = counts.into_iter().chain(more).all(|count| count.unwrap_or(0) == 0);
        are_zero && plain == [0; 5] && cost_usd.is_none()
    }
}

fn whole(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}
