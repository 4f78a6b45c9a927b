//! The gate: what may be called now, and if not, when. Pure: no I/O, no clock, no randomness, no float.
//!
//! A [`Rule`] says what is limited and by how much; the [`Gate`] reserves a call in every rule that means it, or in
//! none, and settles it with what it really used. Requests count from their admission, tokens of a minute from their
//! settlement, both of a day on the admission day in the rule's own zone.

#![deny(clippy::float_arithmetic)]

mod acts;
mod calendar;
mod changing;
mod count;
mod day;
mod entry;
mod gate;
mod index;
mod kind;
mod left;
mod level;
mod minute;
mod observed;
mod refusal;
mod rule;
mod rulebook;
mod saved;
mod table;
mod terms;
#[cfg(test)]
mod tests;
mod windows;

pub use changing::Learning;
pub use day::DaySpan;
pub use gate::{Estimate, Gate, RESERVATION_MAX_AGE_SECS, Used, reaches_a_provider};
pub use kind::{Cap, Caps, LimitKind, Measure, Span};
pub use left::{Held, Left};
pub use level::{Level, Threshold, Thresholds};
pub use observed::{LEARNED_MAX_MS, Learned, Observed, Quota};
pub use refusal::{NextSafe, Refusal};
pub use rule::{AtLimit, Facet, Label, Pick, Rule, Scope, Subject};
pub use rulebook::Rulebook;
pub use saved::{Compared, SAVED_ENTRIES_MAX};
pub use table::ENTRIES_MAX;
pub use windows::{FULLEST_SHOWN, Window};
