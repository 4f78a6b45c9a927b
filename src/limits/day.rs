//! Calendar days of a time zone as spans of real time: they tile the timeline, whatever the zone does to its clocks.

use chrono::{NaiveDateTime, NaiveTime};

use crate::usage::{Day, Zone};

/// One calendar day of a zone, from its first instant up to the first instant of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySpan {
    /// Which day.
    pub day: Day,
    /// Its first instant, in microseconds since 1970.
    pub start_micros: i64,
    /// The first instant of the next day; 23 to 25 hours later as a rule.
    pub end_micros: i64,
}

impl DaySpan {
    /// The day in `zone` to which an instant belongs.
    ///
    /// A day begins at the first instant that shows its date. Where clocks go back across midnight, the hour that shows
    /// yesterday's date again belongs to today: a day that has ended never opens again.
    pub fn at(zone: Zone, unix_micros: i64) -> DaySpan {
        let mut day = date_shown(zone, unix_micros);
        let mut start_micros = first_instant(zone, day);
        loop {
            let end_micros = first_instant(zone, day.plus(1));
            if unix_micros < end_micros {
                return DaySpan { day, start_micros, end_micros };
            }
            day = day.plus(1);
            start_micros = end_micros;
        }
    }

    /// Whether the instant lies in this day.
    pub fn contains(&self, unix_micros: i64) -> bool {
        (self.start_micros..self.end_micros).contains(&unix_micros)
    }
}

/// The date that clocks in `zone` show at an instant.
fn date_shown(zone: Zone, unix_micros: i64) -> Day {
    let shown_secs = unix_micros.div_euclid(1_000_000) + i64::from(zone.offset_secs(unix_micros));
    Day(shown_secs.div_euclid(86_400) as i32)
}

/// The first instant at which clocks in `zone` show `day` or a later date (where a zone skips a day or its midnight).
pub(super) fn first_instant(zone: Zone, day: Day) -> i64 {
    let midnight = day.date().and_time(NaiveTime::MIN);
    let found = zone.instants(midnight).map(|(first, last)| [first, last]);
    let found = found.into_iter().flatten().find(|micros| date_shown(zone, *micros) >= day);
    found.unwrap_or_else(|| end_of_gap(zone, day, midnight))
}

/// The moment at which a zone jumps over `midnight`, by bisection: offsets from UTC stay below sixteen hours.
fn end_of_gap(zone: Zone, day: Day, midnight: NaiveDateTime) -> i64 {
    const WIDEST_OFFSET_SECS: i64 = 16 * 3600;
    let middle = midnight.and_utc().timestamp();
    let (mut before, mut after) = (middle - WIDEST_OFFSET_SECS, middle + WIDEST_OFFSET_SECS);
    while after - before > 1 {
        let probe = before + (after - before) / 2;
        if date_shown(zone, probe * 1_000_000) < day {
            before = probe;
        } else {
            after = probe;
        }
    }
    after * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Timestamp, zone, zones};

    fn micros(text: &str) -> i64 {
        Timestamp::parse(text).expect("a time").unix_micros()
    }

    fn hours(zone: Zone, at: &str) -> (String, i64) {
        let span = DaySpan::at(zone, micros(at));
        (span.day.to_string(), (span.end_micros - span.start_micros) / 60_000_000)
    }

    #[test]
    fn days_have_23_to_25_hours_where_clocks_change() {
        assert_eq!(hours(zone("America/Los_Angeles"), "2026-03-08T12:00:00-07:00"), ("2026-03-08".into(), 23 * 60));
        assert_eq!(hours(zone("America/Los_Angeles"), "2026-11-01T12:00:00-08:00"), ("2026-11-01".into(), 25 * 60));
        assert_eq!(
            hours(zone("Australia/Lord_Howe"), "2026-04-05T12:00:00+10:30"),
            ("2026-04-05".into(), 24 * 60 + 30)
        );
        assert_eq!(
            hours(zone("Australia/Lord_Howe"), "2026-10-04T12:00:00+11:00"),
            ("2026-10-04".into(), 24 * 60 - 30)
        );
    }

    #[test]
    fn a_missing_midnight_and_a_missing_day_begin_where_clocks_jump() {
        let spring = DaySpan::at(zone("Africa/Cairo"), micros("2026-04-24T12:00:00+03:00"));
        assert_eq!(spring.start_micros, micros("2026-04-24T01:00:00+03:00"));
        assert_eq!(hours(zone("Africa/Cairo"), "2026-04-24T12:00:00+03:00").1, 23 * 60);
        assert_eq!(hours(zone("Africa/Cairo"), "2026-10-29T12:00:00+03:00").1, 25 * 60);
        let last = DaySpan::at(zone("Pacific/Apia"), micros("2011-12-30T09:59:59Z"));
        let next = DaySpan::at(zone("Pacific/Apia"), last.end_micros);
        assert_eq!((last.day.to_string(), next.day.to_string()), ("2011-12-29".into(), "2011-12-31".into()));
    }

    #[test]
    fn an_hour_that_shows_yesterday_again_belongs_to_today() {
        let zone = zone("America/St_Johns"); // went back from 00:01 to 23:01 in these years
        let first = micros("2010-11-07T00:00:30-02:30");
        let again = micros("2010-11-06T23:30:00-03:30");
        assert!(again > first);
        assert_eq!(DaySpan::at(zone, first), DaySpan::at(zone, again));
        assert_eq!(DaySpan::at(zone, first).day.to_string(), "2010-11-07");
    }

    #[test]
    fn d3_days_tile_the_timeline_in_every_zone() {
        for zone in zones() {
            let mut span = DaySpan::at(zone, micros("2026-01-01T12:00:00Z"));
            for _ in 0..370 {
                assert_eq!(DaySpan::at(zone, span.end_micros - 1), span, "{zone}");
                let next = DaySpan::at(zone, span.end_micros);
                assert_eq!((next.day, next.start_micros), (span.day.plus(1), span.end_micros), "{zone}");
                span = next;
            }
        }
    }
}
