//! A record as one JSON object, written field by field: there is a line for every call, so nothing here allocates or
//! goes the long way round.

use std::io::Write as _;

use bytes::BufMut;

use super::names::Name;
use super::{Estimated, Failure, Given, Kind, Money, OutputCap, RecordId, SubjectId, UsageRecord, UsageSource};

/// Writes a record as one JSON object, without seal and newline.
pub fn write_record(record: &UsageRecord<'_>, out: &mut Vec<u8>) {
    let mut line = Line(out);
    line.raw(r#"{"v":1"#);
    if let Kind::Void { of } = &record.kind {
        line.raw(r#","kind":"void""#);
        line.id(r#","of":"#, *of);
    }
    line.id(r#","id":"#, record.id);
    line.ascii(r#","timestamp":"#, &record.timestamp.ascii());
    line.text(r#","api_type":"#, &record.api_type);
    line.text(r#","model":"#, &record.model);
    line.or_null(r#","api_key_suffix":"#, record.api_key_suffix.as_ref(), |line, key, suffix| {
        line.text(key, suffix.as_str());
    });
    line.number(r#","prompt_tokens":"#, record.tokens.prompt);
    line.number(r#","completion_tokens":"#, record.tokens.completion);
    line.number(r#","total_tokens":"#, record.tokens.total());
    line.raw(if record.status.is_ok() { r#","success":true"# } else { r#","success":false"# });
    line.or_null(r#","error_message":"#, record.failure, Line::failure);
    line.raw(r#","metadata":"#);
    line.raw(record.metadata.as_json());
    line.text(r#","provider":"#, &record.provider);
    line.ascii(r#","status":"#, record.status.as_str().as_bytes());
    line.text(r#","request_type":"#, &record.request_type);
    line.text(r#","channel":"#, &record.channel);
    line.or_null(r#","user":"#, record.user, Line::subject);
    line.or_null(r#","session":"#, record.session, Line::subject);
    line.or_null(r#","latency_ms":"#, record.latency_ms, Line::number);
    line.or_null(r#","cost_usd":"#, record.cost, Line::money);
    line.or_null(r#","price_id":"#, record.price_id.as_deref(), Line::text);
    write_unusual(record, &mut line);
    line.raw("}");
}

/// The fields that are written only when they differ from the default.
fn write_unusual(record: &UsageRecord<'_>, line: &mut Line<'_>) {
    if record.local {
        line.raw(r#","local":true"#);
    }
    if let Some(call) = record.call {
        line.id(r#","call":"#, call);
    }
    line.unless(1, r#","attempt":"#, record.attempt.into());
    line.given_name(r#","key":"#, &record.key);
    if record.usage_source != UsageSource::Reported {
        line.ascii(r#","usage_source":"#, record.usage_source.as_str().as_bytes());
    }
    line.unless(0, r#","cached_tokens":"#, record.tokens.cached);
    line.unless(0, r#","cache_write_tokens":"#, record.tokens.cache_write);
    line.unless(0, r#","cache_write_1h_tokens":"#, record.tokens.cache_write_1h);
    line.unless(0, r#","reasoning_tokens":"#, record.tokens.reasoning);
    line.given_name(r#","service_tier":"#, &record.service_tier);
    line.given_name(r#","feature":"#, &record.feature);
    line.given_name(r#","agent":"#, &record.agent);
    line.given_name(r#","operation":"#, &record.operation);
    line.given_name(r#","team":"#, &record.team);
    line.given_name(r#","requested_model":"#, &record.requested_model);
    line.given_number(r#","first_token_ms":"#, record.first_token_ms);
    if let Some(OutputCap { asked, granted }) = record.output_cap {
        line.or_null(r#","output_cap":{"asked":"#, asked, Line::number);
        line.or_null(r#","granted":"#, granted, Line::number);
        line.raw("}");
    }
    if record.economy {
        line.raw(r#","economy":true"#);
    }
    line.given_number(r#","system_tokens":"#, record.system_tokens);
    if let Some(Estimated { prompt, output }) = record.estimated {
        line.number(r#","estimated":{"prompt":"#, prompt);
        line.number(r#","output":"#, output);
        line.raw("}");
    }
    line.given_name(r#","prompt_print":"#, &record.prompt_print);
    if let Some(Given { name, id }) = &record.source {
        line.text(r#","source":{"name":"#, name);
        line.text(r#","id":"#, id);
        line.raw("}");
    }
    if let Some((first, rest)) = record.other.split_first() {
        line.ascii(r#","other":["#, first.as_str().as_bytes());
        rest.iter().for_each(|dimension| line.ascii(",", dimension.as_str().as_bytes()));
        line.raw("]");
    }
    line.unless(1, r#","count":"#, record.count);
}

/// The line so far. A `key` is everything up to its value, comma and colon included.
struct Line<'o>(&'o mut Vec<u8>);

// Inlined, each key is a few stores of known length instead of a call to copy so many bytes.
impl Line<'_> {
    #[inline(always)]
    fn raw(&mut self, json: &str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    fn or_null<T>(&mut self, key: &str, value: Option<T>, write: impl FnOnce(&mut Self, &str, T)) {
        match value {
            Some(value) => write(self, key, value),
            None => {
                self.raw(key);
                self.raw("null");
            }
        }
    }

    #[inline(always)]
    fn text(&mut self, key: &str, text: &str) {
        if is_plain(text.as_bytes()) {
            self.ascii(key, text.as_bytes());
        } else {
            self.raw(key);
            serde_json::to_writer(&mut *self.0, text).expect("memory takes every byte");
        }
    }

    /// A text in which nothing wants escaping.
    #[inline(always)]
    fn ascii(&mut self, key: &str, text: &[u8]) {
        self.raw(key);
        self.0.push(b'"');
        self.0.extend_from_slice(text);
        self.0.push(b'"');
    }

    #[inline(always)]
    fn number(&mut self, key: &str, value: u64) {
        self.raw(key);
        push_decimal(self.0, value);
    }

    fn id(&mut self, key: &str, id: RecordId) {
        self.ascii(key, &id.ascii());
    }

    fn subject(&mut self, key: &str, subject: SubjectId) {
        self.ascii(key, &subject.ascii());
    }

    fn money(&mut self, key: &str, money: Money) {
        self.raw(key);
        self.0.push(b'"');
        money.push_to(self.0);
        self.0.push(b'"');
    }

    fn failure(&mut self, key: &str, failure: Failure) {
        self.raw(key);
        write!(self.0, "\"{failure}\"").expect("memory takes every byte");
    }

    fn unless(&mut self, usual: u64, key: &str, value: u64) {
        if value != usual {
            self.number(key, value);
        }
    }

    fn given_name(&mut self, key: &str, name: &Option<Name<'_>>) {
        if let Some(name) = name {
            self.text(key, name);
        }
    }

    fn given_number(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(key, value);
        }
    }
}

/// Whether nothing in a text wants escaping. Without an early way out, so that many bytes are looked at with one step.
#[inline(always)]
fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |plain, byte| plain & (*byte >= b' ') & (*byte != b'"') & (*byte != b'\\'))
}

/// Writes a number in decimal, the short way.
pub fn push_decimal(out: &mut impl BufMut, value: u64) {
    out.put_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::usage::{
        Dimension, ErrorKind, KeySuffix, LINE_VERSION, OutputCap, Status, Timestamp, TokenCounts, arbitrary,
    };

    fn written(record: &UsageRecord<'_>) -> String {
        let mut out = Vec::new();
        write_record(record, &mut out);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn a_line_with_every_field_is_written_to_the_byte() {
        let at = Timestamp::parse("2026-02-05T06:01:47.127728+05:30").expect("a time");
        let mut record = UsageRecord::new(RecordId::new(at, [0xab; 10]), at, "o\"a".into(), "ñ\\\n\u{1}m".into());
        record.kind = Kind::Void { of: record.id };
        (record.call, record.attempt, record.count) = (Some(record.id), 2, 12);
        record.api_key_suffix = KeySuffix::of_text("abcd");
        record.failure = Some(Failure::http(ErrorKind::RateLimited, 429));
        (record.status, record.usage_source) = (Status::Error, UsageSource::Partial);
        record.tokens =
            TokenCounts { prompt: u64::MAX, completion: 8, cached: 1, cache_write: 2, cache_write_1h: 3, reasoning: 4 };
        (record.latency_ms, record.first_token_ms, record.system_tokens) = (Some(0), Some(10), Some(7));
        record.cost = Some(Money::parse_usd("1234567890123456789.000000000001").expect("an amount"));
        let mut fields = [
            ("price", &mut record.price_id),
            ("key", &mut record.key),
            ("tier", &mut record.service_tier),
            ("feature", &mut record.feature),
            ("agent", &mut record.agent),
            ("operation", &mut record.operation),
            ("team", &mut record.team),
            ("asked", &mut record.requested_model),
            ("print", &mut record.prompt_print),
        ];
        fields.iter_mut().for_each(|(name, field)| **field = Some(Name::from(*name)));
        record.output_cap = Some(OutputCap { asked: None, granted: Some(512) });
        (record.local, record.economy) = (true, true);
        record.estimated = Some(Estimated { prompt: 118, output: 301 });
        record.source = Some(Given { name: "script".into(), id: "1\t7".into() });
        record.other = vec![Dimension::Model, Dimension::Feature];
        assert_eq!(LINE_VERSION, 1);
        let expected = concat!(
            r#"{"v":1,"kind":"void","of":"019c2b36-55b7-7bab-abab-abababababab","#,
            r#""id":"019c2b36-55b7-7bab-abab-abababababab","timestamp":"2026-02-05T06:01:47.127728+05:30","#,
            r#""api_type":"o\"a","model":"ñ\\\n\u0001m","api_key_suffix":"abcd","prompt_tokens":18446744073709551615,"#,
            r#""completion_tokens":8,"total_tokens":18446744073709551615,"success":false,"#,
            r#""error_message":"rate_limited 429","metadata":{},"provider":"o\"a","status":"error","#,
            r#""request_type":"chat","channel":"api","user":null,"session":null,"latency_ms":0,"#,
            r#""cost_usd":"1234567890123456789.000000000001","price_id":"price","local":true,"#,
            r#""call":"019c2b36-55b7-7bab-abab-abababababab","attempt":2,"key":"key","usage_source":"partial","#,
            r#""cached_tokens":1,"cache_write_tokens":2,"cache_write_1h_tokens":3,"reasoning_tokens":4,"#,
            r#""service_tier":"tier","feature":"feature","agent":"agent","operation":"operation","team":"team","#,
            r#""requested_model":"asked","first_token_ms":10,"output_cap":{"asked":null,"granted":512},"economy":true,"#,
            r#""system_tokens":7,"estimated":{"prompt":118,"output":301},"prompt_print":"print","#,
            r#""source":{"name":"script","id":"1\t7"},"#,
            r#""other":["model","feature"],"count":12}"#
        );
        assert_eq!(written(&record), expected);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(record in arbitrary::record(), model in any::<String>()) {
            let record = UsageRecord { model: Name::from(model), ..record };
            let line = written(&record);
            prop_assert_eq!(serde_json::from_str::<UsageRecord<'_>>(&line).expect("a record"), record);
            let text: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            prop_assert_eq!(text["v"].as_u64(), Some(u64::from(LINE_VERSION)));
        }
    }
}
