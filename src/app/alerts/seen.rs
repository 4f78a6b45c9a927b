//! What there is to see, gathered once a second: cheap where nothing was used since.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::alerts::Look;
use crate::app::Desk;
use crate::limits::Window;
use crate::settings::Settings;
use crate::stats::{LargePrompt, Silence};
use crate::usage::{Day, Money, Now, Timestamp};

/// Windows are looked at when something was used or set since, and so often in any case: they also end.
const WINDOWS_SECS: u64 = 10;

/// So often what this hour cost is summed up.
const COSTS_SECS: u64 = 30;

/// What an hour costs usually is said by so many days before,
const USUAL_DAYS: i32 = 14;

/// and by no fewer than so many.
const USUAL_DAYS_MIN: usize = 3;

/// What was seen before.
pub(super) struct Seeing {
    minutes: u64,
    applied: Option<u64>,
    settings: Arc<Settings>,
    summed: Option<Summed>,
}

/// What an hour cost so far, and what it costs usually, once that is known.
#[derive(Clone, Copy)]
struct Summed {
    hour: (Day, u8),
    cost: Money,
    usual: Option<Money>,
}

impl Summed {
    /// Both, as long as it is the hour that runs: what the one before cost is no news of this one.
    fn at(&self, now: Timestamp) -> Option<(Money, Money)> {
        (self.hour == hour_of(now)).then_some((self.cost, self.usual?))
    }
}

/// What there is to see now.
pub(super) struct Seen {
    now: Timestamp,
    settings: Arc<Settings>,
    windows: Vec<Window>,
    calls: (u64, u64),
    providers: Vec<(String, Option<Silence>)>,
    /// Providers that do not answer.
    pub(super) silent: Vec<String>,
    unpriced: Vec<(String, String)>,
    hour: Option<(Money, Money)>,
    trouble: Option<String>,
    large: Vec<LargePrompt>,
}

impl Seen {
    pub(super) fn look(&self) -> Look<'_> {
        Look {
            now: self.now,
            settings: &self.settings,
            windows: &self.windows,
            failed: self.calls.0,
            calls: self.calls.1,
            providers: &self.providers,
            unpriced: &self.unpriced,
            hour: self.hour,
            trouble: self.trouble.as_deref(),
            large: &self.large,
        }
    }
}

impl Seeing {
    pub(super) fn new(minutes: u64) -> Seeing {
        Seeing { minutes, applied: None, settings: Arc::default(), summed: None }
    }

    pub(super) async fn see(&mut self, desk: &Arc<Desk>) -> Seen {
        let now = desk.clock.now();
        let metering = &desk.metering;
        let is_ours = |name: &str| desk.providers.iter().any(|provider| provider.name() == name);
        let (applied, calls, providers, unpriced, large) = metering.recent(|recent| {
            let providers = recent.providers().filter(|(name, _)| is_ours(name));
            let providers: Vec<_> = providers.map(|(name, silence)| (name.to_owned(), silence)).collect();
            let unpriced: Vec<_> = recent.unpriced().cloned().collect();
            (recent.applied(), recent.calls(self.minutes, now.at), providers, unpriced, recent.take_large())
        });
        for LargePrompt { id, model, tokens } in &large {
            tracing::info!(record = %id, model, tokens, "a large prompt");
        }
        // What is folded into settings that somebody still holds makes them anew.
        let before = std::mem::replace(&mut self.settings, metering.acts().settings);
        let is_new = self.applied.replace(applied) != Some(applied) || !Arc::ptr_eq(&before, &self.settings);
        let is_due = |every: u64| now.tick.second().is_multiple_of(every);
        if is_due(COSTS_SECS) {
            self.cost(desk, now).await;
        }
        let silent = providers.iter().filter(|(_, silence)| silence.is_some()).map(|(name, _)| name.clone()).collect();
        Seen {
            now: now.at,
            settings: Arc::clone(&self.settings),
            windows: if is_new || is_due(WINDOWS_SECS) { metering.windows(now) } else { Vec::new() },
            calls,
            providers,
            silent,
            unpriced,
            hour: self.summed.and_then(|summed| summed.at(now.at)),
            trouble: metering.health().trouble,
            large,
        }
    }

    /// What this hour cost, and once an hour what it costs usually: older days are read from the disk.
    async fn cost(&mut self, desk: &Arc<Desk>, now: Now) {
        let this = hour_of(now.at);
        let picture = desk.metering.picture();
        let known = self.summed.filter(|summed| summed.hour == this);
        let (users, begun) = (desk.metering.users(), desk.metering.acts().begun.day());
        let summed = spawn_blocking(move || {
            let mut costs = match known {
                Some(_) => BTreeMap::new(),
                None => users.hour_costs(this.0.plus(-USUAL_DAYS)).unwrap_or_default(),
            };
            costs.extend(picture.hour_costs());
            let usual = known.map_or_else(|| usual(&costs, this, begun), |known| known.usual);
            Summed { hour: this, cost: costs.get(&this).copied().unwrap_or_default(), usual }
        });
        let Ok(summed) = summed.await else { return };
        self.summed = Some(summed);
    }
}

fn hour_of(now: Timestamp) -> (Day, u8) {
    (now.day(), now.hour())
}

/// The median of what this hour of the day cost on the days before; `None` while the books are too young to say.
fn usual(costs: &BTreeMap<(Day, u8), Money>, (today, hour): (Day, u8), begun: Day) -> Option<Money> {
    let days = (1..=USUAL_DAYS).map(|back| today.plus(-back)).filter(|day| *day > begun);
    let mut costs: Vec<Money> = days.map(|day| costs.get(&(day, hour)).copied().unwrap_or_default()).collect();
    costs.sort_unstable();
    (costs.len() >= USUAL_DAYS_MIN).then(|| costs[costs.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_hour_cost_is_no_news_of_the_next_one() {
        let at = |text| Timestamp::parse(text).expect("a time");
        let hour = hour_of(at("2026-11-22T09:00:00-06:00"));
        let summed = Summed { hour, cost: Money::from_pico_usd(9), usual: Some(Money::from_pico_usd(2)) };
        let both = Some((Money::from_pico_usd(9), Money::from_pico_usd(2)));
        assert_eq!(summed.at(at("2026-11-22T09:59:59-06:00")), both);
        assert_eq!(summed.at(at("2026-11-22T10:00:00-06:00")), None);
        assert_eq!(summed.at(at("2026-11-23T09:00:00-06:00")), None);
        assert_eq!(Summed { usual: None, ..summed }.at(at("2026-11-22T09:30:00-06:00")), None);
    }

    #[test]
    fn the_usual_hour_is_the_median_of_its_days_and_young_books_do_not_know_it() {
        let cost = |pico| Money::from_pico_usd(pico);
        let costs: BTreeMap<(Day, u8), Money> =
            [(-1, 5), (-2, 900), (-3, 7), (-20, 1_000)].map(|(day, pico)| ((Day(100 + day), 9), cost(pico))).into();
        assert_eq!(usual(&costs, (Day(100), 9), Day(96)), Some(cost(7)));
        assert_eq!(usual(&costs, (Day(100), 9), Day(97)), None, "two whole days are too few");
        assert_eq!(usual(&costs, (Day(100), 10), Day(0)), Some(Money::ZERO));
    }
}
