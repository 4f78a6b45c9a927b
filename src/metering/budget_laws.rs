//! Budgets set while the door is open: durable first, in force when told, and the same after a start.

use std::sync::Arc;

use tempfile::TempDir;

use super::laws::{Moving, answered, call, rule, start, start_with};
use super::*;
use crate::limits::{Label, LimitKind, Rule};
use crate::settings::{BudgetChange, BudgetKey, Setting};

fn set(metering: &Metering, subject: &str, limit: LimitKind, change: BudgetChange) {
    let of = BudgetKey { subject: subject.to_owned(), limit: limit.to_string() };
    metering.set(&[Setting::Budget { of, change, by: None }]).expect("the disk takes it");
}

/// The windows of a kind: whose, used, reserved, cap.
fn windows(metering: &Metering, limit: LimitKind, now: Now) -> Vec<(String, u64, u64, u64)> {
    let windows = metering.windows(now).into_iter().filter(|window| window.limit == limit);
    let shown = |label: Label| label.to_string();
    windows.map(|window| (shown(window.label), window.used, window.reserved, window.max)).collect()
}

fn of_sales() -> Call {
    Call { team: Some("sales".into()), ..call() }
}

#[tokio::test]
async fn a_budget_set_in_the_middle_knows_all_before_it_and_is_the_same_after_a_start() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    let open = async |call: Call| metering.open(call, clock.now()).await;
    for _ in 0..3 {
        open(of_sales()).await.expect("admitted").finish(answered(), clock.now()).await;
    }
    open(call()).await.expect("admitted").finish(answered(), clock.now()).await;
    let in_flight = open(of_sales()).await.expect("admitted");

    let (tokens, usd) = (LimitKind::TokensPerMonth, LimitKind::UsdPrepaid);
    set(&metering, "team:sales", tokens, BudgetChange::Set { amount: 1_000_000, since: None });
    set(&metering, "team:sales", usd, BudgetChange::Set { amount: 1 << 60, since: None });
    let reserved = 10 + DEFAULT_OUTPUT_RESERVE;
    let sales = "team:sales".to_owned();
    assert_eq!(windows(&metering, tokens, clock.now()), [(sales.clone(), 36, reserved, 1_000_000)]);
    in_flight.finish(answered(), clock.now()).await;
    let counted = [(sales.clone(), 48, 0, 1_000_000)];
    assert_eq!(windows(&metering, tokens, clock.now()), counted);
    let records = crate::ledger::Folder::new(folder.path());
    let mut spent = 0;
    let add = |record: &UsageRecord<'_>| {
        let cost = record.cost.filter(|_| record.team.is_some()).unwrap_or_default();
        spent += cost.pico_usd();
    };
    records.for_each_record(add).expect("the books can be read");
    assert!(spent > 0);
    assert_eq!(windows(&metering, usd, clock.now())[0].1, u64::try_from(spent).expect("not so dear"));

    set(&metering, "team:sales", tokens, BudgetChange::Set { amount: 48, since: None });
    assert!(matches!(open(of_sales()).await, Err(Refused::Limit(refusal)) if refusal.limit == tokens));
    metering.close(clock.now()).expect("the books close");
    drop(metering);

    for lose_the_snapshot in [false, true] {
        if lose_the_snapshot {
            std::fs::remove_file(folder.path().join("metrics.json")).expect("it was written");
            let _there_or_not = std::fs::remove_file(folder.path().join("metrics.previous.json"));
        }
        let (again, _) = start(folder.path(), Durability::Kill, &clock);
        assert_eq!(windows(&again, tokens, clock.now()), [(sales.clone(), 48, 0, 48)]);
        assert_eq!(windows(&again, usd, clock.now())[0].1, u64::try_from(spent).expect("not so dear"));
        again.close(clock.now()).expect("the books close");
    }
    let rules = Rulebook::from(vec![super::laws::rule(1_000_000)]);
    let seen = look(folder.path(), rules.clone(), Vec::new(), &clock).expect("it can be read");
    assert!(seen.windows.iter().any(|window| window.limit == tokens && window.used == 48));
    let found = verify(folder.path(), &rules, clock.now().at, &mut |_| {}).expect("it can be read");
    assert!(found.findings.is_empty(), "{:?}", found.findings);
}

#[tokio::test]
async fn money_is_held_for_a_call_grows_with_it_and_is_settled_by_its_cost() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    set(&metering, "everything", LimitKind::UsdPerDay, BudgetChange::Set { amount: 1 << 60, since: None });
    let held = || windows(&metering, LimitKind::UsdPerDay, clock.now())[0].2;
    let mut permit = metering.open(call(), clock.now()).await.expect("admitted");
    let at_first = held();
    permit.saw_output(DEFAULT_OUTPUT_RESERVE + 10);
    assert!(0 < at_first && at_first < held(), "{at_first} then {}", held());
    let receipt = permit.finish(answered(), clock.now()).await;
    let cost = u64::try_from(receipt.cost.expect("a known model").pico_usd()).expect("not so dear");
    let (_, used, reserved, _) = windows(&metering, LimitKind::UsdPerDay, clock.now())[0];
    assert_eq!((used, reserved), (cost, 0));

    set(&metering, "everything", LimitKind::UsdPerDay, BudgetChange::Set { amount: cost, since: None });
    let local = Call { local: true, ..call() };
    assert!(matches!(metering.open(call(), clock.now()).await, Err(Refused::Limit(_))));
    metering.open(local, clock.now()).await.expect("what costs nothing passes").finish(answered(), clock.now()).await;
}

