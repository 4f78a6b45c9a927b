//! What a record costs: by its source if that says, else by the price book.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use foldhash::fast::RandomState;

use super::Call;
use crate::usage::prices::{PriceBook, PriceQuery};
use crate::usage::{Money, Timestamp, TokenCounts, UsageRecord, UsageSource};

/// The prices, and who bills by which. The book can be replaced while calls are priced; what was recorded stays.
pub struct Pricing {
    prices: RwLock<PriceBook>,
    vendors: HashMap<String, String, RandomState>,
}

impl Pricing {
    /// Prices by a book. `vendors`: by whose prices a provider bills, for those where that is known.
    pub fn new(prices: PriceBook, vendors: HashMap<String, String>) -> Pricing {
        Pricing { prices: RwLock::new(prices), vendors: vendors.into_iter().collect() }
    }

    /// From now on calls are priced by this book.
    pub fn replace(&self, prices: PriceBook) {
        *self.prices.write().unwrap_or_else(PoisonError::into_inner) = prices;
    }

    /// What a call with so much output would cost at most, for what is held back from a budget before it is made: see
    /// [`PriceBook::upper_bound`]. A model without a price counts by the owner's `[unknown_price]`; a local one is free.
    pub fn upper_bound(&self, call: &Call, output_tokens: u64, at: Timestamp) -> Money {
        let tokens = TokenCounts { prompt: call.prompt_tokens, completion: output_tokens, ..TokenCounts::default() };
        let query = PriceQuery {
            vendor: self.vendors.get(call.provider.as_str()).map(String::as_str),
            model: &call.model,
            service_tier: call.service_tier.as_deref(),
            at,
            local: call.local,
            tokens: &tokens,
        };
        self.prices.read().unwrap_or_else(PoisonError::into_inner).upper_bound(&query)
    }

    /// Gives a record its cost, unless its source gave one: by the model that served it, or, where that has no price, by
    /// the one that was asked for, which a server may know under a name of its own.
    pub fn price(&self, record: &mut UsageRecord<'_>) {
        if record.cost.is_some() {
            record.price_id.get_or_insert("given".into());
            return;
        }
        let says_nothing = record.tokens.total() == 0 && record.usage_source == UsageSource::None;
        if says_nothing && record.status.may_be_billed() && !record.local {
            return; // it answered, or may have, so it used something, and nobody knows how much
        }
        let prices = self.prices.read().unwrap_or_else(PoisonError::into_inner);
        let by_name = |model: &str| {
            prices.price(&PriceQuery {
                vendor: self.vendors.get(record.provider.as_str()).map(String::as_str),
                model,
                service_tier: record.service_tier.as_deref(),
                at: record.timestamp,
                local: record.local,
                tokens: &record.tokens,
            })
        };
        let asked_for = || by_name(record.requested_model.as_deref()?);
        if let Some(priced) = by_name(&record.model).or_else(asked_for) {
            record.cost = Some(priced.cost);
            record.price_id = Some(priced.price_id);
        } else if says_nothing {
            record.cost = Some(Money::ZERO);
        }
    }
}
