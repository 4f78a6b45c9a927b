//! Numbers exactly as they are written: JSON literals to whole numbers and money, never through a float.

use super::Money;

/// A non-negative number literal, taken apart: `digits` × 10^`-scale`.
struct Literal {
    digits: String,
    scale: i64,
}

impl Literal {
    /// Reads `12`, `0.5`, `1.5e-05`; `None` for a negative number other than zero, or one of absurd length.
    fn read(text: &str) -> Option<Literal> {
        const LONGEST: usize = 64;
        if text.is_empty() || text.len() > LONGEST {
            return None;
        }
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0').to_owned();
        if negative && !digits.is_empty() {
            return None;
        }
        let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
        let scale = i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        Some(Literal { digits, scale })
    }

    /// The number × 10^`places` as a whole number, and the digits that are left behind it.
    fn shifted(&self, places: i64) -> Option<(u128, String)> {
        if self.digits.is_empty() {
            return Some((0, String::new()));
        }
        let shift = places.checked_sub(self.scale)?;
        let count = i64::try_from(self.digits.len()).ok()?;
        if shift >= 0 {
            if count + shift > 30 {
                return None;
            }
            let zeros = "0".repeat(usize::try_from(shift).ok()?);
            return Some((format!("{}{zeros}", self.digits).parse().ok()?, String::new()));
        }
        let kept = count + shift;
        if kept <= 0 {
            let leading = usize::try_from(-kept).unwrap_or(usize::MAX).min(1);
            return Some((0, format!("{}{}", "0".repeat(leading), self.digits)));
        }
        let (whole, rest) = self.digits.split_at(usize::try_from(kept).ok()?);
        Some((whole.parse().ok()?, rest.to_owned()))
    }
}

/// A whole number: `150`, `150.0`, `1.5e2`.
pub fn whole(literal: &str) -> Option<u64> {
    exact(literal, 0)
}

/// A number × 10^`places` if that is whole: `2e-06` and 12 are 2000000.
pub fn exact(literal: &str, places: u8) -> Option<u64> {
    let (value, rest) = Literal::read(literal)?.shifted(i64::from(places))?;
    rest.bytes().all(|byte| byte == b'0').then(|| u64::try_from(value).ok())?
}

/// A number of which only the whole part counts: `2450.7` is 2450.
pub fn whole_part(literal: &str) -> Option<u64> {
    u64::try_from(Literal::read(literal)?.shifted(0)?.0).ok()
}

/// A number × 1000, of which only the whole part counts: `2.45` is 2450.
pub fn thousandths(literal: &str) -> Option<u64> {
    u64::try_from(Literal::read(literal)?.shifted(3)?.0).ok()
}

/// Dollars from a JSON number: exact to a pico-dollar; what is finer (the noise of a caller's float) is rounded half
/// up.
pub fn dollars(literal: &str) -> Option<Money> {
    let (pico, rest) = Literal::read(literal)?.shifted(12)?;
    let up = rest.bytes().next().is_some_and(|digit| digit >= b'5');
    i128::try_from(pico).ok().map(|pico| Money::from_pico_usd(pico + i128::from(up)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers_in_any_spelling() {
        for (text, value) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("150", Some(150)),
            ("150.0", Some(150)),
            ("1.5e2", Some(150)),
            ("1500E-1", Some(150)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("150.5", None),
            ("-1", None),
            ("1e400", None),
            ("1e99999999999999999999", None),
            ("1e-400", None),
            ("0e9223372036854775807", Some(0)),
            ("1e-9223372036854775808", None),
        ] {
            assert_eq!(whole(text), value, "{text}");
        }
        assert_eq!(
            [exact("2e-06", 12), exact("0.0375", 6), exact("3.75e-08", 12)],
            [Some(2_000_000), Some(37_500), Some(37_500)]
        );
        assert_eq!([exact("1.0000000000000001e-07", 12), exact("-2e-06", 12), exact("1e-13", 12)], [None; 3]);
        assert_eq!(whole_part("2450.7"), Some(2450));
        assert_eq!(whole_part("0.9"), Some(0));
        assert_eq!(whole_part("1e-400"), Some(0));
        assert_eq!([thousandths("2.45"), thousandths("0.0009"), thousandths("-1")], [Some(2450), Some(0), None]);
    }

    #[test]
    fn dollars_are_the_literal_to_the_pico() {
        for (text, shown) in [
            ("0.1", "0.1"),
            ("0.30000000000000004", "0.3"),
            ("1.5e-05", "0.000015"),
            ("1.5e-12", "0.000000000002"),
            ("4e-13", "0"),
            ("5e-13", "0.000000000001"),
            ("5e-14", "0"),
            ("123456789.123456789012", "123456789.123456789012"),
            ("12E1", "120"),
            ("0", "0"),
        ] {
            assert_eq!(dollars(text).map(|money| money.to_string()).as_deref(), Some(shown), "{text}");
        }
        for text in ["-0.1", "1e40", "", ".", "1e", "NaN", &"9".repeat(65)] {
            assert_eq!(dollars(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[-+0-9.eE]{0,40}") {
            let _ = (exact(&text, 12), whole(&text), whole_part(&text), dollars(&text));
        }

        #[test]
        fn money_agrees_with_its_own_reader(pico in 0i128..10i128.pow(24)) {
            let money = Money::from_pico_usd(pico);
            prop_assert_eq!(dollars(&money.to_string()), Some(money));
        }
    }
}
