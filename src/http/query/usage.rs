//! The query of `GET /v1/usage`.

use std::borrow::Cow;

use super::{Mistake, Parameter, Values, read, told};
use crate::reports::usage::{By, Cursor, DEFAULT_LIMIT, Days, MAX_GROUP, MAX_LIMIT, Order, UsageQuery};
use crate::stats::Period;
use crate::usage::names::{MAX_NAME_BYTES, OTHER, UNKNOWN};
use crate::usage::{Day, Status, SubjectId, UsageSource};

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageFormat {
    /// One object.
    #[default]
    Json,
    /// A table; the cursor is in a header.
    Csv,
}

/// What `GET /v1/usage` was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRequest {
    /// The question.
    pub query: UsageQuery,
    /// How the answer is to look.
    pub format: UsageFormat,
}

/// What a day looks like.
const A_DAY: &str = "a day such as `2026-11-22`";

/// The parameters beside the filters, in this order.
const CURSOR: usize = 0;
const EPOCH: usize = 1;
const FORMAT: usize = 2;
const FROM: usize = 3;
const GROUP: usize = 4;
const LIMIT: usize = 5;
const ORDER: usize = 6;
const PERIOD: usize = 7;
const TO: usize = 8;
const FILTERS: usize = 9;

impl UsageRequest {
    /// Reads the query of `GET /v1/usage`.
    ///
    /// # Errors
    /// With every mistake in it.
    pub fn parse(query: Option<&str>) -> Result<UsageRequest, Vec<Mistake>> {
        let (found, mut mistakes) = parameters(query);
        let one = |at: usize| found[at].first().map(String::as_str);
        let day = |at: usize| one(at).and_then(Day::parse);
        let days = days(one(PERIOD), (day(FROM), day(TO)), &mut mistakes);
        let filters = By::FILTERS.iter().zip(&found[FILTERS..]).filter(|(_, values)| !values.is_empty());
        let sorted = |values: &Vec<String>| {
            let mut values = values.clone();
            values.sort_unstable();
            values
        };
        let mut query = UsageQuery {
            days,
            epoch: one(EPOCH).and_then(|epoch| epoch.parse().ok()).unwrap_or_default(),
            group: one(GROUP).map(|list| group(list, &mut mistakes)).unwrap_or_default(),
            filters: filters.map(|(by, values)| (*by, sorted(values))).collect(),
            order: one(ORDER).and_then(Order::parse).unwrap_or_default(),
            limit: one(LIMIT).and_then(|limit| limit.parse().ok()).unwrap_or(DEFAULT_LIMIT),
            after: None,
        };
        mistakes.extend(not_of_people(&query));
        if let Some(text) = one(CURSOR).filter(|_| mistakes.is_empty()) {
            query.after = Cursor::parse(text, &query);
            if query.after.is_none() {
                let problem = "it is not the cursor of an answer to these parameters";
                let expected = "the `next` of an answer, with what was asked for it";
                mistakes.push(Mistake::expecting("cursor", text, problem, expected));
            }
        }
        let format = if one(FORMAT) == Some("csv") { UsageFormat::Csv } else { UsageFormat::Json };
        if mistakes.is_empty() { Ok(UsageRequest { query, format }) } else { Err(told(mistakes)) }
    }
}

/// The good values of each parameter, and what is wrong with the others.
fn parameters(query: Option<&str>) -> (Vec<Vec<String>>, Vec<Mistake>) {
    let (periods, orders) = (Period::ALL.map(Period::as_str), Order::ALL.map(|(name, _)| name));
    let (statuses, sources) = (Status::ALL.map(Status::as_str), UsageSource::ALL.map(UsageSource::as_str));
    let once = |name, values| Parameter { name, values, repeats: false };
    let filter = |by: By| {
        let values = match by {
            By::Status => Values::OneOf(&statuses),
            By::UsageSource => Values::OneOf(&sources),
            By::User => Values::Like(is_user, "the id that rows by `user` show, `unknown` or `other`"),
            _ => Values::Like(is_name, "a name of at most 128 characters, for example `unknown`"),
        };
        Parameter { name: by.as_str(), values, repeats: true }
    };
    let known = [
        once("cursor", Values::Like(|text| !text.is_empty(), "the `next` of an answer")),
        once("epoch", Values::WholeNumber),
        once("format", Values::OneOf(&["csv", "json"])),
        once("from", Values::Like(is_day, A_DAY)),
        // What is wrong with a list of dimensions is told dimension by dimension.
        once("group", Values::Like(|_| true, "one list of up to 3 dimensions, for example `group=day,model`")),
        once("limit", Values::Like(is_limit, "a whole number from 1 to 1000, for example `100`")),
        once("order", Values::OneOf(&orders)),
        once("period", Values::OneOf(&periods)),
        once("to", Values::Like(is_day, A_DAY)),
    ];
    let known: Vec<Parameter<'_>> = known.into_iter().chain(By::FILTERS.map(filter)).collect();
    read(query, &known)
}

fn is_day(text: &str) -> bool {
    Day::parse(text).is_some()
}

fn is_limit(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse().is_ok_and(|limit| (1..=MAX_LIMIT).contains(&limit))
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.chars().count())
}

fn is_user(text: &str) -> bool {
    [UNKNOWN, OTHER].contains(&text) || SubjectId::parse(text).is_some()
}

