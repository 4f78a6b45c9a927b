//! Running: the doors are opened, chores are done, and at the end everything that was begun is ended.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::gateway::GatewayDoor;
use super::guard::Door;
use super::{App, Desk, RestDesk, alerts, descriptors, random};
use crate::channels::terminal::{Look, Terminal};
use crate::config::Config;
use crate::conversation::driver::{Driver, Grace, Outgoing, Parts};
use crate::conversation::{
    Answering, BotNames, Bounds, CancelReason, CancelToken, ChatKey, Conversation, Event, Person, Place, Settings,
    TemplateRenderer, choice_of,
};
use crate::http::{self, Handler, Limits, Prefixed, Rest, Workers};
use crate::ledger::Missing;
use crate::metering::Patience;
use crate::models::RetryPolicy;
use crate::templates::Lang;
use crate::usage::names::OWNER;
use crate::usage::{RecordId, estimate_tokens};

/// A snapshot is written after this long, or after so many records.
const SNAPSHOT_SECS: u64 = 60;
const SNAPSHOT_RECORDS: u64 = 50_000;

/// Messages that may wait between a channel and its driver.
pub(super) const CHANNEL_ROOM: usize = 64;

/// Sessions a channel remembers.
const SESSIONS: usize = 1_000;

/// How long tasks that outlive their request may take at the end.
const LAST_TASKS: Duration = Duration::from_secs(5);

/// Which doors to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doors {
    /// The chat on standard input and output; when it ends, everything ends.
    pub terminal: bool,
    /// The chats of messengers, if any is configured.
    pub messengers: bool,
}

/// What the drivers of all channels share.
pub(super) type ChatParts = Parts<Answering, Desk, TemplateRenderer>;

