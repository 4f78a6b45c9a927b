//! One page of rows in an order that stays: a cursor names the last row of a page, and the next one begins behind it.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::report::UsageRow;
use super::{By, UsageQuery, UsageSums, Value};

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Input and output tokens.
    TotalTokens,
    /// Records.
    Requests,
    /// The known cost.
    Cost,
}

/// Which rows come first; those that are equal in it by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By the values of the group, one after the other.
    Name,
    /// The smallest first.
    Rising(Measure),
    /// The largest first.
    Falling(Measure),
}

impl Default for Order {
    fn default() -> Order {
        Order::Falling(Measure::TotalTokens)
    }
}

impl Order {
    /// Every order, with the name it has in parameters.
    pub const ALL: [(&'static str, Order); 7] = [
        ("-total_tokens", Order::Falling(Measure::TotalTokens)),
        ("total_tokens", Order::Rising(Measure::TotalTokens)),
        ("-requests", Order::Falling(Measure::Requests)),
        ("requests", Order::Rising(Measure::Requests)),
        ("-cost", Order::Falling(Measure::Cost)),
        ("cost", Order::Rising(Measure::Cost)),
        ("name", Order::Name),
    ];

    /// The order of a name.
    pub fn parse(name: &str) -> Option<Order> {
        Order::ALL.into_iter().find(|(of, _)| *of == name).map(|(_, order)| order)
    }

    fn rank(self, sums: &UsageSums) -> i128 {
        let of = |measure| match measure {
            Measure::TotalTokens => i128::from(sums.total_tokens),
            Measure::Requests => i128::from(sums.requests),
            Measure::Cost => sums.cost_usd.unwrap_or_default().pico_usd(),
        };
        match self {
            Order::Name => 0,
            Order::Rising(measure) => of(measure),
            Order::Falling(measure) => -of(measure),
        }
    }
}

/// The place of a row: no two rows of an answer have the same.
type Place = (i128, Vec<Value>);

/// Behind which row of which question a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    print: u32,
    place: Place,
}

/// A cursor as it is written: numbers of 128 bits as text.
#[derive(Serialize, Deserialize)]
struct Written(u32, String, Vec<Value>);

impl Cursor {
    /// The cursor of a text; `None` when it is none of that question's.
    pub fn parse(text: &str, query: &UsageQuery) -> Option<Cursor> {
        let Written(print, rank, values) =
            serde_json::from_slice(&BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()?;
        let fits = print == query.print() && values.len() == query.group.len();
        Some(Cursor { print, place: (rank.parse().ok()?, values) }).filter(|_| fits)
    }

    fn text(&self) -> String {
        let written = Written(self.print, self.place.0.to_string(), self.place.1.clone());
        BASE64URL_NOPAD.encode(&serde_json::to_vec(&written).expect("numbers and texts"))
    }
}

/// Takes all rows and keeps those of one page, and one to know whether there is another.
pub(super) struct Page<'q> {
    query: &'q UsageQuery,
    kept: BTreeMap<Place, UsageSums>,
}

impl<'q> Page<'q> {
    pub(super) fn new(query: &'q UsageQuery) -> Page<'q> {
        Page { query, kept: BTreeMap::new() }
    }

    /// Takes the row of a group, which comes once.
    pub(super) fn add(&mut self, values: Vec<Value>, sums: UsageSums) {
        let place = (self.query.order.rank(&sums), values);
        if sums.is_nothing() || self.query.after.as_ref().is_some_and(|after| place <= after.place) {
            return;
        }
        self.kept.insert(place, sums);
        if self.kept.len() > self.query.limit + 1 {
            self.kept.pop_last();
        }
    }

    /// The rows in their order, and the cursor of the next page if there is one.
    pub(super) fn finish(mut self) -> (Vec<UsageRow>, Option<String>) {
        let has_more = self.kept.len() > self.query.limit;
        if has_more {
            self.kept.pop_last();
        }
        let last = self.kept.last_key_value().filter(|_| has_more);
        let next = last.map(|(place, _)| Cursor { print: self.query.print(), place: place.clone() }.text());
        let names =
            |values: Vec<Value>| self.query.group.iter().copied().map(By::as_str).map(str::to_owned).zip(values);
        let row = |((_, values), sums)| UsageRow { group: names(values).collect(), sums };
        (self.kept.into_iter().map(row).collect(), next)
    }
}
