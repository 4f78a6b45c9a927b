//! The page at `/docs`: a form per operation, made in the browser from `/openapi.json`. Three files, all our own.

use http::request::Parts;
use http::{HeaderValue, StatusCode, header};

use super::answers::{Problem, with_type};
use super::query;
use super::server::Response;

/// What the page may do: its own script and style, and questions to us. Nothing inline, nothing from elsewhere.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) async fn html(parts: Parts) -> Response {
    file(&parts, "text/html; charset=utf-8", include_bytes!("page/page.html"))
}

pub(super) async fn script(parts: Parts) -> Response {
    file(&parts, "text/javascript; charset=utf-8", include_bytes!("page/page.js"))
}

pub(super) async fn style(parts: Parts) -> Response {
    file(&parts, "text/css; charset=utf-8", include_bytes!("page/page.css"))
}

fn file(parts: &Parts, content_type: &'static str, bytes: &[u8]) -> Response {
    if let Err(mistakes) = query::expect_empty(parts.uri.query()) {
        return Problem::bad_query(mistakes).into_response();
    }
    let mut response = with_type(StatusCode::OK, content_type, bytes.to_vec());
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}
