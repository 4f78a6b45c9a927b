//! Keys that come twice among any number of them, in bounded memory: a Bloom filter says which may, and a second walk
//! through the journal looks at those few exactly.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

/// Bits of one block: a cache line, so that a key costs one look into memory.
const BLOCK_BITS: u64 = 512;

/// Probes per key, nine bits of a hash each.
const PROBES: u32 = 7;

/// The filter's most memory: 32 MiB.
const MAX_BLOCKS: u64 = (32 << 20) / 64;

/// Keys that a full filter tells apart well: 27 bits for each.
const KEYS_PER_WALK: u64 = 10_000_000;

/// Keys that are looked at exactly, at most.
const MAX_SUSPECTS: usize = 1 << 20;

/// Notes keys and suspects those that may have come before.
pub(super) struct Repeats {
    blocks: Vec<[u64; 8]>,
    /// Keys are dealt into so many parts, each of which takes a walk of its own.
    parts: u64,
    part: u64,
    suspects: HashSet<u128>,
    /// There were more suspects than are looked at.
    pub(super) overflowed: bool,
}

impl Repeats {
    /// A filter for about so many keys.
    pub(super) fn of(keys: u64) -> Repeats {
        let parts = keys.div_ceil(KEYS_PER_WALK).max(1);
        let blocks = (keys / parts * 27 / BLOCK_BITS + 64).min(MAX_BLOCKS);
        Repeats {
            blocks: vec![[0; 8]; usize::try_from(blocks).expect("at most half a million")],
            parts,
            part: 0,
            suspects: HashSet::new(),
            overflowed: false,
        }
    }

    /// Goes on to the next part of the keys; `false` when all were noted.
    pub(super) fn next_part(&mut self) -> bool {
        self.part += 1;
        let goes_on = self.part < self.parts;
        if goes_on {
            self.blocks.fill([0; 8]);
        } else {
            self.blocks = Vec::new();
        }
        goes_on
    }

    pub(super) fn note(&mut self, key: u128) {
        let places = FixedState::with_seed(1).hash_one(key);
        if (places >> 32) % self.parts != self.part {
            return;
        }
        let count = self.blocks.len() as u64;
        let block = &mut self.blocks[(((places & 0xffff_ffff) * count) >> 32) as usize];
        let bits = FixedState::with_seed(2).hash_one(key);
        let mut was_there = true;
        for probe in 0..PROBES {
            let bit = bits >> (probe * 9) & (BLOCK_BITS - 1);
            let word = &mut block[(bit / 64) as usize];
            was_there &= *word >> (bit % 64) & 1 == 1;
            *word |= 1 << (bit % 64);
        }
        if was_there {
            if self.suspects.len() < MAX_SUSPECTS {
                self.suspects.insert(key);
            } else {
                self.overflowed = true;
            }
        }
    }

    pub(super) fn suspects(self) -> HashSet<u128> {
        self.suspects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> u128 {
        u128::from(FixedState::with_seed(9).hash_one(n)) << 64 | u128::from(n)
    }

    #[test]
    fn every_key_that_comes_twice_is_suspected_and_hardly_any_other() {
        for parts in [1, 3] {
            let mut repeats = Repeats::of(200_000);
            repeats.parts = parts;
            loop {
                (0..100_000).chain((0..100_000).step_by(1000)).for_each(|n| repeats.note(key(n)));
                if !repeats.next_part() {
                    break;
                }
            }
            let suspects = repeats.suspects();
            assert!((0..100_000).step_by(1000).all(|n| suspects.contains(&key(n))), "in {parts} parts");
            assert!(suspects.len() < 120, "{} of 100,000 in {parts} parts", suspects.len());
        }
    }

    #[test]
    fn memory_stays_bounded_however_many_keys_are_expected() {
        for keys in [0, 1, 10_000_000, 1 << 40] {
            let blocks = Repeats::of(keys).blocks.len();
            assert!(blocks > 0 && blocks as u64 <= MAX_BLOCKS, "{keys}");
        }
    }
}
