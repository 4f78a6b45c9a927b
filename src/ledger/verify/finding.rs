//! What a verification says: one row per check, and what was found, in words.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ledger::Holder;
use crate::stats::Drift;

/// Findings of one check and level that are told one by one; the rest is counted.
const MAX_TOLD: u64 = 20;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Not as it should be, and no number is wrong because of it.
    Warning,
    /// The books do not agree with themselves, or records are lost.
    Error,
}

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Every line of the journal: checksum and form.
    Lines,
    /// The numbers of the lines: none missing, none twice, in order.
    Numbers,
    /// The billing day of each line against the day of its file.
    Days,
    /// Ids of records: none twice.
    Ids,
    /// Ids given by others: none twice within 35 days.
    GivenIds,
    /// Records that take back others: each names one, once.
    Voids,
    /// The owner's acts.
    Acts,
    /// The calls under way.
    OpenCalls,
    /// The newest snapshot.
    Snapshot,
    /// The one before.
    PreviousSnapshot,
    /// The counts of the limits.
    Limits,
    /// The sealed folds of closed files.
    Folds,
    /// `token_stats.json`.
    TokenStats,
}

impl Check {
    /// Every check, in the order in which they are shown.
    pub const ALL: [Check; 13] = [
        Check::Lines,
        Check::Numbers,
        Check::Days,
        Check::Ids,
        Check::GivenIds,
        Check::Voids,
        Check::Acts,
        Check::OpenCalls,
        Check::Snapshot,
        Check::PreviousSnapshot,
        Check::Limits,
        Check::Folds,
        Check::TokenStats,
    ];

    /// What a person calls it.
    pub fn title(self) -> &'static str {
        match self {
            Check::Lines => "lines",
            Check::Numbers => "line numbers",
            Check::Days => "days",
            Check::Ids => "record ids",
            Check::GivenIds => "ids given by others",
            Check::Voids => "taken back",
            Check::Acts => "owner's acts",
            Check::OpenCalls => "open calls",
            Check::Snapshot => "snapshot",
            Check::PreviousSnapshot => "previous snapshot",
            Check::Limits => "limits",
            Check::Folds => "sealed folds",
            Check::TokenStats => "token_stats.json",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// By which check.
    pub check: Check,
    /// In which file of the folder.
    pub file: Option<String>,
    /// In which line, from 1.
    pub line: Option<u64>,
    /// At which byte (of the text, in a compressed file).
    pub offset: Option<u64>,
    /// What it is and what it means.
    pub what: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// Whether a repair does something about it.
    pub repairable: bool,
}

/// A check that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Which.
    pub check: Check,
    /// Its worst finding; `None` when it found nothing.
    pub worst: Option<Level>,
    /// Whether there was something to check.
    pub made: bool,
    /// What was looked at.
    pub looked_at: String,
}

/// What a verification found.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// Records that count.
    pub records: u64,
    /// Journal files.
    pub files: usize,
    /// How many of them are compressed.
    pub compressed: usize,
    /// Bytes of their text.
    pub bytes: u64,
    /// Who was writing meanwhile.
    pub holder: Option<Holder>,
    /// Every check.
    pub checks: Vec<Checked>,
    /// What was found, worst first.
    pub findings: Vec<Finding>,
    /// What the newest snapshot has beyond the records up to its position; `None` if there is none to compare.
    pub drift: Option<Drift>,
}

impl Verification {
    /// The worst of what was found.
    pub fn worst(&self) -> Option<Level> {
        self.findings.iter().map(|finding| finding.level).max()
    }

    /// Whether a repair would do something.
    pub fn wants_repair(&self) -> bool {
        self.findings.iter().any(|finding| finding.repairable)
    }
}

/// Collects findings, bounded.
#[derive(Default)]
pub(super) struct Findings {
    told: Vec<Finding>,
    counts: BTreeMap<(Check, Level), u64>,
    looked_at: BTreeMap<Check, String>,
}

/// Where something was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Where {
    pub(super) file: Option<String>,
    pub(super) line: Option<u64>,
    pub(super) offset: Option<u64>,
}

impl Where {
    pub(super) fn file(name: impl ToString) -> Where {
        Where { file: Some(name.to_string()), ..Where::default() }
    }

    pub(super) fn at(name: impl ToString, line: u64, offset: u64) -> Where {
        Where { file: Some(name.to_string()), line: Some(line), offset: Some(offset) }
    }
}

impl Findings {
    pub(super) fn add(&mut self, level: Level, check: Check, place: Where, what: impl Into<String>, advice: &str) {
        let count = self.counts.entry((check, level)).or_default();
        *count += 1;
        if *count <= MAX_TOLD {
            let Where { file, line, offset } = place;
            // The sentences that say so name the command.
            let repairable = advice.contains("--repair");
            let advice = (!advice.is_empty()).then(|| advice.to_owned());
            self.told.push(Finding { level, check, file, line, offset, what: what.into(), advice, repairable });
        }
    }

    /// Notes that a check was made, and of what.
    pub(super) fn looked_at(&mut self, check: Check, what: impl Into<String>) {
        self.looked_at.insert(check, what.into());
    }

    pub(super) fn finish(mut self) -> (Vec<Checked>, Vec<Finding>) {
        for ((check, level), count) in &self.counts {
            if let Some(more) = count.checked_sub(MAX_TOLD).filter(|more| *more > 0) {
                self.told.push(Finding {
                    level: *level,
                    check: *check,
                    file: None,
                    line: None,
                    offset: None,
                    what: format!("and {more} more of the kind"),
                    advice: None,
                    repairable: false,
                });
            }
        }
        self.told.sort_by_key(|finding| (std::cmp::Reverse(finding.level), finding.check));
        let checked = Check::ALL.map(|check| Checked {
            check,
            worst: self.counts.keys().filter(|(of, _)| *of == check).map(|(_, level)| *level).max(),
            made: self.looked_at.contains_key(&check),
            looked_at: self.looked_at.remove(&check).unwrap_or_else(|| "not there".to_owned()),
        });
        (checked.to_vec(), self.told)
    }
}

/// `1 line`, `2 lines`.
pub(super) fn count(number: impl TryInto<u64>, one: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}
