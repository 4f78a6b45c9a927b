//! Durations in buckets: 16 to the octave of 10 ms × 2^k, so that the borders of the OpenTelemetry conventions
//! (10, 20, 40 ms … 81.92 s) are exact. Sparse, signed, mergeable.

/// A sparse histogram of milliseconds. Bucket borders are inclusive above: `(lower, upper]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Bucket and signed count, sorted by bucket, no zero counts.
    buckets: Vec<(u16, i64)>,
}

/// Values 0 to 10 have a bucket each.
const FIRST_OCTAVE: u16 = 11;

/// The bucket of a value in milliseconds.
fn bucket_of(millis: u64) -> u16 {
    if millis <= 10 {
        return millis as u16;
    }
    let octave = ((millis - 1) / 10).ilog2();
    let base = 10 << octave;
    // No call takes the years for which 64 bits are too few.
    let slice = match 16u64.checked_mul(millis - base) {
        Some(sixteenths) => sixteenths.div_ceil(base) - 1,
        None => ((16 * u128::from(millis - base)).div_ceil(base.into()) - 1) as u64,
    };
    FIRST_OCTAVE + octave as u16 * 16 + slice as u16
}

/// The largest whole number of milliseconds that falls into a bucket.
fn upper_of(bucket: u16) -> u64 {
    if bucket < FIRST_OCTAVE {
        return u64::from(bucket);
    }
    let (octave, slice) = ((bucket - FIRST_OCTAVE) / 16, (bucket - FIRST_OCTAVE) % 16);
    let upper = (10u128 << octave) * (16 + u128::from(slice) + 1) / 16;
    u64::try_from(upper).unwrap_or(u64::MAX)
}

impl Histogram {
    /// Adds `count` (negative to take back) observations of a value.
    pub fn add(&mut self, millis: u64, count: i64) {
        self.add_bucket(bucket_of(millis), count);
    }

    fn add_bucket(&mut self, bucket: u16, count: i64) {
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => {
                self.buckets[at].1 = self.buckets[at].1.saturating_add(count);
                if self.buckets[at].1 == 0 {
                    self.buckets.remove(at);
                }
            }
            Err(at) if count != 0 => self.buckets.insert(at, (bucket, count)),
            Err(_) => {}
        }
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Histogram) {
        // At least that many there will be; growing step by step would leave room that nobody uses.
        self.buckets.reserve(other.buckets.len().saturating_sub(self.buckets.len()));
        // Both are sorted: one walk through the two.
        let mut at = 0;
        for (bucket, count) in &other.buckets {
            while self.buckets.get(at).is_some_and(|(own, _)| own < bucket) {
                at += 1;
            }
            match self.buckets.get_mut(at) {
                Some((own, sum)) if own == bucket => {
                    *sum = sum.saturating_add(*count);
                    if *sum == 0 {
                        self.buckets.remove(at);
                    }
                }
                _ => self.buckets.insert(at, (*bucket, *count)),
            }
        }
    }

    /// How many observations there are.
    pub fn count(&self) -> i64 {
        self.buckets.iter().fold(0, |sum: i64, (_, count)| sum.saturating_add(*count))
    }

    /// The value in milliseconds that `percent` of the observations do not exceed (the upper border of its bucket, at
    /// most 6.25 % above the true value); `None` without observations.
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let total = self.count();
        if total <= 0 {
            return None;
        }
        let rank = (i128::from(total) * i128::from(percent.min(100))).div_euclid(100);
        let exact = i128::from(total) * i128::from(percent.min(100)) % 100 == 0;
        let rank = if exact { rank } else { rank + 1 }.max(1);
        let mut seen = 0i128;
        for (bucket, count) in &self.buckets {
            seen += i128::from(*count);
            if seen >= rank {
                return Some(upper_of(*bucket));
            }
        }
        self.buckets.last().map(|(bucket, _)| upper_of(*bucket))
    }

    pub(super) fn buckets(&self) -> &[(u16, i64)] {
        &self.buckets
    }

    pub(super) fn from_buckets(buckets: Vec<(u16, i64)>) -> Histogram {
        let mut histogram = Histogram { buckets: Vec::with_capacity(buckets.len()) };
        for (bucket, count) in buckets {
            histogram.add_bucket(bucket.min(bucket_of(u64::MAX)), count);
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn open_telemetry_borders_are_exact() {
        for k in 0..14 {
            let border = 10u64 << k;
            assert_eq!(upper_of(bucket_of(border)), border);
            assert!(bucket_of(border + 1) > bucket_of(border), "{border}");
        }
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50), None);
        for millis in [1, 2, 3, 4] {
            histogram.add(millis, 1);
        }
        assert_eq!(
            (histogram.percentile(50), histogram.percentile(51), histogram.percentile(99)),
            (Some(2), Some(3), Some(4))
        );
        histogram.add(4, -1);
        assert_eq!((histogram.count(), histogram.percentile(100)), (3, Some(3)));
    }

    proptest! {
        #[test]
        fn a_bucket_is_never_more_than_a_sixteenth_too_high(millis in prop_oneof![0u64..100_000, any::<u64>()]) {
            let upper = upper_of(bucket_of(millis));
            prop_assert!(upper >= millis);
            prop_assert!(u128::from(upper - millis) * 16 <= u128::from(millis).max(16), "{millis} -> {upper}");
        }

        #[test]
        fn buckets_follow_the_order_of_values(a in any::<u64>(), b in any::<u64>()) {
            prop_assert_eq!(bucket_of(a.min(b)) <= bucket_of(a.max(b)), true);
        }

        #[test]
        fn merging_is_adding(values in prop::collection::vec((0u64..1_000_000, -2i64..3), 0..40), cut in 0usize..40) {
            let cut = cut.min(values.len());
            let fold = |part: &[(u64, i64)]| part.iter().fold(Histogram::default(), |mut h, (v, n)| { h.add(*v, *n); h });
            let mut merged = fold(&values[cut..]);
            merged.merge(&fold(&values[..cut]));
            prop_assert_eq!(merged, fold(&values));
        }
    }
}
