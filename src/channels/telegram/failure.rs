//! What a refused or failed call means for us. Holds no text of Telegram's beyond a short one that says nothing private.

use std::time::Duration;

use serde::Deserialize;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Too much was sent.
    #[error("flood control: not before {} s", .0.as_secs())]
    Flood(Duration),
    /// The person blocked the bot, left, or it was thrown out: nothing can be said there.
    #[error("the chat does not take messages of the bot")]
    Blocked,
    /// The topic is closed: nothing can be said there, and everything elsewhere in the forum.
    #[error("the topic is closed")]
    TopicClosed,
    /// The group has become a supergroup.
    #[error("the group is now `{0}`")]
    Migrated(i64),
    /// It shows that already.
    #[error("the message shows that already")]
    NotModified,
    /// The HTML is not taken.
    #[error("the markup is not taken")]
    BadMarkup,
    /// The text is too long, or too much is marked in it.
    #[error("the text is too long")]
    TooLong,
    /// Another program polls, or a webhook is set.
    #[error("another program takes the updates of this bot")]
    Conflict,
    /// The token is not, or no longer, one of a bot.
    #[error("the token is not taken")]
    Unauthorized,
    /// The message to edit, the chat, the press: it is not there any more.
    #[error("it is not there any more")]
    Gone,
    /// The server does not know this method.
    #[error("the server does not know this method")]
    NoMethod,
    /// A file is larger than we take.
    #[error("the file is too large")]
    TooLarge,
    /// The server has trouble; nothing was done.
    #[error("the server answered {0}")]
    Server(u16),
    /// No connection stood, so nothing was done.
    #[error("no connection")]
    Unreachable,
    /// The connection broke or nothing came in time: whether it was done is not known.
    #[error("the connection broke")]
    Cut,
    /// What came is no answer of a Bot API, or what was to be sent cannot be.
    #[error("not an answer of the Bot API")]
    Broken,
    /// Something else.
    #[error("refused: {code} {words}")]
    Other {
        /// The status.
        code: u16,
        /// Telegram's words, if they are a sentence of its own.
        words: String,
    },
}

impl Failure {
    /// Whether Telegram certainly did nothing.
    pub(super) fn is_certain(&self) -> bool {
        !matches!(self, Failure::Cut | Failure::Broken)
    }

    /// Whether the same call may go through a little later.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Failure::Server(_) | Failure::Unreachable | Failure::Cut)
    }
}

impl From<reqwest::Error> for Failure {
    /// Takes nothing of the error along: its URL holds the token.
    fn from(error: reqwest::Error) -> Self {
        if error.is_connect() { Failure::Unreachable } else { Failure::Cut }
    }
}

/// The body of a refusal.
#[derive(Deserialize, Default)]
pub(super) struct Refused {
    #[serde(default)]
    error_code: u16,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize, Default)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

impl Refused {
    /// A refusal with a body that may be anything: a proxy may have answered.
    pub(super) fn read(status: u16, body: &[u8]) -> Refused {
        let refused: Refused = serde_json::from_slice(body).unwrap_or_default();
        Refused { error_code: status, ..refused }
    }

    pub(super) fn status(status: u16) -> Refused {
        Refused { error_code: status, ..Refused::default() }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let Refused { error_code: code, description, parameters } = refused;
        if let Some(chat) = parameters.migrate_to_chat_id {
            return Failure::Migrated(chat);
        }
        let words = description.to_lowercase();
        let says = |any: &[&str]| any.iter().any(|part| words.contains(part));
        match code {
            429 => Failure::Flood(Duration::from_secs(parameters.retry_after.unwrap_or(1).max(1))),
            401 => Failure::Unauthorized,
            403 => Failure::Blocked,
            404 => Failure::NoMethod,
            409 => Failure::Conflict,
            413 => Failure::TooLong,
            500..=599 => Failure::Server(code),
            _ if says(&["message is not modified"]) => Failure::NotModified,
            _ if says(&["can't parse entities", "can't find end of"]) => Failure::BadMarkup,
            _ if says(&["too long", "too_long", "entities_too_long"]) => Failure::TooLong,
            _ if says(&["group is deactivated", "bot was kicked", "chat not found", "peer_id_invalid"]) => {
                Failure::Blocked
            }
            _ if says(&["topic_closed"]) => Failure::TopicClosed,
            _ if says(&["have no rights", "not enough rights", "chat_write_forbidden"]) => Failure::Blocked,
            _ if says(&["not found", "can't be edited", "query is too old", "message_id_invalid", "invalid file"]) => {
                Failure::Gone
            }
            _ if says(&["file is too big"]) => Failure::TooLarge,
            _ => Failure::Other { code, words: harmless(&description) },
        }
    }
}

