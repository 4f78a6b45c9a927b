//! Making a fold: one pass over a closed journal file, in little memory however many users it holds.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::fast::FixedState;

use super::bloom::Bloom;
use super::file::{Checked, Directory, FOLDER, ID, LastLine, RawFile, Sections, Writer, name_of};
use super::sorter::Sorter;
use super::user_row::{KEY, ROW, UserRow};
use crate::ledger::disk::Access;
use crate::ledger::files::{DataFolder, FileName};
use crate::ledger::given::digest_of;
use crate::ledger::replay::{Scan, Sequence, scan_through};
use crate::ledger::{Acts, LedgerError, archived};
use crate::stats::{Span, Stats, UserSums, Who, counted_model};
use crate::usage::{LINE_VERSION, UsageRecord};

/// User rows and ids held in memory; more of them are put aside, sorted.
const MAX_HELD_ROWS: usize = 32_768;
const MAX_HELD_IDS: usize = 131_072;

/// What the lines of a file are read with.
pub(super) struct Start<'a> {
    pub(super) acts: &'a Acts,
    /// The fold of the file before it.
    pub(super) before: Option<&'a Directory>,
}

/// Makes the fold of a closed file. Ends early, with an error, when `stop` is set.
pub(super) fn build(
    data: &DataFolder,
    file: FileName,
    start: &Start<'_>,
    stop: &AtomicBool,
) -> Result<(), LedgerError> {
    let name = name_of(file);
    let failed = |error| data.failed("write", &name)(error);
    data.make_within(FOLDER).map_err(failed)?;
    let mut pass = Pass::new(data, start.acts, &name);
    let mut sequence =
        start.before.map_or_else(Sequence::default, |before| Sequence::resuming(before.next_seq, before.gaps.clone()));
    let reader = archived::open(data, file, 0).map_err(data.failed("open", file))?;
    let mut input = Checked::new(Stoppable { reader, stop });
    let mut trouble = None;
    let scan = scan_through(data, file, Ok(&mut input), 0, &mut sequence, |record, _| {
        if trouble.is_none() {
            trouble = pass.take(record).err();
        }
    })?;
    if let Some(error) = trouble {
        return Err(failed(error));
    }
    let raw = RawFile { name: file.to_string(), bytes: input.bytes, crc: input.crc };
    let directory = Directory {
        v: LINE_VERSION,
        lineage: start.acts.lineage,
        raw,
        before: start.before.map(|before| before.raw.clone()),
        records: scan.records,
        damaged: scan.damage.len() as u64,
        last: last_line(&scan),
        next_seq: sequence.next(),
        gaps: sequence.gaps().to_vec(),
        resets: start.acts.resets.clone(),
        newest: pass.stats.current().newest(),
        spans: Vec::new(),
        sections: Sections::default(),
    };
    let temporary = format!("{name}.tmp");
    data.end(&temporary, pass.write(data, &name, &temporary, directory)).map_err(failed)
}

