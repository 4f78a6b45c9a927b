//! Windows that reach a level, and windows that are normal again.
//!
//! Each level once per window and cap; of several crossed at once the highest, and those below count as told. Sliding
//! minutes are passed over: they are empty again before anybody has read of it; so are caps of 0, which somebody wanted
//! and nothing fills.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::memory::{Known, id_of};
use super::notice::{Alert, WindowAlert};
use super::policy::Policy;
use super::watch::{Due, Found, Look};
use crate::limits::{FULLEST_SHOWN, Facet, Label, Level, LimitKind, Span, Window};
use crate::settings::BudgetKey;
use crate::usage::{Day, Timestamp};

/// A window of which [`Level::Warning`] or more was told, and which ends.
#[derive(Clone, Debug)]
pub(super) struct Alarmed {
    window: WindowAlert,
}

/// The key under which a window is muted, raised or stopped.
pub fn budget_of(window: &Window) -> BudgetKey {
    BudgetKey { subject: window.label.to_string(), limit: window.limit.as_str().to_owned() }
}

/// The id of the alert that a window reached a level under its cap.
pub fn level_id(lineage: Uuid, window: &Window, level: Level) -> String {
    let (subject, limit) = (window.label.to_string(), window.limit.as_str());
    let (day, max) = (window.first_day.to_string(), window.max.to_string());
    id_of(lineage, &["level", &subject, limit, &day, &max, level.as_str()])
}

pub(super) fn look(
    policy: &Policy,
    known: &Known<'_>,
    look: &Look<'_>,
    alarmed: &mut BTreeMap<String, Alarmed>,
    found: &mut Found,
) {
    for window in watched(look) {
        if is_muted(known, window, window.first_day) {
            continue;
        }
        let level = policy.thresholds.level(window.limit, window.used, window.max);
        if level == Level::Normal {
            recovered(policy, known, look.now, window, window.first_day, found);
        } else {
            reached(known, look.now, window, level, alarmed, found);
        }
        if let Some(before) = day_before(window).filter(|before| !is_muted(known, window, *before)) {
            recovered(policy, known, look.now, window, before, found);
        }
    }
    crowds(policy, known, look, found);
    ended(policy, known, look, alarmed, found);
}

/// The windows that can fill up and stay so for a while.
fn watched<'a>(look: &Look<'a>) -> impl Iterator<Item = &'a Window> {
    look.windows.iter().filter(|window| window.limit.is_calendar() && window.max > 0)
}

fn is_muted(known: &Known<'_>, window: &Window, first_day: Day) -> bool {
    known.settings.budget(&budget_of(window)).is_some_and(|acts| acts.muted == Some(first_day))
}

/// A level that was not told under this cap, and none above it.
fn reached(
    known: &Known<'_>,
    now: Timestamp,
    window: &Window,
    level: Level,
    alarmed: &mut BTreeMap<String, Alarmed>,
    found: &mut Found,
) {
    let id = |level| level_id(known.lineage, window, level);
    let (above, below): (Vec<Level>, Vec<Level>) = Level::TOLD.into_iter().partition(|other| *other >= level);
    let left_over = below.into_iter().map(id).filter(|id| known.is_left_over(id));
    found.settled.extend(left_over);
    if above.into_iter().any(|level| known.has(&id(level))) {
        return;
    }
    let told = WindowAlert::of(window);
    let mut due = Due::new(id(level), now, Alert::Level { window: told.clone(), level });
    if level >= Level::Warning {
        let name = alarm(&window.label, window.limit);
        if known.open(&name, window.first_day).is_none() {
            due.with.extend(known.next(&name, window.first_day).map(|episode| episode.begin));
        }
        if window.resets_at.is_some() {
            alarmed.insert(format!("{name} {}", window.first_day), Alarmed { window: told });
        }
    }
    found.due.push(due);
}