/// A description that can be logged: Telegram quotes what was sent in some, between quotation marks.
fn harmless(description: &str) -> String {
    const MAX_CHARS: usize = 80;
    if description.contains('"') || description.chars().count() > MAX_CHARS || !description.is_ascii() {
        return String::new();
    }
    description.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Failure {
        Refused::read(status, body.as_bytes()).into()
    }

    fn says(status: u16, description: &str) -> Failure {
        of(status, &format!(r#"{{"ok":false,"error_code":{status},"description":"{description}"}}"#))
    }

    #[test]
    fn a_refusal_is_what_it_means_for_us() {
        for (status, description, expected) in [
            (403, "Forbidden: bot was blocked by the user", Failure::Blocked),
            (403, "Forbidden: user is deactivated", Failure::Blocked),
            (403, "Forbidden: bot was kicked from the supergroup chat", Failure::Blocked),
            (400, "Bad Request: chat not found", Failure::Blocked),
            (400, "Bad Request: not enough rights to send text messages to the chat", Failure::Blocked),
            (400, "Bad Request: TOPIC_CLOSED", Failure::TopicClosed),
            (400, "Bad Request: message is not modified: specified new message content", Failure::NotModified),
            (400, "Bad Request: can't parse entities: Unsupported start tag at byte offset 3", Failure::BadMarkup),
            (400, "Bad Request: message is too long", Failure::TooLong),
            (400, "Bad Request: MESSAGE_TOO_LONG", Failure::TooLong),
            (400, "Bad Request: message to edit not found", Failure::Gone),
            (400, "Bad Request: message can't be edited", Failure::Gone),
            (400, "Bad Request: query is too old and response timeout expired or query ID is invalid", Failure::Gone),
            (400, "Bad Request: file is too big", Failure::TooLarge),
            (401, "Unauthorized", Failure::Unauthorized),
            (404, "Not Found", Failure::NoMethod),
            (409, "Conflict: terminated by other getUpdates request", Failure::Conflict),
            (502, "Bad Gateway", Failure::Server(502)),
        ] {
            assert_eq!(says(status, description), expected, "{description}");
        }
        let flood = r#"{"ok":false,"description":"Too Many Requests: retry after 7","parameters":{"retry_after":7}}"#;
        assert_eq!(of(429, flood), Failure::Flood(Duration::from_secs(7)));
        assert_eq!(of(429, ""), Failure::Flood(Duration::from_secs(1)));
        let migrated = r#"{"ok":false,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001}}"#;
        assert_eq!(of(400, migrated), Failure::Migrated(-1001));
        assert_eq!(of(502, "<html>bad gateway</html>"), Failure::Server(502));
    }

    #[test]
    fn words_that_may_quote_a_message_are_not_kept() {
        let quoted = of(400, r#"{"description":"Bad Request: wrong \"MARKED\" there"}"#);
        assert_eq!(quoted, Failure::Other { code: 400, words: String::new() });
        assert_eq!(says(400, "Bad Request: wrong").to_string(), "refused: 400 Bad Request: wrong");
        let long = says(400, &"MARKED ".repeat(30));
        assert!(!long.to_string().contains("MARKED"));
    }
}
