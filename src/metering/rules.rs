//! What the owner configured, as the door needs it: limits as the gate's rules, providers as those who bill.

use std::collections::{HashMap, HashSet};

use crate::config::{self, Allowance, Budget, Config, LimitFor, Per, Provider, Rates};
use crate::ledger::KnownNames;
use crate::limits::{AtLimit, Cap, Caps, Facet, LimitKind, Measure, Pick, Rule, Rulebook, Scope, Span};
use crate::usage::names::{CHANNELS, OWNER, REQUEST_TYPES};
use crate::usage::prices::PriceBook;
use crate::usage::{Dimension, SubjectId, Zone};

/// The rules of a configuration. A provider's day runs in its own zone (UTC where none is given), the owner's limits and
/// budgets in `zone`. `subject` gives the subject id of a channel and an identity, for persons such as `telegram:111`.
pub fn rules_of(config: &Config, zone: Zone, subject: impl Fn(&str, &str) -> SubjectId) -> Rulebook {
    let of_providers = config.providers.iter().map(|provider| {
        let limits = &provider.limits;
        of_rates(Scope::provider(&provider.name), limits, limits.day_timezone.unwrap_or(Zone::UTC))
    });
    let of_owner = config.limits.iter().map(|limit| {
        let day_zone = limit.rates.day_timezone.unwrap_or(zone);
        of_rates(scope(&limit.applies_to, &subject), &limit.rates, day_zone)
    });
    let budgets = config.budgets.iter().map(|budget| of_budget(scope(&budget.applies_to, &subject), budget, zone));
    let rules = of_providers.chain(of_owner).chain(budgets).filter(|rule| !rule.caps.is_empty()).collect();
    let telegram = config.telegram.iter().flat_map(|telegram| telegram.users.iter().chain(&telegram.admins));
    let listed = telegram.map(|id| subject("telegram", &id.to_string()));
    // Whoever sits at the terminal of the machine is no guest.
    let people = listed.chain([subject("terminal", OWNER)]).map(|id| id.to_string().into()).collect();
    Rulebook { rules, zone, people, unpriced: config.unknown_price }
}

fn of_rates(scope: Scope, rates: &Rates, day_zone: Zone) -> Rule {
    let caps = caps([
        (LimitKind::RequestsPerMinute, rates.requests_per_minute),
        (LimitKind::RequestsPerDay, rates.requests_per_day),
        (LimitKind::TokensPerMinute, rates.tokens_per_minute),
        (LimitKind::TokensPerDay, rates.tokens_per_day),
    ]);
    Rule { at_limit: rates.at_limit.as_ref().map(at_limit), ..Rule::new(scope, caps, day_zone) }
}

fn of_budget(scope: Scope, budget: &Budget, zone: Zone) -> Rule {
    let span = match budget.per {
        Per::Day => Span::Day,
        Per::Week => Span::Week,
        Per::Month => Span::Month,
        Per::Prepaid => Span::Prepaid,
    };
    let amounts =
        [(Measure::Requests, budget.requests), (Measure::Tokens, budget.tokens), (Measure::Money, budget.usd)];
    let of_kinds = amounts.map(|(measure, amount)| {
        (LimitKind::of(measure, span).expect("each measure has a kind for each time of a budget"), amount)
    });
    let at_limit = budget.at_limit.as_ref().map(at_limit);
    Rule { since: budget.since, at_limit, budget: true, ..Rule::new(scope, caps(of_kinds), zone) }
}

fn caps(given: impl IntoIterator<Item = (LimitKind, Option<Allowance>)>) -> Caps {
    given.into_iter().fold(Caps::default(), |caps, (kind, allowance)| {
        let cap = allowance.map(|allowance| match allowance {
            Allowance::Unlimited => Cap::Unlimited,
            Allowance::AtMost(max) => Cap::At(max),
        });
        caps.with(kind, cap)
    })
}

fn at_limit(configured: &config::AtLimit) -> AtLimit {
    match configured {
        config::AtLimit::Wait => AtLimit::Wait,
        config::AtLimit::Refuse => AtLimit::Refuse,
        config::AtLimit::Fallback(name) => AtLimit::Fallback(name.as_deref().map(Box::from)),
    }
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
        Some(value) => scope.with(facet, Pick::of(facet, value)),
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
        let by_kind = || provider.kind.vendor().map(str::to_owned);
        let vendor = provider.price_vendor.clone().or_else(|| by_host(&provider.url)).or_else(by_kind)?;
        Some((provider.name.clone(), vendor))
    };
    config.providers.iter().filter_map(vendor_of).collect()
}

/// The names that always have a row of their own: configured ones, the vocabulary, and the models of the price book.
pub fn known_names_of(config: &Config, prices: &PriceBook) -> KnownNames {
    let providers: HashSet<String> = config.providers.iter().map(|provider| provider.name.clone()).collect();
    let models = config.providers.iter().flat_map(|provider| [Some(&provider.model), provider.vision_model.as_ref()]);
    let groups = config.telegram.iter().flat_map(|telegram| &telegram.groups);
    let teams = groups.filter_map(|group| group.team.clone());
    let limited = config.limits.iter().map(|limit| &limit.applies_to);
    let limited: Vec<&LimitFor> = limited.chain(config.budgets.iter().map(|budget| &budget.applies_to)).collect();
    let of_limits = |name: fn(&LimitFor) -> &Option<String>| limited.iter().filter_map(move |of| name(of).clone());
    let teams: HashSet<String> = teams.chain(of_limits(|of| &of.team)).collect();
    let features: HashSet<String> = of_limits(|of| &of.feature).collect();
    let models: HashSet<String> = models.flatten().cloned().chain(of_limits(|of| &of.model)).collect();
    let prices = prices.clone();
    KnownNames::new(move |dimension, name| match dimension {
        Dimension::Provider => providers.contains(name),
        Dimension::Model => models.contains(name) || prices.knows(name),
        Dimension::RequestType => REQUEST_TYPES.contains(&name),
        Dimension::Channel => CHANNELS.contains(&name),
        Dimension::Team => teams.contains(name),
        Dimension::Feature => features.contains(name),
        // Price ids come from the price book alone; the cap is for names that others choose.
        Dimension::Price => true,
        _ => false,
    })
}
