//! SQLite at its best: one connection, write-ahead log, `synchronous = FULL`, one transaction for whatever is queued.
//!
//! It only keeps the line: no statistics, no index, no names to admit.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tallybot::usage::write_record;
use tokio::sync::oneshot;

use super::calls;
use super::writers::{self, Sample};

/// Lines in one transaction at most.
const MAX_BATCH: usize = 4_096;

/// A line that waits for its commit.
type Queued = (Vec<u8>, oneshot::Sender<()>);

/// Threads that wait for their commit.
pub fn by_threads(place: &Path, time: Duration, writers: usize) -> Sample {
    let folder = tempfile::tempdir_in(place).expect("a temporary folder");
    let calls = calls();
    committing(folder.path(), |queue| {
        writers::threads(writers, time, 0, |n| {
            let (line, done) = (line_of(&calls, n), oneshot::channel());
            queue.send((line, done.0)).expect("the committing thread is there");
            done.1.blocking_recv().expect("committed");
        })
    })
}

/// Tasks that wait for their commit.
pub fn by_tasks(place: &Path, time: Duration, writers: usize) -> Sample {
    let folder = tempfile::tempdir_in(place).expect("a temporary folder");
    let calls = Arc::new(calls());
    committing(folder.path(), |queue| {
        let queue = queue.clone();
        writers::tasks(writers, time, move |n| {
            let (line, done) = (line_of(&calls, n), oneshot::channel());
            queue.send((line, done.0)).expect("the committing thread is there");
            async { done.1.await.expect("committed") }
        })
    })
}

fn line_of(calls: &super::measure::Calls, n: usize) -> Vec<u8> {
    let mut line = Vec::with_capacity(640);
    write_record(&calls.record(n), &mut line);
    line
}

/// Runs writers beside the thread that commits what they queue.
fn committing(folder: &Path, writers: impl FnOnce(&mpsc::Sender<Queued>) -> Sample) -> Sample {
    let connection = Connection::open(folder.join("usage.sqlite")).expect("a new file");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE usage (seq INTEGER PRIMARY KEY, line TEXT NOT NULL);",
        )
        .expect("a new table");
    let (queue, queued) = mpsc::channel();
    let committer = thread::spawn(move || commit_all(&connection, &queued));
    let sample = writers(&queue);
    drop(queue);
    committer.join().expect("the committing thread does not panic");
    sample
}

/// Commits what is queued as long as anybody may queue anything.
fn commit_all(connection: &Connection, queued: &mpsc::Receiver<Queued>) {
    let mut insert = connection.prepare("INSERT INTO usage (line) VALUES (?1)").expect("prepared");
    while let Ok(first) = queued.recv() {
        connection.execute_batch("BEGIN").expect("begun");
        let mut waiters = Vec::new();
        for (line, waiter) in std::iter::once(first).chain(queued.try_iter()).take(MAX_BATCH) {
            insert.execute([std::str::from_utf8(&line).expect("JSON")]).expect("inserted");
            waiters.push(waiter);
        }
        connection.execute_batch("COMMIT").expect("committed");
        waiters.into_iter().for_each(|waiter| waiter.send(()).expect("somebody waits"));
    }
}
