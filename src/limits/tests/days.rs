//! A rule's day runs in its zone, has the hours that zone gives it, and never opens twice.

use super::*;
use crate::usage::Zone;

fn one_a_day(zone: Zone) -> Gate {
    let caps = Caps::of([(LimitKind::RequestsPerDay, 1), (LimitKind::TokensPerDay, 100)]);
    gate(vec![Rule::new(Scope::everything(), caps, zone)])
}

#[test]
fn d3_a_used_up_day_opens_at_the_zones_midnight_and_not_before() {
    for (zone, morning, midnight) in [
        (zone("America/Los_Angeles"), "2026-03-08T00:00:00-08:00", "2026-03-09T00:00:00-07:00"), // 23 hours
        (zone("America/Los_Angeles"), "2026-11-01T00:00:00-07:00", "2026-11-02T00:00:00-08:00"), // 25 hours
        (zone("Africa/Cairo"), "2026-04-23T00:00:00+02:00", "2026-04-24T01:00:00+03:00"),        // midnight is missing
        (zone("Africa/Cairo"), "2026-10-29T00:00:00+03:00", "2026-10-30T00:00:00+02:00"),        // 23:00 comes twice
        (zone("Australia/Lord_Howe"), "2026-04-05T00:00:00+11:00", "2026-04-06T00:00:00+10:30"), // half an hour more
        (zone("Australia/Lord_Howe"), "2026-10-04T00:00:00+10:30", "2026-10-05T00:00:00+11:00"), // half an hour less
    ] {
        let start = moment(morning, 5_000_000);
        let end = moment(midnight, 0).at;
        let length = end.unix_micros() - start.at.unix_micros();
        let mut gate = one_a_day(zone);
        gate.reserve(id(1), &CLOUD, tokens(1, 1), start).expect("the day is new");
        gate.settle(id(1), Used::of_tokens(2), start);
        for micros in [1, length / 2, length - 1] {
            let now = later(start, micros);
            let refusal = gate.reserve(id(2), &CLOUD, tokens(1, 1), now).expect_err("one a day");
            assert_eq!((refusal.until(), refusal.limit), (Some(end), LimitKind::RequestsPerDay), "{zone} {midnight}");
            assert_eq!(gate.windows(now)[0].resets_at, Some(end));
        }
        assert_eq!(gate.reserve(id(3), &CLOUD, tokens(1, 1), later(start, length)), Ok(()), "{zone} {midnight}");
    }
}

#[test]
fn d4_tokens_belong_to_the_day_of_admission_however_late_they_are_settled() {
    let mut gate = one_a_day(Zone::UTC);
    let evening = moment("2026-11-22T23:59:59Z", 5_000_000);
    gate.reserve(id(1), &CLOUD, tokens(60, 40), evening).expect("fits");
    let morning = later(evening, 2_000_000);
    assert_eq!(standing(&gate, LimitKind::TokensPerDay, morning), (0, 0));
    gate.settle(id(1), Used::of_tokens(90), morning);
    assert_eq!(standing(&gate, LimitKind::TokensPerDay, morning), (0, 0));
    assert_eq!(standing(&gate, LimitKind::TokensPerDay, evening), (90, 0));
}

#[test]
fn d1_a_wall_clock_that_goes_back_opens_no_day_again() {
    let mut gate = one_a_day(Zone::UTC);
    let before = moment("2026-11-22T23:30:00Z", 5_000_000);
    let after = moment("2026-11-23T00:10:00Z", 6_000_000);
    gate.reserve(id(1), &CLOUD, tokens(1, 1), before).expect("the 22nd");
    gate.reserve(id(2), &CLOUD, tokens(1, 1), after).expect("the 23rd");
    assert!(gate.reserve(id(3), &CLOUD, tokens(1, 1), moment("2026-11-22T23:10:00Z", 7_000_000)).is_err());
    assert!(gate.reserve(id(4), &CLOUD, tokens(1, 1), moment("2026-11-23T00:20:00Z", 8_000_000)).is_err());
}

