//! What the routes need of the rest of the program, as a trait and plain data. No HTTP in here but for names.

use std::error::Error;
use std::future::Future;

use serde::Serialize;
use utoipa::ToSchema;

use super::query::{Form, Mistake, StatsQuery, UsageRequest};
use crate::reports::{NoSuchEpoch, raymundo};
use crate::service::import::ImportLine;
use crate::service::items::UsageItem;
use crate::service::keys::{AddedKey, KeyAsk, KeyError, KeyList, KeyRow};
use crate::templates::Lang;
use crate::usage::{Money, RecordId, Timestamp};

/// The program behind the routes.
///
/// A future may be dropped at any point when the client hangs up: what must end runs in a task of its own.
pub trait Api: Send + Sync + 'static {
    /// The numbers of a period, as JSON or as the screen people read.
    fn stats(&self, query: StatsQuery) -> impl Future<Output = Result<StatsBody, ApiError>> + Send;

    /// One page of usage by group, as JSON or as CSV.
    fn usage(&self, request: UsageRequest) -> impl Future<Output = Result<UsageBody, ApiError>> + Send;

    /// Starts counting anew: what is shown begins now, nothing is deleted.
    fn reset(&self, query: ResetQuery) -> impl Future<Output = Result<ResetAnswer, ApiError>> + Send;

    /// Takes the last reset back; `None` when there is none.
    fn undo_reset(&self, query: ResetQuery) -> impl Future<Output = Result<Option<ResetAnswer>, ApiError>> + Send;

    /// Takes usage that others measured. One verdict per item, in order.
    ///
    /// `Err` means that nothing was taken, so that the whole body may be sent again.
    fn note(
        &self,
        items: Vec<UsageItem>,
    ) -> impl Future<Output = Result<Vec<Result<Noted, ItemError>>, ApiError>> + Send;

    /// Takes over complete records and opening balances. One verdict per line, in order.
    ///
    /// `Err` means that nothing was taken, so that the whole body may be sent again.
    fn import(
        &self,
        lines: Vec<ImportLine>,
    ) -> impl Future<Output = Result<Vec<Result<Noted, ItemError>>, ApiError>> + Send;

    /// Adds a key for programs that use the gateway. It is told once, here.
    fn add_key(&self, ask: KeyAsk) -> impl Future<Output = Result<AddedKey, ApiError>> + Send;

    /// The keys there are and were, by name.
    fn keys(&self) -> impl Future<Output = Result<KeyList, ApiError>> + Send;

    /// Revokes the key of a name: from then on it opens nothing.
    fn revoke_key(&self, name: String) -> impl Future<Output = Result<KeyRow, ApiError>> + Send;

    /// Whether calls can be taken now, part by part.
    fn ready(&self) -> impl Future<Output = Readiness> + Send;

    /// Whether the process works at all. Anybody may ask.
    fn health(&self) -> impl Future<Output = Health> + Send;
}

/// The body of `GET /stats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatsBody {
    /// One JSON document.
    Json(Vec<u8>),
    /// The screen as plain text.
    Text(String),
}

/// The body of `GET /v1/usage`, in the form asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageBody {
    /// One JSON document, or CSV.
    pub bytes: Vec<u8>,
    /// The cursor of the next page; `None` on the last one.
    pub next: Option<String>,
}

/// What a reset, or taking one back, may be asked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResetQuery {
    /// The language of the message; `None` when the client did not say.
    pub lang: Option<Lang>,
    /// Take the last reset back instead.
    pub undo: bool,
    /// Whose keys and words; `None` when the client did not say.
    pub form: Option<Form>,
}

/// The body of `POST /metrics/reset`, in one of the forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ResetAnswer {
    /// Ours.
    Tallybot(ResetBody),
    /// An older bot's.
    Raymundo(raymundo::Reset),
}

/// Our body of `POST /metrics/reset`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ResetBody {
    /// A sentence for a person.
    pub message: String,
    /// When counting began, RFC 3339.
    pub counting_since: String,
    /// When the reset had been that was taken back, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone: Option<String>,
}

/// What the record of an item says that the item did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Written {
    /// Its id.
    pub id: RecordId,
    /// When it was, in the owner's zone.
    pub timestamp: Timestamp,
    /// What it cost; `None` when the price is not known.
    pub cost_usd: Option<Money>,
    /// Which price that was.
    pub price_id: Option<String>,
}

/// An item that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is in the books now, durable as configured; an item that was alone is told what it became.
    Accepted(Option<Box<Written>>),
    /// Its (`source`, `id`) was there already; nothing was counted.
    Duplicate,
}

/// An item that was not taken while others were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemError {
    /// The books could not be written when its turn came; it may be sent again.
    Unavailable,
    /// It was written, and the disk has not confirmed it in time: it may be counted already.
    Unconfirmed,
}

/// Why a call of [`Api`] has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The books cannot be written or read now: 503. The reason goes to the client.
    #[error("not available: {reason}")]
    Unavailable {
        /// For the client: what is missing, and nothing private.
        reason: String,
        /// When asking again makes sense, in seconds.
        retry_after_secs: u32,
    },
    /// An epoch was asked for that is not there: 400.
    #[error(transparent)]
    NoSuchEpoch(NoSuchEpoch),
    /// A key was not added or not revoked, for a reason of its own: 400, 404 or 409.
    #[error(transparent)]
    Key(KeyError),
    /// What was asked makes no sense to the books as they are: 400.
    #[error("the question does not fit the books")]
    BadQuery(Vec<Mistake>),
    /// Something of ours failed: 500. The cause is logged and never sent.
    #[error("cannot answer a request")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

/// The state of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// Whether it works.
    pub ok: bool,
    /// What is wrong, or worth knowing, for whoever runs this. Nothing private.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Check {
    /// It works.
    pub fn ok() -> Check {
        Check { ok: true, detail: None }
    }

    /// It does not, because of `detail`.
    pub fn failing(detail: impl Into<String>) -> Check {
        Check { ok: false, detail: Some(detail.into()) }
    }
}

/// One provider's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProviderCheck {
    /// Its configured name.
    pub name: String,
    /// Whether it can be reached.
    #[serde(flatten)]
    pub check: Check,
}

/// The body of `GET /ready`: 200 when ready, 503 when not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether calls are taken now.
    pub ready: bool,
    /// Whether the journal can be written.
    pub journal: Check,
    /// Each provider.
    pub providers: Vec<ProviderCheck>,
}

/// The answer to `GET /health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the process does its work; false asks whoever watches to restart it.
    pub alive: bool,
}
