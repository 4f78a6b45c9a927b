//! What the records of the inbox add up to.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::record::{HEADER, Record};
use super::{Entry, Pending, Stage};

/// The last so many updates are remembered,
const REMEMBERED: usize = 10_000;

/// all of the last day,
const REMEMBERED_SECS: i64 = 24 * 60 * 60;

/// and never more than this: more than one a second, all day.
const MAX_REMEMBERED: usize = 100_000;

/// Updates that wait, and those that are done and remembered.
#[derive(Debug, Default)]
pub(super) struct State {
    pending: BTreeMap<u64, (Entry, Stage)>,
    done: HashSet<u64>,
    /// With the Unix time in seconds, in the order in which they were done.
    done_at: VecDeque<(u64, i64)>,
}

impl State {
    /// Adds what happened. What is known already changes nothing.
    pub(super) fn apply(&mut self, record: Record) {
        match record {
            Record::Received(entry) if self.knows(entry.update) => {}
            Record::Received(entry) => {
                self.pending.insert(entry.update, (entry, Stage::Received));
            }
            Record::Started(update) => self.advance(update, Stage::Started),
            Record::Placed(update, message) => self.advance(update, Stage::Placed(message)),
            Record::Sending(update) => self.advance(update, Stage::Sending),
            Record::Reopened(update) => {
                if let Some((_, stage @ (Stage::Sending | Stage::Placed(_)))) = self.pending.get_mut(&update) {
                    *stage = Stage::Started;
                }
            }
            Record::Done(update, secs) => {
                self.pending.remove(&update);
                if self.done.insert(update) {
                    self.done_at.push_back((update, secs));
                }
                self.forget(secs);
            }
        }
    }

    /// Whether a record would change anything.
    pub(super) fn is_news(&self, record: Record) -> bool {
        let stage = |update: u64| self.pending.get(&update).map(|(_, stage)| *stage);
        match record {
            Record::Received(entry) => !self.knows(entry.update),
            Record::Started(update) => stage(update) == Some(Stage::Received),
            Record::Placed(update, message) => stage(update).is_some_and(|stage| stage < Stage::Placed(message)),
            Record::Sending(update) => stage(update).is_some_and(|stage| stage < Stage::Sending),
            Record::Reopened(update) => matches!(stage(update), Some(Stage::Sending | Stage::Placed(_))),
            Record::Done(update, _) => self.pending.contains_key(&update),
        }
    }

    pub(super) fn knows(&self, update: u64) -> bool {
        self.pending.contains_key(&update) || self.done.contains(&update)
    }

    pub(super) fn pending(&self) -> impl ExactSizeIterator<Item = Pending> {
        self.pending.values().map(|(entry, stage)| Pending { entry: *entry, stage: *stage })
    }

    /// How many lines [`whole`](State::whole) has, about.
    pub(super) fn size(&self) -> usize {
        2 * self.pending.len() + self.done_at.len()
    }

    /// A file that says all this and nothing else.
    pub(super) fn whole(&self) -> String {
        let mut file = format!("{HEADER}\n");
        for (update, secs) in &self.done_at {
            Record::Done(*update, *secs).write(&mut file);
        }
        for (update, (entry, stage)) in &self.pending {
            Record::Received(*entry).write(&mut file);
            if let Some(record) = Record::of_stage(*update, *stage) {
                record.write(&mut file);
            }
        }
        file
    }

    /// Forgets what was done long ago.
    pub(super) fn forget(&mut self, now_secs: i64) {
        while let Some((update, secs)) = self.done_at.front().copied() {
            let is_old = now_secs.saturating_sub(secs) > REMEMBERED_SECS;
            if self.done_at.len() <= REMEMBERED || !(is_old || self.done_at.len() > MAX_REMEMBERED) {
                return;
            }
            self.done_at.pop_front();
            self.done.remove(&update);
        }
    }

    fn advance(&mut self, update: u64, to: Stage) {
        if let Some((_, stage)) = self.pending.get_mut(&update) {
            *stage = (*stage).max(to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Language;
    use super::*;

    fn done(state: &mut State, updates: std::ops::Range<u64>, secs: i64) {
        for update in updates {
            state.apply(Record::Done(update, secs));
        }
    }

    #[test]
    fn a_day_and_ten_thousand_are_remembered() {
        let mut state = State::default();
        done(&mut state, 0..5_000, 0);
        done(&mut state, 5_000..10_000, 40 * 3_600);
        assert!(state.knows(0), "days ago, but among the last ten thousand");
        done(&mut state, 10_000..20_000, 41 * 3_600);
        assert!(!state.knows(0) && !state.knows(4_999));
        assert!(state.knows(5_000), "within the day, although ten thousand came since");
        done(&mut state, 20_000..200_000, 41 * 3_600);
        assert_eq!((state.done.len(), state.done_at.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
        state.forget(90 * 3_600);
        assert_eq!(state.done.len(), REMEMBERED);
    }

    #[test]
    fn a_stage_never_goes_back_but_when_it_is_reopened() {
        let entry = Entry { update: 1, chat: 2, thread: None, message: 3, language: Language::new("es") };
        let mut state = State::default();
        for record in [Record::Received(entry), Record::Placed(1, 9), Record::Started(1), Record::Received(entry)] {
            state.apply(record);
        }
        assert_eq!(state.pending().collect::<Vec<_>>(), [Pending { entry, stage: Stage::Placed(9) }]);
        for (record, stage) in [
            (Record::Reopened(1), Stage::Started),
            (Record::Reopened(1), Stage::Started),
            (Record::Sending(1), Stage::Sending),
            (Record::Placed(1, 10), Stage::Sending),
            (Record::Reopened(1), Stage::Started),
        ] {
            state.apply(record);
            assert_eq!(state.pending().collect::<Vec<_>>(), [Pending { entry, stage }]);
        }
        state.apply(Record::Done(1, 5));
        state.apply(Record::Received(entry));
        assert_eq!(state.pending().len(), 0);
    }
}
