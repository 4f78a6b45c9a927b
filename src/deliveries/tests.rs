//! What is sent, to the letter; how a place is chosen; what happens when it does not answer, on virtual time.

use std::sync::Mutex;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::queue::MAX_WAITING;
use super::*;
use crate::alerts::{Alert, WindowAlert};
use crate::config::{AlertPost, AlertSeverity, AlertWebhook};
use crate::limits::{Facet, Label, Level, LimitKind};
use crate::usage::{Day, Now, Tick, Timestamp};

const AT: i64 = 1_795_377_800_000_000;

struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Now {
        Now { at: Timestamp::new(AT, -6 * 3600), tick: Tick(0) }
    }
}

fn notice(id: &str, alert: Alert) -> Notice {
    Notice { id: id.to_owned(), at: Timestamp::new(AT, -6 * 3600), alert }
}

fn full(level: Level) -> Alert {
    let label = Label(vec![(Facet::User, "k7f3abcdefghij234567".into())]);
    let (used, max) = (4_800_000_000_000, 5_000_000_000_000);
    let window = WindowAlert { label, limit: LimitKind::UsdPerDay, window: Day(20_779), used, max, resets_at: None };
    Alert::Level { window, level }
}

fn webhook_at(url: &str, secret: Option<&str>, min_level: AlertSeverity) -> Alerts {
    let webhook = AlertWebhook { url: url.to_owned(), secret: secret.map(SecretString::from), min_level };
    Alerts { webhook: Some(webhook), ..Alerts::default() }
}

#[test]
fn the_webhook_is_told_what_happened_with_exact_amounts_and_no_name() {
    let body = webhook::body(&notice("a1", full(Level::Critical)), "🔴 …");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let expected = json!({
        "v": 1, "id": "a1", "at": "2026-11-22T14:03:20.000000-06:00", "severity": "critical", "alert": "level",
        "level": "critical", "scope": "user:k7f3abcdefghij234567", "limit": "usd_per_day", "span": "day",
        "window": "2026-11-22", "used": null, "max": null, "used_usd": "4.8", "max_usd": "5", "percent": 96,
        "resets_at": null, "resets_in_seconds": null, "text": "🔴 …",
    });
    assert_eq!(body, expected);
}

/// The value is that of `printf '1795377800.{"v":1}' | openssl dgst -sha256 -hmac secret`.
#[test]
fn the_signature_covers_the_time_and_the_body() {
    let signature = webhook::signature(&SecretString::from("secret"), StandingClock.now().at, br#"{"v":1}"#);
    assert_eq!(signature, "t=1795377800,v1=02cf94f655511e67ed90cd768c13ee29bfee54556255ca66fc7e7f393a206479");
}

#[test]
fn slack_and_discord_take_names_for_names() {
    let slack: Value = serde_json::from_slice(&slack::body("<!channel> & co")).expect("JSON");
    assert_eq!(slack["text"], "&lt;!channel&gt; &amp; co");
    assert_eq!(slack["blocks"][0]["text"]["text"], slack["text"]);
    let discord: Value = serde_json::from_slice(&discord::body("@everyone: my_own_model `/budget a_b`")).expect("JSON");
    assert_eq!(discord["content"], "@everyone: my\\_own\\_model `/budget a_b`");
    assert_eq!(discord["allowed_mentions"], json!({"parse": []}));
}

#[test]
fn no_text_is_longer_than_a_place_takes() {
    for text in ["&".repeat(10_000), "_".repeat(10_000), "é🔴".repeat(5_000)] {
        let slack: Value = serde_json::from_slice(&slack::body(&text)).expect("JSON");
        let shown = slack["text"].as_str().expect("a text");
        assert!(shown.chars().count() <= 3_000 && shown.ends_with('…') && !shown.contains("&am…"), "{shown}");
        let discord: Value = serde_json::from_slice(&discord::body(&text)).expect("JSON");
        assert!(discord["content"].as_str().expect("a text").chars().count() <= 2_000);
    }
}

#[tokio::test]
async fn a_place_hears_of_what_it_asked_for_alone() {
    let alerts = webhook_at("http://127.0.0.1:9/", None, AlertSeverity::Warning);
    let deliveries = Deliveries::new(&alerts, Arc::new(StandingClock)).expect("a URL");
    let handed_over = |alert| {
        let _receipt = deliveries.deliver_to("webhook", &notice("a1", alert), "…");
        deliveries.health()[0].waiting
    };
    assert_eq!(
        [full(Level::Caution), Alert::Test, full(Level::Warning), full(Level::Critical)].map(handed_over),
        [0, 0, 1, 2]
    );
}

#[tokio::test]
async fn the_oldest_goes_when_too_many_wait_and_the_rest_is_told_at_the_end() {
    let alerts = webhook_at("http://127.0.0.1:9/", None, AlertSeverity::Info);
    let deliveries = Deliveries::new(&alerts, Arc::new(StandingClock)).expect("a URL");
    let receipts: Vec<_> = (0..MAX_WAITING + 2)
        .map(|n| deliveries.deliver_to("webhook", &notice(&n.to_string(), Alert::Test), "…"))
        .collect();
    let health = &deliveries.health()[0];
    assert_eq!((health.waiting, health.dropped), (MAX_WAITING, 2));
    deliveries.run(async {}).await;
    let ended: Vec<_> = join_all(receipts).await;
    assert_eq!(ended[..2], [Err(DeliveryError::Crowded); 2]);
    assert!(ended[2..].iter().all(|one| *one == Err(DeliveryError::Stopped)), "{ended:?}");
    let late = deliveries.deliver_to("webhook", &notice("late", Alert::Test), "…").await;
    assert_eq!(late, Err(DeliveryError::Stopped));
}

/// A server that answers each request with the next status, and 200 at the end; gives its URL and what it was sent.
async fn server(statuses: &[u16], serving: &mut JoinSet<()>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/alerts", listener.local_addr().expect("bound"));
    let mut statuses = Vec::from(statuses).into_iter();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    serving.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert_ne!(stream.read_buf(&mut request).await.expect("a request"), 0);
            }
            hears.lock().expect("whole").push(String::from_utf8(request).expect("text"));
            let status = statuses.next().unwrap_or(200);
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.expect("written");
        }
    });
    (url, heard)
}

