//! Amounts as they are typed: `$5`, `5,50 $`, `200k`, `1.500.000`, `20%`. Read in one way only, or not at all.

use std::fmt;

use crate::limits::Measure;

/// Units of 10⁻¹² in one: a dollar in pico-dollars, one token or request in what a number is kept in.
const ONE: u128 = 1_000_000_000_000;

/// The most that can be set: requests, tokens, and dollars.
const MAX_REQUESTS: u64 = 1_000_000_000;
const MAX_TOKENS: u64 = 1_000_000_000_000;
const MAX_DOLLARS: u64 = 10_000_000;

/// The longest number that is read, in characters.
const MAX_CHARS: usize = 24;

/// A number as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    reading: Reading,
    /// What a `k` or an `M` behind it says.
    times: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// So many 10⁻¹².
    Exact(u128),
    /// One mark before three digits, as in `1,500`: this if it stands between thousands, a thousandth of it if it begins
    /// a fraction.
    TwoWays(u128),
}

/// Why a number is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountProblem {
    /// It can be read in two ways.
    TwoWays,
    /// There are no parts of requests and tokens.
    NotWhole,
    /// More than can be set.
    TooMuch,
}

impl Number {
    /// Reads digits with their marks.
    pub(super) fn parse(text: &str) -> Option<Number> {
        Some(Number { reading: reading(text)?, times: 1 })
    }

    /// The same number of thousands or millions; `None` when it was one of those already.
    pub(super) fn times(self, times: u64) -> Option<Number> {
        (self.times == 1).then_some(Number { times, ..self })
    }

    /// As a whole percentage of 1 to 1000.
    pub(super) fn percent(self) -> Option<u32> {
        let Number { reading: Reading::Exact(value), times: 1 } = self else { return None };
        let percent = u32::try_from(value / ONE).ok()?;
        (value % ONE == 0 && (1..=1000).contains(&percent)).then_some(percent)
    }

    /// So many requests, tokens or pico-dollars.
    ///
    /// # Errors
    /// When it is none: see [`AmountProblem`].
    pub fn amount(self, measure: Measure) -> Result<u64, AmountProblem> {
        let value = match self.reading {
            Reading::Exact(value) => value,
            // There are no parts of a token, so the mark stands between thousands.
            Reading::TwoWays(thousands) if measure != Measure::Money && self.times == 1 => thousands,
            Reading::TwoWays(_) => return Err(AmountProblem::TwoWays),
        };
        let value = value.checked_mul(u128::from(self.times)).ok_or(AmountProblem::TooMuch)?;
        let (unit, max) = match measure {
            Measure::Requests => (ONE, u128::from(MAX_REQUESTS)),
            Measure::Tokens => (ONE, u128::from(MAX_TOKENS)),
            Measure::Money => (1, u128::from(MAX_DOLLARS) * ONE),
        };
        match value / unit {
            _ if !value.is_multiple_of(unit) => Err(AmountProblem::NotWhole),
            amount if amount > max => Err(AmountProblem::TooMuch),
            amount => u64::try_from(amount).map_err(|_| AmountProblem::TooMuch),
        }
    }
}

/// As it can be typed again, in one way only where it was.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self.reading {
            Reading::Exact(value) | Reading::TwoWays(value) => value,
        };
        write!(f, "{}", value / ONE)?;
        if value % ONE != 0 {
            let fraction = format!("{:012}", value % ONE);
            let digits = fraction.trim_end_matches('0').len();
            // Three digits could be read as thousands.
            write!(f, ".{}", &fraction[..if digits == 3 { 4 } else { digits }])?;
        }
        f.write_str(match self.times {
            1_000 => "k",
            1_000_000 => "M",
            _ => "",
        })
    }
}

