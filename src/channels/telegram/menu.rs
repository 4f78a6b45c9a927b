//! The list of commands that apps show behind the slash: in four languages, and longer for admins.

use serde_json::{Value, json};
use tokio::time::sleep;

use super::api::Api;
use super::failure::Failure;
use super::tools::backoff;
use crate::templates::Lang;

/// Admins whose chats get a list of their own; each costs five calls.
const MAX_ADMINS: usize = 20;

/// Tries of one call. A list that is not set is no loss: the commands work without.
const MAX_TRIES: u32 = 3;

/// The commands in one language.
#[derive(Clone, Debug)]
pub struct Menu {
    /// The language.
    pub lang: Lang,
    /// What everybody may do: names and descriptions.
    pub everyone: Vec<(String, String)>,
    /// What admins may do.
    pub admins: Vec<(String, String)>,
}

/// Tells Telegram. The first menu is that of people whose language we do not speak.
pub(super) async fn publish(api: &Api, menus: &[Menu], admins: &[i64]) {
    let mut bodies = Vec::new();
    for (language, menu) in languages(menus) {
        bodies.push(body(&menu.everyone, language, &json!({"type": "default"})));
    }
    for admin in admins.iter().take(MAX_ADMINS) {
        for (language, menu) in languages(menus) {
            bodies.push(body(&menu.admins, language, &json!({"type": "chat", "chat_id": admin})));
        }
    }
    for body in bodies {
        let mut tries = 0;
        while let Err(failure) = api.set_commands(&body).await {
            let wait = match failure {
                Failure::Flood(wait) => Some(wait),
                ref failure => failure.passes().then(|| backoff(tries)),
            };
            // An admin who never wrote to the bot has no chat yet.
            let Some(wait) = wait.filter(|_| tries < MAX_TRIES) else {
                tracing::debug!(%failure, "a list of commands could not be set");
                break;
            };
            sleep(wait).await;
            tries += 1;
        }
    }
}

fn languages(menus: &[Menu]) -> impl Iterator<Item = (&'static str, &Menu)> {
    menus.first().map(|menu| ("", menu)).into_iter().chain(menus.iter().map(|menu| (menu.lang.code(), menu)))
}

fn body(commands: &[(String, String)], language: &str, scope: &Value) -> Value {
    let command = |(name, description): &(String, String)| json!({"command": name, "description": description});
    let commands: Vec<Value> = commands.iter().map(command).collect();
    json!({"commands": commands, "scope": scope, "language_code": language})
}
