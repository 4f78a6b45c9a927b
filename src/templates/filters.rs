//! The filters templates are written with: one set per language, each a thin coat over `numbers` and the vocabulary.
//! Those of [`markup`](super::markup) come on top.
//!
//! | filter | of | gives |
//! |--|--|--|
//! | `number` | a whole number | `45,230` |
//! | `percent` | a share from 0 to 1 | `98.8%` |
//! | `money(approximate=false)`, `money_fine(approximate=false)` | a decimal text in US dollars | `$0.41`, `~$0.00034` |
//! | `amount(limit)` | what a limit counts: requests, tokens, pico-dollars | `45,230`, `$0.41` |
//! | `duration`, `about` | seconds | `2d 5h 34m`, `7 h` |
//! | `latency` | milliseconds | `1.8 s` |
//! | `date`, `time`, `when(now)` | a timestamp | `3 Nov 2026`, `14:32`, the time alone if it is the day of `now` |
//! | `plural(one, several)`, `counted(one, several)` | a whole number | `requests`, `247 requests` |
//! | `facts(separator=" · ", first="")` | a list | `first` and the entries, in a terminal on lines of at most 72; what is empty or missing is left out |
//! | `cell(width, approximate=false)` | a number or text | padded on the left, grouped with U+00A0 |
//! | `pad(width)`, `clip(width)` | a text | padded on the right; cut in its middle with `…` |
//! | `bar(width)` | `{used, max}` | `▓▓▓░` |
//! | `period_name`, `type_name`, `limit_name` | a name | the word for it |
//! | `typed` | a limit's name | what is typed for it: `tokens day` |
//! | `scope` | what a limit is about | `user:k7f3` with the word for `user`; a name stands for itself |
//! | `usage`, `command_line(width)` | a command's name | `/stats [today\|7d]`, the same with what it does |
//! | `sign` | a pictogram before a line | itself in a chat, nothing in a terminal |
//! | `light` | `ok`, `degraded`, `stopped` | `●`, in a chat `🟢` |
//! | `bytes` | a count of them | `12.4 GB` |
//! | `error_name` | a kind of error | `timeout` |
//! | `language_name` | a language's code | `français` |
//! | `type_count`, `error_count` | `{name, count}` | `Chat 189`, `2 timeouts` |

use std::sync::Arc;

