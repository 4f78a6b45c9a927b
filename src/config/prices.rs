//! The sections `[[prices]]`, the owner's own prices, kept as the decimals they were written as, and `[unknown_price]`.

use toml::de::DeValue;

use super::providers::label;
use super::reader::{Section, Whole};
use crate::usage::prices::{self, Price, PriceBook, PriceListError, Tier, UnknownPrice};
use crate::usage::{Day, Timestamp};

/// The service tiers a row can be for, as they are written.
const TIERS: [(&str, Tier); 5] = [
    ("standard", Tier::Standard),
    ("batch", Tier::Batch),
    ("flex", Tier::Flex),
    ("fast", Tier::Fast),
    ("ultrafast", Tier::Ultrafast),
];

/// Prompt sizes at which prices change.
const PROMPTS: Whole = Whole { min: 1, max: 100_000_000, unit: "tokens", example: 200_000 };

/// One of `[[prices]]`: what a model costs, in dollars per million tokens. Decimals have at most six places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRow {
    /// The vendor, or the name of a provider; `None` holds for every one.
    pub vendor: Option<String>,
    /// The model.
    pub model: String,
    /// The service tier; `None` holds for every one.
    pub tier: Option<Tier>,
    /// Holds for prompts of more tokens than this, and then for the whole call; `None` for every size.
    pub above: Option<u64>,
    /// Input.
    pub input: String,
    /// Output.
    pub output: String,
    /// Input read from a cache; `None`: as input.
    pub cache_read: Option<String>,
    /// Input written to a short-lived cache; `None`: as input.
    pub cache_write: Option<String>,
    /// Input written to a cache of an hour or more; `None`: as `cache_write`.
    pub cache_write_1h: Option<String>,
    /// The first day this price holds.
    pub from: Option<Day>,
    /// The last day this price holds.
    pub to: Option<Day>,
}

impl PriceRow {
    pub(super) fn read(section: &mut Section<'_>) -> Option<PriceRow> {
        let vendor = label(section, "vendor", "openai");
        if !section.has("model") {
            section.missing("model", "the name of a model", "\"gpt-4o\"");
        }
        let model = label(section, "model", "gpt-4o");
        for key in ["input", "output"] {
            if !section.has(key) {
                section.missing(key, "dollars per 1M tokens, in quotes", "\"2.50\"");
            }
        }
        let tier = section.choice("tier", &TIERS);
        let above = section.whole("above", PROMPTS);
        let (input, output) = (price(section, "input", "2.50"), price(section, "output", "10.00"));
        let cache_read = price(section, "cache_read", "1.25");
        let cache_write = price(section, "cache_write", "3.125");
        let cache_write_1h = price(section, "cache_write_1h", "5.00");
        let (from, to) = (day(section, "from"), day(section, "to"));
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            let path = section.path_of("to");
            section.wrong("to", format!("`{path}` is `\"{to}\"`, before `from` (`\"{from}\"`)"));
        }
        Some(PriceRow {
            vendor,
            model: model?,
            tier,
            above,
            input: input?,
            output: output?,
            cache_read,
            cache_write,
            cache_write_1h,
            from,
            to,
        })
    }

    /// The row as the price book takes it. Its days are UTC days, the last one included.
    ///
    /// # Errors
    /// When a price is none, which none is that was read from a configuration.
    pub fn for_book(&self) -> Result<prices::PriceRow, String> {
        let price = |text: &str| text.parse::<Price>().map_err(|error| error.to_string());
        let optional = |text: &Option<String>| text.as_deref().map(price).transpose();
        let start_of = |day: Day| Timestamp::new(i64::from(day.0) * 86_400_000_000, 0);
        Ok(prices::PriceRow {
            vendor: self.vendor.clone(),
            tier: self.tier,
            above: self.above,
            cache_read: optional(&self.cache_read)?,
            cache_write: optional(&self.cache_write)?,
            cache_write_1h: optional(&self.cache_write_1h)?,
            from: self.from.map(start_of),
            until: self.to.map(|last| start_of(last.plus(1))),
            ..prices::PriceRow::new(self.model.clone(), price(&self.input)?, Some(price(&self.output)?))
        })
    }
}

/// What the price book would not take: all rows of a list have to fit together.
pub(super) fn check_rows(top: &Section<'_>, rows: &[PriceRow]) {
    let rows: Result<Vec<_>, _> = rows.iter().map(PriceRow::for_book).collect();
    let Ok(rows) = rows else { return };
    for problem in PriceBook::bundled().with_overrides(rows).err().unwrap_or_default() {
        let (row, key, text) = match problem {
            PriceListError::Name { row, name } => {
                let expected = "a model's name, for example `gpt-4o`, or `gpt-4o*` for all that begin so";
                (row, "model", format!("`prices[{}].model` is `\"{name}\"`; expected {expected}", row - 1))
            }
            PriceListError::Never { row } => (row, "to", format!("`prices[{}]` ends before it begins", row - 1)),
            PriceListError::Overlap { first, second, name } => {
                let (earlier, later) = (first - 1, second - 1);
                let text = format!(
                    "`prices[{later}]` prices `{name}` at the same time as `prices[{earlier}]`; keep one of them, or \
                     end the older with `to = \"2026-11-21\"` before the newer begins with `from = \"2026-11-22\"`"
                );
                (second, "model", text)
            }
        };
        top.wrong_in("prices", row - 1, key, text);
    }
}

/// Reads `[unknown_price]`: what is not said there is as in its default.
pub(super) fn unknown_price(section: &mut Section<'_>) -> UnknownPrice {
    let default = UnknownPrice::default();
    let mut of = |key, example| price(section, key, example).and_then(|text| text.parse().ok());
    UnknownPrice {
        input: of("input", "10.00").unwrap_or(default.input),
        output: of("output", "30.00").unwrap_or(default.output),
    }
}

/// Dollars per million tokens. A price per token, or per thousand, is too small to be one and is refused.
fn price(section: &mut Section<'_>, key: &'static str, example: &str) -> Option<String> {
    let expected = "dollars per 1M tokens (not per token or per 1K) as a decimal in quotes, 0 or from 0.001 to 100000";
    section.parsed(key, expected, &format!("\"{example}\""), |text| is_price(text).then(|| text.to_owned()))
}

fn is_price(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() > 6 || fraction.len() > 6 {
        return false;
    }
    let micros = format!("{whole}{fraction:0<6}").parse::<u64>().expect("at most twelve digits");
    micros == 0 || (1_000..=100_000_000_000).contains(&micros)
}

/// A day, as a TOML date or in quotes.
pub(super) fn day(section: &mut Section<'_>, key: &'static str) -> Option<Day> {
    let item = section.find(key)?;
    let day = match item.value {
        DeValue::String(text) => Day::parse(text),
        DeValue::Datetime(date) if date.time.is_none() => Day::parse(&date.to_string()),
        _ => None,
    };
    if day.is_none() {
        item.wrong("a day", "\"2026-11-22\"");
    }
    day
}
