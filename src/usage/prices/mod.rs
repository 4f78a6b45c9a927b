//! The price book: what a call cost, exactly, and which row of which list says so.
//!
//! Prices are whole micro-dollars per million tokens, so every cost is a whole number of pico-dollars. A price that is
//! not known stays unknown (`None`), never zero. No clock and no float: the moment of a call comes in with the question.

mod book;
mod changes;
mod document;
mod feed;
mod layer;
mod model_name;
mod price;
mod row;
mod taken;
mod tier;

#[cfg(test)]
mod tests;

pub use book::{Origin, PriceBook, PriceEntry, PriceQuery, Priced, UnknownPrice};
pub use changes::{Change, ChangeKind, Comparison, PriceChange};
pub use document::DocumentSet;
pub use feed::{Feed, FeedError, FeedFormat, MAX_FEED_BYTES, Offer, Refused, read_feed};
pub use layer::{MAX_PRICE_ID_BYTES, PriceListError};
pub use price::{Price, PriceError};
pub use row::{Peak, PeakError, PriceRow, PriceStatus};
pub use taken::{PriceImport, TakenPrices};
pub use tier::{Multiple, Tier};
