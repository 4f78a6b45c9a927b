//! Keys that programs use the gateway with: by whom they are used, what they open, and which of them hold. A key itself
//! is nowhere; it is known by its keyed hash.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::MAX_BUDGETS;
use crate::usage::{Dimension, KeySuffix, SubjectId, Timestamp};

/// Keys that are kept at most, revoked ones among them: their names stay taken.
pub const MAX_KEYS: usize = 10_000;

/// A key of ours, as it was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayKey {
    /// What it is called in records and budgets; never another's, whatever the case of its letters.
    pub name: String,
    /// By what it is known.
    pub hash: SubjectId,
    /// What the `subject.key` that made the hash makes of nothing: under another one nobody knows the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashed_by: Option<SubjectId>,
    /// How it ends, to tell it from others.
    pub suffix: KeySuffix,
    /// Whose calls are made with it, unless the call says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<SubjectId>,
    /// Whose budget they count in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// What they are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// The providers that it opens; all, where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
    /// The models that it opens; all, where there are none. A `*` at the end stands for any end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// When it was added.
    pub added: Timestamp,
}

/// Why a key is not added or not revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// The name is another key's.
    #[error("there is a key `{0}` already; choose another name")]
    Taken(String),
    /// The name was another key's.
    #[error("the name `{name}` was that of a key revoked on {}, and stays that of its records; choose another name", .revoked.day())]
    WasTaken {
        /// The name.
        name: String,
        /// Since when it holds no more.
        revoked: Timestamp,
    },
    /// There is no room.
    #[error("there are {MAX_KEYS} keys, revoked ones among them, and no more are kept; give several programs one key")]
    TooMany,
    /// There is no key of that name.
    #[error("there is no key `{name}`; there {}", names(.there))]
    NoSuch {
        /// The name.
        name: String,
        /// Some of those there are.
        there: Vec<String>,
    },
    /// It was revoked before.
    #[error("the key `{name}` was revoked on {} already", .revoked.day())]
    Revoked {
        /// Its name.
        name: String,
        /// Since when it holds no more.
        revoked: Timestamp,
    },
    /// There is no room for its budget.
    #[error("there are {MAX_BUDGETS} budgets, and no more are kept; `/budget … remove` makes room")]
    TooManyBudgets,
}

/// Names told to whoever mistakes one.
const MAX_TOLD: usize = 20;

fn names(there: &[String]) -> String {
    let named: Vec<String> = there.iter().take(MAX_TOLD).map(|name| format!("`{name}`")).collect();
    match named.as_slice() {
        [] => "are none".to_owned(),
        [only] => format!("is {only}"),
        _ => format!("are {}{}", named.join(", "), if there.len() > MAX_TOLD { ", …" } else { "" }),
    }
}

/// The keys, folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// All there ever were, by their names in lower case.
    named: BTreeMap<String, Known>,
    /// Those that hold.
    in_force: HashMap<SubjectId, Arc<GatewayKey>>,
    /// Whose budgets they ever counted in.
    teams: BTreeSet<String>,
    /// What they ever were for.
    features: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    key: Arc<GatewayKey>,
    revoked: Option<Timestamp>,
}

impl Keys {
    /// The key with this hash, if it holds.
    pub fn find(&self, hash: &SubjectId) -> Option<&Arc<GatewayKey>> {
        self.in_force.get(hash)
    }

    /// Whether a key with this hash was revoked.
    pub fn was_revoked(&self, hash: &SubjectId) -> bool {
        self.all().any(|(key, revoked)| revoked.is_some() && key.hash == *hash)
    }

    /// The keys that hold, by name.
    pub fn iter(&self) -> impl Iterator<Item = &GatewayKey> {
        self.all().filter(|(_, revoked)| revoked.is_none()).map(|(key, _)| key)
    }

    /// All there ever were, by name, and since when they hold no more.
    pub fn all(&self) -> impl Iterator<Item = (&GatewayKey, Option<Timestamp>)> {
        self.named.values().map(|known| (&*known.key, known.revoked))
    }

