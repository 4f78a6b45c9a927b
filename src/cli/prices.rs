//! `tallybot prices`: the price book looked at, checked against the configuration and the books, and filled from lists of
//! others.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::arguments::day;
use super::settings::Loaded;
use super::{WrongUse, clock_of, complain, json, print};
use crate::app;
use crate::service::prices::{self as at_work, ImportRequest, ImportSummary, PriceCheck, Proposed};
use crate::usage::prices::{
    ChangeKind, FeedFormat, Origin, Price, PriceBook, PriceChange, PriceEntry, PriceQuery, PriceRow, PriceStatus, Tier,
};
use crate::usage::{Day, Money, Timestamp, TokenCounts};

/// Rows of a kind that are shown of an import; `--json` has all.
const SHOWN: usize = 40;

pub(super) const PRICES_EXAMPLES: &str = "\
Examples:
  tallybot prices list --vendor anthropic        what its models cost now
  tallybot prices show gpt-4o                    which row prices it, and why
  tallybot prices check                          what has no price
  tallybot prices import FILE                    what a list would change
  tallybot prices import FILE --take --only o3   take one model of it
  tallybot prices import --undo                  take the last import back
What is recorded keeps its cost, whatever the prices are later. See docs/prices.md.";

#[derive(Debug, Args)]
pub(super) struct PricesArguments {
    #[command(subcommand)]
    command: PricesCommand,
}

impl PricesArguments {
    /// Whether anything is changed in the folder.
    pub(super) fn writes(&self) -> bool {
        matches!(&self.command, PricesCommand::Import(import) if import.take || import.undo)
    }
}

