//! A chat as a person sees it and uses it: write, edit, press, send a picture, read what is on the screen.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::fake_api::Shared;
use super::html::Formatted;
use super::media::{document_json, photo_json, picture_size};
use super::world::{Access, BOT_NAME, Edit, Kind, Message, Person, Press, World, bot_json, now, unix_time};

/// A chat through the eyes of one person in it. Clones look at the same chat.
#[derive(Clone)]
pub struct Chat {
    shared: Arc<Shared>,
    id: i64,
    person: Person,
    topic: Option<i64>,
    reply_to: Option<i64>,
}

/// What a person sent: the message, and the update that tells the bot (0 when the bot is not told).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub message: i64,
    pub update: i64,
}

impl Chat {
    pub(super) fn new(shared: &Arc<Shared>, id: i64, person: &Person) -> Chat {
        Chat { shared: Arc::clone(shared), id, person: person.clone(), topic: None, reply_to: None }
    }

    pub fn id(&self) -> i64 {
        self.id
    }

    pub fn person(&self) -> &Person {
        &self.person
    }

    /// The same chat through somebody else, such as a stranger in a group.
    pub fn as_person(&self, person: &Person) -> Chat {
        self.shared.with(|world| world.people.insert(person.id, person.clone()));
        Chat { person: person.clone(), ..self.clone() }
    }

    /// The same chat, writing in a topic.
    pub fn in_topic(&self, topic: i64) -> Chat {
        self.shared.with(|world| {
            let topics = &mut world.room(self.id).topics;
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        });
        Chat { topic: Some(topic), ..self.clone() }
    }

    /// The same chat, replying to a message.
    pub fn replying_to(&self, message: i64) -> Chat {
        Chat { reply_to: Some(message), ..self.clone() }
    }

    // What the person does.

    /// Writes a message.
    pub fn says(&self, text: &str) -> Sent {
        self.sends(Formatted { entities: commands_in(text), ..Formatted::plain(text) }, |_| json!({}))
    }

    /// Sends a picture (PNG or JPEG), with a caption or an empty one.
    pub fn sends_photo(&self, bytes: &[u8], caption: &str) -> Sent {
        let size = picture_size(bytes).expect("a PNG or a JPEG");
        self.sends(Formatted::plain(caption), |world| json!({"photo": photo_json(world, bytes.to_vec(), size)}))
    }

    /// Sends pictures as one album; the caption is that of the first.
    pub fn sends_album(&self, pictures: &[&[u8]], caption: &str) -> Vec<Sent> {
        let album = self.shared.with(|world| {
            world.last_file += 1;
            format!("1370000{:06}", world.last_file)
        });
        let captions = std::iter::once(caption).chain(std::iter::repeat(""));
        let send = |(bytes, caption): (&&[u8], &str)| {
            let size = picture_size(bytes).expect("a PNG or a JPEG");
            let media =
                |world: &mut World| json!({"photo": photo_json(world, bytes.to_vec(), size), "media_group_id": album});
            self.sends(Formatted::plain(caption), media)
        };
        pictures.iter().zip(captions).map(send).collect()
    }

    /// Sends a file; `size` may claim more bytes than there are, to stand for a huge one.
    pub fn sends_document(&self, name: &str, bytes: &[u8], size: Option<usize>, caption: &str) -> Sent {
        let media = |world: &mut World| json!({"document": document_json(world, name, bytes.to_vec(), size)});
        self.sends(Formatted::plain(caption), media)
    }

    /// Sends what is neither text nor a picture, as its fields: `{"sticker": {…}}`, `{"voice": {…}}`.
    pub fn sends_other(&self, fields: Value) -> Sent {
        self.sends(Formatted::default(), |_| fields)
    }