#[tokio::test]
async fn a_busy_place_is_tried_again_with_the_same_key_and_delays_no_other() {
    let mut serving = JoinSet::new();
    let (busy, heard) = server(&[503], &mut serving).await;
    let (good, _) = server(&[], &mut serving).await;
    let discord = AlertPost { url: SecretString::from(good), min_level: AlertSeverity::Info };
    let alerts = Alerts { discord: Some(discord), ..webhook_at(&busy, Some("secret"), AlertSeverity::Info) };
    let deliveries = Deliveries::new(&alerts, Arc::new(StandingClock)).expect("URLs");
    let worker = deliveries.clone();
    serving.spawn(async move { worker.run(std::future::pending()).await });
    for place in ["webhook", "discord"] {
        assert_eq!(deliveries.deliver_to(place, &notice("ñ1", Alert::Test), "…").await, Ok(()), "{place}");
    }
    let heard = heard.lock().expect("whole").clone();
    let header = |request: &str, name: &str| {
        let line = request.lines().find(|line| line.to_lowercase().starts_with(name));
        line.unwrap_or_else(|| panic!("{name}: {request}")).to_owned()
    };
    assert_eq!(heard.len(), 2);
    assert_eq!(header(&heard[0], "idempotency-key:"), header(&heard[1], "idempotency-key:"));
    assert!(header(&heard[0], "x-tallybot-signature:").contains("t=1795377800,v1="));
    let health = deliveries.health();
    assert!(health.iter().all(|place| place.last_ok.is_some() && place.failing.is_none()), "{health:?}");
}

#[tokio::test]
async fn what_is_refused_or_leads_elsewhere_is_given_up_and_shown() {
    for (status, error) in [(404, DeliveryError::Refused(404)), (307, DeliveryError::Elsewhere(307))] {
        let mut serving = JoinSet::new();
        let (url, heard) = server(&[status], &mut serving).await;
        let alerts = webhook_at(&url, None, AlertSeverity::Info);
        let deliveries = Deliveries::new(&alerts, Arc::new(StandingClock)).expect("a URL");
        let worker = deliveries.clone();
        serving.spawn(async move { worker.run(std::future::pending()).await });
        assert_eq!(deliveries.deliver_to("webhook", &notice("a1", Alert::Test), "…").await, Err(error));
        assert_eq!(heard.lock().expect("whole").len(), 1);
        let failing = deliveries.health()[0].failing.clone().expect("it failed");
        assert_eq!((failing.kind, failing.code, failing.failures), (error.kind(), Some(status), 1));
        assert_eq!(failing.since, StandingClock.now().at);
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_takes_the_connection_and_says_nothing_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let deliveries =
        Deliveries::new(&webhook_at(&url, None, AlertSeverity::Info), Arc::new(StandingClock)).expect("a URL");
    let test = notice("a1", Alert::Test);
    let tried = tokio::time::timeout(Duration::from_secs(60), deliveries.try_each(&test, "…"));
    assert_eq!(tried.await.expect("it ends"), [("webhook", Err(DeliveryError::Timeout))]);
}

#[test]
fn no_error_or_debug_shows_where_it_went() {
    let url = "https://hooks.slack.com/services/canary";
    let post = AlertPost { url: SecretString::from(url), min_level: AlertSeverity::Info };
    let alerts = Alerts { slack: Some(post), ..Alerts::default() };
    assert!(!format!("{alerts:?}").contains("canary"));
    for error in [DeliveryError::NoConnection, DeliveryError::Busy(503), DeliveryError::Misconfigured] {
        assert!(!format!("{error} {error:?}").contains("http"));
    }
}
