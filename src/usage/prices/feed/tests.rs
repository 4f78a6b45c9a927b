//! Composed lists of others: every form, every refusal, and that nothing breaks the reader.

use proptest::prelude::*;

use super::*;

const LITELLM: &str = include_str!("../../../../tests/it/fixtures/prices/litellm.json");
const GENAI: &str = include_str!("../../../../tests/it/fixtures/prices/genai.json");

fn read(text: &str) -> Feed {
    read_feed(text, None).expect("a list")
}

/// An offer's rows in short: tier, size, hours, days, and the five prices.
fn rows(feed: &Feed, model: &str) -> Vec<String> {
    let offer = feed.offers.iter().find(|offer| offer.rows[0].model == model).expect(model);
    let price = |price: Option<Price>| price.map_or("-".to_owned(), |price| price.to_string());
    let line = |row: &PriceRow| {
        let tier = row.tier.map_or("any", crate::usage::prices::Tier::as_str);
        let above = row.above.map(|above| format!(">{above}")).unwrap_or_default();
        let peak = row.peak.as_ref().map(|peak| format!(" {peak}")).unwrap_or_default();
        let day =
            |at: Option<crate::usage::Timestamp>| at.map(|at| at.with_offset(0).day().to_string()).unwrap_or_default();
        let prices = [Some(row.input), row.cache_read, row.cache_write, row.cache_write_1h, row.output].map(price);
        format!("{tier}{above}{peak} {}..{} {}", day(row.from), day(row.until), prices.join(" "))
    };
    offer.rows.iter().map(line).collect()
}

fn notes<'a>(feed: &'a Feed, model: &str) -> &'a [String] {
    &feed.offers.iter().find(|offer| offer.rows[0].model == model).expect(model).notes
}

#[track_caller]
fn refuses(feed: &Feed, name: &str, reason: &str) {
    let refused = feed.refused.iter().filter(|refused| refused.name == name);
    assert!(
        refused.clone().any(|refused| refused.reason.contains(reason)),
        "{name}: {:?}",
        refused.collect::<Vec<_>>()
    );
}

#[test]
fn litellms_prices_are_read_exactly_with_sizes_and_tiers() {
    let feed = read(LITELLM);
    assert_eq!((feed.format, feed.passed_over), (FeedFormat::LiteLlm, 2), "the documentation and a local model");
    assert_eq!(
        rows(&feed, "example-large"),
        ["standard .. 2.00 0.10 2.50 4.00 10.00", "standard>200000 .. 4.00 0.10 2.50 8.00 15.00"],
        "a price that is not given for large prompts is that for smaller ones"
    );
    assert_eq!(
        rows(&feed, "example-tiers"),
        [
            "standard .. 1.00 - - - 4.00",
            "batch .. 0.50 - - - 2.00",
            "flex .. 0.50 - - - 2.00",
            "ultrafast .. 6.00 - - - 24.00"
        ]
    );
    assert_eq!(rows(&feed, "example-embed"), ["standard .. 0.02 - - - -"], "an embedding has no output");
    assert_eq!(
        notes(&feed, "example-large"),
        [
            "`search_context_cost_per_query` is not taken",
            "`input_cost_per_audio_token` is not taken",
            "its prices for the tier fast are not whole and not taken"
        ]
    );
    let gpt = &feed.offers[0].rows[0];
    assert_eq!(
        (gpt.vendor.as_deref(), gpt.off.map(|day| day.to_string()).as_deref()),
        (Some("openai"), Some("2027-01-14"))
    );
    let azure = feed.offers.iter().find(|offer| offer.rows[0].vendor.as_deref() == Some("azure"));
    assert_eq!(azure.map(|offer| offer.rows[0].model.as_str()), Some("gpt-4o"), "who bills is no part of the name");
}

