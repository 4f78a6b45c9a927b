//! Alerts at places of the owner's, by the built program: a program behind a webhook, Slack, Discord, a mail server.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::providers::{Reply, ScriptedProvider};
use crate::running::Home;
use crate::test_app::TestApp;

const PAGE: &str = include_str!("../../docs/deliveries.md");

const SECRET: &str = "canary-0123456789abcdef0123456789";
const PASSWORD: &str = "canary-password";

/// A mail server that says what it is told to; what it hears is kept, line by line.
struct MailServer {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    _accepting: JoinSet<()>,
}

impl MailServer {
    /// `refusal` is said to whoever signs in, where it is not empty.
    async fn start(refusal: &'static str) -> MailServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ended = talk(stream, refusal, &hears).await;
            }
        });
        MailServer { port, heard, _accepting: accepting }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("whole").clone()
    }
}

async fn talk(mut stream: TcpStream, refusal: &str, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    stream.write_all(b"220 mail.test ESMTP\r\n").await?;
    let mut lines = BufReader::new(&mut stream);
    let (mut line, mut in_data) = (String::new(), false);
    while lines.read_line(&mut line).await? > 0 {
        let said = std::mem::take(&mut line).trim_end().to_owned();
        heard.lock().expect("whole").push(said.clone());
        let answer = match said.split(' ').next().unwrap_or_default() {
            "." if in_data => "250 taken",
            _ if in_data => continue,
            "EHLO" => "250-mail.test\r\n250 AUTH PLAIN",
            "AUTH" if !refusal.is_empty() => refusal,
            "AUTH" => "235 welcome",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        in_data = said == "DATA";
        lines.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

fn configuration(webhook: &ScriptedProvider, mail: &MailServer) -> String {
    format!(
        "language = \"es\"\n[alerts.webhook]\nurl = \"{}/alerts\"\nsecret_env = \"HOOK_SECRET\"\nmin_level = \"critical\"\n\
         [alerts.slack]\nurl_env = \"SLACK_URL\"\n[alerts.discord]\nurl_env = \"DISCORD_URL\"\n\
         [alerts.mail]\nsmtp = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"bot\"\npassword_env = \"MAIL_PASSWORD\"\n\
         from = \"tallybot@example.com\"\nto = [\"ana@example.com\", \"luis@example.com\"]\n",
        webhook.url(),
        mail.port
    )
}

fn home(config: &str, slack: &ScriptedProvider, discord: &ScriptedProvider) -> Home {
    Home::new(config)
        .with_env("HOOK_SECRET", SECRET)
        .with_env("MAIL_PASSWORD", PASSWORD)
        .with_env("SLACK_URL", &format!("{}/services/T0/B0/canary", slack.url()))
        .with_env("DISCORD_URL", &format!("{}/api/webhooks/1/canary", discord.url()))
}

/// HMAC-SHA256 as RFC 2104 writes it, apart from the one the program uses.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::digest([&padded(0x36)[..], message].concat());
    let outer = Sha256::digest([&padded(0x5c)[..], &inner].concat());
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_alert_reaches_every_place_in_its_form() {
    let ok = || ScriptedProvider::always(Reply::whole(200, "text/plain", "ok"));
    let (webhook, slack, discord) = (ok().await, ok().await, ScriptedProvider::always(Reply::json(204, "")).await);
    let mail = MailServer::start("").await;
    let home = home(&configuration(&webhook, &mail), &slack, &discord);
    let ended = home.run(&["check-config", "--send-test-alert"], "");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    for place in ["webhook", "slack", "discord", "mail"] {
        assert!(ended.out.contains(&format!("\n{place}: delivered\n")), "{ended:?}");
    }
    assert!(!ended.out.contains("canary") && !home.data().exists(), "{ended:?}");

    let posted = |server: &ScriptedProvider| {
        let hits = server.hits();
        assert_eq!((hits.len(), hits[0].method.as_str()), (1, "POST"));
        hits[0].clone()
    };
    let told = posted(&webhook);
    let body = told.json();
    assert_eq!((&body["v"], &body["alert"], &body["severity"]), (&json!(1), &json!("test"), &json!("info")));
    assert!(body["text"].as_str().expect("a text").starts_with("🔔 Esto es una prueba"), "{body}");
    let signature = told.header("x-tallybot-signature").expect("it is signed");
    let (time, digest) = signature.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).expect("t=…,v1=…");
    assert_eq!(digest, hmac(SECRET.as_bytes(), &[time.as_bytes(), b".", &told.body].concat()));
    verify_as_the_page_says(signature, &told.body);
    let key = told.header("idempotency-key").expect("a repeat is known by it");
    assert_eq!(key.len(), 32);

    let slack = posted(&slack);
    assert_eq!((slack.path.as_str(), slack.header("idempotency-key")), ("/services/T0/B0/canary", Some(key)));
    assert_eq!(slack.json()["text"], body["text"]);
    assert_eq!(posted(&discord).json()["allowed_mentions"], json!({"parse": []}));

    let letter = mail.heard().join("\n");
    for line in [
        "MAIL FROM:<tallybot@example.com>",
        "RCPT TO:<ana@example.com>",
        "RCPT TO:<luis@example.com>",
        "From: tallybot@example.com",
        "To: ana@example.com, luis@example.com",
        &format!("Message-ID: <{key}@example.com>"),
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
        "Los avisos de tallybot llegan aqu=C3=AD.",
    ] {
        assert!(letter.lines().any(|said| said.starts_with(line)), "{line}:\n{letter}");
    }
}

/// The page's own snippet says yes to what came, and no to anything else.
fn verify_as_the_page_says(signature: &str, body: &[u8]) {
    let snippet = PAGE.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a snippet");
    let program = format!(
        "{snippet}\nimport sys\nbody = sys.stdin.buffer.read()\nsecret, header = sys.argv[1:]\n\
         print(is_from_tallybot(secret, header, body), is_from_tallybot(secret, header, body + b' '), \
         is_from_tallybot('x' + secret, header, body), is_from_tallybot(secret, header.replace('t=1', 't=2'), body))\n"
    );
    let python = Command::new("python3")
        .args(["-c", &program, SECRET, signature])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn();
    let Ok(mut python) = python else {
        let said = writeln!(std::io::stderr(), "NOT CHECKED: the snippet of docs/deliveries.md: no python3");
        return said.expect("tests have a stderr");
    };
    python.stdin.take().expect("piped").write_all(body).expect("it reads");
    let output = python.wait_with_output().expect("our own child");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "True False False False");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said_for_each_place_with_what_to_do_and_no_secret() {
    let webhook = ScriptedProvider::always(Reply::json(401, "{\"canary\":1}")).await;
    let slack = ScriptedProvider::always(Reply::whole(404, "text/plain", "no_service canary")).await;
    let discord = ScriptedProvider::always(Reply::json(307, "").header("location", "http://127.0.0.1:1/canary")).await;
    let mail = MailServer::start("535 5.7.8 bot canary-password: no").await;
    let home = home(&configuration(&webhook, &mail), &slack, &discord);
    let ended = home.run(&["check-config", "--send-test-alert"], "");
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    for words in [
        "webhook: not delivered: the server refused it with 401; check that the program there knows the same secret",
        "slack: not delivered: the server refused it with 404; make the URL anew",
        "discord: not delivered: the server answered 307 and names another address; write the address it leads to",
        "mail: not delivered: the server refused it with 535; check `user` and the password",
    ] {
        assert!(ended.err.contains(words), "{words}: {ended:?}");
    }
    let said = format!("{}{}", ended.out, ended.err);
    for secret in ["canary", "services/T0", "127.0.0.1"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    assert_eq!([&webhook, &slack, &discord].map(|server| server.hits().len()), [1, 1, 1], "each is tried once");
}

#[test]
fn without_a_place_nothing_is_tried_and_a_wrong_configuration_sends_nothing() {
    let home = Home::new("");
    let ended = home.run(&["check-config", "--send-test-alert"], "");
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.err.contains("no place to try"), "{ended:?}");
    home.configure("[alerts.webhook]\nurl = \"http://example.com/\"\n");
    let ended = home.run(&["check-config", "--send-test-alert"], "");
    assert_eq!((ended.code(), ended.out.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.err.contains("`alerts.webhook.url`") && !ended.err.contains("example.com/`"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_bot_tells_a_place_what_it_finds() {
    let (tell, hears) = mpsc::channel();
    let tell = Mutex::new(tell);
    let webhook = ScriptedProvider::start(move |hit| {
        let _test_is_over = tell.lock().expect("whole").send(hit.clone());
        Reply::json(200, "{}")
    })
    .await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let app = TestApp::start(folder.path(), &format!("[alerts.webhook]\nurl = \"{}/alerts\"\n", webhook.url()));
    let call = r#"{"api_type":"openai","model":"never-priced-1","prompt_tokens":10,"completion_tokens":5}"#;
    assert_eq!(app.post("/v1/usage", call).status, 200);
    let told = hears.recv_timeout(Duration::from_secs(20)).expect("the place is told").json();
    assert_eq!((&told["alert"], &told["model"]), (&json!("unknown_price"), &json!("never-priced-1")), "{told}");
    assert!(app.stop().success());
}

/// The example of the page has the fields that are sent.
#[test]
fn the_page_shows_what_is_sent() {
    let example = PAGE.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let example: Value = serde_json::from_str(example).expect("JSON");
    let fields: Vec<&String> = example.as_object().expect("an object").keys().collect();
    assert!(fields.iter().all(|field| PAGE.contains(&format!("`{field}`"))), "each is explained: {fields:?}");
}
