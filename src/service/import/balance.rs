//! What opening balances a total makes: so much that, with the calls of its source, the total comes out.
//!
//! Pure. For each source and model, the openings together are what the total has more than the calls; importing the
//! calls later takes them back, importing again changes nothing.

use std::collections::{BTreeMap, HashMap};

use super::found::{Sums, Total};
use crate::service::items::admitted_at;
use crate::usage::names::Name;
use crate::usage::{Money, Opening, Timestamp, UsageRecord, Zone};

/// Calls by source, API and model.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    by_model: HashMap<String, HashMap<(String, String), Sums>>,
}

impl Calls {
    pub(super) fn add(&mut self, source: &str, record: &UsageRecord<'_>) {
        self.add_sums(source, (&record.api_type, &record.model), Sums::of_record(record));
    }

    pub(super) fn add_sums(&mut self, source: &str, (api_type, model): (&str, &str), sums: Sums) {
        let models = self.by_model.entry(source.to_owned()).or_default();
        let of_model = models.entry((api_type.to_owned(), model.to_owned())).or_default();
        *of_model = of_model.plus(sums);
    }

    /// The calls that are contained in a total.
    fn within(&self, key: &Key) -> Sums {
        let Some(models) = self.by_model.get(&key.source) else { return Sums::default() };
        if key.is_of_a_run() {
            // A run's total is that of all its calls.
            return models.values().fold(Sums::default(), |sum, one| sum.plus(*one));
        }
        models.get(&(key.api_type.clone(), key.model.clone())).copied().unwrap_or_default()
    }
}

/// What a total is of, in the words of whoever tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    source: String,
    api_type: String,
    provider: String,
    model: String,
    request_type: String,
}

impl Key {
    /// Whether the source is one run of a program. Its totals say how many calls there were, and nothing certain of which
    /// of them failed.
    fn is_of_a_run(&self) -> bool {
        self.source.contains(' ')
    }

    /// The numbers as they are compared: of a run all calls stand in the place of those that were answered.
    fn compared(&self, sums: Sums) -> Sums {
        let failed = if self.is_of_a_run() { sums.failed } else { 0 };
        Sums { ok: sums.ok.saturating_add(failed), ..sums }
    }

    /// The numbers that were compared as they are written.
    fn written(&self, compared: Sums) -> Sums {
        if !self.is_of_a_run() {
            return compared;
        }
        let failed = compared.failed.min(compared.ok);
        Sums { ok: compared.ok - failed, failed, ..compared }
    }
}

/// The books as they are before the import, and what the import brings.
pub(super) struct Standing<'a> {
    /// The openings that were told to these books. Copies of other books' acts are theirs to change.
    pub(super) openings: &'a [Opening],
    /// The calls that are there.
    pub(super) calls: &'a Calls,
    /// The calls that come.
    pub(super) arriving: &'a Calls,
}

/// Opening balances to write.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Balance {
    /// To be written before the calls come: their part of a total.
    pub(super) take_back: Vec<Opening>,
    /// What a total has beyond the calls.
    pub(super) add: Vec<Opening>,
    /// Openings taken back and added again, because their total tells another mean latency now.
    pub(super) retimed: Vec<Opening>,
    /// Totals below what the same source told before; they change nothing.
    pub(super) fallen: Vec<String>,
}

/// Balances totals against the books.
pub(super) fn balance(totals: &[Total], standing: &Standing<'_>, now: Timestamp, zone: Zone) -> Balance {
    let told = told(totals, now, zone);
    let mut there: BTreeMap<Key, Vec<&Opening>> = BTreeMap::new();
    for opening in standing.openings {
        there.entry(key_of_opening(opening)).or_default().push(opening);
    }
    let mut balance = Balance::default();
    let keys: std::collections::BTreeSet<&Key> = told.keys().chain(there.keys()).collect();
    for key in keys {
        let openings = there.get(key).map_or(&[][..], Vec::as_slice);
        weigh(key, told.get(key), openings, standing, &mut balance, now);
    }
    balance
}

