//! The page on security: every box of the list has its entry, and every test that an entry names is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::running::Home;

/// The boxes, in order.
const BOXES: [&str; 20] = [
    "Secrets",
    "Telegram's token in URLs",
    "Telegram's webhook",
    "Keys",
    "Prompts and answers",
    "Tokens of REST",
    "Only this machine, and no web page",
    "Reset",
    "Webhooks of others",
    "Addresses that somebody else chooses",
    "Pages",
    "CSV",
    "Markup and terminals",
    "Names as labels",
    "Files",
    "Who may speak",
    "Denial of wallet",
    "SQL",
    "Slow and large requests",
    "What it is built of",
];

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("UTF-8")
}

/// The names of all tests: functions below an attribute that ends in `test]` or `test(…)]`.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["src", "tests"] {
        crate::running::walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(tests_in(&fs::read_to_string(path).expect("UTF-8")));
            }
        });
    }
    names
}

fn tests_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut below = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
            below = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| below) {
            below = false;
            names.extend(rest.split('(').next().map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_box_has_its_entry_and_every_entry_a_test() {
    let page = read("docs/security.md");
    let sections: Vec<(&str, &str)> = page.split("\n## ").skip(1).filter_map(|part| part.split_once('\n')).collect();
    let titles: Vec<&str> = sections.iter().map(|(title, _)| *title).collect();
    assert_eq!(titles, BOXES);
    let there = tests();
    for (title, text) in sections {
        let (promise, named) = text.split_once("\n\nTests: ").unwrap_or_else(|| panic!("`{title}` names no test"));
        assert!(promise.trim().len() > 40, "`{title}` promises nothing");
        for word in named.split_whitespace() {
            let name = word.strip_prefix('`').and_then(|word| word.strip_suffix('`'));
            let name = name.unwrap_or_else(|| panic!("`{title}`: behind `Tests:` only names in backticks, not {word}"));
            assert!(there.contains(name), "`{title}` names `{name}`, and there is no such test");
        }
    }
}

#[test]
fn a_link_in_the_place_of_a_file_of_the_books_is_never_written_through() {
    let demo = "[[providers]]\nname = \"demo\"\nkind = \"demo\"\n";
    let begun = || {
        let home = Home::new(demo);
        assert_eq!(home.run(&["chat"], "hello\n").code(), Some(0));
        home
    };
    let names = |home: &Home| -> Vec<PathBuf> {
        let files = home.written().into_iter().map(|(path, _)| path).filter(|path| path.starts_with(home.data()));
        files.filter(|path| !path.ends_with("token_debug.log")).collect()
    };
    let count = names(&begun()).len();
    assert!(count > 5, "{count}");
    for n in 0..count {
        let home = begun();
        let (path, elsewhere) = (&names(&home)[n], home.path("inputs/elsewhere"));
        fs::rename(path, &elsewhere).expect("ours");
        std::os::unix::fs::symlink(&elsewhere, path).expect("ours");
        let before = fs::read(&elsewhere).expect("ours");
        home.run(&["chat"], "hello again\n");
        assert_eq!(fs::read(&elsewhere).expect("ours"), before, "{}", path.display());
    }
}

#[test]
fn every_step_builds_what_the_lock_file_names() {
    let script = read(".ci/run");
    let builds = ["cargo build", "cargo test", "cargo clippy", "cargo doc"];
    let steps =
        script.lines().filter(|line| !line.starts_with("step ") && builds.iter().any(|cargo| line.contains(cargo)));
    let open: Vec<&str> = steps.filter(|line| !line.contains("--locked")).collect();
    assert_eq!(open, Vec::<&str>::new());
    assert!(script.contains("cargo deny --offline check bans licenses sources"));
    let rules = read("deny.toml");
    for rule in ["unknown-registry = \"deny\"", "unknown-git = \"deny\"", "wildcards = \"deny\""] {
        assert!(rules.contains(rule), "{rule}");
    }
}
