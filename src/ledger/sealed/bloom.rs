//! Whether an id may be among many: a Bloom filter of some 10 bits an id. "No" is certain; one "yes" in a hundred is
//! wrong, and is asked again of the ids themselves.

/// Bits per id, and bits set for each: 0.8 % of the answers are a wrong "yes".
const BITS_PER_ID: u64 = 10;
const PROBES: u64 = 7;

/// A filter over 128-bit digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ledger) struct Bloom {
    bytes: Vec<u8>,
}

impl Bloom {
    /// An empty filter with room for so many ids.
    pub(super) fn for_ids(ids: u64) -> Bloom {
        Bloom { bytes: vec![0; (ids * BITS_PER_ID).div_ceil(8) as usize] }
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Bloom {
        Bloom { bytes }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn insert(&mut self, digest: u128) {
        for bit in bits(digest, self.bytes.len()) {
            self.bytes[bit / 8] |= 1 << (bit % 8);
        }
    }

    /// Whether the id may be there.
    pub(in crate::ledger) fn may_contain(&self, digest: u128) -> bool {
        !self.bytes.is_empty() && bits(digest, self.bytes.len()).all(|bit| self.bytes[bit / 8] & 1 << (bit % 8) != 0)
    }
}

/// The bits of an id; its digest is as good as random, so two halves of it make them all.
fn bits(digest: u128, bytes: usize) -> impl Iterator<Item = usize> {
    let (first, step) = (digest as u64, (digest >> 64) as u64 | 1);
    (0..PROBES).map(move |probe| (first.wrapping_add(probe.wrapping_mul(step)) % (bytes as u64 * 8).max(1)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found_and_little_else() {
        let digest = |n: u64| {
            u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64
                | u128::from(n.rotate_left(32)).wrapping_mul(0xd6e8_feb8_6659_fd93) & u128::from(u64::MAX)
        };
        let mut bloom = Bloom::for_ids(10_000);
        (0..10_000).for_each(|n| bloom.insert(digest(n)));
        let bloom = Bloom::from_bytes(bloom.as_bytes().to_vec());
        assert!((0..10_000).all(|n| bloom.may_contain(digest(n))));
        let wrong = (10_000..20_000).filter(|n| bloom.may_contain(digest(*n))).count();
        assert!(wrong < 300, "{wrong} of 10,000");
        assert!(!Bloom::default().may_contain(7));
    }
}
