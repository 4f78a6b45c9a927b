//! The users of the lines that no sealed fold holds yet, beside the folds of all other lines: together, everybody.

use std::sync::Arc;

use super::sealed::Fold;
use crate::stats::{Names, Picture, UserRows, UserTable};
use crate::usage::{Day, UsageRecord};

/// Days of the journal that may wait for their fold; of older ones the live rows are let go.
const MAX_TABLES: usize = 3;

/// Who used what, by the day of the journal file: live tables for the days not sealed, folds for those that are.
#[derive(Default)]
pub(super) struct LiveUsers {
    tables: Vec<(Day, UserTable)>,
    folds: Arc<Vec<Arc<Fold>>>,
    complete: bool,
    #[cfg(test)]
    caps: Option<(usize, usize)>,
}

/// All of it as it was at one moment.
pub(super) struct LiveView {
    pub(super) live: Vec<UserRows>,
    pub(super) names: Arc<Names>,
    pub(super) folds: Arc<Vec<Arc<Fold>>>,
    pub(super) complete: bool,
}

impl LiveUsers {
    /// Counts a record just written to a file of that day, and folded.
    pub(super) fn apply(&mut self, day: Day, record: &UsageRecord<'_>, picture: &Picture) {
        self.table(day).apply(record, picture.epoch_of(record.timestamp), picture.names());
    }

    /// The table of a day that has no fold yet.
    pub(super) fn table(&mut self, day: Day) -> &mut UserTable {
        let at = match self.tables.iter().rposition(|(of, _)| *of == day) {
            Some(at) => at,
            None => {
                if self.tables.len() >= MAX_TABLES {
                    self.tables.remove(0);
                    self.complete = false;
                }
                #[cfg(test)]
                let table =
                    self.caps.map_or_else(UserTable::default, |(users, rows)| UserTable::with_caps(users, rows));
                #[cfg(not(test))]
                let table = UserTable::default();
                self.tables.push((day, table));
                self.tables.len() - 1
            }
        };
        &mut self.tables[at].1
    }

    /// Takes the folds of all files of a day in the place of its live rows.
    pub(super) fn seal(&mut self, day: Day, folds: impl IntoIterator<Item = Arc<Fold>>) {
        self.tables.retain(|(of, _)| *of != day);
        let all = Arc::make_mut(&mut self.folds);
        all.retain(|fold| fold.file().day != day);
        all.extend(folds);
    }

    /// Notes that every line that was there at the start is in a table or a fold.
    pub(super) fn set_complete(&mut self) {
        self.complete = true;
    }

    pub(super) fn folds(&self) -> Arc<Vec<Arc<Fold>>> {
        Arc::clone(&self.folds)
    }

    pub(super) fn view(&self, picture: &Picture) -> LiveView {
        LiveView {
            live: self.tables.iter().map(|(_, table)| table.rows()).collect(),
            names: picture.shared_names(),
            folds: self.folds(),
            complete: self.complete,
        }
    }

    /// Tells fewer users apart from now on.
    #[cfg(test)]
    pub(super) fn cap_for_test(&mut self, users: usize, rows: usize) {
        self.caps = Some((users, rows));
        self.tables.clear();
    }
}