/// The totals by what they are of, with their time. Of one that is told twice the larger.
fn told(totals: &[Total], now: Timestamp, zone: Zone) -> BTreeMap<Key, (Total, Timestamp)> {
    let mut told: BTreeMap<Key, (Total, Timestamp)> = BTreeMap::new();
    for total in totals {
        let at = total.at.map_or(now, |at| admitted_at(at, zone)).min(now);
        let key = Key {
            source: total.source.clone(),
            api_type: total.api_type.clone(),
            provider: total.provider.clone(),
            model: total.model.clone(),
            request_type: total.request_type.clone(),
        };
        match told.get_mut(&key) {
            None => drop(told.insert(key, (total.clone(), at))),
            Some((known, latest)) => {
                known.sums = known.sums.with(total.sums, i128::max);
                *latest = at.max(*latest);
            }
        }
    }
    told
}

fn key_of_opening(opening: &Opening) -> Key {
    Key {
        source: opening.source.to_string(),
        api_type: opening.api_type.to_string(),
        provider: opening.provider.to_string(),
        model: opening.model.to_string(),
        request_type: opening.request_type.to_string(),
    }
}

fn sums_of(opening: &Opening) -> Sums {
    let Opening { ok, failed, prompt, completion, cost_usd, .. } = *opening;
    Sums { ok, failed, prompt, completion, cost: cost_usd }
}

/// Brings the openings of one key to what they should be.
fn weigh(
    key: &Key,
    told: Option<&(Total, Timestamp)>,
    openings: &[&Opening],
    standing: &Standing<'_>,
    balance: &mut Balance,
    now: Timestamp,
) {
    let there = openings.iter().fold(Sums::default(), |sum, opening| sum.plus(sums_of(opening)));
    let total = key.compared(told.map_or(Sums::default(), |(total, _)| total.sums));
    let (calls, arriving) = (standing.calls.within(key), standing.arriving.within(key));
    let (calls, arriving) = (key.compared(calls), key.compared(arriving));
    // What the source said before, where openings are left of it.
    let mut before = key.compared(there).with(calls, |opening, calls| if opening > 0 { opening + calls } else { 0 });
    if told.is_some() && key.is_of_a_run() && total.ok >= before.ok {
        // The failed ones of a run stand where it is guessed that they were, which may be elsewhere as it goes on.
        before.failed = before.failed.min(total.failed);
    }
    let fallen = told.is_some() && !before.minus(total).with(Sums::default(), i128::max).counts_nothing();
    if fallen {
        balance.fallen.push(format!("{} of {}/{}", key.source, key.api_type, key.model));
    }
    let total = total.with(before, i128::max);
    let rest = total.with(calls.plus(arriving), |total, calls| (total - calls).max(0));
    let mut difference = key.written(rest).minus(there);
    if told.is_none_or(|(total, _)| total.sums.cost.is_none()) && there.cost.is_none() {
        difference.cost = None; // calls have prices; a total whose source says none has none
    }
    let less = difference.with(Sums::default(), i128::min);
    let more = difference.with(Sums::default(), i128::max);
    let mut taken = Vec::new();
    if !less.is_zero() {
        take_back(less, openings, &mut taken);
    }
    let mean = told.and_then(|(total, _)| total.mean_latency_ms).filter(|_| !fallen);
    let left = Timed::of(openings.iter().copied().chain(&taken));
    let mean = mean.map(|mean| left.mean_beside(more, mean, &mut balance.retimed));
    balance.take_back.extend(taken);
    if !more.is_zero() {
        let like = openings.last().copied();
        let mean = mean.filter(|_| more.ok + more.failed > 0);
        balance.add.push(addition(key, told, like, more, mean, now));
    }
}

