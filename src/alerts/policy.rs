//! From where on something is worth telling.

use crate::limits::Thresholds;
use crate::usage::Money;

/// From where on something is worth telling. The defaults hold where the owner says nothing; a percentage, a time or a
/// factor of 0 is never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Of windows.
    pub thresholds: Thresholds,
    /// Whether the end of what was told is told too.
    pub recovered: bool,
    /// More than so many percent of the calls fail,
    pub error_rate_percent: u64,
    /// in the last so many minutes, 60 at most,
    pub error_rate_minutes: u64,
    /// of at least so many.
    pub error_rate_min_calls: u64,
    /// A provider has not answered for so many seconds.
    pub provider_down_secs: u64,
    /// An hour costs more than so many times the usual,
    pub cost_spike_factor: u64,
    /// and more than this.
    pub cost_spike_min: Money,
    /// A prompt has more than so many tokens.
    pub large_prompt_tokens: u64,
    /// Whether large prompts are told in chats and by deliveries; they are in the log in any case.
    pub large_prompts_to_chat: bool,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            thresholds: Thresholds::default(),
            recovered: true,
            error_rate_percent: 5,
            error_rate_minutes: 10,
            error_rate_min_calls: 20,
            provider_down_secs: 120,
            cost_spike_factor: 3,
            cost_spike_min: Money::from_pico_usd(1_000_000_000_000),
            large_prompt_tokens: 2_000,
            large_prompts_to_chat: false,
        }
    }
}
