//! Questions about users, answered from live rows and sealed folds alike, in little memory however many there are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::io;
use std::sync::Arc;

use super::live::LiveView;
use super::sealed::Fold;
use crate::stats::{Names, Period, Picture, Span, UserRows, UserSums, Who};
use crate::usage::names::UNKNOWN;
use crate::usage::{Day, Money, SubjectId};

/// By what the top users are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsersBy {
    /// Input and output tokens.
    Tokens,
    /// Records.
    Records,
}

impl UsersBy {
    fn of(self, sums: &UserSums) -> i128 {
        match self {
            UsersBy::Tokens => sums.tokens(),
            UsersBy::Records => i128::from(sums.records),
        }
    }
}

/// Users of a period, most first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopUsers {
    /// The users asked for, most first; equal ones by their id.
    pub top: Vec<(SubjectId, UserSums)>,
    /// How many users there are, exactly while `others` is nothing.
    pub users: u64,
    /// Users beyond what is told apart live; none once the day is sealed.
    pub others: UserSums,
    /// Records without a user.
    pub absent: UserSums,
    /// All of them together.
    pub total: UserSums,
}

/// An unchanging view of who used what.
pub struct Users {
    live: Vec<UserRows>,
    names: Arc<Names>,
    folds: Arc<Vec<Arc<Fold>>>,
    complete: bool,
    /// The fold of the same records.
    picture: Arc<Picture>,
}

/// A row's model, by its number in a list, and its sums.
type OfModel = (usize, UserSums);

/// One user after the other, with a row of theirs; a user may come several times in a row.
type Sorted<'a> = Box<dyn Iterator<Item = io::Result<(Who, OfModel)>> + 'a>;

impl Users {
    pub(super) fn new(view: LiveView, picture: Arc<Picture>) -> Users {
        Users { live: view.live, names: view.names, folds: view.folds, complete: view.complete, picture }
    }

    /// The fold of the records this is a view of.
    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// What each hour cost, from a day on, by the sealed days: those before the open file.
    ///
    /// # Errors
    /// When a fold cannot be read.
    pub fn hour_costs(&self, since: Day) -> io::Result<BTreeMap<(Day, u8), Money>> {
        let mut costs = BTreeMap::new();
        for fold in self.folds.iter().filter(|fold| fold.directory().spans().iter().any(|span| span.day >= since)) {
            for (hour, cost) in fold.stats()?.current().hour_costs() {
                *costs.entry(hour).or_default() += cost;
            }
        }
        costs.retain(|(day, _), _| *day >= since);
        Ok(costs)
    }

    /// Whether everybody is in it. For a while after a start the lines of the day are still being read.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The `n` first users of a period in the current epoch, and what all of them used.
    ///
    /// # Errors
    /// When a sealed fold cannot be read.
    pub fn top(&self, period: Period, today: Day, n: usize, by: UsersBy) -> io::Result<TopUsers> {
        let mut answer = TopUsers::default();
        let mut best = BinaryHeap::new();
        self.for_each_user(period, today, |who, sums| {
            answer.total.merge(sums);
            match who {
                Who::Absent => answer.absent.merge(sums),
                Who::Other => answer.others.merge(sums),
                // Somebody all of whose records were taken back is nobody.
                Who::User(_) if sums.records == 0 => {}
                Who::User(user) => {
                    answer.users += 1;
                    best.push(Reverse((by.of(sums), Reverse(user), Held(*sums))));
                    if best.len() > n {
                        best.pop();
                    }
                }
            }
        })?;
        answer.top =
            best.into_sorted_vec().into_iter().map(|Reverse((_, Reverse(user), sums))| (user, sums.0)).collect();
        Ok(answer)
    }

    /// What one user used in a period of the current epoch, by day and model.
    ///
    /// # Errors
    /// When a sealed fold cannot be read.
    pub fn of(&self, user: SubjectId, period: Period, today: Day) -> io::Result<BTreeMap<(Day, String), UserSums>> {
        let mut rows: BTreeMap<(Day, String), UserSums> = BTreeMap::new();
        let mut add = |day: Day, model: &str, sums: &UserSums| {
            rows.entry((day, model.to_owned())).or_default().merge(sums);
        };
        for (span, model, sums) in self.live.iter().flat_map(|rows| rows.of(user)) {
            if self.wants(span, period, today) {
                add(span.day, self.names.text(model).unwrap_or(UNKNOWN), sums);
            }
        }
        for fold in self.folds_of(period, today) {
            let (spans, models) = (fold.directory().spans(), fold.models()?);
            for row in fold.users_of(user)? {
                match (spans.get(row.span as usize), models.get(row.model as usize)) {
                    (Some(span), Some(model)) if self.wants(*span, period, today) => add(span.day, model, &row.sums),
                    _ => {}
                }
            }
        }
        Ok(rows)
    }

