//! The books checked and repaired, the gate with them.

use std::path::Path;
use std::sync::Arc;

use super::follower::GateFollower;
use crate::ledger::{self, Durability, Follower, KnownNames, LedgerError, Options, Progress, Repaired, Verification};
use crate::limits::Rulebook;
use crate::usage::{Clock, Now, Tick, Timestamp};

/// A monotonic clock that has run longer than any window, so that every time of a record has its place on it.
const LONG_RUN: Tick = Tick(30 * 86_400_000_000);

/// A clock that stands still.
struct Standing(Now);

impl Clock for Standing {
    fn now(&self) -> Now {
        self.0
    }
}

fn follower_at(rules: &Rulebook, at: Timestamp) -> Box<dyn Follower> {
    let clock = Arc::new(Standing(Now { at, tick: LONG_RUN }));
    let (_, follower) = GateFollower::new(rules.clone(), Vec::new(), clock);
    Box::new(follower)
}

/// Checks a folder's books, whether or not a tallybot holds them.
///
/// # Errors
/// As [`ledger::verify`].
pub fn verify(
    folder: &Path,
    rules: &Rulebook,
    now: Timestamp,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Verification, LedgerError> {
    ledger::verify(folder, now, &|at| follower_at(rules, at), on_progress)
}

/// Puts what is damaged into quarantine and makes again what is made from the journal.
///
/// # Errors
/// As [`ledger::repair`].
pub fn repair(folder: &Path, rules: &Rulebook, clock: &Arc<dyn Clock>) -> Result<Repaired, LedgerError> {
    let (_, follower) = GateFollower::new(rules.clone(), Vec::new(), Arc::clone(clock));
    let options = Options { durability: Durability::Power, known: KnownNames::none(), follower: Box::new(follower) };
    ledger::repair(folder, options, clock.now().at)
}
