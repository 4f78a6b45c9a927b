//! What the first page promises to whoever types: commands, mistakes, pipes, and what they leave behind.

use std::net::TcpListener;

use serde_json::Value;

use crate::providers::{ScriptedProvider, ollama};
use crate::running::{Home, until};

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
fn a_pipe_tells_what_was_not_answered_apart_from_the_answers_and_fails_at_the_end() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let gone = format!(
        "{DEMO}[[providers]]\nname = \"gone\"\nkind = \"ollama\"\nurl = \"http://{nobody}\"\nmodel = \"llama3.2\"\n"
    );
    let home = Home::new(&gone);
    let ended = home.run(&["chat"], "/model gone/llama3.2\nhello\n/model demo\nhello again\n");
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.out.contains("demo model"), "the other questions are asked: {ended:?}");
    assert_eq!(home.records().len(), 4, "three attempts of the first, and the second: {ended:?}");
    let told: Vec<&str> = ended.err.lines().collect();
    assert!(told.len() > 1 && !ended.out.contains(told[0]), "why stands apart: {ended:?}");
    assert!(ended.err.ends_with("tallybot: 1 question was not answered, or not wholly\n"), "{ended:?}");
}

#[test]
fn a_limit_of_somebody_is_shown_to_an_admin_by_the_name() {
    let budget = "[[budgets]]\nfor = { user = \"*\" }\nper = \"day\"\nrequests = 5\n";
    let home = Home::new(&format!("{DEMO}{budget}"));
    let ended = home.run(&["chat"], "hello\n/stats\n/stats limits\n");
    assert_eq!(ended.out.matches("user:owner").count(), 2, "{ended:?}");
}

#[test]
fn what_is_too_long_to_ask_is_not_told_among_the_answers_of_a_pipe() {
    let home = Home::new(DEMO);
    let ended = home.run(&["chat"], &format!("{}\nhello\n", "word ".repeat(20_000)));
    assert_eq!((ended.code(), home.records().len()), (Some(1), 1), "{ended:?}");
    assert!(ended.err.contains("too long") && !ended.out.contains("too long"), "{ended:?}");
}

