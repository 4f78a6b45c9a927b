//! Every stream cut at every byte: into two pieces, into single bytes, and off. Usage is right or said to be estimated,
//! there is one record of each call, and the client gets what was sent.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tallybot::usage::{ErrorKind, Status, UsageRecord, UsageSource};

use super::kit::{Answered, Gate, post, with};
use super::wire::{CHAT, CHAT_UNASKED, SSE, STREAMS, Specimen};
use crate::providers::{Reply, ScriptedProvider, Step, gzip};

/// How a server cuts a stream: by a header of the request.
const CUT: &str = "x-cut";

/// A server that writes the bytes in two pieces, divided where the request says, or one by one.
async fn dividing(
    content_type: &'static str,
    bytes: Vec<u8>,
    headers: &'static [(&'static str, &'static str)],
) -> ScriptedProvider {
    ScriptedProvider::start(move |hit| {
        let reply = match hit.header(CUT).expect("it is passed on") {
            "all" => Reply::stream(content_type, bytes.chunks(1)),
            at => {
                let (first, second) = bytes.split_at(at.parse().expect("a number"));
                Reply::stream(content_type, [first, second].into_iter().filter(|piece| !piece.is_empty()))
            }
        };
        headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value))
    })
    .await
}

/// A server that closes the connection after so many bytes of the body.
async fn cutting(content_type: &'static str, bytes: Vec<u8>) -> ScriptedProvider {
    ScriptedProvider::start(move |hit| {
        let at: usize = hit.header(CUT).and_then(|at| at.parse().ok()).expect("it is passed on");
        let mut reply = Reply::stream(content_type, [&bytes[..at]].into_iter().filter(|piece| !piece.is_empty()));
        reply.steps.pop();
        reply.steps.push(Step::Close);
        reply
    })
    .await
}

fn asking(specimen: &Specimen, at: &str) -> Request<Full<Bytes>> {
    with(post(specimen.provider(), specimen.path, specimen.request), &[(CUT, at)])
}

/// Each answer has its own record, in order; gives them.
fn matched<'a>(gate: &Gate, answers: &'a [Answered]) -> Vec<(&'a Answered, UsageRecord<'static>)> {
    let records = gate.records();
    assert_eq!(records.len(), answers.len(), "one record of each call");
    let named = answers.iter().map(|answered| answered.header("x-tallybot-id").to_owned());
    for (record, id) in records.iter().zip(named) {
        assert_eq!(record.id.to_string(), id);
    }
    answers.iter().zip(records).collect()
}

fn assert_reported(specimen: &Specimen, record: &UsageRecord<'_>, at: usize) {
    let told = format!("{} at {at}: {record:?}", specimen.name);
    assert_eq!(
        (record.status, record.failure, record.usage_source),
        (Status::Ok, None, UsageSource::Reported),
        "{told}"
    );
    assert_eq!((record.tokens.prompt, record.tokens.completion), specimen.tokens, "{told}");
    assert_eq!(record.model, specimen.models.1, "{told}");
}

/// Asks with the bytes divided at every place, and one by one.
async fn divide_everywhere(
    specimen: &Specimen,
    bytes: &[u8],
    expected: &[u8],
    headers: &'static [(&'static str, &'static str)],
) {
    let server = dividing(specimen.content_type, bytes.to_vec(), headers).await;
    let gate = Gate::to(&server);
    let mut answers = Vec::with_capacity(bytes.len() + 1);
    for at in (1..=bytes.len()).map(|at| at.to_string()).chain(["all".to_owned()]) {
        let mut request = asking(specimen, &at);
        if !headers.is_empty() {
            request = with(request, &[("accept-encoding", "gzip")]);
        }
        let answered = gate.ask(request).await;
        assert!(!answered.cut && answered.body == expected, "{} at {at}: {answered:?}", specimen.name);
        answers.push(answered);
    }
    for (at, (_, record)) in matched(&gate, &answers).into_iter().enumerate() {
        assert_reported(specimen, &record, at + 1);
    }
    assert!(server.connections() <= 2, "{} connections: they are to be used again", server.connections());
}

async fn divide_both_ways(specimen: &Specimen) {
    divide_everywhere(specimen, specimen.answer.as_bytes(), specimen.answer.as_bytes(), &[]).await;
    let other = specimen.answer.replace('\n', "\r\n");
    divide_everywhere(specimen, other.as_bytes(), other.as_bytes(), &[]).await;
}

#[tokio::test]
async fn openais_streams_are_the_same_wherever_they_are_divided() {
    for specimen in &STREAMS[..3] {
        divide_both_ways(specimen).await;
    }
}

#[tokio::test]
async fn the_streams_of_claude_and_gemini_are_the_same_wherever_they_are_divided() {
    for specimen in &STREAMS[3..6] {
        divide_both_ways(specimen).await;
    }
}

#[tokio::test]
async fn ollamas_streams_are_the_same_wherever_they_are_divided() {
    for specimen in &STREAMS[6..] {
        divide_both_ways(specimen).await;
    }
}

#[tokio::test]
async fn compressed_streams_are_read_and_stay_compressed_wherever_they_are_divided() {
    for specimen in STREAMS.iter().step_by(3) {
        let bytes = gzip(specimen.answer);
        divide_everywhere(specimen, &bytes, &bytes, &[("content-encoding", "gzip")]).await;
    }
}

#[tokio::test]
async fn the_chunk_of_usage_that_nobody_asked_for_is_all_that_is_missing_wherever_it_is_divided() {
    let unasked = Specimen { request: CHAT_UNASKED, ..STREAMS[0] };
    let comment = ": keep-alive\n\n";
    for end in ["\n", "\r\n"] {
        let [before, usage, after] = CHAT.map(|part| part.replace('\n', end));
        let sent = [comment, &before, comment, &usage, comment, &after].concat();
        let expected = [comment, &before, comment, comment, &after].concat();
        assert_eq!(unasked.content_type, SSE);
        divide_everywhere(&unasked, sent.as_bytes(), expected.as_bytes(), &[]).await;
    }
}

/// Cuts a stream off at every byte.
async fn cut_everywhere(specimen: &Specimen, expected: &[u8]) {
    let bytes = specimen.answer.as_bytes();
    let server = cutting(specimen.content_type, bytes.to_vec()).await;
    let gate = Gate::to(&server);
    let mut answers = Vec::new();
    for at in 0..bytes.len() {
        let answered = gate.ask(asking(specimen, &at.to_string())).await;
        assert_eq!(answered.status, 200, "{} cut at {at}", specimen.name);
        assert!(expected.starts_with(&answered.body), "{} cut at {at}: {answered:?}", specimen.name);
        answers.push(answered);
    }
    for (at, (answered, record)) in matched(&gate, &answers).into_iter().enumerate() {
        let told = format!("{} cut at {at}: {record:?}", specimen.name);
        assert!(record.tokens.prompt > 0, "{told}");
        if record.usage_source == UsageSource::Reported {
            assert_eq!((record.tokens.prompt, record.tokens.completion), specimen.tokens, "{told}");
        }
        if record.status == Status::Ok {
            assert_eq!(record.failure, None, "{told}");
        } else {
            assert!(answered.cut, "the client learns of it: {told}");
            assert_eq!(record.failure.map(|failure| failure.kind), Some(ErrorKind::StreamCut), "{told}");
        }
    }
}

#[tokio::test]
async fn g6_a_stream_that_is_cut_off_anywhere_is_a_prefix_and_has_one_record() {
    for specimen in &STREAMS {
        cut_everywhere(specimen, specimen.answer.as_bytes()).await;
    }
}