#[derive(Debug, Subcommand)]
enum PricesCommand {
    /// What models cost, in dollars per million tokens
    List(ListArguments),
    /// Which row prices a model, and why
    Show(ShowArguments),
    /// Whether every configured model and every model in the books has a price
    ///
    /// Exit code 1 says that one has none.
    Check {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a list of others would change; take it, or take it back
    Import(ImportPricesArguments),
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only this vendor's, such as openai
    #[arg(long, value_name = "NAME")]
    vendor: Option<String>,
    /// Only models with this in their name; `gpt-4*` are those that begin so
    #[arg(long, value_name = "PATTERN")]
    model: Option<String>,
    /// Past and coming prices and retired models too
    #[arg(long)]
    all: bool,
    /// As JSON, with everything that is known of each row
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// The model
    #[arg(value_name = "MODEL")]
    model: String,
    /// On this day instead of now, at noon UTC
    #[arg(long, value_name = "DAY", value_parser = day)]
    at: Option<Day>,
    /// Who bills [default: by the name]
    #[arg(long, value_name = "NAME")]
    vendor: Option<String>,
    /// The service tier: standard, batch, flex, fast (or priority), ultrafast
    #[arg(long, value_name = "NAME")]
    tier: Option<String>,
    /// Tokens in and out, and of those in what was read from a cache and written to one
    #[arg(long, value_name = "IN,OUT[,READ[,WRITTEN]]", default_value = "1000,500", value_parser = tokens)]
    tokens: TokenCounts,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ImportPricesArguments {
    /// LiteLLM's model_prices_and_context_window.json, or genai-prices' data.json
    #[arg(required_unless_present = "undo")]
    file: Option<PathBuf>,
    /// litellm or genai-prices [default: by what is in the file]
    #[arg(long, value_parser = format)]
    format: Option<FeedFormat>,
    /// Take what is new and what changed; without it nothing is written
    #[arg(long)]
    take: bool,
    /// Only these models, also those that should be looked at first; any number of times, or several with commas
    #[arg(long, value_name = "MODEL", value_delimiter = ',')]
    only: Vec<String>,
    /// Only this vendor's models
    #[arg(long, value_name = "NAME")]
    vendor: Option<String>,
    /// Take the last import back
    #[arg(long, conflicts_with_all = ["file", "take", "only", "vendor", "format"])]
    undo: bool,
    /// As JSON, with every model of the list
    #[arg(long)]
    json: bool,
}

pub(super) fn format(text: &str) -> Result<FeedFormat, String> {
    let known = FeedFormat::ALL.into_iter().find(|format| format.as_str() == text);
    known.ok_or_else(|| "expected litellm or genai-prices".to_owned())
}

fn tokens(text: &str) -> Result<TokenCounts, String> {
    let counts: Option<Vec<u64>> = text.split(',').map(|count| count.trim().parse().ok()).collect();
    let counts = counts.filter(|counts| (2..=4).contains(&counts.len()));
    let counts = counts.ok_or("expected tokens in and out, for example 1000,500")?;
    let at = |at: usize| counts.get(at).copied().unwrap_or_default();
    let tokens =
        TokenCounts { prompt: at(0), completion: at(1), cached: at(2), cache_write: at(3), ..TokenCounts::default() };
    if !tokens.is_consistent() {
        return Err("of the tokens in no more can be read from and written to a cache than there are".to_owned());
    }
    Ok(tokens)
}

/// `tallybot prices`.
pub(super) fn prices(loaded: &Loaded, arguments: PricesArguments) -> anyhow::Result<ExitCode> {
    if let PricesCommand::Import(ImportPricesArguments { undo: true, json, .. }) = arguments.command {
        return undo(loaded, json);
    }
    let book = app::prices_of(&loaded.config, &loaded.data_dir)?;
    let now = clock_of(loaded).now().at;
    match arguments.command {
        PricesCommand::List(list) => list_rows(&book, &list, now),
        PricesCommand::Show(show) => show_model(&book, &show, now),
        PricesCommand::Check { json } => check(loaded, &book, json),
        PricesCommand::Import(import) => import_list(loaded, &book, import, now),
    }
}

/// A row and how it is called, as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    price_id: &'a str,
    list: &'static str,
    #[serde(flatten)]
    row: &'a PriceRow,
}

impl<'a> Shown<'a> {
    fn of(entry: &PriceEntry<'a>) -> Shown<'a> {
        Shown { price_id: entry.price_id, list: entry.origin.as_str(), row: entry.row }
    }
}

fn list_rows(book: &PriceBook, arguments: &ListArguments, now: Timestamp) -> anyhow::Result<ExitCode> {
    let fits = |name: &str| match arguments.model.as_deref() {
        None => true,
        Some(pattern) => match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name.contains(pattern),
        },
    };
    let is_wanted = |entry: &PriceEntry<'_>| {
        let row = entry.row;
        let of_vendor = arguments.vendor.is_none() || row.vendor.is_none() || row.vendor == arguments.vendor;
        of_vendor && row.names().any(fits) && (arguments.all || counts_now(row, now))
    };
    let mut rows: Vec<PriceEntry<'_>> = book.entries().filter(is_wanted).collect();
    rows.sort_by_key(|entry| (entry.row.vendor.as_deref(), entry.row.model.as_str(), entry.row.tier, entry.row.above));
    if arguments.json {
        print(&json(&rows.iter().map(Shown::of).collect::<Vec<_>>())?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        complain(&"no price fits; --all shows past and coming ones and retired models too");
        return Ok(ExitCode::FAILURE);
    }
    let mut text = format!("{:<11}{:<27}{:>9}{:>9}{:>9}  {}\n", "vendor", "model", "in", "out", "cached", "which");
    rows.iter().for_each(|entry| text += &list_line(entry, now));
    text += "US dollars per million tokens. `tallybot prices show MODEL` tells more of one.\n";
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn counts_now(row: &PriceRow, now: Timestamp) -> bool {
    let today = now.with_offset(0).day();
    row.status != PriceStatus::Retired
        && row.off.is_none_or(|off| off > today)
        && row.from.is_none_or(|from| from <= now)
        && row.until.is_none_or(|until| now < until)
}

/// One row in 80 columns: who, what, three prices, and for which calls.
fn list_line(entry: &PriceEntry<'_>, now: Timestamp) -> String {
    let row = entry.row;
    let price = |price: Option<Price>| price.map_or("-".to_owned(), |price| price.to_string());
    let vendor = cut(row.vendor.as_deref().unwrap_or("any"), 10);
    let (input, output, cached) = (row.input.to_string(), price(row.output), price(row.cache_read));
    let list = Some(entry.origin).filter(|origin| *origin != Origin::Bundled).map(|origin| origin.as_str().to_owned());
    let until = row.until.filter(|until| *until <= now).map(|until| format!("..{}", utc_day(until)));
    let from = row.from.filter(|from| *from > now).map(|from| format!("{}..", utc_day(from)));
    let which: Vec<String> = [list, size(row), tier(row), row.peak.as_ref().map(|_| "peak".to_owned()), until, from]
        .into_iter()
        .flatten()
        .collect();
    let model = cut(&row.model, 26);
    let line = format!("{vendor:<11}{model:<27}{input:>9}{output:>9}{cached:>9}  {}", which.join(" "));
    line.trim_end().to_owned() + "\n"
}

fn size(row: &PriceRow) -> Option<String> {
    row.above.map(|above| if above % 1000 == 0 { format!(">{}k", above / 1000) } else { format!(">{above}") })
}

fn tier(row: &PriceRow) -> Option<String> {
    row.tier.filter(|tier| *tier != Tier::Standard).map(|tier| tier.as_str().to_owned())
}

fn utc_day(at: Timestamp) -> Day {
    at.with_offset(0).day()
}

/// The beginning of a text, marked where something is missing.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 1).chain(['…']).collect()
}

/// What a call costs, as JSON.
#[derive(Serialize)]
struct ShownModel<'a> {
    model: &'a str,
    vendor: Option<&'a str>,
    at: Timestamp,
    cost_usd: Option<Money>,
    price_id: Option<String>,
    at_most_usd: Money,
    rows: Vec<Shown<'a>>,
}

