//! Whether every model that is configured, or was ever called, has a price; and which prices will not last.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::config::{Config, Provider};
use crate::limits::{Measure, reaches_a_provider};
use crate::metering::{self, rules_of, vendors_of};
use crate::usage::names::FREE_PRICE;
use crate::usage::prices::{PriceBook, PriceEntry, PriceQuery, PriceRow, PriceStatus};
use crate::usage::{Clock, Day, SubjectId, TokenCounts, Zone};

/// So many days before a model or a price ends, it is said.
const SOON_DAYS: i32 = 60;

/// Every model, and whether it has a price.
#[derive(Clone, Debug, Serialize)]
pub struct PriceCheck {
    /// The models: configured ones, then those that were called otherwise.
    pub models: Vec<CheckedModel>,
    /// Whether there is a limit in money, in which a model without a price counts by the owner's `[unknown_price]`.
    pub money_is_limited: bool,
}

/// A model of a provider.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedModel {
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Whether it stands in the configuration.
    pub configured: bool,
    /// Whether it has a price.
    pub state: PriceState,
    /// The row that prices it now.
    pub price_id: Option<String>,
    /// How often it was called.
    pub calls: i64,
    /// How many of those calls have no known cost, for want of a price or of counts.
    pub calls_without_cost: i64,
    /// What to know, or to do.
    pub advice: Vec<String>,
}

/// Whether calls of a model have a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceState {
    /// A row prices it.
    Priced,
    /// It runs on the owner's machine.
    Local,
    /// No row prices it: its calls are recorded without a cost.
    Unknown,
}

impl PriceState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            PriceState::Priced => "priced",
            PriceState::Local => "local",
            PriceState::Unknown => "unknown",
        }
    }
}

impl PriceCheck {
    /// Whether every model is priced or local.
    pub fn is_whole(&self) -> bool {
        self.models.iter().all(|model| model.state != PriceState::Unknown)
    }
}

/// Checks every configured model and every model in the books of a folder. `is_local` says which configured ones run on
/// the owner's machine.
///
/// # Errors
/// When the books cannot be read.
pub fn check(
    config: &Config,
    folder: &Path,
    book: &PriceBook,
    is_local: impl Fn(&Provider, &str) -> bool,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<PriceCheck> {
    let mut models: BTreeMap<(bool, String, String, bool), Calls> = BTreeMap::new();
    let mut configured = Vec::new();
    for provider in &config.providers {
        for model in std::iter::once(&provider.model).chain(&provider.vision_model).filter(|model| !model.is_empty()) {
            configured.push((provider.name.clone(), model.clone()));
            models.entry((false, provider.name.clone(), model.clone(), is_local(provider, model))).or_default();
        }
    }
    let picture = metering::look(folder, Vec::new(), Vec::new(), clock)?.reading.picture;
    let all = picture.all_time();
    let is_paid = |price| all.text(price) != FREE_PRICE;
    for (key, sums) in all.rows().filter(|(key, _)| reaches_a_provider(key.status) && is_paid(key.price)) {
        let (provider, model) = (all.text(key.provider).to_owned(), all.text(key.model).to_owned());
        let is_extra = !configured.contains(&(provider.clone(), model.clone()));
        let row = models.entry((is_extra, provider, model, key.local)).or_default();
        row.all += sums.records;
        row.without_cost += sums.unpriced;
        row.priced_by.insert(row_of(all.text(key.price)).to_owned());
    }
    let look = Look { config, book, vendors: vendors_of(config, book), now: clock.now().at };
    let models = models.into_iter().filter(|((is_extra, ..), calls)| !is_extra || calls.all != 0);
    let models =
        models.map(|((is_extra, provider, model, local), calls)| look.model(!is_extra, provider, model, local, calls));
    Ok(PriceCheck { models: models.collect(), money_is_limited: money_is_limited(config) })
}

/// The calls of a model that are in the books.
#[derive(Default)]
struct Calls {
    all: i64,
    without_cost: i64,
    /// The rows that priced them, whatever their versions.
    priced_by: BTreeSet<String>,
}

/// A price id without its version and its tier.
fn row_of(price_id: &str) -> &str {
    price_id.rsplit_once(['@', '#']).map_or(price_id, |(row, _)| row)
}

fn money_is_limited(config: &Config) -> bool {
    let rules = rules_of(config, Zone::UTC, |channel, identity| SubjectId::of(&[], channel, identity));
    rules.rules.iter().any(|rule| rule.caps.set().any(|(kind, _)| kind.measure() == Measure::Money))
}

/// What a model is looked up with.
struct Look<'a> {
    config: &'a Config,
    book: &'a PriceBook,
    vendors: std::collections::HashMap<String, String>,
    now: crate::usage::Timestamp,
}

