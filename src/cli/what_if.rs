//! `tallybot what-if`: what the recorded calls would have cost by other prices.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::arguments::day;
use super::folder::say_if_no_books;
use super::prices::{format, percent};
use super::settings::Loaded;
use super::{WrongUse, json, print};
use crate::app;
use crate::config::{self, SecretFile};
use crate::metering::vendors_of;
use crate::reports::records::RecordFilter;
use crate::service::prices::{self as at_work, Group, Tally, WhatIf};
use crate::usage::prices::{FeedFormat, Origin, PriceBook};
use crate::usage::{Day, Money};

pub(super) const WHAT_IF_EXAMPLES: &str = "\
Examples:
  tallybot what-if --prices FILE --from 2026-11-01   this month by a list
  tallybot what-if --prices my.toml --group team    by your own rows
FILE is TOML with [[prices]], or LiteLLM's or genai-prices' list. Only what it
prices is compared; everything else is counted apart. Nothing is written.";

#[derive(Debug, Args)]
pub(super) struct WhatIfArguments {
    /// The other prices
    #[arg(long, value_name = "FILE")]
    prices: PathBuf,
    /// litellm or genai-prices [default: by what is in the file]
    #[arg(long, value_parser = format)]
    format: Option<FeedFormat>,
    /// The first day, such as 2026-11-01
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Day>,
    /// The last day
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: Option<Day>,
    /// A row for each model, provider, feature, team or day
    #[arg(long, default_value = "model", value_parser = group)]
    group: Group,
    /// As JSON, exact to 10^-12 dollars
    #[arg(long)]
    json: bool,
}

fn group(text: &str) -> Result<Group, String> {
    let known = Group::ALL.into_iter().find(|group| group.as_str() == text);
    known.ok_or_else(|| format!("expected one of {}", Group::ALL.map(Group::as_str).join(", ")))
}

/// `tallybot what-if`.
pub(super) fn what_if(loaded: &Loaded, arguments: &WhatIfArguments) -> anyhow::Result<()> {
    let WhatIfArguments { from, to, .. } = *arguments;
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(WrongUse::error("no day is within; expected the first day before the last"));
    }
    let book = app::prices_of(&loaded.config, &loaded.data_dir)?;
    let other = other_prices(&arguments.prices, arguments.format, &book)?;
    say_if_no_books(loaded)?;
    let filter = RecordFilter { from, to, ..RecordFilter::default() };
    let vendors = vendors_of(&loaded.config, &book);
    let found = at_work::what_if(&loaded.data_dir, &filter, other, vendors, arguments.group)?;
    print(&if arguments.json { json(&found)? } else { text(&found, arguments) })
}

/// The rows of a file alone: of TOML, or of a list of others.
fn other_prices(file: &Path, format: Option<FeedFormat>, book: &PriceBook) -> anyhow::Result<PriceBook> {
    let shown = file.display();
    if !file.is_file() {
        return Err(WrongUse::error(format_args!("there is no file `{shown}`; expected prices, as TOML or a list")));
    }
    if file.extension().is_none_or(|ending| ending != "toml") {
        let (feed, _) = at_work::read_list(file, format)?;
        let listed = at_work::list_as_book(feed, book);
        return listed.map_err(|problems| anyhow::anyhow!("the rows of `{shown}` do not fit: {}", problems[0]));
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{shown}`"))?;
    let unread = |_: &str| -> Result<SecretFile, String> { Err("no key is needed here".to_owned()) };
    let checked = config::check_without_secrets(&text, &shown.to_string(), &|_: &str| None, &unread);
    let rows = checked.map_err(WrongUse::error)?.config.prices;
    if rows.is_empty() {
        return Err(WrongUse::error(format_args!("`{shown}` has no [[prices]]; see tallybot.example.toml")));
    }
    Ok(app::with_rows(&PriceBook::bundled(), &rows)?.only(Origin::Owner))
}

fn text(found: &WhatIf, arguments: &WhatIfArguments) -> String {
    let (from, to) = (arguments.from.map(|day| format!(" from {day}")), arguments.to.map(|day| format!(" to {day}")));
    let mut text = format!(
        "Recorded calls{}{} by the prices of {}\n\n",
        from.unwrap_or_default(),
        to.unwrap_or_default(),
        arguments.prices.display()
    );
    text += &format!(
        "{:<22}{:>9}{:>13}{:>13}{:>13}{:>10}\n",
        found.group.as_str(),
        "calls",
        "cost",
        "what if",
        "difference",
        ""
    );
    let compared = |(_, tally): &(&String, &Tally)| tally.compared != 0;
    found.rows.iter().filter(compared).for_each(|(name, tally)| text += &line(name, tally));
    text += &line("together", &found.total);
    text + &apart(&found.total)
}

/// One group in 80 columns.
fn line(name: &str, tally: &Tally) -> String {
    let name: String =
        if name.chars().count() > 21 { name.chars().take(20).chain(['…']).collect() } else { name.to_owned() };
    let change = tally.permille().map(percent).unwrap_or_default();
    let (cost, what_if, difference) = (usd(tally.cost), usd(tally.what_if), usd(tally.difference()));
    format!("{name:<22}{:>9}{cost:>13}{what_if:>13}{difference:>13}{change:>10}\n", tally.compared)
}

/// What is not compared, and what to know of what is.
fn apart(total: &Tally) -> String {
    let Tally { given, local, without_cost, not_priced, .. } = *total;
    let calls = |count: i64| format!("{count} call{}", if count == 1 { "" } else { "s" });
    let would = usd(total.without_cost_what_if);
    let known = match total.not_priced_cost {
        Money::ZERO => String::new(),
        cost => format!("; known cost: {}", usd(cost)),
    };
    let lines = [
        (given, format!("of the compared, {} with a cost that the source gave", calls(given))),
        (local, format!("{} on your own machine: nothing either way", calls(local))),
        (without_cost, format!("{} without a known cost: {would} by these prices", calls(without_cost))),
        (not_priced, format!("{} without a price there, or of unknown use{known}", calls(not_priced))),
    ];
    let lines: String = lines.into_iter().filter(|(count, _)| *count != 0).map(|(_, line)| line + "\n").collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

/// Dollars with four places, or six where there is less than one. What is not zero never looks so.
fn usd(money: Money) -> String {
    let places = if money.pico_usd().abs() < 1_000_000_000_000 { 6 } else { 4 };
    let (unit, rounded) = (10i128.pow(places), money.rounded(places));
    let (less, rounded) = match rounded {
        0 => (if money == Money::ZERO { "" } else { "<" }, money.pico_usd().signum()),
        _ => ("", rounded),
    };
    let sign = if rounded < 0 { "-" } else { "" };
    let magnitude = rounded.abs();
    format!("{less}{sign}${}.{:0width$}", magnitude / unit, magnitude % unit, width = places as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_zero_never_looks_so() {
        let shown = ["0", "0.0000004", "-0.0000004", "0.0000005", "-0.25", "1.00004", "1.00005"]
            .map(|text| usd(Money::parse_usd(text).expect("an amount")));
        let expected = ["$0.000000", "<$0.000001", "<-$0.000001", "$0.000001", "-$0.250000", "$1.0000", "$1.0001"];
        assert_eq!(shown, expected);
    }
}
