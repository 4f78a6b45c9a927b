//! Who is let in: hosts, origins, tokens, ambiguous heads.

use super::*;

async fn guarded() -> Server {
    Server::start_with(Mood::Good, short_limits(), true).await
}

#[tokio::test]
async fn each_route_asks_for_its_role() {
    let server = guarded().await;
    for (head, bearer, status) in [
        ("GET /health", "", 200),
        ("GET /stats", "", 401),
        ("GET /ready", "", 401),
        ("GET /stats", "reader", 200),
        ("GET /ready", "admin", 200),
        ("POST /metrics/reset", "reader", 401),
        ("POST /metrics/reset", "admin", 200),
        ("GET /v1/usage", "", 401),
        ("GET /v1/usage", "reader", 200),
        ("POST /v1/usage", "reader", 401),
        ("POST /v1/usage", "admin", 400),
        ("POST /v1/import", "reader", 401),
        ("POST /v1/import", "admin", 400),
        ("GET /nowhere", "", 404),
        ("DELETE /stats", "", 405),
    ] {
        let answer = server.ask(&format!("{head}\nAuthorization: Bearer {bearer}"), b"").await;
        assert_eq!(answer.status, status, "{head} as `{bearer}`: {answer:?}");
        assert_eq!(answer.header("www-authenticate"), (status == 401).then_some("bearer"), "{head}");
    }
    let answer = server.ask("GET /stats\nAuthorization: Bearer guess", b"").await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("30")));
}

#[tokio::test]
async fn foreign_hosts_and_pages_learn_nothing() {
    let server = Server::start(Mood::Good).await;
    for target in ["/stats", "/health", "/nowhere"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        let answer = Answer::of(&server.raw(request.as_bytes()).await);
        assert_eq!((answer.status, answer.code().as_str()), (421, "foreign_host"), "{target}");
    }
    for header in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        let answer = server.ask(&format!("POST /metrics/reset\n{header}"), b"").await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "foreign_origin"), "{header}");
    }
    assert_eq!(server.ask("POST /metrics/reset\nOrigin: http://127.0.0.1:5000", b"").await.status, 200);
    assert_eq!(server.script.asked.lock().expect("free").len(), 1);
}

#[tokio::test]
async fn a_head_that_could_be_read_in_two_ways_is_refused() {
    let server = guarded().await;
    for head in [
        "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n",
        "GET /health HTTP/1.1\r\n",
        "GET http://evil.example/health HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer a\r\nAuthorization: Bearer admin\r\n",
        "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: a\r\nOrigin: b\r\n",
    ] {
        let answer = Answer::of(&server.raw(format!("{head}Connection: close\r\n\r\n").as_bytes()).await);
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_head"), "{head}");
    }
    let absolute = "GET http://127.0.0.1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    assert_eq!(Answer::of(&server.raw(absolute.as_bytes()).await).status, 200);
}

#[tokio::test]
async fn nothing_of_a_refused_body_is_read_and_the_answer_still_arrives() {
    let server = guarded().await;
    let body = "x".repeat(4 << 20);
    let answer = server.post_json("/v1/usage", &body).await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "token_missing"));
}
