//! From the fold to the report: every number of [`StatsReport`] as a group-by of the same rows.

use std::collections::BTreeMap;

use super::stats::{
    Conversations, Cost, Errors, Imported, Latency, LimitUse, ModelUse, ObservedLimit, PlaceTokens, ProviderInfo,
    Requests, ServiceStatus, StatsReport, Tokens, success_rate,
};
use super::{EpochInfo, NoSuchEpoch};
use crate::limits::{Learned, Measure, Window};
use crate::stats::{Key, Period, Picture, Selection, Sums, Symbol};
use crate::usage::{Status, Timestamp, Zone};

/// Everything a report is made of.
pub struct Facts<'a> {
    /// The bot's name.
    pub bot: &'a str,
    /// tallybot's version.
    pub version: &'a str,
    /// Whether it works.
    pub status: ServiceStatus,
    /// When the process that serves the books started, if one does.
    pub started_at: Option<Timestamp>,
    /// When the books were begun.
    pub begun: Option<Timestamp>,
    /// The fold.
    pub picture: &'a Picture,
    /// The windows of the limits.
    pub windows: &'a [Window],
    /// What providers said of theirs.
    pub learned: &'a [(String, Learned)],
    /// The configured providers.
    pub providers: Vec<ProviderInfo>,
    /// The owner's zone.
    pub timezone: Zone,
    /// Now.
    pub now: Timestamp,
}

impl Facts<'_> {
    /// How long the process that serves the books has run; `None` when none does.
    pub fn uptime_seconds(&self) -> Option<u64> {
        self.started_at.map(|start| self.now.seconds_since(start))
    }
}

impl StatsReport {
    /// The report of a period in the current epoch.
    pub fn of(facts: &Facts<'_>, period: Period) -> StatsReport {
        StatsReport::of_epoch(facts, period, 0).expect("there is always a current epoch")
    }

    /// The report of a period in an epoch, counted back from the current one, 0.
    ///
    /// # Errors
    /// When there are not so many.
    pub fn of_epoch(facts: &Facts<'_>, period: Period, number: usize) -> Result<StatsReport, NoSuchEpoch> {
        let epoch = EpochInfo::of(facts.picture, number, facts.begun)?;
        let all = facts.picture.select_epoch(number, period, facts.now.day());
        let all = all.expect("an epoch that has a begin and an end is there");
        // A dozen questions follow, and a month of hours and features has thousands of rows: one walk through those.
        let condensed = all.condensed();
        let selection = all.of_cube(&condensed);
        let total = selection.total(|_| true);
        let models = models(&selection);
        Ok(StatsReport {
            bot: facts.bot.to_owned(),
            version: facts.version.to_owned(),
            status: facts.status,
            uptime_seconds: facts.uptime_seconds(),
            started_at: facts.started_at,
            counting_since: epoch.begin,
            period,
            requests: requests(&selection, &total),
            tokens: tokens(&selection, &total),
            latency_ms: latency(&selection.total(|key| key.status != Status::Refused)),
            errors: errors(&total),
            cost: Cost { usd: total.cost, unpriced_requests: count(total.unpriced) },
            limits: facts.windows.iter().map(|window| limit(window, facts)).collect(),
            demo: facts.providers.first().is_some_and(|provider| provider.demo),
            models,
            conversations: Conversations {
                active: if number == 0 { facts.picture.active_conversations(facts.now) as u64 } else { 0 },
                messages: count(total.messages),
                users: selection.users(),
            },
            last_request_at: selection.last_at().map(|at| at.shown_in(facts.timezone)),
            generated_at: facts.now,
            timezone: Some(facts.timezone.name().to_owned()),
            providers: facts.providers.clone(),
            epoch,
            imported: imported(&total),
        })
    }
}

/// Sums are signed because corrections are; what is shown of them never is.
pub(super) fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(super) fn tokens_of(value: i128) -> u64 {
    u64::try_from(value.max(0)).unwrap_or(u64::MAX)
}

