//! Who may call: keys of ours in all their places, what they open, and what is never shown to whom.

use secrecy::ExposeSecret;
use tallybot::access::keys::{HASHED_AS, make_key};
use tallybot::models::Kind;
use tallybot::settings::GatewayKey;
use tallybot::usage::KeySuffix;

use super::kit::{ADMIN_TOKEN, Answered, Gate, Opening, UPSTREAM_KEY, post, rest, spec, with};
use super::wire::{CHAT_UNASKED, WHOLE};
use crate::providers::{Reply, ScriptedProvider, openai};
use crate::running::Home;

async fn polite() -> ScriptedProvider {
    ScriptedProvider::start(|hit| {
        let answer = WHOLE.iter().find(|it| it.path == hit.path).map_or("{}", |it| it.answer);
        Reply::json(200, answer)
    })
    .await
}

/// Makes a key; gives its text.
fn added(gate: &Gate, name: &str, change: impl FnOnce(&mut GatewayKey)) -> String {
    let mut random = [7; 32];
    random[..name.len()].copy_from_slice(name.as_bytes());
    let text = make_key(random).expose_secret().to_owned();
    let mut key = GatewayKey {
        name: name.to_owned(),
        hash: gate.people.hash(HASHED_AS, &text),
        hashed_by: None,
        suffix: KeySuffix::of_key(&text).expect("it is long"),
        user: None,
        team: None,
        feature: None,
        providers: Vec::new(),
        models: Vec::new(),
        added: gate.clock.now().at,
    };
    change(&mut key);
    gate.metering.add_key(key, Vec::new()).expect("a free name");
    text
}

