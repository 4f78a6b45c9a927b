//! The epochs: what was counted between one reset and the next. Counted back from the current one, which is 0.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::stats::{Period, Picture};
use crate::usage::Timestamp;

/// Which epoch a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EpochInfo {
    /// 0 is the current one, 1 the one before the last reset, …
    pub number: usize,
    /// How many there are.
    pub count: usize,
    /// The reset it began with; for the first one, when the books were begun.
    pub begin: Option<Timestamp>,
    /// The reset it ended with; `None` for the current one.
    pub end: Option<Timestamp>,
}

impl Default for EpochInfo {
    /// The current one, where nothing was ever reset.
    fn default() -> EpochInfo {
        EpochInfo { number: 0, count: 1, begin: None, end: None }
    }
}

impl EpochInfo {
    /// One of the epochs of a picture, by its number; `begun` is when the books were.
    ///
    /// # Errors
    /// When there are not so many.
    pub fn of(picture: &Picture, number: usize, begun: Option<Timestamp>) -> Result<EpochInfo, NoSuchEpoch> {
        let count = picture.epochs_len();
        let (begin, end) = picture.epoch_span(number).ok_or(NoSuchEpoch { number, count })?;
        Ok(EpochInfo { number, count, begin: begin.or(begun), end })
    }
}

/// One epoch and its totals, as `tallybot stats --epochs` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochUse {
    /// Which.
    #[serde(flatten)]
    pub epoch: EpochInfo,
    /// All records of it.
    pub requests: u64,
    /// All their tokens.
    pub tokens: u64,
}

/// The epochs of a picture, the current one first.
pub fn epochs(picture: &Picture, begun: Option<Timestamp>) -> Vec<EpochUse> {
    let of = |number| {
        let epoch = EpochInfo::of(picture, number, begun).ok()?;
        let total = picture.select_epoch(number, Period::All, crate::usage::Day::default())?.total(|_| true);
        let requests = u64::try_from(total.records).unwrap_or(0);
        Some(EpochUse { epoch, requests, tokens: u64::try_from(total.tokens().max(0)).unwrap_or(u64::MAX) })
    };
    (0..picture.epochs_len()).filter_map(of).collect()
}

/// An epoch was asked for that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no epoch {number}: there {}", if *count == 1 { "is only one, the current one, 0".to_owned() }
    else { format!("are {count}, from 0 (the current one) to {} (the first one)", count - 1) })]
pub struct NoSuchEpoch {
    /// The one that was asked for.
    pub number: usize,
    /// How many there are.
    pub count: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_number_is_told_how_many_there_are() {
        let text = |number, count| NoSuchEpoch { number, count }.to_string();
        assert_eq!(text(3, 1), "there is no epoch 3: there is only one, the current one, 0");
        assert_eq!(text(3, 3), "there is no epoch 3: there are 3, from 0 (the current one) to 2 (the first one)");
    }
}