#[test]
fn the_owner_at_the_terminal_sees_who_used_most() {
    let home = Home::new(DEMO);
    let before = home.run(&["chat"], "/stats users\n");
    assert!(before.out.contains("Nobody has asked anything yet."), "{before:?}");
    let ended = home.run(&["chat"], "hello\nhello again\n/stats users\n/stats usuarios\n");
    assert_eq!((ended.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    let screens = ended.out.matches("Together: 1 person · 2 requests").count();
    assert_eq!(screens, 2, "{ended:?}");
    assert!(ended.out.contains("\nowner · 2 requests · "), "{ended:?}");
    let elsewhere = home.run(&["stats", "--view", "users"], "");
    assert_eq!(elsewhere.code(), Some(2), "{elsewhere:?}");
    assert!(elsewhere.err.contains("`/stats users` shows to an admin"), "{elsewhere:?}");
    for (lang, word) in [("en", "users"), ("es", "usuarios"), ("pt", "pessoas"), ("fr", "personnes")] {
        let ask = || home.run(&["chat"], &format!("/lang {lang}\n/help\n/stats {word}\n")).out;
        let shown = ask();
        let help = shown.lines().find(|line| line.starts_with("/stats")).expect("it is in the help");
        assert!(help.ends_with(word) && help.chars().count() <= 80, "{help}");
        // A process that has just begun may still read who used what, and says so.
        assert!(until(|| ask().contains("\nowner · ")), "the word that /help names is understood: {shown}");
    }
}

#[test]
fn the_zone_is_the_configured_one_else_that_of_the_environment() {
    let zone = |config: &str, tz: &str| {
        let shown = Home::new(config).with_env("TZ", tz).run(&["stats", "--json"], "");
        serde_json::from_str::<Value>(&shown.out).expect("JSON")["timezone"].as_str().map(str::to_owned)
    };
    assert_eq!(zone(DEMO, "Asia/Tokyo").as_deref(), Some("Asia/Tokyo"));
    assert_eq!(zone(DEMO, ":Europe/Berlin").as_deref(), Some("Europe/Berlin"));
    assert_eq!(zone(&format!("timezone = \"America/Lima\"\n{DEMO}"), "Asia/Tokyo").as_deref(), Some("America/Lima"));
}

#[test]
fn the_words_offered_to_the_owner_work_as_they_are_told() {
    let limit = "[[limits]]\nfor = { user = \"*\" }\nrequests_per_day = 1\n";
    for lang in ["en", "es", "pt", "fr"] {
        let home = Home::new(&format!("{DEMO}{limit}"));
        let refused = home.run(&["chat"], &format!("/lang {lang}\nhello\nhello again\n"));
        let said = format!("{}{}", refused.out, refused.err);
        let offered = said.lines().find_map(|line| Some(&line[line.find("/budget ")?..])).expect("an order");
        assert!(offered.ends_with(":owner +20%"), "{lang}: {offered}");
        assert_eq!(offered.contains("user:"), lang == "en", "in one language: {offered}");
        let raised = home.run(&["chat"], &format!("{offered}\nhello again\n"));
        assert_eq!((raised.code(), raised.err.as_str()), (Some(0), ""), "{lang}: {raised:?}");
        assert!(raised.out.contains('2') && raised.out.lines().count() > 2, "{lang}: {raised:?}");
        let nobody = home.run(&["chat"], "/budget user:somebody $1 day\n");
        assert!(nobody.out.contains("somebody") && !nobody.out.contains("$1.00"), "{lang}: {nobody:?}");
    }
}

#[test]
fn a_budget_is_as_full_in_one_screen_as_in_the_other() {
    let home = Home::new(&format!("{DEMO}[[limits]]\nrequests_per_day = 3\n"));
    let shown = home.run(&["chat"], "hello\nhello\n/budget\n/stats limits\n").out;
    assert_eq!(shown.matches("2/3 (66.7%)").count(), 2, "{shown}");
}

#[test]
fn the_language_chosen_at_the_terminal_is_kept() {
    let home = Home::new(DEMO);
    let before = home.run(&["chat"], "/stats users\n/lang fr\n");
    assert!(before.out.contains("Nobody has asked anything yet."), "{before:?}");
    let after = home.run(&["chat"], "/stats users\n");
    assert!(after.out.contains("Personne n’a encore rien demandé"), "{after:?}");
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
        "keys",
        "reset",
        "verify",
        "archive",
        "prices",
        "what-if",
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
        (
            &["log", "--prompt-tokens", "1.5"],
            "expected a whole number of tokens from 0 to 1000000000000, for example 150",
        ),
        (
            &["log", "--prompt-tokens", "99999999999999999999"],
            "expected a whole number of tokens from 0 to 1000000000000",
        ),
        (
            &["log", "--completion-tokens", "-5"],
            "invalid value '-5' for '--completion-tokens <N>': expected a whole number",
        ),
        (&["log", "--prompt-tokens", "1", "--latency-ms", "-1"], "expected a whole number of milliseconds"),
        (&["keys", "add", "web", "--budget", "-5/day"], "`-5` is not understood; expected such as 5.00/day"),
    ] {
        let ended = home.run(arguments, "");
        assert_eq!((ended.code(), ended.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.err.contains(expected), "{arguments:?}: {}", ended.err);
    }
    assert!(!home.data().exists(), "nothing was begun");
}

#[test]
fn a_file_of_no_known_form_is_told_which_forms_there_are() {
    let home = Home::new(DEMO);
    home.input("x.json", "[1]");
    let ended = home.run(&["import", "../inputs/x.json"], "");
    assert_eq!(ended.out, "", "{ended:?}");
    assert!(ended.err.contains("--format, which takes one of token-log, token-stats, "), "{ended:?}");
}

#[test]
fn a_shell_without_the_admin_token_hears_how_to_give_it() {
    let token = "0123456789abcdef0123456789abcdef";
    let home = Home::new(DEMO).with_env("TALLYBOT_ADMIN_TOKEN", token);
    let serving = home.serve();
    let (shell, data) = (Home::new(DEMO), home.data());
    let folder = ["--data-dir", data.to_str().expect("text")];
    for command in ["log --prompt-tokens 1", "keys add web"] {
        let ended = shell.run(&command.split(' ').chain(folder).collect::<Vec<_>>(), "");
        assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""), "{command}: {ended:?}");
        assert!(ended.err.contains("export TALLYBOT_ADMIN_TOKEN=…"), "{command}: {ended:?}");
        assert!(!ended.err.contains("Authorization"), "{command}: {ended:?}");
    }
    assert_eq!(serving.stop().code(), Some(0));
}

