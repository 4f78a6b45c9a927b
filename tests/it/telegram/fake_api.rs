//! The server: takes calls, plays the faults a test wrote down, does the rest, and notes everything with its time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::call::{Answer, Call, Params, decode, unescape};
use super::chat::Chat;
use super::methods::{self, Answered};
use super::queue::Webhook;
use super::rates::Breach;
use super::refusal::Refusal;
use super::script::{self, Effect, Fault};
use super::world::{Access, Kind, Person, World, now};
use super::{delivery, media};

/// Longer than anything takes on a loaded machine; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_BODY: usize = 50 << 20;

/// The world behind the server, and the bells that ring when it changes.
pub struct Shared {
    world: Mutex<World>,
    changes: watch::Sender<u64>,
    released: watch::Sender<u64>,
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nobody panics while holding it")
    }

    /// Changes the world, and tells everyone who waits.
    pub fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = change(&mut self.lock());
        self.tell();
        result
    }

    pub fn tell(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until a look at the world gives something.
    pub async fn wait<T>(&self, mut look: impl FnMut(&World) -> Option<T>) -> T {
        let mut changed = self.changed();
        let looking = async {
            loop {
                let found = look(&self.lock());
                if let Some(found) = found {
                    return found;
                }
                changed.changed().await.expect("the fake is there");
            }
        };
        match timeout(PATIENCE, looking).await {
            Ok(found) => found,
            Err(_) => panic!("what the test waits for never came. Last calls:\n{}", last_calls(&self.lock())),
        }
    }
}

fn last_calls(world: &World) -> String {
    let start = world.calls.len().saturating_sub(30);
    let line = |call: &Call| {
        let mut text = call.text("text");
        text.truncate(text.char_indices().nth(60).map_or(text.len(), |(at, _)| at));
        let answer = match &call.answer {
            Answer::Ok(_) => "ok".to_owned(),
            other => format!("{other:?}"),
        };
        format!("  {} {} chat {:?} {text:?}: {answer}", call.number, call.method, call.chat)
    };
    world.calls[start..].iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A Telegram of its own for one test. Ends when dropped, and then fails a test whose bot did what Telegram takes
/// without a word but forbids in its manual; see [`odd`](FakeApi::odd).
pub struct FakeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Dropped, it stops accepting and drops every connection.
    _serving: JoinSet<()>,
}

impl FakeApi {
    /// The token of the one bot it knows.
    pub const TOKEN: &'static str = "7000000001:AAFake-token_of-a-test-bot_0123456789";

