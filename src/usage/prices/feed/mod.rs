//! Price lists of others, read as far as our rows can say what they say. What they cannot say is refused by name and
//! never guessed; what a list does not say is not known, and never zero.

mod genai;
mod json;
mod litellm;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use super::{Price, PriceRow};
use json::{Object, Raw};

/// The largest list that is read.
pub const MAX_FEED_BYTES: u64 = 64 * 1024 * 1024;

/// No more models of one list are read.
const MAX_MODELS: usize = 20_000;

/// No name of a model is longer.
const MAX_NAME_BYTES: usize = 200;

/// Whose list it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedFormat {
    /// LiteLLM's `model_prices_and_context_window.json`: one object, dollars per token.
    LiteLlm,
    /// genai-prices' `data.json` and `data_slim.json`: a list of providers, dollars per million tokens.
    GenaiPrices,
}

impl FeedFormat {
    /// Every format.
    pub const ALL: [FeedFormat; 2] = [FeedFormat::LiteLlm, FeedFormat::GenaiPrices];

    /// Its name on the command line, and the source of the rows taken from it.
    pub fn as_str(self) -> &'static str {
        match self {
            FeedFormat::LiteLlm => "litellm",
            FeedFormat::GenaiPrices => "genai-prices",
        }
    }
}

/// A list of others, read.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Whose it is.
    pub format: FeedFormat,
    /// What it says a model costs, in its order.
    pub offers: Vec<Offer>,
    /// What it says in a way that our rows cannot.
    pub refused: Vec<Refused>,
    /// Entries that price nothing: its own documentation, and models that run on one's own machine.
    pub passed_over: usize,
}

/// What a list says that one model of one vendor costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its rows, at least one, all of one vendor and of the same names.
    pub rows: Vec<PriceRow>,
    /// Prices of it that have no place in our rows and change no cost of text.
    pub notes: Vec<String>,
}

/// An entry that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Refused {
    /// What the list calls it.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// A file that is no list of prices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// It is not JSON.
    #[error("it is not JSON: {0}")]
    NotJson(String),
    /// It has another form.
    #[error(
        "it is neither LiteLLM's list (an object of models with `input_cost_per_token`) nor genai-prices' (a list of \
         providers with `models`)"
    )]
    Unknown,
}

/// Reads a list; its format is recognised by its shape unless it is given.
///
/// # Errors
/// When the text is no such list at all.
pub fn read_feed(text: &str, format: Option<FeedFormat>) -> Result<Feed, FeedError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let raw: Raw<'_> = serde_json::from_str(text).map_err(|error| FeedError::NotJson(error.to_string()))?;
    let format = format.or_else(|| recognised(raw)).ok_or(FeedError::Unknown)?;
    let mut feed = Feed { format, offers: Vec::new(), refused: Vec::new(), passed_over: 0 };
    let is_one = match format {
        FeedFormat::LiteLlm => litellm::read(raw, &mut feed),
        FeedFormat::GenaiPrices => genai::read(raw, &mut feed),
    };
    is_one.ok_or(FeedError::Unknown)?;
    feed.refuse_repeated_names();
    Ok(feed)
}

/// A list of providers, or an object that holds one, is genai-prices'; any other object of objects is LiteLLM's.
fn recognised(raw: Raw<'_>) -> Option<FeedFormat> {
    if json::list(raw).is_some() {
        return Some(FeedFormat::GenaiPrices);
    }
    let object = Object::read(raw).ok()?;
    if object.get("providers").is_some_and(|providers| json::list(providers).is_some()) {
        return Some(FeedFormat::GenaiPrices);
    }
    object.entries().any(|(_, entry)| Object::read(entry).is_ok()).then_some(FeedFormat::LiteLlm)
}

impl Feed {
    /// Counts one entry.
    fn add(&mut self, name: &str, read: Result<Option<Offer>, String>) {
        let read = match read {
            Ok(Some(_)) if self.offers.len() >= MAX_MODELS => {
                Err(format!("the list has more than {MAX_MODELS} models"))
            }
            read => read,
        };
        match read {
            Ok(Some(offer)) => self.offers.push(offer),
            Ok(None) => self.passed_over += 1,
            Err(reason) => self.refused.push(Refused { name: json::shown(name), reason }),
        }
    }

    /// A name can have one price: of several entries of a vendor for one name the first is kept.
    fn refuse_repeated_names(&mut self) {
        let mut taken: HashSet<(Option<String>, String)> = HashSet::new();
        let (mut kept, mut refused) = (Vec::new(), Vec::new());
        for offer in std::mem::take(&mut self.offers) {
            let row = &offer.rows[0];
            let keys: Vec<_> = row.names().map(|name| (row.vendor.clone(), name.to_owned())).collect();
            if let Some((_, name)) = keys.iter().find(|key| taken.contains(*key)) {
                let reason = format!("`{name}` has a price by an earlier entry");
                refused.push(Refused { name: row.model.clone(), reason });
            } else {
                taken.extend(keys);
                kept.push(offer);
            }
        }
        self.offers = kept;
        self.refused.extend(refused);
    }
}

/// A name that can be looked up, or why it is none.
fn checked_name(name: &str) -> Result<(), String> {
    if name.len() > MAX_NAME_BYTES || !super::layer::is_name(name) || name.ends_with("**") {
        return Err(format!("`{}` is no name of a model", json::shown(name)));
    }
    Ok(())
}

/// A number literal of dollars as a price; `places` brings it to micro-dollars per million tokens.
fn price(raw: Raw<'_>, places: u8) -> Result<Price, String> {
    let literal = raw.get();
    if !literal.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return Err(format!("is `{}`, not a number", json::shown(literal)));
    }
    let micros = crate::usage::decimal::exact(literal, places);
    micros.and_then(Price::from_micro_usd).ok_or_else(|| {
        format!(
            "is `{}`, which is not a whole number of micro-dollars per million tokens below a million dollars",
            json::shown(literal)
        )
    })
}