/// A window of which a high level was told has ended, or has a cap under which it is normal.
fn recovered(policy: &Policy, known: &Known<'_>, now: Timestamp, window: &Window, first_day: Day, found: &mut Found) {
    let Some(episode) = known.open(&alarm(&window.label, window.limit), first_day) else { return };
    match policy.recovered {
        true => {
            let alert = Alert::Recovered { window: WindowAlert::of(window) };
            found.due.push(Due::new(episode.end, now, alert));
        }
        false => found.settled.push(episode.end),
    }
}

/// Of a rule for each of many, a window that is over is not shown any more: this process remembers those it told of,
/// until their end was told.
fn ended(
    policy: &Policy,
    known: &Known<'_>,
    look: &Look<'_>,
    alarmed: &mut BTreeMap<String, Alarmed>,
    found: &mut Found,
) {
    let is_over = |window: &WindowAlert| window.resets_at.is_some_and(|at| at <= look.now);
    alarmed.retain(|_, Alarmed { window }| {
        if !is_over(window) {
            return true;
        }
        let name = alarm(&window.label, window.limit);
        let key = BudgetKey { subject: window.label.to_string(), limit: window.limit.as_str().to_owned() };
        let is_muted = known.settings.budget(&key).is_some_and(|acts| acts.muted == Some(window.window));
        let is_seen = |due: &Due, end: &str| due.notice.id == end;
        let Some(episode) = known.open(&name, window.window).filter(|_| !is_muted) else { return false };
        if found.due.iter().any(|due| is_seen(due, &episode.end)) || found.settled.contains(&episode.end) {
            return true;
        }
        if policy.recovered {
            let window = WindowAlert { used: 0, resets_at: None, ..window.clone() };
            found.due.push(Due::new(episode.end, look.now, Alert::Recovered { window }));
        } else {
            found.settled.push(episode.end);
        }
        true
    });
}

/// The gate shows the fullest few of a rule for each of many. Where all of those are at a level there may be more, who
/// are told together, once.
fn crowds(policy: &Policy, known: &Known<'_>, look: &Look<'_>, found: &mut Found) {
    let mut crowds: BTreeMap<(Vec<Facet>, LimitKind, Day, u64), Vec<Level>> = BTreeMap::new();
    for window in watched(look).filter(|window| window.each) {
        let facets = window.label.0.iter().map(|(facet, _)| *facet).collect();
        let level = policy.thresholds.level(window.limit, window.used, window.max);
        crowds.entry((facets, window.limit, window.first_day, window.max)).or_default().push(level);
    }
    for ((facets, limit, window, max), levels) in crowds {
        let reached = |level: &Level| levels.iter().filter(|of| *of >= level).count();
        let Some(level) = Level::TOLD.into_iter().rev().find(|level| reached(level) >= FULLEST_SHOWN) else { continue };
        let label = Label(facets.into_iter().map(|facet| (facet, "*".into())).collect());
        let (day, max, subject) = (window.to_string(), max.to_string(), label.to_string());
        let id = |level: Level| known.id(&["many", &subject, limit.as_str(), &day, &max, level.as_str()]);
        if Level::TOLD.into_iter().filter(|other| *other >= level).any(|level| known.has(&id(level))) {
            continue;
        }
        let count = reached(&level) as u64;
        found.due.push(Due::new(id(level), look.now, Alert::Many { label, limit, window, level, count }));
    }
}

/// The name of the episode in which a window is at a high level.
fn alarm(label: &Label, limit: LimitKind) -> String {
    format!("alarm {label} {limit}")
}

/// The first day of the window before this one; `None` where there is none.
fn day_before(window: &Window) -> Option<Day> {
    use chrono::Datelike;
    let first = window.first_day;
    match window.limit.span() {
        Span::Day => Some(first.plus(-1)),
        Span::Week => Some(first.plus(-7)),
        Span::Month => first.plus(-1).date().with_day(1).map(Day::from_date),
        Span::Minute | Span::Prepaid => None,
    }
}

impl WindowAlert {
    /// The window as an alert tells it.
    pub fn of(window: &Window) -> WindowAlert {
        WindowAlert {
            label: window.label.clone(),
            limit: window.limit,
            window: window.first_day,
            used: window.used,
            max: window.max,
            resets_at: window.resets_at,
        }
    }
}
