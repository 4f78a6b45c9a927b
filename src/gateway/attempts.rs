//! A call and its attempts: each with a permit and a record of its own, until one is answered or none may follow.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body_util::Full;

use super::caller::{Caller, shows_key_in_query};
use super::exchange::{Exchange, Passage};
use super::frames::Frames;
use super::headers;
use super::incoming::Incoming;
use super::{Asking, Body, Inner};
use crate::limits::{AtLimit, Held, Refusal};
use crate::metering::{Call, End, Meter, Patience, Permit, Receipt, Refused};
use crate::models::endpoint::{self, Asked, Class, Endpoint, Fault};
use crate::models::openai::Dialect;
use crate::models::transport::RequestBody;
use crate::models::{CallError, PassedOn, Provider, Retry};
use crate::usage::names::UNKNOWN;
use crate::usage::{ErrorKind, Now, RecordId};

/// What is decided anew for each attempt.
struct Attempt<'a> {
    provider: &'a Provider,
    call: Call,
    /// The model that a fallback is asked for.
    model: Option<String>,
    /// Others that were asked before.
    tried: Vec<&'a str>,
    /// How often this provider was asked again.
    retried: u32,
    /// How it is asked.
    dialect: Dialect,
    /// When it began: waits between attempts are nobody's work.
    began: Now,
}

impl Attempt<'_> {
    /// The failure that its answer tells of, if it is one. What we added, with `strips`, may be why.
    fn error(&self, meter: &Meter, status: StatusCode, strips: bool) -> Option<CallError> {
        let error = meter.error()?;
        let adjusted = strips.then(|| self.provider.adjusted(self.dialect, status.as_u16(), meter.error_body()));
        // The limit's name is the client's.
        let adjusted = adjusted.flatten().filter(|dialect| !dialect.stream_options);
        Some(match adjusted {
            Some(dialect) => CallError { retry: Retry::Adjusted(dialect), ..error },
            None => error,
        })
    }
}

/// How an attempt ended.
enum Outcome {
    Answered(Response<Body>),
    Failed(Box<Failure>),
}

/// An attempt that failed before its answer began, with what the client is told if no other follows.
struct Failure {
    error: CallError,
    id: RecordId,
    told: Told,
}

enum Told {
    Answer(Box<Response<Body>>),
    Fault(Fault),
}

impl Told {
    fn into_result(self) -> Result<Response<Body>, Fault> {
        match self {
            Told::Answer(answer) => Ok(*answer),
            Told::Fault(fault) => Err(fault),
        }
    }
}

impl Inner {
    /// Makes a call: attempts until one is answered, or the last one failed.
    pub(super) async fn attempts(
        &self,
        asking: &Asking<'_>,
        caller: &Caller<'_>,
        provider: &Provider,
        mut incoming: Incoming<'_>,
    ) -> Result<Response<Body>, Fault> {
        let call = self.call(asking, caller, provider, &incoming.asked);
        let (tried, dialect) = (Vec::new(), provider.dialect());
        let mut attempt = Attempt { provider, call, model: None, tried, retried: 0, dialect, began: incoming.read };
        let mut failed = None;
        loop {
            let permit = match self.open(&mut attempt.call).await {
                Ok(permit) => permit,
                Err(refused) => {
                    let other = match &refused {
                        Refused::Limit(refusal) => self.instead_at_limit(refusal, &attempt, caller),
                        _ => None,
                    };
                    let Some(other) = other.filter(|_| incoming.body.whole().is_some()) else {
                        // What a provider said before tells more than that none may be asked again.
                        return failed.map_or_else(|| Err(Fault::from(&refused)), Told::into_result);
                    };
                    self.turn_to(other, &mut attempt, asking, caller, &incoming.asked);
                    continue;
                }
            };
            caller.remember(&attempt.call, &self.parts.people);
            let failure = match self.attempt(asking, caller, &attempt, permit, &mut incoming).await? {
                Outcome::Answered(answer) => {
                    if answer.status().is_success() {
                        attempt.provider.understands(attempt.dialect);
                    }
                    return Ok(answer);
                }
                Outcome::Failed(failure) => failure,
            };
            let next = self.next(&failure.error, &attempt, caller, &incoming);
            attempt.call.call.get_or_insert(failure.id);
            attempt.call.attempt += 1;
            match next {
                Next::Stop => return failure.told.into_result(),
                Next::Again(delay) => {
                    match failure.error.retry {
                        Retry::Adjusted(dialect) => attempt.dialect = dialect,
                        _ => attempt.retried += 1,
                    }
                    tokio::time::sleep(delay).await;
                }
                Next::Other(other) => self.turn_to(other, &mut attempt, asking, caller, &incoming.asked),
            }
            failed = Some(failure.told);
            attempt.began = self.parts.clock.now();
        }
    }

