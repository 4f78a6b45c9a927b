//! Its `metrics.json`.

use serde::Serialize;

use super::{as_object, requests_by_type, time};
use crate::reports::StatsReport;
use crate::usage::Zone;

/// What an exported `metrics.json` says it was made by.
pub const MADE_BY: &str = "tallybot";

/// Its `metrics.json`: what a report says, under its keys.
#[derive(Clone, Debug, Serialize)]
pub struct Metrics {
    inicio: String,
    total_requests: u64,
    total_tokens_ollama: u64,
    total_tokens_gpt4o: u64,
    #[serde(serialize_with = "as_object")]
    requests_por_tipo: Vec<(&'static str, u64)>,
    errores: u64,
    tiempo_promedio_respuesta: f64,
    usuarios_unicos: u64,
    ultimo_request: Option<String>,
    /// Not that bot's: by it an import knows that these calls have books.
    generado_por: &'static str,
}

impl Metrics {
    /// The metrics of a report. All local tokens are Ollama's and all cloud tokens GPT-4o's, as it knew no others.
    pub fn of(report: &StatsReport, zone: Zone) -> Metrics {
        Metrics {
            inicio: time(report.counting_since.unwrap_or(report.generated_at), zone),
            total_requests: report.requests.total,
            total_tokens_ollama: report.tokens.local,
            total_tokens_gpt4o: report.tokens.cloud,
            requests_por_tipo: requests_by_type(&report.requests.by_type),
            errores: report.requests.failed,
            tiempo_promedio_respuesta: report.latency_ms.mean.map_or(0.0, |millis| millis as f64 / 1000.0),
            usuarios_unicos: report.conversations.users,
            ultimo_request: report.last_request_at.map(|at| time(at, zone)),
            generado_por: MADE_BY,
        }
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data can be written") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::stats::{Latency, PlaceTokens, Tokens};
    use crate::stats::Period;
    use crate::usage::{Timestamp, zone};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn the_file_of_raymundo_key_by_key() {
        let mut report = StatsReport::empty("Raymundo", "0", Period::All, at("2024-01-15T20:45:00Z"));
        report.counting_since = Some(at("2024-01-13T15:00:00.123456Z"));
        report.last_request_at = Some(at("2024-01-15T14:32:18.999999-06:00"));
        report.requests.total = 248;
        let types = [("chat", 189), ("presentation", 12), ("document", 25), ("spreadsheet", 8), ("web_scraping", 11)];
        report.requests.by_type =
            types.into_iter().chain([("correction", 2)]).map(|(name, n)| (name.to_owned(), n)).collect();
        let place = |prompt, completion| PlaceTokens { prompt, completion, estimated: 0 };
        report.tokens = Tokens::of_places(place(45_000, 230), place(128_000, 450));
        report.requests.failed = 3;
        report.latency_ms = Latency { mean: Some(2450), ..Latency::default() };
        report.conversations.users = 5;
        let zone = zone("America/Mexico_City");
        let expected = r#"{
  "inicio": "2024-01-13T09:00:00",
  "total_requests": 248,
  "total_tokens_ollama": 45230,
  "total_tokens_gpt4o": 128450,
  "requests_por_tipo": {
    "chat": 189,
    "presentacion": 12,
    "documento": 25,
    "hoja_calculo": 8,
    "web_scraping": 11,
    "correccion": 2,
    "vision": 0
  },
  "errores": 3,
  "tiempo_promedio_respuesta": 2.45,
  "usuarios_unicos": 5,
  "ultimo_request": "2024-01-15T14:32:18",
  "generado_por": "tallybot"
}
"#;
        assert_eq!(Metrics::of(&report, zone).to_json(), expected);
        report.requests.by_type.insert("internal".to_owned(), 1);
        let others: Vec<_> = requests_by_type(&report.requests.by_type).into_iter().skip(7).collect();
        assert_eq!(others, [("otros", 1)], "rows sum to the total");
    }
}
