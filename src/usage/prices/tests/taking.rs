//! Lists of others beside our prices: what changes, what is to be looked at, what is taken, and what never moves.

use super::*;

const LITELLM: &str = include_str!("../../../../tests/it/fixtures/prices/litellm.json");
const GENAI: &str = include_str!("../../../../tests/it/fixtures/prices/genai.json");

fn changes(text: &str, book: &PriceBook) -> Vec<Change> {
    let feed = read_feed(text, None).expect("a list");
    let comparison = Comparison::new(book, at(NOW));
    feed.offers.into_iter().map(|offer| comparison.of(offer)).collect()
}

fn change(text: &str, vendor: &str, model: &str) -> Change {
    let found = changes(text, &PriceBook::bundled())
        .into_iter()
        .find(|change| (change.vendor.as_str(), change.model.as_str()) == (vendor, model));
    found.expect(model)
}

fn litellm(model: &str, prices: &str) -> String {
    format!("{{\"{model}\": {{\"litellm_provider\": \"openai\", \"mode\": \"chat\", {prices}}}}}")
}

fn import(at_time: &str, taken: usize) -> PriceImport {
    let text = |text: &str| text.to_owned();
    PriceImport { at: at(at_time), format: text("litellm"), file: text("list.json"), sha256: text("00"), taken }
}

fn taken(text: &str, at_time: &str, before: TakenPrices) -> TakenPrices {
    let book = PriceBook::bundled().with_taken(before.rows.clone()).expect("no mistakes");
    let feed = read_feed(text, None).expect("a list");
    let comparison = Comparison::new(&book, at(at_time));
    let changes: Vec<Change> = feed.offers.into_iter().map(|offer| comparison.of(offer)).collect();
    let changes: Vec<&Change> = changes.iter().filter(|change| change.kind != ChangeKind::Same).collect();
    before.with(&changes, import(at_time, changes.len())).expect("they go together")
}

fn book(taken: &TakenPrices) -> PriceBook {
    PriceBook::bundled().with_taken(taken.rows.clone()).expect("no mistakes")
}

#[test]
fn the_same_is_the_same_and_a_change_says_from_what_to_what() {
    assert_eq!(change(LITELLM, "openai", "gpt-4o").kind, ChangeKind::Same);
    let cheaper = change(LITELLM, "openai", "gpt-5.4");
    assert_eq!((cheaper.kind, cheaper.prices.len()), (ChangeKind::Changed, 6), "both sizes");
    let input = &cheaper.prices[0];
    assert_eq!(
        (input.what.as_str(), input.old, input.new, input.permille),
        ("input", Some(dollars("2.5")), Some(dollars("2")), Some(-200))
    );
    assert!(cheaper.prices.iter().any(|price| price.what == "cache_read above 272000"));
    assert_eq!(cheaper.look_at, [""; 0]);
    let announced = change(GENAI, "example", "example-large");
    assert_eq!(announced.kind, ChangeKind::New);
    assert!(
        announced.prices.iter().any(|price| price.what == "output from 2027-01-01" && price.new == Some(dollars("15")))
    );
}

#[track_caller]
fn looks(change: &Change, reason: &str) {
    assert!(change.look_at.iter().any(|look| look.contains(reason)), "{reason}: {:?}", change.look_at);
}

