//! What Telegram knows: people, chats, messages as they are now, files, open button presses, commands.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::Call;
use super::html::Formatted;
use super::queue::Queue;
use super::rates::Rates;
use super::script::Fault;

/// The bot's own user id, the first part of its token.
pub const BOT_ID: i64 = 7_000_000_001;
/// The bot's user name.
pub const BOT_NAME: &str = "fake_tallybot";

/// A person as Telegram shows them to bots.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    pub id: i64,
    pub name: String,
    /// Of their app; may be absent.
    pub language: Option<String>,
}

impl Person {
    pub fn new(id: i64, name: &str) -> Person {
        Person { id, name: name.to_owned(), language: None }
    }

    /// The same person with an app in this language.
    pub fn speaking(self, language: &str) -> Person {
        Person { language: Some(language.to_owned()), ..self }
    }

    pub fn json(&self) -> Value {
        let mut user = json!({"id": self.id, "is_bot": false, "first_name": self.name});
        if let Some(language) = &self.language {
            user["language_code"] = language.as_str().into();
        }
        user
    }
}

/// The bot as a `User`.
pub fn bot_json() -> Value {
    json!({"id": BOT_ID, "is_bot": true, "first_name": "Tallybot", "username": BOT_NAME})
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Private,
    Group,
    Supergroup,
    /// A supergroup with topics.
    Forum,
}

/// Whether the bot may write to a chat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Access {
    Open,
    Blocked,
    Kicked,
    Left,
    MigratedTo(i64),
}

/// A chat and everything ever shown in it.
#[derive(Debug)]
pub struct Room {
    pub id: i64,
    pub kind: Kind,
    pub title: String,
    pub access: Access,
    /// Deleted ones stay, marked.
    pub messages: Vec<Message>,
    pub topics: Vec<i64>,
    /// The text that grows on the screen before the message is sent, and the number it goes by.
    pub draft: Option<(i64, String)>,
    /// When the bot last said that it is typing (or sending a picture).
    pub action: Option<(String, Instant)>,
}

/// A message as people see it now.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: i64,
    pub from: i64,
    pub at: Instant,
    /// Seconds since 1970.
    pub date: i64,
    /// Of a photo or a file, this is its caption.
    pub text: String,
    pub entities: Vec<Value>,
    pub markup: Option<Value>,
    pub reply_to: Option<i64>,
    pub topic: Option<i64>,
    /// Fields of what is not text: `photo`, `document`, `media_group_id`, service fields.
    pub media: Value,
    /// What it showed before, oldest first.
    pub edits: Vec<Edit>,
    pub deleted: bool,
}

/// What a message showed until it was edited.
#[derive(Clone, Debug)]
pub struct Edit {
    /// When it was replaced.
    pub at: Instant,
    pub text: String,
}

impl Message {
    pub fn is_from_bot(&self) -> bool {
        self.from == BOT_ID
    }

    /// The labels of the buttons, row by row.
    pub fn buttons(&self) -> Vec<Vec<String>> {
        let label = |button: &Value| button["text"].as_str().unwrap_or_default().to_owned();
        self.rows().iter().map(|row| row.iter().map(label).collect()).collect()
    }

    /// The data of the button whose label holds this text.
    pub fn data_of(&self, label: &str) -> Option<String> {
        let rows = self.rows();
        let button =
            rows.iter().flatten().find(|button| button["text"].as_str().is_some_and(|text| text.contains(label)));
        Some(button?["callback_data"].as_str()?.to_owned())
    }

    fn rows(&self) -> Vec<Vec<Value>> {
        let rows = self.markup.as_ref().and_then(|markup| markup["inline_keyboard"].as_array());
        rows.into_iter().flatten().filter_map(|row| row.as_array().cloned()).collect()
    }

    /// Whether something is marked this way, such as `pre` or `expandable_blockquote`.
    pub fn has(&self, entity: &str) -> bool {
        self.entities.iter().any(|known| known["type"] == entity)
    }

