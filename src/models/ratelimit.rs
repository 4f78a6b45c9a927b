//! What a provider's headers say about its limits and about waiting. Plain data out, no clock in.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use http::HeaderMap;

/// Limits and waits as the provider states them, kept beside our own counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Its window of requests.
    pub requests: Window,
    /// Its window of tokens.
    pub tokens: Window,
    /// How long it asks to wait before the next try.
    pub retry_after: Option<Duration>,
    /// Whether it wants this very request to be tried again (`x-should-retry`).
    pub should_retry: Option<bool>,
}

/// One of the provider's windows. What it does not say, or fills with a placeholder, is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The most that is allowed.
    pub limit: Option<u64>,
    /// What is left of it.
    pub remaining: Option<u64>,
    /// Until the window is full again. Not a time to wait.
    pub resets_in: Option<Duration>,
}

impl Observed {
    /// Reads `x-ratelimit-*`, `retry-after-ms`, `retry-after` and `x-should-retry`.
    ///
    /// A `retry-after` that is a date is measured from the answer's own `date`, so that neither our clock nor a
    /// difference between two clocks matters.
    pub fn from_headers(headers: &HeaderMap) -> Observed {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        // A thousandth of a millisecond is a microsecond.
        let milliseconds = || text("retry-after-ms").and_then(thousandths).map(Duration::from_micros);
        let until_date = || {
            let (until, now) = (http_date(text("retry-after")?)?, http_date(text("date")?)?);
            Some(Duration::from_secs(u64::try_from(until - now).unwrap_or(0)))
        };
        Observed {
            requests: Window::read(&text, "requests"),
            tokens: Window::read(&text, "tokens"),
            retry_after: milliseconds()
                .or_else(|| text("retry-after").and_then(duration))
                .or_else(until_date)
                .or_else(|| text("x-ratelimit-timeremaining").and_then(duration)),
            should_retry: match text("x-should-retry") {
                Some("true") => Some(true),
                Some("false") => Some(false),
                _ => None,
            },
        }
    }
}

impl Window {
    fn read<'a>(text: &impl Fn(&str) -> Option<&'a str>, what: &str) -> Window {
        let number = |field: &str| text(&format!("x-ratelimit-{field}-{what}")).and_then(|text| text.parse().ok());
        let limit: Option<u64> = number("limit").filter(|&limit| limit > 0);
        let remaining: Option<u64> = number("remaining");
        // Some hosts send −1 and 0 where they have nothing to say: an empty window without a limit is no news.
        let remaining = remaining.filter(|&remaining| limit.is_some() || remaining > 0);
        let resets_in = text(&format!("x-ratelimit-reset-{what}")).and_then(duration);
        let resets_in = resets_in.filter(|resets_in| limit.is_some() || !resets_in.is_zero());
        Window { limit, remaining, resets_in }
    }
}

/// Reads `12ms`, `1.5s`, `6m0s`, `1h2m`, and a bare number as seconds.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_len);
        let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let micros_per_unit = match unit {
            "ms" => 1_000,
            "" | "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            _ => return None,
        };
        let micros = u128::from(thousandths(number)?) * micros_per_unit / 1000;
        total = total.checked_add(Duration::from_micros(u64::try_from(micros).ok()?))?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// A decimal number in thousandths; further digits are dropped.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(fraction)
}

/// An HTTP date in any of its three forms, in seconds since 1970.
fn http_date(text: &str) -> Option<i64> {
    if let Ok(date) = DateTime::parse_from_rfc2822(text) {
        return Some(date.timestamp());
    }
    ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|date| date.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(headers: &[(&'static str, &'static str)]) -> Observed {
        let pairs = headers
            .iter()
            .map(|&(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)));
        Observed::from_headers(&pairs.collect())
    }

    fn wait(headers: &[(&'static str, &'static str)]) -> Option<Duration> {
        observed(headers).retry_after
    }

    const MS: fn(u64) -> Option<Duration> = |ms| Some(Duration::from_millis(ms));

    #[test]
    fn durations_in_every_spelling() {
        assert_eq!(duration("12ms"), MS(12));
        assert_eq!(duration("1s"), MS(1_000));
        assert_eq!(duration("7.66s"), MS(7_660));
        assert_eq!(duration("6m0s"), MS(360_000));
        assert_eq!(duration("1h2m3s"), MS(3_723_000));
        assert_eq!(duration("59"), MS(59_000));
        for nonsense in ["", "-1", "s", "1x", "1 s", "99999999999999999999", "184467440737095d"] {
            assert_eq!(duration(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_wait_in_seconds_milliseconds_or_as_a_date() {
        assert_eq!(wait(&[("retry-after", "2")]), MS(2_000));
        assert_eq!(wait(&[("retry-after", "1000000000")]), MS(1_000_000_000_000));
        assert_eq!(wait(&[("retry-after", "9"), ("retry-after-ms", "1500.5")]), Some(Duration::from_micros(1_500_500)));
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait(&[date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]), MS(30_000));
        assert_eq!(wait(&[date, ("retry-after", "Sunday, 06-Nov-94 08:50:07 GMT")]), MS(30_000));
        assert_eq!(wait(&[date, ("retry-after", "Sun Nov  6 08:50:07 1994")]), MS(30_000));
        assert_eq!(wait(&[date, ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")]), MS(0));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]), None);
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[("x-ratelimit-timeremaining", "52220")]), MS(52_220_000));
    }

    #[test]
    fn windows_are_read_and_placeholders_are_not() {
        let full = observed(&[
            ("x-ratelimit-limit-requests", "5000"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "12ms"),
            ("x-ratelimit-limit-tokens", "30000"),
            ("x-ratelimit-remaining-tokens", "29000"),
            ("x-ratelimit-reset-tokens", "6m0s"),
            ("x-should-retry", "false"),
        ]);
        assert_eq!(full.requests, Window { limit: Some(5000), remaining: Some(0), resets_in: MS(12) });
        assert_eq!(full.tokens, Window { limit: Some(30000), remaining: Some(29000), resets_in: MS(360_000) });
        assert_eq!(full.should_retry, Some(false));
        let placeholders = observed(&[
            ("x-ratelimit-limit-requests", "-1"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "0"),
            ("x-ratelimit-remaining-tokens", "-1"),
        ]);
        assert_eq!(placeholders, Observed::default());
    }
}
