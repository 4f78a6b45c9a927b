//! How far our estimates are from what a model's provider counts: a pure fold of the records that have both.
//!
//! Sums per model and day, which may be added in any order and taken back: what a factor is made of never depends on
//! how the records came. Only raw estimates go in, or a factor would feed on itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::names::VISION;
use super::{Day, Kind, UsageRecord, UsageSource};

/// Models at most; of more, those whose names come first. The others are not calibrated.
const MODELS_MAX: usize = 1_024;

/// Days that are looked back: a vocabulary that changed is forgotten after a month.
const DAYS_KEPT: i32 = 30;

/// Estimated tokens before a factor says anything.
const ENOUGH_TOKENS: i64 = 2_000;

/// What a factor may be, in thousandths. Beyond that the provider counts something other than what we see.
const FACTOR_MIN: i64 = 300;
const FACTOR_MAX: i64 = 4_000;

/// A count that is so many times our estimate, or a part so small of it, is of something else: tools, a retry, a bug.
const FAR_APART: u64 = 16;

/// No call has more tokens: so the sums of any number of records fit.
const TOKENS_MAX: u64 = 100_000_000;

/// What was estimated and what was reported, per model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calibration {
    models: BTreeMap<String, BTreeMap<Day, Sums>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sums {
    prompt: Pair,
    output: Pair,
}

/// Tokens estimated, tokens reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pair(i64, i64);

/// What a model's estimates are multiplied by, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factors {
    prompt: u64,
    output: u64,
}

impl Calibration {
    /// Folds a record. It counts when its tokens were reported and our estimate is known, under the model asked for;
    /// prompts with pictures do not, because we know no more of a picture than that it is one.
    pub fn apply(&mut self, record: &UsageRecord<'_>) {
        let Some(estimated) = record.estimated.filter(|_| record.usage_source == UsageSource::Reported) else { return };
        let has_pictures = record.request_type == VISION;
        let prompt = Pair::of(estimated.prompt, record.tokens.prompt).filter(|_| !has_pictures);
        let output = Pair::of(estimated.output, record.tokens.completion);
        if prompt.is_none() && output.is_none() {
            return;
        }
        let mut sums = Sums { prompt: prompt.unwrap_or_default(), output: output.unwrap_or_default() };
        if let Kind::Void { .. } = record.kind {
            sums = Sums { prompt: sums.prompt.negative(), output: sums.output.negative() };
        }
        self.add(record.requested_model.as_ref().unwrap_or(&record.model), record.timestamp.day(), sums);
    }

    /// Forgets what is more than a month old.
    pub fn forget(&mut self, today: Day) {
        self.models.retain(|_, days| {
            days.retain(|day, _| *day >= today.plus(-DAYS_KEPT));
            !days.is_empty()
        });
    }

    /// What this model's estimates are multiplied by; 1 while too little was seen.
    pub fn factors(&self, model: &str) -> Factors {
        let days = self.models.get(model).into_iter().flat_map(BTreeMap::values);
        let sums = days.copied().fold(Sums::default(), Sums::plus);
        Factors { prompt: sums.prompt.factor(), output: sums.output.factor() }
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// A sentence for each model of which a saved state says something else than this one, which was fed the same
    /// records since that day. With as many models as there is room for, either may lack some.
    pub fn differences(&self, saved: &Calibration, since: Day) -> Vec<String> {
        if self.models.len().max(saved.models.len()) >= MODELS_MAX {
            return Vec::new();
        }
        let names: BTreeSet<&String> = self.models.keys().chain(saved.models.keys()).collect();
        let differing = names.into_iter().filter_map(|model| {
            let [saved, own] = [saved.since(model, since), self.since(model, since)];
            (saved != own).then(|| format!("estimates for `{model}` since {since}: {saved}, the records give {own}"))
        });
        differing.collect()
    }

    fn since(&self, model: &str, since: Day) -> Sums {
        let days = self.models.get(model).into_iter().flat_map(|days| days.range(since..));
        days.fold(Sums::default(), |sums, (_, day)| sums.plus(*day))
    }

    /// Whichever names come first are those that stay, whatever the order: one that stays was never put out.
    fn add(&mut self, model: &str, day: Day, sums: Sums) {
        if !self.models.contains_key(model) {
            self.models.insert(model.to_owned(), BTreeMap::new());
            if self.models.len() > MODELS_MAX {
                self.models.pop_last();
            }
        }
        if let Some(days) = self.models.get_mut(model) {
            let of_day = days.entry(day).or_default();
            *of_day = of_day.plus(sums);
        }
    }
}

impl Sums {
    fn plus(self, other: Sums) -> Sums {
        let plus = |a: Pair, b: Pair| Pair(a.0.wrapping_add(b.0), a.1.wrapping_add(b.1));
        Sums { prompt: plus(self.prompt, other.prompt), output: plus(self.output, other.output) }
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Sums { prompt, output } = self;
        write!(f, "{} for {} tokens of input and {} for {} of output", prompt.0, prompt.1, output.0, output.1)
    }
}

impl Pair {
    fn of(estimated: u64, reported: u64) -> Option<Pair> {
        let are_counts = (1..=TOKENS_MAX).contains(&estimated) && (1..=TOKENS_MAX).contains(&reported);
        let are_near = are_counts && reported <= estimated * FAR_APART && estimated <= reported * FAR_APART;
        are_near.then_some(Pair(estimated as i64, reported as i64))
    }

