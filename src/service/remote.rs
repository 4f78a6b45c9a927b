//! A running tallybot over its REST door, for commands that must not write beside it.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::items::UsageItem;
use super::keys::{AddedKey, KeyAsk, KeyRow};
use crate::usage::{Money, RecordId, Timestamp};

/// Longer than a tallybot waits for its disk.
const PATIENCE: Duration = Duration::from_secs(20);
/// Room for a verdict on each of the most items that a body may have.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

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
    #[serde(default)]
    rejected: Vec<Rejected>,
}

impl ErrorAnswer {
    /// What it says, with the first reason where it has many.
    fn message(self) -> String {
        match self.rejected.into_iter().next() {
            Some(first) => format!("{}; the first: {}", self.error.message, first.error),
            None => self.error.message,
        }
    }
}

#[derive(Deserialize)]
struct ErrorText {
    #[serde(default)]
    code: String,
    message: String,
}

/// `POST /metrics/reset` at an address.
pub(super) async fn reset(address: &str, token: Option<&SecretString>) -> anyhow::Result<ResetAnswer> {
    post(address, token, "/metrics/reset?form=tallybot", Bytes::new()).await
}

/// `POST /metrics/reset?undo=true` at an address; `None` when there is nothing to take back.
pub(super) async fn undo_reset(address: &str, token: Option<&SecretString>) -> anyhow::Result<Option<ResetAnswer>> {
    let is_conflict = |error: &anyhow::Error| {
        error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == StatusCode::CONFLICT)
    };
    match post(address, token, "/metrics/reset?form=tallybot&undo=true", Bytes::new()).await {
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
    /// What became of an item that was alone, if it was taken.
    #[serde(default)]
    pub(super) record: Option<Written>,
}

/// What the record of an item says that the item did not.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Written {
    /// Its id.
    pub(super) id: RecordId,
    /// When it was.
    pub(super) timestamp: Timestamp,
    /// What it cost; `None` when the price is not known.
    pub(super) cost_usd: Option<Money>,
    /// Which price that was.
    pub(super) price_id: Option<String>,
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

/// `POST /v1/keys` at an address.
pub(super) async fn add_key(address: &str, token: Option<&SecretString>, ask: &KeyAsk) -> anyhow::Result<AddedKey> {
    #[derive(Deserialize)]
    struct Added {
        key: SecretText,
        #[serde(flatten)]
        row: KeyRow,
    }
    let body = serde_json::to_vec(ask).context("cannot write what is asked for")?;
    let Added { key, row } = post(address, token, "/v1/keys", body.into()).await?;
    Ok(AddedKey { key: key.0, row })
}

/// `DELETE /v1/keys/{name}` at an address.
pub(super) async fn revoke_key(address: &str, token: Option<&SecretString>, name: &str) -> anyhow::Result<KeyRow> {
    send(Method::DELETE, address, token, &format!("/v1/keys/{name}"), Bytes::new()).await
}

/// What a tallybot said, where it did not do what it was asked for a reason of its own, not of who asks or how it is.
pub(super) fn reason(error: &anyhow::Error) -> Option<&str> {
    let refused = error.downcast_ref::<Refused>()?;
    let about_it = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::CONFLICT].contains(&refused.status);
    (about_it && !refused.message.is_empty()).then_some(refused.message.as_str())
}

/// A secret in an answer.
struct SecretText(SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SecretText, D::Error> {
        String::deserialize(deserializer).map(|text| SecretText(text.into()))
    }
}

/// What to do in a shell where the token is missing, or another one than was told.
fn wanted_token(had_one: bool) -> String {
    let problem = if had_one { "it does not take the admin token of this shell" } else { "it wants its admin token" };
    format!(
        "{problem}; expected the one it was started with, for example by `export TALLYBOT_ADMIN_TOKEN=…` (or the variable \
         that `http.admin_token_env` names) before the command"
    )
}

/// Posts JSON, or lines of it, and reads the answer.
async fn post<T: DeserializeOwned>(
    address: &str,
    token: Option<&SecretString>,
    path: &str,
    body: Bytes,
) -> anyhow::Result<T> {
    send(Method::POST, address, token, path, body).await
}

async fn send<T: DeserializeOwned>(
    method: Method,
    address: &str,
    token: Option<&SecretString>,
    path: &str,
    body: Bytes,
) -> anyhow::Result<T> {
    let uri = format!("http://{address}{path}");
    let mut request = Request::builder().method(method).uri(uri).header(header::HOST, address);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
    }
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/x-ndjson");
    }
    let request = request.body(Full::new(body)).context("cannot form the request")?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answered = tokio::time::timeout(PATIENCE, async {
        let answer = client.request(request).await.map_err(|error| {
            let nobody = "nobody listens there: it is starting or stopping, so try again in a moment";
            let why = if error.is_connect() { nobody } else { "no answer" };
            anyhow::Error::from(error).context(why)
        })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        anyhow::Ok((status, body))
    });
    let (status, body) = answered.await.context("no answer in time")??;
    if !status.is_success() {
        // Whatever becomes of its text, that it refused is known.
        let answer = body.ok().and_then(|body| serde_json::from_slice::<ErrorAnswer>(&body.to_bytes()).ok());
        let message = match answer {
            Some(answer) if answer.error.code == "token" => wanted_token(token.is_some()),
            answer => answer.map(ErrorAnswer::message).unwrap_or_default(),
        };
        return Err(Refused { status, message }.into());
    }
    let body = body.map_err(|error| anyhow::anyhow!("the answer cannot be read: {error}"))?.to_bytes();
    serde_json::from_slice(&body).context("the answer is not what a tallybot sends")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What a tallybot that answers so is understood to say.
    async fn answered(status: &str, body: String) -> anyhow::Result<NoteAnswer> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens").to_string();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let serving = async move {
            let (mut stream, _) = listener.accept().await.expect("somebody asks");
            let _request = stream.read(&mut [0; 4096]).await.expect("a request");
            // Whoever asked may have heard enough.
            let _all = stream.write_all((head + &body).as_bytes()).await;
        };
        futures_util::join!(import(&address, None, Bytes::from_static(b"{}\n")), serving).0
    }

    #[tokio::test]
    async fn the_reason_is_heard_however_many_lines_are_rejected() {
        let error = "the counts cannot be; expected slices within their totals ".repeat(4);
        let rejected: Vec<_> = (0..10_000).map(|index| serde_json::json!({"index": index, "error": error})).collect();
        let some = serde_json::json!({"accepted": 1, "duplicates": 0, "rejected": rejected}).to_string();
        assert!(some.len() > 2 * 1024 * 1024);
        let answer = answered("200 OK", some).await.expect("an answer");
        assert_eq!((answer.accepted, answer.rejected.len(), &answer.rejected[0].error), (1, 10_000, &error));
        let all = serde_json::json!({"error": {"message": "no item could be taken"}, "rejected": rejected});
        let told = answered("400 Bad Request", all.to_string()).await.expect_err("it refused").to_string();
        assert!(told.contains("400") && told.contains("no item could be taken; the first: the counts"), "{told}");
        let endless = "x".repeat(MAX_ANSWER_BYTES + 1);
        let told = answered("503 Service Unavailable", endless).await.expect_err("it refused").to_string();
        assert!(told.contains("503"), "{told}");
    }
}
