//! What the callers know, and the books held against it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tallybot::ledger::People;
use tallybot::reports::stats::ServiceStatus;
use tallybot::reports::{Facts, StatsReport};
use tallybot::stats::{Period, Picture, Saved};
use tallybot::usage::{Clock, Status, SubjectId, Timestamp, UsageRecord, UsageSource, Zone};
use tempfile::TempDir;

use crate::test_app::{TestApp, fold_of};

use super::{is_truth, quarantined_kinds};

/// All that was sent and said, over every round of a folder.
#[derive(Default)]
pub(super) struct Witness {
    known: Mutex<Known>,
    /// Records that were in the books at the last check.
    pub(super) seen: usize,
    counted: Counted,
}

#[derive(Default)]
struct Counted {
    items: usize,
    chats: usize,
    duplicates: u64,
}

/// What is known.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// Every item that was ever sent, by its tag.
    pub(super) sent: HashSet<String>,
    /// Those that were answered for.
    pub(super) acknowledged: HashSet<String>,
    /// Batches with given ids that nobody answered for.
    to_repeat: Vec<Vec<String>>,
    /// Some with given ids that somebody did.
    repeatable: Vec<Vec<String>>,
    chats_done: HashSet<u64>,
    duplicates: u64,
}

impl Witness {
    pub(super) fn known(&self) -> Known {
        self.known.lock().expect("no caller panics while holding it").clone()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.known.lock().expect("no caller panics while holding it"))
    }

    pub(super) fn sending(&self, tags: &[String]) {
        self.change(|known| known.sent.extend(tags.iter().cloned()));
    }

    /// A batch to send again: one that was not acknowledged, or, if `any`, one that was.
    pub(super) fn take_batch_to_repeat(&self, any: bool) -> Option<Vec<String>> {
        self.change(|known| known.to_repeat.pop().or_else(|| if any { known.repeatable.pop() } else { None }))
    }

    pub(super) fn unanswered(&self, tags: Vec<String>) {
        if tags[0].starts_with("given") {
            self.change(|known| known.to_repeat.push(tags));
        }
    }

    /// Holds an answer against what was known: what was acknowledged before must be a duplicate now.
    pub(super) fn acknowledged(&self, tags: Vec<String>, accepted: Option<u64>, duplicates: Option<u64>) {
        let (accepted, duplicates) = (accepted.expect("a count"), duplicates.expect("a count"));
        assert_eq!(accepted + duplicates, tags.len() as u64);
        self.change(|known| {
            let before = tags.iter().filter(|tag| known.acknowledged.contains(*tag)).count() as u64;
            assert!(duplicates >= before, "{before} of {tags:?} were acknowledged before, {duplicates} are duplicates");
            known.duplicates += duplicates;
            known.acknowledged.extend(tags.iter().cloned());
            if tags[0].starts_with("given") {
                known.repeatable.push(tags);
            }
        });
    }

    pub(super) fn chats_done(&self, calls: Vec<u64>) {
        self.change(|known| known.chats_done.extend(calls));
    }

    /// Items and chats acknowledged and duplicates answered since this was last asked.
    pub(super) fn counts_since_last(&mut self) -> (usize, usize, usize) {
        let known = self.known();
        let now =
            Counted { items: known.acknowledged.len(), chats: known.chats_done.len(), duplicates: known.duplicates };
        let before = std::mem::replace(&mut self.counted, now);
        let duplicates = usize::try_from(known.duplicates - before.duplicates).expect("few");
        (known.acknowledged.len() - before.items, known.chats_done.len() - before.chats, duplicates)
    }
}

