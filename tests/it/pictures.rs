//! Pictures on their way to models: as each API takes them, counted as an estimate, and nowhere else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};
use tallybot::ledger::Durability;
use tallybot::metering::{Call, Metering, Outcome};
use tallybot::models::{
    ChatMessage, ChatRequest, Image, ImageError, Kind, MAX_IMAGES, Provider, ProviderSpec, Role, Timeouts, Transport,
};
use tallybot::templates::Lang;
use tallybot::usage::{ErrorKind, Failure, Status, TokenCounts, UsageSource, estimate_prompt_tokens};
use tracing_subscriber::fmt::MakeWriter;

use crate::in_process::{answering, job, real_clock, setup, sink};
use crate::providers::{Hit, Reply, ScriptedProvider, ollama, openai};
use crate::running::walk;
use crate::test_app::records_of;
use tallybot::conversation::driver::Assistant;
use tallybot::conversation::{AnswerOutcome, CancelToken, Job};

const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF the pixels of a person's picture, which nobody else may see";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nother pixels of a person's picture, which nobody else may see either";

fn message() -> ChatMessage {
    let images = [JPEG, PNG].map(|bytes| Image::new(bytes).expect("a picture"));
    ChatMessage::new(Role::User, "what is this?").with_images(images.to_vec()).expect("few enough")
}

fn request(model: &str) -> ChatRequest {
    let messages = vec![ChatMessage::new(Role::System, "be brief"), message()];
    ChatRequest { model: model.to_owned(), messages, max_output_tokens: Some(64), lang: Lang::En }
}

fn provider(kind: Kind, url: &str) -> Provider {
    let timeouts = Timeouts::all(Duration::from_secs(10));
    let vision_model = Some("llava".to_owned());
    Provider::new(ProviderSpec { timeouts, vision_model, ..ProviderSpec::new("p", kind, url, "m") }, Transport::new())
}

/// The body of the one chat that a polite server was sent.
async fn sent(kind: Kind) -> Value {
    let server = match kind {
        Kind::Ollama => ScriptedProvider::start(ollama::polite(&["llava"], ollama::chat(&["A cat."], 600, 3))).await,
        _ => ScriptedProvider::start(openai::polite(&["gpt-4o"], openai::chat(&["A cat."], 1_600, 3))).await,
    };
    let provider = provider(kind, &server.url());
    assert_eq!(provider.vision_model(), Some("llava"));
    let mut stream = provider.chat(request("llava")).await.expect("an answer begins");
    while let Some(event) = stream.next().await {
        event.expect("a polite answer");
    }
    let reported = if kind == Kind::Ollama { 600 } else { 1_600 };
    assert_eq!(stream.ending().usage.prompt, Some(reported), "the provider's own count goes before any estimate");
    server.hits()[0].json()
}

#[tokio::test]
async fn an_openai_server_gets_parts_with_data_uris_and_plain_text_elsewhere() {
    let uri = |kind: &str, bytes: &[u8]| format!("data:{kind};base64,{}", BASE64.encode(bytes));
    let body = sent(Kind::OpenAi).await;
    let expected = json!([
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [
            {"type": "text", "text": "what is this?"},
            {"type": "image_url", "image_url": {"url": uri("image/jpeg", JPEG)}},
            {"type": "image_url", "image_url": {"url": uri("image/png", PNG)}},
        ]},
    ]);
    assert_eq!((&body["messages"], &body["model"]), (&expected, &json!("llava")));
}

#[tokio::test]
async fn an_ollama_gets_base_64_beside_the_text() {
    let body = sent(Kind::Ollama).await;
    let expected = json!([
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "what is this?", "images": [BASE64.encode(JPEG), BASE64.encode(PNG)]},
    ]);
    assert_eq!(body["messages"], expected);
}

#[tokio::test]
async fn a_picture_without_words_is_sent_alone() {
    let server = ScriptedProvider::always(openai::chat(&["A cat."], 800, 3)).await;
    let image = Image::new(JPEG).expect("a picture");
    let message = ChatMessage::new(Role::User, "").with_images(vec![image]).expect("one");
    let request = ChatRequest { messages: vec![message], ..request("m") };
    provider(Kind::OpenAi, &server.url()).chat(request).await.expect("an answer begins");
    let parts = &server.hits()[0].json()["messages"][0]["content"];
    assert_eq!((parts.as_array().map(Vec::len), &parts[0]["type"]), (Some(1), &json!("image_url")));
}

