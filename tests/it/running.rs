//! The built program in a folder of its own: started, asked, stopped; what it said and wrote is there to look at.
//!
//! Everything here blocks and waits for conditions; a process that is still there at the end is killed.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

/// Longer than anything takes on a loaded machine; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// A home folder: `inputs/` is what a person wrote, `run/` is where the program runs, with `data/` and `tmp/` in it.
pub struct Home {
    folder: TempDir,
    env: Vec<(String, String)>,
}

impl Home {
    /// A home with this configuration.
    pub fn new(config: &str) -> Home {
        let home = Home { folder: tempfile::tempdir().expect("a temporary folder"), env: Vec::new() };
        for folder in ["inputs", "run", "run/tmp"] {
            let path = home.path(folder);
            std::fs::create_dir(&path).expect("a new folder");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("ours");
        }
        home.configure(config);
        home
    }

    /// Replaces the configuration.
    pub fn configure(&self, config: &str) {
        self.input("tallybot.toml", config);
    }

    /// Sets a variable for every process from now on.
    pub fn with_env(mut self, name: &str, value: &str) -> Home {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file that only its owner can read, and gives its path.
    pub fn input(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path("inputs").join(name);
        let mut file = std::fs::OpenOptions::new();
        let mut file = file.write(true).create(true).truncate(true).mode(0o600).open(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("run/data")
    }

    /// Waits until a file of the books is there and not empty.
    pub fn wait_for(&self, name: &str) {
        let path = self.data().join(name);
        let is_there = || std::fs::metadata(&path).is_ok_and(|file| file.len() > 0);
        assert!(until(is_there), "`{name}` never came");
    }

    /// Every file below `run/`, with its content. One that a running service takes away meanwhile is left out.
    pub fn written(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        walk(&self.path("run"), &mut |path| {
            if path.is_file() {
                match std::fs::read(path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    content => files.push((path.to_owned(), content.expect("ours to read"))),
                }
            }
        });
        files
    }

    /// The lines of the journal, all days, as JSON.
    pub fn records(&self) -> Vec<serde_json::Value> {
        let journals = self.written().into_iter().filter(|(path, _)| is_journal(path));
        let lines =
            journals.flat_map(|(_, bytes)| bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>());
        lines.filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(&line).expect("a whole line")).collect()
    }

    /// How many records the journal holds; `None` while one is being written.
    pub fn records_if_whole(&self) -> Option<usize> {
        let mut content = Vec::new();
        for journal in crate::test_app::journal_files(&self.data()) {
            content.extend(std::fs::read(journal).expect("ours to read"));
        }
        (content.last() == Some(&b'\n')).then(|| content.iter().filter(|byte| **byte == b'\n').count())
    }

    /// A command in this home; nothing of the surroundings' environment. Its umask takes nothing away.
    fn command(&self, arguments: &[&str]) -> Command {
        self.command_under(&[], arguments)
    }

    /// A command run by another one, such as a tracer.
    fn command_under(&self, runner: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "umask 000; exec \"$@\"", "sh"]).args(runner).arg(env!("CARGO_BIN_EXE_tallybot"));
        command.args(arguments).current_dir(self.path("run")).env_clear();
        command.env("TMPDIR", self.path("run/tmp")).env("HOME", self.path("run")).env("TZ", "UTC");
        if !arguments.contains(&"--config") {
            command.arg("--config").arg(self.path("inputs/tallybot.toml"));
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a command.
    pub fn start(&self, arguments: &[&str]) -> Running {
        self.start_under(&[], arguments)
    }

    /// Starts a command under another one.
    pub fn start_under(&self, runner: &[&str], arguments: &[&str]) -> Running {
        let mut child = self.command_under(runner, arguments).spawn().expect("the program was built");
        let stdout = collect(child.stdout.take().expect("piped"));
        let (stderr, lines) = collect_lines(child.stderr.take().expect("piped"));
        Running {
            child,
            stdout: Some(stdout),
            stderr: Some(stderr),
            lines: Mutex::new(lines),
            seen: VecDeque::new(),
            port: 0,
        }
    }

    /// Runs a command to its end, with this text on its standard input.
    pub fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let mut running = self.start(arguments);
        running.say(input);
        running.wait()
    }

    /// Runs a command whose standard output nobody reads.
    pub fn run_unheard(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = self.command(arguments).spawn().expect("the program was built");
        drop(child.stdout.take());
        let (stderr, lines) = collect_lines(child.stderr.take().expect("piped"));
        let mut running = Running {
            child,
            stdout: None,
            stderr: Some(stderr),
            lines: Mutex::new(lines),
            seen: VecDeque::new(),
            port: 0,
        };
        running.say(input);
        running.wait()
    }

    /// Starts the service and waits until it listens.
    pub fn serve(&self) -> Running {
        self.serve_under(&[])
    }

    /// Starts the service on a port when nobody takes what it says: each word is an error for it.
    pub fn serve_unheard(&self, port: u16) -> Running {
        let mut child = self.command(&["serve"]).spawn().expect("the program was built");
        drop((child.stdout.take(), child.stderr.take()));
        Running { child, stdout: None, stderr: None, lines: Mutex::new(channel().1), seen: VecDeque::new(), port }
    }

