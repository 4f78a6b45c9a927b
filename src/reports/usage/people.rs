//! Usage by user, from the table of users: who, and with which models.

use std::collections::{BTreeMap, BTreeSet};

use super::page::Page;
use super::report::{Unanswerable, for_each_wanted};
use super::sums::Tally;
use super::{By, UsageQuery, UsageSums, Value};
use crate::ledger::Users;
use crate::stats::{Span, UserSums, Who};
use crate::usage::Day;
use crate::usage::names::{OTHER, UNKNOWN};

/// A page of the users' rows, and what all of them add up to. Calls that are in no user's row are `unknown`'s: those
/// without a user, and totals taken over from elsewhere.
pub(super) fn page<'q>(
    users: &Users,
    query: &'q UsageQuery,
    today: Day,
) -> Result<(Page<'q>, UsageSums), Unanswerable> {
    if !users.is_complete() {
        return Err(Unanswerable::StillReading);
    }
    let (mut nobodys, unpriced) = all_by_model(users, query, today)?;
    let has_unpriced = |model: &str| unpriced.contains(model);
    let mut page = Page::new(query);
    let mut totals = Tally::default();
    let mut add = |who: &Value, models: &mut dyn Iterator<Item = (&str, UserSums)>| {
        let mut groups: BTreeMap<Vec<Value>, Tally> = BTreeMap::new();
        for (model, sums) in models {
            let value = |by: By| if by == By::User { who.clone() } else { Value::Text(model.to_owned()) };
            if query.wants(value) {
                let group = groups.entry(query.group.iter().map(|by| value(*by)).collect()).or_default();
                group.add_known(&sums, has_unpriced(model));
                totals.add_known(&sums, has_unpriced(model));
            }
        }
        groups
    };
    let mut without_user: BTreeMap<Vec<Value>, Tally> = BTreeMap::new();
    users.for_each_user_by_model(wanted_spans(users, query, today), |who, models| {
        for (model, sums) in models {
            nobodys.entry((*model).to_owned()).or_default().merge(&negative(sums));
        }
        let name = match who {
            Who::User(user) => Value::Text(user.to_string()),
            Who::Other => Value::Text(OTHER.to_owned()),
            Who::Absent => Value::Text(UNKNOWN.to_owned()),
        };
        let groups = add(&name, &mut models.iter().map(|(model, sums)| (*model, *sums)));
        if query.group.contains(&By::User) && who != Who::Absent {
            groups.into_iter().for_each(|(values, tally)| page.add(values, tally.shown()));
        } else {
            merge(&mut without_user, groups);
        }
    })?;
    let nobody = Value::Text(UNKNOWN.to_owned());
    merge(&mut without_user, add(&nobody, &mut nobodys.iter().map(|(model, sums)| (model.as_str(), *sums))));
    without_user.into_iter().for_each(|(values, tally)| page.add(values, tally.shown()));
    Ok((page, totals.shown()))
}

/// What everybody used, by model, as the fold says it; and the models of which some calls cost something unknown.
fn all_by_model(
    users: &Users,
    query: &UsageQuery,
    today: Day,
) -> Result<(BTreeMap<String, UserSums>, BTreeSet<String>), Unanswerable> {
    let of_models = query.filters.iter().filter(|(by, _)| *by == By::Model).cloned().collect();
    let of_models = UsageQuery { filters: of_models, ..query.clone() };
    let mut all: BTreeMap<String, Tally> = BTreeMap::new();
    for_each_wanted(users.picture(), &of_models, today, |value, key, sums| {
        if let Value::Text(model) = value(By::Model) {
            all.entry(model).or_default().add(key, sums);
        }
    })?;
    let unpriced = all.iter().filter(|(_, tally)| tally.unpriced() > 0).map(|(model, _)| model.clone()).collect();
    Ok((all.into_iter().map(|(model, tally)| (model, tally.known())).collect(), unpriced))
}

/// Which days of which epochs are asked for. An epoch whose reset was undone is part of the one before.
fn wanted_spans(users: &Users, query: &UsageQuery, today: Day) -> impl Fn(Span) -> bool {
    let (begin, end) = users.picture().epoch_span(query.epoch).unwrap_or_default();
    let (from, to) = query.days.ends(today);
    move |span: Span| {
        span.epoch >= begin
            && end.is_none_or(|end| span.epoch < Some(end))
            && from.is_none_or(|from| span.day >= from)
            && to.is_none_or(|to| span.day <= to)
    }
}

fn merge(into: &mut BTreeMap<Vec<Value>, Tally>, groups: BTreeMap<Vec<Value>, Tally>) {
    for (values, tally) in groups {
        into.entry(values).or_default().merge_known(&tally);
    }
}

fn negative(sums: &UserSums) -> UserSums {
    UserSums {
        records: -sums.records,
        ok: -sums.ok,
        failed: -sums.failed,
        prompt: -sums.prompt,
        completion: -sums.completion,
        cost: -sums.cost,
        last_at: None,
    }
}
