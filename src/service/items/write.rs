//! An item as JSON, in the names it is read by: how a command hands it to the tallybot that holds the books.

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{ItemTime, UsageItem};

impl Serialize for UsageItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn some<M: SerializeMap, T: Serialize>(map: &mut M, key: &str, value: Option<T>) -> Result<(), M::Error> {
            value.map_or(Ok(()), |value| map.serialize_entry(key, &value))
        }
        let mut map = serializer.serialize_map(None)?;
        some(&mut map, "timestamp", self.at)?;
        map.serialize_entry("api_type", &self.api_type)?;
        map.serialize_entry("model", &self.model)?;
        some(&mut map, "api_key_suffix", self.api_key_suffix.as_ref())?;
        map.serialize_entry("usage_source", &self.usage_source)?;
        let tokens = &self.tokens;
        map.serialize_entry("prompt_tokens", &tokens.prompt)?;
        map.serialize_entry("completion_tokens", &tokens.completion)?;
        map.serialize_entry("cached_tokens", &tokens.cached)?;
        map.serialize_entry("cache_write_tokens", &tokens.cache_write)?;
        map.serialize_entry("cache_write_1h_tokens", &tokens.cache_write_1h)?;
        map.serialize_entry("reasoning_tokens", &tokens.reasoning)?;
        map.serialize_entry("status", &self.status)?;
        some(&mut map, "error_message", self.failure.map(|failure| failure.to_string()))?;
        let metadata: &RawValue = serde_json::from_str(self.metadata.as_json()).map_err(S::Error::custom)?;
        map.serialize_entry("metadata", metadata)?;
        some(&mut map, "provider", self.provider.as_ref())?;
        some(&mut map, "request_type", self.request_type.as_ref())?;
        some(&mut map, "channel", self.channel.as_ref())?;
        some(&mut map, "user", self.user.as_ref().map(super::Identity::expose))?;
        some(&mut map, "session", self.session.as_ref().map(super::Identity::expose))?;
        some(&mut map, "latency_ms", self.latency_ms)?;
        some(&mut map, "first_token_ms", self.first_token_ms)?;
        some(&mut map, "cost_usd", self.cost)?;
        some(&mut map, "local", self.local)?;
        some(&mut map, "source", self.given.as_ref().map(|given| &given.name))?;
        some(&mut map, "id", self.given.as_ref().map(|given| &given.id))?;
        some(&mut map, "feature", self.feature.as_ref())?;
        some(&mut map, "agent", self.agent.as_ref())?;
        some(&mut map, "operation", self.operation.as_ref())?;
        some(&mut map, "team", self.team.as_ref())?;
        some(&mut map, "service_tier", self.service_tier.as_ref())?;
        map.end()
    }
}

impl Serialize for ItemTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ItemTime::Instant(at) => at.serialize(serializer),
            ItemTime::Wall(wall) => serializer.collect_str(&wall.format("%Y-%m-%dT%H:%M:%S%.6f")),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::service::items::read_item;

    #[test]
    fn what_is_written_is_read_back_the_same() {
        for text in [
            "{}",
            r#"{"prompt_tokens":0,"completion_tokens":0}"#,
            r#"{"prompt_tokens":5}"#,
            r#"{"success":false,"error_message":"429 Quota excedida","model":"m","metadata":{"a":[1,{"b":null}]}}"#,
            r#"{"timestamp":"2025-02-05T12:01:47.127728","prompt_tokens":9,"completion_tokens":8,"cached_tokens":1,
                "cache_write_tokens":2,"cache_write_1h_tokens":3,"reasoning_tokens":4,"status":"timeout",
                "api_type":"gemini","api_key_suffix":"abc123","provider":"p","request_type":"chat","channel":"shell",
                "user":"u","session":7,"latency_ms":1,"first_token_ms":0,"cost_usd":"0.000000000001","local":true,
                "source":"s","id":"i","feature":"f","agent":"a","operation":"o","team":"t","service_tier":"flex"}"#,
            r#"{"timestamp":"2025-02-05T12:01:47.127728+05:30"}"#,
        ] {
            let item = read_item(text).expect("an item");
            let written = serde_json::to_string(&item).expect("plain data");
            assert_eq!(read_item(&written).as_ref(), Ok(&item), "{written}");
        }
    }
}
