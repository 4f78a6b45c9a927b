//! The methods of the Bot API, each as strict as the real one. What they refuse, they refuse in Telegram's words.

use serde_json::{Value, json};

use super::call::Call;
use super::html::{self, Formatted};
use super::refusal::Refusal;
use super::world::{Access, BOT_ID, Edit, Kind, Message, World, bot_json, now};
use super::{commands, markup, media};

pub type Answered = Result<Value, Refusal>;
type Method = fn(&mut World, &Call) -> Answered;

const MAX_TEXT: usize = 4096;
const MAX_CAPTION: usize = 1024;
const MAX_TOAST: usize = 200;
const CHAT: &[&str] = &["chat_id", "message_thread_id"];
const SHOWN: &[&str] = &["disable_notification", "protect_content", "allow_paid_broadcast", "message_effect_id"];
const REPLY: &[&str] = &["reply_parameters", "reply_to_message_id", "allow_sending_without_reply", "reply_markup"];
const TEXT: &[&str] = &["text", "parse_mode", "entities", "link_preview_options", "disable_web_page_preview"];
const CAPTION: &[&str] = &["caption", "parse_mode", "caption_entities", "show_caption_above_media", "has_spoiler"];

/// Name, what it does, the parameters it reads. Polls and webhooks are in `delivery`.
const METHODS: &[(&str, Method, &[&[&str]])] = &[
    ("getMe", get_me, &[]),
    ("getChat", get_chat, &[&["chat_id"]]),
    ("getChatMember", get_chat_member, &[&["chat_id", "user_id"]]),
    ("leaveChat", leave_chat, &[&["chat_id"]]),
    ("sendMessage", send_message, &[CHAT, SHOWN, REPLY, TEXT]),
    ("sendMessageDraft", send_message_draft, &[CHAT, TEXT, &["draft_id"]]),
    ("sendPhoto", media::send_photo, &[CHAT, SHOWN, REPLY, CAPTION, &["photo"]]),
    (
        "sendDocument",
        media::send_document,
        &[CHAT, SHOWN, REPLY, CAPTION, &["document", "disable_content_type_detection"]],
    ),
    ("sendChatAction", send_chat_action, &[CHAT, &["action"]]),
    ("editMessageText", edit_message_text, &[TEXT, &["chat_id", "message_id", "reply_markup"]]),
    ("editMessageCaption", edit_message_caption, &[CAPTION, &["chat_id", "message_id", "reply_markup"]]),
    ("editMessageReplyMarkup", edit_message_reply_markup, &[&["chat_id", "message_id", "reply_markup"]]),
    ("deleteMessage", delete_message, &[&["chat_id", "message_id"]]),
    (
        "answerCallbackQuery",
        answer_callback_query,
        &[&["callback_query_id", "text", "show_alert", "url", "cache_time"]],
    ),
    ("setMyCommands", commands::set_my_commands, &[&["commands", "scope", "language_code"]]),
    ("getMyCommands", commands::get_my_commands, &[&["scope", "language_code"]]),
    ("deleteMyCommands", commands::delete_my_commands, &[&["scope", "language_code"]]),
    ("getFile", media::get_file, &[&["file_id"]]),
];

/// A method by its name, in any case, as the manual writes it.
pub fn canonical(name: &str) -> Option<&'static str> {
    let polls = super::delivery::METHODS.iter().copied();
    METHODS.iter().map(|(known, ..)| *known).chain(polls).find(|known| known.eq_ignore_ascii_case(name))
}

/// Does a call of one of [`METHODS`].
pub fn run(world: &mut World, call: &Call) -> Answered {
    let (_, method, params) = METHODS.iter().find(|(name, ..)| *name == call.method).ok_or_else(Refusal::no_method)?;
    let is_known = |name: &String| params.iter().any(|group| group.contains(&name.as_str()));
    for name in call.params.keys().filter(|name| !is_known(name)) {
        world.oddities.push(format!("{} has no parameter `{name}`", call.method));
    }
    if let (true, Some(chat)) = (call.is_counted(), call.chat) {
        let is_group = world.rooms.get(&chat).is_some_and(|room| room.kind != Kind::Private);
        if let Some(seconds) = world.rates.count(chat, is_group, call.at) {
            return Err(Refusal::retry_after(seconds));
        }
    }
    method(world, call)
}

/// The chat of a call, if the bot may write to it.
pub fn chat_of(world: &World, call: &Call) -> Result<i64, Refusal> {
    if call.text("chat_id").is_empty() {
        return Err(Refusal::bad("chat_id is empty"));
    }
    let room = call.chat.and_then(|id| world.rooms.get(&id)).ok_or_else(|| Refusal::bad("chat not found"))?;
    let kind = if room.kind == Kind::Group { "group" } else { "supergroup" };
    match room.access {
        Access::Open => Ok(room.id),
        Access::Blocked => Err(Refusal::forbidden("bot was blocked by the user")),
        Access::Kicked => Err(Refusal::forbidden(&format!("bot was kicked from the {kind} chat"))),
        Access::Left => Err(Refusal::forbidden(&format!("bot is not a member of the {kind} chat"))),
        Access::MigratedTo(id) => Err(Refusal::migrated(id)),
    }
}

