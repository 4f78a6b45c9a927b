//! The `/stats` screen in four languages, and the promises of its numbers.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::stats::*;
use super::{EpochInfo, StatsScreen};
use crate::reports::View;
use crate::stats::Period;
use crate::templates::messages::message;
use crate::templates::{LINE_WIDTH, Lang, Surface, Templates};
use crate::usage::{ErrorKind, Money, Timestamp};

/// The widest line of the token table.
const TABLE_WIDTH: usize = 34;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn counts(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn usd(text: &str) -> Money {
    Money::parse_usd(text).expect("an amount")
}

fn empty() -> StatsReport {
    StatsReport::empty("Raymundo", "0.1.0", Period::All, at("2026-11-22T14:03:20-06:00"))
}

fn running() -> StatsReport {
    StatsReport {
        status: ServiceStatus::Ok,
        uptime_seconds: Some(192_840),
        started_at: Some(at("2026-11-20T08:29:20-06:00")),
        timezone: Some("America/Mexico_City".into()),
        ..empty()
    }
}

fn model(provider: &str, model: &str, local: bool, requests: u64, tokens: (u64, u64), cost: Option<&str>) -> ModelUse {
    ModelUse {
        provider: provider.into(),
        api_type: if local { "ollama" } else { "openai" }.into(),
        model: model.into(),
        local,
        requests,
        ok: requests,
        failed: 0,
        success_rate: success_rate(requests, 0),
        prompt_tokens: tokens.0,
        completion_tokens: tokens.1,
        total_tokens: tokens.0 + tokens.1,
        estimated_tokens: 0,
        cost_usd: cost.map(usd),
        unpriced_requests: if cost.is_none() { requests } else { 0 },
        imported: Imported::default(),
    }
}

fn demo_only() -> StatsReport {
    let mut report = running();
    report.demo = true;
    report.providers =
        vec![ProviderInfo { name: "demo".into(), kind: "demo".into(), demo: true, ..ProviderInfo::default() }];
    report.uptime_seconds = Some(42);
    report.counting_since = Some(at("2026-11-22T14:02:50-06:00"));
    report.last_request_at = Some(at("2026-11-22T14:03:10-06:00"));
    report.requests = Requests {
        total: 1,
        ok: 1,
        success_rate: success_rate(1, 0),
        by_type: counts(&[("chat", 1)]),
        by_status: counts(&[("ok", 1)]),
        ..Requests::default()
    };
    report.tokens =
        Tokens::of_places(PlaceTokens { prompt: 12, completion: 40, estimated: 52 }, PlaceTokens::default());
    report.latency_ms = Latency { mean: Some(450), p50: Some(450), p95: Some(450), p99: Some(450) };
    report.models = vec![model("demo", "demo", true, 1, (12, 40), Some("0"))];
    report.conversations = Conversations { active: 1, messages: 1, users: 1 };
    report
}

/// The numbers of the sketches this screen was designed with.
fn rich() -> StatsReport {
    let mut report = running();
    report.period = Period::Today;
    report.counting_since = Some(at("2026-11-03T09:00:00-06:00"));
    report.last_request_at = Some(at("2026-11-22T14:02:20-06:00"));
    report.providers = vec![
        ProviderInfo {
            name: "GitHub Models".into(),
            kind: "openai".into(),
            plan: Some("free".into()),
            ..ProviderInfo::default()
        },
        ProviderInfo { name: "ollama".into(), kind: "ollama".into(), local: Some(true), ..ProviderInfo::default() },
    ];
    report.requests = Requests {
        total: 247,
        ok: 244,
        failed: 3,
        success_rate: success_rate(244, 3),
        by_type: counts(&[
            ("chat", 189),
            ("presentation", 12),
            ("document", 25),
            ("spreadsheet", 8),
            ("web_scraping", 11),
            ("correction", 2),
            ("vision", 0),
        ]),
        by_status: counts(&[("ok", 244), ("timeout", 2), ("error", 1)]),
        ..Requests::default()
    };
    report.tokens = Tokens {
        cached: 12_800,
        reasoning: 3400,
        ..Tokens::of_places(
            PlaceTokens { prompt: 31_020, completion: 14_210, estimated: 0 },
            PlaceTokens { prompt: 96_300, completion: 32_150, estimated: 0 },
        )
    };
    report.latency_ms = Latency { mean: Some(2450), p50: Some(1800), p95: Some(6200), p99: Some(9100) };
    report.errors = Errors { total: 3, by_kind: counts(&[("total_timeout", 2), ("rate_limited", 1)]) };
    report.cost = Cost { usd: usd("0.41"), unpriced_requests: 0 };
    report.limits = vec![
        limit("GitHub Models", "requests_per_minute", 0, 15, None),
        limit("GitHub Models", "requests_per_day", 112, 150, Some("2026-11-22T21:00:00-06:00")),
        limit("GitHub Models", "tokens_per_minute", 41_300, 150_000, None),
    ];
    report.models = vec![
        model("ollama", "llama3.2", true, 135, (31_020, 14_210), Some("0")),
        model("GitHub Models", "gpt-4o", false, 112, (96_300, 32_150), Some("0.41")),
    ];
    report.conversations = Conversations { active: 5, messages: 124, users: 3 };
    report
}

fn limit(provider: &str, name: &str, used: u64, max: u64, resets_at: Option<&str>) -> LimitUse {
    LimitUse {
        provider: Some(provider.into()),
        limit: name.into(),
        used,
        max,
        percent: LimitUse::percent_of(used, max),
        resets_at: resets_at.map(at),
        ..LimitUse::default()
    }
}

/// Everything that can go wrong, at once.
fn troubled() -> StatsReport {
    let mut report = rich();
    report.status = ServiceStatus::Degraded;
    report.period = Period::Week;
    report.requests.total = 16;
    report.requests.ok = 6;
    report.requests.failed = 6;
    report.requests.cancelled = 1;
    report.requests.refused = 3;
    report.requests.success_rate = success_rate(6, 6);
    report.requests.by_type = counts(&[("chat", 12), ("recipes", 3), ("internal", 1)]);
    report.errors = Errors {
        total: 6,
        by_kind: counts(&[("rate_limited", 2), ("stream_cut", 1), ("gone", 1), ("connect", 1), ("crash", 1)]),
    };
    report.tokens =
        Tokens::of_places(PlaceTokens::default(), PlaceTokens { prompt: 9630, completion: 3215, estimated: 1200 });
    report.cost = Cost { usd: usd("0.0034"), unpriced_requests: 2 };
    report.limits[1].used = 150;
    report.limits[1].percent = 100.0;
    report.limits[1].reserved = 2;
    report.limits[1].observed = Some(ObservedLimit { limit: Some(150), remaining: Some(0), at: None });
    report.models = (0..7u64)
        .map(|n| {
            let name = format!("vendor/an-experimental-model-with-a-long-name-{n}");
            model("cloud", &name, false, 4 - n / 2, (1000, 200), if n == 0 { None } else { Some("0.0005") })
        })
        .collect();
    report
}

/// Totals taken over from elsewhere, in an epoch before a reset.
fn imported() -> StatsReport {
    let mut report = demo_only();
    report.demo = false;
    let (begin, end) = (at("2026-11-03T09:00:00-06:00"), at("2026-11-12T10:12:00-06:00"));
    report.epoch = EpochInfo { number: 2, count: 4, begin: Some(begin), end: Some(end) };
    report.counting_since = Some(begin);
    report.imported = Imported { requests: 1, tokens: 52 };
    report.models[0].imported = report.imported;
    report
}

/// Nothing was sent: no rate, no tokens, no cost.
fn refused_only() -> StatsReport {
    let mut report = running();
    report.requests.total = 3;
    report.requests.refused = 3;
    report.requests.by_type = counts(&[("chat", 3)]);
    report.limits = vec![limit("cloud", "requests_per_day", 3, 3, Some("2026-11-23T00:00:00-06:00"))];
    report
}

pub(super) fn templates() -> &'static Templates {
    static TEMPLATES: LazyLock<Templates> =
        LazyLock::new(|| Templates::load(None).expect("the built-in texts are whole"));
    &TEMPLATES
}

