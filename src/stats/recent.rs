//! What the records of the last minutes say, for whoever watches: how many calls fail, which providers do not answer,
//! which models have no price, which prompts are large.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::usage::{ErrorKind, Kind, RecordId, Timestamp, UsageRecord};

/// Minutes that are told apart.
const MINUTES: i64 = 60;

/// Providers, and models without a price, that are told apart at most.
const MAX_NAMES: usize = 1_000;

/// Large prompts that wait to be looked at.
const MAX_LARGE: usize = 100;

/// The records of the last minutes, folded.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    /// Ok and failed, by the minute of admission.
    minutes: BTreeMap<i64, [u64; 2]>,
    providers: BTreeMap<String, Option<Silence>>,
    unpriced: BTreeSet<(String, String)>,
    large_from: Option<u64>,
    large: VecDeque<LargePrompt>,
    large_prompts: u64,
    applied: u64,
}

/// A provider does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The first call of those without an answer in a row.
    pub since: Timestamp,
    /// How the last one failed.
    pub kind: ErrorKind,
}

/// A call with many tokens of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargePrompt {
    /// Its record.
    pub id: RecordId,
    /// The model.
    pub model: String,
    /// Tokens of input.
    pub tokens: u64,
}

impl Recent {
    /// Folds a record in. One whose call is older than an hour says nothing of now.
    pub fn apply(&mut self, record: &UsageRecord<'_>, now: Timestamp) {
        if record.kind != Kind::Usage {
            return;
        }
        self.applied += 1;
        let (minute, this) = (minute_of(record.timestamp), minute_of(now));
        if minute <= this - MINUTES || minute > this {
            return;
        }
        if record.cost.is_none() && record.tokens.total() > 0 && self.unpriced.len() < MAX_NAMES {
            self.unpriced.insert((record.provider.as_str().to_owned(), record.model.as_str().to_owned()));
        }
        let (ok, failed) = (record.status.is_ok(), record.status.is_failed());
        let sums = self.minutes.entry(minute).or_default();
        sums[0] += u64::from(ok);
        sums[1] += u64::from(failed);
        while self.minutes.first_key_value().is_some_and(|(oldest, _)| *oldest <= this - MINUTES) {
            self.minutes.pop_first();
        }
        if ok || failed {
            let kind = record.failure.map(|failure| failure.kind).filter(|_| failed);
            self.heard(record.provider.as_str(), kind, record.timestamp);
        }
        if self.large_from.is_some_and(|from| record.tokens.prompt > from) {
            self.large_prompts += 1;
            if self.large.len() < MAX_LARGE {
                let (model, tokens) = (record.model.as_str().to_owned(), record.tokens.prompt);
                self.large.push_back(LargePrompt { id: record.id, model, tokens });
            }
        }
    }

    /// A provider was asked: it answered (`None`, also with an error of its own), or how it did not.
    pub fn heard(&mut self, provider: &str, failed: Option<ErrorKind>, at: Timestamp) {
        use ErrorKind::{Connect, ConnectTimeout, FirstByteTimeout};
        let silent = failed.filter(|kind| matches!(kind, Connect | ConnectTimeout | FirstByteTimeout));
        let now = |known: Option<Silence>| {
            silent.map(|kind| Silence { since: known.map_or(at, |silence| silence.since.min(at)), kind })
        };
        if let Some(known) = self.providers.get_mut(provider) {
            *known = now(*known);
        } else if self.providers.len() < MAX_NAMES {
            self.providers.insert(provider.to_owned(), now(None));
        }
    }

    /// From now on calls with more tokens of input are noted.
    pub fn note_large(&mut self, tokens: u64) {
        self.large_from = Some(tokens);
    }

    /// Failed calls, and those that ended ok or failed, admitted in the last so many minutes (60 at most).
    pub fn calls(&self, minutes: u64, now: Timestamp) -> (u64, u64) {
        let first = minute_of(now) - i64::try_from(minutes).unwrap_or(MINUTES).min(MINUTES) + 1;
        let sums = self.minutes.range(first..).fold([0, 0], |sum, (_, [ok, failed])| [sum[0] + ok, sum[1] + failed]);
        (sums[1], sums[0] + sums[1])
    }

    /// Every provider that was asked: since when it does not answer, if it does not.
    pub fn providers(&self) -> impl Iterator<Item = (&str, Option<Silence>)> {
        self.providers.iter().map(|(name, silence)| (name.as_str(), *silence))
    }

    /// Providers and models that were used without a price.
    pub fn unpriced(&self) -> impl Iterator<Item = &(String, String)> {
        self.unpriced.iter()
    }

    /// The large prompts since the last time this was asked.
    pub fn take_large(&mut self) -> Vec<LargePrompt> {
        self.large.drain(..).collect()
    }

    /// How many records were folded in: where it has not changed, nothing was used.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// How many large prompts there were since they are noted.
    pub fn large_prompts(&self) -> u64 {
        self.large_prompts
    }
}

fn minute_of(at: Timestamp) -> i64 {
    at.unix_micros().div_euclid(60_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Failure, Money, Status};

    fn at(secs: i64) -> Timestamp {
        Timestamp::new(1_795_305_600_000_000 + secs * 1_000_000, 0)
    }

    fn call(secs: i64, failed: Option<ErrorKind>) -> UsageRecord<'static> {
        let mut record = UsageRecord::new(RecordId::new(at(secs), [0; 10]), at(secs), "cloud".into(), "m".into());
        record.cost = Some(Money::ZERO);
        record.status = if failed.is_some() { Status::Error } else { Status::Ok };
        record.failure = failed.map(Failure::of);
        record
    }

    #[test]
    fn the_last_minutes_are_counted_and_what_is_older_is_not() {
        let mut recent = Recent::default();
        for secs in [0, 59, 60, 600, 601] {
            recent.apply(&call(secs, (secs == 600).then_some(ErrorKind::ServerError)), at(601));
        }
        assert_eq!(recent.calls(10, at(601)), (1, 3));
        assert_eq!(recent.calls(11, at(601)), (1, 5));
        recent.apply(&call(10, None), at(4_000));
        assert_eq!(recent.calls(60, at(3_600)), (1, 3), "an old call says nothing of now");
    }

    #[test]
    fn a_provider_is_silent_from_the_first_call_without_an_answer_until_it_answers_in_any_way() {
        let mut recent = Recent::default();
        let silence = |recent: &Recent| recent.providers().next().and_then(|(_, silence)| silence);
        for secs in [10, 20, 30] {
            recent.apply(&call(secs, Some(ErrorKind::Connect)), at(secs));
        }
        assert_eq!(silence(&recent), Some(Silence { since: at(10), kind: ErrorKind::Connect }));
        recent.apply(&call(40, Some(ErrorKind::ServerError)), at(40));
        assert_eq!(silence(&recent), None);
    }

    #[test]
    fn a_price_that_is_missing_and_a_large_prompt_are_noted() {
        let mut recent = Recent::default();
        let mut large = call(1, None);
        (large.cost, large.tokens.prompt) = (None, 2_001);
        recent.apply(&large, at(86_400));
        assert_eq!(recent.unpriced().count(), 0, "old books that are taken over say nothing of now");
        recent.apply(&large, at(1));
        assert_eq!((recent.unpriced().count(), recent.large_prompts()), (1, 0), "nobody asked for large ones yet");
        recent.note_large(2_000);
        recent.apply(&large, at(1));
        assert_eq!((recent.take_large().len(), recent.take_large().len(), recent.large_prompts()), (1, 0, 1));
    }
}
