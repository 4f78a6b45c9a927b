//! Limits and what follows a failure: refusals in the words of each API, exact under a crowd; retries, fallbacks.

use std::sync::Arc;

use http::HeaderValue;
use serde_json::{Value, json};
use tallybot::limits::{AtLimit, Caps, Facet, LimitKind, Pick, Rule, Scope};
use tallybot::models::{Kind, ProviderSpec};
use tallybot::usage::{Clock, ErrorKind, Status, UsageRecord, UsageSource, Zone};

use super::kit::{Answered, Gate, Opening, post, spec, with};
use super::wire::{CHAT, CHAT_UNASKED, SSE, Specimen, WHOLE};
use crate::in_process::VirtualClock;
use crate::providers::{Reply, ScriptedProvider, openai};
use crate::running::Home;
use crate::waiting::RuntimeClock;

fn rule(kind: LimitKind, cap: u64) -> Rule {
    Rule::new(Scope::everything(), Caps::of([(kind, cap)]), Zone::UTC)
}

fn limited(server: &ScriptedProvider, rules: Vec<Rule>) -> Gate {
    let clock: Arc<dyn Clock> = VirtualClock::at("2026-11-22T12:00:00Z");
    Opening { rules, clock, ..Opening::to(&server.url()) }.open()
}

async fn polite() -> ScriptedProvider {
    ScriptedProvider::always(Reply::json(200, openai::chat_json("Hey", 9, 2))).await
}

