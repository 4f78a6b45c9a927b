//! Rows J2 to J4, J7 and J8: how a service ends, begins again, and goes on when nobody listens to it.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::real::{checked, tool};
use super::{AtEnd, Confirmed, DEMO, eventually, post_item, stats_of};
use crate::running::{Home, Running, free_port};

/// Posts on and on while something is done to the service, from its first confirmation on.
fn under_load(service: &Running, mut confirmed: Confirmed, act: impl FnOnce()) -> Confirmed {
    let (begun, over) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (begun, over) = (&begun, &over);
        let at_end = AtEnd(over);
        let posting = scope.spawn(move || {
            while !over.load(Ordering::SeqCst) {
                confirmed.asked += 1;
                let id = format!("r{}", confirmed.asked);
                let body = json!({ "id": id, "model": "m", "prompt_tokens": 1, "completion_tokens": 0 }).to_string();
                let head =
                    "POST /v1/usage HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close";
                let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                match service.try_raw(request.as_bytes()) {
                    Ok(answer) if answer.status() == 200 => {
                        confirmed.ids.insert(id);
                        begun.store(true, Ordering::SeqCst);
                    }
                    _ => std::thread::sleep(Duration::from_millis(1)),
                }
            }
            confirmed
        });
        eventually("the load has begun", || begun.load(Ordering::SeqCst));
        act();
        drop(at_end);
        posting.join().expect("a poster does not panic")
    })
}

#[test]
fn a_terminal_that_closes_ends_a_service_well_unless_it_was_started_to_outlive_it() {
    let service = Home::new(DEMO);
    let service = service.serve_under(&["env", "--default-signal=HUP"]);
    service.signal("HUP");
    assert_eq!(service.wait().code(), Some(0));
    let service = Home::new(DEMO);
    let service = service.serve_under(&["env", "--ignore-signal=HUP"]);
    service.signal("HUP");
    assert_eq!(service.ask("GET /health", "").status(), 200);
    assert_eq!(service.stop().code(), Some(0));
}

#[test]
fn j2_a_second_sigterm_and_a_sigkill_while_it_drains_lose_nothing_that_was_confirmed() {
    for signals in [["TERM", "TERM"], ["TERM", "KILL"], ["TERM", "INT"]] {
        let home = Home::new(DEMO);
        let service = home.serve();
        // A client that never ends its request keeps the drain going.
        let slow = std::net::TcpStream::connect(("127.0.0.1", service.port())).expect("connected");
        std::io::Write::write_all(
            &mut &slow,
            b"POST /v1/usage HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
        )
        .expect("sent");
        let confirmed = under_load(&service, Confirmed::default(), || {
            signals.into_iter().for_each(|signal| service.signal(signal));
            std::thread::sleep(Duration::from_millis(50)); // the moment after is what is tested
        });
        drop(slow);
        drop(service.wait());
        let restarted = home.serve();
        assert_eq!(restarted.stop().code(), Some(0), "{signals:?}");
        confirmed.check(&home);
    }
}

#[test]
fn j3_an_abort_and_a_kill_by_the_system_lose_nothing_that_was_confirmed() {
    let home = Home::new(DEMO);
    let mut confirmed = Confirmed::default();
    for signal in ["ABRT", "KILL"] {
        let service = home.serve();
        confirmed = under_load(&service, confirmed, || service.signal(signal));
        drop(service.wait());
        confirmed.check(&home);
    }
}

/// What the system does to a process that asks for more than there is: its allocation fails and it aborts.
#[test]
fn j3_a_process_that_runs_out_of_memory_loses_nothing_that_was_confirmed() {
    let (home, mut confirmed) = (Home::new(DEMO), Confirmed::default());
    let service = home.serve();
    confirmed.must(&service);
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).expect("our child");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("a size");
    let kib: u64 = size.trim().trim_end_matches(" kB").parse().expect("a number");
    let limit = format!("--as={}", (kib << 10) + (2 << 20));
    if checked("j3", tool("prlimit", &["--pid", &service.pid().to_string(), &limit])).is_none() {
        return;
    }
    let large = format!("[{}{{}}]", "{},".repeat(2_999));
    for n in 0..3 {
        let body =
            large.replace("{}", &format!("{{\"feature\":\"f{n}\",\"metadata\":{{\"a\":\"{}\"}}}}", "x".repeat(500)));
        let request = format!(
            "POST /v1/usage HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if service.try_raw(request.as_bytes()).is_err() {
            break;
        }
    }
    drop(service);
    let restarted = home.serve();
    confirmed.must(&restarted);
    assert_eq!(restarted.stop().code(), Some(0));
    let ids: Vec<Value> = home.records().into_iter().map(|record| record["source"]["id"].clone()).collect();
    assert_eq!(ids.iter().filter(|id| !id.is_null()).count(), 2);
    assert_eq!(stats_of(&home)["requests"]["total"], json!(ids.len()));
}

