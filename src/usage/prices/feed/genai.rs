//! genai-prices' list: providers with models, each with the names it goes by and prices that may have dates and hours;
//! dollars per million tokens.

use std::collections::BTreeSet;

use super::json::{self, Object, Raw};
use super::{Feed, FeedFormat, Offer, checked_name, price};
use crate::usage::prices::{Peak, Price, PriceRow, Tier};
use crate::usage::{Day, Timestamp};

/// Dollars per million tokens to micro-dollars per million tokens.
const PLACES: u8 = 6;

/// No match goes deeper.
const MAX_DEPTH: usize = 8;

/// The prices of tokens of text, in the order of a row.
const PARTS: [&str; 5] = ["input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "output_mtok"];

/// Prices of other things than tokens of text: noted, since the cost of text is right without them.
const OTHER_THINGS: [&str; 4] = ["audio", "image", "video", "web_searches"];

/// Reads the list into `feed`; `None` when it is none.
pub(super) fn read(raw: Raw<'_>, feed: &mut Feed) -> Option<()> {
    let providers = json::list(raw).or_else(|| json::list(Object::read(raw).ok()?.get("providers")?))?;
    for provider in providers {
        let named = Object::read(provider).ok().and_then(|object| Some((object.text("id")?, object)));
        let Some((vendor, object)) = named else {
            feed.add("a provider", Err("it has no `id`".to_owned()));
            continue;
        };
        let Some(models) = object.get("models").and_then(json::list) else {
            feed.add(&vendor, Err("it has no list of `models`".to_owned()));
            continue;
        };
        for model in models {
            let id = Object::read(model).ok().and_then(|object| object.text("id")).unwrap_or_default();
            let read = if vendor == "ollama" { Ok(None) } else { entry(&vendor, &id, model).map(Some) };
            feed.add(&format!("{vendor}/{id}"), read);
        }
    }
    Some(())
}

fn entry(vendor: &str, id: &str, raw: Raw<'_>) -> Result<Offer, String> {
    let object = Object::strict(raw)?;
    let mut names = match object.get("match") {
        Some(rule) => names_of(rule, 0)?,
        None => vec![id.to_owned()],
    };
    names.iter().try_for_each(|name| checked_name(name))?;
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let first = names.iter().position(|name| name == id).unwrap_or(0);
    let model = if names.is_empty() { return Err("it goes by no name".to_owned()) } else { names.remove(first) };
    let checked = object.text("prices_checked").and_then(|day| Day::parse(&day));
    let mut notes = Vec::new();
    let spans = spans(object.get("prices").ok_or("it has no `prices`")?)?;
    let mut rows = Vec::new();
    for span in spans {
        for row in priced(span.prices, &model, &mut notes)? {
            rows.push(PriceRow {
                vendor: Some(vendor.to_owned()),
                model: model.clone(),
                also: names.clone(),
                tier: Some(Tier::Standard),
                peak: span.peak.clone(),
                from: span.from,
                until: span.until,
                source: Some(FeedFormat::GenaiPrices.as_str().to_owned()),
                checked,
                ..row
            });
        }
    }
    notes.dedup();
    Ok(Offer { rows, notes })
}

/// The names a match stands for, a beginning as `…*`.
fn names_of(rule: Raw<'_>, depth: usize) -> Result<Vec<String>, String> {
    let object = Object::strict(rule)?;
    let mut entries = object.entries();
    let (Some((how, what)), None) = (entries.next(), entries.next()) else {
        return Err("its `match` is not one rule".to_owned());
    };
    let text = || json::text(what).filter(|text| !text.is_empty() && !text.contains('*'));
    match how {
        "equals" => Ok(vec![text().ok_or("`equals` in its `match` is no name")?]),
        "starts_with" => Ok(vec![text().ok_or("`starts_with` in its `match` is no name")? + "*"]),
        "or" if depth < MAX_DEPTH => {
            let rules = json::list(what).ok_or("`or` in its `match` is no list")?;
            let names: Result<Vec<_>, String> = rules.into_iter().map(|rule| names_of(rule, depth + 1)).collect();
            Ok(names?.concat())
        }
        how => Err(format!("our names cannot say `{}` in its `match`", json::shown(how))),
    }
}

/// Prices and when they hold.
struct Span<'a> {
    prices: Raw<'a>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    peak: Option<Peak>,
}

/// What limits an entry of a list of prices.
#[derive(Default)]
struct Constraint {
    from: Option<Timestamp>,
    peak: Option<Peak>,
}

