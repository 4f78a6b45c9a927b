//! What is said of budgets and costs.

use super::tests::{at, receipts, templates};
use super::*;
use crate::conversation::commands::{BotNames, Command, Input, Place, parse};
use crate::conversation::{
    BudgetAsk, BudgetChangedView, BudgetLine, BudgetMistakeView, BudgetRemark, BudgetsView, CostView,
};
use crate::limits::LimitKind;
use crate::reports::NearlyFull;
use crate::usage::Timestamp;

const USD: u64 = 1_000_000_000_000;

fn line() -> BudgetLine {
    BudgetLine {
        subject: "team:sales".into(),
        own: None,
        limit: LimitKind::UsdPerDay,
        used: 6 * USD / 5,
        reserved: 0,
        max: Some(5 * USD),
        left: Some(19 * USD / 5),
        permille: 240,
        resets_at: Some(at(35_800)),
        resets_in_seconds: Some(35_800),
        raised_by: 0,
        paused: false,
        stopped: false,
        muted: false,
        each: false,
    }
}

fn lines() -> Vec<BudgetLine> {
    let own = BudgetLine {
        subject: "user:111".into(),
        own: Some("user"),
        limit: LimitKind::TokensPerMonth,
        used: 198_000,
        max: Some(200_000),
        left: Some(2_000),
        permille: 990,
        resets_at: Some(at(727_000)),
        resets_in_seconds: Some(727_000),
        ..line()
    };
    let marked = BudgetLine { raised_by: USD, paused: true, stopped: true, muted: true, ..line() };
    let prepaid = BudgetLine { limit: LimitKind::UsdPrepaid, resets_at: None, resets_in_seconds: None, ..line() };
    let each = BudgetLine { subject: "user:*".into(), each: true, ..line() };
    let endless = BudgetLine { limit: LimitKind::RequestsPerWeek, max: None, left: None, ..line() };
    vec![own, line(), marked, prepaid, each, endless]
}

fn changes() -> Vec<BudgetChangedView> {
    let set = BudgetChangedView {
        deed: "set",
        subject: "team:sales".into(),
        limit: LimitKind::UsdPerDay,
        before: None,
        after: Some(5 * USD),
        used: Some(31 * USD / 5),
        full: true,
        resets_at: Some(at(35_800)),
        resets_in_seconds: Some(35_800),
        remark: Some(BudgetRemark::NotSeen),
        now: at(0),
    };
    let done = |deed| BudgetChangedView { deed, used: None, full: false, remark: None, ..set.clone() };
    let raised = BudgetChangedView {
        limit: LimitKind::TokensPerDay,
        before: Some(200_000),
        after: Some(240_000),
        used: Some(90_000),
        remark: Some(BudgetRemark::NotSpoken),
        ..done("raised")
    };
    let rest = ["unlimited", "paused", "resumed", "stopped", "muted", "removed"].map(done);
    [set, raised].into_iter().chain(rest).collect()
}

fn mistakes() -> Vec<BudgetMistakeView> {
    let about = |(problem, word): (&'static str, &str)| BudgetMistakeView::new(problem, word.into());
    let words = [
        ("word", "colour:red"),
        ("whose", ""),
        ("how_much", ""),
        ("of_what", "200k"),
        ("how_long", "$5"),
        ("no_money_per_minute", "$5"),
        ("two_ways", "1,500"),
        ("not_whole", "1.5"),
        ("too_much", "$99999999"),
        ("unknown", "vacuum"),
        ("person", "ana"),
        ("too_many", "team:it"),
    ];
    let mut all: Vec<BudgetMistakeView> = words.map(about).into();
    all.push(BudgetMistakeView { suggestion: Some("cloud".into()), ..about(("unknown", "clod")) });
    for problem in ["no_budget", "no_cap", "nothing"] {
        all.push(BudgetMistakeView { typed: Some("/budget team:it".into()), ..about((problem, "")) });
    }
    let choices = LimitKind::ALL.to_vec();
    all.push(BudgetMistakeView { typed: Some("/budget user:111 +20%".into()), choices, ..about(("which", "")) });
    all
}

pub(super) fn messages() -> Vec<Message> {
    let view =
        |admin, budgets, more| BudgetsView { admin, group: false, budgets, more, limits: Vec::new(), now: at(0) };
    let full = NearlyFull { name: "github".into(), own: None, full: true, back_in_seconds: Some(25_200) };
    let mut all = vec![
        Message::Budgets(view(true, lines(), 3)),
        Message::Budgets(BudgetsView { limits: vec![full], ..view(false, vec![lines()[0].clone()], 0) }),
        Message::Budgets(view(true, Vec::new(), 0)),
        Message::Budgets(view(false, Vec::new(), 0)),
        Message::Budgets(BudgetsView { group: true, ..view(false, Vec::new(), 0) }),
    ];
    all.extend(changes().into_iter().map(Message::BudgetChanged));
    all.extend(mistakes().into_iter().map(Message::BudgetMistake));
    let cost = |receipt| CostView { receipt, replied: false, budgets: Vec::new() };
    all.extend(receipts().map(|receipt| Message::Cost(Some(cost(receipt)))));
    let [_, paid, ..] = receipts();
    all.push(Message::Cost(Some(CostView { replied: true, budgets: lines()[..2].to_vec(), ..cost(paid) })));
    all.extend([Message::Cost(None), Message::CostForgotten]);
    all
}

/// What a person would copy out of a text: everything from a command to the end of its line.
fn typed(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.find("/budget ").map(|at| line[at..].trim_end_matches('.')))
}

