//! What comes in: taken into the account, judged by who may speak, and handed to the conversation.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use teloxide_core::types::Update;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::api::{Me, RawUpdate};
use super::failure::Failure;
use super::guests::{Guests, code_of};
use super::inbox::{Entry, InboxError, Language, Pending, Stage};
use super::incoming::{self, Incoming, MAX_PHOTO_BYTES, Sender, Sight, What};
use super::lanes::{Item, Lanes};
use super::presses;
use super::receipt::Receipt;
use super::saying::Saying;
use super::spot::{CHANNEL, Spot, message_ref};
use super::tools::Tools;
use crate::conversation::driver::{Door, Renderer, Role};
use crate::conversation::{
    BotNames, Command, Event, Group, Input, Message, Origin, Person, Photo, Place, PrivateText, parse,
};
use crate::models::MAX_IMAGES;
use crate::templates::Lang;

/// The account in whose name Telegram shows those who write in the name of their group.
const ANONYMOUS_ADMIN: i64 = 1_087_968_824;

/// How long the rest of an album is waited for.
const ALBUM_WAIT: Duration = Duration::from_secs(1);

/// Files that are fetched at the same time.
const DOWNLOADS: usize = 4;

/// The way in of all updates.
pub(super) struct Intake<D, R> {
    pub(super) tools: Arc<Tools>,
    pub(super) lanes: Arc<Lanes>,
    pub(super) me: Me,
    pub(super) names: BotNames,
    pub(super) door: Arc<D>,
    pub(super) renderer: Arc<R>,
    /// The language of whoever has not shown another.
    pub(super) language: Lang,
    pub(super) guests: Mutex<Guests>,
    albums: Mutex<HashMap<(i64, String), Question>>,
    downloads: Semaphore,
}

/// Who speaks where, and may.
#[derive(Clone)]
struct Speaker {
    spot: Spot,
    person: Person,
    lang: Lang,
}

/// Photos with or without words, as far as they have come.
struct Question {
    speaker: Speaker,
    text: String,
    photos: Vec<Sight>,
    /// The first message and all updates.
    message: i32,
    updates: Vec<u32>,
    to_us: bool,
}

impl<D: Door, R: Renderer> Intake<D, R> {
    pub(super) fn new(
        (tools, lanes): (&Arc<Tools>, &Arc<Lanes>),
        (me, names): (Me, BotNames),
        (door, renderer): (Arc<D>, Arc<R>),
        language: Lang,
    ) -> Intake<D, R> {
        Intake {
            tools: Arc::clone(tools),
            lanes: Arc::clone(lanes),
            me,
            names,
            door,
            renderer,
            language,
            guests: Mutex::default(),
            albums: Mutex::default(),
            downloads: Semaphore::new(DOWNLOADS),
        }
    }

    /// Takes updates in. When it returns they may be confirmed: whatever happens now, each is answered or apologised for.
    ///
    /// # Errors
    /// When the account cannot be written; then none of them was taken in.
    pub(super) async fn take(self: &Arc<Self>, updates: &[RawUpdate]) -> Result<(), InboxError> {
        let mut known = Vec::new();
        for raw in updates {
            let update: Option<Update> = serde_json::from_str(raw.json.get()).ok();
            let incoming = update.and_then(|update| incoming::read(update, &self.me));
            let Some(incoming) = incoming else { continue };
            if let Some(speaker) = self.admitted(&incoming).await {
                known.push((raw.id, incoming, speaker));
            }
        }
        let entries: Vec<Entry> = known.iter().filter(|(.., what, _)| what.to_us).map(entry).collect();
        let account = Arc::clone(&self.tools.account);
        let taken = tokio::task::spawn_blocking(move || account.take(&entries)).await;
        let new: HashSet<u64> = match taken {
            Ok(new) => new?.into_iter().collect(),
            // It broke; what broke it is known to the supervisor of panics, and nothing is confirmed.
            Err(_broken) => return Err(InboxError::Full),
        };
        for (id, incoming, speaker) in known {
            if new.contains(&u64::from(id)) || !incoming.to_us {
                self.handle(id, incoming, speaker).await;
            }
        }
        Ok(())
    }

