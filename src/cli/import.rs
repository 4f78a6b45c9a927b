//! `tallybot import`: what others recorded, taken over.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use super::arguments::ImportArguments;
use super::settings::Loaded;
use super::{WrongUse, complain, print, progress, tell};
use crate::app;
use crate::service::import::{self, BadLine, OnProgress, Request, Summary};

/// Bad lines that are shown; `--json` has all.
const SHOWN: usize = 20;

/// Imports files, and says what was done.
pub(super) async fn import(loaded: &Loaded, arguments: ImportArguments) -> anyhow::Result<ExitCode> {
    if let Some(path) = arguments.paths.iter().find(|path| !path.exists()) {
        let expected = "expected a file or a folder, for example `logs/tokens`";
        return Err(WrongUse::error(format_args!("there is no `{}`; {expected}", path.display())));
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
    let folder = loaded.data_dir.display();
    let on_wait = || complain(&format_args!("another import into `{folder}` is under way; this one waits for it"));
    let imported = import::import(place, &request, on_progress, on_wait).await;
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
    tell_lines(&summary.to_come, summary.to_come_lines);
    tell_lines(&summary.bad, summary.bad_lines);
    for fallen in &summary.fallen_totals {
        complain(&format_args!(
            "the total of {fallen} is lower than it was told before, so nothing was changed for it; if it is another \
             program's, import it with a --source of its own"
        ));
    }
}

fn tell_lines(lines: &[BadLine], count: u64) {
    lines.iter().take(SHOWN).for_each(|line| tell(line));
    if count > SHOWN as u64 {
        complain(&format_args!("and {} more; --json lists them", count - SHOWN as u64));
    }
}
