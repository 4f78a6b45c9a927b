//! Never more than the cap in any true sixty seconds, and not fewer than it has room for.

use proptest::prelude::*;

use super::*;

#[test]
fn of_64_callers_exactly_15_pass_and_the_next_is_told_the_moment_to_the_millisecond() {
    let caps = Caps::of([(LimitKind::RequestsPerMinute, 15)]);
    let mut gate = gate_of(caps);
    let now = later(noon(), 345_678);
    let answers: Vec<_> = (0..64).map(|n| gate.reserve(id(n), &CLOUD, tokens(10, 10), now)).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 15);
    assert!(answers[..15].iter().all(Result::is_ok));

    let refusal = answers[15].clone().expect_err("the sixteenth does not fit");
    assert_eq!((refusal.limit, refusal.used, refusal.max), (LimitKind::RequestsPerMinute, 15, 15));
    let until = refusal.until().expect("there is room later");
    let wait_micros = until.unix_micros() - now.at.unix_micros();
    assert_eq!(refusal.wait_ms(), Some(60_655)); // 60.654322 s, rounded up
    assert!(gate.reserve(id(99), &CLOUD, tokens(1, 1), later(now, wait_micros - 1_000)).is_err());
    assert!(gate.reserve(id(99), &CLOUD, tokens(1, 1), later(now, wait_micros)).is_ok());
}

#[test]
fn steady_demand_gets_exactly_the_cap() {
    let mut gate = gate_of(Caps::of([(LimitKind::RequestsPerMinute, 15)]));
    let admitted = (0..6_100)
        .filter(|n| gate.reserve(id(*n), &CLOUD, tokens(0, 0), later(noon(), *n as i64 * 100_000)).is_ok())
        .count();
    assert_eq!(admitted, 10 * 15); // ten windows of 61 seconds
}

#[test]
fn tokens_wait_for_as_many_buckets_as_they_need() {
    let mut gate = gate_of(Caps::of([(LimitKind::TokensPerMinute, 100)]));
    for n in 0..3 {
        let now = later(noon(), n * 10_000_000);
        gate.reserve(id(n as u64), &CLOUD, tokens(30, 0), now).expect("fits");
        assert!(gate.settle(id(n as u64), Used::of_tokens(30), now));
    }
    let now = later(noon(), 25_000_000);
    let wait = |gate: &mut Gate, asked| gate.reserve(id(9), &CLOUD, tokens(asked, 0), now).expect_err("full").wait_ms();
    assert_eq!(wait(&mut gate, 11), Some(36_000));
    assert_eq!(wait(&mut gate, 41), Some(46_000));
    assert_eq!(wait(&mut gate, 71), Some(56_000));
    assert_eq!(wait(&mut gate, 101), None);
    gate.reserve(id(10), &CLOUD, tokens(10, 0), now).expect("fits exactly");
    assert_eq!(wait(&mut gate, 100), Some(61_000)); // held by a call in flight, taken to end now
}

#[test]
fn a_cap_of_zero_refuses_everything_for_ever() {
    for caps in [
        Caps::of([(LimitKind::RequestsPerMinute, 0)]),
        Caps::of([(LimitKind::RequestsPerDay, 0)]),
        Caps::of([(LimitKind::TokensPerMinute, 0)]),
        Caps::of([(LimitKind::TokensPerDay, 0)]),
    ] {
        let refusal = gate_of(caps).reserve(id(1), &CLOUD, tokens(0, 0), noon()).expect_err("nothing is allowed");
        assert_eq!((refusal.next, refusal.wait_ms(), refusal.max), (NextSafe::Never, None, 0));
    }
    assert_eq!(gate_of(Caps::default()).reserve(id(1), &CLOUD, tokens(u64::MAX, u64::MAX), noon()), Ok(()));
}

/// A call as the slow model remembers it.
struct Call {
    admitted: i64,
    asked: u64,
    settled: Option<(i64, u64)>,
}

/// Decides from the whole list, with nothing kept up to date.
fn model_admits(calls: &[Call], tick: i64, asked: u64, caps: Caps) -> bool {
    let counts = |micros: i64| micros.div_euclid(1_000_000) >= tick.div_euclid(1_000_000) - 60;
    let requests = calls.iter().filter(|call| counts(call.admitted)).count() as u64;
    let tokens: u64 = calls
        .iter()
        .map(|call| match call.settled {
            None => call.asked,
            Some((at, used)) if counts(at) => used,
            Some(_) => 0,
        })
        .sum();
    caps.get(LimitKind::RequestsPerMinute).is_none_or(|cap| requests < cap)
        && caps.get(LimitKind::TokensPerMinute).is_none_or(|cap| tokens + asked.max(1) <= cap)
}

/// The most that any sixty seconds hold, both ends included.
fn fullest_minute(amounts: &[(i64, u64)]) -> u64 {
    let within = |from: i64| amounts.iter().filter(move |(at, _)| (from..=from + 60_000_000).contains(at));
    amounts.iter().map(|(from, _)| within(*from).map(|amount| amount.1).sum()).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn the_gate_decides_as_the_list_of_all_calls_does_and_no_true_minute_is_over_the_cap(
        // per arrival: pause, tokens asked, share of them used, calls left open before the oldest is settled
        arrivals in prop::collection::vec((0i64..9_000_000, 0u64..400, 0u64..=100, 0usize..6), 1..250),
    ) {
        let caps = Caps::of([(LimitKind::RequestsPerMinute, 15), (LimitKind::TokensPerMinute, 1_500)]);
        let mut gate = gate_of(caps);
        let mut calls: Vec<Call> = Vec::new();
        let mut now = noon();
        for (pause, asked, percent, left_open) in arrivals {
            now = later(now, pause);
            let tick = now.tick.0 as i64;
            let answer = gate.reserve(id(calls.len() as u64), &CLOUD, tokens(asked, 0), now);
            prop_assert_eq!(answer.is_ok(), model_admits(&calls, tick, asked, caps));
            match answer {
                Ok(()) => calls.push(Call { admitted: tick, asked, settled: None }),
                Err(refusal) if calls.iter().all(|call| call.settled.is_some()) => {
                    let wait = refusal.until().expect("a call is below the cap").unix_micros() - now.at.unix_micros();
                    prop_assert!(model_admits(&calls, tick + wait, asked, caps));
                    prop_assert!(!model_admits(&calls, tick + wait - 1, asked, caps));
                }
                Err(_) => {}
            }
            let open: Vec<usize> = (0..calls.len()).filter(|n| calls[*n].settled.is_none()).collect();
            for n in open.iter().take(open.len().saturating_sub(left_open)) {
                let used = calls[*n].asked * percent / 100;
                prop_assert!(gate.settle(id(*n as u64), Used::of_tokens(used), now), "it is open");
                calls[*n].settled = Some((tick, used));
            }
        }
        let requests: Vec<_> = calls.iter().map(|call| (call.admitted, 1)).collect();
        let settled: Vec<_> = calls.iter().filter_map(|call| call.settled).collect();
        prop_assert!(fullest_minute(&requests) <= 15);
        prop_assert!(fullest_minute(&settled) <= 1_500);
    }
}
