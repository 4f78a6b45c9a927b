//! The fake, held to a client that others wrote: a small bot of python-telegram-bot (`judge.py`) lives on it, and reads
//! every answer and every update, or says which it cannot read.
//!
//! Runs where `TALLYBOT_TELEGRAM_PYTHON` names a Python that has the package `python-telegram-bot`, as `.ci/run` sees to.

use std::process::{Command, Stdio};

use super::self_tests::png;
use super::{Effect, FakeApi, Fault, Person};

const BOT: &str = include_str!("judge.py");

#[tokio::test(flavor = "multi_thread")]
async fn python_telegram_bot_reads_every_answer_and_every_update() {
    let Some(python) = std::env::var_os("TALLYBOT_TELEGRAM_PYTHON") else { return };
    let api = FakeApi::start().await;
    let ana = Person::new(111, "Ana").speaking("es");
    let (chat, group) = (api.private(&ana), api.forum(-1_005, "Casa", &[7], &ana));
    // The calls of `methods` that come after its first ones meet these.
    api.fault(Fault::on("sendMessage", Effect::retry_after(3)).to(111).after(2));
    api.fault(Fault::on("sendMessage", Effect::blocked()).to(111));
    api.fault(Fault::on("sendMessage", Effect::migrated(-1_009)).to(-1_005).after(1));
    api.fault(Fault::on("getUpdates", Effect::conflict()));
    let mut bot = Command::new(python);
    let (user, room) = (ana.id.to_string(), group.id().to_string());
    bot.args(["-c", BOT, &api.url(), FakeApi::TOKEN, &user, &room]).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let bot = bot.spawn().expect("the named Python runs");
    let ended = tokio::task::spawn_blocking(|| bot.wait_with_output());

    api.wait_for_polls(1).await;
    let start = chat.says("/start").message;
    chat.sees_after(start, "Hi fn more es").await;
    let press = chat.press("Today");
    assert_eq!(chat.toast(&press).await, "noted");
    chat.sees("pressed s1:p=1").await;
    chat.sends_photo(&png(640, 480), "");
    assert!(chat.sees("29 bytes").await.is_photo());
    let album = chat.sends_album(&[&png(640, 480), &png(640, 480)], "two");
    let name = chat.message(album[0].message).media["media_group_id"].as_str().expect("an album").to_owned();
    chat.sees(&format!("album {name}")).await;
    chat.sends_document("notes.txt", b"x", None, "");
    chat.sees("notes.txt").await;
    let said = chat.says("first").message;
    chat.sees("heard first").await;
    chat.edits(said, "second");
    assert_eq!(chat.sees("edited to second").await.reply_to, Some(said));
    group.adds_bot();
    chat.sees("left to member").await;
    let topic = group.in_topic(7);
    topic.says("@fake_tallybot in a topic");
    topic.sees("in a topic").await;
    chat.says("/stop");
    chat.sees("webhook is set").await;
    chat.says("by post");
    chat.sees("posted: by post").await;

    let output = ended.await.expect("the task ends").expect("the bot ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("python-telegram-bot ok"), "{said}");
    assert_eq!(api.command_scopes().len(), 5, "default, three languages and one chat");
}
