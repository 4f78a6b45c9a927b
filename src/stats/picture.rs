//! The whole fold: cubes by epoch and billing day, and the questions asked of them.
//!
//! Epoch n holds the records admitted at or after reset n and before the next one. A reset, an undone reset and a
//! late record are therefore merges, never losses.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::usage::{Day, Money, Opening, SubjectId, Timestamp, UsageRecord};

use super::{Cube, Distinct, Key, Names, Sums, Symbol};

/// Billing days whose own cube stays in memory, today included; older ones are summed per epoch.
pub const RESIDENT_DAYS: i32 = 32;

/// A conversation is active for this long after its last message.
pub const ACTIVE_MINUTES: i64 = 30;

/// Conversations remembered for the count of active ones.
const MAX_ACTIVE: usize = 4096;

/// A span of days, today included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Period {
    /// The billing day of now.
    #[serde(rename = "today")]
    Today,
    /// Seven days.
    #[serde(rename = "7d")]
    Week,
    /// Thirty days.
    #[serde(rename = "30d")]
    Month,
    /// Everything since the last reset.
    #[default]
    #[serde(rename = "all")]
    All,
}

impl Period {
    /// Every period, shortest first.
    pub const ALL: [Period; 4] = [Period::Today, Period::Week, Period::Month, Period::All];

    /// The name in parameters and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Period::Today => "today",
            Period::Week => "7d",
            Period::Month => "30d",
            Period::All => "all",
        }
    }

    /// The period of a name.
    pub fn parse(text: &str) -> Option<Period> {
        Period::ALL.into_iter().find(|period| period.as_str() == text)
    }

    /// Whether a day belongs to it.
    pub fn contains(self, day: Day, today: Day) -> bool {
        self.first_day(today).is_none_or(|first| (first..=today).contains(&day))
    }

    /// The first billing day it covers; `None` for everything.
    pub fn first_day(self, today: Day) -> Option<Day> {
        match self {
            Period::Today => Some(today),
            Period::Week => Some(today.plus(-6)),
            Period::Month => Some(today.plus(-29)),
            Period::All => None,
        }
    }
}

/// The records of one epoch.
#[derive(Clone, Debug, Default)]
pub(super) struct Epoch {
    /// Days that left memory, summed, without hours.
    pub(super) retired: Arc<Cube>,
    /// Days in memory.
    pub(super) days: BTreeMap<Day, Arc<Cube>>,
}

impl Epoch {
    fn merge(&mut self, other: &Epoch) {
        Arc::make_mut(&mut self.retired).merge(&other.retired);
        for (day, cube) in &other.days {
            Arc::make_mut(self.days.entry(*day).or_default()).merge(cube);
        }
    }
}

/// Who was in a conversation last when.
pub(super) type Active = HashMap<SubjectId, Timestamp, FixedState>;

/// An unchanging view of everything folded so far. A clone shares all of it.
#[derive(Clone, Debug)]
pub struct Picture {
    pub(super) names: Arc<Names>,
    /// Always one more than there are resets.
    pub(super) epochs: Vec<Arc<Epoch>>,
    pub(super) resets: Vec<Timestamp>,
    /// Last message of the conversations that may still be active.
    pub(super) active: Arc<Active>,
}

impl Default for Picture {
    fn default() -> Self {
        Picture { names: Arc::default(), epochs: vec![Arc::default()], resets: Vec::new(), active: Arc::default() }
    }
}

impl Picture {
    /// The names behind the symbols.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// When the current epoch began; `None` if nothing was ever reset.
    pub fn last_reset(&self) -> Option<Timestamp> {
        self.resets.last().copied()
    }

    /// The same, for whoever keeps them longer.
    pub fn shared_names(&self) -> Arc<Names> {
        Arc::clone(&self.names)
    }

    /// When the epoch began that a moment belongs to; `None` before the first reset.
    pub fn epoch_of(&self, at: Timestamp) -> Option<Timestamp> {
        self.epoch_at(at).checked_sub(1).map(|at| self.resets[at])
    }

    /// The place of that epoch.
    fn epoch_at(&self, at: Timestamp) -> usize {
        self.resets.partition_point(|reset| *reset <= at)
    }

