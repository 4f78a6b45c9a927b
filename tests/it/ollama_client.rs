//! The Ollama stub, held to the official Python client: what our tests play is what that client understands.
//!
//! Runs where `TALLYBOT_OLLAMA_PYTHON` names a Python that has the package `ollama`, as `.ci/run` sees to it.

use std::process::Command;

use crate::providers::{ScriptedProvider, ollama};

const CLIENT: &str = r#"
import sys, ollama
client = ollama.Client(host=sys.argv[1])
assert [model.model for model in client.list().models] == ["llama3.2"], "the list of models"
question = [{"role": "user", "content": "hello"}]
pieces, last = [], None
for part in client.chat(model="llama3.2", messages=question, stream=True):
    pieces.append(part.message.content)
    last = part
assert "".join(pieces) == "Hello there", pieces
assert last.done and last.done_reason == "stop", last
assert (last.prompt_eval_count, last.eval_count) == (26, 2), last
print("ollama client ok")
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_understands_the_stub() {
    let Some(python) = std::env::var_os("TALLYBOT_OLLAMA_PYTHON") else { return };
    let stub = ScriptedProvider::start(ollama::polite(&["llama3.2"], ollama::chat(&["Hello", " there"], 26, 2))).await;
    let url = stub.url();
    let run = tokio::task::spawn_blocking(move || Command::new(python).args(["-c", CLIENT, &url]).output());
    let output = run.await.expect("the task ends").expect("the named Python runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("ollama client ok"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stub.hits().iter().any(|hit| hit.path == "/api/chat"));
}
