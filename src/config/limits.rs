//! The sections `[[limits]]` and `limits = { … }` of a provider: how much may be used, by whom, in which window.

use toml::de::DeValue;

use super::check::zone;
use super::mistakes::nearest;
use super::reader::{Section, Whole};
use crate::usage::Zone;
use crate::usage::names::{CHANNELS, KEY_NAME, Name, is_key_name};

/// How much of something is allowed. What is not said is left to the default: another limit for `"*"`, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// As much as one likes, whatever the default.
    Unlimited,
    /// At most this; 0 is nothing at all.
    AtMost(u64),
}

/// Requests and tokens per minute and per day; of what is `None` nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests in any 60 seconds.
    pub requests_per_minute: Option<Allowance>,
    /// Requests of a day.
    pub requests_per_day: Option<Allowance>,
    /// Tokens, input and output, in any 60 seconds.
    pub tokens_per_minute: Option<Allowance>,
    /// Tokens, input and output, of a day.
    pub tokens_per_day: Option<Allowance>,
    /// The zone in which these days begin; `None` is UTC for a provider's limits, the owner's zone for the owner's.
    pub day_timezone: Option<Zone>,
    /// What happens when one of them is reached; `None` leaves it to who asks: a chat waits, a program is refused.
    pub at_limit: Option<AtLimit>,
}

/// One limit of the owner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it counts.
    pub applies_to: LimitFor,
    /// How much is allowed.
    pub rates: Rates,
}

/// What a limit counts: calls that match every name given. `"*"` counts each value by itself; nothing, all calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitFor {
    /// A provider's name in this file.
    pub provider: Option<String>,
    /// A model.
    pub model: Option<String>,
    /// A person, such as `telegram:111`; `guests` for all who are named nowhere, together.
    pub user: Option<String>,
    /// A team.
    pub team: Option<String>,
    /// A feature of the calling program.
    pub feature: Option<String>,
    /// The name of a gateway key.
    pub key: Option<String>,
    /// A channel, such as `telegram`.
    pub channel: Option<String>,
}

/// What happens to a call that finds its limit reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtLimit {
    /// It waits in line, where that is not too long.
    Wait,
    /// Another provider is asked: the one named, else the first whose models are local.
    Fallback(Option<String>),
    /// It is refused, with the time of the next safe call.
    Refuse,
}

impl Rates {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        let Rates { requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day, .. } = self;
        [requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day].iter().all(|rate| rate.is_none())
    }

    /// Reads rates; `providers` are the names that may be fallen back on, where they are known yet.
    pub(super) fn read(section: &mut Section<'_>, providers: Option<&[String]>) -> Rates {
        let requests = |example| Whole { min: 0, max: 1_000_000_000, unit: "requests", example };
        let tokens = |example| Whole { min: 0, max: 1_000_000_000_000, unit: "tokens", example };
        let rates = Rates {
            requests_per_minute: allowance(section, "requests_per_minute", requests(15)),
            requests_per_day: allowance(section, "requests_per_day", requests(150)),
            tokens_per_minute: allowance(section, "tokens_per_minute", tokens(150_000)),
            tokens_per_day: allowance(section, "tokens_per_day", tokens(1_500_000)),
            day_timezone: zone(section, "day_timezone"),
            at_limit: at_limit(section, providers),
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
            if let (Some(Allowance::AtMost(day)), Some(Allowance::AtMost(minute))) = (day, minute)
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
        let applies_to = section.table("for", |section| LimitFor::read(section, providers));
        let rates = Rates::read(section, Some(providers));
        says_something(
            section,
            rates.is_empty(),
            &["requests_per_minute", "requests_per_day", "tokens_per_minute", "tokens_per_day"],
            "requests_per_minute = 6",
        );
        check_fallback(section, &applies_to, rates.at_limit.as_ref());
        Some(Limit { applies_to, rates })
    }
}

/// A limit or a budget has to limit something.
pub(super) fn says_something(section: &Section<'_>, is_empty: bool, keys: &[&str], example: &str) {
    if is_empty && !keys.iter().any(|key| section.has(key)) {
        let path = section.path_of("");
        let text = format!(
            "`{}` limits nothing; expected at least one of `{}`, for example `{example}`",
            path.trim_end_matches('.'),
            keys.join("`, `")
        );
        section.wrong("", text);
    }
}

/// A whole number, or `"unlimited"`.
pub(super) fn allowance(section: &mut Section<'_>, key: &'static str, range: Whole) -> Option<Allowance> {
    if section.peek(key).is_some_and(|value| value.as_str() == Some("unlimited")) {
        let _is_known_now = section.find(key);
        return Some(Allowance::Unlimited);
    }
    section.whole_or(key, range, ", or `\"unlimited\"`").map(Allowance::AtMost)
}

