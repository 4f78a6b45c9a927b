//! A sealed fold's file: sections, then a directory that says where they are and what the fold was made of.
//!
//! | part | |
//! |--|--|
//! | sections | one after the other, see [`Sections`] |
//! | directory | one sealed JSON line, see [`Directory`] |
//! | foot | the directory's offset in eight bytes, little-endian, and [`MAGIC`] |

use std::io::{self, BufRead, BufReader};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::bloom::Bloom;
use super::user_row::{KEY, ROW, UserRow};
use crate::ledger::disk::{Access, DiskFile, Reader};
use crate::ledger::files::{DataFolder, FileName};
use crate::ledger::replay::{Position, Sequence};
use crate::stats::{LineReader, Span, Stats};
use crate::usage::{LINE_VERSION, Sealed, SubjectId, Timestamp, seal_line, unseal_line};

pub(super) const FOLDER: &str = "derived";
const MAGIC: &[u8; 8] = b"tbfold1\n";
const FOOT: usize = 16;

/// Bytes of an id's digest.
pub(super) const ID: usize = 16;

/// The name of a journal file's fold within the data folder.
pub(super) fn name_of(file: FileName) -> String {
    let name = file.to_string();
    format!("{FOLDER}/{}.fold", name.strip_suffix(".jsonl").unwrap_or(&name))
}

/// A stretch of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Section {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) crc: u32,
}

/// Where everything is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sections {
    /// The cubes by epoch and day, as JSON lines.
    pub(super) cubes: Section,
    /// The names of the models in user rows: a JSON list, by number.
    pub(super) models: Section,
    /// Every user's rows, sorted.
    pub(super) users: Section,
    /// The digests of the ids others gave, sorted as bytes.
    pub(super) given: Section,
    /// A Bloom filter over them.
    pub(super) bloom: Section,
}

impl Sections {
    fn all(&self) -> [(&'static str, Section); 5] {
        let Sections { cubes, models, users, given, bloom } = *self;
        [("cubes", cubes), ("models", models), ("users", users), ("given", given), ("bloom", bloom)]
    }
}

/// The last valid line of a journal file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LastLine {
    /// Just behind its newline.
    pub(super) offset: u64,
    pub(super) seq: u64,
    pub(super) crc: u32,
}

/// A journal file as it was: its name, length and checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RawFile {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// CRC-32C of all of it.
    pub(super) crc: u32,
}

/// What a fold was made of, and where its sections are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::ledger) struct Directory {
    pub(super) v: u8,
    pub(super) lineage: Uuid,
    pub(super) raw: RawFile,
    /// The journal file before it: which lines count here depends on it.
    pub(super) before: Option<RawFile>,
    /// Records that count.
    pub(super) records: u64,
    /// Stretches of the file that are no line.
    pub(super) damaged: u64,
    pub(super) last: Option<LastLine>,
    /// The number of the next line, and the gaps that late lines may still fill.
    pub(super) next_seq: u64,
    pub(super) gaps: Vec<(u64, u64)>,
    /// The resets that held.
    pub(super) resets: Vec<Timestamp>,
    /// The latest admission.
    pub(super) newest: Option<Timestamp>,
    /// The days and epochs of its records; user rows refer to them by number.
    pub(super) spans: Vec<Span>,
    pub(super) sections: Sections,
}

impl Directory {
    /// The days and epochs of its records.
    pub(in crate::ledger) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// How many ids others gave.
    pub(in crate::ledger) fn given_ids(&self) -> u64 {
        self.sections.given.bytes / ID as u64
    }
}

/// A fold that is being written: buffers, and sums up each section.
pub(super) struct Writer {
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    section: Section,
}

impl Writer {
    pub(super) fn new(file: Arc<dyn DiskFile>) -> Writer {
        Writer { file, buffer: Vec::with_capacity(80 << 10), section: Section::default() }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.section.crc = crc32c::crc32c_append(self.section.crc, bytes);
        self.section.bytes += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= 64 << 10 { self.flush() } else { Ok(()) }
    }