    pub async fn start() -> FakeApi {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let world = Mutex::new(World::new());
        let shared = Arc::new(Shared { world, changes: watch::Sender::new(0), released: watch::Sender::new(0) });
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&shared)));
        serving.spawn(delivery::post_updates(Arc::clone(&shared)));
        FakeApi { address, shared, _serving: serving }
    }

    /// What goes into `[telegram] api_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    // What people see and do.

    /// The private chat of a person with the bot. The chat's id is the person's.
    pub fn private(&self, person: &Person) -> Chat {
        self.shared.with(|world| {
            world.open_room(person.id, Kind::Private, &person.name);
            world.people.insert(person.id, person.clone());
        });
        Chat::new(&self.shared, person.id, person)
    }

    /// A group with the bot in it, seen through one of its members. The id is negative.
    pub fn group(&self, id: i64, title: &str, member: &Person) -> Chat {
        self.room(id, Kind::Group, title, member)
    }

    /// A supergroup; its id starts with -100.
    pub fn supergroup(&self, id: i64, title: &str, member: &Person) -> Chat {
        self.room(id, Kind::Supergroup, title, member)
    }

    /// A supergroup with these topics.
    pub fn forum(&self, id: i64, title: &str, topics: &[i64], member: &Person) -> Chat {
        let chat = self.room(id, Kind::Forum, title, member);
        self.shared.with(|world| world.room(id).topics = topics.to_vec());
        chat
    }

    fn room(&self, id: i64, kind: Kind, title: &str, member: &Person) -> Chat {
        self.shared.with(|world| {
            world.open_room(id, kind, title);
            world.people.insert(member.id, member.clone());
        });
        Chat::new(&self.shared, id, member)
    }

    // What the bot did.

    /// All calls so far, in the order of their arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// The calls of one method so far.
    pub fn calls_of(&self, method: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.method == method).collect()
    }

    /// The calls that showed something in a chat, sent or edited, in order.
    pub fn shown_in(&self, chat: i64) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.is_counted() && call.is_ok() && call.chat == Some(chat)).collect()
    }

    /// Waits until a look at the calls gives something.
    pub async fn wait_for<T>(&self, mut look: impl FnMut(&[Call]) -> Option<T>) -> T {
        self.shared.wait(|world| look(&world.calls)).await
    }

    /// Waits until so many calls of a method were answered, well or not, and gives these.
    pub async fn wait_for_calls(&self, method: &str, count: usize) -> Vec<Call> {
        self.wait_for(|calls| {
            let answered = calls.iter().filter(|call| call.method == method && call.answer != Answer::None);
            let answered: Vec<Call> = answered.cloned().collect();
            (answered.len() >= count).then_some(answered)
        })
        .await
    }

    /// Waits until the bot confirmed an update: by the offset of a poll, or by a 2xx of its webhook.
    pub async fn wait_until_confirmed(&self, update: i64) {
        self.shared.wait(|world| (world.queue.confirmed > update).then_some(())).await;
    }

    /// How many long polls there were so far.
    pub fn polls(&self) -> u64 {
        self.shared.lock().queue.polls
    }

    /// Waits until the bot has begun so many long polls: it is up and has nothing left to fetch.
    pub async fn wait_for_polls(&self, count: u64) {
        self.shared.wait(|world| (world.queue.polls >= count).then_some(())).await;
    }

    /// The commands of a scope (`default`, `chat:111`) and a language (empty for all others): name and description.
    pub fn commands(&self, scope: &str, language: &str) -> Vec<(String, String)> {
        let key = (scope.to_owned(), language.to_owned());
        self.shared.lock().commands.get(&key).cloned().unwrap_or_default()
    }

    /// The scopes and languages that have commands.
    pub fn command_scopes(&self) -> Vec<(String, String)> {
        self.shared.lock().commands.keys().cloned().collect()
    }

    pub fn webhook(&self) -> Option<Webhook> {
        self.shared.lock().queue.webhook.clone()
    }

    /// Where the bot was faster than the flood limits, enforced or not.
    pub fn breaches(&self) -> Vec<Breach> {
        self.shared.lock().rates.breaches.clone()
    }

    /// What Telegram takes without a word and a careful bot does not send: unknown parameters and attributes, tags in
    /// code, a bare `&`. Whoever asks has seen it; what nobody asked for fails the test at its end.
    pub fn odd(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().oddities)
    }

    // What goes wrong.

    /// Writes a fault down; several for one method come one after the other.
    pub fn fault(&self, fault: Fault) {
        self.shared.with(|world| world.faults.push(fault));
    }

    /// Forgets the faults that did not happen yet.
    pub fn no_more_faults(&self) {
        self.shared.with(|world| world.faults.clear());
    }

    /// Lets go of every call that is held.
    pub fn release(&self) {
        self.shared.released.send_modify(|count| *count += 1);
    }

    /// Refuses what is faster than the flood limits, from now on.
    pub fn enforce_limits(&self) {
        self.shared.with(|world| world.rates.enforced = true);
    }

    /// Takes `sendMessageDraft` away, as on an older server.
    pub fn without_drafts(&self) {
        self.shared.with(|world| world.drafts = false);
    }

    /// Whether the bot sees only commands, mentions and replies in groups; it does unless told.
    pub fn privacy(&self, on: bool) {
        self.shared.with(|world| world.privacy = on);
    }

    /// Delivers an update once more, whatever was confirmed.
    pub fn deliver_again(&self, update: i64) {
        self.shared.with(|world| world.queue.deliver_again(update));
    }

    /// Makes every open button press too old to be answered.
    pub fn presses_grow_old(&self) {
        self.shared.with(|world| world.presses.clear());
    }

    /// How long a press can be answered from now on.
    pub fn press_life(&self, life: Duration) {
        self.shared.with(|world| world.press_life = life);
    }

    /// Posts for `https://host` go to this address, without TLS.
    pub fn host(&self, host: &str, address: SocketAddr) {
        self.shared.with(|world| world.hosts.insert(host.to_owned(), address));
    }

    /// Turns a group into a supergroup with a new id; calls to the old one are refused and say so.
    pub fn upgrade(&self, group: &Chat, to: i64) -> Chat {
        let (from, person) = (group.id(), group.person().clone());
        let title = self.shared.lock().room(from).title.clone();
        let upgraded = self.supergroup(to, &title, &person);
        group.service(json!({"migrate_to_chat_id": to}));
        upgraded.service(json!({"migrate_from_chat_id": from}));
        self.shared.with(|world| world.room(from).access = Access::MigratedTo(to));
        upgraded
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let odd = self.odd();
            assert!(odd.is_empty(), "Telegram takes this without a word, its manual does not: {odd:?}");
        }
    }
}

/// The connection was closed on purpose.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed as the test says")
    }
}

