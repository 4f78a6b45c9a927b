//! Budgets that change while calls are made: counts stay, raises end with their window, and a new budget knows all that
//! was used before it.

use proptest::prelude::*;

use super::*;
use crate::settings::{BudgetChange, BudgetKey, Setting, Settings};
use crate::usage::{Day, Money};

/// A gate with the books it follows, and what was set.
struct House {
    gate: Gate,
    rules: Rulebook,
    records: Vec<UsageRecord<'static>>,
    settings: Settings,
}

fn key(subject: &str, limit: LimitKind) -> BudgetKey {
    BudgetKey { subject: subject.to_owned(), limit: limit.to_string() }
}

impl House {
    fn new(rules: Vec<Rule>) -> House {
        let rules = Rulebook { rules, zone: zone("Africa/Cairo"), ..Rulebook::default() };
        let gate = Gate::new(rules.clone(), ["cloud"]);
        House { gate, rules, records: Vec::new(), settings: Settings::default() }
    }

    /// As the door does it; `meanwhile` happens while the books are read.
    fn set(&mut self, of: BudgetKey, change: BudgetChange, now: Now, meanwhile: impl FnOnce(&mut House)) {
        self.settings.apply(&Setting::Budget { of: of.clone(), change, by: None });
        let acts = self.settings.budget(&of).expect("it was just set").clone();
        if let Some(rule) = self.gate.change(&of, &acts) {
            let mut learning = self.gate.learn(rule, now);
            let written = self.records.len();
            meanwhile(self);
            self.records[..written].iter().for_each(|record| learning.apply(record, now));
            self.gate.learnt(learning, now);
            assert_eq!(self.gate.change(&of, &acts), None);
        }
    }

    fn set_now(&mut self, subject: &str, limit: LimitKind, change: BudgetChange) {
        self.set(key(subject, limit), change, noon(), |_| {});
    }

    fn record(&mut self, record: UsageRecord<'static>, now: Now) {
        self.gate.apply(&record, now);
        self.records.push(record);
    }

    /// The same rules and acts after a start that reads all records.
    fn restarted(&self, now: Now) -> Gate {
        let mut gate = Gate::new(self.rules.clone(), ["cloud"]);
        gate.begin(self.settings.budgets());
        self.records.iter().for_each(|record| gate.apply(record, now));
        gate
    }
}

fn amount(amount: u64) -> BudgetChange {
    BudgetChange::Set { amount, since: None }
}

fn of_team(number: u64, at: Timestamp, used: u64) -> UsageRecord<'static> {
    UsageRecord { team: Some(Name::from("sales")), ..record(number, at, 1, used) }
}

const SALES: Subject<'static> = Subject { team: Some("sales"), ..CLOUD };

/// Used, cap, and what was done, of the only window of a label.
fn shown(gate: &Gate, label: &str, now: Now) -> Vec<(u64, u64, u64, bool, bool)> {
    let windows = gate.windows(now).into_iter().filter(|window| window.label.to_string() == label);
    windows.map(|window| (window.used, window.max, window.raised_by, window.paused, window.stopped)).collect()
}

#[test]
fn a_cap_changes_in_place_and_what_was_used_stays() {
    let team = Scope::everything().with(Facet::Team, Pick::parse("sales"));
    let mut house = House::new(vec![rule(team, Caps::of([(LimitKind::TokensPerDay, 100)]))]);
    house.record(of_team(1, noon().at, 90), noon());
    let fits = |house: &mut House| {
        let fits = house.gate.reserve(id(9), &SALES, tokens(20, 0), noon()).is_ok();
        fits && house.gate.cancel(id(9))
    };
    let kind = LimitKind::TokensPerDay;
    assert!(!fits(&mut house));
    house.set_now("team:sales", kind, amount(110));
    assert!(fits(&mut house));
    house.set_now("team:sales", kind, amount(0));
    assert!(!fits(&mut house));
    house.set_now("team:sales", kind, BudgetChange::Unlimited);
    assert!(fits(&mut house));
    assert_eq!(shown(&house.gate, "team:sales", noon()), []);
    house.set_now("team:sales", kind, BudgetChange::Remove);
    assert_eq!(shown(&house.gate, "team:sales", noon()), [(90, 100, 0, false, false)]);
    house.set_now("team:sales", kind, BudgetChange::Pause);
    assert!(fits(&mut house));
    house.set_now("team:sales", kind, BudgetChange::Stop { window: noon().at.day() });
    let stopped = house.gate.reserve(id(9), &SALES, tokens(1, 0), noon()).expect_err("stopped");
    assert!(stopped.stopped);
    assert_eq!(stopped.until(), Some(moment("2026-11-23T00:00:00Z", 0).at));
    assert_eq!(shown(&house.gate, "team:sales", noon()), [(90, 100, 0, true, true)]);
    house.set_now("team:sales", kind, BudgetChange::Unstop);
    house.set_now("team:sales", kind, BudgetChange::Resume);
    assert!(!fits(&mut house));
}