/// The topic of a call: only forums and private chats have topics, elsewhere the parameter is not read.
pub fn topic_of(world: &World, call: &Call, chat: i64) -> Result<Option<i64>, Refusal> {
    let Some(topic) = call.integer("message_thread_id").filter(|topic| *topic != 0) else { return Ok(None) };
    let room = &world.rooms[&chat];
    match room.kind {
        Kind::Group | Kind::Supergroup => Ok(None),
        Kind::Private | Kind::Forum if room.topics.contains(&topic) => Ok(Some(topic)),
        Kind::Private | Kind::Forum => Err(Refusal::bad("message thread not found")),
    }
}

/// The text of a call, read as its `parse_mode` says.
pub fn formatted(world: &mut World, call: &Call, name: &str) -> Result<Formatted, Refusal> {
    let text = call.text(name);
    if text.len() > 1 << 15 {
        return Err(Refusal::bad("text is too long"));
    }
    match call.text("parse_mode").to_lowercase().as_str() {
        "" | "none" => {
            let list = if name == "text" { "entities" } else { "caption_entities" };
            let entities = call.json(list).and_then(Value::as_array).cloned().unwrap_or_default();
            Ok(Formatted { entities, ..Formatted::plain(&text) }.trimmed())
        }
        "html" => {
            let parsed = html::parse(&text).map_err(|error| Refusal::bad(format!("can't parse entities: {error}")))?;
            world.oddities.extend(parsed.oddities.iter().map(|oddity| format!("{}: {oddity}", call.method)));
            Ok(parsed.trimmed())
        }
        "markdown" | "markdownv2" => {
            Err(Refusal::bad("this fake reads HTML only, and so does the bot it was made for"))
        }
        _ => Err(Refusal::bad("unsupported parse_mode")),
    }
}

fn message_text(world: &mut World, call: &Call, too_long: &str) -> Result<Formatted, Refusal> {
    if call.text("text").is_empty() {
        return Err(Refusal::bad("message text is empty"));
    }
    let formatted = formatted(world, call, "text")?;
    match formatted.text.chars().count() {
        0 => Err(Refusal::bad("text must be non-empty")),
        count if count > MAX_TEXT => Err(Refusal::bad(too_long)),
        _ => Ok(formatted),
    }
}

/// The caption of a call, which may be empty.
pub fn caption(world: &mut World, call: &Call) -> Result<Formatted, Refusal> {
    let formatted = formatted(world, call, "caption")?;
    if formatted.text.chars().count() > MAX_CAPTION {
        return Err(Refusal::bad("message caption is too long"));
    }
    Ok(formatted)
}

fn get_me(_: &mut World, _: &Call) -> Answered {
    let mut me = bot_json();
    let flags = json!({
        "can_join_groups": true, "can_read_all_group_messages": false, "supports_inline_queries": false,
        "can_connect_to_business": false, "has_main_web_app": false, "has_topics_enabled": false,
    });
    me.as_object_mut().expect("made as an object").extend(flags.as_object().cloned().expect("an object"));
    Ok(me)
}

fn get_chat(world: &mut World, call: &Call) -> Answered {
    let chat = chat_of(world, call)?;
    let mut json = world.chat_json(chat);
    let gifts = world.rooms[&chat].kind == Kind::Private;
    json["accent_color_id"] = 0.into();
    json["max_reaction_count"] = 11.into();
    json["accepted_gift_types"] = json!({
        "unlimited_gifts": gifts, "limited_gifts": gifts, "unique_gifts": gifts, "premium_subscription": gifts,
        "gifts_from_channels": gifts,
    });
    Ok(json)
}

fn get_chat_member(world: &mut World, call: &Call) -> Answered {
    chat_of(world, call)?;
    let user = call.integer("user_id").filter(|user| *user == BOT_ID || world.people.contains_key(user));
    let user = user.ok_or_else(|| Refusal::bad("user not found"))?;
    Ok(json!({"status": "member", "user": world.user_json(user)}))
}

fn leave_chat(world: &mut World, call: &Call) -> Answered {
    let chat = chat_of(world, call)?;
    if world.rooms[&chat].kind == Kind::Private {
        return Err(Refusal::bad("chat member status can't be changed in private chats"));
    }
    world.room(chat).access = Access::Left;
    Ok(true.into())
}

/// A message of the bot with what every kind of message has: topic, reply, keyboard.
pub fn bot_message(world: &mut World, call: &Call, formatted: Formatted) -> Result<(i64, Message), Refusal> {
    let chat = chat_of(world, call)?;
    let topic = topic_of(world, call, chat)?;
    let markup = markup::of(call)?;
    let reply_to = markup::reply_of(world, call, chat)?;
    let mut message = world.message(chat, BOT_ID, formatted);
    (message.topic, message.markup, message.reply_to) = (topic, markup, reply_to);
    Ok((chat, message))
}

fn send_message(world: &mut World, call: &Call) -> Answered {
    let formatted = message_text(world, call, "message is too long")?;
    let (chat, message) = bot_message(world, call, formatted)?;
    Ok(world.show(chat, message))
}

