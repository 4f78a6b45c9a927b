//! When one answer that is being written is shown anew: soon at first, then ever more slowly, not while Telegram wants
//! peace, and once more when it is whole.

use std::time::Duration;

use super::pace::ChatKind;
use crate::usage::Tick;

/// The first frame shows at least so much of the answer,
const FIRST_LENGTH: usize = 40;

/// or what there is after this time.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Each frame comes later after the one before by the first wait divided by this,
const GROWTH: u32 = 4;

/// up to so many times.
const MAX_GROWTH: u32 = 12;

/// The least time between the last frame and the whole answer.
const LAST_WAIT: Duration = Duration::from_millis(300);

/// What is to be shown next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The answer as far as it has come.
    Growing,
    /// The whole answer.
    Final,
}

/// The pace of one answer.
#[derive(Clone, Debug)]
pub struct Frames {
    kind: ChatKind,
    /// When its first character came.
    begun: Option<Tick>,
    /// What has come and what of it was shown, in characters.
    length: usize,
    shown: usize,
    /// The last frame and how many there were.
    last: Option<Tick>,
    count: u32,
    /// Telegram wants nothing before this.
    held: Tick,
    ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    NotYet,
    Due,
    Sent,
}

impl Frames {
    /// An answer in this kind of chat, nothing of which has come.
    pub fn new(kind: ChatKind) -> Frames {
        Frames {
            kind,
            begun: None,
            length: 0,
            shown: 0,
            last: None,
            count: 0,
            held: Tick::default(),
            ending: Ending::NotYet,
        }
    }

    /// The answer has so many characters now. It only grows.
    pub fn push(&mut self, length: usize, now: Tick) {
        if length > 0 {
            self.begun.get_or_insert(now);
        }
        self.length = self.length.max(length);
    }

    /// The answer is whole: one more frame is due, even if its text was shown.
    pub fn finish(&mut self) {
        if self.ending == Ending::NotYet {
            self.ending = Ending::Due;
        }
    }

    /// What is to be shown next and when, which may have been; `None` until something changes.
    pub fn next_due(&self) -> Option<(Frame, Tick)> {
        match self.ending {
            Ending::Sent => None,
            Ending::Due => {
                let at = self.last.map_or(Tick::default(), |last| last.plus(LAST_WAIT));
                Some((Frame::Final, at.max(self.held)))
            }
            Ending::NotYet if self.length == self.shown => None,
            Ending::NotYet => Some((Frame::Growing, self.growing_due()?.max(self.held))),
        }
    }

    /// A frame was sent, or dropped because the way it was sent failed: the next one comes at the usual time.
    pub fn sent(&mut self, now: Tick) {
        self.shown = self.length;
        self.last = Some(now);
        self.count = self.count.saturating_add(1);
        if self.ending == Ending::Due {
            self.ending = Ending::Sent;
        }
    }

    /// Telegram refused a frame and wants nothing for so long. Frames until then are dropped; the whole answer is kept,
    /// also if it was what was refused.
    pub fn flooded(&mut self, retry_after: Duration, now: Tick) {
        self.held = self.held.max(now.plus(retry_after));
        if self.ending == Ending::Sent {
            self.ending = Ending::Due;
        }
    }

