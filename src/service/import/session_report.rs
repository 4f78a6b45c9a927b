//! A token tracker's report of a session: its calls with what each cost, and the session's totals.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::document::Document;
use super::found::{ContentIds, Found, Sums, TRACKER, Total, identified, of_run, wall};
use crate::service::items::{UsageItem, read_foreign};
use crate::usage::UsageSource;
use crate::usage::names::{Name, UNKNOWN};

/// Whose calls these are, unless somebody names them otherwise. Each session is a source of its own.
pub(super) const SOURCE: &str = "session-report";

/// The tracker that writes these reports follows this API alone, and does not say so.
const API: &str = "openai";

#[derive(Deserialize)]
struct Report<'a> {
    #[serde(default)]
    session_start: Option<String>,
    #[serde(borrow, default)]
    total_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    total_input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    total_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    total_cost: Option<&'a RawValue>,
    #[serde(borrow, default)]
    calls_detail: Vec<&'a RawValue>,
}

/// Reads the document.
pub(super) fn read(content: &[u8], source: &str, mut on: impl FnMut(Found)) {
    let (mut document, report) = match Document::open::<Report<'_>>(content, "a session's report") {
        Ok(opened) => opened,
        Err(bad) => return on(bad),
    };
    let source = of_run(source, report.session_start.as_deref().unwrap_or(UNKNOWN));
    let mut ids = ContentIds::default();
    let mut is_delivered = false;
    for detail in &report.calls_detail {
        on(match call(detail) {
            // In one form, however the file is indented.
            Ok((item, content)) => {
                let item = Box::new(identified(item, &source, content.as_bytes(), &mut ids));
                is_delivered |= item.given.as_ref().is_some_and(|given| given.name == *TRACKER);
                Found::Item { line: document.line(detail), item }
            }
            Err(reason) => Found::Bad { line: document.line(detail), reason },
        });
    }
    // A tracker that delivers its calls has them all in its reports.
    let Some(calls) = report.total_calls.filter(|_| !is_delivered) else { return };
    let sums = Sums {
        ok: document.count("total_calls", Some(calls)),
        failed: 0,
        prompt: document.count("total_input_tokens", report.total_input_tokens),
        completion: document.count("total_output_tokens", report.total_output_tokens),
        cost: document.dollars("total_cost", report.total_cost),
    };
    let line = document.line(calls);
    on(match document.finish(line) {
        Err(bad) => bad,
        Ok(()) => Found::Total(Box::new(Total {
            source,
            at: wall(report.session_start.as_deref()),
            api_type: API.to_owned(),
            provider: API.to_owned(),
            model: UNKNOWN.to_owned(),
            request_type: "other".to_owned(),
            local: false,
            sums,
            mean_latency_ms: None,
            line,
        })),
    });
}

fn call(detail: &RawValue) -> Result<(UsageItem, String), String> {
    let mut item = read_foreign(detail.get()).map_err(|mistakes| mistakes.to_string())?;
    if item.at.is_none() {
        return Err("`timestamp` is missing; expected when the call was, for example `2025-10-14T15:30:46`".to_owned());
    }
    if item.api_type == UNKNOWN {
        item.api_type = Name::from(API);
    }
    if item.tokens.total() == 0 && item.cost.is_none() {
        item.usage_source = UsageSource::None; // the tracker writes 0 for what it was not told
    }
    let value: Value = serde_json::from_str(detail.get()).map_err(|_| "the call is not JSON".to_owned())?;
    Ok((item, value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = include_str!("../../../tests/it/fixtures/session-report/report.json");

    fn found(text: &str) -> Vec<Found> {
        let mut found = Vec::new();
        read(text.as_bytes(), SOURCE, |one| found.push(one));
        found
    }

    #[test]
    fn the_documents_report_is_one_call_and_the_sessions_totals() {
        let found = found(REPORT);
        let [Found::Item { item: call, .. }, Found::Total(total)] = &found[..] else { panic!("{found:?}") };
        assert_eq!((call.tokens.prompt, call.tokens.completion), (5000, 3000));
        assert_eq!((call.api_type.as_str(), call.model.as_str()), ("openai", "gpt-5-nano"));
        assert_eq!((call.agent.as_deref(), call.operation.as_deref()), (Some("need_analysis"), Some("analyze_needs")));
        assert_eq!(call.cost.map(|cost| cost.to_string()).as_deref(), Some("0.032"));
        let given = call.given.as_ref().expect("every call is identified");
        assert_eq!(
            (given.name.as_str(), total.source.as_str()),
            (total.source.as_str(), "session-report 2025-10-14T15:30:45")
        );
        assert_eq!((total.sums.ok, total.sums.prompt, total.sums.completion), (7, 22000, 10000));
        assert_eq!(total.sums.cost.map(|cost| cost.to_string()).as_deref(), Some("0.124"));
    }

    #[test]
    fn a_call_is_the_same_however_the_report_is_indented() {
        let value: Value = serde_json::from_str(REPORT).expect("JSON");
        let found = |text: &str| match &found(text)[..] {
            [Found::Item { item, .. }, Found::Total(total)] => (item.clone(), total.sums),
            other => panic!("{other:?}"),
        };
        assert_eq!(found(&value.to_string()), found(REPORT));
    }

    #[test]
    fn a_call_without_tokens_and_cost_says_nothing_of_what_it_used() {
        let sources = [(0, "null"), (0, "0.0"), (7, "null")].map(|(tokens, cost)| {
            let call = format!(
                r#"{{"timestamp":"2025-10-14T15:30:46","input_tokens":{tokens},"output_tokens":0,"cost_usd":{cost}}}"#
            );
            match &found(&format!(r#"{{"session_start":"2025-10-14T15:30:45","calls_detail":[{call}]}}"#))[..] {
                [Found::Item { item, .. }] => item.usage_source,
                other => panic!("{other:?}"),
            }
        });
        assert_eq!(sources, [UsageSource::None, UsageSource::Reported, UsageSource::Reported]);
    }

    #[test]
    fn a_wrong_call_or_total_is_told_by_its_line() {
        let found = found(
            "{\"session_start\":\"2025-10-14T15:30:45\",\n\"calls_detail\":[\n{\"timestamp\":\"2025-10-14T15:30:46\",\n\
             \"input_tokens\":-1,\"output_tokens\":1},\n7,{\"model\":\"m\"}],\n\"total_calls\":1,\"total_cost\":-1}",
        );
        let lines: Vec<u64> = found
            .iter()
            .map(|one| match one {
                Found::Bad { line, .. } => *line,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(lines, [3, 5, 5, 6]);
    }
}
