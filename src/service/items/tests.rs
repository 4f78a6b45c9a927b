//! Tables of items: what is taken and how, what is refused and in which words.

use super::item::read;
use super::*;
use crate::usage::names::UNKNOWN;

fn good(text: &str) -> UsageItem {
    read(text).unwrap_or_else(|mistakes| panic!("{text}: {mistakes}"))
}

fn bad(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

#[test]
fn the_documents_own_line_is_read() {
    let item = good(
        r#"{"timestamp":"2025-02-05T12:01:47.127728","api_type":"gemini","model":"gemini-2.5-flash",
            "api_key_suffix":"abc123","prompt_tokens":150,"completion_tokens":320,"total_tokens":470,
            "success":true,"error_message":null,"metadata":{"article_id":123}}"#,
    );
    let Some(ItemTime::Wall(wall)) = item.at else { panic!("a wall clock: {:?}", item.at) };
    assert_eq!(wall.to_string(), "2025-02-05 12:01:47.127728");
    assert_eq!((item.api_type.as_str(), item.model.as_str()), ("gemini", "gemini-2.5-flash"));
    assert_eq!(item.api_key_suffix.as_ref().map(KeySuffix::as_str), Some("c123"));
    assert_eq!((item.tokens.prompt, item.tokens.completion), (150, 320));
    assert_eq!((item.status, item.failure, item.usage_source), (Status::Ok, None, UsageSource::Reported));
    assert_eq!(item.metadata.as_json(), r#"{"article_id":123}"#);
}

#[test]
fn an_empty_item_is_a_successful_call_of_which_nothing_is_known() {
    let item = good("{}");
    assert_eq!((item.api_type.as_str(), item.model.as_str()), (UNKNOWN, UNKNOWN));
    assert_eq!((item.tokens, item.usage_source), (TokenCounts::default(), UsageSource::None));
    assert_eq!((item.status, item.at, item.given, item.cost), (Status::Ok, None, None, None));
}

#[test]
fn names_of_other_trackers_are_taken() {
    let item = good(
        r#"{"requestId":"r-1","timestamp":"2026-02-05T06:01:47Z","model":"claude","inputTokens":5000,
            "outputTokens":3000,"agent_name":"need_analysis","userId":42,"sessionId":"s-1","cost":0.032,
            "operation":"plan","feature":"workshop","team":"sales","service_tier":"flex","local":false}"#,
    );
    assert_eq!((item.tokens.prompt, item.tokens.completion), (5000, 3000));
    assert_eq!(item.given, Some(Given { name: Name::from("api"), id: Name::from("r-1") }));
    assert_eq!(item.user.as_ref().map(Identity::expose), Some("42"));
    assert_eq!(item.agent.as_deref(), Some("need_analysis"));
    assert_eq!(item.cost.map(|cost| cost.to_string()).as_deref(), Some("0.032"));
    assert!(matches!(item.at, Some(ItemTime::Instant(at)) if at.to_string() == "2026-02-05T06:01:47.000000+00:00"));
    assert!(!format!("{item:?}").contains("42"), "identities are not shown");
}

