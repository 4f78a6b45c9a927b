//! Query parameters and `Accept-Language`, read strictly: whatever is unknown, repeated or malformed is a mistake.

mod usage;

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use super::api::ResetQuery;
use crate::reports::NoSuchEpoch;
use crate::stats::Period;
use crate::templates::Lang;

pub use usage::{UsageFormat, UsageRequest};

const FORMATS: [&str; 2] = ["json", "text"];

const FORMS: [&str; 2] = ["raymundo", "tallybot"];

/// What `GET /stats` was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatsQuery {
    /// Which days.
    pub period: Period,
    /// `None` when the client did not say.
    pub lang: Option<Lang>,
    /// Which epoch, counted back from the current one, 0.
    pub epoch: usize,
    /// JSON or text.
    pub format: StatsFormat,
    /// Whose keys and words; `None` when the client did not say.
    pub form: Option<Form>,
}

/// Whose keys and words an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Our own.
    Tallybot,
    /// Those of an older bot, for what was written for it.
    Raymundo,
}

impl Form {
    fn parse(name: &str) -> Option<Form> {
        match name {
            "tallybot" => Some(Form::Tallybot),
            "raymundo" => Some(Form::Raymundo),
            _ => None,
        }
    }
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatsFormat {
    /// For programs.
    #[default]
    Json,
    /// For people.
    Text,
}

/// One wrong parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Mistake {
    /// Its name as it came, if it is short.
    pub parameter: String,
    /// Its value as it came, if it is short.
    pub value: String,
    /// What is wrong.
    pub problem: &'static str,
    /// What was expected, where that is no list of values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Cow<'static, str>>,
    /// The values it may have, where they can be listed; for an unknown parameter, the parameters there are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<Cow<'static, str>>,
}

impl Mistake {
    /// What is wrong with a parameter and its value, and what it might be.
    pub fn new(parameter: &str, value: &str, problem: &'static str, allowed: Vec<Cow<'static, str>>) -> Mistake {
        Mistake { parameter: shorten(parameter), value: shorten(value), problem, expected: None, allowed }
    }

    /// The same, where what it might be cannot be listed.
    pub fn expecting(
        parameter: &str,
        value: &str,
        problem: &'static str,
        expected: impl Into<Cow<'static, str>>,
    ) -> Mistake {
        Mistake { expected: Some(expected.into()), ..Mistake::new(parameter, value, problem, Vec::new()) }
    }

    /// An epoch that is not there.
    pub(in crate::http) fn epoch(error: &NoSuchEpoch) -> Mistake {
        const MAX_LISTED: usize = 64;
        Mistake {
            parameter: "epoch".to_owned(),
            value: error.number.to_string(),
            problem: "there is no such epoch",
            expected: None,
            allowed: (0..error.count.min(MAX_LISTED)).map(|number| number.to_string().into()).collect(),
        }
    }
}

/// The values a parameter may have.
#[derive(Clone, Copy)]
enum Values<'a> {
    OneOf(&'a [&'static str]),
    WholeNumber,
    /// Whatever passes, and what that is, with an example.
    Like(fn(&str) -> bool, &'static str),
}

