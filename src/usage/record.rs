//! The usage record: one finished attempt to call a model. Written once, never changed.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::names::{CHAT_CHANNELS, Name};
use super::{Failure, KeySuffix, Money, RecordId, SubjectId, Timestamp, TokenCounts, UsageSource};

/// One attempt to call a model: what it used, how it ended, whose it was, what it cost.
///
/// Borrows its text from the line it was read from; records made here are `UsageRecord<'static>`.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageRecord<'a> {
    /// Usage, or the correction of an earlier record.
    pub kind: Kind,
    /// Ours, made before the call.
    pub id: RecordId,
    /// When the call was admitted, in the owner's zone: the first ten characters are the billing day.
    pub timestamp: Timestamp,
    /// The API spoken: `ollama`, `openai`, `gemini`, … (a token log's field).
    pub api_type: Name<'a>,
    /// The model that served the call, or the one asked for where the provider did not say.
    pub model: Name<'a>,
    /// Last characters of the upstream key.
    pub api_key_suffix: Option<KeySuffix>,
    /// What was used.
    pub tokens: TokenCounts,
    /// How `tokens` is known.
    pub usage_source: UsageSource,
    /// Why it failed or was refused, as a class and an HTTP status; never anybody's text.
    pub failure: Option<Failure>,
    /// The caller's own data: a JSON object, bounded.
    pub metadata: Metadata<'a>,
    /// The configured provider's name.
    pub provider: Name<'a>,
    /// How it ended.
    pub status: Status,
    /// What it was for: see [`names::REQUEST_TYPES`](super::names::REQUEST_TYPES).
    pub request_type: Name<'a>,
    /// Where it came from: see [`names::CHANNELS`](super::names::CHANNELS).
    pub channel: Name<'a>,
    /// Whose it was.
    pub user: Option<SubjectId>,
    /// The conversation it belongs to.
    pub session: Option<SubjectId>,
    /// From admission to the end of the answer, in milliseconds; `None` when the source does not say.
    pub latency_ms: Option<u64>,
    /// The exact cost; `None` when the price is unknown. Unknown is never free.
    pub cost: Option<Money>,
    /// Which price row gave `cost`: `local`, `given`, or a row of the price book.
    pub price_id: Option<Name<'a>>,
    /// Whether the model ran on the owner's machine.
    pub local: bool,
    /// The first attempt's id, when this is a retry.
    pub call: Option<RecordId>,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The gateway key's name.
    pub key: Option<Name<'a>>,
    /// The tier the provider says it served: `default`, `flex`, `priority`, …
    pub service_tier: Option<Name<'a>>,
    /// The owner's dimension: which feature asked.
    pub feature: Option<Name<'a>>,
    /// The owner's dimension: which agent asked.
    pub agent: Option<Name<'a>>,
    /// The owner's dimension: which operation of the agent.
    pub operation: Option<Name<'a>>,
    /// The owner's dimension: whose budget.
    pub team: Option<Name<'a>>,
    /// The model asked for, when another name served.
    pub requested_model: Option<Name<'a>>,
    /// From the call to the first piece of the answer, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// Tokens of output asked for and granted, when there was a cap.
    pub output_cap: Option<OutputCap>,
    /// Whether economy mode was on.
    pub economy: bool,
    /// The slice of the prompt that was system text, estimated.
    pub system_tokens: Option<u64>,
    /// What we had estimated where the provider reported, before calibration.
    pub estimated: Option<Estimated>,
    /// A keyed fingerprint of the prompt, to find repeats.
    pub prompt_print: Option<Name<'a>>,
    /// The id somebody else gave it: unique per source for 35 days.
    pub source: Option<Given<'a>>,
    /// Dimensions whose name had no room that day and counts as `other`.
    pub other: Vec<Dimension>,
    /// How many equal events this record stands for (refusals of one second); 1 otherwise.
    pub count: u64,
}

