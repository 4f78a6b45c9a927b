//! From a text to a configuration: the whole file is read, then everything that is wrong with it is said at once.

use toml::de::DeTable;

use super::mistakes::{Finding, Lines, Mistakes, nearest, syntax_finding};
use super::prices::{check_rows, unknown_price};
use super::reader::{Findings, Report, Section};
use super::secrets::{Env, SecretFiles};
use super::{
    Alerts, AtLimit, Budget, Chat, Compat, Config, Gateway, Http, Ledger, Limit, Log, PriceRow, Provider, Telegram,
};
use crate::templates::Lang;
use crate::usage::Zone;

/// No configuration is longer.
const MAX_CONFIG_BYTES: usize = 1024 * 1024;

/// A file with more mistakes of syntax is not TOML; so many are enough to see it.
const MAX_SYNTAX_MISTAKES: usize = 50;

/// A configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What to run with.
    pub config: Config,
    /// What the owner should know, although it works.
    pub warnings: Vec<Finding>,
}

/// Reads a configuration. `label` is what the file is called in messages, usually its path.
///
/// # Errors
/// Every mistake in the file, in its order; the values of secrets are never repeated.
pub fn check(text: &str, label: &str, env: &dyn Env, files: &dyn SecretFiles) -> Result<Checked, Mistakes> {
    let (config, mut findings) = read(text, env, files);
    findings.mistakes.append(&mut findings.absent);
    ended(config, findings, label)
}

/// The same for whoever calls no provider and no messenger, and so needs no secret that is not there.
///
/// # Errors
/// As [`check`], without what is said of absent secrets.
pub fn check_without_secrets(
    text: &str,
    label: &str,
    env: &dyn Env,
    files: &dyn SecretFiles,
) -> Result<Checked, Mistakes> {
    let (config, findings) = read(text, env, files);
    ended(config, findings, label)
}

fn ended(config: Config, mut findings: Findings, label: &str) -> Result<Checked, Mistakes> {
    if findings.mistakes.is_empty() {
        return Ok(Checked { config, warnings: findings.warnings });
    }
    findings.mistakes.sort_by_key(|finding| finding.line);
    Err(Mistakes { label: label.to_owned(), findings: findings.mistakes })
}

/// Reads as far as possible; the configuration is only good when there are no mistakes.
pub(super) fn read(text: &str, env: &dyn Env, files: &dyn SecretFiles) -> (Config, Findings) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > MAX_CONFIG_BYTES {
        let sentence = format!("holds {} bytes; expected at most {MAX_CONFIG_BYTES}", text.len());
        let mistakes = vec![Finding { line: 1, key: String::new(), text: sentence, excerpt: None }];
        return (Config::default(), Findings { mistakes, ..Findings::default() });
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    let lines = Lines::of(text);
    let syntax = errors.iter().take(MAX_SYNTAX_MISTAKES).map(|error| syntax_finding(text, &lines, error)).collect();
    let report = Report::new(lines, env, files, syntax);
    let mut top = Section::top(&report, document.get_ref());
    let config = read_all(&mut top);
    top.close();
    (config, report.into_findings())
}

fn read_all(top: &mut Section<'_>) -> Config {
    let default = Config::default();
    let language = top.choice("language", &Lang::ALL.map(|lang| (lang.code(), lang))).unwrap_or_default();
    let timezone = zone(top, "timezone");
    if !top.has("timezone") {
        check_tz(top);
    }
    let data_dir = top.path("data_dir").unwrap_or(default.data_dir);
    let bot_name = top.table("bot", bot_name).unwrap_or(default.bot_name);
    let http = top.table("http", Http::read);
    let gateway = top.table("gateway", Gateway::read);
    let ledger = top.table("ledger", Ledger::read);
    let log = top.table("log", Log::read);
    let chat = top.table("chat", Chat::read);
    let mut names = Vec::new();
    let providers = top.tables("providers", 64, |section| Provider::read(section, &mut names));
    if top.is_sound("providers") {
        check_fallbacks(top, &providers, &names);
    }
    let limits = top.tables("limits", 1_000, |section| Limit::read(section, &names));
    let budgets = top.tables("budgets", 1_000, |section| Budget::read(section, &names));
    if top.is_sound("budgets") {
        check_twins(top, &budgets);
    }
    let alerts = top.table("alerts", Alerts::read);
    let telegram = top.table("telegram", Telegram::read);
    let templates_dir = top.table("templates", |section| section.path("dir"));
    let prices = top.tables("prices", 10_000, PriceRow::read);
    if !prices.is_empty() && top.is_sound("prices") {
        check_rows(top, &prices);
    }
    let unknown_price = top.table("unknown_price", unknown_price);
    let compat = top.table("compat", Compat::read);
    Config {
        language,
        timezone,
        data_dir,
        bot_name,
        http,
        gateway,
        ledger,
        log,
        chat,
        providers,
        limits,
        budgets,
        alerts,
        telegram,
        templates_dir,
        prices,
        unknown_price,
        compat,
    }
}

