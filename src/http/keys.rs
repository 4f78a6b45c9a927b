//! `/v1/keys`: keys for programs that use the gateway, added, listed and revoked. A key is in one answer, once.

use std::sync::Arc;

use axum::extract::{Request, State};
use http::StatusCode;
use http::request::Parts;
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use super::answers::{Problem, json};
use super::api::Api;
use super::body::read_body;
use super::query;
use super::routes::{Shared, answer, expect_no_body};
use super::server::Response;
use crate::metering::KeyNotChanged;
use crate::service::keys::{AddedKey, KeyAsk, KeyError, KeyRow};
use crate::settings::KeyRefusal;

/// The largest body of `POST /v1/keys`.
const MAX_KEY_BODY_BYTES: usize = 64 * 1024;

/// A key that was added.
#[derive(Serialize, ToSchema)]
pub(super) struct Added<'a> {
    /// The key itself: it is told here and nowhere else.
    key: &'a str,
    #[serde(flatten)]
    row: &'a KeyRow,
}

pub(super) async fn add<A: Api>(State(shared): State<Arc<Shared<A>>>, request: Request) -> Response {
    answer(async {
        let (parts, body) = request.into_parts();
        query::expect_empty(parts.uri.query()).map_err(Problem::bad_query)?;
        let body = read_body(body, MAX_KEY_BODY_BYTES).await?;
        let ask = KeyAsk::read(&body).map_err(KeyError::from)?;
        let AddedKey { key, row } = shared.api.add_key(ask).await?;
        Ok(json(StatusCode::OK, &Added { key: key.expose_secret(), row: &row }))
    })
    .await
}

pub(super) async fn list<A: Api>(State(shared): State<Arc<Shared<A>>>, parts: Parts) -> Response {
    answer(async {
        query::expect_empty(parts.uri.query()).map_err(Problem::bad_query)?;
        Ok(json(StatusCode::OK, &shared.api.keys().await?))
    })
    .await
}

pub(super) async fn revoke<A: Api>(State(shared): State<Arc<Shared<A>>>, request: Request) -> Response {
    answer(async {
        let (parts, body) = request.into_parts();
        // As it came: a key's name needs no encoding.
        let name = parts.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
        query::expect_empty(parts.uri.query()).map_err(Problem::bad_query)?;
        expect_no_body(body, "revoking a key").await?;
        Ok(json(StatusCode::OK, &shared.api.revoke_key(name).await?))
    })
    .await
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Problem {
        let message = error.to_string();
        match error {
            KeyError::Wrong(mistakes) => {
                let problem = Problem::new(StatusCode::BAD_REQUEST, "bad_key", message);
                mistakes.allowed.into_iter().fold(problem, Problem::allowing)
            }
            KeyError::NotChanged(KeyNotChanged::Refused(refusal)) => {
                let (status, code) = match refusal {
                    KeyRefusal::NoSuch { .. } => (StatusCode::NOT_FOUND, "unknown_key"),
                    KeyRefusal::Taken(_) | KeyRefusal::WasTaken { .. } => (StatusCode::CONFLICT, "name_taken"),
                    KeyRefusal::Revoked { .. } => (StatusCode::CONFLICT, "key_revoked"),
                    KeyRefusal::TooMany => (StatusCode::CONFLICT, "too_many_keys"),
                    KeyRefusal::TooManyBudgets => (StatusCode::CONFLICT, "too_many_budgets"),
                };
                Problem::new(status, code, message)
            }
            KeyError::NotChanged(KeyNotChanged::Ledger(_)) => Problem::internal(message),
        }
    }
}
