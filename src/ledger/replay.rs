//! Reading a journal file: every valid line counts, whatever its neighbours are; what is not valid is named.

use std::io::{self, Read};

use super::LedgerError;
use super::archived;
use super::disk::Access;
use super::files::{DataFolder, FileName};
use crate::usage::{MAX_LINE_BYTES, Sealed, UsageRecord, unseal_line};

/// Bytes read at once. A line that is longer is damage, so memory stays bounded; a larger block is no faster, and the
/// allocator would keep its memory.
const BLOCK: usize = 1 << 16;

/// Bytes in a journal that are not a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file's name.
    pub file: String,
    /// Where they begin.
    pub offset: u64,
    /// How many there are.
    pub bytes: u64,
    /// What they probably are.
    pub kind: DamageKind,
}

/// What damaged bytes probably are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// The end of a file that was being written when the process or the power died. Nothing acknowledged is lost.
    Torn,
    /// Bytes before a valid line: something changed the file.
    Corrupt,
    /// A compressed file that cannot be read further. How many bytes are behind is not known.
    Unreadable,
}

/// Where a scan is, or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) file: FileName,
    /// Just behind the line's newline.
    pub(super) offset: u64,
    pub(super) sealed: Sealed,
}

impl Position {
    /// Whether its line has a higher number than another.
    pub(super) fn is_above(&self, other: Option<Position>) -> bool {
        other.is_none_or(|other| self.sealed.seq > other.sealed.seq)
    }
}

/// What a scan of a file's rest found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The last valid line.
    pub(super) last: Option<Position>,
    /// The valid line of the highest number.
    pub(super) highest: Option<Position>,
    pub(super) damage: Vec<Damage>,
    /// The file ends in a valid line that lacks only its newline.
    pub(super) wants_newline: bool,
    /// Records handed on.
    pub(super) records: u64,
}

/// Recognises lines that are there twice, by their number: those below the expected one that fill no gap.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    next: u64,
    gaps: Vec<(u64, u64)>,
}

/// Remembered gaps; more than these are not looked back into.
const MAX_GAPS: usize = 32_768;

impl Sequence {
    pub(super) fn starting_after(seq: u64) -> Sequence {
        Sequence { next: seq + 1, gaps: Vec::new() }
    }

    /// As another one ended.
    pub(super) fn resuming(next: u64, gaps: Vec<(u64, u64)>) -> Sequence {
        Sequence { next, gaps }
    }

    /// Numbers that were passed over and may still come.
    pub(super) fn gaps(&self) -> &[(u64, u64)] {
        &self.gaps
    }

    /// Whether a line of this number is seen for the first time.
    pub(super) fn is_new(&mut self, seq: u64) -> bool {
        if seq >= self.next {
            if seq > self.next && self.gaps.len() < MAX_GAPS {
                self.gaps.push((self.next, seq - 1));
            }
            self.next = seq + 1;
            return true;
        }
        let Some(at) = self.gaps.iter().position(|(first, last)| (*first..=*last).contains(&seq)) else {
            return false;
        };
        let (first, last) = self.gaps.swap_remove(at);
        self.gaps.extend([(first, seq.wrapping_sub(1)), (seq + 1, last)].into_iter().filter(|(a, b)| a <= b && *b > 0));
        true
    }

    pub(super) fn next(&self) -> u64 {
        self.next.max(1)
    }

    /// Whether any of these numbers is still missing.
    pub(super) fn misses(&self, first: u64, last: u64) -> bool {
        self.gaps.iter().any(|(a, b)| *a <= last && first <= *b)
    }
}

