//! When Telegram may be called again: about one message a second and chat, twenty a minute and group, thirty a second in
//! all, edits included. Whole answers go before those that grow, and no chat takes the turns of another.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::usage::Tick;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Calls a chat may have at once, after a pause. The last one is kept for what is not a frame.
const BURST: u32 = 3;

/// Calls a group may have in a minute, and how many of them may be frames.
const PER_GROUP: usize = 20;
const FRAMES_PER_GROUP: usize = 16;

/// Calls in a second, and how many of them may be frames: a few less than Telegram takes, since they do not arrive at the
/// distances at which they leave.
const OVERALL: usize = 27;
const FRAMES_OVERALL: usize = 22;

/// Who waits and does not come back within this time after their turn is forgotten.
const PATIENCE: Duration = SECOND;

/// At most so many wait in line; who comes then is told to come again.
const MAX_WAITING: usize = 4_096;

/// Idle chats are forgotten when there are so many, and the most idle ones even if they are not quite idle.
const MAX_CHATS: usize = 4_096;

/// Which of Telegram's limits hold in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatKind {
    /// One person.
    Private,
    /// A group, a supergroup or a channel.
    Group,
}

impl ChatKind {
    /// The kind of a chat by its id, as Telegram numbers them.
    pub fn of(chat: i64) -> ChatKind {
        if chat < 0 { ChatKind::Group } else { ChatKind::Private }
    }

    /// The least time between two frames of an answer.
    pub fn edit_gap(self) -> Duration {
        match self {
            ChatKind::Private => Duration::from_millis(1_500),
            ChatKind::Group => Duration::from_secs(3),
        }
    }
}

/// How much a call matters; what stands first goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A whole answer, or what a command says.
    Final,
    /// An answer while it grows, or a sign that one is coming: nobody misses it.
    Frame,
}

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may: call, and say so with [`Pace::took`].
    Ready,
    /// Ask again then, not before. The place in the line is kept for a moment.
    NotBefore(Tick),
}

/// The pace of all calls to Telegram.
#[derive(Debug, Default)]
pub struct Pace {
    chats: HashMap<i64, Chat>,
    /// The last calls of all, oldest first.
    recent: VecDeque<Tick>,
    /// Whose chat is ready and who waits for the others, in the order of their coming.
    line: Vec<Waiting>,
    /// Nobody may call before this.
    held: Tick,
}

#[derive(Debug, Default)]
struct Chat {
    /// When all calls so far are paid for at one a second.
    paid: Tick,
    /// Telegram wants nothing for this chat before this.
    held: Tick,
    /// The last calls of a group, oldest first.
    recent: VecDeque<Tick>,
}

#[derive(Debug)]
struct Waiting {
    chat: i64,
    class: Class,
    /// Forgotten after this.
    until: Tick,
}

impl Pace {
    /// Whether a call for this chat may be made now. Ask for one call of a chat and class at a time.
    pub fn ready(&mut self, chat: i64, kind: ChatKind, class: Class, now: Tick) -> Turn {
        self.line.retain(|waiting| waiting.until >= now);
        let own = self.chats.get(&chat).map_or(Tick::default(), |chat| chat.ready_at(kind, class));
        let own = own.max(self.held);
        if own > now {
            return Turn::NotBefore(own);
        }
        let place = self.line.iter().position(|waiting| waiting.chat == chat && waiting.class == class);
        let before = |index: usize, other: &Waiting| {
            other.class < class || (other.class == class && place.is_none_or(|own| index < own))
        };
        let ahead = self.line.iter().enumerate().filter(|(index, other)| before(*index, other)).count();
        let turn = self.turn_behind(ahead, class, now);
        if let Turn::NotBefore(at) = turn {
            let until = at.plus(PATIENCE);
            match place {
                Some(place) => self.line[place].until = until,
                None if self.line.len() < MAX_WAITING => self.line.push(Waiting { chat, class, until }),
                None => {}
            }
        }
        turn
    }