    fn negative(self) -> Pair {
        Pair(-self.0, -self.1)
    }

    fn factor(self) -> u64 {
        let Pair(estimated, reported) = self;
        if estimated < ENOUGH_TOKENS {
            return 1_000;
        }
        let permille = i128::from(reported) * 1_000 / i128::from(estimated);
        permille.clamp(FACTOR_MIN.into(), FACTOR_MAX.into()) as u64
    }
}

impl Factors {
    /// Nothing is changed.
    pub const ONE: Factors = Factors { prompt: 1_000, output: 1_000 };

    /// The same for prompts of which the factor knows nothing.
    pub fn without_prompt(self) -> Factors {
        Factors { prompt: 1_000, ..self }
    }

    /// A raw estimate of input, calibrated.
    pub fn prompt(self, raw_tokens: u64) -> u64 {
        times(raw_tokens, self.prompt)
    }

    /// A raw estimate of output, calibrated.
    pub fn output(self, raw_tokens: u64) -> u64 {
        times(raw_tokens, self.output)
    }
}

fn times(tokens: u64, permille: u64) -> u64 {
    let product = (u128::from(tokens) * u128::from(permille)).div_ceil(1_000);
    u64::try_from(product).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::usage::names::Name;
    use crate::usage::{Estimated, RecordId, Timestamp, arbitrary};

    const DAY: i64 = 86_400_000_000;

    /// A call of a day before the base, whose prompt and output were estimated as told and reported as told.
    fn call(days_ago: i64, model: &str, estimated: (u64, u64), reported: (u64, u64)) -> UsageRecord<'static> {
        let at = Timestamp::new(arbitrary::BASE_MICROS - days_ago * DAY, 0);
        let mut record = UsageRecord::new(RecordId::new(at, [1; 10]), at, "cloud".into(), Name::clean(model));
        (record.tokens.prompt, record.tokens.completion) = reported;
        record.estimated = Some(Estimated { prompt: estimated.0, output: estimated.1 });
        record
    }

