//! What may be typed after `tallybot`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use super::keys::{KEYS_EXAMPLES, KeysArguments};
use super::prices::{PRICES_EXAMPLES, PricesArguments};
use super::records::{ExportArguments, RecentArguments};
use super::what_if::{WHAT_IF_EXAMPLES, WhatIfArguments};
use crate::reports::View;
use crate::service::import::Format;
use crate::service::items::{MAX_MILLIS, MAX_TOKENS};
use crate::stats::Period;
use crate::templates::Lang;
use crate::usage::Day;

/// A metered AI bot for your chat, with exact books on every token.
#[derive(Debug, Parser)]
#[command(name = "tallybot", version, disable_help_subcommand = true, after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The configuration [default: ./tallybot.toml if it is there; see tallybot.example.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The folder of the books [default: `data_dir` of the configuration, else ./data]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(super) data_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  tallybot                              chat here; serve http://127.0.0.1:5000
  echo 'hello' | tallybot chat          ask from a script
  tallybot stats --period today         what was used today
  tallybot stats --json                 the same for a program
  tallybot recent --follow              the newest calls, and more as they come
  tallybot export --from 2026-11-01     every call since then, as CSV
Exit code, of every command: 0 done, 1 not done or not all of it, 2 wrong use
(arguments or configuration). What is not as it should be is told on stderr.";

const LOG_EXAMPLES: &str = "\
Examples:
  tallybot log --model gpt-4o --prompt-tokens 150 --completion-tokens 320
  tallybot log --prompt-tokens 150 --metadata article_id=123 --user ana
  tallybot log --api gemini --model gemini-2.5-flash --error timeout
A tallybot that is running on the folder takes the call, and counts it at once.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[command(flatten)]
    WithBooks(BooksCommand),
    /// Check a configuration and list every mistake in it
    CheckConfig {
        /// The file [default: --config, else ./tallybot.toml]
        file: Option<PathBuf>,
        /// Then send a test to each place of `[alerts]`, and say how that went
        #[arg(long)]
        send_test_alert: bool,
    },
}

/// Commands that need a configuration that holds.
#[derive(Debug, Subcommand)]
pub(super) enum BooksCommand {
    /// Run the bot and its HTTP door; on a terminal, with the chat attached (the default)
    Serve,
    /// Chat on this terminal, or answer each line of a pipe
    Chat,
    /// Show requests, tokens, latency, cost and limits
    Stats(StatsArguments),
    /// Record a model call that was made elsewhere
    #[command(after_help = LOG_EXAMPLES)]
    Log(Box<LogArguments>),
    /// Show the newest records, and new ones as they come
    Recent(Box<RecentArguments>),
    /// Write the records as CSV or JSON
    Export(Box<ExportArguments>),
    /// Take over calls and totals that other programs, or another tallybot, recorded
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportArguments),
    /// Look at the prices, check that every model has one, and take those of a list
    #[command(after_help = PRICES_EXAMPLES)]
    Prices(PricesArguments),
    /// Price the recorded calls by other prices, beside what they cost
    #[command(after_help = WHAT_IF_EXAMPLES)]
    WhatIf(WhatIfArguments),
    /// Make keys for programs that use the gateway, show what they open, and revoke them
    #[command(after_help = KEYS_EXAMPLES)]
    Keys(KeysArguments),
    /// Start counting from zero (what was recorded stays)
    Reset {
        /// Take the last reset back: what it hid is shown again
        #[arg(long)]
        undo: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Check everything that was recorded, and that every total agrees with it
    #[command(after_help = VERIFY_EXIT)]
    Verify(VerifyArguments),
    /// Compress the journal's old files; they are read as before
    Archive(ArchiveArguments),
}

impl BooksCommand {
    /// Whether models and messengers are called: then their keys must be there, and hints about them are worth reading.
    pub(super) fn calls_others(&self) -> bool {
        matches!(self, BooksCommand::Serve | BooksCommand::Chat)
    }

    /// Whether it begins books in a folder that is named and not there.
    pub(super) fn begins_books(&self) -> bool {
        match self {
            BooksCommand::Serve | BooksCommand::Chat => true,
            BooksCommand::Import(arguments) => !arguments.dry_run,
            _ => false,
        }
    }

    /// Whether it changes anything in the folder.
    pub(super) fn writes(&self) -> bool {
        match self {
            BooksCommand::Stats(_) | BooksCommand::Recent(_) | BooksCommand::Export(_) | BooksCommand::WhatIf(_) => {
                false
            }
            BooksCommand::Prices(arguments) => arguments.writes(),
            BooksCommand::Keys(arguments) => arguments.writes(),
            BooksCommand::Verify(arguments) => arguments.repair,
            BooksCommand::Import(arguments) => !arguments.dry_run,
            BooksCommand::Archive(arguments) => !arguments.dry_run,
            BooksCommand::Serve | BooksCommand::Chat | BooksCommand::Log(_) | BooksCommand::Reset { .. } => true,
        }
    }
}

