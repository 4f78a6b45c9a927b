//! The menus of commands: one list for each scope and language.

use serde_json::{Value, json};

use super::call::Call;
use super::methods::Answered;
use super::refusal::Refusal;
use super::world::{CommandScope, Kind, World};

const MAX_COMMANDS: usize = 100;

/// The scope of a call, as `type` or `type:chat` or `type:chat:user`, and its language.
fn scope_of(world: &World, call: &Call) -> Result<CommandScope, Refusal> {
    let language = call.text("language_code");
    if !(language.is_empty() || language.len() == 2 && language.bytes().all(|byte| byte.is_ascii_lowercase())) {
        return Err(Refusal::bad("invalid language code specified"));
    }
    let wrong = |what: &str| Refusal::bad(format!("can't parse BotCommandScope: {what}"));
    let Some(scope) = call.json("scope") else { return Ok(("default".to_owned(), language)) };
    let kind = scope["type"].as_str().ok_or_else(|| wrong("Can't find field \"type\""))?;
    let scope = match kind {
        "default" | "all_private_chats" | "all_group_chats" | "all_chat_administrators" => kind.to_owned(),
        "chat" | "chat_administrators" | "chat_member" => {
            let id = scope["chat_id"].as_i64().or_else(|| scope["chat_id"].as_str()?.parse().ok());
            let id = id.ok_or_else(|| wrong("Can't find field \"chat_id\""))?;
            let room = world.rooms.get(&id).ok_or_else(|| Refusal::bad("chat not found"))?;
            if kind != "chat" && room.kind == Kind::Private {
                return Err(Refusal::bad("can't use specified scope in private chats"));
            }
            match (kind, scope["user_id"].as_i64()) {
                ("chat_member", Some(user)) if user > 0 => format!("{kind}:{id}:{user}"),
                ("chat_member", _) => return Err(wrong("Invalid user_id specified")),
                _ => format!("{kind}:{id}"),
            }
        }
        _ => return Err(wrong("Unsupported type specified")),
    };
    Ok((scope, language))
}

fn command_of(command: &Value) -> Result<(String, String), Refusal> {
    let field = |name: &str| {
        let wrong = || Refusal::bad(format!("can't parse BotCommand: Can't find field \"{name}\""));
        Ok(command[name].as_str().ok_or_else(wrong)?.to_owned())
    };
    let (name, description) = (field("command")?, field("description")?);
    let name = name.strip_prefix('/').unwrap_or(&name).to_owned();
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=32).contains(&name.len()) || !name.bytes().all(is_plain) {
        return Err(Refusal::bad("BOT_COMMAND_INVALID"));
    }
    if !(1..=256).contains(&description.chars().count()) {
        return Err(Refusal::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
    }
    Ok((name, description))
}

pub fn set_my_commands(world: &mut World, call: &Call) -> Answered {
    let scope = scope_of(world, call)?;
    let list = match call.params.get("commands") {
        None => Vec::new(),
        Some(Value::Array(list)) => list.iter().map(command_of).collect::<Result<Vec<_>, _>>()?,
        Some(_) => return Err(Refusal::bad("expected an Array of BotCommand")),
    };
    if list.len() > MAX_COMMANDS {
        return Err(Refusal::bad("BOT_COMMANDS_TOO_MUCH"));
    }
    world.commands.insert(scope, list);
    Ok(true.into())
}

pub fn get_my_commands(world: &mut World, call: &Call) -> Answered {
    let list = world.commands.get(&scope_of(world, call)?).cloned().unwrap_or_default();
    let list = list.iter().map(|(name, description)| json!({"command": name, "description": description}));
    Ok(list.collect())
}

pub fn delete_my_commands(world: &mut World, call: &Call) -> Answered {
    let scope = scope_of(world, call)?;
    world.commands.remove(&scope);
    Ok(true.into())
}
