//! Compressing the journal's old files. A file is taken away only after its compressed form was read back, is the same
//! byte for byte, and is on the disk under its name.

use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::disk::{Access, DiskFile};
use super::files::{DataFolder, FileName};
use super::lock::FolderLock;
use super::quarantine::Kept;
use super::replay::{Damage, DamageKind, Sequence, scan_file};
use super::sealed::{self, FoldState};
use super::{Acts, Holder, LedgerError, archived, control, snapshot};
use crate::usage::{Day, Timestamp};

/// Bytes handled at once.
const BLOCK: usize = 64 << 10;

/// What became of a journal file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Archived {
    /// Its name as it was written.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// The size of its compressed form; `None` if it was left as it is, or would have been compressed.
    pub compressed_bytes: Option<u64>,
    /// Why it was left as it is.
    pub left: Option<String>,
}

/// Compresses the files begun before a day, or with `dry_run` says which would be.
///
/// # Errors
/// [`LedgerError::InUse`] while a tallybot holds the folder: it may be about to look something up in an old file.
/// Otherwise when a file cannot be read or written; files compressed before that stay so.
pub fn archive(
    folder: &Path,
    before: Day,
    dry_run: bool,
    now: Timestamp,
    mut on_file: impl FnMut(&Archived),
) -> Result<(), LedgerError> {
    let data = DataFolder::real(folder);
    let holder = Holder { pid: std::process::id(), started_at: now, listen: None, troubled: false };
    let _lock = if dry_run { None } else { Some(FolderLock::take(folder, &holder)?) };
    let (files, acts) = (data.journal_files()?, control::read_acts(&data)?);
    let in_use: Vec<FileName> = snapshot::positions(&data).chain(files.last().copied()).collect();
    for name in files.into_iter().filter(|name| name.day < before) {
        if archived::is_compressed(&data, name) {
            continue;
        }
        let bytes = data.open(name, Access::Read).and_then(|file| file.length()).map_err(data.failed("read", name))?;
        let mut result = Archived { file: name.to_string(), bytes, compressed_bytes: None, left: None };
        result.left = reason_to_leave(&data, acts.as_ref(), name, &in_use)?;
        if result.left.is_none() && !dry_run {
            result.compressed_bytes = Some(compress(&data, name)?);
        }
        on_file(&result);
    }
    Ok(())
}

fn reason_to_leave(
    data: &DataFolder,
    acts: Option<&Acts>,
    name: FileName,
    in_use: &[FileName],
) -> Result<Option<String>, LedgerError> {
    if in_use.contains(&name) {
        return Ok(Some("it is the newest file, or a snapshot stands in it".to_owned()));
    }
    let scan = scan_file(data, name, 0, &mut Sequence::default(), |_, _| {})?;
    let kept = Kept::of_file(data, &name.to_string())?;
    for damage in &scan.damage {
        if !kept.has(data, damage)? {
            return Ok(Some(format!(
                "it has {} at byte {} that no quarantine holds; run `tallybot verify --repair` first",
                describe(damage),
                damage.offset
            )));
        }
    }
    // A fold is believed to be of a compressed file from then on.
    if let Some(FoldState::DoesNotMatch(problem)) = acts.map(|acts| sealed::check(data, acts, name)).transpose()? {
        return Ok(Some(format!("its sealed fold does not fit ({problem}); run `tallybot verify --repair` first")));
    }
    Ok(None)
}

fn describe(damage: &Damage) -> String {
    let kind = if damage.kind == DamageKind::Torn { "torn" } else { "damaged" };
    format!("{} {kind} byte(s)", damage.bytes)
}

/// Compresses one file and takes it away. Gives the compressed size.
fn compress(data: &DataFolder, name: FileName) -> Result<u64, LedgerError> {
    let temporary = format!("{}.tmp", name.archive());
    let bytes = data.end(&temporary, compress_by(data, name, &temporary))?;
    data.remove(name).map_err(data.failed("remove", name))?;
    Ok(bytes)
}

/// Makes the compressed form of a file, by way of a temporary one. Gives its size.
fn compress_by(data: &DataFolder, name: FileName, temporary: &str) -> Result<u64, LedgerError> {
    let written = write_compressed(data, name, temporary).map_err(data.failed("write", temporary))?;
    let read_back = archived::compressed(data, temporary.to_owned()).and_then(print_of);
    if read_back.map_err(data.failed("read", temporary))? != written.print {
        let lied = io::Error::other("what was read back is not what was written; the disk may be failing");
        return Err(data.failed("compress", name)(lied));
    }
    data.rename(temporary, name.archive()).map_err(data.failed("rename", temporary))?;
    Ok(written.bytes)
}

/// Length and checksum of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Print {
    length: u64,
    crc: u32,
}

impl Print {
    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
    }
}

fn print_of(mut reader: impl Read) -> io::Result<Print> {
    let mut print = Print::default();
    for_each_block(&mut reader, |block| {
        print.add(block);
        Ok(())
    })?;
    Ok(print)
}

struct Written {
    print: Print,
    bytes: u64,
}

fn write_compressed(data: &DataFolder, name: FileName, temporary: &str) -> io::Result<Written> {
    match data.remove(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = data.create_new(temporary, Access::Append)?;
    let mut encoder = GzEncoder::new(BufWriter::with_capacity(BLOCK, Appender(file)), Compression::default());
    let mut print = Print::default();
    for_each_block(&mut data.reader(name, 0)?, |block| {
        print.add(block);
        encoder.write_all(block)
    })?;
    let Appender(file) = encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync()?;
    Ok(Written { print, bytes: file.length()? })
}

fn for_each_block(reader: &mut impl Read, mut on_block: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        match reader.read(&mut block)? {
            0 => return Ok(()),
            read => on_block(&block[..read])?,
        }
    }
}

/// Writes at the end of a file.
struct Appender(Arc<dyn DiskFile>);

impl Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