fn requests(selection: &Selection<'_>, total: &Sums) -> Requests {
    let by = |status: &[Status]| count(selection.total(|key| status.contains(&key.status)).records);
    let ok = by(&[Status::Ok, Status::Cached]);
    let failed = by(&[Status::Error, Status::Timeout, Status::Interrupted]);
    Requests {
        total: count(total.records),
        ok,
        failed,
        cancelled: by(&[Status::Cancelled]),
        refused: by(&[Status::Refused]),
        success_rate: success_rate(ok, failed),
        by_type: named(selection.group_by(|key| selection.text(key.request_type))),
        by_status: named(selection.group_by(|key| key.status.as_str())),
    }
}

fn imported(total: &Sums) -> Imported {
    Imported { requests: count(total.openings.requests), tokens: tokens_of(total.openings.tokens) }
}

fn named(groups: BTreeMap<&str, Sums>) -> BTreeMap<String, u64> {
    groups
        .into_iter()
        .filter(|(_, sums)| sums.records != 0)
        .map(|(name, sums)| (name.to_owned(), count(sums.records)))
        .collect()
}

fn tokens(selection: &Selection<'_>, total: &Sums) -> Tokens {
    let is_estimate = |key: &Key| key.usage_source.has_estimates();
    let place = |local: bool| {
        let sums = selection.total(|key| key.local == local);
        let estimated = selection.total(|key| key.local == local && is_estimate(key));
        PlaceTokens {
            prompt: tokens_of(sums.prompt),
            completion: tokens_of(sums.completion),
            estimated: tokens_of(estimated.tokens()),
        }
    };
    Tokens {
        cached: tokens_of(total.cached),
        reasoning: tokens_of(total.reasoning),
        ..Tokens::of_places(place(true), place(false))
    }
}

/// Of the calls that reached a provider: a refusal takes no time and says nothing about speed.
fn latency(reached: &Sums) -> Latency {
    Latency {
        mean: reached.mean_latency_ms(),
        p50: reached.latency.percentile(50),
        p95: reached.latency.percentile(95),
        p99: reached.latency.percentile(99),
    }
}

fn errors(total: &Sums) -> Errors {
    let by_kind: BTreeMap<String, u64> =
        total.errors.iter().map(|(kind, errors)| (kind.as_str().to_owned(), count(*errors))).collect();
    Errors { total: by_kind.values().sum(), by_kind }
}

/// One row per provider, API, model and place, the largest first.
fn models(selection: &Selection<'_>) -> Vec<ModelUse> {
    type Of = (Symbol, Symbol, Symbol, bool);
    let of = |key: &Key| (key.provider, key.api_type, key.model, key.local);
    // How many went well and how many failed, and which tokens are estimates, signed like all sums: a correction may
    // stand in a row of its own.
    let mut rows: BTreeMap<Of, (i64, i64, i128, Sums)> = BTreeMap::new();
    for (key, sums) in selection.rows() {
        let (ok, failed, estimated, total) = rows.entry(of(key)).or_default();
        if key.status.is_ok() {
            *ok += sums.records;
        } else if key.status.is_failed() {
            *failed += sums.records;
        }
        if key.usage_source.has_estimates() {
            *estimated += sums.tokens();
        }
        total.merge(sums);
    }
    let finish =
        |((provider, api_type, model, local), (ok, failed, estimated, total)): (Of, (i64, i64, i128, Sums))| {
            let (ok, failed) = (count(ok), count(failed));
            // Of a model with tokens alone, nothing has a price; on the owner's machine it is free.
            let priced = total.records > total.unpriced || (local && total.unpriced == 0);
            ModelUse {
                provider: selection.text(provider).to_owned(),
                api_type: selection.text(api_type).to_owned(),
                model: selection.text(model).to_owned(),
                local,
                requests: count(total.records),
                ok,
                failed,
                success_rate: success_rate(ok, failed),
                prompt_tokens: tokens_of(total.prompt),
                completion_tokens: tokens_of(total.completion),
                total_tokens: tokens_of(total.tokens()),
                estimated_tokens: tokens_of(estimated),
                cost_usd: priced.then_some(total.cost),
                unpriced_requests: count(total.unpriced),
                imported: imported(&total),
            }
        };
    let mut models: Vec<ModelUse> =
        rows.into_iter().map(finish).filter(|row| row.requests > 0 || row.total_tokens > 0).collect();
    models.sort_by(|a, b| b.total_tokens.cmp(&a.total_tokens).then_with(|| a.model.cmp(&b.model)));
    models
}

