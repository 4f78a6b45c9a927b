//! A record read from a line of JSON, and the seal that every line of a journal carries.
//!
//! The caller writes the record ([`write_record`](super::write_record)); the journal seals it with `"seq"` and `"crc"` ([`seal_line`]).
//! The CRC32C covers every byte before `,"crc"`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::names::Name;
use super::writing::push_decimal;
use super::{
    Dimension, Estimated, Failure, Given, KeySuffix, Kind, Metadata, Money, OutputCap, RecordId, Status, SubjectId,
    Timestamp, TokenCounts, UsageRecord, UsageSource,
};

/// The version of the line format. A reader accepts unknown fields and refuses unknown versions.
pub const LINE_VERSION: u8 = 1;

/// No line is longer; a longer one in a file is damage.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// `"crc":"xxxxxxxx"}` with its leading comma.
const CRC_BYTES: usize = r#","crc":"00000000"}"#.len();

/// Why a line is not a sealed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not a sealed line at all: cut, merged or written by something else.
    #[error("no checksum at the end of the line")]
    Unsealed,
    /// The bytes are not those that were written.
    #[error("the checksum does not match")]
    Checksum,
    /// The checksum is right and the JSON is not: written by something else, or by a newer version.
    #[error("not a line of this version")]
    Content,
}

/// What the seal of a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The line's number in its journal, from 1.
    pub seq: u64,
    /// Its checksum.
    pub crc: u32,
}

/// Seals the JSON object that starts at `start` in `out`: adds seq and crc, and the newline that commits it.
///
/// # Panics
/// When `out[start..]` does not end in `}`.
pub fn seal_line(out: &mut Vec<u8>, start: usize, seq: u64) -> Sealed {
    assert_eq!(out.pop(), Some(b'}'), "a line is a JSON object");
    out.extend_from_slice(b",\"seq\":");
    push_decimal(out, seq);
    let crc = crc32c::crc32c(&out[start..]);
    let mut tail = *b",\"crc\":\"00000000\"}\n";
    for (at, digit) in tail[8..16].iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(crc >> (28 - at * 4) & 15) as usize];
    }
    out.extend_from_slice(&tail);
    Sealed { seq, crc }
}

/// Checks the seal of a line (given without its newline) and returns it.
///
/// # Errors
/// When the line is not sealed, or its bytes are not those that were sealed.
pub fn unseal_line(line: &[u8]) -> Result<Sealed, LineError> {
    let body_len = line.len().checked_sub(CRC_BYTES).ok_or(LineError::Unsealed)?;
    let (body, tail) = line.split_at(body_len);
    if !tail.starts_with(b",\"crc\":\"") || !tail.ends_with(b"\"}") {
        return Err(LineError::Unsealed);
    }
    let hex = &tail[8..16];
    let crc = hex.iter().try_fold(0u32, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u32::from(digit))
    });
    let crc = crc.ok_or(LineError::Unsealed)?;
    if crc32c::crc32c(body) != crc {
        return Err(LineError::Checksum);
    }
    let seq = trailing_seq(body).ok_or(LineError::Content)?;
    Ok(Sealed { seq, crc })
}

/// Reads the number behind `,"seq":` at the very end of a body.
fn trailing_seq(body: &[u8]) -> Option<u64> {
    let digits = body.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (head, number) = body.split_at(body.len() - digits);
    if digits == 0 || digits > 19 || !head.ends_with(b",\"seq\":") {
        return None;
    }
    number.iter().try_fold(0u64, |value, byte| value.checked_mul(10)?.checked_add(u64::from(byte - b'0')))
}

/// A line as it is read: every field as it stands in the JSON.
#[derive(Deserialize)]
struct Wire<'a> {
    v: u8,
    #[serde(default, borrow)]
    kind: Option<Name<'a>>,
    #[serde(default)]
    of: Option<RecordId>,
    id: RecordId,
    timestamp: Timestamp,
    #[serde(borrow)]
    api_type: Name<'a>,
    #[serde(borrow)]
    model: Name<'a>,
    #[serde(default)]
    api_key_suffix: Option<KeySuffix>,
    prompt_tokens: u64,
    completion_tokens: u64,
    #[serde(default, borrow)]
    error_message: Option<Name<'a>>,
    #[serde(default, borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    provider: Name<'a>,
    status: Status,
    #[serde(borrow)]
    request_type: Name<'a>,
    #[serde(borrow)]
    channel: Name<'a>,
    #[serde(default)]
    user: Option<SubjectId>,
    #[serde(default)]
    session: Option<SubjectId>,
    #[serde(default)]
    latency_ms: Option<u64>,
    #[serde(default)]
    cost_usd: Option<Money>,
    #[serde(default, borrow)]
    price_id: Option<Name<'a>>,
    #[serde(default)]
    local: bool,
    #[serde(default)]
    call: Option<RecordId>,
    #[serde(default = "one_u32")]
    attempt: u32,
    #[serde(default, borrow)]
    key: Option<Name<'a>>,
    #[serde(default)]
    usage_source: UsageSource,
    #[serde(default)]
    cached_tokens: u64,
    #[serde(default)]
    cache_write_tokens: u64,
    #[serde(default)]
    cache_write_1h_tokens: u64,
    #[serde(default)]
    reasoning_tokens: u64,
    #[serde(default, borrow)]
    service_tier: Option<Name<'a>>,
    #[serde(default, borrow)]
    feature: Option<Name<'a>>,
    #[serde(default, borrow)]
    agent: Option<Name<'a>>,
    #[serde(default, borrow)]
    operation: Option<Name<'a>>,
    #[serde(default, borrow)]
    team: Option<Name<'a>>,
    #[serde(default, borrow)]
    requested_model: Option<Name<'a>>,
    #[serde(default)]
    first_token_ms: Option<u64>,
    #[serde(default)]
    output_cap: Option<OutputCap>,
    #[serde(default)]
    economy: bool,
    #[serde(default)]
    system_tokens: Option<u64>,
    #[serde(default)]
    estimated: Option<Estimated>,
    #[serde(default, borrow)]
    prompt_print: Option<Name<'a>>,
    #[serde(default, borrow)]
    source: Option<Given<'a>>,
    #[serde(default)]
    other: Vec<Dimension>,
    #[serde(default = "one_u64")]
    count: u64,
}

