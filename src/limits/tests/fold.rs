//! The settled part of the gate is the fold of the records, however it came to be: live, replayed or restored.

use proptest::prelude::*;

use super::*;
use crate::usage::{Kind, Money, Status};

fn rules() -> Vec<Rule> {
    let caps = Caps::of([
        (LimitKind::RequestsPerMinute, 40),
        (LimitKind::RequestsPerDay, 1_000),
        (LimitKind::TokensPerMinute, 20_000),
        (LimitKind::TokensPerDay, 90_000),
    ]);
    let each = Scope::everything().with(Facet::User, Pick::Each).with(Facet::Model, Pick::Each);
    let all = caps_of_all(|kind| if kind.measure() == Measure::Money { DOLLAR } else { 900_000 });
    let since = Some(noon().at.day().plus(2));
    vec![
        Rule::new(Scope::provider("cloud"), caps, zone("America/Los_Angeles")),
        Rule::new(each, caps.with(LimitKind::RequestsPerMinute, None), zone("Africa/Cairo")),
        rule(Scope::everything(), Caps::of([(LimitKind::TokensPerDay, 80_000)])),
        Rule::new(Scope::everything().with(Facet::User, Pick::Each), all, zone("Australia/Lord_Howe")),
        Rule::new(user("guests"), all, zone("Pacific/Apia")),
        Rule { since, ..rule(user(&person(0).to_string()), Caps::of([(LimitKind::TokensPrepaid, 50_000)])) },
    ]
}

/// What happens to a call after the pause: it is sent and ends so, or it is never sent.
#[derive(Clone, Debug)]
struct Plan {
    pause_ms: i64,
    latency_ms: i64,
    asked: u64,
    used: u64,
    user: u64,
    end: u8,
}

fn plan() -> impl Strategy<Value = Plan> {
    (0i64..40_000_000, 0i64..90_000, 0u64..900, 0u64..1_200, 0u64..3, 0u8..8).prop_map(
        |(pause, latency_ms, asked, used, user, end)| {
            // mostly short pauses, some of hours or days, so that midnights, Mondays and firsts fall in between
            let pause_ms = match pause % 50 {
                0 => pause * 30, // days
                1..9 => pause,
                _ => pause % 5_000,
            };
            Plan { pause_ms, latency_ms, asked, used, user, end }
        },
    )
}

/// Runs the plans through one gate; gives it back with the records it settled and the time of the end.
fn live(plans: &[Plan]) -> (Gate, Vec<UsageRecord<'static>>, Now) {
    let mut gate = gate(rules());
    let mut events: Vec<(i64, usize, bool)> = Vec::new();
    let mut at_ms = 0;
    for (n, plan) in plans.iter().enumerate() {
        at_ms += plan.pause_ms;
        events.push((at_ms, n, false));
        events.push((at_ms + plan.latency_ms, n, true));
    }
    events.sort_by_key(|event| (event.0, event.2, event.1));
    let (mut records, mut started) = (Vec::new(), vec![None; plans.len()]);
    let mut now = noon();
    for (ms, n, is_end) in events {
        now = later(noon(), ms * 1_000);
        let plan = &plans[n];
        let user = person(plan.user).to_string();
        match (is_end, started[n]) {
            (false, _) => {
                let subject = Subject { user: Some(&user), ..CLOUD };
                let asked = Estimate { pico_usd: plan.asked * 1_000, ..tokens(plan.asked, 0) };
                let admitted = gate.reserve(id(n as u64), &subject, asked, now).is_ok();
                started[n] = admitted.then_some(now.at);
            }
            (true, None) => {}
            (true, Some(at)) => {
                let mut record = record(n as u64, at, plan.latency_ms as u64, plan.used);
                record.user = Some(person(plan.user));
                record.local = plan.used.is_multiple_of(5);
                record.cost = match plan.used % 4 {
                    0 => None,
                    1 => Some(Money::from_pico_usd(-i128::from(plan.used))),
                    _ => Some(Money::from_pico_usd(i128::from(plan.used) * 1_000_000)),
                };
                match plan.end {
                    0 => assert!(gate.cancel(record.id)),
                    1 => {
                        record.status = Status::Refused;
                        gate.apply(&record, now);
                        records.push(record);
                    }
                    2 => {
                        record.status = Status::Timeout;
                        let spent = record.cost.map_or(0, |cost| cost.pico_usd().max(0) as u64);
                        record.cost = Some(Money::from_pico_usd(spent.into()));
                        assert!(gate.settle(record.id, Used { tokens: plan.used, pico_usd: spent }, now));
                        records.push(record);
                    }
                    3 => {
                        let void = UsageRecord {
                            id: id(1_000 + n as u64),
                            kind: Kind::Void { of: record.id },
                            ..record.clone()
                        };
                        for record in [record, void] {
                            gate.apply(&record, now);
                            records.push(record);
                        }
                    }
                    _ => {
                        gate.apply(&record, now);
                        records.push(record);
                    }
                }
            }
        }
    }
    (gate, records, now)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn live_counts_equal_the_fold_of_the_records_in_any_order(
        plans in prop::collection::vec(plan(), 1..60),
        order in any::<prop::sample::Index>(),
    ) {
        let (live, mut records, now) = live(&plans);
        if !records.is_empty() {
            let turn = order.index(records.len());
            records.rotate_left(turn);
        }
        let mut replayed = gate(rules());
        records.iter().for_each(|record| replayed.apply(record, now));
        prop_assert_eq!(live.save(now), replayed.save(now));
        prop_assert_eq!(live.windows(now), replayed.windows(now));
    }

    #[test]
    fn what_is_saved_comes_back_the_same_in_a_new_process(
        plans in prop::collection::vec(plan(), 1..40),
        downtime_ms in 0i64..100_000,
    ) {
        let (live, _, now) = live(&plans);
        let saved = live.save(now);
        let mut same = gate(rules());
        prop_assert!(same.restore(&saved, now));
        prop_assert_eq!(same.save(now), saved.clone());
        prop_assert_eq!(same.windows(now), live.windows(now));

        // the next process: the wall clock went on, the monotonic clock began anew
        let mut next = gate(rules());
        let started = Now { at: now.at.plus_micros(downtime_ms * 1_000), tick: Tick(1_500_000) };
        prop_assert!(next.restore(&saved, started));
        let stayed = later(now, downtime_ms * 1_000);
        let restored = next.windows(started);
        for theirs in live.windows(stayed) {
            let ours = restored.iter().find(|ours| ours.label == theirs.label && ours.limit == theirs.limit);
            let used = ours.map_or(0, |ours| ours.used);
            prop_assert!(used >= theirs.used, "{theirs:?}"); // a bucket may stay a second longer, never shorter
        }
        let settled = later(started, 62_000_000 - (downtime_ms * 1_000).min(61_000_000));
        prop_assert!(next.windows(settled).iter().all(|w| w.limit.is_calendar() || w.used == 0));
    }
}

