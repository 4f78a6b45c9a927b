//! The laws of the owner's acts: durable before they count, folded once whatever is killed and when, in no limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::usage::Opening;
use crate::usage::arbitrary::opening;

fn open_with(folder: &Path, follower: Box<dyn Follower>) -> Ledger {
    let options = Options { follower, ..options(Durability::Kill) };
    Ledger::open(folder, options, Uuid::from_u128(1), at(0)).expect("the folder opens").0
}

fn balance(n: i64, at: Timestamp) -> Opening {
    Opening { ok: n, prompt: 1000 * n, ..Opening::new("elsewhere", at, "gemini", "gemini-2.5-flash") }
}

/// The folder as a process that was killed leaves it, opened again: as it is, and without its snapshots.
fn assert_survives(folder: &Path, expected: &Saved) {
    for forget in [false, true] {
        if forget {
            for name in ["metrics.json", "metrics.previous.json"] {
                let _ = fs::remove_file(folder.join(name));
            }
        }
        let reading = Folder::new(folder).read(&mut (), at(0)).expect("readable");
        assert!(rolled(&reading.picture.saved()) == *expected, "for those who only look; without snapshots: {forget}");
        assert!(shown(&open(folder).0) == *expected, "after a restart; without snapshots: {forget}");
    }
}

#[test]
fn an_opening_counts_once_whether_the_snapshot_is_before_or_after_it() {
    let folder = quick_folder();
    let ledger = open(folder.path()).0;
    ledger.append(&plain(1, at(1)), at(1)).expect("appended");
    ledger.add_openings(&[balance(3, at(-40 * 86_400))], at(2)).expect("written");
    ledger.snapshot(at(2)).expect("written");
    ledger.add_openings(&[balance(4, at(-9)), balance(-1, at(-8))], at(3)).expect("written");
    let live = shown(&ledger);
    let total = ledger.picture().all_time().total(|_| true);
    assert_eq!((total.records, total.prompt, total.openings.requests), (7, 6001, 6));
    drop(ledger);
    let acts = Folder::new(folder.path()).read(&mut (), at(0)).expect("readable").acts.expect("there are acts");
    assert_eq!(acts.openings.iter().map(|opening| opening.ok).collect::<Vec<_>>(), [3, 4, -1]);
    assert_survives(folder.path(), &live);
}

#[test]
fn a_reset_taken_back_shows_what_it_hid_and_a_late_record_with_it() {
    let folder = quick_folder();
    let ledger = open(folder.path()).0;
    assert_eq!(ledger.undo_reset(at(0)).expect("nothing to write"), None);
    ledger.append(&plain(1, at(1)), at(1)).expect("appended");
    let (first, second) = (ledger.reset(at(5)).expect("reset"), ledger.reset(at(7)).expect("reset"));
    ledger.append(&plain(2, at(8)), at(8)).expect("appended");
    ledger.snapshot(at(8)).expect("written");
    let current = |ledger: &Ledger| ledger.picture().select(Period::All, at(0).day()).total(|_| true).prompt;
    assert_eq!(current(&ledger), 2);
    let undone = ledger.undo_reset(at(9)).expect("written").expect("the second");
    assert_eq!((undone.begin, undone.counting_since), (second, first));
    ledger.append(&plain(4, at(6)), at(10)).expect("a late one, of the epoch between");
    assert_eq!(current(&ledger), 6);
    let live = shown(&ledger);
    drop(ledger);
    assert_survives(folder.path(), &live);
    let ledger = open(folder.path()).0;
    let undone = ledger.undo_reset(at(11)).expect("written").expect("the first");
    assert_eq!((undone.begin, undone.counting_since), (first, ledger.acts().begun));
    assert_eq!((current(&ledger), ledger.undo_reset(at(12)).expect("nothing to write")), (7, None));
}

