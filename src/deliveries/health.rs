//! How a place is: what arrived last, what fails and since when, what waits.

use serde::Serialize;

use super::failure::DeliveryError;
use crate::usage::Timestamp;

/// How one place is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryHealth {
    /// `webhook`, `slack`, `discord` or `mail`.
    pub place: &'static str,
    /// When it last took an alert.
    pub last_ok: Option<Timestamp>,
    /// What fails; missing while nothing does.
    pub failing: Option<Failing>,
    /// Alerts that wait, the one that is being tried not among them.
    pub waiting: usize,
    /// Alerts that were dropped since the start, because too many waited.
    pub dropped: u64,
}

/// What fails, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// The class, such as `no_connection` or `refused`.
    pub kind: &'static str,
    /// What the server answered, if it did.
    pub code: Option<u16>,
    /// Since the first failure after the last success.
    pub since: Timestamp,
    /// Failures since then.
    pub failures: u64,
}

impl DeliveryHealth {
    pub(super) fn succeeded(&mut self, now: Timestamp) {
        (self.last_ok, self.failing) = (Some(now), None);
    }

    pub(super) fn failed(&mut self, error: DeliveryError, now: Timestamp) {
        let (since, failures) = self.failing.as_ref().map_or((now, 0), |failing| (failing.since, failing.failures));
        self.failing = Some(Failing { kind: error.kind(), code: error.code(), since, failures: failures + 1 });
    }
}
