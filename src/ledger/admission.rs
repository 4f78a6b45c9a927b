//! The cap on names: which of a record's names get a row of their own, decided once, at append, and written into the
//! line so that every later fold agrees.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::FixedState;
use uuid::Uuid;

use crate::settings::Settings;
use crate::stats::{Key, Picture, Symbol};
use crate::usage::names::Name;
use crate::usage::{Day, Dimension, Opening, RecordId, UsageRecord};

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

/// Days whose names are remembered at once; an import that alternates between more days than these reads a day's rows
/// again each time it comes back to it.
const MAX_DAYS: usize = 64;

/// Names that are remembered over all of those days, save one day that alone has more.
const MAX_REMEMBERED: usize = 32_768;

/// What the days that lines arrived for lately hold.
pub(super) struct Admission {
    known: KnownNames,
    days: HashMap<Day, DayNames, FixedState>,
    /// Counts questions, to know which day was asked for longest ago.
    clock: u64,
}

/// The names and rows of one day so far.
#[derive(Default)]
struct DayNames {
    seen: [HashSet<Box<str>, FixedState>; Dimension::ALL.len()],
    rows: usize,
    asked: u64,
}

impl Admission {
    /// Nothing is remembered yet.
    pub(super) fn new(known: KnownNames) -> Admission {
        Admission { known, days: HashMap::default(), clock: 0 }
    }

    /// The dimensions whose name has no room and counts as `other`; notes the names that have. What the owner's acts
    /// name is known as well.
    pub(super) fn others(
        &mut self,
        record: &UsageRecord<'_>,
        picture: &Picture,
        settings: &Settings,
    ) -> Vec<Dimension> {
        let day = record.timestamp.day();
        if !self.days.contains_key(&day) {
            self.make_room();
        }
        self.clock += 1;
        let names = self.days.entry(day).or_insert_with(|| DayNames::of(picture, day));
        names.asked = self.clock;
        if names.rows >= MAX_ROWS && !has_row(record, picture) {
            return Dimension::ALL.to_vec();
        }
        names.others(record, |dimension, name| (self.known.0)(dimension, name) || settings.names(dimension, name))
    }

    /// An opening balance that says which of its names have no room that day, besides those it says so of already.
    pub(super) fn admitted_opening(&mut self, mut opening: Opening, picture: &Picture, settings: &Settings) -> Opening {
        let (provider, model) = (opening.provider.clone(), opening.model.clone());
        let mut like = UsageRecord::new(RecordId(Uuid::nil()), opening.at, provider, model);
        like.api_type = opening.api_type.clone();
        like.request_type = opening.request_type.clone();
        // Its channel and its price are ours, and it has nothing else.
        let named = [Dimension::Provider, Dimension::Model, Dimension::RequestType];
        let others = self.others(&like, picture, settings);
        opening.other = named.into_iter().filter(|one| others.contains(one) || opening.other.contains(one)).collect();
        opening
    }

    /// Forgets the days asked for longest ago; what they hold stands in their rows.
    fn make_room(&mut self) {
        while !self.days.is_empty()
            && (self.days.len() >= MAX_DAYS || self.days.values().map(DayNames::len).sum::<usize>() > MAX_REMEMBERED)
        {
            let oldest = self.days.iter().min_by_key(|(_, names)| names.asked).map(|(day, _)| *day);
            self.days.remove(&oldest.expect("it is not empty"));
        }
    }

    /// Notes how many rows a day has now.
    pub(super) fn note_rows(&mut self, picture: &Picture, day: Day) {
        if let Some(names) = self.days.get_mut(&day) {
            names.rows = picture.day_rows_len(day);
        }
    }
}

impl DayNames {
    /// What a day's cube already holds.
    fn of(picture: &Picture, day: Day) -> DayNames {
        let mut names = DayNames::default();
        let mut symbols: HashSet<(Dimension, Symbol), FixedState> = HashSet::default();
        for key in picture.day_rows(day) {
            names.rows += 1;
            symbols.extend(Dimension::ALL.iter().map(|dimension| (*dimension, key.symbol(*dimension))));
            symbols.insert((Dimension::Provider, key.api_type));
        }
        for (dimension, symbol) in symbols {
            if let Some(text) = picture.names().text(symbol) {
                names.note(dimension, text);
            }
        }
        names
    }

    fn len(&self) -> usize {
        self.seen.iter().map(HashSet::len).sum()
    }

    fn others(&mut self, record: &UsageRecord<'_>, knows: impl Fn(Dimension, &str) -> bool) -> Vec<Dimension> {
        let mut others = Vec::new();
        for dimension in Dimension::ALL {
            if let Some(name) = name_of(record, *dimension)
                && !self.admits(*dimension, name, &knows)
            {
                others.push(*dimension);
            }
        }
        // The API stands or falls with the provider: both come from whoever reports.
        if !others.contains(&Dimension::Provider) && !self.admits(Dimension::Provider, &record.api_type, &knows) {
            others.push(Dimension::Provider);
        }
        others
    }

    fn admits(&mut self, dimension: Dimension, name: &str, knows: &impl Fn(Dimension, &str) -> bool) -> bool {
        let seen = &self.seen[dimension as usize];
        if seen.contains(name) {
            return true;
        }
        if seen.len() >= MAX_NAMES && !knows(dimension, name) {
            return false;
        }
        self.note(dimension, name);
        true
    }

