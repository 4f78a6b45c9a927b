//! The text of its `/stats`, as it was sent to WhatsApp: every line of it, zero or not.

use super::stats::{NO_DATA, Plan, Stats, Terms, fullest_provider, is_local, number, plan};
use crate::reports::StatsReport;
use crate::reports::stats::{ProviderInfo, ServiceStatus};

/// Its words for the types, in the order of [`requests_by_type`](super::requests_by_type).
const TYPE_WORDS: [&str; 8] = [
    "Chat",
    "Presentaciones",
    "Documentos",
    "Hojas de cálculo",
    "Web scraping",
    "Correcciones",
    "Visión/Imágenes",
    "Otros",
];

/// A report as its text.
pub fn text(report: &StatsReport, terms: &Terms) -> String {
    let stats = Stats::of(report, terms);
    let blocks = [
        format!("📊 **ESTADÍSTICAS DE {}**", report.bot.to_uppercase()),
        state(report, &stats),
        usage(&stats),
        tokens(report, &stats),
        limits(report, &stats),
        types(&stats),
        format!("🕐 **Último request:** {}", stats.ultimo_request.as_deref().unwrap_or("ninguno")),
        format!("💡 **Nota:** {}", note(report)),
    ];
    blocks.join("\n\n") + "\n"
}

fn state(report: &StatsReport, stats: &Stats) -> String {
    let light = if report.status == ServiceStatus::Ok { "🟢" } else { "🟡" };
    let icon = if is_free(report) { "🆓" } else { "💳" };
    let providers: Vec<String> = report.providers.iter().map(provider).collect();
    let plan = if providers.is_empty() { NO_DATA.to_owned() } else { providers.join(" + ") };
    format!("{light} **Estado:** {}\n⏰ **Uptime:** {}\n{icon} **Plan:** {plan}", stats.estado, stats.uptime)
}

fn usage(stats: &Stats) -> String {
    format!(
        "📈 **Uso General:**\n• Total requests: {}\n• Errores: {}\n• Tasa de éxito: {}\n• Tiempo promedio: {}",
        number(stats.total_requests),
        number(stats.errores),
        stats.tasa_exito,
        stats.tiempo_promedio_respuesta
    )
}

fn tokens(report: &StatsReport, stats: &Stats) -> String {
    let tokens = &stats.tokens;
    let cloud_is_free = if is_free(report) { " 🆓" } else { "" };
    format!(
        "🤖 **Tokens Consumidos:**\n• Ollama (local): {} 🆓\n• GPT-4o (cloud): {}{cloud_is_free}\n• **Total**: {}",
        number(tokens.ollama_local),
        number(tokens.gpt4o_cloud),
        number(tokens.total)
    )
}

fn limits(report: &StatsReport, stats: &Stats) -> String {
    let limits = &stats.rate_limits;
    let limited = fullest_provider(report);
    let limited = report.providers.iter().find(|provider| Some(provider.name.as_str()) == limited);
    let of = limited.map_or_else(String::new, |limited| format!(" ({})", provider(limited)));
    format!(
        "📊 **Rate Limits{of}:**\n• Tokens/Minuto: {} ({})\n• Requests/Día: {} ({})",
        limits.tokens_pm, limits.uso_tpm, limits.requests_dia, limits.uso_rpd
    )
}

fn types(stats: &Stats) -> String {
    let counts = stats.requests_por_tipo.iter().zip(TYPE_WORDS);
    let lines = counts.map(|((_, count), word)| format!("\n• {word}: {}", number(*count)));
    format!("📋 **Requests por Tipo:**{}", lines.collect::<String>())
}

fn note(report: &StatsReport) -> &'static str {
    match plan(report) {
        Plan::AllLocal => "Todo el uso es gratuito: los modelos son locales",
        Plan::Free => "Todo el uso es gratuito dentro de los límites del Free Tier",
        Plan::Named(_) | Plan::Unknown => "El uso en la nube se paga según el plan de cada proveedor",
    }
}

fn is_free(report: &StatsReport) -> bool {
    matches!(plan(report), Plan::AllLocal | Plan::Free)
}

/// `GitHub Models Free`, `Ollama Local`.
fn provider(provider: &ProviderInfo) -> String {
    let place = if is_local(provider) { "local" } else { provider.plan.as_deref().unwrap_or("cloud") };
    let words = provider.name.split(['-', '_']).chain([place]).filter(|word| !word.is_empty());
    words.map(capitalised).collect::<Vec<_>>().join(" ")
}

/// As its owner writes it: a configuration has names in lower case.
fn capitalised(word: &str) -> String {
    match word {
        "github" => return "GitHub".to_owned(),
        "openai" => return "OpenAI".to_owned(),
        _ => {}
    }
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
