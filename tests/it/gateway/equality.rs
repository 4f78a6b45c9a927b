//! A call through the gateway of the built program beside the same call without it: what the provider is asked and what
//! the client is told are the same, but for what the documentation names.

use serde_json::Value;

use super::wire::{CHAT, CHAT_UNASKED, JSON, SSE, STREAMS, Specimen, WHOLE};
use crate::providers::{Hit, Reply, ScriptedProvider, Step, gzip, unchunked};
use crate::running::{Home, Running, exchange};

/// The provider's key, and the one that clients show.
const UPSTREAM_KEY: &str = "sk-upstream-0123456789-SECRET";
const CLIENT_KEY: &str = "sk-of-the-client-0123456789";

/// A request, and what the provider does with it.
struct Play {
    name: String,
    provider: &'static str,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    reply: Reply,
}

impl Play {
    fn new(
        name: impl Into<String>,
        (method, path): (&'static str, &str),
        body: impl AsRef<[u8]>,
        reply: Reply,
    ) -> Play {
        let body = body.as_ref().to_vec();
        Play { name: name.into(), provider: "cloud", method, path: path.to_owned(), headers: Vec::new(), body, reply }
    }

    fn of(specimen: &Specimen, what: &str, reply: Reply) -> Play {
        let name = format!("{} {what}", specimen.name);
        let play = Play::new(name, ("POST", specimen.path), specimen.request, reply).with("content-type", JSON);
        Play { provider: specimen.provider(), ..play }
    }

    fn to(self, provider: &'static str) -> Play {
        Play { provider, ..self }
    }

    fn with(mut self, name: &'static str, value: &str) -> Play {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The request, as it goes to `host` below a prefix of the path.
    fn request(&self, number: usize, host: &str, prefix: &str) -> Vec<u8> {
        let mut head = format!("{} {prefix}{} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("X-Play: {number}\r\nAuthorization: Bearer {CLIENT_KEY}\r\nConnection: close\r\n");
        let is_chunked = self.headers.iter().any(|(name, _)| *name == "transfer-encoding");
        if !self.body.is_empty() && !is_chunked {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        let body = if is_chunked { chunked(&self.body) } else { self.body.clone() };
        [head.as_bytes(), b"\r\n", &body].concat()
    }
}

fn chunked(bytes: &[u8]) -> Vec<u8> {
    let chunks = bytes.chunks(7).map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    chunks.chain([b"0\r\n\r\n".to_vec()]).collect::<Vec<_>>().concat()
}

/// What a vendor sends along.
fn dressed(reply: Reply) -> Reply {
    reply
        .header("X-Request-Id", "req_0123456789")
        .header("openai-processing-ms", "17")
        .header("x-ratelimit-remaining-requests", "9999")
        .header("x-many", "one")
        .header("x-many", "two, three")
        .header("Date", "Sun, 22 Nov 2026 10:00:00 GMT")
        .header("Vary", "Accept")
        .header("Set-Cookie", "__cf_bm=1; path=/")
        .header("Strict-Transport-Security", "max-age=1")
}

/// An answer without any word on its length, which ends with the connection.
fn until_the_end(content_type: &str, body: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n");
    Reply::raw([head.as_bytes(), body].concat())
}

fn head_only(status: u16, headers: &str) -> Reply {
    Reply { steps: vec![Step::Write(format!("HTTP/1.1 {status} X\r\n{headers}\r\n").into_bytes())] }
}

/// What a client sees.
#[derive(Debug)]
struct Seen {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Seen {
    fn parse(bytes: &[u8], has_body: bool) -> Seen {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let split =
            |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        let headers: Vec<_> = lines.filter_map(split).collect();
        let mut seen = Seen { status: status.expect("a status"), headers, body: bytes[end + 4..].to_vec() };
        if has_body && seen.values("transfer-encoding").contains(&"chunked") {
            seen.body = unchunked(&seen.body).expect("the whole body").0;
        } else if let (true, Some(length)) = (has_body, seen.values("content-length").first()) {
            assert_eq!(seen.body.len().to_string(), *length, "the whole body");
        }
        seen
    }

    fn values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The headers that are to be the same, in order of their names.
    fn lasting(&self, without: &[&str]) -> Vec<(String, String)> {
        let mut kept: Vec<_> =
            self.headers.iter().filter(|(name, _)| !without.contains(&name.as_str())).cloned().collect();
        kept.retain(|(name, _)| !name.starts_with("x-tallybot-"));
        kept.sort();
        kept
    }
}

/// Headers of one connection, those of the provider's host, and our own word on time.
const OF_ANSWERS: [&str; 6] =
    ["connection", "transfer-encoding", "set-cookie", "strict-transport-security", "server-timing", "content-length"];

/// Headers of one connection, the key, and what we can read.
const OF_REQUESTS: [&str; 6] =
    ["connection", "host", "content-length", "transfer-encoding", "authorization", "accept-encoding"];

fn assert_same_request(name: &str, direct: &Hit, passed: &Hit) {
    assert_eq!((&direct.method, &direct.path), (&passed.method, &passed.path), "{name}");
    assert!(direct.body == passed.body, "{name}: {:?}", String::from_utf8_lossy(&passed.body));
    let lasting = |hit: &Hit| {
        let kept = hit.headers.iter().filter(|(key, _)| !OF_REQUESTS.contains(&key.as_str()));
        let mut kept: Vec<_> =
            kept.filter(|(key, _)| !key.starts_with("x-goog-api-key") && key != "x-api-key").collect();
        kept.sort();
        kept.into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(lasting(direct), lasting(passed), "{name}");
    assert_eq!(direct.header("host"), passed.header("host"), "{name}");
    let credentials =
        ["authorization", "x-api-key", "x-goog-api-key", "api-key"].iter().filter_map(|key| passed.header(key));
    let credentials: Vec<&str> = credentials.collect();
    assert!(credentials.len() == 1 && credentials[0].ends_with(UPSTREAM_KEY), "{name}: {credentials:?}");
    let encoding = passed.header("accept-encoding");
    assert!(matches!(encoding, Some("identity" | "gzip")), "{name}: {encoding:?}");
}

fn assert_same_answer(name: &str, direct: &Seen, passed: &Seen) {
    assert_eq!(direct.status, passed.status, "{name}");
    // A date is added where there is none; one that is there stays.
    let undated = direct.values("date").is_empty().then_some("date");
    let without: Vec<&str> = OF_ANSWERS.into_iter().chain(undated).collect();
    assert_eq!(direct.lasting(&without), passed.lasting(&without), "{name}");
    assert!(direct.body == passed.body, "{name}: {} bytes, not {}", passed.body.len(), direct.body.len());
    if let [length] = direct.values("content-length")[..] {
        assert_eq!(passed.values("content-length"), [length], "{name}");
    }
    assert_eq!(passed.values("x-tallybot-id").len(), 1, "{name}");
    assert!(passed.values("server-timing").iter().any(|timing| timing.starts_with("upstream;dur=")), "{name}");
}

fn config(url: &str) -> String {
    let provider = |name: &str, kind: &str, model: &str| {
        format!(
            "[[providers]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"{url}\"\nmodel = \"{model}\"\n\
             api_key_env = \"UPSTREAM_KEY\"\n"
        )
    };
    let providers = [
        provider("cloud", "openai", "gpt-4o-mini"),
        provider("claude", "anthropic", "claude-haiku-4-5"),
        provider("google", "gemini", "gemini-2.5-flash"),
        provider("ollama", "ollama", "gemma3:4b"),
    ];
    format!("timezone = \"UTC\"\n[http]\nlisten = \"127.0.0.1:0\"\n{}", providers.concat())
}

/// The built program before a server that plays these, by the number in the request.
async fn stage(plays: &[Play]) -> (ScriptedProvider, Home, Running) {
    let replies: Vec<Reply> = plays.iter().map(|play| play.reply.clone()).collect();
    let server = ScriptedProvider::start(move |hit| {
        let number: usize = hit.header("x-play").and_then(|number| number.parse().ok()).expect("it is passed on");
        replies[number].clone()
    })
    .await;
    let home = Home::new(&config(&server.url())).with_env("UPSTREAM_KEY", UPSTREAM_KEY);
    let service = home.serve();
    (server, home, service)
}

/// Plays everything without the gateway and through it.
async fn compare(plays: Vec<Play>) {
    let (server, home, service) = stage(&plays).await;
    let address = server.url().trim_start_matches("http://").to_owned();
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    for (number, play) in plays.iter().enumerate() {
        let direct = exchange(port, &play.request(number, &address, "")).expect("an answer").bytes;
        let host = format!("127.0.0.1:{}", service.port());
        let passed = service.raw(&play.request(number, &host, &format!("/gateway/{}", play.provider))).bytes;
        let hits = server.hits();
        let [.., first, second] = &hits[..] else { panic!("{}: it was asked twice", play.name) };
        assert_eq!(hits.len(), 2 * (number + 1), "{}: {}", play.name, String::from_utf8_lossy(&passed));
        assert_same_request(&play.name, first, second);
        let has_body = play.method != "HEAD";
        assert_same_answer(&play.name, &Seen::parse(&direct, has_body), &Seen::parse(&passed, has_body));
        let shown = String::from_utf8_lossy(&passed);
        assert!(!shown.contains(UPSTREAM_KEY), "{}", play.name);
    }
    let ended = service.stop();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(home.records().len(), plays.len(), "one record of each call");
    let verified = home.run(&["verify"], "");
    assert_eq!(verified.code(), Some(0), "{verified:?}");
    for (path, bytes) in home.written() {
        let secret = [UPSTREAM_KEY, CLIENT_KEY].iter().any(|key| bytes.windows(key.len()).any(|w| w == key.as_bytes()));
        assert!(!secret, "a key is in {}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_answers_of_every_api_are_the_same_byte_for_byte() {
    let whole = WHOLE.iter().map(|it| Play::of(it, "whole", dressed(Reply::whole(200, it.content_type, it.answer))));
    let pieces = WHOLE
        .iter()
        .map(|it| Play::of(it, "in chunks", dressed(Reply::stream(it.content_type, it.answer.as_bytes().chunks(40)))));
    let open =
        WHOLE.iter().map(|it| Play::of(it, "without a length", until_the_end(it.content_type, it.answer.as_bytes())));
    compare(whole.chain(pieces).chain(open).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_every_api_are_the_same_byte_for_byte() {
    let pieces = STREAMS
        .iter()
        .map(|it| Play::of(it, "in chunks", dressed(Reply::stream(it.content_type, it.answer.as_bytes().chunks(50)))));
    let open =
        STREAMS.iter().map(|it| Play::of(it, "without a length", until_the_end(it.content_type, it.answer.as_bytes())));
    let whole =
        STREAMS.iter().map(|it| Play::of(it, "at once", dressed(Reply::whole(200, it.content_type, it.answer))));
    let packed = STREAMS.iter().map(|it| {
        let reply = Reply::whole(200, it.content_type, gzip(it.answer)).header("content-encoding", "gzip");
        Play::of(it, "compressed", reply).with("accept-encoding", "br, gzip")
    });
    compare(pieces.chain(open).chain(whole).chain(packed).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_every_api_are_the_same_byte_for_byte() {
    let plays = [400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 529].into_iter().flat_map(|status| {
        [&WHOLE[0], &WHOLE[4], &WHOLE[5], &WHOLE[6]].map(|it| {
            let body = format!("{{\"error\" : {{\"message\":\"no\", \"type\":\"x\",\"code\":{status}}} }}\n");
            let named = |name: &str| format!("{name}-{status}");
            let play = Play::of(it, &status.to_string(), dressed(Reply::json(status, body)));
            // A model of its own: what one is refused is remembered for that one.
            let body = it.request.replace(it.models.0, &named(it.models.0)).into_bytes();
            Play { path: play.path.replace(it.models.0, &named(it.models.0)), body, ..play }
        })
    });
    let html = Reply::whole(502, "text/html", "<html><body>Bad gateway</body></html>");
    let plays = plays.chain([Play::of(&WHOLE[0], "html", html)]);
    compare(plays.collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_of_an_api_is_the_same_byte_for_byte() {
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let list = r#"{"object":"list","data":[]}"#;
    let json = |body: &str| dressed(Reply::json(200, body));
    let upload = "multipart/form-data; boundary=x";
    let compact = |name: &str, at: (&'static str, &str), reply: Reply| Play::new(name, at, "", reply);
    compare(vec![
        compact("models", ("GET", "/v1/models"), json(list)),
        compact("a query", ("GET", "/v1/files?limit=2&after=a%20b&x"), json(list)),
        compact("models of claude", ("GET", "/v1/models?limit=1000"), json(list))
            .to("claude")
            .with("anthropic-version", "2023-06-01"),
        compact("models of gemini", ("GET", "/v1beta/models"), json(list)).to("google"),
        compact("tags", ("GET", "/api/tags"), json("{\"models\":[]}")).to("ollama"),
        compact("the root", ("GET", "/"), Reply::whole(200, "text/plain; charset=utf-8", "Ollama is running"))
            .to("ollama"),
        compact(
            "head",
            ("HEAD", "/v1/models"),
            head_only(200, "content-type: application/json\r\ncontent-length: 27\r\nconnection: close\r\n"),
        ),
        compact("delete", ("DELETE", "/v1/files/f-1"), json("{\"deleted\":true}")),
        compact("nothing", ("DELETE", "/v1/files/f-2"), head_only(204, "x-request-id: r\r\nconnection: close\r\n")),
        compact("an empty answer", ("POST", "/v1/x"), Reply::whole(200, "text/plain", "")),
        compact(
            "moved",
            ("GET", "/v1/old"),
            dressed(Reply::whole(307, "text/plain", "there")).header("location", "/v1/new"),
        ),
        compact("options", ("OPTIONS", "/v1/models"), Reply::whole(200, "text/plain", "x").header("allow", "GET")),
        Play::new("count", ("POST", "/v1/messages/count_tokens"), "{\"model\":\"m\"}", json("{\"input_tokens\":2095}"))
            .to("claude"),
        Play::new("count", ("POST", "/v1beta/models/m:countTokens"), "{}", json("{\"totalTokens\":31}")).to("google"),
        Play::new("speech", ("POST", "/v1/audio/speech"), "{}", Reply::whole(200, "audio/mpeg", &binary)),
        Play::new(
            "speech in chunks",
            ("POST", "/v1/audio/speech"),
            "{}",
            Reply::stream("audio/mpeg", binary.chunks(1000)),
        ),
        Play::new("upload", ("POST", "/v1/files"), &binary, json("{\"id\":\"f-1\"}")).with("content-type", upload),
        Play::new("upload in chunks", ("PUT", "/v1/files"), &binary, json("{}")).with("transfer-encoding", "chunked"),
        Play::new("patch", ("PATCH", "/v1/x"), "not json {", Reply::json(200, "neither }")),
        Play::new(
            "pull",
            ("POST", "/api/pull"),
            "{}",
            Reply::stream("application/x-ndjson", ["{\"status\":\"a\"}\n", "{\"status\":\"success\"}\n"]),
        )
        .to("ollama"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_beyond_what_is_held_are_the_same_byte_for_byte() {
    let vectors = "0.0123,".repeat(300_000);
    let body = format!(
        "{{\"object\":\"list\",\"data\":[{{\"embedding\":[{vectors}0]}}],\"model\":\"text-embedding-3-small\",\"usage\":{{\"prompt_tokens\":8,\"total_tokens\":8}}}}"
    );
    let specimen = &WHOLE[3];
    let chunks = Reply::stream(JSON, body.as_bytes().chunks(65_536));
    let whole = Reply::json(200, &body);
    let binary: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    compare(vec![
        Play::of(specimen, "large", dressed(whole)),
        Play::of(specimen, "large in chunks", chunks),
        Play::of(specimen, "large without a length", until_the_end(JSON, body.as_bytes())),
        Play::new(
            "large, unmetered",
            ("GET", "/v1/files/f/content"),
            "",
            Reply::whole(200, "application/octet-stream", &binary),
        ),
        Play::new(
            "large, in chunks",
            ("GET", "/v1/files/f/content"),
            "",
            Reply::stream("application/octet-stream", binary.chunks(100_000)),
        ),
        Play::new("large upload", ("POST", "/v1/files"), &binary, Reply::json(200, "{}")),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_asked_for_usage_and_the_client_sees_none_of_it() {
    let reply = dressed(Reply::stream(SSE, [CHAT.concat()]));
    let whole = dressed(Reply::whole(200, SSE, CHAT.concat()));
    let unasked = Specimen { request: CHAT_UNASKED, ..STREAMS[0] };
    let plays = vec![Play::of(&unasked, "in chunks", reply), Play::of(&unasked, "at once", whole)];
    let (server, home, service) = stage(&plays).await;
    for (number, play) in plays.iter().enumerate() {
        let host = format!("127.0.0.1:{}", service.port());
        let seen = Seen::parse(&service.raw(&play.request(number, &host, "/gateway/cloud")).bytes, true);
        assert_eq!(seen.status, 200);
        assert_eq!(String::from_utf8_lossy(&seen.body), [CHAT[0], CHAT[2]].concat());
        assert_eq!(seen.values("content-length"), [""; 0], "it would be wrong");
        let hit = server.hits().pop().expect("it was asked");
        let sent = String::from_utf8(hit.body.clone()).expect("text");
        assert_eq!(hit.json()["stream_options"]["include_usage"], true);
        let without = sent
            .replace(r#""stream_options":{"include_usage":true},"#, "")
            .replace(r#","stream_options":{"include_usage":true}"#, "");
        assert_eq!(without, CHAT_UNASKED, "nothing else is changed: {sent}");
    }
    assert_eq!(service.stop().code(), Some(0));
    for record in home.records() {
        assert_eq!(
            (&record["prompt_tokens"], &record["usage_source"]),
            (&9.into(), &Value::Null),
            "reported: {record}"
        );
    }
}
