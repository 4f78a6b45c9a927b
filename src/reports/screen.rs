//! The `/stats` screen: which rows a person sees, in which order. Words and number formats are the templates'.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::EpochInfo;
use super::stats::{
    Conversations, Imported, LimitUse, ModelUse, ObservedLimit, ProviderInfo, ServiceStatus, StatsReport,
};
use super::view::View;
use crate::stats::Period;
use crate::templates::{Lang, Surface, Templates};
use crate::usage::{Money, Timestamp};

/// Models named on the overview.
const OVERVIEW_MODELS: usize = 5;
/// Limits named on the overview.
const OVERVIEW_LIMITS: usize = 2;
/// Models named on their own screen.
const MAX_MODELS: usize = 20;
/// Limits named on their own screen.
const MAX_LIMITS: usize = 20;

/// A report, sorted and cut for one screen. What is zero is left out here, so templates only place words.
#[derive(Clone, Debug, Serialize)]
pub struct StatsScreen<'a> {
    bot: &'a str,
    period: Period,
    view: View,
    status: ServiceStatus,
    now: Timestamp,
    uptime_seconds: Option<u64>,
    counting_since: Option<Timestamp>,
    last_request_at: Option<Timestamp>,
    timezone: Option<&'a str>,
    demo: bool,
    providers: Vec<&'a ProviderInfo>,
    requests: RequestCounts,
    latency: Option<LatencyLine>,
    rows: Vec<PlaceRow>,
    total_row: Option<TotalRow>,
    cached: u64,
    reasoning: u64,
    estimated: u64,
    cost: CostLine,
    limits: Vec<LimitLine<'a>>,
    more_limits: usize,
    types: Vec<NamedCount<'a>>,
    errors: Vec<NamedCount<'a>>,
    models: Vec<ModelLine<'a>>,
    more_models: usize,
    conversations: Conversations,
    epoch: EpochInfo,
    imported: Imported,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct RequestCounts {
    total: u64,
    ok: u64,
    failed: u64,
    cancelled: u64,
    refused: u64,
    success_rate: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct LatencyLine {
    p50: u64,
    p95: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct PlaceRow {
    place: &'static str,
    prompt: u64,
    completion: u64,
    approximate: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct TotalRow {
    prompt: u64,
    completion: u64,
    approximate: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct CostLine {
    usd: Money,
    estimated: bool,
    unpriced_requests: u64,
    unpriced_models: usize,
    all_local: bool,
}

#[derive(Clone, Debug, Serialize)]
struct LimitLine<'a> {
    name: &'a str,
    subject: Option<&'a str>,
    limit: &'a str,
    used: u64,
    reserved: u64,
    max: u64,
    raised_by: u64,
    paused: bool,
    stopped: bool,
    share: f64,
    resets_at: Option<Timestamp>,
    resets_in_seconds: Option<u64>,
    observed: Option<ObservedLimit>,
}

#[derive(Clone, Debug, Serialize)]
struct NamedCount<'a> {
    name: &'a str,
    count: u64,
    share: f64,
}

#[derive(Clone, Debug, Serialize)]
struct ModelLine<'a> {
    name: &'a str,
    provider: &'a str,
    /// Another model shown is called the same, so that only the provider tells them apart.
    shares_name: bool,
    local: bool,
    requests: u64,
    ok: u64,
    failed: u64,
    success_rate: Option<f64>,
    prompt: u64,
    completion: u64,
    total: u64,
    cost_usd: Option<Money>,
    estimated: bool,
    unpriced_requests: u64,
    imported: Imported,
}

impl StatsReport {
    /// The screen as plain text in `lang`: for a terminal and `?format=text`.
    pub fn text(&self, templates: &Templates, lang: Lang, view: View) -> String {
        self.text_for(templates, Surface::Plain, lang, view)
    }

    /// The screen in `lang` in the form of a surface.
    pub fn text_for(&self, templates: &Templates, surface: Surface, lang: Lang, view: View) -> String {
        templates.render_for(surface, lang, "stats", StatsScreen::of(self, view))
    }
}

impl<'a> StatsScreen<'a> {
    /// What `view` shows of a report. Of people a report knows nothing: in their place the overview is shown.
    pub fn of(report: &'a StatsReport, view: View) -> StatsScreen<'a> {
        let view = if view == View::Users { View::Overview } else { view };
        let requests = &report.requests;
        let (limits, more_limits) = limit_lines(report, view);
        let (models, more_models) = model_lines(report, view);
        StatsScreen {
            bot: &report.bot,
            period: report.period,
            view,
            status: report.status,
            now: report.generated_at,
            uptime_seconds: report.uptime_seconds,
            counting_since: report.counting_since,
            last_request_at: report.last_request_at,
            timezone: report.timezone.as_deref(),
            demo: report.demo,
            providers: report.providers.iter().filter(|provider| !provider.demo).collect(),
            requests: RequestCounts {
                total: requests.total,
                ok: requests.ok,
                failed: requests.failed,
                cancelled: requests.cancelled,
                refused: requests.refused,
                success_rate: requests.success_rate,
            },
            latency: latency_line(report),
            rows: place_rows(report),
            total_row: total_row(report),
            cached: report.tokens.cached,
            reasoning: report.tokens.reasoning,
            estimated: report.tokens.estimated,
            cost: CostLine {
                usd: report.cost.usd,
                estimated: report.tokens.cloud_estimated > 0,
                unpriced_requests: report.cost.unpriced_requests,
                unpriced_models: report.models.iter().filter(|model| model.unpriced_requests > 0).count(),
                all_local: report.tokens.local > 0 && report.models.iter().all(|model| model.local),
            },
            limits,
            more_limits,
            types: named_counts(&requests.by_type),
            errors: named_counts(&report.errors.by_kind),
            models,
            more_models,
            conversations: report.conversations,
            epoch: report.epoch,
            imported: report.imported,
        }
    }
}

fn latency_line(report: &StatsReport) -> Option<LatencyLine> {
    Some(LatencyLine { p50: report.latency_ms.p50?, p95: report.latency_ms.p95? })
}

/// The rows of the token table that are not empty.
fn place_rows(report: &StatsReport) -> Vec<PlaceRow> {
    let tokens = &report.tokens;
    let row =
        |place, prompt, completion, estimated: u64| PlaceRow { place, prompt, completion, approximate: estimated > 0 };
    let local = row("local", tokens.local_prompt, tokens.local_completion, tokens.local_estimated);
    let cloud = row("cloud", tokens.cloud_prompt, tokens.cloud_completion, tokens.cloud_estimated);
    [local, cloud].into_iter().filter(|row| row.prompt > 0 || row.completion > 0).collect()
}

/// The last row of the table: the sum of the rows above it.
fn total_row(report: &StatsReport) -> Option<TotalRow> {
    let tokens = &report.tokens;
    (tokens.total > 0).then_some(TotalRow {
        prompt: tokens.prompt,
        completion: tokens.completion,
        approximate: tokens.estimated > 0,
    })
}

/// The limits, fullest first; the overview shows only those in use.
fn limit_lines(report: &StatsReport, view: View) -> (Vec<LimitLine<'_>>, usize) {
    let is_overview = view != View::Limits;
    let mut shown: Vec<&LimitUse> =
        report.limits.iter().filter(|limit| !is_overview || limit.used.saturating_add(limit.reserved) > 0).collect();
    shown.sort_by_key(|limit| {
        let permille = u128::from(limit.used) * 1000 / u128::from(limit.max.max(1));
        Reverse(permille)
    });
    let kept = shown.len().min(if is_overview { OVERVIEW_LIMITS } else { MAX_LIMITS });
    let lines = shown[..kept].iter().map(|limit| limit_line(limit, report.generated_at)).collect();
    (lines, shown.len() - kept)
}

fn limit_line(limit: &LimitUse, now: Timestamp) -> LimitLine<'_> {
    let subject = limit.subject.as_deref();
    let in_seconds = |at: Timestamp| (at.unix_micros() - now.unix_micros()).max(0).unsigned_abs().div_ceil(1_000_000);
    LimitLine {
        name: limit.provider.as_deref().or(subject).unwrap_or("*"),
        subject: subject.filter(|_| limit.provider.is_some()),
        limit: &limit.limit,
        used: limit.used,
        reserved: limit.reserved,
        max: limit.max,
        raised_by: limit.raised_by,
        paused: limit.paused,
        stopped: limit.stopped,
        share: limit.percent / 100.0,
        resets_at: limit.resets_at,
        resets_in_seconds: limit.resets_at.map(in_seconds),
        observed: limit.observed,
    }
}

/// Names with a count, most first.
fn named_counts(counts: &BTreeMap<String, u64>) -> Vec<NamedCount<'_>> {
    let total: u64 = counts.values().copied().fold(0, u64::saturating_add);
    let mut named: Vec<NamedCount<'_>> = counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| NamedCount { name, count: *count, share: *count as f64 / total as f64 })
        .collect();
    named.sort_by_key(|named| Reverse(named.count));
    named
}

