//! Those who wait until their record is as durable as configured. Apart from the journal's lock: to ask, to wait and to
//! be woken keeps nobody from writing.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use tokio::runtime::{self, Handle, RuntimeFlavor};
use tokio::sync::oneshot::{self, error::RecvError};

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
    by_place: HashMap<Place, Group>,
    /// Nothing more will come.
    over: bool,
}

/// Where somebody waits. To wake a thread, or a runtime that has but one, takes a call to the system, and the disk could
/// have the next sync to do meanwhile: so one or two are woken from outside, and they wake the others. Should one be woken
/// and not go on, the next call of [`Waiting::wake`] wakes another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    /// Tasks of a runtime of one thread.
    Runtime(runtime::Id),
    /// Tasks of runtimes of many threads, which share them out among these.
    Tasks,
    /// Threads of their own.
    Threads,
}

/// Those who wait in one place.
#[derive(Default)]
struct Group {
    /// Each with the count that it waits for, in no order.
    waiting: Vec<(u64, oneshot::Sender<()>)>,
    /// Those who wait for nothing any more, and whom somebody is about to wake.
    ready: VecDeque<oneshot::Sender<()>>,
}

/// Comes after somebody who waited, whether woken or not: dropped, it wakes the next ones that are ready.
struct Next<'a> {
    place: Place,
    waiting: &'a Waiting,
}

/// So many places are kept though nobody waits there.
const PLACES: usize = 64;

/// How many threads one wakes.
const THREADS_WOKEN_BY_ONE: usize = 2;

impl Place {
    fn here() -> Place {
        match Handle::try_current() {
            Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::CurrentThread => Place::Runtime(runtime.id()),
            Ok(_) => Place::Tasks,
            Err(_) => Place::Threads,
        }
    }

    /// How many are woken in this place by somebody in another one.
    fn woken_from(self, other: Place) -> usize {
        match self {
            Place::Threads => THREADS_WOKEN_BY_ONE,
            Place::Runtime(_) if self != other => 1,
            Place::Runtime(_) | Place::Tasks => usize::MAX,
        }
    }
}

impl Waiting {
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Waits in a task until so many are done; an error when nothing more will come.
    pub(super) async fn wait(&self, accepted: u64) -> Result<(), RecvError> {
        let Some((woken, _next)) = self.waiter(accepted, Place::here) else { return Ok(()) };
        woken.await
    }

    /// Waits in this thread until so many are done; an error when nothing more will come.
    pub(super) fn wait_blocking(&self, accepted: u64) -> Result<(), RecvError> {
        let Some((woken, _next)) = self.waiter(accepted, || Place::Threads) else { return Ok(()) };
        woken.blocking_recv()
    }

    /// What to wait on until so many are done, to be dropped in this order; `None` when they are.
    fn waiter(&self, accepted: u64, place: impl FnOnce() -> Place) -> Option<(oneshot::Receiver<()>, Next<'_>)> {
        if self.done() >= accepted {
            return None;
        }
        let (sender, woken) = oneshot::channel();
        let place = place();
        let mut waiters = self.waiters();
        // Asked again under the lock: whoever is in the list before `wake` takes it is woken.
        if self.done() >= accepted {
            return None;
        }
        if !waiters.over {
            waiters.by_place.entry(place).or_default().waiting.push((accepted, sender));
        }
        Some((woken, Next { place, waiting: self }))
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
        if waiters.by_place.len() > PLACES {
            waiters.by_place.retain(|_, here| !here.waiting.is_empty() || !here.ready.is_empty());
        }
        let mut places = Vec::new();
        for (place, here) in &mut waiters.by_place {
            here.ready.extend(here.waiting.extract_if(.., |(accepted, _)| *accepted <= done).map(|(_, waiter)| waiter));
            if !here.ready.is_empty() {
                places.push(*place);
            }
        }
        drop(waiters);
        if !places.is_empty() {
            let here = Place::here();
            places.into_iter().for_each(|place| self.wake_at(place, place.woken_from(here)));
        }
    }

