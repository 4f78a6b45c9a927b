//! What somebody wants of a new key, and whether it can be had: the same for commands and for programs.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::keys::{HASHED_AS, NOTHING_HASHED_AS, is_key, make_key};
use crate::ledger::People;
use crate::limits::{Facet, LimitKind, Measure, Pick, Scope, Span};
use crate::service::items::{MAX_IDENTITY_BYTES, PEOPLE_OF};
use crate::settings::{BudgetChange, BudgetKey, GatewayKey, Setting};
use crate::usage::json::Pairs;
use crate::usage::names::{KEY_NAME, Name, is_key_name};
use crate::usage::{KeySuffix, Money, Timestamp};

/// The most providers, and the most models, that are named for one key.
const MAX_NAMED: usize = 100;

const EXAMPLE: &str = r#"{"name":"web","providers":["cloud"],"budgets":{"usd_per_day":"5.00"}}"#;

/// What is wanted of a key, as told: the body of `POST /v1/keys`. What is not said is not narrowed.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyAsk {
    /// What it is called.
    pub name: String,
    /// Whose calls are made with it, by the name that programs give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whose budget they count in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// What they are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// The providers that it opens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
    /// The models that it opens; a `*` at the end stands for any end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Its budgets by the names of limits, such as `usd_per_day`: dollars as decimal text, else whole numbers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "each_once")]
    pub budgets: BTreeMap<String, serde_json::Value>,
}

/// What is wrong with what is wanted; nothing private in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", .texts.join("; "))]
pub struct KeyMistakes {
    /// A sentence for each.
    texts: Vec<String>,
    /// The providers there are, where one is named that is not.
    pub allowed: Option<Vec<String>>,
}

impl From<String> for KeyMistakes {
    fn from(text: String) -> KeyMistakes {
        KeyMistakes { texts: vec![text], allowed: None }
    }
}

/// A wish that can be granted.
pub struct KeyPlan {
    pub(super) ask: KeyAsk,
    caps: Vec<(LimitKind, u64)>,
}

/// A key that was made, not yet written anywhere.
pub(super) struct Made {
    pub(super) key: SecretString,
    pub(super) known_as: GatewayKey,
    pub(super) budgets: Vec<Setting>,
}

impl KeyAsk {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// What is wrong with its form: where, and what was expected.
    pub fn read(body: &[u8]) -> Result<KeyAsk, KeyMistakes> {
        serde_json::from_slice(body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let told = error.to_string();
            let told = told.split(" at line ").next().unwrap_or_default();
            // What is sent is not repeated: it may be anything.
            let told = match told.split_once("`, expected") {
                Some((unknown, expected)) if unknown.starts_with("unknown field") => {
                    format!("a field that is not known, expected{expected}")
                }
                _ if told.starts_with("missing field") || told.starts_with("duplicate field") => told.to_owned(),
                _ if error.is_data() => "a value of another kind than expected".to_owned(),
                _ => "the body is not JSON".to_owned(),
            };
            format!("{told} (line {line}, column {column}); expected an object, for example `{EXAMPLE}`").into()
        })
    }

    /// Whether it can be had, where these are the providers.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn plan(self, providers: &[&str]) -> Result<KeyPlan, KeyMistakes> {
        let mut wrong = KeyMistakes::default();
        let mut say = |text: String| wrong.texts.push(text);
        if let Err(text) = name_of_a_key(&self.name) {
            say(text);
        }
        if self.user.as_ref().is_some_and(|user| !is_text(user, MAX_IDENTITY_BYTES)) {
            let expected = format!("expected 1 to {MAX_IDENTITY_BYTES} bytes without control characters");
            say(format!("`user` is empty, too long or not text; {expected}, for example `ana`"));
        }
        for (field, name) in [("team", &self.team), ("feature", &self.feature)] {
            if name.as_ref().is_some_and(|name| !is_name(name)) {
                say(format!(
                    "`{field}` is no name; expected up to 128 bytes without control characters or outer spaces"
                ));
            }
        }
        if self.models.len() > MAX_NAMED || !self.models.iter().all(|model| is_pattern(model)) {
            let expected = format!("expected at most {MAX_NAMED} names, `*` only at the end");
            say(format!("`models` holds something else than names of models; {expected}, for example `gpt-4o*`"));
        }
        let caps = self.budgets.iter().map(|(limit, amount)| cap(limit, amount));
        let (caps, bad): (Vec<_>, Vec<_>) = caps.partition(Result::is_ok);
        bad.into_iter().filter_map(Result::err).for_each(&mut say);
        if self.providers.iter().any(|name| !providers.contains(&name.as_str())) {
            let there = providers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            say(format!("`providers` names one that is not there; expected of {there}"));
            wrong.allowed = Some(providers.iter().map(|name| (*name).to_owned()).collect());
        }
        match wrong.texts.is_empty() {
            true => Ok(KeyPlan { ask: self, caps: caps.into_iter().filter_map(Result::ok).collect() }),
            false => Err(wrong),
        }
    }
}

