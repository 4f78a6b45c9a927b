//! Weeks, months, prepaid amounts and money: reserved at admission, booked in the windows of the admission.

use super::*;
use crate::usage::{Kind, Money, TokenCounts};

fn dollars(amount: u64) -> Estimate {
    Estimate { pico_usd: amount * DOLLAR, ..tokens(1, 1) }
}

#[test]
fn money_is_reserved_and_what_a_call_did_not_cost_comes_back() {
    let mut gate = gate_of(Caps::of([(LimitKind::UsdPerDay, 10 * DOLLAR)]));
    gate.reserve(id(1), &CLOUD, dollars(7), noon()).expect("fits");
    let refusal = gate.reserve(id(2), &CLOUD, dollars(4), noon()).expect_err("seven are held");
    assert_eq!((refusal.limit, refusal.used, refusal.max), (LimitKind::UsdPerDay, 7 * DOLLAR, 10 * DOLLAR));
    gate.top_up(id(1), dollars(3), noon());
    assert_eq!(standing(&gate, LimitKind::UsdPerDay, noon()), (0, 10 * DOLLAR));
    gate.settle(id(1), Used { tokens: 5, pico_usd: 6 * DOLLAR }, noon());
    assert_eq!(standing(&gate, LimitKind::UsdPerDay, noon()), (6 * DOLLAR, 0));
    assert_eq!(gate.reserve(id(2), &CLOUD, dollars(4), noon()), Ok(()));
    assert_eq!(gate.reserve(id(3), &CLOUD, dollars(11), noon()).expect_err("more than all").next, NextSafe::Never);
}

#[test]
fn what_costs_nothing_passes_a_spent_budget_and_not_one_of_nothing() {
    let spent = |cap| {
        let mut gate = gate_of(Caps::of([(LimitKind::UsdPerMonth, cap)]));
        let overshoot = UsageRecord { cost: Some(Money::from_pico_usd(9)), ..record(1, noon().at, 1, 1) };
        gate.apply(&overshoot, noon());
        gate.reserve(id(2), &CLOUD, tokens(1_000, 1_000), noon())
    };
    assert_eq!(spent(5), Ok(()));
    assert_eq!(spent(0).expect_err("nothing may be spent").next, NextSafe::Never);
}

#[test]
fn d4_a_call_over_midnight_is_held_and_booked_in_the_day_week_and_month_it_was_admitted_in() {
    let kinds = [LimitKind::UsdPerDay, LimitKind::UsdPerWeek, LimitKind::UsdPerMonth, LimitKind::UsdPrepaid];
    let mut gate = gate_of(Caps::of(kinds.map(|kind| (kind, 100 * DOLLAR))));
    let evening = moment("2027-01-31T23:59:59Z", 5_000_000); // a Sunday
    let morning = later(evening, 2_000_000);
    gate.reserve(id(1), &CLOUD, dollars(10), evening).expect("fits");
    let of = |gate: &Gate, now: Now| kinds.map(|kind| standing(gate, kind, now));
    let (none, held) = ((0, 0), (0, 10 * DOLLAR));
    assert_eq!((of(&gate, evening), of(&gate, morning)), ([held; 4], [none, none, none, held]));
    gate.settle(id(1), Used { tokens: 1, pico_usd: 3 * DOLLAR }, morning);
    let spent = (3 * DOLLAR, 0);
    assert_eq!((of(&gate, evening), of(&gate, morning)), ([spent; 4], [none, none, none, spent]));
}

#[test]
fn windows_say_where_they_begin_and_when_they_end() {
    let kinds = [LimitKind::RequestsPerWeek, LimitKind::RequestsPerMonth, LimitKind::RequestsPrepaid];
    let of_all = Rule::new(Scope::everything(), Caps::of(kinds.map(|kind| (kind, 1))), zone("America/Los_Angeles"));
    let mut gate = gate(vec![of_all]);
    gate.reserve(id(1), &CLOUD, tokens(1, 1), noon()).expect("the first");
    let windows = gate.windows(noon());
    let shown: Vec<_> = windows.iter().map(|window| (window.first_day.to_string(), window.resets_at)).collect();
    let end = |text: &str| Some(Timestamp::parse(text).expect("a time"));
    let (prepaid, week, month) = (("1970-01-01", None), ("2026-11-16", "2026-11-23"), ("2026-11-01", "2026-12-01"));
    let of = |(first, last): (&str, &str)| (first.to_owned(), end(&format!("{last}T00:00:00-08:00")));
    assert_eq!(shown, [of(week), of(month), (prepaid.0.to_owned(), prepaid.1)]);
    let refusal = gate.reserve(id(2), &CLOUD, tokens(1, 1), noon()).expect_err("full");
    assert_eq!((refusal.limit, refusal.next), (LimitKind::RequestsPrepaid, NextSafe::Never));
}

#[test]
fn a_prepaid_amount_counts_from_its_day_on_and_for_ever() {
    let since = noon().at.day();
    let caps = Caps::of([(LimitKind::TokensPrepaid, 100)]);
    let mut gate = gate(vec![Rule { since: Some(since), ..rule(Scope::everything(), caps) }]);
    let at = |days: i64| noon().at.plus_micros(days * 86_400_000_000);
    let years = later(noon(), 800 * 86_400_000_000);
    gate.apply(&record(1, at(-1), 1, 7), years);
    gate.apply(&record(2, at(0), 1, 20), years);
    gate.apply(&record(3, at(400), 1, 30), years);
    assert_eq!(standing(&gate, LimitKind::TokensPrepaid, years), (50, 0));
    assert!(gate.horizon(years) < at(-1));
    let much_later = later(years, 900 * 86_400_000_000);
    gate.expire(much_later);
    assert!(gate.reserve(id(4), &CLOUD, tokens(51, 0), much_later).is_err());
    assert_eq!(gate.reserve(id(4), &CLOUD, tokens(50, 0), much_later), Ok(()));
}

#[test]
fn e5_a_call_without_a_price_is_charged_the_estimate_and_a_local_one_nothing() {
    let mut gate = gate_of(Caps::of([(LimitKind::UsdPerDay, 100 * DOLLAR)]));
    let tokens = TokenCounts { prompt: 100_000, completion: 100_000, ..TokenCounts::default() };
    let unknown = UsageRecord { tokens, ..record(1, noon().at, 1, 0) };
    gate.apply(&unknown, noon());
    gate.apply(&UsageRecord { id: id(2), local: true, ..unknown.clone() }, noon());
    gate.apply(&UsageRecord { id: id(3), cost: Some(Money::ZERO), ..unknown.clone() }, noon());
    assert_eq!(standing(&gate, LimitKind::UsdPerDay, noon()), (4 * DOLLAR, 0));
    gate.apply(&UsageRecord { id: id(4), kind: Kind::Void { of: id(1) }, ..unknown.clone() }, noon());
    assert_eq!(standing(&gate, LimitKind::UsdPerDay, noon()), (0, 0));
    let absurd = UsageRecord { id: id(5), cost: Some(Money::from_pico_usd(i128::MAX)), ..unknown };
    gate.apply(&absurd, noon());
    let used = standing(&gate, LimitKind::UsdPerDay, noon()).0;
    assert!(used >= u64::MAX - 4 * DOLLAR, "it stays at the end: {used}");
}
