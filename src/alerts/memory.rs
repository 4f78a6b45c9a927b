//! What was told: the ids of alerts, whether they are known, and episodes that begin and end.
//!
//! What is known is a fold of the owner's acts, so that it lasts over restarts; beside it only what this process has
//! told and not confirmed yet.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::settings::{AlertState, Settings};
use crate::usage::Day;

/// Bytes of an id before they are written as hexadecimal digits.
const ID_BYTES: usize = 8;

/// Episodes of one thing on one day at most; beyond, no further one is told.
const MAX_EPISODES: u32 = 500;

/// The id of an event: the same for ever in the same books.
pub(super) fn id_of(lineage: Uuid, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    hash.update(lineage.as_bytes());
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..ID_BYTES])
}

/// What is known of earlier alerts, at one look.
pub(super) struct Known<'a> {
    pub(super) lineage: Uuid,
    pub(super) settings: &'a Settings,
    /// Ids of this process that are on their way.
    pub(super) told: &'a BTreeSet<String>,
}

impl Known<'_> {
    pub(super) fn id(&self, parts: &[&str]) -> String {
        id_of(self.lineage, parts)
    }

    /// Whether an alert was told, or is being told by this process. One that another process was about to tell is not:
    /// it is told again.
    pub(super) fn has(&self, id: &str) -> bool {
        self.settings.alert(id) == Some(AlertState::Fired) || self.told.contains(id)
    }

    /// Whether an alert was begun by a process that ended before it was confirmed.
    pub(super) fn is_left_over(&self, id: &str) -> bool {
        self.settings.alert(id) == Some(AlertState::Firing) && !self.told.contains(id)
    }

    /// The episode of something that has begun and not ended, by the day it belongs to.
    pub(super) fn open(&self, name: &str, day: Day) -> Option<Episode> {
        let episodes = (0..MAX_EPISODES).map(|n| self.episode(name, day, n));
        episodes.take_while(|episode| self.has(&episode.begin)).find(|episode| !self.has(&episode.end))
    }

    /// The same of something that may last: the day it began on is looked for over a week.
    pub(super) fn open_lately(&self, name: &str, today: Day) -> Option<Episode> {
        (0..7).find_map(|back| self.open(name, today.plus(-back)))
    }

    /// The next episode of something, to be begun; `None` when there were too many.
    pub(super) fn next(&self, name: &str, day: Day) -> Option<Episode> {
        let mut episodes = (0..MAX_EPISODES).map(|n| self.episode(name, day, n));
        episodes.find(|episode| !self.has(&episode.begin))
    }

    fn episode(&self, name: &str, day: Day, n: u32) -> Episode {
        let (day, n) = (day.to_string(), n.to_string());
        Episode { begin: self.id(&[name, &day, &n, "begin"]), end: self.id(&[name, &day, &n, "end"]) }
    }
}

/// Something that begins and ends: the ids of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Episode {
    pub(super) begin: String,
    pub(super) end: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Setting;

    #[test]
    fn an_id_depends_on_the_books_and_on_where_its_parts_end() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(id_of(one, &["a", "bc"]), id_of(one, &["a", "bc"]));
        assert_ne!(id_of(one, &["a", "bc"]), id_of(one, &["ab", "c"]));
        assert_ne!(id_of(one, &["a"]), id_of(other, &["a"]));
        assert_eq!(id_of(one, &[]).len(), 2 * ID_BYTES);
    }

    #[test]
    fn an_episode_is_open_until_its_end_was_told_and_then_there_is_another() {
        let (mut settings, told) = (Settings::default(), BTreeSet::new());
        let note = |settings: &mut Settings, id: &str, state| {
            settings.apply(&Setting::Alert { id: id.to_owned(), state });
        };
        let known = |settings: &Settings, of: &dyn Fn(&Known<'_>)| {
            of(&Known { lineage: Uuid::from_u128(1), settings, told: &told });
        };
        let mut first = None;
        known(&settings, &|known| assert_eq!(known.open("x", Day(1)), None));
        let ids = Known { lineage: Uuid::from_u128(1), settings: &settings, told: &told }.next("x", Day(1));
        first.clone_from(&ids);
        let first = first.expect("there is always a first");
        note(&mut settings, &first.begin, AlertState::Firing);
        known(&settings, &|known| {
            // Another process was about to tell it: it is told again, as the same.
            assert_eq!((known.open("x", Day(1)), known.next("x", Day(1))), (None, Some(first.clone())));
            assert!(known.is_left_over(&first.begin));
        });
        note(&mut settings, &first.begin, AlertState::Fired);
        known(&settings, &|known| assert_eq!(known.open("x", Day(1)), Some(first.clone())));
        known(&settings, &|known| assert_eq!(known.open("x", Day(2)), None));
        note(&mut settings, &first.end, AlertState::Fired);
        known(&settings, &|known| {
            assert_eq!(known.open("x", Day(1)), None);
            assert_ne!(known.next("x", Day(1)), Some(first.clone()));
        });
    }
}
