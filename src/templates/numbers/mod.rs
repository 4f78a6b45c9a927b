//! Numbers, money, spans and dates as each language writes them. Pure text; amounts are never turned into floats.

use super::Lang;

/// No-break space, between a number and its unit, and for grouping in columns of fixed width.
pub const NBSP: char = '\u{a0}';

/// Narrow no-break space, for grouping in running text.
pub const NARROW: char = '\u{202f}';

/// Where a number stands: the narrow space would break columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a sentence.
    Text,
    /// In a column of fixed width.
    Column,
}

struct Style {
    group: char,
    decimal: char,
    /// Numbers with fewer digits than this are not grouped.
    min_digits: usize,
    percent: &'static str,
}

fn style(lang: Lang) -> Style {
    match lang {
        Lang::En => Style { group: ',', decimal: '.', min_digits: 4, percent: "%" },
        Lang::Es => Style { group: NARROW, decimal: ',', min_digits: 5, percent: "\u{a0}%" },
        Lang::Pt => Style { group: '.', decimal: ',', min_digits: 4, percent: "%" },
        Lang::Fr => Style { group: NARROW, decimal: ',', min_digits: 4, percent: "\u{202f}%" },
    }
}

/// A whole number: `45,230`, `45 230`, `45.230`.
pub fn number(lang: Lang, value: i128, place: Place) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(lang, &value.unsigned_abs().to_string(), place))
}

fn grouped(lang: Lang, digits: &str, place: Place) -> String {
    let style = style(lang);
    if digits.len() < style.min_digits {
        return digits.to_owned();
    }
    let group = if style.group == NARROW && place == Place::Column { NBSP } else { style.group };
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(group);
        }
        text.push(digit);
    }
    text
}

/// A share from 0 to 1 with at most one decimal. Only exactly 1 is 100 %, and only exactly 0 is 0 %.
pub fn percent(lang: Lang, share: f64) -> String {
    let style = style(lang);
    let mut tenths = (share * 1000.0).round() as i64;
    if share < 1.0 {
        tenths = tenths.min(999);
    }
    if share > 0.0 {
        tenths = tenths.max(1);
    }
    let sign = if tenths < 0 { "-" } else { "" };
    let (whole, tenth) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
    let whole = grouped(lang, &whole.to_string(), Place::Text);
    let decimals = if tenth == 0 { String::new() } else { format!("{}{tenth}", style.decimal) };
    format!("{sign}{whole}{decimals}{}", style.percent)
}

/// How finely money is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// To the cent.
    Cents,
    /// Two leading digits of a small amount, down to a millionth of a dollar.
    Fine,
}

/// US dollars from an exact decimal text: `$0.41`, `0,41 US$`, `US$ 0,41`, `0,41 $US`. What is not zero never looks so.
///
/// `None` when the text is not a decimal with at most 12 places.
pub fn money(lang: Lang, usd: &str, precision: Precision) -> Option<String> {
    let (negative, pico) = pico_dollars(usd)?;
    if pico == 0 {
        return Some(with_currency(lang, "0"));
    }
    let places = match precision {
        Precision::Cents => 2,
        Precision::Fine => fine_places(pico),
    };
    let unit = 10u128.pow(12 - places);
    if pico < unit {
        let least = with_currency(lang, &decimal(lang, 1, places));
        let sign = if negative { "-" } else { "" };
        return Some(format!("<{NBSP}{sign}{least}"));
    }
    let (units, places) = without_zeros((pico + unit / 2) / unit, places);
    let amount = with_currency(lang, &decimal(lang, units, places));
    Some(if negative { format!("-{amount}") } else { amount })
}

/// Decimals that show two leading digits: 2 from a dime up, 6 at most.
fn fine_places(pico: u128) -> u32 {
    let leading = (1..=6u32).find(|place| pico >= 10u128.pow(12 - place)).unwrap_or(6);
    (leading + 1).clamp(2, 6)
}

/// Leaves out zeros behind the cents.
fn without_zeros(mut units: u128, mut places: u32) -> (u128, u32) {
    while places > 2 && units.is_multiple_of(10) {
        units /= 10;
        places -= 1;
    }
    (units, places)
}

fn decimal(lang: Lang, units: u128, places: u32) -> String {
    let one = 10u128.pow(places);
    let whole = grouped(lang, &(units / one).to_string(), Place::Text);
    format!("{whole}{}{:0width$}", style(lang).decimal, units % one, width = places as usize)
}

fn with_currency(lang: Lang, amount: &str) -> String {
    match lang {
        Lang::En => format!("${amount}"),
        Lang::Es => format!("{amount}{NBSP}US$"),
        Lang::Pt => format!("US${NBSP}{amount}"),
        Lang::Fr => format!("{amount}{NBSP}$US"),
    }
}

