//! Rows D4 to D6 on the built program: its own clock, the owner's zone, and a process that is stopped for a while.

use serde_json::{Value, json};

use super::{DEMO, post_item, stats_of};
use crate::running::Home;

#[test]
fn d4_each_record_of_a_batch_over_midnight_counts_on_its_own_day() {
    let home = Home::new(DEMO);
    let service = home.serve();
    let batch = json!([
        { "id": "a", "timestamp": "2026-01-31T23:59:59.999999Z", "prompt_tokens": 1, "completion_tokens": 0 },
        { "id": "b", "timestamp": "2026-02-01T00:00:00Z", "prompt_tokens": 2, "completion_tokens": 0 },
        { "id": "c", "timestamp": "2026-01-31T20:00:00-06:00", "prompt_tokens": 4, "completion_tokens": 0 },
    ]);
    assert_eq!(post_item(&service, &batch).json()["accepted"], 3);
    assert_eq!(service.stop().code(), Some(0));
    let days: Vec<String> = home.records().iter().map(day_of).collect();
    assert_eq!(days, ["2026-01-31", "2026-02-01", "2026-02-01"]);
    assert_eq!(stats_of(&home)["tokens"]["total"], 7);
}

#[test]
fn d2_a_time_in_the_future_is_taken_as_now() {
    let home = Home::new(DEMO);
    let service = home.serve();
    let item = json!({ "id": "a", "timestamp": "2999-01-01T00:00:00Z", "prompt_tokens": 1, "completion_tokens": 0 });
    assert_eq!(post_item(&service, &item).json()["accepted"], 1);
    let today = service.ask("GET /stats?period=today", "").json();
    assert_eq!(today["requests"]["total"], 1);
    assert_eq!(service.stop().code(), Some(0));
    assert!(!day_of(&home.records()[0]).starts_with("2999"));
}

#[test]
fn d5_a_zone_that_is_changed_moves_no_record_to_another_day() {
    let home = Home::new(DEMO);
    let service = home.serve();
    let item = json!({ "id": "a", "timestamp": "2026-06-30T23:30:00Z", "prompt_tokens": 1, "completion_tokens": 0 });
    assert_eq!(post_item(&service, &item).json()["accepted"], 1);
    assert_eq!(service.stop().code(), Some(0));
    let before = home.records();
    home.configure(&DEMO.replace("UTC", "Pacific/Kiritimati"));
    let service = home.serve();
    assert_eq!(post_item(&service, &item).json()["duplicates"], 1, "nor is it taken twice");
    let later = json!({ "id": "b", "timestamp": "2026-06-30T23:30:00Z", "prompt_tokens": 2, "completion_tokens": 0 });
    assert_eq!(post_item(&service, &later).json()["accepted"], 1);
    assert_eq!(service.stop().code(), Some(0));
    let after = home.records();
    assert_eq!((&after[0], after.len()), (&before[0], 2));
    assert_eq!((day_of(&after[0]).as_str(), day_of(&after[1]).as_str()), ("2026-06-30", "2026-07-01"));
    assert_eq!(stats_of(&home)["tokens"]["total"], 3);
}

#[test]
fn d6_a_process_that_is_stopped_and_goes_on_has_lost_nothing_and_answers_who_waited() {
    let home = Home::new(DEMO);
    let service = home.serve();
    let item = |id: &str| json!({ "id": id, "model": "m", "prompt_tokens": 1, "completion_tokens": 0 });
    assert_eq!(post_item(&service, &item("a")).status(), 200);
    service.signal("STOP");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| post_item(&service, &item("b")));
        std::thread::sleep(std::time::Duration::from_millis(300)); // the world stands still this long
        service.signal("CONT");
        assert_eq!(waiting.join().expect("answered").status(), 200);
    });
    assert_eq!(service.stop().code(), Some(0));
    assert_eq!(stats_of(&home)["requests"]["total"], 2);
}

fn day_of(record: &Value) -> String {
    record["timestamp"].as_str().expect("text")[..10].to_owned()
}