    /// Ends the section; the next one begins.
    pub(super) fn end_section(&mut self) -> Section {
        let next = Section { offset: self.section.offset + self.section.bytes, ..Section::default() };
        std::mem::replace(&mut self.section, next)
    }

    /// Writes directory and foot, and syncs.
    pub(super) fn finish(mut self, directory: &Directory) -> io::Result<()> {
        let offset = self.section.offset;
        let mut line = serde_json::to_vec(directory).expect("plain data can be written");
        seal_line(&mut line, 0, directory.next_seq);
        self.write(&line)?;
        self.write(&offset.to_le_bytes())?;
        self.write(MAGIC)?;
        self.flush()?;
        self.file.sync()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.append(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// How reading a file's lines ended.
pub(in crate::ledger) struct End {
    pub(in crate::ledger) sequence: Sequence,
    pub(in crate::ledger) last: Option<Position>,
    pub(in crate::ledger) records: u64,
}

/// A sealed fold, open for reading. Never changes.
pub(in crate::ledger) struct Fold {
    of: FileName,
    file: Arc<dyn DiskFile>,
    directory: Directory,
}

impl Fold {
    /// Opens a journal file's fold. An error of the kind `InvalidData` is damage, and so is one that ends too soon.
    pub(super) fn open(data: &DataFolder, name: FileName) -> io::Result<Fold> {
        Fold::of(name, data.open(name_of(name), Access::Read)?)
    }

    fn of(name: FileName, file: Arc<dyn DiskFile>) -> io::Result<Fold> {
        let length = file.length()?;
        let mut foot = [0; FOOT];
        let end = length.checked_sub(FOOT as u64).ok_or_else(|| damaged("it is too short"))?;
        file.read_exact_at(&mut foot, end)?;
        let (offset, magic) = foot.split_at(8);
        let offset = u64::from_le_bytes(offset.try_into().expect("eight bytes"));
        if magic != MAGIC || offset > end {
            return Err(damaged("its end is missing"));
        }
        let mut line = vec![0; (end - offset) as usize];
        file.read_exact_at(&mut line, offset)?;
        let line = line.strip_suffix(b"\n").ok_or_else(|| damaged("its directory is damaged"))?;
        unseal_line(line).map_err(|_| damaged("its directory is damaged"))?;
        let directory: Directory = serde_json::from_slice(line).map_err(|_| damaged("its directory is damaged"))?;
        let end_of = |section: &Section| section.offset.saturating_add(section.bytes);
        let sections_end = directory.sections.all().iter().map(|(_, section)| end_of(section)).max();
        if directory.v != LINE_VERSION || sections_end > Some(offset) {
            return Err(damaged("another version wrote it"));
        }
        Ok(Fold { of: name, file, directory })
    }

    pub(in crate::ledger) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Where reading the file's lines would have ended; `None` if some of it is no line.
    pub(in crate::ledger) fn end_of_clean_file(&self) -> Option<End> {
        let Directory { next_seq, gaps, records, last, .. } = &self.directory;
        let position = |last: &LastLine| Position {
            file: self.of,
            offset: last.offset,
            sealed: Sealed { seq: last.seq, crc: last.crc },
        };
        (self.directory.damaged == 0).then(|| End {
            sequence: Sequence::resuming(*next_seq, gaps.clone()),
            last: last.as_ref().map(position),
            records: *records,
        })
    }

    /// The journal file it stands for.
    pub(in crate::ledger) fn file(&self) -> FileName {
        self.of
    }

    /// Its own name within the data folder.
    pub(in crate::ledger) fn name(&self) -> String {
        name_of(self.of)
    }

    /// Whether the whole of every section is as it was written.
    pub(super) fn check_sections(&self) -> io::Result<()> {
        for (name, section) in self.directory.sections.all() {
            let crc = crc_of(self.reader(section))?;
            if crc != section.crc {
                return Err(damaged(&format!("its section `{name}` is damaged")));
            }
        }
        Ok(())
    }

    /// The fold's cubes, over the resets that held when it was made.
    pub(in crate::ledger) fn stats(&self) -> io::Result<Stats> {
        let section = self.directory.sections.cubes;
        let mut input = BufReader::with_capacity(64 << 10, Checked::new(self.reader(section)));
        let (mut reader, mut line) = (LineReader::default(), Vec::new());
        while input.read_until(b'\n', &mut line)? > 0 {
            if !reader.take(line.strip_suffix(b"\n").unwrap_or(&line)) {
                return Err(damaged("its section `cubes` is damaged"));
            }
            line.clear();
        }
        let whole = input.into_inner().crc == section.crc;
        reader.finish().filter(|_| whole).ok_or_else(|| damaged("its section `cubes` is damaged"))
    }

    /// The names of the models in user rows.
    pub(in crate::ledger) fn models(&self) -> io::Result<Vec<String>> {
        let text = self.section(self.directory.sections.models)?;
        serde_json::from_slice(&text).map_err(|_| damaged("its section `models` is damaged"))
    }

    /// Every user's rows, sorted by user.
    pub(in crate::ledger) fn users(&self) -> UserRows {
        self.users_from(0)
    }

    /// The rows of one user.
    pub(in crate::ledger) fn users_of(&self, user: SubjectId) -> io::Result<Vec<UserRow>> {
        let mut key = [0; KEY];
        key[0] = 1;
        key[1..13].copy_from_slice(user.as_bytes());
        let first = self.first_not_below::<ROW>(self.directory.sections.users, &key)?;
        let mut rows = Vec::new();
        for row in self.users_from(first) {
            let row = row?;
            if row.key()[..13] != key[..13] {
                break;
            }
            rows.push(row);
        }
        Ok(rows)
    }

    fn users_from(&self, row: u64) -> UserRows {
        let section = self.directory.sections.users;
        let offset = section.offset + row * ROW as u64;
        UserRows {
            file: Arc::clone(&self.file),
            offset,
            end: section.offset + section.bytes,
            held: Vec::new(),
            next: 0,
        }
    }

    /// The filter over the ids others gave.
    pub(in crate::ledger) fn bloom(&self) -> io::Result<Bloom> {
        Ok(Bloom::from_bytes(self.section(self.directory.sections.bloom)?))
    }

    /// Whether an id's digest is among them.
    pub(in crate::ledger) fn has_given(&self, digest: u128) -> io::Result<bool> {
        let (section, digest) = (self.directory.sections.given, digest.to_be_bytes());
        let at = self.first_not_below::<ID>(section, &digest)?;
        if at >= self.directory.given_ids() {
            return Ok(false);
        }
        let mut found = [0; ID];
        self.file.read_exact_at(&mut found, section.offset + at * ID as u64)?;
        Ok(found == digest)
    }

    /// The first of a section's sorted entries that does not sort before a key.
    fn first_not_below<const N: usize>(&self, section: Section, key: &[u8]) -> io::Result<u64> {
        let (mut low, mut high) = (0, section.bytes / N as u64);
        let mut entry = [0; N];
        while low < high {
            let middle = low.midpoint(high);
            self.file.read_exact_at(&mut entry, section.offset + middle * N as u64)?;
            if entry[..key.len()] < *key { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    fn reader(&self, section: Section) -> io::Take<Reader> {
        io::Read::take(Reader::new(Arc::clone(&self.file), section.offset), section.bytes)
    }

    /// A section that is held in memory.
    fn section(&self, section: Section) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; section.bytes as usize];
        self.file.read_exact_at(&mut bytes, section.offset)?;
        if crc32c::crc32c(&bytes) == section.crc { Ok(bytes) } else { Err(damaged("one of its sections is damaged")) }
    }
}

/// A fold's user rows, read piece by piece.
pub(in crate::ledger) struct UserRows {
    file: Arc<dyn DiskFile>,
    offset: u64,
    end: u64,
    held: Vec<[u8; ROW]>,
    next: usize,
}

impl Iterator for UserRows {
    type Item = io::Result<UserRow>;

    fn next(&mut self) -> Option<io::Result<UserRow>> {
        if self.next == self.held.len() {
            let left = self.end.saturating_sub(self.offset) / ROW as u64;
            self.held.resize(left.min(256) as usize, [0; ROW]);
            if let Err(error) = self.file.read_exact_at(self.held.as_flattened_mut(), self.offset) {
                self.end = self.offset;
                self.held.clear();
                return Some(Err(error));
            }
            self.offset += (self.held.len() * ROW) as u64;
            self.next = 0;
        }
        let row = self.held.get(self.next)?;
        self.next += 1;
        Some(Ok(UserRow::from_bytes(row)))
    }
}

/// A reader that sums up what is read through it.
pub(super) struct Checked<R> {
    reader: R,
    pub(super) crc: u32,
    pub(super) bytes: u64,
}

impl<R> Checked<R> {
    pub(super) fn new(reader: R) -> Checked<R> {
        Checked { reader, crc: 0, bytes: 0 }
    }
}

impl<R: io::Read> io::Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.crc = crc32c::crc32c_append(self.crc, &buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// The CRC-32C of everything a reader gives.
pub(super) fn crc_of(reader: impl io::Read) -> io::Result<u32> {
    let mut reader = Checked::new(reader);
    let mut buffer = vec![0; 64 << 10];
    while io::Read::read(&mut reader, &mut buffer)? > 0 {}
    Ok(reader.crc)
}

pub(super) fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads whatever can be read of a fold, as it is and with every checksum made right, so that what is behind them is
/// reached. Its cubes are written and read again as the same. Says whether it was whole as it is.
#[cfg(test)]
pub(in crate::ledger) fn fuzzed(data: &[u8]) -> bool {
    let mut whole = false;
    let name = FileName::parse("tokens_2026-11-22.jsonl").expect("a journal file");
    for bytes in [data.to_vec(), with_right_checksums(data)] {
        let file = tempfile::tempfile().expect("a temporary file");
        file.write_all_at(&bytes, 0).expect("written");
        let Ok(fold) = Fold::of(name, Arc::new(file)) else { continue };
        whole |= bytes == data && fold.check_sections().is_ok();
        let _ = (fold.end_of_clean_file(), fold.models(), fold.has_given(7));
        let _ = fold.bloom().map(|bloom| bloom.may_contain(7));
        let _ = fold.users_of(SubjectId::from_bytes([1; 12]));
        fold.users().for_each(drop);
        let Ok(stats) = fold.stats() else { continue };
        let mut again = LineReader::default();
        let picture = stats.picture();
        let read = picture.for_each_line(|line| if again.take(line) { Ok(()) } else { Err(()) });
        assert!(read.is_ok(), "what was written is read");
        let again = again.finish().expect("it has a first line");
        assert_eq!(again.picture().saved().canonical(), picture.saved().canonical());
    }
    whole
}

/// The same sections with their checksums in the directory, and that sealed anew.
#[cfg(test)]
fn with_right_checksums(data: &[u8]) -> Vec<u8> {
    let at = memchr::memmem::rfind(data, b"{\"v\":").unwrap_or(data.len());
    let end = memchr::memmem::rfind(data, b",\"seq\":").filter(|end| *end >= at);
    let mut line = end.map_or_else(|| b"{}".to_vec(), |end| [&data[at..end], b"}"].concat());
    if let Ok(mut directory) = serde_json::from_slice::<Directory>(&line) {
        let Sections { cubes, models, users, given, bloom } = &mut directory.sections;
        for section in [cubes, models, users, given, bloom] {
            let start = usize::try_from(section.offset).unwrap_or(usize::MAX).min(at);
            let length = usize::try_from(section.bytes).unwrap_or(usize::MAX).min(at - start);
            section.crc = crc32c::crc32c(&data[start..start + length]);
        }
        line = serde_json::to_vec(&directory).expect("plain data can be written");
    }
    seal_line(&mut line, 0, 7);
    [&data[..at], &line, &(at as u64).to_le_bytes(), MAGIC].concat()
}
