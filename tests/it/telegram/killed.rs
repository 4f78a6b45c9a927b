//! Killed at every point of an answer's way: each question is answered or apologised for once, and no model is asked
//! twice.

use std::time::Duration;

use super::bot::Bot;
use super::{Call, Chat};
use crate::providers::{Hit, Reply, Step, openai};

/// Says the question again, in pieces, with an end to know it by.
fn echo(hit: &Hit) -> Reply {
    if hit.method == "GET" {
        return openai::polite(&["m"], Reply::default())(hit);
    }
    let messages = hit.json()["messages"].clone();
    let question = messages.as_array().and_then(|all| all.last()).map(|last| last["content"].clone());
    let question = question.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default();
    let first = format!("You said: {question}. This goes on for a little while, and then comes ");
    let mut reply = openai::chat(&[&first, "the end."], 20, 5);
    // Long enough for a frame before the end.
    reply.steps.insert(3, Step::Wait(Duration::from_millis(1_200)));
    reply
}

fn counts(call: &Call) -> bool {
    ["getUpdates", "sendChatAction", "sendMessage", "editMessageText", "editMessageReplyMarkup"]
        .contains(&call.method.as_str())
}

/// How often a question was answered to its end, and apologised for.
fn outcomes(chat: &Chat, question: &str, message: i64) -> (usize, usize) {
    let shown = chat.shows();
    let of_bot = || shown.iter().filter(|shown| shown.is_from_bot());
    let answers = of_bot().filter(|shown| {
        shown.markup.is_none() && shown.text.contains(&format!("{question}.")) && shown.text.contains("the end.")
    });
    let apologies = of_bot().filter(|shown| shown.reply_to == Some(message) && shown.text.contains("restarted"));
    (answers.count(), apologies.count())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_each_question_is_answered_or_apologised_for_once() {
    let bot = Bot::new(echo, "").await;
    let ana = bot.chat();
    let mut asked = Vec::new();
    for point in 1..=9 {
        let app = tokio::task::block_in_place(|| bot.home.serve());
        let before = bot.fake.calls().iter().filter(|call| counts(call)).count();
        let question = format!("question {point}");
        let sent = ana.says(&question);
        let is_over =
            |call: &Call| call.text("text").contains(&format!("{question}.")) && call.text("text").contains("the end.");
        let reached = |calls: &[Call]| {
            let count = calls.iter().filter(|call| counts(call)).count();
            (count >= before + point || calls.iter().any(is_over)).then_some(())
        };
        bot.fake.wait_for(reached).await;
        app.signal("KILL");
        tokio::task::block_in_place(|| app.wait());
        asked.push((question, sent));
    }
    let app = bot.start().await;
    let last = ana.says("/id");
    bot.fake.wait_until_confirmed(last.update).await;
    let settled = |shown: &[super::Message]| {
        let once = |(question, sent): &(String, super::Sent)| {
            let is_done = |m: &super::Message| {
                m.markup.is_none() && m.text.contains(&format!("{question}.")) && m.text.contains("the end.")
            };
            shown.iter().any(|m| {
                m.is_from_bot() && (is_done(m) || (m.reply_to == Some(sent.message) && m.text.contains("restarted")))
            })
        };
        asked.iter().all(once).then_some(())
    };
    ana.wait_for(settled).await;
    assert_eq!(app.stop().code(), Some(0));
    for (question, sent) in &asked {
        let (answers, apologies) = outcomes(&ana, question, sent.message);
        assert_eq!(answers + apologies, 1, "{question}: {answers} answers, {apologies} apologies: {:?}", ana.reads());
        let calls =
            bot.model.hits().iter().filter(|hit| hit.method == "POST" && echo_of(hit).contains(question)).count();
        assert!(calls <= 1, "{question}: {calls} calls");
    }
}

fn echo_of(hit: &Hit) -> String {
    hit.json()["messages"]
        .as_array()
        .and_then(|all| all.last())
        .map(|last| last["content"].to_string())
        .unwrap_or_default()
}
