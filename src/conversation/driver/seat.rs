//! The places in which answers are written: so many at once, over all channels. Who waits in line at a limit needs none.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One answer's place among those that are written at once. Cheap to clone; all clones are the same place.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    slots: Arc<Semaphore>,
    taken: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Seat {
    /// A place that is still to be taken.
    pub(super) fn among(slots: Arc<Semaphore>) -> Seat {
        Seat { slots, taken: Arc::default() }
    }

    /// Waits for a free place, unless it has one. `false` when there are none any more.
    pub(super) async fn take(&self) -> bool {
        if self.taken().is_some() {
            return true;
        }
        match Arc::clone(&self.slots).acquire_owned().await {
            Ok(permit) => self.taken().replace(permit).is_none(),
            Err(_closed) => false,
        }
    }

    /// Leaves it to others.
    pub(super) fn leave(&self) {
        self.taken().take();
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
