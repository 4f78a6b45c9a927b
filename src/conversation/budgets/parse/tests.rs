//! What people type after `/budget`, and what it means.

use proptest::prelude::*;

use super::super::amount::AmountProblem;
use super::*;

const USD: u64 = 1_000_000_000_000;

fn ask(typed: &str) -> BudgetAsk {
    read(&typed.split_whitespace().collect::<Vec<_>>())
}

/// What was understood, in short: `set team:sales usd_per_day 5000000000000`.
fn heard(typed: &str) -> String {
    let of = |of: &BudgetOf| match of.0.is_empty() {
        true => "everything".to_owned(),
        false => {
            of.0.iter().map(|(facet, value)| format!("{}:{}", facet.as_str(), &**value)).collect::<Vec<_>>().join(" ")
        }
    };
    match ask(typed) {
        BudgetAsk::Show(None) => "show".to_owned(),
        BudgetAsk::Show(Some(subject)) => format!("show {}", of(&subject)),
        BudgetAsk::Misread(BudgetMistake { misread, word }) => {
            format!("? {} {}", misread.as_str(), &*word).trim_end().to_owned()
        }
        BudgetAsk::Change(BudgetOrder { of: subject, deed, measure, span }) => {
            let whose = of(&subject);
            let measure = measure.map_or(String::new(), |measure| format!(" {measure:?}"));
            let span = span.map_or(String::new(), |span| format!(" {}", span.as_str()));
            match deed {
                Deed::Set { limit, amount } => format!("set {whose} {limit} {amount}"),
                Deed::Raise(By::Percent(percent)) => format!("raise {whose} {percent}%{measure}{span}"),
                Deed::Raise(By::Amount(number)) => {
                    let of = ask_measure(&measure);
                    format!("raise {whose} {:?}{measure}{span}", number.amount(of).expect("an amount"))
                }
                other => format!("{other:?} {whose}{measure}{span}"),
            }
        }
    }
}

fn ask_measure(measure: &str) -> Measure {
    if measure.contains("Money") { Measure::Money } else { Measure::Tokens }
}

#[test]
fn a_budget_is_set_in_every_language_and_order() {
    let five_a_day = format!("set team:sales usd_per_day {}", 5 * USD);
    for typed in [
        "team:sales $5 day",
        "TEAM:sales 5$ per day",
        "team:sales 5 usd daily",
        "team:sales $5/day",
        "day $5 team:sales",
        "set team:sales to $5.00 a day",
        "team: sales $ 5 day",
        "equipo:sales $5 día",
        "equipo:sales 5 dólares al dia",
        "equipo:sales 5,00 US$ por día",
        "equipe:sales US$5 por dia",
        "equipe:sales US$ 5 dia",
        "équipe:sales 5 $ par jour",
        "équipe:sales 5,00 $US jour",
        "groupe:sales 5 dollars/jour",
    ] {
        assert_eq!(heard(typed), five_a_day, "{typed}");
    }
    for (typed, expected) in [
        ("user:111 200k tokens week", "set user:111 tokens_per_week 200000"),
        ("usuario:111 200k tokens semana", "set user:111 tokens_per_week 200000"),
        ("usuário:111 200 mil tokens por semana", "set user:111 tokens_per_week 200000"),
        ("utilisateur:111 200 000 jetons semaine", "set user:111 tokens_per_week 200000"),
        ("user:telegram:111 1.5M tokens month", "set user:telegram:111 tokens_per_month 1500000"),
        ("telegram:111 1,5 M tokens mês", "set user:telegram:111 tokens_per_month 1500000"),
        ("usuario:111 1,500,000 tokens mes", "set user:111 tokens_per_month 1500000"),
        ("user:111 1.500.000 tokens mois", "set user:111 tokens_per_month 1500000"),
        ("user:111 1 500 000 jetons mois", "set user:111 tokens_per_month 1500000"),
        ("user:111 200000tokens/week", "set user:111 tokens_per_week 200000"),
        ("user:111 200ktokens week", "set user:111 tokens_per_week 200000"),
        ("user:111 200000jetons semaine", "set user:111 tokens_per_week 200000"),
        ("everything 20requests day", "set everything requests_per_day 20"),
        ("everything 20 requests day", "set everything requests_per_day 20"),
        ("todo 20 solicitudes día", "set everything requests_per_day 20"),
        ("tudo 20 requisições dia", "set everything requests_per_day 20"),
        ("tout 20 requêtes jour", "set everything requests_per_day 20"),
        ("everything 20 requests min", "set everything requests_per_minute 20"),
        ("user:guests 0 requests day", "set user:guests requests_per_day 0"),
        ("usuario:invitados 50 solicitudes semana", "set user:guests requests_per_week 50"),
        ("utilisateur:invités 50 requêtes semaine", "set user:guests requests_per_week 50"),
        ("model:meta/llama-4 20 requests/day", "set model:meta/llama-4 requests_per_day 20"),
    ] {
        assert_eq!(heard(typed), expected, "{typed}");
    }
    for (typed, whose, limit, amount) in [
        ("provider:cloud $20 month", "provider:cloud", "usd_per_month", 20 * USD),
        ("user:* $1 day", "user:*", "usd_per_day", USD),
        ("team:sales $100 prepaid", "team:sales", "usd_prepaid", 100 * USD),
        ("equipo:sales $100 prepago", "team:sales", "usd_prepaid", 100 * USD),
        ("equipe:sales $100 pré-pago", "team:sales", "usd_prepaid", 100 * USD),
        ("équipe:sales 100 $ prépayé", "team:sales", "usd_prepaid", 100 * USD),
        ("team:sales 5,50 $ day", "team:sales", "usd_per_day", 5 * USD + USD / 2),
        ("team:sales 1 500,50 $ mois", "team:sales", "usd_per_month", 1500 * USD + USD / 2),
        ("user:* provider:cloud $1 day", "provider:cloud user:*", "usd_per_day", USD),
    ] {
        assert_eq!(heard(typed), format!("set {whose} {limit} {amount}"), "{typed}");
    }
}

