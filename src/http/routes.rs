//! The routes: which paths there are, who may ask them, and the translation between HTTP and [`Api`].

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::routing::{delete, get, post};
use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use tower::ServiceExt;
use utoipa::ToSchema;

use super::answers::{Cause, Problem, ProblemBody, harden, json, with_type};
use super::api::{Api, ApiError, ItemError, Noted, ResetQuery, StatsBody, UsageBody, Written};
use super::body::{BodyCut, RequestBody, read_body, read_body_into};
use super::guard::{Guard, RequestHead, Role};
use super::keys;
use super::query::{self, Mistake, StatsQuery, UsageFormat, UsageRequest};
use super::server::{Handler, Response};
use super::{openapi, page};
use crate::access::Rooms;
use crate::service::import::parse_lines;
use crate::service::items::{self, BodyError, BodyForm};
use crate::usage::Clock;

/// The largest body of `POST /v1/usage`.
pub const MAX_USAGE_BODY_BYTES: usize = 16 * 1024 * 1024;

/// All bodies of `POST /v1/usage` that are being read together.
const MAX_BODIES_BYTES: usize = 64 * 1024 * 1024;

/// The largest body where one says nothing.
const MAX_EMPTY_BODY_BYTES: usize = 1024;

/// Makes the id that every answer carries as `x-request-id`: short, ASCII, never twice.
pub trait RequestIds: Send + Sync + 'static {
    /// The next id.
    fn next(&self) -> String;
}

impl<F: Fn() -> String + Send + Sync + 'static> RequestIds for F {
    fn next(&self) -> String {
        self()
    }
}

/// A path, what may be done with it, and who may. A path that asks for different roles stands in several.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) methods: &'static [Method],
    pub(super) need: Role,
}

const READING: &[Method] = &[Method::GET, Method::HEAD];
const POSTING: &[Method] = &[Method::POST];
const KEEPING: &[Method] = &[Method::GET, Method::HEAD, Method::POST];
const DELETING: &[Method] = &[Method::DELETE];

/// Every path there is. The router below has a handler for each.
pub(super) const ROUTES: &[Route] = &[
    Route { path: "/stats", methods: READING, need: Role::Read },
    Route { path: "/metrics/reset", methods: POSTING, need: Role::Admin },
    Route { path: "/v1/usage", methods: READING, need: Role::Read },
    Route { path: "/v1/usage", methods: POSTING, need: Role::Admin },
    Route { path: "/v1/import", methods: POSTING, need: Role::Admin },
    Route { path: "/v1/keys", methods: KEEPING, need: Role::Admin },
    Route { path: "/v1/keys/{name}", methods: DELETING, need: Role::Admin },
    Route { path: "/health", methods: READING, need: Role::Public },
    Route { path: "/ready", methods: READING, need: Role::Read },
    Route { path: "/openapi.json", methods: READING, need: Role::Public },
    Route { path: "/docs", methods: READING, need: Role::Public },
    Route { path: "/docs/page.js", methods: READING, need: Role::Public },
    Route { path: "/docs/page.css", methods: READING, need: Role::Public },
];

impl Route {
    /// Whether a path is this one: `{…}` at its end stands for one part, whatever it is.
    fn is(&self, path: &str) -> bool {
        match self.path.split_once('{') {
            Some((begin, _)) => path.strip_prefix(begin).is_some_and(|part| !part.is_empty() && !part.contains('/')),
            None => path == self.path,
        }
    }
}

const JSON_TYPES: &[&str] = &["application/json", "application/x-ndjson"];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The cursor of the next page, for forms whose body has no place for it.
const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// The REST surface as a [`Handler`].
#[derive(Clone)]
pub struct Rest {
    router: Router,
    gate: Arc<Gate>,
}

/// What handlers share.
pub(super) struct Shared<A> {
    pub(super) api: Arc<A>,
    /// The memory of bodies that may be large.
    rooms: Rooms,
}

struct Gate {
    guard: Box<dyn Guard>,
    clock: Arc<dyn Clock>,
    ids: Box<dyn RequestIds>,
}

impl Rest {
    /// The routes over `api`, for whom `guard` admits.
    pub fn new<A: Api>(api: Arc<A>, guard: impl Guard, clock: Arc<dyn Clock>, ids: impl RequestIds) -> Rest {
        let router = Router::new()
            .route("/stats", get(stats::<A>))
            .route("/metrics/reset", post(reset::<A>))
            .route("/v1/usage", get(usage::<A>).post(note::<A>))
            .route("/v1/import", post(import::<A>))
            .route("/v1/keys", get(keys::list::<A>).post(keys::add::<A>))
            .route("/v1/keys/{name}", delete(keys::revoke::<A>))
            .route("/health", get(health::<A>))
            .route("/ready", get(ready::<A>))
            .route("/openapi.json", get(described))
            .route("/docs", get(page::html))
            .route("/docs/page.js", get(page::script))
            .route("/docs/page.css", get(page::style))
            .with_state(Arc::new(Shared { api, rooms: Rooms::new(MAX_BODIES_BYTES) }));
        Rest { router, gate: Arc::new(Gate { guard: Box::new(guard), clock, ids: Box::new(ids) }) }
    }
}