const VERIFY_EXIT: &str = "\
Exit code: 0 everything agrees, 1 errors were found or it could not be checked.
Nothing is changed without --repair, and no whole line of the journal with it.
See docs/verify.md.";

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Put what is damaged into quarantine, and make again what is made from the journal
    #[arg(long)]
    pub(super) repair: bool,
}

#[derive(Debug, Args)]
pub(super) struct ArchiveArguments {
    /// Files begun before this day, such as 2026-11-01
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub(super) before: Day,
    /// Say what would be compressed, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct StatsArguments {
    /// today, 7d, 30d or all (everything since the last reset)
    #[arg(long, default_value = "all", value_parser = period)]
    pub(super) period: Period,
    /// 0 is what is counted now, 1 what was before the last reset, 2 before the one before it, …
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) epoch: usize,
    /// List the epochs instead: from which reset to which, with their requests and tokens
    #[arg(long, conflicts_with_all = ["epoch", "period", "view", "lang"])]
    pub(super) epochs: bool,
    /// overview, models, types or limits
    #[arg(long, default_value = "overview", value_parser = view)]
    pub(super) view: View,
    /// en, es, pt or fr [default: `language` of the configuration]
    #[arg(long, value_parser = lang)]
    pub(super) lang: Option<Lang>,
    /// As JSON, in the shape of GET /stats
    #[arg(long)]
    pub(super) json: bool,
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  tallybot import logs/tokens                  a log of calls and its totals
  tallybot import metrics.json report.json     totals, and a session's report
  tallybot import /mnt/other-machine/data      the books of another tallybot
Importing again adds only what is new. Exit code 1 says that something could not
be taken; it is told on stderr.";

#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// Files, or folders with files of a known form in them
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Whose calls these are, to tell them from another program's [default: by the form of the file]
    #[arg(long, value_name = "NAME", value_parser = source_name)]
    pub(super) source: Option<String>,
    /// token-log, token-stats, session-report, raymundo or tallybot [default: by what is in the file]
    #[arg(long, value_parser = format)]
    pub(super) format: Option<Format>,
    /// Only say what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// What was done, with every line that could not be read, as JSON
    #[arg(long)]
    pub(super) json: bool,
}

fn format(text: &str) -> Result<Format, String> {
    let known = Format::ALL.into_iter().find(|format| format.as_str() == text);
    known.ok_or_else(|| "expected token-log, token-stats, session-report, raymundo or tallybot".to_owned())
}

/// One word: a second one is a session's, or other books'.
fn source_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    let fits = (1..=64).contains(&text.len()) && text.chars().all(fits);
    fits.then(|| text.to_owned()).ok_or_else(|| "expected 1 to 64 letters, digits, `.`, `_`, `-` or `:`".to_owned())
}

