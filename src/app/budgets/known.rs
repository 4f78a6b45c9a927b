//! Which budgets there are: those of the configuration and what was done to them since. Pure.

use std::collections::BTreeMap;

use chrono::Datelike;

use crate::limits::{Cap, DaySpan, Label, LimitKind, Pick, Rule, Scope, Span};
use crate::settings::{BudgetActs, BudgetKey, Settings};
use crate::usage::{Day, Timestamp, Zone};

/// Microseconds of half a day: from a midnight, an instant that belongs to the day whatever its zone does.
const HALF_A_DAY: i64 = 43_200_000_000;

/// One budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// What the configuration says of it.
    configured: Option<Cap>,
    /// Where its windows begin and end.
    zone: Zone,
    /// From when on it counts, where it is prepaid.
    since: Option<Day>,
    acts: BudgetActs,
}

/// All budgets.
pub(super) struct Budgets {
    known: BTreeMap<(String, LimitKind), Budget>,
    /// Where the owner's windows begin and end.
    zone: Zone,
}

impl Budgets {
    pub(super) fn of(rules: &[Rule], settings: &Settings, zone: Zone) -> Budgets {
        let mut known: BTreeMap<(String, LimitKind), Budget> = BTreeMap::new();
        let unset = |zone| Budget { configured: None, zone, since: None, acts: BudgetActs::default() };
        for rule in rules {
            let subject = subject_of(&rule.scope);
            for limit in LimitKind::ALL {
                let Some(cap) = rule.caps.said(limit) else { continue };
                let budget = known.entry((subject.clone(), limit)).or_insert_with(|| unset(rule.day_zone));
                budget.since = rule.since;
                budget.configured = Some(budget.configured.map_or(cap, |other| lower(other, cap)));
            }
        }
        for (key, acts) in settings.budgets() {
            let Some(limit) = LimitKind::parse(&key.limit) else { continue };
            let budget = known.entry((key.subject.clone(), limit)).or_insert_with(|| unset(zone));
            budget.acts = acts.clone();
            budget.since = acts.since.or(budget.since);
        }
        Budgets { known, zone }
    }

    /// What a subject's own budget is, with what was done to it; of one that is not there, nothing.
    fn own(&self, subject: &str, limit: LimitKind) -> Option<&Budget> {
        self.known.get(&(subject.to_owned(), limit))
    }

    /// The budget for each of something apart that covers a subject.
    fn of_star(&self, subject: &str, limit: LimitKind) -> Option<&Budget> {
        let of_each = self.known.iter().find(|((pattern, kind), budget)| {
            *kind == limit && is_each_of(pattern, subject) && budget.says().is_some()
        });
        of_each.map(|(_, budget)| budget)
    }

    /// The budget that holds for a subject: its own, else that of `*`.
    fn holding(&self, subject: &str, limit: LimitKind) -> Option<&Budget> {
        let own = self.own(subject, limit).filter(|budget| budget.says().is_some());
        own.or_else(|| self.of_star(subject, limit))
    }

    /// The kinds of which something holds for a subject, or was done to it, in the order they are shown.
    pub(super) fn kinds(&self, subject: &str) -> impl Iterator<Item = LimitKind> {
        let is_there =
            |limit: &LimitKind| self.holding(subject, *limit).is_some() || self.own(subject, *limit).is_some();
        LimitKind::ALL.into_iter().filter(is_there)
    }

    /// The cap of a subject, without raises; `None` when nothing is said.
    pub(super) fn cap(&self, subject: &str, limit: LimitKind) -> Option<Cap> {
        self.holding(subject, limit).and_then(Budget::says)
    }

    /// What holds when nothing that was set counts any more.
    pub(super) fn configured(&self, subject: &str, limit: LimitKind) -> Option<Cap> {
        let own = self.own(subject, limit).and_then(|budget| budget.configured);
        own.or_else(|| self.of_star(subject, limit).and_then(Budget::says))
    }

    /// What was done to a subject's budget itself.
    pub(super) fn acts(&self, subject: &str, limit: LimitKind) -> BudgetActs {
        self.own(subject, limit).map(|budget| budget.acts.clone()).unwrap_or_default()
    }

    /// The first day of the window that runs, and when it ends; the latter `None` where it does not, or slides.
    pub(super) fn window(&self, subject: &str, limit: LimitKind, now: Timestamp) -> (Day, Option<Timestamp>) {
        let (zone, since) = self.calendar(subject, limit);
        window(limit.span(), zone, since, now)
    }

    /// Where the windows of a subject's budget begin and end, and from when on it counts where it is prepaid. What is
    /// done to somebody under a `*` happens in the windows of the `*`, unless it gives them a budget of their own.
    pub(super) fn calendar(&self, subject: &str, limit: LimitKind) -> (Zone, Option<Day>) {
        match (self.own(subject, limit), self.of_star(subject, limit)) {
            (Some(own), Some(each)) if own.is_within(each) => (each.zone, own.since.or(each.since)),
            (Some(budget), _) | (None, Some(budget)) => (budget.zone, budget.since),
            (None, None) => (self.zone, None),
        }
    }

