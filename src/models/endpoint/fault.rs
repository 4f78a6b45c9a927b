//! What goes wrong on our side of a call, told as the API that was called tells its own errors. Pure.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use super::Dialect;

/// A wait longer than this is nothing a client should spend asleep: it is told not to try by itself.
/// A minute of ours that slides by whole seconds is not such a one.
pub const LONG_WAIT_SECS: u64 = 61;

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Something that keeps a call from its provider, or its answer from the client.
#[derive(Clone, Debug)]
pub struct Fault {
    class: Class,
    message: String,
    /// When it may be tried again, in seconds; `None` where that is not known or does not help.
    retry_after_secs: Option<u64>,
    /// Whether the same call may work soon.
    retryable: bool,
    /// Ends the connection: what is left of the request is not read.
    closing: bool,
    /// The id that the answer is to carry.
    id: Option<String>,
}

/// What kind of thing: each API has its own status and words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The request cannot be read or passed on.
    BadRequest,
    /// There is no key, or none that is known.
    Unauthenticated,
    /// The key does not open this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The method is not passed on.
    WrongMethod,
    /// WebSockets are not passed on. Clients that can ask over HTTP as well do so at once when they are told by this
    /// status (Codex CLI 0.169.0, seen).
    NoWebSocket,
    /// The body is too large.
    TooLarge,
    /// The body did not come in time.
    SlowBody,
    /// Too much at once; it fits again soon.
    RateLimited,
    /// A budget is used up, or the call never fits.
    QuotaExhausted,
    /// Too much is going on here, or nothing can be recorded.
    Busy,
    /// The provider gave no answer.
    BadGateway,
    /// The provider gave no answer in time.
    GatewayTimeout,
}

impl Fault {
    /// A fault of a class, told in a sentence.
    pub fn new(class: Class, message: impl Into<String>) -> Fault {
        let retryable = matches!(class, Class::SlowBody | Class::Busy | Class::BadGateway | Class::GatewayTimeout);
        Fault { class, message: message.into(), retry_after_secs: None, retryable, closing: false, id: None }
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, secs: u64) -> Fault {
        self.retry_after_secs = Some(secs.max(1));
        self.retryable = secs <= LONG_WAIT_SECS;
        self
    }

    /// Ends the connection with this answer.
    #[must_use]
    pub fn closing(mut self) -> Fault {
        self.closing = true;
        self
    }

    /// Gives the answer an id, where its API has a place for one.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Fault {
        self.id = Some(id.into());
        self
    }

    /// The id that it was given.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What is wrong, in a sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The answer, as an API tells it.
    pub fn into_response(self, dialect: Dialect) -> http::Response<Full<Bytes>> {
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
        if self.class == Class::NoWebSocket {
            headers.insert(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        if self.closing {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
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
                json!({ "type": "error", "error": error, "request_id": self.id })
            }
            Dialect::Gemini => {
                let wait = |secs| {
                    json!([{
                        "@type": "type.googleapis.com/google.rpc.RetryInfo",
                        "retryDelay": format!("{secs}s"),
                    }])
                };
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
            Class::NoWebSocket => StatusCode::UPGRADE_REQUIRED,
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
            Class::NoWebSocket => ("invalid_request_error", "upgrade_required"),
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
            Class::BadRequest | Class::WrongMethod | Class::NoWebSocket => "invalid_request_error",
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
            Class::BadRequest | Class::WrongMethod | Class::NoWebSocket | Class::TooLarge => "INVALID_ARGUMENT",
            Class::Unauthenticated => "UNAUTHENTICATED",
            Class::Forbidden => "PERMISSION_DENIED",
            Class::NotFound => "NOT_FOUND",
            Class::RateLimited | Class::QuotaExhausted => "RESOURCE_EXHAUSTED",
            Class::SlowBody | Class::GatewayTimeout => "DEADLINE_EXCEEDED",
            Class::Busy | Class::BadGateway => "UNAVAILABLE",
        }
    }
}
