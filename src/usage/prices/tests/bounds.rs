//! What a call would cost at most: never less than what it then costs.

use proptest::prelude::*;

use super::*;

fn bound_in(book: &PriceBook, model: &str, at_time: &str, prompt: u64, completion: u64) -> String {
    let tokens = plain(prompt, completion);
    let query = PriceQuery { vendor: None, model, service_tier: None, at: at(at_time), local: false, tokens: &tokens };
    book.upper_bound(&query).to_string()
}

fn bound(model: &str, prompt: u64, completion: u64) -> String {
    bound_in(&PriceBook::bundled(), model, NOW, prompt, completion)
}

#[test]
fn the_dearest_input_the_size_and_the_dearer_hours_count() {
    assert_eq!(bound("gpt-4o", 1000, 500), "0.0075", "no cache discount, and writes are input");
    assert_eq!(bound("gpt-6-luna", MILLION / 10, 0), "0.0125", "a cache write is dearer than fresh input");
    assert_eq!(bound("claude-opus-5", MILLION / 10, 0), "1", "a write of an hour is dearer still");
    assert_eq!(bound("gpt-5.4", 272_000, 1), "0.680015");
    assert_eq!(bound("gpt-5.4", 272_001, 1), "1.3600275", "the cliff reprices the whole call");
    assert_eq!(
        bound_in(&PriceBook::bundled(), "deepseek-flash", "2026-11-23T12:00:00Z", MILLION, 0),
        "0.3",
        "off peak"
    );
    assert_eq!(
        bound_in(&PriceBook::bundled(), "deepseek-flash", "2026-11-28T02:00:00Z", MILLION, 0),
        "0.3",
        "Saturday"
    );
    assert_eq!(bound("text-embedding-3-small", 1000, 1024), "0.00002", "it gives no output");
}

#[test]
fn an_unknown_model_counts_by_the_owners_figure_and_a_local_one_is_free() {
    assert_eq!(bound("gpt-7", 1000, 500), "0.025");
    assert_eq!(bound("llama-3.3-70b-versatile", 1000, 500), "0.025", "several may bill it, so it is not known");
    let cheap = UnknownPrice { input: dollars("1"), output: dollars("2") };
    let book = PriceBook::bundled().with_unknown(cheap);
    assert_eq!(bound_in(&book, "gpt-7", NOW, 1000, 500), "0.002");
    let book = book.with_overrides(vec![PriceRow::new("gpt-7", dollars("3"), None)]).expect("no mistakes");
    assert_eq!(bound_in(&book, "gpt-7", NOW, 1000, 500), "0.003");
    assert_eq!(bound_in(&book, "gpt-8", NOW, 1000, 500), "0.002", "an owner's rows leave the figure");
    let tokens = plain(1000, 500);
    let local =
        PriceQuery { vendor: None, model: "gpt-7", service_tier: None, at: at(NOW), local: true, tokens: &tokens };
    assert_eq!(book.upper_bound(&local), Money::ZERO);
}

#[test]
fn a_tier_that_is_asked_for_counts_if_it_is_dearer() {
    let book = PriceBook::bundled();
    let bound = |vendor, model, service_tier| {
        let tokens = plain(1000, 500);
        let query =
            PriceQuery { vendor: Some(vendor), model, service_tier, at: at(NOW), local: false, tokens: &tokens };
        book.upper_bound(&query).to_string()
    };
    assert_eq!(bound("openai", "gpt-4o", None), "0.0075");
    assert_eq!(bound("openai", "gpt-4o", Some("priority")), "0.01275", "by its row");
    assert_eq!(bound("openai", "gpt-5.4-mini", Some("priority")), "0.006", "by a multiple");
    for service_tier in ["auto", "default", "flex", "scale", "tomorrow's"] {
        assert_eq!(bound("openai", "gpt-4o", Some(service_tier)), "0.0075", "{service_tier}");
    }
    assert_eq!(bound("anthropic", "claude-opus-5-5", Some("fast")), "0.036", "a write of an hour, and 500 out");
}

fn tier() -> impl Strategy<Value = Option<Tier>> {
    use Tier::*;
    proptest::sample::select(vec![None, Some(Standard), Some(Batch), Some(Flex), Some(Fast), Some(Ultrafast)])
}

proptest! {
    #[test]
    fn no_call_of_a_known_model_costs_more(row in 0usize..PriceBook::bundled().entries().count(), counts in counts(), hour in 0i64..24 * 400, tier in tier()) {
        let book = PriceBook::bundled();
        let row = book.entries().nth(row).expect("in range").row;
        let at = Timestamp::new(at("2026-01-01T00:30:00Z").unix_micros() + hour * 3_600_000_000, 0);
        let vendor = row.vendor.as_deref();
        let service_tier = tier.map(Tier::as_str);
        let query = PriceQuery { vendor, model: &row.model, service_tier, at, local: false, tokens: &counts };
        if let Some(priced) = book.price(&query) {
            prop_assert!(priced.cost <= book.upper_bound(&query), "{} at {at}", row.model);
        }
    }
}
