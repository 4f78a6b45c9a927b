//! Who may speak in the chats: the configuration, what was set since, and the codes of this run, behind one door.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use secrecy::{ExposeSecret, SecretString};
use tokio_util::task::TaskTracker;

use crate::access::{Codes, Guests, NotOpened, PAIRING_MINUTES, Spent, chat_id};
use crate::config::{Config, Telegram};
use crate::conversation::driver::{Door, Role};
use crate::conversation::{ChatKey, Group, ListedGroup, ListedPerson, ListedRole, Message};
use crate::ledger::{LedgerError, People};
use crate::metering::Metering;
use crate::settings::{Access, Setting, Settings};
use crate::templates::Lang;
use crate::usage::{Clock, ErrorKind, SubjectId};

/// The one door of all chat channels.
pub struct ChatDoor {
    /// The bot's name.
    bot: String,
    /// Of each channel that is configured; in all others nobody is let in here.
    channels: BTreeMap<&'static str, Guests>,
    /// The bot's account in Telegram, once it is known.
    account: OnceLock<String>,
    people: Arc<People>,
    metering: Metering,
    clock: Arc<dyn Clock>,
    random: fn() -> [u8; 16],
    tasks: TaskTracker,
    codes: Mutex<Codes>,
    /// What was set, as the books last said: whoever looks copies nothing.
    settings: Arc<Mutex<Arc<Settings>>>,
}

/// What a door is made of beside the configuration.
pub struct DoorParts {
    /// Who is who.
    pub people: Arc<People>,
    /// Keeps what is set.
    pub metering: Metering,
    /// The only clock.
    pub clock: Arc<dyn Clock>,
    /// The only source of chance.
    pub random: fn() -> [u8; 16],
    /// Tasks that outlive whoever began them.
    pub tasks: TaskTracker,
}

impl ChatDoor {
    /// The door of a configuration, and the code that makes the first admin where a channel has none. The code is
    /// nowhere else: it is shown once, or lost.
    pub fn new(config: &Config, parts: DoorParts) -> (ChatDoor, Option<SecretString>) {
        let telegram = config.telegram.as_ref();
        let guests = |telegram: &Telegram| {
            let groups = telegram.groups.iter().map(|group| (group.id, group.team.clone()));
            Guests::new(&telegram.users, &telegram.admins, groups)
        };
        let telegram = telegram.map(|telegram| ("telegram", guests(telegram)));
        let DoorParts { people, metering, clock, random, tasks } = parts;
        let settings = Arc::new(Mutex::new(metering.acts().settings));
        let (bot, codes) = (config.bot_name.clone(), Mutex::default());
        let channels: BTreeMap<_, _> = telegram.into_iter().collect();
        let account = OnceLock::new();
        let door = ChatDoor { bot, channels, account, people, metering, clock, random, tasks, codes, settings };
        let is_open = door.channels.keys().any(|channel| !door.has_admin(channel));
        let claim = is_open.then(|| door.codes().make_claim((door.random)()));
        (door, claim)
    }

    /// Tells under which account the bot is found in Telegram, for links to it.
    pub fn introduce(&self, account: &str) {
        let _known_before = self.account.set(account.to_owned());
    }

    /// Whether a channel has an admin, in the configuration or set since.
    fn has_admin(&self, channel: &str) -> bool {
        let of_channel = |subject: &SubjectId| self.people.who(subject).is_none_or(|(of, _)| of == channel);
        self.channels.get(channel).is_some_and(Guests::has_admin)
            || self.settings().admitted().any(|(subject, access)| access == Access::Admin && of_channel(subject))
    }

    /// What a person or a group may do, by an id that is written in one way only.
    fn access(&self, channel: &str, id: i64) -> Access {
        let Some(guests) = self.channels.get(channel) else { return Access::None };
        match guests.configured(id) {
            Access::Admin => Access::Admin,
            _ => guests.access(id, self.settings().access_of(&self.people.hash(channel, &id.to_string()))),
        }
    }

    /// Lets somebody speak: a person or a group, by what an admin typed after `/allow`.
    pub(super) async fn allow(&self, channel: &'static str, typed: &str) -> Message {
        let Some(id) = chat_id(typed) else { return Message::IdExpected { command: "/allow" } };
        let shown = id.to_string();
        if self.access(channel, id) != Access::None {
            return Message::AlreadyAllowed { id: shown };
        }
        match self.set_access(channel, id, Access::User).await {
            Ok(()) => Message::Allowed { id: shown, group: id < 0 },
            Err(error) => not_written(&error),
        }
    }