    async fn open(&self, call: &mut Call) -> Result<Permit, Refused> {
        let now = self.parts.clock.now();
        let left = async {
            self.ending.cancelled().await;
            ErrorKind::Shutdown
        };
        self.parts.metering.open_in_line(call, now, &Patience::default(), |_| {}, left).await
    }

    fn call(&self, asking: &Asking<'_>, caller: &Caller<'_>, provider: &Provider, asked: &Asked) -> Call {
        let call = Call::new(provider.name(), provider.kind().as_str(), UNKNOWN, "gateway");
        let mut call = call.asking(asking.endpoint, asked);
        call.local = provider.is_local(&call.model);
        call.api_key_suffix = provider.key_suffix();
        call.free = asking.endpoint.is_free(&asking.head.method);
        caller.describe(&mut call, &self.parts.people);
        call
    }

    /// One attempt, from its permit to the head of the client's answer.
    async fn attempt(
        &self,
        asking: &Asking<'_>,
        caller: &Caller<'_>,
        attempt: &Attempt<'_>,
        permit: Permit,
        incoming: &mut Incoming<'_>,
    ) -> Result<Outcome, Fault> {
        let (provider, id) = (attempt.provider, permit.id());
        let (request, strips) = self.request(asking, caller, attempt, incoming)?;
        let meter = Meter::new(permit, asking.endpoint);
        let meter = if sends_own_key(caller, attempt) { meter.of_a_foreign_key() } else { meter };
        let sending = Box::pin(provider.pass(request));
        let mut exchange = Exchange::new(meter, sending, self.drains.clone(), self.parts.metering.clone());
        let sent = self.parts.clock.now();
        let (status, mut headers) = match exchange.head().await {
            Ok(head) => head,
            Err(no_answer) => {
                let error = CallError::of(no_answer.kind(), no_answer.retry());
                return Ok(Outcome::Failed(Box::new(self.failed(exchange, error, id, provider).await)));
            }
        };
        headers::clean_answer(&mut headers);
        let is_error = exchange.meter().is_some_and(Meter::is_error);
        let held = self.parts.metering.held(id);
        let mut head = Head { status, headers, id, held, times: Times { began: attempt.began, sent, answered: None } };
        incoming.room = None;
        let has_body = asking.head.method != Method::HEAD
            && ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status)
            && !exchange.has_come_whole();
        let passage = passage(&head, asking.endpoint, &incoming.asked, strips).filter(|_| has_body && !is_error);
        if let Some(passage) = passage {
            return Ok(Outcome::Answered(self.passing(head, exchange.passing(passage), &attempt.call)));
        }
        match exchange.whole().await {
            Ok(Some(body)) => {
                head.times.answered = Some(self.parts.clock.now());
                let error = exchange.meter().and_then(|meter| attempt.error(meter, status, strips));
                let receipt = exchange.record(End::Body).await;
                let body = Body::Whole(Full::new(body));
                let answer = self.response(head, body, receipt.as_ref(), &attempt.call);
                Ok(match error {
                    None => Outcome::Answered(answer),
                    Some(error) => {
                        Outcome::Failed(Box::new(Failure { error, id, told: Told::Answer(Box::new(answer)) }))
                    }
                })
            }
            Ok(None) => {
                let exchange = exchange.passing(Passage::OneBehind);
                Ok(Outcome::Answered(self.passing(head, exchange, &attempt.call)))
            }
            Err(kind) => {
                let error = CallError::of(kind, Retry::No);
                Ok(Outcome::Failed(Box::new(self.failed(exchange, error, id, provider).await)))
            }
        }
    }

    /// Records an attempt that brought no answer.
    async fn failed(
        &self,
        mut exchange: Box<Exchange>,
        error: CallError,
        id: RecordId,
        provider: &Provider,
    ) -> Failure {
        exchange.record(End::Failed(error.failure.kind)).await;
        let told = Told::Fault(unanswered(provider.name(), error.failure.kind).with_id(id.to_string()));
        Failure { error, id, told }
    }

    /// The request as the provider is to get it, and whether it will tell usage that the client did not ask for.
    fn request<'a>(
        &self,
        asking: &Asking<'a>,
        caller: &Caller<'_>,
        attempt: &Attempt<'_>,
        incoming: &mut Incoming<'_>,
    ) -> Result<(PassedOn<'a>, bool), Fault> {
        let (provider, endpoint) = (attempt.provider, asking.endpoint);
        let mut path = Cow::Borrowed(asking.target.path);
        let mut body = None;
        if let (Some(model), Some(whole)) = (&attempt.model, incoming.body.whole()) {
            match endpoint::path_with_model(provider.kind(), &path, model) {
                Some(other) => path = Cow::Owned(other),
                None => body = endpoint::with_model(whole, model),
            }
        }
        let asks = incoming.asked.stream && !incoming.asked.usage_asked && attempt.dialect.stream_options;
        let plain = body.as_deref().or(incoming.body.whole().map(|whole| &whole[..])).filter(|_| asks);
        let asking_for_usage = plain.and_then(|plain| endpoint::with_usage_asked(endpoint, plain));
        let strips = asking_for_usage.is_some();
        let body = match asking_for_usage.or(body) {
            Some(bytes) => RequestBody::from(Bytes::from(bytes)),
            None => {
                incoming.body.for_sending().ok_or_else(|| Fault::new(Class::BadGateway, "the body was sent before"))?
            }
        };
        // The client's own key is for the provider that it asked, and goes to no other.
        let with_credentials = sends_own_key(caller, attempt);
        let headers = headers::passed_on(&asking.head.headers, strips, with_credentials);
        let drops_key = !with_credentials && shows_key_in_query(provider.kind(), &asking.target);
        let query = match drops_key {
            true => asking.target.query_without("key").map(Cow::Owned),
            false => asking.target.query.map(Cow::Borrowed),
        };
        let (method, dialect) = (asking.head.method.clone(), asking.dialect);
        Ok((PassedOn { method, path, query, headers, dialect, body }, strips))
    }

    fn passing(&self, mut head: Head, exchange: Box<Exchange>, call: &Call) -> Response<Body> {
        if exchange.strips() {
            head.headers.remove(header::CONTENT_LENGTH);
        }
        self.response(head, Body::Passing(exchange), None, call)
    }

    fn response(&self, head: Head, body: Body, receipt: Option<&Receipt>, call: &Call) -> Response<Body> {
        let Head { status, mut headers, id, held, times } = head;
        let now = self.parts.clock.now();
        let (upstream_us, own_us) = times.spent(now);
        let mut adding = headers::Adding::to(&mut headers);
        receipt.inspect(|receipt| adding.receipt(receipt));
        adding.record(id);
        adding.left(&self.parts.metering.left(call, held.as_ref(), now));
        adding.timing(upstream_us, own_us);
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        response
    }
}

