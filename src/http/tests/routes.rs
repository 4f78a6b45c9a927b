//! Every route and every shape of answer.

use super::*;

#[tokio::test]
async fn stats_come_as_json_and_as_text_in_the_language_asked_for() {
    let server = Server::start(Mood::Good).await;
    let answer = server.get("/stats").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"bot":"raymundo"}"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let answer = server.get("/stats?format=text&lang=pt&period=7d").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "stats in pt"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let answer = server.ask("GET /stats?format=text\nAccept-Language: de, es-MX;q=0.9, en;q=0.1", b"").await;
    assert_eq!(answer.body, "stats in es");
    let asked = server.script.asked.lock().expect("free").clone();
    assert_eq!(asked[1], r#"StatsQuery { period: Week, lang: Some(Pt), epoch: 0, format: Text, form: None }"#);
}

#[tokio::test]
async fn usage_comes_as_json_and_as_csv_with_the_cursor_of_the_next_page() {
    let server = Server::start(Mood::Good).await;
    let answer = server.get("/v1/usage?group=day,model&period=7d").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"rows":[]}"#));
    assert_eq!((answer.header("content-type"), answer.header("x-next-cursor")), (Some("application/json"), None));
    let answer = server.get("/v1/usage?format=csv&limit=1").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "requests\n"));
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(answer.header("x-next-cursor"), Some("behind"));
    let wrong = server.get("/v1/usage?group=modle&limit=0&x=y").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "bad_query"));
    assert_eq!(wrong.json()["error"]["mistakes"].as_array().map(Vec::len), Some(3));
    assert_eq!(server.script.asked.lock().expect("free").len(), 2);
}

#[tokio::test]
async fn every_answer_is_hardened_and_has_an_id_of_its_own() {
    let server = Server::start(Mood::Good).await;
    for (number, target) in ["/stats", "/health", "/nowhere", "/stats?x=1"].into_iter().enumerate() {
        let answer = server.get(target).await;
        assert_eq!(answer.header("x-request-id"), Some(format!("id-{}", number + 1).as_str()));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
    }
}

#[tokio::test]
async fn health_and_readiness_name_each_part() {
    let good = Server::start(Mood::Good).await;
    let answer = good.get("/health").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"ok"}"#));
    let answer = good.get("/ready").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        r#"{"ready":true,"journal":{"ok":true},"providers":[{"name":"ollama","ok":true},{"name":"cloud","ok":false,"detail":"connect"}]}"#
    );
    let full = Server::start(Mood::Unavailable).await;
    let answer = full.get("/ready").await;
    assert_eq!((answer.status, answer.json()["journal"]["detail"].as_str()), (503, Some("the disk is full")));
    assert_eq!(full.get("/health").await.status, 503);
}

#[tokio::test]
async fn a_reset_takes_no_body() {
    let server = Server::start(Mood::Good).await;
    let expected = r#"{"message":"counting anew","counting_since":"2026-02-05T06:01:47.000000-06:00"}"#;
    for (head, body) in [
        ("POST /metrics/reset", ""),
        ("POST /metrics/reset\nContent-Length: 0", ""),
        ("POST /metrics/reset?lang=fr\nContent-Type: application/json", "{}"),
    ] {
        let answer = server.ask(head, body.as_bytes()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, expected), "{head}");
    }
    assert_eq!(
        server.script.asked.lock().expect("free")[2],
        r#"ResetQuery { lang: Some(Fr), undo: false, form: None }"#
    );
    let answer = server.post_json("/metrics/reset", r#"{"all":true}"#).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "unexpected_body"));
}

#[tokio::test]
async fn a_reset_is_taken_back_if_there_is_one() {
    let server = Server::start(Mood::Good).await;
    let undone = server.post_json("/metrics/reset?undo=true", "{}").await;
    let expected = r#"{"message":"as before","counting_since":"then","undone":"now"}"#;
    assert_eq!((undone.status, undone.body.as_str()), (200, expected));
    let nothing = server.post_json("/metrics/reset?undo=true&lang=es", "{}").await;
    assert_eq!((nothing.status, nothing.code().as_str()), (409, "nothing_to_undo"));
    assert_eq!(server.post_json("/metrics/reset?undo=false", "{}").await.json()["message"], "counting anew");
    assert_eq!(server.post_json("/metrics/reset?undo=yes", "{}").await.code(), "bad_query");
}

#[tokio::test]
async fn an_epoch_that_is_not_there_is_told_which_are() {
    let server = Server::start(Mood::Good).await;
    assert_eq!(server.get("/stats?epoch=1").await.status, 200);
    let wrong = server.get("/stats?epoch=2").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "bad_query"));
    assert_eq!(wrong.json()["error"]["allowed"], serde_json::json!(["0", "1"]));
    for text in ["-1", "+1", "1.5", "", "99999999999999999999999"] {
        assert_eq!(server.get(&format!("/stats?epoch={text}")).await.code(), "bad_query", "{text}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::start(Mood::Good).await;
    for target in ["/stats", "/health", "/ready", "/nowhere", "/stats?x=1"] {
        let (get, head) = (server.get(target).await, server.ask(&format!("HEAD {target}"), b"").await);
        assert_eq!(head.status, get.status, "{target}");
        assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()), "{target}");
        assert_eq!(head.body, "", "{target}");
    }
}

