//! A running tallybot over its REST door, for commands that must not write beside it.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::items::UsageItem;
use crate::usage::Timestamp;

/// Longer than a tallybot waits for its disk.
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_ANSWER_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
pub(super) struct ResetAnswer {
    pub(super) counting_since: Timestamp,
    /// When the reset had been that was taken back.
    #[serde(default)]
    pub(super) undone: Option<Timestamp>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: ErrorText,
}

#[derive(Deserialize)]
struct ErrorText {
    message: String,
}

/// `POST /metrics/reset` at an address.
pub(super) async fn reset(address: &str, token: Option<&SecretString>) -> anyhow::Result<ResetAnswer> {
    post(address, token, "/metrics/reset", Bytes::new()).await
}

/// `POST /metrics/reset?undo=true` at an address; `None` when there is nothing to take back.
pub(super) async fn undo_reset(address: &str, token: Option<&SecretString>) -> anyhow::Result<Option<ResetAnswer>> {
    let is_conflict = |error: &anyhow::Error| {
        error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == StatusCode::CONFLICT)
    };
    match post(address, token, "/metrics/reset?undo=true", Bytes::new()).await {
        Err(error) if is_conflict(&error) => Ok(None),
        answer => answer.map(Some),
    }
}

/// An answer that is none.
#[derive(Debug, thiserror::Error)]
#[error("it answered {status}: {message}")]
struct Refused {
    status: StatusCode,
    message: String,
}

/// One verdict on each item of a body.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct NoteAnswer {
    /// How many are new in the books.
    pub(super) accepted: u64,
    /// Those that were not taken.
    pub(super) rejected: Vec<Rejected>,
}

/// An item that was not taken.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Rejected {
    /// Why.
    pub(super) error: String,
}

/// `POST /v1/usage` at an address.
pub(super) async fn note(address: &str, token: Option<&SecretString>, item: &UsageItem) -> anyhow::Result<NoteAnswer> {
    let body = serde_json::to_vec(item).context("cannot write the item")?;
    post(address, token, "/v1/usage", body.into()).await
}

/// `POST /v1/import` at an address: lines of records and opening balances.
pub(super) async fn import(address: &str, token: Option<&SecretString>, lines: Bytes) -> anyhow::Result<NoteAnswer> {
    post(address, token, "/v1/import", lines).await
}

/// Posts JSON, or lines of it, and reads the answer.
async fn post<T: DeserializeOwned>(
    address: &str,
    token: Option<&SecretString>,
    path: &str,
    body: Bytes,
) -> anyhow::Result<T> {
    let mut request = Request::post(format!("http://{address}{path}")).header(header::HOST, address);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
    }
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/x-ndjson");
    }
    let request = request.body(Full::new(body)).context("cannot form the request")?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answered = tokio::time::timeout(PATIENCE, async {
        let answer = client.request(request).await.context("no answer")?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer cannot be read: {error}"))?.to_bytes();
        anyhow::Ok((status, body))
    });
    let (status, body) = answered.await.context("no answer in time")??;
    if !status.is_success() {
        let message = serde_json::from_slice::<ErrorAnswer>(&body).map(|answer| answer.error.message);
        return Err(Refused { status, message: message.unwrap_or_default() }.into());
    }
    serde_json::from_slice(&body).context("the answer is not what a tallybot sends")
}
