//! The token counts a provider reports, and what of them goes into the books (law 4).

use crate::usage::{TokenCounts, UsageSource};

/// Counts as reported so far. `None` is "not reported", which is never zero.
///
/// Totals include their slices: `cached`, `cache_write` and `cache_write_1h` are inside `prompt` and beside each other,
/// `reasoning` is inside `completion`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedUsage {
    /// All input tokens.
    pub prompt: Option<u64>,
    /// All output tokens.
    pub completion: Option<u64>,
    /// Input read from the provider's cache.
    pub cached: Option<u64>,
    /// Input written to the provider's short-lived cache.
    pub cache_write: Option<u64>,
    /// Input written to the provider's long-lived cache (an hour or more).
    pub cache_write_1h: Option<u64>,
    /// Output that was reasoning.
    pub reasoning: Option<u64>,
}

impl ReportedUsage {
    /// Takes over a later report: its counts replace ours, one by one. Reports are cumulative and are never added up;
    /// a count left out does not take back an earlier one.
    pub fn replace_with(&mut self, later: ReportedUsage) {
        self.prompt = later.prompt.or(self.prompt);
        self.completion = later.completion.or(self.completion);
        self.cached = later.cached.or(self.cached);
        self.cache_write = later.cache_write.or(self.cache_write);
        self.cache_write_1h = later.cache_write_1h.or(self.cache_write_1h);
        self.reasoning = later.reasoning.or(self.reasoning);
    }

    /// Some servers leave thinking out of the completion count and only the total shows it: then the output is what the
    /// total has beyond the prompt.
    pub fn with_total(mut self, total: Option<u64>) -> ReportedUsage {
        let (Some(prompt), Some(total)) = (self.prompt, total) else { return self };
        if total > prompt.saturating_add(self.completion.unwrap_or(0)) || self.completion.is_none() && total == prompt {
            self.completion = Some(total - prompt);
        }
        self
    }

    /// Adds what is billed beside it. A total that was not reported stays so.
    pub(super) fn plus(self, beside: ReportedUsage) -> ReportedUsage {
        let total = |own: Option<u64>, more: Option<u64>| Some(own?.saturating_add(more.unwrap_or(0)));
        let slice = |own: Option<u64>, more: Option<u64>| total(own, more).or(more);
        ReportedUsage {
            prompt: total(self.prompt, beside.prompt),
            completion: total(self.completion, beside.completion),
            cached: slice(self.cached, beside.cached),
            cache_write: slice(self.cache_write, beside.cache_write),
            cache_write_1h: slice(self.cache_write_1h, beside.cache_write_1h),
            reasoning: slice(self.reasoning, beside.reasoning),
        }
    }

    /// Whether nothing at all was reported.
    pub fn is_empty(&self) -> bool {
        *self == ReportedUsage::default()
    }

    /// The counts for the books and how they are known. `estimate` gives our own (prompt, completion) and is asked only
    /// when one of the two was not reported.
    pub fn counts(&self, estimate: impl FnOnce() -> (u64, u64)) -> (TokenCounts, UsageSource) {
        let (prompt, completion, source) = match (self.prompt, self.completion) {
            (Some(prompt), Some(completion)) => (prompt, completion, UsageSource::Reported),
            (prompt, completion) => {
                let (prompt_guess, completion_guess) = estimate();
                let source = if self.is_empty() { UsageSource::Estimated } else { UsageSource::Partial };
                (prompt.unwrap_or(prompt_guess), completion.unwrap_or(completion_guess), source)
            }
        };
        let counts = TokenCounts {
            prompt,
            completion,
            cached: self.cached.unwrap_or(0),
            cache_write: self.cache_write.unwrap_or(0),
            cache_write_1h: self.cache_write_1h.unwrap_or(0),
            reasoning: self.reasoning.unwrap_or(0),
        };
        (counts.made_consistent(), source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(prompt: Option<u64>, completion: Option<u64>) -> ReportedUsage {
        ReportedUsage { prompt, completion, ..ReportedUsage::default() }
    }

    #[test]
    fn the_source_says_how_the_numbers_are_known() {
        let known = |usage: ReportedUsage| {
            let (counts, source) = usage.counts(|| (100, 200));
            (counts.prompt, counts.completion, source)
        };
        assert_eq!(known(reported(Some(0), Some(2))), (0, 2, UsageSource::Reported));
        assert_eq!(known(reported(None, Some(2))), (100, 2, UsageSource::Partial));
        assert_eq!(known(reported(Some(7), None)), (7, 200, UsageSource::Partial));
        assert_eq!(known(reported(None, None)), (100, 200, UsageSource::Estimated));
        let only_slice = ReportedUsage { cached: Some(3), ..ReportedUsage::default() };
        assert_eq!(known(only_slice), (100, 200, UsageSource::Partial));
    }

    #[test]
    fn nothing_is_estimated_when_all_is_reported() {
        reported(Some(1), Some(1)).counts(|| unreachable!("both counts are there"));
    }

    #[test]
    fn slices_larger_than_their_totals_are_cut() {
        let usage = ReportedUsage {
            prompt: Some(10),
            completion: Some(5),
            cached: Some(99),
            cache_write: Some(99),
            cache_write_1h: Some(99),
            reasoning: Some(99),
        };
        let (counts, _) = usage.counts(|| (0, 0));
        assert!(counts.is_consistent());
        assert_eq!((counts.cached, counts.cache_write, counts.reasoning), (10, 0, 5));
    }

    #[test]
    fn the_last_report_wins_and_nothing_is_summed() {
        let mut usage = reported(Some(9), Some(1));
        usage.replace_with(reported(None, Some(4)));
        usage.replace_with(reported(Some(9), Some(7)));
        assert_eq!(usage, reported(Some(9), Some(7)));
    }

    #[test]
    fn a_total_above_its_parts_shows_hidden_output() {
        let completion = |prompt, completion, total| reported(prompt, completion).with_total(total).completion;
        assert_eq!(completion(Some(20), Some(198), Some(623)), Some(603));
        assert_eq!(completion(Some(20), Some(198), Some(218)), Some(198));
        assert_eq!(completion(Some(20), Some(198), Some(100)), Some(198));
        assert_eq!(completion(Some(8), None, Some(8)), Some(0));
        assert_eq!(completion(Some(8), None, Some(3)), None);
        assert_eq!(completion(None, None, Some(8)), None);
    }
}
