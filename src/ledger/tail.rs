//! The end of the journal, for those who look: the newest records without reading the rest, and the next ones as they
//! come. No lock is taken and nothing is written; a line counts once it is whole.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::disk::{Access, DiskFile};
use super::files::{DataFolder, FileName};
use super::replay::{Invalid, read_lines, read_record, trimmed};
use super::{LedgerError, RecordId, recovery};
use crate::usage::{Day, MAX_LINE_BYTES, UsageRecord, unseal_line};

/// Bytes read at once.
const BLOCK: usize = 1 << 16;

/// A place at the end of the journal, from which one can look back and go on.
pub struct Tail {
    data: DataFolder,
    /// The file read last; `None` while there is none.
    file: Option<FileName>,
    /// Just behind a newline of it.
    offset: u64,
    /// What stood in the files before, where this one may repeat some of it.
    written_before: HashSet<RecordId>,
}

impl Tail {
    /// The end as it is now.
    pub(super) fn at_end(data: DataFolder) -> Result<Tail, LedgerError> {
        let mut tail = Tail { data, file: None, offset: 0, written_before: HashSet::new() };
        if let Some(newest) = tail.files()?.last().copied() {
            tail.enter(newest)?;
            if let Some(file) = tail.open(newest)? {
                tail.offset = end_of_lines(&file).map_err(tail.data.failed("read", newest))?;
            }
        }
        Ok(tail)
    }

    fn files(&self) -> Result<Vec<FileName>, LedgerError> {
        if self.data.path().exists() { self.data.journal_files() } else { Ok(Vec::new()) }
    }

