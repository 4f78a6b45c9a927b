//! The only clock: the system's, made so that wall time never goes back.

#![expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clocks")]

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::usage::{Clock, Now, Tick, Timestamp, Zone};

/// The system's clocks, in the owner's zone.
pub struct SystemClock {
    zone: Zone,
    started: Instant,
    latest_micros: AtomicI64,
    /// By how much wall time is ahead of the tick, as last seen.
    ahead_micros: AtomicI64,
    offset: KnownOffset,
}

/// Wall time that moves by more than this against the tick was set, or the machine slept.
const JUMP_MICROS: i64 = 3_600_000_000;

impl SystemClock {
    /// A clock that starts now.
    pub fn new(zone: Zone) -> SystemClock {
        SystemClock {
            zone,
            started: Instant::now(),
            latest_micros: AtomicI64::new(0),
            ahead_micros: AtomicI64::new(wall_micros()),
            offset: KnownOffset::none(),
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
        Now { at: Timestamp::new(micros, self.offset.at(micros, self.zone)), tick }
    }
}

/// The offset of the quarter of an hour last asked about: to look into a zone's history takes longer than to read the
/// clock. A quarter within which the offset changes is never kept.
struct KnownOffset(AtomicI64);

const QUARTER_MICROS: i64 = 15 * 60 * 1_000_000;

impl KnownOffset {
    /// Beyond any offset in seconds: a quarter and its offset are one number, so that they are always of each other.
    const OFFSETS: i64 = 1 << 20;

    /// Of a quarter before 1970: no clock shows it.
    fn none() -> KnownOffset {
        KnownOffset(AtomicI64::new(-1))
    }

    /// Seconds east of UTC.
    fn at(&self, micros: i64, zone: Zone) -> i32 {
        let quarter = micros.div_euclid(QUARTER_MICROS);
        let known = self.0.load(Ordering::Relaxed);
        if known.div_euclid(KnownOffset::OFFSETS) == quarter {
            return (known.rem_euclid(KnownOffset::OFFSETS) - KnownOffset::OFFSETS / 2) as i32;
        }
        let offset_at = |micros| Timestamp::in_zone(micros, zone).offset_secs();
        let (first, last) = (offset_at(quarter * QUARTER_MICROS), offset_at((quarter + 1) * QUARTER_MICROS - 1));
        if first != last {
            return offset_at(micros);
        }
        let known = quarter * KnownOffset::OFFSETS + i64::from(first) + KnownOffset::OFFSETS / 2;
        self.0.store(known, Ordering::Relaxed);
        first
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
    use crate::usage::{zone, zones};

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
        let clock = SystemClock::new(Zone::UTC);
        let tomorrow = wall_micros() + 24 * HOUR;
        clock.latest_micros.store(tomorrow, Ordering::Relaxed);
        assert_eq!(clock.now().at.unix_micros(), tomorrow);
    }

    #[test]
    fn d3_the_offset_of_a_quarter_of_an_hour_is_the_zones_at_every_moment_of_it() {
        let names = ["America/New_York", "America/St_Johns", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Chatham"];
        for zone in names.map(zone).into_iter().chain([Zone::UTC]) {
            let known = KnownOffset::none();
            for step in 0..366 * 24 * 4 {
                let begin = 1_767_225_600_000_000 + step * QUARTER_MICROS;
                for micros in [begin, begin + 1, begin + QUARTER_MICROS - 1] {
                    let offset = Timestamp::in_zone(micros, zone).offset_secs();
                    assert_eq!(known.at(micros, zone), offset, "{zone} {micros}");
                }
            }
        }
        // Where a clock was put forward within a quarter: in Monrovia, by 44 minutes and 30 seconds in January 1972.
        let (zone, known) = (zone("Africa/Monrovia"), KnownOffset::none());
        for second in 0..2 * 86_400 {
            let micros = 63_504_000_000_000 + second * 1_000_000;
            assert_eq!(known.at(micros, zone), Timestamp::in_zone(micros, zone).offset_secs(), "{second}");
        }
    }

    /// What the day and hour of a record say is what the zone's clocks said, to the minute, in every zone there is.
    #[test]
    fn d3_a_record_shows_the_local_day_and_hour_of_every_zone() {
        use chrono::{DateTime, Datelike, TimeDelta, Timelike};
        for zone in zones() {
            for step in 0..(366 * 48 / 15) {
                let micros = 1_767_225_600_000_000 + step * 15 * HOUR / 2;
                let at = Timestamp::in_zone(micros, zone);
                let utc = DateTime::from_timestamp_micros(micros).expect("a time").naive_utc();
                let local = utc + TimeDelta::seconds(zone.offset_secs(micros).into());
                let date = at.day().date();
                assert_eq!((date.year(), date.ordinal()), (local.year(), local.ordinal()), "{zone} {at}");
                assert_eq!(u32::from(at.hour()), local.hour(), "{zone} {at}");
            }
        }
    }
}