    /// Today, where the owner is.
    pub(super) fn today(&self, now: Timestamp) -> Day {
        window(Span::Day, self.zone, None, now).0
    }

    /// The budgets for each of something apart, with their caps.
    pub(super) fn of_each(&self) -> impl Iterator<Item = (&str, LimitKind, Cap)> {
        let each = self.known.iter().filter(|((subject, _), _)| is_for_each(subject));
        each.filter_map(|((subject, limit), budget)| Some((subject.as_str(), *limit, budget.says()?)))
    }

    /// The names that budgets are for: to know them again.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let parts = self.known.keys().flat_map(|(subject, _)| subject.split(' '));
        parts.filter_map(|part| part.split_once(':')).map(|(_, value)| value)
    }
}

impl Budget {
    /// Whether acts are all there is of it, and they change what one for each of something says.
    fn is_within(&self, each: &Budget) -> bool {
        self.configured.is_none() && (self.acts.set.is_none() || each.configured.is_some())
    }

    fn says(&self) -> Option<Cap> {
        match self.acts.set {
            Some(Some(amount)) => Some(Cap::At(amount)),
            Some(None) => Some(Cap::Unlimited),
            None => self.configured,
        }
    }
}

/// The key of a subject's budget.
pub(super) fn key(subject: &str, limit: LimitKind) -> BudgetKey {
    BudgetKey { subject: subject.to_owned(), limit: limit.as_str().to_owned() }
}

/// Whether a subject counts each of something apart.
pub(super) fn is_for_each(subject: &str) -> bool {
    subject.split(' ').any(|part| part.ends_with(":*"))
}

/// Whether a pattern with `*` counts a subject as one of its values: the same facets, and the same values where it names
/// some. Guests are nobody in particular, and no value.
pub(super) fn is_each_of(pattern: &str, subject: &str) -> bool {
    let covers = || Some(Scope::parse(pattern)?.has_value(&Scope::parse(subject)?));
    is_for_each(pattern) && covers().unwrap_or_default()
}

/// Whom a rule is for, as in the key of a budget.
fn subject_of(scope: &Scope) -> String {
    let value = |pick: &Pick| -> Box<str> {
        if *pick == Pick::Each {
            return "*".into();
        }
        if let Pick::Only(value) = pick { value.clone() } else { "guests".into() }
    };
    Label(scope.picks().map(|(facet, pick)| (facet, value(pick))).collect()).to_string()
}

fn lower(one: Cap, other: Cap) -> Cap {
    match (one, other) {
        (Cap::At(one), Cap::At(other)) => Cap::At(one.min(other)),
        (Cap::At(cap), Cap::Unlimited) | (Cap::Unlimited, Cap::At(cap)) => Cap::At(cap),
        (Cap::Unlimited, Cap::Unlimited) => Cap::Unlimited,
    }
}

