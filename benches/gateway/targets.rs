//! Everything that is asked: the model itself, and what stands before it, each a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::answers::Ask;

pub const DIRECT: &str = "direct";
pub const PASS: &str = "pass";
pub const KILL: &str = "kill";
pub const POWER: &str = "power";
pub const PORTKEY: &str = "portkey";
pub const LITELLM: &str = "litellm";

/// All that there are, in the order of the tables. `kill` and `power` are tallybot with that durability.
pub const NAMES: [&str; 6] = [DIRECT, PASS, KILL, POWER, PORTKEY, LITELLM];

/// The variable with another build of the program, instead of the one that this bench was built with.
const TALLYBOT: &str = "TALLYBOT";

/// The variables with the commands of the peers.
const PORTKEY_COMMAND: &str = "PORTKEY";
const LITELLM_COMMAND: &str = "LITELLM";

/// Longer than anything takes to start, and how long something that listens may refuse.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_REFUSED: Duration = Duration::from_secs(3);

/// How long a process may take to end.
const PATIENCE_ENDING: Duration = Duration::from_secs(5);

const PATH: &str = "/v1/chat/completions";
const UPSTREAM_KEY: &str = "sk-of-the-bench-alone";

/// Something to be asked.
pub struct Target {
    pub name: &'static str,
    pub address: SocketAddr,
    pub path: String,
    pub headers: Vec<(String, String)>,
    /// What it held in memory after it had started and answered one question.
    pub idle_mib: f64,
    process: Process,
}

