//! What goes in at the door and what comes out of it.

use smol_str::SmolStr;

use crate::ledger::OpenCall;
use crate::limits::{Estimate, Refusal, Subject};
use crate::models::endpoint::{Asked, Endpoint};
use crate::usage::names::{FREE_PRICE, Name, VISION};
use crate::usage::{
    ErrorKind, Factors, Failure, KeySuffix, Metadata, Money, OutputCap, RecordId, Status, SubjectId, Timestamp,
    TokenCounts, UsageRecord, UsageSource,
};

use super::DEFAULT_OUTPUT_RESERVE;

/// A call that is about to be made: whose it is, to whom it goes, what it may use.
#[derive(Clone, Debug)]
pub struct Call {
    /// The configured provider.
    pub provider: Name<'static>,
    /// The API spoken.
    pub api_type: Name<'static>,
    /// The model asked for.
    pub model: Name<'static>,
    /// The tier it is asked to be served in.
    pub service_tier: Option<Name<'static>>,
    /// Whether it runs on the owner's machine.
    pub local: bool,
    /// The last characters of the upstream key.
    pub api_key_suffix: Option<KeySuffix>,
    /// What it is for.
    pub request_type: Name<'static>,
    /// Where it comes from.
    pub channel: Name<'static>,
    /// Whose it is.
    pub user: Option<SubjectId>,
    /// The conversation.
    pub session: Option<SubjectId>,
    /// The owner's dimensions and the gateway key.
    pub feature: Option<Name<'static>>,
    /// The owner's dimension.
    pub agent: Option<Name<'static>>,
    /// The owner's dimension.
    pub operation: Option<Name<'static>>,
    /// The owner's dimension.
    pub team: Option<Name<'static>>,
    /// The gateway key's name.
    pub key: Option<Name<'static>>,
    /// The first attempt's id, when this is a retry.
    pub call: Option<RecordId>,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Estimated input tokens; behind the door, calibrated.
    pub prompt_tokens: u64,
    /// The slice of them that is system text.
    pub system_tokens: Option<u64>,
    /// The cap on output tokens that is sent along.
    pub output_cap: Option<OutputCap>,
    /// The output tokens that are reserved where there is no cap; `None` for the usual.
    pub output_reserve: Option<u64>,
    /// Whether nobody takes money for it, whatever the price of its model.
    pub free: bool,
    /// Whether the cap stands in a request that is sent as it is: then it is not lowered to fit into a limit.
    pub fixed_cap: bool,
}

impl Call {
    /// A first attempt at a chat call: set what differs.
    pub fn new(provider: &str, api_type: &str, model: &str, channel: &str) -> Call {
        Call {
            provider: Name::clean(provider),
            api_type: Name::clean(api_type),
            model: Name::clean(model),
            service_tier: None,
            local: false,
            api_key_suffix: None,
            request_type: "chat".into(),
            channel: Name::clean(channel),
            user: None,
            session: None,
            feature: None,
            agent: None,
            operation: None,
            team: None,
            key: None,
            call: None,
            attempt: 1,
            prompt_tokens: 0,
            system_tokens: None,
            output_cap: None,
            output_reserve: None,
            free: false,
            fixed_cap: false,
        }
    }

    /// The call that a request of a metered API asks for, sent as it is.
    #[must_use]
    pub fn asking(mut self, endpoint: Endpoint, asked: &Asked) -> Call {
        if let Some(model) = &asked.model {
            self.model = Name::clean(model);
        }
        self.service_tier = asked.service_tier.as_deref().map(Name::clean);
        self.operation = Some(endpoint.operation().into());
        self.request_type = match endpoint {
            _ if asked.has_pictures => VISION.into(),
            endpoint if endpoint.generates() => "chat".into(),
            _ => "other".into(),
        };
        self.prompt_tokens = asked.prompt_tokens;
        self.system_tokens = asked.system_tokens;
        self.output_cap = asked.output_cap.map(|cap| OutputCap { asked: Some(cap), granted: Some(cap) });
        self.output_reserve = Some(match endpoint.generates() {
            true => DEFAULT_OUTPUT_RESERVE.saturating_mul(asked.answers.max(1)),
            false => 0,
        });
        self.fixed_cap = true;
        self
    }

    /// Who and what the limits look at. `user` is the text of the call's user.
    pub(super) fn subject<'a>(&'a self, user: &'a Option<SmolStr>) -> Subject<'a> {
        Subject {
            provider: &self.provider,
            model: &self.model,
            channel: &self.channel,
            user: user.as_deref(),
            team: self.team.as_deref(),
            feature: self.feature.as_deref(),
            key: self.key.as_deref(),
        }
    }