impl Known {
    /// The tags of the items that are in the books.
    pub(super) fn tags_in(&self, records: &[UsageRecord<'static>]) -> HashSet<&str> {
        let tags = records.iter().filter_map(tag_of);
        tags.map(|tag| self.sent.get(&tag).unwrap_or_else(|| panic!("nobody sent {tag}")).as_str()).collect()
    }
}

fn tag_of(record: &UsageRecord<'_>) -> Option<String> {
    let metadata: Value = serde_json::from_str(record.metadata.as_json()).expect("JSON");
    metadata["tag"].as_str().map(str::to_owned)
}

/// Every acknowledged record once, the others at most once; a call that reached the provider has exactly one.
pub(super) fn assert_books(records: &[UsageRecord<'static>], data: &Path, known: &Known, reached: &[u64]) {
    let ids: HashSet<_> = records.iter().map(|record| record.id.0).collect();
    assert_eq!(ids.len(), records.len(), "every id is there once");
    let mut tags: HashMap<String, usize> = HashMap::new();
    records.iter().filter_map(tag_of).for_each(|tag| *tags.entry(tag).or_default() += 1);
    for (tag, count) in &tags {
        assert!(known.sent.contains(tag), "nobody sent {tag}");
        assert_eq!(*count, 1, "{tag}");
    }
    let lost: Vec<_> = known.acknowledged.iter().filter(|tag| !tags.contains_key(*tag)).collect();
    assert!(lost.is_empty(), "acknowledged and not in the books: {lost:?}");

    let people = People::open(data, [0; 32]).expect("the child made it");
    let mut sessions: HashMap<SubjectId, &UsageRecord<'_>> = HashMap::new();
    for record in records {
        if let Some(session) = record.session {
            let other = sessions.insert(session, record);
            assert!(other.is_none(), "two records of one call: {other:?} {record:?}");
        }
    }
    let of_call = |call: u64| sessions.get(&people.hash("terminal", &format!("call-{call}")));
    let silent: Vec<_> = reached.iter().filter(|call| of_call(**call).is_none()).collect();
    assert!(silent.is_empty(), "reached the provider and are not in the books: {silent:?}");
    for call in &known.chats_done {
        let record = of_call(*call).unwrap_or_else(|| panic!("call {call} was acknowledged"));
        assert_eq!((record.status, record.tokens.prompt), (Status::Ok, *call));
        assert_eq!((record.tokens.completion, record.usage_source), (call % 50, UsageSource::Reported));
    }
    for record in sessions.values() {
        assert!(matches!(record.status, Status::Ok | Status::Interrupted), "{record:?}");
    }
    assert!(quarantined_kinds(data).iter().all(|kind| kind == "torn"), "only a torn end may be put aside");
}

/// What a start shows, what the snapshot with its tail gives, and what the lines alone give are one. Gives whether a
/// snapshot took part.
pub(super) fn assert_stats_are_the_fold(app: &TestApp, data: &Path, clock: &Arc<dyn Clock>) -> bool {
    let copy = TempDir::new().expect("a temporary folder");
    copy_truth(data, copy.path());
    let live = app.get("/stats").json();
    let now = clock.now().at;
    let replayed = fold_of(copy.path(), now);
    assert!(replayed.damage.is_empty(), "{:?}", replayed.damage);
    let cached = fold_of(data, now);
    assert!(saved(&cached.picture, now) == saved(&replayed.picture, now), "the snapshot drifted from the fold");
    let facts = Facts {
        bot: "raymundo",
        version: "",
        status: ServiceStatus::Ok,
        started_at: None,
        begun: None,
        picture: &replayed.picture,
        windows: &[],
        learned: &[],
        providers: Vec::new(),
        timezone: Zone::UTC,
        now,
    };
    let folded = serde_json::to_value(StatsReport::of(&facts, Period::All)).expect("plain data");
    for part in ["requests", "tokens", "latency_ms", "errors", "cost", "models", "conversations", "last_request_at"] {
        assert_eq!(live[part], folded[part], "{part}: live and folded");
    }
    cached.replayed < replayed.replayed
}

fn saved(picture: &Picture, now: Timestamp) -> Saved {
    let mut stats = picture.saved().restored();
    stats.roll(now);
    stats.picture().saved().canonical()
}

fn copy_truth(from: &Path, to: &Path) {
    copy(from, to, is_truth);
}

/// Copies some files of a folder; gives how many.
pub(super) fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> usize {
    fs::create_dir_all(to).expect("writable");
    let Ok(entries) = fs::read_dir(from) else { return 0 };
    let names = entries.map(|entry| entry.expect("readable").file_name().into_string().expect("text"));
    let wanted: Vec<String> = names.filter(|name| wanted(name)).collect();
    for name in &wanted {
        fs::copy(from.join(name), to.join(name)).expect("writable");
    }
    wanted.len()
}
