//! The keys for programs, while calls are made: read for every call, changed by an act.

use std::sync::{Arc, PoisonError};

use super::Metering;
use crate::ledger::LedgerError;
use crate::settings::{GatewayKey, KeyRefusal, Keys, Setting, Settings};
use crate::usage::Timestamp;

/// Why a key was not added or not revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeyNotChanged {
    /// It cannot be.
    #[error(transparent)]
    Refused(#[from] KeyRefusal),
    /// It cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Metering {
    /// The keys now. Cheap: what is had is not copied, and nobody waits for the disk.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.inner.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a key, durably, with `budgets` for it: one write holds them all. When it returns, they are in force. Not to
    /// be called where calls are served: it blocks.
    ///
    /// # Errors
    /// When the name is not free, there is no room, or it cannot be written; then nothing is set.
    pub fn add_key(&self, key: GatewayKey, budgets: Vec<Setting>) -> Result<(), KeyNotChanged> {
        let name = key.name.clone();
        let settings: Vec<Setting> = budgets.into_iter().chain([Setting::KeyAdded { key: Box::new(key) }]).collect();
        self.write_keys::<_, KeyNotChanged>(&settings, |acts| {
            let has_room = |setting: &Setting| match setting {
                Setting::Budget { of, .. } => acts.has_room_for(of),
                _ => true,
            };
            acts.keys().may_add(&name)?;
            if settings.iter().all(has_room) { Ok(()) } else { Err(KeyRefusal::TooManyBudgets.into()) }
        })?;
        // What the budgets could not learn of the past is logged; of a new key there is none.
        let _learnt = self.change_budgets(&settings);
        Ok(())
    }

    /// Revokes the key of a name, durably; gives the key it was, and when. When it returns, the key opens nothing. It
    /// blocks.
    ///
    /// # Errors
    /// When there is no such key, it holds no more, or it cannot be written; then nothing is set.
    pub fn revoke_key(&self, name: &str) -> Result<(GatewayKey, Timestamp), KeyNotChanged> {
        let revoked = self.inner.clock.now().at;
        let setting = Setting::KeyRevoked { name: name.to_owned(), revoked };
        self.write_keys(&[setting], |acts| Ok((acts.keys().to_revoke(name)?.clone(), revoked)))
    }

    /// Writes settings; keys among them are in force when this returns.
    pub(super) fn write(&self, settings: &[Setting]) -> Result<(), LedgerError> {
        if !settings.iter().any(|setting| matches!(setting, Setting::KeyAdded { .. } | Setting::KeyRevoked { .. })) {
            return self.inner.ledger.set(settings, self.inner.clock.now().at);
        }
        self.write_keys(settings, |_| Ok(()))
    }

    /// Writes settings with keys among them, if what was set before is found fit for it.
    fn write_keys<T, E: From<LedgerError>>(
        &self,
        settings: &[Setting],
        check: impl FnOnce(&Settings) -> Result<T, E>,
    ) -> Result<T, E> {
        let _one_after_another = self.inner.changing_keys.lock().expect("nobody panics while holding it");
        let checked = check(&self.inner.ledger.acts().settings)?;
        self.inner.ledger.set(settings, self.inner.clock.now().at)?;
        let keys = self.inner.ledger.acts().settings.keys();
        *self.inner.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(checked)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::laws::{Moving, answered, call, rule, start, start_with};
    use super::super::{Call, Clock, Durability, Refused};
    use super::*;
    use crate::limits::{FULLEST_SHOWN, Facet, LimitKind, Pick, Rule, Scope};
    use crate::settings::{BudgetChange, BudgetKey};
    use crate::usage::SubjectId;

    fn hash(name: &str) -> SubjectId {
        SubjectId::of(b"pepper", "gateway-key", name)
    }

    fn key(name: &str) -> GatewayKey {
        GatewayKey::example(name)
    }

    #[test]
    fn a_key_is_in_force_at_once_and_after_a_start_and_a_revoked_one_in_neither() {
        let folder = TempDir::new().expect("a temporary folder");
        let clock: Arc<dyn Clock> = Arc::new(Moving::default());
        let (metering, _) = start(folder.path(), Durability::Kill, &clock);
        let before = metering.keys();
        metering.add_key(key("web"), Vec::new()).expect("added");
        metering.add_key(key("ci"), Vec::new()).expect("added");
        assert!(before.iter().next().is_none(), "what was handed out does not change");
        assert_eq!(metering.keys().find(&hash("web")), Some(&key("web").into()));
        assert_eq!(metering.revoke_key("WEB").expect("revoked").0, key("web"));
        let refused = metering.revoke_key("web").expect_err("once only");
        assert!(matches!(refused, KeyNotChanged::Refused(KeyRefusal::Revoked { .. })), "{refused}");
        let again = metering.add_key(GatewayKey { hash: hash("new"), ..key("web") }, Vec::new());
        assert!(matches!(again, Err(KeyNotChanged::Refused(KeyRefusal::WasTaken { .. }))));
        let keys = metering.keys();
        assert_eq!([hash("web"), hash("ci"), hash("new")].map(|hash| keys.find(&hash).is_some()), [false, true, false]);
        metering.close(clock.now()).expect("closed");
        drop(metering);
        let (metering, _) = start(folder.path(), Durability::Kill, &clock);
        assert_eq!(metering.keys(), keys);
    }

    #[test]
    fn of_many_that_add_one_name_one_does() {
        let folder = TempDir::new().expect("a temporary folder");
        let clock: Arc<dyn Clock> = Arc::new(Moving::default());
        let (metering, _) = start(folder.path(), Durability::Kill, &clock);
        let added: Vec<bool> = std::thread::scope(|scope| {
            let add = |n: u32| metering.add_key(GatewayKey { hash: hash(&n.to_string()), ..key("ci") }, Vec::new());
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || add(n).is_ok())).collect();
            threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
        });
        let winner = added.iter().position(|added| *added).expect("one of them");
        assert_eq!(added.iter().filter(|added| **added).count(), 1);
        assert!(metering.keys().find(&hash(&winner.to_string())).is_some(), "and it is that one's key that opens");
        assert_eq!(metering.keys().iter().count(), 1);
    }

    #[tokio::test]
    async fn the_budget_of_a_key_holds_from_its_first_call() {
        let folder = TempDir::new().expect("a temporary folder");
        let clock: Arc<dyn Clock> = Arc::new(Moving::default());
        let (metering, _) = start(folder.path(), Durability::Kill, &clock);
        let of = BudgetKey { subject: "key:ci".to_owned(), limit: LimitKind::RequestsPerDay.to_string() };
        let change = BudgetChange::Set { amount: 1, since: None };
        metering.add_key(key("ci"), vec![Setting::Budget { of, change, by: None }]).expect("added");
        let with_key = |name: &str| Call { key: Some(name.to_owned().into()), ..call() };
        let first = metering.open(with_key("ci"), clock.now()).await.expect("there is one a day");
        first.finish(answered(), clock.now()).await;
        let second = metering.open(with_key("ci"), clock.now()).await;
        assert!(matches!(second, Err(Refused::Limit(refusal)) if refusal.limit == LimitKind::RequestsPerDay));
        assert!(metering.open(with_key("web"), clock.now()).await.is_ok());
        let shown = || metering.windows(clock.now()).iter().any(|window| window.label.get(Facet::Key) == Some("ci"));
        assert!(shown());
        metering.revoke_key("ci").expect("revoked");
        assert!(!shown(), "nothing counts there any more");
    }

    #[tokio::test]
    async fn revoked_keys_take_no_place_among_the_fullest() {
        let folder = TempDir::new().expect("a temporary folder");
        let clock: Arc<dyn Clock> = Arc::new(Moving::default());
        let each = Scope::everything().with(Facet::Key, Pick::Each);
        let each = Rule { scope: each, ..rule(10) };
        let (metering, _) = start_with(folder.path(), Durability::Kill, &clock, vec![each]);
        for n in 0..=FULLEST_SHOWN {
            let name = format!("key-{n}");
            metering.add_key(GatewayKey { hash: hash(&name), ..key(&name) }, Vec::new()).expect("added");
            for _ in 0..=n {
                let call = Call { key: Some(name.clone().into()), ..call() };
                metering.open(call, clock.now()).await.expect("admitted").finish(answered(), clock.now()).await;
            }
        }
        (1..=FULLEST_SHOWN).for_each(|n| drop(metering.revoke_key(&format!("key-{n}")).expect("revoked")));
        let windows = metering.windows(clock.now());
        let shown: Vec<_> = windows.iter().map(|window| (window.label.get(Facet::Key), window.used)).collect();
        assert_eq!(shown, [(Some("key-0"), 1)]);
    }
}
