//! The gate as it follows the journal: what is settled is exactly what is recorded.

use std::sync::{Arc, Mutex};

use crate::ledger::{Follower, FollowerCheck};
use crate::limits::{Compared, Gate, Rule};
use crate::usage::{Clock, Failure, Kind, Timestamp, UsageRecord};

/// Days of records that limits may still look at: the longest window is a day, in whatever zone.
const HORIZON_MICROS: i64 = 4 * 86_400_000_000;

/// The newest failure that was recorded, and when its call was admitted.
pub(super) type LastFailure = Arc<Mutex<Option<(Timestamp, Failure)>>>;

/// Folds records into the gate, under the journal's lock.
pub(super) struct GateFollower {
    gate: Arc<Mutex<Gate>>,
    clock: Arc<dyn Clock>,
    has_rules: bool,
    last_failure: LastFailure,
}

impl GateFollower {
    pub(super) fn new(
        rules: Vec<Rule>,
        providers: Vec<String>,
        clock: Arc<dyn Clock>,
    ) -> (Arc<Mutex<Gate>>, GateFollower) {
        let has_rules = !rules.is_empty();
        let gate = Arc::new(Mutex::new(Gate::new(rules, providers)));
        (Arc::clone(&gate), GateFollower { gate, clock, has_rules, last_failure: LastFailure::default() })
    }

    /// What is kept of failures from here on.
    pub(super) fn last_failure(&self) -> LastFailure {
        Arc::clone(&self.last_failure)
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
    fn apply(&mut self, record: &UsageRecord<'_>) {
        self.note_failure(record);
        if self.has_rules {
            self.gate.lock().expect("nothing under the gate's lock panics").apply(record, self.clock.now());
        }
    }

    fn save(&self) -> serde_json::Value {
        self.gate.lock().expect("nothing under the gate's lock panics").save(self.clock.now())
    }

    fn restore(&mut self, saved: &serde_json::Value) -> bool {
        self.gate.lock().expect("nothing under the gate's lock panics").restore(saved, self.clock.now())
    }

    fn horizon(&self) -> Timestamp {
        let now = self.clock.now().at;
        now.plus_micros(if self.has_rules { -HORIZON_MICROS } else { HORIZON_MICROS })
    }

    fn compare(&self, saved: &serde_json::Value) -> FollowerCheck {
        let gate = self.gate.lock().expect("nothing under the gate's lock panics");
        let Compared { rules, left_out, differences } = gate.compare(saved, self.clock.now());
        FollowerCheck { compared: rules, left_out, differences }
    }
}