impl Values<'_> {
    fn allow(self, value: &str) -> bool {
        match self {
            Values::OneOf(values) => values.contains(&value),
            Values::Like(passes, _) => passes(value),
            Values::WholeNumber => value.bytes().all(|byte| byte.is_ascii_digit()) && value.parse::<usize>().is_ok(),
        }
    }

    /// What is wrong with a value of them, and what would have been right.
    fn mistake(self, parameter: &str, value: &str, problem: &'static str) -> Mistake {
        match self {
            Values::OneOf(values) => {
                Mistake::new(parameter, value, problem, values.iter().copied().map(Cow::from).collect())
            }
            Values::Like(_, expected) => Mistake::expecting(parameter, value, problem, expected),
            Values::WholeNumber => Mistake::expecting(parameter, value, problem, "a whole number, for example `0`"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parameter `{}` with value `{}`: {}", self.parameter, self.value, self.problem)?;
        match (&self.expected, self.allowed.as_slice()) {
            (Some(expected), _) => write!(f, "; expected {expected}"),
            (None, []) => f.write_str("; this route takes no parameters"),
            (None, allowed) => write!(f, "; expected one of `{}`", allowed.join("`, `")),
        }
    }
}

impl StatsQuery {
    /// Reads the query of `GET /stats`; for text, `Accept-Language` may choose the language.
    ///
    /// # Errors
    /// With every mistake in it.
    pub fn parse(query: Option<&str>, accept_language: Option<&str>) -> Result<StatsQuery, Vec<Mistake>> {
        let (languages, periods) = (Lang::ALL.map(Lang::code), Period::ALL.map(Period::as_str));
        let known = [
            ("epoch", Values::WholeNumber),
            ("form", Values::OneOf(&FORMS)),
            ("format", Values::OneOf(&FORMATS)),
            ("lang", Values::OneOf(&languages)),
            ("period", Values::OneOf(&periods)),
        ];
        let [epoch, form, format, lang, period] = choices(query, known)?;
        let epoch = epoch.and_then(|epoch| epoch.parse().ok()).unwrap_or_default();
        let format = if format.as_deref() == Some("text") { StatsFormat::Text } else { StatsFormat::Json };
        let period = period.as_deref().and_then(Period::parse).unwrap_or_default();
        let lang = lang.as_deref().and_then(Lang::parse).or_else(|| match format {
            StatsFormat::Text => preferred_language(accept_language?),
            StatsFormat::Json => None,
        });
        Ok(StatsQuery { period, lang, epoch, format, form: form.as_deref().and_then(Form::parse) })
    }
}

impl ResetQuery {
    /// Reads the query of `POST /metrics/reset`; `Accept-Language` may choose the language.
    ///
    /// # Errors
    /// With every mistake in it.
    pub fn parse(query: Option<&str>, accept_language: Option<&str>) -> Result<ResetQuery, Vec<Mistake>> {
        let languages = Lang::ALL.map(Lang::code);
        let known = [
            ("form", Values::OneOf(&FORMS)),
            ("lang", Values::OneOf(&languages)),
            ("undo", Values::OneOf(&["false", "true"])),
        ];
        let [form, lang, undo] = choices(query, known)?;
        let lang = lang.as_deref().and_then(Lang::parse).or_else(|| preferred_language(accept_language?));
        Ok(ResetQuery { lang, undo: undo.as_deref() == Some("true"), form: form.as_deref().and_then(Form::parse) })
    }
}

/// Makes sure that a route without parameters got none.
pub(in crate::http) fn expect_empty(query: Option<&str>) -> Result<(), Vec<Mistake>> {
    choices(query, []).map(|[]| ())
}

/// A parameter that a route knows.
struct Parameter<'a> {
    name: &'static str,
    values: Values<'a>,
    /// Whether it may come more than once.
    repeats: bool,
}

/// Reads the parameters of a route: the value of each, in the order of `known`.
fn choices<const N: usize>(
    query: Option<&str>,
    known: [(&'static str, Values<'_>); N],
) -> Result<[Option<String>; N], Vec<Mistake>> {
    let known = known.map(|(name, values)| Parameter { name, values, repeats: false });
    let (mut found, mistakes) = read(query, &known);
    if mistakes.is_empty() { Ok(std::array::from_fn(|at| found[at].pop())) } else { Err(told(mistakes)) }
}