#[test]
fn a_budget_is_raised_paused_stopped_and_taken_back_in_every_language() {
    for (typed, expected) in [
        ("team:sales +$2", format!("raise team:sales {} Money", 2 * USD)),
        ("team:sales raise $2", format!("raise team:sales {} Money", 2 * USD)),
        ("equipo:sales sube 2 $", format!("raise team:sales {} Money", 2 * USD)),
        ("equipe:sales aumenta US$ 2", format!("raise team:sales {} Money", 2 * USD)),
        ("équipe:sales augmente de 2 $", format!("raise team:sales {} Money", 2 * USD)),
        ("team:sales raise 20%", "raise team:sales 20%".into()),
        ("team:sales + 20 %", "raise team:sales 20%".into()),
        ("team:sales +20% tokens day", "raise team:sales 20% Tokens day".into()),
        ("team:sales +50k", "raise team:sales 50000".into()),
        ("team:sales unlimited day", "Unlimited team:sales day".into()),
        ("equipo:sales ilimitado $ día", "Unlimited team:sales Money day".into()),
        ("équipe:sales illimité jour", "Unlimited team:sales day".into()),
        ("team:sales pause", "Pause team:sales".into()),
        ("pausa equipo:sales", "Pause team:sales".into()),
        ("team:sales resume", "GoOn team:sales".into()),
        ("équipe:sales reprends", "GoOn team:sales".into()),
        ("team:sales go", "GoOn team:sales".into()),
        ("team:sales stop", "Stop team:sales".into()),
        ("equipo:sales detén", "Stop team:sales".into()),
        ("equipe:sales parar", "Stop team:sales".into()),
        ("équipe:sales arrête", "Stop team:sales".into()),
        ("team:sales mute", "Mute team:sales".into()),
        ("equipo:sales silencio", "Mute team:sales".into()),
        ("team:sales remove tokens day", "Remove team:sales Tokens day".into()),
        ("equipo:sales quita", "Remove team:sales".into()),
        ("équipe:sales supprime", "Remove team:sales".into()),
    ] {
        assert_eq!(heard(typed), expected, "{typed}");
    }
    for (typed, expected) in [("", "show"), ("team:sales", "show team:sales"), ("all", "show everything")] {
        assert_eq!(heard(typed), expected, "{typed}");
    }
}