/// The head of an answer, and when what happened.
struct Head {
    status: StatusCode,
    headers: HeaderMap,
    id: RecordId,
    /// What the call is held against, of which something is left.
    held: Option<Held>,
    times: Times,
}

struct Times {
    began: Now,
    sent: Now,
    /// When all of it was there; `None` where it passes by.
    answered: Option<Now>,
}

impl Times {
    /// Microseconds that the provider took, and that we took.
    fn spent(&self, now: Now) -> (u64, u64) {
        let between = |from: Now, to: Now| to.tick.0.saturating_sub(from.tick.0);
        let upstream = between(self.sent, self.answered.unwrap_or(now));
        (upstream, between(self.began, now).saturating_sub(upstream))
    }
}

/// What follows a failed attempt.
enum Next<'a> {
    Stop,
    Again(Duration),
    Other(&'a Provider),
}

impl Inner {
    fn next<'a>(
        &'a self,
        error: &CallError,
        attempt: &Attempt<'a>,
        caller: &Caller<'_>,
        incoming: &Incoming<'_>,
    ) -> Next<'a> {
        if incoming.body.whole().is_none() {
            return Next::Stop; // it flowed by
        }
        if let Some(delay) = self.retries.next_delay(attempt.retried + 1, error, (self.parts.random)()[0]) {
            return Next::Again(delay);
        }
        let other = self.fallback_of(attempt, caller).filter(|_| may_work_elsewhere(error));
        other.map_or(Next::Stop, Next::Other)
    }

    /// Who is configured to be asked instead, if the caller may and it was not asked before.
    fn fallback_of<'a>(&'a self, attempt: &Attempt<'a>, caller: &Caller<'_>) -> Option<&'a Provider> {
        self.other(self.settings.fallbacks.get(attempt.provider.name())?, attempt, caller)
    }

    fn other<'a>(&'a self, name: &str, attempt: &Attempt<'a>, caller: &Caller<'_>) -> Option<&'a Provider> {
        let other = self.provider(name).filter(|other| other.kind() == attempt.provider.kind())?;
        let is_new = other.name() != attempt.provider.name() && !attempt.tried.contains(&other.name());
        (is_new && caller.may_use(other.name(), Some(other.model())).is_ok()).then_some(other)
    }

    /// Who is asked where a limit says so: the provider that it names, else the first whose own model is local, else
    /// the one that is asked where this one fails.
    fn instead_at_limit<'a>(
        &'a self,
        refusal: &Refusal,
        attempt: &Attempt<'a>,
        caller: &Caller<'_>,
    ) -> Option<&'a Provider> {
        match &refusal.at_limit {
            Some(AtLimit::Fallback(Some(name))) => self.other(name, attempt, caller),
            Some(AtLimit::Fallback(None)) => {
                let mut local = self.parts.providers.iter().filter(|other| other.is_local(other.model()));
                local.find_map(|other| self.other(other.name(), attempt, caller)).or(self.fallback_of(attempt, caller))
            }
            _ => None,
        }
    }

    /// The next attempt is another provider's, with its own model.
    fn turn_to<'a>(
        &self,
        other: &'a Provider,
        attempt: &mut Attempt<'a>,
        asking: &Asking<'_>,
        caller: &Caller<'_>,
        asked: &Asked,
    ) {
        let asked = Asked { model: Some(other.model().to_owned()), ..asked.clone() };
        let (first, number) = (attempt.call.call, attempt.call.attempt);
        attempt.call = Call { call: first, attempt: number, ..self.call(asking, caller, other, &asked) };
        attempt.tried.push(attempt.provider.name());
        (attempt.provider, attempt.dialect, attempt.retried) = (other, other.dialect(), 0);
        attempt.model = asked.model;
    }
}

