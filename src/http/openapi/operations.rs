//! Every operation: what it is asked with and what it answers.

use serde_json::json;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter};
use utoipa::openapi::schema::{OneOfBuilder, Schema, empty};
use utoipa::openapi::{Header, HttpMethod, Ref, RefOr, Required};

use super::parts::{answer, body, either, in_path, list_of, named, operation, parameter, plain, schema, with_body};
use crate::http::Role;
use crate::reports::usage::{By, DEFAULT_LIMIT, MAX_LIMIT, Order};
use crate::service::items::MAX_ITEMS;
use crate::stats::Period;
use crate::templates::Lang;
use crate::usage::names::MAX_NAME_BYTES;
use crate::usage::{Status, UsageSource};

/// A path, the methods it takes alike, and what they do.
type Described = (&'static str, Vec<HttpMethod>, Operation);

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const TEXT: &str = "text/plain";

pub(super) fn all() -> Vec<Described> {
    let reading = || vec![HttpMethod::Get, HttpMethod::Head];
    let posting = || vec![HttpMethod::Post];
    let read = |path, operation: OperationBuilder| (path, reading(), operation.build());
    let post = |path, operation: OperationBuilder| (path, posting(), operation.build());
    let mut all = vec![
        read("/stats", stats()),
        read("/v1/usage", usage()),
        post("/v1/usage", note()),
        post("/v1/import", import()),
        post("/metrics/reset", reset()),
        read("/v1/keys", keys()),
        post("/v1/keys", add_key()),
        ("/v1/keys/{name}", vec![HttpMethod::Delete], revoke_key().build()),
        read("/health", health()),
        read("/ready", ready()),
        read("/openapi.json", openapi()),
    ];
    let passed = [
        (HttpMethod::Get, "gatewayGet"),
        (HttpMethod::Head, "gateway"),
        (HttpMethod::Post, "gatewayPost"),
        (HttpMethod::Put, "gatewayPut"),
        (HttpMethod::Patch, "gatewayPatch"),
        (HttpMethod::Delete, "gatewayDelete"),
    ];
    all.extend(passed.map(|(method, id)| ("/gateway/{provider}/{path}", vec![method], gateway(id).build())));
    let files = [
        ("/docs", "page", "text/html"),
        ("/docs/page.js", "pageScript", "text/javascript"),
        ("/docs/page.css", "pageStyle", "text/css"),
    ];
    all.extend(files.map(|(path, id, content_type)| read(path, page(id, content_type))));
    all
}

/// When calls that others made are not taken.
const NOT_WRITTEN: &str = "the books cannot be written now, or what was written is not confirmed in time";

fn lang() -> Parameter {
    let languages = Lang::ALL.map(Lang::code);
    parameter(
        "lang",
        "the language of texts; else `Accept-Language`, else the configured one",
        json!({"type": "string", "enum": languages}),
    )
}

fn form() -> Parameter {
    let description = "whose keys and words; `tallybot`, unless the configuration says otherwise";
    parameter("form", description, json!({"type": "string", "enum": ["tallybot", "raymundo"]}))
}

fn period() -> Parameter {
    let description = "which days: `7d` and `30d` are calendar days, today included; `all` is since the last reset";
    parameter(
        "period",
        description,
        json!({"type": "string", "enum": Period::ALL.map(Period::as_str), "default": "all"}),
    )
}

fn epoch() -> Parameter {
    let description = "0 is what is counted now, 1 what was before the last reset, and so on back";
    parameter("epoch", description, json!({"type": "integer", "minimum": 0, "default": 0}))
}

fn format(other: &str) -> Parameter {
    parameter("format", "the form of the answer", json!({"type": "string", "enum": ["json", other], "default": "json"}))
}

fn stats() -> OperationBuilder {
    let contents = [(JSON, either(&["StatsReport", "RaymundoStats"])), (TEXT, plain())];
    operation("getStats", Role::Read, "The numbers of a period", "What `/stats` shows, as JSON or as its screen.")
        .parameters(Some([period(), epoch(), format("text"), lang(), form()]))
        .response("200", answer("the numbers", &contents))
}

fn usage() -> OperationBuilder {
    let orders = Order::ALL.map(|(name, _)| name);
    let day = || json!({"type": "string", "format": "date"});
    let cursor = Header::new(schema(json!({"type": "string"})));
    let own = [
        parameter("from", "the first calendar day, at most 31 days ago; not together with `period`", day()),
        parameter("to", "the last calendar day, at most 31 days ago; not together with `period`", day()),
        parameter("group", &group_text(), json!({"type": "string", "pattern": group_pattern()})),
        parameter("order", "which rows come first", json!({"type": "string", "enum": orders, "default": orders[0]})),
        parameter(
            "limit",
            "rows of a page",
            json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}),
        ),
        parameter(
            "cursor",
            "the `next` of the page before, with the same parameters",
            json!({"type": "string", "minLength": 1}),
        ),
    ];
    let parameters = [period(), epoch(), format("csv")].into_iter().chain(own).chain(By::FILTERS.map(filter));
    let contents = [(JSON, named("UsageReport")), ("text/csv", plain())];
    let description =
        "Sums by group. Rows over all pages sum to `totals`, which are the numbers of `/stats` for the same days.";
    operation("getUsage", Role::Read, "Usage by group, page by page", description)
        .parameters(Some(parameters))
        .response("200", answer("one page", &contents).header("x-next-cursor", cursor))
        .response("503", Ref::from_response_name("Unavailable"))
}