    /// Whether a key of this name can be added.
    ///
    /// # Errors
    /// Why not.
    pub fn may_add(&self, name: &str) -> Result<(), KeyRefusal> {
        match self.named.get(&folded(name)) {
            None if self.named.len() < MAX_KEYS => Ok(()),
            None => Err(KeyRefusal::TooMany),
            Some(Known { key, revoked: None }) => Err(KeyRefusal::Taken(key.name.clone())),
            Some(Known { key, revoked: Some(revoked) }) => {
                Err(KeyRefusal::WasTaken { name: key.name.clone(), revoked: *revoked })
            }
        }
    }

    /// The key of this name, where it can be revoked.
    ///
    /// # Errors
    /// Why not.
    pub fn to_revoke(&self, name: &str) -> Result<&GatewayKey, KeyRefusal> {
        match self.named.get(&folded(name)) {
            None => {
                let there = self.iter().take(MAX_TOLD + 1).map(|key| key.name.clone()).collect();
                Err(KeyRefusal::NoSuch { name: name.to_owned(), there })
            }
            Some(Known { key, revoked: None }) => Ok(key),
            Some(Known { key, revoked: Some(revoked) }) => {
                Err(KeyRefusal::Revoked { name: key.name.clone(), revoked: *revoked })
            }
        }
    }

    /// Whether this is the name of a key that holds no more.
    pub fn is_revoked(&self, name: &str) -> bool {
        self.named.get(&folded(name)).is_some_and(|known| known.revoked.is_some())
    }

    /// Whether a key, revoked or not, has this name, or gives it to its calls.
    pub(super) fn names(&self, dimension: Dimension, name: &str) -> bool {
        match dimension {
            Dimension::Key => self.named.get(&folded(name)).is_some_and(|known| known.key.name == name),
            Dimension::Team => self.teams.contains(name),
            Dimension::Feature => self.features.contains(name),
            _ => false,
        }
    }

    /// A name that is another's adds nothing: what is written is not always what was checked.
    pub(super) fn add(&mut self, key: &GatewayKey) {
        if self.may_add(&key.name).is_ok() {
            let key = Arc::new(key.clone());
            self.in_force.insert(key.hash, Arc::clone(&key));
            self.teams.extend(key.team.clone());
            self.features.extend(key.feature.clone());
            self.named.insert(folded(&key.name), Known { key, revoked: None });
        }
    }

