//! One look after the other: what is worth telling now, given what was told before.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::levels::{self, Alarmed};
use super::memory::{Episode, Known};
use super::notice::{Alert, Notice};
use super::policy::Policy;
use crate::limits::Window;
use crate::settings::Settings;
use crate::stats::{LargePrompt, Silence};
use crate::usage::{Money, Timestamp};

/// Beyond the time after which a provider counts as down, what an earlier process was about to tell may still turn up
/// as the same for so long; then it is told that it is not known any more.
const LEFT_OVER_SECS: u64 = 60;

/// Models without a price that are told one by one at once.
const MAX_UNPRICED: usize = 5;

/// A large prompt is told so often at most.
const LARGE_EVERY_SECS: u64 = 60;

/// What there is to see at one moment.
#[derive(Clone, Debug)]
pub struct Look<'a> {
    /// The moment, in the owner's zone.
    pub now: Timestamp,
    /// What was set, the alerts told before among it.
    pub settings: &'a Settings,
    /// What the gate shows.
    pub windows: &'a [Window],
    /// Calls of the last minutes ([`Policy::error_rate_minutes`]) that ended ok or failed.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Of each configured provider that was asked: whether it is silent now, and since when.
    pub providers: &'a [(String, Option<Silence>)],
    /// Providers and models used without a known price.
    pub unpriced: &'a [(String, String)],
    /// What this hour cost so far, and what this hour of the day costs otherwise, once that is known.
    pub hour: Option<(Money, Money)>,
    /// Why the books cannot be written.
    pub trouble: Option<&'a str>,
    /// Large prompts since the last look.
    pub large: &'a [LargePrompt],
}

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// To tell.
    pub due: Vec<Due>,
    /// Ids that count as told from now on, without anybody being told.
    pub settled: Vec<String>,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// What.
    pub notice: Notice,
    /// Ids that count as told with it.
    pub with: Vec<String>,
    /// Whether it is told without being noted as told: the books themselves are the news, or there are many of its kind.
    pub unwritten: bool,
}

impl Due {
    pub(super) fn new(id: String, at: Timestamp, alert: Alert) -> Due {
        Due { notice: Notice { id, at, alert }, with: Vec::new(), unwritten: false }
    }
}

/// Whoever looks. What it told lasts in the owner's acts; lost with the process is only what those cannot hold.
#[derive(Debug)]
pub struct Watch {
    lineage: Uuid,
    policy: Policy,
    began: Option<Timestamp>,
    /// Told by this process and not confirmed yet.
    told: BTreeSet<String>,
    /// Windows of which a high level was told by this process.
    alarmed: BTreeMap<String, Alarmed>,
    /// Since when providers are silent that were told to be.
    silent: BTreeMap<String, Timestamp>,
    /// The id of the trouble with the books that was told.
    trouble: Option<String>,
    /// When a large prompt was told last.
    large: Option<Timestamp>,
}

impl Watch {
    /// Of the books with this identity.
    pub fn new(lineage: Uuid, policy: Policy) -> Watch {
        let (told, alarmed, silent) = Default::default();
        Watch { lineage, policy, began: None, told, alarmed, silent, trouble: None, large: None }
    }

    /// Looks. What is found is not found again, unless it is [given back](Watch::give_back).
    pub fn look(&mut self, look: &Look<'_>) -> Found {
        self.began.get_or_insert(look.now);
        self.told.retain(|id| look.settings.alert(id) != Some(crate::settings::AlertState::Fired));
        let told = std::mem::take(&mut self.told);
        let known = Known { lineage: self.lineage, settings: look.settings, told: &told };
        let mut found = Found::default();
        levels::look(&self.policy, &known, look, &mut self.alarmed, &mut found);
        self.error_rate(&known, look, &mut found);
        self.providers(&known, look, &mut found);
        self.prices(&known, look, &mut found);
        self.costs(&known, look, &mut found);
        self.large(look, &mut found);
        self.left_over(&known, look, &mut found);
        self.books(look, &mut found);
        self.told = told;
        self.told.extend(found.due.iter().filter(|due| !due.unwritten).map(|due| due.notice.id.clone()));
        found
    }