    fn sends(&self, formatted: Formatted, media: impl FnOnce(&mut World) -> Value) -> Sent {
        self.shared.with(|world| {
            world.room(self.id).access = match world.room(self.id).access {
                // Whoever writes to a bot has unblocked it.
                Access::Blocked => Access::Open,
                access => access,
            };
            let mut message = world.message(self.id, self.person.id, formatted);
            (message.topic, message.reply_to, message.media) = (self.topic, self.reply_to, media(world));
            let (id, text) = (message.id, message.text.clone());
            let json = world.show(self.id, message);
            let update = if self.bot_hears(world, &text) { world.queue.push("message", json) } else { 0 };
            Sent { message: id, update }
        })
    }

    /// Whether the bot is told of a message: in groups, privacy mode keeps most from it.
    fn bot_hears(&self, world: &World, text: &str) -> bool {
        let room = &world.rooms[&self.id];
        let replied = room.messages.iter().find(|message| Some(message.id) == self.reply_to);
        let to_other = commands_in(text).first().is_some_and(|command| {
            let len = command["length"].as_u64().unwrap_or(0) as usize;
            text.get(..len).and_then(|command| command.split_once('@')).is_some_and(|(_, name)| name != BOT_NAME)
        });
        let is_meant = text.starts_with('/') && !to_other
            || text.contains(&format!("@{BOT_NAME}"))
            || replied.is_some_and(Message::is_from_bot);
        room.access == Access::Open && (room.kind == Kind::Private || !world.privacy || is_meant)
    }

    /// Changes the text of an own message; gives the update.
    pub fn edits(&self, message: i64, text: &str) -> i64 {
        self.shared.with(|world| {
            let room = world.room(self.id);
            let found = room.messages.iter_mut().find(|known| known.id == message).expect("a message of this chat");
            found.edits.push(Edit { at: now(), text: std::mem::replace(&mut found.text, text.to_owned()) });
            found.entities = commands_in(text);
            let json = world.message_json(self.id, message);
            if self.bot_hears(world, text) { world.queue.push("edited_message", json) } else { 0 }
        })
    }

    /// Takes a message away; the bot is not told.
    pub fn deletes(&self, message: i64) {
        self.shared.with(|world| {
            let found = world.room(self.id).messages.iter_mut().find(|known| known.id == message);
            found.expect("a message of this chat").deleted = true;
        });
    }

    /// Presses the button whose label holds this text, on the newest message that has it; gives the id of the press.
    pub fn press(&self, label: &str) -> String {
        let shown = self.shows();
        let found = shown.iter().rev().find_map(|message| Some((message.id, message.data_of(label)?)));
        let Some((message, data)) = found else {
            let buttons: Vec<_> = shown.iter().flat_map(Message::buttons).collect();
            panic!("no button `{label}` on the screen, only {buttons:?}");
        };
        self.press_data(message, &data)
    }

    /// Presses a button by its data, which may be none that is shown any more: apps keep old screens.
    pub fn press_data(&self, message: i64, data: &str) -> String {
        self.shared.with(|world| {
            world.last_press += 7_919;
            let id = world.last_press.to_string();
            let press = Press { chat: self.id, message, at: now(), answer: None };
            world.presses.insert(id.clone(), press);
            let is_there = world.room(self.id).messages.iter().any(|known| known.id == message && !known.deleted);
            let shown = if is_there {
                world.message_json(self.id, message)
            } else {
                // A message that is gone keeps only its place.
                json!({"chat": world.chat_json(self.id), "message_id": message, "date": 0})
            };
            let query = json!({
                "id": id, "from": self.person.json(), "message": shown,
                "chat_instance": format!("{}", self.id.unsigned_abs() * 31), "data": data,
            });
            world.queue.push("callback_query", query);
            id
        })
    }

    /// The toast that answered a press, empty for one without text; waits for it.
    pub async fn toast(&self, press: &str) -> String {
        self.shared.wait(|world| world.presses.get(press)?.answer.clone()).await
    }

