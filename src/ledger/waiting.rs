//! Those who wait until their record is as durable as configured. Apart from the journal's lock: to ask, to wait and to
//! be woken keeps nobody from writing.

use std::collections::VecDeque;
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
    tasks: Vec<(u64, oneshot::Sender<()>)>,
    threads: Vec<(u64, oneshot::Sender<()>)>,
    /// Threads that wait for nothing any more, and that somebody is about to wake.
    ready: VecDeque<oneshot::Sender<()>>,
    /// Nothing more will come.
    over: bool,
}

/// How many threads one wakes. To wake one costs more than to write a record: those who are woken wake the next ones,
/// while the disk has the next sync to do already.
const WOKEN_BY_ONE: usize = 2;

impl Waiting {
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// What a task is to wait on until so many are done; `None` when they are.
    pub(super) fn waiter(&self, accepted: u64) -> Option<oneshot::Receiver<()>> {
        self.waiter_in(accepted, |waiters| &mut waiters.tasks)
    }

    /// Waits in this thread until so many are done; an error when nothing more will come.
    pub(super) fn wait(&self, accepted: u64) -> Result<(), oneshot::error::RecvError> {
        let Some(waiter) = self.waiter_in(accepted, |waiters| &mut waiters.threads) else { return Ok(()) };
        waiter.blocking_recv()?;
        self.wake_next(self.waiters());
        Ok(())
    }

    fn waiter_in(
        &self,
        accepted: u64,
        list: impl FnOnce(&mut Waiters) -> &mut Vec<(u64, oneshot::Sender<()>)>,
    ) -> Option<oneshot::Receiver<()>> {
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
            list(&mut waiters).push((accepted, sender));
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
        let Waiters { tasks, threads, ready, .. } = &mut *waiters;
        let woken: Vec<_> = tasks.extract_if(.., |(accepted, _)| *accepted <= done).collect();
        ready.extend(threads.extract_if(.., |(accepted, _)| *accepted <= done).map(|(_, waiter)| waiter));
        self.wake_next(waiters);
        for (_, waiter) in woken {
            let _ = waiter.send(()); // whoever stopped waiting does not mind
        }
    }

    /// Wakes the first threads that are ready. A thread cannot stop waiting: each that is woken comes by here.
    fn wake_next(&self, mut waiters: MutexGuard<'_, Waiters>) {
        let next = [(); WOKEN_BY_ONE].map(|()| waiters.ready.pop_front());
        drop(waiters);
        for waiter in next.into_iter().flatten() {
            let _ = waiter.send(());
        }
    }

    /// Lets go of those who wait for what will not come, now and later.
    pub(super) fn abandon(&self) {
        let mut waiters = self.waiters();
        waiters.over = true;
        waiters.tasks.clear();
        waiters.threads.clear();
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

    #[test]
    fn threads_that_are_ready_wake_each_other_and_those_whose_record_is_lost_are_let_go() {
        let waiting = Waiting::default();
        let ended = std::thread::scope(|scope| {
            let wait = |accepted| {
                scope.spawn({
                    let waiting = &waiting;
                    move || waiting.wait(accepted)
                })
            };
            let threads: Vec<_> = (1..=20).map(wait).collect();
            while waiting.waiters().threads.len() < threads.len() {
                std::thread::yield_now();
            }
            waiting.reached(15, 15);
            waiting.wake();
            // All of the fifteen come back though only some were woken from here, and before the others are let go.
            let mut threads = threads.into_iter();
            let mut ended: Vec<_> = threads.by_ref().take(15).map(|thread| thread.join().expect("no panic")).collect();
            waiting.abandon();
            ended.extend(threads.map(|thread| thread.join().expect("no panic")));
            ended
        });
        assert!(ended[..15].iter().all(Result::is_ok) && ended[15..].iter().all(Result::is_err), "{ended:?}");
    }
}
