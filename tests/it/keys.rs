//! Keys for programs, by the built program: added, listed and revoked in a folder and at the service that holds it; and
//! the key itself is nowhere but in the one answer.

use serde_json::{Value, json};
use tallybot::access::keys::is_key;
use tallybot::ledger::{Folder, People};
use tallybot::settings::{GatewayKey, Setting};
use tallybot::usage::{SubjectId, unseal_line};

use crate::running::{Ended, Home, Running};

const ADMIN: &str = "admin-0123456789-0123456789-0123456789";
const READ: &str = "reads-0123456789-0123456789-0123456789";
const TWO: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n\
                   [[providers]]\nname = \"other\"\nkind = \"demo\"\n";

/// The key that a command printed: alone on its line.
fn key_of(ended: &Ended) -> String {
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let key = ended.out.strip_suffix('\n').expect("a line");
    assert!(is_key(key), "{ended:?}");
    key.to_owned()
}

fn added(home: &Home, arguments: &[&str]) -> String {
    key_of(&home.run(&[&["keys", "add", "--quiet"], arguments].concat(), ""))
}

fn listed(home: &Home) -> Vec<Value> {
    let ended = home.run(&["keys", "list", "--json"], "");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let list: Value = serde_json::from_str(&ended.out).expect("JSON");
    list["keys"].as_array().expect("a list").clone()
}

fn refused(ended: &Ended, code: i32, expected: &str) {
    assert_eq!((ended.code(), ended.out.as_str()), (Some(code), ""), "{ended:?}");
    assert!(ended.err.contains(expected), "`{expected}` in {ended:?}");
}

/// The key by which a folder knows a text.
fn known(home: &Home, key: &str) -> Option<GatewayKey> {
    let pepper = People::key_of(&home.data()).expect("readable").expect("there is one");
    let acts = Folder::new(&home.data()).acts().expect("readable").expect("there are acts");
    acts.settings.keys().find(&SubjectId::of(&pepper, "gateway-key", key)).map(|key| GatewayKey::clone(key))
}

/// Searches all that was written below the home for a text, whole or without what every key begins with.
fn assert_nowhere(home: &Home, key: &str) {
    let letters = key.trim_start_matches("tb-");
    for (path, bytes) in home.written() {
        for text in [letters, &letters[..24]] {
            let found = bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()));
            assert!(!found, "a key is in {}", path.display());
        }
    }
}

