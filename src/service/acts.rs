//! Resets, and taking them back, by a command.

use anyhow::Context;

use super::books::Books;
use super::remote;
use crate::ledger::Undone;
use crate::usage::Timestamp;

impl Books {
    /// Begins counting anew. Returns since when.
    ///
    /// # Errors
    /// When the act cannot be written.
    pub async fn reset(&self) -> anyhow::Result<Timestamp> {
        match self {
            Books::Here(here) => Ok(here.metering.reset()?),
            Books::There(there) => {
                let answer = remote::reset(&there.address, there.token.as_ref()).await;
                Ok(answer.with_context(|| there.failed())?.counting_since)
            }
        }
    }

    /// Takes the last reset back; `None` when there is none.
    ///
    /// # Errors
    /// As [`Books::reset`].
    pub async fn undo_reset(&self) -> anyhow::Result<Option<Undone>> {
        match self {
            Books::Here(here) => Ok(here.metering.undo_reset()?),
            Books::There(there) => {
                let answer = remote::undo_reset(&there.address, there.token.as_ref()).await;
                let Some(answer) = answer.with_context(|| there.failed())? else { return Ok(None) };
                let begin = answer.undone.context("the answer does not say which reset was taken back")?;
                Ok(Some(Undone { begin, counting_since: answer.counting_since }))
            }
        }
    }
}
