//! A process that kills itself before or after the n-th thing it does to its files, and what its parent heard of it.
//!
//! The process is this test binary again. It works on a folder of the real disk; each thing done to a file counts.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use uuid::Uuid;

use crate::ledger::disk::{Access, Disk, DiskFile, RealDisk};
use crate::ledger::files::DataFolder;
use crate::ledger::journal::{Appended, Syncing};
use crate::ledger::tests::{at, options};
use crate::ledger::{Durability, Ledger, LedgerError, OpenCall, Opened};
use crate::usage::{RecordId, Status, Timestamp, UsageRecord};

const FOLDER: &str = "TALLYBOT_KILL_POINT_FOLDER";
const POINT: &str = "TALLYBOT_KILL_POINT";

/// What a process is to do, and where it dies.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Death {
    /// At which thing done to a file, from 1.
    pub(in crate::ledger) at: i64,
    /// After it, else before.
    pub(in crate::ledger) after: bool,
    pub(in crate::ledger) power: bool,
    /// Nothing but opening the folder.
    pub(in crate::ledger) opens_only: bool,
}

/// What a process said before it died.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Said {
    /// The records it acknowledged.
    pub(in crate::ledger) acknowledged: Vec<RecordId>,
    /// The calls that it was about to make.
    pub(in crate::ledger) called: Vec<RecordId>,
    pub(in crate::ledger) resets: Vec<Timestamp>,
    /// It came to its end.
    pub(in crate::ledger) ended: bool,
    /// In the middle of what it died.
    pub(in crate::ledger) last_words: String,
}

/// The record of a number, always the same.
pub(in crate::ledger) fn record(n: u8) -> UsageRecord<'static> {
    let mut record = UsageRecord::new(RecordId::new(at(0), [n; 10]), at(i64::from(n)), "ollama".into(), "m".into());
    record.tokens.prompt = u64::from(n);
    record
}

/// Opens a folder of any disk with nothing running in the background.
pub(in crate::ledger) fn open(
    disk: Arc<dyn Disk>,
    folder: &Path,
    power: bool,
) -> Result<(Ledger, Opened), LedgerError> {
    let durability = if power { Durability::Power } else { Durability::Kill };
    let data = DataFolder::on(disk, folder);
    data.make()?;
    Ledger::open_locked(data, None, Syncing::ByHand, options(durability), Uuid::from_u128(1), at(100))
}

/// Lets a process work on the folder until it dies or ends.
pub(in crate::ledger) fn run(folder: &Path, death: Death) -> Said {
    let Death { at, after, power, opens_only } = death;
    let output = Command::new(std::env::current_exe().expect("a test binary has a path"))
        .args(["--exact", "ledger::simulated::killing::the_process_that_dies", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(POINT, format!("{at} {after} {power} {opens_only}"))
        .output()
        .expect("this test starts again");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut said = Said::default();
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "done" => said.acknowledged.push(rest.parse().expect("an id")),
            "call" => said.called.push(rest.parse().expect("an id")),
            "reset" => said.resets.push(Timestamp::parse(rest).expect("a time")),
            "end" => said.ended = true,
            "dies" => said.last_words = rest.to_owned(),
            _ => panic!("{death:?}: the process said {text}"),
        }
    }
    assert!(said.ended || !said.last_words.is_empty(), "{death:?}: neither died nor ended");
    said
}

#[test]
fn the_process_that_dies() {
    // Does nothing in an ordinary run.
    let (Ok(folder), Ok(point)) = (std::env::var(FOLDER), std::env::var(POINT)) else { return };
    let words: Vec<&str> = point.split(' ').collect();
    let [left, after, power, opens_only] = words[..] else { panic!("four words: {point}") };
    let point = Point { left: AtomicI64::new(left.parse().expect("a number")), after: after == "true" };
    let disk = Arc::new(KillingDisk(Arc::new(point)));
    let (ledger, opened) = open(disk, Path::new(&folder), power == "true").expect("the folder opens");
    if opens_only != "true" {
        work(&ledger, &opened);
    }
    eprintln!("end");
}

