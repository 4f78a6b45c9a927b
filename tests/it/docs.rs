//! Holds the words around the program against the program: README, docs/, CHANGELOG, the examples in them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tallybot::usage::{ErrorKind, unseal_line};

const README: &str = include_str!("../../README.md");
const FILES: &str = include_str!("../../docs/files.md");
const HTTP: &str = include_str!("../../docs/http.md");
const EXPORT: &str = include_str!("../../docs/export.md");
const IMPORT: &str = include_str!("../../docs/import.md");
const GATEWAY: &str = include_str!("../../docs/gateway.md");
const INTEGRATE: &str = include_str!("../../docs/integrate.md");
const TROUBLES: &str = include_str!("../../docs/troubleshooting.md");
const KEYS: &str = include_str!("../../docs/keys.md");
const PRICES: &str = include_str!("../../docs/prices.md");
const VERIFY: &str = include_str!("../../docs/verify.md");
const DELIVERIES: &str = include_str!("../../docs/deliveries.md");
const PAGES: [(&str, &str); 12] = [
    ("README.md", README),
    ("docs/gateway.md", GATEWAY),
    ("docs/integrate.md", INTEGRATE),
    ("docs/troubleshooting.md", TROUBLES),
    ("docs/files.md", FILES),
    ("docs/http.md", HTTP),
    ("docs/export.md", EXPORT),
    ("docs/import.md", IMPORT),
    ("docs/keys.md", KEYS),
    ("docs/prices.md", PRICES),
    ("docs/verify.md", VERIFY),
    ("docs/deliveries.md", DELIVERIES),
];

/// Another tracker's log, for the command that takes it over.
const LOG: &str = include_str!("fixtures/token-log/tokens_2025-02-05.jsonl");

/// A configuration that asks nothing of the machine: the demo model, any free port.
const DEMO: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The contents of a page's fenced blocks of a language, in order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(opened) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if opened == language {
            found.push(block.join("\n"));
        }
    }
    found
}

/// The commands of a page's shell blocks: continued lines joined, comments cut.
fn commands(page: &str) -> Vec<String> {
    let text = blocks(page, "sh").join("\n").replace("\\\n", " ");
    let command = |line: &str| line.split(" #").next().unwrap_or_default().trim().to_owned();
    text.lines().map(command).filter(|line| !line.is_empty()).collect()
}

/// A temporary folder with a configuration in it, and the example beside it.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a temporary folder");
    fs::write(home.path().join("tallybot.toml"), DEMO).expect("written");
    let example = "tallybot.example.toml";
    fs::copy(root().join(example), home.path().join(example)).expect("the example is there");
    fs::create_dir_all(home.path().join("logs/tokens")).expect("a new folder");
    fs::write(home.path().join("logs/tokens/tokens_2025-02-05.jsonl"), LOG).expect("written");
    home
}

fn tallybot(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybot"));
    for key in ["OPENAI_API_KEY", "GEMINI_API_KEY"] {
        command.current_dir(home).env(key, "not-a-key-but-long-enough");
    }
    for token in ["TALLYBOT_READ_TOKEN", "TALLYBOT_ADMIN_TOKEN"] {
        command.env_remove(token);
    }
    for place in ["TALLYBOT_SLACK_URL", "TALLYBOT_DISCORD_URL"] {
        command.env(place, "https://example.com/a-channel");
    }
    command.env("TALLYBOT_ALERTS_SECRET", "a-secret-of-32-characters-at-least").env("TALLYBOT_MAIL_PASSWORD", "secret");
    command
}

