//! The books for commands that write: the folder itself, or the tallybot that holds it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use secrecy::SecretString;

use super::keys::KeyRing;
use crate::config::Config;
use crate::ledger::{Durability, LedgerError, People, holder_of};
use crate::limits::Rule;
use crate::metering::{Metering, Setup, known_names_of, rules_of, vendors_of};
use crate::usage::prices::PriceBook;
use crate::usage::{Clock, Zone};

/// How often, and how far apart, a folder is tried that another process holds without listening: a command that writes
/// holds it for a moment, a service that starts listens soon.
const TRIES: u32 = 250;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// Which books, and what is needed to write in them.
pub struct Place<'a> {
    /// What the owner configured.
    pub config: &'a Config,
    /// The folder.
    pub folder: &'a Path,
    /// The owner's zone.
    pub zone: Zone,
    /// The prices.
    pub prices: PriceBook,
    /// The only clock.
    pub clock: Arc<dyn Clock>,
    /// The only source of chance: sixteen random bytes.
    pub random: fn() -> [u8; 16],
}

/// Books that can be written. To be [closed](Books::close).
pub enum Books {
    /// In a folder that is ours now.
    Here(Box<Here>),
    /// In the hands of a running tallybot.
    There(There),
}

/// A folder that is open for writing.
pub struct Here {
    pub(super) metering: Metering,
    pub(super) people: People,
    pub(super) zone: Zone,
    pub(super) clock: Arc<dyn Clock>,
    rules: Vec<Rule>,
    random: fn() -> [u8; 16],
}

/// A running tallybot that holds a folder.
pub struct There {
    pub(super) pid: u32,
    pub(super) address: String,
    pub(super) token: Option<SecretString>,
    pub(super) zone: Zone,
    pub(super) clock: Arc<dyn Clock>,
}

impl Books {
    /// The door, for a program that makes its calls through [`MeteringLayer`](crate::metering::MeteringLayer); `None` where
    /// a running tallybot holds the folder: its gateway is the door then.
    pub fn metering(&self) -> Option<&Metering> {
        match self {
            Books::Here(here) => Some(&here.metering),
            Books::There(_) => None,
        }
    }

    /// Opens the folder, making it if need be; or finds who holds it.
    ///
    /// # Errors
    /// When the folder cannot be opened, or is held by a process that does not listen.
    pub async fn open(place: Place<'_>) -> anyhow::Result<Books> {
        for tried in 0..TRIES {
            match holder_of(place.folder) {
                Some(holder) => {
                    if let Some(address) = holder.listen {
                        let token = place.config.http.admin_token.clone();
                        let (zone, clock) = (place.zone, Arc::clone(&place.clock));
                        return Ok(Books::There(There { pid: holder.pid, address, token, zone, clock }));
                    }
                    if tried + 1 == TRIES {
                        let folder = place.folder.display();
                        let pid = holder.pid;
                        bail!(
                            "process {pid} holds `{folder}` and does not listen for HTTP; try again when it has ended"
                        );
                    }
                }
                None => match Here::open(&place) {
                    Err(LedgerError::InUse { .. }) if tried + 1 < TRIES => {}
                    opened => return Ok(Books::Here(Box::new(opened?))),
                },
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        bail!("`{}` could not be opened: other processes come and go in it", place.folder.display())
    }

    /// Makes everything durable and lets the folder go.
    ///
    /// # Errors
    /// When something could not be written.
    pub fn close(self) -> anyhow::Result<()> {
        let Books::Here(here) = self else { return Ok(()) };
        let named = here.people.save().context("cannot write who is who");
        here.metering.close(here.clock.now()).context("cannot close the books")?;
        named
    }

    /// Where the books are written over HTTP, if they are.
    pub fn through(&self) -> Option<String> {
        match self {
            Books::Here(_) => None,
            Books::There(there) => Some(format!("http://{}", there.address)),
        }
    }
}

impl Here {
    fn open(place: &Place<'_>) -> Result<Here, LedgerError> {
        let people = open_people(place.folder, place.random)?;
        let config = place.config;
        let rules = rules_of(config, place.zone, |channel, identity| people.hash(channel, identity));
        let (configured, random) = (rules.rules.clone(), place.random);
        let setup = Setup {
            durability: Durability::Power,
            known: known_names_of(config, &place.prices),
            rules,
            providers: config.providers.iter().map(|provider| provider.name.clone()).collect(),
            vendors: vendors_of(config, &place.prices),
            prices: place.prices.clone(),
            clock: Arc::clone(&place.clock),
            random,
        };
        let (metering, _found) = Metering::start(place.folder, setup)?;
        Ok(Here { metering, people, zone: place.zone, clock: Arc::clone(&place.clock), rules: configured, random })
    }

    /// The keys for programs.
    pub(super) fn keys(&self) -> KeyRing<'_> {
        KeyRing { metering: &self.metering, people: &self.people, rules: &self.rules, random: self.random }
    }
}

impl There {
    /// What to say when it did not do what it was asked.
    pub(super) fn failed(&self) -> String {
        format!("process {} holds the folder; cannot write through http://{}", self.pid, self.address)
    }
}

/// Opens who is who in a folder, with a new key if it has none.
///
/// # Errors
/// When a file cannot be read or written.
pub fn open_people(folder: &Path, random: fn() -> [u8; 16]) -> Result<People, LedgerError> {
    let (mut key, halves) = ([0; 32], [random(), random()]);
    key[..16].copy_from_slice(&halves[0]);
    key[16..].copy_from_slice(&halves[1]);
    People::open(folder, key)
}