/// A bit of everything, telling the parent what is acknowledged.
fn work(ledger: &Ledger, opened: &Opened) {
    let mut waiting: Vec<(Appended, RecordId)> = Vec::new();
    let mut append = |record: &UsageRecord<'_>, now: Timestamp| {
        let appended = ledger.append(record, now).expect("appended");
        waiting.push((appended, record.id));
        for (_, id) in waiting.extract_if(.., |(appended, _)| *appended <= ledger.inner.journal.done()) {
            eprintln!("done {id}");
        }
        appended
    };
    let step = || ledger.inner.journal.step_for_test();
    for (slot, call) in &opened.interrupted {
        let mut record = UsageRecord::new(call.id, call.admitted, "ollama".into(), "m".into());
        record.status = Status::Interrupted;
        ledger.close_call_after(*slot, append(&record, at(100)));
    }
    step();
    for n in 10..13 {
        append(&record(n), at(101));
    }
    step();
    ledger.snapshot(at(102)).expect("written");
    // A call from its slot to its record.
    let call = OpenCall::sample(record(20).id, at(103));
    let slot = ledger.open_call(&call).expect("a free slot");
    eprintln!("call {}", call.id);
    let appended = append(&record(20), at(103));
    step();
    ledger.close_call_after(slot, appended);
    // A sync that fails, and the next part.
    append(&record(21), at(104));
    ledger.inner.journal.fail_next_sync_for_test();
    step();
    step();
    append(&record(22), at(104));
    let begin = ledger.reset(at(105)).expect("reset");
    eprintln!("reset {begin}");
    // The next day.
    append(&record(23), at(86_400));
    step();
    append(&record(24), at(86_400));
    ledger.snapshot(at(86_401)).expect("written");
    append(&record(25), at(86_402));
    let call = OpenCall::sample(record(30).id, at(86_402));
    ledger.open_call(&call).expect("a free slot");
    eprintln!("call {}", call.id);
    step();
    append(&record(26), at(86_403));
    ledger.close(at(86_404)).expect("closed");
}

/// Every record of [`work`], and of those interrupted.
pub(in crate::ledger) fn numbers() -> impl Iterator<Item = u8> {
    (10..13).chain(20..27)
}

struct Point {
    left: AtomicI64,
    after: bool,
}

impl Point {
    fn around<T>(&self, name: &str, act: impl FnOnce() -> T) -> T {
        let is_it = self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        if is_it && !self.after {
            die("before", name);
        }
        let done = act();
        if is_it && self.after {
            die("after", name);
        }
        done
    }
}

fn die(when: &str, name: &str) -> ! {
    eprintln!("dies {when} {name}");
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::KILL).expect("our own process");
    loop {
        std::thread::park();
    }
}

struct KillingDisk(Arc<Point>);

struct KillingFile(Arc<dyn DiskFile>, Arc<Point>);

impl KillingDisk {
    fn wrapped(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(KillingFile(file, Arc::clone(&self.0)))
    }
}

impl Disk for KillingDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        RealDisk.open(path, access).map(|file| self.wrapped(file))
    }
    fn create_new(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.0.around("create", || RealDisk.create_new(path, access)).map(|file| self.wrapped(file))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.around("rename", || RealDisk.rename(from, to))
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.around("link", || RealDisk.link(from, to))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.around("remove", || RealDisk.remove(path))
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(folder)
    }
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        RealDisk.make_folder(folder)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.0.around("sync_folder", || RealDisk.sync_folder(folder))
    }
}

impl DiskFile for KillingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.1.around("write", || self.0.write_all_at(bytes, offset))
    }
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.1.around("append", || self.0.append(bytes))
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.1.around("truncate", || self.0.set_len(length))
    }
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
    fn sync(&self) -> io::Result<()> {
        self.1.around("sync", || self.0.sync())
    }
    fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()> {
        self.0.reserve(offset, bytes)
    }
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.0.is_at(path)
    }
}