/// Reads a file's lines up to a byte; ends early, with an error, when `stop` is set.
pub(super) fn scan_until(
    data: &DataFolder,
    file: FileName,
    end: u64,
    stop: &AtomicBool,
    sequence: &mut Sequence,
    mut on_record: impl FnMut(&UsageRecord<'_>),
) -> Result<(), LedgerError> {
    let opened = archived::open(data, file, 0).map(|reader| io::Read::take(Stoppable { reader, stop }, end));
    scan_through(data, file, opened, 0, sequence, |record, _| on_record(record)).map(|_| ())
}

fn last_line(scan: &Scan) -> Option<LastLine> {
    scan.last.map(|last| LastLine { offset: last.offset, seq: last.sealed.seq, crc: last.sealed.crc })
}

/// Everything that is summed up in one pass.
struct Pass {
    stats: Stats,
    spans: Numbers<Span>,
    models: Numbers<Box<str>>,
    users: HashMap<(Who, u32, u32), UserSums, FixedState>,
    users_aside: Sorter<ROW>,
    ids: Vec<[u8; ID]>,
    ids_aside: Sorter<ID>,
    id_count: u64,
}

impl Pass {
    fn new(data: &DataFolder, acts: &Acts, name: &str) -> Pass {
        Pass {
            stats: Stats::new(acts.resets.clone()),
            spans: Numbers::default(),
            models: Numbers::default(),
            users: HashMap::default(),
            users_aside: Sorter::new(data, format!("{name}.users.tmp")),
            ids: Vec::new(),
            ids_aside: Sorter::new(data, format!("{name}.given.tmp")),
            id_count: 0,
        }
    }

    fn take(&mut self, record: &UsageRecord<'_>) -> io::Result<()> {
        self.stats.apply(record);
        let epoch = self.stats.current().epoch_of(record.timestamp);
        let span = self.spans.of(&Span { epoch, day: record.timestamp.day() }, |span| *span);
        let model = self.models.of(counted_model(record), |name: &str| name.into());
        let who = record.user.map_or(Who::Absent, Who::User);
        self.users.entry((who, span, model)).or_default().merge(&UserSums::of(record));
        if self.users.len() >= MAX_HELD_ROWS {
            self.users_aside.put_aside(&mut rows(&mut self.users))?;
        }
        if let Some(given) = &record.source {
            self.ids.push(digest_of(given).to_be_bytes());
            self.id_count += 1;
            if self.ids.len() >= MAX_HELD_IDS {
                self.ids_aside.put_aside(&mut self.ids)?;
            }
        }
        Ok(())
    }

    /// Writes the fold beside its place and puts it there once it is durable.
    fn write(mut self, data: &DataFolder, name: &str, temporary: &str, mut directory: Directory) -> io::Result<()> {
        data.remove_if_there(temporary)?;
        let mut out = Writer::new(data.create_new(temporary, Access::Append)?);
        let sections = &mut directory.sections;
        self.stats.current().for_each_line(|line| {
            out.write(line)?;
            out.write(b"\n")
        })?;
        self.stats = Stats::default();
        sections.cubes = out.end_section();
        out.write(&serde_json::to_vec(&self.models.values).expect("names can be written"))?;
        sections.models = out.end_section();
        write_users(self.users_aside, rows(&mut self.users), &mut out)?;
        sections.users = out.end_section();
        let bloom = write_given(self.ids_aside, self.ids, self.id_count, &mut out)?;
        sections.given = out.end_section();
        out.write(bloom.as_bytes())?;
        sections.bloom = out.end_section();
        directory.spans = self.spans.values;
        out.finish(&directory)?;
        data.rename(temporary, name)
    }
}

fn rows(users: &mut HashMap<(Who, u32, u32), UserSums, FixedState>) -> Vec<[u8; ROW]> {
    users.drain().map(|((who, span, model), sums)| UserRow { who, span, model, sums }.to_bytes()).collect()
}

/// Writes user rows, those of the same key as one.
fn write_users(aside: Sorter<ROW>, rest: Vec<[u8; ROW]>, out: &mut Writer) -> io::Result<()> {
    let mut last: Option<UserRow> = None;
    aside.for_each_sorted(rest, |bytes| {
        let row = UserRow::from_bytes(bytes);
        match &mut last {
            Some(last) if last.key() == bytes[..KEY] => last.sums.merge(&row.sums),
            _ => {
                if let Some(done) = last.replace(row) {
                    out.write(&done.to_bytes())?;
                }
            }
        }
        Ok(())
    })?;
    last.map_or(Ok(()), |row| out.write(&row.to_bytes()))
}

/// Writes ids, each once; gives the filter over them.
fn write_given(aside: Sorter<ID>, rest: Vec<[u8; ID]>, count: u64, out: &mut Writer) -> io::Result<Bloom> {
    let mut bloom = Bloom::for_ids(count);
    let mut last = None;
    aside.for_each_sorted(rest, |id| {
        if last != Some(*id) {
            bloom.insert(u128::from_be_bytes(*id));
            out.write(id)?;
        }
        last = Some(*id);
        Ok(())
    })?;
    Ok(bloom)
}

/// Values by number, in the order in which they came.
struct Numbers<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32, FixedState>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Numbers { values: Vec::new(), numbers: HashMap::default() }
    }
}

impl<T: Clone + Eq + Hash> Numbers<T> {
    fn of<Q: Hash + Eq + ?Sized>(&mut self, value: &Q, owned: impl Fn(&Q) -> T) -> u32
    where
        T: Borrow<Q>,
    {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let number = u32::try_from(self.values.len()).expect("days and capped names are far fewer than 2^32");
        self.values.push(owned(value));
        self.numbers.insert(owned(value), number);
        number
    }
}

/// A reader that fails once it is to stop.
struct Stoppable<'a, R> {
    reader: R,
    stop: &'a AtomicBool,
}

impl<R: io::Read> io::Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the ledger is closing"));
        }
        self.reader.read(buffer)
    }
}
