//! The gate's memory is bounded, and what it saves says when it is not everything.

use super::*;

fn per_user(caps: Caps) -> Rule {
    rule(Scope::everything().with(Facet::User, Pick::Each), caps)
}

fn users(gate: &mut Gate, count: u64, now: Now) -> usize {
    let admitted = |n: &u64| {
        let user = format!("user{n}");
        gate.reserve(id(*n), &Subject { user: Some(&user), ..CLOUD }, tokens(1, 1), now).is_ok()
            && gate.settle(id(*n), Used::of_tokens(1), now)
    };
    (0..count).filter(admitted).count()
}

#[test]
fn idle_entries_are_dropped() {
    let mut gate = gate(vec![per_user(Caps::of([(LimitKind::RequestsPerMinute, 9)]))]);
    assert_eq!(users(&mut gate, 1_500, noon()), 1_500);
    gate.expire(later(noon(), 30_000_000));
    assert_eq!(gate.entry_count(), 1_500);
    for second in 61..64 {
        gate.expire(later(noon(), second * 1_000_000));
    }
    assert_eq!(gate.entry_count(), 0);
    assert_eq!(users(&mut gate, 3, later(noon(), 70_000_000)), 3);
}

#[test]
fn what_is_left_of_a_held_call_is_what_is_left_for_its_subject() {
    let caps = Caps::of([(LimitKind::RequestsPerMinute, 9), (LimitKind::TokensPerDay, 500)]);
    let mut gate = gate(vec![per_user(caps), rule(Scope::provider("cloud"), caps_of_all(|_| 1_000))]);
    let mut dropped_at = noon();
    for (n, pause) in [0, 1, 30, 65, 43_200, 86_400].into_iter().enumerate() {
        let now = later(dropped_at, pause * 1_000_000);
        let subject = by("ana");
        gate.reserve(id(n as u64), &subject, tokens(40, 20), now).expect("it fits");
        let held = gate.held(id(n as u64)).expect("it is open");
        assert_eq!(gate.left_of(&held, now), Some(gate.left(&subject, now)), "open, {n}");
        gate.settle(id(n as u64), Used::of_tokens(50), now);
        assert!(gate.held(id(n as u64)).is_none());
        let next_day = later(now, 13 * 3_600_000_000);
        for at in [now, later(now, 61_000_000), next_day] {
            assert_eq!(gate.left_of(&held, at), Some(gate.left(&subject, at)), "settled, {n}");
        }
        // Days later its counts are gone, and the numbers of their entries are somebody else's.
        dropped_at = later(now, 40 * 86_400_000_000);
        gate.expire(dropped_at);
        gate.left(&by("bob"), dropped_at);
        assert_eq!(gate.left_of(&held, dropped_at), None, "dropped, {n}");
    }
    let now = dropped_at;
    gate.reserve(id(99), &by("ana"), tokens(1, 1), now).expect("it fits");
    let held = gate.held(id(99)).expect("it is open");
    let learning = gate.learn(rule(user("ana"), Caps::of([(LimitKind::RequestsPerDay, 3)])), now);
    gate.learnt(learning, now);
    assert_eq!(gate.left_of(&held, now), None, "a rule was made");
    let held = gate.held(id(99)).expect("it is open");
    assert_eq!(gate.left_of(&held, now), Some(gate.left(&by("ana"), now)));
}

#[test]
fn names_beyond_the_bound_share_one_count() {
    let mut gate = gate(vec![per_user(Caps::of([(LimitKind::RequestsPerMinute, 2)]))]).with_entries_max(10);
    assert_eq!(users(&mut gate, 100, noon()), 10 + 2);
    assert_eq!(gate.entry_count(), 11);
}

#[test]
fn a_saved_state_that_is_not_whole_is_not_taken() {
    let daily = Caps::of([(LimitKind::RequestsPerDay, 9)]);
    let fixed = || rule(Scope::provider("cloud"), daily);
    let mut small = gate(vec![fixed()]);
    users(&mut small, 3, noon());
    let saved = small.save(noon());

    assert!(!gate(vec![fixed(), per_user(daily)]).restore(&saved, noon())); // a rule is missing
    assert!(gate(vec![]).restore(&saved, noon())); // an unknown rule is dropped
    assert!(!gate(vec![fixed()]).restore(&serde_json::json!({"v": 1}), noon()));
    let raised = rule(Scope::provider("cloud"), Caps::of([(LimitKind::RequestsPerDay, 99)]));
    let mut raised = gate(vec![raised]);
    assert!(raised.restore(&saved, noon()));
    assert_eq!(standing(&raised, LimitKind::RequestsPerDay, noon()), (3, 0));

    let mut many = gate(vec![per_user(daily)]);
    users(&mut many, SAVED_ENTRIES_MAX as u64, noon());
    assert!(gate(vec![per_user(daily)]).restore(&many.save(noon()), noon()));
    users(&mut many, SAVED_ENTRIES_MAX as u64 + 1, noon());
    let mut other = gate(vec![per_user(daily)]);
    assert!(!other.restore(&many.save(noon()), noon()));
    assert_eq!(other.entry_count(), 0);
}

#[test]
fn only_matching_rules_are_touched_among_many() {
    let fixed = |n: u64| {
        let scope = Scope::provider("cloud").with(Facet::User, Pick::Only(format!("user{n}").into()));
        rule(scope, Caps::of([(LimitKind::RequestsPerMinute, 1)]))
    };
    let mut gate = gate((0..1_000).map(fixed).collect());
    assert_eq!(users(&mut gate, 1_100, noon()), 1_100);
    assert_eq!(gate.entry_count(), 1_000);
    assert_eq!(users(&mut gate, 1_100, noon()), 100);
}