/// Reads a file's lines from `offset` and hands on each record that is seen for the first time: lines that a failed sync
/// made the ledger write again have kept their number.
pub(super) fn scan_file(
    data: &DataFolder,
    name: FileName,
    offset: u64,
    sequence: &mut Sequence,
    on_record: impl FnMut(&UsageRecord<'_>, u64),
) -> Result<Scan, LedgerError> {
    scan_through(data, name, archived::open(data, name, offset), offset, sequence, on_record)
}

/// [`scan_file`] through a reader that stands at `offset` of the file.
pub(super) fn scan_through(
    data: &DataFolder,
    name: FileName,
    opened: io::Result<impl Read>,
    offset: u64,
    sequence: &mut Sequence,
    mut on_record: impl FnMut(&UsageRecord<'_>, u64),
) -> Result<Scan, LedgerError> {
    let mut scan = Scan::default();
    let mut failed = None;
    let unreadable = read_lines_through(data, name, opened, offset, |line, read| match read {
        Ok((sealed, record)) => {
            scan.wants_newline = !line.terminated;
            let position = Position { file: name, offset: line.end(), sealed };
            scan.last = Some(position);
            scan.highest = Some(position).filter(|line| line.is_above(scan.highest)).or(scan.highest);
            if sequence.is_new(sealed.seq) {
                scan.records += 1;
                on_record(&record, sealed.seq);
            }
        }
        Err(Invalid::Newer(problem)) => {
            failed.get_or_insert_with(|| LedgerError::NotOurs { path: data.path_of(name), line: line.number, problem });
        }
        Err(Invalid::Damaged) => scan.damage.push(Damage {
            file: name.to_string(),
            offset: line.offset,
            bytes: line.end() - line.offset,
            kind: DamageKind::Corrupt,
        }),
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let good_end = scan.last.map_or(offset, |last| last.offset);
    for damage in &mut scan.damage {
        if damage.offset >= good_end {
            damage.kind = DamageKind::Torn;
        }
    }
    scan.damage.extend(unreadable.map(|offset| Damage {
        file: name.archive(),
        offset,
        bytes: 0,
        kind: DamageKind::Unreadable,
    }));
    Ok(scan)
}

/// Why a line is no record.
pub(super) enum Invalid {
    /// Its bytes are not those that were written.
    Damaged,
    /// Its checksum is right and it cannot be read: a newer version wrote it. That is no damage, but a reason to stop
    /// before anything is counted wrongly.
    Newer(String),
}

/// Reads a file's lines, each as a record or not. Gives the place from which a damaged compressed file
/// cannot be read further.
pub(super) fn read_lines(
    data: &DataFolder,
    name: FileName,
    on_line: impl FnMut(&LineAt<'_>, Result<(Sealed, UsageRecord<'_>), Invalid>),
) -> Result<Option<u64>, LedgerError> {
    read_lines_through(data, name, archived::open(data, name, 0), 0, on_line)
}

fn read_lines_through(
    data: &DataFolder,
    name: FileName,
    opened: io::Result<impl Read>,
    offset: u64,
    mut on_line: impl FnMut(&LineAt<'_>, Result<(Sealed, UsageRecord<'_>), Invalid>),
) -> Result<Option<u64>, LedgerError> {
    for_each_line_through(data, name, opened, offset, |line| {
        let content = trimmed(line.bytes);
        if content.is_empty() && line.terminated {
            return; // a newline that sealed a torn tail
        }
        let sealed = unseal_line(content).map_err(|_| Invalid::Damaged);
        let read = sealed.and_then(|sealed| Ok((sealed, read_record(content, line.offset)?)));
        // A part is left when a write failed and could not be cut off: its last line was never accepted then, and if
        // only its newline is missing its number belongs to a line of the next part.
        let read = if line.terminated || !was_left(data, name) { read } else { read.and(Err(Invalid::Damaged)) };
        on_line(&line, read);
    })
}

/// Whether there is a next part of the same day.
fn was_left(data: &DataFolder, name: FileName) -> bool {
    let next = name.next_part();
    data.open(next, Access::Read).is_ok() || data.open(next.archive(), Access::Read).is_ok()
}

/// [`for_each_line`] of a journal file in either form. Gives the place from which a damaged compressed file cannot be
/// read further.
pub(super) fn for_each_line_of(
    data: &DataFolder,
    name: FileName,
    on_line: impl FnMut(LineAt<'_>),
) -> Result<Option<u64>, LedgerError> {
    for_each_line_through(data, name, archived::open(data, name, 0), 0, on_line)
}

fn for_each_line_through(
    data: &DataFolder,
    name: FileName,
    opened: io::Result<impl Read>,
    offset: u64,
    mut on_line: impl FnMut(LineAt<'_>),
) -> Result<Option<u64>, LedgerError> {
    let reader = match opened {
        Err(error) if archived::is_damage(&error) => return Ok(Some(offset)),
        opened => opened.map_err(data.failed("open", name))?,
    };
    let mut end = offset;
    let read = for_each_line(reader, offset, |line| {
        end = line.end();
        on_line(line);
    });
    match read {
        Err(error) if archived::is_damage(&error) => Ok(Some(end)),
        read => read.map(|()| None).map_err(data.failed("read", name)),
    }
}

/// A record from a line whose checksum is right.
pub(super) fn read_record(content: &[u8], offset: u64) -> Result<UsageRecord<'_>, Invalid> {
    // Checked once for the whole line, not again for each of its texts.
    let text = std::str::from_utf8(content).map_err(|_| Invalid::Damaged)?;
    serde_json::from_str(text).map_err(|error| {
        Invalid::Newer(format!("the line at byte {offset} is whole but cannot be read: {error}; use a newer tallybot"))
    })
}

/// Without what an editor may have left: a carriage return, a byte order mark.
pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

pub(super) struct LineAt<'a> {
    /// From 1, counted from where reading began.
    pub(super) number: u64,
    pub(super) offset: u64,
    /// Without the newline.
    pub(super) bytes: &'a [u8],
    pub(super) terminated: bool,
}

impl LineAt<'_> {
    /// Behind the line and its newline.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64 + u64::from(self.terminated)
    }
}