    pub(super) fn revoke(&mut self, name: &str, at: Timestamp) {
        if let Some(known) = self.named.get_mut(&folded(name)) {
            known.revoked.get_or_insert(at);
            self.in_force.remove(&known.key.hash);
        }
    }
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
impl GatewayKey {
    /// A key of this name that opens everything.
    pub(crate) fn example(name: &str) -> GatewayKey {
        GatewayKey {
            name: name.to_owned(),
            hash: SubjectId::of(b"pepper", "gateway-key", name),
            hashed_by: None,
            suffix: KeySuffix::of_text("wxyz").expect("four characters"),
            user: None,
            team: None,
            feature: None,
            providers: Vec::new(),
            models: Vec::new(),
            added: Timestamp::new(1_795_305_600_000_000, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Setting, Settings};
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::new(1_795_305_600_000_000 + secs * 1_000_000, 0)
    }

    fn hash(name: &str) -> SubjectId {
        SubjectId::of(b"pepper", "gateway-key", name)
    }

    fn key(name: &str) -> GatewayKey {
        GatewayKey::example(name)
    }

    fn added(name: &str) -> Setting {
        Setting::KeyAdded { key: Box::new(key(name)) }
    }

    fn revoked(name: &str) -> Setting {
        Setting::KeyRevoked { name: name.to_owned(), revoked: at(60) }
    }

    fn names(keys: &Keys) -> Vec<&str> {
        keys.iter().map(|key| key.name.as_str()).collect()
    }

    #[test]
    fn a_key_holds_until_it_is_revoked_and_its_name_is_never_anothers() {
        let mut settings = Settings::default();
        let nothing = settings.keys().to_revoke("ci").expect_err("none").to_string();
        assert_eq!(nothing, "there is no key `ci`; there are none");
        for setting in [added("ci"), added("Bot"), revoked("CI"), revoked("nobody")] {
            settings.apply(&setting);
        }
        let keys = settings.keys();
        assert_eq!(names(&keys), ["Bot"]);
        assert_eq!(
            keys.all().map(|(key, revoked)| (&*key.name, revoked)).collect::<Vec<_>>(),
            [("Bot", None), ("ci", Some(at(60)))]
        );
        assert_eq!((keys.find(&hash("Bot")), keys.find(&hash("ci"))), (Some(&key("Bot").into()), None));
        let refusals = [keys.may_add("bot"), keys.may_add("Ci"), keys.to_revoke("ci").map(|_| ())];
        assert_eq!(
            refusals.map(|refusal| refusal.expect_err("refused").to_string()),
            [
                "there is a key `Bot` already; choose another name",
                "the name `ci` was that of a key revoked on 2026-11-22, and stays that of its records; choose another name",
                "the key `ci` was revoked on 2026-11-22 already",
            ]
        );
        let nothing = keys.to_revoke("web").expect_err("none").to_string();
        assert_eq!(nothing, "there is no key `web`; there is `Bot`");
        assert_eq!((keys.may_add("web"), keys.to_revoke("BOT")), (Ok(()), Ok(&key("Bot"))));
        let before = Settings::clone(&settings);
        for setting in [added("ci"), added("BOT"), Setting::KeyRevoked { name: "ci".to_owned(), revoked: at(99) }] {
            settings.apply(&setting);
        }
        assert_eq!(settings, before, "acts that should not have been written change nothing");
    }

    #[test]
    fn beyond_so_many_keys_none_is_added_and_those_there_are_can_be_revoked() {
        let mut settings = Settings::default();
        for n in 0..=MAX_KEYS {
            settings.apply(&added(&n.to_string()));
        }
        let keys = settings.keys();
        assert_eq!((keys.iter().count(), keys.find(&hash(&MAX_KEYS.to_string()))), (MAX_KEYS, None));
        assert_eq!(keys.may_add("more"), Err(KeyRefusal::TooMany));
        let many = keys.to_revoke("more").expect_err("none").to_string();
        assert!(
            many.starts_with("there is no key `more`; there are `0`, `1`, `10`,") && many.ends_with("`1014`, …"),
            "{many}"
        );
        settings.apply(&revoked("7"));
        assert_eq!(settings.keys().find(&hash("7")), None);
        assert_eq!(settings.keys().may_add("more"), Err(KeyRefusal::TooMany), "its name stays taken");
    }

    #[test]
    fn what_is_written_is_read_back_and_what_is_newer_is_passed_over() {
        let whole = GatewayKey {
            user: Some(hash("ana")),
            team: Some("sales".to_owned()),
            feature: Some("search".to_owned()),
            providers: vec!["cloud".to_owned()],
            models: vec!["gpt-4o*".to_owned()],
            ..key("web")
        };
        for setting in [Setting::KeyAdded { key: Box::new(whole) }, added("ci"), revoked("ci")] {
            let line = serde_json::to_string(&setting).expect("plain data");
            assert_eq!(serde_json::from_str::<Setting>(&line).expect("what was written"), setting, "{line}");
        }
        let line = serde_json::to_string(&added("ci")).expect("plain data");
        let newer = line.replacen('{', r#"{"colour":"red","#, 1);
        assert_eq!(serde_json::from_str::<Setting>(&newer).expect("a field more"), added("ci"));
        let unknown = line.replace("key_added", "key_painted");
        assert_eq!(serde_json::from_str::<Setting>(&unknown).expect("another act"), Setting::Unknown);
    }
}
