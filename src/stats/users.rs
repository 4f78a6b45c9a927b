//! Who used what: rows by user, model, day and epoch, for the records of one stretch of the journal.
//!
//! A table is bounded: beyond its cap users count in a row `other` per model, so that its rows always sum to all of its
//! records. A reader's clone of the rows is a few `Arc`s; the index that finds a user's rows is the writer's alone.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::usage::names::{Name, OTHER};
use crate::usage::{Day, Dimension, Kind, Money, SubjectId, Timestamp, UsageRecord};

use super::tree::Tree;
use super::{Names, Symbol};

/// Users a table tells apart.
pub const MAX_LIVE_USERS: usize = 250_000;

/// Rows a table has for users; a user of several models has several.
const MAX_USER_ROWS: usize = 400_000;

/// Whose a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Who {
    /// A record without a user.
    Absent,
    /// One user.
    User(SubjectId),
    /// Users beyond the cap.
    Other,
}

/// A billing day within an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// The reset that the epoch began with; `None` before the first.
    pub epoch: Option<Timestamp>,
    /// The billing day.
    pub day: Day,
}

/// The sums of a user's records: signed, exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserSums {
    /// Records (attempts).
    pub records: i64,
    /// Those that count as ok.
    pub ok: i64,
    /// Those that count as failed.
    pub failed: i64,
    /// Input tokens.
    pub prompt: i128,
    /// Output tokens.
    pub completion: i128,
    /// Exact cost of the records whose price is known.
    pub cost: Money,
    /// The latest admission.
    pub last_at: Option<Timestamp>,
}

impl UserSums {
    /// The sums of one record.
    pub fn of(record: &UsageRecord<'_>) -> UserSums {
        let sign = if matches!(record.kind, Kind::Void { .. }) { -1 } else { 1 };
        let count = i64::try_from(record.count).unwrap_or(i64::MAX).saturating_mul(sign);
        let cost = record.cost.unwrap_or_default();
        UserSums {
            records: count,
            ok: if record.status.is_ok() { count } else { 0 },
            failed: if record.status.is_failed() { count } else { 0 },
            prompt: i128::from(sign) * i128::from(record.tokens.prompt),
            completion: i128::from(sign) * i128::from(record.tokens.completion),
            cost: if sign < 0 { -cost } else { cost },
            last_at: Some(record.timestamp),
        }
    }

    /// Adds other sums.
    pub fn merge(&mut self, other: &UserSums) {
        self.records = self.records.saturating_add(other.records);
        self.ok = self.ok.saturating_add(other.ok);
        self.failed = self.failed.saturating_add(other.failed);
        self.prompt = self.prompt.saturating_add(other.prompt);
        self.completion = self.completion.saturating_add(other.completion);
        self.cost += other.cost;
        self.last_at = self.last_at.max(other.last_at);
    }

    /// Input and output tokens.
    pub fn tokens(&self) -> i128 {
        self.prompt + self.completion
    }

    /// Whether it seems to have cost nothing, although something was used: tokens, or whatever it was that was answered.
    pub fn may_be_unpriced(&self) -> bool {
        self.cost == Money::default() && (self.tokens() > 0 || self.ok > 0)
    }
}

/// The name a record's model counts under.
pub fn counted_model<'r>(record: &'r UsageRecord<'_>) -> &'r str {
    if record.other.contains(&Dimension::Model) { OTHER } else { Name::as_str(&record.model) }
}

/// What tells rows apart.
type Key = (Who, u32, Symbol);

#[derive(Clone, Copy, Debug)]
struct Row {
    key: Key,
    sums: UserSums,
}

/// The rows of a table as they were at one moment. A clone is a few `Arc`s.
#[derive(Clone, Debug, Default)]
pub struct UserRows {
    rows: Tree<Row>,
    spans: Arc<Vec<Span>>,
}