/// A period or days of one's own, not both.
fn days(period: Option<&str>, (from, to): (Option<Day>, Option<Day>), mistakes: &mut Vec<Mistake>) -> Days {
    if from.is_none() && to.is_none() {
        return Days::Period(period.and_then(Period::parse).unwrap_or_default());
    }
    if let Some(period) = period {
        let problem = "`from` and `to` stand in its place";
        mistakes.push(Mistake::expecting("period", period, problem, "no `period`, or neither of the others"));
    }
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        let problem = "it is before `from`";
        let expected = format!("`{from}` or a later day");
        mistakes.push(Mistake::expecting("to", &to.to_string(), problem, expected));
    }
    Days::Span(from, to)
}

/// The dimensions of a list such as `day,model`.
fn group(list: &str, mistakes: &mut Vec<Mistake>) -> Vec<By> {
    let names = || By::ALL.map(|by| by.as_str().into()).to_vec();
    let mut group = Vec::new();
    for name in list.split(',') {
        match By::parse(name) {
            None => mistakes.push(Mistake::new("group", name, "there is no such dimension", names())),
            Some(by) if group.contains(&by) => {
                mistakes.push(Mistake::new("group", name, "the dimension is named twice", names()));
            }
            Some(by) => group.push(by),
        }
    }
    if group.len() > MAX_GROUP {
        let problem = "these are more dimensions than one answer tells apart";
        mistakes.push(Mistake::expecting("group", list, problem, "at most 3 dimensions, for example `day,model`"));
    }
    group
}

/// What is asked of users and is not known of each.
fn not_of_people(query: &UsageQuery) -> Vec<Mistake> {
    if !query.is_of_people() {
        return Vec::new();
    }
    const PROBLEM: &str = "it is not known of each user";
    let known = || By::OF_PEOPLE.map(By::as_str);
    let groups = query.group.iter().filter(|by| !By::OF_PEOPLE.contains(by));
    let groups = groups.map(|by| Mistake::new("group", by.as_str(), PROBLEM, known().map(Cow::from).to_vec()));
    let filters = query.filters.iter().filter(|(by, _)| !By::OF_PEOPLE.contains(by));
    let filters = filters.map(|(by, values)| {
        let expected = format!("no `{}` beside `user`, only `{}`", by.as_str(), known().join("` or `"));
        Mistake::expecting(by.as_str(), &values.join(","), PROBLEM, expected)
    });
    groups.chain(filters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::usage::Measure;

    fn mistakes(query: &str) -> Vec<String> {
        UsageRequest::parse(Some(query)).expect_err(query).iter().map(Mistake::to_string).collect()
    }

    #[test]
    fn a_good_query_is_read_whole() {
        let query = "from=2026-11-20&to=2026-11-22&epoch=1&group=day,model&model=b&model=a%2Cc&status=ok\
                     &limit=1000&order=-cost&format=csv";
        let UsageRequest { query, format } = UsageRequest::parse(Some(query)).expect("good");
        assert_eq!(format, UsageFormat::Csv);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let expected = UsageQuery {
            days: Days::Span(Day::parse("2026-11-20"), Day::parse("2026-11-22")),
            epoch: 1,
            group: vec![By::Day, By::Model],
            filters: vec![(By::Model, names(&["a,c", "b"])), (By::Status, names(&["ok"]))],
            order: Order::Falling(Measure::Cost),
            limit: 1000,
            after: None,
        };
        assert_eq!(query, expected);
        assert_eq!(UsageRequest::parse(None), Ok(UsageRequest::default()));
    }

    #[test]
    fn every_mistake_is_told_with_what_is_allowed() {
        let told = mistakes("period=7d&from=2026-11-22&to=2026-11-20&group=model,modle,model&limit=0&status=fine&x=1");
        assert_eq!(told.len(), 7, "{told:#?}");
        assert!(
            told[0].starts_with("parameter `limit` with value `0`")
                && told[0].ends_with("expected a whole number from 1 to 1000, for example `100`")
        );
        assert!(told[1].contains("`status`") && told[1].contains("`interrupted`"));
        assert!(told[2].contains("no such parameter") && told[2].contains("`usage_source`"));
        assert!(told[3].contains("`from` and `to` stand in its place"));
        assert!(told[4].contains("`2026-11-20`: it is before `from`"));
        assert!(told[5].contains("`modle`: there is no such dimension") && told[5].contains("`price_id`"));
        assert!(told[6].contains("named twice"));
        for wrong in ["limit=1001", "limit=%2B5", "order=tokens", "from=2026-02-30", "model=", "user=111", "cursor=x"] {
            assert_eq!(mistakes(wrong).len(), 1, "{wrong}");
        }
        assert!(mistakes("group=day,hour,model,team")[0].contains("at most 3"));
        for (query, expected) in [
            (
                "group=model&group=team",
                "it is given more than once; expected one list of up to 3 dimensions, for example",
            ),
            ("from=2026-13-01", "there is no such value; expected a day such as `2026-11-22`"),
            ("from=2026-11-22&to=2026-11-20", "it is before `from`; expected `2026-11-22` or a later day"),
        ] {
            assert!(mistakes(query)[0].contains(expected), "{query}: {:?}", mistakes(query));
        }
        for query in ["limit=0", "group=model&group=team", "from=x", "from=2026-11-22&to=2026-11-20", "epoch=x"] {
            let told = UsageRequest::parse(Some(query)).expect_err(query);
            let json = serde_json::to_value(&told[0]).expect("JSON");
            assert!(json.get("allowed").is_none() && json["expected"].is_string(), "{query}: {json}");
        }
        assert_eq!(mistakes("group=user,day&team=sales").len(), 2);
        assert_eq!(mistakes("user=unknown&group=hour").len(), 1);
        let told = &mistakes("group=user&status=ok&status=error")[0];
        assert!(told.contains("`status`") && told.contains("`error,ok`: it is not known of each user"), "{told}");
        assert!(UsageRequest::parse(Some("group=user,model&user=unknown")).is_ok());
    }
}