fn show_model(book: &PriceBook, arguments: &ShowArguments, now: Timestamp) -> anyhow::Result<ExitCode> {
    // Noon of a day: no price begins or ends then.
    let noon = |day: Day| Timestamp::new((i64::from(day.0) * 2 + 1) * 43_200_000_000, 0);
    let at = arguments.at.map_or(now, noon);
    let (model, tokens) = (arguments.model.as_str(), &arguments.tokens);
    let vendor = arguments.vendor.as_deref();
    let service_tier = arguments.tier.as_deref();
    if Tier::served(service_tier, vendor).is_none() {
        return Err(WrongUse::error(
            "no such tier has a price; expected standard, batch, flex, fast (or priority) or ultrafast",
        ));
    }
    let query = PriceQuery { vendor, model, service_tier, at, local: false, tokens };
    let (priced, winner) = (book.price(&query), book.winner(&query));
    let rows = book.rows_of(vendor, model);
    if arguments.json {
        let shown = ShownModel {
            model,
            vendor: vendor.or_else(|| winner.as_ref()?.0.row.vendor.as_deref()),
            at,
            cost_usd: priced.as_ref().map(|priced| priced.cost),
            price_id: priced.as_ref().map(|priced| priced.price_id.to_string()),
            at_most_usd: book.upper_bound(&query),
            rows: rows.iter().map(Shown::of).collect(),
        };
        print(&json(&shown)?)?;
        return Ok(if priced.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut text = match (&priced, &winner) {
        (Some(priced), Some((entry, multiple))) => {
            let times = multiple
                .map(|rule| format!(", times {} for the tier {}", millionths(rule.times_micros), rule.tier.as_str()));
            format!(
                "{model} on {}: ${} for {} tokens in and {} out\nby {}, a row of {}{}\n  {}\n",
                utc_day(at),
                priced.cost,
                tokens.prompt,
                tokens.completion,
                priced.price_id,
                list_of(entry.origin),
                times.unwrap_or_default(),
                why(entry, model, tokens.prompt),
            )
        }
        _ => unknown(book, &query, &rows),
    };
    if !rows.is_empty() {
        text += "\nIts rows, in the order in which lists win; US dollars per million tokens:\n";
        rows.iter().for_each(|entry| text += &describe(entry));
    }
    print(&text)?;
    Ok(if priced.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list_of(origin: Origin) -> &'static str {
    match origin {
        Origin::Owner => "your [[prices]], which go before all others",
        Origin::Taken => "a list you took, which goes before the bundled ones",
        Origin::Bundled | Origin::Document(_) => "the list that comes with tallybot",
    }
}

fn millionths(micros: u64) -> String {
    Price::from_micro_usd(micros).unwrap_or_default().to_string()
}

/// Why it is this row.
fn why(entry: &PriceEntry<'_>, model: &str, prompt: u64) -> String {
    let row = entry.row;
    let named = match row.names().find(|name| *name == model) {
        Some(_) => "it has this name".to_owned(),
        None => format!(
            "`{model}` has no row of its own and goes by `{}`",
            row.names().find(|name| name.ends_with('*')).unwrap_or(&row.model)
        ),
    };
    let size = row.above.map(|above| format!(", the prompt has more than {above} tokens ({prompt})"));
    let hours = row.peak.as_ref().map(|peak| format!(", it is within {peak} UTC"));
    format!("{named}{}{}", size.unwrap_or_default(), hours.unwrap_or_default())
}

/// Why there is no price, and what it counts as.
fn unknown(book: &PriceBook, query: &PriceQuery<'_>, rows: &[PriceEntry<'_>]) -> String {
    let reason = if rows.is_empty() {
        "no row has this name; give it a price under [[prices]], or see tallybot prices import"
    } else if query.vendor.is_none() {
        "no row of it counts by itself; say who bills with --vendor"
    } else {
        "none of its rows prices such a call then"
    };
    format!(
        "{}: not known. {reason}.\nIts calls are recorded without a cost; a budget counts ${} for this one at most.\n",
        query.model,
        book.upper_bound(query)
    )
}

/// A row on a few lines.
fn describe(entry: &PriceEntry<'_>) -> String {
    let row = entry.row;
    let maybe = |name: &str, price: Option<Price>| price.map(|price| format!("{name} {price}"));
    let prices: Vec<String> = [
        maybe("in", Some(row.input)),
        maybe("out", row.output),
        maybe("cache read", row.cache_read),
        maybe("cache write", row.cache_write),
        maybe("for an hour", row.cache_write_1h),
    ]
    .into_iter()
    .flatten()
    .collect();
    let facts: Vec<String> = [
        row.from.map(|from| format!("from {}", utc_day(from))),
        row.until.map(|until| format!("until {}", utc_day(until))),
        row.peak.as_ref().map(|peak| format!("at {peak} UTC")),
        (row.status != PriceStatus::Live).then(|| format!("{:?}", row.status).to_lowercase()),
        row.off.map(|off| format!("served until {off}")),
        row.source.as_ref().map(|source| format!("source {source}")),
        row.checked.map(|checked| format!("checked {checked}")),
        row.note.clone(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let list = entry.origin.as_str();
    let facts = if facts.is_empty() { String::new() } else { format!("    {}\n", facts.join(", ")) };
    format!("  {} ({list})\n    {}\n{facts}", entry.price_id, prices.join(", "))
}

fn check(loaded: &Loaded, book: &PriceBook, as_json: bool) -> anyhow::Result<ExitCode> {
    let clock = clock_of(loaded);
    let checked = at_work::check(&loaded.config, &loaded.data_dir, book, app::is_local, &clock)?;
    print(&if as_json { json(&checked)? } else { check_text(&checked) })?;
    Ok(if checked.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_text(checked: &PriceCheck) -> String {
    if checked.models.is_empty() {
        return "no model is configured, and none was ever called\n".to_owned();
    }
    let mut text = format!("{:<16}{:<28}{:<9}{:>12}{:>12}\n", "provider", "model", "price", "calls", "no cost");
    for model in &checked.models {
        let (provider, name) = (cut(&model.provider, 15), cut(&model.model, 27));
        let state = model.state.as_str();
        text += &format!("{provider:<16}{name:<28}{state:<9}{:>12}{:>12}\n", model.calls, model.calls_without_cost);
        model.advice.iter().for_each(|advice| text += &format!("  {advice}\n"));
    }
    if checked.money_is_limited && !checked.is_whole() {
        text += "money is limited: there a call without a price counts by [unknown_price]\n";
    }
    text += match checked.is_whole() {
        true => "every model has a price or runs on your own machine\n",
        false => "a model without a price is recorded without a cost, never with none\n",
    };
    text
}

fn import_list(
    loaded: &Loaded,
    book: &PriceBook,
    arguments: ImportPricesArguments,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    let ImportPricesArguments { file, format, take, only, vendor, json: as_json, .. } = arguments;
    let file = file.unwrap_or_default();
    if !file.is_file() {
        return Err(WrongUse::error(format_args!("there is no file `{}`; expected a list of prices", file.display())));
    }
    let request = ImportRequest { file, format, take, only, vendor };
    let summary = at_work::import(&loaded.data_dir, book, &request, now)?;
    print(&if as_json { json(&summary)? } else { import_text(&summary, take) })?;
    Ok(ExitCode::SUCCESS)
}

fn import_text(summary: &ImportSummary, take: bool) -> String {
    let of = |kind: ChangeKind| summary.models.iter().filter(|model| model.change.kind == kind).count();
    let (new, changed, same) = (of(ChangeKind::New), of(ChangeKind::Changed), of(ChangeKind::Same));
    let mut text = format!(
        "{} ({}): {new} new, {changed} changed, {same} the same, {} refused, {} passed over\n",
        summary.file,
        summary.format,
        summary.refused.len(),
        summary.passed_over
    );
    let look = summary.models.iter().filter(|model| !model.change.look_at.is_empty());
    let is_clear = |model: &&Proposed, kind| model.change.look_at.is_empty() && model.change.kind == kind;
    text += &section("To be looked at first", look, import_lines);
    text += &section("Changed", summary.models.iter().filter(|m| is_clear(m, ChangeKind::Changed)), import_lines);
    text += &section("New", summary.models.iter().filter(|m| is_clear(m, ChangeKind::New)), new_line);
    text += &section("Refused", summary.refused.iter(), |refused| format!("  {}: {}\n", refused.name, refused.reason));
    text.push('\n');
    let to_take = summary.models.iter().filter(|model| model.to_take).count();
    let left = new + changed - to_take;
    text += &match (summary.taken, take) {
        (true, _) => format!(
            "{to_take} taken; what is recorded keeps its cost. `tallybot prices import --undo` takes them back.\n"
        ),
        (false, true) => "nothing was taken\n".to_owned(),
        (false, false) if to_take == 0 => "nothing was changed\n".to_owned(),
        (false, false) => format!("nothing was changed; --take takes {to_take}\n"),
    };
    if left > 0 {
        text += &format!("{left} to be looked at: look, then name each with --only MODEL to take it all the same\n");
    }
    text
}

/// A title and the lines of some things, not too many.
fn section<T>(title: &str, things: impl Iterator<Item = T>, line: impl Fn(T) -> String) -> String {
    let things: Vec<T> = things.collect();
    let count = things.len();
    if count == 0 {
        return String::new();
    }
    let lines: String = things.into_iter().take(SHOWN).map(line).collect();
    let more = if count > SHOWN { format!("  and {} more; --json lists them\n", count - SHOWN) } else { String::new() };
    format!("\n{title}:\n{lines}{more}")
}

fn import_lines(model: &Proposed) -> String {
    let change = &model.change;
    let mut text = format!("  {}/{}{}\n", change.vendor, change.model, yours(model));
    change.prices.iter().for_each(|price| text += &format!("    {}\n", price_line(price)));
    change.look_at.iter().for_each(|reason| text += &format!("    ! {reason}\n"));
    change.notes.iter().for_each(|note| text += &format!("    {note}\n"));
    text
}

fn new_line(model: &Proposed) -> String {
    let change = &model.change;
    let prices: Vec<String> = change.prices.iter().map(price_line).collect();
    format!("  {}/{}{}: {}\n", change.vendor, change.model, yours(model), prices.join(", "))
}

fn yours(model: &Proposed) -> &'static str {
    if model.yours_wins { " (your [[prices]] go before it)" } else { "" }
}

/// `input 2.50 -> 5.00 (+100.0%)`, or `input 2.50` where we have none.
fn price_line(change: &PriceChange) -> String {
    let price = |price: Option<Price>| price.map_or("-".to_owned(), |price| price.to_string());
    match change.old {
        None => format!("{} {}", change.what, price(change.new)),
        Some(_) => {
            let percent = change.permille.map(|permille| format!(" ({})", percent(i128::from(permille))));
            format!("{} {} -> {}{}", change.what, price(change.old), price(change.new), percent.unwrap_or_default())
        }
    }
}

/// Tenths of a percent, with their sign.
pub(super) fn percent(permille: i128) -> String {
    let sign = if permille < 0 { '-' } else { '+' };
    let magnitude = permille.unsigned_abs();
    format!("{sign}{}.{}%", magnitude / 10, magnitude % 10)
}

fn undo(loaded: &Loaded, as_json: bool) -> anyhow::Result<ExitCode> {
    let Some(undone) = at_work::undo(&loaded.data_dir)? else {
        complain(&"there is no import to take back; only the last one can be");
        return Ok(ExitCode::FAILURE);
    };
    if as_json {
        print(&json(&undone)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let what = undone.undone.as_ref().map(|import| format!("the import of {} (models: {})", import.file, import.taken));
    print(&format!("{} is taken back; rows that stay: {}\n", what.unwrap_or("the import".to_owned()), undone.rows))?;
    Ok(ExitCode::SUCCESS)
}
