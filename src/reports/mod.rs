//! View models: the numbers of one picture of the books, ready to be shown as JSON or as text.
//!
//! Plain data and its layout. Reads no books itself and no clock: whoever has the fold fills a report in.

mod audience;
mod epochs;
mod fill;
mod limit_use;
pub mod raymundo;
pub mod records;
mod screen;
pub mod stats;
pub mod usage;
mod view;

pub use audience::{Audience, Look, NearlyFull, PEOPLE_SHOWN, PeopleUse, nearly_full};
pub use epochs::{EpochInfo, EpochUse, NoSuchEpoch, epochs};
pub use fill::Facts;
pub use limit_use::with_names;
pub use screen::StatsScreen;
pub use stats::StatsReport;
pub use view::View;

#[cfg(test)]
mod tests;
