//! Reserve, then settle: all limits or none, nothing lost, nothing kept for ever.

use super::*;

fn roomy() -> Caps {
    Caps::of([(LimitKind::TokensPerMinute, 1_000), (LimitKind::TokensPerDay, 1_000)])
}

#[test]
fn a_call_is_booked_in_every_limit_that_means_it_or_in_none() {
    let everyone = rule(Scope::everything(), roomy().with(LimitKind::RequestsPerMinute, Some(Cap::At(100))));
    let tight = rule(Scope::provider("cloud"), Caps::of([(LimitKind::RequestsPerDay, 1)]));
    let team = Scope::everything().with(Facet::Team, Pick::parse("sales"));
    let mut gate = gate(vec![everyone, tight, rule(team, Caps::of([(LimitKind::TokensPerMinute, 50)]))]);
    let sales = Subject { team: Some("sales"), ..CLOUD };

    let refusal = gate.reserve(id(1), &sales, tokens(51, 0), noon()).expect_err("more than sales may");
    assert_eq!((refusal.label.to_string().as_str(), refusal.limit), ("team:sales", LimitKind::TokensPerMinute));
    assert!(gate.windows(noon()).iter().all(|window| (window.used, window.reserved) == (0, 0)));

    gate.reserve(id(2), &sales, tokens(50, 0), noon()).expect("fits everywhere");
    let before = gate.windows(noon());
    let refusal = gate.reserve(id(3), &CLOUD, tokens(1, 0), noon()).expect_err("one a day");
    assert_eq!(refusal.label.to_string(), "provider:cloud");
    assert_eq!(gate.windows(noon()), before);
    assert_eq!(gate.reserve(id(4), &Subject { provider: "local", ..CLOUD }, tokens(1, 0), noon()), Ok(()));
}

#[test]
fn where_several_limits_refuse_the_longest_wait_is_told() {
    let caps = Caps::of([(LimitKind::RequestsPerMinute, 1), (LimitKind::RequestsPerDay, 1)]);
    let mut gate = gate_of(caps);
    gate.reserve(id(1), &CLOUD, tokens(1, 1), noon()).expect("fits");
    let refusal = gate.reserve(id(2), &CLOUD, tokens(1, 1), noon()).expect_err("full");
    assert_eq!(refusal.limit, LimitKind::RequestsPerDay);
    assert_eq!(refusal.wait_ms(), Some(12 * 3_600_000));
    assert_eq!(refusal.to_string(), "`requests_per_day` of `provider:cloud` has no room: 1 of 1 used or reserved");
}

#[test]
fn where_only_calls_in_flight_are_in_the_way_the_refusal_says_so() {
    let held = |caps: Caps, used: u64| {
        let mut gate = gate_of(caps);
        gate.reserve(id(1), &CLOUD, tokens(used, 0), noon()).expect("fits");
        gate.settle(id(1), Used::of_tokens(used), noon());
        gate.reserve(id(2), &CLOUD, tokens(500, 0), noon()).expect("fits");
        let refusal = gate.reserve(id(3), &CLOUD, tokens(600, 0), noon()).expect_err("is full");
        gate.settle(id(2), Used::of_tokens(100), noon());
        let fits_then = gate.reserve(id(3), &CLOUD, tokens(600, 0), noon()).is_ok();
        (refusal.held, fits_then, refusal.limit)
    };
    let of = |kind: LimitKind| Caps::of([(kind, 1_000)]);
    for kind in [LimitKind::TokensPerDay, LimitKind::TokensPerMonth, LimitKind::TokensPrepaid] {
        assert_eq!(held(of(kind), 0), (true, true, kind));
        assert_eq!(held(of(kind), 300), (true, true, kind));
        assert_eq!(held(of(kind), 500), (false, false, kind), "what is left is less than the call");
    }
    let minute = LimitKind::TokensPerMinute;
    assert_eq!(held(of(minute), 0), (false, true, minute), "a minute is soon over anyway");
    let minute = LimitKind::RequestsPerMinute;
    let minute_as_well = of(LimitKind::TokensPerDay).with(minute, Some(Cap::At(2)));
    assert_eq!(held(minute_as_well, 0), (false, false, minute), "the day may have room before the minute is over");
}

