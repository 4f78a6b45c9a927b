//! Totals by API and model, the consolidated form that a token log has: of a selection, or of records one
//! by one.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;

use crate::usage::names::OTHER;
use crate::usage::{Dimension, Kind, Status, Timestamp, UsageRecord};

use super::{Selection, Symbol};

/// What the calls of one model add up to. Signed, because corrections are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelTotals {
    /// All input tokens.
    pub prompt: i128,
    /// All output tokens.
    pub completion: i128,
    /// Records of every status.
    pub requests: i64,
    /// Answered.
    pub ok: i64,
    /// Failed. Cancelled and refused are neither ok nor failed.
    pub failed: i64,
    /// The newest admission.
    pub last_at: Option<Timestamp>,
}

impl ModelTotals {
    fn count(&mut self, status: Status, records: i64) {
        self.requests += records;
        if status.is_ok() {
            self.ok += records;
        } else if status.is_failed() {
            self.failed += records;
        }
    }

    fn is_nothing(&self) -> bool {
        ModelTotals { last_at: None, ..*self } == ModelTotals::default()
    }
}

/// [`ModelTotals`] of every API and model, sorted by both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelTable {
    apis: BTreeMap<String, BTreeMap<String, ModelTotals>>,
}

impl ModelTable {
    /// The table of a selection, in one walk through its rows.
    pub fn of(selection: &Selection<'_>) -> ModelTable {
        let mut sums: HashMap<(Symbol, Symbol), ModelTotals, FixedState> = HashMap::default();
        for (key, row) in selection.rows() {
            let totals = sums.entry((key.api_type, key.model)).or_default();
            totals.prompt += row.prompt;
            totals.completion += row.completion;
            totals.count(key.status, row.records);
            totals.last_at = totals.last_at.max(row.last_at);
        }
        let mut table = ModelTable::default();
        for ((api, model), totals) in sums {
            *table.row(selection.text(api), selection.text(model)) = totals;
        }
        table
    }

    /// Adds one record (takes it back if it is a void).
    pub fn add(&mut self, record: &UsageRecord<'_>) {
        let sign: i64 = if matches!(record.kind, Kind::Void { .. }) { -1 } else { 1 };
        let counted_as = |dimension, name| if record.other.contains(&dimension) { OTHER } else { name };
        let api = counted_as(Dimension::Provider, record.api_type.as_str());
        let totals = self.row(api, counted_as(Dimension::Model, record.model.as_str()));
        totals.prompt += i128::from(sign) * i128::from(record.tokens.prompt);
        totals.completion += i128::from(sign) * i128::from(record.tokens.completion);
        totals.count(record.status, sign.saturating_mul(i64::try_from(record.count).unwrap_or(i64::MAX)));
        totals.last_at = totals.last_at.max(Some(record.timestamp));
    }

    fn row(&mut self, api: &str, model: &str) -> &mut ModelTotals {
        if !self.apis.contains_key(api) {
            self.apis.insert(api.to_owned(), BTreeMap::new());
        }
        let models = self.apis.get_mut(api).expect("it was just put there");
        if !models.contains_key(model) {
            models.insert(model.to_owned(), ModelTotals::default());
        }
        models.get_mut(model).expect("it was just put there")
    }

    /// API, model and totals. Rows of which everything was taken back are left out.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &str, &ModelTotals)> {
        let rows = self
            .apis
            .iter()
            .flat_map(|(api, models)| models.iter().map(move |(model, totals)| (api.as_str(), model.as_str(), totals)));
        rows.filter(|(_, _, totals)| !totals.is_nothing())
    }
}