/// Takes back from the newest openings first, at their own time, so that each day loses what it was given.
fn take_back(less: Sums, openings: &[&Opening], out: &mut Vec<Opening>) {
    let mut by_time: BTreeMap<Timestamp, (Sums, &Opening)> = BTreeMap::new();
    for opening in openings {
        let (sums, _) = by_time.entry(opening.at).or_insert((Sums::default(), opening));
        *sums = sums.plus(sums_of(opening));
    }
    let mut owed = less;
    for (there, like) in by_time.into_values().rev() {
        let taken = owed.with(there, |owed, there| owed.max(-there.max(0)));
        if taken.is_zero() {
            continue;
        }
        owed = owed.minus(taken);
        let Sums { ok, failed, prompt, completion, cost } = taken;
        out.push(Opening { ok, failed, prompt, completion, cost_usd: cost, ..like.clone() });
    }
}

fn addition(
    key: &Key,
    told: Option<&(Total, Timestamp)>,
    like: Option<&Opening>,
    more: Sums,
    mean_latency_ms: Option<u64>,
    now: Timestamp,
) -> Opening {
    let at = told.map(|(_, at)| *at).or(like.map(|opening| opening.at)).unwrap_or(now);
    let mut opening = Opening::new(&key.source, at, &key.provider, &key.model);
    opening.api_type = Name::clean(&key.api_type);
    opening.request_type = Name::clean(&key.request_type);
    opening.local = told.map_or_else(|| like.is_some_and(|opening| opening.local), |(total, _)| total.local);
    (opening.ok, opening.failed) = (more.ok, more.failed);
    (opening.prompt, opening.completion) = (more.prompt, more.completion);
    (opening.cost_usd, opening.mean_latency_ms) = (more.cost, mean_latency_ms);
    opening
}

/// The openings of one key by their time and mean latency.
struct Timed<'a> {
    groups: BTreeMap<(Timestamp, Option<u64>), (i64, i64, &'a Opening)>,
}

