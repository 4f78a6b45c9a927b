//! The line: calls that do not fit now and wait until they do. Pure but for telling them; who tries is given.
//!
//! Calls that wait for the same limit go in the order in which they came, but each person's second call only after
//! everybody's first: nobody with many calls keeps the others waiting. Who stands first keeps all behind them, however
//! small, so a large call gets its turn.

use std::time::Duration;

use tokio::sync::watch;

use super::Call;
use crate::limits::{AtLimit, Label, NextSafe, Refusal};
use crate::usage::names::Name;
use crate::usage::{Factors, Now, RecordId, SubjectId};

/// The persons that one key can fill a line for.
const PERSONS_OF_A_KEY: usize = 5;

/// Whether and how long a caller waits in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Whether a call waits where the limit leaves it to who asks.
    pub by_default: bool,
    /// Calls in line at most; one more is refused.
    pub most: usize,
    /// Calls of one person, or of one key for nobody, in line at most. Of one key for different persons, who are whoever it
    /// says, five times as many.
    pub most_each: usize,
    /// The longest wait: who still stands in line then is refused, and at once whose wait is known to be longer.
    pub longest: Duration,
}

impl Default for Patience {
    /// Waits only where a limit says so.
    fn default() -> Patience {
        Patience { by_default: false, most: 100, most_each: 5, longest: Duration::from_secs(120) }
    }
}

impl Patience {
    /// Whether a call that is refused so is to wait: it is wanted, and not known to be longer than the longest wait, or
    /// calls in flight may make room before.
    pub(super) fn waits_for(&self, refusal: &Refusal) -> bool {
        let wanted = match &refusal.at_limit {
            Some(at_limit) => *at_limit == AtLimit::Wait,
            None => self.by_default,
        };
        wanted && is_within(refusal, self.longest)
    }
}

fn is_within(refusal: &Refusal, longest: Duration) -> bool {
    refusal.held || refusal.wait_ms().is_some_and(|wait_ms| Duration::from_millis(wait_ms) <= longest)
}

/// Where a call stands in line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its place among those who wait for the same limit: 1 goes next.
    pub position: usize,
    /// How many wait for that limit.
    pub of: usize,
    /// The limit, and when the first of them is safe to go if nobody else's call ends before.
    pub refusal: Refusal,
}

/// What became of a call in line.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    Waits(Place),
    /// It was admitted then, and is reserved under this id.
    Goes(Box<Admitted>),
    /// Waiting does not help any more.
    Refused(Refusal),
}

/// A call that is reserved at the gate.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    pub(super) id: RecordId,
    pub(super) call: Box<Call>,
    /// Its input as it was estimated, and what that was multiplied by.
    pub(super) estimated: (u64, Factors),
    pub(super) at: Now,
}

