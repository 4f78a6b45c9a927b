//! `/openapi.json`, held to what the program really answers by schemathesis, which makes requests of it, good and bad.
//!
//! Runs where `TALLYBOT_SCHEMATHESIS` names the program, as `.ci/run` sees to it.

use std::process::Command;

use crate::running::{Home, Running};

const READ: &str = "read-0123456789-0123456789-0123456789";
const ADMIN: &str = "admin-0123456789-0123456789-0123456789";
const CONFIG: &str = "[http]\nlisten = \"127.0.0.1:0\"\n[[providers]]\nname = \"demo\"\nkind = \"demo\"\n";
const EXCEPTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/schemathesis.toml");
const HOOKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/schemathesis_hooks.py");

/// Tries every operation with a token; fails with what it says when an answer is not as described.
fn tried(program: &std::ffi::OsStr, home: &Home, service: &Running, token: &str, checks: &[&str], examples: &str) {
    let described = format!("http://127.0.0.1:{}/openapi.json", service.port());
    let output = Command::new(program)
        .current_dir(home.path(""))
        .env("SCHEMATHESIS_HOOKS", HOOKS)
        .args(["--config-file", EXCEPTIONS, "run", &described, "--header", &format!("Authorization: Bearer {token}")])
        .args(["--no-color", "--generation-deterministic", "--no-shrink"])
        .args(["--generation-with-security-parameters", "false", "--max-examples", examples])
        .args(checks)
        .output()
        .expect("the named program runs");
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{told}");
}

#[test]
fn every_answer_is_as_the_description_says() {
    let Some(program) = std::env::var_os("TALLYBOT_SCHEMATHESIS") else { return };
    let home = Home::new(CONFIG).with_env("TALLYBOT_READ_TOKEN", READ).with_env("TALLYBOT_ADMIN_TOKEN", ADMIN);
    let service = home.serve();
    let all_but_tokens = ["--checks", "all", "--exclude-checks", "ignored_auth"];
    tried(&program, &home, &service, ADMIN, &all_but_tokens, "30");
    let briefly = ["--phases", "fuzzing", "--exclude-method", "HEAD"];
    tried(&program, &home, &service, READ, &[&all_but_tokens[..], &briefly].concat(), "5");
    // Wrong tokens, last: after ten of them this address is told to wait for a minute.
    tried(&program, &home, &service, ADMIN, &[&["--checks", "ignored_auth"][..], &briefly].concat(), "1");
    assert_eq!(service.ask("GET /health", "").status(), 200);
}
