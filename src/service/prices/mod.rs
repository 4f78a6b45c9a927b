//! Prices at work: whether every model has one, what a list of others would change, and what calls would have cost by
//! other prices.

mod check;
mod import;
#[cfg(test)]
mod laws;
mod what_if;

pub use check::{CheckedModel, PriceCheck, PriceState, check};
pub use import::{ImportRequest, ImportSummary, Proposed, Undone, import, read_list, undo};
pub use what_if::{Group, Tally, WhatIf, list_as_book, what_if};
