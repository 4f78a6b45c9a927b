//! The metering pass-through: any program's calls to a provider, byte for byte, in the same books.
//!
//! ```text
//!   request ─► target ─► caller ─► asked ─► permit ─► provider
//!                                                        │
//!   client ◄── exchange: the body, metered as it passes ◄┘
//!                  │ dropped early
//!                  └► drains
//! ```
//!
//! Knows no route but its own and no listener: the app joins it with the rest of HTTP. Nothing of a prompt or an answer
//! is kept, logged or told; what goes wrong here is told as the API that was called would tell it.

mod attempts;
mod caller;
mod drains;
mod exchange;
mod frames;
mod headers;
mod incoming;
mod target;
mod upstream;

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use drains::DrainLimits;
pub use exchange::{Cut, Exchange};
pub use target::PREFIX;

use caller::Caller;
use drains::Drains;
use target::Target;

use crate::access::{Rooms, Throttle, Tokens};
use crate::ledger::People;
use crate::metering::Metering;
use crate::models::endpoint::{self, Class, Dialect, Endpoint, Fault};
use crate::models::{Kind, Provider, RetryPolicy};
use crate::usage::{Clock, Now};

/// The bounds of the gateway, and what it may do by itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The largest body of a metered request, in bytes.
    pub max_body_bytes: usize,
    /// All such bodies that are being read or sent together, in bytes.
    pub bodies_bytes: usize,
    /// Further attempts after one that failed before its answer began.
    pub retries: u32,
    /// Who is asked instead of a provider that failed: another provider of the same kind.
    pub fallbacks: HashMap<String, String>,
    /// What is done for clients that are gone.
    pub drains: DrainLimits,
}

/// What the gateway works with.
pub struct Parts {
    /// The door.
    pub metering: Metering,
    /// The providers.
    pub providers: Arc<[Provider]>,
    /// Who is who.
    pub people: Arc<People>,
    /// The tokens of REST, which no provider is to see.
    pub tokens: Tokens,
    /// The only clock.
    pub clock: Arc<dyn Clock>,
    /// The only source of chance.
    pub random: fn() -> [u8; 16],
    /// Tasks that outlive the request that began them.
    pub tasks: TaskTracker,
}

/// The gateway. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    settings: Settings,
    retries: RetryPolicy,
    throttle: Throttle,
    /// The memory of bodies.
    rooms: Rooms,
    drains: Drains,
    /// Nobody waits in line any more.
    ending: CancellationToken,
}

/// The body of an answer.
pub enum Body {
    /// It is all there.
    Whole(Full<Bytes>),
    /// It passes by.
    Passing(Box<Exchange>),
}

impl Gateway {
    /// A gateway to these providers.
    pub fn new(parts: Parts, settings: Settings) -> Gateway {
        let drains = Drains::new(settings.drains, parts.tasks.clone());
        let rooms = Rooms::new(settings.bodies_bytes);
        let retries = RetryPolicy { max_attempts: settings.retries + 1, ..RetryPolicy::default() };
        let (throttle, ending) = (Throttle::default(), CancellationToken::new());
        Gateway { inner: Arc::new(Inner { parts, settings, retries, throttle, rooms, drains, ending }) }
    }

    /// From now on nobody waits in line: who does is told to come back. What is being answered goes on.
    pub fn end_the_line(&self) {
        self.inner.ending.cancel();
    }

    /// Stops reading on for clients that are gone; what they left is recorded as far as it is known.
    pub fn stop(&self) {
        self.inner.drains.stop();
    }

    /// Answers a request to a path under [`PREFIX`]. Dropped, it hands what it began to the drains.
    pub async fn answer<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let began = self.inner.parts.clock.now();
        let (head, body) = request.into_parts();
        let Some(target) = Target::of(&head.uri) else {
            let message = "this path names no provider; expected `/gateway/NAME/…`, NAME being that of a provider in the \
                           configuration, for example `/gateway/openai/v1/chat/completions`";
            return told(Fault::new(Class::NotFound, message), Dialect::OpenAi);
        };
        let provider = self.inner.provider(target.provider);
        let endpoint = provider.map_or(Endpoint::Other, |p| Endpoint::of(p.kind(), &head.method, target.path));
        // Of a provider that is not there the path tells at least whose client asks.
        let guessed = || Endpoint::of(Kind::Ollama, &head.method, target.path).dialect(Kind::OpenAi);
        let dialect = provider.map_or_else(guessed, |p| endpoint.dialect(p.kind()));
        let asking = Asking { head: &head, target, endpoint, dialect, peer, began };
        // All that a call needs while it is made is large, and lies in one place from here on.
        let answer = Box::pin(self.inner.serve(&asking, provider, body)).await;
        answer.unwrap_or_else(|fault| told(fault, dialect))
    }
}

