//! The laws of the price book: worked costs to the last pico-dollar, dated changes, tiers, edges, and what is unknown.

mod bounds;
mod lists;
mod taking;

use proptest::prelude::*;

use super::*;
use crate::usage::{Money, Timestamp, TokenCounts};

const NOW: &str = "2026-11-22T12:00:00Z";

fn dollars(text: &str) -> Price {
    text.parse().expect("a price in a test")
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time in a test")
}

fn plain(prompt: u64, completion: u64) -> TokenCounts {
    TokenCounts { prompt, completion, ..TokenCounts::default() }
}

/// A call to price, in short.
struct Call<'a> {
    vendor: Option<&'a str>,
    model: &'a str,
    tier: Option<&'a str>,
    at: &'a str,
    tokens: TokenCounts,
}

impl<'a> Call<'a> {
    fn of(model: &'a str, prompt: u64, completion: u64) -> Call<'a> {
        Call { vendor: None, model, tier: None, at: NOW, tokens: plain(prompt, completion) }
    }

    fn vendor(self, vendor: &'a str) -> Self {
        Call { vendor: Some(vendor), ..self }
    }

    fn tier(self, tier: &'a str) -> Self {
        Call { tier: Some(tier), ..self }
    }

    fn at(self, at: &'a str) -> Self {
        Call { at, ..self }
    }

    fn tokens(self, tokens: TokenCounts) -> Self {
        Call { tokens, ..self }
    }

    fn in_book(&self, book: &PriceBook) -> Option<(String, String)> {
        let Call { vendor, model, tier, tokens, .. } = self;
        let query = PriceQuery { vendor: *vendor, model, service_tier: *tier, at: at(self.at), local: false, tokens };
        book.price(&query).map(|priced| (priced.cost.to_string(), priced.price_id.to_string()))
    }

    #[track_caller]
    fn costs(self, cost: &str, price_id: &str) {
        let found = self.in_book(&PriceBook::bundled());
        let found = found.as_ref().map(|(cost, id)| (cost.as_str(), id.as_str()));
        assert_eq!(found, Some((cost, price_id)), "{} at {}", self.model, self.at);
    }

    #[track_caller]
    fn has_no_price(self) {
        assert_eq!(self.in_book(&PriceBook::bundled()), None, "{} at {}", self.model, self.at);
    }
}

const MILLION: u64 = 1_000_000;

#[test]
fn the_worked_costs_are_right_to_the_last_pico_dollar() {
    Call::of("gpt-4o", 1000, 500).costs("0.0075", "openai/gpt-4o@2026-08-21");
    Call::of("claude-3-haiku-20240307", 1000, 500).costs("0.000875", "anthropic/claude-3-haiku@2026-08-21");
    Call::of("gpt-5.6-luna", 18_014, 10)
        .tokens(TokenCounts { cache_write: 18_011, ..plain(18_014, 10) })
        .costs("0.00451535", "openai/gpt-5.6-luna@2026-07-30");
    Call::of("claude-haiku-5-5", 0, 0)
        .tokens(TokenCounts { cache_write: 4401, ..plain(24 + 4401, 2501) })
        .costs("0.001803025", "anthropic/claude-haiku-5-5@2026-10-24");
    Call::of("claude-haiku-5-5", 0, 0)
        .tokens(TokenCounts { cached: 100_000, ..plain(100_001, 10) })
        .costs("0.0050255", "anthropic/claude-haiku-5-5@2026-10-24>100k");
    Call::of("gemini-2.5-flash", 0, 0)
        .tokens(TokenCounts { reasoning: 405, ..plain(20, 198 + 405) })
        .costs("0.0015135", "google/gemini-2.5-flash@2026-10-07");
    Call::of("gpt-6.2-sol", 272_000, 0).costs("0.544", "openai/gpt-6.2-sol@2026-11-18");
    Call::of("gpt-6.2-sol", 272_001, 0).costs("1.088004", "openai/gpt-6.2-sol@2026-11-18>272k");
    Call::of("deepseek-flash", MILLION, 0)
        .at("2026-11-23T03:59:00Z")
        .costs("0.3", "deepseek/deepseek-flash@2026-10-01:peak");
    Call::of("deepseek-flash", MILLION, 0)
        .at("2026-11-23T04:00:00Z")
        .costs("0.15", "deepseek/deepseek-flash@2026-10-01");
    Call::of("gpt-6-luna", 1000, 500).costs("0.00035", "openai/gpt-6-luna@2026-09-22");
    Call::of("gpt-4o-mini", 1000, 500).costs("0.00045", "openai/gpt-4o-mini@2026-08-21");
}

#[test]
fn each_dated_change_falls_on_its_day() {
    #[track_caller]
    fn million(model: &str, at: &str, tokens: TokenCounts, cost: &str, id: &str) {
        Call::of(model, 0, 0).tokens(tokens).at(at).costs(cost, id);
    }
    let read = TokenCounts { cached: MILLION, ..plain(MILLION, 0) };
    let sol = |at, cost, id| Call::of("gpt-5.6", 1000, 1000).at(at).costs(cost, id);
    sol("2026-08-20T23:59:59Z", "0.035", "openai/gpt-5.6-sol@..2026-08-21");
    sol("2026-08-21T00:00:00Z", "0.024", "openai/gpt-5.6-sol@2026-08-21");
    sol("2026-11-21T23:59:59Z", "0.024", "openai/gpt-5.6-sol@2026-08-21");
    sol("2026-11-22T00:00:00Z", "0.024", "openai/gpt-5.6-sol@2026-11-22");
    let argon = |at, cost, id| million("gemini-4-argon", at, plain(MILLION, 0), cost, id);
    argon("2026-11-30T23:59:59.999999Z", "2", "google/gemini-4-argon@..2026-12-01");
    argon("2026-12-01T00:00:00Z", "4", "google/gemini-4-argon@2026-12-01");
    argon("2026-12-01T00:00:00+02:00", "2", "google/gemini-4-argon@..2026-12-01");
    for model in ["gemini-3.8-flash", "gemini-3.7-flash", "gemini-3.6-flash"] {
        let (before, after) = (format!("google/{model}@..2027-01-01"), format!("google/{model}@2027-01-01"));
        million(model, "2026-12-31T23:59:59Z", plain(MILLION, MILLION), "4.5", &before);
        million(model, "2027-01-01T00:00:00Z", plain(MILLION, MILLION), "9", &after);
    }
    million("claude-sonnet-5-5", "2026-10-06T23:59:59Z", read, "0.2", "anthropic/claude-sonnet-5-5@..2026-10-07");
    million("claude-sonnet-5-5", "2026-10-07T00:00:00Z", read, "0.1", "anthropic/claude-sonnet-5-5@2026-10-07");
    million("o3", "2025-06-09T12:00:00Z", plain(MILLION, 0), "10", "openai/o3@..2025-06-10");
    million("o3", "2025-06-10T00:00:00Z", plain(MILLION, 0), "2", "openai/o3@2025-06-10");
    let opus = |at, cost, id| Call::of("claude-opus-4-6", 200_001, 0).at(at).costs(cost, id);
    opus("2026-03-12T12:00:00Z", "2.00001", "anthropic/claude-opus-4-6@..2026-03-13>200k");
    opus("2026-03-13T12:00:00Z", "1.000005", "anthropic/claude-opus-4-6@2026-10-24");
    Call::of("mistral-medium-latest", 1, 0).at("2026-05-15T00:00:00Z").has_no_price();
}

#[test]
fn the_threshold_itself_is_still_the_low_tier_and_counts_all_input() {
    let haiku = |tokens, cost, id| Call::of("claude-haiku-5-5", 0, 0).tokens(tokens).costs(cost, id);
    haiku(plain(100_000, 0), "0.01", "anthropic/claude-haiku-5-5@2026-10-24");
    haiku(plain(100_001, 0), "0.0500005", "anthropic/claude-haiku-5-5@2026-10-24>100k");
    let mixed = TokenCounts { cached: 50_000, cache_write: 30_000, cache_write_1h: 20_000, ..plain(100_001, 0) };
    haiku(mixed, "0.0412505", "anthropic/claude-haiku-5-5@2026-10-24>100k");
    Call::of("gpt-5.4", 272_000, 0).costs("0.68", "openai/gpt-5.4@2026-08-21");
    Call::of("gpt-5.4", 272_001, 0).costs("1.360005", "openai/gpt-5.4@2026-08-21>272k");
}

#[test]
fn tiers_follow_their_rows_then_their_vendors_multiples_and_are_else_unknown() {
    let astra = |tier| Call::of("gpt-6-astra", 1000, 1000).tier(tier);
    for standard in ["standard", "default", "auto", "", "Default"] {
        astra(standard).costs("0.06", "openai/gpt-6-astra@2026-09-08");
    }
    astra("batch").costs("0.03", "openai/gpt-6-astra@2026-09-08:batch");
    astra("flex").costs("0.03", "openai/gpt-6-astra@2026-09-08:flex");
    astra("priority").costs("0.12", "openai/gpt-6-astra@2026-09-08:fast");
    astra("fast").costs("0.12", "openai/gpt-6-astra@2026-09-08:fast");
    astra("ultrafast").has_no_price();
    astra("scale").has_no_price();
    Call::of("gpt-6.2-sol", 300_000, 0).tier("flex").costs("0.6", "openai/gpt-6.2-sol@2026-11-18>272k:flex");
    let ultrafast = |at, cost| {
        Call::of("gpt-6.2-sol", 1000, 0)
            .tier("ultrafast")
            .at(at)
            .costs(cost, "openai/gpt-6.2-sol@2026-11-18:ultrafast");
    };
    ultrafast("2027-02-28T23:59:59Z", "0.006");
    ultrafast("2027-03-01T00:00:00Z", "0.012");
    Call::of("gpt-4o", 1000, 500).tier("priority").costs("0.01275", "openai/gpt-4o@2026-08-21:fast");
    Call::of("claude-opus-5-5", 1000, 1000).tier("fast").costs("0.048", "anthropic/claude-opus-5-5@2026-10-24:fast");
    Call::of("claude-opus-5-5", 1000, 1000).tier("batch").costs("0.012", "anthropic/claude-opus-5-5@2026-10-24:batch");
    Call::of("claude-opus-5-5", 1000, 1000).tier("priority").has_no_price();
    Call::of("gemini-2.5-flash", 1000, 0).tier("batch").costs("0.00015", "google/gemini-2.5-flash@2026-10-07:batch");
    Call::of("gemini-2.5-flash", 1000, 0).tier("flex").costs("0.00015", "google/gemini-2.5-flash@2026-10-07:flex");
    Call::of("gemini-2.5-flash", 1000, 0).tier("priority").has_no_price();
    Call::of("deepseek-flash", 1000, 0).tier("batch").has_no_price();
}

#[test]
fn deepseek_peaks_on_working_days_only_and_the_end_of_a_span_is_not_part_of_it() {
    fn cost(at: &str, expected: &str, peak: bool) {
        let id = if peak { "deepseek/deepseek-flash@2026-10-01:peak" } else { "deepseek/deepseek-flash@2026-10-01" };
        Call::of("deepseek-v4-flash-0926", MILLION, 0).at(at).costs(expected, id);
    }
    for off_peak in ["00:59:59.999999", "04:00:00", "05:59:59", "10:00:00", "23:00:00"] {
        cost(&format!("2026-11-23T{off_peak}Z"), "0.15", false);
    }
    for peak in ["01:00:00", "03:59:59.999999", "06:00:00", "09:59:59"] {
        cost(&format!("2026-11-23T{peak}Z"), "0.3", true);
        cost(&format!("2026-11-27T{peak}Z"), "0.3", true);
        cost(&format!("2026-11-28T{peak}Z"), "0.15", false);
        cost(&format!("2026-11-29T{peak}Z"), "0.15", false);
        cost(&format!("2026-10-01T{peak}Z"), "0.15", false);
    }
    cost("2026-11-22T21:00:00-06:00", "0.3", true);
}

#[test]
fn slices_without_a_price_of_their_own_are_input_or_unknown() {
    let all_read = TokenCounts { cached: 1000, ..plain(1000, 0) };
    let all_written = TokenCounts { cache_write: 1000, ..plain(1000, 0) };
    let all_written_1h = TokenCounts { cache_write_1h: 1000, ..plain(1000, 0) };
    let cost = |model, tokens| Call::of(model, 0, 0).tokens(tokens).in_book(&PriceBook::bundled()).map(|found| found.0);
    assert_eq!(cost("gpt-4", all_read).as_deref(), Some("0.03"), "no read price: input");
    assert_eq!(cost("gpt-5.4", all_written).as_deref(), Some("0.0025"), "writes were free before GPT-5.6: input");
    assert_eq!(cost("gpt-5.4", all_written_1h).as_deref(), Some("0.0025"));
    assert_eq!(cost("gpt-6.2-sol", all_written_1h).as_deref(), Some("0.005"));
    assert_eq!(cost("gpt-6-sol", all_written_1h), None, "writes are priced, long ones not");
    assert_eq!(cost("text-embedding-3-small", plain(1000, 0)).as_deref(), Some("0.00002"));
    assert_eq!(cost("text-embedding-3-small", plain(1000, 1)), None, "an embedding has no output");
    let too_much = TokenCounts { cached: u64::MAX, cache_write: u64::MAX, ..plain(1000, 0) };
    assert_eq!(cost("gpt-4o", too_much).as_deref(), Some("0.00125"), "a slice is never more than its total");
}

#[test]
fn names_lead_to_their_rows() {
    let id = |call: Call<'_>| call.in_book(&PriceBook::bundled()).map(|found| found.1);
    let of = |model| id(Call::of(model, 1, 1));
    assert_eq!(of("gpt-4o-2024-08-06").as_deref(), Some("openai/gpt-4o@2026-08-21"));
    assert_eq!(of("gpt-4o-2024-05-13").as_deref(), Some("openai/gpt-4o-2024-05-13@2026-08-21"));
    assert_eq!(of("openai/gpt-4o-2024-05-13").as_deref(), Some("openai/gpt-4o-2024-05-13@2026-08-21"));
    assert_eq!(of("gpt-4o-mini-2024-07-18").as_deref(), Some("openai/gpt-4o-mini@2026-08-21"));
    assert_eq!(of("gpt-5.6").as_deref(), Some("openai/gpt-5.6-sol@2026-11-22"));
    assert_eq!(of("claude-opus-4-20250514").as_deref(), Some("anthropic/claude-opus-4@2026-08-21"));
    assert_eq!(of("claude-opus-4-1-20250805").as_deref(), Some("anthropic/claude-opus-4-1@2026-10-24"));
    assert_eq!(of("claude-3-5-sonnet-20241022").as_deref(), Some("anthropic/claude-3-5-sonnet@2026-08-21"));
    assert_eq!(of("models/gemini-2.5-pro").as_deref(), Some("google/gemini-2.5-pro@2026-10-07"));
    assert_eq!(of("gemini/gemini-2.5-pro").as_deref(), Some("google/gemini-2.5-pro@2026-10-07"));
    assert_eq!(
        id(Call::of("gemini-2.5-pro", 1, 1).vendor("gemini")).as_deref(),
        Some("google/gemini-2.5-pro@2026-10-07")
    );
    for stranger in ["", "/", "gpt-4o-audio-preview", "gpt-7", "gpt-4-32k", "ft:gpt-4o:acme", "me/gpt-4o", "llama3.2"] {
        assert_eq!(of(stranger), None, "{stranger}");
    }
}

#[test]
fn a_vendor_is_never_guessed() {
    Call::of("openai/gpt-oss-120b", MILLION, 0).vendor("groq").costs("0.15", "groq/gpt-oss-120b@2026-08-21");
    Call::of("openai/gpt-oss-120b", 1, 0).has_no_price();
    Call::of("llama-3.3-70b-versatile", 1, 0).has_no_price();
    Call::of("llama-3.3-70b-versatile", MILLION, 0)
        .vendor("groq")
        .costs("0.59", "groq/llama-3.3-70b-versatile@2026-08-21");
    Call::of("gpt-4o", 1, 0).vendor("groq").has_no_price();
    Call::of("gpt-4o", 1, 0).vendor("openrouter").has_no_price();
    Call::of("gpt-4o", 1, 0).vendor("ollama").has_no_price();
    Call::of("azure/gpt-4o", 1, 0).vendor("azure").has_no_price();
    Call::of("openai/gpt-4o", MILLION, 0)
        .vendor("github")
        .at("2026-07-01T00:00:00Z")
        .costs("0.25", "github/gpt-4o@..2026-07-30");
    Call::of("openai/gpt-4o", 1, 0).vendor("github").has_no_price();
    let row =
        |vendor: &str| PriceRow { vendor: Some(vendor.to_owned()), ..PriceRow::new("shared", dollars("1"), None) };
    let book = PriceBook::bundled().with_overrides(vec![row("one"), row("two")]).expect("two vendors do not overlap");
    assert_eq!(Call::of("shared", 1, 0).in_book(&book), None);
    assert!(Call::of("shared", 1, 0).vendor("two").in_book(&book).is_some());
    assert!(Call::of("one/shared", 1, 0).in_book(&book).is_some());
}

#[test]
fn local_models_are_free_and_unknown_ones_are_not() {
    let tokens = plain(1000, 1000);
    let query =
        |local| PriceQuery { vendor: None, model: "llama3.2", service_tier: None, at: at(NOW), local, tokens: &tokens };
    let book = PriceBook::bundled();
    assert_eq!(book.price(&query(true)), Some(Priced { cost: Money::ZERO, price_id: "local".into() }));
    assert_eq!(book.price(&query(false)), None);
    assert!(PriceBook::document(DocumentSet::Raymundo).price(&query(true)).is_some_and(|p| p.cost == Money::ZERO));
}

fn counts() -> impl Strategy<Value = TokenCounts> {
    let slice = 0u64..1 << 40;
    (slice.clone(), slice.clone(), slice.clone(), slice.clone(), slice).prop_map(
        |(fresh, cached, short, long, completion)| TokenCounts {
            prompt: fresh + cached + short + long,
            completion,
            cached,
            cache_write: short,
            cache_write_1h: long,
            reasoning: completion / 2,
        },
    )
}

fn cost_of(model: &str, tier: Option<&str>, tokens: &TokenCounts) -> Option<Money> {
    let query = PriceQuery { vendor: None, model, service_tier: tier, at: at(NOW), local: false, tokens };
    PriceBook::bundled().price(&query).map(|priced| priced.cost)
}

proptest! {
    #[test]
    fn a_partition_of_tokens_costs_exactly_the_whole(parts in prop::collection::vec(counts(), 1..6), tier in prop::sample::select(vec![None, Some("batch")])) {
        let sum = parts.iter().fold(TokenCounts::default(), |a, b| TokenCounts {
            prompt: a.prompt + b.prompt,
            completion: a.completion + b.completion,
            cached: a.cached + b.cached,
            cache_write: a.cache_write + b.cache_write,
            cache_write_1h: a.cache_write_1h + b.cache_write_1h,
            reasoning: a.reasoning + b.reasoning,
        });
        for model in ["claude-opus-5", "gpt-4o", "claude-3-haiku"] {
            let cost = |tokens: &TokenCounts| cost_of(model, tier, tokens).expect("every slice has a price");
            prop_assert_eq!(parts.iter().map(cost).sum::<Money>(), cost(&sum));
        }
    }

    #[test]
    fn nothing_panics(name in "\\PC{0,40}|[a-z0-9/@*-]{0,60}", vendor in prop::option::of("\\PC{0,12}"), tier in prop::option::of("\\PC{0,12}"), prompt: u64, cached: u64, completion: u64) {
        let tokens = TokenCounts { prompt, completion, cached, cache_write: cached, cache_write_1h: prompt, reasoning: u64::MAX };
        for book in [PriceBook::bundled(), PriceBook::document(DocumentSet::Raymundo)] {
            let query = PriceQuery { vendor: vendor.as_deref(), model: &name, service_tier: tier.as_deref(), at: at(NOW), local: false, tokens: &tokens };
            book.price(&query);
        }
    }
}

#[test]
fn the_largest_counts_have_an_exact_cost() {
    let most = TokenCounts { cached: u64::MAX, ..plain(u64::MAX, u64::MAX) };
    for entry in PriceBook::bundled().entries() {
        for tier in [None, Some("batch"), Some("fast"), Some("ultrafast")] {
            cost_of(&entry.row.model, tier, &most);
        }
    }
    let cost = cost_of("gpt-4o", None, &most).expect("gpt-4o has a price");
    assert_eq!(cost.pico_usd(), i128::from(u64::MAX) * (1_250_000 + 10_000_000));
    let dearest = Price::from_micro_usd(999_999_999_999).expect("the highest price there is");
    let book =
        PriceBook::bundled().with_overrides(vec![PriceRow::new("m", dearest, Some(dearest))]).expect("no mistakes");
    assert!(Call::of("m", u64::MAX, u64::MAX).in_book(&book).is_some());
}
