//! One price: an exact decimal of dollars per million tokens, never a float, not even while it is read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Micro-dollars per million tokens, which is the same number as pico-dollars per token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(u64);

/// A text that is not a price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a price; expected dollars per million tokens below 1000000, with at most 6 decimal places, for \
     example `\"0.075\"`"
)]
pub struct PriceError(pub String);

const MICROS_PER_DOLLAR: u64 = 1_000_000;

/// A million dollars per million tokens: far above any price, and small enough that no cost can overflow.
const MAX: u64 = 1_000_000 * MICROS_PER_DOLLAR;

impl Price {
    /// A price in micro-dollars per million tokens; `None` at a million dollars per million tokens or more.
    pub const fn from_micro_usd(micro_usd_per_mtok: u64) -> Option<Price> {
        if micro_usd_per_mtok < MAX { Some(Price(micro_usd_per_mtok)) } else { None }
    }

    /// A price in whole dollars per million tokens.
    pub(super) const fn whole_dollars(dollars: u16) -> Price {
        Price(dollars as u64 * MICROS_PER_DOLLAR)
    }

    /// The price in micro-dollars per million tokens.
    pub const fn micro_usd_per_mtok(self) -> u64 {
        self.0
    }

    /// The price times `micros` millionths; `None` where that is not a whole micro-dollar or too high.
    pub(super) fn scaled(self, micros: u64) -> Option<Price> {
        let product = u128::from(self.0) * u128::from(micros);
        if !product.is_multiple_of(u128::from(MICROS_PER_DOLLAR)) {
            return None;
        }
        Price::from_micro_usd(u64::try_from(product / u128::from(MICROS_PER_DOLLAR)).ok()?)
    }
}

impl FromStr for Price {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Price, PriceError> {
        parse_micros(text).and_then(Price::from_micro_usd).ok_or_else(|| PriceError(text.chars().take(40).collect()))
    }
}

/// Reads a decimal with at most six places as a whole number of millionths.
pub(super) fn parse_micros(text: &str) -> Option<u64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || fraction.len() > 6 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<6}").parse().ok()?;
    Some(whole.parse::<u64>().ok()? * MICROS_PER_DOLLAR + fraction)
}

impl fmt::Display for Price {
    /// The exact decimal in dollars per million tokens, with two places or as many as it needs: `2.50`, `0.0375`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:06}", self.0 % MICROS_PER_DOLLAR);
        let places = fraction.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / MICROS_PER_DOLLAR, &fraction[..places])
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Price;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("dollars per million tokens in quotes, for example `\"2.50\"`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Price, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, dollars: u64) -> Result<Price, E> {
                dollars
                    .checked_mul(MICROS_PER_DOLLAR)
                    .and_then(Price::from_micro_usd)
                    .ok_or_else(|| E::custom(PriceError(dollars.to_string())))
            }
            fn visit_i64<E: de::Error>(self, dollars: i64) -> Result<Price, E> {
                u64::try_from(dollars)
                    .map_err(|_| E::custom(PriceError(dollars.to_string())))
                    .and_then(|dollars| self.visit_u64(dollars))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_exact_and_anything_else_is_refused() {
        let micros = |text: &str| text.parse::<Price>().map(Price::micro_usd_per_mtok).ok();
        assert_eq!(micros("0.0375"), Some(37_500));
        assert_eq!(micros("18.75"), Some(18_750_000));
        assert_eq!(micros("0"), Some(0));
        for text in
            ["", ".5", "1.", "-1", "+1", "1e3", "1,5", "$1", "0.0000001", "1000000", "NaN", "99999999999999999999"]
        {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn toml_takes_quoted_decimals_and_whole_numbers_but_no_float() {
        #[derive(Deserialize)]
        struct Holder {
            price: Price,
        }
        let read = |text: &str| toml::from_str::<Holder>(text).map(|holder| holder.price.micro_usd_per_mtok());
        assert_eq!(read("price = \"2.50\"").ok(), Some(2_500_000));
        assert_eq!(read("price = 3").ok(), Some(3_000_000));
        assert!(read("price = 2.5").is_err_and(|error| error.to_string().contains("in quotes")));
        assert!(read("price = -1").is_err());
    }

    proptest! {
        #[test]
        fn text_and_back(micros in 0..MAX) {
            let price = Price::from_micro_usd(micros).expect("below the maximum");
            prop_assert_eq!(price.to_string().parse(), Ok(price));
        }
    }
}
