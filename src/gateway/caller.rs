//! Whose call it is: by its key, by what its headers say, or, where no key was ever made, by nothing on this machine.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::target::Target;
use crate::access::keys::{HASHED_AS, WhyNot, allows, allows_provider, is_key};
use crate::access::{Throttle, bearer};
use crate::ledger::People;
use crate::metering::Call;
use crate::models::endpoint::{Class, Fault};
use crate::models::{CREDENTIALS, Kind};
use crate::service::items::{MAX_IDENTITY_BYTES, PEOPLE_OF, is_exact};
use crate::settings::{GatewayKey, Keys};
use crate::usage::Now;
use crate::usage::names::Name;

/// What proxies say of whom they speak for.
const PROXIES: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

/// Who asks, as far as the gateway knows.
#[derive(Clone, Debug)]
pub(super) struct Caller<'a> {
    /// If one was needed.
    key: Option<Arc<GatewayKey>>,
    told: Told<'a>,
}

impl<'a> Caller<'a> {
    /// Admits a caller by the key it shows where its API's keys stand, and reads what it says of its call. Where no key
    /// was ever made, a client of this machine needs none; one that came through a proxy is not known to be of this
    /// machine.
    ///
    /// # Errors
    /// A missing or unknown key, a remote client without one, too many wrong ones; then as [`Told::by`].
    pub(super) fn admit(
        keys: &Keys,
        (headers, credentials): (&'a HeaderMap, &Credentials<'_>),
        peer: SocketAddr,
        people: &People,
        throttle: &Throttle,
        now: Now,
    ) -> Result<Caller<'a>, Fault> {
        let key = Caller::key(keys, (headers, credentials), peer, people, throttle, now)?;
        Ok(Caller { key, told: Told::by(headers)? })
    }

    /// The key that a caller shows, if it needs one.
    fn key(
        keys: &Keys,
        (headers, credentials): (&HeaderMap, &Credentials<'_>),
        peer: SocketAddr,
        people: &People,
        throttle: &Throttle,
        now: Now,
    ) -> Result<Option<Arc<GatewayKey>>, Fault> {
        let mut shown = credentials.iter().flatten();
        let ours = shown.clone().find(|key| is_key(key));
        if keys.all().next().is_none() && ours.is_none() {
            let is_proxied = PROXIES.iter().any(|name| headers.contains_key(*name));
            if peer.ip().is_loopback() && !is_proxied {
                return Ok(None);
            }
            let message = "no key was made yet, so only programs of this machine may call; make one there with \
                           `tallybot keys add NAME`";
            return Err(Fault::new(Class::Unauthenticated, message));
        }
        let Some(key) = ours else {
            let shows_one = shown.next().is_some();
            let seen = if shows_one { "the key is none of tallybot's" } else { "a key of tallybot's is needed" };
            let message = format!(
                "{seen}; expected one such as `tb-…` where the key of this API stands, made with `tallybot keys add NAME`"
            );
            return Err(Fault::new(Class::Unauthenticated, message));
        };
        let hash = people.hash(HASHED_AS, key);
        if let Some(key) = keys.find(&hash) {
            return Ok(Some(Arc::clone(key))); // whoever else of that address guesses
        }
        if keys.was_revoked(&hash) {
            // It was no guess: programs that still have it are told so each time, and not to come back later.
            return Err(Fault::new(
                Class::Unauthenticated,
                "the key was revoked; another is made with `tallybot keys add NAME`",
            ));
        }
        throttle.check(peer.ip(), now).map_err(|secs| {
            Fault::new(Class::RateLimited, "too many wrong keys from this address").retry_after(secs)
        })?;
        throttle.failed(peer.ip(), now);
        Err(Fault::new(Class::Unauthenticated, "the key is not known"))
    }

    /// Whether the client showed a key of ours: then whatever it showed is not the provider's.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Whether the caller may ask this provider.
    pub(super) fn may_ask(&self, provider: &str) -> Result<(), Fault> {
        self.key.as_ref().map_or(Ok(()), |key| allows_provider(key, provider)).map_err(forbidden)
    }

    /// Whether the caller may ask this model. A key for some models opens no path whose model is not known.
    pub(super) fn may_use(&self, provider: &str, model: Option<&str>) -> Result<(), Fault> {
        let Some(key) = &self.key else { return Ok(()) };
        match model {
            Some(model) => allows(key, provider, model).map_err(forbidden),
            None if key.models.is_empty() => Ok(()),
            None => {
                let message =
                    format!("the key `{}` opens some models only, and this path is of none that is known", key.name);
                Err(Fault::new(Class::Forbidden, message))
            }
        }
    }

    /// Says of a call whose it is and what it is for: by the key, else by the headers.
    pub(super) fn describe(&self, call: &mut Call, people: &People) {
        let told = &self.told;
        let name = |told: Option<&str>| told.map(Name::clean);
        let key = self.key.as_deref();
        let of_key = |name: fn(&GatewayKey) -> Option<&String>| key.and_then(name).map(|name| Name::clean(name));
        call.key = of_key(|key| Some(&key.name));
        call.user = key.and_then(|key| key.user).or_else(|| told.user.map(|user| people.hash(PEOPLE_OF, user)));
        call.session = told.session.map(|session| people.hash(PEOPLE_OF, session));
        call.team = of_key(|key| key.team.as_ref()).or_else(|| name(told.team));
        call.feature = of_key(|key| key.feature.as_ref()).or_else(|| name(told.feature));
        call.agent = name(told.agent);
        call.operation = name(told.operation).or(call.operation.take());
        if let Some(request_type) = name(told.request_type) {
            call.request_type = request_type;
        }
    }

    /// Remembers, for display, who the user of a call is that was admitted: who only tries fills no memory.
    pub(super) fn remember(&self, call: &Call, people: &People) {
        let is_of_key = self.key.as_ref().is_some_and(|key| key.user.is_some());
        if let (Some(subject), Some(user), false) = (call.user, self.told.user, is_of_key) {
            people.remember(subject, PEOPLE_OF, user);
        }
    }
}

