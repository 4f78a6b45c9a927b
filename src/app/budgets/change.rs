//! What an order does to which budget: the act, and what there was before and is after it. Pure.

use super::known::{Budgets, key};
use crate::conversation::{BudgetMistakeView, BudgetOrder, By, Deed, Misread};
use crate::limits::{Cap, LimitKind, Span};
use crate::settings::{BudgetChange, BudgetKey};
use crate::usage::{Day, Timestamp};

/// Whose budget an order is about, in its three forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whose {
    /// As in a label: people by their subject ids.
    pub(super) subject: String,
    /// As people are shown it.
    pub(super) shown: String,
    /// As it is typed.
    pub(super) typed: String,
}

/// A change that is about to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) limit: LimitKind,
    pub(super) of: BudgetKey,
    pub(super) changes: Vec<BudgetChange>,
    /// The name of the deed.
    pub(super) deed: &'static str,
    /// Caps before and after, raises included; `None` for no end.
    pub(super) before: Option<u64>,
    pub(super) after: Option<u64>,
}

/// Finds the budget that an order means, and what is to be written.
///
/// # Errors
/// When no budget is meant, or several, or the deed does not fit it.
pub(super) fn change(
    order: &BudgetOrder,
    whose: &Whose,
    budgets: &Budgets,
    now: Timestamp,
) -> Result<Change, BudgetMistakeView> {
    let limit = limit_of(order, whose, budgets)?;
    let subject = whose.subject.as_str();
    let (window, _) = budgets.window(subject, limit, now);
    let (cap, acts) = (budgets.cap(subject, limit), budgets.acts(subject, limit));
    let raised = acts.raised.filter(|(of, _)| *of == window).map_or(0, |(_, by)| by);
    let at = |cap: Option<Cap>| match cap {
        Some(Cap::At(cap)) => Some(cap),
        Some(Cap::Unlimited) | None => None,
    };
    let before = at(cap).map(|cap| cap.saturating_add(raised));
    let problem =
        |name| Err(BudgetMistakeView { typed: Some(typed(whose)), ..BudgetMistakeView::new(name, "".into()) });
    let (changes, deed, after) = match order.deed {
        Deed::Set { amount, .. } => {
            let is_prepaid = limit.span() == Span::Prepaid;
            let since = is_prepaid.then(|| prepaid_since(budgets, subject, limit, now)).flatten();
            (vec![BudgetChange::Set { amount, since }], "set", Some(amount))
        }
        Deed::Unlimited => (vec![BudgetChange::Unlimited], "unlimited", None),
        Deed::Raise(by) => {
            let Some(Cap::At(1..)) = cap else { return problem("no_cap") };
            let by = raise_by(by, before.unwrap_or_default(), limit)?;
            (vec![BudgetChange::Raise { window, by }], "raised", before.map(|before| before.saturating_add(by)))
        }
        Deed::Pause => (vec![BudgetChange::Pause], "paused", before),
        Deed::GoOn => {
            let resume = acts.paused.then_some(BudgetChange::Resume);
            let unstop = (acts.stopped == Some(window)).then_some(BudgetChange::Unstop);
            let changes: Vec<BudgetChange> = resume.into_iter().chain(unstop).collect();
            if changes.is_empty() {
                return problem("nothing");
            }
            (changes, "resumed", before)
        }
        Deed::Stop => (vec![BudgetChange::Stop { window }], "stopped", before),
        Deed::Mute => (vec![BudgetChange::Mute { window }], "muted", before),
        Deed::Remove if acts.set.is_none() && raised == 0 => {
            let is_held = acts.paused || acts.stopped == Some(window);
            if !is_held && acts.muted != Some(window) {
                return problem("nothing");
            }
            (vec![BudgetChange::Remove], if is_held { "resumed" } else { "removed" }, before)
        }
        Deed::Remove => (vec![BudgetChange::Remove], "removed", at(budgets.configured(subject, limit))),
    };
    Ok(Change { limit, of: key(subject, limit), changes, deed, before, after })
}

/// A prepaid budget that is there goes on counting from where it did; a new one begins today. `None` is the beginning of
/// the books.
fn prepaid_since(budgets: &Budgets, subject: &str, limit: LimitKind, now: Timestamp) -> Option<Day> {
    match budgets.cap(subject, limit) {
        Some(_) => budgets.calendar(subject, limit).1,
        None => Some(budgets.today(now)),
    }
}

/// So many hundredths of a cap, and one at least: what it is raised by.
pub(in crate::app) fn share_of(cap: u64, percent: impl Into<u128>) -> u64 {
    u64::try_from(u128::from(cap) * percent.into() / 100).unwrap_or(u64::MAX).max(1)
}

