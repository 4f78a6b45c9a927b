//! Records and opening balances on their way to the tallybot that holds the books: the body of `POST /v1/import`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::service::items::{BodyError, MAX_COST_USD, MAX_ITEMS, MAX_MILLIS, MAX_TOKENS};
use crate::usage::names::Name;
use crate::usage::{MAX_LINE_BYTES, MAX_METADATA_BYTES, Money, Opening, UsageRecord};

/// What the journal adds to a line, at most.
const SEAL_BYTES: usize = 64;

/// One line of the body.
#[derive(Clone, Debug, PartialEq)]
pub enum ImportLine {
    /// A record that is complete: it is kept as it is, its id and its cost included.
    Record(Box<UsageRecord<'static>>),
    /// A total, or what is to be taken back of one.
    Opening(Box<Opening>),
}

#[derive(Deserialize)]
struct OpeningLine {
    opening: Opening,
}

/// Reads a body of lines, each with its own verdict.
///
/// # Errors
/// When the body as a whole makes no sense.
pub fn parse_lines(body: &[u8]) -> Result<Vec<Result<ImportLine, String>>, BodyError> {
    let text = std::str::from_utf8(body).map_err(|error| BodyError::NotText(error.valid_up_to()))?;
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines().next().is_none() {
        return Err(BodyError::Empty);
    }
    if lines().nth(MAX_ITEMS).is_some() {
        return Err(BodyError::TooMany);
    }
    Ok(lines().map(parse_line).collect())
}

fn parse_line(line: &str) -> Result<ImportLine, String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("the line has {} bytes; expected at most {MAX_LINE_BYTES}", line.len()));
    }
    if line.starts_with("{\"opening\":") {
        let read: Result<OpeningLine, _> = serde_json::from_str(line);
        let opening =
            read.map_err(|_| "not an opening balance; expected one as tallybot writes it".to_owned())?.opening;
        check_opening(&opening)?;
        return Ok(ImportLine::Opening(Box::new(opening)));
    }
    let record: UsageRecord<'_> =
        serde_json::from_str(line).map_err(|_| "not a record; expected one as tallybot writes it".to_owned())?;
    if record.source.is_none() {
        let example = r#"`"source":{"name":"other-machine","id":"r-1"}`"#;
        return Err(format!("the record has no `source`, and sent again it would count again; expected {example}"));
    }
    check(&record)?;
    Ok(ImportLine::Record(Box::new(record.into_owned())))
}

/// Whether an opening balance that others wrote stays within what a record may have, in both directions.
///
/// # Errors
/// What does not.
pub(super) fn check_opening(opening: &Opening) -> Result<(), String> {
    let Opening { ok, failed, prompt, completion, .. } = *opening;
    if [ok, failed, prompt, completion].iter().any(|count| count.unsigned_abs() > MAX_TOKENS) {
        return Err(format!("a count of the opening balance cannot be; expected at most {MAX_TOKENS}"));
    }
    if opening.cost_usd.is_some_and(|cost| cost.pico_usd().unsigned_abs() > most_cost().pico_usd().unsigned_abs()) {
        return Err(format!("`cost_usd` of the opening balance cannot be; expected at most {MAX_COST_USD} dollars"));
    }
    if opening.mean_latency_ms.is_some_and(|millis| millis > MAX_MILLIS) {
        return Err(format!("`mean_latency_ms` cannot be; expected milliseconds from 0 to {MAX_MILLIS}"));
    }
    Ok(())
}

fn most_cost() -> Money {
    Money::from_pico_usd(i128::from(MAX_COST_USD) * 1_000_000_000_000)
}

/// Whether a record that others wrote keeps every bound that those written here keep.
///
/// # Errors
/// Which it does not.
pub(super) fn check(record: &UsageRecord<'_>) -> Result<(), String> {
    let tokens = &record.tokens;
    let counts = [tokens.prompt, tokens.completion, tokens.cached, tokens.cache_write, tokens.cache_write_1h];
    if !tokens.is_consistent() || counts.iter().any(|count| *count > MAX_TOKENS) || record.count > MAX_TOKENS {
        return Err(format!("the counts cannot be; expected slices within their totals, and at most {MAX_TOKENS}"));
    }
    if record.cost.is_some_and(|cost| cost < Money::ZERO || cost > most_cost()) {
        return Err(format!("`cost_usd` cannot be; expected dollars from 0 to {MAX_COST_USD}"));
    }
    if [record.latency_ms, record.first_token_ms].into_iter().flatten().any(|millis| millis > MAX_MILLIS) {
        return Err(format!(
            "`latency_ms` or `first_token_ms` cannot be; expected milliseconds from 0 to {MAX_MILLIS}"
        ));
    }
    if names_of(record).into_iter().flatten().any(|name| !name.is_empty() && Name::clean(name) != **name) {
        return Err("a name is too long or has control characters; expected those that tallybot writes".to_owned());
    }
    let metadata = record.metadata.as_json();
    if metadata.len() > MAX_METADATA_BYTES || serde_json::from_str::<&RawValue>(metadata).is_err() {
        return Err(format!("`metadata` is not an object of at most {MAX_METADATA_BYTES} bytes"));
    }
    let mut line = Vec::new();
    crate::usage::write_record(record, &mut line);
    if line.len() + SEAL_BYTES > MAX_LINE_BYTES {
        return Err(format!("the record is longer than {MAX_LINE_BYTES} bytes"));
    }
    Ok(())
}