    /// A call is being made.
    pub fn took(&mut self, chat: i64, kind: ChatKind, class: Class, now: Tick) {
        self.line.retain(|waiting| waiting.chat != chat || waiting.class != class);
        remember(&mut self.recent, now, OVERALL);
        let chat = self.chat(chat, now);
        chat.paid = chat.paid.max(now).plus(SECOND);
        if kind == ChatKind::Group {
            remember(&mut chat.recent, now, PER_GROUP);
        }
    }

    /// Telegram refused a call and wants nothing for so long: for that chat, or at all.
    pub fn flooded(&mut self, chat: Option<i64>, retry_after: Duration, now: Tick) {
        let held = match chat {
            Some(chat) => &mut self.chat(chat, now).held,
            None => &mut self.held,
        };
        *held = (*held).max(now.plus(retry_after));
    }

    /// When a call with so many others before it may be made, as far as all calls together go.
    fn turn_behind(&self, ahead: usize, class: Class, now: Tick) -> Turn {
        let most = if class == Class::Final { OVERALL } else { FRAMES_OVERALL };
        let (rounds, ahead) = (ahead / most, ahead % most);
        let free = free_at(&self.recent, most - ahead, SECOND);
        let at = free.max(now).plus(SECOND * u32::try_from(rounds).unwrap_or(u32::MAX));
        if at <= now { Turn::Ready } else { Turn::NotBefore(at) }
    }

    fn chat(&mut self, chat: i64, now: Tick) -> &mut Chat {
        if self.chats.len() >= MAX_CHATS && !self.chats.contains_key(&chat) {
            self.chats.retain(|_, chat| chat.busy_until() > now);
            if self.chats.len() >= MAX_CHATS {
                let mut ends: Vec<Tick> = self.chats.values().map(Chat::busy_until).collect();
                let (_, middle, _) = ends.select_nth_unstable(MAX_CHATS / 2);
                let middle = *middle;
                self.chats.retain(|_, chat| chat.busy_until() > middle);
            }
        }
        self.chats.entry(chat).or_default()
    }
}

impl Chat {
    fn ready_at(&self, kind: ChatKind, class: Class) -> Tick {
        let (burst, per_minute) = match class {
            Class::Final => (BURST, PER_GROUP),
            Class::Frame => (BURST - 1, FRAMES_PER_GROUP),
        };
        let ahead = u64::from(burst - 1) * 1_000_000;
        let second = Tick(self.paid.0.saturating_sub(ahead));
        let minute = if kind == ChatKind::Group { free_at(&self.recent, per_minute, MINUTE) } else { Tick::default() };
        second.max(minute).max(self.held)
    }

    /// Until when it matters that this chat is known.
    fn busy_until(&self) -> Tick {
        let minute = self.recent.back().map_or(Tick::default(), |last| last.plus(MINUTE));
        self.paid.max(self.held).max(minute)
    }
}

/// When fewer than `most` of these calls lie within the last `span`.
fn free_at(recent: &VecDeque<Tick>, most: usize, span: Duration) -> Tick {
    let oldest = recent.len().checked_sub(most).and_then(|index| recent.get(index));
    oldest.map_or(Tick::default(), |call| call.plus(span))
}