#[test]
fn the_screen_in_four_languages() {
    let templates = templates();
    let screens = [
        ("empty", empty(), View::Overview),
        ("empty_running", running(), View::Overview),
        ("demo", demo_only(), View::Overview),
        ("rich", rich(), View::Overview),
        ("troubled", troubled(), View::Overview),
        ("refused_only", refused_only(), View::Overview),
        ("imported", imported(), View::Overview),
        ("imported_models", imported(), View::Models),
        ("limits", troubled(), View::Limits),
        ("limits_none", empty(), View::Limits),
        ("models", rich(), View::Models),
        ("models_many", troubled(), View::Models),
        ("types", rich(), View::Types),
    ];
    for (name, report, view) in screens {
        let pages = Lang::ALL.map(|lang| format!("── {lang}\n{}\n", report.text(templates, lang, view)));
        for line in pages.iter().flat_map(|page| page.lines()) {
            assert!(line.chars().count() <= LINE_WIDTH, "{name}: {line}");
        }
        let main_lines = |page: &String| page.split("\n\n").take(3).flat_map(str::lines).count() - 1;
        assert!(view != View::Overview || pages.iter().map(main_lines).max() <= Some(12), "{name}");
        insta::assert_snapshot!(format!("stats_{name}"), pages.join("\n"));
    }
}

