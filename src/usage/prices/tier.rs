//! Service tiers: which one a provider says it served, and what a tier without rows of its own costs.

use serde::{Deserialize, Deserializer, Serialize};

use super::price::parse_micros;
use super::row::read_instant;
use crate::usage::Timestamp;

/// How fast and how surely a call is served, as far as it changes the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// What is served when nothing is said.
    Standard,
    /// Collected and answered within a day.
    Batch,
    /// Served when there is room.
    Flex,
    /// Served first; OpenAI calls it `priority` or `fast`.
    #[serde(alias = "priority")]
    Fast,
    /// Served on the fastest machines.
    Ultrafast,
}

impl Tier {
    /// The tier a provider names in its answer; none named is standard.
    ///
    /// `None` for a name whose price is not known: OpenAI's `scale` and Anthropic's `priority` are contracts of their
    /// own (Anthropic's priced tier is `fast`).
    pub fn served(name: Option<&str>, vendor: Option<&str>) -> Option<Tier> {
        const NAMES: [(&str, Tier); 11] = [
            ("standard", Tier::Standard),
            ("default", Tier::Standard),
            ("auto", Tier::Standard),
            ("on_demand", Tier::Standard),
            ("", Tier::Standard),
            ("batch", Tier::Batch),
            ("batches", Tier::Batch),
            ("flex", Tier::Flex),
            ("priority", Tier::Fast),
            ("fast", Tier::Fast),
            ("ultrafast", Tier::Ultrafast),
        ];
        let name = name.unwrap_or_default().trim();
        if vendor == Some("anthropic") && name.eq_ignore_ascii_case("priority") {
            return None;
        }
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, tier)| *tier)
    }

    /// The name in price ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Standard => "standard",
            Tier::Batch => "batch",
            Tier::Flex => "flex",
            Tier::Fast => "fast",
            Tier::Ultrafast => "ultrafast",
        }
    }
}

/// What a vendor's tier costs as a multiple of its standard price, where the tier has no row of its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Multiple {
    /// Whose rule it is.
    pub vendor: String,
    /// The tier it prices.
    pub tier: Tier,
    /// The only model it holds for; all of the vendor's when not given.
    #[serde(default)]
    pub model: Option<String>,
    /// The first moment it holds.
    #[serde(default, deserialize_with = "read_instant")]
    pub from: Option<Timestamp>,
    /// The first moment it no longer holds.
    #[serde(default, deserialize_with = "read_instant")]
    pub until: Option<Timestamp>,
    /// The multiple, in millionths.
    #[serde(rename = "times", deserialize_with = "read_times")]
    pub times_micros: u64,
}

impl Multiple {
    /// Whether the rule prices this tier of this vendor's model at this moment.
    pub(super) fn holds(&self, vendor: &str, model: &str, tier: Tier, at: Timestamp) -> bool {
        self.tier == tier
            && self.vendor == vendor
            && self.model.as_deref().is_none_or(|only| only == model)
            && self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
    }
}

fn read_times<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_micros(&text).ok_or_else(|| serde::de::Error::custom("expected a multiple in quotes, for example `\"0.5\"`"))
}
