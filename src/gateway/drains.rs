//! Answers whose clients have gone: read on to their usage, within bounds, or cut.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::upstream::Upstream;
use crate::metering::End;
use crate::usage::ErrorKind;

/// How much is done for a client that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainLimits {
    /// Answers at a time.
    pub count: usize,
    /// How long each is read on.
    pub time: Duration,
    /// How much of each is read on, in bytes.
    pub bytes: usize,
}

impl Default for DrainLimits {
    fn default() -> DrainLimits {
        DrainLimits { count: 64, time: Duration::from_secs(30), bytes: 8 << 20 }
    }
}

/// Takes over what clients leave behind. Cheap to clone.
#[derive(Clone)]
pub(super) struct Drains(Arc<All>);

struct All {
    seats: Arc<Semaphore>,
    limits: DrainLimits,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Drains {
    pub(super) fn new(limits: DrainLimits, tasks: TaskTracker) -> Drains {
        let seats = Arc::new(Semaphore::new(limits.count.min(Semaphore::MAX_PERMITS)));
        Drains(Arc::new(All { seats, limits, tasks, stopping: CancellationToken::new() }))
    }

    /// From now on everything is cut, what is being read as well.
    pub(super) fn stop(&self) {
        self.0.stopping.cancel();
    }

    /// Takes over a call whose client is gone. What would cost nobody money is cut, so that the machine it runs on is
    /// free again; of the rest the provider bills all anyway, and only the end of its answer tells how much.
    pub(super) fn take_over(&self, call: Upstream) {
        let is_billed = call.meter().is_some_and(|meter| meter.tells_usage() && !meter.is_local());
        let worth_it = is_billed && !self.0.limits.time.is_zero() && !self.0.stopping.is_cancelled();
        let seat = Arc::clone(&self.0.seats).try_acquire_owned().ok().filter(|_| worth_it);
        match (seat, tokio::runtime::Handle::try_current()) {
            (Some(seat), Ok(runtime)) => {
                let drains = self.clone();
                self.0.tasks.spawn_on(async move { drains.read_on(call, seat).await }, &runtime);
            }
            _ => self.cut(call),
        }
    }

    async fn read_on(&self, mut call: Upstream, _seat: OwnedSemaphorePermit) {
        let failed = tokio::select! {
            biased;
            () = self.0.stopping.cancelled() => None,
            read = tokio::time::timeout(self.0.limits.time, call.read_on(self.0.limits.bytes)) => read.ok().flatten(),
        };
        // Where the answer came to its end its usage is the provider's own; the call was left all the same.
        if let Some(recording) = call.record(failed.map_or(End::Left(self.why()), End::Failed)) {
            let _receipt = recording.await;
        }
    }

    /// Records what is known. The record is written at once; nobody waits for the disk.
    fn cut(&self, call: Upstream) {
        call.cut(End::Left(self.why()));
    }

    /// Why a call is left: its client went, or we did.
    fn why(&self) -> ErrorKind {
        if self.0.stopping.is_cancelled() { ErrorKind::Shutdown } else { ErrorKind::ClientGone }
    }
}