#[test]
fn a_raise_holds_for_its_window_alone() {
    let mut house = House::new(vec![rule(user("*"), Caps::of([(LimitKind::RequestsPerDay, 1)]))]);
    let raise = BudgetChange::Raise { window: noon().at.day(), by: 2 };
    house.set_now("user:ann", LimitKind::RequestsPerDay, raise);
    let tomorrow = later(noon(), 86_400_000_000);
    let mut passing = |who: &str, now: Now| {
        let first = house.gate.open_count() as u64;
        (0..9).filter(|n| house.gate.reserve(id(first + n), &by(who), tokens(1, 1), now).is_ok()).count()
    };
    assert_eq!((passing("ann", noon()), passing("bob", noon())), (3, 1));
    assert_eq!((passing("ann", tomorrow), passing("bob", tomorrow)), (1, 1));
    assert_eq!(shown(&house.gate, "user:ann", noon()), [(3, 3, 2, false, false)]);
}

#[test]
fn a_new_budget_knows_what_was_used_is_open_and_comes_meanwhile() {
    let mut house = House::new(Vec::new());
    let (yesterday, kind) = (noon().at.plus_micros(-86_400_000_000), LimitKind::TokensPerWeek);
    house.record(of_team(1, yesterday, 5), noon());
    house.record(record(2, noon().at, 1, 1_000), noon()); // another team's
    house.gate.reserve(id(3), &SALES, tokens(70, 0), noon()).expect("no limit yet");
    house.gate.reserve(id(4), &SALES, tokens(300, 0), noon()).expect("no limit yet");
    house.set(key("team:sales", kind), amount(1_000), noon(), |house| {
        house.record(of_team(3, noon().at, 60), noon());
        house.record(of_team(5, noon().at, 7), noon());
        house.gate.reserve(id(6), &SALES, tokens(20, 0), noon()).expect("not in force yet");
        assert_eq!(house.gate.windows(noon()), []);
    });
    assert_eq!(standing(&house.gate, kind, noon()), (72, 320));
    house.record(of_team(4, noon().at, 1), noon());
    house.record(of_team(6, noon().at, 1), noon());
    assert_eq!(standing(&house.gate, kind, noon()), (74, 0));
    let end = house.gate.reserve(id(7), &SALES, tokens(927, 0), noon()).expect_err("926 are left").until();
    assert_eq!(end, Some(moment("2026-11-23T00:00:00+02:00", 0).at), "the owner's Monday");
    assert_eq!(house.restarted(noon()).windows(noon()), house.gate.windows(noon()));
}

#[test]
fn a_budget_of_somebody_under_a_star_is_theirs_alone_also_when_they_come_later() {
    let mut house = House::new(vec![rule(user("*"), Caps::of([(LimitKind::RequestsPerDay, 3)]))]);
    house.set_now("user:ann", LimitKind::RequestsPerDay, amount(1));
    house.set_now("user:*", LimitKind::RequestsPerDay, amount(2));
    house.set_now("user:bob", LimitKind::RequestsPerMonth, amount(1));
    for gate in [&mut house.restarted(noon()), &mut house.gate] {
        let passed = ["ann", "bob", "cid"].map(|who| {
            let first = u64::from(who.as_bytes()[0]) * 10;
            (0..5).filter(|n| gate.reserve(id(first + n), &by(who), tokens(1, 1), noon()).is_ok()).count()
        });
        assert_eq!(passed, [1, 1, 2]);
    }
}

