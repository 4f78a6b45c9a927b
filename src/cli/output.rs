//! Where what a command says goes: to standard output, or into a file that is there whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::Builder;

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 16;

/// Prints; that nobody reads on is not an error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    write_out(|out| Ok(out.write_all(text.as_bytes())?)).map(|_| ())
}

/// Writes to standard output; `None` when nobody reads on, which is not an error.
pub(super) fn write_out<T>(write: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
    match write(&mut out).and_then(|written| Ok(out.flush().map(|()| written)?)) {
        Ok(written) => Ok(Some(written)),
        Err(error) if system_error(&error).is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) => {
            let _unread = out.into_parts(); // what nobody reads is not tried again
            Ok(None)
        }
        Err(error) if system_error(&error).is_some() => Err(error.context("cannot write the answer")),
        Err(error) => Err(error),
    }
}

/// The error of writing itself, if that is what went wrong.
fn system_error(error: &anyhow::Error) -> Option<&io::Error> {
    error.downcast_ref()
}

/// Whether whoever read standard output has left; found out without writing anything.
pub(super) fn reader_is_gone() -> bool {
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let is_told = poll(&mut watched, Some(&now)).is_ok_and(|count| count > 0);
    is_told && watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
}

/// What to do about a file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// Leave it, and say so.
    Keep,
    /// Put the new one in its place.
    Replace,
}

/// Writes a file that only its owner can read. Until all of it is on the disk there is no file of that name, or the old
/// one.
pub(super) fn write_file<T>(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => {
            bail!("`{shown}` is there and is no regular file; choose another name, or leave -o out and redirect")
        }
        Ok(_) if existing == Existing::Keep => {
            bail!("`{shown}` is there already; choose another name, or say --force to replace it")
        }
        _ => {}
    }
    let doing = || format!("cannot write `{shown}`");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("cannot write `{shown}`: there is no folder `{0}`; make it first: mkdir -p {0}", folder.display());
    }
    let temporary = Builder::new().prefix(".tallybot-").tempfile_in(folder).with_context(doing)?;
    let mut out = BufWriter::with_capacity(BUFFER, temporary);
    let written = write(&mut out).map_err(|error| match system_error(&error) {
        Some(_) => error.context(doing()),
        None => error,
    })?;
    let temporary = out.into_inner().map_err(io::IntoInnerError::into_error).with_context(doing)?;
    temporary.as_file().sync_all().with_context(doing)?;
    let kept = match existing {
        Existing::Keep => temporary.persist_noclobber(path),
        Existing::Replace => temporary.persist(path),
    };
    kept.map_err(|error| error.error).with_context(doing)?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(doing)?;
    Ok(written)
}