    fn note(&mut self, dimension: Dimension, name: &str) {
        self.seen[dimension as usize].insert(name.into());
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
    use crate::settings::{BudgetChange, BudgetKey, GatewayKey, Setting};
    use crate::stats::Stats;
    use crate::usage::{RecordId, Timestamp};

    #[test]
    fn the_first_names_of_a_day_and_known_ones_have_a_row() {
        let at = Timestamp::new(1_795_305_600_000_000, 0);
        let known = KnownNames::new(|dimension, name| dimension == Dimension::Model && name == "gpt-4o");
        let mut stats = Stats::default();
        let mut admission = Admission::new(known.clone());
        let append = |stats: &mut Stats, admission: &mut Admission, model: String| {
            let mut record = UsageRecord::new(RecordId::new(at, [0; 10]), at, "p".into(), model.into());
            record.other = admission.others(&record, &stats.picture(), &Settings::default());
            stats.apply(&record);
            admission.note_rows(&stats.picture(), at.day());
            record.other
        };
        for n in 0..MAX_NAMES {
            assert!(append(&mut stats, &mut admission, format!("m{n}")).is_empty());
        }
        let mut restarted = Admission::new(known);
        for admission in [&mut admission, &mut restarted] {
            assert_eq!(append(&mut stats, admission, "one too many".into()), [Dimension::Model]);
            assert!(append(&mut stats, admission, "m7".into()).is_empty());
            assert!(append(&mut stats, admission, "gpt-4o".into()).is_empty());
        }
        assert_eq!(stats.picture().all_time().total(|_| true).records, MAX_NAMES as i64 + 6);
        assert_eq!(stats.picture().day_rows(at.day()).count(), MAX_NAMES + 2);
    }

    #[test]
    fn what_keys_and_budgets_are_about_has_a_row_however_many_names_came_before() {
        let at = Timestamp::new(1_795_305_600_000_000, 0);
        let mut settings = Settings::default();
        let key =
            GatewayKey { team: Some("sales".into()), feature: Some("search".into()), ..GatewayKey::example("shop") };
        settings.apply(&Setting::KeyAdded { key: Box::new(key) });
        let of = BudgetKey { subject: "team:support".into(), limit: "usd_per_day".into() };
        let change = BudgetChange::Set { amount: 1, since: None };
        settings.apply(&Setting::Budget { of, change, by: None });
        let stats = Stats::default();
        let mut admission = Admission::new(KnownNames::none());
        let mut others = |team: &str, feature: &str, key: &str| {
            let mut record = UsageRecord::new(RecordId::new(at, [0; 10]), at, "p".into(), "m".into());
            let name = |text: &str| Some(Name::clean(text));
            (record.team, record.feature, record.key) = (name(team), name(feature), name(key));
            admission.others(&record, &stats.picture(), &settings)
        };
        for n in 0..MAX_NAMES {
            assert_eq!(others(&format!("t{n}"), &format!("f{n}"), &format!("k{n}")), []);
        }
        let all = [Dimension::Feature, Dimension::Team, Dimension::Key];
        assert_eq!(others("sale", "searches", "Shop"), all);
        assert_eq!(others("sales", "search", "shop"), []);
        assert_eq!(others("support", "search", "shop"), []);
    }

    #[test]
    fn the_names_of_apis_are_capped_as_well() {
        let at = Timestamp::new(1_795_305_600_000_000, 0);
        let mut stats = Stats::default();
        let mut admission = Admission::new(KnownNames::none());
        for n in 0..3 * MAX_NAMES {
            let mut record = UsageRecord::new(RecordId::new(at, [0; 10]), at, "p".into(), "m".into());
            record.api_type = format!("a{n}").into();
            record.other = admission.others(&record, &stats.picture(), &Settings::default());
            stats.apply(&record);
            admission.note_rows(&stats.picture(), at.day());
        }
        assert!(stats.picture().day_rows_len(at.day()) <= MAX_NAMES + 1);
    }

    #[test]
    fn an_import_that_alternates_between_days_reads_each_day_once() {
        let at = |day: usize| Timestamp::new(1_795_305_600_000_000 + day as i64 * 86_400_000_000, 0);
        let stats = Stats::default();
        let picture = stats.picture();
        let mut admission = Admission::new(KnownNames::none());
        let mut ask = |day: usize, model: String| {
            let record = UsageRecord::new(RecordId::new(at(day), [0; 10]), at(day), "p".into(), model.into());
            let others = admission.others(&record, &picture, &Settings::default());
            (others, admission.days.len(), admission.days.values().map(DayNames::len).sum::<usize>())
        };
        // The picture stays empty, so only what is remembered can say that a day is full.
        for n in 0..=MAX_NAMES {
            for day in 0..10 {
                assert_eq!(ask(day, format!("m{n}")).0.is_empty(), n < MAX_NAMES, "day {day}, name {n}");
            }
        }
        for day in 10..500 {
            let (_, days, names) = ask(day, "m".into());
            assert!(days <= MAX_DAYS && names <= MAX_REMEMBERED + MAX_NAMES, "{days} days, {names} names");
        }
    }
}
