//! What a provider says about its limits and about waiting, in headers and in error bodies. Plain data out, no clock in:
//! times are measured from the answer's own `date`, so that neither our clock nor a difference between two matters.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, NaiveTime};
use http::{HeaderMap, HeaderName, header};

use super::failure::ErrorBody;
use crate::usage::{Timestamp, Zone};

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
    /// When it answered, in seconds since 1970 by its own clock.
    pub answered_at: Option<i64>,
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

/// The headers of one window.
struct Names {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

impl Names {
    const fn of(limit: &'static str, remaining: &'static str, reset: &'static str) -> Names {
        Names {
            limit: HeaderName::from_static(limit),
            remaining: HeaderName::from_static(remaining),
            reset: HeaderName::from_static(reset),
        }
    }
}

macro_rules! openai {
    ($what:literal) => {
        Names::of(
            concat!("x-ratelimit-limit-", $what),
            concat!("x-ratelimit-remaining-", $what),
            concat!("x-ratelimit-reset-", $what),
        )
    };
}

macro_rules! anthropic {
    ($what:literal) => {
        Names::of(
            concat!("anthropic-ratelimit-", $what, "-limit"),
            concat!("anthropic-ratelimit-", $what, "-remaining"),
            concat!("anthropic-ratelimit-", $what, "-reset"),
        )
    };
}

static OPENAI_REQUESTS: Names = openai!("requests");
static OPENAI_TOKENS: Names = openai!("tokens");
static ANTHROPIC_REQUESTS: [Names; 1] = [anthropic!("requests")];
/// Where there is a limit on both together it is the most restrictive one in force.
static ANTHROPIC_TOKENS: [Names; 3] = [anthropic!("tokens"), anthropic!("input-tokens"), anthropic!("output-tokens")];
static RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
static TIME_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-timeremaining");
static SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

impl Observed {
    /// Reads `x-ratelimit-*`, `anthropic-ratelimit-*`, `retry-after-ms`, `retry-after` and `x-should-retry`.
    pub fn from_headers(headers: &HeaderMap) -> Observed {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        // A thousandth of a millisecond is a microsecond.
        let milliseconds = || text(&RETRY_AFTER_MS).and_then(thousandths).map(Duration::from_micros);
        let answered_at = text(&header::DATE).and_then(http_date);
        let until_date = || seconds_until(http_date(text(&header::RETRY_AFTER)?)?, answered_at?);
        let window = |openai: &Names, anthropic: &[Names]| {
            let anthropic = anthropic.iter().map(|names| Window::read_anthropic(&text, names, answered_at));
            let mut windows = std::iter::once_with(|| Window::read(&text, openai)).chain(anthropic);
            windows.find(|window| *window != Window::default()).unwrap_or_default()
        };
        Observed {
            requests: window(&OPENAI_REQUESTS, &ANTHROPIC_REQUESTS),
            tokens: window(&OPENAI_TOKENS, &ANTHROPIC_TOKENS),
            retry_after: milliseconds()
                .or_else(|| text(&header::RETRY_AFTER).and_then(duration))
                .or_else(until_date)
                .or_else(|| text(&TIME_REMAINING).and_then(duration)),
            should_retry: match text(&SHOULD_RETRY) {
                Some("true") => Some(true),
                Some("false") => Some(false),
                _ => None,
            },
            answered_at,
        }
    }

    /// Whether any header is one of those that are read. Cheaper than reading them: most answers have none.
    pub fn is_told_in(headers: &HeaderMap) -> bool {
        const BEGINNINGS: [&str; 4] = ["x-ratelimit-", "anthropic-ratelimit-", "retry-after", "x-should-retry"];
        headers.keys().any(|name| BEGINNINGS.iter().any(|beginning| name.as_str().starts_with(beginning)))
    }

    /// Takes the wait from an error body where the headers name none. A quota of a day is back at midnight Pacific, when
    /// Google's days begin, whatever shorter wait is named beside it.
    pub(super) fn with_body(self, body: &ErrorBody) -> Observed {
        let until_midnight = || until_midnight_pacific(self.answered_at?);
        let daily = body.is_daily.then(until_midnight).flatten();
        Observed { retry_after: daily.or(self.retry_after).or(body.wait), ..self }
    }
}

fn seconds_until(until: i64, now: i64) -> Option<Duration> {
    Some(Duration::from_secs(u64::try_from(until.checked_sub(now)?).unwrap_or(0)))
}

fn until_midnight_pacific(now: i64) -> Option<Duration> {
    let pacific = Zone::named("America/Los_Angeles")?;
    let today = Timestamp::in_zone(now.checked_mul(1_000_000)?, pacific).day();
    let (midnight, _) = pacific.instants(today.plus(1).date().and_time(NaiveTime::MIN))?;
    seconds_until(midnight / 1_000_000, now)
}

/// The wait that an error message speaks of (in lower case): OpenAI's `please try again in 1m26.4s`, GitHub's `please
/// wait 52220 seconds`.
pub(super) fn wait_in_words(message: &str) -> Option<Duration> {
    let after = |words: &str| message.find(words).map(|at| &message[at + words.len()..]);
    let first_word =
        |text: &str| text.split_whitespace().next().map(|word| word.trim_end_matches(['.', ',']).to_owned());
    let compact = || duration(&first_word(after("try again in ")?)?);
    let spelled = || {
        let rest = after("please wait ")?;
        let unit = rest.split_whitespace().nth(1)?.trim_end_matches(['.', ',']);
        let unit = ["second", "minute", "hour"].into_iter().find(|name| unit.trim_end_matches('s') == *name)?;
        duration(&format!("{}{}", first_word(rest)?, &unit[..1]))
    };
    compact().or_else(spelled)
}

/// The wait that Google names in a detail: `37s`, also with a fraction.
pub(super) fn wait_of_google(delay: &str) -> Option<Duration> {
    delay.ends_with('s').then(|| duration(delay)).flatten()
}

impl Window {
    fn read<'a>(text: &impl Fn(&HeaderName) -> Option<&'a str>, names: &Names) -> Window {
        let number = |name| text(name).and_then(|text| text.parse().ok());
        let limit: Option<u64> = number(&names.limit).filter(|&limit| limit > 0);
        let remaining: Option<u64> = number(&names.remaining);
        // Some hosts send −1 and 0 where they have nothing to say: an empty window without a limit is no news.
        let remaining = remaining.filter(|&remaining| limit.is_some() || remaining > 0);
        let resets_in = text(&names.reset).and_then(duration);
        let resets_in = resets_in.filter(|resets_in| limit.is_some() || !resets_in.is_zero());
        Window { limit, remaining, resets_in }
    }

