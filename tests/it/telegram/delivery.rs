//! How updates reach the bot: long polls, or posts to its webhook. One of the two, never both.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout_at};

use super::call::Call;
use super::fake_api::Shared;
use super::methods::Answered;
use super::queue::Webhook;
use super::refusal::Refusal;
use super::world::{World, now, unix_time};

pub const METHODS: [&str; 4] = ["getUpdates", "setWebhook", "deleteWebhook", "getWebhookInfo"];

/// Telegram waits longer; a test does not want to.
const RETRY_AFTER: Duration = Duration::from_millis(100);
const POST_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_POLL_SECS: i64 = 50;
const PORTS: [u16; 4] = [443, 80, 88, 8443];

/// Waits for updates as long as the call says. A newer poll ends an older one.
pub async fn get_updates(shared: &Shared, call: &Call) -> Answered {
    let offset = call.integer("offset").unwrap_or(0);
    let limit = usize::try_from(call.integer("limit").unwrap_or(100).clamp(1, 100)).unwrap_or(100);
    let mut secs = call.integer("timeout").unwrap_or(0).clamp(0, MAX_POLL_SECS);
    let mut changed = shared.changed();
    let poll = {
        let mut world = shared.lock();
        let queue = &mut world.queue;
        if queue.webhook.is_some() {
            return Err(Refusal::webhook_is_set());
        }
        queue.allow(call.json("allowed_updates"));
        // Asking for the same again and again is slowed down.
        let again =
            queue.last_poll.is_some_and(|(last, at)| last == offset && call.at.duration_since(at).as_secs() < 3);
        if again {
            secs = secs.max(3);
        }
        queue.last_poll = Some((offset, call.at));
        queue.confirm(offset);
        let updates = queue.next(limit);
        if !updates.is_empty() || secs == 0 {
            drop(world);
            shared.tell();
            return Ok(updates.into());
        }
        queue.polls += 1;
        queue.polls
    };
    shared.tell();
    let end = call.at + Duration::from_secs(secs.unsigned_abs());
    loop {
        let is_over = timeout_at(end, changed.changed()).await.is_err();
        let mut world = shared.lock();
        let queue = &mut world.queue;
        if queue.webhook.is_some() {
            return Err(Refusal::webhook_came());
        }
        if queue.polls != poll {
            return Err(Refusal::other_poll());
        }
        if is_over || !queue.is_empty() {
            return Ok(queue.next(limit).into());
        }
    }
}

pub fn set_webhook(world: &mut World, call: &Call) -> Answered {
    let (url, secret) = (call.text("url"), call.text("secret_token"));
    if url.is_empty() {
        return delete_webhook(world, call);
    }
    check_url(&url, &world.hosts)?;
    if secret.len() > 256 {
        return Err(Refusal::bad("secret token is too long"));
    }
    if !secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        return Err(Refusal::bad("secret token contains unallowed characters"));
    }
    world.queue.allow(call.json("allowed_updates"));
    if call.flag("drop_pending_updates") {
        world.queue.clear();
    }
    let secret = (!secret.is_empty()).then_some(secret);
    world.queue.webhook = Some(Webhook { url, secret, last_error: None });
    Ok(true.into())
}

pub fn delete_webhook(world: &mut World, call: &Call) -> Answered {
    if call.flag("drop_pending_updates") {
        world.queue.clear();
    }
    world.queue.webhook = None;
    Ok(true.into())
}

pub fn get_webhook_info(world: &mut World) -> Answered {
    let queue = &world.queue;
    let url = queue.webhook.as_ref().map_or("", |webhook| &webhook.url);
    let mut info = json!({"url": url, "has_custom_certificate": false, "pending_update_count": queue.len()});
    if let Some((date, error)) = queue.webhook.as_ref().and_then(|webhook| webhook.last_error.clone()) {
        (info["last_error_date"], info["last_error_message"]) = (date.into(), error.into());
    }
    if queue.webhook.is_some() {
        info["max_connections"] = 40.into();
    }
    if !queue.allowed().is_empty() {
        info["allowed_updates"] = json!(queue.allowed());
    }
    Ok(info)
}

/// Telegram wants HTTPS and four ports; plain HTTP is taken for this machine only, as a local server does.
fn check_url(url: &str, hosts: &super::world::Hosts) -> Result<(), Refusal> {
    let bad = |what: &str| Refusal::bad(format!("bad webhook: {what}"));
    let (scheme, rest) = url.split_once("://").ok_or_else(|| Refusal::bad("invalid webhook URL specified"))?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    match scheme {
        "http" if ["127.0.0.1", "localhost"].contains(&host) => Ok(()),
        "https" => match port.parse() {
            Ok(port) if !PORTS.contains(&port) => Err(bad("Webhook can be set up only on ports 80, 88, 443 or 8443")),
            Ok(_) if hosts.contains_key(host) => Ok(()),
            _ => Err(bad("Failed to resolve host: Name or service not known")),
        },
        _ => Err(bad("An HTTPS URL must be provided for webhook")),
    }
}

/// Where a webhook really is: a name is looked up among those the test gave.
fn address(url: &str, hosts: &super::world::Hosts) -> String {
    let Some(rest) = url.strip_prefix("https://") else { return url.to_owned() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.split(':').next().unwrap_or_default();
    hosts.get(host).map_or_else(|| url.to_owned(), |at: &SocketAddr| format!("http://{at}/{path}"))
}

/// Posts what waits to the webhook, one after the other; what is not taken with a 2xx comes again.
pub async fn post_updates(shared: std::sync::Arc<Shared>) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut changed = shared.changed();
    loop {
        let next = {
            let world = shared.lock();
            let webhook = world.queue.webhook.clone();
            webhook.and_then(|webhook| Some((address(&webhook.url, &world.hosts), webhook, world.queue.front()?)))
        };
        let Some((url, webhook, update)) = next else {
            if changed.changed().await.is_err() {
                return;
            }
            continue;
        };
        let posted = post(&client, &url, &webhook, &update).await;
        let is_taken = posted.is_ok();
        shared.with(|world| match posted {
            Ok(()) => world.queue.delivered(&update),
            Err(error) => {
                if let Some(webhook) = &mut world.queue.webhook {
                    webhook.last_error = Some((unix_time(), error));
                }
            }
        });
        if !is_taken {
            sleep(RETRY_AFTER).await;
        }
    }
}

type Posts = Client<HttpConnector, Full<Bytes>>;

async fn post(client: &Posts, url: &str, webhook: &Webhook, update: &Value) -> Result<(), String> {
    let request = Request::post(url).header("content-type", "application/json");
    let request = match &webhook.secret {
        Some(secret) => request.header("x-telegram-bot-api-secret-token", secret),
        None => request,
    };
    let request = request.body(Full::new(Bytes::from(update.to_string()))).map_err(|error| error.to_string())?;
    let answered = timeout_at(now() + POST_TIMEOUT, client.request(request)).await;
    let answer = answered.map_err(|_| "Read timeout expired")?.map_err(|_| "Connection refused")?;
    let status = answer.status();
    // A body may hold a method to call; the bots this was made for do not answer so.
    let body = answer.into_body().collect().await;
    drop(body);
    if status.is_success() { Ok(()) } else { Err(format!("Wrong response from the webhook: {status}")) }
}
