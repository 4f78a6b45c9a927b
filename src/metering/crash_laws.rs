//! A call that a crash left open is booked as itself: under its own names, and at what its end would have cost.

use std::sync::Arc;

use tempfile::TempDir;

use super::laws::{Moving, answered, call, killed, start};
use super::*;
use crate::limits::{Label, LimitKind};
use crate::settings::{BudgetChange, BudgetKey, GatewayKey, Setting};
use crate::usage::KeySuffix;
use crate::usage::names::Name;

/// The only record of a folder.
fn the_record(folder: &Path) -> UsageRecord<'static> {
    let mut records = Vec::new();
    Folder::new(folder).for_each_record(|record| records.push(record.clone().into_owned())).expect("readable");
    assert_eq!(records.len(), 1, "{records:?}");
    records.remove(0)
}

/// What becomes of an open call: as it ends well, and as a crash ends it.
async fn ends_of(call: Call) -> (UsageRecord<'static>, UsageRecord<'static>) {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    let permit = metering.open(call, clock.now()).await.expect("admitted");
    let left = killed(folder.path());
    let ended = Outcome { tokens: TokenCounts::default(), usage_source: UsageSource::None, ..answered() };
    permit.finish(ended, clock.now()).await;
    let (_metering, found) = start(left.path(), Durability::Kill, &clock);
    assert_eq!(found.interrupted, 1);
    (the_record(folder.path()), the_record(left.path()))
}

#[tokio::test]
async fn an_interrupted_call_counts_for_its_own_key_and_no_other_whose_name_begins_alike() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    for name in ["mobile-backend", "mobile-backend-staging"] {
        metering.add_key(GatewayKey::example(name), Vec::new()).expect("the disk takes it");
        let of = BudgetKey { subject: format!("key:{name}"), limit: LimitKind::TokensPerDay.to_string() };
        let change = BudgetChange::Set { amount: 1_000_000, since: None };
        metering.set(&[Setting::Budget { of, change, by: None }]).expect("the disk takes it");
    }
    let of_staging = Call { key: Some("mobile-backend-staging".into()), prompt_tokens: 50_000, ..call() };
    let _open = metering.open(of_staging, clock.now()).await.expect("admitted");
    let left = killed(folder.path());
    let (metering, found) = start(left.path(), Durability::Kill, &clock);
    assert_eq!(found.interrupted, 1);
    assert_eq!(the_record(left.path()).key.as_deref(), Some("mobile-backend-staging"));
    let used = |label: &Label| label.to_string();
    let windows = metering.windows(clock.now()).into_iter().filter(|window| window.limit == LimitKind::TokensPerDay);
    let mut used: Vec<_> = windows.map(|window| (used(&window.label), window.used)).collect();
    used.sort();
    assert_eq!(used, [("key:mobile-backend".to_owned(), 0), ("key:mobile-backend-staging".to_owned(), 50_000)]);
}

#[tokio::test]
async fn an_interrupted_call_has_every_name_whole() {
    let name = |start: &str| Name::clean(&start.repeat(128));
    let long = Call {
        provider: name("p"),
        api_type: name("a"),
        model: name("m"),
        request_type: name("t"),
        channel: name("c"),
        feature: Some(name("f")),
        agent: Some(name("g")),
        operation: Some(name("o")),
        team: Some(name("ñ")),
        key: Some(name("k")),
        api_key_suffix: KeySuffix::of_text("wxyz"),
        ..call()
    };
    let (ended, interrupted) = ends_of(long).await;
    assert_eq!(interrupted.status, Status::Interrupted);
    let names = |record: UsageRecord<'static>| {
        let given = [record.provider, record.api_type, record.model, record.request_type, record.channel];
        let told = [record.feature, record.agent, record.operation, record.team, record.key];
        (given, told, record.api_key_suffix)
    };
    assert_eq!(names(interrupted), names(ended));
}

#[tokio::test]
async fn an_interrupted_call_that_is_free_is_recorded_as_free_as_one_that_ended() {
    let looks = Call {
        free: true,
        operation: Some("other".into()),
        ..Call::new("cloud", "openai", crate::usage::names::UNKNOWN, "gateway")
    };
    for (call, cost) in [(looks.clone(), Some("0")), (Call { free: false, ..looks }, None)] {
        let (ended, interrupted) = ends_of(call).await;
        let cost_of = |record: &UsageRecord<'_>| record.cost.map(|cost| cost.to_string());
        assert_eq!(cost_of(&interrupted).as_deref(), cost, "it may have been billed unless it is free");
        let known = |record: UsageRecord<'static>| (record.cost, record.price_id, record.usage_source);
        assert_eq!(known(interrupted), known(ended));
    }
    let (_, estimated) = ends_of(Call { free: true, ..call() }).await;
    assert_eq!((estimated.cost, estimated.price_id.as_deref()), (Some(crate::usage::Money::ZERO), Some("free")));
    assert_eq!((estimated.tokens.prompt, estimated.usage_source), (10, UsageSource::Estimated));
}