    fn fold<'a>(records: impl IntoIterator<Item = &'a UsageRecord<'static>>) -> Calibration {
        let mut calibration = Calibration::default();
        records.into_iter().for_each(|record| calibration.apply(record));
        calibration
    }

    fn factors(calibration: &Calibration, model: &str) -> (u64, u64) {
        let factors = calibration.factors(model);
        (factors.prompt(1_000), factors.output(1_000))
    }

    #[test]
    fn a_factor_says_nothing_before_enough_was_seen_and_nothing_of_other_models() {
        let first = call(0, "m", (1_999, 2_000), (2_999, 1_000));
        assert_eq!(factors(&fold([&first]), "m"), (1_000, 500));
        let both = fold([&first, &call(1, "m", (1, 0), (1, 7))]);
        assert_eq!((factors(&both, "m"), factors(&both, "n")), ((1_500, 500), (1_000, 1_000)));
    }

    #[test]
    fn only_what_was_reported_beside_an_estimate_of_text_counts() {
        let whole = call(0, "m", (4_000, 4_000), (8_000, 8_000));
        let without = UsageRecord { estimated: None, ..whole.clone() };
        let guessed = UsageRecord { usage_source: UsageSource::Estimated, ..whole.clone() };
        let half = UsageRecord { usage_source: UsageSource::Partial, ..whole.clone() };
        assert!(fold([&without, &guessed, &half]).is_empty());
        let picture = UsageRecord { request_type: "vision".into(), ..whole.clone() };
        assert_eq!(factors(&fold([&picture]), "m"), (1_000, 2_000));
        let asked = UsageRecord { requested_model: Some("alias".into()), ..whole.clone() };
        assert_eq!(
            (factors(&fold([&asked]), "alias"), factors(&fold([&asked]), "m")),
            ((2_000, 2_000), (1_000, 1_000))
        );
        let nothing_seen = call(0, "m", (4_000, 0), (4_000, 900));
        let nonsense = call(0, "m", (10, 10), (u64::MAX, 100_000_000));
        assert_eq!(factors(&fold([&whole, &nothing_seen, &nonsense]), "m"), (1_500, 2_000));
    }

    #[test]
    fn factors_have_bounds_and_round_up() {
        assert_eq!(factors(&fold([&call(0, "m", (4_000, 4_000), (40_000, 400))]), "m"), (4_000, 300));
        let third = fold([&call(0, "m", (3_000, 3_000), (4_000, 3_000))]).factors("m");
        assert_eq!((third.prompt(0), third.prompt(1), third.output(7)), (0, 2, 7));
        assert_eq!((third.prompt(u64::MAX), Factors::ONE.prompt(u64::MAX)), (u64::MAX, u64::MAX));
        assert_eq!(third.without_prompt(), Factors::ONE);
    }

    #[test]
    fn a_month_is_remembered() {
        let mut calibration = fold([&call(31, "m", (9_000, 0), (9_000, 0)), &call(30, "m", (2_000, 0), (4_000, 0))]);
        calibration.forget(Timestamp::new(arbitrary::BASE_MICROS, 0).day());
        assert_eq!(factors(&calibration, "m").0, 2_000);
        calibration.forget(Timestamp::new(arbitrary::BASE_MICROS + DAY, 0).day());
        assert!(calibration.is_empty());
    }

    #[test]
    fn the_first_names_stay_whatever_the_order() {
        let model = |n: usize| call(0, &format!("{n:05}"), (3_000, 0), (6_000, 0));
        let records: Vec<_> = (0..2 * MODELS_MAX).map(model).collect();
        let (up, down) = (fold(&records), fold(records.iter().rev()));
        assert_eq!((&up, up.models.len()), (&down, MODELS_MAX));
        assert_eq!((factors(&up, "01023").0, factors(&up, "01024").0), (2_000, 1_000));
    }

    #[test]
    fn a_saved_state_is_held_against_the_days_that_both_know() {
        let old = call(3, "m", (50, 50), (60, 60));
        let new = call(0, "m", (7, 8), (9, 10));
        let since = Timestamp::new(arbitrary::BASE_MICROS - DAY, 0).day();
        assert_eq!(fold([&new]).differences(&fold([&old, &new]), since), Vec::<String>::new());
        let [difference] = &fold([&new]).differences(&fold([&old]), since)[..] else { panic!("one") };
        assert!(difference.contains("`m`") && difference.contains("give 7 for 9"), "{difference}");
    }

    proptest! {
        #[test]
        fn order_changes_nothing_and_a_void_takes_back(
            mut records in prop::collection::vec(arbitrary::record(), 0..40),
        ) {
            let mut whole = fold(&records);
            let text = serde_json::to_string(&whole).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Calibration>(&text).expect("read back"), whole.clone());
            records.reverse();
            prop_assert_eq!(&fold(&records), &whole);
            let voids = records.iter().map(|record| {
                let kind = match record.kind {
                    Kind::Usage => Kind::Void { of: record.id },
                    Kind::Void { .. } => Kind::Usage,
                };
                UsageRecord { kind, ..record.clone() }
            });
            voids.for_each(|void| whole.apply(&void));
            let is_nothing = |sums: &Sums| *sums == Sums::default();
            prop_assert!(whole.models.values().flat_map(BTreeMap::values).all(is_nothing));
        }
    }
}
