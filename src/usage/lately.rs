//! What was found lately, for those who ask the same few things again and again.

use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;

/// Answers to the questions asked last; of two that share a place the later one. It never grows, and nobody outside can
/// tell which questions share a place.
#[derive(Debug)]
pub struct Lately<T> {
    hashed_by: RandomState,
    places: Box<[Mutex<Option<T>>]>,
}

impl<T: Clone> Lately<T> {
    /// Remembers so many answers at most, which is not none.
    pub fn new(places: usize) -> Lately<T> {
        Lately {
            hashed_by: RandomState::default(),
            places: std::iter::repeat_with(Mutex::default).take(places).collect(),
        }
    }

    /// The answer to a question: the one that is remembered, if it `is_it`, else it is found now.
    pub fn find(&self, question: impl Hash, is_it: impl FnOnce(&T) -> bool, find: impl FnOnce() -> T) -> T {
        let place = self.hashed_by.hash_one(question) % self.places.len() as u64;
        let mut known = self.places[place as usize].lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(answer) if is_it(answer) => answer.clone(),
            _ => known.insert(find()).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_gets_its_own_answer_whoever_shares_its_place() {
        let lately = Lately::new(4);
        let mut found = 0;
        for round in 0..3 {
            for question in 0..64 {
                for _again in 0..2 {
                    let find = || {
                        found += 1;
                        (question, question * question)
                    };
                    let answer = lately.find(question, |(of, _)| *of == question, find);
                    assert_eq!(answer, (question, question * question), "{round}");
                }
            }
        }
        assert!((64..=192).contains(&found), "{found}: the second time at once is remembered");
    }
}
