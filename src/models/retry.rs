//! When a failed attempt is followed by another. Pure: the caller sleeps, and brings the jitter.

use std::time::Duration;

use super::{CallError, Retry};

/// How often and how patiently a call is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included. Adjusted requests do not count: a call has at most two.
    pub max_attempts: u32,
    /// The wait before the second attempt, where the provider names none; doubles with each attempt.
    pub first_backoff: Duration,
    /// The longest wait of our own.
    pub max_backoff: Duration,
    /// The longest wait a provider may ask for; a longer one is reported to the person, not waited.
    pub max_asked_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy {
            max_attempts: 3,
            first_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(8),
            max_asked_wait: Duration::from_secs(20),
        }
    }
}

impl RetryPolicy {
    /// How long to wait after the failure of attempt `attempt` (the first is 1); `None` when it was the last.
    ///
    /// `jitter` is a random byte: it shortens our own wait by up to a quarter, so that many callers do not come back as
    /// one. A wait the provider asked for is kept in full.
    pub fn next_delay(&self, attempt: u32, error: &CallError, jitter: u8) -> Option<Duration> {
        match error.retry {
            Retry::No => None,
            Retry::Adjusted(_) => Some(Duration::ZERO),
            Retry::After(_) if attempt >= self.max_attempts => None,
            Retry::After(Some(asked)) if !asked.is_zero() => (asked <= self.max_asked_wait).then_some(asked),
            Retry::After(_) => Some(self.backoff(attempt, jitter)),
        }
    }

    fn backoff(&self, attempt: u32, jitter: u8) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        let full = self.first_backoff.saturating_mul(1 << doublings).min(self.max_backoff);
        full - full / 4 * u32::from(jitter) / 255
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::openai::{Dialect, LimitField};
    use crate::usage::ErrorKind;

    const ADJUSTED: Dialect = Dialect { limit: LimitField::MaxTokens, stream_options: false };

    fn delay_ms(attempt: u32, retry: Retry, jitter: u8) -> Option<u128> {
        let error = CallError::of(ErrorKind::RateLimited, retry);
        RetryPolicy::default().next_delay(attempt, &error, jitter).map(|delay| delay.as_millis())
    }

    #[test]
    fn our_own_wait_doubles_up_to_its_bound_and_is_jittered_downwards() {
        let policy = RetryPolicy { max_attempts: 100, ..RetryPolicy::default() };
        let error = CallError::of(ErrorKind::ServerError, Retry::After(None));
        let waits: Vec<_> =
            (1..=6).map(|attempt| policy.next_delay(attempt, &error, 0).map(|d| d.as_millis())).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000].map(Some));
        assert_eq!(delay_ms(1, Retry::After(None), 255), Some(375));
        assert!(policy.next_delay(u32::MAX - 1, &error, 7).is_none_or(|delay| delay <= policy.max_backoff));
    }

    #[test]
    fn the_providers_wait_is_kept_or_not_waited_at_all() {
        let asked = |secs| Retry::After(Some(Duration::from_secs(secs)));
        assert_eq!(delay_ms(1, asked(2), 255), Some(2000));
        assert_eq!(delay_ms(1, asked(20), 0), Some(20_000));
        assert_eq!(delay_ms(1, asked(21), 0), None);
        assert_eq!(delay_ms(1, asked(1_000_000_000), 0), None);
        assert_eq!(delay_ms(1, asked(0), 0), Some(500));
    }

    #[test]
    fn it_ends() {
        assert_eq!(delay_ms(2, Retry::After(None), 0), Some(1000));
        assert_eq!(delay_ms(3, Retry::After(None), 0), None);
        assert_eq!(delay_ms(1, Retry::No, 0), None);
        assert_eq!(delay_ms(3, Retry::Adjusted(ADJUSTED), 0), Some(0));
    }
}