fn group_text() -> String {
    let names = By::ALL.map(|by| format!("`{}`", by.as_str())).join(", ");
    format!("what rows tell apart: at most three of {names}, with commas between; `user` alone or with `model`")
}

/// One dimension, or two or three of those that go together.
fn group_pattern() -> String {
    let names = |of: &[By]| of.iter().map(|by| by.as_str()).collect::<Vec<_>>().join("|");
    let of_calls: Vec<By> = By::ALL.into_iter().filter(|by| *by != By::User).collect();
    format!("^(user|user,model|model,user|({0})(,({0})){{0,2}})$", names(&of_calls))
}

fn filter(by: By) -> Parameter {
    let one = match by {
        By::Status => json!({"type": "string", "enum": Status::ALL.map(Status::as_str)}),
        By::UsageSource => json!({"type": "string", "enum": UsageSource::ALL.map(UsageSource::as_str)}),
        By::User => json!({"type": "string", "pattern": "^([a-z2-7]{20}|unknown|other)$"}),
        _ => json!({"type": "string", "minLength": 1, "maxLength": MAX_NAME_BYTES}),
    };
    let description = format!("only calls with this `{}`; given more than once, with any of them", by.as_str());
    parameter(by.as_str(), &description, json!({"type": "array", "items": one}))
}

fn note() -> OperationBuilder {
    let contents = [(JSON, items()), (LINES, named("UsageItem"))];
    let description =
        "One call, a list of calls, or one call per line. What is wrong with one does not hinder the others.";
    let answered = [(JSON, named("NoteAnswer"))];
    let operation = operation("postUsage", Role::Admin, "Take calls that other programs made", description);
    with_body(operation, body(Required::True, &contents))
        .response("200", answer("what became of each", &answered))
        .response("400", answer("nothing could be taken", &[(JSON, either(&["NoteAnswer", "Error"]))]))
        .response("503", answer(NOT_WRITTEN, &[(JSON, either(&["NoteAnswer", "Error"]))]))
}

/// One item or a list of them.
fn items() -> RefOr<Schema> {
    RefOr::T(OneOfBuilder::new().item(named("UsageItem")).item(list_of("UsageItem", MAX_ITEMS)).build().into())
}

fn import() -> OperationBuilder {
    let description = "Records as they stand in the files of another tallybot, or opening balances, one per line.";
    let answered = [(JSON, named("NoteAnswer"))];
    let operation =
        operation("postImport", Role::Admin, "Take over complete records and opening balances", description);
    with_body(operation, body(Required::True, &[(LINES, named("ImportLine")), (JSON, named("ImportLine"))]))
        .response("200", answer("what became of each", &answered))
        .response("400", answer("nothing could be taken", &[(JSON, either(&["NoteAnswer", "Error"]))]))
        .response("503", answer(NOT_WRITTEN, &[(JSON, either(&["NoteAnswer", "Error"]))]))
}

