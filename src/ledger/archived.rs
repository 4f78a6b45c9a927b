//! Journal files in either form: as they were written, or compressed (`.gz`). Offsets are those of the text, whichever
//! form it has; where both are there, the file that was written wins.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::disk::{Access, Reader};
use super::files::{DataFolder, FileName};

/// A journal file being read.
pub(super) enum JournalReader {
    Plain(Reader),
    Compressed(Box<MultiGzDecoder<Reader>>),
}

/// The bytes of a compressed file are not those that were written.
#[derive(Debug, thiserror::Error)]
#[error("the compressed file is damaged: {0}")]
struct Undecodable(String);

/// Opens a journal file at an offset of its text.
pub(super) fn open(data: &DataFolder, name: FileName, offset: u64) -> io::Result<JournalReader> {
    match data.reader(name, offset) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened.map(JournalReader::Plain),
    }
    let mut reader = compressed(data, name.archive())?;
    io::copy(&mut (&mut reader).take(offset), &mut io::sink())?;
    Ok(reader)
}

/// Opens a compressed file at its beginning.
pub(super) fn compressed(data: &DataFolder, name: String) -> io::Result<JournalReader> {
    Ok(JournalReader::Compressed(Box::new(MultiGzDecoder::new(data.reader(name, 0)?))))
}

/// Whether a journal file is there only in its compressed form.
pub(super) fn is_compressed(data: &DataFolder, name: FileName) -> bool {
    let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    data.open(name, Access::Read).is_err_and(is_missing) && data.open(name.archive(), Access::Read).is_ok()
}

/// Whether reading ended because a compressed file is damaged, not because the disk failed.
pub(super) fn is_damage(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Undecodable>())
}

impl Read for JournalReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            JournalReader::Plain(reader) => reader.read(buffer),
            JournalReader::Compressed(decoder) => decoder.read(buffer).map_err(|error| match error.raw_os_error() {
                Some(_) => error,
                None => io::Error::new(io::ErrorKind::InvalidData, Undecodable(error.to_string())),
            }),
        }
    }
}

/// The length of the text, as the file's last bytes say it: right for one stretch of less than 4 GiB, else a guess.
pub(super) fn text_length(data: &DataFolder, name: FileName) -> io::Result<u64> {
    let file = data.open(name.archive(), Access::Read)?;
    let length = file.length()?;
    let mut last = [0; 4];
    match length.checked_sub(4) {
        Some(at) => file.read_exact_at(&mut last, at)?,
        None => return Ok(0),
    }
    // No journal compresses better than a thousandfold: a damaged end says nothing.
    Ok(u64::from(u32::from_le_bytes(last)).min(length.saturating_mul(1000)))
}