use chrono::{DateTime, Datelike, FixedOffset};
use minijinja::value::{Kwargs, Serde, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

use super::markup::width;
use super::numbers::{self, Place, Precision};
use super::vocabulary::{CommandHelp, Vocabulary, word};
use super::{Lang, Surface, clean};

/// The longest line of running text, in characters.
pub const LINE_WIDTH: usize = 72;

/// Adds every filter of `lang` to an environment, but for those that depend on the surface.
pub(super) fn add_all(env: &mut Environment<'static>, lang: Lang, vocabulary: &Arc<Vocabulary>) {
    add_numbers(env, lang);
    add_times(env, lang, vocabulary);
    add_words(env, lang, vocabulary);
    add_columns(env, lang);
}

fn add_numbers(env: &mut Environment<'static>, lang: Lang) {
    env.add_filter("number", move |value: i128| numbers::number(lang, value, Place::Text));
    env.add_filter("percent", move |share: f64| numbers::percent(lang, share));
    env.add_filter("money", move |usd: String, options: Kwargs| dollars(lang, &usd, Precision::Cents, &options));
    env.add_filter("money_fine", move |usd: String, options: Kwargs| dollars(lang, &usd, Precision::Fine, &options));
    env.add_filter("amount", move |value: u64, limit: &str| amount(lang, value, limit));
    env.add_filter("duration", move |seconds: u64| numbers::duration(lang, seconds));
    env.add_filter("about", move |seconds: u64| numbers::about(lang, seconds));
    env.add_filter("bytes", move |bytes: u64| numbers::bytes(lang, bytes));
    env.add_filter("latency", move |millis: u64| numbers::latency(lang, millis));
}

/// So much of what a limit counts. Money in pico-dollars, in two leading digits where it is less than a dime.
fn amount(lang: Lang, value: u64, limit: &str) -> String {
    if !limit.starts_with("usd_") {
        return numbers::number(lang, i128::from(value), Place::Text);
    }
    const ONE: u64 = 1_000_000_000_000;
    let usd = format!("{}.{:012}", value / ONE, value % ONE);
    numbers::money(lang, &usd, Precision::Fine).unwrap_or(usd)
}

/// An amount; `~` before it says that it is computed from an estimate. Nothing at all is exact however it was counted.
fn dollars(lang: Lang, usd: &str, precision: Precision, options: &Kwargs) -> Result<String, Error> {
    let approximate = options.get::<Option<bool>>("approximate")?.unwrap_or(false);
    options.assert_all_used()?;
    let is_zero = !usd.contains(|c: char| matches!(c, '1'..='9'));
    let mark = if approximate && !is_zero { "~" } else { "" };
    let amount = numbers::money(lang, usd, precision);
    let amount = amount.ok_or_else(|| wrong("`money` expects a decimal text such as `0.0125`"))?;
    Ok(format!("{mark}{amount}"))
}

fn add_times(env: &mut Environment<'static>, lang: Lang, vocabulary: &Arc<Vocabulary>) {
    let words = Arc::clone(vocabulary);
    env.add_filter("date", move |at: &str| Ok::<_, Error>(date(lang, &words, &moment(at)?)));
    env.add_filter("time", move |at: &str| Ok::<_, Error>(moment(at)?.format("%H:%M").to_string()));
    env.add_filter("clock", move |at: &str| Ok::<_, Error>(moment(at)?.format("%H:%M:%S").to_string()));
    let words = Arc::clone(vocabulary);
    env.add_filter("when", move |at: &str, now: &str| when(lang, &words, at, now).map(|(when, _)| when));
    let words = Arc::clone(vocabulary);
    // As it stands behind `until` and `since`: with the article that the language wants there.
    env.add_filter("the_when", move |at: &str, now: &str| {
        let (when, is_today) = when(lang, &words, at, now)?;
        let article = match (lang, is_today) {
            (Lang::Es, true) if when.starts_with("01:") => "la ",
            (Lang::Es, true) => "las ",
            (Lang::Es, false) => "el ",
            (Lang::Pt, true) if when.starts_with("01:") => "a ",
            (Lang::Pt, true) => "as ",
            (Lang::Fr, false) => "le ",
            (Lang::En | Lang::Fr | Lang::Pt, _) => "",
        };
        Ok::<_, Error>(format!("{article}{when}"))
    });
}

/// The time of a moment, with its date where that is not today; and whether it is today.
fn when(lang: Lang, words: &Vocabulary, at: &str, now: &str) -> Result<(String, bool), Error> {
    let (at, now) = (moment(at)?, moment(now)?);
    let time = at.format("%H:%M").to_string();
    let is_today = at.date_naive() == now.with_timezone(at.offset()).date_naive();
    Ok((if is_today { time } else { format!("{}, {time}", date(lang, words, &at)) }, is_today))
}

fn moment(text: &str) -> Result<DateTime<FixedOffset>, Error> {
    DateTime::parse_from_rfc3339(text).map_err(|_| wrong("a timestamp such as `2026-11-22T14:03:20-06:00` is expected"))
}

fn date(lang: Lang, words: &Vocabulary, at: &DateTime<FixedOffset>) -> String {
    numbers::date(lang, (at.year(), at.month(), at.day()), &words.months)
}

fn add_words(env: &mut Environment<'static>, lang: Lang, vocabulary: &Arc<Vocabulary>) {
    env.add_filter(
        "plural",
        move |count: i128, one: String, several: String| {
            if is_one(lang, count) { one } else { several }
        },
    );
    env.add_filter("counted", move |count: i128, one: String, several: String| {
        let noun = if is_one(lang, count) { one } else { several };
        format!("{} {noun}", numbers::number(lang, count, Place::Text))
    });
    let words = Arc::clone(vocabulary);
    env.add_filter("period_name", move |name: &str| word(&words.periods, name).to_owned());
    let words = Arc::clone(vocabulary);
    env.add_filter("type_name", move |name: &str| word(&words.types, name).to_owned());
    let words = Arc::clone(vocabulary);
    env.add_filter("limit_name", move |name: &str| word(&words.limits, name).to_owned());
    let words = Arc::clone(vocabulary);
    env.add_filter("typed", move |limit: &str| words.typed(limit));
    let words = Arc::clone(vocabulary);
    env.add_filter("order", move |order: &str| words.order(order));
    let words = Arc::clone(vocabulary);
    env.add_filter("scope", move |scope: &str| words.scope(scope));
    let words = Arc::clone(vocabulary);
    env.add_filter("usage", move |name: &str| words.command(name).map_or(format!("/{name}"), CommandHelp::usage));
    let words = Arc::clone(vocabulary);
    env.add_filter("error_name", move |kind: &str| words.error(kind, 1).to_owned());
    env.add_filter("language_name", |code: String| match Lang::parse(&code) {
        Some(lang) => lang.own_name().to_owned(),
        None => code,
    });
    let words = Arc::clone(vocabulary);
    env.add_filter("type_count", move |item: Value| {
        let (name, count) = named_count(&item)?;
        let shown = numbers::number(lang, i128::from(count), Place::Text);
        Ok::<_, Error>(format!("{} {shown}", word(&words.types, &name)))
    });
    let words = Arc::clone(vocabulary);
    env.add_filter("error_count", move |item: Value| {
        let (name, count) = named_count(&item)?;
        let shown = numbers::number(lang, i128::from(count), Place::Text);
        Ok::<_, Error>(format!("{shown} {}", words.error(&name, count)))
    });
}

/// French counts nothing in the singular too.
fn is_one(lang: Lang, count: i128) -> bool {
    count == 1 || (lang == Lang::Fr && count == 0)
}

fn named_count(item: &Value) -> Result<(String, u64), Error> {
    let name = item.get_attr("name")?.to_string();
    let count = u64::try_from(item.get_attr("count")?)?;
    Ok((name, count))
}

/// Adds the filters that say something in the form of a surface, and what its layout depends on: `plain`, `gap` (an
/// empty line between paragraphs, where lines are not scarce) and `width` (of columns).
pub(super) fn add_forms(env: &mut Environment<'static>, surface: Surface, vocabulary: &Arc<Vocabulary>) {
    env.add_filter("facts", move |list: Value, options: Kwargs| facts(surface.line_width(), &list, &options));
    let is_plain = surface == Surface::Plain;
    env.add_global("plain", is_plain);
    env.add_global("gap", if is_plain { "\n" } else { "" });
    env.add_global("width", Value::from(Serde(surface.columns())));
    env.add_filter("sign", move |sign: String| if is_plain { String::new() } else { sign });
    env.add_filter("light", move |status: &str| light(surface, status));
    let words = Arc::clone(vocabulary);
    env.add_filter("command_line", move |name: &str, width: usize| {
        let command = words.command(name);
        let usage = command.map_or(format!("/{name}"), CommandHelp::usage);
        let description = command.map_or("", |command| command.description_on(surface));
        match surface {
            Surface::Plain => format!("{usage:<width$} {description}", width = width.min(LINE_WIDTH)),
            Surface::Telegram | Surface::WhatsApp => format!("{usage} · {description}"),
        }
    });
}

/// The sign for how something is: `ok`, `degraded`, or anything else for not at all.
fn light(surface: Surface, status: &str) -> &'static str {
    match (surface, status) {
        (Surface::Plain, "ok") => "●",
        (Surface::Plain, "degraded") => "◐",
        (Surface::Plain, _) => "○",
        (_, "ok") => "🟢",
        (_, "degraded") => "🟡",
        _ => "🔴",
    }
}

