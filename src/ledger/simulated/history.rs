//! What is in the files against what was said: everything acknowledged is there, nothing twice, nothing that was never
//! accepted, and the statistics are the fold of the lines. Reads the files by itself, as plainly as can be.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::ledger::Acts;
use crate::ledger::files::{DataFolder, FileName};
use crate::stats::{Picture, Saved, Stats};
use crate::usage::{Kind, RecordId, Timestamp, UsageRecord};

/// A whole line of a journal file.
pub(in crate::ledger) struct Line {
    file: FileName,
    seq: u64,
    pub(in crate::ledger) record: UsageRecord<'static>,
}

/// Every whole line of a folder's journal, file after file.
pub(in crate::ledger) fn lines_of(data: &DataFolder) -> Vec<Line> {
    let mut lines = Vec::new();
    for file in data.journal_files().expect("a readable folder") {
        let content = data.read(file).expect("a readable file");
        lines.extend(content.split(|byte| *byte == b'\n').filter_map(|line| whole(file, line)));
    }
    lines
}

fn whole(file: FileName, line: &[u8]) -> Option<Line> {
    let text = std::str::from_utf8(line).ok()?;
    let (body, crc) = text.strip_suffix("\"}")?.rsplit_once(",\"crc\":\"")?;
    if crc != format!("{:08x}", crc32c::crc32c(body.as_bytes())) {
        return None;
    }
    let seq = body.rsplit_once(",\"seq\":")?.1.parse().ok()?;
    let record = serde_json::from_str::<UsageRecord<'_>>(text).ok()?.into_owned();
    Some(Line { file, seq, record })
}

/// Holds the lines against what was said.
///
/// # Errors
/// When something that `must` be there is not, when something is there that may not, or twice.
pub(in crate::ledger) fn check_lines(
    lines: &[Line],
    must: &HashSet<RecordId>,
    may: &HashSet<RecordId>,
) -> Result<(), String> {
    let mut last: HashMap<FileName, u64> = HashMap::new();
    let mut seen: HashMap<RecordId, FileName> = HashMap::new();
    for Line { file, seq, record } in lines {
        if last.insert(*file, *seq).is_some_and(|before| before >= *seq) {
            return Err(format!("the numbers in {file} do not rise at {seq}"));
        }
        // A line is written again only into another part, after a sync that failed.
        if let Some(before) = seen.insert(record.id, *file)
            && (before == *file || file.part == 1)
        {
            return Err(format!("{} is in {before} and again in {file}", record.id));
        }
        if !may.contains(&record.id) {
            return Err(format!("{} was never accepted and is in {file}", record.id));
        }
    }
    match must.iter().find(|id| !seen.contains_key(id)) {
        Some(lost) => Err(format!("LOST: {lost} was acknowledged")),
        None => Ok(()),
    }
}

/// The records of the lines, each once.
pub(in crate::ledger) fn records(lines: &[Line]) -> Vec<&UsageRecord<'static>> {
    let mut seen = HashSet::new();
    lines.iter().map(|line| &line.record).filter(|record| seen.insert(record.id)).collect()
}

/// Holds a picture against the fold of the records.
///
/// # Errors
/// When a number differs.
pub(in crate::ledger) fn check_fold(
    records: &[&UsageRecord<'static>],
    acts: &Acts,
    picture: &Picture,
    now: Timestamp,
) -> Result<(), String> {
    // By hand: input tokens and records by model.
    let mut sums: BTreeMap<&str, (i64, i128)> = BTreeMap::new();
    for record in records {
        let sign = if matches!(record.kind, Kind::Void { .. }) { -1 } else { 1 };
        let (count, prompt) = sums.entry(record.model.as_str()).or_default();
        *count += sign * record.count as i64;
        *prompt += i128::from(sign) * i128::from(record.tokens.prompt);
    }
    let all = picture.all_time();
    let shown = all.group_by(|key| all.text(key.model));
    let shown: BTreeMap<&str, (i64, i128)> =
        shown.iter().map(|(model, sums)| (*model, (sums.records, sums.prompt))).collect();
    if shown != sums {
        return Err(format!("DRIFT: shown {shown:?}, in the files {sums:?}"));
    }
    // And whole: days, epochs and all.
    let mut stats = Stats::new(acts.resets.clone());
    records.iter().for_each(|record| stats.apply(record));
    if rolled(&stats.picture().saved(), now) != rolled(&picture.saved(), now) {
        return Err("DRIFT: the statistics are not the fold of the lines".to_owned());
    }
    Ok(())
}

fn rolled(saved: &Saved, now: Timestamp) -> Saved {
    let mut stats = saved.restored();
    stats.roll(now);
    stats.picture().saved().canonical()
}
