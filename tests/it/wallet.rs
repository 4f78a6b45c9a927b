//! Denial of wallet: through the gateway nobody makes the owner pay who may not, or beyond what was allowed: before a
//! provider is asked, the key was checked, the body read and the call reserved at every limit.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::providers::{Hit, Reply, ScriptedProvider, openai};
use crate::running::{Answer, Home, Running};

fn config(url: &str, more: &str) -> String {
    let provider = |name: &str, limits: &str| {
        format!(
            "[[providers]]\nname = \"{name}\"\nkind = \"openai\"\nurl = \"{url}\"\nmodel = \"gpt-4o-mini\"\n{limits}\n"
        )
    };
    let providers = [
        provider("cloud", ""),
        provider("small", "limits = { tokens_per_day = 1000 }"),
        provider("rare", "limits = { requests_per_day = 15 }"),
    ];
    format!("[http]\nlisten = \"127.0.0.1:0\"\n[gateway]\nmax_body_mib = 1\n{}{more}", providers.concat())
}

fn chat(_: &Hit) -> Reply {
    Reply::json(200, openai::chat_json("hello", 10, 5))
}

/// Calls that cost something; asking which models there are is free.
fn paid(provider: &ScriptedProvider) -> usize {
    provider.hits().iter().filter(|hit| hit.method == "POST").count()
}

fn ask(service: &Running, key: &str, provider: &str, body: &str) -> Answer {
    let authorization = if key.is_empty() { String::new() } else { format!("\nAuthorization: Bearer {key}") };
    let head = format!("POST /gateway/{provider}/v1/chat/completions\nContent-Type: application/json{authorization}");
    service.ask(&head, body)
}

fn body(max_tokens: u64) -> String {
    let messages = json!([{"role": "user", "content": "hi"}]);
    json!({"model": "gpt-4o-mini", "max_tokens": max_tokens, "messages": messages}).to_string()
}

fn key(home: &Home, arguments: &[&str]) -> String {
    let ended = home.run(&[&["keys", "add", "--quiet"], arguments].concat(), "");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    ended.out.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_whoever_may_not() {
    let provider = ScriptedProvider::start(chat).await;
    let home = Home::new(&config(&provider.url(), ""));
    let web = key(&home, &["web", "--providers", "cloud", "--models", "gpt-4o-mini"]);
    let gone = key(&home, &["gone"]);
    assert_eq!(home.run(&["keys", "revoke", "gone"], "").code(), Some(0));
    let service = home.serve();
    let other_model = body(9).replace("gpt-4o-mini", "gpt-4o");
    let large = body(9).replace("hi", &"x".repeat((1 << 20) + 1));
    for (what, key, to, body, status) in [
        ("no key", "", "cloud", body(9), 401),
        ("a key of the provider", "sk-0123456789-0123456789", "cloud", body(9), 401),
        ("an unknown key", "tb-0123456789abcdefghijklmnopqrstuv", "cloud", body(9), 401),
        ("SQL", "' OR '1'='1", "cloud", body(9), 401),
        ("a revoked key", gone.as_str(), "cloud", body(9), 401),
        ("another provider", web.as_str(), "small", body(9), 403),
        ("another model", web.as_str(), "cloud", other_model, 403),
        ("a body that is too large", web.as_str(), "cloud", large, 413),
        ("a body that is none", web.as_str(), "cloud", "{\"model\":".to_owned(), 400),
    ] {
        let answer = ask(&service, key, to, &body);
        assert_eq!(answer.status(), status, "{what}: {answer:?}");
    }
    assert_eq!(paid(&provider), 0, "{:?}", provider.hits());
    assert_eq!(ask(&service, &web, "cloud", &body(9)).status(), 200);
    assert_eq!(paid(&provider), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_beyond_a_limit_however_many_call_at_once() {
    let provider = ScriptedProvider::start(chat).await;
    let home = Home::new(&config(&provider.url(), ""));
    let poor = key(&home, &["poor", "--budget", "0.0001/day"]);
    let twice = key(&home, &["twice", "--budget", "2requests/day"]);
    let free = key(&home, &["free"]);
    let service = home.serve();
    let refused = |what: &str, key: &str, to: &str, max_tokens: u64| {
        let before = paid(&provider);
        let answer = ask(&service, key, to, &body(max_tokens));
        assert_eq!((answer.status(), paid(&provider)), (429, before), "{what}: {answer:?}");
    };
    refused("what it may cost at most is more than there is", &poor, "cloud", 100_000);
    assert_eq!(ask(&service, &poor, "cloud", &body(9)).status(), 200, "a smaller one fits");
    assert!((0..2).all(|_| ask(&service, &twice, "cloud", &body(9)).status() == 200));
    refused("the third of two", &twice, "cloud", 9);
    assert_eq!(ask(&service, &free, "small", &body(100)).status(), 200);
    refused("more tokens than a day has", &free, "small", 5_000);
    let (before, answered) = (paid(&provider), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                let status = ask(&service, &free, "rare", &body(9)).status();
                assert!([200, 429].contains(&status), "{status}");
                answered.fetch_add(usize::from(status == 200), Ordering::SeqCst);
            });
        }
    });
    assert_eq!((answered.load(Ordering::SeqCst), paid(&provider) - before), (15, 15), "of forty at once");
}