#[test]
fn a_key_is_printed_once_and_known_by_its_hash_until_it_is_revoked() {
    let home = Home::new(TWO);
    let ended = home.run(&["keys", "add", "web"], "");
    let web = key_of(&ended);
    for words in ["shown this once", "export OPENAI_API_KEY=…", "/gateway/demo/v1", &web[web.len() - 4..]] {
        assert!(ended.err.contains(words), "{words}: {ended:?}");
    }
    assert!(!ended.err.contains(&web) && !ended.err.contains(&web[3..20]), "{ended:?}");
    let whole = ["ana", "--user", "ana", "--team", "sales", "--feature", "search", "--providers", "other,demo"];
    let narrowed = ["--models", "gpt-4o*,llama3.2", "--budget", "5.00/day", "--budget", "200k tokens/month"];
    let ana = added(&home, &[&whole[..], &narrowed].concat());
    assert_ne!(web, ana);
    assert!(home.run(&["keys", "add", "quiet", "-q"], "").err.is_empty());

    let rows = listed(&home);
    assert_eq!(
        rows.iter().map(|row| row["name"].as_str()).collect::<Vec<_>>(),
        [Some("ana"), Some("quiet"), Some("web")]
    );
    let mut row = rows[0].clone();
    row.as_object_mut().expect("an object").remove("added").expect("a time");
    let expected = json!({
        "name": "ana", "suffix": &ana[ana.len() - 4..], "user": "ana", "team": "sales", "feature": "search",
        "providers": ["other", "demo"], "models": ["gpt-4o*", "llama3.2"],
        "budgets": {"usd_per_day": "5", "tokens_per_month": 200_000}, "revoked": null,
    });
    assert_eq!(row, expected);
    let text = home.run(&["keys", "list"], "").out;
    for words in
        ["ana  …", "  user       ana\n", "  models     gpt-4o*, llama3.2\n", "200000 tokens per month, $5 per day\n"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");

    assert_eq!(known(&home, &ana).map(|key| key.name), Some("ana".to_owned()));
    let revoked = home.run(&["keys", "revoke", "ana"], "");
    assert_eq!((revoked.code(), revoked.err.as_str()), (Some(0), ""), "{revoked:?}");
    assert!(revoked.out.starts_with("the key `ana` (…") && revoked.out.ends_with("opens nothing from now on\n"));
    assert_eq!((known(&home, &ana), known(&home, &web).is_some()), (None, true));
    assert!(listed(&home)[0]["revoked"].is_string());
    assert!(home.run(&["keys", "list"], "").out.contains(", revoked 20"));
    for key in [web, ana] {
        assert_nowhere(&home, &key);
    }
    assert!(home.run(&["verify"], "").out.contains("everything agrees"));
}

#[test]
fn what_cannot_be_done_says_why_and_leaves_nothing() {
    let home = Home::new(TWO);
    for (arguments, expected) in [
        (&["add"][..], "<NAME>"),
        (&["add", "a b"], "expected 1 to 64 letters, digits"),
        (&["add", "x", "--providers", "cloud"], "expected of `demo`, `other`"),
        (&["add", "x", "--models", "g*t"], "`*` only at the end"),
        (&["add", "x", "--team", " "], "`team` is no name"),
        (&["add", "x", "--budget", "/day"], "a shell reads `$5` as a variable"),
        (&["add", "x", "--budget", "5/minute"], "no money per minute"),
        (&["add", "x", "--budget", "5/day/week"], "`week` is not understood"),
        (
            &["add", "x", "--budget", "5.00/day", "--budget", "3/day"],
            "two budgets in usd_per_day; expected one of each",
        ),
        (&["ad", "x"], "add"),
    ] {
        refused(&home.run(&[&["keys"], arguments].concat(), ""), 2, expected);
    }
    assert!(!home.data().exists(), "nothing was begun");
    let none = home.run(&["keys", "list"], "");
    assert_eq!((none.code(), none.out.as_str()), (Some(0), ""));
    assert!(none.err.contains("`tallybot keys add NAME` makes one") && !home.data().exists(), "{none:?}");
    refused(&home.run(&["keys", "revoke", "web"], ""), 1, "there is no key `web`; there are none");
    let web = added(&home, &["web"]);
    added(&home, &["ci"]);
    refused(&home.run(&["keys", "add", "WEB"], ""), 1, "there is a key `web` already; choose another name");
    refused(&home.run(&["keys", "revoke", "wep"], ""), 1, "there is no key `wep`; there are `ci`, `web`");
    for arguments in [["keys", "revoke", &web], ["keys", "add", &web]] {
        let ended = home.run(&arguments, "");
        assert!(ended.err.contains("this is a key and no name") && !ended.err.contains(&web), "{ended:?}");
    }
    assert_eq!(home.run(&["keys", "revoke", "Web"], "").code(), Some(0), "whatever the case");
    refused(&home.run(&["keys", "revoke", "web"], ""), 1, "was revoked on");
    refused(&home.run(&["keys", "add", "web"], ""), 1, "stays that of its records; choose another name");
    assert_eq!(listed(&home).len(), 2);
}

#[test]
fn a_budget_of_the_configuration_is_a_keys_too_until_one_is_set() {
    let budgets = "[[budgets]]\nfor = { key = \"web\" }\nusd = \"7.50\"\nper = \"month\"\ntokens = 9000\n";
    let home = Home::new(&format!("{TWO}{budgets}"));
    added(&home, &["web", "--budget", "5/month"]);
    added(&home, &["ci"]);
    let rows = listed(&home);
    assert_eq!(rows[1]["budgets"], json!({"usd_per_month": "5", "tokens_per_month": 9000}));
    assert_eq!(rows[0]["budgets"], json!({}));
}

fn asked(service: &Running, head: &str, token: &str, body: &str) -> (u16, Value) {
    let answer = service.ask(&format!("{head}\nContent-Type: application/json\nAuthorization: Bearer {token}"), body);
    (answer.status(), answer.json())
}

#[test]
fn whoever_holds_the_folder_adds_and_revokes_at_once_for_shells_and_programs() {
    let home = Home::new(TWO).with_env("TALLYBOT_ADMIN_TOKEN", ADMIN).with_env("TALLYBOT_READ_TOKEN", READ);
    let service = home.serve();
    let ended = home.run(&["keys", "add", "shell", "--user", "ana", "--budget", "5/day"], "");
    let shell = key_of(&ended);
    assert!(ended.err.contains(&format!("http://127.0.0.1:{}/gateway/demo/v1", service.port())), "{ended:?}");
    let (status, program) = asked(&service, "POST /v1/keys", ADMIN, r#"{"name":"program","providers":["other"]}"#);
    assert_eq!((status, &program["providers"], &program["revoked"]), (200, &json!(["other"]), &Value::Null));
    let program = program["key"].as_str().expect("a key").to_owned();
    assert!(is_key(&program));
    for key in [&shell, &program] {
        assert!(known(&home, key).is_some(), "durable when it was told");
    }
    // As commands see it, and as programs do, who asks with or without a lock.
    let (status, list) = asked(&service, "GET /v1/keys", ADMIN, "");
    assert_eq!((status, list["keys"].as_array()), (200, Some(&listed(&home))));
    assert!(!list.to_string().contains(&program[3..]), "never whole again");
    assert_eq!((&list["keys"][1]["user"], &list["keys"][1]["budgets"]), (&json!("ana"), &json!({"usd_per_day": "5"})));
    let limits = asked(&service, "GET /stats", READ, "").1["limits"].to_string();
    assert!(limits.contains("key:shell"), "the budget is in force: {limits}");

    for (head, token, body, status, code) in [
        ("POST /v1/keys", READ, r#"{"name":"x"}"#, 403, "token"),
        ("GET /v1/keys", READ, "", 403, "token"),
        ("DELETE /v1/keys/shell", READ, "", 403, "token"),
        ("POST /v1/keys", ADMIN, r#"{"name":"Program"}"#, 409, "name_taken"),
        ("POST /v1/keys", ADMIN, r#"{"name":"x","providers":["cloud"]}"#, 400, "bad_key"),
        ("DELETE /v1/keys/nobody", ADMIN, "", 404, "unknown_key"),
    ] {
        let (got, answer) = asked(&service, head, token, body);
        assert_eq!((got, answer["error"]["code"].as_str()), (status, Some(code)), "{head} {answer}");
    }
    let wrong = asked(&service, "POST /v1/keys", ADMIN, r#"{"name":"x","providers":["cloud"]}"#).1;
    assert_eq!(wrong["error"]["allowed"], json!(["demo", "other"]));
    refused(&home.run(&["keys", "add", "shell"], ""), 1, "tallybot: there is a key `shell` already");
    refused(&home.run(&["keys", "revoke", "nobody"], ""), 1, "there are `program`, `shell`");

    let (status, revoked) = asked(&service, "DELETE /v1/keys/program", ADMIN, "");
    assert_eq!((status, revoked["name"].as_str(), revoked["revoked"].is_string()), (200, Some("program"), true));
    assert_eq!(asked(&service, "DELETE /v1/keys/program", ADMIN, "").0, 409);
    assert_eq!(known(&home, &program), None);
    assert_eq!(home.run(&["keys", "revoke", "shell"], "").code(), Some(0));
    let rows = listed(&home);
    assert_eq!(service.stop().code(), Some(0));

    let service = home.serve();
    assert_eq!(asked(&service, "GET /v1/keys", ADMIN, "").1["keys"].as_array(), Some(&rows), "the same after a start");
    assert_eq!(service.stop().code(), Some(0));
    let people = std::fs::read_to_string(home.data().join("people.json")).expect("it is there");
    assert!(people.contains("\"ana\""), "for display");
    for key in [shell, program] {
        assert_nowhere(&home, &key);
    }
    assert!(home.run(&["verify"], "").out.contains("everything agrees"));
}

#[test]
fn the_acts_are_lines_that_a_version_without_keys_passes_over() {
    let home = Home::new(TWO);
    added(&home, &["web", "--team", "sales", "--budget", "5/day"]);
    home.run(&["keys", "revoke", "web"], "");
    let content = std::fs::read(home.data().join("control.jsonl")).expect("it is there");
    let lines: Vec<&[u8]> = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let acts: Vec<Value> = lines.iter().map(|line| serde_json::from_slice(line).expect("JSON")).collect();
    let kinds: Vec<&str> = acts.iter().map(|act| act["setting"].as_str().unwrap_or("-")).collect();
    assert_eq!(kinds, ["-", "budget", "key_added", "key_revoked"]);
    assert_eq!((&acts[2]["name"], &acts[2]["team"], &acts[3]["name"]), (&json!("web"), &json!("sales"), &json!("web")));
    for line in &lines {
        unseal_line(line).expect("sealed like every act");
    }
    // A setting that a version does not know is `Unknown` there, and its line is read.
    let unknown = String::from_utf8_lossy(lines[2]).replace("key_added", "key_of_the_future");
    assert_eq!(serde_json::from_str::<Setting>(&unknown).expect("a setting"), Setting::Unknown);
}

#[test]
fn books_whose_key_file_is_gone_say_at_the_start_that_keys_open_nothing() {
    let home = Home::new(TWO);
    let key = added(&home, &["web"]);
    let opens = |serving: &Running| {
        serving.ask(&format!("GET /gateway/demo/v1/models\nAuthorization: Bearer {key}"), "").status() != 401
    };
    let serving = home.serve();
    assert!(opens(&serving));
    assert!(!serving.stop().err.contains("subject.key"));
    std::fs::rename(home.data().join("subject.key"), home.path("kept")).expect("moved");
    // Also where a command was first, which made a new one.
    assert_eq!(home.run(&["log", "--prompt-tokens", "1"], "").code(), Some(0));
    let serving = home.serve();
    assert!(!opens(&serving));
    let told = serving.stop().err;
    assert!(told.contains("not the one that 1 key(s)"), "{told}");
    std::fs::rename(home.path("kept"), home.data().join("subject.key")).expect("moved back");
    let serving = home.serve();
    assert!(opens(&serving));
    assert!(!serving.stop().err.contains("subject.key"));
}

#[test]
fn books_without_keys_say_at_the_start_that_their_key_file_is_gone() {
    let home = Home::new(TWO);
    home.serve().stop();
    std::fs::remove_file(home.data().join("subject.key")).expect("removed");
    assert!(home.serve().stop().err.contains("no `subject.key`"));
    assert!(!home.serve().stop().err.contains("subject.key"));
}

#[test]
fn a_key_that_nobody_can_see_is_not_made_or_opens_nothing() {
    let home = Home::new(TWO);
    let unheard = home.run_unheard(&["keys", "add", "web"], "");
    assert_eq!(unheard.code(), Some(1));
    assert!(unheard.err.contains("no key was made"), "{unheard:?}");
    assert!(listed(&home).is_empty());
    let full = home.start_under(&["sh", "-c", "exec \"$@\" >/dev/full", "sh"], &["keys", "add", "web"]).wait();
    assert_eq!(full.code(), Some(1));
    assert!(full.err.contains("it was revoked") && full.err.contains("`web` is used up"), "{full:?}");
    assert!(listed(&home).iter().all(|key| key["revoked"].is_string()), "{:?}", listed(&home));
}
