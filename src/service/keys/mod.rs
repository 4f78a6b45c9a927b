//! Keys for programs that use the gateway: wanted, added, shown and revoked, in a folder or at the tallybot that holds
//! it.

mod ask;
mod row;

pub use ask::{KeyAsk, KeyMistakes, KeyPlan};
pub use row::{KeyList, KeyRow, list};

use anyhow::{Context, bail};
use secrecy::SecretString;

use super::books::{Books, There};
use super::remote;
use crate::ledger::People;
use crate::limits::Rule;
use crate::metering::{KeyNotChanged, Metering};
use crate::settings::Settings;
use crate::usage::Timestamp;
use row::Shown;

/// A key that was added. The only place where it is whole.
pub struct AddedKey {
    /// The key itself.
    pub key: SecretString,
    /// What is kept of it.
    pub row: KeyRow,
}

/// Why a key was not added or not revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// What was wanted makes no sense.
    #[error(transparent)]
    Wrong(#[from] KeyMistakes),
    /// It cannot be done, or not be written.
    #[error(transparent)]
    NotChanged(#[from] KeyNotChanged),
}

/// The keys of open books. What changes them waits for the disk.
pub struct KeyRing<'a> {
    /// The books.
    pub metering: &'a Metering,
    /// Who is who.
    pub people: &'a People,
    /// The configured limits and budgets.
    pub rules: &'a [Rule],
    /// The only source of chance: sixteen random bytes.
    pub random: fn() -> [u8; 16],
}

impl KeyRing<'_> {
    /// Adds a key, with its budgets, durably. It is not in any file.
    ///
    /// # Errors
    /// When the name is not free, there is no room, or it cannot be written.
    pub fn add(&self, plan: &KeyPlan, now: Timestamp) -> Result<AddedKey, KeyError> {
        let mut random = [0; 32];
        random[..16].copy_from_slice(&(self.random)());
        random[16..].copy_from_slice(&(self.random)());
        let made = plan.make(random, self.people, now);
        let name = made.known_as.name.clone();
        self.metering.add_key(made.known_as.clone(), made.budgets)?;
        tracing::info!(key = %name, "a key was added");
        let settings = self.metering.acts().settings;
        Ok(AddedKey { key: made.key, row: self.shown(&settings).row(&made.known_as, None) })
    }

    /// Revokes the key of a name, durably: it opens nothing from then on.
    ///
    /// # Errors
    /// When there is no such key, it holds no more, or it cannot be written.
    pub fn revoke(&self, name: &str) -> Result<KeyRow, KeyError> {
        ask::name_of_a_key(name).map_err(KeyMistakes::from)?;
        let (key, revoked) = self.metering.revoke_key(name)?;
        tracing::info!(key = %key.name, "a key was revoked");
        Ok(self.shown(&self.metering.acts().settings).row(&key, Some(revoked)))
    }

    /// The keys, revoked ones included, by name.
    pub fn list(&self) -> KeyList {
        self.shown(&self.metering.acts().settings).list()
    }

    fn shown<'a>(&'a self, settings: &'a Settings) -> Shown<'a> {
        Shown { settings, rules: self.rules, people: Some(self.people) }
    }
}

impl Books {
    /// Adds a key.
    ///
    /// # Errors
    /// As [`KeyRing::add`], and when the tallybot that holds the folder does not do it.
    pub async fn add_key(&self, plan: &KeyPlan) -> anyhow::Result<AddedKey> {
        match self {
            Books::Here(here) => Ok(here.keys().add(plan, here.clock.now().at)?),
            Books::There(there) => there.did(remote::add_key(&there.address, there.token.as_ref(), &plan.ask).await),
        }
    }

    /// Revokes a key.
    ///
    /// # Errors
    /// As [`KeyRing::revoke`], and when the tallybot that holds the folder does not do it.
    pub async fn revoke_key(&self, name: &str) -> anyhow::Result<KeyRow> {
        match self {
            Books::Here(here) => Ok(here.keys().revoke(name)?),
            Books::There(there) => {
                ask::name_of_a_key(name).map_err(KeyMistakes::from)?;
                there.did(remote::revoke_key(&there.address, there.token.as_ref(), name).await)
            }
        }
    }
}

impl There {
    /// What came of it; a reason that has nothing to do with the way is told as if there were none.
    fn did<T>(&self, answered: anyhow::Result<T>) -> anyhow::Result<T> {
        match answered {
            Err(error) => match remote::reason(&error) {
                Some(reason) => bail!("{reason}"),
                None => Err(error).with_context(|| self.failed()),
            },
            done => done,
        }
    }
}
