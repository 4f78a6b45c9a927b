//! Law 3: the statistics are a fold of the records, the same in any order and any partition.

use proptest::prelude::*;

use crate::usage::arbitrary::{BASE_MICROS, opening, record};
use crate::usage::{Kind, Money, Opening, Timestamp, UsageRecord};

use super::{ModelTable, Period, Stats};

fn fold(resets: &[Timestamp], records: &[UsageRecord<'_>]) -> Stats {
    let mut stats = Stats::new(resets.to_vec());
    records.iter().for_each(|record| stats.apply(record));
    stats
}

fn resets() -> impl Strategy<Value = Vec<Timestamp>> {
    prop::collection::btree_set(-7 * 86_400i64..0, 0..3)
        .prop_map(|secs| secs.into_iter().map(|secs| Timestamp::new(BASE_MICROS + secs * 1_000_000, 0)).collect())
}

fn seen(stats: &Stats) -> super::Saved {
    stats.picture().saved().canonical()
}

proptest! {
    #[test]
    fn any_partition_in_any_order_is_the_same_fold(
        records in prop::collection::vec(record(), 0..30), resets in resets(), cut in 0usize..30, seed in any::<u64>()
    ) {
        let whole = fold(&resets, &records);
        let cut = cut.min(records.len());
        let mut shuffled = records.clone();
        // A cheap shuffle that the seed decides.
        shuffled.sort_by_key(|record| record.id.0.as_u128() as u64 ^ seed.rotate_left((record.id.0.as_u128() % 64) as u32));
        let mut parts = fold(&resets, &shuffled[cut..]);
        parts.merge(&fold(&resets, &shuffled[..cut]));
        prop_assert_eq!(seen(&parts), seen(&whole));
    }

    #[test]
    fn openings_are_folded_like_records_in_any_order_and_partition(
        records in prop::collection::vec(record(), 0..12), openings in prop::collection::vec(opening(), 0..12),
        resets in resets(), cut in 0usize..12
    ) {
        let mut whole = fold(&resets, &records);
        openings.iter().for_each(|opening| whole.apply_opening(opening));
        let (first, last) = openings.split_at(cut.min(openings.len()));
        let mut parts = Stats::new(resets.clone());
        last.iter().rev().for_each(|opening| parts.apply_opening(opening));
        let mut others = fold(&resets, &records);
        first.iter().for_each(|opening| others.apply_opening(opening));
        parts.merge(&others);
        prop_assert_eq!(seen(&parts), seen(&whole));
        let text = serde_json::to_string(&whole.picture().saved()).expect("plain data");
        let back: super::Saved = serde_json::from_str(&text).expect("what we write we read");
        prop_assert_eq!(seen(&back.restored()), seen(&whole));
        // Each number is there once, and taking all of them back leaves nothing of it.
        let sum = |of: fn(&Opening) -> i64| openings.iter().map(of).sum::<i64>();
        let imported = whole.picture().all_time().total(|_| true).openings;
        let tokens = i128::from(sum(|opening| opening.prompt + opening.completion));
        prop_assert_eq!((imported.requests, imported.tokens), (sum(Opening::requests), tokens));
        for mut opening in openings {
            (opening.ok, opening.failed) = (-opening.ok, -opening.failed);
            (opening.prompt, opening.completion) = (-opening.prompt, -opening.completion);
            opening.cost_usd = opening.cost_usd.map(|cost| -cost);
            whole.apply_opening(&opening);
        }
        let total = |stats: &Stats| stats.picture().all_time().total(|_| true);
        let mut left = total(&whole);
        left.last_at = total(&fold(&resets, &records)).last_at; // nobody takes back that there was something then
        prop_assert_eq!(left, total(&fold(&resets, &records)));
    }

    #[test]
    fn a_saved_picture_restores_to_the_same(records in prop::collection::vec(record(), 0..20), resets in resets()) {
        let stats = fold(&resets, &records);
        let text = serde_json::to_string(&stats.picture().saved()).expect("plain data");
        let back: super::Saved = serde_json::from_str(&text).expect("what we write we read");
        prop_assert_eq!(seen(&back.restored()), seen(&stats));
    }

    #[test]
    fn the_lines_of_a_picture_are_the_same_fold(
        records in prop::collection::vec(record(), 0..20), resets in resets(), roll in any::<bool>()
    ) {
        let mut stats = fold(&resets, &records);
        if roll {
            stats.roll(Timestamp::new(BASE_MICROS + 33 * 86_400_000_000, 0));
        }
        let mut reader = super::LineReader::default();
        let taken: Result<(), ()> = stats.picture().for_each_line(|line| reader.take(line).then_some(()).ok_or(()));
        prop_assert!(taken.is_ok());
        prop_assert_eq!(seen(&reader.finish().expect("there was a first line")), seen(&stats));
        let nonsense = super::LineReader::default().take(b"[]");
        prop_assert!(!nonsense);
    }

    #[test]
    fn a_condensed_selection_answers_the_same(records in prop::collection::vec(record(), 0..30), resets in resets()) {
        let picture = fold(&resets, &records).picture();
        let all = picture.select(Period::All, Timestamp::new(BASE_MICROS, 0).day());
        let cube = all.condensed();
        let few = all.of_cube(&cube);
        let group = |key: &super::Key| (key.status, key.local, key.usage_source, key.request_type, key.model);
        prop_assert_eq!(few.group_by(group), all.group_by(group));
        prop_assert_eq!((few.users(), few.last_at()), (all.users(), all.last_at()));
    }

    #[test]
    fn the_table_of_models_is_the_same_from_the_fold_and_from_the_records(
        records in prop::collection::vec(record(), 0..30), resets in resets()
    ) {
        let mut one_by_one = ModelTable::default();
        records.iter().for_each(|record| one_by_one.add(record));
        let mut stats = fold(&resets, &records);
        stats.roll(Timestamp::new(BASE_MICROS, 0).plus_micros(40 * 86_400_000_000));
        prop_assert_eq!(&ModelTable::of(&stats.picture().all_time()), &one_by_one);
        let back = stats.picture().saved().restored();
        prop_assert_eq!(&ModelTable::of(&back.picture().all_time()), &one_by_one);
        let prompt: i128 = one_by_one.rows().map(|(_, _, totals)| totals.prompt).sum();
        prop_assert_eq!(prompt, stats.picture().all_time().total(|_| true).prompt);
    }

    #[test]
    fn rolling_changes_no_total_and_groups_sum_to_it(records in prop::collection::vec(record(), 0..30)) {
        let mut stats = fold(&[], &records);
        let today = Timestamp::new(BASE_MICROS, 0);
        let before = stats.picture();
        stats.roll(today.plus_micros(40 * 86_400_000_000));
        let after = stats.picture();
        let total = before.all_time().total(|_| true);
        prop_assert_eq!(&after.all_time().total(|_| true), &total);
        prop_assert_eq!(after.select(Period::All, today.day()).users(), before.select(Period::All, today.day()).users());
        let mut sum = super::Sums::default();
        after.all_time().group_by(|key| (key.model, key.status)).values().for_each(|sums| sum.merge(sums));
        prop_assert_eq!(&sum, &total);
        let sign = |r: &UsageRecord<'_>| if matches!(r.kind, Kind::Void { .. }) { -1i128 } else { 1 };
        let prompt: i128 = records.iter().map(|r| sign(r) * i128::from(r.tokens.prompt)).sum();
        let cost: i128 = records.iter().map(|r| sign(r) * r.cost.unwrap_or_default().pico_usd()).sum();
        prop_assert_eq!((total.prompt, total.cost), (prompt, Money::from_pico_usd(cost)));
    }

    #[test]
    fn undoing_a_reset_gives_back_what_it_hid(records in prop::collection::vec(record(), 1..20)) {
        let mut stats = fold(&[], &records);
        let whole = seen(&stats);
        let begin = stats.reset(Timestamp::new(BASE_MICROS, 0));
        prop_assert!(records.iter().all(|record| record.timestamp < begin));
        let today = Timestamp::new(BASE_MICROS, 0).day();
        prop_assert_eq!(stats.picture().select(Period::All, today).total(|_| true), super::Sums::default());
        prop_assert_eq!(&seen(&stats), &seen(&fold(&[begin], &records)), "a reset is the same fold over later epochs");
        prop_assert!(stats.set_resets(&[]));
        prop_assert_eq!(seen(&stats), whole);
    }
}

#[test]
fn a_picture_does_not_change_and_periods_are_calendar_days() {
    let at = Timestamp::parse("2026-11-22T00:30:00.000000-06:00").expect("a time");
    let record = |at: Timestamp| {
        let mut record = UsageRecord::new(crate::usage::RecordId::new(at, [0; 10]), at, "p".into(), "m".into());
        record.tokens.prompt = 1;
        record
    };
    let mut stats =
        fold(&[], &[record(at), record(at.plus_micros(-3_600_000_000)), record(at.plus_micros(-6 * 86_400_000_000))]);
    let before = stats.picture();
    stats.apply(&record(at.plus_micros(-7 * 86_400_000_000)));
    let count = |picture: &super::Picture, period| picture.select(period, at.day()).total(|_| true).records;
    let after = stats.picture();
    assert_eq!(Period::ALL.map(|period| count(&after, period)), [1, 3, 4, 4]);
    assert_eq!(count(&before, Period::All), 3);
}

#[test]
fn an_opening_counts_in_every_mean_and_in_no_percentile() {
    let at = Timestamp::new(BASE_MICROS, 0);
    let mut record = UsageRecord::new(crate::usage::RecordId::new(at, [0; 10]), at, "p".into(), "m".into());
    record.latency_ms = Some(1000);
    let mut stats = fold(&[], &[record]);
    let mut opening = Opening::new("elsewhere", at, "p", "m");
    (opening.ok, opening.failed, opening.mean_latency_ms) = (2, 1, Some(3000));
    stats.apply_opening(&opening);
    let total = stats.picture().all_time().total(|_| true);
    assert_eq!((total.records, total.mean_latency_ms()), (4, Some(2500)));
    assert_eq!((total.latency.count(), total.messages, total.errors.len()), (1, 0, 1));
    assert_eq!(stats.picture().all_time().users(), 0);
}

#[test]
fn e1_openings_at_the_ends_of_their_range_neither_wrap_nor_panic() {
    let at = Timestamp::new(BASE_MICROS, 0);
    for end in [i64::MAX, i64::MIN] {
        let mut opening = Opening::new("elsewhere", at, "p", "m");
        (opening.ok, opening.failed, opening.prompt, opening.completion) = (end, end, end, end);
        (opening.mean_latency_ms, opening.cost_usd) = (Some(u64::MAX), Some(Money::from_pico_usd(i128::MAX)));
        let mut stats = fold(&[], &[]);
        (0..3).for_each(|_| stats.apply_opening(&opening));
        let unpriced = Opening { cost_usd: None, ..opening };
        (0..3).for_each(|_| stats.apply_opening(&unpriced));
        let total = stats.picture().all_time().total(|_| true);
        assert_eq!((total.records, total.openings.requests), (end, end), "they stay at the end");
        assert_eq!(total.prompt, 6 * i128::from(end), "tokens are exact");
        assert_eq!(total.mean_latency_ms().is_some(), end > 0);
        let mut twice = stats;
        let other = fold(&[], &[]);
        twice.merge(&other);
        assert_eq!(twice.picture().all_time().total(|_| true), total);
    }
}

/// Numbers at the ends of what they may be.
fn boundary() -> impl Strategy<Value = UsageRecord<'static>> {
    let end = || prop::sample::select(vec![0, 1, (1 << 53) + 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX]);
    let money = prop::sample::select(vec![0, 1, 10i128.pow(30), -1]);
    (record(), (end(), end(), end(), end()), money).prop_map(
        |(mut record, (prompt, completion, millis, count), pico)| {
            (record.tokens.prompt, record.tokens.completion) = (prompt, completion);
            record.tokens = record.tokens.made_consistent();
            (record.latency_ms, record.first_token_ms, record.count) = (Some(millis), Some(millis), count);
            record.cost = Some(Money::from_pico_usd(pico));
            record
        },
    )
}

