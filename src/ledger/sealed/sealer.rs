//! The thread that seals: makes folds of the files whose day is over, and reads the open day's users after a start.
//!
//! Never on the path of an append: it takes the journal's lock only to hand over what it has made.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::file::FOLDER;
use super::{Fold, build, build_after, fitting, open};
use crate::ledger::files::{DataFolder, FileName};
use crate::ledger::journal::Shared;
use crate::ledger::recovery::ids_before;
use crate::ledger::replay::Sequence;
use crate::ledger::{Acts, LedgerError};
use crate::stats::{Names, UserTable, counted_model};
use crate::usage::Day;

/// Rows handed over under one lock.
const ROWS_AT_ONCE: usize = 512;

/// Seals in the background; stops when dropped.
pub(in crate::ledger) struct Sealer {
    work: Arc<Work>,
    wake: Option<SyncSender<()>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Work {
    journal: Arc<Shared>,
    stop: AtomicBool,
    round: Mutex<Round>,
}

/// How far it has come.
struct Round {
    /// The files that were there at the start and may still be written to, with the length of the last one.
    at_start: Option<(FileName, u64)>,
    /// The newest file that is sealed and handed over.
    sealed: Option<Arc<Fold>>,
    is_clean: bool,
}

impl Sealer {
    /// A sealer for a journal just opened, whose newest file was so long then. Without a thread it works when asked.
    pub(in crate::ledger) fn start(
        journal: Arc<Shared>,
        newest: Option<(FileName, u64)>,
        with_thread: bool,
    ) -> io::Result<Sealer> {
        let round = Mutex::new(Round { at_start: newest, sealed: None, is_clean: false });
        let work = Arc::new(Work { journal, stop: AtomicBool::new(false), round });
        let (wake, woken) = sync_channel(1);
        let thread = if with_thread {
            let work = Arc::clone(&work);
            Some(thread::Builder::new().name("ledger-seal".into()).spawn(move || work.run(&woken))?)
        } else {
            None
        };
        Ok(Sealer { work, wake: Some(wake), thread: Mutex::new(thread) })
    }

    /// Has it look for files to seal, soon.
    pub(in crate::ledger) fn look(&self) {
        // It is full when a look is due already.
        let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
    }

    /// Seals what there is to seal before this returns.
    pub(in crate::ledger) fn seal_now(&self) -> Result<(), LedgerError> {
        self.work.round()
    }

    /// Ends the thread; a fold half made is made again another time.
    pub(in crate::ledger) fn stop(&self) {
        self.work.stop.store(true, Ordering::Relaxed);
        self.look();
        if let Some(thread) = self.thread.lock().expect("nobody panics while holding it").take() {
            // It has nothing that panics, and nobody waits for anything of it.
            let _ = thread.join();
        }
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Work {
    fn run(&self, woken: &Receiver<()>) {
        loop {
            let done = self.round();
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = done {
                let reason = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(error = %error, reason, "a closed day could not be sealed; it is tried again");
            }
            if woken.recv().is_err() || self.stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Reads the open day, once; then seals every file of a day before it that has no fold.
    fn round(&self) -> Result<(), LedgerError> {
        let mut round = self.round.lock().expect("nobody panics while holding it");
        let (data, acts, newest) = {
            let state = self.journal.state();
            // What is not synced yet may have to be written again, elsewhere.
            let is_settled = state.closing.is_empty() && state.syncing.is_empty() && !state.suspect;
            (state.data.clone(), state.control.acts().clone(), state.newest_file.filter(|_| is_settled))
        };
        if !std::mem::replace(&mut round.is_clean, true) {
            clean(&data).map_err(data.failed("clean", FOLDER))?;
        }
        if let Some((file, length)) = round.at_start {
            self.read_open_day(&data, &acts, file, length)?;
            round.at_start = None;
        }
        let Some(newest) = newest else {
            let mut state = self.journal.state();
            if state.newest_file.is_none() {
                state.users.set_complete(); // no line is written yet
            }
            return Ok(());
        };
        let mut days: BTreeMap<Day, Vec<FileName>> = BTreeMap::new();
        let sealed = round.sealed.as_ref().map(|fold| fold.file());
        for file in data.journal_files()? {
            if file.day < newest.day && Some(file) > sealed {
                days.entry(file.day).or_default().push(file);
            }
        }
        for (day, files) in days {
            let mut folds: Vec<Arc<Fold>> = Vec::new();
            for file in files {
                let before = folds.last().or(round.sealed.as_ref()).cloned();
                folds.push(Arc::new(self.seal(&data, &acts, file, before.as_deref())?));
            }
            self.journal.state().users.seal(day, folds.iter().cloned());
            self.journal.given().seal(day, &folds);
            round.sealed = folds.pop().or(round.sealed.take());
        }
        self.journal.state().users.set_complete();
        Ok(())
    }

    /// The fold of a file: the one that is there if it fits, else a new one.
    fn seal(&self, data: &DataFolder, acts: &Acts, file: FileName, before: Option<&Fold>) -> Result<Fold, LedgerError> {
        let before = before.map(Fold::directory);
        if let Ok(fold) = open(data, file).and_then(|fold| fitting(fold, data, acts, file, before))
            && fold.check_sections().is_ok()
        {
            return Ok(fold);
        }
        build_after(data, acts, file, before, &self.stop)?;
        Fold::open(data, file).map_err(data.failed("read", super::file::name_of(file)))
    }

    /// Reads the users of the newest day's lines, as far as they were there at the start, into its live table.
    fn read_open_day(&self, data: &DataFolder, acts: &Acts, newest: FileName, length: u64) -> Result<(), LedgerError> {
        let files = data.journal_files()?;
        let (mut table, mut names) = (UserTable::default(), Names::default());
        let mut sequence = Sequence::default();
        for file in files.iter().filter(|file| file.day == newest.day && **file <= newest) {
            let written_before = ids_before(data, &files, *file)?;
            let end = if *file == newest { length } else { u64::MAX };
            build::scan_until(data, *file, end, &self.stop, &mut sequence, |record| {
                if written_before.contains(&record.id) {
                    return;
                }
                names.intern(counted_model(record));
                let epoch = acts.resets.iter().rev().find(|reset| **reset <= record.timestamp).copied();
                table.apply(record, epoch, &names);
            })?;
        }
        let mut rows = table.into_rows().peekable();
        while rows.peek().is_some() {
            let mut state = self.journal.state();
            let picture = state.stats.picture();
            let table = state.users.table(newest.day);
            for (who, span, model, sums) in rows.by_ref().take(ROWS_AT_ONCE) {
                // The fold has seen every line that was there, so it knows the name.
                let model = names.text(model).and_then(|text| picture.names().find(text)).unwrap_or_default();
                table.add(who, span, model, &sums);
            }
        }
        Ok(())
    }
}

/// Takes away what a crash left half made.
fn clean(data: &DataFolder) -> io::Result<()> {
    for name in data.names_in(FOLDER)?.iter().filter(|name| name.ends_with(".tmp")) {
        data.remove_if_there(format!("{FOLDER}/{name}"))?;
    }
    Ok(())
}
