//! `export` and `recent`: the records themselves.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};

use super::arguments::{day, period};
use super::folder::say_if_no_books;
use super::output::{self, Existing, write_file, write_out};
use super::settings::Loaded;
use super::{WrongUse, clock_of, complain, read_report};
use crate::app;
use crate::reports::raymundo::Metrics;
use crate::reports::records::{
    COLUMNS, Column, Facet, Format, RecordFilter, RecordLines, RecordWriter, columns_named, write_summary,
};
use crate::service;
use crate::service::records::{Asked, Recent};
use crate::stats::Period;
use crate::usage::{Clock, Day, Status, UsageRecord, write_record};

/// How often `--follow` looks for new records.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The most records that `recent` shows: it holds them in memory.
const MAX_RECENT: usize = 100_000;

/// Which records.
#[derive(Debug, Args)]
pub(super) struct FilterArguments {
    /// What `stats` counts in this period: today, 7d, 30d or all (everything since the last reset)
    #[arg(long, value_parser = period, conflicts_with_all = ["from", "to"])]
    period: Option<Period>,
    /// 0 is what is counted now, 1 what was before the last reset, … [default: all of them, with --period 0]
    #[arg(long, value_name = "N")]
    epoch: Option<usize>,
    /// The first day, such as 2026-11-01
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Day>,
    /// The last day
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: Option<Day>,
    /// Only this API; like all that follow it may be given several times, and `unknown` is what was not said
    #[arg(long, value_name = "NAME")]
    api: Vec<String>,
    /// Only this model
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// Only this provider
    #[arg(long, value_name = "NAME")]
    provider: Vec<String>,
    /// Only this request type, such as chat or vision
    #[arg(long = "type", value_name = "NAME")]
    request_type: Vec<String>,
    /// Only calls that ended so: ok, cached, error, timeout, cancelled, refused, interrupted
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Vec<Status>,
    /// Only this user: the id in the records, or CHANNEL:IDENTITY
    #[arg(long, value_name = "USER")]
    user: Vec<String>,
    /// Only this feature
    #[arg(long, value_name = "NAME")]
    feature: Vec<String>,
    /// Only this agent
    #[arg(long, value_name = "NAME")]
    agent: Vec<String>,
    /// Only this operation
    #[arg(long, value_name = "NAME")]
    operation: Vec<String>,
    /// Only this team
    #[arg(long, value_name = "NAME")]
    team: Vec<String>,
    /// Only this channel
    #[arg(long, value_name = "NAME")]
    channel: Vec<String>,
    /// Only this gateway key
    #[arg(long, value_name = "NAME")]
    key: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// csv, jsonl (one record a line), json (an array), raymundo (its metrics.json)
    #[arg(long, value_name = "FORMAT", default_value = "csv", hide_possible_values = true)]
    format: ExportFormat,
    /// Only these columns, such as day,model,total_tokens; `help` lists them
    #[arg(long, value_name = "NAMES", conflicts_with = "summary")]
    columns: Option<String>,
    /// A row for each API and model instead of each call
    #[arg(long)]
    summary: bool,
    /// Write a file, whole or not at all, that only you can read
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    force: bool,
    #[command(flatten)]
    filters: FilterArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    Csv,
    Jsonl,
    Json,
    Raymundo,
}

#[derive(Debug, Args)]
pub(super) struct RecentArguments {
    /// How many, at most 100000
    #[arg(short = 'n', long = "count", value_name = "COUNT", default_value_t = 20, value_parser = count)]
    count: usize,
    /// Go on with new ones as they come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// As JSON, one record a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: FilterArguments,
}

fn count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=MAX_RECENT).contains(count));
    count.ok_or_else(|| format!("expected a whole number from 1 to {MAX_RECENT}, for example 20; `export` gives all"))
}

fn status(text: &str) -> Result<Status, String> {
    let known = Status::ALL.into_iter().find(|status| status.as_str() == text);
    known.ok_or_else(|| format!("expected one of {}", Status::ALL.map(Status::as_str).join(", ")))
}

impl FilterArguments {
    fn filter(self, loaded: &Loaded, clock: &Arc<dyn Clock>) -> anyhow::Result<RecordFilter> {
        let names = vec![
            (Facet::Api, self.api),
            (Facet::Model, self.model),
            (Facet::Provider, self.provider),
            (Facet::Type, self.request_type),
            (Facet::Feature, self.feature),
            (Facet::Agent, self.agent),
            (Facet::Operation, self.operation),
            (Facet::Team, self.team),
            (Facet::Channel, self.channel),
            (Facet::Key, self.key),
        ];
        let FilterArguments { period, epoch, from, to, .. } = self;
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            let expected = "expected the first day before the last";
            return Err(WrongUse::error(format_args!("no day is from {from} on and up to {to}; {expected}")));
        }
        let asked = Asked { period, epoch, from, to, names, statuses: self.status, users: self.user };
        service::records::filter(&loaded.data_dir, asked, clock.now().at.day())
    }
}