/// The widest line in columns that a phone does not break.
const PHONE_COLUMNS: usize = 30;

/// The lines of Telegram's HTML that are seen before anything is unfolded.
fn visible_lines(html: &str) -> usize {
    let unfolded = html.split("<blockquote expandable>").next().unwrap_or_default();
    unfolded.trim_end().lines().filter(|line| !line.is_empty()).count()
}

/// What stands between `<pre>` and its end, or between WhatsApp's three backticks.
fn columns(text: &str) -> Vec<&str> {
    let text = text.split_once("<pre>").or_else(|| text.split_once("```")).map_or("", |(_, rest)| rest);
    let text = text.split_once("</pre>").or_else(|| text.split_once("```")).map_or("", |(columns, _)| columns);
    text.lines().collect()
}

#[test]
fn the_screen_in_a_chat_in_four_languages() {
    let templates = templates();
    let reports = [("empty", running()), ("rich", rich()), ("troubled", troubled())];
    for surface in [Surface::Telegram, Surface::WhatsApp] {
        for lang in Lang::ALL {
            let mut page = String::new();
            for ((name, report), view) in reports.iter().flat_map(|report| View::OF_REPORT.map(|view| (report, view))) {
                let text = report.text_for(templates, surface, lang, view);
                let about = format!("{surface} {lang} {name} {}:\n{text}", view.as_str());
                assert!(columns(&text).iter().all(|line| line.chars().count() <= PHONE_COLUMNS), "{about}");
                assert!(!text.contains("\n\n\n") && !text.contains("**"), "{about}");
                match surface {
                    Surface::WhatsApp => assert!(text.chars().count() <= 1000, "{about}"),
                    _ => assert!(visible_lines(&text) <= 12 && text.chars().count() <= 4096, "{about}"),
                }
                page.push_str(&format!("── {name} {}\n{text}\n", view.as_str()));
            }
            insta::assert_snapshot!(format!("stats_{surface}_{lang}"), page);
        }
    }
}

/// As long as every line can get.
fn crowded() -> StatsReport {
    let mut report = troubled();
    report.epoch = imported().epoch;
    report.imported = Imported { requests: 1_000_000, tokens: 1_000_000_000 };
    report.requests.by_type = (0..30).map(|n| (format!("a-request-type-of-the-owner-{n}"), 9)).collect();
    report.requests.total = 270;
    for model in &mut report.models {
        model.cost_usd = Some(usd("0.0005"));
        model.unpriced_requests = 1_000_000;
        model.imported = report.imported;
        model.provider = "a-provider-with-a-long-name".into();
    }
    report.limits = (0..30)
        .map(|n| LimitUse {
            subject: Some(format!("user:{n}-with-a-long-name-of-his-own")),
            reserved: 1_000_000,
            observed: Some(ObservedLimit { limit: None, remaining: Some(1_000_000), at: None }),
            ..limit(
                "a-provider-with-a-long-name",
                "requests_per_day",
                5_000_000,
                9_000_000,
                Some("2026-11-24T21:00:00-06:00"),
            )
        })
        .collect();
    report
}

