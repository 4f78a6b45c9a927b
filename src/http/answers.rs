//! The bodies and headers of answers: JSON, text, and the one shape of errors. Internal details never get in here.

use axum::body::Body;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::guard::Denied;
use super::query::Mistake;
use super::server::Response;

/// An error as the client reads it: `{"error":{"code":…,"message":…,"allowed":[…]}}`.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    body: Box<ProblemBody>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Cause>,
}

/// The body of every error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct Envelope {
    error: Box<ProblemBody>,
}

/// What really happened, for the log: rides beside an answer and never in it.
#[derive(Clone, Debug)]
pub(super) struct Cause(pub(super) String);

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// A stable word for programs.
    code: &'static str,
    /// A sentence for people.
    message: String,
    /// What would have been right, where there is a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<Vec<String>>,
    /// Each wrong parameter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mistakes: Vec<Mistake>,
}

impl Problem {
    /// A problem with a stable `code` for programs and a sentence for people.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Problem {
        let body = Box::new(ProblemBody { code, message: message.into(), allowed: None, mistakes: Vec::new() });
        Problem { status, body, headers: Vec::new(), cause: None }
    }

    /// Says what would have been right.
    #[must_use]
    pub fn allowing(mut self, allowed: impl IntoIterator<Item = impl Into<String>>) -> Problem {
        self.body.allowed = Some(allowed.into_iter().map(Into::into).collect());
        self
    }

    /// A head that [`RequestHead::read`](super::RequestHead::read) finds ambiguous.
    pub fn bad_head() -> Problem {
        let message = "a header that decides about access is repeated, missing or not text; expected one `host`, \
                       and at most one `authorization`, `origin` and `content-type`";
        Problem::new(StatusCode::BAD_REQUEST, "bad_head", message)
    }

    /// Every mistake in a query, in one answer.
    pub fn bad_query(mistakes: Vec<Mistake>) -> Problem {
        let message: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
        let mut problem = Problem::new(StatusCode::BAD_REQUEST, "bad_query", message.join("; "));
        if let [only] = mistakes.as_slice()
            && !only.allowed.is_empty()
        {
            problem = problem.allowing(only.allowed.iter().cloned());
        }
        problem.body.mistakes = mistakes;
        problem
    }

    /// Something of ours failed: `cause` goes to the log, once, and never to the client.
    pub fn internal(cause: impl Into<String>) -> Problem {
        let message = "something failed here; the request id helps to find it in the log";
        let mut problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message);
        problem.cause = Some(Cause(cause.into()));
        problem
    }

    /// The program cannot take this now.
    pub fn unavailable(reason: impl Into<String>, retry_after_secs: u32) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", reason).retry_after(retry_after_secs)
    }

    /// Adds `Allow`, which 405 must have.
    #[must_use]
    pub(super) fn with_allow_header(mut self, methods: &str) -> Problem {
        let value = HeaderValue::from_str(methods).expect("method names are ASCII words");
        self.headers.push((header::ALLOW, value));
        self
    }

    /// Ends the connection after this answer: what is left of the request's body will not be read.
    #[must_use]
    pub(super) fn closing(mut self) -> Problem {
        self.headers.push((header::CONNECTION, HeaderValue::from_static("close")));
        self
    }

    fn retry_after(mut self, secs: u32) -> Problem {
        self.headers.push((header::RETRY_AFTER, HeaderValue::from(secs)));
        self
    }

    /// The answer.
    pub fn into_response(self) -> Response {
        let mut response = json(self.status, &Envelope { error: self.body });
        response.headers_mut().extend(self.headers);
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }

    /// The `error` object alone, for answers that say more beside it.
    pub(super) fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(&self.body).expect("a problem has only string keys")
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Problem {
        let mut problem = Problem::new(denied.status, denied.code, denied.message);
        if denied.status == StatusCode::UNAUTHORIZED {
            problem.headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        match denied.retry_after_secs {
            Some(secs) => problem.retry_after(secs),
            None => problem,
        }
    }
}

/// An answer of JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).expect("our answers have only string keys");
    with_type(status, "application/json", bytes)
}

/// An answer with a body of the given type.
pub(super) fn with_type(status: StatusCode, content_type: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The headers every answer carries: nothing is guessed, kept or run.
pub(super) fn harden(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A page of our own says what it may do.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
}