    /// Lets somebody speak no more, by what an admin typed after `/deny`. What the configuration says stays.
    pub(super) async fn deny(&self, channel: &'static str, typed: &str) -> Message {
        let Some(id) = chat_id(typed) else { return self.deny_forgotten(typed).await };
        let shown = id.to_string();
        let configured = self.channels.get(channel).map_or(Access::None, |guests| guests.configured(id));
        if configured != Access::None {
            // What a chat added to it goes all the same: a configured user may have become an admin.
            let subject = self.people.hash(channel, &id.to_string());
            if self.settings().access_of(&subject) != Access::None
                && let Err(error) = self.set_access(channel, id, Access::None).await
            {
                return not_written(&error);
            }
            return Message::Configured { id: shown };
        }
        if self.access(channel, id) == Access::None {
            return Message::NotListed { id: shown };
        }
        match self.set_access(channel, id, Access::None).await {
            Ok(()) => Message::Denied { id: shown },
            Err(error) => not_written(&error),
        }
    }

    /// Whose row is gone from `people.json` is listed by their subject id, and denied by it.
    async fn deny_forgotten(&self, typed: &str) -> Message {
        let let_in = |subject: &SubjectId| self.settings().access_of(subject) != Access::None;
        let Some(subject) = SubjectId::parse(typed).filter(let_in) else {
            return Message::IdExpected { command: "/deny" };
        };
        match self.set(Setting::Access { subject, access: Access::None }).await {
            Ok(()) => Message::Denied { id: subject.to_string() },
            Err(error) => not_written(&error),
        }
    }

    /// A link that lets one person in.
    pub(super) fn link(&self) -> Message {
        let code = self.codes().make_pairing((self.random)(), self.clock.now().tick);
        let code = code.expose_secret();
        let link = match self.account.get() {
            Some(account) => format!("https://t.me/{account}?start={code}"),
            None => format!("/start {code}"),
        };
        Message::AllowLink { link: link.into(), valid_minutes: PAIRING_MINUTES }
    }

    /// Who may speak in a channel: those of the configuration first.
    pub(super) fn list(&self, channel: &'static str) -> Message {
        let Some(guests) = self.channels.get(channel) else {
            return Message::AllowList { people: Vec::new(), groups: Vec::new() };
        };
        let of_config = guests.ids().map(|id| (id.to_string(), self.access(channel, id), true));
        let mut listed: Vec<(String, Access, bool)> = of_config.collect();
        for (subject, access) in self.settings().admitted() {
            match self.people.who(subject) {
                Some((of, _)) if of != channel => {}
                Some((_, id)) if chat_id(&id).is_some_and(|id| guests.configured(id) != Access::None) => {}
                Some((_, id)) => listed.push((id, access, false)),
                None => listed.push((subject.to_string(), access, false)),
            }
        }
        let (groups, people): (Vec<_>, Vec<_>) = listed.into_iter().partition(|(id, ..)| id.starts_with('-'));
        let role = |access| if access == Access::Admin { ListedRole::Admin } else { ListedRole::User };
        let person = |(id, access, by_config)| ListedPerson { id, role: role(access), by_config };
        let group = |(id, _, by_config)| ListedGroup { id, by_config };
        Message::AllowList {
            people: people.into_iter().map(person).collect(),
            groups: groups.into_iter().map(group).collect(),
        }
    }

    /// The admins of a channel, by the configuration and by what was set: their ids there.
    pub(super) fn admins(&self, channel: &'static str) -> Vec<i64> {
        let Some(guests) = self.channels.get(channel) else { return Vec::new() };
        let mut admins: Vec<i64> = guests.ids().filter(|id| *id > 0).collect();
        let set = self.settings();
        let of_channel = set.admitted().filter_map(|(subject, _)| self.people.who(subject));
        admins.extend(of_channel.filter(|(of, _)| of == channel).filter_map(|(_, id)| chat_id(&id)));
        admins.retain(|id| self.access(channel, *id) == Access::Admin);
        admins.sort_unstable();
        admins.dedup();
        admins
    }

    /// Remembers the language of a chat.
    pub(super) async fn keep_lang(&self, chat: ChatKey, language: Lang) {
        let subject = self.people.hash(chat.channel, &chat.id);
        if self.settings().language_of(&subject) == Some(language) {
            return;
        }
        if let Err(error) = self.set(Setting::Language { chat: subject, language }).await {
            tracing::error!(error = %error, "the language of a chat could not be written; it lasts until the restart");
        }
    }

