//! The thread that makes written lines durable, and tries again what the disk did not take.

use std::io;
use std::sync::{Arc, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::disk::DiskFile;
use super::journal::{MAX_UNSYNCED, Shared};
use super::state::{Rest, State};
use crate::config::Durability;

/// How long written lines may stay unsynced in kill mode.
const KILL_MODE_SYNC: Duration = Duration::from_secs(1);

/// How soon the disk is tried again after it refused; the wait doubles with each refusal, up to [`MAX_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(100);
const MAX_RETRY: Duration = Duration::from_secs(2);

/// How often a disk that refuses is tried at the end.
const LAST_TRIES: u32 = 3;

pub(super) fn start(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("ledger-sync".into()).spawn(move || run(&shared))
}

fn run(shared: &Shared) {
    let mut wait = FIRST_RETRY;
    loop {
        let state = wait_for_work(shared, shared.state(), wait);
        let is_over = state.closed;
        drop(state);
        let lead = shared.lead();
        let state = match is_over {
            true => finish(shared, shared.state()),
            false => step(shared, shared.state()),
        };
        wait = if state.trouble.is_some() { (wait * 2).min(MAX_RETRY) } else { FIRST_RETRY };
        drop((state, lead));
        if is_over {
            return;
        }
    }
}

/// Waits until there is something to sync, something to try again, or the end.
fn wait_for_work<'a>(shared: &'a Shared, mut state: MutexGuard<'a, State>, retry: Duration) -> MutexGuard<'a, State> {
    let wait = |mut state: MutexGuard<'a, State>, timeout| {
        state.rest = Rest::UntilRound;
        let (mut state, _) = shared.work.wait_timeout(state, timeout).expect("nothing under the journal's lock panics");
        state.rest = Rest::Awake;
        state
    };
    let is_idle = |state: &State| state.trouble.is_none() && state.written == state.synced && shared.queue().is_empty();
    while !state.closed && is_idle(&state) {
        state.rest = Rest::UntilWork;
        state = shared.work.wait(state).expect("nothing under the journal's lock panics");
        state.rest = Rest::Awake;
    }
    if state.closed {
        return state;
    }
    if state.trouble.is_some() {
        return wait(state, retry);
    }
    let is_due = state.sync_now || state.unsynced.len() > MAX_UNSYNCED / 16;
    if shared.durability == Durability::Power || is_due { state } else { wait(state, KILL_MODE_SYNC) }
}

/// One round of work: writes what waits and tries again what the disk refused, then syncs what was written. One at a
/// time: whoever holds the lead.
pub(super) fn step<'a>(shared: &'a Shared, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    if state.trouble.is_some() {
        retry(shared, &mut state);
        state = wake(shared, state);
    } else {
        // What it fails with is in `trouble`, for everybody to see.
        let _ = shared.write_queue(&mut state);
        shared.note_progress(&state);
    }
    // That the disk takes no more is no reason to leave what it took unsynced.
    if state.written > state.synced && !state.suspect {
        state = sync(shared, state);
    }
    state
}

/// The last rounds, when the journal closes: those who still wait for what does not come are let go.
pub(super) fn finish<'a>(shared: &'a Shared, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    for _ in 0..LAST_TRIES {
        state = step(shared, state);
        if state.written == state.synced && shared.queue().is_empty() {
            break;
        }
    }
    shared.waiting.abandon();
    shared.synced.notify_all();
    state
}

/// Tries again what the disk refused: lines whose sync failed, then the queue.
fn retry(shared: &Shared, state: &mut State) {
    if state.suspect {
        if state.write_again().is_err() {
            return; // the reason is in `trouble`, for everybody to see
        }
        state.suspect = false;
    }
    if state.probe().is_ok() && shared.write_queue(state).is_ok() {
        state.trouble = None;
    }
}

/// Syncs everything written so far, without the lock. A failed sync is never repeated on the same file.
fn sync<'a>(shared: &'a Shared, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    let covered = state.written;
    state.sync_now = false;
    let mut files: Vec<Arc<dyn DiskFile>> = std::mem::take(&mut state.closing);
    files.extend(state.file.as_ref().map(|open| Arc::clone(&open.file)));
    let State { syncing, unsynced, .. } = &mut *state;
    std::mem::swap(syncing, unsynced);
    drop(state);
    let result = files.iter().try_for_each(|file| file.sync());
    let mut state = shared.state();
    let result = result.and_then(|()| state.check_untouched());
    #[cfg(test)]
    let result = if std::mem::take(&mut state.fail_next_sync) { Err(io::Error::other("a test")) } else { result };
    match result {
        Ok(()) => {
            state.note_synced();
            state.synced = covered;
        }
        Err(error) => {
            tracing::error!(error = %error, "the ledger could not be synced; its last lines are written again to a new file");
            state.trouble = Some(error.to_string());
            state.suspect = true;
        }
    }
    wake(shared, state)
}

/// Wakes those whose record is now durable, and those who wait for the sync itself. They find the lock free.
fn wake<'a>(shared: &'a Shared, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    shared.note_progress(&state);
    drop(state);
    shared.waiting.wake();
    shared.synced.notify_all();
    shared.state()
}
