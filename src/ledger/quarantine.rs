//! What a writer mends before its first append: damaged bytes are copied aside, the tail ends in a whole line, and what
//! was read is on the disk.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Arc;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::LedgerError;
use super::archived;
use super::disk::{Access, DiskFile};
use super::files::{DataFolder, FileName};
use super::journal::MAX_UNSYNCED;
use super::recovery::Loaded;
use super::replay::{Damage, DamageKind};

/// Damaged bytes kept per line of the quarantine file; longer damage takes several lines.
const CHUNK: usize = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct Quarantined {
    offset: u64,
    bytes: u64,
    kind: String,
    /// The bytes themselves, base 64.
    content: String,
}

/// Takes away the newest files that hold nothing. The process that began such a file may have died before its name was
/// durable, and after a failed sync nobody knows whether another would make it so; it is begun anew.
pub(super) fn take_away_empty(data: &DataFolder) -> Result<(), LedgerError> {
    for name in data.journal_files()?.into_iter().rev() {
        let Some(file) = open_plain(data, name)? else { return Ok(()) };
        if file.length().map_err(data.failed("read", name))? > 0 {
            return Ok(());
        }
        data.remove(name).map_err(data.failed("remove the empty", name))?;
    }
    Ok(())
}

/// Puts new damage into quarantine and makes the newest file end in a whole line. Returns the newest file's length.
pub(super) fn mend(data: &DataFolder, loaded: &mut Loaded) -> Result<u64, LedgerError> {
    keep_all(data, &loaded.damage)?;
    let Some(newest) = loaded.newest_file else { return Ok(0) };
    let length = mend_end(data, loaded, newest)?;
    make_durable(data, &loaded.tail)?;
    Ok(length)
}

/// Opens a journal file for mending; `None` if it is compressed, and so takes no more lines.
fn open_plain(data: &DataFolder, name: FileName) -> Result<Option<Arc<dyn DiskFile>>, LedgerError> {
    match data.open(name, Access::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(data.failed("open", name)),
    }
}

/// Makes the newest file end in a whole line. Returns its length.
fn mend_end(data: &DataFolder, loaded: &mut Loaded, newest: FileName) -> Result<u64, LedgerError> {
    let Some(file) = open_plain(data, newest)? else { return Ok(0) };
    let length = file.length().map_err(data.failed("read", newest))?;
    let mut good_end = loaded.newest_end;
    let cut = length > good_end;
    if cut {
        file.set_len(good_end).map_err(data.failed("cut the torn end of", newest))?;
    }
    if loaded.wants_newline {
        file.write_all_at(b"\n", good_end).map_err(data.failed("append to", newest))?;
        good_end += 1;
        if let Some(last) = loaded.last.as_mut().filter(|last| last.file == newest) {
            last.offset = good_end;
        }
    }
    if cut || loaded.wants_newline {
        file.sync().map_err(data.failed("sync", newest))?;
    }
    Ok(good_end)
}

/// Makes what was replayed as durable as a start makes believe. A process that died before its sync, or whose sync
/// failed, leaves lines that are only in the system's memory; after a failed sync they even count as clean there. So
/// they are written again, byte for byte in their place, and synced, and so are the names of the files.
fn make_durable(data: &DataFolder, tail: &[(FileName, u64)]) -> Result<(), LedgerError> {
    // What a process may leave unsynced is bounded; what stands before that was synced long ago.
    let mut left = 2 * MAX_UNSYNCED as u64;
    let mut chunk = vec![0; CHUNK];
    for (name, from) in tail.iter().rev() {
        let Some(file) = open_plain(data, *name)? else { continue };
        let length = file.length().map_err(data.failed("read", name))?;
        let from = length.saturating_sub(left).max(*from);
        for offset in (from..length).step_by(CHUNK) {
            let bytes = &mut chunk[..(length - offset).min(CHUNK as u64) as usize];
            file.read_exact_at(bytes, offset).map_err(data.failed("read", name))?;
            file.write_all_at(bytes, offset).map_err(data.failed("write", name))?;
        }
        if from < length {
            file.sync().map_err(data.failed("sync", name))?;
        }
        left -= length.saturating_sub(from);
        if left == 0 {
            break;
        }
    }
    data.sync().map_err(data.failed("sync", "."))
}