/// What a client says of its call in headers that are for us: of each the first.
#[derive(Clone, Debug, Default)]
struct Told<'a> {
    user: Option<&'a str>,
    session: Option<&'a str>,
    team: Option<&'a str>,
    feature: Option<&'a str>,
    agent: Option<&'a str>,
    operation: Option<&'a str>,
    request_type: Option<&'a str>,
}

impl<'a> Told<'a> {
    /// Read in one go: most calls say little of this.
    ///
    /// # Errors
    /// A header that is not UTF-8, a user or a session that is no identity: without it the call would count elsewhere
    /// than it says.
    fn by(headers: &'a HeaderMap) -> Result<Told<'a>, Fault> {
        let mut told = Told::default();
        for name in headers.keys() {
            let is_identity = matches!(name.as_str(), "x-user" | "x-session");
            let place = match name.as_str() {
                "x-user" => &mut told.user,
                "x-session" => &mut told.session,
                "x-team" => &mut told.team,
                "x-feature" => &mut told.feature,
                "x-agent" => &mut told.agent,
                "x-operation" => &mut told.operation,
                "x-request-type" => &mut told.request_type,
                _ => continue,
            };
            let Some(value) = headers.get(name) else { continue };
            let text = std::str::from_utf8(value.as_bytes()).map_err(|_| not_text(name))?;
            *place = Some(text).filter(|text| !text.is_empty());
            if is_identity && place.is_some_and(|text| !is_exact(text, MAX_IDENTITY_BYTES)) {
                return Err(no_identity(name));
            }
        }
        Ok(told)
    }
}

fn not_text(name: &HeaderName) -> Fault {
    let message = format!(
        "the header `{name}` is no text, so this call would count elsewhere; expected UTF-8, such as `{name}: diseño`"
    );
    Fault::new(Class::BadRequest, message)
}

/// What it said is not repeated: it is somebody's, and may be long.
fn no_identity(name: &HeaderName) -> Fault {
    let message = format!(
        "the header `{name}` is too long, blank or has control characters; expected 1 to {MAX_IDENTITY_BYTES} bytes of \
         text, such as `{name}: 4711`"
    );
    Fault::new(Class::BadRequest, message)
}

fn forbidden(why_not: WhyNot) -> Fault {
    Fault::new(Class::Forbidden, why_not.to_string())
}

/// All that a client shows as keys.
pub(super) type Credentials<'a> = [Option<&'a str>; CREDENTIALS.len() + 1];

/// All that the client shows as keys: in the headers of the APIs, or where Gemini's older clients put them.
pub(super) fn credentials<'a>(headers: &'a HeaderMap, target: &Target<'a>) -> Credentials<'a> {
    let shown = |name: &HeaderName| headers.get(name)?.to_str().ok().map(unschemed);
    let [authorization, x_api_key, x_goog_api_key, api_key] = CREDENTIALS.each_ref().map(shown);
    [authorization, x_api_key, x_goog_api_key, api_key, target.parameter("key")]
}

/// The key behind `Bearer`, or what stands there alone.
fn unschemed(value: &str) -> &str {
    bearer(value).unwrap_or(value.trim())
}

/// Whether a key stands in the query: one of ours on any path, a provider's own where its clients put it there.
pub(super) fn shows_key_in_query(kind: Kind, target: &Target<'_>) -> bool {
    target.parameter("key").is_some_and(|key| kind == Kind::Gemini || is_key(key))
}