#[test]
fn what_is_done_to_somebody_under_a_star_that_was_itself_set_holds_for_them() {
    let kind = LimitKind::RequestsPerDay;
    let mut house = House::new(Vec::new());
    house.set_now("user:*", kind, amount(2));
    house.set_now("user:ann", kind, BudgetChange::Stop { window: Day::from_ymd(2026, 11, 22).expect("a day") });
    house.set_now("user:bob", kind, BudgetChange::Raise { window: noon().at.day(), by: 2 });
    house.set_now("user:cid", kind, BudgetChange::Pause);
    let passed = |gate: &mut Gate| {
        ["ann", "bob", "cid", "dan"].map(|who| {
            let first = u64::from(who.as_bytes()[0]) * 10;
            let passing: Vec<u64> =
                (first..first + 6).filter(|n| gate.reserve(id(*n), &by(who), tokens(1, 1), noon()).is_ok()).collect();
            passing.iter().for_each(|n| assert!(gate.cancel(id(*n))));
            passing.len()
        })
    };
    assert_eq!([passed(&mut house.gate), passed(&mut house.restarted(noon()))], [[0, 4, 6, 2]; 2]);
    house.set_now("user:*", kind, BudgetChange::Remove);
    assert_eq!([passed(&mut house.gate), passed(&mut house.restarted(noon()))], [[6; 4]; 2], "there is no budget");
}

#[test]
fn a_prepaid_amount_paid_anew_counts_from_its_day_on() {
    let team = Scope::everything().with(Facet::Team, Pick::parse("sales"));
    let mut house = House::new(vec![rule(team, Caps::of([(LimitKind::TokensPrepaid, 100)]))]);
    let today = noon().at.day();
    house.record(of_team(1, noon().at.plus_micros(-9 * 86_400_000_000), 95), noon());
    house.record(of_team(2, noon().at, 5), noon());
    let paid = |since| BudgetChange::Set { amount: 50, since: Some(since) };
    house.set_now("team:sales", LimitKind::TokensPrepaid, paid(today));
    assert_eq!(shown(&house.gate, "team:sales", noon()), [(5, 50, 0, false, false)]);
    house.set_now("team:sales", LimitKind::TokensPrepaid, paid(today.plus(1)));
    assert_eq!(shown(&house.gate, "team:sales", noon()), [(0, 50, 0, false, false)]);
    house.set_now("team:sales", LimitKind::TokensPrepaid, BudgetChange::Remove);
    assert_eq!(shown(&house.gate, "team:sales", noon()), [(100, 100, 0, false, false)]);
}

#[test]
fn what_means_nothing_changes_nothing() {
    let mut house = House::new(vec![rule(user("*"), Caps::of([(LimitKind::RequestsPerDay, 3)]))]);
    let before = house.gate.save(noon());
    for (subject, limit) in [("nobody", "requests_per_day"), ("user:*", "sighs_per_day"), ("", "tokens_per_day")] {
        let of = BudgetKey { subject: subject.to_owned(), limit: limit.to_owned() };
        house.set(of, amount(1), noon(), |_| panic!("nothing is learnt"));
    }
    assert_eq!(house.gate.save(noon()), before);
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Call { user: u8, team: bool, asked: u64 },
    End { which: usize, used: u64, never_sent: bool },
    Act { subject: usize, kind: usize, change: u8, amount: u64 },
    Wait { hours: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..3, any::<bool>(), 1u64..300).prop_map(|(user, team, asked)| Step::Call { user, team, asked }),
        4 => (any::<usize>(), 0u64..300, 0u8..6)
            .prop_map(|(which, used, end)| Step::End { which, used, never_sent: end == 0 }),
        3 => (0usize..6, 0usize..6, 0u8..10, 1u64..3_000)
            .prop_map(|(subject, kind, change, amount)| Step::Act { subject, kind, change, amount }),
        1 => (1i64..60).prop_map(|hours| Step::Wait { hours }),
    ]
}

const KINDS: [LimitKind; 6] = [
    LimitKind::RequestsPerDay,
    LimitKind::TokensPerWeek,
    LimitKind::UsdPerMonth,
    LimitKind::TokensPrepaid,
    LimitKind::TokensPerDay,
    LimitKind::UsdPrepaid,
];

fn change(number: u8, amount: u64, today: Day) -> BudgetChange {
    match number {
        0 => BudgetChange::Unlimited,
        1 => BudgetChange::Remove,
        2 => BudgetChange::Raise { window: today, by: amount },
        3 => BudgetChange::Pause,
        4 => BudgetChange::Resume,
        5 => BudgetChange::Set { amount, since: Some(today.plus(-1)) },
        6 => BudgetChange::Stop { window: today },
        _ => BudgetChange::Set { amount, since: None },
    }
}

struct Run {
    house: House,
    open: Vec<(u64, Timestamp, u8, bool)>,
    next: u64,
    now: Now,
}