#[test]
fn looking_makes_no_files() {
    let home = Home::new(DEMO);
    for arguments in [&["stats"][..], &["stats", "--json"], &["stats", "--view", "limits", "--lang", "pt"]] {
        let ended = home.run(arguments, "");
        assert_eq!(ended.code(), Some(0), "{arguments:?}");
        assert!(ended.err.contains("there are no books in `data` yet"), "{arguments:?}: {}", ended.err);
        let mut numbers = ended.out.lines().filter(|line| !line.contains("generated_at"));
        assert!(!numbers.any(|line| line.contains("100")), "no requests are not a success: {}", ended.out);
    }
    assert!(!home.data().exists());
    let unasked = home.run(&["reset"], "");
    assert_eq!(unasked.code(), Some(1));
    assert!(unasked.err.contains("--yes"), "{unasked:?}");
    for command in ["reset --yes", "keys revoke web", "archive --before 2026-01-01", "verify --repair"] {
        let ended = home.run(&command.split(' ').collect::<Vec<_>>(), "");
        assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""), "{command}: {ended:?}");
        assert!(ended.err.contains("no books in `data`"), "{command}: {ended:?}");
    }
    assert_eq!(home.written(), [], "nothing was written anywhere");
}

#[test]
fn a_mistyped_folder_is_an_error_and_never_a_row_of_zeros() {
    let home = Home::new(DEMO);
    let commands = [
        "stats",
        "stats --json",
        "stats --epochs",
        "recent",
        "recent --json",
        "export",
        "export --summary",
        "export --format raymundo",
        "verify",
        "prices check",
        "keys list",
        "keys add web",
        "reset --yes",
        "log --prompt-tokens 1",
        "archive --before 2026-01-01",
        "import --dry-run ../inputs/tallybot.toml",
    ];
    for command in commands {
        let arguments: Vec<&str> = command.split(' ').chain(["--data-dir", "nosuch"]).collect();
        let ended = home.run(&arguments, "");
        assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""), "{command}: {ended:?}");
        assert!(ended.err.starts_with("tallybot: there is no folder `nosuch`"), "{command}: {ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "{command}: {ended:?}");
        assert!(!home.path("run/nosuch").exists(), "{command}");
    }
    let begun = home.run(&["chat", "--data-dir", "new"], "hello\n");
    assert_eq!(
        (begun.code(), home.path("run/new").is_dir()),
        (Some(0), true),
        "a bot may begin where it is told: {begun:?}"
    );
    let fresh = home.run(&["log", "--prompt-tokens", "1"], "");
    assert_eq!(fresh.code(), Some(0), "and any command in the usual folder: {fresh:?}");
}

#[test]
fn a_file_where_the_folder_should_be_is_called_a_file() {
    let home = Home::new(DEMO);
    home.input("a-file", "");
    for command in ["serve", "stats", "log --prompt-tokens 1", "verify"] {
        for (folder, expected) in [
            ("../inputs/a-file", "is a file; expected the folder"),
            ("../inputs/a-file/x", "a part of its path is a file"),
        ] {
            let arguments: Vec<&str> = command.split(' ').chain(["--data-dir", folder]).collect();
            let ended = home.run(&arguments, "");
            assert_eq!((ended.code(), ended.out.as_str()), (Some(1), ""), "{command}: {ended:?}");
            assert!(ended.err.contains(expected) && ended.err.lines().count() == 1, "{command}: {ended:?}");
        }
    }
}

