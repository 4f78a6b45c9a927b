//! Row C6: a process that runs out of open files goes on serving whom it serves, and recovers by itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::real::{checked, tool};
use super::{Confirmed, DEMO, eventually};
use crate::running::{Home, Running};

/// A connection that is kept, and answers over it.
struct Kept(TcpStream);

impl Kept {
    fn to(service: &Running) -> Kept {
        let stream = TcpStream::connect(("127.0.0.1", service.port())).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("an option of the socket");
        Kept(stream)
    }

    /// Posts a record; the head of the answer.
    fn post(&mut self, id: &str) -> String {
        let body = format!("{{\"id\":\"{id}\",\"model\":\"m\",\"prompt_tokens\":1,\"completion_tokens\":0}}");
        let head = "POST /v1/usage HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json";
        write!(self.0, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("sent");
        let mut answer = [0; 4096];
        let read = self.0.read(&mut answer).expect("answered");
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }
}

fn open_files(service: &Running) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", service.pid())).expect("our child").count()
}

#[test]
fn c6_out_of_descriptors_the_kept_connections_and_the_journal_go_on_and_accepting_resumes() {
    let (home, mut confirmed) = (Home::new(DEMO), Confirmed::default());
    let service = home.serve();
    confirmed.must(&service);
    let mut kept = Kept::to(&service);
    assert!(kept.post("k1").starts_with("HTTP/1.1 200"));
    let pid = service.pid().to_string();
    let none_left = format!("--nofile={}:", open_files(&service));
    if checked("c6", tool("prlimit", &["--pid", &pid, &none_left])).is_none() {
        return;
    }
    let waiting: Vec<Kept> = (0..8).map(|_| Kept::to(&service)).collect();
    assert!(kept.post("k2").starts_with("HTTP/1.1 200"), "the journal's file is open");
    drop(waiting);
    tool("prlimit", &["--pid", &pid, "--nofile=1024:"]).expect("as before");
    confirmed.must(&service);
    assert_eq!(service.stop().code(), Some(0));
    confirmed.ids.extend(["k1".to_owned(), "k2".to_owned()]);
    confirmed.asked += 2;
    assert_eq!(confirmed.check(&home), 4);
}

#[test]
fn c6_connections_never_take_the_last_descriptors_from_the_books() {
    let (home, mut confirmed) = (Home::new(DEMO), Confirmed::default());
    if checked("c6", tool("prlimit", &["--nofile=96:96", "true"])).is_none() {
        return;
    }
    let service = home.serve_under(&["prlimit", "--nofile=96:96"]);
    confirmed.must(&service);
    let crowd: Vec<Kept> = (0..200).map(|_| Kept::to(&service)).collect();
    eventually("as many as may be are open", || open_files(&service) > 48);
    assert!(open_files(&service) <= 80, "{} of 96 are taken", open_files(&service));
    drop(crowd);
    confirmed.must(&service);
    assert_eq!(service.stop().code(), Some(0));
    assert_eq!(confirmed.check(&home), 2);
}
