//! The cap on names: which of a record's names get a row of their own, decided once, at append, and written into the
//! line so that every later fold agrees.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::stats::{Key, Picture, Symbol};
use crate::usage::names::Name;
use crate::usage::{Day, Dimension, UsageRecord};

/// Names a dimension may have per day, besides those that are known.
const MAX_NAMES: usize = 1024;

/// Rows a day may have.
const MAX_ROWS: usize = 65_536;

/// Whether a name of a dimension is known.
type Knows = dyn Fn(Dimension, &str) -> bool + Send + Sync;

/// Says whether a name is known from the configuration or the price book, and so always has a row of its own.
#[derive(Clone)]
pub struct KnownNames(Arc<Knows>);

impl KnownNames {
    /// Known names by a function.
    pub fn new(knows: impl Fn(Dimension, &str) -> bool + Send + Sync + 'static) -> KnownNames {
        KnownNames(Arc::new(knows))
    }

    /// No name is known beforehand.
    pub fn none() -> KnownNames {
        KnownNames::new(|_, _| false)
    }
}

/// The names and rows of one day so far.
pub(super) struct Admission {
    known: KnownNames,
    day: Day,
    seen: [HashSet<Box<str>, FixedState>; Dimension::ALL.len()],
    rows: usize,
}

impl Admission {
    /// What a day's cube already holds.
    pub(super) fn of_day(known: KnownNames, picture: &Picture, day: Day) -> Admission {
        let mut admission = Admission { known, day, seen: Default::default(), rows: 0 };
        let mut symbols: HashSet<(Dimension, Symbol)> = HashSet::new();
        for key in picture.day_rows(day) {
            admission.rows += 1;
            symbols.extend(Dimension::ALL.iter().map(|dimension| (*dimension, key.symbol(*dimension))));
            symbols.insert((Dimension::Provider, key.api_type));
        }
        for (dimension, symbol) in symbols {
            if let Some(text) = picture.names().text(symbol) {
                admission.note(dimension, text);
            }
        }
        admission
    }

    /// The dimensions whose name has no room and counts as `other`; notes the names that have.
    pub(super) fn others(&mut self, record: &UsageRecord<'_>, picture: &Picture) -> Vec<Dimension> {
        let day = record.timestamp.day();
        if day != self.day {
            *self = Admission::of_day(self.known.clone(), picture, day);
        }
        if self.rows >= MAX_ROWS && !has_row(record, picture) {
            return Dimension::ALL.to_vec();
        }
        let mut others = Vec::new();
        for dimension in Dimension::ALL {
            if let Some(name) = name_of(record, *dimension)
                && !self.admits(*dimension, name)
            {
                others.push(*dimension);
            }
        }
        // The API stands or falls with the provider: both come from whoever reports.
        if !others.contains(&Dimension::Provider) && !self.admits(Dimension::Provider, &record.api_type) {
            others.push(Dimension::Provider);
        }
        others
    }

    fn admits(&mut self, dimension: Dimension, name: &str) -> bool {
        let seen = &self.seen[dimension as usize];
        if seen.contains(name) {
            return true;
        }
        if seen.len() >= MAX_NAMES && !(self.known.0)(dimension, name) {
            return false;
        }
        self.note(dimension, name);
        true
    }

    fn note(&mut self, dimension: Dimension, name: &str) {
        self.seen[dimension as usize].insert(name.into());
    }

    /// Notes how many rows the day has now.
    pub(super) fn note_rows(&mut self, picture: &Picture) {
        self.rows = picture.day_rows_len(self.day);
    }
}

fn has_row(record: &UsageRecord<'_>, picture: &Picture) -> bool {
    Key::find(record, picture.names()).is_some_and(|key| picture.day_has_row(record.timestamp.day(), &key))
}

fn name_of<'r>(record: &'r UsageRecord<'_>, dimension: Dimension) -> Option<&'r str> {
    let optional = |name: &'r Option<Name<'_>>| name.as_ref().map(Name::as_str);
    match dimension {
        Dimension::Provider => Some(record.provider.as_str()),
        Dimension::Model => Some(record.model.as_str()),
        Dimension::RequestType => Some(record.request_type.as_str()),
        Dimension::Channel => Some(record.channel.as_str()),
        Dimension::Feature => optional(&record.feature),
        Dimension::Agent => optional(&record.agent),
        Dimension::Operation => optional(&record.operation),
        Dimension::Team => optional(&record.team),
        Dimension::Key => optional(&record.key),
        Dimension::Price => optional(&record.price_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Stats;
    use crate::usage::{RecordId, Timestamp};

    #[test]
    fn the_first_names_of_a_day_and_known_ones_have_a_row() {
        let at = Timestamp::new(1_795_305_600_000_000, 0);
        let known = KnownNames::new(|dimension, name| dimension == Dimension::Model && name == "gpt-4o");
        let mut stats = Stats::default();
        let mut admission = Admission::of_day(known.clone(), &stats.picture(), at.day());
        let append = |stats: &mut Stats, admission: &mut Admission, model: String| {
            let mut record = UsageRecord::new(RecordId::new(at, [0; 10]), at, "p".into(), model.into());
            record.other = admission.others(&record, &stats.picture());
            stats.apply(&record);
            admission.note_rows(&stats.picture());
            record.other
        };
        for n in 0..MAX_NAMES {
            assert!(append(&mut stats, &mut admission, format!("m{n}")).is_empty());
        }
        let mut restarted = Admission::of_day(known, &stats.picture(), at.day());
        for admission in [&mut admission, &mut restarted] {
            assert_eq!(append(&mut stats, admission, "one too many".into()), [Dimension::Model]);
            assert!(append(&mut stats, admission, "m7".into()).is_empty());
            assert!(append(&mut stats, admission, "gpt-4o".into()).is_empty());
        }
        assert_eq!(stats.picture().all_time().total(|_| true).records, MAX_NAMES as i64 + 6);
        assert_eq!(stats.picture().day_rows(at.day()).count(), MAX_NAMES + 2);
    }

    #[test]
    fn the_names_of_apis_are_capped_as_well() {
        let at = Timestamp::new(1_795_305_600_000_000, 0);
        let mut stats = Stats::default();
        let mut admission = Admission::of_day(KnownNames::none(), &stats.picture(), at.day());
        for n in 0..3 * MAX_NAMES {
            let mut record = UsageRecord::new(RecordId::new(at, [0; 10]), at, "p".into(), "m".into());
            record.api_type = format!("a{n}").into();
            record.other = admission.others(&record, &stats.picture());
            stats.apply(&record);
            admission.note_rows(&stats.picture());
        }
        assert!(stats.picture().day_rows_len(at.day()) <= MAX_NAMES + 1);
    }
}