impl UserRows {
    /// Every row, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Who, Span, Symbol, &UserSums)> {
        self.rows.iter().map(|row| {
            let (who, span, model) = row.key;
            (who, self.spans[span as usize], model, &row.sums)
        })
    }

    /// The rows of one user.
    pub fn of(&self, user: SubjectId) -> impl Iterator<Item = (Span, Symbol, &UserSums)> {
        self.iter().filter(move |(who, ..)| *who == Who::User(user)).map(|(_, span, model, sums)| (span, model, sums))
    }

    /// The days and epochs there are rows of.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    fn key(&self, at: u32) -> Key {
        self.rows.get(at as usize).expect("the index names rows that are there").key
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }
}

/// The users of one stretch of the journal: takes records, gives rows.
///
/// Both indexes hold nothing but places of rows, so that a row costs them some ten bytes.
#[derive(Debug)]
pub struct UserTable {
    rows: UserRows,
    /// Every row.
    index: HashTable<u32>,
    /// One row of each user.
    users: HashTable<u32>,
    /// Rows that are no user's.
    nobodys: usize,
    spans: HashMap<Span, u32, FixedState>,
    max_users: usize,
    max_rows: usize,
}

impl Default for UserTable {
    fn default() -> Self {
        UserTable::with_caps(MAX_LIVE_USERS, MAX_USER_ROWS)
    }
}

impl UserTable {
    /// A table that tells fewer users apart, or has fewer rows for them.
    pub fn with_caps(max_users: usize, max_rows: usize) -> UserTable {
        UserTable {
            rows: UserRows::default(),
            index: HashTable::new(),
            users: HashTable::new(),
            nobodys: 0,
            spans: HashMap::default(),
            max_users,
            max_rows,
        }
    }

    /// Adds one record of an epoch. Its model must be among the names.
    pub fn apply(&mut self, record: &UsageRecord<'_>, epoch: Option<Timestamp>, names: &Names) {
        let span = Span { epoch, day: record.timestamp.day() };
        let model = names.find(counted_model(record)).unwrap_or_default();
        self.add(record.user.map_or(Who::Absent, Who::User), span, model, &UserSums::of(record));
    }

    /// Adds sums to a row: to that of `other` when the row has no room.
    pub fn add(&mut self, who: Who, span: Span, model: Symbol, sums: &UserSums) {
        let key = (who, self.span(span), model);
        let at = match self.find(key) {
            Some(at) => at,
            None if self.has_room(who) => self.push(key),
            None => {
                let key = (Who::Other, key.1, model);
                self.find(key).unwrap_or_else(|| self.push(key))
            }
        };
        self.rows.rows.get_mut(at as usize).expect("the index names rows that are there").sums.merge(sums);
    }

    /// The rows as they are now.
    pub fn rows(&self) -> UserRows {
        self.rows.clone()
    }

    /// Every row, in no order; memory is given back on the way.
    pub fn into_rows(self) -> impl Iterator<Item = (Who, Span, Symbol, UserSums)> {
        let UserRows { rows, spans } = self.rows;
        rows.into_iter().map(move |Row { key: (who, span, model), sums }| (who, spans[span as usize], model, sums))
    }

    /// How many users are told apart.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    fn span(&mut self, span: Span) -> u32 {
        if let Some((last, before)) = self.rows.spans.split_last()
            && *last == span
        {
            return before.len() as u32; // as most are
        }
        *self.spans.entry(span).or_insert_with(|| {
            let spans = Arc::make_mut(&mut self.rows.spans);
            spans.push(span);
            u32::try_from(spans.len() - 1).expect("there are fewer than 2^32 days")
        })
    }

    fn find(&self, key: Key) -> Option<u32> {
        self.index.find(hash(&key), |at| self.rows.key(*at) == key).copied()
    }

    fn has_user(&self, who: Who) -> bool {
        self.users.find(hash(&who), |at| self.rows.key(*at).0 == who).is_some()
    }

    /// Whether there is room for one more row of that user.
    fn has_room(&self, who: Who) -> bool {
        let Who::User(_) = who else { return true };
        self.rows.len() - self.nobodys < self.max_rows && (self.users.len() < self.max_users || self.has_user(who))
    }

    fn push(&mut self, key: Key) -> u32 {
        let at = u32::try_from(self.rows.len()).expect("rows are capped far below 2^32");
        let is_new = matches!(key.0, Who::User(_)) && !self.has_user(key.0);
        self.rows.rows.push(Row { key, sums: UserSums::default() });
        let rows = &self.rows;
        self.index.insert_unique(hash(&key), at, |at| hash(&rows.key(*at)));
        if is_new {
            self.users.insert_unique(hash(&key.0), at, |at| hash(&rows.key(*at).0));
        }
        self.nobodys += usize::from(!matches!(key.0, Who::User(_)));
        at
    }
}