#[test]
fn what_looks_wrong_is_to_be_looked_at() {
    for (model, reason) in [
        ("example-cents", "cents, or a price per thousand"),
        ("example-thin", "a price per token taken for one per million"),
        ("example-upside-down", "output is cheaper than input"),
        ("example-upside-down", "reading from the cache is dearer"),
        ("example-gift", "it costs nothing"),
    ] {
        looks(&change(LITELLM, "example", model), reason);
    }
    looks(
        &change(LITELLM, "openai", "gpt-5.2"),
        "dearer than our price, which was checked on 2026-08-21; the list does not say",
    );
    looks(&change(LITELLM, "openai", "gpt-4o-mini"), "ours has a price fast that would no longer count");
    looks(&change(GENAI, "anthropic", "claude-sonnet-5"), "checked on 2026-10-24; the list speaks of 2026-09-01");
    looks(&change(GENAI, "openai", "gpt-4o"), "`gpt-4o-2024-*` also catches `gpt-4o-2024-05-13`");
    assert_eq!(change(GENAI, "openai", "gpt-5.4-mini").look_at, [""; 0], "checked later than ours");
    let of = |model: &str, prices: &str| change(&litellm(model, prices), "openai", model);
    let half = r#""input_cost_per_token": 1.75e-05, "cache_read_input_token_cost": 1.75e-06, "output_cost_per_token": 1.4e-04"#;
    looks(&of("gpt-5.2", half), "input goes from $1.75 to $17.50");
    let no_size =
        r#""input_cost_per_token": 2e-06, "cache_read_input_token_cost": 2e-07, "output_cost_per_token": 1e-05"#;
    looks(&of("gpt-5.4", no_size), "ours has a price above 272000 that would no longer count");
    let no_cache = r#""input_cost_per_token": 1.5e-06, "output_cost_per_token": 1e-05"#;
    looks(&of("gpt-5.2", no_cache), "ours has a price for cache_read, the list has none");
    let google = r#"[{"id": "google", "models": [{"id": "gemini-4-argon", "prices": {"input_mtok": 1, "cache_read_mtok": 0.1, "output_mtok": 8}}]}]"#;
    looks(&change(google, "google", "gemini-4-argon"), "ours changes from 2026-12-01, and the list does not know it");
}

#[test]
fn a_change_counts_from_its_day_on_and_wins_over_bundled_rows_alone() {
    let list = litellm(
        "gpt-5.2",
        r#""input_cost_per_token": 1e-06, "cache_read_input_token_cost": 1e-07, "output_cost_per_token": 8e-06"#,
    );
    let taken = taken(&list, NOW, TakenPrices::default());
    let book = book(&taken);
    let cost = |book: &PriceBook, at: &str| Call::of("gpt-5.2", 1000, 1000).at(at).in_book(book).map(|found| found.0);
    assert_eq!(cost(&book, NOW).as_deref(), Some("0.009"));
    assert_eq!(cost(&book, "2026-11-21T23:59:59Z").as_deref(), Some("0.01575"), "yesterday cost what it cost");
    let (_, id) = Call::of("gpt-5.2-2026-01-01", 1000, 1000).in_book(&book).expect("priced");
    assert!(id.starts_with("taken/openai/gpt-5.2#"), "{id}");
    let own = book.with_overrides(vec![PriceRow::new("gpt-5.2", dollars("9"), None)]).expect("no mistakes");
    assert_eq!(
        Call::of("gpt-5.2", 1000, 0).in_book(&own).map(|found| found.0).as_deref(),
        Some("0.009"),
        "the owner's wins"
    );
}

