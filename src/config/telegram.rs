//! The section `[telegram]`: the bot's token and who may talk to it.

use secrecy::SecretString;
use toml::de::DeValue;

use super::providers::base_url;
use super::reader::Section;

/// `[telegram]`: checked now; the channel itself comes with a later version.
#[derive(Clone, Debug)]
pub struct Telegram {
    /// The bot's token.
    pub token: Option<SecretString>,
    /// The Bot API.
    pub api_url: String,
    /// Numeric ids of the people the bot answers; empty is nobody.
    pub users: Vec<i64>,
    /// Numeric ids of those who may reset and configure.
    pub admins: Vec<i64>,
}

impl Telegram {
    /// The Bot API of Telegram itself.
    pub const API_URL: &str = "https://api.telegram.org";

    pub(super) fn read(section: &mut Section<'_>) -> Option<Telegram> {
        let is_present = section.is_present();
        let default = is_present.then_some("TELOXIDE_TOKEN");
        let token = section.secret_from_env("token_env", default, 20);
        let api_url = base_url(section, "api_url", Telegram::API_URL).unwrap_or(Telegram::API_URL.to_owned());
        let telegram = Telegram { token, api_url, users: ids(section, "users"), admins: ids(section, "admins") };
        if !is_present {
            return None;
        }
        if telegram.token.is_none() && !section.has("token_env") && default.is_some() {
            let text = "`telegram.token_env` names no variable and `TELOXIDE_TOKEN` is not set; set it first: \
                        `export TELOXIDE_TOKEN=…`";
            section.wrong("", text.to_owned());
        }
        section.warn("", "`telegram` is read and checked; the channel comes with a later version".to_owned());
        Some(telegram)
    }
}

fn ids(section: &mut Section<'_>, key: &'static str) -> Vec<i64> {
    let expected = "numeric ids of people, above 0 (a person gets theirs with `/id`; names do not count)";
    section.list(key, 10_000, expected, "[111]", positive_id).unwrap_or_default()
}

fn positive_id(value: &DeValue<'_>) -> Option<i64> {
    let digits = value.as_integer()?;
    i64::from_str_radix(&digits.as_str().replace('_', ""), digits.radix()).ok().filter(|id| *id > 0)
}