    async fn set_access(&self, channel: &'static str, id: i64, access: Access) -> Result<(), LedgerError> {
        let id = id.to_string();
        let subject = match access {
            Access::None => self.people.hash(channel, &id),
            Access::User | Access::Admin => self.people.subject(channel, &id),
        };
        self.set(Setting::Access { subject, access }).await
    }

    /// Sets something, durably, in a task of its own: it waits for the disk, and it ends whoever hangs up.
    async fn set(&self, setting: Setting) -> Result<(), LedgerError> {
        let (people, metering, settings) =
            (Arc::clone(&self.people), self.metering.clone(), Arc::clone(&self.settings));
        let written = self.tasks.spawn_blocking(move || {
            people.save_or_tell();
            metering.set(&[setting])?;
            // Looked up under the lock, so that of two who set something the later one stays.
            let mut settings = settings.lock().expect("nobody panics while holding it");
            *settings = metering.acts().settings;
            Ok(())
        });
        written.await.map_err(|_| LedgerError::Closed)?
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().expect("nobody panics while holding it"))
    }

    fn codes(&self) -> MutexGuard<'_, Codes> {
        self.codes.lock().expect("nobody panics while holding it")
    }

    /// Does what a code stands for; a code whose act could not be written is valid again.
    async fn let_in(&self, channel: &'static str, id: i64, spent: Spent) -> Message {
        let is_claim = spent.is_claim();
        if !is_claim && self.access(channel, id) != Access::None {
            self.codes().give_back(spent); // it is for somebody else
            return Message::AlreadyAllowed { id: id.to_string() };
        }
        let access = if is_claim { Access::Admin } else { Access::User };
        if let Err(error) = self.set_access(channel, id, access).await {
            self.codes().give_back(spent);
            return not_written(&error);
        }
        tracing::info!(channel, admin = is_claim, "somebody was let in by a code");
        let bot = self.bot.clone();
        if is_claim { Message::ClaimDone { bot } } else { Message::Paired { bot } }
    }
}

impl Door for ChatDoor {
    fn role_of(&self, channel: &'static str, identity: &str) -> Option<Role> {
        let id = chat_id(identity).filter(|id| *id > 0)?;
        match self.access(channel, id) {
            Access::None => None,
            Access::User => Some(Role::User),
            Access::Admin => Some(Role::Admin),
        }
    }

    fn group(&self, channel: &'static str, identity: &str) -> Option<Group> {
        let id = chat_id(identity).filter(|id| *id < 0)?;
        let guests = self.channels.get(channel).filter(|_| self.access(channel, id) != Access::None)?;
        Some(Group { team: guests.team(id, &self.people.hash(channel, &id.to_string())) })
    }

    fn lang_of(&self, chat: &ChatKey) -> Option<Lang> {
        self.settings().language_of(&self.people.hash(chat.channel, &chat.id))
    }

    async fn moved(&self, channel: &'static str, from: &str, to: &str) {
        let (Some(from), Some(to)) = (chat_id(from), chat_id(to)) else { return };
        if from > 0 || to > 0 || self.access(channel, from) == Access::None || self.access(channel, to) != Access::None
        {
            return;
        }
        if self.channels.get(channel).is_some_and(|guests| guests.configured(from) != Access::None) {
            tracing::warn!("a group of the configuration has a new id; `/deny` lists it, the configuration should too");
        }
        // The old id stays let in: nobody is there any more.
        if let Err(error) = self.set_access(channel, to, Access::User).await {
            not_written(&error);
        }
    }

    async fn redeem(&self, channel: &'static str, identity: &str, code: &str) -> Message {
        let has_admin = self.has_admin(channel);
        let of_claim = if has_admin { Message::ClaimOver } else { Message::ClaimWrong };
        let Some(id) = chat_id(identity).filter(|id| *id > 0 && self.channels.contains_key(channel)) else {
            return of_claim;
        };
        let who = self.people.hash(channel, &id.to_string());
        let tried = self.codes().spend(code, who, self.clock.now().tick);
        match tried {
            Ok(spent) if spent.is_claim() && has_admin => of_claim,
            Ok(spent) => self.let_in(channel, id, spent).await,
            Err(NotOpened::Wrong { is_pairing: true }) => Message::PairingWrong,
            Err(NotOpened::Wrong { is_pairing: false }) => of_claim,
            Err(NotOpened::TooMany { wait_seconds }) => Message::CodeWait { retry_in_seconds: wait_seconds },
        }
    }
}

fn not_written(error: &LedgerError) -> Message {
    tracing::error!(error = %error, "who may speak could not be written");
    Message::failed(ErrorKind::LedgerUnavailable)
}