    /// Presses Start and, in a group, adds the bot; gives the update.
    pub fn adds_bot(&self) -> i64 {
        self.shared.with(|world| world.room(self.id).access = Access::Open);
        if self.shared.lock().room(self.id).kind != Kind::Private {
            self.service(json!({"new_chat_members": [bot_json()]}));
        }
        self.membership("left", "member")
    }

    /// Blocks the bot, or throws it out of the group.
    pub fn blocks_bot(&self) -> i64 {
        let access = match self.shared.lock().room(self.id).kind {
            Kind::Private => Access::Blocked,
            _ => Access::Kicked,
        };
        self.shared.with(|world| world.room(self.id).access = access);
        self.membership("member", "kicked")
    }

    fn membership(&self, old: &str, new: &str) -> i64 {
        let member = |status: &str| {
            let mut member = json!({"status": status, "user": bot_json()});
            if status == "kicked" {
                member["until_date"] = 0.into();
            }
            member
        };
        self.shared.with(|world| {
            let change = json!({
                "chat": world.chat_json(self.id), "from": self.person.json(), "date": unix_time(),
                "old_chat_member": member(old), "new_chat_member": member(new),
            });
            world.queue.push("my_chat_member", change)
        })
    }

    /// A message that Telegram itself shows.
    pub(super) fn service(&self, fields: Value) {
        self.shared.with(|world| {
            let mut message = world.message(self.id, self.person.id, Formatted::default());
            message.media = fields;
            let json = world.show(self.id, message);
            world.queue.push("message", json)
        });
    }

    // What the person sees.

    /// All messages on the screen as they are now, everybody's, oldest first.
    pub fn shows(&self) -> Vec<Message> {
        visible(&self.shared.lock(), self.id, self.topic)
    }

    /// The texts of the bot's messages on the screen.
    pub fn reads(&self) -> Vec<String> {
        self.shows().into_iter().filter(Message::is_from_bot).map(|message| message.text).collect()
    }

    /// A message by its id, deleted or not, with its history.
    pub fn message(&self, id: i64) -> Message {
        let world = self.shared.lock();
        world.rooms[&self.id].messages.iter().find(|message| message.id == id).expect("a message of this chat").clone()
    }

    /// Waits until a look at the screen gives something.
    pub async fn wait_for<T>(&self, mut look: impl FnMut(&[Message]) -> Option<T>) -> T {
        self.shared.wait(|world| look(&visible(world, self.id, self.topic))).await
    }

    /// Waits until the bot shows a message with this text in it.
    pub async fn sees(&self, text: &str) -> Message {
        self.sees_after(0, text).await
    }

    /// Waits until the bot shows a message with this text in it, newer than another message.
    pub async fn sees_after(&self, message: i64, text: &str) -> Message {
        let fits = |known: &&Message| known.id > message && known.is_from_bot() && known.text.contains(text);
        self.wait_for(|messages| messages.iter().find(fits).cloned()).await
    }

    /// The draft that grows on the screen, if there is one.
    pub fn draft(&self) -> Option<String> {
        self.shared.lock().room(self.id).draft.clone().map(|(_, text)| text)
    }

    /// When the bot last said what it does (`typing`), unless it has shown a message since.
    pub fn action(&self) -> Option<(String, Instant)> {
        self.shared.lock().room(self.id).action.clone()
    }
}

fn visible(world: &World, chat: i64, topic: Option<i64>) -> Vec<Message> {
    let shown = world.rooms[&chat].messages.iter().filter(|message| !message.deleted);
    shown.filter(|message| topic.is_none() || message.topic == topic).cloned().collect()
}

/// The command a text starts with, marked as apps mark it: Latin letters, digits and `_` only.
fn commands_in(text: &str) -> Vec<Value> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '@';
    let Some(rest) = text.strip_prefix('/') else { return Vec::new() };
    let len = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    if len == 0 { Vec::new() } else { vec![json!({"type": "bot_command", "offset": 0, "length": len + 1})] }
}
