//! Each thing once, whatever is restarted in between: windows, rates, providers, prices, costs, the books.

use super::*;
use crate::limits::{Caps, Estimate, Facet, Gate, Label, Level, LimitKind, Rule, Scope, Subject, Used, Window};
use crate::settings::{AlertState, BudgetChange, Setting};
use crate::usage::{Day, ErrorKind, Now, RecordId, Tick, zone};

/// The books' acts, and who looks.
struct House {
    settings: Settings,
    watch: Watch,
    policy: Policy,
}

const HOUR: i64 = 3_600;

fn at(secs: i64) -> Timestamp {
    Timestamp::new(1_795_305_600_000_000 + secs * 1_000_000, 0)
}

fn house(policy: Policy) -> House {
    House { settings: Settings::default(), watch: Watch::new(Uuid::from_u128(7), policy.clone()), policy }
}

fn quiet(settings: &Settings, now: Timestamp) -> Look<'_> {
    Look {
        now,
        settings,
        windows: &[],
        calls: 0,
        failed: 0,
        providers: &[],
        unpriced: &[],
        hour: None,
        trouble: None,
        large: &[],
    }
}

impl House {
    /// Looks without telling what was found to the end: as if it were killed before or after it was told.
    fn begin(&mut self, look: impl FnOnce(&mut Look<'_>), now: Timestamp) -> Found {
        let settings = self.settings.clone();
        let mut seen = quiet(&settings, now);
        // The changed look must live as long as what it borrows: a closure sets what is `'static`.
        look(&mut seen);
        let found = self.watch.look(&seen);
        for due in found.due.iter().filter(|due| !due.unwritten) {
            self.note(&due.notice.id, AlertState::Firing);
            due.with.iter().for_each(|id| self.note(id, AlertState::Fired));
        }
        found.settled.iter().for_each(|id| self.note(id, AlertState::Fired));
        found
    }

    /// Looks, tells and confirms.
    fn look(&mut self, look: impl FnOnce(&mut Look<'_>), now: Timestamp) -> Vec<Notice> {
        let found = self.begin(look, now);
        found.due.iter().filter(|due| !due.unwritten).for_each(|due| self.note(&due.notice.id, AlertState::Fired));
        found.due.into_iter().map(|due| due.notice).collect()
    }

    fn windows(&mut self, windows: Vec<Window>, now: Timestamp) -> Vec<Notice> {
        let windows: &'static [Window] = windows.leak();
        self.look(|look| look.windows = windows, now)
    }

    fn levels(&mut self, windows: Vec<Window>, now: Timestamp) -> Vec<String> {
        self.windows(windows, now).iter().map(name).collect()
    }

    fn note(&mut self, id: &str, state: AlertState) {
        self.settings.apply(&Setting::Alert { id: id.to_owned(), state });
    }

    fn restart(&mut self) {
        self.watch = Watch::new(Uuid::from_u128(7), self.policy.clone());
    }
}

fn name(notice: &Notice) -> String {
    match &notice.alert {
        Alert::Level { level, .. } => level.as_str().to_owned(),
        Alert::Many { level, count, .. } => format!("{count} {}", level.as_str()),
        other => format!("{other:?}").chars().take_while(|c| c.is_alphanumeric()).collect(),
    }
}

fn window(limit: LimitKind, first_day: i32, used: u64, max: u64) -> Window {
    let label = Label(vec![(Facet::Team, "sales".into())]);
    let resets_at = Some(at(i64::from(first_day) * 24 * HOUR));
    Window {
        label,
        each: false,
        limit,
        used,
        reserved: 0,
        max,
        first_day: Day(first_day),
        resets_at,
        raised_by: 0,
        paused: false,
        stopped: false,
    }
}

fn day(first_day: i32, used: u64, max: u64) -> Vec<Window> {
    vec![window(LimitKind::TokensPerDay, first_day, used, max)]
}

#[test]
fn j9_each_level_is_told_once_per_window_over_twenty_restarts_and_a_jump_tells_the_highest() {
    let mut house = house(Policy::default());
    let mut told = Vec::new();
    for (step, used) in [0, 79, 80, 80, 96, 97, 100, 120].into_iter().enumerate() {
        for _ in 0..20 {
            house.restart();
            told.extend(house.levels(day(9, used, 100), at(step as i64)));
        }
    }
    assert_eq!(told, ["caution", "critical"], "90 was passed with 95 and is not told");
}

#[test]
fn j9_killed_anywhere_an_alert_is_told_again_at_most_once_and_under_the_same_id() {
    let windows: &'static [Window] = day(9, 92, 100).leak();
    let ids = |notices: &[Notice]| notices.iter().map(|notice| notice.id.clone()).collect::<Vec<_>>();
    // Killed before it was noted, before it was told or confirmed, and after.
    for (point, told_again) in [(0, 1), (1, 1), (2, 0)] {
        let mut house = house(Policy::default());
        let settings = house.settings.clone();
        let id = match point {
            0 => house.watch.look(&Look { windows, ..quiet(&settings, at(0)) }).due[0].notice.id.clone(),
            1 => house.begin(|look| look.windows = windows, at(0)).due[0].notice.id.clone(),
            _ => house.look(|look| look.windows = windows, at(0))[0].id.clone(),
        };
        assert!(house.begin(|look| look.windows = windows, at(1)).due.is_empty(), "{point}: it is on its way");
        house.restart();
        let again = house.look(|look| look.windows = windows, at(2));
        assert_eq!(ids(&again), vec![id; told_again], "{point}");
        house.restart();
        assert!(house.look(|look| look.windows = windows, at(3)).is_empty(), "{point}");
        assert_eq!(house.settings.firing().count(), 0);
    }
}

#[test]
fn what_was_about_to_be_told_when_a_higher_level_came_is_not_told_any_more() {
    let mut house = house(Policy::default());
    let low: &'static [Window] = day(9, 82, 100).leak();
    house.begin(|look| look.windows = low, at(0));
    house.restart();
    assert_eq!(house.levels(day(9, 99, 100), at(1)), ["critical"]);
    assert_eq!(house.settings.firing().count(), 0, "the lower one counts as told");
}

#[test]
fn a_window_that_ends_after_a_warning_is_told_to_be_normal_once_and_after_a_caution_is_not() {
    for (used, expected) in [(85, vec![]), (92, vec!["Recovered"]), (99, vec!["Recovered"])] {
        let mut house = house(Policy::default());
        house.levels(day(9, used, 100), at(0));
        house.restart();
        let mut told = house.levels(day(10, 1, 100), at(1));
        house.restart();
        told.extend(house.levels(day(10, 2, 100), at(2)));
        assert_eq!(told, expected, "{used}");
        assert_eq!(house.levels(day(10, 96, 100), at(3)), ["critical"], "the next window has its own levels");
    }
    let mut silent = house(Policy { recovered: false, ..Policy::default() });
    silent.levels(day(9, 99, 100), at(0));
    assert!(silent.levels(day(10, 0, 100), at(1)).is_empty());
}

#[test]
fn weeks_and_months_end_as_days_do_and_a_prepaid_window_never() {
    let days = |y, m, d| Day::from_ymd(y, m, d).expect("a day").0;
    let month = (days(2026, 2, 1), days(2026, 3, 1));
    let week = (days(2026, 3, 2), days(2026, 3, 9));
    for (limit, (first, second)) in [(LimitKind::UsdPerMonth, month), (LimitKind::RequestsPerWeek, week)] {
        let mut house = house(Policy::default());
        assert_eq!(house.levels(vec![window(limit, first, 95, 100)], at(0)), ["critical"]);
        assert_eq!(house.levels(vec![window(limit, second, 0, 100)], at(1)), ["Recovered"], "{limit}");
    }
    let mut house = house(Policy::default());
    let prepaid = |used, max| vec![window(LimitKind::UsdPrepaid, 0, used, max)];
    assert_eq!(house.levels(prepaid(95, 100), at(0)), ["critical"]);
    assert!(house.levels(prepaid(96, 100), at(9 * 365 * 24 * HOUR)).is_empty());
    assert_eq!(house.levels(prepaid(96, 200), at(1)), ["Recovered"], "somebody paid");
}

#[test]
fn a_raised_cap_is_normal_again_and_its_levels_are_told_anew() {
    let mut house = house(Policy::default());
    assert_eq!(house.levels(day(9, 99, 100), at(0)), ["critical"]);
    assert_eq!(house.levels(day(9, 99, 200), at(1)), ["Recovered"]);
    assert!(house.levels(day(9, 100, 200), at(2)).is_empty());
    assert_eq!(house.levels(day(9, 191, 200), at(3)), ["critical"]);
    assert_eq!(house.levels(day(10, 0, 100), at(4)), ["Recovered"]);
    // Raised by too little, it is where it was under the new cap, which is told too.
    assert_eq!(house.levels(day(11, 100, 100), at(5)), ["critical"]);
    assert_eq!(house.levels(day(11, 100, 105), at(6)), ["critical"]);
}

#[test]
fn a_muted_window_is_silent_until_it_ends() {
    let mut house = house(Policy::default());
    house.levels(day(9, 92, 100), at(0));
    let of = budget_of_sales();
    house.settings.apply(&Setting::Budget { of, change: BudgetChange::Mute { window: Day(9) }, by: None });
    assert!(house.levels(day(9, 100, 100), at(1)).is_empty());
    assert!(house.levels(day(10, 0, 100), at(2)).is_empty(), "nor is its end told");
    assert_eq!(house.levels(day(10, 80, 100), at(3)), ["caution"]);
}

fn budget_of_sales() -> crate::settings::BudgetKey {
    super::levels::budget_of(&window(LimitKind::TokensPerDay, 9, 0, 1))
}

#[test]
fn a_minute_is_no_alert_however_full() {
    let mut house = house(Policy::default());
    assert!(house.levels(vec![window(LimitKind::TokensPerMinute, 9, 100, 100)], at(0)).is_empty());
}

#[test]
fn a_cap_of_nothing_is_no_alert_at_any_midnight() {
    let mut house = house(Policy::default());
    for first_day in 9..12 {
        assert!(house.levels(day(first_day, 0, 0), at(i64::from(first_day) * 24 * HOUR)).is_empty(), "{first_day}");
    }
    let person = |n: usize| Label(vec![(Facet::User, format!("k{n}").into())]);
    let nothing =
        (0..5).map(|n| Window { label: person(n), each: true, ..window(LimitKind::UsdPerDay, 12, 7, 0) }).collect();
    assert!(house.levels(nothing, at(0)).is_empty(), "nor are many of them told together");
    assert_eq!(house.levels(day(12, 100, 100), at(1)), ["critical"]);
}

#[test]
fn many_at_once_are_told_one_by_one_up_to_the_fullest_and_then_together() {
    let mut house = house(Policy::default());
    let people = |used: u64, n: usize| -> Vec<Window> {
        let person = |n| Label(vec![(Facet::User, format!("k{n}").into())]);
        let of = |n| Window { label: person(n), each: true, ..window(LimitKind::UsdPerDay, 9, used, 100) };
        (0..n).map(of).collect()
    };
    assert_eq!(house.levels(people(81, 4), at(0)), ["caution"; 4]);
    assert_eq!(house.levels(people(81, 5), at(1)), ["caution", "5 caution"]);
    house.restart();
    assert!(house.levels(people(82, 5), at(2)).is_empty());
    assert_eq!(house.levels(people(100, 5), at(3)).len(), 6, "five and all together");
}

#[test]
fn limits_that_name_each_of_five_are_told_one_by_one_and_are_no_crowd() {
    let mut house = house(Policy::default());
    let team = |n: usize| Label(vec![(Facet::Team, format!("t{n}").into())]);
    let named = (0..5).map(|n| Window { label: team(n), ..window(LimitKind::UsdPerDay, 9, 81, 100) }).collect();
    assert_eq!(house.levels(named, at(0)), ["caution"; 5]);
}

#[test]
fn the_window_of_one_of_many_that_is_over_is_not_shown_and_is_told_all_the_same() {
    let mut house = house(Policy::default());
    let full = day(9, 99, 100);
    let ends = full[0].resets_at.expect("a day ends");
    house.levels(full, at(0));
    assert!(house.levels(vec![], at(1)).is_empty());
    assert_eq!(house.levels(vec![], ends), ["Recovered"]);
    assert!(house.levels(vec![], ends.plus_micros(1_000_000)).is_empty());
}

/// Midnight of a day that has 23, 25 or 24.5 hours: the gate's own windows, second by second around it.
#[test]
fn j9_the_day_rolls_at_the_zones_midnight_also_when_it_has_23_or_25_hours() {
    for (zone, midnight) in [
        (zone("America/Los_Angeles"), "2026-03-09T00:00:00-07:00"),
        (zone("America/Los_Angeles"), "2026-11-02T00:00:00-08:00"),
        (zone("Australia/Lord_Howe"), "2026-04-06T00:00:00+10:30"),
    ] {
        let caps = Caps::of([(LimitKind::RequestsPerDay, 10)]);
        let mut gate = Gate::new(vec![Rule::new(Scope::everything(), caps, zone)], vec!["cloud".to_owned()]);
        let midnight = Timestamp::parse(midnight).expect("a time");
        let mut house = house(Policy::default());
        let mut told = Vec::new();
        for second in -23 * HOUR..2 * HOUR {
            let tick = Tick(((second + 24 * HOUR) * 1_000_000) as u64);
            let now = Now { at: midnight.plus_micros(second * 1_000_000), tick };
            if second < 0 && second % HOUR == 0 {
                let id = RecordId::new(now.at, [(second / HOUR + 24) as u8; 10]);
                let subject = Subject { provider: "cloud", model: "m", channel: "x", ..Subject::default() };
                if gate.reserve(id, &subject, Estimate::default(), now).is_ok() {
                    gate.settle(id, Used::of_tokens(1), now);
                }
            }
            if second % HOUR == 0 || second.abs() < 3 {
                house.restart();
                let found = house.windows(gate.windows(now), now.at);
                told.extend(found.iter().map(|notice| (second, name(notice))));
            }
        }
        let told: Vec<_> = told.iter().map(|(second, name)| (*second, name.as_str())).collect();
        let expected = [(-16 * HOUR, "caution"), (-15 * HOUR, "warning"), (-14 * HOUR, "critical"), (0, "Recovered")];
        assert_eq!(told, expected, "{zone}");
    }
}

#[test]
fn an_error_rate_is_one_episode_until_it_is_down_at_half() {
    let mut house = house(Policy::default());
    let mut told = Vec::new();
    let story = [(1, 19), (2, 20), (1, 20), (2, 60), (1, 30), (1, 40), (3, 20)];
    for (step, (failed, calls)) in story.into_iter().enumerate() {
        house.restart();
        let found = house.look(|look| (look.failed, look.calls) = (failed, calls), at(step as i64));
        told.push(found.iter().map(name).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(told, ["", "ErrorRate", "", "", "", "ErrorRateBack", "ErrorRate"]);
}

#[test]
fn an_error_rate_is_one_episode_over_a_weekend_without_calls_and_its_end_is_told() {
    let mut house = house(Policy::default());
    let mut told = Vec::new();
    for (days, failed, calls) in [(0, 10, 40), (1, 0, 0), (2, 0, 0), (3, 10, 40), (3, 0, 40), (4, 0, 40)] {
        house.restart();
        let found = house.look(|look| (look.failed, look.calls) = (failed, calls), at(days * 24 * HOUR));
        told.extend(found.iter().map(|notice| (days, name(notice))));
    }
    assert_eq!(told, [(0, "ErrorRate".to_owned()), (3, "ErrorRateBack".to_owned())]);
}

#[test]
fn a_provider_is_down_after_two_minutes_and_back_with_its_first_answer() {
    let mut house = house(Policy::default());
    let silence = Silence { since: at(0), kind: ErrorKind::Connect };
    let down: &'static [_] = vec![("cloud".to_owned(), Some(silence))].leak();
    let up: &'static [_] = vec![("cloud".to_owned(), None)].leak();
    assert!(house.look(|look| look.providers = down, at(119)).is_empty());
    let told = house.look(|look| look.providers = down, at(120));
    let expected = Alert::ProviderDown { provider: "cloud".into(), kind: ErrorKind::Connect, since: at(0) };
    assert_eq!(told[0].alert, expected);
    assert!(house.look(|look| look.providers = down, at(500)).is_empty());
    assert!(house.watch.is_down("cloud", &house.settings, at(501)));
    let told = house.look(|look| look.providers = up, at(600));
    assert_eq!(told[0].alert, Alert::ProviderBack { provider: "cloud".into(), seconds: 600 });
    house.restart();
    assert!(!house.watch.is_down("cloud", &house.settings, at(601)));
    assert!(house.look(|look| look.providers = up, at(601)).is_empty());
    // Down over a midnight and a restart, it is back once.
    house.look(|look| look.providers = down, at(602));
    house.restart();
    assert!(house.look(|look| look.providers = down, at(25 * HOUR)).is_empty());
    assert_eq!(house.look(|look| look.providers = up, at(26 * HOUR)).len(), 1);
}

#[test]
fn e5_a_missing_price_is_told_once_for_all_time_and_an_hour_that_costs_too_much_once() {
    let mut house = house(Policy::default());
    let unpriced: &'static [_] = vec![("cloud".to_owned(), "new".to_owned())].leak();
    let dollars = |cents: i128| Money::from_pico_usd(cents * 10_000_000_000);
    let mut told = Vec::new();
    for hours in [0, 0, 24, 48] {
        house.restart();
        told.extend(house.look(|look| look.unpriced = unpriced, at(hours * HOUR)));
    }
    assert_eq!(told.iter().map(name).collect::<Vec<_>>(), ["UnknownPrice"]);
    let mut spikes = Vec::new();
    for (hour, usual) in [(100, 0), (301, 100), (300, 100), (302, 100), (900, 301)] {
        house.restart();
        let found = house.look(|look| look.hour = Some((dollars(hour), dollars(usual))), at(HOUR));
        spikes.push(found.len());
    }
    assert_eq!(spikes, [0, 1, 0, 0, 0], "a dollar is not more than a dollar; once per hour");
}

#[test]
fn of_many_models_without_a_price_a_few_are_told_and_the_rest_with_the_last() {
    let mut house = house(Policy::default());
    let model = |n: u64| ("cloud".to_owned(), format!("m{n:03}"));
    let some: &'static [_] = (0..5).map(model).collect::<Vec<_>>().leak();
    let many: &'static [_] = (0..300).map(model).collect::<Vec<_>>().leak();
    let told = |notices: Vec<Notice>| -> Vec<u64> {
        let others = |notice: &Notice| match &notice.alert {
            Alert::UnknownPrice { others, .. } => *others,
            other => panic!("{other:?}"),
        };
        notices.iter().map(others).collect()
    };
    assert_eq!(told(house.look(|look| look.unpriced = some, at(0))), [0; 5]);
    assert_eq!(told(house.look(|look| look.unpriced = many, at(1))), [0, 0, 0, 0, 290]);
    house.restart();
    assert!(house.look(|look| look.unpriced = many, at(2)).is_empty(), "the rest counts as told");
}

#[test]
fn books_that_cannot_be_written_are_told_without_being_written() {
    let mut house = house(Policy::default());
    let down = house.begin(|look| look.trouble = Some("no space left"), at(0));
    assert!(down.due[0].unwritten && down.due.len() == 1);
    assert!(house.begin(|look| look.trouble = Some("no space left"), at(1)).due.is_empty());
    let back = house.begin(|_| {}, at(2));
    assert_eq!((back.due[0].notice.alert.clone(), back.due[0].unwritten), (Alert::LedgerBack, true));
    assert!(house.begin(|_| {}, at(3)).due.is_empty());
}

#[test]
fn large_prompts_are_told_where_that_was_asked_for_one_a_minute_and_without_acts() {
    let prompt = |tokens| LargePrompt { id: RecordId::new(at(0), [1; 10]), model: "m".into(), tokens };
    let large: &'static [_] = vec![prompt(2_001), prompt(9_000), prompt(2_002)].leak();
    assert!(house(Policy::default()).look(|look| look.large = large, at(0)).is_empty());
    let mut asked = house(Policy { large_prompts_to_chat: true, ..Policy::default() });
    assert!(asked.look(|_| {}, at(0)).is_empty());
    let told: Vec<_> = (0..180).flat_map(|second| asked.begin(|look| look.large = large, at(second)).due).collect();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|due| due.unwritten && due.with.is_empty()));
    assert_eq!(told[0].notice.alert, Alert::LargePrompt { model: "m".into(), tokens: 9_000 });
    assert_eq!(asked.settings, Settings::default());
}

#[test]
fn what_nothing_brings_about_again_is_told_to_be_forgotten_once() {
    let mut house = house(Policy::default());
    house.note("0123456789abcdef", AlertState::Firing);
    assert!(house.look(|_| {}, at(0)).is_empty());
    assert!(house.look(|_| {}, at(179)).is_empty());
    let told = house.look(|_| {}, at(180));
    assert_eq!((told[0].id.as_str(), &told[0].alert), ("0123456789abcdef", &Alert::Forgotten));
    house.restart();
    assert!(house.look(|_| {}, at(181)).is_empty() && house.look(|_| {}, at(999)).is_empty());
}

#[test]
fn what_could_not_be_told_is_found_again() {
    let mut house = house(Policy::default());
    let windows: &'static [Window] = day(9, 99, 100).leak();
    let settings = Settings::default();
    let look = Look { windows, ..quiet(&settings, at(0)) };
    let found = house.watch.look(&look);
    assert!(house.watch.look(&look).due.is_empty());
    house.watch.give_back(&found.due[0].notice.id);
    assert_eq!(house.watch.look(&look), found);
    assert_eq!(found.due[0].notice.id, crate::alerts::level_id(Uuid::from_u128(7), &windows[0], Level::Critical));
}

#[test]
fn an_end_that_could_not_be_told_is_found_again_as_it_was() {
    let mut house = house(Policy::default());
    let full = day(1, 99, 100);
    let ends = full[0].resets_at.expect("a day ends");
    house.levels(full, at(0));
    let silence = Silence { since: at(0), kind: ErrorKind::Connect };
    let (down, up) = ([("cloud".to_owned(), Some(silence))], [("cloud".to_owned(), None)]);
    house.look(|look| look.providers = down.to_vec().leak(), at(120));
    let settings = house.settings.clone();
    let look = Look { providers: &up, ..quiet(&settings, ends) };
    let found = house.watch.look(&look);
    assert_eq!(found.due.iter().map(|due| name(&due.notice)).collect::<Vec<_>>(), ["Recovered", "ProviderBack"]);
    found.due.iter().for_each(|due| house.watch.give_back(&due.notice.id));
    assert_eq!(house.watch.look(&look), found);
}