#[test]
fn what_litellm_says_and_we_cannot_is_refused_by_name() {
    let feed = read(LITELLM);
    for (name, reason) in [
        ("example-silent", "no `input_cost_per_token`"),
        ("example-mute", "no `output_cost_per_token`"),
        ("example-noise", "not a whole number of micro-dollars"),
        ("example-debt", "is `-1e-06`"),
        ("example-text", "not a number"),
        ("example-painter", "its mode is `image_generation`"),
        ("example-thinker", "bills reasoning at another price"),
        ("example-steps", "no place for `tiered_pricing`"),
        ("example-toll", "no place for `input_cost_per_request`"),
        ("example-*", "says nothing certain"),
        ("example two words", "no name of a model"),
        ("orphan", "does not say who bills"),
        ("example-twice", "it stands twice"),
        ("example-large", "has a price by an earlier entry"),
        ("example-key-twice", "`input_cost_per_token` stands twice"),
        ("example-nothing", "not an object"),
    ] {
        refuses(&feed, name, reason);
    }
    assert_eq!(feed.refused.len(), 16);
    let unknown = r#"{"m": {"litellm_provider": "x", "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6,
        "input_cost_per_token_above_200k_tokens_above_300k_tokens": 1e-6}}"#;
    refuses(&read(unknown), "m", "no place for");
    let dear = r#"{"m": {"litellm_provider": "x", "input_cost_per_token": 1, "output_cost_per_token": 1e300}}"#;
    refuses(&read(dear), "m", "below a million dollars");
}

#[test]
fn genai_prices_are_read_with_sizes_dates_and_hours() {
    let feed = read(GENAI);
    assert_eq!((feed.format, feed.passed_over), (FeedFormat::GenaiPrices, 1));
    assert_eq!(
        rows(&feed, "example-large"),
        [
            "standard ..2027-01-01 2.00 0.20 - - 10.00",
            "standard>200000 ..2027-01-01 4.00 0.20 - - 10.00",
            "standard 2027-01-01.. 3.00 0.30 - - 15.00"
        ]
    );
    let names: Vec<&str> = feed.offers[0].rows[0].names().collect();
    assert_eq!(names, ["example-large", "example-large-*"]);
    assert_eq!(
        rows(&feed, "example-night"),
        ["standard .. 0.27 - - - 1.10", "standard Mon-Sun 00:00-00:30 16:30-24:00 .. 0.135 - - - 0.55"]
    );
    assert_eq!(
        rows(&feed, "example-dated"),
        ["standard 2026-01-01..2026-03-01 1.00 - - - 2.00", "standard 2026-03-01.. 3.00 - - - 6.00"],
        "of those that hold the last one in the list wins, so the one of June never does"
    );
    assert_eq!(rows(&feed, "example-embed"), ["standard .. 0.02 - - - -"]);
    assert_eq!(
        notes(&feed, "example-voice"),
        ["`input_audio_mtok` is not taken", "`web_searches_kcount` is not taken"]
    );
    let checked =
        feed.offers.iter().find(|offer| offer.rows[0].model == "gpt-4o").and_then(|offer| offer.rows[0].checked);
    assert_eq!(checked.map(|day| day.to_string()).as_deref(), Some("2026-11-20"));
    assert_eq!(read(&format!("{{\"providers\": {GENAI}}}")).offers, feed.offers);
}

