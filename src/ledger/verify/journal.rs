//! The journal itself: every line, every number, every id, and the fold that everything else is held against.

use std::collections::HashMap;

use super::Progress;
use super::acts::OpenCalls;
use super::derived::{Folds, TokenStatsText, Waiting};
use super::exact;
use super::finding::{Check, Findings, Level, Where, count};
use super::numbers::Numbers;
use super::repeats::Repeats;
use super::walk::{Line, Place, Walk};
use crate::ledger::files::{DataFolder, FileName};
use crate::ledger::given::digest_of;
use crate::ledger::quarantine::Kept;
use crate::ledger::replay::{Damage, DamageKind, Invalid, LineAt, Sequence};
use crate::ledger::{Acts, Follower, LedgerError};
use crate::stats::{Drift, Stats};
use crate::usage::{Kind, RecordId, Timestamp};

/// Bytes of a line, at least about: for how many there may be.
const BYTES_PER_LINE: u64 = 400;

/// Lines between two words on how far it is.
const LINES_PER_PROGRESS: u64 = 4096;

/// Records that take back others, and lines that do not count, that are looked at one by one.
const MAX_LOOKED_AT: usize = 1 << 18;

const QUARANTINE: &str = "`tallybot verify --repair` (or the next start) copies the bytes into quarantine; restore the file \
                          from a copy if you have one";

/// What the walk gathers.
pub(super) struct Journal<'a> {
    data: &'a DataFolder,
    files: &'a [FileName],
    held: bool,
    acts: Option<&'a Acts>,
    /// The acts and the files before this one.
    stats: Stats,
    /// This file.
    file_stats: Stats,
    folds: Folds,
    waiting: Vec<Waiting>,
    open_calls: OpenCalls,
    text_bytes: u64,
    sequence: Sequence,
    numbers: Numbers,
    records: u64,
    lines: u64,
    bytes: u64,
    late: u64,
    given: u64,
    repeats: Repeats,
    /// By the record each takes back: where.
    voids: HashMap<RecordId, Place>,
    /// Lines whose number was there before, by their id.
    uncounted: HashMap<RecordId, Place>,
    more_than_looked_at: bool,
}

/// Damage and place within one file.
#[derive(Default)]
struct OfFile {
    damage: Vec<(u64, Damage)>,
    good_end: u64,
    lines: u64,
}

