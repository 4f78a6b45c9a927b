//! The section `[telegram]`: the bot's token, who may talk to it, and how it talks.

use secrecy::{ExposeSecret, SecretString};
use toml::de::DeValue;

use super::providers::base_url;
use super::reader::Section;
use super::secrets::Least;

/// `[telegram]`: the Telegram channel.
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
    /// The groups the bot answers in, whoever asks; empty is none.
    pub groups: Vec<TelegramGroup>,
    /// Where Telegram posts updates to; `None`: they are asked for.
    pub webhook_url: Option<String>,
    /// What Telegram proves itself with at the webhook; `None`: made at each start.
    pub webhook_secret: Option<SecretString>,
    /// How answers are shown while they are written.
    pub streaming: TelegramStreaming,
}

/// One of `groups`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelegramGroup {
    /// Its numeric id, below 0.
    pub id: i64,
    /// The team whose usage its calls are.
    pub team: Option<String>,
}

/// How answers are shown while they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TelegramStreaming {
    /// By editing their message.
    #[default]
    Edits,
    /// As drafts, where the server knows them.
    Drafts,
    /// Not at all.
    Off,
}

/// Telegram's own tokens have some 46 characters.
const BOT_TOKEN: Least = Least { chars: 20, from: "those that @BotFather gives, which look like `123456789:AA…`" };

impl Telegram {
    /// The Bot API of Telegram itself.
    pub const API_URL: &str = "https://api.telegram.org";

    pub(super) fn read(section: &mut Section<'_>) -> Option<Telegram> {
        let is_present = section.is_present();
        let default = is_present.then_some("TELOXIDE_TOKEN");
        let token = section.secret_from_env("token_env", default, Some(BOT_TOKEN));
        let api_url = base_url(section, "api_url", Telegram::API_URL).unwrap_or(Telegram::API_URL.to_owned());
        let words = [
            ("edits", TelegramStreaming::Edits),
            ("drafts", TelegramStreaming::Drafts),
            ("off", TelegramStreaming::Off),
        ];
        let telegram = Telegram {
            token,
            api_url,
            users: ids(section, "users"),
            admins: ids(section, "admins"),
            groups: groups(section),
            webhook_url: webhook_url(section),
            webhook_secret: webhook_secret(section),
            streaming: section.choice("streaming", &words).unwrap_or_default(),
        };
        if !is_present {
            return None;
        }
        let is_unset = default.is_some_and(|name| section.variable(name).is_none());
        if telegram.token.is_none() && !section.has("token_env") && is_unset {
            let text = "`telegram.token_env` names no variable and `TELOXIDE_TOKEN` is not set; set it first: \
                        `export TELOXIDE_TOKEN=…`";
            section.absent("", text.to_owned());
        }
        Some(telegram)
    }
}

fn ids(section: &mut Section<'_>, key: &'static str) -> Vec<i64> {
    let expected = "numeric ids of people, above 0 (a person gets theirs with `/id`; names do not count)";
    section.list(key, 10_000, expected, "[111]", |value| id(value).filter(|id| *id > 0)).unwrap_or_default()
}

fn groups(section: &mut Section<'_>) -> Vec<TelegramGroup> {
    let expected = "numeric ids of groups, below 0 (`/id` in the group tells it), each with a team if you like: \
                    `{ id = -1001234567890, team = \"sales\" }`";
    section.list("groups", 10_000, expected, "[-1001234567890]", group).unwrap_or_default()
}

fn group(value: &DeValue<'_>) -> Option<TelegramGroup> {
    let below_zero = |value: &DeValue<'_>| id(value).filter(|id| *id < 0);
    let Some(table) = value.as_table() else {
        return below_zero(value).map(|id| TelegramGroup { id, team: None });
    };
    let (mut id, mut team) = (None, None);
    for (key, value) in table.iter() {
        let key: &str = key.get_ref();
        match key {
            "id" => id = Some(below_zero(value.get_ref())?),
            "team" => team = Some(value.get_ref().as_str().filter(|team| is_name(team))?.to_owned()),
            _ => return None,
        }
    }
    Some(TelegramGroup { id: id?, team })
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.trim().len() == text.len() && text.len() <= 128 && !text.contains(char::is_control)
}

/// Where Telegram finds us: HTTPS, except on this machine, and a path that nothing else has.
fn webhook_url(section: &mut Section<'_>) -> Option<String> {
    let expected = "a URL with a path of its own, HTTPS unless it is on this machine";
    section.parsed("webhook_url", expected, "\"https://bot.example.com/telegram/webhook\"", |text| {
        let uri = text.parse::<http::Uri>().ok()?;
        let host = uri.host().filter(|host| !host.is_empty())?;
        let is_here = host == "localhost" || host.starts_with("127.");
        let is_safe = uri.scheme_str() == Some("https") || (is_here && uri.scheme_str() == Some("http"));
        let is_bare = !text.contains('@') && uri.query().is_none() && !text.contains('#');
        (is_safe && is_bare && uri.path().len() > 1).then(|| text.to_owned())
    })
}

fn webhook_secret(section: &mut Section<'_>) -> Option<SecretString> {
    let secret = section.secret_from_env("webhook_secret_env", None, Some(Least::random(16)))?;
    let takes = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let text = secret.expose_secret();
    if text.len() > 256 || !text.bytes().all(takes) {
        let text = "the secret that `telegram.webhook_secret_env` names is not repeated here; expected 16 to 256 letters \
                    without accents, digits, `_` and `-`, for example from `openssl rand -hex 32`";
        section.wrong("webhook_secret_env", text.to_owned());
        return None;
    }
    Some(secret)
}

fn id(value: &DeValue<'_>) -> Option<i64> {
    let digits = value.as_integer()?;
    i64::from_str_radix(&digits.as_str().replace('_', ""), digits.radix()).ok()
}