impl App {
    /// What is worth telling the person who started it, a sentence each.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if !self.found.damage.is_empty() {
            let (lines, bytes) = (self.found.damage.len(), self.found.damage.iter().map(|d| d.bytes).sum::<u64>());
            notices.push(format!(
                "{lines} damaged piece(s) of the journal ({bytes} bytes) were put into quarantine; every whole line counts"
            ));
        }
        notices.extend(self.found.missing.as_ref().map(Missing::to_string));
        if self.found.interrupted > 0 {
            notices.push(format!(
                "{} call(s) were open when tallybot last stopped; each is recorded as interrupted",
                self.found.interrupted
            ));
        }
        notices.extend(self.lost_key.clone());
        notices
    }

    /// Runs until the terminal's person leaves or the system says stop, then drains.
    ///
    /// # Errors
    /// When a door cannot be opened, or the books cannot be closed cleanly.
    pub async fn run(self, doors: Doors, say: impl Fn(&str)) -> anyhow::Result<()> {
        let stop = CancelToken::default();
        descriptors::raise();
        // Before anybody is told that it runs: until then a signal ends the process where it stands.
        let signals = on_signals(stop.clone(), doors);
        for notice in self.notices() {
            tracing::warn!("{notice}");
            say(&notice);
        }
        let listener = match self.listen {
            Some(address) => bind(address, doors, &say).await?,
            None => None,
        };
        tracing::info!(version = env!("CARGO_PKG_VERSION"), replayed = self.found.replayed, "tallybot is running");
        self.tell_the_code(doors, &say);
        let (chats, known_chats) = tokio::sync::watch::channel(None);
        let outlets = self.outlets(doors, known_chats, &stop);
        #[cfg(feature = "telegram")]
        let (webhook, hooked) = self.webhook();
        let chat_parts = self.parts();
        let gateway = self.gateway();
        // They outlive what they serve: at the end tasks are waited for that it began.
        let workers = Arc::new(Workers::start().context("cannot start the threads that serve connections")?);
        let mut parts = JoinSet::new();
        parts.spawn(signals);
        parts.spawn(chores(Arc::clone(&self.desk), self.prices(), stop.clone()));
        let policy = alerts::policy_of(&self.config.alerts);
        parts.spawn(alerts::watch(Arc::clone(&self.desk), outlets, policy, stop.clone()));
        parts.spawn(alerts::deliver(self.deliveries.clone(), stop.clone()));
        if let Some(listener) = listener {
            self.announce(&listener, &say)?;
            let inside = GatewayDoor::new(gateway.clone(), Door::new(&self.config.http), Arc::clone(&self.clock));
            let routes = Prefixed { prefix: crate::gateway::PREFIX, inside, outside: self.rest() };
            #[cfg(feature = "telegram")]
            let routes = super::telegram::WithWebhook { webhook, rest: routes };
            let last_call = {
                let (gateway, stop) = (gateway.clone(), stop.clone());
                async move {
                    stop.cancelled().await;
                    gateway.end_the_line();
                }
            };
            parts.spawn(serve(listener, routes, limits(&self.config), Arc::clone(&workers), last_call));
        }
        let door = async {
            let parts = chat_parts.clone();
            let ended = if doors.terminal { self.chat(parts, stop.clone()).await } else { wait(&stop).await };
            stop.cancel(CancelReason::Shutdown);
            ended
        };
        #[cfg(feature = "telegram")]
        let telegram = async {
            if doors.messengers {
                self.telegram(chat_parts.clone(), hooked, chats, stop.clone()).await;
            }
        };
        #[cfg(not(feature = "telegram"))]
        let telegram = async { drop(chats) };
        let (ended, (), ()) = tokio::join!(door, telegram, supervise(parts, &stop));
        gateway.stop();
        self.close(workers).await?;
        ended
    }

    /// The code of the first admin: to whoever started it, and to nobody and nothing else.
    fn tell_the_code(&self, doors: Doors, say: &impl Fn(&str)) {
        if let Some(code) = self.claim.as_ref().filter(|_| doors.messengers) {
            let code = code.expose_secret();
            say(&format!(
                "no admin yet: send `/claim {code}` to the bot and you are it; the code works once, in this run"
            ));
        }
    }

    /// Tells where it listens: whoever started it, the log, and other commands.
    fn announce(&self, listener: &TcpListener, say: &impl Fn(&str)) -> anyhow::Result<()> {
        let address = listener.local_addr().context("cannot read the address")?;
        tracing::info!(address = %address, "listening");
        if let Err(error) = self.desk.metering.announce(&from_here(address).to_string()) {
            tracing::warn!(error = %error, "other commands will not find this process");
        }
        say(&format!("listening on http://{address}"));
        Ok(())
    }

    /// Waits for what outlives its request, stops the `workers` that serve it, and closes the books.
    async fn close(&self, workers: Arc<Workers>) -> anyhow::Result<()> {
        self.desk.tasks.close();
        if tokio::time::timeout(LAST_TASKS, self.desk.tasks.wait()).await.is_err() {
            tracing::warn!("some requests were still being written at the end");
        }
        drop(workers);
        let named = self.desk.people.save().context("cannot write who is who");
        self.desk.metering.close(self.clock.now()).context("cannot close the books")?;
        named?;
        tracing::info!("tallybot has stopped");
        Ok(())
    }

    /// Prices by the file of prices, whenever that is another one.
    fn prices(&self) -> impl FnMut() + Send + use<> {
        let (mut watch, config, desk) = (self.watch.clone(), self.config.clone(), Arc::clone(&self.desk));
        move || watch.look(&config, &desk.folder, &desk.metering)
    }

    fn rest(&self) -> Rest {
        let ids = {
            let clock = Arc::clone(&self.clock);
            move || {
                let mut chance = [0; 10];
                chance.copy_from_slice(&random()[..10]);
                RecordId::new(clock.now().at, chance).to_string()
            }
        };
        let api = Arc::new(RestDesk(Arc::clone(&self.desk)));
        Rest::new(api, Door::new(&self.config.http), Arc::clone(&self.clock), ids)
    }

    /// The chat on standard input and output.
    async fn chat(&self, parts: ChatParts, stop: CancelToken) -> anyhow::Result<()> {
        let (events, from_channel) = mpsc::channel::<Event>(CHANNEL_ROOM);
        let names = BotNames { name: self.config.bot_name.clone(), handles: Vec::new() };
        let (to_channel, outgoing) = mpsc::channel::<Outgoing>(CHANNEL_ROOM);
        let chat = ChatKey::of_the_terminal();
        let conversation = self.conversation(Place::Console, names, self.desk.lang_of(&chat));
        let driver = Driver::new(conversation, parts, Arc::clone(&self.clock), to_channel);
        // Whoever sits at the terminal of the machine is its admin.
        let person = Person::new(OWNER, true);
        let terminal = Terminal { chat, person, events, outgoing };
        let look = if std::env::var_os("NO_COLOR").is_some() { Look::Plain } else { Look::Dim };
        let (ended, ()) = tokio::join!(terminal.run_on_stdio(look), driver.run(from_channel, stop));
        match ended.context("cannot use the terminal")? {
            0 => Ok(()),
            1 => bail!("1 question was not answered, or not wholly"),
            some => bail!("{some} questions were not answered, or not wholly"),
        }
    }

    pub(super) fn conversation(&self, place: Place, names: BotNames, lang: Lang) -> Conversation {
        let chat = &self.config.chat;
        let first = &self.desk.providers[0];
        Conversation::new(Settings {
            names,
            system: (!chat.system_prompt.is_empty()).then(|| chat.system_prompt.as_str().into()),
            choice: choice_of(first, first.model()),
            footer: chat.usage_footer,
            lang,
            place,
            bounds: Bounds {
                messages: clamp(chat.history_messages),
                tokens: chat.history_tokens,
                sessions: SESSIONS,
                estimate: estimate_tokens,
            },
        })
    }

    fn parts(&self) -> ChatParts {
        let chat = &self.config.chat;
        let answering = Answering {
            metering: self.desk.metering.clone(),
            providers: Arc::clone(&self.desk.providers),
            people: Arc::clone(&self.desk.people),
            clock: Arc::clone(&self.clock),
            zone: self.desk.zone,
            random,
            retries: RetryPolicy::default(),
            patience: Patience {
                by_default: true,
                most: clamp(chat.waiting_max),
                most_each: clamp(chat.waiting_max_each),
                longest: Duration::from_secs(chat.waiting_max_seconds),
            },
            max_output_tokens: (chat.max_output_tokens > 0).then_some(chat.max_output_tokens),
        };
        let slots = clamp(chat.concurrent_generations).min(Semaphore::MAX_PERMITS);
        Parts {
            assistant: Arc::new(answering),
            books: Arc::clone(&self.desk),
            renderer: Arc::new(TemplateRenderer::new(Arc::clone(&self.desk.templates))),
            slots: Arc::new(Semaphore::new(slots)),
            grace: Grace::default(),
        }
    }
}

