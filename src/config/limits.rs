//! The sections `[[limits]]` and `limits = { … }` of a provider: how much may be used, by whom, in which window.

use chrono_tz::Tz;

use super::check::zone;
use super::mistakes::nearest;
use super::reader::{Section, Whole};
use crate::usage::names::CHANNELS;

/// Requests and tokens per minute and per day; what is `None` is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests in any 60 seconds.
    pub requests_per_minute: Option<u64>,
    /// Requests of a day.
    pub requests_per_day: Option<u64>,
    /// Tokens, input and output, in any 60 seconds.
    pub tokens_per_minute: Option<u64>,
    /// Tokens, input and output, of a day.
    pub tokens_per_day: Option<u64>,
    /// The zone in which these days begin; `None` is UTC for a provider's limits, the owner's zone for the owner's.
    pub day_timezone: Option<Tz>,
}

/// One limit of the owner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it counts.
    pub applies_to: LimitFor,
    /// How much is allowed.
    pub rates: Rates,
    /// What happens when it is reached.
    pub at_limit: AtLimit,
}

/// What a limit counts: calls that match every name given. `"*"` counts each value by itself; nothing, all calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitFor {
    /// A provider's name in this file.
    pub provider: Option<String>,
    /// A model.
    pub model: Option<String>,
    /// A person.
    pub user: Option<String>,
    /// A team.
    pub team: Option<String>,
    /// A feature of the calling program.
    pub feature: Option<String>,
    /// The last characters of an API key.
    pub key: Option<String>,
    /// A channel, such as `telegram`.
    pub channel: Option<String>,
}

/// What happens to a call that finds its limit reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtLimit {
    /// It is refused, with the time of the next safe call.
    #[default]
    Refuse,
}

impl Rates {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        let Rates { requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day, .. } = self;
        [requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day].iter().all(|rate| rate.is_none())
    }

    pub(super) fn read(section: &mut Section<'_>) -> Rates {
        let requests = |example| Whole { min: 1, max: 1_000_000_000, unit: "requests", example };
        let tokens = |example| Whole { min: 1, max: 1_000_000_000_000, unit: "tokens", example };
        let rates = Rates {
            requests_per_minute: section.whole("requests_per_minute", requests(15)),
            requests_per_day: section.whole("requests_per_day", requests(150)),
            tokens_per_minute: section.whole("tokens_per_minute", tokens(150_000)),
            tokens_per_day: section.whole("tokens_per_day", tokens(1_500_000)),
            day_timezone: zone(section, "day_timezone"),
        };
        rates.check_order(section);
        rates
    }

    /// A day that allows less than a minute is nearly always a slip of the unit.
    fn check_order(&self, section: &Section<'_>) {
        let pairs = [
            ("requests_per_day", self.requests_per_day, "requests_per_minute", self.requests_per_minute),
            ("tokens_per_day", self.tokens_per_day, "tokens_per_minute", self.tokens_per_minute),
        ];
        for (day_key, day, minute_key, minute) in pairs {
            if let (Some(day), Some(minute)) = (day, minute)
                && day < minute
            {
                let text = format!(
                    "`{}` is `{day}`, less than `{minute_key}` ({minute}): the limit of the minute is never reached",
                    section.path_of(day_key)
                );
                section.warn(day_key, text);
            }
        }
    }
}

impl Limit {
    /// Reads one limit; `providers` are the names it may count.
    pub(super) fn read(section: &mut Section<'_>, providers: &[String]) -> Option<Limit> {
        let applies_to = section.table("for", |section| {
            let applies_to = LimitFor::read(section);
            applies_to.check_provider(section, providers);
            applies_to
        });
        let rates = Rates::read(section);
        let found = ["requests_per_minute", "requests_per_day", "tokens_per_minute", "tokens_per_day"];
        if rates.is_empty() && !found.iter().any(|key| section.has(key)) {
            let path = section.path_of("");
            let text = format!(
                "`{}` limits nothing; expected at least one of `{}`, for example `requests_per_minute = 6`",
                path.trim_end_matches('.'),
                found.join("`, `")
            );
            section.wrong("", text);
        }
        Some(Limit { applies_to, rates, at_limit: at_limit(section) })
    }
}

fn at_limit(section: &mut Section<'_>) -> AtLimit {
    let words = [("refuse", true), ("wait", false), ("fallback", false)];
    if section.choice("at_limit", &words) == Some(false) {
        let text = format!(
            "`{}` asks to wait or to fall back, which comes with a later version; write `at_limit = \"refuse\"`",
            section.path_of("at_limit")
        );
        section.wrong("at_limit", text);
    }
    AtLimit::Refuse
}

impl LimitFor {
    fn read(section: &mut Section<'_>) -> LimitFor {
        let mut name = |key, example: &str| {
            let expected = "a name of 1 to 128 bytes, or `\"*\"` for each by itself";
            section.parsed(key, expected, &format!("\"{example}\""), |text| {
                let usable = !text.trim().is_empty() && text.len() <= 128 && !text.chars().any(char::is_control);
                usable.then(|| text.to_owned())
            })
        };
        let (provider, model, user) = (name("provider", "cloud"), name("model", "gpt-4o"), name("user", "*"));
        let (team, feature, key) = (name("team", "sales"), name("feature", "search"), name("key", "*"));
        LimitFor { provider, model, user, team, feature, key, channel: channel(section) }
    }

    fn check_provider(&self, section: &Section<'_>, providers: &[String]) {
        let Some(name) = self.provider.as_ref().filter(|name| *name != "*" && !providers.contains(name)) else {
            return;
        };
        let hint = match nearest(name, providers.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `provider = \"{meant}\"`?"),
            None if providers.is_empty() => "there is no `[[providers]]` section".to_owned(),
            None => format!("expected one of `\"{}\"`", providers.join("\"`, `\"")),
        };
        let path = section.path_of("provider");
        section.wrong("provider", format!("`{path}` is `\"{name}\"`, and no provider is called so; {hint}"));
    }
}

fn channel(section: &mut Section<'_>) -> Option<String> {
    let mut choices = CHANNELS.map(|channel| (channel, channel)).to_vec();
    choices.push(("*", "*"));
    section.choice("channel", &choices).map(str::to_owned)
}