/// `tallybot export`.
pub(super) fn export(loaded: &Loaded, arguments: ExportArguments) -> anyhow::Result<()> {
    let columns = match arguments.columns.as_deref() {
        Some("help") => return output::print(&list_of_columns()),
        Some(names) => Some(columns_named(names).map_err(WrongUse::error)?),
        None => None,
    };
    let clock = clock_of(loaded);
    // The records can be read without the acts.
    say_if_no_books(loaded).unwrap_or_else(|error| complain(&error));
    let ExportArguments { format, summary, output, force, filters, .. } = arguments;
    if let Some(file) = &output {
        refuse_among_the_books(file, &loaded.data_dir)?;
    }
    let target = Target { file: output, existing: if force { Existing::Replace } else { Existing::Keep } };
    let format = match format {
        ExportFormat::Csv => Format::Csv,
        ExportFormat::Jsonl => Format::Jsonl,
        ExportFormat::Json => Format::Json,
        ExportFormat::Raymundo if summary || columns.is_some() => {
            return Err(WrongUse::error("--format raymundo is a form of its own, without --columns and --summary"));
        }
        ExportFormat::Raymundo => return export_raymundo(loaded, filters, &clock, target),
    };
    let filter = filters.filter(loaded, &clock)?;
    if summary {
        let table = service::records::summary(&loaded.data_dir, &filter, clock.now().at)?;
        return target.write(|out| Ok(write_summary(&table, format, out)?)).map(|_| ());
    }
    let damaged = target.write(|out| export_records(loaded, &filter, RecordWriter::new(out, format, columns)))?;
    if let Some(damaged) = damaged.filter(|damaged| *damaged > 0) {
        complain(&format_args!("{damaged} damaged piece(s) of the journal are no records and were left out"));
    }
    Ok(())
}

/// An error if a file would stand in the data folder, where it could take the place of the journal itself.
fn refuse_among_the_books(file: &Path, data_dir: &Path) -> anyhow::Result<()> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Ok(parent), Ok(books)) = (parent.canonicalize(), data_dir.canonicalize()) else { return Ok(()) };
    if parent.starts_with(books) {
        bail!("`{}` lies in the data folder, among the books; choose another folder", file.display());
    }
    Ok(())
}

/// Where an export goes.
struct Target {
    file: Option<PathBuf>,
    existing: Existing,
}

impl Target {
    /// `None` when nobody reads on.
    fn write<T>(self, write: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>) -> anyhow::Result<Option<T>> {
        match self.file {
            Some(path) => write_file(&path, self.existing, write).map(Some),
            None => write_out(write),
        }
    }
}

/// Writes every record that is wanted; gives how many damaged pieces were passed over.
fn export_records(
    loaded: &Loaded,
    filter: &RecordFilter,
    mut writer: RecordWriter<&mut dyn Write>,
) -> anyhow::Result<usize> {
    let mut written: io::Result<()> = Ok(());
    let damaged = service::records::for_each(&loaded.data_dir, filter, |record| {
        written = writer.write(record);
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written?;
    writer.finish()?;
    Ok(damaged)
}

/// An older bot's `metrics.json` is about everything, or about a period.
fn export_raymundo(
    loaded: &Loaded,
    filters: FilterArguments,
    clock: &Arc<dyn Clock>,
    target: Target,
) -> anyhow::Result<()> {
    let period = filters.period.unwrap_or_default();
    let has_days = filters.from.is_some() || filters.to.is_some();
    let epoch = filters.epoch.unwrap_or(0);
    let others = RecordFilter { from: None, to: None, since: None, until: None, ..filters.filter(loaded, clock)? };
    if has_days || !others.wants_all() {
        let mistake = "--format raymundo counts everything; of the filters only --period and --epoch go with it";
        return Err(WrongUse::error(mistake));
    }
    let zone = app::zone_of(&loaded.config);
    let report = read_report(loaded, zone, (period, epoch), clock)?;
    let text = Metrics::of(&report, zone).to_json();
    target.write(|out| Ok(out.write_all(text.as_bytes())?)).map(|_| ())
}

fn list_of_columns() -> String {
    let line = |column: &Column| format!("{:<22} {}\n", column.name, column.meaning);
    COLUMNS.iter().map(line).collect()
}

/// `tallybot recent`.
pub(super) async fn recent(loaded: &Loaded, arguments: RecentArguments) -> anyhow::Result<()> {
    let RecentArguments { count, follow, json, filters } = arguments;
    let filter = filters.filter(loaded, &clock_of(loaded))?;
    // The records can be read without the acts.
    say_if_no_books(loaded).unwrap_or_else(|error| complain(&error));
    let mut recent = Recent::of(&loaded.data_dir, filter)?;
    let newest = recent.newest(count)?;
    let layout = (!json).then(|| RecordLines::fitting(&newest));
    let mut text: String = layout.iter().map(|layout| layout.titles() + "\n").collect();
    newest.iter().for_each(|record| text.push_str(&line_of(layout.as_ref(), record)));
    let mut heard = write_out(|out| Ok(out.write_all(text.as_bytes())?))?;
    while follow && heard.is_some() && !output::reader_is_gone() {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut lines = String::new();
        recent.advance(|record| lines.push_str(&line_of(layout.as_ref(), record)))?;
        if !lines.is_empty() {
            heard = write_out(|out| Ok(out.write_all(lines.as_bytes())?))?;
        }
    }
    Ok(())
}

/// A line of the table, or of JSON where there is none.
fn line_of(layout: Option<&RecordLines>, record: &UsageRecord<'_>) -> String {
    let mut line = match layout {
        Some(layout) => layout.line(record),
        None => {
            let mut object = Vec::with_capacity(640);
            write_record(record, &mut object);
            String::from_utf8_lossy(&object).into_owned()
        }
    };
    line.push('\n');
    line
}
