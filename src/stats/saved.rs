//! A picture as it is written into a snapshot, and read back into the names of another.

use std::sync::Arc;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use crate::usage::{Day, ErrorKind, Money, Status, SubjectId, Timestamp, UsageSource};

use super::picture::Epoch;
use super::{Cube, Distinct, Histogram, Key, Names, Openings, Picture, Stats, Sums, Symbol};

/// A picture as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    names: Vec<String>,
    resets: Vec<Timestamp>,
    epochs: Vec<SavedEpoch>,
    active: Vec<(SubjectId, Timestamp)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SavedEpoch {
    retired: SavedCube,
    days: Vec<(Day, SavedCube)>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedCube {
    rows: Vec<SavedRow>,
    /// Registers of the distinct users: three bytes each, base 64.
    users: String,
    last_at: Option<Timestamp>,
}

/// A row: what is zero is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedRow {
    /// hour, provider, api type, model, type, feature, agent, operation, team, channel, key, price
    key: [u32; 12],
    status: Status,
    usage_source: UsageSource,
    #[serde(default, skip_serializing_if = "is_default")]
    local: bool,
    records: i64,
    #[serde(default, skip_serializing_if = "is_default")]
    messages: i64,
    /// prompt, completion, cached, cache write, reasoning
    tokens: [i128; 5],
    #[serde(default, skip_serializing_if = "is_default")]
    cost_usd: Money,
    #[serde(default, skip_serializing_if = "is_default")]
    unpriced: i64,
    #[serde(default, skip_serializing_if = "is_default")]
    latency_sum_ms: i128,
    #[serde(default, skip_serializing_if = "is_default")]
    latency: Vec<(u16, i64)>,
    #[serde(default, skip_serializing_if = "is_default")]
    first_token: Vec<(u16, i64)>,
    #[serde(default, skip_serializing_if = "is_default")]
    cost_buckets: [i64; 6],
    #[serde(default, skip_serializing_if = "is_default")]
    errors: Vec<(String, i64)>,
    #[serde(default, skip_serializing_if = "is_default")]
    last_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_default")]
    openings: Openings,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Picture {
    /// This picture as plain data.
    pub fn saved(&self) -> Saved {
        let mut active: Vec<_> = self.active.iter().map(|(session, at)| (*session, *at)).collect();
        active.sort_unstable();
        Saved {
            names: self.names.texts().map(str::to_owned).collect(),
            resets: self.resets.clone(),
            epochs: self.epochs.iter().map(|epoch| SavedEpoch::of(epoch)).collect(),
            active,
        }
    }
}

impl Saved {
    /// The fold this was saved from.
    pub fn restored(&self) -> Stats {
        Stats::from_picture(self.restored_into(&Names::default()))
    }

    /// The picture over a table of names that begins with the given one.
    pub(super) fn restored_into(&self, names: &Names) -> Picture {
        let mut names = names.clone();
        let symbols: Vec<Symbol> =
            std::iter::once(Symbol::ABSENT).chain(self.names.iter().map(|name| names.intern(name))).collect();
        let mut epochs: Vec<_> = self.epochs.iter().map(|epoch| Arc::new(epoch.restored(&symbols))).collect();
        epochs.resize_with(self.resets.len() + 1, Arc::default);
        Picture {
            names: Arc::new(names),
            epochs,
            resets: self.resets.clone(),
            active: Arc::new(self.active.iter().copied().collect()),
        }
    }
}

impl SavedEpoch {
    fn of(epoch: &Epoch) -> SavedEpoch {
        SavedEpoch {
            retired: SavedCube::of(&epoch.retired),
            days: epoch.days.iter().map(|(day, cube)| (*day, SavedCube::of(cube))).collect(),
        }
    }

    fn restored(&self, symbols: &[Symbol]) -> Epoch {
        Epoch {
            retired: Arc::new(self.retired.restored(symbols)),
            days: self.days.iter().map(|(day, cube)| (*day, Arc::new(cube.restored(symbols)))).collect(),
        }
    }
}

impl SavedCube {
    fn of(cube: &Cube) -> SavedCube {
        let rows = cube.rows().map(|(key, sums)| SavedRow::of(key, sums)).collect();
        SavedCube { rows, ..SavedCube::without_rows(cube) }
    }

    /// Everything but the rows.
    pub(super) fn without_rows(cube: &Cube) -> SavedCube {
        let users: Vec<u8> = cube
            .users()
            .ranks()
            .flat_map(|(register, rank)| {
                let [low, high] = register.to_le_bytes();
                [low, high, rank]
            })
            .collect();
        SavedCube { rows: Vec::new(), users: BASE64.encode(&users), last_at: cube.last_at() }
    }

    pub(super) fn restored(&self, symbols: &[Symbol]) -> Cube {
        let mut cube = Cube::default();
        self.rows.iter().for_each(|row| row.add_to(&mut cube, symbols));
        let users = BASE64.decode(self.users.as_bytes()).unwrap_or_default();
        let (ranks, _) = users.as_chunks::<3>();
        cube.add_users(&Distinct::from_ranks(
            ranks.iter().map(|[low, high, rank]| (u16::from_le_bytes([*low, *high]), *rank)),
        ));
        cube.set_last_at(self.last_at);
        cube
    }
}

impl SavedRow {
    /// Adds the row to a cube over names that are given by number.
    pub(super) fn add_to(&self, cube: &mut Cube, symbols: &[Symbol]) {
        cube.row(self.restored_key(symbols)).merge(&self.restored_sums());
    }

    pub(super) fn of(key: &Key, sums: &Sums) -> SavedRow {
        SavedRow {
            key: [
                u32::from(key.hour),
                key.provider.0,
                key.api_type.0,
                key.model.0,
                key.request_type.0,
                key.feature.0,
                key.agent.0,
                key.operation.0,
                key.team.0,
                key.channel.0,
                key.key.0,
                key.price.0,
            ],
            status: key.status,
            usage_source: key.usage_source,
            local: key.local,
            records: sums.records,
            messages: sums.messages,
            tokens: [sums.prompt, sums.completion, sums.cached, sums.cache_write, sums.reasoning],
            cost_usd: sums.cost,
            unpriced: sums.unpriced,
            latency_sum_ms: sums.latency_sum_ms,
            latency: sums.latency.buckets().to_vec(),
            first_token: sums.first_token.buckets().to_vec(),
            cost_buckets: sums.cost_buckets,
            errors: sums.errors.iter().map(|(kind, count)| (kind.as_str().to_owned(), *count)).collect(),
            last_at: sums.last_at,
            openings: sums.openings,
        }
    }

    fn restored_key(&self, symbols: &[Symbol]) -> Key {
        let symbol = |at: usize| symbols.get(self.key[at] as usize).copied().unwrap_or_default();
        Key {
            hour: self.key[0] as u8,
            status: self.status,
            usage_source: self.usage_source,
            local: self.local,
            provider: symbol(1),
            api_type: symbol(2),
            model: symbol(3),
            request_type: symbol(4),
            feature: symbol(5),
            agent: symbol(6),
            operation: symbol(7),
            team: symbol(8),
            channel: symbol(9),
            key: symbol(10),
            price: symbol(11),
        }
    }

    fn restored_sums(&self) -> Sums {
        let mut errors: Vec<_> = self
            .errors
            .iter()
            .map(|(kind, count)| (ErrorKind::parse(kind).unwrap_or(ErrorKind::Other), *count))
            .collect();
        errors.sort_unstable();
        Sums {
            records: self.records,
            messages: self.messages,
            prompt: self.tokens[0],
            completion: self.tokens[1],
            cached: self.tokens[2],
            cache_write: self.tokens[3],
            reasoning: self.tokens[4],
            cost: self.cost_usd,
            unpriced: self.unpriced,
            latency_sum_ms: self.latency_sum_ms,
            latency: Histogram::from_buckets(self.latency.clone()),
            first_token: Histogram::from_buckets(self.first_token.clone()),
            cost_buckets: self.cost_buckets,
            errors,
            last_at: self.last_at,
            openings: self.openings,
        }
    }
}

impl Saved {
    /// The same picture whatever the order in which names and rows came: for comparing two folds.
    pub fn canonical(&self) -> Saved {
        let mut names: Vec<String> = self.names.clone();
        names.sort_unstable();
        let rank = |old: u32| match old.checked_sub(1).and_then(|at| self.names.get(at as usize)) {
            Some(name) => names.binary_search(name).map_or(0, |at| at as u32 + 1),
            None => 0,
        };
        let cube = |cube: &SavedCube| {
            let mut cube = cube.clone();
            for row in &mut cube.rows {
                row.key[1..].iter_mut().for_each(|symbol| *symbol = rank(*symbol));
            }
            cube.rows.retain(|row| !row.is_nothing());
            cube.rows.sort_unstable_by_key(|row| (row.key, row.status, row.usage_source, row.local));
            cube
        };
        let epochs = self.epochs.iter().map(|epoch| SavedEpoch {
            retired: cube(&epoch.retired),
            days: epoch.days.iter().map(|(day, of_day)| (*day, cube(of_day))).collect(),
        });
        Saved {
            epochs: epochs.collect(),
            names: names.clone(),
            resets: self.resets.clone(),
            active: self.active.clone(),
        }
    }
}

impl SavedRow {
    /// A row whose records were all taken back again.
    fn is_nothing(&self) -> bool {
        self.records == 0 && self.tokens == [0; 5] && self.cost_usd == Money::ZERO && is_default(&self.openings)
    }
}
