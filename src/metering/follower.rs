//! The gate and the calibration of estimates as they follow the journal: what is settled is exactly what is recorded.

use std::sync::{Arc, Mutex, MutexGuard};

use serde::Deserialize as _;

use crate::ledger::{Acts, Follower, FollowerCheck};
use crate::limits::{Compared, Gate, Rulebook};
use crate::stats::Recent;
use crate::usage::{Calibration, Clock, Failure, Kind, Timestamp, UsageRecord};

/// Days of records that the calibration is given where it has to begin anew.
const HORIZON_MICROS: i64 = 4 * 86_400_000_000;

/// Days of the calibration that are compared: those whose records are replayed whole, whatever the zone.
const DAYS_COMPARED: i32 = 1;

/// Where the calibration stands in the saved state, beside the fields of the gate. An older state has none.
const CALIBRATION: &str = "calibration";

/// The newest failure that was recorded, and when its call was admitted.
pub(super) type LastFailure = Arc<Mutex<Option<(Timestamp, Failure)>>>;

/// What the records of the last minutes say.
pub(super) type Recently = Arc<Mutex<Recent>>;

/// Folds records into the gate and the calibration, under the journal's lock.
///
/// The calibration looks back a month, through the snapshot. Where that is lost, or does not fit the limits any more, it
/// begins with the days that are replayed for the gate.
pub(super) struct GateFollower {
    gate: Arc<Mutex<Gate>>,
    calibration: Arc<Mutex<Calibration>>,
    clock: Arc<dyn Clock>,
    last_failure: LastFailure,
    recent: Recently,
}

impl GateFollower {
    pub(super) fn new(
        rules: Rulebook,
        providers: Vec<String>,
        clock: Arc<dyn Clock>,
    ) -> (Arc<Mutex<Gate>>, GateFollower) {
        let gate = Arc::new(Mutex::new(Gate::new(rules, providers)));
        let (calibration, last_failure, recent) = (Arc::default(), LastFailure::default(), Recently::default());
        (Arc::clone(&gate), GateFollower { gate, calibration, clock, last_failure, recent })
    }

    /// What is known of estimates from here on.
    pub(super) fn calibration(&self) -> Arc<Mutex<Calibration>> {
        Arc::clone(&self.calibration)
    }

    /// What is kept of failures from here on.
    pub(super) fn last_failure(&self) -> LastFailure {
        Arc::clone(&self.last_failure)
    }

    /// What is kept of the last minutes from here on.
    pub(super) fn recent(&self) -> Recently {
        Arc::clone(&self.recent)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().expect(UNPOISONED)
    }

    fn note_failure(&self, record: &UsageRecord<'_>) {
        let Some(failure) = record.failure.filter(|_| record.status.is_failed() && record.kind == Kind::Usage) else {
            return;
        };
        let mut last = self.last_failure.lock().expect("nobody panics while holding it");
        if last.is_none_or(|(at, _)| at <= record.timestamp) {
            *last = Some((record.timestamp, failure));
        }
    }
}

impl Follower for GateFollower {
    fn begin(&mut self, acts: &Acts) {
        self.gate().begin(acts.settings.budgets());
    }

    fn apply(&mut self, record: &UsageRecord<'_>) {
        self.note_failure(record);
        if record.estimated.is_some() {
            self.calibration.lock().expect(UNPOISONED).apply(record);
        }
        let now = self.clock.now();
        self.recent.lock().expect(UNPOISONED).apply(record, now.at);
        self.gate().apply(record, now);
    }

    fn save(&self) -> serde_json::Value {
        let now = self.clock.now();
        let mut saved = self.gate().save(now);
        let mut calibration = self.calibration.lock().expect(UNPOISONED);
        calibration.forget(now.at.day());
        if !calibration.is_empty() {
            saved[CALIBRATION] = serde_json::to_value(&*calibration).expect("sums and names can be written as JSON");
        }
        saved
    }

    fn restore(&mut self, saved: &serde_json::Value) -> bool {
        let Some(calibration) = calibration_in(saved) else { return false };
        let is_restored = self.gate().restore(saved, self.clock.now());
        if is_restored {
            *self.calibration.lock().expect(UNPOISONED) = calibration.unwrap_or_default();
        }
        is_restored
    }

    fn horizon(&self) -> Timestamp {
        let now = self.clock.now();
        self.gate().horizon(now).min(now.at.plus_micros(-HORIZON_MICROS))
    }

    fn compare(&self, saved: &serde_json::Value) -> FollowerCheck {
        let now = self.clock.now();
        let Compared { rules, left_out, mut differences } = self.gate().compare(saved, now);
        if let Some(Some(saved)) = calibration_in(saved) {
            let since = now.at.day().plus(-DAYS_COMPARED);
            differences.extend(self.calibration.lock().expect(UNPOISONED).differences(&saved, since));
        }
        FollowerCheck { compared: rules, left_out, differences }
    }
}

const UNPOISONED: &str = "nothing under these locks panics";

/// The calibration of a saved state; `Some(None)` when it is from before there was one, `None` when it is unreadable.
fn calibration_in(saved: &serde_json::Value) -> Option<Option<Calibration>> {
    saved.get(CALIBRATION).map(Calibration::deserialize).transpose().ok()
}
