//! Strangers: how often they are told that they are, and how often they may try a code.

use std::collections::HashMap;

use crate::usage::Tick;

/// One refusal, and so many tries of a code, within this time.
const HOUR_MILLIS: u64 = 60 * 60 * 1_000;
const MAX_TRIES: u32 = 5;

/// Strangers that are remembered. When there are more at once, none of the new ones hears anything.
const MAX_GUESTS: usize = 10_000;

/// Who came lately.
#[derive(Default)]
pub(super) struct Guests {
    known: HashMap<i64, Guest>,
}

struct Guest {
    since: Tick,
    is_refused: bool,
    tries: u32,
}

impl Guests {
    /// Whether to tell them now.
    pub(super) fn may_be_refused(&mut self, id: i64, now: Tick) -> bool {
        self.guest(id, now).is_some_and(|guest| !std::mem::replace(&mut guest.is_refused, true))
    }

    /// Whether they may try a code now.
    pub(super) fn may_try(&mut self, id: i64, now: Tick) -> bool {
        self.guest(id, now).is_some_and(|guest| {
            guest.tries += 1;
            guest.tries <= MAX_TRIES
        })
    }

    fn guest(&mut self, id: i64, now: Tick) -> Option<&mut Guest> {
        let is_old = |guest: &Guest| now.millis_since(guest.since) >= HOUR_MILLIS;
        if self.known.get(&id).is_some_and(is_old) {
            self.known.remove(&id);
        }
        if self.known.len() >= MAX_GUESTS && !self.known.contains_key(&id) {
            self.known.retain(|_, guest| !is_old(guest));
            if self.known.len() >= MAX_GUESTS {
                return None;
            }
        }
        Some(self.known.entry(id).or_insert(Guest { since: now, is_refused: false, tries: 0 }))
    }
}

/// The code behind `/start` (of a link) or `/claim`.
pub(super) fn code_of(text: &str) -> Option<&str> {
    let mut words = text.split_whitespace();
    let command = words.next()?.strip_prefix('/')?;
    let name = command.split('@').next()?.to_lowercase();
    let code = words.next()?;
    (["start", "claim"].contains(&name.as_str()) && words.next().is_none() && code.len() <= 64).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_hears_one_refusal_an_hour_and_may_try_five_codes() {
        let mut guests = Guests::default();
        let at = |minutes: u64| Tick(minutes * 60_000_000);
        assert!(guests.may_be_refused(1, at(0)) && guests.may_be_refused(2, at(0)));
        assert!(!guests.may_be_refused(1, at(59)));
        assert_eq!((0..7).filter(|_| guests.may_try(1, at(59))).count(), 5);
        assert!(guests.may_be_refused(1, at(60)) && guests.may_try(1, at(60)));
    }

    #[test]
    fn a_crowd_of_strangers_is_bounded() {
        let mut guests = Guests::default();
        let heard = (0..20_000).filter(|id| guests.may_be_refused(*id, Tick(0))).count();
        assert_eq!(heard, MAX_GUESTS);
        assert!(guests.may_be_refused(30_000, Tick(HOUR_MILLIS * 1_000)));
        assert_eq!(guests.known.len(), 1);
    }

    #[test]
    fn a_code_stands_behind_start_or_claim_alone() {
        for (text, code) in [
            ("/start abc-1", Some("abc-1")),
            ("/claim@tally_bot  X ", Some("X")),
            ("/START x", Some("x")),
            ("/start", None),
            ("/start a b", None),
            ("/stats a", None),
            ("start a", None),
        ] {
            assert_eq!(code_of(text), code, "{text}");
        }
        assert_eq!(code_of(&format!("/start {}", "x".repeat(65))), None);
    }
}
