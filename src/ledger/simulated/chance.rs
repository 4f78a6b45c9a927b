//! Chance that can be had again: splitmix64 from a seed.

pub(in crate::ledger) struct Chance(u64);

impl Chance {
    pub(in crate::ledger) fn of(seed: u64) -> Chance {
        Chance(seed)
    }

    pub(in crate::ledger) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(in crate::ledger) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in `n` times.
    pub(in crate::ledger) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
