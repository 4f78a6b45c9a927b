//! `token_debug.log`: what happened, without anything private; bounded, closed to others.
//!
//! Only our own sentences, at the chosen level. Of the libraries nothing: what they say may hold a key, a URL or a prompt.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

use crate::config::{Log, LogLevel};

const LOG_FILE: &str = "token_debug.log";

/// Starts logging into a folder. A log that cannot be opened is no reason not to run: then nothing is logged.
pub fn start(folder: &Path, settings: &Log) {
    let Ok(log) = BoundedLog::open(&folder.join(LOG_FILE), settings.max_bytes) else { return };
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Its own complaints would go to standard error, with a panic where nobody takes them.
    let lines = tracing_subscriber::fmt::layer().with_writer(log).with_ansi(false).log_internal_errors(false);
    // A second start in one process (tests) keeps the first log.
    let _ = tracing_subscriber::registry().with(lines.with_filter(ours(level))).try_init();
}

/// Lets through what we say up to a level.
fn ours(level: LevelFilter) -> Targets {
    Targets::new().with_target("tallybot", level).with_default(LevelFilter::OFF)
}

/// A file that begins anew when it is full; the one before is kept beside it.
#[derive(Clone)]
struct BoundedLog {
    state: Arc<Mutex<State>>,
}

struct State {
    path: PathBuf,
    file: File,
    length: u64,
    max_bytes: u64,
}

impl BoundedLog {
    fn open(path: &Path, max_bytes: u64) -> io::Result<BoundedLog> {
        let file = open(path)?;
        let length = file.metadata()?.len();
        Ok(BoundedLog { state: Arc::new(Mutex::new(State { path: path.to_owned(), file, length, max_bytes })) })
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

impl Write for BoundedLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock().map_err(|_| io::Error::other("the log is broken"))?;
        if state.length + line.len() as u64 > state.max_bytes / 2 && state.length > 0 {
            std::fs::rename(&state.path, state.path.with_extension("previous.log"))?;
            state.file = open(&state.path)?;
            state.length = 0;
        }
        state.file.write_all(line)?;
        state.length += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for BoundedLog {
    type Writer = BoundedLog;
    fn make_writer(&'a self) -> BoundedLog {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn of_the_libraries_nothing_is_logged_at_any_level() {
        for library in ["hyper", "hyper_util::client", "reqwest", "rustls", "teloxide_core", "tokio", "axum", "mio"] {
            assert!(!ours(LevelFilter::TRACE).would_enable(library, &Level::ERROR), "{library}");
        }
        assert!(ours(LevelFilter::DEBUG).would_enable("tallybot::http", &Level::DEBUG));
        assert!(!ours(LevelFilter::INFO).would_enable("tallybot::http", &Level::DEBUG));
    }

    #[test]
    fn the_log_and_the_one_before_stay_within_the_bound() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(LOG_FILE);
        let mut log = BoundedLog::open(&path, 1000).expect("a new file");
        for n in 0..200 {
            writeln!(log, "line {n} of the log").expect("written");
        }
        let sizes = [path.clone(), path.with_extension("previous.log")]
            .map(|path| std::fs::metadata(path).expect("there").len());
        assert!(sizes.iter().sum::<u64>() <= 1000, "{sizes:?}");
        assert!(std::fs::read_to_string(&path).expect("readable").contains("line 199"));
    }
}