#[tokio::test]
async fn unknown_routes_are_told_which_there_are() {
    let server = Server::start(Mood::Good).await;
    for target in [
        "/",
        "/metrics",
        "/docs/",
        "/stats/",
        "//stats",
        "/%73tats",
        "/../stats",
        "/v1/usage/x",
        "/v1/keys/",
        "/v1/keys/a/b",
    ] {
        let answer = server.get(target).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "unknown_route"), "{target}");
        assert_eq!(
            answer.json()["error"]["allowed"],
            serde_json::json!([
                "GET /stats",
                "POST /metrics/reset",
                "GET /v1/usage",
                "POST /v1/usage",
                "POST /v1/import",
                "GET /v1/keys",
                "POST /v1/keys",
                "DELETE /v1/keys/{name}",
                "GET /health",
                "GET /ready",
                "GET /openapi.json",
                "GET /docs"
            ])
        );
    }
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_ones() {
    let server = Server::start(Mood::Good).await;
    for (head, allow) in [
        ("DELETE /stats", "get, head"),
        ("POST /health", "get, head"),
        ("GET /metrics/reset", "post"),
        ("DELETE /v1/keys", "get, head, post"),
        ("GET /v1/keys/web", "delete"),
        ("HEAD /v1/import", "post"),
        ("OPTIONS /v1/usage", "get, head, post"),
        ("TRACE /stats", "get, head"),
        ("TRACE /nowhere", "get, head, post"),
        ("CONNECT 127.0.0.1:1", "get, head, post"),
        ("BREW /ready", "get, head"),
    ] {
        let answer = match head.strip_prefix("CONNECT ") {
            Some(target) => Answer::of(
                &server
                    .raw(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n").as_bytes())
                    .await,
            ),
            None => server.ask(head, b"").await,
        };
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{head}");
    }
    assert!(server.script.asked.lock().expect("free").is_empty());
}

#[tokio::test]
async fn keys_are_added_listed_and_revoked_and_told_whole_once() {
    let server = Server::start(Mood::Good).await;
    let row = serde_json::to_value(key_row("web")).expect("plain data");
    let added = server.post_json("/v1/keys", r#"{"name":"web"}"#).await;
    let mut whole = row.clone();
    whole["key"] = "tb-whole".into();
    assert_eq!((added.status, added.json()), (200, whole));
    assert_eq!(added.header("cache-control"), Some("no-store"));
    assert_eq!(server.get("/v1/keys").await.json(), serde_json::json!({"keys": [row]}));
    let revoked = server.ask("DELETE /v1/keys/web", b"").await;
    assert_eq!((revoked.status, revoked.json()), (200, row));
    for (head, body, status, code) in [
        ("POST /v1/keys\nContent-Type: application/json", r#"{"name":"taken"}"#, 409, "name_taken"),
        ("POST /v1/keys\nContent-Type: application/json", "", 400, "bad_key"),
        ("POST /v1/keys\nContent-Type: application/json", r#"{"nam":"web"}"#, 400, "bad_key"),
        ("POST /v1/keys\nContent-Type: text/plain", r#"{"name":"web"}"#, 415, "wrong_content_type"),
        ("POST /v1/keys?x=1\nContent-Type: application/json", r#"{"name":"web"}"#, 400, "bad_query"),
        ("DELETE /v1/keys/other", "", 404, "unknown_key"),
        ("DELETE /v1/keys/%FF", "", 404, "unknown_key"),
        ("DELETE /v1/keys/web?x=1", "", 400, "bad_query"),
        ("DELETE /v1/keys/web\nContent-Type: application/json", r#"{"all":true}"#, 400, "unexpected_body"),
        ("GET /v1/keys?x=1", "", 400, "bad_query"),
    ] {
        let answer = server.ask(head, body.as_bytes()).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{head} {body}");
    }
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(65 * 1024));
    assert_eq!(server.post_json("/v1/keys", &large).await.code(), "body_too_large");
}

#[tokio::test]
async fn keys_are_the_admins() {
    let server = Server::start_with(Mood::Good, short_limits(), true).await;
    for head in ["GET /v1/keys", "POST /v1/keys", "DELETE /v1/keys/web"] {
        for token in ["", "Authorization: Bearer reader"] {
            assert_eq!(server.ask(&format!("{head}\n{token}"), b"").await.status, 401, "{head} {token}");
        }
    }
    assert_eq!(server.ask("GET /v1/keys\nAuthorization: Bearer admin", b"").await.status, 200);
    assert_eq!(*server.script.asked.lock().expect("free"), ["keys"]);
}

#[tokio::test]
async fn wrong_parameters_are_all_told_in_one_answer() {
    let server = Server::start(Mood::Good).await;
    let answer = server.get("/stats?period=week").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_query"));
    let error = &answer.json()["error"];
    assert_eq!(error["allowed"], serde_json::json!(["today", "7d", "30d", "all"]));
    assert_eq!(
        error["message"],
        "parameter `period` with value `week`: there is no such value; expected one of `today`, `7d`, `30d`, `all`"
    );
    let answer = server.get("/stats?period=week&lang=de&zone=x&lang=en").await;
    assert_eq!(answer.json()["error"]["mistakes"].as_array().map(Vec::len), Some(4));
    for target in ["/health?a=b", "/ready?lang=en"] {
        assert_eq!(server.get(target).await.status, 400, "{target}");
    }
    assert_eq!(server.post_json("/v1/usage?period=all", "{}").await.status, 400);
    assert_eq!(server.post_json("/metrics/reset?confirm=yes", "").await.status, 400);
    assert!(server.script.asked.lock().expect("free").is_empty());
}

#[tokio::test]
async fn usage_is_taken_item_by_item() {
    let server = Server::start(Mood::Good).await;
    let body = r#"[{"model":"a"},{"prompt_tokens":"x"},{"model":"duplicate"},7]"#;
    let answer = server.post_json("/v1/usage", body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        serde_json::json!({"accepted": 1, "duplicates": 1, "rejected": [
            {"index": 1, "error": "`prompt_tokens` is a text that is not valid here; expected a whole number from 0 to 1000000000000, for example `150`"},
            {"index": 3, "error": "the item is a number that is not valid here; expected an object, for example `{\"model\":\"llama3.2\",\"prompt_tokens\":150}`"},
        ]})
    );
    let lines = "{\"model\":\"b\"}\n{\"model\":\"c\"}\n";
    let answer =
        server.ask("POST /v1/usage\nContent-Type: application/x-ndjson; charset=utf-8", lines.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"accepted":2,"duplicates":0,"rejected":[]}"#));
    let models: Vec<String> =
        server.script.noted.lock().expect("free").iter().map(|item| item.model.to_string()).collect();
    assert_eq!(models, ["a", "b", "c"]);
    assert_eq!(server.post_json("/v1/usage", "[]").await.status, 200, "nothing was wrong");
}

#[tokio::test]
async fn usage_that_cannot_be_taken_at_all_is_an_error() {
    let server = Server::start(Mood::Good).await;
    let answer = server.post_json("/v1/usage", r#"[{"x":1},7]"#).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "all_rejected"));
    assert_eq!((&answer.json()["accepted"], answer.json()["rejected"].as_array().map(Vec::len)), (&0.into(), Some(2)));
    for (body, status, code) in [
        ("".to_owned(), 400, "bad_body"),
        ("nonsense".to_owned(), 400, "bad_body"),
        ("[".repeat(100_000), 400, "bad_body"),
        (format!("[{}]", vec!["{}"; 10_001].join(",")), 413, "too_many_items"),
    ] {
        let answer = server.post_json("/v1/usage", &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(server.post_json("/v1/usage", &deep).await.status, 400);
    assert!(server.script.noted.lock().expect("free").is_empty());
}

#[tokio::test]
async fn books_that_cannot_be_written_answer_503_and_say_what_was_taken() {
    let server = Server::start(Mood::Unavailable).await;
    let answer = server.post_json("/v1/usage", "{}").await;
    assert_eq!((answer.status, answer.code().as_str(), answer.header("retry-after")), (503, "unavailable", Some("7")));
    let server = Server::start(Mood::FullAfterOne).await;
    let answer = server.post_json("/v1/usage", "[{},{}]").await;
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &1.into()));
    assert!(answer.json()["rejected"][0]["error"].as_str().is_some_and(|error| error.contains("sent again")));
    let answer = server.post_json("/v1/usage", "[{},{}]").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"));
}

#[tokio::test]
async fn what_may_be_counted_already_is_not_asked_for_again() {
    let server = Server::start(Mood::Silent).await;
    let answer = server.post_json("/v1/usage", "[{},{}]").await;
    assert_eq!((answer.status, answer.code().as_str(), answer.header("retry-after")), (503, "unconfirmed", None));
    let told = answer.json()["rejected"][1]["error"].as_str().map(str::to_owned).unwrap_or_default();
    assert!(told.contains("may be counted already") && told.contains("once if it has an `id`"), "{told}");
}

#[tokio::test]
async fn what_fails_inside_stays_inside() {
    for mood in [Mood::Internal, Mood::Panicking] {
        let server = Server::start(mood).await;
        for _ in 0..2 {
            let answer = server.get("/stats").await;
            assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
            assert!(!answer.body.contains("SECRET") && !answer.headers.contains("secret"));
        }
    }
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json() {
    let server = Server::start(Mood::Good).await;
    for content_type in ["", "\nContent-Type: text/plain", "\nContent-Type: application/x-www-form-urlencoded"] {
        for path in ["/v1/usage", "/v1/import", "/metrics/reset"] {
            let answer = server.ask(&format!("POST {path}{content_type}"), b"{}").await;
            assert_eq!((answer.status, answer.code().as_str()), (415, "wrong_content_type"), "{path} {content_type}");
        }
    }
    assert!(server.script.asked.lock().expect("free").is_empty());
}
