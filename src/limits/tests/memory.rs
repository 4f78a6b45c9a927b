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