fn raise_by(by: By, cap: u64, limit: LimitKind) -> Result<u64, BudgetMistakeView> {
    match by {
        By::Percent(percent) => Ok(share_of(cap, percent)),
        By::Amount(number) => {
            let amount = number.amount(limit.measure());
            amount.map_err(|problem| BudgetMistakeView::new(Misread::Amount(problem).as_str(), "".into()))
        }
    }
}

/// Which budget is meant: the one that is named, or the only one there is.
fn limit_of(order: &BudgetOrder, whose: &Whose, budgets: &Budgets) -> Result<LimitKind, BudgetMistakeView> {
    if let Deed::Set { limit, .. } = order.deed {
        return Ok(limit);
    }
    let is_said = |limit: &LimitKind| {
        order.measure.is_none_or(|measure| measure == limit.measure())
            && order.span.is_none_or(|span| span == limit.span())
    };
    let mut choices: Vec<LimitKind> = budgets.kinds(&whose.subject).filter(is_said).collect();
    if choices.is_empty() && order.deed == Deed::Unlimited {
        choices = LimitKind::ALL.into_iter().filter(is_said).collect(); // it may lift a default that is to come
    }
    match choices[..] {
        [only] => Ok(only),
        [] => Err(none_of(whose)),
        _ => {
            let typed = Some(format!("{} {}", typed(whose), deed_words(order.deed)));
            Err(BudgetMistakeView { typed, choices, ..BudgetMistakeView::new("which", "".into()) })
        }
    }
}

/// That they have none, and how it is set.
pub(super) fn none_of(whose: &Whose) -> BudgetMistakeView {
    BudgetMistakeView { typed: Some(typed(whose)), ..BudgetMistakeView::new("no_budget", "".into()) }
}

fn typed(whose: &Whose) -> String {
    format!("/budget {}", whose.typed)
}