#[test]
fn costs_are_exact() {
    for (cost, shown) in [
        ("0.1", "0.1"),
        (r#""0.000000000001""#, "0.000000000001"),
        ("1.5e-05", "0.000015"),
        ("0.30000000000000004", "0.3"),
        ("9007199254.740993", ""),
        ("900719925.740993000001", "900719925.740993000001"),
        (r#""0.0000000000001""#, ""),
        (r#""1e-5""#, ""),
        ("-0.1", ""),
        (r#""-0.1""#, ""),
        ("1e400", ""),
        ("true", ""),
    ] {
        let read = read(&format!(r#"{{"cost_usd":{cost}}}"#));
        let cost_read = read.ok().and_then(|item| item.cost).map(|cost| cost.to_string()).unwrap_or_default();
        assert_eq!(cost_read, shown, "{cost}");
    }
}

#[test]
fn counts_that_are_missing_are_not_zero() {
    for (counts, expected) in [
        (r#""prompt_tokens":5"#, (5, 0, UsageSource::Partial)),
        (r#""prompt_tokens":5,"total_tokens":9"#, (5, 4, UsageSource::Reported)),
        (r#""completion_tokens":5,"total_tokens":9"#, (4, 5, UsageSource::Reported)),
        (r#""prompt_tokens":0,"completion_tokens":0"#, (0, 0, UsageSource::Reported)),
        (r#""total_tokens":0"#, (0, 0, UsageSource::Reported)),
        (r#""prompt_tokens":5,"completion_tokens":1.0,"usage_source":"estimated""#, (5, 1, UsageSource::Estimated)),
    ] {
        let item = good(&format!("{{{counts}}}"));
        assert_eq!((item.tokens.prompt, item.tokens.completion, item.usage_source), expected, "{counts}");
    }
}

#[test]
fn how_it_ended_is_a_class_and_never_a_text() {
    for (fields, status, failure) in [
        (r#""success":false,"error_message":"429 Quota excedida""#, Status::Error, Some("rate_limited 429")),
        (r#""success":false"#, Status::Error, Some("other")),
        (r#""error_message":"my secret prompt""#, Status::Error, Some("other")),
        (r#""error_message":"idle_timeout""#, Status::Timeout, Some("idle_timeout")),
        (r#""status":"cancelled""#, Status::Cancelled, Some("other")),
        (r#""status":"cached","success":true"#, Status::Cached, None),
        (r#""success":true,"error_message":"""#, Status::Ok, None),
    ] {
        let item = good(&format!("{{{fields}}}"));
        let shown = item.failure.map(|failure| failure.to_string());
        assert_eq!((item.status, shown.as_deref()), (status, failure), "{fields}");
    }
}

#[test]
fn mistakes_name_the_field_and_what_is_expected_and_never_the_value() {
    for (item, expected) in [
        (
            r#"{"prompt_tokens":"SECRET"}"#,
            "`prompt_tokens` is a text that is not valid here; expected a whole number from 0 to 1000000000000, for example `150`",
        ),
        (
            r#"{"prompt_tokens":-1}"#,
            "`prompt_tokens` is `-1`, which is not valid; expected a whole number from 0 to 1000000000000, for example `150`",
        ),
        (
            r#"{"status":"SECRET"}"#,
            "`status` is a text that is not valid here; expected one of `ok`, `cached`, `error`, `timeout`, `cancelled`, `refused`, \
             `interrupted`, for example `ok`",
        ),
        (
            r#"{"success":"true"}"#,
            "`success` is a text that is not valid here; expected `true` or `false`, for example `true`",
        ),
        (r#"{"model":7}"#, "`model` is `7`, which is not valid; expected a text, for example `chat`"),
        (r#"{"source":"a"}"#, "`source` is there without `id`; expected both, or only `id`"),
        (r#"{"model":"a","model":"b"}"#, "`model` is there twice; expected it once"),
        (r#"{"input_tokens":1,"prompt_tokens":1}"#, "`prompt_tokens` is there twice; expected it once"),
        (
            r#"{"promt_tokens":1}"#,
            "`promt_tokens` is not a field of a usage item; expected the documented names, and own data inside `metadata`",
        ),
        (
            r#"{"sk-SECRET 12":1}"#,
            "a name is not a field of a usage item; expected the documented names, and own data inside `metadata`",
        ),
        (
            r#"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":4}"#,
            "`total_tokens` is not the sum of `prompt_tokens` and `completion_tokens`; expected the sum, or leave it out",
        ),
        (
            r#"[1]"#,
            "the item is a list; expected an object, for example `{\"model\":\"llama3.2\",\"prompt_tokens\":150}`",
        ),
    ] {
        assert_eq!(bad(item), expected, "{item}");
    }
}

#[test]
fn e2_hostile_items_are_refused_and_nothing_of_them_is_repeated() {
    let long = "SECRET".repeat(1000);
    for item in [
        r#"{"timestamp":"SECRET"}"#.to_owned(),
        r#"{"timestamp":"0001-01-01T00:00:00Z"}"#.to_owned(),
        r#"{"timestamp":"2026-02-30T00:00:00"}"#.to_owned(),
        r#"{"timestamp":1770271307}"#.to_owned(),
        r#"{"prompt_tokens":99999999999999999999999999999}"#.to_owned(),
        r#"{"prompt_tokens":1e999999999}"#.to_owned(),
        r#"{"prompt_tokens":0.5}"#.to_owned(),
        r#"{"prompt_tokens":5,"cached_tokens":6}"#.to_owned(),
        r#"{"prompt_tokens":5,"usage_source":"none"}"#.to_owned(),
        r#"{"total_tokens":5}"#.to_owned(),
        r#"{"prompt_tokens":5,"total_tokens":4}"#.to_owned(),
        r#"{"success":true,"status":"error"}"#.to_owned(),
        r#"{"latency_ms":-5}"#.to_owned(),
        r#"{"metadata":[]}"#.to_owned(),
        r#"{"metadata":{"a":1e999}}"#.to_owned(),
        format!(r#"{{"metadata":{{"a":"{long}"}}}}"#),
        format!(r#"{{"id":"{long}"}}"#),
        r#"{"id":"a\u0000SECRET"}"#.to_owned(),
        r#"{"user":{"name":"SECRET"}}"#.to_owned(),
        r#"{"model":"\ud800SECRET"}"#.to_owned(),
        "{SECRET".to_owned(),
    ] {
        let mistakes = bad(&item);
        assert!(!mistakes.contains("SECRET") && mistakes.len() < 400, "{item}: {mistakes}");
    }
    assert_eq!(bad(r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1}"#).matches("; ").count(), 9, "five are listed");
}

#[test]
fn names_are_cleaned_and_waits_are_cut_to_whole_milliseconds() {
    let item = good(r#"{"model":" gpt\u001b[31m ","feature":"  ","latency_ms":2450.9,"first_token_ms":3e2}"#);
    assert_eq!((item.model.as_str(), item.feature), ("gpt[31m", None));
    assert_eq!((item.latency_ms, item.first_token_ms), (Some(2450), Some(300)));
}

#[test]
fn e3_what_is_no_number_is_no_cost_and_no_latency() {
    for value in ["NaN", "Infinity", "-Infinity", "1e999", "\"NaN\"", "\"inf\"", "-0.1", "[]"] {
        for field in ["cost_usd", "latency_ms", "first_token_ms", "prompt_tokens"] {
            assert!(read(&format!("{{\"{field}\":{value}}}")).is_err(), "{field}: {value}");
        }
    }
}
