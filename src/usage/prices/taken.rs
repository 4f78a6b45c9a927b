//! What was taken from others' lists, as it is kept: the rows, and which lists they came from.

use serde::{Deserialize, Serialize};

use super::changes::{Change, start_of};
use super::{PriceBook, PriceRow};
use crate::usage::Timestamp;

/// The version of the form.
const VERSION: u32 = 1;

/// No more imports are remembered.
const MAX_IMPORTS: usize = 100;

/// The rows that were taken, in the form they are kept in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenPrices {
    v: u32,
    /// Which lists were taken, the newest last.
    pub imports: Vec<PriceImport>,
    /// The rows.
    pub rows: Vec<PriceRow>,
}

/// One list that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceImport {
    /// When.
    pub at: Timestamp,
    /// Whose form it has.
    pub format: String,
    /// The file's name.
    pub file: String,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// How many models were taken from it.
    pub taken: usize,
}

impl Default for TakenPrices {
    fn default() -> TakenPrices {
        TakenPrices { v: VERSION, imports: Vec::new(), rows: Vec::new() }
    }
}

impl TakenPrices {
    /// Reads the form.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub fn read(text: &[u8]) -> Result<TakenPrices, (u64, String)> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let wrong = |error: serde_json::Error| (error.line() as u64, error.to_string());
        let Version { v } = serde_json::from_slice(text).map_err(wrong)?;
        if v != VERSION {
            return Err((1, format!("its version is {v}, and this tallybot knows {VERSION}; a newer one wrote it")));
        }
        let taken: TakenPrices = serde_json::from_slice(text).map_err(wrong)?;
        taken.check().map_err(|problem| (1, problem))?;
        Ok(taken)
    }

    /// Whether the rows make a list.
    fn check(&self) -> Result<(), String> {
        let checked = PriceBook::bundled().with_taken(self.rows.clone());
        checked.map(|_| ()).map_err(|problems| problems[0].to_string())
    }

    /// The form in which it is kept.
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("plain data can be written");
        text.push(b'\n');
        text
    }

    /// The same with changes taken. What was taken before of the same names ends on that day.
    ///
    /// # Errors
    /// When the rows contradict each other.
    pub fn with(mut self, changes: &[&Change], import: PriceImport) -> Result<TakenPrices, String> {
        let today = start_of(import.at);
        let replaced: std::collections::HashSet<(Option<&str>, &str)> = changes
            .iter()
            .flat_map(|change| change.rows.iter().flat_map(|row| row.names().map(|name| (row.vendor.as_deref(), name))))
            .collect();
        for row in &mut self.rows {
            if row.names().any(|name| replaced.contains(&(row.vendor.as_deref(), name))) {
                row.until = Some(row.until.map_or(today, |until| until.min(today)));
            }
        }
        // A row that never counted, such as one taken earlier that day, is gone.
        self.rows.retain(|row| row.until.is_none_or(|until| row.from.is_none_or(|from| from < until)));
        self.rows.extend(changes.iter().flat_map(|change| change.rows.iter().cloned()));
        self.imports.push(import);
        let surplus = self.imports.len().saturating_sub(MAX_IMPORTS);
        self.imports.drain(..surplus);
        self.check()?;
        Ok(self)
    }
}