    /// Who spoke, if it is to be heard; strangers and changes of the chat itself are dealt with on the spot.
    async fn admitted(self: &Arc<Self>, incoming: &Incoming) -> Option<Speaker> {
        let Incoming { spot, from, what, .. } = incoming;
        match what {
            What::Migrated { to } => {
                self.tools.moved(spot.chat, *to);
                self.door.moved(CHANNEL, &spot.chat.to_string(), &to.to_string()).await;
                return None;
            }
            What::Left => {
                self.tools.close(spot.chat);
                return None;
            }
            _ => self.tools.open(*spot),
        }
        let identity = from.id.to_string();
        // Whoever writes in the name of a group shares one id with all who do so anywhere.
        let role = self.door.role_of(CHANNEL, &identity).filter(|_| from.id != ANONYMOUS_ADMIN);
        let lang = self.lang_of(*spot, from);
        let heard = incoming.to_us || matches!(what, What::Said { album: Some(_), .. });
        if spot.is_private() {
            let Some(role) = role else {
                self.guest(incoming, lang);
                return None;
            };
            let person = Person { id: identity, admin: role == Role::Admin, lang: Some(lang), group: None };
            return (*what != What::Joined).then_some(Speaker { spot: *spot, person, lang });
        }
        let Some(group) = self.group_of(spot.chat).filter(|_| *what != What::Joined) else {
            if let What::Pressed { press, .. } = what {
                self.acknowledge(press);
            }
            // Whoever may do something about it is told the id; nobody else hears anything.
            if heard && role == Some(Role::Admin) && self.group_of(spot.chat).is_none() {
                if self.lets_group_in(what) {
                    let group = Some(Group { team: String::new() });
                    let person = Person { id: identity, admin: true, lang: Some(lang), group };
                    return Some(Speaker { spot: *spot, person, lang });
                }
                self.refuse_group(*spot, lang);
            }
            return None;
        };
        if !heard || self.is_for_nobody(what) {
            return None;
        }
        let person = Person { id: identity, admin: role == Some(Role::Admin), lang: Some(lang), group: Some(group) };
        Some(Speaker { spot: *spot, person, lang })
    }

    fn group_of(&self, chat: i64) -> Option<Group> {
        self.door.group(CHANNEL, &chat.to_string())
    }

    fn lang_of(&self, spot: Spot, from: &Sender) -> Lang {
        self.door.lang_of(&spot.key()).or(from.lang).unwrap_or(self.language)
    }

    /// `/allow` alone: what an admin may say in a group before it is let in.
    fn lets_group_in(&self, what: &What) -> bool {
        let What::Said { text, photo: None, .. } = what else { return false };
        matches!(parse(text, &self.names, Place::Chat, false), Input::Command(Command::Allow(None)))
    }

    /// In a group, a command that is none of ours and names no bot is for another one.
    fn is_for_nobody(&self, what: &What) -> bool {
        let What::Said { text, photo: None, .. } = what else { return false };
        let first = text.split_whitespace().next().unwrap_or_default();
        !first.contains('@') && matches!(parse(text, &self.names, Place::Chat, false), Input::Unknown { .. })
    }