/// Copies the damaged bytes that are not in quarantine yet to `<file>.quarantine`. Returns how many pieces it copied.
pub(super) fn keep_all(data: &DataFolder, damage: &[Damage]) -> Result<usize, LedgerError> {
    let mut copied = 0;
    for of_file in damage.chunk_by(|a, b| a.file == b.file) {
        let kept = Kept::of_file(data, &of_file[0].file)?;
        for damage in of_file {
            if !kept.has(data, damage)? {
                copy(data, damage)?;
                copied += 1;
            }
        }
    }
    Ok(copied)
}

fn name_of(file: &str) -> String {
    format!("{file}.quarantine")
}

/// What of a journal file is in quarantine.
pub(super) struct Kept {
    /// Where each piece begins, and a checksum of how it is written there.
    pieces: HashSet<(u64, u32)>,
}

impl Kept {
    /// Reads the quarantine file of a journal file.
    pub(super) fn of_file(data: &DataFolder, file: &str) -> Result<Kept, LedgerError> {
        let aside = name_of(file);
        let content = data.read_if_there(&aside).map_err(data.failed("read", &aside))?;
        let kept = content.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        let pieces = kept.map(|kept: Quarantined| (kept.offset, crc32c::crc32c(kept.content.as_bytes())));
        Ok(Kept { pieces: pieces.collect() })
    }

    /// Whether these very bytes are in it. Of a compressed file nothing ever is: it keeps its own bytes.
    pub(super) fn has(&self, data: &DataFolder, damage: &Damage) -> Result<bool, LedgerError> {
        if damage.kind == DamageKind::Unreadable {
            return Ok(true);
        }
        if !self.pieces.iter().any(|(offset, _)| *offset == damage.offset) {
            return Ok(false);
        }
        let first = chunk(data, damage, damage.offset)?;
        Ok(self.pieces.contains(&(damage.offset, crc32c::crc32c(first.as_bytes()))))
    }
}

/// The damaged bytes from an offset on, at most [`CHUNK`] of them, as they are kept.
fn chunk(data: &DataFolder, damage: &Damage, offset: u64) -> Result<String, LedgerError> {
    let name = FileName::parse(&damage.file).expect("damage is in a journal file");
    let mut content = vec![0; (damage.offset + damage.bytes - offset).min(CHUNK as u64) as usize];
    let read = archived::open(data, name, offset).and_then(|mut file| file.read_exact(&mut content));
    read.map_err(data.failed("read", &damage.file))?;
    Ok(BASE64.encode(&content))
}

fn copy(data: &DataFolder, damage: &Damage) -> Result<(), LedgerError> {
    let aside = name_of(&damage.file);
    let out = data.open_or_create(&aside).map_err(data.failed("open", &aside))?;
    let kind = if damage.kind == DamageKind::Torn { "torn" } else { "corrupt" };
    let (mut done, mut end) = (0, out.length().map_err(data.failed("read", &aside))?);
    while done < damage.bytes {
        let (offset, bytes) = (damage.offset + done, (damage.bytes - done).min(CHUNK as u64));
        let kept = Quarantined { offset, bytes, kind: kind.to_owned(), content: chunk(data, damage, offset)? };
        let mut line = serde_json::to_vec(&kept).expect("plain data can be written");
        line.push(b'\n');
        out.write_all_at(&line, end).map_err(data.failed("write", &aside))?;
        end += line.len() as u64;
        done += bytes;
    }
    out.sync().map_err(data.failed("sync", &aside))
}