impl KeyPlan {
    /// Makes the key of random bytes, and what is to be written of it. Who its user is is remembered for display.
    pub(super) fn make(&self, random: [u8; 32], people: &People, now: Timestamp) -> Made {
        let key = make_key(random);
        let KeyAsk { name, user, team, feature, providers, models, .. } = self.ask.clone();
        let known_as = GatewayKey {
            hash: people.hash(HASHED_AS, key.expose_secret()),
            hashed_by: Some(people.hash(NOTHING_HASHED_AS, "")),
            suffix: KeySuffix::of_key(key.expose_secret()).expect("a key is longer than what is too short"),
            user: user.map(|user| people.subject(PEOPLE_OF, &user)),
            added: now,
            name,
            team,
            feature,
            providers,
            models,
        };
        Made { key, known_as, budgets: self.budgets(now) }
    }

    /// A prepaid one counts from the key's first day.
    fn budgets(&self, now: Timestamp) -> Vec<Setting> {
        let set = |(limit, amount): &(LimitKind, u64)| Setting::Budget {
            of: budget_of(&self.ask.name, *limit),
            change: BudgetChange::Set { amount: *amount, since: (limit.span() == Span::Prepaid).then(|| now.day()) },
            by: None,
        };
        self.caps.iter().map(set).collect()
    }
}

/// The budget of a key.
pub(super) fn budget_of(name: &str, limit: LimitKind) -> BudgetKey {
    BudgetKey { subject: scope_of(name).to_string(), limit: limit.to_string() }
}

/// The calls made with a key.
pub(super) fn scope_of(name: &str) -> Scope {
    Scope::everything().with(Facet::Key, Pick::Only(name.into()))
}

/// An error unless a text can be a key's name. What may be a key is not repeated.
pub(super) fn name_of_a_key(text: &str) -> Result<(), String> {
    if is_key(text) {
        return Err("this is a key and no name; `tallybot keys list` shows the names".to_owned());
    }
    if is_key_name(text) {
        return Ok(());
    }
    Err(format!("`name` cannot be a key's name; expected {KEY_NAME}, for example `web-shop`"))
}

/// Values by their names. A name that comes twice is a mistake: one of its values would be dropped.
fn each_once<'de, D: Deserializer<'de>>(object: D) -> Result<BTreeMap<String, serde_json::Value>, D::Error> {
    let pairs = Pairs::deserialize(object)?;
    match pairs.repeated() {
        Some(_) => Err(D::Error::custom("duplicate field in `budgets`")),
        None => Ok(pairs.0.into_iter().collect()),
    }
}

fn is_text(text: &str, max_bytes: usize) -> bool {
    (1..=max_bytes).contains(&text.len()) && !text.contains(char::is_control)
}

fn is_name(text: &str) -> bool {
    Name::clean(text) == text
}

fn is_pattern(text: &str) -> bool {
    let begin = text.strip_suffix('*').unwrap_or(text);
    is_name(text) && !begin.contains(['*', ' ', ','])
}