impl<'a> UsageRecord<'a> {
    /// A successful, reported chat call with no tokens yet: set what differs.
    pub fn new(id: RecordId, timestamp: Timestamp, provider: Name<'a>, model: Name<'a>) -> UsageRecord<'a> {
        UsageRecord {
            kind: Kind::Usage,
            id,
            timestamp,
            api_type: provider.clone(),
            model,
            api_key_suffix: None,
            tokens: TokenCounts::default(),
            usage_source: UsageSource::Reported,
            failure: None,
            metadata: Metadata::default(),
            provider,
            status: Status::Ok,
            request_type: Name::from("chat"),
            channel: Name::from("api"),
            user: None,
            session: None,
            latency_ms: None,
            cost: None,
            price_id: None,
            local: false,
            call: None,
            attempt: 1,
            key: None,
            service_tier: None,
            feature: None,
            agent: None,
            operation: None,
            team: None,
            requested_model: None,
            first_token_ms: None,
            output_cap: None,
            economy: false,
            system_tokens: None,
            estimated: None,
            prompt_print: None,
            source: None,
            other: Vec::new(),
            count: 1,
        }
    }

    /// Whether this is a person's message that led to a call: a first attempt in a chat that was not refused.
    pub fn is_message(&self) -> bool {
        self.attempt == 1
            && self.session.is_some()
            && self.status != Status::Refused
            && self.request_type != "internal"
            && CHAT_CHANNELS.contains(&self.channel.as_str())
    }

    /// Whether it cost something that nobody knows: it used tokens that have no price, or it was answered (or may have
    /// been) and nothing says what it used.
    pub fn is_unpriced(&self) -> bool {
        self.cost.is_none() && (self.tokens.total() > 0 || self.status.may_be_billed())
    }

    /// The same record, independent of the line it was read from.
    pub fn into_owned(self) -> UsageRecord<'static> {
        let own = |name: Option<Name<'_>>| name.map(Name::into_owned);
        UsageRecord {
            kind: self.kind,
            id: self.id,
            timestamp: self.timestamp,
            api_type: self.api_type.into_owned(),
            model: self.model.into_owned(),
            api_key_suffix: self.api_key_suffix,
            tokens: self.tokens,
            usage_source: self.usage_source,
            failure: self.failure,
            metadata: self.metadata.into_owned(),
            provider: self.provider.into_owned(),
            status: self.status,
            request_type: self.request_type.into_owned(),
            channel: self.channel.into_owned(),
            user: self.user,
            session: self.session,
            latency_ms: self.latency_ms,
            cost: self.cost,
            price_id: own(self.price_id),
            local: self.local,
            call: self.call,
            attempt: self.attempt,
            key: own(self.key),
            service_tier: own(self.service_tier),
            feature: own(self.feature),
            agent: own(self.agent),
            operation: own(self.operation),
            team: own(self.team),
            requested_model: own(self.requested_model),
            first_token_ms: self.first_token_ms,
            output_cap: self.output_cap,
            economy: self.economy,
            system_tokens: self.system_tokens,
            estimated: self.estimated,
            prompt_print: own(self.prompt_print),
            source: self.source.map(Given::into_owned),
            other: self.other,
            count: self.count,
        }
    }
}

/// Usage, or the correction of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call.
    Usage,
    /// Takes back the named record: carries its dimensions and counts, and is folded with sign −1.
    Void {
        /// The record taken back.
        of: RecordId,
    },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Answered by the model.
    Ok,
    /// Answered from the response cache.
    Cached,
    /// The provider or the way to it failed.
    Error,
    /// It took too long.
    Timeout,
    /// A person or a client gave up.
    Cancelled,
    /// Not sent: a limit, a budget or a rule said no.
    Refused,
    /// Found open after a crash.
    Interrupted,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 7] = [
        Status::Ok,
        Status::Cached,
        Status::Error,
        Status::Timeout,
        Status::Cancelled,
        Status::Refused,
        Status::Interrupted,
    ];

    /// The name in records and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Cached => "cached",
            Status::Error => "error",
            Status::Timeout => "timeout",
            Status::Cancelled => "cancelled",
            Status::Refused => "refused",
            Status::Interrupted => "interrupted",
        }
    }

    /// Counts as ok.
    pub fn is_ok(self) -> bool {
        matches!(self, Status::Ok | Status::Cached)
    }

    /// It was answered, or may have been: a provider may bill it though nothing says what it used.
    pub fn may_be_billed(self) -> bool {
        matches!(self, Status::Ok | Status::Interrupted)
    }

    /// Counts as failed. Cancelled and refused are neither ok nor failed.
    pub fn is_failed(self) -> bool {
        matches!(self, Status::Error | Status::Timeout | Status::Interrupted)
    }
}

