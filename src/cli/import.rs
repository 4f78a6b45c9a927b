//! `tallybot import`: what others recorded, taken over.

#![expect(clippy::print_stderr, reason = "commands talk to whoever typed them")]

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use super::arguments::ImportArguments;
use super::settings::Loaded;
use super::{print, progress};
use crate::app;
use crate::service::import::{self, OnProgress, Request, Summary};

/// Bad lines that are shown; `--json` has all.
const SHOWN: usize = 20;

/// Imports files, and says what was done.
pub(super) async fn import(loaded: &Loaded, arguments: ImportArguments) -> anyhow::Result<ExitCode> {
    if let Some(path) = arguments.paths.iter().find(|path| !path.exists()) {
        eprintln!("there is no `{}`; expected a file or a folder, for example `logs/tokens`", path.display());
        return Ok(ExitCode::from(2));
    }
    let request = Request {
        paths: arguments.paths,
        source: arguments.source,
        format: arguments.format,
        dry_run: arguments.dry_run,
    };
    let bar = progress::of_bytes();
    let shown = bar.clone();
    let on_progress: OnProgress = Arc::new(move |done, of| {
        shown.set_length(of);
        shown.set_position(done);
    });
    let place = app::place(&loaded.config, &loaded.data_dir)?;
    let imported = import::import(place, &request, on_progress).await;
    bar.finish_and_clear();
    let summary = imported?;
    tell_what_is_wrong(&summary);
    let text = if arguments.json {
        serde_json::to_string_pretty(&summary).context("cannot write the summary")? + "\n"
    } else {
        summary.text()
    };
    print(&text)?;
    Ok(if summary.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell_what_is_wrong(summary: &Summary) {
    for bad in summary.bad.iter().take(SHOWN) {
        eprintln!("{bad}");
    }
    if summary.bad_lines > SHOWN as u64 {
        eprintln!("and {} more; --json lists them", summary.bad_lines - SHOWN as u64);
    }
    for fallen in &summary.fallen_totals {
        eprintln!(
            "the total of {fallen} is lower than it was told before, so nothing was changed for it; if it is another \
             program's, import it with a --source of its own"
        );
    }
}
