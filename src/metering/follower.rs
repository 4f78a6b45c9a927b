//! The gate as it follows the journal: what is settled is exactly what is recorded.

use std::sync::{Arc, Mutex};

use crate::ledger::{Follower, FollowerCheck};
use crate::limits::{Compared, Gate, Rule};
use crate::usage::{Clock, Timestamp, UsageRecord};

/// Days of records that limits may still look at: the longest window is a day, in whatever zone.
const HORIZON_MICROS: i64 = 4 * 86_400_000_000;

/// Folds records into the gate, under the journal's lock.
pub(super) struct GateFollower {
    gate: Arc<Mutex<Gate>>,
    clock: Arc<dyn Clock>,
    has_rules: bool,
}

impl GateFollower {
    pub(super) fn new(
        rules: Vec<Rule>,
        providers: Vec<String>,
        clock: Arc<dyn Clock>,
    ) -> (Arc<Mutex<Gate>>, GateFollower) {
        let has_rules = !rules.is_empty();
        let gate = Arc::new(Mutex::new(Gate::new(rules, providers)));
        (Arc::clone(&gate), GateFollower { gate, clock, has_rules })
    }
}

impl Follower for GateFollower {
    fn apply(&mut self, record: &UsageRecord<'_>) {
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