fn names_of<'r>(record: &'r UsageRecord<'_>) -> [Option<&'r Name<'r>>; 16] {
    let given = record.source.as_ref();
    [
        Some(&record.api_type),
        Some(&record.model),
        Some(&record.provider),
        Some(&record.request_type),
        Some(&record.channel),
        record.price_id.as_ref(),
        record.key.as_ref(),
        record.service_tier.as_ref(),
        record.feature.as_ref(),
        record.agent.as_ref(),
        record.operation.as_ref(),
        record.team.as_ref(),
        record.requested_model.as_ref(),
        record.prompt_print.as_ref(),
        given.map(|given| &given.name),
        given.map(|given| &given.id),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Given, RecordId, Timestamp};

    fn line(change: impl FnOnce(&mut UsageRecord<'static>)) -> String {
        let at = Timestamp::parse("2026-02-05T06:01:47.127728-06:00").expect("a time");
        let mut record = UsageRecord::new(RecordId::new(at, [7; 10]), at, "ollama".into(), "llama3.2".into());
        record.source = Some(Given { name: "elsewhere".into(), id: "r-1".into() });
        change(&mut record);
        written(&record)
    }

    fn written(record: &UsageRecord<'_>) -> String {
        let mut line = Vec::new();
        crate::usage::write_record(record, &mut line);
        String::from_utf8(line).expect("JSON")
    }

    #[test]
    fn a_record_comes_through_as_it_is_and_one_out_of_bounds_does_not() {
        let good = line(|record| record.cost = Some(Money::from_pico_usd(5)));
        let Ok(ImportLine::Record(record)) = parse_line(&good) else { panic!("{good}") };
        assert_eq!(written(&record), good);
        let nameless = parse_line(&line(|record| record.source = None)).expect_err("it would count twice");
        assert!(nameless.contains("no `source`") && nameless.contains("expected `\"source\":{"), "{nameless}");
        for bad in [
            line(|record| record.tokens.cached = 1),
            line(|record| record.tokens.prompt = u64::MAX),
            line(|record| record.cost = Some(Money::from_pico_usd(-1))),
            line(|record| record.latency_ms = Some(MAX_MILLIS + 1)),
            line(|record| record.first_token_ms = Some(u64::MAX)),
            line(|record| record.model = "m".repeat(200).into()),
            line(|record| record.feature = Some("f\u{1b}[31m".into())),
            "{\"opening\":{\"source\":\"s\"}}".to_owned(),
            "{}".to_owned(),
            format!("{{\"v\":1,\"x\":\"{}\"}}", "y".repeat(20_000)),
        ] {
            assert!(parse_line(&bad).is_err(), "{bad}");
        }
        assert_eq!(parse_lines(b" \n"), Err(BodyError::Empty));
        assert_eq!(parse_lines(&b"{}\n".repeat(MAX_ITEMS + 1)), Err(BodyError::TooMany));
    }
    #[test]
    fn e1_an_opening_beyond_what_can_be_is_refused() {
        let at = Timestamp::parse("2026-02-05T06:01:47.127728-06:00").expect("a time");
        let parsed = |change: &dyn Fn(&mut Opening)| {
            let mut opening = Opening::new("s", at, "p", "m");
            change(&mut opening);
            parse_line(&serde_json::json!({ "opening": opening }).to_string())
        };
        let most = i64::try_from(MAX_TOKENS).expect("it fits");
        assert!(parsed(&|opening| (opening.ok, opening.prompt) = (most, -most)).is_ok());
        assert!(parsed(&|opening| opening.ok = most + 1).is_err());
        assert!(parsed(&|opening| opening.failed = i64::MIN).is_err());
        assert!(parsed(&|opening| opening.prompt = -most - 1).is_err());
        assert!(parsed(&|opening| opening.completion = i64::MAX).is_err());
        assert!(parsed(&|opening| opening.cost_usd = Some(Money::from_pico_usd(i128::MIN))).is_err());
        assert!(parsed(&|opening| opening.mean_latency_ms = Some(u64::MAX)).is_err());
    }
}