/// A cap by the name of its limit: `"5.00"` or `5` dollars, so many tokens or requests.
fn cap(limit: &str, amount: &serde_json::Value) -> Result<(LimitKind, u64), String> {
    let Some(kind) = LimitKind::parse(limit) else {
        let all = LimitKind::ALL.map(|kind| format!("`{kind}`")).join(", ");
        return Err(format!("`budgets` names a limit that is not there; expected of {all}"));
    };
    let text = match amount {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let (cap, expected) = match kind.measure() {
        Measure::Money => {
            let dollars = Money::parse_usd(&text).ok();
            (dollars.and_then(|usd| u64::try_from(usd.pico_usd()).ok()), "dollars up to 18000000, such as \"5.00\"")
        }
        Measure::Tokens | Measure::Requests => (text.parse().ok(), "a whole number, such as 100000"),
    };
    cap.map(|cap| (kind, cap)).ok_or_else(|| format!("`budgets.{kind}` is no amount; expected {expected}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PROVIDERS: [&str; 2] = ["cloud", "local"];

    fn planned(ask: serde_json::Value) -> Result<KeyPlan, KeyMistakes> {
        KeyAsk::read(ask.to_string().as_bytes())?.plan(&PROVIDERS)
    }

    fn refused(ask: serde_json::Value) -> String {
        planned(ask).map(|_| ()).expect_err("a mistake").to_string()
    }

    #[test]
    fn what_is_wanted_becomes_a_key_and_its_budgets() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let people = People::open(folder.path(), [1; 32]).expect("new");
        let now = Timestamp::parse("2026-11-22T12:00:00Z").expect("a time");
        let plan = planned(json!({
            "name": "web", "user": "ana", "team": "sales", "feature": "search", "providers": ["cloud"],
            "models": ["gpt-4o*", "meta/llama-4"],
            "budgets": {"usd_per_day": "5.50", "usd_prepaid": 20, "tokens_per_month": 100_000},
        }));
        let made = plan.expect("it can be had").make([7; 32], &people, now);
        let key = made.known_as;
        assert_eq!(key.hash, people.hash("gateway-key", made.key.expose_secret()));
        assert!(made.key.expose_secret().ends_with(key.suffix.as_str()));
        assert_eq!(key.user, Some(people.hash("api", "ana")));
        assert_eq!(people.identity(&people.hash("api", "ana")).as_deref(), Some("ana"), "remembered for display");
        assert_eq!((key.team.as_deref(), key.feature.as_deref(), key.added), (Some("sales"), Some("search"), now));
        assert_eq!((key.providers, key.models), (vec!["cloud".into()], vec!["gpt-4o*".into(), "meta/llama-4".into()]));
        let budgets: Vec<_> =
            made.budgets.iter().map(|setting| serde_json::to_value(setting).expect("plain")).collect();
        let set = |limit: &str, amount: u64| json!({"setting": "budget", "subject": "key:web", "limit": limit, "change": "set", "amount": amount});
        let mut prepaid = set("usd_prepaid", 20_000_000_000_000);
        prepaid["since"] = json!("2026-11-22");
        assert_eq!(budgets, [set("tokens_per_month", 100_000), set("usd_per_day", 5_500_000_000_000), prepaid]);
        assert!(planned(json!({"name": "0.a_B-c"})).is_ok(), "nothing but a name is needed");
    }

    #[test]
    fn every_mistake_is_told_at_once_and_nothing_private_with_it() {
        let told = refused(json!({
            "name": "a b", "user": "canary\n", "team": " x", "feature": "", "providers": ["cloud", "other"],
            "models": ["gpt-*-mini"], "budgets": {"usd_per_minute": 1, "usd_per_day": "-1", "tokens_per_day": 1.5},
        }));
        for field in ["`name`", "`user`", "`team`", "`feature`", "`models`", "`budgets`", "`budgets.usd_per_day`"] {
            assert!(told.contains(field), "{field}: {told}");
        }
        assert!(told.contains("`budgets.tokens_per_day` is no amount; expected a whole number, such as 100000"));
        assert!(told.contains("expected of `cloud`, `local`") && !told.contains("canary"), "{told}");
        let key = "tb-aaaqeayeaudaocajbifqydiob4ibceqt";
        let told = refused(json!({"name": key}));
        assert!(told.contains("this is a key and no name") && !told.contains("aaaq"), "{told}");
        for name in ["", "-x", ".", "é", "a/b", &"x".repeat(65)] {
            assert!(refused(json!({"name": name})).contains("expected 1 to 64 letters"), "{name}");
        }
        let told = refused(json!({"name": "x", "canary": 1}));
        assert!(told.starts_with("a field that is not known, expected one of `name`, `user`"), "{told}");
        assert!(!told.contains("canary"), "{told}");
        assert!(refused(json!({"team": "x"})).starts_with("missing field `name`"));
        let told = refused(json!({"name": "x", "user": {"canary": 1}}));
        assert!(told.starts_with("a value of another kind") && !told.contains("canary"), "{told}");
        let told = KeyAsk::read(br#"{"name":"x","budgets":{"usd_per_day":5,"usd_per_day":50}}"#).map(|_| ());
        let told = told.expect_err("one of them would be dropped").to_string();
        assert!(told.starts_with("duplicate field in `budgets` (line 1, column 57); expected"), "{told}");
        let told = KeyAsk::read(b"{canary").map(|_| ()).expect_err("not JSON").to_string();
        assert!(told.starts_with("the body is not JSON") && !told.contains("canary:"), "{told}");
    }

    #[test]
    fn the_example_holds() {
        assert!(KeyAsk::read(EXAMPLE.as_bytes()).expect("its form").plan(&PROVIDERS).is_ok());
    }
}