#[test]
fn d2_a_clock_a_year_ahead_and_back_neither_opens_nor_closes_a_day() {
    let mut gate = one_a_day(Zone::UTC);
    gate.reserve(id(1), &CLOUD, tokens(1, 1), noon()).expect("today");
    gate.settle(id(1), Used::of_tokens(2), noon());
    let ahead = moment("2027-11-22T12:00:00Z", noon().tick.0 + 60_000_000);
    gate.reserve(id(2), &CLOUD, tokens(1, 1), ahead).expect("a new day, it seems");
    gate.expire(ahead);
    let back = later(noon(), 120_000_000);
    gate.expire(back);
    assert!(gate.reserve(id(3), &CLOUD, tokens(1, 1), back).is_err());
    for day in 1..9 {
        let next = later(noon(), day * 86_400_000_000);
        assert_eq!(gate.reserve(id(10 + day as u64), &CLOUD, tokens(1, 1), next), Ok(()), "day {day}");
        assert!(gate.reserve(id(30), &CLOUD, tokens(1, 1), next).is_err());
    }
}

#[test]
fn d2_a_clock_that_was_set_back_over_midnight_between_two_starts_takes_no_use_from_the_next_day() {
    let kinds = [LimitKind::RequestsPerDay, LimitKind::RequestsPerWeek, LimitKind::RequestsPerMonth];
    let caps = Caps::of(kinds.map(|kind| (kind, 9)));
    let (made, back) = (moment("2026-06-01T00:00:10Z", 0), moment("2026-05-31T23:59:50Z", 0)); // a Monday the first
    let mut second = gate_of(caps);
    second.apply(&record(1, made.at, 1, 60), back);
    let used = |gate: &Gate, now| kinds.map(|kind| standing(gate, kind, now).0);
    assert_eq!(used(&second, back), [0; 3]);
    let (saved, later) = (second.save(back), moment("2026-06-01T00:05:00Z", 0));
    let mut third = gate_of(caps);
    assert!(third.restore(&saved, later));
    assert_eq!(used(&third, later), [1; 3]);
    // Days before and after push nothing out.
    let mut gate = gate_of(caps);
    for days in [-2, -1, 0, 1, 2, 0, -1] {
        let number = 10 + (days + 2) as u64;
        gate.apply(&record(number, made.at.plus_micros(days * 86_400_000_000), 1, 5), made);
    }
    assert_eq!(used(&gate, made)[0], 2);
}

#[test]
fn d6_the_monotonic_clock_alone_moves_a_minute() {
    let mut gate = gate_of(Caps::of([(LimitKind::RequestsPerMinute, 1)]));
    gate.reserve(id(1), &CLOUD, tokens(1, 1), noon()).expect("fits");
    let ahead = Now { at: noon().at.plus_micros(86_400_000_000), tick: Tick(noon().tick.0 + 1) };
    assert!(gate.reserve(id(2), &CLOUD, tokens(1, 1), ahead).is_err());
    let waited = Now { at: noon().at, tick: Tick(noon().tick.0 + 61_000_000) };
    assert!(gate.reserve(id(2), &CLOUD, tokens(1, 1), waited).is_ok());
}

#[test]
fn records_of_days_gone_or_to_come_cannot_push_today_out() {
    let mut gate = one_a_day(Zone::UTC);
    gate.reserve(id(1), &CLOUD, tokens(1, 1), noon()).expect("today");
    for days_ago in 1..40 {
        gate.apply(&record(100 + days_ago, noon().at.plus_micros(-(days_ago as i64) * 86_400_000_000), 1, 5), noon());
    }
    for days_to_come in [400, 5, 300, 200, 100, 7, 9, 350] {
        gate.apply(
            &record(200 + days_to_come, noon().at.plus_micros(days_to_come as i64 * 86_400_000_000), 1, 5),
            noon(),
        );
    }
    assert!(gate.reserve(id(2), &CLOUD, tokens(1, 1), noon()).is_err());
    assert_eq!(standing(&gate, LimitKind::RequestsPerDay, noon()), (1, 0));
}

#[test]
fn e1_tokens_at_the_end_of_64_bits_neither_wrap_nor_panic() {
    let mut gate = one_a_day(Zone::UTC);
    for number in 100..104 {
        let mut record = record(number, noon().at, u64::MAX, u64::MAX);
        record.tokens.completion = u64::MAX;
        gate.apply(&record, noon());
    }
    assert!(standing(&gate, LimitKind::TokensPerDay, noon()).0 >= i64::MAX as u64, "it stays at the end");
    assert!(gate.reserve(id(1), &CLOUD, tokens(u64::MAX, u64::MAX), noon()).is_err());
}