impl Target {
    fn new(name: &'static str, process: Process, address: SocketAddr) -> Target {
        let key = vec![("authorization".to_owned(), format!("Bearer {UPSTREAM_KEY}"))];
        Target { name, address, path: PATH.to_owned(), headers: key, idle_mib: 0.0, process }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it answers as it should; else says why it does not.
    fn ready(&self) -> Result<(), String> {
        let began = Instant::now();
        let mut refused_since = None;
        loop {
            let answer = self.ask_once().unwrap_or_default();
            if answer.starts_with("HTTP/1.1 200") {
                return Ok(());
            }
            let refused = !answer.is_empty();
            let since = *refused_since.get_or_insert_with(Instant::now);
            if began.elapsed() > PATIENCE || (refused && since.elapsed() > PATIENCE_REFUSED) {
                return Err(answer.lines().next().unwrap_or("it does not listen").to_owned());
            }
            if !refused {
                refused_since = None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ask_once(&self) -> std::io::Result<String> {
        let question = Ask::Json.question();
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "POST {} HTTP/1.1\r\nhost: {}\r\n{headers}connection: close\r\n", self.path, self.address)?;
        write!(stream, "content-type: application/json\r\ncontent-length: {}\r\n\r\n", question.len())?;
        stream.write_all(&question)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// The model.
pub fn mock() -> Target {
    let (process, address) = announced(&mut this_program(&["mock"]));
    Target::new(DIRECT, process, address)
}

/// Starts those that are meant and says which of them cannot be measured.
pub fn start(mock: &Target, home: &Path, is_meant: impl Fn(&str) -> bool) -> Vec<Target> {
    let started =
        NAMES.into_iter().filter(|name| is_meant(name)).filter_map(|name| match start_one(name, mock, home) {
            Ok(target) => Some(target),
            Err(why) => {
                println!("NOT MEASURED: {name}: {why}");
                None
            }
        });
    started.collect()
}

fn start_one(name: &'static str, mock: &Target, home: &Path) -> Result<Target, String> {
    let target = match name {
        DIRECT => Target::new(DIRECT, Process::Borrowed(mock.id()), mock.address),
        PASS => {
            let (process, address) = announced(&mut this_program(&["pass", &mock.address.to_string()]));
            Target::new(PASS, process, address)
        }
        KILL | POWER => tallybot(name, mock, home),
        PORTKEY => portkey(mock)?,
        _ => litellm(mock, home)?,
    };
    target.ready().map(|()| target)
}

/// tallybot on a new folder, with limits and budgets that every call counts in.
fn tallybot(durability: &'static str, mock: &Target, home: &Path) -> Target {
    let (home, address) = (home.join(durability), free_address());
    std::fs::create_dir(&home).expect("a new folder");
    let config = include_str!("tallybot.toml").replace("ADDRESS", &address.to_string());
    let config = config.replace("MOCK", &mock.address.to_string()).replace("DURABILITY", durability);
    std::fs::write(home.join("tallybot.toml"), config).expect("written");
    let program = || {
        let mut command = Command::new(std::env::var_os(TALLYBOT).unwrap_or(env!("CARGO_BIN_EXE_tallybot").into()));
        command.current_dir(&home).env("BENCH_KEY", UPSTREAM_KEY);
        command
    };
    let words = ["keys", "add", "bench", "--feature", "orders", "--budget", "1000000/day"];
    let made = program().args(words).output().expect("the program starts");
    let said = String::from_utf8_lossy(&made.stdout);
    let key = said.split_whitespace().find(|word| word.starts_with("tb-"));
    if key.is_none() {
        println!(
            "{durability}: without a key: {}",
            String::from_utf8_lossy(&made.stderr).lines().next().unwrap_or_default()
        );
    }
    let mut target = Target::new(durability, started(program().arg("serve")), address);
    target.path = format!("/gateway/cloud{PATH}");
    let headers =
        key.map(|key| ("authorization", format!("Bearer {key}"))).into_iter().chain([("x-user", "ana".to_owned())]);
    target.headers = headers.map(|(name, value)| (name.to_owned(), value)).collect();
    target
}

/// Portkey's gateway: where it is to ask stands in each call.
fn portkey(mock: &Target) -> Result<Target, String> {
    let address = free_address();
    let mut command = peer(PORTKEY_COMMAND)?;
    command.arg(format!("--port={}", address.port())).arg("--headless");
    let mut target = Target::new(PORTKEY, started(&mut command), address);
    target.headers.push(("x-portkey-provider".to_owned(), "openai".to_owned()));
    target.headers.push(("x-portkey-custom-host".to_owned(), format!("http://{}/v1", mock.address)));
    Ok(target)
}

/// LiteLLM's proxy with one worker.
fn litellm(mock: &Target, home: &Path) -> Result<Target, String> {
    let (address, config) = (free_address(), home.join("litellm.yaml"));
    let mut command = peer(LITELLM_COMMAND)?;
    let model = format!(
        "model_list:\n- model_name: gpt-4o-mini\n  litellm_params: {{model: openai/gpt-4o-mini, \
         api_base: \"http://{}/v1\", api_key: {UPSTREAM_KEY}}}\ngeneral_settings: {{master_key: {UPSTREAM_KEY}}}\n",
        mock.address
    );
    std::fs::write(&config, model).expect("written");
    command.arg("--config").arg(config).args(["--host", "127.0.0.1", "--num_workers", "1", "--telemetry", "False"]);
    command.arg("--port").arg(address.port().to_string()).current_dir(home);
    Ok(Target::new(LITELLM, started(&mut command), address))
}

/// The command that a variable holds.
fn peer(variable: &str) -> Result<Command, String> {
    let line = std::env::var(variable).map_err(|_| format!("{variable} holds no command"))?;
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().ok_or(format!("{variable} is empty"))?);
    command.args(words);
    Ok(command)
}

/// This program in another role.
pub fn this_program(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(words);
    command
}

/// Starts a role that prints where it listens.
fn announced(command: &mut Command) -> (Process, SocketAddr) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("this program starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("it prints its address");
    (Process::Own(child), line.trim().parse().expect("an address"))
}

fn started(command: &mut Command) -> Process {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Process::Own(command.spawn().expect("the program starts"))
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound listener")
}

/// A process, ended with its owner.
enum Process {
    Own(Child),
    Borrowed(u32),
}

impl Process {
    fn id(&self) -> u32 {
        match self {
            Process::Own(child) => child.id(),
            Process::Borrowed(id) => *id,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Process::Own(child) = self {
            // Whoever has ended already is as good. In the orderly way first: what counts its own steps writes them then.
            let _gone = kill_process(Pid::from_child(child), Signal::TERM);
            let asked = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && asked.elapsed() < PATIENCE_ENDING {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _gone = child.kill();
            let _status = child.wait();
        }
    }
}