/// Reads the parameters of a route: the good values of each, in the order of `known`, and every mistake.
fn read(query: Option<&str>, known: &[Parameter<'_>]) -> (Vec<Vec<String>>, Vec<Mistake>) {
    let mut found = vec![Vec::new(); known.len()];
    let mut seen = vec![false; known.len()];
    let mut mistakes = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (raw_name, raw_value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (percent_decode(raw_name), percent_decode(raw_value));
        let shown_name = name.as_deref().unwrap_or(raw_name);
        let shown_value = value.as_deref().unwrap_or(raw_value);
        let Some(place) = known.iter().position(|known| Some(known.name) == name.as_deref()) else {
            let allowed = known.iter().map(|known| Cow::from(known.name)).collect();
            mistakes.push(Mistake::new(shown_name, shown_value, "there is no such parameter", allowed));
            continue;
        };
        let Parameter { values, repeats, .. } = known[place];
        if std::mem::replace(&mut seen[place], true) && !repeats {
            mistakes.push(values.mistake(shown_name, shown_value, "it is given more than once"));
            continue;
        }
        match value.as_ref().filter(|value| values.allow(value)) {
            Some(value) => found[place].push(value.clone()),
            None => mistakes.push(values.mistake(shown_name, shown_value, "there is no such value")),
        }
    }
    (found, mistakes)
}

/// As many mistakes as one answer lists.
fn told(mut mistakes: Vec<Mistake>) -> Vec<Mistake> {
    const MAX_MISTAKES: usize = 20;
    mistakes.truncate(MAX_MISTAKES);
    mistakes
}

/// What a client sent, without control characters; nothing of a longer text, which may be a token or a question in the
/// wrong place.
fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 16;
    let short: String = text.chars().filter(|c| !c.is_control()).take(MAX_CHARS + 1).collect();
    if short.chars().count() > MAX_CHARS { "…".to_owned() } else { short }
}

/// Decodes `%41` and `+`; `None` when that is malformed or not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                (digit(rest.next())? * 16 + digit(rest.next())?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The language of ours that an `Accept-Language` likes best; the first of equals; `None` when it likes none.
fn preferred_language(accept: &str) -> Option<Lang> {
    let mut best: Option<(Lang, u32)> = None;
    for wish in accept.split(',').take(32) {
        let (tag, parameters) = wish.split_once(';').unwrap_or((wish, "q=1"));
        let primary = tag.trim().split('-').next().unwrap_or_default();
        let language = Lang::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(primary));
        let Some((language, weight)) = language.zip(thousandths(parameters)) else { continue };
        if weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language)
}

/// `q=0.75` as 750.
fn thousandths(parameter: &str) -> Option<u32> {
    let text = parameter.trim().strip_prefix("q=")?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !digits || whole.len() != 1 || fraction.len() > 3 {
        return None;
    }
    let value = whole.parse::<u32>().ok()? * 1000 + format!("{fraction:0<3}").parse::<u32>().ok()?;
    (value <= 1000).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_query_is_read_whole() {
        let query =
            StatsQuery::parse(Some("format=text&period=7d&epoch=2&lang=%65s&form=raymundo"), Some("fr")).expect("good");
        let (lang, form) = (Some(Lang::Es), Some(Form::Raymundo));
        assert_eq!(query, StatsQuery { period: Period::Week, lang, epoch: 2, format: StatsFormat::Text, form });
        assert_eq!(StatsQuery::parse(None, Some("fr")), Ok(StatsQuery::default()), "JSON has no language of its own");
        assert_eq!(StatsQuery::parse(Some(""), None), Ok(StatsQuery::default()));
    }

    #[test]
    fn every_mistake_is_named_in_one_answer() {
        let query = format!("period=week&period=7d&{}=1&format&lang=%zz&lang=en", "x".repeat(100));
        let mistakes = StatsQuery::parse(Some(&query), None).expect_err("six mistakes");
        let texts: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
        assert_eq!(texts.len(), 6, "{texts:#?}");
        assert_eq!(
            texts[0],
            "parameter `period` with value `week`: there is no such value; expected one of `today`, `7d`, `30d`, `all`"
        );
        assert!(texts[1].contains("more than once"), "{}", texts[1]);
        assert!(texts[2].contains("`…` with value `1`: there is no such parameter; expected one of `epoch`"));
        assert!(texts[3].contains("parameter `format` with value ``"));
        assert!(texts[4].contains("`%zz`"), "a malformed value is shown as it came: {}", texts[4]);
        assert!(expect_empty(Some("a=b")).expect_err("none allowed")[0].to_string().ends_with("no parameters"));
    }

    #[test]
    fn the_language_that_is_liked_best_is_chosen() {
        let of = preferred_language;
        assert_eq!(of("de, pt-BR;q=0.8, es;q=0.9"), Some(Lang::Es));
        assert_eq!(of("fr-CA,en;q=0.5"), Some(Lang::Fr));
        assert_eq!(of("en;q=0, *"), None);
        assert_eq!(of("es;q=7, pt;q=0.1234, fr;q=x"), None, "malformed wishes are ignored");
    }
}