#[test]
fn calls_in_flight_are_not_in_what_is_saved() {
    let mut gate = gate(rules());
    let empty = gate.save(noon());
    gate.reserve(id(1), &CLOUD, tokens(5, 5), noon()).expect("fits");
    assert_eq!(gate.save(noon()), empty);
    gate.settle(id(1), Used::of_tokens(3), noon());
    assert_ne!(gate.save(noon()), empty);
}

#[test]
fn a_void_takes_its_record_from_the_day_and_leaves_the_minute() {
    let mut gate = gate_of(rules()[0].caps);
    let at = noon().at.plus_micros(-5_000_000);
    let call = record(1, at, 10, 70);
    let void = UsageRecord { id: id(2), kind: Kind::Void { of: id(1) }, ..call.clone() };
    gate.apply(&void, noon());
    gate.apply(&record(3, at, 10, 7), noon());
    gate.apply(&call, noon());
    assert_eq!(standing(&gate, LimitKind::TokensPerDay, noon()), (7, 0));
    assert_eq!(standing(&gate, LimitKind::RequestsPerDay, noon()), (1, 0));
    assert_eq!(standing(&gate, LimitKind::RequestsPerMinute, noon()), (2, 0));
    assert_eq!(standing(&gate, LimitKind::TokensPerMinute, noon()), (77, 0));
}

#[test]
fn refused_and_cached_records_count_nowhere_and_failed_ones_do() {
    let mut gate = gate_of(rules()[0].caps);
    for (n, status) in Status::ALL.into_iter().enumerate() {
        gate.apply(&UsageRecord { status, ..record(n as u64, noon().at, 10, 10) }, noon());
    }
    assert_eq!(standing(&gate, LimitKind::RequestsPerDay, noon()), (5, 0));
    assert_eq!(standing(&gate, LimitKind::TokensPerDay, noon()), (50, 0));
}

#[test]
fn a_replayed_record_counts_by_its_own_times() {
    let mut gate = gate_of(rules()[0].caps);
    let now = Now { tick: Tick(2_000_000), ..noon() }; // a process that has just begun
    gate.apply(&record(1, now.at.plus_micros(-90_000_000), 60_000, 10), now);
    assert_eq!(standing(&gate, LimitKind::RequestsPerMinute, now), (0, 0)); // admitted 90 s ago
    assert_eq!(standing(&gate, LimitKind::TokensPerMinute, now), (10, 0)); // settled 30 s ago
    assert_eq!(standing(&gate, LimitKind::TokensPerMinute, later(now, 31_000_000)), (0, 0));
    gate.apply(&UsageRecord { requested_model: Some(Name::from("x")), ..record(2, now.at, 1, 1) }, now);
    assert_eq!(standing(&gate, LimitKind::RequestsPerMinute, now), (1, 0));
}
