//! How far long work is, on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on the standard error for so many bytes; nothing is drawn where that is no terminal.
pub(super) fn of_bytes() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left");
    let bar = ProgressBar::new(0);
    match style {
        Ok(style) => bar.with_style(style.progress_chars("█▌ ")),
        Err(_) => bar,
    }
}
