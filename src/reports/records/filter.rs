//! Which records somebody wants to see.

use crate::usage::names::UNKNOWN;
use crate::usage::{Day, Status, SubjectId, Timestamp, UsageRecord};

/// A name of a record that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facet {
    /// `api_type`
    Api,
    /// `model`
    Model,
    /// `provider`
    Provider,
    /// `request_type`
    Type,
    /// `feature`
    Feature,
    /// `agent`
    Agent,
    /// `operation`
    Operation,
    /// `team`
    Team,
    /// `channel`
    Channel,
    /// `key`
    Key,
}

impl Facet {
    /// What a record says; a name that was not given is called `unknown`, as everywhere.
    fn of<'r>(self, record: &'r UsageRecord<'_>) -> &'r str {
        let given = match self {
            Facet::Api => Some(&record.api_type),
            Facet::Model => Some(&record.model),
            Facet::Provider => Some(&record.provider),
            Facet::Type => Some(&record.request_type),
            Facet::Channel => Some(&record.channel),
            Facet::Feature => record.feature.as_ref(),
            Facet::Agent => record.agent.as_ref(),
            Facet::Operation => record.operation.as_ref(),
            Facet::Team => record.team.as_ref(),
            Facet::Key => record.key.as_ref(),
        };
        given.map_or(UNKNOWN, |name| name.as_str())
    }
}

/// A record is wanted if it fits everything that is asked for; of several values for one thing, any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordFilter {
    /// The first billing day.
    pub from: Option<Day>,
    /// The last billing day.
    pub to: Option<Day>,
    /// The first moment of an epoch: that of a reset.
    pub since: Option<Timestamp>,
    /// The first moment behind an epoch: that of the next reset.
    pub until: Option<Timestamp>,
    /// Names, each with the values that fit.
    pub names: Vec<(Facet, Vec<String>)>,
    /// How calls ended; empty for any.
    pub statuses: Vec<Status>,
    /// Whose they were; empty for anybody.
    pub users: Vec<SubjectId>,
}

impl RecordFilter {
    /// Whether a record is wanted.
    pub fn wants(&self, record: &UsageRecord<'_>) -> bool {
        let day = record.timestamp.day();
        self.from.is_none_or(|from| day >= from)
            && self.to.is_none_or(|to| day <= to)
            && self.since.is_none_or(|since| record.timestamp >= since)
            && self.until.is_none_or(|until| record.timestamp < until)
            && (self.statuses.is_empty() || self.statuses.contains(&record.status))
            && (self.users.is_empty() || record.user.is_some_and(|user| self.users.contains(&user)))
            && self.names.iter().all(|(facet, values)| values.iter().any(|value| value == facet.of(record)))
    }

    /// Whether every record is wanted.
    pub fn wants_all(&self) -> bool {
        *self == RecordFilter::default()
    }

    /// The earliest billing day a wanted record can have.
    pub fn first_day(&self) -> Option<Day> {
        // A reset's day is that of its own offset; a record of the same moment may be written with another.
        self.from.max(self.since.map(|since| since.day().plus(-1)))
    }
}
