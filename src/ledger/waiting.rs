//! Those who wait until their record is as durable as configured. Apart from the journal's lock: to ask, to wait and to
//! be woken keeps nobody from writing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::oneshot;

/// How far the journal is, and who waits for more.
#[derive(Default)]
pub(super) struct Waiting {
    /// How many of the accepted records are written. Only grows, as does `done`.
    written: AtomicU64,
    /// How many of the accepted records are as durable as configured.
    done: AtomicU64,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    /// Each with the count that it waits for, in no order.
    list: Vec<(u64, oneshot::Sender<()>)>,
    /// Nothing more will come.
    over: bool,
}

impl Waiting {
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// What to wait on until so many are done; `None` when they are.
    pub(super) fn waiter(&self, accepted: u64) -> Option<oneshot::Receiver<()>> {
        if self.done() >= accepted {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        let mut waiters = self.waiters();
        // Asked again under the lock: whoever is in the list before `wake` takes it is woken.
        if self.done() >= accepted {
            return None;
        }
        if !waiters.over {
            waiters.list.push((accepted, sender));
        }
        Some(receiver)
    }

    /// Notes how many are written, and how many are done.
    pub(super) fn reached(&self, written: u64, done: u64) {
        self.written.fetch_max(written, Ordering::Release);
        self.done.fetch_max(done, Ordering::Release);
    }

    /// Wakes those whose record is done. Best without the journal's lock, which is what they want next.
    pub(super) fn wake(&self) {
        let mut waiters = self.waiters();
        let done = self.done();
        let woken: Vec<_> = waiters.list.extract_if(.., |(accepted, _)| *accepted <= done).collect();
        drop(waiters);
        for (_, waiter) in woken {
            let _ = waiter.send(()); // whoever stopped waiting does not mind
        }
    }

    /// Lets go of those who wait for what will not come, now and later.
    pub(super) fn abandon(&self) {
        let mut waiters = self.waiters();
        waiters.over = true;
        waiters.list.clear();
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().expect("nobody panics while holding it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_woken_by_what_it_waits_for_in_any_order() {
        let waiting = Waiting::default();
        waiting.reached(3, 2);
        assert!(waiting.waiter(2).is_none());
        let mut four = waiting.waiter(4).expect("not done");
        let mut three = waiting.waiter(3).expect("not done");
        waiting.reached(3, 3);
        waiting.reached(1, 1);
        waiting.wake();
        assert_eq!((waiting.written(), waiting.done(), three.try_recv()), (3, 3, Ok(())));
        assert_eq!(four.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        waiting.abandon();
        assert_eq!(four.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(waiting.waiter(9).map(|mut nine| nine.try_recv()), Some(Err(oneshot::error::TryRecvError::Closed)));
    }
}
