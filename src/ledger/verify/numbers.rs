//! The numbers of the lines: which are missing, and why that may be.

use super::finding::{Check, Findings, Level, Where};
use super::walk::Place;
use crate::ledger::replay::Sequence;

/// Gaps that are told apart; a start does not look back into more either.
const MAX_GAPS: usize = 1024;

/// Why numbers may be missing before a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Unknown,
    /// Bytes that are no line stand before it.
    Damage,
}

struct Gap {
    first: u64,
    last: u64,
    before: Place,
    cause: Cause,
}

/// Follows the numbers through the walk.
#[derive(Default)]
pub(super) struct Numbers {
    next: u64,
    pub(super) last: u64,
    gaps: Vec<Gap>,
    /// Something before the next line is no line.
    damaged: bool,
    turned_back: bool,
}

impl Numbers {
    pub(super) fn new() -> Numbers {
        Numbers { next: 1, ..Numbers::default() }
    }

    /// Bytes that are no line.
    pub(super) fn note_damage(&mut self) {
        self.damaged = true;
    }

    /// A whole line whose number was not there before.
    pub(super) fn note(&mut self, seq: u64, place: Place, findings: &mut Findings) {
        if seq < self.next && !self.turned_back {
            let what = format!(
                "number {seq} comes after number {}: files or lines stand in another order than they were written",
                self.last
            );
            let advice = "give the files back the names they had; every record counts meanwhile";
            findings.add(Level::Error, Check::Numbers, Where::at(place.file, place.line, place.offset), what, advice);
        }
        // One finding for each place where the order breaks, not for each line behind it.
        self.turned_back = seq < self.next;
        if seq > self.next && self.gaps.len() < MAX_GAPS {
            let cause = if self.damaged { Cause::Damage } else { Cause::Unknown };
            self.gaps.push(Gap { first: self.next, last: seq - 1, before: place, cause });
        }
        self.damaged = false;
        self.next = self.next.max(seq + 1);
        self.last = seq;
    }

    /// Says which numbers are missing after all.
    pub(super) fn finish(&self, sequence: &Sequence, findings: &mut Findings) {
        let highest = self.next - 1;
        findings
            .looked_at(Check::Numbers, if highest == 0 { "none yet".to_owned() } else { format!("1 to {highest}") });
        for gap in self.gaps.iter().filter(|gap| sequence.misses(gap.first, gap.last)) {
            let place = Where::at(gap.before.file, gap.before.line, gap.before.offset);
            let count = gap.last - gap.first + 1;
            let numbers = if count == 1 {
                format!("number {}", gap.first)
            } else {
                format!("numbers {} to {}", gap.first, gap.last)
            };
            let (level, what, advice) = match gap.cause {
                Cause::Unknown => (
                    Level::Error,
                    format!("{numbers} missing before it: {count} line(s) were removed"),
                    "restore the file from a copy; without one those records are lost",
                ),
                Cause::Damage => {
                    (Level::Warning, format!("{numbers} missing before it: they went with the damaged bytes there"), "")
                }
            };
            findings.add(level, Check::Numbers, place, what, advice);
        }
    }
}