/// `"wait"`, `"refuse"`, `"fallback"`, or `{ fallback = "the name of a provider" }`.
pub(super) fn at_limit(section: &mut Section<'_>, providers: Option<&[String]>) -> Option<AtLimit> {
    if matches!(section.peek("at_limit"), Some(DeValue::Table(_))) {
        return section.table("at_limit", |section| {
            let name =
                section.parsed("fallback", "the name of a provider", "\"ollama\"", |name| Some(name.to_owned()))?;
            if let Some(providers) = providers {
                check_provider(section, "fallback", &name, providers);
            }
            Some(AtLimit::Fallback(Some(name)))
        });
    }
    let words = [("wait", AtLimit::Wait), ("refuse", AtLimit::Refuse), ("fallback", AtLimit::Fallback(None))];
    let chosen = section.choice("at_limit", &[(words[0].0, 0), (words[1].0, 1), (words[2].0, 2)])?;
    words.into_iter().nth(chosen).map(|(_, at_limit)| at_limit)
}

/// Another provider is of no use where its calls count in the same limit.
pub(super) fn check_fallback(section: &Section<'_>, applies_to: &LimitFor, at_limit: Option<&AtLimit>) {
    let Some(AtLimit::Fallback(fallback)) = at_limit else { return };
    let counts_it = match &applies_to.provider {
        Some(provider) => fallback.as_ref() == Some(provider),
        None => applies_to.model.is_none(),
    };
    if counts_it {
        let path = section.path_of("at_limit");
        let text = format!(
            "`{path}` asks another provider, whose calls count in the same limit, so that it is refused as well; expected \
             `for` with another `provider`, or for example `at_limit = \"refuse\"`"
        );
        section.warn("at_limit", text);
    }
}

/// A provider's name has to be one of those that are configured.
fn check_provider(section: &Section<'_>, key: &'static str, name: &str, providers: &[String]) {
    if providers.iter().any(|known| known == name) {
        return;
    }
    let hint = match nearest(name, providers.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{key} = \"{meant}\"`?"),
        None if providers.is_empty() => "there is no `[[providers]]` section".to_owned(),
        None => format!("expected one of `\"{}\"`", providers.join("\"`, `\"")),
    };
    let path = section.path_of(key);
    section.wrong(key, format!("`{path}` is `\"{name}\"`, and no provider is called so; {hint}"));
}

impl LimitFor {
    /// Reads whom something is for; `providers` are the names it may count.
    pub(super) fn read(section: &mut Section<'_>, providers: &[String]) -> LimitFor {
        let mut name = |key, example: &str| {
            let expected = "a whole name of 1 to 128 bytes, or `\"*\"` for each by itself";
            section.parsed(key, expected, &format!("\"{example}\""), |text| {
                // What is meant for all that begin so would hold for none, as would what no call is ever named.
                (text == "*" || (Name::clean(text) == text && !text.ends_with('*'))).then(|| text.to_owned())
            })
        };
        let (provider, model) = (name("provider", "cloud"), name("model", "gpt-4o"));
        let (team, feature) = (name("team", "sales"), name("feature", "search"));
        let expected = format!("the name of a gateway key ({KEY_NAME}), or `\"*\"` for each by itself");
        let key = section.parsed("key", &expected, "\"web-shop\"", |text| {
            (text == "*" || is_key_name(text)).then(|| text.to_owned())
        });
        if let Some(name) = provider.as_ref().filter(|name| *name != "*") {
            check_provider(section, "provider", name, providers);
        }
        LimitFor { provider, model, user: user(section), team, feature, key, channel: channel(section) }
    }
}

/// A person as calls name them: without the channel nobody would be meant.
fn user(section: &mut Section<'_>) -> Option<String> {
    let expected = "`\"*\"` for each by itself, `\"guests\"`, or a channel and an id there (programs are `api:NAME`)";
    section.parsed("user", expected, "\"telegram:111\"", |text| {
        let id = text.split_once(':').filter(|(channel, _)| CHANNELS.contains(channel)).map(|(_, id)| id);
        let is_plain = |id: &str| !id.is_empty() && id.trim() == id;
        let usable = text.len() <= 128 && !text.chars().any(char::is_control);
        (usable && (["*", "guests"].contains(&text) || id.is_some_and(is_plain))).then(|| text.to_owned())
    })
}

fn channel(section: &mut Section<'_>) -> Option<String> {
    let mut choices = CHANNELS.map(|channel| (channel, channel)).to_vec();
    choices.push(("*", "*"));
    section.choice("channel", &choices).map(str::to_owned)
}