fn count(records: &[UsageRecord<'_>], status: Status) -> u64 {
    records.iter().filter(|record| record.status == status).map(|record| record.count).sum()
}

/// One whole specimen of each API.
fn apis() -> [&'static Specimen; 4] {
    [&WHOLE[0], &WHOLE[4], &WHOLE[5], &WHOLE[6]]
}

fn in_words_of(specimen: &Specimen, answered: &Answered) -> (Value, String) {
    let body = answered.json();
    let at = |pointer: &str| body.pointer(pointer).cloned().unwrap_or_default();
    let (kind, message) = match specimen.kind {
        Kind::OpenAi | Kind::Demo => (at("/error/type"), at("/error/message")),
        Kind::Anthropic => {
            assert_eq!(at("/type"), "error");
            (at("/error/type"), at("/error/message"))
        }
        Kind::Gemini => {
            assert_eq!(at("/error/code"), answered.status);
            (at("/error/status"), at("/error/message"))
        }
        Kind::Ollama => (Value::Null, at("/error")),
    };
    (kind, message.as_str().unwrap_or_else(|| panic!("{body}")).to_owned())
}

#[tokio::test]
async fn the_tier_that_a_request_asks_for_is_what_is_held_back_of_money() {
    let server = polite().await;
    let gate = limited(&server, vec![rule(LimitKind::UsdPerDay, 8_000_000_000)]);
    let status = async |tier: &str| {
        let body = json!({"model": "gpt-4o-mini", "service_tier": tier, "max_tokens": 10_000, "messages": []});
        gate.ask(post("cloud", "/v1/chat/completions", body.to_string())).await.status
    };
    assert_eq!(status("priority").await, 429, "$0.01 at most");
    assert_eq!(status("default").await, 200, "$0.006");
    assert_eq!(server.hits().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_each_api_with_the_time_of_the_next_call() {
    for (specimen, kind) in apis().into_iter().zip([
        json!("rate_limit_error"),
        json!("rate_limit_error"),
        json!("RESOURCE_EXHAUSTED"),
        Value::Null,
    ]) {
        let server = ScriptedProvider::always(Reply::json(200, specimen.answer)).await;
        let gate = limited(&server, vec![rule(LimitKind::RequestsPerMinute, 1)]);
        let first = gate.ask_for(specimen).await;
        assert_eq!((first.status, first.header("x-tallybot-requests-left")), (200, "0"), "{first:?}");
        let refused = gate.ask_for(specimen).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, "61"), "{refused:?}");
        assert_eq!((refused.header("content-type"), refused.header("x-should-retry")), ("application/json", ""));
        let (told, message) = in_words_of(specimen, &refused);
        assert_eq!(told, kind);
        assert!(message.contains("requests_per_minute") && message.contains("61 s"), "{message}");
        if specimen.kind == Kind::Gemini {
            let delay = refused.json().pointer("/error/details/0/retryDelay").cloned();
            assert_eq!(delay, Some(json!("61s")));
        }
        assert_eq!(server.hits().len(), 1);
        gate.metering.write_counted_refusals(gate.clock.now());
        let records = gate.records();
        assert_eq!((count(&records, Status::Ok), count(&records, Status::Refused)), (1, 1));
        let refusal = records.iter().find(|record| record.status == Status::Refused).expect("counted");
        assert_eq!(refusal.failure.map(|failure| failure.kind), Some(ErrorKind::Limit));
        assert_eq!((refusal.tokens.total(), refusal.usage_source), (0, UsageSource::None));
        gate.verify();
    }
}

#[tokio::test]
async fn who_waits_in_line_at_the_end_is_told_to_come_back() {
    let server = polite().await;
    let rule = Rule { at_limit: Some(AtLimit::Wait), ..rule(LimitKind::RequestsPerMinute, 1) };
    let gate = limited(&server, vec![rule]);
    assert_eq!(gate.ask_for(&WHOLE[0]).await.status, 200);
    let the_end = async {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        gate.gateway.end_the_line();
    };
    let (waiting, ()) = tokio::join!(gate.ask_for(&WHOLE[0]), the_end);
    assert_eq!((waiting.status, waiting.header("retry-after")), (503, "5"), "{waiting:?}");
    assert!(in_words_of(&WHOLE[0], &waiting).1.contains("stopping"), "{waiting:?}");
    gate.metering.write_counted_refusals(gate.clock.now());
    let records = gate.records();
    let refused = records.iter().find(|record| record.status == Status::Refused).expect("recorded");
    assert_eq!(refused.failure.map(|failure| failure.kind), Some(ErrorKind::Shutdown));
    assert_eq!((server.hits().len(), count(&records, Status::Refused)), (1, 1));
    gate.verify();
}

#[tokio::test]
async fn a_wait_that_is_too_long_tells_clients_not_to_try_by_themselves() {
    let server = polite().await;
    let gate = limited(&server, vec![rule(LimitKind::RequestsPerDay, 1)]);
    gate.ask_for(&WHOLE[0]).await;
    let refused = gate.ask_for(&WHOLE[0]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "43200"), "{refused:?}");
    assert_eq!(refused.header("x-should-retry"), "false");
    assert_eq!(refused.json()["error"]["code"], "insufficient_quota");
    let gate = limited(&server, vec![rule(LimitKind::RequestsPerDay, 0)]);
    let refused = gate.ask_for(&WHOLE[0]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, ""), "it never fits: {refused:?}");
    assert_eq!(refused.header("x-should-retry"), "false");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_clients_at_once_exactly_ten_reach_the_provider() {
    let server = polite().await;
    let gate = Arc::new(limited(&server, vec![rule(LimitKind::RequestsPerMinute, 10)]));
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let gate = Arc::clone(&gate);
        asking.spawn(async move { gate.ask_for(&WHOLE[0]).await.status });
    }
    let statuses = asking.join_all().await;
    let answered = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!((answered, statuses.len() - answered), (10, 90), "{statuses:?}");
    assert_eq!(server.hits().len(), 10);
    gate.metering.write_counted_refusals(gate.clock.now());
    let records = gate.records();
    assert_eq!((count(&records, Status::Ok), count(&records, Status::Refused)), (10, 90));
}

#[tokio::test]
async fn a_cap_in_a_request_is_held_against_the_limit_and_never_lowered() {
    let server = polite().await;
    let gate = limited(&server, vec![rule(LimitKind::TokensPerMinute, 1_000)]);
    let body = |cap: u64| format!("{{\"model\":\"gpt-4o-mini\",\"max_tokens\":{cap},\"messages\":[]}}");
    let refused = gate.ask(post("cloud", "/v1/chat/completions", body(5_000))).await;
    assert_eq!((refused.status, server.hits().len()), (429, 0), "{refused:?}");
    let answered = gate.ask(post("cloud", "/v1/chat/completions", body(900))).await;
    assert_eq!(answered.status, 200);
    assert_eq!(server.hits()[0].body, body(900).into_bytes());
    let records = gate.records();
    let cap = records.iter().find(|record| record.status == Status::Ok).and_then(|record| record.output_cap);
    assert_eq!(cap.map(|cap| (cap.asked, cap.granted)), Some((Some(900), Some(900))));
}