impl Handler for Rest {
    async fn handle(&self, request: http::Request<RequestBody>, peer: SocketAddr) -> Response {
        let id = self.gate.ids.next();
        let (parts, body) = request.into_parts();
        let mut response = match self.gate.admit(&parts, !body.is_end_stream(), peer) {
            Err(problem) => problem.into_response(),
            Ok(()) => {
                let request = Request::from_parts(parts, Body::new(body));
                // A panic ends this request and no other; its text stays here.
                match AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind().await {
                    Ok(Ok(response)) => response,
                    Err(_panic) => Problem::internal("a handler panicked").into_response(),
                }
            }
        };
        if let Some(Cause(cause)) = response.extensions_mut().remove() {
            tracing::error!(request_id = %id, %cause, "request `{id}` failed: {cause}");
        }
        harden(&mut response);
        if let Ok(value) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
}

impl Gate {
    /// Everything that is decided before the body is read, in this order: is the head unambiguous, may its sender ask
    /// this, is there such a route, with this method, with a body of this kind.
    fn admit(&self, parts: &Parts, has_body: bool, peer: SocketAddr) -> Result<(), Problem> {
        let of_path = || ROUTES.iter().filter(|route| route.is(parts.uri.path()));
        let fitting = of_path().find(|route| route.methods.contains(&parts.method));
        let head = RequestHead::read(parts, peer).ok_or_else(Problem::bad_head)?;
        let need = fitting.map_or(Role::Public, |route| route.need);
        self.guard.check(&head, need, self.clock.now())?;
        let methods: Vec<Method> = of_path().flat_map(|route| route.methods).cloned().collect();
        match fitting {
            Some(_) => expect_json(head.content_type, has_body),
            None if !methods.is_empty() => Err(wrong_method(&methods)),
            None if [Method::TRACE, Method::CONNECT].contains(&parts.method) => {
                Err(wrong_method(&[Method::GET, Method::HEAD, Method::POST]))
            }
            None => Err(unknown_route()),
        }
    }
}

fn unknown_route() -> Problem {
    let told = |route: &'static Route| {
        let methods = route.methods.iter().filter(|method| **method != Method::HEAD);
        methods.map(|method| format!("{method} {}", route.path))
    };
    // The files of a page are nothing to ask for.
    let routes = ROUTES.iter().filter(|route| !route.path.starts_with("/docs/")).flat_map(told);
    let message = "there is no such route; calls to a provider go to `/gateway/NAME/…`, NAME being the provider's";
    Problem::new(StatusCode::NOT_FOUND, "unknown_route", message).allowing(routes)
}

fn wrong_method(allowed: &[Method]) -> Problem {
    let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    let message = format!("this route does not take this method; expected `{}`", names.join("` or `"));
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message)
        .with_allow_header(&names.join(", "))
        .allowing(names)
}

/// A body must say that it is JSON: the forms of a foreign web page cannot say that.
fn expect_json(content_type: Option<&str>, has_body: bool) -> Result<(), Problem> {
    if !has_body || content_type.and_then(BodyForm::of_content_type).is_some() {
        return Ok(());
    }
    let message = "the body's content type is missing or another than expected";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_content_type", message)
        .allowing(JSON_TYPES.iter().copied()))
}

async fn stats<A: Api>(State(shared): State<Arc<Shared<A>>>, parts: Parts) -> Response {
    answer(async {
        let query =
            StatsQuery::parse(parts.uri.query(), accept_language(&parts.headers)).map_err(Problem::bad_query)?;
        Ok(match shared.api.stats(query).await? {
            StatsBody::Json(bytes) => with_type(StatusCode::OK, "application/json", bytes),
            StatsBody::Text(text) => with_type(StatusCode::OK, "text/plain; charset=utf-8", text.into_bytes()),
        })
    })
    .await
}

async fn usage<A: Api>(State(shared): State<Arc<Shared<A>>>, parts: Parts) -> Response {
    answer(async {
        let request = UsageRequest::parse(parts.uri.query()).map_err(Problem::bad_query)?;
        let content_type = match request.format {
            UsageFormat::Json => "application/json",
            UsageFormat::Csv => "text/csv; charset=utf-8",
        };
        let UsageBody { bytes, next } = shared.api.usage(request).await?;
        let mut response = with_type(StatusCode::OK, content_type, bytes);
        if let Some(next) = next.and_then(|next| HeaderValue::try_from(next).ok()) {
            response.headers_mut().insert(NEXT_CURSOR, next);
        }
        Ok(response)
    })
    .await
}