fn clamp(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Binds the door. That the default address is taken is no reason not to chat; an address somebody chose is.
async fn bind(address: SocketAddr, doors: Doors, say: &impl Fn(&str)) -> anyhow::Result<Option<TcpListener>> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if doors.terminal && address == Config::default().http.listen => {
            say(&format!("http://{address} is taken ({error}), so there is only this chat; see [http] listen"));
            Ok(None)
        }
        Err(error) => {
            Err(error).context(format!("cannot listen on `{address}`; choose another address with [http] listen"))
        }
    }
}

/// How this machine itself reaches an address: by loopback, where the address stands for all of them.
fn from_here(mut address: SocketAddr) -> SocketAddr {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn limits(config: &Config) -> Limits {
    let http = &config.http;
    Limits {
        connections: descriptors::connections(usize::try_from(http.max_connections).unwrap_or(usize::MAX)),
        head: Duration::from_secs(http.header_timeout_secs),
        body_total: Duration::from_secs(http.body_timeout_secs),
        ..Limits::default()
    }
}

async fn serve(
    listener: TcpListener,
    routes: impl Handler,
    limits: Limits,
    workers: Arc<Workers>,
    stop: impl Future<Output = ()>,
) {
    let drained = http::run(listener, routes, limits, &workers, stop).await;
    if drained.cut > 0 {
        tracing::warn!(connections = drained.cut, "connections were cut at the end");
    }
}

fn wait(stop: &CancelToken) -> impl Future<Output = anyhow::Result<()>> {
    let stop = stop.clone();
    async move {
        stop.cancelled().await;
        Ok(())
    }
}

/// SIGTERM ends everything; so does SIGHUP, unless it is to be ignored (`nohup`), and SIGINT, unless the terminal's
/// conversation listens to it.
fn on_signals(stop: CancelToken, doors: Doors) -> impl Future<Output = ()> {
    let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let hangup = if hears_hangups() { signal(SignalKind::hangup()).ok() } else { None };
    let hung_up = async move {
        match hangup {
            Some(mut hangup) => drop(hangup.recv().await),
            None => std::future::pending().await,
        }
    };
    async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
            tracing::error!("signals cannot be received; stop tallybot from its terminal");
            return;
        };
        tokio::select! {
            _ = terminate.recv() => stop.cancel(CancelReason::Shutdown),
            () = hung_up => stop.cancel(CancelReason::Shutdown),
            _ = interrupt.recv(), if !doors.terminal => stop.cancel(CancelReason::Shutdown),
            _ = stop.cancelled() => {}
        }
    }
}

