//! Token counts of one call, and how they are known.

use serde::{Deserialize, Serialize};

/// What one call used, in tokens. Slices are inside their totals, never beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// All input: fresh, read from a cache and written to one.
    pub prompt: u64,
    /// All output, reasoning included.
    pub completion: u64,
    /// The slice of `prompt` that was read from the provider's cache.
    pub cached: u64,
    /// The slice of `prompt` that was written to the provider's short-lived cache (5 to 30 minutes).
    pub cache_write: u64,
    /// The slice of `prompt` that was written to the provider's long-lived cache (an hour or more).
    pub cache_write_1h: u64,
    /// The slice of `completion` that was reasoning.
    pub reasoning: u64,
}

impl TokenCounts {
    /// Input and output together; saturates at the end of `u64`.
    pub fn total(&self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }

    /// The input that was neither read from nor written to a cache.
    pub fn fresh(&self) -> u64 {
        self.prompt.saturating_sub(self.cached).saturating_sub(self.cache_write).saturating_sub(self.cache_write_1h)
    }

    /// Whether each slice fits into its total.
    pub fn is_consistent(&self) -> bool {
        let slices = u128::from(self.cached) + u128::from(self.cache_write) + u128::from(self.cache_write_1h);
        slices <= u128::from(self.prompt) && self.reasoning <= self.completion
    }

    /// The same counts with every slice cut to its total, for sources that report more slices than tokens.
    pub fn made_consistent(mut self) -> TokenCounts {
        self.cached = self.cached.min(self.prompt);
        self.cache_write = self.cache_write.min(self.prompt - self.cached);
        self.cache_write_1h = self.cache_write_1h.min(self.prompt - self.cached - self.cache_write);
        self.reasoning = self.reasoning.min(self.completion);
        self
    }
}

/// How the token counts of a record are known. "Not reported" is never a zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// All counts come from the provider.
    #[default]
    Reported,
    /// Some counts come from the provider, the rest is estimated.
    Partial,
    /// All counts are estimates of ours.
    Estimated,
    /// There are no counts at all: nothing was used, or nothing is known.
    None,
}

impl UsageSource {
    /// Every value, in the order of its trustworthiness.
    pub const ALL: [UsageSource; 4] =
        [UsageSource::Reported, UsageSource::Partial, UsageSource::Estimated, UsageSource::None];

    /// Whether some of the counts are estimates.
    pub fn has_estimates(self) -> bool {
        matches!(self, UsageSource::Partial | UsageSource::Estimated)
    }

    /// The name in records and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            UsageSource::Reported => "reported",
            UsageSource::Partial => "partial",
            UsageSource::Estimated => "estimated",
            UsageSource::None => "none",
        }
    }
}
