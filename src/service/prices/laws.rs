//! What holds for any records: a sum over them is the sum over any partition of them, to the last pico-dollar.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::what_if::{Group, Tally, by_both, total};
use crate::metering::Pricing;
use crate::stats::Stats;
use crate::usage::arbitrary::record;
use crate::usage::prices::{PriceBook, PriceRow};
use crate::usage::{Kind, Money, UsageRecord};

/// A book that prices two of the three models there are.
fn pricing() -> Pricing {
    let price = |text: &str| text.parse().expect("a price");
    let rows = vec![
        PriceRow {
            cache_read: Some(price("0.000001")),
            ..PriceRow::new("model-0", price("2.5"), Some(price("0.333333")))
        },
        PriceRow::new("model-1", price("15"), Some(price("75"))),
    ];
    Pricing::new(PriceBook::bundled().with_overrides(rows).expect("no mistakes"), HashMap::new())
}

fn cost(records: &[UsageRecord<'_>]) -> Money {
    let signed = |record: &UsageRecord<'_>| {
        let cost = record.cost.unwrap_or_default();
        if matches!(record.kind, Kind::Void { .. }) { -cost } else { cost }
    };
    records.iter().map(signed).sum()
}

proptest! {
    #[test]
    fn in_the_statistics_the_groups_cost_what_the_records_cost(records in prop::collection::vec(record(), 0..40)) {
        let pricing = pricing();
        let mut records = records;
        for record in &mut records {
            (record.cost, record.price_id) = (None, None);
            pricing.price(record);
        }
        let mut stats = Stats::new(Vec::new());
        records.iter().for_each(|record| stats.apply(record));
        let picture = stats.picture();
        let all = picture.all_time();
        let sums = [
            all.group_by(|key| key.model).into_values().map(|sums| sums.cost).sum::<Money>(),
            all.group_by(|key| (key.provider, key.status)).into_values().map(|sums| sums.cost).sum(),
            all.group_by(|key| (key.hour, key.feature, key.price)).into_values().map(|sums| sums.cost).sum(),
            all.group_by(|_| ()).into_values().map(|sums| sums.cost).sum(),
        ];
        prop_assert_eq!(sums, [cost(&records); 4]);
    }

    #[test]
    fn in_what_if_the_groups_are_the_whole_and_every_call_is_counted_once(records in prop::collection::vec(record(), 0..40)) {
        let pricing = pricing();
        let tallies: Vec<Tally> = records.iter().map(|record| by_both(record, &pricing)).collect();
        let whole = total(&tallies);
        for group in Group::ALL {
            let mut groups: BTreeMap<String, Vec<Tally>> = BTreeMap::new();
            for (record, tally) in records.iter().zip(&tallies) {
                groups.entry(group.of(record)).or_default().push(*tally);
            }
            let sums: Vec<Tally> = groups.values().map(total).collect();
            prop_assert_eq!(total(&sums), whole);
        }
        let signed = |record: &UsageRecord<'_>| {
            let count = i64::try_from(record.count).expect("small");
            if matches!(record.kind, Kind::Void { .. }) { -count } else { count }
        };
        let calls: i64 = records.iter().map(signed).sum();
        prop_assert_eq!(whole.compared + whole.local + whole.without_cost + whole.not_priced, calls);
        let paid: Vec<UsageRecord<'static>> = records.iter().filter(|record| !record.local).cloned().collect();
        prop_assert_eq!(whole.cost + whole.not_priced_cost, cost(&paid));
        prop_assert_eq!(whole.difference(), whole.what_if - whole.cost);
    }

    #[test]
    fn by_the_same_prices_nothing_differs(records in prop::collection::vec(record(), 0..40)) {
        let pricing = pricing();
        let again = records.into_iter().map(|mut record| {
            (record.cost, record.price_id) = (None, None);
            pricing.price(&mut record);
            by_both(&record, &pricing)
        });
        let whole = total(&again.collect::<Vec<_>>());
        prop_assert_eq!((whole.difference(), whole.without_cost), (Money::ZERO, 0));
    }
}