#[test]
fn where_the_provider_itself_says_no_its_own_rules_say_what_happens_then() {
    let caps = Caps::of([(LimitKind::RequestsPerMinute, 9)]);
    let to_local = AtLimit::Fallback(Some("local".into()));
    let says = |scope, at_limit| Rule { at_limit, ..rule(scope, caps) };
    let of_all = says(Scope::everything(), Some(AtLimit::Wait));
    let silent =
        says(Scope::everything().with(Facet::Channel, Pick::parse("api")).with(Facet::Provider, Pick::Each), None);
    let own = says(Scope::provider("cloud"), Some(to_local.clone()));
    for (rules, expected) in [(vec![of_all.clone(), silent, own], Some(to_local)), (vec![of_all], None)] {
        let mut gate = gate(rules);
        let observed = Observed { model: Some("m"), retry_after_ms: Some(9_000), ..Observed::default() };
        gate.observe("cloud", observed, noon());
        let refusal = gate.reserve(id(1), &CLOUD, tokens(1, 1), noon()).expect_err("it asked to wait");
        assert_eq!((refusal.learned, refusal.at_limit), (true, expected));
        let labels = gate.labels(&CLOUD, noon());
        assert!(labels.contains(&refusal.label), "who waits for that model keeps the next one who asks for it");
        let other = Subject { model: "another", ..CLOUD };
        assert!(!gate.labels(&other, noon()).contains(&refusal.label));
        assert_eq!(gate.reserve(id(2), &other, tokens(1, 1), noon()), Ok(()));
    }
}

#[test]
fn an_open_call_counts_in_full_whatever_its_age_and_gives_back_what_it_did_not_use() {
    let mut gate = gate_of(roomy());
    gate.reserve(id(1), &CLOUD, tokens(400, 600), noon()).expect("fits exactly");
    let much_later = later(noon(), 3_000_000_000);
    assert!(gate.reserve(id(2), &CLOUD, tokens(1, 0), much_later).is_err());
    assert!(gate.settle(id(1), Used::of_tokens(300), much_later));
    assert!(!gate.settle(id(1), Used::of_tokens(300), much_later));
    assert_eq!(standing(&gate, LimitKind::TokensPerMinute, much_later), (300, 0));
    assert_eq!(gate.reserve(id(2), &CLOUD, tokens(700, 0), much_later), Ok(()));
}

#[test]
fn a_growing_answer_is_held_whether_it_fits_or_not_and_others_find_that_much_less() {
    let mut gate = gate_of(roomy());
    gate.reserve(id(1), &CLOUD, tokens(100, 100), noon()).expect("fits");
    gate.top_up(id(1), tokens(0, 799), noon());
    gate.top_up(id(2), tokens(0, 1), noon());
    assert_eq!(gate.reserve(id(3), &CLOUD, tokens(1, 0), noon()), Ok(()), "one was left");
    gate.cancel(id(3));
    gate.top_up(id(1), tokens(0, 104), noon());
    assert_eq!(standing(&gate, LimitKind::TokensPerDay, noon()), (0, 1_103));
    assert!(gate.reserve(id(3), &CLOUD, tokens(1, 0), noon()).is_err());
    gate.settle(id(1), Used::of_tokens(1_003), noon());
    assert_eq!(standing(&gate, LimitKind::TokensPerDay, noon()), (1_003, 0));
}

#[test]
fn a_call_that_was_never_sent_gives_its_request_back() {
    let mut gate = gate_of(
        roomy().with(LimitKind::RequestsPerMinute, Some(Cap::At(1))).with(LimitKind::RequestsPerDay, Some(Cap::At(1))),
    );
    gate.reserve(id(1), &CLOUD, tokens(9, 9), noon()).expect("fits");
    gate.reserve(id(1), &CLOUD, tokens(9, 9), noon()).expect("it is the same call");
    assert!(gate.cancel(id(1)));
    assert!(!gate.cancel(id(1)));
    assert!(gate.windows(noon()).iter().all(|window| (window.used, window.reserved) == (0, 0)));
    assert_eq!(gate.reserve(id(2), &CLOUD, tokens(9, 9), noon()), Ok(()));
}

