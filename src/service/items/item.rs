//! One usage item: what its fields mean together, and what an item without them means.

use serde_json::value::RawValue;

use super::UsageItem;
use super::fields::{Fields, ItemMistakes, Unknown, kind_of};
use crate::usage::json::Pairs;
use crate::usage::names::{MAX_NAME_BYTES, Name, UNKNOWN};
use crate::usage::{ErrorKind, Failure, Given, KeySuffix, Status, TokenCounts, UsageSource};

/// The numbering that ids belong to when no `source` is named.
pub const DEFAULT_SOURCE: &str = "api";

/// The channels a caller may name.
const CHANNELS: [&str; 2] = ["api", "shell"];

/// Reads one item, a JSON object.
///
/// # Errors
/// What is wrong with it, without repeating any of its values.
pub fn read(text: &str) -> Result<UsageItem, ItemMistakes> {
    read_with(text, Unknown::Mistake)
}

/// Reads one item that was not written for us: fields of other names are passed over.
///
/// # Errors
/// As [`read`].
pub fn read_foreign(text: &str) -> Result<UsageItem, ItemMistakes> {
    read_with(text, Unknown::PassedOver)
}

fn read_with(text: &str, unknown: Unknown) -> Result<UsageItem, ItemMistakes> {
    let Ok(raw) = serde_json::from_str::<&RawValue>(text) else {
        return Err(ItemMistakes::of(
            "the item is not JSON; expected an object, for example `{\"model\":\"llama3.2\",\"prompt_tokens\":150}`",
        ));
    };
    if !raw.get().starts_with('{') {
        return Err(ItemMistakes::of(format!(
            "the item is {}; expected an object, for example `{{\"model\":\"llama3.2\",\"prompt_tokens\":150}}`",
            kind_of(raw.get())
        )));
    }
    let Pairs(pairs) = serde_json::from_str(raw.get()).map_err(|_| ItemMistakes::of("the item is not JSON"))?;
    let mut fields = Fields::new(pairs, unknown);
    let item = item(&mut fields);
    fields.finish().map(|()| item)
}

/// The item, as far as it can be made out; what cannot is among the mistakes.
fn item(fields: &mut Fields<'_>) -> UsageItem {
    let (tokens, usage_source) = tokens(fields);
    let (status, failure) = outcome(fields);
    let (latency_ms, first_token_ms) = waits(fields);
    UsageItem {
        at: fields.time("timestamp"),
        api_type: fields.name("api_type").unwrap_or(Name::from(UNKNOWN)),
        model: fields.name("model").unwrap_or(Name::from(UNKNOWN)),
        api_key_suffix: fields.text("api_key_suffix", "a text", "abcd").and_then(|text| KeySuffix::of_text(&text)),
        tokens,
        usage_source,
        status,
        failure,
        metadata: fields.metadata("metadata"),
        provider: fields.name("provider"),
        request_type: fields.name("request_type"),
        channel: fields.one_of("channel", &CHANNELS, |channel| channel).map(Name::from),
        user: fields.identity("user"),
        session: fields.identity("session"),
        latency_ms,
        first_token_ms,
        cost: fields.cost("cost_usd"),
        local: fields.flag("local"),
        given: given(fields),
        feature: fields.name("feature"),
        agent: fields.name("agent"),
        operation: fields.name("operation"),
        team: fields.name("team"),
        service_tier: fields.name("service_tier"),
    }
}