async fn asked(gate: &Gate, api: usize, headers: &[(&'static str, &str)]) -> Answered {
    let specimen = &WHOLE[api];
    gate.ask(with(post(specimen.provider(), specimen.path, specimen.request), headers)).await
}

#[tokio::test]
async fn a_key_is_taken_where_each_api_puts_its_own_and_goes_nowhere() {
    let server = polite().await;
    let gate = Gate::to(&server);
    let key = added(&gate, "ci", |key| key.team = Some("sales".to_owned()));
    let bearer = format!("Bearer {key}");
    for (api, headers) in [
        (0, [("authorization", bearer.as_str())]),
        (0, [("authorization", &*format!("bearer   {key}"))]),
        (4, [("x-api-key", &key)]),
        (5, [("x-goog-api-key", &key)]),
        (0, [("api-key", &key)]),
    ] {
        let answered = asked(&gate, api, &headers).await;
        assert_eq!(answered.status, 200, "{headers:?}: {answered:?}");
    }
    let path = format!("{}?a=1&key={key}&b=2", WHOLE[5].path);
    assert_eq!(gate.ask(post("google", &path, WHOLE[5].request)).await.status, 200);
    // Beside it, the key that an SDK was given anyway.
    assert_eq!(asked(&gate, 4, &[("x-api-key", "sk-ant-dummy"), ("authorization", &bearer)]).await.status, 200);
    let hits = server.hits();
    assert!(hits.iter().any(|hit| hit.path.ends_with("?a=1&b=2")), "{hits:?}");
    for hit in &hits {
        let shown = format!("{hit:?}{}", String::from_utf8_lossy(&hit.body));
        assert!(!shown.contains(&key) && !shown.contains("dummy"), "{shown}");
        let credentials = ["authorization", "x-api-key", "x-goog-api-key", "api-key"].map(|name| hit.header(name));
        let credentials: Vec<_> = credentials.into_iter().flatten().collect();
        assert!(credentials.len() == 1 && credentials[0].ends_with(UPSTREAM_KEY), "{credentials:?}");
    }
    for record in gate.records() {
        assert_eq!((record.key.as_deref(), record.team.as_deref()), (Some("ci"), Some("sales")));
    }
}

#[tokio::test]
async fn what_a_key_says_goes_before_what_headers_say() {
    let server = polite().await;
    let gate = Gate::to(&server);
    let owner = gate.people.subject("api", "owner");
    let key = added(&gate, "ci", |key| {
        (key.user, key.team, key.feature) = (Some(owner), Some("sales".to_owned()), Some("digest".to_owned()));
    });
    let headers = [("x-api-key", key.as_str()), ("x-user", "ana"), ("x-team", "other"), ("x-feature", "other")];
    assert_eq!(asked(&gate, 0, &headers).await.status, 200);
    let record = gate.the_record();
    assert_eq!(
        (record.user, record.team.as_deref(), record.feature.as_deref()),
        (Some(owner), Some("sales"), Some("digest"))
    );
}

#[tokio::test]
async fn a_key_opens_its_providers_and_models_and_no_others() {
    let server = polite().await;
    let gate = Gate::to(&server);
    let key = added(&gate, "narrow", |key| {
        (key.providers, key.models) = (vec!["cloud".to_owned(), "google".to_owned()], vec!["gpt-4o*".to_owned()]);
    });
    let key = [("x-api-key", key.as_str())];
    assert_eq!(asked(&gate, 0, &key).await.status, 200);
    for (api, words) in
        [(4, "does not open this provider"), (3, "does not open this model"), (5, "does not open this model")]
    {
        let refused = asked(&gate, api, &key).await;
        assert!(refused.status == 403 && refused.text().contains(words), "{api}: {refused:?}");
    }
    let unnamed = gate.ask(with(post("cloud", "/v1/chat/completions", "{\"messages\":[]}"), &key)).await;
    assert_eq!(unnamed.status, 403, "{unnamed:?}");
    let models = gate.ask(with(post("cloud", "/v1/audio/speech", "{}"), &key)).await;
    assert_eq!(models.status, 403, "a path whose model is not known: {models:?}");
    assert_eq!((server.hits().len(), gate.records().len()), (1, 1));
    let deployed = async |path: &str, body: &'static str| {
        gate.ask(with(post("cloud", &format!("/openai/deployments/{path}"), body), &key)).await.status
    };
    assert_eq!(deployed("gpt-4o/chat/completions", "{}").await, 200, "a path that names its model");
    assert_eq!(deployed("gpt-4o/audio/speech", "{}").await, 200);
    assert_eq!(deployed("gpt-5-pro/chat/completions", r#"{"model":"gpt-4o"}"#).await, 403);
    assert_eq!(deployed("gpt-5-pro/audio/speech", "{}").await, 403);
    assert!(gate.records().iter().skip(1).all(|record| record.model == "gpt-4o"), "{:?}", gate.records());
}

#[tokio::test]
async fn a_key_opens_no_model_that_is_named_to_be_asked_instead() {
    let server = polite().await;
    let gate = Gate::to(&server);
    let key = added(&gate, "narrow", |key| key.models = vec!["gpt-4o*".to_owned()]);
    let named = async |key_of_others: &str, others: &str| {
        let body = format!(r#"{{"model":"gpt-4o-mini","{key_of_others}":{others},"messages":[]}}"#);
        gate.ask(with(post("cloud", "/v1/chat/completions", body), &[("x-api-key", &key)])).await.status
    };
    let status = async |others: &str| named("models", others).await;
    for others in [r#"["gpt-4o"]"#, "[]", "null"] {
        assert_eq!(status(others).await, 200, "{others}");
    }
    for others in [r#"["gpt-5-pro"]"#, r#"["gpt-4o","gpt-5-\u0070ro"]"#, r#""gpt-5-pro""#] {
        assert_eq!(status(others).await, 403, "{others}");
    }
    for (others, expected) in [
        (r#"["gpt-4o",{"model":"gpt-4o-mini","messages":[{"content":"x"}]}]"#, 200),
        (r#"["gpt-5-pro"]"#, 403),
        (r#"[{"model":"gpt-5-pro","messages":[]}]"#, 403),
    ] {
        assert_eq!(named("fallbacks", others).await, expected, "{others}");
    }
    // However many there are, they take no memory.
    for (count, expected) in [(100, 200), (101, 400), (300_000, 400)] {
        assert_eq!(status(&format!("[{}]", vec![r#""gpt-4o""#; count].join(","))).await, expected, "{count}");
    }
    assert_eq!(server.hits().len(), 5);
}

#[tokio::test]
async fn wrong_keys_are_refused_in_each_apis_words_and_slowed() {
    let server = polite().await;
    let gate = Gate::to(&server);
    let key = added(&gate, "ci", |_| ());
    let other = make_key([9; 32]).expose_secret().to_owned();
    for (api, kind) in [(0, "/error/code"), (4, "/error/type"), (5, "/error/status"), (6, "/error")] {
        let refused = asked(&gate, api, &[("x-api-key", &other)]).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"), "{refused:?}");
        let told = refused.json().pointer(kind).and_then(|kind| kind.as_str().map(str::to_owned)).expect("text");
        let expected = ["invalid_api_key", "authentication_error", "UNAUTHENTICATED"];
        assert!(expected.contains(&told.as_str()) || api == 6, "{told}");
        assert!(!refused.text().contains(&other), "{refused:?}");
    }
    assert_eq!(asked(&gate, 0, &[]).await.status, 401, "once there is a key, one is needed");
    assert_eq!(asked(&gate, 0, &[("authorization", "Bearer sk-of-openai")]).await.status, 401);
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(asked(&gate, 0, &[("x-api-key", &other)]).await.status);
    }
    assert_eq!((statuses[0], statuses[9]), (401, 429), "{statuses:?}");
    let slowed = asked(&gate, 0, &[("x-api-key", &other)]).await;
    assert!(slowed.status == 429 && slowed.header("retry-after").parse::<u64>().is_ok(), "{slowed:?}");
    assert_eq!((server.hits().len(), gate.records().len()), (0, 0));
    let good = asked(&gate, 0, &[("x-api-key", &key)]).await;
    assert_eq!(good.status, 200, "who has a good key is not slowed by who guesses beside it");
}

#[tokio::test]
async fn a_token_of_rest_goes_to_no_provider() {
    let server = polite().await;
    let gate = Gate::to(&server);
    for (name, value) in [("authorization", format!("Bearer {ADMIN_TOKEN}")), ("x-api-key", ADMIN_TOKEN.to_owned())] {
        let refused = asked(&gate, 0, &[(name, &value)]).await;
        assert_eq!(refused.status, 401);
        assert!(refused.text().contains("tallybot keys add") && !refused.text().contains(ADMIN_TOKEN), "{refused:?}");
    }
    assert_eq!((server.hits().len(), gate.records().len()), (0, 0));
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_and_leaves_the_door_closed() {
    let server = polite().await;
    let gate = Gate::to(&server);
    let key = added(&gate, "ci", |_| ());
    assert_eq!(asked(&gate, 0, &[("x-api-key", &key)]).await.status, 200);
    gate.metering.revoke_key("ci").expect("it held");
    for _ in 0..12 {
        let refused = asked(&gate, 0, &[("x-api-key", &key)]).await;
        assert!(refused.status == 401 && refused.text().contains("was revoked"), "it is no guess: {refused:?}");
    }
    assert_eq!(asked(&gate, 0, &[]).await.status, 401, "a key was made once");
}

#[tokio::test]
async fn without_any_key_only_this_machine_itself_may_call() {
    let server = polite().await;
    let gate = Gate::to(&server);
    let request = || post("cloud", WHOLE[0].path, WHOLE[0].request);
    for peer in ["127.0.0.1:40000", "127.8.8.8:40000", "[::1]:40000"] {
        assert_eq!(rest(gate.begin_from(peer, request()).await).await.status, 200, "{peer}");
    }
    for peer in ["192.168.1.7:40000", "10.0.0.1:1", "[2001:db8::1]:1", "203.0.113.7:80"] {
        let refused = rest(gate.begin_from(peer, request()).await).await;
        assert!(refused.status == 401 && refused.text().contains("tallybot keys add"), "{peer}: {refused:?}");
    }
    for name in ["forwarded", "x-forwarded-for", "x-real-ip"] {
        let refused = gate.ask(with(request(), &[(name, "127.0.0.1")])).await;
        assert_eq!(refused.status, 401, "{name}");
    }
    assert_eq!(server.hits().len(), 3);
}

#[tokio::test]
async fn our_key_is_never_passed_on_where_a_provider_has_none() {
    let server = ScriptedProvider::always(Reply::json(200, openai::chat_json("Hey", 9, 2))).await;
    let mut opening = Opening::to(&server.url());
    opening.providers = vec![spec("cloud", Kind::OpenAi, &server.url(), "gpt-4o-mini")];
    opening.providers[0].api_key = None;
    let gate = opening.open();
    let key = added(&gate, "ci", |_| ());
    let request = post("cloud", WHOLE[0].path, WHOLE[0].request);
    assert_eq!(gate.ask(with(request, &[("authorization", &format!("Bearer {key}"))])).await.status, 200);
    let hit = server.hits().remove(0);
    assert!(hit.header("authorization").is_none() && !format!("{hit:?}").contains(&key), "{hit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_names_and_pages_are_refused_at_the_gateway_too() {
    let server = polite().await;
    let provider = format!(
        "[[providers]]\nname = \"cloud\"\nkind = \"openai\"\nmodel = \"gpt-4o-mini\"\nurl = \"{}\"\n",
        server.url()
    );
    let home = Home::new(&format!("[http]\nlisten = \"127.0.0.1:0\"\n{provider}"));
    let service = home.serve();
    for headers in [
        "Host: evil.example",
        "Host: localhost\nOrigin: http://evil.example",
        "Host: localhost\nOrigin: null",
        "Host: localhost\nSec-Fetch-Site: cross-site",
    ] {
        let answer = service.ask(&format!("POST /gateway/cloud/v1/chat/completions\n{headers}"), CHAT_UNASKED);
        assert_eq!((answer.status(), answer.code().as_str()), (403, "host_or_origin"), "{headers}");
    }
    assert_eq!(server.hits().len(), 0);
    let answer = service.ask("POST /gateway/cloud/v1/chat/completions", WHOLE[0].request);
    assert_eq!((answer.status(), answer.body()), (200, WHOLE[0].answer.to_owned()));
    assert_eq!(service.stop().code(), Some(0));
}