#[test]
fn openings_touch_no_limit() {
    struct Counting(Arc<AtomicUsize>);
    impl Follower for Counting {
        fn apply(&mut self, _: &UsageRecord<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn save(&self) -> serde_json::Value {
            serde_json::Value::Null
        }
        fn restore(&mut self, _: &serde_json::Value) -> bool {
            false
        }
        fn horizon(&self) -> Timestamp {
            Timestamp::new(0, 0)
        }
    }
    let (folder, seen) = (quick_folder(), Arc::new(AtomicUsize::new(0)));
    let ledger = open_with(folder.path(), Box::new(Counting(Arc::clone(&seen))));
    ledger.append(&plain(1, at(1)), at(1)).expect("appended");
    ledger.add_openings(&[balance(100, at(1))], at(2)).expect("written");
    ledger.close(at(3)).expect("closed");
    assert!(matches!(ledger.add_openings(&[balance(1, at(1))], at(4)), Err(LedgerError::Closed)));
    drop(ledger);
    drop(open_with(folder.path(), Box::new(Counting(Arc::clone(&seen)))));
    assert_eq!(seen.load(Ordering::Relaxed), 2, "the one record, live and replayed");
}

#[test]
fn a_thousand_names_have_a_row_and_the_rest_is_other_with_nothing_lost() {
    let folder = quick_folder();
    let ledger = open(folder.path()).0;
    let openings: Vec<Opening> =
        (0..3000).map(|n| Opening { ok: 1, ..Opening::new("elsewhere", at(-1), "p", &format!("m{n}")) }).collect();
    ledger.add_openings(&openings, at(0)).expect("written");
    let picture = ledger.picture();
    assert_eq!(picture.all_time().total(|_| true).records, 3000);
    assert!(picture.day_rows_len(at(-1).day()) <= 1025);
    drop(ledger);
    assert_survives(folder.path(), &rolled(&picture.saved()));
}

/// What may happen to a ledger, in any order.
#[derive(Clone, Debug)]
enum Happening {
    Record(Box<UsageRecord<'static>>),
    Openings(Vec<Opening>),
    Reset,
    Undo,
    Snapshot,
    /// Killed and started again.
    Restart,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => record().prop_map(|mut record| {
            record.source = None; // a given id would be taken once only
            Happening::Record(Box::new(record))
        }),
        2 => prop::collection::vec(opening(), 1..4).prop_map(Happening::Openings),
        2 => Just(Happening::Reset),
        2 => Just(Happening::Undo),
        1 => Just(Happening::Snapshot),
        2 => Just(Happening::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_books_are_the_fold_of_records_and_acts_whatever_happens(
        happenings in prop::collection::vec(happening(), 1..16)
    ) {
        let folder = quick_folder();
        let mut ledger = open(folder.path()).0;
        let (mut records, mut openings): (Vec<UsageRecord<'static>>, Vec<Opening>) = Default::default();
        let mut resets = Vec::new();
        for (secs, happening) in (0i64..).zip(happenings) {
            let now = at(secs);
            match happening {
                Happening::Record(record) => {
                    ledger.append(&record, now).expect("appended");
                    records.push(*record);
                }
                Happening::Openings(added) => {
                    ledger.add_openings(&added, now).expect("written");
                    openings.extend(added);
                }
                Happening::Reset => resets.push(ledger.reset(now).expect("written")),
                Happening::Undo => {
                    let undone = ledger.undo_reset(now).expect("written").map(|undone| undone.begin);
                    prop_assert_eq!(undone, resets.pop());
                }
                Happening::Snapshot => ledger.snapshot(now).expect("written"),
                Happening::Restart => {
                    drop(ledger);
                    ledger = open(folder.path()).0;
                }
            }
            let mut model = Stats::new(resets.clone());
            records.iter().for_each(|record| model.apply(record));
            openings.iter().for_each(|opening| model.apply_opening(opening));
            prop_assert_eq!(shown(&ledger), rolled(&model.picture().saved()));
        }
        let live = shown(&ledger);
        drop(ledger);
        assert_survives(folder.path(), &live);
    }
}
