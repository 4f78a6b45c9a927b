//! How a call fails: a class, an HTTP status, and what may be done about it. Never a provider's text.

use std::time::Duration;

use super::json::{self, Field};
use super::openai::Dialect;
use super::ratelimit::{wait_in_words, wait_of_google};
use super::{Observed, ReportedUsage};
use crate::usage::{ErrorKind, Failure};

/// A call to a provider that failed, before or within its answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call to the provider failed: {failure}")]
pub struct CallError {
    /// The class and the HTTP status, as they go into the record.
    pub failure: Failure,
    /// Whether the same call may be made again. Always [`Retry::No`] once the answer has begun.
    pub retry: Retry,
    /// What the provider's headers said.
    pub observed: Observed,
    /// The counts reported before it failed.
    pub usage: ReportedUsage,
    /// The provider's own id of this request.
    pub provider_request_id: Option<String>,
    /// It says that its model takes no images.
    pub sees_no_images: bool,
}

/// Whether a failed call may be made again. Every try is an attempt, and a record, of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again, or be paid for twice.
    No,
    /// After a wait: the provider's, or with `None` our own.
    After(Option<Duration>),
    /// At once, written so: the provider says that it does not know a field of ours.
    Adjusted(Dialect),
}

impl CallError {
    /// A failure that no answer of the provider's tells more about.
    pub fn of(kind: ErrorKind, retry: Retry) -> CallError {
        CallError {
            failure: Failure::of(kind),
            retry,
            observed: Observed::default(),
            usage: ReportedUsage::default(),
            provider_request_id: None,
            sees_no_images: false,
        }
    }

    /// A failure told by an HTTP status of 300 or more; `body` is the (bounded) start of what came with it.
    pub fn from_answer(status: u16, observed: Observed, body: &[u8]) -> CallError {
        let kind = classify(status, body);
        let said = ErrorBody::read(body);
        let observed = observed.with_body(&said);
        let sees_no_images = said.has_words(NO_VISION);
        let stays = said.is_daily || sees_no_images || said.has_code(&["conflict_error"]);
        let retry = if stays { Retry::No } else { advice(kind, status, &observed) };
        let failure = Failure::http(kind, status);
        CallError { failure, retry, observed, sees_no_images, ..CallError::of(kind, Retry::No) }
    }
}

/// What says that waiting does not help: somebody has to pay, or to raise a cap.
const SPENT: &[&str] = &["insufficient_quota", "credit_balance_exhausted", "enforced_spend_limit_reached"];

/// What Anthropic says, with status 400 and no code of its own, when a balance or a spend limit of the owner's is used up.
const SPENT_WORDS: &[&str] = &["credit balance is too low", "reached your specified api usage limits"];

/// How servers say, with 400, 404 or 500 and no code, that a model takes no images: Ollama, llama.cpp and OpenRouter of
/// image input, OpenAI of the part of a message, vLLM of the kind of model or that none is allowed.
const NO_VISION: &[&str] = &[
    "image input",
    "image_url is only supported",
    "does not support image",
    "unknown variant `image_url`",
    "is not a multimodal model",
    "at most 0 image",
];

/// What says that the key is wrong: Google answers a bad one with status 400.
const BAD_KEY: &[&str] = &["API_KEY_INVALID", "API_KEY_EXPIRED"];

/// The class of an error answer: by its status, and where that leaves a choice by the codes and words in its body.
pub fn classify(status: u16, body: &[u8]) -> ErrorKind {
    match status {
        400 if has_code(body, BAD_KEY) => ErrorKind::Unauthorized,
        400 if has_code(body, SPENT) || has_words(body, SPENT_WORDS) => ErrorKind::QuotaExhausted,
        300..400 => ErrorKind::BadResponse,
        401 => ErrorKind::Unauthorized,
        402 => ErrorKind::QuotaExhausted,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        408 => ErrorKind::ServerError,
        410 => ErrorKind::Gone,
        400 | 413 | 422 if speaks_of_context(body) => ErrorKind::ContextTooLong,
        429 if has_code(body, SPENT) => ErrorKind::QuotaExhausted,
        429 => ErrorKind::RateLimited,
        503 | 529 => ErrorKind::Overloaded,
        500.. if has_code(body, &["server_is_overloaded", "overloaded_error"]) => ErrorKind::Overloaded,
        500.. => ErrorKind::ServerError,
        _ => ErrorKind::BadRequest,
    }
}

