//! The tower layer around a client: what passes is unchanged and recorded, what a limit refuses is not sent.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Body, Frame};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use tallybot::ledger::Durability;
use tallybot::limits::{Caps, LimitKind, Rule, Scope};
use tallybot::metering::{Metering, MeteringLayer};
use tallybot::models::Kind;
use tallybot::usage::{ErrorKind, Status, UsageRecord, UsageSource, Zone};
use tempfile::TempDir;
use tower::{Layer, ServiceExt, service_fn};

use crate::in_process::{real_clock, setup};
use crate::test_app::records_of;

const QUESTION: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}],"stream":true}"#;
const PIECES: [&str; 4] = [
    "data: {\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n",
    "data: [DONE]\n\n",
];

type Answer =
    http::Response<StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>>;

fn answer() -> Answer {
    let frames = PIECES.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
    let body = StreamBody::new(futures_util::stream::iter(Vec::from(frames)));
    http::Response::builder().header("content-type", "text/event-stream").body(body).expect("a fixed answer")
}

fn request(path: &str) -> http::Request<Full<Bytes>> {
    http::Request::post(format!("https://api.openai.com{path}")).body(Full::from(QUESTION)).expect("a fixed request")
}

fn books(folder: &TempDir, rules: Vec<Rule>) -> Metering {
    Metering::start(folder.path(), setup(rules, Durability::Kill, &real_clock())).expect("new books").0
}

fn layer(metering: &Metering) -> MeteringLayer {
    MeteringLayer::new(metering.clone(), "cloud", Kind::OpenAi).feature("digest").team("sales")
}

#[tokio::test]
async fn what_passes_a_layer_is_unchanged_and_recorded_and_what_is_refused_is_not_sent() {
    let folder = TempDir::new().expect("a folder");
    let rule = Rule::new(Scope::provider("cloud"), Caps::of([(LimitKind::RequestsPerDay, 1)]), Zone::UTC);
    let metering = books(&folder, vec![rule]);
    let sent = Arc::new(AtomicUsize::new(0));
    let client = {
        let sent = Arc::clone(&sent);
        service_fn(move |request: http::Request<Full<Bytes>>| {
            let sent = Arc::clone(&sent);
            async move {
                sent.fetch_add(1, Ordering::SeqCst);
                let body = request.into_body().collect().await?.to_bytes();
                assert_eq!(body, QUESTION);
                Ok::<_, Infallible>(answer())
            }
        })
    };
    let client = layer(&metering).layer(client);

    let first = client.clone().oneshot(request("/v1/chat/completions")).await.expect("answers");
    let body = first.into_body().collect().await.expect("whole").to_bytes();
    assert_eq!(body, PIECES.concat());
    let refused = client.clone().oneshot(request("/v1/chat/completions")).await.expect("answers");
    assert_eq!((refused.status().as_u16(), sent.load(Ordering::SeqCst)), (429, 1));
    let text = refused.into_body().collect().await.expect("whole").to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("requests_per_day"), "{text:?}");
    let unmetered = client.oneshot(request("/v1/moderations")).await.expect("answers");
    drop(unmetered.into_body().collect().await.expect("whole"));
    assert_eq!(sent.load(Ordering::SeqCst), 2);

    metering.close(real_clock().now()).expect("closes");
    let records = records_of(folder.path(), false);
    let told: Vec<_> =
        records.iter().map(|record| (record.status, record.tokens.prompt, record.tokens.completion)).collect();
    assert_eq!(told, [(Status::Ok, 9, 2), (Status::Refused, 0, 0)]);
    assert_eq!((records[0].feature.as_deref(), records[0].team.as_deref()), (Some("digest"), Some("sales")));
    assert_eq!(records[0].model.as_str(), "gpt-4o-2024-08-06");
}

