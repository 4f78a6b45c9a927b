//! What providers say of their own limits in their headers: shown beside our counts, and believed where it is stricter.

use std::collections::BTreeMap;

use super::count::{Amounts, unsigned};
use super::kind::LimitKind;
use super::refusal::{NextSafe, Refusal};
use super::rule::{Facet, Label};
use crate::usage::{Now, Timestamp};

/// No word of a provider is kept longer than a day: whoever asks for a thousand million seconds is asked again.
pub const LEARNED_MAX_MS: u64 = 86_400_000;

/// The rate-limit headers of one answer, as durations and counts. `None` is what the provider did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Requests allowed per window of the provider's.
    pub requests_limit: Option<u64>,
    /// Requests left in it.
    pub requests_remaining: Option<u64>,
    /// Milliseconds until it is full again.
    pub requests_reset_ms: Option<u64>,
    /// Tokens allowed per window of the provider's.
    pub tokens_limit: Option<u64>,
    /// Tokens left in it.
    pub tokens_remaining: Option<u64>,
    /// Milliseconds until it is full again.
    pub tokens_reset_ms: Option<u64>,
    /// Milliseconds the provider asks to wait.
    pub retry_after_ms: Option<u64>,
}

/// One quota of a provider, as it last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Allowed per window.
    pub limit: Option<u64>,
    /// Left in it.
    pub remaining: Option<u64>,
    /// When it is full again.
    pub resets_at: Option<Timestamp>,
}

impl Quota {
    /// Until when it has no room for so much more after what was admitted since it was told; `None` where it has, or
    /// where the provider does not say enough to know.
    fn without(&self, spent: u64, asked: u64) -> Option<Timestamp> {
        let remaining = self.remaining?.saturating_sub(spent);
        self.resets_at.filter(|_| remaining < asked)
    }
}

/// What one provider last said of its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Its requests.
    pub requests: Quota,
    /// Its tokens.
    pub tokens: Quota,
    /// Until when it asked to be left alone.
    pub retry_at: Option<Timestamp>,
    /// When it said so; `None` while it has said nothing.
    pub seen_at: Option<Timestamp>,
}

/// The last word of each configured provider; no other provider takes room.
#[derive(Clone, Debug, Default)]
pub(super) struct Observations(BTreeMap<Box<str>, Known>);

/// A provider's word, and what was admitted since.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    learned: Learned,
    /// Requests admitted since it spoke of requests.
    requests: u64,
    /// Tokens asked for since it spoke of tokens.
    tokens: u64,
}

impl Observations {
    pub(super) fn of(providers: impl IntoIterator<Item = impl AsRef<str>>) -> Observations {
        Observations(providers.into_iter().map(|name| (name.as_ref().into(), Known::default())).collect())
    }

    /// Why the provider would refuse a call by its own last word, and until when.
    pub(super) fn refusal(&self, provider: &str, asked: &Amounts, now: Now) -> Option<Refusal> {
        let known = self.0.get(provider)?;
        known.learned.seen_at?;
        let (of_requests, of_tokens) = (known.learned.requests, known.learned.tokens);
        let asks_to_wait = known.learned.retry_at.map(|until| (until, of_requests, known.requests, false));
        let no_requests =
            of_requests.without(known.requests, 1).map(|until| (until, of_requests, known.requests, false));
        let tokens = unsigned(asked.tokens).max(1);
        let no_tokens = of_tokens.without(known.tokens, tokens).map(|until| (until, of_tokens, known.tokens, true));
        let words = [asks_to_wait, no_requests, no_tokens].into_iter().flatten();
        let (until, quota, spent, counts_tokens) =
            words.filter(|(until, ..)| *until > now.at).max_by_key(|(until, ..)| *until)?;
        let wait_micros = until.unix_micros() - now.at.unix_micros();
        let limit = match (counts_tokens, wait_micros <= 60_000_000) {
            (false, true) => LimitKind::RequestsPerMinute,
            (false, false) => LimitKind::RequestsPerDay,
            (true, true) => LimitKind::TokensPerMinute,
            (true, false) => LimitKind::TokensPerDay,
        };
        let max = quota.limit.unwrap_or_default();
        let left = quota.remaining.unwrap_or_default().saturating_sub(spent);
        Some(Refusal {
            limit,
            label: Label(vec![(Facet::Provider, provider.into())]),
            used: max.saturating_sub(left),
            max,
            at_limit: None,
            learned: true,
            stopped: false,
            next: NextSafe::after_micros(now.at, wait_micros),
        })
    }

    /// A call was admitted: until the next word there is so much less.
    pub(super) fn admitted(&mut self, provider: &str, asked: &Amounts) {
        if let Some(known) = self.0.get_mut(provider) {
            known.requests = known.requests.saturating_add(1);
            known.tokens = known.tokens.saturating_add(unsigned(asked.tokens));
        }
    }