/// The entries that ever hold, with when they do. Of those that hold at a moment the last one wins.
fn spans(raw: Raw<'_>) -> Result<Vec<Span<'_>>, String> {
    let Some(entries) = json::list(raw) else {
        return Ok(vec![Span { prices: raw, from: None, until: None, peak: None }]);
    };
    let mut read = Vec::new();
    for entry in entries {
        let object = Object::strict(entry)?;
        let constraint = object.get("constraint").map(constraint).transpose()?.unwrap_or_default();
        read.push((constraint, object.get("prices").ok_or("one of its `prices` has none")?));
    }
    let hours = read.iter().filter(|(constraint, _)| constraint.peak.is_some()).count();
    if hours > 0 {
        let (base, at_hours) = (read.first(), read.get(1));
        let is_simple = read.len() == 2 && hours == 1 && at_hours.is_some_and(|(at, _)| at.peak.is_some());
        if !is_simple || base.is_none_or(|(base, _)| base.from.is_some()) {
            return Err("our rows have one price for hours beside one for the others, and no more".to_owned());
        }
    }
    // From the last to the first: each holds until one behind it does, or never.
    let (mut spans, mut until, mut is_open) = (Vec::new(), None, true);
    for (Constraint { from, peak }, prices) in read.into_iter().rev() {
        if peak.is_some() {
            spans.push(Span { prices, from: None, until: None, peak });
        } else if is_open && until.is_none_or(|until| from.is_none_or(|from| from < until)) {
            spans.push(Span { prices, from, until, peak });
            (until, is_open) = (from, from.is_some());
        }
    }
    spans.reverse();
    Ok(spans)
}

fn constraint(raw: Raw<'_>) -> Result<Constraint, String> {
    let object = Object::strict(raw)?;
    let keys: Vec<&str> = object.entries().filter(|(_, value)| value.get() != "null").map(|(key, _)| key).collect();
    match keys.as_slice() {
        [] => Ok(Constraint::default()),
        ["start_date"] => {
            let day = object.text("start_date").and_then(|text| Day::parse(&text));
            let day = day.ok_or("`start_date` in its `constraint` is no day")?;
            Ok(Constraint { from: Some(Timestamp::new(i64::from(day.0) * 86_400_000_000, 0)), peak: None })
        }
        ["start_time", "end_time"] | ["end_time", "start_time"] => {
            let minute = |key: &str| object.text(key).and_then(|text| utc_minute(&text));
            let (start, end) =
                minute("start_time").zip(minute("end_time")).ok_or("its hours are not whole minutes of UTC")?;
            Ok(Constraint { from: None, peak: Some(daily(start, end).ok_or("its hours are none")?) })
        }
        other => Err(format!("our rows cannot say `{}` in its `constraint`", json::shown(&other.join(", ")))),
    }
}

/// `16:30:00Z` as a minute of the day.
fn utc_minute(text: &str) -> Option<u16> {
    let time = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
    let mut parts = time.split(':').map(|part| part.parse::<u16>().ok().filter(|_| part.len() == 2));
    let (hour, minute) = (parts.next()??, parts.next()??);
    let seconds = parts.next().unwrap_or(Some(0))?;
    (hour < 24 && minute < 60 && seconds == 0 && parts.next().is_none()).then_some(hour * 60 + minute)
}

/// The hours of every day from one minute to another, which may be on the next day.
fn daily(start: u16, end: u16) -> Option<Peak> {
    let span = |from: u16, until: u16| {
        (from < until).then(|| format!(" {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60))
    };
    let spans = match start < end {
        true => [span(start, end), None],
        false => [span(0, end), span(start, 1440)],
    };
    Peak::parse(&format!("Mon-Sun{}", spans.into_iter().flatten().collect::<String>())).ok()
}

/// The rows of one set of prices: one for any prompt, and one for each size above which all tokens cost something else.
fn priced(raw: Raw<'_>, model: &str, notes: &mut Vec<String>) -> Result<Vec<PriceRow>, String> {
    let object = Object::strict(raw)?;
    let mut parts: [Option<Tiered>; 5] = Default::default();
    for (key, value) in object.entries().filter(|(_, value)| value.get() != "null") {
        match PARTS.iter().position(|part| *part == key) {
            Some(at) => parts[at] = Some(Tiered::read(value).map_err(|reason| format!("`{key}` {reason}"))?),
            None if OTHER_THINGS.iter().any(|thing| key.contains(thing)) => notes.push(format!("`{key}` is not taken")),
            None if matches!(value.get(), "0" | "0.0") => {}
            None => return Err(format!("our rows have no place for `{}`", json::shown(key))),
        }
    }
    if parts[0].is_none() {
        return Err("it has no `input_mtok`, and what is not said is not known".to_owned());
    }
    if parts[4].is_none() && !model.contains("embed") {
        return Err("it has no `output_mtok`, and what is not said is not known".to_owned());
    }
    let sizes: BTreeSet<u64> =
        parts.iter().flatten().flat_map(|part| part.tiers.iter().map(|(start, _)| *start)).collect();
    let row = |above: Option<u64>| {
        let [input, cache_read, cache_write, cache_write_1h, output] =
            [0, 1, 2, 3, 4].map(|at: usize| parts[at].as_ref().map(|part| part.above(above)));
        Some(PriceRow { above, cache_read, cache_write, cache_write_1h, ..PriceRow::new("", input?, output) })
    };
    Ok(std::iter::once(None).chain(sizes.into_iter().map(Some)).filter_map(row).collect())
}

/// A price, and others for prompts of more tokens.
struct Tiered {
    base: Price,
    tiers: Vec<(u64, Price)>,
}

impl Tiered {
    fn read(raw: Raw<'_>) -> Result<Tiered, String> {
        let Ok(object) = Object::strict(raw) else {
            return Ok(Tiered { base: price(raw, PLACES)?, tiers: Vec::new() });
        };
        if let Some((key, _)) = object.entries().find(|(key, _)| !["base", "tiers"].contains(key)) {
            return Err(format!("has `{}`, which our rows cannot say", json::shown(key)));
        }
        let base = price(object.get("base").ok_or("has no `base`")?, PLACES)?;
        let mut tiers = Vec::new();
        for tier in object.get("tiers").and_then(json::list).unwrap_or_default() {
            let tier = Object::strict(tier)?;
            let start = tier.get("start").and_then(|start| crate::usage::decimal::whole(start.get()));
            let start = start.filter(|start| *start > 0).ok_or("has a tier without a `start` above 0")?;
            tiers.push((start, price(tier.get("price").ok_or("has a tier without `price`")?, PLACES)?));
        }
        tiers.sort_unstable_by_key(|(start, _)| *start);
        Ok(Tiered { base, tiers })
    }

    /// The price of a prompt that passes a size.
    fn above(&self, size: Option<u64>) -> Price {
        let passed = |start: u64| size.is_some_and(|size| start <= size);
        self.tiers.iter().rev().find(|(start, _)| passed(*start)).map_or(self.base, |(_, price)| *price)
    }
}