#[tokio::test]
async fn an_answer_nobody_reads_to_its_end_is_recorded_as_left() {
    let folder = TempDir::new().expect("a folder");
    let metering = books(&folder, Vec::new());
    let client =
        layer(&metering).layer(service_fn(|_: http::Request<Full<Bytes>>| async { Ok::<_, Infallible>(answer()) }));
    let mut body = client.oneshot(request("/v1/chat/completions")).await.expect("answers").into_body();
    body.frame().await.expect("a piece").expect("whole");
    drop(body);
    metering.close(real_clock().now()).expect("closes");
    let records = records_of(folder.path(), false);
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].status, records[0].usage_source), (Status::Cancelled, UsageSource::Estimated));
}

const WHOLE: &str = r#"{"model":"gpt-4o","choices":[{"index":0,"finish_reason":"stop","message":{"content":"Hey"}}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;

fn whole(status: u16, body: &'static str) -> http::Response<Full<Bytes>> {
    let answer = http::Response::builder().status(status).header("content-type", "application/json");
    answer.body(Full::from(body)).expect("a fixed answer")
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_recorded_as_answered_and_estimated_by_its_bytes() {
    let folder = TempDir::new().expect("a folder");
    let metering = books(&folder, Vec::new());
    let client = layer(&metering).layer(service_fn(|request: http::Request<Full<Bytes>>| async move {
        assert_eq!(request.headers()["accept-encoding"], "gzip", "what can be read of what is taken");
        let answer =
            http::Response::builder().header("content-encoding", "br").header("content-type", "application/json");
        Ok::<_, Infallible>(answer.body(Full::from(vec![0x8b_u8; 300])).expect("a fixed answer"))
    }));
    let mut asked = request("/v1/chat/completions");
    asked.headers_mut().insert("accept-encoding", "br, gzip;q=0.5".parse().expect("a value"));
    let body = client.oneshot(asked).await.expect("answers").into_body().collect().await.expect("whole").to_bytes();
    assert_eq!(body, vec![0x8b_u8; 300]);
    metering.close(real_clock().now()).expect("closes");
    let records = records_of(folder.path(), false);
    let told: Vec<_> = records.iter().map(|it| (it.status, it.tokens.completion, it.usage_source)).collect();
    assert_eq!(told, [(Status::Ok, 300, UsageSource::Estimated)]);
}

/// As a server reads that was told the length: it asks for nothing behind the last byte, nor for a body that is empty.
#[tokio::test]
async fn an_answer_of_known_length_is_recorded_before_its_last_byte_goes_out() {
    for (status, answer, expected) in
        [(200, WHOLE, (Status::Ok, 9, 2)), (200, "", (Status::Error, 5, 0)), (500, "", (Status::Error, 0, 0))]
    {
        let folder = TempDir::new().expect("a folder");
        let metering = books(&folder, Vec::new());
        let inner =
            service_fn(move |_: http::Request<Full<Bytes>>| async move { Ok::<_, Infallible>(whole(status, answer)) });
        let client = layer(&metering).layer(inner);
        let mut body = client.oneshot(request("/v1/chat/completions")).await.expect("answers").into_body();
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(answer.len() as u64), answer.is_empty()));
        if !body.is_end_stream() {
            let last = body.frame().await.expect("a piece").expect("whole").into_data().expect("bytes");
            assert_eq!((last, body.is_end_stream(), body.size_hint().exact()), (Bytes::from(answer), true, Some(0)));
        }
        let records = records_of(folder.path(), false);
        let told: Vec<_> = records.iter().map(|it| (it.status, it.tokens.prompt, it.tokens.completion)).collect();
        assert_eq!(told, [expected], "{status} {answer}");
        drop(body);
        metering.close(real_clock().now()).expect("closes");
        assert_eq!(records_of(folder.path(), false).len(), 1);
    }
}

