//! The shell: arguments, and one function per command.

#![expect(clippy::print_stderr, reason = "commands talk to whoever typed them")]

mod arguments;
mod folder;
mod import;
mod keys;
mod log;
mod output;
mod prices;
mod progress;
mod records;
mod settings;
mod test_alert;
mod verify;
mod what_if;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Parser;
use serde::Serialize;

use crate::app::{self, App, Doors, Place, SystemClock};
use crate::channels::terminal::{columns_of_stdout, fitted};
use crate::ledger::LedgerError;
use crate::reports::{EpochUse, StatsReport, View};
use crate::service::{self, Books};

use crate::stats::Period;
use crate::templates::{Lang, Templates};
use crate::usage::{Clock, Timestamp, Zone};

use arguments::{Arguments, BooksCommand, Command, StatsArguments};
use folder::say_if_no_books;
use output::print;
use settings::{Loaded, Secrets};

/// Parses the arguments and runs the command they name.
///
/// # Errors
/// Whatever went wrong, with the chain of its causes; printed once, by `main`.
pub fn run() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    harden();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    let dispatched = async {
        app::outlive_file_size_limits();
        dispatch(arguments).await
    };
    match runtime.block_on(dispatched) {
        Err(error) if error.is::<WrongUse>() => {
            complain(&format_args!("{error:#}"));
            Ok(ExitCode::from(WRONG_USE))
        }
        ended => ended,
    }
}

/// The exit code of wrong arguments and wrong configurations, as clap has it.
const WRONG_USE: u8 = 2;

/// What was asked for makes no sense, whatever the books hold.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUse(String);

impl WrongUse {
    fn error(text: impl std::fmt::Display) -> anyhow::Error {
        WrongUse(text.to_string()).into()
    }
}

async fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let command = match arguments.command {
        Some(Command::CheckConfig { file, send_test_alert }) => {
            return settings::check(file.as_deref().or(arguments.config.as_deref()), send_test_alert).await;
        }
        Some(Command::WithBooks(command)) => command,
        None => BooksCommand::Serve,
    };
    let secrets = if command.calls_others() { Secrets::Needed } else { Secrets::IfThere };
    let loaded = match settings::load(arguments.config.as_deref(), arguments.data_dir, secrets) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            tell(&mistakes);
            return Ok(ExitCode::from(WRONG_USE));
        }
    };
    if command.calls_others() {
        loaded.warnings.iter().for_each(|warning| tell(&warning));
    }
    folder::look(&loaded, command.begins_books())?;
    if command.writes() {
        folder::close_to_others(&loaded);
    }
    match command {
        BooksCommand::Serve => serve(loaded).await?,
        BooksCommand::Chat => chat(loaded).await?,
        BooksCommand::Stats(stats) => show_stats(&loaded, &stats)?,
        BooksCommand::Log(arguments) => log::log(&loaded, *arguments).await?,
        BooksCommand::Recent(recent) => records::recent(&loaded, *recent).await?,
        BooksCommand::Export(export) => records::export(&loaded, *export)?,
        BooksCommand::Prices(arguments) => return prices::prices(&loaded, arguments),
        BooksCommand::WhatIf(arguments) => what_if::what_if(&loaded, &arguments)?,
        BooksCommand::Keys(arguments) => keys::keys(&loaded, arguments).await?,
        BooksCommand::Reset { undo, yes } => reset(&loaded, undo, yes).await?,
        BooksCommand::Verify(arguments) => return verify::verify(&loaded, &arguments),
        BooksCommand::Archive(arguments) => verify::archive(&loaded, &arguments)?,
        BooksCommand::Import(arguments) => return import::import(&loaded, arguments).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// Says on the standard error that something is not as it should be, under the name that every such line begins with;
/// what is wrong in a file begins with that file's name instead.
fn complain(text: &dyn std::fmt::Display) {
    tell(&format_args!("tallybot: {text}"));
}

/// Says something beside the output. That nobody takes it is no reason to end.
fn tell(text: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Files are made closed to others, and a crash leaves no image of memory behind.
fn harden() {
    use rustix::process::{Resource, Rlimit, setrlimit, umask};
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Not being allowed to lower a limit is no reason not to run.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    std::panic::set_hook(Box::new(|info| {
        // Where, and nothing of what: the message of a panic could hold anything.
        let place = info.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        tracing::error!("a bug{place}");
        let _ = writeln!(std::io::stderr(), "tallybot met a bug of its own{place}; what was recorded is safe");
    }));
}

async fn serve(loaded: Loaded) -> anyhow::Result<()> {
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let place = Place { data_dir: loaded.data_dir, listen: Some(loaded.config.http.listen) };
    let app = App::build(loaded.config, place).await?;
    app.run(Doors { terminal, messengers: true }, |notice| tell(&notice)).await
}

async fn chat(loaded: Loaded) -> anyhow::Result<()> {
    let place = Place { data_dir: loaded.data_dir, listen: None };
    let app = App::build(loaded.config, place).await?;
    app.run(Doors { terminal: true, messengers: false }, |notice| tell(&notice)).await
}

/// The system's clock in the owner's zone.
fn clock_of(loaded: &Loaded) -> Arc<dyn Clock> {
    Arc::new(SystemClock::new(app::zone_of(&loaded.config)))
}

fn show_stats(loaded: &Loaded, arguments: &StatsArguments) -> anyhow::Result<()> {
    let (zone, clock) = (app::zone_of(&loaded.config), clock_of(loaded));
    say_if_no_books(loaded)?;
    if arguments.epochs {
        let epochs = service::epochs(&loaded.data_dir, &clock)?;
        return print(&if arguments.json { json(&epochs)? } else { epochs_text(&epochs) });
    }
    let span = (arguments.period, arguments.epoch);
    let report = read_report(loaded, zone, span, &clock)?;
    let text =
        if arguments.json { json(&report)? } else { stats_text(loaded, &report, arguments.lang, arguments.view)? };
    print(&text)
}

/// Reads a report, and says what is missing from it.
fn read_report(
    loaded: &Loaded,
    zone: Zone,
    span: (Period, usize),
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<StatsReport> {
    let service::Read { report, missing } = service::report(&loaded.config, &loaded.data_dir, zone, span, clock)?;
    if let Some(missing) = missing {
        complain(&missing);
    }
    Ok(report)
}

fn json(report: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(report).context("cannot write the report")? + "\n")
}

/// A table of at most 80 columns: times to the second, as `--json` has them to the microsecond.
fn epochs_text(epochs: &[EpochUse]) -> String {
    let second = |at: Timestamp| at.to_chrono().format("%Y-%m-%d %H:%M:%S").to_string();
    let mut text = format!("{:>5}  {:<19}  {:<19}  {:>12}  {:>15}\n", "epoch", "from", "to", "requests", "tokens");
    for EpochUse { epoch, requests, tokens } in epochs {
        let from = epoch.begin.map_or("the start".to_owned(), second);
        let to = epoch.end.map_or("now".to_owned(), second);
        text += &format!("{:>5}  {from:<19}  {to:<19}  {requests:>12}  {tokens:>15}\n", epoch.number);
    }
    text
}

fn stats_text(loaded: &Loaded, report: &StatsReport, lang: Option<Lang>, view: View) -> anyhow::Result<String> {
    let templates = Templates::load(loaded.config.templates_dir.as_deref()).context("cannot load the templates")?;
    let mut text = report.text(&templates, lang.unwrap_or(loaded.config.language), view);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(match columns_of_stdout() {
        Some(columns) => fitted(&text, columns),
        None => text,
    })
}

async fn reset(loaded: &Loaded, undo: bool, yes: bool) -> anyhow::Result<()> {
    let (question, refused) = if undo {
        (
            "Take the last reset back? What it hid is shown again. [y/N] ",
            "say --yes to take it back without being asked",
        )
    } else {
        (
            "Start counting from zero? What was recorded stays; only what is shown starts anew. [y/N] ",
            "say --yes to reset without being asked",
        )
    };
    if !yes && !confirmed(question)? {
        bail!("nothing was changed; {refused}");
    }
    if !service::has_books(&loaded.data_dir) {
        let nothing = if undo { "no reset to take back" } else { "nothing to reset" };
        bail!("there are no books in `{}`, so there is {nothing}", loaded.data_dir.display());
    }
    let books = app::open_books(&loaded.config, &loaded.data_dir).await;
    let books = books.map_err(|error| match error.downcast_ref() {
        Some(LedgerError::InUse { .. }) | None => error.context("a chat that holds the folder takes /reset_stats"),
        Some(_) => error,
    })?;
    let done = change(&books, undo).await;
    let done = books.close().and(done)?;
    print(&(done + "\n"))
}

async fn change(books: &Books, undo: bool) -> anyhow::Result<String> {
    if !undo {
        return Ok(format!("counting since {}", books.reset().await?));
    }
    let undone = books.undo_reset().await?.context("there is no reset to take back")?;
    Ok(format!("the reset of {} is taken back; counting since {}", undone.begin, undone.counting_since))
}

/// Asks on the terminal; without one, the answer is no.
fn confirmed(question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("{question}");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "s" | "si" | "sí" | "sim" | "o" | "oui"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    /// Set for a copy of this test binary whose panic is looked at.
    const CHILD: &str = "TALLYBOT_TEST_PANICS";
    const PRIVATE: &str = "a-private-text-in-a-panic";

    #[test]
    fn j3_a_panic_tells_where_and_nothing_of_what() {
        if std::env::var_os(CHILD).is_some() {
            super::harden();
            tracing_subscriber::fmt().with_writer(std::io::stderr).init();
            panic!("{PRIVATE}");
        }
        let this = std::env::current_exe().expect("a test binary has a path");
        let name = "cli::tests::j3_a_panic_tells_where_and_nothing_of_what";
        let mut child = Command::new(this);
        child.args([name, "--exact", "--nocapture"]).env(CHILD, "1").env("RUST_BACKTRACE", "full");
        let output = child.output().expect("it starts again");
        let shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success(), "{shown}");
        assert!(shown.contains("tallybot met a bug of its own at src/cli/mod.rs:"), "{shown}");
        assert!(shown.contains("a bug at src/cli/mod.rs:"), "the log says it too: {shown}");
        assert!(!shown.contains(PRIVATE), "{shown}");
    }
}
