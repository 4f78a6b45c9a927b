//! `tallybot keys`: keys for programs that use the gateway. A key is printed once, when it is made.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::output::{reader_is_gone, write_out};
use super::settings::Loaded;
use super::{WrongUse, json, print, tell};
use crate::app;
use crate::config::Provider;
use crate::conversation::{AmountProblem, BudgetMistake, Misread, read_cap};
use crate::limits::{LimitKind, Measure};
use crate::service::keys::{self, AddedKey, KeyAsk, KeyRow};
use crate::service::{self, Books};
use crate::usage::{Money, Timestamp};

pub(super) const KEYS_EXAMPLES: &str = "\
Examples:
  tallybot keys add web                          a key that opens everything
  tallybot keys add ci --models 'gpt-4o*' --budget 5.00/day
  tallybot keys add ana --user ana --team sales --budget 200ktokens/month
  tallybot keys list                             what they open, how they end
  tallybot keys revoke ci                        it opens nothing from now on
A key is printed once, alone on standard output: KEY=$(tallybot keys add web).
See docs/keys.md.";

#[derive(Debug, Args)]
pub(super) struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
}

impl KeysArguments {
    /// Whether anything is changed in the folder.
    pub(super) fn writes(&self) -> bool {
        !matches!(self.command, KeysCommand::List { .. })
    }
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a key and print it; it is never shown again
    Add(Box<AddArguments>),
    /// Show the keys: what they open and how they end, never the keys themselves
    List {
        /// As JSON, in the shape of GET /v1/keys
        #[arg(long)]
        json: bool,
    },
    /// Make a key open nothing from now on; its name stays that of its records
    Revoke {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
struct AddArguments {
    /// What it is called in records, budgets and lists: letters, digits, `.`, `_`, `-`; used once for ever
    name: String,
    /// Whose calls are made with it, as programs name people; becomes a subject id
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Whose budget they count in
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// What they are for
    #[arg(long, value_name = "NAME")]
    feature: Option<String>,
    /// The configured providers that it opens [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    providers: Vec<String>,
    /// The models that it opens; a `*` at the end stands for any end [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    models: Vec<String>,
    /// What may be used with it, once for each kind and span: 5.00/day, 200ktokens/month, 60requests/minute
    #[arg(long, value_name = "CAP", value_parser = cap, allow_hyphen_values = true)]
    budget: Vec<(LimitKind, u64)>,
    /// Print the key and nothing else
    #[arg(long, short)]
    quiet: bool,
}

/// Does what was asked of the keys.
pub(super) async fn keys(loaded: &Loaded, arguments: KeysArguments) -> anyhow::Result<()> {
    match arguments.command {
        KeysCommand::Add(arguments) => add(loaded, *arguments).await,
        KeysCommand::List { json } => list(loaded, json),
        KeysCommand::Revoke { name } => revoke(loaded, &name).await,
    }
}

async fn add(loaded: &Loaded, arguments: AddArguments) -> anyhow::Result<()> {
    let quiet = arguments.quiet;
    let configured: Vec<&str> = loaded.config.providers.iter().map(|provider| provider.name.as_str()).collect();
    let names = if configured.is_empty() { vec!["ollama", "demo"] } else { configured };
    let plan = asked(arguments)?.plan(&names).map_err(WrongUse::error)?;
    if reader_is_gone() {
        bail!("nobody reads the standard output, where the key is shown this once; no key was made");
    }
    let books = app::open_books(&loaded.config, &loaded.data_dir).await?;
    let through = books.through();
    let added = match books.add_key(&plan).await {
        Ok(AddedKey { key, row }) => show_or_revoke(&books, &key, row).await,
        Err(error) => Err(error),
    };
    let row = books.close().and(added)?;
    if !quiet {
        let address = through.unwrap_or_else(|| format!("http://{}", loaded.config.http.listen));
        tell(&next_step(&row, &loaded.config.providers, &address));
    }
    Ok(())
}

/// Shows a key this once. One that nobody saw would open the gateway to nobody, for ever.
async fn show_or_revoke(books: &Books, key: &SecretString, row: KeyRow) -> anyhow::Result<KeyRow> {
    let line = format!("{}\n", key.expose_secret());
    let shown = write_out(|out| Ok(out.write_all(line.as_bytes())?)).map(|written| written.is_some());
    if matches!(shown, Ok(true)) {
        return Ok(row);
    }
    books.revoke_key(&row.name).await.context("the new key could not be shown, nor could it be revoked")?;
    let why = shown.err().map_or_else(|| "nobody reads the standard output".to_owned(), |error| format!("{error:#}"));
    bail!("the key could not be shown ({why}), so it was revoked; its name `{}` is used up", row.name)
}

fn asked(arguments: AddArguments) -> anyhow::Result<KeyAsk> {
    let AddArguments { name, user, team, feature, providers, models, budget, quiet: _ } = arguments;
    let mut budgets = BTreeMap::new();
    for (limit, amount) in budget {
        if budgets.insert(limit.to_string(), amount_of(limit, amount)).is_some() {
            let expected = "expected one of each, such as --budget 5.00/day --budget 50.00/month";
            return Err(WrongUse::error(format!("--budget gives two budgets in {limit}; {expected}")));
        }
    }
    Ok(KeyAsk { name, user, team, feature, providers, models, budgets })
}

fn amount_of(limit: LimitKind, amount: u64) -> Value {
    match limit.measure() {
        Measure::Money => Money::from_pico_usd(amount.into()).to_string().into(),
        Measure::Tokens | Measure::Requests => amount.into(),
    }
}

/// Where the key goes, for a program that speaks the API of the first provider that it opens.
fn next_step(row: &KeyRow, providers: &[Provider], address: &str) -> String {
    let opens = |provider: &&Provider| row.providers.is_empty() || row.providers.contains(&provider.name);
    let provider = providers.iter().find(opens);
    let name = provider.map_or("PROVIDER", |provider| provider.name.as_str());
    let (url, key, end) = match provider.map_or("openai", |provider| provider.kind.as_str()) {
        "anthropic" => ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", ""),
        "gemini" => ("GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", ""),
        _ => ("OPENAI_BASE_URL", "OPENAI_API_KEY", "/v1"),
    };
    format!(
        "The key of `{}` is shown this once; tallybot keeps its last characters, {}.\n\
         Give it to the program as its API key, with the address of the gateway:\n  \
         export {key}=…\n  export {url}={address}/gateway/{name}{end}",
        row.name,
        row.suffix.as_str()
    )
}

fn list(loaded: &Loaded, as_json: bool) -> anyhow::Result<()> {
    let list = keys::list(&loaded.config, &loaded.data_dir, app::zone_of(&loaded.config))?;
    if as_json {
        return print(&json(&list)?);
    }
    if list.keys.is_empty() {
        tell(&"there are no keys yet; `tallybot keys add NAME` makes one");
    }
    print(&list.keys.iter().map(text).collect::<String>())
}

/// A line for the key, and one for each thing that is said of it.
fn text(row: &KeyRow) -> String {
    let day = |at: Timestamp| at.to_chrono().format("%Y-%m-%d").to_string();
    let revoked = row.revoked.map_or_else(String::new, |at| format!(", revoked {}", day(at)));
    let budgets: Vec<String> = row.budgets.iter().map(|(limit, amount)| budget_text(limit, amount)).collect();
    let said = [
        ("user", row.user.clone()),
        ("team", row.team.clone()),
        ("feature", row.feature.clone()),
        ("providers", joined(&row.providers)),
        ("models", joined(&row.models)),
        ("budget", joined(&budgets)),
    ];
    let mut text = format!("{}  …{}  added {}{revoked}\n", row.name, row.suffix.as_str(), day(row.added));
    for (what, value) in said {
        if let Some(value) = value {
            // A name may be of anybody's making.
            let printable: String = value.chars().filter(|c| !c.is_control()).collect();
            text += &format!("  {what:<10} {printable}\n");
        }
    }
    text
}

fn joined(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| names.join(", "))
}

/// `usd_per_day` and `"5"` as `$5 per day`.
fn budget_text(limit: &str, amount: &Value) -> String {
    let amount = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
    let words = limit.replace('_', " ");
    match words.strip_prefix("usd ") {
        Some(span) => format!("${amount} {span}"),
        None => format!("{amount} {words}"),
    }
}

async fn revoke(loaded: &Loaded, name: &str) -> anyhow::Result<()> {
    if !service::has_books(&loaded.data_dir) {
        bail!("there is no key `{name}`; there are none, and no books in `{}`", loaded.data_dir.display());
    }
    let books = app::open_books(&loaded.config, &loaded.data_dir).await?;
    let revoked = books.revoke_key(name).await;
    let row = books.close().and(revoked)?;
    print(&format!("the key `{}` (…{}) opens nothing from now on\n", row.name, row.suffix.as_str()))
}

/// A cap, as clap reads arguments.
fn cap(text: &str) -> Result<(LimitKind, u64), String> {
    read_cap(text).map_err(|BudgetMistake { misread, word }| {
        let word = &*word;
        let problem = match misread {
            Misread::HowMuch => "it does not say how much (a shell reads `$5` as a variable: quote it)".to_owned(),
            Misread::HowLong => "it does not say over what time".to_owned(),
            Misread::NoMoneyPerMinute => "there is no money per minute".to_owned(),
            Misread::Amount(AmountProblem::TwoWays) => format!("`{word}` can be read in two ways; write 1500 or 1.50"),
            Misread::Amount(AmountProblem::NotWhole) => "there are no parts of tokens and requests".to_owned(),
            Misread::Amount(AmountProblem::TooMuch) => "that is too much".to_owned(),
            Misread::Word | Misread::Whose | Misread::OfWhat => format!("`{word}` is not understood"),
        };
        format!("{problem}; expected such as 5.00/day, 200ktokens/month, 60requests/minute or 100/prepaid")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_read_or_told_what_is_wrong_with_it() {
        assert_eq!(cap("5.00/day"), Ok((LimitKind::UsdPerDay, 5_000_000_000_000)));
        assert_eq!(cap("200ktokens/month"), Ok((LimitKind::TokensPerMonth, 200_000)));
        assert_eq!(cap("60requests/minute"), Ok((LimitKind::RequestsPerMinute, 60)));
        assert_eq!(cap("100/prepaid"), Ok((LimitKind::UsdPrepaid, 100_000_000_000_000)));
        for (text, expected) in [
            ("/day", "a shell reads `$5` as a variable"),
            ("5", "over what time"),
            ("5/minute", "no money per minute"),
            ("1,500/day", "write 1500 or 1.50"),
            ("1.5 tokens/day", "no parts of tokens"),
            ("99999999/day", "too much"),
            ("-5/day", "`-5` is not understood"),
            ("5/fortnight", "`fortnight` is not understood"),
        ] {
            let told = cap(text).expect_err(text);
            assert!(told.contains(expected) && told.contains("expected such as 5.00/day"), "{text}: {told}");
        }
    }

    #[test]
    fn budgets_are_shown_as_people_say_them() {
        let shown = |limit: &str, amount: Value| budget_text(limit, &amount);
        assert_eq!(shown("usd_per_day", "5.5".into()), "$5.5 per day");
        assert_eq!(shown("usd_prepaid", "20".into()), "$20 prepaid");
        assert_eq!(shown("tokens_per_month", 200_000.into()), "200000 tokens per month");
        let all = asked(AddArguments {
            name: "x".into(),
            user: None,
            team: None,
            feature: None,
            providers: Vec::new(),
            models: Vec::new(),
            budget: vec![(LimitKind::UsdPerDay, 5_500_000_000_000), (LimitKind::RequestsPerDay, 9)],
            quiet: true,
        })
        .expect("one of each");
        let told: BTreeMap<String, Value> =
            [("requests_per_day".into(), 9.into()), ("usd_per_day".into(), "5.5".into())].into();
        assert_eq!(all.budgets, told);
    }
}
