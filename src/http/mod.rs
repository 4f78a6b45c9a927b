//! REST: the books over HTTP, on an accept loop of our own.
//!
//! Knows nothing of how numbers are made or kept: [`Api`] answers, [`Guard`] admits, this module speaks HTTP. Every
//! connection, header, body and wait is bounded. Nothing private and no internal detail leaves in an answer.

mod answers;
mod api;
mod body;
mod connection;
mod guard;
mod keys;
mod openapi;
mod page;
mod query;
mod routes;
mod server;
mod workers;

#[cfg(test)]
mod tests;

pub use answers::Problem;
pub use api::{
    Api, ApiError, Check, Health, ItemError, Noted, ProviderCheck, Readiness, ResetAnswer, ResetBody, ResetQuery,
    StatsBody, UsageBody, Written,
};
pub use body::{BodyCut, RequestBody, TimedBody, read_body};
pub use guard::{Denied, Guard, RequestHead, Role};
pub use query::{Form, Mistake, StatsFormat, StatsQuery, UsageFormat, UsageRequest};
pub use routes::{MAX_USAGE_BODY_BYTES, RequestIds, Rest};
pub use server::{Drained, Handler, Limits, Prefixed, Response, run};
pub use workers::Workers;
