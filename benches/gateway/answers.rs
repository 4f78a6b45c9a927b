//! What is asked and answered: OpenAI's chat completions, in bytes that the mock and the load both know.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Pieces of text in a streamed answer.
pub const PIECES: usize = 20;

/// Digits of the moment that stands in every piece.
const DIGITS: usize = 19;

/// How the mock is to answer. It stands in the question, and so gets there through anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// One JSON object.
    Json,
    /// A stream, all of it at once.
    Burst,
    /// A stream, a piece every 5 ms, each with the moment it was made.
    Paced,
    /// A stream of some seconds, so that many are open at the same time.
    Held,
}

impl Ask {
    /// What a question's body asks for.
    pub fn of(body: &[u8]) -> Option<Ask> {
        let asks = |ask: &Ask| memchr::memmem::find(body, ask.word().as_bytes()).is_some();
        [Ask::Json, Ask::Burst, Ask::Paced, Ask::Held].into_iter().find(asks)
    }

    fn word(self) -> &'static str {
        match self {
            Ask::Json => "mock-json",
            Ask::Burst => "mock-burst",
            Ask::Paced => "mock-paced",
            Ask::Held => "mock-held",
        }
    }

    /// The body of the question.
    pub fn question(self) -> Bytes {
        let stream = match self {
            Ask::Json => "",
            _ => r#","stream":true,"stream_options":{"include_usage":true}"#,
        };
        let word = self.word();
        Bytes::from(format!(
            r#"{{"model":"gpt-4o-mini","messages":[{{"role":"system","content":"You answer questions about orders, in two or three plain sentences."}},{{"role":"user","content":"Where is the parcel that I ordered on Monday, and may I still change its address? ({word})"}}],"temperature":0.2,"max_tokens":200{stream}}}"#
        ))
    }

    /// The body of the whole answer; the moments in it are zero.
    pub fn answer(self) -> Bytes {
        match self {
            Ask::Json => Bytes::from_static(JSON.as_bytes()),
            _ => (0..PIECES).map(|_| piece(0)).chain([end()]).collect::<Vec<_>>().concat().into(),
        }
    }
}

const JSON: &str = r#"{"id":"chatcmpl-A1b2C3d4E5f6","object":"chat.completion","created":1763800000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"It left our store on Tuesday and is with the carrier; its address can no longer be changed."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":52,"completion_tokens":20,"total_tokens":72},"service_tier":"default"}"#;

/// One piece of a streamed answer, made at that moment (nanoseconds).
pub fn piece(moment: u64) -> Bytes {
    frame(
        &format!(
            r#"[{{"index":0,"delta":{{"content":" and so on @{moment:0DIGITS$}"}},"logprobs":null,"finish_reason":null}}]"#
        ),
        "null",
    )
    .into()
}

/// What follows the last piece: why it ends, the usage, and the end.
pub fn end() -> Bytes {
    let stop = frame(r#"[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]"#, "null");
    let usage = frame("[]", r#"{"prompt_tokens":52,"completion_tokens":20,"total_tokens":72}"#);
    format!("{stop}{usage}data: [DONE]\n\n").into()
}

fn frame(choices: &str, usage: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-A1b2C3d4E5f6\",\"object\":\"chat.completion.chunk\",\"created\":1763800000,\
         \"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"choices\":{choices},\"usage\":{usage}}}\n\n"
    )
}

/// Takes the moments out of a part of an answer; zeros stay there.
pub fn take_moments(part: &mut [u8], mut found: impl FnMut(u64)) {
    let marks: Vec<usize> = memchr::memchr_iter(b'@', part).collect();
    for at in marks {
        let Some(digits) = part.get_mut(at + 1..at + 1 + DIGITS) else { continue };
        let moment = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
        if let Some(moment) = moment.filter(|&moment| moment > 0) {
            found(moment);
            digits.fill(b'0');
        }
    }
}

/// Now, in nanoseconds of the one clock that all processes of this machine share.
pub fn moment() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