/// A body that says nothing.
fn nothing() -> RefOr<Schema> {
    schema(json!({"type": "object", "maxProperties": 0}))
}

fn reset() -> OperationBuilder {
    let undo = parameter("undo", "take the last reset back instead", json!({"type": "boolean", "default": false}));
    let description = "Nothing is deleted and no limit changes: what is shown begins now.";
    let operation = operation("postReset", Role::Admin, "Count from zero again, or take that back", description);
    with_body(operation, body(Required::False, &[(JSON, nothing())]))
        .parameters(Some([lang(), form(), undo]))
        .response("200", answer("since when is counted", &[(JSON, either(&["ResetBody", "RaymundoReset"]))]))
        .response("409", Ref::from_response_name("Conflict"))
        .response("503", Ref::from_response_name("Unavailable"))
}

fn keys() -> OperationBuilder {
    operation("getKeys", Role::Admin, "The keys of the gateway", "Revoked ones included, by name; a key itself never.")
        .response("200", answer("the keys", &[(JSON, named("KeyList"))]))
}

fn add_key() -> OperationBuilder {
    let description = "What is not said does not narrow what it opens. The key is in this answer and nowhere else.";
    let operation = operation("postKey", Role::Admin, "Add a key for a program that uses the gateway", description);
    with_body(operation, body(Required::True, &[(JSON, named("KeyAsk"))]))
        .response("200", answer("the key", &[(JSON, named("Added"))]))
        .response("409", Ref::from_response_name("Conflict"))
        .response("503", Ref::from_response_name("Unavailable"))
}

fn revoke_key() -> OperationBuilder {
    let description = "From then on it opens nothing. Its name stays taken.";
    let operation = operation("deleteKey", Role::Admin, "Revoke a key", description);
    with_body(operation, body(Required::False, &[(JSON, nothing())]))
        .parameter(in_path("name", "the name of the key"))
        .response("200", answer("the key as it was", &[(JSON, named("KeyRow"))]))
        .response("404", Ref::from_response_name("NotFound"))
        .response("409", Ref::from_response_name("Conflict"))
        .response("503", Ref::from_response_name("Unavailable"))
}

fn health() -> OperationBuilder {
    let alive = || [(JSON, named("Alive"))];
    operation("getHealth", Role::Public, "Whether the process works", "For whoever starts it anew when it does not.")
        .response("200", answer("it works", &alive()))
        .response("503", answer("it does not", &alive()))
}

fn ready() -> OperationBuilder {
    let readiness = || [(JSON, named("Readiness"))];
    operation("getReady", Role::Read, "Whether calls can be taken now", "Part by part: the journal and each provider.")
        .response("200", answer("they can", &readiness()))
        .response("503", answer("they cannot", &readiness()))
}

fn openapi() -> OperationBuilder {
    let document = schema(json!({"type": "object", "required": ["openapi", "info", "paths"]}));
    operation("getOpenapi", Role::Public, "This document", "It says nothing of this installation.")
        .response("200", answer("OpenAPI 3.1", &[(JSON, document)]))
}

fn page(id: &str, content_type: &str) -> OperationBuilder {
    operation(id, Role::Public, "A page to try every operation", "It says nothing of this installation.")
        .response("200", answer("a file of the page", &[(content_type, plain())]))
}

fn gateway(id: &'static str) -> OperationBuilder {
    let description = "Any path and method of the provider's own API, passed on byte for byte and counted. Of what the \
                       provider answers nothing is changed; errors of ours take its form.";
    operation(id, Role::Public, "Pass a call on to a provider", description)
        .parameter(in_path("provider", "the configured name of the provider"))
        .parameter(in_path("path", "the rest of the path, slashes included, as the provider knows it"))
        .response("default", answer("what the provider answered", &[("*/*", RefOr::T(empty()))]))
}
