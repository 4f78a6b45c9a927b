//! Usage by group, for REST.

use super::desk::Desk;
use crate::http::{ApiError, Mistake, UsageBody, UsageFormat, UsageRequest};
use crate::reports::usage::{Unanswerable, UsageReport, first_told_apart};
use crate::usage::Day;

impl Desk {
    /// One page, made on a thread of its own: sealed days are on the disk, and there may be many rows.
    pub(super) async fn usage_by_group(&self, request: UsageRequest) -> Result<UsageBody, ApiError> {
        let UsageRequest { query, format } = request;
        let now = self.clock.now();
        let today = now.at.day();
        self.metering.write_counted_refusals(now);
        let users = self.metering.users();
        let mistakes = too_old(query.days.not_told_apart(today), today);
        if !mistakes.is_empty() {
            return Err(ApiError::BadQuery(mistakes));
        }
        let zone = self.zone.name();
        let made = tokio::task::spawn_blocking(move || {
            let report = UsageReport::of(&users, &query, zone, today).map_err(answered)?;
            let bytes = match format {
                UsageFormat::Json => serde_json::to_vec(&report).map_err(|error| ApiError::Internal(error.into()))?,
                UsageFormat::Csv => report.csv(),
            };
            Ok(UsageBody { bytes, next: report.next })
        });
        made.await.map_err(|error| ApiError::Internal(error.into()))?
    }
}

fn too_old(days: Vec<(&'static str, Day)>, today: Day) -> Vec<Mistake> {
    let problem = "the use of this day is no longer told apart from that of the days before it";
    let expected = || format!("a day from `{}` to `{today}`", first_told_apart(today));
    days.into_iter().map(|(name, day)| Mistake::expecting(name, &day.to_string(), problem, expected())).collect()
}

fn answered(error: Unanswerable) -> ApiError {
    match error {
        Unanswerable::NoSuchEpoch(error) => ApiError::NoSuchEpoch(error),
        Unanswerable::StillReading => ApiError::Unavailable { reason: error.to_string(), retry_after_secs: 5 },
        Unanswerable::Unreadable(error) => ApiError::Internal(error.into()),
    }
}
