//! What the owner configured, as the door needs it: limits as the gate's rules, providers as those who bill.

use std::collections::{HashMap, HashSet};

use chrono_tz::Tz;

use crate::config::{Config, LimitFor, Provider, Rates};
use crate::ledger::KnownNames;
use crate::limits::{Caps, Facet, LimitKind, Pick, Rule, Scope};
use crate::usage::names::{CHANNELS, REQUEST_TYPES};
use crate::usage::prices::PriceBook;
use crate::usage::{Dimension, SubjectId};

/// The rules of a configuration. A provider's day runs in its own zone (UTC where none is given), the owner's limits
/// in `zone`. `subject` gives the subject id of a channel and an identity, for persons such as `telegram:111`.
pub fn rules_of(config: &Config, zone: Tz, subject: impl Fn(&str, &str) -> SubjectId) -> Vec<Rule> {
    let of_providers = config.providers.iter().map(|provider| {
        let limits = &provider.limits;
        Rule::new(Scope::provider(&provider.name), caps(limits), limits.day_timezone.unwrap_or(Tz::UTC))
    });
    let of_owner = config.limits.iter().map(|limit| {
        let day_zone = limit.rates.day_timezone.unwrap_or(zone);
        Rule::new(scope(&limit.applies_to, &subject), caps(&limit.rates), day_zone)
    });
    of_providers.chain(of_owner).filter(|rule| !rule.caps.is_empty()).collect()
}

fn caps(rates: &Rates) -> Caps {
    let given = [
        (LimitKind::RequestsPerMinute, rates.requests_per_minute),
        (LimitKind::RequestsPerDay, rates.requests_per_day),
        (LimitKind::TokensPerMinute, rates.tokens_per_minute),
        (LimitKind::TokensPerDay, rates.tokens_per_day),
    ];
    Caps::of(given.into_iter().filter_map(|(kind, max)| Some((kind, max?))))
}

fn scope(of: &LimitFor, subject: &impl Fn(&str, &str) -> SubjectId) -> Scope {
    let user = of.user.as_ref().map(|user| match user.split_once(':') {
        Some((channel, identity)) => subject(channel, identity).to_string(),
        None => user.clone(),
    });
    let picks = [
        (Facet::Provider, &of.provider),
        (Facet::Model, &of.model),
        (Facet::User, &user),
        (Facet::Team, &of.team),
        (Facet::Feature, &of.feature),
        (Facet::Key, &of.key),
        (Facet::Channel, &of.channel),
    ];
    picks.into_iter().fold(Scope::everything(), |scope, (facet, value)| match value {
        Some(value) => scope.with(facet, Pick::parse(value)),
        None => scope,
    })
}

/// By whose prices each provider bills: as the owner says, else by the host it is at. Others are not in it.
pub fn vendors_of(config: &Config, prices: &PriceBook) -> HashMap<String, String> {
    let by_host = |url: &str| {
        let host = url.parse::<http::Uri>().ok()?.host()?.to_owned();
        prices.vendor_of_host(&host).map(str::to_owned)
    };
    let vendor_of = |provider: &Provider| {
        let vendor = provider.price_vendor.clone().or_else(|| by_host(&provider.url))?;
        Some((provider.name.clone(), vendor))
    };
    config.providers.iter().filter_map(vendor_of).collect()
}

/// The names that always have a row of their own: configured ones, the vocabulary, and the models of the price book.
pub fn known_names_of(config: &Config, prices: &PriceBook) -> KnownNames {
    let providers: HashSet<String> = config.providers.iter().map(|provider| provider.name.clone()).collect();
    let models = config.providers.iter().flat_map(|provider| [Some(&provider.model), provider.vision_model.as_ref()]);
    let models: HashSet<String> = models.flatten().cloned().collect();
    let groups = config.telegram.iter().flat_map(|telegram| &telegram.groups);
    let teams: HashSet<String> = groups.filter_map(|group| group.team.clone()).collect();
    let prices = prices.clone();
    KnownNames::new(move |dimension, name| match dimension {
        Dimension::Provider => providers.contains(name),
        Dimension::Model => models.contains(name) || prices.knows(name),
        Dimension::RequestType => REQUEST_TYPES.contains(&name),
        Dimension::Channel => CHANNELS.contains(&name),
        Dimension::Team => teams.contains(name),
        // Price ids come from the price book alone; the cap is for names that others choose.
        Dimension::Price => true,
        _ => false,
    })
}
