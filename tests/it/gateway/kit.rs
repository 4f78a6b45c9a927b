//! The gateway inside the test's own process: its books, a clock to choose, a client that sees every byte.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use tallybot::access::Tokens;
use tallybot::app::random;
use tallybot::gateway::{Body, DrainLimits, Gateway, Parts, Settings};
use tallybot::ledger::{Durability, People};
use tallybot::limits::Rule;
use tallybot::metering::{Metering, Setup};
use tallybot::models::{Kind, Provider, ProviderSpec, Timeouts, Transport};
use tallybot::usage::{Clock, UsageRecord};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

use super::wire::Specimen;
use crate::in_process::{open_slots, real_clock, setup};
use crate::providers::ScriptedProvider;
use crate::test_app::records_of;

/// Opens what changes, in REST; no key of the gateway.
pub const ADMIN_TOKEN: &str = "admin-0123456789-0123456789-0123456789";

/// The key of every provider here.
pub const UPSTREAM_KEY: &str = "sk-upstream-0123456789-SECRET";

/// How a gateway is to be opened.
pub struct Opening {
    pub providers: Vec<ProviderSpec>,
    pub rules: Vec<Rule>,
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    pub durability: Durability,
}

impl Opening {
    /// One provider of each kind, all at this URL.
    pub fn to(url: &str) -> Opening {
        let kinds = [
            ("cloud", Kind::OpenAi, "gpt-4o-mini"),
            ("claude", Kind::Anthropic, "claude-haiku-4-5"),
            ("google", Kind::Gemini, "gemini-2.5-flash"),
            ("ollama", Kind::Ollama, "gemma3:4b"),
        ];
        let settings = Settings {
            max_body_bytes: 4 << 20,
            bodies_bytes: 32 << 20,
            retries: 0,
            fallbacks: HashMap::new(),
            drains: DrainLimits::default(),
        };
        Opening {
            providers: kinds.map(|(name, kind, model)| spec(name, kind, url, model)).into(),
            rules: Vec::new(),
            settings,
            clock: real_clock(),
            durability: Durability::Kill,
        }
    }

    /// The same time limits for all providers.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Opening {
        self.providers.iter_mut().for_each(|spec| spec.timeouts = timeouts);
        self
    }

    pub fn open(self) -> Gate {
        let home = TempDir::new().expect("a temporary folder");
        let vendor = |spec: &ProviderSpec| match spec.kind {
            Kind::OpenAi => Some((spec.name.clone(), "openai".to_owned())),
            Kind::Anthropic => Some((spec.name.clone(), "anthropic".to_owned())),
            Kind::Gemini => Some((spec.name.clone(), "google".to_owned())),
            Kind::Ollama | Kind::Demo => None,
        };
        let setup = Setup {
            providers: self.providers.iter().map(|spec| spec.name.clone()).collect(),
            vendors: self.providers.iter().filter_map(vendor).collect(),
            ..setup(self.rules, self.durability, &self.clock)
        };
        let (metering, _) = Metering::start(home.path(), setup).expect("new books");
        let transport = Transport::new();
        let providers = self.providers.into_iter().map(|spec| Provider::new(spec, transport.clone()));
        let parts = Parts {
            metering: metering.clone(),
            providers: providers.collect(),
            people: Arc::new(People::open(home.path(), [7; 32]).expect("a writable folder")),
            tokens: Tokens::new(None, Some(&ADMIN_TOKEN.into())),
            clock: Arc::clone(&self.clock),
            random,
            tasks: TaskTracker::new(),
        };
        let (people, tasks) = (Arc::clone(&parts.people), parts.tasks.clone());
        Gate { home, clock: self.clock, metering, people, tasks, gateway: Gateway::new(parts, self.settings) }
    }
}

/// A provider with a key.
pub fn spec(name: &str, kind: Kind, url: &str, model: &str) -> ProviderSpec {
    ProviderSpec { api_key: Some(UPSTREAM_KEY.to_owned().into()), ..ProviderSpec::new(name, kind, url, model) }
}