fn window(span: Span, zone: Zone, since: Option<Day>, now: Timestamp) -> (Day, Option<Timestamp>) {
    let today = DaySpan::at(zone, now.unix_micros());
    let ends = |last: Day| {
        let noon = today.start_micros + i64::from(last.0 - today.day.0) * 2 * HALF_A_DAY + HALF_A_DAY;
        Some(Timestamp::in_zone(DaySpan::at(zone, noon).end_micros, zone))
    };
    match span {
        Span::Minute => (today.day, None),
        Span::Day => (today.day, ends(today.day)),
        Span::Week => {
            let monday = today.day.plus(-(today.day.date().weekday().num_days_from_monday() as i32));
            (monday, ends(monday.plus(6)))
        }
        Span::Month => {
            let date = today.day.date();
            let first = today.day.plus(1 - date.day() as i32);
            (first, ends(first.plus(i32::from(date.num_days_in_month()) - 1)))
        }
        Span::Prepaid => (since.unwrap_or(Day(0)), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Caps, Facet};
    use crate::settings::{BudgetChange, Setting};
    use crate::usage::zone;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn a_window_is_told_by_its_first_day_and_its_end_by_the_clock_as_it_will_be() {
        let zone = zone("Europe/Madrid");
        let shown = |span, now| {
            let (first, end) = window(span, zone, None, at(now));
            (first.date().to_string(), end.map(|end| end.to_string()))
        };
        let found = |first: &str, end: &str| (first.to_owned(), Some(end.to_owned()));
        assert_eq!(
            shown(Span::Day, "2026-10-25T12:00:00+01:00"),
            found("2026-10-25", "2026-10-26T00:00:00.000000+01:00")
        );
        assert_eq!(
            shown(Span::Week, "2026-03-25T12:00:00+01:00"),
            found("2026-03-23", "2026-03-30T00:00:00.000000+02:00")
        );
        assert_eq!(
            shown(Span::Month, "2028-02-29T23:30:00+01:00"),
            found("2028-02-01", "2028-03-01T00:00:00.000000+01:00")
        );
        assert_eq!(shown(Span::Prepaid, "2026-03-25T12:00:00+01:00"), ("1970-01-01".to_owned(), None));
        assert_eq!(shown(Span::Minute, "2026-03-25T12:00:00+01:00"), ("2026-03-25".to_owned(), None));
    }

    #[test]
    fn what_is_named_goes_before_each_and_acts_before_the_configuration() {
        let limit = LimitKind::UsdPerDay;
        let each = Scope::everything().with(Facet::User, Pick::Each);
        let named = Scope::everything().with(Facet::User, Pick::parse("ana"));
        let rule = |scope, cap| Rule::new(scope, Caps::of([(limit, cap)]), Zone::UTC);
        let rules = [rule(each, 1), rule(named, 5)];
        let mut settings = Settings::default();
        let budgets = |settings: &Settings| Budgets::of(&rules, settings, Zone::UTC);
        let cap = |settings: &Settings, subject: &str| budgets(settings).cap(subject, limit);
        assert_eq!(cap(&settings, "user:ana"), Some(Cap::At(5)));
        assert_eq!(cap(&settings, "user:luis"), Some(Cap::At(1)));
        assert_eq!(cap(&settings, "team:it"), None);
        let mut act = |subject: &str, change| {
            settings.apply(&Setting::Budget { of: key(subject, limit), change, by: None });
        };
        act("user:*", BudgetChange::Set { amount: 2, since: None });
        act("user:ana", BudgetChange::Unlimited);
        act("user:eva", BudgetChange::Pause);
        assert_eq!(cap(&settings, "user:ana"), Some(Cap::Unlimited));
        assert_eq!(cap(&settings, "user:luis"), Some(Cap::At(2)));
        assert_eq!(cap(&settings, "user:eva"), Some(Cap::At(2)), "a pause says nothing of how much");
        assert_eq!(budgets(&settings).configured("user:ana", limit), Some(Cap::At(5)));
        assert!(budgets(&settings).acts("user:eva", limit).paused);
        assert_eq!(budgets(&settings).kinds("user:luis").collect::<Vec<_>>(), [limit]);
        assert!(is_each_of("provider:cloud user:*", "provider:cloud user:x"));
        assert!(!is_each_of("user:*", "team:x") && !is_each_of("user:*", "provider:c user:x"));
        assert!(!is_each_of("user:*", "user:guests") && !is_each_of("user:*", "user:*"), "they are none of its values");
        assert!(!is_each_of("team:* user:*", "team:x user:*") && is_each_of("team:*", "team:the sales"));
    }

    #[test]
    fn what_is_done_to_somebody_under_a_star_happens_in_its_windows() {
        let limit = LimitKind::UsdPrepaid;
        let begins = Day::from_ymd(2026, 11, 1).expect("a day");
        let each = |zone, cap| Rule::new(Scope::everything().with(Facet::User, Pick::Each), Caps::of([cap]), zone);
        let west = each(zone("America/Los_Angeles"), (LimitKind::RequestsPerDay, 9));
        let rules = [Rule { since: Some(begins), ..each(Zone::UTC, (limit, 5)) }, west];
        let mut settings = Settings::default();
        let first = |settings: &Settings, subject: &str, limit| {
            let budgets = Budgets::of(&rules, settings, Zone::UTC);
            budgets.window(subject, limit, at("2026-11-22T05:00:00Z")).0.date().to_string()
        };
        let act = |settings: &mut Settings, subject: &str, limit, change| {
            settings.apply(&Setting::Budget { of: key(subject, limit), change, by: None });
        };
        for change in [BudgetChange::Mute { window: Day(1) }, BudgetChange::Pause, BudgetChange::Unlimited] {
            act(&mut settings, "user:ana", limit, change.clone());
            act(&mut settings, "user:ana", LimitKind::RequestsPerDay, change);
            assert_eq!(first(&settings, "user:ana", limit), "2026-11-01");
            assert_eq!(
                first(&settings, "user:ana", LimitKind::RequestsPerDay),
                "2026-11-21",
                "it is still yesterday there"
            );
        }
        act(&mut settings, "user:ana", limit, BudgetChange::Set { amount: 6, since: Some(begins.plus(3)) });
        assert_eq!(first(&settings, "user:ana", limit), "2026-11-04");
        let set = |since| BudgetChange::Set { amount: 6, since };
        act(&mut settings, "team:*", limit, set(Some(begins)));
        act(&mut settings, "team:it", limit, BudgetChange::Pause);
        assert_eq!(first(&settings, "team:it", limit), "2026-11-01", "also where the star was itself set");
        act(&mut settings, "team:it", limit, set(None));
        assert_eq!(first(&settings, "team:it", limit), "1970-01-01", "this is a budget of its own");
    }
}