/// Declares a closed set of names once: the enum, its list, its texts.
macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The name in records and labels.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The value of a name.
            pub fn parse(text: &str) -> Option<$name> {
                match text { $($text => Some($name::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

closed_set! {
    /// Why a call failed, was cancelled or refused. A closed set: nobody's text ever gets into a record.
    ErrorKind {
        /// The provider asks to slow down.
        RateLimited = "rate_limited",
        /// The provider's quota or credit is used up; waiting a little does not help.
        QuotaExhausted = "quota_exhausted",
        /// The key is missing or wrong.
        Unauthorized = "unauthorized",
        /// The key may not do this.
        Forbidden = "forbidden",
        /// No such model or path.
        NotFound = "not_found",
        /// The provider did not accept the request.
        BadRequest = "bad_request",
        /// The prompt does not fit into the model's context.
        ContextTooLong = "context_too_long",
        /// The service has been retired.
        Gone = "gone",
        /// The provider is too busy.
        Overloaded = "overloaded",
        /// The provider broke.
        ServerError = "server_error",
        /// No connection could be made.
        Connect = "connect",
        /// No connection in time.
        ConnectTimeout = "connect_timeout",
        /// No first byte in time.
        FirstByteTimeout = "first_byte_timeout",
        /// Too long a silence within an answer.
        IdleTimeout = "idle_timeout",
        /// The whole call took too long.
        TotalTimeout = "total_timeout",
        /// The answer ended before its end.
        StreamCut = "stream_cut",
        /// The provider reported an error within the answer.
        StreamError = "stream_error",
        /// What came is not what this API sends.
        BadResponse = "bad_response",
        /// A person cancelled.
        CancelledByUser = "cancelled_by_user",
        /// The program that asked went away.
        ClientGone = "client_gone",
        /// tallybot was told to stop.
        Shutdown = "shutdown",
        /// A rate limit said no: the owner's, or the provider's as far as it is known.
        Limit = "limit",
        /// A budget said no.
        Budget = "budget",
        /// Too many calls at once.
        Busy = "busy",
        /// The person or key may not do this.
        NotAllowed = "not_allowed",
        /// The books cannot be written, and nothing is called that cannot be recorded.
        LedgerUnavailable = "ledger_unavailable",
        /// Something of ours panicked.
        Panic = "panic",
        /// Found open after a crash.
        Crash = "crash",
        /// Given by a caller in words we do not keep.
        Other = "other",
    }
}

closed_set! {
    /// The dimensions of a record whose number of names is capped.
    Dimension {
        /// `provider`
        Provider = "provider",
        /// `model`
        Model = "model",
        /// `request_type`
        RequestType = "request_type",
        /// `feature`
        Feature = "feature",
        /// `agent`
        Agent = "agent",
        /// `operation`
        Operation = "operation",
        /// `team`
        Team = "team",
        /// `channel`
        Channel = "channel",
        /// `key`
        Key = "key",
        /// `price_id`
        Price = "price_id",
    }
}

impl Serialize for Dimension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Dimension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::text::parsed(deserializer, "a dimension such as `model`", Dimension::parse)
    }
}

/// Output tokens asked for and granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputCap {
    /// What the caller asked for; `None` when it set no cap.
    pub asked: Option<u64>,
    /// What was sent upstream.
    pub granted: Option<u64>,
}

/// Our own estimate of a call, in tokens, as [`estimate_tokens`](super::estimate_tokens) gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimated {
    /// Input.
    pub prompt: u64,
    /// Output that we saw.
    pub output: u64,
}

/// An id given by somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Given<'a> {
    /// Whose numbering it is.
    #[serde(borrow)]
    pub name: Name<'a>,
    /// The id within it.
    #[serde(borrow)]
    pub id: Name<'a>,
}

impl Given<'_> {
    /// The same, independent of what it was read from.
    pub fn into_owned(self) -> Given<'static> {
        Given { name: self.name.into_owned(), id: self.id.into_owned() }
    }
}

/// The largest metadata object that is kept, in bytes of JSON.
pub const MAX_METADATA_BYTES: usize = 4096;

/// The caller's own data: the text of a JSON object of at most [`MAX_METADATA_BYTES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata<'a>(Cow<'a, str>);

impl<'a> Metadata<'a> {
    /// Metadata from a JSON object; `None` when it is larger than [`MAX_METADATA_BYTES`].
    pub fn from_object(object: &serde_json::Map<String, serde_json::Value>) -> Option<Metadata<'static>> {
        let text = serde_json::to_string(object).expect("a JSON object can be written");
        (text.len() <= MAX_METADATA_BYTES).then_some(Metadata(Cow::Owned(text)))
    }

    /// Metadata of one short text.
    pub fn of_text(key: &'static str, text: &str) -> Metadata<'static> {
        let text = serde_json::to_string(text).expect("a text can be written as JSON");
        Metadata(Cow::Owned(["{\"", key, "\":", &text, "}"].concat()))
    }

    /// The JSON text.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    pub(super) fn from_raw(raw: &'a serde_json::value::RawValue) -> Option<Metadata<'a>> {
        raw.get().starts_with('{').then(|| Metadata(Cow::Borrowed(raw.get())))
    }

    fn into_owned(self) -> Metadata<'static> {
        Metadata(Cow::Owned(self.0.into_owned()))
    }
}

impl Default for Metadata<'_> {
    fn default() -> Self {
        Metadata(Cow::Borrowed("{}"))
    }
}