async fn reset<A: Api>(State(shared): State<Arc<Shared<A>>>, request: Request) -> Response {
    answer(async {
        let (parts, body) = request.into_parts();
        let query =
            ResetQuery::parse(parts.uri.query(), accept_language(&parts.headers)).map_err(Problem::bad_query)?;
        expect_no_body(body, "a reset").await?;
        if !query.undo {
            return Ok(json(StatusCode::OK, &shared.api.reset(query).await?));
        }
        let undone = shared.api.undo_reset(query).await?;
        let nothing = || Problem::new(StatusCode::CONFLICT, "nothing_to_undo", "there is no reset to take back");
        Ok(json(StatusCode::OK, &undone.ok_or_else(nothing)?))
    })
    .await
}

/// Whether the process works.
#[derive(Serialize, ToSchema)]
pub(super) struct Alive {
    /// `ok` or `failing`.
    status: &'static str,
}

async fn health<A: Api>(State(shared): State<Arc<Shared<A>>>, parts: Parts) -> Response {
    answer(async {
        query::expect_empty(parts.uri.query()).map_err(Problem::bad_query)?;
        Ok(match shared.api.health().await.alive {
            true => json(StatusCode::OK, &Alive { status: "ok" }),
            false => json(StatusCode::SERVICE_UNAVAILABLE, &Alive { status: "failing" }),
        })
    })
    .await
}

async fn ready<A: Api>(State(shared): State<Arc<Shared<A>>>, parts: Parts) -> Response {
    answer(async {
        query::expect_empty(parts.uri.query()).map_err(Problem::bad_query)?;
        let readiness = shared.api.ready().await;
        let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        Ok(json(status, &readiness))
    })
    .await
}

async fn described(parts: Parts) -> Response {
    answer(async {
        query::expect_empty(parts.uri.query()).map_err(Problem::bad_query)?;
        Ok(with_type(StatusCode::OK, "application/json", openapi::document().to_vec()))
    })
    .await
}

async fn note<A: Api>(State(shared): State<Arc<Shared<A>>>, request: Request) -> Response {
    answer(async {
        let form = content_type(request.headers()).and_then(BodyForm::of_content_type).unwrap_or(BodyForm::Json);
        let sorted = sorted(&shared.rooms, request, |body| items::parse(body, form)).await?;
        let verdicts = if sorted.good.is_empty() { Vec::new() } else { shared.api.note(sorted.good).await? };
        note_answer(&sorted.indices, verdicts, sorted.rejected)
    })
    .await
}

async fn import<A: Api>(State(shared): State<Arc<Shared<A>>>, request: Request) -> Response {
    answer(async {
        let sorted = sorted(&shared.rooms, request, |body| parse_lines(body)).await?;
        let verdicts = if sorted.good.is_empty() { Vec::new() } else { shared.api.import(sorted.good).await? };
        note_answer(&sorted.indices, verdicts, sorted.rejected)
    })
    .await
}

/// An item that was not taken.
#[derive(Serialize, ToSchema)]
pub(super) struct Rejected {
    /// Its place in the body, from 0.
    index: usize,
    /// What is wrong with it.
    error: String,
}

/// What became of a body of items.
#[derive(Serialize, ToSchema)]
pub(super) struct NoteAnswer {
    /// Only where nothing could be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ProblemBody>)]
    error: Option<serde_json::Value>,
    /// Taken, and durable now.
    accepted: usize,
    /// There already; nothing was counted.
    duplicates: usize,
    /// What could not be taken, and why.
    rejected: Vec<Rejected>,
    /// What became of an item that was alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Box<Written>>,
}

/// A body divided into what can be taken, with its places, and what is wrong.
struct Sorted<T> {
    indices: Vec<usize>,
    good: Vec<T>,
    rejected: Vec<Rejected>,
}

/// Reads a body, as far as there is room for it, and divides it.
async fn sorted<T, E: std::fmt::Display>(
    rooms: &Rooms,
    request: Request,
    parse: impl FnOnce(&Bytes) -> Result<Vec<Result<T, E>>, BodyError>,
) -> Result<Sorted<T>, Problem> {
    let (parts, body) = request.into_parts();
    query::expect_empty(parts.uri.query()).map_err(Problem::bad_query)?;
    let mut room = rooms.one();
    let body = read_body_into(body, MAX_USAGE_BODY_BYTES, &mut room).await?;
    let mut sorted = Sorted { indices: Vec::new(), good: Vec::new(), rejected: Vec::new() };
    for (index, parsed) in parse(&body)?.into_iter().enumerate() {
        match parsed {
            Ok(good) => {
                sorted.indices.push(index);
                sorted.good.push(good);
            }
            Err(error) => sorted.rejected.push(Rejected { index, error: error.to_string() }),
        }
    }
    Ok(sorted)
}

