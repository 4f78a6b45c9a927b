//! What a record costs: by its source if that says, else by the price book.

use std::collections::HashMap;

use crate::usage::prices::{PriceBook, PriceQuery};
use crate::usage::{Money, Status, UsageRecord, UsageSource};

/// The prices, and who bills by which.
pub struct Pricing {
    /// The prices.
    pub prices: PriceBook,
    /// By whose prices a provider bills, for those where that is known.
    pub vendors: HashMap<String, String>,
}

impl Pricing {
    /// Gives a record its cost, unless its source gave one.
    pub fn price(&self, record: &mut UsageRecord<'_>) {
        if record.cost.is_some() {
            record.price_id.get_or_insert("given".into());
            return;
        }
        let says_nothing = record.tokens.total() == 0 && record.usage_source == UsageSource::None;
        if says_nothing && record.status == Status::Ok && !record.local {
            return; // it answered, so it used something, and nobody knows how much
        }
        let priced = self.prices.price(&PriceQuery {
            vendor: self.vendors.get(record.provider.as_str()).map(String::as_str),
            model: &record.model,
            service_tier: record.service_tier.as_deref(),
            at: record.timestamp,
            local: record.local,
            tokens: &record.tokens,
        });
        if let Some(priced) = priced {
            record.cost = Some(priced.cost);
            record.price_id = Some(priced.price_id);
        } else if says_nothing {
            record.cost = Some(Money::ZERO);
        }
    }
}
