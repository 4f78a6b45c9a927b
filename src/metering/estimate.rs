//! What is held back of every limit for a call, before it is made and while it grows.

use crate::limits::Estimate;
use crate::usage::Timestamp;

use super::{Call, Metering};

impl Metering {
    /// What a call would use and cost at most.
    pub(super) fn estimate(&self, call: &Call, at: Timestamp) -> Estimate {
        let tokens = call.estimate();
        Estimate { pico_usd: self.pico_usd_at_most(call, tokens.output, at), ..tokens }
    }

    /// What it would use and cost more with so many more tokens of output than were reserved.
    pub(super) fn estimate_more(&self, call: &Call, reserved: u64, more: u64, at: Timestamp) -> Estimate {
        let at_most = |output: u64| self.pico_usd_at_most(call, output, at);
        let pico_usd = at_most(reserved.saturating_add(more)).saturating_sub(at_most(reserved));
        Estimate { prompt: 0, output: more, pico_usd }
    }

    /// What a call with so much output would cost at most, in pico-dollars: by the price book, or what the owner
    /// estimates where it has no price. Nothing where no limit speaks of money.
    fn pico_usd_at_most(&self, call: &Call, output: u64, at: Timestamp) -> u64 {
        if !self.gate().counts_money() {
            return 0;
        }
        let at_most = self.inner.pricing.upper_bound(call, output, at);
        u64::try_from(at_most.pico_usd().max(0)).unwrap_or(u64::MAX)
    }
}