fn send_message_draft(world: &mut World, call: &Call) -> Answered {
    if !world.drafts {
        return Err(Refusal::no_method());
    }
    let formatted = formatted(world, call, "text")?;
    let chat = chat_of(world, call)?;
    topic_of(world, call, chat)?;
    let draft = call.integer("draft_id").filter(|id| *id != 0).ok_or_else(|| Refusal::bad("RANDOM_ID_INVALID"))?;
    if world.rooms[&chat].kind != Kind::Private {
        return Err(Refusal::bad("TEXTDRAFT_PEER_INVALID"));
    }
    if formatted.text.chars().count() > MAX_TEXT {
        return Err(Refusal::bad("MESSAGE_TOO_LONG"));
    }
    world.room(chat).draft = Some((draft, formatted.text));
    Ok(true.into())
}

fn send_chat_action(world: &mut World, call: &Call) -> Answered {
    const ACTIONS: [&str; 11] = [
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    ];
    let action = call.text("action");
    if !ACTIONS.contains(&action.as_str()) {
        return Err(Refusal::bad("wrong parameter action in request"));
    }
    let chat = chat_of(world, call)?;
    topic_of(world, call, chat)?;
    world.room(chat).action = Some((action, now()));
    Ok(true.into())
}

/// The place of a message of the bot that a call edits.
fn edited(world: &World, call: &Call) -> Result<(i64, usize), Refusal> {
    let chat = chat_of(world, call)?;
    let id = call.integer("message_id").unwrap_or(0);
    if id == 0 {
        return Err(Refusal::bad("message identifier is not specified"));
    }
    let messages = &world.rooms[&chat].messages;
    let at = messages.iter().position(|message| message.id == id && !message.deleted);
    let at = at.ok_or_else(|| Refusal::bad("message to edit not found"))?;
    if messages[at].is_from_bot() { Ok((chat, at)) } else { Err(Refusal::bad("message can't be edited")) }
}

/// Puts a new text, and always a new keyboard (none takes the old one away), into a message.
fn edit(world: &mut World, call: &Call, (chat, at): (i64, usize), formatted: Formatted) -> Answered {
    let markup = markup::of(call)?.filter(|markup| markup != &json!({"inline_keyboard": []}));
    let message = &mut world.room(chat).messages[at];
    let is_same =
        (&message.text, &message.entities, &message.markup) == (&formatted.text, &formatted.entities, &markup);
    if is_same {
        return Err(Refusal::bad(
            "message is not modified: specified new message content and reply markup are exactly the same as a \
             current content and reply markup of the message",
        ));
    }
    message.edits.push(Edit { at: call.at, text: std::mem::replace(&mut message.text, formatted.text) });
    (message.entities, message.markup) = (formatted.entities, markup);
    let id = message.id;
    Ok(world.message_json(chat, id))
}

fn edit_message_text(world: &mut World, call: &Call) -> Answered {
    let formatted = message_text(world, call, "MESSAGE_TOO_LONG")?;
    let place = edited(world, call)?;
    if world.rooms[&place.0].messages[place.1].media != json!({}) {
        return Err(Refusal::bad("there is no text in the message to edit"));
    }
    edit(world, call, place, formatted)
}

fn edit_message_caption(world: &mut World, call: &Call) -> Answered {
    let formatted = caption(world, call)?;
    let place = edited(world, call)?;
    if world.rooms[&place.0].messages[place.1].media == json!({}) {
        return Err(Refusal::bad("there is no caption in the message to edit"));
    }
    edit(world, call, place, formatted)
}

fn edit_message_reply_markup(world: &mut World, call: &Call) -> Answered {
    let place = edited(world, call)?;
    let message = &world.rooms[&place.0].messages[place.1];
    let same = Formatted { entities: message.entities.clone(), ..Formatted::plain(&message.text) };
    edit(world, call, place, same)
}

fn delete_message(world: &mut World, call: &Call) -> Answered {
    let chat = chat_of(world, call)?;
    let id = call.integer("message_id").unwrap_or(0);
    let room = world.room(chat);
    let is_private = room.kind == Kind::Private;
    let message = room.messages.iter_mut().find(|message| message.id == id && !message.deleted);
    let message = message.ok_or_else(|| Refusal::bad("message to delete not found"))?;
    if !is_private && !message.is_from_bot() {
        return Err(Refusal::bad("message can't be deleted"));
    }
    message.deleted = true;
    Ok(true.into())
}

fn answer_callback_query(world: &mut World, call: &Call) -> Answered {
    let text = call.text("text");
    if text.chars().count() > MAX_TOAST {
        return Err(Refusal::bad("MESSAGE_TOO_LONG"));
    }
    let life = world.press_life;
    let press = world.presses.get_mut(&call.text("callback_query_id"));
    let press = press.filter(|press| press.answer.is_none() && call.at.duration_since(press.at) <= life);
    let too_old = "query is too old and response timeout expired or query ID is invalid";
    press.ok_or_else(|| Refusal::bad(too_old))?.answer = Some(text);
    Ok(true.into())
}