#[tokio::test]
async fn people_teams_and_features_are_limited_each_by_itself() {
    let server = polite().await;
    let each = Scope::everything().with(Facet::Feature, Pick::parse("*"));
    let rules = vec![Rule::new(each, Caps::of([(LimitKind::RequestsPerMinute, 1)]), Zone::UTC)];
    let gate = limited(&server, rules);
    let ask = async |feature: &str| {
        let request = post("cloud", "/v1/chat/completions", CHAT_UNASKED.replace("true", "false"));
        gate.ask(with(request, &[("x-feature", feature)])).await.status
    };
    assert_eq!([ask("a").await, ask("b").await, ask("a").await], [200, 200, 429]);
}

#[tokio::test]
async fn a_name_in_utf8_is_recorded_and_held_and_one_in_other_bytes_is_refused_in_the_words_of_the_api() {
    let server = polite().await;
    let each = Scope::everything().with(Facet::Team, Pick::parse("diseño"));
    let gate = limited(&server, vec![Rule::new(each, Caps::of([(LimitKind::RequestsPerDay, 1)]), Zone::UTC)]);
    let request = || post("cloud", "/v1/chat/completions", CHAT_UNASKED.replace("true", "false"));
    let fields = ["x-user", "x-team", "x-feature", "x-agent", "x-operation", "x-session", "x-request-type"];
    let named = || with(request(), &fields.map(|field| (field, "diseño")));
    assert_eq!([gate.ask(named()).await.status, gate.ask(named()).await.status], [200, 429]);
    let record = gate.records().into_iter().find(|record| record.status == Status::Ok).expect("one was made");
    let names = [&record.team, &record.feature, &record.agent, &record.operation].map(|name| name.as_deref());
    assert_eq!((names, &*record.request_type), ([Some("diseño"); 4], "diseño"));
    assert_eq!((record.user, record.session.is_some()), (Some(gate.people.subject("api", "diseño")), true));
    for (field, specimen) in fields.into_iter().zip(apis().into_iter().cycle()) {
        let mut latin = post(specimen.provider(), specimen.path, specimen.request);
        latin.headers_mut().insert(field, HeaderValue::from_bytes(b"dise\xf1o").expect("a header"));
        let refused = gate.ask(latin).await;
        assert_eq!((refused.status, refused.header("x-should-retry")), (400, "false"), "{field}: {refused:?}");
        let (_, message) = in_words_of(specimen, &refused);
        assert!(message.contains(&format!("`{field}`")) && message.contains("expected UTF-8"), "{message}");
    }
    assert_eq!(server.hits().len(), 1);
}

#[tokio::test]
async fn who_is_too_long_or_not_text_is_refused_in_the_words_of_the_api_before_anything_else() {
    let server = polite().await;
    let gate = Gate::to(&server);
    let long = "u".repeat(257);
    for (specimen, field) in apis().into_iter().flat_map(|api| [(api, "x-user"), (api, "x-session")]) {
        for who in [&long, "ana\tbea", "ana\u{85}", "\u{a0}"] {
            let mut request = post(specimen.provider(), specimen.path, "no body that could be read");
            request.headers_mut().insert(field, HeaderValue::from_bytes(who.as_bytes()).expect("a header"));
            let refused = gate.ask(request).await;
            assert_eq!((refused.status, refused.header("x-should-retry")), (400, "false"), "{field}: {refused:?}");
            let (_, message) = in_words_of(specimen, &refused);
            assert!(message.contains(&format!("`{field}`")) && message.contains("1 to 256 bytes"), "{message}");
            assert!(!message.contains("ana") && !message.contains("uuu"), "it is not repeated: {message}");
            assert_eq!(gate.people.identity(&gate.people.hash("api", who)), None);
        }
    }
    assert_eq!((server.hits().len(), gate.records().len()), (0, 0));
    let longest = "u".repeat(256);
    let answered = gate.ask(with(post("cloud", "/v1/chat/completions", CHAT_UNASKED), &[("x-user", &longest)])).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(gate.people.identity(&gate.people.hash("api", &longest)), Some(longest));
}

#[tokio::test]
async fn who_was_never_admitted_is_not_remembered() {
    let server = polite().await;
    let caps = Caps::of([(LimitKind::RequestsPerDay, 1)]);
    let gate = limited(&server, vec![Rule::new(Scope::everything(), caps, Zone::UTC)]);
    let ask = async |user: &str| {
        let request = post("cloud", "/v1/chat/completions", CHAT_UNASKED.replace("true", "false"));
        gate.ask(with(request, &[("x-user", user)])).await.status
    };
    assert_eq!([ask("ana").await, ask("bea").await], [200, 429]);
    let known = ["ana", "bea"].map(|user| gate.people.identity(&gate.people.hash("api", user)));
    assert_eq!(known, [Some("ana".to_owned()), None]);
    let refused = gate.records().into_iter().find(|record| record.status == Status::Refused).expect("it has a line");
    assert_eq!(refused.user, Some(gate.people.hash("api", "bea")), "the record knows whose it is all the same");
}