fn tokens(fields: &mut Fields<'_>) -> (TokenCounts, UsageSource) {
    let mut prompt = fields.count("prompt_tokens");
    let mut completion = fields.count("completion_tokens");
    match (prompt, completion, fields.count("total_tokens")) {
        (_, _, None) => {}
        (Some(prompt), Some(completion), Some(total)) if prompt + completion != total => fields.mistakes.push(
            "`total_tokens` is not the sum of `prompt_tokens` and `completion_tokens`; expected the sum, or leave it out"
                .to_owned(),
        ),
        (Some(_), Some(_), Some(_)) => {}
        (Some(part), None, Some(total)) if part <= total => completion = Some(total - part),
        (None, Some(part), Some(total)) if part <= total => prompt = Some(total - part),
        (None, None, Some(0)) => (prompt, completion) = (Some(0), Some(0)),
        (None, None, Some(_)) => fields.mistakes.push(
            "`total_tokens` is there alone; expected `prompt_tokens` and `completion_tokens`, for example `150` and `320`"
                .to_owned(),
        ),
        _ => fields.mistakes.push("`total_tokens` is less than one of its parts; expected their sum".to_owned()),
    }
    let tokens = TokenCounts {
        prompt: prompt.unwrap_or(0),
        completion: completion.unwrap_or(0),
        cached: fields.count("cached_tokens").unwrap_or(0),
        cache_write: fields.count("cache_write_tokens").unwrap_or(0),
        cache_write_1h: fields.count("cache_write_1h_tokens").unwrap_or(0),
        reasoning: fields.count("reasoning_tokens").unwrap_or(0),
    };
    if !tokens.is_consistent() {
        fields.mistakes.push(
            "the slices are larger than their totals; expected `prompt_tokens` with the cached and cache-write tokens \
             inside, and `completion_tokens` with the `reasoning_tokens` inside"
                .to_owned(),
        );
    }
    let known = match (prompt, completion) {
        (Some(_), Some(_)) => UsageSource::Reported,
        (None, None) => UsageSource::None,
        _ => UsageSource::Partial,
    };
    let source = fields.one_of("usage_source", &UsageSource::ALL, UsageSource::as_str).unwrap_or(known);
    if source == UsageSource::None && tokens.total() > 0 {
        fields
            .mistakes
            .push("`usage_source` is `none` beside token counts; expected for example `reported`".to_owned());
    }
    (tokens, source)
}

/// How long the whole answer took, and its first piece.
fn waits(fields: &mut Fields<'_>) -> (Option<u64>, Option<u64>) {
    let (whole, first) = (fields.millis("latency_ms"), fields.millis("first_token_ms"));
    if first > whole && whole.is_some() && fields.unknown == Unknown::Mistake {
        let mistake =
            "`first_token_ms` is more than `latency_ms`; expected both from the call on, such as `310` and `2450`";
        fields.mistakes.push(mistake.to_owned());
    }
    (whole, first)
}

/// How the call ended: `status` if given, else what `success` and `error_message` say, else ok.
fn outcome(fields: &mut Fields<'_>) -> (Status, Option<Failure>) {
    let success = fields.flag("success");
    let told = fields.text("error_message", "a text", "rate_limited 429").filter(|text| !text.trim().is_empty());
    let failure = told.map(|text| Failure::from_foreign(&text));
    let given = fields.one_of("status", &Status::ALL, Status::as_str);
    let status = given.unwrap_or(match (success, failure) {
        (Some(true), _) | (None, None) => Status::Ok,
        (_, failure) => failure.map_or(Status::Error, |failure| status_of(failure.kind)),
    });
    if given.is_some() && success.is_some_and(|success| success != status.is_ok()) {
        let mistake =
            "`success` and `status` contradict each other; expected `true` with `ok` or `cached`, else `false`";
        fields.mistakes.push(mistake.to_owned());
    }
    if status.is_ok() && failure.is_some() && fields.unknown == Unknown::Mistake {
        let mistake = "`error_message` says that the call failed, and `status` or `success` that it did not; expected \
                       one of the two";
        fields.mistakes.push(mistake.to_owned());
    }
    let failure = if status.is_ok() { None } else { Some(failure.unwrap_or(Failure::of(ErrorKind::Other))) };
    (status, failure)
}

/// The status of a call that failed for a reason of this class.
pub(super) fn status_of(kind: ErrorKind) -> Status {
    use ErrorKind as Kind;
    match kind {
        Kind::ConnectTimeout | Kind::FirstByteTimeout | Kind::IdleTimeout | Kind::TotalTimeout => Status::Timeout,
        Kind::CancelledByUser | Kind::ClientGone | Kind::Shutdown => Status::Cancelled,
        Kind::Limit | Kind::Budget | Kind::Busy | Kind::NotAllowed => Status::Refused,
        Kind::Crash => Status::Interrupted,
        _ => Status::Error,
    }
}

/// The caller's id. Two ids that differ must stay different, so none is cut.
fn given(fields: &mut Fields<'_>) -> Option<Given<'static>> {
    let source = fields.exact("source", MAX_NAME_BYTES, "billing-export");
    match (source, fields.exact("id", MAX_NAME_BYTES, "req-20260205-0001")) {
        (source, Some(id)) => {
            let name = source.map_or(Name::from(DEFAULT_SOURCE), Name::from);
            Some(Given { name, id: Name::from(id) })
        }
        (Some(_), None) if fields.mistakes.is_empty() && fields.unknown == Unknown::Mistake => {
            fields.mistakes.push("`source` is there without `id`; expected both, or only `id`".to_owned());
            None
        }
        (_, None) => None,
    }
}
