//! The second walk, for the few ids that need an exact look.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::finding::{Check, Findings, Level, Where};
use super::repeats::Repeats;
use super::walk::{Line, Place, Walk};
use crate::ledger::LedgerError;
use crate::ledger::files::{DataFolder, FileName};
use crate::ledger::given::{DAYS, digest_of};
use crate::usage::{Kind, RecordId};

/// Looks at the ids that may be there twice; at the records that others take back (`voids`, by whom); and at the lines
/// that do not count because their number was there before (`uncounted`).
pub(super) fn check(
    data: &DataFolder,
    files: &[FileName],
    mut repeats: Repeats,
    voids: HashMap<RecordId, Place>,
    uncounted: HashMap<RecordId, Place>,
    findings: &mut Findings,
) -> Result<(), LedgerError> {
    while repeats.next_part() {
        for_each_counted(data, files, |line, _| {
            repeats.note(line.record.id.0.as_u128());
            line.record.source.iter().for_each(|given| repeats.note(digest_of(given)));
        })?;
    }
    if repeats.overflowed {
        let what = "too many ids may be there twice to look at each; those named are not all";
        findings.add(Level::Warning, Check::Ids, Where::default(), what, "");
    }
    let written_again = BTreeMap::new();
    let mut look = Look { suspects: repeats.suspects(), seen: HashMap::new(), voids, uncounted, written_again };
    if !look.suspects.is_empty() || !look.voids.is_empty() || !look.uncounted.is_empty() {
        for_each_counted(data, files, |line, place| look.at(line, place, findings))?;
    }
    look.finish(findings);
    Ok(())
}

fn for_each_counted(
    data: &DataFolder,
    files: &[FileName],
    mut on_line: impl FnMut(&Line<'_>, Place),
) -> Result<(), LedgerError> {
    let mut walk = Walk::new(data);
    for name in files {
        walk.file(*name, |at, read| match read {
            Ok(line) if line.counts => on_line(&line, Place { file: *name, line: at.number, offset: at.offset }),
            _ => {}
        })?;
    }
    Ok(())
}

struct Look {
    suspects: HashSet<u128>,
    /// Where each suspect was met last.
    seen: HashMap<u128, Place>,
    voids: HashMap<RecordId, Place>,
    uncounted: HashMap<RecordId, Place>,
    /// Lines that a file begun after a failed sync has once more: how many, and the first.
    written_again: BTreeMap<FileName, (u64, Place)>,
}

impl Look {
    fn at(&mut self, line: &Line<'_>, place: Place, findings: &mut Findings) {
        let record = &line.record;
        let here = || Where::at(place.file, place.line, place.offset);
        if let Some(first) = self.met(record.id.0.as_u128(), place) {
            let what = format!("record {} is also in {first}: it is counted twice", record.id);
            let advice = "take one of the two lines back with a void, or restore the file from a copy";
            findings.add(Level::Error, Check::Ids, here(), what, advice);
        }
        if let Some(given) = &record.source
            && let Some(first) = self.met(digest_of(given), place)
            && first.file.day.plus(DAYS) > place.file.day
        {
            let what =
                format!("id `{}` of `{}` is also in {first}, less than {DAYS} days before", given.id, given.name);
            findings.add(Level::Error, Check::GivenIds, here(), what, "one of the two is counted too much");
        }
        if record.kind == Kind::Usage {
            self.voids.remove(&record.id);
        }
        if let Some(copy) = self.uncounted.remove(&record.id) {
            if copy.file.part > 1 {
                let (count, first) = self.written_again.entry(copy.file).or_insert((0, copy));
                *count += 1;
                if copy.offset < first.offset {
                    *first = copy;
                }
                return;
            }
            let what = format!("the same record as {place}: it counts once");
            let place = Where::at(copy.file, copy.line, copy.offset);
            findings.add(Level::Warning, Check::Numbers, place, what, "");
        }
    }

    fn met(&mut self, key: u128, place: Place) -> Option<Place> {
        if self.suspects.contains(&key) { self.seen.insert(key, place) } else { None }
    }

    fn finish(self, findings: &mut Findings) {
        for (file, (count, first)) in self.written_again {
            let what =
                format!("{count} line(s) of the file before, written again after a failed sync: each counts once");
            findings.add(Level::Info, Check::Numbers, Where::at(file, first.line, first.offset), what, "");
        }
        for (of, place) in self.voids {
            let what = format!("takes back record {of}, which is not there: it is subtracted from nothing");
            findings.add(Level::Error, Check::Voids, Where::at(place.file, place.line, place.offset), what, "");
        }
        for (id, place) in self.uncounted {
            let what = format!("record {id} does not count: another line has its number");
            let advice = "lines of two ledgers were put together; restore the file from a copy";
            findings.add(Level::Error, Check::Numbers, Where::at(place.file, place.line, place.offset), what, advice);
        }
    }
}