#[test]
fn the_longest_screen_fits_a_chat_and_its_rows_still_sum_to_the_total() {
    for lang in Lang::ALL {
        for view in View::ALL {
            let text = crowded().text_for(templates(), Surface::WhatsApp, lang, view);
            assert!(text.chars().count() <= 1000, "{} characters:\n{text}", text.chars().count());
            let html = crowded().text_for(templates(), Surface::Telegram, lang, view);
            assert!(html.chars().count() <= 4096, "{} characters:\n{html}", html.chars().count());
        }
        for surface in [Surface::Telegram, Surface::WhatsApp] {
            let text = crowded().text_for(templates(), surface, lang, View::Types);
            let count = |line: &&str| line.chars().skip(16).take(7).collect::<String>().trim().parse::<u64>().ok();
            let counts: Vec<u64> = columns(&text).iter().filter_map(count).collect();
            assert_eq!((counts.len(), counts.iter().sum()), (9, 270), "{text}");
        }
    }
}

#[test]
fn the_other_screens_in_a_chat_in_four_languages() {
    let templates = templates();
    for lang in Lang::ALL {
        let mut page = String::new();
        for name in ["stats_own", "stats_group", "stats_users"] {
            for sample in message(name).expect("a message").samples {
                let context: serde_json::Value = serde_json::from_str(sample).expect("JSON");
                let text = templates.render_for(Surface::Telegram, lang, name, context);
                assert!(name != "stats_group" || !text.contains('$'), "a group sees no cost:\n{text}");
                page.push_str(&format!("── {name}\n{text}\n"));
            }
        }
        insta::assert_snapshot!(format!("screens_{lang}"), page);
    }
}

#[test]
fn the_first_lines_say_whether_it_works() {
    for lang in Lang::ALL {
        for (status, light) in
            [(ServiceStatus::Ok, "🟢"), (ServiceStatus::Degraded, "🟡"), (ServiceStatus::Stopped, "🔴")]
        {
            let report = StatsReport { status, ..running() };
            for surface in [Surface::Telegram, Surface::WhatsApp] {
                let text = report.text_for(templates(), surface, lang, View::Overview);
                assert!(text.lines().nth(1).is_some_and(|line| line.starts_with(light)), "{text}");
            }
        }
    }
}

