//! What may be typed after `tallybot`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::reports::View;
use crate::stats::Period;
use crate::templates::Lang;

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
  tallybot                              chat here, and serve http://127.0.0.1:5000/stats
  echo 'hello' | tallybot chat          ask from a script
  tallybot stats --period today         what was used today
  tallybot stats --json                 the same for a program";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[command(flatten)]
    WithBooks(BooksCommand),
    /// Check a configuration and list every mistake in it
    CheckConfig {
        /// The file [default: --config, else ./tallybot.toml]
        file: Option<PathBuf>,
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
    /// Start counting from zero (what was recorded stays)
    Reset {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct StatsArguments {
    /// today, 7d, 30d or all (everything since the last reset)
    #[arg(long, default_value = "all", value_parser = period)]
    pub(super) period: Period,
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

fn period(text: &str) -> Result<Period, String> {
    Period::parse(text).ok_or_else(|| "expected today, 7d, 30d or all".to_owned())
}

fn view(text: &str) -> Result<View, String> {
    let known = View::ALL.into_iter().find(|view| view.as_str() == text);
    known.ok_or_else(|| "expected overview, models, types or limits".to_owned())
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
        for line in EXAMPLES.lines().filter_map(|line| line.split("tallybot").nth(1)) {
            let words = line.split("   ").next().unwrap_or_default().split_whitespace();
            Arguments::try_parse_from(std::iter::once("tallybot").chain(words)).expect(line);
        }
    }
}
