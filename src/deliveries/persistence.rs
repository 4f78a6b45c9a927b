//! How often and how patiently an alert is tried again. Knows no place and no clock but the runtime's.

use std::time::Duration;

use super::failure::{DeliveryError, Failed};

/// The waits between tries; the last one is repeated.
const WAITS_SECS: [u64; 4] = [1, 5, 30, 120];

/// All waits of one alert together are no longer.
const MAX_WAITED: Duration = Duration::from_secs(600);

/// Tries until it works, will never work, or has been tried for too long. `failed` hears of each failure, and of the
/// wait that follows it.
pub(super) async fn persist<T: Future<Output = Result<(), Failed>>>(
    mut attempt: impl FnMut() -> T,
    mut failed: impl FnMut(DeliveryError, Option<Duration>),
) -> Result<(), DeliveryError> {
    let (mut waits, mut waited) = (0, Duration::ZERO);
    loop {
        let Err(failure) = attempt().await else { return Ok(()) };
        let wait = next_wait(waits, &failure, waited);
        failed(failure.error, wait);
        let Some(wait) = wait else { return Err(failure.error) };
        tokio::time::sleep(wait).await;
        (waits, waited) = (waits + 1, waited + wait);
    }
}

/// The wait after a failure that so many waits went before; `None` when it is given up. A server's wish is kept, unless it is too long.
fn next_wait(waits: usize, failure: &Failed, waited: Duration) -> Option<Duration> {
    let wait = Duration::from_secs(WAITS_SECS[waits.min(WAITS_SECS.len() - 1)]).max(failure.wait.unwrap_or_default());
    (failure.error.passes() && waited.saturating_add(wait) <= MAX_WAITED).then_some(wait)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::Instant;

    use super::*;

    /// The seconds at which tries are made that all fail in this way, until the end.
    #[expect(clippy::disallowed_methods, reason = "virtual time is read")]
    async fn tries(failures: &[Failed]) -> (Vec<u64>, DeliveryError) {
        let start = Instant::now();
        let seen = RefCell::new(Vec::new());
        let attempt = || {
            let number = seen.borrow().len();
            seen.borrow_mut().push(start.elapsed().as_secs());
            let failed = failures[number.min(failures.len() - 1)];
            async move { Err(failed) }
        };
        let error = persist(attempt, |_, _| {}).await.expect_err("all fail");
        (seen.into_inner(), error)
    }

    fn busy(wait: Option<u64>) -> Failed {
        Failed { error: DeliveryError::Busy(503), wait: wait.map(Duration::from_secs) }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_and_end_within_ten_minutes() {
        let (seconds, error) = tries(&[busy(None)]).await;
        assert_eq!(seconds, [0, 1, 6, 36, 156, 276, 396, 516]);
        assert_eq!(error, DeliveryError::Busy(503));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_asked_for_is_kept_unless_it_is_too_long() {
        let (seconds, _) = tries(&[busy(Some(20)), busy(Some(2)), busy(Some(601))]).await;
        assert_eq!(seconds, [0, 20, 25]);
        assert_eq!(tries(&[busy(Some(u64::MAX))]).await.0, [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_is_not_tried_again() {
        for error in [DeliveryError::Refused(404), DeliveryError::Elsewhere(302), DeliveryError::Misconfigured] {
            assert_eq!(tries(&[busy(None), error.into()]).await, (vec![0, 1], error));
        }
    }
}
