//! What the plain types of a record look like in JSON, for the description of the REST surface.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::{Day, Money, RecordId, Timestamp};

fn text(description: &str, example: &str) -> ObjectBuilder {
    let described = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).description(Some(description));
    described.examples([serde_json::Value::from(example)])
}

fn formatted(description: &str, example: &str, format: &str) -> Object {
    text(description, example).format(Some(SchemaFormat::Custom(format.to_owned()))).build()
}

impl PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        let exact = text("exact US dollars as decimal text", "0.003575");
        RefOr::T(exact.pattern(Some(r"^-?[0-9]+(\.[0-9]{1,12})?$")).build().into())
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        let description = "a moment, with the offset of the owner's zone";
        RefOr::T(formatted(description, "2026-02-05T06:01:47.127728-06:00", "date-time").into())
    }
}

impl PartialSchema for Day {
    fn schema() -> RefOr<Schema> {
        RefOr::T(formatted("a calendar day", "2026-11-22", "date").into())
    }
}

impl PartialSchema for RecordId {
    fn schema() -> RefOr<Schema> {
        let description = "the id of a record";
        RefOr::T(formatted(description, "01a20141-8798-7c14-9a1b-7fc540218978", "uuid").into())
    }
}

impl ToSchema for Money {}
impl ToSchema for Timestamp {}
impl ToSchema for Day {}
impl ToSchema for RecordId {}
