//! Sealed folds: what a closed journal file adds up to, in `derived/`, made in the background and again whenever it
//! does not fit. Deleting them costs time, never data.
//!
//! A fold holds the file's cubes by epoch and day, every user's rows (however many), and the ids others gave.

mod bloom;
mod build;
mod file;
mod sealer;
mod sorter;
mod user_row;

use std::io;
use std::sync::atomic::AtomicBool;

use super::disk::Access;
use super::files::{DataFolder, FileName};
use super::{Acts, LedgerError, archived};

pub(super) use bloom::Bloom;
#[cfg(test)]
pub(super) use file::fuzzed;
pub(super) use file::{Directory, Fold};
pub(super) use sealer::Sealer;

use file::{LastLine, crc_of};

/// How a journal file's fold stands to the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FoldState {
    /// It is whole, and of this very file.
    Matches,
    /// There is none.
    Missing,
    /// It is damaged, or the file is another; says which.
    DoesNotMatch(String),
}

/// Compares a fold with its file to the byte: every section's checksum, and that of the whole file.
///
/// # Errors
/// When the journal file cannot be read.
pub(super) fn check(data: &DataFolder, acts: &Acts, file: FileName) -> Result<FoldState, LedgerError> {
    let fold = match load_for(data, acts, file) {
        Ok(fold) => fold,
        Err(state) => return Ok(state),
    };
    if let Err(error) = fold.check_sections() {
        return Ok(FoldState::DoesNotMatch(reason(&error)));
    }
    let reader = archived::open(data, file, 0).map_err(data.failed("open", file))?;
    let crc = crc_of(reader).map_err(data.failed("read", file))?;
    if crc == fold.directory().raw.crc {
        return Ok(FoldState::Matches);
    }
    Ok(FoldState::DoesNotMatch("the journal file changed since it was sealed".into()))
}

/// The fold of a closed journal file, if there is one that fits: by the file's length and its last line.
pub(super) fn load_for(data: &DataFolder, acts: &Acts, file: FileName) -> Result<Fold, FoldState> {
    // The one before is made before: opened first, it could be missing, and both be there a moment later.
    let fold = open(data, file)?;
    let before = before(data, file).map_err(|error| FoldState::DoesNotMatch(error.to_string()))?;
    fitting(fold, data, acts, file, before.as_ref().map(Fold::directory))
}

fn open(data: &DataFolder, file: FileName) -> Result<Fold, FoldState> {
    Fold::open(data, file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => FoldState::Missing,
        _ => FoldState::DoesNotMatch(reason(&error)),
    })
}

/// Makes the fold of a closed journal file anew, on what the fold of the file before it says.
///
/// # Errors
/// When the file cannot be read or the fold cannot be written.
#[cfg(test)]
pub(super) fn rebuild(data: &DataFolder, acts: &Acts, file: FileName) -> Result<(), LedgerError> {
    let before = before(data, file)?;
    build_after(data, acts, file, before.as_ref().map(Fold::directory), &AtomicBool::new(false))
}

/// Takes all folds away: they are made again.
///
/// # Errors
/// When the folder cannot be read or one cannot be removed.
pub(super) fn remove_all(data: &DataFolder) -> Result<(), LedgerError> {
    let names = data.names_in(file::FOLDER).map_err(data.failed("list", file::FOLDER))?;
    for name in names.iter().filter(|name| name.ends_with(".fold")) {
        let path = format!("{}/{name}", file::FOLDER);
        data.remove(&path).map_err(data.failed("remove", &path))?;
    }
    Ok(())
}

/// Makes the fold of a closed journal file anew, behind a known fold.
fn build_after(
    data: &DataFolder,
    acts: &Acts,
    file: FileName,
    before: Option<&Directory>,
    stop: &AtomicBool,
) -> Result<(), LedgerError> {
    build::build(data, file, &build::Start { acts, before }, stop)
}

/// The fold, if it fits its file and what is known of the one before.
fn fitting(
    fold: Fold,
    data: &DataFolder,
    acts: &Acts,
    file: FileName,
    before: Option<&Directory>,
) -> Result<Fold, FoldState> {
    let directory = fold.directory();
    let problem = if directory.lineage != acts.lineage || directory.raw.name != file.to_string() {
        Some("it is of another ledger or file")
    } else if directory.before.as_ref() != before.map(|before| &before.raw) {
        Some("the journal file before it changed")
    } else if acts.resets.iter().any(|reset| !directory.resets.contains(reset) && directory.newest >= Some(*reset)) {
        Some("it was made before a reset that divides its records")
    } else if !is_as_it_was(data, file, directory) {
        Some("the journal file changed since it was sealed")
    } else {
        None
    };
    match problem {
        None => Ok(fold),
        Some(problem) => Err(FoldState::DoesNotMatch(problem.into())),
    }
}

/// Whether the journal file has the length and the last line it had. A compressed one was sealed as it is or compared
/// when it was compressed.
fn is_as_it_was(data: &DataFolder, file: FileName, directory: &Directory) -> bool {
    if archived::is_compressed(data, file) {
        return true;
    }
    let length = data.open(file, Access::Read).and_then(|file| file.length());
    length.is_ok_and(|length| length == directory.raw.bytes)
        && directory.last.is_none_or(|last| ends_in(data, file, last).unwrap_or_default())
}

/// Whether that line ends where it did.
fn ends_in(data: &DataFolder, file: FileName, last: LastLine) -> io::Result<bool> {
    let seal = format!("\"seq\":{},\"crc\":\"{:08x}\"}}", last.seq, last.crc);
    // The line may have lost its newline, or got a carriage return.
    let start = last.offset.saturating_sub(seal.len() as u64 + 2);
    let mut found = vec![0; (last.offset - start) as usize];
    data.open(file, Access::Read)?.read_exact_at(&mut found, start)?;
    Ok(found.trim_ascii_end().ends_with(seal.as_bytes()))
}

/// The fold of the file before one, if it can be opened.
fn before(data: &DataFolder, file: FileName) -> Result<Option<Fold>, LedgerError> {
    let files = data.journal_files()?;
    let before = files.iter().rev().find(|before| **before < file);
    Ok(before.and_then(|before| Fold::open(data, *before).ok()))
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it is too short".into(),
        _ => error.to_string(),
    }
}
