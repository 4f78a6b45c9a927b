//! What the first page promises to whoever types: commands, mistakes, pipes, and what they leave behind.

use std::net::TcpListener;

use crate::providers::{ScriptedProvider, ollama};
use crate::running::Home;

/// The built-in model, on a port of its own.
const DEMO: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n";

#[test]
fn a_piped_chat_answers_shows_the_books_and_ends_well() {
    let home = Home::new(DEMO);
    let ended = home.run(&["chat"], "hello\n/stats\n");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let (answer, screen) = ended.out.split_once('\n').expect("an answer and a screen");
    assert!(answer.contains("demo model"), "it says what it is: {ended:?}");
    assert!(screen.contains("\n1 request") && screen.contains("demo model"), "{ended:?}");
    let records = home.records();
    assert_eq!(records.len(), 1);
    assert_eq!((records[0]["status"].as_str(), records[0]["channel"].as_str()), (Some("ok"), Some("terminal")));
    let after = home.run(&["stats", "--json"], "");
    let stats: serde_json::Value = serde_json::from_str(&after.out).expect("JSON");
    assert_eq!((stats["requests"]["total"].as_u64(), stats["status"].as_str()), (Some(1), Some("stopped")));
    assert_eq!(stats["tokens"]["total"], records[0]["total_tokens"]);
}

#[test]
fn help_names_every_command_and_mistakes_name_what_would_have_been_right() {
    let home = Home::new(DEMO);
    let help = home.run(&["--help"], "");
    assert_eq!((help.code(), help.err.as_str()), (Some(0), ""));
    for word in [
        "serve",
        "chat",
        "stats",
        "log",
        "recent",
        "export",
        "import",
        "reset",
        "verify",
        "archive",
        "check-config",
        "--config",
        "--data-dir",
        "Examples:",
    ] {
        assert!(help.out.contains(word), "{word}: {}", help.out);
    }
    for (arguments, expected) in [
        (&["statz"][..], "stats"),
        (&["stats", "--period", "week"], "expected today, 7d, 30d or all"),
        (&["stats", "--view", "all"], "expected overview, models, types or limits"),
        (&["stats", "--lang", "de"], "expected en, es, pt or fr"),
        (&["chat", "--jsn"], "--jsn"),
    ] {
        let ended = home.run(arguments, "");
        assert_eq!((ended.code(), ended.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.err.contains(expected), "{arguments:?}: {}", ended.err);
    }
    assert!(!home.data().exists(), "nothing was begun");
}

#[test]
fn looking_makes_no_files() {
    let home = Home::new(DEMO);
    for arguments in [&["stats"][..], &["stats", "--json"], &["stats", "--view", "limits", "--lang", "pt"]] {
        let ended = home.run(arguments, "");
        assert_eq!(ended.code(), Some(0), "{arguments:?}");
        assert!(ended.err.contains("there are no books in `data` yet"), "{arguments:?}: {}", ended.err);
        assert!(!ended.out.contains("100"), "no requests are not a success: {}", ended.out);
    }
    assert!(!home.data().exists());
    let unasked = home.run(&["reset"], "");
    assert_eq!(unasked.code(), Some(1));
    assert!(unasked.err.contains("--yes"), "{unasked:?}");
    assert_eq!(home.written(), [], "nothing was written anywhere");
}

#[test]
fn a_configuration_is_checked_whole_and_every_command_refuses_a_wrong_one() {
    let home = Home::new(DEMO);
    let good = home.run(&["check-config"], "");
    assert_eq!(good.code(), Some(0), "{good:?}");
    assert!(good.out.contains("the configuration holds"));
    let wrong = "language = \"de\"\ntimezone = \"Mars/Olympus\"\n[http]\nlisten = \"here\"\n[log]\nlevel = \"loud\"\n\
                 [[providers]]\nname = \"a\"\nkind = \"openai\"\napi_key_env = \"NOT_SET_ANYWHERE\"\nmodle = \"x\"\n";
    home.configure(wrong);
    let checked = home.run(&["check-config"], "");
    assert_eq!((checked.code(), checked.out.as_str()), (Some(2), ""));
    for key in ["language", "timezone", "http.listen", "log.level", "NOT_SET_ANYWHERE", "modle"] {
        assert!(checked.err.contains(key), "{key}: {}", checked.err);
    }
    for arguments in [&["serve"][..], &["chat"], &["stats"], &["reset", "--yes"]] {
        let ended = home.run(arguments, "hello\n");
        assert_eq!((ended.code(), &ended.err), (Some(2), &checked.err), "{arguments:?}");
    }
    let missing = home.run(&["check-config", "--config", "nowhere.toml"], "");
    assert_eq!(missing.code(), Some(2));
    assert!(missing.err.contains("`nowhere.toml`"), "{missing:?}");
    assert!(!home.data().exists());
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let home = Home::new(&DEMO.replace("127.0.0.1:0", &address));
    let ended = home.run(&["serve"], "");
    assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains(&format!("cannot listen on `{address}`")), "{ended:?}");
    assert!(ended.err.contains("[http] listen"), "says what to do: {ended:?}");
}

#[test]
fn j8_nobody_reading_on_is_not_an_error() {
    let home = Home::new(DEMO);
    for arguments in [&["chat"][..], &["stats"], &["stats", "--json"], &["reset", "--yes"]] {
        let ended = home.run_unheard(arguments, "hello\n/stats\n");
        assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_books_that_cannot_be_opened_stop_everything_before_any_provider_is_asked() {
    let provider = ScriptedProvider::start(ollama::polite(&["llama3.2"], ollama::chat(&["hi"], 5, 1))).await;
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"o\"\nkind = \"ollama\"\nurl = \"{}\"\nmodel = \"llama3.2\"\n",
        provider.url()
    );
    let home = Home::new(&config);
    let file = home.input("a-file", "");
    let below = file.join("below");
    for folder in [file.as_path(), below.as_path(), std::path::Path::new("/proc/nowhere")] {
        let folder = folder.to_str().expect("text");
        for command in ["serve", "chat"] {
            let ended = home.run(&[command, "--data-dir", folder], "hello\n");
            assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""), "{folder}: {ended:?}");
            assert!(ended.err.contains(folder), "names the folder: {ended:?}");
        }
    }
    assert_eq!(provider.hits().len(), 0);
    assert_eq!(home.run(&["chat"], "hello\n").out.trim(), "hi");
}
