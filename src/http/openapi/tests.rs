//! The description says every route there is, whom it asks for and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::http::routes::ROUTES;
use crate::http::{Role, openapi};

fn document() -> Value {
    serde_json::from_slice(openapi::document()).expect("JSON")
}

/// Every reference in it.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_route_is_described_with_its_methods_and_its_role() {
    let document = document();
    let methods = ["get", "head", "post", "put", "delete", "patch", "options", "trace"];
    let mut described = BTreeSet::new();
    for (path, item) in
        document["paths"].as_object().expect("paths").iter().filter(|(path, _)| !path.starts_with("/gateway/"))
    {
        described.extend(
            methods.iter().filter(|method| item.get(**method).is_some()).map(|method| format!("{method} {path}")),
        );
    }
    let mut routes = BTreeSet::new();
    for route in ROUTES {
        for method in route.methods {
            let method = method.as_str().to_ascii_lowercase();
            let security = &document["paths"][route.path][&method]["security"];
            let expected = match route.need {
                Role::Public => Value::Null,
                Role::Read => serde_json::json!([{"readToken": []}, {"adminToken": []}]),
                Role::Admin => serde_json::json!([{"adminToken": []}]),
            };
            assert_eq!(security, &expected, "{method} {}", route.path);
            routes.insert(format!("{method} {}", route.path));
        }
    }
    assert_eq!(described, routes);
}

#[test]
fn what_passes_to_providers_is_described_with_the_methods_of_their_apis() {
    let document = document();
    let item = document["paths"]["/gateway/{provider}/{path}"].as_object().expect("described");
    for method in ["get", "head", "post", "put", "patch", "delete"] {
        assert!(item.contains_key(method), "{method}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let operations = document["paths"]
        .as_object()
        .expect("paths")
        .values()
        .flat_map(|item| item.as_object().expect("item").values());
    let ids: Vec<&str> = operations.filter_map(|operation| operation["operationId"].as_str()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

#[test]
fn the_page_has_nothing_inline_and_nothing_from_elsewhere() {
    let [html, script, style] =
        [include_str!("../page/page.html"), include_str!("../page/page.js"), include_str!("../page/page.css")];
    for inline in ["<script>", "<style", "style=", "onclick", "onload", "javascript:"] {
        assert!(!html.contains(inline), "{inline}");
    }
    for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
        assert!(!script.contains(markup), "{markup}");
    }
    for text in [html, script, style] {
        assert!(!text.contains("://") && !text.contains("@import") && !text.contains("url("));
    }
}
