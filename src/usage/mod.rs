//! THE FACTS: what one model call used, when, for whom and at what price.
//!
//! Plain data and exact arithmetic. No I/O, no clock, no randomness, no float:
//! whatever is written here can be folded, compared and replayed for ever.

#![deny(clippy::float_arithmetic)]

#[cfg(test)]
pub(crate) mod arbitrary;
mod calibration;
pub mod decimal;
mod estimate;
mod failure;
mod ids;
pub mod json;
mod lately;
mod line;
mod money;
pub mod names;
mod opening;
pub mod prices;
mod record;
mod schema;
mod text;
mod time;
mod tokens;
mod writing;
mod zone;

pub use calibration::{Calibration, Factors};
pub use estimate::{TOKENS_PER_MESSAGE, TokenEstimator, Vocabulary, estimate_prompt_tokens, estimate_tokens};
pub use failure::Failure;
pub use ids::{KeySuffix, Pepper, RecordId, SubjectId};
pub use lately::Lately;
pub use line::{LINE_VERSION, LineError, MAX_LINE_BYTES, Sealed, seal_line, unseal_line};
pub use money::{Money, MoneyError};
pub use opening::{Opening, Origin};
pub use record::{
    Dimension, ErrorKind, Estimated, Given, Kind, MAX_METADATA_BYTES, Metadata, OutputCap, Status, UsageRecord,
};
pub use time::{Clock, Day, Now, Tick, TimeError, Timestamp};
pub use tokens::{TokenCounts, UsageSource};
pub use writing::{push_decimal, write_record};
pub use zone::Zone;
#[cfg(test)]
pub(crate) use zone::{zone, zones};
