//! The only clock: the system's, made so that wall time never goes back.

#![expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clocks")]

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use chrono_tz::Tz;

use crate::usage::{Clock, Now, Tick, Timestamp};

/// The system's clocks, in the owner's zone.
pub struct SystemClock {
    zone: Tz,
    started: Instant,
    latest_micros: AtomicI64,
}

impl SystemClock {
    /// A clock that starts now.
    pub fn new(zone: Tz) -> SystemClock {
        SystemClock { zone, started: Instant::now(), latest_micros: AtomicI64::new(0) }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
        let micros = self.latest_micros.fetch_max(micros, Ordering::Relaxed).max(micros);
        let tick = Tick(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX));
        Now { at: Timestamp::in_zone(micros, &self.zone), tick }
    }
}
