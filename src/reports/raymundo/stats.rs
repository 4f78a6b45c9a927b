//! The body of its `GET /stats`, key for key, and that of its reset.

use serde::Serialize;
use utoipa::ToSchema;

use super::{as_object, requests_by_type, time};
use crate::reports::StatsReport;
use crate::reports::stats::{LimitUse, ProviderInfo, ServiceStatus};
use crate::templates::Lang;
use crate::templates::numbers::{self, Place};
use crate::usage::{Money, SubjectId, Timestamp, Zone};

/// Where a number is not known.
pub(super) const NO_DATA: &str = "sin datos";

/// Where nothing is limited.
pub(super) const NO_LIMIT: &str = "sin límite";

/// What its numbers depend on beside a report.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The zone of its times.
    pub zone: Zone,
    /// Its one price: dollars per 1,000 cloud tokens, whatever the model.
    pub usd_per_1000: Money,
    /// Who used the bot, as subject ids: it listed names, and nothing private is listed here.
    pub users: Vec<SubjectId>,
}

/// The body of its `GET /stats`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RaymundoStats)]
pub struct Stats {
    pub(super) estado: &'static str,
    inicio: String,
    pub(super) uptime: String,
    pub(super) total_requests: u64,
    pub(super) tokens: Tokens,
    #[serde(serialize_with = "as_object")]
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    pub(super) requests_por_tipo: Vec<(&'static str, u64)>,
    tier: String,
    pub(super) rate_limits: RateLimits,
    pub(super) errores: u64,
    pub(super) tasa_exito: String,
    pub(super) tiempo_promedio_respuesta: String,
    pub(super) ultimo_request: Option<String>,
    costo_estimado_usd: String,
    conversaciones: Conversations,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RaymundoTokens)]
pub(super) struct Tokens {
    pub(super) ollama_local: u64,
    pub(super) gpt4o_cloud: u64,
    pub(super) total: u64,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RaymundoRateLimits)]
pub(super) struct RateLimits {
    pub(super) tokens_pm: String,
    pub(super) requests_dia: String,
    pub(super) uso_tpm: String,
    pub(super) uso_rpd: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RaymundoConversations)]
struct Conversations {
    activas: u64,
    total_mensajes: u64,
    usuarios: Vec<String>,
}

/// The body of its `POST /metrics/reset`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RaymundoReset)]
pub struct Reset {
    message: &'static str,
    nuevo_inicio: String,
}

impl Stats {
    /// A report in its form: all local tokens are Ollama's and all cloud tokens GPT-4o's, as it knew no others.
    pub fn of(report: &StatsReport, terms: &Terms) -> Stats {
        let (tokens, requests, chats) = (&report.tokens, &report.requests, &report.conversations);
        Stats {
            estado: match report.status {
                ServiceStatus::Ok => "✅ Operativo",
                ServiceStatus::Degraded => "⚠️ Con problemas",
                ServiceStatus::Stopped => "⏹️ Detenido",
            },
            inicio: time(report.counting_since.unwrap_or(report.generated_at), terms.zone),
            uptime: uptime(report.uptime_seconds.unwrap_or(0)),
            total_requests: requests.total,
            tokens: Tokens { ollama_local: tokens.local, gpt4o_cloud: tokens.cloud, total: tokens.total },
            requests_por_tipo: requests_by_type(&requests.by_type),
            tier: tier(report),
            rate_limits: RateLimits::of(report),
            errores: requests.failed,
            tasa_exito: success_rate(requests.ok, requests.failed).unwrap_or_else(|| NO_DATA.to_owned()),
            tiempo_promedio_respuesta: report.latency_ms.mean.map_or_else(|| NO_DATA.to_owned(), seconds),
            ultimo_request: report.last_request_at.map(|at| time(at, terms.zone)),
            costo_estimado_usd: dollars(terms.usd_per_1000, tokens.cloud),
            conversaciones: Conversations {
                activas: chats.active,
                total_mensajes: chats.messages,
                usuarios: terms.users.iter().map(SubjectId::to_string).collect(),
            },
        }
    }
}