/// Sign and magnitude of a decimal, in units of 10⁻¹².
fn pico_dollars(text: &str) -> Option<(bool, u128)> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 24 || fraction.len() > 12 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    Some((negative, format!("{whole}{fraction:0<12}").parse().ok()?))
}

/// A span with at most three units: `2d 5h 34m`, `2 d 5 h 34 min`, `45 s`. Units that are zero at the end are left out.
pub fn duration(lang: Lang, seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, day_unit(lang)),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, if lang == Lang::En { "m" } else { "min" }),
    ];
    if seconds < 60 {
        return unit(lang, seconds, "s");
    }
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(2);
    let last = parts.iter().rposition(|(count, _)| *count > 0).unwrap_or(2);
    let texts: Vec<String> = parts[first..=last].iter().map(|(count, name)| unit(lang, *count, name)).collect();
    texts.join(&NBSP.to_string())
}

/// A span in its largest unit, rounded up: `7 h`, `12 min`, `30 s`.
pub fn about(lang: Lang, seconds: u64) -> String {
    let (count, name) = match seconds {
        0..=90 => (seconds, "s"),
        91..=5400 => (seconds.div_ceil(60), "min"),
        5401..=129_600 => (seconds.div_ceil(3600), "h"),
        _ => (seconds.div_ceil(86_400), day_unit(lang)),
    };
    format!("{}{NBSP}{name}", number(lang, i128::from(count), Place::Text))
}

fn day_unit(lang: Lang) -> &'static str {
    if lang == Lang::Fr { "j" } else { "d" }
}

fn unit(lang: Lang, count: u64, name: &str) -> String {
    let count = number(lang, i128::from(count), Place::Text);
    if lang == Lang::En { format!("{count}{name}") } else { format!("{count}{NBSP}{name}") }
}

/// How long an answer took: `< 1 ms`, `450 ms`, `1.8 s`, `2m 5s`.
pub fn latency(lang: Lang, millis: u64) -> String {
    let tenths = (millis + 50) / 100;
    if millis == 0 {
        format!("<{NBSP}1{NBSP}ms")
    } else if millis < 1000 {
        format!("{millis}{NBSP}ms")
    } else if tenths < 600 {
        format!("{}{}{}{NBSP}s", tenths / 10, style(lang).decimal, tenths % 10)
    } else {
        let seconds = (millis + 500) / 1000;
        let minutes = duration(lang, seconds / 60 * 60);
        if seconds.is_multiple_of(60) || seconds >= 3600 {
            minutes
        } else {
            format!("{minutes}{NBSP}{}", unit(lang, seconds % 60, "s"))
        }
    }
}

/// A size on a disk, in thousands: `640 kB`, `12.4 GB`, `12,4 Go`.
pub fn bytes(lang: Lang, bytes: u64) -> String {
    let thousands = bytes.max(1).ilog10() / 3;
    let unit = 1000u64.pow(thousands);
    let tenths = bytes % unit * 10 / unit;
    let decimals = if tenths == 0 { String::new() } else { format!("{}{tenths}", style(lang).decimal) };
    let letter = if lang == Lang::Fr { "o" } else { "B" };
    format!("{}{decimals}{NBSP}{}{letter}", bytes / unit, ["", "k", "M", "G", "T", "P", "E"][thousands as usize])
}

/// A date: `3 Nov 2026`, `3 nov 2026`, `3 nov. 2026`, `1er nov. 2026`.
pub fn date(lang: Lang, (year, month, day): (i32, u32, u32), months: &[String; 12]) -> String {
    let month = months.get(month.saturating_sub(1) as usize).map_or("?", String::as_str);
    let ordinal = match (lang, day) {
        (Lang::Fr, 1) => "er",
        (Lang::Pt, 1) => "º",
        _ => "",
    };
    format!("{day}{ordinal}{NBSP}{month}{NBSP}{year}")
}

/// A bar of `width` cells. Some use fills one cell at least; only a full limit fills them all.
pub fn bar(used: u64, max: u64, width: usize) -> String {
    let width = width.clamp(1, 40);
    let exact = u128::from(used) * width as u128 / u128::from(max.max(1));
    let filled = match (used, used >= max) {
        (_, true) => width,
        (0, false) => 0,
        _ => (exact as usize).clamp(1, width.saturating_sub(1).max(1)),
    };
    format!("{}{}", "▓".repeat(filled), "░".repeat(width - filled))
}

#[cfg(test)]
mod tests;
