//! Alerts, put together: once a second somebody looks, what is found is noted as firing, told everywhere, and noted as
//! fired. No call waits for any of it.

mod chats;
mod configured;
mod pressing;
mod seen;
mod told;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Desk;
use super::desk::probed;
use crate::alerts::{Due, Found, Outlet, Policy, Watch};
use crate::conversation::CancelToken;
use crate::ledger::LedgerError;
use crate::settings::{AlertState, Setting};
use seen::Seeing;
use told::{Queue, Telling};

#[cfg(feature = "telegram")]
pub(super) use chats::Chats;
pub(super) use configured::{deliver, policy_of};
pub use pressing::Pressing;

/// How often a provider that does not answer is asked whether it does.
const PROBE_SECS: u64 = 30;

/// At the end: how long what is being told may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Looks once a second until `stop`.
pub(super) async fn watch(desk: Arc<Desk>, outlets: Vec<Arc<dyn Outlet>>, policy: Policy, stop: CancelToken) {
    desk.metering.recent(|recent| recent.note_large(policy.large_prompt_tokens));
    let (confirm, confirmed) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    let queues = outlets.into_iter().map(|outlet| Queue::begin(outlet, &mut tasks)).collect();
    let watch = Watch::new(desk.metering.acts().lineage, policy.clone());
    let seeing = Seeing::new(policy.error_rate_minutes);
    let (open, done) = Default::default();
    let mut alerting = Alerting { desk, watch, seeing, queues, tasks, confirm, confirmed, open, done };
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // Whoever was down when the program ended may have come back since, and nobody called.
    let (now, settings) = (alerting.desk.clock.now().at, alerting.desk.metering.acts().settings);
    let names = alerting.desk.providers.iter().map(|provider| provider.name().to_owned());
    let down: Vec<String> = names.filter(|name| alerting.watch.is_down(name, &settings, now)).collect();
    alerting.ask(&down);
    loop {
        tokio::select! {
            _ = seconds.tick() => alerting.look().await,
            Some(id) = alerting.confirmed.recv() => {
                alerting.told(id);
                alerting.note_fired().await;
            }
            _ = stop.cancelled() => break,
        }
    }
    alerting.end().await;
}

/// Whoever looks, and what is on its way.
struct Alerting {
    desk: Arc<Desk>,
    watch: Watch,
    seeing: Seeing,
    queues: Vec<Queue>,
    /// The queues' workers, and questions to providers.
    tasks: JoinSet<()>,
    /// From the queues: what was told everywhere. Holds no more than what is open.
    confirm: mpsc::UnboundedSender<String>,
    confirmed: mpsc::UnboundedReceiver<String>,
    /// Noted as firing, and not yet told everywhere. What is not noted as firing is not noted as fired.
    open: BTreeSet<String>,
    /// Told everywhere, and not yet noted as fired.
    done: BTreeSet<String>,
}

impl Alerting {
    async fn look(&mut self) {
        while let Ok(id) = self.confirmed.try_recv() {
            self.told(id);
        }
        self.note_fired().await;
        let seen = self.seeing.see(&self.desk).await;
        self.probe(&seen.silent);
        let Found { due, settled } = self.watch.look(&seen.look());
        self.done.extend(settled);
        if due.is_empty() {
            return;
        }
        let (unwritten, written): (Vec<Due>, Vec<Due>) = due.into_iter().partition(|due| due.unwritten);
        self.tell(unwritten);
        match self.note_firing(&written).await {
            Ok(()) => self.tell(written),
            Err(error) => {
                tracing::debug!(error = %error, alerts = written.len(), "alerts cannot be noted, so they are told later");
                written.iter().for_each(|due| self.watch.give_back(&due.notice.id));
            }
        }
    }

    fn tell(&mut self, due: Vec<Due>) {
        for Due { notice, unwritten, .. } in due {
            told::log(&notice);
            self.desk.pressing.remember(&notice);
            if !unwritten {
                self.open.insert(notice.id.clone());
            }
            let telling = Telling::new(notice, self.queues.len(), self.confirm.clone());
            self.queues.iter().for_each(|queue| queue.push(&telling));
        }
    }

    async fn note_firing(&self, due: &[Due]) -> Result<(), LedgerError> {
        if due.is_empty() {
            return Ok(());
        }
        let mut settings = Vec::new();
        for Due { notice, with, .. } in due {
            settings.push(Setting::Alert { id: notice.id.clone(), state: AlertState::Firing });
            settings.extend(with.iter().map(|id| Setting::Alert { id: id.clone(), state: AlertState::Fired }));
        }
        self.write(settings).await
    }

    /// What was told everywhere is noted; what cannot be noted now is noted later.
    async fn note_fired(&mut self) {
        if self.done.is_empty() {
            return;
        }
        let fired = |id: &String| Setting::Alert { id: id.clone(), state: AlertState::Fired };
        match self.write(self.done.iter().map(fired).collect()).await {
            Ok(()) => self.done.clear(),
            Err(error) => tracing::debug!(error = %error, "that alerts were told cannot be noted yet"),
        }
    }

    /// Writes on a thread of its own: it waits for the disk.
    async fn write(&self, settings: Vec<Setting>) -> Result<(), LedgerError> {
        let metering = self.desk.metering.clone();
        spawn_blocking(move || metering.set(&settings)).await.map_err(|_| LedgerError::Closed)?
    }

    fn told(&mut self, id: String) {
        if self.open.remove(&id) {
            self.done.insert(id);
        }
    }

    /// Asks those who do not answer whether they do again: where nobody calls them, nobody else would notice.
    fn probe(&mut self, silent: &[String]) {
        while self.tasks.try_join_next().is_some() {}
        if self.desk.clock.now().tick.second().is_multiple_of(PROBE_SECS) {
            self.ask(silent);
        }
    }

    fn ask(&mut self, providers: &[String]) {
        for provider in providers {
            let (desk, name) = (Arc::clone(&self.desk), provider.clone());
            self.tasks.spawn(async move {
                let Some(provider) = desk.providers.iter().find(|provider| provider.name() == name) else { return };
                let failed = probed(provider).await.err().map(|failure| failure.kind);
                let now = desk.clock.now().at;
                desk.metering.recent(|recent| recent.heard(&name, failed, now));
            });
        }
    }

    /// What is being told may still be told; the rest is told again at the next start.
    async fn end(mut self) {
        let all_told = async {
            while !self.open.is_empty() {
                match self.confirmed.recv().await {
                    Some(id) => self.told(id),
                    None => return,
                }
            }
        };
        let _told_or_not = timeout(LAST_WORDS, all_told).await;
        self.note_fired().await;
        self.tasks.shutdown().await;
    }
}