#[test]
fn what_is_not_understood_is_said_with_the_word() {
    for (typed, expected) in [
        ("sales $5 day", "? word sales"),
        ("team:sales €5 day", "? word €5"),
        ("colour:red $5 day", "? word colour:red"),
        ("$5 day", "? whose"),
        ("pause", "? whose"),
        ("the", "? whose"),
        ("team:sales day", "? how_much"),
        ("team:sales raise", "? how_much"),
        ("team:sales 200k day", "? of_what 200k"),
        ("team:sales $5", "? how_long $5"),
        ("team:sales $5 minute", "? no_money_per_minute $5"),
        ("team:sales $1,500 day", "? two_ways $1,500"),
        ("team:sales 1.500k tokens day", "? two_ways 1.500k"),
        ("team:sales 1.5 tokens day", "? not_whole 1.5"),
        ("team:sales $99999999 day", "? too_much $99999999"),
        ("team:sales $5 $6 day", "? word $6"),
        ("team:sales team:it $5 day", "? word team:it"),
        ("team:sales $5 tokens day", "? word tokens"),
        ("team:sales $5 day week", "? word week"),
        ("team:sales pause stop", "? word stop"),
        ("team:sales pause $5", "? word $5"),
        ("team:sales 20% day", "? word 20%"),
        ("team:sales +0% day", "? word +0%"),
        ("team:sales -$2", "? word -$2"),
        ("team:sales 1,50,000 tokens day", "? word 1,50,000"),
    ] {
        assert_eq!(heard(typed), expected, "{typed}");
    }
}

#[test]
fn a_cap_alone_is_read_in_dollars_unless_it_says_otherwise() {
    for (typed, limit, amount) in [
        ("5.00/day", LimitKind::UsdPerDay, 5 * USD),
        ("$5 day", LimitKind::UsdPerDay, 5 * USD),
        ("5usd/month", LimitKind::UsdPerMonth, 5 * USD),
        ("12,50 mes", LimitKind::UsdPerMonth, 12 * USD + USD / 2),
        ("100000tokens/month", LimitKind::TokensPerMonth, 100_000),
        ("200k tokens per week", LimitKind::TokensPerWeek, 200_000),
        ("60 requests/minute", LimitKind::RequestsPerMinute, 60),
        ("100 prepaid", LimitKind::UsdPrepaid, 100 * USD),
        ("0/day", LimitKind::UsdPerDay, 0),
    ] {
        assert_eq!(read_cap(typed), Ok((limit, amount)), "{typed}");
    }
    for (typed, misread, word) in [
        ("", Misread::HowMuch, ""),
        ("/day", Misread::HowMuch, ""), // what a shell leaves of an unquoted `$5/day`
        ("5", Misread::HowLong, "5"),
        ("5/minute", Misread::NoMoneyPerMinute, "5"),
        ("1,500/day", Misread::Amount(AmountProblem::TwoWays), "1,500"),
        ("1.5 tokens day", Misread::Amount(AmountProblem::NotWhole), "1.5"),
        ("5 tokens usd day", Misread::Word, "usd"),
        ("$5tokens/day", Misread::Word, "$5tokens"),
        ("raise 5/day", Misread::Word, "raise"),
        ("+5/day", Misread::Word, "+5"),
        ("unlimited/day", Misread::Word, "unlimited"),
        ("team:sales 5/day", Misread::Word, "team:sales"),
        ("everything 5/day", Misread::Word, "everything"),
        ("5/fortnight", Misread::Word, "fortnight"),
        ("20%/day", Misread::Word, "20%"),
    ] {
        assert_eq!(read_cap(typed), Err(BudgetMistake { misread, word: word.into() }), "{typed}");
    }
}

#[test]
fn guests_and_star_are_values_of_their_own() {
    let BudgetAsk::Change(order) = ask("user:Guests $1 day") else { panic!("an order") };
    assert_eq!(order.of, BudgetOf(vec![(Facet::User, "guests".into())]));
    assert_eq!(order.span, Some(Span::Day));
}

proptest! {
    #[test]
    fn any_words_can_be_read(text in "\\PC{0,60}|([a-z]{0,6}:?[0-9.,$%+k]{0,6} ){0,8}") {
        ask(&text);
        let _read_or_not = read_cap(&text);
    }
}
