//! Raymundo's `metrics.json`: totals since a start, without calls: requests by type, tokens by where they ran.
//!
//! The file does not say which model a request went to nor which of its requests failed: requests stand by type, tokens
//! by model, and failures with the type that was asked for most. Tokens that it does not split count as input; Ollama's
//! are output, because that is what it counts.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::document::Document;
use super::found::{Found, Sums, Total, of_run, wall};
use crate::reports::raymundo::{OTHER_TYPES, TYPES};
use crate::usage::names::{Name, UNKNOWN};

/// Whose totals these are, unless somebody names them otherwise. Each start is a source of its own.
pub(super) const SOURCE: &str = "metrics";

const TOKENS: &str = "total_tokens_";

/// The fields of the document that say something.
struct Metrics<'a> {
    inicio: Option<String>,
    total_requests: &'a RawValue,
    requests_por_tipo: BTreeMap<String, &'a RawValue>,
    errores: Option<&'a RawValue>,
    tiempo_promedio_respuesta: Option<&'a RawValue>,
    ultimo_request: Option<String>,
    /// Every field: those of tokens are named after their model.
    all: BTreeMap<String, &'a RawValue>,
}

/// Reads the document.
pub(super) fn read(content: &[u8], source: &str, mut on: impl FnMut(Found)) {
    let opened = Document::open::<BTreeMap<String, &RawValue>>(content, "a tracker's metrics");
    let (mut document, fields) = match opened {
        Ok(opened) => opened,
        Err(bad) => return on(bad),
    };
    let line = fields.get("total_requests").map_or(1, |value| document.line(value));
    match Metrics::of(fields) {
        None => on(Found::Bad { line, reason: "not a tracker's metrics; expected `total_requests`".to_owned() }),
        Some(metrics) => match totals_of(&mut document, &metrics, source, line) {
            Ok(totals) => totals.into_iter().for_each(|total| on(Found::Total(Box::new(total)))),
            Err(bad) => on(bad),
        },
    }
}

