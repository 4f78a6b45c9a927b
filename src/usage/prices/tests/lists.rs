//! The lists themselves: the documents' figures, an owner's rows, and that the bundled list is sound.

use std::collections::HashSet;

use super::*;

#[test]
fn the_documents_figures_stand_beside_the_true_ones() {
    let check = |set, model, tokens, cost: &str, id: &str| {
        let found = Call::of(model, 0, 0).tokens(tokens).in_book(&PriceBook::document(set));
        assert_eq!(found, Some((cost.to_owned(), id.to_owned())), "{model}");
    };
    let both = plain(MILLION, MILLION);
    for (model, cost) in [
        ("gpt-4", "90"),
        ("gpt-4-turbo", "40"),
        ("gpt-4o", "20"),
        ("gpt-4o-mini", "0.75"),
        ("gpt-5-nano", "0.5"),
        ("o1", "75"),
        ("o1-mini", "15"),
    ] {
        check(DocumentSet::TokenTracker, model, both, cost, &format!("token-tracker/{model}"));
    }
    for (model, cost) in
        [("claude-3-haiku-20240307", "1.5"), ("claude-3-5-sonnet-20241022", "18"), ("claude-opus-4-20250514", "90")]
    {
        check(DocumentSet::ConsumptionTracking, model, both, cost, &format!("consumption-tracking/{model}"));
    }
    check(
        DocumentSet::ConsumptionTracking,
        "claude-3-haiku-20240307",
        plain(1000, 500),
        "0.000875",
        "consumption-tracking/claude-3-haiku-20240307",
    );
    check(DocumentSet::TokenTracker, "gpt-4o", plain(1000, 500), "0.0125", "token-tracker/gpt-4o");
    check(DocumentSet::TokenTracker, "gpt-5-nano", plain(5000, 3000), "0.0017", "token-tracker/gpt-5-nano");
    check(DocumentSet::Raymundo, "whatever", plain(100_000, 28_450), "5.78025", "raymundo/any");
    check(DocumentSet::RaymundoGitHub, "gpt-4o", plain(1000, 1000), "0.09", "raymundo-github/gpt-4o");
    assert_eq!(Call::of("gpt-7", 1, 1).in_book(&PriceBook::document(DocumentSet::TokenTracker)), None);
}

#[test]
fn an_owners_rows_win() {
    #[derive(serde::Deserialize)]
    struct Config {
        prices: Vec<PriceRow>,
    }
    let config: Config = toml::from_str(
        r#"
        [[prices]]
        model = "gpt-4o"
        input = "2.00"
        output = "8"
        [[prices]]
        vendor = "gemini"
        model = "gemini-2.5-*"
        from = "2026-12-01"
        input = 1
        output = 1
        "#,
    )
    .expect("an owner's prices");
    let book = PriceBook::bundled().with_overrides(config.prices).expect("no mistakes");
    let cost = |call: Call<'_>| call.in_book(&book).map(|found| found.0);
    assert_eq!(cost(Call::of("gpt-4o", MILLION, MILLION)).as_deref(), Some("10"));
    assert_eq!(cost(Call::of("gpt-4o-2024-08-06", MILLION, 0).vendor("openai")).as_deref(), Some("2"));
    assert_eq!(cost(Call::of("gpt-4o", MILLION, 0).tier("scale")).as_deref(), Some("2"), "it prices every tier");
    assert_eq!(cost(Call::of("gpt-4o-2024-05-13", MILLION, 0)).as_deref(), Some("5"), "it has a row of its own");
    assert_eq!(cost(Call::of("gemini-2.5-pro", MILLION, 0)).as_deref(), Some("2.5"), "not yet");
    assert_eq!(cost(Call::of("gemini-2.5-pro", MILLION, 0).at("2026-12-02T00:00:00Z")).as_deref(), Some("1"));
    let id = Call::of("gpt-4o", 1, 1).in_book(&book).map(|found| found.1).unwrap_or_default();
    assert!(id.starts_with("own/gpt-4o#"), "{id}");
    let dearer = vec![PriceRow::new("gpt-4o", dollars("3"), Some(dollars("8")))];
    let dearer = book.with_overrides(dearer).expect("no mistakes");
    assert_ne!(Call::of("gpt-4o", 1, 1).in_book(&dearer).map(|found| found.1), Some(id), "another price, another id");
    assert_eq!(dearer.entries().filter(|entry| entry.origin == Origin::Owner).count(), 1, "later rows replace earlier");
}

