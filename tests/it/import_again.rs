//! What is imported again, at once, or by a detour counts once; what is of another time says so.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::import::{DEMO, EXAMPLE, LOG, METRICS, TOKEN_STATS, counts, import, other_machine, stats, sums};
use crate::running::Home;
use tallybot::usage::seal_line;

#[test]
fn opening_balances_that_come_back_are_known_as_ones_own() {
    let (first, second, third) = (other_machine(), Home::new(DEMO), Home::new(DEMO));
    let before = sums(&stats(&first));
    assert_eq!(import(&second, &[&first.data()]).1["openings_added"], 2);
    let (ended, back) = import(&first, &[&second.data()]);
    assert_eq!((ended.code(), counts(&back)[1], &back["openings_added"]), (Some(0), 0, &0.into()), "{ended:?}");
    assert_eq!(sums(&stats(&first)), before);
    // By both ways into a third, together and one after the other.
    assert_eq!(import(&third, &[&second.data(), &first.data()]).1["openings_added"], 2);
    import(&third, &[&first.data()]);
    assert_eq!(sums(&stats(&third)), before);
    // What is taken back there is taken back wherever it went, whichever way that is.
    import(&first, &[&first.input("tokens_2025-02-05.jsonl", LOG)]);
    import(&second, &[&first.data()]);
    import(&third, &[&second.data()]);
    for home in [&first, &second, &third] {
        assert_eq!(sums(&stats(home)), before);
    }
    assert_eq!(import(&third, &[&first.data()]).1["openings_added"], 0);
}

/// A folder with the acts of other books.
fn acts(home: &Home, acts: &[Value]) -> PathBuf {
    let mut file = Vec::new();
    for (at, act) in acts.iter().enumerate() {
        let start = file.len();
        let head = r#"{"v":1,"at":"2026-02-05T06:01:47.127728-06:00","#;
        file.extend_from_slice((head.to_owned() + &act.to_string()[1..]).as_bytes());
        seal_line(&mut file, start, at as u64 + 1);
    }
    let folder = home.path("inputs/theirs");
    std::fs::create_dir_all(&folder).expect("a new folder");
    std::fs::write(folder.join("control.jsonl"), file).expect("written");
    folder
}

#[test]
fn failures_that_another_type_has_later_count_once() {
    let home = Home::new(DEMO);
    let metrics = |chat: u64, documents: u64, failed: u64| {
        let metrics = json!({
            "inicio": "2024-01-13T09:00:00", "total_requests": chat + documents, "errores": failed,
            "requests_por_tipo": { "chat": chat, "documento": documents }, "tiempo_promedio_respuesta": 2.0,
        });
        home.input("metrics.json", &metrics.to_string())
    };
    for (chat, documents, failed) in [(5, 4, 2), (6, 10, 2), (30, 10, 4), (30, 40, 4)] {
        let (ended, _) = import(&home, &[&metrics(chat, documents, failed)]);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let stats = stats(&home);
        let (all, of_type) = (&stats["requests"], &stats["requests"]["by_type"]);
        assert_eq!((&all["total"], &all["failed"]), (&(chat + documents).into(), &failed.into()), "{stats}");
        assert_eq!((&of_type["chat"], &of_type["document"]), (&chat.into(), &documents.into()), "{stats}");
        assert_eq!(stats["latency_ms"]["mean"], 2000);
    }
}

#[test]
fn an_opening_balance_told_from_the_future_is_added_once() {
    let home = Home::new(DEMO);
    let opening = json!({
        "source": "token-log", "at": "2099-12-31T23:00:00.000000-05:00", "api_type": "gemini", "provider": "gemini",
        "model": "gemini-2.5-flash", "request_type": "other", "ok": 3, "prompt": 70,
    });
    let lineage = json!({ "act": "lineage", "lineage": "0199b0c2-0000-7000-8000-000000000001" });
    let theirs = acts(&home, &[lineage, json!({ "act": "opening", "opening": opening })]);
    for added in [1, 0, 0] {
        assert_eq!(import(&home, &[&theirs]).1["openings_added"], added);
    }
    assert_eq!(sums(&stats(&home)), [70, 0, 3, 0]);
}

