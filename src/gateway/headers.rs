//! Which headers are passed on, which are withheld, and which are added.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::limits::Left;
use crate::metering::Receipt;
use crate::models::{CREDENTIALS, readable_encoding};
use crate::usage::{Money, RecordId, UsageSource, push_decimal};

/// Whether a header concerns only one connection (RFC 9110, section 7.6.1), beside those that `Connection` names.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether the client asks for a WebSocket (RFC 6455, section 4.1).
pub(super) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let protocols = headers.get_all(header::UPGRADE).iter().filter_map(|value| value.to_str().ok());
    protocols.flat_map(|value| value.split(',')).any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
}

/// Whether a header tells the provider of the client's whereabouts, is meant for us, or would have it do or tell something
/// else than the request says (Google's APIs heed a method and a mask of fields in headers).
fn is_withheld(name: &str) -> bool {
    if name.starts_with("x-forwarded-") {
        return true;
    }
    matches!(
        name,
        "host"
            | "content-length"
            | "expect"
            | "cookie"
            | "forwarded"
            | "referer"
            | "x-real-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "x-originating-ip"
            | "cf-connecting-ip"
            | "cf-connecting-ipv6"
            | "cf-ipcountry"
            | "true-client-ip"
            | "fastly-client-ip"
            | "via"
            | "x-feature"
            | "x-agent"
            | "x-operation"
            | "x-session"
            | "x-user"
            | "x-team"
            | "x-request-type"
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            | "x-goog-fieldmask"
    )
}

/// Whether a header of an answer is about the provider's own host: a client would take it for ours.
fn is_of_the_providers_host(name: &str) -> bool {
    matches!(name, "set-cookie" | "alt-svc" | "strict-transport-security") || name.starts_with("access-control-")
}

const RECORD: HeaderName = HeaderName::from_static("x-tallybot-id");
const COST: HeaderName = HeaderName::from_static("x-tallybot-cost-usd");
const TOKENS: HeaderName = HeaderName::from_static("x-tallybot-tokens");
const USAGE: HeaderName = HeaderName::from_static("x-tallybot-usage");
const REQUESTS_LEFT: HeaderName = HeaderName::from_static("x-tallybot-requests-left");
const TOKENS_LEFT: HeaderName = HeaderName::from_static("x-tallybot-tokens-left");
const MONEY_LEFT: HeaderName = HeaderName::from_static("x-tallybot-usd-left");
const OVERHEAD: HeaderName = HeaderName::from_static("x-tallybot-overhead-us");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// How many headers are added to an answer, and how long what they say is, as a rule.
const HEADERS_ADDED: usize = 9;
const BYTES_ADDED: usize = 192;

/// The headers of a client's request as the provider is to see them: without those of its connection, those that are
/// for us, whatever encoding of the answer we could not read, and, unless they are meant for the provider, its keys.
pub(super) fn passed_on(headers: &HeaderMap, plain_answer: bool, with_credentials: bool) -> HeaderMap {
    let named = named_by_connection(headers);
    let mut passed = HeaderMap::with_capacity(headers.len() + 2);
    for (name, value) in headers {
        let text = name.as_str();
        let is_kept = !is_hop_by_hop(text) && !is_withheld(text) && !named.contains(name);
        if is_kept && *name != header::ACCEPT_ENCODING && (with_credentials || !CREDENTIALS.contains(name)) {
            passed.append(name, value.clone());
        }
    }
    let encoding = if plain_answer { HeaderValue::from_static("identity") } else { readable_encoding(headers) };
    passed.insert(header::ACCEPT_ENCODING, encoding);
    passed
}

/// The headers that `Connection` names.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

/// Whether a header has a name of ours. A provider that sends one, such as another tallybot, speaks of its own books.
fn is_ours(name: &str) -> bool {
    RECORD.as_str().strip_suffix("id").is_some_and(|beginning| name.starts_with(beginning))
}

/// Leaves of a provider's headers what a client is to see.
pub(super) fn clean_answer(headers: &mut HeaderMap) {
    let named = named_by_connection(headers);
    let is_dropped = |name: &&HeaderName| {
        let text = name.as_str();
        is_hop_by_hop(text) || is_of_the_providers_host(text) || is_ours(text) || named.contains(name)
    };
    let dropped: Vec<HeaderName> = headers.keys().filter(is_dropped).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
}

/// Names the record of a refusal.
pub(super) fn add_record(headers: &mut HeaderMap, id: String) {
    headers.insert(RECORD, ascii(id.into()));
}

/// Adds headers of ours to an answer's. What they say is written into one piece of memory.
pub(super) struct Adding<'h> {
    headers: &'h mut HeaderMap,
    text: BytesMut,
}