    /// Whether it was told that a provider does not answer, and not that it does again.
    pub fn is_down(&self, provider: &str, settings: &Settings, now: Timestamp) -> bool {
        outage(&Known { lineage: self.lineage, settings, told: &self.told }, provider, now).is_some()
    }

    /// What was found could not be told: the next look finds it again.
    pub fn give_back(&mut self, id: &str) {
        self.told.remove(id);
    }

    /// The end of an episode: told, or where nobody wants to hear of ends, only noted.
    fn end(&self, found: &mut Found, id: String, at: Timestamp, alert: Alert) {
        match self.policy.recovered {
            true => found.due.push(Due::new(id, at, alert)),
            false => found.settled.push(id),
        }
    }

    /// Told above the rate, over at half of it: a rate that swings about its threshold is one episode.
    fn error_rate(&self, known: &Known<'_>, look: &Look<'_>, found: &mut Found) {
        const NAME: &str = "error_rate";
        let (failed, total) = (look.failed, look.calls);
        let today = look.now.day();
        let open = known.open_lately(NAME, today);
        let allowed = u128::from(total) * u128::from(self.policy.error_rate_percent);
        let is_high = self.policy.error_rate_percent > 0
            && total >= self.policy.error_rate_min_calls
            && u128::from(failed) * 100 > allowed;
        let is_low = total > 0 && u128::from(failed) * 200 <= allowed;
        match open {
            Some(episode) if is_low => self.end(found, episode.end, look.now, Alert::ErrorRateBack),
            None if is_high => {
                let minutes = self.policy.error_rate_minutes;
                let alert = Alert::ErrorRate { failed, total, minutes };
                found.due.extend(known.next(NAME, today).map(|episode| Due::new(episode.begin, look.now, alert)));
            }
            _ => {}
        }
    }

    fn providers(&mut self, known: &Known<'_>, look: &Look<'_>, found: &mut Found) {
        let (today, patience) = (look.now.day(), self.policy.provider_down_secs);
        let is_down = |silence: &Silence| patience > 0 && look.now.seconds_since(silence.since) >= patience;
        for (provider, silence) in look.providers {
            match (outage(known, provider, look.now), silence) {
                (Some(episode), None) => {
                    let since = self.silent.get(provider).copied().or(self.began).unwrap_or(look.now);
                    let alert =
                        Alert::ProviderBack { provider: provider.clone(), seconds: look.now.seconds_since(since) };
                    self.end(found, episode.end, look.now, alert);
                }
                (Some(_), Some(silence)) => {
                    self.silent.entry(provider.clone()).or_insert(silence.since);
                }
                (None, Some(silence)) if is_down(silence) => {
                    let Some(episode) = known.next(&outage_of(provider), today) else { continue };
                    let (provider, kind, since) = (provider.clone(), silence.kind, silence.since);
                    self.silent.insert(provider.clone(), since);
                    let alert = Alert::ProviderDown { provider, kind, since };
                    found.due.push(Due::new(episode.begin, look.now, alert));
                }
                (None, None) => drop(self.silent.remove(provider)),
                (None, Some(_)) => {}
            }
        }
    }

    /// One by one up to a few; the last of those tells of the rest.
    fn prices(&self, known: &Known<'_>, look: &Look<'_>, found: &mut Found) {
        let id = |(provider, model): &(String, String)| known.id(&["unknown_price", provider, model]);
        let models = look.unpriced.iter().map(|model| (id(model), model)).filter(|(id, _)| !known.has(id));
        let mut models: Vec<_> = models.collect();
        let rest = models.split_off(models.len().min(MAX_UNPRICED));
        for (id, (provider, model)) in models {
            let alert = Alert::UnknownPrice { provider: provider.clone(), model: model.clone(), others: 0 };
            found.due.push(Due::new(id, look.now, alert));
        }
        let last = found.due.last_mut().filter(|_| !rest.is_empty());
        if let Some(Due { notice: Notice { alert: Alert::UnknownPrice { others, .. }, .. }, with, .. }) = last {
            *others = rest.len() as u64;
            with.extend(rest.into_iter().map(|(id, _)| id));
        }
    }

