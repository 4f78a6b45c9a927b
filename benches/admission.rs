//! What a call costs at the gate: admitted in every limit that means it and settled with what it used, with a thousand
//! limits and a hundred thousand people. The estimate of its tokens is not in it.
//!
//! `cargo bench --bench admission`

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tallybot::limits::{Caps, Estimate, Facet, Gate, LimitKind, Pick, Rule, Scope, Subject, Used};
use tallybot::usage::{Now, RecordId, SubjectId, Tick, Timestamp, Zone};

const PEOPLE: usize = 100_000;
const LIMITS: usize = 1_000;
const MUCH: u64 = 1 << 60;

fn rule(picks: &[(Facet, &str)], kinds: &[LimitKind]) -> Rule {
    let scope =
        picks.iter().fold(Scope::everything(), |scope, (facet, value)| scope.with(*facet, Pick::of(*facet, value)));
    Rule::new(
        scope,
        Caps::of(kinds.iter().map(|kind| (*kind, MUCH))),
        Zone::named("America/Mexico_City").expect("a zone"),
    )
}

/// Limits of two providers, of everything and of every person, of teams, features and keys; the rest name one person
/// each.
fn rules(people: &[String]) -> Vec<Rule> {
    use LimitKind::{RequestsPerDay, RequestsPerMinute, TokensPerMinute, UsdPerDay, UsdPerMonth};
    let of_provider = [RequestsPerMinute, RequestsPerDay, TokensPerMinute];
    let mut rules = vec![
        rule(&[(Facet::Provider, "cloud")], &of_provider),
        rule(&[(Facet::Provider, "local")], &of_provider),
        rule(&[], &[UsdPerDay, UsdPerMonth]),
        rule(&[(Facet::User, "*")], &[RequestsPerMinute, UsdPerDay]),
    ];
    for n in 0..30 {
        rules.push(rule(&[(Facet::Team, &format!("team-{n}"))], &[UsdPerMonth]));
        rules.push(rule(&[(Facet::Feature, &format!("feature-{n}"))], &[RequestsPerDay]));
        rules.push(rule(&[(Facet::Key, &format!("key-{n}"))], &of_provider));
    }
    let named = people.iter().take(LIMITS - rules.len());
    rules.extend(named.map(|person| rule(&[(Facet::User, person)], &[UsdPerDay])));
    assert_eq!(rules.len(), LIMITS);
    rules
}

/// Calls of people in no order, a millisecond apart.
struct Calls {
    people: Vec<String>,
    chance: u64,
    made: u64,
}

/// One call: who makes it is known, and so is its id.
struct Call {
    id: RecordId,
    user: String,
    now: Now,
}

impl Calls {
    fn next(&mut self) -> Call {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.of((self.chance >> 33) as usize % PEOPLE)
    }

    fn of(&mut self, person: usize) -> Call {
        self.made += 1;
        let at = Timestamp::new(1_795_305_600_000_000 + self.made as i64 * 1_000, -21_600);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.made.to_le_bytes());
        let now = Now { at, tick: Tick(1_000_000 + self.made * 1_000) };
        Call { id: RecordId::new(at, random), user: self.people[person].clone(), now }
    }
}

fn admit_and_settle(gate: &mut Gate, call: &Call) {
    let subject = Subject {
        provider: "cloud",
        model: "gpt-4o",
        user: Some(&call.user),
        team: Some("team-7"),
        feature: Some("feature-7"),
        key: None,
        channel: "telegram",
    };
    let estimate = Estimate { prompt: 400, output: 1_024, pico_usd: 11_240_000_000 };
    gate.reserve(call.id, black_box(&subject), estimate, call.now).expect("there is room");
    assert!(gate.settle(call.id, black_box(Used { tokens: 700, pico_usd: 4_000_000_000 }), call.now));
}

fn admission(criterion: &mut Criterion) {
    let people: Vec<String> =
        (0..PEOPLE).map(|n| SubjectId::of(b"bench", "telegram", &n.to_string()).to_string()).collect();
    let mut gate = Gate::new(rules(&people), ["cloud", "local"]);
    let mut calls = Calls { people, chance: 7, made: 0 };
    (0..PEOPLE).for_each(|person| admit_and_settle(&mut gate, &calls.of(person)));
    criterion.bench_function("admitted and settled, 1,000 limits, 100,000 people", |bencher| {
        bencher.iter_batched_ref(|| calls.next(), |call| admit_and_settle(&mut gate, call), BatchSize::SmallInput);
    });
}

criterion_group!(benches, admission);
criterion_main!(benches);