#[tokio::test]
async fn a_question_about_a_photo_is_a_vision_call_to_the_model_that_sees() {
    let server = ScriptedProvider::always(openai::chat(&["A cat."], 800, 3)).await;
    let (data, clock) = (tempfile::tempdir().expect("a folder"), real_clock());
    let (metering, _) =
        Metering::start(data.path(), setup(Vec::new(), Durability::Kill, &clock)).expect("the books open");
    let spec = ProviderSpec {
        vision_model: Some("gpt-4o".to_owned()),
        ..ProviderSpec::new("cloud", Kind::OpenAi, &server.url(), "gpt-4o-mini")
    };
    let providers = vec![Provider::new(spec, Transport::new())];
    let answering = answering(data.path(), metering, providers, &clock);
    let asked = |photo: &[u8]| Job { photos: vec![photo.to_vec().into()], ..job(Kind::OpenAi, "1", "What is this?") };
    let outcome = answering.ask(asked(PNG), sink().0, CancelToken::new()).await;
    assert_eq!((&*outcome.text, outcome.result), ("A cat.", Ok(())));
    let model = outcome.receipt.expect("it was sent").choice.model;
    let broken = answering.ask(asked(b"no picture"), sink().0, CancelToken::new()).await;
    assert_eq!(broken, AnswerOutcome::failed(ErrorKind::BadRequest), "nothing is sent");
    let records = records_of(data.path(), false);
    let [record] = &records[..] else { panic!("{} records", records.len()) };
    assert_eq!(
        (record.request_type.as_str(), record.requested_model.as_deref(), &*model),
        ("vision", Some("gpt-4o"), "gpt-4o")
    );
}

#[test]
fn five_pictures_are_too_many() {
    let images = vec![Image::new(PNG).expect("a picture"); MAX_IMAGES + 1];
    let refused = ChatMessage::new(Role::User, "").with_images(images);
    assert_eq!(refused, Err(ImageError::TooMany { count: 5 }));
}

#[test]
fn a_prompts_estimate_counts_pictures_as_the_kind_of_provider_does() {
    let words = estimate_prompt_tokens(["be brief", "what is this?"]);
    for kind in Kind::ALL {
        let each = match kind {
            Kind::Ollama => 576,
            Kind::OpenAi => 765,
            Kind::Anthropic => 1_600,
            Kind::Gemini => 1_032,
            Kind::Demo => 0,
        };
        let estimate = provider(kind, "http://127.0.0.1:1").estimate_prompt_tokens(&request("m").messages);
        assert_eq!(estimate, words + 2 * each, "{kind:?}");
    }
}

/// Everything that is logged, at any level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;
    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

/// Whether anything of the pictures is in some bytes: plain, as Rust shows bytes, in base 64, or in hex.
fn shows_a_picture(bytes: &[u8]) -> bool {
    let has = |piece: &[u8]| memchr::memmem::find(bytes, piece).is_some();
    [JPEG, PNG].iter().any(|picture| {
        let listed = format!("{:?}", &picture[12..24]);
        let texts = [BASE64.encode(picture), HEXLOWER.encode(picture), listed.trim_matches(['[', ']']).to_owned()];
        has(&picture[12..24]) || texts.iter().any(|text| text.as_bytes().windows(20).step_by(4).any(&has))
    })
}

/// A server that sends back what it was sent, with an error.
fn parrot(hit: &Hit) -> Reply {
    let said = String::from_utf8_lossy(&hit.body).into_owned();
    Reply::json(400, json!({"error": {"message": said, "type": said, "code": said, "param": said}}).to_string())
}

#[tokio::test]
async fn law_7_no_file_log_or_debug_shows_a_picture() {
    assert!(
        shows_a_picture(format!("{:?}", JPEG.to_vec()).as_bytes()) && shows_a_picture(&BASE64.encode(PNG).into_bytes())
    );
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let home = tempfile::tempdir().expect("a temporary folder");
    let clock = real_clock();
    let (metering, _) = Metering::start(home.path(), setup(Vec::new(), Durability::Power, &clock)).expect("new books");
    let mut shown = format!("{:?} {:?}", request("m"), ImageError::UnknownType);
    for kind in [Kind::Ollama, Kind::OpenAi, Kind::Anthropic, Kind::Gemini] {
        let server = ScriptedProvider::start(parrot).await;
        let provider = provider(kind, &server.url());
        let mut call = Call::new("p", kind.as_str(), "llava", "terminal");
        call.request_type = "vision".into();
        call.prompt_tokens = provider.estimate_prompt_tokens(&request("llava").messages);
        let prompt = call.prompt_tokens;
        let permit = metering.open(call, clock.now()).await.expect("no limits");
        let error = provider.chat(request("llava")).await.err().expect("the parrot refuses");
        assert!(server.hits().iter().any(|hit| shows_a_picture(&hit.body)), "it was sent");
        let mut outcome = Outcome::failed(Status::Error, error.failure);
        outcome.tokens = TokenCounts { prompt, ..TokenCounts::default() };
        outcome.usage_source = UsageSource::Estimated;
        let receipt = permit.finish(outcome, clock.now()).await;
        assert_eq!((receipt.usage_source, receipt.tokens.prompt), (UsageSource::Estimated, prompt), "law 4");
        shown += &format!("{error} {error:?} {provider:?} {receipt:?} {:?}", Failure::of(ErrorKind::Other));
    }
    metering.close(clock.now()).expect("closed");
    assert!(shown.contains(&format!("Image(image/jpeg, {} bytes)", JPEG.len())), "{shown}");
    assert!(!shows_a_picture(shown.as_bytes()), "{shown}");
    assert!(!shows_a_picture(&log.0.lock().expect("no writer panics")), "the log shows a picture");
    let mut files = 0;
    walk(home.path(), &mut |path| {
        if path.is_file() {
            files += 1;
            assert!(!shows_a_picture(&std::fs::read(path).expect("ours to read")), "{path:?} shows a picture");
        }
    });
    assert!(files >= 4, "{files} files");
}
