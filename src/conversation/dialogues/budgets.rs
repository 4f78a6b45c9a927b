//! Who may ask what of budgets, and which answer `/cost` is about.

use super::*;
use crate::conversation::{BudgetAsk, Group, MessageRef, Origin};

/// What a text leads to, in short.
fn asks(place: Place, admin: bool, in_group: bool, text: &str) -> String {
    let mut conversation = Conversation::new(Settings { place, ..settings() });
    let group = in_group.then(|| Group { team: "sales".into() });
    let person = Person { group, ..Person::new("111", admin) };
    match &conversation.step(Event::said(chat("1"), person, text), at(1))[..] {
        [Effect::Manage { request: Request::Budget(BudgetAsk::Show(None)), .. }] => "show".into(),
        [Effect::Manage { request: Request::Budget(BudgetAsk::Show(Some(_))), .. }] => "show one".into(),
        [Effect::Manage { request: Request::Budget(BudgetAsk::Change(_)), .. }] => "change".into(),
        effects => effects.iter().map(shown).collect::<Vec<_>>().join("; "),
    }
}

#[test]
fn everybody_sees_and_admins_change_where_nobody_reads_along() {
    let set = "/budget team:sales $5 day";
    for (admin, in_group, text, expected) in [
        (true, false, "/budget", "show"),
        (false, false, "/presupuesto", "show"),
        (false, true, "/orçamento", "show"),
        (true, false, "/budget team:sales", "show one"),
        (false, false, "/budget team:sales", "say admin_only"),
        (true, false, set, "change"),
        (true, true, set, "say private_only"),
        (false, false, set, "say admin_only"),
        (false, true, set, "say admin_only"),
        (true, false, "/budget nonsense", "say budget_mistake"),
        (false, false, "/budget nonsense", "say admin_only"),
    ] {
        assert_eq!(asks(Place::Chat, admin, in_group, text), expected, "{text}");
    }
    assert_eq!(asks(Place::Console, true, false, "/budget everything stop"), "change");
}

/// What `/cost` in reply to a question's answer is about: the tokens of that answer, or what is said.
fn cost(d: &mut Dialogue, about: Option<u64>) -> String {
    let message = |n: u64| MessageRef(n.to_string().into());
    let origin = Origin { about: about.map(message), ..Origin::of(message(999_999)) };
    let event =
        Event::Message { chat: chat("1"), person: d.person(), text: "/cost".into(), photos: Vec::new(), origin };
    match &d.conversation.step(event, at(d.secs))[..] {
        [Effect::Manage { request: Request::Cost { receipt, replied }, .. }] => {
            format!("{}{}", receipt.total_tokens.expect("counted"), if *replied { " of that one" } else { "" })
        }
        effects => effects.iter().map(shown).collect::<Vec<_>>().join("; "),
    }
}

#[test]
fn the_cost_of_the_latest_answers_is_remembered_by_the_message_that_asked() {
    let mut d = Dialogue::with(Settings { place: Place::Chat, ..settings() });
    assert_eq!(cost(&mut d, None), "say cost");
    assert_eq!(cost(&mut d, Some(1)), "say cost_forgotten");
    for n in 1..=201u64 {
        let origin = Origin::of(MessageRef(n.to_string().into()));
        let person = d.person();
        d.step(Event::Message { chat: chat("1"), person, text: "q".into(), photos: Vec::new(), origin });
        let outcome =
            AnswerOutcome { text: "a".into(), receipt: Some(receipt(1_000 + n)), instead: None, result: Ok(()) };
        d.step(Event::Answered { chat: chat("1"), job: JobId(n), outcome: Box::new(outcome) });
    }
    assert_eq!(cost(&mut d, None), "1201");
    assert_eq!(cost(&mut d, Some(2)), "1002 of that one");
    assert_eq!(cost(&mut d, Some(1)), "say cost_forgotten", "200 answers are remembered");
    d.says("/new");
    assert_eq!((cost(&mut d, None).as_str(), cost(&mut d, Some(201)).as_str()), ("say cost", "1201 of that one"));
}
