//! Time as the program sees it: billing days, timestamps with their offset, and a monotonic tick.
//!
//! Time always comes in as an argument; the only implementation of [`Clock`] that reads the system lives in `app`.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Zone;

/// Gives the current time. Implemented once over the system clocks (in `app`), and by fixed clocks in tests.
pub trait Clock: Send + Sync {
    /// The wall time, which never goes back, together with the monotonic tick.
    fn now(&self) -> Now;
}

/// One moment, seen by both clocks at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall time with the owner's offset at this moment. Never goes back within a process.
    pub at: Timestamp,
    /// Monotonic time; only differences mean anything.
    pub tick: Tick,
}

/// Microseconds of a monotonic clock. Unaffected by changes of the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u64);

impl Tick {
    /// Whole milliseconds from `earlier` to `self`, zero if `earlier` is later.
    pub fn millis_since(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }

    /// The tick so much later.
    pub fn plus(self, later: Duration) -> Tick {
        Tick(self.0.saturating_add(u64::try_from(later.as_micros()).unwrap_or(u64::MAX)))
    }

    /// The one-second bucket this tick falls into.
    pub fn second(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// A calendar day as a count of days since 1970-01-01. Which zone it belongs to is the holder's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// The day of a calendar date; `None` when there is no such date.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Day> {
        NaiveDate::from_ymd_opt(year, month, day).map(Day::from_date)
    }

    /// The day of a chrono date.
    pub fn from_date(date: NaiveDate) -> Day {
        Day(date.num_days_from_ce() - UNIX_EPOCH_DAYS_FROM_CE)
    }

    /// This day as a chrono date (clamped to what chrono can hold, some 262,000 years).
    pub fn date(self) -> NaiveDate {
        NaiveDate::from_num_days_from_ce_opt(self.0.saturating_add(UNIX_EPOCH_DAYS_FROM_CE)).unwrap_or(NaiveDate::MAX)
    }

    /// The day `days` later (earlier when negative).
    pub fn plus(self, days: i32) -> Day {
        Day(self.0.saturating_add(days))
    }

    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Day> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let number = |from: usize, to: usize| digits(&bytes[from..to]);
        Day::from_ymd(number(0, 4)? as i32, number(5, 7)?, number(8, 10)?)
    }
}

const UNIX_EPOCH_DAYS_FROM_CE: i32 = 719_163;

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::text::parsed(deserializer, "a day such as `2026-11-22`", Day::parse)
    }
}

/// A wall time to the microsecond, with the owner's offset from UTC at that moment.
///
/// Ordered and compared by the instant alone.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp {
    unix_micros: i64,
    offset_secs: i32,
}

/// A text that is not a timestamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time; expected for example `2026-11-22T14:03:20.000000-06:00`")]
pub struct TimeError(pub String);

impl Timestamp {
    /// A timestamp from microseconds since 1970 and an offset in seconds east of UTC.
    ///
    /// Clamped to the years 1970 to 9999 and to offsets of whole minutes below a day, so that every timestamp can be
    /// written and read back.
    pub fn new(unix_micros: i64, offset_secs: i32) -> Timestamp {
        const MAX: i64 = 253_402_214_400_000_000; // 9999-12-31T00:00:00Z, a day short of the end for any offset
        let offset_secs = offset_secs.clamp(-86_340, 86_340) / 60 * 60;
        Timestamp { unix_micros: unix_micros.clamp(86_400_000_000, MAX), offset_secs }
    }

    /// Whole seconds from an earlier moment to this one; 0 from a later one.
    pub fn seconds_since(self, earlier: Timestamp) -> u64 {
        u64::try_from((self.unix_micros() - earlier.unix_micros()) / 1_000_000).unwrap_or(0)
    }

