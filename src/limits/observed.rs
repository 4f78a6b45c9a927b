//! What providers say of their own limits in their headers: shown beside our counts, not enforced.

use std::collections::BTreeMap;

use crate::usage::Timestamp;

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
pub(super) struct Observations(BTreeMap<Box<str>, Learned>);

impl Observations {
    pub(super) fn of(providers: impl IntoIterator<Item = impl AsRef<str>>) -> Observations {
        Observations(providers.into_iter().map(|name| (name.as_ref().into(), Learned::default())).collect())
    }

    /// Takes in an answer's headers. What it does not speak of stays as it was; an empty answer changes nothing.
    pub(super) fn observe(&mut self, provider: &str, observed: Observed, at: Timestamp) {
        let Some(learned) = self.0.get_mut(provider).filter(|_| observed != Observed::default()) else {
            return;
        };
        let moment =
            |ms: Option<u64>| ms.map(|ms| at.plus_micros(i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1000)));
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
        self.0.iter().filter(|(_, learned)| learned.seen_at.is_some()).map(|(name, learned)| (&**name, learned))
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
}
