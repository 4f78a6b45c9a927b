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
    /// By how much wall time is ahead of the tick, as last seen.
    ahead_micros: AtomicI64,
}

/// Wall time that moves by more than this against the tick was set, or the machine slept.
const JUMP_MICROS: i64 = 3_600_000_000;

impl SystemClock {
    /// A clock that starts now.
    pub fn new(zone: Tz) -> SystemClock {
        SystemClock {
            zone,
            started: Instant::now(),
            latest_micros: AtomicI64::new(0),
            ahead_micros: AtomicI64::new(wall_micros()),
        }
    }

    /// Says it in the log, once, when the wall clock jumped.
    fn watch(&self, wall: i64, tick: Tick) {
        let before = self.ahead_micros.load(Ordering::Relaxed);
        let Some(ahead) = jumped(before, wall, tick) else { return };
        if self.ahead_micros.compare_exchange(before, ahead, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let secs = (ahead - before) / 1_000_000;
        if secs > 0 {
            tracing::warn!(secs, "the clock went ahead: it was set, or the machine slept");
        } else {
            tracing::warn!(secs, "the clock went back: times stand still until it catches up, or until a restart");
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let wall = wall_micros();
        let tick = Tick(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX));
        self.watch(wall, tick);
        let micros = self.latest_micros.fetch_max(wall, Ordering::Relaxed).max(wall);
        Now { at: Timestamp::in_zone(micros, &self.zone), tick }
    }
}

fn wall_micros() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

/// By how much wall time is ahead of the tick now, if it jumped since it was ahead by `before`.
fn jumped(before: i64, wall: i64, tick: Tick) -> Option<i64> {
    let ahead = wall.saturating_sub(i64::try_from(tick.0).unwrap_or(i64::MAX));
    (ahead.saturating_sub(before).saturating_abs() > JUMP_MICROS).then_some(ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn d2_a_clock_that_jumps_is_noticed_and_one_that_drifts_is_not() {
        let began = 1_795_305_600_000_000;
        let tick = Tick(600_000_000);
        assert_eq!(jumped(began, began + 600_000_000, tick), None);
        assert_eq!(jumped(began, began + 600_000_000 + HOUR, tick), None, "an hour is summer time done wrong");
        for jump in [2 * HOUR, 365 * 24 * HOUR, -2 * HOUR] {
            let ahead = jumped(began, began + 600_000_000 + jump, tick).expect("noticed");
            assert_eq!(ahead, began + jump);
            assert_eq!(jumped(ahead, began + 601_000_000 + jump, Tick(601_000_000)), None, "once");
        }
    }

    #[test]
    fn d1_the_clock_never_goes_back() {
        let clock = SystemClock::new(Tz::UTC);
        let tomorrow = wall_micros() + 24 * HOUR;
        clock.latest_micros.store(tomorrow, Ordering::Relaxed);
        assert_eq!(clock.now().at.unix_micros(), tomorrow);
    }

    /// What the day and hour of a record say is what the zone's clocks said, to the minute, in every zone there is.
    #[test]
    fn d3_a_record_shows_the_local_day_and_hour_of_every_zone() {
        use chrono::{DateTime, Datelike, TimeZone, Timelike};
        for zone in chrono_tz::TZ_VARIANTS {
            for step in 0..(366 * 48 / 15) {
                let micros = 1_767_225_600_000_000 + step * 15 * HOUR / 2;
                let at = Timestamp::in_zone(micros, &zone);
                let local =
                    zone.from_utc_datetime(&DateTime::from_timestamp_micros(micros).expect("a time").naive_utc());
                let date = at.day().date();
                assert_eq!((date.year(), date.ordinal()), (local.year(), local.ordinal()), "{zone} {at}");
                assert_eq!(u32::from(at.hour()), local.hour(), "{zone} {at}");
            }
        }
    }
}
