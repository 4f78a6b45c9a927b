//! Recorded calls priced again by other prices, beside what they cost. Nothing is written, and nothing is rounded.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::ledger::LedgerError;
use crate::limits::reaches_a_provider;
use crate::metering::Pricing;
use crate::reports::records::RecordFilter;
use crate::service::records::for_each;
use crate::usage::names::{GIVEN_PRICE, UNKNOWN};
use crate::usage::prices::{Feed, Origin, PriceBook, PriceListError, PriceRow};
use crate::usage::{Kind, Money, UsageRecord};

/// By what calls are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The model.
    #[default]
    Model,
    /// The provider.
    Provider,
    /// The feature.
    Feature,
    /// The team.
    Team,
    /// The billing day.
    Day,
}

impl Group {
    /// Every one.
    pub const ALL: [Group; 5] = [Group::Model, Group::Provider, Group::Feature, Group::Team, Group::Day];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Group::Model => "model",
            Group::Provider => "provider",
            Group::Feature => "feature",
            Group::Team => "team",
            Group::Day => "day",
        }
    }

    /// The group of a record; a name that was not given is called `unknown`, as everywhere.
    pub(super) fn of(self, record: &UsageRecord<'_>) -> String {
        let name = match self {
            Group::Model => Some(&record.model),
            Group::Provider => Some(&record.provider),
            Group::Feature => record.feature.as_ref(),
            Group::Team => record.team.as_ref(),
            Group::Day => return record.timestamp.day().to_string(),
        };
        name.map_or(UNKNOWN, |name| name.as_str()).to_owned()
    }
}

/// Some calls by both prices. Every call is in exactly one of `compared`, `local`, `without_cost` and `not_priced`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Calls that have a cost by both.
    pub compared: i64,
    /// Of those, how many have a cost that their source gave.
    pub given: i64,
    /// What they cost.
    pub cost: Money,
    /// What they would have cost.
    pub what_if: Money,
    /// Calls on the owner's machines: they cost nothing either way.
    pub local: i64,
    /// Calls whose cost is not known, and which the other prices do price.
    pub without_cost: i64,
    /// What those would have cost.
    pub without_cost_what_if: Money,
    /// Calls that the other prices do not price.
    pub not_priced: i64,
    /// What those cost, as far as it is known.
    pub not_priced_cost: Money,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.compared = self.compared.saturating_add(other.compared);
        self.given = self.given.saturating_add(other.given);
        self.cost += other.cost;
        self.what_if += other.what_if;
        self.local = self.local.saturating_add(other.local);
        self.without_cost = self.without_cost.saturating_add(other.without_cost);
        self.without_cost_what_if += other.without_cost_what_if;
        self.not_priced = self.not_priced.saturating_add(other.not_priced);
        self.not_priced_cost += other.not_priced_cost;
    }

    /// One record by both prices; a correction takes away.
    fn of(record: &UsageRecord<'_>, what_if: Option<Money>) -> Tally {
        let is_void = matches!(record.kind, Kind::Void { .. });
        let count = i64::try_from(record.count).unwrap_or(i64::MAX);
        let (count, signed) = if is_void { (-count, -1) } else { (count, 1) };
        let money = |money: Money| if signed < 0 { -money } else { money };
        let empty = Tally::default();
        let is_given = record.price_id.as_ref().is_some_and(|id| id.as_str() == GIVEN_PRICE);
        match (record.cost, what_if) {
            _ if record.local && !is_given => Tally { local: count, ..empty },
            (Some(cost), Some(what_if)) => Tally {
                compared: count,
                given: if is_given { count } else { 0 },
                cost: money(cost),
                what_if: money(what_if),
                ..empty
            },
            (None, Some(what_if)) => Tally { without_cost: count, without_cost_what_if: money(what_if), ..empty },
            (cost, None) => Tally { not_priced: count, not_priced_cost: money(cost.unwrap_or_default()), ..empty },
        }
    }

    /// What the other prices would have added.
    pub fn difference(&self) -> Money {
        self.what_if - self.cost
    }

    /// The difference in tenths of a percent of the cost; `None` where that is nothing.
    pub fn permille(&self) -> Option<i128> {
        (self.difference().pico_usd().checked_mul(1000)?).checked_div(self.cost.pico_usd())
    }
}

/// Calls by both prices, in groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhatIf {
    /// By what they are put together.
    pub group: Group,
    /// Each group by its name.
    #[serde(serialize_with = "rows")]
    pub rows: BTreeMap<String, Tally>,
    /// All of them.
    #[serde(serialize_with = "row")]
    pub total: Tally,
}

/// A tally with what is worked out from it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(flatten)]
    tally: &'a Tally,
    difference: Money,
    permille: Option<i64>,
}

impl<'a> Row<'a> {
    fn of(name: Option<&'a str>, tally: &'a Tally) -> Row<'a> {
        let permille = tally.permille().and_then(|permille| i64::try_from(permille).ok());
        Row { name, tally, difference: tally.difference(), permille }
    }
}

fn rows<S: Serializer>(rows: &BTreeMap<String, Tally>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rows.iter().map(|(name, tally)| Row::of(Some(name), tally)))
}

fn row<S: Serializer>(tally: &Tally, serializer: S) -> Result<S::Ok, S::Error> {
    Row::of(None, tally).serialize(serializer)
}

/// A list of others as a book of its own. A model that `book` knows to be billed by somebody else counts only where the
/// vendor is known.
///
/// # Errors
/// Every mistake in the rows.
pub fn list_as_book(feed: Feed, book: &PriceBook) -> Result<PriceBook, Vec<PriceListError>> {
    let rows = feed.offers.into_iter().flat_map(|offer| offer.rows);
    let rows = rows.map(|row| PriceRow {
        only_named: book.is_anothers(row.vendor.as_deref().unwrap_or_default(), &row.model),
        ..row
    });
    Ok(PriceBook::bundled().with_taken(rows.collect())?.only(Origin::Taken))
}

/// Prices the wanted records of a folder by another book. `vendors` says by whose prices a provider bills.
///
/// # Errors
/// When a file cannot be read.
pub fn what_if(
    folder: &Path,
    filter: &RecordFilter,
    prices: PriceBook,
    vendors: HashMap<String, String>,
    group: Group,
) -> Result<WhatIf, LedgerError> {
    let pricing = Pricing::new(prices, vendors);
    let mut rows: BTreeMap<String, Tally> = BTreeMap::new();
    for_each(folder, filter, |record| {
        if !reaches_a_provider(record.status) {
            return ControlFlow::Continue(()); // it was never sent
        }
        rows.entry(group.of(record)).or_default().add(&by_both(record, &pricing));
        ControlFlow::Continue(())
    })?;
    Ok(WhatIf { group, total: total(rows.values()), rows })
}

/// A record by what it cost, and by other prices.
pub(super) fn by_both(record: &UsageRecord<'_>, pricing: &Pricing) -> Tally {
    let mut again = record.clone();
    (again.cost, again.price_id) = (None, None);
    pricing.price(&mut again);
    Tally::of(record, again.cost)
}

pub(super) fn total<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Tally {
    let mut total = Tally::default();
    tallies.into_iter().for_each(|tally| total.add(tally));
    total
}