fn hash(value: &impl std::hash::Hash) -> u64 {
    FixedState::default().hash_one(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::stats::Stats;
    use crate::usage::arbitrary::record;

    type Sorted = BTreeMap<(Who, Span, Symbol), UserSums>;

    fn sorted(rows: &UserRows) -> Sorted {
        rows.iter().map(|(who, span, model, sums)| ((who, span, model), *sums)).collect()
    }

    fn names(records: &[UsageRecord<'_>]) -> Arc<crate::stats::Picture> {
        let mut stats = Stats::default();
        records.iter().for_each(|record| stats.apply(record));
        stats.picture()
    }

    fn total(rows: &UserRows) -> UserSums {
        let mut total = UserSums::default();
        rows.iter().for_each(|(_, _, _, sums)| total.merge(sums));
        total
    }

    proptest! {
        #[test]
        fn rows_sum_to_all_records_under_any_cap(
            records in prop::collection::vec(record(), 0..60), users in 0usize..6, rows in 0usize..8
        ) {
            let picture = names(&records);
            let mut table = UserTable::with_caps(users, rows);
            records.iter().for_each(|record| table.apply(record, None, picture.names()));
            let all = picture.all_time().total(|_| true);
            let sum = total(&table.rows());
            prop_assert_eq!((sum.records, sum.prompt, sum.completion), (all.records, all.prompt, all.completion));
            prop_assert_eq!((sum.cost, sum.last_at), (all.cost, picture.newest()));
            let ok = picture.all_time().total(|key| key.status.is_ok()).records;
            let failed = picture.all_time().total(|key| key.status.is_failed()).records;
            prop_assert_eq!((sum.ok, sum.failed), (ok, failed));
            prop_assert!(table.users() <= users);
        }

        #[test]
        fn adding_the_rows_of_another_table_is_counting_together(
            records in prop::collection::vec(record(), 0..60), cut in 0usize..60
        ) {
            let picture = names(&records);
            let fold = |records: &[UsageRecord<'_>]| {
                let mut table = UserTable::default();
                records.iter().for_each(|record| table.apply(record, None, picture.names()));
                table
            };
            let (early, late) = records.split_at(cut.min(records.len()));
            let mut merged = fold(late);
            let before = merged.rows();
            let unchanged = sorted(&before);
            for (who, span, model, sums) in fold(early).into_rows() {
                merged.add(who, span, model, &sums);
            }
            prop_assert_eq!(sorted(&merged.rows()), sorted(&fold(&records).rows()));
            prop_assert_eq!(sorted(&before), unchanged, "a reader's rows do not change");
        }
    }

    #[test]
    fn every_row_is_one_of_a_kind() {
        let at = Timestamp::new(1_795_305_600_000_000, 0);
        let span = |day: i32| Span { epoch: None, day: at.day().plus(day) };
        let user = |n: u32| Who::User(SubjectId::of(b"p", "test", &n.to_string()));
        let mut table = UserTable::with_caps(2, 100);
        let one = UserSums { records: 1, ..UserSums::default() };
        for _ in 0..2 {
            for (who, day, model) in [(1, 0, 1), (1, 1, 1), (1, 0, 2), (2, 0, 1), (3, 0, 1), (4, 0, 1), (4, 0, 2)] {
                table.add(user(who), span(day), Symbol(model), &one);
            }
        }
        let rows = table.rows();
        assert_eq!(rows.len(), sorted(&rows).len());
        assert_eq!(sorted(&rows)[&(Who::Other, span(0), Symbol(1))].records, 4);
        let Who::User(first) = user(1) else { unreachable!("it is a user") };
        assert_eq!(rows.of(first).map(|(_, _, sums)| sums.records).collect::<Vec<_>>(), [2, 2, 2]);
        assert_eq!((table.users(), rows.spans().len()), (2, 2));
    }
}