impl Look<'_> {
    fn model(&self, configured: bool, provider: String, model: String, local: bool, calls: Calls) -> CheckedModel {
        let vendor = self.vendors.get(&provider).map(String::as_str);
        let tokens = TokenCounts { prompt: 1, ..TokenCounts::default() };
        let query =
            PriceQuery { vendor, model: &model, service_tier: None, at: self.now, local: false, tokens: &tokens };
        let by_name = || self.book.winner(&query).map(|(entry, _)| entry);
        let winner = if local { None } else { by_name().or_else(|| self.asked_for(configured, &calls)) };
        let (state, advice) = match &winner {
            _ if local => (PriceState::Local, Vec::new()),
            Some(entry) => (PriceState::Priced, self.ends(entry.row)),
            None => (PriceState::Unknown, vec![self.remedy(&provider, &model, vendor)]),
        };
        CheckedModel {
            configured,
            state,
            price_id: winner.map(|entry| entry.price_id.to_owned()),
            calls: calls.all,
            calls_without_cost: calls.without_cost,
            advice,
            provider,
            model,
        }
    }

    /// The row that prices calls which were answered under a name without a price: that of the model they asked for.
    fn asked_for(&self, configured: bool, calls: &Calls) -> Option<PriceEntry<'_>> {
        let rows = Some(&calls.priced_by).filter(|_| !configured && calls.without_cost == 0)?;
        self.book.entries().find(|entry| rows.contains(row_of(entry.price_id)))
    }

    /// What does not last of a row that prices now.
    fn ends(&self, row: &PriceRow) -> Vec<String> {
        let today = self.now.with_offset(0).day();
        let soon = |day: Day| day <= today.plus(SOON_DAYS);
        let mut ends = Vec::new();
        match row.off {
            Some(off) if off <= today => {
                ends.push(format!("the vendor stopped serving it on {off}: choose another model"))
            }
            Some(off) if soon(off) => ends.push(format!("the vendor stops serving it on {off}: choose another model")),
            _ if row.status == PriceStatus::Retired => ends.push("the vendor no longer serves it".to_owned()),
            _ => {}
        }
        if let Some(until) = row.until.map(|until| until.with_offset(0).day()).filter(|until| soon(*until)) {
            ends.push(format!("this price holds until {until}; see tallybot prices show {}", row.model));
        }
        if row.status == PriceStatus::Estimate {
            ends.push("the vendor has not confirmed this price".to_owned());
        }
        ends
    }

    /// What to do about a model without a price.
    fn remedy(&self, provider: &str, model: &str, vendor: Option<&str>) -> String {
        let rows = self.book.rows_of(None, model);
        let mut vendors: Vec<&str> = rows.iter().filter_map(|entry| entry.row.vendor.as_deref()).collect();
        vendors.sort_unstable();
        vendors.dedup();
        let is_configured = self.config.providers.iter().any(|configured| configured.name == provider);
        match (vendors.first(), vendor) {
            (Some(first), None) if is_configured => format!(
                "{} have prices of it: say whose hold with price_vendor = \"{first}\" at the provider `{provider}`",
                vendors.join(", ")
            ),
            (Some(first), None) => format!("{} have prices of it: name it `{first}/{model}`", vendors.join(", ")),
            _ => "give it a price under [[prices]], or take one with tallybot prices import".to_owned(),
        }
    }
}
