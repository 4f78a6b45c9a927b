//! Query parameters and `Accept-Language`, read strictly: whatever is unknown, repeated or malformed is a mistake.

use std::fmt;

use serde::Serialize;

use crate::stats::Period;
use crate::templates::Lang;

const FORMATS: [&str; 2] = ["json", "text"];

/// What `GET /stats` was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatsQuery {
    /// Which days.
    pub period: Period,
    /// `None` when the client did not say.
    pub lang: Option<Lang>,
    /// JSON or text.
    pub format: StatsFormat,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Its name as it came, if it is short.
    pub parameter: String,
    /// Its value as it came, if it is short.
    pub value: String,
    /// What is wrong.
    pub problem: &'static str,
    /// The values it may have; for an unknown parameter, the parameters there are.
    pub allowed: Vec<&'static str>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parameter `{}` with value `{}`: {}", self.parameter, self.value, self.problem)?;
        match self.allowed.as_slice() {
            [] => f.write_str("; this route takes no parameters"),
            allowed => write!(f, "; expected one of `{}`", allowed.join("`, `")),
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
        let known: [(&str, &[&'static str]); 3] = [("format", &FORMATS), ("lang", &languages), ("period", &periods)];
        let [format, lang, period] = choices(query, known)?;
        let format = if format == Some("text") { StatsFormat::Text } else { StatsFormat::Json };
        let period = period.and_then(Period::parse).unwrap_or_default();
        let lang = lang.and_then(Lang::parse).or_else(|| match format {
            StatsFormat::Text => preferred_language(accept_language?),
            StatsFormat::Json => None,
        });
        Ok(StatsQuery { period, lang, format })
    }
}

/// Reads the query of a route that takes only `lang`, else `Accept-Language`.
pub(super) fn parse_lang(query: Option<&str>, accept: Option<&str>) -> Result<Option<Lang>, Vec<Mistake>> {
    let [lang] = choices(query, [("lang", &Lang::ALL.map(Lang::code)[..])])?;
    Ok(lang.and_then(Lang::parse).or_else(|| preferred_language(accept?)))
}

/// Makes sure that a route without parameters got none.
pub(super) fn expect_empty(query: Option<&str>) -> Result<(), Vec<Mistake>> {
    choices(query, []).map(|[]| ())
}

/// Reads parameters that each have a closed set of values: the value of each, in the order of `known`.
fn choices<const N: usize>(
    query: Option<&str>,
    known: [(&'static str, &[&'static str]); N],
) -> Result<[Option<&'static str>; N], Vec<Mistake>> {
    /// More mistakes than this are not listed.
    const MAX_MISTAKES: usize = 20;
    let mut found = [None; N];
    let mut seen = [false; N];
    let mut mistakes = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (raw_name, raw_value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (percent_decode(raw_name), percent_decode(raw_value));
        let mistake = |problem, allowed: &[&'static str]| Mistake {
            parameter: shorten(name.as_deref().unwrap_or(raw_name)),
            value: shorten(value.as_deref().unwrap_or(raw_value)),
            problem,
            allowed: allowed.to_vec(),
        };
        let place = known.iter().position(|(known, _)| Some(*known) == name.as_deref());
        let Some(place) = place else {
            mistakes.push(mistake("there is no such parameter", &known.map(|(name, _)| name)));
            continue;
        };
        let allowed = known[place].1;
        if std::mem::replace(&mut seen[place], true) {
            mistakes.push(mistake("it is given more than once", allowed));
            continue;
        }
        match allowed.iter().find(|allowed| Some(**allowed) == value.as_deref()) {
            Some(value) => found[place] = Some(*value),
            None => mistakes.push(mistake("there is no such value", allowed)),
        }
    }
    mistakes.truncate(MAX_MISTAKES);
    if mistakes.is_empty() { Ok(found) } else { Err(mistakes) }
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
        let query = StatsQuery::parse(Some("format=text&period=7d&lang=%65s"), Some("fr")).expect("good");
        assert_eq!(query, StatsQuery { period: Period::Week, lang: Some(Lang::Es), format: StatsFormat::Text });
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
        assert!(texts[2].contains("`…` with value `1`: there is no such parameter; expected one of `format`"));
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
