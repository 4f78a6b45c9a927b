//! What the configuration promises: a table of mistakes with their exact texts, the example file, the secrets.

use secrecy::{ExposeSecret, SecretString};

use super::check::read;
use super::*;
use crate::usage::prices::Tier;
use crate::usage::{Day, Zone, zone};

const EXAMPLE: &str = include_str!("../../../tallybot.example.toml");

/// Cases separated by `=====`: the file, and after `-->` what `check-config` prints.
const MISTAKES: &str = include_str!("mistakes.txt");

const KEY: &str = "sk-test-0123456789abcdefghij";
const SLACK_URL: &str = "https://hooks.slack.com/services/T0/B0/0123456789abcdefghij";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn no_env(_: &str) -> Option<String> {
    None
}

fn some_env(name: &str) -> Option<String> {
    match name {
        "OPENAI_API_KEY" => Some(KEY.to_owned()),
        "SHORT" => Some("short".to_owned()),
        "BLANK" => Some("two words".to_owned()),
        "EMPTY" => Some(String::new()),
        "TOKEN" => Some(TOKEN.to_owned()),
        "SLACK_URL" => Some(SLACK_URL.to_owned()),
        "METADATA_URL" => Some("http://169.254.169.254/latest".to_owned()),
        _ => None,
    }
}

fn full_env(name: &str) -> Option<String> {
    match name {
        "TALLYBOT_READ_TOKEN" | "TALLYBOT_WEBHOOK_SECRET" => Some(TOKEN.to_owned()),
        "TALLYBOT_ADMIN_TOKEN" => Some(TOKEN.to_uppercase()),
        "TALLYBOT_ALERTS_SECRET" => Some(TOKEN.to_owned()),
        "TALLYBOT_SLACK_URL" => Some(SLACK_URL.to_owned()),
        "OPENAI_API_KEY" | "ANTHROPIC_API_KEY" | "GEMINI_API_KEY" => Some(KEY.to_owned()),
        "TELOXIDE_TOKEN" | "TALLYBOT_MAIL_PASSWORD" => Some(KEY.to_owned()),
        _ => None,
    }
}

fn files(path: &str) -> Result<SecretFile, String> {
    let (content, mode) = match path {
        "/keys/good" | "/srv/tallybot/groq.key" => (format!("{KEY}\n"), 0o100_600),
        "/srv/tallybot/discord.url" => ("https://discord.com/api/webhooks/1/abc\n".to_owned(), 0o100_600),
        "/keys/open" => (KEY.to_owned(), 0o100_644),
        "/keys/empty" => ("\n".to_owned(), 0o100_600),
        _ => return Err("no such file".to_owned()),
    };
    Ok(SecretFile { content: SecretString::from(content), mode })
}

fn checked(text: &str) -> Checked {
    check(text, "tallybot.toml", &full_env, &files).expect("no mistakes")
}

#[test]
fn j6_every_mistake_is_said_in_these_words() {
    let cases: Vec<&str> = MISTAKES.split("=====\n").collect();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    for case in cases {
        let (text, expected) = case.split_once("--> ").expect("a case has an answer");
        if text.contains("[alerts.mail]") && !cfg!(feature = "mail") {
            continue; // its only mistake is then the section itself
        }
        let said = match check(text, "t.toml", &some_env, &files) {
            Ok(checked) => {
                let warnings = checked.warnings.iter().map(|warning| format!("\n{warning}"));
                format!("no mistakes{}", warnings.collect::<String>())
            }
            Err(mistakes) => mistakes.to_string(),
        };
        assert_eq!(said, expected.trim_end(), "for the file\n{text}");
    }
}

#[test]
fn a_tz_that_names_no_zone_is_told_unless_the_file_names_one() {
    let warnings = |text: &str, tz: &str| {
        let env = |name: &str| (name == "TZ").then(|| tz.to_owned());
        check(text, "t.toml", &env, &files).expect("no mistakes").warnings
    };
    for tz in ["CET-1CEST", "UTC+3", "Nowhere/Land"] {
        let told = warnings("", tz);
        assert!(told.len() == 1 && told[0].text.contains(tz) && told[0].text.contains("timezone ="), "{told:?}");
        assert_eq!(warnings("timezone = \"UTC\"", tz), []);
    }
    for tz in ["", "Asia/Tokyo", ":Asia/Tokyo", "/usr/share/zoneinfo/Asia/Tokyo", ":/etc/localtime"] {
        assert_eq!(warnings("", tz), [], "{tz}");
    }
}

