//! A group's screen: the totals of its team, without names, models and cost.

use std::cmp::Reverse;

use serde::Serialize;

use super::Look;
use super::levels::{Level, levels};
use super::spent::{count, has_estimates, tokens};
use crate::reports::stats::ServiceStatus;
use crate::reports::{Facts, View};
use crate::stats::{Key, Period, Symbol};
use crate::usage::{Timestamp, UsageSource};

#[derive(Debug, Serialize)]
pub(super) struct GroupScreen<'a> {
    bot: &'a str,
    period: Period,
    since: Option<Timestamp>,
    view: View,
    status: ServiceStatus,
    uptime_seconds: Option<u64>,
    requests: u64,
    prompt: u64,
    completion: u64,
    estimated: bool,
    types: Vec<TypeCount<'a>>,
    limits: Vec<Level>,
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
        let is_estimate = |key: &Key| matches!(key.usage_source, UsageSource::Partial | UsageSource::Estimated);
        let total = selection.total(is_own);
        let types = selection.group_by(|key| is_own(key).then(|| selection.text(key.request_type)));
        let types =
            types.into_iter().filter_map(|(name, sums)| Some(TypeCount { name: name?, count: count(sums.records) }));
        let mut types: Vec<TypeCount<'_>> = types.filter(|of| of.count > 0).collect();
        types.sort_by_key(|of| Reverse(of.count));
        GroupScreen {
            bot: facts.bot,
            period: look.period,
            since: facts.picture.last_reset(),
            view: look.view,
            status: facts.status,
            uptime_seconds: facts.uptime_seconds(),
            requests: count(total.records),
            prompt: tokens(total.prompt),
            completion: tokens(total.completion),
            estimated: has_estimates(&selection.total(|key| is_own(key) && is_estimate(key))),
            types,
            limits: levels(facts.windows, &look.audience, facts.now),
        }
    }
}