    /// Wakes so many of those who are ready. Who does not wait any more does not count.
    fn wake_at(&self, place: Place, most: usize) {
        let mut left = most;
        while left > 0 {
            let mut waiters = self.waiters();
            let Some(ready) = waiters.by_place.get_mut(&place).map(|here| &mut here.ready) else { return };
            let next: Vec<_> = ready.drain(..left.min(ready.len())).collect();
            drop(waiters);
            if next.is_empty() {
                return;
            }
            left -= next.into_iter().filter_map(|waiter| waiter.send(()).ok()).count();
        }
    }

    /// Lets go of those who wait for what will not come, now and later.
    pub(super) fn abandon(&self) {
        let mut waiters = self.waiters();
        waiters.over = true;
        for here in waiters.by_place.values_mut() {
            here.waiting.clear();
        }
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().expect("nobody panics while holding it")
    }
}

impl Drop for Next<'_> {
    fn drop(&mut self) {
        self.waiting.wake_at(self.place, self.place.woken_from(self.place));
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn whoever_waits_is_woken_by_what_it_waits_for_in_any_order() {
        let waiting = Waiting::default();
        let waiter = |accepted| waiting.waiter(accepted, Place::here);
        waiting.reached(3, 2);
        assert!(waiter(2).is_none());
        let (mut four, _next) = waiter(4).expect("not done");
        let (mut three, _next) = waiter(3).expect("not done");
        waiting.reached(3, 3);
        waiting.reached(1, 1);
        waiting.wake();
        assert_eq!((waiting.written(), waiting.done(), three.try_recv()), (3, 3, Ok(())));
        assert_eq!(four.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        waiting.abandon();
        assert_eq!(four.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        let nine = waiter(9).map(|(mut nine, _next)| nine.try_recv());
        assert_eq!(nine, Some(Err(oneshot::error::TryRecvError::Closed)));
    }

    #[test]
    fn threads_that_are_ready_wake_each_other_and_those_whose_record_is_lost_are_let_go() {
        let waiting = Waiting::default();
        let ended = std::thread::scope(|scope| {
            let wait = |accepted| {
                scope.spawn({
                    let waiting = &waiting;
                    move || waiting.wait_blocking(accepted)
                })
            };
            let threads: Vec<_> = (1..=20).map(wait).collect();
            while waiting.waiters().by_place.get(&Place::Threads).is_none_or(|here| here.waiting.len() < 20) {
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

    type Wait<'a> = Pin<Box<dyn Future<Output = Result<(), RecvError>> + 'a>>;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Dropped {
        Never,
        /// It is woken, and not polled either.
        NorPolled,
        BeforeItIsWoken,
        BeforeItIsPolled,
    }

    #[test]
    fn of_the_tasks_of_a_runtime_one_is_woken_and_wakes_the_others_even_if_it_is_dropped_instead() {
        for dropped in [Dropped::Never, Dropped::NorPolled, Dropped::BeforeItIsWoken, Dropped::BeforeItIsPolled] {
            let waiting = Waiting::default();
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let poll = |tasks: &mut [Wait<'_>]| {
                let (_inside, mut cx) = (runtime.enter(), Context::from_waker(Waker::noop()));
                tasks.iter_mut().map(|task| task.as_mut().poll(&mut cx)).collect::<Vec<_>>()
            };
            let mut tasks: Vec<Wait<'_>> = Vec::new();
            (1..=4).for_each(|accepted| tasks.push(Box::pin(waiting.wait(accepted))));
            assert!(poll(&mut tasks).iter().all(Poll::is_pending));
            if dropped == Dropped::BeforeItIsWoken {
                drop(tasks.remove(0));
            }
            waiting.reached(3, 3);
            waiting.wake();
            let ready: usize = waiting.waiters().by_place.values().map(|here| here.ready.len()).sum();
            assert_eq!(ready, tasks.len() - 2, "one was woken from outside, one does not wait for this");
            if dropped == Dropped::BeforeItIsPolled {
                drop(tasks.remove(0));
            }
            let from = usize::from(dropped == Dropped::NorPolled);
            if from == 1 {
                assert!(poll(&mut tasks[1..]).iter().all(Poll::is_pending), "they were to be woken by the first");
                waiting.wake();
            }
            let mut ended = poll(&mut tasks[from..]);
            assert_eq!(ended.pop(), Some(Poll::Pending));
            assert!(ended.iter().all(|ended| *ended == Poll::Ready(Ok(()))), "{dropped:?}: {ended:?}");
        }
    }
}