/// Whether SIGHUP was not ignored by whoever started this process, as the system tells it.
fn hears_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_some_and(|signals| signals & 1 == 0)
}

/// A write beyond a limit on file sizes (`ulimit -f`) fails like one on a full disk, and does not end the process. To be
/// called in a runtime, before the first file is opened.
pub fn outlive_file_size_limits() {
    // A handler stays when what would tell of its signals is dropped.
    if let Err(error) = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())) {
        tracing::warn!(error = %error, "a limit on file sizes would end tallybot");
    }
}

/// Waits for all parts to end. One that breaks ends everything: half a service would not say what it lacks.
async fn supervise(mut parts: JoinSet<()>, stop: &CancelToken) {
    while let Some(ended) = parts.join_next().await {
        if ended.is_err() {
            tracing::error!("a part of tallybot broke, so all of it stops");
            stop.cancel(CancelReason::Shutdown);
        }
    }
}

/// Once a second: abandoned reservations, imported prices, counted refusals, the totals by model; now and then a snapshot.
async fn chores(desk: Arc<Desk>, mut prices: impl FnMut(), stop: CancelToken) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let mut last_snapshot = desk.clock.now().tick.second();
    loop {
        tokio::select! {
            _ = seconds.tick() => {}
            _ = stop.cancelled() => return,
        }
        let now = desk.clock.now();
        desk.metering.tick(now);
        // All of them share their connections.
        desk.providers.first().inspect(|provider| provider.second_passed());
        prices();
        let people = Arc::clone(&desk.people);
        let _broken = tokio::task::spawn_blocking(move || people.save_or_tell()).await;
        let metering = desk.metering.clone();
        let _broken = tokio::task::spawn_blocking(move || metering.update_side_files()).await;
        let is_due =
            now.tick.second() >= last_snapshot + SNAPSHOT_SECS || desk.metering.since_snapshot() >= SNAPSHOT_RECORDS;
        if is_due {
            last_snapshot = now.tick.second();
            let metering = desk.metering.clone();
            let written = tokio::task::spawn_blocking(move || metering.snapshot(now)).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(error = %error, "the snapshot could not be written; the next start takes longer");
            }
        }
    }
}