impl Reset {
    /// Counting begins at this moment.
    pub fn of(counting_since: Timestamp, zone: Zone) -> Reset {
        Reset { message: "Métricas reiniciadas exitosamente", nuevo_inicio: time(counting_since, zone) }
    }

    /// A reset was taken back, so that counting began at this moment. That bot could not do it.
    pub fn undone(counting_since: Timestamp, zone: Zone) -> Reset {
        Reset { message: "Reinicio deshecho", nuevo_inicio: time(counting_since, zone) }
    }
}

impl RateLimits {
    fn of(report: &StatsReport) -> RateLimits {
        let provider = fullest_provider(report);
        let limit = |name| provider.and_then(|provider| own_limit(report, provider, name));
        let shown = |limit: Option<&LimitUse>, unit: &str| {
            limit.map_or_else(
                || NO_LIMIT.to_owned(),
                |limit| format!("{} / {} {unit}", number(limit.used), number(limit.max)),
            )
        };
        let share = |limit: Option<&LimitUse>| percent(limit.map_or(0, |limit| permille(limit.used, limit.max)));
        let (minute, day) = (limit(TOKENS_PER_MINUTE), limit(REQUESTS_PER_DAY));
        RateLimits {
            tokens_pm: shown(minute, "TPM"),
            requests_dia: shown(day, "RPD"),
            uso_tpm: share(minute),
            uso_rpd: share(day),
        }
    }
}

/// The two limits it knew.
const TOKENS_PER_MINUTE: &str = "tokens_per_minute";
const REQUESTS_PER_DAY: &str = "requests_per_day";

/// The provider whose limits are shown: that with the fullest window of the two kinds; the first of equals.
pub(super) fn fullest_provider(report: &StatsReport) -> Option<&str> {
    let mut fullest: Option<(&str, u128)> = None;
    for limit in report.limits.iter().filter(|limit| limit.subject.is_none()) {
        let Some(provider) = limit.provider.as_deref() else { continue };
        let share = permille(limit.used, limit.max);
        let is_known = [TOKENS_PER_MINUTE, REQUESTS_PER_DAY].contains(&limit.limit.as_str());
        if is_known && fullest.is_none_or(|(_, most)| share > most) {
            fullest = Some((provider, share));
        }
    }
    fullest.map(|(provider, _)| provider)
}

fn own_limit<'a>(report: &'a StatsReport, provider: &str, name: &str) -> Option<&'a LimitUse> {
    let is_own = |limit: &&LimitUse| limit.subject.is_none() && limit.provider.as_deref() == Some(provider);
    report.limits.iter().filter(is_own).find(|limit| limit.limit == name)
}

/// Whether a provider's models run on the owner's machines; an Ollama's do unless a model says otherwise.
pub(super) fn is_local(provider: &ProviderInfo) -> bool {
    provider.local.unwrap_or(provider.kind == "ollama")
}

/// What the cloud costs the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing is in the cloud.
    AllLocal,
    /// Free plans alone.
    Free,
    /// A plan of this name, which is not free.
    Named(String),
    /// Nobody said.
    Unknown,
}

/// Free only where every provider in the cloud is, also those that others told of and nobody configured.
pub(super) fn plan(report: &StatsReport) -> Plan {
    let is_free =
        |provider: &ProviderInfo| provider.plan.as_ref().is_some_and(|plan| plan.eq_ignore_ascii_case("free"));
    let mut clouds = report.providers.iter().filter(|provider| !is_local(provider));
    if let Some(paid) = clouds.clone().find(|provider| !is_free(provider)) {
        return paid.plan.clone().map_or(Plan::Unknown, Plan::Named);
    }
    let known_free = |name: &str| report.providers.iter().any(|provider| provider.name == name && is_free(provider));
    let mut used = report.models.iter().filter(|model| !model.local && model.total_tokens > 0);
    if used.any(|model| !known_free(&model.provider)) {
        return Plan::Unknown;
    }
    if clouds.next().is_none() && report.tokens.cloud == 0 { Plan::AllLocal } else { Plan::Free }
}