    fn costs(&self, known: &Known<'_>, look: &Look<'_>, found: &mut Found) {
        let Some((hour, usual)) = look.hour else { return };
        let many_times = usual.pico_usd().saturating_mul(i128::from(self.policy.cost_spike_factor));
        if self.policy.cost_spike_factor > 0 && hour > self.policy.cost_spike_min && hour.pico_usd() > many_times {
            let (day, at) = (look.now.day().to_string(), look.now.hour().to_string());
            let id = known.id(&["cost_spike", &day, &at]);
            if !known.has(&id) {
                found.due.push(Due::new(id, look.now, Alert::CostSpike { hour, usual }));
            }
        }
    }

    /// The largest since the last look, one a minute at most; each is in the log. They are not noted as told: with the
    /// acts of so many, those of alerts that are told once for all time would be forgotten.
    fn large(&mut self, look: &Look<'_>, found: &mut Found) {
        let is_quiet = |told: Timestamp| look.now.seconds_since(told) < LARGE_EVERY_SECS;
        if !self.policy.large_prompts_to_chat || self.large.is_some_and(is_quiet) {
            return;
        }
        let Some(LargePrompt { id, model, tokens }) = look.large.iter().max_by_key(|prompt| prompt.tokens) else {
            return;
        };
        self.large = Some(look.now);
        let id = super::memory::id_of(self.lineage, &["large_prompt", &id.to_string()]);
        let alert = Alert::LargePrompt { model: model.clone(), tokens: *tokens };
        found.due.push(Due { unwritten: true, ..Due::new(id, look.now, alert) });
    }

    /// That the books cannot be written cannot be written into them: what was told of it lasts as long as the process.
    fn books(&mut self, look: &Look<'_>, found: &mut Found) {
        let at = look.now.unix_micros().to_string();
        let id = |what: &str, since: &str| super::memory::id_of(self.lineage, &["books", since, what]);
        let unwritten = |id, alert| Due { unwritten: true, ..Due::new(id, look.now, alert) };
        match (look.trouble, self.trouble.take()) {
            (Some(trouble), None) => {
                found.due.push(unwritten(id("begin", &at), Alert::LedgerDown { trouble: trouble.to_owned() }));
                self.trouble = Some(at);
            }
            (None, Some(since)) if self.policy.recovered => {
                found.due.push(unwritten(id("end", &since), Alert::LedgerBack));
            }
            (None, _) => {}
            (Some(_), since) => self.trouble = since,
        }
    }

    /// What an earlier process was about to tell and nothing brings about any more.
    fn left_over(&self, known: &Known<'_>, look: &Look<'_>, found: &mut Found) {
        let patience = self.policy.provider_down_secs + LEFT_OVER_SECS;
        if self.began.is_none_or(|began| look.now.seconds_since(began) < patience) {
            return;
        }
        let left: Vec<&str> = look.settings.firing().filter(|id| known.is_left_over(id)).collect();
        for id in left {
            if !found.settled.iter().any(|settled| settled == id) && !found.due.iter().any(|due| due.notice.id == id) {
                found.due.push(Due::new(id.to_owned(), look.now, Alert::Forgotten));
            }
        }
    }
}

fn outage_of(provider: &str) -> String {
    format!("provider {provider}")
}

/// The outage of a provider that was told and is not over.
fn outage(known: &Known<'_>, provider: &str, now: Timestamp) -> Option<Episode> {
    known.open_lately(&outage_of(provider), now.day())
}

#[cfg(test)]
mod tests;
