//! Keys as they are shown: everything but the key.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::ask::{budget_of, scope_of};
use crate::config::Config;
use crate::ledger::{Folder, People};
use crate::limits::{LimitKind, Measure, Rule};
use crate::metering::rules_of;
use crate::settings::{GatewayKey, Settings};
use crate::usage::{KeySuffix, Money, SubjectId, Timestamp, Zone};

/// All keys, revoked ones included, by name: the body of `GET /v1/keys`.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct KeyList {
    /// The keys.
    pub keys: Vec<KeyRow>,
}

/// What is shown of a key.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct KeyRow {
    /// What it is called.
    pub name: String,
    /// How it ends.
    #[schema(value_type = String)]
    pub suffix: KeySuffix,
    /// Whose calls are made with it: by name where that is known, else by subject id.
    pub user: Option<String>,
    /// Whose budget they count in.
    pub team: Option<String>,
    /// What they are for.
    pub feature: Option<String>,
    /// The providers that it opens; all, where there are none.
    pub providers: Vec<String>,
    /// The models that it opens; all, where there are none.
    pub models: Vec<String>,
    /// Its budgets as they are now: dollars as decimal text, else whole numbers.
    pub budgets: BTreeMap<String, Value>,
    /// When it was added.
    pub added: Timestamp,
    /// Since when it holds no more.
    pub revoked: Option<Timestamp>,
}

/// What rows are made of.
pub(super) struct Shown<'a> {
    pub(super) settings: &'a Settings,
    pub(super) rules: &'a [Rule],
    pub(super) people: Option<&'a People>,
}

impl Shown<'_> {
    pub(super) fn list(&self) -> KeyList {
        KeyList { keys: self.settings.keys().all().map(|(key, revoked)| self.row(key, revoked)).collect() }
    }

    pub(super) fn row(&self, key: &GatewayKey, revoked: Option<Timestamp>) -> KeyRow {
        let name = |user: SubjectId| self.people.and_then(|people| people.identity(&user));
        KeyRow {
            name: key.name.clone(),
            suffix: key.suffix.clone(),
            user: key.user.map(|user| name(user).unwrap_or_else(|| user.to_string())),
            team: key.team.clone(),
            feature: key.feature.clone(),
            providers: key.providers.clone(),
            models: key.models.clone(),
            budgets: self.budgets(&key.name),
            added: key.added,
            revoked,
        }
    }

    /// The caps of the calls made with a key: as set, else as configured.
    fn budgets(&self, name: &str) -> BTreeMap<String, Value> {
        let scope = scope_of(name);
        let configured =
            |kind| self.rules.iter().filter(|rule| rule.scope == scope).find_map(|rule| rule.caps.get(kind));
        let set = |kind| self.settings.budget(&budget_of(name, kind)).and_then(|acts| acts.set);
        let cap =
            |kind: LimitKind| Some((kind.to_string(), amount(kind, set(kind).unwrap_or_else(|| configured(kind))?)));
        LimitKind::ALL.into_iter().filter_map(cap).collect()
    }
}

fn amount(kind: LimitKind, cap: u64) -> Value {
    match kind.measure() {
        Measure::Money => Money::from_pico_usd(cap.into()).to_string().into(),
        Measure::Tokens | Measure::Requests => cap.into(),
    }
}

/// Reads the keys of a folder, revoked ones included, by name; whether or not a tallybot holds it.
///
/// # Errors
/// When a file cannot be read.
pub fn list(config: &Config, folder: &Path, zone: Zone) -> anyhow::Result<KeyList> {
    let (Some(acts), Some(key)) = (Folder::new(folder).acts()?, People::key_of(folder)?) else {
        return Ok(KeyList { keys: Vec::new() });
    };
    let people = People::open(folder, key)?;
    let rules = rules_of(config, zone, |channel, identity| people.hash(channel, identity)).rules;
    Ok(Shown { settings: &acts.settings, rules: &rules, people: Some(&people) }.list())
}
