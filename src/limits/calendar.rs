//! Weeks and months as runs of days: each window of a calendar is told by its first day in the zone of its rule.

use chrono::Datelike;

use super::day::{DaySpan, first_instant};
use super::kind::Span;
use crate::usage::{Day, Zone};

/// The windows that a day lies in, each by its first day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dates {
    pub(super) day: Day,
    week: Day,
    month: Day,
}

impl Dates {
    pub(super) fn of(day: Day) -> Dates {
        let since_monday = (day.0 + 3).rem_euclid(7); // day 0 was a Thursday
        let in_month = i32::try_from(day.date().day0()).unwrap_or_default();
        Dates { day, week: day.plus(-since_monday), month: day.plus(-in_month) }
    }

    /// The dates of an instant in a zone.
    pub(super) fn at(zone: Zone, unix_micros: i64) -> Dates {
        Dates::of(DaySpan::at(zone, unix_micros).day)
    }

    /// The first day of the window of a span: of a sliding minute the day it is in, of a prepaid one `since`.
    pub(super) fn first(self, span: Span, since: Option<Day>) -> Day {
        match span {
            Span::Minute | Span::Day => self.day,
            Span::Week => self.week,
            Span::Month => self.month,
            Span::Prepaid => since.unwrap_or_default(),
        }
    }

    /// The first instant after the window of a span, in microseconds since 1970: of a sliding minute that after its
    /// day; `None` where there is no end.
    pub(super) fn end_micros(self, span: Span, zone: Zone) -> Option<i64> {
        let next = match span {
            Span::Minute | Span::Day => self.day.plus(1),
            Span::Week => self.week.plus(7),
            Span::Month => Dates::of(self.month.plus(31)).month,
            Span::Prepaid => return None,
        };
        Some(first_instant(zone, next))
    }
}

/// A zone with the two days last asked for, so that most questions cost two comparisons.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    pub(super) zone: Zone,
    recent: [(DaySpan, Dates); 2],
}

impl Calendar {
    pub(super) fn new(zone: Zone) -> Calendar {
        let never = (DaySpan { day: Day(0), start_micros: 0, end_micros: 0 }, Dates::default());
        Calendar { zone, recent: [never; 2] }
    }

    /// The dates of an instant.
    pub(super) fn at(&mut self, unix_micros: i64) -> Dates {
        self.day(unix_micros).1
    }

    /// The day of an instant, and the dates it has all day.
    pub(super) fn day(&mut self, unix_micros: i64) -> (DaySpan, Dates) {
        if let Some(known) = self.recent.iter().find(|(span, _)| span.contains(unix_micros)) {
            return *known;
        }
        let span = DaySpan::at(self.zone, unix_micros);
        self.recent = [(span, Dates::of(span.day)), self.recent[0]];
        self.recent[0]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::usage::{Timestamp, zone, zones};

    fn day(text: &str) -> Day {
        Day::parse(text).expect("a day")
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        for (of, week, month) in [
            ("2026-11-22", "2026-11-16", "2026-11-01"), // a Sunday
            ("2026-11-23", "2026-11-23", "2026-11-01"),
            ("2026-12-01", "2026-11-30", "2026-12-01"),
            ("2028-02-29", "2028-02-28", "2028-02-01"),
            ("2027-01-03", "2026-12-28", "2027-01-01"),
        ] {
            let dates = Dates::of(day(of));
            assert_eq!((dates.week, dates.month), (day(week), day(month)), "{of}");
        }
    }

    #[test]
    fn a_week_has_as_many_hours_as_its_zone_gives_it() {
        let hours = |zone: Zone, of: &str| {
            let dates = Dates::of(day(of));
            let end = dates.end_micros(Span::Week, zone).expect("weeks end");
            (end - first_instant(zone, dates.week)) / 60_000_000
        };
        assert_eq!(hours(zone("Africa/Cairo"), "2026-04-24"), 167 * 60);
        assert_eq!(hours(zone("Africa/Cairo"), "2026-10-29"), 169 * 60);
        assert_eq!(hours(zone("Australia/Lord_Howe"), "2026-04-05"), 168 * 60 + 30);
        assert_eq!(hours(zone("Pacific/Apia"), "2011-12-31"), 144 * 60); // a Friday that never was
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn d3_weeks_and_months_tile_the_timeline_as_days_do(
            zone in prop_oneof![
                Just(zone("Africa/Cairo")), Just(zone("Australia/Lord_Howe")), Just(zone("Pacific/Apia")),
                Just(zone("America/St_Johns")), Just(Zone::UTC), proptest::sample::select(zones().collect::<Vec<_>>()),
            ],
            micros in 1_200_000_000_000_000i64..2_000_000_000_000_000, // 2008 to 2033
            span in proptest::sample::select(vec![Span::Day, Span::Week, Span::Month]),
        ) {
            let dates = Dates::at(zone, micros);
            let (first, end) = (dates.first(span, None), dates.end_micros(span, zone).expect("it ends"));
            prop_assert!(first_instant(zone, first) <= micros && micros < end);
            let last = Dates::at(zone, end - 1);
            prop_assert_eq!((last.first(span, None), last.end_micros(span, zone)), (first, Some(end)));
            let next = Dates::at(zone, end);
            prop_assert!(next.first(span, None) > first);
            prop_assert_eq!(first_instant(zone, next.first(span, None)), end);
            let mut calendar = Calendar::new(zone);
            prop_assert_eq!([calendar.at(micros), calendar.at(end), calendar.at(micros)], [dates, next, dates]);
        }
    }

    #[test]
    fn a_window_that_went_by_never_opens_again() {
        let zone = zone("America/St_Johns"); // went back from 00:01 to 23:01 on a Sunday, the last one of that month before
        let at = |text: &str| Dates::at(zone, Timestamp::parse(text).expect("a time").unix_micros());
        assert_eq!(at("2010-11-07T00:00:30-02:30"), at("2010-11-06T23:30:00-03:30"));
    }
}
