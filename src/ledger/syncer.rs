//! The thread that makes written lines durable, and tries again what the disk did not take.

use std::fs::File;
use std::io;
use std::sync::{Arc, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::journal::{MAX_UNSYNCED, Shared, State};
use crate::config::Durability;

/// How long written lines may stay unsynced in kill mode.
const KILL_MODE_SYNC: Duration = Duration::from_secs(1);

/// How soon the disk is tried again after it refused; the wait doubles with each refusal, up to [`MAX_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(100);
const MAX_RETRY: Duration = Duration::from_secs(2);

pub(super) fn start(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("ledger-sync".into()).spawn(move || run(&shared))
}

fn run(shared: &Shared) {
    let mut state = shared.state();
    let mut wait = FIRST_RETRY;
    let mut last_tries = 3;
    loop {
        state = wait_for_work(shared, state, wait);
        if state.trouble.is_some() || !state.queue.is_empty() {
            retry(&mut state);
            state.wake(shared.durability);
            wait = if state.trouble.is_some() { (wait * 2).min(MAX_RETRY) } else { FIRST_RETRY };
        }
        if state.written > state.synced && state.trouble.is_none() {
            state = sync(shared, state);
        }
        let all_done = state.written == state.synced && state.queue.is_empty();
        if state.closed && !all_done {
            last_tries -= 1;
        }
        if state.closed && (all_done || last_tries == 0) {
            state.abandon_waiters();
            shared.synced.notify_all();
            return;
        }
    }
}

/// Waits until there is something to sync, something to try again, or the end.
fn wait_for_work<'a>(shared: &'a Shared, mut state: MutexGuard<'a, State>, retry: Duration) -> MutexGuard<'a, State> {
    let wait = |state, timeout| {
        let (state, _) = shared.work.wait_timeout(state, timeout).expect("nothing under the journal's lock panics");
        state
    };
    while !state.closed && state.queue.is_empty() && state.trouble.is_none() && state.written == state.synced {
        state = shared.work.wait(state).expect("nothing under the journal's lock panics");
    }
    if state.closed {
        return state;
    }
    if state.trouble.is_some() {
        return wait(state, retry);
    }
    let is_due = state.sync_now || !state.queue.is_empty() || state.unsynced.len() > MAX_UNSYNCED / 16;
    if shared.durability == Durability::Power || is_due { state } else { wait(state, KILL_MODE_SYNC) }
}

/// Tries again what the disk refused: lines whose sync failed, then the queue.
fn retry(state: &mut State) {
    if state.suspect {
        if state.write_again().is_err() {
            return; // the reason is in `trouble`, for everybody to see
        }
        state.suspect = false;
    }
    if state.probe().is_ok() {
        let _ = state.drain_queue(); // likewise
    }
}

/// Syncs everything written so far, without the lock. A failed sync is never repeated on the same file.
fn sync<'a>(shared: &'a Shared, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    let covered = state.written;
    state.sync_now = false;
    let mut files: Vec<Arc<File>> = std::mem::take(&mut state.closing);
    files.extend(state.file.as_ref().map(|open| Arc::clone(&open.file)));
    let State { syncing, unsynced, .. } = &mut *state;
    std::mem::swap(syncing, unsynced);
    drop(state);
    let result = files.iter().try_for_each(|file| file.sync_data());
    let mut state = shared.state();
    #[cfg(test)]
    let result = if std::mem::take(&mut state.fail_next_sync) { Err(io::Error::other("a test")) } else { result };
    match result {
        Ok(()) => {
            state.syncing.clear();
            state.synced = covered;
            state.wake(shared.durability);
        }
        Err(error) => {
            tracing::error!(error = %error, "the ledger could not be synced; its last lines are written again to a new file");
            state.trouble = Some(error.to_string());
            state.suspect = true;
        }
    }
    shared.synced.notify_all();
    state
}
