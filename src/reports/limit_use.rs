//! One limit in a report: amounts as whole numbers inside, dollars as decimal texts in JSON.

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{PartialSchema, ToSchema};

use super::stats::ObservedLimit;
use crate::limits::{LimitKind, Measure};
use crate::usage::{Money, SubjectId, Timestamp};

/// One limit and how much of it is used. Amounts are requests, tokens or, where the limit counts money, pico-dollars;
/// in JSON these are decimal dollars in fields of their own (`used_usd`, `max_usd`, …).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "LimitUseBody", from = "LimitUseBody")]
pub struct LimitUse {
    /// Whose limit it is; `None` for a limit of the owner's that is not about one provider.
    pub provider: Option<String>,
    /// `requests_per_minute`, `tokens_per_day`, `usd_per_month`, …
    pub limit: String,
    /// Settled use in the current window.
    pub used: u64,
    /// The most it allows.
    pub max: u64,
    /// `used` in percent of `max`.
    pub percent: f64,
    /// When the window ends; `None` for one that slides, and where nothing comes back.
    pub resets_at: Option<Timestamp>,
    /// What it is about when it is not a whole provider, such as `user *`.
    pub subject: Option<String>,
    /// Held by calls that are under way, on top of `used`.
    pub reserved: u64,
    /// What the provider itself says, beside our own count.
    pub observed: Option<ObservedLimit>,
    /// By how much it is raised in this window; within `max`.
    pub raised_by: u64,
    /// It is counted and keeps nobody away.
    pub paused: bool,
    /// Nothing more goes until the window ends.
    pub stopped: bool,
}

/// What a limit is about, with people by the words that `name_of` has for them, if it has any.
pub fn with_names(subject: &str, name_of: impl Fn(&SubjectId) -> Option<String>) -> String {
    let part = |part: &str| match part.strip_prefix("user:").and_then(SubjectId::parse) {
        Some(id) => name_of(&id).map_or_else(|| part.to_owned(), |name| format!("user:{name}")),
        None => part.to_owned(),
    };
    subject.split(' ').map(part).collect::<Vec<_>>().join(" ")
}

/// A [`LimitUse`] in JSON.
#[derive(Serialize, Deserialize, ToSchema)]
struct LimitUseBody {
    provider: Option<String>,
    limit: String,
    #[serde(flatten)]
    amounts: Amounts,
    percent: f64,
    resets_at: Option<Timestamp>,
    #[serde(default, rename = "for")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reserved: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reserved_usd: Option<Money>,
    #[serde(default)]
    observed: Option<ObservedLimit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raised_by: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raised_by_usd: Option<Money>,
    #[serde(default, skip_serializing_if = "is_not")]
    paused: bool,
    #[serde(default, skip_serializing_if = "is_not")]
    stopped: bool,
}

/// What is used of how much: counts or dollars.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
enum Amounts {
    Counts { used: u64, max: u64 },
    Money { used_usd: Money, max_usd: Money },
}

impl PartialSchema for LimitUse {
    fn schema() -> RefOr<Schema> {
        LimitUseBody::schema()
    }
}

impl ToSchema for LimitUse {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        LimitUseBody::schemas(schemas);
    }
}

fn is_not(mark: &bool) -> bool {
    !mark
}

impl From<LimitUse> for LimitUseBody {
    fn from(of: LimitUse) -> LimitUseBody {
        let is_money = LimitKind::parse(&of.limit).is_some_and(|limit| limit.measure() == Measure::Money);
        let usd = |pico: u64| Money::from_pico_usd(i128::from(pico));
        let raised = Some(of.raised_by).filter(|by| *by > 0);
        let amounts = match is_money {
            false => Amounts::Counts { used: of.used, max: of.max },
            true => Amounts::Money { used_usd: usd(of.used), max_usd: usd(of.max) },
        };
        LimitUseBody {
            provider: of.provider,
            limit: of.limit,
            amounts,
            percent: of.percent,
            resets_at: of.resets_at,
            subject: of.subject,
            reserved: (!is_money).then_some(of.reserved),
            reserved_usd: is_money.then(|| usd(of.reserved)),
            observed: of.observed,
            raised_by: raised.filter(|_| !is_money),
            raised_by_usd: raised.filter(|_| is_money).map(usd),
            paused: of.paused,
            stopped: of.stopped,
        }
    }
}

