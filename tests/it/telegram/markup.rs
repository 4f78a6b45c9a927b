//! What hangs on a message: its keyboard, and the message it replies to.

use serde_json::Value;

use super::call::Call;
use super::refusal::Refusal;
use super::world::World;

const MAX_BUTTONS: usize = 100;
/// More in a row are cut by some apps.
const MAX_IN_ROW: usize = 8;

/// The keyboard of a call, checked.
pub fn of(call: &Call) -> Result<Option<Value>, Refusal> {
    let markup = match call.params.get("reply_markup") {
        None => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(markup) => markup,
    };
    if !markup.is_object() {
        return Err(Refusal::bad("object expected as reply markup"));
    }
    let Some(rows) = markup.get("inline_keyboard") else { return Ok(Some(markup.clone())) };
    let arrays = "field \"inline_keyboard\" of the InlineKeyboardMarkup must be an Array of Arrays";
    let mut count = 0;
    for row in rows.as_array().ok_or_else(|| Refusal::bad(arrays))? {
        let row = row.as_array().ok_or_else(|| Refusal::bad(arrays))?;
        row.iter().try_for_each(check_button)?;
        count += row.len();
        if row.len() > MAX_IN_ROW {
            return Err(Refusal::bad("reply markup is too long"));
        }
    }
    if count > MAX_BUTTONS {
        return Err(Refusal::bad("reply markup is too long"));
    }
    Ok(Some(markup.clone()))
}

fn check_button(button: &Value) -> Result<(), Refusal> {
    let wrong = |what: &str| Refusal::bad(format!("can't parse inline keyboard button: {what}"));
    if !button.is_object() {
        return Err(wrong("InlineKeyboardButton must be an Object"));
    }
    match button["text"].as_str() {
        None => return Err(wrong("Can't find field \"text\"")),
        Some("") => return Err(Refusal::bad("BUTTON_TEXT_INVALID")),
        Some(_) => {}
    }
    if let Some(style) = button.get("style").and_then(Value::as_str)
        && !["default", "primary", "danger", "success", ""].contains(&style)
    {
        return Err(wrong("Invalid button style specified"));
    }
    if let Some(url) = button["url"].as_str().filter(|url| !url.is_empty()) {
        let has_host = |url: &str| url.split(['/', '?']).next().is_some_and(|host| host.contains('.'));
        let rest = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let is_good = url.starts_with("tg://") || rest.is_some_and(has_host);
        return if is_good { Ok(()) } else { Err(Refusal::bad("BUTTON_URL_INVALID")) };
    }
    match button["callback_data"].as_str() {
        Some(data) if (1..=64).contains(&data.len()) => Ok(()),
        Some("") | None if has_other_use(button) => Ok(()),
        Some("") | None => Err(wrong("Text buttons are unallowed in the inline keyboard")),
        Some(_) => Err(Refusal::bad("BUTTON_DATA_INVALID")),
    }
}

fn has_other_use(button: &Value) -> bool {
    ["switch_inline_query", "switch_inline_query_current_chat", "copy_text", "web_app", "login_url", "pay"]
        .iter()
        .any(|name| button.get(name).is_some())
}

/// The message a call replies to, which must be there unless it says that it need not.
pub fn reply_of(world: &World, call: &Call, chat: i64) -> Result<Option<i64>, Refusal> {
    let (id, lenient) = match call.params.get("reply_parameters") {
        None => (call.integer("reply_to_message_id").unwrap_or(0), call.flag("allow_sending_without_reply")),
        Some(Value::Object(reply)) if reply.is_empty() => return Ok(None),
        Some(Value::Object(reply)) => {
            let id = reply.get("message_id").and_then(Value::as_i64);
            let id = id.ok_or_else(|| Refusal::bad("can't find field \"message_id\""))?;
            (id, reply.get("allow_sending_without_reply").and_then(Value::as_bool).unwrap_or(false))
        }
        Some(_) => return Err(Refusal::bad("object expected as reply parameters")),
    };
    let is_there = world.rooms[&chat].messages.iter().any(|message| message.id == id && !message.deleted);
    match (id, is_there, lenient) {
        (..=0, ..) | (_, false, true) => Ok(None),
        (_, true, _) => Ok(Some(id)),
        (_, false, false) => Err(Refusal::bad("message to be replied not found")),
    }
}