/// What a usage item has, by the token log's names where it has them.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["prompt_tokens", "completion_tokens", "error", "status"]).multiple(true).required(true))]
pub(super) struct LogArguments {
    /// Input tokens, cached ones included
    #[arg(long, value_name = "N", value_parser = tokens, allow_negative_numbers = true)]
    pub(super) prompt_tokens: Option<u64>,
    /// Output tokens, reasoning included
    #[arg(long, value_name = "N", value_parser = tokens, allow_negative_numbers = true)]
    pub(super) completion_tokens: Option<u64>,
    /// The API spoken: gemini, openai, ollama, … [default: unknown]
    #[arg(long, visible_alias = "api-type", value_name = "NAME")]
    pub(super) api: Option<String>,
    /// The model [default: unknown]
    #[arg(long, value_name = "NAME")]
    pub(super) model: Option<String>,
    /// The end of the key it was made with; the last 4 characters are kept
    #[arg(long, value_name = "TEXT")]
    pub(super) api_key_suffix: Option<String>,
    /// Data of your own, any number of times; a value is JSON if it is, else text. No prompts, no secrets
    #[arg(long, value_name = "KEY=VALUE", value_parser = metadata)]
    pub(super) metadata: Vec<(String, serde_json::Value)>,
    /// It failed; of the text only a class and an HTTP status are kept
    #[arg(long, value_name = "TEXT")]
    pub(super) error: Option<String>,
    /// How it ended: ok, cached, error, timeout, cancelled, refused or interrupted [default: ok, or what --error says]
    #[arg(long)]
    pub(super) status: Option<String>,
    /// The provider [default: the API]
    #[arg(long, value_name = "NAME")]
    pub(super) provider: Option<String>,
    /// What it was for: chat, document, vision, … [default: other]
    #[arg(long = "type", visible_alias = "request-type", value_name = "NAME")]
    pub(super) request_type: Option<String>,
    /// Which feature asked
    #[arg(long, value_name = "NAME")]
    pub(super) feature: Option<String>,
    /// Which agent asked
    #[arg(long, value_name = "NAME")]
    pub(super) agent: Option<String>,
    /// Which operation of the agent
    #[arg(long, value_name = "NAME")]
    pub(super) operation: Option<String>,
    /// Whose budget
    #[arg(long, value_name = "NAME")]
    pub(super) team: Option<String>,
    /// Who asked; becomes a subject id
    #[arg(long, value_name = "ID")]
    pub(super) user: Option<String>,
    /// Which conversation; becomes a subject id
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<String>,
    /// How long it took [default: unknown]
    #[arg(long, value_name = "MS", value_parser = millis, allow_negative_numbers = true)]
    pub(super) latency_ms: Option<u64>,
    /// How long until the first piece of the answer came
    #[arg(long, value_name = "MS", value_parser = millis, allow_negative_numbers = true)]
    pub(super) first_token_ms: Option<u64>,
    /// What it cost, in dollars [default: what the price book says]
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    pub(super) cost_usd: Option<String>,
    /// When it was: RFC 3339; without an offset in the zone of the books (`timezone`) [default: now]
    #[arg(long, value_name = "TIME")]
    pub(super) timestamp: Option<String>,
    /// Your id of this call: with the same one again nothing is counted
    #[arg(long)]
    pub(super) id: Option<String>,
    /// Whose ids these are [default: api]
    #[arg(long, value_name = "NAME", requires = "id")]
    pub(super) source: Option<String>,
    /// The model ran on this machine
    #[arg(long)]
    pub(super) local: bool,
    /// Input tokens read from the provider's cache
    #[arg(long, value_name = "N", value_parser = tokens, allow_negative_numbers = true)]
    pub(super) cached_tokens: Option<u64>,
    /// Input tokens written to the provider's cache
    #[arg(long, value_name = "N", value_parser = tokens, allow_negative_numbers = true)]
    pub(super) cache_write_tokens: Option<u64>,
    /// Those of them that stay for an hour
    #[arg(long, value_name = "N", value_parser = tokens, allow_negative_numbers = true)]
    pub(super) cache_write_1h_tokens: Option<u64>,
    /// Output tokens spent on reasoning
    #[arg(long, value_name = "N", value_parser = tokens, allow_negative_numbers = true)]
    pub(super) reasoning_tokens: Option<u64>,
    /// How the counts are known: reported, partial, estimated or none [default: by which are given]
    #[arg(long, value_name = "HOW")]
    pub(super) usage_source: Option<String>,
    /// The tier served: default, flex, priority, …
    #[arg(long, value_name = "NAME")]
    pub(super) service_tier: Option<String>,
    /// What was recorded, as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// A count of tokens, as clap reads arguments.
fn tokens(text: &str) -> Result<u64, String> {
    let example = "for example 150";
    whole(text, MAX_TOKENS)
        .ok_or_else(|| format!("expected a whole number of tokens from 0 to {MAX_TOKENS}, {example}"))
}

/// A time that something took, as clap reads arguments.
fn millis(text: &str) -> Result<u64, String> {
    let example = "for example 2450";
    whole(text, MAX_MILLIS)
        .ok_or_else(|| format!("expected a whole number of milliseconds from 0 to {MAX_MILLIS}, {example}"))
}

fn whole(text: &str, most: u64) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_plain && *number <= most)
}

fn metadata(text: &str) -> Result<(String, serde_json::Value), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or_else(|| "expected KEY=VALUE, for example article_id=123".to_owned())?;
    Ok((key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

pub(super) fn period(text: &str) -> Result<Period, String> {
    Period::parse(text).ok_or_else(|| "expected today, 7d, 30d or all".to_owned())
}

/// A day, as clap reads arguments.
pub(super) fn day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "expected a day such as 2026-11-01".to_owned())
}

fn view(text: &str) -> Result<View, String> {
    let known = View::OF_REPORT.into_iter().find(|view| view.as_str() == text);
    let people = if text == View::Users.as_str() {
        "a folder's report knows no people, whom `/stats users` shows to an admin in the chat; "
    } else {
        ""
    };
    known.ok_or_else(|| format!("{people}expected overview, models, types or limits"))
}

fn lang(text: &str) -> Result<Lang, String> {
    Lang::parse(text).ok_or_else(|| "expected en, es, pt or fr".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent_and_the_examples_parse() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        let examples = [EXAMPLES, LOG_EXAMPLES, IMPORT_EXAMPLES, KEYS_EXAMPLES, PRICES_EXAMPLES, WHAT_IF_EXAMPLES]
            .into_iter()
            .flat_map(str::lines);
        let examples = examples.filter(|line| line.starts_with("  ") || line.contains("| "));
        for line in examples.filter_map(|line| line.split("tallybot").nth(1)) {
            assert!(line.len() + "  tallybot".len() <= 80, "it would be wrapped: {line}");
            let words = line.split("   ").next().unwrap_or_default().split_whitespace();
            Arguments::try_parse_from(std::iter::once("tallybot").chain(words)).expect(line);
        }
    }
}
