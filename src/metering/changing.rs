//! What is set while calls are made: durable first, then in force at the gate.

use crate::ledger::LedgerError;
use crate::limits::Rule;
use crate::settings::{BudgetActs, BudgetKey, Setting};

use super::Metering;

impl Metering {
    /// Sets something, durably. Waits for the disk; a budget that counts what nothing counted before also reads the books
    /// of its window. When it returns, what was set is in force. Not to be called where calls are served: it blocks.
    ///
    /// # Errors
    /// When it cannot be written; then it is not set. When the books of a new budget cannot be read: then it is set and
    /// in force, and until the next start it knows only what could be read.
    pub fn set(&self, settings: &[Setting]) -> Result<(), LedgerError> {
        self.write(settings)?;
        self.change_budgets(settings)
    }

    /// Brings what was written of budgets into force at the gate, and nothing else: it need not wait for whoever reads
    /// the books.
    pub(super) fn change_budgets(&self, settings: &[Setting]) -> Result<(), LedgerError> {
        if !settings.iter().any(|setting| matches!(setting, Setting::Budget { .. })) {
            return Ok(());
        }
        let _one_after_another = self.inner.changing.lock().expect("nobody panics while holding it");
        let set = self.inner.ledger.acts().settings;
        let budgets = settings.iter().filter_map(|setting| match setting {
            Setting::Budget { of, .. } => Some((of, set.budget(of)?)),
            _ => None,
        });
        let changed: Vec<Result<(), LedgerError>> = budgets.map(|(of, acts)| self.change(of, acts)).collect();
        self.serve_line(self.inner.clock.now());
        changed.into_iter().collect()
    }

    fn change(&self, of: &BudgetKey, acts: &BudgetActs) -> Result<(), LedgerError> {
        let new = self.gate().change(of, acts);
        let learnt = new.map_or(Ok(()), |rule| self.learn(&rule));
        if let Err(error) = &learnt {
            tracing::error!(%error, limit = of.limit, "a budget does not know all that was used before it was set");
        }
        self.gate().change(of, acts);
        learnt
    }

    /// Makes a rule that knows what was used before it. The cut between the records it counts as they come and those
    /// that are read lies under the journal's lock: each is on one side of it.
    fn learn(&self, rule: &Rule) -> Result<(), LedgerError> {
        let clock = &self.inner.clock;
        let begin = || {
            let learning = self.gate().learn(rule.clone(), clock.now());
            (learning.since(clock.now()), learning)
        };
        let (learning, read) = self.inner.ledger.read_so_far(begin, |learning, record| {
            learning.apply(record, clock.now());
        });
        self.gate().learnt(learning, clock.now());
        read
    }
}
