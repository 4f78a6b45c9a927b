//! Never above any cap in any window, whatever happens in whatever order: the gate beside a plain list of calls.

use proptest::prelude::*;

use super::*;
use crate::usage::Day;

/// A call as the list remembers it.
#[derive(Clone, Debug)]
struct Call {
    /// The tick and the day of its admission.
    admitted: (i64, Day),
    asked: u64,
    touched: i64,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Open,
    /// Abandoned: what it reserved came back, its request stays.
    Lapsed,
    /// Settled at a tick, with this much.
    Settled(i64, u64),
    Cancelled,
}

#[derive(Clone, Debug)]
enum Step {
    Call(u64),
    Settle(usize, u64),
    Cancel(usize),
    Grow(usize, u64),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u64..400).prop_map(Step::Call),
        4 => (any::<usize>(), 0u64..=100).prop_map(|(which, percent)| Step::Settle(which, percent)),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => (any::<usize>(), 1u64..300).prop_map(|(which, more)| Step::Grow(which, more)),
        4 => (0i64..20_000_000).prop_map(Step::Wait),
        2 => (0i64..90_000_000_000).prop_map(Step::Wait), // up to a day, and over what is abandoned
    ]
}

const ZONE: &str = "Africa/Cairo";

/// The window that a day lies in.
fn window(span: Span, day: Day) -> Day {
    use chrono::Datelike;
    match span {
        Span::Minute | Span::Day => day,
        Span::Week => Day::from_date(day.date().week(chrono::Weekday::Mon).first_day()),
        Span::Month => Day::from_ymd(day.date().year(), day.date().month(), 1).expect("every month has a first"),
        Span::Prepaid => Day(0),
    }
}

/// What the list says is used and reserved of a kind at a moment.
fn used(calls: &[Call], kind: LimitKind, (now, today): (i64, Day)) -> u64 {
    let second = |tick: i64| tick.div_euclid(1_000_000);
    let in_minute = |tick: i64| second(tick) + 61 > second(now);
    let of = |call: &Call| {
        let same = window(kind.span(), call.admitted.1) == window(kind.span(), today);
        let slides = kind.span() == Span::Minute;
        match (kind.measure(), call.end) {
            (_, End::Cancelled) => 0,
            (Measure::Requests, _) if slides => u64::from(in_minute(call.admitted.0)),
            (Measure::Requests, _) => u64::from(same),
            (_, End::Open) if slides || same => call.asked,
            (_, End::Settled(tick, used)) if if slides { in_minute(tick) } else { same } => used,
            _ => 0,
        }
    };
    calls.iter().map(of).sum()
}

struct Run {
    gate: Gate,
    caps: Caps,
    calls: Vec<Call>,
    now: Now,
    /// How much calls that were let through have grown without there being room.
    over: u64,
}

impl Run {
    /// The tick and the day of now.
    fn moment(&self) -> (i64, Day) {
        (self.now.tick.0 as i64, DaySpan::at(zone(ZONE), self.now.at.unix_micros()).day)
    }

    fn fits(&self, requests: u64, tokens: u64) -> bool {
        let now = self.moment();
        self.caps.set().all(|(kind, max)| {
            let asked = if kind.measure() == Measure::Requests { requests } else { tokens };
            asked == 0 || used(&self.calls, kind, now) + asked <= max
        })
    }

    fn pick(&self, which: usize) -> Option<usize> {
        let open: Vec<usize> = (0..self.calls.len()).filter(|n| self.calls[*n].end == End::Open).collect();
        (!open.is_empty()).then(|| open[which % open.len()])
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let tick = self.now.tick.0 as i64;
        match *step {
            Step::Wait(micros) => {
                self.now = later(self.now, micros);
                self.gate.expire(self.now);
                let lapses = |call: &&mut Call| {
                    let age = self.now.tick.0 as i64 - call.touched;
                    call.end == End::Open && age / 1_000 >= RESERVATION_MAX_AGE_SECS as i64 * 1_000
                };
                self.calls.iter_mut().filter(lapses).for_each(|call| call.end = End::Lapsed);
            }
            Step::Call(asked) => {
                let estimate = Estimate { pico_usd: asked, ..tokens(asked, 0) };
                let fits = self.fits(1, asked.max(1)) || asked == 0 && self.fits_free();
                let answer = self.gate.reserve(id(self.calls.len() as u64), &CLOUD, estimate, self.now);
                prop_assert_eq!(answer.is_ok(), fits, "{:?}", answer);
                match answer {
                    Ok(()) => self.calls.push(Call { admitted: self.moment(), asked, touched: tick, end: End::Open }),
                    Err(refusal) => {
                        let later_than_now = refusal.until().is_none_or(|until| until > self.now.at);
                        prop_assert!(later_than_now, "{:?}", refusal);
                    }
                }
            }
            Step::Grow(which, more) => {
                let Some(n) = self.pick(which) else { return Ok(()) };
                let extra = Estimate { pico_usd: more, ..tokens(0, more) };
                self.over += if self.fits(0, more) { 0 } else { more };
                self.gate.top_up(id(n as u64), extra, self.now);
                self.calls[n].asked += more;
                self.calls[n].touched = tick;
            }
            Step::Settle(which, percent) => {
                let Some(n) = self.pick(which) else { return Ok(()) };
                let used = self.calls[n].asked * percent / 100;
                let spent = Used { tokens: used, pico_usd: used };
                prop_assert!(self.gate.settle(id(n as u64), spent, self.now));
                self.calls[n].end = End::Settled(tick, used);
            }
            Step::Cancel(which) => {
                let Some(n) = self.pick(which) else { return Ok(()) };
                prop_assert!(self.gate.cancel(id(n as u64)));
                self.calls[n].end = End::Cancelled;
            }
        }
        let now = self.moment();
        for window in self.gate.windows(self.now) {
            let total = window.used + window.reserved;
            prop_assert_eq!(total, used(&self.calls, window.limit, now), "{}", window.limit);
            prop_assert!(total <= window.max + self.over, "{:?}", window);
        }
        Ok(())
    }

    /// Whether a call that asks for nothing and costs nothing fits: of tokens it takes one all the same.
    fn fits_free(&self) -> bool {
        let now = self.moment();
        self.caps.set().all(|(kind, max)| kind.measure() == Measure::Money || used(&self.calls, kind, now) < max)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_window_of_any_kind_ever_lets_more_in_than_its_cap_and_what_fits_is_let_through(
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let caps = caps_of_all(|kind| match (kind.measure(), kind.span()) {
            (Measure::Requests, Span::Minute) => 6,
            (Measure::Requests, span) => 20 + 10 * span as u64,
            (_, Span::Minute) => 900,
            (measure, span) => 3_000 + 1_500 * span as u64 + measure as u64,
        });
        let gate = gate(vec![Rule::new(Scope::everything(), caps, zone(ZONE))]);
        let mut run = Run { gate, caps, calls: Vec::new(), over: 0, now: moment("2026-10-28T20:00:00Z", 1_000_000_000) };
        for step in &steps {
            run.take(step)?;
        }
    }
}