/// A deed as it is typed.
fn deed_words(deed: Deed) -> String {
    match deed {
        Deed::Raise(By::Percent(percent)) => format!("+{percent}%"),
        Deed::Raise(By::Amount(number)) => format!("+{number}"),
        Deed::Unlimited => "unlimited".to_owned(),
        Deed::Pause => "pause".to_owned(),
        Deed::GoOn => "resume".to_owned(),
        Deed::Stop => "stop".to_owned(),
        Deed::Mute => "mute".to_owned(),
        Deed::Remove | Deed::Set { .. } => "remove".to_owned(),
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::conversation::{BotNames, BudgetAsk, Command, Input, Place, parse};
    use crate::limits::{Caps, Facet, Pick, Rule, Scope};
    use crate::settings::{Setting, Settings};
    use crate::usage::Zone;

    const USD: u64 = 1_000_000_000_000;

    fn order(typed: &str) -> BudgetOrder {
        let names = BotNames { name: "raymundo".into(), handles: Vec::new() };
        match parse(&format!("/budget {typed}"), &names, Place::Chat, true) {
            Input::Command(Command::Budget(BudgetAsk::Change(order))) => order,
            other => panic!("{typed}: {other:?}"),
        }
    }

    fn rules() -> Vec<Rule> {
        let scope = |facet, value: &str| Scope::everything().with(facet, Pick::parse(value));
        let rule = |scope, caps: &[(LimitKind, u64)]| Rule::new(scope, Caps::of(caps.iter().copied()), Zone::UTC);
        vec![
            rule(scope(Facet::Team, "sales"), &[(LimitKind::UsdPerDay, 5 * USD)]),
            rule(scope(Facet::User, "*"), &[(LimitKind::UsdPerDay, USD), (LimitKind::TokensPerDay, 1000)]),
            rule(scope(Facet::Team, "none"), &[(LimitKind::UsdPerDay, 0)]),
        ]
    }

    /// Changes one after the other; what the last one says, in short.
    fn told(subject: &str, deeds: &[&str]) -> String {
        let (mut settings, rules) = (Settings::default(), rules());
        let now = Timestamp::parse("2026-11-25T12:00:00Z").expect("a time");
        let whose = Whose { subject: subject.into(), shown: subject.into(), typed: subject.into() };
        let mut said = String::new();
        for deed in deeds {
            let budgets = Budgets::of(&rules, &settings, Zone::UTC);
            said = match change(&order(&format!("{subject} {deed}")), &whose, &budgets, now) {
                Ok(change) => {
                    for act in &change.changes {
                        let (of, change) = (change.of.clone(), act.clone());
                        settings.apply(&Setting::Budget { of, change, by: None });
                    }
                    format!("{} {} {:?} {:?}", change.deed, change.limit, change.before, change.after)
                }
                Err(mistake) => {
                    let typed = mistake.typed.unwrap_or_default();
                    let choices: Vec<&str> = mistake.choices.iter().map(|limit| limit.as_str()).collect();
                    format!("? {} {typed} {}", mistake.problem, choices.join(" ")).trim_end().to_owned()
                }
            };
        }
        said
    }

    #[test]
    fn each_deed_says_what_there_was_and_what_there_is() {
        for (subject, deeds, expected) in [
            ("team:sales", &["$8 day"][..], format!("set usd_per_day Some({}) Some({})", 5 * USD, 8 * USD)),
            ("team:sales", &["+20%"], format!("raised usd_per_day Some({}) Some({})", 5 * USD, 6 * USD)),
            ("team:sales", &["+$2", "+1"], format!("raised usd_per_day Some({}) Some({})", 7 * USD, 8 * USD)),
            ("team:sales", &["unlimited", "remove"], format!("removed usd_per_day None Some({})", 5 * USD)),
            ("team:sales", &["stop", "go"], format!("resumed usd_per_day Some({0}) Some({0})", 5 * USD)),
            ("team:sales", &["pause", "stop", "resume", "resume"], "? nothing /budget team:sales".into()),
            ("team:sales", &["pause", "remove"], format!("resumed usd_per_day Some({0}) Some({0})", 5 * USD)),
            ("team:sales", &["stop", "remove"], format!("resumed usd_per_day Some({0}) Some({0})", 5 * USD)),
            ("team:sales", &["mute", "remove"], format!("removed usd_per_day Some({0}) Some({0})", 5 * USD)),
            ("team:sales", &["pause", "stop", "remove", "go"], "? nothing /budget team:sales".into()),
            ("team:sales", &["$8 day", "pause", "remove", "remove"], "? nothing /budget team:sales".into()),
            ("team:sales", &["remove"], "? nothing /budget team:sales".into()),
            ("team:it", &["pause"], "? no_budget /budget team:it".into()),
            ("team:it", &["unlimited tokens day"], "unlimited tokens_per_day None None".into()),
            ("team:it", &["9 tokens day", "mute"], "muted tokens_per_day Some(9) Some(9)".into()),
            ("user:guests", &["stop"], "? no_budget /budget user:guests".into()),
            ("team:none", &["+20%"], "? no_cap /budget team:none".into()),
            ("user:ana", &["+20% tokens"], "raised tokens_per_day Some(1000) Some(1200)".into()),
            ("user:ana", &["+20%"], "? which /budget user:ana +20% tokens_per_day usd_per_day".into()),
            ("user:ana", &["+1.5k"], "? which /budget user:ana +1.5k tokens_per_day usd_per_day".into()),
            ("user:ana", &["5 tokens day", "remove tokens"], "removed tokens_per_day Some(5) Some(1000)".into()),
            ("user:*", &["$2 day"], format!("set usd_per_day Some({}) Some({})", USD, 2 * USD)),
        ] {
            assert_eq!(told(subject, deeds), expected, "{subject} {deeds:?}");
        }
    }

    #[test]
    fn a_prepaid_budget_counts_from_the_day_it_was_first_set() {
        let now = Timestamp::parse("2026-11-25T12:00:00Z").expect("a time");
        let whose = Whose { subject: "team:it".into(), shown: "team:it".into(), typed: "team:it".into() };
        let mut settings = Settings::default();
        for later in [0, 86_400_000_000] {
            let budgets = Budgets::of(&[], &settings, Zone::UTC);
            let change = change(&order("team:it $9 prepaid"), &whose, &budgets, now.plus_micros(later)).expect("set");
            let since = Some(Day::from_ymd(2026, 11, 25).expect("a day"));
            assert_eq!(change.changes, [BudgetChange::Set { amount: 9 * USD, since }]);
            settings.apply(&Setting::Budget { of: change.of, change: change.changes[0].clone(), by: None });
        }
    }

    #[test]
    fn a_prepaid_budget_of_somebody_counts_from_where_that_for_each_does() {
        let now = Timestamp::parse("2026-11-25T12:00:00Z").expect("a time");
        let whose = Whose { subject: "user:ana".into(), shown: "ana".into(), typed: "user:ana".into() };
        let each = Scope::everything().with(Facet::User, Pick::parse("*"));
        let each = Rule::new(each, Caps::of([(LimitKind::UsdPrepaid, 5 * USD)]), Zone::UTC);
        for since in [None, Day::from_ymd(2026, 11, 1)] {
            let (mut settings, rules) = (Settings::default(), [Rule { since, ..each.clone() }]);
            let window = since.unwrap_or_default();
            for (deed, expected) in [
                ("mute", BudgetChange::Mute { window }),
                ("+20%", BudgetChange::Raise { window, by: USD }),
                ("stop", BudgetChange::Stop { window }),
                ("$9 prepaid", BudgetChange::Set { amount: 9 * USD, since }),
            ] {
                let budgets = Budgets::of(&rules, &settings, Zone::UTC);
                let change = change(&order(&format!("user:ana {deed}")), &whose, &budgets, now).expect(deed);
                assert_eq!(change.changes, std::slice::from_ref(&expected));
                settings.apply(&Setting::Budget { of: change.of, change: expected, by: None });
            }
        }
    }
}