    /// Anthropic's headers, whose resets are moments.
    fn read_anthropic<'a>(
        text: &impl Fn(&HeaderName) -> Option<&'a str>,
        names: &Names,
        answered_at: Option<i64>,
    ) -> Window {
        let number = |name| text(name).and_then(|text| text.parse().ok());
        let resets_in = || {
            let until = DateTime::parse_from_rfc3339(text(&names.reset)?).ok()?;
            seconds_until(until.timestamp(), answered_at?)
        };
        Window { limit: number(&names.limit), remaining: number(&names.remaining), resets_in: resets_in() }
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

    #[test]
    fn anthropics_windows_end_at_moments_by_its_own_clock() {
        let date = ("date", "Sun, 22 Nov 2026 14:00:00 GMT");
        let requests = [
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2026-11-22T14:00:02Z"),
            ("anthropic-ratelimit-input-tokens-limit", "30000"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-22T09:01:00-05:00"),
        ];
        let seen = observed(&[&[date][..], &requests].concat());
        assert_eq!(seen.requests, Window { limit: Some(50), remaining: Some(49), resets_in: MS(2_000) });
        assert_eq!(seen.tokens, Window { limit: Some(30_000), remaining: Some(0), resets_in: MS(60_000) });
        let both = [("anthropic-ratelimit-tokens-limit", "10"), ("anthropic-ratelimit-tokens-remaining", "3")];
        let seen = observed(&[&requests[..], &both].concat());
        assert_eq!(seen.requests.resets_in, None, "without a date nobody knows how far that is");
        assert_eq!(seen.tokens, Window { limit: Some(10), remaining: Some(3), resets_in: None });
    }

    #[test]
    fn waits_in_words() {
        for (message, wait) in [
            ("limit 30000, used 29000, requested 2000. please try again in 2s.", MS(2_000)),
            ("please try again in 1m26.4s. visit https://platform.example for more", MS(86_400)),
            ("please try again in 20ms.", MS(20)),
            ("please try again in 7m12s, or later", MS(432_000)),
            ("exceeded for userbymodelbyday. please wait 52220 seconds before retrying.", MS(52_220_000)),
            ("please wait 1 second.", MS(1_000)),
            ("please wait 2 minutes.", MS(120_000)),
            ("please try again in a moment", None),
            ("please wait a bit", None),
            ("please wait 99999999999999999999 seconds", None),
            ("please wait ", None),
            ("try again in ", None),
            ("please wait 5 sécondes", None),
        ] {
            assert_eq!(wait_in_words(message), wait, "{message}");
        }
    }

    #[test]
    fn googles_waits_are_in_the_body_and_its_day_ends_at_midnight_pacific() {
        let body = |quota: &str| {
            let details = format!(
                r#"[{{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{{"quotaId":"{quota}"}}]}},
                {{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"37.5s"}}]"#
            );
            let error =
                r#"{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":"#;
            format!(r#"[{{"error":{error}{details}}}}}]"#)
        };
        let minute = ErrorBody::read(body("GenerateRequestsPerMinutePerProjectPerModel-FreeTier").as_bytes());
        let day = ErrorBody::read(body("GenerateRequestsPerDayPerProjectPerModel-FreeTier").as_bytes());
        // Eleven at night on the coast, and the 22nd of November has begun in Greenwich.
        let at = observed(&[("date", "Sun, 22 Nov 2026 07:00:00 GMT")]);
        assert_eq!(at.with_body(&minute).retry_after, MS(37_500));
        assert_eq!(at.with_body(&day).retry_after, MS(3_600_000));
        assert_eq!(Observed::default().with_body(&day).retry_after, MS(37_500), "nobody knows what time it is there");
        let summer = observed(&[("date", "Sun, 01 Nov 2026 07:00:00 GMT")]);
        assert_eq!(summer.with_body(&day).retry_after, MS(24 * 3_600_000 + 3_600_000), "a day of 25 hours");
        let named = observed(&[("retry-after", "9")]);
        assert_eq!(named.with_body(&minute).retry_after, MS(9_000), "headers go first");
    }
}
