//! Opening balances: what was counted elsewhere, as totals whose calls are not here.

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::names::Name;
use super::{Dimension, Money, Timestamp};

/// The act that took an opening balance over first, in whichever books that was. It stays the same wherever the act is
/// copied to, and tells it from every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Those books' identity.
    pub lineage: Uuid,
    /// The number of the act among theirs.
    pub act: u64,
}

/// A total of some calls to one model that were counted elsewhere.
///
/// Counts are signed: where a total is corrected or its calls arrive after all, a difference takes back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// Whose total it is: a file or a program, in words that tell it from all others.
    #[serde(deserialize_with = "owned")]
    pub source: Name<'static>,
    /// When it counts: its first ten characters are the billing day.
    pub at: Timestamp,
    /// The API spoken.
    #[serde(deserialize_with = "owned")]
    pub api_type: Name<'static>,
    /// The provider.
    #[serde(deserialize_with = "owned")]
    pub provider: Name<'static>,
    /// The model.
    #[serde(deserialize_with = "owned")]
    pub model: Name<'static>,
    /// What the calls were for.
    #[serde(deserialize_with = "owned")]
    pub request_type: Name<'static>,
    /// Whether the model ran on the owner's machine.
    #[serde(default)]
    pub local: bool,
    /// Calls that were answered.
    #[serde(default)]
    pub ok: i64,
    /// Calls that failed.
    #[serde(default)]
    pub failed: i64,
    /// Input tokens of all of them.
    #[serde(default)]
    pub prompt: i64,
    /// Output tokens of all of them.
    #[serde(default)]
    pub completion: i64,
    /// What they cost by their source; `None` when it does not say. Never recomputed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Money>,
    /// How long they took on average, in milliseconds; `None` when the source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_latency_ms: Option<u64>,
    /// The act of other books that this is a copy of; `None` where it was told to these books.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The dimensions whose name had no room that day and counts as `other`: the names above are what the source said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Dimension>,
}

impl Opening {
    /// A total of nothing: set what differs. Names are cleaned and bounded ([`Name::clean`]).
    pub fn new(source: &str, at: Timestamp, provider: &str, model: &str) -> Opening {
        Opening {
            source: Name::clean(source),
            at,
            api_type: Name::clean(provider),
            provider: Name::clean(provider),
            model: Name::clean(model),
            request_type: Name::from("other"),
            local: false,
            ok: 0,
            failed: 0,
            prompt: 0,
            completion: 0,
            cost_usd: None,
            mean_latency_ms: None,
            origin: None,
            other: Vec::new(),
        }
    }

    /// Calls, however they ended.
    pub fn requests(&self) -> i64 {
        self.ok.saturating_add(self.failed)
    }

    /// The same with every name cleaned and bounded, whoever made it.
    pub fn cleaned(mut self) -> Opening {
        let names = [&mut self.source, &mut self.api_type, &mut self.provider, &mut self.model, &mut self.request_type];
        for name in names {
            *name = Name::clean(name);
        }
        self
    }
}

fn owned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Name<'static>, D::Error> {
    String::deserialize(deserializer).map(Name::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back_with_bounded_names_and_unknown_fields_passed_over() {
        let at = Timestamp::parse("2026-02-05T06:01:47.000000-06:00").expect("a time");
        let mut opening = Opening::new("bot\u{1b}.json", at, "gemini", &"m".repeat(500));
        (opening.ok, opening.prompt) = (-3, -150);
        opening.cost_usd = Some(Money::from_pico_usd(7));
        opening.origin = Some(Origin { lineage: Uuid::from_u128(9), act: 3 });
        opening.other = vec![Dimension::Model];
        let mut value = serde_json::to_value(&opening).expect("plain data");
        assert_eq!(value["cost_usd"], "0.000000000007");
        value["a_newer_field"] = true.into();
        assert_eq!(serde_json::from_value::<Opening>(value).expect("what we write we read"), opening);
        assert_eq!((opening.source.as_str(), opening.model.len()), ("bot.json", super::super::names::MAX_NAME_BYTES));
    }
}