/// An open gateway with books of its own.
pub struct Gate {
    pub home: TempDir,
    pub clock: Arc<dyn Clock>,
    pub metering: Metering,
    pub people: Arc<People>,
    pub tasks: TaskTracker,
    pub gateway: Gateway,
}

/// What a client saw.
#[derive(Clone, Debug)]
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The body broke off.
    pub cut: bool,
}

impl Answered {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A request of a client on this machine.
pub fn post(provider: &str, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::post(format!("/gateway/{provider}{path}")).header("content-type", "application/json");
    request.body(Full::new(body.into())).expect("a request")
}

pub fn with(mut request: Request<Full<Bytes>>, headers: &[(&'static str, &str)]) -> Request<Full<Bytes>> {
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a header"));
    }
    request
}

impl Gate {
    /// A gateway to a server, without limits.
    pub fn to(server: &ScriptedProvider) -> Gate {
        Opening::to(&server.url()).open()
    }

    /// Begins a call; the body is still to come.
    pub async fn begin(&self, request: Request<Full<Bytes>>) -> http::Response<Body> {
        self.begin_from("127.0.0.1:40000", request).await
    }

    pub async fn begin_from(&self, peer: &str, request: Request<Full<Bytes>>) -> http::Response<Body> {
        let peer: SocketAddr = peer.parse().expect("an address");
        self.gateway.answer(request, peer).await
    }

    /// Makes a call, to the last byte.
    pub async fn ask(&self, request: Request<Full<Bytes>>) -> Answered {
        rest(self.begin(request).await).await
    }

    /// Asks a specimen's question.
    pub async fn ask_for(&self, specimen: &Specimen) -> Answered {
        self.ask(post(specimen.provider(), specimen.path, specimen.request)).await
    }

    /// Waits until nothing is read on for anybody.
    pub async fn drained(&self) {
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(20), self.tasks.wait()).await.expect("drains are bounded");
        self.tasks.reopen();
    }

    /// What the journal holds now; no call is open.
    pub fn records(&self) -> Vec<UsageRecord<'static>> {
        assert_eq!(open_slots(self.home.path()).len(), 0, "calls are left open");
        records_of(self.home.path(), false)
    }

    /// From now on nothing that is written is confirmed: the folder is elsewhere, and where it was nothing can be made.
    pub fn lose_the_disk(&self) -> TempDir {
        let elsewhere = TempDir::new().expect("a temporary folder");
        std::fs::rename(self.home.path(), elsewhere.path().join("data")).expect("ours to move");
        elsewhere
    }

    /// Closes the books and lets the built program check them.
    pub fn verify(self) {
        self.metering.close(self.clock.now()).expect("the books close");
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_tallybot"));
        let ended = program.arg("verify").arg("--data-dir").arg(self.home.path()).output().expect("it was built");
        assert!(ended.status.success(), "{ended:?}");
    }

    /// The one record.
    pub fn the_record(&self) -> UsageRecord<'static> {
        let mut records = self.records();
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }
}

/// Reads an answer to its end.
pub async fn rest(response: http::Response<Body>) -> Answered {
    let (head, mut body) = response.into_parts();
    let mut answered = Answered { status: head.status.as_u16(), headers: head.headers, body: Vec::new(), cut: false };
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => answered.body.extend_from_slice(&frame.into_data().expect("no trailers")),
            Err(_) => {
                answered.cut = true;
                break;
            }
        }
    }
    answered
}

/// Reads an answer as far as this many bytes of its body, and leaves.
pub async fn leave_after(response: http::Response<Body>, bytes: usize) -> Vec<u8> {
    let mut body = response.into_body();
    let mut seen = Vec::new();
    while seen.len() < bytes {
        let frame = body.frame().await.expect("there is more").expect("it is whole");
        seen.extend_from_slice(&frame.into_data().expect("no trailers"));
    }
    seen
}