    /// The records of a period in the current epoch.
    pub fn select(&self, period: Period, today: Day) -> Selection<'_> {
        self.select_epoch(0, period, today).expect("there is always a current epoch")
    }

    /// The records of a period in an epoch, counted back from the current one; `None` when there are not so many.
    pub fn select_epoch(&self, back: usize, period: Period, today: Day) -> Option<Selection<'_>> {
        let mut selection = Selection { names: &self.names, cubes: Vec::new() };
        selection.add_epoch(self.epochs.iter().rev().nth(back)?, period, today);
        Some(selection)
    }

    /// The rows of an epoch, counted back from the current one, each with its billing day: `None` for days that are no
    /// longer told apart. Equal keys may come more than once. `None` when there are not so many epochs.
    pub fn dated_rows(&self, back: usize) -> Option<impl Iterator<Item = (Option<Day>, &Key, &Sums)>> {
        let epoch = self.epochs.iter().rev().nth(back)?;
        let retired = epoch.retired.rows().map(|(key, sums)| (None, key, sums));
        let days = epoch.days.iter().flat_map(|(day, cube)| cube.rows().map(|(key, sums)| (Some(*day), key, sums)));
        Some(retired.chain(days))
    }

    /// How many epochs there are: one more than resets that hold.
    pub fn epochs_len(&self) -> usize {
        self.epochs.len()
    }

    /// The resets an epoch, counted back from the current one, began and ended with: the first has no begin, the
    /// current one no end. `None` when there are not so many.
    pub fn epoch_span(&self, back: usize) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
        let resets_before = self.resets.len().checked_sub(back)?;
        let begin = resets_before.checked_sub(1).and_then(|at| self.resets.get(at));
        Some((begin.copied(), self.resets.get(resets_before).copied()))
    }

    /// Every record ever folded, resets or not.
    pub fn all_time(&self) -> Selection<'_> {
        let mut selection = Selection { names: &self.names, cubes: Vec::new() };
        for epoch in &self.epochs {
            selection.add_epoch(epoch, Period::All, Day::default());
        }
        selection
    }

    /// The conversations whose last message is at most [`ACTIVE_MINUTES`] old.
    pub fn active_conversations(&self, now: Timestamp) -> usize {
        let since = now.plus_micros(-ACTIVE_MINUTES * 60_000_000);
        let since_reset = self.last_reset().map_or(since, |reset| since.max(reset));
        self.active.values().filter(|at| **at >= since_reset).count()
    }

    /// The keys of the rows of one billing day.
    pub fn day_rows(&self, day: Day) -> impl Iterator<Item = &Key> {
        let cubes = self.epochs.iter().filter_map(move |epoch| epoch.days.get(&day));
        cubes.flat_map(|cube| cube.rows().map(|(key, _)| key))
    }

    /// What each hour cost, of the days whose hours are told apart, resets or not.
    pub fn hour_costs(&self) -> BTreeMap<(Day, u8), Money> {
        let mut costs: BTreeMap<(Day, u8), Money> = BTreeMap::new();
        for (day, cube) in self.epochs.iter().flat_map(|epoch| &epoch.days) {
            for (key, sums) in cube.rows().filter(|(key, _)| key.hour != Key::NO_HOUR) {
                *costs.entry((*day, key.hour)).or_default() += sums.cost;
            }
        }
        costs
    }

    /// How many rows a billing day has.
    pub fn day_rows_len(&self, day: Day) -> usize {
        self.epochs.iter().filter_map(|epoch| epoch.days.get(&day)).map(|cube| cube.len()).sum()
    }

    /// Whether a billing day has that row.
    pub fn day_has_row(&self, day: Day, key: &Key) -> bool {
        self.epochs.iter().filter_map(|epoch| epoch.days.get(&day)).any(|cube| cube.contains(key))
    }

    /// The newest admission of all.
    pub fn newest(&self) -> Option<Timestamp> {
        self.all_time().last_at()
    }
}

/// The cubes of a period: answers questions, each by a walk through all their rows.
#[derive(Debug)]
pub struct Selection<'a> {
    names: &'a Names,
    cubes: Vec<&'a Cube>,
}

impl<'a> Selection<'a> {
    fn add_epoch(&mut self, epoch: &'a Epoch, period: Period, today: Day) {
        match period.first_day(today) {
            Some(first) => self.cubes.extend(epoch.days.range(first..=today).map(|(_, cube)| &**cube)),
            None => {
                self.cubes.push(&epoch.retired);
                self.cubes.extend(epoch.days.values().map(|cube| &**cube));
            }
        }
    }

    /// All of it as one cube of few rows, for those who have many questions: hours, prices and the owner's dimensions
    /// are summed ([`Key::condensed`]).
    pub fn condensed(&self) -> Cube {
        let mut condensed = Cube::default();
        self.cubes.iter().for_each(|cube| condensed.merge_as(cube, Key::condensed));
        condensed
    }

