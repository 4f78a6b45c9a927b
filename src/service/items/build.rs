//! An item made by a program: the counts, then whatever else is known.

use serde_json::{Map, Value};

use super::{Identity, ItemMistakes, UsageItem};
use crate::usage::names::{MAX_NAME_BYTES, Name, UNKNOWN};
use crate::usage::{Failure, Given, KeySuffix, MAX_METADATA_BYTES, Metadata, Money, Status, TokenCounts, UsageSource};

impl UsageItem {
    /// A call that used this many tokens, made now and well ended, unless more is said.
    pub fn tokens(prompt: u64, completion: u64) -> UsageItem {
        UsageItem {
            tokens: TokenCounts { prompt, completion, ..TokenCounts::default() },
            usage_source: UsageSource::Reported,
            at: None,
            api_type: Name::from(UNKNOWN),
            model: Name::from(UNKNOWN),
            api_key_suffix: None,
            status: Status::Ok,
            failure: None,
            metadata: Metadata::default(),
            provider: None,
            request_type: None,
            channel: None,
            user: None,
            session: None,
            latency_ms: None,
            first_token_ms: None,
            cost: None,
            local: None,
            given: None,
            feature: None,
            agent: None,
            operation: None,
            team: None,
            service_tier: None,
        }
    }

    /// The API spoken: `gemini`, `openai`, `ollama`, …
    #[must_use]
    pub fn api(self, api_type: &str) -> UsageItem {
        UsageItem { api_type: Name::clean(api_type), ..self }
    }

    /// The model.
    #[must_use]
    pub fn model(self, model: &str) -> UsageItem {
        UsageItem { model: Name::clean(model), ..self }
    }

    /// The key it was made with, or its end: the last four characters are kept.
    #[must_use]
    pub fn api_key_suffix(self, suffix: &str) -> UsageItem {
        UsageItem { api_key_suffix: KeySuffix::of_text(suffix), ..self }
    }

    /// It failed. Of the text, a class and an HTTP status are kept.
    #[must_use]
    pub fn error(self, message: &str) -> UsageItem {
        let failure = Failure::from_foreign(message);
        UsageItem { status: super::item::status_of(failure.kind), failure: Some(failure), ..self }
    }

    /// The caller's own data, added to what is there.
    ///
    /// # Errors
    /// When it would be larger than [`MAX_METADATA_BYTES`].
    pub fn metadata(self, key: &str, value: impl Into<Value>) -> Result<UsageItem, ItemMistakes> {
        let mut object: Map<String, Value> = serde_json::from_str(self.metadata.as_json()).unwrap_or_default();
        object.insert(key.to_owned(), value.into());
        let metadata = Metadata::from_object(&object);
        let too_large = || ItemMistakes::of(format!("`metadata` is larger than {MAX_METADATA_BYTES} bytes"));
        Ok(UsageItem { metadata: metadata.ok_or_else(too_large)?, ..self })
    }

    /// Who asked: kept as a subject id.
    #[must_use]
    pub fn user(self, identity: &str) -> UsageItem {
        UsageItem { user: Some(Identity(identity.to_owned())), ..self }
    }

    /// From the call to the end of the answer, in milliseconds.
    #[must_use]
    pub fn latency_ms(self, latency_ms: u64) -> UsageItem {
        UsageItem { latency_ms: Some(latency_ms), ..self }
    }

    /// What it cost, where the caller knows better than the price book.
    #[must_use]
    pub fn cost(self, cost: Money) -> UsageItem {
        UsageItem { cost: Some(cost), ..self }
    }

    /// The caller's id of this call, which makes recording it twice harmless; `source` says whose numbering it is.
    ///
    /// # Errors
    /// When one of them is empty, longer than [`MAX_NAME_BYTES`] (two ids that differ must stay different, so none is
    /// cut), or has control characters.
    pub fn given(self, source: &str, id: &str) -> Result<UsageItem, ItemMistakes> {
        let fits =
            |text: &str| !text.trim().is_empty() && text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control);
        if !fits(source) || !fits(id) {
            let expected = format!("texts of 1 to {MAX_NAME_BYTES} bytes without control characters");
            return Err(ItemMistakes::of(format!("`source` and `id` do not fit; expected {expected}")));
        }
        let given = Given { name: Name::from(source.to_owned()), id: Name::from(id.to_owned()) };
        Ok(UsageItem { given: Some(given), ..self })
    }
}
