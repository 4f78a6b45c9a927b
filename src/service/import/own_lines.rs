//! The books of another tallybot: sealed lines, kept as they stand, with their ids.

use std::io::{self, BufRead};

use super::found::Found;
use super::lines::{self, Line};
use super::wire::check;
use crate::service::items::DEFAULT_SOURCE;
use crate::usage::names::Name;
use crate::usage::{Given, UsageRecord, unseal_line};

/// Reads `tokens_YYYY-MM-DD.jsonl` of other books; `books` says which, for those that look at a record later.
///
/// # Errors
/// When the reader fails.
pub(super) fn read(reader: impl BufRead, books: &str, mut on: impl FnMut(Found)) -> io::Result<()> {
    lines::for_each(reader, |line, content| {
        let read = match content {
            Line::TooLong => Err("the line is far too long to be one of tallybot's".to_owned()),
            Line::Bytes(content) => record(content, books),
        };
        on(match read {
            Ok(record) => Found::Record { line, record: Box::new(record) },
            Err(reason) => Found::Bad { line, reason },
        });
    })
}

fn record(content: &[u8], books: &str) -> Result<UsageRecord<'static>, String> {
    unseal_line(content).map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(content).map_err(|_| "the line is not UTF-8".to_owned())?;
    let record: UsageRecord<'_> = serde_json::from_str(text)
        .map_err(|_| "not a record of a version this tallybot reads; a newer one may".to_owned())?;
    check(&record)?;
    let mut record = record.into_owned();
    record.source = Some(match record.source {
        None => Given { name: Name::clean(books), id: Name::from(record.id.to_string()) },
        // What programs that name no source call their calls there says nothing of what others call theirs here.
        Some(given) if given.name == *DEFAULT_SOURCE => {
            Given { name: Name::clean(&format!("{books} {DEFAULT_SOURCE}")), ..given }
        }
        Some(given) => given,
    });
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{RecordId, Timestamp, seal_line, write_record};

    #[test]
    fn sealed_lines_are_records_and_a_changed_one_is_none() {
        let at = Timestamp::parse("2026-02-05T06:01:47.127728-06:00").expect("a time");
        let mut file = Vec::new();
        for n in 0..4u8 {
            let start = file.len();
            let mut record = UsageRecord::new(RecordId::new(at, [n; 10]), at, "ollama".into(), "llama3.2".into());
            record.tokens.prompt = 70 + u64::from(n);
            record.source = match n {
                0 | 1 => None,
                2 => Some(Given { name: "api".into(), id: "r-1".into() }),
                _ => Some(Given { name: "crm".into(), id: "r-1".into() }),
            };
            write_record(&record, &mut file);
            seal_line(&mut file, start, u64::from(n) + 1);
        }
        let text = String::from_utf8(file).expect("JSON").replacen("\"prompt_tokens\":71", "\"prompt_tokens\":79", 1);
        let mut found = Vec::new();
        read(text.as_bytes(), "these-books", |one| found.push(one)).expect("memory can be read");
        let Found::Bad { line: 2, reason } = &found[1] else { panic!("{found:?}") };
        let records: Vec<&UsageRecord<'_>> = found
            .iter()
            .filter_map(|one| if let Found::Record { record, .. } = one { Some(&**record) } else { None })
            .collect();
        let [first, third, fourth] = records[..] else { panic!("{found:?}") };
        assert_eq!(reason, "the checksum does not match");
        let given = first.source.as_ref().expect("it is marked");
        assert_eq!((given.name.as_str(), given.id.as_str()), ("these-books", &*first.id.to_string()));
        let source = |record: &UsageRecord<'_>| {
            record.source.as_ref().map(|given| (given.name.to_string(), given.id.to_string()))
        };
        assert_eq!(source(third), Some(("these-books api".to_owned(), "r-1".to_owned())), "its `api` is not ours");
        assert_eq!(source(fourth), Some(("crm".to_owned(), "r-1".to_owned())), "what it was given is kept");
    }
}
