//! `GET /openapi.json`: every route as a program can read it, in OpenAPI 3.1.
//!
//! Answers are described by the types that are sent; what is asked, by the same lists that read it.

mod items;
mod operations;
mod parts;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use utoipa::ToSchema;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Paths, RefOr};

use super::answers::{Envelope, ProblemBody};
use super::api::{Check, Readiness, ResetBody, Written};
use super::keys::Added;
use super::routes::{Alive, NoteAnswer};
use crate::reports::usage::UsageReport;
use crate::reports::{StatsReport, raymundo};
use crate::service::keys::{KeyAsk, KeyList};

/// The document, written once.
pub(super) fn document() -> &'static [u8] {
    static DOCUMENT: LazyLock<Vec<u8>> =
        LazyLock::new(|| serde_json::to_vec(&described()).expect("a description has only string keys"));
    &DOCUMENT
}

fn described() -> OpenApi {
    let info = InfoBuilder::new()
        .title("tallybot")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The books of a tallybot over HTTP. docs/http.md says all of it in words."))
        .build();
    let mut paths = Paths::new();
    for (path, methods, operation) in operations::all() {
        for method in methods {
            let of_method = match method {
                HttpMethod::Head => parts::without_bodies(operation.clone()),
                _ => operation.clone(),
            };
            let item: &mut PathItem = paths.paths.entry(path.to_owned()).or_default();
            item.merge_operations(PathItem::new(method, of_method));
        }
    }
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components().build())).build()
}

fn components() -> ComponentsBuilder {
    let token = |description: &str| {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some(description.to_owned());
        SecurityScheme::Http(bearer)
    };
    let mut types = Vec::new();
    with_its_parts::<StatsReport>(&mut types);
    with_its_parts::<raymundo::Stats>(&mut types);
    with_its_parts::<UsageReport>(&mut types);
    with_its_parts::<NoteAnswer>(&mut types);
    with_its_parts::<Written>(&mut types);
    with_its_parts::<ResetBody>(&mut types);
    with_its_parts::<raymundo::Reset>(&mut types);
    with_its_parts::<KeyList>(&mut types);
    with_its_parts::<Added<'_>>(&mut types);
    with_its_parts::<KeyAsk>(&mut types);
    with_its_parts::<Alive>(&mut types);
    with_its_parts::<Readiness>(&mut types);
    with_its_parts::<Check>(&mut types);
    with_its_parts::<Envelope>(&mut types);
    with_its_parts::<ProblemBody>(&mut types);
    let schemas = ComponentsBuilder::new()
        .schemas_from_iter(types)
        .schema("UsageItem", items::usage_item())
        .schema("ImportLine", items::import_line())
        .security_scheme("readToken", token("TALLYBOT_READ_TOKEN, where one is set"))
        .security_scheme(
            "adminToken",
            token("TALLYBOT_ADMIN_TOKEN, where one is set: opens what a reader may do, too"),
        );
    parts::problems().into_iter().fold(schemas, |schemas, (name, problem)| schemas.response(name, problem))
}

/// A type and every type in it.
fn with_its_parts<T: ToSchema>(types: &mut Vec<(String, RefOr<Schema>)>) {
    types.push((T::name().into_owned(), T::schema()));
    T::schemas(types);
}
