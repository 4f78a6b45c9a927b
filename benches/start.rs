//! How long `tallybot serve` takes from its start to the first 200 of `GET /health`, and what it holds in memory idle.
//!
//! `cargo bench --bench start [-- RECORDS]`. Starts the built program on folders of 0, a tenth of RECORDS and RECORDS
//! records (a million unless said), with and without limits, with and without a snapshot. The page cache is warm.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures time and prints it")]

mod measure;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use measure::{Spread, write_books};
use rustix::process::{Pid, Signal, kill_process};
use tallybot::app::SystemClock;
use tallybot::usage::{Clock, Zone};

/// Starts that are timed with a snapshot, and without.
const ROUNDS: usize = 15;
const ROUNDS_WITHOUT: usize = 3;

/// How long a process rests before its memory is looked at.
const REST: Duration = Duration::from_secs(5);

/// Longer than any start.
const PATIENCE: Duration = Duration::from_secs(60);

const DAY_MICROS: i64 = 86_400_000_000;

const DEMO: &str = "timezone = \"UTC\"\n[[providers]]\nname = \"cloud\"\nkind = \"demo\"\n";
const LIMITS: &str = "limits = { requests_per_day = 5000000, tokens_per_minute = 900000000 }\n\
    [[limits]]\nfor = { user = \"*\" }\nrequests_per_day = 1000000\n";

fn main() {
    let records = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    for (records, days) in [(0, 1), (records / 10, 30), (records, 30), (records, 1)] {
        let home = tempfile::tempdir().expect("a temporary folder");
        let bench = Bench { home: home.path().to_owned() };
        if records > 0 {
            let began = SystemClock::new(Zone::UTC).now().at.plus_micros(-days * DAY_MICROS);
            write_books(&bench.data(), records, began, days * DAY_MICROS / records as i64);
        }
        for (limits, config) in [("no limits", DEMO.to_owned()), ("limits", format!("{DEMO}{LIMITS}"))] {
            println!("{records} records of {days} day(s), {limits}");
            std::fs::write(bench.home.join("tallybot.toml"), config).expect("written");
            bench.measure(records);
        }
    }
}

/// A folder to start the program in.
struct Bench {
    home: PathBuf,
}

impl Bench {
    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Everything about the folder as it is configured now.
    fn measure(&self, records: usize) {
        self.forget_snapshots();
        let (first, _) = self.start();
        println!("  {}", first.check(records));
        first.stop();
        let starts: Vec<f64> = (0..ROUNDS).map(|_| self.start().1).collect();
        println!("  to ready, snapshot of {} KiB: {} ms", self.snapshot_kib(), Spread::of(&starts));
        let (idle, _) = self.start();
        std::thread::sleep(REST);
        println!("  idle: {}", idle.memory());
        drop(idle);
        let replays: Vec<f64> = (0..ROUNDS_WITHOUT).map(|_| self.start_without_snapshot()).collect();
        println!("  to ready without a snapshot: {} ms", Spread::of(&replays));
    }

    fn start_without_snapshot(&self) -> f64 {
        self.forget_snapshots();
        self.start().1
    }

    fn forget_snapshots(&self) {
        for name in ["metrics.json", "metrics.previous.json"] {
            // Not there is as good.
            let _gone = std::fs::remove_file(self.data().join(name));
        }
    }

    fn snapshot_kib(&self) -> u64 {
        std::fs::metadata(self.data().join("metrics.json")).map_or(0, |file| file.len() / 1024)
    }

    /// Starts the program and waits until it answers; gives how long that took, in milliseconds.
    fn start(&self) -> (Running, f64) {
        let address = free_address();
        let config = std::fs::read_to_string(self.home.join("tallybot.toml")).expect("written before");
        let own = self.home.join("this_start.toml");
        std::fs::write(&own, format!("{config}\n[http]\nlisten = \"{address}\"\n")).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallybot"));
        command.current_dir(&self.home).args(["serve", "--config"]).arg(own).arg("--data-dir").arg(self.data());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let running = Running { process: command.spawn().expect("the program starts"), address };
        while !running.get("/health").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(began.elapsed() < PATIENCE, "the program does not answer");
            std::thread::sleep(Duration::from_micros(200));
        }
        (running, began.elapsed().as_secs_f64() * 1e3)
    }
}

/// The program as it runs. Killed when dropped, so that it leaves the folder as it found it.
struct Running {
    process: Child,
    address: SocketAddr,
}

impl Running {
    fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// That every record counts; gives what is used of each limit.
    fn check(&self, records: usize) -> String {
        let answer = self.get("/stats").expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let stats: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(stats["requests"]["total"], records, "every record counts");
        let limits = stats["limits"].as_array().expect("a list");
        let used = limits.iter().map(|limit| format!(" {}: {}", limit["limit"], limit["used"]));
        format!("{records} requests counted; used of limits:{}", used.take(4).collect::<String>())
    }

    /// Ends it in the orderly way, with a snapshot.
    fn stop(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).expect("our own child");
        self.process.wait().expect("our own child");
    }

    fn memory(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let mib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux says it");
            let kib: f64 = line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().expect("a number");
            format!("{name} {:.1} MiB", kib / 1024.0)
        };
        ["VmRSS", "RssAnon", "RssFile", "VmHWM"].map(mib).join(", ")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After `stop` it is dead already.
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound listener")
}
