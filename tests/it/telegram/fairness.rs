//! Fifty chats, of which one floods: the others wait hardly longer for it. Commands are answered while their own chat's
//! answer is being written.

use std::time::Duration;

use tokio::task::JoinSet;

use super::bot::{Bot, config};
use super::world::now;
use super::{Chat, FakeApi, Person};
use crate::providers::{Reply, ScriptedProvider, openai};
use crate::running::Home;

const CHATS: i64 = 50;

/// How long the answers of some chats take that ask at once, in the order of their lengths.
async fn waits(chats: &[Chat], question: &str) -> Vec<Duration> {
    let began = now();
    let asked: Vec<i64> = chats.iter().map(|chat| chat.says(question).message).collect();
    let mut answered = JoinSet::new();
    for (chat, asked) in chats.iter().zip(&asked) {
        let chat = chat.clone();
        let asked = *asked;
        answered.spawn(async move {
            chat.sees_after(asked, "the end.").await;
            began.elapsed()
        });
    }
    let mut waits = answered.join_all().await;
    waits.sort_unstable();
    waits
}

#[tokio::test(flavor = "multi_thread")]
async fn one_chat_that_floods_makes_the_others_wait_hardly_longer() {
    let fake = FakeApi::start().await;
    fake.enforce_limits();
    let answer = openai::chat(&["Here is a little, and then comes ", "the end."], 20, 5);
    let model = ScriptedProvider::start(openai::polite(&["m"], answer.after(Duration::from_millis(50)))).await;
    let users: Vec<i64> = (1_001..=1_000 + CHATS).collect();
    let config = config(&fake.url(), &model.url(), "").replace("users = [111]", &format!("users = {users:?}"))
        + "[chat]\nconcurrent_generations = 4\n";
    let home =
        Home::new(&config).with_env("TELOXIDE_TOKEN", FakeApi::TOKEN).with_env("KEY", "sk-0123456789-0123456789");
    let chats: Vec<Chat> = users.iter().map(|id| fake.private(&Person::new(*id, "Somebody"))).collect();
    let (flooder, others) = chats.split_first().expect("fifty");
    let app = tokio::task::block_in_place(|| home.serve());
    // Both are asked right after the answers to another round, which count in the same second.
    waits(others, "first?").await;
    let alone = waits(others, "alone?").await;
    for n in 0..200 {
        flooder.says(&format!("flood {n}"));
    }
    let beside = waits(others, "beside?").await;
    let (alone, beside) = (alone[alone.len() / 2], beside[beside.len() / 2]);
    println!("median wait alone {alone:?}, beside a flood {beside:?}");
    assert!(beside.as_secs_f64() <= 1.5 * alone.as_secs_f64(), "alone {alone:?}, beside a flood {beside:?}");
    let of_flooder = model.hits().iter().filter(|hit| String::from_utf8_lossy(&hit.body).contains("flood")).count();
    assert!((1..=10).contains(&of_flooder), "{of_flooder} of 200: the rest was told once that the line is full");
    drop(app);
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_and_cancel_are_answered_within_a_second_while_an_answer_is_written() {
    let held: Reply = openai::chat(&["The beginning of an answer that is long enough to show, ", "its end."], 20, 5);
    let bot = Bot::new(openai::polite(&["m"], held.hold_before(3)), "").await;
    let _app = bot.start().await;
    let ana = bot.chat();
    ana.says("tell me");
    ana.sees("The beginning").await;
    let asked = now();
    let stats = ana.says("/stats");
    ana.sees_after(stats.message, "Working").await;
    let (stats_took, cancelled) = (asked.elapsed(), now());
    ana.says("/cancel");
    ana.wait_for(|shown| shown.iter().find(|m| m.is_from_bot() && m.text.contains("Cancelled")).map(drop)).await;
    println!("/stats {stats_took:?}, /cancel {:?}", cancelled.elapsed());
    assert!(stats_took < Duration::from_secs(1), "/stats took {stats_took:?}");
    assert!(cancelled.elapsed() < Duration::from_secs(1), "/cancel took {:?}", cancelled.elapsed());
}
