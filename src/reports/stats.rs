//! The report behind `/stats`: also, field for field, the body of `GET /stats`.
//!
//! The names and their order are a promise to programs; new fields go to the end of their object.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::EpochInfo;
pub use super::limit_use::LimitUse;
use crate::stats::Period;
use crate::usage::{Money, Timestamp};

/// Everything `/stats` knows about one period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatsReport {
    /// The bot's configured name.
    pub bot: String,
    /// tallybot's version.
    pub version: String,
    /// Whether it works.
    pub status: ServiceStatus,
    /// Since the process started; `None` when none runs.
    pub uptime_seconds: Option<u64>,
    /// When the process started; `None` when none runs.
    pub started_at: Option<Timestamp>,
    /// The last reset, or the first record; `None` when there is neither.
    pub counting_since: Option<Timestamp>,
    /// What the numbers cover.
    pub period: Period,
    /// Records, by how they ended and what they were for.
    pub requests: Requests,
    /// What they used.
    pub tokens: Tokens,
    /// How long answers took, in milliseconds.
    pub latency_ms: Latency,
    /// The failed ones, by cause.
    pub errors: Errors,
    /// What they cost.
    pub cost: Cost,
    /// Every limit in its own window.
    #[serde(default)]
    pub limits: Vec<LimitUse>,
    /// One row per model; rows sum to the totals.
    #[serde(default)]
    pub models: Vec<ModelUse>,
    /// Chats.
    pub conversations: Conversations,
    /// The newest record of the period.
    pub last_request_at: Option<Timestamp>,
    /// When this picture was taken: what "in 7 h" and "today" refer to.
    pub generated_at: Timestamp,
    /// The owner's zone by its IANA name; times carry its offset.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Who answers, in the order of the configuration.
    #[serde(default)]
    pub providers: Vec<ProviderInfo>,
    /// Whether the built-in demo model answers where nobody asks for another.
    #[serde(default)]
    pub demo: bool,
    /// Which epoch the numbers are of.
    #[serde(default)]
    pub epoch: EpochInfo,
    /// What of the requests and tokens are opening balances: totals taken over from elsewhere.
    #[serde(default)]
    pub imported: Imported,
}

/// What of some numbers are opening balances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// Requests.
    pub requests: u64,
    /// Tokens.
    pub tokens: u64,
}

/// Whether the service works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceStatus {
    /// It runs and can write its books.
    Ok,
    /// It runs, and something it needs does not.
    Degraded,
    /// No process runs; the numbers come from the files.
    #[default]
    Stopped,
}

/// Counts of records. `total` is the sum of `by_status` and of `by_type`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Requests {
    /// All records.
    pub total: u64,
    /// Answered.
    pub ok: u64,
    /// Failed, timed out, or interrupted by a crash.
    pub failed: u64,
    /// Given up by a person or a client: neither ok nor failed.
    pub cancelled: u64,
    /// Not sent, because a limit said no: neither ok nor failed.
    pub refused: u64,
    /// ok / (ok + failed), from 0 to 1; `None` when there was neither.
    pub success_rate: Option<f64>,
    /// By what they were for.
    pub by_type: BTreeMap<String, u64>,
    /// By how they ended.
    pub by_status: BTreeMap<String, u64>,
}

/// Sums of tokens. `total` = `prompt` + `completion` = `local` + `cloud`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// All input.
    pub prompt: u64,
    /// All output.
    pub completion: u64,
    /// The slice of `prompt` read from providers' caches.
    pub cached: u64,
    /// The slice of `completion` that was reasoning.
    pub reasoning: u64,
    /// Tokens of records whose counts are, all or in part, our estimate.
    pub estimated: u64,
    /// Tokens of models on the owner's machine.
    pub local: u64,
    /// Tokens of all other models.
    pub cloud: u64,
    /// All tokens.
    pub total: u64,
    /// The input within `local`.
    #[serde(default)]
    pub local_prompt: u64,
    /// The output within `local`.
    #[serde(default)]
    pub local_completion: u64,
    /// The input within `cloud`.
    #[serde(default)]
    pub cloud_prompt: u64,
    /// The output within `cloud`.
    #[serde(default)]
    pub cloud_completion: u64,
    /// The tokens within `local` that are counted in `estimated`.
    #[serde(default)]
    pub local_estimated: u64,
    /// The tokens within `cloud` that are counted in `estimated`.
    #[serde(default)]
    pub cloud_estimated: u64,
}

/// Input, output and estimated tokens of one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceTokens {
    /// All input.
    pub prompt: u64,
    /// All output.
    pub completion: u64,
    /// How many of them are estimates.
    pub estimated: u64,
}