fn told(fault: Fault, dialect: Dialect) -> Response<Body> {
    let id = fault.id().map(str::to_owned);
    let mut response = fault.into_response(dialect).map(Body::Whole);
    if let Some(id) = id {
        headers::add_record(response.headers_mut(), id);
    }
    response
}

/// What a client asks, before its body.
struct Asking<'a> {
    head: &'a http::request::Parts,
    target: Target<'a>,
    endpoint: Endpoint,
    dialect: Dialect,
    peer: SocketAddr,
    began: Now,
}

impl Inner {
    fn provider(&self, name: &str) -> Option<&Provider> {
        self.parts.providers.iter().find(|provider| provider.name() == name)
    }

    /// Everything that is decided before the body is read; then the call.
    async fn serve<B>(&self, asking: &Asking<'_>, provider: Option<&Provider>, body: B) -> Result<Response<Body>, Fault>
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let parts = &self.parts;
        let credentials = caller::credentials(&asking.head.headers, &asking.target);
        if credentials.iter().flatten().any(|shown| parts.tokens.knows(shown)) {
            let message = "this is tallybot's token for its own REST, and no key; expected one such as `tb-…`, made with \
                           `tallybot keys add NAME`";
            return Err(Fault::new(Class::Unauthenticated, message));
        }
        let (keys, shown) = (parts.metering.keys(), (&asking.head.headers, &credentials));
        let caller = Caller::admit(&keys, shown, asking.peer, &parts.people, &self.throttle, asking.began)?;
        let Some(provider) = provider.filter(|provider| provider.is_passable()) else {
            return Err(self.no_such_provider(asking.target.provider));
        };
        caller.may_ask(provider.name())?;
        if asking.target.is_ambiguous() {
            let message =
                "the path has empty, `.`, `..` or escaped parts, which servers read differently; send it plain";
            return Err(Fault::new(Class::BadRequest, message));
        }
        if matches!(asking.head.method, Method::CONNECT | Method::TRACE) {
            return Err(Fault::new(Class::WrongMethod, "this method is not passed on"));
        }
        if headers::asks_for_websocket(&asking.head.headers) {
            let message =
                "WebSockets are not passed on: what they use could not be recorded. Ask over HTTP; streams pass";
            return Err(Fault::new(Class::NoWebSocket, message));
        }
        let incoming = self.read(asking, provider, body).await?;
        caller.may_use(provider.name(), incoming.asked.model.as_deref())?;
        for other in &incoming.asked.other_models {
            caller.may_use(provider.name(), Some(other))?;
        }
        if let Some(deployed) = endpoint::deployment_of(asking.target.path) {
            caller.may_use(provider.name(), Some(&deployed))?;
        }
        self.attempts(asking, &caller, provider, incoming).await
    }

    fn no_such_provider(&self, name: &str) -> Fault {
        let names = self.parts.providers.iter().filter(|provider| provider.is_passable());
        let names: Vec<String> = names.map(|provider| format!("`{}`", provider.name())).collect();
        let expected = match names.as_slice() {
            [] => "no provider is configured that calls could be passed on to; see `[[providers]]`".to_owned(),
            names => format!("expected one of {}", names.join(", ")),
        };
        let name: String = name.chars().take(64).collect();
        Fault::new(Class::NotFound, format!("there is no provider `{name}`; {expected}"))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Body::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Body::Passing(exchange) => Pin::new(exchange.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Whole(body) => body.is_end_stream(),
            Body::Passing(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(body) => body.size_hint(),
            Body::Passing(_) => SizeHint::default(),
        }
    }
}