fn add_columns(env: &mut Environment<'static>, lang: Lang) {
    env.add_filter("cell", move |value: Value, width: usize, options: Kwargs| {
        let approximate = options.get::<Option<bool>>("approximate")?.unwrap_or(false);
        options.assert_all_used()?;
        cell(lang, &value, width, approximate)
    });
    env.add_filter("pad", |text: &str, width: usize| format!("{text:<width$}", width = width.min(LINE_WIDTH)));
    env.add_filter("clip", |text: &str, width: usize| clip(&clean(text), width));
    env.add_filter("bar", |item: Value, width: usize| {
        let (used, max) = (u64::try_from(item.get_attr("used")?)?, u64::try_from(item.get_attr("max")?)?);
        Ok::<_, Error>(numbers::bar(used, max, width))
    });
}

/// Joins a list into lines of at most so many characters; a line that goes on is indented by two spaces.
fn facts(line_width: usize, list: &Value, options: &Kwargs) -> Result<String, Error> {
    let separator = options.get::<Option<String>>("separator")?.unwrap_or_else(|| " · ".to_owned());
    let mut text = options.get::<Option<String>>("first")?.unwrap_or_default();
    options.assert_all_used()?;
    let mut line = width(&text);
    let mut is_start = true;
    for item in list.try_iter()? {
        let item = if item.is_none() || item.is_undefined() { String::new() } else { item.to_string() };
        if item.is_empty() {
            continue;
        }
        let gap = if is_start { "" } else { separator.as_str() };
        if !is_start && line + width(gap) + width(&item) > line_width {
            text.push_str(separator.trim_end());
            text.push_str("\n  ");
            line = 2 + width(&item);
        } else {
            text.push_str(gap);
            line += width(gap) + width(&item);
        }
        text.push_str(&item);
        is_start = false;
    }
    Ok(text)
}

/// A cell of a column. A number too long for it loses its grouping before it breaks the column.
fn cell(lang: Lang, value: &Value, width: usize, approximate: bool) -> Result<String, Error> {
    let mark = if approximate { "~" } else { "" };
    let text = if value.kind() == ValueKind::Number {
        let number = i128::try_from(value.clone())?;
        let grouped = format!("{mark}{}", numbers::number(lang, number, Place::Column));
        if grouped.chars().count() < width { grouped } else { format!("{mark}{number}") }
    } else {
        clip(&clean(&value.to_string()), width)
    };
    Ok(format!("{text:>width$}", width = width.min(LINE_WIDTH)))
}

/// Cuts a text in its middle, because names of models differ in their beginning and in their end.
fn clip(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let tail = kept / 3;
    let head: String = text.chars().take(kept - tail).collect();
    let tail: String = text.chars().skip(length - tail).collect();
    format!("{head}…{tail}")
}

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}
