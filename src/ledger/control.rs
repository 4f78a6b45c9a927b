//! `control.jsonl`: which ledger this is, and what its owner did to it. Never shortened, never rewritten.

use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::LedgerError;
use super::disk::{Access, DiskFile};
use super::files::DataFolder;
use super::replay::for_each_line;
use crate::settings::{Setting, Settings};
use crate::stats::Stats;
use crate::usage::{LINE_VERSION, Opening, Origin, Sealed, Timestamp, seal_line, unseal_line};

pub(super) const CONTROL_FILE: &str = "control.jsonl";

/// Something the owner did, or that happened to the ledger as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// The ledger was begun; its identity for ever.
    Lineage {
        /// The identity.
        lineage: Uuid,
    },
    /// Counting began anew: records admitted before `begin` belong to an older epoch.
    Reset {
        /// The first moment of the new epoch.
        begin: Timestamp,
    },
    /// A reset was taken back.
    UndoReset {
        /// The `begin` of the reset taken back.
        begin: Timestamp,
    },
    /// A total that was counted elsewhere was taken over.
    Opening {
        /// The total.
        opening: Box<Opening>,
    },
    /// Something was set.
    Setting {
        /// What.
        #[serde(flatten)]
        setting: Setting,
    },
    /// Something a newer version does; kept, and without meaning here.
    #[serde(other)]
    Unknown,
}

#[derive(Serialize, Deserialize)]
struct ActLine {
    v: u8,
    at: Timestamp,
    #[serde(flatten)]
    act: Act,
}

/// The acts of a ledger, folded.
#[derive(Clone, Debug, PartialEq)]
pub struct Acts {
    /// The ledger's identity.
    pub lineage: Uuid,
    /// When it was begun.
    pub begun: Timestamp,
    /// The resets that hold, in order.
    pub resets: Vec<Timestamp>,
    /// The totals taken over from elsewhere, in the order of their acts.
    pub openings: Arc<Vec<Opening>>,
    /// What was set while the program ran.
    pub settings: Arc<Settings>,
    /// The number of the act that brought each of them.
    opening_seqs: Vec<u64>,
    /// The number of the last act.
    pub(super) seq: u64,
}

impl Acts {
    fn begun(lineage: Uuid, at: Timestamp) -> Acts {
        let (openings, settings) = Default::default();
        Acts { lineage, begun: at, resets: Vec::new(), openings, settings, opening_seqs: Vec::new(), seq: 0 }
    }

    fn fold(lines: Vec<(u64, ActLine)>) -> Option<Acts> {
        let (_, first) = lines.first()?;
        let Act::Lineage { lineage } = first.act else { return None };
        let mut acts = Acts::begun(lineage, first.at);
        lines.into_iter().for_each(|(seq, line)| acts.apply(seq, line.act));
        Some(acts)
    }

    /// Folds the next act in.
    fn apply(&mut self, seq: u64, act: Act) {
        match act {
            Act::Reset { begin } => {
                let at = self.resets.partition_point(|reset| *reset <= begin);
                self.resets.insert(at, begin);
            }
            Act::UndoReset { begin } => self.resets.retain(|reset| *reset != begin),
            Act::Opening { opening } => {
                Arc::make_mut(&mut self.openings).push(*opening);
                self.opening_seqs.push(seq);
            }
            Act::Setting { setting } => Arc::make_mut(&mut self.settings).apply(&setting),
            Act::Lineage { .. } | Act::Unknown => {}
        }
        self.seq = seq;
    }

    /// The openings with the act that told each of them first, here or in the books it was taken over from.
    pub fn openings_by_origin(&self) -> impl Iterator<Item = (Origin, &Opening)> {
        let here = self.opening_seqs.iter().map(|act| Origin { lineage: self.lineage, act: *act });
        here.zip(self.openings.iter()).map(|(here, opening)| (opening.origin.unwrap_or(here), opening))
    }

    /// The openings of the acts after a number.
    pub(super) fn openings_after(&self, seq: u64) -> &[Opening] {
        &self.openings[self.opening_seqs.partition_point(|of| *of <= seq)..]
    }

    /// The fold that records are to be folded into: its epochs and the totals from elsewhere, and no record yet.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::new(self.resets.clone());
        self.openings.iter().for_each(|opening| stats.apply_opening(opening));
        stats
    }

    /// Since when what is shown was counted: the last reset, or the beginning.
    pub fn counting_since(&self) -> Timestamp {
        self.resets.last().copied().unwrap_or(self.begun)
    }
}