#[test]
fn e1_an_opening_of_other_books_beyond_what_can_be_is_told_and_not_taken() {
    let home = Home::new(DEMO);
    let opening = |ok: i64| {
        let at = "2026-02-05T06:01:47.127728-06:00";
        let opening = json!({
            "source": "s", "at": at, "api_type": "p", "provider": "p", "model": "m", "request_type": "other", "ok": ok,
        });
        json!({ "act": "opening", "opening": opening })
    };
    let lineage = json!({ "act": "lineage", "lineage": "0199b0c2-0000-7000-8000-000000000001" });
    let theirs = acts(&home, &[lineage, opening(i64::MAX), opening(3)]);
    let (ended, summary) = import(&home, &[&theirs]);
    assert_eq!((ended.code(), &summary["openings_added"], counts(&summary)[3]), (Some(1), &1.into(), 1), "{ended:?}");
    assert!(ended.err.contains("control.jsonl: a count of the opening balance cannot be"), "{ended:?}");
    assert_eq!(sums(&stats(&home))[2], 3);
}

#[test]
fn a_total_whose_model_had_no_row_of_its_own_is_added_once() {
    let home = Home::new(DEMO);
    let model = json!({
        "total_prompt_tokens": 1, "total_completion_tokens": 1, "total_requests": 1, "successful_requests": 1,
        "failed_requests": 0, "last_updated": "2025-02-05T12:00:00",
    });
    let models: serde_json::Map<String, Value> = (0..1100).map(|n| (format!("m{n}"), model.clone())).collect();
    let totals = home.input("token_stats.json", &json!({ "gemini": models }).to_string());
    assert_eq!(import(&home, &[&totals]).1["openings_added"], 1100);
    let others = |stats: &Value| {
        let models = stats["models"].as_array().expect("a list").clone();
        models.iter().find(|row| row["model"] == "other").map(|row| row["requests"].clone())
    };
    assert_eq!(others(&stats(&home)), Some(76.into()));
    assert_eq!(import(&home, &[&totals]).1["openings_added"], 0);
    assert_eq!((sums(&stats(&home)), others(&stats(&home))), ([1100, 1100, 1100, 0], Some(76.into())));
    // Nor by other books, which have room for other names.
    let other = Home::new(DEMO);
    for _ in 0..2 {
        import(&other, &[&home.data()]);
        assert_eq!(sums(&stats(&other)), [1100, 1100, 1100, 0]);
    }
}

