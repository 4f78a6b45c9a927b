//! Taking over what was counted elsewhere: a token log and its totals, a token tracker's reports, raymundo's
//! metrics, another tallybot's books.
//!
//! A parser for each form makes calls and totals of a file ([`Found`]). A call is known by its source and an id for ever,
//! so importing again adds nothing; what a total has beyond the calls of its source becomes an opening balance.

mod balance;
mod document;
mod files;
mod found;
#[cfg(test)]
mod hostile;
mod known;
mod lines;
mod own_lines;
mod raymundo;
mod run;
mod session_report;
mod summary;
mod take;
mod token_log;
mod token_stats;
mod turn;
mod wire;

pub use files::Format;
pub use found::{Found, Sums, Total};
pub use run::{OnProgress, Request, import};
pub use summary::{BadLine, OfEpoch, Summary};
pub use wire::{ImportLine, parse_lines};
