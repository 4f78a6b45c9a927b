//! `metrics.json`: the fold up to a position of the journal. Deleting it costs time, never data.

use std::io::Read;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::LedgerError;
use super::archived;
use super::files::{DataFolder, FileName};
use super::replay::Position;
use crate::stats::{Picture, Saved};
use crate::usage::{LINE_VERSION, Sealed, Timestamp, seal_line, unseal_line};

pub(super) const SNAPSHOT: &str = "metrics.json";
pub(super) const PREVIOUS: &str = "metrics.previous.json";

/// A snapshot that a newer version wrote is kept under this name.
const NEWER: &str = "metrics.newer.json";

/// The fold of everything up to a line of the journal.
#[derive(Serialize, Deserialize)]
pub(super) struct Snapshot {
    v: u8,
    /// Of which ledger.
    pub(super) lineage: Uuid,
    /// When it was taken.
    pub(super) at: Timestamp,
    /// The journal file, and the byte behind the last line folded.
    file: String,
    offset: u64,
    line_seq: u64,
    line_crc: u32,
    /// The last of the owner's acts that is folded in.
    #[serde(default)]
    pub(super) act_seq: u64,
    pub(super) stats: Saved,
    /// The state of the one who folds along.
    pub(super) follower: serde_json::Value,
}

impl Snapshot {
    pub(super) fn of(
        lineage: Uuid,
        act_seq: u64,
        at: Timestamp,
        position: Position,
        picture: &Picture,
        follower: serde_json::Value,
    ) -> Snapshot {
        Snapshot {
            v: LINE_VERSION,
            lineage,
            at,
            file: position.file.to_string(),
            offset: position.offset,
            line_seq: position.sealed.seq,
            line_crc: position.sealed.crc,
            act_seq,
            stats: picture.saved(),
            follower,
        }
    }

    pub(super) fn position(&self) -> Option<Position> {
        let sealed = Sealed { seq: self.line_seq, crc: self.line_crc };
        Some(Position { file: FileName::parse(&self.file)?, offset: self.offset, sealed })
    }

    /// Writes it in place of the last one, which is kept as the previous one.
    pub(super) fn write(&self, data: &DataFolder) -> Result<(), LedgerError> {
        let mut text = serde_json::to_vec(self).expect("plain data can be written");
        seal_line(&mut text, 0, self.line_seq);
        if data.read(SNAPSHOT).is_ok_and(|text| is_newer(&text)) {
            // It is of use to the newer version only; here it is only kept.
            data.rename(SNAPSHOT, NEWER).map_err(data.failed("keep the newer", SNAPSHOT))?;
        }
        // That there is no previous one is no reason not to have a new one.
        let _ = data.keep_as(SNAPSHOT, PREVIOUS);
        data.replace(SNAPSHOT, &text).map_err(data.failed("write", SNAPSHOT))
    }
}

/// What was looked for among the snapshots of a folder.
#[derive(Default)]
pub(super) struct Search {
    /// The newest that fits.
    pub(super) found: Option<Snapshot>,
    /// Where one ends of which the journal has not the last line.
    pub(super) not_in_journal: Option<Position>,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("it is damaged, or of another version")]
    Unreadable,
    #[error("it belongs to another ledger")]
    OfAnother,
    #[error("it is from a day to come")]
    ToCome,
    #[error("the journal does not have the line it ends with: was the journal cut, restored or exchanged?")]
    NotInJournal(Option<Position>),
}

/// Looks for the newest snapshot that fits the ledger and its journal. What does not fit is left alone; so is one from a
/// day to come, taken by a clock that was wrong: it has let go of days that are still asked for.
pub(super) fn find(data: &DataFolder, lineage: Uuid, now: Timestamp) -> Search {
    let mut search = Search::default();
    for name in [SNAPSHOT, PREVIOUS] {
        let Ok(text) = data.read(name) else { continue };
        let unfit = match fitting(data, &text, lineage, now) {
            Ok(snapshot) => return Search { found: Some(snapshot), ..search },
            Err(unfit) => unfit,
        };
        tracing::warn!("`{name}` is passed over, because {unfit}; its numbers are counted again from the journal");
        if let Unfit::NotInJournal(Some(end)) = unfit
            && end.is_above(search.not_in_journal)
        {
            search.not_in_journal = Some(end);
        }
    }
    search
}

/// The snapshot of a text, or why it cannot be used.
fn fitting(data: &DataFolder, text: &[u8], lineage: Uuid, now: Timestamp) -> Result<Snapshot, Unfit> {
    let snapshot = parse(text).ok_or(Unfit::Unreadable)?;
    if snapshot.lineage != lineage {
        return Err(Unfit::OfAnother);
    }
    if snapshot.at.day() > now.day() {
        return Err(Unfit::ToCome);
    }
    match snapshot.position() {
        Some(position) if is_in_journal(data, position) => Ok(snapshot),
        position => Err(Unfit::NotInJournal(position)),
    }
}

/// The journal files that the snapshots of a folder stand in.
pub(super) fn positions(data: &DataFolder) -> impl Iterator<Item = FileName> {
    let file = |name: &&str| Some(parse(&data.read(name).ok()?)?.position()?.file);
    [SNAPSHOT, PREVIOUS].iter().filter_map(file)
}

/// Whether a text that is no snapshot here is one of a newer version.
pub(super) fn is_newer(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Versioned {
        v: u64,
    }
    let ours = format!("{{\"v\":{LINE_VERSION},");
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    !text.starts_with(ours.as_bytes())
        && unseal_line(text).is_ok()
        && serde_json::from_slice::<Versioned>(text).is_ok_and(|found| found.v > u64::from(LINE_VERSION))
}

/// Reads a snapshot's text; `None` when it is damaged or of another version.
pub(super) fn parse(text: &[u8]) -> Option<Snapshot> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    unseal_line(text).ok()?;
    serde_json::from_slice::<Snapshot>(text).ok().filter(|snapshot| snapshot.v == LINE_VERSION)
}

/// Whether the journal has that very line in that place: otherwise it was cut, restored or exchanged.
fn is_in_journal(data: &DataFolder, position: Position) -> bool {
    let expected = format!("\"seq\":{},\"crc\":\"{:08x}\"}}\n", position.sealed.seq, position.sealed.crc);
    let mut found = vec![0; expected.len()];
    let Some(start) = position.offset.checked_sub(expected.len() as u64) else { return false };
    let read = archived::open(data, position.file, start).and_then(|mut file| file.read_exact(&mut found));
    read.is_ok() && found == expected.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_repository_is_a_snapshot() {
        let text = include_bytes!("../../metrics.json.example");
        let snapshot = parse(text).expect("metrics.json.example loads");
        assert!(snapshot.position().is_some());
        let restored = snapshot.stats.restored().picture().saved();
        assert_eq!(restored.canonical(), snapshot.stats.canonical());
    }
}