#[test]
fn the_screen_hands_over_exactly_the_fields_its_templates_know() {
    let screen = serde_json::to_value(StatsScreen::of(&rich(), View::Overview)).expect("JSON");
    let mut found: Vec<&str> = screen.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut expected = message("stats").expect("a message").fields.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn a_rate_is_whole_only_when_nothing_failed() {
    assert_eq!(success_rate(0, 0), None);
    assert_eq!(success_rate(244, 3), Some(0.987854));
    assert_eq!((success_rate(5, 0), success_rate(0, 5)), (Some(1.0), Some(0.0)));
    assert_eq!((success_rate(u64::MAX, 1), success_rate(1, u64::MAX)), (Some(0.999999), Some(0.000001)));
}

#[test]
fn the_json_keeps_its_promised_shape() {
    let text = serde_json::to_string_pretty(&rich()).expect("JSON");
    insta::assert_snapshot!("stats_json", text);
    let back: StatsReport = serde_json::from_str(&text).expect("our own JSON");
    assert_eq!(back, rich());
}

#[test]
fn the_minimal_promised_json_is_read() {
    let text = r#"{"bot":"b","version":"1","status":"ok","uptime_seconds":1,"started_at":"2026-11-22T14:03:20Z","counting_since":"2026-11-22T14:03:20Z","period":"all","requests":{"total":0,"ok":0,"failed":0,"cancelled":0,"refused":0,"success_rate":null,"by_type":{},"by_status":{}},"tokens":{"prompt":0,"completion":0,"cached":0,"reasoning":0,"estimated":0,"local":0,"cloud":0,"total":0},"latency_ms":{"mean":null,"p50":null,"p95":null,"p99":null},"errors":{"total":0,"by_kind":{}},"cost":{"usd":"0","unpriced_requests":0},"limits":[{"provider":"p","limit":"requests_per_day","used":0,"max":150,"percent":0.0,"resets_at":"2026-11-22T14:03:20Z"}],"models":[{"provider":"p","api_type":"a","model":"m","local":true,"requests":0,"ok":0,"failed":0,"success_rate":null,"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"cost_usd":"0"}],"conversations":{"active":0,"messages":0,"users":0},"last_request_at":null,"generated_at":"2026-11-22T14:03:20Z"}"#;
    let report: StatsReport = serde_json::from_str(text).expect("the promised shape");
    let again = serde_json::to_string(&report).expect("JSON");
    let keys = |text: &str| -> Vec<String> { text.split('"').skip(1).step_by(2).map(str::to_owned).collect() };
    let (promised, written) = (keys(text), keys(&again));
    let mut rest = written.iter();
    for key in promised.iter().filter(|key| !key.contains("2026-")) {
        assert!(rest.any(|found| found == key), "`{key}` is missing or out of order in {again}");
    }
}

#[test]
fn without_requests_there_is_no_rate_and_it_is_said() {
    let templates = templates();
    for lang in Lang::ALL {
        for report in [empty(), running()] {
            let text = report.text(templates, lang, View::Overview);
            assert!(!text.contains('%') && !text.contains('0'), "{text}");
        }
    }
    assert!(empty().text(templates, Lang::En, View::Overview).contains("No requests yet."));
    let mut cancelled_only = running();
    cancelled_only.requests.total = 2;
    cancelled_only.requests.cancelled = 2;
    assert!(!cancelled_only.text(templates, Lang::En, View::Overview).contains('%'));
}

#[test]
fn what_is_not_known_or_not_measurable_is_never_shown_as_zero() {
    let mut report = demo_only();
    report.latency_ms = Latency { mean: Some(0), p50: Some(0), p95: Some(0), p99: Some(0) };
    // A failed call costs nothing for sure, the other has no known price: the sum is zero and says nothing.
    report.models = vec![ModelUse { unpriced_requests: 1, ..model("cloud", "new", false, 2, (3, 0), Some("0")) }];
    report.cost = Cost { usd: usd("0"), unpriced_requests: 1 };
    for lang in Lang::ALL {
        let overview = report.text(templates(), lang, View::Overview);
        assert!(overview.contains("1\u{a0}ms") && !overview.contains("0\u{a0}ms"), "{lang}:\n{overview}");
        for screen in [overview, report.text(templates(), lang, View::Models)] {
            for zero in ["$0", "0\u{a0}$US", "0\u{a0}US$", "US$\u{a0}0"] {
                assert!(!screen.contains(zero), "{lang}: `{zero}` in\n{screen}");
            }
        }
    }
    let overview = report.text(templates(), Lang::En, View::Overview);
    assert!(overview.contains("price unknown") && !overview.contains("every model is local"), "{overview}");
}

#[test]
fn every_kind_of_error_has_a_message_and_a_short_name() {
    let templates = templates();
    for kind in ErrorKind::ALL {
        for lang in Lang::ALL {
            let name = format!("error/{kind}");
            let text = templates.render(lang, &name, serde_json::json!({}));
            assert_ne!(text, format!("[{name}]"));
            let mut report = running();
            report.requests.total = 1;
            report.errors.by_kind = counts(&[(kind.as_str(), 1)]);
            let screen = report.text(templates, lang, View::Overview);
            assert!(!screen.contains(kind.as_str()) || !kind.as_str().contains('_'), "{lang} {kind}:\n{screen}");
        }
    }
}

/// The lines of the token table: from its heading to the empty line after it.
fn table_lines(screen: &str) -> Vec<&str> {
    let is_heading = |line: &&str| ["Tokens ", "Jetons "].iter().any(|word| line.starts_with(word));
    screen
        .lines()
        .skip_while(|line| !is_heading(line))
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.contains('·'))
        .collect()
}

