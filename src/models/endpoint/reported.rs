//! What the counts of each API mean in the terms of [`ReportedUsage`].

use super::Endpoint;
use super::answers::{Part, Said};
use crate::models::ReportedUsage;
use crate::models::anthropic::{COMPACTION, Usage};
use crate::models::json::count_of;

/// The counts as they were reported last, each by itself, in the API's own terms.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    prompt: Option<u64>,
    tool_prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    cached_elsewhere: Option<u64>,
    cache_write: Option<u64>,
    cache_write_short: Option<u64>,
    cache_write_long: Option<u64>,
    reasoning: Option<u64>,
    /// What the reports before amount to, of an API whose later ones may say zero of what they told before.
    earlier: Usage,
    /// The round of a message being read, and whether it is one that is billed beside the message's counts.
    iteration: Usage,
    is_beside: bool,
    /// What the rounds of that kind took.
    compacted: Option<ReportedUsage>,
}

impl Counts {
    /// A new report begins. Its counts replace ours one by one; a total holds only for the report it stands in.
    pub(super) fn begin(&mut self) {
        self.total = None;
        self.earlier = self.divided();
    }

    /// Takes a count; what is none changes nothing.
    pub(super) fn take(&mut self, what: Said, raw: &str) {
        let slot = match what {
            Said::Prompt => &mut self.prompt,
            Said::ToolPrompt => &mut self.tool_prompt,
            Said::Completion => &mut self.completion,
            Said::Total => &mut self.total,
            Said::Cached => &mut self.cached,
            Said::CachedElsewhere => &mut self.cached_elsewhere,
            Said::CacheWrite => &mut self.cache_write,
            Said::CacheWriteShort => &mut self.cache_write_short,
            Said::CacheWriteLong => &mut self.cache_write_long,
            Said::Reasoning => &mut self.reasoning,
            Said::OfIteration(Part::Input) => &mut self.iteration.input,
            Said::OfIteration(Part::Output) => &mut self.iteration.output,
            Said::OfIteration(Part::Read) => &mut self.iteration.cache_read,
            Said::OfIteration(Part::Written) => &mut self.iteration.cache_write,
            Said::OfIteration(Part::WrittenShort) => &mut self.iteration.write_5m,
            Said::OfIteration(Part::WrittenLong) => &mut self.iteration.write_1h,
            Said::OfIteration(Part::Thought) => &mut self.iteration.thinking,
            _ => return,
        };
        *slot = count_of(raw).or(*slot);
    }

    /// The rounds of a message follow; of an earlier report's nothing is left.
    pub(super) fn begin_iterations(&mut self) {
        self.compacted = Some(Usage::compacted(std::iter::empty()));
    }

    /// Says what kind of round is being read.
    pub(super) fn iterates(&mut self, kind: &str) {
        self.is_beside = kind == COMPACTION;
    }

    /// A round ended, or all of them.
    pub(super) fn end_iteration(&mut self) {
        let iteration = std::mem::take(&mut self.iteration);
        if std::mem::take(&mut self.is_beside) {
            self.compacted = self.compacted.map(|sum| sum.plus(iteration.reported()));
        }
    }

    /// The report of an API other than Ollama's chat. `is_told`: the total is that of all there is, and so tells what
    /// was left out for being zero.
    pub(super) fn of(&self, endpoint: Endpoint, is_told: bool) -> ReportedUsage {
        match endpoint {
            Endpoint::Messages => self.divided().reported(),
            Endpoint::GenerateContent | Endpoint::StreamGenerateContent | Endpoint::Interactions => {
                self.of_gemini(is_told)
            }
            _ if endpoint.embeds() => self.of_vectors(),
            _ => self.in_slices().with_total(self.total),
        }
    }

    /// Ollama leaves out what is zero: that nothing was generated shows by nothing having come, and `did_nothing` means
    /// that a model was only loaded or unloaded.
    pub(super) fn of_ollama(&self, said_nothing: bool, did_nothing: bool) -> ReportedUsage {
        ReportedUsage {
            prompt: self.prompt.or(did_nothing.then_some(0)),
            completion: self.completion.or(said_nothing.then_some(0)),
            cached: self.cached,
            ..ReportedUsage::default()
        }
    }

    /// Slices are inside their totals, as OpenAI has it.
    fn in_slices(&self) -> ReportedUsage {
        ReportedUsage {
            prompt: self.prompt,
            completion: self.completion,
            cached: self.cached.max(self.cached_elsewhere),
            cache_write: self.cache_write,
            cache_write_1h: None,
            reasoning: self.reasoning,
        }
    }

    /// As Anthropic divides them: what the cache has is beside the rest of the input.
    fn divided(&self) -> Usage {
        let mut usage = self.earlier;
        usage.replace_with(Usage {
            input: self.prompt,
            cache_read: self.cached,
            cache_write: self.cache_write,
            write_5m: self.cache_write_short,
            write_1h: self.cache_write_long,
            output: self.completion,
            thinking: self.reasoning,
            compacted: self.compacted,
        });
        usage
    }

    /// Gemini counts thinking beside the rest of the output, and what tools gave beside the rest of the input.
    fn of_gemini(&self, is_told: bool) -> ReportedUsage {
        let beside = self.tool_prompt.unwrap_or(0);
        let prompt = self.prompt.or(self.tool_prompt.map(|_| 0)).map(|prompt| prompt.saturating_add(beside));
        let completion = match (self.completion, self.reasoning) {
            (None, None) => None,
            (text, thoughts) => Some(text.unwrap_or(0).saturating_add(thoughts.unwrap_or(0))),
        };
        let usage = ReportedUsage { prompt, completion, ..self.in_slices() };
        if completion.is_some() || is_told { usage.with_total(self.total) } else { usage }
    }

    fn of_vectors(&self) -> ReportedUsage {
        let prompt = self.prompt.or(self.total).filter(|tokens| *tokens > 0); // some servers count no input here
        ReportedUsage { prompt, completion: prompt.map(|_| 0), cached: self.cached, ..ReportedUsage::default() }
    }
}