/// Whether the same request may be sent again: 408, 409, 429 and 500 and above, unless the provider says otherwise.
/// What is gone, used up or unpaid stays so, whatever a header says.
fn advice(kind: ErrorKind, status: u16, observed: &Observed) -> Retry {
    let usual = matches!(status, 408 | 409 | 429 | 500..);
    match kind {
        ErrorKind::Gone | ErrorKind::QuotaExhausted => Retry::No,
        _ if observed.should_retry.unwrap_or(usual) => Retry::After(observed.retry_after),
        _ => Retry::No,
    }
}

/// The fields of an error body that name its kind: OpenAI's object, Ollama's text, and a list around either.
#[derive(Default)]
pub(super) struct ErrorBody {
    codes: Vec<String>,
    message: String,
    param: Option<String>,
    /// The wait it names.
    pub(super) wait: Option<Duration>,
    /// It is a quota of a day (Google's).
    pub(super) is_daily: bool,
}

/// What comes beside a message: Anthropic's code, or one of Google's facts.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Fact<'a> {
    #[serde(rename = "error_code")]
    code: Field<'a>,
    reason: Field<'a>,
    retry_delay: Field<'a>,
    violations: Field<'a>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Violation<'a> {
    #[serde(borrow, default)]
    quota_id: Field<'a>,
}

/// One fact, or a list of them; text and everything else is none.
fn facts(field: Field<'_>) -> Vec<Fact<'_>> {
    json::objects(field).or_else(|| json::object(field).map(|fact| vec![fact])).unwrap_or_default()
}

#[derive(serde::Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    error: Field<'a>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Detail<'a> {
    code: Field<'a>,
    #[serde(rename = "type")]
    kind: Field<'a>,
    status: Field<'a>,
    message: Field<'a>,
    param: Field<'a>,
    details: Field<'a>,
}

