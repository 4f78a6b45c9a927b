//! The laws of the gate, on invented time: fixtures here, one file per kind of law.

mod acts;
mod caps;
mod days;
mod fold;
mod memory;
mod minute;
mod money;
mod precedence;
mod reserve;

use super::*;
use crate::usage::names::Name;
use crate::usage::{Now, RecordId, SubjectId, Tick, Timestamp, UsageRecord, Zone, zone};

/// A moment at which both clocks begin: a Sunday noon, UTC.
fn noon() -> Now {
    moment("2026-11-22T12:00:00Z", 1_000_000_000)
}

fn moment(at: &str, tick_micros: u64) -> Now {
    Now { at: Timestamp::parse(at).expect("a time"), tick: Tick(tick_micros) }
}

/// The moment `micros` later, on both clocks.
fn later(now: Now, micros: i64) -> Now {
    Now { at: now.at.plus_micros(micros), tick: Tick(now.tick.0.saturating_add_signed(micros)) }
}

fn id(number: u64) -> RecordId {
    RecordId(uuid::Uuid::from_u64_pair(7, number))
}

fn tokens(prompt: u64, output: u64) -> Estimate {
    Estimate { prompt, output, pico_usd: 0 }
}

fn rule(scope: Scope, caps: Caps) -> Rule {
    Rule::new(scope, caps, Zone::UTC)
}

fn gate(rules: Vec<Rule>) -> Gate {
    Gate::new(rules, ["cloud"])
}

/// A gate with one rule, for the provider `cloud`.
fn gate_of(caps: Caps) -> Gate {
    gate(vec![rule(Scope::provider("cloud"), caps)])
}

const CLOUD: Subject<'static> =
    Subject { provider: "cloud", model: "m", user: None, team: None, feature: None, key: None, channel: "api" };

/// The record of a call to `cloud` that used `prompt` tokens.
fn record(number: u64, at: Timestamp, latency_ms: u64, prompt: u64) -> UsageRecord<'static> {
    let mut record = UsageRecord::new(id(number), at, Name::from("cloud"), Name::from("m"));
    record.tokens.prompt = prompt;
    record.latency_ms = Some(latency_ms);
    record
}

const DOLLAR: u64 = 1_000_000_000_000;

/// Of everything but money per minute, which there is not.
fn caps_of_all(max: impl Fn(LimitKind) -> u64) -> Caps {
    Caps::of(LimitKind::ALL.map(|kind| (kind, max(kind))))
}

fn user(who: &str) -> Scope {
    Scope::everything().with(Facet::User, Pick::of(Facet::User, who))
}

fn by(who: &str) -> Subject<'_> {
    Subject { user: Some(who), ..CLOUD }
}

/// (used, reserved) of the only window of a kind.
fn standing(gate: &Gate, kind: LimitKind, now: Now) -> (u64, u64) {
    let windows = gate.windows(now);
    let window = windows.iter().find(|window| window.limit == kind).expect("such a window");
    (window.used, window.reserved)
}

fn person(number: u64) -> SubjectId {
    SubjectId::of(b"pepper", "telegram", &number.to_string())
}
