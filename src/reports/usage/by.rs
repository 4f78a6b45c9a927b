//! The dimensions: their names, and what a row of the fold says in each.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::stats::{Key, Names};
use crate::usage::Day;
use crate::usage::names::UNKNOWN;

/// What calls can be told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UsageDimension)]
pub enum By {
    /// The billing day.
    Day,
    /// The hour of the billing day.
    Hour,
    /// The configured provider.
    Provider,
    /// The model.
    Model,
    /// What the call was for.
    Type,
    /// The caller's dimension.
    Feature,
    /// The caller's dimension.
    Agent,
    /// The caller's dimension.
    Operation,
    /// The caller's dimension.
    Team,
    /// Where it came from.
    Channel,
    /// The gateway key's name.
    Key,
    /// How it ended.
    Status,
    /// How its tokens are known.
    UsageSource,
    /// The price it was computed with.
    PriceId,
    /// Whose it was, as a subject id.
    User,
}

impl By {
    /// Every dimension.
    pub const ALL: [By; 15] = [
        By::Day,
        By::Hour,
        By::Provider,
        By::Model,
        By::Type,
        By::Feature,
        By::Agent,
        By::Operation,
        By::Team,
        By::Channel,
        By::Key,
        By::Status,
        By::UsageSource,
        By::PriceId,
        By::User,
    ];

    /// Those that calls can be chosen by: days are chosen by their ends, and hours are told apart of two days alone.
    pub const FILTERS: [By; 13] = *By::ALL.last_chunk().expect("days and hours are the first two");

    /// Those that are known of each user.
    pub const OF_PEOPLE: [By; 2] = [By::User, By::Model];

    /// The name in parameters and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            By::Day => "day",
            By::Hour => "hour",
            By::Provider => "provider",
            By::Model => "model",
            By::Type => "type",
            By::Feature => "feature",
            By::Agent => "agent",
            By::Operation => "operation",
            By::Team => "team",
            By::Channel => "channel",
            By::Key => "key",
            By::Status => "status",
            By::UsageSource => "usage_source",
            By::PriceId => "price_id",
            By::User => "user",
        }
    }

    /// The dimension of a name.
    pub fn parse(name: &str) -> Option<By> {
        By::ALL.into_iter().find(|by| by.as_str() == name)
    }

    /// What a row of the fold says in it. Days and hours are those that the caller still tells apart.
    pub(super) fn of(self, (day, hour): (Option<Day>, Option<u8>), key: &Key, names: &Names) -> Value {
        let symbol = match self {
            By::Day => return day.map_or(Value::NotToldApart, |day| Value::Text(day.to_string())),
            By::Hour => return hour.map_or(Value::NotToldApart, Value::Number),
            By::Status => return Value::Text(key.status.as_str().to_owned()),
            By::UsageSource => return Value::Text(key.usage_source.as_str().to_owned()),
            By::User => return Value::Text(UNKNOWN.to_owned()),
            By::Provider => key.provider,
            By::Model => key.model,
            By::Type => key.request_type,
            By::Feature => key.feature,
            By::Agent => key.agent,
            By::Operation => key.operation,
            By::Team => key.team,
            By::Channel => key.channel,
            By::Key => key.key,
            By::PriceId => key.price,
        };
        Value::Text(names.text(symbol).unwrap_or(UNKNOWN).to_owned())
    }
}

/// What a row says in a dimension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = UsageValue)]
pub enum Value {
    /// Days and hours that are no longer told apart: their use is one sum.
    NotToldApart,
    /// An hour.
    Number(u8),
    /// A name, or a day; `unknown` when it was not given.
    Text(String),
}