/// 200 when something was taken or nothing was wrong; 503 when only the books were in the way of the best item (of those
/// that may be counted already another one, which asks nobody to come again); else 400.
fn note_answer(
    indices: &[usize],
    verdicts: Vec<Result<Noted, ItemError>>,
    mut rejected: Vec<Rejected>,
) -> Result<Response, Problem> {
    if verdicts.len() != indices.len() {
        return Err(Problem::internal(format!("{} verdicts on {} items", verdicts.len(), indices.len())));
    }
    let mut record = None;
    let (mut accepted, mut duplicates, mut unavailable, mut unconfirmed) = (0, 0, false, false);
    for (&index, verdict) in indices.iter().zip(verdicts) {
        match verdict {
            Ok(Noted::Accepted(written)) => {
                accepted += 1;
                record = written;
            }
            Ok(Noted::Duplicate) => duplicates += 1,
            Err(ItemError::Unavailable) => {
                unavailable = true;
                let error = "the books could not be written; this item may be sent again".to_owned();
                rejected.push(Rejected { index, error });
            }
            Err(ItemError::Unconfirmed) => {
                unconfirmed = true;
                let error = "the disk has not confirmed this item in time, and it may be counted already; sent again it \
                             counts once if it has an `id`, else perhaps twice";
                rejected.push(Rejected { index, error: error.to_owned() });
            }
        }
    }
    rejected.sort_by_key(|rejected| rejected.index);
    let (status, problem) = if accepted + duplicates > 0 || rejected.is_empty() {
        (StatusCode::OK, None)
    } else if unconfirmed {
        let message =
            "the disk has not confirmed in time what was written; `rejected` says what may be counted already";
        (StatusCode::SERVICE_UNAVAILABLE, Some(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unconfirmed", message)))
    } else if unavailable {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        (status, Some(Problem::new(status, "unavailable", "the books cannot be written now")))
    } else {
        let status = StatusCode::BAD_REQUEST;
        (status, Some(Problem::new(status, "all_rejected", "no item could be taken; `rejected` says why")))
    };
    let error = problem.as_ref().map(Problem::to_value);
    Ok(json(status, &NoteAnswer { error, accepted, duplicates, rejected, record }))
}

/// Reads a body that is to say nothing.
pub(super) async fn expect_no_body(body: Body, of: &str) -> Result<(), Problem> {
    let body = read_body(body, MAX_EMPTY_BODY_BYTES).await?;
    match body.trim_ascii() {
        b"" | b"{}" => Ok(()),
        _ => {
            let message = format!("{of} has no body; expected nothing, or `{{}}`");
            Err(Problem::new(StatusCode::BAD_REQUEST, "unexpected_body", message))
        }
    }
}

/// Turns a handler's problem into its answer.
pub(super) async fn answer(outcome: impl Future<Output = Result<Response, Problem>>) -> Response {
    outcome.await.unwrap_or_else(Problem::into_response)
}

fn accept_language(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Problem {
        match error {
            ApiError::Unavailable { reason, retry_after_secs } => Problem::unavailable(reason, retry_after_secs),
            ApiError::NoSuchEpoch(error) => Problem::bad_query(vec![Mistake::epoch(&error)]),
            ApiError::Key(error) => error.into(),
            ApiError::BadQuery(mistakes) => Problem::bad_query(mistakes),
            ApiError::Internal(cause) => Problem::internal(chain(&*cause)),
        }
    }
}

/// An error and its sources in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let levels = std::iter::successors(Some(error), |error| error.source());
    levels.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl From<BodyCut> for Problem {
    fn from(cut: BodyCut) -> Problem {
        let (status, code) = match cut {
            BodyCut::NoRoom(full) => return Problem::unavailable(full.to_string(), 1).closing(),
            BodyCut::Silent | BodyCut::Slow => (StatusCode::REQUEST_TIMEOUT, "body_timeout"),
            BodyCut::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            BodyCut::Broken(_) => (StatusCode::BAD_REQUEST, "body_broken"),
        };
        Problem::new(status, code, cut.to_string()).closing()
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Problem {
        match error {
            BodyError::TooMany => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_items", error.to_string()),
            _ => Problem::new(StatusCode::BAD_REQUEST, "bad_body", error.to_string()),
        }
    }
}