/// Whether a call goes out with what the client shows to its provider: where that one has no key, and nobody else was
/// meant.
fn sends_own_key(caller: &Caller<'_>, attempt: &Attempt<'_>) -> bool {
    !caller.has_key() && !attempt.provider.has_key() && attempt.tried.is_empty()
}

/// Besides what may work again there: whoever has no time, or breaks at an image that its model cannot see.
fn may_work_elsewhere(error: &CallError) -> bool {
    match error.failure.kind {
        ErrorKind::ConnectTimeout | ErrorKind::FirstByteTimeout => true,
        ErrorKind::ServerError if error.sees_no_images => true,
        _ => error.retry != Retry::No,
    }
}

/// An attempt that brought no answer from the provider.
fn unanswered(provider: &str, kind: ErrorKind) -> Fault {
    if kind == ErrorKind::ClientGone {
        return Fault::new(Class::SlowBody, "the body did not come whole and in time").closing();
    }
    let (class, what) = match kind {
        ErrorKind::ConnectTimeout => (Class::GatewayTimeout, "could not be reached in time"),
        ErrorKind::FirstByteTimeout | ErrorKind::IdleTimeout => (Class::GatewayTimeout, "did not answer in time"),
        ErrorKind::TotalTimeout => (Class::GatewayTimeout, "took too long to answer"),
        ErrorKind::BadResponse => (Class::BadGateway, "answered with something that is not HTTP"),
        ErrorKind::StreamCut => (Class::BadGateway, "broke the connection before its answer was whole"),
        _ => (Class::BadGateway, "could not be reached"),
    };
    Fault::new(class, format!("the provider `{provider}` {what}"))
}

/// How an answer is passed on; `None` when it is to be held whole.
fn passage(head: &Head, endpoint: Endpoint, asked: &Asked, strips: bool) -> Option<Passage> {
    let media_type = endpoint::media_type(&head.headers);
    let is = |name: &&str| media_type.eq_ignore_ascii_case(name);
    let is_json = is(&"application/json");
    let is_stream = ["text/event-stream", "application/x-ndjson", "application/jsonl"].iter().any(is);
    if is_stream || endpoint == Endpoint::StreamGenerateContent || endpoint.is_metered() && asked.stream && !is_json {
        let is_plain = !head.headers.contains_key(header::CONTENT_ENCODING);
        return Some(if strips && is_plain { Passage::WithoutUsage(Frames::default()) } else { Passage::AsTheyCome });
    }
    let is_known_small = head.headers.contains_key(header::CONTENT_LENGTH); // larger ones are noticed when read
    (!is_json && !is_known_small && !endpoint.is_metered()).then_some(Passage::OneBehind)
}
