//! Which model a session talks to, and how a person names another.

use serde::Serialize;

use crate::templates::fold;

/// A model that can be asked: who has it, and what a person should know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelChoice {
    /// The provider's configured name.
    pub provider: String,
    /// The model, as the provider calls it.
    pub model: String,
    /// Runs on the owner's own machine.
    pub local: bool,
    /// The built-in one whose replies are canned.
    pub demo: bool,
}

/// A provider that did not say which models it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilentProvider {
    /// Its configured name.
    pub provider: String,
    /// Runs on the owner's own machine.
    pub local: bool,
}

/// The models that can be chosen now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelList {
    /// In the order to show them.
    pub offers: Vec<ModelChoice>,
    /// Providers that did not say what they have; `provider/model` is taken at its word for these.
    pub silent: Vec<SilentProvider>,
}

impl ModelList {
    /// Finds what a person asked for: a number of the list they were `shown` (of this one, if none),
    /// `provider/model`, or a model's name or its beginning, first with the `current` provider.
    ///
    /// # Errors
    /// The name of a model that may have been meant, if there is one.
    pub fn find(
        &self,
        wanted: &str,
        shown: &[ModelChoice],
        current: &ModelChoice,
    ) -> Result<ModelChoice, Option<String>> {
        if let Ok(number) = wanted.parse::<usize>() {
            let shown = if shown.is_empty() { &self.offers } else { shown };
            return number.checked_sub(1).and_then(|n| shown.get(n)).cloned().ok_or(None);
        }
        let folded = fold(wanted);
        let own = self.offers.iter().filter(|offer| offer.provider == current.provider);
        let others = self.offers.iter().filter(|offer| offer.provider != current.provider);
        let all: Vec<&ModelChoice> = own.chain(others).collect();
        let full = |choice: &ModelChoice| fold(&format!("{}/{}", choice.provider, choice.model));
        let named = |choice: &&&ModelChoice| fold(&choice.model) == folded || full(choice) == folded;
        if let Some(found) = all.iter().find(named) {
            return Ok((*found).clone());
        }
        if let Some((provider, model)) = wanted.split_once('/')
            && !model.is_empty()
            && let Some(SilentProvider { provider, local }) =
                self.silent.iter().find(|silent| fold(&silent.provider) == fold(provider))
        {
            return Ok(ModelChoice { provider: provider.clone(), model: model.to_owned(), local: *local, demo: false });
        }
        let begins =
            |choice: &&&ModelChoice| fold(&choice.model).starts_with(&folded) || full(choice).starts_with(&folded);
        let mut beginnings = all.iter().filter(begins);
        match (beginnings.next(), beginnings.next()) {
            (Some(only), None) => Ok((*only).clone()),
            (Some(first), Some(_)) => Err(Some(first.model.clone())),
            (None, _) => {
                Err(all.iter().find(|choice| full(choice).contains(&folded)).map(|choice| choice.model.clone()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(provider: &str, model: &str) -> ModelChoice {
        ModelChoice { provider: provider.into(), model: model.into(), local: provider == "ollama", demo: false }
    }

    #[test]
    fn by_number_by_name_by_provider_and_by_beginning() {
        let list = ModelList {
            offers: vec![
                offer("cloud", "gpt-4o"),
                offer("cloud", "gpt-4o-mini"),
                offer("ollama", "llama3.2"),
                offer("ollama", "gpt-4o"),
                offer("cloud", "meta/llama-4"),
            ],
            silent: vec![SilentProvider { provider: "Other".into(), local: false }],
        };
        let current = list.offers[2].clone();
        let found = |wanted: &str| match list.find(wanted, &[], &current) {
            Ok(choice) => format!("{}/{}", choice.provider, choice.model),
            Err(hint) => format!("? {}", hint.unwrap_or_default()),
        };
        for (wanted, expected) in [
            ("2", "cloud/gpt-4o-mini"),
            ("0", "? "),
            ("6", "? "),
            ("gpt-4o", "ollama/gpt-4o"),
            ("CLOUD/GPT-4o", "cloud/gpt-4o"),
            ("meta/llama-4", "cloud/meta/llama-4"),
            ("llama", "ollama/llama3.2"),
            ("gpt", "? gpt-4o"),
            ("mini", "? gpt-4o-mini"),
            ("other/vendor/x", "Other/vendor/x"),
            ("other/", "? "),
            ("nothing", "? "),
        ] {
            assert_eq!(found(wanted), expected, "{wanted}");
        }
        let shown = [offer("ollama", "gpt-4o")];
        assert_eq!(list.find("1", &shown, &current), Ok(shown[0].clone()), "a number means the list shown");
    }
}