#[test]
fn a_configuration_is_checked_whole_and_every_command_refuses_a_wrong_one() {
    let home = Home::new(DEMO);
    let good = home.run(&["check-config"], "");
    assert_eq!(good.code(), Some(0), "{good:?}");
    assert!(good.out.contains("the configuration holds"));
    let unheard = home.run_unheard(&["check-config"], "");
    assert_eq!((unheard.code(), unheard.err.as_str()), (Some(0), ""), "that nobody reads on is no error");
    let wrong = "language = \"de\"\ntimezone = \"Mars/Olympus\"\n[http]\nlisten = \"here\"\n[log]\nlevel = \"loud\"\n\
                 [[providers]]\nname = \"a\"\nkind = \"openai\"\napi_key_env = \"NOT_SET_ANYWHERE\"\nmodle = \"x\"\n";
    home.configure(wrong);
    let checked = home.run(&["check-config"], "");
    assert_eq!((checked.code(), checked.out.as_str()), (Some(2), ""));
    for key in ["language", "timezone", "http.listen", "log.level", "NOT_SET_ANYWHERE", "modle"] {
        assert!(checked.err.contains(key), "{key}: {}", checked.err);
    }
    for arguments in [&["serve"][..], &["chat"]] {
        let ended = home.run(arguments, "hello\n");
        assert_eq!((ended.code(), &ended.err), (Some(2), &checked.err), "{arguments:?}");
    }
    for arguments in [&["stats"][..], &["reset", "--yes"]] {
        let ended = home.run(arguments, "");
        assert_eq!((ended.code(), ended.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.err.contains("modle") && !ended.err.contains("NOT_SET_ANYWHERE"), "{ended:?}");
    }
    home.configure(&format!("{DEMO}[templates]\ndir = \"nowhere\"\n"));
    let texts = home.run(&["check-config"], "");
    assert_eq!((texts.code(), texts.out.as_str()), (Some(2), ""), "{texts:?}");
    assert!(texts.err.contains("`templates.dir`") && texts.err.contains("nowhere"), "{texts:?}");
    let missing = home.run(&["check-config", "--config", "nowhere.toml"], "");
    assert_eq!(missing.code(), Some(2));
    assert!(missing.err.starts_with("tallybot: cannot read the configuration `nowhere.toml`"), "{missing:?}");
    assert!(!home.data().exists());
}

#[test]
fn only_who_calls_a_provider_needs_its_key_and_hears_hints_about_it() {
    let home = Home::new(DEMO);
    home.run(&["chat"], "hello\n");
    let config = format!(
        "{DEMO}[[providers]]\nname = \"cloud\"\nkind = \"openai\"\nmodel = \"gpt-4o\"\napi_key_env = \"OPENAI_API_KEY\"\n\
         [[providers]]\nname = \"claude\"\nkind = \"anthropic\"\nmodel = \"claude-haiku-4-5\"\napi_key_file = \"/nowhere/key\"\n\
         [[providers]]\nname = \"near\"\nkind = \"openai\"\nurl = \"http://127.0.0.1:9/v1\"\nmodel = \"m\"\n\
         [telegram]\nusers = [1]\n[alerts.slack]\nurl_env = \"SLACK_URL\"\n"
    );
    home.configure(&config);
    for command in [
        "stats",
        "recent",
        "export",
        "verify",
        "log --prompt-tokens 1",
        "keys list",
        "keys add web --quiet",
        "prices list",
        "prices check",
        "archive --before 2026-01-01 --dry-run",
        "import --dry-run ../inputs",
        "reset --yes",
    ] {
        let ended = home.run(&command.split(' ').collect::<Vec<_>>(), "");
        assert_ne!(ended.code(), Some(2), "{command}: {ended:?}");
        for told in ["OPENAI_API_KEY", "/nowhere/key", "TELOXIDE_TOKEN", "SLACK_URL", "local = true"] {
            assert!(!ended.err.contains(told), "{command}: {ended:?}");
        }
    }
    for command in ["check-config", "serve", "chat"] {
        let ended = home.run(&[command], "hello\n");
        assert_eq!((ended.code(), ended.out.as_str()), (Some(2), ""), "{command}: {ended:?}");
        for told in ["OPENAI_API_KEY", "/nowhere/key", "TELOXIDE_TOKEN", "SLACK_URL"] {
            assert!(ended.err.contains(told), "{command}: {ended:?}");
        }
    }
    home.configure(&format!(
        "{DEMO}[[providers]]\nname = \"near\"\nkind = \"openai\"\nurl = \"http://127.0.0.1:9/v1\"\nmodel = \"m\"\n"
    ));
    for command in ["check-config", "chat"] {
        let ended = home.run(&[command], "");
        assert!(ended.err.contains("local = true"), "{command}: {ended:?}");
    }
}

#[test]
fn a_token_that_cannot_be_a_bots_is_asked_of_botfather() {
    let home = Home::new(&format!("{DEMO}[telegram]\nusers = [1]\n")).with_env("TELOXIDE_TOKEN", "abc");
    let ended = home.run(&["check-config"], "");
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.err.contains("`TELOXIDE_TOKEN` holds 3 characters"), "{ended:?}");
    assert!(ended.err.contains("@BotFather") && ended.err.contains("123456789:AA"), "{ended:?}");
    assert!(!ended.err.contains("openssl"), "{ended:?}");
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

#[test]
fn every_command_ends_with_the_same_codes_and_speaks_under_its_name() {
    let home = Home::new(DEMO);
    for (arguments, code, expected) in [
        (&["verify"][..], 1, "there are no books in"),
        (&["archive", "--before", "2026-01-01"], 1, "there are no books in"),
        (&["reset", "--yes"], 1, "there are no books in"),
        (&["stats", "--epoch", "7"], 1, "tallybot: there is no epoch 7"),
        (
            &["log", "--prompt-tokens", "1", "--cost-usd", "-1"],
            2,
            "`cost_usd` is `\"-1\"`, which is not valid; expected dollars",
        ),
        (
            &["log", "--prompt-tokens", "1", "--timestamp", "2026-13-01"],
            2,
            "`timestamp` is `\"2026-13-01\"`, which is not valid",
        ),
        (
            &["log", "--prompt-tokens", "1", "--timestamp", "my secret"],
            2,
            "`timestamp` is a text that is not valid here",
        ),
        (&["import", "nowhere"], 2, "there is no `nowhere`"),
        (&["log", "--prompt-tokens", "1", "--cached-tokens", "2"], 2, "the slices are larger"),
        (&["export", "--columns", "nothing"], 2, "nothing"),
        (&["export", "--format", "raymundo", "--summary"], 2, "a form of its own"),
        (&["export", "--format", "raymundo", "--model", "m"], 2, "counts everything"),
        (&["recent", "--from", "2026-02-02", "--to", "2026-02-01"], 2, "expected the first day before the last"),
    ] {
        let ended = home.run(arguments, "");
        assert_eq!((ended.code(), ended.out.as_str()), (Some(code), ""), "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(expected), "{arguments:?}: {ended:?}");
        assert!(ended.err.lines().all(|line| line.starts_with("tallybot: ")), "{arguments:?}: {ended:?}");
    }
    assert!(home.run(&["--help"], "").out.contains("Exit code, of every command: 0"));
}

#[test]
fn help_and_tables_fit_into_eighty_columns() {
    let home = Home::new(DEMO);
    for command in ["log", "import", "verify", "export", "recent"] {
        let help = home.run(&[command, "--help"], "").out;
        let examples = help.split("Examples:").nth(1).unwrap_or_default();
        assert!(examples.lines().all(|line| line.chars().count() <= 80), "{examples}");
        let whole = |line: &str| !line.starts_with("  ") || line.starts_with("  tallybot ");
        assert!(examples.lines().all(whole), "none is wrapped: {examples}");
    }
    home.run(&["chat"], "hello\n");
    home.run(&["reset", "--yes"], "");
    let epochs = home.run(&["stats", "--epochs"], "").out;
    assert!(epochs.lines().all(|line| line.chars().count() <= 80) && epochs.contains("now"), "{epochs}");
}

#[test]
fn after_a_reset_the_heading_says_since_when() {
    let home = Home::new(DEMO);
    home.run(&["chat"], "hello\n");
    assert!(home.run(&["stats"], "").out.starts_with("raymundo · Since the start\n"));
    home.run(&["reset", "--yes"], "");
    home.run(&["chat"], "hello\n");
    for (lang, expected) in [
        ("en", "raymundo · Since the reset of "),
        ("es", "raymundo · Desde el reinicio del "),
        ("pt", "raymundo · Desde o reinício de "),
        ("fr", "raymundo · Depuis la remise à zéro du "),
    ] {
        let screen = home.run(&["stats", "--lang", lang], "").out;
        assert!(screen.starts_with(expected), "{screen}");
    }
    assert!(home.run(&["stats", "--period", "today"], "").out.starts_with("raymundo · Today\n"));
}

#[test]
fn a_folder_that_others_can_look_into_is_closed_or_said_to_be_open() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new(DEMO);
    let open = |mode| std::fs::set_permissions(home.data(), std::fs::Permissions::from_mode(mode)).expect("ours");
    let mode = || std::fs::metadata(home.data()).expect("it is there").permissions().mode() & 0o777;
    std::fs::create_dir(home.data()).expect("a new folder");
    let log = ["log", "--prompt-tokens", "1"];
    for before in [0o755, 0o770, 0o707] {
        open(before);
        assert_eq!(home.run(&["stats"], "").code(), Some(0));
        assert_eq!(mode(), before, "looking changes nothing");
        let ended = home.run(&log, "");
        assert_eq!((ended.code(), ended.err.as_str(), mode()), (Some(0), "", 0o700), "{ended:?}");
    }
    std::fs::write(home.data().join("a letter.txt"), "not of tallybot").expect("written");
    open(0o755);
    let ended = home.run(&log, "");
    assert_eq!((ended.code(), mode()), (Some(0), 0o755), "somebody else needs it as it is");
    assert!(ended.err.contains("tallybot: other users of this machine can look into `data`"), "{ended:?}");
    assert!(ended.err.contains("`a letter.txt`") && ended.err.contains("chmod 700 data"), "{ended:?}");
}