#[test]
fn imports_at_once_through_a_running_tallybot_count_as_one() {
    let home = Home::new(DEMO);
    let serving = home.serve();
    let first = LOG.lines().next().expect("four lines");
    let many: String =
        (0..3000).map(|n| first.replace("12:01:47.127728", &format!("12:01:47.{n:06}")) + "\n").collect();
    home.input("tokens_2025-02-05.jsonl", &many);
    home.input("token_stats.json", TOKEN_STATS);
    let metrics = home.input("metrics.json", METRICS);
    let folder = metrics.parent().and_then(|path| path.to_str()).expect("text");
    let running: Vec<_> = (0..4).map(|_| home.start(&["import", "--json", folder])).collect();
    let mut new = 0;
    for one in running {
        let ended = one.wait();
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let said = ended.err.lines().all(|line| line.contains("another import into `data` is under way"));
        assert!(said, "{ended:?}");
        new += serde_json::from_str::<Value>(&ended.out).expect("JSON")["new"].as_u64().expect("a count");
    }
    assert_eq!(new, 3000);
    let alone = Home::new(DEMO);
    import(&alone, &[&home.path("inputs")]);
    assert_eq!(sums(&serving.ask("GET /stats", "").json()), sums(&stats(&alone)));
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn a_total_by_model_has_a_row_and_an_unknown_price() {
    let home = Home::new(DEMO);
    import(&home, &[&home.input("metrics.json", METRICS)]);
    let after = stats(&home);
    let rows = after["models"].as_array().expect("a list");
    let row = |model: &str, local: bool| {
        let of = rows.iter().find(|row| row["model"] == model && row["local"] == local);
        of.map(|row| (row["total_tokens"].as_u64(), row["cost_usd"].clone())).unwrap_or_default()
    };
    assert_eq!(row("gpt-4o", false), (Some(128_450), Value::Null), "nobody said what it cost");
    assert_eq!(row("unknown", true), (Some(45_230), "0".into()), "the owner's machine is free");
    let tokens: u64 = rows.iter().filter_map(|row| row["total_tokens"].as_u64()).sum();
    assert_eq!(tokens, 173_680, "rows sum to the total");
    assert_eq!(after["cost"], json!({ "usd": "0", "unpriced_requests": 244 }));
    for view in ["overview", "models"] {
        let screen = home.run(&["stats", "--view", view], "").out;
        let at = screen.find("gpt-4o").unwrap_or_else(|| panic!("a row: {screen}"));
        let row: String = screen[at..].lines().take(if view == "models" { 2 } else { 1 }).collect();
        assert!(row.contains("price unknown") && !screen.contains('$'), "{screen}");
        assert!(!screen.contains(" 0 requests"), "what is zero is not shown: {screen}");
    }
    assert!(home.run(&["stats"], "").out.contains("Cost unknown"));
}

#[test]
fn a_mean_latency_that_rose_is_that_of_the_old_total_too() {
    let home = Home::new(DEMO);
    import(&home, &[&home.input("metrics.json", METRICS)]);
    let slower = home.input("metrics.json", &METRICS.replace("2.45", "3.1"));
    let (_, summary) = import(&home, &[&slower]);
    assert_eq!((&summary["openings_added"], &summary["openings_retimed"]), (&0.into(), &6.into()));
    let after = stats(&home);
    assert_eq!((&after["latency_ms"]["mean"], sums(&after)[2], sums(&after)[3]), (&3100.into(), 247, 3));
    assert_eq!(after["cost"]["unpriced_requests"], 244);
    assert_eq!(import(&home, &[&slower]).1["openings_retimed"], 0);
}

#[test]
fn a_time_to_come_is_told_by_its_line() {
    let home = Home::new(DEMO);
    let log = home.input("tokens_2025-02-05.jsonl", &LOG.replacen("2025-02-05", "2099-02-05", 1));
    let (ended, summary) = import(&home, &[&log]);
    assert_eq!((ended.code(), counts(&summary)), (Some(0), [4, 4, 0, 0]));
    assert_eq!((&summary["to_come_lines"], &summary["to_come"][0]["line"]), (&1.into(), &1.into()));
    assert!(ended.err.contains("tokens_2025-02-05.jsonl:1: the time of this call is in the future"), "{ended:?}");
    assert_eq!(sums(&stats(&home)), EXAMPLE);
    let (ended, summary) = import(&home, &[&log]);
    assert_eq!((ended.err.as_str(), counts(&summary)), ("", [4, 0, 4, 0]), "said once");
}

#[test]
fn what_is_from_before_a_reset_is_said_to_be_with_the_way_to_look_at_it() {
    let home = Home::new(DEMO);
    for _ in 0..2 {
        assert_eq!(home.run(&["log", "--prompt-tokens", "1"], "").code(), Some(0));
        assert_eq!(home.run(&["reset", "--yes"], "").code(), Some(0));
    }
    let inputs = home.input("tokens_2025-02-05.jsonl", LOG).parent().expect("a folder").to_owned();
    home.input("metrics.json", METRICS);
    let dry = home.run(&["import", "--dry-run", inputs.to_str().expect("text")], "");
    let expected = "from before a reset: 4 calls, 8 opening balances; `tallybot stats --epoch 2` shows them\n";
    assert!(dry.out.contains(expected), "{}", dry.out);
    let (_, summary) = import(&home, &[&inputs]);
    assert_eq!(summary["before_resets"], json!([{ "epoch": 2, "calls": 4, "openings": 8 }]));
    let shown = |epoch: &str| {
        let ended = home.run(&["stats", "--json", "--epoch", epoch], "");
        sums(&serde_json::from_str(&ended.out).expect("JSON"))[2]
    };
    assert_eq!(["0", "1", "2"].map(shown), [0, 1, 1 + 4 + 247]);
    assert_eq!(import(&home, &[&inputs]).1["before_resets"], json!([]), "nothing came");
}
