//! Rows C, D, E and J of the table of faults (`docs/faults.md`) on the built program: real disks that are full, slow and
//! broken, real signals, real clocks. Each test is named after its row.

mod descriptors;
mod disk;
mod fixture;
mod life;
mod real;
mod table;
mod time;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::running::{Answer, Home, Running};

/// The built-in model, on a port of its own, with days of UTC.
const DEMO: &str =
    "timezone = \"UTC\"\n[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n";

/// What was posted and confirmed.
#[derive(Default)]
struct Confirmed {
    ids: HashSet<String>,
    asked: u64,
}

impl Confirmed {
    /// Posts one record of one token; remembers it if it is confirmed.
    fn post(&mut self, service: &Running) -> Answer {
        self.asked += 1;
        let id = format!("r{}", self.asked);
        let answer = post_item(service, &json!({ "id": id, "model": "m", "prompt_tokens": 1, "completion_tokens": 0 }));
        if answer.status() == 200 {
            assert_eq!(answer.json()["accepted"], 1, "{answer:?}");
            self.ids.insert(id);
        }
        answer
    }

    /// Posts one record that must be confirmed.
    fn must(&mut self, service: &Running) {
        let answer = self.post(service);
        assert_eq!(answer.status(), 200, "{answer:?}");
    }

    /// Holds the books against what was confirmed: all of it is there, each record once for whoever reads them, and
    /// nothing that was not asked for.
    fn check(&self, home: &Home) -> u64 {
        let stats = stats_of(home);
        let total = stats["requests"]["total"].as_u64().expect("a number");
        let kept: HashSet<String> = home.records().iter().map(given_id).collect();
        let lost: Vec<_> = self.ids.difference(&kept).collect();
        assert!(lost.is_empty(), "confirmed and lost: {lost:?}");
        assert_eq!(total, kept.len() as u64, "each of {kept:?} counts once");
        assert!(total <= self.asked, "{total} of {}", self.asked);
        total
    }
}

/// Posts something as `POST /v1/usage` takes it.
fn post_item(service: &Running, body: &Value) -> Answer {
    service.ask("POST /v1/usage\nContent-Type: application/json", &body.to_string())
}

fn given_id(record: &Value) -> String {
    record["source"]["id"].as_str().unwrap_or_else(|| panic!("a given id: {record}")).to_owned()
}

/// `tallybot stats --json` of a home whose service has ended.
fn stats_of(home: &Home) -> Value {
    let ended = home.run(&["stats", "--json"], "");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    serde_json::from_str(&ended.out).expect("JSON")
}

/// Sets a flag when dropped, so that a thread that looks at it ends when the test fails as well.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Waits until something is so.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let patient = (0..1_200).any(|_| {
        let so = is_so();
        if !so {
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        so
    });
    assert!(patient, "never: {what}");
}
