//! What the end of a call means for the books: the counts the provider reported, ours where it reported none, and a
//! class for how it ended.

use super::Outcome;
use crate::models::{CallError, Ending, ReportedUsage};
use crate::usage::names::Name;
use crate::usage::{ErrorKind, Estimated, Failure, Metadata, Status, TokenCounts, UsageSource};

impl Outcome {
    /// An answer that came to its own end, or just stopped. `guess` is what was sent and seen by our own estimate.
    pub fn whole(ending: Ending, guess: Estimated) -> Outcome {
        let (tokens, usage_source) = counts(&ending.usage, ending.pieces, guess);
        let (status, failure) = match ending.complete {
            true => (Status::Ok, None),
            false => (Status::Error, Some(Failure::of(ErrorKind::StreamCut))),
        };
        let metadata = metadata(ending.provider_request_id.as_deref());
        Outcome {
            status,
            failure,
            tokens,
            usage_source,
            served_model: ending.served_model,
            local: None,
            service_tier: ending.service_tier,
            first_token_ms: None,
            metadata,
        }
    }

    /// It failed in the middle of its answer.
    pub fn broken(ending: Ending, failure: Failure, guess: Estimated) -> Outcome {
        Outcome { status: status_of(failure.kind), failure: Some(failure), ..Outcome::whole(ending, guess) }
    }

    /// Somebody stopped it, for this reason; `ending` is what had come by then.
    pub fn cut_short(kind: ErrorKind, ending: Option<Ending>, guess: Estimated) -> Outcome {
        let failure = Failure::of(kind);
        match ending {
            Some(ending) => {
                Outcome { status: Status::Cancelled, failure: Some(failure), ..Outcome::whole(ending, guess) }
            }
            None => {
                let tokens = TokenCounts { prompt: guess.prompt, ..TokenCounts::default() };
                Outcome { tokens, usage_source: UsageSource::Estimated, ..Outcome::failed(Status::Cancelled, failure) }
            }
        }
    }

    /// It failed before the first byte of an answer. An error answer is not billed; after a silence nobody knows, and
    /// the prompt is counted as an estimate.
    pub fn unanswered(error: &CallError, guess: Estimated) -> Outcome {
        let mut outcome = Outcome::failed(status_of(error.failure.kind), error.failure);
        outcome.metadata = metadata(error.provider_request_id.as_deref());
        if matches!(error.failure.kind, ErrorKind::FirstByteTimeout | ErrorKind::TotalTimeout | ErrorKind::StreamCut) {
            (outcome.tokens, outcome.usage_source) = counts(&error.usage, 0, guess);
        }
        outcome
    }
}

/// Tokens as reported, the rest as guessed from what was sent and what came. Some servers report zero of both kinds for
/// every answer: where something came, that is no report.
fn counts(usage: &ReportedUsage, pieces: u64, guess: Estimated) -> (TokenCounts, UsageSource) {
    let output = guess.output.max(pieces);
    let is_zero = usage.prompt == Some(0) && usage.completion == Some(0);
    let usage = if is_zero && output > 0 { &ReportedUsage::default() } else { usage };
    usage.counts(|| (guess.prompt, output))
}

fn status_of(kind: ErrorKind) -> Status {
    match kind {
        ErrorKind::ConnectTimeout | ErrorKind::FirstByteTimeout | ErrorKind::IdleTimeout | ErrorKind::TotalTimeout => {
            Status::Timeout
        }
        _ => Status::Error,
    }
}

pub(super) fn metadata(request_id: Option<&str>) -> Metadata<'static> {
    request_id.map_or_else(Metadata::default, |id| Metadata::of_text("request_id", &Name::clean(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_of_both_kinds_is_no_report_of_an_answer_that_came() {
        let guess = Estimated { prompt: 100, output: 20 };
        let zero = ReportedUsage { prompt: Some(0), completion: Some(0), ..ReportedUsage::default() };
        let known = |usage: &ReportedUsage, pieces: u64, guess: Estimated| {
            let (tokens, source) = counts(usage, pieces, guess);
            (tokens.prompt, tokens.completion, source)
        };
        assert_eq!(known(&zero, 0, guess), (100, 20, UsageSource::Estimated));
        assert_eq!(known(&zero, 3, Estimated { output: 0, ..guess }), (100, 3, UsageSource::Estimated));
        // Nothing came: a model was loaded.
        assert_eq!(known(&zero, 0, Estimated { output: 0, ..guess }), (0, 0, UsageSource::Reported));
        let one = ReportedUsage { completion: Some(1), ..zero };
        assert_eq!(known(&one, 3, guess), (0, 1, UsageSource::Reported));
    }
}
