//! The columns of an export: their names, what they mean, and what a record says in them.

use std::borrow::Cow;

use super::table::Cell;
use crate::usage::names::Name;
use crate::usage::{Kind, UsageRecord};

/// A column of an export.
pub struct Column {
    /// Its name: that of the record's field, where it is one.
    pub name: &'static str,
    /// What it holds.
    pub meaning: &'static str,
    pub(super) of: for<'r, 'a> fn(&'r UsageRecord<'a>) -> Cell<'r>,
}

const fn column(
    name: &'static str,
    of: for<'r, 'a> fn(&'r UsageRecord<'a>) -> Cell<'r>,
    meaning: &'static str,
) -> Column {
    Column { name, meaning, of }
}

/// Every column, in the order in which they are written when none is named.
pub const COLUMNS: [Column; 44] = [
    column("timestamp", |r| shown(r.timestamp), "when the call was admitted, with the zone's offset"),
    column("day", |r| shown(r.timestamp.day()), "the day it counts on"),
    column("hour", |r| Cell::number(r.timestamp.hour()), "its hour, 0 to 23"),
    column("kind", |r| Cell::text(kind(r)), "usage, or void: takes back the record in `of`"),
    column("id", |r| shown(r.id), "the record's own id"),
    column("of", taken_back, "the id of the record taken back"),
    column("provider", |r| Cell::text(&r.provider), "the configured name of the provider"),
    column("api_type", |r| Cell::text(&r.api_type), "the API spoken"),
    column("model", |r| Cell::text(&r.model), "the model that served"),
    column("requested_model", |r| name(&r.requested_model), "the model asked for, when another served"),
    column("local", |r| Cell::Flag(r.local), "whether the model ran on the owner's machine"),
    column("request_type", |r| Cell::text(&r.request_type), "what it was for"),
    column("channel", |r| Cell::text(&r.channel), "where it came from"),
    column("status", |r| Cell::text(r.status.as_str()), "how it ended"),
    column("success", |r| Cell::Flag(r.status.is_ok()), "whether it was answered"),
    column("error_message", |r| r.failure.map_or(Cell::Empty, shown), "class of the error, and HTTP status"),
    column("prompt_tokens", |r| Cell::number(r.tokens.prompt), "all input"),
    column("completion_tokens", |r| Cell::number(r.tokens.completion), "all output"),
    column("total_tokens", |r| Cell::number(r.tokens.total()), "both"),
    column("cached_tokens", |r| Cell::number(r.tokens.cached), "input read from a cache"),
    column("cache_write_tokens", |r| Cell::number(r.tokens.cache_write), "input written to a cache"),
    column("cache_write_1h_tokens", |r| Cell::number(r.tokens.cache_write_1h), "input written to a long-lived cache"),
    column("reasoning_tokens", |r| Cell::number(r.tokens.reasoning), "output that was reasoning"),
    column("system_tokens", |r| maybe(r.system_tokens), "input that was system text, estimated"),
    column("usage_source", |r| Cell::text(r.usage_source.as_str()), "reported, partial, estimated or none"),
    column("cost_usd", cost, "exact dollars; empty when the price is not known"),
    column("price_id", |r| name(&r.price_id), "the price it was computed with"),
    column("service_tier", |r| name(&r.service_tier), "the tier the provider served"),
    column("latency_ms", |r| maybe(r.latency_ms), "to the end of the answer"),
    column("first_token_ms", |r| maybe(r.first_token_ms), "to its first piece"),
    column("user", |r| r.user.map_or(Cell::Empty, shown), "whose it was, as an id"),
    column("session", |r| r.session.map_or(Cell::Empty, shown), "its conversation, as an id"),
    column("key", |r| name(&r.key), "the gateway key's name"),
    column("api_key_suffix", suffix, "the last characters of the provider's key"),
    column("feature", |r| name(&r.feature), "the caller's dimension"),
    column("agent", |r| name(&r.agent), "the caller's dimension"),
    column("operation", |r| name(&r.operation), "the caller's dimension"),
    column("team", |r| name(&r.team), "the caller's dimension"),
    column("call", |r| r.call.map_or(Cell::Empty, shown), "the id of the first attempt, on what was asked after it"),
    column("attempt", |r| Cell::number(r.attempt), "which attempt it was, refusals not counted"),
    column("count", |r| Cell::number(r.count), "how many equal events the record stands for"),
    column("source_name", |r| given(r, |given| &given.name), "who gave it an id of their own"),
    column("source_id", |r| given(r, |given| &given.id), "that id"),
    column("metadata", |r| Cell::Json(r.metadata.as_json()), "the caller's own JSON object"),
];

/// The columns of a list of names such as `day,model,total_tokens`.
///
/// # Errors
/// What to tell the person, when a name is none of a column or stands there twice.
pub fn columns_named(list: &str) -> Result<Vec<&'static Column>, String> {
    let mut columns: Vec<&'static Column> = Vec::new();
    for name in list.split(',').map(str::trim) {
        let Some(column) = COLUMNS.iter().find(|column| column.name == name) else {
            let known: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
            return Err(format!("there is no column `{name}`; there are {}", known.join(", ")));
        };
        if columns.iter().any(|known| known.name == name) {
            return Err(format!("the column `{name}` is named twice"));
        }
        columns.push(column);
    }
    Ok(columns)
}

fn shown<'r>(value: impl std::fmt::Display) -> Cell<'r> {
    Cell::Text(Cow::Owned(value.to_string()))
}

fn name<'r>(name: &'r Option<Name<'_>>) -> Cell<'r> {
    name.as_ref().map_or(Cell::Empty, |name| Cell::text(name))
}

fn maybe<'r>(value: Option<u64>) -> Cell<'r> {
    value.map_or(Cell::Empty, Cell::number)
}

fn kind(record: &UsageRecord<'_>) -> &'static str {
    if matches!(record.kind, Kind::Void { .. }) { "void" } else { "usage" }
}

fn taken_back<'r>(record: &'r UsageRecord<'_>) -> Cell<'r> {
    match record.kind {
        Kind::Void { of } => shown(of),
        Kind::Usage => Cell::Empty,
    }
}

fn cost<'r>(record: &'r UsageRecord<'_>) -> Cell<'r> {
    record.cost.map_or(Cell::Empty, |cost| Cell::Decimal(cost.to_string()))
}

fn suffix<'r>(record: &'r UsageRecord<'_>) -> Cell<'r> {
    record.api_key_suffix.as_ref().map_or(Cell::Empty, |suffix| Cell::text(suffix.as_str()))
}

fn given<'r, 'a>(record: &'r UsageRecord<'a>, part: impl Fn(&'r crate::usage::Given<'a>) -> &'r Name<'a>) -> Cell<'r> {
    record.source.as_ref().map_or(Cell::Empty, |given| Cell::text(part(given)))
}
