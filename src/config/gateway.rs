//! The section `[gateway]`: how calls of other programs are passed on.

use super::reader::{Section, Whole};

/// `[gateway]`: calls of other programs, passed on and metered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The largest body of a metered request, in MiB.
    pub max_body_mib: u64,
    /// Further attempts after one that failed before its answer began.
    pub retries: u64,
    /// How long an answer is read on for its usage when its client is gone; 0 cuts it at once.
    pub drain_seconds: u64,
    /// So many such answers at a time; more are cut.
    pub drains: u64,
}

impl Default for Gateway {
    fn default() -> Gateway {
        Gateway { max_body_mib: 32, retries: 0, drain_seconds: 30, drains: 64 }
    }
}

impl Gateway {
    pub(super) fn read(section: &mut Section<'_>) -> Gateway {
        let default = Gateway::default();
        let mut whole = |key, min, max, unit, default| {
            section.whole(key, Whole { min, max, unit, example: default }).unwrap_or(default)
        };
        Gateway {
            max_body_mib: whole("max_body_mib", 1, 1_024, "MiB", default.max_body_mib),
            retries: whole("retries", 0, 5, "attempts", default.retries),
            drain_seconds: whole("drain_seconds", 0, 600, "seconds", default.drain_seconds),
            drains: whole("drains", 0, 10_000, "answers", default.drains),
        }
    }
}