/// Whether a folder has a control file, as every ledger has from its first moment.
pub(super) fn is_there(data: &DataFolder) -> bool {
    // One that may not be read is there.
    let opened = data.open(CONTROL_FILE, Access::Read);
    !opened.is_err_and(|error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

/// An error if a folder without acts holds files by the names of ours: a ledger whose acts were lost, which would be
/// another one without them, or what another program recorded, which is not ours to write over.
fn refuse_orphans(data: &DataFolder) -> Result<(), LedgerError> {
    let made = ["metrics.json", "metrics.previous.json", "token_stats.json"];
    let journal = match data.journal_files() {
        Err(LedgerError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        files => files?.first().map(ToString::to_string),
    };
    let found =
        journal.or_else(|| made.iter().find(|name| data.open(name, Access::Read).is_ok()).map(ToString::to_string));
    let Some(found) = found else { return Ok(()) };
    let problem = format!(
        "missing or without an act, though `{found}` stands beside it. If these are books of tallybot, restore \
         `{CONTROL_FILE}` from a copy: it holds the resets and the imported totals. If another program recorded them, \
         choose an empty folder and take them over with `tallybot import {}`",
        data.path().display()
    );
    Err(LedgerError::NotOurs { path: data.path_of(CONTROL_FILE), line: 1, problem })
}

/// Reads the acts of a folder; `None` when there are none.
///
/// # Errors
/// When the file cannot be read, is damaged, or was written by a newer version: acts are few and each one matters, so
/// unlike usage none is ever passed over.
pub(super) fn read_acts(data: &DataFolder) -> Result<Option<Acts>, LedgerError> {
    let content = data.read_if_there(CONTROL_FILE).map_err(data.failed("read", CONTROL_FILE))?;
    let acts = Acts::fold(parse(&content, &data.path_of(CONTROL_FILE))?.lines);
    if acts.is_none() {
        refuse_orphans(data)?;
    }
    Ok(acts)
}

struct Parsed {
    /// Each act and its number.
    lines: Vec<(u64, ActLine)>,
    /// Behind the last whole line.
    end: u64,
}

fn parse(content: &[u8], path: &Path) -> Result<Parsed, LedgerError> {
    let mut parsed = Parsed { lines: Vec::new(), end: 0 };
    let (mut problem, mut has_hole, mut behind) = (None, false, Vec::new());
    for_each_line(content, 0, |line| {
        has_hole |= line.bytes.contains(&0);
        if !line.terminated {
            return; // an act whose write was cut: it was never confirmed
        }
        if problem.is_some() {
            behind.extend(parse_act(line.bytes).map(|(_, act)| act.at));
            return;
        }
        let number = parsed.lines.len() as u64 + 1;
        match parse_line(line.bytes, number) {
            Ok(act) => {
                parsed.lines.push((number, act));
                parsed.end = line.offset + line.bytes.len() as u64 + 1;
            }
            Err(error) => problem = Some((number, error)),
        }
    })
    .expect("memory can be read");
    // Acts are confirmed write by write. A power cut in the middle of the last write leaves zeros in the places that did
    // not get to the disk, and behind them nothing but acts of the same write.
    behind.dedup();
    match problem.filter(|_| !has_hole || behind.len() > 1) {
        Some((line, problem)) => {
            let problem = format!("{problem}; restore the file from a copy, or move it away to begin new acts");
            Err(LedgerError::NotOurs { path: path.to_owned(), line, problem })
        }
        None => Ok(parsed),
    }
}

/// Reads the act of a line, whose number must be the line's: acts are numbered from 1, without a gap.
fn parse_line(line: &[u8], number: u64) -> Result<ActLine, String> {
    let (sealed, act) = parse_act(line)?;
    if act.v != LINE_VERSION {
        return Err("written by a newer tallybot; use that one".into());
    }
    match sealed.seq {
        seq if seq > number => Err(format!("this is act {seq}; act {number} is missing before it")),
        seq if seq < number => Err(format!("act {seq} is there twice")),
        _ => Ok(act),
    }
}

/// Reads acts of anybody's making; what is read and written back is read as the same.
#[cfg(test)]
pub(super) fn fuzzed(content: &[u8]) {
    let Ok(parsed) = parse(content, Path::new(CONTROL_FILE)) else { return };
    let mut written = Vec::new();
    for (number, act) in &parsed.lines {
        let start = written.len();
        serde_json::to_writer(&mut written, act).expect("plain data can be written");
        seal_line(&mut written, start, *number);
    }
    let again = parse(&written, Path::new(CONTROL_FILE)).map_err(|error| error.to_string()).expect("what was written");
    assert_eq!(again.lines.len(), parsed.lines.len());
    for ((_, again), (_, act)) in again.lines.iter().zip(&parsed.lines) {
        assert_eq!((again.at, &again.act), (act.at, &act.act));
    }
    let _ = Acts::fold(parsed.lines);
}

fn parse_act(line: &[u8]) -> Result<(Sealed, ActLine), String> {
    let sealed = unseal_line(line).map_err(|error| error.to_string())?;
    Ok((sealed, serde_json::from_slice(line).map_err(|error| error.to_string())?))
}

/// The control file, open for one more act.
pub(super) struct Control {
    data: DataFolder,
    file: Arc<dyn DiskFile>,
    end: u64,
    acts: Acts,
    /// Why no act is taken any more: nobody knows what the file ends in.
    unsure: Option<String>,
}

impl Control {
    /// Opens the control file, beginning a new lineage if there is none. An act whose write was cut short is cut off.
    pub(super) fn open(data: &DataFolder, lineage: Uuid, now: Timestamp) -> Result<Control, LedgerError> {
        let content = data.read_if_there(CONTROL_FILE).map_err(data.failed("read", CONTROL_FILE))?;
        let parsed = parse(&content, &data.path_of(CONTROL_FILE))?;
        if parsed.lines.is_empty() {
            refuse_orphans(data)?;
        }
        let file = data.open_or_create(CONTROL_FILE).map_err(data.failed("open", CONTROL_FILE))?;
        if parsed.end < content.len() as u64 {
            file.set_len(parsed.end).and_then(|()| file.sync()).map_err(data.failed("cut", CONTROL_FILE))?;
        }
        // An act that was read is on the disk before it is believed: it may be what a process left unsynced.
        let whole = &content[..parsed.end as usize];
        file.write_all_at(whole, 0).and_then(|()| file.sync()).map_err(data.failed("sync", CONTROL_FILE))?;
        let (end, acts) = (parsed.end, Acts::fold(parsed.lines));
        let is_new = acts.is_none();
        let acts = acts.unwrap_or_else(|| Acts::begun(lineage, now));
        let mut control = Control { data: data.clone(), file, end, acts, unsure: None };
        if is_new {
            control.write([Act::Lineage { lineage }], now)?;
        }
        Ok(control)
    }

    pub(super) fn acts(&self) -> &Acts {
        &self.acts
    }

    /// Writes acts with one call, syncs them, and only then believes them. Acts that could not be synced are cut off
    /// again, all of them; where that fails too, no more are taken until the next start reads what is there.
    pub(super) fn write(&mut self, acts: impl IntoIterator<Item = Act>, now: Timestamp) -> Result<(), LedgerError> {
        self.check()?;
        let (mut lines, mut seq, mut believed) = (Vec::new(), self.acts.seq, Vec::new());
        for act in acts {
            seq += 1;
            let start = lines.len();
            let line = ActLine { v: LINE_VERSION, at: now, act };
            serde_json::to_writer(&mut lines, &line).expect("plain data can be written");
            seal_line(&mut lines, start, seq);
            believed.push((seq, line.act));
        }
        if let Err(error) = self.file.write_all_at(&lines, self.end).and_then(|()| self.file.sync()) {
            return Err(self.cut_off(error));
        }
        self.end += lines.len() as u64;
        believed.into_iter().for_each(|(seq, act)| self.acts.apply(seq, act));
        Ok(())
    }

    /// An error unless the file ends in the last act: somebody may have taken it away, put another in its place, or
    /// written into it, and an act written to it then could be lost.
    fn check(&self) -> Result<(), LedgerError> {
        if let Some(reason) = &self.unsure {
            return Err(LedgerError::NotWritable { reason: reason.clone() });
        }
        let is_at = self.file.is_at(&self.data.path_of(CONTROL_FILE));
        let untouched = is_at.and_then(|is_at| Ok(is_at && self.file.length()? == self.end));
        if untouched.map_err(self.data.failed("look at", CONTROL_FILE))? {
            return Ok(());
        }
        let reason = format!(
            "somebody else moved, removed or changed `{CONTROL_FILE}`; put it back as it was, or restart tallybot"
        );
        Err(LedgerError::NotWritable { reason })
    }

    /// Cuts off what may stand behind the last act, through a descriptor that has not failed.
    fn cut_off(&mut self, error: io::Error) -> LedgerError {
        let cut = self.data.open(CONTROL_FILE, Access::Write).and_then(|file| {
            file.set_len(self.end)?;
            file.sync()?;
            Ok(file)
        });
        match cut {
            Ok(file) => {
                self.file = file;
                self.data.failed("write", CONTROL_FILE)(error)
            }
            Err(cut) => {
                let reason = format!(
                    "an act could not be written to `{CONTROL_FILE}` ({error}) nor cut off again ({cut}); whether it \
                     holds is known after a restart, and no other is taken before"
                );
                self.unsure = Some(reason.clone());
                LedgerError::NotWritable { reason }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::disk::{Disk, RealDisk};
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::new(1_795_305_600_000_000 + secs * 1_000_000, 0)
    }

    #[test]
    fn a4_acts_survive_and_a_cut_act_never_happened() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lineage = Uuid::from_u128(7);
        let mut control = Control::open(&DataFolder::real(folder.path()), lineage, at(0)).expect("a new file");
        control.write([Act::Reset { begin: at(5) }], at(5)).expect("written");
        drop(control);
        let path = folder.path().join(CONTROL_FILE);
        let whole = std::fs::read(&path).expect("it is there");
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("writable");
            let acts = Control::open(&DataFolder::real(folder.path()), Uuid::from_u128(9), at(9))
                .expect("a cut tail is no damage");
            assert!(acts.acts().resets.is_empty());
        }
        std::fs::write(&path, &whole).expect("writable");
        let acts = read_acts(&DataFolder::real(folder.path())).expect("whole").expect("there are acts");
        assert_eq!(acts, Acts { resets: vec![at(5)], seq: 2, ..Acts::begun(lineage, at(0)) });
    }

    #[test]
    fn a8_a_damaged_act_is_never_passed_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Control::open(&DataFolder::real(folder.path()), Uuid::from_u128(7), at(0)).expect("a new file");
        let path = folder.path().join(CONTROL_FILE);
        let mut content = std::fs::read(&path).expect("it is there");
        content[20] ^= 1;
        std::fs::write(&path, &content).expect("writable");
        let error = read_acts(&DataFolder::real(folder.path())).expect_err("damaged").to_string();
        assert!(error.contains("control.jsonl") && error.contains("line 1"), "{error}");
    }

    #[test]
    fn a9_a_missing_act_is_never_passed_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = DataFolder::real(folder.path());
        let mut control = Control::open(&data, Uuid::from_u128(7), at(0)).expect("a new file");
        for secs in 1..4 {
            control.write([Act::Reset { begin: at(secs) }], at(secs)).expect("written");
        }
        let path = folder.path().join(CONTROL_FILE);
        let content = std::fs::read_to_string(&path).expect("it is there");
        let lines: Vec<&str> = content.split_inclusive('\n').collect();
        for (kept, expected) in [
            (&[0, 2, 3][..], "line 2: this is act 3; act 2 is missing"),
            (&[0, 1, 1, 2, 3], "line 3: act 2 is there twice"),
            (&[1, 2, 3], "line 1: this is act 2; act 1 is missing"),
        ] {
            std::fs::write(&path, kept.iter().map(|at| lines[*at]).collect::<String>()).expect("writable");
            let error = read_acts(&data).expect_err("damaged").to_string();
            assert!(error.contains(expected) && error.contains("restore the file from a copy"), "{error}");
        }
    }

    #[test]
    fn c7_a_file_that_somebody_touched_takes_no_act_until_it_is_back() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = DataFolder::real(folder.path());
        let mut control = Control::open(&data, Uuid::from_u128(7), at(0)).expect("a new file");
        let (path, aside) = (folder.path().join(CONTROL_FILE), folder.path().join("aside"));
        let content = std::fs::read(&path).expect("it is there");
        let mut expect = |what: &str, taken: bool| {
            let before = std::fs::read(&path).unwrap_or_default();
            let written = control.write([Act::Reset { begin: at(1) }], at(1));
            assert_eq!(written.is_ok(), taken, "{what}");
            if let Err(error) = written {
                assert!(error.to_string().contains("put it back as it was, or restart tallybot"), "{what}: {error}");
                assert_eq!(std::fs::read(&path).unwrap_or_default(), before, "{what}: nothing was written");
            }
        };
        std::fs::rename(&path, &aside).expect("moved away");
        expect("moved", false);
        std::fs::write(&path, &content).expect("writable");
        expect("replaced by a copy", false);
        std::fs::rename(&aside, &path).expect("moved back");
        std::fs::write(&path, [&content[..], b"x"].concat()).expect("writable");
        expect("written into", false);
        std::fs::write(&path, &content[..content.len() - 1]).expect("writable");
        expect("cut", false);
        std::fs::write(&path, &content).expect("writable");
        expect("as it was", true);
    }

    /// How often each of a file's changes still fails.
    #[derive(Default)]
    struct Failures {
        syncs: AtomicUsize,
        cuts: AtomicUsize,
    }

    fn fail_if(left: &AtomicUsize) -> io::Result<()> {
        let took = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if took.is_ok() { Err(io::Error::other("a dying disk")) } else { Ok(()) }
    }

    /// The disk of this machine, failing now and then.
    struct FailingDisk(Arc<Failures>);

    struct FailingFile(Arc<dyn DiskFile>, Arc<Failures>);

    impl FailingDisk {
        fn failing(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
            Arc::new(FailingFile(file, Arc::clone(&self.0)))
        }
    }

    impl Disk for FailingDisk {
        fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
            RealDisk.open(path, access).map(|file| self.failing(file))
        }
        fn create_new(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
            RealDisk.create_new(path, access).map(|file| self.failing(file))
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            RealDisk.rename(from, to)
        }
        fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
            RealDisk.link(from, to)
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            RealDisk.remove(path)
        }
        fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
            RealDisk.list(folder)
        }
        fn make_folder(&self, folder: &Path) -> io::Result<()> {
            RealDisk.make_folder(folder)
        }
        fn sync_folder(&self, folder: &Path) -> io::Result<()> {
            RealDisk.sync_folder(folder)
        }
    }

    impl DiskFile for FailingFile {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            self.0.read_at(buffer, offset)
        }
        fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            self.0.write_all_at(bytes, offset)
        }
        fn append(&self, bytes: &[u8]) -> io::Result<()> {
            self.0.append(bytes)
        }
        fn set_len(&self, length: u64) -> io::Result<()> {
            fail_if(&self.1.cuts).and_then(|()| self.0.set_len(length))
        }
        fn length(&self) -> io::Result<u64> {
            self.0.length()
        }
        fn sync(&self) -> io::Result<()> {
            fail_if(&self.1.syncs).and_then(|()| self.0.sync())
        }
        fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()> {
            self.0.reserve(offset, bytes)
        }
        fn is_at(&self, path: &Path) -> io::Result<bool> {
            self.0.is_at(path)
        }
    }

    fn on_failing_disk() -> (tempfile::TempDir, Arc<Failures>, DataFolder, Control) {
        let (folder, failures) = (tempfile::tempdir().expect("a temporary folder"), Arc::new(Failures::default()));
        let data = DataFolder::on(Arc::new(FailingDisk(Arc::clone(&failures))), folder.path());
        let control = Control::open(&data, Uuid::from_u128(7), at(0)).expect("a new file");
        (folder, failures, data, control)
    }

    #[test]
    fn c2_acts_that_could_not_be_synced_are_cut_off_and_the_next_one_is_taken() {
        let (_folder, failures, data, mut control) = on_failing_disk();
        failures.syncs.store(1, Ordering::Relaxed);
        let acts = [1, 2].map(|secs| Act::Reset { begin: at(secs) });
        control.write(acts, at(2)).expect_err("the sync failed");
        assert!(control.acts().resets.is_empty());
        assert_eq!(read_acts(&data).expect("whole").expect("acts").seq, 1, "none of them is left");
        control.write([Act::Reset { begin: at(3) }], at(3)).expect("the disk is well again");
        assert_eq!(read_acts(&data).expect("whole").as_ref(), Some(control.acts()));
    }

    #[test]
    fn c2_after_a_cut_that_failed_no_act_is_taken_until_a_restart_knows_what_is_there() {
        for (syncs, cuts) in [(1, 1), (2, 0)] {
            let (_folder, failures, data, mut control) = on_failing_disk();
            failures.syncs.store(syncs, Ordering::Relaxed);
            failures.cuts.store(cuts, Ordering::Relaxed);
            for _ in 0..2 {
                let error = control.write([Act::Reset { begin: at(1) }], at(1)).expect_err("refused").to_string();
                assert!(error.contains("a dying disk") && error.contains("after a restart"), "{error}");
                assert!(control.acts().resets.is_empty());
            }
            let there = read_acts(&data).expect("whole").expect("acts");
            let mut control = Control::open(&data, Uuid::from_u128(9), at(9)).expect("it starts");
            assert_eq!(*control.acts(), there);
            control.write([Act::Reset { begin: at(2) }], at(2)).expect("taken again");
            assert_eq!(read_acts(&data).expect("whole").as_ref(), Some(control.acts()));
        }
    }
}