    /// An instant with the offset that a zone has at it.
    pub fn in_zone(unix_micros: i64, zone: Zone) -> Timestamp {
        Timestamp::new(unix_micros, zone.offset_secs(unix_micros))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn unix_micros(self) -> i64 {
        self.unix_micros
    }

    /// Seconds east of UTC.
    pub fn offset_secs(self) -> i32 {
        self.offset_secs
    }

    /// The same instant with another offset.
    pub fn with_offset(self, offset_secs: i32) -> Timestamp {
        Timestamp::new(self.unix_micros, offset_secs)
    }

    /// The same instant with the offset that a zone has at it.
    pub fn shown_in(self, zone: Zone) -> Timestamp {
        Timestamp::in_zone(self.unix_micros, zone)
    }

    /// The instant `micros` later (earlier when negative), offset unchanged.
    pub fn plus_micros(self, micros: i64) -> Timestamp {
        Timestamp::new(self.unix_micros.saturating_add(micros), self.offset_secs)
    }

    /// The calendar day written in the timestamp: for a record, its billing day.
    pub fn day(self) -> Day {
        Day(self.local_secs().div_euclid(86_400) as i32)
    }

    /// The hour of that day, 0 to 23.
    pub fn hour(self) -> u8 {
        (self.local_secs().rem_euclid(86_400) / 3600) as u8
    }

    fn local_secs(self) -> i64 {
        self.unix_micros.div_euclid(1_000_000) + i64::from(self.offset_secs)
    }

    /// The text of [`Display`](fmt::Display), as it stands in lines: `YYYY-MM-DDTHH:MM:SS.ffffff±HH:MM`.
    pub(super) fn ascii(self) -> [u8; 32] {
        let mut text = *b"0000-00-00T00:00:00.000000+00:00";
        let date = self.day().date();
        let secs = self.local_secs().rem_euclid(86_400) as u32;
        let offset = self.offset_secs.unsigned_abs() / 60;
        put_digits(&mut text[0..4], date.year().unsigned_abs());
        put_digits(&mut text[5..7], date.month());
        put_digits(&mut text[8..10], date.day());
        put_digits(&mut text[11..13], secs / 3600);
        put_digits(&mut text[14..16], secs / 60 % 60);
        put_digits(&mut text[17..19], secs % 60);
        put_digits(&mut text[20..26], self.unix_micros.rem_euclid(1_000_000) as u32);
        text[26] = if self.offset_secs < 0 { b'-' } else { b'+' };
        put_digits(&mut text[27..29], offset / 60);
        put_digits(&mut text[30..32], offset % 60);
        text
    }

    /// As a chrono value.
    pub fn to_chrono(self) -> DateTime<FixedOffset> {
        let offset = FixedOffset::east_opt(self.offset_secs).expect("clamped below a day when made");
        DateTime::from_timestamp_micros(self.unix_micros)
            .expect("clamped to the years chrono can hold when made")
            .with_timezone(&offset)
    }

    /// Reads RFC 3339. The form we write ourselves takes a fast path.
    pub fn parse(text: &str) -> Result<Timestamp, TimeError> {
        parse_own_form(text.as_bytes())
            .or_else(|| {
                let time = DateTime::parse_from_rfc3339(text).ok()?;
                Some(Timestamp::new(time.timestamp_micros(), time.offset().local_minus_utc()))
            })
            .ok_or_else(|| TimeError(text.chars().take(40).collect()))
    }
}

/// `YYYY-MM-DDTHH:MM:SS.ffffff±HH:MM`, exactly.
fn parse_own_form(b: &[u8]) -> Option<Timestamp> {
    if b.len() != 32 || b[10] != b'T' || b[13] != b':' || b[16] != b':' || b[19] != b'.' || b[29] != b':' {
        return None;
    }
    let text = std::str::from_utf8(&b[..10]).ok()?;
    let day = Day::parse(text)?;
    let (hour, minute, second) = (digits(&b[11..13])?, digits(&b[14..16])?, digits(&b[17..19])?);
    let micros = digits(&b[20..26])?;
    let sign = match b[26] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (offset_hours, offset_minutes) = (digits(&b[27..29])?, digits(&b[30..32])?);
    if hour > 23 || minute > 59 || second > 59 || offset_hours > 23 || offset_minutes > 59 {
        return None;
    }
    let offset_secs = sign * (offset_hours * 3600 + offset_minutes * 60) as i32;
    let local_secs = i64::from(day.0) * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    let unix_micros = (local_secs - i64::from(offset_secs)) * 1_000_000 + i64::from(micros);
    Some(Timestamp::new(unix_micros, offset_secs))
}

fn put_digits(places: &mut [u8], mut value: u32) {
    for place in places.iter_mut().rev() {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0u32, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))
}

impl std::hash::Hash for Timestamp {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.unix_micros.hash(state);
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.unix_micros == other.unix_micros
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.unix_micros.cmp(&other.unix_micros)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.ascii()).expect("digits and signs"))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a time such as `2026-11-22T14:03:20.000000-06:00`";
        super::text::parsed(deserializer, expected, |text| Timestamp::parse(text).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_day_and_hour_are_those_written_in_the_text() {
        let at = Timestamp::parse("2026-02-05T06:01:47.127728-06:00").expect("own form");
        assert_eq!((at.day().to_string().as_str(), at.hour()), ("2026-02-05", 6));
        assert_eq!(at.to_string(), "2026-02-05T06:01:47.127728-06:00");
        let utc = Timestamp::parse("2026-02-05T23:30:00Z").expect("RFC 3339");
        assert_eq!(utc.with_offset(3600).day().to_string(), "2026-02-06");
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in ["", "yesterday", "2026-02-30T00:00:00Z", "2026-02-05T25:00:00.000000+00:00"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(micros in 86_400_000_000i64..253_402_214_400_000_000, minutes in -1439i32..=1439) {
            let at = Timestamp::new(micros, minutes * 60);
            let text = at.to_string();
            let back = Timestamp::parse(&text).expect("own form");
            prop_assert_eq!((back.unix_micros(), back.offset_secs()), (micros, minutes * 60));
            prop_assert_eq!(&text[..10], back.day().to_string());
            prop_assert_eq!(&text[11..13], format!("{:02}", back.hour()));
            prop_assert_eq!(back.to_chrono().timestamp_micros(), micros);
        }
    }
}
