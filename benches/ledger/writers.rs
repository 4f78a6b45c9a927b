//! Writers at once, each waiting for its acknowledgement before it writes again.

use std::future::Future;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// What some writers reached.
pub struct Sample {
    /// Records acknowledged per second.
    pub rate: f64,
    /// From the call to its acknowledgement.
    pub p50_us: f64,
    pub p99_us: f64,
}

impl Sample {
    /// Of latencies in nanoseconds.
    fn of(mut nanos: Vec<u32>, elapsed: Duration) -> Sample {
        let rate = nanos.len() as f64 / elapsed.as_secs_f64();
        let mut percentile = |percent: usize| {
            let rank = (nanos.len() * percent / 100).min(nanos.len() - 1);
            f64::from(*nanos.select_nth_unstable(rank).1) / 1e3
        };
        Sample { rate, p50_us: percentile(50), p99_us: percentile(99) }
    }
}

/// One writer's turn: does something again and again until the time is over.
struct Turn {
    n: usize,
    step: usize,
    last: Instant,
    end: Instant,
    nanos: Vec<u32>,
}

impl Turn {
    fn new(writer: usize, writers: usize, from: usize, began: Instant, time: Duration) -> Turn {
        Turn { n: from + writer, step: writers, last: began, end: began + time, nanos: Vec::with_capacity(1 << 12) }
    }

    /// The number of the next call, until the time is over.
    fn next(&mut self) -> Option<usize> {
        let n = self.n;
        self.n += self.step;
        (self.last < self.end).then_some(n)
    }

    fn acknowledged(&mut self) {
        let now = Instant::now();
        self.nanos.push(u32::try_from((now - self.last).as_nanos()).unwrap_or(u32::MAX));
        self.last = now;
    }
}

/// Threads that call `write` with numbers from `from` on, each number once.
pub fn threads(writers: usize, time: Duration, from: usize, write: impl Fn(usize) + Sync) -> Sample {
    let began = Instant::now();
    let nanos = thread::scope(|scope| {
        let write = &write;
        let writers = (0..writers).map(|writer| {
            scope.spawn(move || {
                let mut turn = Turn::new(writer, writers, from, began, time);
                while let Some(n) = turn.next() {
                    write(n);
                    turn.acknowledged();
                }
                turn.nanos
            })
        });
        let writers: Vec<_> = writers.collect();
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer does not panic")).collect()
    });
    Sample::of(nanos, began.elapsed())
}

/// As [`threads`], by tasks on a runtime as a service has it.
pub fn tasks<W: Future<Output = ()> + Send + 'static>(
    writers: usize,
    time: Duration,
    write: impl Fn(usize) -> W + Send + Sync + 'static,
) -> Sample {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let write = Arc::new(write);
    let began = Instant::now();
    let nanos = runtime.block_on(async {
        let writers: Vec<_> = (0..writers)
            .map(|writer| {
                let write = Arc::clone(&write);
                tokio::spawn(async move {
                    let mut turn = Turn::new(writer, writers, 0, began, time);
                    while let Some(n) = turn.next() {
                        write(n).await;
                        turn.acknowledged();
                    }
                    turn.nanos
                })
            })
            .collect();
        let mut nanos = Vec::new();
        for writer in writers {
            nanos.append(&mut writer.await.expect("a writer does not panic"));
        }
        nanos
    });
    Sample::of(nanos, began.elapsed())
}
