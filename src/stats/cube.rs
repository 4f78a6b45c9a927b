//! A cube: sums by everything that can be asked for. Every table is a group-by of its rows.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::usage::names::{Name, OTHER};
use crate::usage::{Dimension, Status, Timestamp, UsageRecord, UsageSource};

use super::tree::Tree;
use super::{Distinct, Names, Sums, Symbol};

/// What tells rows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Hour of the billing day, 0 to 23; [`Key::NO_HOUR`] in a summary of whole days.
    pub hour: u8,
    /// How the call ended.
    pub status: Status,
    /// How its tokens are known.
    pub usage_source: UsageSource,
    /// Whether it ran on the owner's machine.
    pub local: bool,
    /// The configured provider.
    pub provider: Symbol,
    /// The API spoken.
    pub api_type: Symbol,
    /// The model.
    pub model: Symbol,
    /// What it was for.
    pub request_type: Symbol,
    /// The owner's dimension.
    pub feature: Symbol,
    /// The owner's dimension.
    pub agent: Symbol,
    /// The owner's dimension.
    pub operation: Symbol,
    /// The owner's dimension.
    pub team: Symbol,
    /// Where it came from.
    pub channel: Symbol,
    /// The gateway key.
    pub key: Symbol,
    /// The price row.
    pub price: Symbol,
}

impl Key {
    /// The hour of rows that are summed over whole days.
    pub const NO_HOUR: u8 = 255;

    /// The key of a record; its names are added to the table.
    pub fn of(record: &UsageRecord<'_>, names: &mut Names) -> Key {
        Key::with(record, |name| Some(names.intern(name))).expect("every name is given a symbol")
    }

    /// The key of a record whose names are all in the table.
    pub fn find(record: &UsageRecord<'_>, names: &Names) -> Option<Key> {
        Key::with(record, |name| names.find(name))
    }

    fn with(record: &UsageRecord<'_>, mut of_name: impl FnMut(&str) -> Option<Symbol>) -> Option<Key> {
        let mut symbol = |dimension: Dimension, name: Option<&Name<'_>>| match name {
            Some(_) if record.other.contains(&dimension) => of_name(OTHER),
            Some(name) => of_name(name),
            None => Some(Symbol::ABSENT),
        };
        Some(Key {
            hour: record.timestamp.hour(),
            status: record.status,
            usage_source: record.usage_source,
            local: record.local,
            provider: symbol(Dimension::Provider, Some(&record.provider))?,
            api_type: symbol(Dimension::Provider, Some(&record.api_type))?,
            model: symbol(Dimension::Model, Some(&record.model))?,
            request_type: symbol(Dimension::RequestType, Some(&record.request_type))?,
            feature: symbol(Dimension::Feature, record.feature.as_ref())?,
            agent: symbol(Dimension::Agent, record.agent.as_ref())?,
            operation: symbol(Dimension::Operation, record.operation.as_ref())?,
            team: symbol(Dimension::Team, record.team.as_ref())?,
            channel: symbol(Dimension::Channel, Some(&record.channel))?,
            key: symbol(Dimension::Key, record.key.as_ref())?,
            price: symbol(Dimension::Price, record.price_id.as_ref())?,
        })
    }

    /// The key without what one screen or report does not tell apart: hours, prices, and the owner's dimensions.
    pub fn condensed(self) -> Key {
        let absent = Symbol::ABSENT;
        Key {
            hour: Key::NO_HOUR,
            feature: absent,
            agent: absent,
            operation: absent,
            team: absent,
            channel: absent,
            key: absent,
            price: absent,
            ..self
        }
    }

    /// The symbol of a dimension.
    pub fn symbol(&self, dimension: Dimension) -> Symbol {
        match dimension {
            Dimension::Provider => self.provider,
            Dimension::Model => self.model,
            Dimension::RequestType => self.request_type,
            Dimension::Feature => self.feature,
            Dimension::Agent => self.agent,
            Dimension::Operation => self.operation,
            Dimension::Team => self.team,
            Dimension::Channel => self.channel,
            Dimension::Key => self.key,
            Dimension::Price => self.price,
        }
    }
}

/// Rows, and what does not fit into rows: who, and when last. A clone is a few `Arc`s.
#[derive(Clone, Debug, Default)]
pub struct Cube {
    rows: Tree<(Key, Sums)>,
    index: Arc<HashMap<Key, u32, FixedState>>,
    users: Arc<Distinct>,
    last_at: Option<Timestamp>,
    /// Some row has an hour.
    has_hours: bool,
}

impl Cube {
    /// Adds one record under its key.
    pub fn add(&mut self, key: Key, record: &UsageRecord<'_>) {
        let at = self.place(&key).unwrap_or_else(|| self.push(key));
        self.add_at(at, record);
    }

    /// Adds one record to the row in that place.
    pub(super) fn add_at(&mut self, at: u32, record: &UsageRecord<'_>) {
        self.row_at(at).add(record);
        if let Some(user) = &record.user
            && self.users.would_change(user)
        {
            Arc::make_mut(&mut self.users).add(user);
        }
        self.last_at = self.last_at.max(Some(record.timestamp));
    }

    /// Adds another cube over the same names, keeping its hours.
    pub fn merge(&mut self, other: &Cube) {
        self.merge_as(other, |key| key);
    }

    /// Adds another cube over the same names as whole days.
    pub fn merge_without_hours(&mut self, other: &Cube) {
        self.merge_as(other, |key| Key { hour: Key::NO_HOUR, ..key });
    }

    /// Adds another cube over the same names, each row under the key that `change` makes of its own.
    pub(super) fn merge_as(&mut self, other: &Cube, change: impl Fn(Key) -> Key) {
        for (key, sums) in other.rows() {
            self.row(change(*key)).merge(sums);
        }
        self.add_users(&other.users);
        self.last_at = self.last_at.max(other.last_at);
    }

    pub(super) fn add_users(&mut self, users: &Distinct) {
        Arc::make_mut(&mut self.users).merge(users);
    }

    pub(super) fn set_last_at(&mut self, at: Option<Timestamp>) {
        self.last_at = self.last_at.max(at);
    }

    /// The sums of a row, added if it is new.
    pub(super) fn row(&mut self, key: Key) -> &mut Sums {
        let at = self.place(&key).unwrap_or_else(|| self.push(key));
        self.row_at(at)
    }

    fn row_at(&mut self, at: u32) -> &mut Sums {
        &mut self.rows.get_mut(at as usize).expect("the index names rows that are there").1
    }

    fn push(&mut self, key: Key) -> u32 {
        let at = u32::try_from(self.rows.len()).expect("rows are capped far below 2^32");
        self.has_hours |= key.hour != Key::NO_HOUR;
        Arc::make_mut(&mut self.index).insert(key, at);
        self.rows.push((key, Sums::default()));
        at
    }

    /// Every row.
    pub fn rows(&self) -> impl Iterator<Item = (&Key, &Sums)> {
        self.rows.iter().map(|(key, sums)| (key, sums))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }

    /// Whether a row is there.
    pub fn contains(&self, key: &Key) -> bool {
        self.index.contains_key(key)
    }

    /// The place of a row, if it is there. It stays the same.
    pub(super) fn place(&self, key: &Key) -> Option<u32> {
        self.index.get(key).copied()
    }

    /// Whether hours are told apart.
    pub(super) fn has_hours(&self) -> bool {
        self.has_hours
    }

    /// The users seen.
    pub fn users(&self) -> &Distinct {
        &self.users
    }

    /// The latest admission.
    pub fn last_at(&self) -> Option<Timestamp> {
        self.last_at
    }
}
