//! Refusals: the first of a second is a line, the rest of that second are counted into one more.

use std::collections::HashMap;

use crate::usage::names::Name;
use crate::usage::{Now, SubjectId, UsageRecord};

/// Different refusals counted apart within a second; beyond, each new one is written at once.
const MAX_KINDS: usize = 1024;

/// The refusals of the second that runs.
#[derive(Default)]
pub(super) struct Refusals {
    counted: HashMap<Kind, Counted>,
}

/// What refusals counted into one line have in common: all that a report could tell them apart by.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    reason: String,
    user: Option<SubjectId>,
    names: [Option<Name<'static>>; 9],
}

impl Kind {
    fn of(reason: String, record: &UsageRecord<'static>) -> Kind {
        let names = [
            Some(record.provider.clone()),
            Some(record.model.clone()),
            Some(record.request_type.clone()),
            Some(record.channel.clone()),
            record.key.clone(),
            record.team.clone(),
            record.feature.clone(),
            record.agent.clone(),
            record.operation.clone(),
        ];
        Kind { reason, user: record.user, names }
    }
}

struct Counted {
    second: u64,
    /// What the rest of the second will be written as; its count is how many there are beyond the first.
    rest: UsageRecord<'static>,
    beyond_first: u64,
}

impl Refusals {
    /// Takes a refusal for a reason. Gives the records to write now: this one, if it is the first of its second, and
    /// the count of the second before it.
    pub(super) fn first(
        &mut self,
        reason: String,
        record: UsageRecord<'static>,
        now: Now,
    ) -> Vec<UsageRecord<'static>> {
        let (kind, second) = (Kind::of(reason, &record), now.tick.second());
        if let Some(counted) = self.counted.get_mut(&kind)
            && counted.second == second
        {
            counted.beyond_first += 1;
            return Vec::new();
        }
        let before = self.counted.remove(&kind).and_then(Counted::into_record);
        if self.counted.len() < MAX_KINDS {
            self.counted.insert(kind, Counted { second, rest: record.clone(), beyond_first: 0 });
        }
        before.into_iter().chain([record]).collect()
    }

    /// The counts of seconds that are over.
    pub(super) fn due(&mut self, now: Now) -> Vec<UsageRecord<'static>> {
        let second = now.tick.second();
        let over = self.counted.extract_if(|_, counted| counted.second < second);
        over.filter_map(|(_, counted)| counted.into_record()).collect()
    }

    /// All counts so far, for whoever looks now, or at the end. The second goes on.
    pub(super) fn counts(&mut self) -> Vec<UsageRecord<'static>> {
        let open = self.counted.values_mut().filter(|counted| counted.beyond_first > 0);
        open.map(|counted| {
            let count = std::mem::take(&mut counted.beyond_first);
            UsageRecord { count, ..counted.rest.clone() }
        })
        .collect()
    }
}

impl Counted {
    fn into_record(self) -> Option<UsageRecord<'static>> {
        (self.beyond_first > 0).then_some(UsageRecord { count: self.beyond_first, ..self.rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{RecordId, Tick, Timestamp};

    #[test]
    fn every_refusal_is_counted_once_and_a_second_writes_two_lines_at_most() {
        let at = Timestamp::new(1_795_305_600_000_000, 0);
        let record = UsageRecord::new(RecordId::new(at, [0; 10]), at, "p".into(), "m".into());
        let now = |millis: u64| Now { at, tick: Tick(millis * 1000) };
        let mut refusals = Refusals::default();
        let mut written = Vec::new();
        for millis in [0, 10, 20, 990, 1000, 1001, 5000] {
            written.extend(refusals.first("limit".into(), record.clone(), now(millis)));
        }
        assert!(refusals.due(now(5999)).is_empty());
        written.extend(refusals.due(now(6000)));
        let counts: Vec<u64> = written.iter().map(|record| record.count).collect();
        assert_eq!(counts, [1, 3, 1, 1, 1]);
        assert_eq!(counts.iter().sum::<u64>(), 7);
    }

    #[test]
    fn refusals_of_one_are_never_counted_in_the_line_of_another() {
        let at = Timestamp::new(1_795_305_600_000_000, 0);
        let record = UsageRecord::new(RecordId::new(at, [0; 10]), at, "p".into(), "m".into());
        let now = Now { at, tick: Tick(0) };
        let others = [
            record.clone(),
            UsageRecord { key: Some("web".into()), ..record.clone() },
            UsageRecord { key: Some("ci".into()), ..record.clone() },
            UsageRecord { team: Some("sales".into()), ..record.clone() },
            UsageRecord { provider: "other".into(), ..record.clone() },
            UsageRecord { model: "other".into(), ..record.clone() },
        ];
        let mut refusals = Refusals::default();
        for beyond_first in 0..others.len() as u64 {
            for record in &others {
                assert_eq!(refusals.first("limit".into(), record.clone(), now).len(), usize::from(beyond_first == 0));
            }
        }
        let counts = refusals.counts();
        assert_eq!(counts.len(), others.len());
        for mut record in counts {
            assert_eq!(std::mem::replace(&mut record.count, 1), others.len() as u64 - 1);
            assert!(others.contains(&record), "{record:?}");
        }
    }
}
