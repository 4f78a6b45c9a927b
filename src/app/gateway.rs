//! The gateway as the HTTP server knows it: behind the same check of host and origin as REST.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt;
use futures_util::future::{Either, ready};
use http::Request;

use super::{App, guard::Door, random};
use crate::access::Tokens;
use crate::config::Config;
use crate::gateway::{DrainLimits, Gateway, Parts, Settings};
use crate::http::{Guard, Handler, Problem, RequestBody, RequestHead, Response, Role};
use crate::usage::Clock;

/// At least so many bodies of the largest size are read or sent together.
const LARGEST_BODIES: usize = 8;

/// The gateway as a [`Handler`].
#[derive(Clone)]
pub(super) struct GatewayDoor {
    gateway: Gateway,
    door: Arc<Door>,
    clock: Arc<dyn Clock>,
}

impl GatewayDoor {
    pub(super) fn new(gateway: Gateway, door: Door, clock: Arc<dyn Clock>) -> GatewayDoor {
        GatewayDoor { gateway, door: Arc::new(door), clock }
    }

    fn check(&self, parts: &http::request::Parts, peer: SocketAddr) -> Result<(), Problem> {
        let head = RequestHead::read(parts, peer).ok_or_else(Problem::bad_head)?;
        Ok(self.door.check(&head, Role::Public, self.clock.now())?)
    }
}

impl Handler for GatewayDoor {
    fn handle(&self, request: Request<RequestBody>, peer: SocketAddr) -> impl Future<Output = Response> + Send {
        let (parts, body) = request.into_parts();
        match self.check(&parts, peer) {
            Err(problem) => Either::Left(ready(problem.into_response())),
            Ok(()) => {
                let answer = self.gateway.answer(Request::from_parts(parts, body), peer);
                Either::Right(answer.map(|answer| answer.map(Body::new)))
            }
        }
    }
}

impl App {
    /// The gateway of the configuration, to the providers there are.
    pub(super) fn gateway(&self) -> Gateway {
        let desk = &self.desk;
        let parts = Parts {
            metering: desk.metering.clone(),
            providers: Arc::clone(&desk.providers),
            people: Arc::clone(&desk.people),
            tokens: Tokens::new(self.config.http.read_token.as_ref(), self.config.http.admin_token.as_ref()),
            clock: Arc::clone(&self.clock),
            random,
            tasks: desk.tasks.clone(),
        };
        Gateway::new(parts, settings(&self.config))
    }
}

fn settings(config: &Config) -> Settings {
    let gateway = &config.gateway;
    let max_body_bytes = usize::try_from(gateway.max_body_mib << 20).unwrap_or(usize::MAX);
    let fallback = |provider: &crate::config::Provider| Some((provider.name.clone(), provider.fallback.clone()?));
    Settings {
        max_body_bytes,
        bodies_bytes: max_body_bytes.saturating_mul(LARGEST_BODIES),
        retries: u32::try_from(gateway.retries).unwrap_or(u32::MAX),
        fallbacks: config.providers.iter().filter_map(fallback).collect(),
        drains: DrainLimits {
            count: usize::try_from(gateway.drains).unwrap_or(usize::MAX),
            time: Duration::from_secs(gateway.drain_seconds),
            ..DrainLimits::default()
        },
    }
}
