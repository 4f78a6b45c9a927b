//! Flood control: how many messages and edits a chat, a group and the whole bot may show. Always counted; refused only
//! where a test asks for it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// So many within a time.
#[derive(Clone, Copy, Debug)]
struct Rule {
    name: &'static str,
    count: usize,
    within: Duration,
}

/// One message a second, short bursts allowed.
const CHAT: Rule = Rule { name: "a message a second in a chat", count: 3, within: Duration::from_secs(3) };
const GROUP: Rule = Rule { name: "20 a minute in a group", count: 20, within: Duration::from_secs(60) };
const OVERALL: Rule = Rule { name: "30 a second overall", count: 30, within: Duration::from_secs(1) };

/// More than a rule allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Breach {
    pub chat: i64,
    pub rule: &'static str,
    pub at: Instant,
}

#[derive(Debug, Default)]
pub struct Rates {
    /// Whether too much is refused.
    pub enforced: bool,
    chats: BTreeMap<i64, VecDeque<Instant>>,
    overall: VecDeque<Instant>,
    pub breaches: Vec<Breach>,
}

impl Rates {
    /// Counts a message or an edit; the seconds to wait when it is refused.
    pub fn count(&mut self, chat: i64, is_group: bool, now: Instant) -> Option<u32> {
        let shown = self.chats.entry(chat).or_default();
        let rules: &[Rule] = if is_group { &[CHAT, GROUP] } else { &[CHAT] };
        let over = rules.iter().filter_map(|rule| Some((rule, wait(rule, shown, now)?)));
        let over = over.chain(wait(&OVERALL, &self.overall, now).map(|left| (&OVERALL, left)));
        if let Some((rule, left)) = over.max_by_key(|(_, left)| *left) {
            self.breaches.push(Breach { chat, rule: rule.name, at: now });
            if self.enforced {
                return Some(u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1));
            }
        }
        for times in [shown, &mut self.overall] {
            times.push_back(now);
            if times.len() > GROUP.count.max(OVERALL.count) {
                times.pop_front();
            }
        }
        None
    }
}

/// How long until one more is allowed; `None` when it is allowed now.
fn wait(rule: &Rule, shown: &VecDeque<Instant>, now: Instant) -> Option<Duration> {
    let first = *shown.get(shown.len().checked_sub(rule.count)?)?;
    let left = rule.within.checked_sub(now.duration_since(first))?;
    (!left.is_zero()).then_some(left)
}
