//! Usage by group over random books: rows are the totals, totals are `/stats`, and pages are the rows.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::ledger::{Durability, KnownNames, Ledger, Options, Users};
use crate::reports::stats::ServiceStatus;
use crate::reports::{Facts, StatsReport};
use crate::usage::arbitrary::{BASE_MICROS, opening, record};
use crate::usage::{Kind, Money, Opening, RecordId, Status, Timestamp, TokenCounts, UsageRecord, UsageSource, Zone};

type Record = UsageRecord<'static>;

const HOUR_MICROS: i64 = 3_600_000_000;

const DAY_MICROS: i64 = 24 * HOUR_MICROS;

fn now() -> Timestamp {
    Timestamp::new(BASE_MICROS, 0)
}

fn today() -> Day {
    now().day()
}

/// Records of the last week, some of two months ago, some taken back an hour later. Numbers stay where their sums fit.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let one = (record(), prop_oneof![4 => Just(0i64), 1 => 25i64..60]).prop_map(|(mut record, days)| {
        record.timestamp = record.timestamp.plus_micros(-days * DAY_MICROS);
        record.source = None;
        record.tokens.prompt %= 1 << 40;
        record.tokens.completion %= 1 << 40;
        record.tokens = record.tokens.made_consistent();
        record
    });
    prop::collection::vec(one, 0..20).prop_map(|records| records.into_iter().enumerate().flat_map(with_void).collect())
}

/// A void takes back a record that is there: without it sums were less than nothing, which `/stats` does not show.
fn with_void((number, mut record): (usize, Record)) -> Vec<Record> {
    if record.kind == Kind::Usage {
        return vec![record];
    }
    let mut void = record.clone();
    record.kind = Kind::Usage;
    void.timestamp = record.timestamp.plus_micros(HOUR_MICROS);
    void.id = RecordId::new(void.timestamp, [u8::try_from(number).expect("there are few"); 10]);
    void.kind = Kind::Void { of: record.id };
    vec![record, void]
}

/// An opening balance that adds.
fn openings() -> impl Strategy<Value = Vec<Opening>> {
    let adding = opening().prop_map(|mut opening| {
        (opening.ok, opening.failed) = (opening.ok.abs(), opening.failed.abs());
        (opening.prompt, opening.completion) = (opening.prompt.abs(), opening.completion.abs());
        opening
    });
    prop::collection::vec(adding, 0..3)
}

/// Books in a folder in memory, where the system has one: with a reset in between, if any.
struct Books {
    ledger: Ledger,
    _folder: TempDir,
}

impl Books {
    fn of(records: &[Record], openings: &[Opening], reset_behind: usize) -> Books {
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a temporary folder");
        let options = Options { durability: Durability::Kill, known: KnownNames::none(), follower: Box::new(()) };
        let (ledger, _) = Ledger::open(folder.path(), options, Uuid::from_u128(1), now()).expect("the folder opens");
        for (number, record) in records.iter().enumerate() {
            if number == reset_behind {
                ledger.reset(now().plus_micros(-30 * DAY_MICROS)).expect("written");
            }
            ledger.append(record, now()).expect("appended");
        }
        ledger.add_openings(openings, now()).expect("added");
        ledger.seal().expect("sealed");
        Books { ledger, _folder: folder }
    }

    fn users(&self) -> Users {
        self.ledger.users()
    }

    /// Every row over all pages, and the totals that each of them told.
    fn walked(&self, query: &UsageQuery) -> (Vec<UsageRow>, UsageSums) {
        let users = self.users();
        let mut query = query.clone();
        let mut rows = Vec::new();
        for _page in 0..1000 {
            let report = UsageReport::of(&users, &query, "Etc/UTC", today()).expect("the epoch is there");
            assert!(report.rows.len() <= query.limit);
            rows.extend(report.rows);
            let Some(next) = report.next else { return (rows, report.totals) };
            query.after = Some(Cursor::parse(&next, &query).expect("its own"));
        }
        unreachable!("there are not so many pages");
    }
}

fn query(group: &[By]) -> UsageQuery {
    UsageQuery { group: group.to_vec(), ..UsageQuery::default() }
}