#[test]
fn what_genai_prices_say_and_we_cannot_is_refused_by_name() {
    let feed = read(GENAI);
    for (name, reason) in [
        ("example/example-ending", "cannot say `ends_with`"),
        ("example/example-inner", "cannot say `contains`"),
        ("example/example-regex", "cannot say `regex`"),
        ("example/example-and", "cannot say `and`"),
        ("example/example-toll", "no place for `requests_kcount`"),
        ("example/example-silent", "no `input_mtok`"),
        ("example/example-mute", "no `output_mtok`"),
        ("example/example-fine", "not a whole number of micro-dollars"),
        ("example/example-when", "cannot say `weekday`"),
        ("example/example-hours", "one price for hours beside one for the others"),
        ("example/example-zone", "not whole minutes of UTC"),
        ("example/example-step", "a tier without a `start`"),
        ("example/example-odd", "has `unit`"),
        ("example/example-free-of-price", "has no `prices`"),
        ("a provider", "has no `id`"),
        ("hollow", "no list of `models`"),
    ] {
        refuses(&feed, name, reason);
    }
    assert_eq!(feed.refused.len(), 16);
    let of = |model: &str| format!("[{{\"id\": \"x\", \"models\": [{model}]}}]");
    for (model, reason) in [
        (r#"{"id": "m", "match": {"equals": "m", "starts_with": "m"}, "prices": {}}"#, "not one rule"),
        (r#"{"id": "m", "match": {"equals": ""}, "prices": {}}"#, "is no name"),
        (r#"{"id": "m", "match": {"starts_with": "m*"}, "prices": {}}"#, "is no name"),
        (r#"{"id": "m", "match": {"or": []}, "prices": {}}"#, "goes by no name"),
        (r#"{"id": "m", "prices": [{"constraint": {"start_date": "soon"}, "prices": {}}]}"#, "is no day"),
        (r#"{"id": "m", "prices": [{}]}"#, "one of its `prices` has none"),
    ] {
        refuses(&read(&of(model)), "x/m", reason);
    }
}

#[test]
fn a_file_that_is_no_list_is_said_to_be_none() {
    for text in ["", "{", "nonsense"] {
        assert!(matches!(read_feed(text, None), Err(FeedError::NotJson(_))), "{text}");
    }
    for text in ["{}", "5", "\"text\"", "null", "{\"a\": 1}"] {
        assert_eq!(read_feed(text, None).map(|_| ()), Err(FeedError::Unknown), "{text}");
    }
    assert!(read_feed("[]", None).is_ok_and(|feed| feed.offers.is_empty()));
    assert_eq!(read_feed("[]", Some(FeedFormat::LiteLlm)).map(|_| ()), Err(FeedError::Unknown));
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(read_feed(&deep, None).is_ok_and(|feed| feed.offers.is_empty()) || read_feed(&deep, None).is_err());
}

/// JSON of the keys that lists have, with values of every kind.
fn json_like() -> impl Strategy<Value = String> {
    let keys = prop::sample::select(vec![
        "input_cost_per_token",
        "output_cost_per_token",
        "input_cost_per_token_above_200k_tokens",
        "cache_read_input_token_cost_priority",
        "litellm_provider",
        "mode",
        "id",
        "models",
        "providers",
        "match",
        "or",
        "equals",
        "starts_with",
        "prices",
        "constraint",
        "start_date",
        "start_time",
        "end_time",
        "input_mtok",
        "output_mtok",
        "base",
        "tiers",
        "start",
        "price",
        "gpt-4o",
    ]);
    let leaf = prop_oneof![
        "-?[0-9]{1,4}(\\.[0-9]{1,8})?([eE][-+]?[0-9]{1,4})?"
            .prop_filter("JSON", |text| serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()),
        prop::sample::select(vec![
            "null",
            "true",
            "\"openai\"",
            "\"2027-01-01\"",
            "\"16:30:00Z\"",
            "\"chat\"",
            "0",
            "1e-06",
            "\"\\u0000 x\""
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((keys.clone(), inner), 0..6).prop_map(|entries| {
                let entries: Vec<String> =
                    entries.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_list_breaks_the_reader_and_what_it_offers_makes_a_book(text in prop_oneof![json_like(), "\\PC{0,60}"], format in prop::sample::select(vec![None, Some(FeedFormat::LiteLlm), Some(FeedFormat::GenaiPrices)])) {
        if let Ok(feed) = read_feed(&text, format) {
            prop_assert!(feed.offers.iter().all(|offer| !offer.rows.is_empty()));
            let rows = feed.offers.into_iter().flat_map(|offer| offer.rows).collect();
            prop_assert!(crate::usage::prices::PriceBook::bundled().with_taken(rows).is_ok());
        }
    }

    #[test]
    fn a_price_per_token_is_the_same_price_per_million(micros in 0u64..1_000_000_000_000) {
        let dollars = Price::from_micro_usd(micros).expect("below the maximum");
        let per_token = format!("{micros}e-12");
        let litellm = format!(r#"{{"m": {{"litellm_provider": "x", "input_cost_per_token": {per_token}, "output_cost_per_token": {per_token}}}}}"#);
        let genai = format!(r#"[{{"id": "x", "models": [{{"id": "m", "prices": {{"input_mtok": {dollars}, "output_mtok": {dollars}}}}}]}}]"#);
        for text in [litellm, genai] {
            let feed = read(&text);
            prop_assert_eq!((feed.offers[0].rows[0].input, feed.offers[0].rows[0].output), (dollars, Some(dollars)));
        }
    }
}