    async fn handle(self: &Arc<Self>, id: u32, incoming: Incoming, speaker: Speaker) {
        let Incoming { message, replied, to_us, what, .. } = incoming;
        let about = replied.map(|replied| message_ref(self.tools.question_of(speaker.spot, replied)));
        let origin = |press: Option<String>| Origin {
            message: Some(message_ref(message)),
            about: about.clone(),
            press: press.map(Into::into),
            ticket: Some(Arc::new(Receipt::new(&self.tools.account, vec![id]))),
        };
        let (chat, person) = (speaker.spot.key(), speaker.person.clone());
        match what {
            What::Said { text, photo: None, .. } => {
                let (text, origin) = (text.into(), origin(None));
                self.tell(Event::Message { chat, person, text, photos: Vec::new(), origin }).await;
            }
            What::Said { text, photo: Some(photo), album } => {
                let updates = if to_us { vec![id] } else { Vec::new() };
                let question = Question { speaker, text, photos: vec![photo], message, updates, to_us };
                self.look(question, album);
            }
            What::Edited { text } => {
                let (text, origin) = (text.into(), origin(None));
                self.tell(Event::Edited { chat, person, text, origin }).await;
            }
            What::Pressed { press, data } => {
                let (pressed, origin) = (presses::read(&data, self.tools.nonce), origin(Some(press)));
                self.tell(Event::Pressed { chat, person, press: pressed, origin }).await;
            }
            What::Unsupported => self.say(&speaker, &Message::Unsupported, origin(None), false),
            What::Joined | What::Left | What::Migrated { .. } => {}
        }
    }

    /// A driver that is gone takes nothing; the receipt says that it was not answered.
    async fn tell(&self, event: Event) {
        let _gone = self.tools.events.send(event).await;
    }

    fn say(&self, speaker: &Speaker, message: &Message, origin: Origin, as_reply: bool) {
        let text = self.renderer.render(speaker.lang, message).into();
        let (spot, keyboard) = (speaker.spot, Vec::new());
        self.lanes.say(Item::Say(Saying { spot, text, keyboard, replace: None, origin, as_reply }));
    }

    /// Looks at a photo, or waits for the rest of its album.
    fn look(self: &Arc<Self>, question: Question, album: Option<String>) {
        let intake = Arc::clone(self);
        let Some(album) = album else {
            return self.tools.spawn(async move { intake.fetch(question).await });
        };
        let key = (question.speaker.spot.chat, album);
        let mut albums = self.albums.lock().unwrap_or_else(PoisonError::into_inner);
        match albums.get_mut(&key) {
            Some(known) => known.add(question),
            None => {
                albums.insert(key.clone(), question);
                self.tools.spawn(async move {
                    sleep(ALBUM_WAIT).await;
                    let whole = intake.albums.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                    if let Some(question) = whole.filter(|question| question.to_us) {
                        intake.fetch(question).await;
                    }
                });
            }
        }
    }

    /// Fetches the photos and asks, or says why not.
    async fn fetch(&self, question: Question) {
        let Question { speaker, text, photos, message, updates, .. } = question;
        let ticket = Arc::new(Receipt::new(&self.tools.account, updates));
        let origin = Origin { message: Some(message_ref(message)), ticket: Some(ticket), ..Origin::default() };
        let (mut fetched, mut failed) = (Vec::new(), None);
        for sight in photos {
            match self.photo(sight).await {
                Ok(photo) => fetched.push(photo),
                Err(failure) => failed = Some(failure),
            }
        }
        let max_mb = (MAX_PHOTO_BYTES / 1024 / 1024) as u64;
        let problem = match failed.filter(|_| fetched.is_empty()) {
            None => None,
            Some(Failure::TooLarge) => Some(Message::PhotoTooLarge { max_mb }),
            Some(_) => Some(Message::PhotoFailed),
        };
        if let Some(problem) = problem {
            return self.say(&speaker, &problem, origin, false);
        }
        let (chat, person, text) = (speaker.spot.key(), speaker.person, PrivateText::from(text));
        self.tell(Event::Message { chat, person, text, photos: fetched, origin }).await;
    }

    async fn photo(&self, sight: Sight) -> Result<Photo, Failure> {
        let Sight::File(id) = sight else { return Err(Failure::TooLarge) };
        let _one_of_few = self.downloads.acquire().await;
        let bytes = match self.tools.api.file(&id, MAX_PHOTO_BYTES).await {
            Err(failure) if failure.passes() => self.tools.api.file(&id, MAX_PHOTO_BYTES).await,
            other => other,
        };
        bytes.map(|bytes| Photo::from(bytes.to_vec()))
    }

