//! Slows down whoever guesses tokens: a bounded memory of failed attempts per address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use crate::usage::{Now, Tick};

/// So many failures within the window are let through; the next attempts wait.
const MAX_FAILURES: u32 = 10;

/// Failures are forgotten this long after the first of them.
const WINDOW_MILLIS: u64 = 60_000;

/// At most this many addresses are remembered; the one that began longest ago makes room.
const MAX_ADDRESSES: usize = 1_024;

/// Failed attempts per address. A network of IPv6 (/64) counts as one address.
#[derive(Debug, Default)]
pub struct Throttle {
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    since: Tick,
    count: u32,
}

impl Throttle {
    /// Whether an attempt from `address` may be looked at.
    ///
    /// # Errors
    /// After how many seconds it may come back.
    pub fn check(&self, address: IpAddr, now: Now) -> Result<(), u64> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = failures.get(&network(address)) else { return Ok(()) };
        let age = now.tick.millis_since(entry.since);
        if entry.count < MAX_FAILURES || age >= WINDOW_MILLIS {
            return Ok(());
        }
        Err((WINDOW_MILLIS - age).div_ceil(1_000))
    }

    /// Remembers a failed attempt.
    pub fn failed(&self, address: IpAddr, now: Now) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(address);
        if failures.len() >= MAX_ADDRESSES && !failures.contains_key(&address) {
            make_room(&mut failures, now.tick);
        }
        let entry = failures.entry(address).or_insert(Failures { since: now.tick, count: 0 });
        if now.tick.millis_since(entry.since) >= WINDOW_MILLIS {
            *entry = Failures { since: now.tick, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
    }
}

/// Drops what is over, or else the entry that began longest ago.
fn make_room(failures: &mut HashMap<IpAddr, Failures>, now: Tick) {
    failures.retain(|_, entry| now.millis_since(entry.since) < WINDOW_MILLIS);
    if failures.len() >= MAX_ADDRESSES
        && let Some(oldest) = failures.iter().min_by_key(|(_, entry)| entry.since).map(|(address, _)| *address)
    {
        failures.remove(&oldest);
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Timestamp;

    fn at(secs: u64) -> Now {
        let wall = Timestamp::new(1_770_000_000_000_000 + secs as i64 * 1_000_000, 0);
        Now { at: wall, tick: Tick(secs * 1_000_000) }
    }

    #[test]
    fn ten_failures_a_minute_and_then_a_wait() {
        let throttle = Throttle::default();
        let address: IpAddr = "192.0.2.7".parse().expect("an address");
        for second in 0..10 {
            assert_eq!(throttle.check(address, at(second)), Ok(()));
            throttle.failed(address, at(second));
        }
        assert_eq!(throttle.check(address, at(10)), Err(50));
        assert_eq!(throttle.check("192.0.2.8".parse().expect("an address"), at(10)), Ok(()));
        assert_eq!(throttle.check("::ffff:192.0.2.7".parse().expect("an address"), at(10)), Err(50));
        assert_eq!(throttle.check(address, at(60)), Ok(()));
        throttle.failed(address, at(60));
        assert_eq!(throttle.check(address, at(61)), Ok(()));
    }

    #[test]
    fn a_network_counts_as_one_and_memory_is_bounded() {
        let throttle = Throttle::default();
        for host in 1..=10u16 {
            throttle.failed(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host)), at(1));
        }
        assert!(throttle.check("2001:db8:0:1::ffff".parse().expect("an address"), at(1)).is_err());
        for n in 0..5_000u32 {
            throttle.failed(IpAddr::V4(n.into()), at(2));
        }
        assert_eq!(throttle.failures.lock().expect("no panic while held").len(), MAX_ADDRESSES);
    }
}