    /// Starts the service under another command.
    pub fn serve_under(&self, runner: &[&str]) -> Running {
        let mut running = self.start_under(runner, &["serve"]);
        let line = running.line_with("listening on http://");
        let port = line.rsplit(':').next().and_then(|port| port.trim().parse().ok());
        running.port = port.expect("the line ends with the port");
        running
    }
}

/// A started process. Killed when dropped.
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    /// Shared with threads that ask while another waits.
    lines: Mutex<Receiver<String>>,
    seen: VecDeque<String>,
    port: u16,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Gives text on the standard input, and ends it.
    pub fn say(&mut self, input: &str) {
        let mut stdin = self.child.stdin.take().expect("said only once");
        // A process that does not read its input is no failure of ours.
        let _ = stdin.write_all(input.as_bytes());
    }

    /// Waits for a line on standard error that holds a text.
    pub fn line_with(&mut self, text: &str) -> String {
        loop {
            match self.heard() {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => self.seen.push_back(line),
                Err(_) => panic!("no line with `{text}` on standard error, only {:?}", self.seen),
            }
        }
    }

    fn heard(&mut self) -> Result<String, RecvTimeoutError> {
        self.lines.get_mut().expect("no reader panics").recv_timeout(PATIENCE)
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("/bin/sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status();
        assert!(sent.expect("a shell").success());
    }

    /// SIGTERM, then the end.
    pub fn stop(self) -> Ended {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Ended {
        drop(self.child.stdin.take());
        // Standard error ends when the process does: `recv` waits for it without polling.
        while self.heard().is_ok() {}
        let joined = |stream: Option<JoinHandle<Vec<u8>>>| {
            String::from_utf8(stream.map_or_else(Vec::new, |thread| thread.join().expect("a reader does not panic")))
                .expect("our output is text")
        };
        let err = joined(self.stderr.take());
        let status = self.child.wait().expect("our child");
        Ended { out: joined(self.stdout.take()), err, status }
    }

    /// One exchange over a connection of its own: `head` is the request line and headers, a line each.
    pub fn ask(&self, head: &str, body: &str) -> Answer {
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let mut request = format!("{line} HTTP/1.1\r\n");
        if !headers.to_ascii_lowercase().contains("host:") {
            request += &format!("Host: 127.0.0.1:{}\r\n", self.port);
        }
        for header in headers.lines() {
            request += &format!("{header}\r\n");
        }
        if !body.is_empty() {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        self.raw(format!("{request}Connection: close\r\n\r\n{body}").as_bytes())
    }

    /// Posts JSON.
    pub fn post(&self, path: &str, token: &str, body: &str) -> Answer {
        self.ask(&format!("POST {path}\nContent-Type: application/json\nAuthorization: Bearer {token}"), body)
    }

    /// Sends bytes and reads until the end of the connection.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        self.try_raw(bytes).expect("the service answers")
    }

    /// As [`raw`](Running::raw), when the service may be gone.
    pub fn try_raw(&self, bytes: &[u8]) -> std::io::Result<Answer> {
        exchange(self.port, bytes)
    }
}

/// Sends bytes to a port and reads until the end of the connection.
pub fn exchange(port: u16, bytes: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        read?;
    }
    Ok(Answer { bytes: answer })
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process left.
#[derive(Debug)]
pub struct Ended {
    pub out: String,
    pub err: String,
    status: ExitStatus,
}

impl Ended {
    /// The exit code; a signal is none.
    pub fn code(&self) -> Option<i32> {
        assert_eq!(self.status.signal(), None, "ended by a signal: {self:?}");
        self.status.code()
    }
}

/// An HTTP answer, head and body.
#[derive(Clone)]
pub struct Answer {
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn status(&self) -> u16 {
        self.text().split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    pub fn body(&self) -> String {
        self.text().split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let text = self.text();
        let head = text.split("\r\n\r\n").next()?;
        let mut headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body()).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The code of an error.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

/// Waits until something is so; `false` when it never is.
pub fn until(mut is_so: impl FnMut() -> bool) -> bool {
    (0..2_000).any(|_| {
        let so = is_so();
        if !so {
            std::thread::sleep(PATIENCE / 2_000);
        }
        so
    })
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("bound").port()
}

/// Whether a file is one of the journal's.
pub fn is_journal(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("tokens_") && name.ends_with(".jsonl")
}

/// Calls `look` for a path and, when it is a folder, for everything below, in the order of the names.
pub fn walk(path: &Path, look: &mut impl FnMut(&Path)) {
    look(path);
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("ours to read").map(|entry| entry.expect("an entry").path());
        let mut entries: Vec<PathBuf> = entries.collect();
        entries.sort_unstable();
        entries.iter().for_each(|entry| walk(entry, look));
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ended = stream.read_to_end(&mut bytes);
        bytes
    })
}

fn collect_lines(stream: impl Read + Send + 'static) -> (JoinHandle<Vec<u8>>, Receiver<String>) {
    let (sender, lines) = channel();
    let thread = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut stream = BufReader::new(stream);
        loop {
            let start = bytes.len();
            match stream.read_until(b'\n', &mut bytes) {
                Ok(0) | Err(_) => return bytes,
                // Whoever waited may have enough.
                Ok(_) => drop(sender.send(String::from_utf8_lossy(&bytes[start..]).into_owned())),
            }
        }
    });
    (thread, lines)
}
