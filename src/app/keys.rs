//! Keys for programs, while the tallybot runs: each change in a task of its own, which ends whoever hangs up.

use std::sync::Arc;

use super::{Desk, random};
use crate::ledger::LedgerError;
use crate::metering::KeyNotChanged;
use crate::service::keys::{AddedKey, KeyAsk, KeyError, KeyList, KeyRing, KeyRow};

impl Desk {
    /// Adds a key. When this returns it opens what it is for.
    pub(super) async fn add_key(self: &Arc<Self>, ask: KeyAsk) -> Result<AddedKey, KeyError> {
        let providers: Vec<&str> = self.provider_infos.iter().map(|info| info.name.as_str()).collect();
        let plan = ask.plan(&providers)?;
        let now = self.clock.now().at;
        self.at_keys(move |keys| keys.add(&plan, now)).await
    }

    /// Revokes a key. When this returns it opens nothing.
    pub(super) async fn revoke_key(self: &Arc<Self>, name: String) -> Result<KeyRow, KeyError> {
        self.at_keys(move |keys| keys.revoke(&name)).await
    }

    /// The keys there are and were.
    pub(super) fn keys(&self) -> KeyList {
        self.key_ring().list()
    }

    async fn at_keys<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(KeyRing<'_>) -> Result<T, KeyError> + Send + 'static,
    ) -> Result<T, KeyError> {
        let desk = Arc::clone(self);
        let changed = self.tasks.spawn_blocking(move || {
            let changed = change(desk.key_ring());
            desk.people.save_or_tell();
            changed
        });
        changed.await.map_err(|_| KeyNotChanged::from(LedgerError::Closed))?
    }

    fn key_ring(&self) -> KeyRing<'_> {
        KeyRing { metering: &self.metering, people: &self.people, rules: &self.rules, random }
    }
}
