//! What goes wrong on our side of a call, told as the API that was called tells its own errors.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::limits::{Measure, Refusal};
use crate::metering::Refused;
use crate::models::endpoint::Dialect;
use crate::usage::{ErrorKind, RecordId};

/// A wait longer than this is nothing a client should spend asleep: it is told not to try by itself.
const LONG_WAIT_SECS: u64 = 60;

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Something that keeps a call from its provider, or its answer from the client.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    class: Class,
    message: String,
    /// When it may be tried again, in seconds; `None` where that is not known or does not help.
    retry_after_secs: Option<u64>,
    /// Whether the same call may work soon.
    retryable: bool,
    /// Ends the connection: what is left of the request is not read.
    closing: bool,
    /// The record it left.
    record: Option<RecordId>,
}

/// What kind of thing: each API has its own status and words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    BadRequest,
    Unauthenticated,
    Forbidden,
    NotFound,
    WrongMethod,
    TooLarge,
    SlowBody,
    RateLimited,
    QuotaExhausted,
    Busy,
    BadGateway,
    GatewayTimeout,
}

impl Fault {
    pub(super) fn new(class: Class, message: impl Into<String>) -> Fault {
        let retryable = matches!(class, Class::SlowBody | Class::Busy | Class::BadGateway | Class::GatewayTimeout);
        Fault { class, message: message.into(), retry_after_secs: None, retryable, closing: false, record: None }
    }

    /// Says when to come back.
    pub(super) fn retry_after(mut self, secs: u64) -> Fault {
        self.retry_after_secs = Some(secs.max(1));
        self.retryable = secs <= LONG_WAIT_SECS;
        self
    }

    /// Ends the connection with this answer.
    pub(super) fn closing(mut self) -> Fault {
        self.closing = true;
        self
    }

    /// Names the record it left.
    pub(super) fn recorded(mut self, id: RecordId) -> Fault {
        self.record = Some(id);
        self
    }

    /// A call that was not admitted.
    pub(super) fn refused(refused: &Refused) -> Fault {
        match refused {
            Refused::Limit(refusal) => Fault::limited(refusal),
            Refused::Busy => Fault::new(Class::Busy, "too many calls at once; try again in a moment").retry_after(1),
            Refused::Ledger(_) | Refused::Left(_) => Fault::new(Class::Busy, refused.to_string()).retry_after(5),
        }
    }

    fn limited(refusal: &Refusal) -> Fault {
        let what = match (refusal.learned, refusal.stopped) {
            (true, _) => format!("the provider asks to wait ({refusal})"),
            (_, true) => format!("the budget `{}` of `{}` was stopped", refusal.limit, refusal.label),
            _ => refusal.to_string(),
        };
        let is_of_money = refusal.limit.measure() == Measure::Money;
        let Some(wait_ms) = refusal.wait_ms() else {
            return Fault::new(Class::QuotaExhausted, format!("{what}; this call does not fit at any time"));
        };
        let secs = wait_ms.div_ceil(1000);
        let class = if is_of_money || secs > LONG_WAIT_SECS { Class::QuotaExhausted } else { Class::RateLimited };
        let until = refusal.until().map_or_else(String::new, |until| format!(" ({until})"));
        Fault::new(class, format!("{what}; it fits again in {secs} s{until}")).retry_after(secs)
    }

    /// An attempt that brought no answer from the provider.
    pub(super) fn unanswered(provider: &str, kind: ErrorKind) -> Fault {
        let (class, what) = match kind {
            ErrorKind::ConnectTimeout => (Class::GatewayTimeout, "could not be reached in time"),
            ErrorKind::FirstByteTimeout | ErrorKind::IdleTimeout => (Class::GatewayTimeout, "did not answer in time"),
            ErrorKind::TotalTimeout => (Class::GatewayTimeout, "took too long to answer"),
            ErrorKind::BadResponse => (Class::BadGateway, "answered with something that is not HTTP"),
            ErrorKind::StreamCut => (Class::BadGateway, "broke the connection before its answer"),
            _ => (Class::BadGateway, "could not be reached"),
        };
        Fault::new(class, format!("the provider `{provider}` {what}"))
    }