/// The numbers of a table row.
fn row_numbers(line: &str) -> Vec<u64> {
    let number = |cell: &str| cell.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok();
    line.split(' ').skip(1).filter_map(number).collect()
}

fn tokens_up_to(max: u64) -> impl Strategy<Value = PlaceTokens> {
    (0..max, 0..max).prop_map(|(prompt, completion)| PlaceTokens { prompt, completion, estimated: prompt / 2 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn in_a_chat_rows_sum_to_the_total_and_columns_fit(local in tokens_up_to(1_000_000_000),
        cloud in tokens_up_to(1_000_000_000), requests in 1u64..1_000_000, name in "[a-zA-Z0-9./:_*<>&-]{1,60}") {
        let mut report = rich();
        report.tokens = Tokens { cached: cloud.prompt / 3, ..Tokens::of_places(local, cloud) };
        report.requests.total = requests;
        report.requests.by_type = counts(&[("chat", requests), ("web_scraping", 1), (&name, 1)]);
        report.models[0].model = name.clone();
        report.models = vec![report.models[0].clone(), report.models[1].clone(), report.models[0].clone()];
        report.limits.push(limit(&name, "tokens_per_day", requests, 2_000_000, None));
        for lang in Lang::ALL {
            for (surface, view) in [Surface::Telegram, Surface::WhatsApp].into_iter().flat_map(|on| View::OF_REPORT.map(|view| (on, view))) {
                let text = report.text_for(templates(), surface, lang, view);
                let unescaped = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
                for line in columns(&unescaped) {
                    prop_assert!(line.chars().count() <= PHONE_COLUMNS, "{lang}:\n{line}");
                }
                prop_assert!(surface != Surface::WhatsApp || text.chars().count() <= 1000, "{lang}:\n{text}");
                prop_assert!(surface != Surface::Telegram || visible_lines(&text) <= 12, "{lang}:\n{text}");
            }
            let html = report.text_for(templates(), Surface::Telegram, lang, View::Overview);
            let table = columns(&html);
            let rows: Vec<Vec<u64>> = table.iter().skip(1).map(|line| row_numbers(line)).collect();
            if let [local_row, cloud_row, total] = &rows[..] {
                prop_assert_eq!(local_row[0] + cloud_row[0], total[0]);
                prop_assert_eq!(local_row[1] + cloud_row[1], total[1]);
            }
        }
    }

    #[test]
    fn rows_sum_to_the_total_and_lines_fit(local in tokens_up_to(100_000_000_000), cloud in tokens_up_to(100_000_000_000),
        requests in 1u64..1_000_000, used in 0u64..2_000_000, resets in 0i64..172_800, name in "[a-z0-9./:-]{1,60}") {
        let mut report = rich();
        report.tokens = Tokens { cached: cloud.prompt / 3, ..Tokens::of_places(local, cloud) };
        report.requests.total = requests;
        report.models[0].model = name.clone();
        report.limits.push(LimitUse {
            resets_at: Some(report.generated_at.plus_micros(resets * 1_000_000)),
            ..limit(&name, "tokens_per_day", used, 2_000_000, None)
        });
        let templates = templates();
        for lang in Lang::ALL {
            for view in View::OF_REPORT {
                let screen = report.text(templates, lang, view);
                for line in screen.lines() {
                    prop_assert!(line.chars().count() <= LINE_WIDTH, "{lang} {} wide:\n{line}", line.chars().count());
                }
            }
            let screen = report.text(templates, lang, View::Overview);
            let table = table_lines(&screen);
            let rows: Vec<Vec<u64>> = table.iter().skip(1).map(|line| row_numbers(line)).filter(|row| row.len() == 2).collect();
            for line in table.iter().filter(|line| row_numbers(line).len() == 2) {
                prop_assert!(line.chars().count() <= TABLE_WIDTH, "{lang}:\n{screen}");
            }
            if let [local_row, cloud_row, total] = &rows[..] {
                prop_assert_eq!(local_row[0] + cloud_row[0], total[0]);
                prop_assert_eq!(local_row[1] + cloud_row[1], total[1]);
            }
        }
    }
}
