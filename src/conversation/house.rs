//! What an admin is told about the house: who may speak, and how the bot and what it needs are.

use serde::{Serialize, Serializer};

use crate::usage::{ErrorKind, Timestamp};

/// A person who may speak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedPerson {
    /// Their id.
    pub id: String,
    /// What they may do.
    pub role: ListedRole,
    /// They stand in the configuration, so no command takes them off the list.
    pub by_config: bool,
}

/// What a listed person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListedRole {
    /// Everything.
    Admin,
    /// Speak.
    User,
}

/// A group that may be spoken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedGroup {
    /// Its id.
    pub id: String,
    /// It stands in the configuration.
    pub by_config: bool,
}

/// How the bot and what it needs are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthView {
    /// tallybot's version.
    pub version: String,
    /// Since the process started.
    pub uptime_seconds: Option<u64>,
    /// Room left where the books lie; `None` when the system does not say.
    pub disk_free_bytes: Option<u64>,
    /// All room there.
    pub disk_total_bytes: Option<u64>,
    /// The books can be written.
    pub ledger_ok: bool,
    /// What is wrong with them, in a few words of the system.
    pub ledger_trouble: Option<String>,
    /// Records that wait to be written.
    pub records_waiting: u64,
    /// The providers, in the order of the configuration.
    pub providers: Vec<ProviderHealth>,
    /// The places outside the chats that are told alerts.
    pub places: Vec<PlaceHealth>,
    /// Large prompts since the start.
    pub large_prompts: u64,
    /// The newest failure.
    pub last_error: Option<LastError>,
    /// When this was looked at.
    pub now: Timestamp,
}

/// How a provider is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProviderHealth {
    /// Its configured name.
    pub name: String,
    /// It answered when last asked.
    pub ok: bool,
    /// Whether it runs on the owner's machine; `None` when that depends on the model.
    pub local: Option<bool>,
    /// Why it did not answer.
    #[serde(serialize_with = "kind_name_if_any")]
    pub error: Option<ErrorKind>,
}

/// How a place is that is told alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlaceHealth {
    /// `webhook`, `slack`, `discord` or `mail`.
    pub name: &'static str,
    /// Since when it takes none; `None` while it does.
    pub failing_since: Option<Timestamp>,
    /// Alerts that wait for it.
    pub waiting: u64,
    /// Alerts that were dropped since the start, because too many waited.
    pub dropped: u64,
}

/// A failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// Its class.
    #[serde(serialize_with = "kind_name")]
    pub kind: ErrorKind,
    /// When it was.
    pub at: Timestamp,
}

/// A class of failure, as the name its words are found by.
pub(super) fn kind_name<S: Serializer>(kind: &ErrorKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

fn kind_name_if_any<S: Serializer>(kind: &Option<ErrorKind>, serializer: S) -> Result<S::Ok, S::Error> {
    match kind {
        Some(kind) => kind_name(kind, serializer),
        None => serializer.serialize_none(),
    }
}