/// A door with caps of tokens a day, for all and for one team.
fn capped(folder: &TempDir, clock: &Arc<dyn Clock>, all: u64, sales: u64) -> Metering {
    let (metering, _) = start(folder.path(), Durability::Kill, clock);
    for (subject, amount) in [("everything", all), ("team:sales", sales)] {
        set(&metering, subject, LimitKind::TokensPerDay, BudgetChange::Set { amount, since: None });
    }
    metering
}

#[tokio::test]
async fn what_a_growing_answer_has_produced_is_held_at_every_limit_though_one_of_them_is_full() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let metering = capped(&folder, &clock, 20_000, 2_000);
    let mut growing = metering.open(of_sales(), clock.now()).await.expect("admitted");
    (0..=15_000).step_by(100).for_each(|seen| growing.saw_output(seen));
    let held = windows(&metering, LimitKind::TokensPerDay, clock.now()).into_iter().find(|it| it.0 == "everything");
    assert!(held.is_some_and(|(_, _, reserved, _)| reserved >= 15_000));
    let cap = Some(OutputCap { asked: Some(15_000), granted: Some(15_000) });
    let other = Call { output_cap: cap, fixed_cap: true, ..call() };
    assert!(
        matches!(metering.open(other, clock.now()).await, Err(Refused::Limit(_))),
        "15,000 and 15,000 are too much"
    );
}

#[tokio::test]
async fn one_large_piece_is_held_too() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let metering = capped(&folder, &clock, 10_000, 10_000);
    let mut growing = metering.open(call(), clock.now()).await.expect("admitted");
    growing.saw_output(12_000);
    assert!(matches!(metering.open(call(), clock.now()).await, Err(Refused::Limit(_))));
}

#[tokio::test]
async fn what_is_prepaid_and_used_up_is_told_as_that() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    let since = Some(clock.now().at.day());
    set(&metering, "everything", LimitKind::RequestsPrepaid, BudgetChange::Set { amount: 1, since });
    metering.open(call(), clock.now()).await.expect("one").finish(answered(), clock.now()).await;
    let refused = metering.open(call(), clock.now()).await.err().expect("no second one");
    let told = crate::models::endpoint::Fault::from(&refused);
    assert!(
        told.message().ends_with("; what is prepaid and used up does not come back by itself"),
        "{}",
        told.message()
    );
}

#[tokio::test]
async fn a_stopped_budget_refuses_at_once_however_long_the_answer_may_be() {
    let folder = TempDir::new().expect("a temporary folder");
    let clock: Arc<dyn Clock> = Arc::new(Moving::default());
    let (metering, _) = start(folder.path(), Durability::Kill, &clock);
    let tokens = LimitKind::TokensPerDay;
    set(&metering, "team:sales", tokens, BudgetChange::Set { amount: u64::MAX, since: None });
    let window = clock.now().at.day();
    set(&metering, "team:sales", tokens, BudgetChange::Stop { window });
    // Were its cap lowered by one for each try, this would not end.
    let output_cap = Some(OutputCap { asked: Some(u64::MAX / 4), granted: Some(u64::MAX / 4) });
    let refused = metering.open(Call { output_cap, ..of_sales() }, clock.now()).await;
    assert!(matches!(refused, Err(Refused::Limit(refusal)) if refusal.stopped));
}

#[tokio::test]
async fn the_record_of_a_refusal_says_whether_it_was_a_budget_or_a_rate_limit() {
    let refused_by = async |is_budget: bool, call: Call| {
        let folder = TempDir::new().expect("a temporary folder");
        let clock: Arc<dyn Clock> = Arc::new(Moving::default());
        let configured = Rule { budget: is_budget, ..rule(1) };
        let (metering, _) = start_with(folder.path(), Durability::Kill, &clock, vec![configured]);
        set(&metering, "team:sales", LimitKind::RequestsPerMonth, BudgetChange::Set { amount: 0, since: None });
        if call.team.is_none() {
            metering.open(call.clone(), clock.now()).await.expect("one a day").finish(answered(), clock.now()).await;
        }
        assert!(matches!(metering.open(call, clock.now()).await, Err(Refused::Limit(_))));
        metering.close(clock.now()).expect("the books close");
        let mut classes = Vec::new();
        let add = |record: &UsageRecord<'_>| classes.extend(record.failure.map(|failure| failure.kind));
        crate::ledger::Folder::new(folder.path()).for_each_record(add).expect("the books can be read");
        classes
    };
    assert_eq!(refused_by(false, call()).await, [ErrorKind::Limit]);
    assert_eq!(refused_by(true, call()).await, [ErrorKind::Budget]);
    assert_eq!(refused_by(false, of_sales()).await, [ErrorKind::Budget], "one made by `/budget`");
}