#[test]
fn a_token_that_is_too_short_is_one_mistake() {
    for (token, told) in [("123", "holds 3 characters"), ("", "empty")] {
        let env = |name: &str| (name == "TELOXIDE_TOKEN").then(|| token.to_owned());
        let mistakes = check("[telegram]", "t.toml", &env, &files).expect_err("a mistake").to_string();
        assert!(mistakes.starts_with("1 mistake ") && mistakes.contains(told), "{mistakes}");
    }
}

#[test]
fn no_message_repeats_what_may_be_a_secret() {
    for (text, secret) in [
        ("api_key = \"hunter2-hunter2\"", "hunter2"),
        ("[http]\nread_token = \"hunter2\"", "hunter2"),
        ("[http]\nread_token_env = \"hunter 2\"", "hunter"),
        ("[[providers]]\napi_key = hunter2", "hunter2"),
        ("[[providers]]\nmodel = \"sk-abcdefghijklm\"\nplan = 5", "abcdefg"),
        ("[[providers]]\nurl = \"https://u:hunter2@example.com\"", "hunter2"),
        ("[[providers]]\nname = \"SK-0123456789abcdefghijKLM\"", "0123456789"),
        ("[[providers]]\napi_key_file = \"sk-0123456789abcdefghij\"", "0123456789"),
        ("language = \"AIzaSyA0123456789abcdefghij\"", "AIza"),
        ("sk-0123456789abcdefghij = 1", "0123456789"),
        ("[http]\nadmin_token_env = \"SHORT\"", "= `short`"),
        ("[alerts.slack]\nurl_env = \"https://hooks.slack.com/services/T0/B0/x\"", "hooks"),
        ("[alerts.slack]\nurl = \"https://hooks.slack.com/services/T0/B0/x\"", "hooks"),
        ("[alerts.discord]\nurl_env = \"METADATA_URL\"", "169.254"),
        ("[alerts.webhook]\nurl = \"https://u:hunter2@example.com\"", "hunter2"),
        ("[alerts.mail]\npassword = \"hunter2\"", "hunter2"),
        ("[telegram]\nusers = [\"123456789:AAEabcdefghijklmnopqrstuvwxyz012345\"]", "AAE"),
    ] {
        let mistakes = check(text, "t.toml", &some_env, &files).expect_err(text);
        assert!(!format!("{mistakes} {mistakes:?}").contains(secret), "{mistakes}");
    }
}

#[test]
fn an_empty_file_is_the_default_and_an_example_as_it_stands_too() {
    let default = format!("{:?}", Config::default());
    for text in ["", "\u{feff}\n", "# nothing\r\n", EXAMPLE] {
        let checked = check(text, "t.toml", &no_env, &files).expect("no mistakes");
        assert_eq!(format!("{:?}", checked.config), default);
        assert_eq!(checked.warnings, []);
    }
}