    fn growing_due(&self) -> Option<Tick> {
        let begun = self.begun?;
        Some(match self.last {
            None if self.length >= FIRST_LENGTH => begun,
            None => begun.plus(FIRST_WAIT),
            Some(last) => {
                let steps = self.count.saturating_sub(1).min(MAX_GROWTH);
                let first = self.kind.edit_gap();
                last.plus(first + first * steps / GROWTH)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Tick {
        Tick(millis * 1_000)
    }

    #[test]
    fn the_first_frame_comes_after_a_second_or_forty_characters() {
        let mut frames = Frames::new(ChatKind::Private);
        assert_eq!(frames.next_due(), None);
        frames.push(0, at(100));
        assert_eq!(frames.next_due(), None, "an empty answer shows nothing");
        frames.push(5, at(700));
        assert_eq!(frames.next_due(), Some((Frame::Growing, at(1_700))));
        frames.push(40, at(900));
        assert_eq!(frames.next_due(), Some((Frame::Growing, at(700))), "at once");
    }

    #[test]
    fn frames_grow_apart_and_come_only_when_the_text_changed() {
        for (kind, gaps) in [
            (ChatKind::Private, [1_500, 1_875, 2_250, 2_625, 3_000]),
            (ChatKind::Group, [3_000, 3_750, 4_500, 5_250, 6_000]),
        ] {
            let mut frames = Frames::new(kind);
            let mut now = 0;
            frames.push(50, at(now));
            frames.sent(at(now));
            for (index, gap) in gaps.into_iter().enumerate() {
                assert_eq!(frames.next_due(), None, "nothing new");
                frames.push(100 + index, at(now + 1));
                assert_eq!(frames.next_due(), Some((Frame::Growing, at(now + gap))));
                now += gap;
                frames.sent(at(now));
            }
            for index in 0..100 {
                frames.push(1_000 + index, at(now));
                frames.sent(at(now));
            }
            frames.push(10_000, at(now));
            assert_eq!(frames.next_due(), Some((Frame::Growing, at(now + gaps[0] * 4))), "no slower than this");
        }
    }

    #[test]
    fn the_whole_answer_is_always_shown_once() {
        let mut frames = Frames::new(ChatKind::Private);
        frames.finish();
        assert_eq!(frames.next_due(), Some((Frame::Final, at(0))), "even an empty one");
        let mut frames = Frames::new(ChatKind::Private);
        frames.push(50, at(5));
        frames.sent(at(10));
        frames.finish();
        assert_eq!(frames.next_due(), Some((Frame::Final, at(310))), "unchanged text gets its form");
        frames.sent(at(1_010));
        frames.finish();
        assert_eq!(frames.next_due(), None);
    }

    #[test]
    fn a_flood_drops_frames_and_keeps_the_whole_answer() {
        let mut frames = Frames::new(ChatKind::Private);
        frames.push(50, at(0));
        frames.sent(at(0));
        frames.flooded(Duration::from_secs(7), at(100));
        for step in 0..10 {
            frames.push(60 + step, at(200 + step as u64 * 100));
            assert_eq!(frames.next_due(), Some((Frame::Growing, at(7_100))));
        }
        frames.finish();
        assert_eq!(frames.next_due(), Some((Frame::Final, at(7_100))));
        frames.sent(at(7_100));
        frames.flooded(Duration::from_secs(3), at(7_200));
        assert_eq!(frames.next_due(), Some((Frame::Final, at(10_200))), "refused, so it comes again");
        frames.flooded(Duration::from_secs(1), at(7_300));
        assert_eq!(frames.next_due(), Some((Frame::Final, at(10_200))), "a shorter wait ends no longer one");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize),
        Wait(u64),
        Flood(u64),
        Finish,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (1usize..80).prop_map(Step::Push),
            6 => (1u64..3_000).prop_map(Step::Wait),
            1 => (0u64..9).prop_map(Step::Flood),
            1 => Just(Step::Finish),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn no_frame_is_early_and_the_last_one_is_whole(steps in steps(), is_group in any::<bool>()) {
            let kind = if is_group { ChatKind::Group } else { ChatKind::Private };
            let mut frames = Frames::new(kind);
            let (mut now, mut length, mut sent, mut held) = (0, 0, Vec::<(Frame, u64, usize)>::new(), 0);
            for step in steps.into_iter().chain([Step::Finish, Step::Wait(60_000)]) {
                match step {
                    Step::Push(_) if frames.ending != Ending::NotYet => {}
                    Step::Push(more) => {
                        length += more;
                        frames.push(length, at(now));
                    }
                    Step::Flood(seconds) => {
                        frames.flooded(Duration::from_secs(seconds), at(now));
                        held = held.max(now + seconds * 1_000);
                    }
                    Step::Finish => frames.finish(),
                    Step::Wait(millis) => now += millis,
                }
                while let Some((frame, due)) = frames.next_due() && due <= at(now) {
                    prop_assert!(now >= held);
                    if let Some((_, last, shown)) = sent.last() {
                        let gap = if frame == Frame::Final { LAST_WAIT } else { kind.edit_gap() };
                        prop_assert!(u128::from(now - last) >= gap.as_millis());
                        prop_assert!(frame == Frame::Final || length > *shown);
                    }
                    frames.sent(at(now));
                    sent.push((frame, now, length));
                }
            }
            prop_assert_eq!(sent.last().map(|(frame, _, shown)| (*frame, *shown)), Some((Frame::Final, length)));
        }
    }
}