#[test]
fn every_mistake_in_an_owners_rows_is_named() {
    let never = PriceRow {
        from: Some(at("2026-12-02T00:00:00Z")),
        until: Some(at("2026-12-01T00:00:00Z")),
        ..PriceRow::new("a", dollars("1"), None)
    };
    let rows = vec![
        PriceRow::new("gpt-*-mini", dollars("1"), None),
        never,
        PriceRow::new("twice", dollars("1"), None),
        PriceRow { also: vec!["twice".to_owned()], ..PriceRow::new("other", dollars("2"), None) },
    ];
    let mistakes = PriceBook::bundled().with_overrides(rows).expect_err("three mistakes");
    let texts: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "price row 1: `gpt-*-mini` is not a model name; expected for example `gpt-4o`, or `gpt-4o*` for all that begin so",
            "price row 2: `until` is not after `from`",
            "price rows 3 and 4 both price `twice` at the same time; expected `until` on the earlier one",
        ]
    );
}

#[test]
fn the_bundled_list_is_sound() {
    let book = PriceBook::bundled();
    let mut ids = HashSet::new();
    for PriceEntry { price_id, row, .. } in book.entries() {
        assert!(price_id.len() <= MAX_PRICE_ID_BYTES - 10 && !price_id.contains('~'), "{price_id}");
        assert!(ids.insert(price_id), "{price_id} twice");
        assert!(row.vendor.is_some() && row.source.is_some() && row.checked.is_some(), "{price_id}");
        let prices = [Some(row.input), row.cache_read, row.cache_write, row.cache_write_1h, row.output];
        for rule in book.multiples().iter().filter(|rule| row.vendor.as_ref() == Some(&rule.vendor)) {
            let whole = |price: Price| price.scaled(rule.times_micros).is_some();
            assert!(prices.into_iter().flatten().all(whole), "{price_id} times {rule:?}");
        }
        assert!(row.cache_read.is_none_or(|read| read < row.input), "{price_id}");
        assert!(row.cache_write.is_none_or(|write| write > row.input), "{price_id}");
        assert!(row.cache_write_1h >= row.cache_write || row.cache_write_1h.is_none(), "{price_id}");
        if row.tier != Some(Tier::Standard) {
            let long = |other: PriceEntry<'_>| other.row.model == row.model && other.row.above.is_some();
            assert!(!book.entries().any(long), "{price_id}: a tier's rows need every threshold of the standard ones");
        }
    }
    assert!(ids.len() > 110, "{}", ids.len());
    for set in DocumentSet::ALL {
        assert!(PriceBook::document(set).entries().all(|entry| entry.origin == Origin::Document(set)));
    }
}

#[test]
fn it_knows_its_own_names_hosts_and_nothing_made_up() {
    let book = PriceBook::bundled();
    assert!(book.knows("gpt-4o") && book.knows("gpt-5.6") && book.knows("openai/gpt-oss-120b"));
    assert!(!book.knows("gpt-4o-1234-56-78") && !book.knows("deepseek-v4-flash-anything") && !book.knows("llama3.2"));
    assert_eq!(book.vendor_of_host("API.openai.com."), Some("openai"));
    assert_eq!(book.vendor_of_host("127.0.0.1"), None);
    assert!(!PriceBook::document(DocumentSet::Raymundo).knows("anything"));
}

#[test]
fn a_price_id_is_never_too_long() {
    let long = PriceRow {
        vendor: Some("ñ".repeat(90)),
        above: Some(1_000_000),
        ..PriceRow::new("m".repeat(300), dollars("1"), None)
    };
    let other = PriceRow { model: "m".repeat(301), ..long.clone() };
    let book = PriceBook::bundled().with_overrides(vec![long, other]).expect("long is no mistake");
    let ids: HashSet<&str> =
        book.entries().filter(|entry| entry.origin == Origin::Owner).map(|entry| entry.price_id).collect();
    assert_eq!(ids.len(), 2, "still told apart");
    assert!(ids.iter().all(|id| id.len() <= MAX_PRICE_ID_BYTES), "{ids:?}");
}