/// Whose a call is, for their fair share.
type Whose = (Option<SubjectId>, Option<Name<'static>>);

fn whose(call: &Call) -> Whose {
    (call.user, call.key.clone())
}

struct Waiting {
    /// In the order of arrival.
    number: u64,
    /// Its round among those who wait for the same limit: everybody's next call is in it before anybody's second.
    turn: u64,
    call: Call,
    /// Whose counts it is held against.
    labels: Vec<Label>,
    refusal: Refusal,
    longest: Duration,
    told: watch::Sender<Standing>,
}

/// Everybody who waits, in the order in which they go.
#[derive(Default)]
pub(super) struct Line {
    waiting: Vec<Waiting>,
    last_number: u64,
}

impl Line {
    /// What stands in the way of a newcomer that is held against these counts: somebody waits for one of them already.
    pub(super) fn ahead_of(&self, labels: &[Label]) -> Option<Refusal> {
        let ahead = self.waiting.iter().find(|waiting| labels.contains(&waiting.refusal.label));
        ahead.map(|waiting| waiting.refusal.clone())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes a call in, behind the others; `None` when there is no room. Gives its number and what it is to watch.
    pub(super) fn join(
        &mut self,
        call: Call,
        labels: Vec<Label>,
        refusal: Refusal,
        patience: &Patience,
    ) -> Option<(u64, watch::Receiver<Standing>)> {
        let count = |is_own: &dyn Fn(&Call) -> bool| self.waiting.iter().filter(|one| is_own(&one.call)).count();
        let own = count(&|other| whose(other) == whose(&call));
        let of_key = call.key.as_ref().map_or(0, |key| count(&|other| other.key.as_ref() == Some(key)));
        if self.waiting.len() >= patience.most
            || own >= patience.most_each
            || of_key >= patience.most_each.saturating_mul(PERSONS_OF_A_KEY)
        {
            return None;
        }
        self.last_number += 1;
        let number = self.last_number;
        let turn = self.turn(&call, &refusal.label);
        let (told, standing) = watch::channel(Standing::Waits(Place { position: 1, of: 1, refusal: refusal.clone() }));
        self.waiting.push(Waiting { number, turn, call, labels, refusal, longest: patience.longest, told });
        self.tell();
        Some((number, standing))
    }

    /// Takes a call out; `false` when it was not in line any more.
    pub(super) fn leave(&mut self, number: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.number != number);
        self.tell();
        self.waiting.len() < before
    }

    /// Lets everybody go who fits now, in order. Of those who wait for the same limit only the first is tried.
    pub(super) fn serve(&mut self, mut admit: impl FnMut(&Call) -> Result<Admitted, Refusal>) {
        let mut full: Vec<Refusal> = Vec::new();
        let mut gone = Vec::new();
        for at in 0..self.waiting.len() {
            let waiting = &self.waiting[at];
            let blocked = full.iter().find(|refusal| waiting.labels.contains(&refusal.label)).cloned();
            let refusal = match blocked {
                Some(refusal) => refusal,
                None => match admit(&waiting.call) {
                    Ok(admitted) => {
                        waiting.told.send_replace(Standing::Goes(Box::new(admitted)));
                        gone.push(waiting.number);
                        continue;
                    }
                    Err(refusal) if !is_within(&refusal, waiting.longest) => {
                        waiting.told.send_replace(Standing::Refused(refusal));
                        gone.push(waiting.number);
                        continue;
                    }
                    Err(refusal) => {
                        full.push(refusal.clone());
                        refusal
                    }
                },
            };
            self.waits_for(at, refusal);
        }
        self.waiting.retain(|waiting| !gone.contains(&waiting.number));
        self.tell();
    }

    /// Notes what a call waits for. Another limit than before is another line, with rounds of its own.
    fn waits_for(&mut self, at: usize, refusal: Refusal) {
        if self.waiting[at].refusal.label != refusal.label {
            self.waiting[at].turn = self.turn(&self.waiting[at].call, &refusal.label);
        }
        self.waiting[at].refusal = refusal;
    }

    /// The round of a newcomer: the one that runs, or the one after the last of its own.
    fn turn(&self, call: &Call, label: &Label) -> u64 {
        let same = || self.waiting.iter().filter(|waiting| waiting.refusal.label == *label);
        let own = same().filter(|waiting| whose(&waiting.call) == whose(call)).map(|waiting| waiting.turn + 1).max();
        own.or_else(|| same().map(|waiting| waiting.turn).min()).unwrap_or(0)
    }

    /// Puts them in order and tells everybody whose place or time has changed.
    fn tell(&mut self) {
        self.waiting.sort_by_key(|waiting| (waiting.turn, waiting.number));
        for (at, waiting) in self.waiting.iter().enumerate() {
            let same =
                |others: &[Waiting]| others.iter().filter(|other| other.refusal.label == waiting.refusal.label).count();
            let (position, of) = (same(&self.waiting[..=at]), same(&self.waiting));
            let place = Place { position, of, refusal: waiting.refusal.clone() };
            waiting.told.send_if_modified(|standing| match standing {
                Standing::Waits(before) if *before != place => {
                    *before = place;
                    true
                }
                _ => false,
            });
        }
    }
}

impl Place {
    /// When it is worth trying again, from the moment it was told; `None` while somebody stands before it.
    pub(super) fn tries_in(&self) -> Option<Duration> {
        /// So much must pass in any case, whatever the clocks say.
        const LEAST: Duration = Duration::from_millis(10);
        match self.refusal.next {
            NextSafe::At { wait_ms, .. } if self.position == 1 => Some(Duration::from_millis(wait_ms).max(LEAST)),
            _ => None,
        }
    }
}
