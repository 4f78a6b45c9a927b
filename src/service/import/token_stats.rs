//! A token log's `token_stats.json`: totals by API and model, in which the calls of its log are contained.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::document::Document;
use super::found::{Found, Sums, Total, wall};
use crate::usage::names::Name;

/// One model of an API.
#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Row<'a> {
    total_prompt_tokens: Option<&'a RawValue>,
    total_completion_tokens: Option<&'a RawValue>,
    total_requests: Option<&'a RawValue>,
    successful_requests: Option<&'a RawValue>,
    failed_requests: Option<&'a RawValue>,
    last_updated: Option<String>,
}

/// Reads the document. `source` is that of the log beside it, whose calls are part of the totals.
pub(super) fn read(content: &[u8], source: &str, mut on: impl FnMut(Found)) {
    let opened = Document::open::<BTreeMap<String, BTreeMap<String, &RawValue>>>(content, "totals by API and model");
    let (mut document, apis) = match opened {
        Ok(opened) => opened,
        Err(bad) => return on(bad),
    };
    for (api, models) in apis {
        for (model, value) in models {
            let line = document.line(value);
            on(match row(&mut document, value).and_then(|row| document.finish(line).map(|()| row)) {
                Ok((sums, at)) => Found::Total(Box::new(Total {
                    source: source.to_owned(),
                    at: wall(at.as_deref()),
                    api_type: Name::clean(&api).to_string(),
                    provider: Name::clean(&api).to_string(),
                    model: Name::clean(&model).to_string(),
                    request_type: "other".to_owned(),
                    local: false,
                    sums,
                    mean_latency_ms: None,
                    line,
                })),
                Err(bad) => bad,
            });
        }
    }
}

fn row(document: &mut Document<'_>, value: &RawValue) -> Result<(Sums, Option<String>), Found> {
    let line = document.line(value);
    let Ok(row) = serde_json::from_str::<Row<'_>>(value.get()) else {
        return Err(Found::Bad { line, reason: "not the totals of a model; expected an object".to_owned() });
    };
    if row.total_requests.is_none() {
        document.wrong("`total_requests` is missing; expected a whole number, for example `3`");
    }
    let requests = document.count("total_requests", row.total_requests);
    let failed = document.count("failed_requests", row.failed_requests);
    let ok = match row.successful_requests {
        Some(_) => document.count("successful_requests", row.successful_requests),
        None => requests.saturating_sub(failed),
    };
    if ok < 0 || ok + failed != requests {
        document.wrong("`successful_requests` and `failed_requests` are not `total_requests` together");
    }
    let prompt = document.count("total_prompt_tokens", row.total_prompt_tokens);
    let completion = document.count("total_completion_tokens", row.total_completion_tokens);
    Ok((Sums { ok, failed, prompt, completion, cost: None }, row.last_updated))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Found> {
        let mut found = Vec::new();
        read(text.as_bytes(), "token-log", |one| found.push(one));
        found
    }

    #[test]
    fn the_documents_totals_are_read() {
        let found = found(include_str!("../../../tests/it/fixtures/token-log/token_stats.json"));
        let rows: Vec<_> = found
            .iter()
            .map(|one| match one {
                Found::Total(total) => (total.model.as_str(), total.sums),
                other => panic!("{other:?}"),
            })
            .collect();
        let sums = |ok, failed, prompt, completion| Sums { ok, failed, prompt, completion, cost: None };
        assert_eq!(rows, [("gemini-2.5-flash", sums(2, 1, 450, 770)), ("gemini-2.5-flash-lite", sums(1, 0, 250, 500))]);
    }

    #[test]
    fn totals_that_cannot_be_are_told_by_their_line() {
        let good = r#"{"total_requests":1,"successful_requests":1,"total_prompt_tokens":5}"#;
        for (bad, line, expected) in [
            (r#"{"total_requests":-1}"#, 2, "`total_requests` is something else"),
            (r#"{"total_requests":2,"successful_requests":1,"failed_requests":0}"#, 2, "are not `total_requests`"),
            (r#"{"total_prompt_tokens":1}"#, 2, "`total_requests` is missing"),
            ("7", 2, "expected an object"),
            ("[", 2, "not totals by API and model"),
        ] {
            let text = format!("{{\"a\":{{\n\"m\":{bad},\n\"n\":{good}}}}}");
            let found = found(&text);
            let Found::Bad { line: at, reason } = &found[0] else { panic!("{bad}: {found:?}") };
            assert_eq!(*at, line, "{reason}");
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