impl From<LimitUseBody> for LimitUse {
    fn from(body: LimitUseBody) -> LimitUse {
        let pico = |money: Money| u64::try_from(money.pico_usd()).unwrap_or_default();
        let (used, max) = match body.amounts {
            Amounts::Counts { used, max } => (used, max),
            Amounts::Money { used_usd, max_usd } => (pico(used_usd), pico(max_usd)),
        };
        let either = |count: Option<u64>, money: Option<Money>| count.or(money.map(pico)).unwrap_or_default();
        LimitUse {
            provider: body.provider,
            limit: body.limit,
            used,
            max,
            percent: body.percent,
            resets_at: body.resets_at,
            subject: body.subject,
            reserved: either(body.reserved, body.reserved_usd),
            observed: body.observed,
            raised_by: either(body.raised_by, body.raised_by_usd),
            paused: body.paused,
            stopped: body.stopped,
        }
    }
}

impl LimitUse {
    /// `used` in percent of `max`, to one decimal; a limit of nothing is full.
    pub fn percent_of(used: u64, max: u64) -> f64 {
        LimitUse::permille_of(used, max) as f64 / 10.0
    }

    /// `used` in thousandths of `max`, rounded: only what is full is all of it, and only nothing is none.
    pub fn permille_of(used: u64, max: u64) -> u64 {
        if max == 0 {
            return 1000;
        }
        let rounded = (u128::from(used) * 1000 + u128::from(max) / 2) / u128::from(max);
        let rounded = u64::try_from(rounded).unwrap_or(u64::MAX);
        if used < max { rounded.clamp(u64::from(used > 0), 999) } else { rounded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_and_only_what_is_full_is_all_of_it() {
        let shares =
            [(0, 3), (1, 3), (2, 3), (3, 3), (8, 3), (1, 9_999), (9_999, 10_000), (0, 0), (u64::MAX, u64::MAX)];
        let shares = shares.map(|(used, max)| LimitUse::percent_of(used, max));
        assert_eq!(shares, [0.0, 33.3, 66.7, 100.0, 266.7, 0.1, 99.9, 100.0, 100.0]);
    }

    #[test]
    fn money_is_dollars_in_json_and_counts_are_numbers() {
        let money = LimitUse {
            limit: "usd_per_day".into(),
            used: 1_200_000_000_000,
            max: 5_000_000_000_000,
            percent: 24.0,
            raised_by: 1_000_000_000_000,
            paused: true,
            ..LimitUse::default()
        };
        let json = serde_json::to_value(&money).expect("plain data");
        assert_eq!(
            (&json["used_usd"], &json["max_usd"], &json["raised_by_usd"]),
            (&"1.2".into(), &"5".into(), &"1".into())
        );
        assert!(
            json.get("used").is_none() && json.get("reserved").is_none() && json.get("stopped").is_none(),
            "{json}"
        );
        assert_eq!(serde_json::from_value::<LimitUse>(json).expect("read again"), money);
        let counts = LimitUse { limit: "tokens_per_day".into(), used: 7, max: 9, reserved: 1, ..LimitUse::default() };
        let json = serde_json::to_value(&counts).expect("plain data");
        assert_eq!((&json["used"], &json["max"], &json["reserved"]), (&7.into(), &9.into(), &1.into()));
        assert!(json.get("used_usd").is_none() && json.get("paused").is_none(), "{json}");
        assert_eq!(serde_json::from_value::<LimitUse>(json).expect("read again"), counts);
    }
}