    /// Every text it ever showed, with the time it came: a stream of edits, frame by frame.
    pub fn frames(&self) -> Vec<(Instant, &str)> {
        let times = std::iter::once(self.at).chain(self.edits.iter().map(|edit| edit.at));
        let texts = self.edits.iter().map(|edit| edit.text.as_str()).chain(std::iter::once(self.text.as_str()));
        times.zip(texts).collect()
    }

    pub fn is_photo(&self) -> bool {
        self.media.get("photo").is_some()
    }
}

/// A button press that waits for its answer.
#[derive(Clone, Debug)]
pub struct Press {
    pub chat: i64,
    pub message: i64,
    pub at: Instant,
    /// The text of the toast, once answered.
    pub answer: Option<String>,
}

/// A stored file.
#[derive(Clone, Debug)]
pub struct File {
    pub bytes: Vec<u8>,
    /// What Telegram says its size is; may be more than is there, to stand for a huge file.
    pub size: usize,
    pub path: String,
}

/// Scope and language of a list of commands, as the bot gave them.
pub type CommandScope = (String, String);

/// Where the names of webhooks lead in a test.
pub type Hosts = BTreeMap<String, SocketAddr>;

/// All of it.
pub struct World {
    pub rooms: BTreeMap<i64, Room>,
    pub people: BTreeMap<i64, Person>,
    pub files: BTreeMap<String, File>,
    pub presses: BTreeMap<String, Press>,
    pub commands: BTreeMap<CommandScope, Vec<(String, String)>>,
    pub queue: Queue,
    pub hosts: Hosts,
    pub rates: Rates,
    pub faults: Vec<Fault>,
    pub calls: Vec<Call>,
    /// What Telegram takes without a word and a careful bot does not send.
    pub oddities: Vec<String>,
    /// Whether `sendMessageDraft` exists.
    pub drafts: bool,
    /// Whether the bot sees only commands, mentions and replies in groups.
    pub privacy: bool,
    /// How long a press can be answered.
    pub press_life: std::time::Duration,
    /// The newest message id of private chats and groups, which share one count; supergroups count by themselves.
    pub last_message: i64,
    pub last_file: usize,
    pub last_press: u64,
}

impl World {
    pub fn new() -> World {
        World {
            rooms: BTreeMap::new(),
            people: BTreeMap::new(),
            files: BTreeMap::new(),
            presses: BTreeMap::new(),
            commands: BTreeMap::new(),
            queue: Queue::new(),
            hosts: Hosts::new(),
            rates: Rates::default(),
            faults: Vec::new(),
            calls: Vec::new(),
            oddities: Vec::new(),
            drafts: true,
            privacy: true,
            press_life: std::time::Duration::from_secs(15),
            last_message: 0,
            last_file: 0,
            last_press: 4_000_000_000_000_000_000,
        }
    }

    pub fn room(&mut self, id: i64) -> &mut Room {
        self.rooms.get_mut(&id).expect("the test made this chat")
    }

    /// Makes a chat unless it is there.
    pub fn open_room(&mut self, id: i64, kind: Kind, title: &str) {
        self.rooms.entry(id).or_insert_with(|| Room {
            id,
            kind,
            title: title.to_owned(),
            access: Access::Open,
            messages: Vec::new(),
            topics: Vec::new(),
            draft: None,
            action: None,
        });
    }

    /// A message that is about to be shown; [`show`](World::show) shows it.
    pub fn message(&mut self, chat: i64, from: i64, formatted: Formatted) -> Message {
        let room = self.rooms.get(&chat).expect("the test made this chat");
        let id = match room.kind {
            Kind::Private | Kind::Group => {
                self.last_message += 1;
                self.last_message
            }
            Kind::Supergroup | Kind::Forum => room.messages.iter().map(|message| message.id).max().unwrap_or(0) + 1,
        };
        Message {
            id,
            from,
            at: now(),
            date: unix_time(),
            text: formatted.text,
            entities: formatted.entities,
            markup: None,
            reply_to: None,
            topic: None,
            media: json!({}),
            edits: Vec::new(),
            deleted: false,
        }
    }