    /// Calibrates what was estimated of it. Of a prompt with pictures too little is known.
    pub(super) fn calibrate(&mut self, factors: Factors) {
        let factors = if self.request_type == VISION { factors.without_prompt() } else { factors };
        self.prompt_tokens = factors.prompt(self.prompt_tokens);
        self.system_tokens = self.system_tokens.map(|tokens| factors.prompt(tokens));
    }

    /// The tokens that are reserved for it.
    pub(super) fn estimate(&self) -> Estimate {
        let granted = self.output_cap.and_then(|cap| cap.granted);
        let output = granted.or(self.output_reserve).unwrap_or(DEFAULT_OUTPUT_RESERVE);
        Estimate { prompt: self.prompt_tokens, output, pico_usd: 0 }
    }

    /// What its slot holds while it is open.
    pub(super) fn open(&self, id: RecordId, admitted: Timestamp) -> OpenCall {
        OpenCall {
            id,
            admitted,
            attempt: self.attempt,
            call: self.call,
            local: self.local,
            free: self.free,
            prompt_tokens: self.prompt_tokens,
            output_tokens: 0,
            user: self.user,
            session: self.session,
            provider: self.provider.clone(),
            api_type: self.api_type.clone(),
            model: self.model.clone(),
            request_type: self.request_type.clone(),
            channel: self.channel.clone(),
            feature: self.feature.clone(),
            agent: self.agent.clone(),
            operation: self.operation.clone(),
            team: self.team.clone(),
            key: self.key.clone(),
            api_key_suffix: self.api_key_suffix.clone(),
        }
    }

    /// The record of it, as far as it is known beforehand.
    pub(super) fn record(&self, id: RecordId, admitted: Timestamp) -> UsageRecord<'static> {
        let mut record = UsageRecord::new(id, admitted, self.provider.clone(), self.model.clone());
        record.api_type = self.api_type.clone();
        record.local = self.local;
        record.api_key_suffix = self.api_key_suffix.clone();
        record.request_type = self.request_type.clone();
        record.channel = self.channel.clone();
        (record.user, record.session) = (self.user, self.session);
        record.feature = self.feature.clone();
        record.agent = self.agent.clone();
        record.operation = self.operation.clone();
        record.team = self.team.clone();
        record.key = self.key.clone();
        (record.call, record.attempt) = (self.call, self.attempt);
        record.system_tokens = self.system_tokens;
        record.output_cap = self.output_cap;
        if self.free {
            cost_nothing(&mut record);
        }
        record
    }
}

/// Says of a record that nobody takes money for it.
pub(super) fn cost_nothing(record: &mut UsageRecord<'_>) {
    (record.cost, record.price_id) = (Some(Money::ZERO), Some(FREE_PRICE.into()));
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How.
    pub status: Status,
    /// Why, when it did not end well.
    pub failure: Option<Failure>,
    /// What was used.
    pub tokens: TokenCounts,
    /// How that is known.
    pub usage_source: UsageSource,
    /// The model the provider says it used.
    pub served_model: Option<Name<'static>>,
    /// Whether that model ran on the owner's machine after all, when the answer told.
    pub local: Option<bool>,
    /// The tier the provider says it served.
    pub service_tier: Option<Name<'static>>,
    /// From admission to the first piece of the answer.
    pub first_token_ms: Option<u64>,
    /// The provider's id of the request and the like.
    pub metadata: Metadata<'static>,
}

impl Outcome {
    /// An outcome that used nothing, as far as anybody knows.
    pub fn failed(status: Status, failure: Failure) -> Outcome {
        Outcome {
            status,
            failure: Some(failure),
            tokens: TokenCounts::default(),
            usage_source: UsageSource::None,
            served_model: None,
            local: None,
            service_tier: None,
            first_token_ms: None,
            metadata: Metadata::default(),
        }
    }
}

/// What a finished call amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// Its record.
    pub id: RecordId,
    /// How it ended.
    pub status: Status,
    /// What it used.
    pub tokens: TokenCounts,
    /// How that is known.
    pub usage_source: UsageSource,
    /// What it cost; `None` when the price is unknown.
    pub cost: Option<Money>,
    /// Whether it ran on the owner's machine.
    pub local: bool,
    /// How long it took.
    pub latency_ms: u64,
    /// Whether the record is known to be as durable as configured.
    pub acknowledged: bool,
}

/// Why a call was not admitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// A limit said no, and when it will say yes.
    #[error("{0}")]
    Limit(Box<Refusal>),
    /// Too many calls at once.
    #[error("too many calls at once; try again in a moment")]
    Busy,
    /// The books cannot be written, and nothing is called that cannot be recorded.
    #[error("the ledger cannot be written ({0}), so no call is made; free some space or check the disk")]
    Ledger(String),
    /// Whoever asked went away while the call waited in line, for this reason.
    #[error("whoever asked went away while the call waited in line: {0}")]
    Left(ErrorKind),
}
