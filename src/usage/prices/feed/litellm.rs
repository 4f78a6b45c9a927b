//! LiteLLM's list: an object by model or `provider/model`, dollars per token, a key for each price of each kind.

use std::collections::{BTreeMap, HashSet};

use super::json::{self, Object, Raw};
use super::{Feed, FeedFormat, Offer, checked_name, price};
use crate::usage::Day;
use crate::usage::prices::{Price, PriceRow, Tier};

/// Dollars per token to micro-dollars per million tokens.
const PLACES: u8 = 12;

/// Its own documentation, in the form of an entry.
const SAMPLE: &str = "sample_spec";

/// The tokens a price can be for, in the order of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Input,
    Read,
    Write,
    WriteLong,
    Output,
}

type Prices = [Option<Price>; 5];

/// The tier, and how many tokens the prompt must pass.
type Slot = (Tier, Option<u64>);

const STANDARD: Slot = (Tier::Standard, None);

/// Prices of other things than tokens of text: noted, since the cost of text is right without them.
const OTHER_THINGS: [&str; 14] = [
    "audio",
    "image",
    "video",
    "pixel",
    "search",
    "code_interpreter",
    "file_search",
    "vector_store",
    "computer_use",
    "citation",
    "ocr",
    "page",
    "provider_specific",
    "session",
];

/// Reads the list into `feed`; `None` when it is none.
pub(super) fn read(raw: Raw<'_>, feed: &mut Feed) -> Option<()> {
    let models = Object::read(raw).ok()?;
    let mut seen = HashSet::new();
    for (name, value) in models.entries() {
        let read = if seen.insert(name) { entry(name, value) } else { Err("it stands twice".to_owned()) };
        feed.add(name, read);
    }
    Some(())
}