proptest! {
    #[test]
    fn e1_numbers_at_the_ends_of_their_range_never_wrap_and_never_panic(
        records in prop::collection::vec(boundary(), 1..12), cut in 0usize..12
    ) {
        let whole = fold(&[], &records);
        let mut parts = fold(&[], &records[cut.min(records.len())..]);
        parts.merge(&fold(&[], &records[..cut.min(records.len())]));
        let sign = |record: &UsageRecord<'_>| if matches!(record.kind, Kind::Void { .. }) { -1 } else { 1 };
        let prompt: i128 = records.iter().map(|record| sign(record) * i128::from(record.tokens.prompt)).sum();
        for stats in [&whole, &parts] {
            let total = stats.picture().all_time().total(|_| true);
            prop_assert_eq!(total.prompt, prompt, "tokens are exact");
            if records.iter().all(|record| sign(record) > 0) {
                prop_assert!(total.records >= 0 && total.cost >= Money::from_pico_usd(-12));
            }
        }
        let text = serde_json::to_string(&whole.picture().saved()).expect("plain data");
        let back: super::Saved = serde_json::from_str(&text).expect("what we write we read");
        prop_assert_eq!(seen(&back.restored()), seen(&whole));
    }

    #[test]
    fn d8_the_days_of_a_period_sum_to_the_period(
        records in prop::collection::vec(record(), 0..30), resets in resets(), ago in 0i32..10
    ) {
        let today = Timestamp::new(BASE_MICROS, 0).day().plus(-ago);
        let stats = fold(&resets, &records);
        let picture = stats.picture();
        for (period, days) in [(Period::Week, 7), (Period::Month, 30)] {
            let mut sum = super::Sums::default();
            (0..days).for_each(|day| sum.merge(&picture.select(Period::Today, today.plus(-day)).total(|_| true)));
            prop_assert_eq!(sum, picture.select(period, today).total(|_| true), "{:?}", period);
        }
    }
}