/// The example with every setting taken out of its comment.
fn uncommented() -> String {
    let is_setting = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[');
    let lines = EXAMPLE.lines().map(|line| line.strip_prefix('#').filter(|rest| is_setting(rest)).unwrap_or(line));
    let text = lines.collect::<Vec<_>>().join("\n");
    match text.split_once("[alerts.mail]") {
        Some((before, _)) if !cfg!(feature = "mail") => {
            let after = text.split_once("# Telegram:").map_or("", |(_, after)| after);
            format!("{before}#{after}")
        }
        _ => text,
    }
}

#[test]
fn the_example_shows_the_real_defaults() {
    let config = checked(&uncommented()).config;
    let default = Config::default();
    assert_eq!((config.language, &config.data_dir), (default.language, &default.data_dir));
    assert_eq!((&config.bot_name, &config.compat), (&default.bot_name, &default.compat));
    assert_eq!((&config.ledger, &config.log, &config.chat), (&default.ledger, &default.log, &default.chat));
    assert_eq!(config.gateway, default.gateway);
    let http = Http { read_token: None, admin_token: None, ..config.http.clone() };
    assert_eq!(format!("{http:?}"), format!("{:?}", default.http));
    assert_eq!(config.providers[0].timeouts, Timeouts::default());
    assert_eq!(config.limits[0].rates.at_limit, Some(AtLimit::Wait));
    assert_eq!(config.unknown_price, default.unknown_price);
    let bare = |alerts: &Alerts| Alerts {
        language: None,
        webhook: None,
        slack: None,
        discord: None,
        mail: None,
        ..alerts.clone()
    };
    assert_eq!(format!("{:?}", bare(&config.alerts)), format!("{:?}", default.alerts));
    let sparse = "[[providers]]\nname=\"a\"\nkind=\"ollama\"\nmodel=\"m\"\n[[providers]]\nname=\"b\"\nkind=\"openai\"\n\
                  model=\"m\"\n[telegram]\n";
    let sparse = checked(sparse).config;
    for index in 0..2 {
        assert_eq!(config.providers[index].url, sparse.providers[index].url);
    }
    let api_url = |config: &Config| config.telegram.as_ref().map(|telegram| telegram.api_url.clone());
    assert_eq!(api_url(&config), api_url(&sparse));
}

#[test]
fn the_example_shows_every_key() {
    let text = uncommented();
    let (_, findings) = read(&text, &full_env, &files);
    let shown = |key: &str| {
        let name = key.rsplit('.').next().unwrap_or(key);
        let bare = name.trim_end_matches("[]");
        text.contains(&format!("\n{bare} = "))
            || [
                format!("\n[{bare}]"),
                format!("\n[{key}]"),
                format!("\n[[{bare}]]"),
                format!("{{ {bare} = "),
                format!(", {bare} = "),
            ]
            .iter()
            .any(|form| text.contains(form))
    };
    let hidden: Vec<&String> = findings.asked.iter().filter(|key| !shown(key)).collect();
    assert!(hidden.is_empty(), "the example does not show {hidden:?}");
    assert!(findings.asked.len() >= 75, "only {} keys were asked for", findings.asked.len());
}

#[test]
fn the_design_sample_is_understood() {
    let config = checked(&uncommented()).config;
    let cloud = &config.providers[1];
    assert_eq!(cloud.kind, ProviderKind::OpenAi);
    assert_eq!(cloud.plan.as_deref(), Some("free"));
    let some = |max| Some(Allowance::AtMost(max));
    let expected = Rates {
        requests_per_minute: some(15),
        requests_per_day: some(150),
        tokens_per_minute: some(150_000),
        tokens_per_day: some(1_500_000),
        day_timezone: Some(Zone::UTC),
        at_limit: Some(AtLimit::Fallback(Some("ollama".to_owned()))),
    };
    assert_eq!(cloud.limits, expected);
    assert_eq!(cloud.fallback.as_deref(), Some("fast"));
    let budget = &config.budgets[0];
    assert_eq!((budget.per, budget.usd), (Per::Month, some(20_000_000_000_000)));
    assert_eq!(budget.at_limit, Some(AtLimit::Fallback(None)));
    assert_eq!((config.budgets[1].tokens, config.budgets[1].applies_to.user.as_deref()), (some(50_000), Some("*")));
    assert_eq!(config.timezone, Some(zone("America/Mexico_City")));
    assert_eq!(config.limits[0].applies_to.user.as_deref(), Some("*"));
    assert_eq!((config.prices[0].tier, config.prices[0].above), (Some(Tier::Standard), Some(200_000)));
    assert_eq!(config.prices[0].to, Day::from_ymd(2026, 12, 31));
    assert_eq!(config.telegram.map(|telegram| (telegram.users, telegram.admins)), Some((vec![111], vec![111])));
}

#[test]
fn claude_and_gemini_need_no_url_and_are_warned_of_like_other_clouds() {
    let text =
        |kind: &str, rest: &str| format!("[[providers]]\nname = \"a\"\nkind = \"{kind}\"\nmodel = \"m\"\n{rest}");
    for (kind, known, url, key) in [
        ("anthropic", ProviderKind::Anthropic, "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
        ("gemini", ProviderKind::Gemini, "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY"),
    ] {
        let with_key = checked(&text(kind, &format!("api_key_env = \"{key}\"")));
        let provider = &with_key.config.providers[0];
        assert_eq!((provider.kind, provider.url.as_str(), with_key.warnings.len()), (known, url, 0));
        assert_eq!(provider.kind.as_str(), kind);
        let warnings = |rest: &str| {
            let warnings = checked(&text(kind, rest)).warnings;
            warnings.into_iter().map(|warning| warning.text).collect::<Vec<_>>().join("\n")
        };
        assert!(warnings("").contains(&format!("api_key_env = \"{key}\"")), "{}", warnings(""));
        let here = warnings("url = \"http://127.0.0.1:8080\"");
        assert!(here.contains("`providers[0].local` is not there"), "{here}");
    }
}

#[test]
fn secrets_are_read_trimmed_and_never_shown() {
    let config = checked(&uncommented()).config;
    let exposed = |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
    assert_eq!(exposed(&config.http.read_token).as_deref(), Some(TOKEN));
    assert_eq!(exposed(&config.providers[1].api_key).as_deref(), Some(KEY));
    assert_eq!(exposed(&config.providers[2].api_key).as_deref(), Some(KEY));
    let shown = format!("{config:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains(KEY), "{shown}");
    let places = &config.alerts;
    let (slack, discord) = (places.slack.as_ref().expect("read"), places.discord.as_ref().expect("read"));
    assert_eq!(slack.url.expose_secret(), SLACK_URL);
    assert_eq!(discord.url.expose_secret(), "https://discord.com/api/webhooks/1/abc");
    assert_eq!(exposed(&places.webhook.as_ref().expect("read").secret).as_deref(), Some(TOKEN));
    assert!(!shown.contains("hooks.slack.com") && !shown.contains("discord.com"), "{shown}");
}

#[test]
fn levels_of_alerts_are_shares_or_tokens() {
    let levels = |text: &str| checked(&format!("[alerts]\n{text}")).config.alerts.levels;
    use AlertThreshold::{Permille, Tokens};
    assert_eq!(levels(""), [Permille(800), Permille(900), Permille(950)]);
    assert_eq!(levels("caution = 50\nwarning = \"62.5%\""), [Permille(500), Permille(625), Permille(950)]);
    let mixed = "caution = \"1_200_000 tokens\"\nwarning = \"1400000tokens\"\ncritical = \"100 %\"";
    assert_eq!(levels(mixed), [Tokens(1_200_000), Tokens(1_400_000), Permille(1_000)]);
}

#[test]
fn a_server_of_mail_is_a_host_and_a_port() {
    if !cfg!(feature = "mail") {
        return;
    }
    let server = |smtp: &str| {
        let text = format!("[alerts.mail]\nsmtp = \"{smtp}\"\nfrom = \"a@b\"\nto = [\"c.d+e@f.example\"]");
        let mail = check(&text, "t.toml", &full_env, &files).ok()?.config.alerts.mail?;
        Some((mail.host, mail.port, mail.security))
    };
    assert_eq!(server("smtp.example.com:465"), Some(("smtp.example.com".into(), 465, AlertSecurity::StartTls)));
    assert_eq!(server("[::1]:25"), Some(("::1".into(), 25, AlertSecurity::StartTls)));
    for wrong in ["smtp.example.com", "smtp.example.com:0", ":25", "smtp://a:25", "a b:25", "a:66000"] {
        assert_eq!(server(wrong), None, "{wrong}");
    }
}

#[test]
fn tokens_of_the_default_variables_are_used_without_any_file() {
    let config = checked("").config;
    assert!(config.http.read_token.is_some() && config.http.admin_token.is_some());
    assert!(config.telegram.is_none(), "a token alone connects to nobody");
    let public = checked("[http]\nlisten = \"0.0.0.0:80\"\nallowed_hosts = [\"Stats.Example.com\"]");
    assert_eq!(public.config.http.allowed_hosts, ["stats.example.com"]);
    assert_eq!(public.warnings, []);
    assert_eq!(checked("[http]\nlisten = \"0.0.0.0:80\"").warnings.len(), 1);
}

#[test]
fn account_numbers_in_addresses_and_dates_in_models_are_no_keys() {
    let url = "https://gateway.example.com/v1/0123456789abcdef0123456789abcdef/openai";
    let text = format!(
        "[[providers]]\nname = \"a\"\nkind = \"openai\"\nurl = \"{url}\"\nmodel = \"task-sonnet-4-20250514-8k\"\n\
         api_key_env = \"OPENAI_API_KEY\""
    );
    let config = checked(&text).config;
    assert_eq!(
        (config.providers[0].url.as_str(), config.providers[0].model.as_str()),
        (url, "task-sonnet-4-20250514-8k")
    );
}

#[test]
fn the_number_of_messages_is_bounded() {
    let text: String = (0..20_000).map(|n| format!("unknown_{n} = 1\n")).collect();
    let mistakes = check(&text, "t.toml", &no_env, &files).expect_err("unknown keys");
    assert_eq!(mistakes.findings.len(), 1_000);
}

#[test]
fn hostile_files_are_refused_and_never_panic() {
    let huge = "a".repeat(2 << 20);
    let deep = format!("a = {}", "[".repeat(100_000));
    let many = "[[limits]]\nrequests_per_minute = 1\n".repeat(1_001);
    for text in
        [huge.as_str(), deep.as_str(), many.as_str(), "\u{0}", "ñ = \"ñ", "[[providers]]\nname = '''", "=\n=\n="]
    {
        assert!(check(text, "t.toml", &no_env, &files).is_err());
    }
}