    /// Takes in an answer's headers. What it does not speak of stays as it was; an empty answer changes nothing.
    pub(super) fn observe(&mut self, provider: &str, observed: Observed, at: Timestamp) {
        let Some(known) = self.0.get_mut(provider).filter(|_| observed != Observed::default()) else {
            return;
        };
        known.requests = if observed.requests_remaining.is_some() { 0 } else { known.requests };
        known.tokens = if observed.tokens_remaining.is_some() { 0 } else { known.tokens };
        let learned = &mut known.learned;
        let moment = |ms: Option<u64>| ms.map(|ms| at.plus_micros(ms.min(LEARNED_MAX_MS) as i64 * 1000));
        let newer = |old: Quota, limit: Option<u64>, remaining: Option<u64>, reset_ms: Option<u64>| Quota {
            limit: limit.or(old.limit),
            remaining: remaining.or(old.remaining),
            resets_at: moment(reset_ms).or(old.resets_at),
        };
        *learned = Learned {
            requests: newer(
                learned.requests,
                observed.requests_limit,
                observed.requests_remaining,
                observed.requests_reset_ms,
            ),
            tokens: newer(learned.tokens, observed.tokens_limit, observed.tokens_remaining, observed.tokens_reset_ms),
            retry_at: moment(observed.retry_after_ms).or(learned.retry_at),
            seen_at: Some(at),
        };
    }

    /// Providers that have said something, by name.
    pub(super) fn learned(&self) -> impl Iterator<Item = (&str, &Learned)> {
        let words = self.0.iter().map(|(name, known)| (&**name, &known.learned));
        words.filter(|(_, learned)| learned.seen_at.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_configured_providers_are_kept_and_silence_changes_nothing() {
        let at = Timestamp::parse("2026-11-22T14:00:00Z").expect("a time");
        let mut observations = Observations::of(["cloud"]);
        let first = Observed { requests_limit: Some(15), requests_remaining: Some(3), ..Observed::default() };
        observations.observe("cloud", first, at);
        observations.observe("stranger", first, at);
        observations.observe("cloud", Observed { retry_after_ms: Some(2_000), ..Observed::default() }, at);
        observations.observe("cloud", Observed::default(), at.plus_micros(9));
        let learned: Vec<_> = observations.learned().collect();
        assert_eq!(learned.len(), 1);
        let (name, learned) = learned[0];
        assert_eq!((name, learned.requests.remaining, learned.seen_at), ("cloud", Some(3), Some(at)));
        assert_eq!(learned.retry_at, Some(at.plus_micros(2_000_000)));
    }

    /// Milliseconds that the provider `cloud` would keep a call of ten tokens away, at a moment after it spoke.
    fn waits(observed: Observed, admitted: usize, after_ms: i64) -> Option<u64> {
        let at = Timestamp::parse("2026-11-22T14:00:00Z").expect("a time");
        let mut observations = Observations::of(["cloud", "local"]);
        observations.observe("cloud", observed, at);
        let asked = Amounts { requests: 1, tokens: 10, pico_usd: 0 };
        (0..admitted).for_each(|_| observations.admitted("cloud", &asked));
        let now = Now { at: at.plus_micros(after_ms * 1000), tick: crate::usage::Tick(1) };
        assert_eq!(observations.refusal("local", &asked, now), None);
        let refusal = observations.refusal("cloud", &asked, now)?;
        assert!(refusal.learned && refusal.label.to_string() == "provider:cloud");
        refusal.wait_ms()
    }

    #[test]
    fn a_provider_is_believed_until_its_reset_and_each_admitted_call_takes_of_what_it_left() {
        let requests = |remaining, reset| Observed {
            requests_limit: Some(15),
            requests_remaining: remaining,
            requests_reset_ms: reset,
            ..Observed::default()
        };
        let two = requests(Some(2), Some(9_000));
        assert_eq!(
            [waits(two, 1, 0), waits(two, 2, 0), waits(two, 2, 8_999), waits(two, 2, 9_000)],
            [None, Some(9_000), Some(1), None]
        );
        let tokens = Observed { tokens_remaining: Some(25), tokens_reset_ms: Some(60_000), ..Observed::default() };
        assert_eq!([waits(tokens, 1, 0), waits(tokens, 2, 0)], [None, Some(60_000)]);
        let unsaid = [requests(None, Some(9_000)), requests(Some(0), None), requests(None, None)];
        assert_eq!(unsaid.map(|observed| waits(observed, 99, 0)), [None; 3]);
    }

    #[test]
    fn a_silly_wait_is_a_day_and_the_longest_of_several_counts() {
        let observed = |ms| Observed {
            retry_after_ms: Some(ms),
            requests_remaining: Some(0),
            requests_reset_ms: Some(5_000),
            ..Observed::default()
        };
        assert_eq!(waits(observed(1_000_000_000_000), 0, 0), Some(LEARNED_MAX_MS));
        assert_eq!(waits(observed(u64::MAX), 0, 0), Some(LEARNED_MAX_MS));
        assert_eq!([waits(observed(2_000), 0, 0), waits(observed(0), 0, 0)], [Some(5_000); 2]);
    }
}