impl ErrorBody {
    /// Reads a body. Of JSON in no known form the whole text is the message; of anything else there is none.
    pub(super) fn read(body: &[u8]) -> ErrorBody {
        let one = || serde_json::from_slice::<Envelope<'_>>(body).ok();
        let listed = || serde_json::from_slice::<Vec<Envelope<'_>>>(body).ok().and_then(|list| list.into_iter().next());
        let Some(envelope) = one().filter(|_| !body.trim_ascii_start().starts_with(b"[")).or_else(listed) else {
            return ErrorBody::default();
        };
        if let Some(detail) = json::object::<Detail<'_>>(envelope.error) {
            return ErrorBody::of(detail);
        }
        let message = match json::text(envelope.error) {
            Some(text) => text.to_lowercase(),
            None => String::from_utf8_lossy(body).to_lowercase(),
        };
        ErrorBody { wait: wait_in_words(&message), message, ..ErrorBody::default() }
    }

    fn of(detail: Detail<'_>) -> ErrorBody {
        let facts = facts(detail.details);
        let codes = [detail.code, detail.kind, detail.status]
            .into_iter()
            .chain(facts.iter().flat_map(|fact| [fact.code, fact.reason]));
        let message = json::text(detail.message).unwrap_or_default().to_lowercase();
        let delay = facts.iter().find_map(|fact| wait_of_google(&json::text(fact.retry_delay)?));
        let violations = facts.iter().filter_map(|fact| json::objects::<Violation<'_>>(fact.violations)).flatten();
        let mut quotas = violations.filter_map(|violation| json::text(violation.quota_id));
        ErrorBody {
            codes: codes.filter_map(json::text).collect(),
            param: json::text(detail.param),
            wait: delay.or_else(|| wait_in_words(&message)),
            is_daily: quotas.any(|quota| quota.contains("PerDay")),
            message,
        }
    }

    /// Whether this is a complaint that `field`, or what we put into it, is not known or not supported (not that its
    /// value is wrong, and not that something else within it is unknown).
    pub(super) fn rejects_field(&self, field: &str) -> bool {
        let names_field = match &self.param {
            Some(param) => param.strip_prefix(field).is_some_and(|rest| rest.is_empty() || inner(rest) == OURS),
            None => self.message.match_indices(field).any(|(at, _)| {
                let rest = &self.message[at + field.len()..];
                matches!(inner(rest), "" | OURS)
            }),
        };
        let says_unknown = [
            "unsupported parameter",
            "is unsupported",
            "not supported",
            "not allowed",
            "unknown",
            "unrecognized",
            "not permitted",
            "extra_forbidden",
        ];
        names_field
            && (self.has_code(&["unsupported_parameter", "unknown_parameter"])
                || says_unknown.iter().any(|words| self.message.contains(words)))
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    fn has_words(&self, words: &[&str]) -> bool {
        words.iter().any(|words| self.message.contains(words))
    }
}

/// What we put into a field, `stream_options`.
const OURS: &str = "include_usage";

/// How servers go on from a field to one within it: `a.b`, `["a","b"]`.
const INTO: &[&str] = &[".", "\",\"", "\", \"", "', '"];

/// The name of the field within a field that a text goes on with behind it; empty when there is none.
fn inner(rest: &str) -> &str {
    let inner = INTO.iter().find_map(|into| rest.strip_prefix(into)).unwrap_or_default();
    inner.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

fn has_code(body: &[u8], codes: &[&str]) -> bool {
    ErrorBody::read(body).has_code(codes)
}

fn has_words(body: &[u8], words: &[&str]) -> bool {
    ErrorBody::read(body).has_words(words)
}

/// Servers name the context, Anthropic the prompt that is too long for it, Google the input that exceeds its tokens.
fn speaks_of_context(body: &[u8]) -> bool {
    const CODES: &[&str] = &["context_length_exceeded", "tokens_limit_reached", "exceed_context_size_error"];
    const WORDS: &[&str] = &[
        "context length",
        "context window",
        "context size",
        "context limit",
        "prompt is too long",
        "exceeds the maximum number of tokens",
    ];
    has_code(body, CODES) || has_words(body, WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openai(code: &str) -> Vec<u8> {
        format!(r#"{{"error":{{"message":"m","type":"t","param":null,"code":"{code}"}}}}"#).into_bytes()
    }

    #[test]
    fn statuses_and_codes_become_classes() {
        let cases: &[(u16, &[u8], ErrorKind)] = &[
            (400, b"{\"error\":\"model is required\"}", ErrorKind::BadRequest),
            (400, b"{\"error\":\"the input length exceeds the context length\"}", ErrorKind::ContextTooLong),
            (400, &openai("context_length_exceeded"), ErrorKind::ContextTooLong),
            (400, &openai("unsupported_value"), ErrorKind::BadRequest),
            (400, b"{\"object\":\"error\",\"message\":\"maximum context length is 4096\"}", ErrorKind::ContextTooLong),
            (401, &openai("invalid_api_key"), ErrorKind::Unauthorized),
            (402, b"", ErrorKind::QuotaExhausted),
            (403, b"", ErrorKind::Forbidden),
            (404, b"{\"error\":\"model 'm' not found\"}", ErrorKind::NotFound),
            (408, b"", ErrorKind::ServerError),
            (409, b"", ErrorKind::BadRequest),
            (410, &openai("github_models_retirement_brownout"), ErrorKind::Gone),
            (413, &openai("tokens_limit_reached"), ErrorKind::ContextTooLong),
            (413, b"<html>", ErrorKind::BadRequest),
            (429, &openai("rate_limit_exceeded"), ErrorKind::RateLimited),
            (429, &openai("slow_down"), ErrorKind::RateLimited),
            (429, &openai("insufficient_quota"), ErrorKind::QuotaExhausted),
            (429, &openai("credit_balance_exhausted"), ErrorKind::QuotaExhausted),
            (429, b"[{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\"}}]", ErrorKind::RateLimited),
            (499, b"{\"error\":\"request canceled\"}", ErrorKind::BadRequest),
            (500, b"<html>oops", ErrorKind::ServerError),
            (500, &openai("server_is_overloaded"), ErrorKind::Overloaded),
            (502, b"", ErrorKind::ServerError),
            (503, b"{\"error\":\"server busy\"}", ErrorKind::Overloaded),
            (529, b"", ErrorKind::Overloaded),
            (302, b"", ErrorKind::BadResponse),
        ];
        for (status, body, kind) in cases {
            assert_eq!(classify(*status, body), *kind, "{status} {}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_model_that_takes_no_images_is_told_and_not_asked_again() {
        for (status, message) in [
            (400, "this model does not support image input"),
            (
                500,
                "Failed to create new sequence: failed to process inputs: this model is missing data required for image input",
            ),
            (500, "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
            (404, "No endpoints found that support image input"),
            (400, "Invalid content type. image_url is only supported by certain models."),
            (400, "/models/m is not a multimodal model"),
            (400, "At most 0 image(s) may be provided in one request."),
        ] {
            for body in [serde_json::json!({"error": message}), serde_json::json!({"error": {"message": message}})] {
                let error = CallError::from_answer(status, Observed::default(), body.to_string().as_bytes());
                assert!(error.sees_no_images, "{message}");
                assert_eq!(error.retry, Retry::No, "{message}");
            }
        }
        for message in ["Could not process image", "image exceeds 5 MB maximum", "model 'imagine' not found"] {
            let body = serde_json::json!({"error": {"message": message}}).to_string();
            assert!(!CallError::from_answer(400, Observed::default(), body.as_bytes()).sees_no_images, "{message}");
        }
    }

    fn anthropic(kind: &str, message: &str) -> Vec<u8> {
        format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}"#)
            .into_bytes()
    }

    #[test]
    fn anthropics_errors_become_classes() {
        let wait = Observed { retry_after: Some(Duration::from_secs(7)), ..Observed::default() };
        let (again, later) = (Retry::After(None), Retry::After(Some(Duration::from_secs(7))));
        let invalid = "invalid_request_error";
        for (status, body, observed, kind, retry) in [
            (400, anthropic(invalid, "max_tokens: Field required"), wait, ErrorKind::BadRequest, Retry::No),
            (
                400,
                anthropic(invalid, "prompt is too long: 210000 tokens > 200000 maximum"),
                wait,
                ErrorKind::ContextTooLong,
                Retry::No,
            ),
            (
                400,
                anthropic(invalid, "input length and `max_tokens` exceed context limit: 1 + 2 > 3"),
                wait,
                ErrorKind::ContextTooLong,
                Retry::No,
            ),
            (
                400,
                anthropic(invalid, "Your credit balance is too low to access the Anthropic API."),
                wait,
                ErrorKind::QuotaExhausted,
                Retry::No,
            ),
            (
                400,
                anthropic(invalid, "You have reached your specified API usage limits."),
                wait,
                ErrorKind::QuotaExhausted,
                Retry::No,
            ),
            (401, anthropic("authentication_error", "invalid x-api-key"), wait, ErrorKind::Unauthorized, Retry::No),
            (402, anthropic("billing_error", "m"), wait, ErrorKind::QuotaExhausted, Retry::No),
            (403, anthropic("permission_error", "m"), wait, ErrorKind::Forbidden, Retry::No),
            (404, anthropic("not_found_error", "model: claude-2"), wait, ErrorKind::NotFound, Retry::No),
            (409, anthropic("conflict_error", "m"), wait, ErrorKind::BadRequest, Retry::No),
            (
                413,
                anthropic("request_too_large", "Request exceeds the maximum size"),
                wait,
                ErrorKind::BadRequest,
                Retry::No,
            ),
            (429, anthropic("rate_limit_error", "m"), wait, ErrorKind::RateLimited, later),
            (429, anthropic("rate_limit_error", "m"), Observed::default(), ErrorKind::RateLimited, again),
            (500, anthropic("api_error", "m"), Observed::default(), ErrorKind::ServerError, again),
            (504, anthropic("timeout_error", "m"), Observed::default(), ErrorKind::ServerError, again),
            (529, anthropic("overloaded_error", "Overloaded"), Observed::default(), ErrorKind::Overloaded, again),
        ] {
            let error = CallError::from_answer(status, observed, &body);
            let text = String::from_utf8_lossy(&body);
            assert_eq!((error.failure, error.retry), (Failure::http(kind, status), retry), "{status} {text}");
        }
    }

    #[test]
    fn geminis_errors_become_classes() {
        let google = |status: &str, message: &str, details: &str| {
            let error = format!(r#"{{"code":0,"message":"{message}","status":"{status}","details":[{details}]}}"#);
            [format!(r#"{{"error":{error}}}"#), format!(r#"[{{"error":{error}}}]"#)]
        };
        let key = r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}"#;
        let wait = r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"37.5s"}"#;
        let daily =
            format!(r#"{{"violations":[{{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}}]}},{wait}"#);
        let long = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
        let again = Retry::After(None);
        let waits = Retry::After(Some(Duration::from_millis(37_500)));
        for (status, bodies, kind, retry) in [
            (400, google("INVALID_ARGUMENT", "API key not valid.", key), ErrorKind::Unauthorized, Retry::No),
            (400, google("INVALID_ARGUMENT", long, ""), ErrorKind::ContextTooLong, Retry::No),
            (400, google("INVALID_ARGUMENT", "m", ""), ErrorKind::BadRequest, Retry::No),
            (400, google("FAILED_PRECONDITION", "m", ""), ErrorKind::BadRequest, Retry::No),
            (403, google("PERMISSION_DENIED", "m", ""), ErrorKind::Forbidden, Retry::No),
            (404, google("NOT_FOUND", "m", ""), ErrorKind::NotFound, Retry::No),
            (429, google("RESOURCE_EXHAUSTED", "m", wait), ErrorKind::RateLimited, waits),
            (429, google("RESOURCE_EXHAUSTED", "m", ""), ErrorKind::RateLimited, again),
            (429, google("RESOURCE_EXHAUSTED", "m", &daily), ErrorKind::RateLimited, Retry::No),
            (500, google("INTERNAL", "m", ""), ErrorKind::ServerError, again),
            (503, google("UNAVAILABLE", "The model is overloaded.", ""), ErrorKind::Overloaded, again),
            (504, google("DEADLINE_EXCEEDED", "m", ""), ErrorKind::ServerError, again),
        ] {
            for body in bodies {
                let error = CallError::from_answer(status, Observed::default(), body.as_bytes());
                assert_eq!((error.failure, error.retry), (Failure::http(kind, status), retry), "{status} {body}");
            }
        }
    }

    #[test]
    fn advice_follows_the_tables_and_the_header_overrides() {
        let retry = |status: u16, body: &[u8], observed: Observed| CallError::from_answer(status, observed, body).retry;
        let plain = Observed::default();
        let says = |should_retry| Observed { should_retry: Some(should_retry), ..plain };
        let wait = Observed { retry_after: Some(Duration::from_secs(2)), ..plain };
        for status in [408, 409, 429, 500, 502, 503, 504, 529] {
            assert_eq!(retry(status, b"", plain), Retry::After(None), "{status}");
            assert_eq!(retry(status, b"", says(false)), Retry::No, "{status}");
        }
        assert_eq!(retry(429, b"", wait), Retry::After(Some(Duration::from_secs(2))));
        for status in [400, 401, 402, 403, 404, 410, 413, 422, 302] {
            assert_eq!(retry(status, b"", plain), Retry::No, "{status}");
        }
        assert_eq!(retry(400, b"", says(true)), Retry::After(None));
        assert_eq!(retry(410, b"", says(true)), Retry::No);
        assert_eq!(retry(429, &openai("insufficient_quota"), says(true)), Retry::No);
        let words =
            br#"{"error":{"message":"Please try again in 1m26.4s.","type":"tokens","code":"rate_limit_exceeded"}}"#;
        assert_eq!(retry(429, words, plain), Retry::After(Some(Duration::from_millis(86_400))));
        assert_eq!(retry(429, words, wait), Retry::After(Some(Duration::from_secs(2))), "headers go first");
        let spent = br#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}}"#;
        assert_eq!((classify(429, spent), retry(429, spent, says(true))), (ErrorKind::QuotaExhausted, Retry::No));
        let daily = br#"{"error":{"code":429,"message":"m","details":[{"violations":[{"quotaId":"RequestsPerDay-FreeTier"}]},{"retryDelay":"37s"}]}}"#;
        assert_eq!((classify(429, daily), retry(429, daily, wait)), (ErrorKind::RateLimited, Retry::No));
        let text = br#"{"error":{"code":"RateLimitReached","message":"Please wait 52220 seconds before retrying.","details":"Please"}}"#;
        assert_eq!(retry(429, text, plain), Retry::After(Some(Duration::from_secs(52_220))));
    }

    #[test]
    fn a_rejected_field_is_told_from_a_wrong_value() {
        let rejects = |body: &str, field: &str| ErrorBody::read(body.as_bytes()).rejects_field(field);
        let unsupported = r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#;
        assert!(rejects(unsupported, "max_tokens"));
        assert!(!rejects(unsupported, "max_completion_tokens"));
        assert!(!rejects(
            r#"{"error":{"message":"max_tokens is too large","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}"#,
            "max_tokens"
        ));
        assert!(rejects(r#"{"error":{"message":"Unknown field stream_options"}}"#, "stream_options"));
        assert!(!rejects("<html>stream_options unknown", "stream_options"));
        let detail = r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs"}]}"#;
        assert!(rejects(detail, "stream_options") && !rejects(detail, "max_tokens"));
        // In the words of Groq, Azure's models and two usual checkers.
        for words in [
            r#"{"error":{"message":"property 'stream_options' is unsupported, did you mean 'stream'?"}}"#,
            r#"{"detail":"Extra parameters ['stream_options'] are not allowed when extra-parameters is not set"}"#,
            r#"{"error":"\"stream_options\" is not allowed"}"#,
            r#"{"error":{"message":"Additional properties are not allowed ('stream_options' was unexpected)"}}"#,
        ] {
            assert!(rejects(words, "stream_options"), "{words}");
        }
        let only =
            r#"{"error":{"message":"The 'stream_options' parameter is only allowed when 'stream' is enabled."}}"#;
        assert!(!rejects(only, "stream_options"));
        // What somebody else put into the field says nothing of it.
        let unknown = |param: &str, named: &str| {
            format!(
                r#"{{"error":{{"message":"Unknown parameter: {named}","param":{param},"code":"unknown_parameter"}}}}"#
            )
        };
        for (param, named, is_ours) in [
            (r#""stream_options""#, "it", true),
            (r#""stream_options.include_usage""#, "it", true),
            (r#""stream_options.bogus""#, "'stream_options.bogus'.", false),
            ("null", "'stream_options'.", true),
            ("null", "stream_options. See the manual.", true),
            ("null", "'stream_options.include_usage'.", true),
            ("null", "'stream_options.bogus'.", false),
            ("null", "'stream_options.include_usages'.", false),
        ] {
            assert_eq!(rejects(&unknown(param, named), "stream_options"), is_ours, "{param} {named}");
        }
        for (field, is_ours) in [("include_usage", true), ("bogus", false)] {
            let detail =
                format!(r#"{{"detail":[{{"type":"extra_forbidden","loc":["body","stream_options","{field}"]}}]}}"#);
            assert_eq!(rejects(&detail, "stream_options"), is_ours, "{field}");
        }
    }

    #[test]
    fn the_providers_words_are_in_no_text_of_ours() {
        let error = CallError::from_answer(429, Observed::default(), b"{\"error\":\"secret prompt echoed\"}");
        assert_eq!(error.to_string(), "the call to the provider failed: rate_limited 429");
        assert!(!format!("{error:?}").contains("secret"));
    }
}
