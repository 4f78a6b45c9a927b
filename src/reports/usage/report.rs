//! The report behind `GET /v1/usage`, field for field its body.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use utoipa::openapi::schema::{AllOfBuilder, Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::page::Page;
use super::sums::Tally;
use super::{By, Days, UsageQuery, UsageSums, Value, first_told_apart, people};
use crate::ledger::Users;
use crate::reports::NoSuchEpoch;
use crate::stats::{Key, Period, Picture, Sums};
use crate::usage::Day;

/// Usage by group: one page of rows, and the totals of all pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageReport {
    /// The period asked for; `None` when days were.
    pub period: Option<Period>,
    /// The first day; `None` when there is none: everything before belongs to it.
    pub from: Option<Day>,
    /// The last day; `None` when there is none.
    pub to: Option<Day>,
    /// The zone of the days, by its IANA name.
    pub timezone: String,
    /// Which epoch, counted back from the current one.
    pub epoch: usize,
    /// What rows tell apart.
    pub group: Vec<By>,
    /// One row per group.
    pub rows: Vec<UsageRow>,
    /// Of the rows of all pages.
    pub totals: UsageSums,
    /// The cursor of the next page; `None` on the last one.
    pub next: Option<String>,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageRow {
    /// What it is in each dimension, by the dimension's name.
    #[serde(flatten)]
    pub group: BTreeMap<String, Value>,
    /// What its calls add up to.
    #[serde(flatten)]
    pub sums: UsageSums,
}

impl PartialSchema for UsageRow {
    fn schema() -> RefOr<Schema> {
        let value = |by: By| {
            let name = Object::with_type(SchemaType::from_iter([Type::String, Type::Null]));
            let hour = Object::with_type(SchemaType::from_iter([Type::Integer, Type::Null]));
            if by == By::Hour { hour } else { name }
        };
        let group =
            By::ALL.into_iter().fold(ObjectBuilder::new(), |object, by| object.property(by.as_str(), value(by)));
        let description = "the values of the dimensions asked for, and the sums of their calls";
        let sums = Ref::from_schema_name(UsageSums::name());
        RefOr::T(AllOfBuilder::new().description(Some(description)).item(group).item(sums).build().into())
    }
}

impl ToSchema for UsageRow {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((UsageSums::name().into_owned(), UsageSums::schema()));
        UsageSums::schemas(schemas);
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswerable {
    /// The epoch is not there.
    #[error(transparent)]
    NoSuchEpoch(#[from] NoSuchEpoch),
    /// Who used what is not all read yet.
    #[error("who used what is still being read")]
    StillReading,
    /// A sealed day cannot be read.
    #[error("a sealed day cannot be read")]
    Unreadable(#[from] io::Error),
}

impl UsageReport {
    /// The answer to a question, from the books as they were at one moment; `zone` is the owner's. It may read sealed
    /// days from the disk.
    ///
    /// # Errors
    /// When the epoch is not there, or who used what cannot be told.
    pub fn of(users: &Users, query: &UsageQuery, zone: &str, today: Day) -> Result<UsageReport, Unanswerable> {
        let (rows, totals) = if query.is_of_people() {
            people::page(users, query, today)?
        } else {
            page(users.picture(), query, today)?
        };
        let (rows, next) = rows.finish();
        let (from, to) = query.days.ends(today);
        Ok(UsageReport {
            period: match query.days {
                Days::Period(period) => Some(period),
                Days::Span(..) => None,
            },
            from,
            to,
            timezone: zone.to_owned(),
            epoch: query.epoch,
            group: query.group.clone(),
            rows,
            totals,
            next,
        })
    }
}

/// A page of the fold's own rows, and what all of them add up to.
fn page<'q>(picture: &Picture, query: &'q UsageQuery, today: Day) -> Result<(Page<'q>, UsageSums), NoSuchEpoch> {
    let mut groups: BTreeMap<Vec<Value>, Tally> = BTreeMap::new();
    let mut totals = Tally::detailed();
    for_each_wanted(picture, query, today, |value, key, sums| {
        groups.entry(query.group.iter().map(|by| value(*by)).collect()).or_default().add(key, sums);
        totals.add(key, sums);
    })?;
    let mut page = Page::new(query);
    groups.into_iter().for_each(|(values, tally)| page.add(values, tally.shown()));
    Ok((page, totals.shown()))
}

/// Hands on every row of the fold that is wanted, with what it says in each dimension.
pub(super) fn for_each_wanted(
    picture: &Picture,
    query: &UsageQuery,
    today: Day,
    mut on_row: impl FnMut(&dyn Fn(By) -> Value, &Key, &Sums),
) -> Result<(), NoSuchEpoch> {
    let no_such = NoSuchEpoch { number: query.epoch, count: picture.epochs_len() };
    let (from, to) = query.days.ends(today);
    for (day, key, sums) in picture.dated_rows(query.epoch).ok_or(no_such)? {
        // Days that are summed are before all others.
        if day.map_or(from.is_some(), |day| from.is_some_and(|from| day < from) || to.is_some_and(|to| day > to)) {
            continue;
        }
        // Told apart by their age alone, not by when what is old was last let go.
        let hour = (day >= Some(today.plus(-1)) && key.hour != Key::NO_HOUR).then_some(key.hour);
        let when = (day.filter(|day| *day >= first_told_apart(today)), hour);
        let value = |by: By| by.of(when, key, picture.names());
        if query.wants(value) {
            on_row(&value, key, sums);
        }
    }
    Ok(())
}
