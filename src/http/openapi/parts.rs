//! The pieces operations are made of: parameters, answers, errors.

use serde_json::Value;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, Schema};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, Header, Ref, RefOr, Required};

use crate::http::Role;

/// A schema as it is written in JSON.
pub(super) fn schema(json: Value) -> RefOr<Schema> {
    serde_json::from_value(json).expect("a schema of our own")
}

/// A schema by its name.
pub(super) fn named(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// Any of several schemas by their names.
pub(super) fn either(names: &[&str]) -> RefOr<Schema> {
    RefOr::T(names.iter().fold(AnyOfBuilder::new(), |either, name| either.item(named(name))).build().into())
}

/// A list of a schema by its name.
pub(super) fn list_of(name: &str, most: usize) -> RefOr<Schema> {
    RefOr::T(ArrayBuilder::new().items(named(name)).max_items(Some(most)).build().into())
}

/// A parameter of the query, which may be missing.
pub(super) fn parameter(name: &str, description: &str, json: Value) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).required(Required::False);
    parameter.description(Some(description)).schema(Some(schema(json))).build()
}

/// A parameter that stands in the path.
pub(super) fn in_path(name: &str, description: &str) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    parameter.description(Some(description)).schema(Some(schema(serde_json::json!({"type": "string"})))).build()
}

/// An answer with the contents it may have.
pub(super) fn answer(description: &str, contents: &[(&str, RefOr<Schema>)]) -> ResponseBuilder {
    contents.iter().fold(ResponseBuilder::new().description(description), |answer, (content_type, schema)| {
        answer.content(*content_type, Content::new(Some(schema.clone())))
    })
}

/// A text without any structure that we promise.
pub(super) fn plain() -> RefOr<Schema> {
    schema(serde_json::json!({"type": "string"}))
}

/// A body with the contents it may have.
pub(super) fn body(required: Required, contents: &[(&str, RefOr<Schema>)]) -> RequestBody {
    let body = RequestBodyBuilder::new().required(Some(required));
    let all = contents
        .iter()
        .fold(body, |body, (content_type, schema)| body.content(*content_type, Content::new(Some(schema.clone()))));
    all.build()
}

/// An operation that a role may do, with the errors that each of its kind may answer.
pub(super) fn operation(id: &str, need: Role, summary: &str, description: &str) -> OperationBuilder {
    let operation = OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .description(Some(description))
        .response("400", Ref::from_response_name("BadRequest"))
        .response("403", Ref::from_response_name("Forbidden"))
        .response("431", Ref::from_response_name("HeadTooLarge"))
        .response("500", Ref::from_response_name("Internal"));
    let token = |name: &str| SecurityRequirement::new(name, [] as [&str; 0]);
    let operation = match need {
        Role::Public => return operation,
        Role::Read => operation.security(token("readToken")).security(token("adminToken")),
        Role::Admin => operation.security(token("adminToken")),
    };
    let unauthorized = operation.response("401", Ref::from_response_name("Unauthorized"));
    unauthorized.response("429", Ref::from_response_name("TooManyWrongTokens"))
}

/// The same with the errors of a body.
pub(super) fn with_body(operation: OperationBuilder, body: RequestBody) -> OperationBuilder {
    operation
        .request_body(Some(body))
        .response("408", Ref::from_response_name("BodyTimeout"))
        .response("413", Ref::from_response_name("TooLarge"))
        .response("415", Ref::from_response_name("WrongContentType"))
}

/// As `HEAD` answers what `GET` does.
pub(super) fn without_bodies(mut operation: Operation) -> Operation {
    operation.operation_id = operation.operation_id.map(|id| format!("{id}Head"));
    operation.summary = operation.summary.map(|summary| format!("{summary}: headers alone"));
    for response in operation.responses.responses.values_mut() {
        match response {
            RefOr::T(response) => response.content.clear(),
            RefOr::Ref(problem) => {
                let name = problem.ref_location.rsplit('/').next().unwrap_or_default();
                *response = RefOr::T(Response::new(format!("as `{name}`, without the body")));
            }
        }
    }
    operation
}

/// Every error, by the name operations give it.
pub(super) fn problems() -> Vec<(&'static str, Response)> {
    let problem = |description: &str| answer(description, &[("application/json", named("Error"))]);
    let whole = |text: &str| {
        let mut header = Header::new(schema(serde_json::json!({"type": "string"})));
        header.description = Some(text.to_owned());
        header
    };
    let again = || whole("seconds until it makes sense to ask again");
    vec![
        (
            "BadRequest",
            problem("a mistake in the query, the head or the body; `mistakes` lists those of the query").build(),
        ),
        (
            "Unauthorized",
            problem("the token is missing or not known").header("www-authenticate", whole("Bearer")).build(),
        ),
        ("Forbidden", problem("the token may only read, or the host or origin is not one of ours").build()),
        ("BodyTimeout", problem("the body did not come in time").build()),
        ("NotFound", problem("there is nothing of this name").build()),
        ("Conflict", problem("what is there already, or no longer, is in the way").build()),
        ("TooLarge", problem("the body is too large or has too many items").build()),
        ("WrongContentType", problem("the body's content type is missing or another than expected").build()),
        ("HeadTooLarge", answer("path, query and headers together are too large; it has no body", &[]).build()),
        (
            "TooManyWrongTokens",
            problem("too many wrong tokens from this address").header("retry-after", again()).build(),
        ),
        ("Internal", problem("something failed here; the log knows more, by the request id").build()),
        ("Unavailable", problem("the books cannot be written or read now").header("retry-after", again()).build()),
    ]
}
