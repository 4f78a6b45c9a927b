//! What an update is for us: who said what where, and whether it was said to the bot. Pure.

use teloxide_core::types::{
    CallbackQuery, ChatMemberUpdated, ChatMigration, FileMeta, MediaKind, Message, MessageCommon, MessageKind,
    PhotoSize, Update, UpdateKind,
};

use super::api::Me;
use super::spot::Spot;
use crate::templates::Lang;

/// The largest photo that is taken, in bytes.
pub(super) const MAX_PHOTO_BYTES: usize = 5 * 1024 * 1024;

/// Somebody did something that concerns the bot.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Incoming {
    /// Where.
    pub(super) spot: Spot,
    /// Who.
    pub(super) from: Sender,
    /// The message it is about; 0 for none.
    pub(super) message: i32,
    /// The message it replies to.
    pub(super) replied: Option<i32>,
    /// Said to the bot. In groups most is not.
    pub(super) to_us: bool,
    /// What.
    pub(super) what: What,
}

/// A person, as far as we want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    pub(super) id: i64,
    /// The language of their app, if we speak it.
    pub(super) lang: Option<Lang>,
}

/// What somebody did.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum What {
    /// Wrote, or sent a photo with or without words.
    Said { text: String, photo: Option<Sight>, album: Option<String> },
    /// Changed what they wrote.
    Edited { text: String },
    /// Pressed a button.
    Pressed { press: String, data: String },
    /// Sent something the bot has no use for.
    Unsupported,
    /// Let the bot in: unblocked it, or took it into a group.
    Joined,
    /// Blocked the bot, or threw it out.
    Left,
    /// The group has another id from now on.
    Migrated { to: i64 },
}

/// A photo.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Sight {
    /// To be fetched by this id.
    File(String),
    /// None of its sizes is small enough.
    TooLarge,
}

/// What an update is for the bot; `None` for nothing.
pub(super) fn read(update: Update, me: &Me) -> Option<Incoming> {
    match update.kind {
        UpdateKind::Message(message) => said(message, me),
        UpdateKind::EditedMessage(message) => edited(message, me),
        UpdateKind::CallbackQuery(query) => pressed(query),
        UpdateKind::MyChatMember(change) => membership(change),
        _ => None,
    }
}

fn said(message: Message, me: &Me) -> Option<Incoming> {
    let spot = spot_of(&message);
    let id = message.id.0;
    let is_private = message.chat.is_private();
    if message.chat.is_channel() {
        return None;
    }
    if let MessageKind::Common(MessageCommon { media_kind: MediaKind::Migration(migration), .. }) = &message.kind {
        let ChatMigration::To { chat_id } = migration else { return None };
        let from = Sender { id: 0, lang: None };
        let what = What::Migrated { to: chat_id.0 };
        return Some(Incoming { spot, from, message: id, replied: None, to_us: true, what });
    }
    let from = sender(&message)?;
    let replied = message.reply_to_message().map(|replied| replied.id.0);
    // What Telegram itself tells of a chat (a pinned message, a new title) is no word of anybody. What teloxide is too
    // old to know is empty here.
    let content = match message.kind {
        MessageKind::Common(common) if common.is_automatic_forward => return None,
        MessageKind::Common(common) => Content::of(common, me),
        MessageKind::Empty {} if is_private => Content { what: What::Unsupported, replies_to_us: false },
        _ => return None,
    };
    let (what, to_us) = match content.what {
        What::Said { text, photo, album } => {
            let (text, is_meant) = addressed(&text, me, is_private);
            let is_bare_reply = content.replies_to_us && !is_command(&text);
            let to_us = is_private || is_meant || (is_bare_reply && !is_for_another(&text, me));
            (What::Said { text, photo, album }, to_us)
        }
        what => (what, is_private),
    };
    Some(Incoming { spot, from, message: id, replied, to_us, what })
}

fn edited(message: Message, me: &Me) -> Option<Incoming> {
    let incoming = said(message, me)?;
    // A photo whose words were changed is not asked about again: photos are not kept.
    let What::Said { text, photo: None, .. } = incoming.what else { return None };
    Some(Incoming { what: What::Edited { text }, ..incoming })
}

fn pressed(query: CallbackQuery) -> Option<Incoming> {
    let message = query.message?;
    let thread = message.regular_message().and_then(topic_of);
    let spot = Spot { chat: message.chat().id.0, thread };
    let from = Sender { id: i64::try_from(query.from.id.0).ok()?, lang: lang_of(query.from.language_code.as_deref()) };
    let what = What::Pressed { press: query.id.0, data: query.data.unwrap_or_default() };
    Some(Incoming { spot, from, message: message.id().0, replied: None, to_us: true, what })
}

fn membership(change: ChatMemberUpdated) -> Option<Incoming> {
    let (was, is) = (change.old_chat_member.is_present(), change.new_chat_member.is_present());
    let what = match (was, is) {
        (true, false) => What::Left,
        (false, true) => What::Joined,
        _ => return None,
    };
    let spot = Spot { chat: change.chat.id.0, thread: None };
    let from =
        Sender { id: i64::try_from(change.from.id.0).ok()?, lang: lang_of(change.from.language_code.as_deref()) };
    (!change.chat.is_channel()).then_some(Incoming { spot, from, message: 0, replied: None, to_us: true, what })
}