impl Tokens {
    /// The sums over both places, so that rows and totals cannot disagree; `cached` and `reasoning` are left at zero.
    pub fn of_places(local: PlaceTokens, cloud: PlaceTokens) -> Tokens {
        let local_total = local.prompt.saturating_add(local.completion);
        let cloud_total = cloud.prompt.saturating_add(cloud.completion);
        Tokens {
            prompt: local.prompt.saturating_add(cloud.prompt),
            completion: local.completion.saturating_add(cloud.completion),
            cached: 0,
            reasoning: 0,
            estimated: local.estimated.saturating_add(cloud.estimated),
            local: local_total,
            cloud: cloud_total,
            total: local_total.saturating_add(cloud_total),
            local_prompt: local.prompt,
            local_completion: local.completion,
            cloud_prompt: cloud.prompt,
            cloud_completion: cloud.completion,
            local_estimated: local.estimated,
            cloud_estimated: cloud.estimated,
        }
    }
}

/// How long answers took; `None` without any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Latency {
    /// On average.
    pub mean: Option<u64>,
    /// Half took no longer.
    pub p50: Option<u64>,
    /// 95 of 100 took no longer.
    pub p95: Option<u64>,
    /// 99 of 100 took no longer.
    pub p99: Option<u64>,
}

/// Failures by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Errors {
    /// All of them.
    pub total: u64,
    /// By [`usage::ErrorKind`](crate::usage::ErrorKind), as text.
    pub by_kind: BTreeMap<String, u64>,
}

/// What the priced requests cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cost {
    /// The exact sum.
    pub usd: Money,
    /// Requests that cost something unknown, which is not in `usd`.
    pub unpriced_requests: u64,
}

/// A limit as a provider's answer described it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObservedLimit {
    /// The most it allows.
    pub limit: Option<u64>,
    /// What is left.
    pub remaining: Option<u64>,
    /// When that was said.
    pub at: Option<Timestamp>,
}

/// One model of one provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelUse {
    /// The configured provider's name.
    pub provider: String,
    /// The API spoken.
    pub api_type: String,
    /// The model.
    pub model: String,
    /// Whether it runs on the owner's machine.
    pub local: bool,
    /// All records.
    pub requests: u64,
    /// Answered.
    pub ok: u64,
    /// Failed.
    pub failed: u64,
    /// ok / (ok + failed), from 0 to 1; `None` when there was neither.
    pub success_rate: Option<f64>,
    /// All input.
    pub prompt_tokens: u64,
    /// All output.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// The tokens of requests whose counts were not all reported.
    #[serde(default)]
    pub estimated_tokens: u64,
    /// The exact cost of the priced requests; `None` when no request had a known price.
    pub cost_usd: Option<Money>,
    /// Requests whose cost is not known, for want of a price or of counts.
    #[serde(default)]
    pub unpriced_requests: u64,
    /// What of it are opening balances.
    #[serde(default)]
    pub imported: Imported,
}

/// Chats of the period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Conversations {
    /// With a message in the last 30 minutes.
    pub active: u64,
    /// Messages of people that led to a call.
    pub messages: u64,
    /// Different people.
    pub users: u64,
}

/// A configured provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderInfo {
    /// Its configured name.
    pub name: String,
    /// `ollama`, `openai`, `anthropic`, `gemini`, `demo`.
    pub kind: String,
    /// The owner's word for the plan, such as `free`.
    pub plan: Option<String>,
    /// Whether it runs on the owner's machine; `None` when that depends on the model.
    #[serde(default)]
    pub local: Option<bool>,
    /// Whether it is the built-in demo model.
    #[serde(default)]
    pub demo: bool,
}

/// ok / (ok + failed), from 0 to 1 in millionths; `None` when there was neither.
///
/// Is 1 only when nothing failed, and 0 only when nothing was ok.
pub fn success_rate(ok: u64, failed: u64) -> Option<f64> {
    let decided = u128::from(ok) + u128::from(failed);
    let millionths = match (ok, failed) {
        (0, 0) => return None,
        (_, 0) => 1_000_000,
        (0, _) => 0,
        _ => ((u128::from(ok) * 1_000_000 + decided / 2) / decided).clamp(1, 999_999),
    };
    Some(millionths as f64 / 1e6)
}

impl StatsReport {
    /// A report without a single request: set what differs.
    pub fn empty(bot: &str, version: &str, period: Period, generated_at: Timestamp) -> StatsReport {
        StatsReport {
            bot: bot.to_owned(),
            version: version.to_owned(),
            status: ServiceStatus::Stopped,
            uptime_seconds: None,
            started_at: None,
            counting_since: None,
            period,
            requests: Requests::default(),
            tokens: Tokens::default(),
            latency_ms: Latency::default(),
            errors: Errors::default(),
            cost: Cost::default(),
            limits: Vec::new(),
            models: Vec::new(),
            conversations: Conversations::default(),
            last_request_at: None,
            generated_at,
            timezone: None,
            providers: Vec::new(),
            demo: false,
            epoch: EpochInfo::default(),
            imported: Imported::default(),
        }
    }
}
