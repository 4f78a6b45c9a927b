//! One user's sums as they stand in a sealed fold: 112 bytes, the first 24 of which sort.
//!
//! | bytes | |
//! |--|--|
//! | 0 | 0 no user, 1 a user |
//! | 1–12 | the user |
//! | 16–19, 20–23 | span, model: big-endian, so that rows sort by them |
//! | 24–31, 32–39, 40–47 | records, ok, failed |
//! | 48–63, 64–79, 80–95 | input tokens, output tokens, cost in pico-dollars |
//! | 96–103, 104–107 | the latest admission: microseconds since 1970, offset in seconds |
//!
//! Numbers are signed and little-endian but for the two that sort.

use crate::stats::{UserSums, Who};
use crate::usage::{Money, SubjectId, Timestamp};

/// The length of a row.
pub(super) const ROW: usize = 112;

/// The bytes that tell rows apart.
pub(super) const KEY: usize = 24;

/// A row: who, the span's and the model's number within the fold, the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct UserRow {
    pub(in crate::ledger) who: Who,
    pub(in crate::ledger) span: u32,
    pub(in crate::ledger) model: u32,
    pub(in crate::ledger) sums: UserSums,
}

impl UserRow {
    pub(super) fn to_bytes(self) -> [u8; ROW] {
        let mut bytes = [0; ROW];
        bytes[..KEY].copy_from_slice(&self.key());
        let sums = &self.sums;
        for (at, number) in [(24, sums.records), (32, sums.ok), (40, sums.failed)] {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        for (at, number) in [(48, sums.prompt), (64, sums.completion), (80, sums.cost.pico_usd())] {
            bytes[at..at + 16].copy_from_slice(&number.to_le_bytes());
        }
        if let Some(at) = sums.last_at {
            bytes[96..104].copy_from_slice(&at.unix_micros().to_le_bytes());
            bytes[104..108].copy_from_slice(&at.offset_secs().to_le_bytes());
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; ROW]) -> UserRow {
        let word = |at: usize| u32::from_be_bytes(take(bytes, at));
        let count = |at: usize| i64::from_le_bytes(take(bytes, at));
        let sum = |at: usize| i128::from_le_bytes(take(bytes, at));
        let micros = count(96);
        UserRow {
            who: if bytes[0] == 0 { Who::Absent } else { Who::User(SubjectId::from_bytes(take(bytes, 1))) },
            span: word(16),
            model: word(20),
            sums: UserSums {
                records: count(24),
                ok: count(32),
                failed: count(40),
                prompt: sum(48),
                completion: sum(64),
                cost: Money::from_pico_usd(sum(80)),
                last_at: (micros != 0).then(|| Timestamp::new(micros, i32::from_le_bytes(take(bytes, 104)))),
            },
        }
    }

    pub(super) fn key(&self) -> [u8; KEY] {
        let mut key = [0; KEY];
        if let Who::User(user) = self.who {
            key[0] = 1;
            key[1..13].copy_from_slice(user.as_bytes());
        }
        key[16..20].copy_from_slice(&self.span.to_be_bytes());
        key[20..].copy_from_slice(&self.model.to_be_bytes());
        key
    }
}

fn take<const N: usize>(bytes: &[u8; ROW], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the range is as long as the array")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_survives_its_bytes_and_sorts_by_user_span_and_model() {
        let row = |who, span, model| UserRow {
            who,
            span,
            model,
            sums: UserSums {
                records: -1,
                ok: 2,
                failed: i64::MIN,
                prompt: i128::MAX,
                completion: -7,
                cost: Money::from_pico_usd(12),
                last_at: Some(Timestamp::new(1_795_305_600_000_001, -21_600)),
            },
        };
        let user = |n: u8| Who::User(SubjectId::from_bytes([n; 12]));
        let rows = [
            row(Who::Absent, 9, 9),
            row(user(0), 0, 300),
            row(user(1), 0, 2),
            row(user(1), 0, 256),
            row(user(1), 1, 0),
        ];
        assert!(rows.iter().all(|row| UserRow::from_bytes(&row.to_bytes()) == *row));
        assert!(rows.windows(2).all(|pair| pair[0].to_bytes() < pair[1].to_bytes()));
        let first = UserRow::from_bytes(&rows[0].to_bytes()).sums.last_at.expect("it was set");
        assert_eq!(first.offset_secs(), -21_600);
    }
}