#[test]
fn every_example_of_a_budget_can_be_typed_as_it_stands() {
    let renderer = TemplateRenderer::new(templates());
    let names = BotNames { name: "Raymundo".into(), handles: Vec::new() };
    let mut seen = 0;
    for lang in Lang::ALL {
        for message in mistakes().into_iter().map(Message::BudgetMistake).chain(messages()) {
            let text = renderer.render(lang, &message);
            for typed in typed(&text) {
                let read = parse(typed, &names, Place::Chat, true);
                let is_order = matches!(read, Input::Command(Command::Budget(BudgetAsk::Change(_))));
                assert!(is_order, "{lang}: `{typed}` is {read:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn until_when_is_said_with_the_article_of_the_language() {
    let renderer = TemplateRenderer::new(templates());
    let day = Timestamp::parse("2026-12-01T00:00:00-06:00").expect("a time");
    for (lang, on_that_day, today) in [
        (Lang::En, "until 1 Dec 2026, 00:00", "until 23:59"),
        (Lang::Es, "hasta el 1 dic 2026, 00:00", "hasta las 23:59"),
        (Lang::Pt, "até 1º dez. 2026, 00:00", "até as 23:59"),
        (Lang::Fr, "avant le 1er déc. 2026, 00:00", "avant 23:59"),
    ] {
        let late = Timestamp::parse("2026-11-22T23:59:00-06:00").expect("a time");
        for (resets_at, expected) in [(day, on_that_day), (late, today)] {
            for deed in ["stopped", "muted"] {
                let change = BudgetChangedView { deed, resets_at: Some(resets_at), now: at(0), ..changes()[0].clone() };
                let text = renderer.render(lang, &Message::BudgetChanged(change)).replace('\u{a0}', " ");
                assert!(text.contains(expected), "{lang}: {text}");
            }
        }
    }
}

#[test]
fn an_order_is_offered_in_one_language_and_means_the_same_in_each() {
    let renderer = TemplateRenderer::new(templates());
    let names = BotNames { name: "Raymundo".into(), handles: Vec::new() };
    let limit = LimitKind::TokensPerDay;
    for deed in ["+20%", "unlimited", "pause", "resume", "stop", "mute", "remove"] {
        for subject in ["user:owner", "provider:cloud user:111", "everything"] {
            let order = format!("/budget {subject} {deed}");
            let which = BudgetMistakeView { typed: Some(order.clone()), ..BudgetMistakeView::new("which", "".into()) };
            let which = Message::BudgetMistake(BudgetMistakeView { choices: vec![limit], ..which });
            let meant = parse(&format!("{order} tokens day"), &names, Place::Chat, true);
            for lang in Lang::ALL {
                let text = renderer.render(lang, &which);
                let offered = typed(&text).next().expect("an order");
                assert_eq!(parse(offered, &names, Place::Chat, true), meant, "{lang}: {offered}");
                let is_english = |word: &&str| !word.starts_with("/budget") && order.split(' ').any(|own| own == *word);
                let kept = ["+20%", "pause"]; // a word that is the same in French
                let mixed = offered.split(' ').filter(is_english).find(|word| !kept.contains(word));
                assert!(lang == Lang::En || mixed.is_none(), "{lang}: {offered}");
            }
        }
    }
}

#[test]
fn the_words_for_a_kind_of_budget_are_read_as_that_kind() {
    let renderer = TemplateRenderer::new(templates());
    let names = BotNames { name: "Raymundo".into(), handles: Vec::new() };
    for lang in Lang::ALL {
        for limit in LimitKind::ALL {
            let typed_before = Some("/budget team:sales +20%".to_owned());
            let which = BudgetMistakeView::new("which", "".into());
            let which = BudgetMistakeView { typed: typed_before, choices: vec![limit], ..which };
            let text = renderer.render(lang, &Message::BudgetMistake(which));
            let line = typed(&text).next().expect("a choice");
            let Input::Command(Command::Budget(BudgetAsk::Change(order))) = parse(line, &names, Place::Chat, true)
            else {
                panic!("{lang}: {line}")
            };
            assert_eq!((order.measure, order.span), (Some(limit.measure()), Some(limit.span())), "{lang}: {line}");
        }
    }
}
