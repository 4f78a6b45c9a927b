//! `control.jsonl`: which ledger this is, and what its owner did to it. Never shortened, never rewritten.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::LedgerError;
use super::disk::{Access, DiskFile};
use super::files::DataFolder;
use super::replay::for_each_line;
use crate::usage::{LINE_VERSION, Timestamp, seal_line, unseal_line};

const CONTROL_FILE: &str = "control.jsonl";

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
}

impl Acts {
    fn fold(lines: &[ActLine]) -> Option<Acts> {
        let first = lines.first()?;
        let Act::Lineage { lineage } = first.act else { return None };
        let mut resets: Vec<Timestamp> = Vec::new();
        for line in lines {
            match &line.act {
                Act::Reset { begin } => resets.push(*begin),
                Act::UndoReset { begin } => resets.retain(|reset| reset != begin),
                Act::Lineage { .. } | Act::Unknown => {}
            }
        }
        resets.sort_unstable();
        Some(Acts { lineage, begun: first.at, resets })
    }

    /// Since when what is shown was counted: the last reset, or the beginning.
    pub fn counting_since(&self) -> Timestamp {
        self.resets.last().copied().unwrap_or(self.begun)
    }
}

/// Whether a folder has a control file, as every ledger has from its first moment.
pub(super) fn is_there(data: &DataFolder) -> bool {
    data.open(CONTROL_FILE, Access::Read).is_ok()
}

/// Reads the acts of a folder; `None` when there are none.
///
/// # Errors
/// When the file cannot be read, is damaged, or was written by a newer version: acts are few and each one matters, so
/// unlike usage none is ever passed over.
pub(super) fn read_acts(data: &DataFolder) -> Result<Option<Acts>, LedgerError> {
    let content = data.read_if_there(CONTROL_FILE).map_err(data.failed("read", CONTROL_FILE))?;
    Ok(Acts::fold(&parse(&content, &data.path_of(CONTROL_FILE))?.lines))
}

struct Parsed {
    lines: Vec<ActLine>,
    /// Behind the last whole line.
    end: u64,
    seq: u64,
}

fn parse(content: &[u8], path: &Path) -> Result<Parsed, LedgerError> {
    let mut parsed = Parsed { lines: Vec::new(), end: 0, seq: 0 };
    let (mut number, mut problem) = (0u64, None);
    for_each_line(content, 0, |line| {
        number += 1;
        if !line.terminated || problem.is_some() {
            return; // an act whose write was cut: it was never confirmed
        }
        let read = unseal_line(line.bytes).map_err(|error| error.to_string()).and_then(|sealed| {
            let act: ActLine = serde_json::from_slice(line.bytes).map_err(|error| error.to_string())?;
            if act.v == LINE_VERSION {
                Ok((sealed, act))
            } else {
                Err("written by a newer tallybot; use that one".into())
            }
        });
        match read {
            Ok((sealed, act)) => {
                parsed.lines.push(act);
                parsed.seq = sealed.seq;
                parsed.end = line.offset + line.bytes.len() as u64 + 1;
            }
            Err(error) => problem = Some((number, error)),
        }
    })
    .expect("memory can be read");
    match problem {
        Some((line, problem)) => {
            let problem = format!("{problem}; restore the file from a copy, or move it away to begin new acts");
            Err(LedgerError::NotOurs { path: path.to_owned(), line, problem })
        }
        None => Ok(parsed),
    }
}

/// The control file, open for one more act.
pub(super) struct Control {
    data: DataFolder,
    file: Arc<dyn DiskFile>,
    end: u64,
    seq: u64,
    acts: Acts,
}

impl Control {
    /// Opens the control file, beginning a new lineage if there is none.
    pub(super) fn open(data: &DataFolder, lineage: Uuid, now: Timestamp) -> Result<Control, LedgerError> {
        let content = data.read_if_there(CONTROL_FILE).map_err(data.failed("read", CONTROL_FILE))?;
        let parsed = parse(&content, &data.path_of(CONTROL_FILE))?;
        let file = data.open_or_create(CONTROL_FILE).map_err(data.failed("open", CONTROL_FILE))?;
        let begun = Acts { lineage, begun: now, resets: Vec::new() };
        let acts = Acts::fold(&parsed.lines);
        let is_new = acts.is_none();
        let mut control =
            Control { data: data.clone(), file, end: parsed.end, seq: parsed.seq, acts: acts.unwrap_or(begun) };
        if is_new {
            control.write(Act::Lineage { lineage }, now)?;
        }
        Ok(control)
    }

    pub(super) fn acts(&self) -> &Acts {
        &self.acts
    }

    pub(super) fn reset(&mut self, begin: Timestamp, now: Timestamp) -> Result<(), LedgerError> {
        self.write(Act::Reset { begin }, now)?;
        self.acts.resets.push(begin);
        Ok(())
    }

    /// Writes an act and syncs it; an act that could not be synced is cut off again.
    fn write(&mut self, act: Act, now: Timestamp) -> Result<(), LedgerError> {
        let mut line =
            serde_json::to_vec(&ActLine { v: LINE_VERSION, at: now, act }).expect("plain data can be written");
        seal_line(&mut line, 0, self.seq + 1);
        let written = self.file.set_len(self.end).and_then(|()| self.file.write_all_at(&line, self.end));
        if let Err(error) = written.and_then(|()| self.file.sync()) {
            // Best effort: what stays is a line that the next start sees, and the act was reported as failed.
            let _ = self.file.set_len(self.end);
            return Err(self.data.failed("write", CONTROL_FILE)(error));
        }
        self.end += line.len() as u64;
        self.seq += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::new(1_795_305_600_000_000 + secs * 1_000_000, 0)
    }

    #[test]
    fn acts_survive_and_a_cut_act_never_happened() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lineage = Uuid::from_u128(7);
        let mut control = Control::open(&DataFolder::real(folder.path()), lineage, at(0)).expect("a new file");
        control.reset(at(5), at(5)).expect("written");
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
        assert_eq!(acts, Acts { lineage, begun: at(0), resets: vec![at(5)] });
    }

    #[test]
    fn a_damaged_act_is_never_passed_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Control::open(&DataFolder::real(folder.path()), Uuid::from_u128(7), at(0)).expect("a new file");
        let path = folder.path().join(CONTROL_FILE);
        let mut content = std::fs::read(&path).expect("it is there");
        content[20] ^= 1;
        std::fs::write(&path, &content).expect("writable");
        let error = read_acts(&DataFolder::real(folder.path())).expect_err("damaged").to_string();
        assert!(error.contains("control.jsonl") && error.contains("line 1"), "{error}");
    }
}