    /// A file as it was written; `None` if it was compressed or taken away, so that nothing more comes into it.
    fn open(&self, name: FileName) -> Result<Option<Arc<dyn DiskFile>>, LedgerError> {
        match self.data.open(name, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).map_err(self.data.failed("open", name)),
        }
    }

    /// Goes to the beginning of a file.
    fn enter(&mut self, name: FileName) -> Result<(), LedgerError> {
        self.written_before = recovery::ids_before(&self.data, &self.files()?, name)?;
        (self.file, self.offset) = (Some(name), 0);
        Ok(())
    }

    /// The last `wanted` records before this place that fit, newest last. Files that end before `since` are not read.
    ///
    /// # Errors
    /// When a file cannot be read or was written by a newer version.
    pub fn newest(
        &self,
        wanted: usize,
        since: Option<Day>,
        fits: impl Fn(&UsageRecord<'_>) -> bool,
    ) -> Result<Vec<UsageRecord<'static>>, LedgerError> {
        let mut found = Found { wanted, records: VecDeque::new(), ids: HashSet::new() };
        let files = self.files()?;
        let first = since.map(|day| day.plus(-1));
        let older = files.iter().rev().filter(|name| Some(**name) <= self.file);
        for name in older.filter(|name| first.is_none_or(|first| name.day >= first)) {
            if found.is_complete() {
                break;
            }
            match self.open(*name)? {
                Some(file) => self.look_back(*name, &file, &mut found, &fits)?,
                None => self.look_through(*name, &mut found, &fits)?,
            }
        }
        Ok(found.records.into())
    }

    /// Finds records from a file's end on.
    fn look_back(
        &self,
        name: FileName,
        file: &Arc<dyn DiskFile>,
        found: &mut Found,
        fits: &impl Fn(&UsageRecord<'_>) -> bool,
    ) -> Result<(), LedgerError> {
        let end = if Some(name) == self.file { Ok(self.offset) } else { file.length() };
        let end = end.map_err(self.data.failed("read", name))?;
        let mut failed = None;
        let walked = for_each_line_back(file, end, |offset, line| {
            match record_in(line, offset) {
                Some(Ok(record)) if fits(&record) => found.put_before(record),
                Some(Err(problem)) => failed = Some(problem),
                _ => {}
            }
            if found.is_complete() || failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        walked.map_err(self.data.failed("read", name))?;
        failed.map_or(Ok(()), |problem| Err(self.newer(name, problem)))
    }

    /// Finds records in a compressed file, which can only be read from its beginning.
    fn look_through(
        &self,
        name: FileName,
        found: &mut Found,
        fits: &impl Fn(&UsageRecord<'_>) -> bool,
    ) -> Result<(), LedgerError> {
        let (missing, mut last, mut failed) = (found.wanted - found.records.len(), VecDeque::new(), None);
        read_lines(&self.data, name, |_, read| match read {
            Ok((_, record)) if fits(&record) && !found.ids.contains(&record.id) => {
                if last.len() == missing {
                    last.pop_front();
                }
                last.push_back(record.into_owned());
            }
            Err(Invalid::Newer(problem)) => failed = Some(problem),
            _ => {}
        })?;
        last.into_iter().rev().for_each(|record| found.put_before(record));
        failed.map_or(Ok(()), |problem| Err(self.newer(name, problem)))
    }

    fn newer(&self, name: FileName, problem: String) -> LedgerError {
        LedgerError::NotOurs { path: self.data.path_of(name), line: 0, problem }
    }

    /// Hands on every record that was appended since, and goes to the end.
    ///
    /// # Errors
    /// As [`Tail::newest`].
    pub fn advance(&mut self, mut on_record: impl FnMut(&UsageRecord<'_>)) -> Result<(), LedgerError> {
        loop {
            // Listed first: once a later file is there, nothing more comes into this one.
            let later = self.files()?.into_iter().find(|name| Some(*name) > self.file);
            if let Some(name) = self.file {
                self.read_on(name, &mut on_record)?;
            }
            match later {
                Some(name) => self.enter(name)?,
                None => return Ok(()),
            }
        }
    }

    fn read_on(&mut self, name: FileName, on_record: &mut impl FnMut(&UsageRecord<'_>)) -> Result<(), LedgerError> {
        let Some(file) = self.open(name)? else { return Ok(()) };
        let failed_to_read = |error| self.data.failed("read", name)(error);
        // A file that was cut back is read on from where it ends now.
        self.offset = self.offset.min(file.length().map_err(failed_to_read)?);
        let (mut buffer, mut filled, mut failed) = (vec![0; BLOCK], 0, None);
        loop {
            let read = file.read_at(&mut buffer[filled..], self.offset + filled as u64).map_err(failed_to_read)?;
            filled += read;
            let mut done = 0;
            while let Some(length) = memchr::memchr(b'\n', &buffer[done..filled]) {
                let offset = self.offset + done as u64;
                match record_in(&buffer[done..done + length], offset) {
                    Some(Ok(record)) if !self.written_before.contains(&record.id) => on_record(&record),
                    Some(Err(problem)) => failed = Some(problem),
                    _ => {}
                }
                done += length + 1;
            }
            failed.take().map_or(Ok(()), |problem| Err(self.newer(name, problem)))?;
            if done == 0 && filled == buffer.len() {
                done = filled; // far longer than a line: damage
            }
            self.offset += done as u64;
            buffer.copy_within(done..filled, 0);
            filled -= done;
            if read == 0 {
                return Ok(());
            }
        }
    }
}

/// The records found so far, newest last.
struct Found {
    wanted: usize,
    records: VecDeque<UsageRecord<'static>>,
    ids: HashSet<RecordId>,
}

impl Found {
    fn is_complete(&self) -> bool {
        self.records.len() >= self.wanted
    }

    /// Puts an older record before those that are there, unless it is one of them.
    fn put_before(&mut self, record: UsageRecord<'_>) {
        if self.ids.insert(record.id) {
            self.records.push_front(record.into_owned());
        }
    }
}

/// The record in a line; `None` for what is no line, an error for what a newer version wrote.
fn record_in(line: &[u8], offset: u64) -> Option<Result<UsageRecord<'_>, String>> {
    let line = trimmed(line);
    unseal_line(line).ok()?;
    match read_record(line, offset) {
        Ok(record) => Some(Ok(record)),
        Err(Invalid::Newer(problem)) => Some(Err(problem)),
        Err(Invalid::Damaged) => None,
    }
}

/// Just behind the last newline of a file.
fn end_of_lines(file: &Arc<dyn DiskFile>) -> io::Result<u64> {
    let mut end = file.length()?;
    let mut block = vec![0; BLOCK];
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let block = &mut block[..(end - start) as usize];
        file.read_exact_at(block, start)?;
        if let Some(at) = memchr::memrchr(b'\n', block) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Calls `on_line` for the lines before `end`, the last one first, until it breaks.
fn for_each_line_back(
    file: &Arc<dyn DiskFile>,
    end: u64,
    mut on_line: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut start = end;
    // The beginning of this is not read yet.
    let mut unfinished: Vec<u8> = Vec::new();
    while start > 0 {
        let mut bytes = vec![0; start.min(BLOCK as u64) as usize];
        start -= bytes.len() as u64;
        file.read_exact_at(&mut bytes, start)?;
        bytes.append(&mut unfinished);
        let mut stop = bytes.len();
        while let Some(at) = memchr::memrchr(b'\n', &bytes[..stop]) {
            if on_line(start + at as u64 + 1, &bytes[at + 1..stop]).is_break() {
                return Ok(());
            }
            stop = at;
        }
        bytes.truncate(stop);
        // What is longer than a line is none; its beginning will not be one either.
        if bytes.len() <= MAX_LINE_BYTES {
            unfinished = bytes;
        }
    }
    let _first = on_line(0, &unfinished);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tempfile::TempDir;

    use super::*;
    use crate::ledger::tests::{DAY, at, open_as};
    use crate::ledger::{Durability, Folder, Ledger};

    fn open(folder: &TempDir, now: i64) -> Ledger {
        open_as(folder.path(), Durability::Kill, at(now)).0
    }

    fn append(ledger: &Ledger, numbers: std::ops::Range<u64>, secs: i64) {
        for n in numbers {
            let mut random = [0; 10];
            random[2..].copy_from_slice(&n.to_be_bytes());
            let mut record = UsageRecord::new(RecordId::new(at(secs), random), at(secs), "p".into(), "m".into());
            record.tokens.prompt = n;
            ledger.append(&record, at(secs)).expect("appended");
        }
    }

    fn numbers(tail: &Tail, wanted: usize, since: Option<i64>, fits: impl Fn(u64) -> bool) -> Vec<u64> {
        let since = since.map(|secs| at(secs).day());
        let found = tail.newest(wanted, since, |record| fits(record.tokens.prompt)).expect("readable");
        found.iter().map(|record| record.tokens.prompt).collect()
    }

    /// A sync that fails, and the lines written again.
    fn fail_a_sync(ledger: &Ledger) {
        ledger.inner.journal.fail_next_sync_for_test();
        while ledger.sync().is_err() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_newest_records_are_the_last_of_all_across_days_and_parts() {
        let folder = TempDir::new().expect("a temporary folder");
        let tail = || Folder::new(folder.path()).tail().expect("readable");
        assert_eq!(numbers(&tail(), 5, None, |_| true), [0; 0], "nothing is there yet");
        let ledger = open(&folder, 0);
        append(&ledger, 0..400, 1);
        append(&ledger, 400..402, DAY);
        fail_a_sync(&ledger);
        append(&ledger, 402..405, DAY);
        drop(ledger);
        let mut all = Vec::new();
        Folder::new(folder.path()).for_each_record(|record| all.push(record.tokens.prompt)).expect("readable");
        assert_eq!(all.len(), 405);
        for wanted in [0, 1, 4, 5, 6, 300, 405, 1000] {
            assert_eq!(numbers(&tail(), wanted, None, |_| true), all[all.len().saturating_sub(wanted)..], "{wanted}");
        }
        assert_eq!(numbers(&tail(), 3, None, |n| n % 100 == 0), [200, 300, 400]);
        assert_eq!(numbers(&tail(), 9, Some(3 * DAY), |_| true), [0; 0], "files that end before are not read");
    }

    #[test]
    fn compressed_days_are_looked_through() {
        let folder = TempDir::new().expect("a temporary folder");
        let ledger = open(&folder, 0);
        append(&ledger, 0..50, 1);
        append(&ledger, 50..53, DAY);
        drop(ledger);
        let compress = |secs: i64| {
            let path = folder.path().join(format!("tokens_{}.jsonl", at(secs).day()));
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            io::Write::write_all(&mut encoder, &std::fs::read(&path).expect("readable")).expect("memory");
            let archive = path.with_extension("jsonl.gz");
            std::fs::write(archive, encoder.finish().expect("memory")).expect("writable");
            std::fs::remove_file(path).expect("removed");
        };
        for _ in 0..2 {
            let mut tail = Folder::new(folder.path()).tail().expect("readable");
            assert_eq!(numbers(&tail, 5, None, |_| true), [48, 49, 50, 51, 52]);
            assert_eq!(numbers(&tail, 90, None, |n| n % 20 == 0), [0, 20, 40]);
            compress(if folder.path().join("tokens_2026-11-22.jsonl").exists() { 1 } else { DAY });
            tail.advance(|_| panic!("nothing is new")).expect("a file that went is no error");
        }
        let tail = Folder::new(folder.path()).tail().expect("readable");
        assert_eq!(numbers(&tail, 4, None, |_| true), [49, 50, 51, 52], "the newest file too");
    }

    #[test]
    fn what_comes_later_comes_once_through_a_new_day_and_a_new_part() {
        let folder = TempDir::new().expect("a temporary folder");
        let mut tail = Folder::new(folder.path()).tail().expect("readable");
        let next = |tail: &mut Tail| {
            let mut seen = Vec::new();
            tail.advance(|record| seen.push(record.tokens.prompt)).expect("readable");
            seen
        };
        assert_eq!(next(&mut tail), [0; 0], "no folder yet is nothing yet");
        let ledger = open(&folder, 0);
        append(&ledger, 0..2, 1);
        assert_eq!((next(&mut tail), next(&mut tail)), (vec![0, 1], vec![]));
        append(&ledger, 2..3, 1);
        fail_a_sync(&ledger);
        append(&ledger, 3..4, 1);
        append(&ledger, 4..6, DAY);
        append(&ledger, 6..7, 3 * DAY);
        assert_eq!(next(&mut tail), [2, 3, 4, 5, 6]);
        let mut late = Folder::new(folder.path()).tail().expect("readable");
        assert_eq!(numbers(&late, 2, None, |_| true), [5, 6]);
        append(&ledger, 7..8, 3 * DAY);
        assert_eq!(
            (next(&mut tail), next(&mut late)),
            (vec![7], vec![7]),
            "none is missed between looking back and on"
        );
        drop(ledger);
        let newest = tail.file.expect("there is one");
        let path = folder.path().join(newest.to_string());
        let whole = std::fs::read(&path).expect("readable");
        let half = [&whole[..], b"{\"v\":1,\"id\":\"cut"].concat();
        std::fs::write(&path, &half).expect("writable");
        assert_eq!(next(&mut tail), [0; 0], "a line counts once it is whole");
        let ledger = open(&folder, 3 * DAY);
        append(&ledger, 8..9, 3 * DAY);
        assert_eq!(next(&mut tail), [8], "the torn one is passed over");
    }

    /// A file in memory that counts what is read of it.
    struct Counted {
        content: Vec<u8>,
        read: Mutex<usize>,
    }

    impl DiskFile for Counted {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let rest = &self.content[(offset as usize).min(self.content.len())..];
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            *self.read.lock().expect("one thread") += length;
            Ok(length)
        }
        fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            unreachable!("readers do not write")
        }
        fn append(&self, _: &[u8]) -> io::Result<()> {
            unreachable!("readers do not write")
        }
        fn set_len(&self, _: u64) -> io::Result<()> {
            unreachable!("readers do not write")
        }
        fn length(&self) -> io::Result<u64> {
            Ok(self.content.len() as u64)
        }
        fn sync(&self) -> io::Result<()> {
            unreachable!("readers do not write")
        }
        fn reserve(&self, _: u64, _: u64) -> io::Result<()> {
            unreachable!("readers do not write")
        }
        fn is_at(&self, _: &std::path::Path) -> io::Result<bool> {
            Ok(true)
        }
    }

    #[test]
    fn lines_come_last_first_whatever_their_length_and_few_of_them_cost_little() {
        let mut content = Vec::new();
        let line = |n: usize| format!("{n}:{}", "x".repeat(n * 7919 % MAX_LINE_BYTES / 2));
        let lines: Vec<String> = (0..800).map(line).collect();
        lines.iter().for_each(|line| content.extend_from_slice(format!("{line}\n").as_bytes()));
        let whole = content.len();
        content.extend(std::iter::repeat_n(b'y', 3 * BLOCK));
        let counted = Arc::new(Counted { content, read: Mutex::new(0) });
        let file: Arc<dyn DiskFile> = Arc::clone(&counted) as _;
        assert_eq!(end_of_lines(&file).expect("memory can be read"), whole as u64);
        let last = |wanted: usize| {
            *counted.read.lock().expect("one thread") = 0;
            let mut seen = Vec::new();
            for_each_line_back(&file, whole as u64, |offset, line| {
                assert!(counted.content[offset as usize..].starts_with(line), "{offset}");
                if !line.is_empty() {
                    seen.push(String::from_utf8(line.to_vec()).expect("text"));
                }
                if seen.len() == wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .expect("memory can be read");
            seen.reverse();
            (seen, *counted.read.lock().expect("one thread"))
        };
        assert_eq!(last(800).0, lines);
        let (few, read) = last(20);
        assert_eq!(few, lines[780..]);
        assert!(read <= 4 * BLOCK && read < whole / 10, "{read} bytes of {whole} were read");
    }
}