/// Providers can fall back on one that comes later, so that is looked at when all are known.
fn check_fallbacks(top: &Section<'_>, providers: &[Provider], names: &[String]) {
    for (at, provider) in providers.iter().enumerate() {
        let at_limit = match &provider.limits.at_limit {
            Some(AtLimit::Fallback(name)) => name.as_ref(),
            _ => None,
        };
        for (key, name) in [("limits.at_limit.fallback", at_limit), ("fallback", provider.fallback.as_ref())] {
            let Some(name) = name else { continue };
            let path = format!("providers[{at}].{key}");
            if *name == provider.name {
                let text = format!("`{path}` is `\"{name}\"`, the provider itself; name another one");
                top.wrong_in("providers", at, key, text);
            } else if !names.contains(name) {
                let others: Vec<&str> =
                    names.iter().map(String::as_str).filter(|other| *other != provider.name).collect();
                let hint = match others.is_empty() {
                    true => "there is no other one".to_owned(),
                    false => format!("expected one of `\"{}\"`", others.join("\"`, `\"")),
                };
                let text = format!("`{path}` is `\"{name}\"`, and no provider is called so; {hint}");
                top.wrong_in("providers", at, key, text);
            }
        }
        check_kind_of_fallback(top, at, provider, providers);
    }
}

/// Calls are passed on as they are, so only a provider that reads the same can be asked instead.
fn check_kind_of_fallback(top: &Section<'_>, at: usize, provider: &Provider, providers: &[Provider]) {
    let is_meant = |other: &&Provider| provider.fallback.as_ref() == Some(&other.name);
    if let Some(other) = providers.iter().find(is_meant).filter(|other| other.kind != provider.kind) {
        let text = format!(
            "`providers[{at}].fallback` is `\"{}\"`, of kind `\"{}\"`, and `{}` is of kind `\"{}\"`; what is passed on \
             by the gateway is not translated: name a provider of the same kind",
            other.name,
            other.kind.as_str(),
            provider.name,
            provider.kind.as_str()
        );
        top.wrong_in("providers", at, "fallback", text);
    }
}

/// Two budgets that count the same would both hold, and a change in the chat would mean both.
fn check_twins(top: &Section<'_>, budgets: &[Budget]) {
    for (later, budget) in budgets.iter().enumerate() {
        let counts = |other: &Budget| [other.requests, other.tokens, other.usd];
        let is_twin = |other: &&Budget| {
            (&other.applies_to, other.per, other.since) == (&budget.applies_to, budget.per, budget.since)
                && counts(other).iter().zip(counts(budget)).any(|(a, b)| a.is_some() && b.is_some())
        };
        if let Some(earlier) = budgets[..later].iter().position(|other| is_twin(&other)) {
            let text =
                format!("`budgets[{later}]` counts the same for the same as `budgets[{earlier}]`; keep one of them");
            top.wrong_in("budgets", later, "for", text);
        }
    }
}

fn bot_name(section: &mut Section<'_>) -> Option<String> {
    let expected = "1 to 32 letters, digits, `_` or `-`: it is also the name of a command";
    section.parsed("name", expected, "\"raymundo\"", |text| {
        let word = text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        (word && (1..=32).contains(&text.chars().count())).then(|| text.to_owned())
    })
}

/// Of a zone that is not known nobody would see that days begin at another hour.
fn check_tz(top: &Section<'_>) {
    let Some(value) = top.variable("TZ").filter(|value| !value.is_empty() && !value.ends_with("/localtime")) else {
        return;
    };
    if Zone::of_tz(&value).is_none() {
        let shown: String = value.chars().filter(|c| !c.is_control()).take(40).collect();
        let text = format!(
            "the variable `TZ` is `{shown}`, which names no zone, so that days begin where this machine's do; expected for \
             example `timezone = \"Europe/Berlin\"`"
        );
        top.warn("timezone", text);
    }
}

/// A zone by its IANA name.
pub(super) fn zone(section: &mut Section<'_>, key: &'static str) -> Option<Zone> {
    let item = section.find(key)?;
    let text = item.value.as_str().unwrap_or("");
    let zone = Zone::named(text);
    if zone.is_none() {
        let city_of = |name: &'static str| name.rsplit('/').next().unwrap_or(name);
        let in_city = || {
            let city = nearest(&text.replace(' ', "_"), Zone::names().map(city_of))?;
            Zone::names().find(|name| city_of(name) == city)
        };
        let meant = in_city().or_else(|| nearest(text, Zone::names())).unwrap_or("America/Mexico_City");
        item.wrong("the IANA name of a zone", &format!("\"{meant}\""));
    }
    zone
}