    /// Another selection over the same names: of one cube.
    pub fn of_cube<'b>(&self, cube: &'b Cube) -> Selection<'b>
    where
        'a: 'b,
    {
        Selection { names: self.names, cubes: vec![cube] }
    }

    /// Every row; equal keys may come more than once.
    pub fn rows(&self) -> impl Iterator<Item = (&'a Key, &'a Sums)> + '_ {
        self.cubes.iter().flat_map(|cube| cube.rows())
    }

    /// The sums of the rows a condition holds for.
    pub fn total(&self, condition: impl Fn(&Key) -> bool) -> Sums {
        let mut total = Sums::default();
        self.rows().filter(|(key, _)| condition(key)).for_each(|(_, sums)| total.merge(sums));
        total
    }

    /// The sums by whatever is asked for.
    pub fn group_by<G: Ord>(&self, group: impl Fn(&Key) -> G) -> BTreeMap<G, Sums> {
        let mut groups: BTreeMap<G, Sums> = BTreeMap::new();
        for (key, sums) in self.rows() {
            groups.entry(group(key)).or_default().merge(sums);
        }
        groups
    }

    /// The text of a symbol, `unknown` when the dimension was not given.
    pub fn text(&self, symbol: Symbol) -> &'a str {
        self.names.text(symbol).unwrap_or(crate::usage::names::UNKNOWN)
    }

    /// The estimated number of different users.
    pub fn users(&self) -> u64 {
        let mut users = Distinct::default();
        self.cubes.iter().for_each(|cube| users.merge(cube.users()));
        users.estimate()
    }

    /// The latest admission.
    pub fn last_at(&self) -> Option<Timestamp> {
        self.cubes.iter().filter_map(|cube| cube.last_at()).max()
    }
}

/// The row of a record, found once.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    key: Key,
    /// Its place in the cube of the record's epoch and day, if it is there.
    at: Option<u32>,
}

/// The fold itself: takes records and acts, gives pictures.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    picture: Arc<Picture>,
}

impl Stats {
    /// The fold of nothing, with the resets that hold (in order).
    pub fn new(resets: Vec<Timestamp>) -> Stats {
        let epochs = (0..=resets.len()).map(|_| Arc::default()).collect();
        Stats { picture: Arc::new(Picture { epochs, resets, ..Picture::default() }) }
    }

    pub(super) fn from_picture(picture: Picture) -> Stats {
        Stats { picture: Arc::new(picture) }
    }

    /// An unchanging view. Costs one `Arc`; later records do not show in it.
    pub fn picture(&self) -> Arc<Picture> {
        Arc::clone(&self.picture)
    }

    /// What is folded so far, for who only looks: it is not kept, so a record that follows copies nothing.
    pub fn current(&self) -> &Picture {
        &self.picture
    }

    /// Folds one record in: the only way any number changes.
    pub fn apply(&mut self, record: &UsageRecord<'_>) {
        let key = key_of(record, &mut Arc::make_mut(&mut self.picture).names);
        self.apply_to(Row { key, at: None }, record);
    }

    /// The row that a record belongs to, if its billing day has it already.
    pub fn row_of(&self, record: &UsageRecord<'_>) -> Option<Row> {
        let (picture, day) = (&*self.picture, record.timestamp.day());
        let key = Key::find(record, &picture.names)?;
        let at = picture.epochs[picture.epoch_at(record.timestamp)].days.get(&day).and_then(|cube| cube.place(&key));
        (at.is_some() || picture.day_has_row(day, &key)).then_some(Row { key, at })
    }

    /// Folds in a record whose row is known already, and was asked for just before.
    pub fn apply_to(&mut self, row: Row, record: &UsageRecord<'_>) {
        let picture = Arc::make_mut(&mut self.picture);
        let epoch = picture.epoch_at(record.timestamp);
        let epoch = Arc::make_mut(&mut picture.epochs[epoch]);
        let cube = Arc::make_mut(epoch.days.entry(record.timestamp.day()).or_default());
        match row.at {
            Some(at) => cube.add_at(at, record),
            None => cube.add(row.key, record),
        }
        if record.is_message()
            && let Some(session) = record.session
        {
            note_active(&mut picture.active, session, record.timestamp);
        }
    }

    /// Folds an opening balance in: rows as its calls would have made, in no limit, histogram or count of people.
    pub fn apply_opening(&mut self, opening: &Opening) {
        let picture = Arc::make_mut(&mut self.picture);
        let epoch = picture.epoch_at(opening.at);
        let epoch = Arc::make_mut(&mut picture.epochs[epoch]);
        let cube = Arc::make_mut(epoch.days.entry(opening.at.day()).or_default());
        cube.add_opening(opening, Arc::make_mut(&mut picture.names));
    }

