//! A token log: one call per line, without ids, on a wall clock.

use std::io::{self, BufRead};

use super::found::{ContentIds, Found, identified};
use super::lines::{self, Line, MAX_BYTES};
use crate::service::items::{UsageItem, read_foreign};
use crate::usage::{Status, UsageSource};

/// Whose calls these are, unless somebody names them otherwise.
pub(super) const SOURCE: &str = "token-log";

/// Reads `tokens_YYYY-MM-DD.jsonl`.
///
/// # Errors
/// When the reader fails.
pub(super) fn read(reader: impl BufRead, source: &str, mut on: impl FnMut(Found)) -> io::Result<()> {
    let mut ids = ContentIds::default();
    lines::for_each(reader, |line, content| {
        let read = match content {
            Line::TooLong => Err(format!("the line is longer than {MAX_BYTES} bytes; expected one call")),
            Line::Bytes(content) => call(content).map(|item| identified(item, source, content, &mut ids)),
        };
        on(match read {
            Ok(item) => Found::Item { line, item: Box::new(item) },
            Err(reason) => Found::Bad { line, reason },
        });
    })
}

fn call(content: &[u8]) -> Result<UsageItem, String> {
    let text = std::str::from_utf8(content).map_err(|_| "the line is not UTF-8".to_owned())?;
    if text.ends_with("\"}") && text.contains(",\"seq\":") && text.contains(",\"crc\":\"") {
        return Err("a line of a tallybot's journal; expected a call that others recorded, or --format tallybot".into());
    }
    let item = read_foreign(text).map_err(|mistakes| mistakes.to_string())?;
    if item.at.is_none() {
        return Err("`timestamp` is missing; expected when the call was, for example `2025-02-05T12:01:47`".to_owned());
    }
    if item.usage_source == UsageSource::None && item.status == Status::Ok {
        return Err(
            "it says neither how many tokens were used nor that the call failed; expected `prompt_tokens` and \
                    `completion_tokens`"
                .to_owned(),
        );
    }
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"timestamp":"2025-02-05T12:01:47.127728","api_type":"gemini","model":"gemini-2.5-flash","api_key_suffix":"abc123","prompt_tokens":150,"completion_tokens":320,"total_tokens":470,"success":true,"error_message":null,"metadata":{}}"#;

    fn found(text: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        read(text, SOURCE, |one| found.push(one)).expect("memory can be read");
        found
    }

    fn ids(found: &[Found]) -> Vec<String> {
        let id = |found: &Found| match found {
            Found::Item { item, .. } => item.given.as_ref().map_or_else(String::new, |given| given.id.to_string()),
            other => panic!("{other:?}"),
        };
        found.iter().map(id).collect()
    }

    #[test]
    fn equal_calls_are_two_and_stay_the_same_two_when_the_file_grows() {
        let one = ids(&found(LINE.as_bytes()));
        let two = ids(&found(format!("{LINE}\r\n\n{LINE}\n").as_bytes()));
        let three =
            ids(&found(format!("{LINE}\n{}\n{LINE}\n", LINE.replace("150", "151").replace("470", "471")).as_bytes()));
        assert_eq!(one[0], two[0]);
        assert_ne!(two[0], two[1]);
        assert_eq!([&three[0], &three[2]], [&two[0], &two[1]]);
        assert!(!two.contains(&three[1]));
    }

    #[test]
    fn an_id_of_its_own_is_kept_and_fields_of_others_are_passed_over() {
        let own = LINE.replacen('{', r#"{"id":"r-1","trace":"x","#, 1);
        let other = LINE.replacen('{', r#"{"id":"r-1","source":"app","#, 1);
        let sourced = LINE.replacen('{', r#"{"source":"app","#, 1);
        assert_eq!(ids(&found(own.as_bytes())), ["r-1"]);
        assert_eq!(ids(&found(other.as_bytes())), ["app/r-1"]);
        assert_eq!(ids(&found(sourced.as_bytes()))[0].len(), 34);
    }

    #[test]
    fn what_is_no_call_is_told_by_its_line_and_hinders_no_other() {
        let long = "x".repeat(10 * 1024 * 1024);
        let mut text = Vec::new();
        for bad in [
            "{\"prompt_tokens\":-5,\"timestamp\":\"2025-02-05T12:01:47\",\"completion_tokens\":1}",
            "{\"prompt_tokens\":5,\"completion_tokens\":1}",
            "{\"timestamp\":\"2025-02-05T12:01:47\"}",
            "SECRET",
            "[]",
            "{\"timestamp\":\"2025-02-05T12:01:47\",\"prompt_tokens\":5,\"seq\":1,\"crc\":\"00000000\"}",
            "{\"half\":",
            &long,
        ] {
            text.extend_from_slice(bad.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(b"{\"model\":\"\xff\"}\n");
        text.extend_from_slice(LINE.as_bytes());
        let found = found(&text);
        assert_eq!(found.len(), 10);
        for (at, one) in found[..9].iter().enumerate() {
            let Found::Bad { line, reason } = one else { panic!("{one:?}") };
            assert_eq!(*line, at as u64 + 1);
            assert!(reason.contains("expected") || reason.contains("UTF-8"), "{reason}");
            assert!(!reason.contains("SECRET") && reason.len() < 300, "{reason}");
        }
        assert!(matches!(found[9], Found::Item { line: 10, .. }));
    }
}
