//! The alerts that wait for one place: bounded, the oldest goes when there are too many.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::failure::DeliveryError;
use super::parcel::Parcel;

/// So many alerts may wait for one place.
pub const MAX_WAITING: usize = 64;

/// An alert that waits, and who wants to know how it went.
pub(super) struct Job {
    pub(super) parcel: Parcel,
    pub(super) done: oneshot::Sender<Result<(), DeliveryError>>,
}

/// The alerts that wait for one place.
#[derive(Default)]
pub(super) struct Queue {
    jobs: Mutex<Jobs>,
    ready: Notify,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    is_closed: bool,
}

impl Queue {
    /// Puts an alert at the end; gives the one that had to go for it.
    pub(super) fn push(&self, job: Job) -> Option<Job> {
        let mut jobs = self.jobs();
        if jobs.is_closed {
            drop(jobs);
            let _nobody_asked = job.done.send(Err(DeliveryError::Stopped));
            return None;
        }
        let oldest = if jobs.waiting.len() == MAX_WAITING { jobs.waiting.pop_front() } else { None };
        jobs.waiting.push_back(job);
        drop(jobs);
        self.ready.notify_one();
        oldest
    }

    /// The next alert, when there is one. Only one may wait for it.
    pub(super) async fn next(&self) -> Job {
        loop {
            if let Some(job) = self.jobs().waiting.pop_front() {
                return job;
            }
            self.ready.notified().await;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.jobs().waiting.len()
    }

    /// Takes nothing more, and gives what waits.
    pub(super) fn close(&self) -> VecDeque<Job> {
        let mut jobs = self.jobs();
        jobs.is_closed = true;
        std::mem::take(&mut jobs.waiting)
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
