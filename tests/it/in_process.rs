//! The one path of a chat answer inside the test's own process: the door, the providers, and a clock to choose.

#![allow(dead_code, reason = "every test uses a part of it")]

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tallybot::app::{SystemClock, random};
use tallybot::conversation::driver::{Assistant, DeltaSink, Outgoing};
use tallybot::conversation::{
    AnswerOutcome, Answering, CancelToken, ChatKey, Job, JobId, ModelChoice, Origin, Person, Role, Turn,
};
use tallybot::ledger::{Durability, KnownNames, People};
use tallybot::limits::Rule;
use tallybot::metering::{Metering, Patience, Setup};
use tallybot::models::{Kind, Provider, ProviderSpec, RetryPolicy, Timeouts, Transport};
use tallybot::templates::Lang;
use tallybot::usage::prices::PriceBook;
use tallybot::usage::{Clock, Now, Tick, Timestamp, UsageRecord, Zone};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::providers::ScriptedProvider;
use crate::test_app::records_of;

/// A clock that stands still until it is told.
pub struct VirtualClock {
    began: Timestamp,
    since_micros: AtomicU64,
}

impl VirtualClock {
    pub fn at(began: &str) -> Arc<VirtualClock> {
        let began = Timestamp::parse(began).expect("a time");
        Arc::new(VirtualClock { began, since_micros: AtomicU64::new(0) })
    }

    pub fn advance(&self, by: Duration) {
        self.since_micros.fetch_add(u64::try_from(by.as_micros()).expect("not for ever"), Ordering::SeqCst);
    }

    /// Goes to an instant; not back.
    pub fn go_to(&self, at: Timestamp) {
        let since = at.unix_micros() - self.began.unix_micros();
        self.since_micros.fetch_max(u64::try_from(since).expect("not before the beginning"), Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Now {
        let since = self.since_micros.load(Ordering::SeqCst);
        let at = self.began.plus_micros(i64::try_from(since).expect("not for ever"));
        Now { at, tick: Tick(1_000_000_000 + since) }
    }
}

/// The system's clock.
pub fn real_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new(Zone::UTC))
}

/// How the books of a test are opened.
pub fn setup(rules: Vec<Rule>, durability: Durability, clock: &Arc<dyn Clock>) -> Setup {
    Setup {
        durability,
        known: KnownNames::none(),
        rules: rules.into(),
        providers: vec!["ollama".to_owned(), "cloud".to_owned()],
        prices: PriceBook::bundled(),
        vendors: HashMap::from([("cloud".to_owned(), "openai".to_owned())]),
        clock: Arc::clone(clock),
        random,
    }
}

/// The assistant of a folder.
pub fn answering(data: &Path, metering: Metering, providers: Vec<Provider>, clock: &Arc<dyn Clock>) -> Answering {
    Answering {
        metering,
        providers: providers.into(),
        people: Arc::new(People::open(data, [7; 32]).expect("a writable folder")),
        clock: Arc::clone(clock),
        zone: Zone::UTC,
        random,
        retries: RetryPolicy { first_backoff: Duration::from_millis(1), ..RetryPolicy::default() },
        patience: Patience::default(),
        max_output_tokens: Some(256),
    }
}

/// Ollama is `ollama`, OpenAI's API is `cloud` and bills by OpenAI's list.
pub fn provider(kind: Kind, url: &str, timeouts: Timeouts) -> Provider {
    let (name, model) = if kind == Kind::Ollama { ("ollama", "llama3.2") } else { ("cloud", "gpt-4o-mini") };
    let spec = ProviderSpec { timeouts, ..ProviderSpec::new(name, kind, url, model) };
    Provider::new(spec, Transport::new())
}

/// A question to a provider's own model, in a session of its own.
pub fn job(kind: Kind, session: &str, text: &str) -> Job {
    let (provider, model) = if kind == Kind::Ollama { ("ollama", "llama3.2") } else { ("cloud", "gpt-4o-mini") };
    Job {
        id: JobId(1),
        chat: ChatKey::of_the_terminal(),
        person: Person::new("owner", true),
        session: session.to_owned(),
        choice: ModelChoice {
            provider: provider.to_owned(),
            model: model.to_owned(),
            local: kind == Kind::Ollama,
            demo: false,
        },
        turns: vec![Turn { role: Role::User, text: text.to_owned().into() }],
        photos: Vec::new(),
        lang: Lang::En,
        origin: Origin::default(),
    }
}

/// A sink, and what comes out of it.
pub fn sink() -> (DeltaSink, mpsc::Receiver<Outgoing>) {
    let (outgoing, shown) = mpsc::channel(64);
    (DeltaSink::new(ChatKey::of_the_terminal(), JobId(1), outgoing), shown)
}

/// One assistant with one scripted provider and a folder of its own.
pub struct Bench {
    pub home: TempDir,
    pub clock: Arc<dyn Clock>,
    pub answering: Arc<Answering>,
    pub kind: Kind,
}

impl Bench {
    pub fn new(kind: Kind, server: &ScriptedProvider) -> Bench {
        Bench::with(kind, &server.url(), Timeouts::default(), Vec::new(), real_clock())
    }

    pub fn with(kind: Kind, url: &str, timeouts: Timeouts, rules: Vec<Rule>, clock: Arc<dyn Clock>) -> Bench {
        let home = TempDir::new().expect("a temporary folder");
        let setup = setup(rules, Durability::Kill, &clock);
        let (metering, _) = Metering::start(home.path(), setup).expect("new books");
        let answering = answering(home.path(), metering, vec![provider(kind, url, timeouts)], &clock);
        Bench { home, clock, answering: Arc::new(answering), kind }
    }

    pub fn job(&self) -> Job {
        job(self.kind, "session", "How are you today?")
    }

    /// Asks, and gives what came of it.
    pub async fn ask(&self) -> AnswerOutcome {
        self.answering.ask(self.job(), sink().0, CancelToken::new()).await
    }

    /// What the journal holds now.
    pub fn records(&self) -> Vec<UsageRecord<'static>> {
        records_of(self.home.path(), false)
    }

    /// The one record, and that nothing is left open.
    pub fn the_record(&self) -> UsageRecord<'static> {
        let mut records = self.records();
        assert_eq!(records.len(), 1, "{records:?}");
        assert_eq!(open_slots(self.home.path()).len(), 0);
        records.remove(0)
    }
}

/// The calls that stand in the slots and have no record: one that has its record leaves its slot to the next call.
pub fn open_slots(data: &Path) -> Vec<uuid::Uuid> {
    let content = std::fs::read(data.join("open.slots")).unwrap_or_default();
    let (slots, _) = content.as_chunks::<2048>();
    let used = slots.iter().filter(|slot| slot[0] != 0);
    let ids: Vec<_> = used.map(|slot| uuid::Uuid::from_slice(&slot[2..18]).expect("sixteen bytes")).collect();
    let recorded: HashSet<_> = match ids.is_empty() {
        true => HashSet::new(),
        false => records_of(data, true).iter().map(|record| record.id.0).collect(),
    };
    ids.into_iter().filter(|id| !recorded.contains(id)).collect()
}