fn remember(recent: &mut VecDeque<Tick>, now: Tick, most: usize) {
    recent.push_back(now);
    if recent.len() > most {
        recent.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use ChatKind::{Group, Private};

    fn at(millis: u64) -> Tick {
        Tick(millis * 1_000)
    }

    /// How many of so many calls at one moment are let through.
    fn let_through(pace: &mut Pace, chat: i64, class: Class, now: Tick, tries: usize) -> usize {
        let mut made = 0;
        for _ in 0..tries {
            if pace.ready(chat, ChatKind::of(chat), class, now) == Turn::Ready {
                pace.took(chat, ChatKind::of(chat), class, now);
                made += 1;
            }
        }
        made
    }

    #[test]
    fn a_chat_has_a_short_burst_and_then_one_a_second() {
        let mut pace = Pace::default();
        assert_eq!(let_through(&mut pace, 1, Class::Final, at(0), 10), 3);
        assert_eq!(pace.ready(1, Private, Class::Final, at(0)), Turn::NotBefore(at(1_000)));
        assert_eq!(let_through(&mut pace, 1, Class::Final, at(999), 10), 0);
        assert_eq!(let_through(&mut pace, 1, Class::Final, at(1_000), 10), 1);
        assert_eq!(let_through(&mut pace, 1, Class::Final, at(60_000), 10), 3, "no more after a long pause");
    }

    #[test]
    fn frames_leave_room_for_the_answer() {
        let mut pace = Pace::default();
        assert_eq!(let_through(&mut pace, 1, Class::Frame, at(0), 10), 2);
        assert_eq!(let_through(&mut pace, 1, Class::Final, at(0), 10), 1);
        let mut pace = Pace::default();
        for chat in 0..40 {
            let_through(&mut pace, chat, Class::Frame, at(0), 1);
        }
        assert_eq!(pace.recent.len(), FRAMES_OVERALL);
        let finals: usize = (100..140).map(|chat| let_through(&mut pace, chat, Class::Final, at(0), 1)).sum();
        assert_eq!(finals, OVERALL - FRAMES_OVERALL);
    }

    #[test]
    fn a_group_has_twenty_a_minute() {
        let mut pace = Pace::default();
        let frames: usize = (0..60).map(|s| let_through(&mut pace, -5, Class::Frame, at(s * 1_000), 3)).sum();
        assert_eq!(frames, 16);
        let finals = let_through(&mut pace, -5, Class::Final, at(59_500), 3)
            + let_through(&mut pace, -5, Class::Final, at(59_900), 3);
        assert_eq!(finals, 3, "the second's limit");
        assert_eq!(ChatKind::of(-5), Group);
        let mut pace = Pace::default();
        let finals: usize = (0..59).map(|s| let_through(&mut pace, -5, Class::Final, at(s * 1_000), 3)).sum();
        assert_eq!(finals, 20);
        assert_eq!(pace.ready(-5, Group, Class::Final, at(59_000)), Turn::NotBefore(at(60_000)));
    }

    #[test]
    fn a_flood_holds_its_chat_and_a_general_one_all() {
        let mut pace = Pace::default();
        pace.flooded(Some(1), Duration::from_secs(9), at(0));
        pace.flooded(Some(1), Duration::from_secs(2), at(0));
        assert_eq!(pace.ready(1, Private, Class::Final, at(100)), Turn::NotBefore(at(9_000)));
        assert_eq!(pace.ready(2, Private, Class::Final, at(100)), Turn::Ready);
        pace.flooded(None, Duration::from_secs(4), at(1_000));
        assert_eq!(pace.ready(2, Private, Class::Final, at(1_000)), Turn::NotBefore(at(5_000)));
        assert_eq!(pace.ready(2, Private, Class::Final, at(5_000)), Turn::Ready);
    }

    #[test]
    fn who_waits_keeps_the_turn_and_who_left_does_not_block() {
        let mut pace = Pace::default();
        for chat in 0..OVERALL as i64 {
            assert_eq!(let_through(&mut pace, chat, Class::Final, at(0), 1), 1);
        }
        assert_eq!(pace.ready(50, Private, Class::Frame, at(1)), Turn::NotBefore(at(1_000)));
        assert_eq!(pace.ready(51, Private, Class::Final, at(2)), Turn::NotBefore(at(1_000)));
        assert_eq!(pace.line.len(), 2);
        for chat in 100..98 + OVERALL as i64 {
            assert_eq!(let_through(&mut pace, chat, Class::Final, at(1_000), 1), 1);
        }
        assert_eq!(let_through(&mut pace, 128, Class::Final, at(1_000), 1), 1, "answers do not wait for frames");
        assert_eq!(let_through(&mut pace, 129, Class::Final, at(1_000), 1), 0, "51 was here before");
        assert_eq!(let_through(&mut pace, 51, Class::Final, at(1_000), 1), 1);
        assert_eq!(let_through(&mut pace, 129, Class::Final, at(9_000), 1), 1);
        assert!(pace.line.is_empty(), "50 never came back");
    }

    #[test]
    fn chats_are_forgotten() {
        let mut pace = Pace::default();
        for chat in 0..20_000 {
            pace.took(chat, Private, Class::Final, at(chat as u64 * 33));
            assert!(pace.chats.len() <= MAX_CHATS);
        }
        for chat in 0..6_000 {
            pace.flooded(Some(-chat), Duration::from_secs(10_000_000), at(4_000_000));
            let_through(&mut pace, 200_000 + chat, Class::Frame, at(4_000_000), 1);
        }
        assert!(pace.chats.len() <= MAX_CHATS && pace.line.len() <= MAX_WAITING);
        assert!(pace.recent.len() <= OVERALL);
    }

    /// Plays calls, given as (chat, class, when in ms), each chat's in their order; gives when each was made.
    fn play(calls: &[(i64, Class, u64)]) -> Vec<(i64, Class, u64, u64)> {
        let mut pace = Pace::default();
        let mut queues: Vec<(i64, VecDeque<(Class, u64)>)> = Vec::new();
        for (chat, class, when) in calls {
            match queues.iter_mut().find(|(known, _)| known == chat) {
                Some((_, queue)) => queue.push_back((*class, *when)),
                None => queues.push((*chat, VecDeque::from([(*class, *when)]))),
            }
        }
        let mut made = Vec::new();
        let mut now = 0;
        while made.len() < calls.len() {
            for (chat, queue) in &mut queues {
                while let Some((class, when)) = queue.front().copied().filter(|(_, when)| *when <= now) {
                    match pace.ready(*chat, ChatKind::of(*chat), class, at(now)) {
                        Turn::Ready => {
                            pace.took(*chat, ChatKind::of(*chat), class, at(now));
                            made.push((*chat, class, when, now));
                            queue.pop_front();
                        }
                        Turn::NotBefore(next) => {
                            assert!(next > at(now), "a time that has been");
                            break;
                        }
                    }
                }
            }
            now += 50;
            assert!(now < 10_000_000, "somebody waits for ever");
        }
        made
    }

    #[test]
    fn one_chat_that_floods_does_not_slow_the_others() {
        let others: Vec<(i64, Class, u64)> =
            (1..50).flat_map(|chat| (0..6).map(move |n| (chat, Class::Final, n * 2_000 + chat as u64 * 7))).collect();
        let flood = (0..300).map(|_| (999, Class::Final, 0));
        let waits = |made: Vec<(i64, Class, u64, u64)>| -> u64 {
            made.iter().filter(|(chat, ..)| *chat != 999).map(|(_, _, asked, made)| made - asked).sum()
        };
        let alone = waits(play(&others));
        let flooded = waits(play(&flood.chain(others.iter().copied()).collect::<Vec<_>>()));
        assert!(flooded * 2 <= alone * 3, "{flooded} ms against {alone} ms alone");
    }

    fn calls() -> impl Strategy<Value = Vec<(i64, Class, u64)>> {
        let class = prop_oneof![Just(Class::Final), Just(Class::Frame)];
        prop::collection::vec((-4i64..60, class, 0u64..4_000), 1..150)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn no_limit_is_ever_passed_and_everybody_has_a_turn(calls in calls()) {
            let made = play(&calls);
            prop_assert_eq!(made.len(), calls.len());
            for (index, (chat, _, _, when)) in made.iter().enumerate() {
                let within = |span: u64| made[..=index].iter().filter(move |(.., then)| then + span > *when);
                let own = |span: u64| within(span).filter(|(other, ..)| other == chat).count();
                prop_assert!(within(1_000).count() <= OVERALL);
                for seconds in 1..10 {
                    prop_assert!(own(seconds * 1_000) as u64 <= 2 + seconds);
                }
                prop_assert!(*chat >= 0 || own(60_000) <= PER_GROUP);
            }
        }
    }
}