fn limit(window: &Window, facts: &Facts<'_>) -> LimitUse {
    let provider = window.provider().map(str::to_owned);
    let said = provider.as_ref().and_then(|name| facts.learned.iter().find(|(of, _)| of == name));
    // As the owner's clock will show it then: in between it may be put forward or back.
    let resets_at = window.resets_at.map(|at| at.shown_in(facts.timezone));
    LimitUse {
        limit: window.limit.as_str().to_owned(),
        used: window.used,
        max: window.max,
        percent: LimitUse::percent_of(window.used, window.max),
        resets_at: resets_at.filter(|_| window.limit.is_calendar()),
        subject: subject_of(window),
        reserved: window.reserved,
        observed: said.and_then(|(_, learned)| observed(window, learned)),
        raised_by: window.raised_by,
        paused: window.paused,
        stopped: window.stopped,
        provider,
    }
}

/// What the limit is about, when it is not simply a provider.
fn subject_of(window: &Window) -> Option<String> {
    let only_provider = window.label.0.len() == 1 && window.provider().is_some();
    (!only_provider).then(|| window.label.to_string())
}

fn observed(window: &Window, learned: &Learned) -> Option<ObservedLimit> {
    let quota = match window.limit.measure() {
        Measure::Tokens => learned.tokens,
        Measure::Requests => learned.requests,
        Measure::Money => return None,
    };
    (quota.limit.is_some() || quota.remaining.is_some()).then_some(ObservedLimit {
        limit: quota.limit,
        remaining: quota.remaining,
        at: learned.seen_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Stats;
    use crate::usage::{ErrorKind, Failure, Kind, RecordId, UsageRecord};

    fn report(records: &[UsageRecord<'_>]) -> StatsReport {
        let mut stats = Stats::default();
        records.iter().for_each(|record| stats.apply(record));
        let facts = Facts {
            bot: "raymundo",
            version: "0",
            status: ServiceStatus::Ok,
            started_at: None,
            begun: None,
            picture: &stats.picture(),
            windows: &[],
            learned: &[],
            providers: Vec::new(),
            timezone: Zone::UTC,
            now: at(0),
        };
        StatsReport::of(&facts, Period::All)
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::new(1_795_305_600_000_000 + secs * 1_000_000, 0)
    }

    fn answered(secs: i64) -> UsageRecord<'static> {
        let mut record = UsageRecord::new(RecordId::new(at(secs), [1; 10]), at(secs), "p".into(), "m".into());
        record.latency_ms = Some(1000);
        record
    }

    #[test]
    fn the_last_request_is_told_in_the_owners_zone_as_it_is_now() {
        let mut before = answered(1);
        before.timestamp = before.timestamp.with_offset(9 * 3600);
        assert_eq!(report(&[before]).last_request_at.map(|at| (at, at.offset_secs())), Some((at(1), 0)));
    }

    #[test]
    fn refusals_do_not_make_the_answers_faster() {
        let mut refused = answered(1);
        refused.status = Status::Refused;
        refused.failure = Some(Failure::of(ErrorKind::Limit));
        (refused.latency_ms, refused.count) = (Some(0), 99);
        let latency = report(&[answered(0), refused]).latency_ms;
        assert_eq!(latency.mean, Some(1000));
    }

    #[test]
    fn a_record_taken_back_in_another_hour_is_taken_back_from_its_model() {
        let mut void = answered(7200);
        void.kind = Kind::Void { of: answered(0).id };
        let report = report(&[answered(0), answered(1), void]);
        assert_eq!((report.models[0].requests, report.models[0].ok), (1, 1));
    }
}
