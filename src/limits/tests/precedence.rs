//! A rule that names a value goes before the `*` for it; guests share one pool.

use super::*;

fn per_day(max: u64) -> Caps {
    Caps::of([(LimitKind::RequestsPerDay, max)])
}

/// So many of ten calls pass.
fn passing(gate: &mut Gate, first: u64, subject: &Subject<'_>) -> usize {
    (0..10).filter(|n| gate.reserve(id(first + n), subject, tokens(1, 1), noon()).is_ok()).count()
}

fn people(rules: Vec<Rule>) -> Gate {
    let people = ["owner".into()].into();
    Gate::new(Rulebook { rules, people, ..Rulebook::default() }, ["cloud"])
}

#[test]
fn a_number_caps_nothing_refuses_unlimited_lifts_and_silence_leaves_the_default() {
    let unlimited = Caps::default().with(LimitKind::RequestsPerDay, Some(Cap::Unlimited));
    let silent = Caps::of([(LimitKind::TokensPerDay, 1_000_000)]);
    let named = [("ann", per_day(7)), ("bob", per_day(0)), ("cid", unlimited), ("dan", silent)];
    let mut rules = vec![rule(user("*"), per_day(3))];
    rules.extend(named.iter().map(|(who, caps)| rule(user(who), *caps)));
    let mut gate = gate(rules);
    let passed =
        ["ann", "bob", "cid", "dan", "eve"].map(|who| passing(&mut gate, u64::from(who.as_bytes()[0]) * 10, &by(who)));
    assert_eq!(passed, [7, 0, 10, 3, 3]);
    let mut shown: Vec<String> = gate
        .windows(noon())
        .iter()
        .filter(|window| window.limit == LimitKind::RequestsPerDay)
        .map(|window| format!("{} {}/{}", window.label, window.used, window.max))
        .collect();
    shown.sort();
    assert_eq!(shown, ["user:ann 7/7", "user:bob 0/0", "user:dan 3/3", "user:eve 3/3"]);
}

#[test]
fn rules_of_other_facets_hold_beside_it_and_the_narrower_of_two_goes_first() {
    let of = |who: &str, model: &str| user(who).with(Facet::Model, Pick::parse(model));
    let mut gate = gate(vec![
        rule(of("*", "*"), per_day(2)),
        rule(of("ann", "*"), per_day(9)),
        rule(of("*", "m"), per_day(5)),
        rule(of("bob", "m"), per_day(8)),
        rule(user("cid"), per_day(1)),
    ]);
    let other = |who| Subject { model: "other", ..by(who) };
    assert_eq!(passing(&mut gate, 100, &other("eve")), 2);
    assert_eq!(passing(&mut gate, 200, &other("ann")), 9);
    assert_eq!(passing(&mut gate, 300, &by("ann")), 5, "of two that name as much, both hold");
    assert_eq!(passing(&mut gate, 400, &by("bob")), 8);
    assert_eq!(passing(&mut gate, 500, &by("cid")), 1, "who is limited in all is limited with every model");
}

#[test]
fn guests_share_one_pool_and_each_has_the_default_beside_it() {
    let mut gate = people(vec![
        rule(user("guests"), per_day(6)),
        rule(user("*"), per_day(4)),
        rule(user("ann").with(Facet::Model, Pick::parse("other")), per_day(1)),
    ]);
    assert_eq!(passing(&mut gate, 100, &by("owner")), 4);
    assert_eq!(passing(&mut gate, 200, &by("ann")), 4, "some rule names her");
    assert_eq!(passing(&mut gate, 300, &by("guest-1")), 4);
    assert_eq!(passing(&mut gate, 400, &by("guest-2")), 2, "the pool is empty");
    assert_eq!(passing(&mut gate, 500, &CLOUD), 10, "nobody is no guest");
    let refusal = gate.reserve(id(600), &by("guest-3"), tokens(1, 1), noon()).expect_err("the pool is empty");
    assert_eq!(refusal.label.to_string(), "user:guests");
    let about = |who| {
        let windows = gate.windows_about(Facet::User, who, noon());
        windows.iter().map(|window| window.label.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(about("guest-2"), ["user:guests", "user:guest-2"]);
    assert_eq!(about("owner"), ["user:owner"]);
}

#[test]
fn a_thousand_named_people_leave_the_default_to_all_others() {
    let mut rules: Vec<Rule> = (0..1_000).map(|n| rule(user(&format!("user{n}")), per_day(2))).collect();
    rules.push(rule(user("*"), per_day(1)));
    let mut gate = gate(rules);
    assert_eq!(passing(&mut gate, 0, &by("user999")), 2);
    assert_eq!(passing(&mut gate, 100, &by("user1000")), 1);
}
