//! What Linux says of processes: their processor time, their memory, and the processors they may use.

use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// Ticks of `/proc` in a second.
pub const TICKS_PER_SEC: f64 = 100.0;

/// The processors of a target at one connection, of the load and the model beside it, and of everybody else.
pub const ITS_OWN: &[usize] = &[1];
pub const OF_THE_REST: &[usize] = &[0];
pub const ALL: &[usize] = &[];

/// Restricts a process, its threads and its children to some processors; empty means all of them.
pub fn pin(id: u32, processors: &[usize]) {
    let mut set = CpuSet::new();
    let all: Vec<usize> = (0..processors_here()).collect();
    for &processor in if processors.is_empty() { &all[..] } else { processors } {
        set.set(processor % all.len());
    }
    for process in family(id) {
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        for thread in threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
            // A thread that is gone needs no processor.
            let _gone = sched_setaffinity(Pid::from_raw(thread), &set);
        }
    }
}

/// A process and all its descendants.
fn family(id: u32) -> Vec<u32> {
    let mut members = vec![id];
    let mut at = 0;
    while let Some(member) = members.get(at) {
        let threads = std::fs::read_dir(format!("/proc/{member}/task")).into_iter().flatten().flatten();
        let children = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        let children: String = children.collect();
        members.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        at += 1;
    }
    members
}

/// The ticks that a process and its descendants have spent, in user and system mode.
pub fn ticks(id: u32) -> u64 {
    let of = |id: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name, in brackets, may have spaces; user and system time are the 12th and 13th field behind it.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut field = || fields.next()?.parse::<u64>().ok();
        Some(field()? + field()?)
    };
    family(id).into_iter().filter_map(of).sum()
}

/// What a process and its descendants hold in memory, in MiB.
pub fn memory_mib(id: u32) -> f64 {
    let of = |id: u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim_end_matches("kB").trim().parse::<f64>().ok()
    };
    family(id).into_iter().filter_map(of).sum::<f64>() / 1024.0
}

/// The ticks that all processors together were busy, and those that the machine below took away.
pub fn busy_ticks() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> =
        stat.lines().next().into_iter().flat_map(|line| line.split(' ')).flat_map(str::parse).collect();
    let [user, nice, system, _idle, _waiting, interrupts, soft, stolen, ..] = fields[..] else { return (0, 0) };
    (user + nice + system + interrupts + soft, stolen)
}

/// The share of all processors that was busy for a while from now on.
pub fn busy_share(time: Duration) -> f64 {
    let before = busy_ticks().0;
    std::thread::sleep(time);
    (busy_ticks().0 - before) as f64 / (TICKS_PER_SEC * time.as_secs_f64() * processors_here() as f64)
}

/// How many processors there are.
pub fn processors_here() -> usize {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let named = |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| !rest.starts_with(' '));
    stat.lines().filter(named).count().max(1)
}