impl<'a> Journal<'a> {
    #[expect(clippy::too_many_arguments, reason = "what one walk needs, gathered by its only caller")]
    pub(super) fn new(
        data: &'a DataFolder,
        files: &'a [FileName],
        held: bool,
        acts: Option<&'a Acts>,
        stats: Stats,
        waiting: Vec<Waiting>,
        open_calls: OpenCalls,
        text_bytes: u64,
    ) -> Journal<'a> {
        Journal {
            data,
            files,
            held,
            acts,
            stats,
            file_stats: Stats::default(),
            folds: Folds::default(),
            waiting,
            open_calls,
            text_bytes,
            sequence: Sequence::default(),
            numbers: Numbers::new(),
            records: 0,
            lines: 0,
            bytes: 0,
            late: 0,
            given: 0,
            repeats: Repeats::of(text_bytes / BYTES_PER_LINE),
            voids: HashMap::new(),
            uncounted: HashMap::new(),
            more_than_looked_at: false,
        }
    }

    /// Reads every line once.
    pub(super) fn walk(
        &mut self,
        now: Timestamp,
        follower_at: &dyn Fn(Timestamp) -> Box<dyn Follower>,
        findings: &mut Findings,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<(), LedgerError> {
        let mut follower = self.waiting.first().map(|newest| follower_at(newest.snapshot.at));
        if let (Some(follower), Some(acts)) = (&mut follower, self.acts) {
            follower.begin(acts);
        }
        let mut walk = Walk::new(self.data);
        for name in self.files {
            let (before, mut of_file) = (self.bytes, OfFile::default());
            self.file_stats = Stats::new(self.acts.map_or_else(Vec::new, |acts| acts.resets.clone()));
            let unreadable = walk.file(*name, |at, read| {
                self.on_line(*name, at, read, &mut of_file, follower.as_deref_mut(), findings);
                if at.number.is_multiple_of(LINES_PER_PROGRESS) {
                    on_progress(Progress { done: before + at.end(), total: self.text_bytes });
                }
            })?;
            self.end_file(*name, of_file, unreadable, findings)?;
            let is_closed = self.files.last() != Some(name) && unreadable.is_none();
            if let Some(acts) = self.acts.filter(|_| is_closed) {
                self.folds.check(self.data, acts, *name, &self.file_stats, findings)?;
            }
            self.stats.merge(&self.file_stats);
            // No further than the snapshots to come were rolled: they are compared as they were.
            let at = self.waiting.iter().filter(|waiting| !waiting.reached).map(|waiting| waiting.snapshot.at).min();
            self.stats.roll(at.unwrap_or(now));
        }
        self.sequence = walk.sequence;
        self.folds.finish(findings);
        findings.looked_at(Check::Lines, count(self.lines, "line"));
        self.numbers.finish(&self.sequence, findings);
        self.waiting.iter().for_each(|waiting| waiting.check_reached(self.numbers.last, findings));
        if let (Some(newest), Some(follower)) = (self.waiting.first().filter(|newest| newest.reached), &follower) {
            newest.compare_follower(&**follower, findings);
        }
        let late = if self.late > 0 {
            format!(", {} in a later day's file, having come late", self.late)
        } else {
            String::new()
        };
        findings.looked_at(Check::Days, count(self.records, "record") + &late);
        self.open_calls.check(self.held, findings);
        Ok(())
    }

    fn on_line(
        &mut self,
        name: FileName,
        at: &LineAt<'_>,
        read: Result<Line<'_>, Invalid>,
        of_file: &mut OfFile,
        follower: Option<&mut (dyn Follower + 'static)>,
        findings: &mut Findings,
    ) {
        let place = Place { file: name, line: at.number, offset: at.offset };
        match read {
            Ok(line) => {
                (of_file.good_end, of_file.lines) = (at.end(), of_file.lines + 1);
                self.on_record(&line, place, follower, findings);
                self.on_position(name, at.end(), &line, findings);
            }
            Err(invalid) => {
                self.numbers.note_damage();
                if let Invalid::Newer(problem) = invalid {
                    let advice = "verify with the newer tallybot; this one starts on no such file";
                    findings.add(Level::Error, Check::Lines, Where::at(name, at.number, at.offset), problem, advice);
                    return;
                }
                let (file, bytes) = (name.to_string(), at.end() - at.offset);
                let damage = Damage { file, offset: at.offset, bytes, kind: DamageKind::Corrupt };
                of_file.damage.push((at.number, damage));
            }
        }
    }

    fn on_record(
        &mut self,
        line: &Line<'_>,
        place: Place,
        follower: Option<&mut (dyn Follower + 'static)>,
        findings: &mut Findings,
    ) {
        let record = &line.record;
        self.lines += 1;
        if line.counts {
            self.numbers.note(line.sealed.seq, place, findings);
        } else if self.uncounted.len() < MAX_LOOKED_AT {
            self.uncounted.insert(record.id, place);
        } else {
            self.more_than_looked_at = true;
        }
        if !line.counts {
            return;
        }
        self.records += 1;
        self.file_stats.apply(record);
        if let (Some(follower), Some(newest)) = (follower, self.waiting.first())
            && !newest.reached
            && record.timestamp >= follower.horizon()
        {
            follower.apply(record);
        }
        if self.open_calls.ids.contains(&record.id) {
            self.open_calls.recorded.insert(record.id);
        }
        self.repeats.note(record.id.0.as_u128());
        if let Some(given) = &record.source {
            self.given += 1;
            self.repeats.note(digest_of(given));
        }
        if let Kind::Void { of } = record.kind {
            self.on_void(of, place, findings);
        }
        self.on_day(record.timestamp, place, findings);
    }

    fn on_void(&mut self, of: RecordId, place: Place, findings: &mut Findings) {
        if let Some(first) = self.voids.get(&of) {
            let what = format!("takes back record {of}, which {first} took back already: it is subtracted twice");
            findings.add(Level::Error, Check::Voids, Where::at(place.file, place.line, place.offset), what, "");
        } else if self.voids.len() < MAX_LOOKED_AT {
            self.voids.insert(of, place);
        } else {
            self.more_than_looked_at = true;
        }
    }

    fn on_day(&mut self, at: Timestamp, place: Place, findings: &mut Findings) {
        if at.day() > place.file.day.plus(1) {
            let what = format!(
                "the record's day is {}, days after the day of its file: a clock was wrong, or the file has another's name",
                at.day()
            );
            findings.add(Level::Warning, Check::Days, Where::at(place.file, place.line, place.offset), what, "");
        }
        self.late += u64::from(at.day() < place.file.day);
    }

    /// Compares the snapshots that end with this line.
    fn on_position(&mut self, name: FileName, end: u64, line: &Line<'_>, findings: &mut Findings) {
        let Some(acts) = self.acts else { return };
        for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.reached) {
            let position = waiting.position;
            if position.file == name && position.offset == end && position.sealed == line.sealed {
                let mut fold = self.stats.clone();
                fold.merge(&self.file_stats);
                waiting.compare(fold, acts, findings);
            }
        }
    }
}

impl Journal<'_> {
    /// Says what of a file is no line.
    fn end_file(
        &mut self,
        name: FileName,
        of_file: OfFile,
        unreadable: Option<u64>,
        findings: &mut Findings,
    ) -> Result<(), LedgerError> {
        self.bytes += of_file.damage.last().map_or(0, |(_, last)| last.offset + last.bytes).max(of_file.good_end);
        if let Some(offset) = unreadable {
            self.numbers.note_damage();
            let what =
                format!("cannot be decompressed behind byte {offset} of its text: the records behind it do not count");
            let place = Where { offset: Some(offset), ..Where::file(name.archive()) };
            findings.add(Level::Error, Check::Lines, place, what, "restore the file from a copy");
        }
        if of_file.damage.is_empty() {
            return Ok(());
        }
        let kept = Kept::of_file(self.data, &name.to_string())?;
        let is_newest = self.files.last() == Some(&name);
        for (line, damage) in &of_file.damage {
            let is_torn = damage.offset >= of_file.good_end;
            let is_kept = kept.has(self.data, damage)?;
            let bytes = damage.bytes;
            let (level, what, advice) = match (is_torn, is_kept) {
                (true, _) if is_newest && self.held => {
                    (Level::Info, "the newest line is being written just now".to_owned(), "")
                }
                (true, true) => {
                    (Level::Info, format!("{bytes} byte(s) of a line cut short by a crash, in quarantine"), "")
                }
                (true, false) => (
                    Level::Warning,
                    format!("{bytes} byte(s) of a line cut short by a crash, never confirmed to anybody"),
                    "the next start, or `tallybot verify --repair`, puts them into quarantine",
                ),
                (false, true) => {
                    (Level::Warning, format!("{bytes} damaged byte(s), in quarantine: their record is lost"), "")
                }
                (false, false) => (
                    Level::Error,
                    format!("{bytes} damaged byte(s): no whole line, so that nothing of it counts"),
                    QUARANTINE,
                ),
            };
            findings.add(level, Check::Lines, Where::at(name, *line, damage.offset), what, advice);
        }
        Ok(())
    }

    /// Looks exactly at the ids that may be there twice, and for the records that others take back.
    pub(super) fn check_repeats(&mut self, findings: &mut Findings) -> Result<(), LedgerError> {
        findings.looked_at(Check::Ids, count(self.records, "id"));
        if self.given > 0 {
            findings.looked_at(Check::GivenIds, count(self.given, "id"));
        }
        if !self.voids.is_empty() {
            findings.looked_at(Check::Voids, count(self.voids.len(), "record"));
        }
        if self.more_than_looked_at {
            let what =
                format!("more than {MAX_LOOKED_AT} lines wanted a second look: the rest were not looked at again");
            findings.add(Level::Warning, Check::Numbers, Where::default(), what, "");
        }
        let repeats = std::mem::replace(&mut self.repeats, Repeats::of(0));
        let (voids, uncounted) = (std::mem::take(&mut self.voids), std::mem::take(&mut self.uncounted));
        exact::check(self.data, self.files, repeats, voids, uncounted, findings)
    }

    /// Compares what is made from the whole of the journal.
    pub(super) fn check_derived(&self, token_stats: &TokenStatsText, findings: &mut Findings) {
        let Some(acts) = self.acts else { return };
        let ended = self.waiting.first().is_some_and(|newest| newest.is_the_end(self.numbers.last, acts));
        token_stats.check(&self.stats.picture(), self.held, ended, findings);
    }

    /// Records, bytes of text, and the drift of the newest snapshot.
    pub(super) fn into_totals(self) -> (u64, u64, Option<Drift>) {
        let newest = self.waiting.into_iter().next();
        (self.records, self.bytes, newest.and_then(|newest| newest.drift))
    }
}
