//! One row of a price list, as the bundled list and an owner's `[[prices]]` write it. Data only; look-up is elsewhere.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Price, Tier};
use crate::usage::{Day, Timestamp};

/// What one model of one vendor costs, for whom and for how long it holds. All prices are US dollars per million tokens.
///
/// ```toml
/// [[prices]]
/// vendor = "openai"          # left out: whoever serves the model
/// model = "gpt-4o"           # `gpt-4o*` stands for every name that begins so
/// input = "2.00"
/// output = "8.00"
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceRow {
    /// Who bills: `openai`, `anthropic`, `google`, … `None` stands for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The model's exact name; with a trailing `*`, every name that begins so.
    pub model: String,
    /// Other names of the same row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// The service tier it prices; `None` prices every tier as it stands (in the bundled list: standard).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Counts for prompts of more than this many tokens (fresh, read and written together), for the whole request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<u64>,
    /// The hours in which it counts; then it wins over a row without hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<Peak>,
    /// Days (UTC) on which `peak` has no hours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peak_except: Vec<Day>,
    /// The first moment it counts. In a file: `2026-12-01` (00:00 UTC) or a time with its offset.
    #[serde(default, deserialize_with = "read_instant", skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The first moment it no longer counts.
    #[serde(default, deserialize_with = "read_instant", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Input that was neither read from a cache nor written to one.
    pub input: Price,
    /// Input read from a cache; `None` when reads are billed as input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Price>,
    /// Input written to a cache for minutes; `None` with `cache_write_1h` also `None`: writes are billed as input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Price>,
    /// Input written to a cache for an hour or more; `None` beside a `cache_write`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<Price>,
    /// Output, reasoning included; `None` when the model gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Price>,
    /// Others serve a model of this name at other prices: counts only where the vendor is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_named: bool,
    /// How far the price can be trusted.
    #[serde(default)]
    pub status: PriceStatus,
    /// The day on which the vendor stops serving the model, where it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<Day>,
    /// Where the price was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The day of that source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<Day>,
    /// Anything else worth knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How far a price can be trusted, and whether the model can still be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceStatus {
    /// The vendor's price of a model it serves.
    #[default]
    Live,
    /// The last price of a model that is gone.
    Retired,
    /// Not confirmed by the vendor.
    Estimate,
    /// Replaced by a later price of the same model.
    Historic,
}

impl PriceRow {
    /// A row that holds for ever, for everybody and for every tier: set what differs.
    pub fn new(model: impl Into<String>, input: Price, output: Option<Price>) -> PriceRow {
        PriceRow {
            vendor: None,
            model: model.into(),
            also: Vec::new(),
            tier: None,
            above: None,
            peak: None,
            peak_except: Vec::new(),
            from: None,
            until: None,
            input,
            cache_read: None,
            cache_write: None,
            cache_write_1h: None,
            output,
            only_named: false,
            status: PriceStatus::Live,
            off: None,
            source: None,
            checked: None,
            note: None,
        }
    }

    /// Every name the row answers to.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.model.as_str()).chain(self.also.iter().map(String::as_str))
    }

    /// Whether the row counts at this moment for a prompt of this size.
    pub(super) fn counts(&self, at: Timestamp, prompt_tokens: u64) -> bool {
        self.counts_at_any_hour(at, prompt_tokens)
            && self.peak.as_ref().is_none_or(|peak| peak.contains(at) && !self.peak_except.contains(&utc_day(at)))
    }

    /// The same, whatever the hour of the week is.
    pub(super) fn counts_at_any_hour(&self, at: Timestamp, prompt_tokens: u64) -> bool {
        self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
            && self.above.is_none_or(|above| prompt_tokens > above)
    }
}

fn utc_day(at: Timestamp) -> Day {
    at.with_offset(0).day()
}

/// Reads `2026-12-01` as its first moment in UTC, or a time with its offset.
pub(super) fn read_instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match Day::parse(&text) {
        Some(day) => Ok(Some(Timestamp::new(i64::from(day.0) * 86_400_000_000, 0))),
        None => Timestamp::parse(&text).map(Some).map_err(|_| {
            serde::de::Error::custom(format!(
                "`{}` is not a moment; expected a day such as `2026-12-01` or a time such as `2026-12-01T00:00:00Z`",
                text.chars().take(40).collect::<String>()
            ))
        }),
    }
}

