//! Passing on what somebody else asks of a provider: to its URL, with its key, otherwise as it came.

use std::borrow::Cow;
use std::future::Future;

use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request};

use super::endpoint::Dialect;
use super::transport::{Answer, NoAnswer, RequestBody};
use super::{Kind, Provider};

/// A request of somebody else's.
pub struct PassedOn<'a> {
    /// The method.
    pub method: Method,
    /// Where it goes, below the provider's URL.
    pub path: Cow<'a, str>,
    /// What follows the `?`, if anything.
    pub query: Option<Cow<'a, str>>,
    /// Its headers, without those that concern only the connection it came by.
    pub headers: HeaderMap,
    /// The API that the path is of.
    pub dialect: Dialect,
    /// Its body.
    pub body: RequestBody,
}

impl Provider {
    /// Sends a request on and waits for the head of the answer. With a key of the provider's own, that one goes along and
    /// no other; without one, whatever the request carries. Dropped, it closes the connection.
    ///
    /// # Errors
    /// [`NoAnswer`], when there is none.
    pub fn pass(&self, request: PassedOn<'_>) -> impl Future<Output = Result<Answer, NoAnswer>> + Send + use<> {
        let (request, transport, timeouts) = (self.addressed(request), self.transport().clone(), *self.timeouts());
        async move { transport.pass(request.ok_or(NoAnswer::Connect)?, &timeouts).await }
    }

    /// Whether requests can be passed on to it: the demo model is nowhere.
    pub fn is_passable(&self) -> bool {
        self.kind() != Kind::Demo
    }

    fn addressed(&self, passed_on: PassedOn<'_>) -> Option<Request<RequestBody>> {
        let uri = self.endpoint(self.base()?, &passed_on.path);
        let uri = match passed_on.query.as_deref().filter(|query| !query.is_empty()) {
            None => uri,
            Some(query) => {
                let mut parts = uri.into_parts();
                let own = parts.path_and_query.as_ref().map_or("", PathAndQuery::as_str);
                let joint = if own.contains('?') { '&' } else { '?' };
                parts.path_and_query = Some(format!("{own}{joint}{query}").parse().ok()?);
                http::Uri::from_parts(parts).ok()?
            }
        };
        let mut request = Request::new(passed_on.body);
        *request.method_mut() = passed_on.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = passed_on.headers;
        if self.has_key() {
            self.authorize_as(passed_on.dialect, request.headers_mut());
        }
        Some(request)
    }
}
