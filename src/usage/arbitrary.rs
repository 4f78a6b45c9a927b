//! Records for property tests: any legal record, over few names so that rows meet.

use proptest::prelude::*;

use super::names::Name;
use super::{
    Dimension, ErrorKind, Estimated, Failure, Given, KeySuffix, Kind, Money, Opening, RecordId, Status, SubjectId,
    Timestamp, TokenCounts, UsageRecord, UsageSource,
};

/// 2026-11-22T00:00:00Z.
pub(crate) const BASE_MICROS: i64 = 1_795_305_600_000_000;

fn name(prefix: &'static str) -> impl Strategy<Value = Name<'static>> {
    (0u8..3).prop_map(move |n| Name::from(format!("{prefix}-{n}")))
}

fn tokens() -> impl Strategy<Value = TokenCounts> {
    let count = prop_oneof![4 => 0u64..5000, 1 => any::<u64>()];
    (count.clone(), count, 0u64..900, 0u64..900, 0u64..900, 0u64..900).prop_map(
        |(prompt, completion, cached, cache_write, cache_write_1h, reasoning)| {
            TokenCounts { prompt, completion, cached, cache_write, cache_write_1h, reasoning }.made_consistent()
        },
    )
}

/// Any record of the week before [`BASE_MICROS`].
pub(crate) fn record() -> impl Strategy<Value = UsageRecord<'static>> {
    let identity = (any::<[u8; 10]>(), -7 * 86_400_000_000i64..0, -14i32..14, any::<bool>());
    let names = (name("provider"), name("model"), name("type"), proptest::option::of(name("feature")));
    let outcome = (
        proptest::sample::select(Status::ALL.to_vec()),
        proptest::sample::select(UsageSource::ALL.to_vec()),
        proptest::sample::select(ErrorKind::ALL.to_vec()),
        tokens(),
    );
    let rest = (
        proptest::option::of(0i128..10i128.pow(15)),
        proptest::option::of(0u64..200_000),
        proptest::option::of(0u8..5),
        (0u8..10, 1u64..4, any::<bool>()),
    );
    (identity, names, outcome, rest).prop_map(|(identity, names, outcome, rest)| {
        let at = Timestamp::new(BASE_MICROS + identity.1, identity.2 * 3600);
        let id = RecordId::new(at, identity.0);
        let mut record = UsageRecord::new(id, at, names.0, names.1);
        record.kind = if identity.3 && rest.3.0 == 0 { Kind::Void { of: id } } else { Kind::Usage };
        record.request_type = names.2;
        record.feature = names.3;
        (record.status, record.usage_source, record.tokens) = (outcome.0, outcome.1, outcome.3);
        record.failure = (!record.status.is_ok()).then(|| Failure::http(outcome.2, 500));
        record.cost = rest.0.map(Money::from_pico_usd);
        record.price_id = record.cost.map(|_| Name::from("p"));
        record.latency_ms = rest.1;
        record.first_token_ms = rest.1.map(|millis| millis / 3);
        record.user = rest.2.map(|n| SubjectId::of(b"pepper", "terminal", &n.to_string()));
        record.session = record.user;
        record.channel = Name::from(if rest.3.2 { "terminal" } else { "gateway" });
        record.local = rest.3.2;
        record.other = if rest.3.0 == 1 { vec![Dimension::Model] } else { Vec::new() };
        record.count = rest.3.1;
        record.source = (rest.3.0 == 2).then(|| Given { name: Name::from("s"), id: Name::from(id.to_string()) });
        record.estimated = rest.1.filter(|_| rest.3.2).map(|n| Estimated { prompt: n, output: n / 2 });
        record.api_key_suffix = KeySuffix::of_text("wxyz");
        record
    })
}

/// Any opening balance of the week before [`BASE_MICROS`], taking back or not.
pub(crate) fn opening() -> impl Strategy<Value = Opening> {
    let names = (name("provider"), name("model"), name("type"));
    let counts = (-9i64..99, -9i64..9, -500i64..9_000, -500i64..9_000);
    let rest = (
        proptest::option::of(-10i128.pow(12)..10i128.pow(15)),
        proptest::option::of(0u64..200_000),
        any::<bool>(),
        -7 * 86_400_000_000i64..0,
    );
    (names, counts, rest).prop_map(|(names, counts, (cost, latency, local, micros))| {
        let mut opening = Opening::new("elsewhere", Timestamp::new(BASE_MICROS + micros, 0), &names.0, &names.1);
        opening.request_type = names.2;
        (opening.ok, opening.failed, opening.prompt, opening.completion) = counts;
        (opening.cost_usd, opening.mean_latency_ms) = (cost.map(Money::from_pico_usd), latency);
        opening.local = local;
        opening
    })
}
