//! The files beside the journal: the owner's acts, and the calls under way.

use std::collections::HashSet;

use super::finding::{Check, Findings, Level, Where, count};
use crate::ledger::control::{self, CONTROL_FILE};
use crate::ledger::files::DataFolder;
use crate::ledger::replay::for_each_line;
use crate::ledger::slots;
use crate::ledger::{Acts, LedgerError, OpenCall};
use crate::usage::{RecordId, unseal_line};

const RESTORE: &str = "restore `control.jsonl` from a copy; nothing starts on a damaged one";

/// Checks the owner's acts; `None` when they cannot be read, so that nothing can be compared that depends on them.
pub(super) fn check_acts(data: &DataFolder, findings: &mut Findings) -> Result<Option<Acts>, LedgerError> {
    let content = data.read(CONTROL_FILE).map_err(data.failed("read", CONTROL_FILE))?;
    let (mut lines, mut next) = (0u64, 1);
    for_each_line(&content[..], 0, |line| {
        let place = Where::at(CONTROL_FILE, line.number, line.offset);
        if !line.terminated {
            let what = "an act whose writing was cut short; it was never confirmed and does not count";
            findings.add(Level::Info, Check::Acts, place, what, "");
            return;
        }
        match unseal_line(line.bytes) {
            Ok(sealed) => {
                if sealed.seq != next {
                    let what =
                        format!("act number {} where {next} was expected: an act was removed or added", sealed.seq);
                    findings.add(Level::Error, Check::Acts, place, what, RESTORE);
                }
                (lines, next) = (lines + 1, sealed.seq + 1);
            }
            Err(error) => findings.add(Level::Error, Check::Acts, place, format!("a damaged act: {error}"), RESTORE),
        }
    })
    .expect("memory can be read");
    findings.looked_at(Check::Acts, count(lines, "act"));
    match control::read_acts(data) {
        Ok(acts) => {
            if acts.is_none() {
                let what = "it does not say which ledger this is, so that no snapshot can be compared";
                findings.add(Level::Error, Check::Acts, Where::file(CONTROL_FILE), what, RESTORE);
            }
            Ok(acts)
        }
        Err(LedgerError::NotOurs { line, problem, .. }) => {
            let place = Where { line: Some(line), ..Where::file(CONTROL_FILE) };
            findings.add(Level::Error, Check::Acts, place, format!("cannot be read: {problem}"), "");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The calls that were open before the walk through the journal.
pub(super) struct OpenCalls {
    calls: Vec<OpenCall>,
    pub(super) ids: HashSet<RecordId>,
    /// Those whose record the walk met.
    pub(super) recorded: HashSet<RecordId>,
}

impl OpenCalls {
    pub(super) fn read(data: &DataFolder) -> Result<OpenCalls, LedgerError> {
        let calls: Vec<OpenCall> = slots::look(data)?.into_iter().map(|(_, call)| call).collect();
        Ok(OpenCalls { ids: calls.iter().map(|call| call.id).collect(), calls, recorded: HashSet::new() })
    }

    /// Says what the walk leaves to say of them.
    pub(super) fn check(&self, held: bool, findings: &mut Findings) {
        findings.looked_at(Check::OpenCalls, count(self.calls.len(), "call"));
        let place = || Where::file("open.slots");
        let open = || self.calls.iter().filter(|call| !self.recorded.contains(&call.id));
        if held {
            if open().next().is_some() {
                let what = format!("{} call(s) under way", open().count());
                findings.add(Level::Info, Check::OpenCalls, place(), what, "");
            }
            return;
        }
        for call in open() {
            let what = format!(
                "a call to {} admitted at {} was open when tallybot last stopped and has no record yet",
                call.model, call.admitted
            );
            let advice = "the next start records it as interrupted";
            findings.add(Level::Warning, Check::OpenCalls, place(), what, advice);
        }
    }
}