    /// The answer, as an API tells it.
    pub(super) fn into_response(self, dialect: Dialect) -> http::Response<Full<Bytes>> {
        let status = self.class.status();
        let body = self.body(dialect, status);
        let mut response = http::Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = status;
        self.add_headers(response.headers_mut());
        response
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if !self.retryable {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if self.class == Class::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.closing {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(id) = self.record {
            super::headers::add_record(headers, id);
        }
    }

    fn body(&self, dialect: Dialect, status: StatusCode) -> Value {
        let message = format!("tallybot: {}", self.message);
        match dialect {
            Dialect::OpenAi => {
                let (kind, code) = self.class.in_openai();
                json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
            }
            Dialect::Anthropic => {
                let error = json!({ "type": self.class.in_anthropic(), "message": message });
                json!({ "type": "error", "error": error, "request_id": self.record.map(|id| id.to_string()) })
            }
            Dialect::Gemini => {
                let wait = |secs| json!([{
                    "@type": "type.googleapis.com/google.rpc.RetryInfo",
                    "retryDelay": format!("{secs}s"),
                }]);
                let details = self.retry_after_secs.map_or_else(|| json!([]), wait);
                let (code, status) = (status.as_u16(), self.class.in_gemini());
                json!({ "error": { "code": code, "message": message, "status": status, "details": details } })
            }
            Dialect::Ollama => json!({ "error": message }),
        }
    }
}

impl Class {
    fn status(self) -> StatusCode {
        match self {
            Class::BadRequest => StatusCode::BAD_REQUEST,
            Class::Unauthenticated => StatusCode::UNAUTHORIZED,
            Class::Forbidden => StatusCode::FORBIDDEN,
            Class::NotFound => StatusCode::NOT_FOUND,
            Class::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Class::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Class::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Class::RateLimited | Class::QuotaExhausted => StatusCode::TOO_MANY_REQUESTS,
            Class::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Class::BadGateway => StatusCode::BAD_GATEWAY,
            Class::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// `type` and `code`.
    fn in_openai(self) -> (&'static str, &'static str) {
        match self {
            Class::BadRequest => ("invalid_request_error", "bad_request"),
            Class::Unauthenticated => ("invalid_request_error", "invalid_api_key"),
            Class::Forbidden => ("invalid_request_error", "permission_denied"),
            Class::NotFound => ("invalid_request_error", "not_found"),
            Class::WrongMethod => ("invalid_request_error", "method_not_allowed"),
            Class::TooLarge => ("invalid_request_error", "request_too_large"),
            Class::SlowBody => ("invalid_request_error", "request_timeout"),
            Class::RateLimited => ("rate_limit_error", "rate_limit_exceeded"),
            Class::QuotaExhausted => ("insufficient_quota", "insufficient_quota"),
            Class::Busy => ("server_error", "service_unavailable"),
            Class::BadGateway => ("server_error", "bad_gateway"),
            Class::GatewayTimeout => ("server_error", "gateway_timeout"),
        }
    }

    fn in_anthropic(self) -> &'static str {
        match self {
            Class::BadRequest | Class::WrongMethod => "invalid_request_error",
            Class::Unauthenticated => "authentication_error",
            Class::Forbidden => "permission_error",
            Class::NotFound => "not_found_error",
            Class::TooLarge => "request_too_large",
            Class::RateLimited | Class::QuotaExhausted => "rate_limit_error",
            Class::SlowBody | Class::GatewayTimeout => "timeout_error",
            Class::Busy => "overloaded_error",
            Class::BadGateway => "api_error",
        }
    }

    /// The names of `google.rpc.Code`.
    fn in_gemini(self) -> &'static str {
        match self {
            Class::BadRequest | Class::WrongMethod | Class::TooLarge => "INVALID_ARGUMENT",
            Class::Unauthenticated => "UNAUTHENTICATED",
            Class::Forbidden => "PERMISSION_DENIED",
            Class::NotFound => "NOT_FOUND",
            Class::RateLimited | Class::QuotaExhausted => "RESOURCE_EXHAUSTED",
            Class::SlowBody | Class::GatewayTimeout => "DEADLINE_EXCEEDED",
            Class::Busy | Class::BadGateway => "UNAVAILABLE",
        }
    }
}