fn run(command: &mut Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the binary starts");
    // A command that reads nothing may be gone before its input is written.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

/// A running `tallybot serve`, killed when dropped.
struct Serving {
    child: Child,
    address: String,
    _home: tempfile::TempDir,
}

impl Serving {
    fn start() -> Serving {
        let home = home();
        let mut command = tallybot(home.path());
        let quiet = command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = quiet.spawn().expect("the binary starts");
        let mut said = String::new();
        BufReader::new(child.stderr.take().expect("piped")).read_line(&mut said).expect("it says where it listens");
        let address = said.trim().rsplit("http://").next().expect("rsplit gives a part").to_owned();
        Serving { child, address, _home: home }
    }

    /// Status and body of an answer.
    fn ask(&self, method: &str, target: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let (address, length) = (&self.address, body.len());
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        write!(stream, "{head}{kind}Content-Length: {length}\r\n\r\n{body}").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers in UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_two_commands_stand_in_the_readme_alone() {
    assert_eq!(blocks(README, "sh")[0], "cargo run --release\ncargo test");
}

#[test]
fn the_readmes_shell_commands_run() {
    let home = home();
    let commands = commands(README);
    let of_ours: Vec<&String> =
        commands.iter().filter(|line| line.contains("tallybot") && !line.contains("curl")).collect();
    assert!(of_ours.len() >= 7, "{of_ours:?}");
    for line in of_ours {
        let (input, line) = match line.split_once(" | ") {
            Some((echo, line)) => (echo.trim_start_matches("echo ").trim_matches('\''), line),
            None => ("", line.as_str()),
        };
        let mut words: Vec<&str> = line.split_whitespace().skip(1).collect();
        if words.is_empty() || words == ["serve"] {
            words.push("--help"); // what runs until it is stopped is only parsed
        }
        let output = run(tallybot(home.path()).args(&words), input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{line}` failed: {said}");
        assert!(!output.stdout.is_empty(), "`{line}` printed nothing");
    }
}

#[test]
fn the_page_on_exports_names_every_column_and_its_commands_run() {
    let home = home();
    assert!(run(tallybot(home.path()).arg("chat"), "hello\n").status.success());
    for line in commands(EXPORT).iter().filter(|line| !line.contains("--follow")) {
        let output = run(tallybot(home.path()).args(line.split_whitespace().skip(1)), "");
        assert!(output.status.success(), "`{line}` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let told = EXPORT.split("says what each column means:").nth(1).and_then(|rest| rest.split("\n\n").nth(1));
    let told: Vec<&str> = told.expect("the list").split('`').skip(1).step_by(2).collect();
    let columns: Vec<&str> = tallybot::reports::records::COLUMNS.iter().map(|column| column.name).collect();
    assert_eq!(told, columns);
}

#[test]
fn the_commands_of_the_page_on_prices_run() {
    let home = home();
    let file = |name: &str, text: &str| fs::write(home.path().join(name), text).expect("written");
    file("model_prices_and_context_window.json", include_str!("fixtures/prices/litellm.json"));
    file("other-prices.toml", &blocks(PRICES, "toml")[0]);
    assert!(run(tallybot(home.path()).arg("chat"), "hello\n").status.success());
    let commands = commands(PRICES);
    assert!(commands.len() >= 10, "{commands:?}");
    for line in commands {
        let output = run(tallybot(home.path()).args(line.split_whitespace().skip(1)), "");
        assert!(output.status.success(), "`{line}` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_commands_of_the_page_on_keys_run() {
    let home = home();
    let commands = commands(KEYS);
    assert!(commands.len() >= 6, "{commands:?}");
    for line in commands {
        let words = line.split_whitespace().skip(1).map(|word| word.trim_matches('\''));
        let output = run(tallybot(home.path()).args(words), "");
        let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && !told.is_empty(), "`{line}` failed: {said}");
        let next = said.lines().nth(1);
        assert!(next.is_none_or(|next| KEYS.contains(next)), "`{line}` says another thing than the page: {said}");
    }
}

#[test]
fn every_command_that_is_named_in_passing_is_one() {
    let home = home();
    let pages = [GATEWAY, INTEGRATE, TROUBLES].map(|page| page.replace('\n', " "));
    let spans = pages.iter().flat_map(|page| page.split('`').skip(1).step_by(2));
    let commands: BTreeSet<&str> = spans.filter_map(|span| span.strip_prefix("tallybot ")).collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        let output = run(tallybot(home.path()).args(command.split_whitespace()).arg("--help"), "");
        assert!(output.status.success(), "`{command}`: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_faults_that_the_page_on_troubles_quotes_are_told_so() {
    let mut code = String::new();
    for folder in ["src/gateway", "src/metering", "src/access"] {
        crate::running::walk(&root().join(folder), &mut |path| {
            code += &fs::read_to_string(path).unwrap_or_default(); // a folder has no text
        });
    }
    let code = code.replace("\\\n", "").to_lowercase();
    let titles = TROUBLES.split("\n**").skip(1).filter_map(|entry| entry.split("**").next());
    let quoted: Vec<&str> = titles.flat_map(|title| title.split('"').skip(1).step_by(2)).collect();
    assert!(quoted.len() >= 7, "{quoted:?}");
    for text in quoted.iter().filter(|text| !text.contains("permission denied")) {
        let begin = text.trim_end_matches('…').trim().to_lowercase();
        assert!(code.contains(&begin), "nothing says `{text}`");
    }
}

#[test]
fn every_header_of_the_gateway_is_described() {
    let code = fs::read_to_string(root().join("src/gateway/headers.rs")).expect("src/gateway/headers.rs");
    let code = code.split("mod tests").next().expect("split gives a part");
    let names = code.split('"').skip(1).step_by(2).filter(|text| text.starts_with("x-"));
    let ours: BTreeSet<&str> = names.filter(|name| !name.starts_with("x-forwarded-")).collect();
    assert!(ours.len() >= 14, "{ours:?}");
    let page = GATEWAY.to_lowercase();
    for name in ours {
        assert!(page.contains(&format!("`{name}`")), "docs/gateway.md does not describe `{name}`");
    }
}

#[test]
fn the_gateways_page_shows_its_real_defaults() {
    let shown = blocks(GATEWAY, "toml").concat();
    let default = tallybot::config::Gateway::default();
    let tallybot::config::Gateway { max_body_mib, retries, drain_seconds, drains } = default;
    for (key, value) in
        [("max_body_mib", max_body_mib), ("retries", retries), ("drain_seconds", drain_seconds), ("drains", drains)]
    {
        assert!(shown.contains(&format!("\n{key} = {value} ")), "{key} = {value}: {shown}");
    }
}

#[test]
fn the_python_in_the_pages_is_python() {
    let home = tempfile::tempdir().expect("a temporary folder");
    for (at, block) in blocks(INTEGRATE, "python").iter().enumerate() {
        let script = home.path().join(format!("{at}.py"));
        fs::write(&script, block).expect("written");
        match Command::new("python3").args(["-m", "py_compile"]).arg(&script).output() {
            Ok(output) => assert!(output.status.success(), "{block}\n{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => {
                let said = writeln!(std::io::stderr(), "NOT CHECKED: the Python of docs/integrate.md: {error}");
                return drop(said);
            }
        }
    }
}

#[test]
fn the_configurations_hold() {
    let home = home();
    let examples: Vec<String> = PAGES.iter().flat_map(|(_, page)| blocks(page, "toml")).collect();
    assert!(examples.len() >= 3);
    for example in examples {
        let file = home.path().join("example.toml");
        fs::write(&file, &example).expect("written");
        let output = run(tallybot(home.path()).arg("check-config").arg(&file), "");
        assert!(output.status.success(), "{example}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_json_is_json_and_its_seals_are_right() {
    for (name, page) in PAGES {
        for example in blocks(page, "json") {
            let value: serde_json::Value =
                serde_json::from_str(&example).unwrap_or_else(|e| panic!("{name}: {e}: {example}"));
            if value.get("crc").is_some() {
                unseal_line(example.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}: {example}"));
            }
        }
    }
}

#[test]
fn every_link_leads_to_a_file() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).expect("CHANGELOG.md");
    assert!(changelog.contains(&format!("\n## {}", env!("CARGO_PKG_VERSION"))), "the changelog knows this version");
    for (name, page) in PAGES {
        let folder = root().join(name);
        let folder = folder.parent().expect("a file is in a folder");
        for target in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(folder.join(target).is_file(), "{name} links to `{target}`");
        }
    }
    for file in ["tallybot.example.toml", "metrics.json.example", "LICENSE-MIT", "LICENSE-APACHE"] {
        let named = PAGES.iter().any(|(_, page)| page.contains(file));
        assert!(named && root().join(file).is_file(), "`{file}` is named and there");
    }
}

#[test]
fn the_code_map_names_the_folders_of_the_source() {
    let mapped: Vec<&str> = README.lines().filter_map(|line| line.strip_prefix("src/")?.split('/').next()).collect();
    let there = fs::read_dir(root().join("src")).expect("src/").map(|entry| entry.expect("readable"));
    let there =
        there.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().expect("UTF-8"));
    assert_eq!(mapped.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), there.collect());
    let library = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let declared: Vec<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let told: Vec<&str> = library.lines().filter_map(|line| line.strip_prefix("//! - [`")?.split('`').next()).collect();
    assert_eq!(declared, mapped, "the library declares its modules in the order of the map");
    assert_eq!(told, mapped, "and tells of them in that order");
}

#[test]
fn every_request_that_is_shown_is_answered() {
    let serving = Serving::start();
    for line in commands(README).iter().chain(&commands(HTTP)).filter(|line| line.starts_with("curl ")) {
        let url = line.split("http://127.0.0.1:5000").nth(1).expect("the usual address");
        let target = url.split([' ', '\'']).next().expect("split gives a part");
        let method =
            ["POST", "DELETE"].into_iter().find(|method| line.contains(&format!("-X {method}"))).unwrap_or("GET");
        let body = line.split_once("-d '").map_or("", |(_, body)| body.trim_end_matches('\''));
        let (status, answer) = serving.ask(method, target, body);
        assert_eq!(status, 200, "`{line}`: {answer}");
    }
}

#[test]
fn the_page_on_http_lists_the_routes_there_are() {
    let (status, answer) = Serving::start().ask("GET", "/no-such-route", "");
    assert_eq!(status, 404);
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    let there: BTreeSet<&str> =
        answer["error"]["allowed"].as_array().expect("a list").iter().filter_map(|route| route.as_str()).collect();
    let listed = HTTP.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let listed: BTreeSet<&str> =
        listed.filter(|cell| ["GET /", "POST /", "DELETE /"].iter().any(|begin| cell.starts_with(begin))).collect();
    assert_eq!(listed, there);
    for route in there {
        let path = route.split(' ').nth(1).expect("a method and a path");
        assert!(README.contains(path), "the README shows `{path}`");
    }
}

#[test]
fn the_answer_to_stats_has_the_fields_that_are_described() {
    let (_, answer) = Serving::start().ask("GET", "/stats", "");
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    let shown: serde_json::Value =
        blocks(HTTP, "json").iter().map(|block| serde_json::from_str(block).expect("JSON")).next().expect("a sample");
    let keys = |value: &serde_json::Value| -> BTreeSet<String> {
        let pairs = value.as_object().into_iter().flatten();
        pairs
            .flat_map(|(key, value)| {
                let inner = value.as_object().into_iter().flatten().filter(|_| !key.starts_with("by_"));
                inner.map(move |(name, _)| format!("{key}.{name}")).chain([key.clone()])
            })
            .collect()
    };
    assert_eq!(keys(&answer), keys(&shown));
    let told = README.split("`GET /stats` answers with").nth(1).and_then(|rest| rest.split("`POST").next());
    let told: BTreeSet<&str> = told.expect("the README names the fields").split('`').skip(1).step_by(2).collect();
    let missing: Vec<&str> = told.into_iter().filter(|field| answer.get(field).is_none()).collect();
    assert!(missing.is_empty(), "the README names {missing:?}, which are not there");
}

#[test]
fn every_field_of_a_record_and_every_class_of_error_is_described() {
    let writer = fs::read_to_string(root().join("src/usage/writing.rs")).expect("src/usage/writing.rs");
    let code = writer.split("mod tests").next().expect("split gives a part");
    // A key is written with its comma, or as the first of an object.
    let fields: BTreeSet<&str> = ["r#\",\"", "{\""]
        .iter()
        .flat_map(|marker| code.split(marker).skip(1))
        .filter_map(|rest| rest.split("\":").next())
        .collect();
    assert!(fields.len() > 35, "{fields:?}");
    let classes = ErrorKind::ALL.iter().map(|kind| kind.as_str());
    for name in fields.into_iter().chain(classes) {
        assert!(FILES.contains(&format!("`{name}`")), "docs/files.md does not describe `{name}`");
    }
}

#[test]
fn a_sceptic_can_check_a_line_by_hand() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let (script, lines) = (home.path().join("check.py"), home.path().join("lines.jsonl"));
    fs::write(&script, blocks(FILES, "python").join("\n")).expect("written");
    let record = blocks(FILES, "json").swap_remove(0);
    let damaged = record.replacen("\"prompt_tokens\":2", "\"prompt_tokens\":3", 1);
    fs::write(&lines, format!("{record}\n{damaged}\n")).expect("written");
    let output = match Command::new("python3").arg(&script).arg(&lines).output() {
        Ok(output) => output,
        Err(error) => {
            // Past the harness, which hides what a test that passes has printed.
            let said = writeln!(std::io::stderr(), "NOT CHECKED: the script of docs/files.md: no python3: {error}");
            return drop(said);
        }
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 ok\n2 DAMAGED\n");
}
