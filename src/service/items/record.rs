//! From an item to the record of it: an id, the owner's billing day, subject ids for people.

use chrono::TimeDelta;

use super::{ItemTime, UsageItem};
use crate::ledger::People;
use crate::usage::{RecordId, Timestamp, UsageRecord, Zone};

/// The channel that people and conversations told by programs belong to, whichever way they are told.
pub const PEOPLE_OF: &str = "api";

impl UsageItem {
    /// The item as a record of this id. Its time is in the owner's zone and never after `now`.
    pub fn into_record(self, id: RecordId, now: Timestamp, zone: Zone, people: &People) -> UsageRecord<'static> {
        let at = self.at.map_or(now, |time| admitted_at(time, zone).min(now));
        let provider = self.provider.unwrap_or_else(|| self.api_type.clone());
        let mut record = UsageRecord::new(id, at, provider, self.model);
        record.api_type = self.api_type;
        record.api_key_suffix = self.api_key_suffix;
        (record.tokens, record.usage_source) = (self.tokens, self.usage_source);
        (record.status, record.failure) = (self.status, self.failure);
        record.metadata = self.metadata;
        record.request_type = self.request_type.unwrap_or_else(|| "other".into());
        record.channel = self.channel.unwrap_or_else(|| "api".into());
        record.user = self.user.map(|user| people.subject(PEOPLE_OF, user.expose()));
        record.session = self.session.map(|session| people.hash(PEOPLE_OF, session.expose()));
        (record.latency_ms, record.first_token_ms) = (self.latency_ms, self.first_token_ms);
        record.cost = self.cost;
        record.local = self.local.unwrap_or(false);
        record.source = self.given;
        record.feature = self.feature;
        record.agent = self.agent;
        record.operation = self.operation;
        record.team = self.team;
        record.service_tier = self.service_tier;
        record
    }
}

/// When an item was admitted, in the owner's zone: that is whose days it is billed on, whatever offset its sender wrote.
/// Of a wall clock the earlier instant where it shows a time twice; where it skips one, as if it had not been moved yet.
pub fn admitted_at(time: ItemTime, zone: Zone) -> Timestamp {
    let in_zone = |micros: i64| Timestamp::in_zone(micros, zone);
    match time {
        ItemTime::Instant(at) => in_zone(at.unix_micros()),
        ItemTime::Wall(wall) => {
            const HOUR_MICROS: i64 = 3_600_000_000;
            let earliest = |wall| zone.instants(wall).map(|(first, _)| first);
            let skipped = || earliest(wall - TimeDelta::hours(1)).map(|before| before + HOUR_MICROS);
            in_zone(earliest(wall).or_else(skipped).unwrap_or_else(|| wall.and_utc().timestamp_micros()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::zone;

    #[test]
    fn an_item_is_billed_on_the_owners_day_whatever_offset_it_came_with() {
        for text in ["2026-11-22T03:00:00Z", "2026-11-22T17:00:00+14:00", "2026-11-21T21:00:00-06:00"] {
            let at =
                admitted_at(ItemTime::Instant(Timestamp::parse(text).expect("a time")), zone("America/Mexico_City"));
            assert_eq!(at.to_string(), "2026-11-21T21:00:00.000000-06:00", "{text}");
        }
    }

    #[test]
    fn a_wall_time_that_is_there_twice_or_never_is_still_near() {
        let at = |text: &str| {
            let wall = text.parse().expect("a wall time");
            admitted_at(ItemTime::Wall(wall), zone("America/New_York")).to_string()
        };
        assert_eq!(at("2026-11-01T01:30:00"), "2026-11-01T01:30:00.000000-04:00");
        assert_eq!(at("2026-03-08T02:30:00"), "2026-03-08T03:30:00.000000-04:00");
    }
}