/// The models, busiest first.
fn model_lines(report: &StatsReport, view: View) -> (Vec<ModelLine<'_>>, usize) {
    let mut shown: Vec<&ModelUse> =
        report.models.iter().filter(|model| model.requests > 0 || model.total_tokens > 0).collect();
    shown.sort_by_key(|model| Reverse((model.requests, model.total_tokens)));
    let kept = shown.len().min(if view == View::Models { MAX_MODELS } else { OVERVIEW_MODELS });
    let shares_name = |model: &ModelUse| shown.iter().filter(|other| other.model == model.model).count() > 1;
    let lines = shown[..kept].iter().map(|model| ModelLine { shares_name: shares_name(model), ..model_line(model) });
    (lines.collect(), shown.len() - kept)
}

fn model_line(model: &ModelUse) -> ModelLine<'_> {
    ModelLine {
        name: &model.model,
        provider: &model.provider,
        shares_name: false,
        local: model.local,
        requests: model.requests,
        ok: model.ok,
        failed: model.failed,
        success_rate: model.success_rate,
        prompt: model.prompt_tokens,
        completion: model.completion_tokens,
        total: model.total_tokens,
        cost_usd: model.cost_usd,
        estimated: model.estimated_tokens > 0,
        unpriced_requests: model.unpriced_requests,
        imported: model.imported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Facet;
    use crate::reports::stats::{PlaceTokens, Tokens};

    fn model(provider: &str, name: &str, requests: u64) -> ModelUse {
        ModelUse {
            provider: provider.into(),
            api_type: "openai".into(),
            model: name.into(),
            local: false,
            requests,
            ok: requests,
            failed: 0,
            success_rate: None,
            prompt_tokens: 5,
            completion_tokens: 5,
            total_tokens: 10,
            estimated_tokens: 0,
            cost_usd: Money::parse_usd("0.41").ok(),
            unpriced_requests: 0,
            imported: Imported::default(),
        }
    }

    /// One priced cloud model, with so many estimated tokens.
    fn report(estimated: u64) -> StatsReport {
        let now = Timestamp::parse("2026-11-22T14:03:20-06:00").expect("a time");
        let mut report = StatsReport::empty("Raymundo", "0.1.0", Period::All, now);
        report.requests.total = 9;
        report.models = vec![ModelUse { estimated_tokens: estimated, ..model("one", "gpt-4o", 9) }];
        let cloud = PlaceTokens { prompt: 5, completion: 5, estimated };
        report.tokens = Tokens::of_places(PlaceTokens::default(), cloud);
        report.cost.usd = Money::parse_usd("0.41").expect("an amount");
        report
    }

    fn show(report: &StatsReport, lang: Lang, view: View) -> String {
        report.text(&Templates::load(None).expect("the built-in texts are whole"), lang, view)
    }

    #[test]
    fn an_amount_computed_from_an_estimate_is_marked() {
        for lang in Lang::ALL {
            for (estimated, expected) in [(0, 0), (7, 2)] {
                let screen = show(&report(estimated), lang, View::Overview);
                let amounts: Vec<&str> = screen.lines().filter(|line| line.contains('$')).collect();
                let marked = amounts.iter().filter(|line| line.contains('~')).count();
                assert_eq!((amounts.len(), marked), (2, expected), "{lang}:\n{screen}");
            }
        }
        let mut several = report(7);
        several.models.push(model("one", "gpt-5", 1));
        let screen = show(&several, Lang::En, View::Overview);
        assert!(screen.contains("Cost: ~$0.41"), "{screen}");
        for line in ["gpt-4o · 9 requests · ~10 tokens · ~$0.41", "gpt-5 · 1 request · 10 tokens · $0.41"] {
            assert!(screen.contains(line), "{screen}");
        }
        let screen = show(&several, Lang::En, View::Models);
        assert!(screen.contains("in ~5 · out ~5 · ~$0.41") && screen.contains("in 5 · out 5 · $0.41"), "{screen}");
    }

    #[test]
    fn models_of_one_name_are_told_apart_by_their_provider() {
        let mut report = report(0);
        assert!(show(&report, Lang::En, View::Overview).contains("\ngpt-4o · 9 requests"));
        report.models.extend([model("two", "gpt-4o", 3), model("two", "gpt-5", 2)]);
        let screen = show(&report, Lang::En, View::Overview);
        for line in ["\ngpt-4o · one · 9 requests", "\ngpt-4o · two · 3 requests", "\ngpt-5 · 2 requests"] {
            assert!(screen.contains(line), "{screen}");
        }
    }

    #[test]
    fn every_facet_of_a_limit_has_a_word() {
        let mut report = report(0);
        let mut about = |lang, subject: &str| {
            let limit = LimitUse { subject: Some(subject.into()), max: 2, ..LimitUse::default() };
            report.limits = vec![limit];
            show(&report, lang, View::Limits)
        };
        for facet in Facet::ALL {
            let subject = format!("{}:k7f3", facet.as_str());
            assert!(about(Lang::En, &subject).contains(&format!("\n{subject}")), "{subject}");
            for lang in [Lang::Es, Lang::Pt, Lang::Fr] {
                let screen = about(lang, &subject);
                assert!(screen.contains(":k7f3") && !screen.contains(&subject), "{screen}");
            }
        }
        assert!(about(Lang::Es, "everything").contains("\ntodo"));
    }
}