fn tier(report: &StatsReport) -> String {
    match plan(report) {
        Plan::AllLocal | Plan::Free => "🆓 Gratuito".to_owned(),
        Plan::Named(name) => name,
        Plan::Unknown => NO_DATA.to_owned(),
    }
}

/// `45,230`.
pub(super) fn number(value: u64) -> String {
    numbers::number(Lang::En, value.into(), Place::Text)
}

/// A share in thousandths, half up; a limit of nothing is full.
fn permille(part: u64, whole: u64) -> u128 {
    if whole == 0 {
        return 1_000;
    }
    (u128::from(part) * 1_000 + u128::from(whole) / 2) / u128::from(whole)
}

/// `85.6%`.
fn percent(permille: u128) -> String {
    format!("{}.{}%", permille / 10, permille % 10)
}

/// ok / (ok + failed); `None` when there was neither. Only where nothing failed is it 100.0%.
fn success_rate(ok: u64, failed: u64) -> Option<String> {
    let permille = match (ok, failed) {
        (0, 0) => return None,
        (_, 0) => 1_000,
        (0, _) => 0,
        _ => permille(ok, ok.saturating_add(failed)).clamp(1, 999),
    };
    Some(percent(permille))
}

/// `2.45s`, half up.
fn seconds(millis: u64) -> String {
    let hundredths = millis.saturating_add(5) / 10;
    format!("{}.{:02}s", hundredths / 100, hundredths % 100)
}

/// `2d 5h 34m`, all three always.
fn uptime(seconds: u64) -> String {
    format!("{}d {}h {}m", seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60)
}

/// `$5.7803`, half up; without groups, for those who make a number of it.
fn dollars(usd_per_1000: Money, tokens: u64) -> String {
    let cost = Money::from_pico_usd(usd_per_1000.pico_usd().saturating_mul(tokens.into()) / 1_000);
    let rounded = cost.rounded(4);
    format!("${}.{:04}", rounded / 10_000, rounded % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_numbers_are_rounded_half_up_and_exactly() {
        let price = Money::parse_usd("0.045").expect("an amount");
        assert_eq!(dollars(price, 128_450), "$5.7803");
        assert_eq!([0, 1, 2, 33].map(|tokens| dollars(price, tokens)), ["$0.0000", "$0.0000", "$0.0001", "$0.0015"]);
        assert_eq!(dollars(price, 1_000_000_000_000), "$45000000.0000");
        assert_eq!([0, 4, 5, 2_450, 61_234].map(seconds), ["0.00s", "0.00s", "0.01s", "2.45s", "61.23s"]);
        assert_eq!([0, 59, 192_840, 8_640_000].map(uptime), ["0d 0h 0m", "0d 0h 0m", "2d 5h 34m", "100d 0h 0m"]);
        let shares = [(128_450, 150_000), (247, 150), (0, 150), (0, 0)].map(|(used, max)| percent(permille(used, max)));
        assert_eq!(shares, ["85.6%", "164.7%", "0.0%", "100.0%"]);
    }

    #[test]
    fn no_requests_are_no_success_and_one_failure_is_seen() {
        let shown = [(0, 0), (244, 3), (1, 0), (0, 9), (1_000_000, 1), (1, 1_000_000)];
        let shown = shown.map(|(ok, failed)| success_rate(ok, failed));
        let expected = [None, Some("98.8%"), Some("100.0%"), Some("0.0%"), Some("99.9%"), Some("0.1%")];
        assert_eq!(shown, expected.map(|text| text.map(str::to_owned)));
    }
}