/// What is a plain sum, as one list.
fn numbers(sums: &UsageSums) -> (Vec<i64>, Money) {
    let plain = [sums.requests, sums.ok, sums.failed, sums.prompt_tokens, sums.completion_tokens, sums.total_tokens];
    let more = [sums.refused, sums.cancelled, sums.cached_tokens, sums.cache_write_tokens];
    let rest = [sums.reasoning_tokens, sums.estimated_tokens, sums.unpriced_requests];
    let known = more.into_iter().chain(rest).map(Option::unwrap_or_default);
    (plain.into_iter().chain(known).collect(), sums.cost_usd.unwrap_or_default())
}

fn added(rows: &[UsageRow]) -> (Vec<i64>, Money) {
    rows.iter().map(|row| numbers(&row.sums)).fold((vec![0; 13], Money::ZERO), |(sum, cost), (row, of_row)| {
        (sum.iter().zip(row).map(|(a, b)| a + b).collect(), cost + of_row)
    })
}

fn stats(books: &Books, period: Period, epoch: usize) -> StatsReport {
    let facts = Facts {
        bot: "raymundo",
        version: "0",
        status: ServiceStatus::Ok,
        started_at: None,
        begun: None,
        picture: &books.ledger.picture(),
        windows: &[],
        learned: &[],
        providers: Vec::new(),
        timezone: Zone::UTC,
        now: now(),
    };
    StatsReport::of_epoch(&facts, period, epoch).expect("the epoch is there")
}

fn groups() -> impl Strategy<Value = Vec<By>> {
    let dimensions = prop::sample::subsequence(By::ALL[..14].to_vec(), 0..4).prop_shuffle();
    let people = prop::sample::select(vec![vec![By::User], vec![By::Model, By::User], vec![By::User, By::Model]]);
    prop_oneof![3 => dimensions, 1 => people]
}

fn questions() -> impl Strategy<Value = UsageQuery> {
    let orders = prop::sample::select(Order::ALL.map(|(_, order)| order).to_vec());
    let periods = prop::sample::select(Period::ALL.to_vec());
    (groups(), orders, periods, 1usize..7, 0usize..2).prop_map(|(group, order, period, limit, epoch)| UsageQuery {
        days: Days::Period(period),
        epoch,
        group,
        order,
        limit,
        ..UsageQuery::default()
    })
}

proptest! {
    #[test]
    fn rows_of_all_pages_are_the_totals_and_those_are_the_stats(
        records in records(), openings in openings(), reset in 0usize..20, query in questions()
    ) {
        let books = Books::of(&records, &openings, reset);
        let query = UsageQuery { epoch: query.epoch.min(books.ledger.picture().epochs_len() - 1), ..query };
        let (rows, totals) = books.walked(&query);
        prop_assert_eq!(added(&rows), numbers(&totals));
        let groups: BTreeSet<String> = rows.iter().map(|row| format!("{:?}", row.group)).collect();
        prop_assert_eq!(groups.len(), rows.len(), "a row came twice");
        let is_sorted = rows.is_sorted_by_key(|row| match query.order {
            Order::Falling(Measure::TotalTokens) => -i128::from(row.sums.total_tokens),
            Order::Rising(Measure::Requests) => i128::from(row.sums.requests),
            _ => 0,
        });
        prop_assert!(is_sorted);

        // `/stats` shows no place below zero, and adds the places up: with a correction whose record lies outside of the
        // period, what is left of the other place is more than the signed sum.
        if records.iter().any(|record| matches!(record.kind, Kind::Void { .. })) {
            return Ok(());
        }
        let Days::Period(period) = query.days else { unreachable!("only periods are made") };
        let stats = stats(&books, period, query.epoch);
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        prop_assert_eq!(
            [totals.requests, totals.ok, totals.failed, totals.prompt_tokens, totals.completion_tokens].map(count),
            [stats.requests.total, stats.requests.ok, stats.requests.failed, stats.tokens.prompt, stats.tokens.completion]
        );
        if query.is_of_people() {
            prop_assert!(totals.refused.is_none() && totals.estimated_tokens.is_none() && totals.unpriced_requests.is_none());
            prop_assert!(totals.cost_usd.unwrap_or_default() == stats.cost.usd);
            return Ok(());
        }
        prop_assert_eq!(
            [totals.refused, totals.cancelled, totals.cached_tokens, totals.reasoning_tokens, totals.unpriced_requests]
                .map(|value| count(value.unwrap_or_default())),
            [stats.requests.refused, stats.requests.cancelled, stats.tokens.cached, stats.tokens.reasoning,
                stats.cost.unpriced_requests]
        );
        prop_assert_eq!(totals.cost_usd.unwrap_or_default(), stats.cost.usd);
        prop_assert_eq!((totals.latency_p50_ms, totals.latency_p95_ms), (stats.latency_ms.p50, stats.latency_ms.p95));
    }

    #[test]
    fn what_is_chosen_by_a_value_is_the_row_of_that_value(
        records in records(), by in prop::sample::select(By::FILTERS.to_vec())
    ) {
        let books = Books::of(&records, &[], usize::MAX);
        for row in books.walked(&query(&[by])).0 {
            let Value::Text(value) = row.group[by.as_str()].clone() else { unreachable!("only days and hours are not") };
            let chosen = UsageQuery { filters: vec![(by, vec![value])], ..query(&[]) };
            prop_assert_eq!(numbers(&books.walked(&chosen).1), numbers(&row.sums));
        }
    }

    #[test]
    fn a_user_has_what_their_records_add_up_to(records in records()) {
        let books = Books::of(&records, &[], usize::MAX);
        let mut by_user: BTreeMap<String, i64> = BTreeMap::new();
        for record in &records {
            let sign = if matches!(record.kind, Kind::Void { .. }) { -1 } else { 1 };
            let name = record.user.map_or_else(|| "unknown".to_owned(), |user| user.to_string());
            *by_user.entry(name).or_default() += sign * i64::try_from(record.tokens.total()).expect("it fits");
        }
        for row in books.walked(&query(&[By::User])).0 {
            let Value::Text(user) = &row.group["user"] else { unreachable!("a user is a text") };
            prop_assert_eq!(by_user.get(user).copied(), Some(row.sums.total_tokens));
        }
    }
}