/// Calls `on_line` for every line from where the reader stands. What has no newline within a block is handed on in
/// pieces, each of which is damage.
pub(super) fn for_each_line(mut reader: impl Read, offset: u64, mut on_line: impl FnMut(LineAt<'_>)) -> io::Result<()> {
    const { assert!(BLOCK > 2 * MAX_LINE_BYTES) };
    let mut buffer = vec![0; BLOCK];
    let (mut filled, mut offset, mut number) = (0, offset, 1);
    loop {
        let read = reader.read(&mut buffer[filled..])?;
        filled += read;
        let mut done = 0;
        while let Some(length) = memchr::memchr(b'\n', &buffer[done..filled]) {
            on_line(LineAt { number, offset, bytes: &buffer[done..done + length], terminated: true });
            number += 1;
            done += length + 1;
            offset += length as u64 + 1;
        }
        if done == 0 && (filled == buffer.len() || read == 0) && filled > 0 {
            on_line(LineAt { number, offset, bytes: &buffer[..filled], terminated: false });
            done = filled;
            offset += filled as u64;
        }
        buffer.copy_within(done..filled, 0);
        filled -= done;
        if read == 0 && filled == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_across_blocks_and_without_a_last_newline() {
        let mut text: Vec<u8> = Vec::new();
        let lengths: Vec<usize> = (0..3000).map(|n| n * 7 % 1500).collect();
        for length in &lengths {
            text.extend(std::iter::repeat_n(b'x', *length));
            text.push(b'\n');
        }
        text.extend_from_slice(b"rest");
        let mut seen = Vec::new();
        for_each_line(&text[..], 10, |line| {
            assert_eq!(text[line.offset as usize - 10..][..line.bytes.len()], *line.bytes);
            seen.push((line.bytes.len(), line.terminated));
        })
        .expect("memory can be read");
        let expected: Vec<_> = lengths.into_iter().map(|n| (n, true)).chain([(4, false)]).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_number_counts_once_and_gaps_may_be_filled_late() {
        let mut sequence = Sequence::starting_after(0);
        let seen: Vec<bool> = [1, 2, 2, 5, 3, 3, 4, 4, 1, 6].into_iter().map(|seq| sequence.is_new(seq)).collect();
        assert_eq!(seen, [true, true, false, true, true, false, true, false, false, true]);
    }
}
