//! A sliding minute: amounts in one-second buckets of the monotonic clock, of which the last 61 count.
//!
//! Sixty-one, because the bucket an amount falls into began up to a second before it: only so does no true interval of
//! sixty seconds ever hold more than was let through.

use std::collections::VecDeque;

/// How many one-second buckets count: the current one and the sixty before it.
pub(super) const BUCKETS: i64 = 61;

/// Amounts of the last minute. Only seconds in which something happened take room.
#[derive(Clone, Debug, Default)]
pub(super) struct Minute {
    /// (second, amount), oldest first, each second once.
    buckets: VecDeque<(i64, u64)>,
    /// Everything in `buckets`.
    sum: u128,
}

impl Minute {
    /// Forgets what no longer counts at `now_second`.
    pub(super) fn advance(&mut self, now_second: i64) {
        while let Some(&(second, amount)) = self.buckets.front()
            && second + BUCKETS <= now_second
        {
            self.sum -= u128::from(amount);
            self.buckets.pop_front();
        }
    }

    /// Books an amount in a second; one too old to count at `now_second` changes nothing.
    pub(super) fn add(&mut self, second: i64, amount: u64, now_second: i64) {
        self.advance(now_second);
        if second + BUCKETS <= now_second || amount == 0 {
            return;
        }
        let at = self.buckets.partition_point(|bucket| bucket.0 < second);
        match self.buckets.get_mut(at) {
            Some(bucket) if bucket.0 == second => {
                let before = bucket.1;
                bucket.1 = before.saturating_add(amount);
                self.sum += u128::from(bucket.1 - before);
            }
            _ => {
                self.buckets.insert(at, (second, amount));
                self.sum += u128::from(amount);
            }
        }
    }

    /// Takes back an amount that was booked in a second, if it still stands.
    pub(super) fn remove(&mut self, second: i64, amount: u64) {
        let at = self.buckets.partition_point(|bucket| bucket.0 < second);
        if let Some(bucket) = self.buckets.get_mut(at)
            && bucket.0 == second
        {
            let taken = bucket.1.min(amount);
            bucket.1 -= taken;
            self.sum -= u128::from(taken);
            if bucket.1 == 0 {
                self.buckets.remove(at);
            }
        }
    }

    /// The buckets that count at `now_second`, oldest first.
    pub(super) fn counting(&self, now_second: i64) -> impl Iterator<Item = (i64, u64)> {
        self.buckets.iter().copied().filter(move |bucket| bucket.0 + BUCKETS > now_second)
    }

    /// The sum that counts at `now_second`; saturates at the end of `u64`.
    pub(super) fn used(&self, now_second: i64) -> u64 {
        let sum = match self.buckets.front() {
            Some(&(oldest, _)) if oldest + BUCKETS <= now_second => {
                self.counting(now_second).map(|bucket| u128::from(bucket.1)).sum()
            }
            _ => self.sum,
        };
        u64::try_from(sum).unwrap_or(u64::MAX)
    }

    /// The second in which at least `amount` (more than zero) will have left; `None` when there is less than that.
    pub(super) fn second_without(&self, amount: u64, now_second: i64) -> Option<i64> {
        let mut left: u128 = 0;
        self.counting(now_second).find_map(|(second, in_bucket)| {
            left += u128::from(in_bucket);
            (left >= u128::from(amount)).then_some(second + BUCKETS)
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_counts_for_61_seconds_and_not_longer() {
        let mut minute = Minute::default();
        minute.add(100, 3, 100);
        minute.add(99, 2, 100);
        assert_eq!((minute.used(159), minute.used(160), minute.used(161)), (5, 3, 0));
        assert_eq!(minute.second_without(1, 100), Some(160));
        assert_eq!(minute.second_without(3, 100), Some(161));
        assert_eq!(minute.second_without(6, 100), None);
        minute.advance(160);
        assert_eq!(minute.used(160), 3);
        minute.remove(100, 3);
        assert!(minute.is_empty());
    }

    #[test]
    fn absurd_amounts_saturate_and_leave_again() {
        let mut minute = Minute::default();
        minute.add(1, u64::MAX, 2);
        minute.add(1, u64::MAX, 2);
        minute.add(2, u64::MAX, 2);
        assert_eq!(minute.used(2), u64::MAX);
        minute.advance(63);
        assert_eq!(minute.used(63), 0);
    }
}