    /// Shows a message, and gives it as the API does.
    pub fn show(&mut self, chat: i64, message: Message) -> Value {
        let room = self.room(chat);
        if message.is_from_bot() {
            (room.draft, room.action) = (None, None);
        }
        let id = message.id;
        room.messages.push(message);
        self.message_json(chat, id)
    }

    /// Keeps a file and gives its id.
    pub fn keep_file(&mut self, folder: &str, ending: &str, bytes: Vec<u8>, size: usize) -> String {
        self.last_file += 1;
        let number = self.last_file;
        let id = format!("AgACAgIAAxkBAAFake{number:06}");
        let path = format!("{folder}/file_{number}.{ending}");
        self.files.insert(id.clone(), File { bytes, size, path });
        id
    }

    /// A `User`.
    pub fn user_json(&self, id: i64) -> Value {
        if id == BOT_ID {
            return bot_json();
        }
        self.people.get(&id).map_or_else(|| Person::new(id, "Somebody").json(), Person::json)
    }

    /// A `Chat`.
    pub fn chat_json(&self, id: i64) -> Value {
        let room = &self.rooms[&id];
        match room.kind {
            Kind::Private => json!({"id": id, "type": "private", "first_name": room.title}),
            Kind::Group => json!({
                "id": id, "type": "group", "title": room.title, "all_members_are_administrators": true,
            }),
            Kind::Supergroup => json!({"id": id, "type": "supergroup", "title": room.title}),
            Kind::Forum => json!({"id": id, "type": "supergroup", "title": room.title, "is_forum": true}),
        }
    }

    /// A `Message`, with the one it replies to.
    pub fn message_json(&self, chat: i64, id: i64) -> Value {
        let mut json = self.flat_message_json(chat, id);
        let replied = self.rooms[&chat].messages.iter().find(|message| message.id == id).and_then(|m| m.reply_to);
        if let Some(replied) = replied {
            json["reply_to_message"] = self.flat_message_json(chat, replied);
        }
        json
    }

    fn flat_message_json(&self, chat: i64, id: i64) -> Value {
        let room = &self.rooms[&chat];
        let message = room.messages.iter().find(|message| message.id == id).expect("shown in this chat");
        let mut json = json!({
            "message_id": id,
            "from": self.user_json(message.from),
            "chat": self.chat_json(chat),
            "date": message.date,
        });
        let fields = json.as_object_mut().expect("made as an object");
        fields.extend(message.media.as_object().cloned().unwrap_or_default());
        let is_text = !fields.contains_key("photo") && !fields.contains_key("document");
        let (text, entities) = if is_text { ("text", "entities") } else { ("caption", "caption_entities") };
        if !message.text.is_empty() {
            fields.insert(text.into(), message.text.as_str().into());
        }
        if !message.entities.is_empty() {
            // Some kinds of entities are known to the fake alone; all of them are known to the manual.
            fields.insert(entities.into(), message.entities.clone().into());
        }
        if !message.edits.is_empty() {
            fields.insert("edit_date".into(), unix_time().into());
        }
        if let Some(topic) = message.topic {
            fields.insert("message_thread_id".into(), topic.into());
            fields.insert("is_topic_message".into(), true.into());
        }
        if let Some(markup) = message.markup.as_ref().filter(|markup| markup.get("inline_keyboard").is_some()) {
            fields.insert("reply_markup".into(), markup.clone());
        }
        json
    }
}

/// The server's clock.
#[expect(clippy::disallowed_methods, reason = "the fake notes when a call came, as Telegram's own clock would")]
pub fn now() -> Instant {
    Instant::now()
}

/// The server's date, in seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "messages carry the date of Telegram's clock")]
pub fn unix_time() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later than 1970");
    i64::try_from(since.as_secs()).expect("not that late")
}
