//! Why a call failed: a class and an HTTP status, whatever text it came with.

use std::fmt;

use super::ErrorKind;

/// A failure as it stands in a record: its class and, if there was one, the HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// The class.
    pub kind: ErrorKind,
    /// The status the provider answered with.
    pub http_status: Option<u16>,
}

impl Failure {
    /// A failure without an HTTP status.
    pub fn of(kind: ErrorKind) -> Failure {
        Failure { kind, http_status: None }
    }

    /// A failure that an HTTP answer told us of.
    pub fn http(kind: ErrorKind, status: u16) -> Failure {
        Failure { kind, http_status: Some(status) }
    }

    /// Reads `rate_limited 429`; what is in nobody's closed set is `other`, with its status if it has one.
    pub fn parse(text: &str) -> Failure {
        let mut words = text.split(' ');
        let kind = words.next().and_then(ErrorKind::parse).unwrap_or(ErrorKind::Other);
        let http_status = words.next().and_then(|word| word.parse().ok());
        Failure { kind, http_status }
    }

    /// Reduces a caller's error text (`error_message` of a token log) to a class and an HTTP status.
    ///
    /// Our own form is read back; of anything else only a status from 400 to 599 is kept, and where there is none the
    /// class of the words that libraries and providers use, such as `connection refused` or `RESOURCE_EXHAUSTED`.
    pub fn from_foreign(text: &str) -> Failure {
        let text = text.trim();
        let own = Failure::parse(text);
        if own.kind != ErrorKind::Other && own.to_string() == text {
            return own;
        }
        let status = text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter_map(|word| word.parse::<u16>().ok())
            .find(|status| (400..600).contains(status));
        let kind = match status {
            Some(429) => ErrorKind::RateLimited,
            Some(401) => ErrorKind::Unauthorized,
            Some(403) => ErrorKind::Forbidden,
            Some(404) => ErrorKind::NotFound,
            Some(410) => ErrorKind::Gone,
            Some(503 | 529) => ErrorKind::Overloaded,
            Some(400..=499) => ErrorKind::BadRequest,
            Some(_) => ErrorKind::ServerError,
            None => kind_of_words(text),
        };
        Failure { kind, http_status: status }
    }
}

/// What libraries and providers say of an error, lower case, and its class: of two that are there the first one counts.
const ERROR_WORDS: &[(&[&str], ErrorKind)] = &[
    (
        &["connect timeout", "connection timeout", "connection timed out", "connecttimeout", "etimedout"],
        ErrorKind::ConnectTimeout,
    ),
    (&["read timeout", "read timed out", "readtimeout", "idle timeout"], ErrorKind::IdleTimeout),
    (&["timeout", "time out", "timed out", "deadline exceeded", "tiempo de espera"], ErrorKind::TotalTimeout),
    (&["insufficient quota", "quota exceeded", "exceeded your current quota"], ErrorKind::QuotaExhausted),
    (
        &["rate limit", "ratelimit", "too many requests", "resource exhausted", "quota", "cuota", "throttl"],
        ErrorKind::RateLimited,
    ),
    (
        &["connection refused", "econnrefused", "connection error", "apiconnectionerror", "no route to host"],
        ErrorKind::Connect,
    ),
    (
        &["name resolution", "name or service not known", "dns error", "network is unreachable", "host unreachable"],
        ErrorKind::Connect,
    ),
    (
        &["connection reset", "econnreset", "broken pipe", "connection closed", "connection aborted", "unexpected eof"],
        ErrorKind::StreamCut,
    ),
    (&["context length", "context window", "maximum context", "prompt is too long"], ErrorKind::ContextTooLong),
    (
        &["unauthorized", "unauthenticated", "invalid api key", "incorrect api key", "api key not valid"],
        ErrorKind::Unauthorized,
    ),
    (&["authentication error", "authenticationerror"], ErrorKind::Unauthorized),
    (&["forbidden", "permission denied"], ErrorKind::Forbidden),
    (&["overloaded", "service unavailable"], ErrorKind::Overloaded),
    (&["internal server error", "bad gateway", "server error"], ErrorKind::ServerError),
    (&["model not found", "not found error", "404 not found"], ErrorKind::NotFound),
    (&["invalid request", "bad request", "invalid argument"], ErrorKind::BadRequest),
    (&["cancelled by user", "canceled by user", "keyboardinterrupt"], ErrorKind::CancelledByUser),
];

/// The class of a text by the words in it. `-` and `_` are as spaces: `RATE_LIMIT`, `rate-limit`.
fn kind_of_words(text: &str) -> ErrorKind {
    let text = text.to_lowercase().replace(['-', '_'], " ");
    let fits = |(words, _): &&(&[&str], ErrorKind)| words.iter().any(|words| text.contains(words));
    ERROR_WORDS.iter().find(fits).map_or(ErrorKind::Other, |(_, kind)| *kind)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.http_status {
            Some(status) => write!(f, "{} {status}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_error_text_is_reduced_to_class_and_status() {
        assert_eq!(Failure::from_foreign("429 Quota excedida").to_string(), "rate_limited 429");
        assert_eq!(Failure::from_foreign("my secret prompt was refused").to_string(), "other");
        assert_eq!(Failure::from_foreign("stream_cut").to_string(), "stream_cut");
        assert_eq!(Failure::parse("gone 410"), Failure::http(ErrorKind::Gone, 410));
    }

    #[test]
    fn the_words_of_libraries_and_providers_have_their_class() {
        for (text, expected) in [
            ("timeout", "total_timeout"),
            ("Request timed out.", "total_timeout"),
            ("504 Deadline Exceeded", "server_error 504"),
            ("connect timeout after 10s", "connect_timeout"),
            ("HTTPSConnectionPool: Read timed out. (read timeout=60)", "idle_timeout"),
            ("rate limit", "rate_limited"),
            ("RateLimitError", "rate_limited"),
            ("RATE_LIMIT_EXCEEDED", "rate_limited"),
            ("RESOURCE_EXHAUSTED", "rate_limited"),
            ("429 Too Many Requests", "rate_limited 429"),
            ("Too Many Requests", "rate_limited"),
            ("Cuota excedida", "rate_limited"),
            ("insufficient_quota", "quota_exhausted"),
            ("connection refused", "connect"),
            ("[Errno 111] Connection refused", "connect"),
            ("connect ECONNREFUSED 127.0.0.1:11434", "connect"),
            ("Connection reset by peer", "stream_cut"),
            ("invalid_api_key", "unauthorized"),
            ("PERMISSION_DENIED", "forbidden"),
            ("Service Unavailable", "overloaded"),
            ("Internal Server Error", "server_error"),
            ("This model's maximum context length is 8192 tokens", "context_too_long"),
            ("something went wrong", "other"),
            ("limit of my patience", "other"),
            (" total_timeout 504 ", "total_timeout 504"),
        ] {
            assert_eq!(Failure::from_foreign(text).to_string(), expected, "{text}");
        }
    }
}