#[test]
fn j4_twenty_starts_under_load_count_everything_once_and_keep_the_windows() {
    let limited = format!("{DEMO}limits = {{ requests_per_day = 100000, day_timezone = \"UTC\" }}\n");
    let home = Home::new(&limited);
    let mut confirmed = Confirmed::default();
    for round in 0..20 {
        let service = home.serve();
        let windows = service.ask("GET /stats", "").json();
        assert_eq!(windows["requests"]["total"], json!(home.records().len()), "round {round}");
        confirmed = under_load(&service, confirmed, || service.signal(if round % 4 == 3 { "TERM" } else { "KILL" }));
        drop(service.wait());
    }
    confirmed.check(&home);
}

#[test]
fn j7_limits_that_are_changed_by_a_restart_keep_what_was_used() {
    let with = |limits: &str| format!("{DEMO}limits = {{ {limits}, day_timezone = \"UTC\" }}\n");
    let used = |service: &Running| -> Vec<(String, u64, u64)> {
        let stats = service.ask("GET /stats", "").json();
        let limits = stats["limits"].as_array().expect("a list").clone();
        let number = |limit: &Value, field: &str| limit[field].as_u64().expect("a number");
        limits
            .iter()
            .map(|limit| {
                (limit["limit"].as_str().expect("a name").to_owned(), number(limit, "used"), number(limit, "max"))
            })
            .collect()
    };
    let home = Home::new(&with("requests_per_day = 100"));
    let service = home.serve();
    for n in 0..3 {
        let answer = post_item(
            &service,
            &json!({ "id": n.to_string(), "provider": "demo", "prompt_tokens": 5, "completion_tokens": 5 }),
        );
        assert_eq!(answer.status(), 200, "{answer:?}");
    }
    assert_eq!(used(&service), [("requests_per_day".to_owned(), 3, 100)]);
    assert_eq!(service.stop().code(), Some(0));
    // Raised, lowered below what was used, and one that was not there before.
    for (limits, expected) in [
        ("requests_per_day = 200", vec![("requests_per_day".to_owned(), 3, 200)]),
        ("requests_per_day = 2", vec![("requests_per_day".to_owned(), 3, 2)]),
        (
            "requests_per_day = 100, tokens_per_day = 1000",
            vec![("requests_per_day".to_owned(), 3, 100), ("tokens_per_day".to_owned(), 30, 1000)],
        ),
    ] {
        home.configure(&with(limits));
        let service = home.serve();
        assert_eq!(used(&service), expected, "{limits}");
        service.signal("KILL");
        drop(service.wait());
    }
}

#[test]
fn j8_a_service_whose_output_nobody_takes_and_whose_log_is_full_goes_on() {
    let port = free_port();
    let config = DEMO.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    let (home, mut confirmed) = (Home::new(&format!("{config}[log]\nlevel = \"debug\"\n")), Confirmed::default());
    std::fs::create_dir(home.data()).expect("a new folder");
    std::os::unix::fs::symlink("/dev/full", home.data().join("token_debug.log")).expect("a link");
    let service = home.serve_unheard(port);
    eventually("it serves", || {
        service.try_raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").is_ok()
    });
    for _ in 0..5 {
        confirmed.must(&service);
    }
    assert_eq!(service.ask("POST /metrics/reset", "").status(), 200);
    confirmed.must(&service);
    assert_eq!(service.ask("GET /stats", "").json()["requests"]["total"], 1);
    assert_eq!(service.stop().code(), Some(0));
    assert_eq!(home.records_if_whole(), Some(6));
}

#[test]
fn who_is_erased_from_people_json_while_it_runs_stays_erased_and_a_spoilt_one_is_left_alone() {
    let home = Home::new(DEMO);
    let service = home.serve();
    let path = home.data().join("people.json");
    let rows = || fs::read_to_string(&path).unwrap_or_default();
    let comes = |who: &str| {
        let item = json!({"model": "m", "prompt_tokens": 1, "completion_tokens": 0, "user": who});
        assert_eq!(post_item(&service, &item).status(), 200, "{who}");
    };
    for who in ["canary-ana", "canary-bea"] {
        comes(who);
        eventually("a row", || rows().contains(who));
    }
    let mut left: Value = serde_json::from_str(&rows()).expect("JSON");
    left.as_object_mut().expect("an object").retain(|_, row| row["identity"] != "canary-ana");
    fs::write(&path, left.to_string()).expect("writable");
    comes("canary-cleo");
    eventually("a new row", || rows().contains("canary-cleo"));
    assert!(rows().contains("canary-bea") && !rows().contains("canary-ana"), "{}", rows());

    let whole = rows();
    let spoilt = whole.replacen('{', "{canary", 1);
    fs::write(&path, &spoilt).expect("writable");
    comes("canary-dora");
    let log = || fs::read_to_string(home.data().join("token_debug.log")).unwrap_or_default();
    eventually("it is told", || log().contains("correct the file"));
    std::thread::sleep(Duration::from_millis(2_100));
    assert_eq!((rows(), log().matches("correct the file").count()), (spoilt, 1), "told once");
    assert!(!log().contains("canary"), "{}", log());
    fs::write(&path, whole).expect("writable");
    eventually("it is written again", || rows().contains("canary-dora"));
    assert_eq!(service.stop().code(), Some(0));
    assert!(!rows().contains("canary-ana"), "{}", rows());
}