fn one_u32() -> u32 {
    1
}

fn one_u64() -> u64 {
    1
}

impl<'de: 'a, 'a> Deserialize<'de> for UsageRecord<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        if wire.v != LINE_VERSION {
            return Err(D::Error::custom(format_args!(
                "this line has version {}, and this tallybot reads version {LINE_VERSION}; a newer one is needed",
                wire.v
            )));
        }
        let kind = match (wire.kind.as_deref(), wire.of) {
            (None, _) => Kind::Usage,
            (Some("void"), Some(of)) => Kind::Void { of },
            _ => return Err(D::Error::custom("`kind` is `void` with `of`, or absent")),
        };
        Ok(UsageRecord {
            kind,
            id: wire.id,
            timestamp: wire.timestamp,
            api_type: wire.api_type,
            model: wire.model,
            api_key_suffix: wire.api_key_suffix,
            tokens: TokenCounts {
                prompt: wire.prompt_tokens,
                completion: wire.completion_tokens,
                cached: wire.cached_tokens,
                cache_write: wire.cache_write_tokens,
                cache_write_1h: wire.cache_write_1h_tokens,
                reasoning: wire.reasoning_tokens,
            },
            usage_source: wire.usage_source,
            failure: wire.error_message.as_deref().map(Failure::parse),
            metadata: wire.metadata.and_then(Metadata::from_raw).unwrap_or_default(),
            provider: wire.provider,
            status: wire.status,
            request_type: wire.request_type,
            channel: wire.channel,
            user: wire.user,
            session: wire.session,
            latency_ms: wire.latency_ms,
            cost: wire.cost_usd,
            price_id: wire.price_id,
            local: wire.local,
            call: wire.call,
            attempt: wire.attempt,
            key: wire.key,
            service_tier: wire.service_tier,
            feature: wire.feature,
            agent: wire.agent,
            operation: wire.operation,
            team: wire.team,
            requested_model: wire.requested_model,
            first_token_ms: wire.first_token_ms,
            output_cap: wire.output_cap,
            economy: wire.economy,
            system_tokens: wire.system_tokens,
            estimated: wire.estimated,
            prompt_print: wire.prompt_print,
            source: wire.source,
            other: wire.other,
            count: wire.count.max(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::write_record;

    /// The sample of the design page, with a whole id: this form is frozen.
    const SAMPLE: &str = concat!(
        r#"{"v":1,"id":"0199b0c2-0000-7000-8000-000000000001","timestamp":"2026-02-05T06:01:47.127728-06:00","#,
        r#""api_type":"ollama","model":"llama3.2","api_key_suffix":null,"prompt_tokens":150,"completion_tokens":320,"#,
        r#""total_tokens":470,"success":true,"error_message":null,"metadata":{},"provider":"ollama","status":"ok","#,
        r#""request_type":"chat","channel":"telegram","user":null,"session":null,"latency_ms":2450,"cost_usd":"0","#,
        r#""price_id":"local","local":true,"first_token_ms":310}"#
    );

    #[test]
    fn the_frozen_line_is_read_and_written_back_to_the_byte() {
        let record: UsageRecord<'_> = serde_json::from_str(SAMPLE).expect("the sample is a record");
        assert_eq!((record.tokens.total(), record.latency_ms, record.cost), (470, Some(2450), Some(Money::ZERO)));
        let mut out = Vec::new();
        write_record(&record, &mut out);
        assert_eq!(std::str::from_utf8(&out), Ok(SAMPLE));
    }

    #[test]
    fn a_seal_protects_every_bit() {
        let mut line = SAMPLE.as_bytes().to_vec();
        let sealed = seal_line(&mut line, 0, 17);
        assert_eq!(line.pop(), Some(b'\n'));
        assert_eq!(unseal_line(&line), Ok(sealed));
        serde_json::from_slice::<UsageRecord<'_>>(&line).expect("a sealed line is still a record");
        for bit in 0..line.len() * 8 {
            let mut damaged = line.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal_line(&damaged).is_err(), "bit {bit}");
        }
        for cut in 0..line.len() {
            assert!(unseal_line(&line[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn an_estimate_beside_a_reported_count_is_a_field_of_its_own_which_older_lines_lack() {
        let with = SAMPLE.replacen("\"local\":true", r#""estimated":{"prompt":118,"output":301},"local":true"#, 1);
        let read = |line: &str| serde_json::from_str::<UsageRecord<'_>>(line).expect("a record").estimated;
        assert_eq!((read(SAMPLE), read(&with)), (None, Some(Estimated { prompt: 118, output: 301 })));
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let newer = SAMPLE.replacen("\"v\":1", "\"v\":2", 1);
        let error = serde_json::from_str::<UsageRecord<'_>>(&newer).expect_err("version 2").to_string();
        assert!(error.contains("version 2") && error.contains("newer"), "{error}");
        serde_json::from_str::<UsageRecord<'_>>(&SAMPLE.replacen("\"v\":1", "\"v\":1,\"later\":[1]", 1))
            .expect("unknown fields are accepted");
    }
}