fn entry(name: &str, raw: Raw<'_>) -> Result<Option<Offer>, String> {
    if name == SAMPLE {
        return Ok(None);
    }
    let object = Object::strict(raw)?;
    let provider = object.text("litellm_provider").or_else(|| Some(name.split_once('/')?.0.to_owned()));
    let provider =
        provider.filter(|provider| !provider.is_empty()).ok_or("`litellm_provider` does not say who bills")?;
    if provider == "ollama" || provider == "ollama_chat" {
        return Ok(None);
    }
    let mode = object.text("mode");
    let is_text = mode.as_deref().is_none_or(|mode| ["chat", "completion", "responses", "embedding"].contains(&mode));
    if !is_text {
        return Err(format!(
            "its mode is `{}`; only text has its price by tokens here",
            json::shown(&mode.unwrap_or_default())
        ));
    }
    let model = name.strip_prefix(&provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
    checked_name(model)?;
    if model.contains('*') {
        return Err("a `*` in its name says nothing certain".to_owned());
    }
    let (prices, mut notes) = prices_of(&object, mode.as_deref() == Some("embedding"))?;
    let off = object.text("deprecation_date").and_then(|day| Day::parse(&day));
    let rows = rows(prices, &mut notes)
        .into_iter()
        .map(|row| PriceRow {
            vendor: Some(vendor(&provider).to_owned()),
            model: model.to_owned(),
            off,
            source: Some(FeedFormat::LiteLlm.as_str().to_owned()),
            ..row
        })
        .collect();
    Ok(Some(Offer { rows, notes }))
}

/// Who bills, by the name rows use for them.
fn vendor(provider: &str) -> &str {
    match provider {
        "text-completion-openai" => "openai",
        provider if provider.starts_with("vertex_ai") => "vertex_ai",
        provider if provider.starts_with("bedrock") => "bedrock",
        provider => provider,
    }
}

/// Every price by its place, and what else is priced.
fn prices_of(object: &Object<'_>, embeds: bool) -> Result<(BTreeMap<Slot, Prices>, Vec<String>), String> {
    let (mut prices, mut notes, mut reasoning) = (BTreeMap::<Slot, Prices>::new(), Vec::new(), None);
    for (key, value) in object.entries().filter(|(_, value)| value.get() != "null") {
        let read = || price(value, PLACES).map_err(|reason| format!("`{}` {reason}", json::shown(key)));
        let is_price = ["cost", "pricing", "price"].iter().any(|word| key.contains(word));
        match place(key) {
            Some((part, slot)) => prices.entry(slot).or_default()[part as usize] = Some(read()?),
            None if key == "output_cost_per_reasoning_token" => reasoning = Some(read()?),
            None if !is_price || is_nothing(value) => {}
            None if OTHER_THINGS.iter().any(|thing| key.contains(thing)) => notes.push(format!("`{key}` is not taken")),
            None => return Err(format!("our rows have no place for `{}`", json::shown(key))),
        }
    }
    let standard = prices.entry(STANDARD).or_default();
    if embeds {
        standard[Part::Output as usize] = None;
    }
    if standard[Part::Input as usize].is_none() {
        return Err("it has no `input_cost_per_token`, and what is not said is not known".to_owned());
    }
    let output = standard[Part::Output as usize];
    if output.is_none() && !embeds {
        return Err("it has no `output_cost_per_token`, and what is not said is not known".to_owned());
    }
    if reasoning.is_some_and(|reasoning| Some(reasoning) != output) {
        return Err("it bills reasoning at another price than other output".to_owned());
    }
    Ok((prices, notes))
}

/// Zero, nothing, or an empty list: no price.
fn is_nothing(value: Raw<'_>) -> bool {
    matches!(value.get(), "0" | "0.0" | "[]" | "{}" | "false" | "\"\"")
}

/// What a key such as `input_cost_per_token_above_200k_tokens_priority` is the price of.
fn place(key: &str) -> Option<(Part, Slot)> {
    const PARTS: [(&str, Part); 4] = [
        ("cache_creation_input_token_cost", Part::Write),
        ("cache_read_input_token_cost", Part::Read),
        ("input_cost_per_token", Part::Input),
        ("output_cost_per_token", Part::Output),
    ];
    const TIERS: [(&str, Tier); 4] =
        [("_priority", Tier::Fast), ("_flex", Tier::Flex), ("_batches", Tier::Batch), ("_ultrafast", Tier::Ultrafast)];
    let (mut rest, mut part) = PARTS.iter().find_map(|(name, part)| Some((key.strip_prefix(name)?, *part)))?;
    let (mut tier, mut above) = (None, None);
    while !rest.is_empty() {
        if let Some((after, named)) = TIERS.iter().find_map(|(name, tier)| Some((rest.strip_prefix(name)?, *tier))) {
            (rest, tier) = (after, Some(named).filter(|_| tier.is_none()));
            tier?;
            continue;
        }
        let limit = rest.strip_prefix("_above_")?;
        let (amount, unit) = limit.split_at(limit.bytes().take_while(u8::is_ascii_digit).count());
        if let Some(after) = unit.strip_prefix("k_tokens") {
            let thousands: u64 = amount.parse().ok().filter(|_| above.is_none())?;
            (rest, above) = (after, Some(thousands.checked_mul(1000)?));
        } else {
            let after = unit.strip_prefix("hr").filter(|_| amount == "1" && part == Part::Write)?;
            (rest, part) = (after, Part::WriteLong);
        }
    }
    Some((part, (tier.unwrap_or(Tier::Standard), above)))
}

/// The rows that say so. A price for large prompts that is not given is that for smaller ones, as LiteLLM has it; a tier
/// of which a part is missing is not taken.
fn rows(prices: BTreeMap<Slot, Prices>, notes: &mut Vec<String>) -> Vec<PriceRow> {
    let standard = prices[&STANDARD];
    let sizes =
        |of: Tier| prices.keys().filter(move |(tier, _)| *tier == of).map(|(_, above)| *above).collect::<Vec<_>>();
    let (mut rows, mut given_up) = (Vec::new(), Vec::new());
    // Ordered by tier and size, so that the smaller size stands before the larger.
    let mut below = standard;
    for ((tier, above), mut own) in prices.clone() {
        if above.is_none() && tier != Tier::Standard {
            let lacks = |part: Part| own[part as usize].is_none() && standard[part as usize].is_some();
            let parts = [Part::Input, Part::Read, Part::Write, Part::WriteLong, Part::Output];
            if parts.into_iter().any(lacks) || sizes(tier) != sizes(Tier::Standard) {
                given_up.push(tier);
            }
        } else if tier != Tier::Standard && !prices.contains_key(&(tier, None)) {
            given_up.push(tier);
        }
        if given_up.contains(&tier) {
            continue;
        }
        if above.is_some() {
            own.iter_mut().zip(below).for_each(|(own, below)| *own = own.or(below));
        }
        below = own;
        let [input, cache_read, cache_write, cache_write_1h, output] = own;
        let Some(input) = input else { continue };
        let tier = Some(tier);
        rows.push(PriceRow {
            tier,
            above,
            cache_read,
            cache_write,
            cache_write_1h,
            ..PriceRow::new("", input, output)
        });
    }
    given_up.dedup();
    notes.extend(
        given_up.iter().map(|tier| format!("its prices for the tier {} are not whole and not taken", tier.as_str())),
    );
    rows
}
