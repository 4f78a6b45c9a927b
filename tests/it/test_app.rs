//! The built binary as others run it: a folder, a `tallybot.toml`, a process, HTTP; and its folder read back.

#![allow(dead_code, reason = "every test uses a part of it")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use tallybot::ledger::{Folder, Reading};
use tallybot::usage::{Timestamp, UsageRecord, unseal_line};

/// How long a start, an answer or an end may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `tallybot serve`. Killed when dropped.
pub struct TestApp {
    process: Child,
    address: SocketAddr,
}

impl TestApp {
    /// Starts it with its books in `home/data`; `config` is what `tallybot.toml` says beside `[http]`.
    pub fn start(home: &Path, config: &str) -> TestApp {
        let mut process = command(home, &format!("{config}\n[http]\nlisten = \"127.0.0.1:0\"\n"))
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built binary starts");
        let stderr = process.stderr.take().expect("it was piped");
        let (said, hears) = mpsc::channel();
        // Reads on to the end, so that the process never waits for somebody to read.
        std::thread::spawn(move || BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|l| said.send(l)));
        let mut heard = Vec::new();
        let address = loop {
            let Ok(line) = hears.recv_timeout(PATIENCE) else { panic!("tallybot did not start: {heard:?}") };
            if let Some(address) = line.split_once("listening on http://").and_then(|(_, at)| at.trim().parse().ok()) {
                break address;
            }
            heard.push(line);
        };
        let app = TestApp { process, address };
        assert_eq!(app.get("/health").status, 200);
        app
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The answer to a `GET`.
    pub fn get(&self, path: &str) -> Answer {
        request(self.address, "GET", path, "").expect("tallybot answers")
    }

    /// The answer to a `POST` of JSON.
    pub fn post(&self, path: &str, body: &str) -> Answer {
        request(self.address, "POST", path, body).expect("tallybot answers")
    }

    /// Ends it as an owner does, and waits.
    pub fn stop(mut self) -> ExitStatus {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("our own child");
        self.process.wait().expect("our own child")
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}

/// `tallybot chat` on a pipe, to its end; gives what it printed.
pub fn chat(home: &Path, config: &str, lines: &str) -> String {
    let mut process = command(home, config)
        .arg("chat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the built binary starts");
    process.stdin.take().expect("it was piped").write_all(lines.as_bytes()).expect("it reads");
    let output = process.wait_with_output().expect("our own child");
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// The data folder of a home.
pub fn data_of(home: &Path) -> PathBuf {
    home.join("data")
}

fn command(home: &Path, config: &str) -> Command {
    let file = home.join("tallybot.toml");
    std::fs::write(&file, config).expect("a writable folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybot"));
    command.current_dir(home).arg("--config").arg(file).arg("--data-dir").arg(data_of(home));
    for name in ["TALLYBOT_READ_TOKEN", "TALLYBOT_ADMIN_TOKEN"] {
        command.env_remove(name);
    }
    command
}

/// An HTTP answer, complete to its last byte.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON answer")
    }
}

/// One request on a connection of its own. An answer that is cut anywhere is an error.
pub fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received)?;
    parse(&received).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn parse(received: &[u8]) -> Option<Answer> {
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    let body = received[end + 4..].to_vec();
    (body.len() == length).then_some(Answer { status, body })
}

/// The fold of a folder, as reading commands see it: from its snapshot, if it has one, and the lines behind it.
pub fn fold_of(data: &Path, now: Timestamp) -> Reading {
    Folder::new(data).read(&mut (), now).expect("a readable folder")
}

/// The journal's files, in order.
pub fn journal_files(data: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(data) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    let is_journal = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("tokens_") && name.ends_with(".jsonl")
    };
    files.retain(is_journal);
    files.sort();
    files
}

/// Every record of a folder, line by line, without the program's own replay. A torn last line is left out when
/// `may_be_torn`; anything else that is not a whole line fails the test.
pub fn records_of(data: &Path, may_be_torn: bool) -> Vec<UsageRecord<'static>> {
    let mut records = Vec::new();
    let mut last_seq = 0;
    let files = journal_files(data);
    for (n, path) in files.iter().enumerate() {
        let content = std::fs::read(path).expect("a readable file");
        let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
        for (at, line) in lines.iter().enumerate() {
            let is_last = n + 1 == files.len() && at + 1 == lines.len();
            if is_last && may_be_torn && !line.ends_with(b"\n") {
                continue;
            }
            let line = line.strip_suffix(b"\n").expect("a whole line");
            let sealed = unseal_line(line).unwrap_or_else(|error| panic!("line {} of {path:?}: {error}", at + 1));
            assert!(sealed.seq > last_seq, "line {} of {path:?}: {} after {last_seq}", at + 1, sealed.seq);
            last_seq = sealed.seq;
            let record: UsageRecord<'_> = serde_json::from_slice(line).expect("a record");
            records.push(record.into_owned());
        }
    }
    records
}