impl Run {
    fn take(&mut self, step: Step) {
        self.next += 1;
        self.now = later(self.now, 1_000_000);
        match step {
            Step::Wait { hours } => {
                self.now = later(self.now, hours * 3_600_000_000);
                // None is open for days: the gate would have let go of it.
                let lasts =
                    |run: &Run| run.open.iter().position(|(_, at, ..)| at.plus_micros(86_400_000_000) < run.now.at);
                while let Some(which) = lasts(self) {
                    self.take(Step::End { which, used: 1, never_sent: false });
                }
            }
            Step::Call { user, team, asked } => {
                let who = person(user.into()).to_string();
                let subject = Subject { team: team.then_some("sales"), ..by(&who) };
                let asked = Estimate { pico_usd: asked, ..tokens(asked, 0) };
                if self.house.gate.reserve(id(self.next), &subject, asked, self.now).is_ok() {
                    self.open.push((self.next, self.now.at, user, team));
                }
            }
            Step::End { which, used, never_sent } if !self.open.is_empty() => {
                let (number, at, user, team) = self.open.swap_remove(which % self.open.len());
                if never_sent {
                    assert!(self.house.gate.cancel(id(number)));
                    return;
                }
                let mut record = if team { of_team(number, at, used) } else { record(number, at, 1, used) };
                record.user = Some(person(user.into()));
                record.cost = (used % 3 > 0).then(|| Money::from_pico_usd(used.into()));
                self.house.record(record, self.now);
            }
            Step::End { .. } => {}
            Step::Act { subject, kind, change: number, amount } => {
                let one = format!("user:{}", person(0));
                let both = format!("user:{} team:sales", person(1));
                let subject = ["everything", "team:sales", "user:*", "user:guests", &one, &both][subject];
                let (kind, windows) = (KINDS[kind], self.house.gate.windows(self.now));
                let known = windows.iter().find(|window| is_of(window, subject, kind));
                let window = known.map_or(self.now.at.day(), |window| window.first_day);
                let change = change(number, amount, window);
                self.house.set(key(subject, kind), change.clone(), self.now, |_| {});
                self.check_shown(subject, kind, &change);
            }
        }
    }
}

fn is_of(window: &Window, subject: &str, kind: LimitKind) -> bool {
    window.limit == kind && window.label.to_string() == subject
}

impl Run {
    /// What was just done is seen at every window of that budget.
    fn check_shown(&self, subject: &str, kind: LimitKind, change: &BudgetChange) {
        for window in self.house.gate.windows(self.now).iter().filter(|window| is_of(window, subject, kind)) {
            let is_there = match change {
                BudgetChange::Pause => window.paused,
                BudgetChange::Stop { window: first } => *first != window.first_day || window.stopped,
                BudgetChange::Raise { window: first, .. } => *first != window.first_day || window.raised_by > 0,
                BudgetChange::Set { amount, .. } => window.max == amount + window.raised_by,
                _ => true,
            };
            assert!(is_there, "{subject} {change:?} {window:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_is_set_while_calls_are_made_a_restart_finds_the_same(steps in prop::collection::vec(step(), 1..120)) {
        let caps = Caps::of([(LimitKind::TokensPerWeek, 2_000), (LimitKind::UsdPrepaid, 1 << 40)]);
        let house = House::new(vec![rule(user("*"), caps), rule(user(&person(1).to_string()), caps)]);
        let mut run = Run { house, open: Vec::new(), next: 0, now: noon() };
        steps.into_iter().for_each(|step| run.take(step));
        while !run.open.is_empty() {
            run.take(Step::End { which: 0, used: 1, never_sent: false });
        }
        let restarted = run.house.restarted(run.now);
        let sorted = |gate: &Gate| {
            let mut windows: Vec<String> = gate.windows(run.now).iter().map(|window| format!("{window:?}")).collect();
            windows.sort();
            windows
        };
        prop_assert_eq!(sorted(&run.house.gate), sorted(&restarted));
        let saved = run.house.gate.save(run.now);
        let compared = restarted.compare(&saved, run.now);
        prop_assert_eq!((compared.left_out, compared.differences), (0, Vec::new()));
        let mut restored = Gate::new(run.house.rules.clone(), ["cloud"]);
        restored.begin(run.house.settings.budgets());
        prop_assert!(restored.restore(&saved, run.now));
        prop_assert_eq!(sorted(&restored), sorted(&restarted));
    }
}