/// A priced call at so many microseconds before now.
fn call(before: i64, model: &'static str) -> Record {
    let at = now().plus_micros(-before);
    let mut record = UsageRecord::new(RecordId::new(at, [1; 10]), at, "cloud".into(), model.into());
    (record.tokens.prompt, record.tokens.completion, record.cost) =
        (100, 50, Some(Money::from_pico_usd(1_500_000_000)));
    record.latency_ms = Some(40);
    record
}

#[test]
fn days_and_hours_are_told_apart_as_long_as_the_fold_does() {
    let books =
        Books::of(&[call(HOUR_MICROS, "a"), call(3 * DAY_MICROS, "a"), call(50 * DAY_MICROS, "a")], &[], usize::MAX);
    let (rows, _) = books.walked(&UsageQuery { order: Order::Name, ..query(&[By::Day, By::Hour]) });
    let groups: Vec<String> = rows.iter().map(|row| serde_json::to_string(&row.group).expect("JSON")).collect();
    let expected =
        [r#"{"day":null,"hour":null}"#, r#"{"day":"2026-11-19","hour":null}"#, r#"{"day":"2026-11-21","hour":23}"#];
    assert_eq!(groups, expected);
    let span = |from: i32, to: i32| Days::Span(Some(today().plus(from)), Some(today().plus(to)));
    let of = |days: Days| books.walked(&UsageQuery { days, ..query(&[]) }).1.requests;
    assert_eq!((of(span(-3, -3)), of(span(-3, 0)), of(span(-2, -2)), of(Days::Span(None, None))), (1, 2, 0, 3));
    assert_eq!(of(Days::Span(None, Some(today().plus(-3)))), 2, "with all before");
    let ahead = Some(today().plus(9));
    assert_eq!(Days::Span(ahead, None).ends(today()), (ahead, ahead), "none of them ends before it begins");
    assert!(span(-31, 0).not_told_apart(today()).is_empty());
    assert_eq!(span(-32, 0).not_told_apart(today()), [("from", today().plus(-32))]);
}

#[test]
fn an_unknown_price_is_not_free() {
    let (mut unpriced, mut free) = (call(5, "unpriced"), call(6, "free"));
    unpriced.cost = None;
    free.cost = Some(Money::ZERO);
    let books = Books::of(&[call(4, "priced"), unpriced, free], &[], usize::MAX);
    let costs = |group: &[By]| {
        let rows = books.walked(&UsageQuery { order: Order::Name, ..query(group) }).0;
        rows.iter().map(|row| row.sums.cost_usd.map(|cost| cost.to_string())).collect::<Vec<_>>()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(costs(&[By::Model]), [some("0"), some("0.0015"), None]);
    assert_eq!(costs(&[By::User]), [some("0.0015")]);
}

#[test]
fn what_was_answered_without_counts_is_not_free_either_and_what_failed_is() {
    let said_nothing = |n: i64, model: &'static str, status: Status| {
        let tokens = TokenCounts::default();
        UsageRecord { cost: None, tokens, usage_source: UsageSource::None, status, ..call(n, model) }
    };
    let records = [said_nothing(4, "answered", Status::Ok), said_nothing(5, "failed", Status::Error)];
    let rows = Books::of(&records, &[], usize::MAX).walked(&UsageQuery { order: Order::Name, ..query(&[By::Model]) }).0;
    let costs = rows.iter().map(|row| (row.sums.unpriced_requests, row.sums.cost_usd.is_some())).collect::<Vec<_>>();
    assert_eq!(costs, [(Some(1), false), (Some(0), true)]);
    let free = UsageRecord { cost: Some(Money::ZERO), ..call(6, "free") };
    let books = Books::of(&[records[0].clone(), records[1].clone(), free], &[], usize::MAX);
    let rows = books.walked(&UsageQuery { order: Order::Name, ..query(&[By::Model, By::User]) }).0;
    let costs: Vec<_> = rows.iter().map(|row| row.sums.cost_usd).collect();
    assert_eq!(costs, [None, Some(Money::ZERO), Some(Money::ZERO)], "of each user: answered, failed and free");
}

#[test]
fn a_page_is_json_and_csv_that_no_spreadsheet_computes() {
    let mut hostile = call(4, "=1+1");
    hostile.team = Some("a,\"b\"".into());
    let books = Books::of(&[hostile, call(5, "b"), call(6, "b")], &[], usize::MAX);
    let of = |query: &UsageQuery| UsageReport::of(&books.users(), query, "Etc/UTC", today()).expect("there");
    let query = UsageQuery { limit: 1, ..query(&[By::Model, By::Team]) };
    let first = of(&query);
    let json = serde_json::to_value(&first).expect("JSON");
    assert_eq!(json["rows"][0]["model"], "b");
    assert_eq!((&json["rows"][0]["requests"], &json["totals"]["cost_usd"]), (&2.into(), &"0.0045".into()));
    assert_eq!(
        (&json["period"], &json["from"], &json["group"]),
        (&"all".into(), &().into(), &serde_json::json!(["model", "team"]))
    );

    let next = first.next.expect("one more");
    let second = UsageQuery { after: Cursor::parse(&next, &query), ..query.clone() };
    assert_eq!(
        String::from_utf8(of(&second).csv()).expect("UTF-8"),
        "\"model\",\"team\",\"requests\",\"ok\",\"failed\",\"refused\",\"cancelled\",\"prompt_tokens\",\"completion_tokens\",\
         \"total_tokens\",\"cached_tokens\",\"cache_write_tokens\",\"reasoning_tokens\",\"estimated_tokens\",\"cost_usd\",\
         \"unpriced_requests\",\"latency_p50_ms\",\"latency_p95_ms\"\n\
         \"'=1+1\",\"a,\"\"b\"\"\",1,1,0,0,0,100,50,150,0,0,0,0,0.0015,0,40,40\n"
    );
    let others = [
        UsageQuery { order: Order::Name, ..query.clone() },
        UsageQuery { epoch: 1, ..query.clone() },
        UsageQuery { group: vec![By::Team, By::Model], ..query.clone() },
        UsageQuery { days: Days::Period(Period::Today), ..query.clone() },
        UsageQuery { filters: vec![(By::Model, vec!["b".to_owned()])], ..query.clone() },
    ];
    for other in others {
        assert_eq!(Cursor::parse(&next, &other), None, "{other:?}");
    }
    assert!(Cursor::parse(&next, &UsageQuery { limit: 7, ..query }).is_some());
}