#[test]
fn an_abandoned_reservation_comes_back_once_and_its_late_record_is_not_counted_twice() {
    let mut gate = gate_of(roomy().with(LimitKind::RequestsPerDay, Some(Cap::At(2))));
    gate.reserve(id(1), &CLOUD, tokens(1_000, 0), noon()).expect("fits");
    let max_age = RESERVATION_MAX_AGE_SECS as i64 * 1_000_000;
    assert_eq!(gate.expire(later(noon(), max_age - 1_000)), []);
    assert_eq!(gate.expire(later(noon(), max_age)), [id(1)]);
    assert_eq!(gate.expire(later(noon(), max_age + 1_000)), []);
    let late = later(noon(), max_age + 2_000_000);
    gate.top_up(id(1), tokens(0, 1), late);
    gate.reserve(id(2), &CLOUD, tokens(900, 0), late).expect("its tokens are back");
    gate.apply(&record(1, noon().at, 1, 70), late);
    assert_eq!(standing(&gate, LimitKind::RequestsPerDay, late), (2, 0));
    assert_eq!(standing(&gate, LimitKind::TokensPerDay, late), (70, 900));
}

#[test]
fn each_value_of_a_star_counts_apart_and_a_call_without_one_is_not_meant() {
    let scope = Scope::everything().with(Facet::User, Pick::Each);
    let mut gate = gate(vec![rule(scope, Caps::of([(LimitKind::RequestsPerMinute, 1)]))]);
    let of = |user| Subject { user, ..CLOUD };
    assert!(gate.reserve(id(1), &of(Some("ann")), tokens(1, 1), noon()).is_ok());
    assert!(gate.reserve(id(2), &of(Some("bob")), tokens(1, 1), noon()).is_ok());
    let refusal = gate.reserve(id(3), &of(Some("ann")), tokens(1, 1), noon()).expect_err("one each");
    assert_eq!(refusal.label.get(Facet::User), Some("ann"));
    assert!(gate.reserve(id(4), &of(None), tokens(1, 1), noon()).is_ok());
    assert!(gate.reserve(id(5), &of(None), tokens(1, 1), noon()).is_ok());
}

#[test]
fn windows_show_every_fixed_limit_and_the_fullest_few_of_a_star() {
    let each = Scope::everything().with(Facet::Feature, Pick::Each);
    let fixed = rule(Scope::provider("cloud"), Caps::of([(LimitKind::RequestsPerDay, 150)]));
    let mut gate = gate(vec![fixed, rule(each, roomy())]);
    assert_eq!(gate.windows(noon()).len(), 1);
    for n in 0..20u64 {
        let feature = format!("f{n:02}");
        gate.reserve(id(n), &Subject { feature: Some(&feature), ..CLOUD }, tokens(n, 0), noon()).expect("fits");
    }
    let windows = gate.windows(noon());
    assert_eq!(windows.len(), 1 + 2 * FULLEST_SHOWN);
    assert_eq!((windows[0].provider(), windows[0].used, windows[0].max), (Some("cloud"), 20, 150));
    assert_eq!((windows[1].label.to_string().as_str(), windows[1].reserved), ("feature:f19", 19));
    assert_eq!((windows[5].label.to_string().as_str(), windows[5].used), ("feature:f15", 0));
}

#[test]
fn asked_about_somebody_the_windows_show_theirs_however_full_those_of_others_are() {
    let by_channel = Scope::everything().with(Facet::User, Pick::Each).with(Facet::Channel, Pick::Each);
    let mut gate = gate(vec![rule(by_channel, Caps::of([(LimitKind::RequestsPerMinute, 99)]))]);
    let mut number = 0;
    for user in 0..20u64 {
        for _ in 0..=user {
            number += 1;
            let name = format!("u{user:02}");
            gate.reserve(id(number), &Subject { user: Some(&name), ..CLOUD }, tokens(1, 0), noon()).expect("fits");
        }
    }
    let seen = |windows: Vec<Window>| -> Vec<(String, u64)> {
        windows.iter().map(|window| (window.label.to_string(), window.used)).collect()
    };
    assert_eq!(seen(gate.windows(noon()))[0], ("user:u19 channel:api".to_owned(), 20));
    assert_eq!(seen(gate.windows_about(Facet::User, "u00", noon())), [("user:u00 channel:api".to_owned(), 1)]);
    assert_eq!(seen(gate.windows_about(Facet::User, "nobody", noon())), []);
    assert_eq!(gate.windows_about(Facet::Team, "sales", noon()), gate.windows(noon()), "no rule speaks of teams");
}