    /// Somebody who may not speak: told how to, now and then, and let in with the right code.
    fn guest(self: &Arc<Self>, incoming: &Incoming, lang: Lang) {
        let (spot, id) = (incoming.spot, incoming.from.id);
        let speaker = Speaker { spot, person: Person::new(id.to_string(), false), lang };
        let now = self.tools.now();
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if let What::Pressed { press, .. } = &incoming.what {
            return self.acknowledge(press);
        }
        let code = match &incoming.what {
            What::Said { text, photo: None, .. } => code_of(text),
            _ => None,
        };
        if let Some(code) = code {
            if !guests.may_try(id, now) {
                return;
            }
            let (intake, code) = (Arc::clone(self), code.to_owned());
            return self.tools.spawn(async move {
                let message = intake.door.redeem(CHANNEL, &speaker.person.id, &code).await;
                intake.say(&speaker, &message, Origin::default(), false);
            });
        }
        if guests.may_be_refused(id, now) {
            let message = Message::Stranger { id: id.to_string(), admin_hint: None };
            self.say(&speaker, &message, Origin::default(), false);
        }
    }

    /// Answers a press that means nothing here: else the app shows that it waits.
    fn acknowledge(&self, press: &str) {
        self.lanes.acknowledge(None, Origin { press: Some(press.into()), ..Origin::default() });
    }

    fn refuse_group(&self, spot: Spot, lang: Lang) {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if guests.may_be_refused(spot.chat, self.tools.now()) {
            let speaker = Speaker { spot, person: Person::new("", false), lang };
            let message = Message::GroupStranger { id: spot.chat.to_string() };
            self.say(&speaker, &message, Origin::default(), false);
        }
    }

    /// Apologises for what another process began and did not end.
    pub(super) fn settle(&self, begun: Vec<Pending>) {
        for Pending { entry, stage } in begun {
            let saying = self.apology(entry);
            self.lanes.say(match stage {
                Stage::Placed(placed) => Item::Settle { placed: i32::try_from(placed).unwrap_or_default(), saying },
                Stage::Received | Stage::Started | Stage::Sending => Item::Say(saying),
            });
        }
    }

    /// Apologises for what another process took in and Telegram does not bring again.
    pub(super) fn settle_former(&self) {
        for entry in self.tools.account.take_former() {
            self.lanes.say(Item::Say(self.apology(entry)));
        }
    }

    fn apology(&self, entry: Entry) -> Saying {
        let thread = entry.thread.and_then(|thread| i32::try_from(thread).ok());
        let spot = Spot { chat: entry.chat, thread };
        let from = Sender { id: 0, lang: Lang::parse(entry.language.as_str()) };
        let text = self.renderer.render(self.lang_of(spot, &from), &Message::Restarted).into();
        let update = u32::try_from(entry.update).unwrap_or_default();
        let origin = Origin {
            message: i32::try_from(entry.message).ok().filter(|message| *message > 0).map(message_ref),
            ticket: Some(Arc::new(Receipt::new(&self.tools.account, vec![update]))),
            ..Origin::default()
        };
        Saying { spot, text, keyboard: Vec::new(), replace: None, origin, as_reply: true }
    }
}

impl Question {
    /// Another photo of the same album.
    fn add(&mut self, other: Question) {
        if self.photos.len() < MAX_IMAGES {
            self.photos.extend(other.photos);
        }
        if self.text.trim().is_empty() {
            self.text = other.text;
        }
        self.updates.extend(other.updates);
        self.to_us |= other.to_us;
        self.message = self.message.min(other.message);
    }
}

fn entry((id, incoming, _): &(u32, Incoming, Speaker)) -> Entry {
    Entry {
        update: u64::from(*id),
        chat: incoming.spot.chat,
        thread: incoming.spot.thread.map(i64::from),
        message: i64::from(incoming.message),
        language: Language::new(incoming.from.lang.map_or("", Lang::code)),
    }
}