/// Who wrote. Other bots are nobody, but an admin who writes in the name of their group is.
fn sender(message: &Message) -> Option<Sender> {
    let user = message.from.as_ref()?;
    let in_name_of_group = message.sender_chat.as_ref().is_some_and(|chat| chat.id == message.chat.id);
    if user.is_bot && !in_name_of_group {
        return None;
    }
    Some(Sender { id: i64::try_from(user.id.0).ok()?, lang: lang_of(user.language_code.as_deref()) })
}

fn lang_of(code: Option<&str>) -> Option<Lang> {
    code.and_then(Lang::parse)
}

fn spot_of(message: &Message) -> Spot {
    Spot { chat: message.chat.id.0, thread: topic_of(message) }
}

/// The topic of a message; a chain of replies in a chat without topics is none.
fn topic_of(message: &Message) -> Option<i32> {
    message.thread_id.filter(|_| message.is_topic_message).map(|thread| thread.0.0)
}

struct Content {
    what: What,
    replies_to_us: bool,
}

impl Content {
    fn of(common: MessageCommon, me: &Me) -> Content {
        let replied = common.reply_to_message.as_ref().and_then(|replied| replied.from.as_ref());
        let replies_to_us = replied.is_some_and(|user| i64::try_from(user.id.0) == Ok(me.id));
        let what = match common.media_kind {
            // What somebody else wrote commands nothing, whoever forwards it.
            MediaKind::Text(text) if common.forward_origin.is_some() => {
                What::Said { text: format!("> {}", text.text), photo: None, album: None }
            }
            MediaKind::Text(text) => What::Said { text: text.text, photo: None, album: None },
            MediaKind::Photo(photo) => What::Said {
                text: photo.caption.unwrap_or_default(),
                photo: Some(best_size(&photo.photo)),
                album: photo.media_group_id.map(|id| id.0),
            },
            // A picture that was sent as a file.
            MediaKind::Document(file) if file.document.mime_type.as_ref().is_some_and(is_picture) => What::Said {
                text: file.caption.unwrap_or_default(),
                photo: Some(sight(&file.document.file)),
                album: file.media_group_id.map(|id| id.0),
            },
            _ => What::Unsupported,
        };
        Content { what, replies_to_us }
    }
}

fn is_picture(mime: &impl AsRef<str>) -> bool {
    ["image/jpeg", "image/png", "image/webp", "image/gif"].contains(&mime.as_ref())
}

/// The largest size that is not too large.
fn best_size(sizes: &[PhotoSize]) -> Sight {
    let fitting = sizes.iter().filter(|size| fits(&size.file));
    let largest = fitting.max_by_key(|size| u64::from(size.width) * u64::from(size.height));
    largest.map_or(Sight::TooLarge, |size| Sight::File(size.file.id.0.clone()))
}

fn sight(file: &FileMeta) -> Sight {
    if fits(file) { Sight::File(file.id.0.clone()) } else { Sight::TooLarge }
}

/// A file of unknown size has the largest number there is; what comes is counted.
fn fits(file: &FileMeta) -> bool {
    file.size == u32::MAX || usize::try_from(file.size).is_ok_and(|size| size <= MAX_PHOTO_BYTES)
}

fn is_command(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    first.len() > 1 && first.starts_with('/') && !first[1..].contains('/')
}

/// A command with the name of another bot behind it.
fn is_for_another(text: &str, me: &Me) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    is_command(text) && first.split_once('@').is_some_and(|(_, name)| !name.eq_ignore_ascii_case(&me.username))
}

/// The text without the bot's name, and whether it is meant for the bot by that name or as a command.
fn addressed(text: &str, me: &Me, is_private: bool) -> (String, bool) {
    if is_command(text) {
        return (text.to_owned(), !is_for_another(text, me));
    }
    match without_mention(text, &me.username) {
        Some(rest) => (if is_private { text.to_owned() } else { rest }, true),
        None => (text.to_owned(), false),
    }
}

/// The text without the first `@name`; `None` when it is not in there as a word.
fn without_mention(text: &str, name: &str) -> Option<String> {
    let mention = format!("@{name}");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let at = text.char_indices().map(|(at, _)| at).find(|at| {
        let found = text[*at..].get(..mention.len()).is_some_and(|here| here.eq_ignore_ascii_case(&mention));
        let ends = |text: &str| !text.chars().next().is_some_and(is_word);
        found && ends(&text[at + mention.len()..]) && !text[..*at].chars().next_back().is_some_and(is_word)
    })?;
    let (before, after) = (text[..at].trim_end(), text[at + mention.len()..].trim_start());
    let after = after.trim_start_matches([',', ':']).trim_start();
    Some(if before.is_empty() { after.to_owned() } else { format!("{before} {after}").trim_end().to_owned() })
}

#[cfg(test)]
mod tests;
