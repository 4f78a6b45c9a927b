//! What a crowd costs: a million users, a hundred thousand model names and as many features thrown at one day, then
//! the day is sealed. Fails if memory passes 150 MiB, if a total or a sealed row is not exact, or if a restart differs.
//!
//! `cargo bench --bench crowd [-- USERS]`. The ledger runs in a process of its own, so that what it holds can be read
//! off the system; this process compares what is in the folder with what was thrown.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench measures time and prints it")]

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tallybot::ledger::{Durability, Folder, KnownNames, Ledger, Options, UsersBy};
use tallybot::stats::{MAX_LIVE_USERS, Period, Picture, UserSums, Who};
use tallybot::usage::{Money, RecordId, SubjectId, Timestamp, UsageRecord};

const USERS: usize = 1_000_000;
/// Of models, and of features.
const NAMES: usize = 100_000;
const MAX_MIB: f64 = 150.0;

/// As often as the program does.
const SNAPSHOT_RECORDS: usize = 50_000;

const CHILD: &str = "--in-the-crowd";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [CHILD, folder, users] = &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return throw(Path::new(folder), users.parse().expect("a number"));
    }
    let users = arguments.iter().find_map(|word| word.parse().ok()).unwrap_or(USERS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let myself = std::env::current_exe().expect("this program has a path");
    let status = Command::new(myself).arg(CHILD).arg(folder.path()).arg(users.to_string()).status();
    assert!(status.expect("this program starts").success(), "the crowd was too much");
    compare(folder.path(), users);
}

fn start() -> Timestamp {
    Timestamp::parse("2026-11-22T00:00:01.000000-06:00").expect("a time")
}

fn tomorrow() -> Timestamp {
    start().plus_micros(86_400_000_000)
}

/// Everybody comes once, every fifth twice.
fn count(users: usize) -> usize {
    users + users / 5
}

fn user(n: usize) -> SubjectId {
    SubjectId::of(b"crowd", "api", &n.to_string())
}

fn record(n: usize, users: usize) -> UsageRecord<'static> {
    let at = start().plus_micros((n as i64) * 86_000_000_000 / count(users) as i64);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    let model = format!("model-{}", n.wrapping_mul(7919) % NAMES);
    let mut record = UsageRecord::new(RecordId::new(at, random), at, "cloud".into(), model.into());
    record.feature = Some(format!("feature-{}", n.wrapping_mul(104_729) % NAMES).into());
    record.channel = "api".into();
    record.user = Some(user(n % users));
    (record.tokens.prompt, record.tokens.completion) = (100 + n as u64 % 900, n as u64 % 500);
    record.latency_ms = Some(200 + n as u64 % 5_000);
    record.first_token_ms = Some(90 + n as u64 % 400);
    record.cost = Some(Money::from_pico_usd(n as i128 * 7));
    record.price_id = Some("cloud/model".into());
    record
}

/// The process that holds the ledger.
fn throw(folder: &Path, users: usize) {
    let open = |now: Timestamp| {
        let options = Options { durability: Durability::Kill, known: KnownNames::none(), follower: Box::new(()) };
        Ledger::open(folder, options, RecordId::new(start(), [1; 10]).0, now).expect("the folder opens").0
    };
    let ledger = open(start());
    say("empty");
    let began = Instant::now();
    for n in 0..count(users) {
        let record = record(n, users);
        ledger.append(&record, record.timestamp).expect("appended");
        if n % SNAPSHOT_RECORDS == 0 {
            ledger.snapshot(record.timestamp).expect("written");
        }
    }
    println!("{:.1} s for {} records with their snapshots", began.elapsed().as_secs_f64(), count(users));
    say("thrown");
    check_live(&ledger, users);
    say("asked for the first ten users");
    drop(ledger);
    let ledger = open(start().plus_micros(86_390_000_000));
    wait_until(|| ledger.users().is_complete());
    say("restarted, the day's users read again (the peak is that of both)");
    check_live(&ledger, users);
    // The day is over.
    let mut last = record(0, users);
    (last.id, last.timestamp, last.user) = (RecordId::new(tomorrow(), [9; 10]), tomorrow(), None);
    ledger.append(&last, tomorrow()).expect("appended");
    ledger.snapshot(tomorrow()).expect("written");
    let began = Instant::now();
    ledger.seal().expect("sealed");
    println!("{:.1} s until the day was sealed", began.elapsed().as_secs_f64());
    say("sealed");
    ledger.close(tomorrow()).expect("closed");
    assert!(peak_mib() < MAX_MIB, "more than {MAX_MIB} MiB");
}

fn check_live(ledger: &Ledger, users: usize) {
    let today = start().day();
    let answer = ledger.users().top(Period::All, today, 10, UsersBy::Tokens).expect("readable");
    println!("users told apart live: {}, records of others: {}", answer.users, answer.others.records);
    assert!(answer.users as usize <= MAX_LIVE_USERS.min(users));
    assert_eq!(answer.users as usize, MAX_LIVE_USERS.min(users));
    check_total(&answer.total, &ledger.picture(), users);
}

/// Rows sum to the total, and the total is what was thrown.
fn check_total(total: &UserSums, picture: &Picture, users: usize) {
    let all = picture.all_time().total(|_| true);
    assert_eq!((total.records, total.prompt, total.completion), (all.records, all.prompt, all.completion));
    assert_eq!(total.cost, all.cost);
    let thrown = (0..count(users)).map(|n| 100 + n as i128 % 900).sum::<i128>();
    let extra = total.records - count(users) as i64;
    assert_eq!(total.prompt, thrown + i128::from(extra) * 100);
    let by_model = picture.all_time().group_by(|key| (key.model, key.feature));
    assert_eq!(by_model.values().map(|sums| sums.records).sum::<i64>(), total.records);
}

/// What is in the folder, row by row.
fn compare(folder: &Path, users: usize) {
    let mut expected: HashMap<SubjectId, UserSums> = HashMap::new();
    for n in 0..count(users) {
        expected.entry(user(n % users)).or_default().merge(&UserSums::of(&record(n, users)));
    }
    let reading = Folder::new(folder).read(&mut (), tomorrow()).expect("readable");
    let folded = Folder::new(folder).users(&reading.picture).expect("readable");
    let mut total = UserSums::default();
    folded
        .for_each_user(Period::All, tomorrow().day(), |who, sums| {
            total.merge(sums);
            match who {
                Who::User(user) => assert_eq!(expected.remove(&user).as_ref(), Some(sums), "exact for {user}"),
                who => assert_eq!((who, sums.records), (Who::Absent, 1)),
            }
        })
        .expect("readable");
    assert!(expected.is_empty(), "{} users are missing", expected.len());
    check_total(&total, &reading.picture, users);
    let size = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |file| file.len() >> 20);
    println!(
        "every one of {users} users exact in the fold; journal {} MiB, fold {} MiB, snapshot {} MiB",
        size("tokens_2026-11-22.jsonl"),
        size("derived/tokens_2026-11-22.fold"),
        size("metrics.json")
    );
}

fn wait_until(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(300), "it never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn say(what: &str) {
    println!("{what}: {:.1} MiB, at most {:.1}", mib_of("VmRSS"), peak_mib());
}

fn peak_mib() -> f64 {
    mib_of("VmHWM")
}

fn mib_of(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says it");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux says it");
    let kib: f64 = line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().expect("a number");
    kib / 1024.0
}