impl<'a> Metrics<'a> {
    fn of(fields: BTreeMap<String, &'a RawValue>) -> Option<Metrics<'a>> {
        let field = |name: &str| fields.get(name).copied();
        let text = |name: &str| serde_json::from_str::<Option<String>>(field(name)?.get()).ok().flatten();
        Some(Metrics {
            inicio: text("inicio"),
            total_requests: field("total_requests")?,
            requests_por_tipo: match field("requests_por_tipo") {
                Some(types) => serde_json::from_str(types.get()).ok()?,
                None => BTreeMap::new(),
            },
            errores: field("errores"),
            tiempo_promedio_respuesta: field("tiempo_promedio_respuesta"),
            ultimo_request: text("ultimo_request"),
            all: fields,
        })
    }
}

fn totals_of(document: &mut Document<'_>, metrics: &Metrics<'_>, source: &str, line: u64) -> Result<Vec<Total>, Found> {
    let source = of_run(source, metrics.inicio.as_deref().unwrap_or(UNKNOWN));
    let at = wall(metrics.ultimo_request.as_deref()).or_else(|| wall(metrics.inicio.as_deref()));
    let mean_latency_ms = document.seconds("tiempo_promedio_respuesta", metrics.tiempo_promedio_respuesta);
    let total = |place: (&str, &str, &str), request_type: String, sums: Sums| Total {
        source: source.clone(),
        at,
        api_type: place.0.to_owned(),
        provider: place.1.to_owned(),
        model: place.2.to_owned(),
        request_type,
        local: place.0 == "ollama",
        sums,
        mean_latency_ms: mean_latency_ms.filter(|_| sums.ok + sums.failed > 0),
        line,
    };
    let unknown = (UNKNOWN, UNKNOWN, UNKNOWN);
    let by_type = by_type(document, metrics);
    let mut totals: Vec<Total> = by_type.into_iter().map(|(kind, sums)| total(unknown, kind, sums)).collect();
    for (name, value) in &metrics.all {
        let Some(model) = name.strip_prefix(TOKENS) else { continue };
        // A name of ours is said again, any other is the file's own.
        let shown = if matches!(model, "ollama" | "gpt4o") { name } else { "total_tokens_…" };
        let tokens = document.count(shown, Some(value));
        let sums = |prompt, completion| Sums { prompt, completion, ..Sums::default() };
        let (place, sums) = match model {
            "ollama" => (("ollama", "ollama", UNKNOWN), sums(0, tokens)),
            "gpt4o" => (("openai", "github", "gpt-4o"), sums(tokens, 0)),
            other => ((UNKNOWN, UNKNOWN, other), sums(tokens, 0)),
        };
        let name = Name::clean(place.2);
        totals.push(total((place.0, place.1, name.as_str()), "other".to_owned(), sums));
    }
    document.finish(line)?;
    totals.retain(|total| !total.sums.is_zero());
    Ok(totals)
}

/// The requests of each type, those of no type as `other`; the failed ones with the most frequent type.
fn by_type(document: &mut Document<'_>, metrics: &Metrics<'_>) -> Vec<(String, Sums)> {
    let mut by_type: BTreeMap<String, i64> = BTreeMap::new();
    for (name, value) in &metrics.requests_por_tipo {
        *by_type.entry(type_of(name)).or_default() += document.count("requests_por_tipo", Some(value));
    }
    let all = document.count("total_requests", Some(metrics.total_requests));
    let typed: i64 = by_type.values().sum();
    if all > typed {
        *by_type.entry("other".to_owned()).or_default() += all - typed;
    }
    let mut failed = document.count("errores", metrics.errores);
    let mut rows: Vec<(String, Sums)> =
        by_type.into_iter().map(|(kind, ok)| (kind, Sums { ok, ..Sums::default() })).collect();
    rows.sort_by(|(a, of_a), (b, of_b)| of_b.ok.cmp(&of_a.ok).then_with(|| a.cmp(b)));
    for (_, sums) in &mut rows {
        let here = failed.min(sums.ok);
        (sums.ok, sums.failed, failed) = (sums.ok - here, here, failed - here);
    }
    rows
}

/// The type in our words.
fn type_of(name: &str) -> String {
    if name == OTHER_TYPES {
        return "other".to_owned();
    }
    let known = TYPES.iter().find(|(_, its)| *its == name);
    known.map_or_else(|| Name::clean(name).to_string(), |(ours, _)| (*ours).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Found> {
        let mut found = Vec::new();
        read(text.as_bytes(), SOURCE, |one| found.push(one));
        found
    }

    #[test]
    fn the_documents_file_gives_its_own_numbers() {
        let found = found(include_str!("../../../tests/it/fixtures/raymundo/metrics.json"));
        let totals: Vec<&Total> = found
            .iter()
            .map(|one| match one {
                Found::Total(total) => &**total,
                other => panic!("{other:?}"),
            })
            .collect();
        let sum = totals.iter().fold(Sums::default(), |sum, total| sum.plus(total.sums));
        assert_eq!((sum.ok, sum.failed, sum.prompt + sum.completion), (244, 3, 173_680));
        let requests = |kind: &str| -> i64 {
            let of = totals.iter().filter(|total| total.request_type == kind);
            of.map(|total| total.sums.ok + total.sums.failed).sum()
        };
        let kinds = ["chat", "presentation", "document", "spreadsheet", "web_scraping", "correction", "other"];
        assert_eq!(kinds.map(requests), [189, 12, 25, 8, 11, 2, 0]);
        assert!(totals.iter().all(|total| total.source == "metrics 2024-01-13T09:00:00"));
        let timed = totals.iter().filter(|total| total.mean_latency_ms == Some(2450));
        assert_eq!(timed.map(|total| total.sums.ok + total.sums.failed).sum::<i64>(), 247);
        let local: Vec<_> = totals.iter().filter(|total| total.local).map(|total| total.sums.completion).collect();
        assert_eq!(local, [45_230]);
    }

    #[test]
    fn every_type_it_knows_comes_back_as_ours() {
        for (ours, its) in TYPES {
            assert_eq!(type_of(its), ours);
        }
        assert_eq!([type_of("otros"), type_of("its_own")], ["other", "its_own"]);
    }

    #[test]
    fn numbers_that_cannot_be_are_told_by_their_line() {
        for (text, expected) in [
            ("{\n\"total_requests\":-1}", 2),
            ("{\"total_requests\":1,\"errores\":\"SECRET\"}", 1),
            ("{\"total_requests\":1,\"requests_por_tipo\":7}", 1),
            ("{\"total_requests\":1,\"total_tokens_SECRET\":{}}", 1),
            ("{}", 1),
            ("[]", 1),
            ("{\n\n", 3),
        ] {
            let found = found(text);
            let [Found::Bad { line, reason }] = &found[..] else { panic!("{text}: {found:?}") };
            assert_eq!(*line, expected, "{text}: {reason}");
            assert!(!reason.contains("SECRET"), "{reason}");
        }
    }
}
