//! The goodbye: requests in flight end, idle connections close, and nobody holds the end up.

use super::*;

#[tokio::test]
async fn a_request_in_flight_is_answered_and_nothing_new_is_accepted() {
    let mut server = Server::start(Mood::Held).await;
    let mut client = server.connect().await;
    let head = format!("GET /stats HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    client.write_all(head.as_bytes()).await.expect("connected");
    server.script.entered.notified().await;
    drop(server.stop.take());
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.script.release.notify_one();
    let answer = Answer::of(&read_to_end(&mut client).await);
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    drop(client);
    assert_eq!(server.finish().await, Drained { cut: 0 });
}

#[tokio::test]
async fn idle_connections_close_at_once() {
    let server = Server::start(Mood::Good).await;
    let mut idle = server.connect().await;
    let head = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    idle.write_all(head.as_bytes()).await.expect("connected");
    let mut answer = [0; 15];
    idle.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(server.finish().await, Drained { cut: 0 });
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let limits = Limits { grace: Duration::from_millis(30), ..short_limits() };
    let server = Server::start_with(Mood::Held, limits, false).await;
    let mut client = server.connect().await;
    let head = format!("GET /stats HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    client.write_all(head.as_bytes()).await.expect("connected");
    server.script.entered.notified().await;
    assert_eq!(server.finish().await, Drained { cut: 1 });
    assert_eq!(read_to_end(&mut client).await, "");
}
