//! The composition root: builds everything, owns the clock, joins the parts, drains them at the end.

mod alerts;
mod books;
mod budgets;
mod clock;
mod descriptors;
mod desk;
mod door;
mod gateway;
mod guard;
mod keys;
mod log;
mod managing;
mod prices;
mod providers;
mod run;
#[cfg(feature = "telegram")]
mod telegram;
mod usage;

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use secrecy::SecretString;
use tokio_util::task::TaskTracker;

pub use books::{log_tokens, open_books, place};
pub use clock::SystemClock;
pub use desk::{Desk, RestDesk};
pub use door::{ChatDoor, DoorParts};
pub use prices::{prices_of, with_rows};
pub use providers::is_local;
pub use run::{Doors, outlive_file_size_limits};

use prices::Watch;

use crate::access::keys::NOTHING_HASHED_AS;
use crate::config::Config;
use crate::deliveries::Deliveries;
use crate::ledger::{Folder, People};
use crate::metering::{Found, Metering, Setup, known_names_of, rules_of, vendors_of};
use crate::models::{Provider, Transport};
use crate::service::open_people;
use crate::settings::Keys;
use crate::templates::Templates;
use crate::usage::{Clock, Zone};

/// Random bytes that are taken from the system at once.
const RANDOM_AT_ONCE: usize = 1024;

thread_local! {
    /// What is left of the last of them, from an offset on. Each byte is given once, and then forgotten.
    static RANDOM: RefCell<([u8; RANDOM_AT_ONCE], usize)> = const { RefCell::new(([0; RANDOM_AT_ONCE], RANDOM_AT_ONCE)) };
}

/// Sixteen random bytes from the system.
///
/// # Panics
/// When the system has no randomness, without which nothing here is safe.
pub fn random() -> [u8; 16] {
    RANDOM.with_borrow_mut(|(bytes, used)| {
        if *used == RANDOM_AT_ONCE {
            getrandom::fill(bytes).expect("the system gives random bytes");
            *used = 0;
        }
        let mut taken = [0; 16];
        taken.swap_with_slice(&mut bytes[*used..*used + 16]);
        *used += 16;
        taken
    })
}

/// The owner's zone: the configured one, else that of the environment, else the system's, else UTC.
pub fn zone_of(config: &Config) -> Zone {
    let environment = || Zone::of_tz(&std::env::var("TZ").ok()?);
    let system = || Zone::named(&iana_time_zone::get_timezone().ok()?);
    config.timezone.or_else(environment).or_else(system).unwrap_or(Zone::UTC)
}

/// What a person named on the command line rather than in the file.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The folder of the books.
    pub data_dir: PathBuf,
    /// Where to listen for HTTP, if at all.
    pub listen: Option<std::net::SocketAddr>,
}

/// Everything, built and not yet running.
pub struct App {
    config: Config,
    desk: Arc<Desk>,
    clock: Arc<dyn Clock>,
    found: Found,
    /// What is to be said where the key of the ids is not the one that the books were written with.
    lost_key: Option<String>,
    listen: Option<std::net::SocketAddr>,
    watch: Watch,
    /// Where alerts go beside the log and the chats.
    deliveries: Deliveries,
    /// Makes the first admin; to be shown once.
    claim: Option<SecretString>,
}

impl App {
    /// Builds everything a configuration asks for and opens the books.
    ///
    /// # Errors
    /// Templates that do not load, a folder that cannot be opened, owner's prices that do not fit.
    pub async fn build(config: Config, place: Place) -> anyhow::Result<App> {
        let zone = zone_of(&config);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(zone));
        let templates = Templates::load(config.templates_dir.as_deref()).context("cannot load the templates")?;
        let watch = Watch::new(&place.data_dir);
        let prices = prices_of(&config, &place.data_dir)?;
        let deliveries = Deliveries::new(&config.alerts, Arc::clone(&clock)).context("cannot prepare the alerts")?;
        // The books are opened before any provider is asked anything: what cannot be recorded is not called.
        let lost_their_key = Folder::new(&place.data_dir).has_books() && People::key_of(&place.data_dir)?.is_none();
        let people = Arc::new(open_people(&place.data_dir, random)?);
        log::start(&place.data_dir, &config.log);
        let transport = Transport::new();
        let rules = rules_of(&config, zone, |channel, identity| people.hash(channel, identity));
        let setup = Setup {
            durability: config.ledger.durability,
            known: known_names_of(&config, &prices),
            rules: rules.clone(),
            providers: config.providers.iter().map(|provider| provider.name.clone()).collect(),
            vendors: vendors_of(&config, &prices),
            prices: prices.clone(),
            clock: Arc::clone(&clock),
            random,
        };
        let (metering, found) = Metering::start(&place.data_dir, setup)?;
        let lost_key = lost_key(lost_their_key, &metering.keys(), &people);
        let tasks = TaskTracker::new();
        let parts = DoorParts {
            people: Arc::clone(&people),
            metering: metering.clone(),
            clock: Arc::clone(&clock),
            random,
            tasks: tasks.clone(),
        };
        let (door, claim) = ChatDoor::new(&config, parts);
        let providers: Arc<[Provider]> = providers::build(&config, &transport).await.into();
        let desk = Desk {
            bot: config.bot_name.clone(),
            language: config.language,
            compat: config.compat.clone(),
            zone,
            started_at: clock.now().at,
            metering,
            provider_infos: providers::describe(&config, &providers),
            providers,
            people,
            rules: rules.rules.into(),
            deliveries: Some(deliveries.clone()),
            door: Arc::new(door),
            folder: place.data_dir,
            templates: Arc::new(templates),
            clock: Arc::clone(&clock),
            tasks,
            pressing: Arc::default(),
        };
        let listen = place.listen;
        Ok(App { config, desk: Arc::new(desk), clock, found, lost_key, listen, watch, deliveries, claim })
    }
}

/// What is to be said where `subject.key` is another than it was: it was not there, or did not make the keys.
fn lost_key(was_missing: bool, keys: &Keys, people: &People) -> Option<String> {
    let there = people.hash(NOTHING_HASHED_AS, "");
    let keys = keys.iter().filter(|key| key.hashed_by.is_some_and(|by| by != there)).count();
    let hint = "if you have the old file, stop tallybot and put it back";
    if keys > 0 {
        return Some(format!(
            "`subject.key` is not the one that {keys} key(s) of the gateway were made with: they open nothing, and everybody \
             has a new id; {hint}"
        ));
    }
    was_missing
        .then(|| format!("the books have no `subject.key`, so a new one was made: everybody has a new id; {hint}"))
}
