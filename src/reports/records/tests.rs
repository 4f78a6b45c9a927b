//! What an export promises: no cell is a formula, no digit is lost, every column says what the record says; and lines
//! that fit on a screen.

use proptest::prelude::*;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::*;
use crate::stats::ModelTable;
use crate::usage::arbitrary::{BASE_MICROS, record};
use crate::usage::{
    Day, ErrorKind, Failure, Kind, Money, RecordId, Status, SubjectId, Timestamp, UsageRecord, UsageSource,
    write_record,
};

fn at(secs: i64) -> Timestamp {
    Timestamp::new(BASE_MICROS + secs * 1_000_000, -6 * 3600)
}

fn plain(n: u8) -> UsageRecord<'static> {
    let at = at(i64::from(n));
    let mut record = UsageRecord::new(RecordId::new(at, [n; 10]), at, "openai".into(), "gpt-4o".into());
    (record.tokens.prompt, record.tokens.completion) = (150, 320);
    (record.cost, record.latency_ms) = (Some(Money::parse_usd("0.003575").expect("money")), Some(2450));
    record
}

fn exported(records: &[UsageRecord<'_>], format: Format, columns: Option<&str>) -> String {
    let mut out = Vec::new();
    let columns = columns.map(|names| columns_named(names).expect("known columns"));
    let mut writer = RecordWriter::new(&mut out, format, columns);
    records.iter().for_each(|record| writer.write(record).expect("memory"));
    writer.finish().expect("memory");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn a_text_is_never_a_formula_and_a_number_stays_one() {
    let mut hostile = plain(1);
    hostile.model = "=1+1;cmd|' /C calc'!A0".into();
    hostile.feature = Some("+49".into());
    hostile.agent = Some("-2+3".into());
    hostile.operation = Some("@SUM(A1:A9)".into());
    hostile.team = Some("\tbold, \"quoted\"\nand broken".into());
    hostile.key = Some("\0null".into());
    hostile.tokens.prompt = 9_007_199_254_740_993;
    let columns = "model,feature,agent,operation,team,key,prompt_tokens,cost_usd,local,latency_ms,first_token_ms";
    let expected = concat!(
        "\"model\",\"feature\",\"agent\",\"operation\",\"team\",\"key\",",
        "\"prompt_tokens\",\"cost_usd\",\"local\",\"latency_ms\",\"first_token_ms\"\n",
        "\"'=1+1;cmd|' /C calc'!A0\",\"'+49\",\"'-2+3\",\"'@SUM(A1:A9)\",\"'\tbold, \"\"quoted\"\"\nand broken\",",
        "\"'\0null\",9007199254740993,0.003575,\"false\",2450,\n",
    );
    assert_eq!(exported(&[hostile], Format::Csv, Some(columns)), expected);
}

#[test]
fn columns_go_by_their_names() {
    assert_eq!(columns_named(" day , model").map(|columns| columns.len()), Ok(2));
    let unknown = columns_named("day,tokens").map(|_| ()).expect_err("unknown");
    assert!(unknown.contains("no column `tokens`") && unknown.contains("total_tokens"), "{unknown}");
    assert!(columns_named("day,day").map(|_| ()).expect_err("twice").contains("twice"));
    let names: std::collections::BTreeSet<&str> = COLUMNS.iter().map(|column| column.name).collect();
    assert_eq!(names.len(), COLUMNS.len());
}

#[test]
fn json_without_columns_is_the_record_itself() {
    let records = [plain(1), plain(2)];
    let mut line = Vec::new();
    write_record(&records[0], &mut line);
    let lines = exported(&records, Format::Jsonl, None);
    assert_eq!(lines.lines().next().map(str::as_bytes), Some(&line[..]));
    let array = exported(&records, Format::Json, None);
    let array: Vec<UsageRecord<'_>> = serde_json::from_str(&array).expect("an array");
    assert_eq!(array, records);
    assert_eq!(exported(&[], Format::Json, None), "[]\n");
    assert_eq!(exported(&[], Format::Jsonl, None), "");
    let few = exported(&records[..1], Format::Jsonl, Some("day,hour,total_tokens,cost_usd,of"));
    assert_eq!(
        few,
        "{\"day\":\"2026-11-21\",\"hour\":18,\"total_tokens\":470,\"cost_usd\":\"0.003575\",\"of\":null}\n"
    );
}

proptest! {
    #[test]
    fn every_column_says_what_the_record_says(record in record()) {
        let mut text = Vec::new();
        write_record(&record, &mut text);
        let whole: Value = serde_json::from_slice(&text).expect("JSON");
        let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
        let row: Value = serde_json::from_str(&exported(&[record], Format::Jsonl, Some(&names.join(",")))).expect("JSON");
        let defaults = serde_json::json!({"kind": "usage", "local": false, "usage_source": "reported", "attempt": 1,
            "count": 1, "cached_tokens": 0, "cache_write_tokens": 0, "cache_write_1h_tokens": 0, "reasoning_tokens": 0});
        for name in names {
            let said = match name {
                "day" => Value::from(&whole["timestamp"].as_str().expect("a time")[..10]),
                "hour" => whole["timestamp"].as_str().expect("a time")[11..13].parse::<u8>().expect("an hour").into(),
                "source_name" => whole["source"]["name"].clone(),
                "source_id" => whole["source"]["id"].clone(),
                _ => whole.get(name).or(defaults.get(name)).cloned().unwrap_or(Value::Null),
            };
            prop_assert_eq!(&row[name], &said, "{}", name);
        }
    }

    #[test]
    fn a_line_fits_on_a_screen_whatever_the_record(records in prop::collection::vec(record(), 1..8)) {
        let lines = RecordLines::fitting(&records);
        for line in records.iter().map(|record| lines.line(record)).chain([lines.titles()]) {
            prop_assert!(line.width() <= 80, "{} wide: {line}", line.width());
        }
    }
}

#[test]
fn the_summary_has_the_columns_of_a_token_logs_and_nets_what_was_taken_back() {
    let mut table = ModelTable::default();
    let mut failed = plain(2);
    (failed.status, failed.tokens.completion) = (Status::Error, 0);
    let (mut wrong, mut lite) = (plain(3), plain(4));
    lite.model = "=lite".into();
    table.add(&plain(1));
    table.add(&plain(5));
    table.add(&failed);
    table.add(&lite);
    table.add(&wrong);
    wrong.kind = Kind::Void { of: wrong.id };
    table.add(&wrong);
    let mut out = Vec::new();
    write_summary(&table, Format::Csv, &mut out).expect("memory");
    let expected = "\"api\",\"model\",\"in\",\"out\",\"total\",\"requests\",\"ok\",\"failed\",\"rate\"\n\
                    \"openai\",\"'=lite\",150,320,470,1,1,0,1\n\
                    \"openai\",\"gpt-4o\",450,640,1090,3,2,1,0.666667\n";
    assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
}

#[test]
fn a_filter_wants_what_fits_everything_that_is_asked() {
    let user = SubjectId::of(b"p", "telegram", "111");
    let mut record = plain(1);
    (record.user, record.feature) = (Some(user), Some("search".into()));
    let day = |text: &str| Day::parse(text);
    let named = |facet, values: &[&str]| RecordFilter {
        names: vec![(facet, values.iter().map(|value| (*value).to_owned()).collect())],
        ..RecordFilter::default()
    };
    let base = RecordFilter::default;
    for (wanted, filter) in [
        (true, base()),
        (true, RecordFilter { from: day("2026-11-21"), to: day("2026-11-21"), ..base() }),
        (false, RecordFilter { from: day("2026-11-22"), ..base() }),
        (false, RecordFilter { to: day("2026-11-20"), ..base() }),
        (true, RecordFilter { since: Some(at(1)), ..base() }),
        (false, RecordFilter { since: Some(at(2)), ..base() }),
        (true, RecordFilter { until: Some(at(2)), ..base() }),
        (false, RecordFilter { until: Some(at(1)), ..base() }),
        (true, named(Facet::Model, &["gpt-4o-mini", "gpt-4o"])),
        (false, named(Facet::Model, &["gpt-4o-mini"])),
        (true, named(Facet::Feature, &["search"])),
        (true, named(Facet::Team, &["unknown"])),
        (false, named(Facet::Feature, &["unknown"])),
        (true, RecordFilter { statuses: vec![Status::Error, Status::Ok], ..base() }),
        (false, RecordFilter { statuses: vec![Status::Error], ..base() }),
        (true, RecordFilter { users: vec![user], ..base() }),
        (false, RecordFilter { users: vec![SubjectId::of(b"p", "telegram", "112")], ..base() }),
    ] {
        assert_eq!(filter.wants(&record), wanted, "{filter:?}");
    }
}

#[test]
fn the_lines_of_a_table_say_how_each_number_is_known() {
    let (mut local, mut failed, mut refused, mut unknown, mut void) =
        (plain(1), plain(2), plain(3), plain(4), plain(5));
    (local.api_type, local.model, local.cost) = ("ollama".into(), "llama3.2".into(), Some(Money::ZERO));
    failed.status = Status::Timeout;
    failed.failure = Some(Failure::of(ErrorKind::IdleTimeout));
    (failed.usage_source, failed.latency_ms) = (UsageSource::Estimated, Some(61_000));
    (refused.status, refused.usage_source, refused.count) = (Status::Refused, UsageSource::None, 12);
    (refused.tokens, refused.cost, refused.latency_ms) = (Default::default(), None, None);
    (unknown.cost, unknown.model) = (None, "a-model-with\u{1b}[31m-a-very-long-name-2026-11-22".into());
    unknown.request_type = "presentation".into();
    void.kind = Kind::Void { of: plain(1).id };
    let mut picture = plain(6);
    (picture.tokens, picture.usage_source, picture.cost) = (Default::default(), UsageSource::None, None);
    let records = [local, failed, refused, unknown, void, picture];
    let lines = RecordLines::fitting(&records);
    let shown: Vec<String> = std::iter::once(lines.titles()).chain(records.iter().map(|r| lines.line(r))).collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    time           api/model           in    out status         cost latency type
    11-21 18:00:01 ollama/llama3.2    150    320 ok               $0   2.5 s chat
    11-21 18:00:02 openai/gpt-4o     ~150   ~320 timeout    ~$0.0036   1m 1s chat
    11-21 18:00:03 openai/gpt-4o        -      - refused×12        -       - chat
    11-21 18:00:04 openai/a-…11-22    150    320 ok          unknown   2.5 s presen…
    11-21 18:00:05 openai/gpt-4o      150    320 void        $0.0036   2.5 s chat
    11-21 18:00:06 openai/gpt-4o        -      - ok          unknown   2.5 s chat
    ");
}