    /// Hands on each user of a period once, with the sums of all their rows.
    ///
    /// # Errors
    /// When a sealed fold cannot be read.
    pub fn for_each_user(&self, period: Period, today: Day, mut on_user: impl FnMut(Who, &UserSums)) -> io::Result<()> {
        self.for_each_user_by_model(
            |span| self.wants(span, period, today),
            |who, models| {
                let mut total = UserSums::default();
                models.values().for_each(|sums| total.merge(sums));
                on_user(who, &total);
            },
        )
    }

    /// Hands on each user once, with the sums by model of their rows of the wanted days and epochs.
    ///
    /// # Errors
    /// When a sealed fold cannot be read.
    pub fn for_each_user_by_model(
        &self,
        wants: impl Fn(Span) -> bool,
        mut on_user: impl FnMut(Who, &BTreeMap<&str, UserSums>),
    ) -> io::Result<()> {
        let mut models = Models::default();
        let mut sources: Vec<Sorted<'_>> = Vec::new();
        for rows in &self.live {
            sources.push(self.sorted_live(rows, &wants, &mut models));
        }
        for fold in self.folds.iter().filter(|fold| fold.directory().spans().iter().any(|span| wants(*span))) {
            sources.push(sorted_fold(fold, &wants, &mut models)?);
        }
        let mut heap = BinaryHeap::new();
        for (number, source) in sources.iter_mut().enumerate() {
            heap.extend(source.next().transpose()?.map(|(who, row)| Reverse((who, number, Held(row)))));
        }
        let mut current: Option<(Who, BTreeMap<&str, UserSums>)> = None;
        while let Some(Reverse((who, number, Held((model, sums))))) = heap.pop() {
            if current.as_ref().is_none_or(|(same, _)| *same != who)
                && let Some((who, rows)) = current.replace((who, BTreeMap::new()))
            {
                on_user(who, &rows);
            }
            if let Some((_, rows)) = &mut current {
                rows.entry(&models.texts[model]).or_default().merge(&sums);
            }
            let next = sources[number].next().transpose()?;
            heap.extend(next.map(|(who, row)| Reverse((who, number, Held(row)))));
        }
        if let Some((who, rows)) = current {
            on_user(who, &rows);
        }
        Ok(())
    }

    fn sorted_live<'a>(&self, rows: &'a UserRows, wants: impl Fn(Span) -> bool, models: &mut Models) -> Sorted<'a> {
        let mut number = |model| models.number(self.names.text(model).unwrap_or(UNKNOWN));
        let wanted = rows.iter().filter(|(_, span, ..)| wants(*span));
        let mut wanted: Vec<(Who, usize, &UserSums)> =
            wanted.map(|(who, _, model, sums)| (who, number(model), sums)).collect();
        wanted.sort_unstable_by_key(|(who, ..)| *who);
        Box::new(wanted.into_iter().map(|(who, model, sums)| Ok((who, (model, *sums)))))
    }

    fn folds_of(&self, period: Period, today: Day) -> impl Iterator<Item = &Arc<Fold>> {
        let wants =
            move |fold: &&Arc<Fold>| fold.directory().spans().iter().any(|span| self.wants(*span, period, today));
        self.folds.iter().filter(wants)
    }

    /// Whether records of a day and epoch belong to a period of the current epoch. An epoch whose reset was undone is
    /// part of the one before.
    fn wants(&self, span: Span, period: Period, today: Day) -> bool {
        span.epoch >= self.picture.last_reset() && period.contains(span.day, today)
    }
}

/// The rows of a fold of the wanted days and epochs, as they lie there: sorted.
fn sorted_fold<'a>(fold: &'a Fold, wants: impl Fn(Span) -> bool, models: &mut Models) -> io::Result<Sorted<'a>> {
    let wanted: Vec<bool> = fold.directory().spans().iter().map(|span| wants(*span)).collect();
    let numbers: Vec<usize> = fold.models()?.iter().map(|model| models.number(model)).collect();
    let unknown = models.number(UNKNOWN);
    let rows = fold
        .users()
        .filter(move |row| row.as_ref().map_or(true, |row| wanted.get(row.span as usize).copied().unwrap_or_default()));
    let number = move |model: u32| numbers.get(model as usize).copied().unwrap_or(unknown);
    Ok(Box::new(rows.map(move |row| row.map(|row| (row.who, (number(row.model), row.sums))))))
}

/// The names of models over all sources, each with a number.
#[derive(Default)]
struct Models {
    texts: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Models {
    fn number(&mut self, model: &str) -> usize {
        if let Some(number) = self.numbers.get(model) {
            return *number;
        }
        self.texts.push(model.to_owned());
        self.numbers.insert(model.to_owned(), self.texts.len() - 1);
        self.texts.len() - 1
    }
}

/// What rides along in a heap without being compared.
struct Held<T>(T);

impl<T> PartialEq for Held<T> {
    fn eq(&self, _: &Held<T>) -> bool {
        true
    }
}

impl<T> Eq for Held<T> {}

impl<T> PartialOrd for Held<T> {
    fn partial_cmp(&self, other: &Held<T>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Held<T> {
    fn cmp(&self, _: &Held<T>) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}
