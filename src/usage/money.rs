//! Exact money: pico-dollars (10⁻¹² US dollars), rounded only when shown.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use bytes::BufMut;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::writing::push_decimal;

/// An exact amount of US dollars, in pico-dollars.
///
/// A price is a whole number of micro-dollars per million tokens, so tokens × price is a whole number of
/// pico-dollars and nothing is ever rounded. Sums saturate instead of wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

/// A text that is not an exact amount of dollars.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount of dollars; expected a decimal with at most 12 places, for example `0.0125`")]
pub struct MoneyError(pub String);

const PICOS_PER_DOLLAR: i128 = 1_000_000_000_000;

impl Money {
    /// No money at all.
    pub const ZERO: Money = Money(0);

    /// An amount in pico-dollars.
    pub const fn from_pico_usd(pico: i128) -> Money {
        Money(pico)
    }

    /// The amount in pico-dollars.
    pub const fn pico_usd(self) -> i128 {
        self.0
    }

    /// `tokens` at `micro_usd_per_mtok` micro-dollars per million tokens: exact.
    pub const fn of_tokens(tokens: u64, micro_usd_per_mtok: u64) -> Money {
        Money(tokens as i128 * micro_usd_per_mtok as i128)
    }

    /// Reads a decimal amount of dollars such as `"0.0125"`, with at most 12 decimal places.
    ///
    /// # Errors
    /// When the text is not such a number; nothing is rounded silently.
    pub fn parse_usd(text: &str) -> Result<Money, MoneyError> {
        parse_decimal(text).map(Money).ok_or_else(|| MoneyError(text.chars().take(40).collect()))
    }

    /// Writes it as it is shown, the short way.
    pub fn push_to(self, out: &mut impl BufMut) {
        const PICOS: u64 = PICOS_PER_DOLLAR as u64;
        let Ok(pico) = u64::try_from(self.0) else {
            return out.put_slice(self.to_string().as_bytes()); // a correction, or millions of dollars
        };
        push_decimal(out, pico / PICOS);
        let mut fraction = pico % PICOS;
        if fraction != 0 {
            let mut places = *b".000000000000";
            for place in places[1..].iter_mut().rev() {
                *place += (fraction % 10) as u8;
                fraction /= 10;
            }
            let zeros = places.iter().rev().take_while(|place| **place == b'0').count();
            out.put_slice(&places[..places.len() - zeros]);
        }
    }

    /// Rounded half up (away from zero) to `places` decimals (at most 12), as a whole number of that unit.
    pub fn rounded(self, places: u32) -> i128 {
        let unit = 10i128.pow(12 - places.min(12));
        let magnitude = (self.0.unsigned_abs().saturating_add(unit as u128 / 2) / unit as u128) as i128;
        if self.0 < 0 { -magnitude } else { magnitude }
    }
}

fn parse_decimal(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 20 || fraction.len() > 12 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    if digits.contains('.') && fraction.is_empty() {
        return None;
    }
    // Twenty digits may be more than 64 bits hold, twelve never are.
    let whole = whole.bytes().fold(0i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    let places = u32::try_from(fraction.len()).expect("at most twelve");
    let fraction = fraction.bytes().fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some(sign * (whole * PICOS_PER_DOLLAR + i128::from(fraction * 10i64.pow(12 - places))))
}

impl fmt::Display for Money {
    /// The exact decimal, without trailing zeros: `0.0125`, `0`, `-3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (whole, fraction) = (magnitude / PICOS_PER_DOLLAR as u128, magnitude % PICOS_PER_DOLLAR as u128);
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let (mut fraction, mut places) = (fraction as u64, 12);
        while fraction.is_multiple_of(10) {
            (fraction, places) = (fraction / 10, places - 1);
        }
        write!(f, "{sign}{whole}.{fraction:0places$}")
    }
}

impl Add for Money {
    type Output = Money;
    fn add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Money) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Money;
    fn sub(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Money) {
        *self = *self - other;
    }
}

impl Neg for Money {
    type Output = Money;
    fn neg(self) -> Money {
        Money(self.0.saturating_neg())
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money::ZERO, Add::add)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a decimal amount of dollars with at most 12 places, such as `\"0.0125\"`";
        super::text::parsed(deserializer, expected, |text| parse_decimal(text).map(Money))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tokens_times_price_is_exact() {
        assert_eq!(Money::of_tokens(1, 37_500).to_string(), "0.0000000375");
        assert_eq!(Money::of_tokens(128_450, 45_000_000).to_string(), "5.78025");
        assert_eq!(Money::of_tokens(128_450, 45_000_000).rounded(4), 57_803, "half up, as raymundo shows it");
    }

    #[test]
    fn what_is_not_a_decimal_is_refused() {
        for text in ["", ".", "1.", ".5", "1e3", "0.0000000000001", "1,5", "$1", "--1", "NaN"] {
            assert!(Money::parse_usd(text).is_err(), "{text}");
        }
        assert_eq!(Money::parse_usd("-0.5").map(Money::pico_usd), Ok(-500_000_000_000));
    }

    proptest! {
        #[test]
        fn an_amount_is_written_as_it_is_shown(pico in prop_oneof![any::<u64>(), 0u64..10_000_000_000_000, 0u64..1000]) {
            let whole = |unit: u64| i128::from(pico / unit * unit);
            for pico in [whole(1), whole(1000), whole(1_000_000_000_000), i128::from(pico) * 1000, -whole(1)] {
                let mut out = Vec::new();
                Money::from_pico_usd(pico).push_to(&mut out);
                prop_assert_eq!(out, Money::from_pico_usd(pico).to_string().into_bytes());
            }
        }

        #[test]
        fn text_and_back(pico in -10i128.pow(30)..10i128.pow(30)) {
            let money = Money::from_pico_usd(pico);
            prop_assert_eq!(Money::parse_usd(&money.to_string()), Ok(money));
        }
    }
}