impl<'a> Timed<'a> {
    fn of(openings: impl Iterator<Item = &'a Opening>) -> Timed<'a> {
        let mut groups = BTreeMap::new();
        for opening in openings {
            let (ok, failed, _) = groups.entry((opening.at, opening.mean_latency_ms)).or_insert((0i64, 0i64, opening));
            *ok = ok.saturating_add(opening.ok);
            *failed = failed.saturating_add(opening.failed);
        }
        groups.retain(|_, (ok, failed, _)| (*ok, *failed) != (0, 0));
        Timed { groups }
    }

    /// The mean of what is added that makes the mean of all the total's, `mean`. Where none can, or nothing is added,
    /// the openings that are there are told anew with that mean.
    fn mean_beside(&self, more: Sums, mean: u64, retimed: &mut Vec<Opening>) -> u64 {
        let requests: i128 = self.groups.values().map(|(ok, failed, _)| i128::from(*ok) + i128::from(*failed)).sum();
        let millis = |((_, mean), (ok, failed, _)): (&(Timestamp, Option<u64>), &(i64, i64, &Opening))| {
            mean.map(|mean| i128::from(mean) * (i128::from(*ok) + i128::from(*failed)))
        };
        let added = i128::from(more.ok) + i128::from(more.failed);
        if let Some(there) = self.groups.iter().map(millis).sum::<Option<i128>>() {
            let missing = i128::from(mean) * (requests + added) - there;
            if added > 0 && missing >= 0 {
                return u64::try_from(missing / added).unwrap_or(u64::MAX);
            }
            // Less than a millisecond each is what dividing left over.
            if added <= 0 && missing.unsigned_abs() < requests.unsigned_abs().max(1) {
                return mean;
            }
        }
        for ((at, told), (ok, failed, like)) in &self.groups {
            if *told != Some(mean) {
                let cost_usd = like.cost_usd.map(|_| Money::ZERO); // it stays in the row it is in
                let (prompt, completion) = (0, 0);
                let like = Opening { at: *at, prompt, completion, cost_usd, ..(*like).clone() };
                retimed.push(Opening { ok: -ok, failed: -failed, mean_latency_ms: *told, ..like.clone() });
                retimed.push(Opening { ok: *ok, failed: *failed, mean_latency_ms: Some(mean), ..like });
            }
        }
        mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::names::UNKNOWN;

    const SOURCE: &str = "token-log";

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-22T12:00:00.000000+00:00").expect("a time")
    }

    fn sums(ok: i64, prompt: i64) -> Sums {
        Sums { ok, prompt, ..Sums::default() }
    }

    fn total(source: &str, sums: Sums) -> Total {
        Total {
            source: source.to_owned(),
            at: None,
            api_type: "gemini".to_owned(),
            provider: "gemini".to_owned(),
            model: if source.contains(' ') { UNKNOWN } else { "flash" }.to_owned(),
            request_type: "other".to_owned(),
            local: false,
            sums,
            mean_latency_ms: None,
            line: 1,
        }
    }

    /// Books that imports are told to, one after the other.
    #[derive(Default)]
    struct Books {
        openings: Vec<Opening>,
        calls: Calls,
    }

    impl Books {
        fn import(&mut self, totals: &[Total], calls: &[(&str, &str, Sums)]) -> Vec<String> {
            let mut arriving = Calls::default();
            for (source, model, sums) in calls {
                arriving.add_sums(source, ("gemini", model), *sums);
            }
            let standing = Standing { openings: &self.openings, calls: &self.calls, arriving: &arriving };
            let balance = balance(totals, &standing, now(), Zone::UTC);
            self.openings.extend(balance.take_back);
            self.openings.extend(balance.add);
            self.openings.extend(balance.retimed);
            for (source, model, sums) in calls {
                self.calls.add_sums(source, ("gemini", model), *sums);
            }
            balance.fallen
        }

        fn opening(&self) -> Sums {
            self.openings.iter().fold(Sums::default(), |sum, opening| sum.plus(sums_of(opening)))
        }
    }

    #[test]
    fn a_total_beside_its_calls_adds_the_difference_and_calls_take_it_back() {
        let mut books = Books::default();
        books.import(&[total(SOURCE, sums(10, 1000))], &[(SOURCE, "flash", sums(4, 400))]);
        assert_eq!(books.opening(), sums(6, 600));
        books.import(&[total(SOURCE, sums(10, 1000))], &[]);
        assert_eq!((books.opening(), books.openings.len()), (sums(6, 600), 1), "again adds nothing");
        books.import(&[], &[(SOURCE, "flash", sums(1, 100)), (SOURCE, "another", sums(9, 9))]);
        assert_eq!(books.opening(), sums(5, 500), "a call that comes later was in the total");
        books.import(&[total(SOURCE, sums(12, 1300))], &[]);
        assert_eq!(books.opening(), sums(7, 800), "the total grew");
        books.import(&[total(SOURCE, sums(12, 1300))], &[(SOURCE, "flash", sums(8, 900))]);
        assert_eq!(books.opening(), sums(0, 0), "never below zero");
        assert!(books.openings.iter().all(|opening| opening.cost_usd.is_none()));
    }

    #[test]
    fn a_total_that_falls_is_somebody_elses_and_takes_nothing_away() {
        let mut books = Books::default();
        assert_eq!(books.import(&[total(SOURCE, sums(10, 1000))], &[]), [""; 0]);
        assert_eq!(books.import(&[total(SOURCE, sums(5, 500))], &[]), ["token-log of gemini/flash"]);
        assert_eq!(books.opening(), sums(10, 1000));
    }

    #[test]
    fn a_runs_total_contains_all_its_calls_whatever_their_model() {
        let run = "session-report 2025-10-14T15:30:45";
        let cost = |sums: Sums, pico| Sums { cost: Some(crate::usage::Money::from_pico_usd(pico)), ..sums };
        let mut books = Books::default();
        books.import(&[total(run, cost(sums(7, 22_000), 124))], &[(run, "gpt-5-nano", cost(sums(1, 5000), 32))]);
        assert_eq!(books.opening(), cost(sums(6, 17_000), 92));
        books.import(&[total("session-report 2025-10-15T09:00:00", cost(sums(1, 1), 1))], &[]);
        assert_eq!(books.opening(), cost(sums(7, 17_001), 93), "another session stands beside it");
    }

    #[test]
    fn which_calls_of_a_run_failed_is_no_matter_of_how_many_there_were() {
        let failing = |ok, failed| Sums { ok, failed, ..Sums::default() };
        let run = "metrics 2024-01-13T09:00:00";
        let mut books = Books::default();
        for (ok, failed) in [(4, 1), (6, 0), (5, 3), (2, 6)] {
            assert_eq!(books.import(&[total(run, failing(ok, failed))], &[]), [""; 0]);
            assert_eq!(books.opening(), failing(ok, failed));
        }
        assert_eq!(books.import(&[total(run, failing(7, 0))], &[]), [format!("{run} of gemini/unknown")]);
        assert_eq!(books.opening(), failing(2, 6));
        let session = "session-report 2025-10-14T15:30:45";
        let mut books = Books::default();
        books.import(&[total(session, sums(7, 0))], &[(session, "gpt-5-nano", failing(1, 1))]);
        assert_eq!(books.opening(), sums(5, 0), "a call that failed is one of all");
    }

    #[test]
    fn what_is_taken_back_is_taken_from_the_days_that_had_it() {
        let mut books = Books::default();
        let on = |day: &str, sums| Total { at: super::super::found::wall(Some(day)), ..total(SOURCE, sums) };
        books.import(&[on("2026-01-01T10:00:00", sums(5, 50))], &[]);
        books.import(&[on("2026-01-03T10:00:00", sums(8, 80))], &[]);
        books.import(&[], &[(SOURCE, "flash", sums(4, 40))]);
        let on = |day: &str| -> i64 {
            let of = books.openings.iter().filter(|opening| opening.at.day().to_string() == day);
            of.map(|opening| opening.ok).sum()
        };
        assert_eq!((on("2026-01-01"), on("2026-01-03")), (4, 0));
    }

    #[test]
    fn the_mean_of_all_openings_stays_that_of_the_total() {
        let mut books = Books::default();
        let at_mean = |requests, mean| Total { mean_latency_ms: Some(mean), ..total(SOURCE, sums(requests, 0)) };
        let mut expect = |requests: i64, mean: u64, openings: usize, what: &str| {
            books.import(&[at_mean(requests, mean)], &[]);
            let millis = |o: &Opening| o.requests() * i64::try_from(o.mean_latency_ms.expect("timed")).expect("small");
            let latency: i64 = books.openings.iter().map(millis).sum();
            assert_eq!((latency, books.opening()), (requests * i64::try_from(mean).expect("small"), sums(requests, 0)));
            assert_eq!(books.openings.len(), openings, "{what}");
        };
        expect(100, 2000, 1, "the first");
        expect(200, 2500, 2, "it grew");
        expect(200, 2500, 2, "told again");
        expect(200, 2600, 6, "the same calls, and another mean");
        expect(200, 2600, 6, "told again");
        expect(200, 100, 8, "lower");
        expect(201, 50, 11, "grown, and so much lower that no call could make it");
        expect(201, 50, 11, "told again");
    }

    #[test]
    fn a_mean_that_is_told_later_is_that_of_all() {
        let mut books = Books::default();
        books.import(&[total(SOURCE, sums(10, 70))], &[]);
        books.import(&[Total { mean_latency_ms: Some(900), ..total(SOURCE, sums(10, 70)) }], &[]);
        let timed: i64 = books.openings.iter().filter(|o| o.mean_latency_ms == Some(900)).map(Opening::requests).sum();
        let untimed: i64 = books.openings.iter().filter(|o| o.mean_latency_ms.is_none()).map(Opening::requests).sum();
        assert_eq!((timed, untimed, books.opening()), (10, 0, sums(10, 70)));
    }
}