#[test]
fn a_later_import_ends_an_earlier_one_and_leaves_what_it_does_not_name() {
    let list = |input: &str| {
        litellm("gpt-5.2", &format!("\"input_cost_per_token\": {input}, \"output_cost_per_token\": 8e-06"))
    };
    let other = litellm("gpt-9", r#""input_cost_per_token": 3e-06, "output_cost_per_token": 8e-06"#);
    let first = taken(&list("1e-06"), NOW, taken(&other, NOW, TakenPrices::default()));
    let again = taken(&list("1.5e-06"), NOW, first.clone());
    assert_eq!(again.rows.len(), 2, "what was taken the same day never counted");
    let later = taken(&list("2e-06"), "2026-12-24T12:00:00Z", again);
    let cost = |model: &str, at: &str| Call::of(model, 1000, 0).at(at).in_book(&book(&later)).map(|found| found.0);
    assert_eq!(cost("gpt-5.2", "2026-12-23T12:00:00Z").as_deref(), Some("0.0015"));
    assert_eq!(cost("gpt-5.2", "2026-12-24T00:00:00Z").as_deref(), Some("0.002"));
    assert_eq!(cost("gpt-9", "2026-12-24T00:00:00Z").as_deref(), Some("0.003"));
    assert_eq!((later.imports.len(), later.imports[3].taken), (4, 1));
}

#[test]
fn a_list_takes_no_model_from_whom_it_belongs_to() {
    let taken = taken(LITELLM, NOW, TakenPrices::default());
    let book = book(&taken);
    let of = |call: Call<'_>| call.in_book(&book).map(|found| found.0);
    assert_eq!(of(Call::of("gpt-4o", 1000, 0)).as_deref(), Some("0.0025"), "another vendor's price confuses nobody");
    assert_eq!(of(Call::of("gpt-4o", 1000, 0).vendor("azure")).as_deref(), Some("0.00275"));
    let feed = read_feed(GENAI, None).expect("a list");
    let offer = feed.offers.into_iter().find(|offer| offer.rows[0].model == "gpt-4o").expect("it is there");
    let book = PriceBook::bundled().with_taken(offer.rows).expect("no mistakes");
    let id = |model: &str| Call::of(model, 1, 1).in_book(&book).map(|found| found.1).unwrap_or_default();
    assert!(id("gpt-4o-2024-05-13").starts_with("openai/gpt-4o-2024-05-13@"), "a beginning takes no row from anybody");
    assert!(id("gpt-4o-mini-2024-07-18").starts_with("openai/gpt-4o-mini@"));
    assert!(id("gpt-4o-2024-08-06").starts_with("taken/openai/gpt-4o#"), "nor does a date");
    assert!(id("gpt-4o-2024-99").starts_with("taken/openai/gpt-4o#"), "where nobody knows the name it counts");
}

#[test]
fn what_is_taken_is_kept_and_read_back_whole() {
    let taken = taken(GENAI, NOW, TakenPrices::default());
    assert!(taken.rows.iter().any(|row| row.peak.is_some()) && taken.rows.iter().any(|row| row.from.is_some()));
    assert_eq!(TakenPrices::read(&taken.to_json()), Ok(taken.clone()));
    let text = String::from_utf8(taken.to_json()).expect("JSON is UTF-8");
    for (from, to, problem) in [
        ("\"v\": 1", "\"v\": 2", "its version is 2"),
        ("\"input\": \"2.00\"", "\"input\": 2.0", "in quotes"),
        ("\"vendor\"", "\"seller\"", "unknown field `seller`"),
        ("\"rows\"", "\"rows\": [], \"more\"", "unknown field"),
        ("\"from\": \"2027-01-01T00:00:00.000000+00:00\"", "\"until\": \"1970-01-01\"", "price rows"),
    ] {
        let damaged = text.replacen(from, to, 1);
        assert_ne!(damaged, text, "{from}");
        let error = TakenPrices::read(damaged.as_bytes()).expect_err(problem);
        assert!(error.1.contains(problem), "{error:?}");
    }
}

proptest! {
    #[test]
    fn taking_any_list_changes_no_price_of_the_past(prices in prop::collection::vec((0u8..4, 1u64..200_000, 1u64..200_000), 1..6), back in 1i64..300) {
        let models = ["gpt-4o", "gpt-5.4", "o3", "claude-opus-5"];
        let before = Timestamp::new(at("2026-11-22T00:00:00Z").unix_micros() - back * 3_600_000_000, 0);
        let mut taken = TakenPrices::default();
        for (which, input, output) in prices {
            let model = models[usize::from(which)];
            let vendor = if which == 3 { "anthropic" } else { "openai" };
            let list = format!("{{\"{model}\": {{\"litellm_provider\": \"{vendor}\", \"input_cost_per_token\": {input}e-09, \"output_cost_per_token\": {output}e-09}}}}");
            taken = super::taking::taken(&list, NOW, taken);
        }
        let (old, new) = (PriceBook::bundled(), book(&taken));
        for model in models {
            let tokens = plain(1000, 500);
            let query = PriceQuery { vendor: None, model, service_tier: None, at: before, local: false, tokens: &tokens };
            prop_assert_eq!(old.price(&query), new.price(&query));
        }
    }
}
