//! The threads that serve connections. A connection stays with the thread that it was given to, and so do the calls that
//! are made for it and the connections of these to providers: nothing is handed from one thread to another on its way.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Threads with a runtime each. Dropped, they end, and with them every task that still runs there.
pub struct Workers(Vec<Worker>);

struct Worker {
    runtime: Handle,
    /// Held by each of its connections as well.
    seats: Arc<()>,
    thread: Option<Thread>,
}

struct Thread {
    /// Dropped, it lets the thread end.
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Workers {
    /// Starts one for each processor that this process may use.
    ///
    /// # Errors
    /// When the system gives no thread, or no runtime can be made.
    pub fn start() -> io::Result<Workers> {
        Workers::of(thread::available_parallelism().map_or(1, usize::from))
    }

    fn of(count: usize) -> io::Result<Workers> {
        (1..=count).map(Worker::start).collect::<io::Result<_>>().map(Workers)
    }

    /// No thread more: connections are served by the runtime that calls this.
    pub fn here() -> Workers {
        Workers(vec![Worker { runtime: Handle::current(), seats: Arc::default(), thread: None }])
    }

    /// Begins to serve a connection where the fewest are.
    pub(super) fn serve<F>(
        &self,
        connections: &mut JoinSet<()>,
        stream: TcpStream,
        serve: impl FnOnce(tokio::net::TcpStream) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        // One whose thread ended is left aside while there is another.
        let worker = self.0.iter().min_by_key(|worker| (worker.is_over(), Arc::strong_count(&worker.seats)));
        let worker = worker.expect("there is at least one");
        let seat = Arc::clone(&worker.seats);
        let connection = async move {
            match tokio::net::TcpStream::from_std(stream) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(%error, "a connection could not be served"),
            }
            drop(seat);
        };
        connections.spawn_on(connection, &worker.runtime);
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Worker> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name(format!("serve-{number}")).spawn(move || {
            runtime.block_on(until(stopped));
            runtime.shutdown_background();
        })?;
        Ok(Worker { runtime: handle, seats: Arc::default(), thread: Some(Thread { stop, thread }) })
    }

    fn is_over(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| thread.thread.is_finished())
    }
}

/// Waits for the end. A timer that rings each second goes along: a runtime that sleeps for longer is woken, by a call to
/// the system, for each timer that is to ring before it wakes, and every connection sets one behind every answer.
async fn until(mut stopped: oneshot::Receiver<()>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _dropped = &mut stopped => return,
            _ = seconds.tick() => {}
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(Thread { stop, thread }) = self.thread.take() {
            drop(stop);
            if thread.join().is_err() {
                tracing::error!("a thread that served connections ended in a panic");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::SocketAddr;

    use axum::body::Body;
    use http::Request;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::body::RequestBody;
    use super::super::server::{Handler, Limits, Response, run};
    use super::*;

    /// Answers with the name of the thread it is asked on.
    #[derive(Clone)]
    struct WhoServes;

    impl Handler for WhoServes {
        async fn handle(&self, _: Request<RequestBody>, _: SocketAddr) -> Response {
            tokio::task::yield_now().await;
            Response::new(Body::from(thread::current().name().unwrap_or("?").to_owned()))
        }
    }

    async fn ask(connection: &mut tokio::net::TcpStream) -> String {
        connection.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.expect("sent");
        let mut answer = [0; 1024];
        let length = connection.read(&mut answer).await.expect("answered");
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn connections_are_spread_over_the_threads_and_each_stays_with_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let workers = Workers::of(3).expect("threads");
            run(listener, WhoServes, Limits::default(), &workers, std::future::pending()).await
        });
        let (mut connections, mut served) = (Vec::new(), HashMap::<String, u32>::new());
        for _ in 0..9 {
            let mut connection = tokio::net::TcpStream::connect(address).await.expect("the server listens");
            let first = ask(&mut connection).await;
            *served.entry(first.clone()).or_default() += 1;
            connections.push((connection, first));
        }
        assert_eq!(served, HashMap::from(["serve-1", "serve-2", "serve-3"].map(|name| (name.to_owned(), 3))));
        for (connection, first) in &mut connections {
            assert_eq!(ask(connection).await, *first);
        }
    }

    #[tokio::test]
    async fn with_the_threads_everything_ends_that_runs_there() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let _client = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        let (stream, _) = listener.accept().expect("accepted");
        stream.set_nonblocking(true).expect("an option of the socket");
        let ((held, mut dropped), (begins, begun)) = (oneshot::channel::<()>(), oneshot::channel());
        let (workers, mut connections) = (Workers::of(1).expect("a thread"), JoinSet::new());
        workers.serve(&mut connections, stream, |stream| async move {
            let _held = (held, stream);
            begins.send(()).expect("somebody waits");
            std::future::pending().await
        });
        begun.await.expect("it is served");
        assert_eq!(dropped.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        drop(workers);
        assert_eq!(dropped.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert!(connections.join_next().await.expect("one").is_err());
    }
}
