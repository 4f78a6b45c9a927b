//! What the owner does to the books: each act is durable in `control.jsonl` before it shows in any number.

use std::collections::HashSet;
use std::sync::MutexGuard;

use super::journal::Journal;
use super::state::State;
use super::{Act, LedgerError};
use crate::settings::Setting;
use crate::usage::{Opening, Origin, Timestamp};

/// Opening balances that are written with one call and one sync.
const OPENINGS_AT_ONCE: usize = 1024;

/// A reset that was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undone {
    /// When its epoch had begun, which is no more.
    pub begin: Timestamp,
    /// Since when what is shown is counted now.
    pub counting_since: Timestamp,
}

impl Journal {
    pub(super) fn reset(&self, now: Timestamp) -> Result<Timestamp, LedgerError> {
        let mut state = self.open_state()?;
        // The act is written first: what was not written did not happen.
        let begin = state.stats.next_epoch(now);
        state.control.write([Act::Reset { begin }], now)?;
        state.stats.reset(begin);
        state.since_snapshot += 1;
        Ok(begin)
    }

    pub(super) fn undo_reset(&self, now: Timestamp) -> Result<Option<Undone>, LedgerError> {
        let mut state = self.open_state()?;
        let Some(begin) = state.control.acts().resets.last().copied() else { return Ok(None) };
        state.control.write([Act::UndoReset { begin }], now)?;
        let State { stats, control, .. } = &mut *state;
        let merged = stats.set_resets(&control.acts().resets);
        debug_assert!(merged, "nothing was added, and what is taken away is a merge");
        state.since_snapshot += 1;
        Ok(Some(Undone { begin, counting_since: state.control.acts().counting_since() }))
    }

    pub(super) fn add_openings(&self, openings: &[Opening], now: Timestamp) -> Result<(), LedgerError> {
        openings.chunks(OPENINGS_AT_ONCE).try_for_each(|openings| self.open_state()?.add_openings(openings, now))
    }

    pub(super) fn set(&self, settings: &[Setting], now: Timestamp) -> Result<(), LedgerError> {
        let acts = settings.iter().map(|setting| Act::Setting { setting: setting.clone() });
        self.open_state()?.control.write(acts, now)
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>, LedgerError> {
        let state = self.shared.state();
        if state.closed { Err(LedgerError::Closed) } else { Ok(state) }
    }
}

impl State {
    /// Writes opening balances as acts, and folds them in once they are durable. Copies of acts that are here already
    /// add nothing, whatever way they came.
    fn add_openings(&mut self, openings: &[Opening], now: Timestamp) -> Result<(), LedgerError> {
        let (lineage, picture) = (self.control.acts().lineage, self.stats.picture());
        let mut here: HashSet<Origin> = if openings.iter().any(|opening| opening.origin.is_some()) {
            self.control.acts().openings_by_origin().map(|(origin, _)| origin).collect()
        } else {
            HashSet::new()
        };
        let mut is_new = |origin: Origin| origin.lineage != lineage && here.insert(origin);
        let new = openings.iter().filter(|opening| opening.origin.is_none_or(&mut is_new));
        let settings = &self.control.acts().settings;
        let admitted =
            |opening: &Opening| self.admission.admitted_opening(opening.clone().cleaned(), &picture, settings);
        let openings: Vec<Opening> = new.map(admitted).collect();
        drop(picture);
        if openings.is_empty() {
            return Ok(());
        }
        self.control.write(openings.iter().map(|opening| Act::Opening { opening: Box::new(opening.clone()) }), now)?;
        openings.iter().for_each(|opening| self.stats.apply_opening(opening));
        let picture = self.stats.picture();
        openings.iter().for_each(|opening| self.admission.note_rows(&picture, opening.at.day()));
        self.since_snapshot += openings.len() as u64;
        Ok(())
    }
}
