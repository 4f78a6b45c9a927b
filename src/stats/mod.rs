//! THE ANSWERS: every number that is shown, as a pure fold over usage records.
//!
//! [`Stats`] takes records; a [`Picture`] is an unchanging view of it that costs one `Arc` to take; a [`Selection`]
//! answers questions about a period. Folding is associative and commutative, so any order and any partition of the
//! same records gives the same picture. No I/O, no clock, no float.

#![deny(clippy::float_arithmetic)]

mod by_model;
mod cube;
mod distinct;
mod drift;
mod histogram;
#[cfg(test)]
mod laws;
mod lines;
mod names;
mod openings;
mod picture;
mod recent;
mod saved;
mod sums;
mod tree;
mod users;

pub use by_model::{ModelTable, ModelTotals};
pub use cube::{Cube, Key};
pub use distinct::Distinct;
pub use drift::Drift;
pub use histogram::Histogram;
pub use lines::LineReader;
pub use names::{Names, Symbol};
pub use openings::Openings;
pub use picture::{ACTIVE_MINUTES, Period, Picture, RESIDENT_DAYS, Row, Selection, Stats};
pub use recent::{LargePrompt, Recent, Silence};
pub use saved::Saved;
pub use sums::Sums;
pub use users::{MAX_LIVE_USERS, Span, UserRows, UserSums, UserTable, Who, counted_model};
