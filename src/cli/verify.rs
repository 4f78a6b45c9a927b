//! `tallybot verify` and `tallybot archive`: the books checked, repaired, and made smaller.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use serde::Serialize;

use super::arguments::{ArchiveArguments, VerifyArguments};
use super::settings::Loaded;
use super::{print, progress};
use crate::app::{self, SystemClock};
use crate::ledger::{Archived, Checked, Finding, Level, Repaired, Verification};
use crate::service;
use crate::templates::Lang;
use crate::templates::numbers::{self, Place};
use crate::usage::Clock;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    /// What was repaired before; `null` when nothing was.
    repaired: Option<&'a Repaired>,
    #[serde(flatten)]
    verification: &'a Verification,
}

/// Checks the books. The exit code is 0 when they agree, 1 when they do not.
pub(super) fn verify(loaded: &Loaded, arguments: &VerifyArguments) -> anyhow::Result<ExitCode> {
    let (config, folder, zone) = (&loaded.config, &loaded.data_dir, app::zone_of(&loaded.config));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(zone));
    let look = || {
        let bar = progress::of_bytes();
        let found = service::verify(config, folder, zone, &clock, &mut |progress| {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        });
        bar.finish_and_clear();
        found
    };
    if arguments.repair {
        service::must_be_free(folder, "repair")?;
    }
    let mut verification = look()?;
    let mut repaired = None;
    if arguments.repair && verification.wants_repair() {
        repaired = Some(service::repair(config, folder, zone, &clock)?);
        verification = look()?;
    }
    let text = if arguments.json {
        let report = Report { repaired: repaired.as_ref(), verification: &verification };
        serde_json::to_string_pretty(&report).context("cannot write the report")? + "\n"
    } else {
        text_of(folder, arguments.repair, repaired.as_ref(), &verification)
    };
    print(&text)?;
    Ok(if verification.worst() < Some(Level::Error) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text_of(folder: &Path, repair: bool, repaired: Option<&Repaired>, verification: &Verification) -> String {
    let mut text = String::new();
    match repaired {
        Some(repaired) => repaired_text(repaired, &mut text),
        None if repair => text.push_str("There was nothing to repair.\n"),
        None => {}
    }
    if let Some(holder) = &verification.holder {
        let _ = writeln!(
            text,
            "Process {} is writing to `{}`: its newest lines may be on their way, and what is made from the journal is \
             compared at its own place.",
            holder.pid,
            folder.display()
        );
    }
    for checked in &verification.checks {
        let Checked { check, looked_at, .. } = checked;
        let _ = writeln!(text, "{} {:<20} {looked_at}", mark(checked), check.title());
    }
    text.push('\n');
    for finding in &verification.findings {
        finding_text(finding, &mut text);
    }
    if !verification.findings.is_empty() {
        text.push('\n');
    }
    text + &summary(verification)
}

fn mark(checked: &Checked) -> char {
    match checked.worst {
        _ if !checked.made && checked.worst.is_none() => '·',
        Some(Level::Error) => '✗',
        Some(Level::Warning) => '!',
        Some(Level::Info) | None => '✓',
    }
}

fn finding_text(finding: &Finding, text: &mut String) {
    let kind = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "note",
    };
    let mut place = String::new();
    if let Some(file) = &finding.file {
        let _ = write!(place, "{file} ");
    }
    if let Some(line) = finding.line {
        let _ = write!(place, "line {line} ");
    }
    if let Some(offset) = finding.offset {
        let _ = write!(place, "(byte {offset}) ");
    }
    let _ = write!(text, "{kind}: {}{}{}", place.trim_end(), if place.is_empty() { "" } else { ": " }, finding.what);
    if let Some(advice) = &finding.advice {
        let _ = write!(text, "\n  → {advice}");
    }
    text.push('\n');
}

fn summary(verification: &Verification) -> String {
    let (records, files) = (counted(verification.records, "record"), counted(verification.files as u64, "file"));
    let compressed = match verification.compressed {
        0 => String::new(),
        some => format!(" ({some} compressed)"),
    };
    let count = |level| verification.findings.iter().filter(|finding| finding.level == level).count() as u64;
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    let verdict = match (errors, warnings) {
        (0, 0) => "everything agrees".to_owned(),
        (0, warnings) => format!("the numbers agree, {}", counted(warnings, "warning")),
        (errors, 0) => counted(errors, "error"),
        (errors, warnings) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    };
    let drift = match &verification.drift {
        None => String::new(),
        Some(drift) if drift.is_zero() => ", drift 0".to_owned(),
        Some(drift) => format!(
            ", drift: the snapshot has {:+} records, {:+} input and {:+} output tokens, {} USD",
            drift.records, drift.prompt_tokens, drift.completion_tokens, drift.cost_usd
        ),
    };
    format!("{records} in {files}{compressed}: {verdict}{drift}\n")
}

fn repaired_text(repaired: &Repaired, text: &mut String) {
    let (pieces, bytes) = repaired.quarantined;
    let _ = writeln!(
        text,
        "Repaired: everything that is made from the journal was made again, from {} records.",
        grouped(repaired.records)
    );
    if pieces > 0 {
        let _ = writeln!(
            text,
            "In quarantine now: {pieces} damaged piece(s), {} bytes; no whole line was touched.",
            grouped(bytes)
        );
    }
    for name in &repaired.put_aside {
        let _ =
            writeln!(text, "The snapshot from before is kept as `{name}`; nothing reads it, delete it when you like.");
    }
    if repaired.open_calls > 0 {
        let _ = writeln!(
            text,
            "{} call(s) are open still; the next start records them as interrupted.",
            repaired.open_calls
        );
    }
    text.push('\n');
}

/// Compresses old journal files.
pub(super) fn archive(loaded: &Loaded, arguments: &ArchiveArguments) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(app::zone_of(&loaded.config)));
    let (mut files, mut bytes, mut compressed, mut failed) = (0u64, 0, 0, Ok(()));
    service::archive(&loaded.data_dir, arguments.before, arguments.dry_run, &clock, |file| {
        if file.left.is_none() {
            (files, bytes, compressed) =
                (files + 1, bytes + file.bytes, compressed + file.compressed_bytes.unwrap_or(0));
        }
        if failed.is_ok() {
            failed = print(&archived_text(file));
        }
    })?;
    failed?;
    print(&match (files, arguments.dry_run) {
        (0, _) => format!("nothing to compress before {}\n", arguments.before),
        (_, true) => format!("{}, {} bytes, would be compressed\n", counted(files, "file"), grouped(bytes)),
        (_, false) => {
            format!("{} compressed: {} → {} bytes\n", counted(files, "file"), grouped(bytes), grouped(compressed))
        }
    })
}

fn archived_text(file: &Archived) -> String {
    let (name, bytes) = (&file.file, grouped(file.bytes));
    match (&file.left, file.compressed_bytes) {
        (Some(reason), _) => format!("{name}: left as it is: {reason}\n"),
        (None, Some(compressed)) => format!("{name}: {bytes} → {} bytes\n", grouped(compressed)),
        (None, None) => format!("{name}: {bytes} bytes\n"),
    }
}

/// `1 file`, `1,234 files`.
fn counted(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {one}s", grouped(number)) }
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    numbers::number(Lang::En, number.into(), Place::Text)
}