    /// Lets go of what is too old for its detail: hours before yesterday, days before the last [`RESIDENT_DAYS`],
    /// conversations that are no longer active. Changes no total.
    pub fn roll(&mut self, now: Timestamp) {
        let today = now.day();
        let picture = Arc::make_mut(&mut self.picture);
        for epoch in &mut picture.epochs {
            let days = days_to_roll(epoch, today);
            if !days.is_empty() {
                roll_epoch(Arc::make_mut(epoch), days, today);
            }
        }
        let since = now.plus_micros(-ACTIVE_MINUTES * 60_000_000);
        if picture.active.values().any(|at| *at < since) {
            Arc::make_mut(&mut picture.active).retain(|_, at| *at >= since);
        }
    }

    /// Begins a new epoch. Returns when it begins: see [`Stats::next_epoch`].
    pub fn reset(&mut self, at: Timestamp) -> Timestamp {
        let begin = self.next_epoch(at);
        let picture = Arc::make_mut(&mut self.picture);
        picture.resets.push(begin);
        picture.epochs.push(Arc::default());
        begin
    }

    /// When a new epoch would begin: at `at`, or just after the newest record or the last reset if that
    /// is later, so that nothing folded so far belongs to the new epoch and resets stay in order.
    pub fn next_epoch(&self, at: Timestamp) -> Timestamp {
        let newest = self.picture.newest().max(self.picture.last_reset());
        let after = newest.map(|newest| newest.plus_micros(1).with_offset(at.offset_secs()));
        after.map_or(at, |after| at.max(after))
    }

    /// Brings the epochs to a list of resets that hold: adds later ones, merges across those that were undone.
    /// Returns `false`, changing nothing, when that cannot be done without the records themselves.
    pub fn set_resets(&mut self, resets: &[Timestamp]) -> bool {
        let added: Vec<Timestamp> =
            resets.iter().filter(|reset| !self.picture.resets.contains(reset)).copied().collect();
        let newest = self.picture.newest();
        if added.iter().any(|reset| newest.is_some_and(|newest| newest >= *reset)) {
            return false;
        }
        let picture = Arc::make_mut(&mut self.picture);
        for at in (0..picture.resets.len()).rev() {
            if !resets.contains(&picture.resets[at]) {
                picture.resets.remove(at);
                let undone = picture.epochs.remove(at + 1);
                Arc::make_mut(&mut picture.epochs[at]).merge(&undone);
            }
        }
        for reset in added {
            picture.resets.push(reset);
            picture.epochs.push(Arc::default());
        }
        true
    }

    /// Adds another fold with the same resets: `fold(a) ⊕ fold(b)`.
    ///
    /// # Panics
    /// When the resets differ.
    pub fn merge(&mut self, other: &Stats) {
        assert_eq!(self.picture.resets, other.picture.resets, "only folds over the same epochs can be merged");
        let mut translated = other.picture.saved().restored_into(&self.picture.names);
        let picture = Arc::make_mut(&mut self.picture);
        picture.names = Arc::clone(&translated.names);
        for (own, other) in picture.epochs.iter_mut().zip(&translated.epochs) {
            Arc::make_mut(own).merge(other);
        }
        for (session, at) in Arc::make_mut(&mut translated.active).drain() {
            note_active(&mut picture.active, session, at);
        }
    }
}

/// The key of a record. The table of names is only copied for a reader's sake when a name is new.
fn key_of(record: &UsageRecord<'_>, names: &mut Arc<Names>) -> Key {
    if let Some(key) = Key::find(record, names) { key } else { Key::of(record, Arc::make_mut(names)) }
}

fn note_active(active: &mut Arc<Active>, session: SubjectId, at: Timestamp) {
    let active = Arc::make_mut(active);
    if active.len() >= MAX_ACTIVE && !active.contains_key(&session) {
        return;
    }
    let last = active.entry(session).or_insert(at);
    *last = (*last).max(at);
}

/// The days of an epoch that are kept in more detail than their age deserves.
fn days_to_roll(epoch: &Epoch, today: Day) -> Vec<Day> {
    let old = epoch.days.range(..today.plus(-1));
    old.filter(|(day, cube)| **day <= today.plus(-RESIDENT_DAYS) || cube.has_hours()).map(|(day, _)| *day).collect()
}

fn roll_epoch(epoch: &mut Epoch, days: Vec<Day>, today: Day) {
    for day in days {
        let cube = epoch.days.remove(&day).expect("the day was just listed");
        if day <= today.plus(-RESIDENT_DAYS) {
            Arc::make_mut(&mut epoch.retired).merge_without_hours(&cube);
        } else {
            let mut summary = Cube::default();
            summary.merge_without_hours(&cube);
            epoch.days.insert(day, Arc::new(summary));
        }
    }
}