#[tokio::test]
async fn a_body_that_is_not_metered_has_the_length_it_had() {
    let folder = TempDir::new().expect("a folder");
    let rule = Rule::new(Scope::provider("cloud"), Caps::of([(LimitKind::RequestsPerDay, 0)]), Zone::UTC);
    let metering = books(&folder, vec![rule]);
    let client = layer(&metering)
        .layer(service_fn(|_: http::Request<Full<Bytes>>| async { Ok::<_, Infallible>(whole(200, WHOLE)) }));
    for (path, status) in [("/v1/moderations", 200), ("/v1/chat/completions", 429)] {
        let answer = client.clone().oneshot(request(path)).await.expect("answers");
        assert_eq!(answer.status(), status);
        let mut body = answer.into_body();
        let length = body.size_hint().exact().expect("known");
        let bytes = body.frame().await.expect("a piece").expect("whole").into_data().expect("bytes");
        assert_eq!((bytes.len() as u64, body.is_end_stream()), (length, true), "{path}");
    }
}

#[test]
fn a_body_that_ends_outside_a_runtime_leaves_its_record() {
    for breaks in [false, true] {
        let folder = TempDir::new().expect("a folder");
        let metering = books(&folder, Vec::new());
        let broken = || Err(std::io::Error::other("broken"));
        let client = layer(&metering).layer(service_fn(move |_: http::Request<Full<Bytes>>| async move {
            let frames = [Ok(Frame::data(Bytes::from(PIECES[0]))), broken()];
            Ok::<_, Infallible>(http::Response::new(StreamBody::new(futures_util::stream::iter(frames))))
        }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let answer = runtime.block_on(client.oneshot(request("/v1/chat/completions")));
        drop(runtime);
        let mut body = answer.expect("answers").into_body();
        let mut next = || body.frame().now_or_never().expect("at once").expect("something");
        assert!(next().is_ok());
        assert!(!breaks || next().is_err());
        drop(body);
        metering.close(real_clock().now()).expect("closes");
        let records = records_of(folder.path(), false);
        let told: Vec<_> = records.iter().map(|it| (it.status, it.failure.map(|failure| failure.kind))).collect();
        let expected = match breaks {
            true => (Status::Error, Some(ErrorKind::StreamCut)),
            false => (Status::Cancelled, Some(ErrorKind::ClientGone)),
        };
        assert_eq!(told, [expected]);
    }
}

#[tokio::test]
async fn only_where_nothing_was_sent_for_certain_nothing_is_counted() {
    let folder = TempDir::new().expect("a folder");
    let metering = books(&folder, Vec::new());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let to_nobody = move || {
        http::Request::post(format!("http://{nobody}/v1/chat/completions"))
            .body(Full::from(QUESTION))
            .expect("a request")
    };
    let hyper = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let plain = service_fn({
        let hyper = hyper.clone();
        move |request| hyper.request(request)
    });
    let boxed = service_fn(move |request| {
        hyper.request(request).map(|answer| answer.map_err(Box::<dyn std::error::Error + Send + Sync>::from))
    });
    let unsaid =
        service_fn(|_: http::Request<Full<Bytes>>| async { Err::<http::Response<Empty<Bytes>>, _>(std::fmt::Error) });
    let failed: Error = layer(&metering).layer(plain).oneshot(to_nobody()).await.err().expect("nobody is there");
    assert!(failed.is_connect());
    assert!(layer(&metering).layer(boxed).oneshot(to_nobody()).await.is_err());
    assert!(layer(&metering).layer(unsaid).oneshot(to_nobody()).await.is_err());
    metering.close(real_clock().now()).expect("closes");
    let records = records_of(folder.path(), false);
    let told: Vec<_> =
        records.iter().map(|it| (it.failure.map(|failure| failure.kind), it.tokens.prompt > 0)).collect();
    let unconnected = (Some(ErrorKind::Connect), false);
    assert_eq!(told, [unconnected, unconnected, (Some(ErrorKind::StreamCut), true)]);
}

/// A stream of Gemini's, whose API has no last word: it goes on after a candidate has ended.
const GEMINIS: [&str; 4] = [
    "data: {\"candidates\":[{\"index\":0,\"content\":{\"parts\":[{\"text\":\"Hel\"}]}}]}\n\n",
    "data: {\"candidates\":[{\"index\":0,\"content\":{\"parts\":[{\"text\":\"lo\"}]},\"finishReason\":\"STOP\"}]}\n\n",
    "data: {\"candidates\":[{\"index\":1,\"content\":{\"parts\":[{\"text\":\"Hey\"}]},\"finishReason\":\"STOP\"}]}\n\n",
    "data: {\"usageMetadata\":{\"promptTokenCount\":9,\"candidatesTokenCount\":3,\"totalTokenCount\":12}}\n\n",
];

type Piece = Result<Frame<Bytes>, &'static str>;

/// That stream through a layer, and what follows it.
async fn geminis<S: Stream<Item = Piece> + Send + Unpin + 'static>(
    metering: &Metering,
    rest: fn() -> S,
) -> impl Body<Data = Bytes, Error = &'static str> + Unpin {
    let client = service_fn(move |_: http::Request<Full<Bytes>>| async move {
        let pieces = GEMINIS.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
        Ok::<_, Infallible>(http::Response::new(StreamBody::new(stream::iter(pieces).chain(rest()))))
    });
    let question = http::Request::post("https://example.org/v1beta/models/gemini-2.5-flash:streamGenerateContent");
    let question = question.body(Full::from(r#"{"contents":[]}"#)).expect("a fixed request");
    let layer = MeteringLayer::new(metering.clone(), "google", Kind::Gemini);
    layer.layer(client).oneshot(question).await.expect("answers").into_body()
}

#[tokio::test]
async fn of_an_api_without_a_last_word_only_the_newest_piece_is_held() {
    let folder = TempDir::new().expect("a folder");
    let metering = books(&folder, Vec::new());
    let mut body = geminis(&metering, stream::pending).await;
    for piece in &GEMINIS[..3] {
        let frame = body.frame().now_or_never().expect("at once").expect("a piece").expect("whole");
        assert_eq!(frame.into_data().expect("data"), piece);
    }
    assert!(body.frame().now_or_never().is_none(), "this one may be the last");
    drop(body);
    metering.close(real_clock().now()).expect("closes");
}

#[tokio::test]
async fn what_came_before_a_break_goes_out_before_it() {
    let folder = TempDir::new().expect("a folder");
    let metering = books(&folder, Vec::new());
    let mut body = geminis(&metering, || stream::iter([Err("reset")])).await;
    let mut told = String::new();
    let broke = loop {
        match body.frame().await.expect("the break") {
            Ok(frame) => told.push_str(std::str::from_utf8(&frame.into_data().expect("data")).expect("text")),
            Err(error) => break error,
        }
    };
    assert_eq!((told, broke), (GEMINIS.concat(), "reset"));
    metering.close(real_clock().now()).expect("closes");
    let told = |record: &UsageRecord<'_>| (record.status, record.tokens.prompt, record.tokens.completion);
    assert_eq!(records_of(folder.path(), false).iter().map(told).collect::<Vec<_>>(), [(Status::Ok, 9, 3)]);
}

#[tokio::test]
async fn trailers_end_an_answer_and_stand_behind_it() {
    let folder = TempDir::new().expect("a folder");
    let metering = books(&folder, Vec::new());
    let trailers = || stream::iter([Ok(Frame::trailers(http::HeaderMap::new()))]);
    let mut body = geminis(&metering, trailers).await;
    let mut told = String::new();
    // A server asks for nothing more once trailers came.
    while let Ok(data) = body.frame().await.expect("trailers").expect("whole").into_data() {
        told.push_str(std::str::from_utf8(&data).expect("text"));
    }
    drop(body);
    assert_eq!(told, GEMINIS.concat());
    metering.close(real_clock().now()).expect("closes");
    let told = |record: &UsageRecord<'_>| (record.status, record.tokens.prompt, record.tokens.completion);
    assert_eq!(records_of(folder.path(), false).iter().map(told).collect::<Vec<_>>(), [(Status::Ok, 9, 3)]);
}