/// Hours of the week, in UTC. Written `Mon-Fri 01:00-04:00 06:00-10:00`; the end of a span is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peak {
    first_weekday: u8,
    last_weekday: u8,
    /// Minutes of the day, first and first-not.
    spans: Vec<(u16, u16)>,
}

/// A text that is not hours of the week.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` are not hours of the week; expected for example `Mon-Fri 01:00-04:00 06:00-10:00` (UTC)")]
pub struct PeakError(pub String);

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Peak {
    /// Reads hours of the week.
    ///
    /// # Errors
    /// When a weekday or an hour is not one, or a span ends before it begins.
    pub fn parse(text: &str) -> Result<Peak, PeakError> {
        parse_peak(text).ok_or_else(|| PeakError(text.chars().take(60).collect()))
    }

    /// Whether the moment lies within the hours.
    pub fn contains(&self, at: Timestamp) -> bool {
        let minutes = at.unix_micros().div_euclid(60_000_000);
        // 1970-01-01 was a Thursday.
        let weekday = (minutes.div_euclid(1440) + 3).rem_euclid(7) as u8;
        let minute = minutes.rem_euclid(1440) as u16;
        (self.first_weekday..=self.last_weekday).contains(&weekday)
            && self.spans.iter().any(|(from, until)| (*from..*until).contains(&minute))
    }
}

fn parse_peak(text: &str) -> Option<Peak> {
    let mut parts = text.split_whitespace();
    let (first, last) = parts.next()?.split_once('-')?;
    let weekday = |name: &str| WEEKDAYS.iter().position(|known| *known == name).map(|at| at as u8);
    let (first_weekday, last_weekday) = (weekday(first)?, weekday(last)?);
    let spans: Vec<(u16, u16)> = parts.map(parse_span).collect::<Option<_>>()?;
    (first_weekday <= last_weekday && !spans.is_empty()).then_some(Peak { first_weekday, last_weekday, spans })
}

fn parse_span(text: &str) -> Option<(u16, u16)> {
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !two_digits(hour) || !two_digits(minute) {
            return None;
        }
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (minute < 60 && hour * 60 + minute <= 1440).then_some(hour * 60 + minute)
    };
    let (from, until) = text.split_once('-')?;
    let (from, until) = (minute(from)?, minute(until)?);
    (from < until).then_some((from, until))
}

impl std::fmt::Display for Peak {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", WEEKDAYS[usize::from(self.first_weekday)], WEEKDAYS[usize::from(self.last_weekday)])?;
        for (from, until) in &self.spans {
            write!(f, " {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)?;
        }
        Ok(())
    }
}

impl Serialize for Peak {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Peak {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Peak::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_of_the_week_are_read_and_written_alike() {
        let text = "Mon-Fri 01:00-04:00 06:00-10:00";
        assert_eq!(Peak::parse(text).map(|peak| peak.to_string()).as_deref(), Ok(text));
        assert!(Peak::parse("Sun-Sun 00:00-24:00").is_ok());
        for text in
            ["", "Mon-Fri", "Fri-Mon 01:00-02:00", "Mon-Fri 04:00-01:00", "Mon-Fri 1:00-2:00", "Mon-Fri 23:00-24:01"]
        {
            assert!(Peak::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_row_refuses_unknown_keys_and_moments_that_are_none() {
        let read = |text: &str| toml::from_str::<PriceRow>(text);
        assert!(read("model = \"m\"\ninput = \"1\"\nfrom = \"2026-12-01T00:00:00+08:00\"").is_ok());
        assert!(
            read("model = \"m\"\ninput = \"1\"\nuntil = \"soon\"").is_err_and(|e| e.to_string().contains("2026-12-01"))
        );
        assert!(read("model = \"m\"\ninput = \"1\"\nprice = \"1\"").is_err());
    }
}