impl Adding<'_> {
    pub(super) fn to(headers: &mut HeaderMap) -> Adding<'_> {
        headers.reserve(HEADERS_ADDED);
        Adding { headers, text: BytesMut::with_capacity(BYTES_ADDED) }
    }

    /// Names the record that an answer has, or will have.
    pub(super) fn record(&mut self, id: RecordId) {
        self.add(RECORD, |text| text.put_slice(&id.ascii()));
    }

    /// What an answer cost, where that is known before its head is sent.
    pub(super) fn receipt(&mut self, receipt: &Receipt) {
        if receipt.usage_source != UsageSource::None {
            self.number(TOKENS, receipt.tokens.total());
            self.headers.insert(USAGE, HeaderValue::from_static(receipt.usage_source.as_str()));
            if let Some(cost) = receipt.cost {
                self.add(COST, |text| cost.push_to(text));
            }
        }
    }

    /// What is left, where anything limits it.
    pub(super) fn left(&mut self, left: &Left) {
        if let Some(requests) = left.requests {
            self.number(REQUESTS_LEFT, requests);
        }
        if let Some(tokens) = left.tokens {
            self.number(TOKENS_LEFT, tokens);
        }
        if let Some(pico_usd) = left.pico_usd {
            self.add(MONEY_LEFT, |text| Money::from_pico_usd(pico_usd.into()).push_to(text));
        }
    }

    /// How long the provider took and how long we did, in microseconds; the provider's own `Server-Timing` stays.
    pub(super) fn timing(&mut self, upstream_us: u64, own_us: u64) {
        self.number(OVERHEAD, own_us);
        self.text.put_slice(b"upstream;dur=");
        push_millis(&mut self.text, upstream_us);
        self.text.put_slice(b", tallybot;dur=");
        push_millis(&mut self.text, own_us);
        let timing = self.value();
        self.headers.append(SERVER_TIMING, timing);
    }

    fn number(&mut self, name: HeaderName, number: u64) {
        self.add(name, |text| push_decimal(text, number));
    }

    fn add(&mut self, name: HeaderName, write: impl FnOnce(&mut BytesMut)) {
        write(&mut self.text);
        let value = self.value();
        self.headers.insert(name, value);
    }

    /// What was written since.
    fn value(&mut self) -> HeaderValue {
        ascii(self.text.split().freeze())
    }
}

/// Text of ours, which is ASCII.
fn ascii(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Milliseconds with three places.
fn push_millis(text: &mut BytesMut, us: u64) {
    push_decimal(text, us / 1000);
    let digit = |unit: u64| b'0' + (us / unit % 10) as u8;
    text.put_slice(&[b'.', digit(100), digit(10), digit(1)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn headers_of_the_connection_and_those_for_us_are_withheld() {
        let sent = headers(&[
            ("host", "127.0.0.1:5000"),
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("x-feature", "digest"),
            ("x-user", "ana"),
            ("cookie", "a=b"),
            ("referer", "https://intranet.example/ana"),
            ("x-forwarded-port", "443"),
            ("cf-connecting-ip", "192.0.2.7"),
            ("true-client-ip", "192.0.2.7"),
            ("x-client-ip", "192.0.2.7"),
            ("x-http-method-override", "POST"),
            ("x-goog-fieldmask", "candidates"),
            ("x-stainless-lang", "python"),
            ("anthropic-version", "2023-06-01"),
        ]);
        let passed = passed_on(&sent, false, true);
        let names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        for name in ["x-stainless-lang", "anthropic-version", "accept-encoding"] {
            assert!(passed.contains_key(name), "{name}");
        }
    }

    #[test]
    fn only_an_encoding_we_can_read_is_asked_for() {
        let asked = |value: &'static str, plain| {
            passed_on(&headers(&[("accept-encoding", value)]), plain, true)["accept-encoding"].clone()
        };
        assert_eq!(asked("gzip, deflate, br, zstd", false), "gzip");
        assert_eq!(asked("br;q=1.0, GZIP;q=0.8", false), "gzip");
        assert_eq!(asked("gzip, br", true), "identity");
        for none in ["br", "gzip;q=0", "gzip; q=0.000, br", "identity"] {
            assert_eq!(asked(none, false), "identity", "{none}");
        }
        assert_eq!(passed_on(&HeaderMap::new(), false, true)["accept-encoding"], "identity");
    }

    #[test]
    fn times_are_milliseconds_in_server_timing_and_microseconds_by_themselves() {
        let mut all = headers(&[("server-timing", "db;dur=1")]);
        Adding::to(&mut all).timing(12_345, 67);
        let timings: Vec<_> = all.get_all("server-timing").iter().map(|value| value.to_str().expect("ASCII")).collect();
        assert_eq!(timings, ["db;dur=1", "upstream;dur=12.345, tallybot;dur=0.067"]);
        assert_eq!(all["x-tallybot-overhead-us"], "67");
    }
}