/// Attempts of one call: status, class, number, and whether they name the first.
fn attempts(records: &[UsageRecord<'_>]) -> Vec<(Status, Option<ErrorKind>, u32, bool)> {
    let first = records[0].id;
    let of = |it: &UsageRecord<'_>| (it.status, it.failure.map(|f| f.kind), it.attempt, it.call == Some(first));
    records.iter().map(of).collect()
}

fn retrying(server: &ScriptedProvider, retries: u32) -> Gate {
    let mut opening = Opening::to(&server.url());
    opening.settings.retries = retries;
    opening.open()
}

#[tokio::test(start_paused = true)]
async fn g4_attempts_that_fail_before_an_answer_are_repeated_each_with_a_record() {
    let broken = Reply::json(500, "{\"error\":{\"message\":\"m\"}}");
    let server = ScriptedProvider::in_turn([broken.clone(), Reply::reset(), Reply::json(200, WHOLE[0].answer)]).await;
    let gate = retrying(&server, 2);
    let answered = gate.ask_for(&WHOLE[0]).await;
    assert_eq!((answered.status, answered.text()), (200, WHOLE[0].answer));
    let records = gate.records();
    assert_eq!(
        attempts(&records),
        [
            (Status::Error, Some(ErrorKind::ServerError), 1, false),
            (Status::Error, Some(ErrorKind::StreamCut), 2, true),
            (Status::Ok, None, 3, true),
        ]
    );
    assert_eq!(answered.header("x-tallybot-id"), records[2].id.to_string());
    let bodies: Vec<_> = server.hits().into_iter().map(|hit| hit.body).collect();
    assert!(bodies.iter().all(|body| body == WHOLE[0].request.as_bytes()));
    gate.verify();

    let server = ScriptedProvider::always(broken.header("x-own", "1")).await;
    let gate = retrying(&server, 1);
    let answered = gate.ask_for(&WHOLE[0]).await;
    assert_eq!((answered.status, answered.header("x-own")), (500, "1"), "the last answer is the client's");
    assert_eq!((server.hits().len(), gate.records().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn what_would_fail_again_or_has_begun_is_not_repeated() {
    for status in [400, 401, 403, 404] {
        let server = ScriptedProvider::always(Reply::json(status, "{\"error\":{\"message\":\"m\"}}")).await;
        let gate = retrying(&server, 3);
        assert_eq!(gate.ask_for(&WHOLE[0]).await.status, status);
        assert_eq!((server.hits().len(), gate.records().len()), (1, 1), "{status}");
    }
    let cut = Reply::stream(SSE, [CHAT[0]]).cut_at(150);
    let server = ScriptedProvider::always(cut).await;
    let gate = retrying(&server, 3);
    let answered = gate.ask(post("cloud", "/v1/chat/completions", CHAT_UNASKED)).await;
    assert_eq!((answered.status, answered.cut, server.hits().len()), (200, true, 1));
    assert_eq!(gate.the_record().failure.map(|failure| failure.kind), Some(ErrorKind::StreamCut));
}

/// Two providers of one kind: the second is asked where the first fails.
fn with_a_spare(first: &ScriptedProvider, second: &ScriptedProvider, rules: Vec<Rule>) -> Gate {
    let mut opening = Opening { rules, ..Opening::to(&first.url()) };
    opening.providers.push(spec("spare", Kind::OpenAi, &second.url(), "other-model"));
    opening.settings.fallbacks = [("cloud".to_owned(), "spare".to_owned())].into();
    opening.open()
}

#[tokio::test]
async fn another_provider_is_asked_for_its_own_model_where_the_first_fails() {
    let broken = ScriptedProvider::always(Reply::json(503, "{\"error\":{\"message\":\"m\"}}")).await;
    let spare = polite().await;
    let gate = with_a_spare(&broken, &spare, Vec::new());
    let answered = gate.ask_for(&WHOLE[0]).await;
    assert_eq!(answered.status, 200);
    let expected = WHOLE[0].request.replace("gpt-4o-mini", "other-model");
    assert_eq!(String::from_utf8_lossy(&spare.hits()[0].body), expected, "only the model is another");
    let records = gate.records();
    assert_eq!(
        attempts(&records),
        [(Status::Error, Some(ErrorKind::Overloaded), 1, false), (Status::Ok, None, 2, true)]
    );
    assert_eq!((&*records[0].provider, &*records[1].provider), ("cloud", "spare"));
    assert_eq!(records[1].requested_model.as_deref(), Some("other-model"));
    gate.verify();
}

#[tokio::test]
async fn who_breaks_at_an_image_is_not_asked_again_but_another_is() {
    let blind = ScriptedProvider::always(Reply::json(500, r#"{"error":{"message":"image input is not supported"}}"#));
    let (blind, spare) = (blind.await, polite().await);
    let mut opening = Opening::to(&blind.url());
    opening.providers.push(spec("spare", Kind::OpenAi, &spare.url(), "other-model"));
    opening.settings.fallbacks = [("cloud".to_owned(), "spare".to_owned())].into();
    opening.settings.retries = 3;
    assert_eq!(opening.open().ask_for(&WHOLE[0]).await.status, 200);
    assert_eq!((blind.hits().len(), spare.hits().len()), (1, 1));
}

#[tokio::test]
async fn another_provider_is_asked_at_a_limit_that_says_so() {
    let (first, spare) = (polite().await, polite().await);
    let caps = Caps::of([(LimitKind::RequestsPerMinute, 1)]);
    let mut at_cloud = Rule::new(Scope::provider("cloud"), caps, Zone::UTC);
    at_cloud.at_limit = Some(AtLimit::Fallback(None));
    let gate = with_a_spare(&first, &spare, vec![at_cloud]);
    assert_eq!([gate.ask_for(&WHOLE[0]).await.status, gate.ask_for(&WHOLE[0]).await.status], [200, 200]);
    assert_eq!((first.hits().len(), spare.hits().len()), (1, 1));
    gate.metering.write_counted_refusals(gate.clock.now());
    let records = gate.records();
    assert_eq!((count(&records, Status::Ok), count(&records, Status::Refused)), (2, 1));
    let last = records.iter().rfind(|record| record.status == Status::Ok).expect("answered");
    assert_eq!((&*last.provider, last.attempt), ("spare", 1));
}

#[tokio::test]
async fn a_limit_that_names_nobody_turns_to_the_first_local_provider_of_the_kind() {
    let (first, home) = (polite().await, polite().await);
    let mut at_all = Rule::new(Scope::provider("cloud"), Caps::of([(LimitKind::RequestsPerDay, 1)]), Zone::UTC);
    at_all.at_limit = Some(AtLimit::Fallback(None));
    let mut opening = Opening { rules: vec![at_all], ..Opening::to(&first.url()) };
    let local = |name: &str, kind| ProviderSpec { local: Some(true), ..spec(name, kind, &home.url(), "own") };
    opening.providers.extend([spec("dear", Kind::OpenAi, &first.url(), "dear"), local("other", Kind::Ollama)]);
    opening.providers.push(local("home", Kind::OpenAi));
    let gate = opening.open();
    assert_eq!([gate.ask_for(&WHOLE[0]).await.status, gate.ask_for(&WHOLE[0]).await.status], [200, 200]);
    assert_eq!((first.hits().len(), home.hits().len()), (1, 1));
    let records = gate.records();
    assert!(records.iter().any(|record| (&*record.provider, record.local) == ("home", true)), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_meant_for_a_limit_alone_is_not_asked_where_a_provider_fails() {
    let (broken, paid) = (ScriptedProvider::always(Reply::json(500, "{}")).await, polite().await);
    let provider = |name: &str, url: &str, more: &str| {
        let url = format!("url = \"{url}/v1\"\nmodel = \"{name}\"");
        format!("[[providers]]\nname = \"{name}\"\nkind = \"openai\"\n{url}\nlocal = false\n{more}\n")
    };
    let instead = "limits = { requests_per_day = 2, at_limit = { fallback = \"paid\" } }";
    let providers = [provider("near", &broken.url(), instead), provider("paid", &paid.url(), "")].concat();
    let home = Home::new(&format!("{providers}[http]\nlisten = \"127.0.0.1:0\"\n"));
    let serving = home.serve();
    let ask = || serving.ask("POST /gateway/near/v1/chat/completions", WHOLE[0].request).status();
    assert_eq!([ask(), ask()], [500, 500]);
    assert_eq!(paid.hits().len(), 0);
    assert_eq!((ask(), broken.hits().len(), paid.hits().len()), (200, 2, 1), "at the limit it is");
    assert_eq!(serving.stop().code(), Some(0));
}

#[tokio::test]
async fn a_provider_that_knows_no_stream_options_is_asked_plainly_from_then_on() {
    let server = ScriptedProvider::start(|hit| match hit.json().get("stream_options") {
        Some(_) => openai::error_about(
            400,
            "unknown_parameter",
            "Unknown parameter: 'stream_options'.",
            Some("stream_options"),
        ),
        None => Reply::stream(SSE, [CHAT[0], CHAT[2]]),
    })
    .await;
    let gate = Gate::to(&server);
    for _ in 0..2 {
        let answered = gate.ask(post("cloud", "/v1/chat/completions", CHAT_UNASKED)).await;
        assert_eq!((answered.status, answered.text()), (200, [CHAT[0], CHAT[2]].concat().as_str()));
    }
    let records = gate.records();
    let ended: Vec<_> = records.iter().map(|it| (it.status, it.attempt, it.usage_source)).collect();
    assert_eq!(
        ended,
        [
            (Status::Error, 1, UsageSource::None),
            (Status::Ok, 2, UsageSource::Estimated),
            (Status::Ok, 1, UsageSource::Estimated),
        ]
    );
    assert_eq!(records[1].call, Some(records[0].id));
    assert_eq!(server.hits().len(), 3);
    // A client that asks for them itself gets the provider's own word.
    let asked = CHAT_UNASKED.replace("\"stream\"", "\"stream_options\":{\"include_usage\":true},\"stream\"");
    assert_eq!(gate.ask(post("cloud", "/v1/chat/completions", asked)).await.status, 400);
}

#[tokio::test]
async fn an_error_that_repeats_what_one_client_wrote_changes_nothing_for_others() {
    let server = ScriptedProvider::start(|hit| match hit.json()["model"].as_str() {
        Some("gpt-4o-mini") => Reply::stream(SSE, CHAT),
        model => openai::error(400, "invalid_request_error", &format!("{} is no model", model.unwrap_or_default())),
    })
    .await;
    let gate = Gate::to(&server);
    let spiteful = CHAT_UNASKED.replace("gpt-4o-mini", "unknown stream_options");
    assert_eq!(gate.ask(post("cloud", "/v1/chat/completions", spiteful)).await.status, 400);
    assert_eq!(gate.ask(post("cloud", "/v1/chat/completions", CHAT_UNASKED)).await.status, 200);
    let records = gate.records();
    assert_eq!(records.last().map(|it| (it.status, it.usage_source)), Some((Status::Ok, UsageSource::Reported)));
    let asked: Vec<bool> = server.hits().iter().map(|hit| hit.json().get("stream_options").is_some()).collect();
    assert_eq!(asked, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn where_a_limit_allows_no_further_attempt_the_client_gets_what_the_provider_said() {
    let broken = Reply::json(500, "{\"error\":{\"message\":\"m\"}}").header("x-own", "1");
    let server = ScriptedProvider::always(broken).await;
    let rules = vec![rule(LimitKind::RequestsPerDay, 2)];
    let mut opening = Opening { rules, ..Opening::to(&server.url()) };
    opening.settings.retries = 2;
    let gate = opening.open();
    let answered = gate.ask_for(&WHOLE[0]).await;
    assert_eq!((answered.status, answered.header("x-own"), server.hits().len()), (500, "1", 2), "{answered:?}");
    let records = gate.records();
    assert_eq!((count(&records, Status::Error), count(&records, Status::Refused)), (2, 1));
    assert_eq!(gate.ask_for(&WHOLE[0]).await.status, 429, "the next call is told of the limit");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_provider_asks_for_is_waited_before_the_next_attempt() {
    let busy = Reply::json(429, "{\"error\":{\"message\":\"m\"}}").header("retry-after", "2");
    let server = ScriptedProvider::in_turn([busy, Reply::json(200, WHOLE[0].answer)]).await;
    let clock = RuntimeClock::at("2026-11-22T12:00:00Z");
    let began = clock.now();
    let mut opening = Opening { clock, ..Opening::to(&server.url()) };
    opening.settings.retries = 1;
    let gate = opening.open();
    let answered = gate.ask_for(&WHOLE[0]).await;
    assert_eq!((answered.status, server.hits().len()), (200, 2), "{answered:?}");
    assert!(gate.clock.now().tick.millis_since(began.tick) >= 2_000);
    let records = gate.records();
    assert_eq!(
        attempts(&records),
        [(Status::Error, Some(ErrorKind::RateLimited), 1, false), (Status::Ok, None, 2, true)]
    );
}
