//! The sections `[[budgets]]`: tokens, money or requests of a day, a week, a month or once and for all.

use toml::de::DeValue;

use super::limits::{Allowance, AtLimit, LimitFor, allowance, at_limit, check_fallback, says_something};
use super::prices::day;
use super::reader::{Section, Whole};
use crate::usage::{Day, Money};

/// The largest budget, in dollars.
const MAX_USD: u64 = 10_000_000;

/// One budget, on the owner's calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Whose calls it counts.
    pub applies_to: LimitFor,
    /// Over what time.
    pub per: Per,
    /// Requests.
    pub requests: Option<Allowance>,
    /// Tokens, input and output.
    pub tokens: Option<Allowance>,
    /// Money, in pico-dollars.
    pub usd: Option<Allowance>,
    /// The first day a prepaid budget counts; `None` from the beginning of the books.
    pub since: Option<Day>,
    /// What happens when it is used up; `None` leaves it to who asks.
    pub at_limit: Option<AtLimit>,
}

/// Over what time a budget is counted, in the owner's zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Per {
    /// From midnight to midnight.
    #[default]
    Day,
    /// From Monday on.
    Week,
    /// A calendar month.
    Month,
    /// Once: what is used up never comes back by itself.
    Prepaid,
}

impl Budget {
    /// Reads one budget; `providers` are the names it may count.
    pub(super) fn read(section: &mut Section<'_>, providers: &[String]) -> Option<Budget> {
        let applies_to = section.table("for", |section| LimitFor::read(section, providers));
        let words = [("day", Per::Day), ("week", Per::Week), ("month", Per::Month), ("prepaid", Per::Prepaid)];
        if !section.has("per") {
            section.missing(
                "per",
                "the time it is for: `\"day\"`, `\"week\"`, `\"month\"` or `\"prepaid\"`",
                "\"month\"",
            );
        }
        let per = section.choice("per", &words).unwrap_or_default();
        let budget = Budget {
            applies_to,
            per,
            requests: allowance(section, "requests", whole("requests", 100)),
            tokens: allowance(section, "tokens", whole("tokens", 1_500_000)),
            usd: usd(section),
            since: day(section, "since"),
            at_limit: at_limit(section, Some(providers)),
        };
        if budget.usd.is_none() {
            // In one of money there may be room for what costs less, or nothing.
            check_fallback(section, &budget.applies_to, budget.at_limit.as_ref());
        }
        let amounts = [budget.requests, budget.tokens, budget.usd];
        says_something(section, amounts.iter().all(Option::is_none), &["requests", "tokens", "usd"], "usd = \"5.00\"");
        if budget.since.is_some() && per != Per::Prepaid {
            let path = section.path_of("since");
            section.wrong(
                "since",
                format!("`{path}` is for `per = \"prepaid\"` alone: other budgets begin anew by themselves"),
            );
        }
        Some(budget)
    }
}

fn whole(unit: &'static str, example: u64) -> Whole {
    Whole { min: 0, max: 1_000_000_000_000_000, unit, example }
}

/// Dollars as a decimal in quotes, or a whole number, or `"unlimited"`.
fn usd(section: &mut Section<'_>) -> Option<Allowance> {
    match section.peek("usd") {
        Some(DeValue::String(text)) if text != "unlimited" => {
            let expected = "dollars as a decimal in quotes, from 0 to 10000000 with at most 6 places";
            section.parsed("usd", expected, "\"5.00\"", pico_usd).map(Allowance::AtMost)
        }
        _ => {
            let range = Whole { min: 0, max: MAX_USD, unit: "dollars (with cents: in quotes)", example: 5 };
            let picos = |dollars: u64| dollars.saturating_mul(1_000_000_000_000);
            Some(match allowance(section, "usd", range)? {
                Allowance::AtMost(dollars) => Allowance::AtMost(picos(dollars)),
                Allowance::Unlimited => Allowance::Unlimited,
            })
        }
    }
}

fn pico_usd(text: &str) -> Option<u64> {
    let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let picos = Money::parse_usd(text).ok().filter(|_| places <= 6)?.pico_usd();
    u64::try_from(picos).ok().filter(|picos| *picos <= MAX_USD * 1_000_000_000_000)
}