fn reading(text: &str) -> Option<Reading> {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',');
    if text.is_empty() || text.len() > MAX_CHARS || !text.chars().all(is_number) {
        return None;
    }
    let marks: Vec<char> = text.chars().filter(|c| !c.is_ascii_digit()).collect();
    let last = marks.last().copied();
    let Some(last) = last else { return exact(text, "") };
    let (whole, fraction) = text.rsplit_once(last)?;
    let is_grouped = |text: &str, mark: char| {
        let mut groups = text.split(mark);
        let first = groups.next().unwrap_or_default();
        (1..=3).contains(&first.len()) && !first.starts_with('0') && groups.all(|group| group.len() == 3)
    };
    let digits = |text: &str| text.replace(['.', ','], "");
    match marks[..] {
        [_] if fraction.len() == 3 && is_grouped(text, last) => {
            let Reading::Exact(value) = exact(&digits(text), "")? else { return None };
            Some(Reading::TwoWays(value))
        }
        [_] => exact(whole, fraction),
        [first, ..] if first != last && marks.iter().filter(|mark| **mark == last).count() == 1 => {
            is_grouped(whole, first).then(|| exact(&digits(whole), fraction))?
        }
        _ => (marks.iter().all(|mark| *mark == last) && is_grouped(text, last)).then(|| exact(&digits(text), ""))?,
    }
}

fn exact(whole: &str, fraction: &str) -> Option<Reading> {
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 12 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let fraction: u128 = format!("{fraction:0<12}").parse().ok()?;
    Some(Reading::Exact(whole.checked_mul(ONE)?.checked_add(fraction)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(text: &str, measure: Measure) -> Result<u64, AmountProblem> {
        Number::parse(text).unwrap_or_else(|| panic!("`{text}` is a number")).amount(measure)
    }

    #[test]
    fn an_amount_is_read_in_one_way_only() {
        use AmountProblem::{NotWhole, TooMuch, TwoWays};
        use Measure::{Money, Requests, Tokens};
        const USD: u64 = 1_000_000_000_000;
        for (text, measure, expected) in [
            ("5", Money, Ok(5 * USD)),
            ("5.50", Money, Ok(5 * USD + USD / 2)),
            ("5,50", Money, Ok(5 * USD + USD / 2)),
            ("0.001", Money, Ok(USD / 1000)),
            ("0,000000000001", Money, Ok(1)),
            ("1,500.50", Money, Ok(1500 * USD + USD / 2)),
            ("1.500,50", Money, Ok(1500 * USD + USD / 2)),
            ("1,500,000", Money, Ok(1_500_000 * USD)),
            ("1500.000", Money, Ok(1500 * USD)),
            ("1,500", Money, Err(TwoWays)),
            ("1.500", Money, Err(TwoWays)),
            ("1,500", Tokens, Ok(1500)),
            ("1.500.000", Tokens, Ok(1_500_000)),
            ("1,500,000", Requests, Ok(1_500_000)),
            ("1.5", Tokens, Err(NotWhole)),
            ("0,500", Tokens, Err(NotWhole)),
            ("10000001", Money, Err(TooMuch)),
            ("10.000.000", Money, Ok(10_000_000 * USD)),
            ("999999999999999999999999", Tokens, Err(TooMuch)),
        ] {
            assert_eq!(amount(text, measure), expected, "{text} {measure:?}");
        }
        for text in ["", ".", "1,2,3", "1.500,000.0", "1,50,000", "12345,678,901", "1.5.", "x", "0.0000000000001"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn thousands_and_millions() {
        let times = |text, times, measure| Number::parse(text).and_then(|n| n.times(times)).map(|n| n.amount(measure));
        assert_eq!(times("200", 1000, Measure::Tokens), Some(Ok(200_000)));
        assert_eq!(times("1,5", 1_000_000, Measure::Tokens), Some(Ok(1_500_000)));
        assert_eq!(times("1.500", 1000, Measure::Tokens), Some(Err(AmountProblem::TwoWays)));
        assert_eq!(times("1.2345", 1000, Measure::Tokens), Some(Err(AmountProblem::NotWhole)));
        assert_eq!(Number::parse("20").and_then(Number::percent), Some(20));
        assert_eq!(Number::parse("0,5").and_then(Number::percent), None);
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_a_number_or_none(text in "[0-9.,]{0,26}") {
            if let Some(number) = Number::parse(&text) {
                for measure in [Measure::Requests, Measure::Tokens, Measure::Money] {
                    let _refused_or_not = number.amount(measure);
                }
            }
        }
    }
}
