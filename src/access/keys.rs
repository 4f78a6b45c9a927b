//! Keys for programs that use the gateway: `tb-` and 160 random bits. Made here and told once; kept as a keyed hash,
//! the last four characters and what they open.

use data_encoding::BASE32_NOPAD;
use secrecy::SecretString;

use crate::settings::GatewayKey;

/// What a key is hashed as, where a person is hashed under a channel.
pub const HASHED_AS: &str = "gateway-key";

/// What stands in the place of the channel where nothing is hashed, so that one `subject.key` is told from another.
pub const NOTHING_HASHED_AS: &str = "subject.key";

const PREFIX: &str = "tb-";

const RANDOM_BYTES: usize = 20;

/// Five bits a letter.
const LETTERS: usize = RANDOM_BYTES * 8 / 5;

/// Why a key does not open something. Told to whoever holds the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// It is not for this provider.
    #[error("the key `{key}` does not open this provider; it opens {}", quoted(.opens))]
    Provider {
        /// Its name.
        key: String,
        /// The providers that it opens.
        opens: Vec<String>,
    },
    /// It is not for this model.
    #[error("the key `{key}` does not open this model; it opens {}", quoted(.opens))]
    Model {
        /// Its name.
        key: String,
        /// The models that it opens, `*` standing for any end.
        opens: Vec<String>,
    },
}

/// Makes a key of random bytes. Told once, to whoever asked for it.
pub fn make_key(random: [u8; 32]) -> SecretString {
    let letters = BASE32_NOPAD.encode(&random[..RANDOM_BYTES]).to_ascii_lowercase();
    format!("{PREFIX}{letters}").into()
}

/// Whether a text has the form of our keys: who shows one means us, and no provider.
pub fn is_key(text: &str) -> bool {
    let letters = text.strip_prefix(PREFIX).unwrap_or_default();
    letters.len() == LETTERS && letters.bytes().all(|letter| matches!(letter, b'a'..=b'z' | b'2'..=b'7'))
}

/// Whether a key opens a provider, by its configured name.
///
/// # Errors
/// Why not.
pub fn allows_provider(key: &GatewayKey, provider: &str) -> Result<(), WhyNot> {
    if key.providers.is_empty() || key.providers.iter().any(|opens| opens == provider) {
        return Ok(());
    }
    Err(WhyNot::Provider { key: key.name.clone(), opens: key.providers.clone() })
}

/// Whether a key opens a model of a provider, as the provider calls it.
///
/// # Errors
/// Why not.
pub fn allows(key: &GatewayKey, provider: &str, model: &str) -> Result<(), WhyNot> {
    allows_provider(key, provider)?;
    let is_meant = |opens: &String| match opens.strip_suffix('*') {
        Some(beginning) => model.starts_with(beginning),
        None => model == opens,
    };
    if key.models.is_empty() || key.models.iter().any(is_meant) {
        return Ok(());
    }
    Err(WhyNot::Model { key: key.name.clone(), opens: key.models.clone() })
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::usage::KeySuffix;

    fn opening(providers: &[&str], models: &[&str]) -> GatewayKey {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        GatewayKey { providers: owned(providers), models: owned(models), ..GatewayKey::example("ci") }
    }

    #[test]
    fn a_key_is_known_by_its_form_holds_160_bits_and_is_not_shown() {
        let key = make_key(std::array::from_fn(|at| at as u8));
        assert_eq!(key.expose_secret(), "tb-aaaqeayeaudaocajbifqydiob4ibceqt");
        assert!(is_key(key.expose_secret()));
        for at in 0..RANDOM_BYTES {
            let mut other: [u8; 32] = std::array::from_fn(|at| at as u8);
            other[at] ^= 1;
            assert_ne!(make_key(other).expose_secret(), key.expose_secret(), "byte {at} counts");
        }
        let suffix = KeySuffix::of_key(key.expose_secret()).expect("it is long");
        assert_eq!(suffix.as_str(), "ceqt");
        assert_eq!(format!("{key:?}"), "SecretBox<str>([REDACTED])");
        let long = format!("{}a", key.expose_secret());
        for text in ["", "tb-", "sk-aaaqeayeaudaocajbifqydiob4ibceqt", "tb-AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT", &long] {
            assert!(!is_key(text), "{text}");
        }
    }

    #[test]
    fn a_key_opens_what_it_was_made_for() {
        let all = opening(&[], &[]);
        assert_eq!(allows(&all, "cloud", "gpt-4o"), Ok(()));
        let some = opening(&["cloud", "local"], &["gpt-4o*", "llama3.2"]);
        for (provider, model) in [("cloud", "gpt-4o"), ("local", "gpt-4o-mini-2024-07-18"), ("local", "llama3.2")] {
            assert_eq!(allows(&some, provider, model), Ok(()), "{provider} {model}");
        }
        assert_eq!(allows_provider(&some, "cloud"), Ok(()));
        for (provider, model, expected) in [
            ("other", "gpt-4o", "the key `ci` does not open this provider; it opens `cloud`, `local`"),
            ("Cloud", "gpt-4o", "the key `ci` does not open this provider; it opens `cloud`, `local`"),
            ("cloud", "gpt-4", "the key `ci` does not open this model; it opens `gpt-4o*`, `llama3.2`"),
            ("cloud", "", "the key `ci` does not open this model; it opens `gpt-4o*`, `llama3.2`"),
            ("cloud", "llama3.2:1b", "the key `ci` does not open this model; it opens `gpt-4o*`, `llama3.2`"),
        ] {
            assert_eq!(allows(&some, provider, model).expect_err(model).to_string(), expected);
        }
        assert_eq!(allows(&opening(&[], &["*"]), "any", "any"), Ok(()));
    }
}