impl std::error::Error for Dropped {}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut serving = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _nagle = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        serving.spawn(async move {
            let service = service_fn(|request| answer(&shared, request));
            // The client may leave at any time, and a test may want its connection closed.
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
    let (head, body) = request.into_parts();
    // Some clients escape the colon of a token and the slashes of a file's path.
    let path = unescape(head.uri.path());
    let query = head.uri.query().unwrap_or_default().to_owned();
    let content_type = head.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Ok(refused(&Refusal::new(413, "Request Entity Too Large")));
    };
    let (is_file, rest) = match (path.strip_prefix("/bot"), path.strip_prefix("/file/bot")) {
        (_, Some(rest)) => (true, rest),
        (Some(rest), None) => (false, rest),
        (None, None) => return Ok(refused(&Refusal::new(404, "Not Found"))),
    };
    let Some((token, name)) = rest.split_once('/') else { return Ok(refused(&Refusal::new(404, "Not Found"))) };
    if token != FakeApi::TOKEN {
        return Ok(refused(&Refusal::new(401, "Unauthorized")));
    }
    if is_file {
        let mut params = Params::default();
        params.values.insert("file_path".to_owned(), name.into());
        return played(shared, "file", params).await;
    }
    let Some(params) = decode(&query, content_type, &body.to_bytes()) else {
        return Ok(refused(&Refusal::bad("can't parse request body")));
    };
    // Unknown ones are noted too.
    let method = methods::canonical(name).unwrap_or(name).to_owned();
    played(shared, &method, params).await
}

/// Notes a call, plays its fault, does it, answers.
async fn played(shared: &Shared, method: &str, params: Params) -> Result<Response<Full<Bytes>>, Dropped> {
    let mut released = shared.released.subscribe();
    let (call, effect) = shared.with(|world| {
        let call = noted(world, method, params);
        let effect = script::take(&mut world.faults, &call);
        (call, effect)
    });
    let done = |answer: Answer| shared.with(|world| world.calls[call.number - 1].answer = answer);
    match &effect {
        Some(Effect::DropBefore) => {
            done(Answer::Dropped);
            return Err(Dropped);
        }
        Some(Effect::Page(status)) => {
            done(Answer::Refused(*status, "a page of HTML".to_owned()));
            let page = Full::new(Bytes::from_static(b"<html><body>Bad Gateway</body></html>"));
            return Ok(Response::builder().status(*status).body(page).expect("a plain response"));
        }
        Some(Effect::Slow(wait)) => sleep(*wait).await,
        Some(Effect::Held) => {
            let _gone = released.changed().await;
        }
        _ => {}
    }
    let result = match &effect {
        Some(Effect::Refuse(refusal)) => Err(refusal.clone()),
        _ => act(shared, &call).await,
    };
    if matches!(effect, Some(Effect::DropAfter)) {
        done(Answer::Dropped);
        return Err(Dropped);
    }
    match result {
        Ok(Done::File(bytes)) => {
            done(Answer::Ok(json!({"file_size": bytes.len()})));
            Ok(Response::new(Full::new(bytes.into())))
        }
        Ok(Done::Result(result)) => {
            let body = json!({"ok": true, "result": result}).to_string();
            done(Answer::Ok(result));
            let response = Response::builder().header("content-type", "application/json");
            Ok(response.body(Full::new(body.into())).expect("a plain response"))
        }
        Err(refusal) => {
            done(Answer::Refused(refusal.code, refusal.description.clone()));
            Ok(refused(&refusal))
        }
    }
}

enum Done {
    Result(Value),
    File(Vec<u8>),
}

async fn act(shared: &Shared, call: &Call) -> Result<Done, Refusal> {
    let with = |method: &dyn Fn(&mut World) -> Answered| shared.with(|world| method(world)).map(Done::Result);
    match call.method.as_str() {
        "file" => {
            let bytes = media::download(&shared.lock(), &call.text("file_path"));
            bytes.map(Done::File).ok_or_else(|| Refusal::new(404, "Not Found"))
        }
        "getUpdates" => delivery::get_updates(shared, call).await.map(Done::Result),
        "setWebhook" => with(&|world| delivery::set_webhook(world, call)),
        "deleteWebhook" => with(&|world| delivery::delete_webhook(world, call)),
        "getWebhookInfo" => with(&delivery::get_webhook_info),
        _ => with(&|world| methods::run(world, call)),
    }
}

fn noted(world: &mut World, method: &str, params: Params) -> Call {
    let mut call = Call {
        number: world.calls.len() + 1,
        at: now(),
        method: method.to_owned(),
        chat: None,
        params: params.values,
        uploads: params.uploads,
        answer: Answer::None,
    };
    let press = world.presses.get(&call.text("callback_query_id"));
    call.chat = call.integer("chat_id").or(press.map(|press| press.chat));
    world.calls.push(call.clone());
    call
}

fn refused(refusal: &Refusal) -> Response<Full<Bytes>> {
    let response = Response::builder().status(refusal.code).header("content-type", "application/json");
    let response = match refusal.wait_secs() {
        Some(seconds) => response.header("retry-after", seconds),
        None => response,
    };
    response.body(Full::new(refusal.body().to_string().into())).expect("a plain response")
}
